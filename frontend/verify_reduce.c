/* Reduces a failing comparison of graphs to a small one. */
#include "verify_reduce.h"

#include <string.h>

#include "verify.h"

/* A part of the graph: by node, whether it is an input. */
struct cut {
	struct reduction *r;
	bool *is_input;
	uint32_t out;
};

/* ---- names ---- */

static const char *source_name(const struct graph *g, const struct node *n)
{
	const struct diag *diag = g->context->diag;
	if (n->op == OP_input)
		return n->attr.port->name;
	return n->loc.source && n->loc.source < diag->n_sources ? diag->sources[n->loc.source].name
								: "";
}

struct node *verify_named(const struct graph *g, const char *name)
{
	struct node *last = NULL;
	for (uint32_t i = 0; i < g->n_nodes && *name; i++)
		if (!strcmp(source_name(g, g->nodes[i]), name) &&
		    op_info[g->nodes[i]->op].kind != KIND_source)
			last = g->nodes[i];
	for (uint32_t i = 0; i < g->n_inputs; i++)
		if (!strcmp(g->inputs[i]->attr.port->name, name))
			last = g->inputs[i];
	return last;
}

/* The name that stands for this node alone, or one that no other node has. */
static const char *name_of(const struct graph *g, const struct node *n)
{
	const char *name = source_name(g, n);
	if (*name && verify_named(g, name) == n)
		return name;
	return arena_printf(g->context->arena, "%s.%u", *name ? name : "value", n->id);
}

/* ---- parts ---- */

static bool can_be_port(const struct node *n)
{
	bool ok = elem_is_float(n->type.elem) && op_info[n->op].kind != KIND_source;
	for (int32_t i = 0; ok && i < n->type.rank; i++)
		ok = n->type.dim[i]->kind == DIM_CONST || n->type.dim[i]->kind == DIM_SYMBOL;
	return ok;
}

/* By id: what the output needs, not counting what inputs need. */
static bool *needed(const struct cut *c)
{
	const struct graph *g = c->r->before;
	bool *need = arena_new(g->context->arena, bool, g->n_nodes + 1);
	need[c->out] = true;
	for (uint32_t i = c->out + 1; i-- > 0;)
		for (uint32_t k = 0; need[i] && !c->is_input[i] && k < g->nodes[i]->n_in; k++)
			need[g->nodes[i]->in[k]->id] = true;
	return need;
}

/* Extents come from inputs of the whole graph, so these stay while there are symbols. */
static bool is_kept(const struct graph *g, const struct node *n, const bool *need)
{
	return need[n->id] || (n->op == OP_input && g->context->dims->n_symbols);
}

/* Inputs of a part, in order. */
struct inputs {
	const struct node **node;
	uint32_t n;
};

static struct inputs inputs_of(const struct cut *c)
{
	const struct graph *g = c->r->before;
	const bool *need = needed(c);
	struct inputs in = {NULL, 0};
	for (int cuts = 0; cuts < 2; cuts++) /* the model's inputs keep their numbers */
		for (uint32_t i = 0; i < g->n_nodes; i++) {
			const struct node *n = g->nodes[i];
			bool own = n->op == OP_input;
			if (is_kept(g, n, need) && (cuts ? !own && c->is_input[i] : own))
				PUSH(g->context->arena, in.node, in.n, n);
		}
	return in;
}

/* The graph from these inputs to `out`; NULL if it needs others. */
static struct graph *make_part(const struct graph *g, const struct inputs *inputs,
			       const struct node *out)
{
	struct arena *arena = g->context->arena;
	struct graph *to = graph_new(g->context, g->name);
	struct node **map = arena_new(arena, struct node *, g->n_nodes + 1);
	bool *need = arena_new(arena, bool, g->n_nodes + 1);
	for (uint32_t i = 0; i < inputs->n; i++) {
		const struct node *n = inputs->node[i];
		map[n->id] = graph_input(to, name_of(g, n), &n->type);
		map[n->id]->ints = n->ints;
	}
	need[out->id] = true;
	for (uint32_t i = out->id + 1; i-- > 0;)
		for (uint32_t k = 0; need[i] && !map[i] && k < g->nodes[i]->n_in; k++)
			need[g->nodes[i]->in[k]->id] = true;
	for (uint32_t i = 0; i <= out->id; i++) {
		const struct node *old = g->nodes[i];
		if (!need[i] || map[i])
			continue;
		if (old->op == OP_input)
			return NULL;
		struct node **in = arena_new(arena, struct node *, old->n_in + 1);
		for (uint32_t k = 0; k < old->n_in; k++)
			in[k] = map[old->in[k]->id];
		to->at = old->loc;
		map[i] = graph_clone(to, old, in);
	}
	graph_output(to, map[out->id], name_of(g, out));
	return to;
}

/* In contexts of their own; extents are fixed. */
static bool same_type(const struct type *a, const struct type *b)
{
	bool same = a->elem == b->elem && a->rank == b->rank;
	for (int32_t i = 0; same && i < a->rank; i++)
		same = dim_is_const(a->dim[i]) && dim_is_const(b->dim[i]) &&
		       a->dim[i]->value == b->dim[i]->value;
	return same;
}

struct graph *verify_part_like(const struct graph *other, const struct graph *part)
{
	struct inputs inputs = {NULL, 0};
	const struct node *out = verify_named(other, part->output_names[0]);
	for (uint32_t i = 0; i < other->n_outputs; i++)
		if (!strcmp(other->output_names[i], part->output_names[0]))
			out = other->outputs[i];
	bool fits = out && same_type(&out->type, &part->outputs[0]->type);
	for (uint32_t i = 0; fits && i < part->n_inputs; i++) {
		const struct node *n = verify_named(other, part->inputs[i]->attr.port->name);
		fits = n && same_type(&n->type, &part->inputs[i]->type);
		PUSH(other->context->arena, inputs.node, inputs.n, n);
	}
	struct graph *made = fits ? make_part(other, &inputs, out) : NULL;
	if (!made)
		return NULL;
	made->output_names[0] = part->output_names[0];
	for (uint32_t i = 0; i < made->n_inputs; i++) {
		struct attr_port *port = arena_new(other->context->arena, struct attr_port, 1);
		*port = (struct attr_port){i, part->inputs[i]->attr.port->name};
		made->inputs[i]->attr.port = port;
	}
	return made;
}

/* ---- values ---- */

/* Values of all nodes that can be inputs, by id. */
static const struct tensor *evaluate_all(struct reduction *r)
{
	struct arena *arena = r->before->context->arena;
	const bool *live = graph_live(r->before);
	struct tensor *value = arena_new(arena, struct tensor, r->before->n_nodes + 1);
	struct graph tapped = *r->before;
	tapped.outputs = arena_new(arena, struct node *, tapped.n_nodes + 1);
	tapped.n_outputs = 0;
	for (uint32_t i = 0; i < tapped.n_nodes; i++)
		if (live[i] && can_be_port(tapped.nodes[i]))
			tapped.outputs[tapped.n_outputs++] = tapped.nodes[i];
	struct tensor *out = arena_new(arena, struct tensor, tapped.n_outputs + 1);
	r->arena = arena_open(r->before->context->memory);
	bool ok = eval_graph(&tapped, (struct eval_request){EVAL_EXACT, r->symbols, r->arena},
			     r->in, out);
	for (uint32_t k = 0; ok && k < tapped.n_outputs; k++) {
		struct tensor *t = &value[tapped.outputs[k]->id];
		*t = out[k];
		t->f = arena_copy(arena, t->f, (size_t)t->count * sizeof *t->f);
		for (int64_t i = 0; i < t->count; i++)
			t->f[i] = elem_round(t->elem, t->f[i]);
	}
	arena_close(r->arena);
	r->arena = NULL;
	for (uint32_t i = 0; i < r->before->n_inputs; i++)
		value[r->before->inputs[i]->id] = r->in[i];
	return ok ? value : NULL;
}

/* Compares a part with what it is rewritten to; text, or NULL if they agree. */
static const char *difference(struct reduction *r, const struct graph *part,
			      const struct graph *after, const struct tensor *in)
{
	struct verify_report report = {.arena = part->context->arena};
	struct eval_request how = {EVAL_EXACT, r->symbols, r->arena};
	struct tensor want, got;
	if (!eval_bounds(part, how, in, &want) || !eval_graph(after, how, in, &got))
		return NULL;
	verify_compare(&report, (struct verify_case){.lane = LANE_FLOAT}, &want, &got);
	struct verify_side sides[2] = {{r->arena, part, r->symbols, in},
				       {r->arena, after, r->symbols, in}};
	if (r->decisive && !verify_algebra(&report, &sides[0], &sides[1], true))
		return NULL;
	for (uint32_t i = 0; i < report.n_cases; i++)
		if (report.cases[i].outcome == VERIFY_FAILED)
			return report.cases[i].text;
	return NULL;
}

static struct diag quiet_like(const struct diag *diag)
{
	return (struct diag){.sources = diag->sources, .n_sources = diag->n_sources};
}

static const char *judge_quietly(struct reduction *r, struct graph *part, struct graph *after,
				 const struct tensor *in)
{
	struct diag *diag = after->context->diag, quiet = quiet_like(diag);
	after->context->diag = &quiet;
	r->arena = arena_open(part->context->memory);
	const char *text = difference(r, part, after, in);
	arena_close(r->arena);
	r->arena = NULL;
	after->context->diag = diag;
	return text;
}

/* Rewrites a part and compares, without messages; sets r->after if it fails. */
static const char *judge(struct reduction *r, struct graph *part, const struct tensor *in)
{
	struct context *context = part->context;
	struct diag *diag = context->diag, quiet = quiet_like(diag);
	context->diag = &quiet;
	struct graph *after = r->rewrite(r->user, part);
	bool fits = after && after->n_inputs == part->n_inputs;
	const char *text = fits ? judge_quietly(r, part, after, in) : NULL;
	context->diag = diag;
	if (text)
		r->after = after;
	return text;
}

struct search {
	struct reduction *r;
	const struct tensor *value;
	struct cut best;
};

/* Whether a part fails; then it is the best so far. */
static bool fails(struct search *s, const struct cut *c)
{
	struct reduction *r = s->r;
	const struct graph *g = r->before;
	struct inputs inputs = inputs_of(c);
	struct tensor *in = arena_new(g->context->arena, struct tensor, inputs.n + 1);
	for (uint32_t i = 0; i < inputs.n; i++)
		in[i] = s->value[inputs.node[i]->id];
	struct graph *part = make_part(g, &inputs, g->nodes[c->out]);
	const char *text = part ? judge(r, part, in) : NULL;
	if (!text)
		return false;
	r->part = part;
	r->values = in;
	r->text = text;
	s->best.out = c->out;
	memcpy(s->best.is_input, c->is_input, g->n_nodes * sizeof *c->is_input);
	return true;
}

/* ---- the search ---- */

static struct cut copy_cut(const struct cut *c)
{
	const struct graph *g = c->r->before;
	struct cut copy = *c;
	copy.is_input = arena_copy(g->context->arena, c->is_input, g->n_nodes);
	return copy;
}

/* The first output that fails by itself. */
static bool find_output(struct search *s)
{
	const struct graph *g = s->r->before;
	struct cut c = copy_cut(&s->best);
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		c.out = g->outputs[i]->id;
		if (fails(s, &c))
			return true;
	}
	return false;
}

/* The n nodes that the output needs and that may be ports, from early to late. */
static uint32_t candidates(const struct search *s, uint32_t *id)
{
	const struct graph *g = s->r->before;
	const bool *need = needed(&s->best);
	uint32_t n = 0;
	for (uint32_t i = 0; i < s->best.out; i++)
		if (need[i] && !s->best.is_input[i] && can_be_port(g->nodes[i]))
			id[n++] = i;
	return n;
}

/* A failing output with as few nodes before it as bisection finds, then step by step. */
static void earlier_output(struct search *s, uint32_t *id)
{
	struct cut c = copy_cut(&s->best);
	uint32_t good = 0, bad = candidates(s, id);
	while (good < bad) {
		uint32_t middle = good + (bad - good) / 2;
		c.out = id[middle];
		if (fails(s, &c))
			bad = middle;
		else
			good = middle + 1;
	}
	for (bool moved = true; moved;) {
		const struct node *n = s->r->before->nodes[s->best.out];
		moved = false;
		for (uint32_t k = 0; k < n->n_in && !moved; k++) {
			c.out = n->in[k]->id;
			moved = !c.is_input[c.out] && can_be_port(n->in[k]) && fails(s, &c);
		}
	}
}

/* Turns nodes into inputs, those near the output first; whether one could be. */
static bool later_inputs(struct search *s, uint32_t *id)
{
	bool any = false;
	uint32_t n = candidates(s, id);
	while (n-- > 0) {
		if (!needed(&s->best)[id[n]])
			continue;
		struct cut c = copy_cut(&s->best);
		c.is_input[id[n]] = true;
		any = fails(s, &c) || any;
	}
	return any;
}

static uint32_t count_nodes(const struct graph *g)
{
	const bool *live = graph_live(g);
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += live[i] && op_info[g->nodes[i]->op].kind != KIND_source;
	return n;
}

bool verify_reduce(struct reduction *r)
{
	struct arena *arena = r->before->context->arena;
	struct search s = {.r = r, .best = {.r = r}};
	r->part = r->after = NULL;
	s.value = evaluate_all(r);
	if (!s.value)
		return false;
	s.best.is_input = arena_new(arena, bool, r->before->n_nodes + 1);
	uint32_t *id = arena_new(arena, uint32_t, r->before->n_nodes + 1);
	if (!find_output(&s))
		return true;
	do
		earlier_output(&s, id);
	while (later_inputs(&s, id));
	r->n_nodes = count_nodes(r->part);
	return true;
}
