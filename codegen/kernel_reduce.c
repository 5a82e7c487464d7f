/* Sums, products, extremes, and the positions of extremes. */
#include <math.h>

#include "reduce.h"

/* f16 and bf16 sums accumulate in f32; integers in their own type. */
static LLVMValueRef least_or_greatest(struct emit *e, enum normc_elem elem, bool greatest)
{
	LLVMTypeRef type = emit_compute_type(e, elem);
	if (elem_is_float(elem))
		return LLVMConstReal(type, greatest ? INFINITY : -INFINITY);
	if (elem == NORMC_BOOL)
		return LLVMConstInt(type, greatest, 0);
	unsigned bits = LLVMGetIntTypeWidth(type);
	if (!elem_is_signed(elem))
		return greatest ? LLVMConstAllOnes(type) : LLVMConstNull(type);
	uint64_t least = UINT64_C(1) << (bits - 1);
	return LLVMConstInt(type, greatest ? least - 1 : least, 0);
}

static LLVMValueRef start_value(struct emit *e, const struct node *n)
{
	enum normc_elem elem = n->in[0]->type.elem;
	LLVMTypeRef type = emit_compute_type(e, elem);
	switch (n->op) {
	case OP_reduce_prod:
		return elem_is_float(elem) ? LLVMConstReal(type, 1) : LLVMConstInt(type, 1, 0);
	case OP_reduce_max:
	case OP_argmax:
		return least_or_greatest(e, elem, false);
	case OP_reduce_min:
	case OP_argmin:
		return least_or_greatest(e, elem, true);
	default:
		return LLVMConstNull(type);
	}
}

static LLVMValueRef combine(struct reduction *r, int32_t i, LLVMValueRef a, LLVMValueRef b)
{
	const struct node *n = r->user;
	LLVMValueRef in[2] = {a, b};
	struct node draft = {.type = n->in[0]->type};
	(void)i;
	draft.op = n->op == OP_reduce_sum    ? OP_add
		   : n->op == OP_reduce_prod ? OP_mul
		   : n->op == OP_reduce_max  ? OP_max
					     : OP_min;
	return scalar_emit(r->e, &draft, in);
}

static void step(struct reduction *r, LLVMValueRef *acc)
{
	const struct node *n = r->user;
	acc[0] = combine(r, 0, acc[0], emit_value(r->e, n->in[0], r->x));
}

/* ---- arg: value and position; ties go to the first, or the last ---- */

static void keep_better(struct reduction *r, LLVMValueRef *acc, LLVMValueRef value, LLVMValueRef at)
{
	struct emit *e = r->e;
	const struct node *n = r->user;
	const struct attr_arg *arg = n->attr.arg;
	bool is_float = elem_is_float(n->in[0]->type.elem),
	     is_signed = elem_is_signed(n->in[0]->type.elem);
	bool larger = n->op == OP_argmax;
	LLVMValueRef better, tie, none;
	if (is_float) {
		better = LLVMBuildFCmp(e->b, larger ? LLVMRealOGT : LLVMRealOLT, value, acc[0], "");
		tie = LLVMBuildFCmp(e->b, LLVMRealOEQ, value, acc[0], "");
	} else {
		LLVMIntPredicate p = larger ? (is_signed ? LLVMIntSGT : LLVMIntUGT)
					    : (is_signed ? LLVMIntSLT : LLVMIntULT);
		better = LLVMBuildICmp(e->b, p, value, acc[0], "");
		tie = LLVMBuildICmp(e->b, LLVMIntEQ, value, acc[0], "");
	}
	none = LLVMBuildICmp(e->b, LLVMIntSLT, acc[1], LLVMConstNull(LLVMTypeOf(acc[1])), "");
	LLVMIntPredicate order = arg->last ? LLVMIntSGT : LLVMIntSLT;
	tie = LLVMBuildAnd(e->b, tie, LLVMBuildICmp(e->b, order, at, acc[1], ""), "");
	better = LLVMBuildOr(e->b, LLVMBuildOr(e->b, better, tie, ""), none, "");
	acc[0] = LLVMBuildSelect(e->b, better, value, acc[0], "");
	acc[1] = LLVMBuildSelect(e->b, better, at, acc[1], "");
}

static void step_arg(struct reduction *r, LLVMValueRef *acc)
{
	const struct node *n = r->user;
	struct emit *e = r->e;
	LLVMValueRef at = emit_i64(e, 0), value = emit_value(e, n->in[0], r->x);
	if (r->x->space->rank > r->x->space->n_outer)
		at = r->x->at[r->x->space->rank - 1];
	keep_better(r, acc, value, emit_splat(e, at, r->x->lanes));
}

static void emit_reduce_row(struct emit *e, struct index *x, const struct reduce_plan *plan,
			    void *user)
{
	const struct node *n = user;
	bool arg = n->op == OP_argmax || n->op == OP_argmin;
	struct index row = *x;
	struct reduction r = {.e = e,
			      .x = &row,
			      .across = plan->across,
			      .lanes = plan->lanes,
			      .n = 1,
			      .user = user};
	r.start[0] = start_value(e, n);
	r.step = arg ? step_arg : step;
	r.combine = combine;
	if (arg) {
		r.n = 2;
		r.start[1] = emit_i64(e, -1);
	}
	reduction_run(&r);
	LLVMValueRef result = r.result[arg ? 1 : 0];
	if (!arg)
		result = emit_round(e, n->type.elem, result);
	for (int32_t i = plan->space.n_outer; i < plan->space.rank; i++)
		x->at[i] = emit_i64(e, 0);
	emit_finish(e, x, result);
}

void kernel_reduce(struct emit *e, struct schedule *s)
{
	const struct node *n = e->kernel->anchor;
	bool arg = n->op == OP_argmax || n->op == OP_argmin;
	uint32_t inner = arg ? 1u << n->attr.arg->axis : n->attr.axes->mask;
	struct reduce_plan plan = reduce_plan(e, n->in[0], inner, false);
	if (arg && !plan.across)
		plan.lanes = 1; /* positions are combined in order */
	reduce_rows(e, &plan, s, emit_reduce_row, (void *)n);
}
