/* Inputs for `normc verify`: made up from a seed, by the kinds of verify.h, and what graphs are
 * looked at for: the tables that integers select from, constants, functions. */
#include <math.h>
#include <string.h>

#include "verify.h"

/* A generator with 64 bits of state (the step of SplitMix64). */
static uint64_t random_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static double uniform(uint64_t *state)
{
	return (double)(random_bits(state) >> 11) * 0x1p-53;
}

static double normal(uint64_t *state)
{
	double radius = sqrt(-2 * log(1 - uniform(state)));
	return radius * cos(2 * acos(-1) * uniform(state));
}

static double real_value(enum verify_data data, double base, uint64_t *state)
{
	switch (data) {
	case DATA_CONSTANT:
		return base;
	case DATA_NEAR:
		return base + 1e-4 * normal(state);
	case DATA_FAR:
		return 1000 + normal(state);
	case DATA_WHOLE:
		return floor(uniform(state) * 5) - 2;
	default:
		return normal(state);
	}
}

/* ---- tables ---- */

static int64_t table_extent(const struct node *n, const int64_t *symbols)
{
	const struct type *data = &n->in[0]->type;
	int64_t extent = INT64_MAX;
	return dim_eval(data->dim[n->attr.axis->axis], symbols, &extent) ? extent : INT64_MAX;
}

/* The least extent that indices made of input number `input` select from. */
static int64_t index_limit(const struct graph *g, uint32_t input, const int64_t *symbols)
{
	bool *from = arena_new(g->context->arena, bool, g->n_nodes + 1);
	int64_t limit = INT64_MAX;
	from[g->inputs[input]->id] = true;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		bool indexed = n->op == OP_gather || n->op == OP_gather_elements;
		for (uint32_t k = 0; k < n->n_in; k++)
			from[i] = from[i] || (from[n->in[k]->id] && !(indexed && k == 1));
		from[i] = from[i] && !elem_is_float(n->type.elem);
		if (indexed && from[n->in[1]->id]) {
			int64_t extent = table_extent(n, symbols);
			limit = extent < limit ? extent : limit;
		}
	}
	return limit;
}

/* ---- filling ---- */

static void fill_reals(struct tensor *t, const struct verify_request *request, uint64_t *state)
{
	int64_t rows = t->rank > 1 ? t->dim[0] : 1, row = rows ? t->count / rows : 0;
	double base = 0;
	for (int64_t i = 0; i < t->count; i++) {
		base = i % row ? base : normal(state);
		t->f[i] = elem_round(t->elem, real_value(request->data, base, state));
	}
}

static void fill_integers(struct tensor *t, int64_t limit, uint64_t *state)
{
	int64_t below = t->elem == NORMC_BOOL ? 2 : limit;
	for (int64_t i = 0; i < t->count; i++)
		t->i[i] = limit ? (int64_t)(random_bits(state) % (uint64_t)below) : 1;
}

/* A tensor for an input of the graph whose symbols are known. */
struct place {
	const struct graph *graph;
	const int64_t *symbols;
	struct arena *arena;
};

static bool input_new(const struct place *place, uint32_t i, struct tensor *t)
{
	const struct graph *g = place->graph;
	const struct node *n = g->inputs[i];
	*t = (struct tensor){.elem = n->type.elem, .rank = n->type.rank, .count = 1};
	for (int32_t d = 0; d < t->rank; d++)
		if (!dim_eval(n->type.dim[d], place->symbols, &t->dim[d]) || t->dim[d] < 0 ||
		    __builtin_mul_overflow(t->count, t->dim[d], &t->count))
			return diag_error(g->context->diag, n->loc, NORMC_LIMIT,
					  "input '%s' has an extent without a value",
					  n->attr.port->name);
	t->i = arena_alloc(place->arena, (size_t)t->count, sizeof *t->i);
	return true;
}

bool verify_symbols(const struct graph *g, const struct tensor *in, int64_t *symbols)
{
	const struct dims *dims = g->context->dims;
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		const struct tensor *from = &in[s->input];
		if (s->index >= (s->element ? from->count : from->rank))
			return diag_error(g->context->diag, (struct loc){0}, NORMC_INVALID,
					  "an input is too short for what depends on it");
		symbols[i] = s->element ? from->i[s->index] : from->dim[s->index];
	}
	return true;
}

/* Values that equations of the model give to single symbols. */
static void solve_equations(const struct context *c, int64_t *symbols, bool *fixed)
{
	for (uint32_t i = 0; i < c->n_equal; i++) {
		const struct dim *a = c->equal[i].a, *b = c->equal[i].b;
		if (b->kind == DIM_SYMBOL) {
			a = c->equal[i].b;
			b = c->equal[i].a;
		}
		if (a->kind != DIM_SYMBOL || fixed[a->value] || !dim_is_const(b))
			continue;
		symbols[a->value] = b->value;
		fixed[a->value] = true;
	}
}

/* Writes the elements that equations determine. */
static void set_elements(const struct dims *dims, const int64_t *symbols, const bool *fixed,
			 struct tensor *in)
{
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		if (fixed[i] && s->element && s->index < in[s->input].count)
			in[s->input].i[s->index] = symbols[i];
	}
}

bool verify_inputs(const struct graph *g, const struct verify_request *request, int64_t *symbols,
		   struct tensor *in)
{
	const struct dims *dims = g->context->dims;
	const struct place place = {g, symbols, request->arena};
	uint64_t state = request->seed * 1000 + (uint64_t)request->data;
	uint64_t whole =
			request->seed * 1000 + DATA_COUNT; /* integers are the same for all kinds */
	for (uint32_t i = 0; i < dims->n_symbols; i++)
		symbols[i] = dims->symbols[i].element ? 1 : request->extents[i];
	bool *fixed = arena_new(request->arena, bool, dims->n_symbols + 1);
	solve_equations(g->context, symbols, fixed);
	for (uint32_t i = 0; i < g->n_inputs; i++) {
		if (!input_new(&place, i, &in[i]))
			return false;
		if (elem_is_float(in[i].elem)) {
			fill_reals(&in[i], request, &state);
			continue;
		}
		int64_t limit = index_limit(g, i, symbols);
		limit = limit < request->index_limit ? limit : request->index_limit;
		fill_integers(&in[i], limit, &whole);
	}
	set_elements(dims, symbols, fixed, in);
	return verify_symbols(g, in, symbols);
}

/* ---- material ---- */

static bool is_function(enum op op)
{
	switch (op) {
	case OP_exp:
	case OP_log:
	case OP_sin:
	case OP_cos:
	case OP_tan:
	case OP_asin:
	case OP_acos:
	case OP_atan:
	case OP_sinh:
	case OP_cosh:
	case OP_asinh:
	case OP_acosh:
	case OP_atanh:
	case OP_tanh:
	case OP_erf:
	case OP_sqrt:
	case OP_norm:
	case OP_pow:
	case OP_mod:
	case OP_fmod:
	case OP_softmax:
	case OP_call:
	case OP_if:
	case OP_loop:
		return true;
	default:
		return false;
	}
}

/* Whether two elements differ. */
static bool varies(const struct attr_data *a)
{
	const unsigned char *p = a->p;
	size_t size = normc_elem_size(a->type.elem);
	for (uint64_t at = size; at + size <= a->bytes; at += size)
		if (memcmp(p, p + at, size))
			return true;
	return false;
}

/* The same elements, or one element that is everywhere. */
static bool same_constant(const struct node *a, const struct node *b)
{
	const struct attr_data *x = a->attr.data, *y = b->attr.data;
	if (a->op != OP_constant || x->type.elem != y->type.elem)
		return false;
	if (x->bytes && y->bytes && !varies(x) && !varies(y))
		return !memcmp(x->p, y->p, normc_elem_size(x->type.elem));
	return x->bytes == y->bytes && !memcmp(x->p, y->p, x->bytes);
}

/* The number that all elements are, of f32 or f64; false if they differ. */
static bool is_number(const struct attr_data *a, double *x)
{
	float narrow;
	if (varies(a) || !a->bytes)
		return false;
	if (a->type.elem == NORMC_F32) {
		memcpy(&narrow, a->p, sizeof narrow);
		*x = narrow;
		return true;
	}
	if (a->type.elem == NORMC_F64)
		memcpy(x, a->p, sizeof *x);
	return a->type.elem == NORMC_F64;
}

/* 0, 1 or -1 everywhere: what rules put in by themselves. */
static bool is_neutral(const struct attr_data *a)
{
	double x;
	return is_number(a, &x) && (x == 0 || fabs(x) == 1);
}

/* Whether x is the number nearest to `wanted`, which is not one itself: `exact` says whether x
 * would do. */
static bool is_rounded(enum normc_elem elem, double x, double wanted, bool exact)
{
	return !exact && x == elem_round(elem, wanted);
}

/* The nearest to 1/n, or to the root of n or 1/n, with n a number of elements: a mean, or a root of
 * one, may have taken its place. */
static bool is_rounded_count(const struct attr_data *a)
{
	enum { MOST = 1 << 20 };
	double x;
	if (!is_number(a, &x) || !(x > 0 && x <= MOST && x >= 1.0 / MOST))
		return false;
	double inverse = round(1 / x), square = round(x * x), both = round(1 / (x * x));
	return is_rounded(a->type.elem, x, 1 / inverse, fma(x, inverse, -1) == 0) ||
	       is_rounded(a->type.elem, x, sqrt(square), fma(x, x, -square) == 0) ||
	       is_rounded(a->type.elem, x, sqrt(1 / both), fma(x, x * both, -1) == 0);
}

/* Roots come in several spellings. */
static enum op root_of(enum op op)
{
	return op == OP_pow || op == OP_norm ? OP_sqrt : op;
}

/* Live nodes of a graph and its regions. */
struct material {
	struct arena *arena;
	const struct node **node;
	uint32_t n;
};

static void collect(struct material *m, const struct graph *g)
{
	const bool *live = graph_live(g);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (!live[i])
			continue;
		PUSH(m->arena, m->node, m->n, n);
		for (int r = 0; op_info[n->op].kind == KIND_region && r < 2; r++)
			if (n->attr.region->region[r])
				collect(m, n->attr.region->region[r]);
	}
}

/* Whether one of them is as good as n: the same constant or function. */
static bool has_match(const struct material *m, const struct node *n)
{
	for (uint32_t i = 0; i < m->n; i++)
		if (n->op == OP_constant ? same_constant(m->node[i], n)
					 : root_of(m->node[i]->op) == root_of(n->op))
			return true;
	return false;
}

bool verify_same_material(const struct graph *before, const struct graph *after)
{
	struct material old = {before->context->arena, NULL, 0};
	struct material new = {after->context->arena, NULL, 0};
	collect(&old, before);
	collect(&new, after);
	for (uint32_t i = 0; i < new.n; i++) {
		const struct node *n = new.node[i];
		bool constant = n->op == OP_constant && elem_is_float(n->type.elem);
		if (constant && is_neutral(n->attr.data))
			continue;
		if ((constant || is_function(n->op)) && !has_match(&old, n))
			return false;
	}
	for (uint32_t i = 0; i < old.n; i++) {
		const struct node *n = old.node[i];
		bool count = n->op == OP_constant && is_rounded_count(n->attr.data);
		if ((count || is_function(n->op)) && !has_match(&new, n))
			return false;
	}
	return true;
}

/* ---- work ---- */

double verify_work(const struct graph *g, const int64_t *symbols)
{
	double sum = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		double work = n->op == OP_matmul || n->op == OP_conv;
		const struct type *weights = work > 0 ? &n->in[1]->type : NULL;
		for (int32_t d = 0; work > 0 && d < n->type.rank; d++) {
			int64_t extent = 1;
			work *= dim_eval(n->type.dim[d], symbols, &extent) ? (double)extent : 1;
		}
		for (int32_t d = 1; n->op == OP_conv && d < weights->rank; d++)
			work *= (double)weights->dim[d]->value;
		int64_t depth = 1;
		if (n->op == OP_matmul &&
		    dim_eval(weights->dim[weights->rank - 2], symbols, &depth))
			work *= (double)depth;
		sum += work;
	}
	return sum;
}
