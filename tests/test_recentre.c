/* LayerNorm to RMSNorm by zero-mean analysis: a table of graphs in which norms lose their means,
 * and of near misses in which none may.  Each graph keeps its meaning (the interpreter, in fp64),
 * and each norm that keeps its mean says why.
 */
#include <string.h>

#include "pass.h"
#include "meaning.h"
#include "value.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

/* Random numbers, as a constant whose means are not zero. */
static struct node *weights(struct graph *g, struct shape shape)
{
	uint64_t seed = 17 + g->n_nodes;
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

static struct node *rows(struct graph *g)
{
	return input(g, SHAPE(2, ROWS, WIDTH));
}

static struct node *add(struct graph *g, struct node *a, struct node *b)
{
	return build_binary(g, OP_add, a, b);
}

static struct node *mul(struct graph *g, struct node *a, struct node *b)
{
	return build_binary(g, OP_mul, a, b);
}

static struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

/* x W + b, of width WIDTH */
static struct node *linear(struct graph *g, struct node *x)
{
	int64_t k = x->type.dim[x->type.rank - 1]->value;
	return add(g, build_matmul(g, x, weights(g, SHAPE(k, WIDTH))), weights(g, SHAPE(WIDTH)));
}

static struct node *norm_over(struct graph *g, struct node *x, uint32_t axes, struct shape affine)
{
	struct attr_norm attr = {.axes = axes,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = affine.rank > 0,
				 .beta = affine.rank > 0,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = x};
	if (affine.rank) {
		in.gamma = weights(g, affine);
		in.beta = weights(g, affine);
	}
	return build_norm(g, in, &attr);
}

static struct node *layer_norm(struct graph *g, struct node *x)
{
	struct shape affine = {x->type.rank, {0}};
	for (int32_t i = 0; i < affine.rank; i++)
		affine.dim[i] = i == affine.rank - 1 ? WIDTH : 1;
	return norm_over(g, x, 1u << (x->type.rank - 1), affine);
}

static struct node *plain_norm(struct graph *g, struct node *x)
{
	return norm_over(g, x, 1u << (x->type.rank - 1), SCALAR);
}

/* x + linear(tanh(linear(norm(x)))) */
static struct node *block(struct graph *g, struct node *x)
{
	struct node *h = build_unary(g, OP_tanh, linear(g, layer_norm(g, x)));
	return add(g, x, linear(g, h));
}

static struct node *head(struct graph *g, struct node *x)
{
	return linear(g, layer_norm(g, x));
}

/* Rows of a table, chosen by the input. */
static struct node *look_up(struct graph *g, struct node *table)
{
	struct attr_arg arg = {.axis = 2};
	struct node *x = rows(g),
		    *index = graph_node(g, OP_argmax, &x, 1, (union attr){.arg = &arg});
	return build_gather(g, table, build_reshape(g, index, 2, x->type.dim), 0);
}

/* ---- graphs whose norms lose their means ---- */

static struct node *projection(struct graph *g)
{
	return layer_norm(g, linear(g, rows(g)));
}

static struct node *residual(struct graph *g)
{
	return head(g, block(g, block(g, linear(g, rows(g)))));
}

static struct node *plain_residual(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	x = add(g, x, linear(g, plain_norm(g, x)));
	return linear(g, plain_norm(g, x));
}

static struct node *table(struct graph *g)
{
	struct node *x = look_up(g, weights(g, SHAPE(9, WIDTH)));
	return head(g, block(g, add(g, x, weights(g, SHAPE(1, ROWS, WIDTH)))));
}

enum { VOCABULARY = 20000 }; /* more rows than one norm is worth, fewer than two */

static struct node *vocabulary_for_two(struct graph *g)
{
	return head(g, block(g, look_up(g, weights(g, SHAPE(VOCABULARY, WIDTH)))));
}

static struct node *class_token(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *in[2];
	const struct dim *dim[3] = {x->type.dim[0], dim_const(g->context->dims, 1), x->type.dim[2]};
	in[0] = build_broadcast(g, weights(g, SHAPE(1, 1, WIDTH)), 3, dim);
	in[1] = x;
	x = block(g, add(g, build_concat(g, in, 2, 1), weights(g, SHAPE(1, ROWS + 1, WIDTH))));
	struct slice_range first = {dim_const(g->context->dims, 0), dim_const(g->context->dims, 1),
				    1};
	return head(g, build_slice(g, x, 1, first));
}

static struct node *patches(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	struct attr_conv attr = {.spatial = 2, .groups = 1};
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = 2;
		attr.dilation[i] = attr.x_dilation[i] = 1;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, 0);
	}
	struct node *x = build_conv(g, input(g, SHAPE(2, 3, 4, 4)),
				    weights(g, SHAPE(WIDTH, 3, 2, 2)), &attr);
	x = add(g, x, weights(g, SHAPE(1, WIDTH, 1, 1)));
	const struct dim *dim[3] = {x->type.dim[0], x->type.dim[1], dim_const(g->context->dims, 4)};
	return head(g, block(g, build_transpose(g, build_reshape(g, x, 3, dim), swap)));
}

/* LayerScale: a constant vector times the branch. */
static struct node *layer_scale(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	x = add(g, x, mul(g, linear(g, layer_norm(g, x)), weights(g, SHAPE(WIDTH))));
	return head(g, x);
}

static struct node *scaled_branch(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	x = build_binary(g, OP_sub, mul(g, x, number(g, 0.5)), linear(g, layer_norm(g, x)));
	return head(g, build_binary(g, OP_div, x, number(g, 3)));
}

/* A gate for each row. */
static struct node *gated_rows(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct node *gate = build_reduce(g, OP_reduce_max, layer_norm(g, x), 4, true);
	return head(g, add(g, x, mul(g, gate, linear(g, layer_norm(g, x)))));
}

static struct node *parallel_block(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *n = layer_norm(g, x);
	x = add(g, add(g, x, linear(g, n)), linear(g, build_unary(g, OP_tanh, linear(g, n))));
	return head(g, x);
}

/* The only source without weights is the input: one subtraction serves two norms. */
static struct node *input_source(struct graph *g)
{
	return head(g, block(g, rows(g)));
}

static struct node *computed_source(struct graph *g)
{
	return head(g, block(g, build_unary(g, OP_tanh, rows(g))));
}

static struct node *channels_first(struct graph *g)
{
	struct node *x = input(g, SHAPE(2, WIDTH, 5));
	x = build_matmul(g, weights(g, SHAPE(1, WIDTH, WIDTH)), x);
	return norm_over(g, x, 2, SHAPE(1, WIDTH, 1));
}

static struct node *mean_of_rows(struct graph *g)
{
	return head(g, build_mean(g, block(g, linear(g, rows(g))), 2, true));
}

static struct node *softmax_reader(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	return add(g, build_softmax(g, x, 2, false), head(g, x));
}

/* Without gamma the result of a norm has mean zero itself. */
static struct node *post_norm_plain(struct graph *g)
{
	struct node *x = plain_norm(g, linear(g, rows(g)));
	return plain_norm(g, add(g, x, weights(g, SHAPE(WIDTH))));
}

static struct node *shared_table(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct node *words = weights(g, SHAPE(9, WIDTH)), *x = block(g, look_up(g, words));
	return build_matmul(g, layer_norm(g, x), build_transpose(g, words, swap));
}

static struct node *widening_cast(struct graph *g)
{
	struct node *x = build_cast(g, linear(g, rows(g)), NORMC_F64);
	return build_cast(g, plain_norm(g, x), NORMC_F32);
}

/* ---- near misses ---- */

static struct node *vocabulary_for_one(struct graph *g)
{
	return head(g, look_up(g, weights(g, SHAPE(VOCABULARY, WIDTH))));
}

/* Narrow types round what is left without the mean, or saturate. */
static struct node *narrowing_cast(struct graph *g)
{
	struct node *x = build_cast(g, linear(g, rows(g)), NORMC_F8E4M3FN);
	return layer_norm(g, build_cast(g, x, NORMC_F32));
}

static struct node *infinite_beta(struct graph *g)
{
	static const float beta[WIDTH] = {0, 0.5f, -INFINITY, 0, 1, 0};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	struct node *x = plain_norm(g, linear(g, rows(g)));
	x = add(g, x, build_constant(g, &t, beta, sizeof beta));
	return add(g, build_softmax(g, x, 2, false), plain_norm(g, x));
}

/* Without its mean it would leave the range of its type. */
static struct node *largest_weights(struct graph *g)
{
	static const float row[WIDTH] = {3e38f, -3e38f, -3e38f, -3e38f, -3e38f, -3e38f};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	struct node *x = add(g, linear(g, rows(g)), build_constant(g, &t, row, sizeof row));
	return add(g, build_softmax(g, x, 2, false), plain_norm(g, x));
}

static struct node *many_parts(struct graph *g)
{
	enum { PARTS = 40 };
	struct node *x = linear(g, rows(g)), *in[PARTS];
	for (int i = 0; i < PARTS; i++)
		in[i] = i == PARTS - 1 ? x : add(g, x, number(g, i));
	return layer_norm(g, build_concat(g, in, PARTS, 1));
}

static struct node *stream_is_output(struct graph *g)
{
	struct node *x = block(g, linear(g, rows(g)));
	graph_output(g, x, "h");
	return head(g, x);
}

static struct node *stream_read_raw(struct graph *g)
{
	struct node *x = block(g, linear(g, rows(g)));
	return add(g, head(g, x), linear(g, x));
}

static struct node *nonlinear_reader(struct graph *g)
{
	struct node *x = block(g, linear(g, rows(g)));
	return add(g, head(g, x), build_unary(g, OP_tanh, x));
}

static struct node *nonlinear_branch(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	for (int i = 0; i < 2; i++)
		x = add(g, x, build_unary(g, OP_tanh, linear(g, layer_norm(g, x))));
	return head(g, x);
}

static struct node *post_norm(struct graph *g)
{
	struct node *x = layer_norm(g, rows(g));
	return layer_norm(g, add(g, x, linear(g, x)));
}

/* The first norm loses its mean; what it makes has another one, by gamma. */
static struct node *norm_of_norm(struct graph *g)
{
	struct node *x = layer_norm(g, linear(g, rows(g)));
	return plain_norm(g, add(g, x, weights(g, SHAPE(ROWS, WIDTH))));
}

static struct node *norm_of_some(struct graph *g)
{
	struct slice_range some = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 3),
				   1};
	return plain_norm(g, build_slice(g, linear(g, rows(g)), 2, some));
}

static struct node *norm_of_joined(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *in[2] = {x, linear(g, x)};
	return plain_norm(g, build_concat(g, in, 2, 2));
}

static struct node *plus_transposed(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	struct node *x = build_matmul(g, input(g, SHAPE(2, WIDTH, WIDTH)),
				      weights(g, SHAPE(1, WIDTH, WIDTH)));
	return layer_norm(g, add(g, x, build_transpose(g, x, swap)));
}

static struct node *one_norm_of_input(struct graph *g)
{
	return head(g, rows(g));
}

static struct node *other_axis(struct graph *g)
{
	struct node *x = input(g, SHAPE(2, WIDTH, WIDTH));
	x = build_matmul(g, x, weights(g, SHAPE(1, WIDTH, WIDTH)));
	return norm_over(g, x, 2, SHAPE(1, WIDTH, 1));
}

static struct node *two_axes(struct graph *g)
{
	return norm_over(g, linear(g, rows(g)), 6, SHAPE(1, ROWS, WIDTH));
}

static struct node *rms_reader(struct graph *g)
{
	struct attr_norm attr = {.axes = 4, .scale = NORM_SCALE_RMS, .epsilon = 1e-2};
	struct node *x = block(g, linear(g, rows(g)));
	return add(g, head(g, x), build_norm(g, (struct norm_operands){.x = x}, &attr));
}

/* The scale differs from feature to feature and cannot join weights, which another branch reads. */
static struct node *scaled_stream(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	return add(g, layer_norm(g, x), layer_norm(g, mul(g, x, weights(g, SHAPE(WIDTH)))));
}

static struct node *features_reversed(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct slice_range some = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 3),
				   1};
	return add(g, layer_norm(g, x),
		   build_reduce(g, OP_reduce_max, build_slice(g, x, 2, some), 4, true));
}

static struct node *features_joined(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *in[2] = {x, x};
	return add(g, layer_norm(g, x),
		   build_reduce(g, OP_reduce_max, build_concat(g, in, 2, 2), 4, true));
}

static struct node *square_softmax(struct graph *g)
{
	struct node *x = build_matmul(g, input(g, SHAPE(2, WIDTH, WIDTH)),
				      weights(g, SHAPE(1, WIDTH, WIDTH)));
	return add(g, build_softmax(g, x, 1, false), layer_norm(g, x));
}

static struct node *padded_features(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	for (int32_t i = 0; i < 3; i++)
		pad.before[i] = pad.after[i] = dim_const(g->context->dims, i == 1);
	return layer_norm(g, build_pad(g, x, number(g, 2), &pad)); /* rows of twos: variance 0 */
}

static struct node *infinite_weights(struct graph *g)
{
	struct node *x = add(g, linear(g, rows(g)), weights(g, SHAPE(WIDTH)));
	static const float bias[WIDTH] = {0, 1, INFINITY, 0, 2, 0};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	return layer_norm(g, add(g, x, build_constant(g, &t, bias, sizeof bias)));
}

static struct node *grouped_channels(struct graph *g)
{
	struct attr_conv attr = {.spatial = 1, .groups = 2, .stride = {1}, .dilation = {1}};
	attr.x_dilation[0] = 1;
	attr.before[0] = attr.after[0] = dim_const(g->context->dims, 0);
	struct node *x = build_conv(g, input(g, SHAPE(2, 4, 5)), weights(g, SHAPE(WIDTH, 2, 1)),
				    &attr);
	return norm_over(g, x, 2, SHAPE(1, WIDTH, 1));
}

/* ---- the table ---- */

struct sample {
	const char *name;
	struct node *(*make)(struct graph *g);
	uint32_t before, after; /* norms that subtract a mean */
	const char *why;	/* part of the remark, or NULL */
};

static const struct sample samples[] = {
		{"projection", projection, 1, 0, NULL},
		{"residual", residual, 3, 0, NULL},
		{"plain_residual", plain_residual, 2, 0, NULL},
		{"table", table, 2, 0, NULL},
		{"vocabulary_for_two", vocabulary_for_two, 2, 0, NULL},
		{"vocabulary_for_one", vocabulary_for_one, 1, 1, "vocabulary"},
		{"class_token", class_token, 2, 0, NULL},
		{"patches", patches, 2, 0, NULL},
		{"layer_scale", layer_scale, 2, 0, NULL},
		{"scaled_branch", scaled_branch, 2, 0, NULL},
		{"gated_rows", gated_rows, 3, 0, NULL},
		{"parallel_block", parallel_block, 2, 0, NULL},
		{"input_source", input_source, 2, 0, NULL},
		{"computed_source", computed_source, 2, 0, NULL},
		{"channels_first", channels_first, 1, 0, NULL},
		{"mean_of_rows", mean_of_rows, 2, 0, NULL},
		{"softmax_reader", softmax_reader, 1, 0, NULL},
		{"post_norm_plain", post_norm_plain, 2, 0, NULL},
		{"shared_table", shared_table, 2, 0, NULL},
		{"widening_cast", widening_cast, 1, 0, NULL},
		{"narrowing_cast", narrowing_cast, 1, 1, "comes from cast"},
		{"infinite_beta", infinite_beta, 2, 1, "infinities"},
		{"largest_weights", largest_weights, 1, 1, "greatest numbers"},
		{"many_parts", many_parts, 1, 1, "comes from concat"},
		{"stream_is_output", stream_is_output, 2, 2, "graph output 'h'"},
		{"stream_read_raw", stream_read_raw, 2, 2, "is read by"},
		{"nonlinear_reader", nonlinear_reader, 2, 2, "is read by tanh"},
		{"nonlinear_branch", nonlinear_branch, 3, 3, "more than one source"},
		{"post_norm", post_norm, 2, 2, "is read by"},
		{"norm_of_norm", norm_of_norm, 2, 1, "comes from norm"},
		{"norm_of_some", norm_of_some, 1, 1, "comes from slice"},
		{"norm_of_joined", norm_of_joined, 1, 1, "comes from concat"},
		{"plus_transposed", plus_transposed, 1, 1, "needs two axes"},
		{"one_norm_of_input", one_norm_of_input, 1, 1, "comes from"},
		{"other_axis", other_axis, 1, 1, "comes from"},
		{"two_axes", two_axes, 1, 1, NULL},
		{"rms_reader", rms_reader, 2, 2, "is read by norm"},
		{"scaled_stream", scaled_stream, 2, 2, "is read by mul"},
		{"features_reversed", features_reversed, 1, 1, "is read by"},
		{"features_joined", features_joined, 1, 1, "is read by"},
		{"square_softmax", square_softmax, 1, 1, "is read by softmax"},
		{"padded_features", padded_features, 1, 1, NULL},
		{"infinite_weights", infinite_weights, 1, 1, "infinities"},
		{"grouped_channels", grouped_channels, 1, 1, "comes from"},
};

static uint32_t count_centred(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == OP_norm &&
		     g->nodes[i]->attr.norm->centre == NORM_CENTRE_MEAN;
	return n;
}

static void expect_remarks(const struct pass_log *log, const struct sample *sample)
{
	uint32_t done = 0, missed = 0, right = 0;
	for (uint32_t i = 0; i < log->n_remarks; i++) {
		const struct remark *r = &log->remarks[i];
		if (strcmp(r->rule, "recentre"))
			continue;
		done += !r->missed;
		missed += r->missed != NULL;
		right += r->missed && sample->why && strstr(r->missed, sample->why);
		if (r->missed && sample->why && !strstr(r->missed, sample->why))
			print_message("%s: %s\n", sample->name, r->missed);
	}
	assert_int_equal(done, sample->before - sample->after);
	if (sample->why)
		assert_int_equal(missed, sample->after);
	if (sample->why)
		assert_true(right);
}

static void test_sample(void **state)
{
	const struct sample *sample = *state;
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct pass_log log = {0};
	struct pass_options options = {.verify = true, .log = &log};
	graph_output(b->graph, sample->make(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	assert_int_equal(count_centred(b->graph), sample->before);
	assert_int_equal(count_centred(g), sample->after);
	expect_remarks(&log, sample);
	for (int offset = 0; offset < 9; offset += 3)
		same_meaning(b, b->graph, g, (struct meaning){.offset = offset, .tolerance = 1e-5});
	bench_close(&opened);
}

int main(void)
{
	enum { N = sizeof samples / sizeof *samples };
	struct CMUnitTest tests[N];
	for (int i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){samples[i].name, test_sample, NULL, NULL,
					       (void *)(uintptr_t)&samples[i]};
	return cmocka_run_group_tests_name("recentre", tests, NULL, NULL);
}
