/* Norms whose statistics are given (inference batch normalization) and other affine maps with
 * constant parameters.
 *
 * y = s*x + t, with s and t constant along all dimensions but the channels', joins the product or
 * convolution that made x when nobody else reads x: the weights of channel o are multiplied by
 * s[o], and t becomes the bias.  Padding does not matter, because the map acts after it; nor do
 * groups or zeros between the elements (transposed convolutions), because dimension 0 of the
 * weights is the output channel in all of them.  Chains are folded in fp64 and rounded once: each
 * value that is an affine map of a product is kept as (product, s, t).
 */
#include <math.h>
#include <string.h>

#include "affine.h"
#include "eval_op.h"
#include "pass.h"
#include "value.h"

/* value = s[o] * product + t[o] */
struct linear {
	struct node *product;
	struct node *scaled; /* product with weights times s; NULL: s is 1 */
	int32_t axis;	     /* of the channels in the product's result */
	int32_t weights;     /* operand that is constant */
	int32_t weights_axis;
	int64_t n;
	double *s, *t;
};

struct fold_norm {
	struct pass *pass;
	struct arena *arena;
	const uint32_t *uses;	/* by old id */
	struct linear **linear; /* by new id; NULL: not a linear value, or not looked at yet */
	uint32_t n_linear;
};

/* ---- products ---- */

static void remember(struct fold_norm *f, const struct node *n, struct linear *l)
{
	while (f->n_linear <= n->id)
		PUSH(f->arena, f->linear, f->n_linear, NULL);
	f->linear[n->id] = l;
}

static bool find_weights(const struct node *n, struct linear *l)
{
	if (n->op == OP_conv) {
		l->weights = 1;
		l->weights_axis = 0;
		l->axis = 1;
	} else if (n->op == OP_matmul) {
		l->weights = constant_of(n->in[1]) ? 1 : 0;
		l->axis = l->weights_axis = n->type.rank - (l->weights ? 1 : 2);
	} else {
		return false;
	}
	const struct node *w = constant_of(n->in[l->weights]);
	if (!w || !elem_is_float(w->type.elem))
		return false;
	l->n = fixed_extent(&n->type, l->axis);
	return l->n > 0 && fixed_extent(&w->type, l->weights_axis) == l->n;
}

/* The value as an affine map of a product; NULL if it is none. */
static struct linear *linear_of(struct fold_norm *f, struct node *n)
{
	struct linear found = {.product = n};
	if (n->id < f->n_linear && f->linear[n->id])
		return f->linear[n->id];
	if (!find_weights(n, &found))
		return NULL;
	found.s = arena_new(f->arena, double, (size_t)found.n);
	found.t = arena_new(f->arena, double, (size_t)found.n);
	for (int64_t i = 0; i < found.n; i++)
		found.s[i] = 1;
	struct linear *l = arena_copy(f->arena, &found, sizeof found);
	remember(f, n, l);
	return l;
}

/* ---- maps ---- */

/* An affine map of the operand in[x]; parameters have all extents 1 but that of one axis. */
struct affine {
	uint32_t x;
	struct node *gamma, *beta, *mean, *variance; /* NULL: 1, 0, 0, none */
	bool divides;				     /* by gamma */
	const struct attr_norm *norm;
};

static bool find_affine(const struct node *old, struct node *const *in, struct affine *a)
{
	*a = (struct affine){0};
	if (norm_is_given(old)) {
		uint32_t k = 1;
		a->norm = old->attr.norm;
		a->gamma = a->norm->gamma ? in[k++] : NULL;
		a->beta = a->norm->beta ? in[k++] : NULL;
		a->mean = a->norm->centre == NORM_CENTRE_GIVEN ? in[k++] : NULL;
		a->variance = a->norm->scale == NORM_SCALE_GIVEN ? in[k++] : NULL;
		return true;
	}
	if ((old->op != OP_add && old->op != OP_mul && old->op != OP_div) ||
	    !elem_is_float(old->type.elem))
		return false;
	bool left = old->op != OP_div && constant_of(in[0]);
	struct node *constant = in[left ? 0 : 1];
	a->x = left ? 1 : 0;
	a->divides = old->op == OP_div;
	*(old->op == OP_add ? &a->beta : &a->gamma) = constant;
	return constant_of(constant) && !constant_of(in[a->x]);
}

static double deviation(const struct attr_norm *norm, double variance)
{
	switch (norm->epsilon_place) {
	case NORM_EPSILON_INSIDE:
		return sqrt(variance + norm->epsilon);
	case NORM_EPSILON_OUTSIDE:
		return sqrt(variance) + norm->epsilon;
	case NORM_EPSILON_FLOOR:
		return fmax(sqrt(variance), norm->epsilon);
	}
	return NAN;
}

/* The map as s[o], t[o] along one axis; false if it varies elsewhere or is not constant. */
static bool evaluate_affine(const struct affine *a, int32_t axis, int64_t n, double *s, double *t)
{
	struct channel gamma, beta, mean, variance;
	if (!channel_of(a->gamma, axis, n, &gamma) || !channel_of(a->beta, axis, n, &beta) ||
	    !channel_of(a->mean, axis, n, &mean) || !channel_of(a->variance, axis, n, &variance))
		return false;
	for (int64_t o = 0; o < n; o++) {
		double scale = channel_at(&gamma, o, 1);
		if (a->divides)
			scale = 1 / scale;
		if (variance.constant)
			scale /= deviation(a->norm, channel_at(&variance, o, 1));
		s[o] = scale;
		t[o] = channel_at(&beta, o, 0) - channel_at(&mean, o, 0) * scale;
	}
	return true;
}

/* ---- folding ---- */

/* to = from * s, rounded once; false if it is not finite. */
static bool scale_element(enum normc_elem elem, const unsigned char *from, unsigned char *to,
			  double s)
{
	double x = 0;
	struct tensor one = {.elem = elem, .count = 1, .f = &x};
	if (elem != NORMC_F32) {
		tensor_fill(&one, from);
		x *= s;
		tensor_store(&one, to);
		return fabs(x) <= elem_largest(elem);
	}
	float narrow; /* the common case, in line: weights are many */
	memcpy(&narrow, from, sizeof narrow);
	narrow = (float)(narrow * s);
	memcpy(to, &narrow, sizeof narrow);
	return isfinite(narrow);
}

/* The product with weights times s[o]; NULL if one is not finite in their element type. */
static struct node *scale_weights(struct fold_norm *f, struct graph *g, const struct linear *l)
{
	struct node *operand = l->product->in[l->weights];
	const struct node *w = constant_of(operand);
	int64_t count = type_fixed_count(&w->type), inner = 1;
	size_t size = normc_elem_size(w->type.elem);
	for (int32_t i = l->weights_axis + 1; i < w->type.rank; i++)
		inner *= fixed_extent(&w->type, i);
	const unsigned char *from = w->attr.data->p;
	unsigned char *p = arena_alloc(f->arena, (size_t)count, size), *to = p;
	for (int64_t i = 0; i < count; i++, from += size, to += size)
		if (!scale_element(w->type.elem, from, to, l->s[i / inner % l->n]))
			return NULL;
	struct node *in[2] = {l->product->in[0], l->product->in[1]};
	in[l->weights] = build_broadcast(g, build_constant(g, &w->type, p, w->attr.data->bytes),
					 operand->type.rank, operand->type.dim);
	struct loc at = g->at;
	g->at.source = l->product->loc.source; /* profiles show the product, not what joined it */
	struct node *scaled = graph_node(g, l->product->op, in, 2, l->product->attr);
	g->at = at;
	return scaled;
}

static bool all_are(const double *value, int64_t n, double number)
{
	for (int64_t i = 0; i < n; i++)
		if (value[i] != number)
			return false;
	return true;
}

/* x + v[o], or x * v[o], along the axis of `l` */
static struct node *with_channels(struct graph *g, enum op op, struct node *x,
				  const struct linear *l, const double *v)
{
	struct type t = {.elem = x->type.elem, .rank = x->type.rank};
	for (int32_t i = 0; i < t.rank; i++)
		t.dim[i] = dim_const(g->context->dims, i == l->axis ? l->n : 1);
	return build_binary(g, op, x, build_doubles(g, &t, v));
}

/* The map applied to x, as a map of x's product; NULL with a reason if it cannot be. */
static struct linear *compose(struct fold_norm *f, struct node *x, const struct affine *a,
			      const char **missed)
{
	const struct linear *from = linear_of(f, x);
	if (!from) {
		*missed = "its operand is not a product or convolution with constant weights";
		return NULL;
	}
	struct linear *to = arena_copy(f->arena, from, sizeof *from);
	to->s = arena_new(f->arena, double, (size_t)to->n);
	to->t = arena_new(f->arena, double, (size_t)to->n);
	if (!evaluate_affine(a, to->axis, to->n, to->s, to->t)) {
		*missed = "it varies along another axis than the product's channels, or is not "
			  "constant";
		return NULL;
	}
	if (!all_are(to->s, to->n, 1))
		to->scaled = NULL;
	for (int64_t o = 0; o < to->n; o++) {
		to->t[o] += to->s[o] * from->t[o];
		to->s[o] *= from->s[o];
		if (!(fabs(to->t[o]) <= elem_largest(x->type.elem))) {
			*missed = "the folded bias would overflow";
			return NULL;
		}
	}
	return to;
}

/* Builds the value. */
static struct node *build_linear(struct fold_norm *f, struct graph *g, struct linear *l,
				 const char **missed)
{
	struct node *y = l->product;
	if (!all_are(l->s, l->n, 1)) {
		if (!l->scaled)
			l->scaled = scale_weights(f, g, l);
		y = l->scaled;
	}
	if (!y) {
		*missed = "the folded weights would overflow";
		return NULL;
	}
	if (!all_are(l->t, l->n, 0))
		y = with_channels(g, OP_add, y, l, l->t);
	remember(f, y, l);
	return y;
}

/* A map whose operand nobody else reads. */
static struct node *fold_affine(struct fold_norm *f, struct graph *to, const struct node *old,
				struct node *const *in, const struct affine *a)
{
	const char *missed = "bit-exact rewrites only";
	struct linear *l = NULL;
	struct node *y = NULL;
	if (f->uses[old->in[a->x]->id] != 1)
		missed = "its operand has other readers";
	else if (!f->pass->strict)
		l = compose(f, in[a->x], a, &missed);
	if (l && !a->norm && in[a->x] == l->product && all_are(l->s, l->n, 1)) {
		to->at = old->loc;
		y = graph_clone(to, old, in); /* a bias, as it should be */
		remember(f, y, l);
		return y;
	}
	if (l)
		y = build_linear(f, to, l, &missed);
	if (y || a->norm)
		pass_remark(to, f->pass, f->pass->name, old->loc, y ? NULL : missed);
	return y;
}

static struct node *fold_norm_rule(struct graph *to, const struct node *old, struct node *const *in,
				   void *user)
{
	struct fold_norm *f = user;
	struct affine a;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, f->pass, pass_fold_norm);
	for (uint32_t i = 0; i < old->n_in; i++)
		if (node_is_poison(in[i]))
			return in[i];
	if (!find_affine(old, in, &a))
		return NULL;
	to->at.via = f->pass->name;
	struct node *y = fold_affine(f, to, old, in, &a);
	to->at = old->loc;
	return y;
}

struct graph *pass_fold_norm(struct graph *g, struct pass *pass)
{
	struct fold_norm f = {.pass = pass, .arena = g->context->arena};
	f.uses = graph_uses(g, f.arena);
	return graph_rewrite(g, fold_norm_rule, &f);
}
