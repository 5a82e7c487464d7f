/* The command line from outside: exit codes, messages, files in and out, without compiling
 * anything.  Compiled models are test_cli_compile.c's. */
#define _GNU_SOURCE
#include "test_cli.h"

#include <sys/stat.h>
#include <zip.h>

static const float rows2[6] = {1, 2, 3, -4, 5.5f, 1e-3f};

/* A .npy file of f32 with the given header text and elements. */
static size_t make_npy(unsigned char *to, int version, const char *header, const void *data,
		       size_t bytes)
{
	size_t start = version == 1 ? 10 : 12, length = strlen(header);
	memcpy(to, "\x93NUMPY", 6);
	to[6] = (unsigned char)version;
	to[7] = 0;
	memset(to + 8, 0, start - 8);
	to[8] = (unsigned char)(length & 255);
	to[9] = (unsigned char)(length >> 8);
	memcpy(to + start, header, length);
	memcpy(to + start + length, data, bytes);
	return start + length + bytes;
}

static void write_npy(const struct place *place, const char *name, const char *header,
		      const void *data, size_t bytes)
{
	unsigned char file[2048];
	write_file(place, name, file, make_npy(file, 1, header, data, bytes));
}

static void write_model(const struct place *place, const char *operator, const char * input,
			const char *output)
{
	struct bytes model;
	make_model(&model, operator, input, output);
	write_file(place, "m.onnx", model.data, model.n);
}

/* The elements behind the header of a .npy file that normc wrote. */
static void expect_npy(const struct place *place, const char *name, const char *header,
		       const void *data, size_t bytes)
{
	char file[4096];
	long n = read_file(place, name, file, sizeof file);
	if (n < 0)
		fail_msg("%s was not written", name);
	assert_memory_equal(file, "\x93NUMPY\x01\x00", 8);
	size_t length = (size_t)(unsigned char)file[8] | (size_t)(unsigned char)file[9] << 8;
	assert_int_equal((10 + length) % 64, 0);
	assert_int_equal(n, 10 + length + bytes);
	file[10 + length - 1] = 0;
	assert_says(file + 10, header);
	assert_memory_equal(file + 10 + length, data, bytes);
}

static void double_of(const float *from, float *to, size_t n)
{
	for (size_t i = 0; i < n; i++)
		to[i] = 2 * from[i];
}

/* ---- help and mistakes ---- */

static void test_help(void **state)
{
	static const char *const names[] = {"compile", "run", "check", "bench", "inspect", "ops"};
	struct place *place = *state;
	assert_int_equal(run_normc(place, "--help"), 0);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		assert_says(place->out, names[i]);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(run_normc(place, names[i], "--help"), 0);
		assert_says(place->out, "Options:");
		assert_string_equal(place->err, "");
	}
	assert_int_equal(run_normc(place, "inspect", "--help"), 0);
	assert_says(place->out, "fold_norm "); /* passes for --passes */
	assert_int_equal(run_normc(place, "--version"), 0);
	assert_says(place->out, "normc ");
}

static void test_wrong_arguments(void **state)
{
	struct place *place = *state;
	write_model(place, "Add", "x", "y");
	assert_int_equal(run_program(place, (const char *const[]){NORMC_PROGRAM, NULL}), 2);
	assert_int_equal(run_normc(place, "nonsense"), 2);
	assert_int_equal(run_normc(place, "run"), 2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "extra"), 2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--inptu", "x=y"), 2);
	assert_says(place->err, "did you mean --input");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--threads", "two"), 2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--threads"), 2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret=yes"), 2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret"), 2);
	assert_says(place->err, "input 'x' is missing");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "z=a.npy"), 2);
	assert_says(place->err, "no input of that name");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=a.txt"), 2);
	assert_int_equal(run_normc(place, "compile", "m.onnx"), 2);
	assert_says(place->err, "-o");
}

/* Messages name the cure. */
static void test_cures(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "help", "frobnicate"), 2);
	assert_says(place->err, "normc --help");
	assert_int_equal(run_normc(place, "inspect", "."), 5);
	assert_says(place->err, "name the file in it");
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "none/m.so"), 5);
	assert_says(place->err, "cannot write into the folder 'none'");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--passes", "fold"), 2);
	assert_says(place->err, "-NAME");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--passes", "-fold,-frob"), 2);
	assert_says(place->err, "simplify");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--passes", "-fold,-given"), 2);
	assert_says(place->err, "'given' cannot be left out");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--dump-after", "frob"), 2);
	assert_says(place->err, "fold_norm");
	assert_int_equal(run_normc(place, "run", "m.so", "--dim", "N=1"), 2);
	assert_says(place->err, "compiled already");
}

/* What is refused with exit code 2, and how. */
struct mistake {
	const char *arguments[8]; /* ended by NULL */
	const char *message;
};

static const struct mistake mistakes[] = {
		{{"opt", "m.onnx", "-o", "a.onnx", "-o", "b.onnx"}, "--output is given twice"},
		{{"inspect", "m.onnx", "--passes", "-fold", "--passes", "-sink"},
		 "--passes is given twice"},
		{{"inspect", "m.onnx", "--remarks="}, "--remarks needs a value that is not empty"},
		{{"compile", "m.onnx", "-o", ""}, "--output needs a value that is not empty"},
		{{"inspect", "m.onnx", "--memory", "0"},
		 "--memory takes a whole number from 1, not '0'"},
		{{"opt", "m.onnx", "-o", "a.onnx", "--opset", "0"}, "whole number from 1"},
		{{"opt", "m.onnx", "-o", "a.txt"}, "must end in .onnx"},
		{{"opt", "m.onnx", "-o", ".onnx"}, "must end in .onnx"},
		{{"run", "x.so", "--interpret"}, "'x.so' is compiled already: the interpreter"},
		{{"inspect", "m.onnx", "--dim", "N=1", "--dim", "N=2"},
		 "--dim N=2: the dimension is given twice"},
		{{"inspect", "m.onnx", "--dim", "=1"}, "--dim =1: expected NAME=NUMBER"},
		{{"inspect", "m.onnx", "--dim", "N=1x"}, "expected NAME=NUMBER"},
		{{"compile", "none.onnx"}, "cannot open 'none.onnx'"},
		{{"compile", "none.onnx"}, "no output given: -o OUT.so"},
		{{"opt", "none.onnx"}, "cannot open 'none.onnx'"},
};

static void test_mistakes(void **state)
{
	struct place *place = *state;
	write_model(place, "Add", "x", "y");
	for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
		const char *argv[10] = {NORMC_PROGRAM};
		memcpy(argv + 1, mistakes[i].arguments, sizeof mistakes[i].arguments);
		if (run_program(place, argv) != 2)
			fail_msg("%s: not refused", mistakes[i].message);
		assert_says(place->err, mistakes[i].message);
	}
}

static void test_ops(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "ops"), 0);
	assert_says(place->out, "| Identity | 7 to 28 |");
	assert_null(strstr(place->out, "| Identity | 1"));
	assert_says(place->out, "| RMSNormalization | 23 to 28 |");
	write_model(place, "Swish", "x", "y");
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 4);
	assert_says(place->err, "Swish is supported in opsets from 24");
}

/* Names reach the terminal in one line and without control. */
static void test_control_characters(void **state)
{
	struct place *place = *state;
	write_model(place, "Add", "a\nb\x1b[31m", "c\xc2\x9b\x7f");
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 0);
	assert_says(place->out, "  a\\x0ab\\x1b[31m: f32[N,3]\n");
	assert_says(place->out, "  c\\xc2\\x9b\\x7f: f32[N,3]\n");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret"), 2);
	assert_says(place->err, "input 'a\\x0ab\\x1b[31m' is missing");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "-i", "z=\n.npy"), 2);
	assert_says(place->err, "--input z=\\x0a.npy");
	assert_says(place->err, "\n  a\\x0ab\\x1b[31m\n");
	write_model(place, "Fro\nb", "x", "y");
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 4);
	assert_says(place->err, "(Fro\\x0ab, opset 17)");
}

/* The interpreter refuses shapes as compiled code does. */
static void test_refused_shapes(void **state)
{
	static const char *const unequal = NORMC_SOURCE_DIR "/tests/data/unequal.onnx";
	static const float zeros[20];
	struct place *place = *state;
	const char *kind = "{'descr': '<f4', 'fortran_order': False, 'shape': (%s), }";
	static const char *const files[][2] = {
			{"2, 3", "a.npy"}, {"4, 3", "b.npy"}, {"2, 5", "c.npy"}, {"2,", "d.npy"}};
	for (size_t i = 0; i < 4; i++) {
		char header[128];
		int64_t elements[] = {6, 12, 10, 2};
		snprintf(header, sizeof header, kind, files[i][0]);
		write_npy(place, files[i][1], header, zeros, (size_t)elements[i] * 4);
	}
	assert_int_equal(run_normc(place, "run", unequal, "-i", "x=a.npy", "-i", "z=b.npy",
				   "--interpret"),
			 2);
	assert_says(place->err,
		    "node 0 'sum' (Add, opset 17): extents N = 2 and M = 4 must be equal");
	assert_int_equal(run_normc(place, "run", unequal, "-i", "x=a.npy", "-i", "z=c.npy",
				   "--interpret"),
			 2);
	assert_says(place->err, "dimension 1 of input 'z' is 5, but 3 is expected");
	assert_int_equal(run_normc(place, "run", unequal, "-i", "x=a.npy", "-i", "z=d.npy",
				   "--interpret"),
			 2);
	assert_says(place->err, "input 'z' has 1 dimensions, the model takes 2");
}

static void test_bad_models(void **state)
{
	struct place *place = *state;
	write_file(place, "m.onnx", "this is no model", 16);
	assert_int_equal(run_normc(place, "inspect", "none.onnx"), 5);
	assert_says(place->err, "none.onnx");
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 3);
	assert_says(place->err, "not a valid ONNX file but text");
	write_file(place, "m.onnx", "PK\x03\x04....", 8);
	assert_int_equal(run_normc(place, "run", "m.onnx"), 3);
	assert_says(place->err, "zip");
	write_file(place, "m.so",
		   "\x7f"
		   "ELF....",
		   8);
	assert_int_equal(run_normc(place, "inspect", "m.so"), 3);
	assert_says(place->err, "compiled");
	write_model(place, "Frobnicate", "x", "y");
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 4);
	assert_says(place->err, "the_node");
	assert_says(place->err, "Frobnicate");
	assert_int_equal(run_normc(place, "check", "."), 5);
}

/* ---- tensors in files ---- */

static void test_npy(void **state)
{
	struct place *place = *state;
	float twice[6];
	write_model(place, "Add", "x", "y");
	double_of(rows2, twice, 6);
	write_npy(place, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }\n",
		  rows2, sizeof rows2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy",
				   "--output-dir", "out"),
			 0);
	expect_npy(place, "out/y.npy", "'descr': '<f4', 'fortran_order': False, 'shape': (2, 3)",
		   twice, sizeof twice);
	/* the only input needs no name; what was written can be read */
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "-i", "out/y.npy"), 0);
	double_of(twice, twice, 6);
	expect_npy(place, "y.npy", "(2, 3)", twice, sizeof twice);
}

static void test_npy_orders(void **state)
{
	struct place *place = *state;
	float twice[6], turned[6];
	unsigned char swapped[sizeof rows2], file[1024];
	write_model(place, "Add", "x", "y");
	double_of(rows2, twice, 6);
	for (int i = 0; i < 6; i++)
		turned[i % 3 * 2 + i / 3] = rows2[i];
	write_npy(place, "x.npy", "{'descr': '<f4', 'fortran_order': True, 'shape': (2, 3), }",
		  turned, sizeof turned);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy"), 0);
	expect_npy(place, "y.npy", "(2, 3)", twice, sizeof twice);
	for (size_t i = 0; i < sizeof rows2; i++)
		swapped[i] = ((const unsigned char *)rows2)[i / 4 * 4 + 3 - i % 4];
	size_t n = make_npy(file, 3, "{'shape': (2,3), 'fortran_order':False,'descr':'>f4'}",
			    swapped, sizeof swapped);
	write_file(place, "x.npy", file, n);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy"), 0);
	expect_npy(place, "y.npy", "(2, 3)", twice, sizeof twice);
}

static void test_bad_npy(void **state)
{
	static const char *const headers[] = {
			"{'descr': '<f4', 'fortran_order': False, 'shape': (3, 3), }", /* too few
											  elements
											*/
			"{'descr': '<f4', 'fortran_order': False, 'shape': (4294967296, "
			"4294967296), }",
			"{'descr': '<f4', 'fortran_order': False, 'shape': (99999999999999999999, "
			"3), }",
			"{'descr': '<f4', 'fortran_order': False, 'shape': (-2, 3), }",
			"{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3",
			"{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (2, 3), }",
			"{'descr': '<f4', 'shape': (2, 3), }",
			"{'descr': '<f4'",
			"{}",
			"",
	};
	struct place *place = *state;
	write_model(place, "Add", "x", "y");
	for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
		write_npy(place, "x.npy", headers[i], rows2, sizeof rows2);
		assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input",
					   "x=x.npy"),
				 3);
		assert_says(place->err, "x.npy");
	}
	write_npy(place, "x.npy", "{'descr': '<c8', 'fortran_order': False, 'shape': (3,), }",
		  rows2, sizeof rows2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy"), 4);
	write_npy(place, "x.npy", "{'descr': '<f8', 'fortran_order': False, 'shape': (1,3), }",
		  rows2, sizeof rows2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy"), 2);
	write_file(place, "x.npy", "\x93NUMPY\x02\x00\xff\xff\xff\xff", 12);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=x.npy"), 3);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=none.npy"),
			 5);
}

/* Types that are no numbers are named as numpy names them. */
static void test_npy_types(void **state)
{
	struct place *place = *state;
	write_model(place, "Add", "x", "y");
	write_npy(place, "x.npy", "{'descr': '|O', 'fortran_order': False, 'shape': (2,), }", rows2,
		  16);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "-i", "x.npy"), 4);
	assert_says(place->err, "x.npy: error: it holds Python objects, not numbers");
	write_npy(place, "x.npy", "{'descr': '<U3', 'fortran_order': False, 'shape': (1,), }",
		  rows2, 12);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "-i", "x.npy"), 4);
	assert_says(place->err, "elements of numpy's type '<U3' are not supported\n");
}

static void test_npz(void **state)
{
	struct place *place = *state;
	static unsigned char inner[2][512];
	char path[1024];
	float twice[6];
	write_model(place, "Add", "x", "y");
	path_in(place, "a.npz", path);
	zip_t *archive = zip_open(path, ZIP_CREATE, NULL);
	for (int i = 0; i < 2; i++) {
		const float *data = i ? rows2 : rows2 + 3;
		size_t n = make_npy(inner[i], 1,
				    "{'descr': '<f4', 'fortran_order': False, 'shape': (1, 3), }",
				    data, 12);
		zip_file_add(archive, i ? "x.npy" : "other.npy",
			     zip_source_buffer(archive, inner[i], n, 0), 0);
	}
	assert_int_equal(zip_close(archive), 0);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "x=a.npz"), 0);
	double_of(rows2, twice, 3);
	expect_npy(place, "y.npy", "(1, 3)", twice, 12);
	write_model(place, "Add", "z", "y");
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "z=a.npz"), 2);
	assert_says(place->err, "no array 'z'");
	write_file(place, "a.npz", "PK nonsense", 11);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input", "z=a.npz"), 5);
}

static void test_odd_names(void **state)
{
	struct place *place = *state;
	float twice[6];
	write_model(place, "Add", "a=b/c:0", "../y z\xc3\xa4");
	double_of(rows2, twice, 6);
	write_npy(place, "x.npy", "{'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }",
		  rows2, sizeof rows2);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--interpret", "--input",
				   "a=b/c:0=x.npy"),
			 0);
	expect_npy(place, ".._y_z__.npy", "(2, 3)", twice, sizeof twice);
}

/* ---- check ---- */

static void make_case(const struct place *place, const char *name, const char *operator,
		      float wrong)
{
	struct bytes file;
	char path[1024];
	float twice[6];
	double_of(rows2, twice, 6);
	twice[4] += wrong;
	path_in(place, name, path);
	mkdir(path, 0700);
	strncat(path, "/test_data_set_0", sizeof path - strlen(path) - 1);
	mkdir(path, 0700);
	make_model(&file, operator, "x", "y");
	snprintf(path, sizeof path, "%s/model.onnx", name);
	write_file(place, path, file.data, file.n);
	make_tensor(&file, "x", rows2, 2);
	snprintf(path, sizeof path, "%s/test_data_set_0/input_0.pb", name);
	write_file(place, path, file.data, file.n);
	make_tensor(&file, "y", twice, 2);
	snprintf(path, sizeof path, "%s/test_data_set_0/output_0.pb", name);
	write_file(place, path, file.data, file.n);
}

static void test_check(void **state)
{
	struct place *place = *state;
	make_case(place, "good", "Add", 0);
	make_case(place, "near", "Add", 0.01f);
	make_case(place, "wrong", "Add", 1);
	make_case(place, "strange", "Frobnicate", 0);
	assert_int_equal(run_normc(place, "check", ".", "--interpret"), 1);
	assert_says(place->out, "pass good\n");
	assert_says(place->out, "pass near\n");
	assert_says(place->out, "FAIL wrong: output 0 'y' differs at [1,1]: got 11, expected 12 (1 "
				"of 6 elements)\n");
	assert_says(place->out, "unsupported strange: ");
	assert_says(place->out, "\n2 passed, 1 failed, 1 unsupported\n");
	assert_int_equal(
			run_normc(place, "check", "good/", "near", "--interpret", "--rtol", "1e-5"),
			1);
	assert_says(place->out, "1 passed, 1 failed, 0 unsupported\n");
	assert_int_equal(run_normc(place, "check", "good", "strange", "--interpret"), 0);
	assert_int_equal(run_normc(place, "check", "nothing"), 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_help, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_wrong_arguments, place_new,
							place_free),
			cmocka_unit_test_setup_teardown(test_cures, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_mistakes, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_ops, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_control_characters, place_new,
							place_free),
			cmocka_unit_test_setup_teardown(test_refused_shapes, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_npy_types, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_bad_models, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_npy, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_npy_orders, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_bad_npy, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_npz, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_odd_names, place_new, place_free),
			cmocka_unit_test_setup_teardown(test_check, place_new, place_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
