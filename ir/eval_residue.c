/* Floating-point elements modulo the prime 2^61 - 1, beside their values in fp64.
 *
 * Numbers are m * 2^e and map exactly; sums, products, quotients and what is made of them are
 * exact, so that two formulas that are equal in real arithmetic give equal residues, and two that
 * are not differ but for a chance near 2^-60.  Functions that are not rational (sqrt, exp, ...) are
 * unknown: a hash of the operation and the residue of its argument.  Choices (max, comparisons,
 * signs, where) are made by the values in fp64, or by equality of residues.  Constants that a pass
 * has computed and rounded bring the residue of what they stand for (attr_data.residue).
 *
 * Residues stand in the array beside the elements; those of integer tensors are not used, since
 * their elements are exact.
 */
#include <math.h>
#include <string.h>

#include "eval_beside.h"

__extension__ typedef unsigned __int128 wide;

uint64_t residue_sum(uint64_t a, uint64_t b)
{
	uint64_t sum = a + b;
	return sum >= RESIDUE_PRIME ? sum - RESIDUE_PRIME : sum;
}

uint64_t residue_negative(uint64_t a)
{
	return a ? RESIDUE_PRIME - a : 0;
}

uint64_t residue_product(uint64_t a, uint64_t b)
{
	wide product = (wide)a * b;
	uint64_t low = (uint64_t)product & RESIDUE_PRIME, high = (uint64_t)(product >> 61);
	return residue_sum(low, high);
}

static uint64_t power(uint64_t a, uint64_t exponent)
{
	uint64_t result = 1;
	for (; exponent; exponent >>= 1, a = residue_product(a, a))
		if (exponent & 1)
			result = residue_product(result, a);
	return result;
}

/* Of 0 it is 0. */
uint64_t residue_inverse(uint64_t a)
{
	return power(a, RESIDUE_PRIME - 2);
}

/* An unknown function of a and b. */
uint64_t residue_unknown(enum op op, uint64_t a, uint64_t b)
{
	uint64_t z = (uint64_t)op * 0x9e3779b97f4a7c15u + a;
	for (int round = 0; round < 3; round++) {
		z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
		z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
		z = (z ^ (z >> 31)) + (round ? 0 : b);
	}
	return z % RESIDUE_PRIME;
}

static uint64_t of_integer(enum normc_elem elem, int64_t x)
{
	if (x < 0 && elem != NORMC_U64)
		return residue_negative((0 - (uint64_t)x) % RESIDUE_PRIME);
	return (uint64_t)x % RESIDUE_PRIME;
}

/* 2 has order 61. Infinities and NaN are numbers of their own. */
uint64_t residue_of_real(double x)
{
	int exponent;
	if (!isfinite(x))
		return residue_unknown(OP_isinf, isnan(x) ? 0 : x > 0 ? 1 : 2, 0);
	double fraction = frexp(fabs(x), &exponent);
	uint64_t digits = (uint64_t)ldexp(fraction, 53);
	exponent = (exponent - 53) % 61;
	uint64_t scaled = residue_product(
			digits % RESIDUE_PRIME,
			power(2, (uint64_t)(exponent < 0 ? exponent + 61 : exponent)));
	return x < 0 ? residue_negative(scaled) : scaled;
}

static uint64_t residue_at(const struct tensor *t, int64_t i)
{
	return is_float(t) ? t->residue[i] : of_integer(t->elem, t->i[i]);
}

/* ---- sources ---- */

/* Residues of the values themselves. */
static bool from_values(struct tensor *out)
{
	for (int64_t i = 0; is_float(out) && i < out->count; i++)
		out->residue[i] = residue_of_real(out->f[i]);
	return true;
}

/* Inputs of a region bring theirs with them, those of the graph come without. */
RESIDUE(input)
{
	(void)in;
	return e->in[n->attr.port->index].residue || from_values(out);
}

/* Those that a pass has computed and rounded know what they stand for. */
RESIDUE(constant)
{
	const uint64_t *residue = n->attr.data->residue;
	(void)e;
	(void)in;
	if (residue)
		memcpy(out->residue, residue, (size_t)out->count * sizeof *residue);
	return residue || from_values(out);
}

#define BY_VALUE(name)                                                                             \
	RESIDUE(name)                                                                              \
	{                                                                                          \
		(void)e;                                                                           \
		(void)n;                                                                           \
		(void)in;                                                                          \
		return from_values(out);                                                           \
	}

/* Results that jump are what they are in fp64. */
BY_VALUE(poison)
BY_VALUE(iota)
BY_VALUE(dims)
BY_VALUE(sign)
BY_VALUE(floor)
BY_VALUE(ceil)
BY_VALUE(round)
BY_VALUE(not )
BY_VALUE(isnan)
BY_VALUE(isinf)
BY_VALUE(and)
BY_VALUE(or)
BY_VALUE(xor)
BY_VALUE(shl)
BY_VALUE(shr)
BY_VALUE(bitcast)
BY_VALUE(argmax)
BY_VALUE(argmin)

/* ---- maps ---- */

struct step {
	enum op op;
	uint64_t a, b;
	double x, y; /* the values of the same */
	enum normc_elem elem;
};

typedef uint64_t residue_rule(const struct step *s);

static double element(const struct tensor *t, int64_t i)
{
	return is_float(t) ? t->f[i] : (double)t->i[i];
}

static bool each(const struct node *n, const struct tensor *const *in, struct tensor *out,
		 residue_rule *rule)
{
	struct step s = {.op = n->op, .elem = out->elem};
	for (int64_t i = 0; is_float(out) && i < out->count; i++) {
		s.a = residue_at(in[0], i);
		s.x = element(in[0], i);
		if (n->n_in > 1) {
			s.b = residue_at(in[1], i);
			s.y = element(in[1], i);
		}
		out->residue[i] = rule(&s);
	}
	return true;
}

#define EACH(name, expression)                                                                     \
	static uint64_t rule_##name(const struct step *s)                                          \
	{                                                                                          \
		return expression;                                                                 \
	}                                                                                          \
	RESIDUE(name)                                                                              \
	{                                                                                          \
		(void)e;                                                                           \
		return each(n, in, out, rule_##name);                                              \
	}
#define UNKNOWN(name) EACH(name, residue_unknown(s->op, s->a, 0))

UNKNOWN(exp)
UNKNOWN(log)
UNKNOWN(sqrt)
UNKNOWN(sin)
UNKNOWN(cos)
UNKNOWN(tan)
UNKNOWN(asin)
UNKNOWN(acos)
UNKNOWN(atan)
UNKNOWN(sinh)
UNKNOWN(cosh)
UNKNOWN(asinh)
UNKNOWN(acosh)
UNKNOWN(atanh)
UNKNOWN(tanh)
UNKNOWN(erf)
EACH(mod, residue_unknown(s->op, s->a, s->b))
EACH(fmod, residue_unknown(s->op, s->a, s->b))
EACH(neg, residue_negative(s->a))
EACH(abs, signbit(s->x) ? residue_negative(s->a) : s->a)
EACH(copy, s->a)
EACH(add, residue_sum(s->a, s->b))
EACH(sub, residue_sum(s->a, residue_negative(s->b)))
EACH(mul, residue_product(s->a, s->b))
EACH(div, residue_product(s->a, residue_inverse(s->b)))
EACH(max, s->x >= s->y ? s->a : s->b)
EACH(min, s->x <= s->y ? s->a : s->b)

/* Whole exponents are products; half ones the same of the unknown root. */
static uint64_t rule_pow(const struct step *s)
{
	double size = fabs(s->y);
	uint64_t base = s->a;
	if (size > 64 || 2 * size != floor(2 * size))
		return residue_unknown(OP_pow, s->a, s->b);
	if (size != floor(size)) {
		base = residue_unknown(OP_sqrt, s->a, 0);
		size *= 2;
	}
	base = power(base, (uint64_t)size);
	return s->y < 0 ? residue_inverse(base) : base;
}

RESIDUE(pow)
{
	(void)e;
	return each(n, in, out, rule_pow);
}

/* Formats of 8 and 4 bits quantize. */
static uint64_t rule_cast(const struct step *s)
{
	return bound_unit(s->elem) < 0.1 ? s->a : residue_of_real(s->x);
}

RESIDUE(cast)
{
	(void)e;
	if (is_float(out) && bound_unit(out->elem) > 0.1)
		return from_values(out);
	return each(n, in, out, rule_cast);
}

/* Equal in the field is equal, whatever fp64 has rounded. */
RESIDUE(eq)
{
	(void)e;
	(void)n;
	for (int64_t i = 0; is_float(in[0]) && i < out->count; i++)
		out->i[i] = in[0]->residue[i] == in[1]->residue[i];
	return true;
}

RESIDUE(lt)
{
	(void)e;
	(void)n;
	for (int64_t i = 0; is_float(in[0]) && i < out->count; i++)
		if (in[0]->residue[i] == in[1]->residue[i])
			out->i[i] = 0;
	return true;
}

RESIDUE(le)
{
	(void)e;
	(void)n;
	for (int64_t i = 0; is_float(in[0]) && i < out->count; i++)
		if (in[0]->residue[i] == in[1]->residue[i])
			out->i[i] = 1;
	return true;
}

RESIDUE(where)
{
	(void)e;
	(void)n;
	for (int64_t i = 0; is_float(out) && i < out->count; i++)
		out->residue[i] = residue_at(in[0]->i[i] ? in[1] : in[2], i);
	return true;
}

/* ---- movement and regions ---- */

BESIDE_MOVED_ROWS(residue)
BESIDE_MOVED(residue, gather)
BESIDE_MOVED(residue, gather_elements)

/* Calls are unknown functions of all their operands. */
RESIDUE(call)
{
	uint64_t all = attr_hash(OP_call, n->attr);
	(void)e;
	for (uint32_t k = 0; k < n->n_in; k++)
		for (int64_t i = 0; i < in[k]->count; i++)
			all = residue_unknown(OP_call, all, residue_at(in[k], i));
	for (uint32_t k = 0; k < n->attr.call->n_out; k++)
		for (int64_t i = 0; is_float(&out[k]) && i < out[k].count; i++)
			out[k].residue[i] = residue_unknown(OP_call, all,
							    (uint64_t)k << 40 | (uint64_t)i);
	return true;
}

/* Results of regions and parts of results have brought theirs (tensor_copy). */
BESIDE_KEPT(residue, if)
BESIDE_KEPT(residue, loop)
BESIDE_KEPT(residue, part)
