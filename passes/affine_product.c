/* Products and convolutions with constant weights take affine maps in (affine.h).
 *
 * Behind the product, s multiplies the weights of each column or filter and t is a bias.  Before
 * it, s multiplies the weights that meet each feature, and W t is the bias; where a convolution is
 * padded, that bias differs at the border, since the padding is not shifted (affine_border.c).
 * Weights may stand behind views, which folding leaves where they are large.
 */
#include <string.h>

#include "affine.h"
#include "affine_border.h"
#include "axis.h"
#include "value.h"
#include "weights.h"

/* ---- finding ---- */

static bool is_view(const struct node *n)
{
	return op_info[n->op].kind == KIND_view;
}

/* Follows an axis of the weights to the constant that they are views of. */
static bool find_constant(struct graph *g, struct product *p, int32_t axis)
{
	struct node *n = p->node->in[p->operand];
	bool viewed = false;
	for (; is_view(n); n = n->in[0]) {
		viewed = viewed || n->op != OP_broadcast;
		axis = axis_into(g->context->dims, n, 0, axis);
		if (axis < 0)
			return false;
	}
	p->constant = n;
	p->axis = axis;
	return n->op == OP_constant && elem_is_float(n->type.elem) &&
	       n->type.elem == p->node->type.elem && !(viewed && p->groups > 1) && p->n > 0 &&
	       p->n <= MOST_NUMBERS && fixed_extent(&n->type, axis) * p->groups == p->n;
}

bool product_before(struct graph *g, struct node *n, const struct affine *a, struct product *p)
{
	int32_t last = n->type.rank - 1, axis = a->axis;
	*p = (struct product){.node = n, .operand = 1, .groups = 1};
	if (n->op == OP_conv) {
		p->n = fixed_extent(&n->type, 1);
		return (axis < 0 || axis == 1) && find_constant(g, p, 0);
	}
	if (n->op != OP_matmul)
		return false;
	for (int32_t k = 1; k >= 0; k--) {
		int32_t columns = last - (k ? 0 : 1);
		p->operand = (uint32_t)k;
		p->n = fixed_extent(&n->type, columns);
		if ((axis < 0 || axis == columns) && find_constant(g, p, columns))
			return true;
	}
	return false;
}

bool product_after(struct graph *g, struct node *n, uint32_t k, const struct affine *a,
		   struct product *p)
{
	const struct type *x = &n->in[k]->type;
	*p = (struct product){.node = n, .operand = 1 - k, .groups = 1};
	if (n->op == OP_conv && k == 0) {
		p->groups = n->attr.conv->groups;
		p->n = fixed_extent(x, 1);
		return (a->axis < 0 || a->axis == 1) && find_constant(g, p, 1);
	}
	if (n->op != OP_matmul)
		return false;
	int32_t last = x->rank - 1, summed = last - (k == 0 ? 0 : 1);
	p->n = fixed_extent(x, summed);
	return (a->axis < 0 || a->axis == summed) && find_constant(g, p, last - (k == 0 ? 1 : 0));
}

bool product_is_padded(const struct product *p)
{
	if (p->node->op != OP_conv)
		return false;
	const struct attr_conv *c = p->node->attr.conv;
	for (int32_t i = 0; i < c->spatial; i++)
		if (!dim_is(c->before[i], 0) || !dim_is(c->after[i], 0) || c->x_dilation[i] != 1)
			return true;
	return false;
}

/* ---- taking in ---- */

/* Types of few bits lose them where weights become small. */
static bool keeps_bits(const struct node *s, enum normc_elem elem)
{
	if (elem == NORMC_F64 || elem == NORMC_F32 || elem == NORMC_BF16)
		return true;
	for (int64_t i = 0; i < numbers_count(s); i++) {
		double x = numbers_values(s)[i];
		if (x != 0 && x < 0x1p-6 && x > -0x1p-6)
			return false;
	}
	return true;
}

static bool scale_weights(struct graph *g, const struct product *p, const struct affine *a,
			  struct taken *t, const char **why)
{
	struct weights_axis at = {p->axis, p->groups};
	if (!a->s)
		return true;
	if (!keeps_bits(a->s, p->constant->type.elem)) {
		*why = "whose folded weights would lose bits in their type";
		return false;
	}
	t->weights = weights_scaled(g, p->constant, at, affine_spread(g, a->s, p->n));
	*why = "whose folded weights would overflow";
	return t->weights != NULL;
}

/* f64 as the type of the product; NULL if it does not fit. */
static struct node *narrowed(struct graph *g, struct node *bias, enum normc_elem elem)
{
	if (!bias || !(greatest_magnitude(bias) <= elem_largest(elem)))
		return NULL;
	return weights_now(g, build_cast(g, bias, elem));
}

bool product_take_before(struct graph *g, const struct product *p, const struct affine *a,
			 struct taken *t, const char **why)
{
	const struct type *type = &p->node->type;
	*t = (struct taken){NULL, NULL};
	if (!scale_weights(g, p, a, t, why))
		return false;
	if (!a->t)
		return true;
	*why = "whose folded bias would overflow";
	if (!numbers_fit(a->t, type->elem))
		return false;
	t->bias = numbers_along(g, a->t, type->elem, type->rank, a->axis < 0 ? 0 : a->axis);
	return true;
}

/* The views of the weights, of a constant whose axis has been summed; n is the outermost. NULL: not
 * possible. */
static struct node *summed_views(struct graph *g, const struct node *n, int32_t axis,
				 struct node *sum)
{
	struct node *x = sum;
	const struct dim *one = dim_const(g->context->dims, 1), *dim[MAX_RANK];
	struct attr_slice slice;
	if (n->op == OP_constant)
		return sum;
	x = summed_views(g, n->in[0], axis_into(g->context->dims, n, 0, axis), sum);
	if (!x)
		return NULL;
	switch (n->op) {
	case OP_transpose:
		return weights_now(g, build_transpose(g, x, n->attr.perm->perm));
	case OP_reshape:
		for (int32_t i = 0; i < n->type.rank; i++)
			dim[i] = i == axis ? one : n->type.dim[i];
		return weights_now(g, build_reshape(g, x, n->type.rank, dim));
	case OP_slice:
		memcpy(&slice, n->attr.slice, sizeof slice);
		slice.start[axis] = dim_const(g->context->dims, 0);
		slice.extent[axis] = one;
		slice.step[axis] = 1;
		return weights_now(g,
				   graph_node(g, OP_slice, &x, 1, (union attr){.slice = &slice}));
	default:
		return NULL;
	}
}

/* W t, with the rank of the weights and extent 1 where they are summed. */
static struct node *summed_weights(struct graph *g, const struct product *p, const struct affine *a)
{
	const struct node *w = p->node->in[p->operand];
	struct weights_axis at = {p->axis, p->groups};
	struct node *sum = weights_summed(g, p->constant, at, affine_spread(g, a->t, p->n));
	int32_t axis = p->node->op == OP_conv ? 1 : w->type.rank - (p->operand == 1 ? 2 : 1);
	while (w->op == OP_broadcast)
		w = w->in[0];
	return summed_views(g, w, axis, sum);
}

/* [o, 1, k...] summed to [1, o, 1...] */
static struct node *summed_kernels(struct graph *g, struct node *kernels)
{
	const struct dim *one = dim_const(g->context->dims, 1), *dim[MAX_RANK];
	int32_t rank = kernels->type.rank;
	uint32_t spatial = ((1u << rank) - 1) & ~3u;
	for (int32_t i = 0; i < rank; i++)
		dim[i] = i == 1 ? kernels->type.dim[0] : one;
	struct node *sum = weights_now(g, build_reduce(g, OP_reduce_sum, kernels, spatial, true));
	return sum ? weights_now(g, build_reshape(g, sum, rank, dim)) : NULL;
}

static bool bias_after(struct graph *g, const struct product *p, const struct affine *a,
		       struct taken *t, const char **why)
{
	struct node *bias = summed_weights(g, p, a);
	*why = "whose padding must not be shifted, and whose bias for each position would be too "
	       "large or has no fixed extents; with fixed extents (--dim) it may be possible";
	if (bias && p->node->op == OP_conv)
		bias = product_is_padded(p) ? border_bias(g, p->node, bias)
					    : summed_kernels(g, bias);
	if (!bias)
		return false;
	*why = "whose folded bias would overflow";
	t->bias = narrowed(g, bias, p->node->type.elem);
	return t->bias != NULL;
}

bool product_take_after(struct graph *g, const struct product *p, const struct affine *a,
			struct taken *t, const char **why)
{
	*t = (struct taken){NULL, NULL};
	return (!a->t || bias_after(g, p, a, t, why)) && scale_weights(g, p, a, t, why);
}

/* ---- building ---- */

static struct node *copied(struct graph *to, const struct node *constant)
{
	return build_exact(to, &constant->type, constant->attr.data->p,
			   constant->attr.data->residue);
}

/* The views of the weights, of another constant. */
static struct node *viewed(struct graph *to, const struct node *n, const struct node *constant)
{
	if (n->op == OP_constant)
		return copied(to, constant);
	struct node *in = viewed(to, n->in[0], constant);
	return graph_clone(to, n, &in);
}

struct node *product_build(struct graph *to, const struct product *p, const struct taken *t,
			   struct node *const *in)
{
	struct node *operand[2] = {in[0], in[1]};
	if (t->weights)
		operand[p->operand] = viewed(to, p->node->in[p->operand], t->weights);
	struct node *y = graph_node(to, p->node->op, operand, 2, p->node->attr);
	return t->bias ? build_binary(to, OP_add, y, copied(to, t->bias)) : y;
}
