/* Elementwise operations: mostly one operator each, with exceptions for element types that ONNX's
 * operator does not take. */
#include "export_state.h"

static bool is_small_integer(enum normc_elem elem)
{
	return elem_is_integer(elem) && elem_bits(elem) < 32;
}

/* The row's operator on all operands. */
const char *export_operator(struct export *e)
{
	Onnx__NodeProto *n = export_begin(e, export_way(e->node->op)->onnx);
	for (uint32_t k = 0; k < e->plan->n_in; k++)
		export_operand(e, n, export_in(e, k));
	return export_result(e, n);
}

const char *export_map(struct export *e)
{
	const struct export_way *way = export_way(e->node->op);
	export_needs(e, way->opset, way->onnx);
	if (is_small_integer(e->node->type.elem) && e->node->op != OP_where)
		export_needs(e, 14, way->onnx);
	return export_operator(e);
}

const char *export_neg(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	if (elem_is_signed(elem))
		return export_map(e);
	if (is_small_integer(elem))
		export_needs(e, 14, "Sub of small integers");
	return EMIT(e, "Sub", export_number(e, elem, 0), export_in(e, 0));
}

/* bool has logical operators, integers have bitwise ones. */
const char *export_logic(struct export *e)
{
	const char *onnx = export_way(e->node->op)->onnx;
	Onnx__NodeProto *n;
	if (e->node->type.elem == NORMC_BOOL)
		return export_operator(e);
	onnx = arena_printf(e->arena, "Bitwise%s", onnx);
	export_needs(e, 18, onnx);
	n = export_begin(e, onnx);
	for (uint32_t k = 0; k < e->plan->n_in; k++)
		export_operand(e, n, export_in(e, k));
	return export_result(e, n);
}

const char *export_isinf(struct export *e)
{
	const struct attr_isinf *a = e->node->attr.isinf;
	const char *x = export_in(e, 0);
	enum normc_elem elem = e->plan->in[0]->type.elem;
	if (elem != NORMC_F32 && elem != NORMC_F64) /* the operator knows these from the first */
		x = export_converted(e, x, NORMC_F32);
	Onnx__NodeProto *n = export_begin(e, "IsInf");
	export_operand(e, n, x);
	if (!a->positive)
		export_int(e, n, "detect_positive", 0);
	if (!a->negative)
		export_int(e, n, "detect_negative", 0);
	return export_result(e, n);
}

/* The types that Cast's attribute of that name is for. */
static bool saturates(enum normc_elem elem)
{
	return elem == NORMC_F8E4M3FN || elem == NORMC_F8E4M3FNUZ || elem == NORMC_F8E5M2 ||
	       elem == NORMC_F8E5M2FNUZ;
}

/* ONNX truncates towards 0 and saturates in 8-bit floats unless told otherwise, as here. */
const char *export_cast(struct export *e)
{
	const struct attr_cast *a = e->node->attr.cast;
	const char *x = export_in(e, 0);
	Onnx__NodeProto *n = export_begin(e, "Cast");
	export_check_elem(e, a->to);
	export_operand(e, n, x);
	export_int(e, n, "to", a->to);
	if (a->wrap && saturates(a->to))
		export_int(e, n, "saturate", 0);
	return export_result(e, n);
}

const char *export_bitcast(struct export *e)
{
	const char *x = export_in(e, 0);
	export_needs(e, 26, "BitCast");
	Onnx__NodeProto *n = export_begin(e, "BitCast");
	export_operand(e, n, x);
	export_int(e, n, "to", e->node->attr.cast->to);
	return export_result(e, n);
}

/* ONNX takes powers of floats, i32 and i64.  Other integers are raised as wider ones; what wraps is
 * cut off again. */
const char *export_pow(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	if (elem_is_float(elem) || elem == NORMC_I32 || elem == NORMC_I64)
		return export_map(e);
	if (elem == NORMC_U64)
		return export_refuse(e, "ONNX has no powers of u64");
	enum normc_elem work = elem == NORMC_U32 ? NORMC_I64 : NORMC_I32;
	const char *a = export_converted(e, export_in(e, 0), work);
	return export_converted(e, EMIT(e, "Pow", a, export_in(e, 1)), elem);
}

const char *export_copy(struct export *e)
{
	return EMIT(e, "Identity", export_in(e, 0));
}

static const char *modulo(struct export *e, bool fmod)
{
	Onnx__NodeProto *n = export_begin(e, "Mod");
	export_operand(e, n, export_in(e, 0));
	export_operand(e, n, export_in(e, 1));
	if (fmod)
		export_int(e, n, "fmod", 1);
	return export_result(e, n);
}

const char *export_fmod(struct export *e)
{
	return modulo(e, true);
}

/* Of floats ONNX has the remainder with the sign of the dividend only: a remainder with the other
 * sign than the divisor's moves by the divisor. */
const char *export_mod(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	if (!elem_is_float(elem))
		return modulo(e, false);
	const char *rest = modulo(e, true), *zero = export_number(e, elem, 0);
	const char *below = EMIT(e, "Less", rest, zero);
	const char *other = EMIT(e, "Xor", below, EMIT(e, "Less", export_in(e, 1), zero));
	const char *some = EMIT(e, "Not", EMIT(e, "Equal", rest, zero));
	return EMIT(e, "Where", EMIT(e, "And", other, some), EMIT(e, "Add", rest, export_in(e, 1)),
		    rest);
}

/* Max and Min do not take bool. */
const char *export_extremum(struct export *e)
{
	if (e->node->type.elem != NORMC_BOOL)
		return export_operator(e);
	return EMIT(e, e->node->op == OP_max ? "Or" : "And", export_in(e, 0), export_in(e, 1));
}

/* Nor do comparisons: a < b is b and not a, a <= b is b or not a. */
const char *export_order(struct export *e)
{
	if (e->plan->in[0]->type.elem != NORMC_BOOL)
		return export_operator(e);
	const char *no = EMIT(e, "Not", export_in(e, 0));
	return EMIT(e, e->node->op == OP_lt ? "And" : "Or", no, export_in(e, 1));
}

const char *export_shift(struct export *e)
{
	bool left = e->node->op == OP_shl;
	if (elem_is_signed(e->node->type.elem))
		return export_refuse(e, "ONNX shifts unsigned integers only");
	Onnx__NodeProto *n = export_begin(e, "BitShift");
	export_operand(e, n, export_in(e, 0));
	export_operand(e, n, export_in(e, 1));
	export_string(e, n, "direction", left ? "LEFT" : "RIGHT");
	return export_result(e, n);
}

/* ---- operators that cover several operations ---- */

const char *export_named(struct export *e)
{
	return EMIT(e, e->plan->text, export_in(e, 0));
}

const char *export_clip(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	return EMIT(e, "Clip", export_in(e, 0), export_number(e, elem, e->plan->low),
		    export_number(e, elem, e->plan->high));
}

const char *export_gelu(struct export *e)
{
	const char *x = export_in(e, 0);
	Onnx__NodeProto *n = export_begin(e, "Gelu");
	export_operand(e, n, x);
	if (e->plan->text)
		export_string(e, n, "approximate", e->plan->text);
	return export_result(e, n);
}
