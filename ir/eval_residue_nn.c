/* Floating-point elements modulo the prime 2^61 - 1: sums, extremes and layers (eval_residue.c).
 *
 * Sums and products go through the operations of the interpreter themselves, on tensors that hold
 * some of the bits of each residue, so that no index arithmetic is written twice.  Products take
 * doubles, in which their sums are exact.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "eval_beside.h"

/* ---- products and sums ---- */

enum { MOST_LIMBS = 4, HALF_BITS = 31 };

/* `bits` bits of each residue, from bit `from` on, as integers. */
static struct tensor bits_of(struct eval *e, const struct tensor *t, int from, int bits)
{
	struct tensor part = beside_new(e, t);
	part.elem = NORMC_I64;
	for (int64_t i = 0; i < t->count; i++)
		part.i[i] = (int64_t)(t->residue[i] >> from & ((UINT64_C(1) << bits) - 1));
	return part;
}

/* out += part * 2^shift */
static void add_shifted(struct tensor *out, const struct tensor *part, int shift)
{
	uint64_t factor = (UINT64_C(1) << shift % 61) % RESIDUE_PRIME;
	for (int64_t i = 0; i < out->count; i++)
		out->residue[i] = residue_sum(
				out->residue[i],
				residue_product((uint64_t)part->i[i] % RESIDUE_PRIME, factor));
}

/* Residues are sums of digit * 2^(bits k), with digits from -2^(bits-1) to 2^(bits-1). */
struct limbs {
	int n, bits;
};

/* So that sums of `terms` products of two digits are exact in a double. */
static struct limbs limbs_for(double terms)
{
	return terms <= 0x1p13 ? (struct limbs){3, 21} : (struct limbs){4, 16};
}

static void split(struct eval *e, const struct tensor *t, struct limbs limbs, struct tensor *part)
{
	int64_t half = INT64_C(1) << (limbs.bits - 1), mask = 2 * half - 1;
	for (int k = 0; k < limbs.n; k++)
		part[k] = beside_new(e, t);
	for (int64_t i = 0; i < t->count; i++) {
		int64_t left = (int64_t)t->residue[i];
		for (int k = 0; k < limbs.n - 1; k++) {
			int64_t digit = ((left + half) & mask) - half;
			part[k].f[i] = (double)digit;
			left = (left - digit) >> limbs.bits;
		}
		part[limbs.n - 1].f[i] = (double)left;
	}
}

/* out += sum * 2^shift, for whole numbers below 2^53. */
static void add_whole(struct tensor *out, const struct tensor *sum, int shift)
{
	uint64_t factor = (UINT64_C(1) << shift % 61) % RESIDUE_PRIME;
	for (int64_t i = 0; i < out->count; i++) {
		int64_t x = (int64_t)sum->f[i];
		uint64_t r = x < 0 ? RESIDUE_PRIME - (uint64_t)-x : (uint64_t)x;
		out->residue[i] = residue_sum(out->residue[i], residue_product(r, factor));
	}
}

/* A bilinear operation, limb by limb. */
static bool product(struct eval *e, const struct node *n, const struct tensor *const *in,
		    struct tensor *out, eval_fn *operation)
{
	struct limbs limbs = limbs_for((double)extent_product(in[1], 0, in[1]->rank) /
				       (double)in[1]->dim[n->op == OP_conv ? 0 : in[1]->rank - 1]);
	struct tensor left[MOST_LIMBS], right[MOST_LIMBS], sum = beside_new(e, out);
	bool ok = true;
	split(e, in[0], limbs, left);
	split(e, in[1], limbs, right);
	for (int k = 0; ok && k < limbs.n * limbs.n; k++) {
		int a = k / limbs.n, b = k % limbs.n;
		ok = operation(e, n, (const struct tensor *const[]){&left[a], &right[b]}, &sum);
		add_whole(out, &sum, (a + b) * limbs.bits);
	}
	for (int k = 0; k < limbs.n; k++) {
		tensor_give(e, &left[k]);
		tensor_give(e, &right[k]);
	}
	tensor_give(e, &sum);
	return ok;
}

/* Integers are as they are. */
RESIDUE(matmul)
{
	return !is_float(out) || product(e, n, in, out, eval_matmul);
}

RESIDUE(conv)
{
	return !is_float(out) || product(e, n, in, out, eval_conv);
}

static bool summed(struct eval *e, const struct node *n, const struct tensor *x, struct tensor *out,
		   eval_fn *operation)
{
	struct tensor sum = beside_new(e, out);
	bool ok = true;
	sum.elem = NORMC_I64;
	for (int half = 0; ok && is_float(out) && half < 2; half++) {
		struct tensor part = bits_of(e, x, half * HALF_BITS, HALF_BITS);
		ok = operation(e, n, (const struct tensor *const[]){&part}, &sum);
		add_shifted(out, &sum, half * HALF_BITS);
		tensor_give(e, &part);
	}
	tensor_give(e, &sum);
	return ok;
}

RESIDUE(reduce_sum)
{
	return summed(e, n, in[0], out, eval_reduce_sum);
}

RESIDUE(pool_sum)
{
	return summed(e, n, in[0], out, eval_pool_sum);
}

RESIDUE(reduce_prod)
{
	int64_t stride[MAX_RANK];
	struct walk w = walk_over(in[0]);
	(void)e;
	strides_of(out, stride);
	for (int32_t k = 0; k < out->rank; k++)
		if (n->attr.axes->mask >> k & 1)
			stride[k] = 0;
	for (int64_t i = 0; is_float(out) && i < out->count; i++)
		out->residue[i] = 1;
	for (int64_t i = 0; is_float(out) && i < in[0]->count; i++, walk_next(&w)) {
		uint64_t *to = &out->residue[walk_offset(&w, stride)];
		*to = residue_product(*to, in[0]->residue[i]);
	}
	return true;
}

/* ---- extremes ---- */

struct ranked {
	double value;
	int64_t index;
};

static int by_value(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;
	if (x->value != y->value)
		return x->value < y->value ? -1 : 1;
	return (x->index > y->index) - (x->index < y->index);
}

/* The residue of the element that wins, by the same extreme of the elements' ranks. */
static bool chosen(struct eval *e, const struct node *n, const struct tensor *x, struct tensor *out,
		   eval_fn *operation)
{
	if (!is_float(x))
		return true;
	struct ranked *order = pool_take(e, (size_t)x->count, sizeof *order);
	struct tensor rank = beside_new(e, x), winner = beside_new(e, out);
	for (int64_t i = 0; i < x->count; i++)
		order[i] = (struct ranked){x->f[i], i};
	if (x->count)
		qsort(order, (size_t)x->count, sizeof *order, by_value);
	rank.elem = winner.elem = NORMC_I64;
	for (int64_t i = 0; i < x->count; i++)
		rank.i[order[i].index] = i;
	bool ok = operation(e, n, (const struct tensor *const[]){&rank}, &winner);
	for (int64_t i = 0; ok && i < out->count; i++) {
		bool some = winner.i[i] >= 0 && winner.i[i] < x->count;
		out->residue[i] = some ? x->residue[order[winner.i[i]].index]
				       : residue_of_real(out->f[i]);
	}
	pool_give(e, order);
	tensor_give(e, &rank);
	tensor_give(e, &winner);
	return ok;
}

#define CHOSEN(name)                                                                               \
	RESIDUE(name)                                                                              \
	{                                                                                          \
		return chosen(e, n, in[0], out, eval_##name);                                      \
	}

CHOSEN(reduce_max)
CHOSEN(reduce_min)
CHOSEN(pool_max)

/* ---- softmax ---- */

/* A row along the axis of a softmax. */
struct row {
	const struct tensor *x;
	int64_t first, step, extent;
	uint64_t less; /* minus its first finite element, so that a shift of all does not matter */
};

static int64_t row_at(const struct row *r, int64_t k)
{
	return r->first + k * r->step;
}

static void find_reference(struct row *r)
{
	r->less = 0;
	for (int64_t k = 0; k < r->extent; k++)
		if (isfinite(r->x->f[row_at(r, k)])) {
			r->less = residue_negative(r->x->residue[row_at(r, k)]);
			return;
		}
}

/* exp is unknown, but of -infinity it is 0. */
static uint64_t exponential(const struct row *r, int64_t k)
{
	int64_t i = row_at(r, k);
	double x = r->x->f[i];
	if (!isfinite(x))
		return x < 0 ? 0 : residue_unknown(OP_exp, r->x->residue[i], 0);
	return residue_unknown(OP_exp, residue_sum(r->x->residue[i], r->less), 0);
}

static void softmax_row(const struct row *r, bool log, struct tensor *out)
{
	uint64_t sum = 0;
	for (int64_t k = 0; k < r->extent; k++)
		sum = residue_sum(sum, exponential(r, k));
	uint64_t part = residue_inverse(sum),
		 less = residue_sum(r->less, residue_negative(residue_unknown(OP_log, sum, 0)));
	for (int64_t k = 0; k < r->extent; k++) {
		int64_t i = row_at(r, k);
		out->residue[i] = log ? residue_sum(r->x->residue[i], less)
				      : residue_product(exponential(r, k), part);
	}
}

RESIDUE(softmax)
{
	int32_t axis = n->attr.softmax->axis;
	const struct tensor *x = in[0];
	struct row r = {.x = x, .extent = x->dim[axis]};
	(void)e;
	r.step = extent_product(x, axis + 1, x->rank);
	for (int64_t row = 0; x->count && row < x->count / r.extent; row++) {
		r.first = row / r.step * r.step * r.extent + row % r.step;
		find_reference(&r);
		softmax_row(&r, n->attr.softmax->log, out);
	}
	return true;
}

/* ---- norm: the algebra of struct attr_norm ---- */

struct pair {
	uint64_t r;
	double x;
};

struct set {
	struct pair sum, deviation;
	uint64_t inverse; /* of the divisor */
};

struct norm_residue {
	const struct attr_norm *attr;
	const struct tensor *x;
	struct norm_given given;
	struct set *sets;
	int64_t n_sets, terms, stride[MAX_RANK];
};

static struct pair given_at(const struct given *g, const struct walk *w, double standard)
{
	if (!g->t)
		return (struct pair){residue_of_real(standard), standard};
	int64_t at = walk_offset(w, g->stride);
	return (struct pair){g->t->residue[at], g->t->f[at]};
}

static void sets_new(struct eval *e, struct norm_residue *m)
{
	m->n_sets = norm_sets(m->x, m->attr->axes, m->stride);
	m->sets = pool_take(e, (size_t)m->n_sets, sizeof *m->sets);
	memset(m->sets, 0, (size_t)m->n_sets * sizeof *m->sets);
	m->terms = m->n_sets ? m->x->count / m->n_sets : 0;
}

static struct pair divided(struct pair a, int64_t n)
{
	uint64_t part = residue_inverse(residue_of_real((double)n));
	return (struct pair){residue_product(a.r, part), a.x / (double)n};
}

/* x - centre */
static struct pair deviation(const struct norm_residue *m, int64_t i, const struct walk *w)
{
	struct pair c = given_at(&m->given.centre, w, 0);
	if (m->attr->centre == NORM_CENTRE_MEAN)
		c = divided(m->sets[walk_offset(w, m->stride)].sum, m->terms);
	return (struct pair){residue_sum(m->x->residue[i], residue_negative(c.r)),
			     m->x->f[i] - c.x};
}

static void deviate(const struct attr_norm *a, struct set *s, struct pair d)
{
	struct pair size = {d.x < 0 ? residue_negative(d.r) : d.r, fabs(d.x)};
	if (a->scale == NORM_SCALE_MAX) {
		s->deviation = size.x > s->deviation.x ? size : s->deviation;
	} else if (a->scale == NORM_SCALE_L1) {
		s->deviation.r = residue_sum(s->deviation.r, size.r);
		s->deviation.x += size.x;
	} else {
		s->deviation.r = residue_sum(s->deviation.r, residue_product(d.r, d.r));
		s->deviation.x += d.x * d.x;
	}
}

/* One over the divisor, as norm_divisor has it. */
static uint64_t inverse_divisor(const struct attr_norm *a, struct pair v)
{
	uint64_t epsilon = residue_of_real(a->epsilon);
	bool root = a->scale != NORM_SCALE_L1 && a->scale != NORM_SCALE_MAX;
	if (a->epsilon_place == NORM_EPSILON_INSIDE) {
		uint64_t sum = residue_sum(v.r, epsilon);
		return residue_inverse(root ? residue_root(sum, v.x + a->epsilon) : sum);
	}
	uint64_t s = root ? residue_root(v.r, v.x) : v.r;
	if (a->epsilon_place == NORM_EPSILON_OUTSIDE)
		return residue_inverse(residue_sum(s, epsilon));
	return residue_inverse((root ? sqrt(v.x) : v.x) < a->epsilon ? epsilon : s);
}

static void measure(struct norm_residue *m)
{
	const struct attr_norm *a = m->attr;
	struct walk w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w)) {
		struct set *s = &m->sets[walk_offset(&w, m->stride)];
		s->sum.r = residue_sum(s->sum.r, m->x->residue[i]);
		s->sum.x += m->x->f[i];
	}
	if (a->scale == NORM_SCALE_NONE || a->scale == NORM_SCALE_GIVEN)
		return;
	w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w))
		deviate(a, &m->sets[walk_offset(&w, m->stride)], deviation(m, i, &w));
	bool averaged = a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L1;
	for (int64_t i = 0; i < m->n_sets; i++) {
		struct set *s = &m->sets[i];
		if (averaged)
			s->deviation = divided(s->deviation, m->terms - (a->unbiased ? 1 : 0));
		s->inverse = inverse_divisor(a, s->deviation);
	}
}

RESIDUE(norm)
{
	struct norm_residue m = {
			.attr = n->attr.norm, .x = in[0], .given = norm_given(n->attr.norm, in)};
	sets_new(e, &m);
	measure(&m);
	struct walk w = walk_over(m.x);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w)) {
		uint64_t y = deviation(&m, i, &w).r;
		if (m.attr->scale == NORM_SCALE_GIVEN)
			y = residue_product(y, inverse_divisor(m.attr,
							       given_at(&m.given.scale, &w, 1)));
		else if (m.attr->scale != NORM_SCALE_NONE)
			y = residue_product(y, m.sets[walk_offset(&w, m.stride)].inverse);
		y = residue_product(y, given_at(&m.given.gamma, &w, 1).r);
		out->residue[i] = residue_sum(y, given_at(&m.given.beta, &w, 0).r);
	}
	pool_give(e, m.sets);
	return true;
}

#define OP(name, ...) [OP_##name] = residue_##name,
static eval_fn *const residue_of[OP_COUNT] = {
#include "ops.def"
};
#undef OP

static bool with_ties(struct eval *e, const struct node *n, const struct tensor *const *in,
		      struct tensor *out)
{
	e->context->tie = e->context->tie || choice_is_close(e, n, in);
	return residue_of[n->op](e, n, in, out);
}

#define OP(name, ...) [OP_##name] = with_ties,
static eval_fn *const noting_ties[OP_COUNT] = {
#include "ops.def"
};
#undef OP

bool eval_residues(const struct graph *g, struct eval_request request, const struct tensor *in,
		   struct tensor *out)
{
	request.mode = EVAL_EXACT;
	return eval_graph_beside(g, request, noting_ties, in, out);
}

bool eval_node_residues(const struct graph *g, const struct node *n, struct eval_request request,
			const struct tensor *in, struct tensor *out)
{
	return eval_node_beside(&(struct eval_node){g, n, in, out}, request, residue_of);
}
