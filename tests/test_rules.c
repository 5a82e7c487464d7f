/* Every rewrite rule, one test each: operands are made from the rule's pattern until it has fired
 * often enough, then both sides are evaluated and compared.  Rules that claim the same bits are
 * tried with infinities, NaN, zeros of both signs and subnormal numbers, rounding as compiled code
 * does; the others with moderate numbers, in fp64.
 */
#include "rewrite.h"

#include "test_eval.h"
#include "value.h"

enum { WANTED = 100, MOST_TRIALS = 50000, MOST_INPUTS = 16 };

/* One trial. */
struct trial {
	const struct rule *rule;
	struct bench *bench;
	struct graph *g;
	uint64_t *seed;
	struct node *slot[MAX_SLOTS];
	struct node *shared; /* a value that several parts slice */
};

static struct node *make(struct trial *t, const struct pat *p, const struct type *want);

static int64_t below(struct trial *t, int64_t limit)
{
	return (int64_t)test_random_below(t->seed, (uint64_t)limit);
}

static const struct dim *fixed(struct trial *t, int64_t value)
{
	return dim_const(t->g->context->dims, value);
}

static double random_number(struct trial *t, enum normc_elem elem)
{
	static const double special[] = {0,   -0.0,	1,	   -1,	 INFINITY, -INFINITY,
					 NAN, 0x1p-140, 0x1p-1070, 3e38, 2};
	if (!elem_is_float(elem))
		return elem == NORMC_BOOL ? (double)below(t, 2)
					  : (double)(below(t, 9) - (elem_is_signed(elem) ? 4 : 0));
	if (t->rule->accuracy == BIT && below(t, 2))
		return special[below(t, sizeof special / sizeof *special)];
	double x = test_random_range(t->seed, 0.25, 4);
	return t->rule->pattern->op == OP_pow || below(t, 2) ? x : -x;
}

static struct node *random_input(struct trial *t, const struct type *want)
{
	return graph_input(t->g, "x", want);
}

/* Some extents become 1. */
static struct type thinned(struct trial *t, const struct type *want)
{
	struct type small = *want;
	for (int32_t i = 0; i < want->rank; i++)
		if (below(t, 2))
			small.dim[i] = fixed(t, 1);
	return small;
}

static struct node *random_constant(struct trial *t, const struct type *want)
{
	struct type small = thinned(t, want);
	int64_t count = type_fixed_count(&small);
	bool powers = below(t, 2), equal = below(t, 2);
	double *value = arena_new(t->g->context->arena, double, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++) {
		value[i] = i && equal ? value[0] : random_number(t, want->elem);
		if (powers && elem_is_float(want->elem) && value[i] != 0 && isfinite(value[i]))
			value[i] = copysign(ldexp(1, (int)below(t, 9) - 4), value[i]);
		value[i] = elem_is_float(want->elem) ? elem_round(want->elem, value[i]) : value[i];
	}
	size_t size = normc_elem_size(want->elem);
	void *p = arena_alloc(t->g->context->arena, (size_t)count + 1, size);
	struct tensor filled =
			bench_values(t->bench, want->elem, (struct shape){1, {count}}, value);
	tensor_store(&filled, p);
	struct node *c = build_constant(t->g, &small, p, (uint64_t)count * size);
	return build_broadcast(t->g, c, want->rank, want->dim);
}

static struct type random_type(struct trial *t)
{
	static const enum normc_elem elems[] = {NORMC_F32,  NORMC_F32, NORMC_F32, NORMC_F64,
						NORMC_F16,  NORMC_I32, NORMC_I64, NORMC_U8,
						NORMC_BOOL, NORMC_BOOL};
	struct type type = {.elem = elems[below(t, sizeof elems / sizeof *elems)],
			    .rank = (int32_t)below(t, 5)};
	for (int32_t i = 0; i < type.rank; i++)
		type.dim[i] = fixed(t, below(t, 3) ? 1 + below(t, 4) : 1);
	return type;
}

/* The operand for argument k; without a pattern, an input. */
static struct node *argument(struct trial *t, const struct pat *p, uint32_t k,
			     const struct type *want)
{
	return p->arg[0] && p->arg[k] ? make(t, p->arg[k], want) : random_input(t, want);
}

/* ---- views ---- */

static struct node *make_reshape(struct trial *t, const struct pat *p, const struct type *want)
{
	struct type from = {.elem = want->elem, .rank = (int32_t)below(t, 4)};
	int64_t left = type_fixed_count(want);
	for (int32_t i = 0; i < from.rank; i++) {
		int64_t extent = i + 1 == from.rank ? left : 1 + below(t, left < 6 ? left + 1 : 6);
		extent = extent && left % extent == 0 ? extent : 1;
		from.dim[i] = fixed(t, extent);
		left /= extent;
	}
	if (left != 1 || below(t, 6) == 0)
		from = *want;
	struct attr_shape attr = {.rank = want->rank};
	memcpy(attr.dim, want->dim, sizeof attr.dim);
	struct node *a = argument(t, p, 0, &from);
	return graph_node(t->g, OP_reshape, &a, 1, (union attr){.shape = &attr});
}

static struct node *make_transpose(struct trial *t, const struct pat *p, const struct type *want)
{
	struct attr_perm attr = {{0}};
	struct type from = *want;
	for (int32_t i = 0; i < want->rank; i++)
		attr.perm[i] = i;
	for (int32_t i = below(t, 5) ? want->rank - 1 : 0; i > 0; i--) {
		int32_t k = (int32_t)below(t, i + 1), swapped = attr.perm[i];
		attr.perm[i] = attr.perm[k];
		attr.perm[k] = swapped;
	}
	for (int32_t i = 0; i < want->rank; i++)
		from.dim[attr.perm[i]] = want->dim[i];
	struct node *a = argument(t, p, 0, &from);
	return graph_node(t->g, OP_transpose, &a, 1, (union attr){.perm = &attr});
}

static struct node *make_broadcast(struct trial *t, const struct pat *p, const struct type *want)
{
	struct type small = thinned(t, want);
	struct attr_shape attr = {.rank = want->rank};
	memcpy(attr.dim, want->dim, sizeof attr.dim);
	struct node *a = argument(t, p, 0, &small);
	return graph_node(t->g, OP_broadcast, &a, 1, (union attr){.shape = &attr});
}

static struct node *make_slice(struct trial *t, const struct pat *p, const struct type *want)
{
	struct attr_slice attr = {0};
	struct type from = *want;
	bool whole = below(t, 4) == 0;
	for (int32_t i = 0; i < want->rank; i++) {
		int64_t n = want->dim[i]->value, step = 1 + below(t, 2), before = below(t, 2),
			after = below(t, 2);
		bool back = !whole && below(t, 4) == 0;
		if (whole)
			step = 1, before = after = 0;
		attr.step[i] = back ? -step : step;
		attr.start[i] = fixed(t, before + (back && n ? (n - 1) * step : 0));
		attr.extent[i] = want->dim[i];
		from.dim[i] = fixed(t, before + (n ? (n - 1) * step + 1 : 0) + after);
	}
	struct node *a = argument(t, p, 0, &from);
	return graph_node(t->g, OP_slice, &a, 1, (union attr){.slice = &attr});
}

/* ---- movement ---- */

/* Elements [start, start + extent) of the shared value along the axis. */
static struct node *make_part(struct trial *t, const struct type *want, int32_t axis, int64_t start,
			      int64_t extent)
{
	struct type part = *want;
	part.dim[axis] = fixed(t, extent);
	if (!t->shared)
		return random_input(t, &part);
	struct attr_slice attr = {0};
	for (int32_t i = 0; i < want->rank; i++) {
		attr.start[i] = fixed(t, i == axis ? start : 0);
		attr.extent[i] = part.dim[i];
		attr.step[i] = 1;
	}
	return graph_node(t->g, OP_slice, &t->shared, 1, (union attr){.slice = &attr});
}

static struct node *make_concat(struct trial *t, const struct type *want, int nesting)
{
	struct node *in[3];
	uint32_t n = 0;
	if (!want->rank)
		return graph_poison(t->g);
	int32_t axis = nesting ? 0 : (int32_t)below(t, want->rank);
	int64_t left = want->dim[axis]->value, at = 0;
	t->shared = nesting || below(t, 2) ? NULL : random_input(t, want);
	while (n < 2 && left) {
		int64_t extent = below(t, left + 1);
		struct type part = *want;
		part.dim[axis] = fixed(t, extent);
		bool nested = !nesting && !t->shared && axis == 0 && extent > 0 && below(t, 2);
		in[n++] = nested ? make_concat(t, &part, 1) : make_part(t, want, axis, at, extent);
		left -= extent;
		at += extent;
	}
	in[n++] = make_part(t, want, axis, at, left);
	return graph_node(t->g, OP_concat, in, n, (union attr){.axis = &(struct attr_axis){axis}});
}

/* `first`: leading dimensions that are not padded */
static struct node *make_pad(struct trial *t, const struct pat *p, const struct type *want,
			     int32_t first)
{
	struct attr_pad attr = {.mode = PAD_CONSTANT};
	struct type from = *want, scalar = {.elem = want->elem};
	for (int32_t i = 0; i < want->rank; i++) {
		int64_t before = 0, after = 0, n = want->dim[i]->value;
		if (i >= first && n > 1)
			before = below(t, 2), after = below(t, n > 2 ? 2 : 1);
		if (i >= first && below(t, 8) == 0)
			before = -1;
		attr.before[i] = fixed(t, before);
		attr.after[i] = fixed(t, after);
		from.dim[i] = fixed(t, n - before - after);
	}
	struct node *in[2] = {argument(t, p, 0, &from), NULL};
	in[1] = first || !p->arg[0] ? build_number(t->g, want->elem, below(t, 9) ? 0 : 1)
				    : argument(t, p, 1, &scalar);
	return graph_node(t->g, OP_pad, in, 2, (union attr){.pad = &attr});
}

static struct node *make_gather(struct trial *t, const struct type *want)
{
	struct type data = *want;
	bool scalar = want->rank < 4 && below(t, 2);
	if (!scalar && !want->rank)
		return graph_poison(t->g);
	int32_t axis = (int32_t)below(t, want->rank + scalar);
	int64_t n = scalar ? 1 : want->dim[axis]->value, step = below(t, 2) ? 1 : below(t, 5) - 2;
	int64_t extent = 1 + (n - 1) * (step < 0 ? -step : step) + below(t, 2), *index;
	if (scalar) {
		memmove(&data.dim[axis + 1], &data.dim[axis],
			(size_t)(want->rank - axis) * sizeof *data.dim);
		data.rank++;
	}
	data.dim[axis] = fixed(t, extent);
	index = arena_new(t->g->context->arena, int64_t, (size_t)n + 1);
	for (int64_t i = 0; i < n; i++)
		index[i] = (step < 0 ? extent - 1 : 0) + i * step - (below(t, 2) ? extent : 0);
	struct type type = type_fixed(t->g->context, NORMC_I64, scalar ? 0 : 1, &n);
	struct node *in[2] = {random_input(t, &data),
			      build_constant(t->g, &type, index, (uint64_t)n * sizeof *index)};
	return graph_node(t->g, OP_gather, in, 2, (union attr){.axis = &(struct attr_axis){axis}});
}

/* ---- windows and reductions ---- */

static struct node *make_conv(struct trial *t, const struct pat *p, const struct type *want)
{
	struct attr_conv attr = {.spatial = 2, .groups = 1};
	struct type x = *want, w = *want;
	if (want->rank != 4 || !elem_is_float(want->elem))
		return graph_poison(t->g);
	x.dim[1] = w.dim[1] = fixed(t, 2);
	w.dim[0] = want->dim[1];
	for (int32_t i = 0; i < 2; i++) {
		int64_t before = below(t, 2), kernel = 2 + below(t, 2);
		attr.stride[i] = attr.dilation[i] = attr.x_dilation[i] = 1;
		attr.before[i] = fixed(t, before);
		attr.after[i] = fixed(t, 0);
		w.dim[i + 2] = fixed(t, kernel);
		x.dim[i + 2] = fixed(t, want->dim[i + 2]->value + kernel - 1 - before);
	}
	struct node *in[2] = {make_pad(t, p->arg[0], &x, 2), random_input(t, &w)};
	return graph_node(t->g, OP_conv, in, 2, (union attr){.conv = &attr});
}

static struct node *make_pool(struct trial *t, const struct pat *p, const struct type *want)
{
	struct attr_pool attr = {.spatial = 2};
	struct type x = *want;
	bool point = p->arg[0]->kind != PAT_OP;
	if (want->rank != 4 || !elem_is_float(want->elem))
		return graph_poison(t->g);
	for (int32_t i = 0; i < 2; i++) {
		attr.kernel[i] = point ? 1 : 1 + below(t, 3);
		attr.stride[i] = attr.dilation[i] = 1;
		attr.before[i] = fixed(t, 0);
		attr.after[i] = fixed(t, 0);
		x.dim[i + 2] = fixed(t, want->dim[i + 2]->value + attr.kernel[i] - 1);
	}
	struct node *a = point ? argument(t, p, 0, &x) : make_pad(t, p->arg[0], &x, 2);
	return graph_node(t->g, p->op, &a, 1, (union attr){.pool = &attr});
}

static struct node *make_reduce(struct trial *t, const struct pat *p, const struct type *want)
{
	struct attr_axes attr = {0};
	struct type from = *want;
	for (int32_t i = 0; i < want->rank; i++)
		if (dim_is(want->dim[i], 1) && below(t, 2)) {
			attr.mask |= 1u << i;
			from.dim[i] = fixed(t, 1 + below(t, 3));
		}
	struct node *a = argument(t, p, 0, &from);
	return graph_node(t->g, p->op, &a, 1, (union attr){.axes = &attr});
}

/* ---- elementwise ---- */

static struct node *make_map(struct trial *t, const struct pat *p, const struct type *want)
{
	struct node *in[MAX_PAT_ARGS];
	struct attr_cast cast = {.to = want->elem};
	uint32_t n = (uint32_t)op_info[p->op].in;
	for (uint32_t k = 0; k < n; k++) {
		struct type operand = *want;
		if (p->op == OP_where && k == 0)
			operand.elem = NORMC_BOOL;
		if (p->op == OP_cast && below(t, 4))
			operand.elem = random_type(t).elem;
		if (!p->arg[0] && k == 0)
			in[k] = random_constant(t, &operand);
		else
			in[k] = argument(t, p, k, &operand);
	}
	return graph_node(t->g, p->op, in, n,
			  p->op == OP_cast ? (union attr){.cast = &cast} : (union attr){NULL});
}

static struct node *make_any_map(struct trial *t, const struct type *want)
{
	static const enum op ops[] = {OP_add, OP_mul, OP_neg, OP_max, OP_where, OP_not};
	enum op op = ops[below(t, sizeof ops / sizeof *ops)];
	struct type small = thinned(t, want);
	struct node *in[3];
	for (int32_t k = 0; k < op_info[op].in; k++) {
		struct type operand = thinned(t, want);
		operand.elem = op == OP_where && k == 0 ? NORMC_BOOL : want->elem;
		for (int32_t i = 0; i < want->rank; i++)
			if (dim_is(small.dim[i], 1))
				operand.dim[i] = small.dim[i];
		in[k] = build_broadcast(t->g, random_input(t, &operand), want->rank, want->dim);
	}
	return graph_node(t->g, op, in, (uint32_t)op_info[op].in, (union attr){NULL});
}

static struct node *make_op(struct trial *t, const struct pat *p, const struct type *want)
{
	switch (p->op) {
	case OP_reshape:
		return make_reshape(t, p, want);
	case OP_transpose:
		return make_transpose(t, p, want);
	case OP_broadcast:
		return make_broadcast(t, p, want);
	case OP_slice:
		return make_slice(t, p, want);
	case OP_concat:
		return make_concat(t, want, 0);
	case OP_pad:
		return make_pad(t, p, want, 0);
	case OP_gather:
		return make_gather(t, want);
	case OP_conv:
		return make_conv(t, p, want);
	case OP_pool_max:
	case OP_pool_sum:
		return make_pool(t, p, want);
	default:
		return op_info[p->op].kind == KIND_reduce ? make_reduce(t, p, want)
							  : make_map(t, p, want);
	}
}

static struct node *make(struct trial *t, const struct pat *p, const struct type *want)
{
	bool is_float_type = elem_is_float(want->elem);
	switch (p->kind) {
	case PAT_NUMBER:
		if (!is_float_type && (isinf(p->number) || p->number != floor(p->number)))
			return graph_poison(t->g);
		return build_splat(t->g, want, p->number);
	case PAT_MAP:
		return make_any_map(t, want);
	case PAT_OP:
		return make_op(t, p, want);
	default:
		if (!t->slot[p->slot])
			t->slot[p->slot] = p->kind == PAT_ANY ? random_input(t, want)
							      : random_constant(t, want);
		return t->slot[p->slot];
	}
}

/* ---- comparing ---- */

static bool equal(const struct rule *rule, const struct tensor *a, const struct tensor *b,
		  int64_t i)
{
	if (!is_float(a))
		return a->i[i] == b->i[i];
	double x = a->f[i], y = b->f[i];
	if (isnan(x) || isnan(y))
		return isnan(x) && isnan(y);
	if (rule->accuracy == BIT)
		return x == y && signbit(x) == signbit(y);
	return x == y || fabs(x - y) <= 1e-9 * (fabs(x) + fabs(y) + 1);
}

static void compare(struct trial *t, struct node *before, struct node *after)
{
	struct tensor in[MOST_INPUTS], out[2];
	const struct rule *rule = t->rule;
	graph_output(t->g, before, "before");
	graph_output(t->g, after, "after");
	assert_true(t->g->n_inputs <= MOST_INPUTS);
	for (uint32_t k = 0; k < t->g->n_inputs; k++) {
		const struct type *type = &t->g->inputs[k]->type;
		struct shape shape = {.rank = type->rank};
		for (int32_t i = 0; i < type->rank; i++)
			shape.dim[i] = type->dim[i]->value;
		in[k] = bench_tensor(t->bench, type->elem, shape);
		for (int64_t i = 0; i < in[k].count; i++) {
			double x = random_number(t, type->elem);
			if (is_float(&in[k]))
				in[k].f[i] = elem_round(type->elem, x);
			else
				in[k].i[i] = (int64_t)x;
		}
	}
	enum eval_mode mode = rule->accuracy == BIT ? EVAL_ROUND : EVAL_EXACT;
	if (!eval_graph(t->g, (struct eval_request){mode, NULL, t->g->context->arena}, in, out))
		fail_msg("%s: %s", rule->name, t->bench->diag.first);
	assert_int_equal(out[0].count, out[1].count);
	for (int64_t i = 0; i < out[0].count; i++)
		if (!equal(rule, &out[0], &out[1], i)) {
			if (is_float(&out[0]))
				fail_msg("%s: element %lld: %a before, %a after", rule->name,
					 (long long)i, out[0].f[i], out[1].f[i]);
			fail_msg("%s: element %lld: %lld before, %lld after", rule->name,
				 (long long)i, (long long)out[0].i[i], (long long)out[1].i[i]);
		}
}

/* Whether the rule fired. */
static bool try_once(const struct rule *rule, uint64_t *seed)
{
	void *state;
	bench_open(&state);
	struct bench *b = state;
	struct trial t = {.rule = rule, .bench = b, .g = b->graph, .seed = seed};
	struct type want = random_type(&t);
	struct node *before = make(&t, rule->pattern, &want);
	struct node *after = node_is_poison(before) || b->diag.errors
					     ? NULL
					     : rule_apply(rule, b->graph, before);
	if (after) {
		assert_true(type_equal(&after->type, &before->type));
		compare(&t, before, after);
	}
	bench_close(&state);
	return after != NULL;
}

static void test_rule(void **state)
{
	const struct rule *rule = *state;
	uint64_t seed = 1;
	int fired = 0;
	for (int i = 0; i < MOST_TRIALS && fired < WANTED; i++)
		fired += try_once(rule, &seed);
	if (fired < WANTED)
		fail_msg("%s fired %d times in %d trials", rule->name, fired, MOST_TRIALS);
}

static void test_names_and_reasons(void **state)
{
	(void)state;
	for (uint32_t i = 0; i < n_rules; i++) {
		assert_true(rules[i].why[0] && (rules[i].to || rules[i].build));
		for (uint32_t k = 0; k < i; k++)
			assert_string_not_equal(rules[i].name, rules[k].name);
	}
}

int main(void)
{
	struct CMUnitTest *tests = calloc(n_rules + 1, sizeof *tests);
	if (!tests)
		return 1;
	tests[0] = (struct CMUnitTest)cmocka_unit_test(test_names_and_reasons);
	for (uint32_t i = 0; i < n_rules; i++)
		tests[i + 1] = (struct CMUnitTest){.name = rules[i].name,
						   .test_func = test_rule,
						   .initial_state = (void *)&rules[i]};
	int failed = _cmocka_run_group_tests("rules", tests, n_rules + 1, NULL, NULL);
	free(tests);
	return failed;
}
