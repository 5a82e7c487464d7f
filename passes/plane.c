/* Affine maps of planes: additions and multiplications by what is uniform along the plane, and
 * norms, which subtract one number from all of it and divide it by another that is positive.
 */
#include "plane.h"

#include <math.h>

#include "value.h"

/* More steps than any layer has. */
enum { MOST_STEPS = 16 };

/* n = s * in[k] + t on each plane. */
struct step {
	uint32_t k;
	struct node *factor; /* constant; has the sign of s, unless `negative`; NULL: positive */
	bool negative;
};

struct node *uniform_part(struct node *n, uint32_t axes)
{
	for (;; n = n->in[0]) {
		bool uniform = true;
		for (int32_t i = 0; i < n->type.rank; i++)
			uniform = uniform && (!(axes >> i & 1) || dim_is(n->type.dim[i], 1));
		if (uniform)
			return n;
		if (n->op != OP_broadcast)
			return NULL;
	}
}

static bool is_factor(struct node *n, uint32_t axes)
{
	double least, greatest;
	return uniform_part(n, axes) && magnitudes_of(n, &least, &greatest);
}

/* Whether the divisor of a norm is above 0 and one for the whole plane. */
static bool has_positive_scale(const struct node *n, struct node *variance, uint32_t axes)
{
	const struct attr_norm *a = n->attr.norm;
	const struct node *c;
	switch (a->scale) {
	case NORM_SCALE_NONE:
		return true;
	case NORM_SCALE_GIVEN:
		c = constant_of(variance);
		if (!c || !uniform_part(variance, axes) || !(a->epsilon >= 0))
			return false;
		for (int64_t i = 0; i < type_fixed_count(&c->type); i++)
			if (!(constant_at(c, i) >= 0 && constant_at(c, i) + a->epsilon > 0) ||
			    isinf(constant_at(c, i)))
				return false;
		return true;
	default:
		return !(axes & ~a->axes) && a->epsilon > 0;
	}
}

static bool norm_step(const struct node *n, uint32_t axes, struct step *s)
{
	const struct attr_norm *a = n->attr.norm;
	uint32_t k = 1;
	*s = (struct step){0};
	if (a->gamma)
		s->factor = n->in[k++];
	if (s->factor && !is_factor(s->factor, axes))
		return false;
	if (a->beta && !uniform_part(n->in[k++], axes))
		return false;
	if (a->centre == NORM_CENTRE_GIVEN && !uniform_part(n->in[k++], axes))
		return false;
	if (a->centre == NORM_CENTRE_MEAN && axes & ~a->axes)
		return false;
	return has_positive_scale(n, a->scale == NORM_SCALE_GIVEN ? n->in[k] : NULL, axes);
}

static bool step_of(const struct node *n, uint32_t axes, struct step *s)
{
	*s = (struct step){0};
	switch (n->op) {
	case OP_neg:
		s->negative = true;
		return true;
	case OP_add:
	case OP_sub:
		s->k = uniform_part(n->in[1], axes) ? 0 : 1;
		s->negative = n->op == OP_sub && s->k == 1;
		return uniform_part(n->in[1 - s->k], axes);
	case OP_mul:
		s->k = is_factor(n->in[1], axes) ? 0 : 1;
		s->factor = n->in[1 - s->k];
		return is_factor(s->factor, axes);
	case OP_div:
		s->factor = n->in[1];
		return is_factor(s->factor, axes);
	case OP_norm:
		return norm_step(n, axes, s);
	default:
		return false;
	}
}

/* Takes up the sign of a step. */
static void add_sign(struct graph *g, struct plane_map *map, const struct step *s, uint32_t axes)
{
	const struct node *c = s->factor ? constant_of(s->factor) : NULL;
	bool positive = true;
	for (int64_t i = 0; c && i < type_fixed_count(&c->type); i++) {
		positive = positive && constant_at(c, i) > 0;
		map->has_zero = map->has_zero || constant_at(c, i) == 0;
	}
	if (!positive) {
		struct node *sign = build_unary(g, OP_sign, uniform_part(s->factor, axes));
		map->sign = map->sign ? build_binary(g, OP_mul, map->sign, sign) : sign;
	}
	if (s->negative)
		map->sign = map->sign ? build_unary(g, OP_neg, map->sign)
				      : build_number(g, map->base->type.elem, -1);
}

struct plane_map plane_map_of(struct graph *g, struct node *n, uint32_t axes)
{
	struct plane_map map = {.base = n};
	struct step s;
	for (int i = 0; i < MOST_STEPS && step_of(map.base, axes, &s); i++) {
		add_sign(g, &map, &s, axes);
		map.base = map.base->in[s.k];
	}
	return map;
}

/* A norm with statistics of its own. */
static struct node *mean_of_norm(struct graph *g, struct node *n, uint32_t axes)
{
	const struct attr_norm *a = n->attr.norm;
	struct type t = n->type;
	if (a->centre != NORM_CENTRE_MEAN || a->axes != axes)
		return build_mean(g, n, axes, true);
	if (a->beta)
		return uniform_part(n->in[a->gamma ? 2 : 1], axes);
	for (int32_t i = 0; i < t.rank; i++)
		t.dim[i] = axes >> i & 1 ? dim_const(g->context->dims, 1) : t.dim[i];
	return build_splat(g, &t, 0);
}

/* The same step on the mean of the operand. */
struct node *plane_mean(struct graph *g, struct node *n, const struct node *base, uint32_t axes)
{
	struct step s;
	struct node *in[5];
	if (n == base || !step_of(n, axes, &s))
		return build_mean(g, n, axes, true);
	if (n->op == OP_norm && n->attr.norm->axes)
		return mean_of_norm(g, n, axes);
	for (uint32_t k = 0; k < n->n_in; k++)
		in[k] = k == s.k ? plane_mean(g, n->in[k], base, axes)
				 : uniform_part(n->in[k], axes);
	if (n->op == OP_norm)
		return graph_node(g, OP_norm, in, n->n_in, n->attr);
	return n->n_in == 1 ? build_unary(g, n->op, in[0]) : build_binary(g, n->op, in[0], in[1]);
}
