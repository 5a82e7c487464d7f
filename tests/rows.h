/* Random instances of every row of ops.def: element types, ranks, extents around the widths of
 * vectors, attributes and kinds of operands.
 */
#ifndef NORMC_TEST_ROWS_H
#define NORMC_TEST_ROWS_H

#include "operand.h"

static const enum normc_elem elements[] = {
		NORMC_F32, NORMC_F64, NORMC_F16, NORMC_BF16, NORMC_I8,	NORMC_I16,  NORMC_I32,
		NORMC_I64, NORMC_U8,  NORMC_U16, NORMC_U32,  NORMC_U64, NORMC_BOOL,
};
enum { N_ELEMENTS = sizeof elements / sizeof *elements };

static const enum normc_elem narrow[] = {
		NORMC_F8E4M3FN, NORMC_F8E4M3FNUZ, NORMC_F8E5M2, NORMC_F8E5M2FNUZ, NORMC_F8E8M0,
		NORMC_F4E2M1,	NORMC_U4,	  NORMC_I4,	NORMC_U2,	  NORMC_I2,
};
enum { N_NARROW = sizeof narrow / sizeof *narrow };

/* ---- values ---- */

static inline struct values values_of(enum op op)
{
	switch (op_info[op].samples) {
	case SAMPLES_SMALL:
		return (struct values){.low = -4, .high = 4};
	case SAMPLES_POSITIVE:
		return (struct values){.low = 0.01, .high = 50};
	case SAMPLES_UNIT:
		return (struct values){.low = -1, .high = 1};
	case SAMPLES_ABOVE1:
		return (struct values){.low = 1, .high = 50};
	default:
		return (struct values){.low = -100, .high = 100};
	}
}

/* Sums of infinities depend on the order, so that only operations without sums get them. */
static inline struct values special_values_of(enum op op)
{
	struct values v = values_of(op);
	v.special = true;
	return v;
}

static inline struct type any_type(struct maker *m, enum normc_elem elem, int32_t rank)
{
	struct type t = {.elem = elem, .rank = rank};
	any_shape(m, rank, t.dim);
	return t;
}

/* ---- instances, one function for each word of the attr column ---- */

static inline struct node *make_matmul(struct maker *m, enum normc_elem elem)
{
	struct values v = values_of(OP_matmul);
	struct type a = any_type(m, elem, (int32_t)below(m, 4) + 2), b = a;
	int32_t rank = a.rank;
	if (chance(m, 2) && rank > 2) /* large inner extents are of interest too */
		a.dim[0] = b.dim[0] = fixed(m, 2);
	b.dim[rank - 2] = a.dim[rank - 1];
	b.dim[rank - 1] = any_extent(m, 65);
	struct node *in[2] = {any_operand(m, &a, &v), any_operand(m, &b, &v)};
	return graph_node(m->g, OP_matmul, in, 2, (union attr){0});
}

static inline struct node *make_none(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 6));
	struct node *in[3];
	if (op == OP_matmul)
		return make_matmul(m, elem);
	for (int32_t i = 0; i < op_info[op].in; i++)
		in[i] = any_operand(m, &t, &v);
	if (op == OP_where) {
		struct type condition = t;
		condition.elem = NORMC_BOOL;
		in[0] = any_operand(m, &condition, &v);
	}
	if (op == OP_pow || op == OP_shl || op == OP_shr) {
		v = (struct values){.low = op == OP_pow ? -3 : 0, .high = 9};
		if (op == OP_pow && chance(m, 2))
			t.elem = chance(m, 2) ? NORMC_I32 : elem_is_float(elem) ? NORMC_F32 : elem;
		in[1] = any_operand(m, &t, &v);
	}
	return graph_node(m->g, op, in, (uint32_t)op_info[op].in, (union attr){0});
}

static inline struct node *make_iota(struct maker *m, enum op op, enum normc_elem elem)
{
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	(void)op;
	return build_iota(m->g, &t, (int32_t)below(m, t.rank));
}

static inline struct node *make_dims(struct maker *m, enum op op, enum normc_elem elem)
{
	const struct dim *value[20];
	uint32_t n = (uint32_t)below(m, 20) + 1;
	(void)op;
	for (uint32_t i = 0; i < n; i++)
		value[i] = dim_mul(m->g->context->dims, fixed(m, below(m, 5) - 2),
				   m->symbol[below(m, SYMBOLS)]);
	value[0] = dim_add(m->g->context->dims, m->symbol[0], fixed(m, below(m, 9)));
	return elem == NORMC_I64 ? build_dims(m->g, n > 1, n, value) : graph_poison(m->g);
}

static inline struct node *make_isinf(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 4));
	struct attr_isinf attr = {.positive = chance(m, 2), .negative = chance(m, 2)};
	struct node *x = any_operand(m, &t, &v);
	return graph_node(m->g, op, &x, 1, (union attr){.isinf = &attr});
}

/* Floats that an integer type cannot hold have no defined conversion. */
static inline struct node *make_cast(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct attr_cast attr = {0};
	attr.to = chance(m, 4) ? narrow[below(m, N_NARROW)] : elements[below(m, N_ELEMENTS)];
	if (chance(m, 4) && elem != NORMC_BOOL)
		elem = narrow[below(m, N_NARROW)];
	attr.wrap = op == OP_cast && chance(m, 4);
	if (op == OP_cast && elem_is_float(elem) && !elem_is_float(attr.to))
		v.special = false;
	struct type t = any_type(m, elem, (int32_t)below(m, 4));
	struct node *x = any_operand(m, &t, &v);
	if (op == OP_bitcast && (elem_bits(elem) != elem_bits(attr.to) || attr.to == NORMC_BOOL))
		attr.to = elem;
	return graph_node(m->g, op, &x, 1, (union attr){.cast = &attr});
}

static inline struct node *make_reshape(struct maker *m, enum normc_elem elem)
{
	struct values v = special_values_of(OP_reshape);
	struct type t = any_type(m, elem, (int32_t)below(m, 5));
	const struct dim *dim[MAX_RANK];
	int32_t rank = 0;
	for (int32_t i = 0; i < t.rank; i++) {
		if (rank && chance(m, 2))
			dim[rank - 1] = dim_mul(m->g->context->dims, dim[rank - 1], t.dim[i]);
		else if (rank < 6 && dim_is_const(t.dim[i]) && t.dim[i]->value > 2 &&
			 t.dim[i]->value % 2 == 0) {
			dim[rank++] = fixed(m, 2);
			dim[rank++] = fixed(m, t.dim[i]->value / 2);
		} else
			dim[rank++] = t.dim[i];
		if (rank < 6 && chance(m, 4))
			dim[rank++] = fixed(m, 1);
	}
	return build_reshape(m->g, any_operand(m, &t, &v), rank, dim);
}

static inline struct node *make_shape(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	if (op == OP_reshape)
		return make_reshape(m, elem);
	struct type t = any_type(m, elem, (int32_t)below(m, 6)), from = t;
	for (int32_t i = 0; i < t.rank; i++)
		if (chance(m, 2))
			from.dim[i] = fixed(m, 1);
	return build_broadcast(m->g, any_operand(m, &from, &v), t.rank, t.dim);
}

static inline struct node *make_perm(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct attr_perm attr = {{0}};
	struct type t = any_type(m, elem, (int32_t)below(m, 6));
	struct node *x = any_operand(m, &t, &v);
	any_permutation(m, t.rank, attr.perm);
	return graph_node(m->g, op, &x, 1, (union attr){.perm = &attr});
}

static inline struct node *make_slice(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	struct node *x = any_operand(m, &t, &v);
	int32_t axis = (int32_t)below(m, t.rank);
	const struct dim *n = t.dim[axis], *zero = fixed(m, 0);
	if (!dim_is_const(n)) { /* all of it, backwards */
		const struct dim *last = dim_sub(m->g->context->dims, n, fixed(m, 1));
		return build_slice(m->g, x, axis, (struct slice_range){last, n, -1});
	}
	if (n->value == 0)
		return build_slice(m->g, x, axis, (struct slice_range){zero, zero, 1});
	int64_t start = below(m, n->value), step = below(m, 7) - 3;
	int64_t room = step < 0 ? start : n->value - 1 - start;
	int64_t count = step ? room / llabs(step) + 1 : 1;
	count = below(m, count) + 1;
	return build_slice(m->g, x, axis,
			   (struct slice_range){fixed(m, start), fixed(m, count), step ? step : 1});
}

static inline struct node *make_concat(struct maker *m, enum normc_elem elem)
{
	struct values v = special_values_of(OP_concat);
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	struct node *in[4];
	uint32_t n = (uint32_t)below(m, 4) + 1;
	int32_t axis = (int32_t)below(m, t.rank);
	for (uint32_t i = 0; i < n; i++) {
		t.dim[axis] = any_extent(m, 17);
		in[i] = any_operand(m, &t, &v);
	}
	struct attr_axis attr = {.axis = axis};
	return graph_node(m->g, OP_concat, in, n, (union attr){.axis = &attr});
}

static inline struct node *make_axis(struct maker *m, enum op op, enum normc_elem elem)
{
	static const enum normc_elem index_types[] = {NORMC_I64, NORMC_I32, NORMC_U8};
	struct values v = special_values_of(op);
	if (op == OP_concat)
		return make_concat(m, elem);
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1), index;
	struct attr_axis attr = {.axis = (int32_t)below(m, t.rank)};
	if (dim_is(t.dim[attr.axis], 0))
		t.dim[attr.axis] = fixed(m, 1);
	struct values at = {.limit = t.dim[attr.axis]};
	if (op == OP_gather) {
		index = any_type(m, elem, (int32_t)below(m, 3));
		for (int32_t i = 0; i < index.rank; i++)
			index.dim[i] = any_extent(m, 9);
	} else {
		index = t;
		index.dim[attr.axis] = any_extent(m, 33);
	}
	index.elem = index_types[below(m, 3)];
	struct node *in[2] = {any_operand(m, &t, &v), any_operand(m, &index, &at)};
	return graph_node(m->g, op, in, 2, (union attr){.axis = &attr});
}

static inline struct node *make_pad(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = special_values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 5)), scalar = {.elem = elem};
	struct attr_pad attr = {.mode = (enum pad_mode)below(m, 4)};
	int64_t low = chance(m, 3) ? 2 : 0; /* cropping */
	for (int32_t i = 0; i < t.rank; i++) {
		if (dim_is(t.dim[i], 0) && attr.mode != PAD_CONSTANT)
			t.dim[i] = fixed(m, 2);
		int64_t room = dim_is_const(t.dim[i]) ? t.dim[i]->value : 1;
		int64_t crop = room > 2 * low ? low : 0;
		attr.before[i] = fixed(m, below(m, 4) - crop);
		attr.after[i] = fixed(m, below(m, 4) - crop);
		if (attr.mode == PAD_CONSTANT && !m->fixed && chance(m, 8))
			attr.after[i] = m->symbol[0];
	}
	struct node *in[2] = {any_operand(m, &t, &v), any_operand(m, &scalar, &v)};
	return graph_node(m->g, op, in, 2, (union attr){.pad = &attr});
}

static inline struct node *make_axes(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = op == OP_reduce_max || op == OP_reduce_min ? special_values_of(op)
								     : values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 6));
	struct attr_axes attr = {.mask = (uint32_t)below(m, (int64_t)1 << t.rank)};
	struct node *x = any_operand(m, &t, &v);
	return graph_node(m->g, op, &x, 1, (union attr){.axes = &attr});
}

static inline struct node *make_arg(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = {.low = -3, .high = 3}; /* many are equal */
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	struct attr_arg attr = {0};
	attr.axis = (int32_t)below(m, t.rank);
	attr.last = chance(m, 2);
	if (dim_is(t.dim[attr.axis], 0))
		t.dim[attr.axis] = fixed(m, 1);
	struct node *x = any_operand(m, &t, &v);
	return graph_node(m->g, op, &x, 1, (union attr){.arg = &attr});
}

static inline struct node *make_softmax(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	struct attr_softmax attr = {0};
	attr.axis = (int32_t)below(m, t.rank);
	attr.log = chance(m, 3);
	struct node *x = any_operand(m, &t, &v);
	return graph_node(m->g, op, &x, 1, (union attr){.softmax = &attr});
}

static inline struct node *make_norm(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = values_of(op);
	struct type t = any_type(m, elem, (int32_t)below(m, 4) + 1);
	struct attr_norm attr = {0};
	struct node *in[3];
	uint32_t n = 1;
	attr.centre = chance(m, 2) ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE;
	attr.scale = (enum norm_scale)below(m, NORM_SCALE_GIVEN);
	attr.epsilon_place = (enum norm_epsilon)below(m, 3);
	attr.epsilon = 0.01;
	attr.unbiased = attr.scale == NORM_SCALE_RMS && chance(m, 4);
	if (attr.centre == NORM_CENTRE_MEAN || attr.scale != NORM_SCALE_NONE)
		attr.axes = 1u + (uint32_t)below(m, ((int64_t)1 << t.rank) - 1);
	attr.gamma = chance(m, 2);
	attr.beta = chance(m, 2);
	in[0] = any_operand(m, &t, &v);
	for (int i = 0; i < attr.gamma + attr.beta; i++) {
		struct type parameter = t;
		for (int32_t k = 0; k < t.rank; k++)
			if (chance(m, 2))
				parameter.dim[k] = fixed(m, 1);
		in[n++] = any_operand(m, &parameter, &v);
	}
	return graph_node(m->g, op, in, n, (union attr){.norm = &attr});
}

/* Padding that leaves room for the kernel: the least size is 1 where the extent is unknown. */
static const struct dim *window_padding(struct maker *m, const struct dim *extent, int64_t reach)
{
	int64_t size = dim_is_const(extent) ? extent->value : 1;
	int64_t least = reach > size ? reach - size : 0;
	return fixed(m, least + below(m, 3));
}

static inline struct node *make_conv(struct maker *m, enum op op, enum normc_elem elem)
{
	static const int64_t channels[] = {1, 2, 3, 4, 7, 8, 16, 17, 33};
	struct values v = values_of(op);
	struct attr_conv attr = {0};
	int32_t spatial = attr.spatial = 1 + (int32_t)below(m, MAX_SPATIAL);
	attr.groups = chance(m, 2) ? 1 : channels[below(m, 6)];
	int64_t in_channels = channels[below(m, attr.groups > 1 ? 4 : 9)];
	int64_t out_channels = channels[below(m, attr.groups > 1 ? 4 : 9)];
	if (attr.groups > 1 && chance(m, 2)) { /* depthwise */
		in_channels = 1;
		attr.groups = channels[below(m, 9)];
		out_channels = 1 + below(m, 2);
	}
	struct type x = any_type(m, elem, 2 + spatial), w = x;
	x.dim[0] = any_extent(m, 3);
	x.dim[1] = fixed(m, in_channels * attr.groups);
	w.dim[0] = fixed(m, out_channels * attr.groups);
	w.dim[1] = fixed(m, in_channels);
	for (int32_t i = 0; i < spatial; i++) {
		int64_t kernel = 1 + below(m, 3);
		x.dim[2 + i] = any_extent(m, spatial > 1 ? 9 : 65);
		if (dim_is(x.dim[2 + i], 0))
			x.dim[2 + i] = fixed(m, 6);
		w.dim[2 + i] = fixed(m, kernel);
		attr.stride[i] = 1 + below(m, 2);
		attr.dilation[i] = 1 + below(m, 2);
		attr.x_dilation[i] = chance(m, 4) ? 2 : 1;
		attr.before[i] = window_padding(m, x.dim[2 + i],
						attr.dilation[i] * (kernel - 1) + 1);
		attr.after[i] = fixed(m, below(m, 3));
		if (dim_is_const(x.dim[2 + i]) && x.dim[2 + i]->value > 7 && chance(m, 3))
			attr.before[i] = fixed(m, -1);
	}
	struct node *in[2] = {any_operand(m, &x, &v), any_operand(m, &w, &v)};
	return graph_node(m->g, op, in, 2, (union attr){.conv = &attr});
}

static inline struct node *make_pool(struct maker *m, enum op op, enum normc_elem elem)
{
	struct values v = op == OP_pool_max ? special_values_of(op) : values_of(op);
	struct attr_pool attr = {0};
	int32_t spatial = attr.spatial = 1 + (int32_t)below(m, MAX_SPATIAL);
	struct type x = any_type(m, elem, 2 + spatial);
	x.dim[0] = any_extent(m, 3);
	for (int32_t i = 0; i < spatial; i++) {
		x.dim[2 + i] = any_extent(m, spatial > 1 ? 9 : 65);
		if (dim_is(x.dim[2 + i], 0))
			x.dim[2 + i] = fixed(m, 5);
		attr.kernel[i] = 1 + below(m, 3);
		attr.stride[i] = 1 + below(m, 3);
		attr.dilation[i] = 1 + below(m, 2);
		attr.before[i] = window_padding(m, x.dim[2 + i],
						attr.dilation[i] * (attr.kernel[i] - 1) + 1);
		attr.after[i] = fixed(m, below(m, 2));
	}
	struct node *in = any_operand(m, &x, &v);
	return graph_node(m->g, op, &in, 1, (union attr){.pool = &attr});
}

#define MAKE(name)  struct node *(*name)(struct maker * m, enum op op, enum normc_elem elem)
#define make_port   NULL
#define make_data   NULL
#define make_call   NULL
#define make_region NULL
#define make_part   NULL
static MAKE(const make[OP_COUNT]) = {
#define OP(name, in, attr, ...) [OP_##name] = make_##attr,
#include "ops.def"
#undef OP
};

/* Whether the operation takes this element type: asks the rules of types, in a graph of its own. */
static inline bool allowed(enum op op, enum normc_elem elem)
{
	struct maker *m = malloc(sizeof *m);
	assert_non_null(m);
	maker_open(m, 1);
	bool fine = !node_is_poison(make[op](m, op, elem));
	maker_close(m);
	free(m);
	return fine;
}

/* Runs a test for each row, whose state is a pointer to the operation; the environment's
 * NORMC_TEST_OP chooses some. */
static inline int run_rows(const char *group, void (*test)(void **state))
{
	static enum op number[OP_COUNT];
	struct CMUnitTest tests[OP_COUNT];
	size_t n = 0;
	memset(tests, 0, sizeof tests);
	for (int op = 0; op < OP_COUNT; op++) {
		number[op] = (enum op)op;
		if (!make[op] || op == OP_poison)
			continue;
		tests[n].name = op_info[op].name;
		tests[n].test_func = test;
		tests[n++].initial_state = &number[op];
	}
	const char *only = getenv("NORMC_TEST_OP");
	if (only)
		cmocka_set_test_filter(only);
	return _cmocka_run_group_tests(group, tests, n, NULL, NULL);
}

#endif
