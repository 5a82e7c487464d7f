/* Bounds of rounding errors, beside the elements: sums, extremes and layers.  What is sure of them
 * says eval_bound.c. */
#include <math.h>
#include <string.h>

#include "eval_beside.h"

/* Standard deviations of a sum of independent roundings. */
static const double SIGMAS = 8;

double bound_of_sum(double n)
{
	return fmin(n, SIGMAS * sqrt(n)) + 2;
}

/* Partial sums are at most sqrt(n) times the root of the sum of squares. */
double bound_of_terms(double n)
{
	return sqrt(n) * fmin(n, SIGMAS) + 4;
}

double bound_spread(double n, double e1, double e2)
{
	return n <= 16 ? e1 : sqrt(e2);
}

static struct tensor beside_of(struct tensor t)
{
	t.f = t.bound;
	t.elem = NORMC_F64;
	t.bound = NULL;
	return t;
}

/* sum of factor_k(i), by the operation itself on elements that `element` makes. */
typedef double maker(const struct tensor *t, int64_t i, double c);

static struct tensor made(struct eval *e, const struct tensor *t, maker *element, double c)
{
	struct tensor m = beside_new(e, t);
	for (int64_t i = 0; i < t->count; i++)
		m.f[i] = element(t, i, c);
	return m;
}

static double value_of(const struct tensor *t, int64_t i)
{
	return is_float(t) ? t->f[i] : (double)t->i[i];
}

static double make_square(const struct tensor *t, int64_t i, double c)
{
	(void)c;
	return value_of(t, i) * value_of(t, i);
}

/* The operand's error and its share of the roundings, squared. */
static double make_error(const struct tensor *t, int64_t i, double c)
{
	double x = c * value_of(t, i);
	return t->bound[i] * t->bound[i] + x * x;
}

static double make_wide_square(const struct tensor *t, int64_t i, double c)
{
	double x = value_of(t, i);
	(void)c;
	return x * x + t->bound[i] * t->bound[i];
}

static double make_moved(const struct tensor *t, int64_t i, double c)
{
	return value_of(t, i) + c * t->bound[i];
}

static double make_size(const struct tensor *t, int64_t i, double c)
{
	(void)c;
	return fabs(value_of(t, i));
}

static double make_widened(const struct tensor *t, int64_t i, double c)
{
	double size = fabs(value_of(t, i));
	return size + t->bound[i] + c * size;
}

static bool all_zero(const struct tensor *t)
{
	for (int64_t i = 0; i < t->count; i++)
		if (t->bound[i] != 0)
			return false;
	return true;
}

static bool all_whole(const struct tensor *t)
{
	for (int64_t i = 0; i < t->count; i++)
		if (!bound_is_whole(value_of(t, i)))
			return false;
	return true;
}

/* ---- products: matmul, conv ---- */

/* error += operation(x, y), where x and y are made of the operands. */
struct product {
	struct eval *e;
	const struct node *n;
	const struct tensor *const *in;
	struct tensor *error;
	eval_fn *operation;
};

static bool product_add(const struct product *p, maker *x, maker *y, double c)
{
	struct tensor a = made(p->e, p->in[0], x, c), b = made(p->e, p->in[1], y, c);
	struct tensor sum = beside_new(p->e, p->error);
	bool ok = p->operation(p->e, p->n, (const struct tensor *const[]){&a, &b}, &sum);
	for (int64_t i = 0; i < sum.count; i++)
		p->error->f[i] += sum.f[i];
	tensor_give(p->e, &a);
	tensor_give(p->e, &b);
	tensor_give(p->e, &sum);
	return ok;
}

static bool product(struct product *p, struct tensor *out, double terms)
{
	double unit = bound_unit(out->elem), c = unit * bound_of_terms(terms);
	bool left = !all_zero(p->in[0]), right = !all_zero(p->in[1]), ok = true;
	bool whole = !left && !right && all_whole(p->in[0]) && all_whole(p->in[1]);
	if (unit == 0 && !left && !right)
		return true;
	struct tensor error = beside_of(*out);
	p->error = &error;
	if (left || !right)
		ok = product_add(p, make_error, make_square, c);
	if (ok && right)
		ok = product_add(p, left ? make_wide_square : make_square, make_error,
				 left ? 0 : c);
	for (int64_t i = 0; i < out->count; i++) {
		double spread = sqrt(error.f[i]);
		/* at least the sum of the sizes of the terms, if that is the only error */
		bool exact = whole && spread / c * sqrt(terms) * unit <= 1;
		double bound = spread + unit * bound_of_sum(terms) * fabs(value_of(out, i));
		out->bound[i] = exact ? 0 : bound_settle(out, i, bound);
	}
	return ok;
}

BOUND(matmul)
{
	struct product p = {.e = e, .n = n, .in = in, .operation = eval_matmul};
	return product(&p, out, (double)in[0]->dim[in[0]->rank - 1]);
}

BOUND(conv)
{
	struct product p = {.e = e, .n = n, .in = in, .operation = eval_conv};
	return product(&p, out, (double)extent_product(in[1], 1, in[1]->rank));
}

/* ---- sums ---- */

/* Sum of bounds, and roundings of a sum of `terms` terms. */
static bool summed(struct eval *e, const struct node *n, const struct tensor *x, struct tensor *out,
		   double terms)
{
	eval_fn *operation = n->op == OP_pool_sum ? eval_pool_sum : eval_reduce_sum;
	double unit = bound_unit(out->elem);
	bool whole = all_zero(x) && all_whole(x);
	struct tensor errors = beside_of(*x), squares = made(e, x, make_square, 0);
	struct tensor error = beside_of(*out), square = beside_new(e, out);
	bool ok = operation(e, n, (const struct tensor *const[]){&errors}, &error) &&
		  operation(e, n, (const struct tensor *const[]){&squares}, &square);
	for (int64_t i = 0; ok && i < out->count; i++) {
		double rounding = bound_of_terms(terms) * sqrt(square.f[i]) +
				  bound_of_sum(terms) * fabs(value_of(out, i));
		bool exact = unit == 0 || (whole && sqrt(terms * square.f[i]) * unit <= 1);
		out->bound[i] = bound_settle(out, i, error.f[i] + (exact ? 0 : unit * rounding));
	}
	tensor_give(e, &squares);
	tensor_give(e, &square);
	return ok;
}

BOUND(reduce_sum)
{
	double terms = out->count ? (double)in[0]->count / (double)out->count : 0;
	return summed(e, n, in[0], out, terms);
}

BOUND(pool_sum)
{
	double terms = 1;
	for (int32_t k = 0; k < n->attr.pool->spatial; k++)
		terms *= (double)n->attr.pool->kernel[k];
	return summed(e, n, in[0], out, terms);
}

/* Product of |x| + e and of |x|. */
BOUND(reduce_prod)
{
	double c = is_float(out) ? 2 * bound_unit(out->elem) : 0;
	struct tensor wide = made(e, in[0], make_widened, c), size = made(e, in[0], make_size, 0);
	struct tensor most = beside_new(e, out), least = beside_new(e, out);
	bool ok = eval_reduce_prod(e, n, (const struct tensor *const[]){&wide}, &most) &&
		  eval_reduce_prod(e, n, (const struct tensor *const[]){&size}, &least);
	for (int64_t i = 0; ok && i < out->count; i++)
		out->bound[i] = bound_settle(out, i,
					     (most.f[i] - least.f[i]) * (1 + 1e-9) +
							     c * fabs(value_of(out, i)));
	tensor_give(e, &wide);
	tensor_give(e, &size);
	tensor_give(e, &most);
	tensor_give(e, &least);
	return ok;
}

/* ---- extremes ---- */

/* The same extreme of x - e and of x + e. */
static bool extreme(struct eval *e, const struct node *n, const struct tensor *x,
		    struct tensor *out, eval_fn *operation)
{
	struct tensor below = made(e, x, make_moved, -1), above = made(e, x, make_moved, 1);
	struct tensor least = beside_new(e, out), most = beside_new(e, out);
	bool ok = operation(e, n, (const struct tensor *const[]){&below}, &least) &&
		  operation(e, n, (const struct tensor *const[]){&above}, &most);
	for (int64_t i = 0; ok && i < out->count; i++) {
		double at = value_of(out, i);
		bool equal = least.f[i] == most.f[i];
		out->bound[i] = equal ? 0
				      : bound_settle(out, i, fmax(most.f[i] - at, at - least.f[i]));
	}
	tensor_give(e, &below);
	tensor_give(e, &above);
	tensor_give(e, &least);
	tensor_give(e, &most);
	return ok;
}

#define EXTREME(name)                                                                              \
	BOUND(name)                                                                                \
	{                                                                                          \
		return all_zero(in[0]) || extreme(e, n, in[0], out, eval_##name);                  \
	}

EXTREME(reduce_max)
EXTREME(reduce_min)
EXTREME(pool_max)

/* A position is certain if no other element comes near the one that wins. */
static bool position(const struct node *n, const struct tensor *x, struct tensor *out)
{
	int32_t axis = n->attr.arg->axis;
	int64_t extent = x->dim[axis], inner = extent_product(x, axis + 1, x->rank);
	for (int64_t i = 0; i < out->count; i++) {
		int64_t first = i / inner * inner * extent + i % inner;
		int64_t best = first + out->i[i] * inner;
		for (int64_t k = 0; k < extent; k++) {
			int64_t other = first + k * inner;
			double room = x->bound[best] + x->bound[other];
			if (other != best && room > 0 &&
			    !(fabs(value_of(x, best) - value_of(x, other)) > room))
				out->bound[i] = INFINITY;
		}
	}
	return true;
}

BOUND(argmax)
{
	(void)e;
	return position(n, in[0], out);
}

BOUND(argmin)
{
	(void)e;
	return position(n, in[0], out);
}

/* ---- softmax ---- */

struct row {
	const struct tensor *x;
	struct tensor *out;
	int64_t first, step, extent;
	double most, unit;
	double low, sum, high; /* of the exponentials */
};

/* x - max and its bound: the subtraction rounds. */
static double shifted(const struct row *r, int64_t at, double *error)
{
	double x = r->x->f[at];
	*error = r->x->bound[at];
	if (isfinite(x))
		*error += 2 * r->unit * (fabs(x) + fabs(r->most));
	return x - r->most;
}

static void softmax_sums(struct row *r)
{
	r->most = -INFINITY;
	r->low = r->sum = r->high = 0;
	for (int64_t k = 0; k < r->extent; k++)
		r->most = fmax(r->most, r->x->f[r->first + k * r->step]);
	for (int64_t k = 0; k < r->extent; k++) {
		double error, d = shifted(r, r->first + k * r->step, &error);
		r->low += exp(d - error);
		r->sum += exp(d);
		r->high += exp(d + error);
	}
}

static double softmax_bound(const struct row *r, int64_t at, bool log_of)
{
	double error, d = shifted(r, at, &error), value = r->out->f[at];
	double sum = bound_of_sum((double)r->extent) + 16;
	double spread_of_sum = log(r->high) - log(r->low);
	if (!(r->low > 0) || !isfinite(r->high))
		return INFINITY;
	if (log_of)
		return error + spread_of_sum +
		       r->unit * (sum + 8 * fabs(log(r->sum)) + 2 * fabs(value));
	double high = exp(d + error) / r->low, low = exp(d - error) / r->high;
	return fmax(high - value, value - low) + r->unit * sum * high + 1.2e-38;
}

BOUND(softmax)
{
	int32_t axis = n->attr.softmax->axis;
	const struct tensor *x = in[0];
	struct row r = {.x = x, .out = out, .extent = x->dim[axis]};
	(void)e;
	r.unit = bound_unit(out->elem);
	r.step = extent_product(x, axis + 1, x->rank);
	for (int64_t row = 0; x->count && row < x->count / r.extent; row++) {
		r.first = row / r.step * r.step * r.extent + row % r.step;
		softmax_sums(&r);
		for (int64_t k = 0; k < r.extent; k++) {
			int64_t at = r.first + k * r.step;
			out->bound[at] = bound_settle(out, at,
						      softmax_bound(&r, at, n->attr.softmax->log));
		}
	}
	return true;
}
