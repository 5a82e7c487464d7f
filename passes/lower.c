/* Graph form to kernel form: the steps of lower.h in order, and the printed form. */
#include "lower.h"

#include <stdarg.h>
#include <stdio.h>

#include "pass.h"

static const struct dim *count_of(struct dims *dims, const struct node *n)
{
	return type_count(dims, &n->type);
}

const struct dim *node_flops(struct dims *dims, const struct node *n)
{
	const struct dim *two = dim_const(dims, 2);
	switch (op_info[n->op].kind) {
	case KIND_map:
		return n->op == OP_copy || n->op == OP_cast ? dim_const(dims, 0)
							    : count_of(dims, n);
	case KIND_reduce:
	case KIND_softmax:
	case KIND_norm:
		return dim_mul(dims, count_of(dims, n->in[0]),
			       n->op == OP_norm || n->op == OP_softmax ? dim_const(dims, 5)
								       : dim_const(dims, 1));
	case KIND_contract:
		return dim_mul(dims, two,
			       dim_mul(dims, count_of(dims, n),
				       n->in[0]->type.dim[n->type.rank - 1]));
	case KIND_conv: {
		const struct dim *per = dim_const(dims, 1);
		for (int32_t i = 1; i < n->in[1]->type.rank; i++)
			per = dim_mul(dims, per, n->in[1]->type.dim[i]);
		return dim_mul(dims, two, dim_mul(dims, count_of(dims, n), per));
	}
	case KIND_window: {
		int64_t per = 1;
		for (int32_t i = 0; i < n->attr.pool->spatial; i++)
			per *= n->attr.pool->kernel[i];
		return dim_mul(dims, count_of(dims, n), dim_const(dims, per));
	}
	default:
		return dim_const(dims, 0);
	}
}

/* Sizes come from the file. With tensors below this bound no product or sum of extents in lowering
 * and code
 * generation overflows. */
static const int64_t most_bytes = INT64_C(1) << 46;

static bool sizes_fit(struct graph *g)
{
	struct context *c = g->context;
	char type[200];
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (!n->type.elem)
			continue;
		const struct dim *size = dim_const(c->dims, (int64_t)normc_elem_size(n->type.elem));
		const struct dim *bytes = dim_mul(c->dims, type_count(c->dims, &n->type), size);
		if (bytes->kind != DIM_INVALID &&
		    !(dim_is_const(bytes) && bytes->value > most_bytes))
			continue;
		type_print(c->dims, &n->type, type, sizeof type);
		return diag_error(c->diag, n->loc, NORMC_LIMIT,
				  "a value of type %s is larger than %lld GiB", type,
				  (long long)(most_bytes >> 30));
	}
	return true;
}

struct program *program_lower(struct graph *g, const struct machine *machine,
			      const struct program *outer)
{
	struct layout **layout;
	if (!sizes_fit(g))
		return NULL;
	struct graph *prepared = prepare(g, &layout);
	if (!prepared)
		return NULL;
	struct program *p = arena_new(g->context->arena, struct program, 1);
	p->graph = prepared;
	p->context = g->context;
	p->weights = outer->weights;
	p->n_weights = outer->n_weights;
	struct groups groups = fuse(prepared, layout);
	if (!place(p, layout, &groups, machine))
		return NULL;
	plan(p);
	return p;
}

struct program *program_new(struct graph *g, const struct machine *machine)
{
	struct program nothing = {0};
	return program_lower(g, machine, &nothing);
}

/* ---- printing ---- */

static const char *const buffer_kind_name[] = {"input", "output", "weight", "work"};

struct printer {
	void (*put)(void *user, const char *text);
	void *user;
	int depth; /* regions around */
};

static void print_line(const struct printer *out, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
static void print_line(const struct printer *out, const char *format, ...)
{
	char line[800];
	va_list values;
	int at = snprintf(line, sizeof line, "%*s", 2 * out->depth, "");
	va_start(values, format);
	vsnprintf(line + at, sizeof line - (size_t)at, format, values);
	va_end(values);
	out->put(out->user, line);
}

static void print_kernel(const struct printer *out, const struct program *p, uint32_t i)
{
	char type[200], flops[100];
	const struct kernel *k = p->kernels[i];
	uint32_t buffer = p->view[k->root->id].buffer;
	type_print(p->context->dims, &k->root->type, type, sizeof type);
	dim_print(p->context->dims, k->flops, flops, sizeof flops);
	print_line(out, "kernel %u %s: %s -> %s %s, buffer %u (%s), %s flop\n", i, k->name,
		   op_info[(k->anchor ? k->anchor : k->root)->op].name, op_info[k->root->op].name,
		   type, buffer == NO_BUFFER ? 0 : buffer,
		   buffer == NO_BUFFER ? "several" : buffer_kind_name[p->buffers[buffer].kind],
		   flops);
}

static void print_program(const struct printer *out, const struct program *p)
{
	char bytes[200], offset[100];
	struct printer inner = *out;
	inner.depth += out->depth < 20;
	for (uint32_t i = 0; i < p->n_kernels; i++) {
		print_kernel(out, p, i);
		for (int r = 0; p->kernels[i]->region && r < 2; r++)
			if (p->kernels[i]->region->program[r])
				print_program(&inner, p->kernels[i]->region->program[r]);
	}
	for (uint32_t i = 0; i < p->n_buffers; i++) {
		const struct buffer *b = &p->buffers[i];
		if (b->kind != BUFFER_WORK)
			continue;
		dim_print(p->context->dims, b->count, bytes, sizeof bytes);
		dim_print(p->context->dims, b->offset, offset, sizeof offset);
		print_line(out, "buffer %u: %s[%s] at %s, live from kernel %u to %u\n", i,
			   normc_elem_name(b->elem), bytes, offset, b->first, b->last);
	}
	dim_print(p->context->dims, p->workspace, bytes, sizeof bytes);
	print_line(out, "workspace: %s bytes; weights: %llu bytes\n", bytes,
		   (unsigned long long)p->weights_bytes);
}

void program_print(const struct program *p, void (*put)(void *user, const char *text), void *user)
{
	print_program(&(struct printer){put, user, 0}, p);
}
