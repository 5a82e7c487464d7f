/* Changes of basis: a table of graphs in which scales behind sums go away, and of near misses in
 * which each must stay because both its operand and its result are held, or nothing may move.
 */
#include "rewrite_case.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

static struct node *tanh_of(struct graph *g, struct node *x)
{
	return build_unary(g, OP_tanh, x);
}

/* Held: no weights make it. */
static struct node *held(struct graph *g)
{
	return tanh_of(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)));
}

/* Free: weights make it. */
static struct node *product(struct graph *g)
{
	return part_linear(g, held(g), WIDTH);
}

static struct node *head(struct graph *g, struct node *x)
{
	return part_linear(g, x, 4);
}

static struct node *branch(struct graph *g, struct node *x)
{
	struct node *y = tanh_of(g, part_add(g, part_linear(g, x, 5), part_weights(g, SHAPE(5))));
	return part_add(g, part_linear(g, y, WIDTH), part_weights(g, SHAPE(WIDTH)));
}

static struct node *sum(struct graph *g, struct node *x)
{
	return part_add(g, x, branch(g, x));
}

static struct node *scaled(struct graph *g, struct node *x)
{
	return part_mul(g, x, part_positive(g, SHAPE(1, 1, WIDTH)));
}

/* Unified Normalization behind a sum, at inference. */
static struct node *block(struct graph *g, struct node *x)
{
	return part_add(g, scaled(g, sum(g, x)), part_weights(g, SHAPE(1, 1, WIDTH)));
}

static struct node *two_heads(struct graph *g, struct node *x)
{
	return part_add(g, head(g, x), tanh_of(g, head(g, x)));
}

static struct node *swap_last(struct graph *g, struct node *x)
{
	static const int32_t swap[3] = {0, 2, 1};
	return build_transpose(g, x, swap);
}

static struct node *layer_norm(struct graph *g, struct node *x, bool affine)
{
	return part_norm(g, x, (struct part_norm){.centred = true, .gamma = affine, .beta = affine});
}

static struct node *pixels(struct graph *g)
{
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	return part_conv(g, x, (struct part_conv){WIDTH, 3, 1, 0});
}

static struct node *scaled_pixels(struct graph *g, struct node *x)
{
	return part_mul(g, x, part_positive(g, SHAPE(1, WIDTH, 1, 1)));
}

static struct node *convolve(struct graph *g, struct node *x, int64_t groups)
{
	return part_conv(g, x, (struct part_conv){WIDTH, 3, 1, groups});
}

/* ---- graphs whose scales go away ---- */

static struct node *one_block(struct graph *g)
{
	return two_heads(g, block(g, block(g, product(g))));
}

static struct node *held_source(struct graph *g)
{
	return two_heads(g, block(g, block(g, held(g))));
}

static struct node *six_blocks(struct graph *g)
{
	struct node *x = product(g);
	for (int i = 0; i < 6; i++)
		x = block(g, x);
	return head(g, x);
}

static struct node *scales_only(struct graph *g)
{
	struct node *x = scaled(g, sum(g, product(g)));
	return two_heads(g, scaled(g, sum(g, x)));
}

static struct node *negative_scales(struct graph *g)
{
	struct node *x = part_mul(g, sum(g, product(g)), part_random(g, SHAPE(1, 1, WIDTH), -2, -1));
	return head(g, sum(g, x));
}

static struct node *divided(struct graph *g)
{
	struct node *s = part_positive(g, SHAPE(1, 1, WIDTH));
	return head(g, sum(g, build_binary(g, OP_div, sum(g, product(g)), s)));
}

static struct node *before_an_output(struct graph *g)
{
	return block(g, product(g));
}

static struct node *parallel_branches(struct graph *g)
{
	struct node *x = block(g, product(g));
	x = scaled(g, part_add(g, part_add(g, x, branch(g, x)), branch(g, x)));
	return head(g, sum(g, x));
}

static struct node *difference(struct graph *g)
{
	struct node *x = block(g, product(g));
	return head(g, build_binary(g, OP_sub, branch(g, x), x));
}

static struct node *tokens(struct graph *g)
{
	struct node *class = part_weights(g, SHAPE(1, 1, WIDTH)), *x = product(g);
	const struct dim *dim[3] = {x->type.dim[0], dim_const(g->context->dims, 1), x->type.dim[2]};
	struct slice_range first = {dim_const(g->context->dims, 0), dim_const(g->context->dims, 1),
				    1};
	x = build_concat(g, (struct node *[]){build_broadcast(g, class, 3, dim), x}, 2, 1);
	x = part_add(g, x, part_weights(g, SHAPE(1, ROWS + 1, WIDTH)));
	return head(g, build_slice(g, block(g, block(g, x)), 1, first));
}

static struct node *mean_of_tokens(struct graph *g)
{
	return head(g, build_mean(g, block(g, block(g, product(g))), 1u << 1, false));
}

static struct node *behind_views(struct graph *g)
{
	struct node *x = block(g, product(g));
	const struct dim *dim[2] = {dim_const(g->context->dims, 2 * ROWS), x->type.dim[2]};
	x = build_reshape(g, x, 2, dim);
	return part_add(g, x, build_matmul(g, tanh_of(g, part_linear(g, x, 5)),
					   part_weights(g, SHAPE(5, WIDTH))));
}

static struct node *table_of_words(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_I64, 2, (const int64_t[]){2, ROWS});
	struct node *word = graph_input(g, "word", &t);
	struct node *x = build_gather(g, part_weights(g, SHAPE(12, WIDTH)), word, 0);
	return two_heads(g, block(g, block(g, x)));
}

static struct node *norm_as_source(struct graph *g)
{
	struct node *x = layer_norm(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)), true);
	return block(g, part_add(g, x, part_linear(g, x, WIDTH)));
}

static struct node *one_number_for_all(struct graph *g)
{
	struct node *x = part_add(g, block(g, product(g)), part_weights(g, SHAPE(1, 1, 1)));
	return part_add(g, scaled(g, sum(g, x)), part_weights(g, SHAPE(1, ROWS, 1)));
}

static struct node *multiplied_by_tokens(struct graph *g)
{
	struct node *x = part_mul(g, block(g, product(g)), part_weights(g, SHAPE(1, ROWS, WIDTH)));
	return head(g, sum(g, x));
}

static struct node *masked(struct graph *g)
{
	struct type t = type_fixed(g->context, NORMC_BOOL, 3, (const int64_t[]){2, ROWS, 1});
	struct node *mask = graph_input(g, "mask", &t), *x = block(g, product(g));
	return head(g, sum(g, build_where(g, mask, x, part_weights(g, SHAPE(1, 1, WIDTH)))));
}

static struct node *zero_before_another(struct graph *g)
{
	struct node *zero = PART_VALUES(g, SHAPE(1, 1, WIDTH), 1, 2, 0, 3, 4, 5);
	struct node *x = scaled(g, sum(g, product(g)));
	return head(g, sum(g, part_mul(g, sum(g, x), zero)));
}

static struct node *between_two_held(struct graph *g)
{
	return tanh_of(g, block(g, block(g, held(g))));
}

static struct node *far_apart(struct graph *g)
{
	struct node *x = product(g);
	for (int i = 0; i < 3; i++)
		x = part_mul(g, sum(g, x), part_random(g, SHAPE(1, 1, WIDTH), 1e-4, 2e-4));
	return two_heads(g, x);
}

/* The weights lie between the bases before and after. */
static struct node *weights_between(struct graph *g)
{
	return block(g, part_linear(g, block(g, product(g)), WIDTH));
}

static struct node *many_weights(struct graph *g)
{
	enum { MANY = 44000 };
	static const int32_t swap[2] = {1, 0};
	struct node *x = block(g, product(g));
	struct node *w = build_transpose(g, part_weights(g, SHAPE(MANY, WIDTH)), swap);
	struct node *y = build_reduce(g, OP_reduce_max, build_matmul(g, x, w), 1u << 2, true);
	return part_add(g, y, head(g, sum(g, x)));
}

static struct node *weights_on_the_left(struct graph *g)
{
	struct node *x = swap_last(g, block(g, product(g)));
	struct node *y = tanh_of(g, build_matmul(g, part_weights(g, SHAPE(1, 4, WIDTH)), x));
	return part_add(g, x, build_matmul(g, part_weights(g, SHAPE(1, WIDTH, 4)), y));
}

static struct node *convolutions(struct graph *g)
{
	struct node *x = pixels(g);
	x = scaled_pixels(g, part_add(g, x, convolve(g, tanh_of(g, convolve(g, x, 0)), 0)));
	return part_add(g, x, convolve(g, tanh_of(g, convolve(g, x, 0)), 0));
}

static struct node *grouped_convolutions(struct graph *g)
{
	struct node *x = pixels(g);
	x = scaled_pixels(g, part_add(g, x, convolve(g, tanh_of(g, convolve(g, x, 3)), 2)));
	return tanh_of(g, part_add(g, convolve(g, x, 2), convolve(g, x, WIDTH)));
}

static struct node *average_pooling(struct graph *g)
{
	struct attr_pool pool = {.spatial = 2};
	for (int32_t i = 0; i < 2; i++) {
		pool.kernel[i] = 2;
		pool.stride[i] = pool.dilation[i] = 1;
		pool.before[i] = pool.after[i] = dim_const(g->context->dims, 1);
	}
	struct node *x = pixels(g);
	x = scaled_pixels(g, part_add(g, x, convolve(g, tanh_of(g, x), 0)));
	return tanh_of(g, convolve(g, build_pool(g, OP_pool_sum, x, &pool), 0));
}

static struct node *in_f64(struct graph *g)
{
	struct node *x = build_cast(g, block(g, product(g)), NORMC_F64);
	struct node *w = build_cast(g, part_weights(g, SHAPE(WIDTH, WIDTH)), NORMC_F64);
	struct node *y = build_matmul(g, build_cast(g, held(g), NORMC_F64), w);
	return build_cast(g, part_add(g, x, y), NORMC_F32);
}

/* ---- near misses ---- */

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
	struct node *x = build_unary(g, OP_sign, part_input(g, "x", SHAPE(2, ROWS, WIDTH)));
	x = build_cast(g, build_matmul(g, build_cast(g, x, NORMC_F16), w), NORMC_F32);
	return scaled(g, part_add(g, x, part_linear(g, tanh_of(g, x), WIDTH)));
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

static bool is_scale(const struct node *n)
{
	return (n->op == OP_mul || n->op == OP_div) &&
	       (constant_of(n->in[0]) || constant_of(n->in[1]));
}

static uint32_t count_scales(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += is_scale(g->nodes[i]);
	return n;
}

static void no_scale(const struct graph *g)
{
	assert_int_equal(count_scales(g), 0);
}

static void one_scale(const struct graph *g)
{
	assert_int_equal(count_scales(g), 1);
}

/* Nor a shift: constants are added to products, or to what sums them up. */
static void no_map(const struct graph *g)
{
	no_scale(g);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->op == OP_add && constant_of(n->in[1]))
			assert_int_equal(n->in[0]->op, OP_matmul);
	}
}

#define FIRES(name, check)                                                                         \
	{                                                                                          \
		#name, name, "gauge", true, NULL, check                                            \
	}
#define MISSES(name)                                                                               \
	{                                                                                          \
		#name, name, "gauge", false, NULL, one_scale                                       \
	}

static const struct rewrite_case cases[] = {
		FIRES(one_block, no_map),
		FIRES(held_source, no_map),
		FIRES(six_blocks, no_map),
		FIRES(scales_only, no_map),
		FIRES(negative_scales, no_map),
		FIRES(divided, no_map),
		FIRES(before_an_output, no_map),
		FIRES(parallel_branches, no_map),
		FIRES(difference, no_map),
		FIRES(tokens, no_scale),
		FIRES(mean_of_tokens, one_scale), /* 1/n of the mean */
		FIRES(behind_views, no_map),
		FIRES(table_of_words, no_map),
		FIRES(norm_as_source, no_map),
		FIRES(one_number_for_all, no_scale),
		FIRES(multiplied_by_tokens, one_scale),
		FIRES(masked, no_map),
		FIRES(zero_before_another, one_scale),
		FIRES(between_two_held, one_scale),
		FIRES(far_apart, one_scale),
		FIRES(weights_between, no_map),
		FIRES(many_weights, no_map),
		FIRES(weights_on_the_left, no_scale),
		FIRES(convolutions, no_scale),
		FIRES(grouped_convolutions, no_scale),
		FIRES(average_pooling, no_scale),
		FIRES(in_f64, no_map),
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
		MISSES(features_cut),
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
		MISSES(infinite_constant),
		MISSES(mask_of_channels),
		MISSES(meets_itself),
		MISSES(constant_that_would_grow),
		MISSES(small_type),
		MISSES(greatest_of_pixels),
		MISSES(rectified),
		MISSES(computed_filters),
		{"left_out", one_block, "gauge", false, "-gauge", NULL},
};

int main(void)
{
	return RUN_REWRITE_CASES("gauge", cases);
}
