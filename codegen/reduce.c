/* Loops over reduced dimensions. */
#include "reduce.h"

/* Combines the lanes of a vector pairwise. */
static LLVMValueRef combine_lanes(struct reduction *r, int32_t i, LLVMValueRef v)
{
	struct emit *e = r->e;
	int32_t lanes = emit_lane_count(v);
	for (int32_t half = lanes / 2; half >= 1; half /= 2) {
		LLVMValueRef pick[64];
		for (int32_t k = 0; k < lanes; k++)
			pick[k] = LLVMConstInt(e->t.i32, (unsigned)(k < half ? k + half : k), 0);
		LLVMValueRef other =
				LLVMBuildShuffleVector(e->b, v, LLVMGetUndef(LLVMTypeOf(v)),
						       LLVMConstVector(pick, (unsigned)lanes), "");
		v = r->combine(r, i, v, other);
	}
	return lanes == 1 ? v : LLVMBuildExtractElement(e->b, v, LLVMConstInt(e->t.i32, 0, 0), "");
}

/* Loops over inner dimensions [d, rank); the fastest runs over [from, to) by `step`. */
struct nest {
	struct loop loop[MAX_RANK];
};

static void nest_begin(struct emit *e, struct nest *n, struct index *x, int32_t first, int32_t last)
{
	for (int32_t d = first; d < last; d++) {
		loop_begin(e, &n->loop[d], emit_i64(e, 0), emit_dim(e, x->space->extent[d]),
			   emit_i64(e, 1));
		x->at[d] = n->loop[d].i;
	}
}

static void nest_end(struct emit *e, struct nest *n, int32_t first, int32_t last)
{
	for (int32_t d = last; d-- > first;)
		loop_end(e, &n->loop[d]);
}

static void accumulate(struct reduction *r, LLVMValueRef *slot, int32_t lanes)
{
	LLVMValueRef acc[MAX_ACCUMULATORS];
	struct emit *e = r->e;
	LLVMTypeRef type[MAX_ACCUMULATORS];
	for (int32_t i = 0; i < r->n; i++) {
		type[i] = emit_lanes(LLVMTypeOf(r->start[i]), lanes);
		acc[i] = LLVMBuildLoad2(e->b, type[i], slot[i], "");
	}
	emit_values_begin(e, NULL, NULL);
	r->step(r, acc);
	for (int32_t i = 0; i < r->n; i++)
		LLVMBuildStore(e->b, acc[i], slot[i]);
}

static void make_slots(struct reduction *r, LLVMValueRef *slot, int32_t lanes)
{
	for (int32_t i = 0; i < r->n; i++) {
		slot[i] = emit_slot(r->e, emit_lanes(LLVMTypeOf(r->start[i]), lanes));
		LLVMBuildStore(r->e->b, emit_splat(r->e, r->start[i], lanes), slot[i]);
	}
}

static void finish_slots(struct reduction *r, LLVMValueRef *vector, LLVMValueRef *scalar)
{
	struct emit *e = r->e;
	for (int32_t i = 0; i < r->n; i++) {
		LLVMTypeRef type = LLVMTypeOf(r->start[i]);
		r->result[i] = LLVMBuildLoad2(e->b, type, scalar[i], "");
		if (!vector[i])
			continue;
		LLVMValueRef lanes =
				LLVMBuildLoad2(e->b, emit_lanes(type, r->lanes), vector[i], "");
		r->result[i] = r->combine(r, i, combine_lanes(r, i, lanes), r->result[i]);
	}
}

/* Lanes along the fastest inner dimension, then a scalar remainder. */
static void run_along(struct reduction *r)
{
	struct emit *e = r->e;
	struct index *x = r->x;
	int32_t fast = x->space->rank - 1, first = x->space->n_outer;
	LLVMValueRef vector[MAX_ACCUMULATORS] = {0}, scalar[MAX_ACCUMULATORS];
	make_slots(r, scalar, 1);
	if (first > fast) { /* nothing to loop over: one element */
		x->lane = -1;
		x->lanes = 1;
		accumulate(r, scalar, 1);
		finish_slots(r, vector, scalar);
		return;
	}
	LLVMValueRef n = emit_dim(e, x->space->extent[fast]), whole = emit_i64(e, 0);
	struct nest nest;
	struct loop loop;
	if (r->lanes > 1)
		make_slots(r, vector, r->lanes);
	nest_begin(e, &nest, x, first, fast);
	if (r->lanes > 1) {
		whole = LLVMBuildAnd(e->b, n, emit_i64(e, -(int64_t)r->lanes), "");
		loop_begin(e, &loop, emit_i64(e, 0), whole, emit_i64(e, r->lanes));
		x->at[fast] = loop.i;
		x->lane = fast;
		x->lanes = r->lanes;
		accumulate(r, vector, r->lanes);
		loop_end(e, &loop);
	}
	loop_begin(e, &loop, whole, n, emit_i64(e, 1));
	x->at[fast] = loop.i;
	x->lane = -1;
	x->lanes = 1;
	accumulate(r, scalar, 1);
	loop_end(e, &loop);
	nest_end(e, &nest, first, fast);
	finish_slots(r, vector, scalar);
}

static void run_across(struct reduction *r)
{
	struct emit *e = r->e;
	int32_t first = r->x->space->n_outer, last = r->x->space->rank;
	LLVMValueRef slot[MAX_ACCUMULATORS];
	struct nest nest;
	make_slots(r, slot, r->x->lanes);
	nest_begin(e, &nest, r->x, first, last);
	accumulate(r, slot, r->x->lanes);
	nest_end(e, &nest, first, last);
	for (int32_t i = 0; i < r->n; i++)
		r->result[i] = LLVMBuildLoad2(e->b,
					      emit_lanes(LLVMTypeOf(r->start[i]), r->x->lanes),
					      slot[i], "");
}

void reduction_run(struct reduction *r)
{
	if (r->across)
		run_across(r);
	else
		run_along(r);
}

void inner_each(struct emit *e, struct index *x, const struct reduce_plan *plan,
		void (*body)(struct emit *e, void *user), void *user)
{
	int32_t first = x->space->n_outer, fast = x->space->rank - 1;
	struct nest nest;
	struct loop loop;
	if (plan->across || first > fast) {
		nest_begin(e, &nest, x, first, fast + 1);
		body(e, user);
		nest_end(e, &nest, first, fast + 1);
		return;
	}
	LLVMValueRef n = emit_dim(e, x->space->extent[fast]), whole = emit_i64(e, 0);
	nest_begin(e, &nest, x, first, fast);
	if (plan->lanes > 1) {
		whole = LLVMBuildAnd(e->b, n, emit_i64(e, -(int64_t)plan->lanes), "");
		loop_begin(e, &loop, emit_i64(e, 0), whole, emit_i64(e, plan->lanes));
		x->at[fast] = loop.i;
		x->lane = fast;
		x->lanes = plan->lanes;
		body(e, user);
		loop_end(e, &loop);
	}
	loop_begin(e, &loop, whole, n, emit_i64(e, 1));
	x->at[fast] = loop.i;
	x->lane = -1;
	x->lanes = 1;
	body(e, user);
	loop_end(e, &loop);
	nest_end(e, &nest, first, fast);
}

static bool unit_stride(const struct accesses *a, int32_t axis)
{
	for (uint32_t i = 0; i < a->n; i++)
		if (dim_is(a->view[i]->stride[axis], 1))
			return true;
	return false;
}

struct reduce_plan reduce_plan(struct emit *e, const struct node *input, uint32_t inner,
			       bool reads_inner_in_epilogue)
{
	struct reduce_plan plan = {.lanes = 1};
	const struct node *root = e->kernel->root;
	struct accesses in = {0}, all;
	struct axes axes = {.inner = inner};
	accesses_of(e, input, NULL, &in);
	all = in;
	accesses_of(e, root, e->kernel->anchor, &all);
	accesses_add(e, &all, &e->p->view[root->id]);
	/* follow the layout of the first operand that is stored whole */
	struct type whole = input->type;
	struct view v = *(in.n ? in.view[0] : &e->p->view[root->id]);
	view_order(&whole, &v, axes.order);
	plan.space = space_new(e, &whole, &axes, &all, reads_inner_in_epilogue ? &all : &in);
	const struct space *s = &plan.space;
	int32_t fast_inner = s->rank > s->n_outer ? s->fast[s->rank - 1] : -1;
	int32_t fast_outer = s->n_outer ? s->fast[s->n_outer - 1] : -1;
	int32_t lanes = emit_vector_lanes(e, input->type.elem);
	if (fast_inner >= 0 && (unit_stride(&in, fast_inner) || fast_outer < 0))
		plan.lanes = unit_stride(&in, fast_inner) ? lanes : 1;
	else if (fast_outer >= 0 && unit_stride(&in, fast_outer)) {
		plan.across = true;
		plan.lanes = lanes;
	}
	return plan;
}

void reduce_rows(struct emit *e, const struct reduce_plan *plan, struct schedule *s,
		 void (*body)(struct emit *e, struct index *x, const struct reduce_plan *plan,
			      void *user),
		 void *user)
{
	struct dims *dims = e->context->dims;
	struct index x = {.space = &plan->space, .lane = -1, .lanes = 1};
	const struct dim *work = dim_const(dims, 1);
	int32_t n_outer = plan->space.n_outer;
	for (int32_t i = n_outer; i < plan->space.rank; i++)
		work = dim_mul(dims, work, plan->space.extent[i]);
	struct rows rows;
	if (!plan->across) {
		rows = (struct rows){.n_outer = n_outer, .work = work};
		rows_begin(e, &rows, &x, s);
		body(e, &x, plan, user);
		rows_end(e, &rows);
		return;
	}
	/* the fastest outer dimension in pieces of one vector; the last piece is masked by a scalar
	 * loop */
	struct space pieces = plan->space;
	const struct dim *n = pieces.extent[n_outer - 1], *lanes = dim_const(dims, plan->lanes);
	pieces.extent[n_outer - 1] = dim_ceil_div(dims, n, lanes);
	x.space = &pieces;
	rows = (struct rows){.n_outer = n_outer, .work = dim_mul(dims, work, lanes)};
	rows_begin(e, &rows, &x, s);
	x.space = &plan->space;
	LLVMValueRef from = emit_mul(e, x.at[n_outer - 1], emit_i64(e, plan->lanes));
	LLVMValueRef to = emit_min(e, emit_add(e, from, emit_i64(e, plan->lanes)), emit_dim(e, n));
	LLVMValueRef whole = LLVMBuildAnd(e->b, LLVMBuildSub(e->b, to, from, ""),
					  emit_i64(e, -(int64_t)plan->lanes), "");
	struct loop loop;
	loop_begin(e, &loop, from, emit_add(e, from, whole), emit_i64(e, plan->lanes));
	x.at[n_outer - 1] = loop.i;
	x.lane = n_outer - 1;
	x.lanes = plan->lanes;
	body(e, &x, plan, user);
	loop_end(e, &loop);
	loop_begin(e, &loop, emit_add(e, from, whole), to, emit_i64(e, 1));
	x.at[n_outer - 1] = loop.i;
	x.lane = -1;
	x.lanes = 1;
	body(e, &x, plan, user);
	loop_end(e, &loop);
	rows_end(e, &rows);
}
