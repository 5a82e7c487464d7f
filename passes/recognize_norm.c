/* Norms that are spelt out: a value over its own deviation.
 *
 *	d = x - mean(x)					(or d = x: nothing is subtracted)
 *	s = sqrt(mean(d*d) + epsilon)			(RMS; epsilon also outside the root, as the
 *							least value of the root, or none)
 *	s = sqrt(sum(d*d)), likewise			(L2; times 1/sqrt(n) it is RMS)
 *	y = d / s * gamma + beta			(also d * (1/s), d * (gamma/s), ...;
 *							multiplied out: x*k + (beta - mean(x)*k)
 *							with k = gamma/s)
 *
 * The same axes for both means, the exponent 2, a divisor of the mean that is the number of
 * elements, a scalar constant epsilon that is not negative, parameters that vary only along
 * normalized axes or along the channels.  With these LayerNorm, InstanceNorm and RMSNorm (Zhang and
 * Sennrich 2019) are found, L2 normalization, ScaleNorm (Nguyen and Salazar 2019), and the
 * filter response normalization (Singh and Krishnan 2020) before its threshold.
 */
#include <math.h>
#include <string.h>

#include "eval.h"
#include "recognize.h"
#include "value.h"

/* ---- means and deviations ---- */

/* Number of elements that share a sum over `axes`. */
static const struct dim *set_size(struct dims *dims, const struct node *a, uint32_t axes)
{
	const struct dim *count = dim_const(dims, 1);
	for (int32_t i = 0; i < a->type.rank; i++)
		if (axes >> i & 1)
			count = dim_mul(dims, count, a->type.dim[i]);
	return count;
}

/* Whether n is this extent, converted and repeated. */
static bool is_extent(const struct node *n, const struct dim *extent)
{
	while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_cast)
		n = n->in[0];
	return n->op == OP_dims && n->attr.dims->n == 1 && n->attr.dims->value[0] == extent;
}

/* Whether n, a product or quotient with a constant, multiplies by 1/value as well as it can. */
static bool divides_by(const struct node *n, double value)
{
	double k;
	enum normc_elem elem = n->type.elem;
	if ((n->op != OP_div && n->op != OP_mul) || !splat_of(n->in[1], &k))
		return false;
	return n->op == OP_div ? k == elem_round(elem, value) : k == elem_round(elem, 1 / value);
}

static bool is_sum(const struct node *n, struct node **a, uint32_t *axes)
{
	if (n->op != OP_reduce_sum)
		return false;
	*a = n->in[0];
	*axes = n->attr.axes->mask;
	return *axes != 0;
}

/* n = mean of *a over *axes */
static bool is_mean(struct dims *dims, const struct node *n, struct node **a, uint32_t *axes)
{
	if ((n->op != OP_div && n->op != OP_mul) || !is_sum(unrepeated(n->in[0]), a, axes))
		return false;
	const struct dim *count = set_size(dims, *a, *axes);
	if (dim_is_const(count))
		return count->value > 0 && divides_by(n, (double)count->value);
	return n->op == OP_div && is_extent(n->in[1], count);
}

/* n = *d squared */
static bool is_square(const struct node *n, struct node **d)
{
	double exponent;
	if (n->op != OP_mul && n->op != OP_pow)
		return false;
	*d = n->in[0];
	return n->op == OP_mul ? n->in[0] == n->in[1]
			       : splat_of(n->in[1], &exponent) && exponent == 2;
}

/* n = mean or sum of *d squared */
static bool is_spread(struct dims *dims, const struct node *n, struct node **d,
		      struct attr_norm *attr)
{
	struct node *square;
	attr->scale = NORM_SCALE_RMS;
	if (!is_mean(dims, n, &square, &attr->axes)) {
		attr->scale = NORM_SCALE_L2;
		if (!is_sum(n, &square, &attr->axes))
			return false;
	}
	return is_square(square, d);
}

/* n = root of a spread, which may have an epsilon inside, or a floor: the root of that is the
 * root's. */
static bool is_root(struct dims *dims, const struct node *n, struct node **d,
		    struct attr_norm *attr)
{
	struct node *inside;
	if (n->op != OP_sqrt)
		return false;
	inside = unrepeated(n->in[0]);
	attr->epsilon = 0;
	attr->epsilon_place = NORM_EPSILON_INSIDE;
	if (recognize_with(inside, OP_max, &inside, &attr->epsilon))
		attr->epsilon_place = NORM_EPSILON_FLOOR;
	else
		recognize_with(inside, OP_add, &inside, &attr->epsilon);
	if (!(attr->epsilon >= 0))
		return false;
	if (attr->epsilon_place == NORM_EPSILON_FLOOR)
		attr->epsilon = sqrt(attr->epsilon);
	return is_spread(dims, unrepeated(inside), d, attr);
}

/* The same, and a sum's root divided by the root of its number of terms. */
static bool is_scaled_root(struct dims *dims, const struct node *n, struct node **d,
			   struct attr_norm *attr)
{
	if (is_root(dims, n, d, attr))
		return true;
	if ((n->op != OP_mul && n->op != OP_div) || !is_root(dims, unrepeated(n->in[0]), d, attr) ||
	    attr->scale != NORM_SCALE_L2 || attr->epsilon_place != NORM_EPSILON_INSIDE ||
	    attr->epsilon != 0)
		return false;
	const struct dim *count = set_size(dims, *d, attr->axes);
	attr->scale = NORM_SCALE_RMS;
	return dim_is_const(count) && count->value > 0 && divides_by(n, sqrt((double)count->value));
}

/* n = deviation of *d, with one epsilon or none */
static bool is_deviation(struct dims *dims, const struct node *n, struct node **d,
			 struct attr_norm *attr)
{
	struct node *root;
	double epsilon;
	enum norm_epsilon place = NORM_EPSILON_OUTSIDE;
	memset(attr, 0, sizeof *attr);
	if (is_scaled_root(dims, n, d, attr))
		return true;
	if (recognize_with(n, OP_max, &root, &epsilon))
		place = NORM_EPSILON_FLOOR;
	else if (!recognize_with(n, OP_add, &root, &epsilon))
		return false;
	if (!(epsilon >= 0) || !is_scaled_root(dims, unrepeated(root), d, attr) ||
	    attr->epsilon_place != NORM_EPSILON_INSIDE || attr->epsilon != 0)
		return false;
	attr->epsilon_place = place;
	attr->epsilon = epsilon;
	return true;
}

/* d = x - mean(x) over the same axes: returns x; otherwise d itself. */
static struct node *find_centre(struct dims *dims, struct node *d, struct attr_norm *attr)
{
	struct node *x;
	uint32_t axes;
	attr->centre = NORM_CENTRE_NONE;
	if (d->op != OP_sub || !is_mean(dims, unrepeated(d->in[1]), &x, &axes) || x != d->in[0] ||
	    axes != attr->axes)
		return d;
	attr->centre = NORM_CENTRE_MEAN;
	return x;
}

/* ---- quotients ---- */

/* A product of d, constants and the inverse of d's deviation, taken apart. */
struct quotient {
	struct dims *dims;
	struct attr_norm attr;
	struct node *d;	      /* NULL: not found yet */
	struct node *divisor; /* a quotient by d's deviation; NULL: not found yet */
	struct node *number;  /* the only constant; NULL: none yet */
	bool found;	      /* d is a factor */
};

enum { MOST_NESTING = 3 };

/* The first division by a deviation. */
static bool find_divisor(struct quotient *q, struct node *n, int nesting)
{
	n = unrepeated(n);
	if ((n->op != OP_div && n->op != OP_mul) || !nesting)
		return false;
	if (n->op == OP_div && is_deviation(q->dims, unrepeated(n->in[1]), &q->d, &q->attr)) {
		q->divisor = n;
		return true;
	}
	return find_divisor(q, n->in[0], nesting - 1) ||
	       (n->op == OP_mul && find_divisor(q, n->in[1], nesting - 1));
}

/* Whether n has d and the divisor once each as factors, beside a constant at most. */
static bool take_apart(struct quotient *q, struct node *n, int nesting)
{
	double one;
	if (n == q->d && !q->found) {
		q->found = true;
		return true;
	}
	if (constant_of(n)) {
		if (splat_of(n, &one) && one == 1)
			return true;
		bool first = !q->number;
		q->number = n;
		return first;
	}
	n = unrepeated(n);
	if (!nesting)
		return false;
	if (n == q->divisor) {
		q->divisor = NULL;
		return take_apart(q, n->in[0], nesting - 1);
	}
	return n->op == OP_mul && take_apart(q, n->in[0], nesting - 1) &&
	       take_apart(q, n->in[1], nesting - 1);
}

/* ---- parameters ---- */

struct node *recognize_join(struct graph *g, const struct node *norm, enum op op, struct node *p)
{
	struct attr_norm attr;
	struct norm_operands operands = {.x = norm->in[0]};
	memcpy(&attr, norm->attr.norm, sizeof attr);
	if (attr.beta || attr.centre == NORM_CENTRE_GIVEN || attr.scale == NORM_SCALE_GIVEN ||
	    (op == OP_mul && attr.gamma))
		return NULL;
	operands.gamma = op == OP_mul ? p : attr.gamma ? norm->in[1] : NULL;
	operands.beta = op == OP_mul ? NULL : p;
	attr.gamma = operands.gamma != NULL;
	attr.beta = operands.beta != NULL;
	return build_norm(g, operands, &attr);
}

/* A constant that varies along normalized axes, and one axis of channels at most, which is the
 * second or the last; with the rank of x. */
static struct node *parameter_of(struct node *n, uint32_t axes)
{
	struct node *p = unrepeated(n);
	uint32_t others = 0;
	if (p->op != OP_constant)
		return NULL;
	for (int32_t i = 0; i < p->type.rank; i++)
		if (!(axes >> i & 1) && !dim_is(p->type.dim[i], 1))
			others |= 1u << i;
	bool channels = p->type.rank > 2 && (others == 2 || others == 1u << (p->type.rank - 1));
	return !others || channels ? p : NULL;
}

struct node *recognize_parameter(const struct recognize *r, struct graph *g, const struct node *old,
				 struct node *const *in)
{
	for (uint32_t k = 0; k < 2; k++) {
		if (in[k]->op != OP_norm || r->uses[old->in[k]->id] != 1)
			continue;
		struct node *p = parameter_of(in[1 - k], in[k]->attr.norm->axes);
		struct node *norm = p ? recognize_join(g, in[k], old->op, p) : NULL;
		if (norm)
			return norm;
	}
	return NULL;
}

/* y times a constant, as its gamma if it can be. */
static struct node *times(struct graph *g, struct node *y, struct node *number)
{
	struct node *p = parameter_of(number, y->attr.norm->axes);
	return p ? recognize_join(g, y, OP_mul, p) : build_binary(g, OP_mul, y, number);
}

struct node *recognize_quotient(struct graph *g, const struct node *old, struct node *const *in)
{
	struct quotient q = {.dims = g->context->dims};
	struct node root = *old; /* as it will be with these operands */
	root.in = (struct node **)(uintptr_t)in;
	if (!find_divisor(&q, &root, MOST_NESTING))
		return NULL;
	if (!take_apart(&q, &root, MOST_NESTING) || !q.found || q.divisor)
		return NULL;
	struct node *x = find_centre(q.dims, q.d, &q.attr);
	struct node *y = build_norm(g, (struct norm_operands){.x = x}, &q.attr);
	return q.number ? times(g, y, q.number) : y;
}

/* Whether r = mean(x) * k, of x, its mean and k as they are in d and the other product. */
static bool is_mean_times(struct node *r, const struct node *d, struct node *k)
{
	struct node *mean = unrepeated(d->in[1]);
	r = unrepeated(r);
	if (r->op != OP_mul)
		return false;
	for (int i = 0; i < 2; i++)
		if (unrepeated(r->in[i]) == mean && unrepeated(r->in[1 - i]) == unrepeated(k))
			return true;
	return false;
}

/* p - r with p = x*k, r = mean(x)*k, and k a constant over the deviation of x - mean(x). */
static struct node *recognize_difference(struct graph *g, struct node *p, struct node *r)
{
	for (int i = 0; i < 2 && p->op == OP_mul; i++) {
		struct quotient q = {.dims = g->context->dims, .found = true};
		struct node *x = p->in[i], *k = p->in[1 - i];
		if (!find_divisor(&q, k, MOST_NESTING) || find_centre(q.dims, q.d, &q.attr) != x ||
		    q.attr.centre != NORM_CENTRE_MEAN || !is_mean_times(r, q.d, k) ||
		    !take_apart(&q, k, MOST_NESTING) || q.divisor)
			continue;
		struct node *y = build_norm(g, (struct norm_operands){.x = x}, &q.attr);
		return q.number ? times(g, y, q.number) : y;
	}
	return NULL;
}

struct node *recognize_expanded(struct graph *g, const struct node *old, struct node *const *in)
{
	if (old->op == OP_sub)
		return recognize_difference(g, in[0], in[1]);
	for (int i = 0; i < 2; i++) {
		struct node *rest = unrepeated(in[1 - i]), *beta, *y;
		if (rest->op != OP_sub || !constant_of(rest->in[0]))
			continue;
		y = recognize_difference(g, in[i], rest->in[1]);
		beta = y && y->op == OP_norm ? parameter_of(rest->in[0], y->attr.norm->axes) : NULL;
		if (y)
			return beta ? recognize_join(g, y, OP_add, beta)
				    : build_binary(g, OP_add, y, rest->in[0]);
	}
	return NULL;
}
