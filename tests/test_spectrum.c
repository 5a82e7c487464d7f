/* Norms of Fourier amplitudes: a table of graphs whose transforms go away, and of near misses that
 * keep them.
 *
 * A graph is described by a recipe: what gives the amplitude, what the phase, how the phase is
 * spelt, which coefficients there are; and one thing that may be wrong.
 */
#include <math.h>

#include "algebra_case.h"

/* What the transforms are taken of. */
enum of_what {
	FEATURES,    /* x */
	BATCH_NORM,  /* with scales of both signs */
	UNSCALED,    /* batch norm without gamma and beta */
	INSTANCE,    /* norm over the plane */
	CENTRED,     /* x - mean(x) - 1e-7: its real part at 0 lies in a clamp */
	WHOLE,	     /* norm over channels and plane */
	SHIFTED,     /* x - c */
	NEGATIVE,    /* c - x / 2 */
	MIXED,	     /* amplitudes: a fixed mix of those of INSTANCE and FEATURES */
	GATED,	     /* amplitudes of x times a computed gate */
	TWICE,	     /* amplitudes of BATCH_NORM less half of those of FEATURES */
	NONE,	     /* amplitude 1 */
	PIXEL,	     /* norm over channels */
	PIXEL_RMS,   /* without a mean */
	PIXEL_MEAN,  /* without a scale */
	DIFFERENCE,  /* another input - x */
	RESHAPED,    /* rows of another length */
	RECTIFIED,   /* max(x, 0) */
	OTHER,	     /* another input */
	SCALE_ZERO,  /* x times scales of which one is 0 */
	SCALE_INPUT, /* x times an input */
	NO_EPSILON,  /* INSTANCE without epsilon */
};

enum spelling {
	SAFE_DIVISOR,	 /* F / (|F| == 0 ? 1 : |F|) */
	BARE_DIVISOR,	 /* F / |F| */
	RECIPROCAL,	 /* F * (1 / ...) */
	RATIO,		 /* F * (A / ...) */
	PRODUCT,	 /* (F * A) / ... */
	SAFE_PARTS,	 /* |F| == 0 ? 1 : re / |F| */
	ZERO_PARTS,	 /* |F| > 0 ? F / |F| : 0 */
	SAFE_ANGLE,	 /* NaN becomes angle 0 */
	BARE_ANGLE,	 /* NaN where F is 0 */
	CLAMPED_ANGLE,	 /* no real part in (-1e-5, 1e-5) */
	OTHER_HALFPLANE, /* le and swapped choices */
};

enum coefficients {
	FULL,
	HALF,	 /* rfft2 and irfft2 */
	SLICED,	 /* half of the full spectrum, then irfft2 */
	LINE,	 /* along the last axis only */
	ORTHO,	 /* scaled both ways */
	LEADING, /* an additional dimension in front */
};

enum fault {
	RIGHT,
	CLAMP,		/* of squared amplitudes, by 1e-5 */
	LARGE_CLAMP,	/* by 0.1 */
	EPSILON,	/* below the root */
	SWAPPED,	/* sine and cosine */
	CONJUGATE,	/* the imaginary part changes its sign */
	IMAGINARY,	/* part of the result */
	ONE_AXIS,	/* transformed back along one axis only */
	PADDED,		/* to a longer transform */
	SHORT,		/* coefficients of one more are missing */
	ZEROS,		/* in place of the other half of the coefficients */
	HALF_FIRST,	/* the axis with half the coefficients is transformed back first */
	ABSOLUTE,	/* real part */
	FEWER,		/* coefficients than half */
	LOPSIDED,	/* half the imaginary part */
	REAL_ONLY,	/* amplitudes of real parts */
	OTHER_DIVISOR,	/* another amplitude */
	UNDIVIDED,	/* F A */
	OTHER_COMPARED, /* a clamped part divides, the part itself tells the half-plane */
	CROPPED,	/* from a longer transform */
	WRONG_PI,	/* 3.14 */
	ONE_TURN,	/* pi is added on one side only */
	OTHER_GUARD,	/* 0.5 in place of angle 0, or of part 1 */
	OTHER_ZERO,	/* the guard looks at the other amplitude */
	SQUARED,	/* amplitudes */
	FILTER,		/* weights that vary along frequency */
	OTHER_AXES,	/* the amplitude is of lines */
	FORWARD_AGAIN,	/* instead of back */
};

struct recipe {
	enum of_what amplitude, phase;
	enum spelling spelling;
	enum coefficients layout;
	enum fault fault;
	int64_t height, width; /* 0: 4 and 6 */
};

/* The graph so far. */
struct maker {
	struct graph *g;
	const struct recipe *r;
	struct node *x;
};

/* ---- sources ---- */

static struct node *number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

static struct node *norm_over(struct graph *g, struct node *x, uint32_t axes, double epsilon)
{
	struct attr_norm attr = {.axes = axes,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = epsilon};
	return build_norm(g, (struct norm_operands){.x = x}, &attr);
}

/* Over channels; only divides, or only subtracts. */
static struct node *half_a_norm(struct graph *g, struct node *x, bool divides)
{
	struct attr_norm attr = {.axes = 2,
				 .centre = divides ? NORM_CENTRE_NONE : NORM_CENTRE_MEAN,
				 .scale = divides ? NORM_SCALE_RMS : NORM_SCALE_NONE,
				 .epsilon = 1e-3};
	return build_norm(g, (struct norm_operands){.x = x}, &attr);
}

static struct node *unscaled(struct graph *g, struct node *x)
{
	struct attr_norm attr = {
			.centre = NORM_CENTRE_GIVEN, .scale = NORM_SCALE_GIVEN, .epsilon = 1e-3};
	struct norm_operands in = {.x = x,
				   .mean = part_weights(g, SHAPE(1, 3, 1, 1)),
				   .variance = part_positive(g, SHAPE(1, 3, 1, 1))};
	return build_norm(g, in, &attr);
}

static struct node *source_of(const struct maker *m, enum of_what source)
{
	struct graph *g = m->g;
	struct node *x = m->x;
	const int64_t rows = x->type.dim[2]->value, columns = x->type.dim[3]->value;
	switch (source) {
	case BATCH_NORM:
		return part_batch_norm(g, x);
	case UNSCALED:
		return unscaled(g, x);
	case INSTANCE:
		return norm_over(g, x, 12, 1e-3);
	case WHOLE:
		return norm_over(g, x, 14, 1e-3);
	case SHIFTED:
		return build_binary(g, OP_sub, x, part_weights(g, SHAPE(1, 3, 1, 1)));
	case NEGATIVE:
		return build_binary(g, OP_sub, part_weights(g, SHAPE(1, 3, 1, 1)),
				    build_binary(g, OP_div, x, number(g, 2)));
	case CENTRED:
		x = build_binary(g, OP_sub, x, build_mean(g, x, 12, true));
		return part_add(g, x, number(g, -1e-7));
	case PIXEL:
		return norm_over(g, x, 2, 1e-3);
	case PIXEL_RMS:
	case PIXEL_MEAN:
		return half_a_norm(g, x, source == PIXEL_RMS);
	case RECTIFIED:
		return build_binary(g, OP_max, x, number(g, 0));
	case OTHER:
		return part_input(g, "other", SHAPE(2, 3, rows, columns));
	case DIFFERENCE:
		return build_binary(g, OP_sub, source_of(m, OTHER), x);
	case SCALE_ZERO:
		return part_mul(g, x, PART_VALUES(g, SHAPE(1, 3, 1, 1), 1, 0, 2));
	case SCALE_INPUT:
		return part_mul(g, x, part_input(g, "scale", SHAPE(2, 3, 1, 1)));
	case NO_EPSILON:
		return norm_over(g, x, 12, 0);
	default:
		return x;
	}
}

/* ---- transforms ---- */

struct transform {
	int32_t axis;
	bool inverse, onesided;
	int64_t length; /* 0: the axis's extent */
};

static struct node *dft(struct graph *g, struct node *x, struct transform f)
{
	struct type *t = arena_new(g->context->arena, struct type, 1);
	int64_t *ints = arena_new(g->context->arena, int64_t, 4);
	int64_t length = f.length ? f.length : x->type.dim[f.axis]->value;
	bool half = f.onesided && !f.inverse;
	*t = x->type;
	t->dim[f.axis] = dim_const(g->context->dims, half ? length / 2 + 1 : length);
	t->dim[t->rank - 1] = dim_const(g->context->dims, f.onesided && f.inverse ? 1 : 2);
	ints[0] = f.axis;
	ints[1] = f.inverse;
	ints[2] = f.onesided;
	ints[3] = length;
	struct attr_call attr = {.name = "dft", .n_out = 1, .out = t, .n_ints = 4, .ints = ints};
	return build_call(g, &x, 1, &attr);
}

static struct node *part_of(struct graph *g, struct node *f, int64_t i)
{
	struct dims *dims = g->context->dims;
	int32_t last = f->type.rank - 1;
	struct slice_range range = {dim_const(dims, i), dim_const(dims, 1), 1};
	return build_squeeze(g, build_slice(g, f, last, range), 1u << last);
}

static struct node *scale_by(struct graph *g, struct node *n, double factor)
{
	return part_mul(g, n, number(g, factor));
}

/* [..., rows, columns] to [..., rows, columns, 2] */
static struct node *spectrum(const struct maker *m, struct node *x, bool line)
{
	struct graph *g = m->g;
	const struct recipe *r = m->r;
	int32_t rank = x->type.rank;
	int32_t extra = r->layout == LEADING ? 1 : 0;
	struct node *f = build_unsqueeze(g, x, extra ? 1u << (rank + 1) | 1 : 1u << rank);
	struct transform columns = {.axis = rank - 1 + extra, .onesided = r->layout == HALF};
	if (r->fault == PADDED || r->fault == CROPPED)
		columns.length = x->type.dim[rank - 1]->value + 2;
	f = dft(g, f, columns);
	if (!line && r->layout != LINE)
		f = dft(g, f, (struct transform){.axis = rank - 2 + extra});
	f = extra ? build_squeeze(g, f, 1) : f;
	return r->layout == ORTHO ? scale_by(g, f, 0.25) : f;
}

static struct node *signal_of(const struct maker *m, struct node *f)
{
	struct graph *g = m->g;
	const struct recipe *r = m->r;
	int32_t rank = m->x->type.rank, last = rank - 1;
	int64_t extent = m->x->type.dim[last]->value;
	bool half = (r->layout == HALF || r->layout == SLICED) && r->fault != ZEROS;
	struct transform columns = {.axis = last, .inverse = true, .onesided = half};
	struct transform rows = {.axis = last - 1, .inverse = r->fault != FORWARD_AGAIN};
	columns.length = r->fault == PADDED ? 0 : r->fault == SHORT ? extent / 2 * 2 : extent;
	if (r->layout == ORTHO)
		f = scale_by(g, f, 8);
	int64_t kept = extent / 2 + (r->fault != FEWER);
	if (r->layout == SLICED)
		f = build_slice(g, f, last,
				(struct slice_range){dim_const(g->context->dims, 0),
						     dim_const(g->context->dims, kept), 1});
	if (r->fault == HALF_FIRST) {
		f = dft(g, f, columns);
		f = dft(g, f, rows);
		return part_of(g, f, 0);
	}
	if (r->layout != LINE && r->fault != ONE_AXIS)
		f = dft(g, f, rows);
	f = dft(g, f, columns);
	return half ? build_squeeze(g, f, 1u << rank) : part_of(g, f, r->fault == IMAGINARY);
}

/* ---- amplitudes ---- */

static struct node *squares(struct graph *g, struct node *f)
{
	return build_reduce(g, OP_reduce_sum, part_mul(g, f, f), 1u << (f->type.rank - 1), false);
}

static struct node *clamp(struct graph *g, struct node *n, double t)
{
	struct node *near = build_binary(g, OP_and, build_binary(g, OP_lt, n, number(g, t)),
					 build_binary(g, OP_lt, number(g, -t), n));
	return build_where(g, near, number(g, t), n);
}

static struct node *amplitude(const struct maker *m, struct node *f)
{
	struct graph *g = m->g;
	struct node *s = squares(g, f);
	switch (m->r->fault) {
	case REAL_ONLY:
		s = part_mul(g, part_of(g, f, 0), part_of(g, f, 0));
		break;
	case CLAMP:
		s = clamp(g, s, 1e-5);
		break;
	case LARGE_CLAMP:
		s = clamp(g, s, 0.1);
		break;
	case EPSILON:
		s = part_add(g, s, number(g, 1e-5));
		break;
	default:
		break;
	}
	return m->r->fault == SQUARED ? s : build_unary(g, OP_sqrt, s);
}

static struct node *amplitude_of(const struct maker *m, enum of_what source)
{
	bool line = m->r->fault == OTHER_AXES;
	return amplitude(m, spectrum(m, source_of(m, source), line));
}

static struct node *given_amplitude(const struct maker *m)
{
	struct graph *g = m->g;
	switch (m->r->amplitude) {
	case MIXED:
		return part_add(g, scale_by(g, amplitude_of(m, INSTANCE), 0.3),
				scale_by(g, amplitude_of(m, FEATURES), 0.7));
	case RESHAPED: {
		const struct dim *swapped[4] = {m->x->type.dim[0], m->x->type.dim[1],
						m->x->type.dim[3], m->x->type.dim[2]};
		struct node *x = build_reshape(g, m->x, 4, swapped);
		struct node *a = amplitude(m, spectrum(m, x, false));
		return build_reshape(g, a, 4, m->x->type.dim);
	}
	case TWICE:
		return build_binary(g, OP_sub, amplitude_of(m, BATCH_NORM),
				    scale_by(g, amplitude_of(m, FEATURES), 0.5));
	case GATED: {
		struct node *gate =
				build_unary(g, OP_tanh, part_input(g, "gate", SHAPE(2, 3, 1, 1)));
		return part_mul(g, amplitude_of(m, UNSCALED), gate);
	}
	default:
		return amplitude_of(m, m->r->amplitude);
	}
}

/* ---- phases ---- */

static struct node *is_zero(struct graph *g, struct node *n)
{
	return build_binary(g, OP_eq, n, number(g, 0));
}

static struct node *safe(const struct maker *m, struct node *f)
{
	struct graph *g = m->g;
	if (m->r->fault == OTHER_DIVISOR)
		f = spectrum(m, source_of(m, OTHER), false);
	struct node *a = build_unary(g, OP_sqrt, squares(g, f));
	if (m->r->spelling == BARE_DIVISOR)
		return a;
	struct node *zero = m->r->fault == OTHER_ZERO ? amplitude_of(m, OTHER) : a;
	return build_where(g, is_zero(g, zero), number(g, 1), a);
}

/* -pi .. pi */
static struct node *turned(const struct maker *m, struct node *slope, struct node *re,
			   struct node *im)
{
	struct graph *g = m->g;
	double pi = m->r->fault == WRONG_PI ? 3.14 : acos(-1);
	struct node *near = build_unary(g, OP_atan, slope);
	struct node *up = part_add(g, near, number(g, pi));
	struct node *down = m->r->fault == ONE_TURN ? near
						    : build_binary(g, OP_sub, near, number(g, pi));
	struct node *zero = number(g, 0);
	if (m->r->spelling != OTHER_HALFPLANE)
		return build_where(g, build_binary(g, OP_lt, re, zero),
				   build_where(g, build_binary(g, OP_lt, zero, im), up, down),
				   near);
	return build_where(g, build_binary(g, OP_le, zero, re), near,
			   build_where(g, build_binary(g, OP_le, im, zero), down, up));
}

static struct node *angle(const struct maker *m, struct node *f)
{
	struct graph *g = m->g;
	struct node *re = part_of(g, f, 0), *im = part_of(g, f, 1), *compared = re;
	if (m->r->spelling == CLAMPED_ANGLE)
		re = clamp(g, re, 1e-5);
	if (m->r->fault == ABSOLUTE)
		re = build_unary(g, OP_sqrt, part_mul(g, re, re));
	if (m->r->fault != OTHER_COMPARED)
		compared = re;
	struct node *a = turned(m, build_binary(g, OP_div, im, re), compared, im);
	if (m->r->spelling == BARE_ANGLE || m->r->spelling == CLAMPED_ANGLE)
		return a;
	double guard = m->r->fault == OTHER_GUARD ? 0.5 : 0;
	return build_where(g, build_unary(g, OP_isnan, a), number(g, guard), a);
}

static struct node *paired(const struct maker *m, struct node *re, struct node *im)
{
	struct graph *g = m->g;
	uint32_t last = 1u << re->type.rank;
	bool swap = m->r->fault == SWAPPED;
	if (m->r->fault == CONJUGATE)
		im = build_unary(g, OP_neg, im);
	if (m->r->fault == LOPSIDED)
		im = scale_by(g, im, 0.5);
	struct node *part[2] = {build_unsqueeze(g, swap ? im : re, last),
				build_unsqueeze(g, swap ? re : im, last)};
	return build_concat(g, part, 2, part[0]->type.rank - 1);
}

static struct node *safe_part(const struct maker *m, struct node *f, int64_t i)
{
	struct graph *g = m->g;
	struct node *a = build_unary(g, OP_sqrt, squares(g, f));
	double guard = m->r->fault == OTHER_GUARD ? 0.5 : 1;
	struct node *zero = m->r->fault == OTHER_ZERO ? amplitude_of(m, OTHER) : a;
	return build_where(g, is_zero(g, zero), number(g, i ? 0 : guard),
			   build_binary(g, OP_div, part_of(g, f, i), a));
}

/* a F/|F| */
static struct node *composed(const struct maker *m, struct node *a, struct node *f)
{
	struct graph *g = m->g;
	struct node *wide = a ? build_unsqueeze(g, a, 1u << a->type.rank) : number(g, 1), *s, *p;
	if (m->r->fault == UNDIVIDED)
		return part_mul(g, f, wide);
	switch (m->r->spelling) {
	case SAFE_DIVISOR:
	case BARE_DIVISOR:
	case RECIPROCAL:
	case RATIO:
	case PRODUCT:
		s = safe(m, f);
		s = build_unsqueeze(g, s, 1u << s->type.rank);
		if (m->r->spelling == RECIPROCAL)
			s = build_binary(g, OP_div, number(g, 1), s);
		if (m->r->spelling == RECIPROCAL)
			return part_mul(g, part_mul(g, f, s), wide);
		if (m->r->spelling == RATIO)
			return part_mul(g, f, build_binary(g, OP_div, wide, s));
		if (m->r->spelling == PRODUCT)
			return build_binary(g, OP_div, part_mul(g, f, wide), s);
		return part_mul(g, build_binary(g, OP_div, f, s), wide);
	case ZERO_PARTS:
		s = build_unary(g, OP_sqrt, squares(g, f));
		s = build_unsqueeze(g, s, 1u << s->type.rank);
		p = build_binary(g, OP_lt, number(g, 0), s);
		p = build_broadcast(g, p, f->type.rank, f->type.dim);
		return part_mul(g, build_where(g, p, build_binary(g, OP_div, f, s), number(g, 0)),
				wide);
	case SAFE_PARTS:
		return part_mul(g, paired(m, safe_part(m, f, 0), safe_part(m, f, 1)), wide);
	default:
		p = angle(m, f);
		return paired(m, part_mul(g, build_unary(g, OP_cos, p), a),
			      part_mul(g, build_unary(g, OP_sin, p), a));
	}
}

static struct node *made(struct graph *g, struct recipe r)
{
	struct maker m = {.g = g, .r = &r};
	int64_t height = r.height ? r.height : 4, width = r.width ? r.width : 6;
	m.x = part_input(g, "x", SHAPE(2, 3, height, width));
	struct node *a = r.amplitude == NONE ? NULL : given_amplitude(&m);
	if (r.fault == OTHER_DIVISOR && r.spelling == SAFE_ANGLE)
		a = build_binary(g, OP_div, a, amplitude_of(&m, OTHER));
	if (r.fault == FILTER)
		a = part_mul(g, a, part_positive(g, SHAPE(height, 1)));
	struct node *y = composed(&m, a, spectrum(&m, source_of(&m, r.phase), false));
	return signal_of(&m, y);
}

/* X(name, fields of the recipe ...) */
#define DONE(X)                                                                                    \
	X(pcnorm, .amplitude = UNSCALED)                                                           \
	X(pcnorm_angle, .amplitude = UNSCALED, .spelling = SAFE_ANGLE)                             \
	X(pcnorm_half, .amplitude = UNSCALED, .layout = HALF)                                      \
	X(pcnorm_half_of_odd, .amplitude = UNSCALED, .layout = HALF, .height = 5, .width = 7)      \
	X(pcnorm_sliced, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .layout = SLICED)          \
	X(pcnorm_odd, .amplitude = UNSCALED, .height = 3, .width = 5)                              \
	X(pcnorm_ortho, .amplitude = UNSCALED, .layout = ORTHO, .spelling = SAFE_ANGLE)            \
	X(pcnorm_leading, .amplitude = UNSCALED, .layout = LEADING)                                \
	X(lines, .amplitude = UNSCALED, .layout = LINE)                                            \
	X(reciprocal, .amplitude = UNSCALED, .spelling = RECIPROCAL)                               \
	X(ratio, .amplitude = UNSCALED, .spelling = RATIO)                                         \
	X(product_first, .amplitude = UNSCALED, .spelling = PRODUCT)                               \
	X(safe_parts, .amplitude = UNSCALED, .spelling = SAFE_PARTS)                               \
	X(zero_parts, .amplitude = UNSCALED, .spelling = ZERO_PARTS)                               \
	X(other_halfplane, .amplitude = UNSCALED, .spelling = OTHER_HALFPLANE)                     \
	X(ccnorm, .amplitude = UNSCALED, .phase = SHIFTED)                                         \
	X(ccnorm_angle, .amplitude = UNSCALED, .phase = SHIFTED, .spelling = SAFE_ANGLE)           \
	X(scnorm, .amplitude = MIXED)                                                              \
	X(scnorm_angle_sliced, .amplitude = MIXED, .spelling = SAFE_ANGLE, .layout = SLICED)       \
	X(difference_of_amplitudes, .amplitude = TWICE)                                            \
	X(gated_amplitude, .amplitude = GATED)                                                     \
	X(scales_of_both_signs, .amplitude = BATCH_NORM)                                           \
	X(amplitude_scale_zero, .amplitude = SCALE_ZERO)                                           \
	X(phase_scale_negative, .amplitude = UNSCALED, .phase = NEGATIVE)                          \
	X(phase_scales_of_both_signs, .amplitude = NEGATIVE, .phase = BATCH_NORM)                  \
	X(phase_of_the_norm, .amplitude = FEATURES, .phase = BATCH_NORM)                           \
	X(amplitude_of_instance_norm, .amplitude = INSTANCE)                                       \
	X(amplitude_of_layer_norm, .amplitude = WHOLE)                                             \
	X(phase_of_instance_norm, .amplitude = FEATURES, .phase = WHOLE)                           \
	X(there_and_back, .amplitude = FEATURES)

#define NEAR(X)                                                                                    \
	X(clamped_amplitude, .amplitude = UNSCALED, .fault = CLAMP)                                \
	X(epsilon_below_root, .amplitude = UNSCALED, .fault = EPSILON, .spelling = SAFE_ANGLE)     \
	X(clamped_both, .amplitude = UNSCALED, .fault = CLAMP, .spelling = CLAMPED_ANGLE,          \
	  .layout = SLICED)                                                                        \
	X(clamped_ccnorm, .amplitude = UNSCALED, .phase = SHIFTED, .fault = CLAMP,                 \
	  .spelling = CLAMPED_ANGLE)                                                               \
	X(clamped_mean, .amplitude = UNSCALED, .phase = CENTRED, .spelling = CLAMPED_ANGLE)        \
	X(clamped_angle, .amplitude = UNSCALED, .spelling = CLAMPED_ANGLE)                         \
	X(no_phase_of_zero, .amplitude = UNSCALED, .spelling = BARE_DIVISOR)                       \
	X(no_angle_of_zero, .amplitude = MIXED, .spelling = BARE_ANGLE)

#define KEPT(X)                                                                                    \
	X(amplitude_of_other_input, .amplitude = OTHER)                                            \
	X(amplitude_of_rectified, .amplitude = RECTIFIED)                                          \
	X(phase_of_rectified, .amplitude = UNSCALED, .phase = RECTIFIED)                           \
	X(norm_over_channels, .amplitude = PIXEL)                                                  \
	X(phase_scale_zero, .amplitude = UNSCALED, .phase = SCALE_ZERO)                            \
	X(amplitude_sign_unknown, .amplitude = SCALE_INPUT)                                        \
	X(phase_sign_unknown, .amplitude = UNSCALED, .phase = SCALE_INPUT)                         \
	X(norm_without_epsilon, .amplitude = NO_EPSILON)                                           \
	X(amplitude_one, .amplitude = NONE)                                                        \
	X(filtered, .amplitude = UNSCALED, .fault = FILTER)                                        \
	X(swapped_parts, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = SWAPPED)          \
	X(conjugate, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = CONJUGATE)            \
	X(imaginary_part, .amplitude = UNSCALED, .fault = IMAGINARY)                               \
	X(one_axis_back, .amplitude = UNSCALED, .fault = ONE_AXIS)                                 \
	X(padded_transform, .amplitude = UNSCALED, .fault = PADDED)                                \
	X(half_of_even_for_odd, .amplitude = UNSCALED, .layout = HALF, .width = 7, .fault = SHORT) \
	X(zeros_for_conjugates, .amplitude = UNSCALED, .layout = SLICED, .fault = ZEROS)           \
	X(half_first, .amplitude = UNSCALED, .layout = HALF, .fault = HALF_FIRST)                  \
	X(wrong_pi, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = WRONG_PI)              \
	X(one_turn, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = ONE_TURN)              \
	X(other_angle_for_nan, .amplitude = UNSCALED, .spelling = SAFE_ANGLE,                      \
	  .fault = OTHER_GUARD)                                                                    \
	X(other_part_for_zero, .amplitude = UNSCALED, .spelling = SAFE_PARTS,                      \
	  .fault = OTHER_GUARD)                                                                    \
	X(guard_of_other, .amplitude = UNSCALED, .fault = OTHER_ZERO)                              \
	X(squared_amplitude, .amplitude = UNSCALED, .fault = SQUARED)                              \
	X(amplitude_of_lines, .amplitude = UNSCALED, .fault = OTHER_AXES)                          \
	X(norm_by_pixel, .amplitude = PIXEL_RMS)                                                   \
	X(mean_by_pixel, .amplitude = PIXEL_MEAN)                                                  \
	X(difference_of_inputs, .amplitude = DIFFERENCE)                                           \
	X(reshaped, .amplitude = RESHAPED)                                                         \
	X(fewer_coefficients, .amplitude = UNSCALED, .layout = SLICED, .fault = FEWER)             \
	X(absolute_real_part, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = ABSOLUTE)    \
	X(lopsided, .amplitude = UNSCALED, .spelling = SAFE_ANGLE, .fault = LOPSIDED)              \
	X(amplitude_of_real_part, .amplitude = UNSCALED, .fault = REAL_ONLY)                       \
	X(other_divisor, .amplitude = UNSCALED, .fault = OTHER_DIVISOR)                            \
	X(other_divisor_of_amplitude, .amplitude = UNSCALED, .spelling = SAFE_ANGLE,               \
	  .fault = OTHER_DIVISOR)                                                                  \
	X(undivided, .amplitude = UNSCALED, .fault = UNDIVIDED)                                    \
	X(guard_of_other_parts, .amplitude = UNSCALED, .spelling = SAFE_PARTS,                     \
	  .fault = OTHER_ZERO)                                                                     \
	X(cropped_transform, .amplitude = UNSCALED, .fault = CROPPED)                              \
	X(forward_again, .amplitude = UNSCALED, .fault = FORWARD_AGAIN)

#define ALWAYS_KEPT(X)                                                                             \
	X(other_compared, .amplitude = UNSCALED, .spelling = CLAMPED_ANGLE,                        \
	  .fault = OTHER_COMPARED)                                                                 \
	X(large_clamp, .amplitude = UNSCALED, .fault = LARGE_CLAMP)

#define X(name, ...)                                                                               \
	static struct node *name(struct graph *g)                                                  \
	{                                                                                          \
		return made(g, (struct recipe){__VA_ARGS__});                                      \
	}
DONE(X)
NEAR(X)
KEPT(X)
ALWAYS_KEPT(X)
#undef X

static void no_transforms(const struct graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++)
		assert_true(g->nodes[i]->op != OP_call);
}

#define X_DONE(name, ...) {#name, name, "spectrum", true, NULL, no_transforms},
#define X_NEAR(name, ...)                                                                          \
	{#name, name, "spectrum_clamped", true, "+spectrum_clamped", no_transforms},               \
			{#name "_by_default", name, "spectrum", false, NULL, NULL},
#define X_KEPT(name, ...) {#name, name, "spectrum", false, NULL, NULL},
#define X_ALWAYS_KEPT(name, ...)                                                                   \
	{#name, name, "spectrum_clamped", false, "+spectrum_clamped", NULL},
static const struct rewrite_case cases[] = {DONE(X_DONE) NEAR(X_NEAR) KEPT(X_KEPT) KEPT(
		X_ALWAYS_KEPT) ALWAYS_KEPT(X_ALWAYS_KEPT)};

int main(void)
{
	return RUN_REWRITE_CASES("spectrum", cases) | RUN_ALGEBRA_CASES("spectrum", cases);
}
