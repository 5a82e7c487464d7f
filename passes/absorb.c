/* Affine maps by constants before products: they join the weights of all their readers.
 *
 * y = s*x + t, with s and t constant along all axes but one (gamma and beta of a norm, a scale, a
 * shift), goes away when every reader, behind any movement that keeps the axis whole, is a product
 * with constant weights that sums over that axis: the weights become W diag(s), and W t joins the
 * bias.  A convolution with padding sees zeros beside the map's results, so that it takes a scale
 * but no shift.  The readers' weights are folded in fp64 and rounded once.
 *
 * The counterpart for maps behind products is fold_norm.c.
 */
#include <math.h>
#include <string.h>

#include "axis.h"
#include "eval_op.h"
#include "pass.h"
#include "value.h"

/* An affine map along an axis of its result. */
struct map {
	int32_t axis;
	int64_t n;
	double *s, *t;
	bool shifts; /* some t is not 0 */
};

/* A product that takes a map over. */
struct product {
	struct node *node;
	uint32_t weights;	      /* operand */
	const struct node *constant;  /* which is this, or its transpose */
	const struct attr_perm *perm; /* NULL: it is not transposed */
	int32_t axis;		      /* of the constant, that is summed over */
	const void *scaled;	      /* W diag(s) */
	const double *bias;	      /* W t; NULL: none */
	struct type bias_type;	      /* before perm */
	const struct product *next;
};

struct absorb {
	struct pass *pass;
	struct arena *arena;
	struct readers readers;
	bool *output;			/* by id */
	bool *gone;			/* by id: maps that are taken over */
	const struct product **product; /* by id: NULL: stays as it is */
	uint32_t fired;
	struct remark *missed; /* told if nothing fires any more */
	uint32_t n_missed;
};

/* ---- maps ---- */

/* The only axis along which the parameters vary; -1 if there are several. */
static int32_t axis_of_parameters(const struct node *const *parameter, uint32_t n)
{
	int32_t axis = -1;
	for (uint32_t k = 0; k < n; k++) {
		const struct node *c = parameter[k] ? constant_of(parameter[k]) : NULL;
		for (int32_t i = 0; c && i < c->type.rank; i++) {
			if (dim_is(c->type.dim[i], 1))
				continue;
			if (axis >= 0 && axis != i)
				return -1;
			axis = i;
		}
	}
	return axis;
}

static bool find_parameters(const struct node *n, const struct node **gamma,
			    const struct node **beta)
{
	*gamma = *beta = NULL;
	if (!elem_is_float(n->type.elem))
		return false;
	if (n->op == OP_norm && n->attr.norm->scale != NORM_SCALE_GIVEN &&
	    n->attr.norm->centre != NORM_CENTRE_GIVEN) {
		*gamma = n->attr.norm->gamma ? n->in[1] : NULL;
		*beta = n->attr.norm->beta ? n->in[n->attr.norm->gamma ? 2 : 1] : NULL;
	} else if (n->op == OP_mul) {
		*gamma = n->in[1];
	} else if (n->op == OP_add) {
		*beta = n->in[1];
	}
	if ((*gamma && !constant_of(*gamma)) || (*beta && !constant_of(*beta)))
		return false;
	return *gamma || *beta;
}

static bool find_map(const struct absorb *a, const struct node *n, struct map *m)
{
	const struct node *parameter[2];
	struct channel gamma, beta;
	if (!find_parameters(n, &parameter[0], &parameter[1]))
		return false;
	m->axis = axis_of_parameters(parameter, 2);
	m->n = m->axis < 0 ? -1 : fixed_extent(&n->type, m->axis);
	if (m->n < 1 || !channel_of(parameter[0], m->axis, m->n, &gamma) ||
	    !channel_of(parameter[1], m->axis, m->n, &beta))
		return false;
	m->s = arena_new(a->arena, double, (size_t)m->n);
	m->t = arena_new(a->arena, double, (size_t)m->n);
	for (int64_t i = 0; i < m->n; i++) {
		m->s[i] = channel_at(&gamma, i, 1);
		m->t[i] = channel_at(&beta, i, 0);
		m->shifts = m->shifts || m->t[i] != 0;
		if (!isfinite(m->s[i]) || !isfinite(m->t[i]))
			return false;
	}
	return true;
}

/* ---- products ---- */

static bool is_padded(const struct node *conv)
{
	const struct attr_conv *c = conv->attr.conv;
	for (int32_t i = 0; i < c->spatial; i++)
		if (!dim_is(c->before[i], 0) || !dim_is(c->after[i], 0) || c->x_dilation[i] != 1)
			return true;
	return false;
}

/* A product whose operand `k` is summed over `axis`; the other operand is constant. */
static bool find_product(const struct reader *r, int32_t axis, const struct map *m,
			 struct product *p)
{
	struct node *n = r->node;
	int32_t summed = n->type.rank - (r->operand == 0 ? 1 : 2);
	*p = (struct product){.node = n, .weights = 1 - r->operand};
	if (n->op == OP_matmul && axis == summed)
		p->axis = n->type.rank - (r->operand == 0 ? 2 : 1);
	else if (n->op == OP_conv && r->operand == 0 && axis == 1)
		p->axis = 1; /* with groups it has fewer channels */
	else
		return false;
	const struct node *w = n->in[p->weights];
	if (w->op == OP_transpose && n->op == OP_matmul) {
		p->perm = w->attr.perm;
		p->axis = p->perm->perm[p->axis];
		w = w->in[0];
	}
	p->constant = constant_of(w);
	return p->constant && elem_is_float(p->constant->type.elem) &&
	       fixed_extent(&p->constant->type, p->axis) == m->n;
}

/* Extents of the weights around the axis: [outer][n][inner]. */
static void find_span(const struct product *p, int64_t *outer, int64_t *inner)
{
	*outer = *inner = 1;
	for (int32_t i = 0; i < p->constant->type.rank; i++)
		if (i != p->axis)
			*(i < p->axis ? outer : inner) *= fixed_extent(&p->constant->type, i);
}

/* The bias has extent 1 where the product sums; that of a convolution goes by output channels. */
static void find_bias_type(const struct graph *g, struct product *p)
{
	const struct dim *one = dim_const(g->context->dims, 1);
	p->bias_type = p->constant->type;
	p->bias_type.dim[p->axis] = one;
	if (p->node->op != OP_conv)
		return;
	p->bias_type.dim[1] = p->bias_type.dim[0];
	p->bias_type.dim[0] = one;
	for (int32_t i = 2; i < p->bias_type.rank; i++)
		p->bias_type.dim[i] = one;
}

/* Scales the weights and adds up the bias. */
static void compute(struct absorb *a, const struct graph *g, const struct map *m, struct product *p)
{
	int64_t outer, inner;
	enum normc_elem elem = p->constant->type.elem;
	size_t size = normc_elem_size(elem);
	find_span(p, &outer, &inner);
	find_bias_type(g, p);
	const unsigned char *from = p->constant->attr.data->p;
	unsigned char *to = arena_alloc(a->arena, (size_t)(outer * m->n * inner), size);
	double *row = arena_new(a->arena, double, (size_t)inner);
	bool is_conv = p->node->op == OP_conv;
	double *bias = m->shifts ? arena_new(a->arena, double, (size_t)(outer * inner)) : NULL;
	p->scaled = to;
	for (int64_t i = 0; i < outer * m->n; i++) {
		struct tensor t = {.elem = elem, .count = inner, .f = row};
		tensor_fill(&t, from + (size_t)(i * inner) * size);
		double *sum = bias ? bias + i / m->n * (is_conv ? 1 : inner) : NULL;
		for (int64_t k = 0; k < inner; k++) {
			if (sum)
				sum[is_conv ? 0 : k] += row[k] * m->t[i % m->n];
			row[k] *= m->s[i % m->n];
		}
		tensor_store(&t, to + (size_t)(i * inner) * size);
	}
	p->bias = bias;
}

static bool is_finite_product(const struct product *p)
{
	struct node scaled = *p->constant;
	struct attr_data data = *p->constant->attr.data;
	int64_t count = p->bias ? type_fixed_count(&p->bias_type) : 0;
	data.p = p->scaled;
	scaled.attr.data = &data;
	for (int64_t i = 0; i < count; i++)
		if (!(fabs(p->bias[i]) <= elem_largest(p->bias_type.elem)))
			return false;
	return isfinite(greatest_magnitude(&scaled));
}

/* ---- exploring ---- */

static bool moves_only(const struct node *n)
{
	return op_info[n->op].kind == KIND_view || n->op == OP_copy || n->op == OP_gather;
}

/* A value that is the map's result moved, and the axis there. */
struct moved {
	struct node *node;
	int32_t axis;
};

struct search {
	struct absorb *a;
	const struct graph *g;
	const struct map *map;
	struct moved *moved;
	uint32_t n_moved;
	struct product *product;
	uint32_t n_products;
	const char *why; /* the map stays; NULL so far */
};

static void refuse(struct search *s, const struct node *reader, const char *why)
{
	char place[300];
	diag_place(s->g->context->diag, reader->loc, place, sizeof place);
	if (!s->why)
		s->why = arena_printf(s->a->arena, "its scale and shift are read by %s, %s",
				      *place ? place : op_info[reader->op].name, why);
}

static void follow(struct search *s, const struct moved *v, const struct reader *r)
{
	struct product p;
	struct moved next = {r->node,
			     axis_out_of(s->g->context->dims, r->node, r->operand, v->axis)};
	if (moves_only(r->node) && r->operand == 0 && next.axis >= 0) {
		PUSH(s->a->arena, s->moved, s->n_moved, next);
	} else if (!find_product(r, v->axis, s->map, &p)) {
		refuse(s, r->node, "which is no product with constant weights that sums over them");
	} else if (p.node->op == OP_conv && s->map->shifts && is_padded(p.node)) {
		refuse(s, r->node, "whose padding must not be shifted");
	} else {
		PUSH(s->a->arena, s->product, s->n_products, p);
	}
}

static void search_readers(struct search *s, struct node *from)
{
	struct moved first = {from, s->map->axis};
	PUSH(s->a->arena, s->moved, s->n_moved, first);
	for (uint32_t i = 0; i < s->n_moved && !s->why; i++) {
		struct moved v = s->moved[i];
		if (s->a->output[v.node->id])
			s->why = "its scale and shift are in an output of the graph";
		const struct readers *r = &s->a->readers;
		for (uint32_t k = r->first[v.node->id]; k < r->first[v.node->id + 1]; k++)
			follow(s, &v, &r->reader[k]);
	}
	for (uint32_t i = 0; i < s->n_products && !s->why; i++) {
		compute(s->a, s->g, s->map, &s->product[i]);
		if (!is_finite_product(&s->product[i]))
			refuse(s, s->product[i].node, "whose folded weights would overflow");
	}
}

static void consider(struct absorb *a, struct graph *g, struct node *n)
{
	struct map map = {0};
	struct search s = {.a = a, .g = g, .map = &map};
	if (!find_map(a, n, &map))
		return;
	search_readers(&s, n);
	if (!s.why && s.n_products) {
		a->gone[n->id] = true;
		a->fired++;
		for (uint32_t i = 0; i < s.n_products; i++)
			a->product[s.product[i].node->id] = &s.product[i];
	}
	struct remark missed = {.rule = a->pass->name, .loc = n->loc, .missed = s.why};
	if (s.why && n->op == OP_norm) /* other sums and products are no candidates */
		PUSH(a->arena, a->missed, a->n_missed, missed);
	if (!s.why && s.n_products)
		pass_remark(g, a->pass, a->pass->name, n->loc, NULL);
}

/* ---- rewriting ---- */

static struct node *without_map(struct absorb *a, struct graph *g, const struct node *old,
				struct node *const *in)
{
	if (old->op != OP_norm)
		return in[0];
	struct attr_norm *attr = arena_copy(a->arena, old->attr.norm, sizeof *attr);
	attr->gamma = attr->beta = false;
	return build_norm(g, (struct norm_operands){.x = in[0]}, attr);
}

static struct node *take_over(struct graph *g, const struct node *old, struct node *const *in,
			      const struct product *p)
{
	struct node *operand[2] = {in[0], in[1]}, *w, *bias;
	const struct type *t = &old->in[p->weights]->type;
	w = build_constant(g, &p->constant->type, p->scaled, p->constant->attr.data->bytes);
	if (p->perm)
		w = build_transpose(g, w, p->perm->perm);
	operand[p->weights] = build_broadcast(g, w, t->rank, t->dim);
	struct node *y = graph_node(g, old->op, operand, 2, old->attr);
	if (!p->bias)
		return y;
	bias = build_doubles(g, &p->bias_type, p->bias);
	if (p->perm)
		bias = build_transpose(g, bias, p->perm->perm);
	return build_binary(g, OP_add, y, bias);
}

static struct node *absorb_rule(struct graph *to, const struct node *old, struct node *const *in,
				void *user)
{
	struct absorb *a = user;
	struct node *n = NULL;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, a->pass, pass_absorb);
	to->at.via = a->pass->name;
	if (a->gone[old->id])
		n = without_map(a, to, old, in);
	else if (a->product[old->id])
		n = take_over(to, old, in, a->product[old->id]);
	to->at = old->loc;
	return n;
}

/* One round; `a` says what it did. */
static struct graph *absorb_once(struct graph *g, struct absorb *a)
{
	a->readers = readers_of(g, a->arena);
	a->output = arena_new(a->arena, bool, g->n_nodes + 1);
	a->gone = arena_new(a->arena, bool, g->n_nodes + 1);
	a->product = arena_new(a->arena, const struct product *, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		a->output[g->outputs[i]->id] = true;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (op_info[g->nodes[i]->op].kind == KIND_map || g->nodes[i]->op == OP_norm)
			consider(a, g, g->nodes[i]);
	return graph_rewrite(g, absorb_rule, a);
}

/* A chain of maps goes from its end, one in a round. */
struct graph *pass_absorb(struct graph *g, struct pass *pass)
{
	enum { MOST_ROUNDS = 8 };
	struct absorb a = {.fired = 1};
	if (pass->strict)
		return g;
	for (int round = 0; round < MOST_ROUNDS && a.fired; round++) {
		a = (struct absorb){.pass = pass, .arena = g->context->arena};
		g = absorb_once(g, &a);
	}
	for (uint32_t i = 0; i < a.n_missed; i++)
		pass_remark(g, pass, pass->name, a.missed[i].loc, a.missed[i].missed);
	return g;
}
