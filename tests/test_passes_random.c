/* The whole pipeline on random graphs: the result computes the same, by the interpreter in fp64. */
#include "pass.h"

#include "test_eval.h"
#include "value.h"

enum { GRAPHS = 400, NODES = 25, MOST_INPUTS = 40 };

struct maker {
	struct graph *g;
	uint64_t seed;
	struct node *pool[4 * NODES];
	uint32_t n;
};

static int64_t below(struct maker *m, int64_t limit)
{
	return (int64_t)test_random_below(&m->seed, (uint64_t)limit);
}

static const struct dim *fixed(struct maker *m, int64_t value)
{
	return dim_const(m->g->context->dims, value);
}

static struct node *any(struct maker *m)
{
	return m->pool[below(m, m->n)];
}

/* A new input, or a constant with simple numbers. */
static struct node *make_leaf(struct maker *m, int32_t rank, const struct dim *const *dim)
{
	static const double simple[] = {0, 1, -1, 2, 0.5, 3, -0.25};
	struct type t = {.elem = NORMC_F32, .rank = rank};
	double value[256];
	for (int32_t i = 0; i < rank; i++)
		t.dim[i] = dim[i];
	if (below(m, 2) && m->g->n_inputs < MOST_INPUTS)
		return graph_input(m->g, "x", &t);
	for (int32_t i = 0; i < rank; i++)
		if (below(m, 2))
			t.dim[i] = fixed(m, 1);
	int64_t count = type_fixed_count(&t);
	if (count > 256)
		return build_splat(m->g, &t, 2);
	bool equal = below(m, 2);
	for (int64_t i = 0; i < count; i++)
		value[i] = i && equal ? value[0] : simple[below(m, sizeof simple / sizeof *simple)];
	return build_broadcast(m->g, build_doubles(m->g, &t, value), rank, dim);
}

static struct node *make_map(struct maker *m, struct node *a)
{
	static const enum op binary[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min, OP_add, OP_mul};
	static const enum op unary[] = {OP_neg, OP_abs, OP_tanh};
	struct node *b = NULL;
	for (uint32_t i = 0; i < m->n && below(m, 2); i++)
		b = type_equal(&m->pool[i]->type, &a->type) ? m->pool[i] : b;
	if (!b)
		b = make_leaf(m, a->type.rank, a->type.dim);
	switch (below(m, 4)) {
	case 0:
		return build_unary(m->g, unary[below(m, 3)], a);
	case 1:
		return build_where(m->g, build_binary(m->g, OP_lt, a, b), b, a);
	default:
		return build_binary(m->g, binary[below(m, 7)], a, b);
	}
}

static struct node *make_slice(struct maker *m, struct node *a)
{
	int32_t axis = (int32_t)below(m, a->type.rank);
	int64_t extent = fixed_extent(&a->type, axis), start = below(m, extent),
		n = 1 + below(m, extent - start);
	if (below(m, 3) == 0)
		return build_slice(
				m->g, a, axis,
				(struct slice_range){fixed(m, extent - 1), a->type.dim[axis], -1});
	return build_slice(m->g, a, axis, (struct slice_range){fixed(m, start), fixed(m, n), 1});
}

static struct node *make_reshape(struct maker *m, struct node *a)
{
	const struct dim *dim[MAX_RANK];
	int32_t rank = 0;
	for (int32_t i = 0; i < a->type.rank; i++) {
		if (rank && below(m, 2))
			dim[rank - 1] = dim_mul(m->g->context->dims, dim[rank - 1], a->type.dim[i]);
		else
			dim[rank++] = a->type.dim[i];
		if (rank < 4 && below(m, 4) == 0)
			dim[rank++] = fixed(m, 1);
	}
	return build_reshape(m->g, a, rank, dim);
}

static struct node *make_transpose(struct maker *m, struct node *a)
{
	int32_t perm[MAX_RANK];
	for (int32_t i = 0; i < a->type.rank; i++) {
		int32_t k = (int32_t)below(m, i + 1);
		perm[i] = perm[k];
		perm[k] = i;
	}
	return build_transpose(m->g, a, perm);
}

static struct node *make_pad(struct maker *m, struct node *a)
{
	struct attr_pad attr = {.mode = PAD_CONSTANT};
	for (int32_t i = 0; i < a->type.rank; i++) {
		attr.before[i] = fixed(m, below(m, 2));
		attr.after[i] = fixed(m, below(m, 2));
	}
	return build_pad(m->g, a, build_number(m->g, NORMC_F32, 0), &attr);
}

static struct node *make_product(struct maker *m, struct node *a)
{
	const struct dim *shape[2] = {a->type.dim[a->type.rank - 1], fixed(m, 1 + below(m, 4))};
	return build_matmul(m->g, a, make_leaf(m, 2, shape));
}

static struct node *make_gather(struct maker *m, struct node *a)
{
	int32_t axis = (int32_t)below(m, a->type.rank);
	int64_t *index = arena_new(m->g->context->arena, int64_t, 2), two = 2;
	for (int i = 0; i < 2; i++)
		index[i] = below(m, fixed_extent(&a->type, axis));
	struct type t = type_fixed(m->g->context, NORMC_I64, 1, &two);
	return build_gather(m->g, a, build_constant(m->g, &t, index, sizeof index[0] * 2), axis);
}

static struct node *make_norm(struct maker *m, struct node *a)
{
	struct attr_norm attr = {.axes = 1u << (a->type.rank - 1),
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 0.1};
	return build_norm(m->g, (struct norm_operands){.x = a}, &attr);
}

static struct node *make_node(struct maker *m)
{
	static struct node *(*const make[])(struct maker * m, struct node * a) = {
			make_map,     make_map,	    make_map,	    make_map, make_slice,
			make_reshape, make_reshape, make_transpose, make_pad, make_product,
			make_product, make_gather,  make_norm,
	};
	struct node *a = any(m);
	if (!a->type.rank || a->type.elem != NORMC_F32 || type_fixed_count(&a->type) > 500)
		return make_leaf(m, 2,
				 (const struct dim *[]){fixed(m, 1 + below(m, 3)), fixed(m, 4)});
	switch (below(m, 20)) {
	case 0:
		return build_concat(m->g, (struct node *[]){a, make_slice(m, a), a}, 1, 0);
	case 1:
		return build_reduce(m->g, below(m, 2) ? OP_reduce_sum : OP_reduce_max, a,
				    (uint32_t)below(m, (int64_t)1 << a->type.rank), below(m, 2));
	case 2:
		return build_concat(m->g, (struct node *[]){a, a}, 2,
				    (int32_t)below(m, a->type.rank));
	case 3:
		return build_softmax(m->g, a, (int32_t)below(m, a->type.rank), false);
	default:
		return make[below(m, sizeof make / sizeof *make)](m, a);
	}
}

static void compare(struct bench *b, const struct graph *before, const struct graph *after,
		    uint64_t seed)
{
	struct tensor in[MOST_INPUTS], out[2][2];
	for (uint32_t i = 0; i < before->n_inputs; i++) {
		const struct type *t = &before->inputs[i]->type;
		struct shape shape = {.rank = t->rank};
		for (int32_t k = 0; k < t->rank; k++)
			shape.dim[k] = fixed_extent(t, k);
		in[i] = bench_random(b, t->elem, shape, &seed);
	}
	if (!eval_graph(before, (struct eval_request){EVAL_EXACT, NULL, b->context.arena}, in,
			out[0]) ||
	    !eval_graph(after, (struct eval_request){EVAL_EXACT, NULL, b->context.arena}, in,
			out[1]))
		fail_msg("%s", b->diag.first);
	for (uint32_t i = 0; i < before->n_outputs; i++)
		bench_equal(&out[1][i], &out[0][i], 1e-4);
}

static void try_graph(uint64_t number)
{
	void *state;
	bench_open(&state);
	struct bench *b = state;
	struct maker m = {.g = b->graph, .seed = number};
	const struct dim *shape[3] = {fixed(&m, 2), fixed(&m, 3), fixed(&m, 4)};
	m.pool[m.n++] = make_leaf(&m, 3, shape);
	for (int i = 0; i < NODES; i++) {
		struct node *n = make_node(&m);
		if (node_is_poison(n))
			fail_msg("graph %llu: %s", (unsigned long long)number, b->diag.first);
		m.pool[m.n++] = n;
	}
	graph_output(m.g, m.pool[m.n - 1], "last");
	graph_output(m.g, any(&m), "other");
	struct pass_options options = {.verify = true};
	struct graph *g = passes_run(m.g, &options);
	if (!g)
		fail_msg("graph %llu: %s", (unsigned long long)number, b->diag.first);

	compare(b, m.g, g, number);
	g = passes_run(g, &options); /* what is rewritten already must still be understood */
	assert_non_null(g);
	compare(b, m.g, g, number);
	bench_close(&state);
}

static void test_graphs(void **state)
{
	(void)state;
	for (uint64_t i = 1; i <= GRAPHS; i++)
		try_graph(i);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_graphs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
