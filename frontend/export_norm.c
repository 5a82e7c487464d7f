/* Normalization layers: as the operator that says the same, else in arithmetic.
 *
 * LayerNormalization, RMSNormalization, InstanceNormalization and BatchNormalization cover a part
 * of the norm algebra each.  Parameters that an operator does not take in their shape follow as a
 * product and a sum.
 */
#include <string.h>

#include "export_state.h"

enum { MOST_ONES = 1 << 16 }; /* elements of a parameter that is only there to be neutral */

struct layer {
	const struct attr_norm *attr;
	const struct type *type; /* of x */
	/* NULL where there is none, or after it was written */
	const struct node *gamma, *beta, *mean, *variance;
	int32_t first; /* normalized are the axes from here to the last; -1: others */
};

static struct layer layer_of(const struct export *e)
{
	struct layer l = {.attr = e->node->attr.norm, .type = &e->plan->in[0]->type, .first = -1};
	uint32_t k = 1, all = l.type->rank < 32 ? (1u << l.type->rank) - 1 : 0;
	l.gamma = l.attr->gamma ? e->plan->in[k++] : NULL;
	l.beta = l.attr->beta ? e->plan->in[k++] : NULL;
	l.mean = l.attr->centre == NORM_CENTRE_GIVEN ? e->plan->in[k++] : NULL;
	l.variance = l.attr->scale == NORM_SCALE_GIVEN ? e->plan->in[k++] : NULL;
	for (int32_t i = 0; i < l.type->rank; i++)
		if (l.attr->axes && l.attr->axes == (all & ~((1u << i) - 1)))
			l.first = i;
	return l;
}

/* ---- parameters ---- */

/* Fixed extents [from, to) of x; false if one is unknown, or if there are too many elements. */
static bool extents_of(const struct layer *l, int32_t from, int32_t to, int64_t *dim)
{
	int64_t count = 1;
	for (int32_t i = from; i < to; i++) {
		const struct dim *d = l->type->dim[i];
		if (!dim_is_const(d) || d->value > MOST_ONES)
			return false;
		dim[i - from] = d->value;
		count *= d->value ? d->value : 1;
		if (count > MOST_ONES)
			return false;
	}
	return true;
}

/* Whether p varies over all of the dimensions [from, to) and over no other. */
static bool spans(const struct layer *l, const struct node *p, int32_t from, int32_t to)
{
	for (int32_t i = 0; i < l->type->rank; i++) {
		bool inside = i >= from && i < to;
		if (inside ? p->type.dim[i] != l->type->dim[i] : !dim_is(p->type.dim[i], 1))
			return false;
	}
	return true;
}

/* Whether p (NULL: `neutral`) can be written as a tensor of the dimensions [from, to) alone. */
static bool takes(struct export *e, const struct layer *l, const struct node *p, int32_t from,
		  int32_t to)
{
	int64_t dim[MAX_RANK];
	double number;
	if (p && spans(l, p, from, to))
		return true;
	return (!p || export_splat(e, p, &number)) && extents_of(l, from, to, dim);
}

/* It, after takes() agreed. */
static const char *parameter(struct export *e, const struct layer *l, const struct node *p,
			     const int32_t range[2], double neutral)
{
	int64_t dim[MAX_RANK];
	struct type type = {.elem = l->type->elem, .rank = range[1] - range[0]};
	if (!p || !spans(l, p, range[0], range[1])) {
		extents_of(l, range[0], range[1], dim);
		if (p)
			export_splat(e, p, &neutral);
		return export_fill(e, type.elem, type.rank, dim, neutral);
	}
	memcpy(type.dim, &l->type->dim[range[0]], (size_t)type.rank * sizeof *type.dim);
	if (p->op == OP_constant && export_fixed(&type, dim))
		return export_constant_as(e, p, type.rank, dim);
	return export_reshaped(e, export_value(e, p), &p->type, &type);
}

/* What the operator did not take. */
static const char *then_affine(struct export *e, const struct layer *l, const char *value)
{
	if (l->gamma)
		value = EMIT(e, "Mul", value, export_value(e, l->gamma));
	if (l->beta)
		value = EMIT(e, "Add", value, export_value(e, l->beta));
	return value;
}

/* ---- operators ---- */

/* The function of the model that stands in for an operator that the cap excludes; NULL if that
 * excludes functions, too. */
static const char *stand_in(struct export *e, struct layer *l)
{
	enum normc_elem elem = l->type->elem;
	const char *in[3] = {export_in(e, 0)};
	bool centred = l->attr->centre == NORM_CENTRE_MEAN;
	if (!export_allows(e, EXPORT_OPSET_FUNCTIONS))
		return NULL;
	in[1] = l->gamma ? export_value(e, l->gamma) : export_number(e, elem, 1);
	l->gamma = NULL;
	if (centred) {
		in[2] = l->beta ? export_value(e, l->beta) : export_number(e, elem, 0);
		l->beta = NULL;
	}
	return then_affine(e, l, export_norm_call(e, l->attr, l->type->rank, in));
}

/* LayerNormalization or RMSNormalization; NULL if it does not say it. */
static const char *trailing(struct export *e, struct layer *l)
{
	bool centred = l->attr->centre == NORM_CENTRE_MEAN;
	int32_t range[2] = {l->first, l->type->rank};
	enum normc_elem elem = l->type->elem;
	const char *x, *gamma, *beta = NULL;
	if (l->first < 0 || elem == NORMC_F64) /* whose statistics would be kept in f32 */
		return NULL;
	bool fits = l->gamma && takes(e, l, l->gamma, range[0], range[1]);
	if (!fits && !takes(e, l, NULL, range[0], range[1]))
		return NULL;
	if (!export_allows(e, centred ? 17 : 23))
		return stand_in(e, l);
	x = export_in(e, 0);
	gamma = parameter(e, l, fits ? l->gamma : NULL, range, 1);
	l->gamma = fits ? NULL : l->gamma;
	if (centred && !l->gamma && l->beta && takes(e, l, l->beta, range[0], range[1])) {
		beta = parameter(e, l, l->beta, range, 0);
		l->beta = NULL;
	}
	Onnx__NodeProto *n = export_begin(e, centred ? "LayerNormalization" : "RMSNormalization");
	export_operand(e, n, x);
	export_operand(e, n, gamma);
	if (beta)
		export_operand(e, n, beta);
	export_int(e, n, "axis", l->first);
	export_float(e, n, "epsilon", l->attr->epsilon);
	return then_affine(e, l, export_result(e, n));
}

/* Whether a norm of all but the first two axes is better written as LayerNormalization. */
static bool is_layer(struct export *e, const struct layer *l)
{
	int32_t rank = l->type->rank;
	return rank < 4 || l->type->elem != NORMC_F32 ||
	       (l->gamma && takes(e, l, l->gamma, 2, rank));
}

/* InstanceNormalization: statistics for each image and channel, parameters for each channel; those
 * of other shapes, such as groups of channels have them, follow. */
static const char *instance(struct export *e, struct layer *l)
{
	const int32_t range[2] = {1, 2};
	if (l->first != 2 || l->attr->centre != NORM_CENTRE_MEAN)
		return NULL;
	bool fits = takes(e, l, l->gamma, 1, 2) && takes(e, l, l->beta, 1, 2);
	bool bare = !l->gamma && !l->beta;
	if (((bare || !fits) && is_layer(e, l)) || (!fits && !takes(e, l, NULL, 1, 2)))
		return NULL;
	const char *x = export_in(e, 0);
	const char *gamma = parameter(e, l, fits ? l->gamma : NULL, range, 1);
	const char *beta = parameter(e, l, fits ? l->beta : NULL, range, 0);
	Onnx__NodeProto *n = export_begin(e, "InstanceNormalization");
	export_operand(e, n, x);
	export_operand(e, n, gamma);
	export_operand(e, n, beta);
	export_float(e, n, "epsilon", l->attr->epsilon);
	const char *value = export_result(e, n);
	return fits ? value : then_affine(e, l, value);
}

/* BatchNormalization: everything is given for each channel. */
static const char *batch(struct export *e, struct layer *l)
{
	const int32_t range[2] = {1, 2};
	const struct node *p[4] = {l->gamma, l->beta, l->mean, l->variance};
	const char *value[4], *x = export_in(e, 0);
	if (l->attr->centre != NORM_CENTRE_GIVEN || l->attr->scale != NORM_SCALE_GIVEN ||
	    l->type->rank < 2)
		return NULL;
	for (int i = 0; i < 4; i++)
		if (!takes(e, l, p[i], 1, 2))
			return NULL;
	for (int i = 0; i < 4; i++)
		value[i] = parameter(e, l, p[i], range, i == 0 || i == 3);
	Onnx__NodeProto *n = export_begin(e, "BatchNormalization");
	export_operand(e, n, x);
	for (int i = 0; i < 4; i++)
		export_operand(e, n, value[i]);
	export_float(e, n, "epsilon", l->attr->epsilon);
	return export_result(e, n);
}

/* ---- arithmetic ---- */

/* Whether ReduceL2 gives the divisor with its root. */
static bool is_l2(const struct attr_norm *a)
{
	return a->scale == NORM_SCALE_L2 &&
	       (a->epsilon_place != NORM_EPSILON_INSIDE || a->epsilon == 0);
}

/* The divisor before its root and epsilon: d is x - c. */
static const char *deviation(struct export *e, const struct layer *l, const char *d,
			     const char *variance)
{
	const struct attr_norm *a = l->attr;
	bool mean = (a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L1) && !a->unbiased;
	if (a->scale == NORM_SCALE_GIVEN)
		return variance;
	if (is_l2(a))
		return export_reduced(e, "ReduceL2", d, a->axes);
	bool squares = a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L2;
	const char *size = squares ? EMIT(e, "Mul", d, d) : EMIT(e, "Abs", d);
	const char *sum = export_reduced(e,
					 a->scale == NORM_SCALE_MAX ? "ReduceMax"
					 : mean			    ? "ReduceMean"
								    : "ReduceSum",
					 size, a->axes);
	if (!a->unbiased || a->scale == NORM_SCALE_MAX || a->scale == NORM_SCALE_L2)
		return sum;
	struct dims *dims = e->context->dims;
	const struct dim *count = dim_const(dims, 1);
	for (int32_t i = 0; i < l->type->rank; i++)
		if (a->axes >> i & 1)
			count = dim_mul(dims, count, l->type->dim[i]);
	count = dim_sub(dims, count, dim_const(dims, 1));
	enum normc_elem elem = l->type->elem == NORMC_F64 ? NORMC_F64 : NORMC_F32;
	return EMIT(e, "Div", sum, export_converted(e, export_extent(e, count), elem));
}

/* The divisor; L1 and MAX have no root for an epsilon to be inside of, so it is added. */
static const char *divisor(struct export *e, const struct attr_norm *a, const char *s,
			   const char *epsilon)
{
	bool root = a->scale != NORM_SCALE_L1 && a->scale != NORM_SCALE_MAX && !is_l2(a);
	if (a->epsilon_place == NORM_EPSILON_INSIDE) {
		s = a->epsilon == 0 ? s : EMIT(e, "Add", s, epsilon);
		return root ? EMIT(e, "Sqrt", s) : s;
	}
	s = root ? EMIT(e, "Sqrt", s) : s;
	if (a->epsilon == 0)
		return s;
	return EMIT(e, a->epsilon_place == NORM_EPSILON_OUTSIDE ? "Add" : "Max", s, epsilon);
}

/* A parameter in the type that is computed in. */
static const char *wide(struct export *e, const struct node *p, enum normc_elem elem)
{
	const char *value = export_value(e, p);
	return p->type.elem == elem ? value : export_converted(e, value, elem);
}

static const char *arithmetic(struct export *e, const struct layer *l)
{
	const struct attr_norm *a = l->attr;
	enum normc_elem elem = l->type->elem, work = elem == NORMC_F64 ? elem : NORMC_F32;
	const char *x = wide(e, e->plan->in[0], work), *variance = NULL;
	if (a->centre == NORM_CENTRE_MEAN)
		x = EMIT(e, "Sub", x, export_reduced(e, "ReduceMean", x, a->axes));
	else if (l->mean)
		x = EMIT(e, "Sub", x, wide(e, l->mean, work));
	if (l->variance)
		variance = wide(e, l->variance, work);
	if (a->scale != NORM_SCALE_NONE) {
		const char *s = deviation(e, l, x, variance);
		const char *epsilon = export_number(e, work, a->epsilon);
		x = EMIT(e, "Div", x, divisor(e, a, s, epsilon));
	}
	if (l->gamma)
		x = EMIT(e, "Mul", x, wide(e, l->gamma, work));
	if (l->beta)
		x = EMIT(e, "Add", x, wide(e, l->beta, work));
	return elem == work ? x : export_converted(e, x, elem);
}

/* LpNormalization gives 0 where all is 0, as a floor does that no root of normal numbers is below.
 */
static const char *unit(struct export *e, const struct layer *l)
{
	const struct attr_norm *a = l->attr;
	const char *x = export_in(e, 0);
	uint32_t axis = 0;
	while (axis < MAX_RANK && a->axes != 1u << axis)
		axis++;
	if (a->centre != NORM_CENTRE_NONE || a->scale != NORM_SCALE_L2 || axis == MAX_RANK ||
	    a->epsilon_place != NORM_EPSILON_FLOOR || a->epsilon != NORM_LP_FLOOR ||
	    (l->type->elem == NORMC_BF16 && !export_allows(e, 22)))
		return NULL;
	Onnx__NodeProto *n = export_begin(e, "LpNormalization");
	export_operand(e, n, x);
	export_int(e, n, "axis", axis);
	export_int(e, n, "p", 2);
	return then_affine(e, l, export_result(e, n));
}

const char *export_norm(struct export *e)
{
	struct layer l = layer_of(e);
	const struct attr_norm *a = l.attr;
	const char *value = unit(e, &l);
	if (a->epsilon_place == NORM_EPSILON_INSIDE && !a->unbiased) {
		if (a->scale == NORM_SCALE_RMS)
			value = instance(e, &l);
		if (!value && a->scale == NORM_SCALE_RMS && a->centre != NORM_CENTRE_GIVEN)
			value = trailing(e, &l);
		if (!value)
			value = batch(e, &l);
	}
	return value ? value : arithmetic(e, &l);
}
