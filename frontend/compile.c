/* The public compile calls, and the whole pipeline on one page:
 *
 *	model file -> import_model -> graph -> passes_run -> graph -> program_new -> kernels
 *	           -> codegen_emit -> object
 *
 * Everything that a call allocates lies in one arena or belongs to LLVM; compile_end frees both.
 * When memory is spent the arena jumps to compile_guard.
 */
#include "compile.h"

#include <stdlib.h>
#include <string.h>

#include "import.h"

/* Memory of the compiler beyond the mapped file, unless options say otherwise. */
static const size_t default_memory = (size_t)8 << 30;

/* Weights beside the model are known only when it was read. */
static bool spare_weights(struct compile *c)
{
	for (size_t i = 0; i < c->n_paths; i++) {
		const struct named_path *p = &c->paths[i];
		if (p->use == PATH_WRITTEN && model_reads(c->model->model, p->path))
			return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
					  "%s%s %.300s would overwrite weights of the model",
					  path_dashes(p), p->what, p->path);
	}
	return true;
}

static bool import(struct compile *c)
{
	c->imported = import_model(&c->context, c->model->model, c->options.dims);
	return c->imported && spare_weights(c);
}

static bool optimise(struct compile *c)
{
	c->graph = passes_run(c->imported, &c->passes);
	return c->graph;
}

static bool lower(struct compile *c)
{
	c->target = target_new(&c->diag, &c->codegen);
	if (!c->target)
		return false;
	if (c->options.precision < NORMC_PRECISION_F32 ||
	    c->options.precision > NORMC_PRECISION_BF16)
		return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
				  "there is no precision number %d", (int)c->options.precision);
	struct machine machine = target_machine(c->target);
	machine.precision = (enum normc_precision)c->options.precision;
	c->program = program_new(c->graph, &machine);
	return c->program;
}

static bool emit(struct compile *c)
{
	c->emitted = emitted_new(c->target, &c->diag, &c->codegen);
	return c->emitted && codegen_emit(c->emitted, c->program, &c->codegen);
}

bool compile_to(struct compile *c, enum stage stage)
{
	if (!c->imported && !import(c))
		return false;
	if (stage >= STAGE_OPTIMISED && !c->graph && !optimise(c))
		return false;
	if (stage >= STAGE_LOWERED && !c->program && !lower(c))
		return false;
	return stage < STAGE_EMITTED || c->emitted || emit(c);
}

static void copy_options(struct normc_options *to, const struct normc_options *from)
{
	memset(to, 0, sizeof *to);
	if (from)
		memcpy(to, from, from->size < sizeof *to ? from->size : sizeof *to);
}

/* Opens the arena and the tables of a call. */
static bool open_context(struct compile *c, void *user)
{
	(void)user;
	struct memory *memory = &c->model->memory;
	c->context = (struct context){.memory = memory, .diag = &c->diag};
	c->context.arena = arena_open(memory);
	c->context.dims = dims_new(c->context.arena);
	return true;
}

void compile_begin(struct compile *c, const struct normc_model *model,
		   const struct normc_options *options)
{
	memset(c, 0, sizeof *c);
	/* the lock makes the change invisible to others */
	c->model = (struct normc_model *)(uintptr_t)model;
	pthread_mutex_lock(&c->model->lock);
	copy_options(&c->options, options);
	c->diag.file = model->path;
	c->passes.list = c->options.passes;
	c->passes.log = &c->log;
	c->codegen = (struct codegen_options){
			.cpu = c->options.cpu,
			.triple = c->options.target,
			.symbol = c->options.symbol,
			.profile = c->options.profile != 0,
	};
	compile_guard(c, open_context, NULL);
}

bool compile_guard(struct compile *c, bool (*step)(struct compile *c, void *user), void *user)
{
	jmp_buf out;
	struct memory *memory = &c->model->memory;
	volatile bool ok = false;

	if (c->diag.errors)
		return false;
	memory->out = &out;
	if (!setjmp(out))
		ok = step(c, user);
	else
		diag_error(&c->diag, (struct loc){0}, NORMC_LIMIT,
			   "out of memory: the compiler may take %zu MiB", memory->limit >> 20);
	memory->out = NULL;
	/* a step that failed without a report is a mistake of ours, never a success */
	if (!ok && !c->diag.errors)
		bug(&c->diag, (struct loc){0}, "a step failed without a reason");
	return ok && !c->diag.errors;
}

static void fill_error(struct normc_error *error, const struct diag *diag)
{
	if (!error)
		return;
	memset(error, 0, sizeof *error);
	error->status = diag->errors ? diag->status : NORMC_OK;
	snprintf(error->text, sizeof error->text, "%s", diag->first);
}

enum normc_status compile_end(struct compile *c, struct normc_error *error)
{
	enum normc_status status = c->diag.errors ? c->diag.status : NORMC_OK;
	emitted_free(c->emitted);
	target_free(c->target);
	fill_error(error, &c->diag);
	arena_close(c->context.arena);
	pthread_mutex_unlock(&c->model->lock);
	return status;
}

/* ---- public calls ---- */

static bool open_model(struct normc_model *made, struct diag *diag)
{
	jmp_buf out;
	made->memory.out = &out;
	if (!setjmp(out))
		made->model = model_open(&made->memory, diag, made->path);
	else
		diag_error(diag, (struct loc){0}, NORMC_LIMIT,
			   "out of memory: the compiler may take %zu MiB",
			   made->memory.limit >> 20);
	made->memory.out = NULL;
	return made->model;
}

enum normc_status normc_model_load(struct normc_model **model, const char *path,
				   const struct normc_options *options, struct normc_error *error)
{
	struct diag diag = {.file = path};
	struct normc_options chosen;
	struct normc_model *made = calloc(1, sizeof *made);

	*model = NULL;
	copy_options(&chosen, options);
	if (made)
		made->path = strdup(path);
	if (!made || !made->path || pthread_mutex_init(&made->lock, NULL)) {
		if (made)
			free(made->path);
		free(made);
		diag_error(&diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
		fill_error(error, &diag);
		return NORMC_LIMIT;
	}
	made->memory.limit = chosen.memory_limit ? chosen.memory_limit : default_memory;
	if (open_model(made, &diag))
		*model = made;
	else
		normc_model_free(made);
	fill_error(error, &diag);
	return diag.errors ? diag.status : NORMC_OK;
}

void normc_model_free(struct normc_model *model)
{
	if (!model)
		return;
	model_close(model->model);
	pthread_mutex_destroy(&model->lock);
	free(model->path);
	free(model);
}

enum normc_status normc_compile(struct normc_program **program, const struct normc_model *model,
				const struct normc_options *options, struct normc_error *error)
{
	struct compile c;
	char folder[4096] = "";
	enum normc_status status;

	*program = NULL;
	compile_begin(&c, model, options);
	if (folder_make(&c.diag, NULL, folder, sizeof folder))
		compile_guard(&c, artefact_loadable, folder);
	status = compile_end(&c, error);
	if (!status)
		status = folder_load(program, folder, error);
	folder_remove(folder);
	return status;
}

enum normc_status normc_compile_file(const struct normc_model *model, const char *path,
				     const struct normc_options *options, struct normc_error *error)
{
	struct compile c;
	char folder[4096] = "";

	compile_begin(&c, model, options);
	struct named_path paths[] = {
			{"the model", model->path, PATH_READ, false},
			{"the output", path, PATH_WRITTEN, false},
			{"the weights file", c.options.weights_file, PATH_WRITTEN, false}};
	c.paths = paths;
	c.n_paths = c.options.weights_file ? 3 : 2;
	if (folder_make(&c.diag, path, folder, sizeof folder))
		compile_guard(&c, artefact_write,
			      &(struct artefact){.path = path, .folder = folder});
	folder_remove(folder);
	return compile_end(&c, error);
}
