/* Substitutions through the command line: what is asked for before they run, what is told about
 * the results, and that every command uses the same constants.
 */
#define _GNU_SOURCE

#include "test_cli.h"

#define VIT  NORMC_SOURCE_DIR "/tests/models/fashion_vit.onnx"
#define DATA NORMC_SOURCE_DIR "/tests/models/fashion_vit.ref.npz"

enum { SCORES = 16 * 10, NPY_HEADER = 128 };

/* ---- what is wrong ---- */

static void expect_refused(struct place *place, const char *const *argv, const char *says)
{
	assert_int_equal(run_program(place, argv), 2);
	assert_says(place->err, says);
}
#define expect_usage(place, says, ...)                                                             \
	expect_refused(place, (const char *const[]){NORMC_PROGRAM, __VA_ARGS__, NULL}, says)

static void test_data_is_missing(void **state)
{
	static const char *const commands[] = {"compile", "opt", "run", "bench", "inspect"};
	for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
		expect_usage(*state, "--calibrate FILE.npz", commands[i], VIT, "--passes",
			     "+layernorm_to_un");
	expect_usage(*state, "--calibrate FILE.npz", "verify", VIT, "--passes",
		     "+layernorm_to_dyt");
	expect_usage(*state, "--calibrate FILE.npz", "check", ".", "--passes", "+layernorm_to_eln");
}

static void test_pass_is_missing(void **state)
{
	expect_usage(*state, "+layernorm_to_un", "inspect", VIT, "--calibrate", DATA);
	expect_usage(*state, "+layernorm_to_un", "inspect", VIT, "--calibrate", DATA, "--passes",
		     "+layernorm_to_un,-layernorm_to_un");
	expect_usage(*state, "+layernorm_to_un", "inspect", VIT, "--calibrate", DATA, "--passes",
		     "+crms");
}

static void test_one_pass_one_model(void **state)
{
	expect_usage(*state, "one pass", "inspect", VIT, "--calibrate", DATA, "--passes",
		     "+layernorm_to_un,+layernorm_to_dyt");
	expect_usage(*state, "one model", "verify", VIT, VIT, "--calibrate", DATA, "--passes",
		     "+layernorm_to_un");
	expect_usage(*state, "one model", "bench", "model.so", "--calibrate", DATA, "--passes",
		     "+layernorm_to_un");
}

static void test_data_cannot_be_read(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "inspect", VIT, "--calibrate", "none.npz", "--passes",
				   "+layernorm_to_un"),
			 5);
	assert_says(place->err, "none.npz");
}

static void test_no_norm(void **state)
{
	struct place *place = *state;
	struct bytes model;
	make_model(&model, "Add", "x", "y");
	write_file(place, "add.onnx", model.data, model.n);
	expect_usage(place, "no norm to replace", "inspect", "add.onnx", "--calibrate", DATA,
		     "--passes", "+layernorm_to_un");
}

static void test_no_norm_with_a_mean(void **state)
{
	expect_usage(*state, "no norm to replace", "inspect", VIT, "--calibrate", DATA, "--passes",
		     "+layernorm_to_rms");
}

/* ---- what is told ---- */

static void test_inspect(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "inspect", VIT, "--calibrate", DATA, "--passes",
				   "+layernorm_to_dyt", "--remarks"),
			 0);
	assert_says(place->out, "layernorm_to_dyt: 9 norms, 1 run of calibration data");
	assert_says(place->out, "output: root mean square difference ");
	assert_says(place->out, " of 16 rows (");
	assert_says(place->out, "done   layernorm_to_dyt: ");
	assert_says(place->out, "alpha ");
	assert_says(place->out, "% of its result is left over");
}

/* Without its mean this model answers the same. A fixed batch of 4 makes 4 runs of 16 images. */
static void test_runs(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "opt", VIT, "-o", "rms.onnx", "--dim", "N=4",
				   "--calibrate", DATA, "--passes", "+layernorm_to_rms,-recentre"),
			 0);
	assert_says(place->out, "layernorm_to_rms: 9 norms, 4 runs of calibration data");
	assert_says(place->out, "argmax changed in 0 of 16 rows");
	assert_int_equal(run_normc(place, "opt", VIT, "-o", "rms.onnx", "--dim", "N=5",
				   "--calibrate", DATA, "--passes", "+layernorm_to_rms,-recentre"),
			 2);
	assert_says(place->err, "16 rows");
}

static void test_json_stays_json(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "bench", VIT, "--calibrate", DATA, "--passes",
				   "+layernorm_to_un", "--json", "--runs", "1"),
			 0);
	assert_int_equal(place->out[0], '{');
	assert_says(place->err, "9 norms");
}

static void test_verify(void **state)
{
	struct place *place = *state;
	int status = run_normc(place, "verify", VIT, "--calibrate", DATA, "--passes",
			       "+layernorm_to_eln");
	if (status)
		fail_msg("%s%s", place->out, place->err);
	assert_says(place->out, "the outputs moved");
	assert_says(place->out, ", 0 failed");
}

/* ---- the same constants everywhere ---- */

static void read_scores(struct place *place, const char *name, float *scores)
{
	char file[NPY_HEADER + 4 * SCORES + 1];
	assert_int_equal(read_file(place, name, file, sizeof file), sizeof file - 1);
	memcpy(scores, file + NPY_HEADER, SCORES * sizeof *scores);
}

static void test_compile_and_run(void **state)
{
	struct place *place = *state;
	float run[SCORES], compiled[SCORES];
	const char *input = "image=" DATA;
	assert_int_equal(run_normc(place, "run", VIT, "--input", input, "--calibrate", DATA,
				   "--passes", "+layernorm_to_un"),
			 0);
	read_scores(place, "output.npy", run);
	assert_int_equal(run_normc(place, "compile", VIT, "-o", "un.so", "--calibrate", DATA,
				   "--passes", "+layernorm_to_un"),
			 0);
	assert_int_equal(run_normc(place, "run", "un.so", "--input", input), 0);
	read_scores(place, "output.npy", compiled);
	assert_memory_equal(run, compiled, sizeof run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
			TEST(test_data_is_missing),
			TEST(test_pass_is_missing),
			TEST(test_one_pass_one_model),
			TEST(test_data_cannot_be_read),
			TEST(test_no_norm),
			TEST(test_no_norm_with_a_mean),
			TEST(test_inspect),
			TEST(test_runs),
			TEST(test_json_stays_json),
			TEST(test_verify),
			TEST(test_compile_and_run),
#undef TEST
	};
	return cmocka_run_group_tests_name("calibrate", tests, NULL, NULL);
}
