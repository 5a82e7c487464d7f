/* How affine maps change on their way through operations (affine.h): movement keeps numbers and
 * changes the axis (affine_shape.c), sums multiply shifts, and what is not linear lets through what
 * commutes with it.
 */
#include "affine.h"
#include "affine_shape.h"
#include "axis.h"
#include "value.h"
#include "weights.h"

/* ---- sums ---- */

/* Number of elements that the result's are sums of; 0 if it differs or is not known. */
static double terms_of(const struct node *n)
{
	double count = 1;
	if (n->op == OP_reduce_sum) {
		for (int32_t i = 0; i < n->in[0]->type.rank; i++) {
			int64_t extent = fixed_extent(&n->in[0]->type, i);
			if (n->attr.axes->mask >> i & 1)
				count *= extent > 0 ? (double)extent : 0;
		}
		return count;
	}
	const struct attr_pool *p = n->attr.pool;
	for (int32_t i = 0; i < p->spatial; i++) {
		if (!dim_is(p->before[i], 0) || !dim_is(p->after[i], 0))
			return 0;
		count *= (double)p->kernel[i];
	}
	return count;
}

static struct node *behind_broadcasts(struct node *n)
{
	while (n->op == OP_broadcast)
		n = n->in[0];
	return n;
}

/* Whether `n`, a constant, is how many elements the windows of a sum have, or one over it. */
static bool counts_windows(struct graph *g, const struct node *sum, const struct node *n,
			   bool inverse)
{
	struct type t = {.elem = NORMC_F64, .rank = sum->type.rank};
	for (int32_t i = 0; i < t.rank; i++) {
		t.dim[i] = i < 2 ? dim_const(g->context->dims, 1) : sum->in[0]->type.dim[i];
		if (!dim_is_const(t.dim[i]))
			return false;
	}
	if (type_fixed_count(&t) < 1 || type_fixed_count(&t) > MOST_NUMBERS)
		return false;
	struct node *ones =
			build_reshape(g, numbers_equal(g, type_fixed_count(&t), 1), t.rank, t.dim);
	struct node *counts = weights_now(
			g, build_pool(g, OP_pool_sum, weights_now(g, ones), sum->attr.pool));
	const struct node *c = constant_of(n);
	if (!counts || !type_same_shape(&counts->type, &c->type))
		return false;
	for (int64_t i = 0; i < type_fixed_count(&c->type); i++) {
		double count = constant_at(counts, i), x = constant_at(c, i);
		if (count < 1 || (inverse ? x * count != 1 : x != count))
			return false;
	}
	return true;
}

int affine_average(struct graph *g, const struct node *n)
{
	double all;
	if ((n->op != OP_div && n->op != OP_mul) || !elem_is_float(n->type.elem) ||
	    !constant_of(n->in[1]))
		return 0;
	const struct node *sum = behind_broadcasts(n->in[0]);
	if (sum->op != OP_pool_sum && sum->op != OP_reduce_sum)
		return 0;
	if (splat_of(n->in[1], &all))
		return 1;
	return sum == n->in[0] && sum->op == OP_pool_sum &&
					       counts_windows(g, sum, n->in[1], n->op == OP_mul)
			       ? 2
			       : 0;
}

/* Both ways: forwards the shift is multiplied by the number of terms, backwards divided by it. */
static enum affine_stop sum_map(struct graph *g, const struct node *n, const struct affine *of,
				bool backwards, struct affine *to)
{
	double count = terms_of(n);
	*to = *of;
	if (n->op == OP_reduce_sum ? of->axis >= 0 && (n->attr.axes->mask >> of->axis & 1)
				   : of->axis >= 2)
		return AFFINE_NEVER;
	if (!of->t)
		return AFFINE_PASSES;
	if (backwards && of->counted) {
		to->counted = false;
		return AFFINE_PASSES;
	}
	if (count == 0) {
		to->counted = true;
		return !backwards && n->op == OP_pool_sum ? AFFINE_PASSES : AFFINE_SHIFT;
	}
	*to = affine_with_shift(g, of, backwards ? OP_div : OP_mul, numbers_equal(g, 1, count));
	return AFFINE_PASSES;
}

/* A product with a constant that stays: x*c. */
static enum affine_stop scaled_map(struct graph *g, const struct node *n, const struct affine *of,
				   bool backwards, struct affine *to)
{
	struct affine own;
	uint32_t x;
	*to = *of;
	if (!of->t)
		return AFFINE_PASSES;
	if (affine_average(g, n) == 2) {
		to->counted = backwards;
		return of->counted == backwards ? AFFINE_SHIFT : AFFINE_PASSES;
	}
	if (of->counted || !affine_of(g, n, &x, &own) || own.t || own.axis >= 0)
		return AFFINE_SHIFT;
	if (own.s)
		*to = affine_with_shift(g, of, backwards ? OP_div : OP_mul, own.s);
	return to->t && !numbers_fit(to->t, NORMC_F64) ? AFFINE_SHIFT : AFFINE_PASSES;
}

/* ---- elementwise ---- */

struct node *rectifier_of(const struct node *n, struct node *inner[2])
{
	double zero;
	inner[0] = inner[1] = NULL;
	if (n->op == OP_max && elem_is_float(n->type.elem)) {
		uint32_t x = splat_of(n->in[0], &zero) ? 1 : 0;
		return splat_of(n->in[1 - x], &zero) && zero == 0 ? n->in[x] : NULL;
	}
	if (n->op != OP_where || (n->in[0]->op != OP_lt && n->in[0]->op != OP_le))
		return NULL;
	struct node *compared = n->in[0];
	uint32_t k = splat_of(compared->in[0], &zero) ? 1 : 0;
	if (!splat_of(compared->in[1 - k], &zero) || zero != 0)
		return NULL;
	struct node *x = compared->in[k];
	for (uint32_t i = 1; i <= 2; i++) {
		struct node *product = n->in[i];
		if (n->in[3 - i] != x || product->op != OP_mul)
			continue;
		uint32_t c = constant_of(product->in[0]) ? 0 : 1;
		if (product->in[1 - c] != x || !constant_of(product->in[c]))
			continue;
		inner[0] = compared;
		inner[1] = product;
		return x;
	}
	return NULL;
}

static bool keeps_values(enum normc_elem from, enum normc_elem to)
{
	return from == to || ((from == NORMC_F16 || from == NORMC_BF16) && to == NORMC_F32) ||
	       (to == NORMC_F64 && elem_is_float(from));
}

static bool pads_with_zeros(const struct node *n)
{
	double value;
	return n->attr.pad->mode == PAD_CONSTANT && splat_of(n->in[1], &value) && value == 0;
}

/* Padding repeats elements, or adds zeros, which only a scale keeps. */
static enum affine_stop pad_map(struct graph *g, const struct node *n, const struct affine *of,
				struct affine *to)
{
	*to = *of;
	if (of->axis >= 0 && axis_into(g->context->dims, n, 0, of->axis) < 0)
		return AFFINE_NEVER;
	if (n->attr.pad->mode != PAD_CONSTANT)
		return AFFINE_PASSES;
	if (!pads_with_zeros(n))
		return AFFINE_NEVER;
	return of->t ? AFFINE_SHIFT : AFFINE_PASSES;
}

/* What is the same in both directions, for an operation with one operand that matters. */
static enum affine_stop either_way(struct graph *g, const struct node *n, const struct affine *of,
				   bool backwards, struct affine *to)
{
	*to = *of;
	switch (n->op) {
	case OP_copy:
		return AFFINE_PASSES;
	case OP_cast: /* backwards, the map would be rounded as the narrow type is */
		return !backwards && keeps_values(n->in[0]->type.elem, n->type.elem) ? AFFINE_PASSES
										     : AFFINE_NEVER;
	case OP_neg:
		*to = affine_with_shift(g, of, OP_mul, numbers_equal(g, 1, -1));
		return AFFINE_PASSES;
	case OP_slice:
		return affine_cut(g, n, of, backwards, to);
	case OP_pad:
		return pad_map(g, n, of, to);
	case OP_mul:
	case OP_div:
		return scaled_map(g, n, of, backwards, to);
	case OP_reduce_sum:
	case OP_pool_sum:
		return sum_map(g, n, of, backwards, to);
	case OP_pool_max:
		if (of->axis >= 2)
			return AFFINE_NEVER;
		return affine_is_positive(of) ? AFFINE_PASSES : AFFINE_SIGN;
	case OP_reduce_max:
	case OP_reduce_min:
		if (of->axis >= 0 && (n->attr.axes->mask >> of->axis & 1))
			return AFFINE_NEVER;
		return affine_is_positive(of) ? AFFINE_PASSES : AFFINE_SIGN;
	default:
		return AFFINE_NEVER;
	}
}

static enum affine_stop through_rectifier(const struct affine *of)
{
	if (of->t)
		return AFFINE_SHIFT;
	return affine_is_positive(of) ? AFFINE_PASSES : AFFINE_SIGN;
}

/* ---- backwards ---- */

static enum affine_stop view_backwards(struct graph *g, const struct node *n,
				       const struct affine *of, struct affine *to)
{
	*to = *of;
	if (of->axis < 0)
		return AFFINE_PASSES;
	if (n->op == OP_reshape)
		return affine_reshaped(g, &n->type, &n->in[0]->type, of, to) ? AFFINE_PASSES
									     : AFFINE_NEVER;
	to->axis = axis_into(g->context->dims, n, 0, of->axis);
	return to->axis < 0 ? AFFINE_NEVER : AFFINE_PASSES;
}

enum affine_stop affine_backwards(struct graph *g, const struct node *n, const struct affine *of,
				  uint32_t k, struct affine *to)
{
	struct node *inner[2];
	*to = *of;
	if (of->counted && n->op != OP_pool_sum)
		return AFFINE_SHIFT;
	if (rectifier_of(n, inner))
		return through_rectifier(of);
	switch (n->op) {
	case OP_reshape:
	case OP_transpose:
	case OP_broadcast:
	case OP_gather:
		return view_backwards(g, n, of, to);
	case OP_concat:
		return affine_part(g, n, of, k, to);
	case OP_add:
		return AFFINE_PASSES;
	case OP_sub:
		if (k == 1)
			*to = affine_with_shift(g, of, OP_mul, numbers_equal(g, 1, -1));
		return AFFINE_PASSES;
	case OP_max:
	case OP_min:
		return affine_is_positive(of) ? AFFINE_PASSES : AFFINE_SIGN;
	case OP_where:
		return AFFINE_PASSES;
	default:
		return either_way(g, n, of, true, to);
	}
}

/* ---- forwards ---- */

static enum affine_stop view_forwards(struct graph *g, const struct node *n,
				      const struct affine *of, struct affine *to)
{
	*to = *of;
	if (of->axis < 0)
		return AFFINE_PASSES;
	if (n->op == OP_reshape)
		return affine_reshaped(g, &n->in[0]->type, &n->type, of, to) ? AFFINE_PASSES
									     : AFFINE_NEVER;
	to->axis = axis_out_of(g->context->dims, n, 0, of->axis);
	return to->axis < 0 ? AFFINE_NEVER : AFFINE_PASSES;
}

/* s*x + s*y = s*(x + y); shifts add up. */
static enum affine_stop sum_forwards(struct graph *g, const struct node *n, const struct affine *in,
				     struct affine *to)
{
	struct affine scale[2], shift[2], sum;
	for (int k = 0; k < 2; k++) {
		scale[k] = affine_new(g, in[k].axis, in[k].s, NULL);
		shift[k] = affine_new(g, in[k].axis, NULL, in[k].t);
	}
	if (n->op == OP_sub)
		shift[1] = affine_with_shift(g, &shift[1], OP_mul, numbers_equal(g, 1, -1));
	if (in[0].counted || in[1].counted)
		return AFFINE_SHIFT;
	if (!affine_agree(g, &scale[0], &scale[1]))
		return AFFINE_SCALE;
	if (!affine_chain(g, &shift[0], &shift[1], &sum) || !affine_chain(g, &sum, &scale[0], to))
		return AFFINE_SHIFT;
	return AFFINE_PASSES;
}

/* A choice between values that all have the same map. */
static enum affine_stop choice_forwards(struct graph *g, const struct node *n,
					const struct affine *in, struct affine *to)
{
	uint32_t first = n->op == OP_where ? 1 : 0;
	*to = in[first];
	if (n->op == OP_where && !affine_is_identity(&in[0]))
		return AFFINE_NEVER;
	if (!affine_agree(g, &in[first], &in[first + 1]))
		return AFFINE_NEVER;
	return n->op == OP_where || affine_is_positive(to) ? AFFINE_PASSES : AFFINE_SIGN;
}

static enum affine_stop rectifier_forwards(const struct node *n, const struct node *x,
					   const struct affine *in, struct affine *to)
{
	for (uint32_t k = 0; k < n->n_in; k++)
		if (n->in[k] == x)
			*to = in[k];
	return through_rectifier(to);
}

/* Products of two values are left alone, though a scale would pass: gates and activations have
 * their own forms, which other passes and ONNX know. */
static enum affine_stop quotient_forwards(struct graph *g, const struct node *n,
					  const struct affine *in, struct affine *to)
{
	const struct node *sum = behind_broadcasts(n->in[0]);
	if (n->op == OP_mul && constant_of(n->in[0]))
		return either_way(g, n, &in[1], false, to);
	if (!affine_is_identity(&in[1]))
		return AFFINE_NEVER;
	if (!constant_of(n->in[1]) &&
	    (n->op == OP_mul || (sum->op != OP_reduce_sum && sum->op != OP_pool_sum)))
		return AFFINE_NEVER;
	return either_way(g, n, &in[0], false, to);
}

enum affine_stop affine_forwards(struct graph *g, const struct node *n, const struct affine *in,
				 struct affine *to)
{
	struct node *inner[2], *x = rectifier_of(n, inner);
	for (uint32_t k = 0; k < n->n_in; k++)
		if (in[k].counted && n->op != OP_mul && n->op != OP_div)
			return AFFINE_SHIFT;
	if (x)
		return rectifier_forwards(n, x, in, to);
	switch (n->op) {
	case OP_reshape:
	case OP_transpose:
	case OP_broadcast:
	case OP_gather:
		return view_forwards(g, n, &in[0], to);
	case OP_concat:
		return affine_joined(g, n, in, to);
	case OP_add:
	case OP_sub:
		return sum_forwards(g, n, in, to);
	case OP_max:
	case OP_min:
	case OP_where:
		return choice_forwards(g, n, in, to);
	case OP_mul:
	case OP_div:
		return quotient_forwards(g, n, in, to);
	default:
		return either_way(g, n, &in[0], false, to);
	}
}
