/* Norms that subtract a mean which is zero, or can be made zero: LayerNorm becomes RMSNorm.
 *
 * What stream.h finds is carried out: weights, constants and tables lose their means along the
 * features, in fp64 and rounded once; the norms that read the stream lose their centre.  Epsilon,
 * gamma and beta stay.
 */
#include "pass.h"
#include "stream.h"
#include "value.h"
#include "weights.h"

/* A constant without its means along an axis. */
struct recentred {
	int32_t axis;
	struct node *node;
	const struct recentred *next;
};

struct recentre {
	struct pass *pass;
	struct arena *arena;
	struct streams streams;
	const struct recentred **done; /* by id of the constant in the new graph */
	uint32_t n_done;
};

/* ---- constants ---- */

/* Computed once for each constant and axis. */
static struct node *recentred_data(struct recentre *r, struct graph *g, const struct node *c,
				   int32_t axis)
{
	while (r->n_done <= c->id)
		PUSH(r->arena, r->done, r->n_done, NULL);
	for (const struct recentred *d = r->done[c->id]; d; d = d->next)
		if (d->axis == axis)
			return d->node;
	struct recentred d = {axis, weights_recentred(g, c, axis), r->done[c->id]};
	r->done[c->id] = arena_copy(r->arena, &d, sizeof d);
	return d.node;
}

/* `n`, a constant or a broadcast of one, without its means. */
static struct node *recentred_constant(struct recentre *r, struct graph *g, struct node *n,
				       int32_t axis)
{
	const struct node *c = constant_of(n);
	if (uniform_along(c, axis))
		return build_splat(g, &n->type, 0);
	return build_broadcast(g, recentred_data(r, g, c, axis), n->type.rank, n->type.dim);
}

/* ---- nodes ---- */

/* Narrow types compute in f32: their sums would overflow, and their means have few bits. */
static struct node *without_mean(struct graph *g, struct node *n, int32_t axis)
{
	enum normc_elem elem = n->type.elem;
	struct node *x = build_cast(g, n, elem == NORMC_F64 ? NORMC_F64 : NORMC_F32);
	x = build_binary(g, OP_sub, x, build_mean(g, x, 1u << axis, true));
	return build_cast(g, x, elem);
}

/* Inputs of the graph stay what they are; those that read them take the mean away. */
static void recentre_inputs(const struct recentre *r, struct graph *g, const struct node *old,
			    struct node **in)
{
	for (uint32_t k = 0; k < old->n_in; k++) {
		const struct part_of *of = &r->streams.of[old->in[k]->id];
		if (old->in[k]->op == OP_input && of->part == PART_SUBTRACTED)
			in[k] = without_mean(g, in[k], of->axis);
	}
}

/* Operands that are constants, of those in the mask. */
static void recentre_operands(struct recentre *r, struct graph *g, const struct node *old,
			      uint32_t mask, struct node **in)
{
	int32_t axis = r->streams.of[old->id].axis;
	for (uint32_t k = 0; k < old->n_in; k++)
		if (has_operand(mask, k) && constant_of(in[k]))
			in[k] = recentred_constant(r, g, in[k],
						   axis_into(g->context->dims, old, k, axis));
}

static struct node *rebuild(struct recentre *r, struct graph *g, const struct node *old,
			    struct node *const *from)
{
	const struct part_of *of = &r->streams.of[old->id];
	struct node **in = arena_copy(r->arena, from, old->n_in * sizeof(struct node *));
	union attr attr = old->attr;
	recentre_inputs(r, g, old, in);
	if (of->part == PART_LINEAR)
		recentre_operands(r, g, old, linear_operands(g->context->dims, old, of->axis), in);
	if (of->part == PART_NORM && old->attr.norm->beta)
		recentre_operands(r, g, old, 1u << (old->attr.norm->gamma ? 2 : 1), in);
	if (of->meanless) {
		struct attr_norm *norm = arena_copy(r->arena, old->attr.norm, sizeof *norm);
		norm->centre = NORM_CENTRE_NONE;
		attr.norm = norm;
	}
	struct node *n = graph_node(g, old->op, in, old->n_in, attr);
	return of->part == PART_SUBTRACTED ? without_mean(g, n, of->axis) : n;
}

static struct node *recentre_rule(struct graph *to, const struct node *old, struct node *const *in,
				  void *user)
{
	struct recentre *r = user;
	const struct part_of *of = &r->streams.of[old->id];
	if (op_info[old->op].kind == KIND_region) { /* a value only if it has one result */
		struct node *n = pass_regions(to, old, in, r->pass, pass_recentre);
		return of->part == PART_SUBTRACTED ? without_mean(to, n, of->axis) : n;
	}
	if (of->missed)
		pass_remark(to, r->pass, r->pass->name, old->loc, of->missed);
	if (of->part == PART_NONE && !of->meanless)
		return NULL;
	to->at.via = r->pass->name;
	struct node *n = rebuild(r, to, old, in);
	to->at = old->loc;
	if (of->meanless)
		pass_remark(to, r->pass, r->pass->name, old->loc, NULL);
	return n;
}

struct graph *pass_recentre(struct graph *g, struct pass *pass)
{
	if (pass->strict)
		return g;
	struct recentre r = {.pass = pass, .arena = g->context->arena};
	r.streams = streams_of(g);
	return graph_rewrite(g, recentre_rule, &r);
}
