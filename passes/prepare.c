/* Rewrites the graph into what kernels can do directly:
 *   - convolutions read a padded, channels-last value without zeros in between: padding becomes a
 * pad (whose producer writes straight into its middle, see place.c), a transposed convolution's
 * zeros become pads and reshapes;
 *   - a view that strides cannot express gets a copy of its operand;
 *   - every output is a value of its own, in row-major order.
 * Layouts are decided on the way, because copies depend on them.
 */
#include <string.h>

#include "lower.h"

struct prepare {
	struct dims *dims;
	struct arena *arena;
	struct layout **layout; /* by new id */
	uint32_t n_layout;
	const uint32_t *uses;	   /* by old id */
	const struct order **hint; /* by old id: order that the only reader would like */
	const struct order **wish; /* by new id, once a hint was carried over */
	uint32_t n_wish;
};

static void set_at(struct arena *arena, void *array, uint32_t *n, uint32_t i, const void *value)
{
	const void ***a = array;
	while (*n <= i)
		PUSH(arena, *a, *n, NULL);
	(*a)[i] = value;
}

static struct layout *layout_of(struct prepare *s, const struct node *n)
{
	if (n->id < s->n_layout && s->layout[n->id])
		return s->layout[n->id];
	struct layout *l = arena_new(s->arena, struct layout, 1);
	if (op_info[n->op].kind == KIND_view) {
		*l = layout_view(s->dims, n, layout_of(s, n->in[0]));
	} else {
		const struct layout **in = arena_new(s->arena, const struct layout *, n->n_in + 1);
		for (uint32_t i = 0; i < n->n_in; i++)
			in[i] = layout_of(s, n->in[i]);
		const struct order *wish = n->id < s->n_wish ? s->wish[n->id] : NULL;
		l->strided = true;
		l->base = n;
		l->order = wish ? *wish : order_choose(n, in);
		l->offset = dim_const(s->dims, 0);
		order_strides(s->dims, &n->type, &l->order, l->stride);
	}
	set_at(s->arena, &s->layout, &s->n_layout, n->id, l);
	return l;
}

static struct node *copy_ordered(struct graph *to, struct node *n, const struct order *order)
{
	struct attr_perm attr;
	memset(&attr, 0, sizeof attr);
	memcpy(attr.perm, order->axis, sizeof attr.perm);
	return graph_node(to, OP_copy, &n, 1, (union attr){.perm = &attr});
}

/* A reshape that strides cannot express: copies the operand, into channels-last order if that
 * serves. */
static struct node *copy_for_reshape(struct prepare *s, struct graph *to, const struct node *old,
				     struct node *a)
{
	const struct dim *stride[MAX_RANK], *result[MAX_RANK];
	int32_t rank = a->type.rank;
	struct order last = order_canonical(rank);
	if (rank == 5) { /* n, groups, channels, height, width */
		static const int32_t channels_last[5] = {0, 3, 4, 1, 2};
		memcpy(last.axis, channels_last, sizeof channels_last);
		order_strides(s->dims, &a->type, &last, stride);
		if (layout_of(s, a)->base->type.rank == 4 &&
		    reshape_strides(s->dims, &a->type, stride, &old->type, result))
			return copy_ordered(to, a, &last);
	}
	last = order_canonical(rank);
	return copy_ordered(to, a, &last);
}

static struct node *prepare_view(struct prepare *s, struct graph *to, const struct node *old,
				 struct node *const *in)
{
	struct node *view = graph_clone(to, old, in);
	if (node_is_poison(view) || op_info[view->op].kind != KIND_view ||
	    layout_of(s, view)->strided)
		return view;
	struct node *copy = copy_for_reshape(s, to, old, in[0]);
	return graph_clone(to, old, &copy);
}

/* Puts step-1 zeros between the elements of one dimension: extend each element to `step`, then cut
 * the end. */
static struct node *spread(struct graph *to, struct node *x, int32_t axis, int64_t step)
{
	struct dims *dims = to->context->dims;
	const struct dim *extent = x->type.dim[axis], *one = dim_const(dims, 1),
			 *zero = dim_const(dims, 0);
	struct attr_pad pad;
	memset(&pad, 0, sizeof pad);
	struct node *y = build_unsqueeze(to, x, 1u << (axis + 1));
	const struct dim *flat[MAX_RANK];
	for (int32_t i = 0; i < y->type.rank; i++) {
		pad.before[i] = zero;
		pad.after[i] = i == axis + 1 ? dim_const(dims, step - 1) : zero;
	}
	y = build_pad(to, y, build_number(to, x->type.elem, 0), &pad);
	memcpy(flat, x->type.dim, sizeof flat);
	flat[axis] = dim_mul(dims, extent, dim_const(dims, step));
	y = build_reshape(to, y, x->type.rank, flat);
	const struct dim *kept = dim_add(
			dims, dim_mul(dims, dim_sub(dims, extent, one), dim_const(dims, step)),
			one);
	return build_slice(to, y, axis, (struct slice_range){zero, kept, 1});
}

static struct node *prepare_conv(struct prepare *s, struct graph *to, const struct node *old,
				 struct node *const *in)
{
	struct attr_conv attr;
	memcpy(&attr, old->attr.conv, sizeof attr);
	const struct dim *zero = dim_const(s->dims, 0);
	struct node *x = in[0];
	struct attr_pad pad;
	memset(&pad, 0, sizeof pad);
	for (int32_t i = 0; i < x->type.rank; i++)
		pad.before[i] = pad.after[i] = zero;
	for (int32_t i = 0; i < attr.spatial; i++) {
		if (attr.x_dilation[i] > 1)
			x = spread(to, x, i + 2, attr.x_dilation[i]);
		attr.x_dilation[i] = 1;
		pad.before[i + 2] = attr.before[i];
		pad.after[i + 2] = attr.after[i];
		attr.before[i] = attr.after[i] = zero;
	}
	struct order last = order_channels_last(x->type.rank);
	struct node *padded = build_pad(to, x, build_number(to, x->type.elem, 0), &pad);
	if (padded != x)
		set_at(s->arena, &s->wish, &s->n_wish, padded->id,
		       arena_copy(s->arena, &last, sizeof last));
	else if (!layout_of(s, x)->strided || !dim_is(layout_of(s, x)->stride[1], 1))
		padded = copy_ordered(to, x, &last);
	return build_conv(to, padded, in[1], &attr);
}

static struct node *prepare_pool(struct prepare *s, struct graph *to, const struct node *old,
				 struct node *const *in)
{
	struct order last = order_channels_last(in[0]->type.rank);
	struct node *x = in[0];
	if (!layout_of(s, x)->strided || !dim_is(layout_of(s, x)->stride[1], 1))
		x = copy_ordered(to, x, &last);
	return graph_clone(to, old, &x);
}

/* Parameters of a norm are read at the input's indices: strides 0 where they do not vary. */
static struct node *prepare_norm(struct graph *to, const struct node *old, struct node *const *in)
{
	struct node *operand[5] = {in[0]};
	for (uint32_t i = 1; i < old->n_in && i < 5; i++)
		operand[i] = build_broadcast(to, in[i], in[0]->type.rank, in[0]->type.dim);
	return graph_clone(to, old, operand);
}

/* Regions read dense, row-major operands; their own nodes are prepared when they are lowered. */
static struct node *prepare_region(struct prepare *s, struct graph *to, const struct node *old,
				   struct node *const *in)
{
	struct node **operand = arena_new(s->arena, struct node *, old->n_in + 1);
	for (uint32_t i = 0; i < old->n_in; i++) {
		const struct layout *l = layout_of(s, in[i]);
		struct order canonical = order_canonical(in[i]->type.rank);
		bool dense = l->strided && layout_dense(s->dims, &in[i]->type, l->stride);
		operand[i] = dense ? in[i] : copy_ordered(to, in[i], &canonical);
	}
	return graph_clone(to, old, operand);
}

static struct node *prepare_node(struct graph *to, const struct node *old, struct node *const *in,
				 void *user)
{
	struct prepare *s = user;
	struct node *n = NULL;
	for (uint32_t i = 0; i < old->n_in; i++)
		if (node_is_poison(in[i]))
			return in[i];
	for (uint32_t i = 0; i < old->n_in; i++)
		layout_of(s, in[i]); /* in order, so that it never calls itself deeply */
	switch (op_info[old->op].kind) {
	case KIND_view:
		n = prepare_view(s, to, old, in);
		break;
	case KIND_conv:
		n = prepare_conv(s, to, old, in);
		break;
	case KIND_window:
		n = prepare_pool(s, to, old, in);
		break;
	case KIND_norm:
		n = prepare_norm(to, old, in);
		break;
	case KIND_region:
		n = prepare_region(s, to, old, in);
		break;
	default:
		n = graph_clone(to, old, in);
	}
	if (s->hint[old->id] && op_info[n->op].kind != KIND_view &&
	    op_info[n->op].kind != KIND_source)
		set_at(s->arena, &s->wish, &s->n_wish, n->id, s->hint[old->id]);
	return n;
}

/* A product whose only reader is a transpose that keeps the last dimension is best written in that
 * order at once: then the transpose, and the reshape behind it, are views. Carried backwards
 * through elementwise readers. */
static void find_hints(struct prepare *s, const struct graph *g)
{
	s->hint = arena_new(s->arena, const struct order *, g->n_nodes + 1);
	for (uint32_t i = g->n_nodes; i-- > 0;) {
		const struct node *n = g->nodes[i];
		if (n->op == OP_transpose && s->uses[n->in[0]->id] == 1 &&
		    n->attr.perm->perm[n->type.rank - 1] == n->type.rank - 1) {
			struct order *o = arena_new(s->arena, struct order, 1);
			memcpy(o->axis, n->attr.perm->perm, sizeof o->axis);
			if (n->in[0]->op == OP_matmul || op_info[n->in[0]->op].kind == KIND_map)
				s->hint[n->in[0]->id] = o;
		}
		if (op_info[n->op].kind == KIND_map && s->hint[i])
			for (uint32_t k = 0; k < n->n_in; k++)
				if (s->uses[n->in[k]->id] == 1 &&
				    (n->in[k]->op == OP_matmul ||
				     op_info[n->in[k]->op].kind == KIND_map))
					s->hint[n->in[k]->id] = s->hint[i];
	}
}

/* Whether one of the first `count` outputs lies in the memory of n. */
static bool is_output(const struct graph *g, uint32_t count, const struct node *n)
{
	for (uint32_t k = 0; k < count; k++)
		if (output_base(g->outputs[k]) == n)
			return true;
	return false;
}

/* Whether a kernel can write output i straight into the caller's memory: the value itself, or what
 * it is a reshape of, is computed, dense, row-major, and not another output. */
static bool written_by_kernel(struct prepare *s, const struct graph *g, uint32_t i)
{
	const struct node *n = output_base(g->outputs[i]);
	enum op_kind kind = op_info[n->op].kind;
	struct order canonical = order_canonical(n->type.rank);
	if (kind == KIND_view || kind == KIND_source ||
	    !order_equal(&layout_of(s, n)->order, &canonical, n->type.rank))
		return false;
	return !is_output(g, i, n);
}

/* Outputs are written row-major by the kernel of their own node, or by a copy. */
static void prepare_outputs(struct prepare *s, struct graph *g)
{
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		struct node *n = g->outputs[i];
		if (node_is_poison(n) || written_by_kernel(s, g, i))
			continue;
		struct order canonical = order_canonical(n->type.rank);
		g->at = n->loc;
		struct node *copy = copy_ordered(g, n, &canonical);
		while (is_output(g, i, copy)) /* the same value twice: a copy of the copy */
			copy = copy_ordered(g, copy, &canonical);
		g->outputs[i] = copy;
	}
}

struct graph *prepare(struct graph *g, struct layout ***layout_by_id)
{
	struct prepare s = {.dims = g->context->dims, .arena = g->context->arena};
	s.uses = graph_uses(g, s.arena);
	find_hints(&s, g);
	struct graph *to = graph_rewrite(g, prepare_node, &s);
	prepare_outputs(&s, to);
	for (uint32_t i = 0; i < to->n_nodes; i++)
		if (!node_is_poison(to->nodes[i]))
			layout_of(&s, to->nodes[i]);
	*layout_by_id = s.layout;
	return g->context->diag->errors ? NULL : to;
}
