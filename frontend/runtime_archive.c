/* The runtime's archive as bytes of this library, so that normc writes .a and .so files without
 * looking for it. */
#include "artefact.h"

__asm__(".section .rodata\n"
	".balign 16\n"
	"normc_runtime_begin:\n"
	".incbin \"" NORMC_RUNTIME_ARCHIVE "\"\n"
	"normc_runtime_end:\n"
	".previous\n");

extern const unsigned char normc_runtime_begin[], normc_runtime_end[];

const void *runtime_archive(size_t *bytes)
{
	*bytes = (size_t)(normc_runtime_end - normc_runtime_begin);
	return normc_runtime_begin;
}
