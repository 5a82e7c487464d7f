/* Elementary functions on f32 scalars and vectors, inline.
 *
 * Method: argument reduction by powers of two (Cody and Waite) and polynomials in Horner form.
 * Errors, measured over all floats of the range (tests/test_math.c), in distances between floats:
 * exp 0.91, log 0.83, tanh 1.37, erf 1.03 with fused multiply-add; 1.18, 0.84, 1.35, 1.22 without.
 */
#include "emit.h"

#include <math.h>

static LLVMValueRef real(struct emit *e, LLVMValueRef like, double x)
{
	return emit_real(e, LLVMTypeOf(like), x);
}

static LLVMTypeRef integers_like(struct emit *e, LLVMValueRef x)
{
	return emit_lanes(e->t.i32, emit_lane_count(x));
}

static LLVMValueRef integer(struct emit *e, LLVMValueRef like, int64_t x)
{
	return emit_splat(e, LLVMConstInt(e->t.i32, (unsigned long long)x, 1),
			  emit_lane_count(like));
}

LLVMValueRef math_fma(struct emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c)
{
	LLVMValueRef args[3] = {a, b, c};
	LLVMTypeRef type = LLVMTypeOf(a);
	/* fmuladd: one rounding where the machine can, two elsewhere, never a call */
	return emit_intrinsic(e, (struct intrinsic){"llvm.fmuladd", {type}, 1}, args, 3);
}

static LLVMValueRef horner(struct emit *e, LLVMValueRef x, const double *c, int n)
{
	LLVMValueRef y = real(e, x, c[0]);
	for (int i = 1; i < n; i++)
		y = math_fma(e, y, x, real(e, x, c[i]));
	return y;
}

/* Ordered so that NaN passes: fmin/fmax of LLVM would drop it. */
static LLVMValueRef clamp(struct emit *e, LLVMValueRef x, double low, double high)
{
	LLVMValueRef l = real(e, x, low), h = real(e, x, high);
	x = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOLT, x, l, ""), l, x, "");
	return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, x, h, ""), h, x, "");
}

/* 2^n for integral n in [-126, 127]. */
static LLVMValueRef power_of_two(struct emit *e, LLVMValueRef n)
{
	LLVMValueRef bits = LLVMBuildShl(e->b, LLVMBuildAdd(e->b, n, integer(e, n, 127), ""),
					 integer(e, n, 23), "");
	return LLVMBuildBitCast(e->b, bits, emit_lanes(e->t.f32, emit_lane_count(n)), "");
}

/* exp(x) = 2^n exp(r), |r| <= ln2/2; degree 6, minimax but for the first two terms: 3.1e-9. */
LLVMValueRef math_exp(struct emit *e, LLVMValueRef x)
{
	static const double c[] = {1.3820634e-3, 8.3686737e-3, 4.1668266e-2, 1.6666521e-1,
				   4.9999994e-1, 1.0,	       1.0};
	LLVMValueRef in = clamp(e, x, -104, 89);
	LLVMValueRef t = LLVMBuildFMul(e->b, in, real(e, x, 1.4426950408889634), "");
	/* rounds to the nearest integer: the sum has no bits left for a fraction */
	LLVMValueRef shift = real(e, x, 0x1.8p23);
	LLVMValueRef n = LLVMBuildFSub(e->b, LLVMBuildFAdd(e->b, t, shift, ""), shift, "");
	LLVMValueRef r = math_fma(e, n, real(e, x, -0.693359375), in);
	r = math_fma(e, n, real(e, x, 2.12194440e-4), r);
	LLVMValueRef y = horner(e, r, c, 7);
	/* two factors, so that results below the normal range come out right */
	LLVMValueRef safe = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealUNO, x, x, ""),
					    real(e, x, 0), n, "");
	LLVMValueRef k = LLVMBuildFPToSI(e->b, safe, integers_like(e, x), "");
	LLVMValueRef half = LLVMBuildAShr(e->b, k, integer(e, x, 1), "");
	y = LLVMBuildFMul(e->b, y, power_of_two(e, half), "");
	return LLVMBuildFMul(e->b, y, power_of_two(e, LLVMBuildSub(e->b, k, half, "")), "");
}

/* log(x) = n ln2 + log(1 + f), 1 + f in [sqrt(1/2), sqrt(2)). */
LLVMValueRef math_log(struct emit *e, LLVMValueRef x)
{
	static const double c[] = {7.0376836292e-2,  -1.1514610310e-1, 1.1676998740e-1,
				   -1.2420140846e-1, 1.4249322787e-1,  -1.6668057665e-1,
				   2.0000714765e-1,  -2.4999993993e-1, 3.3333331174e-1};
	LLVMValueRef tiny = LLVMBuildFCmp(e->b, LLVMRealOLT, x, real(e, x, 0x1p-126), "");
	LLVMValueRef scaled = LLVMBuildSelect(
			e->b, tiny, LLVMBuildFMul(e->b, x, real(e, x, 0x1p23), ""), x, "");
	LLVMValueRef bits = LLVMBuildBitCast(e->b, scaled, integers_like(e, x), "");
	/* subtracting the bits of sqrt(1/2) puts the boundary of the exponent there */
	LLVMValueRef shifted = LLVMBuildSub(e->b, bits, integer(e, x, 0x3f3504f3), "");
	LLVMValueRef n = LLVMBuildAShr(e->b, shifted, integer(e, x, 23), "");
	LLVMValueRef mantissa =
			LLVMBuildSub(e->b, bits, LLVMBuildShl(e->b, n, integer(e, x, 23), ""), "");
	LLVMValueRef m = LLVMBuildBitCast(e->b, mantissa, LLVMTypeOf(x), "");
	LLVMValueRef f = LLVMBuildFSub(e->b, m, real(e, x, 1), "");
	n = LLVMBuildSub(e->b, n,
			 LLVMBuildSelect(e->b, tiny, integer(e, x, 23), integer(e, x, 0), ""), "");
	LLVMValueRef k = LLVMBuildSIToFP(e->b, n, LLVMTypeOf(x), "");
	LLVMValueRef f2 = LLVMBuildFMul(e->b, f, f, "");
	LLVMValueRef y =
			LLVMBuildFMul(e->b, LLVMBuildFMul(e->b, f2, f, ""), horner(e, f, c, 9), "");
	y = math_fma(e, k, real(e, x, -2.12194440e-4), y);
	y = math_fma(e, f2, real(e, x, -0.5), y);
	y = LLVMBuildFAdd(e->b, f, y, "");
	y = math_fma(e, k, real(e, x, 0.693359375), y);
	LLVMValueRef zero = real(e, x, 0);
	y = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, zero, ""),
			    real(e, x, -INFINITY), y, "");
	y = LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealULT, x, zero, ""), real(e, x, NAN), y,
			    "");
	return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOEQ, x, real(e, x, INFINITY), ""),
			       x, y, "");
}

static LLVMValueRef with_sign_of(struct emit *e, LLVMValueRef magnitude, LLVMValueRef x)
{
	LLVMValueRef args[2] = {magnitude, x};
	LLVMTypeRef type = LLVMTypeOf(x);
	return emit_intrinsic(e, (struct intrinsic){"llvm.copysign", {type}, 1}, args, 2);
}

static LLVMValueRef magnitude_of(struct emit *e, LLVMValueRef x)
{
	LLVMTypeRef type = LLVMTypeOf(x);
	return emit_intrinsic(e, (struct intrinsic){"llvm.fabs", {type}, 1}, &x, 1);
}

/* |x| < 0.625: an odd polynomial (Cephes); else 1 - 2/(exp(2|x|) + 1). */
LLVMValueRef math_tanh(struct emit *e, LLVMValueRef x)
{
	static const double c[] = {-5.70498872745e-3, 2.06390887954e-2, -5.37397155531e-2,
				   1.33314422036e-1, -3.33332819422e-1};
	LLVMValueRef a = magnitude_of(e, x), x2 = LLVMBuildFMul(e->b, x, x, "");
	LLVMValueRef small = math_fma(e, LLVMBuildFMul(e->b, horner(e, x2, c, 5), x2, ""), x, x);
	LLVMValueRef t = math_exp(e, LLVMBuildFAdd(e->b, a, a, ""));
	LLVMValueRef big = LLVMBuildFDiv(e->b, real(e, x, 2),
					 LLVMBuildFAdd(e->b, t, real(e, x, 1), ""), "");
	big = LLVMBuildFSub(e->b, real(e, x, 1), big, "");
	LLVMValueRef near = LLVMBuildFCmp(e->b, LLVMRealOLT, a, real(e, x, 0.625), "");
	/* the sum loses the sign of -0 */
	return with_sign_of(e, LLVMBuildSelect(e->b, near, small, big, ""), x);
}

/* erf(x) = x + x P(x^2) for |x| < 0.921875; else 1 - exp(-Q(|x|)), Q of degree 6 (N. Juffa's
 * minimax fit of the logarithm of erfc, restated in Horner form). */
LLVMValueRef math_erf(struct emit *e, LLVMValueRef x)
{
	static const double near[] = {-5.96761703e-4, 4.99119423e-3,  -2.67681349e-2,
				      1.12819925e-1,  -3.76125336e-1, 1.28379166e-1};
	static const double far[] = {-1.72853470e-5, 3.83197126e-4,  -3.88396438e-3, 2.42546219e-2,
				     -1.06777877e-1, -6.34846687e-1, -1.28717512e-1};
	LLVMValueRef a = magnitude_of(e, x), x2 = LLVMBuildFMul(e->b, x, x, "");
	LLVMValueRef small = math_fma(e, horner(e, x2, near, 6), x, x);
	LLVMValueRef t = LLVMBuildSelect(e->b,
					 LLVMBuildFCmp(e->b, LLVMRealOGT, a, real(e, x, 4), ""),
					 real(e, x, 4), a, "");
	LLVMValueRef q = math_fma(e, horner(e, t, far, 7), t, LLVMBuildFNeg(e->b, t, ""));
	LLVMValueRef big = LLVMBuildFSub(e->b, real(e, x, 1), math_exp(e, q), "");
	big = with_sign_of(e, big, x);
	return LLVMBuildSelect(e->b, LLVMBuildFCmp(e->b, LLVMRealOGT, a, real(e, x, 0.921875), ""),
			       big, small, "");
}
