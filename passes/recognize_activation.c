/* Activation functions that are spelt out: all spellings become the composition that stands for the
 * operator.
 *
 *	GELU		x/2 * (1 + erf(x / sqrt 2))			(Hendrycks and Gimpel 2016)
 *	with tanh	x/2 * (1 + tanh(sqrt(2/pi) (x + 0.044715 x^3)))
 *	SiLU		x * (1 / (1 + exp(-x))), also of a multiple of x
 *	HardSwish	x * min(max(x/6 + 1/2, 0), 1)
 *
 * Sums and products are multiplied out, as polynomials in x and in one inner value (erf, tanh, the
 * limited term), so that the order of operands and the place of constants do not matter.  Constants
 * that are not floating-point numbers must be the nearest ones, above or below.
 */
#include <math.h>
#include <string.h>

#include "recognize.h"
#include "value.h"

enum { MOST_NESTING = 6, MOST_POWER = 3, FEW_STEPS = 4, MOST_PARTS = 32 };

/* ---- polynomials ---- */

/* Sum of c[i][j] * x^i * inner^j. */
struct polynomial {
	double c[MOST_POWER + 1][2];
};

struct expansion {
	const struct node *x, *inner; /* inner: NULL if there is none */
};

/* a += factor * b */
static void add_polynomial(struct polynomial *a, const struct polynomial *b, double factor)
{
	for (int i = 0; i <= MOST_POWER; i++)
		for (int j = 0; j < 2; j++)
			a->c[i][j] += factor * b->c[i][j];
}

/* False if a power is too high. */
static bool multiply(const struct polynomial *a, const struct polynomial *b, struct polynomial *p)
{
	bool fits = true;
	*p = (struct polynomial){{{0}}};
	for (int k = 0; k < (MOST_POWER + 1) * 2; k++)
		for (int l = 0; l < (MOST_POWER + 1) * 2; l++) {
			int i = k / 2 + l / 2, j = k % 2 + l % 2;
			double c = a->c[k / 2][k % 2] * b->c[l / 2][l % 2];
			if (i <= MOST_POWER && j < 2)
				p->c[i][j] += c;
			else
				fits = fits && c == 0;
		}
	return fits;
}

static bool expand(const struct expansion *e, const struct node *n, int nesting,
		   struct polynomial *p)
{
	struct polynomial a, b;
	*p = (struct polynomial){{{0}}};
	if (n == e->x || n == e->inner) {
		p->c[n == e->x][n != e->x] = 1;
		return true;
	}
	if (splat_of(n, &p->c[0][0]))
		return isfinite(p->c[0][0]);
	if (!nesting || (n->op != OP_add && n->op != OP_sub && n->op != OP_mul && n->op != OP_div &&
			 n->op != OP_neg))
		return false;
	if (!expand(e, n->in[0], nesting - 1, &a))
		return false;
	if (n->op == OP_neg) {
		add_polynomial(p, &a, -1);
		return true;
	}
	if (n->op == OP_div) {
		double divisor;
		if (!splat_of(n->in[1], &divisor) || !isfinite(divisor) || divisor == 0)
			return false;
		add_polynomial(p, &a, 1 / divisor);
		return true;
	}
	if (!expand(e, n->in[1], nesting - 1, &b))
		return false;
	if (n->op == OP_mul)
		return multiply(&a, &b, p);
	add_polynomial(&a, &b, n->op == OP_add ? 1 : -1);
	*p = a;
	return true;
}

/* Coefficients of x, x^3 and x*inner, exact or (units > 0) closer than so many units in the last
 * place; the others are 0. */
struct wanted {
	enum normc_elem elem;
	double constant, x, cube, product;
	int units;
};

/* In f64 the constants here are rounded, too: a unit is twice as large. */
static bool is_near(const struct wanted *w, double value, double wanted)
{
	int exponent;
	frexp(wanted, &exponent);
	double unit = ldexp(1, exponent - (w->elem == NORMC_F64 ? 52 : 24));
	if (wanted == 0 || w->units == 0)
		return value == wanted;
	return fabs(value - wanted) < w->units * unit;
}

static bool is_polynomial(const struct polynomial *p, const struct wanted *w)
{
	return is_near(w, p->c[0][0], w->constant) && is_near(w, p->c[1][0], w->x) &&
	       p->c[2][0] == 0 && is_near(w, p->c[3][0], w->cube) && p->c[0][1] == 0 &&
	       is_near(w, p->c[1][1], w->product) && p->c[2][1] == 0 && p->c[3][1] == 0;
}

/* ---- searching ---- */

static bool is_arithmetic(const struct node *n)
{
	return n->op == OP_add || n->op == OP_sub || n->op == OP_mul || n->op == OP_div;
}

/* The values that `n` is made of by sums and products, and these. */
struct parts {
	struct node *node[MOST_PARTS];
	uint32_t n;
};
static void collect(struct parts *parts, struct node *n, int nesting)
{
	if (constant_of(n) || parts->n == MOST_PARTS)
		return;
	parts->node[parts->n++] = n;
	if (!nesting || !is_arithmetic(n))
		return;
	collect(parts, n->in[0], nesting - 1);
	collect(parts, n->in[1], nesting - 1);
}

/* The part of n, x, that makes n these polynomials: NULL if none does. */
struct search {
	struct node *root, *inner, *argument;
	const struct wanted *outside, *inside; /* of root and of argument */
};
static struct node *find_x(const struct search *s)
{
	struct parts parts = {.n = 0};
	struct polynomial p;
	collect(&parts, s->argument, FEW_STEPS);
	for (uint32_t i = 0; i < parts.n; i++) {
		struct expansion e = {parts.node[i], NULL};
		if (!expand(&e, s->argument, MOST_NESTING, &p) || !is_polynomial(&p, s->inside))
			continue;
		e.inner = s->inner;
		if (expand(&e, s->root, MOST_NESTING, &p) && is_polynomial(&p, s->outside))
			return parts.node[i];
	}
	return NULL;
}

/* ---- building ---- */

/* As simplified graphs have it. */
static struct node *number_like(struct graph *g, const struct node *a, double value)
{
	struct type one = a->type;
	for (int32_t i = 0; i < one.rank; i++)
		one.dim[i] = dim_const(g->context->dims, 1);
	return build_doubles(g, &one, &value);
}

static struct node *with(struct graph *g, enum op op, struct node *a, double value)
{
	return build_binary(g, op, a, number_like(g, a, value));
}

static struct node *build_gelu(struct graph *g, struct node *x, enum op gate)
{
	struct node *inner;
	if (gate == OP_tanh) {
		struct node *cube = build_binary(g, OP_mul, x, build_binary(g, OP_mul, x, x));
		inner = build_binary(g, OP_add, x, with(g, OP_mul, cube, 0.044715));
		inner = with(g, OP_mul, inner, sqrt(2 / M_PI));
	} else {
		inner = with(g, OP_mul, x, M_SQRT1_2);
	}
	inner = with(g, OP_add, build_unary(g, gate, inner), 1);
	return build_binary(g, OP_mul, with(g, OP_mul, x, 0.5), inner);
}

/* x * (1 / (1 + exp(-alpha x))); x may be multiplied already */
static struct node *build_swish(struct graph *g, struct node *x, struct node *scaled)
{
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, scaled));
	struct node *d = with(g, OP_add, e, 1);
	return build_binary(g, OP_mul, x, build_binary(g, OP_div, number_like(g, e, 1), d));
}

static struct node *build_hard_swish(struct graph *g, struct node *x)
{
	struct node *y = with(g, OP_add, with(g, OP_mul, x, 1.0 / 6), 0.5);
	y = with(g, OP_max, with(g, OP_min, y, 1), 0);
	return build_binary(g, OP_mul, x, y);
}

/* ---- the functions ---- */

static struct node *recognize_gelu(struct graph *g, struct node *root, struct node *inner)
{
	enum normc_elem elem = root->type.elem;
	struct wanted half = {.elem = elem, .x = 0.5, .product = 0.5};
	struct wanted erf = {.elem = elem, .x = M_SQRT1_2, .units = 1};
	struct wanted tanh = {.elem = elem,
			      .x = sqrt(2 / M_PI),
			      .cube = sqrt(2 / M_PI) * 0.044715,
			      .units = 2};
	struct search s = {root, inner, inner->in[0], &half, inner->op == OP_erf ? &erf : &tanh};
	struct node *x = find_x(&s);
	return x ? build_gelu(g, x, inner->op) : NULL;
}

/* n = max(min(*a, high), low), or the other way round */
static bool is_limited(const struct node *n, struct node **a, double *low, double *high)
{
	bool upper = n->op == OP_min;
	if (!recognize_with(n, n->op, a, upper ? high : low) ||
	    !recognize_with(*a, upper ? OP_max : OP_min, a, upper ? low : high))
		return false;
	return *low <= *high;
}

/* k x min(max(a x + b, 0), 1/k) with k a = 1/6 and k b = 1/2 */
static struct node *recognize_hard_swish(struct graph *g, struct node *root, struct node *inner)
{
	struct node *argument;
	double low, high;
	if (!is_limited(inner, &argument, &low, &high) || low != 0 || !(high > 0))
		return NULL;
	enum normc_elem elem = root->type.elem;
	struct wanted outside = {.elem = elem, .product = 1 / high, .units = 2};
	struct wanted inside = {.elem = elem, .constant = high / 2, .x = high / 6, .units = 2};
	struct search s = {root, inner, argument, &outside, &inside};
	struct node *x = find_x(&s);
	return x ? build_hard_swish(g, x) : NULL;
}

/* n = exp(-u): *u; or exp(u times a negative number), whose opposite is built */
static bool is_falling_power(struct graph *g, struct node *n, struct node **u)
{
	double factor;
	if (n->op != OP_exp)
		return false;
	*u = n->in[0];
	if ((*u)->op == OP_neg) {
		*u = (*u)->in[0];
		return true;
	}
	if (!recognize_with(*u, OP_mul, u, &factor) || !(factor < 0))
		return false;
	*u = with(g, OP_mul, *u, -factor);
	return true;
}

/* Whether u is x, or a number times x. */
static bool is_multiple(const struct node *u, const struct node *x)
{
	struct node *of;
	double factor;
	return u == x || (recognize_with(u, OP_mul, &of, &factor) && of == x);
}

/* x / (1 + exp(-u)), or x times its inverse, with u a multiple of x */
static struct node *recognize_swish(struct graph *g, const struct node *root)
{
	for (int k = 0; k < 2; k++) {
		struct node *x = root->in[k], *d = root->in[1 - k], *power, *u;
		double one;
		if (root->op == OP_div ? k == 1
				       : d->op != OP_div || !splat_of(d->in[0], &one) || one != 1)
			continue;
		if (root->op == OP_mul)
			d = d->in[1];
		if (recognize_with(d, OP_add, &power, &one) && one == 1 &&
		    is_falling_power(g, power, &u) && is_multiple(u, x))
			return build_swish(g, x, u);
	}
	return NULL;
}

struct node *recognize_activation(struct graph *g, const struct node *old, struct node *const *in)
{
	struct node root = *old; /* as it will be with these operands */
	struct parts parts = {.n = 0};
	struct node *n = NULL;
	root.in = (struct node **)(uintptr_t)in;
	if (root.type.elem != NORMC_F32 && root.type.elem != NORMC_F64)
		return NULL;
	if (root.op != OP_add)
		n = recognize_swish(g, &root);
	collect(&parts, &root, FEW_STEPS);
	for (uint32_t i = 0; i < parts.n && !n; i++) {
		struct node *inner = parts.node[i];
		if (inner->op == OP_erf || inner->op == OP_tanh)
			n = recognize_gelu(g, &root, inner);
		else if (inner->op == OP_max || inner->op == OP_min)
			n = recognize_hard_swish(g, &root, inner);
	}
	return n;
}
