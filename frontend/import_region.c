/* Sub-graphs: as closed regions of their own, or, where control flow is decided at compile time, in
 * place. */
#include "import_state.h"

#include <string.h>

/* The node being imported may be inside of the scope that is current, never elsewhere. */
struct body *body_open(struct import *n, const char *name, uint32_t n_inputs,
		       struct captures *captured)
{
	struct importer *s = n->state;
	struct arena *arena = n->g->context->arena;
	const Onnx__AttributeProto *a = import_attribute(n, name);
	if (!a || !a->has_type || a->type != ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH ||
	    !a->g) {
		import_invalid(n, "attribute '%s' is missing or not a graph", name);
		return NULL;
	}
	if (a->g->n_input != n_inputs) {
		import_invalid(n, "the graph '%s' has %zu inputs instead of %u", name,
			       a->g->n_input, n_inputs);
		return NULL;
	}
	struct body *body = arena_new(arena, struct body, 1);
	body->proto = a->g;
	body->scope = *s->scope;
	body->scope.outer = s->scope;
	body->scope.values = names_new(arena);
	if (captured) {
		body->scope.g = graph_new(n->g->context, a->g->name);
		body->scope.g->at = n->g->at;
		body->scope.captured = captured;
		body->scope.inner = names_new(arena);
	}
	return body;
}

void body_bind(struct import *n, struct body *body, uint32_t input, struct node *value)
{
	const char *name = body->proto->input[input]->name;
	if (name && *name)
		scope_bind(n->state, &body->scope, name, value);
}

/* Parameters for what the other branch of an If captured before. */
static void add_captured(struct importer *s, struct scope *scope)
{
	struct arena *arena = s->context->arena;
	for (uint32_t i = 0; i < scope->captured->n; i++) {
		const struct node *outer = scope->captured->node[i];
		*names_slot(scope->inner, arena_printf(arena, "%u", outer->id)) =
				graph_parameter(scope->g, "", outer);
	}
}

bool body_import(struct import *n, struct body *body, struct node **out)
{
	struct importer *s = n->state;
	struct diag *diag = s->context->diag;
	uint32_t errors = diag->errors;
	bool ok = true;
	if (!import_enter(s, n->g->at))
		return false;
	if (import_initializers(s, &body->scope, body->proto))
		import_nodes(s, &body->scope, body->proto->node, body->proto->n_node);
	for (size_t i = 0; i < body->proto->n_output && diag->errors == errors; i++) {
		const char *name = body->proto->output[i]->name ? body->proto->output[i]->name : "";
		out[i] = scope_find(s, &body->scope, name);
		if (!out[i])
			import_invalid(n,
				       "result '%.200s' of the sub-graph is not made by any node",
				       name);
		else
			ok &= !node_is_poison(out[i]);
	}
	s->depth--;
	return ok && diag->errors == errors;
}

struct graph *import_region(struct import *n, const char *name, struct node *const *params,
			    uint32_t n_params, struct captures *captured)
{
	struct body *body = body_open(n, name, n_params, captured);
	if (!body)
		return NULL;
	struct graph *g = body->scope.g;
	for (uint32_t i = 0; i < n_params; i++) {
		const char *input = body->proto->input[i]->name;
		body_bind(n, body, i, graph_parameter(g, input ? input : "", params[i]));
	}
	add_captured(n->state, &body->scope);
	struct node **out = arena_new(g->context->arena, struct node *, body->proto->n_output + 1);
	if (!body_import(n, body, out))
		return NULL;
	for (size_t i = 0; i < body->proto->n_output; i++)
		graph_output(g, out[i], body->proto->output[i]->name);
	return g;
}

void import_region_extend(struct import *n, struct graph *region, uint32_t n_params,
			  const struct captures *captured)
{
	(void)n;
	for (uint32_t i = region->n_inputs - n_params; i < captured->n; i++)
		graph_parameter(region, "", captured->node[i]);
}
