/* The pipeline, for the public calls (compile.c), the files that come out of it (artefact.c) and
 * the command line. */
#ifndef NORMC_FRONTEND_COMPILE_H
#define NORMC_FRONTEND_COMPILE_H

#include <pthread.h>
#include <stdio.h>

#include "arena.h"
#include "codegen.h"
#include "diag.h"
#include "load.h"
#include "output.h"
#include "pass.h"

struct normc_model {
	pthread_mutex_t lock; /* one compile call at a time: tensors are decoded into the model's
				 arena */
	struct memory memory; /* of the model and of the compile call that runs */
	struct model *model;
	char *path;
};

enum stage { STAGE_IMPORTED, STAGE_OPTIMISED, STAGE_LOWERED, STAGE_EMITTED };

/* One compile call: what there is after each stage, NULL before. */
struct compile {
	struct normc_model *model;
	struct normc_options options;
	struct pass_options passes;
	struct codegen_options codegen;
	struct diag diag;
	struct context context;
	/* what the command reads and writes; import refuses to have a model's data overwritten */
	const struct named_path *paths;
	size_t n_paths;
	struct pass_log log;	 /* remarks of STAGE_OPTIMISED; in the context's arena */
	struct graph *imported;	 /* STAGE_IMPORTED */
	struct graph *graph;	 /* STAGE_OPTIMISED */
	struct target *target;	 /* STAGE_LOWERED */
	struct program *program; /* STAGE_LOWERED */
	struct emitted *emitted; /* STAGE_EMITTED */
};

/* Begins a call on a model, which is locked until compile_end; `options` may be NULL.  The caller
 * may then set passes, codegen, paths and the sink of diag. */
void compile_begin(struct compile *c, const struct normc_model *model,
		   const struct normc_options *options);
/* Frees everything.  Fills `error` (may be NULL) from the first report and returns its status. */
enum normc_status compile_end(struct compile *c, struct normc_error *error);

/* Runs step(c, user); memory that runs out in it becomes a report. */
bool compile_guard(struct compile *c, bool (*step)(struct compile *c, void *user), void *user);
/* Runs the pipeline up to a stage, inside a guarded step. */
bool compile_to(struct compile *c, enum stage stage);

/* ---- artefact.c ---- */

/* Guarded steps.  The first writes the files that folder_load takes; `user` is the folder. */
bool artefact_loadable(struct compile *c, void *user);
/* Makes a program of them in this process. */
enum normc_status folder_load(struct normc_program **program, const char *folder,
			      struct normc_error *error);

/* Writes an artefact, by the suffix of its path, and its header. */
struct artefact {
	const char *path;
	const char *folder; /* for files that are not yet complete; on the file system of `path` */
};
bool artefact_write(struct compile *c, void *user);

/* ---- header.c ---- */

/* The C header of a lowered model. */
bool header_write(const struct compile *c, FILE *file);
/* `name` as a C identifier. */
void header_identifier(const char *name, char *text, size_t size);

#endif
