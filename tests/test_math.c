/* The elementary functions that generated code computes inline on f32 (codegen/math.c), over the
 * floats of their range, against the C library in double.
 *
 * The error is |got - exact| in units of the distance between neighbouring floats at the exact
 * result.  A run of the tests visits every STEP-th float; NORMC_TEST_STEP=1 visits all of them and
 * is how the bounds were measured.  Machines without fused multiply-add round more often and have
 * bounds of their own.
 */
#include "compiled.h"

enum { CHUNK = 1 << 18, STEP = 37 };

struct function {
	const char *name;
	enum op op;
	double (*exact)(double x);
	uint32_t first, last; /* bits of the positive floats that are swept */
	bool negative;	      /* and their negatives */
	double fused, plain;  /* bounds */
};

/* 0x2f800000 is 2^-32, 0x7f7fffff the largest float; below 2^-32 results are x or 1 or -inf */
static const struct function functions[] = {
		{"exp", OP_exp, exp, 0x2f800000, 0x42d00000, true, 0.91, 1.18},
		{"log", OP_log, log, 0x00000001, 0x7f7fffff, false, 0.83, 0.84},
		{"tanh", OP_tanh, tanh, 0x2f800000, 0x42000000, true, 1.37, 1.35},
		{"erf", OP_erf, erf, 0x2f800000, 0x41000000, true, 1.03, 1.22},
		{"sqrt", OP_sqrt, sqrt, 0x00000001, 0x7f7fffff, false, 0.5, 0.5},
};

/* One function, compiled for one processor, ready to run on CHUNK floats. */
struct sweep {
	const struct function *function;
	struct bench *b;
	struct normc_program *program;
	struct normc_session *session;
	struct normc_tensor in, out;
	float *x, *y;
	double worst;
	float worst_at;
};

static void sweep_open(struct sweep *s, const struct function *function, const char *cpu)
{
	void *state;
	int64_t n = CHUNK;
	struct normc_session_options options = {.size = sizeof options, .threads = 1};
	*s = (struct sweep){.function = function};
	bench_open(&state);
	s->b = state;
	struct type t = type_fixed(&s->b->context, NORMC_F32, 1, &n);
	struct node *x = graph_input(s->b->graph, "x", &t);
	graph_output(s->b->graph, build_unary(s->b->graph, function->op, x), "y");
	s->program = compiled_program(s->b->graph, &(struct compile_how){.cpu = cpu});
	s->x = calloc(CHUNK, sizeof *s->x);
	s->y = calloc(CHUNK, sizeof *s->y);
	s->in = (struct normc_tensor){.data = s->x, .elem = NORMC_F32, .rank = 1, .dim = {CHUNK}};
	s->out.data = s->y;
	assert_int_equal(normc_session_new(&s->session, s->program, &options, NULL), NORMC_OK);
	assert_int_equal(normc_session_bind(s->session, &s->in, &s->out, NULL), NORMC_OK);
	s->out.data = s->y;
}

static void sweep_close(struct sweep *s)
{
	void *state = s->b;
	normc_session_free(s->session);
	normc_program_free(s->program);
	free(s->x);
	free(s->y);
	bench_close(&state);
}

static void sweep_run(struct sweep *s)
{
	assert_int_equal(normc_run(s->session, &s->in, &s->out, NULL), NORMC_OK);
}

static float float_of(uint32_t bits)
{
	float x;
	memcpy(&x, &bits, sizeof x);
	return x;
}

/* Distance between neighbouring floats at x, by its bits, since this is the innermost loop. */
static double float_step(double x)
{
	uint64_t bits;
	memcpy(&bits, &x, sizeof bits);
	int64_t exponent = (int64_t)(bits >> 52 & 0x7ff) - 1023;
	uint64_t step = (uint64_t)((exponent < -126 ? -126 : exponent) - 23 + 1023) << 52;
	memcpy(&x, &step, sizeof x);
	return x;
}

static void check_chunk(struct sweep *s, size_t n)
{
	sweep_run(s);
	for (size_t i = 0; i < n; i++) {
		double want = s->function->exact((double)s->x[i]);
		if ((float)want == s->y[i])
			continue; /* an error of 0.5 at most */
		double error = fabs((double)s->y[i] - want) / float_step(want);
		if (error <= s->worst)
			continue;
		s->worst = error;
		s->worst_at = s->x[i];
	}
}

static void sweep_floats(struct sweep *s, uint32_t step)
{
	size_t n = 0;
	for (uint64_t bits = s->function->first; bits <= s->function->last; bits += step)
		for (int sign = 0; sign <= s->function->negative; sign++) {
			s->x[n++] = float_of((uint32_t)bits | (uint32_t)sign << 31);
			if (n == CHUNK) {
				check_chunk(s, n);
				n = 0;
			}
		}
	check_chunk(s, n);
}

/* NaN, infinities, zeros, the ends of the range, subnormal arguments and results. */
static void check_special(struct sweep *s)
{
	static const float x[] = {NAN,	    INFINITY,  -INFINITY, 0.0f,	    -0.0f,     0x1p-149f,
				  -0x1p-149f, 0x1p-126f, -0x1p-130f, 1,	    -1,	       88.72283f,
				  88.8f,    -87.4f,    -95,	  -103.9f,  -104.1f,   -1000,
				  1e10f,    -1e10f,    0x1.fffffep127f, 0.5f, 1e-20f, -1e-20f};
	enum { N = sizeof x / sizeof *x };
	double most = s->function->plain;
	memcpy(s->x, x, sizeof x);
	sweep_run(s);
	for (int i = 0; i < N; i++) {
		double want = s->function->exact((double)x[i]), got = (double)s->y[i];
		bool sign = isnan(want) || want != 0 || !signbit(want) == !signbit(got);
		if (isinf((float)want)) /* too large for a float */
			want = (double)(float)want;
		double error = test_distance(got, want);
		if (!sign || !(error <= (isfinite(want) ? most * float_step(want) : 0)))
			fail_msg("%s(%a) is %a, not %a", s->function->name, (double)x[i], got,
				 want);
	}
}

static void try_function(const struct function *f, const char *cpu, double bound)
{
	const char *step = getenv("NORMC_TEST_STEP");
	struct sweep s;
	sweep_open(&s, f, cpu);
	check_special(&s);
	sweep_floats(&s, step ? (uint32_t)strtoul(step, NULL, 10) : STEP);
	print_message("%s on %s: %.4f steps at %a\n", f->name, cpu ? cpu : "this processor",
		      s.worst, (double)s.worst_at);
	if (s.worst > bound)
		fail_msg("%s(%a) is wrong by %g steps, more than %g", f->name, (double)s.worst_at,
			 s.worst, bound);
	sweep_close(&s);
}

static bool has_fused(void)
{
#ifdef __x86_64__
	return __builtin_cpu_supports("fma");
#else
	return true;
#endif
}

static void test_this_processor(void **state)
{
	const struct function *f = *state;
	try_function(f, NULL, has_fused() ? f->fused : f->plain);
}

#ifdef __x86_64__
static void test_plain(void **state)
{
	const struct function *f = *state;
	try_function(f, "x86-64", f->plain);
}
#endif

int main(void)
{
	enum { N = sizeof functions / sizeof *functions };
	struct CMUnitTest tests[2 * N];
	size_t n = 0;
	memset(tests, 0, sizeof tests);
	for (size_t i = 0; i < N; i++) {
		tests[n].name = functions[i].name;
		tests[n].initial_state = (void *)(uintptr_t)&functions[i];
		tests[n++].test_func = test_this_processor;
#ifdef __x86_64__
		tests[n] = tests[n - 1];
		tests[n++].test_func = test_plain;
#endif
	}
	return _cmocka_run_group_tests("math", tests, n, NULL, NULL);
}
