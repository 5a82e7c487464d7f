/* Tables of rewrites: graphs on which a rewrite fires, and near misses on which it must not.
 *
 * Each graph goes through the default passes.  The remarks say whether the rewrite fired.  Whatever
 * happened, the meaning stays: before and after agree in fp64 (the interpreter), and the compiled
 * graph lies within the running error bound of the one before (the float lane of verify), or near
 * it where that bound says nothing.
 */
#ifndef NORMC_TEST_REWRITE_CASE_H
#define NORMC_TEST_REWRITE_CASE_H

#include "compiled.h"
#include "meaning.h"
#include "parts.h"
#include "verify.h"

/* Of compiled results for which no useful bound is known. */
static const double CASE_TOLERANCE = 1e-4;

enum { MOST_CASE_PORTS = 8, CASE_EXTENT = 3 /* of symbols */ };

struct rewrite_case {
	const char *name;
	struct node *(*make)(struct graph *g); /* output "y"; may add more outputs before */
	const char *rule; /* as remarks call it; NULL: none is expected, `check` says all */
	bool fires;
	const char *list;		      /* as --passes; NULL: the default */
	void (*check)(const struct graph *g); /* looks at the result; may be NULL */
};

/* Whether remarks tell of the rewrite, done or missed. */
static inline uint32_t case_remarks(const struct pass_log *log, const char *rule, bool done)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < log->n_remarks; i++)
		n += !strcmp(log->remarks[i].rule, rule) && !log->remarks[i].missed == done;
	return n;
}

static inline void case_lane_5(struct bench *b, const struct graph *before, struct graph *after)
{
	struct tensor in[MOST_CASE_PORTS], want[MOST_CASE_PORTS], got[MOST_CASE_PORTS];
	const int64_t symbols[4] = {CASE_EXTENT, CASE_EXTENT, CASE_EXTENT, CASE_EXTENT};
	struct meaning m = {.extent = CASE_EXTENT, .offset = 0.5};
	struct verify_report report = {.arena = b->context.arena};
	uint64_t seed = 7;
	for (uint32_t i = 0; i < before->n_inputs; i++)
		in[i] = meaning_input(b, &before->inputs[i]->type, &m, &seed);
	struct eval_request request = {EVAL_EXACT, symbols, b->context.arena};
	if (!eval_bounds(before, request, in, want))
		fail_msg("%s", b->diag.first);
	struct compile_how how = {0};
	struct normc_program *program = compiled_program(after, &how);
	struct compiled_call call = {.program = program,
				     .threads = 1,
				     .in = in,
				     .out = got,
				     .arena = b->context.arena};
	compiled_run(&call);
	normc_program_free(program);
	for (uint32_t i = 0; i < before->n_outputs; i++) {
		struct verify_case c = {.lane = LANE_FLOAT, .output = "y", .data = ""};
		verify_compare(&report, c, &want[i], &got[i]);
		if (report.cases[i].outcome == VERIFY_NOT_APPLICABLE)
			bench_equal(&got[i], &want[i], CASE_TOLERANCE);
		else if (report.cases[i].outcome != VERIFY_PASSED)
			fail_msg("%s (error %g of its bound)", report.cases[i].text,
				 report.cases[i].ratio);
	}
}

/* Makes the graph and rewrites it; checks remarks and the meaning in fp64; returns the result. */
static inline struct graph *case_rewrite(const struct rewrite_case *c, struct bench *b,
					 struct pass_log *log)
{
	struct pass_options options = {.verify = true, .log = log, .list = c->list};
	graph_output(b->graph, c->make(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	uint32_t done = c->rule ? case_remarks(log, c->rule, true) : 0;
	if (c->rule && (done > 0) != c->fires)
		fail_msg("%s: %s fired %u times", c->name, c->rule, done);
	assert_true(b->graph->n_inputs <= MOST_CASE_PORTS);
	assert_true(b->graph->n_outputs <= MOST_CASE_PORTS);
	same_meaning(b, b->graph, g,
		     (struct meaning){.extent = CASE_EXTENT, .offset = 0.5, .tolerance = 1e-5});
	return g;
}

static inline void test_rewrite_case(void **state)
{
	const struct rewrite_case *c = *state;
	struct pass_log log = {0};
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct graph *g = case_rewrite(c, b, &log);
	case_lane_5(b, b->graph, g);
	if (c->check)
		c->check(g);
	bench_close(&opened);
}

/* Runs `test` on each case of a table; cmocka's answer. */
static inline int run_cases(const char *group, CMUnitTestFunction test,
			    const struct rewrite_case *cases, size_t n)
{
	struct CMUnitTest *tests = calloc(n, sizeof *tests);
	size_t positives = 0;
	for (size_t i = 0; i < n; i++) {
		tests[i] = (struct CMUnitTest){cases[i].name, test, NULL, NULL,
					       (void *)(uintptr_t)&cases[i]};
		positives += cases[i].fires;
	}
	print_message("%s: %zu positives, %zu near misses\n", group, positives, n - positives);
	int failed = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
	free(tests);
	return failed;
}
#define RUN_REWRITE_CASES(group, cases)                                                            \
	run_cases(group, test_rewrite_case, cases, sizeof(cases) / sizeof *(cases))

#endif
