/* Reading and writing single elements of any type, with ONNX's rules for conversion: nearest even
 * into floating-point types, truncation from floating point to integers, wrap-around between
 * integers.
 *
 * Every floating-point type is exact in a double, so conversions go through double; integers of 64
 * bits go through int64_t (unsigned ones as the same bits) where a double could not hold them.
 * Small formats with a sign, exponent and mantissa share one description and one pair of
 * conversions.
 */
#ifndef NORMC_ELEMENT_H
#define NORMC_ELEMENT_H

#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "normc.h"

/* How NORMC_F8E8M0, which holds powers of two only, is rounded. */
enum element_round { ELEMENT_ROUND_UP, ELEMENT_ROUND_DOWN, ELEMENT_ROUND_NEAREST };

/* A binary format of at most 16 bits.  Codes are without sign. */
struct element_format {
	uint8_t bits, mantissa, bias;
	bool no_negative_zero; /* the code of -0 is NaN */
	uint16_t largest;      /* code of the largest finite value */
	uint16_t beyond;       /* code for what is larger, unless saturated */
	uint16_t nan;
};

static inline struct element_format element_format(enum normc_elem elem)
{
	switch ((int)elem) {
	case NORMC_F16:
		return (struct element_format){16, 10, 15, false, 0x7bff, 0x7c00, 0x7e00};
	case NORMC_BF16:
		return (struct element_format){16, 7, 127, false, 0x7f7f, 0x7f80, 0x7fc0};
	case NORMC_F8E4M3FN:
		return (struct element_format){8, 3, 7, false, 0x7e, 0x7f, 0x7f};
	case NORMC_F8E4M3FNUZ:
		return (struct element_format){8, 3, 8, true, 0x7f, 0x80, 0x80};
	case NORMC_F8E5M2:
		return (struct element_format){8, 2, 15, false, 0x7b, 0x7c, 0x7e};
	case NORMC_F8E5M2FNUZ:
		return (struct element_format){8, 2, 16, true, 0x7f, 0x80, 0x80};
	case NORMC_F4E2M1:
		return (struct element_format){4, 1, 1, false, 7, 7, 0};
	default:
		return (struct element_format){0};
	}
}

static inline bool element_is_float(enum normc_elem elem)
{
	return elem == NORMC_F32 || elem == NORMC_F64 || elem == NORMC_F8E8M0 ||
	       element_format(elem).bits != 0;
}

static inline bool element_is_unsigned(enum normc_elem elem)
{
	return elem == NORMC_U8 || elem == NORMC_U16 || elem == NORMC_U32 || elem == NORMC_U64 ||
	       elem == NORMC_U4 || elem == NORMC_U2 || elem == NORMC_BOOL;
}

/* Bits of an integer type; a bool counts 1. */
static inline int element_bits(enum normc_elem elem)
{
	switch ((int)elem) {
#define NORMC_X(name, code, bits, text)                                                            \
	case name:                                                                                 \
		return name == NORMC_BOOL ? 1 : bits;
		NORMC_ELEM_LIST(NORMC_X)
#undef NORMC_X
	default:
		return 0;
	}
}

/* Bytes of one element in memory. */
static inline int64_t element_size(enum normc_elem elem)
{
	return (element_bits(elem) + 7) / 8;
}

static inline double element_power(int exponent) /* 2^exponent, -1022 <= exponent <= 1023 */
{
	uint64_t bits = (uint64_t)(exponent + 1023) << 52;
	double power;

	memcpy(&power, &bits, sizeof(power));
	return power;
}

static inline double element_decode(struct element_format f, uint32_t code)
{
	uint32_t low = code & ((1u << (f.bits - 1)) - 1), mantissa = low & ((1u << f.mantissa) - 1);
	int exponent = (int)(low >> f.mantissa);
	bool negative = low != (code & ((1u << f.bits) - 1));
	double value;

	if (f.no_negative_zero ? negative && low == 0 : low > f.largest && low != f.beyond)
		return (double)NAN;
	if (low > f.largest)
		value = f.beyond == f.nan ? (double)NAN : (double)INFINITY;
	else if (exponent == 0)
		value = mantissa * element_power(1 - f.bias - f.mantissa);
	else
		value = (mantissa + (1u << f.mantissa)) *
			element_power(exponent - f.bias - f.mantissa);
	return negative ? -value : value;
}

/* The code of `value` with its sign.  `saturate`: what is too large becomes the largest finite
 * value. */
static inline uint32_t element_encode(struct element_format f, double value, bool saturate)
{
	uint32_t sign = signbit(value) ? 1u << (f.bits - 1) : 0, code;
	double size = fabs(value);
	int exponent, least = 1 - f.bias;

	if (isnan(value))
		return f.no_negative_zero ? f.nan : sign | f.nan;
	if (isinf(value)) {
		code = f.largest + 1u;
	} else {
		uint64_t bits;

		memcpy(&bits, &size, sizeof(bits));
		exponent = (int)(bits >> 52) - 1023;
		exponent = exponent < least ? least : exponent;
		code = (uint32_t)rint(size * element_power(f.mantissa - exponent));
		code += (uint32_t)(exponent - least) << f.mantissa;
	}
	if (code > f.largest)
		code = saturate ? f.largest : f.beyond;
	if (f.no_negative_zero && (code == 0 || code == f.nan))
		return code;
	return sign | code;
}

/* The power of two next to |value|, in a byte that holds its exponent.  Infinity and NaN become
 * NaN; what is too large becomes the largest power if `saturate`, else NaN. */
static inline uint8_t element_encode_e8m0(double value, enum element_round round, bool saturate)
{
	float narrow = (float)fabs(value);
	uint32_t bits, exponent, fraction;
	bool up = false;

	memcpy(&bits, &narrow, sizeof(bits));
	exponent = bits >> 23 & 0xff;
	fraction = bits & 0x7fffff;
	if (exponent == 0xff)
		return 0xff;
	if (round == ELEMENT_ROUND_UP)
		up = fraction > (exponent ? 0 : 0x400000); /* 2^-127 has no leading bit */
	else if (round == ELEMENT_ROUND_NEAREST)
		up = fraction > 0x400000 || (fraction == 0x400000 && exponent != 0);
	if (up && !(saturate && exponent == 0xfe))
		exponent++;
	return (uint8_t)exponent;
}

/* The element as a double: exact but for integers above 2^53. */
static inline double element_load(enum normc_elem elem, const unsigned char *p)
{
#define LOAD(type)                                                                                 \
	{                                                                                          \
		type value;                                                                        \
		memcpy(&value, p, sizeof(value));                                                  \
		return (double)value;                                                              \
	}
	switch ((int)elem) {
	case NORMC_F32:
		LOAD(float)
	case NORMC_F64:
		LOAD(double)
	case NORMC_I64:
		LOAD(int64_t)
	case NORMC_U64:
		LOAD(uint64_t)
	case NORMC_I32:
		LOAD(int32_t)
	case NORMC_U32:
		LOAD(uint32_t)
	case NORMC_I16:
		LOAD(int16_t)
	case NORMC_U16:
		LOAD(uint16_t)
	case NORMC_I8:
	case NORMC_I4:
	case NORMC_I2:
		return (signed char)*p;
	case NORMC_U8:
	case NORMC_U4:
	case NORMC_U2:
		return *p;
	case NORMC_BOOL:
		return *p != 0;
	case NORMC_F8E8M0:
		return *p == 0xff ? (double)NAN : element_power(*p - 127);
	case NORMC_F16:
	case NORMC_BF16: {
		uint16_t code;
		memcpy(&code, p, sizeof(code));
		return element_decode(element_format(elem), code);
	}
	default:
		return element_decode(element_format(elem), *p);
	}
#undef LOAD
}

/* The element of an integer type or bool; u64 as the same bits. */
static inline int64_t element_load_int(enum normc_elem elem, const unsigned char *p)
{
	int64_t value;

	switch ((int)elem) {
	case NORMC_I64:
	case NORMC_U64:
		memcpy(&value, p, sizeof(value));
		return value;
	default:
		return (int64_t)element_load(elem, p);
	}
}

/* Writes an integer to an element of integer type or bool; what does not fit loses its upper bits.
 */
static inline void element_store_int(enum normc_elem elem, unsigned char *p, int64_t value)
{
	int bits = element_bits(elem);
	uint64_t code = (uint64_t)value;

	if (elem == NORMC_BOOL) {
		*p = value != 0;
		return;
	}
	if (bits < 8) {
		code &= (1u << bits) - 1;
		if (!element_is_unsigned(elem) && code >> (bits - 1))
			code |= ~(uint64_t)0 << bits;
	}
	switch (element_size(elem)) {
	case 1:
		*p = (unsigned char)code;
		break;
	case 2:
		memcpy(p, &(uint16_t){(uint16_t)code}, 2);
		break;
	case 4:
		memcpy(p, &(uint32_t){(uint32_t)code}, 4);
		break;
	default:
		memcpy(p, &code, 8);
		break;
	}
}

/* Least and largest value of an integer type. */
static inline double element_least(enum normc_elem elem)
{
	return element_is_unsigned(elem) ? 0 : -element_power(element_bits(elem) - 1);
}

static inline double element_largest(enum normc_elem elem)
{
	int bits = element_bits(elem);

	return element_power(element_is_unsigned(elem) ? bits : bits - 1) - 1;
}

/* Writes a value to an element of floating-point type, rounded to nearest even. */
static inline void element_store_float(enum normc_elem elem, unsigned char *p, double value,
				       bool saturate)
{
	struct element_format f;
	uint16_t code;

	switch ((int)elem) {
	case NORMC_F32:
		memcpy(p, &(float){(float)value}, sizeof(float));
		return;
	case NORMC_F64:
		memcpy(p, &value, sizeof(value));
		return;
	case NORMC_F8E8M0:
		*p = element_encode_e8m0(value, ELEMENT_ROUND_UP, saturate);
		return;
	default:
		break;
	}
	f = element_format(elem);
	code = (uint16_t)element_encode(f, value, saturate && f.bits < 16);
	if (f.bits == 16)
		memcpy(p, &code, sizeof(code));
	else
		*p = (unsigned char)code;
}

/* The integer of this type that is nearest to `value`; the least one for NaN. */
static inline int64_t element_clamp(enum normc_elem elem, double value)
{
	int spare = 64 - element_bits(elem);
	bool positive = element_is_unsigned(elem);

	if (!(value >= element_least(elem)))
		return positive ? 0 : INT64_MIN >> spare;
	if (value >= element_largest(elem))
		return positive ? (int64_t)(UINT64_MAX >> spare) : INT64_MAX >> spare;
	value = rint(value);
	return positive ? (int64_t)(uint64_t)value : (int64_t)value;
}

/* Writes a computed value to an element of any type: floating point rounds to nearest even, small
 * formats and integers take the nearest value that they can hold. */
static inline void element_store(enum normc_elem elem, unsigned char *p, double value)
{
	if (element_is_float(elem))
		element_store_float(elem, p, value, true);
	else
		element_store_int(elem, p, element_clamp(elem, value));
}

/* What is left of a value after it was stored in this type. */
static inline double element_round_to(enum normc_elem elem, double value)
{
	unsigned char bytes[8];

	element_store(elem, bytes, value);
	return element_load(elem, bytes);
}

#endif
