/* Lowers the sub-graphs of an if or a loop to programs of their own, which share the weights block
 * and one piece of the outer workspace.
 */
#include "lower.h"

#include "pass.h"

/* Weights are one list for all programs: the inner one goes on where the outer one is. */
static struct program *lower_inner(struct program *p, struct graph *g,
				   const struct machine *machine)
{
	struct program start = {.weights = p->weights, .n_weights = p->n_weights};
	struct program *inner = program_lower(g, machine, &start);
	if (inner) {
		p->weights = inner->weights;
		p->n_weights = inner->n_weights;
	}
	return inner;
}

static uint32_t work_new(struct program *p, const struct type *type)
{
	struct buffer b = {.kind = BUFFER_WORK, .elem = type->elem};
	b.count = type_count(p->context->dims, type);
	return buffer_new(p, b);
}

/* The view of result `index` in memory, NULL if nobody reads it. */
static const struct view *result_view(const struct program *p, const struct node *n, uint32_t index)
{
	if (node_n_results(n) == 1 && p->view[n->id].buffer != NO_BUFFER)
		return &p->view[n->id];
	for (uint32_t i = n->id + 1; i < p->graph->n_nodes; i++) {
		const struct node *part = p->graph->nodes[i];
		if (part->op == OP_part && part->in[0] == n && part->attr.part->index == index)
			return &p->view[i];
	}
	return NULL;
}

static void place_region_results(struct program *p, const struct node *n, struct region *region)
{
	const struct attr_region *attr = n->attr.region;
	region->result = arena_new(p->context->arena, struct view, attr->n_out + 1);
	for (uint32_t i = 0; i < attr->n_out; i++) {
		const struct view *v = result_view(p, n, i);
		if (v)
			region->result[i] = *v;
		else
			region->result[i] = (struct view){.buffer = work_new(p, &attr->out[i]),
							  .offset = dim_const(p->context->dims, 0)};
	}
}

void region_lower(struct program *p, struct kernel *k, const struct machine *machine)
{
	const struct attr_region *attr = k->root->attr.region;
	struct arena *arena = p->context->arena;
	struct dims *dims = p->context->dims;
	struct region *region = arena_new(arena, struct region, 1);
	struct buffer workspace = {.kind = BUFFER_WORK, .elem = NORMC_U8};
	workspace.count = dim_const(dims, 0);
	for (int r = 0; r < 2 && attr->region[r]; r++) {
		region->program[r] = lower_inner(p, attr->region[r], machine);
		if (!region->program[r])
			return;
		workspace.count = dim_max(dims, workspace.count, region->program[r]->workspace);
	}
	region->workspace = buffer_new(p, workspace);
	place_region_results(p, k->root, region);
	region->spare = arena_new(arena, uint32_t, attr->n_carried + 1);
	for (; region->n_spare < attr->n_carried; region->n_spare++)
		region->spare[region->n_spare] = work_new(p, &attr->out[region->n_spare]);
	k->region = region;
}
