/* External data opens only beneath the model's folder: component by component, never through a
 * symbolic link, regular files only.  Ranges are checked against the file's size before anything is
 * read.  Each file is mapped once.
 */
#define _GNU_SOURCE
#include "external.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>
#include "onnx/onnx.pb-c.h"

enum { MAX_FILES = 4096 };

struct mapped {
	const char *location;
	void *bytes;
	size_t n;
	dev_t device;
	ino_t inode;
};

struct external {
	struct mapped *files;
	uint32_t n_files, recent;
};

/* What a tensor's external_data entries say. */
struct place {
	const char *location;
	uint64_t offset, length;
	bool has_length;
};

static bool parse_number(const char *text, uint64_t *value)
{
	*value = 0;
	if (!*text)
		return false;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || __builtin_mul_overflow(*value, 10, value) ||
		    __builtin_add_overflow(*value, (uint64_t)(*text - '0'), value))
			return false;
	}
	return true;
}

static bool read_place(struct diag *diag, struct loc loc, const Onnx__TensorProto *t,
		       struct place *place)
{
	*place = (struct place){0};
	for (size_t i = 0; i < t->n_external_data; i++) {
		const char *key = t->external_data[i]->key, *value = t->external_data[i]->value;
		if (!key || !value)
			return diag_error(diag, loc, NORMC_INVALID,
					  "external data of tensor '%s' lacks a key or value",
					  t->name ? t->name : "");
		bool ok = true;
		if (!strcmp(key, "location")) {
			place->location = value;
		} else if (!strcmp(key, "offset")) {
			ok = parse_number(value, &place->offset);
		} else if (!strcmp(key, "length")) {
			ok = parse_number(value, &place->length);
			place->has_length = true;
		}
		if (!ok)
			return diag_error(diag, loc, NORMC_INVALID,
					  "external data of tensor '%s': %s '%.40s' is not a "
					  "number",
					  t->name ? t->name : "", key, value);
	}
	if (!place->location || !*place->location)
		return diag_error(diag, loc, NORMC_INVALID,
				  "external data of tensor '%s' names no file",
				  t->name ? t->name : "");
	return true;
}

/* Checks that every component of a relative path is a plain name. */
static bool plain_path(const char *path)
{
	for (const char *at = path;;) {
		size_t n = strcspn(at, "/");
		if (n == 0 || (n == 2 && at[0] == '.' && at[1] == '.'))
			return false;
		if (!at[n])
			return true;
		at += n + 1;
	}
}

/* Opens `path` (cut in place) beneath `folder`; -1 and errno otherwise. Allocates nothing. */
static int open_beneath(const char *folder, char *path)
{
	int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	while (at >= 0) {
		size_t n = strcspn(path, "/");
		bool last = !path[n];
		path[n] = 0;
		int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC |
			    (last ? O_NONBLOCK | O_NOCTTY : O_DIRECTORY);
		int next = openat(at, path, flags);
		int error = errno;
		close(at);
		errno = error;
		if (last)
			return next;
		at = next;
		path += n + 1;
	}
	return -1;
}

static bool map_file(struct model *model, struct diag *diag, struct loc loc, struct mapped *file)
{
	struct stat status;
	int fd = open_beneath(model->folder, arena_string(model->arena, file->location));
	if (fd < 0)
		return diag_error(diag, loc, NORMC_IO,
				  "external data '%.200s' cannot be opened: %s%s", file->location,
				  strerrordesc_np(errno),
				  errno == ELOOP || errno == ENOTDIR ? " (links are not followed)"
								     : "");
	if (fstat(fd, &status) || !S_ISREG(status.st_mode)) {
		close(fd);
		return diag_error(diag, loc, NORMC_IO,
				  "external data '%.200s' is not a regular file", file->location);
	}
	file->n = (size_t)status.st_size;
	file->device = status.st_dev;
	file->inode = status.st_ino;
	file->bytes = file->n ? mmap(NULL, file->n, PROT_READ, MAP_PRIVATE, fd, 0) : NULL;
	int error = errno;
	close(fd);
	if (file->bytes != MAP_FAILED)
		return true;
	file->bytes = NULL;
	return diag_error(diag, loc, NORMC_IO, "external data '%.200s' cannot be mapped: %s",
			  file->location, strerrordesc_np(error));
}

static const struct mapped *find_file(struct model *model, struct diag *diag, struct loc loc,
				      const char *location)
{
	if (!model->external)
		model->external = arena_new(model->arena, struct external, 1);
	struct external *e = model->external;
	for (uint32_t k = 0; k < e->n_files; k++) {
		uint32_t i = (e->recent + k) % e->n_files;
		if (strcmp(e->files[i].location, location))
			continue;
		e->recent = i;
		return &e->files[i];
	}
	if (e->n_files == MAX_FILES) {
		diag_error(diag, loc, NORMC_LIMIT, "external data in more than %d files",
			   MAX_FILES);
		return NULL;
	}
	/* the slot is there before the file is mapped, so that no mapping is lost when memory is
	 * spent */
	PUSH(model->arena, e->files, e->n_files, ((struct mapped){.location = location}));
	e->recent = e->n_files - 1;
	struct mapped *file = &e->files[e->recent];
	if (map_file(model, diag, loc, file))
		return file;
	e->n_files--;
	e->recent = 0;
	return NULL;
}

const void *external_bytes(struct model *model, struct diag *diag, struct loc loc,
			   const void *tensor, uint64_t bytes)
{
	static const unsigned char nothing[16];
	struct place place;
	if (!read_place(diag, loc, tensor, &place))
		return NULL;
	if (!model->folder || !plain_path(place.location)) {
		diag_error(diag, loc, NORMC_INVALID,
			   "external data '%.200s' is not beneath the model's folder",
			   place.location);
		return NULL;
	}
	const struct mapped *file = find_file(model, diag, loc, place.location);
	if (!file)
		return NULL;
	if (place.has_length && place.length != bytes) {
		diag_error(diag, loc, NORMC_INVALID,
			   "external data '%.200s' has %llu bytes for a tensor of %llu",
			   place.location, (unsigned long long)place.length,
			   (unsigned long long)bytes);
		return NULL;
	}
	if (place.offset > file->n || bytes > file->n - place.offset) {
		diag_error(diag, loc, NORMC_INVALID,
			   "external data '%.200s' ends at byte %zu; a tensor needs %llu bytes "
			   "from %llu",
			   place.location, file->n, (unsigned long long)bytes,
			   (unsigned long long)place.offset);
		return NULL;
	}
	return bytes ? (const unsigned char *)file->bytes + place.offset : nothing;
}

bool external_has(const struct external *external, const char *path)
{
	struct stat status;
	if (!external || stat(path, &status))
		return false;
	for (uint32_t i = 0; i < external->n_files; i++)
		if (external->files[i].device == status.st_dev &&
		    external->files[i].inode == status.st_ino)
			return true;
	return false;
}

void external_rest(const struct external *external)
{
	for (uint32_t i = 0; external && i < external->n_files; i++)
		if (external->files[i].bytes)
			madvise(external->files[i].bytes, external->files[i].n, MADV_DONTNEED);
}

void external_close(struct external *external)
{
	for (uint32_t i = 0; external && i < external->n_files; i++)
		if (external->files[i].bytes)
			munmap(external->files[i].bytes, external->files[i].n);
}
