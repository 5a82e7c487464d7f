/* How a live node is written: by one ONNX operator that covers several operations, if there is one,
 * else by its row, with operands from behind repetitions that the operator does by itself.
 *
 * An operator covers operations that nobody else reads, so nothing is computed twice.
 */
#include <math.h>
#include <string.h>

#include "eval.h"
#include "export_state.h"

struct node *export_unrepeated(struct node *n)
{
	while (n->op == OP_broadcast)
		n = n->in[0];
	return n;
}

bool export_splat(struct export *e, const struct node *n, double *value)
{
	while (n->op == OP_broadcast || n->op == OP_reshape)
		n = n->in[0];
	if (n->op != OP_constant || type_fixed_count(&n->type) != 1 || !elem_is_float(n->type.elem))
		return false;
	*value = tensor_load(e->arena, n->type.elem, 0, NULL, n->attr.data->p).f[0];
	return true;
}

static bool is_number(struct export *e, const struct node *n, double value)
{
	double number;
	return export_splat(e, n, &number) && number == value;
}

/* Whether the only reader of n is the node at hand. */
static bool is_inner(const struct export *e, const struct node *n, enum op op)
{
	return n->op == op && e->uses[n->id] == 1;
}

static void reads(struct export *e, struct export_plan *plan, struct node *const *in, uint32_t n)
{
	plan->in = arena_copy(e->arena, in, n * sizeof *in);
	plan->n_in = n;
}

/* ---- biases ---- */

/* One number for each channel of a convolution, as a vector or a constant; else NULL. */
static struct node *channel_vector(struct node *bias, const struct node *conv)
{
	struct node *b = export_unrepeated(bias);
	const struct dim *filters = conv->type.dim[1];
	for (int32_t i = 0; i < b->type.rank; i++)
		if (i == 1 ? b->type.dim[i] != filters : !dim_is(b->type.dim[i], 1))
			return NULL;
	if (b->op == OP_constant)
		return dim_is_const(filters) ? b : NULL;
	return b->op == OP_reshape && b->in[0]->type.rank == 1 ? b->in[0] : NULL;
}

static bool match_bias(struct export *e, const struct node *n, struct export_plan *plan)
{
	for (int k = 0; k < 2 && n->op == OP_add; k++) {
		struct node *c = n->in[k], *b;
		if (is_inner(e, c, OP_conv) && (b = channel_vector(n->in[1 - k], c))) {
			reads(e, plan, (struct node *[]){c->in[0], c->in[1], b}, 3);
			plan->write = export_conv;
			plan->anchor = c;
			return true;
		}
	}
	return false;
}

/* A product of matrices, with operands from behind transposes; unless `always`, only if there is
 * one.  The bias may be NULL. */
static bool plan_gemm(struct export *e, const struct node *m, struct node *bias, bool always,
		      struct export_plan *plan)
{
	struct node *in[3] = {m->in[0], m->in[1], bias};
	for (int k = 0; k < 2; k++) {
		plan->turned[k] = in[k]->op == OP_transpose && in[k]->attr.perm->perm[0] == 1;
		always = always || plan->turned[k];
		if (plan->turned[k])
			in[k] = in[k]->in[0];
	}
	reads(e, plan, in, bias ? 3 : 2);
	plan->write = export_gemm;
	return always;
}

static bool match_gemm(struct export *e, const struct node *n, struct export_plan *plan)
{
	if (n->type.rank != 2)
		return false;
	if (n->op == OP_matmul)
		return plan_gemm(e, n, NULL, false, plan);
	for (int k = 0; k < 2 && n->op == OP_add; k++) {
		struct node *m = n->in[k], *b = export_unrepeated(n->in[1 - k]);
		if (is_inner(e, m, OP_matmul) && dim_is(b->type.dim[0], 1))
			return plan_gemm(e, m, b, true, plan);
	}
	return false;
}

/* ---- means ---- */

/* Elements that a reduction takes together. */
static const struct dim *reduced_count(struct export *e, const struct node *reduce)
{
	const struct type *t = &reduce->in[0]->type;
	const struct dim *count = dim_const(e->context->dims, 1);
	for (int32_t i = 0; i < t->rank; i++)
		if (reduce->attr.axes->mask >> i & 1)
			count = dim_mul(e->context->dims, count, t->dim[i]);
	return count;
}

/* Whether n is this extent, converted and repeated. */
static bool is_extent(const struct node *n, const struct dim *extent)
{
	while (n->op == OP_broadcast || n->op == OP_reshape || n->op == OP_cast)
		n = n->in[0];
	return n->op == OP_dims && n->attr.dims->n == 1 && n->attr.dims->value[0] == extent;
}

/* Whether n, a product or a quotient, divides operand 0 by `count`. */
static bool divides_by(struct export *e, const struct node *n, const struct dim *count)
{
	double k;
	if (!dim_is_const(count))
		return n->op == OP_div && is_extent(n->in[1], count);
	if (!export_splat(e, n->in[1], &k) || count->value < 1)
		return false;
	double number = (double)count->value;
	return k == (n->op == OP_div ? number : elem_round(n->type.elem, 1 / number));
}

static bool match_mean(struct export *e, const struct node *n, struct export_plan *plan)
{
	if (n->op != OP_div && n->op != OP_mul)
		return false;
	struct node *sum = n->in[0];
	if (!is_inner(e, sum, OP_reduce_sum) || !divides_by(e, n, reduced_count(e, sum)))
		return false;
	reads(e, plan, sum->in, 1);
	plan->write = export_mean;
	plan->anchor = sum;
	return true;
}

static bool match_average_pool(struct export *e, const struct node *n, struct export_plan *plan)
{
	if (n->op != OP_div && n->op != OP_mul)
		return false;
	struct node *sum = n->in[0];
	const struct dim *count = dim_const(e->context->dims, 1);
	if (!is_inner(e, sum, OP_pool_sum))
		return false;
	for (int32_t i = 0; i < sum->attr.pool->spatial; i++)
		count = dim_mul(e->context->dims, count,
				dim_const(e->context->dims, sum->attr.pool->kernel[i]));
	if (!divides_by(e, n, count))
		return false;
	reads(e, plan, sum->in, 1);
	plan->write = export_average_pool;
	plan->anchor = sum;
	return true;
}

/* ---- activations ---- */

static bool match_clip(struct export *e, const struct node *n, struct export_plan *plan)
{
	double outer, inner;
	if ((n->op != OP_max && n->op != OP_min) || !export_splat(e, n->in[1], &outer))
		return false;
	struct node *x = n->in[0];
	bool upper = n->op == OP_min;
	if (is_inner(e, x, upper ? OP_max : OP_min) && export_splat(e, x->in[1], &inner) &&
	    (upper ? inner <= outer : outer <= inner)) {
		plan->write = export_clip;
		plan->low = upper ? inner : outer;
		plan->high = upper ? outer : inner;
		x = x->in[0];
	} else if (!upper && outer == 0) {
		plan->write = export_named;
		plan->text = "Relu";
	} else {
		return false;
	}
	reads(e, plan, &x, 1);
	return x->op != OP_broadcast;
}

/* x in 1 / (1 + exp(-x)) */
static bool match_sigmoid(struct export *e, const struct node *n, struct export_plan *plan)
{
	if (n->op != OP_div || !is_number(e, n->in[0], 1) || !is_inner(e, n->in[1], OP_add))
		return false;
	struct node *const *term = n->in[1]->in;
	int one = is_number(e, term[0], 1) ? 0 : 1;
	struct node *power = term[1 - one];
	if (!is_number(e, term[one], 1) || !is_inner(e, power, OP_exp) ||
	    !is_inner(e, power->in[0], OP_neg))
		return false;
	reads(e, plan, power->in[0]->in, 1);
	plan->write = export_named;
	plan->text = "Sigmoid";
	return true;
}

enum { MOST_FACTORS = 4 };

/* A product taken apart: a number and what it multiplies. */
struct product {
	double number;
	struct node *factor[MOST_FACTORS];
	uint32_t n;
};

/* Adds the factors of n, whose own product only the root reads; false if there are too many. */
static bool take_apart(struct export *e, struct node *n, int depth, struct product *p)
{
	double k;
	if (export_splat(e, n, &k)) {
		p->number *= k;
		return true;
	}
	if (n->op == OP_div && depth && e->uses[n->id] == 1 && export_splat(e, n->in[1], &k)) {
		p->number /= k;
		return take_apart(e, n->in[0], depth - 1, p);
	}
	if (n->op == OP_mul && depth && e->uses[n->id] == 1)
		return take_apart(e, n->in[0], depth - 1, p) &&
		       take_apart(e, n->in[1], depth - 1, p);
	if (p->n == MOST_FACTORS)
		return false;
	p->factor[p->n++] = n;
	return true;
}

/* Whether a is b but for the rounding of two constants of this type. */
static bool is_near(enum normc_elem elem, double a, double b)
{
	return fabs(a - b) <= (elem == NORMC_F64 ? 0x1p-51 : 0x1p-22) * fabs(b);
}

/* Whether n is x times a number near k. */
static bool is_multiple(struct export *e, struct node *n, const struct node *x, double k)
{
	struct product p = {.number = 1};
	return take_apart(e, n, 2, &p) && p.n == 1 && p.factor[0] == x &&
	       is_near(n->type.elem, p.number, k);
}

/* 0.044715 x^3, whose x*x may have been built once */
static bool is_cube(struct export *e, struct node *n, const struct node *x)
{
	struct product p = {.number = 1};
	if (!take_apart(e, n, 3, &p) || !is_near(x->type.elem, p.number, 0.044715))
		return false;
	for (uint32_t i = 0; i < p.n; i++)
		if (p.factor[i] != x)
			return false;
	return p.n == 3;
}

/* sqrt(2/pi) * (x + 0.044715 x^3) */
static bool is_tanh_argument(struct export *e, struct node *n, const struct node *x)
{
	struct product p = {.number = 1};
	if (!take_apart(e, n, 2, &p) || p.n != 1 ||
	    !is_near(x->type.elem, p.number, 0.7978845608028654) ||
	    !is_inner(e, p.factor[0], OP_add))
		return false;
	struct node *const *term = p.factor[0]->in;
	return (term[0] == x && is_cube(e, term[1], x)) || (term[1] == x && is_cube(e, term[0], x));
}

/* a = 1 + erf(x / sqrt 2) or 1 + tanh(...): *tanh says which */
static bool is_gate(struct export *e, const struct node *a, const struct node *x, bool *tanh)
{
	if (!is_inner(e, a, OP_add))
		return false;
	int one = is_number(e, a->in[0], 1) ? 0 : 1;
	const struct node *f = a->in[1 - one];
	if (!is_number(e, a->in[one], 1) || e->uses[f->id] != 1)
		return false;
	*tanh = f->op == OP_tanh;
	return f->op == OP_erf ? is_multiple(e, f->in[0], x, sqrt(0.5))
			       : *tanh && is_tanh_argument(e, f->in[0], x);
}

/* x/2 * (1 + erf(x / sqrt 2)), and the form with tanh */
static bool match_gelu(struct export *e, const struct node *n, struct export_plan *plan)
{
	struct product p = {.number = 1};
	bool tanh = false;
	if (n->op != OP_mul || n->type.elem == NORMC_F16 || n->type.elem == NORMC_BF16 ||
	    !take_apart(e, n->in[0], 2, &p) || !take_apart(e, n->in[1], 2, &p) || p.n != 2 ||
	    p.number != 0.5)
		return false;
	for (int k = 0; k < 2; k++) {
		if (!is_gate(e, p.factor[k], p.factor[1 - k], &tanh) || !export_allows(e, 20))
			continue;
		reads(e, plan, &p.factor[1 - k], 1);
		plan->write = export_gelu;
		plan->text = tanh ? "tanh" : NULL;
		return type_same_shape(&plan->in[0]->type, &n->type);
	}
	return false;
}

/* ---- repetitions ---- */

/* Whether in[0..n) gives dimension i of the result its extent. */
static bool covered(struct node *const *in, uint32_t n, int32_t i, const struct dim *extent)
{
	bool found = dim_is(extent, 1);
	for (uint32_t k = 0; k < n && !found; k++)
		found = !dim_is(in[k]->type.dim[i], 1);
	return found;
}

/* Operands without repetitions, but for those in which the result gets its extents; all are of one
 * rank.  Matrices stay whole in their last two dimensions. */
static void skip_repetitions(struct export *e, const struct node *n, struct export_plan *plan)
{
	struct node **in = arena_new(e->arena, struct node *, n->n_in);
	int32_t rank = n->type.rank, inner = n->op == OP_matmul ? 2 : 0;
	for (uint32_t k = 0; k < n->n_in; k++) {
		in[k] = export_unrepeated(n->in[k]);
		for (int32_t i = rank - inner; i < rank; i++)
			if (in[k]->type.dim[i] != n->in[k]->type.dim[i])
				in[k] = n->in[k];
	}
	for (int32_t i = 0; i < rank - inner; i++)
		for (uint32_t k = 0; k < n->n_in && !covered(in, n->n_in, i, n->type.dim[i]); k++)
			in[k] = n->in[k];
	plan->in = in;
}

/* Parameters of a norm repeat by themselves. */
static void skip_parameters(struct export *e, const struct node *n, struct export_plan *plan)
{
	struct node **in = arena_new(e->arena, struct node *, n->n_in);
	for (uint32_t k = 0; k < n->n_in; k++)
		in[k] = k ? export_unrepeated(n->in[k]) : n->in[k];
	plan->in = in;
}

typedef bool matcher(struct export *e, const struct node *n, struct export_plan *plan);

void export_choose(struct export *e, const struct node *n, struct export_plan *plan)
{
	static matcher *const matchers[] = {match_bias,		match_gemm,	   match_mean,
					    match_average_pool, match_clip,	   match_sigmoid,
					    match_gelu,		export_match_group};
	if (elem_is_float(n->type.elem)) {
		for (size_t i = 0; i < sizeof matchers / sizeof *matchers; i++) {
			*plan = (struct export_plan){0};
			if (matchers[i](e, n, plan))
				return;
		}
	}
	*plan = (struct export_plan){.in = n->in, .n_in = n->n_in};
	if (op_info[n->op].kind == KIND_map || n->op == OP_matmul)
		skip_repetitions(e, n, plan);
	else if (n->op == OP_norm)
		skip_parameters(e, n, plan);
	else if (n->op == OP_broadcast) {
		plan->in = arena_new(e->arena, struct node *, 1);
		*(struct node **)(uintptr_t)plan->in = export_unrepeated(n->in[0]);
	}
}
