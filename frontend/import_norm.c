/* Normalization layers.  All become the operation norm (struct attr_norm), whatever the operator is
 * called. */
#include <math.h>
#include <string.h>

#include "compose.h"

/* Element type in which operands of two types are combined: the wider. */
static enum normc_elem wider(const struct node *a, const struct node *b)
{
	return elem_bits(a->type.elem) >= elem_bits(b->type.elem) ? a->type.elem : b->type.elem;
}

/* Gives a tensor `rank` dimensions by extents 1 in front. */
static struct node *lead_to_rank(struct graph *g, struct node *a, int32_t rank)
{
	if (node_is_poison(a) || a->type.rank >= rank)
		return a;
	return build_unsqueeze(g, a, compose_all_axes(rank - a->type.rank));
}

/* [C] -> [1, C, 1...]; [C, D...] -> [1, C, D...] (statistics of their own for each position) */
static struct node *per_channel(struct import *n, uint32_t i, const struct node *x)
{
	struct node *a = import_in(n, i);
	if (x->type.rank < 2 || a->type.rank > 1)
		return lead_to_rank(n->g, a, x->type.rank);
	return compose_along(n->g, a, x->type.rank, 1);
}

/* BatchNormalization with statistics of this batch, and the running ones moved towards them. */
static void batch_norm_training(struct import *n, struct node *x, struct node *gamma,
				struct node *beta)
{
	struct graph *g = n->g;
	struct attr_norm attr = {.centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true};
	double momentum = import_float(n, "momentum", 0.9);
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	attr.axes = compose_all_axes(x->type.rank) & ~2u;
	import_out(n, 0,
		   build_norm(g, (struct norm_operands){.x = x, .gamma = gamma, .beta = beta},
			      &attr));
	struct node *now[2], *wide = compose_wide(g, x);
	now[0] = build_mean(g, wide, attr.axes, true);
	struct node *off = build_binary(g, OP_sub, wide, now[0]);
	now[1] = build_squeeze(g, build_mean(g, build_binary(g, OP_mul, off, off), attr.axes, true),
			       attr.axes);
	now[0] = build_squeeze(g, now[0], attr.axes);
	for (uint32_t i = 0; i < 2; i++) {
		struct node *before = import_in(n, 3 + i);
		enum normc_elem elem = before->type.elem;
		before = compose_wide(g, before);
		struct node *share = compose_with(
				g, OP_mul, build_cast(g, now[i], before->type.elem), 1 - momentum);
		before = compose_with(g, OP_mul, before, momentum);
		import_out(n, 1 + i, build_cast(g, build_binary(g, OP_add, before, share), elem));
	}
}

void import_batch_norm(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0), *in[4];
	if (node_is_poison(x))
		return;
	enum normc_elem elem = x->type.elem, work = elem;
	for (uint32_t i = 0; i < 4; i++) {
		in[i] = per_channel(n, i + 1, x);
		if (node_is_poison(in[i]))
			return;
		work = elem_bits(work) >= elem_bits(in[i]->type.elem) ? work : in[i]->type.elem;
	}
	if (n->opset >= 14 && import_int(n, "training_mode", 0)) {
		batch_norm_training(n, x, build_cast(g, in[0], elem), build_cast(g, in[1], elem));
		return;
	}
	for (uint32_t i = 1; i < n->n_out; i++)
		if (import_wants(n, i)) {
			import_unsupported(n, "training results in this opset");
			return;
		}
	struct attr_norm attr = {.centre = NORM_CENTRE_GIVEN,
				 .scale = NORM_SCALE_GIVEN,
				 .gamma = true,
				 .beta = true};
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	for (uint32_t i = 0; i < 4; i++)
		in[i] = build_cast(g, in[i], work);
	struct norm_operands operands = {build_cast(g, x, work), in[0], in[1], in[2], in[3]};
	struct node *y = build_norm(g, operands, &attr);
	import_out(n, 0, build_cast(g, y, elem));
}

void import_instance_norm(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct attr_norm attr = {.centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true};
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	attr.axes = compose_all_axes(x->type.rank) & ~3u;
	if (node_is_poison(x))
		return;
	import_out(n, 0,
		   build_norm(n->g,
			      (struct norm_operands){.x = x,
						     .gamma = per_channel(n, 1, x),
						     .beta = per_channel(n, 2, x)},
			      &attr));
}

/* Axes from `axis` to the last. */
static uint32_t trailing_axes(struct import *n, const struct node *x)
{
	int32_t axis = import_axis(n, import_int(n, "axis", -1), x->type.rank);
	return compose_all_axes(x->type.rank) & ~compose_all_axes(axis);
}

/* The type in which the statistics are kept (attribute stash_type). */
static enum normc_elem stash_elem(struct import *n, const struct node *x)
{
	int64_t stash = import_int(n, "stash_type", NORMC_F32);
	if (stash != NORMC_F32 && stash != NORMC_F64 && stash != NORMC_F16 && stash != NORMC_BF16) {
		import_unsupported(n, "stash_type %lld", (long long)stash);
		return x->type.elem;
	}
	return (enum normc_elem)stash;
}

/* Results Mean and InvStdDev of LayerNormalization. */
static void layer_statistics(struct import *n, struct node *x, uint32_t axes, double epsilon)
{
	struct graph *g = n->g;
	enum normc_elem stash = stash_elem(n, x);
	if (!import_wants(n, 1) && !import_wants(n, 2))
		return;
	struct node *wide = build_cast(g, x, stash), *mean = build_mean(g, wide, axes, true);
	struct node *off = build_binary(g, OP_sub, wide, mean);
	struct node *variance = build_mean(g, build_binary(g, OP_mul, off, off), axes, true);
	struct node *deviation =
			build_unary(g, OP_sqrt, compose_with(g, OP_add, variance, epsilon));
	import_out(n, 1, mean);
	import_out(n, 2, compose_from(g, OP_div, 1, deviation));
}

void import_layer_norm(struct import *n)
{
	struct node *x = import_in(n, 0), *gamma = import_in(n, 1), *beta = import_optional(n, 2);
	struct attr_norm attr = {.centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = beta != NULL};
	if (node_is_poison(x))
		return;
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	attr.axes = trailing_axes(n, x);
	gamma = lead_to_rank(n->g, gamma, x->type.rank);
	if (beta)
		beta = lead_to_rank(n->g, beta, x->type.rank);
	import_out(n, 0,
		   build_norm(n->g, (struct norm_operands){.x = x, .gamma = gamma, .beta = beta},
			      &attr));
	layer_statistics(n, x, attr.axes, attr.epsilon);
}

/* Scale may have another type than X, and is the result's. */
void import_rms_norm(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0), *gamma = import_in(n, 1);
	struct attr_norm attr = {
			.centre = NORM_CENTRE_NONE, .scale = NORM_SCALE_RMS, .gamma = true};
	if (node_is_poison(x) || node_is_poison(gamma))
		return;
	enum normc_elem elem = gamma->type.elem, work = wider(x, gamma);
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	attr.axes = trailing_axes(n, x);
	gamma = build_cast(g, lead_to_rank(g, gamma, x->type.rank), work);
	struct node *y = build_norm(
			g, (struct norm_operands){.x = build_cast(g, x, work), .gamma = gamma},
			&attr);
	import_out(n, 0, build_cast(g, y, elem));
}

/* Scale and bias are per group in opset 18, per channel from 21 on. */
void import_group_norm(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0), *in[2];
	struct attr_norm attr = {.centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .beta = true};
	int64_t groups = import_int(n, "num_groups", 0);
	int32_t rank = x->type.rank;
	if (node_is_poison(x))
		return;
	if (!import_in_range(n, "num_groups", groups, 1, INT64_MAX) ||
	    !import_in_range(n, "the input's rank", rank, 2, MAX_RANK - 1))
		return;
	const struct dim *split[MAX_RANK], *shape[MAX_RANK];
	for (int32_t i = 0; i <= rank; i++) {
		split[i] = i == 0 ? x->type.dim[0] : x->type.dim[i - (i > 1)];
		shape[i] = compose_dim(n, 1);
	}
	shape[1] = split[1] = compose_dim(n, groups);
	split[2] = dim_div(g->context->dims, x->type.dim[1], split[1]);
	if (n->opset >= 21)
		shape[2] = split[2];
	for (uint32_t i = 0; i < 2; i++)
		in[i] = build_reshape(g, import_in(n, i + 1), rank + 1, shape);
	attr.axes = compose_all_axes(rank + 1) & ~3u;
	attr.epsilon = import_float(n, "epsilon", 1e-5);
	struct norm_operands operands = {
			.x = build_reshape(g, x, rank + 1, split), .gamma = in[0], .beta = in[1]};
	struct node *y = build_norm(g, operands, &attr);
	import_out(n, 0, build_reshape(g, y, rank, x->type.dim));
}

void import_mean_variance_norm(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct attr_norm attr = {.centre = NORM_CENTRE_MEAN, .scale = NORM_SCALE_RMS};
	attr.epsilon_place = NORM_EPSILON_OUTSIDE;
	attr.epsilon = 1e-9;
	attr.axes = import_axes(n, "axes", -1, x->type.rank, import_has(n, "axes") ? 0 : 1 | 4 | 8);
	if (node_is_poison(x))
		return;
	if (attr.axes & ~compose_all_axes(x->type.rank)) {
		import_invalid(n, "the default axes 0, 2, 3 do not fit rank %d", x->type.rank);
		return;
	}
	import_out(n, 0, build_norm(n->g, (struct norm_operands){.x = x}, &attr));
}

/* x / |x|, and 0 where all is 0. */
void import_lp_norm(struct import *n)
{
	struct graph *g = n->g;
	struct node *x = import_in(n, 0);
	int64_t p = import_int(n, "p", 2);
	if (node_is_poison(x))
		return;
	uint32_t axes = 1u << import_axis(n, import_int(n, "axis", -1), x->type.rank);
	if (p == 2) {
		struct attr_norm attr = {.scale = NORM_SCALE_L2,
					 .epsilon_place = NORM_EPSILON_FLOOR,
					 .epsilon = NORM_LP_FLOOR};
		attr.axes = axes;
		import_out(n, 0, build_norm(g, (struct norm_operands){.x = x}, &attr));
		return;
	}
	if (p != 1) {
		import_unsupported(n, "p = %lld; 1 and 2 are supported", (long long)p);
		return;
	}
	struct node *wide = compose_wide(g, x);
	struct node *sum = build_reduce(g, OP_reduce_sum, build_unary(g, OP_abs, wide), axes, true);
	sum = build_where(g, compose_with(g, OP_eq, sum, 0), compose_number(g, sum, 1), sum);
	import_out(n, 0, build_cast(g, build_binary(g, OP_div, wide, sum), x->type.elem));
}
