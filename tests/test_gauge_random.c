/* Changes of basis on random graphs of scales, sums, movement, products and what holds a basis:
 * whatever goes away, the results stay.  All numbers are f64, so that the rounding of weights is no
 * excuse.
 */
#include "meaning.h"
#include "parts.h"
#include "pass.h"

enum { GRAPHS = 4000, STEPS = 14, WIDTH = 6, ROWS = 3, MOST_VALUES = STEPS + 2 };

struct maker {
	struct graph *g;
	uint64_t seed;
	struct node *value[MOST_VALUES]; /* f64[2,ROWS,WIDTH] */
	uint32_t n;
};

static uint32_t below(struct maker *m, uint32_t limit)
{
	return (uint32_t)test_random_below(&m->seed, limit);
}

/* Mostly late ones, so that the graph gets deep. */
static struct node *any_value(struct maker *m)
{
	uint32_t back = below(m, 3) ? below(m, 3) : below(m, m->n);
	return m->value[back < m->n ? m->n - 1 - back : 0];
}

static struct node *random_numbers(struct maker *m, struct shape shape, double low, double high)
{
	int64_t count = 1;
	double value[64];
	for (int32_t i = 0; i < shape.rank; i++)
		count *= shape.dim[i];
	for (int64_t i = 0; i < count; i++)
		value[i] = test_random_range(&m->seed, low, high);
	return build_cast(m->g, part_values(m->g, shape, value), NORMC_F64);
}

static struct node *weights(struct maker *m, struct shape shape)
{
	return random_numbers(m, shape, -1, 1);
}

static struct node *swapped(struct graph *g, struct node *x)
{
	static const int32_t swap[3] = {0, 2, 1};
	return build_transpose(g, x, swap);
}

static struct node *scaled(struct maker *m, struct node *x)
{
	bool negative = below(m, 4) == 0, divides = below(m, 4) == 0;
	struct node *s = random_numbers(m, SHAPE(1, 1, WIDTH), negative ? -2 : 0.5, 2);
	return build_binary(m->g, divides ? OP_div : OP_mul, x, s);
}

static struct node *tokens_rolled(struct maker *m, struct node *x, struct node *y)
{
	struct dims *dims = m->g->context->dims;
	struct slice_range rest = {dim_const(dims, 1), dim_const(dims, ROWS - 1), 1};
	struct slice_range first = {dim_const(dims, 0), dim_const(dims, 1), 1};
	struct node *part[2] = {build_slice(m->g, x, 1, rest), build_slice(m->g, y, 1, first)};
	return build_concat(m->g, part, 2, 1);
}

static struct node *channels_reversed(struct maker *m, struct node *x)
{
	struct dims *dims = m->g->context->dims;
	struct slice_range all = {dim_const(dims, WIDTH - 1), dim_const(dims, WIDTH), -1};
	return build_slice(m->g, x, 2, all);
}

static struct node *normed(struct maker *m, struct node *x)
{
	struct attr_norm attr = {.axes = 1u << 2,
				 .centre = below(m, 2) ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE,
				 .scale = NORM_SCALE_RMS,
				 .gamma = below(m, 3) > 0,
				 .beta = below(m, 3) > 0,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = x};
	in.gamma = weights(m, SHAPE(1, 1, WIDTH));
	in.beta = weights(m, SHAPE(1, 1, WIDTH));
	return build_norm(m->g, in, &attr);
}

static struct node *by_rows(struct maker *m, struct node *x)
{
	const struct dim *dim[2] = {dim_const(m->g->context->dims, 2 * ROWS), x->type.dim[2]};
	struct node *y = build_reshape(m->g, x, 2, dim);
	if (below(m, 2))
		y = build_matmul(m->g, y, weights(m, SHAPE(WIDTH, WIDTH)));
	return build_reshape(m->g, y, 3, x->type.dim);
}

static struct node *from_the_left(struct maker *m, struct node *x)
{
	struct node *w = weights(m, SHAPE(1, WIDTH, WIDTH));
	return swapped(m->g, build_matmul(m->g, w, swapped(m->g, x)));
}

static struct node *attention(struct maker *m, struct node *x, struct node *y)
{
	struct node *score = build_matmul(m->g, x, swapped(m->g, x));
	return build_matmul(m->g, build_softmax(m->g, score, 2, false), y);
}

static struct node *without_mean_of_tokens(struct maker *m, struct node *x)
{
	return build_binary(m->g, OP_sub, x, build_mean(m->g, x, 1u << 1, true));
}

static struct node *step(struct maker *m)
{
	struct graph *g = m->g;
	struct node *x = any_value(m), *y = any_value(m);
	switch (below(m, 18)) {
	case 0:
	case 1:
	case 2:
		return scaled(m, x);
	case 3:
		return build_binary(g, OP_add, x, weights(m, SHAPE(1, 1, WIDTH)));
	case 4:
	case 5:
	case 6:
		return build_binary(g, OP_add, x, y);
	case 7:
		return build_binary(g, OP_sub, x, build_unary(g, OP_neg, y));
	case 8:
	case 9:
		return build_matmul(g, x, weights(m, SHAPE(WIDTH, WIDTH)));
	case 10:
		return build_unary(g, OP_tanh, x);
	case 11:
		return build_binary(g, OP_mul, x,
				    weights(m, SHAPE(1, ROWS, below(m, 2) ? WIDTH : 1)));
	case 12:
		return tokens_rolled(m, x, y);
	case 13:
		return below(m, 2) ? channels_reversed(m, x) : normed(m, x);
	case 14:
		return by_rows(m, x);
	case 15:
		return from_the_left(m, x);
	case 16:
		return below(m, 2) ? attention(m, x, y)
				   : build_binary(g, OP_mul, x, build_unary(g, OP_tanh, y));
	default:
		return below(m, 2) ? without_mean_of_tokens(m, x)
				   : build_binary(g, OP_add, x, weights(m, SHAPE(1, ROWS, 1)));
	}
}

static void make(struct graph *g, uint64_t seed)
{
	struct maker m = {.g = g, .seed = seed * 0x9e3779b97f4a7c15u};
	struct node *x = part_input(g, "x", SHAPE(2, ROWS, WIDTH));
	m.value[m.n++] = build_cast(g, x, NORMC_F64);
	m.value[m.n++] = build_matmul(g, m.value[0], weights(&m, SHAPE(WIDTH, WIDTH)));
	while (m.n < MOST_VALUES) {
		struct node *y = step(&m);
		m.value[m.n++] = y;
	}
	if (below(&m, 3) == 0)
		graph_output(g, any_value(&m), "h");
	graph_output(g, m.value[m.n - 1], "y");
}

static void same_to_last_digits(struct bench *b, const struct graph *before,
				const struct graph *after, uint64_t seed)
{
	struct tensor in, out[2][2];
	struct eval_request exact = {EVAL_EXACT, NULL, b->context.arena};
	uint64_t input_seed = 5;
	in = bench_random(b, NORMC_F32, SHAPE(2, ROWS, WIDTH), &input_seed);
	if (!eval_graph(before, exact, &in, out[0]) || !eval_graph(after, exact, &in, out[1]))
		fail_msg("%s", b->diag.first);
	for (uint32_t k = 0; k < before->n_outputs; k++) {
		double largest = 1;
		for (int64_t i = 0; i < out[0][k].count; i++)
			largest = fmax(largest, fabs(out[0][k].f[i]));
		for (int64_t i = 0; i < out[0][k].count; i++)
			if (!(fabs(out[0][k].f[i] - out[1][k].f[i]) <= 1e-8 * largest))
				fail_msg("seed %llu: got %.12g, want %.12g",
					 (unsigned long long)seed, out[1][k].f[i], out[0][k].f[i]);
	}
}

/* Whether a scale went away. */
static bool try_graph(uint64_t seed)
{
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct pass_log log = {0};
	struct pass_options options = {
			.verify = true, .log = &log, .list = "-fold_norm,-absorb,-recentre"};
	bool fired = false;
	make(b->graph, seed);
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("seed %llu: %s", (unsigned long long)seed, b->diag.first);
	for (uint32_t i = 0; i < log.n_remarks; i++)
		fired = fired || (!strcmp(log.remarks[i].rule, "gauge") && !log.remarks[i].missed);
	same_to_last_digits(b, b->graph, g, seed);
	bench_close(&opened);
	return fired;
}

static void test_graphs(void **state)
{
	uint32_t fired = 0;
	(void)state;
	for (uint64_t seed = 1; seed <= GRAPHS; seed++)
		fired += try_graph(seed);
	print_message("%u of %d graphs lost a scale\n", fired, GRAPHS);
	assert_true(fired > GRAPHS / 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_graphs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
