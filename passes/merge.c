/* Products of products: two neighbours with constant weights become one where that saves work.
 *
 *	(u W1 + b1) W2                = u (W1 W2) + b1 W2
 *	W2 (W1 u + b1)                = (W2 W1) u + W2 b1
 *	conv1x1(conv(u, W1) + b1, W2) = conv(u, W2 W1) + W2 b1
 *
 * (The last: a frozen convolution with learned combinations of its filters; padding belongs to the
 * first.  Adjacent linear layers: Wu et al., Simplifying graph convolutional networks, ICML 2019.)
 * Low-rank pairs stay: the merged weights would be larger than both.  The weights are multiplied in
 * fp64 and rounded once.
 */
#include <string.h>

#include "pass.h"
#include "value.h"
#include "weights.h"

/* A constant matrix, as an operand of a product. */
struct matrix {
	const struct node *c; /* OP_constant; all but its last two extents are 1 */
	bool transposed;      /* it is read through a transpose */
	int64_t rows, columns;
};

/* A product with constant weights, and a bias behind it. */
struct layer {
	struct node *product;
	struct node *u; /* its other operand */
	struct matrix w;
	uint32_t side;	   /* operand that is constant */
	struct node *bias; /* numbers; NULL: none */
};

struct merge {
	struct pass *pass;
	const uint32_t *uses; /* by old id */
};

/* ---- finding ---- */

static const struct node *behind_broadcast(const struct node *n)
{
	return n->op == OP_broadcast ? n->in[0] : n;
}

static bool swaps_last(const struct attr_perm *perm, int32_t rank)
{
	for (int32_t i = 0; i < rank - 2; i++)
		if (perm->perm[i] != i)
			return false;
	return perm->perm[rank - 1] == rank - 2;
}

static bool find_matrix(const struct node *operand, struct matrix *m)
{
	const struct node *n = behind_broadcast(operand);
	int32_t rank = n->type.rank;
	*m = (struct matrix){0};
	if (n->op == OP_transpose && swaps_last(n->attr.perm, rank)) {
		m->transposed = true;
		n = behind_broadcast(n->in[0]);
	}
	if (n->op != OP_constant || !elem_is_float(n->type.elem))
		return false;
	for (int32_t i = 0; i < rank - 2; i++)
		if (!dim_is(n->type.dim[i], 1))
			return false;
	m->c = n;
	m->rows = fixed_extent(&n->type, rank - (m->transposed ? 1 : 2));
	m->columns = fixed_extent(&n->type, rank - (m->transposed ? 2 : 1));
	/* a broadcast along its rows or columns is no matrix in memory */
	return m->rows > 0 && m->columns > 0 && m->rows == fixed_extent(&operand->type, rank - 2) &&
	       m->columns == fixed_extent(&operand->type, rank - 1);
}

/* Filters of a convolution without groups, [o][c * k...]. */
static bool find_filters(const struct node *n, struct matrix *m)
{
	const struct node *c = n->in[1]; /* not a broadcast of one */
	if (c->op != OP_constant || n->attr.conv->groups != 1 || !elem_is_float(c->type.elem))
		return false;
	int64_t count = type_fixed_count(&c->type), filters = fixed_extent(&c->type, 0);
	if (count <= 0)
		return false;
	*m = (struct matrix){.c = c, .rows = filters, .columns = count / filters};
	return true;
}

static bool find_product(struct node *n, struct layer *l)
{
	l->product = n;
	if (n->op == OP_conv) {
		l->side = 1;
		l->u = n->in[0];
		return find_filters(n, &l->w);
	}
	if (n->op != OP_matmul)
		return false;
	for (uint32_t side = 0; side < 2; side++)
		if (find_matrix(n->in[side], &l->w)) {
			l->side = side;
			l->u = n->in[1 - side];
			return true;
		}
	return false;
}

/* Axis of the product's result along which its weights make different values. */
static int32_t channel_axis(const struct layer *l)
{
	int32_t rank = l->product->type.rank;
	return l->product->op == OP_conv ? 1 : l->side ? rank - 1 : rank - 2;
}

static int64_t channels(const struct layer *l)
{
	return l->product->op != OP_conv && l->side ? l->w.columns : l->w.rows;
}

/* n = product + biases */
static bool find_layer(struct graph *g, struct node *n, struct layer *l)
{
	struct node *product = n;
	*l = (struct layer){0};
	while (product->op == OP_add && constant_of(product->in[1]))
		product = product->in[0];
	if (!find_product(product, l))
		return false;
	for (; n != product; n = n->in[0]) {
		struct node *b = numbers_of(g, n->in[1], channel_axis(l), channels(l), 0);
		if (!b)
			return false;
		l->bias = l->bias ? numbers_binary(g, OP_add, l->bias, b) : b;
	}
	return true;
}

/* Nobody else reads what would go away. */
static bool is_read_once(const struct merge *m, const struct node *old)
{
	while (old->op == OP_add && constant_of(old->in[1]) && m->uses[old->id] == 1)
		old = old->in[0];
	return m->uses[old->id] == 1;
}

static bool is_pointwise(const struct node *conv)
{
	const struct attr_conv *c = conv->attr.conv;
	for (int32_t i = 0; i < c->spatial; i++)
		if (!dim_is(conv->in[1]->type.dim[2 + i], 1) || c->stride[i] != 1 ||
		    c->x_dilation[i] != 1 || !dim_is(c->before[i], 0) || !dim_is(c->after[i], 0))
			return false;
	return true;
}

static bool fit_together(const struct layer *first, const struct layer *second)
{
	if (first->product->op != second->product->op || first->side != second->side)
		return false;
	if (first->product->op == OP_conv)
		return is_pointwise(second->product) && second->w.columns == first->w.rows;
	return first->product->type.rank == second->product->type.rank;
}

/* Multiplications for each row or position. */
static bool saves_work(const struct layer *first, const struct layer *second)
{
	bool right = first->side && first->product->op != OP_conv;
	const struct matrix *a = &first->w, *b = &second->w;
	double rows = (double)(right ? a->rows : b->rows),
	       columns = (double)(right ? b->columns : a->columns);
	return rows * columns <
	       (double)a->rows * (double)a->columns + (double)b->rows * (double)b->columns;
}

/* ---- merging ---- */

static struct node *as_matrix(struct graph *g, const struct matrix *m)
{
	static const int32_t swap[2] = {1, 0};
	const struct dim *dim[2] = {
			dim_const(g->context->dims, m->transposed ? m->columns : m->rows),
			dim_const(g->context->dims, m->transposed ? m->rows : m->columns)};
	struct node *n = build_exact(g, &m->c->type, m->c->attr.data->p, m->c->attr.data->residue);
	n = weights_now(g, build_reshape(g, n, 2, dim));
	n = n ? weights_now(g, build_cast(g, n, NORMC_F64)) : NULL;
	return n && m->transposed ? weights_now(g, build_transpose(g, n, swap)) : n;
}

static struct node *multiplied(struct graph *g, struct node *a, struct node *b)
{
	return a && b ? weights_now(g, build_matmul(g, a, b)) : NULL;
}

/* b1 W2 or W2 b1, as numbers. */
static struct node *merged_bias(struct graph *g, const struct layer *first, struct node *w2)
{
	int64_t n = numbers_count(first->bias);
	bool right = first->side && first->product->op != OP_conv;
	const struct dim *dim[2] = {dim_const(g->context->dims, right ? 1 : n),
				    dim_const(g->context->dims, right ? n : 1)};
	struct node *b = weights_now(g, build_reshape(g, first->bias, 2, dim));
	b = right ? multiplied(g, b, w2) : multiplied(g, w2, b);
	const struct dim *all = b ? b->type.dim[right ? 1 : 0] : NULL;
	return b ? weights_now(g, build_reshape(g, b, 1, &all)) : NULL;
}

/* The merged weights in the shape and type of an operand. */
static struct node *as_operand(struct graph *g, const struct layer *first,
			       const struct layer *second, struct node *w)
{
	struct type t = first->w.c->type;
	const struct type *full = &first->product->in[first->side]->type;
	if (first->product->op == OP_conv) {
		t.dim[0] = second->w.c->type.dim[0];
		full = &t;
	} else {
		const struct type *other = &second->product->in[first->side]->type;
		for (int32_t i = 0; i < t.rank; i++)
			t.dim[i] = dim_const(g->context->dims, 1);
		t.dim[t.rank - 2] = w->type.dim[0];
		t.dim[t.rank - 1] = w->type.dim[1];
		full = other;
	}
	w = weights_now(g, build_cast(g, w, t.elem));
	if (!w || greatest_magnitude(w) > elem_largest(t.elem))
		return NULL;
	w = weights_now(g, build_reshape(g, w, t.rank, t.dim));
	struct type to = t;
	for (int32_t i = 0; w && i < t.rank - 2 && first->product->op != OP_conv; i++)
		to.dim[i] = full->dim[i];
	return w ? build_broadcast(g, w, to.rank, to.dim) : NULL;
}

static struct node *merged(struct graph *g, const struct layer *first, const struct layer *second)
{
	bool right = first->side && first->product->op != OP_conv;
	struct node *w1 = as_matrix(g, &first->w), *w2 = as_matrix(g, &second->w);
	struct node *w = right ? multiplied(g, w1, w2) : multiplied(g, w2, w1);
	struct node *bias = w && first->bias ? merged_bias(g, first, w2) : NULL;
	w = w && (bias || !first->bias) ? as_operand(g, first, second, w) : NULL;
	if (!w)
		return NULL;
	struct node *in[2] = {first->u, first->u};
	in[first->side] = w;
	struct node *y = graph_node(g, first->product->op, in, 2, first->product->attr);
	if (!bias)
		return y;
	enum normc_elem elem = y->type.elem;
	return build_binary(g, OP_add, y,
			    numbers_along(g, bias, elem, y->type.rank, channel_axis(second)));
}

static struct node *merge_rule(struct graph *to, const struct node *old, struct node *const *in,
			       void *user)
{
	struct merge *m = user;
	struct layer first, second;
	const char *missed = NULL;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, m->pass, pass_merge);
	struct node here = *old;
	here.in = (struct node **)in;
	if (!find_product(&here, &second) || !find_layer(to, second.u, &first) ||
	    !fit_together(&first, &second))
		return NULL;
	to->at.via = m->pass->name;
	struct node *y = NULL;
	if (!is_read_once(m, old->in[1 - second.side]))
		missed = "the product before it has other readers, which need it as it is";
	else if (!saves_work(&first, &second))
		missed = "one product with the merged weights would cost more than the two";
	else if (!(y = merged(to, &first, &second)))
		missed = "the merged weights are too large to be computed here, or overflow";
	if (y && !pass_allows(m->pass))
		return NULL;
	pass_remark(to, m->pass, m->pass->name, old->loc, missed);
	to->at = old->loc;
	return y;
}

struct graph *pass_merge(struct graph *g, struct pass *pass)
{
	struct merge m = {.pass = pass, .uses = graph_uses(g, g->context->arena)};
	return pass->strict ? g : graph_rewrite(g, merge_rule, &m);
}
