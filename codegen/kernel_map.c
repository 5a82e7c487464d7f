/* Elementwise kernels: the root's expression at every index, lanes along the fastest dimension. */
#include "emit.h"

/* A long fast dimension of a space with few rows is cut in pieces of this many elements, so that
 * there are tasks. */
enum { PIECE = 4096 };

static void split_fast(struct emit *e, struct space *s, const struct dim **piece)
{
	const struct dim *n = s->extent[s->rank - 1];
	*piece = NULL;
	if (s->rank == 1 && !(dim_is_const(n) && n->value <= PIECE))
		*piece = dim_const(e->context->dims, PIECE);
}

/* Values for indices [from, to) of the fast dimension. */
static void emit_span(struct emit *e, struct index *x, LLVMValueRef from, LLVMValueRef to,
		      int32_t lanes)
{
	int32_t fast = x->space->rank - 1;
	struct loop loop;
	LLVMValueRef vector_end = from;
	if (lanes > 1) {
		LLVMValueRef whole = LLVMBuildAnd(e->b, LLVMBuildSub(e->b, to, from, ""),
						  emit_i64(e, -(int64_t)lanes), "");
		vector_end = emit_add(e, from, whole);
		loop_begin(e, &loop, from, vector_end, emit_i64(e, lanes));
		x->at[fast] = loop.i;
		x->lane = fast;
		x->lanes = lanes;
		emit_finish(e, x, NULL);
		loop_end(e, &loop);
	}
	loop_begin(e, &loop, vector_end, to, emit_i64(e, 1));
	x->at[fast] = loop.i;
	x->lane = -1;
	x->lanes = 1;
	emit_finish(e, x, NULL);
	loop_end(e, &loop);
}

/* Lanes that suit the root's element type; fewer for narrow results of wide operands would gain
 * little. */
static int32_t map_lanes(struct emit *e, const struct space *s)
{
	const struct node *root = e->kernel->root;
	const struct view *v = &e->p->view[root->id];
	if (!s->rank || !dim_is(v->stride[s->fast[s->rank - 1]], 1))
		return 1;
	if (dim_is_const(s->extent[s->rank - 1]) && s->extent[s->rank - 1]->value < 4)
		return 1;
	return emit_vector_lanes(e, root->type.elem);
}

void kernel_map(struct emit *e, struct schedule *s)
{
	const struct node *root = e->kernel->root;
	struct accesses a = {0};
	struct axes axes = {.inner = 0};
	accesses_of(e, root, NULL, &a);
	accesses_add(e, &a, &e->p->view[root->id]);
	view_order(&root->type, &e->p->view[root->id], axes.order);
	struct space space = space_new(e, &root->type, &axes, &a, &a);
	struct index x = {.space = &space, .lane = -1, .lanes = 1};
	s->tasks = dim_const(e->context->dims, 1);
	if (!space.rank) {
		emit_finish(e, &x, NULL);
		return;
	}
	int32_t lanes = map_lanes(e, &space);
	const struct dim *piece, *fast = space.extent[space.rank - 1];
	split_fast(e, &space, &piece);
	struct rows rows;
	if (!piece) {
		rows = (struct rows){.n_outer = space.rank - 1, .work = fast};
		rows_begin(e, &rows, &x, s);
		emit_span(e, &x, emit_i64(e, 0), emit_dim(e, fast), lanes);
		rows_end(e, &rows);
		return;
	}
	struct space pieces = {.rank = 1, .extent = {dim_ceil_div(e->context->dims, fast, piece)}};
	struct index p = {.space = &pieces, .lane = -1, .lanes = 1};
	rows = (struct rows){.n_outer = 1, .work = piece};
	rows_begin(e, &rows, &p, s);
	LLVMValueRef from = emit_mul(e, p.at[0], emit_dim(e, piece));
	LLVMValueRef to = emit_min(e, emit_add(e, from, emit_dim(e, piece)), emit_dim(e, fast));
	emit_span(e, &x, from, to, lanes);
	rows_end(e, &rows);
}
