/* Changes of basis: a table of graphs in which scales behind sums go away.  Near misses are in
 * test_gauge_misses.c.
 */
#include "gauge_parts.h"

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
	struct node *x =
			part_mul(g, sum(g, product(g)), part_random(g, SHAPE(1, 1, WIDTH), -2, -1));
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
	return part_add(g, x,
			build_matmul(g, tanh_of(g, part_linear(g, x, 5)),
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
	struct node *x = part_mul(g, block(g, held(g)), part_weights(g, SHAPE(1, ROWS, WIDTH)));
	return head(g, sum(g, x));
}

static struct node *scaled_by_tokens(struct graph *g)
{
	struct node *x = part_mul(g, block(g, held(g)), part_positive(g, SHAPE(1, ROWS, 1)));
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
	struct node *x = block(g, held(g));
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

static struct node *made_by_groups(struct graph *g)
{
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	return scaled_pixels(g, part_add(g, convolve(g, x, 2), convolve(g, x, 3)));
}

static struct node *held_later(struct graph *g)
{
	struct node *second, *z = meet_later(g, sum(g, product(g)), &second);
	graph_output(g, tanh_of(g, second), "h");
	return head(g, z);
}

static struct node *sum_with_a_reader(struct graph *g)
{
	struct node *x = sum(g, product(g));
	struct node *y = part_add(g, scaled(g, x), part_weights(g, SHAPE(1, 1, WIDTH)));
	return part_add(g, head(g, x), head(g, sum(g, y)));
}

static struct node *scale_with_a_reader(struct graph *g)
{
	struct node *y = scaled(g, sum(g, product(g)));
	struct node *z = part_add(g, y, part_weights(g, SHAPE(1, 1, WIDTH)));
	return part_add(g, head(g, y), head(g, sum(g, z)));
}

static struct node *branch_with_a_reader(struct graph *g)
{
	struct node *x = product(g), *y = branch(g, x);
	struct node *z = scaled(g, part_add(g, x, y));
	z = part_add(g, z, part_weights(g, SHAPE(1, 1, WIDTH)));
	return part_add(g, head(g, y), head(g, sum(g, z)));
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

/* ---- the table ---- */

/* What maps on their way through operations take, without them. */
#define ALONE "-fold_norm,-absorb"
#define FIRES(name, check)                                                                         \
	{                                                                                          \
#name, name, "gauge", true, NULL, check                                            \
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
		FIRES(scaled_by_tokens, one_scale),
		FIRES(masked, no_map),
		FIRES(zero_before_another, one_scale),
		FIRES(between_two_held, one_scale),
		FIRES(far_apart, one_scale),
		FIRES(weights_between, no_map),
		FIRES(many_weights, no_map),
		FIRES(weights_on_the_left, no_scale),
		FIRES(convolutions, no_scale),
		{"grouped_convolutions", grouped_convolutions, "gauge", true, ALONE, no_scale},
		{"made_by_groups", made_by_groups, "gauge", true, ALONE, no_scale},
		FIRES(held_later, one_scale),
		{"sum_with_a_reader", sum_with_a_reader, "gauge", true, ALONE, one_shift},
		{"scale_with_a_reader", scale_with_a_reader, "gauge", true, ALONE, one_shift},
		{"branch_with_a_reader", branch_with_a_reader, "gauge", true, ALONE, one_shift},
		{"average_pooling", average_pooling, "gauge", true, ALONE, no_scale},
		FIRES(in_f64, no_map),
		{"left_out", one_block, "gauge", false, "-gauge", NULL},
};

int main(void)
{
	return RUN_REWRITE_CASES("gauge", cases) | RUN_ALGEBRA_CASES("gauge", cases);
}
