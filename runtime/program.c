/* Makes programs: from a linked-in module, from a shared library, or from code that another part of
 * the process owns.  Weights that lie in a file are mapped read-only; the file's size is always
 * checked, its FNV-1a hash only if the environment has NORMC_CHECK_WEIGHTS, as hashing a large file
 * takes seconds. */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "program.h"

static void fill_ports(const struct normc_desc *desc, struct normc_port *ports, uint32_t count,
		       uint32_t offset)
{
	const struct normc_desc_port *from = (const void *)((const char *)desc + offset);
	const struct normc_desc_symbol *symbols =
			(const void *)((const char *)desc + desc->symbols);

	for (uint32_t i = 0; i < count; i++) {
		ports[i].name = normc_desc_string(desc, from[i].name);
		ports[i].elem = (enum normc_elem)from[i].elem;
		ports[i].rank = from[i].rank;
		for (int32_t d = 0; d < NORMC_MAX_RANK; d++) {
			int64_t dim = d < from[i].rank ? from[i].dim[d] : 0;
			bool named = dim < 0 && -1 - dim < (int64_t)desc->n_symbols;

			ports[i].dim[d] = dim < 0 ? -1 : dim;
			ports[i].symbol[d] = named ? normc_desc_string(desc, symbols[-1 - dim].name)
						   : "";
		}
	}
}

static uint64_t hash_bytes(const unsigned char *bytes, size_t count)
{
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < count; i++)
		hash = (hash ^ bytes[i]) * 0x100000001b3u;
	return hash;
}

/* Maps the weights file at `path`. */
static enum normc_status map_weights(struct normc_program *program, const char *path,
				     struct normc_error *error)
{
	const struct normc_desc *desc = program->module.desc;
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return normc_error_set(error, NORMC_IO, "%s: %s", path, strerror(errno));
	if (fstat(file, &status) || (uint64_t)status.st_size != desc->weights_bytes ||
	    status.st_size == 0) {
		close(file);
		return normc_error_set(error, NORMC_INVALID,
				       "%s: not the weights of this model (%llu bytes expected)",
				       path, (unsigned long long)desc->weights_bytes);
	}
	program->mapping_bytes = (size_t)status.st_size;
	program->mapping = mmap(NULL, program->mapping_bytes, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	if (program->mapping == MAP_FAILED) {
		program->mapping = NULL;
		return normc_error_set(error, NORMC_IO, "%s: cannot map: %s", path,
				       strerror(errno));
	}
	program->weights = program->mapping;
	if (getenv("NORMC_CHECK_WEIGHTS") &&
	    hash_bytes(program->weights, program->mapping_bytes) != desc->weights_hash)
		return normc_error_set(error, NORMC_INVALID,
				       "%s: contents differ from the compiled model", path);
	return NORMC_OK;
}

/* Finds the weights.  Those that are not inside the code lie beside the library at `library_path`;
 * of code that is linked into the program (NULL), at NORMC_WEIGHTS, else at the path that was given
 * at compile time. */
static enum normc_status find_weights(struct normc_program *program, const char *library_path,
				      struct normc_error *error)
{
	const struct normc_desc *desc = program->module.desc;
	char path[PATH_MAX];
	const char *name, *slash, *chosen = getenv("NORMC_WEIGHTS");
	int length;

	program->weights = program->module.weights;
	if (!desc->weights_file) {
		if (!program->weights && desc->weights_bytes)
			return normc_error_set(error, NORMC_INVALID,
					       "compiled model lacks its weights");
		return NORMC_OK;
	}
	name = normc_desc_string(desc, desc->weights_file);
	if (!library_path)
		return map_weights(program, chosen ? chosen : name, error);
	slash = strrchr(name, '/');
	name = slash ? slash + 1 : name;
	slash = strrchr(library_path, '/');
	length = snprintf(path, sizeof(path), "%.*s%s", slash ? (int)(slash + 1 - library_path) : 0,
			  library_path, name);
	if (length < 0 || (size_t)length >= sizeof(path))
		return normc_error_set(error, NORMC_IO, "%s: path too long", library_path);
	return map_weights(program, path, error);
}

/* Calls the module function, checks what it says, and fills the rest of a program. */
static enum normc_status load_module(struct normc_program *program, normc_module_function *module,
				     const char *library_path, struct normc_error *error)
{
	struct normc_module *m = &program->module;
	const struct normc_desc *desc;
	enum normc_status status;

	module(m);
	desc = m->desc;
	status = normc_desc_check(desc, error);
	if (status)
		return status;
	if (!m->dims || !m->sizes || !m->run || !m->flops)
		return normc_error_set(error, NORMC_INVALID, "compiled model lacks an entry point");
	program->inputs = calloc((size_t)desc->n_inputs + 1, sizeof(*program->inputs));
	program->outputs = calloc((size_t)desc->n_outputs + 1, sizeof(*program->outputs));
	if (!program->inputs || !program->outputs)
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	fill_ports(desc, program->inputs, desc->n_inputs, desc->inputs);
	fill_ports(desc, program->outputs, desc->n_outputs, desc->outputs);
	return find_weights(program, library_path, error);
}

enum normc_status normc_program_adopt(struct normc_program **program, normc_module_function *module,
				      void (*release)(void *owner), void *owner,
				      struct normc_error *error)
{
	struct normc_program *made;
	enum normc_status status;

	*program = NULL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	status = load_module(made, module, NULL, error);
	if (status) {
		normc_program_free(made);
		return status;
	}
	made->release = release;
	made->owner = owner;
	*program = made;
	return NORMC_OK;
}

enum normc_status normc_program_from_module(struct normc_program **program,
					    normc_module_function *module,
					    struct normc_error *error)
{
	return normc_program_adopt(program, module, NULL, NULL, error);
}

/* Where the part of an ELF file ends that has `count` records of `size` bytes at `offset`. */
static uint64_t end_of(uint64_t offset, uint64_t count, uint64_t size)
{
	uint64_t bytes, end;

	if (__builtin_mul_overflow(count, size, &bytes) ||
	    __builtin_add_overflow(offset, bytes, &end))
		return UINT64_MAX;
	return end;
}

/* The bytes that a library must have by its headers; 0: it is none of this machine's. */
static uint64_t library_bytes(int file)
{
	ElfW(Ehdr) header;
	ElfW(Phdr) part;
	uint64_t end, parts;

	if (pread(file, &header, sizeof(header), 0) != (ssize_t)sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 || header.e_phentsize != sizeof(part))
		return 0;
	end = end_of(header.e_shoff, header.e_shnum, header.e_shentsize);
	parts = end_of(header.e_phoff, header.e_phnum, sizeof(part));
	end = parts > end ? parts : end;
	for (uint32_t i = 0; i < header.e_phnum; i++) {
		uint64_t at = header.e_phoff + i * sizeof(part);

		if (at > INT64_MAX ||
		    pread(file, &part, sizeof(part), (off_t)at) != (ssize_t)sizeof(part))
			break; /* `parts` says that it is cut short */
		if (end_of(part.p_offset, part.p_filesz, 1) > end)
			end = end_of(part.p_offset, part.p_filesz, 1);
	}
	return end;
}

/* A library whose end is missing is mapped by dlopen all the same, and kills the process when the
 * end is read. */
static enum normc_status check_library(const char *path, struct normc_error *error)
{
	struct stat status;
	uint64_t need;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || fstat(file, &status)) {
		normc_error_set(error, NORMC_IO, "%s: %s", path, strerror(errno));
		if (file >= 0)
			close(file);
		return NORMC_IO;
	}
	need = library_bytes(file);
	close(file);
	if (need <= (uint64_t)status.st_size)
		return NORMC_OK;
	return normc_error_set(error, NORMC_INVALID,
			       "%s: the file is cut short, it has %lld bytes of %llu", path,
			       (long long)status.st_size, (unsigned long long)need);
}

/* Opens the library into `made`, which keeps what it got also when this fails. */
static enum normc_status open_library(struct normc_program *made, const char *path,
				      struct normc_error *error)
{
	normc_module_function *module = NULL;
	char full[PATH_MAX];
	const char *reason;
	void *symbol;
	enum normc_status status;

	/* an absolute path, so that dlopen does not search the library directories */
	if (!realpath(path, full))
		return normc_error_set(error, NORMC_IO, "%s: %s", path, strerror(errno));
	status = check_library(full, error);
	if (status)
		return status;
	made->library = dlopen(full, RTLD_NOW | RTLD_LOCAL);
	if (!made->library) {
		reason = dlerror();
		return normc_error_set(error, NORMC_INVALID, "%s", reason ? reason : path);
	}
	symbol = dlsym(made->library, "normc_module_entry");
	if (!symbol)
		return normc_error_set(error, NORMC_INVALID, "%s: not a model compiled by normc",
				       path);
	memcpy(&module, &symbol, sizeof(module));
	return load_module(made, module, full, error);
}

enum normc_status normc_program_open(struct normc_program **program, const char *path,
				     struct normc_error *error)
{
	struct normc_program *made;
	enum normc_status status;

	*program = NULL;
	made = calloc(1, sizeof(*made));
	if (!made)
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	status = open_library(made, path, error);
	if (status) {
		normc_program_free(made);
		return status;
	}
	*program = made;
	return NORMC_OK;
}

void normc_program_free(struct normc_program *program)
{
	if (!program)
		return;
	if (program->mapping)
		munmap(program->mapping, program->mapping_bytes);
	free(program->inputs);
	free(program->outputs);
	if (program->release)
		program->release(program->owner);
	if (program->library)
		dlclose(program->library);
	free(program);
}

const struct normc_port *normc_program_inputs(const struct normc_program *program, size_t *count)
{
	*count = program->module.desc->n_inputs;
	return program->inputs;
}

const struct normc_port *normc_program_outputs(const struct normc_program *program, size_t *count)
{
	*count = program->module.desc->n_outputs;
	return program->outputs;
}
