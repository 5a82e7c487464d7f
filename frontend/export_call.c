/* Functions of the runtime as the ONNX operators that they come from: order, scattering, sampling,
 * signals.  Windows, quantization and recurrent layers: export_layer.c.
 */
#include <math.h>
#include <string.h>

#include "export_call.h"

/* ---- the table ---- */

const char *export_call(struct export *e)
{
	static const struct {
		const char *name;
		export_call_function *write;
	} functions[] = {
#define EXTERN(name, ...) {#name, export_call_##name},
#include "../runtime/ops.def"
#undef EXTERN
	};
	const struct attr_call *a = e->node->attr.call;
	for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
		if (!strcmp(functions[i].name, a->name))
			return functions[i].write(e, a);
	return export_refuse(e, "the writer does not know the function '%s'", a->name);
}

/* ---- several results ---- */

const char *export_part(struct export *e)
{
	const char **results = e->results[e->plan->in[0]->id];
	return results ? results[e->node->attr.part->index] : ""; /* after a report */
}

/* Unless the only result is the node's own value.  Results that nobody reads have names, too: many
 * operators must have all of theirs. */
const char *export_results(struct export *e, Onnx__NodeProto *n, uint32_t count)
{
	const struct node *node = e->node;
	if (count == 1)
		return export_result(e, n);
	const char **name = arena_new(e->arena, const char *, count);
	for (uint32_t i = 0; i < count; i++) {
		name[i] = export_name(e);
		PUSH(e->arena, n->output, n->n_output, (char *)(uintptr_t)name[i]);
	}
	n->name = (char *)(uintptr_t)export_name(e);
	PUSH(e->arena, e->proto->node, e->proto->n_node, n);
	e->results[node->id] = name;
	return NULL;
}

Onnx__NodeProto *export_call_begin(struct export *e, const char *op_type, int32_t opset)
{
	uint32_t n_in = e->plan->n_in;
	Onnx__NodeProto *n = export_begin(e, op_type);
	export_needs(e, opset, op_type);
	while (n_in && node_is_absent(e->plan->in[n_in - 1]))
		n_in--;
	for (uint32_t k = 0; k < n_in; k++)
		export_operand(e, n, node_is_absent(e->plan->in[k]) ? NULL : export_in(e, k));
	return n;
}

const char *export_call_end(struct export *e, Onnx__NodeProto *n)
{
	return export_results(e, n, e->node->attr.call->n_out);
}

/* An attribute that is left out where it says nothing. */
static void flag(struct export *e, Onnx__NodeProto *n, const char *name, int64_t value)
{
	if (value)
		export_int(e, n, name, value);
}

/* ---- order ---- */

const char *export_call_topk(struct export *e, const struct attr_call *a)
{
	const char *k = export_extent(e, a->out[0].dim[a->ints[0]]);
	Onnx__NodeProto *n = export_call_begin(e, "TopK", 11);
	export_operand(e, n, k);
	export_int(e, n, "axis", a->ints[0]);
	export_int(e, n, "largest", a->ints[1]);
	return export_call_end(e, n);
}

const char *export_call_hardmax(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "Hardmax", 13);
	export_int(e, n, "axis", a->ints[0]);
	return export_call_end(e, n);
}

const char *export_call_cumsum(struct export *e, const struct attr_call *a)
{
	const char *axis = export_number(e, NORMC_I64, (double)a->ints[0]);
	bool product = a->ints[3];
	Onnx__NodeProto *n =
			export_call_begin(e, product ? "CumProd" : "CumSum", product ? 26 : 11);
	export_operand(e, n, axis);
	flag(e, n, "exclusive", a->ints[1]);
	flag(e, n, "reverse", a->ints[2]);
	return export_call_end(e, n);
}

const char *export_call_reverse_sequence(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "ReverseSequence", 10);
	export_int(e, n, "batch_axis", a->ints[0]);
	export_int(e, n, "time_axis", a->ints[1]);
	return export_call_end(e, n);
}

const char *export_call_det(struct export *e, const struct attr_call *a)
{
	(void)a;
	return export_call_end(e, export_call_begin(e, "Det", 11));
}

const char *export_call_cast(struct export *e, const struct attr_call *a)
{
	static const char *const round[] = {"up", "down", "nearest"};
	Onnx__NodeProto *n = export_call_begin(e, "Cast", 24);
	export_int(e, n, "to", a->out[0].elem);
	if (!a->ints[0])
		export_int(e, n, "saturate", 0);
	export_string(e, n, "round_mode", round[a->ints[1]]);
	return export_call_end(e, n);
}

/* ---- scattering ---- */

static const char *scattered(struct export *e, const char *op_type, int64_t reduction,
			     const int64_t *axis)
{
	static const char *const names[] = {"none", "add", "mul", "max", "min"};
	int32_t opset = reduction > 2 ? 18 : reduction ? 16 : 13;
	Onnx__NodeProto *n = export_call_begin(e, op_type, opset);
	if (axis)
		export_int(e, n, "axis", *axis);
	if (reduction)
		export_string(e, n, "reduction", names[reduction]);
	return export_call_end(e, n);
}

const char *export_call_scatter_nd(struct export *e, const struct attr_call *a)
{
	return scattered(e, "ScatterND", a->ints[0], NULL);
}

const char *export_call_scatter_elements(struct export *e, const struct attr_call *a)
{
	return scattered(e, "ScatterElements", a->ints[1], &a->ints[0]);
}

const char *export_call_gather_nd(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "GatherND", 13);
	flag(e, n, "batch_dims", a->ints[0]);
	return export_call_end(e, n);
}

const char *export_call_tensor_scatter(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "TensorScatter", 24);
	export_int(e, n, "axis", a->ints[0]);
	export_string(e, n, "mode", a->ints[1] ? "circular" : "linear");
	return export_call_end(e, n);
}

/* ---- sampling ---- */

/* Numbers of single precision as an initializer. */
static const char *float_list(struct export *e, const char *name, const double *value,
			      uint32_t count)
{
	float *data = arena_new(e->arena, float, count + 1);
	for (uint32_t i = 0; i < count; i++)
		data[i] = (float)value[i];
	struct raw_tensor raw = {.elem = NORMC_F32,
				 .rank = 1,
				 .dim = {count},
				 .count = count,
				 .data = data,
				 .bytes = count * sizeof *data};
	return export_data(e, arena_printf(e->arena, "%s.%s", export_name(e), name), &raw);
}

/* Scales of all dimensions, or the reason for sizes: a scale that is the quotient of the extents.
 * False, too, if the two are mixed. */
static bool resize_scales(const struct export *e, const struct attr_call *a, double *scale,
			  bool *sizes)
{
	const struct type *from = &e->plan->in[0]->type, *to = &a->out[0];
	bool any = false, all = true;
	for (int32_t i = 0; i < from->rank; i++) {
		bool same = from->dim[i] == to->dim[i];
		scale[i] = a->floats[2 + i];
		any = any || (scale[i] != 0 && !same);
		all = all && (scale[i] != 0 || same);
		scale[i] = scale[i] == 0 ? 1 : scale[i];
	}
	*sizes = !all;
	for (int32_t i = 0; any && !all && i < from->rank; i++) {
		double s = a->floats[2 + i];
		if (s != 0 && (!dim_is_const(from->dim[i]) || !dim_is_const(to->dim[i]) ||
			       (double)from->dim[i]->value * s != (double)to->dim[i]->value))
			return false;
	}
	return true;
}

const char *export_call_resize(struct export *e, const struct attr_call *a)
{
	static const char *const modes[] = {"nearest", "linear", "cubic"};
	static const char *const coordinates[] = {"half_pixel",		"half_pixel_symmetric",
						  "pytorch_half_pixel", "align_corners",
						  "asymmetric",		"tf_crop_and_resize"};
	static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
					      "ceil"};
	uint32_t rank = (uint32_t)e->plan->in[0]->type.rank;
	bool crop = a->ints[1] == 5, sizes;
	const char *roi = NULL, *list;
	double scale[MAX_RANK];
	if (!resize_scales(e, a, scale, &sizes))
		return export_refuse(e, "ONNX does not mix scales and sizes");
	if (crop)
		roi = float_list(e, "roi", a->floats + 2 + rank, 2 * rank);
	list = sizes ? export_extents(e, a->out[0].dim, rank)
		     : float_list(e, "scales", scale, rank);
	Onnx__NodeProto *n = export_call_begin(e, "Resize",
					       a->ints[1] == 1 ? 19
					       : a->ints[3]    ? 18
							       : 13);
	export_operand(e, n, roi);
	export_operand(e, n, sizes ? NULL : list);
	if (sizes)
		export_operand(e, n, list);
	export_string(e, n, "mode", modes[a->ints[0]]);
	export_string(e, n, "coordinate_transformation_mode", coordinates[a->ints[1]]);
	if (a->ints[0] == 0)
		export_string(e, n, "nearest_mode", nearest[a->ints[2]]);
	flag(e, n, "antialias", a->ints[3]);
	flag(e, n, "exclude_outside", a->ints[4]);
	if (a->ints[0] == 2)
		export_float(e, n, "cubic_coeff_a", a->floats[0]);
	if (crop)
		export_float(e, n, "extrapolation_value", a->floats[1]);
	return export_call_end(e, n);
}

const char *export_call_grid_sample(struct export *e, const struct attr_call *a)
{
	static const char *const modes[2][3] = {{"bilinear", "nearest", "bicubic"},
						{"linear", "nearest", "cubic"}};
	static const char *const padding[] = {"zeros", "border", "reflection"};
	Onnx__NodeProto *n = export_call_begin(e, "GridSample", a->out[0].rank == 4 ? 16 : 20);
	export_string(e, n, "mode", modes[e->opset >= 20][a->ints[0]]);
	export_string(e, n, "padding_mode", padding[a->ints[1]]);
	flag(e, n, "align_corners", a->ints[2]);
	return export_call_end(e, n);
}

/* Extents of regions; they are numbers, for they were attributes. */
static int64_t region_extent(const struct attr_call *a, int32_t i)
{
	return dim_is_const(a->out[0].dim[i]) ? a->out[0].dim[i]->value : 0;
}

const char *export_call_roi_align(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "RoiAlign", 16);
	export_string(e, n, "mode", a->ints[0] ? "max" : "avg");
	export_int(e, n, "sampling_ratio", a->ints[1]);
	export_string(e, n, "coordinate_transformation_mode",
		      a->ints[2] ? "half_pixel" : "output_half_pixel");
	export_int(e, n, "output_height", region_extent(a, 2));
	export_int(e, n, "output_width", region_extent(a, 3));
	export_float(e, n, "spatial_scale", a->floats[0]);
	return export_call_end(e, n);
}

const char *export_call_max_roi_pool(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "MaxRoiPool", 1);
	int64_t size[2] = {region_extent(a, 2), region_extent(a, 3)};
	export_ints(e, n, "pooled_shape", size, 2);
	export_float(e, n, "spatial_scale", a->floats[0]);
	return export_call_end(e, n);
}

const char *export_call_col2im(struct export *e, const struct attr_call *a)
{
	uint32_t s = (uint32_t)a->out[0].rank - 2;
	const char *image = export_extents(e, a->out[0].dim + 2, s);
	const char *block = export_list(e, a->ints, s);
	Onnx__NodeProto *n = export_call_begin(e, "Col2Im", 18);
	export_operand(e, n, image);
	export_operand(e, n, block);
	export_ints(e, n, "strides", a->ints + s, s);
	export_ints(e, n, "dilations", a->ints + 2 * s, s);
	export_ints(e, n, "pads", a->ints + 3 * s, 2 * s);
	return export_call_end(e, n);
}

/* ---- signals ---- */

/* The axis became an operand in opset 20. */
const char *export_call_dft(struct export *e, const struct attr_call *a)
{
	const char *length = export_number(e, NORMC_I64, (double)a->ints[3]);
	bool operand = e->opset >= 20;
	const char *axis = operand ? export_number(e, NORMC_I64, (double)a->ints[0]) : NULL;
	Onnx__NodeProto *n = export_call_begin(e, "DFT", 17);
	export_operand(e, n, length);
	if (operand)
		export_operand(e, n, axis);
	else
		export_int(e, n, "axis", a->ints[0]);
	flag(e, n, "inverse", a->ints[1]);
	flag(e, n, "onesided", a->ints[2]);
	return export_call_end(e, n);
}

const char *export_call_stft(struct export *e, const struct attr_call *a)
{
	bool window = !node_is_absent(e->plan->in[1]);
	const char *step = export_number(e, NORMC_I64, (double)a->ints[0]);
	const char *length = export_number(e, NORMC_I64, (double)a->ints[1]);
	export_needs(e, 17, "STFT");
	Onnx__NodeProto *n = export_begin(e, "STFT");
	export_operand(e, n, export_in(e, 0));
	export_operand(e, n, step);
	export_operand(e, n, window ? export_in(e, 1) : NULL);
	export_operand(e, n, length);
	export_int(e, n, "onesided", a->ints[2]);
	return export_call_end(e, n);
}

const char *export_call_mel_weight_matrix(struct export *e, const struct attr_call *a)
{
	Onnx__NodeProto *n = export_call_begin(e, "MelWeightMatrix", 17);
	export_int(e, n, "output_datatype", a->out[0].elem);
	return export_call_end(e, n);
}
