/* What a contraction runs over: the shape of a matrix product or convolution as rows, columns and
 * levels of k. */
#include "contract.h"

#include <string.h>

const struct dim *contraction_number(const struct contraction *c, int64_t x)
{
	return dim_const(c->e->context->dims, x);
}

static void describe_matmul(struct contraction *c)
{
	int32_t rank = c->n->type.rank;
	const struct view *va = &c->e->p->view[c->a->id];
	c->row_a = *va;
	c->row_a.stride[rank - 1] = contraction_number(c, 0);
	if (c->packed) {
		const struct buffer *b = &c->e->p->buffers[c->e->kernel->panels->buffer];
		int64_t batch = c->e->p->weights[b->index].pack->batch;
		memset(c->row_b.stride, 0, sizeof c->row_b.stride);
		for (int32_t i = 0; i < rank; i++)
			c->row_b.stride[i] = contraction_number(c, 0);
		if (batch > 1)
			c->row_b.stride[0] = contraction_number(c, b->count->value / batch);
	} else {
		c->row_b = c->e->p->view[c->b->id];
		c->row_b.stride[rank - 2] = contraction_number(c, 0);
	}
	c->n_levels = 1;
	c->level[0] = (struct level){c->a->type.dim[rank - 1], va->stride[rank - 1]};
	c->n_columns = c->n->type.dim[rank - 1];
	c->groups = 1;
}

static void describe_conv(struct contraction *c)
{
	struct dims *dims = c->e->context->dims;
	const struct attr_conv *attr = c->n->attr.conv;
	const struct view *va = &c->e->p->view[c->a->id];
	c->row_a = *va;
	c->row_a.stride[1] = contraction_number(c, 0);
	for (int32_t i = 0; i < c->n->type.rank; i++)
		c->row_b.stride[i] = contraction_number(c, 0);
	for (int32_t i = 0; i < attr->spatial; i++) {
		c->row_a.stride[i + 2] = dim_mul(dims, va->stride[i + 2],
						 contraction_number(c, attr->stride[i]));
		c->level[c->n_levels++] =
				(struct level){c->b->type.dim[i + 2],
					       dim_mul(dims, va->stride[i + 2],
						       contraction_number(c, attr->dilation[i]))};
	}
	c->level[c->n_levels++] = (struct level){c->b->type.dim[1], va->stride[1]};
	c->groups = attr->groups;
	c->n_columns = dim_div(dims, c->n->type.dim[1], contraction_number(c, attr->groups));
}

/* Loops of k that run evenly over A become one. */
static void merge_levels(struct contraction *c)
{
	struct dims *dims = c->e->context->dims;
	int32_t kept = 0;
	c->k = contraction_number(c, 1);
	for (int32_t i = 0; i < c->n_levels; i++) {
		struct level next = c->level[i];
		c->k = dim_mul(dims, c->k, next.extent);
		if (dim_is(next.extent, 1))
			continue;
		struct level *last = kept ? &c->level[kept - 1] : NULL;
		if (last && last->stride == dim_mul(dims, next.stride, next.extent))
			*last = (struct level){dim_mul(dims, last->extent, next.extent),
					       next.stride};
		else
			c->level[kept++] = next;
	}
	if (!kept)
		c->level[kept++] =
				(struct level){contraction_number(c, 1), contraction_number(c, 1)};
	c->n_levels = kept;
}

/* The loops over the root: row dimension last but one, columns last. */
static void describe_space(struct contraction *c)
{
	const struct node *root = c->e->kernel->root;
	int32_t rank = root->type.rank, column_axis = c->n->op == OP_conv ? 1 : rank - 1;
	struct axes axes = {.inner = 1u << column_axis};
	struct accesses all = {0};
	accesses_of(c->e, root, c->n, &all);
	accesses_add(c->e, &all, &c->e->p->view[root->id]);
	accesses_add(c->e, &all, &c->row_a);
	accesses_add(c->e, &all, &c->row_b);
	view_order(&root->type, &c->e->p->view[root->id], axes.order);
	if (c->n->op != OP_conv) { /* rows just before columns */
		int32_t kept = 0;
		for (int32_t i = 0; i < rank; i++)
			if (axes.order[i] < rank - 2)
				axes.order[kept++] = axes.order[i];
		axes.order[kept++] = rank - 2;
		axes.order[kept] = rank - 1;
	}
	c->space = space_new(c->e, &root->type, &axes, &all, &all);
	if (c->space.rank == c->space.n_outer) { /* a single column */
		c->space.extent[c->space.rank] = root->type.dim[column_axis];
		c->space.fast[c->space.rank++] = column_axis;
	}
	c->columns = c->space.rank - 1;
	c->rows = c->space.n_outer - 1;
	if (c->rows >= 0 && !dim_is(c->row_b.stride[c->space.fast[c->rows]], 0))
		c->rows = -1; /* B differs from row to row */
}

/* Tiles run along the rows; where these are few, along the dimension before them, whole lines of
 * rows at a time. */
static void describe_units(struct contraction *c)
{
	int32_t mr = c->e->kernel->panels->rows;
	c->unit = c->rows;
	c->unit_rows = 1;
	c->units = c->rows < 0 ? 1 : mr;
	if (c->rows < 1)
		return;
	const struct dim *line = c->space.extent[c->rows],
			 *before = c->row_b.stride[c->space.fast[c->rows - 1]];
	if (!dim_is_const(line) || !dim_is(before, 0) || line->value < 1 || line->value * 2 > mr)
		return;
	c->unit = c->rows - 1;
	c->unit_rows = (int32_t)line->value;
	c->units = mr / c->unit_rows;
}

/* Whether B comes from memory rather than from a cache, and its first use is a good part of all. */
static bool streams(const struct contraction *c)
{
	enum { CACHED_BYTES = 1 << 20, FEW_ROWS = 128 };
	int64_t rows = 1;
	for (int32_t i = 0; i < c->space.n_outer; i++) {
		if (!dim_is_const(c->space.extent[i]))
			return false;
		rows *= c->space.extent[i]->value;
	}
	if (!c->packed || rows > FEW_ROWS)
		return false;
	const struct buffer *b = &c->e->p->buffers[c->e->kernel->panels->buffer];
	return b->count->value * (int64_t)normc_elem_size(c->elem) > CACHED_BYTES;
}

void contraction_describe(struct contraction *c, struct emit *e)
{
	memset(c, 0, sizeof *c);
	c->e = e;
	c->n = e->kernel->anchor;
	c->a = c->n->in[0];
	c->b = c->n->in[1];
	c->elem = c->n->type.elem;
	c->packed = e->kernel->panels->packed;
	c->width = e->kernel->panels->width;
	c->lanes = emit_vector_lanes(e, c->elem);
	if (c->n->op == OP_conv)
		describe_conv(c);
	else
		describe_matmul(c);
	merge_levels(c);
	describe_space(c);
	describe_units(c);
	bool in_place = c->n->op != OP_conv && dim_is(e->p->view[c->packed ? c->a->id : c->b->id]
								      .stride[c->b->type.rank - 1],
						      1);
	c->pack_here = !c->packed && !in_place;
	c->from_memory = streams(c);
}

bool contraction_loops(const struct contraction *c, int32_t loop)
{
	return loop == c->rows || loop == c->unit;
}

/* Distance in A of two indices of a loop dimension. */
LLVMValueRef contraction_step(struct contraction *c, int32_t loop)
{
	return loop < 0 ? emit_i64(c->e, 0) : emit_dim(c->e, c->row_a.stride[c->space.fast[loop]]);
}
