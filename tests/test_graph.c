/* The graph builder: equal nodes are one node, numpy broadcasting, types of every kind of
 * operation, what is tracked of integers, poison, and the texts of reports. */
#include "test_ir.h"

static struct node *input(struct ir_fixture *f, enum normc_elem elem, int32_t rank,
			  const int64_t *dim)
{
	struct type type = {.elem = elem, .rank = rank};
	for (int32_t i = 0; i < rank; i++) /* -1: a new symbol */
		type.dim[i] = dim[i] >= 0 ? dim_const(f->context.dims, dim[i])
					  : ir_symbol(f, "", f->g->n_inputs, (uint32_t)i);
	return graph_input(f->g, "x", &type);
}
#define INPUT(f, elem, rank, ...) input(f, elem, rank, (const int64_t[]){__VA_ARGS__})

static struct node *integers(struct ir_fixture *f, uint32_t n, const int64_t *value)
{
	const struct dim *d[16];
	for (uint32_t i = 0; i < n; i++)
		d[i] = dim_const(f->context.dims, value[i]);
	return build_dims(f->g, 1, n, d);
}
#define INTEGERS(f, n, ...) integers(f, n, (const int64_t[]){__VA_ARGS__})

/* The extents of a node as an i64 vector, as the importer builds ONNX's Shape. */
static struct node *shape_of(struct ir_fixture *f, const struct node *n)
{
	return build_dims(f->g, 1, (uint32_t)n->type.rank, n->type.dim);
}

static void assert_ints(struct ir_fixture *f, const struct node *n, const char *expected)
{
	char text[300] = "";
	assert_non_null(n->ints);
	for (int64_t i = 0; i < node_n_ints(n); i++) {
		size_t used = strlen(text);
		snprintf(text + used, sizeof(text) - used, "%s", i ? "; " : "");
		used = strlen(text);
		dim_print(f->context.dims, n->ints[i], text + used, sizeof(text) - used);
	}
	assert_string_equal(text, expected);
}

static void test_sharing(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *a = INPUT(f, NORMC_F32, 2, -1, 3), *b = INPUT(f, NORMC_F32, 2, -1, 3);
	assert_ptr_not_equal(a, b);
	struct node *sum = build_binary(g, OP_add, a, a);
	assert_ptr_equal(sum, build_binary(g, OP_add, a, a));
	assert_ptr_not_equal(sum, build_binary(g, OP_sub, a, a));
	assert_ptr_equal(build_number(g, NORMC_F32, 2), build_number(g, NORMC_F32, 2));
	assert_ptr_not_equal(build_number(g, NORMC_F32, 2), build_number(g, NORMC_F64, 2));
	assert_ptr_not_equal(build_number(g, NORMC_F32, 0), build_number(g, NORMC_F32, -0.0));
	assert_ptr_equal(build_softmax(g, a, 1, false), build_softmax(g, a, 1, false));
	assert_ptr_not_equal(build_softmax(g, a, 1, false), build_softmax(g, a, 1, true));
	assert_ptr_equal(build_reduce(g, OP_reduce_sum, a, 2, true),
			 build_reduce(g, OP_reduce_sum, a, 2, true));
	uint32_t n = g->n_nodes;
	for (int i = 0; i < 1000; i++)
		build_unary(g, OP_exp, build_unary(g, OP_neg, a));
	assert_int_equal(g->n_nodes, n + 2);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		assert_int_equal(g->nodes[i]->id, i);
	ir_assert_lines(f, "");
}

static void test_broadcast(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *x = INPUT(f, NORMC_F32, 3, -1, 4, 5), *row = INPUT(f, NORMC_F32, 1, 5);
	struct node *column = INPUT(f, NORMC_F32, 2, 4, 1);
	ir_assert_type(f, build_binary(g, OP_add, x, row), "f32[s0,4,5]");
	ir_assert_type(f, build_binary(g, OP_mul, row, column), "f32[4,5]");
	ir_assert_type(f, build_binary(g, OP_lt, x, build_number(g, NORMC_F32, 0)), "bool[s0,4,5]");
	struct node *positive = build_binary(g, OP_lt, build_number(g, NORMC_F32, 0), x);
	ir_assert_type(f, build_where(g, positive, row, column), "f32[s0,4,5]");
	assert_int_equal(f->context.n_equal, 0);
	build_binary(g, OP_add, x, INPUT(f, NORMC_F32, 3, -1, 4, 5)); /* taken to be equal */
	assert_int_equal(f->context.n_equal, 1);
	ir_assert_type(f, build_matmul(g, x, INPUT(f, NORMC_F32, 2, 5, 7)), "f32[s0,4,7]");
	ir_assert_type(f, build_matmul(g, INPUT(f, NORMC_F32, 4, 2, 1, 3, 4), x), "f32[2,s0,3,5]");
	ir_assert_type(f, build_matmul(g, row, INPUT(f, NORMC_F32, 1, 5)), "f32[]");
	ir_assert_lines(f, "");
}

static void test_windows(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	const struct dim *zero = dim_const(f->context.dims, 0),
			 *one = dim_const(f->context.dims, 1);
	struct node *x = INPUT(f, NORMC_F32, 4, -1, 8, -1, 28),
		    *w = INPUT(f, NORMC_F32, 4, 6, 4, 3, 3);
	struct attr_conv conv = {.spatial = 2,
				 .groups = 2,
				 .stride = {2, 1},
				 .dilation = {1, 2},
				 .x_dilation = {1, 1},
				 .before = {one, zero},
				 .after = {one, zero}};
	ir_assert_type(f, build_conv(g, x, w, &conv), "f32[s0,6,(s1 + 1) floordiv 2,24]");
	conv.x_dilation[1] = 2;
	ir_assert_type(f, build_conv(g, x, w, &conv), "f32[s0,6,(s1 + 1) floordiv 2,51]");
	conv.groups = 3;
	assert_true(node_is_poison(build_conv(g, x, w, &conv)));
	ir_assert_lines(f, "error: conv: 3 groups of operand 1 of type f32[6,4,3,3] do not fit "
			   "operand 0 of type "
			   "f32[s0,8,s1,28]\n");
	struct attr_pool pool = {.spatial = 2,
				 .kernel = {3, 3},
				 .stride = {2, 2},
				 .dilation = {1, 1},
				 .before = {zero, zero},
				 .after = {zero, zero}};
	ir_assert_type(f, build_pool(g, OP_pool_max, x, &pool),
		       "f32[s0,8,(s1 + 1) floordiv 2 - 1,13]");
	pool.kernel[1] = 40;
	assert_true(node_is_poison(build_pool(g, OP_pool_max, x, &pool)));
	ir_assert_lines(f, "error: pool_max: the kernel exceeds spatial dimension 1 of operand 0 "
			   "of type "
			   "f32[s0,8,s1,28]\n");
}

static void test_movement(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct dims *dims = f->context.dims;
	struct node *x = INPUT(f, NORMC_F32, 3, -1, 4, 6), *index = INPUT(f, NORMC_I64, 2, 2, 3);
	ir_assert_type(f, build_gather(g, x, index, 1), "f32[s0,2,3,6]");
	ir_assert_type(f, build_transpose(g, x, (const int32_t[]){2, 0, 1}), "f32[6,s0,4]");
	ir_assert_type(f, build_concat(g, (struct node *[]){x, x}, 2, 0), "f32[s0*2,4,6]");
	ir_assert_type(f,
		       build_slice(g, x, 2,
				   (struct slice_range){dim_const(dims, 5), dim_const(dims, 3),
							-2}),
		       "f32[s0,4,3]");
	ir_assert_type(f, build_squeeze(g, build_reduce(g, OP_reduce_max, x, 4, true), 4),
		       "f32[s0,4]");
	ir_assert_type(f, build_unsqueeze(g, x, 1 | 1 << 4), "f32[1,s0,4,6,1]");
	const struct dim *flat[2] = {x->type.dim[0], dim_const(dims, 24)};
	ir_assert_type(f, build_reshape(g, x, 2, flat), "f32[s0,24]");
	assert_ptr_equal(build_reshape(g, build_reshape(g, x, 2, flat), 3, x->type.dim), x);
	ir_assert_lines(f, "");
	build_slice(g, x, 2, (struct slice_range){dim_const(dims, 5), dim_const(dims, 4), -2});
	const struct dim *wrong[2] = {dim_const(dims, 4), dim_const(dims, 2)};
	build_reshape(g, INPUT(f, NORMC_F32, 1, 6), 2, wrong);
	build_gather(g, x, x, 1);
	build_concat(g, (struct node *[]){x, index}, 2, 0);
	ir_assert_lines(f,
			"error: slice: dimension 2 leaves operand 0 of type f32[s0,4,6]\n"
			"error: reshape: the elements of operand 0 of type f32[6] do not fill "
			"f32[4,2]\n"
			"error: gather: operand 1 of type f32[s0,4,6] must have an integer type\n"
			"error: concat: operand 1 of type i64[2,3] does not fit operand 0 of type "
			"f32[s0,4,6]\n");
}

static void test_norm(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *x = INPUT(f, NORMC_F32, 3, -1, 4, 6), *gamma = INPUT(f, NORMC_F32, 3, 1, 1, 6);
	struct attr_norm attr = {.axes = 4,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .epsilon = 1e-5};
	ir_assert_type(f, build_norm(g, (struct norm_operands){.x = x, .gamma = gamma}, &attr),
		       "f32[s0,4,6]");
	attr.axes = 0;
	assert_true(node_is_poison(
			build_norm(g, (struct norm_operands){.x = x, .gamma = gamma}, &attr)));
	attr.axes = 4;
	assert_true(node_is_poison(build_norm(
			g, (struct norm_operands){.x = x, .gamma = INPUT(f, NORMC_F32, 1, 6)},
			&attr)));
	ir_assert_lines(f, "error: norm: axes 0x0 do not suit operand 0 of type f32[s0,4,6]\n"
			   "error: norm: operand 1 of type f32[6] does not fit operand 0 of type "
			   "f32[s0,4,6]\n");
}

static void test_poison(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *a = INPUT(f, NORMC_F32, 2, 2, 3), *b = INPUT(f, NORMC_F32, 2, 2, 4);
	const struct source sources[] = {{0}, {"fc1", "Add", "", 17, 13}};
	f->diag.file = "bert.onnx";
	f->diag.sources = sources;
	f->diag.n_sources = 2;
	g->at.source = 1;
	struct node *operands[] = {a, b};
	struct node *bad = graph_node(g, OP_add, operands, 2, (union attr){NULL});
	assert_true(node_is_poison(bad));
	ir_assert_lines(f, "bert.onnx: error: node 17 'fc1' (Add, opset 13): add: operand 1 of "
			   "type f32[2,4] does not fit "
			   "operand 0 of type f32[2,3]\n");
	assert_true(node_is_poison(build_binary(g, OP_mul, bad, a)));
	assert_true(node_is_poison(build_reshape(g, bad, 1, a->type.dim)));
	assert_true(node_is_poison(build_cast(g, bad, NORMC_F16)));
	assert_true(node_is_poison(build_mean(g, bad, 1, true)));
	ir_assert_lines(f, "");
	assert_int_equal(f->diag.errors, 1);
	assert_int_equal(f->diag.status, NORMC_INVALID);
}

static void test_element_types(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *x = INPUT(f, NORMC_F32, 1, 2), *i = INPUT(f, NORMC_I64, 1, 2),
		    *b = INPUT(f, NORMC_BOOL, 1, 2);
	build_unary(g, OP_exp, i);
	build_unary(g, OP_not, x);
	build_binary(g, OP_add, b, b);
	build_binary(g, OP_add, x, i);
	build_where(g, x, i, i);
	ir_assert_lines(f,
			"error: exp: operand 0 of type i64[2] must have a floating-point type\n"
			"error: not: operand 0 of type f32[2] must have bool or an integer type\n"
			"error: add: operand 0 of type bool[2] must have a number type\n"
			"error: add: operand 1 of type i64[2] does not fit operand 0 of type "
			"f32[2]\n"
			"error: where: operand 0 of type f32[2] must have bool\n");
	ir_assert_type(f, build_binary(g, OP_max, b, b), "bool[2]");
	ir_assert_type(f, build_binary(g, OP_pow, x, i), "f32[2]");
}

/* The chains that exporters write: Shape, Gather, Unsqueeze, Concat, arithmetic. */
static void test_tracking(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *x = INPUT(f, NORMC_F32, 3, -1, -1, 768);
	struct node *shape = shape_of(f, x);
	assert_ints(f, shape, "s0; s1; 768");
	struct node *batch = build_gather(g, shape, build_integer(g, NORMC_I64, 0), 0);
	assert_ints(f, batch, "s0");
	struct node *last = build_gather(g, shape, INTEGERS(f, 1, -1), 0);
	assert_int_equal(last->op, OP_constant);
	struct node *parts[] = {build_unsqueeze(g, batch, 1), last, INTEGERS(f, 1, -1)};
	assert_ints(f, build_concat(g, parts, 3, 0), "s0; 768; -1");
	struct node *product = build_reduce(g, OP_reduce_prod, shape, 1, false);
	assert_ints(f, product, "s0*s1*768");
	assert_ints(f,
		    build_binary(g, OP_div, product,
				 build_binary(g, OP_mul, batch, build_integer(g, NORMC_I64, 768))),
		    "s1");
	assert_ints(f,
		    build_slice(g, shape, 0,
				(struct slice_range){dim_const(f->context.dims, 2),
						     dim_const(f->context.dims, 3), -1}),
		    "768; s1; s0");
	struct node *narrow = build_cast(g, shape, NORMC_I32);
	assert_ints(f, build_cast(g, build_binary(g, OP_add, narrow, narrow), NORMC_I64),
		    "s0*2; s1*2; 1536");
	struct node *zero = build_integer(g, NORMC_I64, 0),
		    *minus = build_integer(g, NORMC_I64, -1);
	struct node *is_minus = build_binary(g, OP_eq, shape, minus);
	assert_ints(f, is_minus, "0; 0; 0");
	assert_ptr_equal(build_where(g, is_minus, INTEGERS(f, 3, 7, 7, 7), shape), shape);
	assert_ints(f, build_binary(g, OP_le, zero, shape), "1; 1; 1");
	assert_null(build_binary(g, OP_lt, zero, shape)->ints);
	assert_null(build_cast(g, build_cast(g, shape, NORMC_F32), NORMC_I64)->ints);
	assert_ints(f, build_binary(g, OP_div, INTEGERS(f, 2, -7, 7), INTEGERS(f, 2, 2, 0)),
		    "-3; 0");
	assert_ints(f, build_binary(g, OP_mod, INTEGERS(f, 2, -7, 7), INTEGERS(f, 2, 2, -4)),
		    "1; -1");
	assert_ints(f, build_binary(g, OP_fmod, INTEGERS(f, 2, -7, 7), INTEGERS(f, 2, 2, -4)),
		    "-1; 3");
	assert_null(build_gather(g, shape, INTEGERS(f, 1, 3), 0)->ints);
	struct type count = {.elem = NORMC_I64, .rank = 1, .dim = {dim_const(f->context.dims, 4)}};
	assert_ints(f, build_iota(g, &count, 0), "0; 1; 2; 3");
	ir_assert_lines(f, "");
}

static void test_large_shapes(void **state)
{
	struct ir_fixture *f = *state;
	struct node *x = INPUT(f, NORMC_F32, 1, 1);
	const int64_t huge[] = {INT64_MAX, 2};
	struct type type = type_fixed(&f->context, NORMC_F32, 2, huge);
	assert_true(node_is_poison(build_broadcast(f->g, x, 2, type.dim)));
	ir_assert_lines(f, "error: broadcast: the result f32[9223372036854775807,2] has too many "
			   "elements\n");
	struct node *i = INTEGERS(f, 1, INT64_MAX);
	assert_null(build_binary(f->g, OP_add, i, i)->ints); /* wraps at run time */
	ir_assert_lines(f, "");
}

static void test_rewrite_copies_live_nodes(void **state)
{
	struct ir_fixture *f = *state;
	struct graph *g = f->g;
	struct node *x = INPUT(f, NORMC_F32, 1, 4);
	build_unary(g, OP_exp, x);
	graph_output(g, build_unary(g, OP_neg, x), "y");
	struct graph *copy = graph_rewrite(g, NULL, NULL);
	assert_int_equal(copy->n_nodes, 2);
	assert_string_equal(copy->output_names[0], "y");
	assert_ptr_not_equal(copy->outputs[0], g->outputs[0]);
	assert_int_equal(copy->outputs[0]->op, OP_neg);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_sharing, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_broadcast, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_windows, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_movement, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_norm, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_poison, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_element_types, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_tracking, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_large_shapes, ir_setup, ir_teardown),
			cmocka_unit_test_setup_teardown(test_rewrite_copies_live_nodes, ir_setup,
							ir_teardown),
	};
	return cmocka_run_group_tests_name("graph", tests, NULL, NULL);
}
