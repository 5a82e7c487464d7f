/* An application in C++ on sessions: one and two threads give the same bits as the typed entry point,
 * and a tensor of a wrong shape is refused. */
#include <normc.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "fashion_resnet.h"

static const int batch = 5, pixels = 784, classes = 10;

static bool run(const normc_program *program, int threads, std::vector<float> &image,
		std::vector<float> &scores)
{
	normc_error error;
	normc_session_options options = {};
	options.size = sizeof(options);
	options.threads = threads;
	normc_session *session = nullptr;
	normc_tensor in = {image.data(), NORMC_F32, 4, {batch, 1, 28, 28}};
	normc_tensor out = {};
	bool ok = normc_session_new(&session, program, &options, &error) == NORMC_OK &&
			normc_session_bind(session, &in, &out, &error) == NORMC_OK;
	ok = ok && out.rank == 2 && out.dim[0] == batch && out.dim[1] == classes;
	out.data = scores.data();
	normc_tensor wrong = {image.data(), NORMC_F32, 4, {batch, 1, 28, 27}}, none = {};
	ok = ok && normc_session_bind(session, &wrong, &none, nullptr) != NORMC_OK;
	ok = ok && normc_session_bind(session, &in, &out, &error) == NORMC_OK;
	ok = ok && normc_run(session, &in, &out, &error) == NORMC_OK;
	if (!ok)
		std::fprintf(stderr, "%d threads: %s\n", threads, error.text);
	normc_session_free(session);
	return ok;
}

int main()
{
	std::vector<float> image(batch * pixels);
	for (size_t i = 0; i < image.size(); i++)
		image[i] = (float)(i * 7919 % 256) / 255;
	std::vector<float> typed(batch * classes), one(batch * classes), two(batch * classes);
	void *workspace = nullptr;
	if (posix_memalign(&workspace, 64, fashion_resnet_workspace(batch)))
		return 1;
	int status = fashion_resnet_run(batch, image.data(), typed.data(), workspace);
	std::free(workspace);

	normc_program *program = nullptr;
	normc_error error;
	if (normc_program_from_module(&program, fashion_resnet_module, &error)) {
		std::fprintf(stderr, "%s\n", error.text);
		return 1;
	}
	bool ok = run(program, 1, image, one) && run(program, 2, image, two);
	normc_program_free(program);
	size_t bytes = typed.size() * sizeof(float);
	ok = ok && !status && !std::memcmp(one.data(), typed.data(), bytes) &&
			!std::memcmp(one.data(), two.data(), bytes);
	std::printf("C++: %s\n", ok ? "typed entry, one thread and two threads agree" : "failed");
	return !ok;
}
