/* Elements behind views: loads and stores of scalars and of lanes, and the conversions between what
 * memory holds and what is computed with (f16, bf16 and smaller floats are computed as f32).
 */
#include "emit.h"

#include <llvm/Config/llvm-config.h>

#include <string.h>

LLVMValueRef emit_offset(struct emit *e, const struct view *v, const struct index *x)
{
	LLVMValueRef at = emit_dim(e, v->offset);
	for (int32_t i = 0; i < x->space->rank; i++)
		at = emit_add(e, at,
			      emit_mul(e, x->at[i], emit_dim(e, v->stride[x->space->fast[i]])));
	return at;
}

/* Half precision by integer arithmetic would be slow; F16C and AArch64 have instructions, others
 * call the runtime. */
static bool has_half(const struct emit *e)
{
	return e->target->half;
}

static LLVMValueRef half_to_float(struct emit *e, LLVMValueRef raw)
{
	int32_t lanes = emit_lane_count(raw);
	if (!has_half(e))
		return emit_runtime_lanes(e, "normc_rt_f16_to_f32", e->t.f32, &raw, 1);
	LLVMValueRef half = LLVMBuildBitCast(e->b, raw, emit_lanes(e->t.f16, lanes), "");
	return LLVMBuildFPExt(e->b, half, emit_lanes(e->t.f32, lanes), "");
}

static LLVMValueRef float_to_half(struct emit *e, LLVMValueRef x)
{
	int32_t lanes = emit_lane_count(x);
	if (!has_half(e))
		return emit_runtime_lanes(e, "normc_rt_f32_to_f16", e->t.i16, &x, 1);
	LLVMValueRef half = LLVMBuildFPTrunc(e->b, x, emit_lanes(e->t.f16, lanes), "");
	return LLVMBuildBitCast(e->b, half, emit_lanes(e->t.i16, lanes), "");
}

static LLVMValueRef constant_like(LLVMValueRef v, const struct emit *e, LLVMTypeRef scalar,
				  uint64_t x)
{
	return emit_splat(e, LLVMConstInt(scalar, x, 0), emit_lane_count(v));
}

static LLVMValueRef bfloat_to_float(struct emit *e, LLVMValueRef raw)
{
	int32_t lanes = emit_lane_count(raw);
	LLVMValueRef wide = LLVMBuildZExt(e->b, raw, emit_lanes(e->t.i32, lanes), "");
	wide = LLVMBuildShl(e->b, wide, constant_like(wide, e, e->t.i32, 16), "");
	return LLVMBuildBitCast(e->b, wide, emit_lanes(e->t.f32, lanes), "");
}

/* Nearest even; a NaN stays one. */
static LLVMValueRef float_to_bfloat(struct emit *e, LLVMValueRef x)
{
	int32_t lanes = emit_lane_count(x);
	LLVMValueRef bits = LLVMBuildBitCast(e->b, x, emit_lanes(e->t.i32, lanes), "");
	LLVMValueRef sixteen = constant_like(bits, e, e->t.i32, 16);
	LLVMValueRef odd = LLVMBuildAnd(e->b, LLVMBuildLShr(e->b, bits, sixteen, ""),
					constant_like(bits, e, e->t.i32, 1), "");
	LLVMValueRef up = LLVMBuildAdd(e->b, odd, constant_like(bits, e, e->t.i32, 0x7fff), "");
	LLVMValueRef rounded = LLVMBuildLShr(e->b, LLVMBuildAdd(e->b, bits, up, ""), sixteen, "");
	LLVMValueRef nan = LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, "");
	rounded = LLVMBuildSelect(e->b, nan, constant_like(bits, e, e->t.i32, 0x7fc0), rounded, "");
	return LLVMBuildTrunc(e->b, rounded, emit_lanes(e->t.i16, lanes), "");
}

/* Those that only the runtime converts. */
static bool is_small_float(enum normc_elem elem)
{
	return elem_is_float(elem) && normc_elem_size(elem) == 1;
}

static LLVMValueRef from_storage(struct emit *e, enum normc_elem elem, LLVMValueRef raw)
{
	switch (elem) {
	case NORMC_F16:
		return half_to_float(e, raw);
	case NORMC_BF16:
		return bfloat_to_float(e, raw);
	case NORMC_BOOL:
		return LLVMBuildICmp(e->b, LLVMIntNE, raw, LLVMConstNull(LLVMTypeOf(raw)), "");
	default:
		break;
	}
	if (!is_small_float(elem))
		return raw;
	LLVMValueRef args[2] = {raw, LLVMConstInt(e->t.i32, (unsigned)elem, 0)};
	return emit_runtime_lanes(e, "normc_rt_decode", e->t.f32, args, 2);
}

static LLVMValueRef to_storage(struct emit *e, enum normc_elem elem, LLVMValueRef value)
{
	switch (elem) {
	case NORMC_F16:
		return float_to_half(e, value);
	case NORMC_BF16:
		return float_to_bfloat(e, value);
	case NORMC_BOOL:
		return LLVMBuildZExt(e->b, value, emit_lanes(e->t.i8, emit_lane_count(value)), "");
	default:
		break;
	}
	if (!is_small_float(elem))
		return value;
	LLVMValueRef args[2] = {value, LLVMConstInt(e->t.i32, (unsigned)elem, 0)};
	return emit_runtime_lanes(e, "normc_rt_encode", e->t.i8, args, 2);
}

LLVMValueRef emit_round(struct emit *e, enum normc_elem elem, LLVMValueRef value)
{
	return elem == NORMC_F16 || elem == NORMC_BF16
			       ? from_storage(e, elem, to_storage(e, elem, value))
			       : value;
}

static unsigned alignment(enum normc_elem elem)
{
	return (unsigned)normc_elem_size(elem);
}

/* Addresses of lanes `stride` elements apart. */
static LLVMValueRef lane_addresses(struct emit *e, LLVMTypeRef type, LLVMValueRef address,
				   const struct index *x, LLVMValueRef stride)
{
	LLVMValueRef steps = LLVMBuildMul(e->b, emit_lane_numbers(e, x->lanes),
					  emit_splat(e, stride, x->lanes), "");
	return LLVMBuildGEP2(e->b, type, address, &steps, 1, "");
}

static LLVMValueRef all_lanes(const struct emit *e, const struct index *x)
{
	return x->mask ? x->mask : emit_splat(e, LLVMConstInt(e->t.i1, 1, 0), x->lanes);
}

/* A masked access. From LLVM 22 on the alignment is an attribute of the address, before that an
 * operand. */
static LLVMValueRef masked(struct emit *e, struct intrinsic intrinsic, LLVMValueRef *args,
			   unsigned address, unsigned align)
{
	LLVMValueRef all[4];
	unsigned n = 0, from = address + 1;
	for (unsigned i = 0; i < from; i++)
		all[n++] = args[i];
#if LLVM_VERSION_MAJOR < 22
	all[n++] = LLVMConstInt(e->t.i32, align, 0);
#endif
	for (unsigned i = from; i < 3; i++)
		all[n++] = args[i];
	LLVMValueRef call = emit_intrinsic(e, intrinsic, all, n);
#if LLVM_VERSION_MAJOR >= 22
	unsigned kind = LLVMGetEnumAttributeKindForName("align", 5);
	LLVMAddCallSiteAttribute(call, address + 1, LLVMCreateEnumAttribute(e->llvm, kind, align));
#endif
	return call;
}

static LLVMValueRef load_lanes(struct emit *e, struct element from, const struct index *x)
{
	LLVMTypeRef scalar = emit_storage_type(e, from.elem), vector = emit_lanes(scalar, x->lanes);
	unsigned align = alignment(from.elem);
	if (!from.stride || dim_is(from.stride, 1)) {
		if (!x->mask) {
			LLVMValueRef v = LLVMBuildLoad2(e->b, vector, from.address, "");
			LLVMSetAlignment(v, align);
			return v;
		}
		LLVMValueRef args[3] = {from.address, x->mask, LLVMConstNull(vector)};
		return masked(e, (struct intrinsic){"llvm.masked.load", {vector, e->t.ptr}, 2},
			      args, 0, align);
	}
	LLVMValueRef lanes = lane_addresses(e, scalar, from.address, x, emit_dim(e, from.stride));
	LLVMValueRef args[3] = {lanes, all_lanes(e, x), LLVMConstNull(vector)};
	return masked(e, (struct intrinsic){"llvm.masked.gather", {vector, LLVMTypeOf(lanes)}, 2},
		      args, 0, align);
}

LLVMValueRef emit_load_at(struct emit *e, struct element from, const struct index *x)
{
	bool same = from.stride && dim_is(from.stride, 0);
	if (x->lanes > 1 && !same)
		return from_storage(e, from.elem, load_lanes(e, from, x));
	LLVMValueRef v = LLVMBuildLoad2(e->b, emit_storage_type(e, from.elem), from.address, "");
	LLVMSetAlignment(v, alignment(from.elem));
	return emit_splat(e, from_storage(e, from.elem, v), x->lanes);
}

void emit_store_at(struct emit *e, struct element to, const struct index *x, LLVMValueRef value)
{
	LLVMTypeRef scalar = emit_storage_type(e, to.elem);
	bool dense = !to.stride || dim_is(to.stride, 1);
	unsigned align = alignment(to.elem);
	value = to_storage(e, to.elem, value);
	if (x->lanes == 1 || (!x->mask && dense)) {
		LLVMSetAlignment(LLVMBuildStore(e->b, value, to.address), align);
		return;
	}
	LLVMTypeRef vector = LLVMTypeOf(value);
	if (dense) {
		LLVMValueRef args[3] = {value, to.address, x->mask};
		masked(e, (struct intrinsic){"llvm.masked.store", {vector, e->t.ptr}, 2}, args, 1,
		       align);
		return;
	}
	LLVMValueRef lanes = lane_addresses(e, scalar, to.address, x, emit_dim(e, to.stride));
	LLVMValueRef args[3] = {value, lanes, all_lanes(e, x)};
	masked(e, (struct intrinsic){"llvm.masked.scatter", {vector, LLVMTypeOf(lanes)}, 2}, args,
	       1, align);
}

static const struct dim *lane_stride(const struct view *v, const struct index *x)
{
	return x->lane < 0 ? NULL : v->stride[x->space->fast[x->lane]];
}

LLVMValueRef emit_load(struct emit *e, const struct node *n, const struct index *x)
{
	const struct view *v = &e->p->view[n->id];
	enum normc_elem elem = e->p->buffers[v->buffer].elem;
	LLVMValueRef address = emit_element(e, emit_storage_type(e, elem),
					    emit_buffer(e, v->buffer), emit_offset(e, v, x));
	return emit_load_at(e, (struct element){elem, address, lane_stride(v, x)}, x);
}

void emit_store(struct emit *e, const struct node *n, const struct index *x, LLVMValueRef value)
{
	const struct view *v = &e->p->view[n->id];
	enum normc_elem elem = e->p->buffers[v->buffer].elem;
	LLVMValueRef address = emit_element(e, emit_storage_type(e, elem),
					    emit_buffer(e, v->buffer), emit_offset(e, v, x));
	emit_store_at(e, (struct element){elem, address, lane_stride(v, x)}, x, value);
}
