/* A program to functions: one for each kernel, and one that runs them in order.  Programs of
 * regions come before the kernel that they belong to.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "emit.h"
#include "module.h"

/* ---- functions ---- */

static void add_attribute(struct emit *e, const char *name)
{
	unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
	LLVMAddAttributeAtIndex(e->function, LLVMAttributeFunctionIndex,
				LLVMCreateEnumAttribute(e->llvm, kind, 0));
}

LLVMValueRef function_begin(struct emit *e, const char *name, LLVMTypeRef result,
			    LLVMTypeRef *params, unsigned n)
{
	LLVMTypeRef type = LLVMFunctionType(result, params, n, 0);
	e->function = LLVMGetNamedFunction(e->module, name);
	if (!e->function)
		e->function = LLVMAddFunction(e->module, name, type);
	add_attribute(e, "nounwind");
	/* LLVM's time would grow with the square of a function that holds all kernels */
	add_attribute(e, "noinline");
	if (target_machine(e->target).vector == 16) {
		LLVMAttributeRef wide = LLVMCreateStringAttribute(
				e->llvm, "prefer-vector-width", 19, "512", 3);
		LLVMAddAttributeAtIndex(e->function, LLVMAttributeFunctionIndex, wide);
	}
	LLVMBasicBlockRef entry = LLVMAppendBasicBlockInContext(e->llvm, e->function, "entry");
	LLVMBasicBlockRef body = LLVMAppendBasicBlockInContext(e->llvm, e->function, "body");
	LLVMPositionBuilderAtEnd(e->entry, entry);
	LLVMPositionBuilderBefore(e->entry, LLVMBuildBr(e->entry, body));
	LLVMPositionBuilderAtEnd(e->b, body);
	e->function_number++;
	e->arguments = (struct arguments){NULL, 0};
	return e->function;
}

LLVMValueRef emit_field(struct emit *e, LLVMValueRef base, size_t offset)
{
	return emit_element(e, e->t.i8, base, emit_i64(e, (int64_t)offset));
}

/* ---- kernels ---- */

static void emit_body(struct emit *e, struct compiled_kernel *c)
{
	struct schedule *s = &c->schedule;
	const struct kernel *k = e->kernel;
	const struct node *n = k->anchor ? k->anchor : k->root;
	switch (op_info[n->op].kind) {
	case KIND_reduce:
		kernel_reduce(e, s);
		break;
	case KIND_softmax:
		kernel_softmax(e, s);
		break;
	case KIND_norm:
		kernel_norm(e, s);
		break;
	case KIND_contract:
		kernel_contract(e, s);
		break;
	case KIND_conv:
		if (n->attr.conv->groups > 1 && dim_is(n->in[1]->type.dim[1], 1))
			kernel_window(e, s);
		else
			kernel_contract(e, s);
		break;
	case KIND_window:
		kernel_window(e, s);
		break;
	case KIND_call:
		kernel_call(e, s);
		break;
	case KIND_region:
		kernel_region(e, c);
		break;
	default:
		if (n->op == OP_concat)
			kernel_concat(e, s);
		else if (n->op == OP_pad)
			kernel_pad(e, s);
		else
			kernel_map(e, s);
	}
}

/* Functions of a region's program; NULL after a report. */
static const struct compiled *compile_region(struct emit *e, uint32_t number, int r)
{
	const struct program *p = e->p->kernels[number]->region->program[r];
	const struct emit outer = *e;
	const char *part = r ? "else" : "then";
	const char *prefix = arena_printf(e->context->arena, "%s.%u.%s", e->prefix, number, part);
	e->inner = true;
	const struct compiled *c = compile_program(e, p, prefix);
	e->inner = outer.inner;
	e->p = outer.p;
	e->prefix = outer.prefix;
	e->known = outer.known;
	return c;
}

/* Of equal functions LLVM keeps the name that sorts first; the zeros make that the first
 * kernel's. */
static const char *kernel_name(struct emit *e, uint32_t number, const char *what)
{
	int digits = snprintf(NULL, 0, "%u", e->p->n_kernels);
	return arena_printf(e->context->arena, "%s.%0*u.%s", e->prefix, digits, number, what);
}

/* Opens a function that equal ones may take the place of. */
static LLVMValueRef begin_shared(struct emit *e, const char *name, LLVMTypeRef result,
				 LLVMTypeRef *params, unsigned n)
{
	LLVMValueRef function = function_begin(e, name, result, params, n);
	LLVMSetLinkage(function, LLVMInternalLinkage);
	LLVMSetUnnamedAddress(function, LLVMGlobalUnnamedAddr);
	e->frame = LLVMGetParam(function, 0);
	return function;
}

enum { KERNEL_PARAMETERS = 4 };

/* Type of normc_kernel. */
static LLVMTypeRef kernel_type(struct emit *e, LLVMTypeRef params[KERNEL_PARAMETERS])
{
	params[0] = e->t.ptr;
	params[1] = params[2] = e->t.i64;
	params[3] = e->t.ptr;
	return LLVMFunctionType(e->t.none, params, KERNEL_PARAMETERS, 0);
}

static struct compiled_kernel compile_kernel(struct emit *e, uint32_t number)
{
	struct compiled_kernel c = {0};
	const struct kernel *k = e->p->kernels[number];
	if (k->nothing_to_do)
		return c;
	for (int r = 0; k->region && r < 2 && k->region->program[r]; r++)
		if (!(c.region[r] = compile_region(e, number, r)))
			return c;
	e->kernel = k;
	e->kernel_number = number;
	const char *name = kernel_name(e, number, k->name);
	LLVMTypeRef params[KERNEL_PARAMETERS];
	kernel_type(e, params);
	c.function = begin_shared(e, name, e->t.none, params, KERNEL_PARAMETERS);
	e->task = LLVMGetParam(c.function, 1);
	e->thread = LLVMGetParam(c.function, 2);
	e->table = LLVMGetParam(c.function, 3);
	emit_body(e, &c);
	c.arguments = e->arguments;
	LLVMBuildRetVoid(e->b);
	if (k->root->op == OP_call && call_has_scratch(k->root)) {
		name = kernel_name(e, number, "scratch");
		c.scratch = begin_shared(e, name, e->t.i64, params, 1);
		LLVMBuildRet(e->b, emit_call_scratch(e, k->root));
	}
	return c;
}

/* ---- programs ---- */

static void mark(struct emit *e, uint32_t kernel)
{
	LLVMValueRef args[2] = {e->frame, LLVMConstInt(e->t.i32, kernel, 0)};
	if (e->options->profile && !e->inner)
		emit_runtime(e, "normc_rt_mark", e->t.none, args, 2);
}

/* A table on the stack that fits every kernel. */
static LLVMValueRef table_for(struct emit *e, const struct compiled_kernel *c)
{
	uint32_t most = 1;
	for (uint32_t i = 0; i < e->p->n_kernels; i++)
		if (c[i].arguments.n > most)
			most = c[i].arguments.n;
	return emit_slot(e, LLVMArrayType2(e->t.i64, most));
}

static void run_kernel(struct emit *e, const struct compiled_kernel *c, LLVMValueRef table)
{
	LLVMTypeRef params[KERNEL_PARAMETERS], type = kernel_type(e, params);
	LLVMValueRef direct[] = {e->frame, emit_i64(e, 0), emit_i64(e, 0), table};
	LLVMValueRef parallel[] = {e->frame, c->function, emit_dim(e, c->schedule.tasks), table};
	if (dim_is(c->schedule.tasks, 1))
		LLVMBuildCall2(e->b, type, c->function, direct, 4, "");
	else
		emit_runtime(e, "normc_rt_parallel", e->t.none, parallel, 4);
}

static LLVMValueRef emit_run(struct emit *e, const struct compiled_kernel *c)
{
	const char *name = arena_printf(e->context->arena, "%s.run", e->prefix);
	LLVMTypeRef param = e->t.ptr;
	LLVMValueRef run = begin_shared(e, name, e->t.i32, &param, 1), table = table_for(e, c);
	e->kernel = NULL;
	for (uint32_t i = 0; i < e->p->n_kernels; i++) {
		mark(e, i);
		if (!c[i].function)
			continue;
		pass_arguments(e, i, &c[i].arguments, table);
		run_kernel(e, &c[i], table);
	}
	mark(e, e->p->n_kernels);
	LLVMValueRef status = emit_field(e, e->frame, offsetof(struct normc_frame, status));
	LLVMBuildRet(e->b, LLVMBuildLoad2(e->b, e->t.i32, status, ""));
	return run;
}

const struct compiled *compile_program(struct emit *e, const struct program *p, const char *prefix)
{
	struct arena *a = e->context->arena;
	struct compiled *c = arena_new(a, struct compiled, 1);
	struct compiled_kernel *kernel = arena_new(a, struct compiled_kernel, p->n_kernels + 1);
	e->p = p;
	e->prefix = prefix;
	e->known.n = 0;
	e->known.node = arena_new(a, const struct node *, p->graph->n_nodes + 8);
	e->known.value = arena_new(a, LLVMValueRef, p->graph->n_nodes + 8);
	for (uint32_t i = 0; i < p->n_kernels; i++)
		kernel[i] = compile_kernel(e, i);
	*c = (struct compiled){.kernel = kernel, .n = p->n_kernels};
	if (!e->context->diag->errors)
		c->run = emit_run(e, kernel);
	return c->run ? c : NULL;
}

LLVMValueRef compiled_scratch(struct emit *e, const struct compiled *c)
{
	LLVMTypeRef param = e->t.ptr, type = LLVMFunctionType(e->t.i64, &param, 1, 0);
	LLVMValueRef most = emit_i64(e, 0), one;
	for (uint32_t i = 0; i < c->n; i++) {
		const struct compiled_kernel *k = &c->kernel[i];
		if (k->schedule.scratch)
			most = emit_max(e, most, emit_dim(e, k->schedule.scratch));
		if (k->scratch) {
			one = LLVMBuildCall2(e->b, type, k->scratch, &e->frame, 1, "");
			most = emit_max(e, most, one);
		}
		for (int r = 0; r < 2 && k->region[r]; r++)
			most = emit_max(e, most, compiled_scratch(e, k->region[r]));
	}
	return most;
}
