/* A program to a module of LLVM IR: its functions (program.c), those of struct normc_module, and
 * the typed entry points. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "descriptor.h"
#include "emit.h"
#include "module.h"

/* A frame on the stack, all zero but for the symbols. */
static LLVMValueRef frame_for(struct emit *e, LLVMValueRef symbols)
{
	LLVMValueRef frame = LLVMBuildAlloca(
			e->entry, LLVMArrayType2(e->t.i64, sizeof(struct normc_frame) / 8),
			"frame");
	LLVMSetAlignment(frame, 16);
	for (size_t at = 0; at < sizeof(struct normc_frame); at += 8) {
		LLVMValueRef index = emit_i64(e, (int64_t)at);
		LLVMBuildStore(e->entry, emit_i64(e, 0),
			       LLVMBuildGEP2(e->entry, e->t.i8, frame, &index, 1, ""));
	}
	LLVMValueRef index = emit_i64(e, offsetof(struct normc_frame, symbols));
	LLVMBuildStore(e->entry, symbols, LLVMBuildGEP2(e->entry, e->t.i8, frame, &index, 1, ""));
	return frame;
}

/* ---- struct normc_module ---- */

static LLVMValueRef begin_with_symbols(struct emit *e, const char *name, LLVMTypeRef result)
{
	LLVMTypeRef params[2] = {e->t.ptr, e->t.ptr};
	LLVMSetLinkage(function_begin(e, name, result, params, 2), LLVMInternalLinkage);
	e->frame = frame_for(e, LLVMGetParam(e->function, 0));
	return LLVMGetParam(e->function, 1);
}

/* The number of the first condition that does not hold, + 2, or 0; then its sides are in out[0] and
 * out[1], which else stay as they are. */
static LLVMValueRef emit_conditions(struct emit *e, LLVMValueRef out)
{
	const struct conditions list = conditions_new(e->p);
	LLVMValueRef which = LLVMConstInt(e->t.i32, 0, 0), value[2], place[2];
	for (int k = 0; list.n && k < 2; k++) {
		place[k] = emit_element(e, e->t.i64, out, emit_i64(e, k));
		value[k] = LLVMBuildLoad2(e->b, e->t.i64, place[k], "");
	}
	for (uint32_t i = list.n; i-- > 0;) {
		const struct dim *right = list.item[i].b;
		LLVMValueRef a = emit_dim(e, list.item[i].a),
			     b = right ? emit_dim(e, right) : emit_i64(e, 0);
		LLVMValueRef fails = LLVMBuildICmp(e->b, right ? LLVMIntNE : LLVMIntSLT, a, b, "");
		LLVMValueRef number = LLVMConstInt(e->t.i32, i + 2, 0);
		which = LLVMBuildSelect(e->b, fails, number, which, "");
		value[0] = LLVMBuildSelect(e->b, fails, a, value[0], "");
		value[1] = LLVMBuildSelect(e->b, fails, b, value[1], "");
	}
	for (int k = 0; list.n && k < 2; k++)
		LLVMBuildStore(e->b, value[k], place[k]);
	return which;
}

/* dims(symbols, out), see struct normc_module. */
static void emit_dims_function(struct emit *e, const char *name)
{
	const struct graph *g = e->p->graph;
	LLVMValueRef out = begin_with_symbols(e, name, e->t.i32), zero = emit_i64(e, 0);
	LLVMValueRef bad = LLVMConstInt(e->t.i1, 0, 0), none = LLVMConstInt(e->t.i32, 0, 0);
	int64_t at = 0;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		for (int32_t d = 0; d < g->outputs[i]->type.rank; d++) {
			LLVMValueRef v = emit_dim(e, g->outputs[i]->type.dim[d]);
			LLVMBuildStore(e->b, v, emit_element(e, e->t.i64, out, emit_i64(e, at++)));
			bad = LLVMBuildOr(e->b, bad, LLVMBuildICmp(e->b, LLVMIntSLT, v, zero, ""),
					  "");
		}
	LLVMValueRef which = emit_conditions(e, out);
	LLVMValueRef holds = LLVMBuildICmp(e->b, LLVMIntEQ, which, none, "");
	bad = LLVMBuildZExt(e->b, bad, e->t.i32, "");
	LLVMBuildRet(e->b, LLVMBuildSelect(e->b, holds, bad, which, ""));
}

/* Extents that no arithmetic of ours can overflow with, and memory that a machine may have. */
static const int64_t largest_extent = INT64_C(1) << 31, largest_workspace = INT64_C(1) << 46;

static LLVMValueRef out_of_range(struct emit *e, LLVMValueRef x, int64_t most)
{
	return LLVMBuildICmp(e->b, LLVMIntUGT, x, emit_i64(e, most), "");
}

/* sizes(symbols, out): 1 if an extent is negative or too large. */
static void emit_sizes_function(struct emit *e, const struct compiled *c, const char *name)
{
	LLVMValueRef out = begin_with_symbols(e, name, e->t.i32), scratch = compiled_scratch(e, c);
	/* a vector may be read or written behind the last element */
	LLVMValueRef spare = emit_i64(e, 256);
	LLVMValueRef workspace = emit_dim(e, e->p->workspace);
	LLVMValueRef bad = out_of_range(e, workspace, largest_workspace);
	for (uint32_t i = 0; i < e->context->dims->n_symbols; i++)
		if (!e->context->dims->symbols[i].element) {
			LLVMValueRef symbols = LLVMGetParam(e->function, 0);
			LLVMValueRef at = emit_element(e, e->t.i64, symbols, emit_i64(e, i));
			LLVMValueRef x = LLVMBuildLoad2(e->b, e->t.i64, at, "");
			bad = LLVMBuildOr(e->b, bad, out_of_range(e, x, largest_extent), "");
		}
	LLVMBuildStore(e->b, emit_add(e, workspace, spare),
		       emit_field(e, out, offsetof(struct normc_sizes, workspace)));
	LLVMBuildStore(e->b, scratch, emit_field(e, out, offsetof(struct normc_sizes, scratch)));
	LLVMBuildRet(e->b, LLVMBuildZExt(e->b, bad, e->t.i32, ""));
}

static void emit_flops_function(struct emit *e, const char *name)
{
	LLVMValueRef out = begin_with_symbols(e, name, e->t.none);
	for (uint32_t i = 0; i < e->p->n_kernels; i++) {
		LLVMValueRef v = LLVMBuildSIToFP(e->b, emit_dim(e, e->p->kernels[i]->flops),
						 e->t.f64, "");
		LLVMBuildStore(e->b, v, emit_element(e, e->t.f64, out, emit_i64(e, i)));
	}
	LLVMBuildRetVoid(e->b);
}

static LLVMValueRef bytes_constant(struct emit *e, const void *p, size_t n, const char *name)
{
	LLVMValueRef data = LLVMConstStringInContext2(e->llvm, p, n, 1);
	LLVMValueRef g = LLVMAddGlobal(e->module, LLVMTypeOf(data), name);
	LLVMSetInitializer(g, data);
	LLVMSetGlobalConstant(g, 1);
	LLVMSetLinkage(g, LLVMInternalLinkage);
	LLVMSetAlignment(g, 16);
	return g;
}

static bool weights_inside(const struct emit *e)
{
	return e->p->weights_bytes && !e->options->weights_file;
}

static LLVMValueRef weights_symbol(struct emit *e)
{
	char name[1024];
	if (!weights_inside(e))
		return LLVMConstNull(e->t.ptr);
	snprintf(name, sizeof name, "%s_weights", e->options->symbol);
	LLVMValueRef g = LLVMGetNamedGlobal(e->module, name);
	if (!g) {
		g = LLVMAddGlobal(e->module, e->t.i8, name);
		LLVMSetVisibility(g, LLVMHiddenVisibility);
		LLVMSetGlobalConstant(g, 1);
		LLVMSetAlignment(g, 64);
	}
	return g;
}

/* Fills in a struct normc_module: code instead of data, since data with addresses would have to be
 * writable. */
static void emit_module_function(struct emit *e, const char *const *name)
{
	char symbol[1024];
	static const size_t at[4] = {
			offsetof(struct normc_module, dims), offsetof(struct normc_module, sizes),
			offsetof(struct normc_module, flops), offsetof(struct normc_module, run)};
	struct bytes desc = descriptor_new(e->p, e->options);
	snprintf(symbol, sizeof symbol, "%s_module", e->options->symbol);
	LLVMTypeRef param = e->t.ptr;
	function_begin(e, symbol, e->t.none, &param, 1);
	LLVMValueRef out = LLVMGetParam(e->function, 0);
	LLVMBuildStore(e->b, bytes_constant(e, desc.p, desc.n, "descriptor"),
		       emit_field(e, out, offsetof(struct normc_module, desc)));
	LLVMBuildStore(e->b, weights_symbol(e),
		       emit_field(e, out, offsetof(struct normc_module, weights)));
	for (int i = 0; i < 4; i++)
		LLVMBuildStore(e->b, LLVMGetNamedFunction(e->module, name[i]),
			       emit_field(e, out, at[i]));
	LLVMBuildRetVoid(e->b);
}

/* ---- typed entry points ---- */

static bool reads_elements(const struct emit *e)
{
	for (uint32_t i = 0; i < e->context->dims->n_symbols; i++)
		if (e->context->dims->symbols[i].element)
			return true;
	return false;
}

/* Stores the leading parameters as symbols; returns the array. */
static LLVMValueRef symbols_from_parameters(struct emit *e)
{
	uint32_t n = e->context->dims->n_symbols;
	LLVMValueRef symbols =
			LLVMBuildAlloca(e->entry, LLVMArrayType2(e->t.i64, n + 1), "symbols");
	for (uint32_t i = 0; i < n; i++) {
		LLVMValueRef at = emit_i64(e, i);
		LLVMBuildStore(e->entry, LLVMGetParam(e->function, i),
			       LLVMBuildGEP2(e->entry, e->t.i64, symbols, &at, 1, ""));
	}
	return symbols;
}

/* Calls sizes and dims; returns where the sizes are, and `bad`: whether the extents are impossible.
 */
static LLVMValueRef call_sizes(struct emit *e, const char *const *name, LLVMValueRef symbols,
			       LLVMValueRef *bad)
{
	LLVMTypeRef params[2] = {e->t.ptr, e->t.ptr},
		    type = LLVMFunctionType(e->t.i32, params, 2, 0);
	unsigned n_sizes = sizeof(struct normc_sizes) / 8, n_dims = 2;
	for (uint32_t i = 0; i < e->p->graph->n_outputs; i++)
		n_dims += (unsigned)e->p->graph->outputs[i]->type.rank;
	LLVMValueRef sizes = emit_slot(e, LLVMArrayType2(e->t.i64, n_sizes));
	LLVMValueRef dims = emit_slot(e, LLVMArrayType2(e->t.i64, n_dims)), status[2];
	for (int i = 0; i < 2; i++) {
		LLVMValueRef args[2] = {symbols, i ? sizes : dims};
		LLVMValueRef function = LLVMGetNamedFunction(e->module, name[i]);
		status[i] = LLVMBuildCall2(e->b, type, function, args, 2, "");
	}
	LLVMValueRef any = LLVMBuildOr(e->b, status[0], status[1], "");
	*bad = LLVMBuildICmp(e->b, LLVMIntNE, any, LLVMConstInt(e->t.i32, 0, 0), "");
	return sizes;
}

static LLVMValueRef round_up_64(struct emit *e, LLVMValueRef x)
{
	return LLVMBuildAnd(e->b, LLVMBuildAdd(e->b, x, emit_i64(e, 63), ""), emit_i64(e, -64), "");
}

static LLVMValueRef size_field(struct emit *e, LLVMValueRef sizes, size_t offset)
{
	return round_up_64(e, LLVMBuildLoad2(e->b, e->t.i64, emit_field(e, sizes, offset), ""));
}

/* Where extents come from the contents of inputs, only a session can know them: these say so. */
static void emit_workspace_entry(struct emit *e, const char *const *names)
{
	char name[1024];
	uint32_t n = reads_elements(e) ? 0 : e->context->dims->n_symbols;
	LLVMTypeRef *params = arena_new(e->context->arena, LLVMTypeRef, n + 1);
	for (uint32_t i = 0; i < n; i++)
		params[i] = e->t.i64;
	snprintf(name, sizeof name, "%s_workspace", e->options->symbol);
	function_begin(e, name, e->t.i64, params, n);
	if (reads_elements(e)) {
		LLVMBuildRet(e->b, emit_i64(e, -1));
		return;
	}
	LLVMValueRef bad, out = call_sizes(e, names, symbols_from_parameters(e), &bad);
	return_when(e, bad, emit_i64(e, -1));
	LLVMValueRef work = size_field(e, out, offsetof(struct normc_sizes, workspace));
	LLVMBuildRet(e->b,
		     LLVMBuildAdd(e->b, work,
				  size_field(e, out, offsetof(struct normc_sizes, scratch)), ""));
}

static LLVMValueRef pointer_list(struct emit *e, uint32_t first, uint32_t n)
{
	LLVMValueRef list = LLVMBuildAlloca(e->entry, LLVMArrayType2(e->t.ptr, n + 1), "");
	for (uint32_t i = 0; i < n; i++)
		LLVMBuildStore(e->b, LLVMGetParam(e->function, first + i),
			       emit_element(e, e->t.ptr, list, emit_i64(e, i)));
	return list;
}

static void put_frame(struct emit *e, LLVMValueRef frame, size_t offset, LLVMValueRef value)
{
	LLVMBuildStore(e->b, value, emit_field(e, frame, offset));
}

/* Parameters of NAME_run: extents, inputs, outputs, weights if they lie beside, workspace. */
struct run_parameters {
	uint32_t inputs, outputs, weights, workspace, n;
	bool beside;
};

static struct run_parameters begin_run_entry(struct emit *e)
{
	const struct graph *g = e->p->graph;
	struct run_parameters p = {.beside = e->p->weights_bytes && e->options->weights_file};
	for (uint32_t i = 0; i < e->context->dims->n_symbols; i++)
		p.inputs += !e->context->dims->symbols[i].element;
	p.outputs = p.inputs + g->n_inputs;
	p.weights = p.outputs + g->n_outputs;
	p.workspace = p.weights + p.beside;
	p.n = p.workspace + 1;
	LLVMTypeRef *types = arena_new(e->context->arena, LLVMTypeRef, p.n);
	for (uint32_t i = 0; i < p.n; i++)
		types[i] = i < p.inputs ? e->t.i64 : e->t.ptr;
	char name[1024];
	snprintf(name, sizeof name, "%s_run", e->options->symbol);
	function_begin(e, name, e->t.i32, types, p.n);
	return p;
}

static void emit_run_entry(struct emit *e, const char *const *names)
{
	const struct graph *g = e->p->graph;
	struct run_parameters p = begin_run_entry(e);
	if (reads_elements(e)) {
		LLVMBuildRet(e->b, LLVMConstInt(e->t.i32, NORMC_UNSUPPORTED, 0));
		return;
	}
	LLVMValueRef symbols = symbols_from_parameters(e), frame = frame_for(e, symbols), bad;
	LLVMValueRef sizes = call_sizes(e, names, symbols, &bad);
	return_when(e, bad, LLVMConstInt(e->t.i32, NORMC_USAGE, 0));
	LLVMValueRef workspace = LLVMGetParam(e->function, p.workspace);
	LLVMValueRef bytes = size_field(e, sizes, offsetof(struct normc_sizes, workspace));
	put_frame(e, frame, offsetof(struct normc_frame, weights),
		  p.beside ? LLVMGetParam(e->function, p.weights) : weights_symbol(e));
	put_frame(e, frame, offsetof(struct normc_frame, workspace), workspace);
	put_frame(e, frame, offsetof(struct normc_frame, scratch),
		  emit_element(e, e->t.i8, workspace, bytes));
	put_frame(e, frame, offsetof(struct normc_frame, inputs),
		  pointer_list(e, p.inputs, g->n_inputs));
	put_frame(e, frame, offsetof(struct normc_frame, outputs),
		  pointer_list(e, p.outputs, g->n_outputs));
	put_frame(e, frame, offsetof(struct normc_frame, threads), LLVMConstInt(e->t.i32, 1, 0));
	LLVMTypeRef param = e->t.ptr, type = LLVMFunctionType(e->t.i32, &param, 1, 0);
	LLVMValueRef run = LLVMGetNamedFunction(e->module, names[3]);
	LLVMBuildRet(e->b, LLVMBuildCall2(e->b, type, run, &frame, 1, ""));
}

/* ---- the whole ---- */

static void open_types(struct emit *e)
{
	e->t = (struct emit_types){.i1 = LLVMInt1TypeInContext(e->llvm),
				   .i8 = LLVMInt8TypeInContext(e->llvm),
				   .i16 = LLVMInt16TypeInContext(e->llvm),
				   .i32 = LLVMInt32TypeInContext(e->llvm),
				   .i64 = LLVMInt64TypeInContext(e->llvm),
				   .f16 = LLVMHalfTypeInContext(e->llvm),
				   .f32 = LLVMFloatTypeInContext(e->llvm),
				   .f64 = LLVMDoubleTypeInContext(e->llvm),
				   .ptr = LLVMPointerTypeInContext(e->llvm, 0),
				   .none = LLVMVoidTypeInContext(e->llvm)};
}

static void emit_everything(struct emit *e)
{
	struct arena *a = e->context->arena;
	const char *symbol = e->options->symbol;
	const char *const name[4] = {
			arena_printf(a, "%s.dims", symbol), arena_printf(a, "%s.sizes", symbol),
			arena_printf(a, "%s.flops", symbol), arena_printf(a, "%s.run", symbol)};
	const struct compiled *c = compile_program(e, e->p, symbol);
	if (!c)
		return;
	emit_dims_function(e, name[0]);
	emit_sizes_function(e, c, name[1]);
	emit_flops_function(e, name[2]);
	emit_module_function(e, name);
	emit_workspace_entry(e, name);
	emit_run_entry(e, name);
}

bool codegen_emit(struct emitted *emitted, const struct program *p,
		  const struct codegen_options *options)
{
	struct emit e = {.p = p,
			 .context = p->context,
			 .options = options,
			 .target = emitted->target,
			 .llvm = emitted->context,
			 .module = emitted->module,
			 .b = emitted->builder[0],
			 .entry = emitted->builder[1]};
	emitted->weights_inside = weights_inside(&e);
	open_types(&e);
	emit_everything(&e);
	return !p->context->diag->errors;
}
