/* Interned expressions in normal form: construction, sums, products, minimum and maximum. Division
 * is in dim_div.c, bounds and evaluation in dim_value.c. */
#include "dim.h"

#include <string.h>

#include "dim_terms.h"

struct dim_table {
	const struct dim **slot; /* power of two; NULL: free */
	uint32_t capacity;
};

/* ---- interning ---- */

static uint32_t dim_hash(const struct dim *d)
{
	uint64_t h = (uint64_t)d->kind * 0x9e3779b97f4a7c15u ^ (uint64_t)d->value;
	h *= 0xff51afd7ed558ccdu;
	for (uint32_t i = 0; i < d->n_args; i++)
		h = (h ^ h >> 31 ^ d->arg[i]->id) * 0x9e3779b97f4a7c15u;
	return (uint32_t)(h ^ h >> 32);
}

static bool dim_same(const struct dim *a, const struct dim *b)
{
	return a->kind == b->kind && a->value == b->value && a->n_args == b->n_args &&
	       (!a->n_args || !memcmp(a->arg, b->arg, a->n_args * sizeof *a->arg));
}

static const struct dim **slot_of(const struct dim_table *t, const struct dim *d)
{
	uint32_t i = dim_hash(d) & (t->capacity - 1);
	while (t->slot[i] && !dim_same(t->slot[i], d))
		i = (i + 1) & (t->capacity - 1);
	return &t->slot[i];
}

static void table_resize(struct dims *dims, uint32_t capacity)
{
	struct dim_table larger = {arena_new(dims->arena, const struct dim *, capacity), capacity};
	for (uint32_t i = 0; i < dims->table->capacity; i++)
		if (dims->table->slot[i])
			*slot_of(&larger, dims->table->slot[i]) = dims->table->slot[i];
	*dims->table = larger;
}

static const struct dim *intern(struct dims *dims, struct dim draft)
{
	const struct dim **slot = slot_of(dims->table, &draft);
	if (*slot)
		return *slot;
	draft.id = dims->n_dims++;
	dim_set_bounds(dims, &draft);
	if (draft.n_args)
		draft.arg = arena_copy(dims->arena, draft.arg, draft.n_args * sizeof *draft.arg);
	const struct dim *d = *slot = arena_copy(dims->arena, &draft, sizeof draft);
	if (2 * dims->n_dims >= dims->table->capacity)
		table_resize(dims, 2 * dims->table->capacity);
	return d;
}

const struct dim *dim_invalid(struct dims *dims)
{
	return intern(dims, (struct dim){.kind = DIM_INVALID, .size = 1});
}

const struct dim *dim_intern(struct dims *dims, enum dim_kind kind, const struct dim *const *arg,
			     uint32_t n)
{
	struct dim draft = {.kind = kind, .arg = arg, .n_args = n, .size = 1};
	for (uint32_t i = 0; i < n; i++)
		draft.size += arg[i]->size; /* no overflow: each is small, and so are the numbers of
					       operands */
	return draft.size > DIM_MAX_SIZE ? dim_invalid(dims) : intern(dims, draft);
}

struct dims *dims_new(struct arena *arena)
{
	struct dims *dims = arena_new(arena, struct dims, 1);
	dims->arena = arena;
	dims->table = arena_new(arena, struct dim_table, 1);
	table_resize(dims, 256);
	return dims;
}

const struct dim *dim_const(struct dims *dims, int64_t value)
{
	return intern(dims, (struct dim){.kind = DIM_CONST, .value = value, .size = 1});
}

const struct dim *dim_symbol(struct dims *dims, struct symbol symbol)
{
	int64_t number = dims->n_symbols;
	symbol.name = arena_string(dims->arena, symbol.name ? symbol.name : "");
	PUSH(dims->arena, dims->symbols, dims->n_symbols, symbol);
	return intern(dims, (struct dim){.kind = DIM_SYMBOL, .value = number, .size = 1});
}

/* ---- order ---- */

/* Different interned expressions differ somewhere on one path, so this visits no more than that
 * path. */
int dim_order(const struct dim *a, const struct dim *b)
{
	if (a == b)
		return 0;
	if (a->kind != b->kind)
		return a->kind < b->kind ? -1 : 1;
	if (a->value != b->value)
		return a->value < b->value ? -1 : 1;
	if (a->n_args != b->n_args)
		return a->n_args < b->n_args ? -1 : 1;
	uint32_t i = 0;
	while (a->arg[i] == b->arg[i])
		i++;
	return dim_order(a->arg[i], b->arg[i]);
}

static int term_order(const struct term *a, const struct term *b)
{
	if (a->n_atoms != b->n_atoms)
		return a->n_atoms < b->n_atoms ? -1 : 1;
	for (uint32_t i = 0; i < a->n_atoms; i++)
		if (a->atom[i] != b->atom[i])
			return dim_order(a->atom[i], b->atom[i]);
	return 0;
}

/* ---- sums ---- */

uint32_t dim_n_terms(const struct dim *d)
{
	return d->kind == DIM_ADD ? d->n_args : 1;
}

struct term dim_term(const struct dim *const *d, uint32_t i)
{
	if ((*d)->kind == DIM_ADD)
		return dim_term(&(*d)->arg[i], 0);
	if (dim_is_const(*d))
		return (struct term){(*d)->value, NULL, 0};
	if ((*d)->kind != DIM_MUL)
		return (struct term){1, d, 1};
	const struct dim *const *arg = (*d)->arg;
	return dim_is_const(arg[0]) ? (struct term){arg[0]->value, arg + 1, (*d)->n_args - 1}
				    : (struct term){1, arg, (*d)->n_args};
}

void sum_put(struct sum *s, struct term t, int64_t factor)
{
	uint32_t at = 0;
	int order = 1;
	if (__builtin_mul_overflow(t.factor, factor, &t.factor))
		s->broken = true;
	while (at < s->n && (order = term_order(&s->term[at], &t)) < 0)
		at++;
	if (at < s->n && order == 0) {
		if (__builtin_add_overflow(s->term[at].factor, t.factor, &s->term[at].factor))
			s->broken = true;
		return;
	}
	if (s->n == SUM_MAX_TERMS) {
		s->broken = true;
		return;
	}
	memmove(&s->term[at + 1], &s->term[at], (s->n++ - at) * sizeof *s->term);
	s->term[at] = t;
}

void sum_put_dim(struct sum *s, const struct dim *const *d, int64_t factor)
{
	for (uint32_t i = 0; i < dim_n_terms(*d); i++)
		sum_put(s, dim_term(d, i), factor);
}

const struct dim *dim_of_term(struct dims *dims, struct term t)
{
	if (!t.n_atoms || !t.factor)
		return dim_const(dims, t.factor);
	if (t.factor == 1 && t.n_atoms == 1)
		return t.atom[0];
	if (t.factor == 1)
		return dim_intern(dims, DIM_MUL, t.atom, t.n_atoms);
	const struct dim **arg = arena_new(dims->arena, const struct dim *, (size_t)t.n_atoms + 1);
	arg[0] = dim_const(dims, t.factor);
	memcpy(arg + 1, t.atom, t.n_atoms * sizeof *arg);
	return dim_intern(dims, DIM_MUL, arg, t.n_atoms + 1);
}

const struct dim *dim_of_sum(struct dims *dims, const struct sum *s)
{
	const struct dim *arg[SUM_MAX_TERMS];
	uint32_t n = 0;
	if (s->broken)
		return dim_invalid(dims);
	for (uint32_t i = 0; i < s->n; i++)
		if (s->term[i].factor) {
			arg[n] = dim_of_term(dims, s->term[i]);
			if (arg[n++]->kind == DIM_INVALID)
				return dim_invalid(dims);
		}
	return n == 0 ? dim_const(dims, 0) : n == 1 ? arg[0] : dim_intern(dims, DIM_ADD, arg, n);
}

static bool either_invalid(const struct dim *a, const struct dim *b)
{
	return a->kind == DIM_INVALID || b->kind == DIM_INVALID;
}

static const struct dim *add_scaled(struct dims *dims, const struct dim *a, const struct dim *b,
				    int64_t factor)
{
	struct sum s;
	s.n = 0;
	s.broken = either_invalid(a, b);
	if (!s.broken) {
		sum_put_dim(&s, &a, 1);
		sum_put_dim(&s, &b, factor);
	}
	return dim_of_sum(dims, &s);
}

const struct dim *dim_add(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return add_scaled(dims, a, b, 1);
}

const struct dim *dim_sub(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return add_scaled(dims, a, b, -1);
}

/* ---- products ---- */

static struct term term_mul(struct dims *dims, struct term a, struct term b, bool *broken)
{
	struct term t = {0, NULL, 0};
	if (__builtin_mul_overflow(a.factor, b.factor, &t.factor))
		*broken = true;
	if (!a.n_atoms || !b.n_atoms) {
		t.atom = a.n_atoms ? a.atom : b.atom;
		t.n_atoms = a.n_atoms + b.n_atoms;
		return t;
	}
	const struct dim **atom =
			arena_new(dims->arena, const struct dim *, (size_t)a.n_atoms + b.n_atoms);
	for (uint32_t i = 0, k = 0; i < a.n_atoms || k < b.n_atoms;) {
		bool left = k == b.n_atoms ||
			    (i < a.n_atoms && dim_order(a.atom[i], b.atom[k]) <= 0);
		atom[t.n_atoms++] = left ? a.atom[i++] : b.atom[k++];
	}
	t.atom = atom;
	return t;
}

const struct dim *dim_mul(struct dims *dims, const struct dim *a, const struct dim *b)
{
	struct sum s;
	uint32_t n = dim_n_terms(a), m = dim_n_terms(b);
	s.n = 0;
	s.broken = either_invalid(a, b) ||
		   n > 16 * SUM_MAX_TERMS / m; /* a bound on the work, too */
	for (uint32_t i = 0; i < n && !s.broken; i++)
		for (uint32_t k = 0; k < m && !s.broken; k++)
			sum_put(&s, term_mul(dims, dim_term(&a, i), dim_term(&b, k), &s.broken), 1);
	return dim_of_sum(dims, &s);
}

/* ---- minimum and maximum: a sorted list of operands, none of which another one decides ---- */

enum { MAX_OPERANDS = 16 };

static bool collect(const struct dim *d, enum dim_kind kind, const struct dim **operand,
		    uint32_t *n)
{
	for (; d->kind == kind; d = d->arg[1])
		if (!collect(d->arg[0], kind, operand, n))
			return false;
	if (*n == MAX_OPERANDS)
		return false;
	operand[(*n)++] = d;
	return true;
}

/* Whether `a` makes `b` superfluous: a <= b for the minimum, a >= b for the maximum. */
static bool decides(struct dims *dims, enum dim_kind kind, const struct dim *a, const struct dim *b)
{
	const struct dim *gap = kind == DIM_MIN ? dim_sub(dims, b, a) : dim_sub(dims, a, b);
	return gap->kind != DIM_INVALID && dim_lower_bound(gap) >= 0;
}

/* Adds d to the kept operands, without those that are superfluous; they stay sorted. */
static void keep_operand(struct dims *dims, enum dim_kind kind, const struct dim *d,
			 const struct dim **kept, uint32_t *n)
{
	uint32_t left = 0, at;
	for (uint32_t i = 0; i < *n; i++)
		if (decides(dims, kind, kept[i], d))
			return;
	for (uint32_t i = 0; i < *n; i++)
		if (!decides(dims, kind, d, kept[i]))
			kept[left++] = kept[i];
	for (at = left; at && dim_order(kept[at - 1], d) > 0; at--)
		kept[at] = kept[at - 1];
	kept[at] = d;
	*n = left + 1;
}

static const struct dim *choose(struct dims *dims, enum dim_kind kind, const struct dim *a,
				const struct dim *b)
{
	const struct dim *operand[MAX_OPERANDS], *kept[MAX_OPERANDS];
	uint32_t n = 0, n_kept = 0;
	if (either_invalid(a, b))
		return dim_invalid(dims);
	if (!collect(a, kind, operand, &n) || !collect(b, kind, operand, &n))
		return dim_intern(dims, kind, (const struct dim *[]){a, b}, 2);
	for (uint32_t i = 0; i < n; i++)
		keep_operand(dims, kind, operand[i], kept, &n_kept);
	const struct dim *d = kept[--n_kept];
	while (n_kept)
		d = dim_intern(dims, kind, (const struct dim *[]){kept[--n_kept], d}, 2);
	return d;
}

const struct dim *dim_min(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return choose(dims, DIM_MIN, a, b);
}

const struct dim *dim_max(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return choose(dims, DIM_MAX, a, b);
}
