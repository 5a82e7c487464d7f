/* normc verify at the command line: exit codes, text, reports. */
#define _GNU_SOURCE
#include "test_cli.h"

#include <sys/stat.h>

/* Writes NAME with y = OPERATOR(x, x). */
static void write_model(struct place *place, const char *name, const char *operator)
{
	struct bytes model;
	make_model(&model, operator, "x", "y<&\"");
	write_file(place, name, model.data, model.n);
}

static void test_one_model(void **state)
{
	struct place *place = *state;
	write_model(place, "a.onnx", "Mul");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--seed", "5"), 0);
	assert_says(place->out, "seed 5\n");
	assert_says(place->out, "structure  passed");
	assert_says(place->out, "float      passed          near-constant");
	assert_says(place->out, "exact      passed");
	assert_says(place->out, "algebra    passed");
	assert_says(place->out, " 0 failed, 0 not applicable\n");
	assert_string_equal(place->err, "");
}

static void test_two_models(void **state)
{
	struct place *place = *state;
	write_model(place, "a.onnx", "Mul");
	write_model(place, "b.onnx", "Add");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "a.onnx"), 0);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx"), 1);
	assert_says(place->out, "FAILED");
	assert_says(place->out, "but the reference is");
	assert_says(place->out, "is another expression");
}

/* The same seed gives the same text, another seed other numbers. */
static void test_seed(void **state)
{
	struct place *place = *state;
	static char first[65536];
	write_model(place, "a.onnx", "Add");
	write_model(place, "b.onnx", "Mul");
	run_normc(place, "verify", "a.onnx", "b.onnx");
	memcpy(first, place->out, sizeof first);
	run_normc(place, "verify", "a.onnx", "b.onnx");
	assert_string_equal(place->out, first);
	run_normc(place, "verify", "a.onnx", "b.onnx", "--seed", "2");
	assert_string_not_equal(place->out, first);
}

static void test_reports(void **state)
{
	struct place *place = *state;
	static char text[65536];
	write_model(place, "a.onnx", "Mul");
	write_model(place, "b.onnx", "Add");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--report", "r.xml"), 1);
	assert_true(read_file(place, "r.xml", text, sizeof text) > 0);
	assert_says(text, "<testsuite tests=\"");
	assert_says(text, "name=\"y&lt;&amp;&quot;\"");
	assert_says(text, "<failure message=\"element ");
	assert_says(text, "<property name=\"other\" value=\"b.onnx\"/>");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--report=r.json"), 1);
	assert_true(read_file(place, "r.json", text, sizeof text) > 0);
	assert_says(text, "\"lane\":	\"float\"");
	assert_says(text, "\"outcome\":	\"failed\"");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--report", "r.txt"), 2);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--report", "none/r.xml"), 5);
}

/* A given input takes the place of a made-up one, and gives the extents. */
static void test_given_input(void **state)
{
	struct place *place = *state;
	const float value[6] = {1, 2, 3, 4, 5, 6};
	struct bytes tensor;
	make_tensor(&tensor, "x", value, 2);
	write_file(place, "x.pb", tensor.data, tensor.n);
	write_model(place, "a.onnx", "Mul");
	write_model(place, "b.onnx", "Add");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--input", "x=x.pb"), 0);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--input", "x=x.pb"), 1);
	assert_says(place->out, "element [0,0] is 2, but the reference is 1");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--input", "z=x.pb"), 2);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--input", "x=none.pb"), 5);
}

/* --reduce writes a part that fails by itself. */
static void test_reduce(void **state)
{
	struct place *place = *state;
	static char text[65536];
	write_model(place, "a.onnx", "Mul");
	write_model(place, "b.onnx", "Add");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "a.onnx", "--reduce", "small"), 0);
	assert_int_equal(read_file(place, "small/README.txt", text, sizeof text), -1);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--reduce", "small",
				   "--dim", "N=2"),
			 1);
	assert_says(place->out, "reduced: 1 nodes in 'small'\n");
	assert_true(read_file(place, "small/README.txt", text, sizeof text) > 0);
	assert_says(text, "normc verify before.onnx after.onnx --input 'x=input_0.npy'\n");
	assert_int_equal(run_normc(place, "verify", "small/before.onnx", "small/after.onnx",
				   "--input", "x=small/input_0.npy"),
			 1);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--reduce", "no/where",
				   "--dim", "N=2"),
			 5);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "b.onnx", "--reduce", "small"), 1);
	assert_says(place->out, "reduced: give the unknown extents values");
}

static void mkdir_in(const struct place *place, const char *name)
{
	char path[1024];
	path_in(place, name, path);
	assert_int_equal(mkdir(path, 0700), 0);
}

/* Folders of test cases; recorded inputs are used where made-up ones do not fit the model. */
static void test_folders(void **state)
{
	struct place *place = *state;
	const float value[6] = {1, 2, 3, 4, 5, 6};
	struct bytes tensor;
	make_tensor(&tensor, "x", value, 2);
	mkdir_in(place, "cases");
	mkdir_in(place, "cases/one");
	mkdir_in(place, "cases/one/test_data_set_0");
	mkdir_in(place, "cases/two");
	write_model(place, "cases/one/model.onnx", "Mul");
	write_file(place, "cases/one/test_data_set_0/input_0.pb", tensor.data, tensor.n);
	write_file(place, "cases/two/model.onnx", "no model", 8);
	assert_int_equal(run_normc(place, "verify", "cases/one"), 0);
	assert_says(place->out, "pass one\n1 passed, 0 failed, 0 not applicable\n");
	assert_int_equal(run_normc(place, "verify", "cases", "--quiet"), 1);
	assert_says(place->out, "FAIL two: ");
	assert_says(place->out, "1 passed, 1 failed, 0 not applicable\n");
	assert_string_equal(place->err, "");
	assert_int_equal(run_normc(place, "verify", "cases", "--report", "r.xml"), 2);
}

/* Inputs that neither model takes: a report, and no other one. */
static void test_unusable_input(void **state)
{
	static const float value[6];
	const char *unequal = NORMC_SOURCE_DIR "/tests/data/unequal.onnx";
	struct place *place = *state;
	struct bytes tensor;
	make_tensor(&tensor, "x", value, 2);
	write_file(place, "x.pb", tensor.data, tensor.n);
	make_tensor(&tensor, "z", value, 1);
	write_file(place, "z.pb", tensor.data, tensor.n);
	assert_int_equal(run_normc(place, "verify", unequal, unequal, "-i", "x=x.pb", "-i",
				   "z=z.pb"),
			 2);
	assert_says(place->err, "extents N = 2 and M = 1 must be equal");
	assert_null(strstr(place->err, "internal error"));
	tensor.n = 0;
	put_integer(&tensor, 1, 1);
	put_integer(&tensor, 1, 6);
	put_integer(&tensor, 2, 1);
	put_bytes(&tensor, 9, value, sizeof value);
	write_file(place, "wide.pb", tensor.data, tensor.n);
	write_model(place, "a.onnx", "Mul");
	assert_int_equal(run_normc(place, "verify", "a.onnx", "-i", "x=wide.pb"), 2);
	assert_says(place->err, "dimension 1 of input 'x' is 6, but 3 is expected");
}

static void test_errors(void **state)
{
	struct place *place = *state;
	write_model(place, "a.onnx", "Mul");
	write_file(place, "bad.onnx", "no model", 8);
	assert_int_equal(run_normc(place, "verify"), 2);
	assert_int_equal(run_normc(place, "verify", "none.onnx"), 5);
	assert_int_equal(run_normc(place, "verify", "bad.onnx"), 3);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "bad.onnx"), 3);
	assert_int_equal(run_normc(place, "verify", "a.onnx", "--passes", "fold"), 2);
	assert_int_equal(run_normc(place, "verify", "--help"), 0);
	assert_says(place->out, "normc verify before.onnx after.onnx");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_one_model, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_two_models, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_seed, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_reports, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_given_input, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_reduce, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_folders, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_unusable_input, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_errors, place_new, place_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
