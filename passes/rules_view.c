/* Replacements of rules about views: their attributes compose. */
#include <string.h>

#include "rewrite.h"

struct node *build_reshape_once(struct match *m)
{
	return build_reshape(m->g, m->slot[0], m->root->type.rank, m->root->type.dim);
}

struct node *build_transpose_once(struct match *m)
{
	const int32_t *outer = m->root->attr.perm->perm, *inner = m->root->in[0]->attr.perm->perm;
	int32_t perm[MAX_RANK];
	for (int32_t i = 0; i < m->root->type.rank; i++)
		perm[i] = inner[outer[i]];
	return build_transpose(m->g, m->slot[0], perm);
}

struct node *build_transpose_reshape(struct match *m)
{
	return build_reshape(m->g, m->slot[0], m->root->type.rank, m->root->type.dim);
}

struct node *build_transpose_broadcast(struct match *m)
{
	struct node *a = build_transpose(m->g, m->slot[0], m->root->attr.perm->perm);
	return build_broadcast(m->g, m->simpler(m, a), m->root->type.rank, m->root->type.dim);
}

struct node *build_broadcast_once(struct match *m)
{
	return build_broadcast(m->g, m->slot[0], m->root->type.rank, m->root->type.dim);
}

/* ---- reshapes by groups ---- */

/* Extends the shorter side of the group that starts at i, j until both sides have equal products.
 */
static bool match_group(struct dims *dims, const struct type *const t[2], int32_t *i, int32_t *j)
{
	const struct dim *product[2] = {dim_const(dims, 1), dim_const(dims, 1)};
	int32_t *at[2] = {i, j};
	bool some = false;
	while (!some || product[0] != product[1]) {
		/* the side with the smaller product if that is known, else the one with more to
		 * come */
		int side = 0;
		if (dim_is_const(product[0]) && dim_is_const(product[1]))
			side = product[0]->value > product[1]->value;
		else if (dim_is_const(product[1]) || t[0]->rank - *i < t[1]->rank - *j)
			side = 1;
		if (*at[side] >= t[side]->rank)
			side = 1 - side;
		if (*at[side] >= t[side]->rank)
			return false;
		product[side] = dim_mul(dims, product[side], t[side]->dim[(*at[side])++]);
		some = true;
		if (product[side]->kind == DIM_INVALID)
			return false;
	}
	return true;
}

bool reshape_groups(struct dims *dims, const struct type *from, const struct type *to,
		    struct groups_of_axes *groups)
{
	const struct type *const t[2] = {from, to};
	int32_t i = 0, j = 0;
	*groups = (struct groups_of_axes){0};
	for (int32_t k = 0; k < from->rank; k++)
		if (dim_is(from->dim[k], 0))
			return false;
	while (i < from->rank || j < to->rank) {
		groups->first[0][groups->n] = i;
		groups->first[1][groups->n] = j;
		if (i < from->rank && j < to->rank && from->dim[i] == to->dim[j])
			i++, j++;
		else if (i < from->rank && dim_is(from->dim[i], 1))
			i++;
		else if (j < to->rank && dim_is(to->dim[j], 1))
			j++;
		else if (!match_group(dims, t, &i, &j))
			return false;
		groups->n++;
	}
	groups->first[0][groups->n] = i;
	groups->first[1][groups->n] = j;
	return true;
}

/* Repeating stays possible if each group of dimensions is repeated as a whole, or not at all. */
bool reshape_repeated(struct dims *dims, const struct type *small, const struct type *big,
		      const struct type *to, const struct dim **dim)
{
	struct groups_of_axes groups;
	if (!reshape_groups(dims, big, to, &groups))
		return false;
	for (int32_t k = 0; k < groups.n; k++) {
		int32_t repeated = 0, kept = 0;
		for (int32_t i = groups.first[0][k]; i < groups.first[0][k + 1]; i++)
			if (dim_is(small->dim[i], 1) && !dim_is(big->dim[i], 1))
				repeated++;
			else if (!dim_is(small->dim[i], 1))
				kept++;
		if (repeated && kept)
			return false;
		for (int32_t j = groups.first[1][k]; j < groups.first[1][k + 1]; j++)
			dim[j] = repeated ? dim_const(dims, 1) : to->dim[j];
	}
	return true;
}

struct node *build_reshape_broadcast(struct match *m)
{
	const struct type *to = &m->root->type;
	const struct dim *dim[MAX_RANK];
	if (!reshape_repeated(m->g->context->dims, &m->slot[0]->type, &m->root->in[0]->type, to,
			      dim))
		return NULL;
	struct node *a = build_reshape(m->g, m->slot[0], to->rank, dim);
	return build_broadcast(m->g, m->simpler(m, a), to->rank, to->dim);
}

/* ---- slices ---- */

struct node *build_slice_once(struct match *m)
{
	const struct attr_slice *outer = m->root->attr.slice, *inner = m->root->in[0]->attr.slice;
	struct dims *dims = m->g->context->dims;
	struct attr_slice attr;
	memset(&attr, 0, sizeof attr);
	for (int32_t i = 0; i < m->root->type.rank; i++) {
		const struct dim *skip =
				dim_mul(dims, outer->start[i], dim_const(dims, inner->step[i]));
		attr.start[i] = dim_add(dims, inner->start[i], skip);
		attr.extent[i] = outer->extent[i];
		if (__builtin_mul_overflow(outer->step[i], inner->step[i], &attr.step[i]))
			return NULL;
	}
	return graph_node(m->g, OP_slice, &m->slot[0], 1, (union attr){.slice = &attr});
}

/* A slice along the dimension of a concatenation that lies in one part. */
struct node *build_slice_part(struct match *m)
{
	const struct node *all = m->root->in[0];
	int32_t axis = all->attr.axis->axis;
	struct attr_slice attr;
	memcpy(&attr, m->root->attr.slice, sizeof attr);
	if (!dim_is_const(attr.start[axis]) || !dim_is_const(attr.extent[axis]) ||
	    attr.extent[axis]->value < 1)
		return NULL;
	int64_t first = attr.start[axis]->value,
		last = first + (attr.extent[axis]->value - 1) * attr.step[axis];
	int64_t low = first < last ? first : last, high = first < last ? last : first, at = 0;
	for (uint32_t i = 0; i < all->n_in; i++) {
		const struct dim *extent = all->in[i]->type.dim[axis];
		if (!dim_is_const(extent))
			return NULL;
		if (low >= at && high < at + extent->value) {
			attr.start[axis] = dim_const(m->g->context->dims, first - at);
			return graph_node(m->g, OP_slice, &all->in[i], 1,
					  (union attr){.slice = &attr});
		}
		at += extent->value;
	}
	return NULL;
}

struct node *build_slice_broadcast(struct match *m)
{
	struct dims *dims = m->g->context->dims;
	const struct node *b = m->root->in[0];
	struct attr_slice attr;
	memcpy(&attr, m->root->attr.slice, sizeof attr);
	for (int32_t i = 0; i < b->type.rank; i++) {
		if (!dim_is(m->slot[0]->type.dim[i], 1) || dim_is(b->type.dim[i], 1))
			continue;
		attr.start[i] = dim_const(dims, 0);
		attr.extent[i] = dim_const(dims, 1);
		attr.step[i] = 1;
	}
	struct node *a = graph_node(m->g, OP_slice, &m->slot[0], 1, (union attr){.slice = &attr});
	return build_broadcast(m->g, m->simpler(m, a), m->root->type.rank, m->root->type.dim);
}
