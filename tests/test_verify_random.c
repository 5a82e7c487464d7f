/* The float lane of `normc verify` on random graphs in which one operation has become another. */
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
	assert_true(eval_bounds(p->m->g, exact, in, want) && eval_graph(wrong, exact, in, got));
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

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mistakes)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
