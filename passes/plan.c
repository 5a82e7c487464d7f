/* Places buffers in one workspace: two that are live at the same time never overlap.
 *
 * With fixed sizes: largest first, each at the lowest free offset (Pisarchyk and Lee, "Efficient
 * Memory Management for Deep Neural Net Inference", 2020, greedy by size).  With unknown sizes:
 * slots, each the maximum of the buffers that use it one after the other.
 */
#include <stdlib.h>

#include "lower.h"

enum { ALIGNMENT = 64 };

static void touch_buffer(struct program *p, uint32_t b, uint32_t kernel)
{
	if (b == NO_BUFFER)
		return;
	struct buffer *buffer = &p->buffers[b];
	if (kernel < buffer->first)
		buffer->first = kernel;
	if (kernel > buffer->last)
		buffer->last = kernel;
}

static void touch(struct program *p, const struct node *n, uint32_t kernel)
{
	touch_buffer(p, p->view[n->id].buffer, kernel);
}

/* Buffers that only one kernel knows. */
static void touch_kernel(struct program *p, uint32_t kernel)
{
	const struct kernel *k = p->kernels[kernel];
	for (uint32_t i = 0; k->result && i < node_n_results(k->root); i++)
		touch_buffer(p, k->result[i].buffer, kernel);
	if (!k->region)
		return;
	touch_buffer(p, k->region->workspace, kernel);
	for (uint32_t i = 0; i < k->region->n_spare; i++)
		touch_buffer(p, k->region->spare[i], kernel);
}

static void find_live_ranges(struct program *p)
{
	for (uint32_t i = 0; i < p->n_buffers; i++) {
		p->buffers[i].first = UINT32_MAX;
		p->buffers[i].last = 0;
	}
	for (uint32_t i = 0; i < p->graph->n_nodes; i++) {
		const struct node *n = p->graph->nodes[i];
		if (n->op == OP_part && p->group[n->in[0]->id] != NO_KERNEL)
			touch(p, n, p->group[n->in[0]->id]);
		if (p->group[i] == NO_KERNEL)
			continue;
		touch(p, n, p->group[i]);
		for (uint32_t k = 0; k < n->n_in; k++)
			touch(p, n->in[k], p->group[i]);
	}
	for (uint32_t i = 0; i < p->n_kernels; i++)
		touch_kernel(p, i);
}

static const struct dim *buffer_bytes(struct dims *dims, const struct buffer *b)
{
	const struct dim *bytes =
			dim_mul(dims, b->count, dim_const(dims, (int64_t)normc_elem_size(b->elem)));
	const struct dim *unit = dim_const(dims, ALIGNMENT);
	return dim_mul(dims, dim_ceil_div(dims, bytes, unit), unit);
}

struct item {
	struct buffer *buffer;
	const struct dim *bytes;
	uint32_t number;
};

static int larger_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->bytes->value != y->bytes->value)
		return x->bytes->value > y->bytes->value ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static bool overlap(const struct buffer *a, const struct buffer *b)
{
	return a->first <= b->last && b->first <= a->last;
}

/* The lowest offset at which item `i` meets none of the items before it. */
static int64_t lowest_offset(const struct item *item, uint32_t i)
{
	int64_t offset = 0;
	bool moved = true;
	while (moved) {
		moved = false;
		for (uint32_t k = 0; k < i; k++) {
			int64_t start = item[k].buffer->offset->value,
				end = start + item[k].bytes->value;
			if (overlap(item[k].buffer, item[i].buffer) && offset < end &&
			    start < offset + item[i].bytes->value) {
				offset = end;
				moved = true;
			}
		}
	}
	return offset;
}

static void plan_fixed(struct program *p, struct item *item, uint32_t n)
{
	int64_t total = 0;
	qsort(item, n, sizeof *item, larger_first);
	for (uint32_t i = 0; i < n; i++) {
		int64_t offset = lowest_offset(item, i);
		item[i].buffer->offset = dim_const(p->context->dims, offset);
		if (offset + item[i].bytes->value > total)
			total = offset + item[i].bytes->value;
	}
	p->workspace = dim_const(p->context->dims, total);
}

struct slot {
	const struct dim *bytes;
	uint32_t busy_until;
};

static void plan_slots(struct program *p, struct item *item, uint32_t n)
{
	struct dims *dims = p->context->dims;
	struct arena *arena = p->context->arena;
	struct slot *slot = arena_new(arena, struct slot, n + 1);
	uint32_t *chosen = arena_new(arena, uint32_t, n + 1), n_slots = 0;
	for (uint32_t i = 0; i < n; i++) { /* in order of first use */
		uint32_t best = n_slots;
		for (uint32_t k = 0; k < n_slots; k++)
			if (slot[k].busy_until < item[i].buffer->first &&
			    (best == n_slots || slot[k].bytes == item[i].bytes))
				best = k;
		if (best == n_slots)
			slot[n_slots++].bytes = item[i].bytes;
		slot[best].bytes = dim_max(dims, slot[best].bytes, item[i].bytes);
		slot[best].busy_until = item[i].buffer->last;
		chosen[i] = best;
	}
	const struct dim *total = dim_const(dims, 0),
			 **start = arena_new(arena, const struct dim *, n_slots + 1);
	for (uint32_t k = 0; k < n_slots; k++) {
		start[k] = total;
		total = dim_add(dims, total, slot[k].bytes);
	}
	for (uint32_t i = 0; i < n; i++)
		item[i].buffer->offset = start[chosen[i]];
	p->workspace = total;
}

static int earlier_first(const void *a, const void *b)
{
	const struct item *x = a, *y = b;
	if (x->buffer->first != y->buffer->first)
		return x->buffer->first < y->buffer->first ? -1 : 1;
	return x->number < y->number ? -1 : x->number > y->number;
}

static void plan_weights(struct program *p)
{
	uint64_t offset = 0;
	for (uint32_t i = 0; i < p->n_weights; i++) {
		p->weights[i].offset = offset;
		offset = (offset + p->weights[i].bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
	}
	p->weights_bytes = offset;
}

void plan(struct program *p)
{
	struct item *item = arena_new(p->context->arena, struct item, p->n_buffers + 1);
	uint32_t n = 0;
	bool fixed = true;
	find_live_ranges(p);
	plan_weights(p);
	for (uint32_t i = 0; i < p->n_buffers; i++) {
		struct buffer *b = &p->buffers[i];
		if (b->kind != BUFFER_WORK)
			continue;
		item[n] = (struct item){b, buffer_bytes(p->context->dims, b), i};
		fixed = fixed && dim_is_const(item[n].bytes);
		n++;
	}
	qsort(item, n, sizeof *item, earlier_first);
	if (fixed)
		plan_fixed(p, item, n);
	else
		plan_slots(p, item, n);
}
