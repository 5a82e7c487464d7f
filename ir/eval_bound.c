/* Bounds of rounding errors, beside the elements: operations per element, and movement.
 *
 * The elements are computed in fp64.  The bound of an element says how far from it a program may
 * land that computes the same mathematics with every operation rounded to its element type, and
 * with sums regrouped.  What is sure and what is not:
 *
 *	- Operations per element, movement, extremes, pooling and softmax: a worst case, by
 *	  intervals. Rounding counts at the operands of a sum, not at its result, so that terms may
 *	  be regrouped.
 *	- Sums of n terms: the worst case (n roundings) up to n = 64; above, roundings are taken as
 *	  independent with mean 0, and SIGMAS = 8 standard deviations are allowed (Higham and Mary
 *	  2019 call this the probabilistic bound).
 *	- Errors that come in through the operands of matmul and conv, or enter a statistic of a
 *	  norm of more than 16 elements, are taken as independent of each other: they add by
 *	  squares.  In the worst case they would add by sizes, which for a network of 50 layers
 *	  gives a bound of 10^80.
 *	- Operations that jump (floor, casts to integers, comparisons): where the interval of the
 *	  argument holds a jump, all that can come out is allowed; if that is a different choice or
 *	  another position, the bound is INFINITY: unchecked.  So it is where the element type
 *	  may overflow.
 *	- Whole numbers that a type holds exactly, with all partial sums, are not rounded: bound 0.
 *
 * The bound of an integer is 0, or what a cast or sums of such may be off.
 */
#include <float.h>
#include <math.h>
#include <string.h>

#include "eval_beside.h"

/* ---- element types ---- */

double bound_unit(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F64:
		return 0x1p-52;
	case NORMC_F32:
		return 0x1p-24;
	case NORMC_F16:
		return 0x1p-11;
	case NORMC_BF16:
		return 0x1p-8;
	default:
		return elem_is_float(elem) ? 0x1p-2 : 0;
	}
}

/* What underflow may lose: functions may return 0 for results below the normal range. */
static double least_normal(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F64:
		return DBL_MIN;
	case NORMC_F16:
		return 0x1p-24; /* computed in a wider type */
	default:
		return FLT_MIN;
	}
}

static double largest(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F64:
		return DBL_MAX;
	case NORMC_F32:
		return FLT_MAX;
	case NORMC_F16:
		return 65504;
	case NORMC_BF16:
		return 0x1.fep127;
	default:
		return INFINITY; /* small formats saturate */
	}
}

double bound_settle(const struct tensor *out, int64_t i, double bound)
{
	if (isnan(bound) || isinf(bound))
		return INFINITY;
	if (!is_float(out)) {
		if (bound == 0)
			return 0;
		double value = (double)out->i[i], room = elem_bits(out->elem) - 1;
		/* so that it holds for signed and unsigned types */
		return fabs(value) + bound < ldexp(1, (int)room) ? bound : INFINITY;
	}
	double value = fabs(out->f[i]);
	if (!isfinite(value))
		return bound;
	if (value > largest(out->elem) ||
	    (value < largest(out->elem) / 2 && value + bound > largest(out->elem)))
		return INFINITY;
	return bound;
}

bool bound_is_whole(double x)
{
	return x == floor(x);
}

double bound_monotone(double (*f)(double x), double x, double e)
{
	if (e == 0)
		return 0;
	double at = f(x);
	return fmax(fabs(f(x + e) - at), fabs(at - f(x - e))) +
	       (isnan(f(x + e)) || isnan(f(x - e)) ? INFINITY : 0);
}

/* ---- maps ---- */

/* An element with its bound. */
struct bounded {
	double x, e;
};

struct step {
	const struct node *n;
	struct bounded in[3];
	double value; /* of the result */
	double unit;  /* of its type */
	enum normc_elem from;
};

/* What comes from the operands' bounds, and rounding beyond that of the result itself. */
typedef double bound_rule(const struct step *s);

static double element(const struct tensor *t, int64_t i)
{
	if (is_float(t))
		return t->f[i];
	return t->elem == NORMC_U64 ? (double)(uint64_t)t->i[i] : (double)t->i[i];
}

/* An infinity or NaN, which has no neighbours: certain if the operands are. */
static double bound_of_special(const struct step *s, uint32_t n_in)
{
	bool certain = true, caused = false;
	for (uint32_t k = 0; k < n_in; k++) {
		certain = certain && s->in[k].e == 0;
		caused = caused || !isfinite(s->in[k].x);
		if (isinf(s->in[k].e))
			return INFINITY;
	}
	return certain || caused ? 0 : INFINITY;
}

/* `roundings`: of the result, in units. */
static bool each(const struct node *n, const struct tensor *const *in, struct tensor *out,
		 bound_rule *rule, double roundings)
{
	struct step s = {.n = n, .unit = bound_unit(out->elem), .from = in[0]->elem};
	double least = is_float(out) ? least_normal(out->elem) : 0;
	for (int64_t i = 0; i < out->count; i++) {
		for (uint32_t k = 0; k < n->n_in && k < 3; k++)
			s.in[k] = (struct bounded){element(in[k], i), in[k]->bound[i]};
		s.value = element(out, i);
		double bound = !isfinite(s.value) ? bound_of_special(&s, n->n_in)
						  : rule(&s) + roundings * s.unit * fabs(s.value);
		out->bound[i] = bound_settle(out, i, bound > 0 ? bound + least : bound);
	}
	return true;
}

#define EACH(name, roundings, expression)                                                          \
	static double rule_##name(const struct step *s)                                            \
	{                                                                                          \
		const struct bounded a = s->in[0], b = s->in[1];                                   \
		(void)a;                                                                           \
		(void)b;                                                                           \
		return (expression);                                                               \
	}                                                                                          \
	BOUND(name)                                                                                \
	{                                                                                          \
		(void)e;                                                                           \
		return each(n, in, out, rule_##name, roundings);                                   \
	}

/* What can be any other value if an operand is not certain. */
static double if_certain(const struct step *s, uint32_t n_in)
{
	for (uint32_t k = 0; k < n_in; k++)
		if (s->in[k].e > 0)
			return INFINITY;
	return 0;
}

static double of_sign(double x)
{
	return (x > 0) - (x < 0);
}

static double of_tan(struct bounded a)
{
	const double half_turn = acos(-1);
	if (floor((a.x - a.e) / half_turn + 0.5) != floor((a.x + a.e) / half_turn + 0.5))
		return INFINITY; /* a pole lies between */
	return bound_monotone(tan, a.x, a.e);
}

EACH(neg, 0, a.e)
EACH(abs, 0, a.e)
EACH(copy, 0, a.e)
EACH(sign, 0, bound_monotone(of_sign, a.x, a.e))
EACH(floor, 0, bound_monotone(floor, a.x, a.e))
EACH(ceil, 0, bound_monotone(ceil, a.x, a.e))
EACH(round, 0, bound_monotone(nearbyint, a.x, a.e))
EACH(exp, 8, bound_monotone(exp, a.x, a.e))
EACH(log, 8, bound_monotone(log, a.x, a.e) + s->unit)
EACH(sqrt, 2, bound_monotone(sqrt, a.x, a.e))
EACH(sin, 8, fmin(a.e, 2))
EACH(cos, 8, fmin(a.e, 2))
EACH(tan, 8, of_tan(a))
EACH(asin, 8, bound_monotone(asin, a.x, a.e))
EACH(acos, 8, bound_monotone(acos, a.x, a.e) + s->unit)
EACH(atan, 8, bound_monotone(atan, a.x, a.e))
EACH(sinh, 8, bound_monotone(sinh, a.x, a.e))
EACH(cosh, 8, bound_monotone(cosh, fabs(a.x), a.e))
EACH(asinh, 8, bound_monotone(asinh, a.x, a.e))
EACH(acosh, 8, bound_monotone(acosh, a.x, a.e) + s->unit)
EACH(atanh, 8, bound_monotone(atanh, a.x, a.e))
EACH(tanh, 8, bound_monotone(tanh, a.x, a.e))
EACH(erf, 8, bound_monotone(erf, a.x, a.e))
EACH(not, 0, if_certain(s, 1))
EACH(isnan, 0, isinf(a.e) ? INFINITY : 0)
EACH(isinf, 0, isinf(a.e) ? INFINITY : 0)

/* Bounds of the first are multiplied with the second's values; 0 * unknown is unknown. */
static double of_product(struct bounded a, struct bounded b)
{
	if (a.e == 0 && b.e == 0)
		return 0;
	return fabs(a.x) * b.e + fabs(b.x) * a.e + a.e * b.e;
}

static double of_quotient(const struct step *s)
{
	struct bounded a = s->in[0], b = s->in[1];
	if (a.e == 0 && b.e == 0)
		return 0;
	if (b.e >= fabs(b.x))
		return INFINITY;
	double bound = (a.e + fabs(a.x / b.x) * b.e) / (fabs(b.x) - b.e);
	return s->unit > 0 ? bound : bound + 1; /* integers are truncated */
}

/* Both remainders are a - q*b with a whole number q that jumps. */
static double of_remainder(const struct step *s, double (*whole)(double x))
{
	struct bounded a = s->in[0], b = s->in[1];
	if (a.e == 0 && b.e == 0)
		return 0;
	if (b.e >= fabs(b.x))
		return INFINITY;
	double first = whole((a.x - a.e) / (b.x - b.e));
	const double signs[3][2] = {{-1, 1}, {1, -1}, {1, 1}};
	for (int k = 0; k < 3; k++)
		if (whole((a.x + signs[k][0] * a.e) / (b.x + signs[k][1] * b.e)) != first)
			return INFINITY;
	return a.e + fabs(first) * b.e;
}

/* What becomes of a power that an integer type cannot hold is not defined. */
static bool overflows(const struct step *s, double x)
{
	return !elem_is_float(s->n->type.elem) &&
	       !(fabs(x) < ldexp(1, elem_bits(s->n->type.elem) - 1));
}

/* For a positive base the extremes lie at the corners. */
static double of_power(const struct step *s)
{
	struct bounded a = s->in[0], b = s->in[1];
	double bound = 0;
	if (elem_is_float(s->n->in[1]->type.elem) && overflows(s, pow(a.x, b.x)))
		return INFINITY;
	if (a.e == 0 && b.e == 0)
		return 0;
	if (a.x - a.e > 0) {
		for (int k = 0; k < 4; k++)
			bound = fmax(bound, fabs(pow(a.x + (k & 1 ? a.e : -a.e),
						     b.x + (k & 2 ? b.e : -b.e)) -
						 s->value));
		return bound;
	}
	bool polynomial = b.e == 0 && b.x >= 0 && b.x == floor(b.x);
	if (!polynomial)
		return INFINITY;
	return b.x == 0 ? 0 : b.x * pow(fabs(a.x) + a.e, b.x - 1) * a.e;
}

static double of_extreme(const struct step *s, double (*extreme)(double x, double y))
{
	struct bounded a = s->in[0], b = s->in[1];
	return fmax(extreme(a.x + a.e, b.x + b.e) - s->value,
		    s->value - extreme(a.x - a.e, b.x - b.e));
}

/* A comparison is certain if the intervals do not meet. */
static double of_order(const struct step *s)
{
	struct bounded a = s->in[0], b = s->in[1];
	if (a.e + b.e == 0 || fabs(a.x - b.x) > a.e + b.e)
		return 0;
	return INFINITY;
}

static double of_choice(const struct step *s)
{
	struct bounded a = s->in[1], b = s->in[2];
	if (s->in[0].e == 0)
		return s->in[0].x != 0 ? a.e : b.e;
	return fmax(fabs(a.x - s->value) + a.e, fabs(b.x - s->value) + b.e);
}

/* Of certain whole numbers whose result is exact. */
static bool is_exact(const struct step *s, double size)
{
	struct bounded a = s->in[0], b = s->in[1];
	return a.e == 0 && b.e == 0 && bound_is_whole(a.x) && bound_is_whole(b.x) &&
	       size * s->unit <= 1;
}

static double of_sum(const struct step *s)
{
	double size = fabs(s->in[0].x) + fabs(s->in[1].x);
	if (is_exact(s, size))
		return 0;
	return s->in[0].e + s->in[1].e + s->unit * (size + fabs(s->value));
}

static double of_mul(const struct step *s)
{
	double size = fabs(s->value);
	return is_exact(s, size) ? 0 : of_product(s->in[0], s->in[1]) + 2 * s->unit * size;
}

EACH(add, 0, of_sum(s))
EACH(sub, 0, of_sum(s))
EACH(mul, 0, of_mul(s))
EACH(div, 3, of_quotient(s))
EACH(pow, 16, of_power(s))
EACH(mod, 1, of_remainder(s, floor))
EACH(fmod, 1, of_remainder(s, trunc))
EACH(max, 0, of_extreme(s, fmax))
EACH(min, 0, of_extreme(s, fmin))
EACH(and, 0, if_certain(s, 2))
EACH(or, 0, if_certain(s, 2))
EACH(xor, 0, if_certain(s, 2))
EACH(shl, 0, if_certain(s, 2))
EACH(shr, 0, if_certain(s, 2))
EACH(eq, 0, of_order(s))
EACH(lt, 0, of_order(s))
EACH(le, 0, of_order(s))
EACH(where, 0, of_choice(s))
EACH(bitcast, 0, if_certain(s, 1))

/* To 8 and 4 bits the reference rounds too, so that the rounding is a jump. */
static double rule_cast(const struct step *s)
{
	const struct attr_cast *attr = s->n->attr.cast;
	struct bounded a = s->in[0];
	if (a.e == 0)
		return 0;
	if (attr->to == NORMC_BOOL)
		return fabs(a.x) <= a.e ? INFINITY : 0;
	if (!elem_is_float(attr->to))
		return elem_is_float(s->from) ? bound_monotone(trunc, a.x, a.e) : a.e;
	if (bound_unit(attr->to) < 0.1)
		return a.e;
	return fmax(fabs(elem_cast(attr->to, a.x + a.e, attr->wrap) - s->value),
		    fabs(s->value - elem_cast(attr->to, a.x - a.e, attr->wrap)));
}

BOUND(cast)
{
	bool rounds = is_float(out) && bound_unit(out->elem) < 0.1 && in[0]->elem != out->elem;
	(void)e;
	return each(n, in, out, rule_cast, rounds ? 1 : 0);
}

/* ---- movement ---- */

BESIDE_MOVED_ROWS(bound)

static void all_unknown(struct tensor *out)
{
	for (int64_t i = 0; i < out->count; i++)
		out->bound[i] = INFINITY;
}

static bool is_certain(const struct tensor *t)
{
	for (int64_t i = 0; i < t->count; i++)
		if (t->bound[i] > 0)
			return false;
	return true;
}

BOUND(gather)
{
	if (!beside_moved(e, n, in, out, eval_gather))
		return false;
	if (!is_certain(in[1]))
		all_unknown(out);
	return true;
}

BOUND(gather_elements)
{
	if (!beside_moved(e, n, in, out, eval_gather_elements))
		return false;
	for (int64_t i = 0; i < out->count; i++)
		if (in[1]->bound[i] > 0)
			out->bound[i] = INFINITY;
	return true;
}

/* ---- sources, calls, regions ---- */

/* Nothing is rounded: bounds are 0, or come with the operand (tensor_copy). */
BESIDE_KEPT(bound, poison)
BESIDE_KEPT(bound, input)
BESIDE_KEPT(bound, constant)
BESIDE_KEPT(bound, iota)
BESIDE_KEPT(bound, dims)
BESIDE_KEPT(bound, part)

/* The other branch might have been taken. */
BOUND(if)
{
	(void)e;
	for (uint32_t k = 0; k < n->attr.region->n_out && !is_certain(in[0]); k++)
		all_unknown(&out[k]);
	return true;
}

/* The number of turns. A condition that becomes uncertain inside is not noticed. */
BOUND(loop)
{
	(void)e;
	bool certain = is_certain(in[0]) && is_certain(in[1]);
	for (uint32_t k = 0; k < n->attr.region->n_out && !certain; k++)
		all_unknown(&out[k]);
	return true;
}

#define OP(name, ...) [OP_##name] = bound_##name,
static eval_fn *const bound_of[OP_COUNT] = {
#include "ops.def"
};
#undef OP

bool eval_bounds(const struct graph *g, struct eval_request request, const struct tensor *in,
		 struct tensor *out)
{
	request.mode = EVAL_EXACT;
	return eval_graph_beside(g, request, bound_of, in, out);
}
