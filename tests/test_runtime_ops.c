/* The runtime's long-tail operators by themselves: a small case each with values from the
 * operator's formula, and the indices that must be refused.  The ONNX node tests go further. */
#include "test.h"

#include "module.h"
#include "ops.h"

enum { ROOM = 64 };

/* A dense tensor of floats (or i64, u8) with up to ROOM elements, and its argument. */
struct box {
	struct normc_arg arg;
	union {
		float f[ROOM];
		double d[ROOM];
		int64_t i[ROOM];
		unsigned char b[ROOM];
	} data;
};

static void box_shape(struct box *box, enum normc_elem elem, int32_t rank, const int64_t *dim)
{
	int64_t stride = 1;

	memset(box, 0, sizeof(*box));
	box->arg.elem = elem;
	box->arg.rank = rank;
	box->arg.data = box->data.b;
	for (int32_t i = rank - 1; i >= 0; i--) {
		box->arg.dim[i] = dim[i];
		box->arg.stride[i] = stride;
		stride *= dim[i];
	}
	assert_true(stride <= ROOM);
}

#define SHAPE(...)                                                                                 \
	(int32_t)(sizeof((int64_t[]){__VA_ARGS__}) / 8), (int64_t[])                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define BOX(name, elem, ...)                                                                       \
	struct box name;                                                                           \
	box_shape(&name, elem, SHAPE(__VA_ARGS__))
#define FILL(box, ...) memcpy((box).data.f, (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}))
#define FILL_I(box, ...)                                                                           \
	memcpy((box).data.i, (int64_t[]){__VA_ARGS__}, sizeof((int64_t[]){__VA_ARGS__}))
#define EXPECT(box, ...)                                                                           \
	test_close((box).data.f, (float[]){__VA_ARGS__}, sizeof((float[]){__VA_ARGS__}) / 4, 1e-6, \
		   1e-5)
#define EXPECT_I(box, ...)                                                                         \
	assert_memory_equal((box).data.i, ((int64_t[]){__VA_ARGS__}),                              \
			    sizeof((int64_t[]){__VA_ARGS__}))

/* Calls an operator on boxes; both lists end with NULL. */
static int32_t run(normc_extern *op, struct box *const *in, struct box *const *out,
		   const int64_t *ints, const double *floats)
{
	static double scratch[1024];
	struct normc_arg args[16] = {{0}}, results[4] = {{0}};
	struct normc_call call = {args, results, ints, floats, (unsigned char *)scratch,
				  0,	0,	 0,    0};

	for (; in[call.n_in]; call.n_in++)
		args[call.n_in] = in[call.n_in]->arg;
	for (; out[call.n_out]; call.n_out++)
		results[call.n_out] = out[call.n_out]->arg;
	call.n_ints = 16;
	call.n_floats = 16;
	return op(&call);
}

#define LIST(...)                                                                                  \
	(struct box *const[])                                                                      \
	{                                                                                          \
		__VA_ARGS__, NULL                                                                  \
	}
#define INTS(...)                                                                                  \
	(int64_t[16])                                                                              \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define FLOATS(...)                                                                                \
	(double[16])                                                                               \
	{                                                                                          \
		__VA_ARGS__                                                                        \
	}
#define RUN(op, in, out, ints, floats) assert_int_equal(run(op, in, out, ints, floats), NORMC_OK)

static void test_cast(void **state)
{
	BOX(x, NORMC_I64, 3);
	BOX(y, NORMC_F32, 3);
	BOX(z, NORMC_I8, 3);
	(void)state;
	/* the first would be rounded down if it went through a double */
	FILL_I(x, (INT64_C(1) << 60) + (INT64_C(1) << 36) + 1, -5, 300);
	RUN(normc_op_cast, LIST(&x), LIST(&y), INTS(1, 0), NULL);
	assert_true(y.data.f[0] == 0x1p60f + 0x1p37f && y.data.f[1] == -5 && y.data.f[2] == 300);
	RUN(normc_op_cast, LIST(&x), LIST(&z), INTS(1, 0), NULL);
	assert_int_equal((signed char)z.data.b[2], 44);
	FILL(y, -1.9f, 1.9f, 0.5f);
	RUN(normc_op_cast, LIST(&y), LIST(&z), INTS(1, 0), NULL);
	assert_int_equal((signed char)z.data.b[0], -1);
	assert_int_equal((signed char)z.data.b[1], 1);
}

/* ---- order ---- */

static void test_topk(void **state)
{
	BOX(x, NORMC_F32, 2, 5);
	BOX(values, NORMC_F32, 2, 3);
	BOX(indices, NORMC_I64, 2, 3);
	(void)state;
	FILL(x, 1, 4, 4, 2, 3, 5, 5, 5, 5, 9);
	RUN(normc_op_topk, LIST(&x), LIST(&values, &indices), INTS(1, 1, 1), NULL);
	EXPECT(values, 4, 4, 3, 9, 5, 5);
	EXPECT_I(indices, 1, 2, 4, 4, 0, 1);
	RUN(normc_op_topk, LIST(&x), LIST(&values, &indices), INTS(1, 0, 1), NULL);
	EXPECT(values, 1, 2, 3, 5, 5, 5);
	EXPECT_I(indices, 0, 3, 4, 0, 1, 2);
	values.arg.dim[1] = indices.arg.dim[1] = 6;
	assert_int_equal(run(normc_op_topk, LIST(&x), LIST(&values, &indices), INTS(1, 1, 1), NULL),
			 NORMC_INVALID);
}

static void test_cumsum(void **state)
{
	BOX(x, NORMC_F32, 2, 3);
	BOX(y, NORMC_F32, 2, 3);
	(void)state;
	FILL(x, 1, 2, 3, 4, 5, 6);
	RUN(normc_op_cumsum, LIST(&x), LIST(&y), INTS(1, 0, 0, 0), NULL);
	EXPECT(y, 1, 3, 6, 4, 9, 15);
	RUN(normc_op_cumsum, LIST(&x), LIST(&y), INTS(1, 1, 1, 0), NULL);
	EXPECT(y, 5, 3, 0, 11, 6, 0);
	RUN(normc_op_cumsum, LIST(&x), LIST(&y), INTS(0, 0, 0, 1), NULL);
	EXPECT(y, 1, 2, 3, 4, 10, 18);
}

static void test_hardmax_reverse_det(void **state)
{
	BOX(x, NORMC_F32, 3, 3);
	BOX(y, NORMC_F32, 3, 3);
	BOX(lengths, NORMC_I64, 3);
	struct box scalar;
	(void)state;
	FILL(x, 2, 0, 0, 1, 3, 3, 4, 5, 6);
	RUN(normc_op_hardmax, LIST(&x), LIST(&y), INTS(1), NULL);
	EXPECT(y, 1, 0, 0, 0, 1, 0, 0, 0, 1);
	FILL_I(lengths, 1, 2, 3);
	RUN(normc_op_reverse_sequence, LIST(&x, &lengths), LIST(&y), INTS(0, 1), NULL);
	EXPECT(y, 2, 0, 0, 3, 1, 3, 6, 5, 4);
	FILL_I(lengths, 1, 2, 4);
	assert_int_equal(run(normc_op_reverse_sequence, LIST(&x, &lengths), LIST(&y), INTS(0, 1),
			     NULL),
			 NORMC_INVALID);
	box_shape(&scalar, NORMC_F32, 0, NULL);
	RUN(normc_op_det, LIST(&x), LIST(&scalar), NULL, NULL);
	EXPECT(scalar, 6);
}

/* ---- sampling ---- */

static void test_resize(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 1, 4);
	BOX(y, NORMC_F32, 1, 1, 1, 8);
	BOX(half, NORMC_F32, 1, 1, 1, 2);
	BOX(bytes, NORMC_U8, 1, 1, 1, 4);
	BOX(wide, NORMC_U8, 1, 1, 1, 8);
	(void)state;
	FILL(x, 1, 2, 3, 4);
	RUN(normc_op_resize, LIST(&x), LIST(&y), INTS(0, 4, 2), FLOATS(-0.75, 0, 1, 1, 1, 2));
	EXPECT(y, 1, 1, 2, 2, 3, 3, 4, 4);
	RUN(normc_op_resize, LIST(&x), LIST(&y), INTS(1, 0, 0), FLOATS(-0.75, 0, 1, 1, 1, 0));
	EXPECT(y, 1, 1.25f, 1.75f, 2.25f, 2.75f, 3.25f, 3.75f, 4);
	RUN(normc_op_resize, LIST(&x), LIST(&half), INTS(1, 3, 0), FLOATS(-0.75, 0, 1, 1, 1, 0.5));
	EXPECT(half, 1, 4);
	/* a triangle of width 4 around 0.5 and 2.5, cut at the border by repetition */
	RUN(normc_op_resize, LIST(&x), LIST(&half), INTS(1, 0, 0, 1),
	    FLOATS(-0.75, 0, 1, 1, 1, 0.5));
	EXPECT(half, 1.625f, 3.375f);
	memcpy(bytes.data.b, (unsigned char[]){0, 255, 255, 0}, 4);
	RUN(normc_op_resize, LIST(&bytes), LIST(&wide), INTS(2, 0, 0),
	    FLOATS(-0.75, 0, 1, 1, 1, 2));
	assert_int_equal(wide.data.b[0], 0);   /* undershoots */
	assert_int_equal(wide.data.b[3], 255); /* overshoots */
	assert_int_equal(run(normc_op_resize, LIST(&x), LIST(&half), INTS(1),
			     FLOATS(0, 0, 1, 1, 1, (double)NAN)),
			 NORMC_INVALID);
}

static void test_grid_sample(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 2, 2);
	BOX(grid, NORMC_F32, 1, 1, 4, 2);
	BOX(y, NORMC_F32, 1, 1, 1, 4);
	(void)state;
	FILL(x, 1, 2, 3, 4);
	FILL(grid, 0, 0, -1, -1, 1, 0, 1e30f, -INFINITY);
	RUN(normc_op_grid_sample, LIST(&x, &grid), LIST(&y), INTS(0, 0, 1), NULL);
	EXPECT(y, 2.5f, 1, 3, 0);
	RUN(normc_op_grid_sample, LIST(&x, &grid), LIST(&y), INTS(0, 1, 0), NULL);
	EXPECT(y, 2.5f, 1, 3, 2);
	grid.data.f[6] = 2; /* reflected at 1.5 to 0.5 */
	grid.data.f[7] = 0;
	RUN(normc_op_grid_sample, LIST(&x, &grid), LIST(&y), INTS(0, 2, 0), NULL);
	EXPECT(y, 2.5f, 1, 3, 2.5f);
	grid.data.f[0] = NAN;
	RUN(normc_op_grid_sample, LIST(&x, &grid), LIST(&y), INTS(2, 2, 0), NULL);
}

static void test_regions(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 4, 4);
	BOX(rois, NORMC_F32, 1, 4);
	BOX(five, NORMC_F32, 1, 5);
	BOX(batch, NORMC_I64, 1);
	BOX(y, NORMC_F32, 1, 1, 1, 2);
	(void)state;
	for (int i = 0; i < 16; i++)
		x.data.f[i] = (float)i;
	FILL(rois, 0, 0, 4, 4);
	RUN(normc_op_roi_align, LIST(&x, &rois, &batch), LIST(&y), INTS(0, 2, 1), FLOATS(1));
	EXPECT(y, 6.5f, 8.5f);
	FILL(five, 0, 0, 0, 3, 3);
	RUN(normc_op_max_roi_pool, LIST(&x, &five), LIST(&y), NULL, FLOATS(1));
	EXPECT(y, 13, 15);
	FILL_I(batch, 1);
	assert_int_equal(run(normc_op_roi_align, LIST(&x, &rois, &batch), LIST(&y), INTS(0, 2, 1),
			     FLOATS(1)),
			 NORMC_INVALID);
	five.data.f[0] = NAN;
	assert_int_equal(run(normc_op_max_roi_pool, LIST(&x, &five), LIST(&y), NULL, FLOATS(1)),
			 NORMC_INVALID);
	FILL_I(batch, 0);
	rois.data.f[2] = INFINITY;
	assert_int_equal(run(normc_op_roi_align, LIST(&x, &rois, &batch), LIST(&y), INTS(0, 0, 1),
			     FLOATS(1)),
			 NORMC_INVALID);
}

static void test_deform_conv(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 3, 3);
	BOX(w, NORMC_F32, 1, 1, 2, 2);
	BOX(offset, NORMC_F32, 1, 8, 2, 2);
	BOX(y, NORMC_F32, 1, 1, 2, 2);
	(void)state;
	FILL(x, 1, 2, 3, 4, 5, 6, 7, 8, 9);
	FILL(w, 1, 1, 1, 1);
	offset.data.f[0] = 0.5f; /* the first tap of y[0][0] lies between 1 and 4 */
	RUN(normc_op_deform_conv, LIST(&x, &w, &offset), LIST(&y), INTS(1, 1, 1, 1, 1, 1, 0, 0),
	    NULL);
	EXPECT(y, 13.5f, 16, 24, 28);
}

/* ---- recurrent ---- */

static void test_recurrent(void **state)
{
	BOX(x, NORMC_F32, 2, 1, 1);
	BOX(w, NORMC_F32, 1, 4, 1);
	BOX(r, NORMC_F32, 1, 4, 1);
	BOX(y, NORMC_F32, 2, 1, 1, 1);
	BOX(h, NORMC_F32, 1, 1, 1);
	BOX(c, NORMC_F32, 1, 1, 1);
	BOX(absent, NORMC_F32, 0);
	BOX(lengths, NORMC_I64, 1);
	double state_h = 0, state_c = 0;
	(void)state;
	absent.arg.data = NULL;
	FILL(x, 0.5f, -1);
	FILL(w, 0.1f, 0.2f, 0.3f, 0.4f);
	FILL(r, 0.5f, 0.6f, 0.7f, 0.8f);
	for (int t = 0; t < 2; t++) {
		double gate[4];

		for (int k = 0; k < 4; k++)
			gate[k] = w.data.f[k] * x.data.f[t] + r.data.f[k] * state_h;
		state_c = state_c / (1 + exp(-gate[2])) + tanh(gate[3]) / (1 + exp(-gate[0]));
		state_h = tanh(state_c) / (1 + exp(-gate[1]));
	}
	RUN(normc_op_lstm, LIST(&x, &w, &r), LIST(&y, &h, &c), INTS(0, 0, 0, 0, 1, 1), FLOATS(0));
	EXPECT(h, (float)state_h);
	EXPECT(c, (float)state_c);
	assert_true(y.data.f[1] == h.data.f[0]);
	/* rnn: w and r have one row in use */
	w.arg.dim[1] = r.arg.dim[1] = 1;
	RUN(normc_op_rnn, LIST(&x, &w, &r), LIST(&y, &h), INTS(1, 0, 0, 1), FLOATS(0));
	EXPECT(h, (float)tanh(0.1 * 0.5 + 0.5 * tanh(-0.1)));
	FILL_I(lengths, 1);
	RUN(normc_op_rnn, LIST(&x, &w, &r, &absent, &lengths), LIST(&y, &h), INTS(0, 0, 0, 1),
	    FLOATS(0));
	EXPECT(y, (float)tanh(0.05), 0);
	FILL_I(lengths, 3);
	assert_int_equal(run(normc_op_rnn, LIST(&x, &w, &r, &absent, &lengths), LIST(&y, &h),
			     INTS(0, 0, 0, 1), FLOATS(0)),
			 NORMC_INVALID);
}

static void test_gru(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 1);
	BOX(w, NORMC_F32, 1, 3, 1);
	BOX(r, NORMC_F32, 1, 3, 1);
	BOX(b, NORMC_F32, 1, 6);
	BOX(absent, NORMC_F32, 0);
	BOX(h0, NORMC_F32, 1, 1, 1);
	BOX(y, NORMC_F32, 1, 1, 1, 1);
	BOX(h, NORMC_F32, 1, 1, 1);
	double z, reset, fresh;
	(void)state;
	absent.arg.data = NULL;
	FILL(x, 2);
	FILL(w, 0.1f, 0.2f, 0.3f);
	FILL(r, 0.4f, 0.5f, 0.6f);
	FILL(b, 0.01f, 0.02f, 0.03f, 0.04f, 0.05f, 0.06f);
	FILL(h0, 0.7f);
	z = 1 / (1 + exp(-(0.2 + 0.28 + 0.05)));
	reset = 1 / (1 + exp(-(0.4 + 0.35 + 0.07)));
	fresh = tanh(0.6 + 0.6 * reset * 0.7 + 0.09);
	RUN(normc_op_gru, LIST(&x, &w, &r, &b, &absent, &h0), LIST(&y, &h), INTS(0, 0, 0, 0, 1),
	    FLOATS(0));
	EXPECT(h, (float)((1 - z) * fresh + z * 0.7));
	fresh = tanh(0.6 + reset * (0.42 + 0.06) + 0.03);
	RUN(normc_op_gru, LIST(&x, &w, &r, &b, &absent, &h0), LIST(&y, &h), INTS(0, 1, 1, 0, 1),
	    FLOATS(0));
	EXPECT(h, (float)((1 - z) * fresh + z * 0.7));
}

/* ---- windows ---- */

static void test_max_pool(void **state)
{
	BOX(x, NORMC_F32, 1, 1, 3, 4);
	BOX(y, NORMC_F32, 1, 1, 2, 2);
	BOX(indices, NORMC_I64, 1, 1, 2, 2);
	BOX(back, NORMC_F32, 1, 1, 3, 4);
	(void)state;
	FILL(x, 1, 9, 3, 4, 5, 6, 7, 8, 2, 0, 1, 11);
	RUN(normc_op_max_pool, LIST(&x), LIST(&y, &indices), INTS(0, 2, 2, 2, 2, 1, 1, 0, 0), NULL);
	EXPECT(y, 9, 8, 2, 11);
	EXPECT_I(indices, 1, 7, 8, 11);
	RUN(normc_op_max_pool, LIST(&x), LIST(&y, &indices), INTS(1, 2, 2, 2, 2, 1, 1, 0, 0), NULL);
	EXPECT_I(indices, 3, 10, 2, 11);
	FILL_I(indices, 1, 7, 8, 11);
	RUN(normc_op_max_unpool, LIST(&y, &indices), LIST(&back), INTS(1, 2, 2, 2, 0, 0, 0, 0),
	    NULL);
	EXPECT(back, 0, 9, 0, 0, 0, 0, 0, 8, 2, 0, 0, 11);
	FILL_I(indices, 1, 7, 8, 12);
	assert_int_equal(run(normc_op_max_unpool, LIST(&y, &indices), LIST(&back),
			     INTS(1, 2, 2, 2, 0, 0, 0, 0), NULL),
			 NORMC_INVALID);
}

static void test_lrn_col2im(void **state)
{
	BOX(x, NORMC_F32, 1, 3, 1, 1);
	BOX(y, NORMC_F32, 1, 3, 1, 1);
	BOX(columns, NORMC_F32, 1, 4, 4);
	BOX(image, NORMC_F32, 1, 1, 3, 3);
	(void)state;
	FILL(x, 1, 2, 3);
	RUN(normc_op_lrn, LIST(&x), LIST(&y), INTS(3), FLOATS(3, 1, 1));
	EXPECT(y, 1 / 6.0f, 2 / 15.0f, 3 / 14.0f);
	for (int i = 0; i < 16; i++)
		columns.data.f[i] = 1;
	RUN(normc_op_col2im, LIST(&columns), LIST(&image), INTS(2, 2, 1, 1, 1, 1, 0, 0, 0, 0),
	    NULL);
	EXPECT(image, 1, 2, 1, 2, 4, 2, 1, 2, 1);
}

/* ---- quantized ---- */

static void test_quantize(void **state)
{
	BOX(x, NORMC_F32, 2, 2);
	BOX(scale, NORMC_F32, 2);
	BOX(zero, NORMC_U8, 2);
	BOX(y, NORMC_U8, 2, 2);
	BOX(back, NORMC_F32, 2, 2);
	BOX(s, NORMC_F32, 1);
	BOX(z, NORMC_U8, 1);
	(void)state;
	FILL(x, 1, -300, 2.5f, 1000);
	FILL(scale, 1, 2);
	zero.data.b[0] = 10;
	zero.data.b[1] = 128;
	RUN(normc_op_quantize_linear, LIST(&x, &scale, &zero), LIST(&y), INTS(1, 0, 1, 0), NULL);
	assert_memory_equal(y.data.b, ((unsigned char[]){11, 0, 12, 255}), 4);
	RUN(normc_op_dequantize_linear, LIST(&y, &scale, &zero), LIST(&back), INTS(1, 0), NULL);
	EXPECT(back, 1, -256, 2, 254);
	FILL(x, 0, 2, -3, -2.5f);
	RUN(normc_op_dynamic_quantize_linear, LIST(&x), LIST(&y, &s, &z), NULL, NULL);
	EXPECT(s, 5 / 255.0f);
	assert_int_equal(z.data.b[0], 153);
	assert_memory_equal(y.data.b, ((unsigned char[]){153, 255, 0, 26}), 4);
}

static void test_integer_products(void **state)
{
	BOX(x, NORMC_U8, 1, 1, 2, 2);
	BOX(w, NORMC_U8, 1, 1, 2, 2);
	BOX(zero, NORMC_U8, 1);
	BOX(one, NORMC_F32, 1);
	BOX(y, NORMC_I32, 1, 1, 1, 1);
	BOX(q, NORMC_U8, 1, 1, 1, 1);
	BOX(product, NORMC_U8, 2, 2);
	struct box a = x, b = w;
	(void)state;
	memcpy(x.data.b, (unsigned char[]){1, 2, 3, 4}, 4);
	memcpy(w.data.b, (unsigned char[]){1, 1, 2, 2}, 4);
	zero.data.b[0] = 1;
	FILL(one, 0.5f);
	RUN(normc_op_conv_integer, LIST(&x, &w, &zero), LIST(&y), INTS(1, 1, 1, 1, 1, 0, 0), NULL);
	assert_int_equal(y.data.i[0], 0 + 1 + 4 + 6);
	RUN(normc_op_qlinear_conv, LIST(&x, &one, &zero, &w, &one, &zero, &one, &zero), LIST(&q),
	    INTS(1, 1, 1, 1, 1, 0, 0), NULL);
	assert_int_equal(q.data.b[0], 4); /* (2 + 3) * 0.5 + 1 to even */
	box_shape(&a, NORMC_U8, SHAPE(2, 2));
	box_shape(&b, NORMC_U8, SHAPE(2, 2));
	memcpy(a.data.b, (unsigned char[]){1, 2, 3, 4}, 4);
	memcpy(b.data.b, (unsigned char[]){2, 1, 1, 3}, 4);
	box_shape(&y, NORMC_I32, SHAPE(2, 2));
	RUN(normc_op_matmul_integer, LIST(&a, &b, &zero), LIST(&y), NULL, NULL);
	assert_memory_equal(y.data.b, ((int32_t[]){1, 3, 7, 11}), 16);
	RUN(normc_op_qlinear_matmul, LIST(&a, &one, &zero, &b, &one, &zero, &one, &zero),
	    LIST(&product), NULL, NULL);
	assert_memory_equal(product.data.b, ((unsigned char[]){1, 2, 2, 4}), 4);
}

/* ---- spectra ---- */

static void test_dft(void **state)
{
	BOX(x, NORMC_F64, 1, 12, 1);
	BOX(y, NORMC_F64, 1, 7, 2);
	BOX(back, NORMC_F64, 1, 12, 1);
	(void)state;
	for (int i = 0; i < 12; i++)
		x.data.d[i] = sin(i * i + 1);
	RUN(normc_op_dft, LIST(&x), LIST(&y), INTS(1, 0, 1, 12), NULL);
	for (int k = 0; k < 7; k++) {
		double re = 0, im = 0;

		for (int i = 0; i < 12; i++) {
			re += x.data.d[i] * cos(2 * acos(-1) * k * i / 12);
			im -= x.data.d[i] * sin(2 * acos(-1) * k * i / 12);
		}
		assert_true(fabs(y.data.d[2 * k] - re) < 1e-12);
		assert_true(fabs(y.data.d[2 * k + 1] - im) < 1e-12);
	}
	RUN(normc_op_dft, LIST(&y), LIST(&back), INTS(1, 1, 1, 12), NULL);
	for (int i = 0; i < 12; i++)
		assert_true(fabs(back.data.d[i] - x.data.d[i]) < 1e-14);
}

static void test_stft_mel(void **state)
{
	BOX(x, NORMC_F32, 1, 6, 1);
	BOX(window, NORMC_F32, 4);
	BOX(y, NORMC_F32, 1, 2, 3, 2);
	BOX(mel, NORMC_F32, 5, 2);
	BOX(eight, NORMC_F32, 1);
	BOX(low, NORMC_F32, 1);
	BOX(high, NORMC_F32, 1);
	(void)state;
	FILL(x, 1, 2, 3, 4, 5, 6);
	FILL(window, 1, 1, 1, 0);
	RUN(normc_op_stft, LIST(&x, &window), LIST(&y), INTS(2, 4, 1), NULL);
	EXPECT(y, 6, 0, -2, -2, 2, 0, 12, 0, -2, -4, 4, 0);
	FILL(eight, 8);
	FILL(low, 0);
	FILL(high, 4);
	RUN(normc_op_mel_weight_matrix, LIST(&eight, &eight, &eight, &low, &high), LIST(&mel), NULL,
	    NULL);
	EXPECT(mel, 0, 0, 1, 0, 0, 1, 0, 0, 0, 0);
	FILL(high, 400);
	assert_int_equal(run(normc_op_mel_weight_matrix, LIST(&eight, &eight, &eight, &low, &high),
			     LIST(&mel), NULL, NULL),
			 NORMC_INVALID);
}

/* ---- scatter ---- */

static void test_scatter(void **state)
{
	BOX(x, NORMC_F32, 2, 3);
	BOX(indices, NORMC_I64, 2, 1);
	BOX(rows, NORMC_F32, 2, 3);
	BOX(places, NORMC_I64, 2, 2);
	BOX(updates, NORMC_F32, 2, 2);
	BOX(y, NORMC_F32, 2, 3);
	(void)state;
	FILL(x, 1, 2, 3, 4, 5, 6);
	FILL(rows, 10, 20, 30, 40, 50, 60);
	FILL_I(indices, -1, 1);
	RUN(normc_op_scatter_nd, LIST(&x, &indices, &rows), LIST(&y), INTS(1), NULL);
	EXPECT(y, 1, 2, 3, 54, 75, 96);
	FILL_I(indices, 0, 2);
	assert_int_equal(run(normc_op_scatter_nd, LIST(&x, &indices, &rows), LIST(&y), INTS(0),
			     NULL),
			 NORMC_INVALID);
	FILL_I(places, 0, 2, 1, 1);
	FILL(updates, 7, 8, 9, 3);
	RUN(normc_op_scatter_elements, LIST(&x, &places, &updates), LIST(&y), INTS(1, 3), NULL);
	EXPECT(y, 7, 2, 8, 4, 9, 6);
	FILL_I(places, 0, 3, 1, 1);
	assert_int_equal(run(normc_op_scatter_elements, LIST(&x, &places, &updates), LIST(&y),
			     INTS(1, 0), NULL),
			 NORMC_INVALID);
}

static void test_gather_nd(void **state)
{
	BOX(x, NORMC_F32, 2, 3);
	BOX(indices, NORMC_I64, 2, 2);
	BOX(single, NORMC_I64, 2, 1);
	BOX(y, NORMC_F32, 2);
	BOX(past, NORMC_F32, 1, 4);
	BOX(update, NORMC_F32, 1, 2);
	BOX(start, NORMC_I64, 1);
	BOX(present, NORMC_F32, 1, 4);
	(void)state;
	FILL(x, 1, 2, 3, 4, 5, 6);
	FILL_I(indices, 0, 2, -1, -3);
	RUN(normc_op_gather_nd, LIST(&x, &indices), LIST(&y), INTS(0), NULL);
	EXPECT(y, 3, 4);
	FILL_I(single, 1, 2);
	RUN(normc_op_gather_nd, LIST(&x, &single), LIST(&y), INTS(1), NULL);
	EXPECT(y, 2, 6);
	FILL_I(single, 1, INT64_MIN);
	assert_int_equal(run(normc_op_gather_nd, LIST(&x, &single), LIST(&y), INTS(1), NULL),
			 NORMC_INVALID);
	FILL(past, 1, 2, 3, 4);
	FILL(update, 8, 9);
	FILL_I(start, 3);
	RUN(normc_op_tensor_scatter, LIST(&past, &update, &start), LIST(&present), INTS(1, 1),
	    NULL);
	EXPECT(present, 9, 2, 3, 8);
	assert_int_equal(run(normc_op_tensor_scatter, LIST(&past, &update, &start), LIST(&present),
			     INTS(1, 0), NULL),
			 NORMC_INVALID);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_cast),
			cmocka_unit_test(test_topk),
			cmocka_unit_test(test_cumsum),
			cmocka_unit_test(test_hardmax_reverse_det),
			cmocka_unit_test(test_resize),
			cmocka_unit_test(test_grid_sample),
			cmocka_unit_test(test_regions),
			cmocka_unit_test(test_deform_conv),
			cmocka_unit_test(test_recurrent),
			cmocka_unit_test(test_gru),
			cmocka_unit_test(test_max_pool),
			cmocka_unit_test(test_lrn_col2im),
			cmocka_unit_test(test_quantize),
			cmocka_unit_test(test_integer_products),
			cmocka_unit_test(test_dft),
			cmocka_unit_test(test_stft_mel),
			cmocka_unit_test(test_scatter),
			cmocka_unit_test(test_gather_nd),
	};

	return cmocka_run_group_tests_name("runtime_ops", tests, NULL, NULL);
}
