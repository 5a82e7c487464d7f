/* See axis.h. */
#include "axis.h"

#include "value.h"

/* Element order stays, so an axis is the same one if extent and stride agree. */
static int32_t axis_before_reshape(struct dims *dims, const struct node *n, int32_t axis)
{
	const struct dim *from[MAX_RANK], *to[MAX_RANK];
	const struct type *in = &n->in[0]->type;
	if (dim_is(n->type.dim[axis], 1))
		return -1;
	type_strides(dims, in, from);
	type_strides(dims, &n->type, to);
	for (int32_t i = 0; i < in->rank; i++)
		if (in->dim[i] == n->type.dim[axis] && from[i] == to[axis])
			return i;
	return -1;
}

static bool slice_keeps(const struct node *n, int32_t axis)
{
	const struct attr_slice *s = n->attr.slice;
	return s->step[axis] == 1 && dim_is(s->start[axis], 0) &&
	       n->type.dim[axis] == n->in[0]->type.dim[axis];
}

static int32_t axis_of_data(const struct node *n, int32_t axis)
{
	int32_t at = n->attr.axis->axis, extra = n->in[1]->type.rank;
	if (axis < at)
		return axis;
	return axis >= at + extra ? axis - extra + 1 : -1;
}

/* Columns of a product come from its right operand, rows from its left, channels of a convolution
 * from the first dimension of its weights. */
static int32_t axis_of_product(const struct node *n, uint32_t k, int32_t axis)
{
	if (n->op == OP_conv)
		return k == 1 && axis == 1 && n->attr.conv->groups == 1 ? 0 : -1;
	return axis == n->type.rank - (k == 1 ? 1 : 2) ? axis : -1;
}

static int32_t axis_of_kind(const struct node *n, uint32_t k, int32_t axis)
{
	switch (op_info[n->op].kind) {
	case KIND_map:
	case KIND_softmax:
	case KIND_norm: /* its parameters have the operand's dimensions */
		return axis;
	case KIND_reduce: /* argmax and argmin aside */
		if (n->op == OP_argmax || n->op == OP_argmin)
			return -1;
		return n->attr.axes->mask >> axis & 1 ? -1 : axis;
	case KIND_window:
		return axis < 2 ? axis : -1;
	case KIND_contract:
	case KIND_conv:
		return axis_of_product(n, k, axis);
	default:
		return -1;
	}
}

int32_t axis_into(struct dims *dims, const struct node *n, uint32_t k, int32_t axis)
{
	if (axis < 0 || axis >= n->type.rank)
		return -1;
	switch (n->op) {
	case OP_reshape:
		return axis_before_reshape(dims, n, axis);
	case OP_transpose:
		return n->attr.perm->perm[axis];
	case OP_broadcast:
		return n->in[0]->type.dim[axis] == n->type.dim[axis] ? axis : -1;
	case OP_slice:
		return slice_keeps(n, axis) ? axis : -1;
	case OP_concat:
		return axis == n->attr.axis->axis ? -1 : axis;
	case OP_pad:
		return k == 0 && dim_is(n->attr.pad->before[axis], 0) &&
						       dim_is(n->attr.pad->after[axis], 0)
				       ? axis
				       : -1;
	case OP_gather:
		return k == 0 ? axis_of_data(n, axis) : -1;
	default:
		return axis_of_kind(n, k, axis);
	}
}

int32_t axis_out_of(struct dims *dims, const struct node *n, uint32_t k, int32_t axis)
{
	for (int32_t i = 0; i < n->type.rank; i++)
		if (axis_into(dims, n, k, i) == axis)
			return i;
	return -1;
}

bool uniform_along(const struct node *n, int32_t axis)
{
	while (n->op == OP_broadcast) {
		n = n->in[0];
		if (dim_is(n->type.dim[axis], 1))
			return true;
	}
	return dim_is(n->type.dim[axis], 1);
}

/* Casts that round are linear in name only: narrow types saturate, or lose what is left of a
 * number when its mean is taken away. */
static bool keeps_values(enum normc_elem from, enum normc_elem to)
{
	bool wide = to == NORMC_F32 || to == NORMC_F64;
	bool known = from == NORMC_F16 || from == NORMC_BF16 || from == NORMC_F32;
	return from == to || (wide && known);
}

static uint32_t linear_map(const struct node *n, int32_t axis)
{
	switch (n->op) {
	case OP_add:
	case OP_sub:
		return 3;
	case OP_neg:
		return 1;
	case OP_cast:
		return keeps_values(n->in[0]->type.elem, n->type.elem);
	case OP_mul:
		if (uniform_along(n->in[1], axis))
			return 1;
		return uniform_along(n->in[0], axis) ? 2 : 0;
	case OP_div:
		return uniform_along(n->in[1], axis) ? 1 : 0;
	case OP_where:
		return uniform_along(n->in[0], axis) ? 6 : 0;
	default:
		return 0;
	}
}

/* Padding puts in the same value for all indices along the axis: its mean is itself, and must be
 * none. */
static bool pads_zero(const struct node *n)
{
	double value;
	return n->attr.pad->mode != PAD_CONSTANT || (splat_of(n->in[1], &value) && value == 0);
}

uint32_t linear_operands(struct dims *dims, const struct node *n, int32_t axis)
{
	uint32_t mask = 0;
	if (!elem_is_float(n->type.elem))
		return 0;
	switch (n->op) {
	case OP_concat:
		for (uint32_t k = 0; k < n->n_in; k++)
			mask |= k < MOST_OPERANDS ? 1u << k : 0;
		mask = n->n_in <= MOST_OPERANDS ? mask : 0;
		break;
	case OP_pad:
		mask = pads_zero(n);
		break;
	case OP_matmul:
		mask = axis == n->type.rank - 1 ? 2 : 1;
		break;
	case OP_conv:
		mask = 2;
		break;
	case OP_reshape:
	case OP_transpose:
	case OP_broadcast:
	case OP_slice:
	case OP_copy:
	case OP_gather:
	case OP_reduce_sum:
	case OP_pool_sum:
		mask = 1;
		break;
	default:
		mask = linear_map(n, axis);
	}
	for (uint32_t k = 0; k < n->n_in; k++)
		if (has_operand(mask, k) && axis_into(dims, n, k, axis) < 0)
			return 0;
	return mask;
}

struct readers readers_of(const struct graph *g, struct arena *arena)
{
	struct readers r = {arena_new(arena, uint32_t, g->n_nodes + 1), NULL};
	uint32_t *at = arena_new(arena, uint32_t, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
			r.first[g->nodes[i]->in[k]->id + 1]++;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		at[i + 1] = r.first[i + 1] += r.first[i];
	r.reader = arena_new(arena, struct reader, r.first[g->n_nodes] + 1);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
			r.reader[at[g->nodes[i]->in[k]->id]++] = (struct reader){g->nodes[i], k};
	return r;
}
