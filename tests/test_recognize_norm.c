/* Norms other than LayerNorm, spelt out: L2, ScaleNorm, filter response normalization,
 * InstanceNorm, and near misses in which one detail differs.  (All spellings of LayerNorm and
 * RMSNorm are in test_recognize.c.)
 */
#include "algebra_case.h"

enum { ROWS = 3, WIDTH = 9, CHANNELS = 4 };

enum place {
	PLACE_NONE,
	PLACE_INSIDE,
	PLACE_OUTSIDE,
	PLACE_FLOOR,
	PLACE_FLOOR_INSIDE /* sqrt(max(v, epsilon)) */
};

/* How d, its deviation s and gamma g are put together. */
enum quotient {
	OVER,		  /* d / s, then * g */
	TIMES_INVERSE,	  /* d * (1 / s), then * g */
	INVERSE_TIMES,	  /* (1 / s) * d, then * g */
	TIMES_QUOTIENT,	  /* d * (g / s) */
	PRODUCT_OVER,	  /* (g * d) / s */
	PRODUCT_INVERSE,  /* (g * d) * (1 / s) */
	PRODUCT_QUOTIENT, /* (g * d) * (h / s): two constants */
	EXPANDED	  /* x * k + (b - mean * k) with k = g * (1 / s) */
};

enum parameter { PARAMETER_NONE, ONE_NUMBER, FEATURES, CHANNEL, BATCH };

enum fault {
	FAULT_NONE,
	FAULT_CUBE,	/* |d|^3 */
	FAULT_ABSOLUTE, /* |d| */
	FAULT_NO_ROOT,
	FAULT_EPSILON_NEGATIVE,
	FAULT_EPSILON_TWICE,  /* inside and outside */
	FAULT_EPSILON_VARIES, /* from row to row */
	FAULT_CEILING,	      /* min instead of max */
	FAULT_CLIPPED,	      /* max, then min */
	FAULT_OTHER_VALUE,    /* exp(d) above */
	FAULT_SQUARED,	      /* d*d above */
	FAULT_INVERTED,	      /* s above */
	FAULT_COUNT,	      /* n + 1 */
	FAULT_TWO_LESS,	      /* n - 2 */
	FAULT_MEAN_LESS,      /* the mean, too, is a sum over n - 1 */
	FAULT_KEEPDIMS,	      /* norms of columns divide rows */
	FAULT_ROOT_SCALE,     /* 1/n for 1/sqrt(n) */
	FAULT_ROOT_OTHER,     /* 1/sqrt(n + 1) */
	FAULT_SCALED_INSIDE,  /* sqrt(sum + epsilon) / sqrt(n) */
	FAULT_ROUNDED_COUNT,  /* 0.1111 for 1/9 */
	FAULT_DIFFERENCE,     /* mean of squares less square of mean */
	FAULT_MEAN_AXES,      /* the mean over one axis, the deviation over two */
	FAULT_SIGN,	      /* mean - x above */
	/* of what is multiplied out */
	FAULT_EXPANDED_MEAN,   /* of |x| */
	FAULT_EXPANDED_VALUE,  /* |x| */
	FAULT_EXPANDED_FACTOR, /* another k for the mean */
	FAULT_EXPANDED_SIGN,   /* b + mean * k */
	FAULT_EXPANDED_CENTRE  /* k is of x, not of x - mean */
};

struct form {
	bool image;  /* [2, CHANNELS, ROWS, 5], else [2, ROWS, WIDTH] */
	bool wide;   /* in f64 */
	bool square; /* [2, WIDTH, WIDTH] */
	bool centred, mean, unbiased, root_scaled, squeezed;
	uint32_t axes;
	enum place place;
	enum quotient quotient;
	enum parameter gamma, beta, tau;
	bool read_twice;
	enum fault fault;
	/* what becomes of it */
	bool no_gamma, no_beta, no_centre;
};

/* ---- writing ---- */

struct writer {
	struct graph *g;
	const struct form *f;
	struct node *x;
};

static const double epsilon = 0.0625;

static struct node *number(struct writer *w, double value)
{
	return build_number(w->g, w->x->type.elem, value);
}

static double set_size(struct writer *w, uint32_t axes)
{
	double n = 1;
	for (int32_t i = 0; i < w->x->type.rank; i++)
		n *= axes >> i & 1 ? (double)w->x->type.dim[i]->value : 1;
	return n;
}

/* The divisor is the number of terms less `less`. */
static struct node *mean_less(struct writer *w, struct node *a, uint32_t axes, bool less)
{
	struct node *sum = build_reduce(w->g, OP_reduce_sum, a, axes, true);
	double n = set_size(w, axes) + (w->f->fault == FAULT_COUNT) -
		   2 * (w->f->fault == FAULT_TWO_LESS) - less;
	if (w->f->fault == FAULT_ROUNDED_COUNT)
		return part_mul(w->g, sum, number(w, 0.1111));
	return build_binary(w->g, OP_div, sum, number(w, n));
}

static struct node *mean_of(struct writer *w, struct node *a, uint32_t axes)
{
	return mean_less(w, a, axes, w->f->fault == FAULT_MEAN_LESS);
}

static struct node *square_of(struct writer *w, struct node *d)
{
	struct node *size = build_unary(w->g, OP_abs, d);
	if (w->f->fault == FAULT_CUBE)
		return build_binary(w->g, OP_pow, size, number(w, 3));
	return w->f->fault == FAULT_ABSOLUTE ? size : part_mul(w->g, d, d);
}

static struct node *spread(struct writer *w, struct node *d)
{
	struct graph *g = w->g;
	const struct form *f = w->f;
	struct node *square = square_of(w, d), *v;
	if (f->fault == FAULT_DIFFERENCE) {
		struct node *mean = mean_of(w, w->x, f->axes);
		return build_binary(g, OP_sub, mean_of(w, square, f->axes),
				    part_mul(g, mean, mean));
	}
	if (f->fault == FAULT_KEEPDIMS) {
		v = build_reduce(g, OP_reduce_sum, square, 2, false);
		return build_unsqueeze(g, v, 4);
	}
	if (f->squeezed) {
		v = build_reduce(g, OP_reduce_sum, square, f->axes, false);
		return build_unsqueeze(g, v, f->axes);
	}
	return f->mean ? mean_less(w, square, f->axes, f->unbiased)
		       : build_reduce(g, OP_reduce_sum, square, f->axes, true);
}

static struct node *with_epsilon(struct writer *w, enum op op, struct node *a)
{
	struct type t = type_fixed(w->g->context, NORMC_F32, 3, (const int64_t[]){1, ROWS, 1});
	static const double varying[ROWS] = {0.5, 0.25, 0.5};
	struct node *e = number(w, w->f->fault == FAULT_EPSILON_NEGATIVE ? -epsilon : epsilon);
	if (w->f->fault == FAULT_EPSILON_VARIES)
		e = build_doubles(w->g, &t, varying);
	if (w->f->fault == FAULT_CEILING)
		op = OP_min;
	a = build_binary(w->g, op, a, e);
	return w->f->fault == FAULT_CLIPPED ? build_binary(w->g, OP_min, a, number(w, 2)) : a;
}

static struct node *deviation(struct writer *w, struct node *d)
{
	const struct form *f = w->f;
	struct node *v = spread(w, d);
	double n = set_size(w, f->axes);
	if (f->place == PLACE_INSIDE || f->fault == FAULT_EPSILON_TWICE ||
	    f->fault == FAULT_SCALED_INSIDE)
		v = with_epsilon(w, OP_add, v);
	if (f->place == PLACE_FLOOR_INSIDE)
		v = with_epsilon(w, OP_max, v);
	if (f->fault != FAULT_NO_ROOT)
		v = build_unary(w->g, OP_sqrt, v);
	if (f->root_scaled)
		v = part_mul(w->g, v,
			     number(w, f->fault == FAULT_ROOT_SCALE   ? 1 / n
				       : f->fault == FAULT_ROOT_OTHER ? 1 / sqrt(n + 1)
								      : 1 / sqrt(n)));
	if (f->place == PLACE_OUTSIDE || f->place == PLACE_FLOOR)
		v = with_epsilon(w, f->place == PLACE_FLOOR ? OP_max : OP_add, v);
	return v;
}

static struct node *parameter(struct writer *w, enum parameter kind)
{
	struct shape shape = {.rank = w->x->type.rank, .dim = {1, 1, 1, 1}};
	int32_t axis = kind == FEATURES ? shape.rank - 1 : kind == CHANNEL ? 1 : 0;
	if (kind != ONE_NUMBER)
		shape.dim[axis] = w->x->type.dim[axis]->value;
	return part_weights(w->g, shape);
}

static struct node *put_together(struct writer *w, struct node *d, struct node *s)
{
	struct graph *g = w->g;
	struct node *gamma = w->f->gamma ? parameter(w, w->f->gamma) : number(w, 1);
	struct node *inverse = build_binary(g, OP_div, number(w, 1), s), *y;
	switch (w->f->quotient) {
	case TIMES_INVERSE:
		y = part_mul(g, d, inverse);
		break;
	case INVERSE_TIMES:
		y = part_mul(g, inverse, d);
		break;
	case TIMES_QUOTIENT:
		return part_mul(g, d, build_binary(g, OP_div, gamma, s));
	case PRODUCT_OVER:
		return build_binary(g, OP_div, part_mul(g, gamma, d), s);
	case PRODUCT_QUOTIENT:
		return part_mul(g, part_mul(g, gamma, d),
				build_binary(g, OP_div, parameter(w, FEATURES), s));
	case PRODUCT_INVERSE:
		return part_mul(g, part_mul(g, gamma, d), inverse);
	default:
		y = build_binary(g, OP_div, d, s);
	}
	if (w->f->read_twice)
		graph_output(g, y, "early");
	return w->f->gamma ? part_mul(g, y, gamma) : y;
}

static struct node *expanded(struct writer *w, struct node *s)
{
	struct graph *g = w->g;
	const struct form *f = w->f;
	struct node *k = build_binary(g, OP_div, number(w, 1), s),
		    *size = build_unary(g, OP_abs, w->x);
	struct node *gamma = f->gamma ? parameter(w, f->gamma) : NULL, *other = k, *mean, *shift;
	if (gamma)
		k = part_mul(g, k, gamma);
	if (f->fault != FAULT_EXPANDED_FACTOR)
		other = k;
	mean = mean_of(w, f->fault == FAULT_EXPANDED_MEAN ? size : w->x, f->axes);
	shift = part_mul(g, mean, other);
	struct node *y = part_mul(g, f->fault == FAULT_EXPANDED_VALUE ? size : w->x, k);
	enum op op = f->fault == FAULT_EXPANDED_SIGN ? OP_add : OP_sub;
	return f->beta ? part_add(g, y, build_binary(g, op, parameter(w, f->beta), shift))
		       : build_binary(g, op, y, shift);
}

static struct node *write_form(struct graph *g, const struct form *f)
{
	int64_t rows = f->square ? WIDTH : ROWS;
	struct writer w = {g, f, NULL};
	struct node *d, *s, *y;
	w.x = f->image ? part_input(g, "x", SHAPE(2, CHANNELS, ROWS, 5))
		       : part_input(g, "x", SHAPE(2, rows, WIDTH));
	w.x = f->wide ? build_cast(g, w.x, NORMC_F64) : w.x;
	uint32_t mean_axes = f->fault == FAULT_MEAN_AXES ? 8 : f->axes;
	d = f->centred ? build_binary(g, OP_sub, w.x, mean_of(&w, w.x, mean_axes)) : w.x;
	bool of_x = f->fault == FAULT_DIFFERENCE || f->fault == FAULT_EXPANDED_CENTRE;
	s = deviation(&w, of_x ? w.x : d);
	if (f->quotient == EXPANDED)
		return expanded(&w, s);
	if (f->fault == FAULT_SIGN)
		d = build_binary(g, OP_sub, mean_of(&w, w.x, f->axes), w.x);
	if (f->fault == FAULT_OTHER_VALUE)
		d = build_unary(g, OP_exp, d);
	if (f->fault == FAULT_SQUARED)
		d = part_mul(g, d, d);
	y = f->fault == FAULT_INVERTED ? put_together(&w, s, d) : put_together(&w, d, s);
	if (f->beta)
		y = part_add(g, y, parameter(&w, f->beta));
	return f->tau ? build_binary(g, OP_max, y, parameter(&w, f->tau)) : y;
}

/* ---- checking ---- */

static const struct node *only_norm(const struct graph *g)
{
	const struct node *found = NULL;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i]->op == OP_norm) {
			assert_null(found);
			found = g->nodes[i];
		}
	return found;
}

static void expect(const struct graph *g, const struct form *f, bool fires)
{
	static const enum norm_epsilon place[] = {NORM_EPSILON_INSIDE, NORM_EPSILON_INSIDE,
						  NORM_EPSILON_OUTSIDE, NORM_EPSILON_FLOOR,
						  NORM_EPSILON_FLOOR};
	const struct node *n = only_norm(g);
	assert_int_equal(n != NULL, fires);
	if (!n)
		return;
	const struct attr_norm *a = n->attr.norm;
	bool joined = f->gamma && !f->no_gamma;
	assert_int_equal(a->axes, f->axes);
	assert_int_equal(a->centre,
			 f->centred && !f->no_centre ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE);
	assert_int_equal(a->scale, f->mean || f->root_scaled ? NORM_SCALE_RMS : NORM_SCALE_L2);
	assert_int_equal(a->epsilon_place, place[f->place]);
	assert_true(a->epsilon == (f->place == PLACE_NONE	    ? 0
				   : f->place == PLACE_FLOOR_INSIDE ? sqrt(epsilon)
								    : epsilon));
	assert_int_equal(a->unbiased, f->unbiased);
	assert_int_equal(a->gamma, joined);
	assert_int_equal(a->beta, f->beta && !f->no_beta && (joined || !f->gamma));
}

/* ---- the table ---- */

#define IMAGE	      .image = true, .axes = 12
#define ROW	      .axes = 4
#define EXPANDED_NORM .centred = true, .mean = true, .place = PLACE_INSIDE, .quotient = EXPANDED
#define FORMS(X)                                                                                   \
	X(l2, true, ROW)                                                                           \
	X(l2_times_inverse, true, ROW, .quotient = TIMES_INVERSE)                                  \
	X(l2_inverse_times, true, ROW, .quotient = INVERSE_TIMES)                                  \
	X(l2_inside, true, ROW, .place = PLACE_INSIDE)                                             \
	X(l2_outside, true, ROW, .place = PLACE_OUTSIDE)                                           \
	X(l2_floor, true, ROW, .place = PLACE_FLOOR)                                               \
	X(l2_floor_inside, true, ROW, .place = PLACE_FLOOR_INSIDE, .quotient = TIMES_INVERSE)      \
	X(l2_in_f64, true, ROW, .wide = true, .place = PLACE_FLOOR)                                \
	X(l2_of_columns, true, .axes = 2, .place = PLACE_FLOOR)                                    \
	X(l2_of_channels, true, .image = true, .axes = 2, .place = PLACE_FLOOR)                    \
	X(l2_of_everything, true, .axes = 6, .place = PLACE_OUTSIDE)                               \
	X(l2_dimensions_dropped, true, .axes = 4, .squeezed = true)                                \
	X(l2_centred, true, ROW, .centred = true, .place = PLACE_FLOOR)                            \
	X(scale_norm, true, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER)                        \
	X(scale_norm_quotient, true, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,               \
	  .quotient = TIMES_QUOTIENT)                                                              \
	X(scale_norm_product, true, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,                \
	  .quotient = PRODUCT_OVER)                                                                \
	X(scale_norm_product_inverse, true, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,        \
	  .quotient = PRODUCT_INVERSE)                                                             \
	X(scale_norm_inside, true, ROW, .place = PLACE_INSIDE, .gamma = ONE_NUMBER)                \
	X(scale_norm_of_features, true, ROW, .place = PLACE_OUTSIDE, .gamma = FEATURES,            \
	  .quotient = TIMES_QUOTIENT)                                                              \
	X(root_scaled, true, ROW, .root_scaled = true, .place = PLACE_OUTSIDE, .gamma = FEATURES)  \
	X(root_scaled_floor, true, ROW, .root_scaled = true, .place = PLACE_FLOOR,                 \
	  .gamma = FEATURES)                                                                       \
	X(root_scaled_alone, true, ROW, .root_scaled = true)                                       \
	X(rms_without_epsilon, true, ROW, .mean = true, .gamma = FEATURES)                         \
	X(rms_floor, true, ROW, .mean = true, .place = PLACE_FLOOR, .beta = FEATURES)              \
	X(frn, true, IMAGE, .mean = true, .place = PLACE_INSIDE, .gamma = CHANNEL,                 \
	  .beta = CHANNEL, .tau = CHANNEL)                                                         \
	X(frn_inverse, true, IMAGE, .mean = true, .place = PLACE_INSIDE, .gamma = CHANNEL,         \
	  .beta = CHANNEL, .tau = CHANNEL, .quotient = TIMES_INVERSE)                              \
	X(frn_product, true, IMAGE, .mean = true, .place = PLACE_INSIDE, .gamma = CHANNEL,         \
	  .beta = CHANNEL, .quotient = PRODUCT_OVER)                                               \
	X(frn_without_limit, true, IMAGE, .mean = true, .place = PLACE_INSIDE, .gamma = CHANNEL)   \
	X(instance_norm, true, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE,        \
	  .gamma = CHANNEL, .beta = CHANNEL)                                                       \
	X(instance_norm_inverse, true, IMAGE, .centred = true, .mean = true,                       \
	  .place = PLACE_INSIDE, .gamma = CHANNEL, .beta = CHANNEL, .quotient = TIMES_INVERSE)     \
	X(instance_norm_quotient, true, IMAGE, .centred = true, .mean = true,                      \
	  .place = PLACE_INSIDE, .gamma = CHANNEL, .beta = CHANNEL, .quotient = TIMES_QUOTIENT)    \
	X(instance_norm_bare, true, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE)   \
	X(instance_norm_scalar, true, IMAGE, .centred = true, .mean = true,                        \
	  .place = PLACE_OUTSIDE, .gamma = ONE_NUMBER, .beta = CHANNEL)                            \
	X(instance_norm_channels_last, true, .image = true, .axes = 6, .centred = true,            \
	  .mean = true, .place = PLACE_INSIDE, .gamma = FEATURES, .beta = FEATURES)                \
	X(unbiased, true, ROW, .centred = true, .mean = true, .unbiased = true,                    \
	  .place = PLACE_OUTSIDE, .gamma = FEATURES, .beta = FEATURES)                             \
	X(unbiased_product, true, ROW, .centred = true, .mean = true, .unbiased = true,            \
	  .place = PLACE_OUTSIDE, .gamma = FEATURES, .beta = FEATURES, .quotient = PRODUCT_OVER)   \
	X(unbiased_instance, true, IMAGE, .centred = true, .mean = true, .unbiased = true,         \
	  .place = PLACE_INSIDE, .gamma = CHANNEL, .beta = CHANNEL)                                \
	X(unbiased_mean, true, ROW, .centred = true, .mean = true, .unbiased = true,               \
	  .place = PLACE_OUTSIDE, .fault = FAULT_MEAN_LESS, .no_centre = true)                     \
	X(gamma_of_each_image, true, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE,  \
	  .gamma = BATCH, .beta = CHANNEL, .no_gamma = true)                                       \
	X(gamma_behind_an_output, true, IMAGE, .centred = true, .mean = true,                      \
	  .place = PLACE_INSIDE, .gamma = CHANNEL, .read_twice = true, .no_gamma = true)           \
	X(mean_of_fewer_axes, true, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE,   \
	  .fault = FAULT_MEAN_AXES, .no_centre = true)                                             \
	X(expanded, true, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES)                 \
	X(expanded_gamma, true, ROW, EXPANDED_NORM, .gamma = FEATURES)                             \
	X(expanded_beta, true, ROW, EXPANDED_NORM, .beta = FEATURES)                               \
	X(expanded_bare, true, ROW, EXPANDED_NORM)                                                 \
	X(expanded_number, true, ROW, EXPANDED_NORM, .gamma = ONE_NUMBER, .beta = ONE_NUMBER)      \
	X(expanded_instance, true, IMAGE, EXPANDED_NORM, .gamma = CHANNEL, .beta = CHANNEL)        \
	X(expanded_channels_last, true, .image = true, .axes = 6, EXPANDED_NORM,                   \
	  .gamma = FEATURES, .beta = FEATURES)                                                     \
	X(expanded_beta_of_images, true, IMAGE, EXPANDED_NORM, .gamma = CHANNEL, .beta = BATCH,    \
	  .no_beta = true)                                                                         \
	X(expanded_outside, true, ROW, .centred = true, .mean = true, .place = PLACE_OUTSIDE,      \
	  .quotient = EXPANDED, .gamma = FEATURES, .beta = FEATURES)                               \
	X(expanded_other_mean, false, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES,     \
	  .fault = FAULT_EXPANDED_MEAN)                                                            \
	X(expanded_other_value, false, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES,    \
	  .fault = FAULT_EXPANDED_VALUE)                                                           \
	X(expanded_other_factor, false, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES,   \
	  .fault = FAULT_EXPANDED_FACTOR)                                                          \
	X(expanded_sum, false, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES,            \
	  .fault = FAULT_EXPANDED_SIGN)                                                            \
	X(expanded_sum_bare, false, ROW, EXPANDED_NORM, .fault = FAULT_EXPANDED_SIGN)              \
	X(expanded_other_centre, true, ROW, EXPANDED_NORM, .gamma = FEATURES, .beta = FEATURES,    \
	  .fault = FAULT_EXPANDED_CENTRE, .no_centre = true, .no_beta = true)                      \
	X(expanded_two_less, false, ROW, EXPANDED_NORM, .gamma = FEATURES,                         \
	  .fault = FAULT_TWO_LESS)                                                                 \
	X(expanded_no_root, false, ROW, EXPANDED_NORM, .gamma = FEATURES, .fault = FAULT_NO_ROOT)  \
	X(cube, false, ROW, .place = PLACE_INSIDE, .fault = FAULT_CUBE)                            \
	X(absolute, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_ABSOLUTE)                     \
	X(no_root, false, ROW, .place = PLACE_OUTSIDE, .fault = FAULT_NO_ROOT)                     \
	X(no_root_scale_norm, false, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,               \
	  .fault = FAULT_NO_ROOT)                                                                  \
	X(epsilon_negative, false, ROW, .place = PLACE_OUTSIDE, .fault = FAULT_EPSILON_NEGATIVE)   \
	X(epsilon_negative_inside, false, IMAGE, .mean = true, .place = PLACE_INSIDE,              \
	  .fault = FAULT_EPSILON_NEGATIVE)                                                         \
	X(epsilon_twice, false, ROW, .place = PLACE_OUTSIDE, .fault = FAULT_EPSILON_TWICE)         \
	X(epsilon_and_floor, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_EPSILON_TWICE)       \
	X(epsilon_varies, false, ROW, .place = PLACE_INSIDE, .fault = FAULT_EPSILON_VARIES)        \
	X(floor_varies, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_EPSILON_VARIES)           \
	X(ceiling, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_CEILING)                       \
	X(ceiling_inside, false, ROW, .place = PLACE_FLOOR_INSIDE, .fault = FAULT_CEILING)         \
	X(floor_inside_in_f64, false, ROW, .wide = true, .place = PLACE_FLOOR_INSIDE)              \
	X(clipped, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_CLIPPED)                       \
	X(two_constants, false, ROW, .place = PLACE_FLOOR, .gamma = FEATURES,                      \
	  .quotient = PRODUCT_QUOTIENT)                                                            \
	X(other_value, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_OTHER_VALUE)               \
	X(other_value_scaled, false, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,               \
	  .quotient = TIMES_QUOTIENT, .fault = FAULT_OTHER_VALUE)                                  \
	X(value_squared, false, ROW, .place = PLACE_FLOOR, .fault = FAULT_SQUARED)                 \
	X(value_squared_inverse, false, ROW, .place = PLACE_FLOOR, .gamma = ONE_NUMBER,            \
	  .quotient = PRODUCT_INVERSE, .fault = FAULT_SQUARED)                                     \
	X(inverted, false, ROW, .place = PLACE_OUTSIDE, .fault = FAULT_INVERTED)                   \
	X(one_more, false, IMAGE, .mean = true, .place = PLACE_INSIDE, .fault = FAULT_COUNT)       \
	X(two_less, false, IMAGE, .mean = true, .place = PLACE_INSIDE, .fault = FAULT_TWO_LESS)    \
	X(count_rounded, false, ROW, .mean = true, .place = PLACE_INSIDE,                          \
	  .fault = FAULT_ROUNDED_COUNT)                                                            \
	X(norms_of_columns, false, .square = true, ROW, .place = PLACE_FLOOR,                      \
	  .fault = FAULT_KEEPDIMS)                                                                 \
	X(root_times_inverse_count, false, ROW, .root_scaled = true, .place = PLACE_OUTSIDE,       \
	  .fault = FAULT_ROOT_SCALE)                                                               \
	X(root_of_another_count, false, ROW, .root_scaled = true, .place = PLACE_FLOOR,            \
	  .fault = FAULT_ROOT_OTHER)                                                               \
	X(epsilon_before_scaling, false, ROW, .root_scaled = true, .fault = FAULT_SCALED_INSIDE)   \
	X(root_of_mean_scaled, false, ROW, .mean = true, .root_scaled = true,                      \
	  .place = PLACE_OUTSIDE)                                                                  \
	X(difference_of_means, false, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE, \
	  .fault = FAULT_DIFFERENCE)                                                               \
	X(opposite_sign, false, IMAGE, .centred = true, .mean = true, .place = PLACE_INSIDE,       \
	  .fault = FAULT_SIGN)

#define X(name, fires, ...)                                                                        \
	static const struct form form_##name = {__VA_ARGS__};                                      \
	static struct node *make_##name(struct graph *g)                                           \
	{                                                                                          \
		return write_form(g, &form_##name);                                                \
	}                                                                                          \
	static void check_##name(const struct graph *g)                                            \
	{                                                                                          \
		expect(g, &form_##name, fires);                                                    \
	}
FORMS(X)
#undef X

/* Recentring off: it may take the mean away again. */
#define X(name, fires, ...) {#name, make_##name, "recognize", fires, "-recentre", check_##name},
static const struct rewrite_case cases[] = {FORMS(X)};
#undef X

int main(void)
{
	return RUN_REWRITE_CASES("recognize_norm", cases) |
	       RUN_ALGEBRA_CASES("recognize_norm", cases);
}
