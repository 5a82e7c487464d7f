/* A graph as an ONNX model: plans backwards, writes forwards, packs.
 *
 * Everything is written for one opset.  If an operator needs a later one, which the cap allows, all
 * is written again for that; the opset only grows, so this ends.
 */
#include "export.h"

#include <stdarg.h>
#include <string.h>

#include "export_state.h"

/* ---- the table ---- */

#define WRITE(name, way, onnx, opset)                                                              \
	static const struct export_way way_##name = {export_##way, onnx, opset};
#include "export.def"
#undef WRITE

const struct export_way *export_way(enum op op)
{
	static const struct export_way *const ways[OP_COUNT] = {
#define OP(name, ...) [OP_##name] = &way_##name,
#include "ops.def"
#undef OP
	};
	return ways[op];
}

const char *export_refuse(struct export *e, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	const struct node *n = e->node;
	diag_error(e->context->diag, n->loc, NORMC_UNSUPPORTED,
		   "the operation '%s' cannot be written as ONNX: %s",
		   n->op == OP_call ? n->attr.call->name : op_info[n->op].name, text);
	return "";
}

const char *export_nothing(struct export *e)
{
	return e->value[e->node->id];
}

const char *export_unwritable(struct export *e)
{
	return export_refuse(e, "the writer does not know it");
}

/* ---- types ---- */

static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

static Onnx__TensorShapeProto__Dimension *dimension(struct export *e, const struct dim *d)
{
	Onnx__TensorShapeProto__Dimension *to =
			arena_new(e->arena, Onnx__TensorShapeProto__Dimension, 1);
	onnx__tensor_shape_proto__dimension__init(to);
	if (dim_is_const(d)) {
		to->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		to->dim_value = d->value;
	} else if (d->kind == DIM_SYMBOL && e->context->dims->symbols[d->value].name[0] &&
		   !e->context->dims->symbols[d->value].element) {
		to->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
		to->dim_param = text(e->context->dims->symbols[d->value].name);
	}
	return to;
}

Onnx__ValueInfoProto *export_port(struct export *e, const char *name, const struct type *type)
{
	Onnx__ValueInfoProto *info = arena_new(e->arena, Onnx__ValueInfoProto, 1);
	Onnx__TypeProto *proto = arena_new(e->arena, Onnx__TypeProto, 1);
	Onnx__TypeProto__Tensor *tensor = arena_new(e->arena, Onnx__TypeProto__Tensor, 1);
	Onnx__TensorShapeProto *shape = arena_new(e->arena, Onnx__TensorShapeProto, 1);
	onnx__value_info_proto__init(info);
	onnx__type_proto__init(proto);
	onnx__type_proto__tensor__init(tensor);
	onnx__tensor_shape_proto__init(shape);
	info->name = text(name);
	info->type = proto;
	proto->value_case = ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE;
	proto->tensor_type = tensor;
	tensor->has_elem_type = 1;
	tensor->elem_type = (int32_t)type->elem;
	tensor->shape = shape;
	for (int32_t i = 0; i < type->rank; i++)
		PUSH(e->arena, shape->dim, shape->n_dim, dimension(e, type->dim[i]));
	return info;
}

/* ---- the graph ---- */

static void write_ports(struct export *e)
{
	const struct graph *g = e->g;
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		const char *name = g->inputs[i]->attr.port->name;
		e->node = g->inputs[i];
		export_check_elem(e, e->node->type.elem);
		PUSH(e->arena, e->proto->input, e->proto->n_input,
		     export_port(e, name, &e->node->type));
		export_take(e, name);
		e->value[g->inputs[i]->id] = name;
	}
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const struct node *n = g->outputs[i];
		PUSH(e->arena, e->proto->output, e->proto->n_output,
		     export_port(e, g->output_names[i], &n->type));
		export_take(e, g->output_names[i]);
		if (n->op != OP_input && n->op != OP_constant && !e->output[n->id])
			e->output[n->id] = g->output_names[i];
	}
}

/* Plans of the live nodes, from the outputs back; `live` is by node. */
static void make_plans(struct export *e, bool *live)
{
	const struct graph *g = e->g;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		live[g->outputs[i]->id] = true;
	for (uint32_t i = g->n_nodes; i-- > 0;) {
		if (!live[i])
			continue;
		e->node = g->nodes[i];
		export_choose(e, g->nodes[i], &e->plans[i]);
		for (uint32_t k = 0; k < e->plans[i].n_in; k++)
			live[e->plans[i].in[k]->id] = true;
	}
}

/* Gives a value the name of a graph output. */
static void write_output(struct export *e, const struct node *n, const char *name)
{
	Onnx__NodeProto *identity = export_begin(e, "Identity");
	e->node = n;
	export_operand(e, identity, export_value(e, n));
	export_result(e, identity);
	identity->output[0] = text(name);
}

/* Gives a result of a node another name; false if it has none of that name. */
static bool rename_result(Onnx__NodeProto *n, const char *name, const char *to)
{
	for (size_t i = 0; i < n->n_output; i++)
		if (n->output[i] == name) {
			n->output[i] = text(to);
			return true;
		}
	return false;
}

static void write_node(struct export *e, const struct node *n)
{
	Onnx__GraphProto *g = e->proto;
	e->node = n;
	e->plan = &e->plans[n->id];
	const char *value = e->plan->write ? e->plan->write(e) : export_way(n->op)->write(e);
	const char *output = e->output[n->id];
	if (value)
		e->value[n->id] = value;
	if (!output || !value)
		return;
	/* usually the node that was written last makes it, and nothing has read it yet */
	if (!g->n_node || !rename_result(g->node[g->n_node - 1], value, output))
		write_output(e, n, output);
	e->value[n->id] = output;
}

void export_nodes(struct export *e)
{
	const struct graph *g = e->g;
	bool *live = arena_new(e->arena, bool, g->n_nodes + 1);
	make_plans(e, live);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (live[i])
			write_node(e, g->nodes[i]);
}

static void write_graph(struct export *e)
{
	const struct graph *g = e->g;
	e->proto->name = text(g->name ? g->name : "");
	write_ports(e);
	export_nodes(e);
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const struct node *n = g->outputs[i];
		if (e->context->diag->errors == 0 &&
		    strcmp(export_value(e, n), g->output_names[i]) != 0)
			write_output(e, n, g->output_names[i]);
	}
}

/* ---- the model ---- */

Onnx__OperatorSetIdProto *export_opset(struct export *e, const char *domain, int32_t version)
{
	Onnx__OperatorSetIdProto *opset = arena_new(e->arena, Onnx__OperatorSetIdProto, 1);
	onnx__operator_set_id_proto__init(opset);
	opset->domain = text(domain);
	opset->has_version = 1;
	opset->version = version;
	return opset;
}

/* The version of the file format that came with an opset. */
static int64_t ir_version(int32_t opset)
{
	static const struct {
		int32_t opset;
		int64_t version;
	} since[] = {{25, 12}, {23, 11}, {21, 10}, {19, 9}, {15, 8}};
	for (size_t i = 0; i < sizeof since / sizeof *since; i++)
		if (opset >= since[i].opset)
			return since[i].version;
	return 7;
}

static void write_meta(struct export *e, Onnx__ModelProto *model)
{
	for (const char *const *m = e->g->meta; m && m[0]; m += 2) {
		Onnx__StringStringEntryProto *entry =
				arena_new(e->arena, Onnx__StringStringEntryProto, 1);
		onnx__string_string_entry_proto__init(entry);
		entry->key = text(m[0]);
		entry->value = text(m[1]);
		PUSH(e->arena, model->metadata_props, model->n_metadata_props, entry);
	}
}

static Onnx__ModelProto *write_model(struct export *e, const struct model *from)
{
	Onnx__ModelProto *model = arena_new(e->arena, Onnx__ModelProto, 1);
	const Onnx__ModelProto *old = from ? from->proto : NULL;
	onnx__model_proto__init(model);
	PUSH(e->arena, model->opset_import, model->n_opset_import, export_opset(e, "", e->opset));
	if (e->functions->n)
		PUSH(e->arena, model->opset_import, model->n_opset_import,
		     export_opset(e, EXPORT_DOMAIN, 1));
	model->functions = e->functions->item;
	model->n_functions = e->functions->n;
	model->has_ir_version = 1;
	model->ir_version = ir_version(e->opset);
	model->producer_name = text("normc");
	model->graph = e->proto;
	write_meta(e, model);
	if (!old)
		return model;
	if (old->has_ir_version && old->ir_version > model->ir_version)
		model->ir_version = old->ir_version;
	model->producer_name = old->producer_name;
	model->producer_version = old->producer_version;
	model->domain = old->domain;
	model->doc_string = old->doc_string;
	model->has_model_version = old->has_model_version;
	model->model_version = old->model_version;
	return model;
}

/* protobuf-c packs into this. */
struct sink {
	ProtobufCBuffer base;
	FILE *file;
};

static void append(ProtobufCBuffer *buffer, size_t n, const uint8_t *data)
{
	/* the first member's address is the structure's; ferror remembers a failure */
	struct sink *sink = (struct sink *)(void *)buffer;
	fwrite(data, 1, n, sink->file);
}

static bool pack(struct export *e, const Onnx__ModelProto *model, FILE *file)
{
	struct sink sink = {.base = {append}, .file = file};
	struct diag *diag = e->context->diag;
	/* the weights first: sizes inside of protobuf-c have 32 bits */
	if (e->weight_bytes > INT32_MAX || onnx__model_proto__get_packed_size(model) > INT32_MAX)
		return diag_error(diag, (struct loc){0}, NORMC_LIMIT,
				  "the rewritten model is larger than 2 GiB, the limit of a "
				  "protobuf file; narrow its weights (f16) or split it");
	onnx__model_proto__pack_to_buffer(model, &sink.base);
	return !ferror(file) ||
	       diag_error(diag, (struct loc){0}, NORMC_IO, "the model could not be written");
}

/* With empty tables for a graph. */
static struct export *open_tables(struct export *e, const struct graph *g)
{
	struct arena *arena = g->context->arena;
	e->g = g;
	e->uses = graph_uses(g, arena);
	e->plans = arena_new(arena, struct export_plan, g->n_nodes + 1);
	e->value = arena_new(arena, const char *, g->n_nodes + 1);
	e->output = arena_new(arena, const char *, g->n_nodes + 1);
	e->results = arena_new(arena, const char **, g->n_nodes + 1);
	e->proto = arena_new(arena, Onnx__GraphProto, 1);
	e->known = names_new(arena);
	onnx__graph_proto__init(e->proto);
	return e;
}

static struct export *export_new(const struct graph *g, int32_t opset, int32_t cap)
{
	struct export *e = arena_new(g->context->arena, struct export, 1);
	*e = (struct export){.main = g,
			     .context = g->context,
			     .arena = g->context->arena,
			     .opset = opset,
			     .cap = cap,
			     .wanted = opset,
			     .taken = names_new(g->context->arena),
			     .functions = arena_new(g->context->arena, struct export_functions, 1)};
	return open_tables(e, g);
}

struct export *export_inside(struct export *e, const struct graph *region)
{
	struct export *inner = arena_copy(e->arena, e, sizeof *e);
	return open_tables(inner, region);
}

bool export_model(const struct graph *g, const struct export_request *request, FILE *file,
		  struct export_summary *summary)
{
	struct diag *diag = g->context->diag;
	int32_t opset = request->opset < EXPORT_OPSET_FIRST ? EXPORT_OPSET_FIRST : request->opset;
	uint32_t errors = diag->errors;
	if (request->cap < EXPORT_OPSET_FIRST || request->cap > EXPORT_OPSET_LAST)
		return diag_error(diag, (struct loc){0}, NORMC_USAGE,
				  "opset %d cannot be written; opsets %d to %d can%s", request->cap,
				  EXPORT_OPSET_FIRST, EXPORT_OPSET_LAST,
				  request->cap > EXPORT_OPSET_LAST
						  ? ""
						  : ": Softmax, ReduceSum and Squeeze were other "
						    "operators before");
	opset = opset > request->cap ? request->cap : opset;
	for (;;) {
		struct export *e = export_new(g, opset, request->cap);
		write_graph(e);
		if (diag->errors != errors)
			return false;
		if (e->wanted > e->opset) {
			opset = e->wanted;
			continue;
		}
		summary->opset = opset;
		summary->nodes = (uint32_t)e->proto->n_node;
		return pack(e, write_model(e, request->model), file);
	}
}

int32_t export_model_opset(const struct model *model)
{
	const Onnx__ModelProto *proto = model->proto;
	for (size_t i = 0; i < proto->n_opset_import; i++) {
		const Onnx__OperatorSetIdProto *set = proto->opset_import[i];
		if (!set->domain || !*set->domain || !strcmp(set->domain, "ai.onnx"))
			return set->version > 0 && set->version <= INT32_MAX ? (int32_t)set->version
									     : 0;
	}
	return 0;
}

uint32_t export_model_nodes(const struct model *model)
{
	const Onnx__ModelProto *proto = model->proto;
	return proto->graph ? (uint32_t)proto->graph->n_node : 0;
}
