/* If and Loop in compiled code against the interpreter, with and without passes, by one thread and
 * by several.
 */
#include "region_samples.h"

/* ---- failures ---- */

/* Runs one input of i64 and returns the status. */
static enum normc_status status_of(struct bench *b, const char *text, int64_t number)
{
	struct normc_tensor in = {.data = &number, .elem = NORMC_I64};
	float y[16];
	return status_of_run(b, text, 2, &in, y);
}

/* An index out of range in iteration 3: the loop stops there. */
static void test_failure_inside(void **state)
{
	static const char text[] = "graph \"g\"\n"
				   "%0 = input \"n\" : i64[]\n"
				   "%1 = constant : bool[] = [1]\n"
				   "%2 = constant : f32[] = [0]\n"
				   "%3 = loop %0 %1 %2 {carried 1 trips []} {\n"
				   "  graph \"body\"\n"
				   "  %0 = input \"i\" : i64[]\n"
				   "  %1 = input \"c\" : bool[]\n"
				   "  %2 = input \"a\" : f32[]\n"
				   "  %3 = constant : f32[3] = [1, 2, 3]\n"
				   "  %4 = gather %3 %0 {axis 0} : f32[]\n"
				   "  %5 = add %2 %4 : f32[]\n"
				   "  return %1 \"c\", %5 \"a\"\n"
				   "} : f32[]\n"
				   "return %3 \"y\"\n";
	assert_int_equal(status_of(*state, text, 3), NORMC_OK);
	assert_int_equal(status_of(*state, text, 4), NORMC_INVALID);
	assert_int_equal(status_of(*state, text, INT64_MAX), NORMC_INVALID);
}

/* A loop that ends before all rows are there. */
static void test_rows_missing(void **state)
{
	static const char text[] = "graph \"g\"\n"
				   "%0 = input \"n\" : i64[]\n"
				   "%1 = constant : bool[] = [1]\n"
				   "%2 = constant : i64[] = [3]\n"
				   "%3 = loop %2 %1 %0 {carried 0 trips [3]} {\n"
				   "  graph \"body\"\n"
				   "  %0 = input \"i\" : i64[]\n"
				   "  %1 = input \"c\" : bool[]\n"
				   "  %2 = input \"n\" : i64[]\n"
				   "  %3 = lt %0 %2 : bool[]\n"
				   "  %4 = cast %0 {to f32 wrap false} : f32[]\n"
				   "  return %3 \"c\", %4 \"a\"\n"
				   "} : f32[3]\n"
				   "return %3 \"y\"\n";
	assert_int_equal(status_of(*state, text, 2), NORMC_OK);
	assert_int_equal(status_of(*state, text, 1), NORMC_UNSUPPORTED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			SAMPLE(choice),
			SAMPLE(nested_choice),
			SAMPLE(carried),
			SAMPLE(early),
			SAMPLE(stacked),
			SAMPLE(nested),
			BENCH_TEST(test_failure_inside),
			BENCH_TEST(test_rows_missing),
	};
	return cmocka_run_group_tests_name("regions", tests, NULL, NULL);
}
