/* A file's bytes to a checked protobuf-c tree.
 *
 * protobuf-c has no recursion limit, copies repeated singular sub-messages again and again, makes 2 MB of empty nodes
 * into 150 MB, and cuts strings at NUL.  So wire.c walks the bytes first, without recursion: depth, counts, sizes,
 * UTF-8, NUL; and protobuf-c then allocates from the compile call's budget.
 */
#ifndef NORMC_FRONTEND_LOAD_H
#define NORMC_FRONTEND_LOAD_H

#include "arena.h"
#include "diag.h"

struct model {
	struct arena *arena;      /* everything below lives here */
	const char *path, *folder;
	const unsigned char *bytes; /* the mapped file */
	size_t n_bytes;
	const void *proto;        /* Onnx__ModelProto */
	struct external *external; /* open external data files, private to external.c */
};

/* Limits, all named in messages. */
enum {
	LOAD_MAX_DEPTH = 64,           /* nested messages */
	LOAD_MAX_NODES = 1000000,
};

/* Maps and parses `path`. NULL after a report. Close with model_close. */
struct model *model_open(struct memory *memory, struct diag *diag, const char *path);
/* The same from memory (tests, fuzzing); `bytes` is borrowed; external data is refused unless folder is given. */
struct model *model_parse(struct memory *memory, struct diag *diag, const void *bytes, size_t n, const char *folder);
void model_close(struct model *model);

/* A TensorProto's contents in the layout of struct normc_tensor: borrowed from the file where the bytes are already
 * right, decoded into the arena otherwise. False after a report. */
struct raw_tensor {
	enum normc_elem elem;
	int32_t rank;
	int64_t dim[NORMC_MAX_RANK];
	int64_t count;
	const void *data;
	uint64_t bytes;
	const char *name;
};
bool load_tensor(struct model *model, struct diag *diag, struct loc loc, const void *proto, struct raw_tensor *out);
/* A stand-alone TensorProto file (.pb), for test cases. The bytes must outlive the result. */
bool load_tensor_file(struct arena *arena, struct diag *diag, const char *path, struct raw_tensor *out);

#endif
