/* Private to the files of the compile calls. */
#ifndef NORMC_FRONTEND_ARTEFACT_H
#define NORMC_FRONTEND_ARTEFACT_H

#include "compile.h"

/* Reports errno for a path; returns false. */
bool io_failure(struct diag *diag, const char *path);

/* The bytes of libnormc_rt.a, which are part of the program. */
const void *runtime_archive(size_t *bytes);

#endif
