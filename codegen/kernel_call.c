/* Calls of the runtime's long-tail functions (runtime/ops.def): argument blocks are filled on the
 * stack. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "emit.h"
#include "module.h"

/* Which functions want scratch. */
static const struct {
	const char *name;
	bool has_scratch;
} externs[] = {
#define EXTERN(name, n_in_min, n_in_max, n_out, has_scratch, doc) {#name, has_scratch},
#include "../runtime/ops.def"
#undef EXTERN
};

bool call_has_scratch(const struct node *n)
{
	for (size_t i = 0; i < sizeof externs / sizeof *externs; i++)
		if (!strcmp(externs[i].name, n->attr.call->name))
			return externs[i].has_scratch;
	return false;
}

static void put(struct emit *e, LLVMValueRef base, size_t offset, LLVMValueRef v)
{
	LLVMBuildStore(e->b, v, emit_element(e, e->t.i8, base, emit_i64(e, (int64_t)offset)));
}

static void put_i32(struct emit *e, LLVMValueRef base, size_t offset, uint32_t x)
{
	put(e, base, offset, LLVMConstInt(e->t.i32, x, 0));
}

/* `v` is the place; NULL or without a buffer: data is NULL. */
static void put_arg(struct emit *e, LLVMValueRef arg, const struct type *type, const struct view *v)
{
	LLVMTypeRef storage = emit_storage_type(e, type->elem);
	LLVMValueRef data = LLVMConstNull(e->t.ptr);
	const struct dim *dense[MAX_RANK];
	if (v && v->buffer == NO_BUFFER)
		v = NULL;
	if (v)
		data = emit_element(e, storage, emit_buffer(e, v->buffer), emit_dim(e, v->offset));
	type_strides(e->context->dims, type, dense);
	put(e, arg, offsetof(struct normc_arg, data), data);
	put_i32(e, arg, offsetof(struct normc_arg, elem), (uint32_t)type->elem);
	put_i32(e, arg, offsetof(struct normc_arg, rank), (uint32_t)type->rank);
	for (int32_t i = 0; i < type->rank; i++) {
		put(e, arg, offsetof(struct normc_arg, dim) + 8 * (size_t)i,
		    emit_dim(e, type->dim[i]));
		put(e, arg, offsetof(struct normc_arg, stride) + 8 * (size_t)i,
		    emit_dim(e, v ? v->stride[i] : dense[i]));
	}
}

/* A private constant array. */
static LLVMValueRef attributes(struct emit *e, LLVMTypeRef type, LLVMValueRef *values, uint32_t n)
{
	LLVMValueRef data = LLVMConstArray2(type, values, n);
	LLVMValueRef g = LLVMAddGlobal(e->module, LLVMTypeOf(data), "attributes");
	LLVMSetInitializer(g, data);
	LLVMSetGlobalConstant(g, 1);
	LLVMSetLinkage(g, LLVMPrivateLinkage);
	LLVMSetUnnamedAddress(g, LLVMGlobalUnnamedAddr);
	LLVMSetAlignment(g, 8);
	return g;
}

/* A struct normc_call on the stack; without data pointers if `shapes_only`. */
static LLVMValueRef call_block(struct emit *e, const struct node *n, bool shapes_only)
{
	const struct attr_call *a = n->attr.call;
	struct arena *arena = e->context->arena;
	LLVMTypeRef arg = LLVMArrayType2(e->t.i64, sizeof(struct normc_arg) / 8);
	LLVMValueRef in = emit_slot(e, LLVMArrayType2(arg, n->n_in + 1)),
		     out = emit_slot(e, LLVMArrayType2(arg, a->n_out + 1));
	LLVMValueRef call =
			emit_slot(e, LLVMArrayType2(e->t.i64, (sizeof(struct normc_call) + 7) / 8));
	for (uint32_t i = 0; i < n->n_in; i++)
		put_arg(e, emit_element(e, arg, in, emit_i64(e, i)), &n->in[i]->type,
			shapes_only || node_is_absent(n->in[i]) ? NULL
								: &e->p->view[n->in[i]->id]);
	for (uint32_t i = 0; i < a->n_out; i++)
		put_arg(e, emit_element(e, arg, out, emit_i64(e, i)), &a->out[i],
			shapes_only ? NULL : &e->kernel->result[i]);
	LLVMValueRef *ints = arena_new(arena, LLVMValueRef, a->n_ints + 1),
		     *floats = arena_new(arena, LLVMValueRef, a->n_floats + 1);
	for (uint32_t i = 0; i < a->n_ints; i++)
		ints[i] = emit_i64(e, a->ints[i]);
	for (uint32_t i = 0; i < a->n_floats; i++)
		floats[i] = LLVMConstReal(e->t.f64, a->floats[i]);
	put(e, call, offsetof(struct normc_call, in), in);
	put(e, call, offsetof(struct normc_call, out), out);
	put(e, call, offsetof(struct normc_call, ints), attributes(e, e->t.i64, ints, a->n_ints));
	put(e, call, offsetof(struct normc_call, floats),
	    attributes(e, e->t.f64, floats, a->n_floats));
	bool scratch = !shapes_only && call_has_scratch(n);
	put(e, call, offsetof(struct normc_call, scratch),
	    scratch ? emit_scratch(e) : LLVMConstNull(e->t.ptr));
	put_i32(e, call, offsetof(struct normc_call, n_in), n->n_in);
	put_i32(e, call, offsetof(struct normc_call, n_out), a->n_out);
	put_i32(e, call, offsetof(struct normc_call, n_ints), a->n_ints);
	put_i32(e, call, offsetof(struct normc_call, n_floats), a->n_floats);
	return call;
}

LLVMValueRef emit_call_scratch(struct emit *e, const struct node *n)
{
	char name[96];
	LLVMValueRef call = call_block(e, n, true);
	snprintf(name, sizeof name, "normc_op_%s_scratch", n->attr.call->name);
	return emit_runtime(e, name, e->t.i64, &call, 1);
}

void kernel_call(struct emit *e, struct schedule *s)
{
	const struct node *n = e->kernel->root;
	char name[96];
	LLVMValueRef call = call_block(e, n, false);
	s->tasks = dim_const(e->context->dims, 1);
	snprintf(name, sizeof name, "normc_op_%s", n->attr.call->name);
	emit_fail(e, emit_runtime(e, name, e->t.i32, &call, 1));
}
