/* Rows: the outer dimensions of a space, cut into tasks. */
#include "emit.h"

/* Elements that one task should have at least: enough to pay for handing it out. */
enum { TASK_ELEMENTS = 16384 };

void rows_begin(struct emit *e, struct rows *r, struct index *x, struct schedule *s)
{
	struct dims *dims = e->context->dims;
	const struct dim *one = dim_const(dims, 1), *count = one;
	for (int32_t i = 0; i < r->n_outer; i++)
		count = dim_mul(dims, count, x->space->extent[i]);
	/* rows of one task */
	const struct dim *chunk = dim_max(
			dims, one,
			dim_div(dims, dim_const(dims, TASK_ELEMENTS), dim_max(dims, one, r->work)));
	s->tasks = dim_ceil_div(dims, count, chunk);
	LLVMValueRef size = emit_dim(e, chunk), all = emit_dim(e, count);
	LLVMValueRef from = emit_mul(e, e->task, size),
		     to = emit_min(e, emit_add(e, from, size), all);
	loop_begin(e, &r->loop, from, to, emit_i64(e, 1));
	LLVMValueRef left = r->loop.i;
	for (int32_t i = r->n_outer; i-- > 0;) {
		LLVMValueRef extent = emit_dim(e, x->space->extent[i]);
		x->at[i] = i ? LLVMBuildURem(e->b, left, extent, "") : left;
		if (i)
			left = LLVMBuildUDiv(e->b, left, extent, "");
	}
}

void rows_end(struct emit *e, struct rows *r)
{
	loop_end(e, &r->loop);
}
