/* Builders of constants. */
#include <string.h>

#include "eval_beside.h"
#include "graph.h"

/* Two constants of one type are one node when their bytes are equal, so the type must be part of
 * the draft: graph_node infers types from attributes, and a constant's comes with it. */
struct node *build_constant(struct graph *g, const struct type *type, const void *p, uint64_t bytes)
{
	struct attr_data data = {.type = *type, .p = p, .bytes = bytes};
	return graph_node(g, OP_constant, NULL, 0, (union attr){.data = &data});
}

static uint64_t residue_at(const struct attr_data *data, int64_t i)
{
	double x;
	struct tensor one = {.elem = data->type.elem, .count = 1, .f = &x};
	tensor_fill(&one, (const char *)data->p + (size_t)i * normc_elem_size(one.elem));
	return residue_of_real(x);
}

/* Whether rounding lost something. */
static bool says_more(const struct attr_data *data)
{
	int64_t count = data->residue ? type_fixed_count(&data->type) : 0;
	for (int64_t i = 0; i < count; i++)
		if (data->residue[i] != residue_at(data, i))
			return true;
	return false;
}

struct node *build_exact(struct graph *g, const struct type *type, const void *p,
			 const uint64_t *residue)
{
	uint64_t bytes = (uint64_t)type_fixed_count(type) * normc_elem_size(type->elem);
	struct attr_data data = {*type, p, bytes, residue};
	data.residue = says_more(&data) ? residue : NULL;
	return graph_node(g, OP_constant, NULL, 0, (union attr){.data = &data});
}

const uint64_t *constant_residues(struct graph *g, const struct node *constant)
{
	const struct attr_data *data = constant->attr.data;
	int64_t count = type_fixed_count(&data->type);
	if (!g->context->exact || data->residue)
		return data->residue;
	uint64_t *residue = arena_new(g->context->arena, uint64_t, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		residue[i] = residue_at(data, i);
	return residue;
}

struct node *build_number(struct graph *g, enum normc_elem elem, double value)
{
	if (!elem_is_float(elem)) {
		bool fits = value >= -0x1p63 && value < 0x1p63;
		return build_integer(g, elem,
				     fits	 ? (int64_t)value
				     : value > 0 ? INT64_MAX
						 : INT64_MIN);
	}
	size_t size = normc_elem_size(elem);
	struct type t = {.elem = elem};
	struct tensor one = {.elem = elem, .count = 1, .f = &value};
	void *p = arena_alloc(g->context->arena, 1, size);
	tensor_store(&one, p);
	return build_constant(g, &t, p, size);
}

struct node *build_integer(struct graph *g, enum normc_elem elem, int64_t value)
{
	if (elem_is_float(elem))
		return build_number(g, elem, (double)value);
	size_t size = normc_elem_size(elem);
	struct type t = {.elem = elem};
	struct tensor one = {.elem = elem, .count = 1, .i = &value};
	void *p = arena_alloc(g->context->arena, 1, size);
	tensor_store(&one, p);
	return build_constant(g, &t, p, size);
}
