/* What comes out of a real model, fashion_resnet.onnx: the kinds of files, what they need and hold,
 * the same bits for any number of threads, the same results for any processor; and the inner loops
 * of products and convolutions, which must keep their sums in registers.
 */
#define _GNU_SOURCE
#include "compiled.h"
#include "test_cli.h"

#define MODELS NORMC_SOURCE_DIR "/tests/models/"

enum { IMAGES = 3, PIXELS = 28 * 28, CLASSES = 10 };

static void compile_model(struct place *place, const char *out)
{
	if (run_normc(place, "compile", MODELS "fashion_resnet.onnx", "-o", out))
		fail_msg("%s: %s", out, place->err);
}

static void run_tool(struct place *place, const char *const *argv)
{
	if (run_program(place, argv))
		fail_msg("%s: %s%s", argv[0], place->out, place->err);
}

#define TOOL(place, ...) run_tool(place, (const char *const[]){__VA_ARGS__, NULL})

/* ---- files ---- */

static void test_same_bytes(void **state)
{
	static const char *const kinds[] = {"o", "a", "so", "ll", "s"};
	struct place *place = *state;
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		char name[32];
		snprintf(name, sizeof name, "model.%s", kinds[i]);
		compile_model(place, name);
		TOOL(place, "mv", name, "first");
		compile_model(place, name);
		TOOL(place, "cmp", name, "first");
	}
}

/* Two lines for each section: name and size, then flags.  Those that are written must be empty. */
static void expect_nothing_writable(char *sections)
{
	char *rest = sections, *line, name[64] = "";
	unsigned long size = 0;
	while ((line = strsep(&rest, "\n"))) {
		int number;
		if (sscanf(line, "%d %63s %lx", &number, name, &size) == 3)
			continue;
		if (strstr(line, "ALLOC") && !strstr(line, "READONLY") && size)
			fail_msg("section %s is writable: %lu bytes", name, size);
		if (strstr(line, "ALLOC") && !strncmp(name, ".data", 5) && size)
			fail_msg("section %s needs relocations: %lu bytes", name, size);
	}
}

static void expect_undefined(struct place *place, const char *object)
{
	TOOL(place, "nm", "-u", object);
	char *rest = place->out, *line;
	while ((line = strsep(&rest, "\n")))
		if (*line && !strstr(line, "U normc_rt_") && !strstr(line, "U normc_op_") &&
		    !strstr(line, "U mem"))
			fail_msg("undefined: %s", line);
}

static void test_object(void **state)
{
	struct place *place = *state;
	compile_model(place, "model.o");
	expect_undefined(place, "model.o");
	TOOL(place, "objdump", "-h", "model.o");
	expect_nothing_writable(place->out);
}

#ifdef __x86_64__
/* Without instructions for halves and roundings LLVM would call functions that a C library need not
 * have. */
static void test_old_processors(void **state)
{
	static const char *const cpus[] = {"x86-64", "x86-64-v2", "x86-64-v3"};
	static const char text[] = "graph \"g\"\n"
				   "%0 = input \"x\" : f16[N,5]\n"
				   "%1 = cast %0 {to f32 wrap false} : f32[N,5]\n"
				   "%2 = round %1 : f32[N,5]\n"
				   "%3 = cast %2 {to f16 wrap false} : f16[N,5]\n"
				   "%4 = floor %1 : f32[N,5]\n"
				   "return %3 \"rounded\", %4 \"floor\"\n";
	struct place *place = *state;
	for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		struct graph *g = graph_parse(&b->context, text);
		if (!g || !compiled_files(g, &(struct compile_how){.cpu = cpus[i]}, place->folder))
			fail_msg("%s", b->diag.first);
		expect_undefined(place, "code.o");
		bench_close(&opened);
	}
}
#endif

static const char application[] =
		"#include \"model.h\"\n"
		"#include <stdlib.h>\n"
		"int main(void)\n"
		"{\n"
		"	static float image[28 * 28], score[10];\n"
		"	void *workspace = aligned_alloc(64, (model_workspace(1) + 63) / 64 * 64);\n"
		"	int status = !workspace || model_run(1, image, score, workspace);\n"
		"	free(workspace);\n"
		"	return status || !(score[0] < 100 && score[0] > -100);\n"
		"}\n";

/* What an application must be linked with that takes this build's runtime. */
#ifdef __SANITIZE_ADDRESS__
#define SANITIZE "-fsanitize=address,undefined",
#else
#define SANITIZE
#endif

static void test_link(void **state)
{
	struct place *place = *state;
	compile_model(place, "model.a");
	write_file(place, "app.c", application, sizeof application - 1);
	TOOL(place, "cc", SANITIZE "app.c", "model.a", "-o", "app", "-lm", "-lpthread");
	TOOL(place, "./app");
}

/* ---- results ---- */

static struct normc_program *compile_for(const char *cpu)
{
	struct normc_model *model = NULL;
	struct normc_program *program = NULL;
	struct normc_error error;
	struct normc_options options = {.size = sizeof options, .cpu = cpu};
	if (normc_model_load(&model, MODELS "fashion_resnet.onnx", NULL, &error) ||
	    normc_compile(&program, model, &options, &error))
		fail_msg("%s", error.text);
	normc_model_free(model);
	return program;
}

static void run_images(const struct normc_program *program, int32_t threads, float *score)
{
	static float image[IMAGES * PIXELS];
	uint64_t seed = 1;
	struct normc_session *session = NULL;
	struct normc_session_options options = {.size = sizeof options, .threads = threads};
	struct normc_tensor in = {image, NORMC_F32, 4, {IMAGES, 1, 28, 28}}, out = {0};
	test_random_floats(&seed, image, IMAGES * PIXELS);
	assert_int_equal(normc_session_new(&session, program, &options, NULL), NORMC_OK);
	assert_int_equal(normc_session_bind(session, &in, &out, NULL), NORMC_OK);
	out.data = score;
	for (int i = 0; i < 3; i++)
		assert_int_equal(normc_run(session, &in, &out, NULL), NORMC_OK);
	normc_session_free(session);
}

static void test_threads(void **state)
{
	static const int32_t threads[] = {2, 4, 7};
	struct normc_program *program = compile_for(NULL);
	float one[IMAGES * CLASSES], many[IMAGES * CLASSES];
	(void)state;
	run_images(program, 1, one);
	for (size_t i = 0; i < sizeof threads / sizeof *threads; i++) {
		run_images(program, threads[i], many);
		assert_memory_equal(one, many, sizeof one);
	}
	normc_program_free(program);
}

#ifdef __x86_64__
static void test_processors(void **state)
{
	static const char *const cpus[] = {"x86-64", "x86-64-v2", "x86-64-v3", "x86-64-v4"};
	float want[IMAGES * CLASSES], got[IMAGES * CLASSES];
	bool possible[] = {true, __builtin_cpu_supports("sse4.2"),
			   __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"),
			   __builtin_cpu_supports("avx512f") &&
					   __builtin_cpu_supports("avx512bw") &&
					   __builtin_cpu_supports("avx512vl") &&
					   __builtin_cpu_supports("avx512dq")};
	struct normc_program *program = compile_for(NULL);
	(void)state;
	run_images(program, 1, want);
	normc_program_free(program);
	for (size_t i = 0; i < sizeof cpus / sizeof *cpus; i++) {
		if (!possible[i])
			continue;
		program = compile_for(cpus[i]);
		run_images(program, 1, got);
		test_close_to_largest(got, want, IMAGES * CLASSES, 1e-5);
		normc_program_free(program);
	}
}

/* ---- inner loops ---- */

static struct node *weights(struct bench *b, struct shape shape)
{
	uint64_t seed = 1;
	struct tensor t = bench_random(b, NORMC_F32, shape, &seed);
	struct type type = type_fixed(&b->context, NORMC_F32, shape.rank, shape.dim);
	size_t bytes = (size_t)t.count * sizeof(float);
	float *data = arena_new(b->context.arena, float, (size_t)t.count);
	tensor_store(&t, data);
	return build_constant(b->graph, &type, data, bytes);
}

static struct node *image(struct bench *b, struct shape shape)
{
	struct type type = type_fixed(&b->context, NORMC_F32, shape.rank, shape.dim);
	return graph_input(b->graph, "x", &type);
}

/* Products of constant, unknown and transposed matrices; convolutions of 3x3 and 1x1. */
static void add_products(struct bench *b)
{
	static const int32_t swap[2] = {1, 0};
	struct graph *g = b->graph;
	const struct dim *zero = dim_const(b->context.dims, 0);
	struct attr_conv conv = {.spatial = 2, .groups = 1};
	for (int i = 0; i < 2; i++) {
		conv.stride[i] = conv.dilation[i] = conv.x_dilation[i] = 1;
		conv.before[i] = conv.after[i] = zero;
	}
	struct node *x = image(b, SHAPE(1, 64, 30, 30));
	graph_output(g, build_conv(g, x, weights(b, SHAPE(64, 64, 3, 3)), &conv), "a");
	graph_output(g, build_conv(g, x, weights(b, SHAPE(128, 64, 1, 1)), &conv), "b");
	struct node *rows = image(b, SHAPE(96, 256)), *columns = image(b, SHAPE(192, 256));
	graph_output(g, build_matmul(g, rows, weights(b, SHAPE(256, 192))), "c");
	graph_output(g, build_matmul(g, rows, build_transpose(g, columns, swap)), "d");
	graph_output(g, build_matmul(g, rows, image(b, SHAPE(256, 160))), "e");
}

static void write_products(struct place *place, const char *cpu)
{
	void *state;
	bench_open(&state);
	struct bench *b = state;
	add_products(b);
	if (!compiled_files(b->graph, &(struct compile_how){.cpu = cpu}, place->folder))
		fail_msg("%s", b->diag.first);
	bench_close(&state);
}

struct instruction {
	unsigned long address;
	const char *text;
};

/* A loop: instructions [first, last], the last of which jumps back to the first. */
struct range {
	size_t first, last;
};

enum { MOST_INSTRUCTIONS = 200000, MOST_LOOPS = 2000 };

struct code {
	struct instruction *line;
	size_t n;
	bool frame; /* rbp points into the stack */
};

static size_t count_text(const struct code *c, struct range r, const char *what)
{
	size_t n = 0;
	for (size_t i = r.first; i <= r.last; i++)
		n += strstr(c->line[i].text, what) != NULL;
	return n;
}

static size_t find_loops(const struct code *c, struct range *loop)
{
	size_t n = 0;
	for (size_t i = 0; i < c->n; i++) {
		unsigned long target;
		if (sscanf(c->line[i].text, "j%*s %lx", &target) != 1 ||
		    target > c->line[i].address)
			continue;
		for (size_t k = i + 1; k-- > 0 && n < MOST_LOOPS;)
			if (c->line[k].address == target)
				loop[n++] = (struct range){k, i};
	}
	return n;
}

/* The innermost loop with the most multiply-adds; false if there is none. */
static bool hottest_loop(const struct code *c, struct range *hottest)
{
	static struct range loop[MOST_LOOPS];
	size_t n = find_loops(c, loop), most = 0;
	for (size_t i = 0; i < n; i++) {
		bool inner = true;
		for (size_t k = 0; k < n; k++)
			inner = inner && (k == i || loop[k].first < loop[i].first ||
					  loop[k].last > loop[i].last);
		size_t count = inner ? count_text(c, loop[i], "vfmadd") : 0;
		if (count > most) {
			most = count;
			*hottest = loop[i];
		}
	}
	return most > 0;
}

static void check_function(const struct code *c, const char *name)
{
	struct range loop;
	if (!hottest_loop(c, &loop))
		return;
	size_t stack = count_text(c, loop, "(%rsp") + (c->frame ? count_text(c, loop, "(%rbp") : 0);
	size_t sums = count_text(c, loop, "vfmadd");
	if (stack || sums < 8)
		fail_msg("%s: %zu multiply-adds and %zu accesses to the stack in its inner loop",
			 name, sums, stack);
}

/* Walks through the output of objdump -d; returns the number of products that were checked. */
static int check_code(char *text)
{
	static struct instruction line[MOST_INSTRUCTIONS];
	struct code c = {.line = line};
	char *rest = text, *at, name[200] = "";
	int products = 0;
	while ((at = strsep(&rest, "\n"))) {
		unsigned long address;
		char *tab = strchr(at, '\t');
		if (sscanf(at, "%lx <%199[^>]>:", &address, name) == 2) {
			c.n = 0;
			c.frame = false;
		} else if (tab && c.n < MOST_INSTRUCTIONS) {
			c.frame = c.frame || strstr(tab, "%rsp,%rbp");
			c.line[c.n++] = (struct instruction){strtoul(at, NULL, 16), tab + 1};
		} else if (c.n && (strstr(name, "matmul") || strstr(name, "conv"))) {
			check_function(&c, name);
			products++;
			c.n = 0;
		}
	}
	return products;
}

static void try_inner_loops(struct place *place, const char *cpu)
{
	char path[1024];
	write_products(place, cpu);
	TOOL(place, "sh", "-c",
	     "objdump -d --no-show-raw-insn code.o > code.txt; echo >> code.txt");
	path_in(place, "code.txt", path);
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	size_t size = 1 << 22;
	char *text = calloc(size, 1);
	assert_non_null(text);
	assert_in_range(fread(text, 1, size - 1, file), 1, size - 2);
	fclose(file);
	assert_int_equal(check_code(text), 5);
	free(text);
}

static void test_inner_loops(void **state)
{
	try_inner_loops(*state, "x86-64-v3");
	try_inner_loops(*state, "x86-64-v4");
}
#endif

int main(void)
{
#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, place_new, place_free)
	const struct CMUnitTest tests[] = {
			PLACE_TEST(test_same_bytes),
			PLACE_TEST(test_object),
			PLACE_TEST(test_link),
			cmocka_unit_test(test_threads),
#ifdef __x86_64__
			cmocka_unit_test(test_processors),
			PLACE_TEST(test_inner_loops),
			PLACE_TEST(test_old_processors),
#endif
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
