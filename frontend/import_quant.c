/* Quantization: compositions of casts, scaling and rounding, so that they fold into constants and
 * fuse. */
#include <string.h>

#include "compose.h"

/* Least and greatest number of an integer type that quantization makes; false for others. */
static bool integer_range(enum normc_elem elem, double *low, double *high)
{
	if (!elem_is_integer(elem) || elem_bits(elem) > 16)
		return false;
	double span = (double)(1 << elem_bits(elem));
	*low = elem_is_signed(elem) ? -span / 2 : 0;
	*high = *low + span - 1;
	return true;
}

/* A scale or zero point in a shape that broadcasts to x: one number, one for each index of `axis`,
 * or one for each block of `block` indices of it. */
static struct node *spread(struct import *n, struct node *s, const struct node *x, int32_t axis,
			   int64_t block)
{
	struct graph *g = n->g;
	if (node_is_poison(s) || s->type.rank == 0)
		return s;
	if (!block)
		return s->type.rank == 1 ? compose_along(g, s, x->type.rank, axis) : s;
	const struct dim *shape[MAX_RANK], *joined[MAX_RANK];
	int32_t rank = x->type.rank;
	if (s->type.rank != rank || rank == MAX_RANK) {
		import_invalid(n, "a blocked scale of rank %d for rank %d", s->type.rank, rank);
		return graph_poison(g);
	}
	for (int32_t i = 0; i <= rank; i++)
		shape[i] = i <= axis ? s->type.dim[i] : s->type.dim[i - 1];
	shape[axis + 1] = compose_dim(n, block);
	memcpy(joined, s->type.dim, sizeof joined);
	joined[axis] = dim_mul(g->context->dims, s->type.dim[axis], compose_dim(n, block));
	s = build_broadcast(g, build_unsqueeze(g, s, 1u << (axis + 1)), rank + 1, shape);
	return build_slice(g, build_reshape(g, s, rank, joined), axis,
			   (struct slice_range){compose_dim(n, 0), x->type.dim[axis], 1});
}

struct quantization {
	struct node *x, *scale, *zero; /* zero: NULL if it is 0 */
	enum normc_elem scale_elem, zero_elem;
};

/* Operands x, scale and zero point of both directions. False after a report. */
static bool read_quantization(struct import *n, struct quantization *q)
{
	int64_t block = import_int(n, "block_size", 0);
	q->x = import_in(n, 0);
	q->scale = import_in(n, 1);
	q->zero = import_optional(n, 2);
	if (node_is_poison(q->x) || node_is_poison(q->scale))
		return false;
	if (!import_in_range(n, "block_size", block, 0, INT64_MAX))
		return false;
	q->scale_elem = q->scale->type.elem;
	q->zero_elem = q->zero ? q->zero->type.elem : NORMC_ELEM_NONE;
	int32_t axis = 0;
	if (q->scale->type.rank > 0 && q->x->type.rank > 0) {
		int64_t given = import_int(n, "axis", 1);
		if (given == 1 && q->x->type.rank == 1) /* the default does not fit vectors */
			given = 0;
		axis = import_axis(n, given, q->x->type.rank);
	}
	q->scale = spread(n, q->scale, q->x, axis, block);
	if (q->zero)
		q->zero = spread(n, q->zero, q->x, axis, block);
	return true;
}

/* Rounds x to integers, adds the zero point and limits to the type; x is f32. */
static struct node *to_integers(struct graph *g, struct node *x, struct node *zero,
				enum normc_elem elem)
{
	double low = 0, high = 0;
	integer_range(elem, &low, &high);
	x = build_unary(g, OP_round, x);
	if (zero)
		x = build_binary(g, OP_add, x, build_cast(g, zero, NORMC_F32));
	x = compose_with(g, OP_min, compose_with(g, OP_max, x, low), high);
	return build_cast(g, x, elem);
}

void import_quantize_linear(struct import *n)
{
	struct graph *g = n->g;
	struct quantization q;
	double low, high;
	if (!read_quantization(n, &q))
		return;
	enum normc_elem to = (enum normc_elem)import_int(n, "output_dtype",
							 q.zero ? q.zero_elem : NORMC_U8);
	enum normc_elem work = (enum normc_elem)import_int(n, "precision", q.scale_elem);
	if (!to) /* 0 stands for the default */
		to = q.zero ? q.zero_elem : NORMC_U8;
	if (!work)
		work = q.scale_elem;
	if (!normc_elem_size(to) || !normc_elem_size(work) || !elem_is_float(work)) {
		import_invalid(n, "output_dtype %d with precision %d", (int)to, (int)work);
		return;
	}
	if (elem_bits(work) < 16) /* a scale of 8 bits: its precision is no use */
		work = NORMC_F32;
	struct node *y = build_binary(g, OP_div, build_cast(g, q.x, work),
				      build_cast(g, q.scale, work));
	if (integer_range(to, &low, &high)) {
		import_out(n, 0, to_integers(g, build_cast(g, y, NORMC_F32), q.zero, to));
		return;
	}
	struct attr_cast cast = {.to = to, .wrap = !import_int(n, "saturate", 1)};
	import_out(n, 0, graph_node(g, OP_cast, &y, 1, (union attr){.cast = &cast}));
}

void import_dequantize_linear(struct import *n)
{
	struct graph *g = n->g;
	struct quantization q;
	if (!read_quantization(n, &q))
		return;
	enum normc_elem to = (enum normc_elem)import_int(n, "output_dtype", 0);
	if (!to)
		to = q.scale_elem;
	if (!normc_elem_size(to)) {
		import_invalid(n, "output_dtype %d", (int)to);
		return;
	}
	struct node *y = build_cast(g, q.x, NORMC_F32);
	if (q.zero && !elem_is_float(q.zero_elem))
		y = build_binary(g, OP_sub, y, build_cast(g, q.zero, NORMC_F32));
	import_out(n, 0,
		   build_cast(g, build_binary(g, OP_mul, y, build_cast(g, q.scale, NORMC_F32)),
			      to));
}

/* The scale covers the range of x, widened to hold 0. */
void import_dynamic_quantize_linear(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0);
	uint32_t all = compose_all_axes(x->type.rank);
	struct node *high =
			compose_with(g, OP_max, build_reduce(g, OP_reduce_max, x, all, false), 0);
	struct node *low =
			compose_with(g, OP_min, build_reduce(g, OP_reduce_min, x, all, false), 0);
	struct node *scale = compose_with(g, OP_div, build_binary(g, OP_sub, high, low), 255);
	/* all zero: any scale will do */
	struct node *divisor = build_where(g, compose_with(g, OP_eq, scale, 0),
					   compose_number(g, scale, 1), scale);
	struct node *zero = build_unary(g, OP_neg, build_binary(g, OP_div, low, divisor));
	zero = to_integers(g, zero, NULL, NORMC_U8);
	import_out(n, 0, to_integers(g, build_binary(g, OP_div, x, divisor), zero, NORMC_U8));
	import_out(n, 1, scale);
	import_out(n, 2, zero);
}

/* A scale or zero point of the left operand x: a vector has one for each row. */
static struct node *per_row(struct graph *g, struct node *s, const struct node *x)
{
	return s->type.rank != 1 || x->type.rank < 2 ? s : build_unsqueeze(g, s, 2);
}

/* A matrix operand less its zero point, in i32. */
static struct node *centred(struct import *n, uint32_t operand, struct node *zero, bool left)
{
	struct graph *g = n->g;
	struct node *x = build_cast(g, import_in(n, operand), NORMC_I32);
	if (!zero)
		return x;
	if (left)
		zero = per_row(g, zero, x);
	return build_binary(g, OP_sub, x, build_cast(g, zero, NORMC_I32));
}

void import_matmul_integer(struct import *n)
{
	struct node *a = centred(n, 0, import_optional(n, 2), true),
		    *b = centred(n, 1, import_optional(n, 3), false);
	import_out(n, 0, build_matmul(n->g, a, b));
}

void import_qlinear_matmul(struct import *n)
{
	struct graph *g = n->g;
	struct node *a = centred(n, 0, import_in(n, 2), true),
		    *b = centred(n, 3, import_in(n, 5), false);
	struct node *zero = import_in(n, 7);
	struct node *scale = build_binary(g, OP_mul,
					  build_cast(g, per_row(g, import_in(n, 1), a), NORMC_F32),
					  build_cast(g, import_in(n, 4), NORMC_F32));
	double low, high;
	if (node_is_poison(zero))
		return;
	if (!integer_range(zero->type.elem, &low, &high) ||
	    elem_is_float(import_in(n, 0)->type.elem)) {
		import_unsupported(n, "8-bit floats");
		return;
	}
	scale = build_binary(g, OP_div, scale, build_cast(g, import_in(n, 6), NORMC_F32));
	struct node *y = build_cast(g, build_matmul(g, a, b), NORMC_F32);
	import_out(n, 0, to_integers(g, build_binary(g, OP_mul, y, scale), zero, zero->type.elem));
}
