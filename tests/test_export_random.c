/* Random graphs, as they are and rewritten, written as ONNX and read back: the interpreter must get
 * the same from both.
 */
#include "random_graph.h"
#include "roundtrip.h"

enum { GRAPHS = 200, RUNS = 2 };

static void try_written(struct pool *p, const struct graph *g, uint64_t seed)
{
	static const int64_t sizes[RUNS][SYMBOLS] = {{1, 2, 1}, {5, 17, 9}};
	static const int32_t caps[] = {EXPORT_OPSET_USUAL, 19, EXPORT_OPSET_LAST, 20};
	struct export_request request = {.opset = 13 + (int32_t)(seed % 5),
					 .cap = caps[seed / 8 % 4]};
	struct written w;
	if (!roundtrip_write(g, &request, &w))
		fail_msg("graph %llu: %s", (unsigned long long)seed, p->m->b->diag.first);
	struct fixture *f = roundtrip_read(&w);
	for (int i = 0; i < (p->m->fixed ? 1 : RUNS); i++) {
		memcpy(p->m->size, sizes[i], sizeof p->m->size);
		roundtrip_compare(p->m, f, 1e-5);
	}
	fixture_close(f);
	free(w.bytes);
}

/* Integers are neither convolved nor pooled by ONNX. */
static void try_graph(uint64_t seed)
{
	struct pass_options options = {.verify = true};
	struct pool *p = pool_open(seed, seed % 2 ? NORMC_F64 : NORMC_F32);
	if (option("NORMC_TEST_NODES", 0))
		graph_print(p->m->g, 12, roundtrip_print, NULL);
	try_written(p, p->m->g, seed);
	struct graph *rewritten = passes_run(p->m->g, &options);
	assert_non_null(rewritten);
	try_written(p, rewritten, seed);
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
