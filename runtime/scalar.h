/* Functions that generated code calls element by element: elementary functions and conversions of
 * small types. */
#ifndef NORMC_RT_SCALAR_H
#define NORMC_RT_SCALAR_H

#include <stdint.h>

#define MATH1(name, expression)            \
	float normc_rt_##name##_f32(float x); \
	double normc_rt_##name##_f64(double x);
#define MATH2(name, expression)                     \
	float normc_rt_##name##_f32(float x, float y); \
	double normc_rt_##name##_f64(double x, double y);
#include "math.def"
#undef MATH1
#undef MATH2

/* Half precision by bits. */
float normc_rt_f16_to_f32(uint16_t bits);
uint16_t normc_rt_f32_to_f16(float x);
/* One-byte floating-point types (enum normc_elem). Encoding takes values that
 * normc_rt_round_small made representable. */
float normc_rt_decode(uint8_t code, int32_t elem);
uint8_t normc_rt_encode(float x, int32_t elem);
/* Rounds to what the type can hold; out of range: the largest value, or (wrap) infinity or NaN. */
float normc_rt_round_small(float x, int32_t elem, int32_t wrap);

#endif
