/* Functions of the model itself: they stand in for layers whose ONNX operator is later than the
 * cap, so that a norm stays one node.
 *
 * Domain "normc.nn", version 1; operands and results are those of ONNX's operators of the same
 * names, but the axes are a list, and Scale and B are always given, in any shape that repeats to
 * X's:
 *	LayerNormalization(X, Scale, B) {axes, epsilon}   (x - mean) / sqrt(variance + epsilon)
 *	RMSNormalization(X, Scale) {axes, epsilon}        x / sqrt(mean of x^2 + epsilon)
 * and then * Scale + B.  Everything is computed in f32 and converted to X's type in the end.  The
 * bodies are standard operators of the model's own opset, so that any program can inline them.
 */
#include <string.h>

#include "export_state.h"

/* What is special about a node of a body. */
enum step_kind {
	STEP_PLAIN,
	STEP_MEAN,    /* over the function's axes, which stay with extent 1 */
	STEP_WIDEN,   /* to f32 */
	STEP_EPSILON, /* the function's epsilon */
	STEP_AXES     /* the function's axes as a value, where ReduceMean takes them as one */
};

enum { MOST_STEP_INPUTS = 2, MOST_FUNCTION_INPUTS = 3, MOST_STEPS = 18 };

struct step {
	enum step_kind kind;
	const char *op_type, *out, *in[MOST_STEP_INPUTS + 1];
};

struct body {
	const char *name, *documentation;
	const char *in[MOST_FUNCTION_INPUTS + 1];
	struct step step[MOST_STEPS]; /* ended by a NULL op_type; results in "Y" */
};

/* clang-format off */
static const struct body layer_normalization = {
	"LayerNormalization",
	"(X - mean) / sqrt(variance + epsilon) * Scale + B; mean and variance over axes",
	{"X", "Scale", "B"},
	{
		{STEP_AXES, "Constant", "axes_list", {0}},
		{STEP_EPSILON, "Constant", "epsilon_value", {0}},
		{STEP_WIDEN, "Cast", "x", {"X"}},
		{STEP_MEAN, "ReduceMean", "mean", {"x", "axes_list"}},
		{STEP_PLAIN, "Sub", "centred", {"x", "mean"}},
		{STEP_PLAIN, "Mul", "square", {"centred", "centred"}},
		{STEP_MEAN, "ReduceMean", "variance", {"square", "axes_list"}},
		{STEP_PLAIN, "Add", "above_zero", {"variance", "epsilon_value"}},
		{STEP_PLAIN, "Sqrt", "deviation", {"above_zero"}},
		{STEP_PLAIN, "Div", "normalized", {"centred", "deviation"}},
		{STEP_WIDEN, "Cast", "scale", {"Scale"}},
		{STEP_PLAIN, "Mul", "scaled", {"normalized", "scale"}},
		{STEP_WIDEN, "Cast", "bias", {"B"}},
		{STEP_PLAIN, "Add", "shifted", {"scaled", "bias"}},
		{STEP_PLAIN, "CastLike", "Y", {"shifted", "X"}},
	},
};
static const struct body rms_normalization = {
	"RMSNormalization",
	"X / sqrt(mean(X * X) + epsilon) * Scale; the mean over axes",
	{"X", "Scale"},
	{
		{STEP_AXES, "Constant", "axes_list", {0}},
		{STEP_EPSILON, "Constant", "epsilon_value", {0}},
		{STEP_WIDEN, "Cast", "x", {"X"}},
		{STEP_PLAIN, "Mul", "square", {"x", "x"}},
		{STEP_MEAN, "ReduceMean", "mean", {"square", "axes_list"}},
		{STEP_PLAIN, "Add", "above_zero", {"mean", "epsilon_value"}},
		{STEP_PLAIN, "Sqrt", "deviation", {"above_zero"}},
		{STEP_PLAIN, "Div", "normalized", {"x", "deviation"}},
		{STEP_WIDEN, "Cast", "scale", {"Scale"}},
		{STEP_PLAIN, "Mul", "scaled", {"normalized", "scale"}},
		{STEP_PLAIN, "CastLike", "Y", {"scaled", "X"}},
	},
};
/* clang-format on */

/* protobuf-c's fields are not const, but packing only reads them. */
static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

/* An attribute that takes the value of the function's attribute `of`. */
static void refer(struct export *e, Onnx__NodeProto *n, const char *name, const char *of)
{
	bool list = !strcmp(of, "axes");
	Onnx__AttributeProto *a = arena_new(e->arena, Onnx__AttributeProto, 1);
	onnx__attribute_proto__init(a);
	a->name = text(name);
	a->ref_attr_name = text(of);
	a->has_type = 1;
	a->type = list ? ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS
		       : ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT;
	PUSH(e->arena, n->attribute, n->n_attribute, a);
}

static void write_step(struct export *e, Onnx__FunctionProto *f, const struct step *step)
{
	bool operand = e->opset >= 18; /* the axes of ReduceMean */
	if (step->kind == STEP_AXES && !operand)
		return;
	Onnx__NodeProto *n = export_begin(e, step->op_type);
	for (int k = 0; step->in[k]; k++)
		if (step->kind != STEP_MEAN || k == 0 || operand)
			export_operand(e, n, step->in[k]);
	if (step->kind == STEP_AXES)
		refer(e, n, "value_ints", "axes");
	else if (step->kind == STEP_MEAN && !operand)
		refer(e, n, "axes", "axes");
	else if (step->kind == STEP_EPSILON)
		refer(e, n, "value_float", "epsilon");
	else if (step->kind == STEP_WIDEN)
		export_int(e, n, "to", NORMC_F32);
	PUSH(e->arena, n->output, n->n_output, text(step->out));
	n->name = n->output[0];
	PUSH(e->arena, f->node, f->n_node, n);
}

static void write_body(struct export *e, const struct body *body)
{
	struct export_functions *all = e->functions;
	Onnx__FunctionProto *f = arena_new(e->arena, Onnx__FunctionProto, 1);
	onnx__function_proto__init(f);
	f->domain = text(EXPORT_DOMAIN);
	f->name = text(body->name);
	f->doc_string = text(body->documentation);
	for (int k = 0; body->in[k]; k++)
		PUSH(e->arena, f->input, f->n_input, text(body->in[k]));
	PUSH(e->arena, f->output, f->n_output, text("Y"));
	PUSH(e->arena, f->attribute, f->n_attribute, text("axes"));
	PUSH(e->arena, f->attribute, f->n_attribute, text("epsilon"));
	PUSH(e->arena, f->opset_import, f->n_opset_import, export_opset(e, "", e->opset));
	for (const struct step *step = body->step; step->op_type; step++)
		write_step(e, f, step);
	PUSH(e->arena, all->item, all->n, f);
}

static bool is_written(const struct export_functions *all, const char *name)
{
	for (size_t i = 0; i < all->n; i++)
		if (!strcmp(all->item[i]->name, name))
			return true;
	return false;
}

const char *export_norm_call(struct export *e, const struct attr_norm *attr, int32_t rank,
			     const char *const *in)
{
	bool centred = attr->centre == NORM_CENTRE_MEAN;
	const struct body *body = centred ? &layer_normalization : &rms_normalization;
	int64_t axes[MAX_RANK];
	uint32_t count = 0;
	if (!is_written(e->functions, body->name))
		write_body(e, body);
	for (int32_t i = 0; i < rank; i++)
		if (attr->axes >> i & 1)
			axes[count++] = i - rank; /* from the end, as repetition counts */
	Onnx__NodeProto *n = export_begin(e, body->name);
	n->domain = text(EXPORT_DOMAIN);
	for (int k = 0; body->in[k]; k++)
		export_operand(e, n, in[k]);
	export_ints(e, n, "axes", axes, count);
	export_float(e, n, "epsilon", attr->epsilon);
	return export_result(e, n);
}
