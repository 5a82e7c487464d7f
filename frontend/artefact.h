/* Private to the files of the compile calls. */
#ifndef NORMC_FRONTEND_ARTEFACT_H
#define NORMC_FRONTEND_ARTEFACT_H

#include "compile.h"

/* The bytes of libnormc_rt.a, which are part of the program. */
const void *runtime_archive(size_t *bytes);

#endif
