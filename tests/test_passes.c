/* The passes on small graphs: what they make of them, and that the meaning stays (by the
 * interpreter, in fp64). */
#include "pass.h"

#include "meaning.h"
#include "parts.h"

/* ---- building ---- */

enum { FILTERS = 6 };

/* 3x3, padded by 1, from 4 to 6 channels in 2 groups. */
static struct node *convolve(struct graph *g, struct node *x)
{
	return part_conv(g, x, (struct part_conv){FILTERS, 3, 1, 2});
}

/* The same with zeros between the elements of x. */
static struct node *convolve_transposed(struct graph *g, struct node *x)
{
	struct attr_conv attr = *convolve(g, x)->attr.conv;
	attr.x_dilation[0] = attr.x_dilation[1] = 2;
	return build_conv(g, x, part_weights(g, SHAPE(FILTERS, 2, 3, 3)), &attr);
}

/* ---- checking ---- */

static uint32_t count(const struct graph *g, enum op op)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == op;
	return n;
}

static struct graph *finish(struct bench *b, struct node *y, struct pass_log *log)
{
	struct pass_options options = {.verify = true, .log = log};
	graph_output(b->graph, y, "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	same_meaning(b, b->graph, g, (struct meaning){.extent = 2, .tolerance = 3e-6});
	return g;
}

static bool missed(const struct pass_log *log, const char *rule)
{
	for (uint32_t i = 0; i < log->n_remarks; i++)
		if (log->remarks[i].missed && !strcmp(log->remarks[i].rule, rule))
			return true;
	return false;
}

/* ---- fold_norm ---- */

static void test_norm_joins_convolution(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(2, 4, 5, 4));
	struct node *y = build_binary(b->graph, OP_add, convolve(b->graph, x),
				      part_weights(b->graph, SHAPE(1, 6, 1, 1)));
	struct graph *g = finish(b, part_batch_norm(b->graph, y), NULL);
	assert_int_equal(count(g, OP_norm), 0);
	assert_int_equal(count(g, OP_mul), 0);
	assert_int_equal(count(g, OP_add), 1);
}

static void test_norm_joins_transposed_convolution(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(1, 4, 3, 3));
	struct graph *g = finish(b, part_batch_norm(b->graph, convolve_transposed(b->graph, x)),
				 NULL);
	assert_int_equal(count(g, OP_norm) + count(g, OP_mul), 0);
}

static void test_chain_joins_product(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct node *x = part_input(g, "x", SHAPE(2, 3, 8));
	struct node *y = build_matmul(g, x, part_weights(g, SHAPE(8, 5)));
	y = build_binary(g, OP_add, y, part_weights(g, SHAPE(5)));
	y = build_binary(g, OP_mul, y, part_weights(g, SHAPE(5)));
	y = build_binary(g, OP_div, y, part_number(g, 3));
	y = build_binary(g, OP_add, part_weights(g, SHAPE(1)), y);
	g = finish(b, y, NULL);
	assert_int_equal(count(g, OP_mul) + count(g, OP_div), 0);
	assert_int_equal(count(g, OP_add), 1);
}

static void test_norm_of_shared_value(void **state)
{
	struct bench *b = *state;
	struct pass_log log = {0};
	struct node *x = part_input(b->graph, "x", SHAPE(1, 4, 4, 4)), *y = convolve(b->graph, x);
	graph_output(b->graph, build_unary(b->graph, OP_tanh, y), "other");
	struct graph *g = finish(b, part_batch_norm(b->graph, y), &log);
	assert_int_equal(count(g, OP_norm), 0);
	assert_int_equal(count(g, OP_mul), 1);
	assert_true(missed(&log, "fold_norm"));
}

static void test_norm_without_product(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(2, 4, 3, 3));
	struct graph *g = finish(b, part_batch_norm(b->graph, build_unary(b->graph, OP_tanh, x)),
				 NULL);
	assert_int_equal(count(g, OP_norm), 0);
	assert_int_equal(count(g, OP_mul), 1);
	assert_int_equal(count(g, OP_add), 1);
}

/* Kernels need norms without given statistics, whatever the user leaves out. */
static void test_norm_lowered_always(void **state)
{
	struct bench *b = *state;
	struct pass_options options = {.verify = true, .list = "-fold_norm,-given,-gauge"};
	struct node *x = part_input(b->graph, "x", SHAPE(1, 4, 4, 4));
	graph_output(b->graph, part_batch_norm(b->graph, convolve(b->graph, x)), "y");
	struct graph *g = passes_run(b->graph, &options);
	assert_int_equal(count(g, OP_norm), 0);
	assert_int_equal(count(g, OP_mul), 1);
	same_meaning(b, b->graph, g, (struct meaning){.extent = 2, .tolerance = 3e-6});
}

/* One statistic is given, the other computed. */
static void test_norm_half_given(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(2, 3, 4)),
		    *p = part_random(b->graph, SHAPE(1, 1, 4), 0.1, 2);
	struct attr_norm centre = {.axes = 4,
				   .centre = NORM_CENTRE_GIVEN,
				   .scale = NORM_SCALE_RMS,
				   .gamma = true,
				   .epsilon = 1e-3},
			 scale = {.axes = 4,
				  .centre = NORM_CENTRE_MEAN,
				  .scale = NORM_SCALE_GIVEN,
				  .beta = true,
				  .epsilon_place = NORM_EPSILON_OUTSIDE,
				  .epsilon = 1e-3};
	struct node *y = build_norm(b->graph, (struct norm_operands){.x = x, .gamma = p, .mean = p},
				    &centre);
	y = build_norm(b->graph, (struct norm_operands){.x = y, .beta = p, .variance = p}, &scale);
	struct graph *g = finish(b, y, NULL);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		assert_true(g->nodes[i]->op != OP_norm ||
			    g->nodes[i]->attr.norm->scale != NORM_SCALE_GIVEN);
}

/* Statistics that come at run time: nothing to fold. */
static void test_norm_with_inputs(void **state)
{
	struct bench *b = *state;
	struct attr_norm attr = {.centre = NORM_CENTRE_GIVEN,
				 .scale = NORM_SCALE_GIVEN,
				 .gamma = true,
				 .epsilon = 0.5,
				 .epsilon_place = NORM_EPSILON_FLOOR};
	struct node *x = part_input(b->graph, "x", SHAPE(2, 3, 4));
	struct node *mean = part_input(b->graph, "mean", SHAPE(1, 3, 1));
	struct node *variance = part_input(b->graph, "variance", SHAPE(1, 3, 1));
	struct node *gamma = part_input(b->graph, "gamma", SHAPE(1, 3, 1));
	struct graph *g = finish(
			b,
			build_norm(b->graph,
				   (struct norm_operands){.x = x,
							  .gamma = gamma,
							  .mean = mean,
							  .variance = build_unary(b->graph, OP_abs,
										  variance)},
				   &attr),
			NULL);
	assert_int_equal(count(g, OP_norm), 0);
}

/* A map that varies along the rows of a product is not its channels'. */
static void test_other_axis_stays(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(3, 4));
	struct node *y = build_matmul(b->graph, x, part_weights(b->graph, SHAPE(4, 3)));
	struct graph *g = finish(
			b,
			build_binary(b->graph, OP_mul, y, part_random(b->graph, SHAPE(3, 1), 1, 2)),
			NULL);
	assert_int_equal(count(g, OP_mul), 1);
}

static void test_overflow_stays(void **state)
{
	struct bench *b = *state;
	struct node *x = part_input(b->graph, "x", SHAPE(3, 4));
	struct node *y = build_matmul(b->graph, x, part_random(b->graph, SHAPE(4, 3), 1e30, 2e30));
	graph_output(b->graph, build_binary(b->graph, OP_mul, y, part_number(b->graph, 1e30)), "y");
	struct pass_options options = {0};
	struct graph *g = passes_run(b->graph, &options);
	assert_int_equal(count(g, OP_mul), 1);
}

/* ---- recognize ---- */

struct spelling {
	bool centred, inverse, mean_of_other_axis, power_three, varying_epsilon, wrong_count;
};

static struct node *mean_of(struct graph *g, struct node *x, uint32_t axes, bool wrong)
{
	struct node *sum = build_reduce(g, OP_reduce_sum, x, axes, true);
	return wrong ? build_binary(g, OP_div, sum, part_number(g, 7))
		     : build_mean(g, x, axes, true);
}

static struct node *spell(struct graph *g, struct node *x, struct spelling s)
{
	uint32_t last = 1u << (x->type.rank - 1);
	struct node *d = x;
	if (s.centred)
		d = build_binary(g, OP_sub, x,
				 mean_of(g, x, s.mean_of_other_axis ? last >> 1 : last,
					 s.wrong_count));
	struct node *square = build_binary(g, OP_pow, d, part_number(g, s.power_three ? 3 : 2));
	struct node *epsilon = s.varying_epsilon ? part_random(g, SHAPE(3, 1), 1e-3, 1e-2)
						 : part_number(g, 1e-5);
	struct node *v = build_binary(g, OP_add, mean_of(g, square, last, false), epsilon);
	v = build_unary(g, OP_sqrt, v);
	if (!s.inverse)
		return build_binary(g, OP_div, d, v);
	return build_binary(g, OP_mul, d, build_binary(g, OP_div, part_number(g, 1), v));
}

static struct graph *recognized(struct bench *b, struct spelling s)
{
	struct node *y = spell(b->graph, part_input(b->graph, "x", SHAPE(2, 3, 6)), s);
	y = build_binary(b->graph, OP_mul, part_weights(b->graph, SHAPE(6)), y);
	return finish(b, build_binary(b->graph, OP_add, y, part_weights(b->graph, SHAPE(6))), NULL);
}

static void test_recognize_layer_norm(void **state)
{
	struct graph *g = recognized(*state, (struct spelling){.centred = true});
	assert_int_equal(count(g, OP_norm), 1);
	assert_int_equal(count(g, OP_add) + count(g, OP_mul) + count(g, OP_reduce_sum), 0);
	const struct attr_norm *attr = g->outputs[0]->attr.norm;
	assert_true(attr->centre == NORM_CENTRE_MEAN && attr->gamma && attr->beta &&
		    attr->axes == 4);
}

static void test_recognize_rms_norm(void **state)
{
	struct graph *g = recognized(*state, (struct spelling){.inverse = true});
	assert_int_equal(count(g, OP_norm), 1);
	assert_int_equal(count(g, OP_reduce_sum), 0);
	assert_int_equal(g->outputs[0]->attr.norm->centre, NORM_CENTRE_NONE);
}

static void test_recognize_details(void **state)
{
	static const struct spelling wrong[] = {
			{.centred = true, .power_three = true},
			{.centred = true, .varying_epsilon = true},
	};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		struct bench *b = *state;
		b->graph = graph_new(&b->context, "wrong");
		struct node *x = part_input(b->graph, "x", SHAPE(2, 3, 6));
		graph_output(b->graph, spell(b->graph, x, wrong[i]), "y");
		struct pass_options options = {0};
		struct graph *g = passes_run(b->graph, &options);
		assert_non_null(g);
		assert_int_equal(count(g, OP_norm), 0);
	}
}

/* The centre must be the mean of the same elements: otherwise only the deviation is one. */
static void test_recognize_other_centre(void **state)
{
	struct graph *g = recognized(
			*state, (struct spelling){.centred = true, .mean_of_other_axis = true});
	assert_int_equal(count(g, OP_norm), 1);
	assert_int_equal(g->outputs[0]->attr.norm->centre, NORM_CENTRE_NONE);
	struct bench *b = *state;
	b->graph = graph_new(&b->context, "count");
	g = recognized(b, (struct spelling){.centred = true, .wrong_count = true});
	assert_int_equal(g->outputs[0]->attr.norm->centre, NORM_CENTRE_NONE);
}

/* ---- sink ---- */

static void test_sink(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct dims *dims = g->context->dims;
	struct type t = {.elem = NORMC_F32, .rank = 3};
	t.dim[0] = dim_symbol(dims, (struct symbol){.name = "N"});
	t.dim[1] = dim_const(dims, 3);
	t.dim[2] = dim_const(dims, 8);
	struct attr_norm attr = {.axes = 4,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true};
	struct node *x = graph_input(g, "x", &t);
	struct node *y = build_matmul(g, x, part_weights(g, SHAPE(8, 8)));
	y = build_binary(g, OP_add, y, part_weights(g, SHAPE(8)));
	y = build_binary(g, OP_add, x, build_unary(g, OP_tanh, y));
	y = build_norm(g, (struct norm_operands){.x = y, .gamma = part_weights(g, SHAPE(1, 1, 8))},
		       &attr);
	y = build_softmax(g, build_matmul(g, y, part_weights(g, SHAPE(8, 5))), 2, false);
	g = finish(b, build_reduce(g, OP_reduce_max, y, 4, false), NULL);
	assert_int_equal(count(g, OP_reshape), 2); /* of the input and of the output */
}

/* ---- fold and simplify ---- */

static void test_fold(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct node *w = part_weights(g, SHAPE(3, 4));
	struct node *t = build_transpose(g, w, (int32_t[]){1, 0});
	struct node *y = build_matmul(
			g, t,
			build_slice(g, w, 1,
				    (struct slice_range){dim_const(g->context->dims, 3),
							 dim_const(g->context->dims, 2), -2}));
	y = build_binary(g, OP_add, build_concat(g, (struct node *[]){y, y}, 2, 1),
			 part_number(g, 2));
	g = finish(b, y, NULL);
	assert_int_equal(g->n_nodes, 1);
	assert_int_equal(g->outputs[0]->op, OP_constant);
}

static void test_fold_moves(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct node *w = part_weights(g, SHAPE(5, 19, 3, 33));
	int32_t perm[4] = {3, 1, 0, 2};
	graph_output(g, build_transpose(g, w, perm), "transposed");
	graph_output(g,
		     build_slice(g, w, 3,
				 (struct slice_range){dim_const(g->context->dims, 31),
						      dim_const(g->context->dims, 9), -3}),
		     "sliced");
	struct type index = type_fixed(g->context, NORMC_I64, 1, (int64_t[]){3});
	static const int64_t picks[3] = {-1, 0, 2};
	g = finish(b, build_gather(g, w, build_constant(g, &index, picks, sizeof picks), 2), NULL);
	assert_int_equal(count(g, OP_constant), g->n_nodes);
}

/* A repeated constant or a large counter would only take room. */
static void test_fold_not(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct type big = type_fixed(g->context, NORMC_F32, 2, (int64_t[]){300, 300});
	struct node *mask = build_binary(g, OP_lt, build_iota(g, &big, 0), build_iota(g, &big, 1));
	struct node *x = graph_input(g, "x", &big);
	struct node *repeated = build_broadcast(g, part_weights(g, SHAPE(1, 300)), 2, big.dim);
	g = finish(b, build_where(g, mask, x, repeated), NULL);
	assert_int_equal(count(g, OP_iota), 2);
	assert_int_equal(count(g, OP_broadcast), 1);
}

static void test_fold_condition(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph, *region[2];
	struct type t = type_fixed(&b->context, NORMC_F32, 1, (int64_t[]){3});
	for (int r = 0; r < 2; r++) {
		region[r] = graph_new(&b->context, "region");
		graph_output(region[r],
			     build_unary(region[r], r ? OP_neg : OP_tanh,
					 graph_input(region[r], "v", &t)),
			     "w");
	}
	struct attr_region attr = {.region = {region[0], region[1]}, .n_out = 1, .out = &t};
	struct node *in[2] = {build_integer(g, NORMC_BOOL, 0), graph_input(g, "x", &t)};
	struct node *choice = graph_node(g, OP_if, in, 2, (union attr){.region = &attr});
	g = finish(b, build_part(g, choice, 0), NULL);
	assert_int_equal(count(g, OP_if), 0);
	assert_int_equal(count(g, OP_neg), 1);
}

/* ---- the manager ---- */

static void append(void *user, const char *text)
{
	char *all = user;
	snprintf(all + strlen(all), 4000 - strlen(all), "%s", text);
}

static void test_manager(void **state)
{
	struct bench *b = *state;
	static char text[4000];
	struct node *x = part_input(b->graph, "x", SHAPE(2, 3));
	graph_output(b->graph, build_unary(b->graph, OP_neg, build_unary(b->graph, OP_neg, x)),
		     "y");
	assert_null(pass_by_name("nothing", b->graph));
	for (uint32_t i = 0; i < 100; i++) {
		struct pass_description d;
		if (!pass_describe(i, &d))
			break;
		assert_non_null(pass_by_name(d.name, b->graph));
		assert_true(d.help[0]);
	}
	struct pass_options options = {.list = "-sink,-simplify",
				       .time = true,
				       .put = append,
				       .user = text,
				       .dump_after = "clean"};
	struct graph *g = passes_run(b->graph, &options);
	assert_int_equal(count(g, OP_neg), 2);
	assert_non_null(strstr(text, "clean"));
	assert_non_null(strstr(text, "neg"));
	assert_null(strstr(text, "sink"));
	struct pass_log log = {0};
	options = (struct pass_options){.log = &log, .strict = true};
	g = passes_run(b->graph, &options);
	assert_int_equal(count(g, OP_neg), 0);
	assert_string_equal(log.remarks[0].rule, "neg_neg");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(test_norm_joins_convolution),
			BENCH_TEST(test_norm_joins_transposed_convolution),
			BENCH_TEST(test_chain_joins_product),
			BENCH_TEST(test_norm_of_shared_value),
			BENCH_TEST(test_norm_without_product),
			BENCH_TEST(test_norm_lowered_always),
			BENCH_TEST(test_norm_half_given),
			BENCH_TEST(test_norm_with_inputs),
			BENCH_TEST(test_other_axis_stays),
			BENCH_TEST(test_overflow_stays),
			BENCH_TEST(test_recognize_layer_norm),
			BENCH_TEST(test_recognize_rms_norm),
			BENCH_TEST(test_recognize_details),
			BENCH_TEST(test_recognize_other_centre),
			BENCH_TEST(test_sink),
			BENCH_TEST(test_fold),
			BENCH_TEST(test_fold_moves),
			BENCH_TEST(test_fold_not),
			BENCH_TEST(test_fold_condition),
			BENCH_TEST(test_manager),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
