/* If, Loop and Scan.  What is decided at compile time is imported in place: the branch that is
 * taken, and loops of few iterations whose values change shape.  The rest becomes OP_if and OP_loop
 * over closed regions.
 */
#include <string.h>

#include "compose.h"
#include "import_state.h"

enum { MAX_UNROLL = 64 };

static struct node *as_scalar(struct import *n, struct node *a, enum normc_elem elem)
{
	a = build_cast(n->g, a, elem);
	return a->type.rank ? build_reshape(n->g, a, 0, a->type.dim) : a;
}

/* A node that only stands for its type, to make a region's parameter from. */
static struct node stand_in(const struct type *type)
{
	return (struct node){.op = OP_input, .type = *type};
}

/* Operands of a region operation: these, then all captured values. */
static struct node **with_captured(struct import *n, struct node *const *first, uint32_t n_first,
				   const struct captures *captured)
{
	struct node **in = arena_new(n->g->context->arena, struct node *,
				     (size_t)n_first + captured->n + 1);
	memcpy(in, first, n_first * sizeof *in);
	for (uint32_t i = 0; i < captured->n; i++)
		in[n_first + i] = captured->node[i];
	return in;
}

/* ---- If ---- */

static void import_branch(struct import *n, const char *name)
{
	struct body *body = body_open(n, name, 0, NULL);
	if (!body)
		return;
	struct node **out =
			arena_new(n->g->context->arena, struct node *, body->proto->n_output + 1);
	if (!body_import(n, body, out))
		return;
	if (body->proto->n_output != n->n_out)
		import_invalid(n, "the branch has %zu results instead of %u", body->proto->n_output,
			       n->n_out);
	for (uint32_t i = 0; i < n->n_out && i < body->proto->n_output; i++)
		import_out(n, i, out[i]);
}

static bool same_results(struct import *n, const struct graph *then, const struct graph *other)
{
	if (then->n_outputs != n->n_out || other->n_outputs != n->n_out) {
		import_invalid(n, "the branches have %u and %u results instead of %u",
			       then->n_outputs, other->n_outputs, n->n_out);
		return false;
	}
	for (uint32_t i = 0; i < n->n_out; i++) {
		char a[160], b[160];
		if (type_equal(&then->outputs[i]->type, &other->outputs[i]->type))
			continue;
		type_print(n->g->context->dims, &then->outputs[i]->type, a, sizeof a);
		type_print(n->g->context->dims, &other->outputs[i]->type, b, sizeof b);
		import_unsupported(n,
				   "the branches give result %u the types %s and %s; they must be "
				   "equal",
				   i, a, b);
		return false;
	}
	return true;
}

void import_if(struct import *n)
{
	struct node *condition = as_scalar(n, import_in(n, 0), NORMC_BOOL);
	const struct dim *known;
	struct captures captured = {0};
	struct attr_region attr = {.n_out = n->n_out};
	if (node_is_poison(condition))
		return;
	if (import_known(n, condition, &known) && dim_is_const(known)) {
		import_branch(n, known->value ? "then_branch" : "else_branch");
		return;
	}
	attr.region[0] = import_region(n, "then_branch", NULL, 0, &captured);
	attr.region[1] = import_region(n, "else_branch", NULL, 0, &captured);
	if (!attr.region[0] || !attr.region[1] || !same_results(n, attr.region[0], attr.region[1]))
		return;
	import_region_extend(n, attr.region[0], 0, &captured);
	struct type *out = arena_new(n->g->context->arena, struct type, n->n_out + 1);
	for (uint32_t i = 0; i < n->n_out; i++)
		out[i] = attr.region[0]->outputs[i]->type;
	attr.out = out;
	struct node **in = with_captured(n, &condition, 1, &captured);
	struct node *y = graph_node(n->g, OP_if, in, 1 + captured.n, (union attr){.region = &attr});
	for (uint32_t i = 0; i < n->n_out; i++)
		import_out(n, i, compose_result(n->g, y, i));
}

/* ---- loops ---- */

/* Loop or Scan on its way. */
struct loop {
	struct import *n;
	struct node *trip_count, *condition;
	const struct dim *trips; /* NULL: not known before the loop runs */
	struct node **start;     /* values carried from one iteration to the next */
	uint32_t n_carried, n_scanned;
	struct graph *body;
	struct captures captured;
};

/* Whether carried values keep their types; reports the first that does not if `report`. */
static bool keeps_types(const struct loop *l, bool report)
{
	for (uint32_t i = 0; i < l->n_carried; i++) {
		const struct type *before = &l->start[i]->type,
				  *after = &l->body->outputs[1 + i]->type;
		char a[160], b[160];
		if (type_equal(before, after))
			continue;
		type_print(l->n->g->context->dims, before, a, sizeof a);
		type_print(l->n->g->context->dims, after, b, sizeof b);
		if (report)
			import_unsupported(l->n, "carried value %u changes its type from %s to %s",
					   i, a, b);
		return false;
	}
	return true;
}

/* Whether the condition that the body returns is always true. */
static bool runs_through(const struct loop *l)
{
	const struct node *y = l->body->outputs[0];
	const struct dim *first;
	bool goes_on = y == l->body->inputs[1] || (y->ints && dim_is(y->ints[0], 1));
	return goes_on && import_known(l->n, l->condition, &first) && dim_is_const(first);
}

/* Makes the loop and its results: carried values, then stacked ones. */
static struct node *finish_loop(struct loop *l)
{
	struct import *n = l->n;
	struct arena *arena = n->g->context->arena;
	struct attr_region attr = {
			.region = {l->body}, .n_carried = l->n_carried, .trips = l->trips};
	struct type *out = arena_new(arena, struct type, l->n_carried + l->n_scanned + 1);
	attr.n_out = l->n_carried + l->n_scanned;
	attr.out = out;
	for (uint32_t i = 0; i < attr.n_out; i++) {
		const struct type *one = &l->body->outputs[1 + i]->type;
		out[i] = *one;
		if (i < l->n_carried)
			continue;
		if (one->rank == MAX_RANK) {
			import_unsupported(n, "a stacked result of rank above %d", MAX_RANK);
			return graph_poison(n->g);
		}
		out[i].rank = one->rank + 1;
		out[i].dim[0] = l->trips;
		memcpy(out[i].dim + 1, one->dim, (size_t)one->rank * sizeof one->dim[0]);
	}
	struct node **first = arena_new(arena, struct node *, 2 + l->n_carried);
	first[0] = l->trip_count;
	first[1] = l->condition;
	memcpy(first + 2, l->start, l->n_carried * sizeof *first);
	struct node **in = with_captured(n, first, 2 + l->n_carried, &l->captured);
	return graph_node(n->g, OP_loop, in, 2 + l->n_carried + l->captured.n,
			  (union attr){.region = &attr});
}

/* Trip count, condition and start values from the operands of Loop. */
static bool read_loop(struct import *n, struct loop *l)
{
	struct dims *dims = n->g->context->dims;
	struct node *count = import_optional(n, 0), *condition = import_optional(n, 1);
	const struct dim *known;
	*l = (struct loop){.n = n};
	l->n_carried = n->n_in > 2 ? n->n_in - 2 : 0;
	l->start = l->n_carried ? n->in + 2 : n->in;
	for (uint32_t i = 0; i < l->n_carried; i++)
		if (node_is_poison(import_in(n, 2 + i)))
			return false;
	l->trip_count = count ? as_scalar(n, count, NORMC_I64)
			      : build_integer(n->g, NORMC_I64, INT64_MAX);
	l->condition = condition ? as_scalar(n, condition, NORMC_BOOL)
				 : build_integer(n->g, NORMC_BOOL, 1);
	if (count && import_known(n, l->trip_count, &known))
		l->trips = dim_max(dims, dim_const(dims, 0), known);
	if (import_known(n, l->condition, &known) && dim_is(known, 0)) {
		l->trips = dim_const(dims, 0);
		l->trip_count = build_integer(n->g, NORMC_I64, 0);
	}
	return !node_is_poison(l->trip_count) && !node_is_poison(l->condition);
}

/* One iteration in place; the results of the body go to `out`. */
static bool unroll_once(struct loop *l, int64_t i, struct node *const *carried, struct node **out)
{
	struct import *n = l->n;
	struct body *body = body_open(n, "body", 2 + l->n_carried, NULL);
	if (!body)
		return false;
	body_bind(n, body, 0, build_integer(n->g, NORMC_I64, i));
	body_bind(n, body, 1, build_integer(n->g, NORMC_BOOL, 1));
	for (uint32_t k = 0; k < l->n_carried; k++)
		body_bind(n, body, 2 + k, carried[k]);
	return body_import(n, body, out);
}

/* The whole loop in place, for values that change shape. The number of iterations is a small
 * constant. */
static void unroll(struct loop *l)
{
	struct import *n = l->n;
	struct arena *arena = n->g->context->arena;
	size_t trips = (size_t)l->trips->value, n_out = 1 + (size_t)l->n_carried + l->n_scanned;
	struct node **out = arena_new(arena, struct node *, n_out * (trips + 1));
	struct node **parts = arena_new(arena, struct node *, trips + 1);
	memcpy(out + 1, l->start, l->n_carried * sizeof *out);
	for (size_t i = 0; i < trips; i++)
		if (!unroll_once(l, (int64_t)i, out + i * n_out + 1, out + (i + 1) * n_out))
			return;
	for (uint32_t k = 0; k < l->n_carried; k++)
		import_out(n, k, out[trips * n_out + 1 + k]);
	for (uint32_t k = l->n_carried; k < l->n_carried + l->n_scanned; k++) {
		for (size_t i = 0; i < trips; i++)
			parts[i] = build_unsqueeze(n->g, out[(i + 1) * n_out + 1 + k], 1);
		if (trips)
			import_out(n, k, build_concat(n->g, parts, (uint32_t)trips, 0));
		else
			import_unsupported(n, "a loop without iterations that stacks results of "
					      "changing shape");
	}
}

void import_loop(struct import *n)
{
	struct loop l;
	struct type number = {.elem = NORMC_I64}, truth = {.elem = NORMC_BOOL};
	if (!read_loop(n, &l))
		return;
	struct arena *arena = n->g->context->arena;
	struct node *node = arena_new(arena, struct node, 2 + l.n_carried), **params;
	params = arena_new(arena, struct node *, 2 + l.n_carried);
	for (uint32_t i = 0; i < 2 + l.n_carried; i++) {
		node[i] = stand_in(i == 0 ? &number : i == 1 ? &truth : &l.start[i - 2]->type);
		params[i] = &node[i];
	}
	l.body = import_region(n, "body", params, 2 + l.n_carried, &l.captured);
	if (!l.body)
		return;
	if (l.body->n_outputs < 1 + l.n_carried || n->n_out > l.body->n_outputs - 1) {
		import_invalid(n, "the body has %u results for %u carried values",
			       l.body->n_outputs, l.n_carried);
		return;
	}
	l.n_scanned = l.body->n_outputs - 1 - l.n_carried;
	bool fixed = runs_through(&l);
	if (l.n_scanned && (!fixed || !l.trips)) {
		import_unsupported(n, "the number of iterations depends on data, and results are "
				      "stacked");
		return;
	}
	bool small = fixed && l.trips && dim_is_const(l.trips) && l.trips->value <= MAX_UNROLL;
	if (!keeps_types(&l, !small)) {
		if (small)
			unroll(&l);
		return;
	}
	struct node *y = finish_loop(&l);
	for (uint32_t i = 0; i < n->n_out; i++)
		import_out(n, i, compose_result(n->g, y, i));
}

/* ---- Scan ---- */

/* Axes and directions of scanned inputs or results. */
struct scan_list {
	const int64_t *axis, *backward; /* NULL: all 0 */
};

static bool read_scan_list(struct import *n, const char *axes, const char *directions,
			   uint32_t count, struct scan_list *list)
{
	uint32_t n_axes = import_ints(n, axes, &list->axis);
	uint32_t n_directions = import_ints(n, directions, &list->backward);
	if ((n_axes && n_axes != count) || (n_directions && n_directions != count)) {
		import_invalid(n, "%s or %s have the wrong length", axes, directions);
		return false;
	}
	return true;
}

/* Element number `i` of scanned input k, inside of the body. */
static struct node *scan_element(struct loop *l, struct body *body, uint32_t k,
				 const struct scan_list *list)
{
	struct import *n = l->n;
	struct dims *dims = n->g->context->dims;
	struct graph *g = body->scope.g;
	struct node *x = import_in(n, l->n_carried + k), *i = g->inputs[0];
	int32_t axis = import_axis(n, list->axis ? list->axis[k] : 0, x->type.rank);
	if (x->type.rank == 0)
		return graph_poison(g);
	l->trips = l->trips ? graph_same_extent(n->g, l->trips, x->type.dim[axis])
			    : x->type.dim[axis];
	if (list->backward && list->backward[k]) {
		const struct dim *last = dim_sub(dims, x->type.dim[axis], dim_const(dims, 1));
		i = build_binary(g, OP_sub, build_dims(g, 0, 1, &last), i);
	}
	x = scope_capture(n->state, &body->scope, x, "");
	return build_gather(g, x, i, axis);
}

/* Imports the body as that of a loop: iteration number, condition, carried values. */
static bool scan_body(struct loop *l, uint32_t n_inputs, const struct scan_list *list)
{
	struct import *n = l->n;
	struct type number = {.elem = NORMC_I64}, truth = {.elem = NORMC_BOOL};
	struct node first[2] = {stand_in(&number), stand_in(&truth)};
	uint32_t errors = n->g->context->diag->errors;
	struct body *body = body_open(n, "body", l->n_carried + n_inputs, &l->captured);
	if (!body)
		return false;
	l->body = body->scope.g;
	for (uint32_t i = 0; i < 2; i++)
		graph_parameter(l->body, "", &first[i]);
	for (uint32_t i = 0; i < l->n_carried; i++) {
		struct node state = stand_in(&import_in(n, i)->type);
		body_bind(n, body, i, graph_parameter(l->body, "", &state));
	}
	for (uint32_t k = 0; k < n_inputs; k++)
		body_bind(n, body, l->n_carried + k, scan_element(l, body, k, list));
	struct node **out =
			arena_new(n->g->context->arena, struct node *, body->proto->n_output + 1);
	if (n->g->context->diag->errors != errors || !body_import(n, body, out))
		return false;
	graph_output(l->body, l->body->inputs[1], "");
	for (size_t i = 0; i < body->proto->n_output; i++)
		graph_output(l->body, out[i], "");
	if (body->proto->n_output == n->n_out && n->n_out >= l->n_carried)
		return true;
	import_invalid(n, "the body has %zu results instead of %u", body->proto->n_output,
		       n->n_out);
	return false;
}

/* A stacked result with its iterations along the wanted axis, in the wanted order. */
static struct node *scan_result(struct loop *l, struct node *y, uint32_t k,
				const struct scan_list *list)
{
	struct import *n = l->n;
	struct dims *dims = n->g->context->dims;
	int32_t perm[MAX_RANK], axis = import_axis(n, list->axis ? list->axis[k] : 0, y->type.rank);
	if (node_is_poison(y))
		return y;
	if (list->backward && list->backward[k])
		y = build_slice(n->g, y, 0,
				(struct slice_range){dim_sub(dims, l->trips, dim_const(dims, 1)),
						     l->trips, -1});
	for (int32_t i = 0; i < y->type.rank; i++)
		perm[i] = i < axis ? i + 1 : i == axis ? 0 : i;
	return build_transpose(n->g, y, perm);
}

void import_scan(struct import *n)
{
	struct loop l = {.n = n, .start = n->in};
	struct scan_list inputs, outputs;
	int64_t n_inputs = import_int(n, "num_scan_inputs", 0);
	if (!import_in_range(n, "num_scan_inputs", n_inputs, 1, n->n_in))
		return;
	l.n_carried = n->n_in - (uint32_t)n_inputs;
	l.n_scanned = n->n_out > l.n_carried ? n->n_out - l.n_carried : 0;
	if (!read_scan_list(n, "scan_input_axes", "scan_input_directions", (uint32_t)n_inputs,
			    &inputs) ||
	    !read_scan_list(n, "scan_output_axes", "scan_output_directions", l.n_scanned,
			    &outputs) ||
	    !scan_body(&l, (uint32_t)n_inputs, &inputs) || !keeps_types(&l, true))
		return;
	l.trip_count = build_dims(n->g, 0, 1, &l.trips);
	l.condition = build_integer(n->g, NORMC_BOOL, 1);
	struct node *y = finish_loop(&l);
	for (uint32_t i = 0; i < n->n_out; i++) {
		struct node *one = compose_result(n->g, y, i);
		import_out(n, i,
			   i < l.n_carried ? one : scan_result(&l, one, i - l.n_carried, &outputs));
	}
}
