/* Short spellings for importers; see compose.h. */
#include "compose.h"

struct node *compose_number(struct graph *g, const struct node *like, double value)
{
	return node_is_poison(like) ? graph_poison(g) : build_number(g, like->type.elem, value);
}

struct node *compose_with(struct graph *g, enum op op, struct node *a, double value)
{
	return build_binary(g, op, a, compose_number(g, a, value));
}

struct node *compose_from(struct graph *g, enum op op, double value, struct node *a)
{
	return build_binary(g, op, compose_number(g, a, value), a);
}

struct node *compose_wide(struct graph *g, struct node *a)
{
	if (node_is_poison(a) || !elem_is_float(a->type.elem) || elem_bits(a->type.elem) >= 32)
		return a;
	return build_cast(g, a, NORMC_F32);
}

struct node *compose_sigmoid(struct graph *g, struct node *a)
{
	struct node *e = build_unary(g, OP_exp, build_unary(g, OP_neg, a));
	return compose_from(g, OP_div, 1, compose_with(g, OP_add, e, 1));
}

struct node *compose_power(struct graph *g, struct node *a, double p)
{
	if (p == 1)
		return a;
	if (p == 2)
		return build_binary(g, OP_mul, a, a);
	if (p == 0.5)
		return build_unary(g, OP_sqrt, a);
	if (p == 0.75) {
		struct node *root = build_unary(g, OP_sqrt, a);
		return build_binary(g, OP_mul, root, build_unary(g, OP_sqrt, root));
	}
	return compose_with(g, OP_pow, a, p);
}

uint32_t compose_all_axes(int32_t rank)
{
	return (1u << rank) - 1;
}

struct node *compose_along(struct graph *g, struct node *a, int32_t rank, int32_t axis)
{
	const struct dim *dim[MAX_RANK];
	if (node_is_poison(a) || a->type.rank == 0)
		return a;
	for (int32_t i = 0; i < rank; i++)
		dim[i] = i == axis ? type_count(g->context->dims, &a->type)
				   : dim_const(g->context->dims, 1);
	return build_reshape(g, a, rank, dim);
}

struct node *compose_fill(struct graph *g, const struct type *type, double value)
{
	return build_broadcast(g, build_number(g, type->elem, value), type->rank, type->dim);
}

struct type compose_type(const struct node *a, enum normc_elem elem)
{
	struct type t = a->type;
	t.elem = elem;
	return t;
}

const struct dim *const *compose_dims(struct import *n, const int64_t *list, int64_t count)
{
	struct context *c = n->g->context;
	const struct dim **dims = arena_new(c->arena, const struct dim *, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		dims[i] = dim_const(c->dims, list[i]);
	return dims;
}

struct node *compose_call(struct graph *g, struct node *const *in, uint32_t n_in,
			  const struct attr_call *attr)
{
	struct arena *arena = g->context->arena;
	struct node **operands = arena_new(arena, struct node *, n_in + 1);
	struct attr_call copy = *attr;
	for (uint32_t i = 0; i < n_in; i++)
		operands[i] = in[i] ? in[i] : build_absent(g);
	copy.out = arena_copy(arena, attr->out, attr->n_out * sizeof *attr->out);
	copy.ints = arena_copy(arena, attr->ints, attr->n_ints * sizeof *attr->ints);
	copy.floats = arena_copy(arena, attr->floats, attr->n_floats * sizeof *attr->floats);
	return build_call(g, operands, n_in, &copy);
}

struct node *compose_result(struct graph *g, struct node *call, uint32_t index)
{
	return node_is_poison(call) || node_n_results(call) == 1 ? call
								 : build_part(g, call, index);
}
