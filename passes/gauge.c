/* Scales by constants behind sums: a change of basis makes them part of weights.
 *
 * y = s*x + t with x = a + f(a), as Unified Normalization behind the branches of a transformer
 * leaves it at inference, has no product before it whose weights could take s, and a sum after it
 * that is no product either.  What basis.h finds is carried out: values are kept divided by the
 * product of all scales before them, and the weights of the products that make and read them
 * compensate, in fp64 and rounded once.  The shift t goes on into the bias of a product in the sum.
 */
#include "basis.h"
#include "pass.h"
#include "value.h"

struct gauge {
	struct pass *pass;
	struct bases bases;
	const uint32_t *uses; /* by old id */
};

/* ---- constants ---- */

struct factor {
	struct weights_axis at;
	struct node *numbers;
};

/* For constants of one number for all channels. */
static struct node *grown(struct graph *g, const struct node *c, const struct factor *f)
{
	struct node *wide = weights_now(g, build_cast(g, (struct node *)c, NORMC_F64));
	struct node *along = numbers_along(g, f->numbers, NORMC_F64, c->type.rank, f->at.axis);
	wide = wide ? weights_now(g, build_binary(g, OP_mul, wide, along)) : NULL;
	return wide ? weights_now(g, build_cast(g, wide, c->type.elem)) : NULL;
}

static struct node *scaled_constant(struct graph *g, const struct node *c, const struct factor *f)
{
	if (fixed_extent(&c->type, f->at.axis) == 1 && f->at.groups <= 1)
		return grown(g, c, f);
	return weights_scaled(g, c, f->at, f->numbers);
}

/* Weights between two bases, rounded once if there is room for them in fp64. */
static struct node *scaled_twice(struct graph *g, const struct node *c, const struct factor *f)
{
	struct node *cast = build_cast(g, (struct node *)c, NORMC_F64);
	struct node *wide = weights_now(g, cast);
	wide = scaled_constant(g, wide ? wide : c, &f[0]);
	wide = wide ? scaled_constant(g, wide, &f[1]) : NULL;
	return wide && wide->type.elem != c->type.elem
			       ? weights_now(g, build_cast(g, wide, c->type.elem))
			       : wide;
}

/* `n`, a constant, or a broadcast or transpose of one, times the factors. */
static struct node *scaled_operand(struct graph *g, struct node *n, const struct factor *f,
				   uint32_t count)
{
	const struct attr_perm *perm = n->op == OP_transpose ? n->attr.perm : NULL;
	const struct node *c = constant_of(perm ? n->in[0] : n);
	if (!count)
		return n;
	struct node *w = count == 1 ? scaled_constant(g, c, f) : scaled_twice(g, c, f);
	if (!w) {
		bug(g->context->diag, g->at, "a basis leads out of range");
		return graph_poison(g);
	}
	if (perm)
		w = build_transpose(g, w, perm->perm);
	return build_broadcast(g, w, n->type.rank, n->type.dim);
}

/* ---- nodes ---- */

/* What happens to operand `k`, which is a constant or computed from one. */
static uint32_t factors_of(const struct gauge *u, const struct graph *g, const struct node *old,
			   uint32_t k, struct factor *f)
{
	const struct basis *of = u->bases.of;
	struct summed s;
	uint32_t n = 0;
	if (old->n_in == 2 && of[old->in[1 - k]->id].scale) {
		const struct basis *x = &of[old->in[1 - k]->id];
		if (find_summed(old, 1 - k, x->axis, numbers_count(x->scale), &s))
			f[n++] = (struct factor){s.at, x->scale};
	}
	if (of[old->id].inverse && constant_of(old->in[k]) &&
	    has_operand(operands_in_basis(g, old, of[old->id].axis), k)) {
		int32_t axis = old->op == OP_conv ? 0
						  : axis_into(g->context->dims, old, k,
							      of[old->id].axis);
		f[n++] = (struct factor){{.axis = axis}, of[old->id].inverse};
	}
	return n;
}

/* A scale that stays, between two bases. */
static struct node *rescaled(struct graph *g, const struct node *old, struct node *x,
			     const struct basis *of)
{
	struct node *s = numbers_along(g, of->factor, x->type.elem, old->type.rank, of->axis);
	return build_binary(g, OP_mul, x, s);
}

/* ---- shifts ---- */

static bool is_product(const struct node *n)
{
	return n->op == OP_matmul || n->op == OP_conv;
}

/* A summand that only the sum reads, and whose kernel adds constants for nothing. */
static bool takes_shift(const struct gauge *u, const struct node *old)
{
	bool is_biased = old->op == OP_add && constant_of(old->in[1]);
	if (u->uses[old->id] == 1 && old->op == OP_reshape)
		return takes_shift(u, old->in[0]);
	return u->uses[old->id] == 1 && is_product(is_biased ? old->in[0] : old);
}

static struct node *shifted(struct graph *g, struct node *x, struct node *t)
{
	if (x->op != OP_reshape)
		return build_binary(g, OP_add, x, t);
	const struct type *inner = &x->in[0]->type;
	t = build_reshape(g, t, inner->rank, inner->dim);
	return build_reshape(g, shifted(g, x->in[0], t), x->type.rank, x->type.dim);
}

/* (a + product) + t = a + (product + t) for the sum behind a scale that went away; NULL if somebody
 * else reads what lies between. `scale` is in the old graph. */
static struct node *shifted_sum(const struct gauge *u, struct graph *g, const struct node *scale,
				struct node *x, struct node *t)
{
	const struct node *sum = scale->in[scale_operand(scale)];
	if (u->bases.of[scale->id].fate != SCALE_GONE || u->uses[scale->id] != 1 ||
	    u->uses[sum->id] != 1 || sum->op != OP_add || x->op != OP_add)
		return NULL;
	for (uint32_t k = 0; k < 2; k++)
		if (takes_shift(u, sum->in[k]))
			return build_binary(g, OP_add, x->in[1 - k], shifted(g, x->in[k], t));
	return NULL;
}

/* ---- the pass ---- */

static struct node *rebuild(const struct gauge *u, struct graph *g, const struct node *old,
			    struct node *const *from)
{
	struct node **in = arena_copy(g->context->arena, from, old->n_in * sizeof(struct node *));
	struct factor f[2];
	bool changed = false;
	for (uint32_t k = 0; k < old->n_in; k++) {
		in[k] = scaled_operand(g, in[k], f, factors_of(u, g, old, k, f));
		changed = changed || in[k] != from[k];
	}
	if (old->op == OP_add && constant_of(in[1])) {
		struct node *sum = shifted_sum(u, g, old->in[0], in[0], in[1]);
		if (sum)
			return sum;
	}
	return changed ? graph_node(g, old->op, in, old->n_in, old->attr) : NULL;
}

static struct node *gauge_rule(struct graph *to, const struct node *old, struct node *const *in,
			       void *user)
{
	struct gauge *u = user;
	const struct basis *of = &u->bases.of[old->id];
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, u->pass, pass_gauge);
	if (of->missed)
		pass_remark(to, u->pass, u->pass->name, old->loc, of->missed);
	if (of->fate == SCALE_GONE) {
		pass_remark(to, u->pass, u->pass->name, old->loc, NULL);
		return in[scale_operand(old)];
	}
	to->at.via = u->pass->name;
	struct node *n = of->factor ? rescaled(to, old, in[scale_operand(old)], of)
				    : rebuild(u, to, old, in);
	to->at = old->loc;
	return n;
}

struct graph *pass_gauge(struct graph *g, struct pass *pass)
{
	struct gauge u = {.pass = pass};
	if (pass->strict)
		return g;
	u.bases = bases_of(g);
	u.uses = graph_uses(g, g->context->arena);
	return graph_rewrite(g, gauge_rule, &u);
}
