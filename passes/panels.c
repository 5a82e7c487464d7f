/* How operand B of a product or convolution is stored: which constants are packed, and which tile
 * of accumulators reads them.
 */
#include "lower.h"

/* B of a product as packed panels: only if it is a constant of fixed extents behind fixed strides.
 */
static bool pack_matmul(const struct node *n, const struct layout *l, struct pack *pack)
{
	const struct node *b = n->in[1];
	int32_t rank = b->type.rank;
	if (!l->strided || l->base->op != OP_constant || rank > 3)
		return false;
	*pack = (struct pack){.batch = 1, .levels = 1};
	for (int32_t i = 0; i < rank; i++)
		if (!dim_is_const(b->type.dim[i]) || !dim_is_const(l->stride[i]))
			return false;
	if (!dim_is(l->offset, 0))
		return false;
	pack->n = b->type.dim[rank - 1]->value;
	pack->stride_n = l->stride[rank - 1]->value;
	pack->extent[0] = b->type.dim[rank - 2]->value;
	pack->stride[0] = l->stride[rank - 2]->value;
	if (rank == 3 && !dim_is(l->stride[0], 0)) {
		pack->batch = b->type.dim[0]->value;
		pack->stride_batch = l->stride[0]->value;
	}
	return true;
}

static bool pack_conv(const struct node *n, const struct layout *l, struct pack *pack)
{
	const struct node *w = n->in[1];
	int64_t groups = n->attr.conv->groups;
	if (!l->strided || l->base->op != OP_constant || !dim_is(l->offset, 0))
		return false;
	for (int32_t i = 0; i < w->type.rank; i++)
		if (!dim_is_const(w->type.dim[i]) || !dim_is_const(l->stride[i]))
			return false;
	int64_t out = w->type.dim[0]->value;
	bool depthwise = dim_is(w->type.dim[1], 1) && groups > 1;
	*pack = (struct pack){.batch = depthwise ? 1 : groups, .n = depthwise ? out : out / groups};
	pack->stride_n = l->stride[0]->value;
	pack->stride_batch = l->stride[0]->value * pack->n;
	for (int32_t i = 0; i < n->attr.conv->spatial; i++) {
		pack->extent[pack->levels] = w->type.dim[i + 2]->value;
		pack->stride[pack->levels++] = l->stride[i + 2]->value;
	}
	pack->extent[pack->levels] = w->type.dim[1]->value;
	pack->stride[pack->levels++] = l->stride[1]->value;
	return true;
}

static int64_t fixed_or(const struct dim *d, int64_t otherwise)
{
	return dim_is_const(d) ? d->value : otherwise;
}

static bool follows(struct dims *dims, const struct view *v, int32_t slow, const struct type *t)
{
	return v->stride[slow] == dim_mul(dims, v->stride[slow + 1], t->dim[slow + 1]);
}

/* Rows of a convolution: a line of the result, or all of it where lines lie evenly behind each
 * other. */
static void conv_rows(const struct program *p, const struct kernel *k, struct tile_problem *t)
{
	const struct node *n = k->anchor, *x = n->in[0], *w = n->in[1];
	const struct attr_conv *attr = n->attr.conv;
	const struct view *in = &p->view[x->id], *out = &p->view[k->root->id];
	int32_t last = n->type.rank - 1;
	bool even = true;
	t->rows = fixed_or(n->type.dim[last], -1);
	for (int32_t i = 2; i <= last; i++)
		even = even && dim_is(w->type.dim[i], 1) && attr->stride[i - 2] == 1;
	for (int32_t i = last - 1; i >= 2; i--) {
		int64_t lines = fixed_or(n->type.dim[i], -1);
		even = even && follows(p->context->dims, in, i, &x->type) &&
		       follows(p->context->dims, out, i, &n->type);
		if (even)
			t->rows = t->rows < 0 || lines < 0 ? -1 : t->rows * lines;
		else if (i == last - 1)
			t->lines = lines < 0 ? 1 : lines;
	}
	t->columns = fixed_or(n->type.dim[1], -1);
	t->columns = t->columns < 0 ? -1 : t->columns / attr->groups;
	t->k = fixed_or(w->type.dim[1], -1);
	for (int32_t i = 2; i <= last && t->k >= 0; i++)
		t->k = dim_is_const(w->type.dim[i]) ? t->k * w->type.dim[i]->value : -1;
	t->row_bytes = fixed_or(in->stride[last], 0) * attr->stride[last - 2];
}

static struct tile_choice tile_of(const struct program *p, const struct kernel *k,
				  const struct machine *machine)
{
	const struct node *n = k->anchor;
	int32_t rank = n->type.rank;
	int64_t size = (int64_t)normc_elem_size(n->type.elem);
	struct tile_problem t = {.lines = 1, .lanes = machine->vector};
	if (size == 8)
		t.lanes /= 2;
	if (n->op == OP_conv) {
		conv_rows(p, k, &t);
	} else {
		t.rows = fixed_or(n->type.dim[rank - 2], -1);
		t.columns = fixed_or(n->type.dim[rank - 1], -1);
		t.k = fixed_or(n->in[0]->type.dim[rank - 1], -1);
		t.row_bytes = fixed_or(p->view[n->in[0]->id].stride[rank - 2], 0);
	}
	t.row_bytes *= size;
	return choose_tile(&t, machine);
}

void place_panels(struct program *p, struct kernel *k, const struct layout *b,
		  const struct machine *machine)
{
	const struct node *n = k->anchor;
	struct arena *arena = p->context->arena;
	struct panels *panels = arena_new(arena, struct panels, 1);
	struct pack *pack = arena_new(arena, struct pack, 1);
	bool conv = n->op == OP_conv;
	bool constant = conv ? pack_conv(n, b, pack) : pack_matmul(n, b, pack);
	bool depthwise = conv && n->attr.conv->groups > 1 && dim_is(n->in[1]->type.dim[1], 1);
	struct tile_choice tile = tile_of(p, k, machine);
	int32_t lanes = machine->vector / (normc_elem_size(n->type.elem) == 8 ? 2 : 1);
	panels->rows = tile.rows;
	panels->width = depthwise ? (int32_t)fixed_or(n->in[1]->type.dim[0], 1)
				  : tile.vectors * lanes;
	if (constant) {
		pack->width = panels->width;
		int64_t count = pack->batch * ((pack->n + pack->width - 1) / pack->width) *
				pack->width;
		for (int32_t i = 0; i < pack->levels; i++)
			count *= pack->extent[i];
		struct weight w = {.node = b->base, .pack = pack};
		w.bytes = (uint64_t)count * normc_elem_size(n->type.elem);
		struct buffer buffer = {
				.kind = BUFFER_WEIGHT, .elem = n->type.elem, .index = p->n_weights};
		buffer.count = dim_const(p->context->dims, count);
		PUSH(arena, p->weights, p->n_weights, w);
		panels->packed = true;
		panels->buffer = buffer_new(p, buffer);
	}
	k->panels = panels;
}
