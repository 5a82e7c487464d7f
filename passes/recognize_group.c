/* Norms of groups of channels, through reshapes.
 *
 *	x [N, C, S...] -> [N, G, ...] -> norm over all but N and G -> [N, C, S...]
 *
 * becomes what GroupNormalization means (Wu and He 2018): x as [N, G, C/G, S...], with parameters
 * for each channel [1, G, C/G, 1...] inside the norm.  With one channel in each group it is
 * InstanceNormalization (Ulyanov, Vedaldi and Lempitsky 2016) and needs no reshape.  The leading
 * dimensions may be one of N*G.
 */
#include <string.h>

#include "recognize.h"
#include "rewrite.h"
#include "value.h"

/* Number of leading dimensions when exactly the others are normalized; 0 if they are not. */
static int32_t leading_dimensions(const struct node *norm)
{
	int32_t rank = norm->type.rank;
	uint32_t all = (1u << rank) - 1;
	for (int32_t first = 1; first < rank; first++)
		if (norm->attr.norm->axes == (all & ~((1u << first) - 1)))
			return first;
	return 0;
}

/* Number of groups if the first `leading` dimensions of `split` are the first of x and the groups;
 * 0 if they are not. */
static int64_t count_groups(struct dims *dims, const struct type *x, const struct type *split,
			    int32_t leading)
{
	const struct dim *count = dim_const(dims, 1);
	for (int32_t i = 0; i < leading; i++)
		count = dim_mul(dims, count, split->dim[i]);
	const struct dim *groups = dim_div(dims, count, x->dim[0]);
	if (!dim_is_const(groups) || dim_mul(dims, groups, x->dim[0]) != count)
		return 0;
	int64_t channels = fixed_extent(x, 1), n = groups->value;
	return n >= 1 && channels >= n && channels % n == 0 ? n : 0;
}

/* The shape to normalize, and the first of the normalized axes. */
static int32_t group_shape(struct dims *dims, const struct type *x, int64_t groups, struct type *to)
{
	int64_t channels = fixed_extent(x, 1);
	*to = *x;
	if (groups == channels)
		return 2;
	to->rank = x->rank + 1;
	to->dim[1] = dim_const(dims, groups);
	to->dim[2] = dim_const(dims, channels / groups);
	for (int32_t i = 2; i < x->rank; i++)
		to->dim[i + 1] = x->dim[i];
	return 2;
}

static bool has_given(const struct attr_norm *attr)
{
	return attr->centre == NORM_CENTRE_GIVEN || attr->scale == NORM_SCALE_GIVEN;
}

/* The norm's parameters in the other shape, neutral ones left out. */
static bool move_parameters(struct graph *g, const struct node *norm, const struct type *to,
			    struct attr_norm *attr, struct norm_operands *operands)
{
	uint32_t k = 1;
	for (int side = 0; side < 2; side++) {
		bool *has = side ? &attr->beta : &attr->gamma;
		const struct dim *dim[MAX_RANK];
		double number;
		if (!*has)
			continue;
		struct node *p = norm->in[k++];
		*has = !splat_of(p, &number) || number != (side ? 0 : 1);
		if (!*has)
			continue;
		if (!reshape_repeated(g->context->dims, &p->type, &norm->type, to, dim))
			return false;
		*(side ? &operands->beta : &operands->gamma) = build_reshape(g, p, to->rank, dim);
	}
	return true;
}

struct node *recognize_group(struct recognize *r, struct graph *g, const struct node *old,
			     struct node *const *in)
{
	struct node *norm = in[0];
	struct type to;
	if (norm->op != OP_norm || r->uses[old->in[0]->id] != 1 || norm->in[0]->op != OP_reshape ||
	    has_given(norm->attr.norm))
		return NULL;
	struct node *x = norm->in[0]->in[0];
	int32_t leading = leading_dimensions(norm), rank = x->type.rank;
	if (!leading || !type_same_shape(&x->type, &old->type) || rank < 2 || rank >= MAX_RANK)
		return NULL;
	int64_t groups = count_groups(g->context->dims, &x->type, &norm->type, leading);
	/* over everything, or over the last of three axes: nothing says that these are channels */
	if (!groups || (leading == 1 && (groups == 1 || rank < 4)))
		return NULL;
	/* of single elements, or rows that a product flattened and a norm has apart */
	if (rank == 2 && (dim_is(x->type.dim[1], groups) || groups == 1))
		return NULL;
	struct attr_norm attr;
	struct norm_operands operands = {NULL};
	memcpy(&attr, norm->attr.norm, sizeof attr);
	int32_t first = group_shape(g->context->dims, &x->type, groups, &to);
	attr.axes = ((1u << to.rank) - 1) & ~((1u << first) - 1);
	if (type_same_shape(&to, &norm->type) || !move_parameters(g, norm, &to, &attr, &operands))
		return NULL;
	operands.x = build_reshape(g, x, to.rank, to.dim);
	return build_reshape(g, build_norm(g, operands, &attr), rank, x->type.dim);
}

/* Whether it varies along the channels at most: the second axis or the last. */
static bool is_per_channel(const struct type *t)
{
	uint32_t varies = 0;
	for (int32_t i = 0; i < t->rank; i++)
		if (!dim_is(t->dim[i], 1))
			varies |= 1u << i;
	return !varies || varies == 2 || varies == 1u << (t->rank - 1);
}

/* Whether n is a norm moved there and back. */
static bool is_moved_norm(const struct node *n)
{
	return n->op == OP_reshape && n->in[0]->op == OP_norm &&
	       n->in[0]->in[0]->op == OP_reshape &&
	       type_same_shape(&n->in[0]->in[0]->in[0]->type, &n->type);
}

/* Whether only the node reads its operand k, and only that what it reshapes. */
static bool is_read_once(const struct recognize *r, const struct node *old, uint32_t k)
{
	const struct node *was = old->in[k];
	return r->uses[was->id] == 1 && (was->op != OP_reshape || r->uses[was->in[0]->id] == 1);
}

struct node *recognize_group_parameter(struct recognize *r, struct graph *g, const struct node *old,
				       struct node *const *in)
{
	const struct dim *dim[MAX_RANK];
	uint32_t k = is_moved_norm(in[0]) ? 0 : 1;
	struct node *back = in[k], *p = unrepeated(in[1 - k]);
	if (!is_moved_norm(back) || p->op != OP_constant || has_given(back->in[0]->attr.norm))
		return NULL;
	struct node *norm = back->in[0];
	if (!is_per_channel(&p->type)) {
		r->missed = "it varies along another axis than the channels";
		return NULL;
	}
	if (!is_read_once(r, old, k)) {
		r->missed = "the norm before it has other readers";
		return NULL;
	}
	if (!reshape_repeated(g->context->dims, &p->type, &back->type, &norm->type, dim))
		return NULL;
	p = build_reshape(g, p, norm->type.rank, dim);
	norm = recognize_join(g, norm, old->op, p);
	return norm ? build_reshape(g, norm, back->type.rank, back->type.dim) : NULL;
}
