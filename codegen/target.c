/* Target machines: names to LLVM's machine, and the facts about its vectors that lowering needs.
 *
 * The facts are not looked up in a table of processors: a function that adds two vectors of 16
 * floats is compiled for the target, and the registers that its assembly names give the answer,
 * also for processors that are newer than this file.  The C interface of LLVM cannot tell whether a
 * processor's name is known (LLVM itself warns on stderr and goes on with the oldest processor),
 * hence the lists of names below.  The same goes for tiles, which no ordinary code makes use of.
 */
#include "target.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <llvm-c/Core.h>

static const char x86_names[] =
		" generic x86-64 x86-64-v2 x86-64-v3 x86-64-v4 alderlake amdfam10 arrowlake"
		" arrowlake-s athlon-fx athlon64 athlon64-sse3 atom barcelona bdver1 bdver2"
		" bdver3 bdver4 bonnell broadwell btver1 btver2 cannonlake cascadelake"
		" clearwaterforest cooperlake core-avx-i core-avx2 core2 corei7 corei7-avx"
		" emeraldrapids goldmont goldmont-plus gracemont grandridge graniterapids"
		" graniterapids-d haswell icelake-client icelake-server ivybridge k8 k8-sse3"
		" knl knm lunarlake meteorlake nehalem nocona opteron opteron-sse3 pantherlake"
		" penryn raptorlake rocketlake sandybridge sapphirerapids sierraforest"
		" silvermont skx skylake skylake-avx512 slm tigerlake tremont westmere znver1"
		" znver2 znver3 znver4 znver5 ";

static const char aarch64_names[] =
		" generic a64fx ampere1 ampere1a ampere1b apple-a10 apple-a11 apple-a12"
		" apple-a13 apple-a14 apple-a15 apple-a16 apple-a17 apple-m4 carmel cortex-a34"
		" cortex-a35 cortex-a510 cortex-a520 cortex-a53 cortex-a55 cortex-a57"
		" cortex-a65 cortex-a710 cortex-a715 cortex-a72 cortex-a720 cortex-a725"
		" cortex-a73 cortex-a75 cortex-a76 cortex-a77 cortex-a78 cortex-a78c"
		" cortex-r82 cortex-x1 cortex-x1c cortex-x2 cortex-x3 cortex-x4 cortex-x925"
		" exynos-m3 exynos-m4 exynos-m5 falkor kryo neoverse-512tvb neoverse-e1"
		" neoverse-n1 neoverse-n2 neoverse-n3 neoverse-v1 neoverse-v2 neoverse-v3"
		" oryon-1 saphira thunderx thunderx2t99 thunderx3t110 tsv110 ";

/* Those of x86_names with AMX for bf16. */
static const char tile_names[] = " emeraldrapids graniterapids graniterapids-d sapphirerapids ";

static void initialise_once(void)
{
	LLVMInitializeAllTargetInfos();
	LLVMInitializeAllTargets();
	LLVMInitializeAllTargetMCs();
	LLVMInitializeAllAsmPrinters();
	LLVMInitializeAllAsmParsers();
}

void target_initialise(void)
{
	/* LLVM's table of targets is global too, and not locked */
	static pthread_once_t once = PTHREAD_ONCE_INIT;
	pthread_once(&once, initialise_once);
}

static bool begins(const char *text, const char *with)
{
	return !strncmp(text, with, strlen(with));
}

static bool same_architecture(const char *a, const char *b)
{
	size_t n = strcspn(a, "-");
	return n == strcspn(b, "-") && !strncmp(a, b, n);
}

static bool is_listed(const char *names, const char *cpu)
{
	char word[64];
	int n = snprintf(word, sizeof word, " %s ", cpu);
	return n > 2 && (size_t)n < sizeof word && !strchr(cpu, ' ') && strstr(names, word);
}

/* Whether LLVM knows the processor; true where there is no list. */
static bool known_name(const char *triple, const char *cpu)
{
	bool x86 = begins(triple, "x86_64");
	bool arm = begins(triple, "aarch64") || begins(triple, "arm64");

	return (!x86 && !arm) || is_listed(x86 ? x86_names : aarch64_names, cpu);
}

/* Operations that become calls where the machine has no instruction: a conversion from half
 * precision, a rounding. */
static void sample_operations(LLVMBuilderRef builder, LLVMModuleRef module, LLVMValueRef p)
{
	LLVMContextRef context = LLVMGetModuleContext(module);
	LLVMTypeRef real = LLVMFloatTypeInContext(context);
	unsigned id = LLVMLookupIntrinsicID("llvm.roundeven", 14);
	LLVMValueRef half = LLVMBuildLoad2(builder, LLVMHalfTypeInContext(context), p, "");
	LLVMValueRef x = LLVMBuildFPExt(builder, half, real, "");
	LLVMValueRef round = LLVMGetIntrinsicDeclaration(module, id, &real, 1);
	LLVMTypeRef type = LLVMIntrinsicGetType(context, id, &real, 1);
	LLVMBuildStore(builder, LLVMBuildCall2(builder, type, round, &x, 1, ""), p);
}

/* The assembly of a function that adds two vectors of 16 floats, and does what sample_operations
 * says; or NULL. */
static LLVMMemoryBufferRef sample_assembly(LLVMTargetMachineRef machine, const char *triple)
{
	LLVMContextRef context = LLVMContextCreate();
	LLVMModuleRef module = LLVMModuleCreateWithNameInContext("sample", context);
	LLVMBuilderRef builder = LLVMCreateBuilderInContext(context);
	LLVMTypeRef pointer = LLVMPointerTypeInContext(context, 0);
	LLVMTypeRef vector = LLVMVectorType(LLVMFloatTypeInContext(context), 16);
	LLVMTypeRef parameters[2] = {pointer, pointer};
	LLVMTypeRef type = LLVMFunctionType(LLVMVoidTypeInContext(context), parameters, 2, 0);
	LLVMValueRef function = LLVMAddFunction(module, "f", type);
	LLVMMemoryBufferRef text = NULL;
	char *error = NULL;

	LLVMSetTarget(module, triple);
	LLVMAddTargetDependentFunctionAttr(function, "prefer-vector-width", "512");
	LLVMAddTargetDependentFunctionAttr(function, "min-legal-vector-width", "512");
	LLVMPositionBuilderAtEnd(builder, LLVMAppendBasicBlockInContext(context, function, ""));
	LLVMValueRef a = LLVMBuildLoad2(builder, vector, LLVMGetParam(function, 0), "");
	LLVMValueRef b = LLVMBuildLoad2(builder, vector, LLVMGetParam(function, 1), "");
	LLVMBuildStore(builder, LLVMBuildFAdd(builder, a, b, ""), LLVMGetParam(function, 0));
	sample_operations(builder, module, LLVMGetParam(function, 0));
	LLVMBuildRetVoid(builder);
	if (LLVMTargetMachineEmitToMemoryBuffer(machine, module, LLVMAssemblyFile, &error, &text))
		LLVMDisposeMessage(error);
	LLVMDisposeBuilder(builder);
	LLVMDisposeModule(module);
	LLVMContextDispose(context);
	return text;
}

static void find_facts(struct target *target, bool tiles)
{
	struct machine facts = {.vector = 4, .vectors = begins(target->triple, "x86_64") ? 16 : 32};
	LLVMMemoryBufferRef buffer = sample_assembly(target->machine, target->triple);
	target->facts = facts;
	if (!buffer)
		return;
	const char *text = LLVMGetBufferStart(buffer); /* ends with NUL */
	if (facts.vectors == 16 && strstr(text, "zmm"))
		facts = (struct machine){.vector = 16, .vectors = 32, .tiles = tiles};
	else if (facts.vectors == 16 && strstr(text, "ymm"))
		facts = (struct machine){.vector = 8, .vectors = 16};
	target->facts = facts;
	target->half = !strstr(text, "hfsf2") && !strstr(text, "h2f");
	target->rounding = !strstr(text, "roundeven");
	LLVMDisposeMemoryBuffer(buffer);
}

/* Processor name and features into strings of LLVM; false after a report. */
static bool choose_cpu(struct diag *diag, const struct codegen_options *options, const char *triple,
		       char **cpu, char **features)
{
	char *host = LLVMGetDefaultTargetTriple();
	bool here = same_architecture(triple, host);
	const char *name = options->cpu ? options->cpu : here ? "native" : "generic";
	bool native = !strcmp(name, "native"), fits = here || !native;

	LLVMDisposeMessage(host);
	if (!fits)
		return diag_error(diag, (struct loc){0}, NORMC_USAGE,
				  "cpu 'native' is this machine's; name one of target '%s' instead",
				  triple);
	if (!native && !known_name(triple, name))
		return diag_error(diag, (struct loc){0}, NORMC_USAGE,
				  "unknown cpu '%s' for target '%s'; use native, x86-64-v3, "
				  "x86-64-v4 or a name "
				  "that `llc -mtriple=%s -mcpu=help` lists",
				  name, triple, triple);
	*cpu = native ? LLVMGetHostCPUName() : LLVMCreateMessage(name);
	*features = native ? LLVMGetHostCPUFeatures() : LLVMCreateMessage("");
	return true;
}

static LLVMTargetRef find_target(struct diag *diag, const char *triple)
{
	LLVMTargetRef found = NULL;
	char *error = NULL;
	if (!LLVMGetTargetFromTriple(triple, &found, &error))
		return found;
	LLVMDisposeMessage(error);
	diag_error(diag, (struct loc){0}, NORMC_USAGE,
		   "unknown target '%s'; a target is a triple such as x86_64-pc-linux-gnu or "
		   "aarch64-linux-gnu, `llc --version` lists the architectures",
		   triple);
	return NULL;
}

/* The machine of a target, whose strings stay the caller's, and whether it has tiles; NULL after a
 * report. */
static LLVMTargetMachineRef make_machine(struct diag *diag, const struct codegen_options *options,
					 const char *triple, bool *tiles)
{
	LLVMTargetRef found = find_target(diag, triple);
	LLVMTargetMachineRef machine = NULL;
	char *cpu = NULL, *features = NULL;

	if (!found || !choose_cpu(diag, options, triple, &cpu, &features))
		return NULL;
	if (LLVMTargetHasTargetMachine(found) && LLVMTargetHasAsmBackend(found))
		machine = LLVMCreateTargetMachine(found, triple, cpu, features,
						  LLVMCodeGenLevelDefault, LLVMRelocPIC,
						  LLVMCodeModelDefault);
	if (!machine)
		diag_error(diag, (struct loc){0}, NORMC_USAGE, "LLVM makes no code for target '%s'",
			   triple);
	*tiles = begins(triple, "x86_64") &&
		 (strstr(features, "+amx-bf16") || is_listed(tile_names, cpu));
	LLVMDisposeMessage(cpu);
	LLVMDisposeMessage(features);
	return machine;
}

struct target *target_new(struct diag *diag, const struct codegen_options *options)
{
	target_initialise();
	char *triple = options->triple ? LLVMNormalizeTargetTriple(options->triple)
				       : LLVMGetDefaultTargetTriple();
	bool tiles = false;
	LLVMTargetMachineRef machine = make_machine(diag, options, triple, &tiles);
	struct target *target = machine ? calloc(1, sizeof *target) : NULL;

	if (!target) {
		if (machine) {
			LLVMDisposeTargetMachine(machine);
			diag_error(diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
		}
		LLVMDisposeMessage(triple);
		return NULL;
	}
	target->diag = diag;
	target->machine = machine;
	target->layout = LLVMCreateTargetDataLayout(machine);
	target->triple = triple;
	target->elf = !strstr(triple, "darwin") && !strstr(triple, "macos") &&
		      !strstr(triple, "ios") && !strstr(triple, "windows") &&
		      !strstr(triple, "wasm");
	find_facts(target, tiles);
	if (LLVMPointerSize(target->layout) == 8 &&
	    LLVMByteOrder(target->layout) == LLVMLittleEndian)
		return target;
	diag_error(diag, (struct loc){0}, NORMC_UNSUPPORTED,
		   "target '%s': code is made for little-endian machines with 64-bit addresses",
		   triple);
	target_free(target);
	return NULL;
}

void target_free(struct target *target)
{
	if (!target)
		return;
	LLVMDisposeTargetData(target->layout);
	LLVMDisposeTargetMachine(target->machine);
	LLVMDisposeMessage(target->triple);
	free(target);
}

struct machine target_machine(const struct target *target)
{
	return target->facts;
}
