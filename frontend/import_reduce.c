/* Reductions over axes, given as an attribute or (later opsets) as an operand whose value must be
 * known. */
#include <math.h>
#include <string.h>

#include "compose.h"

struct reduction {
	struct node *x;
	uint32_t axes; /* 0: none; the steps around the reduction still apply */
	bool keep;
};

static struct reduction read_reduction(struct import *n, int32_t axes_operand_since)
{
	struct reduction r = {.x = import_in(n, 0)};
	int32_t rank = r.x->type.rank;
	bool operand = n->opset >= axes_operand_since;
	r.axes = import_axes(n, operand ? NULL : "axes", operand ? 1 : -1, rank, 0);
	if (!r.axes && !(operand && import_int(n, "noop_with_empty_axes", 0)))
		r.axes = compose_all_axes(rank);
	r.keep = import_int(n, "keepdims", 1) != 0;
	return r;
}

static struct node *reduce(struct graph *g, enum op op, const struct reduction *r, struct node *x)
{
	return r->axes ? build_reduce(g, op, x, r->axes, r->keep) : x;
}

/* ReduceSum, ReduceProd, ReduceMax, ReduceMin */
void import_reduce(struct import *n)
{
	static const struct {
		const char *onnx;
		enum op op;
	} list[] = {{"ReduceSum", OP_reduce_sum},
		    {"ReduceProd", OP_reduce_prod},
		    {"ReduceMax", OP_reduce_max},
		    {"ReduceMin", OP_reduce_min}};
	struct reduction r = read_reduction(n, strcmp(n->op_type, "ReduceSum") ? 18 : 13);
	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (!strcmp(n->op_type, list[i].onnx))
			import_out(n, 0, reduce(n->g, list[i].op, &r, r.x));
}

void import_reduce_mean(struct import *n)
{
	struct reduction r = read_reduction(n, 18);
	import_out(n, 0, r.axes ? build_mean(n->g, r.x, r.axes, r.keep) : r.x);
}

void import_reduce_l1(struct import *n)
{
	struct reduction r = read_reduction(n, 18);
	import_out(n, 0, reduce(n->g, OP_reduce_sum, &r, build_unary(n->g, OP_abs, r.x)));
}

void import_reduce_sum_square(struct import *n)
{
	struct reduction r = read_reduction(n, 18);
	import_out(n, 0, reduce(n->g, OP_reduce_sum, &r, compose_power(n->g, r.x, 2)));
}

/* Roots and logarithms are taken in floating point, of integers too. */
static struct node *to_float(struct graph *g, struct node *x)
{
	if (node_is_poison(x) || elem_is_float(x->type.elem))
		return compose_wide(g, x);
	return build_cast(g, x, NORMC_F64);
}

void import_reduce_l2(struct import *n)
{
	struct reduction r = read_reduction(n, 18);
	struct node *sum = reduce(n->g, OP_reduce_sum, &r,
				  compose_power(n->g, to_float(n->g, r.x), 2));
	import_out(n, 0, build_cast(n->g, build_unary(n->g, OP_sqrt, sum), r.x->type.elem));
}

void import_reduce_log_sum(struct import *n)
{
	struct reduction r = read_reduction(n, 18);
	struct node *sum = reduce(n->g, OP_reduce_sum, &r, to_float(n->g, r.x));
	import_out(n, 0, build_cast(n->g, build_unary(n->g, OP_log, sum), r.x->type.elem));
}

/* log(sum(exp(x - m))) + m with m the maximum, or 0 where that is infinite */
void import_reduce_log_sum_exp(struct import *n)
{
	struct graph *g = n->g;
	struct reduction r = read_reduction(n, 18), kept = r;
	kept.keep = true;
	struct attr_isinf infinite = {.positive = true, .negative = true};
	struct node *x = to_float(g, r.x), *top = reduce(g, OP_reduce_max, &kept, x);
	struct node *bad = graph_node(g, OP_isinf, &top, 1, (union attr){.isinf = &infinite});
	top = build_where(g, bad, compose_number(g, top, 0), top);
	struct node *e = build_unary(g, OP_exp, build_binary(g, OP_sub, x, top));
	struct node *y = build_unary(g, OP_log, reduce(g, OP_reduce_sum, &kept, e));
	y = build_binary(g, OP_add, y, top);
	if (!r.keep)
		y = build_squeeze(g, y, r.axes);
	import_out(n, 0, build_cast(g, y, r.x->type.elem));
}

void import_arg(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct attr_arg attr = {0};
	attr.axis = import_axis(n, import_int(n, "axis", 0), x->type.rank);
	attr.last = import_int(n, "select_last_index", 0) != 0;
	enum op op = strcmp(n->op_type, "ArgMax") ? OP_argmin : OP_argmax;
	struct node *y = graph_node(n->g, op, &x, 1, (union attr){.arg = &attr});
	import_out(n, 0,
		   import_int(n, "keepdims", 1) ? y : build_squeeze(n->g, y, 1u << attr.axis));
}
