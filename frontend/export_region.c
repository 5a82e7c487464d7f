/* If and Loop: their regions as sub-graphs.
 *
 * A region takes everything it uses as an input; a sub-graph sees the names around it, so inputs
 * that are the same in every iteration are bound to those names and only the changing ones are
 * written.  What is computed once for the whole graph (shapes, lists) is computed again inside:
 * names made in a sub-graph are not seen outside.
 */
#include "export_state.h"

/* The parameters from `first` on are values of the outer graph: operands from `operand` on. */
static void bind_outer(struct export *e, struct export *inner, uint32_t first, uint32_t operand)
{
	for (uint32_t i = first; i < inner->g->n_inputs; i++)
		inner->value[inner->g->inputs[i]->id] = export_in(e, operand + i - first);
}

/* Results are values that the sub-graph makes, each once. */
static void write_results(struct export *inner)
{
	const struct graph *g = inner->g;
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const struct node *n = g->outputs[i];
		bool own = n->op != OP_input && n->op != OP_constant;
		for (uint32_t k = 0; k < i; k++)
			own = own && g->outputs[k] != n;
		if (inner->context->diag->errors)
			return;
		inner->node = n;
		const char *name = export_value(inner, n);
		name = own ? name : EMIT(inner, "Identity", name);
		PUSH(inner->arena, inner->proto->output, inner->proto->n_output,
		     export_port(inner, name, &n->type));
	}
}

static void region_attribute(struct export *e, Onnx__NodeProto *n, const char *name,
			     struct export *inner)
{
	export_nodes(inner);
	write_results(inner);
	e->wanted = inner->wanted > e->wanted ? inner->wanted : e->wanted;
	e->weight_bytes = inner->weight_bytes;
	inner->proto->name = (char *)(uintptr_t)name;
	export_graph(e, n, name, inner->proto);
}

const char *export_if(struct export *e)
{
	const struct attr_region *a = e->node->attr.region;
	static const char *const names[] = {"then_branch", "else_branch"};
	Onnx__NodeProto *n = export_begin(e, "If");
	export_operand(e, n, export_in(e, 0));
	for (int r = 0; r < 2; r++) {
		struct export *inner = export_inside(e, a->region[r]);
		bind_outer(e, inner, 0, 1);
		region_attribute(e, n, names[r], inner);
	}
	return export_results(e, n, a->n_out);
}

const char *export_loop(struct export *e)
{
	const struct attr_region *a = e->node->attr.region;
	const struct graph *body = a->region[0];
	uint32_t own = 2 + a->n_carried;
	Onnx__NodeProto *n = export_begin(e, "Loop");
	struct export *inner = export_inside(e, body);
	for (uint32_t i = 0; i < own; i++) {
		inner->node = body->inputs[i];
		const char *name = export_name(inner);
		inner->value[body->inputs[i]->id] = name;
		PUSH(e->arena, inner->proto->input, inner->proto->n_input,
		     export_port(inner, name, &body->inputs[i]->type));
		export_operand(e, n, export_in(e, i));
	}
	bind_outer(e, inner, own, own);
	region_attribute(e, n, "body", inner);
	return export_results(e, n, a->n_out);
}
