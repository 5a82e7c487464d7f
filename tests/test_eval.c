/* The interpreter: operations per element, movement, reductions. */
#include "test_eval.h"

static const double inf = INFINITY;

/* ---- one operand ---- */

#define F32(op, n) PLAN(OP_##op, .elem = NORMC_F32, .shape = SHAPE(n))
#define I32(op, n) PLAN(OP_##op, .elem = NORMC_I32, .shape = SHAPE(n))

static void unary_functions(void **state)
{
	static const struct {
		enum op op;
		double (*f)(double);
	} table[] = {
			{OP_exp, exp},	   {OP_log, log},     {OP_sqrt, sqrt}, {OP_sin, sin},
			{OP_cos, cos},	   {OP_tan, tan},     {OP_asin, asin}, {OP_acos, acos},
			{OP_atan, atan},   {OP_sinh, sinh},   {OP_cosh, cosh}, {OP_asinh, asinh},
			{OP_acosh, acosh}, {OP_atanh, atanh}, {OP_tanh, tanh}, {OP_erf, erf},
			{OP_floor, floor}, {OP_ceil, ceil},   {OP_abs, fabs},
	};
	struct bench *b = *state;
	const double x[] = {-1.5, -0.25, 0, 0.5, 3};
	for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
		for (int mode = EVAL_EXACT; mode <= EVAL_ROUND; mode++) {
			struct plan plan = {table[k].op, .elem = NORMC_F32, .shape = SHAPE(5),
					    .mode = mode};
			struct tensor in = bench_values(b, NORMC_F32, SHAPE(5), x), want = in;
			want.f = arena_copy(b->context.arena, x, sizeof x);
			for (int i = 0; i < 5; i++)
				want.f[i] = mode == EVAL_ROUND ? (float)table[k].f(x[i])
							       : table[k].f(x[i]);
			struct tensor got = RUN(b, plan, in);
			bench_equal(&got, &want, 0);
		}
	}
}

static void unary_by_hand(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(6), -2.5, -0.5, 0.5, 1.5, -inf, NAN);
	EXPECT(b, RUN(b, F32(round, 6), x), -2, -0.0, 0, 2, -inf, NAN);
	EXPECT(b, RUN(b, F32(sign, 6), x), -1, -1, 1, 1, -1, NAN);
	EXPECT(b, RUN(b, F32(neg, 6), x), 2.5, 0.5, -0.5, -1.5, inf, NAN);
	struct plan flags = {OP_isnan, .elem = NORMC_BOOL, .shape = SHAPE(6)};
	EXPECT(b, RUN(b, flags, x), 0, 0, 0, 0, 0, 1);
	struct attr_isinf which = {.positive = true, .negative = false};
	flags.op = OP_isinf;
	flags.attr.isinf = &which;
	EXPECT(b, RUN(b, flags, x), 0, 0, 0, 0, 0, 0);
	which.negative = true;
	EXPECT(b, RUN(b, flags, x), 0, 0, 0, 0, 1, 0);
	struct tensor i = VALUES(b, NORMC_I32, SHAPE(3), -5, 0, (double)INT32_MIN);
	EXPECT(b, RUN(b, I32(abs, 3), i), 5, 0, (double)INT32_MIN);
	EXPECT(b, RUN(b, I32(neg, 3), i), 5, 0, (double)INT32_MIN);
	EXPECT(b, RUN(b, I32(sign, 3), i), -1, 0, -1);
	EXPECT(b, RUN(b, I32(not, 3), i), 4, -1, (double)INT32_MAX);
	struct tensor u = VALUES(b, NORMC_U8, SHAPE(2), 0, 200);
	struct plan u8 = {OP_not, .elem = NORMC_U8, .shape = SHAPE(2)};
	EXPECT(b, RUN(b, u8, u), 255, 55);
	struct tensor truth = VALUES(b, NORMC_BOOL, SHAPE(2), 0, 1);
	u8.elem = NORMC_BOOL;
	EXPECT(b, RUN(b, u8, truth), 1, 0);
	const struct attr_perm order = {{1, 0}};
	struct tensor m = VALUES(b, NORMC_I32, SHAPE(1, 3), 4, 5, 6);
	EXPECT(b, RUN(b, WITH(OP_copy, {.perm = &order}, NORMC_I32, SHAPE(1, 3)), m), 4, 5, 6);
}

static struct tensor cast(struct bench *b, struct tensor x, enum normc_elem to, bool wrap,
			  enum eval_mode mode)
{
	struct attr_cast attr = {.to = to, .wrap = wrap};
	struct shape shape = {x.rank, {x.dim[0], x.dim[1]}};
	return RUN(b, PLAN(OP_cast, {.cast = &attr}, to, shape, mode), x);
}

static void casts(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(6), -1.9, 1.9, 300, 0, NAN, -0.25);
	EXPECT(b, cast(b, x, NORMC_I16, false, EVAL_ROUND), -1, 1, 300, 0, 0, 0);
	EXPECT(b, cast(b, x, NORMC_U8, false, EVAL_ROUND), 255, 1, 44, 0, 0, 0);
	EXPECT(b, cast(b, x, NORMC_BOOL, false, EVAL_ROUND), 1, 1, 1, 0, 1, 1);
	EXPECT(b, cast(b, x, NORMC_F64, false, EVAL_ROUND), -1.9, 1.9, 300, 0, NAN, -0.25);
	struct tensor big = VALUES(b, NORMC_F32, SHAPE(3), 1e6, -inf, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E4M3FN, false, EVAL_EXACT), 448, -448, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E4M3FN, true, EVAL_EXACT), NAN, NAN, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E5M2, false, EVAL_ROUND), 57344, -57344, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E5M2, true, EVAL_ROUND), inf, -inf, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E4M3FNUZ, false, EVAL_ROUND), 240, -240, NAN);
	EXPECT(b, cast(b, big, NORMC_F8E5M2FNUZ, true, EVAL_ROUND), NAN, NAN, NAN);
	EXPECT(b, cast(b, big, NORMC_F16, false, EVAL_ROUND), inf, -inf, NAN);
	EXPECT(b, cast(b, big, NORMC_F16, false, EVAL_EXACT), 1e6, -inf, NAN);
	struct tensor i = bench_tensor(b, NORMC_I64, SHAPE(2));
	i.i[0] = (INT64_C(1) << 62) + (INT64_C(1) << 38) +
		 1; /* just above the middle of two floats */
	i.i[1] = -3;
	EXPECT(b, cast(b, i, NORMC_F32, false, EVAL_ROUND), 0x1.000002p62, -3);
	EXPECT(b, cast(b, i, NORMC_I8, false, EVAL_ROUND), 1, -3);
	EXPECT(b, cast(b, i, NORMC_U16, false, EVAL_ROUND), 1, 65533);
	i.elem = NORMC_U64;
	EXPECT(b, cast(b, i, NORMC_F64, false, EVAL_ROUND), 0x1.000001p62, 0x1p64);
}

static void bitcasts(void **state)
{
	struct bench *b = *state;
	struct attr_cast to_i32 = {.to = NORMC_I32}, to_u4 = {.to = NORMC_U4};
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(2), 1, -0.0);
	EXPECT(b, RUN(b, WITH(OP_bitcast, {.cast = &to_i32}, NORMC_I32, SHAPE(2)), x), 0x3f800000,
	       (double)INT32_MIN);
	struct tensor i = VALUES(b, NORMC_I4, SHAPE(2), -1, 7);
	EXPECT(b, RUN(b, WITH(OP_bitcast, {.cast = &to_u4}, NORMC_U4, SHAPE(2)), i), 15, 7);
}

/* ---- two operands ---- */

static void float_arithmetic(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(4), 5.5, -5.5, 5.5, -5.5);
	struct tensor y = VALUES(b, NORMC_F32, SHAPE(4), 2, 2, -2, -2);
	EXPECT(b, RUN(b, F32(add, 4), x, y), 7.5, -3.5, 3.5, -7.5);
	EXPECT(b, RUN(b, F32(sub, 4), x, y), 3.5, -7.5, 7.5, -3.5);
	EXPECT(b, RUN(b, F32(mul, 4), x, y), 11, -11, -11, 11);
	EXPECT(b, RUN(b, F32(div, 4), x, y), 2.75, -2.75, -2.75, 2.75);
	EXPECT(b, RUN(b, F32(mod, 4), x, y), 1.5, 0.5, -0.5, -1.5);
	EXPECT(b, RUN(b, F32(fmod, 4), x, y), 1.5, -1.5, 1.5, -1.5);
	struct tensor one = VALUES(b, NORMC_F16, SHAPE(1), 1),
		      tiny = VALUES(b, NORMC_F16, SHAPE(1), 0x1p-11);
	EXPECT(b, RUN(b, PLAN(OP_add, .elem = NORMC_F16, .shape = SHAPE(1)), one, tiny),
	       1 + 0x1p-11);
	EXPECT(b,
	       RUN(b, PLAN(OP_add, .elem = NORMC_F16, .shape = SHAPE(1), .mode = EVAL_ROUND), one,
		   tiny),
	       1);
}

static void float_special_values(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(6), NAN, 1, -0.0, 0.0, inf, -inf);
	struct tensor y = VALUES(b, NORMC_F32, SHAPE(6), 1, NAN, 0.0, -0.0, 1, NAN);
	EXPECT(b, RUN(b, F32(max, 6), x, y), NAN, NAN, 0.0, 0.0, inf, NAN);
	EXPECT(b, RUN(b, F32(min, 6), x, y), NAN, NAN, -0.0, -0.0, 1, NAN);
	struct plan flags = {OP_eq, .elem = NORMC_BOOL, .shape = SHAPE(6)};
	EXPECT(b, RUN(b, flags, x, y), 0, 0, 1, 1, 0, 0);
	flags.op = OP_lt;
	EXPECT(b, RUN(b, flags, x, y), 0, 0, 0, 0, 0, 0);
	flags.op = OP_le;
	EXPECT(b, RUN(b, flags, x, y), 0, 0, 1, 1, 0, 0);
	struct tensor huge = VALUES(b, NORMC_F32, SHAPE(1), 3e38);
	EXPECT(b,
	       RUN(b, PLAN(OP_mul, .elem = NORMC_F32, .shape = SHAPE(1), .mode = EVAL_ROUND), huge,
		   huge),
	       inf);
}

static void integer_arithmetic(void **state)
{
	struct bench *b = *state;
	const double least = INT32_MIN;
	struct tensor x = VALUES(b, NORMC_I32, SHAPE(6), 7, -7, 7, -7, 5, least);
	struct tensor y = VALUES(b, NORMC_I32, SHAPE(6), 2, 2, -2, -2, 0, -1);
	EXPECT(b, RUN(b, I32(div, 6), x, y), 3, -3, -3, 3, 0, least);
	EXPECT(b, RUN(b, I32(mod, 6), x, y), 1, 1, -1, -1, 0, 0);
	EXPECT(b, RUN(b, I32(fmod, 6), x, y), 1, -1, 1, -1, 0, 0);
	EXPECT(b, RUN(b, I32(sub, 6), x, y), 5, -9, 9, -5, 5, least + 1);
	EXPECT(b, RUN(b, I32(add, 6), x, y), 9, -5, 5, -9, 5, INT32_MAX);
	EXPECT(b, RUN(b, I32(max, 6), x, y), 7, 2, 7, -2, 5, -1);
	EXPECT(b, RUN(b, I32(pow, 6), x, y), 49, 49, 0, 0, 1, 0);
	struct tensor s = VALUES(b, NORMC_I32, SHAPE(6), 1, 31, 32, -1, 1, 1);
	EXPECT(b, RUN(b, I32(shl, 6), x, s), 14, least, 0, 0, 10, 0);
	EXPECT(b, RUN(b, I32(shr, 6), x, s), 3, -1, 0, 0, 2, least / 2);
	EXPECT(b, RUN(b, I32(and, 6), x, s), 1, 25, 0, -7, 1, 0);
	EXPECT(b, RUN(b, I32(or, 6), x, s), 7, -1, 39, -1, 5, least + 1);
	EXPECT(b, RUN(b, I32(xor, 6), x, s), 6, -26, 39, 6, 4, least + 1);
	struct tensor w = VALUES(b, NORMC_U8, SHAPE(2), 200, 3),
		      v = VALUES(b, NORMC_U8, SHAPE(2), 100, 5);
	struct plan u8 = {OP_add, .elem = NORMC_U8, .shape = SHAPE(2)};
	EXPECT(b, RUN(b, u8, w, v), 44, 8);
	u8.op = OP_sub;
	EXPECT(b, RUN(b, u8, w, v), 100, 254);
}

static void u64_has_no_sign(void **state)
{
	static const struct {
		enum op op;
		int64_t want;
	} table[] = {
			{OP_div, INT64_C(6148914691236517204)},
			{OP_mod, 2},
			{OP_fmod, 2},
			{OP_max, -2},
			{OP_min, 3},
			{OP_shr, INT64_MAX / 4},
	};
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_U64, SHAPE(1), -2), y = VALUES(b, NORMC_U64, SHAPE(1), 3);
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct plan plan = {table[i].op, .elem = NORMC_U64, .shape = SHAPE(1)};
		assert_int_equal(RUN(b, plan, x, y).i[0], table[i].want);
	}
	struct plan flag = {OP_lt, .elem = NORMC_BOOL, .shape = SHAPE(1)};
	EXPECT(b, RUN(b, flag, x, y), 0);
	flag.op = OP_le;
	EXPECT(b, RUN(b, flag, y, x), 1);
	struct attr_axes all = {1};
	struct tensor pair = VALUES(b, NORMC_U64, SHAPE(2), -2, 3);
	EXPECT(b, RUN(b, WITH(OP_reduce_max, {.axes = &all}, NORMC_U64, SHAPE(1)), pair), -2);
	EXPECT(b, RUN(b, WITH(OP_reduce_min, {.axes = &all}, NORMC_U64, SHAPE(1)), pair), 3);
}

static void powers_and_choice(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(3), 2, 9, -2),
		      half = VALUES(b, NORMC_F32, SHAPE(3), 3, 0.5, 3);
	struct tensor i = VALUES(b, NORMC_I32, SHAPE(3), 3, -1, 2);
	EXPECT(b, RUN(b, F32(pow, 3), x, half), 8, 3, -8);
	EXPECT(b, RUN(b, F32(pow, 3), x, i), 8, 1.0 / 9, 4);
	EXPECT(b, RUN(b, I32(pow, 3), i, half), 27, (double)(int32_t)INT64_MIN, 8);
	struct tensor minus = VALUES(b, NORMC_I32, SHAPE(3), -1, -3, 0);
	EXPECT(b, RUN(b, I32(pow, 3), minus, minus), -1, 0, 1);
	struct tensor c = VALUES(b, NORMC_BOOL, SHAPE(3), 1, 0, 1);
	EXPECT(b, RUN(b, F32(where, 3), c, x, half), 2, 0.5, -2);
}

static void wrong_shapes_are_reported(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(3), 1, 2, 3),
		      y = VALUES(b, NORMC_F32, SHAPE(2), 1, 2);
	FAILS(b, F32(add, 3), x, y);
	FAILS(b, F32(exp, 3), y);
	FAILS(b, F32(reshape, 3), y);
	struct attr_axis axis = {0};
	FAILS(b, WITH(OP_concat, {.axis = &axis}, NORMC_F32, SHAPE(4)), x, y);
	FAILS(b, PLAN(OP_exp, .elem = NORMC_F32, .shape = SHAPE(-1)), x);
}

/* ---- sources ---- */

static void sources(void **state)
{
	struct bench *b = *state;
	struct plan plan = {OP_iota, .elem = NORMC_I64, .shape = SHAPE(2, 3)};
	struct attr_iota iota = {.axis = 1};
	plan.attr.iota = &iota;
	EXPECT(b, bench_run(b, plan, NULL, 0), 0, 1, 2, 0, 1, 2);
	iota.axis = 0;
	EXPECT(b, bench_run(b, plan, NULL, 0), 0, 0, 0, 1, 1, 1);
	const struct dim *value[] = {dim_const(b->context.dims, 7), dim_const(b->context.dims, -1)};
	struct attr_dims dims = {1, 2, value};
	EXPECT(b, bench_run(b, WITH(OP_dims, {.dims = &dims}, NORMC_I64, SHAPE(2)), NULL, 0), 7,
	       -1);
	const float data[] = {1.5f, -2};
	struct attr_data constant = {.p = data, .bytes = sizeof data};
	EXPECT(b,
	       bench_run(b, WITH(OP_constant, {.data = &constant}, NORMC_F32, SHAPE(2)), NULL, 0),
	       1.5, -2);
}

/* ---- movement ---- */

static struct tensor count_up(struct bench *b, struct shape shape)
{
	struct tensor t = bench_tensor(b, NORMC_F32, shape);
	for (int64_t i = 0; i < t.count; i++)
		t.f[i] = (double)i;
	return t;
}

static void views(void **state)
{
	struct bench *b = *state;
	struct tensor x = count_up(b, SHAPE(2, 3));
	const struct attr_perm perm = {{1, 0}};
	EXPECT(b, RUN(b, WITH(OP_transpose, {.perm = &perm}, NORMC_F32, SHAPE(3, 2)), x), 0, 3, 1,
	       4, 2, 5);
	const struct attr_perm turn = {{2, 0, 1}};
	EXPECT(b,
	       RUN(b, WITH(OP_transpose, {.perm = &turn}, NORMC_F32, SHAPE(2, 2, 2)),
		   count_up(b, SHAPE(2, 2, 2))),
	       0, 2, 4, 6, 1, 3, 5, 7);
	EXPECT(b, RUN(b, F32(reshape, 6), x), 0, 1, 2, 3, 4, 5);
	EXPECT(b,
	       RUN(b, PLAN(OP_broadcast, .elem = NORMC_F32, .shape = SHAPE(2, 2)),
		   count_up(b, SHAPE(2, 1))),
	       0, 0, 1, 1);
	FAILS(b, PLAN(OP_broadcast, .elem = NORMC_F32, .shape = SHAPE(2, 2)), x);
}

static void slices(void **state)
{
	struct bench *b = *state;
	struct dims *d = b->context.dims;
	struct tensor x = count_up(b, SHAPE(3, 4));
	struct attr_slice a = {.start = {dim_const(d, 2), dim_const(d, 1)}, .step = {-2, 2}};
	EXPECT(b, RUN(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(2, 2)), x), 9, 11, 1, 3);
	FAILS(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(3, 2)), x);
	FAILS(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(2, 3)), x);
	a.step[0] = INT64_MIN;
	FAILS(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(2, 2)), x);
	EXPECT(b, RUN(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(1, 1)), x), 9);
	a.start[0] = dim_const(d, 3);
	FAILS(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(1, 1)), x);
	RUN(b, WITH(OP_slice, {.slice = &a}, NORMC_F32, SHAPE(0, 2)), x);
}

static void concatenation(void **state)
{
	struct bench *b = *state;
	struct attr_axis axis = {1};
	struct tensor x = count_up(b, SHAPE(2, 1)), y = count_up(b, SHAPE(2, 2)),
		      none = count_up(b, SHAPE(2, 0));
	EXPECT(b, RUN(b, WITH(OP_concat, {.axis = &axis}, NORMC_F32, SHAPE(2, 3)), x, none, y), 0,
	       0, 1, 1, 2, 3);
}

static void padding(void **state)
{
	static const struct {
		enum pad_mode mode;
		double want[9];
	} table[] = {
			{PAD_CONSTANT, {9, 9, 9, 0, 1, 2, 9, 9, 9}},
			{PAD_EDGE, {0, 0, 0, 0, 1, 2, 2, 2, 2}},
			{PAD_REFLECT, {1, 2, 1, 0, 1, 2, 1, 0, 1}},
			{PAD_WRAP, {0, 1, 2, 0, 1, 2, 0, 1, 2}},
	};
	struct bench *b = *state;
	struct dims *d = b->context.dims;
	struct tensor x = count_up(b, SHAPE(3)), nine = VALUES(b, NORMC_F32, SCALAR, 9);
	for (int i = 0; i < 4; i++) {
		struct attr_pad a = {{dim_const(d, 3)}, {dim_const(d, 3)}, table[i].mode};
		struct tensor got = RUN(b, WITH(OP_pad, {.pad = &a}, NORMC_F32, SHAPE(9)), x, nine);
		struct tensor want = bench_values(b, NORMC_F32, SHAPE(9), table[i].want);
		bench_equal(&got, &want, 0);
	}
	struct attr_pad crop = {{dim_const(d, -1)}, {dim_const(d, 1)}, PAD_CONSTANT};
	EXPECT(b, RUN(b, WITH(OP_pad, {.pad = &crop}, NORMC_F32, SHAPE(3)), x, nine), 1, 2, 9);
	crop.mode = PAD_EDGE;
	FAILS(b, WITH(OP_pad, {.pad = &crop}, NORMC_F32, SHAPE(3)), count_up(b, SHAPE(0)), nine);
	crop.before[0] = dim_const(d, INT64_MIN);
	FAILS(b, WITH(OP_pad, {.pad = &crop}, NORMC_F32, SHAPE(3)), x, nine);
}

static void gathering(void **state)
{
	struct bench *b = *state;
	struct tensor x = count_up(b, SHAPE(2, 3)), i = VALUES(b, NORMC_I64, SHAPE(2), -1, 0);
	struct attr_axis axis = {1};
	EXPECT(b, RUN(b, WITH(OP_gather, {.axis = &axis}, NORMC_F32, SHAPE(2, 2)), x, i), 2, 0, 5,
	       3);
	struct tensor far = VALUES(b, NORMC_I64, SHAPE(2), 0, 3),
		      below = VALUES(b, NORMC_I64, SHAPE(2), -4, 0);
	FAILS(b, WITH(OP_gather, {.axis = &axis}, NORMC_F32, SHAPE(2, 2)), x, far);
	FAILS(b, WITH(OP_gather, {.axis = &axis}, NORMC_F32, SHAPE(2, 2)), x, below);
	axis.axis = 0;
	struct tensor one = VALUES(b, NORMC_I32, SCALAR, 1);
	EXPECT(b, RUN(b, WITH(OP_gather, {.axis = &axis}, NORMC_F32, SHAPE(3)), x, one), 3, 4, 5);
	struct tensor each = VALUES(b, NORMC_I64, SHAPE(1, 3), 1, 0, -1);
	EXPECT(b,
	       RUN(b, WITH(OP_gather_elements, {.axis = &axis}, NORMC_F32, SHAPE(1, 3)), x, each),
	       3, 1, 5);
	axis.axis = 1;
	FAILS(b, WITH(OP_gather_elements, {.axis = &axis}, NORMC_F32, SHAPE(3, 1)), x,
	      VALUES(b, NORMC_I64, SHAPE(3, 1), 0, 0, 0));
}

/* ---- reductions ---- */

static struct tensor reduce_of(struct bench *b, enum op op, struct tensor x, uint32_t mask,
			       struct shape shape)
{
	struct attr_axes axes = {mask};
	return RUN(b, PLAN(op, {.axes = &axes}, x.elem, shape, EVAL_ROUND), x);
}

static void reductions(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(2, 3), 1, 2, 3, 4, -5, 6);
	EXPECT(b, reduce_of(b, OP_reduce_sum, x, 2, SHAPE(2, 1)), 6, 5);
	EXPECT(b, reduce_of(b, OP_reduce_sum, x, 1, SHAPE(1, 3)), 5, -3, 9);
	EXPECT(b, reduce_of(b, OP_reduce_sum, x, 0, SHAPE(2, 3)), 1, 2, 3, 4, -5, 6);
	EXPECT(b, reduce_of(b, OP_reduce_prod, x, 3, SHAPE(1, 1)), -720);
	EXPECT(b, reduce_of(b, OP_reduce_max, x, 2, SHAPE(2, 1)), 3, 6);
	EXPECT(b, reduce_of(b, OP_reduce_min, x, 2, SHAPE(2, 1)), 1, -5);
	struct tensor holes = VALUES(b, NORMC_F32, SHAPE(3), 1, NAN, 3);
	EXPECT(b, reduce_of(b, OP_reduce_max, holes, 1, SHAPE(1)), NAN);
	EXPECT(b, reduce_of(b, OP_reduce_min, holes, 1, SHAPE(1)), NAN);
	struct tensor none = count_up(b, SHAPE(0, 2));
	EXPECT(b, reduce_of(b, OP_reduce_sum, none, 1, SHAPE(1, 2)), 0, 0);
	EXPECT(b, reduce_of(b, OP_reduce_prod, none, 1, SHAPE(1, 2)), 1, 1);
	EXPECT(b, reduce_of(b, OP_reduce_max, none, 1, SHAPE(1, 2)), -inf, -inf);
	EXPECT(b, reduce_of(b, OP_reduce_min, none, 1, SHAPE(1, 2)), inf, inf);
	struct tensor bytes = VALUES(b, NORMC_I8, SHAPE(2), 100, 100);
	EXPECT(b, reduce_of(b, OP_reduce_sum, bytes, 1, SHAPE(1)), -56);
	struct tensor no_bytes = bench_tensor(b, NORMC_I8, SHAPE(0)),
		      no_u = bench_tensor(b, NORMC_U8, SHAPE(0));
	EXPECT(b, reduce_of(b, OP_reduce_max, no_bytes, 1, SHAPE(1)), -128);
	EXPECT(b, reduce_of(b, OP_reduce_min, no_bytes, 1, SHAPE(1)), 127);
	EXPECT(b, reduce_of(b, OP_reduce_max, no_u, 1, SHAPE(1)), 0);
	EXPECT(b, reduce_of(b, OP_reduce_min, no_u, 1, SHAPE(1)), 255);
}

/* The sum rounds once: 2048 + 1 in steps would stay at 2048 in f16. */
static void sums_round_once(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F16, SHAPE(4), 2048, 1, 1, 1);
	EXPECT(b, reduce_of(b, OP_reduce_sum, x, 1, SHAPE(1)), 2052);
}

static void positions(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(2, 4), 1, 7, 7, 0, NAN, 0, NAN, 0);
	struct attr_arg a = {.axis = 1};
	struct plan plan = {OP_argmax, {.arg = &a}, NORMC_I64, SHAPE(2, 1), EVAL_ROUND};
	EXPECT(b, RUN(b, plan, x), 1, 0);
	a.last = true;
	EXPECT(b, RUN(b, plan, x), 2, 2);
	plan.op = OP_argmin;
	EXPECT(b, RUN(b, plan, x), 3, 2);
	a.axis = 0;
	plan.shape = SHAPE(1, 2);
	EXPECT(b, RUN(b, plan, VALUES(b, NORMC_I32, SHAPE(3, 2), 4, 5, 3, 9, 8, 5)), 1, 2);
	FAILS(b, plan, bench_tensor(b, NORMC_I32, SHAPE(0, 2)));
}

static void softmax_sums_to_one(void **state)
{
	struct bench *b = *state;
	struct tensor x = VALUES(b, NORMC_F32, SHAPE(2, 2), 1000, log(3), 1000, 0);
	struct attr_softmax a = {.axis = 0};
	struct plan plan = {OP_softmax, {.softmax = &a}, NORMC_F32, SHAPE(2, 2), EVAL_EXACT};
	struct tensor got = RUN(b, plan, x),
		      want = VALUES(b, NORMC_F32, SHAPE(2, 2), 0.5, 0.75, 0.5, 0.25);
	bench_equal(&got, &want, 1e-15);
	a.log = true;
	got = RUN(b, plan, x);
	for (int i = 0; i < 4; i++)
		want.f[i] = log(want.f[i]);
	bench_equal(&got, &want, 1e-15);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(unary_functions),
			BENCH_TEST(unary_by_hand),
			BENCH_TEST(casts),
			BENCH_TEST(bitcasts),
			BENCH_TEST(float_arithmetic),
			BENCH_TEST(float_special_values),
			BENCH_TEST(integer_arithmetic),
			BENCH_TEST(u64_has_no_sign),
			BENCH_TEST(powers_and_choice),
			BENCH_TEST(wrong_shapes_are_reported),
			BENCH_TEST(sources),
			BENCH_TEST(views),
			BENCH_TEST(slices),
			BENCH_TEST(concatenation),
			BENCH_TEST(padding),
			BENCH_TEST(gathering),
			BENCH_TEST(reductions),
			BENCH_TEST(sums_round_once),
			BENCH_TEST(positions),
			BENCH_TEST(softmax_sums_to_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
