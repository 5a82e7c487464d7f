/* Whether rewriting kept a graph's meaning: before and after on the same random inputs, by the
 * interpreter in fp64.
 */
#ifndef NORMC_TEST_MEANING_H
#define NORMC_TEST_MEANING_H

#include "test_eval.h"

struct meaning {
	int64_t extent;	  /* of every symbol */
	double offset;	  /* added to all numbers */
	double tolerance; /* of bench_equal */
};

static inline struct tensor meaning_input(struct bench *b, const struct type *type,
					  const struct meaning *m, uint64_t *seed)
{
	const int64_t symbols[4] = {m->extent, m->extent, m->extent, m->extent};
	struct shape shape = {.rank = type->rank};
	for (int32_t i = 0; i < type->rank; i++)
		assert_true(dim_eval(type->dim[i], symbols, &shape.dim[i]));
	struct tensor t = bench_random(b, type->elem, shape, seed);
	for (int64_t i = 0; i < t.count && is_float(&t); i++)
		t.f[i] = elem_round(type->elem, t.f[i] + m->offset);
	return t;
}

static inline void same_meaning(struct bench *b, const struct graph *before,
				const struct graph *after, struct meaning m)
{
	enum { MOST = 8 };
	struct tensor in[MOST], out[2][MOST];
	const int64_t symbols[4] = {m.extent, m.extent, m.extent, m.extent};
	struct eval_request exact = {EVAL_EXACT, symbols, b->context.arena};
	uint64_t seed = 5;
	assert_non_null(after);
	assert_true(graph_verify(after));
	assert_true(before->n_inputs <= MOST && before->n_outputs <= MOST);
	assert_int_equal(before->n_inputs, after->n_inputs);
	for (uint32_t i = 0; i < before->n_inputs; i++)
		in[i] = meaning_input(b, &before->inputs[i]->type, &m, &seed);
	if (!eval_graph(before, exact, in, out[0]) || !eval_graph(after, exact, in, out[1]))
		fail_msg("%s", b->diag.first);
	for (uint32_t i = 0; i < before->n_outputs; i++)
		bench_equal(&out[1][i], &out[0][i], m.tolerance);
}

#endif
