/* Private to codegen/: the flat description of a program that loaders read (runtime/module.h). */
#ifndef NORMC_CODEGEN_DESCRIPTOR_H
#define NORMC_CODEGEN_DESCRIPTOR_H

#include <stddef.h>

#include "codegen.h"

struct bytes {
	unsigned char *p; /* in the program's arena */
	size_t n;
};

/* What must hold at run time: a == b, or a >= 0 if b is NULL; in the program's arena. */
struct condition {
	const struct dim *a, *b;
	struct loc loc;
};
struct conditions {
	struct condition *item;
	uint32_t n;
};
/* The same for the same program: first what nodes take to be equal, then extents that might be
 * negative. */
struct conditions conditions_new(const struct program *p);

struct bytes descriptor_new(const struct program *p, const struct codegen_options *options);

#endif
