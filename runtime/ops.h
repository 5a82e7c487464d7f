/* Prototypes of the long-tail operators, one for each row of ops.def. */
#ifndef NORMC_OPS_H
#define NORMC_OPS_H

#include "module.h"

#define EXTERN_SCRATCH_0(name)
#define EXTERN_SCRATCH_1(name) int64_t normc_op_##name##_scratch(const struct normc_call *call);
#define EXTERN(name, n_in_min, n_in_max, n_out, has_scratch, doc)                                  \
	normc_extern normc_op_##name;                                                              \
	EXTERN_SCRATCH_##has_scratch(name)
#include "ops.def"
#undef EXTERN
#undef EXTERN_SCRATCH_0
#undef EXTERN_SCRATCH_1

#endif
