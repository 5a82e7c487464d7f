/* Lanes of `normc verify` that compare: structure, values with bounds, residues. */
#include "verify.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "eval_beside.h"

static const char *const lane_names[] = {
#define X(name, text) text,
		VERIFY_LANE_LIST(X)
#undef X
};

static const char *const data_names[] = {
#define X(name, text) text,
		VERIFY_DATA_LIST(X)
#undef X
};

const char *verify_lane_name(enum verify_lane lane)
{
	return lane_names[lane];
}

const char *verify_data_name(enum verify_data data)
{
	return data_names[data];
}

void verify_add(struct verify_report *r, struct verify_case made)
{
	made.data = made.data ? made.data : "";
	made.text = made.text ? made.text : "";
	PUSH(r->arena, r->cases, r->n_cases, made);
}

uint32_t verify_count(const struct verify_report *r, enum verify_outcome outcome)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < r->n_cases; i++)
		n += r->cases[i].outcome == outcome;
	return n;
}

/* ---- structure ---- */

struct port {
	const char *name;
	char type[300];
};

static struct port input_of(const struct graph *g, uint32_t i)
{
	struct port p = {.name = g->inputs[i]->attr.port->name};
	type_print(g->context->dims, &g->inputs[i]->type, p.type, sizeof p.type);
	return p;
}

static struct port output_of(const struct graph *g, uint32_t i)
{
	struct port p = {.name = g->output_names[i]};
	type_print(g->context->dims, &g->outputs[i]->type, p.type, sizeof p.type);
	return p;
}

static bool same_port(struct verify_report *r, const char *kind, const struct port *a,
		      const struct port *b)
{
	bool same = !strcmp(a->name, b->name) && !strcmp(a->type, b->type);
	struct verify_case c = {.lane = LANE_STRUCTURE,
				.outcome = same ? VERIFY_PASSED : VERIFY_FAILED,
				.output = arena_string(r->arena, a->name)};
	if (!same)
		c.text = arena_printf(r->arena, "%s '%s' is %s, but '%s' is %s", kind, a->name,
				      a->type, b->name, b->type);
	if (!same || !strcmp(kind, "output"))
		verify_add(r, c);
	return same;
}

bool verify_structure(struct verify_report *r, const struct graph *before,
		      const struct graph *after)
{
	bool same = before->n_inputs == after->n_inputs && before->n_outputs == after->n_outputs;
	if (!same) {
		verify_add(r, (struct verify_case){
					      .lane = LANE_STRUCTURE,
					      .outcome = VERIFY_FAILED,
					      .output = "(all)",
					      .text = arena_printf(
							      r->arena,
							      "%u inputs and %u outputs, but %u "
							      "and %u",
							      before->n_inputs, before->n_outputs,
							      after->n_inputs, after->n_outputs)});
		return false;
	}
	for (uint32_t i = 0; i < before->n_inputs; i++) {
		struct port a = input_of(before, i), b = input_of(after, i);
		same = same_port(r, "input", &a, &b) && same;
	}
	for (uint32_t i = 0; i < before->n_outputs; i++) {
		struct port a = output_of(before, i), b = output_of(after, i);
		same = same_port(r, "output", &a, &b) && same;
	}
	return same;
}

/* ---- values ---- */

/* "[1,0,7]" for element k. */
static void print_index(const struct tensor *t, int64_t k, char *text, size_t size)
{
	int64_t index[MAX_RANK];
	size_t n = 1;
	for (int32_t d = t->rank - 1; d >= 0; d--) {
		index[d] = k % t->dim[d];
		k /= t->dim[d];
	}
	snprintf(text, size, "[");
	for (int32_t d = 0; d < t->rank && n < size; d++)
		n += (size_t)snprintf(text + n, size - n, "%s%lld", d ? "," : "",
				      (long long)index[d]);
	if (n < size)
		snprintf(text + n, size - n, "]");
}

static double value_at(const struct tensor *t, int64_t i)
{
	return elem_is_float(t->elem) ? t->f[i] : (double)t->i[i];
}

/* The error over its bound: 0 if there is none, infinite where there may be none. */
static double ratio_at(const struct tensor *want, const struct tensor *got, int64_t i)
{
	double w = value_at(want, i), g = value_at(got, i), bound = want->bound[i];
	if (isnan(w) || isnan(g))
		return isnan(w) && isnan(g) ? 0 : INFINITY;
	if (w == g && (elem_is_float(want->elem) || want->i[i] == got->i[i]))
		return 0;
	return isfinite(w) && isfinite(g) && bound > 0 ? fabs(g - w) / bound : INFINITY;
}

static bool same_extents(const struct tensor *a, const struct tensor *b)
{
	bool same = a->elem == b->elem && a->rank == b->rank;
	for (int32_t d = 0; same && d < a->rank; d++)
		same = a->dim[d] == b->dim[d];
	return same;
}

/* A text about the worst element. */
static const char *difference(struct verify_report *r, const struct tensor *want,
			      const struct tensor *got, int64_t at)
{
	char index[200];
	print_index(want, at, index, sizeof index);
	double w = value_at(want, at), g = value_at(got, at);
	return arena_printf(r->arena,
			    "element %s is %.9g, but the reference is %.9g: error %.3g, bound %.3g",
			    index, g, w, fabs(g - w), want->bound[at]);
}

/* Whether a bound lets an element be looked at: exact ones only in the exact lane. */
static bool is_checked(enum verify_lane lane, double bound)
{
	return lane == LANE_EXACT ? bound == 0 : isfinite(bound);
}

static double greatest_of(const struct tensor *t)
{
	double greatest = 0;
	for (int64_t i = 0; i < t->count; i++) {
		double size = fabs(value_at(t, i));
		greatest = isfinite(size) ? fmax(greatest, size) : greatest;
	}
	return greatest;
}

/* What the coarsest of a graph's element types rounds away. */
static double coarsest_unit(const struct graph *g)
{
	double unit = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->type.elem && elem_is_float(n->type.elem))
			unit = fmax(unit, bound_unit(n->type.elem));
		for (int r = 0; op_info[n->op].kind == KIND_region && r < 2; r++)
			if (n->attr.region->region[r])
				unit = fmax(unit, coarsest_unit(n->attr.region->region[r]));
	}
	return unit;
}

bool verify_reference(const struct verify_side *before, const struct verify_side *after,
		      struct tensor *want)
{
	const struct graph *g = before->graph;
	struct tensor *other = arena_new(before->arena, struct tensor, g->n_outputs + 1);
	struct eval_request first = {EVAL_EXACT, before->symbols, before->arena};
	struct eval_request second = {EVAL_EXACT, after->symbols, after->arena};
	if (!eval_bounds(g, first, before->in, want))
		return false;
	if (coarsest_unit(after->graph) > coarsest_unit(g))
		return true;
	if (!eval_bounds(after->graph, second, after->in, other))
		return false;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		for (int64_t k = 0; same_extents(&want[i], &other[i]) && k < want[i].count; k++)
			want[i].bound[k] += other[i].bound[k];
	return true;
}

void verify_compare(struct verify_report *r, struct verify_case start, const struct tensor *want,
		    const struct tensor *got)
{
	struct verify_case c = start;
	int64_t worst = -1;
	double greatest = greatest_of(want), bound = 0;
	c.elements = want->count;
	c.ratio = 0;
	if (!same_extents(want, got)) {
		c.outcome = VERIFY_FAILED;
		c.text = "the results have different types or extents";
		verify_add(r, c);
		return;
	}
	for (int64_t i = 0; i < want->count; i++) {
		if (!is_checked(c.lane, want->bound[i])) {
			c.unchecked++;
			continue;
		}
		double ratio = ratio_at(want, got, i);
		bound = fmax(bound, want->bound[i]);
		/* so wide that it says little */
		c.unchecked += greatest > 0 && want->bound[i] > greatest;
		if (ratio > c.ratio || worst < 0) {
			worst = i;
			c.ratio = ratio;
		}
	}
	c.tightness = greatest > 0 ? bound / greatest : 0;
	c.outcome = c.ratio > 1 ? VERIFY_FAILED : VERIFY_PASSED;
	if (c.outcome == VERIFY_FAILED) {
		c.text = difference(r, want, got, worst);
	} else if (c.unchecked == c.elements && c.elements) {
		c.outcome = VERIFY_NOT_APPLICABLE;
		c.text = c.lane == LANE_EXACT ? "no element is free of rounding"
					      : "no bound is below the largest value";
	} else if (c.unchecked && c.lane == LANE_EXACT) {
		c.outcome = VERIFY_NOT_APPLICABLE;
		c.text = "some elements are not free of rounding; the others are equal";
	}
	verify_add(r, c);
}

/* ---- residues ---- */

int64_t verify_first_difference(const struct tensor *a, const struct tensor *b)
{
	if (!same_extents(a, b))
		return 0;
	for (int64_t i = 0; i < a->count; i++)
		if (elem_is_float(a->elem) ? a->residue[i] != b->residue[i] : a->i[i] != b->i[i])
			return i;
	return -1;
}

/* `excuse`: why a difference is no failure; NULL: it is one. */
static void compare_residues(struct verify_report *r, struct verify_case c, const struct tensor *a,
			     const struct tensor *b, const char *excuse)
{
	char index[200];
	int64_t at = verify_first_difference(a, b);
	c.elements = a->count;
	c.outcome = VERIFY_PASSED;
	if (at >= 0 && excuse) {
		c.outcome = VERIFY_NOT_APPLICABLE;
		c.text = excuse;
	} else if (at >= 0) {
		print_index(a, at, index, sizeof index);
		c.outcome = VERIFY_FAILED;
		c.text = arena_printf(r->arena, "element %s is another expression", index);
	}
	verify_add(r, c);
}

bool verify_algebra(struct verify_report *r, const struct verify_side *before,
		    const struct verify_side *after, bool decisive)
{
	const struct graph *g = before->graph;
	struct tensor *a = arena_new(r->arena, struct tensor, g->n_outputs + 1);
	struct tensor *b = arena_new(r->arena, struct tensor, g->n_outputs + 1);
	struct eval_request first = {EVAL_EXACT, before->symbols, before->arena};
	struct eval_request second = {EVAL_EXACT, after->symbols, after->arena};
	g->context->tie = after->graph->context->tie = false;
	if (!eval_residues(g, first, before->in, a) ||
	    !eval_residues(after->graph, second, after->in, b))
		return false;
	const char *excuse =
			g->context->tie || after->graph->context->tie
					? "not equal, but a choice was made between numbers that "
					  "are nearly equal"
			: decisive ? NULL
				   : "not equal by algebra alone: constants or functions differ";
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		struct verify_case c = {.lane = LANE_ALGEBRA,
					.output = g->output_names[i],
					.data = verify_data_name(DATA_NORMAL)};
		compare_residues(r, c, &a[i], &b[i], excuse);
	}
	return true;
}
