/* Conversions of single elements: every code of the small formats there and back, halfway cases,
 * known codes at the ends of the ranges, and integers that do not fit. */
#include "test.h"

#include "element.h"

static void test_small_formats(void **state)
{
	static const enum normc_elem formats[] = {NORMC_F16,	    NORMC_BF16,	  NORMC_F8E4M3FN,
						  NORMC_F8E4M3FNUZ, NORMC_F8E5M2, NORMC_F8E5M2FNUZ,
						  NORMC_F4E2M1};
	(void)state;
	for (size_t k = 0; k < sizeof(formats) / sizeof(formats[0]); k++) {
		struct element_format f = element_format(formats[k]);

		for (uint32_t code = 0; code < 1u << f.bits; code++) {
			double value = element_decode(f, code);
			uint32_t magnitude = code & ((1u << (f.bits - 1)) - 1);

			if (isnan(value))
				assert_true(isnan(
						element_decode(f, element_encode(f, value, true))));
			else
				assert_int_equal(element_encode(f, value, false), code);
			if (isnan(value) || isinf(value) || magnitude + 1 > f.largest ||
			    code != magnitude)
				continue;
			/* halfway to the next one: to even */
			double next = element_decode(f, code + 1), middle = (value + next) / 2;
			assert_int_equal(element_encode(f, middle, false), code + (code & 1));
			assert_int_equal(element_encode(f, nextafter(middle, INFINITY), false),
					 code + 1);
			assert_int_equal(element_encode(f, nextafter(middle, -1), false), code);
		}
	}
}

static void test_known_codes(void **state)
{
	static const struct {
		enum normc_elem elem;
		double value;
		uint32_t saturated, plain;
	} row[] = {
			{NORMC_F8E4M3FN, 448, 0x7e, 0x7e},
			{NORMC_F8E4M3FN, 464, 0x7e, 0x7e},
			{NORMC_F8E4M3FN, 465, 0x7e, 0x7f},
			{NORMC_F8E4M3FN, -INFINITY, 0xfe, 0xff},
			{NORMC_F8E4M3FNUZ, 240, 0x7f, 0x7f},
			{NORMC_F8E4M3FNUZ, -1e9, 0xff, 0x80},
			{NORMC_F8E4M3FNUZ, -0.0, 0, 0},
			{NORMC_F8E5M2, 57344, 0x7b, 0x7b},
			{NORMC_F8E5M2, INFINITY, 0x7b, 0x7c},
			{NORMC_F8E5M2FNUZ, 57344, 0x7f, 0x7f},
			{NORMC_F8E5M2FNUZ, INFINITY, 0x7f, 0x80},
			{NORMC_F16, 65504, 0x7bff, 0x7bff},
			{NORMC_F16, 0x1p-24, 1, 1},
			{NORMC_BF16, 1.0, 0x3f80, 0x3f80},
			{NORMC_F4E2M1, 100, 7, 7},
			{NORMC_F4E2M1, -0.5, 9, 9},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(row) / sizeof(row[0]); i++) {
		struct element_format f = element_format(row[i].elem);

		assert_int_equal(element_encode(f, row[i].value, true), row[i].saturated);
		assert_int_equal(element_encode(f, row[i].value, false), row[i].plain);
	}
	assert_int_equal(element_encode_e8m0(1, ELEMENT_ROUND_UP, true), 127);
	assert_int_equal(element_encode_e8m0(1.1, ELEMENT_ROUND_UP, true), 128);
	assert_int_equal(element_encode_e8m0(1.1, ELEMENT_ROUND_DOWN, true), 127);
	assert_int_equal(element_encode_e8m0(1.6, ELEMENT_ROUND_NEAREST, true), 128);
	assert_int_equal(element_encode_e8m0(3e38, ELEMENT_ROUND_UP, true), 254);
	assert_int_equal(element_encode_e8m0(3e38, ELEMENT_ROUND_UP, false), 255);
	assert_int_equal(element_encode_e8m0((double)NAN, ELEMENT_ROUND_UP, true), 255);
}

static void test_store_clamps(void **state)
{
	unsigned char bytes[8];
	(void)state;
	element_store(NORMC_I8, bytes, 200);
	assert_int_equal((signed char)bytes[0], 127);
	element_store(NORMC_I8, bytes, 1e30);
	assert_int_equal((signed char)bytes[0], 127);
	element_store(NORMC_U8, bytes, -3);
	assert_int_equal(bytes[0], 0);
	element_store(NORMC_I4, bytes, -9);
	assert_int_equal((signed char)bytes[0], -8);
	element_store(NORMC_U2, bytes, 2.5);
	assert_int_equal(bytes[0], 2);
	element_store(NORMC_U64, bytes, 0x1p63);
	assert_true(element_load(NORMC_U64, bytes) == 0x1p63);
	element_store(NORMC_U64, bytes, 1e30);
	assert_true(element_load_int(NORMC_U64, bytes) == -1);
	element_store(NORMC_I64, bytes, -1e30);
	assert_true(element_load_int(NORMC_I64, bytes) == INT64_MIN);
	element_store_int(NORMC_I4, bytes, 9);
	assert_int_equal((signed char)bytes[0], -7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_small_formats),
			cmocka_unit_test(test_known_codes),
			cmocka_unit_test(test_store_clamps),
	};

	return cmocka_run_group_tests_name("runtime_element", tests, NULL, NULL);
}
