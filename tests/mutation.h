/* Mutations: ways in which a rewrite may be wrong, each applied to one node of a rewritten graph.
 *
 * A constant that a pass computed keeps what it stands for modulo a prime; a mutated one stands for
 * the mutated number, so that a mutation is not noticed by a lost residue.  A mutation that does
 * not fit its node returns NULL.
 */
#ifndef NORMC_TEST_MUTATION_H
#define NORMC_TEST_MUTATION_H

#include "eval_beside.h"
#include "parts.h"

/* Where, and how: of the rewritten graph `old`, whose operands are in[] in the new one. */
struct place_of {
	struct graph *to;
	const struct node *old;
	struct node *const *in;
	const struct graph *before; /* the graph before the rewrite */
};

typedef struct node *mutation_function(const struct place_of *p);

/* ---- norms ---- */

static inline bool is_norm(const struct place_of *p)
{
	return p->old->op == OP_norm;
}

static inline struct node *norm_with(const struct place_of *p, const struct attr_norm *attr)
{
	const struct attr_norm *a = p->old->attr.norm;
	struct norm_operands in = {.x = p->in[0]};
	uint32_t k = 1;
	in.gamma = a->gamma ? p->in[k++] : NULL;
	in.beta = a->beta ? p->in[k++] : NULL;
	in.mean = a->centre == NORM_CENTRE_GIVEN ? p->in[k++] : NULL;
	in.variance = a->scale == NORM_SCALE_GIVEN ? p->in[k++] : NULL;
	if (attr->centre == NORM_CENTRE_GIVEN && !in.mean) {
		struct shape one = {.rank = p->old->type.rank};
		for (int32_t i = 0; i < one.rank; i++)
			one.dim[i] = 1;
		in.mean = part_random(p->to, one, 0.1, 0.2);
		in.variance = part_positive(p->to, one);
	}
	return build_norm(p->to, in, attr);
}

/* A function that changes the attributes of a norm when CONDITION holds. */
#define NORM_MUTATION(name, condition, ...)                                                        \
	static inline struct node *name(const struct place_of *p)                                  \
	{                                                                                          \
		if (!is_norm(p))                                                                   \
			return NULL;                                                               \
		struct attr_norm a = *p->old->attr.norm;                                           \
		bool applies = condition;                                                          \
		__VA_ARGS__;                                                                       \
		return applies ? norm_with(p, &a) : NULL;                                          \
	}

NORM_MUTATION(epsilon_dropped, a.epsilon > 0, a.epsilon = 0)
NORM_MUTATION(epsilon_of_another_layer, a.epsilon > 0, a.epsilon *= 10)
NORM_MUTATION(epsilon_outside, a.epsilon > 0 && a.epsilon_place == NORM_EPSILON_INSIDE,
	      a.epsilon_place = NORM_EPSILON_OUTSIDE)
NORM_MUTATION(epsilon_inside, a.epsilon > 0 && a.epsilon_place == NORM_EPSILON_OUTSIDE,
	      a.epsilon_place = NORM_EPSILON_INSIDE)
NORM_MUTATION(n_minus_one, a.scale == NORM_SCALE_RMS && a.axes, a.unbiased = !a.unbiased)
NORM_MUTATION(mean_forgotten, a.centre == NORM_CENTRE_MEAN, a.centre = NORM_CENTRE_NONE)
NORM_MUTATION(mean_invented, a.centre == NORM_CENTRE_NONE && a.axes, a.centre = NORM_CENTRE_MEAN)
NORM_MUTATION(one_axis_more, a.axes > 1, a.axes |= a.axes >> 1)
NORM_MUTATION(another_axis, a.axes > 1, a.axes >>= 1)
NORM_MUTATION(length_for_deviation, a.scale == NORM_SCALE_RMS && a.axes, a.scale = NORM_SCALE_L2)
NORM_MUTATION(deviation_for_length, a.scale == NORM_SCALE_L2, a.scale = NORM_SCALE_RMS)
NORM_MUTATION(training_ignored, a.centre == NORM_CENTRE_MEAN && a.scale == NORM_SCALE_RMS,
	      (a.centre = NORM_CENTRE_GIVEN, a.scale = NORM_SCALE_GIVEN, a.axes = 0))

static inline struct node *norm_without(const struct place_of *p, bool gamma)
{
	if (!is_norm(p))
		return NULL;
	struct attr_norm a = *p->old->attr.norm;
	struct norm_operands in = {.x = p->in[0]};
	bool both = a.gamma && a.beta, has = gamma ? a.gamma : a.beta;
	if (!has || a.centre == NORM_CENTRE_GIVEN || a.scale == NORM_SCALE_GIVEN)
		return NULL;
	in.gamma = !gamma && both ? p->in[1] : NULL;
	in.beta = gamma && both ? p->in[2] : NULL;
	a.gamma = in.gamma;
	a.beta = in.beta;
	return build_norm(p->to, in, &a);
}

static inline struct node *gamma_forgotten(const struct place_of *p)
{
	return norm_without(p, true);
}

static inline struct node *beta_forgotten(const struct place_of *p)
{
	return norm_without(p, false);
}

/* ---- constants ---- */

struct element {
	double x;
	uint64_t r; /* what it stands for */
};

struct numbers {
	struct element *e;
	int64_t n, last; /* extent of the last dimension that varies */
};

static inline bool read_numbers(const struct place_of *p, struct numbers *v)
{
	const struct type *t = &p->old->type;
	if (p->old->op != OP_constant || !elem_is_float(t->elem) || type_fixed_count(t) < 1)
		return false;
	const uint64_t *r = constant_residues(p->to, p->old);
	v->n = type_fixed_count(t);
	v->e = arena_new(p->to->context->arena, struct element, (size_t)v->n);
	for (int64_t i = 0; i < v->n; i++)
		v->e[i] = (struct element){constant_at(p->old, i), r[i]};
	v->last = 1;
	for (int32_t i = 0; i < t->rank; i++)
		v->last = t->dim[i]->value > 1 ? t->dim[i]->value : v->last;
	return true;
}

static inline struct node *write_numbers(const struct place_of *p, const struct numbers *v)
{
	struct arena *arena = p->to->context->arena;
	const struct type *t = &p->old->type;
	double *x = arena_new(arena, double, (size_t)v->n);
	uint64_t *r = arena_new(arena, uint64_t, (size_t)v->n);
	for (int64_t i = 0; i < v->n; i++) {
		x[i] = v->e[i].x;
		r[i] = v->e[i].r;
	}
	const struct node *rounded = build_doubles(p->to, t, x);
	return build_exact(p->to, t, rounded->attr.data->p, r);
}

/* Element i is made of the old ones. */
#define CONSTANT_MUTATION(name, ...)                                                               \
	static inline struct element each_##name(const struct numbers *v, int64_t i)               \
	{                                                                                          \
		struct element e = v->e[i];                                                        \
		__VA_ARGS__;                                                                       \
		return e;                                                                          \
	}                                                                                          \
	static inline struct node *name(const struct place_of *p)                                  \
	{                                                                                          \
		struct numbers v;                                                                  \
		if (!read_numbers(p, &v))                                                          \
			return NULL;                                                               \
		struct numbers to = v;                                                             \
		to.e = arena_new(p->to->context->arena, struct element, (size_t)v.n);              \
		for (int64_t i = 0; i < v.n; i++)                                                  \
			to.e[i] = each_##name(&v, i);                                              \
		return write_numbers(p, &to);                                                      \
	}

static inline struct element element_of(double x)
{
	return (struct element){x, residue_of_real(x)};
}

static inline struct element element_product(struct element a, struct element b)
{
	return (struct element){a.x * b.x, residue_product(a.r, b.r)};
}

static inline struct element element_negative(struct element a)
{
	return (struct element){-a.x, residue_negative(a.r)};
}

CONSTANT_MUTATION(sign_changed, e = element_negative(e))
CONSTANT_MUTATION(sign_ignored, e = e.x < 0 ? element_negative(e) : e)
CONSTANT_MUTATION(bias_forgotten, (void)i; e = element_of(0))
CONSTANT_MUTATION(scale_forgotten, (void)i; e = element_of(1))
CONSTANT_MUTATION(scale_inverted, e.x = 1 / (e.x + (e.x == 0)); e.r = residue_inverse(e.r))
CONSTANT_MUTATION(applied_twice, e = element_product(e, e))
CONSTANT_MUTATION(root_forgotten, e.x = sqrt(fabs(e.x)); e.r = residue_unknown(OP_sqrt, e.r, 0))
CONSTANT_MUTATION(slightly_off, e = element_product(e, element_of(1.001)))
CONSTANT_MUTATION(doubled, e = element_product(e, element_of(2)))
CONSTANT_MUTATION(first_forgotten, e = i == 0 ? element_of(0) : e)
CONSTANT_MUTATION(last_forgotten, e = i == v->n - 1 ? element_of(0) : e)
CONSTANT_MUTATION(off_by_one, e = v->e[(i + 1) % v->n])
CONSTANT_MUTATION(backwards, e = v->e[v->n - 1 - i])
CONSTANT_MUTATION(channel_repeated, e = v->e[i / v->last * v->last])
CONSTANT_MUTATION(mixed_up, e = v->e[i * v->last % v->n])

static inline struct node *not_transposed(const struct place_of *p)
{
	struct numbers v;
	int32_t r = p->old->type.rank;
	if (r < 2 || !read_numbers(p, &v) || p->old->type.dim[r - 1] != p->old->type.dim[r - 2])
		return NULL;
	int64_t n = p->old->type.dim[r - 1]->value;
	struct numbers to = v;
	to.e = arena_new(p->to->context->arena, struct element, (size_t)v.n);
	for (int64_t i = 0; i < v.n; i++)
		to.e[i] = v.e[i / (n * n) * n * n + i % n * n + i / n % n];
	return write_numbers(p, &to);
}

/* A constant of the graph before the rewrite in the place of one that was computed. */
static inline struct node *not_folded(const struct place_of *p)
{
	const struct node *n = p->old;
	if (n->op != OP_constant || !elem_is_float(n->type.elem))
		return NULL;
	for (uint32_t i = 0; i < p->before->n_nodes; i++) {
		const struct node *b = p->before->nodes[i];
		bool same = b->op == OP_constant && type_equal(&b->type, &n->type);
		if (same && memcmp(b->attr.data->p, n->attr.data->p, n->attr.data->bytes) != 0)
			return build_constant(p->to, &n->type, b->attr.data->p,
					      b->attr.data->bytes);
	}
	return NULL;
}

/* ---- maps ---- */

static inline struct node *instead(const struct place_of *p, enum op from, enum op to)
{
	if (p->old->op != from)
		return NULL;
	return graph_node(p->to, to, p->in, p->old->n_in, p->old->attr);
}

#define INSTEAD(name, from, to)                                                                    \
	static inline struct node *name(const struct place_of *p)                                  \
	{                                                                                          \
		return instead(p, OP_##from, OP_##to);                                             \
	}

INSTEAD(subtracted, add, sub)
INSTEAD(added, sub, add)
INSTEAD(divided, mul, div)
INSTEAD(multiplied, div, mul)
INSTEAD(least, max, min)
INSTEAD(summed_for_greatest, reduce_sum, reduce_max)
INSTEAD(greatest_for_least, reduce_max, reduce_min)
INSTEAD(tanh_for_erf, erf, tanh)
INSTEAD(erf_for_tanh, tanh, erf)
INSTEAD(pooled_sum, pool_max, pool_sum)
INSTEAD(pooled_greatest, pool_sum, pool_max)

static inline struct node *operands_swapped(const struct place_of *p)
{
	if ((p->old->op != OP_sub && p->old->op != OP_div && p->old->op != OP_matmul) ||
	    !type_equal(&p->in[0]->type, &p->in[1]->type))
		return NULL;
	struct node *in[2] = {p->in[1], p->in[0]};
	return graph_node(p->to, p->old->op, in, 2, p->old->attr);
}

/* The node is left out: one of its operands stands for it. */
static inline struct node *left_out(const struct place_of *p)
{
	return p->old->n_in ? p->in[0] : NULL;
}

static inline struct node *second_left_out(const struct place_of *p)
{
	return p->old->n_in > 1 ? p->in[1] : NULL;
}

/* ---- movement and layers ---- */

/* The same extents in another order. */
static inline struct node *axes_confused(const struct place_of *p)
{
	int32_t perm[MAX_RANK], r = p->old->type.rank;
	const struct node *n = p->old;
	bool moves = n->op == OP_transpose || n->op == OP_reshape || n->op == OP_matmul;
	for (int32_t i = 0; i < r; i++)
		perm[i] = i;
	for (int32_t i = 0; moves && i + 1 < r; i++)
		if (n->type.dim[i] == n->type.dim[i + 1] && !dim_is(n->type.dim[i], 1)) {
			perm[i] = i + 1;
			perm[i + 1] = i;
			return build_transpose(p->to, graph_clone(p->to, n, p->in), perm);
		}
	return NULL;
}

static inline struct node *slice_off_by_one(const struct place_of *p)
{
	if (p->old->op != OP_slice)
		return NULL;
	struct attr_slice a = *p->old->attr.slice;
	struct dims *dims = p->to->context->dims;
	for (int32_t i = 0; i < p->old->type.rank; i++) {
		int64_t start = a.start[i]->value, extent = p->old->type.dim[i]->value;
		int64_t end = start + (extent - 1) * a.step[i];
		if (end + 1 >= p->in[0]->type.dim[i]->value && start < 1)
			continue;
		bool up = end + 1 < p->in[0]->type.dim[i]->value;
		a.start[i] = dim_const(dims, start + (up ? 1 : -1));
		return graph_node(p->to, OP_slice, p->in, 1, (union attr){.slice = &a});
	}
	return NULL;
}

static inline struct node *parts_in_wrong_order(const struct place_of *p)
{
	struct node *in[8];
	uint32_t n = p->old->n_in;
	if (p->old->op != OP_concat || n > 8 || n < 2)
		return NULL;
	for (uint32_t i = 0; i < n; i++)
		in[i] = p->in[n - 1 - i];
	return build_concat(p->to, in, n, p->old->attr.axis->axis);
}

static inline struct node *softmax_of_another_axis(const struct place_of *p)
{
	if (p->old->op != OP_softmax || p->old->attr.softmax->axis == 0)
		return NULL;
	return build_softmax(p->to, p->in[0], p->old->attr.softmax->axis - 1,
			     p->old->attr.softmax->log);
}

static inline struct node *logarithm_forgotten(const struct place_of *p)
{
	if (p->old->op != OP_softmax)
		return NULL;
	return build_softmax(p->to, p->in[0], p->old->attr.softmax->axis,
			     !p->old->attr.softmax->log);
}

static inline struct node *weights_not_transposed(const struct place_of *p)
{
	int32_t perm[MAX_RANK], r = p->old->type.rank;
	if (p->old->op != OP_matmul || p->in[1]->type.dim[r - 1] != p->in[1]->type.dim[r - 2])
		return NULL;
	for (int32_t i = 0; i < r; i++)
		perm[i] = i;
	perm[r - 1] = r - 2;
	perm[r - 2] = r - 1;
	return build_matmul(p->to, p->in[0], build_transpose(p->to, p->in[1], perm));
}

static inline struct node *padded_on_the_wrong_side(const struct place_of *p)
{
	if (p->old->op != OP_conv)
		return NULL;
	struct attr_conv a = *p->old->attr.conv;
	struct dims *dims = p->to->context->dims;
	if (!dim_is_const(a.before[0]) || !dim_is_const(a.after[0]))
		return NULL;
	a.before[0] = dim_const(dims, a.before[0]->value + 1);
	a.after[0] = dim_const(dims, a.after[0]->value - 1);
	return build_conv(p->to, p->in[0], p->in[1], &a);
}

/* All filters see the channels of the first group. */
static inline struct node *groups_ignored(const struct place_of *p)
{
	if (p->old->op != OP_conv || p->old->attr.conv->groups < 2)
		return NULL;
	struct attr_conv a = *p->old->attr.conv;
	struct dims *dims = p->to->context->dims;
	struct slice_range range = {dim_const(dims, 0), p->in[1]->type.dim[1], 1};
	a.groups = 1;
	return build_conv(p->to, build_slice(p->to, p->in[0], 1, range), p->in[1], &a);
}

/* A shift before a padded convolution becomes a bias behind it, as if the border had it too. */
static inline struct node *naive_border(const struct place_of *p)
{
	if (p->old->op != OP_conv || p->in[0]->op != OP_add || !constant_of(p->in[0]->in[1]))
		return NULL;
	struct attr_conv inside = *p->old->attr.conv;
	const struct dim *dim[MAX_RANK];
	const struct type *w = &p->in[1]->type;
	int32_t r = w->rank;
	struct node *shift = p->to->nodes[constant_of(p->in[0]->in[1])->id];
	for (int32_t i = 0; i < r; i++)
		dim[i] = i > 1 ? w->dim[i] : shift->type.dim[i];
	for (int32_t i = 0; i < inside.spatial; i++)
		inside.before[i] = inside.after[i] = dim_const(p->to->context->dims, 0);
	if (!dim_is(dim[0], 1) || dim[1] != p->in[0]->type.dim[1])
		return NULL;
	struct node *bias =
			build_conv(p->to, build_broadcast(p->to, shift, r, dim), p->in[1], &inside);
	struct node *y = build_conv(p->to, p->in[0]->in[0], p->in[1], p->old->attr.conv);
	return build_binary(p->to, OP_add, y, bias);
}

/* ---- the table ---- */

#define MUTATION(name)                                                                             \
	{                                                                                          \
#name, name                                                                        \
	}
static const struct mutation {
	const char *name;
	mutation_function *apply;
} mutations[] = {
		MUTATION(epsilon_dropped),
		MUTATION(epsilon_of_another_layer),
		MUTATION(epsilon_outside),
		MUTATION(epsilon_inside),
		MUTATION(n_minus_one),
		MUTATION(mean_forgotten),
		MUTATION(mean_invented),
		MUTATION(one_axis_more),
		MUTATION(another_axis),
		MUTATION(length_for_deviation),
		MUTATION(deviation_for_length),
		MUTATION(training_ignored),
		MUTATION(gamma_forgotten),
		MUTATION(beta_forgotten),
		MUTATION(sign_changed),
		MUTATION(sign_ignored),
		MUTATION(bias_forgotten),
		MUTATION(scale_forgotten),
		MUTATION(scale_inverted),
		MUTATION(applied_twice),
		MUTATION(root_forgotten),
		MUTATION(slightly_off),
		MUTATION(doubled),
		MUTATION(first_forgotten),
		MUTATION(last_forgotten),
		MUTATION(off_by_one),
		MUTATION(backwards),
		MUTATION(channel_repeated),
		MUTATION(mixed_up),
		MUTATION(not_transposed),
		MUTATION(not_folded),
		MUTATION(subtracted),
		MUTATION(added),
		MUTATION(divided),
		MUTATION(multiplied),
		MUTATION(least),
		MUTATION(summed_for_greatest),
		MUTATION(greatest_for_least),
		MUTATION(tanh_for_erf),
		MUTATION(erf_for_tanh),
		MUTATION(pooled_sum),
		MUTATION(pooled_greatest),
		MUTATION(operands_swapped),
		MUTATION(left_out),
		MUTATION(second_left_out),
		MUTATION(axes_confused),
		MUTATION(slice_off_by_one),
		MUTATION(parts_in_wrong_order),
		MUTATION(softmax_of_another_axis),
		MUTATION(logarithm_forgotten),
		MUTATION(weights_not_transposed),
		MUTATION(padded_on_the_wrong_side),
		MUTATION(groups_ignored),
		MUTATION(naive_border),
};
enum { N_MUTATIONS = sizeof mutations / sizeof *mutations };

#endif
