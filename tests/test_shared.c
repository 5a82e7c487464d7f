/* One function for all kernels of one shape: how many functions come out of graphs with equal
 * parts and with parts that are nearly equal; that they compute what the interpreter does; and that
 * a failure names the kernel, not the first that shares its function.
 */
#define _GNU_SOURCE
#include "parts.h"
#include "sample.h"
#include "test_cli.h"

/* Two places: one kernel's function or two. */
enum { ONE = 1, TWO = 2 };

/* ---- counting ---- */

/* Functions of kernels in the place's object; those of regions are told apart by more dots. */
static int count_kernels(struct place *place)
{
	int n = 0;
	if (run_program(place, (const char *const[]){"nm", "code.o", NULL}))
		fail_msg("nm: %s", place->err);
	for (char *rest = place->out, *line; (line = strsep(&rest, "\n"));) {
		char *name = strstr(line, " t model.");
		n += name && name[9] >= '0' && name[9] <= '9';
	}
	return n;
}

static void write_object(struct place *place, struct graph *g)
{
	if (!compiled_files(g, &(struct compile_how){0}, place->folder))
		fail_msg("%s", g->context->diag->first);
}

/* Functions of the kernels of a graph, whose results must be the interpreter's. */
static int functions_of(struct bench *b, struct graph *g)
{
	static const struct run run = {{6, 5}, 1, true};
	void *opened;
	place_new(&opened);
	write_object(opened, g);
	int n = count_kernels(opened);
	place_free(&opened);
	struct normc_program *program = compiled_program(g, &(struct compile_how){0});
	for (int32_t threads = 1; threads < 4; threads += 2) {
		struct compiled_call call = {
				.program = program, .threads = threads, .arena = b->context.arena};
		compare_run(b, g, &run, &call);
	}
	normc_program_free(program);
	return n;
}

/* ---- layers ---- */

enum { WIDTH = 24, ROWS = 10 };

static struct node *layer(struct graph *g, struct node *x)
{
	static const int32_t swap[2] = {1, 0};
	struct node *y = part_norm(g, x, (struct part_norm){true, true, true});
	struct node *q = part_linear(g, y, WIDTH), *k = part_linear(g, y, WIDTH),
		    *v = part_linear(g, y, WIDTH);
	q = build_softmax(g, build_matmul(g, q, build_transpose(g, k, swap)), 1, false);
	x = part_add(g, x, part_linear(g, build_matmul(g, q, v), WIDTH));
	y = build_unary(g, OP_tanh, part_linear(g, x, 3 * WIDTH));
	return part_add(g, x, part_linear(g, y, WIDTH));
}

static int functions_of_layers(int layers)
{
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct node *x = part_input(b->graph, "x", SHAPE(ROWS, WIDTH));
	for (int i = 0; i < layers; i++)
		x = layer(b->graph, x);
	graph_output(b->graph, x, "y");
	int n = functions_of(b, b->graph);
	bench_close(&opened);
	return n;
}

/* Twelve layers need no more functions than two; the first may find its input elsewhere. */
static void test_layers(void **state)
{
	(void)state;
	int one = functions_of_layers(1), two = functions_of_layers(2);
	assert_in_range(one, 6, 10);
	assert_in_range(two, one, one + 1);
	assert_int_equal(functions_of_layers(12), two);
}

/* ---- pairs of kernels ---- */

struct pair {
	const char *name, *text;
	int functions;
};

/* The last two nodes are results. */
#define GRAPH(text, a, b)                                                                          \
	"graph \"g\"\n"                                                                            \
	"%0 = input \"p\" : f32[8,8]\n"                                                            \
	"%1 = input \"q\" : f32[8,8]\n"                                                            \
	"%2 = input \"n\" : f32[N,8]\n"                                                            \
	"%3 = input \"m\" : f32[M,8]\n" text "return %" #a " \"a\", %" #b " \"b\"\n"

static const struct pair pairs[] = {
		{"other buffers",
		 GRAPH("%4 = sub %0 %1 : f32[8,8]\n%5 = sub %1 %0 : f32[8,8]\n", 4, 5), ONE},
		{"operator", GRAPH("%4 = add %0 %1 : f32[8,8]\n%5 = sub %0 %1 : f32[8,8]\n", 4, 5),
		 TWO},
		{"one operand twice",
		 GRAPH("%4 = mul %0 %0 : f32[8,8]\n%5 = mul %0 %1 : f32[8,8]\n", 4, 5), TWO},
		{"attribute",
		 GRAPH("%4 = reduce_max %0 {axes [0]} : f32[1,8]\n"
		       "%5 = reduce_max %0 {axes [1]} : f32[8,1]\n",
		       4, 5),
		 TWO},
		{"number in an attribute",
		 GRAPH("%4 = softmax %0 {axis 1 log false} : f32[8,8]\n"
		       "%5 = softmax %0 {axis 1 log true} : f32[8,8]\n",
		       4, 5),
		 TWO},
		{"constant",
		 GRAPH("%4 = constant : f32[1,1] = [2]\n%5 = broadcast %4 {to [8,8]} : f32[8,8]\n"
		       "%6 = constant : f32[1,1] = [3]\n%7 = broadcast %6 {to [8,8]} : f32[8,8]\n"
		       "%8 = mul %0 %5 : f32[8,8]\n%9 = mul %0 %7 : f32[8,8]\n",
		       8, 9),
		 ONE},
		{"stride",
		 GRAPH("%4 = transpose %0 {perm [1,0]} : f32[8,8]\n"
		       "%5 = add %4 %1 : f32[8,8]\n%6 = add %0 %1 : f32[8,8]\n",
		       5, 6),
		 TWO},
		{"extent",
		 GRAPH("%4 = slice %0 {start [0,0] extent [7,8] step [1,1]} : f32[7,8]\n"
		       "%5 = neg %4 : f32[7,8]\n%6 = neg %0 : f32[8,8]\n",
		       5, 6),
		 TWO},
		{"element type",
		 GRAPH("%4 = cast %0 {to f16 wrap false} : f16[8,8]\n"
		       "%5 = cast %0 {to bf16 wrap false} : bf16[8,8]\n",
		       4, 5),
		 TWO},
		{"unknown extent", GRAPH("%4 = neg %2 : f32[N,8]\n%5 = neg %3 : f32[M,8]\n", 4, 5),
		 TWO},
		{"one unknown extent",
		 GRAPH("%4 = neg %2 : f32[N,8]\n%5 = neg %4 : f32[N,8]\n", 4, 5), ONE},
};

static void test_pairs(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		int n = functions_of(b, parsed(b, pairs[i].text));
		if (n != pairs[i].functions)
			fail_msg("%s: %d functions", pairs[i].name, n);
		bench_close(&opened);
	}
}

/* ---- failures ---- */

/* Two kernels that gather from the same rows; the second gets an index that is not there. */
static void test_failure(void **state)
{
	static const char text[] = "graph \"g\"\n"
				   "%0 = input \"i\" : i64[1]\n"
				   "%1 = input \"k\" : i64[1]\n"
				   "%2 = constant : f32[3] = [1, 2, 3]\n"
				   "%3 = gather %2 %0 {axis 0} : f32[1]\n"
				   "%4 = gather %2 %1 {axis 0} : f32[1]\n"
				   "return %3 \"a\", %4 \"b\"\n";
	struct bench *b = *state;
	int64_t index[2] = {1, 7};
	float value[2];
	struct normc_tensor in[2], out[2] = {{0}};
	struct normc_session *session = NULL;
	struct normc_error error;
	struct graph *g = parsed(b, text);
	assert_int_equal(functions_of(b, g), ONE);
	struct normc_program *program = compiled_program(g, &(struct compile_how){0});
	for (int i = 0; i < 2; i++)
		in[i] = (struct normc_tensor){
				.data = &index[i], .elem = NORMC_I64, .rank = 1, .dim = {1}};
	assert_int_equal(normc_session_new(&session, program, NULL, &error), NORMC_OK);
	assert_int_equal(normc_session_bind(session, in, out, &error), NORMC_OK);
	out[0].data = &value[0];
	out[1].data = &value[1];
	assert_int_equal(normc_run(session, in, out, &error), NORMC_INVALID);
	assert_says(error.text, "kernel v4_gather");
	normc_session_free(session);
	normc_program_free(program);
}

/* ---- regions ---- */

/* Weights would make the programs differ. */
static struct node *product(struct graph *g, struct node *v)
{
	static const int32_t swap[2] = {1, 0};
	struct node *w =
			build_softmax(g, build_matmul(g, v, build_transpose(g, v, swap)), 1, false);
	return build_matmul(g, w, v);
}

static int functions_of_choices(int choices)
{
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct node *x = part_input(b->graph, "x", SHAPE(ROWS, WIDTH));
	for (int i = 0; i < choices; i++)
		x = part_choice(b->graph, x, product);
	graph_output(b->graph, x, "y");
	int n = functions_of(b, b->graph);
	bench_close(&opened);
	return n;
}

/* Equal programs of regions become one, and then the kernels that run them. */
static void test_regions(void **state)
{
	(void)state;
	assert_int_equal(functions_of_choices(3), functions_of_choices(1));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_layers),
			cmocka_unit_test(test_pairs),
			BENCH_TEST(test_failure),
			cmocka_unit_test(test_regions),
	};
	return cmocka_run_group_tests_name("shared", tests, NULL, NULL);
}
