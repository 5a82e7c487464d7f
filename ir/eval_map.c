/* Operations per element.
 *
 * An operation is a function of numbers: one of double, one of int64_t, or both.  Integer functions
 * compute modulo 2^64 and leave the wrapping to the type's width to eval.c; where the sign of a u64
 * matters they are told the element type.  What C leaves undefined (x / 0, shifts by the width,
 * INT64_MIN / -1) is defined here.
 */
#include <math.h>
#include <string.h>

#include "eval_op.h"

typedef double float_unary(double x);
typedef double float_binary(double x, double y);
typedef int64_t int_unary(enum normc_elem elem, int64_t x);
typedef int64_t int_binary(enum normc_elem elem, int64_t x, int64_t y);

static bool no_meaning(const struct eval *e, const struct node *n)
{
	return bug(e->context->diag, n->loc, "%s has no meaning for this element type",
		   op_info[n->op].name);
}

/* All operands have the result's shape. */
static bool same_shapes(struct eval *e, const struct node *n, const struct tensor *const *in,
			const struct tensor *out)
{
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!eval_same_shape(e, n, out, in[i]))
			return false;
	return true;
}

/* Whether a 64-bit value of this type counts from 0 to 2^64 - 1. */
static bool is_u64(enum normc_elem elem)
{
	return elem == NORMC_U64;
}

/* ---- one operand ---- */

struct unary {
	float_unary *f;
	int_unary *i;
};

static bool map_unary(struct eval *e, const struct node *n, const struct tensor *x,
		      struct tensor *out, struct unary function)
{
	if (!same_shapes(e, n, &x, out))
		return false;
	if (is_float(x) && function.f)
		for (int64_t i = 0; i < out->count; i++)
			out->f[i] = function.f(x->f[i]);
	else if (!is_float(x) && function.i)
		for (int64_t i = 0; i < out->count; i++)
			out->i[i] = function.i(x->elem, x->i[i]);
	else
		return no_meaning(e, n);
	return true;
}

#define UNARY(name, of_float, of_int)                                                              \
	EVAL(name)                                                                                 \
	{                                                                                          \
		return map_unary(e, n, in[0], out, (struct unary){of_float, of_int});              \
	}

static double float_neg(double x)
{
	return -x;
}

static int64_t int_same(enum normc_elem elem, int64_t x)
{
	(void)elem;
	return x;
}

static int64_t int_neg(enum normc_elem elem, int64_t x)
{
	(void)elem;
	return (int64_t)(0 - (uint64_t)x);
}

static int64_t int_abs(enum normc_elem elem, int64_t x)
{
	return x < 0 && !is_u64(elem) ? int_neg(elem, x) : x;
}

static double float_sign(double x)
{
	return isnan(x) ? x : (x > 0) - (x < 0);
}

static int64_t int_sign(enum normc_elem elem, int64_t x)
{
	return x < 0 && !is_u64(elem) ? -1 : x != 0;
}

static int64_t int_not(enum normc_elem elem, int64_t x)
{
	return elem == NORMC_BOOL ? !x : ~x;
}

UNARY(neg, float_neg, int_neg)
UNARY(abs, fabs, int_abs)
UNARY(sign, float_sign, int_sign)
UNARY(floor, floor, int_same)
UNARY(ceil, ceil, int_same)
UNARY(round, nearbyint, int_same)
UNARY(exp, exp, NULL)
UNARY(log, log, NULL)
UNARY(sqrt, sqrt, NULL)
UNARY(sin, sin, NULL)
UNARY(cos, cos, NULL)
UNARY(tan, tan, NULL)
UNARY(asin, asin, NULL)
UNARY(acos, acos, NULL)
UNARY(atan, atan, NULL)
UNARY(sinh, sinh, NULL)
UNARY(cosh, cosh, NULL)
UNARY(asinh, asinh, NULL)
UNARY(acosh, acosh, NULL)
UNARY(atanh, atanh, NULL)
UNARY(tanh, tanh, NULL)
UNARY(erf, erf, NULL)
UNARY(not, NULL, int_not)

EVAL(isnan)
{
	if (!same_shapes(e, n, in, out))
		return false;
	for (int64_t i = 0; i < out->count; i++)
		out->i[i] = is_float(in[0]) && isnan(in[0]->f[i]);
	return true;
}

EVAL(isinf)
{
	const struct attr_isinf *a = n->attr.isinf;
	if (!same_shapes(e, n, in, out))
		return false;
	for (int64_t i = 0; i < out->count; i++) {
		double x = is_float(in[0]) ? in[0]->f[i] : 0;
		out->i[i] = isinf(x) && (x > 0 ? a->positive : a->negative);
	}
	return true;
}

EVAL(copy)
{
	if (!same_shapes(e, n, in, out))
		return false;
	tensor_copy(out, in[0]);
	return true;
}

/* ---- conversions ---- */

/* Towards zero.  What 64 bits cannot hold, and NaN, become the least integer. */
static int64_t int_of_float(enum normc_elem to, double x)
{
	if (x > -0x1p63 && x < 0x1p63)
		return (int64_t)x;
	return is_u64(to) && x > 0 && x < 0x1p64 ? (int64_t)(uint64_t)x : INT64_MIN;
}

/* Exact up to 2^53.  Above, the last bit says that something was lost ("round to odd"), so that a
 * second rounding to a narrower format goes the right way. */
static double float_of_int(enum normc_elem from, enum normc_elem to, int64_t x)
{
	bool negative = x < 0 && !is_u64(from);
	uint64_t magnitude = negative ? 0 - (uint64_t)x : (uint64_t)x;
	uint64_t low = magnitude & 0x7ff; /* 11 = 64 - 53 bits */
	if (to != NORMC_F64 && magnitude >> 53 && low)
		magnitude = (magnitude - low) | 0x800;
	return negative ? -(double)magnitude : (double)magnitude;
}

static void cast_to_float(const struct tensor *x, struct tensor *out, bool wrap)
{
	for (int64_t i = 0; i < out->count; i++) {
		double value = is_float(x) ? x->f[i] : float_of_int(x->elem, out->elem, x->i[i]);
		out->f[i] = elem_cast(out->elem, value, wrap);
	}
}

static void cast_to_int(const struct tensor *x, struct tensor *out)
{
	bool to_bool = out->elem == NORMC_BOOL;
	for (int64_t i = 0; i < out->count; i++) {
		if (!is_float(x))
			out->i[i] = x->i[i];
		else
			out->i[i] = to_bool ? x->f[i] != 0 : int_of_float(out->elem, x->f[i]);
	}
}

/* Formats of 8 and 4 bits are quantization and round in EVAL_EXACT too. */
EVAL(cast)
{
	if (!same_shapes(e, n, in, out))
		return false;
	if (is_float(out))
		cast_to_float(in[0], out, n->attr.cast->wrap);
	else
		cast_to_int(in[0], out);
	return true;
}

EVAL(bitcast)
{
	size_t size = normc_elem_size(in[0]->elem);
	if (!same_shapes(e, n, in, out))
		return false;
	if (size != normc_elem_size(out->elem))
		return bug(e->context->diag, n->loc, "bitcast between types of different size");
	unsigned char *bytes = pool_take(e, (size_t)out->count, size);
	tensor_store(in[0], bytes);
	tensor_fill(out, bytes);
	pool_give(e, bytes);
	return true;
}

/* ---- two operands ---- */

struct binary {
	float_binary *f;
	int_binary *i;
};

static bool map_binary(struct eval *e, const struct node *n, const struct tensor *const *in,
		       struct tensor *out, struct binary function)
{
	const struct tensor *x = in[0], *y = in[1];
	if (!same_shapes(e, n, in, out))
		return false;
	if (is_float(x) && is_float(y) && function.f)
		for (int64_t i = 0; i < out->count; i++)
			out->f[i] = function.f(x->f[i], y->f[i]);
	else if (!is_float(x) && !is_float(y) && function.i)
		for (int64_t i = 0; i < out->count; i++)
			out->i[i] = function.i(x->elem, x->i[i], y->i[i]);
	else
		return no_meaning(e, n);
	return true;
}

#define BINARY(name, of_float, of_int)                                                             \
	EVAL(name)                                                                                 \
	{                                                                                          \
		return map_binary(e, n, in, out, (struct binary){of_float, of_int});               \
	}

/* A function of doubles and one of integers, each written as one expression in x and y. */
#define FLOAT_BINARY(name, expression)                                                             \
	static double float_##name(double x, double y)                                             \
	{                                                                                          \
		return expression;                                                                 \
	}
#define INT_BINARY(name, expression)                                                               \
	static int64_t int_##name(enum normc_elem elem, int64_t x, int64_t y)                      \
	{                                                                                          \
		(void)elem;                                                                        \
		return (int64_t)(expression);                                                      \
	}

FLOAT_BINARY(add, x + y)
FLOAT_BINARY(sub, x - y)
FLOAT_BINARY(mul, (x * y))
FLOAT_BINARY(div, x / y)
INT_BINARY(add, (uint64_t)x + (uint64_t)y)
INT_BINARY(sub, (uint64_t)x - (uint64_t)y)
INT_BINARY(mul, ((uint64_t)x * (uint64_t)y))
INT_BINARY(and, (x & y))
INT_BINARY(or, x | y)
INT_BINARY(xor, x ^ y)
INT_BINARY(lt, is_u64(elem) ? (uint64_t)x < (uint64_t)y : x < y)
INT_BINARY(max, int_lt(elem, x, y) ? y : x)
INT_BINARY(min, int_lt(elem, x, y) ? x : y)

static int64_t int_div(enum normc_elem elem, int64_t x, int64_t y)
{
	if (y == 0)
		return 0;
	if (is_u64(elem))
		return (int64_t)((uint64_t)x / (uint64_t)y);
	return y == -1 ? int_neg(elem, x) : x / y;
}

static int64_t int_fmod(enum normc_elem elem, int64_t x, int64_t y)
{
	if (y == 0)
		return 0;
	if (is_u64(elem))
		return (int64_t)((uint64_t)x % (uint64_t)y);
	return y == -1 ? 0 : x % y;
}

static int64_t int_mod(enum normc_elem elem, int64_t x, int64_t y)
{
	int64_t r = int_fmod(elem, x, y);
	return !is_u64(elem) && r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

static double float_mod(double x, double y)
{
	double r = fmod(x, y);
	if (r == 0)
		return copysign(0, y);
	return (r < 0) != (y < 0) ? r + y : r;
}

/* NaN wins; +0 is above -0. */
static double float_max(double x, double y)
{
	if (isnan(x) || isnan(y))
		return x + y;
	if (x == y)
		return signbit(x) ? y : x;
	return x > y ? x : y;
}

static double float_min(double x, double y)
{
	if (isnan(x) || isnan(y))
		return x + y;
	if (x == y)
		return signbit(x) ? x : y;
	return x < y ? x : y;
}

static int64_t int_shl(enum normc_elem elem, int64_t x, int64_t y)
{
	if (y < 0 || y >= elem_bits(elem))
		return 0;
	return (int64_t)((uint64_t)x << y);
}

/* Signed types keep their sign. */
static int64_t int_shr(enum normc_elem elem, int64_t x, int64_t y)
{
	if (y < 0 || y >= elem_bits(elem))
		return 0;
	if (is_u64(elem))
		return (int64_t)((uint64_t)x >> y);
	return x < 0 ? ~(~x >> y) : x >> y;
}

BINARY(add, float_add, int_add)
BINARY(sub, float_sub, int_sub)
BINARY(mul, float_mul, int_mul)
BINARY(div, float_div, int_div)
BINARY(mod, float_mod, int_mod)
BINARY(fmod, fmod, int_fmod)
BINARY(max, float_max, int_max)
BINARY(min, float_min, int_min)
BINARY(and, NULL, int_and)
BINARY(or, NULL, int_or)
BINARY(xor, NULL, int_xor)
BINARY(shl, NULL, int_shl)
BINARY(shr, NULL, int_shr)

/* ---- comparisons: the result is a bool, held as an integer ---- */

#define COMPARE(name, of_float, of_int)                                                            \
	EVAL(name)                                                                                 \
	{                                                                                          \
		const struct tensor *a = in[0], *b = in[1];                                        \
		if (!same_shapes(e, n, in, out))                                                   \
			return false;                                                              \
		for (int64_t i = 0; i < out->count; i++)                                           \
			out->i[i] = is_float(a) ? of_float(a->f[i], b->f[i])                       \
						: of_int(a->elem, a->i[i], b->i[i]);               \
		return true;                                                                       \
	}

static int64_t float_eq(double x, double y)
{
	return x == y;
}

static int64_t float_lt(double x, double y)
{
	return x < y;
}

static int64_t float_le(double x, double y)
{
	return x <= y;
}

INT_BINARY(eq, x == y)
INT_BINARY(le, !int_lt(elem, y, x))

COMPARE(eq, float_eq, int_eq)
COMPARE(lt, float_lt, int_lt)
COMPARE(le, float_le, int_le)

/* ---- the others ---- */

/* x to the power of y >= 0, modulo 2^64 */
static int64_t int_power(int64_t x, uint64_t y)
{
	uint64_t result = 1;
	for (uint64_t square = (uint64_t)x; y; y >>= 1, square *= square)
		if (y & 1)
			result *= square;
	return (int64_t)result;
}

/* A negative exponent gives the power's reciprocal, truncated; that of 0 is 0. */
static int64_t int_pow(enum normc_elem exponent, int64_t x, int64_t y)
{
	if (y >= 0 || is_u64(exponent))
		return int_power(x, (uint64_t)y);
	if (x == 1)
		return 1;
	return x == -1 ? (y % 2 ? -1 : 1) : 0;
}

EVAL(pow)
{
	const struct tensor *x = in[0], *y = in[1];
	if (!same_shapes(e, n, in, out))
		return false;
	for (int64_t i = 0; i < out->count; i++) {
		double exponent = is_float(y) ? y->f[i] : float_of_int(y->elem, NORMC_F64, y->i[i]);
		if (is_float(x))
			out->f[i] = pow(x->f[i], exponent);
		else if (is_float(y))
			out->i[i] = int_of_float(
					x->elem,
					pow(float_of_int(x->elem, NORMC_F64, x->i[i]), exponent));
		else
			out->i[i] = int_pow(y->elem, x->i[i], y->i[i]);
	}
	return true;
}

EVAL(where)
{
	if (!same_shapes(e, n, in, out))
		return false;
	for (int64_t i = 0; i < out->count; i++) {
		const struct tensor *from = in[0]->i[i] ? in[1] : in[2];
		memcpy(&out->i[i], &from->i[i], sizeof *out->i);
	}
	return true;
}
