/* The functions of scalar.h. */
#include "scalar.h"

#include <math.h>

#include "element.h"

static double floored_remainder(double x, double y)
{
	double r = fmod(x, y);
	return r != 0 && (r < 0) != (y < 0) ? r + y : r;
}

#define MATH1(name, expression)                                                                    \
	double normc_rt_##name##_f64(double x)                                                     \
	{                                                                                          \
		return (expression);                                                               \
	}                                                                                          \
	float normc_rt_##name##_f32(float x)                                                       \
	{                                                                                          \
		return (float)normc_rt_##name##_f64((double)x);                                    \
	}
#define MATH2(name, expression)                                                                    \
	double normc_rt_##name##_f64(double x, double y)                                           \
	{                                                                                          \
		return (expression);                                                               \
	}                                                                                          \
	float normc_rt_##name##_f32(float x, float y)                                              \
	{                                                                                          \
		return (float)normc_rt_##name##_f64((double)x, (double)y);                         \
	}
#include "math.def"
#undef MATH1
#undef MATH2

float normc_rt_f16_to_f32(uint16_t bits)
{
	unsigned char raw[8] = {(unsigned char)bits,
				(unsigned char)(bits >> 8)}; /* room for any type */
	return (float)element_load(NORMC_F16, raw);
}

uint16_t normc_rt_f32_to_f16(float x)
{
	unsigned char raw[8];
	element_store_float(NORMC_F16, raw, (double)x, false);
	return (uint16_t)(raw[0] | raw[1] << 8);
}

float normc_rt_decode(uint8_t code, int32_t elem)
{
	unsigned char raw[8] = {code};
	return (float)element_load((enum normc_elem)elem, raw);
}

uint8_t normc_rt_encode(float x, int32_t elem)
{
	unsigned char raw[8] = {0};
	element_store_float((enum normc_elem)elem, raw, (double)x, false);
	return raw[0];
}

float normc_rt_round_small(float x, int32_t elem, int32_t wrap)
{
	unsigned char raw[8] = {0};
	element_store_float((enum normc_elem)elem, raw, (double)x, !wrap);
	return (float)element_load((enum normc_elem)elem, raw);
}
