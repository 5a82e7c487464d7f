/* Helpers for the tests of the interpreter: one node, evaluated on tensors written as numbers. */
#ifndef NORMC_TEST_EVAL_H
#define NORMC_TEST_EVAL_H

#include "eval_op.h"
#include "graph.h"
#include "test.h"

/* The compiler's state, for one test.  Memory is not limited. */
struct bench {
	struct memory memory;
	struct diag diag;
	struct context context;
	struct graph *graph;
};

static inline int bench_open(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	b->memory.limit = SIZE_MAX;
	b->context.memory = &b->memory;
	b->context.arena = arena_open(&b->memory);
	b->context.dims = dims_new(b->context.arena);
	b->context.diag = &b->diag;
	b->graph = graph_new(&b->context, "test");
	*state = b;
	return 0;
}

static inline int bench_close(void **state)
{
	struct bench *b = *state;
	arena_close(b->context.arena);
	free(b);
	return 0;
}

#define BENCH_TEST(name) cmocka_unit_test_setup_teardown(name, bench_open, bench_close)

struct shape {
	int32_t rank;
	int64_t dim[MAX_RANK];
};
#define SHAPE(...)                                                                                 \
	((struct shape){(int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)),             \
			{__VA_ARGS__}})
#define SCALAR ((struct shape){.rank = 0})

static inline struct tensor bench_tensor(struct bench *b, enum normc_elem elem, struct shape shape)
{
	struct tensor t = {.elem = elem, .rank = shape.rank, .count = 1};
	for (int32_t k = 0; k < shape.rank; k++) {
		t.dim[k] = shape.dim[k];
		t.count *= shape.dim[k];
	}
	t.i = arena_new(b->context.arena, int64_t, (size_t)t.count + 1);
	return t;
}

/* Elements are converted to the kind that the type is held in; `value` has as many as the shape. */
static inline struct tensor bench_values(struct bench *b, enum normc_elem elem, struct shape shape,
					 const double *value)
{
	struct tensor t = bench_tensor(b, elem, shape);
	for (int64_t i = 0; i < t.count; i++) {
		if (is_float(&t))
			t.f[i] = value[i];
		else
			t.i[i] = (int64_t)value[i];
	}
	return t;
}

#define VALUES(b, elem, shape, ...) bench_values(b, elem, shape, (const double[]){__VA_ARGS__})

/* Random numbers in [-2, 2), or integers in [-9, 9]. */
static inline struct tensor bench_random(struct bench *b, enum normc_elem elem, struct shape shape,
					 uint64_t *seed)
{
	struct tensor t = bench_tensor(b, elem, shape);
	for (int64_t i = 0; i < t.count; i++) {
		if (is_float(&t))
			t.f[i] = test_random_range(seed, -2, 2);
		else
			t.i[i] = elem_wrap(elem, (int64_t)test_random_below(seed, 19) - 9);
	}
	return t;
}

/* A node that only eval_node sees. */
struct plan {
	enum op op;
	union attr attr;
	enum normc_elem elem;
	struct shape shape;
	enum eval_mode mode;
};

static inline bool bench_try(struct bench *b, struct plan plan, const struct tensor *in,
			     uint32_t n_in, struct tensor *out)
{
	struct node n = {.op = plan.op, .n_in = n_in, .attr = plan.attr};
	n.type = type_fixed(&b->context, plan.elem, plan.shape.rank, plan.shape.dim);
	return eval_node(b->graph, &n, (struct eval_request){plan.mode, NULL, b->context.arena}, in,
			 out);
}

/* Evaluates the bench's graph. */
static inline void bench_graph(struct bench *b, const int64_t *symbols, const struct tensor *in,
			       struct tensor *out)
{
	if (!eval_graph(b->graph, (struct eval_request){EVAL_ROUND, symbols, b->context.arena}, in,
			out))
		fail_msg("%s", b->diag.first);
}

static inline struct tensor bench_run(struct bench *b, struct plan plan, const struct tensor *in,
				      uint32_t n_in)
{
	struct tensor out;
	if (!bench_try(b, plan, in, n_in, &out))
		fail_msg("%s: %s", op_info[plan.op].name, b->diag.first);
	return out;
}

#define RUN(b, plan, ...)                                                                          \
	bench_run(b, plan, (const struct tensor[]){__VA_ARGS__},                                   \
		  (uint32_t)(sizeof((struct tensor[]){__VA_ARGS__}) / sizeof(struct tensor)))
#define PLAN(...)	 ((struct plan){__VA_ARGS__})
#define WITH(o, a, e, s) ((struct plan){.op = o, .attr = a, .elem = e, .shape = s})

/* The evaluation must fail and say NORMC_INVALID. */
static inline void bench_fails(struct bench *b, struct plan plan, const struct tensor *in,
			       uint32_t n_in)
{
	struct tensor out;
	b->diag = (struct diag){0};
	if (bench_try(b, plan, in, n_in, &out))
		fail_msg("%s: should have failed", op_info[plan.op].name);
	assert_int_equal(b->diag.status, NORMC_INVALID);
}

#define FAILS(b, plan, ...)                                                                        \
	bench_fails(b, plan, (const struct tensor[]){__VA_ARGS__},                                 \
		    (uint32_t)(sizeof((struct tensor[]){__VA_ARGS__}) / sizeof(struct tensor)))

/* Element by element; `tolerance` relative to 1 + |want|.  Signs of zeros count where tolerance is
 * 0. */
static inline void bench_equal(const struct tensor *got, const struct tensor *want,
			       double tolerance)
{
	assert_int_equal(got->elem, want->elem);
	assert_int_equal(got->count, want->count);
	for (int64_t i = 0; i < got->count; i++) {
		if (!is_float(got)) {
			if (got->i[i] != want->i[i])
				fail_msg("element %lld: got %lld, want %lld", (long long)i,
					 (long long)got->i[i], (long long)want->i[i]);
			continue;
		}
		double d = test_distance(got->f[i], want->f[i]);
		bool sign = tolerance == 0 && !isnan(want->f[i]) &&
			    !signbit(got->f[i]) != !signbit(want->f[i]);
		if (d > tolerance * (1 + fabs(want->f[i])) || sign)
			fail_msg("element %lld: got %.17g, want %.17g", (long long)i, got->f[i],
				 want->f[i]);
	}
}

#define EXPECT(b, got, ...)                                                                        \
	do {                                                                                       \
		const struct tensor expect_got = (got);                                            \
		const double expect_value[] = {__VA_ARGS__};                                       \
		struct shape expect_shape = {expect_got.rank, {0}};                                \
		assert_int_equal(expect_got.count, sizeof expect_value / sizeof *expect_value);    \
		memcpy(expect_shape.dim, expect_got.dim, sizeof expect_shape.dim);                 \
		const struct tensor expect_want =                                                  \
				bench_values(b, expect_got.elem, expect_shape, expect_value);      \
		bench_equal(&expect_got, &expect_want, 0);                                         \
	} while (0)

#endif
