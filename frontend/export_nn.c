/* Matrix products, convolutions, pooling. */
#include <math.h>
#include <string.h>

#include "export_state.h"

/* ---- matrix products ---- */

/* Integers below 32 bits are multiplied as wider ones; what wraps is cut off again. */
const char *export_matmul(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	const char *a = export_in(e, 0), *b = export_in(e, 1);
	if (elem_is_float(elem) || elem_bits(elem) >= 32)
		return EMIT(e, "MatMul", a, b);
	a = export_converted(e, a, NORMC_I32);
	b = export_converted(e, b, NORMC_I32);
	return export_converted(e, EMIT(e, "MatMul", a, b), elem);
}

const char *export_gemm(struct export *e)
{
	static const char *const name[] = {"transA", "transB"};
	const char *in[3];
	for (uint32_t k = 0; k < e->plan->n_in; k++)
		in[k] = export_in(e, k);
	Onnx__NodeProto *n = export_begin(e, "Gemm");
	for (uint32_t k = 0; k < e->plan->n_in; k++)
		export_operand(e, n, in[k]);
	for (int k = 0; k < 2; k++)
		if (e->plan->turned[k])
			export_int(e, n, name[k], 1);
	return export_result(e, n);
}

/* ---- windows ---- */

/* Padding in numbers, all before and then all after; false if it is not known or negative. */
static bool fixed_pads(const struct attr_pool *w, int64_t *pads)
{
	for (int32_t i = 0; i < w->spatial; i++) {
		if (!dim_is_const(w->before[i]) || !dim_is_const(w->after[i]) ||
		    w->before[i]->value < 0 || w->after[i]->value < 0)
			return false;
		pads[i] = w->before[i]->value;
		pads[w->spatial + i] = w->after[i]->value;
	}
	return true;
}

/* The padding as a node of its own. */
static const char *padded(struct export *e, const char *x, const struct attr_pool *w, double number)
{
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	const struct dim *zero = dim_const(e->context->dims, 0);
	for (int32_t i = 0; i < w->spatial + 2; i++) {
		pad.before[i] = i < 2 ? zero : w->before[i - 2];
		pad.after[i] = i < 2 ? zero : w->after[i - 2];
	}
	number = isinf(number) && e->node->type.elem == NORMC_I8 ? -128 : number;
	number = isinf(number) && e->node->type.elem == NORMC_U8 ? 0 : number;
	return export_padded(e, x, export_number(e, e->node->type.elem, number), &pad,
			     w->spatial + 2);
}

/* Attributes of windows; those that say nothing are left out. */
static void window_ints(struct export *e, Onnx__NodeProto *n, const char *name,
			const int64_t *value, uint32_t count)
{
	int64_t neutral = strcmp(name, "pads") && strcmp(name, "output_padding");
	for (uint32_t i = 0; i < count; i++) {
		if (value[i] != neutral) {
			export_ints(e, n, name, value, count);
			return;
		}
	}
}

/* ---- pooling ---- */

/* ONNX Runtime wants padding below the kernel's size. */
static bool pads_fit(const struct attr_pool *w, int64_t *pads)
{
	if (!fixed_pads(w, pads))
		return false;
	for (int32_t i = 0; i < w->spatial; i++)
		if (pads[i] >= w->kernel[i] || pads[w->spatial + i] >= w->kernel[i])
			return false;
	return true;
}

/* A pooling node; `number` is what padding counts as. */
static const char *pooled(struct export *e, const char *op_type, const struct attr_pool *w,
			  double number)
{
	int64_t pads[2 * MAX_SPATIAL] = {0};
	uint32_t count = (uint32_t)w->spatial;
	bool average = op_type[0] == 'A', inside = pads_fit(w, pads), any = false;
	const char *x = export_in(e, 0);
	if (!inside) {
		x = padded(e, x, w, number);
		memset(pads, 0, sizeof pads);
	}
	for (uint32_t i = 0; i < 2 * count; i++)
		any = any || pads[i];
	for (uint32_t i = 0; i < count && average; i++)
		if (w->dilation[i] != 1)
			export_needs(e, 19, "AveragePool with dilations");
	Onnx__NodeProto *n = export_begin(e, op_type);
	export_operand(e, n, x);
	export_ints(e, n, "kernel_shape", w->kernel, count);
	window_ints(e, n, "strides", w->stride, count);
	window_ints(e, n, "dilations", w->dilation, count);
	window_ints(e, n, "pads", pads, 2 * count);
	if (average && any)
		export_int(e, n, "count_include_pad", 1);
	return export_result(e, n);
}

const char *export_pool_max(struct export *e)
{
	enum normc_elem elem = e->node->type.elem;
	if (!elem_is_float(elem) && elem != NORMC_I8 && elem != NORMC_U8)
		return export_refuse(e, "ONNX does not pool %s", normc_elem_name(elem));
	return pooled(e, "MaxPool", e->node->attr.pool, -INFINITY);
}

const char *export_average_pool(struct export *e)
{
	return pooled(e, "AveragePool", e->plan->anchor->attr.pool, 0);
}

/* A sum is the mean times the number of elements. */
const char *export_pool_sum(struct export *e)
{
	const struct attr_pool *w = e->node->attr.pool;
	enum normc_elem elem = e->node->type.elem;
	double count = 1;
	if (!elem_is_float(elem))
		return export_refuse(e, "ONNX does not pool %s", normc_elem_name(elem));
	for (int32_t i = 0; i < w->spatial; i++)
		count *= (double)w->kernel[i];
	const char *mean = pooled(e, "AveragePool", w, 0);
	return count == 1 ? mean : EMIT(e, "Mul", mean, export_number(e, elem, count));
}

/* ---- convolutions ---- */

/* A convolution being written. */
struct conv {
	const struct node *node;
	const struct attr_conv *attr;
	struct attr_pool window; /* of the plain convolution that is left to write */
	const char *x, *bias;	 /* bias may be NULL */
};

/* The third operand as a vector. */
static const char *bias_of(struct export *e, const struct node *conv)
{
	const struct dim *filters = conv->type.dim[1];
	if (e->plan->n_in < 3)
		return NULL;
	if (e->plan->in[2]->op != OP_constant)
		return export_in(e, 2);
	return export_constant_as(e, e->plan->in[2], 1, (int64_t[]){filters->value});
}

/* [C, M/g, k...] with reversed kernels, as ConvTranspose wants them, from [M, C/g, k...]. */
static const char *turned_weights(struct export *e, const struct conv *c)
{
	const struct node *w = e->plan->in[1];
	size_t size = normc_elem_size(w->type.elem);
	int64_t dim[MAX_RANK], taps = 1;
	export_fixed(&w->type, dim);
	for (int32_t i = 2; i < w->type.rank; i++)
		taps *= dim[i];
	int64_t groups = c->attr->groups, filters = dim[0] / groups, channels = dim[1];
	const char *from = w->attr.data->p;
	struct raw_tensor raw = {.elem = w->type.elem,
				 .rank = w->type.rank,
				 .count = type_fixed_count(&w->type),
				 .bytes = w->attr.data->bytes};
	char *to = arena_new(e->arena, char, raw.bytes + 1);
	for (int64_t at = 0; at < raw.count; at++) {
		int64_t tap = at % taps, channel = at / taps % channels;
		int64_t filter = at / taps / channels % filters,
			group = at / taps / channels / filters;
		int64_t there = ((group * channels + channel) * filters + filter) * taps;
		memcpy(to + (size_t)(there + taps - 1 - tap) * size, from + (size_t)at * size,
		       size);
	}
	memcpy(raw.dim, dim, sizeof dim);
	raw.dim[0] = groups * channels;
	raw.dim[1] = filters;
	raw.data = to;
	return export_data(e, arena_printf(e->arena, "%s.weights", export_name(e)), &raw);
}

/* Padding of ConvTranspose: the kernel's reach less the padding of the plain convolution; what that
 * makes negative at the end is output padding. */
static bool transposed_pads(const struct attr_pool *w, const struct attr_conv *a, int64_t *pads,
			    int64_t *more)
{
	if (!fixed_pads(w, pads))
		return false;
	for (int32_t i = 0; i < w->spatial; i++) {
		int64_t reach = w->dilation[i] * (w->kernel[i] - 1), *end = &pads[w->spatial + i];
		pads[i] = reach - pads[i];
		more[i] = *end > reach ? *end - reach : 0;
		*end = reach - *end + more[i];
		if (pads[i] < 0 || more[i] >= a->x_dilation[i] || a->stride[i] != 1)
			return false;
	}
	return true;
}

/* Conv or ConvTranspose, up to the attributes that only one of them has. */
static Onnx__NodeProto *begin_conv(struct export *e, const struct conv *c, const char *op_type,
				   const char *weights, const int64_t *stride)
{
	uint32_t count = (uint32_t)c->attr->spatial;
	Onnx__NodeProto *n = export_begin(e, op_type);
	export_operand(e, n, c->x);
	export_operand(e, n, weights);
	if (c->bias)
		export_operand(e, n, c->bias);
	export_ints(e, n, "kernel_shape", c->window.kernel, count);
	window_ints(e, n, "strides", stride, count);
	window_ints(e, n, "dilations", c->attr->dilation, count);
	if (c->attr->groups != 1)
		export_int(e, n, "group", c->attr->groups);
	return n;
}

/* As ConvTranspose; NULL if that cannot say it. */
static const char *transposed(struct export *e, const struct conv *c)
{
	int64_t pads[2 * MAX_SPATIAL], more[MAX_SPATIAL];
	uint32_t count = (uint32_t)c->attr->spatial;
	if (e->plan->in[1]->op != OP_constant || !type_fixed_count(&e->plan->in[1]->type) ||
	    !transposed_pads(&c->window, c->attr, pads, more))
		return NULL;
	Onnx__NodeProto *n = begin_conv(e, c, "ConvTranspose", turned_weights(e, c),
					c->attr->x_dilation);
	window_ints(e, n, "pads", pads, 2 * count);
	window_ints(e, n, "output_padding", more, count);
	return export_result(e, n);
}

/* Puts zeros between the elements: [n, c, s...] -> [n, c, s, 1...], padded to [n, c, s, d...], and
 * flat again.  The zeros behind the last elements come off the padding. */
static void spread(struct export *e, struct conv *c)
{
	struct dims *dims = e->context->dims;
	const struct type *x = &e->plan->in[0]->type;
	struct type apart = *x, wide, flat = *x;
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	apart.rank = 2 + 2 * c->attr->spatial;
	for (int32_t i = 0; i < apart.rank; i++) {
		int64_t d = i < 2 ? 1 : c->attr->x_dilation[i / 2 - 1];
		bool added = i >= 2 && i % 2;
		apart.dim[i] = i < 2 ? x->dim[i] : added ? dim_const(dims, 1) : x->dim[1 + i / 2];
		pad.before[i] = dim_const(dims, 0);
		pad.after[i] = dim_const(dims, added ? d - 1 : 0);
	}
	wide = apart;
	for (int32_t i = 0; i < c->attr->spatial; i++) {
		const struct dim *d = dim_const(dims, c->attr->x_dilation[i]);
		wide.dim[3 + 2 * i] = d;
		flat.dim[2 + i] = dim_mul(dims, x->dim[2 + i], d);
		c->window.after[i] = dim_sub(dims, c->window.after[i],
					     dim_sub(dims, d, dim_const(dims, 1)));
	}
	c->x = export_reshaped(e, c->x, x, &apart);
	c->x = export_padded(e, c->x, export_number(e, x->elem, 0), &pad, apart.rank);
	c->x = export_reshaped(e, c->x, &wide, &flat);
}

static const char *plain(struct export *e, struct conv *c)
{
	int64_t pads[2 * MAX_SPATIAL] = {0};
	uint32_t count = (uint32_t)c->attr->spatial;
	if (!fixed_pads(&c->window, pads)) {
		c->x = padded(e, c->x, &c->window, 0);
		memset(pads, 0, sizeof pads);
	}
	Onnx__NodeProto *n = begin_conv(e, c, "Conv", export_in(e, 1), c->attr->stride);
	window_ints(e, n, "pads", pads, 2 * count);
	return export_result(e, n);
}

/* The convolution's geometry as a window; false after a report. */
static bool read_window(struct export *e, struct conv *c)
{
	struct attr_pool *w = &c->window;
	w->spatial = c->attr->spatial;
	for (int32_t i = 0; i < w->spatial; i++) {
		const struct dim *kernel = e->plan->in[1]->type.dim[2 + i];
		if (!dim_is_const(kernel)) {
			export_refuse(e, "ONNX has no kernels of unknown size");
			return false;
		}
		w->kernel[i] = kernel->value;
		w->dilation[i] = c->attr->dilation[i];
		w->before[i] = c->attr->before[i];
		w->after[i] = c->attr->after[i];
	}
	return true;
}

const char *export_conv(struct export *e)
{
	struct conv c = {.node = e->plan->anchor ? e->plan->anchor : e->node};
	const char *done = NULL;
	bool spreads = false;
	c.attr = c.node->attr.conv;
	if (!elem_is_float(c.node->type.elem))
		return export_refuse(e, "ONNX does not convolve %s",
				     normc_elem_name(c.node->type.elem));
	if (!read_window(e, &c))
		return "";
	c.x = export_in(e, 0);
	c.bias = bias_of(e, c.node);
	for (int32_t i = 0; i < c.attr->spatial; i++)
		spreads = spreads || c.attr->x_dilation[i] != 1;
	if (spreads)
		done = transposed(e, &c);
	if (spreads && !done)
		spread(e, &c);
	return done ? done : plain(e, &c);
}
