/* Private to codegen/: the machine that code is made for. */
#ifndef NORMC_CODEGEN_TARGET_H
#define NORMC_CODEGEN_TARGET_H

#include <llvm-c/Target.h>
#include <llvm-c/TargetMachine.h>

#include "codegen.h"

struct target {
	struct diag *diag;
	LLVMTargetMachineRef machine;
	LLVMTargetDataRef layout;
	char *triple; /* of LLVM, freed with LLVMDisposeMessage */
	struct machine facts;
	bool elf;	/* objects are ELF files */
	bool half;	/* has instructions that convert half precision */
	bool rounding;	/* ... that round to integers */
};

/* Makes the target known to LLVM; any thread, any number of times. */
void target_initialise(void);

#endif
