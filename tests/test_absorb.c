/* Affine maps before products: a table of graphs in which all of them join weights, and of near
 * misses in which one must stay.  Each graph keeps its meaning (the interpreter, in fp64).
 */
#include <string.h>

#include "meaning.h"
#include "pass.h"
#include "value.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

static struct node *weights(struct graph *g, struct shape shape)
{
	uint64_t seed = 23 + g->n_nodes;
	struct type t = type_fixed(g->context, NORMC_F32, shape.rank, shape.dim);
	int64_t count = type_fixed_count(&t);
	double *value = arena_new(g->context->arena, double, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		value[i] = test_random_range(&seed, -1, 1.5);
	return build_doubles(g, &t, value);
}

static struct node *input(struct graph *g, struct shape shape)
{
	struct type t = type_fixed(g->context, NORMC_F32, shape.rank, shape.dim);
	return graph_input(g, "x", &t);
}

/* A norm over the last of three axes, of nothing that could be recentred. */
static struct node *normed(struct graph *g, struct node *x, bool gamma, bool beta)
{
	struct attr_norm attr = {.axes = 4,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = gamma,
				 .beta = beta,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = x};
	if (gamma)
		in.gamma = weights(g, SHAPE(1, 1, WIDTH));
	if (beta)
		in.beta = weights(g, SHAPE(1, 1, WIDTH));
	return build_norm(g, in, &attr);
}

static struct node *layer_norm(struct graph *g)
{
	return normed(g, input(g, SHAPE(2, ROWS, WIDTH)), true, true);
}

static struct node *linear(struct graph *g, struct node *x)
{
	return build_matmul(g, x, weights(g, SHAPE(WIDTH, 4)));
}

static struct node *add(struct graph *g, struct node *a, struct node *b)
{
	return build_binary(g, OP_add, a, b);
}

static struct node *convolve(struct graph *g, struct node *x, int64_t padding, int64_t groups)
{
	struct attr_conv attr = {.spatial = 2, .groups = groups};
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = attr.dilation[i] = attr.x_dilation[i] = 1;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, padding);
	}
	return build_conv(g, x, weights(g, SHAPE(4, WIDTH / groups, 2, 2)), &attr);
}

/* tanh, so that no product before it takes the map. */
static struct node *channels(struct graph *g)
{
	return build_unary(g, OP_tanh, input(g, SHAPE(2, WIDTH, 4, 4)));
}

static struct node *scaled(struct graph *g, struct node *x)
{
	return build_binary(g, OP_mul, x, weights(g, SHAPE(1, WIDTH, 1, 1)));
}

static struct node *shifted(struct graph *g, struct node *x)
{
	return add(g, x, weights(g, SHAPE(1, WIDTH, 1, 1)));
}

/* ---- graphs whose maps go away ---- */

static struct node *one_reader(struct graph *g)
{
	return linear(g, layer_norm(g));
}

static struct node *reader_with_bias(struct graph *g)
{
	return add(g, linear(g, layer_norm(g)), weights(g, SHAPE(4)));
}

static struct node *several_readers(struct graph *g)
{
	struct node *x = layer_norm(g);
	return add(g, add(g, linear(g, x), linear(g, x)), build_unary(g, OP_tanh, linear(g, x)));
}

static struct node *gamma_only(struct graph *g)
{
	return linear(g, normed(g, input(g, SHAPE(2, ROWS, WIDTH)), true, false));
}

static struct node *beta_only(struct graph *g)
{
	return linear(g, normed(g, input(g, SHAPE(2, ROWS, WIDTH)), false, true));
}

static struct node *behind_reshape(struct graph *g)
{
	struct node *x = layer_norm(g);
	const struct dim *dim[2] = {dim_const(g->context->dims, 2 * ROWS), x->type.dim[2]};
	return build_matmul(g, build_reshape(g, x, 2, dim), weights(g, SHAPE(WIDTH, 4)));
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
			    build_transpose(g, weights(g, SHAPE(MANY, WIDTH)), swap));
}

static struct node *weights_on_the_left(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	return build_matmul(g, weights(g, SHAPE(1, 4, WIDTH)),
			    build_transpose(g, layer_norm(g), swap));
}

static struct node *weights_for_each_batch(struct graph *g)
{
	return build_matmul(g, layer_norm(g), weights(g, SHAPE(2, WIDTH, 4)));
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
	struct node *x = layer_norm(g), *w = weights(g, SHAPE(WIDTH, WIDTH));
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
	struct node *x = normed(g, input(g, SHAPE(1, WIDTH, WIDTH)), true, true);
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
	return build_matmul(g, build_slice(g, layer_norm(g), 2, some), weights(g, SHAPE(4, 4)));
}

static struct node *features_split(struct graph *g)
{
	struct node *x = layer_norm(g);
	const struct dim *dim[4] = {x->type.dim[0], x->type.dim[1], dim_const(g->context->dims, 2),
				    dim_const(g->context->dims, 3)};
	return build_matmul(g, build_reshape(g, x, 4, dim), weights(g, SHAPE(3, 4)));
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

static struct node *weights_overflow(struct graph *g)
{
	double large[WIDTH] = {1, 1, 3e38, 1, 1, 1};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	struct node *x = build_unary(g, OP_tanh, input(g, SHAPE(2, ROWS, WIDTH)));
	struct type w = type_fixed(g->context, NORMC_F32, 2, (const int64_t[]){WIDTH, 1});
	static const double two[WIDTH] = {2, 2, 2, 2, 2, 2.5};
	return build_matmul(g, build_binary(g, OP_mul, x, build_doubles(g, &t, large)),
			    build_doubles(g, &w, two));
}

/* ---- the table ---- */

struct sample {
	const char *name;
	struct node *(*make)(struct graph *g);
	bool fires;
};

static const struct sample samples[] = {
		{"one_reader", one_reader, true},
		{"reader_with_bias", reader_with_bias, true},
		{"several_readers", several_readers, true},
		{"gamma_only", gamma_only, true},
		{"beta_only", beta_only, true},
		{"behind_reshape", behind_reshape, true},
		{"behind_slice", behind_slice, true},
		{"transposed_weights", transposed_weights, true},
		{"weights_on_the_left", weights_on_the_left, true},
		{"weights_for_each_batch", weights_for_each_batch, true},
		{"chain_of_maps", chain_of_maps, true},
		{"scale_before_padding", scale_before_padding, true},
		{"shared_weights", shared_weights, true},
		{"map_is_output", map_is_output, false},
		{"other_reader", other_reader, false},
		{"nonlinear_between", nonlinear_between, false},
		{"other_axis_summed", other_axis_summed, false},
		{"computed_weights", computed_weights, false},
		{"features_cut", features_cut, false},
		{"features_split", features_split, false},
		{"shift_before_padding", shift_before_padding, false},
		{"map_before_groups", map_before_groups, false},
		{"map_before_pooling", map_before_pooling, false},
		{"weights_overflow", weights_overflow, false},
};

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

static void test_sample(void **state)
{
	const struct sample *sample = *state;
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct pass_log log = {0};
	struct pass_options options = {.verify = true, .log = &log};
	uint32_t done = 0;
	graph_output(b->graph, sample->make(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	assert_true(has_map(b->graph));
	assert_int_equal(has_map(g), !sample->fires);
	for (uint32_t i = 0; i < log.n_remarks; i++)
		done += !strcmp(log.remarks[i].rule, "absorb") && !log.remarks[i].missed;
	assert_int_equal(done > 0, sample->fires);
	same_meaning(b, b->graph, g, (struct meaning){.offset = 0.5, .tolerance = 1e-5});
	bench_close(&opened);
}

int main(void)
{
	enum { N = sizeof samples / sizeof *samples };
	struct CMUnitTest tests[N];
	for (int i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){samples[i].name, test_sample, NULL, NULL,
					       (void *)(uintptr_t)&samples[i]};
	return cmocka_run_group_tests_name("absorb", tests, NULL, NULL);
}
