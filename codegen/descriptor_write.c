/* Builds the descriptor: fixed records first, then strings. */
#include "descriptor.h"

#include <string.h>

struct writer {
	struct arena *arena;
	unsigned char *p;
	size_t n, capacity;
};

static uint32_t reserve(struct writer *w, size_t bytes)
{
	size_t at = (w->n + 7) / 8 * 8;
	if (at + bytes >= w->capacity) {
		w->capacity = 2 * (at + bytes + 1);
		unsigned char *larger = arena_alloc(w->arena, w->capacity, 1);
		if (w->n)
			memcpy(larger, w->p, w->n);
		w->p = larger;
	}
	w->n = at + bytes;
	return (uint32_t)at;
}

static uint32_t put_string(struct writer *w, const char *s)
{
	size_t n = strlen(s) + 1;
	uint32_t at = reserve(w, n);
	memcpy(w->p + at, s, n);
	return at;
}

static void put(struct writer *w, uint32_t at, const void *record, size_t bytes)
{
	memcpy(w->p + at, record, bytes);
}

/* Extents: fixed, a symbol, or computed (numbers from n_symbols on). */
static uint32_t put_ports(struct writer *w, const struct program *p, struct node *const *node,
			  const char *const *name, uint32_t n)
{
	uint32_t at = reserve(w, n * sizeof(struct normc_desc_port));
	for (uint32_t i = 0; i < n; i++) {
		struct normc_desc_port port = {.elem = (uint8_t)node[i]->type.elem,
					       .rank = (uint8_t)node[i]->type.rank};
		port.name = put_string(w, name ? name[i] : node[i]->attr.port->name);
		for (int32_t d = 0; d < node[i]->type.rank; d++) {
			const struct dim *dim = node[i]->type.dim[d];
			port.dim[d] = dim->kind == DIM_CONST ? dim->value
				      : dim->kind == DIM_SYMBOL
						      ? -1 - dim->value
						      : -1 - (int64_t)p->context->dims->n_symbols;
		}
		put(w, at + i * (uint32_t)sizeof port, &port, sizeof port);
	}
	return at;
}

static uint32_t put_symbols(struct writer *w, const struct dims *dims)
{
	uint32_t at = reserve(w, dims->n_symbols * sizeof(struct normc_desc_symbol));
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		struct normc_desc_symbol record = {
				.input = s->input, .index = s->index, .element = s->element};
		record.name = put_string(w, s->name ? s->name : "");
		put(w, at + i * (uint32_t)sizeof record, &record, sizeof record);
	}
	return at;
}

static uint32_t put_kernels(struct writer *w, const struct program *p)
{
	uint32_t at = reserve(w, p->n_kernels * sizeof(struct normc_desc_kernel));
	const struct diag *d = p->context->diag;
	for (uint32_t i = 0; i < p->n_kernels; i++) {
		struct normc_desc_kernel record = {0};
		record.name = put_string(w, p->kernels[i]->name);
		uint32_t source = p->kernels[i]->loc.source;
		record.node = source < d->n_sources ? d->sources[source].position : 0;
		put(w, at + i * (uint32_t)sizeof record, &record, sizeof record);
	}
	return at;
}

/* "N + 1", or "" for a number. */
static uint32_t put_dim(struct writer *w, const struct dims *dims, const struct dim *d)
{
	char text[100] = "";
	if (!dim_is_const(d))
		dim_print(dims, d, text, sizeof text);
	return put_string(w, text);
}

static uint32_t put_conditions(struct writer *w, const struct context *c,
			       const struct conditions *list)
{
	uint32_t at = reserve(w, list->n * sizeof(struct normc_desc_condition));
	for (uint32_t i = 0; i < list->n; i++) {
		const struct condition *from = &list->item[i];
		struct normc_desc_condition record = {.two_sided = from->b != NULL};
		char place[320];
		diag_place(c->diag, from->loc, place, sizeof place);
		record.place = put_string(w, place);
		record.a = put_dim(w, c->dims, from->a);
		record.b = put_dim(w, c->dims, from->b ? from->b : dim_const(c->dims, 0));
		put(w, at + i * (uint32_t)sizeof record, &record, sizeof record);
	}
	return at;
}

/* Every result that is computed has extents from 0 on. */
static void add_extents(struct conditions *list, struct context *c, const struct node *n,
			bool *seen)
{
	for (uint32_t k = 0; k < node_n_results(n); k++) {
		const struct type *type = node_result(n, k);
		for (int32_t d = 0; d < type->rank; d++) {
			const struct dim *dim = type->dim[d];
			if (dim_lower_bound(dim) >= 0 || dim->kind == DIM_INVALID || seen[dim->id])
				continue;
			seen[dim->id] = true;
			PUSH(c->arena, list->item, list->n,
			     ((struct condition){dim, NULL, n->loc}));
		}
	}
}

struct conditions conditions_new(const struct program *p)
{
	struct context *c = p->context;
	const struct graph *g = p->graph;
	const bool *live = graph_live(g);
	bool *seen = arena_new(c->arena, bool, c->dims->n_dims + 1);
	struct conditions list = {0};
	for (uint32_t i = 0; i < c->n_equal; i++)
		PUSH(c->arena, list.item, list.n,
		     ((struct condition){c->equal[i].a, c->equal[i].b, c->equal[i].loc}));
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (live[i])
			add_extents(&list, c, g->nodes[i], seen);
	return list;
}

struct bytes descriptor_new(const struct program *p, const struct codegen_options *options)
{
	struct writer w = {.arena = p->context->arena};
	const struct graph *g = p->graph;
	const struct conditions conditions = conditions_new(p);
	struct normc_desc desc = {.magic = "normc", .abi = NORMC_ABI};
	reserve(&w, sizeof desc);
	desc.n_inputs = g->n_inputs;
	desc.n_outputs = g->n_outputs;
	desc.n_symbols = p->context->dims->n_symbols;
	desc.n_kernels = p->n_kernels;
	desc.name = put_string(&w, options->symbol);
	desc.inputs = put_ports(&w, p, g->inputs, NULL, g->n_inputs);
	desc.outputs = put_ports(&w, p, g->outputs, g->output_names, g->n_outputs);
	desc.symbols = put_symbols(&w, p->context->dims);
	desc.kernels = put_kernels(&w, p);
	desc.n_conditions = conditions.n;
	desc.conditions = put_conditions(&w, p->context, &conditions);
	if (options->weights_file && p->weights_bytes) {
		desc.weights_file = put_string(&w, options->weights_file);
		desc.weights_hash = options->weights_hash;
	}
	desc.weights_bytes = p->weights_bytes;
	desc.bytes = (uint32_t)w.n;
	put(&w, 0, &desc, sizeof desc);
	return (struct bytes){w.p, w.n};
}
