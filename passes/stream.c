/* See stream.h.  From each norm that subtracts a mean the stream is explored both ways, to readers
 * and to sources, until it is closed or something forbids it. */
#include "stream.h"

#include "value.h"

/* Rows of weights that are recentred for each norm that profits: to take the mean of a row costs at
 * compile time what a norm saves for a token, and the row is no longer read from the model's file.
 * Blocks of Pre-LN transformers have a few thousand; a vocabulary for one norm is not worth it. */
static const double most_rows = 16384;

/* A value and its axis, while exploring. */
struct member {
	struct node *node;
	int32_t axis;
};

struct explore {
	const struct graph *g;
	struct arena *arena;
	struct readers readers;
	const uint32_t *output; /* by id: 1 + position among the outputs; 0: none */
	struct streams *result;
	uint32_t *stream; /* by id: number of the last stream that reached it */
	int32_t *axis;	  /* by id: its axis in that stream */
	/* by id and axis: why the stream that it was in cannot be recentred */
	const char *(*missed)[MAX_RANK];
	double *greatest; /* by id of a constant: 1 + its greatest magnitude; 0: not known yet */
	/* the stream at hand; room for all nodes */
	uint32_t number;
	struct member *member;
	uint32_t n_members;
	struct node **norm; /* that profit */
	uint32_t n_norms;
	struct member computed; /* a source that only a subtraction can recentre */
	uint32_t n_computed;
	uint32_t *counted; /* by id of a constant: number of the last stream that counted it */
	double rows;	   /* of weights to recentre */
	struct node *most; /* reads the most of them at once */
	double most_at_once;
	const char *why; /* it cannot be; NULL so far */
};

/* "Add '/h.0/Add_1'" */
static const char *describe(const struct explore *e, const struct node *n)
{
	const struct diag *diag = e->g->context->diag;
	const struct source *s = n->loc.source && n->loc.source < diag->n_sources
						 ? &diag->sources[n->loc.source]
						 : NULL;
	if (!s)
		return op_info[n->op].name;
	return arena_printf(e->arena, "%s '%s'", s->op_type, s->name ? s->name : "");
}

static void miss(struct explore *e, const struct node *n, const char *what, const char *cure)
{
	if (!e->why)
		e->why = arena_printf(e->arena, "its stream %s %s, %s", what, describe(e, n), cure);
}

/* Weights must stay in the range of their type without their means, which are not greater than the
 * greatest of them. */
static void expect_moderate(struct explore *e, const struct node *reader, const struct node *n)
{
	const struct node *c = constant_of(n);
	if (!e->greatest[c->id])
		e->greatest[c->id] = 1 + greatest_magnitude(c);
	if (!(e->greatest[c->id] - 1 <= elem_largest(c->type.elem) / 2))
		miss(e, reader, "reads infinities, NaN or the greatest numbers from the weights of",
		     "which have no mean to take away");
}

/* A constant that loses its means along `axis` (of `n`, which may be a broadcast of it). */
static void count_rows(struct explore *e, struct node *reader, const struct node *n, int32_t axis)
{
	const struct node *c = constant_of(n);
	if (e->counted[c->id] == e->number || uniform_along(c, axis))
		return;
	double rows = (double)type_fixed_count(&c->type) / (double)fixed_extent(&c->type, axis);
	e->counted[c->id] = e->number;
	e->rows += rows;
	if (rows > e->most_at_once) {
		e->most_at_once = rows;
		e->most = reader;
	}
}

/* ---- parts ---- */

static bool centres_along(const struct node *n, int32_t axis)
{
	return n->op == OP_norm && n->attr.norm->centre == NORM_CENTRE_MEAN &&
	       n->attr.norm->axes == 1u << axis;
}

/* A norm whose result has mean zero, but for a constant beta. */
static bool is_centred(const struct node *n, int32_t axis)
{
	if (!centres_along(n, axis))
		return false;
	const struct attr_norm *norm = n->attr.norm;
	double gamma;
	return (!norm->gamma || uniform_along(n->in[1], axis) || splat_of(n->in[1], &gamma)) &&
	       (!norm->beta || constant_of(n->in[norm->gamma ? 2 : 1]));
}

/* ---- exploring ---- */

static void enter(struct explore *e, struct node *n, int32_t axis)
{
	if (e->stream[n->id] == e->number) {
		if (e->axis[n->id] != axis)
			miss(e, n, "needs two axes of", "so that no mean stays zero");
		return;
	}
	if (!e->why)
		e->why = e->missed[n->id][axis];
	e->stream[n->id] = e->number;
	e->axis[n->id] = axis;
	e->member[e->n_members++] = (struct member){n, axis};
}

static void follow_reader(struct explore *e, const struct member *m, const struct reader *r)
{
	struct dims *dims = e->g->context->dims;
	if (r->operand == 0 && centres_along(r->node, m->axis)) {
		e->norm[e->n_norms++] = r->node;
		return;
	}
	if (r->node->op == OP_softmax && r->node->attr.softmax->axis == m->axis)
		return;
	int32_t axis = axis_out_of(dims, r->node, r->operand, m->axis);
	if (axis >= 0 && has_operand(linear_operands(dims, r->node, axis), r->operand))
		enter(e, r->node, axis);
	else
		miss(e, r->node, "is read by", "which sees the mean that recentring takes away");
}

static void follow_operands(struct explore *e, const struct member *m, uint32_t operands)
{
	struct dims *dims = e->g->context->dims;
	for (uint32_t k = 0; k < m->node->n_in; k++) {
		struct node *n = m->node->in[k];
		int32_t axis = has_operand(operands, k) ? axis_into(dims, m->node, k, m->axis) : -1;
		if (axis >= 0 && constant_of(n)) {
			expect_moderate(e, m->node, n);
			count_rows(e, m->node, n, axis);
		} else if (axis >= 0) {
			enter(e, n, axis);
		}
	}
}

static void visit_source(struct explore *e, const struct member *m)
{
	if (is_centred(m->node, m->axis)) {
		if (m->node->attr.norm->beta)
			expect_moderate(e, m->node, m->node->in[m->node->n_in - 1]);
		return;
	}
	e->computed = *m;
	if (e->n_computed++)
		miss(e, m->node, "has more than one source that no weights recentre, such as",
		     "and to subtract means at run time costs what it saves");
}

static void visit(struct explore *e, struct member m)
{
	uint32_t id = m.node->id;
	if (e->output[id])
		e->why = arena_printf(e->arena,
				      "its stream is the graph output '%s', which must keep its "
				      "mean; leave that output out",
				      e->g->output_names[e->output[id] - 1]);
	for (uint32_t i = e->readers.first[id]; i < e->readers.first[id + 1] && !e->why; i++)
		follow_reader(e, &m, &e->readers.reader[i]);
	uint32_t operands = linear_operands(e->g->context->dims, m.node, m.axis);
	if (operands)
		follow_operands(e, &m, operands);
	else
		visit_source(e, &m);
}

/* ---- deciding ---- */

static enum part part_of(const struct explore *e, const struct member *m)
{
	if (linear_operands(e->g->context->dims, m->node, m->axis))
		return PART_LINEAR;
	return is_centred(m->node, m->axis) ? PART_NORM : PART_SUBTRACTED;
}

static void accept(struct explore *e)
{
	for (uint32_t i = 0; i < e->n_members; i++) {
		struct part_of *of = &e->result->of[e->member[i].node->id];
		of->part = part_of(e, &e->member[i]);
		of->axis = e->member[i].axis;
		of->stream = e->number;
	}
	for (uint32_t i = 0; i < e->n_norms; i++) {
		struct part_of *of = &e->result->of[e->norm[i]->id];
		of->meanless = true;
		of->reads = e->number;
	}
}

/* The stream that norm `n` reads. */
static void explore_from(struct explore *e, struct node *n, int32_t axis)
{
	e->number++;
	e->n_members = e->n_norms = e->n_computed = 0;
	e->rows = e->most_at_once = 0;
	e->why = NULL;
	enter(e, n->in[0], axis);
	for (uint32_t i = 0; i < e->n_members && !e->why; i++)
		visit(e, e->member[i]);
	if (!e->why && e->n_computed && e->n_norms < 2)
		miss(e, e->computed.node, "comes from",
		     "and to subtract the mean there costs as much as here");
	if (!e->why && e->rows > most_rows * e->n_norms)
		miss(e, e->most, "has a vocabulary in the weights of",
		     "too large to be rewritten for so few norms");
	for (uint32_t i = 0; i < e->n_members; i++)
		e->missed[e->member[i].node->id][e->member[i].axis] = e->why;
	if (e->why)
		e->result->of[n->id].missed = e->why;
	else
		accept(e);
}

struct streams streams_of(const struct graph *g)
{
	struct arena *arena = g->context->arena;
	struct streams result = {arena_new(arena, struct part_of, g->n_nodes + 1)};
	struct explore e = {.g = g, .arena = arena, .result = &result};
	uint32_t *output = arena_new(arena, uint32_t, g->n_nodes + 1);
	e.readers = readers_of(g, arena);
	e.stream = arena_new(arena, uint32_t, g->n_nodes + 1);
	e.axis = arena_new(arena, int32_t, g->n_nodes + 1);
	e.missed = arena_alloc(arena, g->n_nodes + 1, sizeof *e.missed);
	e.greatest = arena_new(arena, double, g->n_nodes + 1);
	e.counted = arena_new(arena, uint32_t, g->n_nodes + 1);
	e.member = arena_new(arena, struct member, g->n_nodes + 1);
	e.norm = arena_new(arena, struct node *, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		output[g->outputs[i]->id] = i + 1;
	e.output = output;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		for (int32_t axis = 0; axis < g->nodes[i]->type.rank; axis++)
			if (centres_along(g->nodes[i], axis) && !result.of[i].meanless &&
			    !constant_of(g->nodes[i]->in[0]))
				explore_from(&e, g->nodes[i], axis);
	return result;
}
