/* Kernels to LLVM IR to object code. */
#ifndef NORMC_CODEGEN_CODEGEN_H
#define NORMC_CODEGEN_CODEGEN_H

#include "module.h"
#include "kernel.h"

struct codegen_options {
	const char *cpu;	  /* LLVM's CPU name, or "native"; NULL: native */
	const char *triple;	  /* NULL: this machine's */
	const char *symbol;	  /* prefix of exported names */
	const char *weights_file; /* name that the descriptor gives; NULL: weights are a symbol of
				     the object */
	uint64_t weights_hash;	  /* of that file, from weights_write */
	bool profile;
};

/* A target machine with its facts. */
struct target;
struct target *target_new(struct diag *diag, const struct codegen_options *options);
void target_free(struct target *target);
struct machine target_machine(const struct target *target);

/* A module of LLVM IR, empty; NULL after a report. It outlives neither target nor options, and is
 * LLVM's memory, not the arena's: whoever holds it frees it, also when memory is spent. */
struct emitted;
struct emitted *emitted_new(struct target *target, struct diag *diag,
			    const struct codegen_options *options);
void emitted_free(struct emitted *emitted);
/* Emits the program into a new module; false after a report. */
bool codegen_emit(struct emitted *emitted, const struct program *p,
		  const struct codegen_options *options);

enum codegen_form { CODEGEN_OBJECT, CODEGEN_ASSEMBLY, CODEGEN_IR };
/* Optimises and writes to `path` (callers that need a file to appear whole rename it). With
 * CODEGEN_OBJECT and weights inside, `weights` is the file whose bytes become the hidden symbol
 * SYMBOL_weights; NULL leaves the symbol undefined, for jit_load, or unused, for weights beside the
 * code. Once only for each module. */
bool emitted_write(struct emitted *emitted, enum codegen_form form, const char *path,
		   const char *weights);

/* Writes the weights block, packed, to an open file, in order; a negative `file` writes nothing.
 * `hash` gets the FNV-1a 64 of the block; it may be NULL. */
bool weights_write(const struct program *p, int file, uint64_t *hash);

#endif
