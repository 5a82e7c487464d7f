/* Shapes as values, and operators that only rename elements: reshapes, transposes, expansions. */
#include <string.h>

#include "compose.h"

void import_identity(struct import *n)
{
	import_out(n, 0, import_in(n, 0));
}

void import_shape(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t rank = x->type.rank, from = import_int(n, "start", 0),
		to = import_int(n, "end", rank);
	from += from < 0 ? rank : 0;
	to += to < 0 ? rank : 0;
	from = from < 0 ? 0 : from > rank ? rank : from;
	to = to > rank ? rank : to < from ? from : to;
	import_out(n, 0, build_dims(n->g, 1, (uint32_t)(to - from), x->type.dim + from));
}

void import_size(struct import *n)
{
	const struct dim *count = type_count(n->g->context->dims, &import_in(n, 0)->type);
	import_out(n, 0, build_dims(n->g, 0, 1, &count));
}

/* A list of extents from operand i, of at most MAX_RANK: their number, or -1 after a report. */
static int32_t read_extents(struct import *n, uint32_t i, const struct dim *const **dim)
{
	int64_t count = import_dims(n, i, dim);
	if (count > MAX_RANK) {
		import_unsupported(n, "rank %lld; at most %d is supported", (long long)count,
				   MAX_RANK);
		return -1;
	}
	return (int32_t)count;
}

/* Entries of Reshape's shape: numbers, 0 (copy) or -1 (infer). Which of these an entry is may be
 * known at run time only; then the extents are expressions that cover all cases. */
struct target {
	const struct dim *extent; /* 1 where it is inferred */
	const struct dim *infers; /* 0 or 1 */
};

static struct target read_target(struct import *n, const struct dim *value,
				 const struct dim *copied)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *zero = dim_const(dims, 0), *one = dim_const(dims, 1);
	if (dim_is(value, -1))
		return (struct target){one, one};
	if (dim_is(value, 0))
		return (struct target){copied ? copied : zero, zero};
	if (dim_lower_bound(value) >= 0)
		return (struct target){value, zero};
	const struct dim *below = dim_sub(dims, zero, value), *size = dim_max(dims, value, below),
			 *extent = size;
	if (copied) {
		const struct dim *is_zero = dim_sub(dims, one, dim_min(dims, one, size));
		extent = dim_add(dims, size, dim_mul(dims, is_zero, copied));
	}
	return (struct target){extent, dim_max(dims, zero, below)};
}

/* Replaces the inferred extents: what is left of `total` after the known ones. Maxima keep products
 * of such extents from being written out. */
static void infer_extents(struct import *n, int32_t rank, const struct target *target,
			  const struct dim *total, const struct dim **dim)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *zero = dim_const(dims, 0), *one = dim_const(dims, 1), *known = one;
	for (int32_t i = 0; i < rank; i++) {
		const struct dim *extent = target[i].extent;
		bool certain = dim_is(target[i].infers, 0);
		known = dim_mul(dims, known, certain ? extent : dim_max(dims, one, extent));
	}
	const struct dim *rest = dim_is(known, 0) ? zero : dim_div(dims, total, known);
	for (int32_t i = 0; i < rank; i++) {
		dim[i] = target[i].extent;
		if (dim_is(target[i].infers, 1)) {
			dim[i] = rest;
		} else if (!dim_is(target[i].infers, 0)) {
			const struct dim *more =
					dim_mul(dims, target[i].infers, dim_sub(dims, rest, one));
			dim[i] = dim_max(dims, zero, dim_add(dims, dim[i], more));
		}
	}
}

void import_reshape(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0);
	const struct dim *const *shape, *dim[MAX_RANK];
	struct target target[MAX_RANK];
	bool allow_zero = import_int(n, "allowzero", 0) != 0, certain = true;
	int32_t rank = read_extents(n, 1, &shape), infers = 0;
	for (int32_t i = 0; i < rank; i++) {
		const struct dim *copied = i < x->type.rank && !allow_zero ? x->type.dim[i] : NULL;
		if (dim_is(shape[i], 0) && !copied && !allow_zero)
			import_invalid(n, "entry %d of the shape is 0, but the input has rank %d",
				       i, x->type.rank);
		target[i] = read_target(n, shape[i], copied);
		infers += dim_is(target[i].infers, 1);
		certain = certain && dim_is(target[i].infers, 0);
		dim[i] = target[i].extent;
	}
	if (infers > 1)
		import_invalid(n, "the shape has more than one -1");
	if (rank < 0 || infers > 1)
		return;
	if (!certain)
		infer_extents(n, rank, target, type_count(dims, &x->type), dim);
	import_out(n, 0, build_reshape(n->g, x, rank, dim));
}

void import_flatten(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0);
	int64_t axis = import_int(n, "axis", 1);
	const struct dim *dim[2] = {dim_const(dims, 1), dim_const(dims, 1)};
	if (axis != x->type.rank)
		axis = import_axis(n, axis, x->type.rank);
	for (int32_t i = 0; i < x->type.rank; i++)
		dim[i >= axis] = dim_mul(dims, dim[i >= axis], x->type.dim[i]);
	import_out(n, 0, build_reshape(n->g, x, 2, dim));
}

void import_squeeze(struct import *n)
{
	struct node *x = import_in(n, 0);
	uint32_t ones = 0;
	for (int32_t i = 0; i < x->type.rank; i++)
		if (dim_is(x->type.dim[i], 1))
			ones |= 1u << i;
	bool operand = n->opset >= 13;
	uint32_t axes = import_axes(n, operand ? NULL : "axes", operand ? 1 : -1, x->type.rank,
				    ones);
	for (int32_t i = 0; i < x->type.rank; i++)
		if (axes >> i &
		    1) /* an unknown extent is taken to be 1, which is checked at run time */
			graph_same_extent(n->g, x->type.dim[i], dim_const(n->g->context->dims, 1));
	import_out(n, 0, build_squeeze(n->g, x, axes));
}

void import_unsqueeze(struct import *n)
{
	struct node *x = import_in(n, 0);
	const int64_t *list;
	bool operand = n->opset >= 13;
	int64_t count = operand ? import_numbers(n, 1, &list) : import_ints(n, "axes", &list);
	if (count < 0)
		return;
	if (count + x->type.rank > MAX_RANK) {
		import_unsupported(n, "the result's rank is above %d", MAX_RANK);
		return;
	}
	uint32_t axes = import_axes(n, operand ? NULL : "axes", operand ? 1 : -1,
				    x->type.rank + (int32_t)count, 0);
	import_out(n, 0, build_unsqueeze(n->g, x, axes));
}

void import_transpose(struct import *n)
{
	struct node *x = import_in(n, 0);
	int32_t rank = x->type.rank, perm[MAX_RANK];
	const int64_t *list;
	uint32_t count = import_ints(n, "perm", &list), seen = 0;
	if (count && count != (uint32_t)rank) {
		import_invalid(n, "perm has %u entries for rank %d", count, rank);
		return;
	}
	for (int32_t i = 0; i < rank; i++) {
		perm[i] = count ? import_axis(n, list[i], rank) : rank - 1 - i;
		seen |= 1u << perm[i];
	}
	if (seen != compose_all_axes(rank))
		import_invalid(n, "perm is not a permutation");
	else
		import_out(n, 0, build_transpose(n->g, x, perm));
}

void import_expand(struct import *n)
{
	struct context *c = n->g->context;
	struct node *x = import_in(n, 0);
	const struct dim *const *shape, *dim[MAX_RANK];
	int32_t given = read_extents(n, 1, &shape),
		rank = given > x->type.rank ? given : x->type.rank;
	if (given < 0)
		return;
	for (int32_t i = 0; i < rank; i++) {
		int32_t in = i - (rank - x->type.rank), to = i - (rank - given);
		const struct dim *have = in < 0 ? dim_const(c->dims, 1) : x->type.dim[in];
		const struct dim *want = to < 0 ? dim_const(c->dims, 1) : shape[to];
		if (dim_is(have, 1))
			dim[i] = want;
		else if (dim_is(want, 1) || (dim_is_const(have) && !dim_is_const(want)))
			dim[i] = have; /* the other one is 1 or the same */
		else
			dim[i] = graph_same_extent(n->g, have, want);
	}
	import_out(n, 0, build_broadcast(n->g, x, rank, dim));
}

/* [before, extents[axis..]] repeated: each run of `run` elements `times` times. */
static struct node *repeat(struct import *n, struct node *x, int32_t first, const struct dim *times)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *one = dim_const(dims, 1), *dim[3] = {one, one, one};
	for (int32_t i = 0; i < x->type.rank; i++)
		dim[i < first ? 0 : 2] = dim_mul(dims, dim[i < first ? 0 : 2], x->type.dim[i]);
	struct node *y = build_reshape(n->g, x, 3, dim);
	dim[1] = times;
	return build_broadcast(n->g, y, 3, dim);
}

struct node *compose_tile(struct import *n, struct node *x, int32_t axis, const struct dim *times,
			  bool each)
{
	const struct dim *dim[MAX_RANK];
	if (dim_is(times, 1) || node_is_poison(x))
		return x;
	memcpy(dim, x->type.dim, sizeof dim);
	dim[axis] = dim_mul(n->g->context->dims, dim[axis], times);
	if (dim_is(x->type.dim[axis], 1))
		return build_broadcast(n->g, x, x->type.rank, dim);
	return build_reshape(n->g, repeat(n, x, axis + each, times), x->type.rank, dim);
}

void import_tile(struct import *n)
{
	struct node *x = import_in(n, 0);
	const struct dim *const *times;
	int64_t count = import_dims(n, 1, &times);
	if (count < 0)
		return;
	if (count != x->type.rank) {
		import_invalid(n, "%lld repeats for rank %d", (long long)count, x->type.rank);
		return;
	}
	for (int32_t i = 0; i < x->type.rank; i++)
		x = compose_tile(n, x, i, times[i], false);
	import_out(n, 0, x);
}

/* Extents of a tensor whose blocks are moved between depth and space. */
struct blocks {
	struct node *x;
	const struct dim *block, *channels, *height, *width;
};

static bool read_blocks(struct import *n, struct blocks *b)
{
	int64_t size = import_int(n, "blocksize", 0);
	b->x = import_in(n, 0);
	if (size < 1 || size > INT32_MAX || b->x->type.rank != 4) {
		import_invalid(n, "needs a tensor of rank 4 and a block size of 1 or more");
		return false;
	}
	b->block = dim_const(n->g->context->dims, size);
	b->channels = b->x->type.dim[1];
	b->height = b->x->type.dim[2];
	b->width = b->x->type.dim[3];
	return true;
}

void import_depth_to_space(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct blocks b;
	if (!read_blocks(n, &b))
		return;
	bool columns = !strcmp(import_string(n, "mode", "DCR"), "CRD");
	const struct dim *batch = b.x->type.dim[0];
	const struct dim *rest = dim_div(dims, b.channels, dim_mul(dims, b.block, b.block));
	const struct dim *apart[2][6] = {{batch, b.block, b.block, rest, b.height, b.width},
					 {batch, rest, b.block, b.block, b.height, b.width}};
	static const int32_t perm[2][6] = {{0, 3, 4, 1, 5, 2}, {0, 1, 4, 2, 5, 3}};
	const struct dim *whole[4] = {batch, rest, dim_mul(dims, b.height, b.block),
				      dim_mul(dims, b.width, b.block)};
	struct node *y = build_transpose(n->g, build_reshape(n->g, b.x, 6, apart[columns]),
					 perm[columns]);
	import_out(n, 0, build_reshape(n->g, y, 4, whole));
}

void import_space_to_depth(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct blocks b;
	if (!read_blocks(n, &b))
		return;
	const struct dim *batch = b.x->type.dim[0];
	const struct dim *height = dim_div(dims, b.height, b.block),
			 *width = dim_div(dims, b.width, b.block);
	const struct dim *apart[6] = {batch, b.channels, height, b.block, width, b.block};
	static const int32_t perm[6] = {0, 3, 5, 1, 2, 4};
	const struct dim *whole[4] = {batch,
				      dim_mul(dims, b.channels, dim_mul(dims, b.block, b.block)),
				      height, width};
	struct node *y = build_transpose(n->g, build_reshape(n->g, b.x, 6, apart), perm);
	import_out(n, 0, build_reshape(n->g, y, 4, whole));
}
