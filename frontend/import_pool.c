/* Pooling, global pooling, and local response normalization, which pools along channels. */
#include <string.h>

#include "window.h"

/* Reads geometry and padding; false after a report. */
static bool read_pool(struct import *n, struct node *x, struct attr_pool *w)
{
	if (!window_read(n, x, NULL, w))
		return false;
	window_pad(n, x, w, import_int(n, "ceil_mode", 0) != 0);
	return true;
}

/* How many elements each window averages over: a constant, or the pooled sum of ones [1, 1, s...].
 * With `padding` the padding counts, but not what ceil_mode added behind it. */
static struct node *window_counts(struct import *n, const struct node *x, struct attr_pool w,
				  bool padding)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	struct type t = {.elem = x->type.elem, .rank = x->type.rank};
	struct attr_pool stated = w;
	double all = 1;
	bool whole = true;
	window_pad(n, x, &stated, false);
	t.dim[0] = t.dim[1] = compose_dim(n, 1);
	for (int32_t i = 0; i < w.spatial; i++) {
		t.dim[i + 2] = x->type.dim[i + 2];
		all *= (double)w.kernel[i];
		if (padding) {
			t.dim[i + 2] = dim_add(dims, dim_add(dims, t.dim[i + 2], w.before[i]),
					       stated.after[i]);
			w.before[i] = compose_dim(n, 0);
			w.after[i] = dim_sub(dims, w.after[i], stated.after[i]);
		}
		whole = whole && dim_is(w.before[i], 0) && dim_is(w.after[i], 0);
	}
	return whole ? compose_number(g, x, all)
		     : build_pool(g, OP_pool_sum, compose_fill(g, &t, 1), &w);
}

void import_average_pool(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct attr_pool w;
	if (!read_pool(n, x, &w))
		return;
	struct node *wide = compose_wide(n->g, x), *sum = build_pool(n->g, OP_pool_sum, wide, &w);
	struct node *count = window_counts(n, wide, w, import_int(n, "count_include_pad", 0) != 0);
	import_out(n, 0, build_cast(n->g, build_binary(n->g, OP_div, sum, count), x->type.elem));
}

/* (sum |x|^p)^(1/p) */
static struct node *power_sum(struct import *n,
			      struct node *sum_of(struct import *, struct node *, const void *),
			      const void *user)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0), *wide = compose_wide(g, x);
	double p = (double)import_int(n, "p", 2);
	if (!import_in_range(n, "p", import_int(n, "p", 2), 1, INT64_MAX))
		return graph_poison(g);
	struct node *y = compose_power(g, p == 2 ? wide : build_unary(g, OP_abs, wide), p);
	return build_cast(g, compose_power(g, sum_of(n, y, user), 1 / p), x->type.elem);
}

static struct node *sum_windows(struct import *n, struct node *x, const void *user)
{
	return build_pool(n->g, OP_pool_sum, x, user);
}

void import_lp_pool(struct import *n)
{
	struct attr_pool w;
	if (read_pool(n, import_in(n, 0), &w))
		import_out(n, 0, power_sum(n, sum_windows, &w));
}

/* Axes 2.. of an input of rank 2 or more; false after a report. */
static bool spatial_axes(struct import *n, struct node *x, uint32_t *axes)
{
	if (node_is_poison(x))
		return false;
	if (x->type.rank < 2) {
		import_invalid(n, "input of rank %d; 2 or more are needed", x->type.rank);
		return false;
	}
	*axes = compose_all_axes(x->type.rank) & ~3u;
	return true;
}

static struct node *sum_axes(struct import *n, struct node *x, const void *user)
{
	return build_reduce(n->g, OP_reduce_sum, x, *(const uint32_t *)user, true);
}

/* GlobalAveragePool, GlobalMaxPool, GlobalLpPool */
void import_global_pool(struct import *n)
{
	struct node *x = import_in(n, 0);
	uint32_t axes;
	if (!spatial_axes(n, x, &axes))
		return;
	if (!strcmp(n->op_type, "GlobalMaxPool"))
		import_out(n, 0, build_reduce(n->g, OP_reduce_max, x, axes, true));
	else if (!strcmp(n->op_type, "GlobalLpPool"))
		import_out(n, 0, power_sum(n, sum_axes, &axes));
	else
		import_out(n, 0,
			   build_cast(n->g, build_mean(n->g, compose_wide(n->g, x), axes, true),
				      x->type.elem));
}

void import_max_pool(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct attr_pool w;
	int64_t ints[1 + 4 * MAX_SPATIAL] = {import_int(n, "storage_order", 0)};
	if (!read_pool(n, x, &w))
		return;
	if (!import_wants(n, 1)) {
		import_out(n, 0, build_pool(n->g, OP_pool_max, x, &w));
		return;
	}
	struct type out[2] = {x->type};
	for (int32_t i = 0; i < w.spatial; i++)
		out[0].dim[i + 2] = window_positions(n, x, &w, i);
	out[1] = out[0];
	out[1].elem = NORMC_I64;
	struct attr_call call = {.name = "max_pool", .n_out = 2, .out = out, .ints = ints};
	call.n_ints = 1 + window_integers(n, &w, true, ints + 1);
	struct node *y = compose_call(n->g, &x, 1, &call);
	import_out(n, 0, compose_result(n->g, y, 0));
	import_out(n, 1, compose_result(n->g, y, 1));
}

void import_max_unpool(struct import *n)
{
	struct node *in[2] = {import_in(n, 0), import_in(n, 1)};
	struct dims *dims = n->g->context->dims;
	struct attr_pool w;
	const struct dim *const *shape;
	int64_t pads[2 * MAX_SPATIAL], ints[4 * MAX_SPATIAL];
	if (!window_read(n, in[0], NULL, &w) || !window_ints(n, "pads", 2 * w.spatial, 0, pads))
		return;
	struct type t = in[0]->type;
	bool given = import_optional(n, 2) != NULL;
	if (given && import_dims(n, 2, &shape) != t.rank) {
		import_invalid(n, "output_shape does not have %d elements", t.rank);
		return;
	}
	int32_t s = w.spatial;
	for (int32_t i = 0; i < s; i++) {
		ints[i] = w.kernel[i];
		ints[s + i] = w.stride[i];
		const struct dim *steps = dim_sub(dims, t.dim[i + 2], compose_dim(n, 1));
		steps = dim_mul(dims, steps, compose_dim(n, w.stride[i]));
		t.dim[i + 2] = dim_add(dims, steps,
				       compose_dim(n, w.kernel[i] - pads[i] - pads[s + i]));
	}
	memcpy(ints + 2 * s, pads, (size_t)(2 * s) * sizeof *pads);
	for (int32_t i = 0; given && i < t.rank; i++)
		t.dim[i] = shape[i];
	struct attr_call call = {.name = "max_unpool",
				 .n_out = 1,
				 .out = &t,
				 .n_ints = 4 * (uint32_t)s,
				 .ints = ints};
	import_out(n, 0, compose_call(n->g, in, 2, &call));
}

void import_max_roi_pool(struct import *n)
{
	struct node *in[2] = {import_in(n, 0), import_in(n, 1)};
	int64_t size[2];
	double scale = import_float(n, "spatial_scale", 1);
	if (node_is_poison(in[0]) || node_is_poison(in[1]) ||
	    !window_ints(n, "pooled_shape", 2, 1, size))
		return;
	if (in[0]->type.rank != 4 || in[1]->type.rank != 2) {
		import_invalid(n, "operands of rank %d and %d instead of 4 and 2", in[0]->type.rank,
			       in[1]->type.rank);
		return;
	}
	struct type t = {.elem = in[0]->type.elem, .rank = 4};
	t.dim[0] = in[1]->type.dim[0];
	t.dim[1] = in[0]->type.dim[1];
	t.dim[2] = compose_dim(n, size[0]);
	t.dim[3] = compose_dim(n, size[1]);
	struct attr_call call = {.name = "max_roi_pool",
				 .n_out = 1,
				 .out = &t,
				 .n_floats = 1,
				 .floats = &scale};
	import_out(n, 0, compose_call(n->g, in, 2, &call));
}

enum { LRN_COMPOSED = 16 }; /* more channels than this are left to the runtime */

/* Sum of the squares in the channels around each: shifted slices of a padded tensor, which fuse
 * into one loop. */
static struct node *sum_around(struct import *n, struct node *x, int64_t size)
{
	struct graph *g = n->g;
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	struct node *square = build_binary(g, OP_mul, x, x), *sum = NULL;
	for (int32_t i = 0; i < x->type.rank; i++)
		pad.before[i] = pad.after[i] = compose_dim(n, 0);
	pad.before[1] = compose_dim(n, (size - 1) / 2);
	pad.after[1] = compose_dim(n, size - 1 - (size - 1) / 2);
	square = build_pad(g, square, compose_number(g, x, 0), &pad);
	for (int64_t i = 0; i < size; i++) {
		struct node *part = build_slice(
				g, square, 1,
				(struct slice_range){compose_dim(n, i), x->type.dim[1], 1});
		sum = sum ? build_binary(g, OP_add, sum, part) : part;
	}
	return sum;
}

void import_lrn(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0);
	uint32_t axes;
	int64_t size = import_int(n, "size", 0);
	double floats[3] = {import_float(n, "alpha", 0.0001), import_float(n, "beta", 0.75),
			    import_float(n, "bias", 1)};
	if (!spatial_axes(n, x, &axes))
		return;
	if (!import_in_range(n, "size", size, 1, INT64_MAX))
		return;
	if (size > LRN_COMPOSED) {
		struct attr_call call = {.name = "lrn",
					 .n_out = 1,
					 .out = &x->type,
					 .n_ints = 1,
					 .ints = &size,
					 .n_floats = 3,
					 .floats = floats};
		import_out(n, 0, compose_call(g, &x, 1, &call));
		return;
	}
	struct node *wide = compose_wide(g, x), *sum = sum_around(n, wide, size);
	sum = compose_with(g, OP_add, compose_with(g, OP_mul, sum, floats[0] / (double)size),
			   floats[2]);
	struct node *y = build_binary(g, OP_div, wide, compose_power(g, sum, floats[1]));
	import_out(n, 0, build_cast(g, y, x->type.elem));
}
