/* Object code to a program in this process. */
#ifndef NORMC_CODEGEN_JIT_H
#define NORMC_CODEGEN_JIT_H

#include "normc.h"

/* Loads the object file `object`, whose exported names begin with `symbol`, and maps the file
 * `weights` (NULL if there are none).  Both files may be removed afterwards.  Free the program with
 * normc_program_free. */
enum normc_status jit_load(struct normc_program **program, const char *object, const char *symbol,
			   const char *weights, struct normc_error *error);

#endif
