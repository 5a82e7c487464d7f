/* Walks the nodes of a graph in order: names to values, operators to their importers, errors to
 * places.
 *
 * One scope holds the names of a graph, a function body or a sub-graph.  A region's scope captures
 * what it takes from outside, one level at a time, so that values pass through all regions in
 * between.
 */
#include "import_state.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool import_stopped(const struct importer *s)
{
	return s->context->diag->errors >= DIAG_MAX_ERRORS;
}

bool import_enter(struct importer *s, struct loc loc)
{
	if (s->depth == IMPORT_MAX_NESTING)
		return diag_error(s->context->diag, loc, NORMC_LIMIT,
				  "sub-graphs and functions are nested deeper than %d",
				  IMPORT_MAX_NESTING);
	s->depth++;
	return true;
}

struct node *import_constant(struct importer *s, struct graph *g, const Onnx__TensorProto *tensor)
{
	struct raw_tensor raw;
	if (!load_tensor(s->model, s->context->diag, g->at, tensor, &raw))
		return graph_poison(g);
	struct type type = type_fixed(s->context, raw.elem, raw.rank, raw.dim);
	return build_constant(g, &type, raw.data, raw.bytes);
}

static struct value *value_slot(struct importer *s, struct scope *scope, const char *name)
{
	void **slot = names_slot(scope->values, name);
	if (!*slot)
		*slot = arena_new(s->context->arena, struct value, 1);
	return *slot;
}

struct node *scope_capture(struct importer *s, struct scope *scope, struct node *outer,
			   const char *name)
{
	struct arena *arena = s->context->arena;
	if (node_is_poison(outer))
		return graph_poison(scope->g);
	if (outer->op == OP_constant || outer->op == OP_dims || outer->op == OP_iota)
		return graph_clone(scope->g, outer, NULL);
	void **slot = names_slot(scope->inner, arena_printf(arena, "%u", outer->id));
	if (!*slot) {
		*slot = graph_parameter(scope->g, name, outer);
		PUSH(arena, scope->captured->node, scope->captured->n, outer);
	}
	return *slot;
}

struct node *scope_find(struct importer *s, struct scope *scope, const char *name)
{
	struct value *value = names_find(scope->values, name);
	if (value && value->tensor && !value->node)
		value->node = import_constant(s, scope->g, value->tensor);
	if (value)
		return value->node;
	if (!scope->outer)
		return NULL;
	struct node *node = scope_find(s, scope->outer, name);
	if (!node || scope->g == scope->outer->g)
		return node;
	node = scope_capture(s, scope, node, name);
	value_slot(s, scope, name)->node = node;
	return node;
}

void scope_bind(struct importer *s, struct scope *scope, const char *name, struct node *node)
{
	struct value *value = value_slot(s, scope, name);
	if (value->node || value->tensor)
		diag_error(s->context->diag, scope->g->at, NORMC_INVALID,
			   "the value '%.200s' is defined twice", name);
	value->node = node;
}

bool import_initializers(struct importer *s, struct scope *scope, const Onnx__GraphProto *graph)
{
	struct diag *diag = s->context->diag;
	uint32_t errors = diag->errors;
	if (graph->n_sparse_initializer)
		return diag_error(diag, scope->g->at, NORMC_UNSUPPORTED,
				  "sparse initializers are not supported");
	for (size_t i = 0; i < graph->n_initializer && !import_stopped(s); i++) {
		const Onnx__TensorProto *tensor = graph->initializer[i];
		if (!tensor->name || !*tensor->name) {
			diag_error(diag, scope->g->at, NORMC_INVALID, "initializer %zu has no name",
				   i);
			continue;
		}
		struct value *value = value_slot(s, scope, tensor->name);
		if (value->tensor)
			diag_error(diag, scope->g->at, NORMC_INVALID,
				   "the initializer '%.200s' is defined twice", tensor->name);
		value->tensor = tensor;
	}
	return diag->errors == errors;
}

struct names *import_opsets(struct importer *s, Onnx__OperatorSetIdProto *const *entry, size_t n)
{
	struct diag *diag = s->context->diag;
	struct names *opsets = names_new(s->context->arena);
	for (size_t i = 0; i < n; i++) {
		const char *domain = entry[i]->domain && strcmp(entry[i]->domain, "ai.onnx")
						     ? entry[i]->domain
						     : "";
		void **slot = names_slot(opsets, domain);
		int64_t version = entry[i]->version;
		if (!entry[i]->has_version || version < 1 || version > INT32_MAX) {
			diag_error(diag, (struct loc){0}, NORMC_INVALID,
				   "the import of operator set '%.100s' has no "
				   "valid version",
				   domain);
			return NULL;
		}
		if (!*domain && (version < OPSET_FIRST || version > OPSET_LAST)) {
			diag_error(diag, (struct loc){0}, NORMC_UNSUPPORTED,
				   "opset %lld is not supported; supported are "
				   "%d to %d",
				   (long long)version, OPSET_FIRST, OPSET_LAST);
			return NULL;
		}
		int32_t *number = arena_new(s->context->arena, int32_t, 1);
		*number = (int32_t)version;
		*slot = number;
	}
	return opsets;
}

/* Enters the node in the table of sources and makes it the graph's place. */
static void add_source(struct importer *s, struct scope *scope, const Onnx__NodeProto *proto,
		       uint32_t position)
{
	struct arena *arena = s->context->arena;
	const char *domain = proto->domain && strcmp(proto->domain, "ai.onnx") ? proto->domain : "";
	const int32_t *opset = names_find(scope->opsets, domain);
	struct source source = {.name = proto->name ? proto->name : "",
				.domain = domain,
				.position = position};
	source.op_type = proto->op_type ? proto->op_type : "";
	source.opset = opset ? *opset : 0;
	if (!*source.name && proto->n_output) /* exporters often leave nodes unnamed */
		source.name = proto->output[0];
	if (*scope->prefix)
		source.name = arena_printf(arena, "%s%s", scope->prefix, source.name);
	PUSH(arena, s->sources, s->n_sources, source);
	s->context->diag->sources = s->sources;
	s->context->diag->n_sources = s->n_sources;
	scope->g->at = (struct loc){.source = s->n_sources - 1};
}

/* Whether `name` is an input of a function that its caller left out. */
static bool is_absent(const struct scope *scope, const char *name)
{
	for (; scope; scope = scope->outer) {
		const struct value *value = names_find(scope->values, name);
		if (value)
			return value->absent;
	}
	return false;
}

void scope_bind_absent(struct importer *s, struct scope *scope, const char *name)
{
	value_slot(s, scope, name)->absent = true;
}

/* Looks up the operands; false after a report. `poisoned`: one of them could not be built. */
static bool find_operands(struct import *n, const Onnx__NodeProto *proto, bool *poisoned)
{
	struct importer *s = n->state;
	bool ok = true;
	n->n_in = (uint32_t)proto->n_input;
	n->in = arena_new(s->context->arena, struct node *, proto->n_input + 1);
	for (uint32_t i = 0; i < n->n_in; i++) {
		if (!proto->input[i][0])
			continue;
		n->in[i] = scope_find(s, s->scope, proto->input[i]);
		if (!n->in[i] && is_absent(s->scope, proto->input[i]))
			continue;
		if (!n->in[i])
			ok = diag_error(s->context->diag, n->g->at, NORMC_INVALID,
					"operand %u, '%.200s', is not made by "
					"the model's inputs, initializers or earlier nodes",
					i, proto->input[i]);
		else if (node_is_poison(n->in[i]))
			*poisoned = true;
	}
	return ok;
}

static void dispatch(struct import *n, const Onnx__NodeProto *proto)
{
	struct importer *s = n->state;
	const struct source *source = &s->sources[s->n_sources - 1];
	const struct function *function = function_find(s, proto);
	bool poisoned = false;
	n->op_type = source->op_type;
	n->opset = source->opset;
	if (!function && !n->opset) {
		diag_error(s->context->diag, n->g->at,
			   *source->domain ? NORMC_UNSUPPORTED : NORMC_INVALID,
			   "the model does not import operator set '%.100s'",
			   *source->domain ? source->domain : "ai.onnx");
		return;
	}
	const struct operator_row *row = function ? NULL : operator_find(s, n->g->at, source);
	if (!find_operands(n, proto, &poisoned) || poisoned)
		return;
	if (function)
		import_call(n, function);
	else if (row)
		row->function(n);
}

static void bind_results(struct import *n, const Onnx__NodeProto *proto, uint32_t errors)
{
	struct importer *s = n->state;
	struct diag *diag = s->context->diag;
	bool failed = diag->errors != errors;
	/* poison comes silently: its cause was reported before */
	for (uint32_t i = 0; i < n->n_in; i++)
		failed |= n->in[i] && node_is_poison(n->in[i]);
	for (uint32_t i = 0; i < n->n_out; i++) {
		if (!proto->output[i][0])
			continue;
		if (!failed && !n->out[i]) {
			diag_error(diag, n->g->at, NORMC_UNSUPPORTED,
				   "the operator has no result %u", i);
			failed = true;
		}
		scope_bind(s, s->scope, proto->output[i], failed ? graph_poison(n->g) : n->out[i]);
	}
}

static void import_node(struct importer *s, struct scope *scope, const Onnx__NodeProto *proto,
			uint32_t position)
{
	uint32_t errors = s->context->diag->errors;
	struct import n = {.g = scope->g, .state = s, .proto = proto};
	add_source(s, scope, proto, position);
	n.n_out = (uint32_t)proto->n_output;
	n.out = arena_new(s->context->arena, struct node *, proto->n_output + 1);
	dispatch(&n, proto);
	bind_results(&n, proto, errors);
}

bool import_count(struct importer *s, uint32_t nodes, struct loc loc)
{
	bool full = s->n_nodes > LOAD_MAX_NODES; /* reported before */
	s->n_nodes += full ? 0 : nodes;
	if (!full && s->n_nodes > LOAD_MAX_NODES)
		diag_error(s->context->diag, loc, NORMC_LIMIT,
			   "the model expands to more than %d nodes", LOAD_MAX_NODES);
	return s->n_nodes <= LOAD_MAX_NODES;
}

void import_nodes(struct importer *s, struct scope *scope, Onnx__NodeProto *const *node, size_t n)
{
	struct scope *before = s->scope;
	struct loc at = scope->g->at;
	s->scope = scope;
	for (size_t i = 0; i < n && !import_stopped(s); i++) {
		if (!import_count(s, 1, scope->g->at))
			break;
		import_node(s, scope, node[i], (uint32_t)i);
	}
	s->scope = before;
	scope->g->at = at;
}

static bool check_model(struct importer *s, const Onnx__ModelProto *model)
{
	struct diag *diag = s->context->diag;
	const struct loc nowhere = {0};
	if (!model->graph)
		return diag_error(diag, nowhere, NORMC_INVALID,
				  "not an ONNX model: there is no graph in it");
	s->ir_version = model->has_ir_version ? model->ir_version : 0;
	if (s->ir_version < 1)
		return diag_error(diag, nowhere, NORMC_INVALID,
				  "not an ONNX model: it has no IR version");
	if (s->ir_version < 3)
		return diag_error(diag, nowhere, NORMC_UNSUPPORTED,
				  "IR version %lld is not supported; supported are 3 and "
				  "later",
				  (long long)s->ir_version);
	if (!model->n_opset_import)
		return diag_error(diag, nowhere, NORMC_INVALID,
				  "the model imports no operator set");
	return true;
}

/* Key, value, key, value, ..., NULL. */
static const char *const *read_metadata(struct importer *s, const Onnx__ModelProto *model)
{
	const char **meta =
			arena_new(s->context->arena, const char *, 2 * model->n_metadata_props + 1);
	for (size_t i = 0; i < model->n_metadata_props; i++) {
		const Onnx__StringStringEntryProto *entry = model->metadata_props[i];
		meta[2 * i] = entry->key ? entry->key : "";
		meta[2 * i + 1] = entry->value ? entry->value : "";
	}
	return meta;
}

struct graph *import_model(struct context *context, struct model *model, const char *const *fixed)
{
	const Onnx__ModelProto *proto = model->proto;
	struct arena *arena = context->arena;
	struct importer s = {.context = context, .model = model};
	uint32_t errors = context->diag->errors;
	PUSH(arena, s.sources, s.n_sources,
	     ((struct source){.name = "", .op_type = "", .domain = ""}));
	if (!check_model(&s, proto))
		return NULL;
	s.operators = operator_names(arena);
	s.symbols = names_new(arena);
	struct scope *top = arena_new(arena, struct scope, 1);
	top->g = graph_new(context, proto->graph->name);
	top->g->meta = read_metadata(&s, proto);
	top->values = names_new(arena);
	top->prefix = "";
	top->opsets = import_opsets(&s, proto->opset_import, proto->n_opset_import);
	s.scope = top;
	s.main = top->g;
	if (!top->opsets || !import_functions(&s, proto) ||
	    !import_initializers(&s, top, proto->graph) ||
	    !import_graph_inputs(&s, proto->graph, fixed))
		return NULL;
	import_nodes(&s, top, proto->graph->node, proto->graph->n_node);
	if (context->diag->errors == errors)
		import_graph_outputs(&s, proto->graph);
	return context->diag->errors == errors ? top->g : NULL;
}
