/* Element formats: between bytes in memory and the interpreter's double and int64_t.
 *
 * All narrow floating-point formats but one are described by a row of numbers, and rounding,
 * encoding and decoding are written once.  A double holds each of them exactly.  f8e8m0 (a power of
 * two, no sign, no zero) stands alone.
 * Assumes a little-endian machine and the default rounding mode.
 *
 * Finite values too large for a format become infinity in f16, bf16, f32; in the formats of 8 and 4
 * bits they become the largest value.  Infinity stays where there is one.  Casts have their own
 * rules: elem_cast.
 */
#include <math.h>
#include <string.h>

#include "eval_op.h"

/* value = (-1)^s * 1.m * 2^(e - bias), with subnormals */
struct format {
	int mantissa;       /* bits */
	int least_exponent; /* of the normal numbers */
	double largest;
	int bits;
	uint32_t infinity; /* code without sign; 0: there is none */
	uint32_t nan;      /* code; with the sign bit set where that is the only one */
	bool saturates;    /* finite numbers beyond the largest stay finite */
	bool negative_zero;
};

static const struct format *format_of(enum normc_elem elem)
{
	static const struct format f16 = {10, -14, 65504, 16, 0x7c00, 0x7e00, false, true};
	static const struct format bf16 = {7, -126, 0x1.fep127, 16, 0x7f80, 0x7fc0, false, true};
	static const struct format e4m3fn = {3, -6, 448, 8, 0, 0x7f, true, true};
	static const struct format e4m3fnuz = {3, -7, 240, 8, 0, 0x80, true, false};
	static const struct format e5m2 = {2, -14, 57344, 8, 0x7c, 0x7e, true, true};
	static const struct format e5m2fnuz = {2, -15, 57344, 8, 0, 0x80, true, false};
	static const struct format e2m1 = {1, 0, 6, 4, 0, 0x8, true, true}; /* NaN becomes -0 */
	switch (elem) {
	case NORMC_F16:
		return &f16;
	case NORMC_BF16:
		return &bf16;
	case NORMC_F8E4M3FN:
		return &e4m3fn;
	case NORMC_F8E4M3FNUZ:
		return &e4m3fnuz;
	case NORMC_F8E5M2:
		return &e5m2;
	case NORMC_F8E5M2FNUZ:
		return &e5m2fnuz;
	case NORMC_F4E2M1:
		return &e2m1;
	default:
		return NULL;
	}
}

static double overflow(const struct format *f, double x, bool saturate)
{
	if (saturate)
		return copysign(f->largest, x);
	return f->infinity ? copysign(INFINITY, x) : copysign(NAN, x);
}

static double round_to(const struct format *f, double x, bool saturate)
{
	if (isnan(x))
		return f->bits == 4 ? -0.0 : x;
	if (isinf(x))
		return overflow(f, x, saturate);
	if (x == 0)
		return f->negative_zero ? x : 0.0;
	int exponent = ilogb(x);
	if (exponent < f->least_exponent)
		exponent = f->least_exponent;
	double r = ldexp(nearbyint(ldexp(x, f->mantissa - exponent)), exponent - f->mantissa);
	if (fabs(r) > f->largest)
		return overflow(f, x, saturate);
	return r == 0 && !f->negative_zero ? 0.0 : r;
}

/* The power of two at or above |x|, as the ONNX operator Cast does by default. Negative numbers
 * lose their sign. */
static double round_e8m0(double x, bool saturate)
{
	if (isnan(x) || isinf(x))
		return NAN;
	int exponent = -127;
	if (x != 0) {
		double fraction = frexp(fabs(x), &exponent); /* in [1/2, 1) */
		if (fraction == 0.5)
			exponent--;
	}
	if (exponent > 127)
		return saturate ? 0x1p127 : NAN;
	return ldexp(1, exponent < -127 ? -127 : exponent);
}

double elem_round(enum normc_elem elem, double x)
{
	if (elem == NORMC_F32)
		return (float)x;
	if (elem == NORMC_F8E8M0)
		return round_e8m0(x, true);
	const struct format *f = format_of(elem);
	if (!f || (f->infinity && isinf(x)))
		return x;
	return round_to(f, x, f->saturates);
}

double elem_cast(enum normc_elem elem, double x, bool wrap)
{
	if (elem == NORMC_F8E8M0)
		return round_e8m0(x, !wrap);
	const struct format *f = format_of(elem);
	return f && f->bits <= 8 ? round_to(f, x, f->bits == 4 || !wrap) : x;
}

int64_t elem_wrap(enum normc_elem elem, int64_t x)
{
	if (elem == NORMC_BOOL)
		return x != 0;
	int bits = elem_is_float(elem) ? 64 : elem_bits(elem);
	if (bits >= 64)
		return x;
	uint64_t low = (uint64_t)x & ((UINT64_C(1) << bits) - 1);
	if (elem_is_signed(elem) && low >> (bits - 1))
		low -= UINT64_C(1) << bits;
	return (int64_t)low;
}

int64_t elem_least(enum normc_elem elem)
{
	return elem_is_signed(elem) ? -(INT64_C(1) << (elem_bits(elem) - 2)) * 2 : 0;
}

/* `x` is representable. */
static uint32_t encode(const struct format *f, double x)
{
	uint32_t sign = signbit(x) ? UINT32_C(1) << (f->bits - 1) : 0;
	if (isnan(x))
		return f->negative_zero ? sign | f->nan : f->nan;
	if (isinf(x))
		return sign | f->infinity;
	if (x == 0)
		return sign;
	int exponent = ilogb(x);
	if (exponent < f->least_exponent)
		return sign | (uint32_t)ldexp(fabs(x), f->mantissa - f->least_exponent);
	/* with the leading 1 */
	uint32_t fraction = (uint32_t)ldexp(fabs(x), f->mantissa - exponent);
	return sign | (((uint32_t)(exponent - f->least_exponent) << f->mantissa) + fraction);
}

static double decode(const struct format *f, uint32_t code)
{
	uint32_t sign = UINT32_C(1) << (f->bits - 1), magnitude = code & (sign - 1);
	if (f->bits != 4 && (f->negative_zero ? magnitude : code) == f->nan)
		return code & sign ? -NAN : NAN;
	double x;
	uint32_t biased = magnitude >> f->mantissa;
	uint32_t fraction = magnitude & ((UINT32_C(1) << f->mantissa) - 1);
	if (f->infinity && magnitude >= f->infinity)
		x = fraction ? NAN : INFINITY;
	else if (biased == 0)
		x = ldexp(fraction, f->least_exponent - f->mantissa);
	else
		x = ldexp(fraction + (UINT32_C(1) << f->mantissa),
			  f->least_exponent + (int)biased - 1 - f->mantissa);
	return code & sign ? -x : x;
}

static double load_float(enum normc_elem elem, const unsigned char *p)
{
	if (elem == NORMC_F64) {
		double x;
		memcpy(&x, p, sizeof x);
		return x;
	}
	if (elem == NORMC_F32) {
		float x;
		memcpy(&x, p, sizeof x);
		return x;
	}
	if (elem == NORMC_F8E8M0)
		return *p == 0xff ? NAN : ldexp(1, *p - 127);
	const struct format *f = format_of(elem);
	return decode(f, f->bits == 16 ? (uint32_t)p[0] | (uint32_t)p[1] << 8
				       : *p & ((1U << f->bits) - 1));
}

static void store_float(enum normc_elem elem, double x, unsigned char *p)
{
	if (elem == NORMC_F64) {
		memcpy(p, &x, sizeof x);
	} else if (elem == NORMC_F32) {
		float narrow = (float)x;
		memcpy(p, &narrow, sizeof narrow);
	} else if (elem == NORMC_F8E8M0) {
		x = round_e8m0(x, true);
		*p = isnan(x) ? 0xff : (unsigned char)(ilogb(x) + 127);
	} else {
		uint32_t code = encode(format_of(elem), elem_round(elem, x));
		memcpy(p, &code, normc_elem_size(elem));
	}
}

void tensor_fill(struct tensor *t, const void *data)
{
	const unsigned char *p = data;
	size_t size = normc_elem_size(t->elem);
	bool is_float = elem_is_float(t->elem);
	for (int64_t i = 0; i < t->count; i++, p += size) {
		if (is_float) {
			t->f[i] = load_float(t->elem, p);
		} else {
			uint64_t x = 0;
			memcpy(&x, p, size);
			t->i[i] = elem_wrap(t->elem, (int64_t)x);
		}
	}
}

struct tensor tensor_load(struct arena *arena, enum normc_elem elem, int32_t rank,
			  const int64_t *dim, const void *data)
{
	struct tensor t = {.elem = elem, .rank = rank, .count = 1};
	for (int32_t k = 0; k < rank; k++) {
		t.dim[k] = dim[k];
		if (dim[k] < 0 || __builtin_mul_overflow(t.count, dim[k], &t.count))
			t.count = INT64_MAX; /* arena_alloc refuses it */
	}
	t.i = arena_alloc(arena, (size_t)t.count, sizeof *t.i);
	tensor_fill(&t, data);
	return t;
}

void tensor_store(const struct tensor *t, void *data)
{
	unsigned char *p = data;
	size_t size = normc_elem_size(t->elem);
	bool is_float = elem_is_float(t->elem);
	for (int64_t i = 0; i < t->count; i++, p += size) {
		if (is_float)
			store_float(t->elem, t->f[i], p);
		else
			memcpy(p, &t->i[i], size);
	}
}
