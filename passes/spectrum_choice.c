/* Facts of spectra through choices: clamps, numbers in place of 0 or NaN, and the angle of a
 * complex number, which ONNX has no operator for:
 *
 *	near = atan(im / re);  angle = re < 0 ? (im > 0 ? near + pi : near - pi) : near
 */
#include <math.h>

#include "eval.h"
#include "spectrum.h"
#include "value.h"

static bool is_number(const struct node *n, double value)
{
	double x;
	return splat_of(n, &x) && x == value;
}

static bool is_below(const struct node *n)
{
	return n->op == OP_lt || n->op == OP_le;
}

/* ---- clamps ---- */

/* Whether c holds where |x| < t, or for amplitudes x < t. */
static bool is_near_zero(const struct node *c, const struct node *x, double t, bool amplitude)
{
	if (is_below(c) && is_number(c->in[1], t))
		return (amplitude && c->in[0] == x) ||
		       (c->in[0]->op == OP_abs && c->in[0]->in[0] == x);
	for (int k = 0; c->op == OP_and && k < 2; k++) {
		const struct node *above = c->in[k], *below = c->in[1 - k];
		if (is_below(above) && is_number(above->in[0], -t) && above->in[1] == x &&
		    is_below(below) && is_number(below->in[1], t) && below->in[0] == x)
			return true;
	}
	return false;
}

static struct spectrum *clamp(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[2]);
	double t;
	if (!x || !splat_of(n->in[1], &t) ||
	    !is_near_zero(n->in[0], n->in[2], t, x->part == PART_NONE))
		return NULL;
	struct spectrum *f = spectrum_clamped(s, x, t);
	if (f && f->part == PART_REAL)
		f->threshold = t / fabs(x->factor);
	return f;
}

/* ---- numbers in place of 0 and NaN ---- */

/* n as: where the amplitude is 0, or the value is NaN, a guard instead of the value. */
struct guarded {
	const struct node *guard, *value;
	const struct spectrum *zero; /* the amplitude; NULL: it is about NaN */
};

/* The amplitude that the comparison of operand k with 0 is about. */
static const struct spectrum *amplitude_at(const struct spectra *s, const struct node *c, int k)
{
	const struct spectrum *f = spectrum_fact(s, c->in[k]);
	bool square = f && f->kind == SPECTRUM_SQUARE && f->part == PART_NONE;
	bool known = square || spectrum_is_plain(f, PART_NONE);
	return known && is_number(c->in[1 - k], 0) && !f->clamped && f->factor > 0 ? f : NULL;
}

static bool is_guarded(const struct spectra *s, const struct node *n, struct guarded *g)
{
	const struct node *c = n->in[0];
	while (c->op == OP_broadcast) /* to both parts */
		c = c->in[0];
	*g = (struct guarded){n->in[1], n->in[2], NULL};
	switch (c->op) {
	case OP_isnan:
		return c->in[0] == n->in[2];
	case OP_eq:
		g->zero = amplitude_at(s, c, 0);
		g->zero = g->zero ? g->zero : amplitude_at(s, c, 1);
		return g->zero;
	case OP_le:
		g->zero = amplitude_at(s, c, 0);
		return g->zero;
	case OP_lt: /* 0 < |F|: the other way round */
		*g = (struct guarded){n->in[2], n->in[1], amplitude_at(s, c, 1)};
		return g->zero;
	default:
		return false;
	}
}

/* F/|F| with the parts of 1, or with 0, instead; or an angle with 0. */
static bool guarded_phase(const struct spectrum *x, const struct node *guard,
			  enum phase_at_zero *at_zero)
{
	bool zero = is_number(guard, 0);
	bool part = x->kind == SPECTRUM_POLAR && !x->n_sum && !x->magnitude && !x->divisor &&
		    x->factor == 1;
	*at_zero = zero && part && x->part != PART_IMAGINARY ? PHASE_ZERO : PHASE_ONE;
	if (part && x->part == PART_REAL && is_number(guard, 1))
		return true;
	return (x->kind == SPECTRUM_ANGLE || (part && x->part != PART_NONE)) && zero;
}

static struct spectrum *guarded(const struct spectra *s, const struct node *n)
{
	struct guarded g;
	double number;
	if (!is_guarded(s, n, &g) || !spectrum_fact(s, g.value))
		return NULL;
	struct spectrum *f = spectrum_like(s, spectrum_fact(s, g.value));
	if (g.zero && !spectrum_same_layout(f, g.zero))
		return NULL;
	if ((!g.zero || f->phase == g.zero->magnitude) && guarded_phase(f, g.guard, &f->at_zero))
		return f;
	if (!g.zero || !spectrum_is_plain(f, PART_NONE) || f->magnitude != g.zero->magnitude ||
	    f->clamped || !splat_of(g.guard, &number) || !(number > 0))
		return NULL;
	f->kind = SPECTRUM_DIVISOR;
	return f;
}

/* ---- angles ---- */

/* n = a + pi * sign, pi as a constant of the type. */
static bool is_turned(const struct node *n, const struct node *a, double sign)
{
	return n->op == OP_add && n->in[0] == a &&
	       is_number(n->in[1], sign * elem_round(n->type.elem, acos(-1)));
}

/* The other half-plane: a turned by pi, up where im > 0. */
static bool is_far(const struct node *n, const struct node *near, const struct node *im)
{
	if (n->op != OP_where || !is_below(n->in[0]))
		return false;
	const struct node *c = n->in[0];
	bool above = is_number(c->in[0], 0) && c->in[1] == im;
	bool below = is_number(c->in[1], 0) && c->in[0] == im;
	double sign = above ? 1 : -1;
	return (above || below) && is_turned(n->in[1], near, sign) &&
	       is_turned(n->in[2], near, -sign);
}

static struct spectrum *angle(const struct spectra *s, const struct node *n)
{
	const struct node *c = n->in[0];
	bool negative = c->op == OP_lt && is_number(c->in[1], 0);
	bool positive = c->op == OP_le && is_number(c->in[0], 0);
	const struct node *near = n->in[negative ? 2 : 1], *far = n->in[negative ? 1 : 2];
	if ((!negative && !positive) || near->op != OP_atan || near->in[0]->op != OP_div)
		return NULL;
	const struct node *im = near->in[0]->in[0], *re = near->in[0]->in[1];
	const struct spectrum *y = spectrum_fact(s, im), *x = spectrum_fact(s, re);
	if (c->in[negative ? 0 : 1] != re || !is_far(far, near, im) ||
	    !spectrum_is_plain(y, PART_IMAGINARY) || !spectrum_is_plain(x, PART_REAL) ||
	    x->phase != y->phase || x->factor != y->factor || !(x->factor > 0) ||
	    !spectrum_same_layout(x, y))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->kind = SPECTRUM_ANGLE;
	f->part = PART_NONE;
	f->magnitude = NULL;
	f->clamped = x->clamped || y->clamped;
	f->at_zero = x->clamped ? PHASE_ONE : PHASE_UNDEFINED;
	return f;
}

struct spectrum *spectrum_of_choice(const struct spectra *s, const struct node *n)
{
	struct spectrum *f = clamp(s, n);
	f = f ? f : guarded(s, n);
	return f ? f : angle(s, n);
}
