/* Reads tensors by the suffix of their file's name. */
#define _GNU_SOURCE
#include "io.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "load.h"

static const struct loc nowhere = {0};

bool io_guard(struct diag *diag, bool (*step)(struct arena *arena, struct diag *diag, void *user),
	      void *user)
{
	jmp_buf out;
	struct memory memory = {.limit = SIZE_MAX, .out = &out};
	struct arena *volatile arena = NULL;
	volatile bool ok = false;

	if (!setjmp(out)) {
		arena = arena_open(&memory);
		ok = step(arena, diag, user);
	} else {
		diag_error(diag, nowhere, NORMC_LIMIT, "out of memory");
	}
	arena_close(arena);
	return ok;
}

bool io_bytes(const struct normc_tensor *tensor, size_t *bytes)
{
	*bytes = normc_elem_size(tensor->elem);
	for (int32_t i = 0; i < tensor->rank; i++)
		if (tensor->dim[i] < 0 ||
		    __builtin_mul_overflow(*bytes, (size_t)tensor->dim[i], bytes))
			return false;
	return true;
}

/* ---- TensorProto ---- */

struct proto {
	const char *path;
	struct normc_tensor *tensor;
	char *name;
	size_t size;
};

static bool read_proto(struct arena *arena, struct diag *diag, void *user)
{
	struct proto *p = user;
	struct raw_tensor raw = {0};

	if (!load_tensor_file(arena, diag, p->path, &raw))
		return false;
	p->tensor->elem = raw.elem;
	p->tensor->rank = raw.rank;
	memcpy(p->tensor->dim, raw.dim, sizeof raw.dim);
	p->tensor->data = malloc(raw.bytes ? raw.bytes : 1);
	if (!p->tensor->data)
		return diag_error(diag, nowhere, NORMC_LIMIT, "out of memory");
	if (raw.bytes)
		memcpy(p->tensor->data, raw.data, raw.bytes);
	if (p->name)
		snprintf(p->name, p->size, "%s", raw.name ? raw.name : "");
	return true;
}

bool io_read_proto(struct diag *diag, const char *path, struct normc_tensor *tensor, char *name,
		   size_t size)
{
	struct proto p = {path, tensor, name, size};
	tensor->data = NULL;
	return io_guard(diag, read_proto, &p);
}

/* ---- numpy ---- */

static bool read_file(struct diag *diag, const char *path, unsigned char **bytes, size_t *n)
{
	struct stat status;
	FILE *file = fopen(path, "rb");

	if (!file)
		return diag_error(diag, nowhere, NORMC_IO, "cannot open '%.300s': %s", path,
				  strerrordesc_np(errno));
	if (fstat(fileno(file), &status) || !S_ISREG(status.st_mode)) {
		fclose(file);
		return diag_error(diag, nowhere, NORMC_IO, "'%.300s' is not a regular file", path);
	}
	*n = (size_t)status.st_size;
	*bytes = malloc(*n + 1);
	bool ok = *bytes && fread(*bytes, 1, *n, file) == *n;
	fclose(file);
	if (ok)
		return true;
	free(*bytes);
	*bytes = NULL;
	return diag_error(diag, nowhere, NORMC_IO, "cannot read '%.300s'", path);
}

static bool read_numpy(struct diag *diag, const struct io_source *source, bool zip,
		       struct normc_tensor *tensor)
{
	unsigned char *bytes = NULL;
	size_t n = 0;
	const char *file = diag->file;
	bool ok = zip ? npz_entry(diag, source->path, source->name, &bytes, &n)
		      : read_file(diag, source->path, &bytes, &n);
	diag->file = source->path;
	ok = ok && npy_parse(diag, bytes, n, tensor);
	diag->file = file;
	free(bytes);
	return ok;
}

static bool ends(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);
	return n >= m && !strcmp(path + n - m, suffix);
}

/* The unsigned (or signed) integer of the same width that stands for a type that numpy lacks. */
static bool stands_for(enum normc_elem stored, enum normc_elem want)
{
	if (!io_npy_lacks(want))
		return false;
	if (normc_elem_size(want) == 2)
		return stored == NORMC_U16;
	return stored == NORMC_U8 || (stored == NORMC_I8 && (want == NORMC_I4 || want == NORMC_I2));
}

bool io_read(struct diag *diag, const struct io_source *source, struct normc_tensor *tensor)
{
	bool ok;

	tensor->data = NULL;
	if (ends(source->path, ".npy"))
		ok = read_numpy(diag, source, false, tensor);
	else if (ends(source->path, ".npz"))
		ok = read_numpy(diag, source, true, tensor);
	else if (ends(source->path, ".pb"))
		ok = io_read_proto(diag, source->path, tensor, NULL, 0);
	else
		return diag_error(diag, nowhere, NORMC_USAGE,
				  "'%.300s': inputs are read from .npy, .npz and .pb files",
				  source->path);
	if (ok && stands_for(tensor->elem, source->want))
		tensor->elem = source->want;
	return ok;
}
