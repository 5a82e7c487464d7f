/* Runs a compiled Fashion-MNIST model over the test pictures and prints accuracy and speed.
 *
 *	fashion IMAGES LABELS RECORDED      (idx files, not compressed; accuracy at export, 0 to 1)
 *
 * Needs the generated header and archive of the model, libm and libpthread, nothing else.  MODEL is
 * the prefix of the generated names.  Exit status 1: the accuracy is not the recorded one.
 */
#define _POSIX_C_SOURCE 200112L /* posix_memalign, clock_gettime */
#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include MODEL_HEADER

#define JOIN(a, b)  a##_##b
#define NAME(a, b)  JOIN(a, b)
#define QUOTE(text) #text
#define TEXT(macro) QUOTE(macro)

#define PIXELS	  (28 * 28)
#define CLASSES	  10
#define BATCH	  100
#define ALIGNMENT 64
#define TOLERANCE 0.001

static uint32_t big_endian(const unsigned char *bytes)
{
	return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
			bytes[3];
}

/* Reads an idx file of `bytes` bytes an item; the caller frees the result.  NULL: no such file. */
static unsigned char *read_idx(const char *path, size_t header, size_t bytes, size_t *count)
{
	unsigned char head[16], *data = NULL;
	FILE *file = fopen(path, "rb");
	if (!file)
		return NULL;
	if (fread(head, 1, header, file) == header) {
		*count = big_endian(head + 4);
		data = *count <= 100000 ? malloc(*count * bytes) : NULL;
	}
	if (data && fread(data, bytes, *count, file) != *count) {
		free(data);
		data = NULL;
	}
	fclose(file);
	return data;
}

static double seconds(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static size_t count_right(const float *scores, const unsigned char *labels, size_t count)
{
	size_t right = 0;
	for (size_t i = 0; i < count; i++) {
		const float *score = scores + i * CLASSES;
		size_t best = 0;
		for (size_t k = 1; k < CLASSES; k++)
			if (score[k] > score[best])
				best = k;
		right += best == labels[i];
	}
	return right;
}

/* Runs the model in batches; returns the number of right answers, or -1. */
static long classify(const unsigned char *images, const unsigned char *labels, size_t count,
		double *time)
{
	static float batch[BATCH * PIXELS], scores[BATCH * CLASSES];
	void *workspace;
	long right = 0;
	if (posix_memalign(&workspace, ALIGNMENT, NAME(MODEL, workspace)(BATCH)))
		return -1;
	*time = 0;
	for (size_t at = 0; at < count; at += BATCH) {
		size_t n = count - at < BATCH ? count - at : BATCH;
		for (size_t i = 0; i < n * PIXELS; i++)
			batch[i] = (float)images[at * PIXELS + i] / 255;
		double start = seconds();
		int status = NAME(MODEL, run)((int64_t)n, batch, scores, workspace);
		*time += seconds() - start;
		if (status) {
			free(workspace);
			return -1;
		}
		right += (long)count_right(scores, labels + at, n);
	}
	free(workspace);
	return right;
}

int main(int argc, char **argv)
{
	size_t count = 0, label_count = 0;
	if (argc != 4) {
		fprintf(stderr, "usage: %s IMAGES LABELS RECORDED\n", argv[0]);
		return 2;
	}
	unsigned char *images = read_idx(argv[1], 16, PIXELS, &count);
	unsigned char *labels = read_idx(argv[2], 8, 1, &label_count);
	double recorded = strtod(argv[3], NULL), time = 0;
	long right = -1;
	if (images && labels && count == label_count && count)
		right = classify(images, labels, count, &time);
	free(images);
	free(labels);
	if (right < 0) {
		fprintf(stderr, "%s: the pictures could not be read or classified\n", argv[0]);
		return 1;
	}
	double accuracy = (double)right / (double)count;
	printf("%s: accuracy %.4f (recorded %.4f), %zu pictures, %.0f pictures/s on one thread\n",
			TEXT(MODEL), accuracy, recorded, count, (double)count / time);
	if (fabs(accuracy - recorded) > TOLERANCE) {
		fprintf(stderr, "%s: the accuracy is not the recorded one\n", argv[0]);
		return 1;
	}
	return 0;
}
