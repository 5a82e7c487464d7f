/* Gives every value that is in memory a strided view of a buffer, and makes the list of kernels.
 *
 * A value whose reader is a concat or a pad is written straight into its part of the result, if the
 * order of dimensions is the same and no other reader needs it dense.
 */
#include <stdio.h>
#include <string.h>

#include "lower.h"

struct placement {
	struct program *p;
	struct layout *const *layout;
	const struct groups *groups;
	const struct machine *machine;
	const struct node **into; /* by id: the concat or pad it is written into */
	bool *dense;		  /* by id: some reader is a view */
	bool *channels;		  /* by id: some reader wants channels next to each other */
	uint32_t *writers;	  /* by id: concats and pads that read it */
	int32_t *output;	  /* by id: graph output number, or -1 */
};

uint32_t buffer_new(struct program *p, struct buffer b)
{
	PUSH(p->context->arena, p->buffers, p->n_buffers, b);
	return p->n_buffers - 1;
}

uint32_t buffer_work(struct program *p, const struct type *type)
{
	struct buffer b = {.kind = BUFFER_WORK, .elem = type->elem};
	b.count = type_count(p->context->dims, type);
	return buffer_new(p, b);
}

static bool is_root(const struct placement *s, const struct node *n)
{
	return s->groups->root[n->id] == n;
}

static bool takes_parts(const struct node *n)
{
	if (n->op == OP_concat)
		return true;
	if (n->op != OP_pad || n->attr.pad->mode != PAD_CONSTANT)
		return false;
	for (int32_t i = 0; i < n->type.rank; i++)
		if (!dim_is_const(n->attr.pad->before[i]) || n->attr.pad->before[i]->value < 0 ||
		    !dim_is_const(n->attr.pad->after[i]) || n->attr.pad->after[i]->value < 0)
			return false;
	return true;
}

/* Windows have their lanes along dimension 1 of operand 0, which prepare.c has put there. */
static bool reads_channels(const struct node *n)
{
	return op_info[n->op].kind == KIND_window || op_info[n->op].kind == KIND_conv;
}

static void survey(struct placement *s)
{
	const struct graph *g = s->p->graph;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		bool view = op_info[n->op].kind == KIND_view;
		if (!view && !s->groups->root[i])
			continue;
		for (uint32_t k = 0; k < n->n_in; k++) {
			uint32_t id = n->in[k]->id;
			if (view || op_info[n->op].kind == KIND_region ||
			    op_info[n->op].kind == KIND_call)
				s->dense[id] = true;
			s->channels[id] |= reads_channels(n) && k == 0;
			if (takes_parts(n) && (n->op == OP_concat || k == 0)) {
				s->writers[id]++;
				s->into[id] = n;
			}
		}
	}
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		s->output[output_base(g->outputs[i])->id] = (int32_t)i;
		s->dense[g->outputs[i]->id] = true;
	}
}

static bool written_in_place(const struct placement *s, const struct node *n)
{
	const struct node *into = s->into[n->id];
	enum op_kind kind = op_info[n->op].kind;
	return into && is_root(s, n) && s->writers[n->id] == 1 && !s->dense[n->id] &&
	       s->output[n->id] < 0 && kind != KIND_call && kind != KIND_region &&
	       kind != KIND_tuple &&
	       (!s->channels[n->id] || dim_is(s->p->view[into->id].stride[1], 1)) &&
	       order_equal(&s->layout[n->id]->order, &s->layout[into->id]->order, n->type.rank);
}

/* View of operand k of a concat, or of the middle of a pad. */
static struct view part_view(struct dims *dims, const struct node *n, const struct view *whole,
			     uint32_t k)
{
	struct view v = *whole;
	if (n->op == OP_concat) {
		int32_t axis = n->attr.axis->axis;
		const struct dim *start = dim_const(dims, 0);
		for (uint32_t i = 0; i < k; i++)
			start = dim_add(dims, start, n->in[i]->type.dim[axis]);
		v.offset = dim_add(dims, v.offset, dim_mul(dims, start, v.stride[axis]));
		return v;
	}
	for (int32_t i = 0; i < n->type.rank; i++)
		v.offset = dim_add(dims, v.offset,
				   dim_mul(dims, n->attr.pad->before[i], v.stride[i]));
	return v;
}

static struct view dense_view(struct placement *s, const struct node *n)
{
	struct dims *dims = s->p->context->dims;
	struct buffer b = {.kind = BUFFER_WORK,
			   .elem = n->type.elem,
			   .count = type_count(dims, &n->type)};
	if (s->output[n->id] >= 0) {
		b.kind = BUFFER_OUTPUT;
		b.index = (uint32_t)s->output[n->id];
	}
	struct view v = {.buffer = buffer_new(s->p, b), .offset = dim_const(dims, 0)};
	memcpy(v.stride, s->layout[n->id]->stride, sizeof v.stride);
	return v;
}

static void place_root(struct placement *s, const struct node *n)
{
	const struct node *into = s->into[n->id];
	if (!written_in_place(s, n)) {
		s->p->view[n->id] = dense_view(s, n);
		return;
	}
	uint32_t k = 0;
	while (into->in[k] != n)
		k++;
	s->p->view[n->id] = part_view(s->p->context->dims, into, &s->p->view[into->id], k);
}

static void place_constant(struct placement *s, const struct node *n)
{
	struct program *p = s->p;
	struct weight w = {.node = n, .bytes = n->attr.data->bytes};
	struct buffer b = {.kind = BUFFER_WEIGHT, .elem = n->type.elem, .index = p->n_weights};
	b.count = type_count(p->context->dims, &n->type);
	PUSH(p->context->arena, p->weights, p->n_weights, w);
	struct view v = {.buffer = buffer_new(p, b), .offset = dim_const(p->context->dims, 0)};
	memcpy(v.stride, s->layout[n->id]->stride, sizeof v.stride);
	p->view[n->id] = v;
}

/* Makes sure that what a kernel reads of `n` has a view. */
static void place_operand(struct placement *s, const struct node *n)
{
	struct program *p = s->p;
	const struct layout *l = s->layout[n->id];
	if (p->view[n->id].buffer != NO_BUFFER)
		return;
	if (n->op == OP_constant) {
		place_constant(s, n);
	} else if (n->op == OP_input) {
		struct buffer b = {.kind = BUFFER_INPUT,
				   .elem = n->type.elem,
				   .index = n->attr.port->index};
		b.count = type_count(p->context->dims, &n->type);
		struct view v = {.buffer = buffer_new(p, b),
				 .offset = dim_const(p->context->dims, 0)};
		memcpy(v.stride, l->stride, sizeof v.stride);
		p->view[n->id] = v;
	} else if (op_info[n->op].kind == KIND_view) {
		place_operand(s, l->base);
		struct view v = {.buffer = p->view[l->base->id].buffer};
		v.offset = dim_add(p->context->dims, p->view[l->base->id].offset, l->offset);
		memcpy(v.stride, l->stride, sizeof v.stride);
		p->view[n->id] = v;
	}
}

static const char *kernel_name(struct program *p, const struct node *n)
{
	const struct diag *d = p->context->diag;
	char op[64] = "";
	if (n->loc.source && n->loc.source < d->n_sources) {
		const struct source *src = &d->sources[n->loc.source];
		snprintf(op, sizeof op, "%s", src->op_type);
		for (char *c = op; *c; c++)
			if (*c >= 'A' && *c <= 'Z')
				*c = (char)(*c - 'A' + 'a');
			else if (!((*c >= 'a' && *c <= 'z') || (*c >= '0' && *c <= '9')))
				*c = '_';
		return arena_printf(p->context->arena, "n%u_%s", src->position, op);
	}
	return arena_printf(p->context->arena, "v%u_%s", n->id, op_info[n->op].name);
}

static const struct dim *kernel_flops(struct placement *s, uint32_t k)
{
	struct program *p = s->p;
	const struct dim *sum = dim_const(p->context->dims, 0);
	for (uint32_t i = 0; i < p->graph->n_nodes; i++)
		if (p->group[i] == k)
			sum = dim_add(p->context->dims, sum,
				      node_flops(p->context->dims, p->graph->nodes[i]));
	return sum;
}

static bool all_in_place(const struct placement *s, const struct node *n)
{
	if (n->op != OP_concat)
		return false;
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!(s->into[n->in[i]->id] == n && written_in_place(s, n->in[i])))
			return false;
	return true;
}

/* Where all results of a call or a region go: buffers also for those that nobody reads. */
static const struct view *result_views(struct program *p, const struct node *n)
{
	struct view *v = arena_new(p->context->arena, struct view, node_n_results(n) + 1);
	for (uint32_t i = 0; i < node_n_results(n); i++)
		v[i].buffer = NO_BUFFER;
	if (n->type.elem)
		v[0] = p->view[n->id];
	for (uint32_t i = n->id + 1; i < p->graph->n_nodes && !n->type.elem; i++)
		if (p->graph->nodes[i]->op == OP_part && p->graph->nodes[i]->in[0] == n)
			v[p->graph->nodes[i]->attr.part->index] = p->view[i];
	for (uint32_t i = 0; i < node_n_results(n); i++) {
		const struct type *type = node_result(n, i);
		if (!type->elem || v[i].buffer != NO_BUFFER)
			continue;
		v[i].buffer = buffer_work(p, type);
		v[i].offset = dim_const(p->context->dims, 0);
		type_strides(p->context->dims, type, v[i].stride);
	}
	return v;
}

static void kernel_new(struct placement *s, const struct node *root)
{
	struct program *p = s->p;
	struct kernel *k = arena_new(p->context->arena, struct kernel, 1);
	const struct node *anchor = s->groups->anchor[root->id];
	k->root = p->graph->nodes[root->id];
	k->anchor = anchor ? p->graph->nodes[anchor->id] : NULL;
	k->loc = (anchor ? anchor : root)->loc;
	k->name = kernel_name(p, anchor ? anchor : root);
	k->nothing_to_do = all_in_place(s, root);
	if (k->anchor &&
	    (op_info[anchor->op].kind == KIND_contract || op_info[anchor->op].kind == KIND_conv)) {
		place_operand(s, k->anchor->in[0]);
		place_panels(p, k, s->layout[k->anchor->in[1]->id], s->machine);
	}
	if (op_info[root->op].kind == KIND_call || op_info[root->op].kind == KIND_region)
		k->result = result_views(p, root);
	if (op_info[root->op].kind == KIND_region)
		region_lower(p, k, s->machine);
	PUSH(p->context->arena, p->kernels, p->n_kernels, k);
}

static void place_results(struct placement *s, const struct node *n)
{
	struct program *p = s->p;
	if (n->type.elem)
		place_root(s, n);
	for (uint32_t i = n->id + 1; i < p->graph->n_nodes && !n->type.elem; i++) {
		const struct node *part = p->graph->nodes[i];
		if (part->op == OP_part && part->in[0] == n)
			p->view[i] = dense_view(s, part);
	}
}

static void place_kernels(struct placement *s)
{
	struct program *p = s->p;
	const struct graph *g = p->graph;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (s->groups->root[i] == g->nodes[i]) {
			kernel_new(s, g->nodes[i]);
			p->group[i] = p->n_kernels - 1;
		}
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (s->groups->root[i])
			p->group[i] = p->group[s->groups->root[i]->id];
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (!s->groups->root[i])
			continue;
		bool weights = op_info[n->op].kind == KIND_contract ||
			       op_info[n->op].kind == KIND_conv;
		for (uint32_t k = 0; k < n->n_in; k++)
			if (!(weights && k == 1 && p->kernels[p->group[i]]->panels->packed))
				place_operand(s, n->in[k]);
	}
	for (uint32_t k = 0; k < p->n_kernels; k++)
		p->kernels[k]->flops = kernel_flops(s, k);
}

bool place(struct program *p, struct layout *const *layout, const struct groups *groups,
	   const struct machine *machine)
{
	struct arena *a = p->context->arena;
	uint32_t n = p->graph->n_nodes + 1;
	struct placement s = {.p = p, .layout = layout, .groups = groups, .machine = machine};
	s.into = arena_new(a, const struct node *, n);
	s.dense = arena_new(a, bool, n);
	s.channels = arena_new(a, bool, n);
	s.writers = arena_new(a, uint32_t, n);
	s.output = arena_new(a, int32_t, n);
	p->view = arena_new(a, struct view, n);
	p->group = arena_new(a, uint32_t, n);
	for (uint32_t i = 0; i < n; i++) {
		s.output[i] = -1;
		p->view[i].buffer = NO_BUFFER;
		p->group[i] = NO_KERNEL;
	}
	survey(&s);
	for (uint32_t i = p->graph->n_nodes; i-- > 0;) {
		const struct node *node = p->graph->nodes[i];
		if (groups->root[i] == node)
			place_results(&s, node);
	}
	place_kernels(&s);
	return !p->context->diag->errors;
}
