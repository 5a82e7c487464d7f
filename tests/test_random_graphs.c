/* Random graphs: compiled code, with and without the graph passes, against the interpreter.
 *
 * Operations are chosen so that lowering has something to decide: values with several readers and
 * several outputs, views of views, prologues and epilogues of reductions, convolutions that feed
 * concats, pads and reshapes, extents that are unknown when compiling.  Half of the graphs are of
 * integers, where every element must be exact; in the others rounding may differ a little.
 *
 * NORMC_TEST_SEED=N starts at graph N, NORMC_TEST_GRAPHS=K tries K of them, NORMC_TEST_NODES=K
 * stops each graph after K nodes (to find the first wrong one) and prints it, NORMC_TEST_CPU names
 * a processor.
 */
#include "random_graph.h"
#include "verify.h"

enum { GRAPHS = 120, RUNS = 2 };

static void put_text(void *user, const char *text)
{
	(void)user;
	print_error("%s", text);
}

static void compare(struct pool *p, const struct tensor *got, const struct tensor *want,
		    uint64_t seed)
{
	for (uint32_t i = 0; i < p->m->g->n_outputs; i++) {
		double most = 1;
		for (int64_t k = 0; is_float(want) && k < want[i].count; k++)
			most = fmax(most, fabs(want[i].f[k]));
		struct bound bound = {0, (p->elem == NORMC_F64 ? 1e-12 : 1e-4) * most};
		int64_t at = first_difference(&got[i], &want[i], bound);
		if (at < 0)
			continue;
		if (getenv("NORMC_TEST_NODES"))
			graph_print(p->m->g, 12, put_text, NULL);
		print_difference(p->m, p->m->g->outputs[i], &got[i], &want[i], at);
		fail_msg("graph %llu, output %u, element %lld", (unsigned long long)seed, i,
			 (long long)at);
	}
}

/* Every element lies within the error bound that `normc verify` takes. */
static void compare_bounds(struct pool *p, const struct tensor *in, const struct tensor *got,
			   uint64_t seed)
{
	struct maker *m = p->m;
	struct arena *arena = m->b->context.arena;
	struct tensor *want = arena_new(arena, struct tensor, m->g->n_outputs + 1);
	struct verify_report report = {.arena = arena};
	struct eval_request request = {EVAL_EXACT, m->size, arena};
	if (!eval_bounds(m->g, request, in, want))
		fail_msg("graph %llu: %s", (unsigned long long)seed, m->b->diag.first);
	for (uint32_t i = 0; i < m->g->n_outputs; i++)
		verify_compare(&report, (struct verify_case){.lane = LANE_FLOAT}, &want[i],
			       &got[i]);
	for (uint32_t i = 0; i < report.n_cases; i++)
		if (report.cases[i].outcome == VERIFY_FAILED)
			fail_msg("graph %llu, output %u: %s", (unsigned long long)seed, i,
				 report.cases[i].text);
}

static void run(struct pool *p, const struct compile_how *how, uint64_t seed)
{
	static const int64_t sizes[RUNS][SYMBOLS] = {{1, 2, 1}, {5, 17, 9}};
	struct maker *m = p->m;
	struct arena *arena = m->b->context.arena;
	struct normc_program *program = compiled_program(m->g, how);
	for (int i = 0; i < (m->fixed ? 1 : RUNS); i++) {
		memcpy(m->size, sizes[i], sizeof m->size);
		struct tensor *in = any_inputs(m);
		struct tensor *want = arena_new(arena, struct tensor, m->g->n_outputs + 1);
		struct tensor *got = arena_new(arena, struct tensor, m->g->n_outputs + 1);
		if (!eval_graph(m->g, (struct eval_request){EVAL_ROUND, m->size, arena}, in, want))
			fail_msg("graph %llu: %s", (unsigned long long)seed, m->b->diag.first);
		compiled_run(&(struct compiled_call){program, 1 + i, in, got, arena});
		compare(p, got, want, seed);
		compare_bounds(p, in, got, seed);
	}
	normc_program_free(program);
}

static void try_graph(uint64_t seed)
{
	static const enum normc_elem types[4][2] = {{NORMC_I32, NORMC_F32},
						    {NORMC_I64, NORMC_F32},
						    {NORMC_I32, NORMC_F64},
						    {NORMC_U8, NORMC_F32}};
	const char *cpu = getenv("NORMC_TEST_CPU");
	struct pool *p = pool_open(seed, types[seed / 4 % 4][seed % 2]);
	run(p, &(struct compile_how){.cpu = cpu, .passes = false}, seed);
	run(p, &(struct compile_how){.cpu = cpu, .passes = true}, seed);
	pool_close(p);
}

static void test_graphs(void **state)
{
	(void)state;
	try_graphs(GRAPHS, try_graph);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_graphs)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
