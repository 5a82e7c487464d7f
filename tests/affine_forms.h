/* Forms of graphs with affine maps, for affine_cases.def: maps, layers, and what lies between them.
 */
#ifndef NORMC_TEST_AFFINE_FORMS_H
#define NORMC_TEST_AFFINE_FORMS_H

#include "parts.h"

/* ---- values ---- */

static inline struct node *image(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 4, 5, 5));
}

static inline struct node *other_image(struct graph *g)
{
	return part_input(g, "z", SHAPE(2, 4, 5, 5));
}

static inline struct node *tokens(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 3, 6));
}

/* So that no product before it takes the map, and none behind. */
static inline struct node *bent(struct graph *g, struct node *x)
{
	return build_unary(g, OP_tanh, x);
}

/* An image whose batch is not known. */
static inline struct node *batch(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){1, 4, 5, 5});
	t.dim[0] = dim_symbol(g->context->dims, (struct symbol){.name = "N"});
	return graph_input(g, "x", &t);
}

/* An image whose height is not known. */
static inline struct node *tall(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){2, 4, 5, 5});
	t.dim[2] = dim_symbol(g->context->dims, (struct symbol){.name = "H", .index = 2});
	return graph_input(g, "x", &t);
}

/* ---- maps ---- */

static inline struct shape along(const struct node *x, int32_t axis)
{
	struct shape shape = {.rank = x->type.rank};
	for (int32_t i = 0; i < shape.rank; i++)
		shape.dim[i] = i == axis ? x->type.dim[i]->value : 1;
	return shape;
}

/* x * c along an axis, c of either sign */
static inline struct node *scale(struct graph *g, struct node *x, int32_t axis)
{
	return part_mul(g, x, part_weights(g, along(x, axis)));
}

/* c is positive */
static inline struct node *gain(struct graph *g, struct node *x, int32_t axis)
{
	return part_mul(g, x, part_positive(g, along(x, axis)));
}

static inline struct node *shift(struct graph *g, struct node *x, int32_t axis)
{
	return part_add(g, x, part_weights(g, along(x, axis)));
}

static inline struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

static inline struct node *times(struct graph *g, struct node *x, double value)
{
	return part_mul(g, x, number(g, value));
}

static inline struct node *over(struct graph *g, struct node *x, double value)
{
	return build_binary(g, OP_div, x, number(g, value));
}

/* Along several axes at once. */
static inline struct node *scale_all(struct graph *g, struct node *x)
{
	struct shape shape = along(x, 1);
	for (int32_t i = 1; i < shape.rank; i++)
		shape.dim[i] = x->type.dim[i]->value;
	return part_mul(g, x, part_weights(g, shape));
}

static inline struct node *bn(struct graph *g, struct node *x)
{
	return part_batch_norm(g, x);
}

/* Batch normalization with these parameters for all channels. */
static inline struct node *bn_of(struct graph *g, struct node *x, double gamma, double variance)
{
	struct attr_norm attr = {.centre = NORM_CENTRE_GIVEN,
				 .scale = NORM_SCALE_GIVEN,
				 .gamma = true,
				 .epsilon = 1e-3};
	struct shape shape = along(x, 1);
	struct type t = type_fixed(g->context, NORMC_F32, 4, shape.dim);
	struct norm_operands in = {.x = x,
				   .gamma = build_splat(g, &t, gamma),
				   .mean = part_weights(g, along(x, 1)),
				   .variance = build_splat(g, &t, variance)};
	return build_norm(g, in, &attr);
}

/* Batch normalization that only scales, for rectifiers with slopes: simplification joins these with
 * products before them. */
static inline struct node *bn_gain(struct graph *g, struct node *x, double gamma)
{
	struct attr_norm attr = {.scale = NORM_SCALE_GIVEN, .gamma = true, .epsilon = 1e-3};
	struct shape shape = along(x, 1);
	struct type t = type_fixed(g->context, NORMC_F32, 4, shape.dim);
	return build_norm(g,
			  (struct norm_operands){.x = x,
						 .gamma = build_splat(g, &t, gamma),
						 .variance = part_positive(g, shape)},
			  &attr);
}

/* With statistics of the batch, as in training. */
static inline struct node *bn_training(struct graph *g, struct node *x)
{
	struct attr_norm attr = {.axes = 13,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true,
				 .epsilon = 1e-3};
	struct norm_operands in = {.x = x,
				   .gamma = part_weights(g, along(x, 1)),
				   .beta = part_weights(g, along(x, 1))};
	return build_norm(g, in, &attr);
}

static inline struct node *chain(struct graph *g, struct node *x, int32_t axis)
{
	for (int i = 0; i < 10; i++)
		x = shift(g, gain(g, x, axis), axis);
	return x;
}

/* ---- layers ---- */

static inline struct node *conv(struct graph *g, struct node *x)
{
	return part_conv(g, x, (struct part_conv){4, 3, 1, 1});
}

static inline struct node *open_conv(struct graph *g, struct node *x)
{
	return part_conv(g, x, (struct part_conv){4, 3, 0, 1});
}

static inline struct node *grouped(struct graph *g, struct node *x, int64_t padding, int64_t groups)
{
	return part_conv(g, x, (struct part_conv){4, 2, padding, groups});
}

/* Zeros between the elements, as in transposed convolutions. */
static inline struct node *spread(struct graph *g, struct node *x, int64_t groups)
{
	struct attr_conv attr = {.spatial = 2, .groups = groups};
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = attr.dilation[i] = 1;
		attr.x_dilation[i] = 2;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, 1 + i);
	}
	return build_conv(g, x, part_weights(g, SHAPE(4, 4 / groups, 3, 3)), &attr);
}

/* Stride 2, dilation 2, padding that is not the same at both ends. */
static inline struct node *strided(struct graph *g, struct node *x)
{
	struct attr_conv attr = {.spatial = 2, .groups = 1};
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = attr.dilation[i] = 2;
		attr.x_dilation[i] = 1;
		attr.before[i] = dim_const(g->context->dims, 2);
		attr.after[i] = dim_const(g->context->dims, i);
	}
	return build_conv(g, x, part_weights(g, SHAPE(4, 4, 2, 2)), &attr);
}

/* x as [2][4][25] in a convolution over one dimension. */
static inline struct node *conv_1d(struct graph *g, struct node *x)
{
	struct attr_conv attr = {.spatial = 1, .groups = 1};
	attr.stride[0] = attr.dilation[0] = attr.x_dilation[0] = 1;
	attr.before[0] = attr.after[0] = dim_const(g->context->dims, 2);
	return build_conv(g, x, part_weights(g, SHAPE(3, 4, 3)), &attr);
}

static inline struct node *linear(struct graph *g, struct node *x)
{
	return part_linear(g, x, 6);
}

/* W x with W on the left. */
static inline struct node *left(struct graph *g, struct node *x)
{
	return build_matmul(g, part_weights(g, SHAPE(2, 3, x->type.dim[1]->value)), x);
}

/* Weights for each batch. */
static inline struct node *batched(struct graph *g, struct node *x)
{
	return build_matmul(g, x, part_weights(g, SHAPE(2, x->type.dim[2]->value, 5)));
}

/* So many weights that folding leaves their transpose. */
static inline struct node *transposed(struct graph *g, struct node *x)
{
	enum { MANY = 44000 };
	static const int32_t swap[2] = {1, 0};
	return build_matmul(g, x, build_transpose(g, part_weights(g, SHAPE(MANY, 6)), swap));
}

/* ---- between ---- */

static inline struct node *relu(struct graph *g, struct node *x)
{
	return build_binary(g, OP_max, x, number(g, 0));
}

/* x < 0 ? negative : x */
static inline struct node *choice(struct graph *g, struct node *x, struct node *negative)
{
	return build_where(g, build_binary(g, OP_lt, x, number(g, 0)), negative, x);
}

static inline struct node *leaky(struct graph *g, struct node *x)
{
	return choice(g, x, times(g, x, 0.125));
}

static inline struct node *prelu(struct graph *g, struct node *x)
{
	return choice(g, x, scale(g, x, 1));
}

/* The slope is read once more. */
static inline struct node *leaky_shared(struct graph *g, struct node *x)
{
	struct node *slope = times(g, x, 0.125);
	return build_concat(g, (struct node *[]){choice(g, x, slope), bent(g, slope)}, 2, 0);
}

/* The threshold is not 0. */
static inline struct node *leaky_above(struct graph *g, struct node *x)
{
	struct node *low = build_binary(g, OP_lt, x, number(g, 0.5));
	return build_where(g, low, times(g, x, 0.125), x);
}

static inline struct node *gelu(struct graph *g, struct node *x)
{
	struct node *inner = build_unary(g, OP_erf, times(g, x, 0.70710678));
	return part_mul(g, times(g, x, 0.5), part_add(g, inner, number(g, 1)));
}

static inline struct node *silu(struct graph *g, struct node *x)
{
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, x));
	return build_binary(g, OP_div, x, part_add(g, e, number(g, 1)));
}

static inline struct attr_pool window(struct graph *g, int64_t kernel, int64_t padding)
{
	struct attr_pool pool = {.spatial = 2};
	for (int32_t i = 0; i < 2; i++) {
		pool.kernel[i] = kernel;
		pool.stride[i] = pool.dilation[i] = 1;
		pool.before[i] = pool.after[i] = dim_const(g->context->dims, padding);
	}
	return pool;
}

static inline struct node *max_pool(struct graph *g, struct node *x, int64_t padding)
{
	struct attr_pool pool = window(g, 2, padding);
	return build_pool(g, OP_pool_max, x, &pool);
}

static inline struct node *sum_pool(struct graph *g, struct node *x, int64_t kernel,
				    int64_t padding)
{
	struct attr_pool pool = window(g, kernel, padding);
	return build_pool(g, OP_pool_sum, x, &pool);
}

/* The padding counts. */
static inline struct node *average(struct graph *g, struct node *x, int64_t kernel, int64_t padding)
{
	return over(g, sum_pool(g, x, kernel, padding), (double)(kernel * kernel));
}

/* It does not. */
static inline struct node *average_inside(struct graph *g, struct node *x, int64_t kernel)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){1, 1, 5, 5});
	struct attr_pool pool = window(g, kernel, 1);
	struct node *count = build_pool(g, OP_pool_sum, build_splat(g, &t, 1), &pool);
	return build_binary(g, OP_div, build_pool(g, OP_pool_sum, x, &pool), count);
}

/* Divided by other counts than those of the windows. */
static inline struct node *average_wrong(struct graph *g, struct node *x)
{
	struct node *sum = sum_pool(g, x, 2, 1);
	return build_binary(g, OP_div, sum, part_positive(g, SHAPE(1, 1, 6, 6)));
}

static inline struct node *mean(struct graph *g, struct node *x)
{
	return build_mean(g, x, 12, true);
}

static inline struct node *reduced(struct graph *g, enum op op, struct node *x)
{
	return build_reduce(g, op, x, 8, true);
}

static inline struct node *shaped(struct graph *g, struct node *x, struct shape shape)
{
	const struct dim *dim[MAX_RANK];
	for (int32_t i = 0; i < shape.rank; i++)
		dim[i] = dim_const(g->context->dims, shape.dim[i]);
	return build_reshape(g, x, shape.rank, dim);
}

static inline struct node *last_first(struct graph *g, struct node *x)
{
	static const int32_t perm[4] = {0, 2, 3, 1};
	return build_transpose(g, x, perm);
}

static inline struct node *cut(struct graph *g, struct node *x, int32_t axis, int64_t start)
{
	struct slice_range range = {dim_const(g->context->dims, start),
				    dim_const(g->context->dims, 2), 1};
	return build_slice(g, x, axis, range);
}

/* Backwards: x.dim[axis] - 1, ... 0 */
static inline struct node *turned(struct graph *g, struct node *x, int32_t axis)
{
	struct slice_range range = {dim_const(g->context->dims, x->type.dim[axis]->value - 1),
				    x->type.dim[axis], -1};
	return build_slice(g, x, axis, range);
}

static inline struct node *join(struct graph *g, struct node *a, struct node *b, int32_t axis)
{
	return build_concat(g, (struct node *[]){a, b}, 2, axis);
}

static inline struct node *rows(struct graph *g, struct node *x, int32_t axis)
{
	static const int64_t index[3] = {2, 0, 3}, three = 3;
	struct type t = type_fixed(g->context, NORMC_I64, 1, &three);
	return build_gather(g, x, build_constant(g, &t, index, sizeof index), axis);
}

static inline struct node *padded(struct graph *g, struct node *x, enum pad_mode mode, double value)
{
	struct attr_pad attr = {.mode = mode};
	for (int32_t i = 0; i < x->type.rank; i++)
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, i >= 2);
	return build_pad(g, x, number(g, value), &attr);
}

/* Adds a value as another output. */
static inline struct node *shown(struct graph *g, struct node *x)
{
	graph_output(g, x, "h");
	return x;
}

/* ---- forms with several branches ---- */

static inline struct node *joined_convs(struct graph *g, int32_t axis)
{
	return join(g, conv(g, image(g)), conv(g, other_image(g)), axis);
}

/* Both terms come from one map. */
static inline struct node *branches(struct graph *g, struct node *x)
{
	return part_add(g, max_pool(g, x, 1), average_inside(g, x, 2));
}

/* Two readers of the same channels, one of them with a map. */
static inline struct node *half_mapped(struct graph *g, struct node *x)
{
	return join(g, bent(g, bn(g, cut(g, x, 1, 1))), bent(g, cut(g, x, 1, 0)), 1);
}

/* A convolution reads x, and another operation. */
static inline struct node *both(struct graph *g, struct node *x)
{
	return join(g, conv(g, x), bent(g, x), 1);
}

/* Two halves of the channels, with maps of their own. */
static inline struct node *halves(struct graph *g, struct node *x, bool first, bool second)
{
	struct node *a = cut(g, x, 1, 0), *b = cut(g, x, 1, 2);
	return join(g, bent(g, first ? bn(g, a) : a), bent(g, second ? bn(g, b) : b), 1);
}

/* Slices that overlap. */
static inline struct node *overlapping(struct graph *g, struct node *x)
{
	struct node *a = scale(g, cut(g, x, 1, 0), 1), *b = scale(g, cut(g, x, 1, 1), 1);
	return bent(g, join(g, a, b, 1));
}

/* The same scale for all, asked by two readers that move the value. */
static inline struct node *asked_twice(struct graph *g, struct node *x, double other)
{
	struct node *a = times(g, shaped(g, x, SHAPE(2, 4, 25)), 3);
	struct node *b = times(g, last_first(g, x), other);
	return join(g, bent(g, shaped(g, a, SHAPE(200))), bent(g, shaped(g, b, SHAPE(200))), 0);
}

/* A scale of channels, as a vector of all elements of an image. */
static inline struct node *flat_scale(struct graph *g, struct node *x, bool by_channel)
{
	double value[100];
	for (int i = 0; i < 100; i++)
		value[i] = 0.5 + (by_channel ? i / 25 : i % 7);
	return part_mul(g, shaped(g, x, SHAPE(2, 100)), part_values(g, SHAPE(1, 100), value));
}

/* One term is a rectifier's, so that the shift must go to the other. */
static inline struct node *one_rectified(struct graph *g, struct node *x, bool first)
{
	struct node *a = relu(g, conv(g, x)), *b = conv(g, x);
	struct node *sum = first ? part_add(g, a, b) : part_add(g, b, a);
	return bent(g, shift(g, gain(g, sum, 1), 1));
}

/* alpha x W + beta c, c of any shape. */
static inline struct node *gemm(struct graph *g, double alpha, double beta, struct shape c,
				bool transposed_x)
{
	static const int32_t swap[2] = {1, 0};
	struct node *x = part_input(g, "x", SHAPE(3, 6));
	if (transposed_x)
		x = build_transpose(g, part_input(g, "z", SHAPE(6, 3)), swap);
	struct node *y = build_matmul(g, x, part_weights(g, SHAPE(6, 4)));
	y = times(g, y, alpha);
	return bent(g, part_add(g, y, times(g, part_weights(g, c), beta)));
}

/* x + gamma * branch(x) */
static inline struct node *layer_scale(struct graph *g, struct node *x)
{
	struct node *branch = linear(g, bent(g, linear(g, x)));
	return part_add(g, x, scale(g, shift(g, branch, 2), 2));
}

/* tanh(alpha (x W + b)) */
static inline struct node *dyt_alpha(struct graph *g, struct node *x)
{
	return bent(g, times(g, shift(g, linear(g, x), 2), 0.7));
}

static inline struct node *dyt(struct graph *g, struct node *x)
{
	return shift(g, scale(g, bent(g, times(g, x, 0.7)), 2), 2);
}

/* Two branches scaled alike, or not. */
static inline struct node *scaled_sum(struct graph *g, double a, double b)
{
	struct node *x = image(g), *y = bent(g, x), *z = build_unary(g, OP_sin, x);
	return bent(g, conv(g, part_add(g, times(g, y, a), times(g, z, b))));
}

/* W times the scale is beyond all numbers, but no value is. */
static inline struct node *large(struct graph *g, struct node *x)
{
	struct type t = type_fixed(g->context, NORMC_F32, 2, (const int64_t[]){6, 4});
	return build_matmul(g, x, build_splat(g, &t, 1e4));
}

#endif
