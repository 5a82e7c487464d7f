/* Private to codegen/: the flat description of a program that loaders read (runtime/module.h). */
#ifndef NORMC_CODEGEN_DESCRIPTOR_H
#define NORMC_CODEGEN_DESCRIPTOR_H

#include <stddef.h>

#include "codegen.h"

struct bytes {
	unsigned char *p; /* in the program's arena */
	size_t n;
};

struct bytes descriptor_new(const struct program *p, const struct codegen_options *options);

#endif
