/* Element formats of the interpreter: rounding, codes in memory, wrapping. */
#include "test_eval.h"

#include "element.h"

struct known {
	enum normc_elem elem;
	double x, rounded;
	uint32_t code;
};

static const struct known known_values[] = {
		{NORMC_F16, 1, 1, 0x3c00},
		{NORMC_F16, -2, -2, 0xc000},
		{NORMC_F16, 65504, 65504, 0x7bff},
		{NORMC_F16, 65519.99, 65504, 0x7bff},
		{NORMC_F16, 65520, INFINITY, 0x7c00},
		{NORMC_F16, -1e9, -INFINITY, 0xfc00},
		{NORMC_F16, 0x1p-24, 0x1p-24, 1},
		{NORMC_F16, 0x1p-25, 0, 0},
		{NORMC_F16, 0x1.8p-25, 0x1p-24, 1},
		{NORMC_F16, 0x1p-14, 0x1p-14, 0x0400},
		{NORMC_F16, 0x1.ff8p-15, 0x1.ff8p-15, 0x03ff},
		{NORMC_F16, 1 + 0x1p-11, 1, 0x3c00},
		{NORMC_F16, 1 + 0x1.8p-10, 1 + 0x1p-9, 0x3c02},
		{NORMC_F16, -0.0, -0.0, 0x8000},
		{NORMC_BF16, 1, 1, 0x3f80},
		{NORMC_BF16, 1 + 0x1p-8, 1, 0x3f80},
		{NORMC_BF16, 1 + 0x1.8p-7, 1 + 0x1p-6, 0x3f82},
		{NORMC_BF16, 0x1p-133, 0x1p-133, 1},
		{NORMC_BF16, 1e39, INFINITY, 0x7f80},
		{NORMC_BF16, 3.14159265, 3.140625, 0x4049},
		{NORMC_F8E4M3FN, 0.4789254665, 0.46875, 0x2f},
		{NORMC_F8E4M3FN, 1e6, 448, 0x7e},
		{NORMC_F8E4M3FN, -INFINITY, -448, 0xfe},
		{NORMC_F8E4M3FN, 0x1p-10, 0, 0},
		{NORMC_F8E4M3FN, 0x1p-9, 0x1p-9, 1},
		{NORMC_F8E4M3FN, 464, 448, 0x7e},
		{NORMC_F8E4M3FNUZ, 0.8193, 0.8125, 0x3d},
		{NORMC_F8E4M3FNUZ, 1e6, 240, 0x7f},
		{NORMC_F8E4M3FNUZ, -1e-7, 0, 0},
		{NORMC_F8E4M3FNUZ, NAN, NAN, 0x80},
		{NORMC_F8E5M2, 0.8193, 0.875, 0x3b},
		{NORMC_F8E5M2, 1e6, 57344, 0x7b},
		{NORMC_F8E5M2, -INFINITY, -INFINITY, 0xfc},
		{NORMC_F8E5M2, -1e-7, -0.0, 0x80},
		{NORMC_F8E5M2FNUZ, 0.7229, 0.75, 0x3e},
		{NORMC_F8E5M2FNUZ, 1e6, 57344, 0x7f},
		{NORMC_F4E2M1, 0.48, 0.5, 1},
		{NORMC_F4E2M1, 0.25, 0, 0},
		{NORMC_F4E2M1, -3.5, -4, 0xe},
		{NORMC_F4E2M1, 9, 6, 7},
		{NORMC_F4E2M1, NAN, -0.0, 8},
		{NORMC_F4E2M1, -INFINITY, -6, 0xf},
		{NORMC_F8E8M0, 0, 0x1p-127, 0},
		{NORMC_F8E8M0, 0.124, 0.125, 0x7c},
		{NORMC_F8E8M0, 1.1, 2, 0x80},
		{NORMC_F8E8M0, 4, 4, 0x81},
		{NORMC_F8E8M0, NAN, NAN, 0xff},
		{NORMC_F32, 1e39, INFINITY, 0x7f800000},
		{NORMC_F32, 0.1, 0.1f, 0x3dcccccd},
};

static void rounding_has_known_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof known_values / sizeof *known_values; i++) {
		const struct known *k = &known_values[i];
		double x = k->x, rounded = elem_round(k->elem, x);
		struct tensor t = {.elem = k->elem, .count = 1, .f = &x};
		uint32_t code = 0;
		tensor_store(&t, &code);
		bool same_sign = isnan(x) || !signbit(rounded) == !signbit(k->rounded);
		if (test_distance(rounded, k->rounded) != 0 || !same_sign || code != k->code)
			fail_msg("%s of %a: got %a, code %x; want %a, code %x",
				 normc_elem_name(k->elem), x, rounded, (unsigned)code, k->rounded,
				 (unsigned)k->code);
	}
}

static const enum normc_elem narrow[] = {NORMC_F16,	   NORMC_BF16,	 NORMC_F8E4M3FN,
					 NORMC_F8E4M3FNUZ, NORMC_F8E5M2, NORMC_F8E5M2FNUZ,
					 NORMC_F4E2M1,	   NORMC_F8E8M0};
enum { N_NARROW = sizeof narrow / sizeof *narrow };

/* Every code survives load and store; the runtime's own conversion says the same. */
static void every_code_is_kept(void **state)
{
	struct bench *b = *state;
	for (int k = 0; k < N_NARROW; k++) {
		for (uint32_t code = 0; code < UINT32_C(1) << elem_bits(narrow[k]); code++) {
			uint32_t stored = 0;
			unsigned char bytes[sizeof(uint64_t)] = {0}; /* room for any type */
			memcpy(bytes, &code, sizeof(code));
			struct tensor t = tensor_load(b->context.arena, narrow[k], 0, NULL, bytes);
			double other = element_load(narrow[k], bytes);
			tensor_store(&t, &stored);
			if (test_distance(t.f[0], other) != 0 || (!isnan(t.f[0]) && stored != code))
				fail_msg("%s: code %x is %a and %a, stored as %x",
					 normc_elem_name(narrow[k]), (unsigned)code, t.f[0], other,
					 (unsigned)stored);
			assert_true(isnan(t.f[0]) || elem_round(narrow[k], t.f[0]) == t.f[0]);
		}
	}
}

/* Rounding goes to the nearer of two neighbours, and to the even code between them. */
static void rounding_is_nearest_even(void **state)
{
	struct bench *b = *state;
	for (int k = 0; k < N_NARROW - 1; k++) {
		for (uint32_t code = 0; code < (UINT32_C(1) << (elem_bits(narrow[k]) - 1)) - 1;
		     code++) {
			uint32_t next = code + 1;
			double low = *tensor_load(b->context.arena, narrow[k], 0, NULL, &code).f;
			double high = *tensor_load(b->context.arena, narrow[k], 0, NULL, &next).f;
			double middle = (low + high) / 2;
			if (!isfinite(middle))
				break;
			assert_true(elem_round(narrow[k], middle) == (code % 2 ? high : low));
			assert_true(elem_round(narrow[k], nextafter(middle, low)) == low);
			assert_true(elem_round(narrow[k], nextafter(middle, high)) == high);
		}
	}
}

static void integers_wrap(void **state)
{
	struct bench *b = *state;
	assert_int_equal(elem_wrap(NORMC_U8, 300), 44);
	assert_int_equal(elem_wrap(NORMC_I8, 200), -56);
	assert_int_equal(elem_wrap(NORMC_I4, 9), -7);
	assert_int_equal(elem_wrap(NORMC_U2, -1), 3);
	assert_int_equal(elem_wrap(NORMC_U32, -1), UINT32_MAX);
	assert_int_equal(elem_wrap(NORMC_U64, -1), -1);
	assert_int_equal(elem_wrap(NORMC_BOOL, 256), 1);
	const int16_t data[2] = {-2, 7};
	struct tensor t = tensor_load(b->context.arena, NORMC_I16, 1, (const int64_t[]){2}, data);
	EXPECT(b, t, -2, 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(rounding_has_known_values),
			BENCH_TEST(every_code_is_kept),
			BENCH_TEST(rounding_is_nearest_even),
			BENCH_TEST(integers_wrap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
