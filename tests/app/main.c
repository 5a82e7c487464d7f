/* An application in C on the typed entry points alone: two batch sizes give the same scores. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "fashion_resnet.h"

#define BATCH	3
#define PIXELS	784
#define CLASSES 10

int main(void)
{
	static float image[BATCH * PIXELS], together[BATCH * CLASSES], single[CLASSES];
	for (int i = 0; i < BATCH * PIXELS; i++)
		image[i] = (float)(i * 7919 % 256) / 255;
	size_t bytes = (fashion_resnet_workspace(BATCH) + 63) / 64 * 64;
	void *workspace = aligned_alloc(64, bytes);
	if (!workspace || fashion_resnet_workspace(1) > bytes)
		return 1;
	int status = fashion_resnet_run(BATCH, image, together, workspace);
	double worst = 0;
	for (int n = 0; n < BATCH && !status; n++) {
		status = fashion_resnet_run(1, image + n * PIXELS, single, workspace);
		for (int k = 0; k < CLASSES; k++)
			worst = fmax(worst, fabs((double)single[k] - together[n * CLASSES + k]));
	}
	free(workspace);
	printf("C: status %d, worst difference %g\n", status, worst);
	return status || !(worst < 1e-4);
}
