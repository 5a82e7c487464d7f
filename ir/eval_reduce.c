/* Reductions: sums, products, extremes and their positions.
 *
 * Accumulation is in double (or in 64-bit integers, modulo 2^64), in row-major order of the
 * operand, and rounds once at the end.
 */
#include <math.h>

#include "eval_op.h"

struct fold {
	double (*f)(double sum, double x);
	int64_t (*i)(enum normc_elem elem, int64_t sum, int64_t x);
};

/* Strides of the result as seen from the operand: 0 along reduced dimensions. */
static bool fold_strides(struct eval *e, const struct node *n, const struct tensor *x,
			 const struct tensor *out, int64_t *stride)
{
	uint32_t axes = n->attr.axes->mask;
	strides_of(out, stride);
	for (int32_t k = 0; k < x->rank; k++) {
		bool reduced = axes >> k & 1;
		if (out->dim[k] != (reduced ? 1 : x->dim[k]))
			return eval_fail(e, n, "dimension %d does not fit the operand's", k);
		stride[k] = reduced ? 0 : stride[k];
	}
	return true;
}

/* Folds x into `out`, which holds the result of reducing nothing. */
static bool reduce(struct eval *e, const struct node *n, const struct tensor *x, struct tensor *out,
		   struct fold fold)
{
	int64_t stride[MAX_RANK];
	if (!fold_strides(e, n, x, out, stride))
		return false;
	struct walk w = walk_over(x);
	for (int64_t i = 0; i < x->count; i++, walk_next(&w)) {
		int64_t at = walk_offset(&w, stride);
		if (is_float(x))
			out->f[at] = fold.f(out->f[at], x->f[i]);
		else
			out->i[at] = fold.i(x->elem, out->i[at], x->i[i]);
	}
	return true;
}

static double float_sum(double sum, double x)
{
	return sum + x;
}

static int64_t int_sum(enum normc_elem elem, int64_t sum, int64_t x)
{
	(void)elem;
	return (int64_t)((uint64_t)sum + (uint64_t)x);
}

static double float_product(double product, double x)
{
	return product * x;
}

static int64_t int_product(enum normc_elem elem, int64_t product, int64_t x)
{
	(void)elem;
	return (int64_t)((uint64_t)product * (uint64_t)x);
}

static bool int_less(enum normc_elem elem, int64_t x, int64_t y)
{
	return elem == NORMC_U64 ? (uint64_t)x < (uint64_t)y : x < y;
}

/* NaN wins. */
static double float_greater(double most, double x)
{
	return isnan(most) || most > x ? most : x;
}

static int64_t int_greater(enum normc_elem elem, int64_t most, int64_t x)
{
	return int_less(elem, most, x) ? x : most;
}

static double float_smaller(double least, double x)
{
	return isnan(least) || least < x ? least : x;
}

static int64_t int_smaller(enum normc_elem elem, int64_t least, int64_t x)
{
	return int_less(elem, x, least) ? x : least;
}

EVAL(reduce_sum)
{
	tensor_set(out, 0, 0);
	return reduce(e, n, in[0], out, (struct fold){float_sum, int_sum});
}

EVAL(reduce_prod)
{
	tensor_set(out, 1, 1);
	return reduce(e, n, in[0], out, (struct fold){float_product, int_product});
}

EVAL(reduce_max)
{
	tensor_set(out, -INFINITY, elem_least(out->elem));
	return reduce(e, n, in[0], out, (struct fold){float_greater, int_greater});
}

EVAL(reduce_min)
{
	tensor_set(out, INFINITY, elem_wrap(out->elem, ~elem_least(out->elem))); /* the greatest */
	return reduce(e, n, in[0], out, (struct fold){float_smaller, int_smaller});
}

/* ---- positions ---- */

/* Whether y comes before x in the search: 1 yes, 0 equal, -1 no. NaN comes first. */
static int compare(const struct tensor *t, int64_t x, int64_t y, bool greatest)
{
	int order;
	if (is_float(t)) {
		double a = t->f[x], b = t->f[y];
		if (isnan(a) || isnan(b))
			return (isnan(b) != 0) - (isnan(a) != 0);
		order = (b > a) - (b < a);
	} else {
		order = int_less(t->elem, t->i[x], t->i[y]) - int_less(t->elem, t->i[y], t->i[x]);
	}
	return greatest ? order : -order;
}

static bool arg_extreme(struct eval *e, const struct node *n, const struct tensor *x,
			struct tensor *out, bool greatest)
{
	const struct attr_arg *a = n->attr.arg;
	int64_t extent = x->dim[a->axis], inner = extent_product(x, a->axis + 1, x->rank);
	struct tensor expected = *x;
	expected.dim[a->axis] = 1;
	if (!eval_same_shape(e, n, out, &expected))
		return false;
	if (extent == 0 && out->count)
		return eval_fail(e, n, "no position in an empty dimension");
	for (int64_t i = 0; i < out->count; i++) {
		int64_t first = i / inner * inner * extent + i % inner, best = 0;
		for (int64_t k = 1; k < extent; k++) {
			int order = compare(x, first + best * inner, first + k * inner, greatest);
			if (order > 0 || (order == 0 && a->last))
				best = k;
		}
		out->i[i] = best;
	}
	return true;
}

EVAL(argmax)
{
	return arg_extreme(e, n, in[0], out, true);
}

EVAL(argmin)
{
	return arg_extreme(e, n, in[0], out, false);
}

/* ---- softmax ---- */

EVAL(softmax)
{
	const struct tensor *x = in[0];
	int32_t axis = n->attr.softmax->axis;
	int64_t extent = x->dim[axis], inner = extent_product(x, axis + 1, x->rank);
	if (!eval_same_shape(e, n, out, x))
		return false;
	for (int64_t row = 0; x->count && row < x->count / extent; row++) {
		int64_t first = row / inner * inner * extent + row % inner;
		double most = -INFINITY, sum = 0;
		for (int64_t k = 0; k < extent; k++)
			most = float_greater(most, x->f[first + k * inner]);
		for (int64_t k = 0; k < extent; k++)
			sum += exp(x->f[first + k * inner] - most);
		for (int64_t k = 0; k < extent; k++) {
			double shifted = x->f[first + k * inner] - most;
			out->f[first + k * inner] = n->attr.softmax->log ? shifted - log(sum)
									 : exp(shifted) / sum;
		}
	}
	return true;
}
