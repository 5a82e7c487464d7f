/* One case for each rewrite: a wrong rewrite among right ones is found, by running a pass again
 * with fewer of them. */
#include "parts.h"
#include "pass.h"
#include "verify.h"

enum { DIFFERENCES = 5, FEATURES = 4, MOST_PORTS = 4 };

/* x - c, several times, with something in between. */
static void make_differences(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(2, FEATURES));
	for (int i = 0; i < DIFFERENCES; i++) {
		struct node *c = part_weights(g, SHAPE(2, FEATURES));
		x = build_unary(g, OP_tanh, build_binary(g, OP_sub, x, c));
	}
	graph_output(g, x, "y");
}

/* A pass that writes a - b as a + (-b), and forgets the sign in one place. */
struct signs {
	struct pass_log *log;
	uint32_t most, done, wrong; /* from 1; 0: none */
};

static struct node *write_sum(struct graph *to, const struct node *old, struct node *const *in,
			      void *user)
{
	struct signs *s = user;
	if (old->op != OP_sub || s->done == s->most)
		return NULL;
	s->done++;
	struct remark remark = {.rule = "signs", .loc = old->loc};
	PUSH(to->context->arena, s->log->remarks, s->log->n_remarks, remark);
	struct node *b = s->done == s->wrong ? in[1] : build_unary(to, OP_neg, in[1]);
	return build_binary(to, OP_add, in[0], b);
}

static struct graph *third_is_wrong(const char *name, struct graph *g, uint32_t most,
				    struct pass_log *log)
{
	struct signs s = {.log = log, .most = most, .wrong = 3};
	(void)name;
	return graph_rewrite(g, write_sum, &s);
}

static struct graph *all_are_right(const char *name, struct graph *g, uint32_t most,
				   struct pass_log *log)
{
	struct signs s = {.log = log, .most = most};
	(void)name;
	return graph_rewrite(g, write_sum, &s);
}

/* It does not mind the limit. */
static struct graph *decides_at_once(const char *name, struct graph *g, uint32_t most,
				     struct pass_log *log)
{
	(void)most;
	return third_is_wrong(name, g, UINT32_MAX, log);
}

typedef struct graph *pass_function(const char *name, struct graph *g, uint32_t most,
				    struct pass_log *log);

/* The cases for this pass. */
static struct verify_report check(struct bench *b, pass_function *pass, bool by_values)
{
	struct verify_report report = {.arena = b->context.arena};
	struct pass_log log = {0};
	uint64_t seed = 3;
	struct tensor in = bench_random(b, NORMC_F32, SHAPE(2, FEATURES), &seed), want[MOST_PORTS];
	b->context.exact = !by_values;
	make_differences(b->graph);
	struct graph *after = pass("signs", b->graph, UINT32_MAX, &log);
	struct pass_step step = {"signs", after, log.n_remarks};
	PUSH(b->context.arena, log.steps, log.n_steps, step);
	struct eval_request how = {EVAL_EXACT, NULL, b->context.arena};
	assert_true(eval_bounds(b->graph, how, &in, want));
	struct verify_chain chain = {.before = b->graph,
				     .log = &log,
				     .in = &in,
				     .want = want,
				     .by_values = by_values,
				     .again = pass};
	assert_true(verify_rewrites(&report, &chain));
	assert_null(chain.arena);
	assert_int_equal(report.n_cases, DIFFERENCES);
	for (uint32_t i = 0; i < report.n_cases; i++) {
		assert_int_equal(report.cases[i].lane, LANE_REWRITE);
		assert_string_equal(report.cases[i].data, "signs");
	}
	return report;
}

static void test_right(void **state)
{
	struct verify_report r = check(*state, all_are_right, false);
	assert_int_equal(verify_count(&r, VERIFY_PASSED), DIFFERENCES);
}

static void test_third_is_wrong(void **state)
{
	for (int by_values = 0; by_values < 2; by_values++) {
		void *bench;
		bench_open(&bench);
		struct verify_report r = check(bench, third_is_wrong, by_values);
		static const enum verify_outcome expected[DIFFERENCES] = {
				VERIFY_PASSED, VERIFY_PASSED, VERIFY_FAILED, VERIFY_NOT_APPLICABLE,
				VERIFY_NOT_APPLICABLE};
		for (int i = 0; i < DIFFERENCES; i++)
			assert_int_equal(r.cases[i].outcome, expected[i]);
		assert_non_null(strstr(r.cases[2].text, "after the pass 'signs': output 'y'"));
		bench_close(&bench);
	}
	(void)state;
}

/* Then nothing says which it was. */
static void test_decided_at_once(void **state)
{
	struct verify_report r = check(*state, decides_at_once, false);
	assert_int_equal(verify_count(&r, VERIFY_FAILED), DIFFERENCES);
}

/* ---- the limit of pass_again ---- */

static struct node *two_convs(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(1, 3, 5, 5));
	for (int i = 0; i < 2; i++)
		x = part_batch_norm(g, part_conv(g, x, (struct part_conv){3, 1, 0, 1}));
	return x;
}

static struct node *two_layers(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(3, 4));
	for (int i = 0; i < 2; i++)
		x = part_linear(g, part_norm(g, x, (struct part_norm){true, true, true}), 4);
	return x;
}

static struct node *two_views(struct graph *g)
{
	static const int32_t swap[] = {1, 0};
	struct node *x = part_input(g, "x", SHAPE(4, 4));
	for (int i = 0; i < 2; i++) {
		x = build_transpose(g, build_transpose(g, x, swap), swap);
		x = build_unary(g, OP_tanh, x);
	}
	return x;
}

static uint32_t rewrites_with(const char *pass, struct graph *g, uint32_t most)
{
	struct pass_log log = {0};
	uint32_t n = 0;
	assert_non_null(pass_again(pass, g, most, &log));
	for (uint32_t i = 0; i < log.n_remarks; i++)
		n += !log.remarks[i].missed;
	return n;
}

static void test_limit(void **state)
{
	static const struct {
		const char *pass;
		struct node *(*make)(struct graph *g);
	} cases[] = {{"fold_norm", two_convs}, {"absorb", two_layers}, {"simplify", two_views}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		graph_output(b->graph, cases[i].make(b->graph), "y");
		uint32_t all = rewrites_with(cases[i].pass, b->graph, UINT32_MAX);
		if (all < 2)
			fail_msg("%s does %u rewrites", cases[i].pass, all);
		for (uint32_t most = 0; most <= all; most++)
			assert_int_equal(rewrites_with(cases[i].pass, b->graph, most), most);
		bench_close(&opened);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(test_right),
			cmocka_unit_test(test_third_is_wrong),
			BENCH_TEST(test_decided_at_once),
			cmocka_unit_test(test_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
