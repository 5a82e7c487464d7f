/* See affine_flow.h. */
#include "affine_flow.h"

#include <string.h>

#include "value.h"

/* ---- candidates ---- */

static bool computes_statistics(const struct node *n)
{
	return n->op == OP_norm && !norm_is_given(n);
}

/* The comparison and the product of a rectifier belong to it if nobody else reads them. */
static void find_inner(struct flow *f, const struct node *n)
{
	struct node *inner[2];
	if (!rectifier_of(n, inner) || !inner[0])
		return;
	if (f->uses[inner[0]->id] == 1 && f->uses[inner[1]->id] == 1)
		f->inner[inner[0]->id] = f->inner[inner[1]->id] = true;
}

static void find_map(struct flow *f, const struct node *n, bool norms)
{
	if ((computes_statistics(n) && !norms) || f->inner[n->id] || affine_average(f->g, n))
		return;
	f->is_map[n->id] = affine_of(f->g, n, &f->operand[n->id], &f->own[n->id]) &&
			   (!affine_is_identity(&f->own[n->id]) || norm_is_given(n)) &&
			   pass_allows(f->pass);
}

struct flow flow_new(struct graph *g, struct pass *pass, bool norms)
{
	struct arena *arena = g->context->arena;
	uint32_t n = g->n_nodes;
	struct flow f = {.g = g, .pass = pass, .arena = arena, .n = n, .norms = norms};
	f.own = arena_new(arena, struct affine, n + 1);
	f.is_map = arena_new(arena, bool, n + 1);
	f.operand = arena_new(arena, uint32_t, n + 1);
	f.inner = arena_new(arena, bool, n + 1);
	f.output = arena_new(arena, bool, n + 1);
	f.why = arena_new(arena, const char *, n + 1);
	f.gone = arena_new(arena, bool, n + 1);
	f.product = arena_new(arena, struct product, n + 1);
	f.taken = arena_new(arena, struct taken, n + 1);
	f.uses = graph_uses(g, arena);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		f.output[g->outputs[i]->id] = true;
	for (uint32_t i = 0; i < n; i++)
		find_inner(&f, g->nodes[i]);
	for (uint32_t i = 0; i < n; i++)
		find_map(&f, g->nodes[i], norms);
	return f;
}

void flow_begin(struct flow *f)
{
	f->kept = 0;
	memset(f->gone, 0, f->n * sizeof *f->gone);
	memset(f->product, 0, f->n * sizeof *f->product);
}

/* ---- origins ---- */

struct origins *origins_one(struct flow *f, const struct node *n)
{
	struct origins one = {.node = n};
	return arena_copy(f->arena, &one, sizeof one);
}

struct origins *origins_join(struct flow *f, struct origins *a, struct origins *b)
{
	struct origins both = {.part = {a, b}};
	if (!a || !b || a == b)
		return a ? a : b;
	return arena_copy(f->arena, &both, sizeof both);
}

/* Whether a map's own numbers are what a stop minds. */
static bool is_to_blame(const struct affine *own, enum affine_stop stop)
{
	switch (stop) {
	case AFFINE_SHIFT:
		return own->t != NULL;
	case AFFINE_SCALE:
		return own->s != NULL;
	case AFFINE_SIGN:
		return !affine_is_positive(own);
	default:
		return true;
	}
}

static uint32_t keep_some(struct flow *f, struct origins *set, enum affine_stop stop,
			  const char *why)
{
	struct origins **open = NULL;
	uint32_t n_open = 0, kept = 0;
	f->mark++;
	PUSH(f->arena, open, n_open, set);
	while (n_open) {
		struct origins *o = open[--n_open];
		if (!o || o->mark == f->mark)
			continue;
		o->mark = f->mark;
		if (!o->node) {
			PUSH(f->arena, open, n_open, o->part[0]);
			PUSH(f->arena, open, n_open, o->part[1]);
		} else if (is_to_blame(&f->own[o->node->id], stop)) {
			kept++;
			if (!f->why[o->node->id])
				f->why[o->node->id] = why;
		}
	}
	return kept;
}

void flow_keep(struct flow *f, struct origins *set, enum affine_stop stop, const char *why)
{
	uint32_t kept = keep_some(f, set, stop, why);
	f->kept += kept ? kept : keep_some(f, set, AFFINE_NEVER, why);
}

const char *flow_place(struct flow *f, const char *before, const struct node *n, const char *clause)
{
	char place[300];
	diag_place(f->g->context->diag, n->loc, place, sizeof place);
	return arena_printf(f->arena, "%s %s, %s", before, *place ? place : op_info[n->op].name,
			    clause);
}

/* ---- the end ---- */

/* A bias of a product that maps behind it went into: it stays one. */
static bool is_bias(const struct flow *f, const struct node *n)
{
	const struct affine *own = &f->own[n->id];
	struct product p;
	return !own->s && product_before(f->g, n->in[f->operand[n->id]], own, &p);
}

void flow_remark(struct flow *f, const char *not_found)
{
	for (uint32_t i = 0; i < f->n; i++) {
		const struct node *n = f->g->nodes[i];
		if (f->gone[i] && (f->norms || !is_bias(f, n)))
			pass_remark(f->g, f->pass, f->pass->name, n->loc, NULL);
		else if (n->op == OP_norm && !f->gone[i] && f->is_map[i])
			pass_remark(f->g, f->pass, f->pass->name, n->loc,
				    f->why[i] ? f->why[i] : not_found);
		else if (n->op == OP_norm && norm_is_given(n) && !f->is_map[i])
			pass_remark(f->g, f->pass, f->pass->name, n->loc, not_found);
	}
}

struct build {
	struct flow *flow;
	pass_fn *run;
};

static struct node *without_parameters(struct graph *g, const struct node *old, struct node *x)
{
	struct attr_norm attr;
	memcpy(&attr, old->attr.norm, sizeof attr);
	attr.gamma = attr.beta = false;
	return build_norm(g, (struct norm_operands){.x = x}, &attr);
}

static struct node *build_rule(struct graph *to, const struct node *old, struct node *const *in,
			       void *user)
{
	const struct build *b = user;
	const struct flow *f = b->flow;
	struct node *n = NULL;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, f->pass, b->run);
	to->at.via = f->pass->name;
	if (f->gone[old->id])
		n = computes_statistics(old) ? without_parameters(to, old, in[0])
					     : in[f->operand[old->id]];
	else if (f->product[old->id].node)
		n = product_build(to, &f->product[old->id], &f->taken[old->id], in);
	to->at = old->loc;
	return n;
}

struct graph *flow_build(struct flow *f, pass_fn *run)
{
	struct build b = {f, run};
	return graph_rewrite(f->g, build_rule, &b);
}
