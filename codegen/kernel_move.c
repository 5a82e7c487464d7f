/* Concat and pad, as far as their operands were not written in place already. */
#include <string.h>

#include "emit.h"

/* Copies from one view to another of the same shape; serial inside the task. */
static void copy_view(struct emit *e, const struct type *type, enum normc_elem elem,
		      const struct view *to, const struct view *from)
{
	struct accesses a = {.view = (const struct view *[]){to, from}, .n = 2};
	struct axes axes = {.inner = 0};
	view_order(type, to, axes.order);
	struct space space = space_new(e, type, &axes, &a, &a);
	struct index x = {.space = &space, .lane = -1, .lanes = 1}, wide;
	LLVMTypeRef storage = emit_storage_type(e, elem);
	struct loop loop[MAX_RANK];
	int32_t fast = space.rank - 1;
	for (int32_t i = 0; i < fast; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, space.extent[i]),
			   emit_i64(e, 1));
		x.at[i] = loop[i].i;
	}
	LLVMValueRef n = emit_i64(e, 1), whole = emit_i64(e, 0);
	wide = x;
	if (fast >= 0) {
		const struct dim *out = to->stride[space.fast[fast]],
				 *in = from->stride[space.fast[fast]];
		n = emit_dim(e, space.extent[fast]);
		wide.lane = fast;
		wide.lanes = emit_vector_lanes(e, elem);
		if (dim_is(out, 1) && dim_is(in, 1)) {
			whole = LLVMBuildAnd(e->b, n, emit_i64(e, -(int64_t)wide.lanes), "");
			loop_begin(e, &loop[fast], emit_i64(e, 0), whole, emit_i64(e, wide.lanes));
			wide.at[fast] = loop[fast].i;
			LLVMValueRef source = emit_element(e, storage, emit_buffer(e, from->buffer),
							   emit_offset(e, from, &wide));
			LLVMValueRef target = emit_element(e, storage, emit_buffer(e, to->buffer),
							   emit_offset(e, to, &wide));
			emit_store_at(e, (struct element){elem, target, NULL}, &wide,
				      emit_load_at(e, (struct element){elem, source, NULL}, &wide));
			loop_end(e, &loop[fast]);
		}
		loop_begin(e, &loop[fast], whole, n, emit_i64(e, 1));
		x.at[fast] = loop[fast].i;
	}
	LLVMValueRef source = emit_element(e, storage, emit_buffer(e, from->buffer),
					   emit_offset(e, from, &x));
	LLVMValueRef target = emit_element(e, storage, emit_buffer(e, to->buffer),
					   emit_offset(e, to, &x));
	LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, storage, source, ""), target);
	for (int32_t i = fast + 1; i-- > 0;)
		loop_end(e, &loop[i]);
}

static bool in_place(const struct view *part, const struct view *operand, int32_t rank)
{
	return part->buffer == operand->buffer && part->offset == operand->offset &&
	       !memcmp(part->stride, operand->stride, (size_t)rank * sizeof *part->stride);
}

void kernel_concat(struct emit *e, struct schedule *s)
{
	const struct node *n = e->kernel->root;
	struct dims *dims = e->context->dims;
	int32_t axis = n->attr.axis->axis;
	struct view part = e->p->view[n->id];
	s->tasks = dim_const(dims, 1);
	for (uint32_t i = 0; i < n->n_in; i++) {
		const struct node *operand = n->in[i];
		const struct view *from = &e->p->view[operand->id];
		if (!in_place(&part, from, n->type.rank))
			copy_view(e, &operand->type, n->type.elem, &part, from);
		part.offset = dim_add(dims, part.offset,
				      dim_mul(dims, operand->type.dim[axis], part.stride[axis]));
	}
}

/* ---- pad ---- */

/* Fills the box [from, to) of every dimension with a value. */
static void fill_box(struct emit *e, const struct node *n, const struct dim *const *from,
		     const struct dim *const *to, LLVMValueRef raw)
{
	const struct view *v = &e->p->view[n->id];
	struct dims *dims = e->context->dims;
	struct type box = n->type;
	struct view at = *v;
	for (int32_t i = 0; i < n->type.rank; i++) {
		box.dim[i] = dim_sub(dims, to[i], from[i]);
		at.offset = dim_add(dims, at.offset, dim_mul(dims, from[i], v->stride[i]));
	}
	struct accesses a = {.view = (const struct view *[]){&at}, .n = 1};
	struct axes axes = {.inner = 0};
	view_order(&box, &at, axes.order);
	struct space space = space_new(e, &box, &axes, &a, &a);
	struct index x = {.space = &space, .lane = -1, .lanes = 1};
	struct loop loop[MAX_RANK];
	for (int32_t i = 0; i < space.rank; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, space.extent[i]),
			   emit_i64(e, 1));
		x.at[i] = loop[i].i;
	}
	LLVMTypeRef storage = emit_storage_type(e, n->type.elem);
	LLVMBuildStore(e->b, raw,
		       emit_element(e, storage, emit_buffer(e, at.buffer),
				    emit_offset(e, &at, &x)));
	for (int32_t i = space.rank; i-- > 0;)
		loop_end(e, &loop[i]);
}

/* The border, dimension by dimension: in front and behind, over the inner range of the dimensions
 * before it. */
static void fill_border(struct emit *e, const struct node *n, LLVMValueRef raw)
{
	struct dims *dims = e->context->dims;
	const struct attr_pad *pad = n->attr.pad;
	const struct dim *from[MAX_RANK], *to[MAX_RANK];
	for (int32_t i = 0; i < n->type.rank; i++) {
		from[i] = dim_const(dims, 0);
		to[i] = n->type.dim[i];
	}
	for (int32_t i = 0; i < n->type.rank; i++) {
		const struct dim *start = pad->before[i],
				 *end = dim_sub(dims, n->type.dim[i], pad->after[i]);
		if (!dim_is(start, 0)) {
			to[i] = start;
			fill_box(e, n, from, to, raw);
		}
		to[i] = n->type.dim[i];
		if (!dim_is(pad->after[i], 0)) {
			from[i] = end;
			fill_box(e, n, from, to, raw);
		}
		from[i] = start;
		to[i] = end;
	}
}

static LLVMValueRef raw_scalar(struct emit *e, const struct node *n)
{
	const struct view *v = &e->p->view[n->id];
	LLVMTypeRef storage = emit_storage_type(e, n->type.elem);
	return LLVMBuildLoad2(
			e->b, storage,
			emit_element(e, storage, emit_buffer(e, v->buffer), emit_dim(e, v->offset)),
			"");
}

/* Index into the operand for index i of the result along one dimension, by mode; `inside` false:
 * the pad value. */
static LLVMValueRef source_index(struct emit *e, const struct node *n, int32_t axis, LLVMValueRef i,
				 LLVMValueRef *inside)
{
	const struct attr_pad *pad = n->attr.pad;
	LLVMValueRef extent = emit_dim(e, n->in[0]->type.dim[axis]), one = emit_i64(e, 1),
		     zero = emit_i64(e, 0);
	LLVMValueRef at = LLVMBuildSub(e->b, i, emit_dim(e, pad->before[axis]), "");
	LLVMValueRef here = LLVMBuildICmp(e->b, LLVMIntULT, at, extent, "");
	LLVMValueRef last = LLVMBuildSub(e->b, extent, one, "");
	if (pad->mode == PAD_CONSTANT) {
		*inside = LLVMBuildAnd(e->b, *inside, here, "");
		return LLVMBuildSelect(e->b, here, at, zero, "");
	}
	if (pad->mode == PAD_EDGE)
		return emit_max(e, emit_min(e, at, last), zero);
	LLVMValueRef period = pad->mode == PAD_WRAP
					      ? extent
					      : emit_max(e, emit_mul(e, last, emit_i64(e, 2)), one);
	LLVMValueRef r = LLVMBuildSRem(e->b, at, emit_max(e, period, one), "");
	r = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, r, zero, ""),
			    LLVMBuildAdd(e->b, r, period, ""), r, "");
	if (pad->mode == PAD_WRAP)
		return r;
	return emit_min(e, r, LLVMBuildSub(e->b, period, r, ""));
}

/* Repeating elements needs one: none is a failure of the run. */
static LLVMValueRef has_elements(struct emit *e, const struct node *n)
{
	LLVMValueRef none = LLVMConstInt(e->t.i1, 0, 0);
	struct when w;
	for (int32_t i = 0; i < n->type.rank; i++) {
		LLVMValueRef empty = LLVMBuildICmp(e->b, LLVMIntEQ, emit_dim(e, n->type.dim[i]),
						   emit_i64(e, 0), "");
		none = LLVMBuildOr(e->b, none, empty, "");
	}
	when_begin(e, &w, none);
	emit_fail(e, LLVMConstInt(e->t.i32, NORMC_INVALID, 0));
	when_end(e, &w);
	return LLVMBuildNot(e->b, none, "");
}

static void pad_general(struct emit *e, const struct node *n, struct schedule *s)
{
	const struct view *out = &e->p->view[n->id], *in = &e->p->view[n->in[0]->id];
	struct accesses a = {.logical = true};
	struct axes axes = {.inner = 0};
	view_order(&n->type, out, axes.order);
	struct space space = space_new(e, &n->type, &axes, &a, &a);
	struct index x = {.space = &space, .lane = -1, .lanes = 1};
	struct rows rows = {.n_outer = space.rank, .work = dim_const(e->context->dims, 1)};
	LLVMTypeRef storage = emit_storage_type(e, n->type.elem);
	rows_begin(e, &rows, &x, s);
	LLVMValueRef inside = LLVMConstInt(e->t.i1, 1, 0), offset = emit_dim(e, in->offset),
		     slot = emit_slot(e, storage);
	if (n->attr.pad->mode != PAD_CONSTANT)
		inside = has_elements(e, n->in[0]);
	for (int32_t i = 0; i < space.rank; i++) {
		int32_t axis = space.fast[i];
		LLVMValueRef at = source_index(e, n, axis, x.at[i], &inside);
		offset = emit_add(e, offset, emit_mul(e, at, emit_dim(e, in->stride[axis])));
	}
	LLVMBuildStore(e->b, raw_scalar(e, n->in[1]), slot);
	struct when w;
	when_begin(e, &w, inside);
	LLVMValueRef v = LLVMBuildLoad2(
			e->b, storage, emit_element(e, storage, emit_buffer(e, in->buffer), offset),
			"");
	LLVMBuildStore(e->b, v, slot);
	when_end(e, &w);
	LLVMValueRef target = emit_element(e, storage, emit_buffer(e, out->buffer),
					   emit_offset(e, out, &x));
	LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, storage, slot, ""), target);
	rows_end(e, &rows);
}

static bool only_grows(const struct node *n)
{
	const struct attr_pad *p = n->attr.pad;
	for (int32_t i = 0; i < n->type.rank; i++)
		if (!dim_is_const(p->before[i]) || p->before[i]->value < 0 ||
		    !dim_is_const(p->after[i]) || p->after[i]->value < 0)
			return false;
	return p->mode == PAD_CONSTANT;
}

void kernel_pad(struct emit *e, struct schedule *s)
{
	const struct node *n = e->kernel->root;
	struct dims *dims = e->context->dims;
	if (!only_grows(n)) {
		pad_general(e, n, s);
		return;
	}
	s->tasks = dim_const(dims, 1);
	fill_border(e, n, raw_scalar(e, n->in[1]));
	struct view middle = e->p->view[n->id];
	for (int32_t i = 0; i < n->type.rank; i++)
		middle.offset = dim_add(dims, middle.offset,
					dim_mul(dims, n->attr.pad->before[i], middle.stride[i]));
	if (!in_place(&middle, &e->p->view[n->in[0]->id], n->type.rank))
		copy_view(e, &n->in[0]->type, n->type.elem, &middle, &e->p->view[n->in[0]->id]);
}
