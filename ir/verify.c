/* Well-formedness: what the builder promises, checked from outside.  Run between passes; each fault
 * is a mistake of ours. */
#include "graph.h"

static bool fault(const struct graph *g, const struct node *n, const char *what)
{
	return bug(g->context->diag, n->loc, "graph '%s', node %u (%s): %s", g->name, n->id,
		   op_info[n->op].name, what);
}

static bool is_in(const struct graph *g, const struct node *n)
{
	return n->id < g->n_nodes && g->nodes[n->id] == n;
}

static bool check_operands(const struct graph *g, const struct node *n)
{
	for (uint32_t k = 0; k < n->n_in; k++) {
		if (!n->in[k] || !is_in(g, n->in[k]))
			return fault(g, n, "an operand is not of this graph");
		if (n->in[k]->id >= n->id)
			return fault(g, n, "an operand comes later");
		if (node_is_poison(n->in[k]))
			return fault(g, n, "an operand is poison");
	}
	return true;
}

/* The type is what inference gives. */
static bool check_type(const struct graph *g, const struct node *n)
{
	struct graph view = *g;
	struct node draft = *n;
	struct type type;
	view.at = n->loc;
	if (!infer_type(&view, &draft, &type))
		return fault(g, n, "operands or attribute do not fit");
	return type_equal(&type, &n->type) || fault(g, n, "the type is not what its operands give");
}

static bool check_ints(const struct graph *g, const struct node *n)
{
	int64_t count = node_n_ints(n);
	if (!n->ints)
		return true;
	if (count < 0 || n->type.rank > 1)
		return fault(g, n, "tracked contents of a tensor that cannot have them");
	for (int64_t i = 0; i < count; i++)
		if (!n->ints[i] || n->ints[i]->kind == DIM_INVALID)
			return fault(g, n, "an element of the tracked contents is missing");
	return true;
}

static bool check_node(const struct graph *g, const struct node *n, uint32_t id)
{
	if (n->id != id)
		return fault(g, n, "its number is not its position");
	if (n->op == OP_poison)
		return true; /* left over from a report; nobody may read it */
	if (op_info[n->op].attr_size && !n->attr.any)
		return fault(g, n, "it has no attribute");
	if (!check_operands(g, n) || !check_type(g, n) || !check_ints(g, n))
		return false;
	bool good = true;
	for (int r = 0; r < 2 && op_info[n->op].kind == KIND_region; r++)
		if (n->attr.region->region[r])
			good = graph_verify(n->attr.region->region[r]) && good;
	return good;
}

static bool check_ports(const struct graph *g)
{
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		const struct node *n = g->inputs[i];
		if (!is_in(g, n) || n->op != OP_input || n->attr.port->index != i)
			return fault(g, n, "it is not the input that it stands for");
	}
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const struct node *n = g->outputs[i];
		if (!is_in(g, n) || node_is_poison(n) || n->type.elem == NORMC_ELEM_NONE)
			return fault(g, n, "it cannot be an output");
	}
	return true;
}

bool graph_verify(const struct graph *g)
{
	bool good = true;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		good = check_node(g, g->nodes[i], i) && good;
	return check_ports(g) && good;
}
