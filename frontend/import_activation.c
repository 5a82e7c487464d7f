/* Activation functions.  Each is a composition of elementwise operations, which fuse into one loop;
 * formulas that lose accuracy in f16 or bf16 are computed in f32 and rounded once. */
#include <math.h>
#include <string.h>

#include "compose.h"

/* Reads operand 0 for a formula of several roundings, and sets the result. */
static struct node *wide_in(struct import *n)
{
	return compose_wide(n->g, import_in(n, 0));
}

static void narrow_out(struct import *n, struct node *y)
{
	import_out(n, 0, build_cast(n->g, y, import_in(n, 0)->type.elem));
}

/* x < 0 ? negative : x */
static struct node *when_negative(struct graph *g, struct node *x, struct node *negative)
{
	return build_where(g, compose_with(g, OP_lt, x, 0), negative, x);
}

/* scale * (exp(x) - 1) */
static struct node *exp_minus_1(struct graph *g, struct node *x, double scale)
{
	struct node *y = compose_with(g, OP_sub, build_unary(g, OP_exp, x), 1);
	return scale == 1 ? y : compose_with(g, OP_mul, y, scale);
}

void import_relu(struct import *n)
{
	import_out(n, 0, compose_with(n->g, OP_max, import_in(n, 0), 0));
}

void import_leaky_relu(struct import *n)
{
	struct node *x = import_in(n, 0);
	double alpha = import_float(n, "alpha", 0.01);
	import_out(n, 0, when_negative(n->g, x, compose_with(n->g, OP_mul, x, alpha)));
}

void import_prelu(struct import *n)
{
	struct node *x = import_in(n, 0);
	import_out(n, 0, when_negative(n->g, x, build_binary(n->g, OP_mul, x, import_in(n, 1))));
}

void import_elu(struct import *n)
{
	struct node *x = wide_in(n);
	narrow_out(n, when_negative(n->g, x, exp_minus_1(n->g, x, import_float(n, "alpha", 1))));
}

void import_selu(struct import *n)
{
	struct node *x = wide_in(n);
	double alpha = import_float(n, "alpha", 1.67326319217681884765625);
	double gamma = import_float(n, "gamma", 1.05070102214813232421875);
	struct node *y = build_where(n->g, compose_with(n->g, OP_le, x, 0),
				     exp_minus_1(n->g, x, alpha), x);
	narrow_out(n, compose_with(n->g, OP_mul, y, gamma));
}

void import_celu(struct import *n)
{
	struct node *x = wide_in(n);
	double alpha = import_float(n, "alpha", 1);
	struct node *scaled = alpha == 1 ? x : compose_with(n->g, OP_div, x, alpha);
	narrow_out(n, when_negative(n->g, x, exp_minus_1(n->g, scaled, alpha)));
}

void import_thresholded_relu(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct node *above = compose_from(n->g, OP_lt, import_float(n, "alpha", 1), x);
	import_out(n, 0, build_where(n->g, above, x, compose_number(n->g, x, 0)));
}

/* max(0, min(1, alpha x + beta)) */
static struct node *hard_sigmoid(struct graph *g, struct node *x, double alpha, double beta)
{
	struct node *y = compose_with(g, OP_add, compose_with(g, OP_mul, x, alpha), beta);
	return compose_with(g, OP_max, compose_with(g, OP_min, y, 1), 0);
}

void import_hard_sigmoid(struct import *n)
{
	double alpha = import_float(n, "alpha", 0.2), beta = import_float(n, "beta", 0.5);
	narrow_out(n, hard_sigmoid(n->g, wide_in(n), alpha, beta));
}

void import_hard_swish(struct import *n)
{
	struct node *x = wide_in(n);
	narrow_out(n, build_binary(n->g, OP_mul, x, hard_sigmoid(n->g, x, 1.0 / 6, 0.5)));
}

void import_sigmoid(struct import *n)
{
	narrow_out(n, compose_sigmoid(n->g, wide_in(n)));
}

/* log(1 + exp(x)) without overflow */
void import_softplus(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = wide_in(n);
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, build_unary(g, OP_abs, x)));
	struct node *tail = build_unary(g, OP_log, compose_with(g, OP_add, e, 1));
	narrow_out(n, build_binary(g, OP_add, compose_with(g, OP_max, x, 0), tail));
}

void import_softsign(struct import *n)
{
	struct node *x = wide_in(n);
	struct node *d = compose_with(n->g, OP_add, build_unary(n->g, OP_abs, x), 1);
	narrow_out(n, build_binary(n->g, OP_div, x, d));
}

/* x tanh(log(1 + e)) with e = exp(x) is x (e^2 + 2e) / (e^2 + 2e + 2); above 20 the quotient is 1.
 */
void import_mish(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = wide_in(n);
	struct node *e = build_unary(g, OP_exp, compose_with(g, OP_min, x, 20));
	struct node *t = build_binary(g, OP_mul, e, compose_with(g, OP_add, e, 2));
	struct node *quotient = build_binary(g, OP_div, t, compose_with(g, OP_add, t, 2));
	narrow_out(n, build_binary(g, OP_mul, x, quotient));
}

void import_gelu(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = wide_in(n), *inner;
	const char *approximate = import_string(n, "approximate", "none");
	if (!strcmp(approximate, "tanh")) {
		struct node *cube = build_binary(g, OP_mul, x, build_binary(g, OP_mul, x, x));
		inner = build_binary(g, OP_add, x, compose_with(g, OP_mul, cube, 0.044715));
		inner = build_unary(g, OP_tanh, compose_with(g, OP_mul, inner, sqrt(2 / M_PI)));
	} else {
		if (strcmp(approximate, "none"))
			import_invalid(n, "approximate '%s' is neither none nor tanh", approximate);
		inner = build_unary(g, OP_erf, compose_with(g, OP_mul, x, M_SQRT1_2));
	}
	struct node *half = compose_with(g, OP_mul, x, 0.5);
	narrow_out(n, build_binary(g, OP_mul, half, compose_with(g, OP_add, inner, 1)));
}

void import_shrink(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0);
	double bias = import_float(n, "bias", 0), lambda = import_float(n, "lambd", 0.5);
	struct node *below = compose_with(g, OP_lt, x, -lambda),
		    *above = compose_from(g, OP_lt, lambda, x);
	struct node *y = build_where(g, above, compose_with(g, OP_sub, x, bias),
				     compose_number(g, x, 0));
	import_out(n, 0, build_where(g, below, compose_with(g, OP_add, x, bias), y));
}

/* x * sigmoid(alpha x) */
static struct node *swish(struct graph *g, struct node *x, double alpha)
{
	struct node *scaled = alpha == 1 ? x : compose_with(g, OP_mul, x, alpha);
	return build_binary(g, OP_mul, x, compose_sigmoid(g, scaled));
}

void import_swish(struct import *n)
{
	narrow_out(n, swish(n->g, wide_in(n), import_float(n, "alpha", 1)));
}

void import_swiglu(struct import *n)
{
	struct node *gate = swish(n->g, wide_in(n), import_float(n, "alpha", 1));
	narrow_out(n, build_binary(n->g, OP_mul, gate, compose_wide(n->g, import_in(n, 1))));
}

/* Before opset 13 softmax and its relatives worked on the flattened dimensions axis..rank-1 at
 * once. */
static struct node *flatten_from(struct graph *g, struct node *x, int32_t axis)
{
	struct dims *dims = g->context->dims;
	const struct dim *flat[2] = {dim_const(dims, 1), dim_const(dims, 1)};
	for (int32_t i = 0; i < x->type.rank; i++)
		flat[i >= axis] = dim_mul(dims, flat[i >= axis], x->type.dim[i]);
	return build_reshape(g, x, 2, flat);
}

/* Calls make(x, axis) on operand 0 as the opset wants it seen. */
static void along_axis(struct import *n,
		       struct node *make(struct import *n, struct node *x, int32_t axis))
{
	struct node *x = import_in(n, 0), *y;
	if (node_is_poison(x))
		return;
	int32_t rank = x->type.rank;
	int32_t axis = import_axis(n, import_int(n, "axis", n->opset < 13 ? 1 : -1), rank);
	if (n->opset < 13 && axis < rank - 1)
		y = build_reshape(n->g, make(n, flatten_from(n->g, x, axis), 1), rank, x->type.dim);
	else
		y = make(n, x, axis);
	import_out(n, 0, y);
}

static struct node *make_softmax(struct import *n, struct node *x, int32_t axis)
{
	if (!x->type.rank) /* one element: probability 1 */
		return compose_number(n->g, x, strcmp(n->op_type, "LogSoftmax") ? 1 : 0);
	return build_softmax(n->g, x, axis, !strcmp(n->op_type, "LogSoftmax"));
}

void import_softmax(struct import *n)
{
	along_axis(n, make_softmax);
}

/* 1 at the first of the largest elements, 0 elsewhere */
static struct node *make_hardmax(struct import *n, struct node *x, int32_t axis)
{
	struct attr_arg attr = {0};
	attr.axis = axis;
	struct node *largest = graph_node(n->g, OP_argmax, &x, 1, (union attr){.arg = &attr});
	struct type t = compose_type(x, NORMC_I64);
	struct node *hit = build_binary(n->g, OP_eq, build_iota(n->g, &t, axis), largest);
	return build_cast(n->g, hit, x->type.elem);
}

void import_hardmax(struct import *n)
{
	along_axis(n, make_hardmax);
}
