/* Views that cut and turn, movement of elements, reductions. */
#include <string.h>

#include "export_state.h"

const char *export_transpose(struct export *e)
{
	int64_t perm[MAX_RANK];
	int32_t rank = e->node->type.rank;
	const char *x = export_in(e, 0);
	if (!rank) /* an empty list is no attribute */
		return EMIT(e, "Identity", x);
	Onnx__NodeProto *n = export_begin(e, "Transpose");
	for (int32_t i = 0; i < rank; i++)
		perm[i] = e->node->attr.perm->perm[i];
	export_operand(e, n, x);
	export_ints(e, n, "perm", perm, (uint32_t)rank);
	return export_result(e, n);
}

/* Where a slice ends: behind its last element.  ONNX counts negative positions from the end, so
 * before the first element is as far to the front as can be. */
static const struct dim *slice_end(struct export *e, int32_t i)
{
	const struct attr_slice *a = e->node->attr.slice;
	struct dims *dims = e->context->dims;
	const struct dim *whole = e->plan->in[0]->type.dim[i];
	const struct dim *reach = dim_mul(dims, a->extent[i], dim_const(dims, a->step[i]));
	const struct dim *end = dim_add(dims, a->start[i], reach);
	if (a->step[i] > 0)
		return dim_sub(dims, end, whole)->low >= 0 ? dim_const(dims, INT64_MAX) : end;
	if (end->high < 0)
		return dim_const(dims, INT64_MIN);
	/* counted from the end it is negative wherever it lies */
	return end->low >= 0 ? end : dim_sub(dims, end, whole);
}

const char *export_slice(struct export *e)
{
	const struct attr_slice *a = e->node->attr.slice;
	const struct type *from = &e->plan->in[0]->type;
	const struct dim *start[MAX_RANK], *end[MAX_RANK];
	int64_t axes[MAX_RANK], steps[MAX_RANK];
	uint32_t n = 0;
	const char *x = export_in(e, 0);
	bool strides = false;
	for (int32_t i = 0; i < from->rank; i++) {
		if (dim_is(a->start[i], 0) && a->step[i] == 1 && a->extent[i] == from->dim[i])
			continue;
		start[n] = a->start[i];
		end[n] = slice_end(e, i);
		axes[n] = i;
		steps[n++] = a->step[i];
		strides = strides || a->step[i] != 1;
	}
	if (!n)
		return EMIT(e, "Identity", x);
	const char *from_list = export_extents(e, start, n), *to_list = export_extents(e, end, n);
	const char *axes_list = export_list(e, axes, n);
	if (!strides)
		return EMIT(e, "Slice", x, from_list, to_list, axes_list);
	return EMIT(e, "Slice", x, from_list, to_list, axes_list, export_list(e, steps, n));
}

const char *export_concat(struct export *e)
{
	Onnx__NodeProto *n = export_begin(e, "Concat");
	for (uint32_t k = 0; k < e->plan->n_in; k++)
		export_operand(e, n, export_in(e, k));
	export_int(e, n, "axis", e->node->attr.axis->axis);
	return export_result(e, n);
}

const char *export_padded(struct export *e, const char *value, const char *number,
			  const struct attr_pad *attr, int32_t rank)
{
	static const char *const mode[] = {"constant", "edge", "reflect", "wrap"};
	const struct dim *pads[2 * MAX_RANK];
	memcpy(pads, attr->before, (size_t)rank * sizeof *pads);
	memcpy(pads + rank, attr->after, (size_t)rank * sizeof *pads);
	const char *list = export_extents(e, pads, 2 * (uint32_t)rank);
	Onnx__NodeProto *n = export_begin(e, "Pad");
	export_operand(e, n, value);
	export_operand(e, n, list);
	if (attr->mode == PAD_CONSTANT)
		export_operand(e, n, number);
	else
		export_string(e, n, "mode", mode[attr->mode]);
	return export_result(e, n);
}

const char *export_pad(struct export *e)
{
	const struct attr_pad *a = e->node->attr.pad;
	const char *number = a->mode == PAD_CONSTANT ? export_in(e, 1) : NULL;
	if (a->mode == PAD_WRAP)
		export_needs(e, 19, "padding that wraps around");
	return export_padded(e, export_in(e, 0), number, a, e->node->type.rank);
}

/* Indices are of 32 or 64 bits. */
const char *export_gather(struct export *e)
{
	const struct node *index = e->plan->in[1];
	const char *data = export_in(e, 0), *at = export_in(e, 1);
	if (index->type.elem != NORMC_I64 && index->type.elem != NORMC_I32)
		at = export_converted(e, at, NORMC_I64);
	Onnx__NodeProto *n = export_begin(e, export_way(e->node->op)->onnx);
	export_operand(e, n, data);
	export_operand(e, n, at);
	export_int(e, n, "axis", e->node->attr.axis->axis);
	return export_result(e, n);
}

/* ---- reductions ---- */

/* Axes became an operand: in opset 13 of ReduceSum, in 18 of the others. */
const char *export_reduced(struct export *e, const char *op_type, const char *value, uint32_t mask)
{
	int64_t axes[MAX_RANK];
	uint32_t count = 0;
	bool operand = e->opset >= 18 || !strcmp(op_type, "ReduceSum");
	for (int32_t i = 0; i < MAX_RANK; i++)
		if (mask >> i & 1)
			axes[count++] = i;
	if (!count) /* an empty list would mean all */
		return EMIT(e, "Identity", value);
	const char *list = operand ? export_list(e, axes, count) : NULL;
	Onnx__NodeProto *n = export_begin(e, op_type);
	export_operand(e, n, value);
	if (operand)
		export_operand(e, n, list);
	else
		export_ints(e, n, "axes", axes, count);
	return export_result(e, n);
}

/* The extremum of nothing, in i32, becomes the narrow type's. */
static const char *clamped(struct export *e, const char *x)
{
	enum normc_elem elem = e->node->type.elem;
	int bits = elem == NORMC_BOOL ? 1 : elem_bits(elem);
	const struct type *from = &e->plan->in[0]->type;
	bool any = true, greatest = e->node->op == OP_reduce_max;
	double range = (double)(1 << bits), least = elem_is_signed(elem) ? -range / 2 : 0;
	for (int32_t i = 0; i < from->rank; i++)
		any = any && from->dim[i]->low > 0;
	if (any || (!greatest && e->node->op != OP_reduce_min))
		return x;
	double limit = greatest ? least : least + range - 1;
	return EMIT(e, greatest ? "Max" : "Min", x, export_number(e, NORMC_I32, limit));
}

/* Integers that ONNX does not reduce are reduced as wider ones: what wraps is cut off again. */
const char *export_reduce(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	bool narrow = elem == NORMC_BOOL || (elem_is_integer(elem) && elem_bits(elem) < 32);
	const char *x = export_in(e, 0);
	if (narrow)
		x = export_converted(e, x, NORMC_I32);
	x = export_reduced(e, export_way(e->node->op)->onnx, x, e->node->attr.axes->mask);
	return narrow ? export_converted(e, clamped(e, x), elem) : x;
}

const char *export_mean(struct export *e)
{
	return export_reduced(e, "ReduceMean", export_in(e, 0), e->plan->anchor->attr.axes->mask);
}

const char *export_arg(struct export *e)
{
	const struct attr_arg *a = e->node->attr.arg;
	const char *x = export_in(e, 0);
	if (e->plan->in[0]->type.elem == NORMC_BOOL) /* which has no order in ONNX */
		x = export_converted(e, x, NORMC_I32);
	Onnx__NodeProto *n = export_begin(e, export_way(e->node->op)->onnx);
	export_operand(e, n, x);
	export_int(e, n, "axis", a->axis);
	if (a->last)
		export_int(e, n, "select_last_index", 1);
	return export_result(e, n);
}

const char *export_softmax(struct export *e)
{
	const struct attr_softmax *a = e->node->attr.softmax;
	const char *x = export_in(e, 0);
	Onnx__NodeProto *n = export_begin(e, a->log ? "LogSoftmax" : "Softmax");
	export_operand(e, n, x);
	export_int(e, n, "axis", a->axis);
	return export_result(e, n);
}
