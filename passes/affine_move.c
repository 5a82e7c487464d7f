/* How affine maps change on their way through operations (affine.h): movement keeps numbers and
 * changes the axis, joins and cuts pick numbers, sums multiply shifts, and what is not linear lets
 * through what commutes with it.
 */
#include "affine.h"
#include "axis.h"
#include "rewrite.h"
#include "value.h"
#include "weights.h"

/* ---- other shapes ---- */

/* The axes of one shape that go together with axes of another: first .. end. */
struct span {
	const struct type *type;
	int32_t first, end;
	int64_t count;
};

static bool span_new(struct span *s)
{
	s->count = 1;
	for (int32_t i = s->first; i < s->end; i++) {
		int64_t extent = fixed_extent(s->type, i);
		if (extent < 1 || __builtin_mul_overflow(s->count, extent, &s->count) ||
		    s->count > MOST_NUMBERS)
			return false;
	}
	return true;
}

static int64_t stride_in(const struct span *s, int32_t axis)
{
	int64_t stride = 1;
	for (int32_t i = axis + 1; i < s->end; i++)
		stride *= fixed_extent(s->type, i);
	return stride;
}

/* Numbers along `axis` of `from`, seen along axis `other` of `to`; false if they vary along yet
 * another. */
static bool see_along(struct graph *g, const struct affine *of, const struct span span[2],
		      int32_t other, struct affine *to)
{
	struct arena *arena = g->context->arena;
	int64_t stride = stride_in(&span[0], of->axis), n = fixed_extent(span[0].type, of->axis);
	int64_t far = stride_in(&span[1], other), m = fixed_extent(span[1].type, other);
	int64_t *index = arena_new(arena, int64_t, (size_t)span[0].count + 1);
	int64_t *all = arena_new(arena, int64_t, (size_t)span[0].count + 1);
	for (int64_t i = 0; i < m; i++)
		index[i] = i * far / stride % n;
	struct affine_pick pick = {{of, NULL}, {n, 0}, index, m};
	*to = affine_picked(g, &pick, other);
	for (int64_t i = 0; i < span[0].count; i++) {
		all[i] = i / stride % n;
		index[i] = i / far % m * far / stride % n;
	}
	struct affine_pick whole[2] = {{{of, NULL}, {n, 0}, all, span[0].count},
				       {{of, NULL}, {n, 0}, index, span[0].count}};
	struct affine spread[2];
	for (int k = 0; k < 2; k++)
		spread[k] = affine_picked(g, &whole[k], 0);
	return affine_agree(g, &spread[0], &spread[1]);
}

/* A map of a value of one shape as that of the same elements in another. */
static bool reshaped(struct graph *g, const struct type *from, const struct type *to,
		     const struct affine *of, struct affine *out)
{
	struct groups_of_axes groups;
	if (!reshape_groups(g->context->dims, from, to, &groups))
		return false;
	for (int32_t i = 0; i < groups.n; i++) {
		const int32_t *a = groups.first[0] + i, *b = groups.first[1] + i;
		struct span span[2] = {{from, a[0], a[1], 1}, {to, b[0], b[1], 1}};
		if (of->axis < a[0] || of->axis >= a[1])
			continue;
		if (a[1] - a[0] == 1 && b[1] - b[0] == 1) {
			out->axis = b[0];
			return true;
		}
		if (!span_new(&span[0]) || !span_new(&span[1]))
			return false;
		for (int32_t other = b[0]; other < b[1]; other++)
			if (see_along(g, of, span, other, out))
				return true;
	}
	return false;
}

/* ---- joins and cuts ---- */

/* First index and number of indices of part k of a concatenation; false if they are not fixed. */
static bool part_of(const struct node *n, uint32_t k, int64_t *first, int64_t *count)
{
	int32_t axis = n->attr.axis->axis;
	*first = *count = 0;
	for (uint32_t i = 0; i <= k; i++) {
		*first += *count;
		*count = fixed_extent(&n->in[i]->type, axis);
		if (*count < 0 || *count > MOST_NUMBERS || *first > MOST_NUMBERS)
			return false;
	}
	return true;
}

static bool join_parts(struct graph *g, const struct node *n, const struct affine *in,
		       struct affine *to)
{
	int32_t axis = n->attr.axis->axis;
	int64_t first, count;
	for (uint32_t k = 0; k < n->n_in; k++) {
		if (!part_of(n, k, &first, &count) || (in[k].axis >= 0 && in[k].axis != axis))
			return false;
		int64_t *index = arena_new(g->context->arena, int64_t, (size_t)(first + count) + 1);
		for (int64_t i = 0; i < first + count; i++)
			index[i] = i;
		struct affine before = *to;
		struct affine_pick pick = {{k ? &before : &in[k], k ? &in[k] : NULL},
					   {k ? first : count, k ? count : 0},
					   index,
					   first + count};
		*to = affine_picked(g, &pick, axis);
	}
	return true;
}

static enum affine_stop concat_forwards(struct graph *g, const struct node *n,
					const struct affine *in, struct affine *to)
{
	bool same = in[0].axis != n->attr.axis->axis;
	*to = in[0];
	for (uint32_t k = 1; k < n->n_in; k++)
		same = same && affine_agree(g, &in[0], &in[k]);
	if (same || join_parts(g, n, in, to))
		return AFFINE_PASSES;
	return AFFINE_NEVER;
}

static enum affine_stop concat_backwards(struct graph *g, const struct node *n,
					 const struct affine *of, uint32_t k, struct affine *to)
{
	int64_t first, count;
	*to = *of;
	if (of->axis != n->attr.axis->axis)
		return AFFINE_PASSES;
	if (!part_of(n, k, &first, &count))
		return AFFINE_NEVER;
	int64_t *index = arena_new(g->context->arena, int64_t, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		index[i] = first + i;
	struct affine_pick pick = {{of, NULL}, {fixed_extent(&n->type, of->axis), 0}, index, count};
	*to = affine_picked(g, &pick, of->axis);
	return AFFINE_PASSES;
}

/* Indices along the cut axis: of the whole for each of the slice, or the other way round; those
 * outside are in the second map, the identity. */
static enum affine_stop slice_map(struct graph *g, const struct node *n, const struct affine *of,
				  bool backwards, struct affine *to)
{
	const struct attr_slice *s = n->attr.slice;
	*to = *of;
	if (of->axis < 0)
		return AFFINE_PASSES;
	int64_t whole = fixed_extent(&n->in[0]->type, of->axis),
		part = fixed_extent(&n->type, of->axis), step = s->step[of->axis];
	if (whole < 0 || part < 0 || !dim_is_const(s->start[of->axis]))
		return AFFINE_NEVER;
	int64_t *index = arena_new(g->context->arena, int64_t, (size_t)(whole + part) + 1);
	for (int64_t i = 0; i < whole; i++)
		index[i] = backwards ? part : 0;
	for (int64_t i = 0; i < part; i++) {
		int64_t at = s->start[of->axis]->value + i * step;
		if (at < 0 || at >= whole)
			return AFFINE_NEVER;
		index[backwards ? at : i] = backwards ? i : at;
	}
	struct affine_pick pick = {
			{of, NULL}, {backwards ? part : whole, 1}, index, backwards ? whole : part};
	*to = affine_picked(g, &pick, of->axis);
	return AFFINE_PASSES;
}

/* ---- sums ---- */

/* Number of elements that the result's are sums of; 0 if it differs or is not known. */
static double terms_of(const struct node *n)
{
	double count = 1;
	if (n->op == OP_reduce_sum) {
		for (int32_t i = 0; i < n->in[0]->type.rank; i++)
			if (n->attr.axes->mask >> i & 1)
				count *= (double)fixed_extent(&n->in[0]->type, i);
		return count > 0 ? count : 0;
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
	*to = affine_with_shift(g, of, backwards ? OP_div : OP_mul, count);
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
		*to = affine_with_shift(g, of, backwards ? OP_div : OP_mul,
					numbers_values(own.s)[0]);
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
		*to = affine_with_shift(g, of, OP_mul, -1);
		return AFFINE_PASSES;
	case OP_slice:
		return slice_map(g, n, of, backwards, to);
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
		return reshaped(g, &n->type, &n->in[0]->type, of, to) ? AFFINE_PASSES
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
		return concat_backwards(g, n, of, k, to);
	case OP_add:
		return AFFINE_PASSES;
	case OP_sub:
		if (k == 1)
			*to = affine_with_shift(g, of, OP_mul, -1);
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
		return reshaped(g, &n->in[0]->type, &n->type, of, to) ? AFFINE_PASSES
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
		shift[1] = affine_with_shift(g, &shift[1], OP_mul, -1);
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

/* Products of two values are left alone, though a scale would pass: gates and activations have their
 * own forms, which other passes and ONNX know. */
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
		return concat_forwards(g, n, in, to);
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
