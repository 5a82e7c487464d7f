/* Moves reshapes behind elementwise operations, norms, softmax and reductions.
 *
 * A matrix product of a batch is made on two dimensions, [batch * rows, columns], and reshaped
 * back; the next product reshapes again.  What lies between works on any shape, so it is done
 * before the reshape: bias and activation then have the product's own shape and can be part of its
 * kernel, and neighbouring reshapes cancel.
 *
 * Only where all operands can follow: reshapes of the same shape, values that repeat along whole
 * groups of dimensions, and values that are in memory anyway (for those a reshape costs nothing).
 */
#include <string.h>

#include "pass.h"
#include "rewrite.h"

struct sink {
	struct pass *pass;
	const uint32_t *uses; /* by old id */
};

/* A value whose shape its kernel chose; views and what is in memory have no say. */
static bool is_computed(const struct node *n)
{
	enum op_kind kind = op_info[n->op].kind;
	return kind == KIND_map || kind == KIND_reduce || kind == KIND_softmax ||
	       kind == KIND_norm || kind == KIND_contract || kind == KIND_conv ||
	       kind == KIND_window;
}

/* Operand `n`, of `old`, in the other shape; NULL if that is not for free. */
static struct node *follow(const struct sink *s, struct graph *g, const struct node *old,
			   struct node *n, const struct type *shape)
{
	const struct dim *dim[MAX_RANK];
	if (n->op == OP_reshape && type_same_shape(&n->in[0]->type, shape))
		return n->in[0];
	if (n->op == OP_broadcast) {
		if (!reshape_repeated(g->context->dims, &n->in[0]->type, &n->type, shape, dim))
			return NULL;
		return build_broadcast(g, build_reshape(g, n->in[0], shape->rank, dim), shape->rank,
				       shape->dim);
	}
	bool in_memory = n->op == OP_input || n->op == OP_constant ||
			 (s->uses[old->id] > 1 && is_computed(n));
	return in_memory ? build_reshape(g, n, shape->rank, shape->dim) : NULL;
}

static struct node *sink_map(const struct sink *s, struct graph *g, const struct node *old,
			     struct node *const *in)
{
	struct node *moved[3];
	for (uint32_t k = 0; k < old->n_in; k++) {
		if (in[k]->op != OP_reshape || !is_computed(in[k]->in[0]))
			continue;
		bool all = old->n_in <= 3;
		for (uint32_t i = 0; all && i < old->n_in; i++) {
			moved[i] = follow(s, g, old->in[i], in[i], &in[k]->in[0]->type);
			all = moved[i] != NULL;
		}
		if (all)
			return graph_node(g, old->op, moved, old->n_in, old->attr);
	}
	return NULL;
}

/* Axes before the reshape for axes after it: whole groups, extents 1 aside. */
static bool move_axes(struct dims *dims, const struct type *from, const struct type *to,
		      uint32_t axes, uint32_t *moved)
{
	struct groups_of_axes groups;
	*moved = 0;
	if (!reshape_groups(dims, from, to, &groups))
		return false;
	for (int32_t k = 0; k < groups.n; k++) {
		bool some = false, all = true;
		for (int32_t j = groups.first[1][k]; j < groups.first[1][k + 1]; j++) {
			if (axes >> j & 1)
				some = true;
			else if (!dim_is(to->dim[j], 1))
				all = false;
		}
		if (some && !all)
			return false;
		for (int32_t i = groups.first[0][k]; some && i < groups.first[0][k + 1]; i++)
			*moved |= 1u << i;
	}
	return true;
}

static struct node *sink_norm(struct graph *g, const struct node *old, struct node *const *in)
{
	struct node *x = in[0]->in[0], *moved[5] = {x};
	struct dims *dims = g->context->dims;
	struct attr_norm attr;
	memcpy(&attr, old->attr.norm, sizeof attr);
	if (!move_axes(dims, &x->type, &in[0]->type, old->attr.norm->axes, &attr.axes) ||
	    !attr.axes)
		return NULL;
	for (uint32_t i = 1; i < old->n_in; i++) {
		const struct dim *dim[MAX_RANK];
		if (!reshape_repeated(dims, &in[i]->type, &in[0]->type, &x->type, dim))
			return NULL;
		moved[i] = build_reshape(g, in[i], x->type.rank, dim);
	}
	return graph_node(g, OP_norm, moved, old->n_in, (union attr){.norm = &attr});
}

static struct node *sink_softmax(struct graph *g, const struct node *old, struct node *const *in)
{
	struct node *x = in[0]->in[0];
	uint32_t axes;
	int32_t axis = -1;
	if (!move_axes(g->context->dims, &x->type, &in[0]->type, 1u << old->attr.softmax->axis,
		       &axes))
		return NULL;
	for (int32_t i = 0; i < x->type.rank; i++)
		if (axes >> i & 1 && !dim_is(x->type.dim[i], 1)) {
			if (axis >= 0)
				return NULL;
			axis = i;
		}
	return axis < 0 ? NULL : build_softmax(g, x, axis, old->attr.softmax->log);
}

static struct node *sink_reduce(struct graph *g, const struct node *old, struct node *const *in)
{
	struct node *x = in[0]->in[0];
	uint32_t axes;
	if (old->op == OP_argmax || old->op == OP_argmin)
		return NULL;
	if (!move_axes(g->context->dims, &x->type, &in[0]->type, old->attr.axes->mask, &axes) ||
	    !axes)
		return NULL;
	return build_reduce(g, old->op, x, axes, true);
}

static struct node *sink_rule(struct graph *to, const struct node *old, struct node *const *in,
			      void *user)
{
	struct sink *s = user;
	struct node *n = NULL;
	enum op_kind kind = op_info[old->op].kind;
	if (kind == KIND_region)
		return pass_regions(to, old, in, s->pass, pass_sink);
	for (uint32_t i = 0; i < old->n_in; i++)
		if (node_is_poison(in[i]))
			return in[i];
	if (kind == KIND_map && old->op != OP_copy)
		n = sink_map(s, to, old, in);
	else if ((kind == KIND_norm || kind == KIND_softmax || kind == KIND_reduce) &&
		 in[0]->op == OP_reshape && is_computed(in[0]->in[0]))
		n = kind == KIND_norm	   ? sink_norm(to, old, in)
		    : kind == KIND_softmax ? sink_softmax(to, old, in)
					   : sink_reduce(to, old, in);
	if (!n || !pass_allows(s->pass))
		return NULL;
	pass_remark(to, s->pass, s->pass->name, old->loc, NULL);
	return build_reshape(to, n, old->type.rank, old->type.dim);
}

struct graph *pass_sink(struct graph *g, struct pass *pass)
{
	struct sink s = {.pass = pass, .uses = graph_uses(g, g->context->arena)};
	return graph_rewrite(g, sink_rule, &s);
}
