/* Streams without their last coordinate: a table of graphs whose norms become CRMSNorm, and of near
 * misses in which the stream keeps all coordinates.
 */
#include "algebra_case.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

static struct node *rows(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, ROWS, WIDTH));
}

/* x W + b, of width WIDTH */
static struct node *linear(struct graph *g, struct node *x)
{
	return part_add(g, part_linear(g, x, WIDTH), part_weights(g, SHAPE(WIDTH)));
}

static struct node *layer_norm(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){.centred = true, .gamma = true, .beta = true});
}

static struct node *plain_norm(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){.centred = true});
}

static struct node *tanh_of(struct graph *g, struct node *x)
{
	return build_unary(g, OP_tanh, x);
}

/* x + linear(tanh(linear(norm(x)))) */
static struct node *block(struct graph *g, struct node *x)
{
	return part_add(g, x, linear(g, tanh_of(g, linear(g, layer_norm(g, x)))));
}

static struct node *head(struct graph *g, struct node *x)
{
	return linear(g, layer_norm(g, x));
}

/* The start of a stream: weights make it. */
static struct node *stream(struct graph *g)
{
	return linear(g, rows(g));
}

static struct node *one_dimension(struct graph *g, enum op op, struct node *x)
{
	return build_reduce(g, op, x, 4, true);
}

static struct slice_range range(struct graph *g, int64_t start, int64_t extent)
{
	return (struct slice_range){dim_const(g->context->dims, start),
				    dim_const(g->context->dims, extent), 1};
}

/* A norm over channels first, and a convolution that reads it. */
static struct node *pixels(struct graph *g, struct part_conv reader)
{
	struct attr_norm attr = {.axes = 2,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 1e-2};
	struct node *x = part_input(g, "x", SHAPE(2, 3, 4, 4));
	x = part_conv(g, x, (struct part_conv){WIDTH, 2, 0, 1});
	x = part_add(g, x, part_weights(g, SHAPE(1, WIDTH, 1, 1)));
	return part_conv(g, build_norm(g, (struct norm_operands){.x = x}, &attr), reader);
}

static struct node *look_up(struct graph *g, struct node *table)
{
	struct attr_arg arg = {.axis = 2};
	struct node *x = rows(g);
	x = graph_node(g, OP_argmax, &x, 1, (union attr){.arg = &arg});
	return build_gather(g, table, build_reshape(g, x, 2, x->type.dim), 0);
}

/* The norm of a stream with one detail of it changed, and a product. */
static struct node *other_norm(struct graph *g, struct attr_norm attr)
{
	attr.axes = 4;
	attr.centre = NORM_CENTRE_MEAN;
	attr.epsilon = 1e-2;
	return linear(g, build_norm(g, (struct norm_operands){.x = stream(g)}, &attr));
}

/* ---- graphs whose streams are compressed ---- */

static struct node *projection(struct graph *g)
{
	return head(g, stream(g));
}

static struct node *residual(struct graph *g)
{
	return head(g, block(g, block(g, stream(g))));
}

static struct node *no_parameters(struct graph *g)
{
	struct node *x = stream(g);
	x = part_add(g, x, linear(g, tanh_of(g, linear(g, plain_norm(g, x)))));
	return linear(g, plain_norm(g, x));
}

/* Its weights lose a column for the stream and are subtracted from each other for the norm. */
static struct node *linear_branch(struct graph *g)
{
	struct node *x = stream(g);
	return head(g, part_add(g, x, linear(g, layer_norm(g, x))));
}

static struct node *tied_table(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct node *words = part_weights(g, SHAPE(9, WIDTH));
	struct node *x = part_add(g, look_up(g, words), part_weights(g, SHAPE(1, ROWS, WIDTH)));
	x = layer_norm(g, block(g, x));
	return build_matmul(g, x, build_transpose(g, words, swap));
}

/* So many that folding leaves the transpose. */
static struct node *transposed_weights(struct graph *g)
{
	enum { MANY = 44000 };
	static const int32_t swap[2] = {1, 0};
	return build_matmul(g, layer_norm(g, block(g, stream(g))),
			    build_transpose(g, part_weights(g, SHAPE(MANY, WIDTH)), swap));
}

static struct node *class_token(struct graph *g)
{
	struct node *x = stream(g), *in[2];
	const struct dim *dim[3] = {x->type.dim[0], dim_const(g->context->dims, 1), x->type.dim[2]};
	in[0] = build_broadcast(g, part_weights(g, SHAPE(1, 1, WIDTH)), 3, dim);
	in[1] = x;
	x = part_add(g, build_concat(g, in, 2, 1), part_weights(g, SHAPE(1, ROWS + 1, WIDTH)));
	x = layer_norm(g, block(g, x));
	return linear(g, build_slice(g, x, 1, range(g, 0, 1)));
}

static struct node *scaled_stream(struct graph *g)
{
	struct node *x = stream(g), *half = build_number(g, NORMC_F32, 0.5);
	x = build_binary(g, OP_sub, part_mul(g, x, half), linear(g, layer_norm(g, x)));
	return head(g, build_binary(g, OP_div, x, build_number(g, NORMC_F32, 3)));
}

static struct node *shifted_stream(struct graph *g)
{
	return head(g, part_add(g, block(g, stream(g)), build_number(g, NORMC_F32, 2)));
}

static struct node *parallel_block(struct graph *g)
{
	struct node *x = stream(g), *n = layer_norm(g, x);
	return head(g,
		    part_add(g, part_add(g, x, linear(g, n)), linear(g, tanh_of(g, linear(g, n)))));
}

static struct node *mean_of_rows(struct graph *g)
{
	return head(g, build_mean(g, block(g, stream(g)), 2, true));
}

static struct node *weights_on_the_left(struct graph *g)
{
	struct attr_norm attr = {.axes = 2,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 1e-2};
	struct node *x = part_input(g, "x", SHAPE(2, WIDTH, 5));
	x = build_matmul(g, part_weights(g, SHAPE(1, WIDTH, WIDTH)), x);
	x = build_norm(g, (struct norm_operands){.x = x}, &attr);
	return build_matmul(g, part_weights(g, SHAPE(1, 4, WIDTH)), x);
}

static struct node *weights_for_each_batch(struct graph *g)
{
	return build_matmul(g, plain_norm(g, stream(g)), part_weights(g, SHAPE(2, WIDTH, 4)));
}

static struct node *convolution(struct graph *g)
{
	return pixels(g, (struct part_conv){4, 2, 0, 1});
}

static struct node *padded_convolution(struct graph *g)
{
	return pixels(g, (struct part_conv){4, 3, 1, 1});
}

static struct node *doubles(struct graph *g)
{
	struct node *x = build_cast(g, stream(g), NORMC_F64);
	struct node *w = build_cast(g, part_weights(g, SHAPE(WIDTH, 4)), NORMC_F64);
	return build_matmul(g, plain_norm(g, x), w);
}

static struct node *stream_and_head(struct graph *g, struct node *v)
{
	return head(g, linear(g, v));
}

/* A whole stream in a branch. */
static struct node *in_region(struct graph *g)
{
	return part_choice(g, rows(g), stream_and_head);
}

/* The other stream is read by a softmax. */
static struct node *one_of_two(struct graph *g)
{
	struct node *x = linear(g, tanh_of(g, rows(g)));
	x = part_add(g, build_softmax(g, x, 2, false), head(g, x));
	return part_add(g, tanh_of(g, x), head(g, linear(g, tanh_of(g, x))));
}

static struct node *weights_equal_for_all(struct graph *g)
{
	struct node *w = part_weights(g, SHAPE(1, 4));
	const struct dim *dim[2] = {dim_const(g->context->dims, WIDTH), w->type.dim[1]};
	struct node *x = plain_norm(g, stream(g));
	return part_add(g, build_matmul(g, x, build_broadcast(g, w, 2, dim)), part_linear(g, x, 4));
}

/* ---- near misses ---- */

/* A branch sees the stream, or what a norm makes of it. */
static struct node *into_region(struct graph *g)
{
	struct node *x = stream(g);
	return part_add(g, head(g, x), part_choice(g, x, tanh_of));
}

static struct node *result_into_region(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	return part_add(g, linear(g, x), part_choice(g, x, tanh_of));
}

static struct node *result_is_output(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	graph_output(g, x, "h");
	return linear(g, x);
}

static struct node *moved_result_is_output(struct graph *g)
{
	static const int32_t swap[3] = {1, 0, 2};
	struct node *x = build_transpose(g, plain_norm(g, stream(g)), swap);
	graph_output(g, x, "h");
	return linear(g, x);
}

static struct node *nonlinear_reader(struct graph *g)
{
	return linear(g, tanh_of(g, plain_norm(g, stream(g))));
}

static struct node *second_reader(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	return part_add(g, linear(g, x), one_dimension(g, OP_reduce_max, x));
}

static struct node *result_summed(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	return part_add(g, linear(g, x), one_dimension(g, OP_reduce_sum, part_mul(g, x, x)));
}

/* Gamma cannot join all weights. */
static struct node *gamma_stays(struct graph *g)
{
	struct node *x = layer_norm(g, stream(g));
	return part_add(g, linear(g, x), one_dimension(g, OP_reduce_max, x));
}

static struct node *softmax_of_stream(struct graph *g)
{
	struct node *x = stream(g);
	return part_add(g, build_softmax(g, x, 2, false), head(g, x));
}

static struct node *computed_source(struct graph *g)
{
	return head(g, block(g, tanh_of(g, rows(g))));
}

static struct node *norm_in_stream(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	return linear(g, plain_norm(g, part_add(g, x, part_weights(g, SHAPE(WIDTH)))));
}

static struct node *stream_is_output(struct graph *g)
{
	struct node *x = block(g, stream(g));
	graph_output(g, x, "h");
	return head(g, x);
}

static struct node *stream_read_raw(struct graph *g)
{
	struct node *x = block(g, stream(g));
	return part_add(g, head(g, x), linear(g, x));
}

static struct node *features_cut(struct graph *g)
{
	struct node *x = build_slice(g, plain_norm(g, stream(g)), 2, range(g, 0, WIDTH - 1));
	return linear(g, x);
}

static struct node *features_split(struct graph *g)
{
	struct node *x = plain_norm(g, stream(g));
	const struct dim *dim[4] = {x->type.dim[0], x->type.dim[1], dim_const(g->context->dims, 2),
				    dim_const(g->context->dims, 3)};
	return build_matmul(g, build_reshape(g, x, 4, dim), part_weights(g, SHAPE(3, 4)));
}

static struct node *other_axis_summed(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct node *x = part_linear(g, part_input(g, "x", SHAPE(WIDTH, WIDTH)), WIDTH);
	return part_linear(g, build_transpose(g, plain_norm(g, x), swap), 4);
}

static struct node *computed_weights(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	struct node *x = plain_norm(g, stream(g));
	return build_matmul(g, x, build_transpose(g, x, swap));
}

static struct node *grouped_convolution(struct graph *g)
{
	return pixels(g, (struct part_conv){4, 2, 0, 2});
}

static struct node *unbiased(struct graph *g)
{
	return other_norm(g, (struct attr_norm){.scale = NORM_SCALE_RMS, .unbiased = true});
}

static struct node *length_as_scale(struct graph *g)
{
	return other_norm(g, (struct attr_norm){.scale = NORM_SCALE_L2});
}

static struct node *epsilon_outside(struct graph *g)
{
	return other_norm(g, (struct attr_norm){.scale = NORM_SCALE_RMS,
						.epsilon_place = NORM_EPSILON_OUTSIDE});
}

static struct node *large_weights(struct graph *g)
{
	static const double large[WIDTH] = {1e38, -1e38, 1, 2, 3, 1e38};
	struct node *x = plain_norm(g, stream(g));
	return build_matmul(g, x, part_values(g, SHAPE(WIDTH, 1), large));
}

/* ---- the table ---- */

static uint32_t count_norms(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == OP_norm;
	return n;
}

static void no_norm(const struct graph *g)
{
	assert_int_equal(count_norms(g), 0);
}

/* The last column of the first weights is zero, and no other. */
static void no_last_column(const struct graph *g)
{
	const struct node *w = NULL;
	for (uint32_t i = 0; i < g->n_nodes && !w; i++)
		if (g->nodes[i]->op == OP_matmul)
			w = constant_of(g->nodes[i]->in[1]);
	no_norm(g);
	assert_non_null(w);
	for (int64_t i = 0; i < WIDTH * WIDTH; i++)
		assert_int_equal(constant_at(w, i) == 0, i % WIDTH == WIDTH - 1);
}

static void a_norm(const struct graph *g)
{
	assert_true(count_norms(g) > 0);
}

#define FIRES(name)                                                                                \
	{                                                                                          \
#name, name, "crms", true, "+crms", no_norm                                        \
	}
#define MISSES(name)                                                                               \
	{                                                                                          \
#name, name, "crms", false, "+crms", a_norm                                        \
	}

static const struct rewrite_case cases[] = {
		{"projection", projection, "crms", true, "+crms", no_last_column},
		FIRES(residual),
		FIRES(no_parameters),
		FIRES(linear_branch),
		FIRES(tied_table),
		FIRES(transposed_weights),
		FIRES(class_token),
		FIRES(scaled_stream),
		FIRES(shifted_stream),
		FIRES(parallel_block),
		FIRES(mean_of_rows),
		FIRES(weights_on_the_left),
		FIRES(weights_for_each_batch),
		FIRES(convolution),
		FIRES(padded_convolution),
		FIRES(doubles),
		FIRES(weights_equal_for_all),
		FIRES(in_region),
		{"one_of_two", one_of_two, "crms", true, "+crms", a_norm},
		MISSES(into_region),
		MISSES(result_into_region),
		MISSES(result_is_output),
		MISSES(moved_result_is_output),
		MISSES(nonlinear_reader),
		MISSES(second_reader),
		MISSES(result_summed),
		MISSES(gamma_stays),
		MISSES(softmax_of_stream),
		MISSES(computed_source),
		MISSES(norm_in_stream),
		MISSES(stream_is_output),
		MISSES(stream_read_raw),
		MISSES(features_cut),
		MISSES(features_split),
		MISSES(other_axis_summed),
		MISSES(computed_weights),
		MISSES(grouped_convolution),
		MISSES(unbiased),
		MISSES(length_as_scale),
		MISSES(epsilon_outside),
		MISSES(large_weights),
		{"not_asked_for", residual, "crms", false, NULL, a_norm},
		{"without_absorb", residual, "crms", false, "+crms,-absorb", a_norm},
		{"taken_back", residual, "crms", false, "+crms,-crms", a_norm},
};

int main(void)
{
	return RUN_REWRITE_CASES("crms", cases) | RUN_ALGEBRA_CASES("crms", cases);
}
