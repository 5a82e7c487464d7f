/* The ONNX writer, a row of ops.def at a time: random instances are written, read back and compared
 * by the interpreter; what ONNX has no operator for must be refused, and nothing else.
 */
#include "roundtrip.h"
#include "rows.h"

enum { RUNS = 3, INSTANCES = 6 };

/* What the writer refuses: ONNX has no such operator. */
static bool is_refused(enum op op, enum normc_elem elem)
{
	bool integer = !elem_is_float(elem);
	switch (op) {
	case OP_pow:
		return elem == NORMC_U64;
	case OP_shl:
	case OP_shr:
		return elem_is_signed(elem);
	case OP_conv:
	case OP_pool_sum:
		return integer;
	case OP_pool_max:
		return integer && elem != NORMC_I8 && elem != NORMC_U8;
	default:
		return false;
	}
}

static void run_instance(struct maker *m, const struct written *w)
{
	static const int64_t sizes[RUNS][SYMBOLS] = {{3, 16, 33}, {1, 17, 2}, {8, 1, 5}};
	struct fixture *f = roundtrip_read(w);
	for (int run = 0; run < (m->fixed ? 1 : RUNS); run++) {
		memcpy(m->size, sizes[run], sizeof m->size);
		roundtrip_compare(m, f, 1e-6);
	}
	fixture_close(f);
}

static void try_instance(enum op op, enum normc_elem elem, uint64_t seed)
{
	struct export_request request = {.opset = seed % 3 ? 13 : 18, .cap = EXPORT_OPSET_LAST};
	struct written w, again;
	struct maker *m = malloc(sizeof *m);
	assert_non_null(m);
	maker_open(m, seed);
	m->fixed = seed % 2;
	struct node *n = make[op](m, op, elem);
	if (node_is_poison(n))
		fail_msg("%s", m->b->diag.first);
	graph_output(m->g, n, "y");
	if (getenv("NORMC_TEST_SEED"))
		graph_print(m->g, 12, roundtrip_print, NULL);
	bool ok = roundtrip_write(m->g, &request, &w);
	if (ok == is_refused(op, elem) && n->op == op)
		fail_msg("%s of %s: %s", op_info[op].name, normc_elem_name(elem),
			 ok ? "should have been refused" : m->b->diag.first);
	if (ok) {
		assert_true(roundtrip_write(m->g, &request, &again));
		assert_int_equal(w.n, again.n);
		assert_memory_equal(w.bytes, again.bytes, w.n);
		free(again.bytes);
		run_instance(m, &w);
	} else {
		assert_int_equal(m->b->diag.status, NORMC_UNSUPPORTED);
	}
	free(w.bytes);
	maker_close(m);
	free(m);
}

static void test_row(void **state)
{
	const enum op *op = *state;
	const char *seed = getenv("NORMC_TEST_SEED");
	uint64_t first = seed ? strtoull(seed, NULL, 10) : 1000 * (uint64_t)*op;
	bool anchor = op_info[*op].kind > KIND_move;
	for (int i = 0; i < N_ELEMENTS; i++)
		for (uint64_t k = 0; allowed(*op, elements[i]) && k < INSTANCES * (1 + anchor * 3u);
		     k++) {
			print_message("%s of %s, seed %llu\n", op_info[*op].name,
				      normc_elem_name(elements[i]),
				      (unsigned long long)(first + k));
			try_instance(*op, elements[i], first + k);
		}
}

int main(void)
{
	return run_rows("export", test_row);
}
