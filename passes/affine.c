/* See affine.h. */
#include "affine.h"

#include "value.h"
#include "weights.h"

bool norm_is_given(const struct node *n)
{
	return n->op == OP_norm &&
	       (n->attr.norm->centre == NORM_CENTRE_NONE ||
		n->attr.norm->centre == NORM_CENTRE_GIVEN) &&
	       (n->attr.norm->scale == NORM_SCALE_NONE || n->attr.norm->scale == NORM_SCALE_GIVEN);
}

/* A parameter in f64, not repeated; NULL if it is not constant. */
static struct node *wide(struct graph *g, struct node *parameter)
{
	while (parameter->op == OP_broadcast)
		parameter = parameter->in[0];
	if (parameter->op != OP_constant || !elem_is_float(parameter->type.elem))
		return NULL;
	return parameter->type.elem == NORMC_F64
			       ? parameter
			       : weights_now(g, build_cast(g, parameter, NORMC_F64));
}

static struct node *binary(struct graph *g, enum op op, struct node *a, struct node *b)
{
	return a && b ? numbers_binary(g, op, a, b) : NULL;
}

/* What the norm divides by. */
static struct node *deviation(struct graph *g, const struct attr_norm *norm, struct node *variance)
{
	struct node *epsilon = build_number(g, NORMC_F64, norm->epsilon), *v = wide(g, variance);
	if (!v)
		return NULL;
	if (norm->epsilon_place == NORM_EPSILON_INSIDE) {
		v = numbers_binary(g, OP_add, v, epsilon);
		return v ? numbers_unary(g, OP_sqrt, v) : NULL;
	}
	v = numbers_unary(g, OP_sqrt, v);
	return binary(g, norm->epsilon_place == NORM_EPSILON_FLOOR ? OP_max : OP_add, v, epsilon);
}

bool norm_as_affine(struct graph *g, const struct node *norm, struct node *const *in,
		    struct node **scale, struct node **shift)
{
	const struct attr_norm *a = norm->attr.norm;
	uint32_t k = 1;
	bool ok = true;
	*scale = *shift = NULL;
	if (a->gamma) {
		*scale = wide(g, in[k++]);
		ok = *scale != NULL;
	}
	if (a->beta && ok) {
		*shift = wide(g, in[k++]);
		ok = *shift != NULL;
	}
	if (!ok)
		return false;
	struct node *mean = a->centre == NORM_CENTRE_GIVEN ? in[k++] : NULL;
	if (a->scale == NORM_SCALE_GIVEN) {
		*scale = binary(g, OP_div, *scale ? *scale : build_number(g, NORMC_F64, 1),
				deviation(g, a, in[k]));
		ok = *scale != NULL;
	}
	if (mean && ok) {
		mean = wide(g, mean);
		if (mean && *scale)
			mean = numbers_binary(g, OP_mul, mean, *scale);
		*shift = binary(g, OP_sub, *shift ? *shift : build_number(g, NORMC_F64, 0), mean);
		ok = *shift != NULL;
	}
	return ok;
}
