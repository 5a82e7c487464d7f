/* Kernels of if and loop: they run the functions of their sub-graphs on a frame of their own, whose
 * inputs and outputs are the operands and results.  They are one task, and call the pool from
 * inside.
 */
#include <stddef.h>

#include "emit.h"
#include "module.h"

/* A region's call while its kernel is emitted. */
struct inner {
	struct emit *e;
	const struct node *n;
	const struct attr_region *attr;
	const struct region *region;
	LLVMValueRef frame, inputs, outputs; /* the frame, and its two lists of pointers */
};

static LLVMValueRef address(struct emit *e, const struct view *v, enum normc_elem elem)
{
	return emit_element(e, emit_storage_type(e, elem), emit_buffer(e, v->buffer),
			    emit_dim(e, v->offset));
}

static LLVMValueRef operand(const struct inner *r, uint32_t i)
{
	const struct node *n = r->n->in[i];
	return address(r->e, &r->e->p->view[n->id], n->type.elem);
}

static LLVMValueRef result(const struct inner *r, uint32_t i)
{
	return address(r->e, &r->e->kernel->result[i], r->attr->out[i].elem);
}

/* Place number i of a list of pointers. */
static LLVMValueRef item(const struct inner *r, LLVMValueRef list, uint32_t i)
{
	return emit_element(r->e, r->e->t.ptr, list, emit_i64(r->e, i));
}

static LLVMValueRef load_item(const struct inner *r, LLVMValueRef list, uint32_t i)
{
	return LLVMBuildLoad2(r->e->b, r->e->t.ptr, item(r, list, i), "");
}

static void set_item(const struct inner *r, LLVMValueRef list, uint32_t i, LLVMValueRef p)
{
	LLVMBuildStore(r->e->b, p, item(r, list, i));
}

static LLVMValueRef is_true(struct emit *e, LLVMValueRef p)
{
	LLVMValueRef v = LLVMBuildLoad2(e->b, e->t.i8, p, "");
	return LLVMBuildICmp(e->b, LLVMIntNE, v, LLVMConstInt(e->t.i8, 0, 0), "");
}

/* A copy of the frame with a workspace and lists of its own. */
static struct inner inner_begin(struct emit *e, uint32_t n_in, uint32_t n_out)
{
	const struct node *n = e->kernel->root;
	struct inner r = {.e = e, .n = n, .attr = n->attr.region, .region = e->kernel->region};
	LLVMValueRef size = emit_i64(e, sizeof(struct normc_frame));
	r.frame = emit_slot(e, LLVMArrayType2(e->t.i64, sizeof(struct normc_frame) / 8));
	r.inputs = emit_slot(e, LLVMArrayType2(e->t.ptr, n_in + 1));
	r.outputs = emit_slot(e, LLVMArrayType2(e->t.ptr, n_out + 1));
	LLVMBuildMemCpy(e->b, r.frame, 8, e->frame, 8, size);
	LLVMBuildStore(e->b, emit_buffer(e, r.region->workspace),
		       emit_field(e, r.frame, offsetof(struct normc_frame, workspace)));
	LLVMBuildStore(e->b, emit_kernel_number(e),
		       emit_field(e, r.frame, offsetof(struct normc_frame, outer_kernel)));
	LLVMBuildStore(e->b, r.inputs,
		       emit_field(e, r.frame, offsetof(struct normc_frame, inputs)));
	LLVMBuildStore(e->b, r.outputs,
		       emit_field(e, r.frame, offsetof(struct normc_frame, outputs)));
	return r;
}

/* Runs the program; i32 status. */
static LLVMValueRef inner_run(const struct inner *r, LLVMValueRef run)
{
	LLVMTypeRef param = r->e->t.ptr, type = LLVMFunctionType(r->e->t.i32, &param, 1, 0);
	LLVMValueRef frame = r->frame;
	return LLVMBuildCall2(r->e->b, type, run, &frame, 1, "");
}

static void kernel_if(struct emit *e, const struct compiled_kernel *c)
{
	const struct node *n = e->kernel->root;
	struct inner r = inner_begin(e, n->n_in - 1, n->attr.region->n_out);
	for (uint32_t i = 1; i < n->n_in; i++)
		set_item(&r, r.inputs, i - 1, operand(&r, i));
	for (uint32_t i = 0; i < r.attr->n_out; i++)
		set_item(&r, r.outputs, i, result(&r, i));
	LLVMValueRef run = LLVMBuildSelect(e->b, is_true(e, operand(&r, 0)), c->region[0]->run,
					   c->region[1]->run, "");
	emit_fail(e, inner_run(&r, run));
}

/* ---- loop ---- */

/* Variables of a loop that the body reads and writes through its lists. */
struct turns {
	LLVMValueRef iteration, condition, next_condition; /* addresses */
	LLVMValueRef done;				   /* address: iterations so far */
	bool scans;
};

static void loop_start(struct inner *r, struct turns *t)
{
	struct emit *e = r->e;
	t->scans = r->attr->n_out > r->attr->n_carried;
	t->iteration = emit_slot(e, e->t.i64);
	t->done = emit_slot(e, e->t.i64);
	t->condition = emit_slot(e, e->t.i8);
	t->next_condition = emit_slot(e, e->t.i8);
	LLVMBuildStore(e->b, LLVMBuildLoad2(e->b, e->t.i8, operand(r, 1), ""), t->condition);
	LLVMBuildStore(e->b, emit_i64(e, 0), t->done);
	set_item(r, r->inputs, 0, t->iteration);
	set_item(r, r->inputs, 1, t->condition);
	for (uint32_t i = 2; i < r->n->n_in; i++)
		set_item(r, r->inputs, i, operand(r, i));
	set_item(r, r->outputs, 0, t->next_condition);
	for (uint32_t i = 0; i < r->attr->n_out; i++)
		set_item(r, r->outputs, i + 1, result(r, i));
}

/* A carried value that was written becomes the one that is read, and its other buffer is written
 * next: the result and the spare one by turns, after the start value. */
static void turn_carried(const struct inner *r, uint32_t i)
{
	struct emit *e = r->e;
	LLVMValueRef wrote = load_item(r, r->outputs, i + 1), home = result(r, i);
	LLVMValueRef spare = emit_buffer(e, r->region->spare[i]);
	LLVMValueRef at_home = LLVMBuildICmp(e->b, LLVMIntEQ, wrote, home, "");
	set_item(r, r->inputs, i + 2, wrote);
	set_item(r, r->outputs, i + 1, LLVMBuildSelect(e->b, at_home, spare, home, ""));
}

/* The next row of a scanned value. */
static void turn_scanned(const struct inner *r, uint32_t i)
{
	struct emit *e = r->e;
	struct dims *dims = e->context->dims;
	const struct type *type = &r->attr->out[i];
	const struct dim *row = dim_const(dims, 1);
	for (int32_t k = 1; k < type->rank; k++)
		row = dim_mul(dims, row, type->dim[k]);
	LLVMValueRef last = load_item(r, r->outputs, i + 1);
	set_item(r, r->outputs, i + 1,
		 emit_element(e, emit_storage_type(e, type->elem), last, emit_dim(e, row)));
}

static void loop_turn(const struct inner *r, const struct turns *t, LLVMValueRef i)
{
	struct emit *e = r->e;
	LLVMValueRef condition = LLVMBuildLoad2(e->b, e->t.i8, t->next_condition, "");
	LLVMBuildStore(e->b, condition, t->condition);
	LLVMBuildStore(e->b, emit_add(e, i, emit_i64(e, 1)), t->done);
	for (uint32_t k = 0; k < r->attr->n_out; k++)
		if (k < r->attr->n_carried)
			turn_carried(r, k);
		else
			turn_scanned(r, k);
}

/* Carried values end in the buffers of the results. */
static void bring_home(const struct inner *r)
{
	struct emit *e = r->e;
	struct dims *dims = e->context->dims;
	for (uint32_t i = 0; i < r->attr->n_carried; i++) {
		const struct type *type = &r->attr->out[i];
		unsigned align = (unsigned)normc_elem_size(type->elem);
		const struct dim *bytes = dim_mul(dims, type_count(dims, type),
						  dim_const(dims, (int64_t)align));
		LLVMValueRef last = load_item(r, r->inputs, i + 2), home = result(r, i);
		struct when w;
		when_begin(e, &w, LLVMBuildICmp(e->b, LLVMIntNE, last, home, ""));
		LLVMBuildMemCpy(e->b, home, align, last, align, emit_dim(e, bytes));
		when_end(e, &w);
	}
}

static void kernel_loop(struct emit *e, const struct compiled_kernel *c)
{
	const struct node *n = e->kernel->root;
	struct inner r = inner_begin(e, n->n_in, n->attr.region->n_out + 1);
	LLVMValueRef zero = LLVMConstInt(e->t.i32, 0, 0), status;
	struct turns t;
	struct loop loop;
	loop_start(&r, &t);
	/* rows of scanned values are as many as was known before; others count at run time */
	LLVMValueRef trips = t.scans ? emit_dim(e, r.attr->trips)
				     : LLVMBuildLoad2(e->b, e->t.i64, operand(&r, 0), "");
	loop_begin(e, &loop, emit_i64(e, 0), trips, emit_i64(e, 1));
	loop_while(e, &loop, is_true(e, t.condition));
	LLVMBuildStore(e->b, loop.i, t.iteration);
	status = inner_run(&r, c->region[0]->run);
	loop_while(e, &loop, LLVMBuildICmp(e->b, LLVMIntEQ, status, zero, ""));
	loop_turn(&r, &t, loop.i);
	loop_end(e, &loop);
	bring_home(&r);
	status = emit_field(e, r.frame, offsetof(struct normc_frame, status));
	emit_fail(e, LLVMBuildLoad2(e->b, e->t.i32, status, ""));
	if (t.scans) {
		struct when w;
		LLVMValueRef done = LLVMBuildLoad2(e->b, e->t.i64, t.done, "");
		when_begin(e, &w, LLVMBuildICmp(e->b, LLVMIntSLT, done, trips, ""));
		emit_fail(e, LLVMConstInt(e->t.i32, NORMC_UNSUPPORTED, 0));
		when_end(e, &w);
	}
}

void kernel_region(struct emit *e, struct compiled_kernel *c)
{
	c->schedule.tasks = dim_const(e->context->dims, 1);
	if (e->kernel->root->op == OP_if)
		kernel_if(e, c);
	else
		kernel_loop(e, c);
}
