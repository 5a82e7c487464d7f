/* Matrix products and convolutions: one kernel.
 *
 * The result has columns (matmul: the last dimension; convolution: the channels) and rows (all
 * else).  A tile of `mr` rows and `nv` vectors of columns is kept in registers while k runs:
 *
 *	acc[i][j] += A[row i, k] * B[k, vector j]
 *
 * A is read in place, an element at a time, through any strides: a convolution in channels-last
 * order is the same thing with k running over taps and channels, since its input is padded already.
 * B lies in panels of nv vectors, packed at compile time if it is constant; otherwise it is read in
 * place (unit stride) or packed by the task. (Goto and van de Geijn, "Anatomy of High-Performance
 * Matrix Multiplication", 2008.)
 *
 * A task is one panel and a chunk of rows; the cut depends on shapes alone.
 */
#include "contract.h"

/* How the work is cut into tasks, and which piece this task is. */
struct cut {
	int64_t chunk; /* units of a task */
	const struct dim *chunks, *panels;
	LLVMValueRef part, panel; /* chunk and panel of the task */
};

/* ---- tiles ---- */

/* Of row i of a tile from its first. */
static LLVMValueRef row_offset(struct contraction *c, int32_t i)
{
	struct emit *e = c->e;
	LLVMValueRef offset =
			emit_mul(e, contraction_step(c, c->unit), emit_i64(e, i / c->unit_rows));
	if (c->unit == c->rows)
		return offset;
	return emit_add(e, offset,
			emit_mul(e, contraction_step(c, c->rows), emit_i64(e, i % c->unit_rows)));
}

static LLVMValueRef multiply_add(struct contraction *c, LLVMValueRef a, LLVMValueRef b,
				 LLVMValueRef acc)
{
	if (elem_is_float(c->elem))
		return math_fma(c->e, a, b, acc);
	return LLVMBuildAdd(c->e->b, LLVMBuildMul(c->e->b, a, b, ""), acc, "");
}

static void emit_step(struct contraction *c, struct tile *t, LLVMValueRef a, LLVMValueRef b)
{
	struct emit *e = c->e;
	struct index scalar = {.space = &c->space, .lane = -1, .lanes = 1};
	LLVMTypeRef type = emit_storage_type(e, c->elem),
		    vector = emit_lanes(emit_compute_type(e, c->elem), c->lanes);
	LLVMValueRef column[8];
	for (int32_t j = 0; j < t->nv; j++)
		column[j] = panel_load(c, t, b, j);
	if (c->from_memory)
		panel_prefetch(c, t, b);
	for (int32_t i = 0; i < t->mr; i++) {
		LLVMValueRef address = emit_element(e, type, a, row_offset(c, i));
		LLVMValueRef one = emit_splat(
				e,
				emit_load_at(e, (struct element){c->elem, address, NULL}, &scalar),
				c->lanes);
		for (int32_t j = 0; j < t->nv; j++) {
			LLVMValueRef slot = t->acc[i * t->nv + j];
			LLVMValueRef acc = LLVMBuildLoad2(e->b, vector, slot, "");
			LLVMBuildStore(e->b, multiply_add(c, one, column[j], acc), slot);
		}
	}
}

/* All k for one tile. */
static void emit_products(struct contraction *c, struct tile *t)
{
	struct emit *e = c->e;
	LLVMTypeRef type = emit_storage_type(e, c->elem),
		    vector = emit_lanes(emit_compute_type(e, c->elem), c->lanes);
	struct loop loop[MAX_CONTRACTED];
	LLVMValueRef a = emit_element(e, type, c->a_base,
				      emit_mul(e, t->first, contraction_step(c, c->unit))),
		     k = emit_i64(e, 0);
	for (int32_t i = 0; i < t->mr * t->nv; i++) {
		t->acc[i] = emit_slot(e, vector);
		LLVMBuildStore(e->b, LLVMConstNull(vector), t->acc[i]);
	}
	for (int32_t i = 0; i < c->n_levels; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, c->level[i].extent),
			   emit_i64(e, 1));
		a = emit_element(e, type, a,
				 emit_mul(e, loop[i].i, emit_dim(e, c->level[i].stride)));
		k = emit_add(e, emit_mul(e, k, emit_dim(e, c->level[i].extent)), loop[i].i);
	}
	emit_step(c, t, a, emit_element(e, type, c->b_base, emit_mul(e, k, c->b_step)));
	for (int32_t i = c->n_levels; i-- > 0;)
		loop_end(e, &loop[i]);
}

/* Epilogue of row i of the tile. */
static void finish_row(struct contraction *c, const struct tile *t, int32_t i)
{
	struct emit *e = c->e;
	LLVMTypeRef vector = emit_lanes(emit_compute_type(e, c->elem), c->lanes);
	struct index x = c->x;
	if (c->unit >= 0) {
		x.at[c->unit] = emit_add(e, t->first, emit_i64(e, i / c->unit_rows));
		if (c->unit != c->rows)
			x.at[c->rows] = emit_i64(e, i % c->unit_rows);
	}
	LLVMValueRef group_start = emit_mul(e, c->group, emit_dim(e, c->n_columns));
	LLVMValueRef first = emit_add(e, group_start, c->first_column);
	x.lane = c->columns;
	x.lanes = c->lanes;
	for (int32_t j = 0; j < t->nv; j++) {
		x.at[c->columns] = emit_add(e, first, emit_i64(e, (int64_t)j * c->lanes));
		x.mask = t->mask[j];
		LLVMValueRef v = LLVMBuildLoad2(e->b, vector, t->acc[i * t->nv + j], "");
		emit_finish(e, &x, emit_round(e, c->elem, v));
	}
}

static void emit_tile(struct contraction *c, struct tile *t, LLVMValueRef first)
{
	t->first = first;
	emit_products(c, t);
	for (int32_t i = 0; i < t->mr; i++)
		finish_row(c, t, i);
}

/* Units [from, to) with full tiles, then what is left: `left_over` units, or -1 for any number, one
 * at a time. */
static void emit_rows(struct contraction *c, struct tile *t, LLVMValueRef from, LLVMValueRef to,
		      int64_t left_over)
{
	struct emit *e = c->e;
	struct loop loop;
	LLVMValueRef count = LLVMBuildSub(e->b, to, from, ""), units = emit_i64(e, c->units);
	LLVMValueRef tiles = LLVMBuildUDiv(e->b, count, units, "");
	LLVMValueRef whole = emit_add(e, from, emit_mul(e, tiles, units));
	t->mr = c->units * c->unit_rows;
	loop_begin(e, &loop, from, whole, units);
	emit_tile(c, t, loop.i);
	loop_end(e, &loop);
	if (!left_over)
		return;
	int32_t rest = left_over > 0 ? (int32_t)left_over : 1;
	t->mr = rest * c->unit_rows;
	loop_begin(e, &loop, whole, to, emit_i64(e, rest));
	emit_tile(c, t, loop.i);
	loop_end(e, &loop);
}

static LLVMValueRef mask_below(struct contraction *c, LLVMValueRef count, int32_t j)
{
	struct emit *e = c->e;
	LLVMValueRef lane = LLVMBuildAdd(
			e->b, emit_lane_numbers(e, c->lanes),
			emit_splat(e, emit_i64(e, (int64_t)j * c->lanes), c->lanes), "");
	return LLVMBuildICmp(e->b, LLVMIntSLT, lane, emit_splat(e, count, c->lanes), "");
}

/* Both kinds of panel: full ones, and the last if it is partial. */
static void emit_panel(struct contraction *c, LLVMValueRef from, LLVMValueRef to, int64_t left_over)
{
	struct emit *e = c->e;
	struct tile t = {.nv = c->width / c->lanes};
	bool fixed = dim_is_const(c->n_columns);
	int64_t rest = fixed ? c->n_columns->value % c->width : -1;
	if (!rest) {
		emit_rows(c, &t, from, to, left_over);
		return;
	}
	LLVMValueRef count = LLVMBuildSub(e->b, emit_dim(e, c->n_columns), c->first_column, "");
	LLVMValueRef full = LLVMBuildICmp(e->b, LLVMIntSGE, count, emit_i64(e, c->width), "");
	struct when w;
	if (!fixed || c->n_columns->value >= c->width) {
		when_begin(e, &w, full);
		emit_rows(c, &t, from, to, left_over);
		when_end(e, &w);
	}
	when_begin(e, &w, LLVMBuildNot(e->b, full, ""));
	if (fixed)
		t.nv = (int32_t)((rest + c->lanes - 1) / c->lanes);
	for (int32_t j = 0; j < t.nv; j++)
		if (!fixed || (j + 1) * c->lanes > rest)
			t.mask[j] = mask_below(c, fixed ? emit_i64(e, rest) : count, j);
	emit_rows(c, &t, from, to, left_over);
	when_end(e, &w);
}

/* Units of a chunk: a multiple of a tile's; enough work for a task, but A's chunk stays in the
 * second-level cache. */
static int64_t chunk_units(const struct contraction *c)
{
	const int64_t wanted = 4 << 20, cache = 1 << 20;
	int64_t k = dim_is_const(c->k) && c->k->value > 0 ? c->k->value : 256;
	int64_t rows = wanted / (2 * k * c->width) + 1;
	if (rows < 512 && rows * k * 4 < cache)
		rows = cache / (k * 4) < 512 ? cache / (k * 4) : 512;
	int64_t tile = (int64_t)c->units * c->unit_rows;
	return (rows + tile - 1) / tile * c->units;
}

/* Whether a chunk of A is larger than a panel of B: then neighbouring tasks share the chunk,
 * otherwise the panel, so that the larger one stays in the second-level cache. */
static bool chunk_stays(const struct contraction *c, int64_t chunk)
{
	if (c->n->op == OP_conv && c->n_levels > 1)
		return false; /* rows overlap: a chunk is smaller than it seems */
	return chunk * c->unit_rows > 2 * c->width;
}

static LLVMValueRef take(struct emit *e, LLVMValueRef *task, const struct dim *extent)
{
	LLVMValueRef n = emit_dim(e, extent), digit = LLVMBuildURem(e->b, *task, n, "");
	*task = LLVMBuildUDiv(e->b, *task, n, "");
	return digit;
}

/* Splits the task's number into panel, chunk, group and the indices of the outer dimensions that no
 * tile covers. */
static void split_task(struct contraction *c, struct cut *cut, struct schedule *s)
{
	struct emit *e = c->e;
	struct dims *dims = e->context->dims;
	LLVMValueRef task = e->task;
	bool panels_first = chunk_stays(c, cut->chunk);
	s->tasks = dim_mul(dims, dim_mul(dims, cut->panels, cut->chunks),
			   contraction_number(c, c->groups));
	if (panels_first)
		cut->panel = take(e, &task, cut->panels);
	for (int32_t i = c->space.n_outer; i-- > 0;) {
		c->x.at[i] = emit_i64(e, 0);
		if (contraction_loops(c, i))
			continue;
		c->x.at[i] = take(e, &task, c->space.extent[i]);
		s->tasks = dim_mul(dims, s->tasks, c->space.extent[i]);
	}
	cut->part = take(e, &task, cut->chunks);
	if (!panels_first)
		cut->panel = take(e, &task, cut->panels);
	c->group = task;
	c->first_column = emit_mul(e, cut->panel, emit_i64(e, c->width));
}

/* Address of A's first row of the task, without what tiles add. */
static LLVMValueRef find_rows(struct contraction *c)
{
	struct emit *e = c->e;
	const struct view *v = &e->p->view[c->a->id];
	LLVMValueRef offset = emit_dim(e, v->offset);
	for (int32_t i = 0; i < c->space.n_outer; i++)
		if (!contraction_loops(c, i))
			offset = emit_add(e, offset,
					  emit_mul(e, c->x.at[i], contraction_step(c, i)));
	if (c->groups > 1) {
		const struct dim *per = dim_mul(e->context->dims, c->b->type.dim[1], v->stride[1]);
		offset = emit_add(e, offset, emit_mul(e, c->group, emit_dim(e, per)));
	}
	return emit_element(e, emit_storage_type(e, c->elem), emit_buffer(e, v->buffer), offset);
}

void kernel_contract(struct emit *e, struct schedule *s)
{
	struct contraction c;
	struct dims *dims = e->context->dims;
	contraction_describe(&c, e);
	const struct dim *units = c.unit < 0 ? contraction_number(&c, 1) : c.space.extent[c.unit];
	struct cut cut = {.chunk = chunk_units(&c)};
	cut.chunks = dim_ceil_div(dims, units, contraction_number(&c, cut.chunk));
	cut.panels = dim_ceil_div(dims, c.n_columns, contraction_number(&c, c.width));
	if (c.pack_here)
		s->scratch = dim_mul(
				dims, c.k,
				contraction_number(&c, c.width * (int64_t)normc_elem_size(c.elem)));
	c.x.space = &c.space;
	split_task(&c, &cut, s);
	panel_find(&c, cut.panel);
	c.a_base = find_rows(&c);
	LLVMValueRef chunk = emit_i64(e, cut.chunk), from = emit_mul(e, cut.part, chunk);
	LLVMValueRef to = emit_min(e, emit_add(e, from, chunk), emit_dim(e, units));
	emit_panel(&c, from, to, dim_is_const(units) ? units->value % c.units : -1);
}
