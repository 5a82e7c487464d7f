/* `normc compile` from outside: every kind of file, its header, its symbols, and running what came
 * out. The model is y = x * scale + x with a constant `scale`, on f32[N,3]. */
#define _GNU_SOURCE
#include "test_cli.h"

#include <stdbool.h>

/* What an application must be linked with that takes this build's runtime. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZE "-fsanitize=address,undefined",
#else
#define SANITIZE
#endif

static const float scale[3] = {2, -3, 0.5f};
static const float rows2[6] = {1, 2, 3, -4, 5.5f, 8};
static const float expected[6] = {3, -4, 4.5f, -12, -11, 12};

static void write_scale_model(const struct place *place)
{
	struct bytes node = {.n = 0}, graph = {.n = 0}, opset = {.n = 0}, model = {.n = 0},
		     tensor = {.n = 0};
	put_text(&node, 1, "int");
	put_text(&node, 1, "scale");
	put_text(&node, 2, "product");
	put_text(&node, 4, "Mul");
	put_message(&graph, 1, &node);
	node.n = 0;
	put_text(&node, 1, "product");
	put_text(&node, 1, "int");
	put_text(&node, 2, "sum:*/0");
	put_text(&node, 4, "Add");
	put_message(&graph, 1, &node);
	put_text(&graph, 2, "g");
	put_integer(&tensor, 1, 3);
	put_integer(&tensor, 2, 1);
	put_text(&tensor, 8, "scale");
	put_bytes(&tensor, 9, scale, sizeof scale);
	put_message(&graph, 5, &tensor);
	put_value(&graph, 11, "int"); /* a name that C forbids */
	put_value(&graph, 12, "sum:*/0");
	put_integer(&opset, 2, 17);
	put_integer(&model, 1, 8);
	put_message(&model, 7, &graph);
	put_message(&model, 8, &opset);
	write_file(place, "m.onnx", model.data, model.n);
	make_tensor(&tensor, "int", rows2, 2);
	write_file(place, "x.pb", tensor.data, tensor.n);
}

static int compile_setup(void **state)
{
	place_new(state);
	write_scale_model(*state);
	return 0;
}

static void compile_to(struct place *place, const char *out)
{
	if (run_normc(place, "compile", "m.onnx", "-o", out))
		fail_msg("%s: %s", out, place->err);
}

/* The only output of a run, in sum___0.npy. */
static void expect_output(const struct place *place)
{
	char file[4096];
	long n = read_file(place, "sum___0.npy", file, sizeof file);
	assert_int_equal(n, 128 + (long)sizeof expected);
	test_close((const float *)(const void *)(file + 128), expected, 6, 0, 1e-6);
}

static void test_run(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "run", "m.onnx", "--input", "int=x.pb", "--threads", "2"),
			 0);
	expect_output(place);
}

#define TOO_SHORT NORMC_SOURCE_DIR "/tests/data/too_short.onnx"

/* What a run refuses: it names the kernel, the shapes, or the option. */
static void test_refused_runs(void **state)
{
	static const float rows[12];
	static const int64_t seven = 7;
	struct place *place = *state;
	struct bytes tensor;
	make_tensor(&tensor, "x", rows, 2);
	write_file(place, "x2.pb", tensor.data, tensor.n);
	make_tensor(&tensor, "z", rows, 4);
	write_file(place, "x4.pb", tensor.data, tensor.n);
	tensor.n = 0;
	put_integer(&tensor, 1, 1);
	put_integer(&tensor, 2, 7);
	put_bytes(&tensor, 9, &seven, sizeof seven);
	write_file(place, "i.pb", tensor.data, tensor.n);
	assert_int_equal(run_normc(place, "run", NORMC_SOURCE_DIR "/tests/data/bad_index.onnx",
				   "-i", "x=x2.pb", "-i", "i=i.pb"),
			 3);
	assert_says(place->err, "kernel n0_gather (node 0): a value in the data");
	assert_int_equal(run_normc(place, "run", NORMC_SOURCE_DIR "/tests/data/unequal.onnx", "-i",
				   "x=x2.pb", "-i", "z=x4.pb"),
			 2);
	assert_says(place->err, "node 0 'sum' (Add, opset 17): extents N = 2 and M = 4 must be "
				"equal, of inputs x[2,3], z[4,3]");
	/* an extent in the middle that no output shows */
	assert_int_equal(run_normc(place, "run", TOO_SHORT, "-i", "x=x2.pb"), 2);
	assert_says(place->err, "node 0 'cut' (Pad, opset 17): the extent N - 5 = -3 is negative");
	assert_int_equal(run_normc(place, "run", TOO_SHORT, "-i", "x=x2.pb", "--interpret"), 2);
	assert_says(place->err, "node 0 'cut' (Pad, opset 17): the extent N - 5 = -3 is negative");
	assert_int_equal(run_normc(place, "bench", NORMC_SOURCE_DIR "/tests/data/endless.onnx",
				   "--limit", "1"),
			 6);
	assert_says(place->err, "--limit");
}

static void test_shared_library(void **state)
{
	struct place *place = *state;
	compile_to(place, "lib.v1.so");
	assert_int_equal(run_normc(place, "run", "lib.v1.so", "--input", "int=x.pb"), 0);
	expect_output(place);
	assert_int_equal(run_normc(place, "bench", "lib.v1.so", "--runs", "3", "--json"), 0);
	assert_says(place->out, "\"median_ms\"");
	assert_int_equal(run_program(place, (const char *const[]){"nm", "-D", "--defined-only",
								  "lib.v1.so", NULL}),
			 0);
	assert_says(place->out, "normc_module_entry");
	assert_says(place->out, "lib_v1_run");
	assert_null(strstr(place->out, "normc_rt"));
	/* nothing but the outputs stays behind */
	assert_int_equal(run_program(place, (const char *const[]){"ls", "-A", NULL}), 0);
	assert_null(strstr(place->out, ".normc-"));
}

/* A library whose end is missing, wherever it ends, and one that is asked for other shapes. */
static void test_cut_library(void **state)
{
	static const size_t starts[] = {40, 64, 200, 3000, 20000};
	static char library[1 << 20];
	struct place *place = *state;
	compile_to(place, "m.so");
	long n = read_file(place, "m.so", library, sizeof library);
	assert_true(n > 20000 && n + 1 < (long)sizeof library);
	for (size_t i = 0; i <= sizeof starts / sizeof *starts; i++) {
		bool last = i == sizeof starts / sizeof *starts;
		write_file(place, "cut.so", library, last ? (size_t)n - 1 : starts[i]);
		assert_int_equal(run_normc(place, "bench", "cut.so", "--runs", "1"), 3);
		assert_says(place->err, i ? "the file is cut short, it has" : "too short");
	}
	assert_int_equal(run_normc(place, "run", "cut.so", "-i", "x.pb"), 3);
	assert_int_equal(run_normc(place, "bench", "m.so", "--runs", "1", "--dim", "M=2"), 2);
	assert_says(place->err, "--dim M=2: the inputs of 'm.so' have no unknown dimension");
	assert_int_equal(run_normc(place, "bench", "m.so", "--runs", "1", "--dim", "N=two"), 2);
	assert_int_equal(run_normc(place, "bench", "m.so", "--runs", "1", "--dim", "N=2"), 0);
	assert_string_equal(place->err, "");
}

static const char *const application =
		"#include \"model.h\"\n"
		"#include \"model.h\"\n"
		"#include <math.h>\n"
		"int main(void)\n"
		"{\n"
		"	static _Alignas(64) unsigned char workspace[1 << 16];\n"
		"	const float x[6] = {1, 2, 3, -4, 5.5f, 8}, want[6] = {3, -4, 4.5f, -12, "
		"-11, 12};\n"
		"	float y[6] = {0};\n"
		"	if (model_workspace(2) > sizeof workspace) return 1;\n"
		"	if (model_run(2, x, y, workspace)) return 2;\n"
		"	for (int i = 0; i < 6; i++)\n"
		"		if (fabs((double)(y[i] - want[i])) > 1e-5) return 3;\n"
		"	if (model_workspace(-1) != SIZE_MAX) return 4;\n"
		"	if (model_run(-1, x, y, workspace) != 2) return 5;\n"
		"	(void)model_module;\n"
		"	return 0;\n"
		"}\n";

static void test_archive_and_header(void **state)
{
	struct place *place = *state;
	char header[8192];
	compile_to(place, "model.a");
	assert_true(read_file(place, "model.h", header, sizeof header) > 0);
	assert_says(header, "int model_run(int64_t N, const float *int_, float *sum___0, void "
			    "*workspace);");
	assert_says(header, "f32[N,3]");
	assert_says(header, "SIZE_MAX if the model cannot take");
	write_file(place, "app.c", application, strlen(application));
	const char *const c[] = {"cc",	    "-std=c11",	      "-Wall",	 "-Wextra", "-Wpedantic",
				 "-Werror", SANITIZE "app.c", "model.a", "-o",	    "app",
				 "-lm",	    "-lpthread",      NULL};
	if (run_program(place, c))
		fail_msg("%s", place->err);
	assert_int_equal(run_program(place, (const char *const[]){"./app", NULL}), 0);
	const char *const cxx[] = {"c++", "-Wall", "-Wextra", "-Werror", "-fsyntax-only",
				   "-x",  "c++",   "model.h", NULL};
	if (run_program(place, cxx))
		fail_msg("%s", place->err);
}

static void test_object(void **state)
{
	struct place *place = *state;
	compile_to(place, "model.o");
	assert_int_equal(run_program(place, (const char *const[]){"nm", "-u", "model.o", NULL}), 0);
	char *rest = place->out, *line;
	while ((line = strsep(&rest, "\n")))
		if (*line && !strstr(line, "U normc_") && !strstr(line, "U mem"))
			fail_msg("undefined: %s", line);
	assert_int_equal(run_program(place, (const char *const[]){"size", "-A", "model.o", NULL}),
			 0);
	assert_null(strstr(place->out, ".data "));
	assert_null(strstr(place->out, ".bss "));
}

static void expect_same_file(struct place *place, const char *a, const char *b)
{
	if (run_program(place, (const char *const[]){"cmp", a, b, NULL}))
		fail_msg("%s%s", place->out, place->err);
}

static void test_same_bytes(void **state)
{
	static const char *const kinds[] = {"o", "a", "so", "ll", "s"};
	struct place *place = *state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char name[32];
		snprintf(name, sizeof name, "model.%s", kinds[i]);
		compile_to(place, name);
		assert_int_equal(run_program(place,
					     (const char *const[]){"mv", name, "first", NULL}),
				 0);
		assert_int_equal(run_program(place, (const char *const[]){"mv", "model.h",
									  "first.h", NULL}),
				 0);
		compile_to(place, name);
		expect_same_file(place, name, "first");
		expect_same_file(place, "model.h", "first.h");
	}
}

/* Weights of the right size are taken as they are, unless the user wants them checked. */
static void expect_checked_weights(struct place *place)
{
	char weights[8192];
	long n = read_file(place, "m.weights", weights, sizeof weights);
	assert_true(n > 0);
	assert_int_equal(setenv("NORMC_CHECK_WEIGHTS", "1", 1), 0);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 0);
	weights[0] ^= 1;
	write_file(place, "m.weights", weights, (size_t)n);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 3);
	assert_says(place->err, "contents differ");
	assert_int_equal(unsetenv("NORMC_CHECK_WEIGHTS"), 0);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 0);
}

static void test_weights_beside(void **state)
{
	struct place *place = *state;
	char header[8192];
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.so", "--weights",
				   "m.weights"),
			 0);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 0);
	expect_output(place);
	assert_true(read_file(place, "m.h", header, sizeof header) > 0);
	assert_says(header, "const void *weights, void *workspace");
	assert_says(header, "'m.weights'");
	expect_checked_weights(place);
	write_file(place, "m.weights", "short", 5);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 3);
	assert_int_equal(run_program(place, (const char *const[]){"rm", "m.weights", NULL}), 0);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 5);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.ll"), 0);
	assert_says(place->err, "m.weights");
	assert_true(read_file(place, "m.weights", header, sizeof header) >= (long)sizeof scale);
}

static void test_targets(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--cpu", "x86-64-v3"),
			 0);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--cpu", "pentium9"),
			 2);
	assert_says(place->err, "pentium9");
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--target",
				   "aarch64-linux-gnu"),
			 0);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.so", "--target",
				   "aarch64-linux-gnu"),
			 4);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--target", "nowhere"),
			 2);
}

static void test_precisions(void **state)
{
	static const char *const name[] = {"f32", "f32-strict", "bf16x3", "bf16"};
	struct place *place = *state;
	for (int i = 0; i < 4; i++)
		assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--precision",
					   name[i]),
				 0);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "a.o", "--precision", "bf16x"),
			 2);
	assert_says(place->err, "bf16x");
}

static void test_mistakes(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.exe"), 2);
	assert_says(place->err, ".so");
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", ".so"), 2);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "none/m.so"), 5);
	assert_int_equal(run_normc(place, "compile", "none.onnx", "-o", "m.so"), 5);
	assert_int_equal(run_normc(place, "run", "m.onnx", "--input", "int=x.pb", "--dim", "N=3"),
			 2);
	assert_int_equal(run_normc(place, "run", "x.so", "--input", "int=x.pb"), 5);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.so", "--symbol",
				   "2 odd-name"),
			 0);
	assert_int_equal(run_normc(place, "run", "m.so", "--input", "int=x.pb"), 0);
	/* nothing of the failed ones is left */
	assert_int_equal(run_program(place, (const char *const[]){"ls", "-A", NULL}), 0);
	assert_null(strstr(place->out, ".normc-"));
}

static void test_inspect(void **state)
{
	struct place *place = *state;
	assert_int_equal(run_normc(place, "inspect", "m.onnx"), 0);
	assert_says(place->out, "int: f32[N,3]");
	assert_says(place->out, "parameters: 3");
	assert_says(place->out, "Mul: 1");
	assert_int_equal(run_normc(place, "inspect", NORMC_SOURCE_DIR "/tests/data/bad_index.onnx"),
			 0);
	assert_says(place->out, "parameters: 0\nfloating-point operations: 0\n");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--graph"), 0);
	assert_says(place->out, "mul");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--kernels"), 0);
	assert_true(place->out[0]);
	assert_int_equal(run_normc(place, "bench", "m.onnx", "--runs", "3", "--profile"), 0);
	assert_says(place->out, "GFLOP/s");
	assert_says(place->err, "taken to be 1");
}

/* Rewrites of trained models, done and left alone, with their nodes and reasons. */
static void test_remarks(void **state)
{
	static const char vit[] = NORMC_SOURCE_DIR "/tests/models/fashion_vit.onnx";
	struct place *place = *state;
	char json[1 << 16];
	assert_int_equal(run_normc(place, "inspect", vit, "--remarks"), 0);
	assert_says(place->out, "done   recentre: node ");
	assert_says(place->out, "(LayerNormalization, opset ");
	assert_says(place->out, "9 of them without a mean");
	assert_int_equal(run_normc(place, "inspect", vit, "--passes", "-recentre"), 0);
	assert_null(strstr(place->out, "without a mean"));
	assert_int_equal(run_normc(place, "compile", vit, "-o", "m.o", "--remarks=r.json"), 0);
	assert_true(read_file(place, "r.json", json, sizeof json) > 0);
	assert_says(json, "\"rule\":\t\"recentre\"");
	assert_says(json, "\"op_type\":\t\"LayerNormalization\"");
	assert_int_equal(run_normc(place, "compile", vit, "-o", "m.o", "--remarks=m.o"), 2);
	assert_says(place->err, "--remarks m.o would overwrite --output m.o");
	assert_int_equal(run_program(place,
				     (const char *const[]){"ln", "-s", "there", "link", NULL}),
			 0);
	assert_int_equal(run_normc(place, "inspect", vit, "--remarks=link"), 0);
	assert_true(read_file(place, "there", json, sizeof json) > 0); /* the link stays */
	assert_int_equal(run_normc(place, "inspect", vit, "--remarks=none/r.json"), 5);
	assert_says(place->err, "none/r.json");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_run, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_refused_runs, compile_setup,
							place_free),
			cmocka_unit_test_setup_teardown(test_shared_library, compile_setup,
							place_free),
			cmocka_unit_test_setup_teardown(test_cut_library, compile_setup,
							place_free),
			cmocka_unit_test_setup_teardown(test_archive_and_header, compile_setup,
							place_free),
			cmocka_unit_test_setup_teardown(test_object, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_same_bytes, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_weights_beside, compile_setup,
							place_free),
			cmocka_unit_test_setup_teardown(test_targets, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_precisions, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_mistakes, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_inspect, compile_setup, place_free),
			cmocka_unit_test_setup_teardown(test_remarks, place_new, place_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
