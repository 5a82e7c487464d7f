/* Values of the expression between buffers and root, at one index. */
#include "emit.h"

#include <stddef.h>
#include <string.h>

#include "module.h"

void emit_values_begin(struct emit *e, const struct node *anchor, LLVMValueRef value)
{
	e->known.n = 0;
	if (!anchor)
		return;
	e->known.node[0] = anchor;
	e->known.value[0] = value;
	e->known.n = 1;
}

static LLVMValueRef remember(struct emit *e, const struct node *n, LLVMValueRef value)
{
	e->known.node[e->known.n] = n;
	e->known.value[e->known.n++] = value;
	return value;
}

/* The index along a logical axis of the shape that the loops run over; i64, lanes if they lie along
 * it. */
static LLVMValueRef axis_index(struct emit *e, const struct index *x, int32_t axis)
{
	for (int32_t i = 0; i < x->space->rank; i++)
		if (x->space->fast[i] == axis) {
			if (x->lane != i || x->lanes == 1)
				return x->at[i];
			return LLVMBuildAdd(e->b, emit_splat(e, x->at[i], x->lanes),
					    emit_lane_numbers(e, x->lanes), "");
		}
	return emit_i64(e, 0);
}

static LLVMValueRef value_iota(struct emit *e, const struct node *n, const struct index *x)
{
	LLVMValueRef i = emit_splat(e, axis_index(e, x, n->attr.iota->axis), 1);
	if (emit_lane_count(i) != x->lanes)
		i = emit_splat(e, i, x->lanes);
	return emit_cast(e, i, NORMC_I64, n->type.elem, false);
}

static LLVMValueRef value_dims(struct emit *e, const struct node *n, const struct index *x)
{
	const struct attr_dims *a = n->attr.dims;
	LLVMValueRef v = emit_dim(e, a->value[0]);
	if (a->n == 1)
		return emit_splat(e, v, x->lanes);
	LLVMValueRef i = axis_index(e, x, 0);
	for (uint32_t k = 1; k < a->n; k++) {
		LLVMValueRef here = LLVMBuildICmp(e->b, LLVMIntEQ, i,
						  emit_splat(e, emit_i64(e, k), emit_lane_count(i)),
						  "");
		v = LLVMBuildSelect(e->b, here,
				    emit_splat(e, emit_dim(e, a->value[k]), emit_lane_count(i)),
				    emit_lane_count(v) == emit_lane_count(i)
						    ? v
						    : emit_splat(e, v, emit_lane_count(i)),
				    "");
	}
	return v;
}

/* An index from data: negative ones count from the end; one that is still outside is reported and
 * replaced by 0. */
static LLVMValueRef checked_index(struct emit *e, LLVMValueRef i, const struct dim *extent)
{
	int32_t lanes = emit_lane_count(i);
	LLVMValueRef n = emit_splat(e, emit_dim(e, extent), lanes),
		     zero = LLVMConstNull(LLVMTypeOf(i));
	LLVMValueRef from_end = LLVMBuildAdd(e->b, i, n, "");
	i = LLVMBuildSelect(e->b, LLVMBuildICmp(e->b, LLVMIntSLT, i, zero, ""), from_end, i, "");
	LLVMValueRef bad = LLVMBuildICmp(e->b, LLVMIntUGE, i, n, "");
	LLVMValueRef any = bad;
	if (lanes > 1)
		any = emit_intrinsic(
				e,
				(struct intrinsic){"llvm.vector.reduce.or", {LLVMTypeOf(bad)}, 1},
				&bad, 1);
	struct when w;
	when_begin(e, &w, any);
	emit_fail(e, LLVMConstInt(e->t.i32, NORMC_INVALID, 0));
	when_end(e, &w);
	return LLVMBuildSelect(e->b, bad, zero, i, "");
}

/* Where gathered elements are. */
struct gathered {
	const struct node *data;
	LLVMValueRef base, offset; /* the offset may differ from lane to lane */
};

/* If the gathered axis has no elements every index is bad, and something readable takes the data's
 * place: the frame,
 * which is larger than a vector. */
static void avoid_nothing(struct emit *e, struct gathered *g, int32_t axis)
{
	const struct dim *extent = g->data->type.dim[axis];
	if (dim_lower_bound(extent) > 0)
		return;
	LLVMValueRef none = LLVMBuildICmp(e->b, LLVMIntEQ, emit_dim(e, extent), emit_i64(e, 0), "");
	g->base = LLVMBuildSelect(e->b, none, e->frame, g->base, "");
	g->offset = LLVMBuildSelect(e->b, none, LLVMConstNull(LLVMTypeOf(g->offset)), g->offset,
				    "");
}

static LLVMValueRef load_gathered(struct emit *e, const struct gathered *g, const struct index *x)
{
	enum normc_elem elem = e->p->buffers[e->p->view[g->data->id].buffer].elem;
	LLVMTypeRef type = emit_storage_type(e, elem);
	struct index scalar = {.space = x->space, .lane = -1, .lanes = 1};
	int32_t lanes = emit_lane_count(g->offset);
	struct element from = {elem, NULL, NULL};
	if (lanes == 1) {
		from.address = emit_element(e, type, g->base, g->offset);
		return emit_load_at(e, from, &scalar);
	}
	LLVMValueRef all = LLVMGetUndef(emit_lanes(emit_compute_type(e, elem), lanes));
	for (int32_t i = 0; i < lanes; i++) {
		LLVMValueRef at = LLVMConstInt(e->t.i32, (unsigned)i, 0);
		LLVMValueRef one = LLVMBuildExtractElement(e->b, g->offset, at, "");
		from.address = emit_element(e, type, g->base, one);
		all = LLVMBuildInsertElement(e->b, all, emit_load_at(e, from, &scalar), at, "");
	}
	return all;
}

static LLVMValueRef add_term(struct emit *e, LLVMValueRef sum, LLVMValueRef i,
			     const struct dim *stride)
{
	int32_t lanes = emit_lane_count(i) > emit_lane_count(sum) ? emit_lane_count(i)
								  : emit_lane_count(sum);
	LLVMValueRef step = emit_dim(e, stride);
	LLVMValueRef term =
			emit_lane_count(i) == 1
					? emit_mul(e, i, step)
					: LLVMBuildMul(e->b, i,
						       emit_splat(e, step, emit_lane_count(i)), "");
	if (emit_lane_count(term) != lanes)
		term = emit_splat(e, term, lanes);
	if (emit_lane_count(sum) != lanes)
		sum = emit_splat(e, sum, lanes);
	return lanes == 1 ? emit_add(e, sum, term) : LLVMBuildAdd(e->b, sum, term, "");
}

/* The index tensor's value for the result's index x, which has the index's dimensions from `axis`
 * on; i64. */
static LLVMValueRef gather_index(struct emit *e, const struct node *index, int32_t axis,
				 const struct index *x)
{
	const struct view *v = &e->p->view[index->id];
	struct gathered g = {index, emit_buffer(e, v->buffer), emit_dim(e, v->offset)};
	for (int32_t i = 0; i < index->type.rank; i++)
		g.offset = add_term(e, g.offset, axis_index(e, x, axis + i), v->stride[i]);
	LLVMValueRef value = load_gathered(e, &g, x);
	return index->type.elem == NORMC_I64
			       ? value
			       : emit_cast(e, value, index->type.elem, NORMC_I64, false);
}

/* data's shape with the axis replaced by the index's shape */
static LLVMValueRef value_gather(struct emit *e, const struct node *n, const struct index *x)
{
	const struct node *data = n->in[0];
	int32_t axis = n->attr.axis->axis, extra = n->in[1]->type.rank;
	const struct view *v = &e->p->view[data->id];
	struct gathered g = {data, emit_buffer(e, v->buffer), emit_dim(e, v->offset)};
	bool along = false; /* lanes lie along another dimension of data, at stride 1 */
	for (int32_t i = 0; i < data->type.rank; i++) {
		int32_t from = i < axis ? i : i + extra - 1;
		if (i == axis)
			continue;
		bool here = x->lanes > 1 && x->lane >= 0 && x->space->fast[x->lane] == from;
		along = along || (here && dim_is(v->stride[i], 1));
		LLVMValueRef at = here && along ? x->at[x->lane] : axis_index(e, x, from);
		g.offset = add_term(e, g.offset, at, v->stride[i]);
	}
	LLVMValueRef row =
			checked_index(e, gather_index(e, n->in[1], axis, x), data->type.dim[axis]);
	g.offset = add_term(e, g.offset, row, v->stride[axis]);
	avoid_nothing(e, &g, axis);
	if (along && emit_lane_count(g.offset) == 1) {
		enum normc_elem elem = e->p->buffers[v->buffer].elem;
		LLVMValueRef address =
				emit_element(e, emit_storage_type(e, elem), g.base, g.offset);
		return emit_load_at(e, (struct element){elem, address, NULL}, x);
	}
	LLVMValueRef value = load_gathered(e, &g, x);
	return emit_lane_count(g.offset) == x->lanes ? value : emit_splat(e, value, x->lanes);
}

static LLVMValueRef value_gather_elements(struct emit *e, const struct node *n,
					  const struct index *x)
{
	const struct node *data = n->in[0];
	const struct view *v = &e->p->view[data->id];
	int32_t axis = n->attr.axis->axis;
	LLVMValueRef chosen = emit_value(e, n->in[1], x);
	if (n->in[1]->type.elem != NORMC_I64)
		chosen = emit_cast(e, chosen, n->in[1]->type.elem, NORMC_I64, false);
	struct gathered g = {data, emit_buffer(e, v->buffer), emit_dim(e, v->offset)};
	for (int32_t i = 0; i < data->type.rank; i++)
		if (i != axis)
			g.offset = add_term(e, g.offset, axis_index(e, x, i), v->stride[i]);
	g.offset = add_term(e, g.offset, checked_index(e, chosen, data->type.dim[axis]),
			    v->stride[axis]);
	avoid_nothing(e, &g, axis);
	return load_gathered(e, &g, x);
}

LLVMValueRef emit_value(struct emit *e, const struct node *n, const struct index *x)
{
	LLVMValueRef in[8];
	for (uint32_t i = 0; i < e->known.n; i++)
		if (e->known.node[i] == n)
			return e->known.value[i];
	bool fused = e->p->group[n->id] == e->kernel_number;
	if (!fused)
		return remember(e, n, emit_load(e, n, x));
	if (n->op == OP_iota)
		return remember(e, n, value_iota(e, n, x));
	if (n->op == OP_dims)
		return remember(e, n, value_dims(e, n, x));
	if (n->op == OP_gather)
		return remember(e, n, value_gather(e, n, x));
	if (n->op == OP_gather_elements)
		return remember(e, n, value_gather_elements(e, n, x));
	if (op_info[n->op].kind != KIND_map || n->n_in > 8) {
		bug(e->context->diag, n->loc, "no value of a %s", op_info[n->op].name);
		return LLVMConstNull(emit_lanes(emit_compute_type(e, n->type.elem), x->lanes));
	}
	for (uint32_t i = 0; i < n->n_in; i++)
		in[i] = emit_value(e, n->in[i], x);
	return remember(e, n, emit_round(e, n->type.elem, scalar_emit(e, n, in)));
}

void emit_finish(struct emit *e, const struct index *x, LLVMValueRef anchor_value)
{
	const struct node *root = e->kernel->root;
	emit_values_begin(e, e->kernel->anchor, anchor_value);
	emit_store(e, root, x, emit_value(e, root, x));
}
