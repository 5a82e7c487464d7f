/* Affine maps before products: a table of graphs in which all of them join weights, and of near
 * misses in which one must stay.
 */
#include "algebra_case.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

/* A norm over the last of three axes, of nothing that could be recentred. */
static struct node *normed(struct graph *g, bool gamma, bool beta)
{
	struct part_norm p = {.centred = true, .gamma = gamma, .beta = beta};
	return part_norm(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)), p);
}

static struct node *layer_norm(struct graph *g)
{
	return normed(g, true, true);
}

static struct node *linear(struct graph *g, struct node *x)
{
	return part_linear(g, x, 4);
}

static struct node *convolve(struct graph *g, struct node *x, int64_t padding, int64_t groups)
{
	return part_conv(g, x, (struct part_conv){4, 2, padding, groups});
}

/* tanh, so that no product before it takes the map. */
static struct node *channels(struct graph *g)
{
	return build_unary(g, OP_tanh, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
}

static struct node *scaled(struct graph *g, struct node *x)
{
	return part_mul(g, x, part_weights(g, SHAPE(1, WIDTH, 1, 1)));
}

static struct node *shifted(struct graph *g, struct node *x)
{
	return part_add(g, x, part_weights(g, SHAPE(1, WIDTH, 1, 1)));
}

/* ---- graphs whose maps go away ---- */

static struct node *one_reader(struct graph *g)
{
	return linear(g, layer_norm(g));
}

static struct node *reader_with_bias(struct graph *g)
{
	return part_add(g, linear(g, layer_norm(g)), part_weights(g, SHAPE(4)));
}

static struct node *several_readers(struct graph *g)
{
	struct node *x = layer_norm(g);
	return part_add(g, part_add(g, linear(g, x), linear(g, x)),
			build_unary(g, OP_tanh, linear(g, x)));
}

static struct node *gamma_only(struct graph *g)
{
	return linear(g, normed(g, true, false));
}

static struct node *beta_only(struct graph *g)
{
	return linear(g, normed(g, false, true));
}

static struct node *behind_reshape(struct graph *g)
{
	struct node *x = layer_norm(g);
	const struct dim *dim[2] = {dim_const(g->context->dims, 2 * ROWS), x->type.dim[2]};
	return build_matmul(g, build_reshape(g, x, 2, dim), part_weights(g, SHAPE(WIDTH, 4)));
}

static struct node *behind_slice(struct graph *g)
{
	struct slice_range first = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 1),
				    1};
	return linear(g, build_slice(g, layer_norm(g), 1, first));
}

/* So many that folding leaves the transpose. */
static struct node *transposed_weights(struct graph *g)
{
	enum { MANY = 44000 };
	static const int32_t swap[2] = {1, 0};
	return build_matmul(g, layer_norm(g),
			    build_transpose(g, part_weights(g, SHAPE(MANY, WIDTH)), swap));
}

static struct node *weights_on_the_left(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	return build_matmul(g, part_weights(g, SHAPE(1, 4, WIDTH)),
			    build_transpose(g, layer_norm(g), swap));
}

static struct node *weights_for_each_batch(struct graph *g)
{
	return build_matmul(g, layer_norm(g), part_weights(g, SHAPE(2, WIDTH, 4)));
}

static struct node *chain_of_maps(struct graph *g)
{
	return convolve(g, shifted(g, scaled(g, shifted(g, channels(g)))), 0, 1);
}

static struct node *scale_before_padding(struct graph *g)
{
	return convolve(g, scaled(g, channels(g)), 1, 1);
}

static struct node *shared_weights(struct graph *g)
{
	struct node *x = layer_norm(g), *w = part_weights(g, SHAPE(WIDTH, WIDTH));
	return build_matmul(g, build_unary(g, OP_tanh, build_matmul(g, x, w)), w);
}

/* ---- near misses ---- */

static struct node *map_is_output(struct graph *g)
{
	struct node *x = layer_norm(g);
	graph_output(g, x, "h");
	return linear(g, x);
}

static struct node *other_reader(struct graph *g)
{
	struct node *x = layer_norm(g);
	return build_concat(g, (struct node *[]){linear(g, x), build_unary(g, OP_tanh, x)}, 2, 2);
}

static struct node *nonlinear_between(struct graph *g)
{
	return linear(g, build_unary(g, OP_tanh, layer_norm(g)));
}

static struct node *other_axis_summed(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct part_norm p = {.centred = true, .gamma = true, .beta = true};
	struct node *x = part_norm(g, part_input(g, "x", SHAPE(1, WIDTH, WIDTH)), p);
	x = build_reshape(g, x, 2, x->type.dim + 1);
	return linear(g, build_transpose(g, x, swap));
}

static struct node *computed_weights(struct graph *g)
{
	struct node *x = layer_norm(g);
	static const int32_t swap[3] = {0, 2, 1};
	return build_matmul(g, x, build_transpose(g, x, swap));
}

static struct node *features_cut(struct graph *g)
{
	struct slice_range some = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 4),
				   1};
	return build_matmul(g, build_slice(g, layer_norm(g), 2, some),
			    part_weights(g, SHAPE(4, 4)));
}

static struct node *features_split(struct graph *g)
{
	struct node *x = layer_norm(g);
	const struct dim *dim[4] = {x->type.dim[0], x->type.dim[1], dim_const(g->context->dims, 2),
				    dim_const(g->context->dims, 3)};
	return build_matmul(g, build_reshape(g, x, 4, dim), part_weights(g, SHAPE(3, 4)));
}

static struct node *shift_before_padding(struct graph *g)
{
	return convolve(g, shifted(g, channels(g)), 1, 1);
}

static struct node *map_before_groups(struct graph *g)
{
	return convolve(g, scaled(g, channels(g)), 0, 2);
}

static struct node *map_before_pooling(struct graph *g)
{
	struct attr_pool pool = {.spatial = 2};
	for (int32_t i = 0; i < 2; i++) {
		pool.kernel[i] = 2;
		pool.stride[i] = pool.dilation[i] = 1;
		pool.before[i] = pool.after[i] = dim_const(g->context->dims, 0);
	}
	return convolve(g, build_pool(g, OP_pool_max, scaled(g, channels(g)), &pool), 0, 1);
}

/* A sum of how many elements is not known: neither one unknown extent nor two say so. */
static struct node *sum_over_unknown(struct graph *g, int32_t unknown)
{
	struct type t = type_fixed(g->context, NORMC_F32, 4, (const int64_t[]){2, WIDTH, 5, 5});
	static const char *const name[2] = {"H", "W"};
	for (int32_t i = 0; i < unknown; i++)
		t.dim[2 + i] = dim_symbol(g->context->dims,
					  (struct symbol){.name = name[i], .index = 2 + i});
	struct node *x = build_unary(g, OP_tanh, graph_input(g, "x", &t));
	return part_linear(g, build_reduce(g, OP_reduce_sum, shifted(g, x), 12, false), 4);
}

static struct node *shift_before_sum(struct graph *g)
{
	return sum_over_unknown(g, 0);
}

static struct node *shift_before_sum_over_width(struct graph *g)
{
	return sum_over_unknown(g, 1);
}

static struct node *shift_before_sum_over_both(struct graph *g)
{
	return sum_over_unknown(g, 2);
}

/* A bias that leaves its product is told like any other map. */
static struct node *bias_before_sum(struct graph *g)
{
	struct node *x = shifted(g, part_conv(g, channels(g), (struct part_conv){WIDTH, 2, 0, 1}));
	return part_linear(g, build_reduce(g, OP_reduce_sum, x, 12, false), 4);
}

static struct node *weights_overflow(struct graph *g)
{
	double large[WIDTH] = {1, 1, 3e38, 1, 1, 1};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	struct node *x = build_unary(g, OP_tanh, part_input(g, "x", SHAPE(2, ROWS, WIDTH)));
	struct type w = type_fixed(g->context, NORMC_F32, 2, (const int64_t[]){WIDTH, 1});
	static const double two[WIDTH] = {2, 2, 2, 2, 2, 2.5};
	return build_matmul(g, build_binary(g, OP_mul, x, build_doubles(g, &t, large)),
			    build_doubles(g, &w, two));
}

/* ---- the table ---- */

/* A map is left: parameters of a norm, a product or a sum with constants before the last product.
 */
static bool has_map(const struct graph *g)
{
	bool behind = false; /* a product or convolution was there already: sums are biases */
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->op == OP_norm && (n->attr.norm->gamma || n->attr.norm->beta))
			return true;
		behind = behind || n->op == OP_matmul || n->op == OP_conv;
		if (!behind && (n->op == OP_mul || n->op == OP_add))
			return true;
	}
	return false;
}

static void no_map(const struct graph *g)
{
	assert_false(has_map(g));
}

static void a_map(const struct graph *g)
{
	assert_true(has_map(g));
}

static const struct rewrite_case cases[] = {
		{"one_reader", one_reader, "absorb", true, NULL, no_map},
		{"reader_with_bias", reader_with_bias, "absorb", true, NULL, no_map},
		{"several_readers", several_readers, "absorb", true, NULL, no_map},
		{"gamma_only", gamma_only, "absorb", true, NULL, no_map},
		{"beta_only", beta_only, "absorb", true, NULL, no_map},
		{"behind_reshape", behind_reshape, "absorb", true, NULL, no_map},
		{"behind_slice", behind_slice, "absorb", true, NULL, no_map},
		{"transposed_weights", transposed_weights, "absorb", true, NULL, no_map},
		{"weights_on_the_left", weights_on_the_left, "absorb", true, NULL, no_map},
		{"weights_for_each_batch", weights_for_each_batch, "absorb", true, NULL, no_map},
		{"chain_of_maps", chain_of_maps, "absorb", true, NULL, no_map},
		{"scale_before_padding", scale_before_padding, "absorb", true, NULL, no_map},
		{"shared_weights", shared_weights, "absorb", true, NULL, no_map},
		{"shift_before_sum", shift_before_sum, "absorb", true, NULL, no_map},
		{"bias_before_sum", bias_before_sum, "absorb", true, NULL, NULL},
		{"shift_before_sum_over_width", shift_before_sum_over_width, "absorb", false, NULL,
		 a_map},
		{"shift_before_sum_over_both", shift_before_sum_over_both, "absorb", false, NULL,
		 a_map},
		{"map_is_output", map_is_output, "absorb", false, NULL, a_map},
		{"other_reader", other_reader, "absorb", false, NULL, a_map},
		{"nonlinear_between", nonlinear_between, "absorb", false, NULL, a_map},
		{"other_axis_summed", other_axis_summed, "absorb", false, NULL, a_map},
		{"computed_weights", computed_weights, "absorb", false, NULL, a_map},
		{"features_cut", features_cut, "absorb", true, NULL, no_map},
		{"features_split", features_split, "absorb", false, NULL, a_map},
		{"shift_before_padding", shift_before_padding, "absorb", true, NULL, no_map},
		{"map_before_groups", map_before_groups, "absorb", true, NULL, no_map},
		{"map_before_pooling", map_before_pooling, "absorb", false, NULL, a_map},
		{"weights_overflow", weights_overflow, "absorb", false, NULL, a_map},
};

int main(void)
{
	return RUN_REWRITE_CASES("absorb", cases) | RUN_ALGEBRA_CASES("absorb", cases);
}
