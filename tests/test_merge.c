/* Products of products, weights that are computed from constants, thresholds, sums before norms,
 * Hadamard matrices: tables of graphs on which the rewrites fire, and of near misses.
 */
#include "algebra_case.h"

enum { WIDTH = 6, ROWS = 3, ORDER = 256 };

static struct node *rows(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, ROWS, WIDTH));
}

static struct node *image(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, WIDTH, 5, 5));
}

static uint32_t count_ops(const struct graph *g, enum op op)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == op;
	return n;
}

/* ---- products of products ---- */

static struct node *bias(struct graph *g, struct node *x)
{
	return part_add(g, x, part_weights(g, SHAPE(x->type.dim[x->type.rank - 1]->value)));
}

static struct node *narrow_wide(struct graph *g)
{
	return part_linear(g, part_linear(g, rows(g), 8), 4);
}

static struct node *with_biases(struct graph *g)
{
	return bias(g, part_linear(g, bias(g, part_linear(g, rows(g), 8)), 4));
}

static struct node *three_layers(struct graph *g)
{
	return part_linear(g, bias(g, part_linear(g, bias(g, part_linear(g, rows(g), 7)), 9)), 5);
}

static struct node *transposed(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct node *x = part_linear(g, part_input(g, "x", SHAPE(ROWS, WIDTH)), 8);
	return build_matmul(g, x, build_transpose(g, part_weights(g, SHAPE(4, 8)), swap));
}

static struct node *from_left(struct graph *g)
{
	struct node *x = build_matmul(g, part_weights(g, SHAPE(8, ROWS)), rows(g));
	return build_matmul(g, part_weights(g, SHAPE(4, 8)), x);
}

static struct node *from_left_with_bias(struct graph *g)
{
	struct node *x = build_matmul(g, part_weights(g, SHAPE(8, ROWS)), rows(g));
	x = part_add(g, x, part_weights(g, SHAPE(8, 1)));
	return build_matmul(g, part_weights(g, SHAPE(4, 8)), x);
}

/* Simplified graph convolution: S S X W. */
static struct node *graph_convolution(struct graph *g)
{
	struct node *s = part_weights(g, SHAPE(ROWS, ROWS));
	return part_linear(g, build_matmul(g, s, build_matmul(g, s, rows(g))), 4);
}

static struct node *filters_combined(struct graph *g)
{
	struct node *x = part_conv(g, image(g), (struct part_conv){64, 2, 0, 1});
	return part_conv(g, x, (struct part_conv){4, 1, 0, 1});
}

static struct node *filters_combined_padded(struct graph *g)
{
	struct node *x = part_conv(g, image(g), (struct part_conv){64, 3, 1, 1});
	x = part_add(g, x, part_weights(g, SHAPE(1, 64, 1, 1)));
	return part_conv(g, x, (struct part_conv){4, 1, 0, 1});
}

static struct node *other_reader(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 8);
	return part_add(g, part_linear(g, x, 8), build_unary(g, OP_tanh, x));
}

static struct node *low_rank(struct graph *g)
{
	return part_linear(g, part_linear(g, rows(g), 1), 8);
}

static struct node *activation_between(struct graph *g)
{
	return part_linear(g, build_unary(g, OP_tanh, part_linear(g, rows(g), 8)), 4);
}

static struct node *first_is_output(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 8);
	graph_output(g, x, "h");
	return part_linear(g, x, 4);
}

static struct node *bias_by_rows(struct graph *g)
{
	struct node *x = part_linear(g, rows(g), 8);
	return part_linear(g, part_add(g, x, part_weights(g, SHAPE(ROWS, 1))), 4);
}

static struct node *two_sides(struct graph *g)
{
	struct node *x = build_matmul(g, part_weights(g, SHAPE(8, ROWS)), rows(g));
	return part_linear(g, x, 4);
}

static struct node *second_is_wide(struct graph *g)
{
	struct node *x = part_conv(g, image(g), (struct part_conv){64, 2, 0, 1});
	return part_conv(g, x, (struct part_conv){4, 2, 0, 1});
}

static struct node *second_is_padded(struct graph *g)
{
	struct node *x = part_conv(g, image(g), (struct part_conv){64, 2, 0, 1});
	x = part_add(g, x, part_weights(g, SHAPE(1, 64, 1, 1)));
	return part_conv(g, x, (struct part_conv){4, 1, 1, 1});
}

static struct node *depthwise_then_pointwise(struct graph *g)
{
	struct node *x = part_conv(g, image(g), (struct part_conv){WIDTH, 3, 1, WIDTH});
	return part_conv(g, x, (struct part_conv){4, 1, 0, 1});
}

static struct node *weights_by_batch(struct graph *g)
{
	return build_matmul(g, part_linear(g, rows(g), 8), part_weights(g, SHAPE(2, 8, 4)));
}

static void one_product(const struct graph *g)
{
	assert_int_equal(count_ops(g, OP_matmul) + count_ops(g, OP_conv), 1);
}

static void left_and_right(const struct graph *g)
{
	assert_int_equal(count_ops(g, OP_matmul), 2);
}

/* ---- sums that norms cancel ---- */

static struct node *norm_over(struct graph *g, struct node *x, uint32_t axes, bool centred)
{
	struct attr_norm attr = {.axes = axes,
				 .centre = centred ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 1e-2};
	return build_norm(g, (struct norm_operands){.x = x}, &attr);
}

static struct node *channel_bias(struct graph *g, struct node *x)
{
	return part_add(g, x, part_weights(g, SHAPE(1, WIDTH, 1, 1)));
}

static struct node *instance_norm(struct graph *g)
{
	return norm_over(g, channel_bias(g, image(g)), 12, true);
}

static struct node *batch_norm_in_training(struct graph *g)
{
	return norm_over(g, channel_bias(g, image(g)), 13, true);
}

static struct node *two_biases(struct graph *g)
{
	return norm_over(g, channel_bias(g, channel_bias(g, build_unary(g, OP_tanh, image(g)))), 12,
			 true);
}

static struct node *computed_bias(struct graph *g)
{
	struct node *x = image(g), *b = part_input(g, "b", SHAPE(2, WIDTH, 1, 1));
	return norm_over(g, build_binary(g, OP_sub, x, b), 12, true);
}

static struct node *bias_of_rows(struct graph *g)
{
	struct node *b = part_input(g, "b", SHAPE(2, ROWS, 1));
	return norm_over(g, part_add(g, rows(g), b), 4, true);
}

static struct node *rms_norm(struct graph *g)
{
	return norm_over(g, channel_bias(g, image(g)), 12, false);
}

static struct node *norm_over_channels(struct graph *g)
{
	return norm_over(g, channel_bias(g, image(g)), 2, true);
}

static struct node *norm_over_all(struct graph *g)
{
	return norm_over(g, channel_bias(g, image(g)), 14, true);
}

static struct node *scaled_before(struct graph *g)
{
	struct node *x = part_mul(g, image(g), part_positive(g, SHAPE(1, WIDTH, 1, 1)));
	return norm_over(g, x, 12, true);
}

static struct node *subtracted_from(struct graph *g)
{
	struct node *b = part_weights(g, SHAPE(1, WIDTH, 1, 1));
	return norm_over(g, build_binary(g, OP_sub, b, build_unary(g, OP_tanh, image(g))), 12,
			 true);
}

static void no_sum(const struct graph *g)
{
	assert_int_equal(count_ops(g, OP_add) + count_ops(g, OP_sub), 0);
}

/* ---- thresholds ---- */

static struct node *number(struct graph *g, double value)
{
	return PART_VALUES(g, SHAPE(1), value);
}

static struct node *spikes(struct graph *g, struct node *potential, struct node *threshold)
{
	return build_cast(g, build_binary(g, OP_lt, threshold, potential), NORMC_F32);
}

static struct node *normalized(struct graph *g, struct node *x, double sign)
{
	struct node *s = part_positive(g, SHAPE(1, WIDTH, 1, 1));
	s = build_binary(g, OP_mul, s, number(g, sign));
	return channel_bias(g, part_mul(g, x, s));
}

static struct node *positive_scales(struct graph *g)
{
	return spikes(g, normalized(g, image(g), 1), number(g, 0.5));
}

static struct node *negative_scales(struct graph *g)
{
	return spikes(g, normalized(g, image(g), -1), number(g, 0.5));
}

static struct node *mixed_scales(struct graph *g)
{
	struct node *x = part_mul(g, image(g),
				  PART_VALUES(g, SHAPE(1, WIDTH, 1, 1), 1, -2, 0.5, -0.25, 3, -1));
	return spikes(g, channel_bias(g, x), number(g, 0.5));
}

static struct node *batch_norm_threshold(struct graph *g)
{
	return spikes(g, part_batch_norm(g, image(g)), number(g, 0.5));
}

static struct node *thresholds_by_channel(struct graph *g)
{
	return spikes(g, normalized(g, image(g), 1), part_weights(g, SHAPE(1, WIDTH, 1, 1)));
}

static struct node *at_most(struct graph *g)
{
	struct node *x = normalized(g, image(g), 1);
	return build_cast(g, build_binary(g, OP_le, x, number(g, 0.25)), NORMC_F32);
}

static struct node *dead_channel(struct graph *g)
{
	struct node *x = part_mul(g, image(g),
				  PART_VALUES(g, SHAPE(1, WIDTH, 1, 1), 1, 0, 0.5, 1, 3, 1));
	return spikes(g, channel_bias(g, x), number(g, 0.5));
}

static struct node *shift_alone(struct graph *g)
{
	return spikes(g, channel_bias(g, image(g)), number(g, 0.5));
}

static struct node *potential_is_read(struct graph *g)
{
	struct node *x = normalized(g, build_unary(g, OP_tanh, image(g)), 1);
	return part_mul(g, x, spikes(g, x, number(g, 0.5)));
}

static struct node *threshold_is_computed(struct graph *g)
{
	return spikes(g, normalized(g, image(g), 1), part_input(g, "t", SHAPE(1)));
}

static struct node *threshold_on_other_axis(struct graph *g)
{
	return spikes(g, normalized(g, image(g), 1), part_weights(g, SHAPE(1, 1, 5, 1)));
}

static struct node *threshold_overflows(struct graph *g)
{
	struct node *x = part_mul(g, image(g),
				  PART_VALUES(g, SHAPE(1, WIDTH, 1, 1), 1, 1e-30, 1, 1, 1, 1));
	return spikes(g, x, number(g, 1e30));
}

static void no_scale(const struct graph *g)
{
	assert_int_equal(count_ops(g, OP_mul) + count_ops(g, OP_add), 0);
}

static void signs_only(const struct graph *g)
{
	assert_int_equal(count_ops(g, OP_mul), 1);
	assert_int_equal(count_ops(g, OP_add), 0);
}

/* ---- Hadamard matrices ---- */

static double walsh(int64_t i, int64_t j)
{
	return __builtin_popcountll((uint64_t)(i & j)) % 2 ? -1 : 1;
}

struct classifier {
	int64_t classes, step; /* column j of H is class j / step */
	double scale;
	int64_t wrong; /* entry whose sign is wrong; -1: none */
	bool flips;    /* every third column has the other sign */
};

static struct node *classifier(struct graph *g, struct classifier c)
{
	double *w = arena_new(g->context->arena, double, (size_t)(ORDER * c.classes));
	for (int64_t i = 0; i < ORDER; i++)
		for (int64_t j = 0; j < c.classes; j++)
			w[i * c.classes + j] = walsh(i, j * c.step % ORDER) * c.scale *
					       (c.flips && j % 3 == 0 ? -1 : 1);
	if (c.wrong >= 0)
		w[c.wrong] = -w[c.wrong];
	return build_matmul(g, part_input(g, "x", SHAPE(2, ORDER)),
			    part_values(g, SHAPE(ORDER, c.classes), w));
}

static struct node *all_rows(struct graph *g)
{
	return classifier(g, (struct classifier){ORDER, 1, 1, -1, false});
}

static struct node *some_classes(struct graph *g)
{
	return classifier(g, (struct classifier){100, 1, 0.0625, -1, false});
}

static struct node *other_order(struct graph *g)
{
	return classifier(g, (struct classifier){ORDER, 3, 0.1, -1, false});
}

static struct node *other_signs(struct graph *g)
{
	return classifier(g, (struct classifier){ORDER, 1, 2, -1, true});
}

static struct node *one_wrong_entry(struct graph *g)
{
	return classifier(g, (struct classifier){ORDER, 1, 1, 100 * ORDER + 77, false});
}

static struct node *wrong_power_entry(struct graph *g)
{
	return classifier(g, (struct classifier){ORDER, 1, 1, 2 * ORDER + 5, false});
}

static struct node *few_classes(struct graph *g)
{
	return classifier(g, (struct classifier){10, 1, 1, -1, false});
}

static struct node *random_signs(struct graph *g)
{
	double *w = arena_new(g->context->arena, double, (size_t)ORDER *ORDER);
	uint64_t seed = 3;
	for (int64_t i = 0; i < ORDER * ORDER; i++)
		w[i] = test_random_below(&seed, 2) ? 1 : -1;
	return build_matmul(g, part_input(g, "x", SHAPE(2, ORDER)),
			    part_values(g, SHAPE(ORDER, ORDER), w));
}

static struct node *small_order(struct graph *g)
{
	double w[64];
	for (int64_t i = 0; i < 64; i++)
		w[i] = walsh(i / 8, i % 8);
	return build_matmul(g, part_input(g, "x", SHAPE(2, 8)), part_values(g, SHAPE(8, 8), w));
}

static const struct rewrite_case cases[] = {
		{"narrow_wide", narrow_wide, "merge", true, NULL, one_product},
		{"with_biases", with_biases, "merge", true, NULL, one_product},
		{"three_layers", three_layers, "merge", true, NULL, one_product},
		{"transposed", transposed, "merge", true, NULL, one_product},
		{"from_left", from_left, "merge", true, NULL, one_product},
		{"from_left_with_bias", from_left_with_bias, "merge", true, NULL, one_product},
		{"graph_convolution", graph_convolution, "merge", true, NULL, left_and_right},
		{"filters_combined", filters_combined, "merge", true, NULL, one_product},
		{"filters_combined_padded", filters_combined_padded, "merge", true, NULL,
		 one_product},
		{"other_reader", other_reader, "merge", false, NULL, NULL},
		{"low_rank", low_rank, "merge", false, NULL, NULL},
		{"activation_between", activation_between, "merge", false, NULL, NULL},
		{"first_is_output", first_is_output, "merge", false, NULL, NULL},
		{"bias_by_rows", bias_by_rows, "merge", false, NULL, NULL},
		{"two_sides", two_sides, "merge", false, NULL, NULL},
		{"second_is_wide", second_is_wide, "merge", false, NULL, NULL},
		{"second_is_padded", second_is_padded, "merge", false, NULL, NULL},
		{"depthwise_then_pointwise", depthwise_then_pointwise, "merge", false, NULL, NULL},
		{"weights_by_batch", weights_by_batch, "merge", false, NULL, NULL},

		{"instance_norm", instance_norm, "cancel", true, NULL, no_sum},
		{"batch_norm_in_training", batch_norm_in_training, "cancel", true, NULL, no_sum},
		{"two_biases", two_biases, "cancel", true, NULL, no_sum},
		{"computed_bias", computed_bias, "cancel", true, NULL, no_sum},
		{"bias_of_rows", bias_of_rows, "cancel", true, NULL, no_sum},
		{"rms_norm", rms_norm, "cancel", false, NULL, NULL},
		{"norm_over_channels", norm_over_channels, "cancel", false, NULL, NULL},
		{"norm_over_all", norm_over_all, "cancel", false, NULL, NULL},
		{"scaled_before", scaled_before, "cancel", false, NULL, NULL},
		{"subtracted_from", subtracted_from, "cancel", false, NULL, NULL},

		{"positive_scales", positive_scales, "threshold", true, NULL, no_scale},
		{"negative_scales", negative_scales, "threshold", true, NULL, no_scale},
		{"mixed_scales", mixed_scales, "threshold", true, NULL, signs_only},
		{"batch_norm_threshold", batch_norm_threshold, "threshold", true, NULL, NULL},
		{"thresholds_by_channel", thresholds_by_channel, "threshold", true, NULL, no_scale},
		{"at_most", at_most, "threshold", true, NULL, no_scale},
		{"dead_channel", dead_channel, "threshold", false, NULL, NULL},
		{"shift_alone", shift_alone, "threshold", false, NULL, NULL},
		{"potential_is_read", potential_is_read, "threshold", false, NULL, NULL},
		{"threshold_is_computed", threshold_is_computed, "threshold", false, NULL, NULL},
		{"threshold_on_other_axis", threshold_on_other_axis, "threshold", false, NULL,
		 NULL},
		{"threshold_overflows", threshold_overflows, "threshold", false, NULL, NULL},

		{"all_rows", all_rows, "hadamard", true, NULL, left_and_right},
		{"some_classes", some_classes, "hadamard", true, NULL, left_and_right},
		{"other_order", other_order, "hadamard", true, NULL, left_and_right},
		{"other_signs", other_signs, "hadamard", true, NULL, left_and_right},
		{"one_wrong_entry", one_wrong_entry, "hadamard", false, NULL, one_product},
		{"wrong_power_entry", wrong_power_entry, "hadamard", false, NULL, one_product},
		{"few_classes", few_classes, "hadamard", false, NULL, one_product},
		{"random_signs", random_signs, "hadamard", false, NULL, one_product},
		{"small_order", small_order, "hadamard", false, NULL, one_product},
};

int main(void)
{
	return RUN_REWRITE_CASES("merge", cases) | RUN_ALGEBRA_CASES("merge", cases);
}
