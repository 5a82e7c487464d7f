/* Private: what a program consists of, and how other parts of the process make one.  The
 * just-in-time compiler includes this header; applications use normc.h alone. */
#ifndef NORMC_PROGRAM_H
#define NORMC_PROGRAM_H

#include <stdbool.h>

#include "module.h"

/* No descriptor is longer; the bound keeps arithmetic on its offsets within 32 bits. */
#define NORMC_DESC_LIMIT (16u << 20)

typedef void normc_module_function(struct normc_module *module);

struct normc_program {
	struct normc_module module;
	const unsigned char *weights;
	struct normc_port *inputs, *outputs;
	void *mapping; /* weights file, NULL if weights are inside */
	size_t mapping_bytes;
	void *library; /* of dlopen, NULL if none */
	void (*release)(void *owner);
	void *owner;
};

/* Like normc_program_from_module, and calls release(owner) once when the program is freed; not when
 * this function fails: then the caller still owns `owner`. */
enum normc_status normc_program_adopt(struct normc_program **program, normc_module_function *module,
				      void (*release)(void *owner), void *owner,
				      struct normc_error *error);

/* Checks every number and string of a descriptor: all that lies within desc->bytes can be read
 * safely afterwards.  The memory must hold desc->bytes bytes, at most NORMC_DESC_LIMIT. */
enum normc_status normc_desc_check(const struct normc_desc *desc, struct normc_error *error);

static inline const char *normc_desc_string(const struct normc_desc *desc, uint32_t offset)
{
	return (const char *)desc + offset;
}

/* Elements of a shape into *count; false if an extent is negative or the product with `size` bytes
 * does not fit an int64_t. */
bool normc_shape_count(const int64_t *dim, int32_t rank, size_t size, int64_t *count);

/* Fills the caller's error, which may be NULL, and returns `status`. */
enum normc_status normc_error_set(struct normc_error *error, enum normc_status status,
				  const char *format, ...) __attribute__((format(printf, 3, 4)));

#endif
