/* Norms that are spelt out: a value over its own deviation.
 *
 *	d = x - mean(x)					(or d = x: nothing is subtracted)
 *	s = sqrt(mean(d*d) + epsilon)			(RMS; epsilon also outside the root, as the
 *							least value of the root, or none)
 *							the mean also by n - 1 for n
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

#include "affine.h"
#include "eval.h"
#include "recognize.h"
#include "value.h"

/* What is read; `rounded`: a constant was taken for the number that it is the nearest to. */
struct reading {
	struct graph *g;
	bool rounded;
};

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

/* Whether n, a product or quotient with a constant, multiplies by 1/count, or by the root of that,
 * as well as it can. */
static bool divides_by(struct reading *r, const struct node *n, int64_t count, bool root)
{
	struct number k;
	enum normc_elem elem = n->type.elem;
	double value = root ? sqrt((double)count) : (double)count;
	if ((n->op != OP_div && n->op != OP_mul) || !recognize_number(r->g, n->in[1], &k) ||
	    k.value != elem_round(elem, n->op == OP_div ? value : 1 / value))
		return false;
	uint64_t square = root ? residue_product(k.residue, k.residue) : k.residue;
	uint64_t wanted = residue_of_real((double)count);
	r->rounded = r->rounded || square != (n->op == OP_div ? wanted : residue_inverse(wanted));
	return true;
}

static bool is_sum(const struct node *n, struct node **a, uint32_t *axes)
{
	if (n->op != OP_reduce_sum)
		return false;
	*a = n->in[0];
	*axes = n->attr.axes->mask;
	return *axes != 0;
}

/* n = sum of *a over *axes, divided by the number of terms less `less` */
static bool is_mean_less(struct reading *r, const struct node *n, struct node **a, uint32_t *axes,
			 int64_t less)
{
	struct dims *dims = r->g->context->dims;
	if ((n->op != OP_div && n->op != OP_mul) || !is_sum(unrepeated(n->in[0]), a, axes))
		return false;
	const struct dim *count = set_size(dims, *a, *axes);
	count = dim_sub(dims, count, dim_const(dims, less));
	if (dim_is_const(count))
		return count->value > 0 && divides_by(r, n, count->value, false);
	return n->op == OP_div && is_extent(n->in[1], count);
}

static bool is_mean(struct reading *r, const struct node *n, struct node **a, uint32_t *axes)
{
	return is_mean_less(r, n, a, axes, 0);
}

/* n = *d squared */
static bool is_square(struct reading *r, const struct node *n, struct node **d)
{
	struct number exponent;
	if (n->op != OP_mul && n->op != OP_pow)
		return false;
	*d = n->in[0];
	return n->op == OP_mul ? n->in[0] == n->in[1]
			       : recognize_number(r->g, n->in[1], &exponent) &&
						 recognize_is(r->g, exponent, 2);
}

/* n = mean, unbiased mean or sum of *d squared */
static bool is_spread(struct reading *r, const struct node *n, struct node **d,
		      struct attr_norm *attr)
{
	struct node *square;
	attr->scale = NORM_SCALE_RMS;
	attr->unbiased = false;
	if (is_mean(r, n, &square, &attr->axes))
		return is_square(r, square, d);
	attr->unbiased = is_mean_less(r, n, &square, &attr->axes, 1);
	if (attr->unbiased)
		return is_square(r, square, d);
	attr->scale = NORM_SCALE_L2;
	return is_sum(n, &square, &attr->axes) && is_square(r, square, d);
}

/* The epsilon of n = *a + epsilon or max(*a, epsilon); false if it is negative or not there. */
static bool is_plus_epsilon(struct reading *r, const struct node *n, enum op op, struct node **a,
			    double *epsilon)
{
	struct number e;
	struct node *other;
	if (!recognize_with(r->g, n, op, &other, &e) || !(e.value >= 0))
		return false;
	*a = other;
	*epsilon = e.value;
	r->rounded = r->rounded || e.residue != residue_of_real(e.value);
	return true;
}

/* n = root of a spread, which may have an epsilon inside, or a floor: the root of that is the
 * root's, with more digits than f32 has. */
static bool is_root(struct reading *r, const struct node *n, struct node **d,
		    struct attr_norm *attr)
{
	if (n->op != OP_sqrt)
		return false;
	struct node *inside = unrepeated(n->in[0]), *spread = inside;
	attr->epsilon = 0;
	attr->epsilon_place = NORM_EPSILON_INSIDE;
	if (n->type.elem != NORMC_F64 &&
	    is_plus_epsilon(r, inside, OP_max, &spread, &attr->epsilon)) {
		attr->epsilon_place = NORM_EPSILON_FLOOR;
		attr->epsilon = sqrt(attr->epsilon);
		r->rounded = true;
	} else {
		is_plus_epsilon(r, inside, OP_add, &spread, &attr->epsilon);
	}
	return is_spread(r, unrepeated(spread), d, attr);
}

/* The same, and a sum's root divided by the root of its number of terms. */
static bool is_scaled_root(struct reading *r, const struct node *n, struct node **d,
			   struct attr_norm *attr)
{
	if (is_root(r, n, d, attr))
		return true;
	if ((n->op != OP_mul && n->op != OP_div) || !is_root(r, unrepeated(n->in[0]), d, attr) ||
	    attr->scale != NORM_SCALE_L2 || attr->epsilon_place != NORM_EPSILON_INSIDE ||
	    attr->epsilon != 0)
		return false;
	const struct dim *count = set_size(r->g->context->dims, *d, attr->axes);
	attr->scale = NORM_SCALE_RMS;
	return dim_is_const(count) && count->value > 0 && divides_by(r, n, count->value, true);
}

/* n = deviation of *d, with one epsilon or none */
static bool is_deviation(struct reading *r, const struct node *n, struct node **d,
			 struct attr_norm *attr)
{
	struct node *root;
	double epsilon;
	enum norm_epsilon place = NORM_EPSILON_OUTSIDE;
	memset(attr, 0, sizeof *attr);
	r->rounded = false;
	if (is_scaled_root(r, n, d, attr))
		return true;
	if (is_plus_epsilon(r, n, OP_max, &root, &epsilon))
		place = NORM_EPSILON_FLOOR;
	else if (!is_plus_epsilon(r, n, OP_add, &root, &epsilon))
		return false;
	if (!is_scaled_root(r, unrepeated(root), d, attr) ||
	    attr->epsilon_place != NORM_EPSILON_INSIDE || attr->epsilon != 0)
		return false;
	attr->epsilon_place = place;
	attr->epsilon = epsilon;
	return true;
}

/* d = x - mean(x) over the same axes: returns x; otherwise d itself. */
static struct node *find_centre(struct reading *r, struct node *d, struct attr_norm *attr)
{
	struct node *x;
	uint32_t axes;
	attr->centre = NORM_CENTRE_NONE;
	if (d->op != OP_sub || !is_mean(r, unrepeated(d->in[1]), &x, &axes) || x != d->in[0] ||
	    axes != attr->axes)
		return d;
	attr->centre = NORM_CENTRE_MEAN;
	return x;
}

/* ---- quotients ---- */

/* A product of d, constants and the inverse of d's deviation, taken apart. */
struct quotient {
	struct reading reading;
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
	if (n->op == OP_div && is_deviation(&q->reading, unrepeated(n->in[1]), &q->d, &q->attr)) {
		q->divisor = n;
		return true;
	}
	return find_divisor(q, n->in[0], nesting - 1) ||
	       (n->op == OP_mul && find_divisor(q, n->in[1], nesting - 1));
}

/* Whether n has d and the divisor once each as factors, beside a constant at most. */
static bool take_apart(struct quotient *q, struct node *n, int nesting)
{
	struct number one;
	if (n == q->d && !q->found) {
		q->found = true;
		return true;
	}
	if (constant_of(n)) {
		if (recognize_number(q->reading.g, n, &one) && recognize_is(q->reading.g, one, 1))
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

/* Gamma or beta of a norm, unless it is neutral. */
static struct node *own_parameter(const struct node *norm, bool has, uint32_t k, double neutral)
{
	double number;
	if (!has || (splat_of(norm->in[k], &number) && number == neutral))
		return NULL;
	return norm->in[k];
}

struct node *recognize_join(struct graph *g, const struct node *norm, enum op op, struct node *p)
{
	struct attr_norm attr;
	memcpy(&attr, norm->attr.norm, sizeof attr);
	if (attr.centre == NORM_CENTRE_GIVEN || attr.scale == NORM_SCALE_GIVEN)
		return NULL;
	struct node *gamma = own_parameter(norm, attr.gamma, 1, 1);
	struct node *beta = own_parameter(norm, attr.beta, attr.gamma ? 2 : 1, 0);
	if (beta || (op == OP_mul && gamma))
		return NULL;
	gamma = op == OP_mul ? p : gamma;
	beta = op == OP_mul ? NULL : p;
	attr.gamma = gamma != NULL;
	attr.beta = beta != NULL;
	return build_norm(g, (struct norm_operands){norm->in[0], gamma, beta, NULL, NULL}, &attr);
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

struct node *recognize_parameter(struct recognize *r, struct graph *g, const struct node *old,
				 struct node *const *in)
{
	uint32_t k = in[0]->op == OP_norm ? 0 : 1;
	if (in[k]->op != OP_norm || !constant_of(in[1 - k]) || norm_is_given(in[k]))
		return NULL;
	struct node *p = parameter_of(in[1 - k], in[k]->attr.norm->axes);
	if (!p)
		r->missed = "it varies along other axes than the normalized ones and the channels";
	else if (r->uses[old->in[k]->id] != 1)
		r->missed = "the norm before it has other readers";
	else
		return recognize_join(g, in[k], old->op, p);
	return NULL;
}

/* The norm of x, times the constant, as its gamma if it can be. */
static struct node *build_quotient(const struct quotient *q, struct node *x)
{
	struct graph *g = q->reading.g;
	struct node *y = build_norm(g, (struct norm_operands){.x = x}, &q->attr),
		    *number = q->number;
	if (q->reading.rounded)
		recognize_rounded(g);
	if (!number)
		return y;
	struct node *p = parameter_of(number, y->attr.norm->axes);
	return p ? recognize_join(g, y, OP_mul, p) : build_binary(g, OP_mul, y, number);
}

struct node *recognize_quotient(struct recognize *r, struct graph *g, const struct node *old,
				struct node *const *in)
{
	struct quotient q = {.reading = {g, false}};
	struct node root = *old; /* as it will be with these operands */
	root.in = (struct node **)(uintptr_t)in;
	if (!find_divisor(&q, &root, MOST_NESTING))
		return NULL;
	if (!take_apart(&q, &root, MOST_NESTING) || !q.found) {
		r->missed = "what is divided is not the value whose deviation divides it, times "
			    "one "
			    "constant at most";
		return NULL;
	}
	struct node *x = find_centre(&q.reading, q.d, &q.attr);
	return build_quotient(&q, x);
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
		struct quotient q = {.reading = {g, false}, .found = true};
		struct node *x = p->in[i], *k = p->in[1 - i];
		if (!find_divisor(&q, k, MOST_NESTING) ||
		    find_centre(&q.reading, q.d, &q.attr) != x ||
		    q.attr.centre != NORM_CENTRE_MEAN || !is_mean_times(r, q.d, k) ||
		    !take_apart(&q, k, MOST_NESTING))
			continue;
		return build_quotient(&q, x);
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
