/* Normalized potentials of spiking neurons: an affine map with constant scales before a comparison
 * with a constant joins the threshold.
 *
 *	s v + t > c   is   v > (c - t) / s where s > 0,   v < (c - t) / s where s < 0
 *
 * Scales of both signs leave their signs on v (sign(s) v > (c - t) / |s|), which a product before
 * it takes up.  Infinities and NaN compare as before.  (Guo et al., Membrane Potential Batch
 * Normalization for Spiking Neural Networks, ICCV 2023.)
 */
#include <math.h>

#include "pass.h"
#include "value.h"
#include "weights.h"

struct thresholds {
	struct pass *pass;
	const uint32_t *uses; /* by old id */
};

/* value = s v + t along an axis */
struct potential {
	struct node *v, *s, *t;
	int32_t axis;
	bool scales;
};

static int32_t axis_of(const struct node *n)
{
	int32_t axis = -1;
	const struct node *c = constant_of(n);
	for (int32_t i = 0; c && i < c->type.rank; i++)
		if (!dim_is(c->type.dim[i], 1))
			axis = i;
	return axis;
}

static bool is_map(const struct node *n)
{
	return (n->op == OP_add || n->op == OP_mul || n->op == OP_div) && constant_of(n->in[1]) &&
	       elem_is_float(n->type.elem);
}

/* Maps from the first axis along which a parameter varies. */
static int32_t find_axis(const struct node *n, const struct node *threshold)
{
	int32_t axis = axis_of(threshold);
	for (; axis < 0 && is_map(n); n = n->in[0])
		axis = axis_of(n->in[1]);
	return axis < 0 ? 0 : axis;
}

static bool apply(struct graph *g, struct potential *p, const struct node *n)
{
	int64_t count = numbers_count(p->s);
	struct node *c = numbers_of(g, n->in[1], p->axis, count, 0);
	if (!c)
		return false;
	/* from the outside in: value = s (x op c) + t */
	if (n->op == OP_add)
		p->t = numbers_binary(g, OP_add, p->t, numbers_binary(g, OP_mul, p->s, c));
	else
		p->s = numbers_binary(g, n->op, p->s, c);
	p->scales = p->scales || n->op != OP_add;
	return p->s && p->t;
}

static bool find_potential(struct graph *g, struct node *n, const struct node *threshold,
			   struct potential *p)
{
	*p = (struct potential){.axis = find_axis(n, threshold)};
	int64_t count = n->type.rank ? fixed_extent(&n->type, p->axis) : -1;
	if (count < 1)
		return false;
	p->s = numbers_equal(g, count, 1);
	p->t = numbers_equal(g, count, 0);
	while (is_map(n)) {
		if (!apply(g, p, n))
			return false;
		n = n->in[0];
	}
	p->v = n;
	return p->scales;
}

/* Of all: 1, -1, or 0 if they differ or one is 0 or NaN. */
static int sign_of(const struct node *s)
{
	const double *x = numbers_values(s);
	int64_t n = numbers_count(s), above = 0, below = 0;
	for (int64_t i = 0; i < n; i++) {
		above += x[i] > 0;
		below += x[i] < 0;
	}
	return above == n ? 1 : below == n ? -1 : 0;
}

static bool has_zero(const struct node *s)
{
	const double *x = numbers_values(s);
	for (int64_t i = 0; i < numbers_count(s); i++)
		if (!(x[i] < 0 || x[i] > 0))
			return true;
	return false;
}

/* The threshold for v, or for sign(s) v. */
static struct node *new_threshold(struct graph *g, const struct potential *p, struct node *c,
				  bool mixed)
{
	struct node *scale = mixed ? numbers_unary(g, OP_abs, p->s) : p->s;
	struct node *difference = numbers_binary(g, OP_sub, c, p->t);
	struct node *th = numbers_binary(g, OP_div, difference, scale);
	enum normc_elem elem = p->v->type.elem;
	return numbers_fit(th, elem) ? numbers_along(g, th, elem, p->v->type.rank, p->axis) : NULL;
}

/* `left`: the potential stands on the left. */
static struct node *compare(struct graph *g, enum op op, const struct potential *p,
			    const struct node *threshold, bool left)
{
	struct node *c = numbers_of(g, threshold, p->axis, numbers_count(p->s), 0);
	int sign = sign_of(p->s);
	struct node *v = p->v, *th = c ? new_threshold(g, p, c, !sign) : NULL;
	if (!th)
		return NULL;
	if (!sign)
		v = build_binary(g, OP_mul, v,
				 numbers_along(g, numbers_unary(g, OP_sign, p->s), v->type.elem,
					       v->type.rank, p->axis));
	return left == (sign >= 0) ? build_binary(g, op, v, th) : build_binary(g, op, th, v);
}

static struct node *threshold_rule(struct graph *to, const struct node *old, struct node *const *in,
				   void *user)
{
	struct thresholds *t = user;
	struct potential p;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, t->pass, pass_threshold);
	if ((old->op != OP_lt && old->op != OP_le) || !constant_of(in[0]) == !constant_of(in[1]))
		return NULL;
	bool left = constant_of(in[1]);
	struct node *x = in[left ? 0 : 1], *threshold = in[left ? 1 : 0], *y = NULL;
	const char *missed = NULL;
	if (!find_potential(to, x, threshold, &p))
		return NULL;
	to->at.via = t->pass->name;
	if (t->uses[old->in[left ? 0 : 1]->id] != 1)
		missed = "the scaled value has other readers";
	else if (has_zero(p.s))
		missed = "a scale is 0 or not a number: no threshold says the same";
	else if (!(y = compare(to, old->op, &p, threshold, left)))
		missed = "the new threshold would overflow, or varies along another axis";
	if (y && !pass_allows(t->pass))
		return NULL;
	pass_remark(to, t->pass, t->pass->name, old->loc, missed);
	to->at = old->loc;
	return y;
}

struct graph *pass_threshold(struct graph *g, struct pass *pass)
{
	struct thresholds t = {pass, graph_uses(g, g->context->arena)};
	return pass->strict ? g : graph_rewrite(g, threshold_rule, &t);
}
