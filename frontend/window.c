/* Kernel sizes, strides and padding of convolutions and pooling; see window.h. */
#include "window.h"

#include <stdio.h>
#include <string.h>

bool window_ints(struct import *n, const char *attribute, int32_t count, int64_t least,
		 int64_t *out)
{
	const int64_t *value;
	uint32_t found = import_ints(n, attribute, &value);
	if (found && found != (uint32_t)count) {
		import_invalid(n, "%s has %u elements instead of %d", attribute, found, count);
		return false;
	}
	for (int32_t i = 0; i < count; i++) {
		char what[80];
		snprintf(what, sizeof what, "%s[%d]", attribute, (int)i);
		out[i] = found ? value[i] : least;
		if (!import_in_limit(n, what, out[i], least, WINDOW_MAX))
			return false;
	}
	return true;
}

static bool read_kernel(struct import *n, struct node *weights, struct attr_pool *w)
{
	if (!weights) {
		if (!import_has(n, "kernel_shape"))
			import_invalid(n, "attribute kernel_shape is missing");
		return window_ints(n, "kernel_shape", w->spatial, 1, w->kernel);
	}
	if (weights->type.rank != w->spatial + 2) {
		import_invalid(n, "weights have rank %d instead of %d", weights->type.rank,
			       w->spatial + 2);
		return false;
	}
	for (int32_t i = 0; i < w->spatial; i++) {
		const struct dim *k = weights->type.dim[i + 2];
		if (!dim_is_const(k)) {
			import_unsupported(n, "a kernel of unknown size");
			return false;
		}
		if (!import_in_limit(n, "the weights' kernel size", k->value, 1, WINDOW_MAX))
			return false;
		w->kernel[i] = k->value;
	}
	int64_t stated[MAX_SPATIAL];
	if (!import_has(n, "kernel_shape"))
		return true;
	if (!window_ints(n, "kernel_shape", w->spatial, 1, stated))
		return false;
	if (!memcmp(stated, w->kernel, (size_t)w->spatial * sizeof *stated))
		return true;
	import_invalid(n, "kernel_shape differs from the weights' shape");
	return false;
}

bool window_read(struct import *n, struct node *x, struct node *weights, struct attr_pool *w)
{
	*w = (struct attr_pool){0};
	if (node_is_poison(x) || (weights && node_is_poison(weights)))
		return false;
	w->spatial = x->type.rank - 2;
	if (w->spatial < 1 || w->spatial > MAX_SPATIAL) {
		import_unsupported(n, "input of rank %d; 3 to %d are supported", x->type.rank,
				   MAX_SPATIAL + 2);
		return false;
	}
	return read_kernel(n, weights, w) && window_ints(n, "strides", w->spatial, 1, w->stride) &&
	       window_ints(n, "dilations", w->spatial, 1, w->dilation);
}

int64_t window_extent(const struct attr_pool *w, int32_t i)
{
	return w->dilation[i] * (w->kernel[i] - 1) + 1;
}

/* Padding that makes ceil(size / stride) positions, the odd one at the end or at the beginning. */
static void pad_same(struct import *n, const struct node *x, struct attr_pool *w, bool upper)
{
	struct dims *dims = n->g->context->dims;
	for (int32_t i = 0; i < w->spatial; i++) {
		const struct dim *size = x->type.dim[i + 2], *stride = compose_dim(n, w->stride[i]);
		const struct dim *last =
				dim_sub(dims, dim_ceil_div(dims, size, stride), compose_dim(n, 1));
		const struct dim *total = dim_add(dims, dim_mul(dims, last, stride),
						  compose_dim(n, window_extent(w, i)));
		total = dim_max(dims, dim_sub(dims, total, size), compose_dim(n, 0));
		const struct dim *less = dim_div(dims, total, compose_dim(n, 2)),
				 *more = dim_sub(dims, total, less);
		w->before[i] = upper ? less : more;
		w->after[i] = upper ? more : less;
	}
}

/* Lengthens the end for the last window where ceil((size + pads - extent) / stride) is not exact.
 */
static void pad_ceil(struct import *n, const struct node *x, struct attr_pool *w)
{
	struct dims *dims = n->g->context->dims;
	for (int32_t i = 0; i < w->spatial; i++) {
		const struct dim *size = dim_add(dims, x->type.dim[i + 2], w->before[i]),
				 *one = compose_dim(n, 1);
		const struct dim *stride = compose_dim(n, w->stride[i]),
				 *extent = compose_dim(n, window_extent(w, i));
		const struct dim *free = dim_sub(dims, dim_add(dims, size, w->after[i]), extent);
		/* a window must start before the end of the data: at most ceil(size / stride)
		 * windows */
		const struct dim *count =
				dim_min(dims, dim_add(dims, dim_ceil_div(dims, free, stride), one),
					dim_ceil_div(dims, size, stride));
		const struct dim *reach = dim_add(
				dims, dim_mul(dims, dim_sub(dims, count, one), stride), extent);
		w->after[i] = dim_max(dims, w->after[i], dim_sub(dims, reach, size));
	}
}

void window_pad(struct import *n, const struct node *x, struct attr_pool *w, bool ceil)
{
	const char *mode = import_string(n, "auto_pad", "NOTSET");
	int64_t pads[2 * MAX_SPATIAL] = {0};
	bool upper = !strcmp(mode, "SAME_UPPER");
	if (upper || !strcmp(mode, "SAME_LOWER")) {
		pad_same(n, x, w, upper);
		return;
	}
	if (!strcmp(mode, "NOTSET") || !*mode) {
		if (!window_ints(n, "pads", 2 * w->spatial, 0, pads))
			memset(pads, 0, sizeof pads);
	} else if (strcmp(mode, "VALID"))
		import_invalid(n, "auto_pad '%s' is unknown; NOTSET, SAME_UPPER, SAME_LOWER and "
			       "VALID are possible",
			       mode);
	for (int32_t i = 0; i < w->spatial; i++) {
		w->before[i] = compose_dim(n, pads[i]);
		w->after[i] = compose_dim(n, pads[i + w->spatial]);
	}
	if (ceil)
		pad_ceil(n, x, w);
}

const struct dim *window_positions(struct import *n, const struct node *x,
				   const struct attr_pool *w, int32_t i)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *size =
			dim_add(dims, dim_add(dims, w->before[i], x->type.dim[i + 2]), w->after[i]);
	size = dim_sub(dims, size, compose_dim(n, window_extent(w, i)));
	return dim_add(dims, dim_div(dims, size, compose_dim(n, w->stride[i])), compose_dim(n, 1));
}

uint32_t window_integers(struct import *n, const struct attr_pool *w, bool kernel, int64_t *out)
{
	uint32_t count = 0, s = (uint32_t)w->spatial;
	for (uint32_t i = 0; kernel && i < s; i++)
		out[count++] = w->kernel[i];
	for (uint32_t i = 0; i < s; i++)
		out[count++] = w->stride[i];
	for (uint32_t i = 0; i < s; i++)
		out[count++] = w->dilation[i];
	for (uint32_t i = 0; i < s; i++) {
		if (!dim_is_const(w->before[i]))
			import_unsupported(n, "padding that depends on unknown extents");
		out[count++] = w->before[i]->value;
	}
	return count;
}
