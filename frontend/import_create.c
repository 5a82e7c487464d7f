/* Operators that make tensors from attributes and shapes, and conversions of the element type. */
#include <math.h>
#include <string.h>

#include "compose.h"
#include "eval.h"

enum { MAX_RANGE = 1 << 24 };

/* The result of Constant when it is not a tensor attribute; NULL if it is none of these. */
static struct node *constant_list(struct import *n)
{
	struct context *c = n->g->context;
	const int64_t *ints;
	const float *floats;
	if (import_has(n, "value_int"))
		return build_integer(n->g, NORMC_I64, import_int(n, "value_int", 0));
	if (import_has(n, "value_float"))
		return build_number(n->g, NORMC_F32, import_float(n, "value_float", 0));
	if (import_has(n, "value_ints")) {
		int64_t count = import_ints(n, "value_ints", &ints);
		struct type type = type_fixed(c, NORMC_I64, 1, &count);
		return build_constant(n->g, &type, ints, (uint64_t)count * sizeof *ints);
	}
	if (import_has(n, "value_floats")) {
		int64_t count = import_floats(n, "value_floats", &floats);
		struct type type = type_fixed(c, NORMC_F32, 1, &count);
		return build_constant(n->g, &type, floats, (uint64_t)count * sizeof *floats);
	}
	return NULL;
}

void import_constant_operator(struct import *n)
{
	struct node *value = import_tensor(n, "value");
	if (!value)
		value = constant_list(n);
	if (!value && import_has(n, "value"))
		return; /* reported */
	if (value)
		import_out(n, 0, value);
	else
		import_unsupported(n, "strings and sparse tensors are not supported");
}

/* A tensor of one element as a scalar. */
static struct node *scalar(struct import *n, struct node *a)
{
	return a->type.rank ? build_reshape(n->g, a, 0, a->type.dim) : a;
}

void import_constant_of_shape(struct import *n)
{
	const struct dim *const *shape;
	int64_t rank = import_dims(n, 0, &shape);
	struct node *value = import_tensor(n, "value");
	if (rank < 0)
		return;
	if (rank > MAX_RANK) {
		import_unsupported(n, "rank %lld; at most %d is supported", (long long)rank,
				   MAX_RANK);
		return;
	}
	value = value ? scalar(n, value) : build_number(n->g, NORMC_F32, 0);
	import_out(n, 0, build_broadcast(n->g, value, (int32_t)rank, shape));
}

/* Range over floating-point constants. */
static void float_range(struct import *n, enum normc_elem elem)
{
	struct context *c = n->g->context;
	const double *start, *limit, *delta;
	if (import_reals(n, 0, &start) != 1 || import_reals(n, 1, &limit) != 1 ||
	    import_reals(n, 2, &delta) != 1)
		return;
	double size = ceil((*limit - *start) / *delta);
	if (!(size < MAX_RANGE)) {
		import_unsupported(n, "a range of %g numbers; at most %d are supported", size,
				   MAX_RANGE);
		return;
	}
	int64_t count = size > 0 ? (int64_t)size : 0;
	struct type type = type_fixed(c, elem, 1, &count);
	struct tensor list = {.elem = elem, .rank = 1, .dim = {count}, .count = count};
	list.f = arena_new(c->arena, double, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		list.f[i] = *start + (double)i * *delta;
	uint64_t bytes = (uint64_t)count * normc_elem_size(elem);
	void *p = arena_alloc(c->arena, (size_t)bytes + 1, 1);
	tensor_store(&list, p);
	import_out(n, 0, build_constant(n->g, &type, p, bytes));
}

void import_range(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *const *start, *const *limit, *const *delta;
	struct type type = {.elem = import_in(n, 0)->type.elem, .rank = 1};
	if (elem_is_float(type.elem)) {
		float_range(n, type.elem);
		return;
	}
	if (import_dims(n, 0, &start) != 1 || import_dims(n, 1, &limit) != 1 ||
	    import_dims(n, 2, &delta) != 1)
		return;
	if (dim_is(*delta, 0)) {
		import_invalid(n, "delta is 0");
		return;
	}
	const struct dim *span = dim_sub(dims, *limit, *start), *step = *delta;
	if (dim_is_const(step) && step->value < 0) {
		span = dim_sub(dims, *start, *limit);
		step = dim_sub(dims, dim_const(dims, 0), step);
	}
	type.dim[0] = dim_max(dims, dim_const(dims, 0), dim_ceil_div(dims, span, step));
	struct node *y = build_iota(n->g, &type, 0);
	if (!dim_is(*delta, 1))
		y = build_binary(n->g, OP_mul, y, scalar(n, import_in(n, 2)));
	if (!dim_is(*start, 0))
		y = build_binary(n->g, OP_add, y, scalar(n, import_in(n, 0)));
	import_out(n, 0, y);
}

/* Row and column numbers of the last two dimensions, as i64 tensors that broadcast against each
 * other. */
static bool matrix_indices(struct import *n, const struct type *type, struct node **row,
			   struct node **column)
{
	const struct dim *one = dim_const(n->g->context->dims, 1);
	if (type->rank < 2) {
		import_invalid(n, "needs a tensor of rank 2 or more");
		return false;
	}
	struct type rows = {.elem = NORMC_I64, .rank = 2, .dim = {type->dim[type->rank - 2], one}};
	struct type columns = {
			.elem = NORMC_I64, .rank = 2, .dim = {one, type->dim[type->rank - 1]}};
	*row = build_iota(n->g, &rows, 0);
	*column = build_iota(n->g, &columns, 1);
	return true;
}

void import_eye_like(struct import *n)
{
	struct node *x = import_in(n, 0), *row, *column;
	enum normc_elem elem = (enum normc_elem)import_int(n, "dtype", x->type.elem);
	if (!normc_elem_size(elem)) {
		import_unsupported(n, "element type %d", (int)elem);
		return;
	}
	if (!matrix_indices(n, &x->type, &row, &column))
		return;
	row = build_binary(n->g, OP_add, row,
			   build_integer(n->g, NORMC_I64, import_int(n, "k", 0)));
	import_out(n, 0, build_cast(n->g, build_binary(n->g, OP_eq, row, column), elem));
}

void import_trilu(struct import *n)
{
	struct node *x = import_in(n, 0), *k = import_optional(n, 1), *row, *column;
	if (!matrix_indices(n, &x->type, &row, &column))
		return;
	if (k)
		row = build_binary(n->g, OP_add, row, scalar(n, k));
	bool upper = import_int(n, "upper", 1) != 0;
	struct node *keep = upper ? build_binary(n->g, OP_le, row, column)
				  : build_binary(n->g, OP_le, column, row);
	import_out(n, 0, build_where(n->g, keep, x, compose_number(n->g, x, 0)));
}

void import_where(struct import *n)
{
	import_out(n, 0, build_where(n->g, import_in(n, 0), import_in(n, 1), import_in(n, 2)));
}

/* Conversion with ONNX's attributes: saturation of 8-bit floats, rounding of powers of two. */
static struct node *cast_to(struct import *n, struct node *x, enum normc_elem to)
{
	static const char *const rounds[] = {"up", "down", "nearest"};
	bool saturate = import_int(n, "saturate", 1) != 0;
	const char *round = import_string(n, "round_mode", "up");
	struct attr_cast attr = {.to = to, .wrap = false};
	if (x->type.elem == to)
		return x;
	if (to >= NORMC_F8E4M3FN && to <= NORMC_F8E5M2FNUZ)
		attr.wrap = !saturate;
	if (to != NORMC_F8E8M0)
		return graph_node(n->g, OP_cast, &x, 1, (union attr){.cast = &attr});
	int64_t ints[2] = {saturate, 0};
	while (ints[1] < 2 && strcmp(round, rounds[ints[1]]))
		ints[1]++;
	struct type out = compose_type(x, to);
	struct attr_call call = {
			.name = "cast", .n_out = 1, .out = &out, .n_ints = 2, .ints = ints};
	return compose_result(n->g, compose_call(n->g, &x, 1, &call), 0);
}

void import_cast(struct import *n)
{
	int64_t to = import_int(n, "to", 0);
	if (to == 8)
		import_unsupported(n, "strings are not supported");
	else if (to < 0 || to > NORMC_I2 || !normc_elem_size((enum normc_elem)to))
		import_unsupported(n, "element type %lld", (long long)to);
	else
		import_out(n, 0, cast_to(n, import_in(n, 0), (enum normc_elem)to));
}

void import_cast_like(struct import *n)
{
	import_out(n, 0, cast_to(n, import_in(n, 0), import_in(n, 1)->type.elem));
}

void import_bit_cast(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t to = import_int(n, "to", 0);
	struct attr_cast attr = {.to = (enum normc_elem)to};
	if (to < 0 || to > NORMC_I2 || elem_bits((enum normc_elem)to) != elem_bits(x->type.elem))
		import_unsupported(n, "a bit cast from %s to another size or element type %lld",
				   normc_elem_name(x->type.elem), (long long)to);
	else if (attr.to == NORMC_BOOL || x->type.elem == NORMC_BOOL)
		import_out(n, 0, build_cast(n->g, x, attr.to)); /* the same, for 0 and 1 */
	else
		import_out(n, 0, graph_node(n->g, OP_bitcast, &x, 1, (union attr){.cast = &attr}));
}

void import_dropout(struct import *n)
{
	struct node *x = import_in(n, 0);
	const int64_t *training = NULL;
	if (import_optional(n, 2) && import_numbers(n, 2, &training) != 1)
		return;
	if (training && *training) {
		const double *ratio;
		if (!import_optional(n, 1) || import_reals(n, 1, &ratio) != 1 || *ratio != 0) {
			import_unsupported(n, "Dropout in training mode");
			return;
		}
	}
	struct type mask = compose_type(x, n->opset < 10 ? x->type.elem : NORMC_BOOL);
	import_out(n, 0, x);
	if (import_wants(n, 1))
		import_out(n, 1, compose_fill(n->g, &mask, 1));
}

void import_one_hot(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *index = import_in(n, 0), *values = import_in(n, 2);
	int32_t rank = index->type.rank + 1;
	const struct dim *const *known, *depth;
	const double *number;
	if (rank > MAX_RANK) {
		import_unsupported(n, "the result's rank is above %d", MAX_RANK);
		return;
	}
	if (elem_is_float(import_in(n, 1)->type.elem)) {
		if (import_reals(n, 1, &number) != 1 || !(*number >= 0 && *number < INT32_MAX))
			return;
		depth = dim_const(dims, (int64_t)*number);
	} else {
		if (import_dims(n, 1, &known) != 1)
			return;
		depth = *known;
	}
	int32_t axis = import_axis(n, import_int(n, "axis", -1), rank);
	index = build_unsqueeze(n->g, build_cast(n->g, index, NORMC_I64), 1u << axis);
	struct node *below = build_binary(n->g, OP_lt, index, build_integer(n->g, NORMC_I64, 0));
	struct node *from_end = build_binary(n->g, OP_add, index, build_dims(n->g, 0, 1, &depth));
	index = build_where(n->g, below, from_end, index);
	struct type count = {.elem = NORMC_I64, .rank = rank};
	for (int32_t i = 0; i < rank; i++)
		count.dim[i] = i == axis ? depth : dim_const(dims, 1);
	struct node *hot = build_binary(n->g, OP_eq, index, build_iota(n->g, &count, axis));
	struct node *value[2];
	for (int i = 0; i < 2; i++)
		value[i] = scalar(n, build_slice(n->g, values, 0,
						 (struct slice_range){dim_const(dims, i),
								      dim_const(dims, 1), 1}));
	import_out(n, 0, build_where(n->g, hot, value[1], value[0]));
}
