/* Division and remainder (towards minus infinity) of expressions.  What divides exactly moves out
 * of the division; what remains is reduced by common factors, by nesting and by bounds, and else
 * becomes an atom. */
#include "dim.h"

#include <string.h>

#include "dim_terms.h"

int64_t floor_div(int64_t a, int64_t b)
{
	return a / b - (a % b < 0);
}

/* a - b * floor(a / b) without overflow; b > 0 */
static int64_t floor_mod(int64_t a, int64_t b)
{
	return a % b + (a % b < 0 ? b : 0);
}

static int64_t gcd(int64_t a, int64_t b)
{
	uint64_t x = a < 0 ? 0 - (uint64_t)a : (uint64_t)a,
		 y = b < 0 ? 0 - (uint64_t)b : (uint64_t)b;
	while (y) {
		uint64_t rest = x % y;
		x = y;
		y = rest;
	}
	return x > INT64_MAX ? 1 : (int64_t)x;
}

static const struct dim *negate(struct dims *dims, const struct dim *d)
{
	return dim_sub(dims, dim_const(dims, 0), d);
}

static const struct dim *divide(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return dim_intern(dims, DIM_DIV, (const struct dim *[]){a, b}, 2);
}

static const struct dim *remainder_of(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return dim_intern(dims, DIM_MOD, (const struct dim *[]){a, b}, 2);
}

/* ---- by a constant k > 0 ---- */

/* The greatest common divisor of k and the factors of all terms that have atoms. */
static int64_t common_factor(const struct dim *d, int64_t k)
{
	for (uint32_t i = 0; i < dim_n_terms(d); i++) {
		struct term t = dim_term(&d, i);
		if (t.n_atoms)
			k = gcd(k, t.factor);
	}
	return k;
}

/* d with every factor and the constant divided by g, rounding down. */
static const struct dim *divide_factors(struct dims *dims, const struct dim *d, int64_t g)
{
	struct sum s = {.n = 0};
	for (uint32_t i = 0; i < dim_n_terms(d); i++) {
		struct term t = dim_term(&d, i);
		t.factor = floor_div(t.factor, g);
		sum_put(&s, t, 1);
	}
	return dim_of_sum(dims, &s);
}

static int64_t constant_part(const struct dim *d)
{
	const struct dim *first = d->kind == DIM_ADD ? d->arg[0] : d;
	return dim_is_const(first) ? first->value : 0;
}

/* (x div j) + c by k is (x + c*j) div (j*k); NULL if the sum has another form. */
static const struct dim *divide_nested(struct dims *dims, const struct dim *d, int64_t k)
{
	int64_t c = constant_part(d), product;
	const struct dim *inner = d->kind == DIM_ADD && d->n_args == 2 && dim_is_const(d->arg[0])
						  ? d->arg[1]
						  : d;
	if (inner->kind != DIM_DIV || !dim_is_const(inner->arg[1]) || inner->arg[1]->value <= 0 ||
	    __builtin_mul_overflow(inner->arg[1]->value, k, &product))
		return NULL;
	const struct dim *shift = dim_mul(dims, dim_const(dims, c), inner->arg[1]);
	return dim_div(dims, dim_add(dims, inner->arg[0], shift), dim_const(dims, product));
}

static const struct dim *div_const(struct dims *dims, const struct dim *a, int64_t k)
{
	struct sum whole = {.n = 0}, rest = {.n = 0};
	for (uint32_t i = 0; i < dim_n_terms(a); i++) {
		struct term t = dim_term(&a, i), q = t;
		q.factor = floor_div(t.factor, k);
		t.factor = floor_mod(t.factor, k);
		if (t.n_atoms &&
		    t.factor) { /* only whole terms and whole parts of the constant move out */
			t = dim_term(&a, i);
			q.factor = 0;
		}
		sum_put(&whole, q, 1);
		sum_put(&rest, t, 1);
	}
	const struct dim *out = dim_of_sum(dims, &whole), *d = dim_of_sum(dims, &rest);
	if (dim_is_const(d))
		return out; /* 0 <= d < k */
	int64_t g = common_factor(d, k);
	d = divide_factors(dims, d, g);
	k /= g;
	const struct dim *nested = divide_nested(dims, d, k);
	if (nested)
		d = nested;
	else if (d->low != INT64_MIN && d->high != INT64_MAX &&
		 floor_div(d->low, k) == floor_div(d->high, k))
		d = dim_const(dims, floor_div(d->low, k));
	else
		d = divide(dims, d, dim_const(dims, k));
	return dim_add(dims, out, d);
}

/* (x mod m) by k, a divisor of m, is x by k. */
static const struct dim *const *inside_mod(const struct term *t, int64_t k)
{
	const struct dim *d = t->n_atoms == 1 ? t->atom[0] : NULL;
	bool strips = d && d->kind == DIM_MOD && dim_is_const(d->arg[1]) &&
		      d->arg[1]->value % k == 0;
	return strips ? &d->arg[0] : NULL;
}

static const struct dim *mod_const(struct dims *dims, const struct dim *a, int64_t k)
{
	struct sum s = {.n = 0};
	bool again = false;
	for (uint32_t i = 0; i < dim_n_terms(a); i++) {
		struct term t = dim_term(&a, i);
		const struct dim *const *inner = inside_mod(&t, k);
		int64_t factor = floor_mod(t.factor, k);
		again = again || inner;
		t.factor = 1;
		if (inner)
			sum_put_dim(&s, inner, factor);
		else
			sum_put(&s, t, factor);
	}
	const struct dim *d = dim_of_sum(dims, &s);
	if (again)
		return dim_mod(dims, d, dim_const(dims, k));
	if (dim_is_const(d) || d->kind == DIM_INVALID)
		return d;
	int64_t g = common_factor(d, k), low = constant_part(d) % g;
	d = divide_factors(dims, d, g);
	k /= g;
	if (d->low != INT64_MIN && d->high != INT64_MAX &&
	    floor_div(d->low, k) == floor_div(d->high, k))
		d = dim_sub(dims, d,
			    dim_mul(dims, dim_const(dims, floor_div(d->low, k)),
				    dim_const(dims, k)));
	else
		d = remainder_of(dims, d, dim_const(dims, k));
	return dim_add(dims, dim_mul(dims, d, dim_const(dims, g)), dim_const(dims, low));
}

/* ---- by an expression ---- */

/* a / b if that is a term. */
static bool term_divide(struct dims *dims, struct term a, struct term b, struct term *q)
{
	if (!b.factor || (b.factor == -1 && a.factor == INT64_MIN) || a.factor % b.factor ||
	    a.n_atoms < b.n_atoms)
		return false;
	const struct dim **atom = arena_new(dims->arena, const struct dim *, (size_t)a.n_atoms + 1);
	uint32_t n = 0, k = 0;
	for (uint32_t i = 0; i < a.n_atoms; i++) {
		if (k < b.n_atoms && a.atom[i] == b.atom[k])
			k++;
		else
			atom[n++] = a.atom[i];
	}
	*q = (struct term){a.factor / b.factor, atom, n};
	return k == b.n_atoms;
}

/* The quotient if b divides a as a polynomial, else NULL. */
static const struct dim *exact_quotient(struct dims *dims, const struct dim *a, const struct dim *b)
{
	struct term lead = dim_term(&b, dim_n_terms(b) - 1), q;
	const struct dim *quotient = dim_const(dims, 0), *rest = a;
	for (int step = 0; step < SUM_MAX_TERMS && !dim_is(rest, 0); step++) {
		if (rest->kind == DIM_INVALID ||
		    !term_divide(dims, dim_term(&rest, dim_n_terms(rest) - 1), lead, &q))
			return NULL;
		const struct dim *part = dim_of_term(dims, q);
		quotient = dim_add(dims, quotient, part);
		rest = dim_sub(dims, rest, dim_mul(dims, part, b));
	}
	return dim_is(rest, 0) && quotient->kind != DIM_INVALID ? quotient : NULL;
}

/* Splits a into quotient * b + rest, term by term; only for b of one term. */
static void split(struct dims *dims, const struct dim *a, const struct dim *b,
		  const struct dim **quotient, const struct dim **rest)
{
	struct sum whole = {.n = 0}, left = {.n = 0};
	for (uint32_t i = 0; i < dim_n_terms(a); i++) {
		struct term t = dim_term(&a, i), q;
		if (dim_n_terms(b) == 1 && term_divide(dims, t, dim_term(&b, 0), &q))
			sum_put(&whole, q, 1);
		else
			sum_put(&left, t, 1);
	}
	*quotient = dim_of_sum(dims, &whole);
	*rest = dim_of_sum(dims, &left);
}

/* Keeps of the term `common` what it shares with all terms of d. */
static void intersect(const struct dim *d, int64_t *factor, const struct dim **atom, uint32_t *n)
{
	for (uint32_t i = 0; i < dim_n_terms(d); i++) {
		struct term t = dim_term(&d, i);
		uint32_t kept = 0;
		*factor = gcd(*factor, t.factor);
		for (uint32_t j = 0, k = 0; j < *n && k < t.n_atoms;) {
			int order = dim_order(atom[j], t.atom[k]);
			if (order == 0)
				atom[kept++] = atom[j];
			j += order <= 0;
			k += order >= 0;
		}
		*n = kept;
	}
}

/* The greatest term that divides every term of a and b. */
static const struct dim *common_term(struct dims *dims, const struct dim *a, const struct dim *b)
{
	struct term first = dim_term(&b, 0);
	const struct dim **atom =
			arena_new(dims->arena, const struct dim *, (size_t)first.n_atoms + 1);
	struct term common = {0, atom, first.n_atoms};
	if (first.n_atoms)
		memcpy(atom, first.atom, first.n_atoms * sizeof *atom);
	intersect(b, &common.factor, atom, &common.n_atoms);
	intersect(a, &common.factor, atom, &common.n_atoms);
	return dim_of_term(dims, common);
}

/* Whether 0 <= a < b holds for all symbol values. */
static bool is_below(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *gap = dim_sub(dims, b, a);
	return gap->kind != DIM_INVALID && dim_lower_bound(a) >= 0 && dim_lower_bound(gap) > 0;
}

static const struct dim *div_symbolic(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *quotient = exact_quotient(dims, a, b), *rest;
	if (quotient)
		return quotient;
	split(dims, a, b, &quotient, &rest);
	if (!dim_is(quotient, 0))
		return dim_add(dims, quotient, dim_div(dims, rest, b));
	const struct dim *common = common_term(dims, a, b);
	if (!dim_is(common, 1))
		return dim_div(dims, exact_quotient(dims, a, common),
			       exact_quotient(dims, b, common));
	return is_below(dims, a, b) ? dim_const(dims, 0) : divide(dims, a, b);
}

static const struct dim *mod_symbolic(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *quotient, *rest;
	if (exact_quotient(dims, a, b))
		return dim_const(dims, 0);
	split(dims, a, b, &quotient, &rest);
	if (!dim_is(quotient, 0))
		return dim_mod(dims, rest, b);
	const struct dim *common = common_term(dims, a, b);
	if (!dim_is(common, 1)) {
		rest = dim_mod(dims, exact_quotient(dims, a, common),
			       exact_quotient(dims, b, common));
		return dim_mul(dims, common, rest);
	}
	return is_below(dims, a, b) ? a : remainder_of(dims, a, b);
}

/* ---- entry points ---- */

static bool impossible(const struct dim *a, const struct dim *b)
{
	return a->kind == DIM_INVALID || b->kind == DIM_INVALID || dim_is(b, 0) ||
	       dim_is(b, INT64_MIN);
}

const struct dim *dim_div(struct dims *dims, const struct dim *a, const struct dim *b)
{
	if (impossible(a, b))
		return dim_invalid(dims);
	if (!dim_is_const(b))
		return div_symbolic(dims, a, b);
	if (b->value > 0)
		return div_const(dims, a, b->value);
	a = negate(dims, a);
	return a->kind == DIM_INVALID ? a : div_const(dims, a, -b->value);
}

const struct dim *dim_mod(struct dims *dims, const struct dim *a, const struct dim *b)
{
	if (impossible(a, b))
		return dim_invalid(dims);
	if (!dim_is_const(b))
		return mod_symbolic(dims, a, b);
	if (b->value > 0)
		return mod_const(dims, a, b->value);
	a = negate(dims, a);
	return a->kind == DIM_INVALID ? a : negate(dims, mod_const(dims, a, -b->value));
}

const struct dim *dim_ceil_div(struct dims *dims, const struct dim *a, const struct dim *b)
{
	if (dim_is_const(b) && b->value > 0 && a->kind != DIM_INVALID) {
		/* the form that a floor division of a padded extent has, so that the two can be
		 * equal */
		const struct dim *up = dim_add(dims, a, dim_const(dims, b->value - 1));
		return dim_div(dims, up, b);
	}
	return negate(dims, dim_div(dims, negate(dims, a), b));
}
