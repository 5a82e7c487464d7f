/* Facts of spectra through choices: clamps, numbers in place of 0 or NaN, and the angle of a complex
 * number, which ONNX has no operator for:
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
	return spectrum_clamped(s, x, t);
}

/* ---- numbers in place of 0 and NaN ---- */

/* The amplitude that is 0 where c holds; NULL if c says something else. */
static const struct spectrum *zero_amplitude(const struct spectra *s, const struct node *c)
{
	for (int k = 0; (c->op == OP_eq || c->op == OP_le) && k < 2; k++) {
		const struct spectrum *f = spectrum_fact(s, c->in[k]);
		bool square = f && f->kind == SPECTRUM_SQUARE && f->part == PART_NONE;
		if (is_number(c->in[1 - k], 0) && (c->op == OP_eq || k == 0) &&
		    (square || spectrum_is_plain(f, PART_NONE)) && !f->clamped && f->factor > 0)
			return f;
	}
	return NULL;
}

/* F/|F| with the parts of 1 in place of NaN, or an angle with 0. */
static bool is_guarded_phase(const struct spectrum *x, const struct node *guard)
{
	if (x->kind == SPECTRUM_ANGLE)
		return is_number(guard, 0);
	return x->kind == SPECTRUM_POLAR && !x->n_sum && !x->magnitude && !x->divisor &&
	       x->factor == 1 &&
	       ((x->part == PART_REAL && is_number(guard, 1)) ||
		(x->part == PART_IMAGINARY && is_number(guard, 0)));
}

static struct spectrum *guarded(const struct spectra *s, const struct node *n)
{
	const struct node *c = n->in[0];
	const struct spectrum *x = spectrum_fact(s, n->in[2]), *zero = zero_amplitude(s, c);
	double number;
	bool nan = c->op == OP_isnan && c->in[0] == n->in[2];
	if (!x || (!zero && !nan))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->at_zero = PHASE_ONE;
	bool same = nan || (x->phase == zero->magnitude && spectrum_same_layout(x, zero));
	if (same && is_guarded_phase(x, n->in[1]))
		return f;
	if (!zero || !spectrum_is_plain(x, PART_NONE) || x->magnitude != zero->magnitude ||
	    x->clamped || !spectrum_same_layout(x, zero) || !splat_of(n->in[1], &number) ||
	    !(number > 0))
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
