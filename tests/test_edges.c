/* The edges of what compiled code is asked for: data without elements, expressions whose number of
 * paths grows exponentially, sizes beyond any machine, processors without the instructions.
 */
#include "sample.h"

/* ---- no elements ---- */

static const struct sample empty_pad = {
		"graph \"g\"\n"
		"%0 = input \"x\" : f32[N,4]\n"
		"%1 = constant : f32[] = [7]\n"
		"%2 = pad %0 %1 {before [2,0] after [1,3] mode constant} : f32[N + 3,7]\n"
		"%3 = neg %2 : f32[N + 3,7]\n"
		"return %3 \"y\", %2 \"padded\"\n",
		NULL, RUNS({{0}, 0, false}, {{3}, 0, false}, {{0}, 0, false})};

static const struct sample empty_gather = {
		"graph \"g\"\n"
		"%0 = input \"x\" : f32[N,4]\n"
		"%1 = input \"i\" : i64[M]\n"
		"%2 = gather %0 %1 {axis 0} : f32[M,4]\n"
		"%3 = neg %2 : f32[M,4]\n"
		"return %3 \"y\"\n",
		NULL, RUNS({{0, 0}, 0, false}, {{3, 2}, 1, false}, {{3, 0}, 0, false})};

/* How a run of y = text(x: f32[rows,4]) ends; x lies against a guard page. */
static enum normc_status status_of(struct bench *b, const char *text, int64_t rows)
{
	struct guarded memory = guarded_new((size_t)rows * 16);
	struct normc_tensor in = {memory.data, NORMC_F32, 2, {rows, 4}};
	float y[64];
	enum normc_status status = status_of_run(b, text, 1, &in, y);
	guarded_free(&memory);
	return status;
}

/* Elements of nothing are asked for: the run fails, and reads nothing. */
static void test_from_nothing(void **state)
{
	static const char *const texts[] = {
			"graph \"g\"\n"
			"%0 = input \"x\" : f32[N,4]\n"
			"%1 = constant : i64[2] = [0, 1]\n"
			"%2 = gather %0 %1 {axis 0} : f32[2,4]\n"
			"return %2 \"y\"\n",
			"graph \"g\"\n"
			"%0 = input \"x\" : f32[N,4]\n"
			"%1 = constant : i64[1,4] = [0, 1, 0, 1]\n"
			"%2 = gather_elements %0 %1 {axis 0} : f32[1,4]\n"
			"return %2 \"y\"\n",
			"graph \"g\"\n"
			"%0 = input \"x\" : f32[N,4]\n"
			"%1 = constant : f32[] = [0]\n"
			"%2 = pad %0 %1 {before [1,0] after [2,0] mode edge} : f32[N + 3,4]\n"
			"return %2 \"y\"\n"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(status_of(*state, texts[i], 2), NORMC_OK);
		assert_int_equal(status_of(*state, texts[i], 0), NORMC_INVALID);
	}
}

/* ---- shared expressions ---- */

/* 2^40 paths lead from the result to the input: whoever walks them does not come back. */
static void test_shared(void **state)
{
	enum { DEPTH = 40 };
	struct bench *b = *state;
	struct graph *g = graph_new(&b->context, "g");
	struct type type = {NORMC_F32, 1, {dim_const(b->context.dims, 8)}};
	struct node *x = graph_input(g, "x", &type);
	for (int i = 0; i < DEPTH; i++)
		x = graph_node(g, OP_add,
			       (struct node *[]){x, graph_node(g, OP_neg, &x, 1, (union attr){0})},
			       2, (union attr){0});
	graph_output(g, x, "y");
	struct normc_program *program = compiled_program(g, &(struct compile_how){0});
	struct compiled_call call = {.program = program, .arena = b->context.arena, .threads = 1};
	compare_run(b, g, &(struct run){{0}, 0, false}, &call);
	normc_program_free(program);
}

/* A chain as long as that of a model with very many layers needs no deep stack. */
static void test_long_chain(void **state)
{
	struct bench *b = *state;
	const struct machine machine = {.vector = 8, .vectors = 16};
	struct type t = type_fixed(&b->context, NORMC_F32, 1, (const int64_t[]){4});
	struct graph *g = graph_new(&b->context, "g");
	struct node *x = graph_input(g, "x", &t);
	for (int i = 0; i < 100000; i++)
		x = graph_node(g, OP_sin, &x, 1, (union attr){0});
	graph_output(g, x, "y");
	assert_non_null(program_new(g, &machine));
}

/* ---- sizes ---- */

static void test_huge(void **state)
{
	struct bench *b = *state;
	const struct machine machine = {.vector = 8, .vectors = 16};
	struct graph *g = parsed(b, "graph \"g\"\n"
				    "%0 = input \"x\" : f32[35184372088832,4]\n"
				    "%1 = neg %0 : f32[35184372088832,4]\n"
				    "return %1 \"y\"\n");
	assert_null(program_new(g, &machine));
	assert_int_equal(b->diag.status, NORMC_LIMIT);
}

/* ---- processors ---- */

/* Without vectors of floats for halves and without roundings these would be calls of functions
 * that a C library need not have. */
#define OLD_PROCESSOR                                                                              \
	"graph \"g\"\n"                                                                            \
	"%0 = input \"x\" : f16[N,5]\n"                                                            \
	"%1 = cast %0 {to f32 wrap false} : f32[N,5]\n"                                            \
	"%2 = constant : f32[1,1] = [2.5]\n"                                                       \
	"%3 = broadcast %2 {to [N,5]} : f32[N,5]\n"                                                \
	"%4 = mul %1 %3 : f32[N,5]\n"                                                              \
	"%5 = round %4 : f32[N,5]\n"                                                               \
	"%6 = cast %5 {to f16 wrap false} : f16[N,5]\n"                                            \
	"%7 = floor %4 : f32[N,5]\n"                                                               \
	"return %6 \"rounded\", %7 \"floor\"\n"

#define OLD_RUNS RUNS({{7}, 0, false}, {{1}, 0, false})

static const struct sample x86_64 = {OLD_PROCESSOR, "x86-64", OLD_RUNS};
static const struct sample x86_64_v2 = {OLD_PROCESSOR, "x86-64-v2", OLD_RUNS};
static const struct sample x86_64_v3 = {OLD_PROCESSOR, "x86-64-v3", OLD_RUNS};

int main(void)
{
	const struct CMUnitTest tests[] = {
			SAMPLE(empty_pad),
			SAMPLE(empty_gather),
			BENCH_TEST(test_from_nothing),
			BENCH_TEST(test_shared),
			BENCH_TEST(test_long_chain),
			BENCH_TEST(test_huge),
#ifdef __x86_64__
			SAMPLE(x86_64),
			SAMPLE(x86_64_v2),
			SAMPLE(x86_64_v3),
#endif
	};
	return cmocka_run_group_tests_name("edges", tests, NULL, NULL);
}
