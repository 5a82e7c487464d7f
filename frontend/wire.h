/* A walk over the bytes of a protobuf message, in front of protobuf-c.
 *
 * It follows protobuf-c's own message descriptors, without recursion, and refuses what protobuf-c
 * would take badly. What it lets through it writes again, smaller: fields that normc does not read
 * are left out, and every TensorProto.raw_data is replaced by a `struct wire_span`, so that weights
 * are never copied.  Since *all* raw_data is replaced, a file cannot forge a span.
 */
#ifndef NORMC_FRONTEND_WIRE_H
#define NORMC_FRONTEND_WIRE_H

#include <protobuf-c/protobuf-c.h>
#include "arena.h"
#include "diag.h"

/* Stands in raw_data for these bytes of the file. */
struct wire_span {
	uint64_t offset, length;
};

/* Fields of newer schemas than the one that is compiled in; protobuf-c keeps them as unknown
 * fields. */
enum {
	WIRE_NODE_OVERLOAD = 8,       /* NodeProto: string */
	WIRE_FUNCTION_ATTRIBUTE = 11, /* FunctionProto: AttributeProto, repeated */
	WIRE_FUNCTION_OVERLOAD = 13,  /* FunctionProto: string */
};

/* Checks a message of type `root` and unpacks it into `arena`.  The result borrows nothing
 * from `bytes` but through spans.  NULL after a report. */
void *wire_unpack(struct arena *arena, struct diag *diag,
		  const ProtobufCMessageDescriptor *root, ProtobufCBinaryData file);

/* Unpacks a message held in an unknown field, which wire_unpack has checked already. NULL if it is
 * not one. */
void *wire_unpack_field(struct arena *arena, const ProtobufCMessageDescriptor *type,
			const ProtobufCMessageUnknownField *field);
/* The string held in an unknown field of a checked message, in `arena`; "" if `id` is absent. */
const char *wire_string_field(struct arena *arena, const ProtobufCMessage *message, uint32_t id);

#endif
