/* Changes of basis: near misses, in which a scale must stay because both its operand and its result
 * are held, or because no basis may move.
 */
#include "gauge_parts.h"

/* x + w with x held and w free, so that the sum is held and a scale stands behind it. */
static struct node *held_sum(struct graph *g)
{
	struct node *x = held(g);
	return part_add(g, x, branch(g, x));
}

/* A reader of `y` beside a product; both may hold it. */
static struct node *beside(struct graph *g, struct node *y, struct node *reader)
{
	graph_output(g, reader, "h");
	return head(g, y);
}

static struct node *scale_is_output(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, y);
}

static struct node *sum_is_output(struct graph *g)
{
	struct node *x = sum(g, product(g)), *y = scaled(g, x);
	graph_output(g, x, "sum");
	return tanh_of(g, y);
}

static struct node *nonlinear_reader(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, tanh_of(g, y));
}

static struct node *norm_reader(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, layer_norm(g, y, true));
}

static struct node *rms_norm_reader(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, part_norm(g, y, (struct part_norm){.gamma = true}));
}

static struct node *softmax_reader(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, build_softmax(g, y, 2, false));
}

static struct node *greatest_of_channels(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, build_reduce(g, OP_reduce_max, y, 1u << 2, true));
}

static struct node *sum_of_channels(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, build_reduce(g, OP_reduce_sum, y, 1u << 2, true));
}

static struct node *squared(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, part_mul(g, y, y));
}

static struct node *computed_weights(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	return beside(g, y, build_matmul(g, y, swap_last(g, held(g))));
}

/* Each feature has the same weights, which are stored once. */
static struct node *repeated_weights(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g)), *w = part_weights(g, SHAPE(1, 4));
	const struct dim *dim[2] = {y->type.dim[2], w->type.dim[1]};
	return build_matmul(g, y, build_broadcast(g, w, 2, dim));
}

static struct node *features_cut(struct graph *g)
{
	struct slice_range some = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 4),
				   1};
	struct node *y = scaled(g, held_sum(g));
	return build_matmul(g, build_slice(g, y, 2, some), part_weights(g, SHAPE(4, 4)));
}

static struct node *features_split(struct graph *g)
{
	struct node *y = scaled(g, held_sum(g));
	const struct dim *dim[4] = {y->type.dim[0], y->type.dim[1], dim_const(g->context->dims, 2),
				    dim_const(g->context->dims, 3)};
	return build_matmul(g, build_reshape(g, y, 4, dim), part_weights(g, SHAPE(3, 4)));
}

static struct node *scale_of_tokens(struct graph *g)
{
	struct node *y = part_mul(g, held_sum(g), part_positive(g, SHAPE(1, ROWS, 1)));
	return tanh_of(g, head(g, y));
}

static struct node *scale_of_tokens_and_channels(struct graph *g)
{
	struct node *x = sum(g, product(g));
	return two_heads(g, part_mul(g, x, part_positive(g, SHAPE(1, ROWS, WIDTH))));
}

static struct node *two_axes(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(2, WIDTH, WIDTH));
	struct node *y = scaled(g, part_add(g, x, tanh_of(g, x)));
	return head(g, part_add(g, y, swap_last(g, y)));
}

static struct node *zero_scale(struct graph *g)
{
	struct node *zero = PART_VALUES(g, SHAPE(1, 1, WIDTH), 1, 2, 0, 3, 4, 5);
	return head(g, sum(g, part_mul(g, sum(g, product(g)), zero)));
}

static struct node *infinite_scale(struct graph *g)
{
	struct node *s = PART_VALUES(g, SHAPE(1, 1, WIDTH), 1, 2, INFINITY, 3, 4, 5);
	return head(g, sum(g, build_binary(g, OP_div, sum(g, product(g)), s)));
}

static struct node *computed_scale(struct graph *g)
{
	struct node *s = tanh_of(g, part_input(g, "s", SHAPE(1, 1, WIDTH)));
	return head(g, sum(g, part_mul(g, sum(g, product(g)), s)));
}

static struct node *scale_out_of_range(struct graph *g)
{
	struct node *s = PART_VALUES(g, SHAPE(1, 1, WIDTH), 1, 1, 0x1p21, 1, 1, 1);
	return head(g, sum(g, part_mul(g, sum(g, product(g)), s)));
}

static struct node *small_scale_out_of_range(struct graph *g)
{
	struct node *s = PART_VALUES(g, SHAPE(1, 1, WIDTH), 1, 1, 0x1p-21, 1, 1, 1);
	return head(g, sum(g, part_mul(g, sum(g, product(g)), s)));
}

static struct node *weights_out_of_range(struct graph *g, double weight)
{
	struct node *w = PART_VALUES(g, SHAPE(WIDTH, 1), 1, 2, weight, 3, 4, 5);
	struct node *y = sum(g, scaled(g, held_sum(g)));
	return part_add(g, build_matmul(g, y, w), head(g, y));
}

static struct node *great_weights(struct graph *g)
{
	return weights_out_of_range(g, 3e38);
}

static struct node *small_weights(struct graph *g)
{
	return weights_out_of_range(g, 1.2e-38);
}

static struct node *great_weights_later(struct graph *g)
{
	struct node *second, *z = meet_later(g, held_sum(g), &second);
	struct node *w = PART_VALUES(g, SHAPE(WIDTH, 1), 1, 2, 3e38, 3, 4, 5);
	graph_output(g, build_matmul(g, second, w), "h");
	return head(g, z);
}

static struct node *small_weights_later(struct graph *g)
{
	struct node *second, *z = meet_later(g, held_sum(g), &second);
	struct node *w = PART_VALUES(g, SHAPE(WIDTH, 1), 1, 2, 1.2e-38, 3, 4, 5);
	graph_output(g, build_matmul(g, second, w), "h");
	return head(g, z);
}

static struct node *infinite_constant(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_BOOL, 3, (const int64_t[]){2, ROWS, 1});
	struct node *mask = graph_input(g, "mask", &t), *y = scaled(g, held_sum(g));
	struct node *infinite = build_splat(g, &y->type, -INFINITY);
	return head(g, build_where(g, mask, y, infinite));
}

static struct node *mask_of_channels(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_BOOL, 3, (const int64_t[]){2, ROWS, WIDTH});
	struct node *mask = graph_input(g, "mask", &t), *y = scaled(g, held_sum(g));
	return head(g, build_where(g, mask, y, part_weights(g, SHAPE(1, 1, WIDTH))));
}

static struct node *meets_itself(struct graph *g)
{
	struct node *x = sum(g, product(g));
	return head(g, part_add(g, x, scaled(g, x)));
}

static struct node *constant_that_would_grow(struct graph *g)
{
	enum { MANY = 2000 };
	struct node *x = part_linear(g, tanh_of(g, part_input(g, "x", SHAPE(1, MANY, 2))), WIDTH);
	graph_output(g, x, "h");
	struct node *y = scaled(g, part_add(g, x, part_linear(g, tanh_of(g, x), WIDTH)));
	return head(g, part_add(g, y, part_weights(g, SHAPE(1, MANY, 1))));
}

/* Whole numbers, which f16 holds. */
static struct node *small_type(struct graph *g)
{
	double whole[WIDTH * WIDTH];
	for (int i = 0; i < WIDTH * WIDTH; i++)
		whole[i] = i % 7 + 1;
	struct node *w = build_cast(g, part_values(g, SHAPE(WIDTH, WIDTH), whole), NORMC_F16);
	struct node *x = build_unary(g, OP_sign, part_input(g, "w", SHAPE(2, ROWS, WIDTH)));
	x = build_cast(g, build_matmul(g, build_cast(g, x, NORMC_F16), w), NORMC_F32);
	return scaled(g, part_add(g, x, product(g)));
}

/* Parameters that weights make. */
static struct node *computed_parameter(struct graph *g, bool gamma)
{
	struct attr_norm attr = {.axes = 1u << 2,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true,
				 .epsilon = 1e-2};
	struct node *x = part_input(g, "x", SHAPE(2, ROWS, WIDTH));
	struct node *known = part_weights(g, SHAPE(1, 1, WIDTH));
	struct node *made = part_linear(g, part_input(g, "c", SHAPE(1, 1, 4)), WIDTH);
	struct norm_operands in = {
			.x = x, .gamma = gamma ? made : known, .beta = gamma ? known : made};
	x = build_norm(g, in, &attr);
	return scaled(g, part_add(g, x, part_linear(g, x, WIDTH)));
}

static struct node *computed_gamma(struct graph *g)
{
	return computed_parameter(g, true);
}

static struct node *computed_beta(struct graph *g)
{
	return computed_parameter(g, false);
}

/* gamma is the same for all tokens. */
static struct node *gamma_for_all_tokens(struct graph *g)
{
	struct node *x = layer_norm(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)), true);
	struct node *y = build_matmul(g, part_weights(g, SHAPE(1, ROWS, ROWS)),
				      tanh_of(g, part_input(g, "w", SHAPE(2, ROWS, WIDTH))));
	return part_mul(g, part_add(g, x, y), part_positive(g, SHAPE(1, ROWS, 1)));
}

static struct node *greatest_of_pixels(struct graph *g)
{
	struct attr_pool pool = {.spatial = 2};
	for (int32_t i = 0; i < 2; i++) {
		pool.kernel[i] = 2;
		pool.stride[i] = pool.dilation[i] = 1;
		pool.before[i] = pool.after[i] = dim_const(g->context->dims, 0);
	}
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	struct node *y = scaled_pixels(g, part_add(g, x, convolve(g, x, 0)));
	return convolve(g, build_pool(g, OP_pool_max, y, &pool), 0);
}

static struct node *rectified(struct graph *g)
{
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	struct node *y = scaled_pixels(g, part_add(g, x, convolve(g, x, 0)));
	return convolve(g, build_binary(g, OP_max, y, build_number(g, NORMC_F32, 0)), 0);
}

static struct node *computed_filters(struct graph *g)
{
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	struct node *w = tanh_of(g, part_input(g, "w", SHAPE(4, WIDTH, 2, 2)));
	struct node *y = scaled_pixels(g, part_add(g, x, convolve(g, x, 0)));
	struct node *reader = convolve(g, x, 0);
	return build_conv(g, y, w, reader->attr.conv);
}

/* ---- the table ---- */

#define MISSES(name)                                                                               \
	{                                                                                          \
#name, name, "gauge", false, NULL, one_scale                                       \
	}

static const struct rewrite_case cases[] = {
		MISSES(scale_is_output),
		MISSES(sum_is_output),
		MISSES(nonlinear_reader),
		MISSES(norm_reader),
		MISSES(rms_norm_reader),
		MISSES(softmax_reader),
		MISSES(greatest_of_channels),
		MISSES(sum_of_channels),
		MISSES(squared),
		MISSES(computed_weights),
		MISSES(repeated_weights),
		{"features_cut", features_cut, "gauge", false, "-fold_norm,-absorb", one_scale},
		MISSES(features_split),
		MISSES(scale_of_tokens),
		MISSES(scale_of_tokens_and_channels),
		MISSES(two_axes),
		MISSES(zero_scale),
		MISSES(infinite_scale),
		{"computed_scale", computed_scale, "gauge", false, NULL, no_scale},
		MISSES(scale_out_of_range),
		MISSES(small_scale_out_of_range),
		MISSES(great_weights),
		MISSES(small_weights),
		{"great_weights_later", great_weights_later, "gauge", false, NULL, two_scales},
		{"small_weights_later", small_weights_later, "gauge", false, NULL, two_scales},
		MISSES(infinite_constant),
		MISSES(mask_of_channels),
		MISSES(meets_itself),
		MISSES(constant_that_would_grow),
		MISSES(small_type),
		MISSES(computed_gamma),
		MISSES(computed_beta),
		MISSES(gamma_for_all_tokens),
		{"greatest_of_pixels", greatest_of_pixels, "gauge", false, "-fold_norm,-absorb",
		 one_scale},
		{"rectified", rectified, "gauge", false, "-fold_norm,-absorb", one_scale},
		MISSES(computed_filters),
};

int main(void)
{
	return RUN_REWRITE_CASES("gauge_misses", cases) | RUN_ALGEBRA_CASES("gauge_misses", cases);
}
