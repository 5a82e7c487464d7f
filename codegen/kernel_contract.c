/* Matrix products and convolutions: one kernel.
 *
 * The result has columns (matmul: the last dimension; convolution: the channels) and rows (all
 *else).  A tile of `mr` rows and `nv` vectors of columns is kept in registers while k runs:
 *
 *	acc[i][j] += A[row i, k] * B[k, vector j]
 *
 * A is read in place, an element at a time, through any strides: a convolution in channels-last
 *order is the same thing with k running over taps and channels, since its input is padded already.
 *B lies in panels of nv vectors, packed at compile time if it is constant; otherwise it is read in
 *place (unit stride) or packed by the task. (Goto and van de Geijn, "Anatomy of High-Performance
 *Matrix Multiplication", 2008.)
 *
 * A task is one panel and a chunk of rows; the cut depends on shapes alone.
 */
#include <string.h>

#include "emit.h"

/* How far ahead of the multiply-adds a panel is asked for. */
enum { PREFETCH_BYTES = 8192 };

struct level {				   /* one loop of k */
	const struct dim *extent, *stride; /* of A, in elements */
};

struct contraction {
	struct emit *e;
	const struct node *n, *a, *b;
	enum normc_elem elem;
	struct space space;	  /* the root's; the columns are the last dimension */
	struct view row_a, row_b; /* strides of A and B along the root's axes */
	int32_t columns;	  /* loop dimension of the columns */
	int32_t rows;		  /* loop dimension of the rows, -1: one row only */
	int32_t unit;		  /* loop dimension that tiles run along: rows, or lines of rows */
	int32_t unit_rows, units; /* rows of one unit; units of a tile */
	int32_t n_levels;
	struct level level[MAX_CONTRACTED];
	const struct dim *k, *n_columns; /* of one group */
	int64_t groups;
	int32_t lanes, width;
	bool packed; /* at compile time */
	bool pack_here;
	bool from_memory; /* B is large and every panel is used for few rows only */
	/* of the task */
	struct index x;
	LLVMValueRef group, first_column, a_base, b_base, b_step;
};

/* One tile: mr rows, nv vectors, the last of them masked if it is partial. */
struct tile {
	int32_t mr, nv;
	LLVMValueRef mask[8]; /* by vector, NULL: full */
	LLVMValueRef acc[32]; /* slots */
	LLVMValueRef first;   /* unit */
};

static const struct dim *number(const struct contraction *c, int64_t x)
{
	return dim_const(c->e->context->dims, x);
}

static void describe_matmul(struct contraction *c)
{
	int32_t rank = c->n->type.rank;
	const struct view *va = &c->e->p->view[c->a->id];
	c->row_a = *va;
	c->row_a.stride[rank - 1] = number(c, 0);
	if (c->packed) {
		bool batched = rank == 3 && c->b->type.rank == 3;
		memset(c->row_b.stride, 0, sizeof c->row_b.stride);
		for (int32_t i = 0; i < rank; i++)
			c->row_b.stride[i] = number(c, 0);
		for (uint32_t i = 0; i < c->e->p->n_weights && batched; i++) {
			const struct buffer *b = &c->e->p->buffers[c->e->kernel->panels->buffer];
			const struct pack *pack = c->e->p->weights[b->index].pack;
			if (pack->batch > 1)
				c->row_b.stride[0] = number(c, b->count->value / pack->batch);
			break;
		}
	} else {
		c->row_b = c->e->p->view[c->b->id];
		c->row_b.stride[rank - 2] = number(c, 0);
	}
	c->n_levels = 1;
	c->level[0] = (struct level){c->a->type.dim[rank - 1], va->stride[rank - 1]};
	c->n_columns = c->n->type.dim[rank - 1];
	c->groups = 1;
}

static void describe_conv(struct contraction *c)
{
	struct dims *dims = c->e->context->dims;
	const struct attr_conv *attr = c->n->attr.conv;
	const struct view *va = &c->e->p->view[c->a->id];
	c->row_a = *va;
	c->row_a.stride[1] = number(c, 0);
	for (int32_t i = 0; i < c->n->type.rank; i++)
		c->row_b.stride[i] = number(c, 0);
	for (int32_t i = 0; i < attr->spatial; i++) {
		c->row_a.stride[i + 2] =
				dim_mul(dims, va->stride[i + 2], number(c, attr->stride[i]));
		c->level[c->n_levels++] = (struct level){
				c->b->type.dim[i + 2],
				dim_mul(dims, va->stride[i + 2], number(c, attr->dilation[i]))};
	}
	c->level[c->n_levels++] = (struct level){c->b->type.dim[1], va->stride[1]};
	c->groups = attr->groups;
	c->n_columns = dim_div(dims, c->n->type.dim[1], number(c, attr->groups));
}

/* Loops of k that run evenly over A become one. */
static void merge_levels(struct contraction *c)
{
	struct dims *dims = c->e->context->dims;
	int32_t kept = 0;
	c->k = number(c, 1);
	for (int32_t i = 0; i < c->n_levels; i++) {
		struct level next = c->level[i];
		c->k = dim_mul(dims, c->k, next.extent);
		if (dim_is(next.extent, 1))
			continue;
		struct level *last = kept ? &c->level[kept - 1] : NULL;
		if (last && last->stride == dim_mul(dims, next.stride, next.extent))
			*last = (struct level){dim_mul(dims, last->extent, next.extent),
					       next.stride};
		else
			c->level[kept++] = next;
	}
	if (!kept)
		c->level[kept++] = (struct level){number(c, 1), number(c, 1)};
	c->n_levels = kept;
}

/* The loops over the root: row dimension last but one, columns last. */
static void describe_space(struct contraction *c)
{
	const struct node *root = c->e->kernel->root;
	int32_t rank = root->type.rank, column_axis = c->n->op == OP_conv ? 1 : rank - 1;
	struct axes axes = {.inner = 1u << column_axis};
	struct accesses all = {0};
	accesses_of(c->e, root, c->n, &all);
	accesses_add(c->e, &all, &c->e->p->view[root->id]);
	accesses_add(c->e, &all, &c->row_a);
	accesses_add(c->e, &all, &c->row_b);
	view_order(&root->type, &c->e->p->view[root->id], axes.order);
	if (c->n->op != OP_conv) { /* rows just before columns */
		int32_t kept = 0;
		for (int32_t i = 0; i < rank; i++)
			if (axes.order[i] < rank - 2)
				axes.order[kept++] = axes.order[i];
		axes.order[kept++] = rank - 2;
		axes.order[kept] = rank - 1;
	}
	c->space = space_new(c->e, &root->type, &axes, &all, &all);
	if (c->space.rank == c->space.n_outer) { /* a single column */
		c->space.extent[c->space.rank] = root->type.dim[column_axis];
		c->space.fast[c->space.rank++] = column_axis;
	}
	c->columns = c->space.rank - 1;
	c->rows = c->space.n_outer - 1;
	if (c->rows >= 0 && !dim_is(c->row_b.stride[c->space.fast[c->rows]], 0))
		c->rows = -1; /* B differs from row to row */
}

/* Tiles run along the rows; where these are few, along the dimension before them, whole lines of
 * rows at a time. */
static void describe_units(struct contraction *c)
{
	int32_t mr = c->e->kernel->panels->rows;
	c->unit = c->rows;
	c->unit_rows = 1;
	c->units = c->rows < 0 ? 1 : mr;
	if (c->rows < 1)
		return;
	const struct dim *line = c->space.extent[c->rows],
			 *before = c->row_b.stride[c->space.fast[c->rows - 1]];
	if (!dim_is_const(line) || !dim_is(before, 0) || line->value < 1 || line->value * 2 > mr)
		return;
	c->unit = c->rows - 1;
	c->unit_rows = (int32_t)line->value;
	c->units = mr / c->unit_rows;
}

/* Whether B comes from memory rather than from a cache, and its first use is a good part of all. */
static bool streams(const struct contraction *c)
{
	enum { CACHED_BYTES = 1 << 20, FEW_ROWS = 128 };
	int64_t rows = 1;
	for (int32_t i = 0; i < c->space.n_outer; i++) {
		if (!dim_is_const(c->space.extent[i]))
			return false;
		rows *= c->space.extent[i]->value;
	}
	if (!c->packed || rows > FEW_ROWS)
		return false;
	const struct buffer *b = &c->e->p->buffers[c->e->kernel->panels->buffer];
	return b->count->value * (int64_t)normc_elem_size(c->elem) > CACHED_BYTES;
}

static void describe(struct contraction *c, struct emit *e)
{
	memset(c, 0, sizeof *c);
	c->e = e;
	c->n = e->kernel->anchor;
	c->a = c->n->in[0];
	c->b = c->n->in[1];
	c->elem = c->n->type.elem;
	c->packed = e->kernel->panels->packed;
	c->width = e->kernel->panels->width;
	c->lanes = emit_vector_lanes(e, c->elem);
	if (c->n->op == OP_conv)
		describe_conv(c);
	else
		describe_matmul(c);
	merge_levels(c);
	describe_space(c);
	describe_units(c);
	bool in_place = c->n->op != OP_conv && dim_is(e->p->view[c->packed ? c->a->id : c->b->id]
								      .stride[c->b->type.rank - 1],
						      1);
	c->pack_here = !c->packed && !in_place;
	c->from_memory = streams(c);
}

/* ---- B ---- */

/* Copies one panel of B into the scratch: k rows of `width` elements in storage form. */
static void pack_panel(struct contraction *c)
{
	struct emit *e = c->e;
	const struct view *vb = &e->p->view[c->b->id];
	const struct attr_conv *conv = c->n->op == OP_conv ? c->n->attr.conv : NULL;
	int32_t rank = c->b->type.rank, axis[MAX_CONTRACTED], n_axes = 0,
		column_axis = conv ? 0 : rank - 1;
	if (conv)
		for (int32_t i = 2; i < rank; i++)
			axis[n_axes++] = i;
	axis[n_axes++] = conv ? 1 : rank - 2;
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef panel = emit_scratch(e), k = emit_i64(e, 0), from = c->b_base;
	struct loop loop[MAX_CONTRACTED], column;
	for (int32_t i = 0; i < n_axes; i++) {
		loop_begin(e, &loop[i], emit_i64(e, 0), emit_dim(e, c->b->type.dim[axis[i]]),
			   emit_i64(e, 1));
		k = emit_add(e, emit_mul(e, k, emit_dim(e, c->b->type.dim[axis[i]])), loop[i].i);
		from = emit_element(e, type, from,
				    emit_mul(e, loop[i].i, emit_dim(e, vb->stride[axis[i]])));
	}
	LLVMValueRef left = LLVMBuildSub(e->b, emit_dim(e, c->n_columns), c->first_column, "");
	LLVMValueRef count = emit_min(e, left, emit_i64(e, c->width));
	LLVMValueRef to = emit_element(e, type, panel, emit_mul(e, k, emit_i64(e, c->width)));
	loop_begin(e, &column, emit_i64(e, 0), count, emit_i64(e, 1));
	LLVMValueRef at = emit_mul(e, column.i, emit_dim(e, vb->stride[column_axis]));
	LLVMValueRef v = LLVMBuildLoad2(e->b, type, emit_element(e, type, from, at), "");
	LLVMBuildStore(e->b, v, emit_element(e, type, to, column.i));
	loop_end(e, &column);
	for (int32_t i = n_axes; i-- > 0;)
		loop_end(e, &loop[i]);
	c->b_base = panel;
}

/* Address of the task's panel (or of its first column in place), and the distance from one k to the
 * next. */
static void find_panel(struct contraction *c, LLVMValueRef panel)
{
	struct emit *e = c->e;
	struct dims *dims = e->context->dims;
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef offset = emit_i64(e, 0);
	for (int32_t i = 0; i < c->space.n_outer; i++)
		if (i != c->rows && i != c->unit)
			offset = emit_add(e, offset,
					  emit_mul(e, c->x.at[i],
						   emit_dim(e, c->row_b.stride[c->space.fast[i]])));
	if (c->packed) {
		const struct dim *panels = dim_ceil_div(dims, c->n_columns, number(c, c->width));
		const struct dim *bytes = dim_mul(dims, c->k, number(c, c->width));
		LLVMValueRef index = emit_add(e, emit_mul(e, c->group, emit_dim(e, panels)), panel);
		offset = emit_add(e, offset, emit_mul(e, index, emit_dim(e, bytes)));
		c->b_base = emit_element(e, type, emit_buffer(e, e->kernel->panels->buffer),
					 offset);
		c->b_step = emit_i64(e, c->width);
		return;
	}
	const struct view *vb = &e->p->view[c->b->id];
	int32_t rank = c->b->type.rank;
	const struct dim *column = vb->stride[c->n->op == OP_conv ? 0 : rank - 1];
	LLVMValueRef first = emit_add(e, emit_mul(e, c->group, emit_dim(e, c->n_columns)),
				      c->first_column);
	offset = emit_add(e, emit_add(e, offset, emit_dim(e, vb->offset)),
			  emit_mul(e, first, emit_dim(e, column)));
	c->b_base = emit_element(e, type, emit_buffer(e, vb->buffer), offset);
	if (c->pack_here) {
		pack_panel(c);
		c->b_step = emit_i64(e, c->width);
	} else {
		c->b_step = emit_dim(e, vb->stride[rank - 2]);
	}
}

/* ---- tiles ---- */

static LLVMValueRef load_b(struct contraction *c, const struct tile *t, LLVMValueRef row, int32_t j)
{
	struct emit *e = c->e;
	struct index x = {.space = &c->space, .lane = c->columns, .lanes = c->lanes};
	if (!c->packed && !c->pack_here)
		x.mask = t->mask[j]; /* what lies behind the last column may not be ours */
	LLVMTypeRef type = emit_storage_type(e, c->elem);
	LLVMValueRef address = emit_element(e, type, row, emit_i64(e, (int64_t)j * c->lanes));
	return emit_load_at(e, (struct element){c->elem, address, NULL}, &x);
}

/* A large panel comes from memory the first time: ask for its next rows before they are wanted,
 * across pages too, where the hardware's prefetcher stops. */
static void prefetch_b(struct contraction *c, const struct tile *t, LLVMValueRef row)
{
	struct emit *e = c->e;
	LLVMTypeRef i32 = e->t.i32, pointer = e->t.ptr;
	int64_t line = 64 / (int64_t)normc_elem_size(c->elem);
	for (int64_t at = 0; at < (int64_t)t->nv * c->lanes; at += line) {
		LLVMValueRef address = emit_element(
				e, emit_storage_type(e, c->elem), row,
				emit_i64(e,
					 at + PREFETCH_BYTES / (int64_t)normc_elem_size(c->elem)));
		LLVMValueRef args[4] = {address, LLVMConstInt(i32, 0, 0), LLVMConstInt(i32, 2, 0),
					LLVMConstInt(i32, 1, 0)};
		emit_intrinsic(e, (struct intrinsic){"llvm.prefetch", {pointer}, 1}, args, 4);
	}
}

/* Distance in A of two indices of a loop dimension. */
static LLVMValueRef a_stride(struct contraction *c, int32_t loop)
{
	return loop < 0 ? emit_i64(c->e, 0) : emit_dim(c->e, c->row_a.stride[c->space.fast[loop]]);
}

/* Of row i of a tile from its first. */
static LLVMValueRef row_offset(struct contraction *c, int32_t i)
{
	struct emit *e = c->e;
	LLVMValueRef offset = emit_mul(e, a_stride(c, c->unit), emit_i64(e, i / c->unit_rows));
	if (c->unit == c->rows)
		return offset;
	return emit_add(e, offset,
			emit_mul(e, a_stride(c, c->rows), emit_i64(e, i % c->unit_rows)));
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
		column[j] = load_b(c, t, b, j);
	if (c->from_memory)
		prefetch_b(c, t, b);
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
				      emit_mul(e, t->first, a_stride(c, c->unit))),
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

/* task = ((group * panels + panel) * chunks + chunk) * outer + ...: neighbours share a panel */
static LLVMValueRef take(struct emit *e, LLVMValueRef *task, const struct dim *extent)
{
	LLVMValueRef n = emit_dim(e, extent), digit = LLVMBuildURem(e->b, *task, n, "");
	*task = LLVMBuildUDiv(e->b, *task, n, "");
	return digit;
}

void kernel_contract(struct emit *e, struct schedule *s)
{
	struct contraction c;
	struct dims *dims = e->context->dims;
	describe(&c, e);
	const struct dim *one = number(&c, 1), *units = c.unit < 0 ? one : c.space.extent[c.unit];
	int64_t chunk = chunk_units(&c);
	const struct dim *chunks = dim_ceil_div(dims, units, number(&c, chunk));
	const struct dim *panels = dim_ceil_div(dims, c.n_columns, number(&c, c.width));
	s->tasks = dim_mul(dims, dim_mul(dims, panels, chunks), number(&c, c.groups));
	if (c.pack_here)
		s->scratch = dim_mul(dims, c.k,
				     number(&c, c.width * (int64_t)normc_elem_size(c.elem)));
	c.x.space = &c.space;
	LLVMValueRef task = e->task;
	for (int32_t i = c.space.n_outer; i-- > 0;) {
		c.x.at[i] = emit_i64(e, 0);
		if (i == c.rows || i == c.unit)
			continue;
		c.x.at[i] = take(e, &task, c.space.extent[i]);
		s->tasks = dim_mul(dims, s->tasks, c.space.extent[i]);
	}
	LLVMValueRef part = take(e, &task, chunks), panel = take(e, &task, panels);
	c.group = task;
	c.first_column = emit_mul(e, panel, emit_i64(e, c.width));
	find_panel(&c, panel);
	LLVMValueRef offset = emit_dim(e, e->p->view[c.a->id].offset);
	for (int32_t i = 0; i < c.space.n_outer; i++)
		if (i != c.rows && i != c.unit)
			offset = emit_add(e, offset,
					  emit_mul(e, c.x.at[i],
						   emit_dim(e, c.row_a.stride[c.space.fast[i]])));
	if (c.groups > 1) {
		LLVMValueRef per = emit_dim(
				e, dim_mul(dims, c.b->type.dim[1], e->p->view[c.a->id].stride[1]));
		offset = emit_add(e, offset, emit_mul(e, c.group, per));
	}
	c.a_base = emit_element(e, emit_storage_type(e, c.elem),
				emit_buffer(e, e->p->view[c.a->id].buffer), offset);
	LLVMValueRef from = emit_mul(e, part, emit_i64(e, chunk));
	LLVMValueRef to = emit_min(e, emit_add(e, from, emit_i64(e, chunk)), emit_dim(e, units));
	emit_panel(&c, from, to, dim_is_const(units) ? units->value % c.units : -1);
}
