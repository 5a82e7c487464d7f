/* A graph as boxes and links.
 *
 * The nodes of a graph stand in topological order. A node joins the newest box of its source unless
 * it reads from a later box; so every link leads from a lower box to a higher one, and there are no
 * cycles whatever the sources are.
 */
#include "html.h"

#include <string.h>

#define X(name, text) #name,
const char *const box_kind_names[BOX_KINDS] = {BOX_KIND_LIST(X)};
#undef X
#define X(name, text) text,
const char *const box_kind_texts[BOX_KINDS] = {BOX_KIND_LIST(X)};
#undef X

/* ---- boxes ---- */

static enum box_kind kind_of(const struct node *n)
{
	switch (op_info[n->op].kind) {
	case KIND_norm:
		return BOX_norm;
	case KIND_contract:
		return BOX_product;
	case KIND_conv:
		return BOX_convolution;
	case KIND_softmax:
	case KIND_reduce:
	case KIND_window:
		return BOX_reduction;
	case KIND_map:
		return BOX_elementwise;
	case KIND_view:
	case KIND_move:
	case KIND_tuple:
		return BOX_movement;
	case KIND_source:
		return n->op == OP_input ? BOX_port : BOX_other;
	case KIND_call:
	case KIND_region:
		break;
	}
	return BOX_other;
}

/* Casts and views of constants are constants in another shape. */
static bool is_note(const struct drawing *d, const struct node *n)
{
	enum op_kind kind = op_info[n->op].kind;
	bool same = kind == KIND_view || n->op == OP_cast || n->op == OP_copy;
	return same ? d->is_note[n->in[0]->id] : kind == KIND_source && n->op != OP_input;
}

static struct box *new_box(struct drawing *d, struct box start)
{
	start.first = start.last = NONE;
	start.notes = start.far = "";
	d->boxes[d->n_boxes] = start;
	return &d->boxes[d->n_boxes++];
}

/* The latest box that the node reads from; NONE if there is none. */
static uint32_t latest_operand(const struct drawing *d, const struct node *n)
{
	uint32_t latest = NONE;
	for (uint32_t k = 0; k < n->n_in; k++) {
		uint32_t box = d->box_of[n->in[k]->id];
		if (box != NONE && (latest == NONE || box > latest))
			latest = box;
	}
	return latest;
}

static void add_part(struct drawing *d, uint32_t number, const struct node *n)
{
	struct box *box = &d->boxes[number];
	if (box->last == NONE)
		box->first = n->id;
	else
		d->next[box->last] = n->id;
	box->last = n->id;
	box->n_parts++;
	box->n_work += kind_of(n) != BOX_movement;
	d->box_of[n->id] = number;
	if (!box->main || kind_of(n) >= box->kind) {
		box->main = n;
		box->kind = kind_of(n);
	}
}

/* Sources of the sub-graphs of a node are at its box. */
static void enter_sources(struct drawing *d, const struct graph *g, uint32_t box)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->loc.source && d->by_source[n->loc.source] == NONE)
			d->by_source[n->loc.source] = box;
		for (int k = 0; op_info[n->op].kind == KIND_region && k < 2; k++)
			if (n->attr.region->region[k])
				enter_sources(d, n->attr.region->region[k], box);
	}
}

static void place_node(struct drawing *d, const struct node *n, uint32_t *newest)
{
	uint32_t source = n->loc.source, latest = latest_operand(d, n);
	uint32_t box = source && n->op != OP_input ? newest[source] : NONE;
	if (box == NONE || (latest != NONE && latest > box)) {
		if (d->n_boxes == DRAWING_MAX_BOXES) {
			d->omitted++;
			return;
		}
		box = d->n_boxes;
		new_box(d, (struct box){.source = source});
		if (source && n->op != OP_input)
			newest[source] = box;
		if (source && d->by_source[source] == NONE)
			d->by_source[source] = box;
	}
	add_part(d, box, n);
	for (int k = 0; op_info[n->op].kind == KIND_region && k < 2; k++)
		if (n->attr.region->region[k])
			enter_sources(d, n->attr.region->region[k], box);
}

static void make_boxes(struct drawing *d)
{
	const struct graph *g = d->g;
	const bool *live = graph_live(g);
	uint32_t n_sources = g->context->diag->n_sources;
	uint32_t *newest = arena_new(d->arena, uint32_t, n_sources + 1);
	memset(newest, 0xff, (n_sources + 1) * sizeof *newest);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		if (!live[i])
			continue;
		d->is_note[i] = is_note(d, g->nodes[i]);
		if (!d->is_note[i])
			place_node(d, g->nodes[i], newest);
	}
}

/* ---- links ---- */

static void add_link(struct drawing *d, uint32_t from, uint32_t to)
{
	if (d->n_links < DRAWING_MAX_LINKS)
		d->links[d->n_links++] = (struct link){.from = from, .to = to};
}

/* The boxes that a box reads from, each once; `seen` holds for each box the last reader. */
static void link_box(struct drawing *d, uint32_t to, uint32_t *seen)
{
	for (uint32_t id = d->boxes[to].first; id != NONE; id = d->next[id]) {
		const struct node *n = d->g->nodes[id];
		for (uint32_t k = 0; k < n->n_in; k++) {
			uint32_t from = d->box_of[n->in[k]->id];
			if (from == NONE || from == to)
				continue;
			struct box *box = &d->boxes[from];
			if (!box->result || n->in[k]->id > box->result->id)
				box->result = n->in[k];
			if (seen[from] != to)
				add_link(d, from, to);
			seen[from] = to;
		}
	}
}

static void make_outputs(struct drawing *d)
{
	const struct graph *g = d->g;
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		const struct node *n = g->outputs[i];
		uint32_t from = d->box_of[n->id], to = d->n_boxes;
		if ((from == NONE && !d->is_note[n->id]) || i >= DRAWING_MAX_OUTPUTS) {
			d->omitted++;
			continue;
		}
		struct box *box = new_box(d, (struct box){.kind = BOX_port, .result = n});
		box->name = g->output_names[i];
		if (from == NONE)
			continue;
		add_link(d, from, to);
		if (!d->boxes[from].result || n->id > d->boxes[from].result->id)
			d->boxes[from].result = n;
	}
}

static void make_links(struct drawing *d)
{
	uint32_t *seen = arena_new(d->arena, uint32_t, d->n_boxes + 1);
	memset(seen, 0xff, (d->n_boxes + 1) * sizeof *seen);
	for (uint32_t i = 0; i < d->n_boxes; i++)
		link_box(d, i, seen);
	make_outputs(d);
	for (uint32_t i = 0; i < d->n_boxes; i++)
		if (!d->boxes[i].result && d->boxes[i].last != NONE)
			d->boxes[i].result = d->g->nodes[d->boxes[i].last];
}

struct drawing *drawing_new(const struct graph *g, char side, const struct drawing *before)
{
	struct arena *arena = g->context->arena;
	uint32_t n_sources = g->context->diag->n_sources;
	struct drawing *d = arena_new(arena, struct drawing, 1);
	*d = (struct drawing){.g = g, .arena = arena, .side = side};
	uint32_t most = g->n_nodes < DRAWING_MAX_BOXES ? g->n_nodes : DRAWING_MAX_BOXES;
	d->boxes = arena_new(arena, struct box, most + DRAWING_MAX_OUTPUTS);
	d->links = arena_new(arena, struct link, DRAWING_MAX_LINKS);
	d->box_of = arena_new(arena, uint32_t, g->n_nodes + 1);
	d->next = arena_new(arena, uint32_t, g->n_nodes + 1);
	d->is_note = arena_new(arena, bool, g->n_nodes + 1);
	d->by_source = arena_new(arena, uint32_t, n_sources + 1);
	memset(d->box_of, 0xff, (g->n_nodes + 1) * sizeof *d->box_of);
	memset(d->next, 0xff, (g->n_nodes + 1) * sizeof *d->next);
	memset(d->by_source, 0xff, (n_sources + 1) * sizeof *d->by_source);
	make_boxes(d);
	make_links(d);
	for (uint32_t i = 0; i < d->n_boxes; i++)
		box_label(d, &d->boxes[i], before);
	return d;
}
