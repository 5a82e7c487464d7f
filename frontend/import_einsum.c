/* Einsum.  Every operand is a term: a tensor whose dimensions carry distinct labels.  Repeated
 * labels are taken from the diagonal, labels that nobody else needs are summed at once, and terms
 * are then multiplied from left to right: a label of both that is still needed is a batch
 * dimension, one that is not is contracted by a matrix product.
 */
#include <ctype.h>
#include <string.h>

#include "compose.h"

/* Letters are their own labels; the dimensions behind "..." are numbered from the right. */
enum { LABEL_DOTS = 128, LABELS = LABEL_DOTS + MAX_RANK };

struct term {
	struct node *x;
	unsigned char label[MAX_RANK];
	int32_t n;
};

struct einsum {
	struct import *import;
	struct term *in;
	uint32_t n_in;
	struct term out; /* labels only */
	int32_t dots;	 /* dimensions behind "..." in the result */
};

static bool has_label(const struct term *t, unsigned label)
{
	return memchr(t->label, (int)label, (size_t)t->n) != NULL;
}

/* Appends one label; false if there are too many. */
static bool push_label(struct term *t, unsigned label)
{
	if (t->n == MAX_RANK)
		return false;
	t->label[t->n++] = (unsigned char)label;
	return true;
}

/* Reads the labels of one term up to ',', '-' or the end; `dots` is the number of dimensions that
 * "..." stands for. */
static const char *parse_term(const char *p, struct term *t, int32_t dots, bool *good)
{
	for (; *p && *p != ',' && *p != '-'; p++) {
		if (isalpha((unsigned char)*p))
			*good = *good && push_label(t, (unsigned char)*p);
		else if (!strncmp(p, "...", 3)) {
			for (int32_t i = dots; i-- > 0;)
				*good = *good && push_label(t, LABEL_DOTS + (unsigned)i);
			p += 2;
		} else
			*good = *good && *p == ' ';
	}
	return p;
}

/* Number of letters in a term. */
static int32_t count_letters(const char *p)
{
	int32_t letters = 0;
	for (; *p && *p != ',' && *p != '-'; p++)
		letters += isalpha((unsigned char)*p) != 0;
	return letters;
}

/* Without "->" the result has the dots and then, in alphabetical order, the labels that occur once.
 */
static bool implicit_result(struct einsum *e)
{
	int32_t uses[LABELS] = {0};
	bool good = true;
	for (uint32_t i = 0; i < e->n_in; i++)
		for (int32_t k = 0; k < e->in[i].n; k++)
			uses[e->in[i].label[k]]++;
	for (int32_t i = e->dots; i-- > 0;)
		good = good && push_label(&e->out, LABEL_DOTS + (unsigned)i);
	for (unsigned label = 0; label < LABEL_DOTS; label++)
		if (uses[label] == 1)
			good = good && push_label(&e->out, label);
	return good;
}

static bool parse_equation(struct einsum *e, const char *equation)
{
	const char *p = equation;
	bool good = true;
	for (uint32_t i = 0; i < e->n_in && good; i++) {
		struct term *t = &e->in[i];
		t->x = import_in(e->import, i);
		int32_t dots = t->x->type.rank - count_letters(p);
		p = parse_term(p, t, dots, &good);
		good = good && t->n == t->x->type.rank &&
		       *p == (i + 1 < e->n_in ? ','
			      : *p == '-'     ? '-'
					      : 0);
		if (good && i + 1 < e->n_in)
			p++;
		if (good && t->n && has_label(t, LABEL_DOTS) && dots > e->dots)
			e->dots = dots;
	}
	if (!good)
		return false;
	if (!*p)
		return implicit_result(e);
	if (p[1] != '>')
		return false;
	p = parse_term(p + 2, &e->out, e->dots, &good);
	return good && !*p;
}

static int32_t find_label(const struct term *t, unsigned label)
{
	const unsigned char *p = memchr(t->label, (int)label, (size_t)t->n);
	return p ? (int32_t)(p - t->label) : -1;
}

/* Takes the diagonal of two dimensions with equal labels: both to the end, flattened, every (extent
 * + 1)th element. */
static void take_diagonal(struct graph *g, struct term *t, int32_t i, int32_t j)
{
	struct dims *dims = g->context->dims;
	const struct type type = t->x->type;
	const struct dim *shape[MAX_RANK], *extent = graph_same_extent(g, type.dim[i], type.dim[j]);
	int32_t perm[MAX_RANK], k = 0;
	unsigned char label = t->label[i], rest[MAX_RANK];
	for (int32_t d = 0; d < type.rank; d++)
		if (d != i && d != j) {
			rest[k] = t->label[d];
			shape[k] = type.dim[d];
			perm[k++] = d;
		}
	perm[k] = i;
	perm[k + 1] = j;
	rest[k] = label;
	shape[k] = dim_mul(dims, extent, extent);
	struct node *x = build_reshape(g, build_transpose(g, t->x, perm), k + 1, shape);
	x = build_slice(g, x, k,
			(struct slice_range){dim_const(dims, 0), extent, extent->value + 1});
	*t = (struct term){.x = x, .n = k + 1};
	memcpy(t->label, rest, sizeof rest);
}

static bool take_diagonals(struct einsum *e, struct term *t)
{
	for (int32_t j = 1; j < t->n; j++) {
		int32_t i = find_label(t, t->label[j]);
		if (i == j)
			continue;
		if (!dim_is_const(t->x->type.dim[i]) || !dim_is_const(t->x->type.dim[j])) {
			import_unsupported(e->import, "a diagonal of unknown extent");
			return false;
		}
		take_diagonal(e->import->g, t, i, j);
		if (node_is_poison(t->x))
			return false;
		j = 0;
	}
	return true;
}

/* Whether label is in the result or in an operand from `first` on. */
static bool needed(const struct einsum *e, unsigned label, uint32_t first)
{
	for (uint32_t i = first; i < e->n_in; i++)
		if (has_label(&e->in[i], label))
			return true;
	return has_label(&e->out, label);
}

/* Sums the labels of `t` that neither `other` nor anything from `first` on needs. */
static void sum_unneeded(struct einsum *e, struct term *t, const struct term *other, uint32_t first)
{
	uint32_t axes = 0;
	struct term kept = {0};
	for (int32_t i = 0; i < t->n; i++)
		if (needed(e, t->label[i], first) || (other && has_label(other, t->label[i])))
			kept.label[kept.n++] = t->label[i];
		else
			axes |= 1u << i;
	kept.x = build_reduce(e->import->g, OP_reduce_sum, t->x, axes, false);
	*t = kept;
}

/* Which role a label plays in a product. */
enum role { ROLE_BATCH, ROLE_LEFT, ROLE_RIGHT, ROLE_SUM, ROLES };

struct product {
	unsigned char label[ROLES][2 * MAX_RANK];
	const struct dim *dim[ROLES][2 * MAX_RANK];
	int32_t n[ROLES];
};

static void add_role(struct product *p, enum role role, unsigned label, const struct dim *dim)
{
	p->label[role][p->n[role]] = (unsigned char)label;
	p->dim[role][p->n[role]++] = dim;
}

static void assign_roles(struct einsum *e, struct product *p, const struct term *a,
			 const struct term *b, uint32_t first)
{
	for (int32_t i = 0; i < a->n; i++) {
		int32_t j = find_label(b, a->label[i]);
		const struct dim *d = a->x->type.dim[i];
		if (j >= 0) {
			const struct dim *other = b->x->type.dim[j];
			d = dim_is(d, 1)       ? other
			    : dim_is(other, 1) ? d
					       : graph_same_extent(e->import->g, d, other);
		}
		enum role role = j < 0				 ? ROLE_LEFT
				 : needed(e, a->label[i], first) ? ROLE_BATCH
								 : ROLE_SUM;
		add_role(p, role, a->label[i], d);
	}
	for (int32_t j = 0; j < b->n; j++)
		if (!has_label(a, b->label[j]))
			add_role(p, ROLE_RIGHT, b->label[j], b->x->type.dim[j]);
}

/* The term with its dimensions in the order of three roles, each flattened into one; extents 1 are
 * broadcast. */
static struct node *arrange(struct graph *g, const struct product *p, const struct term *t,
			    const enum role order[3])
{
	int32_t perm[MAX_RANK], k = 0;
	const struct dim *full[MAX_RANK], *flat[3];
	if (node_is_poison(t->x))
		return t->x;
	for (int r = 0; r < 3; r++) {
		flat[r] = dim_const(g->context->dims, 1);
		for (int32_t i = 0; i < p->n[order[r]]; i++) {
			flat[r] = dim_mul(g->context->dims, flat[r], p->dim[order[r]][i]);
			full[k] = p->dim[order[r]][i];
			perm[k++] = find_label(t, p->label[order[r]][i]);
		}
	}
	struct node *x = build_broadcast(g, build_transpose(g, t->x, perm), k, full);
	return build_reshape(g, x, 3, flat);
}

/* a becomes the product of a and b; operands from `first` on come later. */
static bool multiply(struct einsum *e, struct term *a, const struct term *b, uint32_t first)
{
	struct graph *g = e->import->g;
	struct product p = {0};
	if (node_is_poison(a->x) || node_is_poison(b->x))
		return false;
	assign_roles(e, &p, a, b, first);
	if (p.n[ROLE_BATCH] + p.n[ROLE_LEFT] + p.n[ROLE_RIGHT] > MAX_RANK) {
		import_unsupported(e->import, "an intermediate result of more than %d dimensions",
				   MAX_RANK);
		return false;
	}
	struct node *x = arrange(g, &p, a, (enum role[]){ROLE_BATCH, ROLE_LEFT, ROLE_SUM});
	struct node *y = arrange(g, &p, b, (enum role[]){ROLE_BATCH, ROLE_SUM, ROLE_RIGHT});
	struct node *z = p.n[ROLE_SUM] ? build_matmul(g, x, y) : build_binary(g, OP_mul, x, y);
	struct term result = {0};
	const struct dim *shape[MAX_RANK];
	for (int role = ROLE_BATCH; role <= ROLE_RIGHT; role++)
		for (int32_t i = 0; i < p.n[role]; i++) {
			shape[result.n] = p.dim[role][i];
			result.label[result.n++] = p.label[role][i];
		}
	result.x = build_reshape(g, z, result.n, shape);
	*a = result;
	return !node_is_poison(a->x);
}

static struct node *arrange_result(struct einsum *e, const struct term *t)
{
	int32_t perm[MAX_RANK];
	for (int32_t i = 0; i < e->out.n; i++) {
		perm[i] = find_label(t, e->out.label[i]);
		if (perm[i] < 0 || find_label(&e->out, e->out.label[i]) != i || t->n != e->out.n) {
			import_invalid(e->import, "the result's labels do not fit the operands'");
			return graph_poison(e->import->g);
		}
	}
	return build_transpose(e->import->g, t->x, perm);
}

void import_einsum(struct import *n)
{
	struct einsum e = {.import = n, .n_in = n->n_in};
	const char *equation = import_string(n, "equation", "");
	e.in = arena_new(n->g->context->arena, struct term, n->n_in + 1);
	for (uint32_t i = 0; i < n->n_in; i++)
		if (node_is_poison(import_in(n, i)))
			return;
	if (!n->n_in || !parse_equation(&e, equation)) {
		import_invalid(n, "equation '%s' does not fit the operands", equation);
		return;
	}
	for (uint32_t i = 0; i < n->n_in; i++)
		if (!take_diagonals(&e, &e.in[i]))
			return;
	struct term *t = &e.in[0];
	for (uint32_t i = 1; i < n->n_in; i++) {
		sum_unneeded(&e, t, NULL, i);
		sum_unneeded(&e, &e.in[i], t, i + 1);
		if (!multiply(&e, t, &e.in[i], i + 1))
			return;
	}
	sum_unneeded(&e, t, NULL, n->n_in);
	import_out(n, 0, arrange_result(&e, t));
}
