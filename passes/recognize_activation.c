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

static const struct number zero = {0, 0};

static struct number sum(struct number a, struct number b)
{
	return (struct number){a.value + b.value, residue_sum(a.residue, b.residue)};
}

static struct number product(struct number a, struct number b)
{
	return (struct number){a.value * b.value, residue_product(a.residue, b.residue)};
}

static struct number quotient(struct number a, struct number b)
{
	return (struct number){a.value / b.value,
			       residue_product(a.residue, residue_inverse(b.residue))};
}

static struct number exactly(double value)
{
	return (struct number){value, residue_of_real(value)};
}

/* Sum of c[i][j] * x^i * inner^j. */
struct polynomial {
	struct number c[MOST_POWER + 1][2];
};

struct expansion {
	struct graph *g;
	const struct node *x, *inner; /* inner: NULL if there is none */
};

/* a += factor * b */
static void add_polynomial(struct polynomial *a, const struct polynomial *b, struct number factor)
{
	for (int i = 0; i <= MOST_POWER; i++)
		for (int j = 0; j < 2; j++)
			a->c[i][j] = sum(a->c[i][j], product(factor, b->c[i][j]));
}

/* False if a power is too high. */
static bool multiply(const struct polynomial *a, const struct polynomial *b, struct polynomial *p)
{
	bool fits = true;
	*p = (struct polynomial){{{{0}}}};
	for (int k = 0; k < (MOST_POWER + 1) * 2; k++)
		for (int l = 0; l < (MOST_POWER + 1) * 2; l++) {
			int i = k / 2 + l / 2, j = k % 2 + l % 2;
			struct number c = product(a->c[k / 2][k % 2], b->c[l / 2][l % 2]);
			if (i <= MOST_POWER && j < 2)
				p->c[i][j] = sum(p->c[i][j], c);
			else
				fits = fits && c.value == 0;
		}
	return fits;
}

static bool expand(const struct expansion *e, const struct node *n, int nesting,
		   struct polynomial *p);

static bool expand_quotient(const struct expansion *e, const struct node *n, int nesting,
			    struct polynomial *p)
{
	struct polynomial a;
	struct number divisor;
	if (!recognize_number(e->g, n->in[1], &divisor) || divisor.value == 0 ||
	    !expand(e, n->in[0], nesting, &a))
		return false;
	add_polynomial(p, &a, quotient(exactly(1), divisor));
	return true;
}

static bool expand(const struct expansion *e, const struct node *n, int nesting,
		   struct polynomial *p)
{
	struct polynomial a, b;
	*p = (struct polynomial){{{{0}}}};
	if (n == e->x || n == e->inner) {
		p->c[n == e->x][n != e->x] = exactly(1);
		return true;
	}
	if (recognize_number(e->g, n, &p->c[0][0]))
		return true;
	p->c[0][0] = zero;
	if (nesting && n->op == OP_div)
		return expand_quotient(e, n, nesting - 1, p);
	bool is_sum = n->op == OP_add || n->op == OP_sub;
	if (!nesting || (!is_sum && n->op != OP_mul && n->op != OP_neg) ||
	    !expand(e, n->in[0], nesting - 1, &a))
		return false;
	if (n->op == OP_neg) {
		add_polynomial(p, &a, exactly(-1));
		return true;
	}
	if (!expand(e, n->in[1], nesting - 1, &b))
		return false;
	if (!is_sum)
		return multiply(&a, &b, p);
	add_polynomial(&a, &b, exactly(n->op == OP_add ? 1 : -1));
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
static bool is_near(const struct wanted *w, struct number number, double wanted)
{
	int exponent;
	frexp(wanted, &exponent);
	double unit = ldexp(1, exponent - (w->elem == NORMC_F64 ? 52 : 24));
	if (wanted == 0 || w->units == 0)
		return number.value == wanted;
	return fabs(number.value - wanted) < w->units * unit;
}

static bool is_polynomial(const struct polynomial *p, const struct wanted *w)
{
	return is_near(w, p->c[0][0], w->constant) && is_near(w, p->c[1][0], w->x) &&
	       p->c[2][0].value == 0 && is_near(w, p->c[3][0], w->cube) && p->c[0][1].value == 0 &&
	       is_near(w, p->c[1][1], w->product) && p->c[2][1].value == 0 && p->c[3][1].value == 0;
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

/* The part of n, x, that makes root and argument these polynomials: NULL if none does. */
struct search {
	struct graph *g;
	struct node *root, *inner, *argument;
	const struct wanted *outside, *inside; /* of root and of argument */
	struct polynomial root_found, found;   /* of both */
	bool almost;			       /* only constants of the argument differ */
};
static struct node *find_x(struct search *s)
{
	struct parts parts = {.n = 0};
	collect(&parts, s->argument, FEW_STEPS);
	for (uint32_t i = 0; i < parts.n; i++) {
		struct expansion e = {s->g, parts.node[i], NULL};
		if (!expand(&e, s->argument, MOST_NESTING, &s->found))
			continue;
		e.inner = s->inner;
		if (!expand(&e, s->root, MOST_NESTING, &s->root_found) ||
		    !is_polynomial(&s->root_found, s->outside))
			continue;
		if (is_polynomial(&s->found, s->inside))
			return parts.node[i];
		s->almost = true;
	}
	return NULL;
}

/* ---- building ---- */

/* As simplified graphs have it. */
static struct node *number_like(struct graph *g, const struct node *a, struct number number)
{
	struct type one = a->type;
	for (int32_t i = 0; i < one.rank; i++)
		one.dim[i] = dim_const(g->context->dims, 1);
	struct arena *arena = g->context->arena;
	void *p = arena_alloc(arena, 1, normc_elem_size(one.elem));
	tensor_store(&(struct tensor){.elem = one.elem, .count = 1, .f = &number.value}, p);
	return build_exact(g, &one, p,
			   g->context->exact ? arena_copy(arena, &number.residue, sizeof(uint64_t))
					     : NULL);
}

static struct node *with(struct graph *g, enum op op, struct node *a, struct number number)
{
	return build_binary(g, op, a, number_like(g, a, number));
}

/* The constants of the model stay: only the operator that is written for it has others. */
static struct node *build_erf_gelu(struct graph *g, struct node *x, struct number factor)
{
	struct node *inner = build_unary(g, OP_erf, with(g, OP_mul, x, factor));
	return build_binary(g, OP_mul, with(g, OP_mul, x, exactly(0.5)),
			    with(g, OP_add, inner, exactly(1)));
}

static struct node *build_tanh_gelu(struct graph *g, struct node *x, struct number factor,
				    struct number of_cube)
{
	struct node *cube = build_binary(g, OP_mul, x, build_binary(g, OP_mul, x, x)), *inner;
	inner = build_binary(g, OP_add, x, with(g, OP_mul, cube, quotient(of_cube, factor)));
	inner = build_unary(g, OP_tanh, with(g, OP_mul, inner, factor));
	return build_binary(g, OP_mul, with(g, OP_mul, x, exactly(0.5)),
			    with(g, OP_add, inner, exactly(1)));
}

/* x * (1 / (1 + exp(-u))) */
static struct node *build_swish(struct graph *g, struct node *x, struct node *u)
{
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, u));
	struct node *d = with(g, OP_add, e, exactly(1));
	return build_binary(g, OP_mul, x,
			    build_binary(g, OP_div, number_like(g, e, exactly(1)), d));
}

/* ---- the functions ---- */

static struct node *recognize_gelu(struct recognize *r, struct graph *g, struct node *root,
				   struct node *inner)
{
	enum normc_elem elem = root->type.elem;
	struct wanted half = {.elem = elem, .x = 0.5, .product = 0.5};
	struct wanted erf = {.elem = elem, .x = M_SQRT1_2, .units = 1};
	struct wanted tanh = {.elem = elem,
			      .x = sqrt(2 / M_PI),
			      .cube = sqrt(2 / M_PI) * 0.044715,
			      .units = 2};
	bool is_erf = inner->op == OP_erf;
	struct search s = {.g = g,
			   .root = root,
			   .inner = inner,
			   .argument = inner->in[0],
			   .outside = &half,
			   .inside = is_erf ? &erf : &tanh};
	struct node *x = find_x(&s);
	if (!x) {
		if (s.almost)
			r->missed = "its constants are not the numbers nearest to those of GELU";
		return NULL;
	}
	recognize_is(g, s.root_found.c[1][0], 0.5);
	recognize_is(g, s.root_found.c[1][1], 0.5);
	return is_erf ? build_erf_gelu(g, x, s.found.c[1][0])
		      : build_tanh_gelu(g, x, s.found.c[1][0], s.found.c[3][0]);
}

/* n = max(min(*a, high), low), or the other way round */
static bool is_limited(struct graph *g, const struct node *n, struct node **a, struct number *low,
		       struct number *high)
{
	bool upper = n->op == OP_min;
	return recognize_with(g, n, n->op, a, upper ? high : low) &&
	       recognize_with(g, *a, upper ? OP_max : OP_min, a, upper ? low : high);
}

/* k x min(max(a x + b, 0), high) with k high = 1, k a = 1/6 and k b = 1/2, as
 * x max(min(k a x + k b, k high), 0) */
static struct node *recognize_hard_swish(struct recognize *r, struct graph *g, struct node *root,
					 struct node *inner)
{
	struct node *argument;
	struct number low, high;
	if (!is_limited(g, inner, &argument, &low, &high) || !recognize_is(g, low, 0) ||
	    high.value <= 0)
		return NULL;
	enum normc_elem elem = root->type.elem;
	struct wanted outside = {.elem = elem, .product = 1 / high.value, .units = 2};
	struct wanted inside = {
			.elem = elem, .constant = high.value / 2, .x = high.value / 6, .units = 2};
	struct search s = {.g = g,
			   .root = root,
			   .inner = inner,
			   .argument = argument,
			   .outside = &outside,
			   .inside = &inside};
	struct node *x = find_x(&s);
	if (!x) {
		if (s.almost)
			r->missed = "its constants are not the numbers nearest to those of "
				    "HardSwish";
		return NULL;
	}
	struct number k = s.root_found.c[1][1];
	struct node *y = with(g, OP_mul, x, product(k, s.found.c[1][0]));
	y = with(g, OP_add, y, product(k, s.found.c[0][0]));
	y = with(g, OP_max, with(g, OP_min, y, product(k, high)), zero);
	return build_binary(g, OP_mul, x, y);
}

/* n = exp(-u): *u; or exp(u times a negative number), whose opposite is built */
static bool is_falling_power(struct graph *g, struct node *n, struct node **u)
{
	struct number factor;
	if (n->op != OP_exp)
		return false;
	*u = n->in[0];
	if ((*u)->op == OP_neg) {
		*u = (*u)->in[0];
		return true;
	}
	if (!recognize_with(g, *u, OP_mul, u, &factor) || !(factor.value < 0))
		return false;
	*u = with(g, OP_mul, *u, product(factor, exactly(-1)));
	return true;
}

/* Whether u is x, or a number times x. */
static bool is_multiple(struct graph *g, const struct node *u, const struct node *x)
{
	struct node *of;
	struct number factor;
	return u == x || (recognize_with(g, u, OP_mul, &of, &factor) && of == x);
}

/* x / (1 + exp(-u)), or x times its inverse, with u a multiple of x */
static struct node *recognize_swish(struct graph *g, const struct node *root)
{
	for (int k = 0; k < 2; k++) {
		struct node *x = root->in[k], *d = root->in[1 - k], *power, *u;
		struct number one;
		if (root->op == OP_div ? k == 1
				       : d->op != OP_div || !recognize_number(g, d->in[0], &one) ||
							 !recognize_is(g, one, 1))
			continue;
		if (root->op == OP_mul)
			d = d->in[1];
		if (recognize_with(g, d, OP_add, &power, &one) && recognize_is(g, one, 1) &&
		    is_falling_power(g, power, &u) && is_multiple(g, u, x))
			return build_swish(g, x, u);
	}
	return NULL;
}

struct node *recognize_activation(struct recognize *r, struct graph *g, const struct node *old,
				  struct node *const *in)
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
			n = recognize_gelu(r, g, &root, inner);
		else if (inner->op == OP_max || inner->op == OP_min)
			n = recognize_hard_swish(r, g, &root, inner);
	}
	return n;
}
