/* Types of views, movement and reductions. */
#include <string.h>

#include "infer.h"

static const struct dim *number(struct graph *g, int64_t value)
{
	return dim_const(g->context->dims, value);
}

/* ---- views ---- */

bool shape_reshape(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *from = &n->in[0]->type;
	*type = (struct type){.elem = from->elem, .rank = n->attr.shape->rank};
	memcpy(type->dim, n->attr.shape->dim, sizeof type->dim);
	const struct dim *before = type_count(g->context->dims, from),
			 *after = type_count(g->context->dims, type);
	if (after->kind == DIM_INVALID || infer_same_extent(g, &before, after))
		return true; /* the check of results reports what is too large */
	return infer_fail(g, n, "the elements of operand 0 of type %s do not fill %s",
			  infer_show(g, from).s, infer_show(g, type).s);
}

bool shape_transpose(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *from = &n->in[0]->type;
	uint32_t seen = 0;
	*type = *from;
	for (int32_t i = 0; i < from->rank; i++) {
		int32_t k = n->attr.perm->perm[i];
		if (k < 0 || k >= from->rank || seen >> k & 1)
			return infer_fail(g, n,
					  "dimension %d of the result cannot be dimension %d of "
					  "operand 0 of type %s",
					  i, k, infer_show(g, from).s);
		seen |= 1u << k;
		type->dim[i] = from->dim[k];
	}
	return true;
}

bool shape_broadcast(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *from = &n->in[0]->type;
	*type = (struct type){.elem = from->elem, .rank = n->attr.shape->rank};
	memcpy(type->dim, n->attr.shape->dim, sizeof type->dim);
	bool fits = from->rank == type->rank;
	for (int32_t i = 0; fits && i < type->rank; i++)
		fits = dim_is(from->dim[i], 1) || infer_same_extent(g, &type->dim[i], from->dim[i]);
	return fits || infer_fail(g, n, "operand 0 of type %s does not broadcast to %s",
				  infer_show(g, from).s, infer_show(g, type).s);
}

/* Whether index start + i*step lies in [0, extent) for all i in [0, count), as far as is known. */
static bool slice_fits(const struct dim *start, int64_t step, const struct dim *count,
		       const struct dim *extent)
{
	int64_t last;
	if (!dim_is_const(start) || !dim_is_const(count) || count->value <= 0)
		return true;
	if (__builtin_mul_overflow(count->value - 1, step, &last) ||
	    __builtin_add_overflow(start->value, last, &last) || start->value < 0 || last < 0)
		return false;
	return start->value < extent->high && last < extent->high;
}

bool shape_slice(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_slice *attr = n->attr.slice;
	const struct type *from = &n->in[0]->type;
	*type = *from;
	for (int32_t i = 0; i < from->rank; i++) {
		if (attr->start[i]->kind == DIM_INVALID || attr->step[i] == 0 ||
		    !slice_fits(attr->start[i], attr->step[i], attr->extent[i], from->dim[i]))
			return infer_fail(g, n, "dimension %d leaves operand 0 of type %s", i,
					  infer_show(g, from).s);
		type->dim[i] = attr->extent[i];
	}
	return true;
}

/* ---- movement ---- */

bool shape_concat(struct graph *g, const struct node *n, struct type *type)
{
	int32_t axis = n->attr.axis->axis;
	if (!n->n_in)
		return infer_fail(g, n, "there are no operands");
	if (!infer_axis(g, n, axis) || !infer_same_elements(g, n, 0))
		return false;
	*type = n->in[0]->type;
	for (uint32_t k = 1; k < n->n_in; k++) {
		const struct type *t = &n->in[k]->type;
		if (t->rank != type->rank)
			return infer_mismatch(g, n, 0, k);
		for (int32_t i = 0; i < t->rank; i++)
			if (i != axis && !infer_same_extent(g, &type->dim[i], t->dim[i]))
				return infer_mismatch(g, n, 0, k);
		type->dim[axis] = dim_add(g->context->dims, type->dim[axis], t->dim[axis]);
	}
	return true;
}

bool shape_pad(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_pad *attr = n->attr.pad;
	struct dims *dims = g->context->dims;
	if (n->in[1]->type.rank != 0 || n->in[1]->type.elem != n->in[0]->type.elem)
		return infer_mismatch(g, n, 0, 1);
	*type = n->in[0]->type;
	for (int32_t i = 0; i < type->rank; i++)
		type->dim[i] = dim_add(dims, type->dim[i],
				       dim_add(dims, attr->before[i], attr->after[i]));
	return true;
}

bool shape_gather(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *data = &n->in[0]->type, *index = &n->in[1]->type;
	int32_t axis = n->attr.axis->axis, rank = 0;
	if (!infer_axis(g, n, axis) || !infer_class(g, n, 1, CLASS_INTEGER))
		return false;
	if (data->rank - 1 + index->rank > MAX_RANK)
		return infer_fail(g, n, "the result of %s by %s has more than %d dimensions",
				  infer_show(g, data).s, infer_show(g, index).s, MAX_RANK);
	*type = (struct type){.elem = data->elem};
	for (int32_t i = 0; i < axis; i++)
		type->dim[rank++] = data->dim[i];
	for (int32_t i = 0; i < index->rank; i++)
		type->dim[rank++] = index->dim[i];
	for (int32_t i = axis + 1; i < data->rank; i++)
		type->dim[rank++] = data->dim[i];
	type->rank = rank;
	return true;
}

bool shape_gather_elements(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *data = &n->in[0]->type, *index = &n->in[1]->type;
	int32_t axis = n->attr.axis->axis;
	if (!infer_axis(g, n, axis) || !infer_class(g, n, 1, CLASS_INTEGER))
		return false;
	bool fits = data->rank == index->rank;
	for (int32_t i = 0; fits && i < data->rank; i++)
		fits = i == axis || index->dim[i]->low <= data->dim[i]->high;
	if (!fits)
		return infer_mismatch(g, n, 0, 1);
	*type = *index;
	type->elem = data->elem;
	return true;
}

/* ---- reductions ---- */

bool shape_reduce(struct graph *g, const struct node *n, struct type *type)
{
	uint32_t mask = n->attr.axes->mask;
	bool any = n->op == OP_reduce_max || n->op == OP_reduce_min;
	*type = n->in[0]->type;
	if (!infer_class(g, n, 0, any ? CLASS_ANY : CLASS_NUMBER))
		return false;
	if (mask >> type->rank)
		return infer_fail(g, n, "axes 0x%x are out of range for operand 0 of type %s", mask,
				  infer_show(g, type).s);
	for (int32_t i = 0; i < type->rank; i++)
		if (mask >> i & 1)
			type->dim[i] = number(g, 1);
	return true;
}

bool shape_arg(struct graph *g, const struct node *n, struct type *type)
{
	*type = n->in[0]->type;
	if (!infer_axis(g, n, n->attr.arg->axis))
		return false;
	type->elem = NORMC_I64;
	type->dim[n->attr.arg->axis] = number(g, 1);
	return true;
}
