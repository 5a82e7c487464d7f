/* The lanes of `normc verify` on random graphs: no alarm about graphs before and after the passes,
 * and none missed where one operation has become another.
 *
 * NORMC_TEST_SEED=N starts at graph N, NORMC_TEST_GRAPHS=K compares K of them with themselves after
 * the passes (`./dev alarms` does so for 100,000 comparisons).
 */
#include "random_graph.h"
#include "verify.h"

struct mutation {
	uint32_t at, n; /* which of the operations that can be changed; how many there are */
	uint32_t seen, missed;
};

static enum op other_op(enum op op)
{
	static const enum op pairs[][2] = {
			{OP_add, OP_sub},
			{OP_sub, OP_add},
			{OP_mul, OP_add},
			{OP_max, OP_min},
			{OP_min, OP_max},
			{OP_tanh, OP_erf},
			{OP_erf, OP_tanh},
			{OP_neg, OP_abs},
			{OP_reduce_max, OP_reduce_min},
			{OP_sin, OP_tanh},
			{OP_abs, OP_neg},
			{OP_reduce_sum, OP_reduce_max},
			{OP_pool_max, OP_pool_sum},
	};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		if (pairs[i][0] == op)
			return pairs[i][1];
	return OP_COUNT;
}

static struct node *mutate(struct graph *to, const struct node *old, struct node *const *in,
			   void *user)
{
	struct mutation *m = user;
	enum op op = other_op(old->op);
	if (op == OP_COUNT || m->n++ != m->at)
		return NULL;
	return graph_node(to, op, in, old->n_in, old->attr);
}

/* Whether the float lane sees what went wrong; what makes no difference is no mistake. */
static void judge(struct pool *p, const struct graph *wrong, struct tensor *in, struct mutation *m)
{
	struct arena *arena = p->m->b->context.arena;
	struct verify_report report = {.arena = arena};
	struct tensor want[8], got[8];
	double difference = 0;
	struct eval_request exact = {EVAL_EXACT, p->m->size, arena};
	struct eval_request round = {EVAL_ROUND, p->m->size, arena};
	struct verify_side sides[2] = {{arena, p->m->g, p->m->size, in},
				       {arena, wrong, p->m->size, in}};
	assert_true(verify_reference(&sides[0], &sides[1], want) &&
		    eval_graph(wrong, exact, in, got));
	for (uint32_t i = 0; i < wrong->n_outputs; i++)
		for (int64_t k = 0; k < want[i].count; k++) {
			double a = is_float(&want[i]) ? want[i].f[k] : (double)want[i].i[k];
			double b = is_float(&want[i]) ? got[i].f[k] : (double)got[i].i[k];
			difference = fmax(difference, test_distance(a, b));
		}
	if (difference == 0)
		return;
	assert_true(eval_graph(wrong, round, in, got));
	for (uint32_t i = 0; i < wrong->n_outputs; i++)
		verify_compare(&report, (struct verify_case){.lane = LANE_FLOAT}, &want[i],
			       &got[i]);
	if (verify_count(&report, VERIFY_FAILED))
		m->seen++;
	else
		m->missed++;
}

static void test_mistakes(void **state)
{
	struct mutation m = {0};
	(void)state;
	for (uint64_t seed = 1; seed <= 200; seed++) {
		struct pool *p = calloc(1, sizeof *p);
		p->m = calloc(1, sizeof *p->m);
		assert_non_null(p->m);
		maker_open(p->m, seed);
		p->m->fixed = true;
		p->elem = seed % 2 ? NORMC_F32 : NORMC_I32;
		grow(p, NODES);
		add_outputs(p);
		for (m.at = 0; m.at < 10; m.at++) {
			m.n = 0;
			const struct graph *wrong = graph_rewrite(p->m->g, mutate, &m);
			if (m.n > m.at)
				judge(p, wrong, any_inputs(p->m), &m);
		}
		maker_close(p->m);
		free(p->m);
		free(p);
	}
	print_message("%u mistakes seen, %u missed\n", m.seen, m.missed);
	assert_true(m.seen > 400 && m.missed * 100 <= m.seen);
}

/* ---- equal graphs ---- */

enum { EQUAL_GRAPHS = 300, SMALL_GRAPH = 14, COMPILED_ONE_IN = 25, MOST_OUTPUTS = 8 };

struct equal {
	struct pool *p;
	struct graph *after;
	struct normc_program *program; /* NULL: `after` is interpreted */
	struct tensor *in;
	int64_t *symbols;
	struct verify_report report;
	uint64_t seed;
};

/* One kind of inputs; the algebra lane too if it is the first. */
static uint32_t compare_kind(struct equal *e, enum verify_data data)
{
	static const int64_t extents[SYMBOLS] = {2, 3, 2};
	const struct graph *g = e->p->m->g;
	struct arena *arena = g->context->arena;
	struct tensor want[MOST_OUTPUTS], got[MOST_OUTPUTS];
	struct verify_request request = {data, e->seed, extents, 100, arena};
	struct eval_request exact = {EVAL_EXACT, e->symbols, arena};
	struct eval_request round = {EVAL_ROUND, e->symbols, arena};
	assert_true(verify_inputs(g, &request, e->symbols, e->in));
	struct verify_side sides[2] = {{arena, g, e->symbols, e->in},
				       {arena, e->after, e->symbols, e->in}};
	if (data == DATA_WHOLE)
		assert_true(eval_bounds(g, exact, e->in, want));
	else
		assert_true(verify_reference(&sides[0], &sides[1], want));
	if (e->program)
		compiled_run(&(struct compiled_call){e->program, 1, e->in, got, arena});
	else
		assert_true(eval_graph(e->after, round, e->in, got));
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		struct verify_case c = {.lane = data == DATA_WHOLE ? LANE_EXACT : LANE_FLOAT,
					.output = g->output_names[i],
					.data = verify_data_name(data)};
		verify_compare(&e->report, c, &want[i], &got[i]);
	}
	if (data != DATA_NORMAL)
		return 1;
	assert_true(verify_algebra(&e->report, &sides[0], &sides[1], !g->context->inexact));
	return 2;
}

/* Returns the number of comparisons. */
static uint32_t compare_equal(uint64_t seed, bool compiled)
{
	struct equal e = {.p = calloc(1, sizeof *e.p), .seed = seed};
	uint32_t n = 0;
	e.p->m = calloc(1, sizeof *e.p->m);
	assert_non_null(e.p->m);
	maker_open(e.p->m, seed);
	struct context *context = e.p->m->g->context;
	context->exact = true;
	e.p->m->fixed = seed % 3 != 0;
	e.p->elem = seed % 7 ? NORMC_F32 : NORMC_I32;
	grow(e.p, SMALL_GRAPH);
	add_outputs(e.p);
	e.after = passes_run(e.p->m->g, &(struct pass_options){.list = NULL});
	assert_non_null(e.after);
	e.report.arena = context->arena;
	e.in = arena_new(context->arena, struct tensor, e.after->n_inputs + 1);
	e.symbols = arena_new(context->arena, int64_t, context->dims->n_symbols + 1);
	e.program = compiled ? compiled_program(e.after, &(struct compile_how){.cpu = NULL}) : NULL;
	for (enum verify_data data = 0; data < DATA_COUNT; data++)
		n += compare_kind(&e, data);
	for (uint32_t i = 0; i < e.report.n_cases; i++)
		if (e.report.cases[i].outcome == VERIFY_FAILED)
			fail_msg("graph %llu, %s, %s, output '%s': %s", (unsigned long long)seed,
				 verify_lane_name(e.report.cases[i].lane), e.report.cases[i].data,
				 e.report.cases[i].output, e.report.cases[i].text);
	normc_program_free(e.program);
	maker_close(e.p->m);
	free(e.p->m);
	free(e.p);
	return n;
}

static void test_equal(void **state)
{
	uint64_t first = (uint64_t)option("NORMC_TEST_SEED", 1);
	int64_t graphs = option("NORMC_TEST_GRAPHS", EQUAL_GRAPHS), comparisons = 0;
	(void)state;
	for (int64_t i = 0; i < graphs; i++)
		comparisons += compare_equal(first + (uint64_t)i, i % COMPILED_ONE_IN == 0);
	print_message("%lld comparisons of equal graphs, 0 false alarms\n", (long long)comparisons);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_equal),
					   cmocka_unit_test(test_mistakes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
