/* Windows over channels-last values: pooling and depthwise convolution.
 *
 * Lanes lie along the channels.  For each output position (a few neighbours along the last spatial
 * dimension at once, so that a tap's weights are loaded once for all) the taps are visited in
 * loops.  A depthwise convolution's input is padded already; pooling skips the taps outside.
 */
#include <math.h>
#include <string.h>

#include "emit.h"

enum { MAX_NEIGHBOURS = 4, MAX_VECTORS = 4 };

struct window {
	struct emit *e;
	const struct node *n, *x;
	enum normc_elem elem;
	struct space space; /* all dimensions, channels last */
	struct index at;
	int32_t spatial, channels, lanes, nv, neighbours;
	bool weighted;
	int64_t multiplier; /* output channels of one input channel */
	int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
	const struct dim *kernel[MAX_SPATIAL], *before[MAX_SPATIAL];
	LLVMValueRef acc[MAX_NEIGHBOURS * MAX_VECTORS];
	LLVMValueRef mask;
};

static void describe(struct window *w, struct emit *e)
{
	memset(w, 0, sizeof *w);
	w->e = e;
	w->n = e->kernel->anchor;
	w->x = w->n->in[0];
	w->elem = w->n->type.elem;
	w->weighted = w->n->op == OP_conv;
	w->multiplier = 1;
	const struct attr_conv *conv = w->n->attr.conv;
	const struct attr_pool *pool = w->n->attr.pool;
	w->spatial = w->weighted ? conv->spatial : pool->spatial;
	for (int32_t i = 0; i < w->spatial; i++) {
		w->stride[i] = w->weighted ? conv->stride[i] : pool->stride[i];
		w->dilation[i] = w->weighted ? conv->dilation[i] : pool->dilation[i];
		w->kernel[i] = w->weighted ? w->n->in[1]->type.dim[i + 2]
					   : dim_const(e->context->dims, pool->kernel[i]);
		w->before[i] = w->weighted ? dim_const(e->context->dims, 0) : pool->before[i];
	}
	struct accesses all = {.logical = true};
	struct axes axes = {.inner = 0};
	for (int32_t i = 1; i + 1 < w->n->type.rank; i++)
		axes.order[i] = i + 1;
	axes.order[w->n->type.rank - 1] = 1;
	w->space = space_new(e, &e->kernel->root->type, &axes, &all, &all);
	w->at.space = &w->space;
	w->channels = w->space.rank - 1;
	w->lanes = emit_vector_lanes(e, w->elem);
	if (w->weighted && dim_is_const(w->n->type.dim[1]) && dim_is_const(w->x->type.dim[1]) &&
	    w->x->type.dim[1]->value)
		w->multiplier = w->n->type.dim[1]->value / w->x->type.dim[1]->value;
	if (w->multiplier != 1)
		w->lanes = 1;
}

/* Input index along spatial dimension i for output index `out` and tap `tap`. */
static LLVMValueRef input_index(struct window *w, int32_t i, LLVMValueRef out, LLVMValueRef tap)
{
	struct emit *e = w->e;
	LLVMValueRef at = emit_mul(e, out, emit_i64(e, w->stride[i]));
	at = emit_add(e, at, emit_mul(e, tap, emit_i64(e, w->dilation[i])));
	LLVMValueRef before = emit_dim(e, w->before[i]);
	return dim_is(w->before[i], 0) ? at : LLVMBuildSub(e->b, at, before, "");
}

static LLVMValueRef combine(struct window *w, LLVMValueRef acc, LLVMValueRef v)
{
	struct node draft = {.op = w->n->op == OP_pool_max ? OP_max : OP_add, .type = w->n->type};
	LLVMValueRef in[2] = {acc, v};
	return scalar_emit(w->e, &draft, in);
}

static LLVMValueRef weighted(struct window *w, LLVMValueRef acc, LLVMValueRef v,
			     LLVMValueRef weight)
{
	struct emit *e = w->e;
	if (elem_is_float(w->elem))
		return math_fma(e, v, weight, acc);
	return LLVMBuildAdd(e->b, LLVMBuildMul(e->b, v, weight, ""), acc, "");
}

static LLVMValueRef load_weight(struct window *w, const LLVMValueRef *tap, int32_t j)
{
	struct emit *e = w->e;
	const struct node *weight = w->n->in[1];
	LLVMTypeRef type = emit_storage_type(e, w->elem);
	struct index x = w->at;
	x.mask = w->mask;
	x.lane = w->channels;
	x.lanes = w->lanes;
	LLVMValueRef c = emit_add(e, w->at.at[w->channels], emit_i64(e, (int64_t)j * w->lanes));
	if (e->kernel->panels->packed) { /* [taps][channels] */
		LLVMValueRef k = emit_i64(e, 0);
		for (int32_t i = 0; i < w->spatial; i++)
			k = emit_add(e, emit_mul(e, k, emit_dim(e, w->kernel[i])), tap[i]);
		LLVMValueRef at = emit_add(e, emit_mul(e, k, emit_i64(e, e->kernel->panels->width)),
					   c);
		return emit_load_at(
				e,
				(struct element){
						w->elem,
						emit_element(e, type,
							     emit_buffer(e,
									 e->kernel->panels->buffer),
							     at),
						NULL},
				&x);
	}
	const struct view *v = &e->p->view[weight->id];
	LLVMValueRef at = emit_add(e, emit_dim(e, v->offset),
				   emit_mul(e, c, emit_dim(e, v->stride[0])));
	for (int32_t i = 0; i < w->spatial; i++)
		at = emit_add(e, at, emit_mul(e, tap[i], emit_dim(e, v->stride[i + 2])));
	return emit_load_at(e,
			    (struct element){w->elem,
					     emit_element(e, type, emit_buffer(e, v->buffer), at),
					     v->stride[0]},
			    &x);
}

/* All neighbours and vectors at one tap. */
static void emit_tap(struct window *w, const LLVMValueRef *tap)
{
	struct emit *e = w->e;
	const struct view *v = &e->p->view[w->x->id];
	LLVMTypeRef type = emit_storage_type(e, w->elem),
		    vector = emit_lanes(emit_compute_type(e, w->elem), w->lanes);
	struct index x = w->at;
	x.mask = w->mask;
	x.lane = w->channels;
	x.lanes = w->lanes;
	LLVMValueRef weight[MAX_VECTORS];
	for (int32_t j = 0; j < w->nv && w->weighted; j++)
		weight[j] = load_weight(w, tap, j);
	LLVMValueRef offset = emit_add(e, emit_dim(e, v->offset),
				       emit_mul(e, w->at.at[0], emit_dim(e, v->stride[0])));
	for (int32_t i = 0; i < w->spatial; i++)
		offset = emit_add(e, offset,
				  emit_mul(e, input_index(w, i, w->at.at[i + 1], tap[i]),
					   emit_dim(e, v->stride[i + 2])));
	LLVMValueRef channel = w->at.at[w->channels];
	if (w->multiplier > 1)
		channel = LLVMBuildUDiv(e->b, channel, emit_i64(e, w->multiplier), "");
	offset = emit_add(e, offset, emit_mul(e, channel, emit_dim(e, v->stride[1])));
	LLVMValueRef base = emit_element(e, type, emit_buffer(e, v->buffer), offset);
	LLVMValueRef step = emit_mul(e, emit_dim(e, v->stride[w->spatial + 1]),
				     emit_i64(e, w->stride[w->spatial - 1]));
	for (int32_t i = 0; i < w->neighbours; i++)
		for (int32_t j = 0; j < w->nv; j++) {
			LLVMValueRef along = emit_add(e, emit_mul(e, step, emit_i64(e, i)),
						      emit_i64(e, (int64_t)j * w->lanes));
			LLVMValueRef value = emit_load_at(
					e,
					(struct element){w->elem,
							 emit_element(e, type, base, along), NULL},
					&x);
			LLVMValueRef *slot = &w->acc[i * w->nv + j],
				     acc = LLVMBuildLoad2(e->b, vector, *slot, "");
			acc = w->weighted ? weighted(w, acc, value, weight[j])
					  : combine(w, acc, value);
			LLVMBuildStore(e->b, acc, *slot);
		}
}

static LLVMValueRef inside(struct window *w, int32_t i, LLVMValueRef tap)
{
	struct emit *e = w->e;
	LLVMValueRef at = input_index(w, i, w->at.at[i + 1], tap);
	return LLVMBuildICmp(e->b, LLVMIntULT, at, emit_dim(e, w->x->type.dim[i + 2]), "");
}

static LLVMValueRef start_value(struct window *w)
{
	struct emit *e = w->e;
	LLVMTypeRef type = emit_compute_type(e, w->elem);
	if (w->n->op != OP_pool_max)
		return LLVMConstNull(type);
	if (elem_is_float(w->elem))
		return LLVMConstReal(type, -INFINITY);
	bool is_signed = elem_is_signed(w->elem);
	return LLVMConstInt(type, is_signed ? UINT64_C(1) << (LLVMGetIntTypeWidth(type) - 1) : 0,
			    0);
}

/* The positions at w->at and its neighbours, from the first tap to the stored result. */
static void emit_position(struct window *w)
{
	struct emit *e = w->e;
	LLVMTypeRef vector = emit_lanes(emit_compute_type(e, w->elem), w->lanes);
	struct loop loop[MAX_SPATIAL];
	struct when when[MAX_SPATIAL];
	LLVMValueRef tap[MAX_SPATIAL];
	for (int32_t i = 0; i < w->neighbours * w->nv; i++) {
		w->acc[i] = emit_slot(e, vector);
		LLVMBuildStore(e->b, emit_splat(e, start_value(w), w->lanes), w->acc[i]);
	}
	for (int32_t i = 0; i < w->spatial; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, w->kernel[i]), emit_i64(e, 1));
		tap[i] = loop[i].i;
		if (!w->weighted)
			when_begin(e, &when[i], inside(w, i, tap[i]));
	}
	emit_tap(w, tap);
	for (int32_t i = w->spatial; i-- > 0;) {
		if (!w->weighted)
			when_end(e, &when[i]);
		loop_end(e, &loop[i]);
	}
	struct index x = w->at;
	for (int32_t i = 0; i < w->neighbours; i++) {
		x.at[w->channels - 1] = emit_add(e, w->at.at[w->channels - 1], emit_i64(e, i));
		for (int32_t j = 0; j < w->nv; j++) {
			x.at[w->channels] = emit_add(e, w->at.at[w->channels],
						     emit_i64(e, (int64_t)j * w->lanes));
			x.lane = w->lanes > 1 ? w->channels : -1;
			x.lanes = w->lanes;
			x.mask = w->mask;
			LLVMValueRef v = LLVMBuildLoad2(e->b, vector, w->acc[i * w->nv + j], "");
			emit_finish(e, &x, emit_round(e, w->elem, v));
		}
	}
}

/* Positions along the last spatial dimension: groups of neighbours, then single ones. */
static void emit_line(struct window *w)
{
	struct emit *e = w->e;
	int32_t along = w->channels - 1, group = w->weighted ? MAX_NEIGHBOURS : 1;
	LLVMValueRef n = emit_dim(e, w->space.extent[along]), whole = emit_i64(e, 0);
	struct loop loop;
	if (group > 1) {
		whole = LLVMBuildAnd(e->b, n, emit_i64(e, -(int64_t)group), "");
		loop_begin(e, &loop, emit_i64(e, 0), whole, emit_i64(e, group));
		w->at.at[along] = loop.i;
		w->neighbours = group;
		emit_position(w);
		loop_end(e, &loop);
	}
	w->neighbours = 1;
	loop_begin(e, &loop, whole, n, emit_i64(e, 1));
	w->at.at[along] = loop.i;
	emit_position(w);
	loop_end(e, &loop);
}

static void emit_channels(struct window *w)
{
	struct emit *e = w->e;
	struct loop loop;
	int32_t most = w->multiplier != 1 ? 1 : w->weighted ? 2 : MAX_VECTORS;
	LLVMValueRef n = emit_dim(e, w->space.extent[w->channels]);
	int64_t block = (int64_t)most * w->lanes;
	LLVMValueRef whole = LLVMBuildAnd(e->b, n, emit_i64(e, -block), "");
	w->nv = most;
	loop_begin(e, &loop, emit_i64(e, 0), whole, emit_i64(e, block));
	w->at.at[w->channels] = loop.i;
	emit_line(w);
	loop_end(e, &loop);
	const struct dim *c = w->space.extent[w->channels];
	if (dim_is_const(c) && c->value % block == 0)
		return;
	w->nv = 1;
	loop_begin(e, &loop, whole, n, emit_i64(e, w->lanes));
	w->at.at[w->channels] = loop.i;
	if (w->lanes > 1) {
		LLVMValueRef left = LLVMBuildSub(e->b, n, loop.i, "");
		w->mask = LLVMBuildICmp(e->b, LLVMIntSLT, emit_lane_numbers(e, w->lanes),
					emit_splat(e, left, w->lanes), "");
	}
	emit_line(w);
	loop_end(e, &loop);
	w->mask = NULL;
}

void kernel_window(struct emit *e, struct schedule *s)
{
	struct window w;
	struct rows rows;
	describe(&w, e);
	if (w.multiplier > 1) { /* rare: one channel at a time */
		w.lanes = 1;
	}
	const struct dim *work = dim_mul(e->context->dims, w.space.extent[w.channels],
					 w.space.extent[w.channels - 1]);
	for (int32_t i = 0; i < w.spatial; i++)
		work = dim_mul(e->context->dims, work, w.kernel[i]);
	rows = (struct rows){.n_outer = w.channels - 1, .work = work};
	rows_begin(e, &rows, &w.at, s);
	emit_channels(&w);
	rows_end(e, &rows);
}
