/* Private to codegen/: a module of LLVM IR. */
#ifndef NORMC_CODEGEN_EMITTED_H
#define NORMC_CODEGEN_EMITTED_H

#include <llvm-c/Core.h>

#include "target.h"

struct emitted {
	LLVMContextRef context;
	LLVMModuleRef module;
	LLVMBuilderRef builder[2];
	struct target *target; /* not owned */
	struct diag *diag;
	const char *symbol; /* prefix of exported names */
	bool weights_inside;
};

#endif
