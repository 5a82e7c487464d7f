/* Unified Normalization and PowerNorm as exporters write them at inference: arithmetic with running
 * statistics, which are constants.  Before products the first goes away and of the second the norm
 * of tokens is left; near misses keep their scales.
 */
#include "algebra_case.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

static struct node *held(struct graph *g, struct shape shape)
{
	return build_unary(g, OP_tanh, part_input(g, "x", shape));
}

static struct node *tokens(struct graph *g)
{
	return held(g, SHAPE(2, ROWS, WIDTH));
}

static struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

/* sqrt(running + epsilon) */
static struct node *deviation(struct graph *g, struct node *running)
{
	return build_unary(g, OP_sqrt, part_add(g, running, number(g, 1e-5)));
}

/* x / sqrt(running + epsilon) * gamma + beta with parameters of this shape. */
static struct node *unified(struct graph *g, struct node *x, struct shape shape)
{
	x = build_binary(g, OP_div, x, deviation(g, part_positive(g, shape)));
	return part_add(g, part_mul(g, x, part_weights(g, shape)), part_weights(g, shape));
}

static struct node *unified_tokens(struct graph *g)
{
	return unified(g, tokens(g), SHAPE(WIDTH));
}

/* Each token over its root mean square, then Unified Normalization. */
static struct node *power(struct graph *g)
{
	struct node *x = tokens(g), *square = part_mul(g, x, x);
	x = build_binary(g, OP_div, x, deviation(g, build_mean(g, square, 1u << 2, true)));
	return unified(g, x, SHAPE(WIDTH));
}

static struct node *head(struct graph *g, struct node *x)
{
	return part_linear(g, x, 4);
}

/* ---- graphs whose scales go away ---- */

static struct node *before_linear(struct graph *g)
{
	return head(g, unified_tokens(g));
}

static struct node *before_three(struct graph *g)
{
	struct node *x = unified_tokens(g), *q = head(g, x), *k = head(g, x), *v = head(g, x);
	static const int32_t swap[3] = {0, 2, 1};
	q = build_softmax(g, build_matmul(g, q, build_transpose(g, k, swap)), 2, false);
	return build_matmul(g, q, v);
}

static struct node *without_affine(struct graph *g)
{
	struct node *running = part_positive(g, SHAPE(WIDTH));
	return head(g, build_binary(g, OP_div, tokens(g), deviation(g, running)));
}

static struct node *by_reciprocal(struct graph *g)
{
	struct node *root = deviation(g, part_positive(g, SHAPE(WIDTH)));
	return head(g, part_mul(g, tokens(g), build_binary(g, OP_div, number(g, 1), root)));
}

static struct node *by_power(struct graph *g)
{
	struct node *v = part_add(g, part_positive(g, SHAPE(WIDTH)), number(g, 1e-5));
	return head(g, part_mul(g, tokens(g), build_binary(g, OP_pow, v, number(g, -0.5))));
}

static struct node *before_first_token(struct graph *g)
{
	struct slice_range first = {dim_const(g->context->dims, 0), dim_const(g->context->dims, 1),
				    1};
	return head(g, build_slice(g, unified_tokens(g), 1, first));
}

static struct node *before_convolution(struct graph *g)
{
	struct node *x = unified(g, held(g, SHAPE(2, WIDTH, 4, 4)), SHAPE(WIDTH, 1, 1));
	return part_conv(g, x, (struct part_conv){4, 2, 0, 0});
}

static struct node *in_a_residual_branch(struct graph *g)
{
	struct node *x = tokens(g), *y = unified(g, x, SHAPE(WIDTH));
	return part_add(g, x, part_linear(g, y, WIDTH));
}

static struct node *power_before_linear(struct graph *g)
{
	return head(g, power(g));
}

static struct node *power_before_two(struct graph *g)
{
	struct node *x = power(g);
	return part_add(g, head(g, x), build_unary(g, OP_tanh, head(g, x)));
}

/* ---- near misses ---- */

static struct node *is_output(struct graph *g)
{
	struct node *x = unified_tokens(g);
	graph_output(g, x, "h");
	return head(g, x);
}

static struct node *before_tanh(struct graph *g)
{
	struct node *x = unified_tokens(g);
	return part_add(g, head(g, x), head(g, build_unary(g, OP_tanh, x)));
}

static struct node *given_at_run_time(struct graph *g)
{
	struct node *running = part_input(g, "running", SHAPE(WIDTH));
	running = part_mul(g, running, running);
	return head(g, build_binary(g, OP_div, tokens(g), deviation(g, running)));
}

static struct node *of_tokens(struct graph *g)
{
	return head(g, unified(g, tokens(g), SHAPE(ROWS, 1)));
}

static struct node *before_attention_alone(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	struct node *x = unified_tokens(g);
	return build_matmul(g, x, build_transpose(g, x, swap));
}

static struct node *in_the_stream(struct graph *g)
{
	struct node *x = unified_tokens(g);
	return part_add(g, x, part_linear(g, x, WIDTH));
}

static struct node *power_is_output(struct graph *g)
{
	struct node *x = power(g);
	graph_output(g, x, "h");
	return head(g, x);
}

/* ---- what is left ---- */

static bool varies(const struct node *n)
{
	double value;
	return constant_of(n) && !splat_of(n, &value);
}

static bool has_scale(const struct graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->op == OP_norm && n->n_in > 1)
			return true;
		if ((n->op == OP_mul || n->op == OP_div) && (varies(n->in[0]) || varies(n->in[1])))
			return true;
	}
	return false;
}

static void no_scale(const struct graph *g)
{
	assert_false(has_scale(g));
}

static void a_scale(const struct graph *g)
{
	assert_true(has_scale(g));
}

static void norm_of_tokens(const struct graph *g)
{
	uint32_t norms = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		norms += g->nodes[i]->op == OP_norm;
	assert_int_equal(norms, 1);
	no_scale(g);
}

static const struct rewrite_case cases[] = {
		{"before_linear", before_linear, "absorb", true, NULL, no_scale},
		{"before_three", before_three, "absorb", true, NULL, no_scale},
		{"without_affine", without_affine, "gauge", true, "-absorb", no_scale},
		{"by_reciprocal", by_reciprocal, "absorb", true, NULL, no_scale},
		{"by_power", by_power, "absorb", true, NULL, no_scale},
		{"before_first_token", before_first_token, "absorb", true, NULL, no_scale},
		{"before_convolution", before_convolution, "absorb", true, NULL, no_scale},
		{"in_a_residual_branch", in_a_residual_branch, "absorb", true, NULL, no_scale},
		{"power_before_linear", power_before_linear, "absorb", true, NULL, norm_of_tokens},
		{"power_before_two", power_before_two, "absorb", true, NULL, norm_of_tokens},
		{"is_output", is_output, "absorb", false, NULL, a_scale},
		{"before_tanh", before_tanh, "absorb", false, NULL, a_scale},
		{"given_at_run_time", given_at_run_time, "absorb", false, NULL, NULL},
		{"of_tokens", of_tokens, "absorb", false, NULL, a_scale},
		{"before_attention_alone", before_attention_alone, "absorb", false, NULL, a_scale},
		{"in_the_stream", in_the_stream, "absorb", false, NULL, a_scale},
		{"power_is_output", power_is_output, "absorb", false, NULL, a_scale},
};

int main(void)
{
	return RUN_REWRITE_CASES("unified", cases) | RUN_ALGEBRA_CASES("unified", cases);
}
