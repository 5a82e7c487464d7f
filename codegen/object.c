/* A module of LLVM IR to a file: verify, optimise, write.
 *
 * Weights never pass through LLVM's constants, which would take many times their size: an assembly
 * directive includes the bytes of the weights file into a read-only section while the object is
 * written.
 */
#include "emitted.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Transforms/PassBuilder.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Equal functions become one first: kernels of one shape, which differ in what their tables hold.
 * LLVM compares every instruction, so that nothing can be forgotten that an emitter looks at.
 *
 * The emitters vectorise, unroll and tile by themselves.  What is left to LLVM is mostly scalar:
 * addresses, loop invariants, common subexpressions.  O2 given as text also turns LLVM's own
 * vectorisers on, whatever the options say; without them (O1) code is 0 to 3 % slower and compiled
 * in 10 to 30 % less time. */
static const char pipeline[] = "constmerge,mergefunc,default<O2>";

/* What one object may hold: code reaches the weights by 32-bit distances. */
static const uint64_t most_weights = 2000000000;

static bool verify(struct emitted *emitted)
{
	char *text = NULL;
	bool wrong = LLVMVerifyModule(emitted->module, LLVMReturnStatusAction, &text);
	if (wrong)
		bug(emitted->diag, (struct loc){0}, "LLVM refuses the module: %.300s", text);
	LLVMDisposeMessage(text);
	return !wrong;
}

static bool optimise(struct emitted *emitted)
{
	LLVMPassBuilderOptionsRef options = LLVMCreatePassBuilderOptions();
	LLVMPassBuilderOptionsSetLoopInterleaving(options, false);
	LLVMErrorRef error =
			LLVMRunPasses(emitted->module, pipeline, emitted->target->machine, options);
	LLVMDisposePassBuilderOptions(options);
	if (!error)
		return true;
	char *text = LLVMGetErrorMessage(error);
	bug(emitted->diag, (struct loc){0}, "LLVM's passes: %.300s", text);
	LLVMDisposeErrorMessage(text);
	return false;
}

/* `path` as it stands between quotes in assembly, into `text`; false if it does not fit. */
static bool quote(const char *path, char *text, size_t size)
{
	size_t n = 0;
	for (; *path; path++) {
		unsigned char c = (unsigned char)*path;
		bool plain = c >= ' ' && c < 127 && c != '"' && c != '\\';
		int wrote = snprintf(text + n, size - n, plain ? "%c" : "\\%03o", c);
		n += (size_t)wrote;
		if (n >= size)
			return false;
	}
	return true;
}

static bool file_bytes(const char *path, uint64_t *bytes)
{
	FILE *file = fopen(path, "rb");
	long end = -1;
	if (!file)
		return false;
	if (!fseek(file, 0, SEEK_END))
		end = ftell(file);
	fclose(file);
	*bytes = (uint64_t)end;
	return end >= 0;
}

/* Adds the section with the weights' bytes. */
static bool include_weights(struct emitted *emitted, const char *path)
{
	char quoted[4 * 1024], text[5 * 1024];
	uint64_t bytes = 0;
	struct loc nowhere = {0};

	if (!emitted->target->elf)
		return diag_error(emitted->diag, nowhere, NORMC_UNSUPPORTED,
				  "weights inside the code are for ELF targets; put them beside "
				  "with --weights");
	if (!file_bytes(path, &bytes) || !quote(path, quoted, sizeof quoted))
		return diag_error(emitted->diag, nowhere, NORMC_IO, "cannot read the weights in %s",
				  path);
	if (bytes > most_weights)
		return diag_error(emitted->diag, nowhere, NORMC_LIMIT,
				  "%llu bytes of weights are too much for one object; put them "
				  "beside with "
				  "--weights",
				  (unsigned long long)bytes);
	int n = snprintf(text, sizeof text,
			 ".section .rodata.normc,\"a\",@progbits\n"
			 ".balign 64\n"
			 ".globl %s_weights\n"
			 ".hidden %s_weights\n"
			 ".type %s_weights,@object\n"
			 "%s_weights:\n"
			 ".incbin \"%s\"\n"
			 ".size %s_weights, . - %s_weights\n",
			 emitted->symbol, emitted->symbol, emitted->symbol, emitted->symbol, quoted,
			 emitted->symbol, emitted->symbol);
	if (n < 0 || (size_t)n >= sizeof text)
		return bug(emitted->diag, nowhere, "the symbol's name is too long");
	LLVMAppendModuleInlineAsm(emitted->module, text, (size_t)n);
	return true;
}

/* The loader in this process puts weights anywhere, so that their address must be read from a
 * table. */
static void reach_far(struct emitted *emitted)
{
	char name[1024];
	snprintf(name, sizeof name, "%s_weights", emitted->symbol);
	LLVMValueRef weights = LLVMGetNamedGlobal(emitted->module, name);
	if (weights)
		LLVMSetVisibility(weights, LLVMDefaultVisibility);
}

static bool write_code(struct emitted *emitted, enum codegen_form form, const char *path)
{
	char *text = NULL;
	bool failed;
	if (form == CODEGEN_IR)
		failed = LLVMPrintModuleToFile(emitted->module, path, &text);
	else
		failed = LLVMTargetMachineEmitToFile(
				emitted->target->machine, emitted->module, path,
				form == CODEGEN_OBJECT ? LLVMObjectFile : LLVMAssemblyFile, &text);
	if (!failed)
		return true;
	diag_error(emitted->diag, (struct loc){0}, NORMC_IO, "%s: %.300s", path, text);
	LLVMDisposeMessage(text);
	return false;
}

bool emitted_write(struct emitted *emitted, enum codegen_form form, const char *path,
		   const char *weights)
{
	LLVMSetTarget(emitted->module, emitted->target->triple);
	LLVMSetModuleDataLayout(emitted->module, emitted->target->layout);
	if (!verify(emitted) || !optimise(emitted))
		return false;
	if (!weights)
		reach_far(emitted);
	else if (!include_weights(emitted, weights))
		return false;
	return write_code(emitted, form, path);
}

struct emitted *emitted_new(struct target *target, struct diag *diag,
			    const struct codegen_options *options)
{
	struct emitted *emitted = calloc(1, sizeof *emitted);
	if (!emitted) {
		diag_error(diag, (struct loc){0}, NORMC_LIMIT, "no memory for code");
		return NULL;
	}
	emitted->context = LLVMContextCreate();
	emitted->module = LLVMModuleCreateWithNameInContext(options->symbol, emitted->context);
	for (int i = 0; i < 2; i++)
		emitted->builder[i] = LLVMCreateBuilderInContext(emitted->context);
	emitted->target = target;
	emitted->diag = diag;
	emitted->symbol = options->symbol;
	return emitted;
}

void emitted_free(struct emitted *emitted)
{
	if (!emitted)
		return;
	for (int i = 0; i < 2; i++)
		LLVMDisposeBuilder(emitted->builder[i]);
	LLVMDisposeModule(emitted->module);
	LLVMContextDispose(emitted->context);
	free(emitted);
}
