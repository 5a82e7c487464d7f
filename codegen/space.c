/* Which loops a kernel runs: dimensions of one logical shape, in physical order, merged where every
 * access allows. */
#include "emit.h"

#include <string.h>

void accesses_add(struct emit *e, struct accesses *a, const struct view *view)
{
	PUSH(e->context->arena, a->view, a->n, view);
}

void accesses_of(struct emit *e, const struct node *n, const struct node *stop, struct accesses *a)
{
	if (n == stop) { /* an anchor's parameters are read along with its result */
		for (uint32_t i = 1; i < n->n_in && n->op == OP_norm; i++)
			accesses_add(e, a, &e->p->view[n->in[i]->id]);
		return;
	}
	if (e->p->group[n->id] != e->kernel_number) {
		accesses_add(e, a, &e->p->view[n->id]);
		return;
	}
	if (op_info[n->op].kind == KIND_source) { /* iota, dims: the index itself is the value */
		a->logical = true;
		return;
	}
	if (n->op == OP_gather || n->op == OP_gather_elements) {
		a->logical = true;
		if (n->op == OP_gather_elements)
			accesses_of(e, n->in[1], stop, a);
		return;
	}
	for (uint32_t i = 0; i < a->n_seen; i++) /* shared expressions are entered once */
		if (a->seen[i] == n)
			return;
	PUSH(e->context->arena, a->seen, a->n_seen, n);
	for (uint32_t i = 0; i < n->n_in; i++)
		accesses_of(e, n->in[i], stop, a);
}

void view_order(const struct type *type, const struct view *v, int32_t *order)
{
	for (int32_t i = 0; i < type->rank; i++)
		order[i] = i;
	/* insertion sort by stride, largest first; strides of unknown size keep logical order among
	 * themselves */
	for (int32_t i = 1; i < type->rank; i++)
		for (int32_t k = i; k > 0; k--) {
			const struct dim *a = v->stride[order[k - 1]], *b = v->stride[order[k]];
			int64_t x = a->kind == DIM_CONST ? a->value : INT64_MAX,
				y = b->kind == DIM_CONST ? b->value : INT64_MAX;
			if (dim_is(type->dim[order[k - 1]], 1) || dim_is(type->dim[order[k]], 1) ||
			    x >= y)
				break;
			int32_t t = order[k];
			order[k] = order[k - 1];
			order[k - 1] = t;
		}
}

static bool mergeable(struct emit *e, const struct type *type, int32_t slow, int32_t fast,
		      const struct accesses *a)
{
	if (a->logical)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (a->view[i]->stride[slow] !=
		    dim_mul(e->context->dims, a->view[i]->stride[fast], type->dim[fast]))
			return false;
	return true;
}

/* Appends an axis; merges it into the last loop if `may`. The axis is the faster one. */
static void append_axis(struct emit *e, struct space *s, const struct type *type, int32_t axis,
			bool merge)
{
	if (merge) {
		s->extent[s->rank - 1] =
				dim_mul(e->context->dims, s->extent[s->rank - 1], type->dim[axis]);
		s->fast[s->rank - 1] = axis;
		return;
	}
	s->extent[s->rank] = type->dim[axis];
	s->fast[s->rank++] = axis;
}

struct space space_new(struct emit *e, const struct type *type, const struct axes *axes,
		       const struct accesses *outer, const struct accesses *inner)
{
	struct space s = {0};
	for (int pass = 0; pass < 2; pass++) { /* outer axes, then inner ones */
		int32_t first = s.rank;
		const struct accesses *all = pass ? inner : outer;
		uint32_t wanted = pass ? axes->inner : ~axes->inner;
		for (int32_t i = 0; i < type->rank; i++) {
			int32_t axis = axes->order[i];
			if (!(wanted >> axis & 1) || (dim_is(type->dim[axis], 1) && !all->logical))
				continue;
			bool merge = s.rank > first &&
				     mergeable(e, type, s.fast[s.rank - 1], axis, all);
			append_axis(e, &s, type, axis, merge);
		}
		if (pass == 0)
			s.n_outer = s.rank;
	}
	return s;
}
