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
	region->spare = arena_new(arena, uint32_t, attr->n_carried + 1);
	for (; region->n_spare < attr->n_carried; region->n_spare++)
		region->spare[region->n_spare] = buffer_work(p, &attr->out[region->n_spare]);
	k->region = region;
}
