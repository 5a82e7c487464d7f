/* LayerNorm to RMSNorm by zero-mean analysis: a table of graphs in which norms lose their means,
 * and of near misses in which none may.  Each graph keeps its meaning (the
 * interpreter, in fp64, and compiled), and each norm that keeps its mean says why.
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
		in.gamma = part_weights(g, affine);
		in.beta = part_weights(g, affine);
	}
	return build_norm(g, in, &attr);
}

static struct node *layer_norm(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){true, true, true});
}

static struct node *plain_norm(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){.centred = true});
}

/* x + linear(tanh(linear(norm(x)))) */
static struct node *block(struct graph *g, struct node *x)
{
	struct node *h = build_unary(g, OP_tanh, linear(g, layer_norm(g, x)));
	return part_add(g, x, linear(g, h));
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
	x = part_add(g, x, linear(g, plain_norm(g, x)));
	return linear(g, plain_norm(g, x));
}

static struct node *table(struct graph *g)
{
	struct node *x = look_up(g, part_weights(g, SHAPE(9, WIDTH)));
	return head(g, block(g, part_add(g, x, part_weights(g, SHAPE(1, ROWS, WIDTH)))));
}

enum { VOCABULARY = 20000 }; /* more rows than one norm is worth, fewer than two */

static struct node *vocabulary_for_two(struct graph *g)
{
	return head(g, block(g, look_up(g, part_weights(g, SHAPE(VOCABULARY, WIDTH)))));
}

static struct node *class_token(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *in[2];
	const struct dim *dim[3] = {x->type.dim[0], dim_const(g->context->dims, 1), x->type.dim[2]};
	in[0] = build_broadcast(g, part_weights(g, SHAPE(1, 1, WIDTH)), 3, dim);
	in[1] = x;
	x = block(g, part_add(g, build_concat(g, in, 2, 1),
			      part_weights(g, SHAPE(1, ROWS + 1, WIDTH))));
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
	struct node *x = build_conv(g, part_input(g, "x", SHAPE(2, 3, 4, 4)),
				    part_weights(g, SHAPE(WIDTH, 3, 2, 2)), &attr);
	x = part_add(g, x, part_weights(g, SHAPE(1, WIDTH, 1, 1)));
	const struct dim *dim[3] = {x->type.dim[0], x->type.dim[1], dim_const(g->context->dims, 4)};
	return head(g, block(g, build_transpose(g, build_reshape(g, x, 3, dim), swap)));
}

/* LayerScale: a constant vector times the branch. */
static struct node *layer_scale(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	x = part_add(g, x, part_mul(g, linear(g, layer_norm(g, x)), part_weights(g, SHAPE(WIDTH))));
	return head(g, x);
}

static struct node *scaled_branch(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	x = build_binary(g, OP_sub, part_mul(g, x, part_number(g, 0.5)),
			 linear(g, layer_norm(g, x)));
	return head(g, build_binary(g, OP_div, x, part_number(g, 3)));
}

/* A gate for each row. */
static struct node *gated_rows(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct node *gate = build_reduce(g, OP_reduce_max, layer_norm(g, x), 4, true);
	return head(g, part_add(g, x, part_mul(g, gate, linear(g, layer_norm(g, x)))));
}

static struct node *parallel_block(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *n = layer_norm(g, x);
	x = part_add(g, part_add(g, x, linear(g, n)),
		     linear(g, build_unary(g, OP_tanh, linear(g, n))));
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
	struct node *x = part_input(g, "x", SHAPE(2, WIDTH, 5));
	x = build_matmul(g, part_weights(g, SHAPE(1, WIDTH, WIDTH)), x);
	return norm_over(g, x, 2, SHAPE(1, WIDTH, 1));
}

static struct node *mean_of_rows(struct graph *g)
{
	return head(g, build_mean(g, block(g, linear(g, rows(g))), 2, true));
}

static struct node *softmax_reader(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	return part_add(g, build_softmax(g, x, 2, false), head(g, x));
}

/* Without gamma the result of a norm has mean zero itself. */
static struct node *post_norm_plain(struct graph *g)
{
	struct node *x = plain_norm(g, linear(g, rows(g)));
	return plain_norm(g, part_add(g, x, part_weights(g, SHAPE(WIDTH))));
}

static struct node *shared_table(struct graph *g)
{
	static const int32_t swap[2] = {1, 0};
	struct node *words = part_weights(g, SHAPE(9, WIDTH)), *x = block(g, look_up(g, words));
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
	return head(g, look_up(g, part_weights(g, SHAPE(VOCABULARY, WIDTH))));
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
	x = part_add(g, x, build_constant(g, &t, beta, sizeof beta));
	return part_add(g, build_softmax(g, x, 2, false), plain_norm(g, x));
}

/* Without its mean it would leave the range of its type. */
static struct node *largest_weights(struct graph *g)
{
	static const float row[WIDTH] = {3e38f, -3e38f, -3e38f, -3e38f, -3e38f, -3e38f};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	struct node *x = part_add(g, linear(g, rows(g)), build_constant(g, &t, row, sizeof row));
	return part_add(g, build_softmax(g, x, 2, false), plain_norm(g, x));
}

static struct node *many_parts(struct graph *g)
{
	enum { PARTS = 40 };
	struct node *x = linear(g, rows(g)), *in[PARTS];
	for (int i = 0; i < PARTS; i++)
		in[i] = i == PARTS - 1 ? x : part_add(g, x, part_number(g, i));
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
	return part_add(g, head(g, x), linear(g, x));
}

static struct node *nonlinear_reader(struct graph *g)
{
	struct node *x = block(g, linear(g, rows(g)));
	return part_add(g, head(g, x), build_unary(g, OP_tanh, x));
}

static struct node *nonlinear_branch(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	for (int i = 0; i < 2; i++)
		x = part_add(g, x, build_unary(g, OP_tanh, linear(g, layer_norm(g, x))));
	return head(g, x);
}

static struct node *post_norm(struct graph *g)
{
	struct node *x = layer_norm(g, rows(g));
	return layer_norm(g, part_add(g, x, linear(g, x)));
}

/* The first norm loses its mean; what it makes has another one, by gamma. */
static struct node *norm_of_norm(struct graph *g)
{
	struct node *x = layer_norm(g, linear(g, rows(g)));
	return plain_norm(g, part_add(g, x, part_weights(g, SHAPE(ROWS, WIDTH))));
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
	struct node *x = build_matmul(g, part_input(g, "x", SHAPE(2, WIDTH, WIDTH)),
				      part_weights(g, SHAPE(1, WIDTH, WIDTH)));
	return layer_norm(g, part_add(g, x, build_transpose(g, x, swap)));
}

static struct node *one_norm_of_input(struct graph *g)
{
	return head(g, rows(g));
}

static struct node *other_axis(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(2, WIDTH, WIDTH));
	x = build_matmul(g, x, part_weights(g, SHAPE(1, WIDTH, WIDTH)));
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
	return part_add(g, head(g, x), build_norm(g, (struct norm_operands){.x = x}, &attr));
}

/* The scale differs from feature to feature and cannot join weights, which another branch reads. */
static struct node *scaled_stream(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	return part_add(g, layer_norm(g, x),
			layer_norm(g, part_mul(g, x, part_weights(g, SHAPE(WIDTH)))));
}

static struct node *features_reversed(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct slice_range some = {dim_const(g->context->dims, 1), dim_const(g->context->dims, 3),
				   1};
	return part_add(g, layer_norm(g, x),
			build_reduce(g, OP_reduce_max, build_slice(g, x, 2, some), 4, true));
}

static struct node *features_joined(struct graph *g)
{
	struct node *x = linear(g, rows(g)), *in[2] = {x, x};
	return part_add(g, layer_norm(g, x),
			build_reduce(g, OP_reduce_max, build_concat(g, in, 2, 2), 4, true));
}

static struct node *square_softmax(struct graph *g)
{
	struct node *x = build_matmul(g, part_input(g, "x", SHAPE(2, WIDTH, WIDTH)),
				      part_weights(g, SHAPE(1, WIDTH, WIDTH)));
	return part_add(g, build_softmax(g, x, 1, false), layer_norm(g, x));
}

static struct node *padded_features(struct graph *g)
{
	struct node *x = linear(g, rows(g));
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	for (int32_t i = 0; i < 3; i++)
		pad.before[i] = pad.after[i] = dim_const(g->context->dims, i == 1);
	return layer_norm(g,
			  build_pad(g, x, part_number(g, 2), &pad)); /* rows of twos: variance 0 */
}

static struct node *infinite_weights(struct graph *g)
{
	struct node *x = part_add(g, linear(g, rows(g)), part_weights(g, SHAPE(WIDTH)));
	static const float bias[WIDTH] = {0, 1, INFINITY, 0, 2, 0};
	struct type t = type_fixed(g->context, NORMC_F32, 1, (const int64_t[]){WIDTH});
	return layer_norm(g, part_add(g, x, build_constant(g, &t, bias, sizeof bias)));
}

static struct node *grouped_channels(struct graph *g)
{
	struct attr_conv attr = {.spatial = 1, .groups = 2, .stride = {1}, .dilation = {1}};
	attr.x_dilation[0] = 1;
	attr.before[0] = attr.after[0] = dim_const(g->context->dims, 0);
	struct node *x = build_conv(g, part_input(g, "x", SHAPE(2, 4, 5)),
				    part_weights(g, SHAPE(WIDTH, 2, 1)), &attr);
	return norm_over(g, x, 2, SHAPE(1, WIDTH, 1));
}

/* ---- the table ---- */

struct sample {
	const char *name;
	struct node *(*make)(struct graph *g);
	uint32_t before, after; /* norms that subtract a mean */
	const char *why;	/* part of the remark, or NULL */
	bool unbounded;		/* by infinities no result of a program can be checked */
};

static const struct sample samples[] = {
		{"projection", projection, 1, 0, NULL, false},
		{"residual", residual, 3, 0, NULL, false},
		{"plain_residual", plain_residual, 2, 0, NULL, false},
		{"table", table, 2, 0, NULL, false},
		{"vocabulary_for_two", vocabulary_for_two, 2, 0, NULL, false},
		{"vocabulary_for_one", vocabulary_for_one, 1, 1, "vocabulary", false},
		{"class_token", class_token, 2, 0, NULL, false},
		{"patches", patches, 2, 0, NULL, false},
		{"layer_scale", layer_scale, 2, 0, NULL, false},
		{"scaled_branch", scaled_branch, 2, 0, NULL, false},
		{"gated_rows", gated_rows, 3, 0, NULL, false},
		{"parallel_block", parallel_block, 2, 0, NULL, false},
		{"input_source", input_source, 2, 0, NULL, false},
		{"computed_source", computed_source, 2, 0, NULL, false},
		{"channels_first", channels_first, 1, 0, NULL, false},
		{"mean_of_rows", mean_of_rows, 2, 0, NULL, false},
		{"softmax_reader", softmax_reader, 1, 0, NULL, false},
		{"post_norm_plain", post_norm_plain, 2, 0, NULL, false},
		{"shared_table", shared_table, 2, 0, NULL, false},
		{"widening_cast", widening_cast, 1, 0, NULL, false},
		{"narrowing_cast", narrowing_cast, 1, 1, "comes from cast", false},
		{"infinite_beta", infinite_beta, 2, 1, "infinities", true},
		{"largest_weights", largest_weights, 1, 1, "greatest numbers", true},
		{"many_parts", many_parts, 1, 1, "comes from concat", false},
		{"stream_is_output", stream_is_output, 2, 2, "graph output 'h'", false},
		{"stream_read_raw", stream_read_raw, 2, 2, "is read by", false},
		{"nonlinear_reader", nonlinear_reader, 2, 2, "is read by tanh", false},
		{"nonlinear_branch", nonlinear_branch, 3, 3, "more than one source", false},
		{"post_norm", post_norm, 2, 2, "is read by", false},
		{"norm_of_norm", norm_of_norm, 2, 1, "comes from norm", false},
		{"norm_of_some", norm_of_some, 1, 1, "comes from slice", false},
		{"norm_of_joined", norm_of_joined, 1, 1, "comes from concat", false},
		{"plus_transposed", plus_transposed, 1, 1, "needs two axes", false},
		{"one_norm_of_input", one_norm_of_input, 1, 1, "comes from", false},
		{"other_axis", other_axis, 1, 1, "comes from", false},
		{"two_axes", two_axes, 1, 1, NULL, false},
		{"rms_reader", rms_reader, 2, 2, "is read by norm", false},
		{"scaled_stream", scaled_stream, 2, 2, "is read by mul", false},
		{"features_reversed", features_reversed, 1, 1, "is read by", false},
		{"features_joined", features_joined, 1, 1, "is read by", false},
		{"square_softmax", square_softmax, 1, 1, "is read by softmax", false},
		{"padded_features", padded_features, 1, 1, NULL, false},
		{"infinite_weights", infinite_weights, 1, 1, "infinities", true},
		{"grouped_channels", grouped_channels, 1, 1, "comes from", false},
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
	bool right = !sample->why;
	assert_int_equal(case_remarks(log, "recentre", true), sample->before - sample->after);
	if (sample->why)
		assert_int_equal(case_remarks(log, "recentre", false), sample->after);
	for (uint32_t i = 0; i < log->n_remarks && !right; i++) {
		const struct remark *r = &log->remarks[i];
		right = r->missed && !strcmp(r->rule, "recentre") && strstr(r->missed, sample->why);
		if (r->missed && !right)
			print_message("%s: %s\n", sample->name, r->missed);
	}
	assert_true(right);
}

static void test_sample(void **state)
{
	const struct sample *sample = *state;
	const struct rewrite_case c = {.name = sample->name,
				       .make = sample->make,
				       .rule = "recentre",
				       .fires = sample->after < sample->before};
	struct pass_log log = {0};
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct graph *g = case_rewrite(&c, b, &log);
	if (!sample->unbounded)
		case_lane_5(b, b->graph, g);
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
