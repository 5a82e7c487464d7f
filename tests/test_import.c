/* The importer on the small models of tests/data: names and scopes, functions, regions, symbols,
 * and what it says about wrong models.  Right results are the interpreter's.
 */
#include "test_model.h"

#include "eval.h"

/* Imports NAME.onnx; f->g is NULL if that failed or memory was spent (then the status is LIMIT). */
static void import(struct fixture *f, const char *name, const char *const *fixed)
{
	char path[1000];
	snprintf(path, sizeof path, "%s/tests/data/%s.onnx", NORMC_SOURCE_DIR, name);
	if (setjmp(f->out)) {
		f->diag.status = NORMC_LIMIT;
		f->g = NULL;
		return;
	}
	f->context.arena = arena_open(&f->memory);
	f->context.dims = dims_new(f->context.arena);
	f->model = model_open(&f->memory, &f->diag, path);
	f->g = f->model ? import_model(&f->context, f->model, fixed) : NULL;
}

static struct fixture *good(const char *name)
{
	struct fixture *f = fixture_open((size_t)1 << 28);
	import(f, name, NULL);
	if (!f->g || f->diag.errors)
		fail_msg("%s: %s", name, f->lines);
	assert_true(graph_verify(f->g));
	return f;
}

/* The model is refused with this status and a message that contains `text`. */
static void bad(const char *name, const char *const *fixed, enum normc_status status,
		const char *text)
{
	struct fixture *f = fixture_open((size_t)1 << 28);
	import(f, name, fixed);
	assert_null(f->g);
	assert_int_equal(f->diag.status, status);
	if (!strstr(f->lines, text))
		fail_msg("%s: no '%s' in: %s", name, text, f->lines);
	fixture_close(f);
}

/* A tensor of the interpreter: rank 1 unless shaped otherwise afterwards. */
static struct tensor floats(double *list, int64_t n)
{
	return (struct tensor){.elem = NORMC_F32, .rank = 1, .dim = {n}, .count = n, .f = list};
}

static struct tensor truth(int64_t *value)
{
	return (struct tensor){.elem = NORMC_BOOL, .rank = 0, .count = 1, .i = value};
}

static void run(struct fixture *f, const struct tensor *in, struct tensor *out)
{
	int64_t symbols[16];
	assert_true(f->context.dims->n_symbols <= 16);
	for (uint32_t i = 0; i < f->context.dims->n_symbols; i++) {
		const struct symbol *s = &f->context.dims->symbols[i];
		symbols[i] = s->element ? in[s->input].i[s->index] : in[s->input].dim[s->index];
	}
	if (!eval_graph(f->g, (struct eval_request){EVAL_ROUND, symbols, f->context.arena}, in,
			out))
		fail_msg("%s", f->lines);
}

static void expect(const struct tensor *got, const double *want, int64_t n)
{
	assert_int_equal(got->count, n);
	for (int64_t i = 0; i < n; i++)
		assert_true(got->f[i] == want[i]);
}

/* ---- values ---- */

static void initializers_that_are_inputs(void **state)
{
	static const char *const names[] = {"ir3", "default"};
	double x[4] = {1, 2, 3, 4};
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct fixture *f = good(names[k]);
		struct tensor in = floats(x, 4), out;
		in.rank = 2;
		in.dim[0] = in.dim[1] = 2;
		assert_int_equal(f->g->n_inputs, 1);
		assert_int_equal(f->diag.warnings, k); /* only later IRs call it a default */
		run(f, &in, &out);
		expect(&out, (double[]){11, 22, 13, 24}, 4);
		fixture_close(f);
	}
}

static void fixed_dimensions(void **state)
{
	static const char *const batch[] = {"N=5", NULL}, *const none[] = {"M=5", NULL},
				 * const text[] = {"N=x", NULL},
				 * const huge[] = {"N=99999999999999999999", NULL};
	struct fixture *f = fixture_open((size_t)1 << 28);
	(void)state;
	import(f, "shapes", batch);
	assert_non_null(f->g);
	assert_int_equal(f->context.dims->n_symbols, 0);
	assert_true(dim_is(f->g->outputs[0]->type.dim[0], 5));
	fixture_close(f);
	bad("shapes", none, NORMC_USAGE, "no dimension of that name");
	bad("shapes", text, NORMC_USAGE, "NAME=NUMBER");
	bad("shapes", huge, NORMC_USAGE, "NAME=NUMBER");
}

static void tracked_shapes(void **state)
{
	struct fixture *f = good("shapes");
	const struct node *y = f->g->outputs[0];
	(void)state;
	assert_int_equal(y->op, OP_reshape); /* nothing is left of the computation of the shape */
	assert_ptr_equal(y->in[0], f->g->inputs[0]);
	assert_ptr_equal(y->type.dim[0], f->g->inputs[0]->type.dim[0]);
	assert_true(dim_is(y->type.dim[1], 12));
	fixture_close(f);
}

static void shape_through_floats(void **state)
{
	struct fixture *f = good("float_shape");
	const struct type *type = &f->g->outputs[0]->type;
	(void)state;
	assert_ptr_equal(type->dim[0], f->g->inputs[0]->type.dim[0]);
	assert_true(dim_is(type->dim[1], 2));
	assert_true(dim_is(type->dim[2], 6));
	fixture_close(f);
}

static void shape_from_an_input(void **state)
{
	static const int64_t want[3][4] = {{3, 4, 3, 4}, {-1, 2, 6, 2}, {0, -1, 2, 6}};
	double x[12] = {0};
	(void)state;
	for (int k = 0; k < 3; k++) {
		struct fixture *f = good("reshape_input");
		int64_t shape[2] = {want[k][0], want[k][1]};
		struct tensor in[2] = {floats(x, 12), {.elem = NORMC_I64, .rank = 1, .dim = {2}}},
			      out;
		in[0].rank = 2;
		in[0].dim[0] = 2;
		in[0].dim[1] = 6;
		in[1].count = 2;
		in[1].i = shape;
		run(f, in, &out);
		assert_int_equal(out.dim[0], want[k][2]);
		assert_int_equal(out.dim[1], want[k][3]);
		fixture_close(f);
	}
}

/* ---- functions ---- */

static void functions_in_place(void **state)
{
	struct fixture *f = good("function");
	double x[2] = {-1, 2};
	struct tensor in = floats(x, 2), out;
	char place[400];
	(void)state;
	run(f, &in, &out); /* the attribute passes through two functions, the operand is absent */
	expect(&out, (double[]){-3, 6}, 2);
	diag_place(&f->diag, f->g->outputs[0]->loc, place, sizeof place);
	assert_non_null(strstr(place, "call/"));
	fixture_close(f);
}

static void functions_are_bounded(void **state)
{
	struct fixture *f = fixture_open((size_t)1 << 28);
	(void)state;
	bad("recursive", NULL, NORMC_INVALID, "calls itself");
	import(f, "exponential", NULL);
	assert_null(f->g);
	assert_int_equal(f->diag.status, NORMC_LIMIT);
	fixture_close(f);
}

/* ---- control flow ---- */

static void branches(void **state)
{
	static const double want[3][2] = {{-2, 15}, {2, -10}, {3, 8}};
	double x[2] = {-1, 5};
	(void)state;
	for (int k = 0; k < 3; k++) {
		struct fixture *f = good("if");
		int64_t c[2] = {k < 2, k == 0};
		struct tensor in[3] = {floats(x, 2), truth(&c[0]), truth(&c[1])}, out;
		run(f, in, &out);
		expect(&out, want[k], 2);
		fixture_close(f);
	}
}

static void captures(void **state)
{
	struct fixture *f = good("if");
	const struct node *y = f->g->outputs[0];
	(void)state;
	assert_int_equal(y->op, OP_if);
	assert_int_equal(y->n_in,
			 4); /* condition, then x, inner condition, |x|; constants are copied */
	for (int r = 0; r < 2; r++)
		assert_int_equal(y->attr.region->region[r]->n_inputs, 3);
	fixture_close(f);
}

static void known_branch(void **state)
{
	struct fixture *f = good("if_known");
	(void)state;
	assert_int_equal(f->g->outputs[0]->op, OP_neg);
	fixture_close(f);
}

static void loops(void **state)
{
	static const char *const names[] = {"loop", "loop_grow"};
	double x[2] = {1, 2}, w[2] = {10, 20};
	(void)state;
	for (int k = 0; k < 2; k++) {
		struct fixture *f = good(names[k]);
		struct tensor in[2] = {floats(x, 2), floats(w, 2)}, out[2];
		run(f, in, out);
		if (k) {
			expect(&out[0], (double[]){1, 2, 10, 20, 10, 20, 10, 20}, 8);
			expect(&out[1], (double[]){10, 20, 10, 20, 10, 20}, 6);
		} else {
			expect(&out[0], (double[]){34, 65}, 2);
			expect(&out[1], (double[]){10, 20, 11, 21, 12, 22}, 6);
		}
		fixture_close(f);
	}
}

static void scans(void **state)
{
	struct fixture *f = good("scan");
	double start[2] = {100, 200}, x[6] = {1, 2, 3, 4, 5, 6};
	struct tensor in[2] = {floats(start, 2), floats(x, 6)}, out[2];
	(void)state;
	in[1].rank = 2;
	in[1].dim[0] = 2;
	in[1].dim[1] = 3;
	run(f, in, out);
	expect(&out[0], (double[]){106, 215}, 2);
	expect(&out[1], (double[]){106, 105, 103, 215, 211, 206}, 6);
	fixture_close(f);
}

/* ---- reports ---- */

static void wrong_models(void **state)
{
	(void)state;
	bad("undefined", NULL, NORMC_INVALID, "node 0 'first' (Add, opset 17): operand 1, 'later'");
	bad("twice", NULL, NORMC_INVALID,
	    "node 1 'second' (Abs, opset 17): the value 'y' is defined twice");
	bad("two_inputs", NULL, NORMC_INVALID, "input 0 and input 1 have the same name, 'x'");
	bad("two_outputs", NULL, NORMC_INVALID, "output 0 and output 1 have the same name, 'y'");
	bad("no_groups", NULL, NORMC_INVALID,
	    "node 0 'conv' (Conv, opset 17): group is 0; it must be at least 1");
	bad("huge_kernel", NULL, NORMC_LIMIT, "kernel_shape[1] is 1099511627776; at most 16777216");
	bad("negative", NULL, NORMC_INVALID, "input 0, 'x', has extent -7 in dimension 1");
}

/* What follows from a node's first error is not told. */
static void one_message_for_a_node(void **state)
{
	struct fixture *f = fixture_open((size_t)1 << 28);
	(void)state;
	import(f, "bad_perm", NULL);
	assert_null(f->g);
	assert_non_null(strstr(f->lines, "axis 7 is out of range for rank 4"));
	assert_ptr_equal(strchr(f->lines, '\n'), f->lines + strlen(f->lines) - 1);
	fixture_close(f);
}

static void unsupported_models(void **state)
{
	(void)state;
	bad("typo", NULL, NORMC_UNSUPPORTED,
	    "node 0 '/encoder/a' (Softmaxx, opset 17): operator not "
	    "supported (the nearest name is Softmax)");
	bad("too_old", NULL, NORMC_UNSUPPORTED, "Gelu is supported in opsets from 20");
	bad("opset6", NULL, NORMC_UNSUPPORTED, "opset 6 is not supported; supported are 7 to 28");
	bad("strings", NULL, NORMC_UNSUPPORTED, "input 0, 'x', holds strings");
}

/* ---- memory ---- */

/* Every allocation of an import may fail; nothing is lost then. */
static void failing_memory(void **state)
{
	static const char *const names[] = {"function", "if", "loop_grow", "scan", "reshape_input"};
	(void)state;
	for (size_t k = 0; k < sizeof names / sizeof names[0]; k++) {
		bool done = false;
		for (uint64_t at = 1; !done; at++) {
			struct fixture *f = fixture_open((size_t)1 << 28);
			f->memory.fail_at = at;
			import(f, names[k], NULL);
			done = f->g != NULL;
			assert_true(done || f->diag.status == NORMC_LIMIT);
			fixture_close(f);
			assert_true(at < 100000);
		}
	}
}

/* Whatever the budget, an import ends in a graph or in a report. */
static void small_budgets(void **state)
{
	(void)state;
	for (size_t limit = 1000; limit < 2000000; limit += limit / 16) {
		struct fixture *f = fixture_open(limit);
		import(f, "if", NULL);
		assert_true(f->g || f->diag.status == NORMC_LIMIT);
		fixture_close(f);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(initializers_that_are_inputs),
			cmocka_unit_test(fixed_dimensions),
			cmocka_unit_test(tracked_shapes),
			cmocka_unit_test(shape_from_an_input),
		cmocka_unit_test(shape_through_floats),
			cmocka_unit_test(functions_in_place),
			cmocka_unit_test(functions_are_bounded),
			cmocka_unit_test(branches),
			cmocka_unit_test(captures),
			cmocka_unit_test(known_branch),
			cmocka_unit_test(loops),
			cmocka_unit_test(scans),
			cmocka_unit_test(wrong_models),
			cmocka_unit_test(one_message_for_a_node),
			cmocka_unit_test(unsupported_models),
			cmocka_unit_test(failing_memory),
			cmocka_unit_test(small_budgets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
