/* A file's bytes to a checked protobuf-c tree.
 *
 * protobuf-c has no recursion limit, copies repeated singular sub-messages again and again, makes 2
 * MB of empty nodes into 150 MB, and cuts strings at NUL.  So wire.c walks the bytes first, without
 * recursion: depth, counts, sizes, UTF-8, NUL; and protobuf-c then allocates from the compile
 * call's budget.
 */
#ifndef NORMC_FRONTEND_LOAD_H
#define NORMC_FRONTEND_LOAD_H

#include "arena.h"
#include "diag.h"

struct model {
	struct arena *arena;      /* everything below lives here */
	const char *path, *folder;
	const unsigned char *bytes; /* the file */
	size_t n_bytes;
	bool mapped;              /* bytes are ours to unmap */
	const void *proto;        /* Onnx__ModelProto */
	struct external *external; /* open external data files, private to external.c */
};

/* Limits, all named in messages. */
enum {
	LOAD_MAX_DEPTH = 64,           /* nested messages */
	LOAD_MAX_NODES = 1000000,
};

/* Maps and parses `path`.  NULL after a report.  Close with model_close; when memory is spent,
 * nothing is left open. */
struct model *model_open(struct memory *memory, struct diag *diag, const char *path);
/* The same from memory (tests, fuzzing); `bytes` is borrowed; external data is refused if `folder`
 * is NULL. */
struct model *model_parse(struct memory *memory, struct diag *diag, const void *bytes, size_t n,
			  const char *folder);
void model_close(struct model *model);
/* Gives the pages of the mapped files back until they are read again: before work that needs much
 * memory and none of them. */
void model_rest(const struct model *model);
/* Whether the file at `path` holds weights beside the model that were read so far. */
bool model_reads(const struct model *model, const char *path);

/* A TensorProto's contents in the layout of struct normc_tensor: borrowed from the file where the
 * bytes are already right, decoded into the arena otherwise.  Borrowed bytes above 4 KiB may lie at
 * any address, aligned or not. */
struct raw_tensor {
	enum normc_elem elem;
	int32_t rank;
	int64_t dim[NORMC_MAX_RANK];
	int64_t count;
	const void *data;
	uint64_t bytes;
	const char *name;
};
/* False after a report.  `proto` is an Onnx__TensorProto of the model; several threads must not
 * share a model here. */
bool load_tensor(struct model *model, struct diag *diag, struct loc loc, const void *proto,
		 struct raw_tensor *out);
/* A stand-alone TensorProto file (.pb), for test cases; the result lives in `arena`. */
bool load_tensor_file(struct arena *arena, struct diag *diag, const char *path,
		      struct raw_tensor *out);

#endif
