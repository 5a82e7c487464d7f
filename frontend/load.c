/* Opens a model: maps the file, has it checked and unpacked by wire.c, and closes everything again.
 */
#define _GNU_SOURCE
#include "load.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "external.h"
#include "onnx/onnx.pb-c.h"
#include "wire.h"

static bool io_error(struct diag *diag, const char *what, const char *path)
{
	return diag_error(diag, (struct loc){0}, NORMC_IO, "cannot %s '%.300s': %s", what, path,
			  strerrordesc_np(errno));
}

/* What a file is that cannot be a model or tensor, by its beginning: NULL if it can. */
static const char *other_kind(const ProtobufCBinaryData *file)
{
	static const struct {
		const char *start, *kind;
	} kinds[] = {
			{"\x7f"
			 "ELF",
			 "a compiled program or library (ELF); `run` and `bench` take those whose "
			 "names end in .so"},
			{"PK\x03\x04", "a zip or .npz archive"},
			{"PK\x05\x06", "an empty zip archive"},
			{"\x93NUMPY", "a .npy file"},
			{"\x1f\x8b", "compressed by gzip; unpack it first"},
			{"\x89HDF", "an HDF5 file"},
			{"version https://git-lfs",
			 "a pointer of Git LFS; the file itself was not fetched"},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		size_t n = strlen(kinds[i].start);
		if (file->len >= n && !memcmp(file->data, kinds[i].start, n))
			return kinds[i].kind;
	}
	for (size_t i = 0; i < file->len && i < 64; i++)
		if (file->data[i] != '\t' && file->data[i] != '\n' && file->data[i] != '\r' &&
		    (file->data[i] < ' ' || file->data[i] > '~'))
			return NULL;
	return file->len < 16 ? NULL : "text";
}

/* wire_unpack with a message that says what the file is instead. */
static void *unpack(struct arena *arena, struct diag *diag, const ProtobufCMessageDescriptor *type,
		    ProtobufCBinaryData file)
{
	struct diag quiet = {.file = diag->file};
	const char *kind = other_kind(&file);
	void *proto = wire_unpack(arena, kind ? &quiet : diag, type, file);
	if (!proto && kind)
		diag_error(diag, (struct loc){0}, quiet.status, "not a valid ONNX file but %s",
			   kind);
	return proto;
}

/* Maps a whole regular file; false after a report. */
static bool map_file(struct diag *diag, const char *path, ProtobufCBinaryData *file)
{
	struct stat status;
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (fd < 0)
		return io_error(diag, "open", path);
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return diag_error(diag, (struct loc){0}, NORMC_IO,
				  S_ISDIR(status.st_mode)
						  ? "'%.300s' is a folder; name the file in it"
						  : "'%.300s' is not a regular file",
				  path);
	}
	file->len = (size_t)status.st_size;
	if (!file->len) {
		close(fd);
		return diag_error(diag, (struct loc){0}, NORMC_INVALID, "'%.300s' is empty", path);
	}
	void *bytes = mmap(NULL, file->len, PROT_READ, MAP_PRIVATE, fd, 0);
	int error = errno;
	close(fd);
	errno = error;
	if (bytes == MAP_FAILED)
		return io_error(diag, "map", path);
	file->data = bytes;
	return true;
}

static struct model *model_new(struct arena *arena, struct diag *diag, const struct model *start)
{
	struct model *model = arena_copy(arena, start, sizeof *start);
	model->arena = arena;
	model->path = start->path ? arena_string(arena, start->path) : NULL;
	model->folder = start->folder ? arena_string(arena, start->folder) : NULL;
	/* protobuf-c's type lacks const, but the walk only reads */
	ProtobufCBinaryData file = {start->n_bytes, (uint8_t *)(uintptr_t)start->bytes};
	model->proto = unpack(arena, diag, &onnx__model_proto__descriptor, file);
	return model->proto ? model : NULL;
}

/* model_new with everything closed again if it fails or memory is spent. */
static struct model *model_make(struct memory *memory, struct diag *diag, const struct model *start)
{
	jmp_buf here, *const before = memory->out;
	struct arena *volatile arena = NULL;
	struct model *volatile model = NULL;
	volatile bool spent = true;
	memory->out = &here;
	if (!setjmp(here)) {
		arena = arena_open(memory);
		model = model_new(arena, diag, start);
		spent = false;
	}
	memory->out = before;
	if (model)
		return model;
	arena_close(arena);
	if (start->mapped)
		munmap((void *)(uintptr_t)start->bytes, start->n_bytes);
	if (spent)
		memory_spent(memory);
	return NULL;
}

struct model *model_open(struct memory *memory, struct diag *diag, const char *path)
{
	ProtobufCBinaryData file;
	char folder[4096] = ".";
	const char *slash = strrchr(path, '/');
	size_t length = slash ? (size_t)(slash - path) + 1 : 0; /* keeps the '/' of "/model.onnx" */
	if (length >= sizeof folder) {
		diag_error(diag, (struct loc){0}, NORMC_IO, "the path is too long");
		return NULL;
	}
	if (slash) {
		memcpy(folder, path, length);
		folder[length] = 0;
	}
	if (!map_file(diag, path, &file))
		return NULL;
	struct model start = {.path = path,
			      .folder = folder,
			      .bytes = file.data,
			      .n_bytes = file.len,
			      .mapped = true};
	return model_make(memory, diag, &start);
}

struct model *model_parse(struct memory *memory, struct diag *diag, const void *bytes, size_t n,
			  const char *folder)
{
	struct model start = {.folder = folder, .bytes = bytes, .n_bytes = n};
	return model_make(memory, diag, &start);
}

void model_rest(const struct model *model)
{
	/* advice; what the system does not take costs memory, nothing else */
	if (model->mapped)
		madvise((void *)(uintptr_t)model->bytes, model->n_bytes, MADV_DONTNEED);
	external_rest(model->external);
}

bool model_reads(const struct model *model, const char *path)
{
	return external_has(model->external, path);
}

void model_close(struct model *model)
{
	if (!model)
		return;
	external_close(model->external);
	if (model->mapped)
		munmap((void *)(uintptr_t)model->bytes, model->n_bytes);
	arena_close(model->arena); /* the model itself lies in it */
}

bool load_tensor_file(struct arena *arena, struct diag *diag, const char *path,
		      struct raw_tensor *out)
{
	ProtobufCBinaryData file;
	if (!map_file(diag, path, &file))
		return false;
	jmp_buf here, *const before = arena_memory(arena)->out;
	volatile bool ok = false, spent = true;
	arena_memory(arena)->out = &here;
	if (!setjmp(here)) {
		struct model whole = {.arena = arena, .path = path, .n_bytes = file.len};
		whole.bytes = arena_copy(arena, file.data, file.len);
		const void *proto = unpack(arena, diag, &onnx__tensor_proto__descriptor, file);
		ok = proto && load_tensor(&whole, diag, (struct loc){0}, proto, out);
		spent = false;
	}
	arena_memory(arena)->out = before;
	munmap(file.data, file.len);
	if (spent)
		memory_spent(arena_memory(arena));
	return ok;
}
