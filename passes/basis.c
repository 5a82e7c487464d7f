/* See basis.h. */
#include "basis.h"

#include <math.h>

#include "eval_op.h"
#include "value.h"

/* Values that must have one basis. */
struct class
{
	uint32_t parent;	/* of a union-find forest */
	int64_t n;		/* channels */
	const char *held;	/* why it must stay as it is; NULL: it need not */
	double least, greatest; /* magnitudes of the constants that follow its basis */
	struct node *scale;	/* NULL: 1 */
	struct node *moved;	/* scale that is being tried */
	/* Classes whose bases hang together are a list. */
	struct class *first, *next;
	struct class *last;	    /* of the first class */
	const char *component_held; /* of the first class: why all must stay as they are */
};

/* A scale by constants. */
struct scaling {
	struct node *node;
	struct node *numbers;
	int32_t axis;
};

struct search {
	const struct graph *g;
	struct graph *scratch; /* numbers are built there */
	struct arena *arena;
	struct readers readers;
	const uint32_t *output; /* by id: 1 + position among the outputs; 0: none */
	struct scaling *scaling;
	uint32_t n_scalings;
	uint32_t *scaling_at; /* by id: 1 + its number; 0: none */
	struct node **member;
	uint32_t n_members;
	uint32_t *class_at; /* by id: 1 + number of the member's class; 0: no member */
	struct class *class;
	struct bases *result;
};

/* ---- texts ---- */

/* "Add '/h.0/Add_1'" */
static const char *describe(const struct search *s, const struct node *n)
{
	const struct diag *diag = s->g->context->diag;
	const struct source *from = n->loc.source && n->loc.source < diag->n_sources
						    ? &diag->sources[n->loc.source]
						    : NULL;
	if (!from)
		return op_info[n->op].name;
	return arena_printf(s->arena, "%s '%s'", from->op_type, from->name ? from->name : "");
}

/* ---- scales ---- */

/* Narrower types have no room for another basis. */
static bool is_wide(enum normc_elem elem)
{
	return elem == NORMC_F32 || elem == NORMC_F64 || elem == NORMC_BF16;
}

uint32_t scale_operand(const struct node *n)
{
	return n->op == OP_mul && constant_of(n->in[0]) ? 1 : 0;
}

/* The constant that a value is multiplied or divided by; NULL if there is none. */
static const struct node *constant_factor(const struct node *n)
{
	if (n->op != OP_mul && n->op != OP_div)
		return NULL;
	uint32_t x = scale_operand(n);
	return constant_of(n->in[x]) ? NULL : constant_of(n->in[1 - x]);
}

/* An axis along which a constant varies; -1: none. */
static int32_t varying_axis(const struct node *c)
{
	for (int32_t i = 0; i < c->type.rank; i++)
		if (!dim_is(c->type.dim[i], 1))
			return i;
	return -1;
}

static void find_scaling(struct search *s, struct node *n)
{
	const struct node *c = is_wide(n->type.elem) ? constant_factor(n) : NULL;
	struct scaling found = {.node = n, .axis = c ? varying_axis(c) : -1};
	if (found.axis < 0)
		return;
	found.numbers = numbers_of(s->scratch, c, found.axis, fixed_extent(&n->type, found.axis),
				   1);
	if (!found.numbers)
		return;
	if (n->op == OP_div)
		found.numbers = numbers_binary(
				s->scratch, OP_div,
				numbers_equal(s->scratch, numbers_count(found.numbers), 1),
				found.numbers);
	PUSH(s->arena, s->scaling, s->n_scalings, found);
	s->scaling_at[n->id] = s->n_scalings;
	s->result->of[n->id].fate = SCALE_KEPT;
}

/* The scale along this axis that `n` is; else NULL. */
static const struct scaling *scaling_along(const struct search *s, const struct node *n,
					   int32_t axis)
{
	uint32_t k = s->scaling_at[n->id];
	return k && s->scaling[k - 1].axis == axis ? &s->scaling[k - 1] : NULL;
}

/* ---- classes ---- */

static uint32_t find_class(const struct search *s, const struct node *n)
{
	uint32_t c = s->class_at[n->id] - 1;
	while (s->class[c].parent != c)
		c = s->class[c].parent = s->class[s->class[c].parent].parent;
	return c;
}

/* Keeps the class of `n` as it is; `what` and `by` say why. */
static void hold(struct search *s, const struct node *n, const char *what, const struct node *by)
{
	struct class *c = &s->class[find_class(s, n)];
	if (!c->held)
		c->held = by ? arena_printf(s->arena, "%s %s", what, describe(s, by)) : what;
}

static void tie(struct search *s, const struct node *a, const struct node *b)
{
	uint32_t into = find_class(s, a), from = find_class(s, b);
	struct class *to = &s->class[into], *c = &s->class[from];
	if (into == from)
		return;
	c->parent = into;
	to->held = to->held ? to->held : c->held;
	to->least = fmin(to->least, c->least);
	to->greatest = fmax(to->greatest, c->greatest);
}

/* False if it is a member along another axis, or cannot be one. */
static bool enter(struct search *s, struct node *n, int32_t axis)
{
	int64_t extent = axis < 0 ? -1 : fixed_extent(&n->type, axis);
	if (s->class_at[n->id])
		return s->result->of[n->id].axis == axis;
	if (extent < 1 || !is_wide(n->type.elem))
		return false;
	s->class[s->n_members] = (struct class){s->n_members, extent, .least = INFINITY};
	s->result->of[n->id].axis = axis;
	s->member[s->n_members++] = n;
	s->class_at[n->id] = s->n_members;
	return true;
}

/* Both must have one basis. */
static void enter_tied(struct search *s, const struct node *n, struct node *other, int32_t axis)
{
	if (enter(s, other, axis))
		tie(s, n, other);
	else
		hold(s, n, "goes on with other channels, or in a type of small range, in", other);
}

/* ---- constants that follow a basis ---- */

/* Numbers below the normal range have lost bits already and do not count. */
static void note_magnitudes(struct class *class, const struct node *c)
{
	enum { PIECE = 1024 };
	const struct attr_data *data = c->attr.data;
	int64_t count = type_fixed_count(&c->type);
	size_t size = normc_elem_size(c->type.elem);
	double x[PIECE], normal = elem_smallest_normal(c->type.elem);
	for (int64_t i = 0; i < count; i += PIECE) {
		struct tensor t = {.elem = c->type.elem, .f = x};
		t.count = count - i < PIECE ? count - i : PIECE;
		tensor_fill(&t, (const unsigned char *)data->p + (size_t)i * size);
		for (int64_t k = 0; k < t.count; k++) {
			double magnitude = fabs(x[k]);
			if (!(magnitude <= class->greatest))
				class->greatest = isfinite(magnitude) ? magnitude : INFINITY;
			if (magnitude >= normal && magnitude < class->least)
				class->least = magnitude;
		}
	}
}

/* The constant behind `n`, in the basis of the class of `member` along the constant's axis. */
static void follow_constant(struct search *s, const struct node *member, const struct node *n,
			    int32_t axis)
{
	enum { MOST_GROWN = 8192 };
	const struct node *c = constant_of(n);
	struct class *class = &s->class[find_class(s, member)];
	bool grows = fixed_extent(&c->type, axis) != class->n;
	if (fixed_extent(&n->type, axis) != class->n) /* parameters of norms */
		hold(s, member, "has one parameter for all channels in", member);
	else if (grows && type_fixed_count(&c->type) > MOST_GROWN / class->n)
		hold(s, member, "reads a constant that would grow in", member);
	else
		note_magnitudes(class, c);
}

/* ---- operations ---- */

uint32_t operands_in_basis(const struct graph *g, const struct node *n, int32_t axis)
{
	if (constant_factor(n))
		return 1u << scale_operand(n);
	if (n->op == OP_conv && axis == 1) /* filters make channels, with groups too */
		return 2;
	if (n->op == OP_norm) {
		const struct attr_norm *norm = n->attr.norm;
		bool is_known = norm->gamma && constant_of(n->in[1]) &&
				(!norm->beta || constant_of(n->in[2]));
		return is_known ? norm->beta ? 6 : 2 : 0;
	}
	return linear_operands(g->context->dims, n, axis);
}

static int32_t axis_of_operand(const struct search *s, const struct node *n, uint32_t k,
			       int32_t axis)
{
	if (n->op == OP_conv && k == 1 && axis == 1)
		return 0;
	return axis_into(s->g->context->dims, n, k, axis);
}

bool find_summed(const struct node *n, uint32_t k, int32_t axis, int64_t count, struct summed *s)
{
	*s = (struct summed){.weights = 1 - k};
	if (n->op == OP_matmul && axis == n->type.rank - (k == 0 ? 1 : 2))
		s->at.axis = n->type.rank - (k == 0 ? 2 : 1);
	else if (n->op == OP_conv && k == 0 && axis == 1)
		s->at = (struct weights_axis){1, n->attr.conv->groups};
	else
		return false;
	const struct node *w = n->in[s->weights];
	if (w->op == OP_transpose && n->op == OP_matmul) {
		s->perm = w->attr.perm;
		s->at.axis = s->perm->perm[s->at.axis];
		w = w->in[0];
	}
	s->constant = constant_of(w);
	if (!s->constant)
		return false;
	int64_t groups = s->at.groups > 1 ? s->at.groups : 1;
	return fixed_extent(&s->constant->type, s->at.axis) == count / groups;
}

/* ---- exploring ---- */

static void follow_operands(struct search *s, struct node *n, int32_t axis)
{
	const struct scaling *scaling = scaling_along(s, n, axis);
	uint32_t mask = operands_in_basis(s->g, n, axis);
	if (scaling) {
		struct node *x = n->in[scale_operand(n)];
		if (!enter(s, x, axis))
			hold(s, n, "has channels along two axes at", x);
		return;
	}
	if (!mask)
		hold(s, n, "comes from", n);
	for (uint32_t k = 0; k < n->n_in; k++) {
		int32_t at = has_operand(mask, k) ? axis_of_operand(s, n, k, axis) : -1;
		if (has_operand(mask, k) && constant_of(n->in[k]))
			follow_constant(s, n, n->in[k], at);
		else if (has_operand(mask, k))
			enter_tied(s, n, n->in[k], at);
	}
}

static void follow_reader(struct search *s, const struct node *n, int32_t axis,
			  const struct reader *r)
{
	struct summed summed;
	int32_t out = axis_out_of(s->g->context->dims, r->node, r->operand, axis);
	const struct scaling *scaling = scaling_along(s, r->node, out);
	if (scaling) {
		if (!enter(s, r->node, out))
			hold(s, n, "has channels along two axes at", r->node);
		return;
	}
	if (out >= 0 && has_operand(operands_in_basis(s->g, r->node, out), r->operand))
		enter_tied(s, n, r->node, out);
	else if (find_summed(r->node, r->operand, axis, fixed_extent(&n->type, axis), &summed))
		note_magnitudes(&s->class[find_class(s, n)], summed.constant);
	else
		hold(s, n, "is read by", r->node);
}

static void visit(struct search *s, struct node *n)
{
	int32_t axis = s->result->of[n->id].axis;
	uint32_t id = n->id;
	if (s->output[id])
		hold(s, n,
		     arena_printf(s->arena, "is the graph output '%s'",
				  s->g->output_names[s->output[id] - 1]),
		     NULL);
	follow_operands(s, n, axis);
	for (uint32_t i = s->readers.first[id]; i < s->readers.first[id + 1]; i++)
		follow_reader(s, n, axis, &s->readers.reader[i]);
}

static void explore(struct search *s)
{
	uint32_t done = 0;
	for (uint32_t i = 0; i < s->n_scalings; i++) {
		enter(s, s->scaling[i].node, s->scaling[i].axis);
		for (; done < s->n_members; done++)
			visit(s, s->member[done]);
	}
}

/* ---- joining ---- */

static struct node *times(struct search *s, struct node *a, struct node *b)
{
	return a && b ? numbers_binary(s->scratch, OP_mul, a, b) : a ? a : b;
}

static struct node *over(struct search *s, struct node *a, struct node *b)
{
	return b ? numbers_binary(s->scratch, OP_div, a, b) : a;
}

/* How far the basis is from 1, either way. */
static double reach_of(const struct node *numbers)
{
	const double *x = numbers_values(numbers);
	double reach = 1;
	for (int64_t i = 0; i < numbers_count(numbers); i++) {
		double magnitude = fabs(x[i]);
		reach = fmax(reach, fmax(magnitude, 1 / magnitude));
		if (!isfinite(magnitude) || magnitude == 0)
			return INFINITY;
	}
	return reach;
}

/* Weights between two classes change by both. */
static bool is_in_reach(const struct class *c, const struct node *scale)
{
	double reach = reach_of(scale);
	return reach <= ldexp(1, MOST_EXPONENT) &&
	       c->least / (reach * reach) >= elem_smallest_normal(NORMC_F32) &&
	       c->greatest * (reach * reach) <= elem_largest(NORMC_BF16);
}

/* Multiplies the bases of a component, which nobody holds, by `factor`, and makes it part of
 * another; false if that would lead too far. */
static bool move_component(struct search *s, struct class *from, struct class *to,
			   struct node *factor)
{
	for (struct class *c = from; c; c = c->next) {
		c->moved = times(s, c->scale, factor);
		if (!is_in_reach(c, c->moved))
			return false;
	}
	to->last->next = from;
	to->last = from->last;
	for (struct class *c = from; c; c = c->next) {
		c->scale = numbers_are(c->moved, 1) ? NULL : c->moved;
		c->first = to;
	}
	return true;
}

/* Joins the classes before and after a scale; returns why not, or NULL. */
static const char *join(struct search *s, const struct scaling *scaling)
{
	const struct node *x = scaling->node->in[scale_operand(scaling->node)];
	struct class *a = &s->class[find_class(s, x)];
	struct class *b = &s->class[find_class(s, scaling->node)];
	const char *before = a->first->component_held, *after = b->first->component_held;
	struct node *scaled = times(s, a->scale, scaling->numbers);
	if (a->first == b->first)
		return "its operand and its result meet again in a sum, and sums have one basis";
	if (isinf(reach_of(scaling->numbers)))
		return "the scale of a channel is 0 or not finite, which no basis can take";
	if (before && after)
		return arena_printf(s->arena,
				    "no basis leads past it: its operand's stream %s, and its "
				    "result's %s; without one of them it would go",
				    before, after);
	struct node *back =
			over(s, b->scale ? b->scale : numbers_equal(s->scratch, b->n, 1), scaled);
	bool fits = (!after && move_component(s, b->first, a->first, over(s, scaled, b->scale))) ||
		    (!before && move_component(s, a->first, b->first, back));
	return fits ? NULL
		    : "with the scales before it the basis, or weights in it, would leave their "
		      "range; another basis begins here";
}

/* ---- results ---- */

/* Other scales are no candidates that anybody would ask about. */
static bool scales_a_sum(const struct node *n)
{
	const struct node *x = n->in[scale_operand(n)];
	return (x->op == OP_add || x->op == OP_sub) && !constant_of(x->in[0]) &&
	       !constant_of(x->in[1]);
}

/* Its operand and its result are members along its axis. */
static bool joins_members(const struct search *s, const struct scaling *scaling)
{
	uint32_t y = scaling->node->id, x = scaling->node->in[scale_operand(scaling->node)]->id;
	const struct basis *of = s->result->of;
	return s->class_at[x] && s->class_at[y] && of[x].axis == scaling->axis &&
	       of[y].axis == scaling->axis;
}

static void decide(struct search *s, const struct scaling *scaling)
{
	struct basis *of = &s->result->of[scaling->node->id];
	const char *why = "its channels lie along two axes, or in a type of small range";
	if (joins_members(s, scaling))
		why = join(s, scaling);
	of->fate = why ? SCALE_KEPT : SCALE_GONE;
	of->missed = why && scales_a_sum(scaling->node) ? why : NULL;
	s->result->n_gone += !why;
}

static void give_basis(struct search *s, const struct node *n)
{
	const struct class *c = &s->class[find_class(s, n)];
	struct basis *of = &s->result->of[n->id];
	of->scale = c->scale;
	if (c->scale)
		of->inverse = over(s, numbers_equal(s->scratch, c->n, 1), c->scale);
}

/* Between the bases of its operand and its result. */
static void give_factor(struct search *s, const struct scaling *scaling)
{
	const struct basis *of = s->result->of;
	const struct node *x = scaling->node->in[scale_operand(scaling->node)];
	const struct basis *before = &of[x->id], *after = &of[scaling->node->id];
	if (after->fate == SCALE_KEPT && joins_members(s, scaling) &&
	    (before->scale || after->scale))
		s->result->of[scaling->node->id].factor =
				over(s, times(s, before->scale, scaling->numbers), after->scale);
}

struct bases bases_of(const struct graph *g)
{
	struct arena *arena = g->context->arena;
	struct bases result = {.of = arena_new(arena, struct basis, g->n_nodes + 1)};
	struct search s = {.g = g, .arena = arena, .result = &result};
	uint32_t *output = arena_new(arena, uint32_t, g->n_nodes + 1);
	s.scratch = graph_new(g->context, "scales");
	s.scaling_at = arena_new(arena, uint32_t, g->n_nodes + 1);
	s.class_at = arena_new(arena, uint32_t, g->n_nodes + 1);
	s.member = arena_new(arena, struct node *, g->n_nodes + 1);
	s.class = arena_new(arena, struct class, g->n_nodes + 1);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		output[g->outputs[i]->id] = i + 1;
	s.output = output;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		find_scaling(&s, g->nodes[i]);
	if (!s.n_scalings)
		return result;
	s.readers = readers_of(g, arena);
	explore(&s);
	for (uint32_t i = 0; i < s.n_members; i++) {
		struct class *c = &s.class[i];
		c->first = c->last = c;
		c->component_held = c->held;
	}
	for (uint32_t i = 0; i < s.n_scalings; i++)
		decide(&s, &s.scaling[i]);
	for (uint32_t i = 0; i < s.n_members; i++)
		give_basis(&s, s.member[i]);
	for (uint32_t i = 0; i < s.n_scalings; i++)
		give_factor(&s, &s.scaling[i]);
	return result;
}
