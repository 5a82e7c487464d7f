/* Model-local functions: calls are imported in place, with the function's own operator sets and
 * bound attributes. */
#include "import_state.h"

#include <string.h>

#include "wire.h"

enum { CALL_COST = 10 }; /* a call takes about as much memory as ten nodes */

static const char *function_key(struct importer *s, const char *domain, const char *name,
				const char *overload)
{
	domain = domain && strcmp(domain, "ai.onnx") ? domain : "";
	return arena_printf(s->context->arena, "%s:%s:%s", domain, name ? name : "", overload);
}

bool import_functions(struct importer *s, const Onnx__ModelProto *model)
{
	struct arena *arena = s->context->arena;
	s->functions = names_new(arena);
	for (size_t i = 0; i < model->n_functions; i++) {
		const Onnx__FunctionProto *proto = model->functions[i];
		if (!proto->name || !*proto->name)
			return diag_error(s->context->diag, (struct loc){0}, NORMC_INVALID,
					  "function %zu has no name", i);
		const char *overload =
				wire_string_field(arena, &proto->base, WIRE_FUNCTION_OVERLOAD);
		void **slot = names_slot(s->functions,
					 function_key(s, proto->domain, proto->name, overload));
		if (*slot)
			return diag_error(s->context->diag, (struct loc){0}, NORMC_INVALID,
					  "the function '%.200s' is defined "
					  "twice",
					  proto->name);
		struct function *function = arena_new(arena, struct function, 1);
		function->proto = proto;
		function->name = proto->name;
		function->opsets = import_opsets(s, proto->opset_import, proto->n_opset_import);
		if (!function->opsets)
			return false;
		*slot = function;
	}
	return true;
}

const struct function *function_find(struct importer *s, const Onnx__NodeProto *node)
{
	if (!node->op_type)
		return NULL;
	const char *overload =
			wire_string_field(s->context->arena, &node->base, WIRE_NODE_OVERLOAD);
	return names_find(s->functions, function_key(s, node->domain, node->op_type, overload));
}

/* Defaults of attributes, from a field that the compiled-in schema may not know. */
static void bind_defaults(struct importer *s, struct names *attributes,
			  const Onnx__FunctionProto *proto)
{
	for (unsigned i = 0; i < proto->base.n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *field = &proto->base.unknown_fields[i];
		if (field->tag != WIRE_FUNCTION_ATTRIBUTE)
			continue;
		Onnx__AttributeProto *a = wire_unpack_field(
				s->model->arena, &onnx__attribute_proto__descriptor, field);
		if (a && a->name)
			*names_slot(attributes, a->name) = a;
	}
}

/* What the node gives for each attribute, which may be one of its own function's. */
static struct names *bind_attributes(struct import *n, const Onnx__FunctionProto *proto)
{
	struct names *attributes = names_new(n->g->context->arena);
	const Onnx__NodeProto *node = n->proto;
	bind_defaults(n->state, attributes, proto);
	for (size_t i = 0; i < node->n_attribute; i++) {
		const char *name = node->attribute[i]->name;
		const Onnx__AttributeProto *a = name ? import_attribute(n, name) : NULL;
		if (a)
			*names_slot(attributes, name) = (void *)(uintptr_t)a;
	}
	return attributes;
}

static bool check_call(struct import *n, const struct function *function)
{
	uint32_t errors = n->g->context->diag->errors;
	for (const struct call_frame *f = n->state->scope->frame; f; f = f->caller)
		if (f->function == function) {
			import_invalid(n, "the function '%.200s' calls itself", function->name);
			return false;
		}
	if (n->n_in > function->proto->n_input || n->n_out > function->proto->n_output)
		import_invalid(n,
			       "the function '%.200s' has %zu inputs and %zu outputs; the node has "
			       "%u and %u",
			       function->name, function->proto->n_input, function->proto->n_output,
			       n->n_in, n->n_out);
	return n->g->context->diag->errors == errors;
}

void import_call(struct import *n, const struct function *function)
{
	struct importer *s = n->state;
	struct arena *arena = n->g->context->arena;
	const Onnx__FunctionProto *proto = function->proto;
	const struct source *source = &s->sources[s->n_sources - 1];
	uint32_t errors = n->g->context->diag->errors;
	if (!check_call(n, function) || !import_count(s, CALL_COST, n->g->at) ||
	    !import_enter(s, n->g->at))
		return;
	struct call_frame *frame = arena_new(arena, struct call_frame, 1);
	*frame = (struct call_frame){s->scope->frame, function, bind_attributes(n, proto)};
	struct scope *scope = arena_new(arena, struct scope, 1);
	scope->g = n->g;
	scope->values = names_new(arena);
	scope->opsets = function->opsets;
	scope->frame = frame;
	scope->prefix = arena_printf(arena, "%.200s/",
				     *source->name ? source->name : function->name);
	for (uint32_t i = 0; i < proto->n_input; i++) {
		struct node *operand = import_optional(n, i);
		if (operand)
			scope_bind(s, scope, proto->input[i], operand);
		else
			scope_bind_absent(s, scope, proto->input[i]);
	}
	import_nodes(s, scope, proto->node, proto->n_node);
	for (uint32_t i = 0; i < n->n_out; i++) {
		struct node *node =
				import_wants(n, i) ? scope_find(s, scope, proto->output[i]) : NULL;
		if (import_wants(n, i) && !node && n->g->context->diag->errors == errors)
			import_invalid(n, "the function '%.200s' does not make its result '%.200s'",
				       function->name, proto->output[i]);
		n->out[i] = node;
	}
	s->depth--;
}
