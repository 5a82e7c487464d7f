/* Shapes as values: expressions over unknown extents, computed from the shapes of the graph's
 * inputs; and what needs them: dims, iota, reshape, broadcast.
 *
 * Each expression is written once, as a vector of one i64.
 */
#include <string.h>

#include "export_state.h"

bool export_fixed(const struct type *type, int64_t *dim)
{
	for (int32_t i = 0; i < type->rank; i++) {
		if (!dim_is_const(type->dim[i]))
			return false;
		dim[i] = type->dim[i]->value;
	}
	return true;
}

/* ---- expressions ---- */

/* The element of a graph input, or of its shape, that a symbol stands for. */
static const char *write_symbol(struct export *e, const struct dim *d)
{
	const struct symbol *s = &e->context->dims->symbols[d->value];
	if (s->input >= e->main->n_inputs)
		return export_refuse(e, "an extent does not come from the inputs");
	const struct node *input = e->main->inputs[s->input];
	const char *from = input->attr.port->name; /* seen in all sub-graphs */
	int64_t index = s->index;
	if (!s->element) {
		const char *key = arena_printf(e->arena, "shape %u", s->input);
		void **slot = names_slot(e->known, key);
		if (!*slot) {
			const char *shape = EMIT(e, "Shape", from);
			*names_slot(e->known, key) = (void *)(uintptr_t)shape;
		}
		from = names_find(e->known, key);
	} else if (input->type.elem != NORMC_I64) {
		from = export_converted(e, from, NORMC_I64);
	}
	if (s->element && input->type.rank == 0)
		from = EMIT(e, "Reshape", from, export_list(e, (int64_t[]){1}, 1));
	return EMIT(e, "Gather", from, export_list(e, &index, 1));
}

/* Quotients are rounded down; ONNX truncates.  A divisor that may be 0 divides an extent of a
 * tensor without elements, where any quotient will do. */
static const char *write_quotient(struct export *e, const struct dim *d)
{
	const struct dim *a = d->arg[0], *b = d->arg[1];
	const char *left = export_extent(e, a), *right = export_extent(e, b);
	if (b->low == 0)
		right = EMIT(e, "Max", right, export_list(e, (int64_t[]){1}, 1));
	if (d->kind == DIM_MOD || a->low < 0 || b->low < 0) {
		const char *rest = EMIT(e, "Mod", left, right);
		if (d->kind == DIM_MOD)
			return rest;
		left = EMIT(e, "Sub", left, rest);
	}
	return EMIT(e, "Div", left, right);
}

static const char *write_extent(struct export *e, const struct dim *d)
{
	static const char *const operator[] = {
			[DIM_ADD] = "Add", [DIM_MUL] = "Mul", [DIM_MIN] = "Min", [DIM_MAX] = "Max"};
	const char *value;
	switch (d->kind) {
	case DIM_CONST:
		return export_list(e, &d->value, 1);
	case DIM_SYMBOL:
		return write_symbol(e, d);
	case DIM_DIV:
	case DIM_MOD:
		return write_quotient(e, d);
	case DIM_ADD:
	case DIM_MUL:
	case DIM_MIN:
	case DIM_MAX:
		value = export_extent(e, d->arg[0]);
		for (uint32_t i = 1; i < d->n_args; i++)
			value = EMIT(e, operator[d->kind], value, export_extent(e, d->arg[i]));
		return value;
	case DIM_INVALID:
		break;
	}
	return export_refuse(e, "an extent is not known");
}

const char *export_extent(struct export *e, const struct dim *d)
{
	const char *key = arena_printf(e->arena, "extent %u", d->id);
	const char *value = names_find(e->known, key);
	if (value)
		return value;
	value = write_extent(e, d); /* as deep as the expression, which is bounded */
	*names_slot(e->known, key) = (void *)(uintptr_t)value;
	return value;
}

const char *export_extents(struct export *e, const struct dim *const *d, uint32_t count)
{
	const char **part = arena_new(e->arena, const char *, count + 1);
	int64_t *number = arena_new(e->arena, int64_t, count + 1);
	uint32_t n = 0, run = 0;
	for (uint32_t i = 0; i < count; i++) {
		if (dim_is_const(d[i])) {
			number[run++] = d[i]->value;
			if (i + 1 < count && dim_is_const(d[i + 1]))
				continue;
			part[n++] = export_list(e, number, run);
			run = 0;
		} else {
			part[n++] = export_extent(e, d[i]);
		}
	}
	if (n < 2)
		return n ? part[0] : export_list(e, NULL, 0);
	Onnx__NodeProto *concat = export_begin(e, "Concat");
	for (uint32_t i = 0; i < n; i++)
		export_operand(e, concat, part[i]);
	export_int(e, concat, "axis", 0);
	return export_result(e, concat);
}

const char *export_dims(struct export *e)
{
	const struct attr_dims *a = e->node->attr.dims;
	const char *value = export_extents(e, a->value, a->n);
	if (a->rank)
		return value;
	return EMIT(e, "Squeeze", value, export_list(e, (int64_t[]){0}, 1));
}

/* ---- reshape ---- */

/* Entry i of Reshape's shape without computing: a number, 0 for the input's own extent, or -1. */
static int64_t plain_entry(const struct type *from, const struct type *to, int32_t i)
{
	if (dim_is_const(to->dim[i]))
		return to->dim[i]->value;
	return i < from->rank && from->dim[i] == to->dim[i] ? 0 : -1;
}

/* The shape in numbers, 0 and -1; false if that does not say it. */
static bool plain_shape(const struct type *from, const struct type *to, int64_t *entry)
{
	int32_t unknown = 0;
	for (int32_t i = 0; i < to->rank; i++) {
		entry[i] = plain_entry(from, to, i);
		unknown += entry[i] < 0;
		if (dim_is(to->dim[i], 0))
			return false; /* 0 would copy */
	}
	return unknown <= 1;
}

const char *export_reshaped(struct export *e, const char *value, const struct type *from,
			    const struct type *to)
{
	int64_t entry[MAX_RANK];
	Onnx__NodeProto *n;
	const char *shape;
	if (plain_shape(from, to, entry))
		return EMIT(e, "Reshape", value, export_list(e, entry, (uint32_t)to->rank));
	shape = export_extents(e, to->dim, (uint32_t)to->rank);
	export_needs(e, 14, "Reshape to extents that may be 0"); /* allowzero */
	n = export_begin(e, "Reshape");
	export_operand(e, n, value);
	export_operand(e, n, shape);
	export_int(e, n, "allowzero", 1);
	return export_result(e, n);
}

const char *export_reshape(struct export *e)
{
	return export_reshaped(e, export_in(e, 0), &e->plan->in[0]->type, &e->node->type);
}

/* ---- repetition ---- */

const char *export_expand(struct export *e)
{
	const struct type *from = &e->plan->in[0]->type, *to = &e->node->type;
	const struct dim *shape[MAX_RANK], *one = dim_const(e->context->dims, 1);
	for (int32_t i = 0; i < to->rank; i++) /* 1 leaves an extent as it is */
		shape[i] = dim_is(from->dim[i], 1) ? to->dim[i] : one;
	const char *value = export_in(e, 0);
	return EMIT(e, "Expand", value, export_extents(e, shape, (uint32_t)to->rank));
}

/* Range makes the numbers of one axis, in a type that it knows. */
const char *export_iota(struct export *e)
{
	const struct attr_iota *a = e->node->attr.iota;
	const struct type *t = &e->node->type;
	struct type line = {.elem = NORMC_I64, .rank = t->rank},
		    flat = {.elem = NORMC_I64, .rank = 1};
	const struct dim *shape[MAX_RANK], *one = dim_const(e->context->dims, 1);
	bool more = false;
	flat.dim[0] = t->dim[a->axis];
	for (int32_t i = 0; i < t->rank; i++) {
		line.dim[i] = i == a->axis ? t->dim[i] : one;
		shape[i] = i == a->axis ? one : t->dim[i];
		more = more || !dim_is(shape[i], 1);
	}
	const char *count = export_extent(e, flat.dim[0]);
	count = EMIT(e, "Squeeze", count, export_list(e, (int64_t[]){0}, 1));
	const char *value = EMIT(e, "Range", export_number(e, NORMC_I64, 0), count,
				 export_number(e, NORMC_I64, 1));
	if (t->elem != NORMC_I64)
		value = export_converted(e, value, t->elem);
	if (t->rank > 1)
		value = export_reshaped(e, value, &flat, &line);
	if (!more)
		return value;
	return EMIT(e, "Expand", value, export_extents(e, shape, (uint32_t)t->rank));
}
