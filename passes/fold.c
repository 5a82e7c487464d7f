/* Constant folding: a node whose operands are known is evaluated by the interpreter, rounding as
 * compiled code does.
 *
 * Known values are constants and what is computed from them without storage: iota and views.  Those
 * are not folded by themselves, because a broadcast or an iota is cheaper than the memory it stands
 * for; only reshapes are, as they share the constant's bytes.  Weights can be most of a machine's
 * memory, so data movement works on bytes, and everything else stops at a size where holding
 * doubles would hurt.
 */
#include "fold.h"

#include <stdlib.h>
#include <string.h>

#include "eval_op.h"
#include "pass.h"
#include "rewrite.h"
#include "value.h"

enum {
	SMALL_BYTES = 64 << 10,	  /* results that are folded whatever they are made of */
	MOST_ELEMENTS = 64 << 20, /* held as doubles at a time: one expression over large weights */
	MOST_WORK = 512 << 20,	  /* multiply-adds of a product */
	MOST_MOVED = 1 << 20,	  /* bytes of moved data: more stay views, read when packed */
};

static bool is_view(const struct node *n)
{
	return op_info[n->op].kind == KIND_view;
}

static bool is_known(const struct node *n)
{
	while (is_view(n))
		n = n->in[0];
	return n->op == OP_constant || n->op == OP_iota;
}

/* Bytes in memory that stand behind a known value. */
static uint64_t stored_bytes(const struct node *n)
{
	while (is_view(n))
		n = n->in[0];
	return n->op == OP_constant ? n->attr.data->bytes : 0;
}

/* ---- on bytes ---- */

struct strided {
	const unsigned char *from;
	size_t size; /* of an element */
	const struct tensor *shape;
	int64_t in[MAX_RANK], out[MAX_RANK]; /* bytes between neighbours */
	int32_t near[2]; /* the dimensions that are nearest in the input, and in the output */
};

/* A plane of two dimensions, in tiles that fit the cache on both sides. */
static void copy_plane(const struct strided *s, unsigned char *to, const unsigned char *from)
{
	enum { TILE = 16 };
	int32_t a = s->near[0], b = s->near[1];
	int64_t na = s->shape->dim[a], nb = s->shape->dim[b];
	if (a == b) {
		for (int64_t i = 0; i < nb; i++)
			memcpy(to + i * s->out[b], from + i * s->in[b], s->size);
		return;
	}
	for (int64_t a0 = 0; a0 < na; a0 += TILE)
		for (int64_t b0 = 0; b0 < nb; b0 += TILE)
			for (int64_t i = a0; i < a0 + TILE && i < na; i++)
				for (int64_t j = b0; j < b0 + TILE && j < nb; j++)
					memcpy(to + i * s->out[a] + j * s->out[b],
					       from + i * s->in[a] + j * s->in[b], s->size);
}

/* Copies all elements to `to`, in row-major order. */
static void copy_strided(struct strided *s, unsigned char *to)
{
	int64_t index[MAX_RANK] = {0};
	const unsigned char *from = s->from;
	int32_t rank = s->shape->rank, k;
	if (!rank) {
		memcpy(to, from, s->size);
		return;
	}
	s->near[0] = s->near[1] = rank - 1;
	for (k = 0; k < rank; k++)
		if (llabs(s->in[k]) < llabs(s->in[s->near[0]]) && s->shape->dim[k] > 1)
			s->near[0] = k;
	do {
		copy_plane(s, to, from);
		for (k = rank - 1; k >= 0; k--) {
			if (k == s->near[0] || k == s->near[1])
				continue;
			from += s->in[k];
			to += s->out[k];
			if (++index[k] < s->shape->dim[k])
				break;
			from -= s->in[k] * s->shape->dim[k];
			to -= s->out[k] * s->shape->dim[k];
			index[k] = 0;
		}
	} while (k >= 0);
}

static struct tensor shape_of(const struct type *type)
{
	struct tensor t = {.elem = type->elem, .rank = type->rank, .count = type_fixed_count(type)};
	for (int32_t i = 0; i < type->rank; i++)
		t.dim[i] = fixed_extent(type, i);
	return t;
}

static void row_major(const struct tensor *t, size_t size, int64_t *stride)
{
	int64_t step = (int64_t)size;
	for (int32_t k = t->rank - 1; k >= 0; k--) {
		stride[k] = step;
		step *= t->dim[k];
	}
}

static bool move_view(const struct node *n, unsigned char *to)
{
	const struct attr_data *data = n->in[0]->attr.data;
	size_t size = normc_elem_size(n->type.elem);
	struct tensor in = shape_of(&n->in[0]->type), out = shape_of(&n->type);
	struct strided s = {.from = data->p, .size = size, .shape = &out};
	int64_t from[MAX_RANK], start = 0;
	row_major(&in, size, from);
	row_major(&out, size, s.out);
	for (int32_t k = 0; k < out.rank; k++) {
		if (n->op == OP_transpose) {
			s.in[k] = from[n->attr.perm->perm[k]];
			continue;
		}
		const struct attr_slice *slice = n->attr.slice;
		if (!dim_is_const(slice->start[k]))
			return false;
		int64_t first = slice->start[k]->value,
			last = first + (out.dim[k] - 1) * slice->step[k];
		if (out.dim[k] &&
		    (first < 0 || first >= in.dim[k] || last < 0 || last >= in.dim[k]))
			return false;
		s.in[k] = from[k] * slice->step[k];
		start += first * from[k];
	}
	s.from += start;
	if (out.count)
		copy_strided(&s, to);
	return true;
}

static bool move_concat(const struct node *n, unsigned char *to)
{
	int32_t axis = n->attr.axis->axis;
	struct tensor out = shape_of(&n->type);
	size_t inner = normc_elem_size(n->type.elem);
	int64_t outer = 1;
	for (int32_t k = 0; k < out.rank; k++)
		if (k < axis)
			outer *= out.dim[k];
		else if (k > axis)
			inner *= (size_t)out.dim[k];
	for (int64_t o = 0; o < outer; o++)
		for (uint32_t i = 0; i < n->n_in; i++) {
			size_t row = inner * (size_t)fixed_extent(&n->in[i]->type, axis);
			if (row)
				memcpy(to, (const char *)n->in[i]->attr.data->p + (size_t)o * row,
				       row);
			to += row;
		}
	return true;
}

static bool move_gather(const struct node *n, unsigned char *to)
{
	int32_t axis = n->attr.axis->axis;
	struct tensor data = shape_of(&n->in[0]->type);
	const unsigned char *from = n->in[0]->attr.data->p;
	size_t inner = normc_elem_size(n->type.elem);
	int64_t outer = 1, picks = type_fixed_count(&n->in[1]->type), extent = data.dim[axis];
	for (int32_t k = 0; k < data.rank; k++)
		if (k < axis)
			outer *= data.dim[k];
		else if (k > axis)
			inner *= (size_t)data.dim[k];
	for (int64_t o = 0; o < outer; o++)
		for (int64_t i = 0; i < picks; i++, to += inner) {
			int64_t pick = (int64_t)constant_at(n->in[1], i);
			pick += pick < 0 ? extent : 0;
			if (pick < 0 || pick >= extent)
				return false;
			memcpy(to, from + (size_t)(o * extent + pick) * inner, inner);
		}
	return true;
}

static bool move(const struct node *n, unsigned char *to)
{
	return n->op == OP_concat   ? move_concat(n, to)
	       : n->op == OP_gather ? move_gather(n, to)
				    : move_view(n, to);
}

/* Residues move as elements of 64 bits do. */
static const uint64_t *move_residues(struct graph *g, const struct node *n)
{
	struct arena *arena = g->context->arena;
	struct node shadow = *n, *in = arena_new(arena, struct node, n->n_in + 1);
	uint32_t n_moved = n->op == OP_concat ? n->n_in : 1;
	bool any = false;
	for (uint32_t i = 0; i < n_moved; i++)
		any = any || n->in[i]->attr.data->residue;
	if (!any)
		return NULL;
	uint64_t *residue = arena_new(arena, uint64_t, (size_t)type_fixed_count(&n->type) + 1);
	shadow.type.elem = NORMC_U64;
	shadow.in = arena_copy(arena, n->in, n->n_in * sizeof *n->in);
	for (uint32_t i = 0; i < n_moved; i++) {
		struct attr_data data = {.p = constant_residues(g, n->in[i])};
		in[i] = *n->in[i];
		in[i].type.elem = NORMC_U64;
		in[i].attr.data = arena_copy(arena, &data, sizeof data);
		shadow.in[i] = &in[i];
	}
	return move(&shadow, (unsigned char *)residue) ? residue : NULL;
}

/* Moves constants without looking at them. NULL: not possible this way. */
static struct node *fold_move(struct graph *g, const struct node *n, uint64_t bytes)
{
	uint64_t stored = 0;
	for (uint32_t i = 0; i < n->n_in; i++) {
		if (n->in[i]->op != OP_constant)
			return NULL;
		stored += stored_bytes(n->in[i]);
	}
	if (bytes > MOST_MOVED || (bytes > SMALL_BYTES && bytes > stored))
		return NULL;
	unsigned char *p = arena_alloc(g->context->arena, (size_t)bytes, 1);
	if (!move(n, p))
		return NULL;
	return elem_is_float(n->type.elem) ? build_exact(g, &n->type, p, move_residues(g, n))
					   : build_constant(g, &n->type, p, bytes);
}

/* ---- by evaluation ---- */

static bool evaluate_node(struct graph *g, const struct node *n, const struct tensor *in,
			  struct tensor *out, struct arena *arena)
{
	struct eval_request how = {EVAL_ROUND, NULL, arena};
	return g->context->exact ? eval_node_residues(g, n, how, in, out)
				 : eval_node(g, n, how, in, out);
}

/* Residues of a constant that is loaded to be evaluated; integers have none, but room for them. */
static void load_residues(struct graph *g, const struct node *n, struct tensor *t)
{
	t->residue = arena_new(g->context->arena, uint64_t, (size_t)t->count + 1);
	if (is_float(t))
		memcpy(t->residue, constant_residues(g, n), (size_t)t->count * sizeof *t->residue);
}

/* The value of a known node. */
static bool load(struct graph *g, const struct node *n, struct tensor *t, struct arena *arena)
{
	if (n->op == OP_constant) {
		struct tensor shape = shape_of(&n->type);
		*t = tensor_load(arena, n->type.elem, shape.rank, shape.dim, n->attr.data->p);
		if (g->context->exact)
			load_residues(g, n, t);
		return true;
	}
	struct tensor in;
	if (n->n_in && !load(g, n->in[0], &in, arena))
		return false;
	return evaluate_node(g, n, &in, t, arena);
}

static bool worth_evaluating(const struct node *n, uint64_t bytes)
{
	uint64_t stored = 0;
	int64_t elements = type_fixed_count(&n->type), work = elements;
	for (uint32_t i = 0; i < n->n_in; i++) {
		int64_t count = type_fixed_count(&n->in[i]->type);
		if (count < 0 || count > MOST_ELEMENTS)
			return false;
		elements += count;
		stored += stored_bytes(n->in[i]);
	}
	if (op_info[n->op].kind == KIND_contract || op_info[n->op].kind == KIND_conv) {
		const struct type *b = &n->in[1]->type;
		int64_t columns = fixed_extent(b, n->op == OP_conv ? 0 : b->rank - 1);
		if (columns > 0 &&
		    __builtin_mul_overflow(work, type_fixed_count(b) / columns, &work))
			return false;
	}
	return elements <= MOST_ELEMENTS && work <= MOST_WORK &&
	       (bytes <= SMALL_BYTES || bytes <= 2 * stored);
}

static struct node *evaluate(struct graph *g, const struct node *n, uint64_t bytes)
{
	struct arena *scratch = arena_open(g->context->memory);
	struct tensor *in = arena_new(scratch, struct tensor, n->n_in + 1), out;
	struct node *result = NULL;
	bool ok = true;
	for (uint32_t i = 0; ok && i < n->n_in; i++)
		ok = load(g, n->in[i], &in[i], scratch);
	if (ok && evaluate_node(g, n, in, &out, scratch)) {
		void *p = arena_alloc(g->context->arena, (size_t)bytes, 1);
		tensor_store(&out, p);
		bool exact = is_float(&out) && g->context->exact;
		size_t room = (size_t)out.count * sizeof *out.residue;
		const uint64_t *residue =
				exact ? arena_copy(g->context->arena, out.residue, room) : NULL;
		result = exact ? build_exact(g, &n->type, p, residue)
			       : build_constant(g, &n->type, p, bytes);
	}
	arena_close(scratch);
	return result;
}

/* ---- conditions ---- */

/* Copies a region into the graph; its inputs become `values`. Returns its outputs. */
static struct node **inline_region(struct graph *g, const struct graph *region,
				   struct node *const *values)
{
	struct arena *arena = g->context->arena;
	struct node **map = arena_new(arena, struct node *, region->n_nodes + 1);
	struct node **out = arena_new(arena, struct node *, region->n_outputs + 1);
	for (uint32_t i = 0; i < region->n_nodes; i++) {
		const struct node *old = region->nodes[i];
		struct node **in = arena_new(arena, struct node *, old->n_in + 1);
		for (uint32_t k = 0; k < old->n_in; k++)
			in[k] = map[old->in[k]->id];
		map[i] = old->op == OP_input ? values[old->attr.port->index]
					     : graph_clone(g, old, in);
	}
	for (uint32_t i = 0; i < region->n_outputs; i++)
		out[i] = map[region->outputs[i]->id];
	return out;
}

/* A result of a choice whose condition is constant. */
static struct node *fold_part(struct graph *g, struct node *n)
{
	const struct node *choice = n->in[0];
	double condition;
	if (choice->op != OP_if || !splat_of(choice->in[0], &condition))
		return n;
	struct node **out = inline_region(g, choice->attr.region->region[condition ? 0 : 1],
					  choice->in + 1);
	struct node *result = out[n->attr.part->index];
	return type_equal(&result->type, &n->type) ? result : n;
}

struct node *fold_node(struct graph *g, struct node *n)
{
	enum op_kind kind = op_info[n->op].kind;
	if (n->op == OP_part)
		return fold_part(g, n);
	if (kind == KIND_source || kind == KIND_call || kind == KIND_region ||
	    n->op == OP_broadcast || !n->n_in)
		return n;
	int64_t count = type_fixed_count(&n->type);
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!is_known(n->in[i]) || type_fixed_count(&n->in[i]->type) < 0)
			return n;
	uint64_t size = normc_elem_size(n->type.elem), bytes;
	if (count < 0 || __builtin_mul_overflow((uint64_t)count, size, &bytes))
		return n;
	struct node *result = kind == KIND_map ? build_unrepeated(g, n) : NULL;
	if (result) {
		result = fold_node(g, result);
		return constant_of(result) ? build_broadcast(g, result, n->type.rank, n->type.dim)
					   : n;
	}
	if (n->op == OP_reshape) {
		const struct node *a = n->in[0];
		return a->op != OP_constant    ? n
		       : a->attr.data->residue ? build_exact(g, &n->type, a->attr.data->p,
							     a->attr.data->residue)
					       : build_constant(g, &n->type, a->attr.data->p,
								a->attr.data->bytes);
	}
	if (kind == KIND_view || n->op == OP_concat || n->op == OP_gather)
		result = fold_move(g, n, bytes);
	if (!result && kind != KIND_view && worth_evaluating(n, bytes))
		result = evaluate(g, n, bytes);
	return result ? result : n;
}

static struct node *fold_rule(struct graph *to, const struct node *old, struct node *const *in,
			      void *user)
{
	(void)user;
	return op_info[old->op].kind == KIND_region ? NULL
						    : fold_node(to, graph_clone(to, old, in));
}

struct graph *pass_fold(struct graph *g, struct pass *pass)
{
	return graph_rewrite(g, fold_rule, pass);
}
