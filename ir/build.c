/* Short builders.  They add the broadcasts, reshapes and casts that the strict operations of
 * ops.def want, and skip those that would change nothing. */
#include "graph.h"

#include <string.h>

#define ATTR(word, ...) ((union attr){.word = &(struct attr_##word)__VA_ARGS__})
static const union attr no_attr = {NULL};

struct node *build_unary(struct graph *g, enum op op, struct node *a)
{
	return graph_node(g, op, &a, 1, no_attr);
}

static bool same_shape(const struct type *a, int32_t rank, const struct dim *const *dim)
{
	return a->rank == rank && !memcmp(a->dim, dim, (size_t)rank * sizeof *dim);
}

struct node *build_broadcast(struct graph *g, struct node *a, int32_t rank,
			     const struct dim *const *dim)
{
	if (node_is_poison(a) || same_shape(&a->type, rank, dim))
		return a;
	struct attr_shape to = {.rank = rank};
	memcpy(to.dim, dim, (size_t)rank * sizeof *dim);
	if (a->type.rank < rank) {
		const struct dim *padded[MAX_RANK];
		int32_t lead = rank - a->type.rank;
		for (int32_t i = 0; i < rank; i++)
			padded[i] = i < lead ? dim_const(g->context->dims, 1)
					     : a->type.dim[i - lead];
		a = build_reshape(g, a, rank, padded);
		if (node_is_poison(a) || same_shape(&a->type, rank, dim))
			return a;
	}
	return graph_node(g, OP_broadcast, &a, 1, (union attr){.shape = &to});
}

/* The shape that numpy broadcasting gives; false after a report. */
static bool common_shape(struct graph *g, struct node *const *in, uint32_t n, struct attr_shape *to)
{
	*to = (struct attr_shape){0};
	for (uint32_t k = 0; k < n; k++)
		if (in[k]->type.rank > to->rank)
			to->rank = in[k]->type.rank;
	for (int32_t i = 0; i < to->rank; i++)
		to->dim[i] = dim_const(g->context->dims, 1);
	for (uint32_t k = 0; k < n; k++) {
		const struct type *t = &in[k]->type;
		for (int32_t i = 0; i < t->rank; i++) {
			const struct dim **d = &to->dim[i + to->rank - t->rank];
			if (dim_is(*d, 1))
				*d = t->dim[i];
			else if (!dim_is(t->dim[i], 1)) {
				uint32_t errors = g->context->diag->errors;
				*d = graph_same_extent(g, *d, t->dim[i]);
				if (g->context->diag->errors != errors)
					return false;
			}
		}
	}
	return true;
}

static struct node *build_map(struct graph *g, enum op op, struct node **in, uint32_t n)
{
	struct attr_shape to;
	for (uint32_t i = 0; i < n; i++)
		if (node_is_poison(in[i]))
			return in[i];
	if (!common_shape(g, in, n, &to))
		return graph_poison(g);
	for (uint32_t i = 0; i < n; i++)
		in[i] = build_broadcast(g, in[i], to.rank, to.dim);
	return graph_node(g, op, in, n, no_attr);
}

struct node *build_binary(struct graph *g, enum op op, struct node *a, struct node *b)
{
	return build_map(g, op, (struct node *[]){a, b}, 2);
}

struct node *build_where(struct graph *g, struct node *condition, struct node *a, struct node *b)
{
	return build_map(g, OP_where, (struct node *[]){condition, a, b}, 3);
}

struct node *build_cast(struct graph *g, struct node *a, enum normc_elem to)
{
	if (a->type.elem == to)
		return a;
	return graph_node(g, OP_cast, &a, 1, ATTR(cast, {.to = to}));
}

struct node *build_reshape(struct graph *g, struct node *a, int32_t rank,
			   const struct dim *const *dim)
{
	if (node_is_poison(a) || same_shape(&a->type, rank, dim))
		return a;
	while (a->op == OP_reshape) /* only the last shape matters */
		a = a->in[0];
	if (same_shape(&a->type, rank, dim))
		return a;
	struct attr_shape to = {.rank = rank};
	memcpy(to.dim, dim, (size_t)rank * sizeof *dim);
	return graph_node(g, OP_reshape, &a, 1, (union attr){.shape = &to});
}

struct node *build_transpose(struct graph *g, struct node *a, const int32_t *perm)
{
	if (node_is_poison(a))
		return a;
	struct attr_perm attr = {{0}};
	bool identity = true;
	for (int32_t i = 0; i < a->type.rank; i++) {
		attr.perm[i] = perm[i];
		identity = identity && perm[i] == i;
	}
	return identity ? a : graph_node(g, OP_transpose, &a, 1, (union attr){.perm = &attr});
}

struct node *build_unsqueeze(struct graph *g, struct node *a, uint32_t axes)
{
	const struct dim *dim[MAX_RANK];
	int32_t rank = 0;
	if (node_is_poison(a))
		return a;
	for (int32_t from = 0; rank < MAX_RANK; rank++) {
		if (axes >> rank & 1)
			dim[rank] = dim_const(g->context->dims, 1);
		else if (from < a->type.rank)
			dim[rank] = a->type.dim[from++];
		else
			break;
	}
	return build_reshape(g, a, rank, dim);
}

struct node *build_squeeze(struct graph *g, struct node *a, uint32_t axes)
{
	const struct dim *dim[MAX_RANK];
	int32_t rank = 0;
	if (node_is_poison(a))
		return a;
	for (int32_t i = 0; i < a->type.rank; i++)
		if (!(axes >> i & 1))
			dim[rank++] = a->type.dim[i];
	return build_reshape(g, a, rank, dim);
}

struct node *build_slice(struct graph *g, struct node *a, int32_t axis, struct slice_range range)
{
	if (node_is_poison(a))
		return a;
	if (dim_is(range.start, 0) && range.extent == a->type.dim[axis] && range.step == 1)
		return a;
	struct attr_slice attr = {0};
	for (int32_t i = 0; i < a->type.rank; i++) {
		attr.start[i] = i == axis ? range.start : dim_const(g->context->dims, 0);
		attr.extent[i] = i == axis ? range.extent : a->type.dim[i];
		attr.step[i] = i == axis ? range.step : 1;
	}
	return graph_node(g, OP_slice, &a, 1, (union attr){.slice = &attr});
}

struct node *build_concat(struct graph *g, struct node *const *in, uint32_t n, int32_t axis)
{
	return n == 1 ? in[0] : graph_node(g, OP_concat, in, n, ATTR(axis, {.axis = axis}));
}

struct node *build_gather(struct graph *g, struct node *data, struct node *index, int32_t axis)
{
	return graph_node(g, OP_gather, (struct node *[]){data, index}, 2,
			  ATTR(axis, {.axis = axis}));
}

struct node *build_reduce(struct graph *g, enum op op, struct node *a, uint32_t axes, bool keep)
{
	struct node *n = axes ? graph_node(g, op, &a, 1, ATTR(axes, {.mask = axes})) : a;
	return keep ? n : build_squeeze(g, n, axes);
}

struct node *build_mean(struct graph *g, struct node *a, uint32_t axes, bool keep)
{
	if (node_is_poison(a))
		return a;
	struct dims *dims = g->context->dims;
	const struct dim *count = dim_const(dims, 1);
	for (int32_t i = 0; i < a->type.rank; i++)
		if (axes >> i & 1)
			count = dim_mul(dims, count, a->type.dim[i]);
	struct node *n = build_cast(g, build_dims(g, 0, 1, &count), a->type.elem);
	return build_binary(g, OP_div, build_reduce(g, OP_reduce_sum, a, axes, keep), n);
}

struct node *build_softmax(struct graph *g, struct node *a, int32_t axis, bool log)
{
	struct attr_softmax attr = {0};
	attr.axis = axis;
	attr.log = log;
	return graph_node(g, OP_softmax, &a, 1, (union attr){.softmax = &attr});
}

/* [m, k] x [k, n] where the right side has no batch: the left side's batch joins m. */
static struct node *matmul_flat(struct graph *g, struct node *a, struct node *b)
{
	struct dims *dims = g->context->dims;
	const struct type t = a->type;
	const struct dim *m = t.dim[0];
	for (int32_t i = 1; i < t.rank - 1; i++)
		m = dim_mul(dims, m, t.dim[i]);
	const struct dim *flat[2] = {m, t.dim[t.rank - 1]}, *full[MAX_RANK];
	struct node *operands[2] = {build_reshape(g, a, 2, flat), b};
	struct node *y = graph_node(g, OP_matmul, operands, 2, no_attr);
	memcpy(full, t.dim, sizeof full);
	full[t.rank - 1] = b->type.dim[1];
	return build_reshape(g, y, t.rank, full);
}

static struct node *matmul_batched(struct graph *g, struct node *a, struct node *b)
{
	int32_t rank = a->type.rank > b->type.rank ? a->type.rank : b->type.rank;
	struct dims *dims = g->context->dims;
	struct node *in[2] = {a, b};
	const struct dim *shape[2][MAX_RANK];
	for (int k = 0; k < 2; k++)
		for (int32_t i = 0; i < rank; i++) {
			int32_t from = i - (rank - in[k]->type.rank);
			shape[k][i] = from < 0 ? dim_const(dims, 1) : in[k]->type.dim[from];
		}
	for (int32_t i = 0; i < rank - 2; i++) {
		const struct dim *x = shape[0][i], *y = shape[1][i];
		const struct dim *d = dim_is(x, 1)   ? y
				      : dim_is(y, 1) ? x
						     : graph_same_extent(g, x, y);
		shape[0][i] = shape[1][i] = d;
	}
	for (int k = 0; k < 2; k++)
		in[k] = build_broadcast(g, in[k], rank, shape[k]);
	return graph_node(g, OP_matmul, in, 2, no_attr);
}

struct node *build_matmul(struct graph *g, struct node *a, struct node *b)
{
	if (node_is_poison(a) || node_is_poison(b))
		return node_is_poison(a) ? a : b;
	if (!a->type.rank || !b->type.rank) {
		diag_error(g->context->diag, g->at, NORMC_INVALID,
			   "a matrix product needs operands of rank 1 or more");
		return graph_poison(g);
	}
	bool row = a->type.rank == 1, column = b->type.rank == 1;
	if (row)
		a = build_unsqueeze(g, a, 1);
	if (column)
		b = build_unsqueeze(g, b, 2);
	struct node *y = b->type.rank == 2 && a->type.rank > 2 ? matmul_flat(g, a, b)
							       : matmul_batched(g, a, b);
	if (node_is_poison(y) || (!row && !column))
		return y;
	int32_t rank = y->type.rank;
	return build_squeeze(g, y, (row ? 1u << (rank - 2) : 0) | (column ? 1u << (rank - 1) : 0));
}

struct node *build_conv(struct graph *g, struct node *x, struct node *w,
			const struct attr_conv *attr)
{
	return graph_node(g, OP_conv, (struct node *[]){x, w}, 2, (union attr){.conv = attr});
}

struct node *build_pool(struct graph *g, enum op op, struct node *x, const struct attr_pool *attr)
{
	return graph_node(g, op, &x, 1, (union attr){.pool = attr});
}

struct node *build_norm(struct graph *g, struct norm_operands in, const struct attr_norm *attr)
{
	struct node *operand[5] = {in.x};
	uint32_t n = 1;
	if (attr->gamma)
		operand[n++] = in.gamma;
	if (attr->beta)
		operand[n++] = in.beta;
	if (attr->centre == NORM_CENTRE_GIVEN)
		operand[n++] = in.mean;
	if (attr->scale == NORM_SCALE_GIVEN)
		operand[n++] = in.variance;
	return graph_node(g, OP_norm, operand, n, (union attr){.norm = attr});
}

struct node *build_call(struct graph *g, struct node *const *in, uint32_t n,
			const struct attr_call *attr)
{
	return graph_node(g, OP_call, in, n, (union attr){.call = attr});
}

struct node *build_absent(struct graph *g)
{
	struct type empty = type_fixed(g->context, NORMC_U8, 1, (int64_t[]){0});
	return build_constant(g, &empty, "", 0);
}

bool node_is_absent(const struct node *n)
{
	return n->op == OP_constant && n->type.elem == NORMC_U8 && n->type.rank == 1 &&
	       dim_is(n->type.dim[0], 0);
}

struct node *build_part(struct graph *g, struct node *a, uint32_t index)
{
	return graph_node(g, OP_part, &a, 1, ATTR(part, {.index = index}));
}

struct node *build_dims(struct graph *g, int32_t rank, uint32_t n, const struct dim *const *value)
{
	int64_t number = 0;
	bool constant = true;
	for (uint32_t i = 0; i < n; i++)
		constant = constant && dim_is_const(value[i]);
	if (constant) {
		int64_t *p = arena_new(g->context->arena, int64_t, n + !n);
		for (uint32_t i = 0; i < n; i++)
			p[i] = value[i]->value;
		number = n;
		struct type t = type_fixed(g->context, NORMC_I64, rank, &number);
		return build_constant(g, &t, p, n * sizeof *p);
	}
	struct attr_dims attr = {0};
	attr.rank = rank;
	attr.n = n;
	attr.value = arena_copy(g->context->arena, value, n * sizeof *value);
	return graph_node(g, OP_dims, NULL, 0, (union attr){.dims = &attr});
}

struct node *build_iota(struct graph *g, const struct type *type, int32_t axis)
{
	struct attr_iota attr = {.type = *type, .axis = axis};
	return graph_node(g, OP_iota, NULL, 0, (union attr){.iota = &attr});
}

struct node *build_pad(struct graph *g, struct node *a, struct node *value,
		       const struct attr_pad *attr)
{
	bool nothing = true;
	if (node_is_poison(a))
		return a;
	for (int32_t i = 0; i < a->type.rank; i++)
		nothing = nothing && dim_is(attr->before[i], 0) && dim_is(attr->after[i], 0);
	return nothing ? a
		       : graph_node(g, OP_pad, (struct node *[]){a, value}, 2,
				    (union attr){.pad = attr});
}
