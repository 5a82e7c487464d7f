/* normc verify: the lanes of verify.h on a model before and after the passes, or on two models.
 *
 * The reference is the graph as it was imported, evaluated in this process; what is compared with
 * it is native code, which a child process compiles.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command_cases.h"

#include "io.h"
#include "verify.h"
#include "verify_reduce.h"

/* Multiplications above which the algebra lane would take minutes. */
static const double most_algebra = 4e8;
/* Elements of constants above which passes do not carry residues along. */
static const double most_constants = 6e7;

struct verification {
	const struct settings *settings;
	struct verify_report report;
	struct pass_log log;
	struct compile *before, *other; /* other NULL: the same model */
	const struct graph *after;	/* what runs, as imported or rewritten */
	struct runner runner;
	const char *folder; /* for the compiler's files, in silence; NULL: messages on stderr */
	struct verdict *verdict; /* of a case in a folder, else NULL */
	struct normc_error error;
	struct reduction reduction;
	const char *reduced; /* what --reduce came to; NULL: there was no need */
	struct verify_chain chain;
	struct arena *scratch; /* of one kind of inputs */
	int64_t *extents;      /* chosen for the symbols */
	int64_t index_limit;
	struct normc_tensor *given;    /* by --input; data NULL: made up */
	struct normc_tensor *in, *out; /* of the run that goes on */
	bool compared;		       /* without a report */
};

/* ---- running ---- */

static void free_tensors(struct normc_tensor *t, size_t n)
{
	for (size_t i = 0; t && i < n; i++) {
		free(t[i].data);
		t[i].data = NULL;
	}
}

static bool store_inputs(struct verification *v, const struct tensor *in)
{
	for (size_t i = 0; i < v->runner.n_inputs; i++) {
		struct normc_tensor *t = &v->in[i];
		size_t bytes;
		t->elem = in[i].elem;
		t->rank = in[i].rank;
		memcpy(t->dim, in[i].dim, sizeof t->dim);
		t->data = io_bytes(t, &bytes) ? malloc(bytes ? bytes : 1) : NULL;
		if (!t->data)
			return diag_error(&v->before->diag, (struct loc){0}, NORMC_LIMIT,
					  "out of memory");
		tensor_store(&in[i], t->data);
	}
	return true;
}

/* Runs the native code and compares its outputs. */
static bool compare_run(struct verification *v, enum verify_data data, const struct tensor *in,
			const struct tensor *want)
{
	struct normc_error error = {0};
	const struct graph *g = v->before->imported;
	struct verify_case c = {.lane = data == DATA_WHOLE ? LANE_EXACT : LANE_FLOAT,
				.data = verify_data_name(data)};
	bool ok = store_inputs(v, in);
	enum normc_status status = ok ? runner_run(&v->runner, v->in, v->out, &error) : NORMC_LIMIT;
	for (uint32_t i = 0; ok && i < g->n_outputs; i++) {
		const struct normc_tensor *t = &v->out[i];
		c.output = g->output_names[i];
		if (status) {
			c.outcome = VERIFY_FAILED;
			c.text = arena_string(v->report.arena, error.text);
			verify_add(&v->report, c);
			continue;
		}
		struct tensor got = tensor_load(v->scratch, t->elem, t->rank, t->dim, t->data);
		verify_compare(&v->report, c, &want[i], &got);
	}
	free_tensors(v->in, v->runner.n_inputs);
	free_tensors(v->out, v->runner.n_outputs);
	return ok;
}

/* ---- inputs ---- */

struct trial {
	int64_t extent, index_limit;
};

static bool read_given(struct verification *v)
{
	const struct settings *s = v->settings;
	struct diag *diag = &v->before->diag;
	for (int32_t k = 0; k < s->inputs.n; k++) {
		struct io_source source = {0};
		int32_t i = input_find(&v->runner, s->inputs.item[k], &source.path);
		if (i < 0)
			return diag_error(diag, (struct loc){0}, NORMC_USAGE,
					  "--input %s is of no use", s->inputs.item[k]);
		source.name = v->runner.inputs[i].name;
		source.want = v->runner.inputs[i].elem;
		if (v->given[i].data)
			return diag_error(diag, (struct loc){0}, NORMC_USAGE,
					  "--input %s: the input is given twice",
					  s->inputs.item[k]);
		if (!io_read(diag, &source, &v->given[i]))
			return false;
		if (v->given[i].rank != v->runner.inputs[i].rank)
			return diag_error(diag, (struct loc){0}, NORMC_USAGE,
					  "--input %s has another number of dimensions",
					  s->inputs.item[k]);
	}
	return true;
}

/* Extents come from the given inputs. */
static void use_given_extents(struct verification *v)
{
	const struct dims *dims = v->before->imported->context->dims;
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		if (!s->element && v->given[s->input].data)
			v->extents[i] = v->given[s->input].dim[s->index];
	}
}

static bool use_given(struct verification *v, int64_t *symbols, struct tensor *in)
{
	const struct graph *g = v->before->imported;
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		const struct normc_tensor *t = &v->given[i];
		if (t->data)
			in[i] = tensor_load(v->scratch, t->elem, t->rank, t->dim, t->data);
	}
	return verify_symbols(g, in, symbols);
}

static bool evaluate(struct verification *v, enum verify_data data, struct tensor *in,
		     struct tensor *want)
{
	const struct graph *g = v->before->imported;
	int64_t *symbols = arena_new(v->scratch, int64_t, g->context->dims->n_symbols + 1);
	struct verify_request request = {data, (uint64_t)v->settings->seed, v->extents,
					 v->index_limit, v->scratch};
	struct eval_request how = {EVAL_EXACT, symbols, v->scratch};
	use_given_extents(v);
	if (!verify_inputs(g, &request, symbols, in) || !use_given(v, symbols, in))
		return false;
	if (data == DATA_WHOLE) /* without a doubt, or not at all */
		return eval_bounds(g, how, in, want);
	const struct graph *after = v->after;
	int64_t *others = arena_new(v->scratch, int64_t, after->context->dims->n_symbols + 1);
	struct verify_side sides[2] = {{v->scratch, g, symbols, in},
				       {v->scratch, after, others, in}};
	return verify_symbols(after, in, others) && verify_reference(&sides[0], &sides[1], want);
}

static void scratch_renew(struct verification *v)
{
	arena_close(v->scratch);
	v->scratch = NULL;
	v->scratch = arena_open(v->before->context.memory);
}

/* Extents and indices for which the model can be evaluated, found by trying. */
static bool try_sizes(struct verification *v, struct tensor *in, struct tensor *want,
		      struct diag *quiet)
{
	static const struct trial trials[] = {{2, 100}, {2, 2}, {2, 1},	 {2, 0},  {1, 100}, {1, 0},
					      {8, 100}, {8, 0}, {32, 2}, {64, 2}, {224, 2}};
	struct context *context = &v->before->context;
	bool found = false;
	for (size_t k = 0; !found && k < sizeof trials / sizeof *trials; k++) {
		scratch_renew(v);
		for (uint32_t i = 0; i < context->dims->n_symbols; i++)
			v->extents[i] = trials[k].extent;
		v->index_limit = trials[k].index_limit;
		*quiet = (struct diag){.sources = v->before->diag.sources,
				       .n_sources = v->before->diag.n_sources};
		context->diag = quiet;
		found = evaluate(v, DATA_NORMAL, in, want);
		context->diag = &v->before->diag;
		if (quiet->status == NORMC_LIMIT || quiet->status == NORMC_BUG)
			break;
	}
	return found;
}

/* The inputs that lie beside the model as ONNX test cases have them; false if there are none. */
static bool read_data_set(struct verification *v)
{
	char folder[PATH_BYTES];
	struct verdict verdict = {0};
	const char *path = v->settings->paths.item[0], *slash = strrchr(path, '/');
	int length = slash ? (int)(slash - path) + 1 : 0;
	struct case_files files = {folder, "input", v->runner.inputs, v->runner.n_inputs};
	snprintf(folder, sizeof folder, "%.*stest_data_set_0", length < 4000 ? length : 0, path);
	return path_exists(folder) && case_read(&files, v->given, &verdict);
}

/* Made-up inputs if the model takes them, so that there are several kinds; else recorded ones. */
static bool find_sizes(struct verification *v, struct tensor *in, struct tensor *want)
{
	struct diag quiet;
	return try_sizes(v, in, want, &quiet) ||
	       (!v->settings->inputs.n && read_data_set(v) && try_sizes(v, in, want, &quiet)) ||
	       diag_error(&v->before->diag, (struct loc){0}, quiet.status,
			  "no inputs were found that the model takes (--dim or --input may help): "
			  "%s",
			  quiet.first);
}

/* ---- lanes ---- */

static void not_applicable(struct verification *v, enum verify_lane lane, const char *output,
			   const char *text)
{
	verify_add(&v->report, (struct verify_case){.lane = lane,
						    .outcome = VERIFY_NOT_APPLICABLE,
						    .output = output,
						    .text = text});
}

/* Whether a difference of residues is a failure. */
static bool is_decisive(const struct verification *v)
{
	const struct graph *g = v->before->imported;
	return v->other ? verify_same_material(g, v->after)
			: g->context->exact && !g->context->inexact;
}

static bool algebra(struct verification *v, const struct tensor *in)
{
	const struct graph *g = v->before->imported;
	int64_t *symbols = arena_new(v->scratch, int64_t, g->context->dims->n_symbols + 1);
	if (!verify_symbols(g, in, symbols))
		return false;
	if (verify_work(g, symbols) > most_algebra) {
		not_applicable(v, LANE_ALGEBRA, "(all)", "the model is too large for this lane");
		return true;
	}
	const struct graph *after = v->after;
	int64_t *others = arena_new(v->scratch, int64_t, after->context->dims->n_symbols + 1);
	if (!verify_symbols(after, in, others))
		return false;
	struct verify_side sides[2] = {{v->scratch, g, symbols, in},
				       {v->scratch, after, others, in}};
	return verify_algebra(&v->report, &sides[0], &sides[1], is_decisive(v));
}

/* Whether kinds of inputs make a difference. */
static bool makes_up_reals(const struct verification *v)
{
	const struct graph *g = v->before->imported;
	bool any = false;
	for (uint32_t i = 0; i < g->n_inputs; i++)
		any = any || (elem_is_float(g->inputs[i]->type.elem) && !v->given[i].data);
	return any;
}

/* The rewrites one by one, on inputs whose outputs have bounds. */
static bool rewrites(struct verification *v, const struct tensor *in, const struct tensor *want)
{
	const struct graph *g = v->before->imported;
	int64_t *symbols = arena_new(v->scratch, int64_t, g->context->dims->n_symbols + 1);
	if (v->other)
		return true;
	if (!verify_symbols(g, in, symbols))
		return false;
	v->chain = (struct verify_chain){.before = g,
					 .log = &v->log,
					 .symbols = symbols,
					 .in = in,
					 .want = want,
					 .again = pass_again};
	v->chain.by_values = !g->context->exact || verify_work(g, symbols) > most_algebra;
	v->chain.together = v->chain.by_values && !verify_count(&v->report, VERIFY_FAILED);
	return verify_rewrites(&v->report, &v->chain);
}

static bool values(struct verification *v)
{
	const struct graph *g = v->before->imported;
	struct arena *arena = v->report.arena;
	struct tensor *in = arena_new(arena, struct tensor, g->n_inputs + 1);
	struct tensor *want = arena_new(arena, struct tensor, g->n_outputs + 1);
	v->extents = arena_new(arena, int64_t, g->context->dims->n_symbols + 1);
	if (!find_sizes(v, in, want) || !compare_run(v, DATA_NORMAL, in, want))
		return false;
	for (enum verify_data data = DATA_NORMAL + 1; data < DATA_COUNT; data++) {
		if (!makes_up_reals(v) && data != DATA_WHOLE)
			continue; /* as before */
		scratch_renew(v);
		if (!evaluate(v, data, in, want) || !compare_run(v, data, in, want))
			return false;
	}
	scratch_renew(v);
	return evaluate(v, DATA_NORMAL, in, want) && algebra(v, in) && rewrites(v, in, want);
}

/* ---- the smallest failing part ---- */

static struct graph *rewrite_part(void *user, struct graph *part)
{
	const struct verification *v = user;
	struct pass_options options = {.list = v->before->passes.list};
	return v->other ? verify_part_like(v->after, part) : passes_run(part, &options);
}

/* The kind of inputs of the first failure by values. */
static enum verify_data failing_data(const struct verify_report *r)
{
	for (uint32_t i = 0; i < r->n_cases; i++)
		for (enum verify_data data = 0; data < DATA_COUNT; data++)
			if (r->cases[i].outcome == VERIFY_FAILED &&
			    !strcmp(r->cases[i].data, verify_data_name(data)))
				return data;
	return DATA_NORMAL;
}

static bool reduce(struct verification *v)
{
	const struct graph *g = v->before->imported;
	if (v->other && g->context->dims->n_symbols) {
		v->reduced = "give the unknown extents values (--dim) to reduce two models";
		return true;
	}
	struct arena *arena = v->report.arena;
	struct tensor *in = arena_new(arena, struct tensor, g->n_inputs + 1);
	struct tensor *want = arena_new(arena, struct tensor, g->n_outputs + 1);
	int64_t *symbols = arena_new(arena, int64_t, g->context->dims->n_symbols + 1);
	struct reduction *r = &v->reduction;
	scratch_renew(v);
	if (!evaluate(v, failing_data(&v->report), in, want) || !verify_symbols(g, in, symbols))
		return false;
	*r = (struct reduction){.before = g,
				.symbols = symbols,
				.in = in,
				.rewrite = rewrite_part,
				.user = v,
				.decisive = is_decisive(v)};
	if (!verify_reduce(r))
		return false;
	if (!r->part)
		v->reduced = "no smaller part fails in the interpreter; the generated code may be "
			     "wrong";
	else
		v->reduced = arena_printf(arena, "%u nodes in '%s'", r->n_nodes,
					  v->settings->reduce);
	return !r->part || reduction_write(&v->before->diag, r, v->settings->reduce);
}

/* ---- the two models ---- */

static bool compare(struct compile *c, void *user)
{
	struct verification *v = user;
	(void)c;
	v->report.arena = v->before->context.arena;
	v->in = calloc(v->runner.n_inputs + 1, sizeof *v->in);
	v->out = calloc(v->runner.n_outputs + 1, sizeof *v->out);
	v->given = calloc(v->runner.n_inputs + 1, sizeof *v->given);
	if (!v->in || !v->out || !v->given)
		return diag_error(&v->before->diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
	if (!verify_structure(&v->report, v->before->imported, v->after))
		return true;
	if (!read_given(v) || !values(v))
		return false;
	return !v->settings->reduce || !verify_count(&v->report, VERIFY_FAILED) || reduce(v);
}

/* Residues take twice the room of weights in f32; the lane would not finish on large models. */
static bool is_small(const struct graph *g)
{
	double elements = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i]->op == OP_constant)
			elements += (double)type_fixed_count(&g->nodes[i]->type);
	return elements <= most_constants;
}

static bool import_both(struct compile *c, void *user)
{
	struct verification *v = user;
	c->passes.log = &v->log;
	if (!compile_to(c, STAGE_IMPORTED))
		return false;
	if (v->other)
		return true;
	if (!calibrate_reference(c))
		return false;
	c->context.exact = is_small(c->imported);
	if (!compile_to(c, STAGE_OPTIMISED))
		return false;
	v->after = c->graph;
	return true;
}

static bool import_other(struct compile *c, void *user)
{
	struct verification *v = user;
	if (!compile_to(c, STAGE_IMPORTED))
		return false;
	v->after = c->imported;
	return true;
}

/* What goes wrong is told of the first model. */
static bool compare_with_other(struct compile *c, void *user)
{
	struct verification *v = user;
	v->compared = compare(c, user);
	return true;
}

/* Both models are guarded, since the comparison allocates from both. */
static bool compare_both(struct compile *c, void *user)
{
	struct verification *v = user;
	if (!v->other)
		return compare(c, user);
	if (compile_guard(v->other, compare_with_other, user))
		return v->compared;
	return diag_error(&v->before->diag, (struct loc){0}, v->other->diag.status, "%s",
			  v->other->diag.first);
}

/* ---- telling ---- */

static enum normc_status tell(const struct verification *v)
{
	const struct settings *s = v->settings;
	const struct verify_report *r = &v->report;
	struct report_file file = {s->report, s->paths.item[0],
				   s->paths.n > 1 ? s->paths.item[1] : NULL, s->seed};
	printf("seed %.0f\n", s->seed);
	report_print(r, !v->other);
	if (v->reduced)
		printf("reduced: %s\n", v->reduced);
	enum normc_status status = s->report ? report_write(&file, r) : NORMC_OK;
	return status ? status : verify_count(r, VERIFY_FAILED) ? NORMC_DIFFERENT : NORMC_OK;
}

/* With both calls begun: runs all lanes. */
static enum normc_status verify(struct verification *v)
{
	const struct settings *s = v->settings;
	const char *path = s->paths.item[s->paths.n - 1];
	if (v->other && !compile_guard(v->other, import_other, v))
		return v->other->diag.status;
	if (!compile_guard(v->before, import_both, v))
		return v->before->diag.status;
	enum normc_status status = runner_open(&v->runner, s, path, v->folder, &v->error);
	if (!status && !compile_guard(v->before, compare_both, v))
		status = v->before->diag.status;
	return status;
}

/* Loads a model and begins a call on it. */
static enum normc_status begin(struct verification *v, const char *path, struct normc_model **model,
			       struct compile *c)
{
	struct normc_options options = settings_options(v->settings);
	enum normc_status status = normc_model_load(model, path, &options, &v->error);
	if (status)
		return status;
	compile_begin(c, *model, &options);
	settings_apply(v->settings, c, v->folder);
	return NORMC_OK;
}

static void release(struct verification *v)
{
	arena_close(v->chain.arena);
	arena_close(v->reduction.arena);
	arena_close(v->scratch);
	free_tensors(v->given, v->given ? v->runner.n_inputs : 0);
	free(v->given);
	free(v->in);
	free(v->out);
	runner_close(&v->runner);
}

/* Verifies the models of the settings, and hands over to `end` with the report. */
static enum normc_status verify_models(struct verification *v,
				       enum normc_status (*end)(const struct verification *v))
{
	const struct list *paths = &v->settings->paths;
	struct normc_model *model[2] = {NULL, NULL};
	struct compile call[2];
	enum normc_status status = NORMC_OK;
	int begun = 0;

	v->before = &call[0];
	v->other = paths->n > 1 ? &call[1] : NULL;
	for (; !status && begun < paths->n; begun += !status)
		status = begin(v, paths->item[begun], &model[begun], &call[begun]);
	if (!status)
		status = verify(v);
	if (!status)
		status = end(v);
	else if (begun && v->before->diag.errors)
		snprintf(v->error.text, sizeof v->error.text, "%s", v->before->diag.first);
	release(v);
	while (begun-- > 0) {
		compile_end(&call[begun], NULL);
		normc_model_free(model[begun]);
	}
	return status;
}

/* ---- folders of cases ---- */

static enum normc_status judge_report(const struct verification *v)
{
	const struct verify_report *r = &v->report;
	bool none = !verify_count(r, VERIFY_PASSED);
	for (uint32_t i = 0; i < r->n_cases; i++) {
		const struct verify_case *c = &r->cases[i];
		if (c->outcome != VERIFY_FAILED)
			continue;
		snprintf(v->verdict->text, sizeof v->verdict->text, "%s, %s, %.200s: %.500s",
			 verify_lane_name(c->lane), c->data, c->output, c->text);
		return NORMC_DIFFERENT;
	}
	if (none)
		snprintf(v->verdict->text, sizeof v->verdict->text, "no lane applies");
	return none ? NORMC_UNSUPPORTED : NORMC_OK;
}

static void judge_case(const struct settings *s, const char *path, const char *folder,
		       struct verdict *verdict)
{
	char model[PATH_BYTES];
	const char *item[] = {model, NULL};
	struct settings one = *s;
	struct verification v = {.settings = &one, .folder = folder, .verdict = verdict};
	snprintf(model, sizeof model, "%.4000s/model.onnx", path);
	one.paths = (struct list){item, 1};
	verdict->status = verify_models(&v, judge_report);
	if (verdict->status && !verdict->text[0])
		verdict_fail(verdict, verdict->status, v.error.text);
}

static bool is_folder(const char *path)
{
	struct stat about;
	return !stat(path, &about) && S_ISDIR(about.st_mode);
}

enum normc_status command_verify(const struct settings *settings)
{
	static const struct case_judge judge = {judge_case, "not applicable"};
	struct verification v = {.settings = settings};
	if (is_folder(settings->paths.item[0]))
		return settings->report ? complain(NORMC_USAGE, "--report takes one model")
					: cases_run(settings, &judge);
	if (settings->paths.n > 2)
		return complain(NORMC_USAGE, "verify takes one model, two, or folders");
	if (settings->report && !report_path_is_known(settings->report))
		return complain(NORMC_USAGE, "--report takes FILE.xml or FILE.json, not '%s'",
				settings->report);
	limit_time(settings->limit);
	enum normc_status status = verify_models(&v, tell);
	limit_time(0);
	if (status && !v.before && v.error.text[0])
		complain(status, "%s", v.error.text);
	return status;
}
