/* Functions of the runtime that are layers, as ONNX operators: windows, quantization, recurrent
 * layers.
 *
 * Calls know the padding in front only: that behind is the least that gives the results' extents.
 */
#include <string.h>

#include "export_call.h"

/* ---- windows ---- */

/* Geometry of a call, in the order of its integers. */
struct geometry {
	uint32_t spatial;
	const int64_t *stride, *dilation, *before;
	int64_t kernel[MAX_SPATIAL];
};

/* Positions of window i if there is so much padding behind. */
static const struct dim *positions(struct export *e, const struct geometry *w, uint32_t i,
				   int64_t after)
{
	struct dims *dims = e->context->dims;
	int64_t reach = w->dilation[i] * (w->kernel[i] - 1) + 1;
	const struct dim *size = dim_add(dims, e->plan->in[0]->type.dim[2 + i],
					 dim_const(dims, w->before[i] + after - reach));
	return dim_add(dims, dim_div(dims, size, dim_const(dims, w->stride[i])),
		       dim_const(dims, 1));
}

/* False after a report. */
static bool find_padding(struct export *e, const struct geometry *w, int64_t *pads)
{
	const struct type *to = &e->node->attr.call->out[0];
	for (uint32_t i = 0; i < w->spatial; i++) {
		int64_t after = 0, most = w->dilation[i] * w->kernel[i] + w->stride[i];
		while (after < most && positions(e, w, i, after) != to->dim[2 + i])
			after++;
		if (after == most) {
			export_refuse(e, "its padding is not known");
			return false;
		}
		pads[i] = w->before[i];
		pads[w->spatial + i] = after;
	}
	return true;
}

static void window_attributes(struct export *e, Onnx__NodeProto *n, const struct geometry *w,
			      const int64_t *pads)
{
	export_ints(e, n, "kernel_shape", w->kernel, w->spatial);
	export_ints(e, n, "strides", w->stride, w->spatial);
	export_ints(e, n, "dilations", w->dilation, w->spatial);
	export_ints(e, n, "pads", pads, 2 * w->spatial);
}

const char *export_call_max_pool(struct export *e, const struct attr_call *a)
{
	uint32_t s = (uint32_t)a->out[0].rank - 2;
	int64_t pads[2 * MAX_SPATIAL];
	struct geometry w = {s, a->ints + 1 + s, a->ints + 1 + 2 * s, a->ints + 1 + 3 * s, {0}};
	memcpy(w.kernel, a->ints + 1, s * sizeof *w.kernel);
	if (!find_padding(e, &w, pads))
		return "";
	Onnx__NodeProto *n = export_call_begin(e, "MaxPool", 12);
	window_attributes(e, n, &w, pads);
	if (a->ints[0])
		export_int(e, n, "storage_order", 1);
	return export_call_end(e, n);
}

const char *export_call_max_unpool(struct export *e, const struct attr_call *a)
{
	uint32_t s = (uint32_t)a->out[0].rank - 2;
	const char *shape = export_extents(e, a->out[0].dim, s + 2);
	Onnx__NodeProto *n = export_call_begin(e, "MaxUnpool", 11);
	export_operand(e, n, shape);
	export_ints(e, n, "kernel_shape", a->ints, s);
	export_ints(e, n, "strides", a->ints + s, s);
	export_ints(e, n, "pads", a->ints + 2 * s, 2 * s);
	return export_call_end(e, n);
}

/* A convolution whose weights are operand `weights` and whose geometry starts at ints[first]. */
static const char *convolved(struct export *e, const char *op_type, int32_t opset, uint32_t weights,
			     uint32_t first)
{
	const struct attr_call *a = e->node->attr.call;
	uint32_t s = (uint32_t)a->out[0].rank - 2;
	const int64_t *ints = a->ints + first;
	struct geometry w = {s, ints, ints + s, ints + 2 * s, {0}};
	int64_t pads[2 * MAX_SPATIAL], shape[MAX_RANK];
	if (!export_fixed(&e->plan->in[weights]->type, shape))
		return export_refuse(e, "its kernel's size is not known");
	memcpy(w.kernel, shape + 2, s * sizeof *w.kernel);
	if (!find_padding(e, &w, pads))
		return "";
	Onnx__NodeProto *n = export_call_begin(e, op_type, opset);
	window_attributes(e, n, &w, pads);
	export_int(e, n, "group", a->ints[0]);
	if (first == 2)
		export_int(e, n, "offset_group", a->ints[1]);
	return export_call_end(e, n);
}

const char *export_call_deform_conv(struct export *e, const struct attr_call *a)
{
	(void)a;
	return convolved(e, "DeformConv", 19, 1, 2);
}

const char *export_call_conv_integer(struct export *e, const struct attr_call *a)
{
	(void)a;
	return convolved(e, "ConvInteger", 10, 1, 1);
}

const char *export_call_qlinear_conv(struct export *e, const struct attr_call *a)
{
	(void)a;
	return convolved(e, "QLinearConv", 10, 3, 1);
}

const char *export_call_lrn(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "LRN", 13);
	export_int(e, n, "size", a->ints[0]);
	export_float(e, n, "alpha", a->floats[0]);
	export_float(e, n, "beta", a->floats[1]);
	export_float(e, n, "bias", a->floats[2]);
	return export_call_end(e, n);
}

/* ---- quantization ---- */

const char *export_call_matmul_integer(struct export *e, const struct attr_call *a)
{
	(void)a;
	return export_call_end(e, export_call_begin(e, "MatMulInteger", 10));
}

const char *export_call_qlinear_matmul(struct export *e, const struct attr_call *a)
{
	(void)a;
	return export_call_end(e, export_call_begin(e, "QLinearMatMul", 10));
}

const char *export_call_dynamic_quantize_linear(struct export *e, const struct attr_call *a)
{
	(void)a;
	return export_call_end(e, export_call_begin(e, "DynamicQuantizeLinear", 11));
}

/* The opset in which quantization takes this type. */
static int32_t quantized_opset(enum normc_elem elem)
{
	bool first = elem == NORMC_U8 || elem == NORMC_I8 || elem == NORMC_I32;
	bool f8 = elem >= NORMC_F8E4M3FN && elem <= NORMC_F8E5M2FNUZ;
	if (elem == NORMC_F4E2M1)
		return 23;
	if (elem == NORMC_U2 || elem == NORMC_I2)
		return 25;
	return first ? 13 : f8 ? 19 : 21;
}

/* Scales of other types than f32 came in opset 19. */
static Onnx__NodeProto *begin_quantized(struct export *e, const char *op_type,
					enum normc_elem narrow)
{
	const struct attr_call *a = e->node->attr.call;
	const struct type *scale = &e->plan->in[1]->type;
	if (a->ints[1])
		export_needs(e, 21, "a block size");
	if (scale->elem != NORMC_F32)
		export_needs(e, 19, "a scale that is not f32");
	Onnx__NodeProto *n = export_call_begin(e, op_type, quantized_opset(narrow));
	if (scale->rank)
		export_int(e, n, "axis", a->ints[0]);
	if (a->ints[1])
		export_int(e, n, "block_size", a->ints[1]);
	return n;
}

const char *export_call_quantize_linear(struct export *e, const struct attr_call *a)
{
	enum normc_elem to = a->out[0].elem;
	Onnx__NodeProto *n = begin_quantized(e, "QuantizeLinear", to);
	bool bare = node_is_absent(e->plan->in[2]);
	if (bare && to != NORMC_U8 && export_needs(e, 21, "an output type"))
		export_int(e, n, "output_dtype", to);
	if (!a->ints[2])
		export_int(e, n, "saturate", 0);
	if (a->ints[3] && export_needs(e, 23, "a precision"))
		export_int(e, n, "precision", a->ints[3]);
	return export_call_end(e, n);
}

const char *export_call_dequantize_linear(struct export *e, const struct attr_call *a)
{
	const struct type *scale = &e->plan->in[1]->type;
	Onnx__NodeProto *n = begin_quantized(e, "DequantizeLinear", e->plan->in[0]->type.elem);
	if (a->out[0].elem != scale->elem && export_needs(e, 23, "an output type"))
		export_int(e, n, "output_dtype", a->out[0].elem);
	return export_call_end(e, n);
}

/* ---- recurrent layers ---- */

/* Activations by number, and which parameters they take. */
static const struct {
	const char *name;
	bool alpha, beta;
} activations[] = {
		{"Sigmoid", false, false},  {"Tanh", false, false},
		{"Relu", false, false},	    {"Affine", true, true},
		{"LeakyRelu", true, false}, {"ThresholdedRelu", true, false},
		{"ScaledTanh", true, true}, {"HardSigmoid", true, true},
		{"Elu", true, false},	    {"Softsign", false, false},
		{"Softplus", false, false},
};

/* Parameters are listed for those activations that take them. */
static void activation_attributes(struct export *e, Onnx__NodeProto *n, const struct attr_call *a)
{
	uint32_t count = a->n_ints - 3, n_alpha = 0, n_beta = 0;
	const char **name = arena_new(e->arena, const char *, count + 1);
	double *alpha = arena_new(e->arena, double, count + 1);
	double *beta = arena_new(e->arena, double, count + 1);
	for (uint32_t i = 0; i < count; i++) {
		int64_t k = a->ints[3 + i];
		name[i] = activations[k].name;
		if (activations[k].alpha)
			alpha[n_alpha++] = a->floats[1 + 2 * i];
		if (activations[k].beta)
			beta[n_beta++] = a->floats[2 + 2 * i];
	}
	export_strings(e, n, "activations", name, count);
	if (n_alpha)
		export_floats(e, n, "activation_alpha", alpha, n_alpha);
	if (n_beta)
		export_floats(e, n, "activation_beta", beta, n_beta);
}

static const char *recurrent(struct export *e, const char *op_type, const char *option)
{
	static const char *const directions[] = {"forward", "reverse", "bidirectional"};
	const struct attr_call *a = e->node->attr.call;
	const struct dim *hidden = a->out[0].dim[3];
	Onnx__NodeProto *n = export_call_begin(e, op_type, a->ints[1] ? 14 : 7);
	if (dim_is_const(hidden))
		export_int(e, n, "hidden_size", hidden->value);
	export_string(e, n, "direction", directions[a->ints[0]]);
	if (a->ints[1])
		export_int(e, n, "layout", 1);
	if (a->ints[2] && option)
		export_int(e, n, option, a->ints[2]);
	if (a->floats[0] > 0)
		export_float(e, n, "clip", a->floats[0]);
	activation_attributes(e, n, a);
	return export_call_end(e, n);
}

const char *export_call_lstm(struct export *e, const struct attr_call *a)
{
	(void)a;
	return recurrent(e, "LSTM", "input_forget");
}

const char *export_call_gru(struct export *e, const struct attr_call *a)
{
	(void)a;
	return recurrent(e, "GRU", "linear_before_reset");
}

const char *export_call_rnn(struct export *e, const struct attr_call *a)
{
	(void)a;
	return recurrent(e, "RNN", NULL);
}
