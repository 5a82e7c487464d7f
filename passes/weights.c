/* Arithmetic with constants (weights.h): rows of weights are read as doubles, changed and stored;
 * numbers are evaluated by the interpreter.
 */
#include "weights.h"

#include <math.h>
#include <string.h>

#include "eval_beside.h"
#include "fold.h"
#include "value.h"

/* ---- numbers ---- */

int64_t numbers_count(const struct node *numbers)
{
	return type_fixed_count(&numbers->type);
}

const double *numbers_values(const struct node *numbers)
{
	return numbers->attr.data->p;
}

static struct type type_of_numbers(struct graph *g, int64_t n)
{
	return type_fixed(g->context, NORMC_F64, 1, &n);
}

struct node *numbers_equal(struct graph *g, int64_t n, double value)
{
	struct type t = type_of_numbers(g, n);
	double *x = arena_new(g->context->arena, double, (size_t)n + 1);
	for (int64_t i = 0; i < n; i++)
		x[i] = value;
	return build_doubles(g, &t, x);
}

struct node *numbers_of(struct graph *g, const struct node *parameter, int32_t axis, int64_t n,
			double otherwise)
{
	struct channel c;
	if (!channel_of(parameter, axis, n, &c))
		return NULL;
	if (!c.constant)
		return numbers_equal(g, n, otherwise);
	struct arena *arena = g->context->arena;
	struct type t = type_of_numbers(g, n);
	double *x = arena_new(arena, double, (size_t)n + 1);
	const uint64_t *from = c.constant->attr.data->residue;
	uint64_t *residue = from ? arena_new(arena, uint64_t, (size_t)n + 1) : NULL;
	for (int64_t i = 0; i < n; i++) {
		x[i] = channel_at(&c, i, otherwise);
		if (residue)
			residue[i] = from[c.varies ? i : 0];
	}
	return build_exact(g, &t, x, residue);
}

struct node *weights_now(struct graph *g, struct node *expression)
{
	struct node *n = fold_node(g, expression);
	return n->op == OP_constant ? n : NULL;
}

struct node *numbers_binary(struct graph *g, enum op op, struct node *a, struct node *b)
{
	return weights_now(g, build_binary(g, op, a, b));
}

struct node *numbers_unary(struct graph *g, enum op op, struct node *a)
{
	return weights_now(g, build_unary(g, op, a));
}

struct node *numbers_picked(struct graph *g, const struct node *a, const struct node *b,
			    const int64_t *index, int64_t n)
{
	struct arena *arena = g->context->arena;
	struct type t = type_of_numbers(g, n);
	const struct node *from[2] = {a, b};
	const uint64_t *of[2] = {constant_residues(g, a), b ? constant_residues(g, b) : NULL};
	double *x = arena_new(arena, double, (size_t)n + 1);
	uint64_t *residue = of[0] ? arena_new(arena, uint64_t, (size_t)n + 1) : NULL;
	int64_t first = numbers_count(a);
	for (int64_t i = 0; i < n; i++) {
		int k = index[i] >= first;
		x[i] = numbers_values(from[k])[index[i] - k * first];
		if (residue)
			residue[i] = of[k][index[i] - k * first];
	}
	return build_exact(g, &t, x, residue);
}

bool numbers_agree(struct graph *g, const struct node *a, const struct node *b)
{
	int64_t n = numbers_count(a);
	if (a == b)
		return true;
	if (numbers_count(b) != n)
		return false;
	const uint64_t *ra = constant_residues(g, a), *rb = constant_residues(g, b);
	for (int64_t i = 0; i < n; i++)
		if (numbers_values(a)[i] != numbers_values(b)[i] || (ra && ra[i] != rb[i]))
			return false;
	return true;
}

bool numbers_are(const struct node *numbers, double value)
{
	double all;
	return splat_of(numbers, &all) && all == value;
}

bool numbers_fit(const struct node *numbers, enum normc_elem elem)
{
	return greatest_magnitude(numbers) <= elem_largest(elem);
}

struct node *numbers_along(struct graph *g, const struct node *numbers, enum normc_elem elem,
			   int32_t rank, int32_t axis)
{
	int64_t n = numbers_count(numbers), extent[MAX_RANK];
	for (int32_t i = 0; i < rank; i++)
		extent[i] = i == axis ? n : 1;
	struct type t = type_fixed(g->context, elem, rank, extent);
	struct tensor values = {.elem = elem, .count = n};
	values.f = arena_copy(g->context->arena, numbers_values(numbers),
			      (size_t)n * sizeof(double));
	void *p = arena_alloc(g->context->arena, (size_t)n, normc_elem_size(elem));
	tensor_store(&values, p);
	return build_exact(g, &t, p, constant_residues(g, numbers));
}

/* ---- weights ---- */

/* A constant as [outer][n][inner], in rows of `width` elements that lie together: along the last
 * axis a row has all n indices, else one. */
struct rows {
	enum normc_elem elem;
	int64_t outer, n, inner, width, count;
	int64_t per_group; /* outer indices that share numbers */
	double *x;	   /* the row that is being worked on */
	const struct node *w;
};

static struct rows rows_of(struct graph *g, const struct node *w, struct weights_axis at)
{
	struct rows r = {.elem = w->type.elem, .outer = 1, .inner = 1, .w = w};
	r.n = fixed_extent(&w->type, at.axis);
	for (int32_t i = 0; i < w->type.rank; i++)
		if (i != at.axis)
			*(i < at.axis ? &r.outer : &r.inner) *= fixed_extent(&w->type, i);
	r.width = r.inner == 1 ? r.n : r.inner;
	r.count = r.outer * r.n * r.inner;
	r.per_group = at.groups > 1 ? r.outer / at.groups : 0;
	r.x = arena_new(g->context->arena, double, (size_t)r.width + 1);
	return r;
}

/* Which of the numbers goes with element i. */
static int64_t number_at(const struct rows *r, int64_t i)
{
	int64_t group = r->per_group ? i / (r->n * r->inner) / r->per_group : 0;
	return group * r->n + i / r->inner % r->n;
}

static double *row_load(struct rows *r, int64_t first)
{
	struct tensor t = {.elem = r->elem, .count = r->width, .f = r->x};
	size_t size = normc_elem_size(r->elem);
	tensor_fill(&t, (const char *)r->w->attr.data->p + (size_t)first * size);
	return r->x;
}

static void row_store(const struct rows *r, unsigned char *to, int64_t first)
{
	struct tensor t = {.elem = r->elem, .count = r->width, .f = r->x};
	tensor_store(&t, to + (size_t)first * normc_elem_size(r->elem));
}

static unsigned char *bytes_like(struct graph *g, const struct rows *r)
{
	return arena_alloc(g->context->arena, (size_t)r->count, normc_elem_size(r->elem));
}

static uint64_t *residues_new(struct graph *g, int64_t count)
{
	return g->context->exact ? arena_new(g->context->arena, uint64_t, (size_t)count + 1) : NULL;
}

struct node *weights_scaled(struct graph *g, const struct node *w, struct weights_axis at,
			    const struct node *s)
{
	struct rows r = rows_of(g, w, at);
	unsigned char *to = bytes_like(g, &r);
	uint64_t *residue = residues_new(g, r.count);
	const uint64_t *rw = constant_residues(g, w), *rs = constant_residues(g, s);
	const double *factor = numbers_values(s);
	double largest = elem_largest(r.elem);
	bool finite = true;
	for (int64_t first = 0; first < r.count; first += r.width) {
		double *x = row_load(&r, first);
		const double *f = factor + number_at(&r, first);
		for (int64_t k = 0; k < r.width; k++) {
			x[k] *= f[r.inner == 1 ? k : 0];
			finite = finite && fabs(x[k]) <= largest;
		}
		row_store(&r, to, first);
	}
	for (int64_t i = 0; residue && i < r.count; i++)
		residue[i] = residue_product(rw[i], rs[number_at(&r, i)]);
	return finite ? build_exact(g, &w->type, to, residue) : NULL;
}

static struct type type_summed(struct graph *g, const struct node *w, int32_t axis)
{
	struct type t = w->type;
	t.elem = NORMC_F64;
	t.dim[axis] = dim_const(g->context->dims, 1);
	return t;
}

struct node *weights_summed(struct graph *g, const struct node *w, struct weights_axis at,
			    const struct node *t)
{
	struct rows r = rows_of(g, w, at);
	struct type type = type_summed(g, w, at.axis);
	int64_t count = r.outer * r.inner;
	double *sum = arena_new(g->context->arena, double, (size_t)count + 1);
	uint64_t *residue = residues_new(g, count);
	const uint64_t *rw = constant_residues(g, w), *rt = constant_residues(g, t);
	const double *term = numbers_values(t);
	for (int64_t first = 0; first < r.count; first += r.width) {
		const double *x = row_load(&r, first), *f = term + number_at(&r, first);
		double *to = sum + first / (r.n * r.inner) * r.inner;
		for (int64_t k = 0; k < r.width; k++)
			to[r.inner == 1 ? 0 : k] += x[k] * f[r.inner == 1 ? k : 0];
	}
	for (int64_t i = 0; residue && i < r.count; i++) {
		uint64_t *to = &residue[i / (r.n * r.inner) * r.inner + i % r.inner];
		*to = residue_sum(*to, residue_product(rw[i], rt[number_at(&r, i)]));
	}
	return build_exact(g, &type, sum, residue);
}

/* What is taken away from the elements of [n][inner]: a number for each inner index. */
struct subtrahend {
	void (*numbers)(struct rows *r, int64_t first, double *number);
	uint64_t (*residue)(const struct rows *r, const uint64_t *from, int64_t k);
};

static void means_at(struct rows *r, int64_t first, double *mean)
{
	memset(mean, 0, (size_t)r->inner * sizeof *mean);
	for (int64_t i = 0; i < r->n * r->inner; i += r->width) {
		const double *x = row_load(r, first + i);
		for (int64_t k = 0; k < r->width; k++)
			mean[r->inner == 1 ? 0 : k] += x[k];
	}
	for (int64_t k = 0; k < r->inner; k++)
		mean[k] /= (double)r->n;
}

static uint64_t mean_residue(const struct rows *r, const uint64_t *from, int64_t k)
{
	uint64_t sum = 0;
	for (int64_t i = 0; i < r->n; i++)
		sum = residue_sum(sum, from[i * r->inner + k]);
	return residue_product(sum, residue_inverse((uint64_t)r->n));
}

static void last_at(struct rows *r, int64_t first, double *last)
{
	const double *x = row_load(r, first + r->n * r->inner - r->width);
	memcpy(last, x + r->width - r->inner, (size_t)r->inner * sizeof *last);
}

static uint64_t last_residue(const struct rows *r, const uint64_t *from, int64_t k)
{
	return from[(r->n - 1) * r->inner + k];
}

static void subtract_residues(const struct rows *r, const struct subtrahend *s,
			      const uint64_t *from, uint64_t *to)
{
	for (int64_t k = 0; k < r->inner; k++) {
		uint64_t less = residue_negative(s->residue(r, from, k));
		for (int64_t i = 0; i < r->n; i++)
			to[i * r->inner + k] = residue_sum(from[i * r->inner + k], less);
	}
}

static struct node *subtracted(struct graph *g, const struct node *w, int32_t axis,
			       const struct subtrahend *s)
{
	struct rows r = rows_of(g, w, (struct weights_axis){.axis = axis});
	unsigned char *to = bytes_like(g, &r);
	uint64_t *residue = residues_new(g, r.count);
	const uint64_t *from = constant_residues(g, w);
	double *less = arena_new(g->context->arena, double, (size_t)r.inner + 1);
	int64_t block = r.n * r.inner;
	for (int64_t o = 0; o < r.outer; o++) {
		s->numbers(&r, o * block, less);
		for (int64_t i = o * block; i < (o + 1) * block; i += r.width) {
			double *x = row_load(&r, i);
			for (int64_t k = 0; k < r.width; k++)
				x[k] -= less[r.inner == 1 ? 0 : k];
			row_store(&r, to, i);
		}
		if (residue)
			subtract_residues(&r, s, from + o * block, residue + o * block);
	}
	return build_exact(g, &w->type, to, residue);
}

struct node *weights_recentred(struct graph *g, const struct node *w, int32_t axis)
{
	return subtracted(g, w, axis, &(struct subtrahend){means_at, mean_residue});
}

struct node *weights_less_last(struct graph *g, const struct node *w, int32_t axis)
{
	return subtracted(g, w, axis, &(struct subtrahend){last_at, last_residue});
}
