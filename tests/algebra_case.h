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
	if (c->rule)
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

#define RUN_ALGEBRA_CASES(group, cases)                                                            \
	run_cases(group " by algebra", test_algebra_case, cases, sizeof(cases) / sizeof *(cases))

#endif
