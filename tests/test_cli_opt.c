/* `normc opt` from outside: the committed models give the same answers after it, and what the
 * command says when something is wrong.
 */
#define _GNU_SOURCE
#include "test_cli.h"

#define MODELS NORMC_SOURCE_DIR "/tests/models/"

enum { SCORES = 16 * 10, NPY_HEADER = 128 };

/* Runs a model on the recorded pictures. */
static void scores_of(struct place *place, const char *model, const char *pictures, float *score)
{
	char file[NPY_HEADER + 4 * SCORES + 1];
	if (run_normc(place, "run", model, "--input", pictures))
		fail_msg("%s: %s", model, place->err);
	assert_int_equal(read_file(place, "output.npy", file, sizeof file), sizeof file - 1);
	memcpy(score, file + NPY_HEADER, SCORES * sizeof *score);
}

/* Rewrites a model and compares its answers, compiled with rewrites and run without any. */
static void try_model(struct place *place, const char *name, const char *opset)
{
	char model[500], pictures[600];
	float want[SCORES], got[SCORES];
	snprintf(model, sizeof model, MODELS "%s.onnx", name);
	snprintf(pictures, sizeof pictures, "image=" MODELS "%s.ref.npz", name);
	scores_of(place, model, pictures, want);
	if (run_normc(place, "opt", model, "-o", "out.onnx", "--opset", opset))
		fail_msg("%s: %s", name, place->err);
	assert_says(place->out, "out.onnx: ");
	assert_says(place->out, "nodes, opset ");
	scores_of(place, "out.onnx", pictures, got);
	test_close_to_largest(got, want, SCORES, 1e-5);
}

static void test_resnet(void **state)
{
	struct place *place = *state;
	try_model(place, "fashion_resnet", "13");
	assert_int_equal(run_normc(place, "inspect", "out.onnx"), 0);
	assert_null(strstr(place->out, "BatchNormalization"));
	assert_says(place->out, "image: f32[");
	try_model(place, "fashion_resnet", "23");
}

static void test_vit(void **state)
{
	struct place *place = *state;
	try_model(place, "fashion_vit", "14");
	assert_int_equal(run_normc(place, "inspect", "out.onnx"), 0);
	assert_null(strstr(place->out, "Normalization"));
	try_model(place, "fashion_vit", "23");
	assert_int_equal(run_normc(place, "inspect", "out.onnx"), 0);
	assert_says(place->out, "RMSNormalization: 9\n"); /* the means are in the weights */
	assert_null(strstr(place->out, "LayerNormalization"));
}

/* Below the opset of their operator norms are functions of the model.  Reading those, the passes
 * find the norms again. */
static void test_functions(void **state)
{
	static const char *const opsets[] = {"15", "17", "18", "22"};
	struct place *place = *state;
	for (size_t i = 0; i < sizeof opsets / sizeof *opsets; i++) {
		try_model(place, "fashion_vit", opsets[i]);
		assert_int_equal(run_normc(place, "inspect", "out.onnx"), 0);
		assert_says(place->out, "  normc.nn.RMSNormalization: 9\n");
		assert_int_equal(run_normc(place, "opt", "out.onnx", "-o", "again.onnx"), 0);
		assert_int_equal(run_normc(place, "inspect", "again.onnx"), 0);
		assert_says(place->out, "  RMSNormalization: 9\n");
		assert_null(strstr(place->out, "normc.nn"));
	}
}

/* The same input gives the same bytes, and rewriting twice changes nothing more. */
static void test_same_bytes(void **state)
{
	static char first[1 << 20], second[1 << 20];
	struct place *place = *state;
	const char *model = MODELS "fashion_vit.onnx";
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx"), 0);
	assert_int_equal(run_normc(place, "opt", model, "-o", "b.onnx"), 0);
	long n = read_file(place, "a.onnx", first, sizeof first);
	assert_true(n > 0);
	assert_int_equal(read_file(place, "b.onnx", second, sizeof second), n);
	assert_memory_equal(first, second, (size_t)n);
}

static void test_dimension(void **state)
{
	struct place *place = *state;
	const char *model = MODELS "fashion_vit.onnx";
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--dim", "N=2"), 0);
	assert_int_equal(run_normc(place, "inspect", "a.onnx"), 0);
	assert_says(place->out, "image: f32[2,");
}

static void test_refused(void **state)
{
	struct place *place = *state;
	const char *model = MODELS "fashion_vit.onnx";
	assert_int_equal(run_normc(place, "opt", model), 2);
	assert_says(place->err, "-o OUT.onnx");
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--opset", "12"), 2);
	assert_says(place->err, "opset 12 cannot be written; opsets 13 to 28 can: Softmax");
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--opset", "0"), 2);
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--opset", "29"), 2);
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--opset", "9999999999"),
			 2);
	assert_int_equal(read_file(place, "a.onnx", (char[1]){0}, 1), -1);
	assert_int_equal(run_normc(place, "opt", model, "-o", "none/a.onnx"), 5);
	assert_says(place->err, "none");
	assert_int_equal(run_normc(place, "opt", "none.onnx", "-o", "a.onnx"), 5);
	assert_int_equal(run_normc(place, "opt", "--help"), 0);
	assert_says(place->out, "RMSNormalization (23)");
}

/* What no operator below the cap says is refused by the node's name, and the file that was there
 * stays. */
static void test_unsayable(void **state)
{
	static char before[1 << 20], after[1 << 20];
	struct place *place = *state;
	const char *model = NORMC_SOURCE_DIR "/tests/data/odd_spectrum.onnx";
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx"), 0);
	long n = read_file(place, "a.onnx", before, sizeof before);
	assert_true(n > 0);
	assert_int_equal(run_normc(place, "opt", model, "-o", "a.onnx", "--opset", "16"), 4);
	assert_says(place->err, "'spectrum'");
	assert_says(place->err, "STFT needs opset 17; --opset 17 allows it");
	assert_int_equal(read_file(place, "a.onnx", after, sizeof after), n);
	assert_memory_equal(before, after, (size_t)n);
	assert_int_equal(run_normc(place, "opt", model, "-o", "b.onnx", "--opset", "16"), 4);
	assert_int_equal(read_file(place, "b.onnx", after, sizeof after), -1);
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {PLACE_TEST(test_resnet),    PLACE_TEST(test_vit),
					   PLACE_TEST(test_functions), PLACE_TEST(test_same_bytes),
					   PLACE_TEST(test_dimension), PLACE_TEST(test_refused),
					   PLACE_TEST(test_unsayable)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
