/* Functions of the runtime (runtime/ops.def) as ONNX operators: export_call_NAME() for each row;
 * the table is in export_call.c.  A function that is missing does not link, one without a row does
 * not compile.
 */
#ifndef NORMC_FRONTEND_EXPORT_CALL_H
#define NORMC_FRONTEND_EXPORT_CALL_H

#include "export_state.h"

typedef const char *export_call_function(struct export *e, const struct attr_call *a);

#define EXTERN(name, ...) export_call_function export_call_##name;
#include "../runtime/ops.def"
#undef EXTERN

/* Begins an ONNX node with all operands of the call, absent ones at the end left out. */
Onnx__NodeProto *export_call_begin(struct export *e, const char *op_type, int32_t opset);
/* Ends it with the call's results. */
const char *export_call_end(struct export *e, Onnx__NodeProto *n);

#endif
