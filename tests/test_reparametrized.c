/* Weights that are written as expressions of parameters (weight normalization and its kin) are
 * computed when the model is compiled: nothing but the product remains.  Near misses: one of the
 * parameters is not constant, so that the expression must stay.
 */
#include <math.h>

#include "algebra_case.h"

enum { FILTERS = 6, CHANNELS = 4, KERNEL = 3, ALL_BUT_FILTERS = 14 };

/* What the expressions are made of; parameters that are not constant are inputs. */
struct parameters {
	struct graph *g;
	struct node *v; /* [o][c][k][k] */
	bool open;	/* the gain is an input */
};

static struct node *number(struct parameters *p, double value)
{
	return build_number(p->g, NORMC_F32, value);
}

static struct node *gain(struct parameters *p)
{
	struct shape shape = SHAPE(FILTERS, 1, 1, 1);
	return p->open ? part_input(p->g, "gain", shape) : part_positive(p->g, shape);
}

static struct node *binary(struct parameters *p, enum op op, struct node *a, struct node *b)
{
	return build_binary(p->g, op, a, b);
}

static struct node *root(struct parameters *p, struct node *a)
{
	return build_unary(p->g, OP_sqrt, a);
}

static struct node *sum(struct parameters *p, struct node *a)
{
	return build_reduce(p->g, OP_reduce_sum, a, ALL_BUT_FILTERS, true);
}

static struct node *mean(struct parameters *p, struct node *a)
{
	return build_mean(p->g, a, ALL_BUT_FILTERS, true);
}

static struct node *square(struct parameters *p, struct node *a)
{
	return binary(p, OP_mul, a, a);
}

static struct node *scaled(struct parameters *p, struct node *w)
{
	return binary(p, OP_mul, w, gain(p));
}

typedef struct node *weights_fn(struct parameters *p);

/* w = g v / |v| (Salimans and Kingma, 2016) */
static struct node *weight_norm(struct parameters *p)
{
	return scaled(p, binary(p, OP_div, p->v, root(p, sum(p, square(p, p->v)))));
}

/* The same by a power. */
static struct node *weight_norm_power(struct parameters *p)
{
	struct node *s = sum(p, binary(p, OP_pow, p->v, number(p, 2)));
	return scaled(p, binary(p, OP_mul, p->v, binary(p, OP_pow, s, number(p, -0.5))));
}

static struct node *centred(struct parameters *p)
{
	return binary(p, OP_sub, p->v, mean(p, p->v));
}

static struct node *unbiased_variance(struct parameters *p)
{
	double n = CHANNELS * KERNEL * KERNEL;
	return binary(p, OP_div, sum(p, square(p, centred(p))), number(p, n - 1));
}

/* Weight standardization, in its three definitions: unbiased with epsilon outside the root,
 * unbiased with epsilon inside, biased with epsilon inside. */
static struct node *standardized_outside(struct parameters *p)
{
	struct node *deviation = root(p, unbiased_variance(p));
	return scaled(p,
		      binary(p, OP_div, centred(p), binary(p, OP_add, deviation, number(p, 1e-5))));
}

static struct node *standardized_unbiased(struct parameters *p)
{
	struct node *v = binary(p, OP_add, unbiased_variance(p), number(p, 1e-5));
	return scaled(p, binary(p, OP_div, centred(p), root(p, v)));
}

static struct node *standardized_biased(struct parameters *p)
{
	struct node *v = binary(p, OP_add, mean(p, square(p, centred(p))), number(p, 1e-5));
	return scaled(p, binary(p, OP_div, centred(p), root(p, v)));
}

/* Scaled weight standardization of NF-ResNets: fan-in and a floor under the variance. */
static struct node *scaled_standardized(struct parameters *p)
{
	struct node *v = mean(p, square(p, centred(p)));
	v = binary(p, OP_max, binary(p, OP_mul, v, number(p, CHANNELS * KERNEL * KERNEL)),
		   number(p, 1e-4));
	return scaled(p,
		      binary(p, OP_mul, centred(p), binary(p, OP_div, number(p, 1), root(p, v))));
}

/* sigma = u W v with the vectors of the last power iteration. */
static struct node *spectral(struct parameters *p)
{
	const struct dim *dim[2] = {dim_const(p->g->context->dims, FILTERS),
				    dim_const(p->g->context->dims, CHANNELS * KERNEL * KERNEL)};
	struct node *w = build_reshape(p->g, p->v, 2, dim);
	struct node *u = part_weights(p->g, SHAPE(1, FILTERS));
	struct node *v = part_weights(p->g, SHAPE(CHANNELS * KERNEL * KERNEL, 1));
	struct node *sigma = build_matmul(p->g, build_matmul(p->g, u, w), v);
	return scaled(p, binary(p, OP_div, p->v, build_reshape(p->g, sigma, 0, sigma->type.dim)));
}

/* A diagonal in front: rows get equal norms. */
static struct node *conditioned(struct parameters *p)
{
	struct node *d = binary(
			p, OP_div, number(p, 1),
			binary(p, OP_add, root(p, sum(p, square(p, p->v))), number(p, 1e-6)));
	return scaled(p, binary(p, OP_mul, p->v, d));
}

/* A bounded function of each weight. */
static struct node *companded(struct parameters *p)
{
	return scaled(p, build_unary(p->g, OP_tanh, p->v));
}

/* The operation itself, applied to weights. */
static struct node *norm_of_weights(struct parameters *p)
{
	struct attr_norm attr = {.axes = ALL_BUT_FILTERS,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 1e-5};
	return scaled(p, build_norm(p->g, (struct norm_operands){.x = p->v}, &attr));
}

static struct node *convolution(struct graph *g, weights_fn *weights, bool open)
{
	struct attr_conv attr = {.spatial = 2, .groups = 1};
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = attr.dilation[i] = attr.x_dilation[i] = 1;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, 1);
	}
	struct parameters p = {g, part_weights(g, SHAPE(FILTERS, CHANNELS, KERNEL, KERNEL)), open};
	struct node *x = part_input(g, "x", SHAPE(2, CHANNELS, 5, 5));
	return build_conv(g, x, weights(&p), &attr);
}

static struct node *linear(struct graph *g, weights_fn *weights)
{
	static const int32_t swap[2] = {1, 0};
	const struct dim *dim[2] = {dim_const(g->context->dims, FILTERS),
				    dim_const(g->context->dims, CHANNELS * KERNEL * KERNEL)};
	struct parameters p = {g, part_weights(g, SHAPE(FILTERS, CHANNELS, KERNEL, KERNEL)), false};
	struct node *w = build_reshape(g, weights(&p), 2, dim);
	struct node *x = part_input(g, "x", SHAPE(2, CHANNELS * KERNEL * KERNEL));
	return build_matmul(g, x, build_transpose(g, w, swap));
}

static uint32_t computed(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		enum op_kind kind = op_info[g->nodes[i]->op].kind;
		n += kind != KIND_source && kind != KIND_view;
	}
	return n;
}

static void product_only(const struct graph *g)
{
	assert_int_equal(computed(g), 1);
}

static void expression_stays(const struct graph *g)
{
	assert_true(computed(g) > 1);
}

#define WEIGHTS(X)                                                                                 \
	X(weight_norm)                                                                             \
	X(weight_norm_power)                                                                       \
	X(standardized_outside)                                                                    \
	X(standardized_unbiased)                                                                   \
	X(standardized_biased)                                                                     \
	X(scaled_standardized)                                                                     \
	X(spectral) X(conditioned) X(companded) X(norm_of_weights)

#define MAKE(name)                                                                                 \
	static struct node *conv_##name(struct graph *g)                                           \
	{                                                                                          \
		return convolution(g, name, false);                                                \
	}                                                                                          \
	static struct node *linear_##name(struct graph *g)                                         \
	{                                                                                          \
		return linear(g, name);                                                            \
	}                                                                                          \
	static struct node *open_##name(struct graph *g)                                           \
	{                                                                                          \
		return convolution(g, name, true);                                                 \
	}
WEIGHTS(MAKE)

/* Unit embeddings times the root of their width (FixNorm); the table is read by index. */
static struct node *fix_norm(struct graph *g)
{
	struct node *table = part_weights(g, SHAPE(9, 8)), *x = part_input(g, "x", SHAPE(2, 3, 9));
	struct node *s = build_reduce(g, OP_reduce_sum, build_binary(g, OP_mul, table, table), 2,
				      true);
	struct node *unit = build_binary(g, OP_div, table, build_unary(g, OP_sqrt, s));
	struct attr_arg arg = {.axis = 2};
	struct node *index = graph_node(g, OP_argmax, &x, 1, (union attr){.arg = &arg});
	index = build_reshape(g, index, 2, x->type.dim);
	unit = build_binary(g, OP_mul, unit, build_number(g, NORMC_F32, sqrt(8)));
	return build_gather(g, unit, index, 0);
}

static void table_only(const struct graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++)
		assert_true(op_info[g->nodes[i]->op].kind != KIND_map);
}

#define CASES(name)                                                                                \
	{"conv_" #name, conv_##name, NULL, true, NULL, product_only},                              \
			{"linear_" #name, linear_##name, NULL, true, NULL, product_only},          \
			{"open_" #name, open_##name, NULL, false, NULL, expression_stays},

static const struct rewrite_case cases[] = {
		WEIGHTS(CASES){"fix_norm", fix_norm, NULL, true, NULL, table_only},
};

int main(void)
{
	return RUN_REWRITE_CASES("reparametrized", cases) |
	       RUN_ALGEBRA_CASES("reparametrized", cases);
}
