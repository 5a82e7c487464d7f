/* Affine maps in other shapes (affine_shape.h): numbers are picked anew where axes are joined or
 * cut. */
#include "affine_shape.h"

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

bool affine_reshaped(struct graph *g, const struct type *from, const struct type *to,
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
		if (*count < 0 || *count > MOST_NUMBERS - *first)
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

enum affine_stop affine_joined(struct graph *g, const struct node *n, const struct affine *in,
			       struct affine *to)
{
	bool same = in[0].axis != n->attr.axis->axis;
	*to = in[0];
	for (uint32_t k = 1; k < n->n_in; k++)
		same = same && affine_agree(g, &in[0], &in[k]);
	if (same || join_parts(g, n, in, to))
		return AFFINE_PASSES;
	return AFFINE_NEVER;
}

enum affine_stop affine_part(struct graph *g, const struct node *n, const struct affine *of,
			     uint32_t k, struct affine *to)
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
enum affine_stop affine_cut(struct graph *g, const struct node *n, const struct affine *of,
			    bool backwards, struct affine *to)
{
	const struct attr_slice *s = n->attr.slice;
	*to = *of;
	if (of->axis < 0)
		return AFFINE_PASSES;
	int64_t whole = fixed_extent(&n->in[0]->type, of->axis),
		part = fixed_extent(&n->type, of->axis), step = s->step[of->axis];
	if (whole < 0 || whole > MOST_NUMBERS || part < 0 || part > MOST_NUMBERS ||
	    !dim_is_const(s->start[of->axis]))
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
