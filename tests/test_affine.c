/* Affine maps behind and before products: a table of graphs in which all of them join weights, and
 * of near misses in which one must stay (affine_cases.def).
 */
#include "affine.h"
#include "rewrite_case.h"

/* ---- values ---- */

static struct node *image(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 4, 5, 5));
}

static struct node *other_image(struct graph *g)
{
	return part_input(g, "z", SHAPE(2, 4, 5, 5));
}

static struct node *tokens(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 3, 6));
}

/* So that no product before it takes the map, and none behind. */
static struct node *bent(struct graph *g, struct node *x)
{
	return build_unary(g, OP_tanh, x);
}

/* An image whose batch is not known. */
static struct node *batch(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){1, 4, 5, 5});
	t.dim[0] = dim_symbol(g->context->dims, (struct symbol){.name = "N"});
	return graph_input(g, "x", &t);
}

/* An image whose height is not known. */
static struct node *tall(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){2, 4, 5, 5});
	t.dim[2] = dim_symbol(g->context->dims, (struct symbol){.name = "H", .index = 2});
	return graph_input(g, "x", &t);
}

/* ---- maps ---- */

static struct shape along(const struct node *x, int32_t axis)
{
	struct shape shape = {.rank = x->type.rank};
	for (int32_t i = 0; i < shape.rank; i++)
		shape.dim[i] = i == axis ? x->type.dim[i]->value : 1;
	return shape;
}

/* x * c along an axis, c of either sign */
static struct node *scale(struct graph *g, struct node *x, int32_t axis)
{
	return part_mul(g, x, part_weights(g, along(x, axis)));
}

/* c is positive */
static struct node *gain(struct graph *g, struct node *x, int32_t axis)
{
	return part_mul(g, x, part_positive(g, along(x, axis)));
}

static struct node *shift(struct graph *g, struct node *x, int32_t axis)
{
	return part_add(g, x, part_weights(g, along(x, axis)));
}

static struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

static struct node *times(struct graph *g, struct node *x, double value)
{
	return part_mul(g, x, number(g, value));
}

static struct node *over(struct graph *g, struct node *x, double value)
{
	return build_binary(g, OP_div, x, number(g, value));
}

/* Along several axes at once. */
static struct node *scale_all(struct graph *g, struct node *x)
{
	struct shape shape = along(x, 1);
	for (int32_t i = 1; i < shape.rank; i++)
		shape.dim[i] = x->type.dim[i]->value;
	return part_mul(g, x, part_weights(g, shape));
}

static struct node *bn(struct graph *g, struct node *x)
{
	return part_batch_norm(g, x);
}

/* Batch normalization with these parameters for all channels. */
static struct node *bn_of(struct graph *g, struct node *x, double gamma, double variance)
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
static struct node *bn_gain(struct graph *g, struct node *x, double gamma)
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
static struct node *bn_training(struct graph *g, struct node *x)
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

static struct node *chain(struct graph *g, struct node *x, int32_t axis)
{
	for (int i = 0; i < 10; i++)
		x = shift(g, gain(g, x, axis), axis);
	return x;
}

/* ---- layers ---- */

static struct node *conv(struct graph *g, struct node *x)
{
	return part_conv(g, x, (struct part_conv){4, 3, 1, 1});
}

static struct node *open_conv(struct graph *g, struct node *x)
{
	return part_conv(g, x, (struct part_conv){4, 3, 0, 1});
}

static struct node *grouped(struct graph *g, struct node *x, int64_t padding, int64_t groups)
{
	return part_conv(g, x, (struct part_conv){4, 2, padding, groups});
}

/* Zeros between the elements, as in transposed convolutions. */
static struct node *spread(struct graph *g, struct node *x, int64_t groups)
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
static struct node *strided(struct graph *g, struct node *x)
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
static struct node *conv_1d(struct graph *g, struct node *x)
{
	struct attr_conv attr = {.spatial = 1, .groups = 1};
	attr.stride[0] = attr.dilation[0] = attr.x_dilation[0] = 1;
	attr.before[0] = attr.after[0] = dim_const(g->context->dims, 2);
	return build_conv(g, x, part_weights(g, SHAPE(3, 4, 3)), &attr);
}

static struct node *linear(struct graph *g, struct node *x)
{
	return part_linear(g, x, 6);
}

/* W x with W on the left. */
static struct node *left(struct graph *g, struct node *x)
{
	return build_matmul(g, part_weights(g, SHAPE(2, 3, x->type.dim[1]->value)), x);
}

/* Weights for each batch. */
static struct node *batched(struct graph *g, struct node *x)
{
	return build_matmul(g, x, part_weights(g, SHAPE(2, x->type.dim[2]->value, 5)));
}

/* So many weights that folding leaves their transpose. */
static struct node *transposed(struct graph *g, struct node *x)
{
	enum { MANY = 44000 };
	static const int32_t swap[2] = {1, 0};
	return build_matmul(g, x, build_transpose(g, part_weights(g, SHAPE(MANY, 6)), swap));
}

/* ---- between ---- */

static struct node *relu(struct graph *g, struct node *x)
{
	return build_binary(g, OP_max, x, number(g, 0));
}

/* x < 0 ? negative : x */
static struct node *choice(struct graph *g, struct node *x, struct node *negative)
{
	return build_where(g, build_binary(g, OP_lt, x, number(g, 0)), negative, x);
}

static struct node *leaky(struct graph *g, struct node *x)
{
	return choice(g, x, times(g, x, 0.125));
}

static struct node *prelu(struct graph *g, struct node *x)
{
	return choice(g, x, scale(g, x, 1));
}

/* The slope is read once more. */
static struct node *leaky_shared(struct graph *g, struct node *x)
{
	struct node *slope = times(g, x, 0.125);
	return build_concat(g, (struct node *[]){choice(g, x, slope), bent(g, slope)}, 2, 0);
}

/* The threshold is not 0. */
static struct node *leaky_above(struct graph *g, struct node *x)
{
	struct node *low = build_binary(g, OP_lt, x, number(g, 0.5));
	return build_where(g, low, times(g, x, 0.125), x);
}

static struct node *gelu(struct graph *g, struct node *x)
{
	struct node *inner = build_unary(g, OP_erf, times(g, x, 0.70710678));
	return part_mul(g, times(g, x, 0.5), part_add(g, inner, number(g, 1)));
}

static struct node *silu(struct graph *g, struct node *x)
{
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, x));
	return build_binary(g, OP_div, x, part_add(g, e, number(g, 1)));
}

static struct attr_pool window(struct graph *g, int64_t kernel, int64_t padding)
{
	struct attr_pool pool = {.spatial = 2};
	for (int32_t i = 0; i < 2; i++) {
		pool.kernel[i] = kernel;
		pool.stride[i] = pool.dilation[i] = 1;
		pool.before[i] = pool.after[i] = dim_const(g->context->dims, padding);
	}
	return pool;
}

static struct node *max_pool(struct graph *g, struct node *x, int64_t padding)
{
	struct attr_pool pool = window(g, 2, padding);
	return build_pool(g, OP_pool_max, x, &pool);
}

static struct node *sum_pool(struct graph *g, struct node *x, int64_t kernel, int64_t padding)
{
	struct attr_pool pool = window(g, kernel, padding);
	return build_pool(g, OP_pool_sum, x, &pool);
}

/* The padding counts. */
static struct node *average(struct graph *g, struct node *x, int64_t kernel, int64_t padding)
{
	return over(g, sum_pool(g, x, kernel, padding), (double)(kernel * kernel));
}

/* It does not. */
static struct node *average_inside(struct graph *g, struct node *x, int64_t kernel)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){1, 1, 5, 5});
	struct attr_pool pool = window(g, kernel, 1);
	struct node *count = build_pool(g, OP_pool_sum, build_splat(g, &t, 1), &pool);
	return build_binary(g, OP_div, build_pool(g, OP_pool_sum, x, &pool), count);
}

/* Divided by other counts than those of the windows. */
static struct node *average_wrong(struct graph *g, struct node *x)
{
	struct node *sum = sum_pool(g, x, 2, 1);
	return build_binary(g, OP_div, sum, part_positive(g, SHAPE(1, 1, 6, 6)));
}

static struct node *mean(struct graph *g, struct node *x)
{
	return build_mean(g, x, 12, true);
}

static struct node *reduced(struct graph *g, enum op op, struct node *x)
{
	return build_reduce(g, op, x, 8, true);
}

static struct node *shaped(struct graph *g, struct node *x, struct shape shape)
{
	const struct dim *dim[MAX_RANK];
	for (int32_t i = 0; i < shape.rank; i++)
		dim[i] = dim_const(g->context->dims, shape.dim[i]);
	return build_reshape(g, x, shape.rank, dim);
}

static struct node *last_first(struct graph *g, struct node *x)
{
	static const int32_t perm[4] = {0, 2, 3, 1};
	return build_transpose(g, x, perm);
}

static struct node *cut(struct graph *g, struct node *x, int32_t axis, int64_t start)
{
	struct slice_range range = {dim_const(g->context->dims, start),
				    dim_const(g->context->dims, 2), 1};
	return build_slice(g, x, axis, range);
}

/* Backwards: x.dim[axis] - 1, ... 0 */
static struct node *turned(struct graph *g, struct node *x, int32_t axis)
{
	struct slice_range range = {dim_const(g->context->dims, x->type.dim[axis]->value - 1),
				    x->type.dim[axis], -1};
	return build_slice(g, x, axis, range);
}

static struct node *join(struct graph *g, struct node *a, struct node *b, int32_t axis)
{
	return build_concat(g, (struct node *[]){a, b}, 2, axis);
}

static struct node *rows(struct graph *g, struct node *x, int32_t axis)
{
	static const int64_t index[3] = {2, 0, 3}, three = 3;
	struct type t = type_fixed(g->context, NORMC_I64, 1, &three);
	return build_gather(g, x, build_constant(g, &t, index, sizeof index), axis);
}

static struct node *padded(struct graph *g, struct node *x, enum pad_mode mode, double value)
{
	struct attr_pad attr = {.mode = mode};
	for (int32_t i = 0; i < x->type.rank; i++)
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, i >= 2);
	return build_pad(g, x, number(g, value), &attr);
}

/* Adds a value as another output. */
static struct node *shown(struct graph *g, struct node *x)
{
	graph_output(g, x, "h");
	return x;
}

/* ---- forms with several branches ---- */

static struct node *joined_convs(struct graph *g, int32_t axis)
{
	return join(g, conv(g, image(g)), conv(g, other_image(g)), axis);
}

/* Both terms come from one map. */
static struct node *branches(struct graph *g, struct node *x)
{
	return part_add(g, max_pool(g, x, 1), average_inside(g, x, 2));
}

/* Two readers of the same channels, one of them with a map. */
static struct node *half_mapped(struct graph *g, struct node *x)
{
	return join(g, bent(g, bn(g, cut(g, x, 1, 1))), bent(g, cut(g, x, 1, 0)), 1);
}

/* A convolution reads x, and another operation. */
static struct node *both(struct graph *g, struct node *x)
{
	return join(g, conv(g, x), bent(g, x), 1);
}

/* Two halves of the channels, with maps of their own. */
static struct node *halves(struct graph *g, struct node *x, bool first, bool second)
{
	struct node *a = cut(g, x, 1, 0), *b = cut(g, x, 1, 2);
	return join(g, bent(g, first ? bn(g, a) : a), bent(g, second ? bn(g, b) : b), 1);
}

/* Slices that overlap. */
static struct node *overlapping(struct graph *g, struct node *x)
{
	struct node *a = scale(g, cut(g, x, 1, 0), 1), *b = scale(g, cut(g, x, 1, 1), 1);
	return bent(g, join(g, a, b, 1));
}

/* The same scale for all, asked by two readers that move the value. */
static struct node *asked_twice(struct graph *g, struct node *x, double other)
{
	struct node *a = times(g, shaped(g, x, SHAPE(2, 4, 25)), 3);
	struct node *b = times(g, last_first(g, x), other);
	return join(g, bent(g, shaped(g, a, SHAPE(200))), bent(g, shaped(g, b, SHAPE(200))), 0);
}

/* A scale of channels, as a vector of all elements of an image. */
static struct node *flat_scale(struct graph *g, struct node *x, bool by_channel)
{
	double value[100];
	for (int i = 0; i < 100; i++)
		value[i] = 0.5 + (by_channel ? i / 25 : i % 7);
	return part_mul(g, shaped(g, x, SHAPE(2, 100)), part_values(g, SHAPE(1, 100), value));
}

/* One term is a rectifier's, so that the shift must go to the other. */
static struct node *one_rectified(struct graph *g, struct node *x, bool first)
{
	struct node *a = relu(g, conv(g, x)), *b = conv(g, x);
	struct node *sum = first ? part_add(g, a, b) : part_add(g, b, a);
	return bent(g, shift(g, gain(g, sum, 1), 1));
}

/* alpha x W + beta c, c of any shape. */
static struct node *gemm(struct graph *g, double alpha, double beta, struct shape c,
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
static struct node *layer_scale(struct graph *g, struct node *x)
{
	struct node *branch = linear(g, bent(g, linear(g, x)));
	return part_add(g, x, scale(g, shift(g, branch, 2), 2));
}

/* tanh(alpha (x W + b)) */
static struct node *dyt_alpha(struct graph *g, struct node *x)
{
	return bent(g, times(g, shift(g, linear(g, x), 2), 0.7));
}

static struct node *dyt(struct graph *g, struct node *x)
{
	return shift(g, scale(g, bent(g, times(g, x, 0.7)), 2), 2);
}

/* Two branches scaled alike, or not. */
static struct node *scaled_sum(struct graph *g, double a, double b)
{
	struct node *x = image(g), *y = bent(g, x), *z = build_unary(g, OP_sin, x);
	return bent(g, conv(g, part_add(g, times(g, y, a), times(g, z, b))));
}

/* W times the scale is beyond all numbers, but no value is. */
static struct node *large(struct graph *g, struct node *x)
{
	struct type t = type_fixed(g->context, NORMC_F32, 2, (const int64_t[]){6, 4});
	return build_matmul(g, x, build_splat(g, &t, 1e4));
}

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

int main(void)
{
	const struct CMUnitTest tests[] = {BENCH_TEST(test_infinite)};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	return RUN_REWRITE_CASES("affine", cases) + failed;
}
