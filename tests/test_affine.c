/* Affine maps behind and before products: a table of graphs in which all of them join weights, and
 * of near misses in which one must stay (affine_cases.def).
 */
#include "affine.h"
#include "affine_forms.h"
#include "rewrite_case.h"

/* ---- the table ---- */

/* Whether a product or sum is a bias, or a part of an average or a rectifier. */
static bool belongs(struct graph *g, const struct node *n, const bool *inner)
{
	bool bias = n->op == OP_add && (n->in[0]->op == OP_conv || n->in[0]->op == OP_matmul);
	return bias || inner[n->id] || affine_average(g, n);
}

/* Maps that are left: norms with parameters, products and sums with constants. */
static uint32_t maps_left(struct graph *g)
{
	uint32_t found = 0, n = g->n_nodes, x;
	bool *inner = arena_new(g->context->arena, bool, n);
	for (uint32_t i = 0; i < n; i++) {
		struct node *part[2];
		if (rectifier_of(g->nodes[i], part) && part[1])
			inner[part[1]->id] = true;
	}
	for (uint32_t i = 0; i < n; i++) {
		const struct node *node = g->nodes[i];
		bool arithmetic = node->op == OP_mul || node->op == OP_add || node->op == OP_div ||
				  node->op == OP_sub;
		struct affine own;
		if (node->op == OP_norm)
			found += affine_of(g, node, &x, &own) && !affine_is_identity(&own);
		else if (arithmetic && (constant_of(node->in[0]) || constant_of(node->in[1])))
			found += !belongs(g, node, inner);
	}
	return found;
}

static void no_map(const struct graph *g)
{
	assert_int_equal(maps_left((struct graph *)(uintptr_t)g), 0);
}

static void a_map(const struct graph *g)
{
	assert_true(maps_left((struct graph *)(uintptr_t)g) > 0);
}

#define FIRES(name, rule, left, form)                                                              \
	static struct node *make_##name(struct graph *g)                                           \
	{                                                                                          \
		return form;                                                                       \
	}
#define STAYS(name, rule, form) FIRES(name, rule, a_map, form)
#include "affine_cases.def"
#undef FIRES
#undef STAYS

#define FIRES(name, rule, left, form) {#name, make_##name, #rule, true, NULL, left},
#define STAYS(name, rule, form)	      {#name, make_##name, #rule, false, NULL, a_map},
static const struct rewrite_case cases[] = {
#include "affine_cases.def"
};

/* Scales that are infinite: nothing can be compared, but the norm must not be folded. */
static void test_infinite(void **state)
{
	struct bench *b = *state;
	struct pass_options options = {.verify = true};
	struct node *x = conv(b->graph, image(b->graph));
	graph_output(b->graph, bent(b->graph, bn_of(b->graph, x, 1, -1e-3)), "y");
	struct graph *g = passes_run(b->graph, &options);
	assert_non_null(g);
	assert_true(maps_left(g) > 0);
}

/* What new weights stand for is the same in exact arithmetic (the algebra lane of verify). */
static void test_exactly(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		struct pass_options options = {.verify = true};
		const int64_t symbols[1] = {CASE_EXTENT};
		struct meaning m = {.extent = CASE_EXTENT, .offset = 0.5};
		struct eval_request request = {EVAL_EXACT, symbols, b->context.arena};
		struct tensor in[MOST_CASE_PORTS], out[2][MOST_CASE_PORTS];
		uint64_t seed = 11;
		b->context.exact = true;
		graph_output(b->graph, cases[i].make(b->graph), "y");
		struct graph *g = passes_run(b->graph, &options);
		for (uint32_t k = 0; k < b->graph->n_inputs; k++)
			in[k] = meaning_input(b, &b->graph->inputs[k]->type, &m, &seed);
		if (!g || !eval_residues(b->graph, request, in, out[0]) ||
		    !eval_residues(g, request, in, out[1]))
			fail_msg("%s: %s", cases[i].name, b->diag.first);
		for (uint32_t k = 0; k < g->n_outputs; k++)
			if (memcmp(out[0][k].residue, out[1][k].residue,
				   (size_t)out[0][k].count * sizeof *out[0][k].residue) &&
			    !b->context.inexact)
				fail_msg("%s differs", cases[i].name);
		bench_close(&opened);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {BENCH_TEST(test_infinite),
					   cmocka_unit_test(test_exactly)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return RUN_REWRITE_CASES("affine", cases) + failed;
}
