/* The type of every operation: shape_<rule>() for each word of the shape column of ops.def.  Each
 * checks ranks, extents and element types of its operands and reports the first that does not fit.
 * Unknown extents that have to be equal are taken to be so and noted (graph_same_extent).  Here:
 * sources and maps; infer_move.c: views, movement, reductions; infer_anchor.c: anchors, calls,
 * regions.
 */
#include "infer.h"

#include <stdarg.h>
#include <stdio.h>

/* ---- reports ---- */

bool infer_fail(struct graph *g, const struct node *n, const char *format, ...)
{
	char text[500];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return diag_error(g->context->diag, g->at, NORMC_INVALID, "%s: %s", op_info[n->op].name,
			  text);
}

struct type_text infer_show(struct graph *g, const struct type *type)
{
	struct type_text text;
	type_print(g->context->dims, type, text.s, sizeof text.s);
	return text;
}

bool infer_mismatch(struct graph *g, const struct node *n, uint32_t a, uint32_t b)
{
	return infer_fail(g, n, "operand %u of type %s does not fit operand %u of type %s", b,
			  infer_show(g, &n->in[b]->type).s, a, infer_show(g, &n->in[a]->type).s);
}

/* ---- checks that rules share ---- */

bool infer_same_extent(struct graph *g, const struct dim **a, const struct dim *b)
{
	if (dim_is_const(*a) && dim_is_const(b))
		return *a == b;
	*a = graph_same_extent(g, *a, b);
	return true;
}

/* Operand k has the shape of `type`; the extents that are better known go into `type`. */
static bool same_shape(struct graph *g, const struct node *n, uint32_t k, struct type *type)
{
	const struct type *t = &n->in[k]->type;
	if (t->rank != type->rank)
		return infer_mismatch(g, n, 0, k);
	for (int32_t i = 0; i < t->rank; i++)
		if (!infer_same_extent(g, &type->dim[i], t->dim[i]))
			return infer_mismatch(g, n, 0, k);
	return true;
}

static bool same_shapes(struct graph *g, const struct node *n, struct type *type)
{
	*type = n->in[0]->type;
	for (uint32_t k = 1; k < n->n_in; k++)
		if (!same_shape(g, n, k, type))
			return false;
	return true;
}

bool infer_same_elements(struct graph *g, const struct node *n, uint32_t first)
{
	for (uint32_t k = first + 1; k < n->n_in; k++)
		if (n->in[k]->type.elem != n->in[first]->type.elem)
			return infer_mismatch(g, n, first, k);
	return true;
}

static enum elem_class class_of(enum normc_elem elem)
{
	return elem == NORMC_BOOL ? CLASS_BOOL : elem_is_float(elem) ? CLASS_FLOAT : CLASS_INTEGER;
}

bool infer_class(struct graph *g, const struct node *n, uint32_t k, uint32_t classes)
{
	static const char *const name[] = {
			[CLASS_FLOAT] = "a floating-point type",
			[CLASS_INTEGER] = "an integer type",
			[CLASS_NUMBER] = "a number type",
			[CLASS_BOOL] = "bool",
			[CLASS_BITS] = "bool or an integer type",
	};
	if (classes & class_of(n->in[k]->type.elem))
		return true;
	return infer_fail(g, n, "operand %u of type %s must have %s", k,
			  infer_show(g, &n->in[k]->type).s, name[classes]);
}

bool infer_axis(struct graph *g, const struct node *n, int32_t axis)
{
	if (axis >= 0 && axis < n->in[0]->type.rank)
		return true;
	return infer_fail(g, n, "axis %d is out of range for operand 0 of type %s", axis,
			  infer_show(g, &n->in[0]->type).s);
}

/* What an operation accepts in operand 0; those not listed take numbers. */
static uint32_t classes_of(enum op op)
{
	enum { F = CLASS_FLOAT, I = CLASS_INTEGER, B = CLASS_BITS, A = CLASS_ANY };
	static const uint8_t classes[OP_COUNT] = {
			[OP_floor] = F, [OP_ceil] = F,	  [OP_round] = F, [OP_exp] = F,
			[OP_log] = F,	[OP_sqrt] = F,	  [OP_sin] = F,	  [OP_cos] = F,
			[OP_tan] = F,	[OP_asin] = F,	  [OP_acos] = F,  [OP_atan] = F,
			[OP_sinh] = F,	[OP_cosh] = F,	  [OP_asinh] = F, [OP_acosh] = F,
			[OP_atanh] = F, [OP_tanh] = F,	  [OP_erf] = F,	  [OP_isnan] = F,
			[OP_isinf] = F, [OP_softmax] = F, [OP_not] = B,	  [OP_and] = B,
			[OP_or] = B,	[OP_xor] = B,	  [OP_shl] = I,	  [OP_shr] = I,
			[OP_max] = A,	[OP_min] = A,	  [OP_eq] = A,	  [OP_lt] = A,
			[OP_le] = A};
	return classes[op] ? classes[op] : CLASS_NUMBER;
}

/* ---- sources ---- */

bool shape_given(struct graph *g, const struct node *n, struct type *type)
{
	(void)g;
	*type = n->type;
	return true;
}

bool shape_data(struct graph *g, const struct node *n, struct type *type)
{
	*type = n->attr.data->type;
	int64_t count = type_fixed_count(type);
	uint64_t size = normc_elem_size(type->elem), bytes;
	if (count < 0 || __builtin_mul_overflow((uint64_t)count, size, &bytes))
		return infer_fail(g, n, "the extents of %s must be known", infer_show(g, type).s);
	if (n->attr.data->bytes == bytes)
		return true;
	return infer_fail(g, n, "%llu bytes do not fill %s",
			  (unsigned long long)n->attr.data->bytes, infer_show(g, type).s);
}

bool shape_iota(struct graph *g, const struct node *n, struct type *type)
{
	*type = n->attr.iota->type;
	if (n->attr.iota->axis < 0 || n->attr.iota->axis >= type->rank ||
	    type->elem == NORMC_BOOL || !elem_bits(type->elem))
		return infer_fail(g, n, "%s has no indices along axis %d", infer_show(g, type).s,
				  n->attr.iota->axis);
	return true;
}

bool shape_dims(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_dims *attr = n->attr.dims;
	*type = (struct type){.elem = NORMC_I64, .rank = attr->rank};
	if (attr->rank == 1)
		type->dim[0] = dim_const(g->context->dims, attr->n);
	else if (attr->rank != 0 || attr->n != 1)
		return infer_fail(g, n, "%u values do not fit rank %d", attr->n, attr->rank);
	for (uint32_t i = 0; i < attr->n; i++)
		if (attr->value[i]->kind == DIM_INVALID)
			return infer_fail(g, n, "element %u is too large or too complex", i);
	return true;
}

/* ---- maps ---- */

bool shape_same(struct graph *g, const struct node *n, struct type *type)
{
	if (n->op == OP_softmax && !infer_axis(g, n, n->attr.softmax->axis))
		return false;
	return infer_class(g, n, 0, classes_of(n->op)) && infer_same_elements(g, n, 0) &&
	       same_shapes(g, n, type);
}

bool shape_copy(struct graph *g, const struct node *n, struct type *type)
{
	(void)g;
	*type = n->in[0]->type;
	return true;
}

bool shape_boolean(struct graph *g, const struct node *n, struct type *type)
{
	if (!shape_same(g, n, type))
		return false;
	type->elem = NORMC_BOOL;
	return true;
}

bool shape_cast(struct graph *g, const struct node *n, struct type *type)
{
	*type = n->in[0]->type;
	type->elem = n->attr.cast->to;
	return elem_bits(type->elem) ||
	       infer_fail(g, n, "there is no element type %d", (int)type->elem);
}

bool shape_bitcast(struct graph *g, const struct node *n, struct type *type)
{
	enum normc_elem from = n->in[0]->type.elem, to = n->attr.cast->to;
	*type = n->in[0]->type;
	type->elem = to;
	if (elem_bits(from) == elem_bits(to) && from != NORMC_BOOL && to != NORMC_BOOL)
		return true;
	return infer_fail(g, n, "%s does not have the bits of %s", normc_elem_name(from),
			  normc_elem_name(to));
}

bool shape_power(struct graph *g, const struct node *n, struct type *type)
{
	return infer_class(g, n, 0, CLASS_NUMBER) && infer_class(g, n, 1, CLASS_NUMBER) &&
	       same_shapes(g, n, type);
}

bool shape_where(struct graph *g, const struct node *n, struct type *type)
{
	if (!infer_class(g, n, 0, CLASS_BOOL) || !infer_same_elements(g, n, 1) ||
	    !same_shapes(g, n, type))
		return false;
	type->elem = n->in[1]->type.elem;
	return true;
}

/* ---- entry point ---- */

/* Extents exist, and the number of elements fits. */
static bool check_result(struct graph *g, const struct node *n, const struct type *type)
{
	if (type->elem == NORMC_ELEM_NONE)
		return true;
	if (type->rank < 0 || type->rank > MAX_RANK)
		return infer_fail(g, n, "rank %d of the result is not within 0..%d", type->rank,
				  MAX_RANK);
	for (int32_t i = 0; i < type->rank; i++)
		if (type->dim[i]->kind == DIM_INVALID || type->dim[i]->high < 0)
			return infer_fail(g, n,
					  "dimension %d of the result %s is negative or too large",
					  i, infer_show(g, type).s);
	if (type_count(g->context->dims, type)->kind == DIM_INVALID)
		return infer_fail(g, n, "the result %s has too many elements",
				  infer_show(g, type).s);
	return true;
}

bool infer_type(struct graph *g, struct node *n, struct type *type)
{
	static shape_rule *const rule[OP_COUNT] = {
#define OP(name, in, attr, shape, ...) shape_##shape,
#include "ops.def"
#undef OP
	};
	int32_t in = op_info[n->op].in;
	*type = (struct type){0};
	if (in != ANY && n->n_in != (uint32_t)in)
		return infer_fail(g, n, "%u operands instead of %d", n->n_in, in);
	for (uint32_t k = 0; k < n->n_in; k++)
		if (n->op != OP_part && n->in[k]->type.elem == NORMC_ELEM_NONE)
			return infer_fail(g, n, "operand %u has several results", k);
	if (op_info[n->op].attr_size && !n->attr.any)
		return infer_fail(g, n, "the attribute is missing");
	return rule[n->op](g, n, type) && check_result(g, n, type);
}
