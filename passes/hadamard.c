/* Products with a Hadamard matrix (fixed classifiers) become a fast Walsh-Hadamard transform.
 *
 * Weights qualify whose entries all are +s or -s and whose columns are, but for their signs,
 * columns of Sylvester's matrix H[i][j] = (-1)^popcount(i & j): every entry is checked.  The
 * transform has two stages, products with Hadamard matrices of order sqrt(n): 2 n sqrt(n)
 * multiplications instead of n m, and weights of order n instead of n m.  (Hoffer, Hubara, Soudry,
 * Fix your classifier, ICLR 2018.)
 */
#include <math.h>

#include "pass.h"
#include "value.h"

/* Below, the product is as fast: its weights stay in the cache. */
enum { LEAST_ROWS = 256 };

struct hadamard {
	struct pass *pass;
};

/* x W = signs * scale * (x H)[index] */
struct columns {
	int64_t n, m; /* extents of W */
	double scale;
	int64_t *index; /* by column of W: column of H */
	double *sign;
};

static bool is_odd(int64_t i)
{
	return __builtin_popcountll((uint64_t)i) & 1;
}

/* Entry (i, j) of W, through a transpose if there is one. */
struct entries {
	const struct node *c;
	int64_t row, column; /* strides */
};

static double entry(const struct entries *w, int64_t i, int64_t j)
{
	return constant_at(w->c, i * w->row + j * w->column);
}

static bool find_entries(const struct node *operand, struct entries *w, struct columns *h)
{
	const struct node *n = operand->op == OP_broadcast ? operand->in[0] : operand;
	int32_t rank = n->type.rank;
	bool swapped = n->op == OP_transpose && n->attr.perm->perm[rank - 1] == rank - 2 &&
		       n->attr.perm->perm[rank - 2] == rank - 1;
	if (swapped)
		n = n->in[0]->op == OP_broadcast ? n->in[0]->in[0] : n->in[0];
	if (n->op != OP_constant || !elem_is_float(n->type.elem))
		return false;
	h->n = fixed_extent(&operand->type, rank - 2);
	h->m = fixed_extent(&operand->type, rank - 1);
	w->c = n;
	w->row = swapped ? 1 : h->m;
	w->column = swapped ? h->n : 1;
	return !n->attr.data->residue && h->n >= LEAST_ROWS && !(h->n & (h->n - 1)) &&
	       8 * h->m >= h->n && type_fixed_count(&n->type) == h->n * h->m;
}

/* Reads the column of H from the rows 1, 2, 4, ... and checks all others. */
static bool find_column(const struct entries *w, struct columns *h, int64_t j)
{
	double first = entry(w, 0, j);
	int64_t index = 0;
	for (int64_t bit = 1; bit < h->n; bit *= 2)
		index |= signbit(entry(w, bit, j)) != signbit(first) ? bit : 0;
	for (int64_t i = 0; i < h->n; i++)
		if (entry(w, i, j) != (is_odd(i & index) ? -first : first))
			return false;
	h->index[j] = index;
	h->sign[j] = signbit(first) ? -1 : 1;
	return fabs(first) == h->scale;
}

static bool find_columns(struct graph *g, const struct node *operand, struct columns *h)
{
	struct entries w;
	if (!find_entries(operand, &w, h))
		return false;
	h->scale = fabs(entry(&w, 0, 0));
	/* most matrices are none: no need to allocate for them */
	if (!(h->scale > 0) || !isfinite(h->scale) || fabs(entry(&w, 1, 0)) != h->scale ||
	    fabs(entry(&w, 0, 1)) != h->scale)
		return false;
	h->index = arena_new(g->context->arena, int64_t, (size_t)h->m);
	h->sign = arena_new(g->context->arena, double, (size_t)h->m);
	for (int64_t j = 0; j < h->m; j++)
		if (!find_column(&w, h, j))
			return false;
	return true;
}

/* H of order n; its entries are exact in all formats. */
static struct node *sylvester(struct graph *g, enum normc_elem elem, int64_t n)
{
	struct type t = type_fixed(g->context, elem, 2, (const int64_t[]){n, n});
	double *x = arena_new(g->context->arena, double, (size_t)(n * n));
	for (int64_t i = 0; i < n * n; i++)
		x[i] = is_odd((i / n) & (i % n)) ? -1 : 1;
	return build_doubles(g, &t, x);
}

/* x H in two steps, because H of order ab is the Kronecker product of those of orders a and b: with
 * x as a matrix of [a][b], it is H_a x H_b. */
static struct node *transform(struct graph *g, struct node *x, int64_t n)
{
	int64_t a = 1;
	while (a * a * 4 <= n)
		a *= 2;
	const struct dim *dim[MAX_RANK];
	int32_t last = x->type.rank - 1;
	for (int32_t i = 0; i < last; i++)
		dim[i] = x->type.dim[i];
	dim[last] = dim_const(g->context->dims, a);
	dim[last + 1] = dim_const(g->context->dims, n / a);
	enum normc_elem elem = x->type.elem;
	struct node *y = build_reshape(g, x, last + 2, dim);
	y = build_matmul(g, build_matmul(g, sylvester(g, elem, a), y), sylvester(g, elem, n / a));
	return build_reshape(g, y, x->type.rank, x->type.dim);
}

/* The columns that W has, in its order. */
static struct node *picked(struct graph *g, struct node *y, const struct columns *h)
{
	struct dims *dims = g->context->dims;
	int32_t last = y->type.rank - 1;
	bool in_order = true;
	for (int64_t j = 0; j < h->m; j++)
		in_order = in_order && h->index[j] == j;
	if (in_order && h->m <= h->n)
		return build_slice(
				g, y, last,
				(struct slice_range){dim_const(dims, 0), dim_const(dims, h->m), 1});
	struct type t = type_fixed(g->context, NORMC_I64, 1, &h->m);
	struct node *index = build_constant(g, &t, h->index, (uint64_t)h->m * sizeof *h->index);
	return build_gather(g, y, index, last);
}

static struct node *signed_and_scaled(struct graph *g, struct node *y, const struct columns *h)
{
	int32_t last = y->type.rank - 1;
	int64_t extent[MAX_RANK];
	for (int32_t i = 0; i <= last; i++)
		extent[i] = i == last ? h->m : 1;
	struct type t = type_fixed(g->context, y->type.elem, last + 1, extent);
	for (int64_t j = 0; j < h->m; j++)
		h->sign[j] *= h->scale;
	return build_binary(g, OP_mul, y, build_doubles(g, &t, h->sign));
}

static struct node *hadamard_rule(struct graph *to, const struct node *old, struct node *const *in,
				  void *user)
{
	struct hadamard *p = user;
	struct columns h;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, p->pass, pass_hadamard);
	if (old->op != OP_matmul || constant_of(in[0]) || old->type.rank + 1 > MAX_RANK ||
	    !find_columns(to, in[1], &h) || !pass_allows(p->pass))
		return NULL;
	to->at.via = p->pass->name;
	struct node *y = signed_and_scaled(to, picked(to, transform(to, in[0], h.n), &h), &h);
	pass_remark(to, p->pass, p->pass->name, old->loc, NULL);
	to->at = old->loc;
	return y;
}

struct graph *pass_hadamard(struct graph *g, struct pass *pass)
{
	struct hadamard p = {pass};
	return pass->strict ? g : graph_rewrite(g, hadamard_rule, &p);
}
