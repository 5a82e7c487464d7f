/* Convolutions.  A transposed one is a plain one over an input with zeros between its elements,
 * with flipped weights. */
#include <string.h>

#include "window.h"

static int64_t read_groups(struct import *n)
{
	int64_t groups = import_int(n, "group", 1);
	return import_in_limit(n, "group", groups, 1, WINDOW_MAX) ? groups : 1;
}

static struct node *add_bias(struct import *n, struct node *y, uint32_t operand)
{
	struct node *bias = import_optional(n, operand);
	if (!bias || node_is_poison(y))
		return y;
	return build_binary(n->g, OP_add, y, compose_along(n->g, bias, y->type.rank, 1));
}

void import_conv(struct import *n)
{
	struct node *x = import_in(n, 0), *w = import_in(n, 1);
	struct attr_pool window;
	struct attr_conv attr = {.groups = read_groups(n)};
	if (!window_read(n, x, w, &window))
		return;
	window_pad(n, x, &window, false);
	attr.spatial = window.spatial;
	for (int32_t i = 0; i < window.spatial; i++) {
		attr.stride[i] = window.stride[i];
		attr.dilation[i] = window.dilation[i];
		attr.x_dilation[i] = 1;
		attr.before[i] = window.before[i];
		attr.after[i] = window.after[i];
	}
	import_out(n, 0, add_bias(n, build_conv(n->g, x, w, &attr), 2));
}

/* [C, M/g, k...] -> [M, C/g, k...] with every kernel reversed */
static struct node *transposed_weights(struct import *n, struct node *w,
				       const struct attr_pool *window, int64_t groups)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	const struct dim *each = dim_div(dims, w->type.dim[0], compose_dim(n, groups));
	const struct dim *split[MAX_RANK] = {compose_dim(n, groups), each, w->type.dim[1]},
			 * joined[MAX_RANK];
	int32_t perm[MAX_RANK] = {0, 2, 1}, rank = window->spatial + 2;
	joined[0] = dim_mul(dims, split[0], split[2]);
	joined[1] = each;
	for (int32_t i = 2; i < rank; i++) {
		joined[i] = split[i + 1] = w->type.dim[i];
		perm[i + 1] = i + 1;
		w = build_slice(g, w, i,
				(struct slice_range){compose_dim(n, window->kernel[i - 2] - 1),
						     w->type.dim[i], -1});
	}
	w = build_transpose(g, build_reshape(g, w, rank + 1, split), perm);
	return build_reshape(g, w, rank, joined);
}

/* Splits the padding that makes the wanted extent; opset 1 put the odd one at the other end. */
static void split_padding(struct import *n, const struct dim *total, const struct dim **before,
			  const struct dim **after)
{
	struct dims *dims = n->g->context->dims;
	bool upper = !strcmp(import_string(n, "auto_pad", "NOTSET"), "SAME_UPPER");
	total = dim_max(dims, total, compose_dim(n, 0));
	const struct dim *less = dim_div(dims, total, compose_dim(n, 2)),
			 *more = dim_sub(dims, total, less);
	bool less_first = n->opset < 11 ? !upper : upper;
	*before = less_first ? less : more;
	*after = less_first ? more : less;
}

/* Padding of the plain convolution along dimension i: the kernel's reach less what is cut from the
 * result. */
static void transposed_padding(struct import *n, const struct node *x, struct attr_pool *w,
			       int32_t i, const int64_t *output_padding)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *reach = compose_dim(n, window_extent(w, i) - 1),
			 *size = x->type.dim[i + 2];
	const struct dim *spread = dim_mul(dims, dim_sub(dims, size, compose_dim(n, 1)),
					   compose_dim(n, w->stride[i]));
	const struct dim *full = dim_add(dims, spread,
					 compose_dim(n, window_extent(w, i) + output_padding[i]));
	const struct dim *wanted = NULL;
	const int64_t *shape;
	uint32_t given = import_ints(n, "output_shape", &shape);
	if (given) /* it may name all dimensions or the spatial ones */
		wanted = compose_dim(n, shape[given - (uint32_t)w->spatial + (uint32_t)i]);
	else if (!strncmp(import_string(n, "auto_pad", "NOTSET"), "SAME_", 5))
		wanted = dim_mul(dims, size, compose_dim(n, w->stride[i]));
	if (wanted) {
		split_padding(n, dim_sub(dims, full, wanted), &w->before[i], &w->after[i]);
		w->after[i] = dim_sub(dims, dim_add(dims, wanted, w->before[i]),
				      dim_add(dims, spread, compose_dim(n, 1)));
	} else
		w->after[i] = dim_add(dims, dim_sub(dims, reach, w->after[i]),
				      compose_dim(n, output_padding[i]));
	w->before[i] = dim_sub(dims, reach, w->before[i]);
}

void import_conv_transpose(struct import *n)
{
	struct node *x = import_in(n, 0), *w = import_in(n, 1);
	int64_t output_padding[MAX_SPATIAL];
	const int64_t *shape;
	struct attr_pool window;
	struct attr_conv attr = {.groups = read_groups(n)};
	if (!window_read(n, x, w, &window) ||
	    !window_ints(n, "output_padding", window.spatial, 0, output_padding))
		return;
	uint32_t given = import_ints(n, "output_shape", &shape);
	if (given && given != (uint32_t)window.spatial && given != (uint32_t)window.spatial + 2) {
		import_invalid(n, "output_shape has %u elements", given);
		return;
	}
	window_pad(n, x, &window, false);
	attr.spatial = window.spatial;
	for (int32_t i = 0; i < window.spatial; i++) {
		transposed_padding(n, x, &window, i, output_padding);
		attr.stride[i] = 1;
		attr.x_dilation[i] = window.stride[i];
		attr.dilation[i] = window.dilation[i];
		attr.before[i] = window.before[i];
		attr.after[i] = window.after[i];
	}
	struct node *y = build_conv(n->g, x, transposed_weights(n, w, &window, attr.groups), &attr);
	import_out(n, 0, add_bias(n, y, 2));
}

/* Type [N, M, positions...] of a convolution that is a call. */
static struct type call_type(struct import *n, const struct node *x, const struct node *w,
			     const struct attr_pool *window, enum normc_elem elem)
{
	struct type t = {.elem = elem,
			 .rank = x->type.rank,
			 .dim = {x->type.dim[0], w->type.dim[0]}};
	for (int32_t i = 0; i < window->spatial; i++)
		t.dim[i + 2] = window_positions(n, x, window, i);
	return t;
}

/* Operands of a call; absent ones are NULL. */
static void read_operands(struct import *n, struct node **in, uint32_t count, uint32_t required)
{
	for (uint32_t i = 0; i < count; i++)
		in[i] = i < required ? import_in(n, i) : import_optional(n, i);
}

/* ConvInteger and QLinearConv. */
void import_conv_quantized(struct import *n)
{
	bool linear = !strcmp(n->op_type, "QLinearConv");
	uint32_t count = linear ? 9 : 4;
	int64_t ints[1 + 3 * MAX_SPATIAL] = {read_groups(n)};
	struct node *in[9];
	struct attr_pool window;
	read_operands(n, in, count, linear ? 8 : 2);
	struct node *x = in[0], *w = in[linear ? 3 : 1];
	if (!window_read(n, x, w, &window))
		return;
	window_pad(n, x, &window, false);
	struct type t = call_type(n, x, w, &window, linear ? in[7]->type.elem : NORMC_I32);
	struct attr_call call = {.name = linear ? "qlinear_conv" : "conv_integer",
				 .n_out = 1,
				 .out = &t,
				 .ints = ints};
	call.n_ints = 1 + window_integers(n, &window, false, ints + 1);
	import_out(n, 0, compose_call(n->g, in, count, &call));
}

void import_deform_conv(struct import *n)
{
	struct node *in[5];
	struct attr_pool window;
	int64_t ints[2 + 3 * MAX_SPATIAL] = {read_groups(n), import_int(n, "offset_group", 1)};
	read_operands(n, in, 5, 3);
	if (!window_read(n, in[0], in[1], &window))
		return;
	if (window.spatial != 2 || ints[1] < 1) {
		import_unsupported(n, "rank %d, offset_group %lld", in[0]->type.rank,
				   (long long)ints[1]);
		return;
	}
	window_pad(n, in[0], &window, false);
	struct type t = call_type(n, in[0], in[1], &window, in[0]->type.elem);
	struct attr_call call = {.name = "deform_conv", .n_out = 1, .out = &t, .ints = ints};
	call.n_ints = 2 + window_integers(n, &window, false, ints + 2);
	import_out(n, 0, compose_call(n->g, in, 5, &call));
}

/* A depthwise convolution along time that sees the past only; the last k - 1 inputs are handed on
 * as state. */
void import_causal_conv(struct import *n)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	struct node *x = import_in(n, 0), *w = import_in(n, 1), *past = import_optional(n, 3);
	struct attr_pool window;
	if (!window_read(n, x, w, &window))
		return;
	const struct dim *channels = w->type.dim[0], *zero = compose_dim(n, 0);
	if (window.spatial != 1 || !dim_is_const(channels) || channels->value < 1) {
		import_unsupported(n, "rank %d, or an unknown number of channels", x->type.rank);
		return;
	}
	struct type t = x->type;
	t.dim[2] = compose_dim(n, window.kernel[0] - 1);
	if (!past)
		past = compose_fill(g, &t, 0);
	struct node *all = build_concat(g, (struct node *[]){past, x}, 2, 2);
	if (node_is_poison(all))
		return;
	struct attr_conv attr = {.spatial = 1, .groups = channels->value};
	attr.stride[0] = attr.dilation[0] = attr.x_dilation[0] = 1;
	attr.before[0] = attr.after[0] = zero;
	struct node *y = add_bias(n, build_conv(g, all, w, &attr), 2);
	const char *activation = import_string(n, "activation", "none");
	if (!strcmp(activation, "silu") || !strcmp(activation, "swish"))
		y = build_binary(g, OP_mul, y, compose_sigmoid(g, y));
	else if (strcmp(activation, "none"))
		import_invalid(n, "activation '%s' is not one of silu, swish, none", activation);
	import_out(n, 0, y);
	const struct dim *from = dim_sub(dims, all->type.dim[2], t.dim[2]);
	import_out(n, 1, build_slice(g, all, 2, (struct slice_range){from, t.dim[2], 1}));
}
