/* Whole models through the command line: the committed ones against what they were trained to
 * answer, and, where the folder NORMC_SHARED (standard: ../shared) holds them, ONNX's own cases.
 */
#define _GNU_SOURCE
#include <zip.h>

#include "test_cli.h"

#define MODELS NORMC_SOURCE_DIR "/tests/models/"

enum { SCORES = 16 * 10, NPY_HEADER = 128 };

/* ---- the committed models ---- */

/* Reads the f32 elements of NAME.npy in a .npz file. */
static void read_reference(const char *path, const char *name, float *value, size_t n)
{
	unsigned char header[NPY_HEADER];
	int error;
	zip_t *archive = zip_open(path, ZIP_RDONLY, &error);
	assert_non_null(archive);
	zip_file_t *file = zip_fopen(archive, name, 0);
	assert_non_null(file);
	assert_int_equal(zip_fread(file, header, sizeof header), sizeof header);
	assert_non_null(memmem(header, sizeof header, "'<f4'", 5));
	assert_int_equal(zip_fread(file, value, n * sizeof *value), n * sizeof *value);
	zip_fclose(file);
	zip_discard(archive);
}

static void try_model(struct place *place, const char *name)
{
	char model[500], input[600], file[NPY_HEADER + 4 * SCORES + 1];
	float want[SCORES], got[SCORES];
	snprintf(model, sizeof model, MODELS "%s.onnx", name);
	snprintf(input, sizeof input, "image=" MODELS "%s.ref.npz", name);
	if (run_normc(place, "run", model, "--input", input))
		fail_msg("%s: %s", name, place->err);
	assert_int_equal(read_file(place, "output.npy", file, sizeof file), sizeof file - 1);
	memcpy(got, file + NPY_HEADER, sizeof got);
	read_reference(input + strlen("image="), "output.npy", want, SCORES);
	test_close_to_largest(got, want, SCORES, 1e-5);
}

static void test_resnet(void **state)
{
	try_model(*state, "fashion_resnet");
}

static void test_vit(void **state)
{
	try_model(*state, "fashion_vit");
}

static void test_vit_un(void **state)
{
	try_model(*state, "fashion_vit_un");
}

static void test_vit_post_un(void **state)
{
	try_model(*state, "fashion_vit_post_un");
}

/* ---- cases of ONNX ---- */

/* Runs `normc check` on a folder of cases, none of which may fail; at least `share` of them must
 * pass, the others are of operators that are not supported. */
static void check_cases(struct place *place, const char *folder, double share)
{
	const char *shared = getenv("NORMC_SHARED");
	char path[1024];
	long passed, failed, unsupported;
	if (!shared)
		shared = NORMC_SOURCE_DIR "/../shared";
	snprintf(path, sizeof path, "%s/%s", shared, folder);
	if (access(path, F_OK)) {
		print_message("%s is not there\n", path);
		skip();
	}
	run_normc(place, "check", "--quiet", "--limit", "120", path);
	size_t last = strlen(place->out);
	assert_true(last > 0);
	place->out[--last] = 0; /* the end of the last line */
	while (last && place->out[last - 1] != '\n')
		last--;
	if (sscanf(place->out + last, "%ld passed, %ld failed, %ld unsupported", &passed, &failed,
		   &unsupported) != 3)
		fail_msg("%s%s", place->out, place->err);
	print_message("%s\n", place->out + last);
	char *failure = strstr(place->out, "FAIL");
	if (failed)
		fail_msg("%ld cases fail: %.500s", failed, failure ? failure : place->out);
	if ((double)passed < share * (double)(passed + unsupported))
		fail_msg("only %ld of %ld cases pass", passed, passed + unsupported);
}

static void test_real(void **state)
{
	check_cases(*state, "real", 1);
}

static void test_light(void **state)
{
	check_cases(*state, "onnx-tests/light", 1);
}

static void test_node(void **state)
{
	check_cases(*state, "onnx-tests/node", 0.5);
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {PLACE_TEST(test_resnet), PLACE_TEST(test_vit),
					   PLACE_TEST(test_vit_un),
					   PLACE_TEST(test_vit_post_un),
					   PLACE_TEST(test_real), PLACE_TEST(test_light),
					   PLACE_TEST(test_node)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
