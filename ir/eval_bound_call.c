/* Bounds of rounding errors of the runtime's functions.
 *
 * Compiled code calls the same function as the interpreter, on elements of the element type; so the
 * reference has rounded its operands too.  Certain operands give a certain result; of uncertain
 * ones something is known for the functions with a rule here.
 */
#include <math.h>
#include <string.h>

#include "eval_beside.h"

/* Writes the bounds of all results. */
typedef void call_rule(const struct node *n, const struct tensor *const *in, struct tensor *out);

/* An element's bound, with the rounding of the reference's own operand. */
static double error_at(const struct tensor *t, int64_t i)
{
	return t->bound[i] + bound_unit(t->elem) * fabs(t->f[i]);
}

/* x / (bias + alpha/size * sum x^2)^beta, the sum over neighbouring channels. */
struct lrn {
	const struct tensor *x;
	int64_t size, inner; /* elements between channels */
	double alpha, beta, bias;
};

static double lrn_bound(const struct lrn *l, int64_t at)
{
	const struct tensor *x = l->x;
	int64_t channel = at / l->inner % x->dim[1], low = channel - (l->size - 1) / 2;
	double sum = 0, error = 0, scale = l->alpha / (double)l->size;
	for (int64_t c = low; c <= channel + l->size / 2; c++) {
		int64_t from = at + (c - channel) * l->inner;
		if (c < 0 || c >= x->dim[1])
			continue;
		double e = error_at(x, from);
		sum += x->f[from] * x->f[from];
		error += 2 * fabs(x->f[from]) * e + e * e;
	}
	double base = l->bias + scale * sum;
	error *= fabs(scale);
	if (!(base - error > 0))
		return INFINITY;
	double divisor = pow(base, l->beta);
	double d = fmax(fabs(pow(base + error, l->beta) - divisor),
			fabs(pow(base - error, l->beta) - divisor));
	if (!(d < divisor))
		return INFINITY;
	return (error_at(x, at) + fabs(x->f[at]) / divisor * d) / (divisor - d);
}

static void call_lrn(const struct node *n, const struct tensor *const *in, struct tensor *out)
{
	const struct attr_call *a = n->attr.call;
	const struct lrn l = {.x = in[0],
			      .size = a->ints[0],
			      .inner = extent_product(in[0], 2, in[0]->rank),
			      .alpha = a->floats[0],
			      .beta = a->floats[1],
			      .bias = a->floats[2]};
	for (int64_t i = 0; i < out->count; i++)
		out->bound[i] = bound_settle(out, i,
					     lrn_bound(&l, i) + 16 * bound_unit(out->elem) *
										fabs(out->f[i]));
}

/* Roots of unity are not above 1, so that each error comes through whole at most.  The transform
 * itself runs in fp64. */
static void call_dft(const struct node *n, const struct tensor *const *in, struct tensor *out)
{
	const struct tensor *x = in[0];
	const int64_t *ints = n->attr.call->ints;
	int32_t axis = (int32_t)ints[0], last = x->rank - 1;
	bool half = ints[1] && ints[2];
	int64_t parts = x->dim[last], inner = extent_product(x, axis + 1, last);
	int64_t given = half ? ints[3] / 2 + 1 : ints[3], extent = x->dim[axis];
	double scale = ints[1] ? 1 / (double)ints[3] : 1;
	for (int64_t at = 0; at < out->count; at++) {
		int64_t i = at / out->dim[last];
		int64_t start = i / inner / out->dim[axis] * extent * inner + i % inner;
		double bound = 0;
		for (int64_t k = 0; k < given && k < extent; k++)
			for (int64_t part = 0; part < parts; part++) {
				int64_t from = (start + k * inner) * parts + part;
				bound += error_at(x, from) + 0x1p-48 * fabs(x->f[from]);
			}
		/* conjugates count again */
		bound = scale * (half ? 2 : 1) * bound +
			2 * bound_unit(out->elem) * fabs(out->f[at]);
		out->bound[at] = bound_settle(out, at, bound);
	}
}

static const struct {
	const char *name;
	call_rule *rule;
} rules[] = {
		{"dft", call_dft},
		{"lrn", call_lrn},
};

static call_rule *find_rule(const char *name)
{
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (!strcmp(rules[i].name, name))
			return rules[i].rule;
	return NULL;
}

static bool is_certain(const struct tensor *t)
{
	for (int64_t i = 0; i < t->count; i++)
		if (t->bound[i] > 0)
			return false;
	return true;
}

static void without_rule(struct tensor *t, bool certain)
{
	double unit = bound_unit(t->elem);
	for (int64_t i = 0; i < t->count; i++) {
		double rounding = is_float(t) ? 2 * unit * fabs(t->f[i]) : 0;
		t->bound[i] = certain ? bound_settle(t, i, rounding) : INFINITY;
	}
}

BOUND(call)
{
	call_rule *rule = find_rule(n->attr.call->name);
	bool certain = true;
	(void)e;
	for (uint32_t k = 0; k < n->n_in; k++)
		certain = certain && is_certain(in[k]);
	if (rule)
		rule(n, in, out);
	for (uint32_t k = 0; !rule && k < n->attr.call->n_out; k++)
		without_rule(&out[k], certain);
	return true;
}
