/* Replacements of rules about elementwise operations, data movement and reductions. */
#include <math.h>
#include <string.h>

#include "rewrite.h"
#include "value.h"

/* ---- elementwise ---- */

struct node *build_constant_right(struct match *m)
{
	struct node *const *in = m->root->in;
	if (!constant_of(in[0]) || constant_of(in[1]))
		return NULL;
	return graph_node(m->g, m->root->op, (struct node *[]){in[1], in[0]}, 2,
			  (union attr){NULL});
}

static bool reciprocal_is_exact(enum normc_elem elem, double x)
{
	int exponent;
	double inverse = 1 / x;
	return isfinite(x) && x != 0 && fabs(frexp(x, &exponent)) == 0.5 &&
	       fabs(inverse) <= elem_largest(elem) && fabs(inverse) >= elem_smallest_normal(elem);
}

struct node *build_reciprocal(struct match *m)
{
	const struct node *c = constant_of(m->slot[3]);
	int64_t count = type_fixed_count(&c->type);
	if (!elem_is_float(c->type.elem) || count < 1 || count > 4096)
		return NULL;
	double *inverse = arena_new(m->g->context->arena, double, (size_t)count);
	for (int64_t i = 0; i < count; i++) {
		double x = constant_at(c, i);
		if (!reciprocal_is_exact(c->type.elem, x))
			return NULL;
		inverse[i] = 1 / x;
	}
	struct node *r = build_doubles(m->g, &c->type, inverse);
	return build_binary(m->g, OP_mul, m->slot[0],
			    build_broadcast(m->g, r, m->root->type.rank, m->root->type.dim));
}

struct node *build_cast_once(struct match *m)
{
	return graph_node(m->g, OP_cast, &m->slot[0], 1, m->root->attr);
}

struct node *build_unrepeated(struct graph *g, const struct node *n)
{
	const struct dim *small[MAX_RANK];
	struct node *in[3];
	bool smaller = false;
	for (int32_t i = 0; i < n->type.rank; i++) {
		bool all = true;
		for (uint32_t k = 0; k < n->n_in; k++)
			all = all && n->in[k]->op == OP_broadcast &&
			      dim_is(n->in[k]->in[0]->type.dim[i], 1);
		small[i] = all ? dim_const(g->context->dims, 1) : n->type.dim[i];
		smaller = smaller || small[i] != n->type.dim[i];
	}
	if (!smaller || n->n_in > 3)
		return NULL;
	for (uint32_t k = 0; k < n->n_in; k++)
		in[k] = build_broadcast(g, n->in[k]->in[0], n->type.rank, small);
	return graph_node(g, n->op, in, n->n_in, n->attr);
}

/* An elementwise operation on values that all repeat along some dimension is done before repeating.
 */
struct node *build_hoisted(struct match *m)
{
	struct node *a = build_unrepeated(m->g, m->root);
	return a ? build_broadcast(m->g, m->simpler(m, a), m->root->type.rank, m->root->type.dim)
		 : NULL;
}

/* ---- movement ---- */

struct parts {
	struct node **in;
	uint32_t n;
};

/* Two slices of one value that lie next to each other along the axis become one. */
static struct node *join_slices(struct graph *g, struct node *a, struct node *b, int32_t axis)
{
	struct dims *dims = g->context->dims;
	if (a->op != OP_slice || b->op != OP_slice || a->in[0] != b->in[0])
		return NULL;
	const struct attr_slice *x = a->attr.slice, *y = b->attr.slice;
	struct attr_slice attr;
	memcpy(&attr, x, sizeof attr);
	for (int32_t i = 0; i < a->type.rank; i++) {
		const struct dim *start = x->start[i];
		if (i == axis)
			start = dim_add(dims, start,
					dim_mul(dims, x->extent[i], dim_const(dims, x->step[i])));
		else if (x->extent[i] != y->extent[i])
			return NULL;
		if (y->start[i] != start || x->step[i] != y->step[i])
			return NULL;
	}
	attr.extent[axis] = dim_add(dims, x->extent[axis], y->extent[axis]);
	return graph_node(g, OP_slice, &a->in[0], 1, (union attr){.slice = &attr});
}

/* Leaves out empty parts and joins slices. */
struct node *build_concat_away(struct match *m)
{
	const struct node *n = m->root;
	int32_t axis = n->attr.axis->axis;
	struct parts parts = {arena_new(m->g->context->arena, struct node *, n->n_in), 0};
	for (uint32_t i = 0; i < n->n_in; i++) {
		struct node *last = parts.n ? parts.in[parts.n - 1] : NULL, *joined;
		if (dim_is(n->in[i]->type.dim[axis], 0) && (parts.n || i + 1 < n->n_in))
			continue;
		joined = last ? join_slices(m->g, last, n->in[i], axis) : NULL;
		if (joined)
			parts.in[parts.n - 1] = joined;
		else
			parts.in[parts.n++] = n->in[i];
	}
	if (parts.n == n->n_in && parts.n > 1)
		return NULL;
	for (uint32_t i = 0; i < parts.n; i++)
		parts.in[i] = m->simpler(m, parts.in[i]);
	return build_concat(m->g, parts.in, parts.n, axis);
}

struct node *build_concat_flat(struct match *m)
{
	const struct node *n = m->root;
	struct parts parts = {NULL, 0};
	for (uint32_t i = 0; i < n->n_in; i++) {
		const struct node *a = n->in[i];
		if (a->op == OP_concat && a->attr.axis->axis == n->attr.axis->axis)
			for (uint32_t k = 0; k < a->n_in; k++)
				PUSH(m->g->context->arena, parts.in, parts.n, a->in[k]);
		else
			PUSH(m->g->context->arena, parts.in, parts.n, n->in[i]);
	}
	return parts.n == n->n_in ? NULL
				  : build_concat(m->g, parts.in, parts.n, n->attr.axis->axis);
}

/* Reads the index as first, first + step, ...; every element must be known to exist. */
static bool even_index(const struct match *m, int64_t *first, int64_t *step)
{
	const struct node *data = m->slot[0], *index = constant_of(m->slot[3]);
	int64_t count = type_fixed_count(&index->type),
		extent = fixed_extent(&data->type, m->root->attr.axis->axis);
	*step = 1;
	if (index->op != OP_constant || index != m->slot[3] || index->type.rank > 1 || count < 1 ||
	    extent < 1)
		return false;
	for (int64_t i = 0; i < count; i++) {
		int64_t at = (int64_t)constant_at(index, i);
		at += at < 0 ? extent : 0;
		if (at < 0 || at >= extent)
			return false;
		if (i == 0)
			*first = at;
		else if (i == 1)
			*step = at - *first;
		if (at != *first + i * *step)
			return false;
	}
	return *step != 0;
}

struct node *build_gather_slice(struct match *m)
{
	int64_t first = 0, step;
	int32_t axis = m->root->attr.axis->axis;
	struct dims *dims = m->g->context->dims;
	if (!even_index(m, &first, &step))
		return NULL;
	const struct type *index = &m->slot[3]->type;
	const struct dim *extent = index->rank ? index->dim[0] : dim_const(dims, 1);
	struct node *a = build_slice(m->g, m->slot[0], axis,
				     (struct slice_range){dim_const(dims, first), extent, step});
	return build_reshape(m->g, m->simpler(m, a), m->root->type.rank, m->root->type.dim);
}

/* The inner one must not crop what the outer one adds to. */
struct node *build_pad_once(struct match *m)
{
	const struct attr_pad *outer = m->root->attr.pad, *inner = m->root->in[0]->attr.pad;
	struct dims *dims = m->g->context->dims;
	struct attr_pad attr;
	memset(&attr, 0, sizeof attr);
	if (outer->mode != PAD_CONSTANT || inner->mode != PAD_CONSTANT)
		return NULL;
	for (int32_t i = 0; i < m->root->type.rank; i++) {
		const struct dim *all[4] = {outer->before[i], outer->after[i], inner->before[i],
					    inner->after[i]};
		for (int k = 0; k < 4; k++)
			if (dim_lower_bound(all[k]) < 0)
				return NULL;
		attr.before[i] = dim_add(dims, inner->before[i], outer->before[i]);
		attr.after[i] = dim_add(dims, inner->after[i], outer->after[i]);
	}
	return build_pad(m->g, m->slot[0], m->slot[1], &attr);
}

/* Adds padding to the windows' own; not where zeros stand between the elements, since they would
 * also follow. */
static bool add_padding(struct match *m, int32_t spatial, const struct dim **before,
			const struct dim **after)
{
	const struct attr_pad *pad = m->root->in[0]->attr.pad;
	struct dims *dims = m->g->context->dims;
	for (int32_t i = 0; i < spatial; i++) {
		if (dim_lower_bound(pad->before[i + 2]) < 0 ||
		    dim_lower_bound(pad->after[i + 2]) < 0 || dim_lower_bound(before[i]) < 0 ||
		    dim_lower_bound(after[i]) < 0)
			return false;
		before[i] = dim_add(dims, before[i], pad->before[i + 2]);
		after[i] = dim_add(dims, after[i], pad->after[i + 2]);
	}
	return true;
}

struct node *build_conv_padded(struct match *m)
{
	struct attr_conv attr;
	memcpy(&attr, m->root->attr.conv, sizeof attr);
	for (int32_t i = 0; i < attr.spatial; i++)
		if (attr.x_dilation[i] != 1)
			return NULL;
	if (!add_padding(m, attr.spatial, attr.before, attr.after))
		return NULL;
	return build_conv(m->g, m->root->in[0]->in[0], m->root->in[1], &attr);
}

struct node *build_pool_padded(struct match *m)
{
	struct attr_pool attr;
	memcpy(&attr, m->root->attr.pool, sizeof attr);
	if (!add_padding(m, attr.spatial, attr.before, attr.after))
		return NULL;
	return build_pool(m->g, OP_pool_sum, m->root->in[0]->in[0], &attr);
}

/* ---- reductions ---- */

struct node *build_reduce_once(struct match *m)
{
	uint32_t axes = m->root->attr.axes->mask | m->root->in[0]->attr.axes->mask;
	return build_reduce(m->g, m->root->op, m->slot[0], axes, true);
}
