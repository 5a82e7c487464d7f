/* The files that commands write: none takes the place of one that the same command reads or writes,
 * what cannot be written is told at the start, and each appears whole or not at all.
 */
#define _GNU_SOURCE
#include "test_cli.h"

#include <stdbool.h>
#include <sys/stat.h>

/* y = x + x as NAME. */
static void write_model(const struct place *place, const char *name)
{
	struct bytes model;
	make_model(&model, "Add", "x", "y");
	write_file(place, name, model.data, model.n);
}

static void write_input(const struct place *place, const char *name)
{
	static const float value[6] = {1, 2, 3, 4, 5, 6};
	struct bytes tensor;
	make_tensor(&tensor, "x", value, 2);
	write_file(place, name, tensor.data, tensor.n);
}

static bool is_there(const struct place *place, const char *name)
{
	char path[1024];
	path_in(place, name, path);
	return !access(path, F_OK);
}

/* ---- files in each other's way ---- */

struct collision {
	const char *arguments[9]; /* ended by NULL */
	const char *message;
};

static const struct collision collisions[] = {
		{{"compile", "m.onnx", "-o", "m.so", "--weights", "m.onnx"},
		 "--weights m.onnx would overwrite the model m.onnx"},
		{{"compile", "m.onnx", "-o", "m.so", "--weights", "./m.so"},
		 "--weights ./m.so would overwrite --output m.so"},
		{{"compile", "m.onnx", "-o", "m.so", "--weights", "m.h"},
		 "the header m.h would overwrite --weights m.h"},
		{{"compile", "m.onnx", "-o", "m.so", "--remarks=m.h"},
		 "the header m.h would overwrite --remarks m.h"},
		{{"compile", "n.weights", "-o", "n.ll"},
		 "the weights n.weights would overwrite the model n.weights"},
		{{"compile", "m.onnx", "-o", "m.so", "--remarks=m.so"},
		 "--remarks m.so would overwrite --output m.so"},
		{{"compile", "m.onnx", "--weights", "w", "--remarks=./w", "-o", "m.so"},
		 "--remarks ./w would overwrite --weights w"},
		{{"inspect", "--remarks=link.onnx", "m.onnx"},
		 "--remarks link.onnx would overwrite the model m.onnx"},
		{{"opt", "m.onnx", "-o", "folder/../m.onnx"},
		 "--output folder/../m.onnx would overwrite the model m.onnx"},
		{{"verify", "m.onnx", "m.json", "--report", "m.json"},
		 "--report m.json would overwrite the model m.json"},
		{{"verify", "m.onnx", "-i", "x=x.json", "--report", "x.json"},
		 "--report x.json would overwrite --input x.json"},
};

static void test_collisions(void **state)
{
	struct place *place = *state;
	static const char *const models[] = {"m.onnx", "m.json", "n.weights"};
	static char before[4096], after[4096];
	char path[1024];
	for (size_t i = 0; i < sizeof models / sizeof *models; i++)
		write_model(place, models[i]);
	write_input(place, "x.json");
	path_in(place, "folder", path);
	assert_int_equal(mkdir(path, 0777), 0);
	path_in(place, "link.onnx", path);
	assert_int_equal(symlink("m.onnx", path), 0);
	long n = read_file(place, "m.onnx", before, sizeof before);
	for (size_t i = 0; i < sizeof collisions / sizeof *collisions; i++) {
		const char *argv[12] = {NORMC_PROGRAM};
		memcpy(argv + 1, collisions[i].arguments, sizeof collisions[i].arguments);
		if (run_program(place, argv) != 2)
			fail_msg("%s: not refused", collisions[i].message);
		assert_says(place->err, collisions[i].message);
		assert_int_equal(read_file(place, "m.onnx", after, sizeof after), n);
		assert_memory_equal(before, after, (size_t)n);
	}
	assert_false(is_there(place, "m.so"));
	/* two names of a file that is only read, and a device, are no harm */
	assert_int_equal(run_normc(place, "verify", "m.onnx", "link.onnx"), 0);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.o", "--remarks=/dev/null",
				   "--weights", "/dev/null"),
			 0);
}

/* Outputs of a run have names that only the model knows. */
static void test_run_collision(void **state)
{
	struct place *place = *state;
	write_model(place, "m.onnx");
	write_input(place, "x.pb");
	assert_int_equal(run_normc(place, "run", "m.onnx", "-i", "x.pb", "--interpret"), 0);
	assert_int_equal(run_normc(place, "run", "m.onnx", "-i", "y.npy", "--interpret"), 2);
	assert_says(place->err, "the output y.npy would overwrite --input y.npy; --output-dir");
	assert_int_equal(run_normc(place, "run", "m.onnx", "-i", "x=y.npy", "--interpret",
				   "--output-dir", "a/b//c/"),
			 0);
	assert_true(is_there(place, "a/b/c/y.npy"));
}

/* Weights beside a model are known when it is read. */
static void test_external(void **state)
{
	struct place *place = *state;
	struct bytes node = {.n = 0}, graph = {.n = 0}, opset = {.n = 0}, model = {.n = 0},
		     tensor = {.n = 0}, entry = {.n = 0};
	const float weights[3] = {2, -3, 0.5f};
	put_text(&node, 1, "x");
	put_text(&node, 1, "w");
	put_text(&node, 2, "y");
	put_text(&node, 4, "Mul");
	put_message(&graph, 1, &node);
	put_text(&graph, 2, "g");
	put_integer(&tensor, 1, 3);
	put_integer(&tensor, 2, 1);
	put_text(&tensor, 8, "w");
	put_text(&entry, 1, "location");
	put_text(&entry, 2, "m.weights");
	put_message(&tensor, 13, &entry);
	put_integer(&tensor, 14, 1);
	put_message(&graph, 5, &tensor);
	put_value(&graph, 11, "x");
	put_value(&graph, 12, "y");
	put_integer(&opset, 2, 17);
	put_integer(&model, 1, 8);
	put_message(&model, 7, &graph);
	put_message(&model, 8, &opset);
	write_file(place, "m.onnx", model.data, model.n);
	write_file(place, "m.weights", weights, sizeof weights);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.o"), 0);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.ll"), 2);
	assert_says(place->err, "the weights m.weights would overwrite weights of the model");
	assert_int_equal(run_normc(place, "inspect", "m.onnx", "--remarks=m.weights"), 2);
	assert_int_equal(read_file(place, "m.weights", (char[64]){0}, 64), sizeof weights);
}

/* ---- places where nothing can be written ---- */

static void test_missing_folders(void **state)
{
	struct place *place = *state;
	write_model(place, "m.onnx");
	write_file(place, "bad.onnx", "no model", 8);
	/* before the model is looked at */
	assert_int_equal(run_normc(place, "verify", "bad.onnx", "--report", "none/r.xml"), 5);
	assert_says(place->err, "--report none/r.xml: cannot write into the folder 'none'");
	assert_int_equal(run_normc(place, "inspect", "bad.onnx", "--remarks=none/r.json"), 5);
	assert_says(place->err, "--remarks none/r.json: cannot write into the folder 'none'");
	assert_int_equal(run_normc(place, "compile", "bad.onnx", "-o", "none/m.so"), 5);
	assert_int_equal(run_normc(place, "compile", "bad.onnx", "-o", "m.so", "--weights", "."),
			 2);
	assert_says(place->err, "there is a folder of that name");
	assert_int_equal(run_normc(place, "run", "bad.onnx", "--output-dir", "m.onnx/x"), 5);
	assert_says(place->err, "m.onnx/x: cannot write into the folder");
}

/* ---- how files appear ---- */

/* Links and devices stay what they are; other people's files and permissions are left alone. */
static void test_in_place(void **state)
{
	struct place *place = *state;
	char path[1024], text[8192];
	struct stat status;
	write_model(place, "m.onnx");
	path_in(place, "m.o", path);
	assert_int_equal(symlink("there.o", path), 0);
	write_file(place, "m.o.part", "mine", 4);
	write_file(place, "r.json.part", "mine", 4);
	write_file(place, "r.json.new", "mine", 4);
	assert_int_equal(run_normc(place, "compile", "m.onnx", "-o", "m.o", "--remarks=r.json"), 0);
	assert_int_equal(run_normc(place, "verify", "m.onnx", "--report", "r.json"), 0);
	assert_int_equal(lstat(path, &status), 0);
	assert_true(S_ISLNK(status.st_mode));
	assert_true(is_there(place, "there.o"));
	assert_true(read_file(place, "r.json", text, sizeof text) > 0);
	assert_says(text, "\"passed\"");
	assert_int_equal(read_file(place, "m.o.part", text, sizeof text), 4);
	assert_int_equal(read_file(place, "r.json.part", text, sizeof text), 4);
	assert_int_equal(read_file(place, "r.json.new", text, sizeof text), 4);
	assert_int_equal(run_program(place, (const char *const[]){"ls", "-A", NULL}), 0);
	assert_null(strstr(place->out, ".normc-"));
	path_in(place, "r.json", path);
	assert_int_equal(stat(path, &status), 0);
	mode_t mask = umask(0);
	umask(mask);
	assert_int_equal(status.st_mode & 0777, 0666 & ~mask);
}

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {
			PLACE_TEST(test_collisions), PLACE_TEST(test_run_collision),
			PLACE_TEST(test_external),   PLACE_TEST(test_missing_folders),
			PLACE_TEST(test_in_place),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
