/* Expressions over symbols: the normal form keeps their value, equal ones are one pointer, and the
 * simplifications that shape computations need do happen. */
#include "dim.h"
#include "test.h"

enum { N_SYMBOLS = 4, MEMORY = 64 << 20 };

struct fixture {
	struct memory memory;
	jmp_buf out;
	struct arena *arena;
	struct dims *dims;
	const struct dim *n, *m, *k, *e; /* e is an element: may be negative */
};

static int setup(void **state)
{
	static struct fixture f; /* one at a time */
	memset(&f, 0, sizeof f);
	f.memory.limit = MEMORY;
	f.memory.out = &f.out;
	f.arena = arena_open(&f.memory);
	f.dims = dims_new(f.arena);
	f.n = dim_symbol(f.dims, (struct symbol){"N", 0, 0, false});
	f.m = dim_symbol(f.dims, (struct symbol){"M", 0, 1, false});
	f.k = dim_symbol(f.dims, (struct symbol){"", 1, 0, false});
	f.e = dim_symbol(f.dims, (struct symbol){"past len'", 2, 0, true});
	*state = &f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	arena_close(f->arena);
	return 0;
}

static const struct dim *number(struct fixture *f, int64_t value)
{
	return dim_const(f->dims, value);
}

static void assert_text(struct fixture *f, const struct dim *d, const char *expected)
{
	char text[200];
	dim_print(f->dims, d, text, sizeof text);
	assert_string_equal(text, expected);
}

/* ---- random expressions ---- */

/* An expression and its value computed beside it; false if the value does not exist. */
struct sample {
	const struct dim *d;
	int64_t value;
	bool defined;
};

static int64_t floor_quotient(int64_t a, int64_t b)
{
	int64_t q = a / b;
	return q * b != a && (a < 0) != (b < 0) ? q - 1 : q;
}

typedef const struct dim *operation(struct dims *, const struct dim *, const struct dim *);

static struct sample combine(struct fixture *f, uint64_t choice, struct sample a, struct sample b)
{
	static operation *const make[] = {dim_add, dim_sub, dim_mul, dim_div,
					  dim_mod, dim_min, dim_max, dim_ceil_div};
	struct sample s = {make[choice](f->dims, a.d, b.d), 0, a.defined && b.defined};
	bool divides = choice == 3 || choice == 4 || choice == 7;
	s.defined = s.defined && !(divides && b.value == 0);
	if (!s.defined)
		return s;
	const int64_t quotient = divides ? floor_quotient(a.value, b.value) : 0;
	const int64_t value[] = {
			a.value + b.value,
			a.value - b.value,
			a.value * b.value,
			quotient,
			a.value - quotient * b.value,
			a.value < b.value ? a.value : b.value,
			a.value > b.value ? a.value : b.value,
			divides ? -floor_quotient(-a.value, b.value) : 0,
	};
	s.value = value[choice];
	s.defined = s.value > -1000000 && s.value < 1000000;
	return s;
}

static struct sample random_expression(struct fixture *f, uint64_t *seed, const int64_t *symbols,
				       int depth)
{
	const struct dim *const symbol[N_SYMBOLS] = {f->n, f->m, f->k, f->e};
	uint64_t choice = test_random_below(seed, depth ? 10 : 3);
	if (choice >= 2 && depth) {
		struct sample a = random_expression(f, seed, symbols, depth - 1);
		struct sample b = random_expression(f, seed, symbols, depth - 1);
		return combine(f, test_random_below(seed, 8), a, b);
	}
	if (choice) {
		uint64_t i = test_random_below(seed, N_SYMBOLS);
		return (struct sample){symbol[i], symbols[i], true};
	}
	int64_t value = (int64_t)(test_random_below(seed, 25)) - 8;
	return (struct sample){number(f, value), value, true};
}

static void test_value_is_kept(void **state)
{
	struct fixture *f = *state;
	uint64_t seed = 1;
	int defined = 0;
	for (int round = 0; round < 60000; round++) {
		int64_t symbols[N_SYMBOLS], value;
		for (int i = 0; i < N_SYMBOLS; i++)
			symbols[i] = 1 + (int64_t)(test_random_below(&seed, 12));
		if (test_random_below(&seed, 2))
			symbols[3] = -symbols[3];
		struct sample s = random_expression(f, &seed, symbols, 4);
		if (!s.defined || s.d->kind == DIM_INVALID)
			continue;
		/* what was divided by zero in a part that vanished has no value to compare */
		if (!dim_eval(s.d, symbols, &value))
			continue;
		char text[300];
		dim_print(f->dims, s.d, text, sizeof text);
		if (value != s.value)
			fail_msg("%s is %lld, not %lld, for N=%lld M=%lld s2=%lld e=%lld (round "
				 "%d)",
				 text, (long long)value, (long long)s.value, (long long)symbols[0],
				 (long long)symbols[1], (long long)symbols[2],
				 (long long)symbols[3], round);
		assert_true(s.d->low <= value && value <= s.d->high);
		defined++;
	}
	assert_true(defined > 20000);
}

/* ---- the forms that shapes meet ---- */

static void test_interning(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	assert_ptr_equal(number(f, 5), number(f, 5));
	assert_ptr_equal(dim_add(c, f->n, f->m), dim_add(c, f->m, f->n));
	assert_ptr_equal(dim_mul(c, f->n, dim_add(c, f->m, number(f, 1))),
			 dim_add(c, dim_mul(c, f->m, f->n), f->n));
	assert_ptr_equal(dim_sub(c, dim_add(c, f->n, f->m), f->n), f->m);
	assert_true(dim_is(dim_sub(c, f->n, f->n), 0));
	const struct dim *sum = number(f, 0);
	for (int i = 0; i < 2000; i++) /* the table grows */
		sum = dim_add(c, sum, dim_mul(c, f->n, number(f, i)));
	assert_text(f, sum, "N*1999000");
}

static void test_reshape_inference(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	const struct dim *count = dim_mul(c, dim_mul(c, f->n, number(f, 197)), number(f, 768));
	assert_true(dim_is(dim_div(c, count, dim_mul(c, number(f, 768), f->n)), 197));
	assert_ptr_equal(dim_div(c, count, number(f, 197 * 768)), f->n);
	const struct dim *past = dim_add(c, f->n, f->m);
	count = dim_mul(c, dim_mul(c, past, number(f, 12)), dim_mul(c, f->k, number(f, 64)));
	assert_ptr_equal(dim_div(c, count, dim_mul(c, f->k, number(f, 768))), past);
	assert_true(dim_is(dim_div(c, count, dim_mul(c, past, dim_mul(c, f->k, number(f, 64)))),
			   12));
	assert_true(dim_is(dim_mod(c, count, past), 0));
	assert_text(f, dim_div(c, dim_mul(c, f->n, number(f, 6)), dim_mul(c, f->m, number(f, 4))),
		    "(N*3) floordiv (M*2)");
}

static void test_division(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	const struct dim *one = number(f, 1), *two = number(f, 2);
	const struct dim *half = dim_add(c, dim_div(c, dim_sub(c, f->n, one), two), one);
	assert_text(f, half, "(N + 1) floordiv 2");
	assert_ptr_equal(half, dim_ceil_div(c, f->n, two));
	assert_text(f, dim_add(c, dim_div(c, dim_sub(c, half, one), two), one),
		    "(N + 3) floordiv 4");
	assert_text(f,
		    dim_div(c, dim_add(c, dim_mul(c, f->n, number(f, 4)), number(f, 7)),
			    number(f, 6)),
		    "(N*2) floordiv 3 + 1");
	assert_true(dim_is(dim_mod(c, f->n, one), 0));
	assert_true(dim_is(dim_mod(c, dim_mul(c, f->n, number(f, 8)), number(f, 4)), 0));
	assert_text(f, dim_mod(c, dim_mul(c, f->n, number(f, 6)), number(f, 4)), "(N mod 2)*2");
	assert_true(dim_is(dim_div(c, dim_mod(c, f->n, number(f, 4)), number(f, 4)), 0));
	assert_ptr_equal(dim_mod(c, dim_mod(c, f->n, number(f, 12)), number(f, 4)),
			 dim_mod(c, f->n, number(f, 4)));
	assert_int_equal(dim_div(c, number(f, -7), two)->value, -4);
	assert_int_equal(dim_mod(c, number(f, -7), number(f, 3))->value, 2);
	assert_int_equal(dim_mod(c, number(f, 7), number(f, -3))->value, -2);
	assert_int_equal(dim_div(c, f->n, number(f, 0))->kind, DIM_INVALID);
}

static void test_minimum_and_maximum(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	const struct dim *zero = number(f, 0), *five = number(f, 5);
	assert_ptr_equal(dim_max(c, f->n, zero), f->n);
	assert_true(dim_is(dim_min(c, f->n, zero), 0));
	assert_text(f, dim_max(c, f->e, zero), "max(0, 'past len\\'')");
	const struct dim *first = dim_min(c, f->n, five);
	assert_ptr_equal(dim_max(c, first, zero), first);
	assert_ptr_equal(dim_min(c, number(f, 9), first), first);
	assert_ptr_equal(dim_min(c, dim_min(c, f->m, five), f->n), dim_min(c, first, f->m));
	assert_true(dim_lower_bound(dim_sub(c, f->n, first)) >= 0);
	assert_true(dim_lower_bound(dim_sub(c, f->n, dim_div(c, f->n, number(f, 2)))) >= 0);
	assert_ptr_equal(dim_min(c, dim_add(c, f->n, f->m), f->n), f->n);
}

static void test_limits(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	const struct dim *large = number(f, INT64_MAX);
	assert_int_equal(dim_add(c, large, number(f, 1))->kind, DIM_INVALID);
	assert_int_equal(dim_mul(c, dim_mul(c, f->n, large), number(f, 2))->kind, DIM_INVALID);
	assert_int_equal(dim_sub(c, number(f, 0), number(f, INT64_MIN))->kind, DIM_INVALID);
	assert_int_equal(dim_div(c, number(f, INT64_MIN), number(f, -1))->kind, DIM_INVALID);
	assert_int_equal(dim_div(c, number(f, INT64_MIN), number(f, 3))->value, INT64_MIN / 3 - 1);
	assert_int_equal(dim_mod(c, number(f, INT64_MIN), number(f, 3))->value, 1);
	const struct dim *d = f->n;
	for (int i = 0; i < 10000 && d->kind != DIM_INVALID; i++) /* grows without an end */
		d = dim_mul(c, dim_min(c, d, dim_add(c, dim_mod(c, d, number(f, 7 + i)), f->e)),
			    f->m);
	assert_int_equal(d->kind, DIM_INVALID);
	d = dim_add(c, dim_add(c, f->n, f->m), dim_add(c, f->k, f->e));
	for (int i = 0; i < 20 && d->kind != DIM_INVALID; i++)
		d = dim_mul(c, d, d);
	assert_int_equal(d->kind, DIM_INVALID);
}

static void test_text(void **state)
{
	struct fixture *f = *state;
	struct dims *c = f->dims;
	assert_text(f, dim_sub(c, dim_mul(c, f->n, number(f, 4)), number(f, 1)), "N*4 - 1");
	assert_text(f, dim_sub(c, number(f, 3), f->n), "-N + 3");
	assert_text(f, f->k, "s2");
	char small[6];
	dim_print(c, dim_add(c, f->n, f->m), small, sizeof small);
	assert_string_equal(small, "N + M");
	dim_print(c, dim_add(c, f->n, f->m), small, 4);
	assert_string_equal(small, "N +");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_value_is_kept, setup, teardown),
			cmocka_unit_test_setup_teardown(test_interning, setup, teardown),
			cmocka_unit_test_setup_teardown(test_reshape_inference, setup, teardown),
			cmocka_unit_test_setup_teardown(test_division, setup, teardown),
			cmocka_unit_test_setup_teardown(test_minimum_and_maximum, setup, teardown),
			cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
			cmocka_unit_test_setup_teardown(test_text, setup, teardown),
	};
	return cmocka_run_group_tests_name("dim", tests, NULL, NULL);
}
