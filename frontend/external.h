/* Tensor data in files beside the model. */
#ifndef NORMC_FRONTEND_EXTERNAL_H
#define NORMC_FRONTEND_EXTERNAL_H

#include "load.h"

/* The `bytes` bytes that an Onnx__TensorProto with external data names, mapped read-only until
 * model_close. NULL after a report. */
const void *external_bytes(struct model *model, struct diag *diag, struct loc loc,
			   const void *tensor, uint64_t bytes);

/* Whether the file at `path` is one of those that were mapped. */
bool external_has(const struct external *external, const char *path);

/* See model_rest. */
void external_rest(const struct external *external);

void external_close(struct external *external); /* NULL is fine */

#endif
