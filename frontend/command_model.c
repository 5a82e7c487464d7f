/* Opens a model for the commands that run it: a shared library as it is, an ONNX file by compiling
 * it (in a child process if asked), or interpreted. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "io.h"

struct normc_options settings_options(const struct settings *s)
{
	return (struct normc_options){
			.size = sizeof(struct normc_options),
			.cpu = s->cpu,
			.target = s->target,
			.weights_file = s->weights,
			.symbol = s->symbol,
			.dims = s->dims.item,
			.passes = s->passes,
			.profile = s->profile,
			.memory_limit = (size_t)s->memory << 20,
			.precision = s->precision,
	};
}

void settings_apply(const struct settings *s, struct compile *c, bool silent)
{
	c->passes.dump_after = s->dump_after;
	c->passes.verify = s->verify;
	c->passes.time = s->time_passes;
	c->passes.put = print_text;
	c->passes.samples = s->samples;
	c->passes.n_samples = s->n_samples;
	c->paths = s->used;
	c->n_paths = (size_t)s->n_used;
	if (!silent)
		c->diag.sink = print_diagnostic;
}

static bool write_remarks(struct compile *c, void *user)
{
	return remarks_write(c, user);
}

enum normc_status model_step_take(const struct model_step *step, struct normc_error *error)
{
	struct normc_options options = settings_options(step->settings);
	struct normc_model *model;
	struct compile c;

	enum normc_status status = normc_model_load(&model, step->path, &options, error);
	if (status && !step->silent)
		fprintf(stderr, "%s: error: %s\n", step->path, error->text);
	if (status)
		return status;
	compile_begin(&c, model, &options);
	settings_apply(step->settings, &c, step->silent);
	compile_guard(&c, step->run, step->user);
	if (step->settings->remarks)
		compile_guard(&c, write_remarks, (void *)(uintptr_t)step->settings);
	status = compile_end(&c, error);
	normc_model_free(model);
	return status;
}

/* ---- compiling into a folder ---- */

struct job {
	const struct settings *settings;
	const char *path;
	const char *folder;
	struct normc_error *error;
	bool silent;
};

static enum normc_status compile_job(void *user)
{
	const struct job *job = user;
	struct model_step step = {.settings = job->settings,
				  .path = job->path,
				  .silent = job->silent,
				  .run = artefact_loadable,
				  .user = (void *)(uintptr_t)job->folder};
	return model_step_take(&step, job->error);
}

/* Compiles in a child process and in a folder of its own. */
static enum normc_status compile_in_child(struct runner *r, struct job *job)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	char folder[4096] = "";

	if (!folder_make(&diag, NULL, folder, sizeof folder))
		return diag.status;
	job->folder = folder;
	enum normc_status status = in_child(job->path, compile_job, job);
	if (!status)
		status = folder_load(&r->program, folder, job->error);
	folder_remove(folder);
	return status;
}

static enum normc_status compile_here(struct runner *r, struct job *job)
{
	enum normc_status status = compile_job(job);
	return status ? status : folder_load(&r->program, job->folder, job->error);
}

/* Options that are of no use for what is compiled already. */
static enum normc_status check_library(const struct settings *s, const char *path)
{
	if (s->interpret || s->interpret_rewritten)
		return complain(NORMC_USAGE,
				"'%s' is compiled already: the interpreter takes the ONNX file",
				path);
	if (s->cpu || s->passes || s->dump_after || s->precision)
		return complain(NORMC_USAGE,
				"'%s' is compiled already: give --cpu, --precision, --passes and "
				"--dump-after to `normc compile`",
				path);
	return NORMC_OK;
}

/* With the program there. */
static enum normc_status start(struct runner *r, const struct settings *s,
			       struct normc_error *error)
{
	struct normc_session_options options = {sizeof options, (int32_t)s->threads, s->profile};
	r->inputs = normc_program_inputs(r->program, &r->n_inputs);
	r->outputs = normc_program_outputs(r->program, &r->n_outputs);
	return normc_session_new(&r->session, r->program, &options, error);
}

enum normc_status runner_load(struct runner *r, const struct settings *s, const char *folder,
			      struct normc_error *error)
{
	memset(r, 0, sizeof *r);
	enum normc_status status = folder_load(&r->program, folder, error);
	return status ? status : start(r, s, error);
}

enum normc_status runner_open(struct runner *r, const struct settings *s, const char *path,
			      const char *folder, struct normc_error *error)
{
	struct job job = {.settings = s,
			  .path = path,
			  .error = error,
			  .silent = folder,
			  .folder = folder};
	bool library = path_ends(path, ".so");
	enum normc_status status = library ? check_library(s, path) : NORMC_OK;

	memset(r, 0, sizeof *r);
	memset(error, 0, sizeof *error);
	if (status)
		return status;
	if (s->interpret || s->interpret_rewritten)
		return interpreter_open(r, s, path, job.silent, error);
	if (library)
		status = normc_program_open(&r->program, path, error);
	else
		status = folder ? compile_here(r, &job) : compile_in_child(r, &job);
	return status ? status : start(r, s, error);
}

/* Memory for every output. */
static bool allocate(const struct runner *r, struct normc_tensor *out)
{
	bool ok = true;
	for (size_t i = 0; i < r->n_outputs; i++) {
		size_t bytes;
		out[i].data = io_bytes(&out[i], &bytes) ? calloc(bytes ? bytes : 1, 1) : NULL;
		ok = ok && out[i].data;
	}
	return ok;
}

enum normc_status runner_run(struct runner *r, const struct normc_tensor *in,
			     struct normc_tensor *out, struct normc_error *error)
{
	memset(out, 0, r->n_outputs * sizeof *out);
	if (r->interpreter)
		return interpreter_run(r, in, out, error);
	enum normc_status status = normc_session_bind(r->session, in, out, error);
	if (status)
		return status;
	if (!allocate(r, out)) {
		snprintf(error->text, sizeof error->text, "out of memory");
		return error->status = NORMC_LIMIT;
	}
	return normc_run(r->session, in, out, error);
}

void runner_close(struct runner *r)
{
	interpreter_close(r->interpreter);
	normc_session_free(r->session);
	normc_program_free(r->program);
}
