/* Norms that take statistics as operands become elementwise operations: no kernel computes them.
 *
 * Inference batch normalization is a scale and a shift, computed in fp64 and rounded once if its
 * parameters are constants.  Other passes fold most of them away before this one; this one always
 * runs.
 */
#include <string.h>

#include "affine.h"
#include "fold.h"
#include "pass.h"

/* The operands of a norm by name, in the element type that it computes in. */
static struct norm_operands operands_of(struct graph *g, const struct attr_norm *norm,
					struct node *const *in)
{
	enum normc_elem elem = in[0]->type.elem == NORMC_F64 ? NORMC_F64 : NORMC_F32;
	struct norm_operands o = {.x = build_cast(g, in[0], elem)};
	uint32_t k = 1;
	if (norm->gamma)
		o.gamma = build_cast(g, in[k++], elem);
	if (norm->beta)
		o.beta = build_cast(g, in[k++], elem);
	if (norm->centre == NORM_CENTRE_GIVEN)
		o.mean = build_cast(g, in[k++], elem);
	if (norm->scale == NORM_SCALE_GIVEN)
		o.variance = build_cast(g, in[k++], elem);
	return o;
}

/* x * scale + shift with constants */
static struct node *lower_constant(struct graph *g, const struct node *old, struct node *const *in)
{
	enum normc_elem elem = in[0]->type.elem == NORMC_F64 ? NORMC_F64 : NORMC_F32;
	struct node *scale, *shift, *y = build_cast(g, in[0], elem);
	if (!norm_as_affine(g, old, in, &scale, &shift))
		return NULL;
	if (scale)
		y = build_binary(g, OP_mul, y, fold_node(g, build_cast(g, scale, elem)));
	if (shift)
		y = build_binary(g, OP_add, y, fold_node(g, build_cast(g, shift, elem)));
	return build_cast(g, y, in[0]->type.elem);
}

/* gamma / deviation, on the small shapes of the parameters */
static struct node *scale_of(struct graph *g, const struct attr_norm *norm,
			     const struct norm_operands *o)
{
	enum normc_elem elem = o->x->type.elem;
	struct node *v = o->variance, *epsilon = build_number(g, elem, norm->epsilon);
	if (!v)
		return o->gamma;
	if (norm->epsilon_place == NORM_EPSILON_INSIDE)
		v = build_unary(g, OP_sqrt, build_binary(g, OP_add, v, epsilon));
	else
		v = build_binary(g, norm->epsilon_place == NORM_EPSILON_FLOOR ? OP_max : OP_add,
				 build_unary(g, OP_sqrt, v), epsilon);
	return build_binary(g, OP_div, o->gamma ? o->gamma : build_number(g, elem, 1), v);
}

/* A norm that takes only its centre: x - mean, and the norm without a centre. */
static struct node *lower_centre(struct graph *g, const struct attr_norm *norm,
				 const struct norm_operands *o)
{
	struct attr_norm attr;
	struct norm_operands rest = *o;
	memcpy(&attr, norm, sizeof attr);
	attr.centre = NORM_CENTRE_NONE;
	rest.x = build_binary(g, OP_sub, o->x, o->mean);
	return build_norm(g, rest, &attr);
}

/* A norm that takes only its scale computes its mean alone. */
static struct node *centred(struct graph *g, const struct attr_norm *norm, struct node *x)
{
	struct attr_norm attr = {
			.axes = norm->axes, .centre = NORM_CENTRE_MEAN, .scale = NORM_SCALE_NONE};
	return build_norm(g, (struct norm_operands){.x = x}, &attr);
}

static struct node *lower(struct graph *g, const struct node *old, struct node *const *in)
{
	const struct attr_norm *norm = old->attr.norm;
	struct node *y = norm_is_given(old) ? lower_constant(g, old, in) : NULL;
	if (y)
		return y;
	struct norm_operands o = operands_of(g, norm, in);
	if (o.mean && !norm_is_given(old))
		return build_cast(g, lower_centre(g, norm, &o), in[0]->type.elem);
	struct node *scale = scale_of(g, norm, &o);
	y = o.mean ? build_binary(g, OP_sub, o.x, o.mean) : o.x;
	if (norm->centre == NORM_CENTRE_MEAN)
		y = centred(g, norm, y);
	if (scale)
		y = build_binary(g, OP_mul, y, scale);
	if (o.beta)
		y = build_binary(g, OP_add, y, o.beta);
	return build_cast(g, y, in[0]->type.elem);
}

static struct node *given_rule(struct graph *to, const struct node *old, struct node *const *in,
			       void *user)
{
	struct pass *pass = user;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, pass, pass_given);
	if (old->op != OP_norm ||
	    !(norm_is_given(old) || old->attr.norm->centre == NORM_CENTRE_GIVEN ||
	      old->attr.norm->scale == NORM_SCALE_GIVEN))
		return NULL;
	for (uint32_t i = 0; i < old->n_in; i++)
		if (node_is_poison(in[i]))
			return in[i];
	to->at.via = pass->name;
	struct node *y = lower(to, old, in);
	to->at = old->loc;
	return y;
}

struct graph *pass_given(struct graph *g, struct pass *pass)
{
	return graph_rewrite(g, given_rule, pass);
}
