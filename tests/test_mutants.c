/* The verifier is measured: graphs with norms go through the passes, then what came out is broken
 * in one place (mutation.h), and the lanes of `normc verify` must notice.
 *
 * A mutation that computes the same function is no mistake and does not count: one whose outputs in
 * fp64 lie within 1e-10 of the largest value for four sets of random inputs.  This judgement uses
 * neither bounds nor residues.  (Two different formulas may agree so closely only where they differ
 * nowhere that was tried; the test prints how many those are.)
 */
#include "pass.h"
#include "verify.h"

#include "mutation.h"

enum { MOST_PORTS = 4, TRIALS = 4 };

/* ---- graphs ---- */

static struct node *image(struct graph *g, int64_t channels)
{
	return part_input(g, "x", SHAPE(2, channels, 5, 5));
}

static struct node *rows(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 3, 4));
}

static struct node *relu(struct graph *g, struct node *x)
{
	return build_binary(g, OP_max, x, build_number(g, NORMC_F32, 0));
}

static struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

static struct node *layer_norm(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){true, true, true});
}

static struct node *conv_norm(struct graph *g)
{
	return part_batch_norm(g, part_conv(g, image(g, 3), (struct part_conv){4, 3, 0, 1}));
}

static struct node *conv_norm_padded(struct graph *g)
{
	struct node *y = part_conv(g, image(g, 3), (struct part_conv){4, 3, 1, 1});
	return relu(g, part_batch_norm(g, y));
}

static struct node *conv_norm_groups(struct graph *g)
{
	return part_batch_norm(g, part_conv(g, image(g, 4), (struct part_conv){4, 3, 1, 2}));
}

static struct node *conv_bias_norm(struct graph *g)
{
	struct node *y = part_conv(g, image(g, 3), (struct part_conv){4, 1, 0, 1});
	return part_batch_norm(g, part_add(g, y, part_weights(g, SHAPE(1, 4, 1, 1))));
}

static struct node *norm_conv(struct graph *g)
{
	return part_conv(g, part_batch_norm(g, image(g, 3)), (struct part_conv){2, 3, 0, 1});
}

static struct node *norm_conv_padded(struct graph *g)
{
	return part_conv(g, part_batch_norm(g, image(g, 3)), (struct part_conv){2, 3, 1, 1});
}

static struct node *residual_convs(struct graph *g)
{
	struct node *x = image(g, 3);
	struct node *y = relu(g,
			      part_batch_norm(g, part_conv(g, x, (struct part_conv){3, 3, 1, 1})));
	y = part_batch_norm(g, part_conv(g, y, (struct part_conv){3, 3, 1, 1}));
	return relu(g, part_add(g, x, y));
}

static struct node *two_readers(struct graph *g)
{
	struct node *y = part_conv(g, image(g, 3), (struct part_conv){3, 1, 0, 1});
	return part_add(g, part_batch_norm(g, y), relu(g, y));
}

static struct node *training_norm(struct graph *g)
{
	struct node *x = part_conv(g, image(g, 3), (struct part_conv){3, 1, 0, 1});
	struct attr_norm attr = {.axes = 1u | 4u | 8u,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true,
				 .epsilon = 1e-3};
	struct norm_operands in = {.x = x,
				   .gamma = part_weights(g, SHAPE(1, 3, 1, 1)),
				   .beta = part_weights(g, SHAPE(1, 3, 1, 1))};
	return build_norm(g, in, &attr);
}

static struct node *layer_linear(struct graph *g)
{
	return part_linear(g, layer_norm(g, rows(g)), 5);
}

static struct node *layer_two_linears(struct graph *g)
{
	struct node *n = layer_norm(g, rows(g));
	return part_add(g, part_linear(g, n, 4), relu(g, part_linear(g, n, 4)));
}

static struct node *root_mean_square(struct graph *g)
{
	return part_linear(g, part_norm(g, rows(g), (struct part_norm){false, true, false}), 4);
}

/* Pre-LN: x + f(norm(x)), and a norm at the end. */
static struct node *residual_stream(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 4);
	for (int i = 0; i < 2; i++) {
		struct node *h = part_linear(g, layer_norm(g, x), 6);
		x = part_add(g, x, part_linear(g, build_unary(g, OP_tanh, h), 4));
	}
	return part_linear(g, layer_norm(g, x), 3);
}

/* Post-LN. */
static struct node *norm_after_sum(struct graph *g)
{
	struct node *x = rows(g);
	x = layer_norm(g, part_add(g, x, part_linear(g, x, 4)));
	return part_add(g, part_linear(g, x, 4), part_weights(g, SHAPE(4)));
}

static struct node *attention(struct graph *g)
{
	static const int32_t swap[] = {0, 2, 1};
	struct node *n = layer_norm(g, rows(g));
	struct node *q = part_linear(g, n, 4), *k = part_linear(g, n, 4), *v = part_linear(g, n, 4);
	struct node *scores = build_matmul(g, q, build_transpose(g, k, swap));
	scores = build_softmax(g, part_mul(g, scores, number(g, 0.5)), 2, false);
	return part_linear(g, build_matmul(g, scores, v), 4);
}

static struct node *gelu(struct graph *g)
{
	struct node *h = part_linear(g, layer_norm(g, rows(g)), 6);
	struct node *e = build_unary(g, OP_erf, part_mul(g, h, number(g, 0.70710678118654752)));
	struct node *y = part_mul(g, part_mul(g, h, number(g, 0.5)), part_add(g, e, number(g, 1)));
	return part_linear(g, y, 4);
}

static struct node *group_norm(struct graph *g)
{
	struct node *x = image(g, 4);
	const struct dim *groups[4], *whole[4];
	static const int64_t extents[2][4] = {{2, 2, 50, 1}, {2, 4, 5, 5}};
	for (int i = 0; i < 4; i++) {
		groups[i] = dim_const(g->context->dims, extents[0][i]);
		whole[i] = dim_const(g->context->dims, extents[1][i]);
	}
	struct attr_norm attr = {.axes = 4,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 1e-2};
	x = build_norm(g, (struct norm_operands){.x = build_reshape(g, x, 4, groups)}, &attr);
	x = part_mul(g, build_reshape(g, x, 4, whole), part_weights(g, SHAPE(1, 4, 1, 1)));
	return part_add(g, x, part_weights(g, SHAPE(1, 4, 1, 1)));
}

static struct node *length_norm(struct graph *g)
{
	struct attr_norm attr = {.axes = 4, .scale = NORM_SCALE_L2, .epsilon = 1e-2};
	struct node *x = build_norm(g, (struct norm_operands){.x = rows(g)}, &attr);
	return part_linear(g, part_mul(g, x, number(g, 3)), 4);
}

static struct node *epsilon_is_outside(struct graph *g)
{
	struct attr_norm attr = {.axes = 4,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon_place = NORM_EPSILON_OUTSIDE,
				 .unbiased = true,
				 .epsilon = 1e-3};
	return part_linear(g, build_norm(g, (struct norm_operands){.x = rows(g)}, &attr), 4);
}

/* Mean, difference, variance, quotient. */
static struct node *in_primitives(struct graph *g)
{
	struct node *x = rows(g);
	struct node *d = build_binary(g, OP_sub, x, build_mean(g, x, 4, true));
	struct node *v = build_mean(g, part_mul(g, d, d), 4, true);
	struct node *s = build_unary(g, OP_sqrt, part_add(g, v, number(g, 1e-3)));
	struct node *y = part_mul(g, build_binary(g, OP_div, d, s), part_weights(g, SHAPE(4)));
	return part_linear(g, part_add(g, y, part_weights(g, SHAPE(4))), 3);
}

static struct node *through_concat(struct graph *g)
{
	struct node *x = image(g, 2);
	struct node *in[2] = {part_conv(g, x, (struct part_conv){2, 1, 0, 1}),
			      part_conv(g, x, (struct part_conv){2, 1, 0, 1})};
	return part_batch_norm(g, build_concat(g, in, 2, 1));
}

static struct node *through_slices(struct graph *g)
{
	struct dims *dims = g->context->dims;
	struct node *n = layer_norm(g, rows(g));
	struct node *y = part_linear(g, n, 6), *half[2];
	for (int i = 0; i < 2; i++) {
		struct slice_range range = {dim_const(dims, 3 * i), dim_const(dims, 3), 1};
		half[i] = build_slice(g, y, 2, range);
	}
	return part_linear(g, part_mul(g, half[0], build_unary(g, OP_tanh, half[1])), 4);
}

static struct node *through_transpose(struct graph *g)
{
	static const int32_t last[] = {0, 2, 3, 1};
	struct node *y = part_conv(g, image(g, 3), (struct part_conv){4, 1, 0, 1});
	return part_linear(g, build_transpose(g, part_batch_norm(g, y), last), 4);
}

static struct node *pooled(struct graph *g)
{
	struct attr_pool attr = {.spatial = 2};
	for (int i = 0; i < 2; i++) {
		attr.kernel[i] = 2;
		attr.stride[i] = attr.dilation[i] = 1;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, 0);
	}
	struct node *y = part_batch_norm(g,
					 part_conv(g, image(g, 2), (struct part_conv){3, 1, 0, 1}));
	struct node *sum = build_pool(g, OP_pool_sum, y, &attr);
	return part_add(g, part_mul(g, sum, number(g, 0.25)), build_pool(g, OP_pool_max, y, &attr));
}

static struct node *affine_chain(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 4);
	x = part_add(g, part_mul(g, x, part_weights(g, SHAPE(4))), part_weights(g, SHAPE(4)));
	return part_linear(g, x, 4);
}

static struct node *weights_on_the_left(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(4, 3));
	struct node *y = build_matmul(g, part_weights(g, SHAPE(4, 4)), x);
	return part_add(g, part_mul(g, y, part_weights(g, SHAPE(4, 1))),
			part_weights(g, SHAPE(4, 1)));
}

static struct node *dynamic_tanh(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 4);
	x = build_unary(g, OP_tanh, part_mul(g, x, number(g, 0.8)));
	x = part_add(g, part_mul(g, x, part_weights(g, SHAPE(4))), part_weights(g, SHAPE(4)));
	return part_linear(g, x, 4);
}

static struct node *two_axes(struct graph *g)
{
	struct attr_norm attr = {.axes = 6,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = rows(g),
				   .gamma = part_weights(g, SHAPE(1, 3, 4)),
				   .beta = part_weights(g, SHAPE(1, 3, 4))};
	return part_linear(g, build_norm(g, in, &attr), 4);
}

static struct node *greatest(struct graph *g)
{
	struct node *n = part_norm(g, rows(g), (struct part_norm){true, true, false});
	struct node *h = part_linear(g, n, 4);
	struct node *most = build_reduce(g, OP_reduce_max, h, 4, true);
	return build_binary(g, OP_sub, h,
			    part_add(g, most, build_reduce(g, OP_reduce_sum, h, 4, true)));
}

static const struct base {
	const char *name;
	struct node *(*make)(struct graph *g);
} bases[] = {
		{"conv_norm", conv_norm},
		{"conv_norm_padded", conv_norm_padded},
		{"conv_norm_groups", conv_norm_groups},
		{"conv_bias_norm", conv_bias_norm},
		{"norm_conv", norm_conv},
		{"norm_conv_padded", norm_conv_padded},
		{"residual_convs", residual_convs},
		{"two_readers", two_readers},
		{"training_norm", training_norm},
		{"layer_linear", layer_linear},
		{"layer_two_linears", layer_two_linears},
		{"root_mean_square", root_mean_square},
		{"residual_stream", residual_stream},
		{"norm_after_sum", norm_after_sum},
		{"attention", attention},
		{"gelu", gelu},
		{"group_norm", group_norm},
		{"length_norm", length_norm},
		{"epsilon_is_outside", epsilon_is_outside},
		{"in_primitives", in_primitives},
		{"through_concat", through_concat},
		{"through_slices", through_slices},
		{"through_transpose", through_transpose},
		{"pooled", pooled},
		{"affine_chain", affine_chain},
		{"weights_on_the_left", weights_on_the_left},
		{"dynamic_tanh", dynamic_tanh},
		{"two_axes", two_axes},
		{"greatest", greatest},
};

/* ---- the lanes ---- */

/* A graph before and after the passes, with its inputs. */
struct subject {
	struct bench *b;
	const char *name;
	const struct graph *before;
	struct graph *after;
	struct tensor in[DATA_COUNT][MOST_PORTS], want[DATA_COUNT][MOST_PORTS];
	struct tensor trial[TRIALS][MOST_PORTS];
};

static void make_inputs(struct subject *s)
{
	int64_t symbols[1] = {0}, extents[1] = {0};
	struct arena *arena = s->b->context.arena;
	struct eval_request how = {EVAL_EXACT, symbols, arena};
	for (enum verify_data data = 0; data < DATA_COUNT; data++) {
		struct verify_request request = {data, 7, extents, 100, arena};
		assert_true(verify_inputs(s->before, &request, symbols, s->in[data]));
		assert_true(eval_bounds(s->before, how, s->in[data], s->want[data]));
	}
	for (int i = 0; i < TRIALS; i++) {
		struct verify_request request = {DATA_NORMAL, 100 + (uint64_t)i, extents, 100,
						 arena};
		assert_true(verify_inputs(s->before, &request, symbols, s->trial[i]));
	}
}

/* What the lanes say of a graph: a bit for each that fails. */
static unsigned judge(const struct subject *s, const struct graph *after)
{
	struct arena *arena = arena_open(&s->b->memory);
	struct verify_report report = {.arena = arena};
	struct tensor got[MOST_PORTS];
	unsigned failed = 0;
	for (enum verify_data data = 0; data < DATA_COUNT; data++) {
		struct eval_request how = {EVAL_ROUND, NULL, arena};
		assert_true(eval_graph(after, how, s->in[data], got));
		struct verify_case c = {.lane = data == DATA_WHOLE ? LANE_EXACT : LANE_FLOAT};
		struct verify_side sides[2] = {{arena, s->before, NULL, s->in[data]},
					       {arena, after, NULL, s->in[data]}};
		struct tensor both[MOST_PORTS];
		if (data != DATA_WHOLE)
			assert_true(verify_reference(&sides[0], &sides[1], both));
		verify_compare(&report, c, data == DATA_WHOLE ? &s->want[data][0] : &both[0],
			       &got[0]);
	}
	struct verify_side sides[2] = {{arena, s->before, NULL, s->in[DATA_NORMAL]},
				       {arena, after, NULL, s->in[DATA_NORMAL]}};
	const struct context *context = &s->b->context;
	bool decisive = context->exact && !context->inexact;
	assert_true(verify_algebra(&report, &sides[0], &sides[1], decisive));
	for (uint32_t i = 0; i < report.n_cases; i++)
		if (report.cases[i].outcome == VERIFY_FAILED)
			failed |= 1u << report.cases[i].lane;
	arena_close(arena);
	return failed;
}

/* Whether a mutated graph computes something else, by fp64 alone. */
static bool differs(const struct subject *s, const struct graph *mutated)
{
	bool differs = false;
	for (int i = 0; i < TRIALS && !differs; i++) {
		struct arena *arena = arena_open(&s->b->memory);
		struct eval_request how = {EVAL_EXACT, NULL, arena};
		struct tensor a[MOST_PORTS], b[MOST_PORTS];
		double greatest_value = 0;
		assert_true(eval_graph(s->after, how, s->trial[i], a));
		assert_true(eval_graph(mutated, how, s->trial[i], b));
		for (int64_t k = 0; k < a[0].count; k++)
			greatest_value = fmax(greatest_value, fabs(a[0].f[k]));
		for (int64_t k = 0; k < a[0].count; k++)
			differs = differs ||
				  !(test_distance(a[0].f[k], b[0].f[k]) <= 1e-10 * greatest_value);
		arena_close(arena);
	}
	return differs;
}

/* ---- mutants ---- */

struct count {
	uint32_t mutants, killed, by_float, by_algebra, equivalent;
};

struct attempt {
	const struct subject *subject;
	const struct mutation *mutation;
	uint32_t at; /* node */
	bool applied;
};

static struct node *mutate(struct graph *to, const struct node *old, struct node *const *in,
			   void *user)
{
	struct attempt *a = user;
	if (old->id != a->at)
		return NULL;
	struct place_of p = {to, old, in, a->subject->before};
	struct node *n = a->mutation->apply(&p);
	a->applied = n && type_equal(&n->type, &old->type);
	return a->applied ? n : NULL;
}

static void try_mutation(const struct subject *s, struct attempt *a, struct count *c)
{
	a->applied = false;
	struct graph *mutated = graph_rewrite(s->after, mutate, a);
	if (s->b->diag.errors)
		fail_msg("%s: %s", a->mutation->name, s->b->diag.first);
	if (!a->applied)
		return;
	if (!differs(s, mutated)) {
		c->equivalent++;
		return;
	}
	unsigned failed = judge(s, mutated);
	c->mutants++;
	c->killed += failed != 0;
	c->by_float += failed & (1u << LANE_FLOAT | 1u << LANE_EXACT) ? 1 : 0;
	c->by_algebra += failed & 1u << LANE_ALGEBRA ? 1 : 0;
	if (!failed)
		print_message("survives: %s of %s at %s\n", a->mutation->name, s->name,
			      op_info[s->after->nodes[a->at]->op].name);
}

static void try_base(const struct base *base, struct count *c)
{
	void *opened;
	bench_open(&opened);
	struct subject *s = calloc(1, sizeof *s);
	s->b = opened;
	s->name = base->name;
	s->b->context.exact = true;
	graph_output(s->b->graph, base->make(s->b->graph), "y");
	s->before = s->b->graph;
	s->after = passes_run(s->b->graph, &(struct pass_options){.verify = true});
	assert_non_null(s->after);
	make_inputs(s);
	unsigned alarm = judge(s, s->after);
	if (alarm)
		fail_msg("%s: a false alarm, lanes %x", base->name, alarm);
	const bool *live = graph_live(s->after);
	for (uint32_t at = 0; at < s->after->n_nodes; at++)
		for (int k = 0; live[at] && k < N_MUTATIONS; k++)
			try_mutation(s, &(struct attempt){s, &mutations[k], at, false}, c);
	free(s);
	bench_close(&opened);
}

static void test_mutants(void **state)
{
	struct count c = {0};
	(void)state;
	for (size_t i = 0; i < sizeof bases / sizeof *bases; i++)
		try_base(&bases[i], &c);
	print_message("%u mutants, %u killed (%u by values, %u by algebra); %u more were the same "
		      "function\n",
		      c.mutants, c.killed, c.by_float, c.by_algebra, c.equivalent);
	assert_true(c.mutants >= 300);
	assert_true(c.killed * 100 >= c.mutants * 99);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutants)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
