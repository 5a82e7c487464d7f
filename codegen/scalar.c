/* scalar_<op>: one function for each map operation of ops.def, on scalars or vectors in compute
 * types. */
#include "emit.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef LLVMValueRef scalar_function(struct emit *e, const struct node *n, LLVMValueRef *in);

#define SCALAR_map(name) static scalar_function scalar_##name;
#define SCALAR_source(name)
#define SCALAR_view(name)
#define SCALAR_move(name)
#define SCALAR_reduce(name)
#define SCALAR_softmax(name)
#define SCALAR_norm(name)
#define SCALAR_contract(name)
#define SCALAR_conv(name)
#define SCALAR_window(name)
#define SCALAR_call(name)
#define SCALAR_region(name)
#define SCALAR_tuple(name)
#define OP(name, in, attr, shape, kind, ...) SCALAR_##kind(name)
#include "ops.def"
#undef OP
#undef SCALAR_map
#define SCALAR_map(name) [OP_##name] = scalar_##name,
static scalar_function *const scalar_of[OP_COUNT] = {
#define OP(name, in, attr, shape, kind, ...) SCALAR_##kind(name)
#include "ops.def"
#undef OP
};

LLVMValueRef scalar_emit(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return scalar_of[n->op](e, n, in);
}

static bool is_float(LLVMValueRef v)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
		t = LLVMGetElementType(t);
	return LLVMGetTypeKind(t) == LLVMFloatTypeKind || LLVMGetTypeKind(t) == LLVMDoubleTypeKind;
}

static bool is_double(LLVMValueRef v)
{
	LLVMTypeRef t = LLVMTypeOf(v);
	if (LLVMGetTypeKind(t) == LLVMVectorTypeKind)
		t = LLVMGetElementType(t);
	return LLVMGetTypeKind(t) == LLVMDoubleTypeKind;
}

static LLVMValueRef real(struct emit *e, LLVMValueRef like, double x)
{
	return emit_real(e, LLVMTypeOf(like), x);
}

static LLVMValueRef zero_like(LLVMValueRef v)
{
	return LLVMConstNull(LLVMTypeOf(v));
}

static LLVMValueRef intrinsic(struct emit *e, const char *name, LLVMValueRef *args, unsigned n)
{
	LLVMTypeRef type = LLVMTypeOf(args[0]);
	return emit_intrinsic(e, (struct intrinsic){name, {type}, 1}, args, n);
}

/* The C library's function, through the runtime: exact enough for any element type, one lane at a
 * time. */
static LLVMValueRef library(struct emit *e, const char *name, LLVMValueRef *args, unsigned n)
{
	char symbol[64];
	bool f64 = is_double(args[0]);
	snprintf(symbol, sizeof symbol, "normc_rt_%s_%s", name, f64 ? "f64" : "f32");
	return emit_runtime_lanes(e, symbol, f64 ? e->t.f64 : e->t.f32, args, n);
}

static LLVMValueRef signed_abs(struct emit *e, LLVMValueRef x)
{
	LLVMValueRef negative = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero_like(x), "");
	return LLVMBuildSelect(e->b, negative, LLVMBuildNeg(e->b, x, ""), x, "");
}

static LLVMValueRef scalar_copy(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)e, (void)n;
	return in[0];
}

static LLVMValueRef scalar_neg(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return is_float(in[0]) ? LLVMBuildFNeg(e->b, in[0], "") : LLVMBuildNeg(e->b, in[0], "");
}

static LLVMValueRef scalar_abs(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	if (is_float(in[0]))
		return intrinsic(e, "llvm.fabs", in, 1);
	return elem_is_signed(n->type.elem) ? signed_abs(e, in[0]) : in[0];
}

static LLVMValueRef scalar_sign(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	LLVMValueRef x = in[0], zero = zero_like(x);
	if (is_float(x)) { /* NaN stays NaN, zero stays zero */
		LLVMValueRef up = LLVMBuildFCmp(e->b, LLVMRealOGT, x, zero, "");
		LLVMValueRef down = LLVMBuildFCmp(e->b, LLVMRealOLT, x, zero, "");
		return LLVMBuildSelect(e->b, up, real(e, x, 1),
				       LLVMBuildSelect(e->b, down, real(e, x, -1), x, ""), "");
	}
	LLVMValueRef nonzero = LLVMBuildICmp(e->b, LLVMIntNE, x, zero, "");
	LLVMValueRef one = LLVMBuildZExt(e->b, nonzero, LLVMTypeOf(x), "");
	if (!elem_is_signed(n->type.elem))
		return one;
	LLVMValueRef negative = LLVMBuildICmp(e->b, LLVMIntSLT, x, zero, "");
	return LLVMBuildSelect(e->b, negative, LLVMBuildNeg(e->b, one, ""), one, "");
}

/* By the machine's instruction, or by the C library where there is none. */
static LLVMValueRef rounded(struct emit *e, const char *name, const char *intrinsic_name,
			    LLVMValueRef *in)
{
	return e->target->rounding ? intrinsic(e, intrinsic_name, in, 1) : library(e, name, in, 1);
}

#define ROUNDING(name, intrinsic_name)                                                             \
	static LLVMValueRef scalar_##name(struct emit *e, const struct node *n, LLVMValueRef *in)  \
	{                                                                                          \
		(void)n;                                                                           \
		return is_float(in[0]) ? rounded(e, #name, intrinsic_name, in) : in[0];            \
	}
ROUNDING(floor, "llvm.floor")
ROUNDING(ceil, "llvm.ceil")
ROUNDING(round, "llvm.roundeven")

static LLVMValueRef scalar_sqrt(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return intrinsic(e, "llvm.sqrt", in, 1);
}

/* Vector polynomials for f32 (and what is computed as f32), the C library for f64. */
#define POLYNOMIAL(name)                                                                           \
	static LLVMValueRef scalar_##name(struct emit *e, const struct node *n, LLVMValueRef *in)  \
	{                                                                                          \
		(void)n;                                                                           \
		return is_double(in[0]) ? library(e, #name, in, 1) : math_##name(e, in[0]);        \
	}
POLYNOMIAL(exp)
POLYNOMIAL(log)
POLYNOMIAL(tanh)
POLYNOMIAL(erf)

#define LIBRARY(name)                                                                              \
	static LLVMValueRef scalar_##name(struct emit *e, const struct node *n, LLVMValueRef *in)  \
	{                                                                                          \
		(void)n;                                                                           \
		return library(e, #name, in, 1);                                                   \
	}
LIBRARY(sin)
LIBRARY(cos)
LIBRARY(tan)
LIBRARY(asin)
LIBRARY(acos)
LIBRARY(atan)
LIBRARY(sinh)
LIBRARY(cosh)
LIBRARY(asinh)
LIBRARY(acosh)
LIBRARY(atanh)

static LLVMValueRef scalar_not(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return LLVMBuildNot(e->b, in[0], "");
}

static LLVMValueRef scalar_isnan(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return LLVMBuildFCmp(e->b, LLVMRealUNO, in[0], in[0], "");
}

static LLVMValueRef scalar_isinf(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	const struct attr_isinf *a = n->attr.isinf;
	LLVMValueRef up = LLVMBuildFCmp(e->b, LLVMRealOEQ, in[0], real(e, in[0], INFINITY), "");
	LLVMValueRef down = LLVMBuildFCmp(e->b, LLVMRealOEQ, in[0], real(e, in[0], -INFINITY), "");
	if (!a->positive)
		up = zero_like(up);
	return a->negative ? LLVMBuildOr(e->b, up, down, "") : up;
}

/* Narrow and unsigned types wrap, as a conversion through a wider integer does; the widest
 * saturate. */
static LLVMValueRef float_to_integer(struct emit *e, LLVMValueRef v, enum normc_elem to)
{
	int32_t lanes = emit_lane_count(v);
	LLVMTypeRef result = emit_lanes(emit_storage_type(e, to), lanes);
	LLVMTypeRef wide = to == NORMC_I32 || normc_elem_size(to) < 4 ? e->t.i32 : e->t.i64;
	struct intrinsic convert = {"llvm.fptosi.sat", {emit_lanes(wide, lanes), LLVMTypeOf(v)}, 2};
	LLVMValueRef whole = emit_intrinsic(e, convert, &v, 1);
	if (to == NORMC_U64) { /* negative numbers wrap like those of the narrower types */
		LLVMValueRef below = LLVMBuildFCmp(e->b, LLVMRealOLT, v, zero_like(v), "");
		convert.name = "llvm.fptoui.sat";
		whole = LLVMBuildSelect(e->b, below, whole, emit_intrinsic(e, convert, &v, 1), "");
	}
	return LLVMBuildIntCast2(e->b, whole, result, 1, "");
}

/* 4- and 2-bit integers live in bytes: keep the low bits, with their sign. */
static LLVMValueRef wrap_small(struct emit *e, LLVMValueRef v, enum normc_elem to)
{
	int bits = elem_bits(to);
	if (bits >= 8)
		return v;
	LLVMValueRef shift = emit_splat(e, LLVMConstInt(e->t.i8, (unsigned)(8 - bits), 0),
					emit_lane_count(v));
	v = LLVMBuildShl(e->b, v, shift, "");
	return elem_is_signed(to) ? LLVMBuildAShr(e->b, v, shift, "")
				  : LLVMBuildLShr(e->b, v, shift, "");
}

static LLVMValueRef integer_to(struct emit *e, LLVMValueRef v, enum normc_elem from,
			       enum normc_elem to)
{
	LLVMTypeRef type = emit_lanes(emit_compute_type(e, to), emit_lane_count(v));
	bool is_signed = elem_is_signed(from) && from != NORMC_BOOL;
	if (elem_is_float(to))
		return is_signed ? LLVMBuildSIToFP(e->b, v, type, "")
				 : LLVMBuildUIToFP(e->b, v, type, "");
	return wrap_small(e, LLVMBuildIntCast2(e->b, v, type, is_signed, ""), to);
}

LLVMValueRef emit_cast(struct emit *e, LLVMValueRef v, enum normc_elem from, enum normc_elem to,
		       bool wrap)
{
	int32_t lanes = emit_lane_count(v);
	if (from == to)
		return v;
	if (to == NORMC_BOOL)
		return is_float(v) ? LLVMBuildFCmp(e->b, LLVMRealUNE, v, zero_like(v), "")
				   : LLVMBuildICmp(e->b, LLVMIntNE, v, zero_like(v), "");
	if (elem_is_float(from) && !elem_is_float(to))
		return wrap_small(e, float_to_integer(e, v, to), to);
	LLVMTypeRef type = emit_lanes(emit_compute_type(e, to), lanes);
	v = elem_is_float(from) ? LLVMBuildFPCast(e->b, v, type, "") : integer_to(e, v, from, to);
	if (elem_is_float(to) &&
	    normc_elem_size(to) == 1) { /* rounding happens here: storing is then exact */
		LLVMValueRef args[3] = {v, LLVMConstInt(e->t.i32, (unsigned)to, 0),
					LLVMConstInt(e->t.i32, wrap, 0)};
		return emit_runtime_lanes(e, "normc_rt_round_small", e->t.f32, args, 3);
	}
	return v;
}

static LLVMValueRef scalar_cast(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return emit_cast(e, in[0], n->in[0]->type.elem, n->type.elem, n->attr.cast->wrap);
}

static LLVMValueRef scalar_bitcast(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	/* the narrow floats are held as f32: go through memory's form */
	struct index x = {.lane = -1, .lanes = emit_lane_count(in[0])};
	LLVMTypeRef from = emit_lanes(emit_storage_type(e, n->in[0]->type.elem), x.lanes);
	LLVMTypeRef to = emit_lanes(emit_storage_type(e, n->type.elem), x.lanes);
	LLVMValueRef slot = emit_slot(e, LLVMGetTypeKind(from) == LLVMVectorTypeKind ? from : to);
	emit_store_at(e, (struct element){n->in[0]->type.elem, slot, NULL}, &x, in[0]);
	return emit_load_at(e, (struct element){n->type.elem, slot, NULL}, &x);
}

#define ARITHMETIC(name, F, I)                                                                     \
	static LLVMValueRef scalar_##name(struct emit *e, const struct node *n, LLVMValueRef *in)  \
	{                                                                                          \
		(void)n;                                                                           \
		return is_float(in[0]) ? LLVMBuild##F(e->b, in[0], in[1], "")                      \
				       : LLVMBuild##I(e->b, in[0], in[1], "");                     \
	}
ARITHMETIC(add, FAdd, Add)
ARITHMETIC(sub, FSub, Sub)
ARITHMETIC(mul, FMul, Mul)

/* Divisor made safe: 1 where it is 0, and where the quotient would overflow; `bad` tells where it
 * was 0. */
static LLVMValueRef safe_divisor(struct emit *e, const struct node *n, LLVMValueRef *in,
				 LLVMValueRef *bad)
{
	LLVMValueRef one = LLVMBuildSExt(e->b,
					 LLVMConstAllOnes(LLVMTypeOf(LLVMBuildICmp(
							 e->b, LLVMIntEQ, in[1], in[1], ""))),
					 LLVMTypeOf(in[1]), "");
	one = LLVMBuildNeg(e->b, one, "");
	*bad = LLVMBuildICmp(e->b, LLVMIntEQ, in[1], zero_like(in[1]), "");
	LLVMValueRef d = LLVMBuildSelect(e->b, *bad, one, in[1], "");
	if (elem_is_signed(n->type.elem)) { /* x / -1 is -x; INT_MIN / -1 would trap */
		LLVMValueRef minus = LLVMBuildICmp(e->b, LLVMIntEQ, d,
						   LLVMConstAllOnes(LLVMTypeOf(d)), "");
		d = LLVMBuildSelect(e->b, minus, one, d, "");
	}
	return d;
}

static LLVMValueRef scalar_div(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	if (is_float(in[0]))
		return LLVMBuildFDiv(e->b, in[0], in[1], "");
	LLVMValueRef bad, d = safe_divisor(e, n, in, &bad), q;
	if (elem_is_signed(n->type.elem)) {
		q = LLVMBuildSDiv(e->b, in[0], d, "");
		LLVMValueRef minus = LLVMBuildICmp(e->b, LLVMIntEQ, in[1],
						   LLVMConstAllOnes(LLVMTypeOf(d)), "");
		q = LLVMBuildSelect(e->b, minus, LLVMBuildNeg(e->b, in[0], ""), q, "");
	} else {
		q = LLVMBuildUDiv(e->b, in[0], d, "");
	}
	return LLVMBuildSelect(e->b, bad, zero_like(q), q, "");
}

static LLVMValueRef integer_remainder(struct emit *e, const struct node *n, LLVMValueRef *in,
				      bool floored)
{
	LLVMValueRef bad, d = safe_divisor(e, n, in, &bad), r;
	if (elem_is_signed(n->type.elem)) {
		r = LLVMBuildSRem(e->b, in[0], d, "");
		LLVMValueRef zero = zero_like(r);
		LLVMValueRef differ = LLVMBuildICmp(e->b, LLVMIntSLT,
						    LLVMBuildXor(e->b, r, in[1], ""), zero, "");
		LLVMValueRef adjust = LLVMBuildAnd(e->b, differ,
						   LLVMBuildICmp(e->b, LLVMIntNE, r, zero, ""), "");
		if (floored)
			r = LLVMBuildSelect(e->b, adjust, LLVMBuildAdd(e->b, r, in[1], ""), r, "");
	} else {
		r = LLVMBuildURem(e->b, in[0], d, "");
	}
	return LLVMBuildSelect(e->b, bad, zero_like(r), r, "");
}

static LLVMValueRef scalar_mod(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	if (!is_float(in[0]))
		return integer_remainder(e, n, in, true);
	return library(e, "mod", in, 2);
}

static LLVMValueRef scalar_fmod(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return is_float(in[0]) ? library(e, "fmod", in, 2) : integer_remainder(e, n, in, false);
}

static bool constant_scalar(const struct node *n, double *x)
{
	while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_cast)
		n = n->in[0];
	if (n->op != OP_constant || n->type.elem != NORMC_F32 || n->attr.data->bytes != 4)
		return false;
	float value; /* model data need not be aligned */
	memcpy(&value, n->attr.data->p, sizeof value);
	*x = (double)value;
	return true;
}

/* What a negative exponent gives: the reciprocal, truncated; that of 0 is 0. */
static LLVMValueRef integer_reciprocal(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	LLVMValueRef zero = zero_like(in[0]), minus = LLVMConstAllOnes(LLVMTypeOf(in[0]));
	LLVMValueRef one = LLVMConstNeg(minus);
	LLVMValueRef is_one = LLVMBuildICmp(e->b, LLVMIntEQ, in[0], one, "");
	LLVMValueRef y = LLVMBuildSelect(e->b, is_one, one, zero, "");
	if (!elem_is_signed(n->type.elem))
		return y;
	LLVMValueRef is_minus = LLVMBuildICmp(e->b, LLVMIntEQ, in[0], minus, "");
	LLVMValueRef odd = LLVMBuildTrunc(e->b, in[1], emit_lanes(e->t.i1, emit_lane_count(in[1])),
					  "");
	LLVMValueRef sign = LLVMBuildSelect(e->b, odd, minus, one, "");
	return LLVMBuildSelect(e->b, is_minus, sign, y, "");
}

/* Modulo 2^width, by squaring. */
static LLVMValueRef integer_power(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	enum normc_elem exponent = n->in[1]->type.elem;
	LLVMTypeRef type = LLVMTypeOf(in[0]), bits = emit_storage_type(e, exponent);
	LLVMValueRef power = emit_slot(e, type), square = emit_slot(e, type);
	int32_t lanes = emit_lane_count(in[0]);
	struct loop loop;
	LLVMBuildStore(e->b, LLVMConstNeg(LLVMConstAllOnes(type)), power);
	LLVMBuildStore(e->b, in[0], square);
	loop_begin(e, &loop, emit_i64(e, 0), emit_i64(e, LLVMGetIntTypeWidth(bits)),
		   emit_i64(e, 1));
	LLVMValueRef at = LLVMBuildIntCast2(e->b, loop.i, bits, 0, "");
	LLVMValueRef bit = LLVMBuildLShr(e->b, in[1], emit_splat(e, at, lanes), "");
	bit = LLVMBuildTrunc(e->b, bit, emit_lanes(e->t.i1, lanes), "");
	LLVMValueRef p = LLVMBuildLoad2(e->b, type, power, "");
	LLVMValueRef s = LLVMBuildLoad2(e->b, type, square, "");
	p = LLVMBuildSelect(e->b, bit, LLVMBuildMul(e->b, p, s, ""), p, "");
	LLVMBuildStore(e->b, p, power);
	LLVMBuildStore(e->b, LLVMBuildMul(e->b, s, s, ""), square);
	loop_end(e, &loop);
	p = LLVMBuildLoad2(e->b, type, power, "");
	if (!elem_is_signed(exponent))
		return p;
	LLVMValueRef below = LLVMBuildICmp(e->b, LLVMIntSLT, in[1], zero_like(in[1]), "");
	return LLVMBuildSelect(e->b, below, integer_reciprocal(e, n, in), p, "");
}

static LLVMValueRef scalar_pow(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	double exponent;
	if (is_float(in[0]) && constant_scalar(n->in[1], &exponent) && exponent == 2)
		return LLVMBuildFMul(e->b, in[0], in[0], "");
	LLVMValueRef args[2] = {in[0], in[1]};
	bool integer = !is_float(in[0]);
	if (integer && !is_float(in[1]))
		return integer_power(e, n, in);
	if (integer)
		args[0] = emit_cast(e, in[0], n->type.elem, NORMC_F64, false);
	args[1] = emit_cast(e, in[1], n->in[1]->type.elem,
			    is_double(args[0]) ? NORMC_F64 : NORMC_F32, false);
	LLVMValueRef y = library(e, "pow", args, 2);
	if (!integer)
		return y;
	return emit_cast(e, emit_cast(e, y, NORMC_F64, NORMC_I64, false), NORMC_I64, n->type.elem,
			 false);
}

/* Propagates NaN; of -0 and 0 either may come out. */
static LLVMValueRef choose(struct emit *e, const struct node *n, LLVMValueRef *in, bool larger)
{
	if (is_float(in[0])) {
		LLVMValueRef first = LLVMBuildFCmp(e->b, larger ? LLVMRealOGT : LLVMRealOLT, in[0],
						   in[1], "");
		LLVMValueRef nan = LLVMBuildFCmp(e->b, LLVMRealUNO, in[0], in[0], "");
		return LLVMBuildSelect(e->b, LLVMBuildOr(e->b, first, nan, ""), in[0], in[1], "");
	}
	bool is_signed = elem_is_signed(n->type.elem);
	LLVMIntPredicate p = larger ? (is_signed ? LLVMIntSGT : LLVMIntUGT)
				    : (is_signed ? LLVMIntSLT : LLVMIntULT);
	return LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, p, in[0], in[1], ""), in[0], in[1], "");
}

static LLVMValueRef scalar_max(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return choose(e, n, in, true);
}

static LLVMValueRef scalar_min(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return choose(e, n, in, false);
}

#define BITS(name, B)                                                                              \
	static LLVMValueRef scalar_##name(struct emit *e, const struct node *n, LLVMValueRef *in)  \
	{                                                                                          \
		(void)n;                                                                           \
		return LLVMBuild##B(e->b, in[0], in[1], "");                                       \
	}
BITS(and, And)
BITS(or, Or)
BITS(xor, Xor)

static LLVMValueRef shift(struct emit *e, const struct node *n, LLVMValueRef *in, bool left)
{
	LLVMTypeRef scalar = emit_storage_type(e, n->type.elem);
	int32_t lanes = emit_lane_count(in[0]);
	LLVMValueRef width =
			emit_splat(e, LLVMConstInt(scalar, LLVMGetIntTypeWidth(scalar), 0), lanes);
	LLVMValueRef legal = LLVMBuildICmp(e->b, LLVMIntULT, in[1], width, "");
	LLVMValueRef by = LLVMBuildSelect(e->b, legal, in[1], zero_like(in[1]), "");
	LLVMValueRef y = left				? LLVMBuildShl(e->b, in[0], by, "")
			 : elem_is_signed(n->type.elem) ? LLVMBuildAShr(e->b, in[0], by, "")
							: LLVMBuildLShr(e->b, in[0], by, "");
	return LLVMBuildSelect(e->b, legal, y, zero_like(y), "");
}

static LLVMValueRef scalar_shl(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return shift(e, n, in, true);
}

static LLVMValueRef scalar_shr(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	return shift(e, n, in, false);
}

static LLVMValueRef scalar_eq(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return is_float(in[0]) ? LLVMBuildFCmp(e->b, LLVMRealOEQ, in[0], in[1], "")
			       : LLVMBuildICmp(e->b, LLVMIntEQ, in[0], in[1], "");
}

static LLVMValueRef scalar_lt(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	bool is_signed = elem_is_signed(n->in[0]->type.elem);
	return is_float(in[0]) ? LLVMBuildFCmp(e->b, LLVMRealOLT, in[0], in[1], "")
			       : LLVMBuildICmp(e->b, is_signed ? LLVMIntSLT : LLVMIntULT, in[0],
					       in[1], "");
}

static LLVMValueRef scalar_le(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	bool is_signed = elem_is_signed(n->in[0]->type.elem);
	return is_float(in[0]) ? LLVMBuildFCmp(e->b, LLVMRealOLE, in[0], in[1], "")
			       : LLVMBuildICmp(e->b, is_signed ? LLVMIntSLE : LLVMIntULE, in[0],
					       in[1], "");
}

static LLVMValueRef scalar_where(struct emit *e, const struct node *n, LLVMValueRef *in)
{
	(void)n;
	return LLVMBuildSelect(e->b, in[0], in[1], in[2], "");
}
