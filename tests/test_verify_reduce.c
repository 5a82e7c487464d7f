/* What `normc verify --reduce` finds: the smallest part on which a broken rewrite fails. */
#include "parts.h"
#include "pass.h"
#include "verify_reduce.h"

enum { FEATURES = 4, LAYERS = 6 };

/* Layers, one of which has the operation that is rewritten wrongly. */
static struct node *layers(struct graph *g, struct node *(*odd)(struct graph *g, struct node *x))
{
	struct node *x = part_input(g, "x", SHAPE(2, FEATURES)), *first = x;
	for (int i = 0; i < LAYERS; i++) {
		struct node *h = part_linear(
				g, part_norm(g, x, (struct part_norm){true, true, true}), FEATURES);
		x = part_add(g, x, build_unary(g, OP_tanh, h));
		if (i == 2)
			x = odd(g, x);
	}
	return part_add(g, x, first);
}

static struct node *minus_weights(struct graph *g, struct node *x)
{
	return build_binary(g, OP_sub, x, part_weights(g, SHAPE(2, FEATURES)));
}

static struct node *abs_of_neg(struct graph *g, struct node *x)
{
	return build_unary(g, OP_abs, build_unary(g, OP_neg, x));
}

/* a - b becomes a + b. */
static struct node *sum_for_difference(struct graph *to, const struct node *old,
				       struct node *const *in, void *user)
{
	(void)user;
	return old->op == OP_sub ? build_binary(to, OP_add, in[0], in[1]) : NULL;
}

/* |-x| becomes -x. */
static struct node *abs_forgotten(struct graph *to, const struct node *old, struct node *const *in,
				  void *user)
{
	(void)to;
	(void)user;
	return old->op == OP_abs && old->in[0]->op == OP_neg ? in[0] : NULL;
}

static struct graph *rewrite(void *user, struct graph *part)
{
	rewrite_rule *const *rule = user;
	return graph_rewrite(part, *rule, NULL);
}

struct found {
	struct node *(*odd)(struct graph *g, struct node *x);
	rewrite_rule *rule;
	uint32_t n_nodes;
};

static void find(const struct found *f, bool decisive)
{
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	uint64_t seed = 3;
	struct tensor in = bench_random(b, NORMC_F32, SHAPE(2, FEATURES), &seed);
	struct node *y = layers(b->graph, f->odd);
	graph_output(b->graph, build_unary(b->graph, OP_tanh, b->graph->inputs[0]), "right");
	graph_output(b->graph, y, "wrong");
	rewrite_rule *rule = f->rule;
	struct reduction r = {.before = b->graph,
			      .in = &in,
			      .rewrite = rewrite,
			      .user = &rule,
			      .decisive = decisive};
	assert_true(verify_reduce(&r));
	assert_null(r.arena);
	if (!f->rule) {
		assert_null(r.part);
	} else {
		assert_non_null(r.part);
		assert_true(graph_verify(r.part) && graph_verify(r.after));
		assert_int_equal(r.n_nodes, f->n_nodes);
		assert_int_equal(r.part->n_inputs, 1);
		assert_int_equal(r.values[0].count, 2 * FEATURES);
		assert_non_null(strstr(r.text, decisive ? "element" : "bound"));
	}
	bench_close(&opened);
}

static void test_reduction(void **state)
{
	static const struct found cases[] = {{minus_weights, sum_for_difference, 1},
					     {abs_of_neg, abs_forgotten, 2},
					     {minus_weights, NULL, 0}};
	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		for (int decisive = 0; decisive < 2; decisive++)
			find(&cases[i], decisive);
}

/* Parts of two graphs are paired by names. */
static void test_parts_of_two(void **state)
{
	static const char *const text[] = {
			"graph \"a\"\n%0 = input \"x\" : f32[4]\n%1 = input \"w\" : f32[4]\n"
			"%2 = mul %0 %1 : f32[4]\nreturn %2 \"y\"\n",
			"graph \"b\"\n%0 = input \"w\" : f32[4]\n%1 = input \"x\" : f32[4]\n"
			"%2 = neg %1 : f32[4]\n%3 = mul %2 %0 : f32[4]\nreturn %3 \"y\"\n"};
	struct bench *b = *state;
	struct graph *a = graph_parse(&b->context, text[0]);
	struct graph *other = graph_parse(&b->context, text[1]);
	struct graph *like = verify_part_like(other, a);
	assert_non_null(like);
	assert_int_equal(like->n_inputs, 2);
	assert_string_equal(like->inputs[0]->attr.port->name, "x");
	assert_int_equal(like->inputs[1]->attr.port->index, 1);
	assert_string_equal(like->output_names[0], "y");
	assert_true(graph_verify(like));
	a->output_names[0] = "none";
	assert_null(verify_part_like(other, a));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_reduction),
			BENCH_TEST(test_parts_of_two),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
