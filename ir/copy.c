/* Graph to graph: rewriting by copying what is live.  Dead nodes are those that nobody copies. */
#include "graph.h"

#include <string.h>

uint32_t *graph_uses(const struct graph *g, struct arena *arena)
{
	uint32_t *uses = arena_new(arena, uint32_t, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		for (uint32_t k = 0; k < g->nodes[i]->n_in; k++)
			uses[g->nodes[i]->in[k]->id]++;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		uses[g->outputs[i]->id]++;
	return uses;
}

bool *graph_live(const struct graph *g)
{
	bool *live = arena_new(g->context->arena, bool, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		live[g->inputs[i]->id] = true;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		live[g->outputs[i]->id] = true;
	for (uint32_t i = g->n_nodes; i-- > 0;)
		for (uint32_t k = 0; live[i] && k < g->nodes[i]->n_in; k++)
			live[g->nodes[i]->in[k]->id] = true;
	return live;
}

struct node *graph_clone(struct graph *to, const struct node *old, struct node *const *in)
{
	if (old->op == OP_poison)
		return graph_poison(to);
	return graph_node(to, old->op, in, old->n_in, old->attr);
}

/* A region operation whose sub-graphs are rewritten too. */
static struct node *clone_region(struct graph *to, const struct node *old, struct node *const *in,
				 rewrite_rule *rule, void *user)
{
	struct attr_region attr;
	memcpy(&attr, old->attr.region, sizeof attr);
	for (int r = 0; r < 2; r++)
		if (attr.region[r])
			attr.region[r] = graph_rewrite(attr.region[r], rule, user);
	return graph_node(to, old->op, in, old->n_in, (union attr){.region = &attr});
}

static struct node *copy_node(struct graph *to, const struct node *old, struct node **in,
			      rewrite_rule *rule, void *user)
{
	if (old->op == OP_input) {
		struct node *n = graph_input(to, old->attr.port->name, &old->type);
		n->ints = old->ints;
		return n;
	}
	struct node *n = rule ? rule(to, old, in, user) : NULL;
	if (n)
		return n;
	if (op_info[old->op].kind == KIND_region)
		return clone_region(to, old, in, rule, user);
	return graph_clone(to, old, in);
}

struct graph *graph_rewrite(const struct graph *from, rewrite_rule *rule, void *user)
{
	struct graph *to = graph_new(from->context, from->name);
	bool *live = graph_live(from);
	struct node **map = arena_new(from->context->arena, struct node *, from->n_nodes + 1);
	struct node **in = NULL;
	uint32_t room = 0;
	to->meta = from->meta;
	for (uint32_t i = 0; i < from->n_nodes; i++) {
		const struct node *old = from->nodes[i];
		if (!live[i])
			continue;
		if (old->n_in > room) {
			room = old->n_in * 2;
			in = arena_new(from->context->arena, struct node *, room);
		}
		for (uint32_t k = 0; k < old->n_in; k++)
			in[k] = map[old->in[k]->id];
		to->at = old->loc;
		map[i] = copy_node(to, old, in, rule, user);
	}
	for (uint32_t i = 0; i < from->n_outputs; i++)
		graph_output(to, map[from->outputs[i]->id], from->output_names[i]);
	return to;
}
