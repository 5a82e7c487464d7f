/* See spectrum.h.  One function for each operation that facts go through; whatever is not named
 * here ends them.
 */
#include <math.h>
#include <string.h>

#include "eval.h"
#include "plane.h"
#include "spectrum.h"
#include "value.h"

/* Greatest clamps that count as such: of squared amplitudes, and of amplitudes and parts. */
static const double MOST_SQUARED = 1e-4, MOST_CLAMP = 1e-2;

bool same_but_ones(const struct type *from, const struct type *to, int32_t map[MAX_RANK])
{
	int32_t k = 0;
	for (int32_t i = 0; i < from->rank; i++) {
		map[i] = -1;
		if (dim_is(from->dim[i], 1))
			continue;
		while (k < to->rank && dim_is(to->dim[k], 1))
			k++;
		if (k == to->rank || to->dim[k] != from->dim[i])
			return false;
		map[i] = k++;
	}
	while (k < to->rank && dim_is(to->dim[k], 1))
		k++;
	return k == to->rank;
}

struct spectrum *spectrum_fact(const struct spectra *s, const struct node *n)
{
	return n->id < s->n ? s->fact[n->id] : NULL;
}

struct spectrum *spectrum_like(const struct spectra *s, const struct spectrum *f)
{
	struct spectrum *copy = arena_new(s->g->context->arena, struct spectrum, 1);
	*copy = *f;
	return copy;
}

/* ---- what facts are ---- */

/* Nothing but c |F|, or a part of c F. */
bool spectrum_is_plain(const struct spectrum *f, enum spectrum_part part)
{
	return f && f->kind == SPECTRUM_POLAR && f->part == part && !f->n_sum && f->magnitude &&
	       !f->divisor && (part == PART_NONE || f->phase == f->magnitude);
}

bool spectrum_same_layout(const struct spectrum *a, const struct spectrum *b)
{
	bool same = type_same_shape(a->shape, b->shape) && a->axes == b->axes;
	for (int32_t i = 0; same && i < a->shape->rank; i++)
		same = a->at[i] == b->at[i];
	return same;
}

/* The axis of the plane that is dimension i; -1 if there is none. */
static int32_t axis_at(const struct spectrum *f, int64_t i)
{
	for (int32_t k = 0; k < f->shape->rank; k++)
		if (f->at[k] == i)
			return k;
	return -1;
}

static void sum_from_magnitude(struct spectrum *f)
{
	if (f->n_sum || !f->magnitude)
		return;
	f->sum[0] = (struct amplitude){f->magnitude, NULL, 1};
	f->n_sum = 1;
	f->magnitude = NULL;
}

static struct spectrum *scaled(const struct spectra *s, const struct spectrum *f, double factor)
{
	if (f->kind == SPECTRUM_SQUARE || f->kind == SPECTRUM_ANGLE)
		return NULL;
	struct spectrum *r = spectrum_like(s, f);
	r->factor *= factor;
	return isfinite(r->factor) && r->factor != 0 ? r : NULL;
}

/* f * w, where w varies along axes of the values other than the plane's only. */
static struct spectrum *weighted(const struct spectra *s, const struct node *n,
				 const struct spectrum *f, struct node *w)
{
	uint32_t uniform = (1u << n->type.rank) - 1;
	const struct dim *dim[MAX_RANK];
	if (f->kind != SPECTRUM_POLAR || (!f->n_sum && !f->magnitude))
		return NULL;
	for (int32_t i = 0; i < f->shape->rank; i++)
		if (f->at[i] >= 0 && !(f->axes >> i & 1))
			uniform &= ~(1u << f->at[i]);
	w = uniform_part(w, uniform);
	if (!w)
		return NULL;
	for (int32_t i = 0; i < f->shape->rank; i++)
		dim[i] = f->at[i] >= 0 ? w->type.dim[f->at[i]] : dim_const(s->g->context->dims, 1);
	w = build_reshape(s->g, w, f->shape->rank, dim);
	struct spectrum *r = spectrum_like(s, f);
	sum_from_magnitude(r);
	for (uint32_t i = 0; i < r->n_sum; i++)
		r->sum[i].weight = r->sum[i].weight
						   ? build_binary(s->g, OP_mul, r->sum[i].weight, w)
						   : w;
	return r;
}

/* ---- transforms ---- */

/* The transform of a real value along no axis yet. */
static struct spectrum *real_plane(const struct spectra *s, struct node *x)
{
	struct spectrum f = {.factor = 1, .part = PART_BOTH, .half = -1};
	f.pair = x->type.rank - 1;
	if (!dim_is(x->type.dim[f.pair], 1))
		return NULL;
	f.phase = x;
	while (f.phase->op == OP_reshape &&
	       same_but_ones(&f.phase->in[0]->type, &f.phase->type, f.at))
		f.phase = f.phase->in[0];
	same_but_ones(&f.phase->type, &x->type, f.at);
	f.magnitude = f.phase;
	f.shape = &f.phase->type;
	return spectrum_like(s, &f);
}

static struct spectrum *forward(const struct spectra *s, const struct node *n,
				const struct spectrum *x)
{
	const int64_t *ints = n->attr.call->ints;
	struct spectrum *f = x ? spectrum_like(s, x) : real_plane(s, n->in[0]);
	int32_t axis = f && spectrum_is_plain(f, PART_BOTH) ? axis_at(f, ints[0]) : -1;
	if (axis < 0 || f->axes >> axis & 1 || fixed_extent(f->shape, axis) != ints[3] ||
	    (ints[2] && f->half >= 0))
		return NULL;
	f->axes |= 1u << axis;
	f->half = ints[2] ? axis : f->half;
	return f;
}

/* The axis with half the coefficients must come last, because the other half are conjugates of
 * signals of the other axes: it leaves no pair, and ends further transforms. */
static struct spectrum *inverse(const struct spectra *s, const struct node *n,
				const struct spectrum *x)
{
	const int64_t *ints = n->attr.call->ints;
	bool first = x && x->kind == SPECTRUM_POLAR && x->part == PART_BOTH;
	if (!first && (!x || x->kind != SPECTRUM_SIGNAL || x->pair < 0))
		return NULL;
	uint32_t left = first ? x->axes : x->left;
	int32_t axis = axis_at(x, ints[0]);
	if (axis < 0 || !(left >> axis & 1) || fixed_extent(x->shape, axis) != ints[3] ||
	    (axis == x->half) != (ints[2] != 0))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->kind = SPECTRUM_SIGNAL;
	f->left = left & ~(1u << axis);
	f->pair = ints[2] ? -1 : x->pair;
	return f;
}

static struct spectrum *of_call(const struct spectra *s, const struct node *n)
{
	if (strcmp(n->attr.call->name, "dft"))
		return NULL;
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	return n->attr.call->ints[1] ? inverse(s, n, x) : forward(s, n, x);
}

/* ---- movement ---- */

static struct spectrum *of_reshape(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	int32_t map[MAX_RANK];
	if (!x || !same_but_ones(&n->in[0]->type, &n->type, map))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	for (int32_t i = 0; i < f->shape->rank; i++)
		f->at[i] = f->at[i] < 0 ? -1 : map[f->at[i]];
	f->pair = f->pair < 0 ? -1 : map[f->pair];
	return f;
}

static struct spectrum *of_broadcast(const struct spectra *s, const struct node *n)
{
	return spectrum_fact(s, n->in[0]);
}

/* One of the parts; the real part of what is transformed back, whose other part is 0. */
static bool take_part(struct spectrum *f, const struct attr_slice *a)
{
	bool real = dim_is(a->start[f->pair], 0);
	if (!dim_is(a->extent[f->pair], 1) || (!real && !dim_is(a->start[f->pair], 1)) ||
	    (f->kind == SPECTRUM_SIGNAL ? !real : f->part != PART_BOTH))
		return false;
	f->part = real ? PART_REAL : PART_IMAGINARY;
	f->pair = -1;
	return true;
}

/* The coefficients from 0 to n / 2 of n. */
static bool take_half(struct spectrum *f, const struct attr_slice *a, int32_t i)
{
	int32_t axis = axis_at(f, i);
	if (axis < 0 || !(f->axes >> axis & 1) || f->half >= 0 || f->kind != SPECTRUM_POLAR ||
	    !dim_is(a->start[i], 0) || a->step[i] != 1 ||
	    !dim_is(a->extent[i], fixed_extent(f->shape, axis) / 2 + 1))
		return false;
	f->half = axis;
	return true;
}

static struct spectrum *of_slice(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	const struct attr_slice *a = n->attr.slice;
	if (!x)
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	for (int32_t i = 0; i < n->type.rank; i++) {
		bool whole = a->step[i] == 1 && dim_is(a->start[i], 0) &&
			     a->extent[i] == n->in[0]->type.dim[i];
		if (!whole && !(i == x->pair ? take_part(f, a) : take_half(f, a, i)))
			return NULL;
	}
	return f;
}

static struct spectrum *of_concat(const struct spectra *s, const struct node *n)
{
	int32_t axis = n->attr.axis->axis;
	const struct spectrum *a = spectrum_fact(s, n->in[0]),
			      *b = n->n_in == 2 ? spectrum_fact(s, n->in[1]) : 0;
	if (!a || !b || a->kind != SPECTRUM_POLAR || b->kind != SPECTRUM_POLAR ||
	    a->part != PART_REAL || b->part != PART_IMAGINARY || a->phase != b->phase ||
	    a->factor != b->factor || a->magnitude != b->magnitude || a->divisor != b->divisor ||
	    a->n_sum != b->n_sum || !spectrum_same_layout(a, b) || !dim_is(n->type.dim[axis], 2) ||
	    axis_at(a, axis) >= 0)
		return NULL;
	for (uint32_t i = 0; i < a->n_sum; i++)
		if (a->sum[i].value != b->sum[i].value || a->sum[i].weight != b->sum[i].weight ||
		    a->sum[i].factor != b->sum[i].factor)
			return NULL;
	struct spectrum *f = spectrum_like(s, a);
	f->part = PART_BOTH;
	f->pair = axis;
	f->clamped |= b->clamped;
	f->at_zero = b->at_zero == PHASE_UNDEFINED ? PHASE_UNDEFINED : a->at_zero;
	return f;
}

/* ---- arithmetic ---- */

static struct spectrum *square(const struct spectra *s, const struct spectrum *x)
{
	if (!spectrum_is_plain(x, x->part))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->kind = SPECTRUM_SQUARE;
	return f;
}

/* Cancels |F(v)| / |F(v)|; a second amplitude becomes a sum of one. */
static bool merge_amplitudes(struct spectrum *f, const struct spectrum *b)
{
	struct node *up[2] = {f->magnitude, b->magnitude}, *down[2] = {f->divisor, b->divisor};
	for (int i = 0; i < 4; i++)
		if (up[i / 2] && up[i / 2] == down[i % 2])
			up[i / 2] = down[i % 2] = NULL;
	if ((down[0] && down[1]) || (f->n_sum && b->n_sum))
		return false;
	if (b->n_sum) {
		f->n_sum = b->n_sum;
		for (uint32_t i = 0; i < b->n_sum; i++)
			f->sum[i] = b->sum[i];
	}
	f->divisor = down[0] ? down[0] : down[1];
	f->magnitude = up[0] ? up[0] : up[1];
	if (!up[0] || !up[1])
		return true;
	/* the phase's own amplitude may still cancel */
	int own = up[1] == f->phase;
	f->magnitude = up[own];
	f->sum[0] = (struct amplitude){up[!own], NULL, 1};
	return !f->n_sum++;
}

static struct spectrum *product(const struct spectra *s, const struct spectrum *a,
				const struct spectrum *b)
{
	if (a->kind != SPECTRUM_POLAR || b->kind != SPECTRUM_POLAR || !spectrum_same_layout(a, b))
		return NULL;
	if (a->part == PART_NONE) {
		const struct spectrum *other = a;
		a = b;
		b = other;
	}
	struct spectrum *f = spectrum_like(s, a);
	if (b->part != PART_NONE || !merge_amplitudes(f, b))
		return NULL;
	f->clamped |= b->clamped;
	f->at_zero = a->at_zero > b->at_zero ? a->at_zero : b->at_zero;
	f->factor *= b->factor;
	return isfinite(f->factor) && f->factor != 0 ? f : NULL;
}

static struct spectrum *of_mul(const struct spectra *s, const struct node *n)
{
	const struct spectrum *a = spectrum_fact(s, n->in[0]), *b = spectrum_fact(s, n->in[1]);
	double number;
	if (a && n->in[0] == n->in[1])
		return square(s, a);
	if (a && b)
		return product(s, a, b);
	if (!a && !b)
		return NULL;
	struct node *other = n->in[a ? 1 : 0];
	return splat_of(other, &number) ? scaled(s, a ? a : b, number)
					: weighted(s, n, a ? a : b, other);
}

/* 1 / |F|; times F it is NaN where |F| is 0, unless another number stands there. */
static struct spectrum *inverted(const struct spectra *s, const struct spectrum *x)
{
	if (x->kind != SPECTRUM_DIVISOR && !spectrum_is_plain(x, PART_NONE))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	bool never_zero = x->clamped || x->kind == SPECTRUM_DIVISOR;
	f->kind = SPECTRUM_POLAR;
	f->divisor = x->magnitude;
	f->magnitude = NULL;
	f->factor = 1 / x->factor;
	f->at_zero = never_zero ? PHASE_ZERO : PHASE_UNDEFINED;
	return isfinite(f->factor) ? f : NULL;
}

static struct spectrum *of_div(const struct spectra *s, const struct node *n)
{
	const struct spectrum *a = spectrum_fact(s, n->in[0]), *b = spectrum_fact(s, n->in[1]);
	double number;
	if (!b)
		return a && splat_of(n->in[1], &number) ? scaled(s, a, 1 / number) : NULL;
	b = inverted(s, b);
	if (!b || (!a && !splat_of(n->in[0], &number)))
		return NULL;
	return a ? product(s, a, b) : scaled(s, b, number);
}

/* A small number keeps amplitudes, or a part, away from 0. */
struct spectrum *spectrum_clamped(const struct spectra *s, const struct spectrum *x, double by)
{
	bool squared = x && x->kind == SPECTRUM_SQUARE && x->part == PART_NONE;
	if (!squared && !spectrum_is_plain(x, PART_NONE) && !spectrum_is_plain(x, PART_REAL) &&
	    !spectrum_is_plain(x, PART_IMAGINARY))
		return NULL;
	if (!(by > 0) || by > (squared ? MOST_SQUARED : MOST_CLAMP))
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->clamped = true;
	return f;
}

/* a + sign * b of amplitudes, or of spectra with the same phase. */
static struct spectrum *sum(const struct spectra *s, const struct spectrum *a,
			    const struct spectrum *b, double sign)
{
	struct spectrum *f = spectrum_like(s, a), *g = spectrum_like(s, b);
	sum_from_magnitude(f);
	sum_from_magnitude(g);
	if (a->kind != SPECTRUM_POLAR || b->kind != SPECTRUM_POLAR || a->part != b->part ||
	    a->phase != b->phase || a->pair != b->pair || f->magnitude || g->magnitude ||
	    a->divisor || b->divisor || !f->n_sum || !g->n_sum || !spectrum_same_layout(a, b) ||
	    f->n_sum + g->n_sum > MOST_AMPLITUDES)
		return NULL;
	for (uint32_t i = 0; i < f->n_sum; i++)
		f->sum[i].factor *= f->factor;
	for (uint32_t i = 0; i < g->n_sum; i++) {
		f->sum[f->n_sum + i] = g->sum[i];
		f->sum[f->n_sum + i].factor *= sign * g->factor;
	}
	f->n_sum += g->n_sum;
	f->factor = 1;
	f->clamped |= b->clamped;
	f->at_zero = a->at_zero == b->at_zero ? a->at_zero : PHASE_UNDEFINED;
	return f;
}

static struct spectrum *of_add(const struct spectra *s, const struct node *n)
{
	const struct spectrum *a = spectrum_fact(s, n->in[0]), *b = spectrum_fact(s, n->in[1]);
	double number;
	if (!a || !b) {
		a = a ? a : b;
		bool amplitude = a && a->part == PART_NONE;
		return amplitude && splat_of(n->in[spectrum_fact(s, n->in[0]) ? 1 : 0], &number)
				       ? spectrum_clamped(s, a, number)
				       : NULL;
	}
	if (a->kind != SPECTRUM_SQUARE)
		return sum(s, a, b, 1);
	bool parts = (a->part == PART_REAL && b->part == PART_IMAGINARY) ||
		     (a->part == PART_IMAGINARY && b->part == PART_REAL);
	if (!parts || b->kind != SPECTRUM_SQUARE || a->magnitude != b->magnitude ||
	    a->factor != b->factor || !spectrum_same_layout(a, b))
		return NULL;
	struct spectrum *f = spectrum_like(s, a);
	f->part = PART_NONE;
	f->phase = NULL;
	f->clamped |= b->clamped;
	return f;
}

static struct spectrum *of_sub(const struct spectra *s, const struct node *n)
{
	const struct spectrum *a = spectrum_fact(s, n->in[0]), *b = spectrum_fact(s, n->in[1]);
	return a && b ? sum(s, a, b, -1) : NULL;
}

static struct spectrum *of_reduce_sum(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	if (!x || x->kind != SPECTRUM_SQUARE || x->part != PART_BOTH ||
	    n->attr.axes->mask != 1u << x->pair)
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->part = PART_NONE;
	f->phase = NULL;
	f->pair = -1;
	return f;
}

static struct spectrum *of_sqrt(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	if (!x || x->kind != SPECTRUM_SQUARE || x->part != PART_NONE)
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->kind = SPECTRUM_POLAR;
	f->factor = fabs(x->factor);
	return f;
}

static struct spectrum *of_max(const struct spectra *s, const struct node *n)
{
	uint32_t k = spectrum_fact(s, n->in[0]) ? 0 : 1;
	const struct spectrum *x = spectrum_fact(s, n->in[k]);
	double number;
	bool amplitude = x && x->part == PART_NONE;
	return amplitude && splat_of(n->in[1 - k], &number) ? spectrum_clamped(s, x, number) : NULL;
}

static struct spectrum *of_cos_or_sin(const struct spectra *s, const struct node *n)
{
	const struct spectrum *x = spectrum_fact(s, n->in[0]);
	if (!x || x->kind != SPECTRUM_ANGLE)
		return NULL;
	struct spectrum *f = spectrum_like(s, x);
	f->kind = SPECTRUM_POLAR;
	f->part = n->op == OP_cos ? PART_REAL : PART_IMAGINARY;
	f->factor = 1;
	return f;
}

/* ---- all ---- */

static struct spectrum *of_node(const struct spectra *s, const struct node *n)
{
	static struct spectrum *(*const rules[OP_COUNT])(const struct spectra *,
							 const struct node *) = {
			[OP_call] = of_call,
			[OP_reshape] = of_reshape,
			[OP_broadcast] = of_broadcast,
			[OP_slice] = of_slice,
			[OP_concat] = of_concat,
			[OP_mul] = of_mul,
			[OP_div] = of_div,
			[OP_add] = of_add,
			[OP_sub] = of_sub,
			[OP_max] = of_max,
			[OP_reduce_sum] = of_reduce_sum,
			[OP_sqrt] = of_sqrt,
			[OP_cos] = of_cos_or_sin,
			[OP_sin] = of_cos_or_sin,
			[OP_where] = spectrum_of_choice,
	};
	return rules[n->op] ? rules[n->op](s, n) : NULL;
}

void spectra_extend(struct spectra *s)
{
	for (uint32_t n = s->n; n < s->g->n_nodes; s->n = n) {
		struct spectrum *f = of_node(s, s->g->nodes[n]);
		PUSH(s->g->context->arena, s->fact, n, f);
	}
}
