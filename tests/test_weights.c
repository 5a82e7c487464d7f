/* Arithmetic with constants (weights.h): what it computes, and what its results stand for. */
#include "weights.h"

#include "eval_beside.h"
#include "parts.h"

static struct node *doubles(struct graph *g, int64_t n, const double *value)
{
	struct type t = type_fixed(g->context, NORMC_F64, 1, &n);
	return build_doubles(g, &t, value);
}
#define DOUBLES(g, n, ...) doubles(g, n, (const double[]){__VA_ARGS__})

static void check_numbers(const struct node *n, int64_t count, const double *want)
{
	assert_non_null(n);
	assert_int_equal(type_fixed_count(&n->type), count);
	for (int64_t i = 0; i < count; i++)
		assert_true(constant_at(n, i) == want[i]);
}
#define CHECK(n, count, ...) check_numbers(n, count, (const double[]){__VA_ARGS__})

static void test_numbers(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	static const int64_t index[4] = {2, 0, 3, 4};
	struct node *a = DOUBLES(g, 3, 1, 2, 3), *c = DOUBLES(g, 2, 7, 8);
	CHECK(numbers_picked(g, a, c, index, 4), 4, 3, 1, 7, 8);
	CHECK(numbers_binary(g, OP_mul, a, DOUBLES(g, 1, 2)), 3, 2, 4, 6);
	CHECK(numbers_unary(g, OP_neg, c), 2, -7, -8);
	assert_true(numbers_agree(g, a, DOUBLES(g, 3, 1, 2, 3)));
	assert_false(numbers_agree(g, a, DOUBLES(g, 3, 1, 2, 4)));
	assert_false(numbers_agree(g, a, c));
	assert_true(numbers_are(numbers_equal(g, 4, 2.5), 2.5));
	assert_false(numbers_are(a, 1));
	assert_true(numbers_fit(DOUBLES(g, 1, 65504), NORMC_F16));
	assert_false(numbers_fit(DOUBLES(g, 1, 65505), NORMC_F16));
	CHECK(numbers_of(g, PART_VALUES(g, SHAPE(1, 3, 1), 4, 5, 6), 1, 3, 0), 3, 4, 5, 6);
	CHECK(numbers_of(g, PART_VALUES(g, SHAPE(1, 1, 1), 4), 1, 3, 0), 3, 4, 4, 4);
	CHECK(numbers_of(g, NULL, 1, 2, 1), 2, 1, 1);
	assert_null(numbers_of(g, PART_VALUES(g, SHAPE(1, 3, 1), 4, 5, 6), 0, 3, 0));
}

static void test_weights(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	struct node *w = PART_VALUES(g, SHAPE(2, 2), 1, 2, 3, 4), *s = DOUBLES(g, 2, 10, 100);
	struct weights_axis rows = {0, 0}, columns = {1, 0}, groups = {1, 2};
	CHECK(weights_scaled(g, w, rows, s), 4, 10, 20, 300, 400);
	CHECK(weights_scaled(g, w, columns, s), 4, 10, 200, 30, 400);
	CHECK(weights_summed(g, w, rows, s), 2, 310, 420);
	CHECK(weights_summed(g, w, columns, s), 2, 210, 430);
	/* Two filters in two groups of two channels. */
	s = DOUBLES(g, 4, 1, 10, 100, 1000);
	CHECK(weights_scaled(g, w, groups, s), 4, 1, 20, 300, 4000);
	CHECK(weights_summed(g, w, groups, s), 2, 21, 4300);
	CHECK(weights_recentred(g, w, 1), 4, -0.5, 0.5, -0.5, 0.5);
	assert_null(weights_scaled(g, w, rows, DOUBLES(g, 2, 1, 1e38)));
}

/* 1/3 is rounded, but what stands for it is not. */
static void test_residues(void **state)
{
	struct bench *b = *state;
	struct graph *g = b->graph;
	g->context->exact = true;
	struct node *third =
			numbers_binary(g, OP_div, numbers_equal(g, 1, 1), numbers_equal(g, 1, 3));
	assert_false(numbers_are(third, 1.0 / 3));
	assert_true(numbers_are(numbers_binary(g, OP_mul, third, numbers_equal(g, 1, 3)), 1));
	struct node *w = PART_VALUES(g, SHAPE(1, 2), 3, 6);
	struct weights_axis columns = {1, 0};
	struct node *two = numbers_picked(g, third, NULL, (const int64_t[]){0, 0}, 2);
	const uint64_t *r = constant_residues(g, weights_scaled(g, w, columns, two));
	assert_true(r[0] == residue_of_real(1) && r[1] == residue_of_real(2));
	r = constant_residues(g, weights_summed(g, w, columns, two));
	assert_true(r[0] == residue_of_real(3));
}

int main(void)
{
	const struct CMUnitTest tests[] = {BENCH_TEST(test_numbers), BENCH_TEST(test_weights),
					   BENCH_TEST(test_residues)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
