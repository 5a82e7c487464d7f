/* What a kernel's function is told about its own kernel: where its buffers are, and its number.
 *
 * All of that comes through one parameter, a table of 8-byte slots on the stack of the run
 * function, so that kernels of one shape get the same function, instruction for instruction, and
 * LLVM keeps one of them (object.c).  Slots are in the order in which an emitter first asks for
 * them.  Aliasing is not assumed: two slots may hold addresses in one buffer.
 */
#include <stddef.h>

#include "emit.h"
#include "module.h"

/* Stands for the kernel's number where slots name buffers. */
enum { KERNEL_NUMBER = -1 };

/* ---- in the kernel's function ---- */

static LLVMValueRef argument(struct emit *e, int64_t what, LLVMTypeRef type)
{
	struct arguments *a = &e->arguments;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->slot[i].what == what)
			return a->slot[i].value;
	LLVMValueRef at = emit_i64(e, a->n);
	LLVMValueRef place = LLVMBuildGEP2(e->entry, e->t.i64, e->table, &at, 1, "");
	struct argument slot = {what, LLVMBuildLoad2(e->entry, type, place, "")};
	PUSH(e->context->arena, a->slot, a->n, slot);
	return slot.value;
}

LLVMValueRef emit_buffer(struct emit *e, uint32_t number)
{
	return argument(e, number, e->t.ptr);
}

LLVMValueRef emit_kernel_number(struct emit *e)
{
	return argument(e, KERNEL_NUMBER, e->t.i32);
}

/* ---- in the run function ---- */

static LLVMValueRef frame_field(struct emit *e, size_t offset, LLVMTypeRef type)
{
	return LLVMBuildLoad2(e->b, type, emit_field(e, e->frame, offset), "");
}

static LLVMValueRef buffer_address(struct emit *e, const struct buffer *b)
{
	bool in = b->kind == BUFFER_INPUT;
	size_t list = in ? offsetof(struct normc_frame, inputs)
			 : offsetof(struct normc_frame, outputs);
	LLVMValueRef base;
	switch (b->kind) {
	case BUFFER_WEIGHT:
		base = frame_field(e, offsetof(struct normc_frame, weights), e->t.ptr);
		return emit_element(e, e->t.i8, base,
				    emit_i64(e, (int64_t)e->p->weights[b->index].offset));
	case BUFFER_WORK:
		base = frame_field(e, offsetof(struct normc_frame, workspace), e->t.ptr);
		return emit_element(e, e->t.i8, base, emit_dim(e, b->offset));
	default:
		base = frame_field(e, list, e->t.ptr);
		base = emit_element(e, e->t.ptr, base, emit_i64(e, b->index));
		return LLVMBuildLoad2(e->b, e->t.ptr, base, "");
	}
}

/* Failures inside a region are those of the outermost program's kernel. */
static LLVMValueRef kernel_number(struct emit *e, uint32_t number)
{
	if (e->inner)
		return frame_field(e, offsetof(struct normc_frame, outer_kernel), e->t.i32);
	return LLVMConstInt(e->t.i32, number, 0);
}

void pass_arguments(struct emit *e, uint32_t kernel, const struct arguments *a, LLVMValueRef table)
{
	for (uint32_t i = 0; i < a->n; i++) {
		int64_t what = a->slot[i].what;
		LLVMValueRef value = what == KERNEL_NUMBER
						     ? kernel_number(e, kernel)
						     : buffer_address(e, &e->p->buffers[what]);
		LLVMBuildStore(e->b, value, emit_element(e, e->t.i64, table, emit_i64(e, i)));
	}
}
