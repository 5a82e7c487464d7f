/* The ONNX node tests through importer and interpreter: imports every model of a folder of test
 * cases, evaluates it, and compares with the recorded results.  The folder is $NORMC_NODE_TESTS or
 * ../shared/onnx-tests/node beside the source; without it the test is skipped.  Unsupported models
 * are counted; wrong results and crashes fail.
 *
 * Further rounds do the same with the extents of the first input, and of all inputs, unknown. There
 * a report is as good as an answer: an extent that broadcasts must be known to be 1.
 *
 * Each case runs in a child process, so that a crash or an endless loop in one does not hide the
 * others.
 */
#include "test.h"

#include <sys/wait.h>

#include "eval.h"
#include "import.h"
#include "onnx/onnx.pb-c.h"

enum round { ALL_KNOWN, FIRST_UNKNOWN, ALL_UNKNOWN };
enum { PASSED, FAILED, UNSUPPORTED, N_VERDICTS };

#define RELATIVE 1e-3
#define ABSOLUTE 1e-7

struct test_case {
	const char *folder;
	enum round round;
	struct memory memory;
	struct diag diag;
	struct context context;
	char line[600]; /* what went wrong */
};

static void note(void *user, const char *severity, const char *line)
{
	struct test_case *c = user;
	if (!c->line[0] && !strcmp(severity, "error"))
		snprintf(c->line, sizeof c->line, "%.590s", line);
}

/* Reads set/kind_index.pb. */
static bool read_tensor(struct test_case *c, int set, const char *kind, uint32_t index,
			struct tensor *out)
{
	char path[1000];
	struct raw_tensor raw;
	snprintf(path, sizeof path, "%s/test_data_set_%d/%s_%u.pb", c->folder, set, kind, index);
	if (!load_tensor_file(c->context.arena, &c->diag, path, &raw))
		return false;
	*out = tensor_load(c->context.arena, raw.elem, raw.rank, raw.dim, raw.data);
	return true;
}

static bool complain(struct test_case *c, const char *text)
{
	note(c, "error", text);
	return false;
}

static bool read_inputs(struct test_case *c, const struct graph *g, int set, struct tensor *in,
			int64_t *symbols)
{
	const struct dims *dims = c->context.dims;
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		if (!read_tensor(c, set, "input", i, &in[i]))
			return false;
		if (in[i].elem != g->inputs[i]->type.elem || in[i].rank != g->inputs[i]->type.rank)
			return complain(c, "an input has another type");
	}
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		const struct tensor *t = &in[s->input];
		if (s->index >= (s->element ? t->count : t->rank))
			return complain(c, "an input is too short");
		symbols[i] = s->element ? t->i[s->index] : t->dim[s->index];
	}
	return true;
}

static double element(const struct tensor *t, int64_t i)
{
	return elem_is_float(t->elem) ? t->f[i] : (double)t->i[i];
}

static bool same_tensor(struct test_case *c, uint32_t output, const struct tensor *got,
			const struct tensor *want)
{
	bool fits = got->elem == want->elem && got->rank == want->rank;
	for (int32_t i = 0; fits && i < got->rank; i++)
		fits = got->dim[i] == want->dim[i];
	if (!fits) {
		snprintf(c->line, sizeof c->line,
			 "output %u: %s of rank %d with %lld elements; %s, %d, %lld wanted", output,
			 normc_elem_name(got->elem), got->rank, (long long)got->count,
			 normc_elem_name(want->elem), want->rank, (long long)want->count);
		return false;
	}
	for (int64_t i = 0; i < got->count; i++) {
		double x = element(got, i), y = element(want, i);
		if (test_distance(x, y) <= ABSOLUTE + RELATIVE * (isfinite(y) ? fabs(y) : 0))
			continue;
		snprintf(c->line, sizeof c->line,
			 "output %u: element %lld of %lld is %.9g, %.9g wanted", output,
			 (long long)i, (long long)got->count, x, y);
		return false;
	}
	return true;
}

static bool run_set(struct test_case *c, const struct graph *g, int set)
{
	struct arena *arena = c->context.arena;
	struct tensor *in = arena_new(arena, struct tensor, g->n_inputs + 1), want;
	struct tensor *out = arena_new(arena, struct tensor, g->n_outputs + 1);
	int64_t *symbols = arena_new(arena, int64_t, c->context.dims->n_symbols + 1);
	if (!read_inputs(c, g, set, in, symbols) ||
	    !eval_graph(g, (struct eval_request){EVAL_ROUND, symbols, arena}, in, out))
		return false;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (!read_tensor(c, set, "output", i, &want) || !same_tensor(c, i, &out[i], &want))
			return false;
	return true;
}

/* Gives each dimension of the ports a name of its own, or none. */
static void forget_extents(struct arena *arena, Onnx__ValueInfoProto *const *port, size_t n,
			   bool named)
{
	for (size_t i = 0; i < n; i++) {
		Onnx__TypeProto *type = port[i]->type;
		if (!type || type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
		    !type->tensor_type->shape)
			continue;
		for (size_t k = 0; k < type->tensor_type->shape->n_dim; k++) {
			Onnx__TensorShapeProto__Dimension *d = type->tensor_type->shape->dim[k];
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE__NOT_SET;
			if (!named)
				continue;
			d->value_case = ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM;
			d->dim_param = arena_printf(arena, "d%zu_%zu", i, k);
		}
	}
}

static int run_model(struct test_case *c)
{
	char path[1000];
	snprintf(path, sizeof path, "%s/model.onnx", c->folder);
	struct model *model = model_open(&c->memory, &c->diag, path);
	if (model && c->round) {
		const Onnx__ModelProto *proto = model->proto;
		size_t n_inputs = c->round == ALL_UNKNOWN ? proto->graph->n_input
							  : proto->graph->n_input > 0;
		forget_extents(c->context.arena, proto->graph->input, n_inputs, true);
		forget_extents(c->context.arena, proto->graph->output, proto->graph->n_output,
			       false);
		forget_extents(c->context.arena, proto->graph->value_info,
			       proto->graph->n_value_info, false);
	}
	struct graph *g = model ? import_model(&c->context, model, NULL) : NULL;
	if (!g)
		return c->diag.status == NORMC_UNSUPPORTED || c->round ? UNSUPPORTED : FAILED;
	bool good = graph_verify(g);
	for (int set = 0; good; set++) {
		snprintf(path, sizeof path, "%s/test_data_set_%d", c->folder, set);
		if (access(path, R_OK))
			break;
		good = run_set(c, g, set);
	}
	model_close(model);
	if (c->round && c->diag.errors && c->diag.status != NORMC_BUG)
		return UNSUPPORTED;
	return good ? PASSED : FAILED;
}

/* In the child: prints why it did not pass. */
static int run_case(const char *folder, enum round round, bool verbose)
{
	struct test_case c = {
			.folder = folder, .round = round, .memory = {.limit = (size_t)1 << 30}};
	jmp_buf out;
	c.memory.out = &out;
	c.diag.sink = note;
	c.diag.user = &c;
	c.context = (struct context){.memory = &c.memory, .diag = &c.diag};
	if (setjmp(out)) {
		printf("%s: memory is spent\n", strrchr(folder, '/') + 1);
		return FAILED;
	}
	c.context.arena = arena_open(&c.memory);
	c.context.dims = dims_new(c.context.arena);
	int verdict = run_model(&c);
	if (verdict == FAILED || (verbose && verdict == UNSUPPORTED))
		printf("%s %s: %s\n", verdict == FAILED ? "FAILED" : "unsupported",
		       strrchr(folder, '/') + 1, c.line);
	arena_close(c.context.arena);
	return verdict;
}

static int run_child(const char *folder, enum round round, bool verbose)
{
	int status;
	fflush(stdout);
	pid_t child = fork();
	assert_true(child >= 0);
	if (!child) {
		alarm(30);
		int verdict = run_case(folder, round, verbose);
		fflush(stdout);
		_exit(verdict);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) < N_VERDICTS)
		return WEXITSTATUS(status);
	printf("FAILED %s: crash, status 0x%x\n", strrchr(folder, '/') + 1, (unsigned)status);
	return FAILED;
}

static void run_folder(enum round round)
{
	const char *root = getenv("NORMC_NODE_TESTS"), *verbose = getenv("NORMC_VERBOSE");
	struct dirent **entry;
	int count[N_VERDICTS] = {0};
	if (!root)
		root = NORMC_SOURCE_DIR "/../shared/onnx-tests/node";
	int n = scandir(root, &entry, NULL, alphasort);
	if (n < 0) {
		print_message("no folder %s\n", root);
		skip();
	}
	for (int i = 0; i < n; i++) {
		char folder[600], path[620];
		snprintf(folder, sizeof folder, "%.300s/%.255s", root, entry[i]->d_name);
		snprintf(path, sizeof path, "%s/model.onnx", folder);
		if (entry[i]->d_name[0] != '.' && !access(path, R_OK))
			count[run_child(folder, round, verbose != NULL)]++;
		free(entry[i]);
	}
	free(entry);
	print_message("%d passed, %d failed, %d unsupported\n", count[PASSED], count[FAILED],
		      count[UNSUPPORTED]);
	assert_int_equal(count[FAILED], 0);
}

static void test_nodes(void **state)
{
	(void)state;
	run_folder(ALL_KNOWN);
}

static void test_nodes_first_unknown(void **state)
{
	(void)state;
	run_folder(FIRST_UNKNOWN);
}

static void test_nodes_all_unknown(void **state)
{
	(void)state;
	run_folder(ALL_UNKNOWN);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_nodes),
					   cmocka_unit_test(test_nodes_first_unknown),
					   cmocka_unit_test(test_nodes_all_unknown)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
