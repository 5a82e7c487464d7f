/* The loader of this process: LLVM's linker puts an object file into memory and the runtime makes a
 * program of it.
 *
 * Code may only call what the table below lists, so that a model runs here exactly as it does when
 * it is linked into an application.  Weights are mapped from their file: no byte of them is copied.
 */
#include "jit.h"

#include <llvm-c/Core.h>
#include <llvm-c/Error.h>
#include <llvm-c/LLJIT.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "ops.h"
#include "program.h"
#include "scalar.h"
#include "target.h"

struct jit {
	LLVMOrcLLJITRef engine;
	void *weights; /* NULL: none */
	size_t weights_bytes;
	char reported[300]; /* the linker's first report, "" if there is none */
};

typedef void any_function(void);

struct service {
	const char *name;
	any_function *function;
};

#define SERVICE(name)                                                                              \
	{                                                                                          \
#name, (any_function *)name                                                        \
	}

/* All that generated code may call. */
static const struct service services[] = {
		SERVICE(normc_rt_parallel),
		SERVICE(normc_rt_fail),
		SERVICE(normc_rt_mark),
		SERVICE(memcpy),
		SERVICE(memmove),
		SERVICE(memset),
		SERVICE(memcmp),
#define SCRATCH_0(name)
#define SCRATCH_1(name) SERVICE(normc_op_##name##_scratch),
#define EXTERN(name, n_in_min, n_in_max, n_out, has_scratch, doc)                                  \
	SERVICE(normc_op_##name), SCRATCH_##has_scratch(name)
#include "../runtime/ops.def"
#undef EXTERN
#undef SCRATCH_0
#undef SCRATCH_1
#define MATH1(name, expression) SERVICE(normc_rt_##name##_f32), SERVICE(normc_rt_##name##_f64),
#define MATH2			MATH1
#include "math.def"
#undef MATH1
#undef MATH2
		SERVICE(normc_rt_f16_to_f32),
		SERVICE(normc_rt_f32_to_f16),
		SERVICE(normc_rt_decode),
		SERVICE(normc_rt_encode),
		SERVICE(normc_rt_round_small),
};

enum { N_SERVICES = sizeof services / sizeof *services };

static void jit_free(void *owner)
{
	struct jit *jit = owner;
	if (!jit)
		return;
	if (jit->engine)
		LLVMConsumeError(LLVMOrcDisposeLLJIT(jit->engine));
	if (jit->weights)
		munmap(jit->weights, jit->weights_bytes);
	free(jit);
}

/* The linker tells causes here and only the consequence to its caller. */
static void note_report(void *user, LLVMErrorRef failure)
{
	struct jit *jit = user;
	char *text = LLVMGetErrorMessage(failure);
	if (!jit->reported[0])
		snprintf(jit->reported, sizeof jit->reported, "%s", text);
	LLVMDisposeErrorMessage(text);
}

/* Consumes `failure`; its text, or that of its cause, becomes the error's. */
static enum normc_status take_failure(struct jit *jit, LLVMErrorRef failure,
				      struct normc_error *error)
{
	char *text = LLVMGetErrorMessage(failure);
	enum normc_status status =
			normc_error_set(error, NORMC_BUG, "cannot load the generated code: %.400s",
					jit->reported[0] ? jit->reported : text);
	LLVMDisposeErrorMessage(text);
	return status;
}

static enum normc_status map_weights(struct jit *jit, const char *path, struct normc_error *error)
{
	struct stat status;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0)
		return normc_error_set(error, NORMC_IO, "%s: %s", path, strerror(errno));
	if (fstat(file, &status)) {
		close(file);
		return normc_error_set(error, NORMC_IO, "%s: %s", path, strerror(errno));
	}
	jit->weights_bytes = (size_t)status.st_size;
	if (jit->weights_bytes)
		jit->weights = mmap(NULL, jit->weights_bytes, PROT_READ, MAP_PRIVATE, file, 0);
	close(file);
	if (jit->weights != MAP_FAILED)
		return NORMC_OK;
	jit->weights = NULL;
	return normc_error_set(error, NORMC_IO, "%s: cannot map: %s", path, strerror(errno));
}

static LLVMOrcCSymbolMapPair symbol_at(struct jit *jit, const char *name, const void *address)
{
	LLVMOrcCSymbolMapPair pair = {0};
	pair.Name = LLVMOrcLLJITMangleAndIntern(jit->engine, name);
	pair.Sym.Address = (uint64_t)(uintptr_t)address;
	pair.Sym.Flags.GenericFlags = LLVMJITSymbolGenericFlagsExported;
	return pair;
}

/* Makes the services and the weights known to the linker. */
static LLVMErrorRef define_symbols(struct jit *jit, const char *symbol)
{
	LLVMOrcCSymbolMapPair pairs[N_SERVICES + 1];
	char name[1024];
	size_t n = 0;

	for (size_t i = 0; i < N_SERVICES; i++) {
		const void *address;
		memcpy(&address, &services[i].function, sizeof address);
		pairs[n] = symbol_at(jit, services[i].name, address);
		pairs[n++].Sym.Flags.GenericFlags |= LLVMJITSymbolGenericFlagsCallable;
	}
	snprintf(name, sizeof name, "%s_weights", symbol);
	pairs[n++] = symbol_at(jit, name, jit->weights);
	return LLVMOrcJITDylibDefine(LLVMOrcLLJITGetMainJITDylib(jit->engine),
				     LLVMOrcAbsoluteSymbols(pairs, n));
}

/* Links the object and finds its module function. */
static LLVMErrorRef link_object(struct jit *jit, const char *symbol, LLVMMemoryBufferRef object,
				normc_module_function **module)
{
	LLVMOrcJITDylibRef main_library = LLVMOrcLLJITGetMainJITDylib(jit->engine);
	LLVMErrorRef failure = LLVMOrcLLJITAddObjectFile(jit->engine, main_library, object);
	LLVMOrcExecutorAddress address = 0;
	char name[1024];

	if (failure)
		return failure;
	snprintf(name, sizeof name, "%s_module", symbol);
	failure = LLVMOrcLLJITLookup(jit->engine, &address, name);
	if (failure)
		return failure;
	void *found = (void *)(uintptr_t)address;
	memcpy(module, &found, sizeof *module);
	return NULL;
}

static enum normc_status load_code(struct jit *jit, const char *path, const char *symbol,
				   normc_module_function **module, struct normc_error *error)
{
	LLVMMemoryBufferRef object = NULL;
	char *text = NULL;

	target_initialise();
	LLVMErrorRef failure = LLVMOrcCreateLLJIT(&jit->engine, NULL);
	if (failure)
		return take_failure(jit, failure, error);
	LLVMOrcExecutionSessionSetErrorReporter(LLVMOrcLLJITGetExecutionSession(jit->engine),
						note_report, jit);
	if (LLVMCreateMemoryBufferWithContentsOfFile(path, &object, &text)) {
		normc_error_set(error, NORMC_IO, "%s: %s", path, text);
		LLVMDisposeMessage(text);
		return NORMC_IO;
	}
	failure = define_symbols(jit, symbol);
	if (failure)
		LLVMDisposeMemoryBuffer(object);
	else
		failure = link_object(jit, symbol, object, module);
	return failure ? take_failure(jit, failure, error) : NORMC_OK;
}

enum normc_status jit_load(struct normc_program **program, const char *object, const char *symbol,
			   const char *weights, struct normc_error *error)
{
	struct jit *jit = calloc(1, sizeof *jit);
	normc_module_function *module = NULL;
	enum normc_status status = NORMC_OK;

	*program = NULL;
	if (!jit)
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	if (weights)
		status = map_weights(jit, weights, error);
	if (!status)
		status = load_code(jit, object, symbol, &module, error);
	if (!status)
		status = normc_program_adopt(program, module, jit_free, jit, error);
	if (status)
		jit_free(jit);
	return status;
}
