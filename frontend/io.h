/* Tensors in files: .npy, .npz and TensorProto (.pb). */
#ifndef NORMC_FRONTEND_IO_H
#define NORMC_FRONTEND_IO_H

#include <stdio.h>

#include "arena.h"
#include "diag.h"
#include "normc.h"

/* Runs step(arena, diag, user) with an arena that lives as long as the call. */
bool io_guard(struct diag *diag, bool (*step)(struct arena *arena, struct diag *diag, void *user),
	      void *user);

/* Reads a tensor; false after a report.  `name` chooses the array of a .npz file (a file with a
 * single array needs none); `want` lets integers of the same width stand for element types that
 * numpy lacks, NORMC_ELEM_NONE takes what comes.  `data` comes from malloc. */
struct io_source {
	const char *path, *name;
	enum normc_elem want;
};
bool io_read(struct diag *diag, const struct io_source *source, struct normc_tensor *tensor);
/* The name that a TensorProto file gives, in `name` ("" otherwise). */
bool io_read_proto(struct diag *diag, const char *path, struct normc_tensor *tensor, char *name,
		   size_t size);

/* Writes PATH whole or not at all. Element types that numpy lacks are written as unsigned integers
 * of their width. */
bool io_write_npy(struct diag *diag, const char *path, const struct normc_tensor *tensor);
bool io_npy_lacks(enum normc_elem elem);

/* Bytes of a tensor; false if that is more than SIZE_MAX or an extent is negative. */
bool io_bytes(const struct normc_tensor *tensor, size_t *bytes);

/* io_npy.c: from bytes; io_npz.c: an entry's bytes (malloc), false after a report. */
bool npy_parse(struct diag *diag, const unsigned char *bytes, size_t n,
	       struct normc_tensor *tensor);
bool npz_entry(struct diag *diag, const char *path, const char *name, unsigned char **bytes,
	       size_t *n);

#endif
