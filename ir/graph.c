/* The builder: nodes in order, shared by hashing, integers tracked as they are built. */
#include "graph.h"

#include <string.h>

struct node_table {
	struct node **slot; /* power of two; NULL: free */
	uint32_t capacity, used;
};

struct graph *graph_new(struct context *context, const char *name)
{
	struct graph *g = arena_new(context->arena, struct graph, 1);
	g->context = context;
	g->name = arena_string(context->arena, name ? name : "");
	g->table = arena_new(context->arena, struct node_table, 1);
	return g;
}

static uint64_t mix(uint64_t h, uint64_t x)
{
	h ^= x + 0x9e3779b97f4a7c15u + (h << 6) + (h >> 2);
	return h * 0xff51afd7ed558ccdu;
}

static uint64_t node_hash(const struct node *n)
{
	uint64_t h = mix(n->op, n->n_in);
	for (uint32_t i = 0; i < n->n_in; i++)
		h = mix(h, n->in[i]->id);
	h = mix(h, (uint64_t)n->type.elem);
	return mix(h, n->attr.any ? attr_hash(n->op, n->attr) : 0);
}

static bool node_equal(const struct node *a, const struct node *b)
{
	if (a->op != b->op || a->n_in != b->n_in || !type_equal(&a->type, &b->type))
		return false;
	for (uint32_t i = 0; i < a->n_in; i++)
		if (a->in[i] != b->in[i])
			return false;
	if (!a->attr.any || !b->attr.any)
		return a->attr.any == b->attr.any;
	return attr_equal(a->op, a->attr, b->attr);
}

static void table_insert(struct node_table *t, struct node *n)
{
	uint32_t i = (uint32_t)node_hash(n) & (t->capacity - 1);
	while (t->slot[i])
		i = (i + 1) & (t->capacity - 1);
	t->slot[i] = n;
	t->used++;
}

static struct node *table_find(const struct node_table *t, const struct node *n)
{
	if (!t->capacity)
		return NULL;
	uint32_t i = (uint32_t)node_hash(n) & (t->capacity - 1);
	for (; t->slot[i]; i = (i + 1) & (t->capacity - 1))
		if (node_equal(t->slot[i], n))
			return t->slot[i];
	return NULL;
}

static void table_reserve(struct node_table *t, struct arena *arena)
{
	if (2 * (t->used + 1) <= t->capacity)
		return;
	struct node_table larger = {.capacity = t->capacity ? t->capacity * 2 : 256};
	larger.slot = arena_new(arena, struct node *, larger.capacity);
	for (uint32_t i = 0; i < t->capacity; i++)
		if (t->slot[i])
			table_insert(&larger, t->slot[i]);
	*t = larger;
}

/* Appends a copy of `draft` (operands and attribute copied too). */
static struct node *node_append(struct graph *g, const struct node *draft)
{
	struct arena *arena = g->context->arena;
	struct node *n = arena_copy(arena, draft, sizeof *draft);
	n->id = g->n_nodes;
	n->in = arena_copy(arena, draft->in, draft->n_in * sizeof *draft->in);
	if (draft->attr.any)
		n->attr.any = arena_copy(arena, draft->attr.any, op_info[draft->op].attr_size);
	PUSH(arena, g->nodes, g->n_nodes, n);
	return n;
}

struct node *graph_poison(struct graph *g)
{
	struct node draft = {.op = OP_poison, .loc = g->at};
	return node_append(g, &draft);
}

/* A node whose tracked contents are known needs no computation: a constant, or dims. */
static struct node *tracked_node(struct graph *g, const struct node *draft)
{
	int64_t n = node_n_ints(draft);
	bool constant = true;
	for (int64_t i = 0; i < n; i++)
		constant = constant && dim_is_const(draft->ints[i]);
	if (!constant)
		return draft->type.elem == NORMC_I64
				       ? build_dims(g, draft->type.rank, (uint32_t)n, draft->ints)
				       : NULL;
	size_t size = normc_elem_size(draft->type.elem);
	unsigned char *p = arena_alloc(g->context->arena, (size_t)n, size);
	for (int64_t i = 0; i < n; i++) /* little-endian: the low bytes come first */
		memcpy(p + (size_t)i * size, &draft->ints[i]->value, size);
	return build_constant(g, &draft->type, p, (uint64_t)n * size);
}

struct node *graph_node(struct graph *g, enum op op, struct node *const *in, uint32_t n_in,
			union attr attr)
{
	for (uint32_t i = 0; i < n_in; i++)
		if (node_is_poison(in[i]))
			return in[i];
	struct node draft = {.op = op,
			     .n_in = n_in,
			     .in = (struct node **)in,
			     .attr = attr,
			     .loc = g->at};
	if (!infer_type(g, &draft, &draft.type))
		return graph_poison(g);
	struct node *same = table_find(g->table, &draft);
	if (same)
		return same;
	draft.ints = track_ints(g, &draft);
	if (draft.ints && op != OP_constant && op != OP_dims) {
		struct node *known = tracked_node(g, &draft);
		if (known)
			return known;
	}
	struct node *n = node_append(g, &draft);
	table_reserve(g->table, g->context->arena);
	table_insert(g->table, n);
	return n;
}

struct node *graph_input(struct graph *g, const char *name, const struct type *type)
{
	struct attr_port port = {g->n_inputs, arena_string(g->context->arena, name)};
	struct node draft = {.op = OP_input, .attr = {.port = &port}, .type = *type, .loc = g->at};
	struct node *n = node_append(g, &draft);
	PUSH(g->context->arena, g->inputs, g->n_inputs, n);
	return n;
}

struct node *graph_parameter(struct graph *g, const char *name, const struct node *outer)
{
	struct node *n = graph_input(g, name, &outer->type);
	n->ints = outer->ints;
	return n;
}

void graph_output(struct graph *g, struct node *node, const char *name)
{
	struct arena *arena = g->context->arena;
	uint32_t n = g->n_outputs;
	PUSH(arena, g->outputs, n, node);
	PUSH(arena, g->output_names, g->n_outputs, arena_string(arena, name));
}

uint32_t node_n_results(const struct node *n)
{
	if (n->op == OP_call)
		return n->attr.call->n_out;
	return n->op == OP_if || n->op == OP_loop ? n->attr.region->n_out : 1;
}

const struct type *node_result(const struct node *n, uint32_t index)
{
	if (n->op == OP_call)
		return &n->attr.call->out[index];
	return n->op == OP_if || n->op == OP_loop ? &n->attr.region->out[index] : &n->type;
}

int64_t node_n_ints(const struct node *n)
{
	return n->ints ? type_fixed_count(&n->type) : -1;
}

const struct dim *graph_same_extent(struct graph *g, const struct dim *a, const struct dim *b)
{
	struct context *c = g->context;
	if (a == b)
		return a;
	if (dim_is_const(a) && dim_is_const(b)) {
		diag_error(c->diag, g->at, NORMC_INVALID, "extents %lld and %lld differ",
			   (long long)a->value, (long long)b->value);
		return a;
	}
	const struct dim *keep = dim_is_const(b) ? b : a;
	for (uint32_t i = 0; i < c->n_equal; i++)
		if ((c->equal[i].a == a && c->equal[i].b == b) ||
		    (c->equal[i].a == b && c->equal[i].b == a))
			return keep;
	PUSH(c->arena, c->equal, c->n_equal, ((struct dim_pair){a, b, g->at}));
	return keep;
}

struct type type_fixed(struct context *c, enum normc_elem elem, int32_t rank, const int64_t *dim)
{
	struct type t = {.elem = elem, .rank = rank};
	for (int32_t i = 0; i < rank; i++)
		t.dim[i] = dim_const(c->dims, dim[i]);
	return t;
}
