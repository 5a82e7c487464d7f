/* Types, extents, addresses, loops: the only code that places basic blocks. */
#include "emit.h"

#include <stddef.h>
#include <string.h>

#include "module.h"

LLVMTypeRef emit_storage_type(const struct emit *e, enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F32:
		return e->t.f32;
	case NORMC_F64:
		return e->t.f64;
	case NORMC_I64:
	case NORMC_U64:
		return e->t.i64;
	case NORMC_I32:
	case NORMC_U32:
		return e->t.i32;
	case NORMC_I16:
	case NORMC_U16:
	case NORMC_F16:
	case NORMC_BF16:
		return e->t.i16;
	default:
		return e->t.i8;
	}
}

LLVMTypeRef emit_compute_type(const struct emit *e, enum normc_elem elem)
{
	if (elem == NORMC_BOOL)
		return e->t.i1;
	if (elem_is_float(elem))
		return elem == NORMC_F64 ? e->t.f64 : e->t.f32;
	return emit_storage_type(e, elem);
}

LLVMTypeRef emit_lanes(LLVMTypeRef type, int32_t lanes)
{
	return lanes > 1 ? LLVMVectorType(type, (unsigned)lanes) : type;
}

int32_t emit_vector_lanes(const struct emit *e, enum normc_elem elem)
{
	int32_t lanes = target_machine(e->target).vector;
	return normc_elem_size(elem) == 8 ? lanes / 2 : lanes;
}

LLVMValueRef emit_i64(const struct emit *e, int64_t x)
{
	return LLVMConstInt(e->t.i64, (unsigned long long)x, 1);
}

LLVMValueRef emit_splat(const struct emit *e, LLVMValueRef scalar, int32_t lanes)
{
	if (lanes <= 1)
		return scalar;
	LLVMTypeRef type = LLVMVectorType(LLVMTypeOf(scalar), (unsigned)lanes);
	if (LLVMIsConstant(scalar)) {
		LLVMValueRef all[64];
		for (int32_t i = 0; i < lanes && i < 64; i++)
			all[i] = scalar;
		return LLVMConstVector(all, (unsigned)lanes);
	}
	LLVMValueRef zero = LLVMConstInt(e->t.i32, 0, 0);
	LLVMValueRef one = LLVMBuildInsertElement(e->b, LLVMGetUndef(type), scalar, zero, "");
	LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(e->t.i32, (unsigned)lanes));
	return LLVMBuildShuffleVector(e->b, one, LLVMGetUndef(type), zeros, "");
}

LLVMValueRef emit_real(const struct emit *e, LLVMTypeRef type, double x)
{
	if (LLVMGetTypeKind(type) != LLVMVectorTypeKind)
		return LLVMConstReal(type, x);
	return emit_splat(e, LLVMConstReal(LLVMGetElementType(type), x),
			  (int32_t)LLVMGetVectorSize(type));
}

LLVMValueRef emit_lane_numbers(const struct emit *e, int32_t lanes)
{
	LLVMValueRef all[64];
	if (lanes <= 1)
		return emit_i64(e, 0);
	for (int32_t i = 0; i < lanes && i < 64; i++)
		all[i] = emit_i64(e, i);
	return LLVMConstVector(all, (unsigned)lanes);
}

int32_t emit_lane_count(LLVMValueRef v)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	return LLVMGetTypeKind(t) == LLVMVectorTypeKind ? (int32_t)LLVMGetVectorSize(t) : 1;
}

static bool is_number(LLVMValueRef v, int64_t x)
{
	return LLVMIsAConstantInt(v) && LLVMConstIntGetSExtValue(v) == x;
}

LLVMValueRef emit_add(const struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	if (is_number(a, 0))
		return b;
	return is_number(b, 0) ? a : LLVMBuildNSWAdd(e->b, a, b, "");
}

LLVMValueRef emit_mul(const struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	if (is_number(a, 0) || is_number(b, 1))
		return a;
	return is_number(b, 0) || is_number(a, 1) ? b : LLVMBuildNSWMul(e->b, a, b, "");
}

static LLVMValueRef min_max(LLVMBuilderRef b, LLVMIntPredicate keep, LLVMValueRef x, LLVMValueRef y)
{
	return LLVMBuildSelect(b, LLVMBuildICmp(b, keep, x, y, ""), x, y, "");
}

LLVMValueRef emit_min(const struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	return a == b ? a : min_max(e->b, LLVMIntSLT, a, b);
}

LLVMValueRef emit_max(const struct emit *e, LLVMValueRef a, LLVMValueRef b)
{
	return a == b ? a : min_max(e->b, LLVMIntSGT, a, b);
}

LLVMValueRef emit_element(const struct emit *e, LLVMTypeRef type, LLVMValueRef base,
			  LLVMValueRef index)
{
	return is_number(index, 0) ? base : LLVMBuildGEP2(e->b, type, base, &index, 1, "");
}

LLVMValueRef emit_slot(struct emit *e, LLVMTypeRef type)
{
	return LLVMBuildAlloca(e->entry, type, "");
}

/* ---- extents and scratch: computed in the entry block ---- */

static LLVMValueRef frame_field(struct emit *e, size_t offset, LLVMTypeRef type)
{
	LLVMValueRef at = emit_i64(e, (int64_t)offset);
	LLVMValueRef p = LLVMBuildGEP2(e->entry, e->t.i8, e->frame, &at, 1, "");
	return LLVMBuildLoad2(e->entry, type, p, "");
}

static LLVMValueRef floor_div(LLVMBuilderRef b, LLVMValueRef x, LLVMValueRef y, bool remainder)
{
	/* divisors are extents: positive; a zero one is replaced so that nothing traps */
	LLVMTypeRef t = LLVMTypeOf(x);
	LLVMValueRef zero = LLVMConstNull(t), one = LLVMConstInt(t, 1, 0);
	y = LLVMBuildSelect(b, LLVMBuildICmp(b, LLVMIntEQ, y, zero, ""), one, y, "");
	LLVMValueRef r = LLVMBuildSRem(b, x, y, "");
	LLVMValueRef odd = LLVMBuildICmp(b, LLVMIntSLT, LLVMBuildXor(b, r, y, ""), zero, "");
	LLVMValueRef wrong = LLVMBuildAnd(b, odd, LLVMBuildICmp(b, LLVMIntNE, r, zero, ""), "");
	if (remainder)
		return LLVMBuildSelect(b, wrong, LLVMBuildAdd(b, r, y, ""), r, "");
	LLVMValueRef q = LLVMBuildSDiv(b, x, y, "");
	return LLVMBuildSelect(b, wrong, LLVMBuildSub(b, q, one, ""), q, "");
}

static LLVMValueRef combine(LLVMBuilderRef b, enum dim_kind kind, LLVMValueRef x, LLVMValueRef y)
{
	switch (kind) {
	case DIM_ADD:
		return LLVMBuildAdd(b, x, y, "");
	case DIM_MUL:
		return LLVMBuildMul(b, x, y, "");
	case DIM_DIV:
		return floor_div(b, x, y, false);
	case DIM_MOD:
		return floor_div(b, x, y, true);
	case DIM_MIN:
		return min_max(b, LLVMIntSLT, x, y);
	case DIM_MAX:
		return min_max(b, LLVMIntSGT, x, y);
	default:
		return LLVMConstNull(LLVMTypeOf(x));
	}
}

/* The cached value of an extent in this function; extents are still being made while code is
 * emitted. */
static struct dim_value *dim_slot(struct emit *e, const struct dim *d)
{
	if (d->id >= e->n_dim) {
		uint32_t n = 2 * d->id + 64;
		struct dim_value *larger = arena_new(e->context->arena, struct dim_value, n);
		if (e->n_dim)
			memcpy(larger, e->dim, e->n_dim * sizeof *larger);
		e->dim = larger;
		e->n_dim = n;
	}
	return &e->dim[d->id];
}

LLVMValueRef emit_dim(struct emit *e, const struct dim *d)
{
	if (d->kind == DIM_CONST)
		return emit_i64(e, d->value);
	if (d->kind == DIM_INVALID) {
		bug(e->context->diag, e->kernel ? e->kernel->loc : (struct loc){0},
		    "an extent is not known");
		return emit_i64(e, 0);
	}
	if (dim_slot(e, d)->function == e->function_number)
		return dim_slot(e, d)->value;
	LLVMValueRef v;
	if (d->kind == DIM_SYMBOL) {
		LLVMValueRef symbols =
				frame_field(e, offsetof(struct normc_frame, symbols), e->t.ptr);
		LLVMValueRef at = emit_i64(e, d->value);
		v = LLVMBuildLoad2(e->entry, e->t.i64,
				   LLVMBuildGEP2(e->entry, e->t.i64, symbols, &at, 1, ""), "");
	} else {
		v = emit_dim(e, d->arg[0]);
		for (uint32_t i = 1; i < d->n_args; i++)
			v = combine(e->entry, d->kind, v, emit_dim(e, d->arg[i]));
	}
	*dim_slot(e, d) = (struct dim_value){v, e->function_number};
	return v;
}

LLVMValueRef emit_scratch(struct emit *e)
{
	/* the stride between threads is written into the frame's caller by the runtime: scratch +
	 * thread * bytes */
	LLVMValueRef base = frame_field(e, offsetof(struct normc_frame, scratch), e->t.ptr);
	LLVMValueRef bytes = frame_field(e, offsetof(struct normc_frame, scratch_bytes), e->t.i64);
	LLVMValueRef at = LLVMBuildMul(e->entry, bytes, e->thread, "");
	return LLVMBuildGEP2(e->entry, e->t.i8, base, &at, 1, "scratch");
}

/* ---- calls ---- */

LLVMValueRef emit_intrinsic(struct emit *e, struct intrinsic intrinsic, LLVMValueRef *args,
			    unsigned n)
{
	unsigned id = LLVMLookupIntrinsicID(intrinsic.name, strlen(intrinsic.name));
	LLVMValueRef f = LLVMGetIntrinsicDeclaration(e->module, id, intrinsic.type,
						     intrinsic.n_types);
	LLVMTypeRef type = LLVMIntrinsicGetType(e->llvm, id, intrinsic.type, intrinsic.n_types);
	return LLVMBuildCall2(e->b, type, f, args, n, "");
}

LLVMValueRef emit_runtime(struct emit *e, const char *name, LLVMTypeRef result, LLVMValueRef *args,
			  unsigned n)
{
	LLVMTypeRef params[8];
	for (unsigned i = 0; i < n; i++)
		params[i] = LLVMTypeOf(args[i]);
	LLVMTypeRef type = LLVMFunctionType(result, params, n, 0);
	LLVMValueRef f = LLVMGetNamedFunction(e->module, name);
	if (!f)
		f = LLVMAddFunction(e->module, name, type);
	return LLVMBuildCall2(e->b, type, f, args, n, "");
}

void emit_fail(struct emit *e, LLVMValueRef status)
{
	LLVMValueRef args[3] = {e->frame, emit_kernel_number(e), status};
	emit_runtime(e, "normc_rt_fail", e->t.none, args, 3);
}

LLVMValueRef emit_runtime_lanes(struct emit *e, const char *name, LLVMTypeRef result,
				LLVMValueRef *args, unsigned n)
{
	int32_t lanes = emit_lane_count(args[0]);
	if (lanes == 1)
		return emit_runtime(e, name, result, args, n);
	LLVMValueRef all = LLVMGetUndef(LLVMVectorType(result, (unsigned)lanes)), one[8];
	for (int32_t lane = 0; lane < lanes; lane++) {
		LLVMValueRef at = LLVMConstInt(e->t.i32, (unsigned long long)lane, 0);
		for (unsigned i = 0; i < n; i++)
			one[i] = emit_lane_count(args[i]) == 1
						 ? args[i]
						 : LLVMBuildExtractElement(e->b, args[i], at, "");
		all = LLVMBuildInsertElement(e->b, all, emit_runtime(e, name, result, one, n), at,
					     "");
	}
	return all;
}

/* ---- control flow ---- */

void loop_begin(struct emit *e, struct loop *loop, LLVMValueRef from, LLVMValueRef to,
		LLVMValueRef step)
{
	LLVMBasicBlockRef before = LLVMGetInsertBlock(e->b);
	loop->head = LLVMAppendBasicBlockInContext(e->llvm, e->function, "loop");
	loop->body = LLVMAppendBasicBlockInContext(e->llvm, e->function, "body");
	loop->exit = LLVMAppendBasicBlockInContext(e->llvm, e->function, "done");
	loop->step = step;
	LLVMBuildBr(e->b, loop->head);
	LLVMPositionBuilderAtEnd(e->b, loop->head);
	loop->i = LLVMBuildPhi(e->b, e->t.i64, "i");
	LLVMAddIncoming(loop->i, &from, &before, 1);
	LLVMBuildCondBr(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, loop->i, to, ""), loop->body,
			loop->exit);
	LLVMPositionBuilderAtEnd(e->b, loop->body);
}

void loop_while(struct emit *e, struct loop *loop, LLVMValueRef condition)
{
	LLVMBasicBlockRef next = LLVMAppendBasicBlockInContext(e->llvm, e->function, "next");
	LLVMBuildCondBr(e->b, condition, next, loop->exit);
	LLVMPositionBuilderAtEnd(e->b, next);
}

void loop_end(struct emit *e, struct loop *loop)
{
	LLVMValueRef next = LLVMBuildNSWAdd(e->b, loop->i, loop->step, "");
	LLVMBasicBlockRef last = LLVMGetInsertBlock(e->b);
	LLVMAddIncoming(loop->i, &next, &last, 1);
	LLVMBuildBr(e->b, loop->head);
	LLVMPositionBuilderAtEnd(e->b, loop->exit);
}

void when_begin(struct emit *e, struct when *w, LLVMValueRef condition)
{
	LLVMBasicBlockRef then = LLVMAppendBasicBlockInContext(e->llvm, e->function, "then");
	w->end = LLVMAppendBasicBlockInContext(e->llvm, e->function, "end");
	LLVMBuildCondBr(e->b, condition, then, w->end);
	LLVMPositionBuilderAtEnd(e->b, then);
}

void when_end(struct emit *e, struct when *w)
{
	LLVMBuildBr(e->b, w->end);
	LLVMPositionBuilderAtEnd(e->b, w->end);
}

void return_when(struct emit *e, LLVMValueRef condition, LLVMValueRef value)
{
	LLVMBasicBlockRef leave = LLVMAppendBasicBlockInContext(e->llvm, e->function, "leave");
	LLVMBasicBlockRef stay = LLVMAppendBasicBlockInContext(e->llvm, e->function, "stay");
	LLVMBuildCondBr(e->b, condition, leave, stay);
	LLVMPositionBuilderAtEnd(e->b, leave);
	LLVMBuildRet(e->b, value);
	LLVMPositionBuilderAtEnd(e->b, stay);
}
