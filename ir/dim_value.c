/* What is known of an expression's value: bounds, evaluation, text. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "diag.h"
#include "dim.h"
#include "dim_terms.h"

/* Values that something can take, ends included; INT64_MIN as `low` and INT64_MAX as `high` stand
 * for no bound. */
struct interval {
	int64_t low, high;
};

static const struct interval anything = {INT64_MIN, INT64_MAX};

static struct interval interval_of(const struct dim *d)
{
	return (struct interval){d->low, d->high};
}

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

static int64_t greatest(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

static int64_t bound_add(int64_t a, int64_t b, int64_t infinite)
{
	int64_t sum;
	if (a == infinite || b == infinite)
		return infinite;
	if (__builtin_add_overflow(a, b, &sum))
		return a < 0 ? INT64_MIN : INT64_MAX;
	return sum;
}

static int64_t bound_mul(int64_t a, int64_t b)
{
	int64_t product;
	bool infinite = a == INT64_MIN || a == INT64_MAX || b == INT64_MIN || b == INT64_MAX;
	if (!a || !b)
		return 0;
	if (infinite || __builtin_mul_overflow(a, b, &product))
		return (a < 0) == (b < 0) ? INT64_MAX : INT64_MIN;
	return product;
}

static struct interval interval_mul(struct interval a, struct interval b)
{
	int64_t p = bound_mul(a.low, b.low), q = bound_mul(a.low, b.high);
	int64_t r = bound_mul(a.high, b.low), s = bound_mul(a.high, b.high);
	return (struct interval){least(least(p, q), least(r, s)),
				 greatest(greatest(p, q), greatest(r, s))};
}

static struct interval term_interval(const struct term *t)
{
	struct interval v = {t->factor, t->factor};
	for (uint32_t i = 0; i < t->n_atoms; i++)
		v = interval_mul(v, interval_of(t->atom[i]));
	return v;
}

static struct interval sum_interval(const struct sum *s)
{
	struct interval v = {0, 0};
	for (uint32_t i = 0; i < s->n; i++) {
		struct interval x = term_interval(&s->term[i]);
		v.low = bound_add(v.low, x.low, INT64_MIN);
		v.high = bound_add(v.high, x.high, INT64_MAX);
	}
	return v;
}

/* Expressions that bound an atom from above (`upper`) or below; their addresses. At most 2. */
static uint32_t atom_bounds(const struct dim *d, bool upper, const struct dim *const **bound)
{
	if (d->kind == (upper ? DIM_MIN : DIM_MAX)) {
		bound[0] = &d->arg[0];
		bound[1] = &d->arg[1];
		return 2;
	}
	bool shrinks = d->kind == DIM_DIV || d->kind == DIM_MOD;
	if (!upper || !shrinks || d->arg[0]->low < 0 || d->arg[1]->low < 0)
		return 0;
	bound[0] = &d->arg[0]; /* x div k <= x and x mod k <= x for x >= 0, k > 0 */
	return 1;
}

enum { BOUND_DEPTH = 2, BOUND_TERMS = 8 };

/* Lower bound of a sum.  Terms in which one atom hides a bound that other terms cancel, as in N -
 * min(N, 5), are replaced by that bound, BOUND_DEPTH times at most. */
static int64_t sum_lower(const struct sum *s, int depth)
{
	int64_t low = s->broken ? INT64_MIN : sum_interval(s).low;
	if (depth == 0 || s->broken || low >= 0)
		return low;
	for (uint32_t i = 0; i < s->n; i++) {
		const struct dim *const *bound[2];
		const struct term *t = &s->term[i];
		uint32_t n = t->n_atoms == 1 && t->factor
					     ? atom_bounds(t->atom[0], t->factor < 0, bound)
					     : 0;
		for (uint32_t k = 0; k < n; k++) {
			struct sum other = *s;
			other.term[i].factor = 0;
			sum_put_dim(&other, bound[k], t->factor);
			low = greatest(low, sum_lower(&other, depth - 1));
		}
	}
	return low;
}

static struct interval add_interval(const struct dim *d)
{
	struct sum s = {.n = 0};
	sum_put_dim(&s, &d, 1);
	struct interval v = sum_interval(&s);
	if (v.low < 0 && s.n <= BOUND_TERMS)
		v.low = sum_lower(&s, BOUND_DEPTH);
	return v;
}

static struct interval div_interval(struct interval a, struct interval b)
{
	if (b.low == b.high && b.low > 0)
		return (struct interval){a.low == INT64_MIN ? a.low : floor_div(a.low, b.low),
					 a.high == INT64_MAX ? a.high : floor_div(a.high, b.low)};
	/* a divisor that is not negative is positive */
	return a.low >= 0 && b.low >= 0 ? (struct interval){0, a.high} : anything;
}

static struct interval mod_interval(struct interval a, struct interval b)
{
	if (b.low < 0)
		return anything;
	int64_t high = b.high == INT64_MAX ? b.high : b.high - 1;
	return (struct interval){0, a.low >= 0 ? least(a.high, high) : high};
}

static struct interval bounds_of(const struct dims *dims, const struct dim *d)
{
	struct term term = {0};
	struct interval a = d->n_args ? interval_of(d->arg[0]) : anything;
	struct interval b = d->n_args ? interval_of(d->arg[1]) : anything;
	switch (d->kind) {
	case DIM_CONST:
		return (struct interval){d->value, d->value};
	case DIM_SYMBOL:
		return (struct interval){dims->symbols[d->value].element ? INT64_MIN : 0,
					 INT64_MAX};
	case DIM_ADD:
		return add_interval(d);
	case DIM_MUL:
		term = dim_term(&d, 0);
		return term_interval(&term);
	case DIM_DIV:
		return div_interval(a, b);
	case DIM_MOD:
		return mod_interval(a, b);
	case DIM_MIN:
		return (struct interval){least(a.low, b.low), least(a.high, b.high)};
	case DIM_MAX:
		return (struct interval){greatest(a.low, b.low), greatest(a.high, b.high)};
	case DIM_INVALID:
		break;
	}
	return anything;
}

void dim_set_bounds(const struct dims *dims, struct dim *d)
{
	struct interval v = bounds_of(dims, d);
	d->low = v.low;
	d->high = v.high;
}

/* ---- evaluation ---- */

static bool apply(enum dim_kind kind, int64_t a, int64_t b, int64_t *value)
{
	bool undefined = b == 0 || (a == INT64_MIN && b == -1);
	switch (kind) {
	case DIM_ADD:
		return !__builtin_add_overflow(a, b, value);
	case DIM_MUL:
		return !__builtin_mul_overflow(a, b, value);
	case DIM_DIV:
		*value = undefined ? 0 : a / b - (a % b && (a < 0) != (b < 0));
		return !undefined;
	case DIM_MOD:
		*value = undefined ? 0 : a % b + (a % b && (a < 0) != (b < 0) ? b : 0);
		return !undefined;
	case DIM_MIN:
		*value = least(a, b);
		return true;
	case DIM_MAX:
		*value = greatest(a, b);
		return true;
	case DIM_CONST:
	case DIM_SYMBOL:
	case DIM_INVALID:
		break;
	}
	return false;
}

bool dim_eval(const struct dim *d, const int64_t *symbols, int64_t *value)
{
	int64_t operand;
	if (!d->n_args) {
		*value = d->kind == DIM_SYMBOL ? symbols[d->value] : d->value;
		return d->kind != DIM_INVALID;
	}
	if (!dim_eval(d->arg[0], symbols, value))
		return false;
	for (uint32_t i = 1; i < d->n_args; i++)
		if (!dim_eval(d->arg[i], symbols, &operand) ||
		    !apply(d->kind, *value, operand, value))
			return false;
	return true;
}

/* ---- text ---- */

struct text {
	const struct dims *dims;
	char *p;
	size_t size, length; /* p is a string of less than `size` bytes; what exceeds that is
				counted only */
};

static void put(struct text *t, const char *s)
{
	size_t n = strlen(s);
	if (t->length + 1 < t->size) {
		size_t room = t->size - 1 - t->length, fits = n < room ? n : room;
		memcpy(t->p + t->length, s, fits);
		t->p[t->length + fits] = 0;
	}
	t->length += n;
}

/* How tightly an expression holds together: operands that hold less get parentheses. */
enum { HOLD_SUM, HOLD_PRODUCT, HOLD_ATOM };

static int hold(const struct dim *d)
{
	if (d->kind == DIM_ADD)
		return HOLD_SUM;
	return d->kind == DIM_MUL || d->kind == DIM_DIV || d->kind == DIM_MOD ? HOLD_PRODUCT
									      : HOLD_ATOM;
}

/* Whether a name reads as a name, not as a keyword or something else. */
static bool is_plain(const char *name)
{
	static const char letters[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	static const char *const keywords[] = {
#define X(kind, text) text,
			DIM_KIND_LIST(X)
#undef X
	};
	for (size_t i = 0; i < sizeof keywords / sizeof *keywords; i++)
		if (!strcmp(name, keywords[i]))
			return false;
	return strspn(name, letters) == strlen(name) && (name[0] < '0' || name[0] > '9');
}

static void put_symbol(struct text *t, uint32_t number)
{
	const char *name = t->dims->symbols[number].name;
	char unnamed[16];
	snprintf(unnamed, sizeof unnamed, "s%" PRIu32, number);
	if (!name[0] || is_plain(name)) {
		put(t, name[0] ? name : unnamed);
		return;
	}
	put(t, "'");
	for (const char *c = name; *c;) {
		char shown[VISIBLE_BYTES];
		if (*c == '\'' || *c == '\\')
			put(t, "\\");
		c += visible_character(c, shown);
		put(t, shown);
	}
	put(t, "'");
}

static void put_constant(struct text *t, int64_t value)
{
	char number[24];
	snprintf(number, sizeof number, "%" PRId64, value);
	put(t, number);
}

static void put_dim(struct text *t, const struct dim *d, int at_least);

static void put_operands(struct text *t, const struct dim *d, const char *between, int at_least)
{
	put_dim(t, d->arg[0], at_least);
	put(t, between);
	put_dim(t, d->arg[1], at_least);
}

/* Atoms first, then the factor. */
static void put_term(struct text *t, struct term term)
{
	bool minus = term.n_atoms && term.factor == -1;
	put(t, minus ? "-" : "");
	bool alone = term.n_atoms == 1 && term.factor == 1;
	for (uint32_t i = 0; i < term.n_atoms; i++) {
		put(t, i ? "*" : "");
		put_dim(t, term.atom[i], alone ? HOLD_PRODUCT : HOLD_ATOM);
	}
	if (minus || (term.n_atoms && term.factor == 1))
		return;
	put(t, term.n_atoms ? "*" : "");
	put_constant(t, term.factor);
}

/* "N*4 + M - 1": the constant comes last. */
static void put_sum(struct text *t, const struct dim *d)
{
	bool constant = dim_is_const(d->arg[0]);
	for (uint32_t i = constant; i < d->n_args + constant; i++) {
		struct term term = dim_term(&d, i % d->n_args);
		bool minus = i > constant && term.factor < 0 && term.factor > INT64_MIN;
		put(t, i == constant ? "" : minus ? " - " : " + ");
		term.factor = minus ? -term.factor : term.factor;
		put_term(t, term);
	}
}

static void put_dim(struct text *t, const struct dim *d, int at_least)
{
	bool parentheses = hold(d) < at_least;
	put(t, parentheses ? "(" : "");
	switch (d->kind) {
	case DIM_CONST:
		put_constant(t, d->value);
		break;
	case DIM_SYMBOL:
		put_symbol(t, (uint32_t)d->value);
		break;
	case DIM_ADD:
		put_sum(t, d);
		break;
	case DIM_MUL:
		put_term(t, dim_term(&d, 0));
		break;
	case DIM_DIV:
	case DIM_MOD:
		put_operands(t, d, d->kind == DIM_DIV ? " floordiv " : " mod ", HOLD_ATOM);
		break;
	case DIM_MIN:
	case DIM_MAX:
		put(t, d->kind == DIM_MIN ? "min(" : "max(");
		put_operands(t, d, ", ", HOLD_SUM);
		put(t, ")");
		break;
	case DIM_INVALID:
		put(t, "invalid");
		break;
	}
	put(t, parentheses ? ")" : "");
}

size_t dim_print(const struct dims *dims, const struct dim *d, char *text, size_t size)
{
	struct text t = {dims, text, size, 0};
	if (size)
		text[0] = 0;
	put_dim(&t, d, HOLD_SUM);
	return t.length;
}
