/* Softmax and the norm family: statistics of a row, then a pass that applies them.
 *
 * The row's values are wanted two or three times.  If they cost more than a load they are kept in
 * the thread's scratch. Deviations are taken from the mean in a pass of their own (two-pass
 * algorithm; Chan, Golub, LeVeque 1983), since the one-pass form cancels when the mean is far above
 * the deviation.
 */
#include <math.h>

#include "reduce.h"

struct row_kernel {
	const struct node *n;
	const struct reduce_plan *plan;
	struct index *x;
	LLVMValueRef stash; /* f32 or f64 row, NULL: values are computed again */
	bool first_pass;
	LLVMValueRef centre, scale; /* of norm; maximum and 1/sum of softmax */
};

static LLVMTypeRef row_type(struct emit *e, const struct row_kernel *k)
{
	return emit_compute_type(e, k->n->in[0]->type.elem);
}

static LLVMValueRef to_lanes(struct emit *e, const struct index *x, LLVMValueRef v)
{
	return emit_lane_count(v) == x->lanes ? v : emit_splat(e, v, x->lanes);
}

/* Address in the stash of the current inner index (one inner dimension, lanes along it). */
static LLVMValueRef stash_at(struct emit *e, const struct row_kernel *k)
{
	return emit_element(e, row_type(e, k), k->stash, k->x->at[k->x->space->rank - 1]);
}

static LLVMValueRef row_value(struct emit *e, struct row_kernel *k)
{
	enum normc_elem elem = k->n->in[0]->type.elem == NORMC_F64 ? NORMC_F64 : NORMC_F32;
	if (k->stash && !k->first_pass)
		return emit_load_at(e, (struct element){elem, stash_at(e, k), NULL}, k->x);
	LLVMValueRef v = emit_value(e, k->n->in[0], k->x);
	if (k->stash)
		emit_store_at(e, (struct element){elem, stash_at(e, k), NULL}, k->x, v);
	return v;
}

static LLVMValueRef binary(struct emit *e, enum op op, LLVMValueRef a, LLVMValueRef b)
{
	struct node draft = {.op = op, .type = {.elem = NORMC_F32}};
	LLVMValueRef in[2] = {a, b};
	return scalar_emit(e, &draft, in);
}

static LLVMValueRef unary(struct emit *e, enum op op, LLVMValueRef a)
{
	struct node draft = {.op = op, .type = {.elem = NORMC_F32}};
	return scalar_emit(e, &draft, &a);
}

static LLVMValueRef combine_sum(struct reduction *r, int32_t i, LLVMValueRef a, LLVMValueRef b)
{
	(void)i;
	return LLVMBuildFAdd(r->e->b, a, b, "");
}

static LLVMValueRef combine_max(struct reduction *r, int32_t i, LLVMValueRef a, LLVMValueRef b)
{
	(void)i;
	return binary(r->e, OP_max, a, b);
}

static LLVMValueRef run_pass(struct emit *e, struct row_kernel *k, double start,
			     void (*step)(struct reduction *, LLVMValueRef *),
			     LLVMValueRef (*combine)(struct reduction *, int32_t, LLVMValueRef,
						     LLVMValueRef))
{
	struct reduction r = {.e = e,
			      .x = k->x,
			      .across = k->plan->across,
			      .lanes = k->plan->lanes,
			      .n = 1,
			      .user = k};
	r.start[0] = LLVMConstReal(row_type(e, k), start);
	r.step = step;
	r.combine = combine;
	reduction_run(&r);
	k->first_pass = false;
	return r.result[0];
}

/* The stash helps if there is one inner dimension and the value is more than a load. */
static void plan_stash(struct emit *e, struct row_kernel *k, const struct reduce_plan *plan,
		       struct schedule *s)
{
	const struct node *in = k->n->in[0];
	k->stash = NULL;
	if (plan->across || plan->space.rank != plan->space.n_outer + 1 ||
	    (e->p->group[in->id] != e->kernel_number && k->n->op != OP_softmax))
		return;
	int64_t size = in->type.elem == NORMC_F64 ? 8 : 4;
	s->scratch = dim_mul(e->context->dims, plan->space.extent[plan->space.rank - 1],
			     dim_const(e->context->dims, size));
	k->stash = emit_scratch(e);
}

/* ---- softmax ---- */

static void step_max(struct reduction *r, LLVMValueRef *acc)
{
	acc[0] = binary(r->e, OP_max, acc[0], row_value(r->e, r->user));
}

static void step_exp_sum(struct reduction *r, LLVMValueRef *acc)
{
	struct row_kernel *k = r->user;
	struct emit *e = r->e;
	LLVMValueRef v = LLVMBuildFSub(e->b, row_value(e, k), to_lanes(e, r->x, k->centre), "");
	v = unary(e, OP_exp, v);
	if (k->stash && !k->n->attr.softmax->log)
		emit_store_at(e,
			      (struct element){k->n->in[0]->type.elem == NORMC_F64 ? NORMC_F64
										   : NORMC_F32,
					       stash_at(e, k), NULL},
			      r->x, v);
	acc[0] = LLVMBuildFAdd(e->b, acc[0], v, "");
}

static void apply_softmax(struct emit *e, void *user)
{
	struct row_kernel *k = user;
	emit_values_begin(e, NULL, NULL);
	LLVMValueRef v = row_value(e, k), scale = to_lanes(e, k->x, k->scale);
	if (k->n->attr.softmax->log) {
		v = LLVMBuildFSub(e->b, v, to_lanes(e, k->x, k->centre), "");
		v = LLVMBuildFSub(e->b, v, scale, "");
	} else {
		if (!k->stash)
			v = unary(e, OP_exp,
				  LLVMBuildFSub(e->b, v, to_lanes(e, k->x, k->centre), ""));
		v = LLVMBuildFMul(e->b, v, scale, "");
	}
	emit_finish(e, k->x, emit_round(e, k->n->type.elem, v));
}

/* ---- norm ---- */

static void step_sum(struct reduction *r, LLVMValueRef *acc)
{
	acc[0] = LLVMBuildFAdd(r->e->b, acc[0], row_value(r->e, r->user), "");
}

static LLVMValueRef centred(struct emit *e, struct row_kernel *k, LLVMValueRef v)
{
	return k->centre ? LLVMBuildFSub(e->b, v, to_lanes(e, k->x, k->centre), "") : v;
}

static void step_scale(struct reduction *r, LLVMValueRef *acc)
{
	struct row_kernel *k = r->user;
	struct emit *e = r->e;
	LLVMValueRef d = centred(e, k, row_value(e, k));
	switch (k->n->attr.norm->scale) {
	case NORM_SCALE_L1:
		acc[0] = LLVMBuildFAdd(e->b, acc[0], unary(e, OP_abs, d), "");
		break;
	case NORM_SCALE_MAX:
		acc[0] = binary(e, OP_max, acc[0], unary(e, OP_abs, d));
		break;
	default:
		acc[0] = k->n->type.elem == NORMC_F64
					 ? LLVMBuildFAdd(e->b, acc[0],
							 LLVMBuildFMul(e->b, d, d, ""), "")
					 : math_fma(e, d, d, acc[0]);
	}
}

static LLVMValueRef count_of_row(struct emit *e, const struct row_kernel *k, int64_t less)
{
	struct dims *dims = e->context->dims;
	const struct dim *n = dim_const(dims, 1);
	for (int32_t i = k->plan->space.n_outer; i < k->plan->space.rank; i++)
		n = dim_mul(dims, n, k->plan->space.extent[i]);
	n = dim_sub(dims, n, dim_const(dims, less));
	return LLVMBuildSIToFP(e->b, emit_dim(e, n), row_type(e, k), "");
}

/* 1 / (scale with epsilon) from the accumulated sum or maximum */
static LLVMValueRef inverse_scale(struct emit *e, struct row_kernel *k, LLVMValueRef sum)
{
	const struct attr_norm *a = k->n->attr.norm;
	LLVMValueRef epsilon = emit_real(e, LLVMTypeOf(sum), a->epsilon),
		     one = emit_real(e, LLVMTypeOf(sum), 1);
	if (a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L1) {
		LLVMValueRef n = to_lanes(e, k->x, count_of_row(e, k, a->unbiased));
		sum = LLVMBuildFDiv(e->b, sum,
				    emit_lane_count(sum) == 1 ? count_of_row(e, k, a->unbiased) : n,
				    "");
	}
	bool root = a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L2;
	if (a->epsilon_place == NORM_EPSILON_INSIDE)
		sum = LLVMBuildFAdd(e->b, sum, epsilon, "");
	if (root)
		sum = unary(e, OP_sqrt, sum);
	if (a->epsilon_place == NORM_EPSILON_OUTSIDE)
		sum = LLVMBuildFAdd(e->b, sum, epsilon, "");
	if (a->epsilon_place == NORM_EPSILON_FLOOR)
		sum = binary(e, OP_max, sum, epsilon);
	return LLVMBuildFDiv(e->b, one, sum, "");
}

static void apply_norm(struct emit *e, void *user)
{
	struct row_kernel *k = user;
	const struct attr_norm *a = k->n->attr.norm;
	uint32_t next = 1;
	emit_values_begin(e, NULL, NULL);
	LLVMValueRef v = centred(e, k, row_value(e, k));
	if (k->scale)
		v = LLVMBuildFMul(e->b, v, to_lanes(e, k->x, k->scale), "");
	if (a->gamma)
		v = LLVMBuildFMul(e->b, v, emit_load(e, k->n->in[next++], k->x), "");
	if (a->beta)
		v = LLVMBuildFAdd(e->b, v, emit_load(e, k->n->in[next++], k->x), "");
	emit_finish(e, k->x, emit_round(e, k->n->type.elem, v));
}

/* ---- rows ---- */

struct row_user {
	const struct node *n;
	struct schedule *s;
};

static void softmax_row(struct emit *e, struct row_kernel *k)
{
	k->centre = run_pass(e, k, -INFINITY, step_max, combine_max);
	k->scale = run_pass(e, k, 0, step_exp_sum, combine_sum);
	k->scale = k->n->attr.softmax->log
				   ? unary(e, OP_log, k->scale)
				   : LLVMBuildFDiv(e->b, emit_real(e, LLVMTypeOf(k->scale), 1),
						   k->scale, "");
	inner_each(e, k->x, k->plan, apply_softmax, k);
}

static void norm_row(struct emit *e, struct row_kernel *k)
{
	const struct attr_norm *a = k->n->attr.norm;
	if (a->centre == NORM_CENTRE_MEAN) {
		LLVMValueRef sum = run_pass(e, k, 0, step_sum, combine_sum),
			     n = count_of_row(e, k, 0);
		k->centre = LLVMBuildFDiv(e->b, sum, emit_splat(e, n, emit_lane_count(sum)), "");
	}
	if (a->scale != NORM_SCALE_NONE) {
		LLVMValueRef sum = run_pass(e, k, 0, step_scale,
					    a->scale == NORM_SCALE_MAX ? combine_max : combine_sum);
		k->scale = inverse_scale(e, k, sum);
	}
	inner_each(e, k->x, k->plan, apply_norm, k);
}

static void emit_row(struct emit *e, struct index *x, const struct reduce_plan *plan, void *user)
{
	const struct row_user *u = user;
	struct index row = *x;
	struct row_kernel k = {.n = u->n, .plan = plan, .x = &row, .first_pass = true};
	plan_stash(e, &k, plan, u->s);
	if (u->n->op == OP_softmax)
		softmax_row(e, &k);
	else
		norm_row(e, &k);
}

void kernel_softmax(struct emit *e, struct schedule *s)
{
	struct row_user user = {e->kernel->anchor, s};
	struct reduce_plan plan =
			reduce_plan(e, user.n->in[0], 1u << user.n->attr.softmax->axis, true);
	reduce_rows(e, &plan, s, emit_row, &user);
}

void kernel_norm(struct emit *e, struct schedule *s)
{
	struct row_user user = {e->kernel->anchor, s};
	if (user.n->attr.norm->centre == NORM_CENTRE_GIVEN ||
	    user.n->attr.norm->scale == NORM_SCALE_GIVEN) {
		bug(e->context->diag, user.n->loc,
		    "a norm with given statistics reached code generation");
		return;
	}
	struct reduce_plan plan = reduce_plan(e, user.n->in[0], user.n->attr.norm->axes, true);
	reduce_rows(e, &plan, s, emit_row, &user);
}
