/* The interpreter: layers against other formulations of the same sums, calls, regions, whole
 * graphs. */
#include "test_eval.h"

/* ---- matmul ---- */

static void matmul_by_hand(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(2, 1, 2), 1, 2, 3, 4);
	struct tensor y = VALUES(b, NORMC_F32, SHAPE(2, 2, 2), 1, 0, 0, 1, 5, 6, 7, 8);
	struct plan plan = {OP_matmul, .elem = NORMC_F32, .shape = SHAPE(2, 1, 2)};
	EXPECT(b, RUN(b, plan, x, y), 1, 2, 43, 50);
	FAILS(b, plan, x, VALUES(b, NORMC_F32, SHAPE(2, 1, 2), 0, 0, 0, 0));
	struct tensor i = VALUES(b, NORMC_I32, SHAPE(1, 2), 65536, 1),
		      j = VALUES(b, NORMC_I32, SHAPE(2, 1), 65536, 7);
	EXPECT(b, RUN(b, PLAN(OP_matmul, .elem = NORMC_I32, .shape = SHAPE(1, 1)), i, j), 7);
	struct tensor empty = bench_tensor(b, NORMC_F32, SHAPE(2, 0)),
		      under = bench_tensor(b, NORMC_F32, SHAPE(0, 2));
	EXPECT(b, RUN(b, PLAN(OP_matmul, .elem = NORMC_F32, .shape = SHAPE(2, 2)), empty, under), 0,
	       0, 0, 0);
}

/* ---- convolution ---- */

/* A random convolution: extents in full, so that the reference need not know how many dimensions
 * there are. */
struct sample {
	struct attr_conv attr;
	int64_t before[MAX_SPATIAL], size[MAX_SPATIAL], kernel[MAX_SPATIAL], out[MAX_SPATIAL];
	int64_t images, channels, filters; /* channels and filters of one group */
};

static int64_t draw(uint64_t *seed, int64_t low, int64_t high)
{
	return low + (int64_t)test_random_below(seed, (uint64_t)(high - low + 1));
}

static struct sample sample_draw(struct bench *b, uint64_t *seed)
{
	struct sample s = {
			.attr = {.spatial = (int32_t)draw(seed, 1, 3), .groups = draw(seed, 1, 3)}};
	s.images = draw(seed, 1, 2);
	s.channels = draw(seed, 1, 3);
	s.filters = draw(seed, 1, 3);
	for (int k = 0; k < s.attr.spatial; k++) {
		int64_t after = draw(seed, -1, 3), span;
		s.before[k] = draw(seed, -2, 3);
		s.attr.before[k] = dim_const(b->context.dims, s.before[k]);
		s.attr.after[k] = dim_const(b->context.dims, after);
		s.attr.stride[k] = draw(seed, 1, 3);
		s.attr.dilation[k] = draw(seed, 1, 2);
		s.attr.x_dilation[k] = draw(seed, 1, 3);
		s.size[k] = draw(seed, 1, 7);
		s.kernel[k] = draw(seed, 1, 3);
		span = s.before[k] + after + (s.size[k] - 1) * s.attr.x_dilation[k] + 1 -
		       s.attr.dilation[k] * (s.kernel[k] - 1);
		s.out[k] = span > 0 ? (span - 1) / s.attr.stride[k] + 1 : 0;
	}
	return s;
}

/* [first, second, extents...] */
static struct shape sample_shape(const struct sample *s, int64_t first, int64_t second,
				 const int64_t *extent)
{
	struct shape shape = {2 + s->attr.spatial, {first, second}};
	for (int k = 0; k < s->attr.spatial; k++)
		shape.dim[2 + k] = extent[k];
	return shape;
}

/* Where a pair of input element and kernel element lands in one channel of the result, or -1. */
static int64_t landing(const struct sample *s, int64_t i, int64_t tap)
{
	int64_t at = 0, size = 1;
	for (int k = s->attr.spatial - 1; k >= 0; k--) {
		int64_t position = i % s->size[k] * s->attr.x_dilation[k] + s->before[k] -
				   tap % s->kernel[k] * s->attr.dilation[k];
		if (position < 0 || position % s->attr.stride[k] ||
		    position / s->attr.stride[k] >= s->out[k])
			return -1;
		at += position / s->attr.stride[k] * size;
		size *= s->out[k];
		i /= s->size[k];
		tap /= s->kernel[k];
	}
	return at;
}

static int64_t product(const int64_t *x, int32_t n)
{
	int64_t all = 1;
	for (int32_t i = 0; i < n; i++)
		all *= x[i];
	return all;
}

/* Every input element is spread over the results it reaches. */
static void scatter_channel(const struct sample *s, const struct tensor *x, const struct tensor *w,
			    struct tensor *y, const int64_t *channel)
{
	int64_t size = product(s->size, s->attr.spatial),
		taps = product(s->kernel, s->attr.spatial);
	int64_t out = product(s->out, s->attr.spatial);
	for (int64_t i = 0; i < size; i++) {
		for (int64_t tap = 0; tap < taps; tap++) {
			int64_t at = landing(s, i, tap);
			if (at >= 0)
				y->f[channel[2] * out + at] += x->f[channel[0] * size + i] *
							       w->f[channel[1] * taps + tap];
		}
	}
}

static void scatter_conv(const struct sample *s, const struct tensor *x, const struct tensor *w,
			 struct tensor *y)
{
	int64_t groups = s->attr.groups;
	for (int64_t n = 0; n < s->images; n++)
		for (int64_t g = 0; g < groups; g++)
			for (int64_t o = 0; o < s->filters; o++)
				for (int64_t c = 0; c < s->channels; c++)
					scatter_channel(s, x, w, y,
							(const int64_t[]){(n * groups +
									   g) * s->channels +
											  c,
									  (g * s->filters +
									   o) * s->channels +
											  c,
									  (n * groups +
									   g) * s->filters +
											  o});
}

static void conv_equals_scattering(void **state)
{
	struct bench *b = *state;
	uint64_t seed = 1;
	for (int round = 0; round < 300; round++) {
		struct sample s = sample_draw(b, &seed);
		int64_t groups = s.attr.groups;
		struct tensor x = bench_random(
				b, NORMC_F64,
				sample_shape(&s, s.images, groups * s.channels, s.size), &seed);
		struct tensor w = bench_random(
				b, NORMC_F64,
				sample_shape(&s, groups * s.filters, s.channels, s.kernel), &seed);
		struct shape shape = sample_shape(&s, s.images, groups * s.filters, s.out);
		struct tensor want = bench_tensor(b, NORMC_F64, shape);
		scatter_conv(&s, &x, &w, &want);
		struct tensor got =
				RUN(b, WITH(OP_conv, {.conv = &s.attr}, NORMC_F64, shape), x, w);
		bench_equal(&got, &want, 1e-14);
	}
}

static struct attr_conv conv_1d(struct bench *b, int64_t before, int64_t after)
{
	return (struct attr_conv){1,
				  1,
				  {1},
				  {1},
				  {1},
				  {dim_const(b->context.dims, before)},
				  {dim_const(b->context.dims, after)}};
}

static void conv_by_hand(void **state)
{
	struct bench *b = *state;
	struct attr_conv a = conv_1d(b, 1, 0);
	struct tensor x = VALUES(b, NORMC_I32, SHAPE(1, 1, 3), 1, 2, 3),
		      w = VALUES(b, NORMC_I32, SHAPE(1, 1, 2), 10, 1);
	struct plan plan = {OP_conv, {.conv = &a}, NORMC_I32, SHAPE(1, 1, 3), EVAL_ROUND};
	EXPECT(b, RUN(b, plan, x, w), 1, 12, 23);
	FAILS(b, plan, x, VALUES(b, NORMC_I32, SHAPE(1, 2, 2), 1, 1, 1, 1));
	a.groups = 2;
	FAILS(b, plan, x, w);
	a.groups = 1;
	a.stride[0] = 0;
	FAILS(b, plan, x, w);
	a.stride[0] = 1;
	a.x_dilation[0] = 2; /* a transposed convolution: 0 1 0 2 0 3 with the kernel */
	plan.shape = SHAPE(1, 1, 5);
	EXPECT(b, RUN(b, plan, x, w), 1, 10, 2, 20, 3);
}

/* ---- pooling ---- */

static void pooling_by_hand(void **state)
{
	struct bench *b = *state;
	struct dims *d = b->context.dims;
	struct attr_pool a = {1, {2}, {2}, {1}, {dim_const(d, 1)}, {dim_const(d, 2)}};
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(1, 1, 3), -1, -2, NAN);
	struct plan plan = {OP_pool_max, {.pool = &a}, NORMC_F32, SHAPE(1, 1, 3), EVAL_ROUND};
	EXPECT(b, RUN(b, plan, x), -1, NAN, -INFINITY);
	plan.op = OP_pool_sum;
	EXPECT(b, RUN(b, plan, x), -1, NAN, 0);
	plan.elem = NORMC_U8;
	struct tensor u = VALUES(b, NORMC_U8, SHAPE(1, 1, 3), 1, 200, 100);
	EXPECT(b, RUN(b, plan, u), 1, 44, 0);
	plan.op = OP_pool_max;
	EXPECT(b, RUN(b, plan, u), 1, 200, 0);
}

static void pooling_in_two_dimensions(void **state)
{
	struct bench *b = *state;
	const struct dim *zero = dim_const(b->context.dims, 0);
	struct attr_pool a = {2, {2, 2}, {1, 1}, {1, 2}, {zero, zero}, {zero, zero}};
	struct tensor x = bench_tensor(b, NORMC_F32, SHAPE(1, 2, 2, 4));
	for (int64_t i = 0; i < x.count; i++)
		x.f[i] = (double)i;
	struct plan plan = {OP_pool_max, {.pool = &a}, NORMC_F32, SHAPE(1, 2, 1, 2), EVAL_ROUND};
	EXPECT(b, RUN(b, plan, x), 6, 7, 14, 15);
	plan.op = OP_pool_sum;
	EXPECT(b, RUN(b, plan, x), 12, 16, 44, 48);
}

/* ---- norm ---- */

static struct tensor norm_of(struct bench *b, struct attr_norm attr, const struct tensor *in,
			     uint32_t n_in)
{
	struct shape shape = {in[0].rank, {0}};
	memcpy(shape.dim, in[0].dim, sizeof shape.dim);
	return bench_run(b, WITH(OP_norm, {.norm = &attr}, NORMC_F64, shape), in, n_in);
}

#define NORM(b, attr, ...)                                                                         \
	norm_of(b, attr, (const struct tensor[]){__VA_ARGS__},                                     \
		(uint32_t)(sizeof((struct tensor[]){__VA_ARGS__}) / sizeof(struct tensor)))

static void norm_scales(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F64, SHAPE(1, 4), 1, 1, 3,
				 7); /* mean 3, deviations -2 -2 0 4 */
	struct attr_norm a = {.axes = 2, .centre = NORM_CENTRE_MEAN, .scale = NORM_SCALE_L1};
	EXPECT(b, NORM(b, a, x), -1, -1, 0, 2);
	a.scale = NORM_SCALE_MAX;
	EXPECT(b, NORM(b, a, x), -0.5, -0.5, 0, 1);
	a.scale = NORM_SCALE_NONE;
	EXPECT(b, NORM(b, a, x), -2, -2, 0, 4);
	a.scale = NORM_SCALE_RMS;
	EXPECT(b, NORM(b, a, x), -2 / sqrt(6), -2 / sqrt(6), 0, 4 / sqrt(6));
	a.unbiased = true;
	EXPECT(b, NORM(b, a, x), -2 / sqrt(8), -2 / sqrt(8), 0, 4 / sqrt(8));
	a.scale = NORM_SCALE_L2;
	EXPECT(b, NORM(b, a, x), -2 / sqrt(24), -2 / sqrt(24), 0, 4 / sqrt(24));
	a.centre = NORM_CENTRE_NONE;
	EXPECT(b, NORM(b, a, x), 1 / sqrt(60), 1 / sqrt(60), 3 / sqrt(60), 7 / sqrt(60));
}

static void norm_epsilons(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F64, SHAPE(2, 2), 3, 4, 0, 0);
	struct attr_norm a = {.axes = 2, .scale = NORM_SCALE_L2, .epsilon = 11};
	EXPECT(b, NORM(b, a, x), 0.5, 4.0 / 6, 0, 0);
	a.epsilon_place = NORM_EPSILON_OUTSIDE;
	EXPECT(b, NORM(b, a, x), 3.0 / 16, 4.0 / 16, 0, 0);
	a.epsilon_place = NORM_EPSILON_FLOOR;
	EXPECT(b, NORM(b, a, x), 3.0 / 11, 4.0 / 11, 0, 0);
	a.epsilon = 2;
	EXPECT(b, NORM(b, a, x), 3.0 / 5, 4.0 / 5, 0, 0);
	a.epsilon = 0;
	EXPECT(b, NORM(b, a, x), 3.0 / 5, 4.0 / 5, NAN, NAN);
}

static void norm_parameters(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F64, SHAPE(1, 2, 2), 1, 3, 10, 30);
	struct tensor gamma = VALUES(b, NORMC_F64, SHAPE(1, 2, 1), 2, 3);
	struct tensor beta = VALUES(b, NORMC_F64, SHAPE(1, 1, 2), 100, 200);
	struct tensor mean = VALUES(b, NORMC_F64, SHAPE(1, 2, 1), 1, 10);
	struct tensor variance = VALUES(b, NORMC_F64, SHAPE(1, 2, 1), 3, 99);
	struct attr_norm a = {.centre = NORM_CENTRE_GIVEN,
			      .scale = NORM_SCALE_GIVEN,
			      .gamma = true,
			      .beta = true,
			      .epsilon = 1};
	EXPECT(b, NORM(b, a, x, gamma, beta, mean, variance), 100, 202, 100, 206);
	a.beta = false;
	EXPECT(b, NORM(b, a, x, gamma, mean, variance), 0, 2, 0, 6);
	a = (struct attr_norm){.axes = 6, .centre = NORM_CENTRE_MEAN, .beta = true};
	EXPECT(b, NORM(b, a, x, beta), 90, 192, 99, 219);
	FAILS(b, WITH(OP_norm, {.norm = &a}, NORMC_F64, SHAPE(1, 2, 2)), x,
	      VALUES(b, NORMC_F64, SHAPE(1, 3, 1), 1, 2, 3));
}

/* ---- calls ---- */

static void calls_reach_the_runtime(void **state)
{
	struct bench *b = *state;
	struct node *x = graph_input(b->graph, "x",
				     &(struct type){.elem = NORMC_F32,
						    .rank = 1,
						    .dim = {dim_const(b->context.dims, 4)}});
	const int64_t two[] = {2}, ints[] = {0, 1};
	const struct type out[] = {type_fixed(&b->context, NORMC_F32, 1, two),
				   type_fixed(&b->context, NORMC_I64, 1, two)};
	struct attr_call call = {.name = "topk", .n_out = 2, .n_ints = 2, .out = out, .ints = ints};
	struct node *best = build_call(b->graph, &x, 1, &call);
	graph_output(b->graph, build_part(b->graph, best, 0), "values");
	graph_output(b->graph, build_part(b->graph, best, 1), "positions");
	struct tensor in = VALUES(b, NORMC_F32, SHAPE(4), 3, 9, -1, 7), got[2];
	bench_graph(b, NULL, &in, got);
	EXPECT(b, got[0], 9, 7);
	EXPECT(b, got[1], 1, 3);
	call.name = "no_such_function";
	struct node wrong = {.op = OP_call, .n_in = 1, .attr = {.call = &call}};
	assert_false(eval_node(b->graph, &wrong,
			       (struct eval_request){EVAL_ROUND, NULL, b->context.arena}, &in,
			       got));
	assert_int_equal(b->diag.status, NORMC_BUG);
}

/* ---- graphs and regions ---- */

static struct type vector_of(const struct dim *extent)
{
	return (struct type){.elem = NORMC_F32, .rank = 1, .dim = {extent}};
}

static struct node *scalar_input(struct graph *g, const char *name, enum normc_elem elem)
{
	return graph_input(g, name, &(struct type){.elem = elem});
}

static void graphs_with_symbols(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	const struct dim *n = dim_symbol(b->context.dims, (struct symbol){.name = "N"});
	struct type type = vector_of(n);
	struct node *x = graph_input(g, "x", &type);
	struct node *both[] = {x, build_unary(g, OP_neg, x)};
	struct node *joined = build_concat(g, both, 2, 0);
	graph_output(g, joined, "joined");
	graph_output(g, x, "x");
	graph_output(g, build_reduce(g, OP_reduce_sum, joined, 1, true), "sum");
	int64_t symbols[] = {2};
	struct tensor in = VALUES(b, NORMC_F32, SHAPE(2), 5, 6), got[3];
	bench_graph(b, symbols, &in, got);
	EXPECT(b, got[0], 5, 6, -5, -6);
	EXPECT(b, got[1], 5, 6);
	EXPECT(b, got[2], 0);
	assert_ptr_not_equal(got[1].f, in.f);
	symbols[0] = 3;
	assert_false(eval_graph(g, (struct eval_request){EVAL_ROUND, symbols, b->context.arena},
				&in, got));
	symbols[0] = -1;
	assert_false(eval_graph(g, (struct eval_request){EVAL_ROUND, symbols, b->context.arena},
				&in, got));
}

/* Storage of dead values is used again: a chain of a thousand operations needs little. */
static void dead_values_are_reused(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct type type = vector_of(dim_const(b->context.dims, 100000));
	struct node *x = graph_input(g, "x", &type);
	for (int i = 0; i < 1000; i++)
		x = build_unary(g, i % 2 ? OP_sin : OP_cos, x);
	graph_output(g, x, "y");
	struct tensor in = bench_tensor(b, NORMC_F32, SHAPE(100000)), got;
	size_t before = b->memory.used;
	assert_true(eval_graph(g, (struct eval_request){EVAL_EXACT, NULL, b->context.arena}, &in,
			       &got));
	assert_true(b->memory.used - before < 20 * 1000 * 1000);
}

static void if_takes_one_region(void **state)
{
	struct bench *b = *state;
	struct type type = vector_of(dim_const(b->context.dims, 2));
	struct graph *branch[2];
	for (int k = 0; k < 2; k++) {
		branch[k] = graph_new(&b->context, k ? "else" : "then");
		struct node *x = graph_input(branch[k], "x", &type);
		graph_output(branch[k], k ? x : build_unary(branch[k], OP_neg, x), "y");
	}
	struct attr_region a = {.region = {branch[0], branch[1]}, .n_out = 1, .out = &type};
	struct node *in[] = {scalar_input(b->graph, "c", NORMC_BOOL),
			     graph_input(b->graph, "x", &type)};
	struct node *chosen = graph_node(b->graph, OP_if, in, 2, (union attr){.region = &a});
	graph_output(b->graph, build_part(b->graph, chosen, 0), "y");
	struct tensor got, value[] = {VALUES(b, NORMC_BOOL, SCALAR, 1),
				      VALUES(b, NORMC_F32, SHAPE(2), 4, 5)};
	bench_graph(b, NULL, value, &got);
	EXPECT(b, got, -4, -5);
	value[0].i[0] = 0;
	bench_graph(b, NULL, value, &got);
	EXPECT(b, got, 4, 5);
}

/* Carries s <- s + step * i while s < limit; scans s if asked to. */
static void loop_graph(struct bench *b, bool scan, int64_t trips)
{
	struct graph *body = graph_new(&b->context, "body"), *g = b->graph;
	struct node *i = scalar_input(body, "i", NORMC_I64),
		    *go = scalar_input(body, "go", NORMC_BOOL);
	struct node *s = scalar_input(body, "s", NORMC_F32),
		    *step = scalar_input(body, "step", NORMC_F32);
	struct node *limit = scalar_input(body, "limit", NORMC_F32);
	struct node *next = build_binary(
			body, OP_add, s,
			build_binary(body, OP_mul, step, build_cast(body, i, NORMC_F32)));
	graph_output(body, build_binary(body, OP_and, go, build_binary(body, OP_lt, next, limit)),
		     "go");
	graph_output(body, next, "s");
	if (scan)
		graph_output(body, next, "all");
	struct type *out =
			arena_new(b->context.arena, struct type, 2); /* the attribute borrows it */
	out[0] = s->type;
	out[1] = vector_of(dim_const(b->context.dims, trips));
	struct attr_region a = {.region = {body},
				.n_out = scan ? 2 : 1,
				.n_carried = 1,
				.out = out,
				.trips = dim_const(b->context.dims, trips)};
	struct node *in[] = {scalar_input(g, "trips", NORMC_I64), scalar_input(g, "go", NORMC_BOOL),
			     scalar_input(g, "s", NORMC_F32), scalar_input(g, "step", NORMC_F32),
			     scalar_input(g, "limit", NORMC_F32)};
	struct node *loop = graph_node(g, OP_loop, in, 5, (union attr){.region = &a});
	for (uint32_t k = 0; k < a.n_out; k++)
		graph_output(g, build_part(g, loop, k), "result");
}

static void loops_carry_and_stack(void **state)
{
	struct bench *b = *state;
	loop_graph(b, true, 4);
	struct tensor got[2],
			in[] = {VALUES(b, NORMC_I64, SCALAR, 4), VALUES(b, NORMC_BOOL, SCALAR, 1),
				VALUES(b, NORMC_F32, SCALAR, 10), VALUES(b, NORMC_F32, SCALAR, 2),
				VALUES(b, NORMC_F32, SCALAR, 1000)};
	bench_graph(b, NULL, in, got);
	EXPECT(b, got[0], 22);
	EXPECT(b, got[1], 10, 12, 16, 22);
	in[4].f[0] = 12; /* ends early, but its results are stacked */
	assert_false(eval_graph(b->graph, (struct eval_request){EVAL_ROUND, NULL, b->context.arena},
				in, got));
	assert_int_equal(b->diag.status, NORMC_INVALID);
}

static void loops_end_early(void **state)
{
	struct bench *b = *state;
	loop_graph(b, false, 1);
	struct tensor got,
			in[] = {VALUES(b, NORMC_I64, SCALAR, 1e6), VALUES(b, NORMC_BOOL, SCALAR, 1),
				VALUES(b, NORMC_F32, SCALAR, 10), VALUES(b, NORMC_F32, SCALAR, 2),
				VALUES(b, NORMC_F32, SCALAR, 13)};
	bench_graph(b, NULL, in, &got);
	EXPECT(b, got, 16);
	in[1].i[0] = 0;
	bench_graph(b, NULL, in, &got);
	EXPECT(b, got, 10);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(matmul_by_hand),
			BENCH_TEST(conv_equals_scattering),
			BENCH_TEST(conv_by_hand),
			BENCH_TEST(pooling_by_hand),
			BENCH_TEST(pooling_in_two_dimensions),
			BENCH_TEST(norm_scales),
			BENCH_TEST(norm_epsilons),
			BENCH_TEST(norm_parameters),
			BENCH_TEST(calls_reach_the_runtime),
			BENCH_TEST(graphs_with_symbols),
			BENCH_TEST(dead_values_are_reused),
			BENCH_TEST(if_takes_one_region),
			BENCH_TEST(loops_carry_and_stack),
			BENCH_TEST(loops_end_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
