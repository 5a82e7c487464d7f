/* Random operands for tests of compiled code: extents, values, and the many ways in which a value
 * can lie in memory (an input, a constant, a strided view, a fused expression).
 *
 * Some extents are unknown at compile time: those of input 0, which nothing reads.  A graph is run
 * with several values for them.
 */
#ifndef NORMC_TEST_OPERAND_H
#define NORMC_TEST_OPERAND_H

#include "compiled.h"

enum { SYMBOLS = 3, MOST_OPERANDS = 4000, MOST_ELEMENTS = 6000 };

/* What the elements of an operand are drawn from. */
struct values {
	double low, high;
	bool special;            /* sometimes infinities, NaN, zeros of both signs, tiny numbers */
	const struct dim *limit; /* not NULL: indices in [-limit, limit) */
};

struct maker {
	struct bench *b;
	struct graph *g;
	uint64_t seed;
	const struct dim *symbol[SYMBOLS];
	int64_t size[SYMBOLS]; /* their values in this run */
	bool fixed;            /* no unknown extents */
	struct values of[MOST_OPERANDS]; /* by graph input */
};

static inline int64_t below(struct maker *m, int64_t limit)
{
	return (int64_t)test_random_below(&m->seed, (uint64_t)limit);
}

static inline bool chance(struct maker *m, int64_t one_in)
{
	return below(m, one_in) == 0;
}

static inline const struct dim *fixed(struct maker *m, int64_t value)
{
	return dim_const(m->g->context->dims, value);
}

static inline void maker_open(struct maker *m, uint64_t seed)
{
	void *state;
	memset(m, 0, sizeof *m);
	bench_open(&state);
	m->b = state;
	m->g = m->b->graph;
	m->seed = seed;
	static const char *const name[SYMBOLS] = {"A", "B", "C"};
	struct type t = {.elem = NORMC_U8, .rank = SYMBOLS};
	for (uint32_t i = 0; i < SYMBOLS; i++)
		t.dim[i] = m->symbol[i] = dim_symbol(m->g->context->dims,
						     (struct symbol){name[i], 0, i, false});
	graph_input(m->g, "sizes", &t);
}

static inline void maker_close(struct maker *m)
{
	void *state = m->b;
	bench_close(&state);
}

/* ---- extents ---- */

/* Values of an extent for one run. */
static inline int64_t extent_value(const struct maker *m, const struct dim *d)
{
	int64_t value = 0;
	if (!dim_eval(d, m->size, &value))
		fail_msg("an extent has no value");
	return value;
}

/* An extent near the widths of vectors; sometimes one that is not known when compiling. */
static inline const struct dim *any_extent(struct maker *m, int64_t most)
{
	static const int64_t known[] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 65, 1, 3};
	if (!m->fixed && chance(m, 5))
		return m->symbol[below(m, SYMBOLS)];
	if (chance(m, 40))
		return fixed(m, 0);
	for (;;) {
		int64_t value = known[below(m, sizeof known / sizeof *known)];
		if (value <= most)
			return fixed(m, value);
	}
}

/* Extents of rank `rank` whose product stays small. */
static inline void any_shape(struct maker *m, int32_t rank, const struct dim **dim)
{
	int64_t left = MOST_ELEMENTS;
	for (int32_t i = 0; i < rank; i++) {
		dim[i] = any_extent(m, left);
		int64_t value = dim_is_const(dim[i]) ? dim[i]->value : 17;
		left = value > 1 ? left / value + 1 : left;
	}
	for (int32_t i = rank; i-- > 1;) { /* large ones anywhere */
		int64_t k = below(m, i + 1);
		const struct dim *t = dim[i];
		dim[i] = dim[k];
		dim[k] = t;
	}
}

/* ---- values ---- */

static inline double special_value(struct maker *m, double low)
{
	static const double any[] = {0.0,   -0.0, INFINITY, -INFINITY, NAN, 1,
				     -1, 1e-40, 0.5,	  1.5,	     2};
	double x = any[below(m, sizeof any / sizeof *any)];
	return x < low && low > -1e30 ? low : x;
}

static inline double any_real(struct maker *m, enum normc_elem elem, const struct values *v)
{
	double x = test_random_range(&m->seed, v->low, v->high);
	if (v->special && chance(m, 16))
		x = special_value(m, v->low);
	else if (chance(m, 8)) /* halves, so that ties are met */
		x = fmin(fmax(rint(2 * x) / 2, v->low), v->high);
	return elem_round(elem, x);
}

static inline int64_t any_integer(struct maker *m, enum normc_elem elem, const struct values *v)
{
	if (elem == NORMC_BOOL)
		return below(m, 2);
	if (v->limit) {
		int64_t limit = extent_value(m, v->limit), from = elem_is_signed(elem) ? -limit : 0;
		return limit ? from + below(m, limit - from) : 0;
	}
	if (v->special && chance(m, 8))
		return elem_wrap(elem, (int64_t)test_random(&m->seed));
	int64_t low = (int64_t)fmax(v->low, -100), high = (int64_t)fmin(v->high, 100);
	return elem_wrap(elem, low + below(m, high - low + 1));
}

static inline void fill(struct maker *m, struct tensor *t, const struct values *v)
{
	for (int64_t i = 0; i < t->count; i++) {
		if (is_float(t))
			t->f[i] = any_real(m, t->elem, v);
		else
			t->i[i] = any_integer(m, t->elem, v);
	}
}

static inline struct tensor any_tensor(struct maker *m, const struct type *type,
				       const struct values *v)
{
	struct shape shape = {.rank = type->rank};
	for (int32_t i = 0; i < type->rank; i++)
		shape.dim[i] = extent_value(m, type->dim[i]);
	struct tensor t = bench_tensor(m->b, type->elem, shape);
	fill(m, &t, v);
	return t;
}

/* Tensors for all inputs of the graph, for the sizes in m->size. */
static inline struct tensor *any_inputs(struct maker *m)
{
	struct tensor *in = arena_new(m->b->context.arena, struct tensor, m->g->n_inputs + 1);
	for (uint32_t i = 0; i < m->g->n_inputs; i++)
		in[i] = any_tensor(m, &m->g->inputs[i]->type, &m->of[i]);
	return in;
}

/* ---- operands ---- */

static inline bool known_extents(const struct type *t)
{
	return type_fixed_count(t) >= 0;
}

static inline struct node *new_input(struct maker *m, const struct type *type,
				     const struct values *v)
{
	if (m->g->n_inputs >= MOST_OPERANDS)
		fail_msg("too many operands");
	m->of[m->g->n_inputs] = *v;
	struct arena *arena = m->b->context.arena;
	return graph_input(m->g, arena_printf(arena, "x%u", m->g->n_inputs), type);
}

static inline struct node *new_constant(struct maker *m, const struct type *type,
					const struct values *v)
{
	struct tensor t = any_tensor(m, type, v);
	size_t bytes = (size_t)t.count * normc_elem_size(t.elem);
	void *data = arena_new(m->b->context.arena, char, bytes + 1);
	tensor_store(&t, data);
	return build_constant(m->g, type, data, bytes);
}

static inline void any_permutation(struct maker *m, int32_t rank, int32_t *perm)
{
	for (int32_t i = 0; i < rank; i++) {
		int32_t k = (int32_t)below(m, i + 1);
		perm[i] = perm[k];
		perm[k] = i;
	}
}

static inline struct node *transposed_operand(struct maker *m, const struct type *type,
					      const struct values *v, bool constant)
{
	int32_t perm[MAX_RANK];
	struct type base = *type;
	any_permutation(m, type->rank, perm);
	for (int32_t i = 0; i < type->rank; i++)
		base.dim[perm[i]] = type->dim[i];
	struct node *n = constant ? new_constant(m, &base, v) : new_input(m, &base, v);
	return build_transpose(m->g, n, perm);
}

static inline struct node *sliced_operand(struct maker *m, const struct type *type,
					  const struct values *v)
{
	static const int64_t steps[] = {1, 1, 2, 3, -1, -2};
	struct type base = *type;
	struct attr_slice attr = {0};
	for (int32_t i = 0; i < type->rank; i++) {
		attr.start[i] = fixed(m, 0);
		attr.extent[i] = type->dim[i];
		attr.step[i] = 1;
		if (!dim_is_const(type->dim[i]) || chance(m, 2))
			continue;
		int64_t n = type->dim[i]->value, step = steps[below(m, 6)], reach = llabs(step);
		int64_t before = below(m, 3);
		base.dim[i] = fixed(m, before + (n ? (n - 1) * reach + 1 : 0) + below(m, 3));
		attr.step[i] = step;
		attr.start[i] = fixed(m, step > 0 || !n ? before : before + (n - 1) * reach);
	}
	struct node *n = new_input(m, &base, v);
	return graph_node(m->g, OP_slice, &n, 1, (union attr){.slice = &attr});
}

static inline struct node *broadcast_operand(struct maker *m, const struct type *type,
					     const struct values *v, bool constant)
{
	struct type base = *type;
	for (int32_t i = 0; i < type->rank; i++)
		if (chance(m, 2))
			base.dim[i] = fixed(m, 1);
	constant = constant && known_extents(&base);
	struct node *n = constant ? new_constant(m, &base, v) : new_input(m, &base, v);
	return build_broadcast(m->g, n, type->rank, type->dim);
}

/* An expression that is fused into its reader, without another rounding. */
static inline struct node *computed_operand(struct maker *m, const struct type *type,
					    const struct values *v)
{
	struct node *a = new_input(m, type, v), *b = new_input(m, type, v);
	struct type t = *type;
	t.elem = NORMC_BOOL;
	return build_where(m->g, new_input(m, &t, v), a, b);
}

/* A value of this type, by one of the ways that lowering treats differently. */
static inline struct node *any_operand(struct maker *m, const struct type *type,
				       const struct values *v)
{
	bool constant = known_extents(type);
	switch (below(m, 10)) {
	case 0:
	case 1:
		return transposed_operand(m, type, v, false);
	case 2:
		return sliced_operand(m, type, v);
	case 3:
		return broadcast_operand(m, type, v, chance(m, 2));
	case 4:
		return computed_operand(m, type, v);
	case 5:
		return constant ? new_constant(m, type, v) : new_input(m, type, v);
	case 6:
		return constant ? transposed_operand(m, type, v, true) : new_input(m, type, v);
	default:
		return new_input(m, type, v);
	}
}

/* ---- reports ---- */

/* Element `at` of both, and the node that it is of. */
static inline void print_difference(const struct maker *m, const struct node *n,
				    const struct tensor *got, const struct tensor *want, int64_t at)
{
	char type[300];
	if (is_float(got))
		print_error("element %lld of %lld: got %.17g, want %.17g\n", (long long)at,
			    (long long)got->count, got->f[at], want->f[at]);
	else
		print_error("element %lld of %lld: got %lld, want %lld\n", (long long)at,
			    (long long)got->count, (long long)got->i[at], (long long)want->i[at]);
	type_print(m->g->context->dims, &n->type, type, sizeof type);
	print_error("%s = %s(", type, op_info[n->op].name);
	for (uint32_t i = 0; i < n->n_in; i++) {
		type_print(m->g->context->dims, &n->in[i]->type, type, sizeof type);
		print_error("%s %s, ", op_info[n->in[i]->op].name, type);
	}
	print_error(")\n");
}

#endif
