/* The algebra lane for tables of rewrites: before and after are one expression of numbers that are
 * not rounded, or the rewrite says that it took a rounded constant for the number next to it.  It
 * fires no less when constants know what they stand for.
 */
#ifndef NORMC_TEST_ALGEBRA_CASE_H
#define NORMC_TEST_ALGEBRA_CASE_H

#include "rewrite_case.h"

static inline void test_algebra_case(void **state)
{
	const struct rewrite_case *c = *state;
	const int64_t symbols[4] = {CASE_EXTENT, CASE_EXTENT, CASE_EXTENT, CASE_EXTENT};
	struct meaning m = {.extent = CASE_EXTENT, .offset = 0.5};
	struct tensor in[MOST_CASE_PORTS];
	uint64_t seed = 7;
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct pass_log log = {0};
	struct pass_options options = {.log = &log, .list = c->list};
	struct verify_report report = {.arena = b->context.arena};
	b->context.exact = true;
	graph_output(b->graph, c->make(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	assert_int_equal(case_remarks(&log, c->rule, true) > 0, c->fires);
	for (uint32_t i = 0; i < b->graph->n_inputs; i++)
		in[i] = meaning_input(b, &b->graph->inputs[i]->type, &m, &seed);
	struct verify_side sides[2] = {{b->context.arena, b->graph, symbols, in},
				       {b->context.arena, g, symbols, in}};
	assert_true(verify_algebra(&report, &sides[0], &sides[1], !b->context.inexact));
	for (uint32_t i = 0; i < report.n_cases; i++)
		if (report.cases[i].outcome == VERIFY_FAILED)
			fail_msg("%s: %s", c->name, report.cases[i].text);
	bench_close(&opened);
}

static inline int run_algebra_cases(const char *group, const struct rewrite_case *cases, size_t n)
{
	struct CMUnitTest *tests = calloc(n, sizeof *tests);
	for (size_t i = 0; i < n; i++)
		tests[i] = (struct CMUnitTest){cases[i].name, test_algebra_case, NULL, NULL,
					       (void *)(uintptr_t)&cases[i]};
	int failed = _cmocka_run_group_tests(group, tests, n, NULL, NULL);
	free(tests);
	return failed;
}
#define RUN_ALGEBRA_CASES(group, cases)                                                            \
	run_algebra_cases(group, cases, sizeof(cases) / sizeof *(cases))

#endif
