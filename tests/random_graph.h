/* Random graphs.  Operations are chosen so that whoever rewrites or compiles them has something to
 * decide: values with several readers and several outputs, views of views, prologues and epilogues
 * of reductions, convolutions that feed concats, pads and reshapes, extents that are unknown.
 *
 * NORMC_TEST_SEED=N starts at graph N, NORMC_TEST_GRAPHS=K tries K of them, NORMC_TEST_NODES=K
 * stops each graph after K nodes (to find the first wrong one).
 */
#ifndef NORMC_TEST_RANDOM_GRAPH_H
#define NORMC_TEST_RANDOM_GRAPH_H

#include "operand.h"

enum { NODES = 26, LARGEST = 4000 };

struct pool {
	struct maker *m;
	enum normc_elem elem;
	struct node *node[4 * NODES];
	uint32_t n;
};

static const struct values ordinary = {.low = -2, .high = 2};

static inline int64_t option(const char *name, int64_t standard)
{
	const char *text = getenv(name);
	return text ? strtoll(text, NULL, 10) : standard;
}

static inline struct node *any(struct pool *p)
{
	/* young nodes more often, so that graphs grow deep too */
	if (chance(p->m, 2) && p->n > 4)
		return p->node[p->n - 1 - below(p->m, 4)];
	return p->node[below(p->m, p->n)];
}

static inline struct node *any_of_rank(struct pool *p, int32_t rank)
{
	for (int i = 0; i < 20; i++) {
		struct node *n = any(p);
		if (n->type.rank == rank)
			return n;
	}
	return NULL;
}

/* Elements for the largest values of the unknown extents. */
static inline int64_t most_elements(const struct type *t)
{
	static const int64_t sizes[SYMBOLS] = {5, 17, 9};
	int64_t count = 1;
	for (int32_t i = 0; i < t->rank; i++) {
		int64_t extent = 0;
		if (!dim_eval(t->dim[i], sizes, &extent) || extent > LARGEST)
			return INT64_MAX;
		count *= extent;
		if (count > LARGEST)
			return INT64_MAX;
	}
	return count;
}

/* The least extent for all values of the symbols that are tried. */
static inline int64_t least_extent(const struct dim *d)
{
	static const int64_t sizes[SYMBOLS] = {1, 2, 1};
	int64_t least = 0;
	return dim_eval(d, sizes, &least) ? least : 0;
}

/* Inputs have extents that are numbers or symbols: others become 1, which broadcasts. */
static inline struct type leaf_type(struct pool *p, const struct type *type)
{
	struct type t = *type;
	for (int32_t i = 0; i < t.rank; i++)
		if (t.dim[i]->kind != DIM_CONST && t.dim[i]->kind != DIM_SYMBOL)
			t.dim[i] = fixed(p->m, 1);
	return t;
}

static inline struct node *new_leaf(struct pool *p, const struct type *type)
{
	struct type t = leaf_type(p, type);
	return any_operand(p->m, &t, &ordinary);
}

static inline struct node *number(struct pool *p, double x)
{
	return build_number(p->m->g, p->elem, x);
}

/* Keeps sums in the range of their terms. */
static inline struct node *scaled(struct pool *p, struct node *n, double k)
{
	if (!elem_is_float(p->elem) || chance(p->m, 6))
		return n;
	return build_binary(p->m->g, OP_mul, n, number(p, 1 / k));
}

/* ---- maps ---- */

static inline struct node *make_unary(struct pool *p, struct node *a)
{
	static const enum op real[] = {OP_tanh, OP_neg, OP_abs, OP_erf, OP_sin, OP_max, OP_copy};
	static const enum op integer[] = {OP_neg, OP_abs, OP_sign, OP_not, OP_max, OP_copy};
	struct graph *g = p->m->g;
	enum op op = elem_is_float(p->elem) ? real[below(p->m, 7)] : integer[below(p->m, 6)];
	if (op == OP_max)
		return build_binary(g, OP_max, a, number(p, 0));
	if (op != OP_copy)
		return build_unary(g, op, a);
	struct attr_perm perm = {{0}};
	any_permutation(p->m, a->type.rank, perm.perm);
	return graph_node(g, OP_copy, &a, 1, (union attr){.perm = &perm});
}

static inline struct node *same_shape_or_leaf(struct pool *p, struct node *a)
{
	for (int i = 0; i < 12; i++) {
		struct node *b = any(p);
		bool same = b->type.rank == a->type.rank;
		for (int32_t k = 0; same && k < a->type.rank; k++)
			same = a->type.dim[k] == b->type.dim[k];
		if (same)
			return b;
	}
	struct type t = a->type;
	for (int32_t k = 0; k < t.rank; k++)
		if (chance(p->m, 3))
			t.dim[k] = fixed(p->m, 1);
	return new_leaf(p, &t);
}

static inline struct node *make_binary(struct pool *p, struct node *a)
{
	static const enum op ops[] = {OP_add, OP_sub, OP_mul, OP_max, OP_min, OP_add};
	struct node *b = same_shape_or_leaf(p, a);
	if (!chance(p->m, 6))
		return build_binary(p->m->g, ops[below(p->m, 6)], a, b);
	struct type t = a->type;
	t.elem = NORMC_BOOL;
	return build_where(p->m->g, new_leaf(p, &t), a, b);
}

/* ---- views and movement ---- */

static inline struct node *make_slice(struct pool *p, struct node *a)
{
	if (!a->type.rank)
		return a;
	int32_t axis = (int32_t)below(p->m, a->type.rank);
	const struct dim *d = a->type.dim[axis];
	struct dims *dims = p->m->g->context->dims;
	struct slice_range range = {dim_sub(dims, d, fixed(p->m, 1)), d, -1};
	if (!dim_is_const(d) || chance(p->m, 4))
		return least_extent(d) > 0 ? build_slice(p->m->g, a, axis, range) : a;
	if (d->value < 2)
		return a;
	int64_t start = below(p->m, d->value - 1), step = 1 + below(p->m, 2);
	int64_t count = (d->value - 1 - start) / step + 1;
	range = (struct slice_range){fixed(p->m, start), fixed(p->m, 1 + below(p->m, count)), step};
	return build_slice(p->m->g, a, axis, range);
}

static inline struct node *make_reshape(struct pool *p, struct node *a)
{
	struct dims *dims = p->m->g->context->dims;
	const struct dim *dim[MAX_RANK];
	int32_t rank = 0;
	for (int32_t i = 0; i < a->type.rank; i++) {
		const struct dim *d = a->type.dim[i];
		if (rank && chance(p->m, 2))
			dim[rank - 1] = dim_mul(dims, dim[rank - 1], d);
		else if (rank < 4 && dim_is_const(d) && d->value > 2 && d->value % 2 == 0) {
			dim[rank++] = fixed(p->m, d->value / 2);
			dim[rank++] = fixed(p->m, 2);
		} else
			dim[rank++] = d;
		if (rank < 5 && chance(p->m, 8))
			dim[rank++] = fixed(p->m, 1);
	}
	return build_reshape(p->m->g, a, rank, dim);
}

static inline struct node *make_transpose(struct pool *p, struct node *a)
{
	int32_t perm[MAX_RANK];
	any_permutation(p->m, a->type.rank, perm);
	return build_transpose(p->m->g, a, perm);
}

static inline struct node *make_view(struct pool *p, struct node *a)
{
	switch (below(p->m, 4)) {
	case 0:
		return make_slice(p, a);
	case 1:
		return make_reshape(p, a);
	default:
		return make_transpose(p, a);
	}
}

static inline struct node *make_pad(struct pool *p, struct node *a)
{
	struct attr_pad attr = {.mode = chance(p->m, 3) ? (enum pad_mode)below(p->m, 4) : 0};
	for (int32_t i = 0; i < a->type.rank; i++) {
		bool crop = least_extent(a->type.dim[i]) > 3 && chance(p->m, 8);
		if (least_extent(a->type.dim[i]) < 1)
			attr.mode = PAD_CONSTANT; /* there is nothing to repeat */
		attr.before[i] = fixed(p->m, crop ? -1 : below(p->m, 2));
		attr.after[i] = fixed(p->m, crop ? 0 : below(p->m, 3));
	}
	return build_pad(p->m->g, a, number(p, 3), &attr);
}

/* Of what has the same extents but along one axis. */
static inline struct node *make_concat(struct pool *p, struct node *a)
{
	struct node *in[4] = {a};
	uint32_t n = 1, most = 2 + (uint32_t)below(p->m, 3);
	if (!a->type.rank)
		return a;
	int32_t axis = (int32_t)below(p->m, a->type.rank);
	for (int i = 0; i < 30 && n < most; i++) {
		struct node *b = i < 25 ? any(p) : make_unary(p, a);
		bool same = b->type.rank == a->type.rank;
		for (int32_t k = 0; same && k < a->type.rank; k++)
			same = k == axis || a->type.dim[k] == b->type.dim[k];
		if (same)
			in[n++] = chance(p->m, 3) ? make_unary(p, b) : b;
	}
	return build_concat(p->m->g, in, n, axis);
}

static inline struct node *make_gather(struct pool *p, struct node *a)
{
	struct type index = {.elem = NORMC_I64, .rank = 1 + (int32_t)below(p->m, 2)};
	if (!a->type.rank || a->type.rank > 4)
		return a;
	struct attr_axis attr = {.axis = (int32_t)below(p->m, a->type.rank)};
	if (least_extent(a->type.dim[attr.axis]) < 1)
		return a;
	struct values at = {.limit = a->type.dim[attr.axis]};
	bool elements = chance(p->m, 3);
	if (elements)
		index = a->type;
	for (int32_t i = 0; i < index.rank; i++)
		if (!elements || i == attr.axis)
			index.dim[i] = fixed(p->m, 1 + below(p->m, 4));
	index.elem = NORMC_I64;
	index = leaf_type(p, &index);
	struct node *in[2] = {a, any_operand(p->m, &index, &at)};
	enum op op = elements ? OP_gather_elements : OP_gather;
	return graph_node(p->m->g, op, in, 2, (union attr){.axis = &attr});
}

/* ---- anchors ---- */

static inline struct node *make_reduce(struct pool *p, struct node *a)
{
	static const enum op ops[] = {OP_reduce_sum, OP_reduce_max, OP_reduce_min, OP_reduce_sum};
	uint32_t axes = (uint32_t)below(p->m, (int64_t)1 << a->type.rank);
	enum op op = ops[below(p->m, 4)];
	for (int32_t i = 0; i < a->type.rank; i++)
		if (least_extent(a->type.dim[i]) < 1)
			axes &= ~(1u << i);
	struct node *n = build_reduce(p->m->g, op, a, axes, chance(p->m, 2));
	return op == OP_reduce_sum ? scaled(p, n, 5) : n;
}

static inline struct node *make_softmax(struct pool *p, struct node *a)
{
	if (!a->type.rank)
		return a;
	int32_t axis = (int32_t)below(p->m, a->type.rank);
	return build_softmax(p->m->g, build_unary(p->m->g, OP_tanh, a), axis, chance(p->m, 4));
}

static inline struct node *make_norm(struct pool *p, struct node *a)
{
	struct attr_norm attr = {.epsilon = 0.1};
	struct node *parameter[2] = {NULL, NULL};
	if (!a->type.rank)
		return a;
	attr.centre = chance(p->m, 2) ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE;
	attr.scale = chance(p->m, 3) ? NORM_SCALE_L2 : NORM_SCALE_RMS;
	attr.axes = 1u + (uint32_t)below(p->m, ((int64_t)1 << a->type.rank) - 1);
	attr.gamma = chance(p->m, 2);
	attr.beta = chance(p->m, 2);
	for (int i = 0; i < 2; i++) {
		struct type t = a->type;
		for (int32_t k = 0; k < t.rank; k++)
			if (chance(p->m, 2))
				t.dim[k] = fixed(p->m, 1);
		if (i ? attr.beta : attr.gamma)
			parameter[i] = new_leaf(p, &t);
	}
	struct norm_operands in = {.x = a, .gamma = parameter[0], .beta = parameter[1]};
	return build_norm(p->m->g, in, &attr);
}

static inline struct node *make_matmul(struct pool *p, struct node *a)
{
	int32_t rank = a->type.rank;
	if (rank < 1 ||
	    (!dim_is_const(a->type.dim[rank - 1]) && a->type.dim[rank - 1]->kind != DIM_SYMBOL))
		return a;
	struct type t = {.elem = p->elem, .rank = chance(p->m, 2) || rank < 2 ? 2 : rank};
	for (int32_t i = 0; i + 2 < t.rank; i++)
		t.dim[i] = a->type.dim[i];
	t.dim[t.rank - 2] = a->type.dim[rank - 1];
	t.dim[t.rank - 1] = any_extent(p->m, 17);
	struct node *b = new_leaf(p, &t), *in = any_of_rank(p, 2);
	if (in && rank >= 2 && in->type.dim[0] == a->type.dim[rank - 1])
		b = in;
	return scaled(p, build_matmul(p->m->g, a, b), 4);
}

/* A value of rank 3, 4 or 5 as [n, channels, extents...]. */
static inline struct node *make_conv(struct pool *p, struct node *a)
{
	int32_t spatial = a->type.rank - 2;
	if (spatial < 1 || spatial > MAX_SPATIAL || !dim_is_const(a->type.dim[1]) ||
	    !a->type.dim[1]->value)
		return a;
	struct attr_conv attr = {.spatial = spatial, .groups = 1};
	int64_t channels = a->type.dim[1]->value;
	struct type w = {.elem = p->elem, .rank = a->type.rank};
	if (chance(p->m, 3))
		attr.groups = channels % 2 || chance(p->m, 2) ? channels : 2;
	w.dim[0] = fixed(p->m, attr.groups * (1 + below(p->m, 6)));
	w.dim[1] = fixed(p->m, channels / attr.groups);
	for (int32_t i = 0; i < spatial; i++) {
		const struct dim *extent = a->type.dim[2 + i];
		int64_t kernel = 1 + below(p->m, 3);
		if (least_extent(extent) < 1)
			return a;
		attr.stride[i] = 1 + chance(p->m, 3);
		attr.dilation[i] = 1 + chance(p->m, 5);
		attr.x_dilation[i] = 1 + chance(p->m, 8);
		w.dim[2 + i] = fixed(p->m, kernel);
		attr.before[i] = fixed(p->m, (kernel - 1) * attr.dilation[i] - below(p->m, kernel));
		attr.after[i] = fixed(p->m, kernel - 1);
		if (kernel > 1 && dim_lower_bound(attr.before[i]) < 1)
			attr.before[i] = fixed(p->m, kernel);
	}
	return scaled(p, build_conv(p->m->g, a, new_leaf(p, &w), &attr), 6);
}

static inline struct node *make_pool(struct pool *p, struct node *a)
{
	int32_t spatial = a->type.rank - 2;
	if (spatial < 1 || spatial > MAX_SPATIAL)
		return a;
	struct attr_pool attr = {.spatial = spatial};
	for (int32_t i = 0; i < spatial; i++) {
		if (least_extent(a->type.dim[2 + i]) < 1)
			return a;
		attr.kernel[i] = 1 + below(p->m, 3);
		attr.stride[i] = 1 + below(p->m, 2);
		attr.dilation[i] = 1;
		attr.before[i] = fixed(p->m, attr.kernel[i] - 1);
		attr.after[i] = fixed(p->m, below(p->m, 2));
	}
	bool sum = chance(p->m, 2);
	struct node *n = build_pool(p->m->g, sum ? OP_pool_sum : OP_pool_max, a, &attr);
	return sum ? scaled(p, n, 4) : build_binary(p->m->g, OP_max, n, number(p, -5));
}

/* ---- graphs ---- */

static inline struct node *make_leaf(struct pool *p)
{
	static const int32_t ranks[] = {4, 4, 3, 3, 2, 1, 5};
	struct type t = {.elem = p->elem, .rank = ranks[below(p->m, 7)]};
	static const int64_t known[] = {1, 2, 3, 4, 5, 8, 12};
	for (int32_t i = 0; i < t.rank; i++)
		t.dim[i] = fixed(p->m, known[below(p->m, 7)]);
	if (!p->m->fixed && chance(p->m, 2))
		t.dim[below(p->m, t.rank)] = p->m->symbol[below(p->m, SYMBOLS)];
	return new_leaf(p, &t);
}

static inline struct node *make_node(struct pool *p)
{
	typedef struct node *maker_function(struct pool * p, struct node * a);
	static maker_function *const make[] = {
			make_unary,  make_unary,  make_binary,	make_binary, make_binary,
			make_view,   make_view,	  make_view,	make_pad,    make_concat,
			make_concat, make_gather, make_reduce,	make_matmul, make_conv,
			make_conv,   make_pool,	  make_softmax, make_norm,
	};
	int32_t n = sizeof make / sizeof *make;
	if (p->n < 3 || chance(p->m, 10))
		return make_leaf(p);
	if (!elem_is_float(p->elem))
		n -= 2; /* the last are of floats only */
	return make[below(p->m, n)](p, any(p));
}

static inline void grow(struct pool *p, int64_t nodes)
{
	for (int64_t i = 0; i < nodes; i++) {
		struct node *n = make_node(p);
		if (node_is_poison(n))
			fail_msg("%s", p->m->b->diag.first);
		if (most_elements(&n->type) <= LARGEST)
			p->node[p->n++] = n;
	}
}

static inline void add_outputs(struct pool *p)
{
	graph_output(p->m->g, p->node[p->n - 1], "last");
	static const char *const names[] = {"first", "second", "third"};
	for (int i = 0; i < 3; i++)
		graph_output(p->m->g, any(p), names[i]);
}

/* ---- running ---- */

/* The random graph of a seed; two of four have fixed extents.  Close it. */
static inline struct pool *pool_open(uint64_t seed, enum normc_elem elem)
{
	struct pool *p = calloc(1, sizeof *p);
	assert_non_null(p);
	p->m = malloc(sizeof *p->m);
	assert_non_null(p->m);
	maker_open(p->m, seed);
	p->m->fixed = seed % 4 < 2;
	p->elem = elem;
	grow(p, option("NORMC_TEST_NODES", NODES));
	add_outputs(p);
	return p;
}

static inline void pool_close(struct pool *p)
{
	maker_close(p->m);
	free(p->m);
	free(p);
}

/* Tries `count` seeds, or as many as NORMC_TEST_GRAPHS says, from 1 or NORMC_TEST_SEED on. */
static inline void try_graphs(int64_t count, void (*try_graph)(uint64_t seed))
{
	uint64_t first = (uint64_t)option("NORMC_TEST_SEED", 1);
	count = option("NORMC_TEST_GRAPHS", count);
	for (int64_t i = 0; i < count; i++) {
		if (getenv("NORMC_TEST_SEED"))
			print_message("graph %llu\n", (unsigned long long)(first + (uint64_t)i));
		try_graph(first + (uint64_t)i);
	}
}

#endif
