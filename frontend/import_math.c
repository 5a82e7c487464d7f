/* Elementwise arithmetic, comparison, logic: ONNX operators that are one IR operation or a few.
 * Operators of the same form share one function, which finds the operation by the operator's name.
 */
#include <math.h>
#include <string.h>

#include "compose.h"

struct op_name {
	const char *onnx;
	enum op op;
};

static const struct op_name unary[] = {
		{"Abs", OP_abs},     {"Acos", OP_acos},	     {"Acosh", OP_acosh},
		{"Asin", OP_asin},   {"Asinh", OP_asinh},    {"Atan", OP_atan},
		{"Atanh", OP_atanh}, {"BitwiseNot", OP_not}, {"Ceil", OP_ceil},
		{"Cos", OP_cos},     {"Cosh", OP_cosh},	     {"Erf", OP_erf},
		{"Exp", OP_exp},     {"Floor", OP_floor},    {"IsNaN", OP_isnan},
		{"Log", OP_log},     {"Neg", OP_neg},	     {"Not", OP_not},
		{"Round", OP_round}, {"Sign", OP_sign},	     {"Sin", OP_sin},
		{"Sinh", OP_sinh},   {"Sqrt", OP_sqrt},	     {"Tan", OP_tan},
		{"Tanh", OP_tanh},
};

static const struct op_name binary[] = {
		{"Add", OP_add},      {"And", OP_and},	      {"BitwiseAnd", OP_and},
		{"BitwiseOr", OP_or}, {"BitwiseXor", OP_xor}, {"Div", OP_div},
		{"Equal", OP_eq},     {"Less", OP_lt},	      {"LessOrEqual", OP_le},
		{"Max", OP_max},      {"Min", OP_min},	      {"Mul", OP_mul},
		{"Or", OP_or},	      {"Pow", OP_pow},	      {"Sub", OP_sub},
		{"Sum", OP_add},      {"Xor", OP_xor},
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

static enum op find(const struct op_name *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++)
		if (!strcmp(list[i].onnx, name))
			return list[i].op;
	return OP_poison; /* a row of onnx.def without an entry above */
}

void import_unary(struct import *n)
{
	import_out(n, 0, build_unary(n->g, find(unary, COUNT(unary), n->op_type), import_in(n, 0)));
}

void import_binary(struct import *n)
{
	enum op op = find(binary, COUNT(binary), n->op_type);
	import_out(n, 0, build_binary(n->g, op, import_in(n, 0), import_in(n, 1)));
}

/* Greater and GreaterOrEqual: the operands change places. */
void import_greater(struct import *n)
{
	enum op op = strcmp(n->op_type, "Greater") ? OP_le : OP_lt;
	import_out(n, 0, build_binary(n->g, op, import_in(n, 1), import_in(n, 0)));
}

/* Max, Min, Sum, Mean: any number of operands. */
void import_variadic(struct import *n)
{
	bool mean = !strcmp(n->op_type, "Mean");
	enum op op = mean ? OP_add : find(binary, COUNT(binary), n->op_type);
	struct node *y = import_in(n, 0);
	for (uint32_t i = 1; i < n->n_in; i++)
		y = build_binary(n->g, op, y, import_in(n, i));
	import_out(n, 0, mean && n->n_in > 1 ? compose_with(n->g, OP_div, y, n->n_in) : y);
}

void import_mod(struct import *n)
{
	enum op op = import_int(n, "fmod", 0) ? OP_fmod : OP_mod;
	import_out(n, 0, build_binary(n->g, op, import_in(n, 0), import_in(n, 1)));
}

void import_bit_shift(struct import *n)
{
	const char *direction = import_string(n, "direction", "");
	bool left = !strcmp(direction, "LEFT");
	if (!left && strcmp(direction, "RIGHT"))
		import_invalid(n, "direction '%s' is neither LEFT nor RIGHT", direction);
	import_out(n, 0,
		   build_binary(n->g, left ? OP_shl : OP_shr, import_in(n, 0), import_in(n, 1)));
}

void import_reciprocal(struct import *n)
{
	import_out(n, 0, compose_from(n->g, OP_div, 1, import_in(n, 0)));
}

void import_isinf(struct import *n)
{
	struct attr_isinf attr = {0};
	attr.positive = import_int(n, "detect_positive", 1) != 0;
	attr.negative = import_int(n, "detect_negative", 1) != 0;
	struct node *x = import_in(n, 0);
	import_out(n, 0, graph_node(n->g, OP_isinf, &x, 1, (union attr){.isinf = &attr}));
}

/* Clip with bounds as attributes (before opset 11) or operands.  The lower bound goes first, so
 * that a lower bound above the upper one gives the upper one. */
void import_clip_attributes(struct import *n)
{
	struct node *y = import_in(n, 0);
	if (import_has(n, "min"))
		y = compose_with(n->g, OP_max, y, import_float(n, "min", 0));
	if (import_has(n, "max"))
		y = compose_with(n->g, OP_min, y, import_float(n, "max", 0));
	import_out(n, 0, y);
}

void import_clip(struct import *n)
{
	struct node *y = import_in(n, 0), *low = import_optional(n, 1),
		    *high = import_optional(n, 2);
	if (low)
		y = build_binary(n->g, OP_max, y, low);
	if (high)
		y = build_binary(n->g, OP_min, y, high);
	import_out(n, 0, y);
}
