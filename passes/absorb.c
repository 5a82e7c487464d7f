/* Affine maps by constants before products join the weights of all their readers (affine_flow.h).
 *
 * A map (gamma and beta of a norm, a norm with given statistics, a gain, a shift) is left out, so
 * that what it gave is s times what is there now, plus t.  That holds on behind movement, joins,
 * sums with values of the same scale, pooling and rectifiers, with other numbers, until all readers
 * are products with constant weights that sum over the axis: the weights become W diag(s), and W t
 * joins the bias.  A map goes only if all that comes of it disappears in products.
 *
 * The counterpart for maps behind products is fold_norm.c.
 */
#include "affine_flow.h"
#include "pass.h"
#include "value.h"

struct absorb {
	struct flow *f;
	struct affine *map; /* by id: the value is this of what is there now */
	struct origins **origins;
};

static void stop_at(struct absorb *a, const struct node *n, enum affine_stop stop,
		    struct origins *set)
{
	static const char *const clause[] = {
			[AFFINE_NEVER] = "which is no product with constant weights that sums over "
					 "them, and does not let them through",
			[AFFINE_SHIFT] = "which lets a scale through but no shift",
			[AFFINE_SCALE] = "which adds a value without the same scale",
			[AFFINE_SIGN] = "which lets only positive scales through",
	};
	flow_keep(a->f, set, stop,
		  flow_place(a->f, "its scale and shift are read by", n, clause[stop]));
}

static struct origins *origins_of_operands(struct absorb *a, const struct node *n)
{
	struct origins *all = NULL;
	for (uint32_t k = 0; k < n->n_in; k++)
		all = origins_join(a->f, all, a->origins[n->in[k]->id]);
	return all;
}

/* A map that goes, on top of what its operand has. */
static void leave_out(struct absorb *a, const struct node *n)
{
	const struct node *x = n->in[a->f->operand[n->id]];
	const struct affine *own = &a->f->own[n->id], *before = &a->map[x->id];
	bool opaque = n->op == OP_norm && !norm_is_given(n);
	a->origins[n->id] = origins_one(a->f, n);
	a->f->gone[n->id] = true;
	a->map[n->id] = *own;
	if (affine_is_identity(before))
		return;
	if (opaque || !affine_chain(a->f->g, own, before, &a->map[n->id]))
		stop_at(a, n, AFFINE_NEVER, a->origins[x->id]);
	else
		a->origins[n->id] = origins_join(a->f, a->origins[n->id], a->origins[x->id]);
}

/* Whether n is a product that takes the map of its operand. */
static bool takes(struct absorb *a, struct node *n)
{
	struct product *p = &a->f->product[n->id];
	bool conv = n->op == OP_conv;
	for (uint32_t k = 0; k < 2 && (conv || n->op == OP_matmul); k++) {
		const struct affine *map = &a->map[n->in[k]->id];
		if (!affine_is_identity(map) && !map->counted &&
		    affine_is_identity(&a->map[n->in[1 - k]->id]) &&
		    product_after(a->f->g, n, k, map, p))
			return true;
	}
	p->node = NULL;
	return false;
}

/* Carries the maps of the operands to the result. */
static void carry(struct absorb *a, struct node *n)
{
	struct affine *in = arena_new(a->f->arena, struct affine, n->n_in + 1);
	struct node *inner[2];
	enum affine_stop stop = AFFINE_NEVER;
	struct affine to = {.axis = -1};
	for (uint32_t k = 0; k < n->n_in; k++)
		in[k] = a->map[n->in[k]->id];
	rectifier_of(n, inner);
	if (elem_is_float(n->type.elem) && (!inner[0] || a->f->inner[inner[0]->id]))
		stop = affine_forwards(a->f->g, n, in, &to);
	if (stop) {
		stop_at(a, n, stop, origins_of_operands(a, n));
	} else {
		a->map[n->id] = to;
		a->origins[n->id] = origins_of_operands(a, n);
	}
}

static void visit(struct absorb *a, struct node *n)
{
	bool any = false;
	for (uint32_t k = 0; k < n->n_in; k++)
		any = any || !affine_is_identity(&a->map[n->in[k]->id]);
	if (a->f->is_map[n->id] && !a->f->why[n->id])
		leave_out(a, n);
	else if (any && !a->f->inner[n->id] && !takes(a, n))
		carry(a, n);
	if (a->f->output[n->id] && !affine_is_identity(&a->map[n->id]))
		flow_keep(a->f, a->origins[n->id], AFFINE_NEVER,
			  "its scale and shift are in an output of the graph; leave that output "
			  "out");
}

/* Computes the weights of the products, once all maps find their way. */
static void take_all(struct absorb *a)
{
	struct flow *f = a->f;
	const char *why;
	for (uint32_t i = 0; i < f->n; i++) {
		const struct product *p = &f->product[i];
		if (!p->node)
			continue;
		const struct node *x = p->node->in[1 - p->operand];
		const struct affine *map = &a->map[x->id];
		if (!product_take_after(f->g, p, map, &f->taken[i], &why))
			flow_keep(f, a->origins[x->id], map->t ? AFFINE_SHIFT : AFFINE_NEVER,
				  flow_place(f, "its scale and shift are read by", p->node, why));
	}
}

struct graph *pass_absorb(struct graph *g, struct pass *pass)
{
	struct flow f = flow_new(g, pass, true);
	struct absorb a = {.f = &f};
	if (pass->strict)
		return g;
	a.map = arena_new(f.arena, struct affine, f.n + 1);
	a.origins = arena_new(f.arena, struct origins *, f.n + 1);
	do {
		flow_begin(&f);
		for (uint32_t i = 0; i < f.n; i++) {
			a.map[i] = (struct affine){.axis = -1};
			a.origins[i] = NULL;
			visit(&a, g->nodes[i]);
		}
		if (!f.kept)
			take_all(&a);
	} while (f.kept);
	flow_remark(&f, "its parameters vary along several axes, or are not constant");
	return flow_build(&f, pass_absorb);
}
