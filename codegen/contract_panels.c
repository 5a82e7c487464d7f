/* Operand B of a contraction: panels of a few vectors of columns, packed at compile time, by the
 * task, or not at all. */
#include "contract.h"

/* How far ahead of the multiply-adds a panel is asked for. */
enum { PREFETCH_BYTES = 8192 };

/* Copies one panel of B into the scratch: k rows of `width` elements in storage form. */
static void pack_panel(struct contraction *c)
{
	struct emit *e = c->e;
	const struct view *vb = &e->p->view[c->b->id];
	const struct attr_conv *conv = c->n->op == OP_conv ? c->n->attr.conv : NULL;
	int32_t rank = c->b->type.rank, axis[MAX_CONTRACTED], n_axes = 0,
		column_axis = conv ? 0 : rank - 1;
	if (conv)
		for (int32_t i = 2; i < rank; i++)
			axis[n_axes++] = i;
	axis[n_axes++] = conv ? 1 : rank - 2;
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef panel = emit_scratch(e), k = emit_i64(e, 0), from = c->b_base;
	struct loop loop[MAX_CONTRACTED], column;
	for (int32_t i = 0; i < n_axes; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, c->b->type.dim[axis[i]]),
			   emit_i64(e, 1));
		k = emit_add(e, emit_mul(e, k, emit_dim(e, c->b->type.dim[axis[i]])), loop[i].i);
		from = emit_element(e, type, from,
				    emit_mul(e, loop[i].i, emit_dim(e, vb->stride[axis[i]])));
	}
	LLVMValueRef left = LLVMBuildSub(e->b, emit_dim(e, c->n_columns), c->first_column, "");
	LLVMValueRef count = emit_min(e, left, emit_i64(e, c->width));
	LLVMValueRef to = emit_element(e, type, panel, emit_mul(e, k, emit_i64(e, c->width)));
	loop_begin(e, &column, emit_i64(e, 0), count, emit_i64(e, 1));
	LLVMValueRef at = emit_mul(e, column.i, emit_dim(e, vb->stride[column_axis]));
	LLVMValueRef v = LLVMBuildLoad2(e->b, type, emit_element(e, type, from, at), "");
	LLVMBuildStore(e->b, v, emit_element(e, type, to, column.i));
	loop_end(e, &column);
	for (int32_t i = n_axes; i-- > 0;)
		loop_end(e, &loop[i]);
	c->b_base = panel;
}

/* Address of the task's panel (or of its first column in place), and the distance from one k to the
 * next. */
void panel_find(struct contraction *c, LLVMValueRef panel)
{
	struct emit *e = c->e;
	struct dims *dims = e->context->dims;
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef offset = emit_i64(e, 0);
	for (int32_t i = 0; i < c->space.n_outer; i++)
		if (!contraction_loops(c, i))
			offset = emit_add(e, offset,
					  emit_mul(e, c->x.at[i],
						   emit_dim(e, c->row_b.stride[c->space.fast[i]])));
	if (c->packed) {
		const struct dim *panels =
				dim_ceil_div(dims, c->n_columns, contraction_number(c, c->width));
		const struct dim *bytes = dim_mul(dims, c->k, contraction_number(c, c->width));
		LLVMValueRef index = emit_add(e, emit_mul(e, c->group, emit_dim(e, panels)), panel);
		offset = emit_add(e, offset, emit_mul(e, index, emit_dim(e, bytes)));
		c->b_base = emit_element(e, type, emit_buffer(e, e->kernel->panels->buffer),
					 offset);
		c->b_step = emit_i64(e, c->width);
		return;
	}
	const struct view *vb = &e->p->view[c->b->id];
	int32_t rank = c->b->type.rank;
	const struct dim *column = vb->stride[c->n->op == OP_conv ? 0 : rank - 1];
	LLVMValueRef first = emit_add(e, emit_mul(e, c->group, emit_dim(e, c->n_columns)),
				      c->first_column);
	offset = emit_add(e, emit_add(e, offset, emit_dim(e, vb->offset)),
			  emit_mul(e, first, emit_dim(e, column)));
	c->b_base = emit_element(e, type, emit_buffer(e, vb->buffer), offset);
	if (c->pack_here) {
		pack_panel(c);
		c->b_step = emit_i64(e, c->width);
	} else {
		c->b_step = emit_dim(e, vb->stride[rank - 2]);
	}
}

LLVMValueRef panel_load(struct contraction *c, const struct tile *t, LLVMValueRef row, int32_t j)
{
	struct emit *e = c->e;
	struct index x = {.space = &c->space, .lane = c->columns, .lanes = c->lanes};
	if (!c->packed && !c->pack_here)
		x.mask = t->mask[j]; /* what lies behind the last column may not be ours */
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef address = emit_element(e, type, row, emit_i64(e, (int64_t)j * c->lanes));
	return emit_load_at(e, (struct element){c->elem, address, NULL}, &x);
}

/* A large panel comes from memory the first time: ask for its next rows before they are wanted,
 * across pages too, where the hardware's prefetcher stops. */
void panel_prefetch(struct contraction *c, const struct tile *t, LLVMValueRef row)
{
	struct emit *e = c->e;
	LLVMTypeRef i32 = e->t.i32, pointer = e->t.ptr;
	int64_t line = 64 / (int64_t)normc_elem_size(c->elem);
	for (int64_t at = 0; at < (int64_t)t->nv * c->lanes; at += line) {
		LLVMValueRef address = emit_element(
				e, emit_storage_type(e, c->elem), row,
				emit_i64(e,
					 at + PREFETCH_BYTES / (int64_t)normc_elem_size(c->elem)));
		LLVMValueRef args[4] = {address, LLVMConstInt(i32, 0, 0), LLVMConstInt(i32, 2, 0),
					LLVMConstInt(i32, 1, 0)};
		emit_intrinsic(e, (struct intrinsic){"llvm.prefetch", {pointer}, 1}, args, 4);
	}
}
