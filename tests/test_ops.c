/* Every row of ops.def: compiled code against the interpreter.
 *
 * A test is one row: many instances of the operation, over element types, ranks, extents around the
 * widths of vectors, attributes and kinds of operands, each an output of one graph, so that one
 * module holds them all; and a second, smaller graph where some extents are unknown, run for
 * several values of them, in one thread and in two.  Graph passes are left out.
 * NORMC_TEST_SEED, NORMC_TEST_OP (a pattern) and NORMC_TEST_CPU choose what is run.
 *
 * Bounds.  Movement, comparisons, integers, and arithmetic that rounds once: exact.  Elementary
 * functions: steps of the element type.  Sums of k terms of size t: sqrt(k) * k * t * epsilon.
 */
#include "rows.h"

enum { RUNS = 3 };

/* ---- bounds ---- */

/* Number of terms in a sum. */
static double terms_of(const struct maker *m, const struct node *n)
{
	double k = 1;
	const struct type *t = &n->in[0]->type;
	switch (op_info[n->op].kind) {
	case KIND_contract:
		return (double)extent_value(m, t->dim[t->rank - 1]);
	case KIND_conv:
		for (int32_t i = 1; i < n->in[1]->type.rank; i++)
			k *= (double)extent_value(m, n->in[1]->type.dim[i]);
		return k;
	default:
		for (int32_t i = 0; i < t->rank; i++)
			k *= (double)extent_value(m, t->dim[i]);
		return k;
	}
}

static struct bound function_bound(enum normc_elem elem)
{
	/* f16 and bf16 are computed in f32 and rounded: the neighbour at most */
	return (struct bound){elem == NORMC_F32 ? 4 : elem == NORMC_F64 ? 2 : 1, 0};
}

/* Each of the k partial sums, at most k * term, is rounded; errors are independent. */
static double sum_bound(double epsilon, double term, double k)
{
	return epsilon * sqrt(k) * k * term;
}

static struct bound bound_of(const struct maker *m, const struct node *n)
{
	enum normc_elem elem = n->type.elem;
	double epsilon = elem == NORMC_F64 ? 0x1p-53 : 0x1p-24;
	if (!elem_is_float(elem))
		return (struct bound){0};
	switch (op_info[n->op].kind) {
	case KIND_map:
		if (n->op >= OP_exp && n->op <= OP_erf && n->op != OP_sqrt)
			return function_bound(elem);
		return n->op == OP_pow ? function_bound(elem) : (struct bound){0};
	case KIND_reduce:
		if (n->op == OP_reduce_prod)
			return (struct bound){1, epsilon * terms_of(m, n)};
		if (n->op != OP_reduce_sum)
			return (struct bound){0};
		return (struct bound){1, sum_bound(epsilon, 100, terms_of(m, n))};
	case KIND_window:
		if (n->op == OP_pool_max)
			return (struct bound){0};
		return (struct bound){1, sum_bound(epsilon, 100, 27)};
	case KIND_contract:
	case KIND_conv:
		return (struct bound){1, sum_bound(epsilon, 16, terms_of(m, n))};
	case KIND_softmax:
		return (struct bound){2, epsilon * 100};
	case KIND_norm: /* deviations are divided by what may be as small as epsilon */
		return (struct bound){4, epsilon * 4000};
	default:
		return (struct bound){0};
	}
}

/* ---- a row ---- */

/* Unknown extents in many instances of one module would make its memory plan a huge expression. */
static int instances_of(const struct maker *m, enum op op, enum normc_elem elem)
{
	bool anchor = op_info[op].kind > KIND_move;
	int count = anchor ? (elem == NORMC_F32 ? 32 : 6) : elem == NORMC_F32 ? 10 : 4;
	if (op == OP_conv) /* the largest kernels */
		count /= 2;
	return m->fixed ? count : (count + 3) / 4;
}

static void add_instances(struct maker *m, enum op op)
{
	for (int i = 0; i < N_ELEMENTS; i++) {
		int count = instances_of(m, op, elements[i]);
		for (int k = 0; allowed(op, elements[i]) && k < count; k++) {
			struct node *n = make[op](m, op, elements[i]);
			if (node_is_poison(n))
				fail_msg("%s", m->b->diag.first);
			graph_output(m->g, n, "y");
		}
	}
}

static int compare_outputs(const struct maker *m, const struct tensor *got,
			   const struct tensor *want)
{
	int bad = 0;
	for (uint32_t i = 0; i < m->g->n_outputs; i++) {
		const struct node *n = m->g->outputs[i];
		int64_t at = first_difference(&got[i], &want[i], bound_of(m, n));
		if (at < 0)
			continue;
		if (bad++ < 10)
			print_difference(m, n, &got[i], &want[i], at);
	}
	return bad;
}

static void run_row(struct maker *m, const struct normc_program *program)
{
	static const int64_t sizes[RUNS][SYMBOLS] = {{3, 16, 33}, {1, 17, 2}, {8, 1, 5}};
	for (int run = 0; run < (m->fixed ? 1 : RUNS); run++) {
		struct arena *arena = m->b->context.arena;
		memcpy(m->size, sizes[run], sizeof m->size);
		struct tensor *in = any_inputs(m);
		struct tensor *want = arena_new(arena, struct tensor, m->g->n_outputs + 1);
		struct tensor *got = arena_new(arena, struct tensor, m->g->n_outputs + 1);
		if (!eval_graph(m->g, (struct eval_request){EVAL_ROUND, m->size, arena}, in, want))
			fail_msg("%s", m->b->diag.first);
		struct compiled_call call = {program, 1 + run % 2, in, got, arena};
		compiled_run(&call);
		int bad = compare_outputs(m, got, want);
		if (bad)
			fail_msg("%d of %u instances are wrong in run %d", bad, m->g->n_outputs,
				 run);
	}
}

static uint64_t first_seed(void)
{
	const char *seed = getenv("NORMC_TEST_SEED");
	return seed ? strtoull(seed, NULL, 10) : 1000;
}

static void try_row(enum op op, bool known)
{
	struct maker *m = malloc(sizeof *m);
	assert_non_null(m);
	maker_open(m, first_seed() + 2 * (uint64_t)op + known);
	m->fixed = known;
	add_instances(m, op);
	struct compile_how how = {.cpu = getenv("NORMC_TEST_CPU")};
	struct normc_program *program = compiled_program(m->g, &how);
	run_row(m, program);
	normc_program_free(program);
	maker_close(m);
	free(m);
}

static void test_row(void **state)
{
	const enum op *op = *state;
	try_row(*op, true);
	try_row(*op, false);
}

int main(void)
{
	return run_rows("ops", test_row);
}
