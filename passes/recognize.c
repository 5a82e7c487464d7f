/* Normalization layers that are spelt out in elementwise operations and reductions become norms.
 *
 *	d = x - mean(x)                                 (or d = x: root mean square norms)
 *	y = d / sqrt(mean(d*d) + epsilon)               (or d * (1 / sqrt(...)), epsilon also
 * outside the root) y * gamma + beta
 *
 * Every detail must agree: the same axes for both means, the exponent 2, a divisor of the mean that
 * is the number of elements, a scalar constant epsilon, parameters that vary only along the
 * normalized axes.  Works on simplified graphs, where powers, double broadcasts and operand orders
 * have one form.
 */
#include <math.h>
#include <string.h>

#include "eval.h"
#include "pass.h"
#include "value.h"

struct recognize {
	struct pass *pass;
	const uint32_t *uses; /* by old id */
};

static struct node *unrepeated(struct node *n)
{
	return n->op == OP_broadcast ? n->in[0] : n;
}

/* Whether k, in n * k or n / k, makes a sum of `count` elements their mean. */
static bool divides_by(const struct node *n, double k, double count)
{
	return n->op == OP_div ? k == count : k == elem_round(n->type.elem, 1 / count);
}

/* n = mean of *a over *axes */
static bool is_mean(struct node *n, struct node **a, uint32_t *axes)
{
	double k, count = 1;
	if ((n->op != OP_div && n->op != OP_mul) || !splat_of(n->in[1], &k))
		return false;
	struct node *sum = unrepeated(n->in[0]);
	if (sum->op != OP_reduce_sum)
		return false;
	*a = sum->in[0];
	*axes = sum->attr.axes->mask;
	for (int32_t i = 0; i < (*a)->type.rank; i++)
		if (*axes >> i & 1)
			count *= (double)fixed_extent(&(*a)->type, i);
	return count > 0 && divides_by(n, k, count);
}

/* n = *d squared */
static bool is_square(struct node *n, struct node **d)
{
	double exponent;
	if (n->op != OP_mul && n->op != OP_pow)
		return false;
	*d = n->in[0];
	return n->op == OP_mul ? n->in[0] == n->in[1]
			       : splat_of(n->in[1], &exponent) && exponent == 2;
}

/* n = a + epsilon */
static bool is_plus_epsilon(struct node *n, struct node **a, double *epsilon)
{
	if (n->op != OP_add || !splat_of(n->in[1], epsilon) || !(*epsilon >= 0))
		return false;
	*a = n->in[0];
	return true;
}

/* n = root of the mean of *d squared, with epsilon */
static bool is_deviation(struct node *n, struct node **d, struct attr_norm *attr)
{
	struct node *root = n, *square;
	attr->epsilon_place = NORM_EPSILON_OUTSIDE;
	if (!is_plus_epsilon(n, &root, &attr->epsilon)) {
		root = n;
		attr->epsilon_place = NORM_EPSILON_INSIDE;
	}
	root = unrepeated(root);
	if (root->op != OP_sqrt)
		return false;
	struct node *mean = unrepeated(root->in[0]);
	if (attr->epsilon_place == NORM_EPSILON_INSIDE) {
		if (!is_plus_epsilon(mean, &mean, &attr->epsilon))
			return false;
		mean = unrepeated(mean);
	}
	return is_mean(mean, &square, &attr->axes) && is_square(square, d);
}

/* n = 1 / *a */
static bool is_inverse(struct node *n, struct node **a)
{
	double one;
	if (n->op != OP_div || !splat_of(n->in[0], &one) || one != 1)
		return false;
	*a = n->in[1];
	return true;
}

/* d = x - mean(x) over the same axes: returns x; otherwise d itself. */
static struct node *find_centre(struct node *d, struct attr_norm *attr)
{
	struct node *x;
	uint32_t axes;
	attr->centre = NORM_CENTRE_NONE;
	if (d->op != OP_sub || !is_mean(unrepeated(d->in[1]), &x, &axes) || x != d->in[0] ||
	    axes != attr->axes)
		return d;
	attr->centre = NORM_CENTRE_MEAN;
	return x;
}

/* The quotient of a value and its deviation. */
static struct node *recognize_quotient(struct graph *g, const struct node *old,
				       struct node *const *in)
{
	struct attr_norm attr;
	for (uint32_t k = 0; k < 2; k++) {
		struct node *d = in[1 - k], *s = unrepeated(in[k]), *squared;
		memset(&attr, 0, sizeof attr);
		if (old->op == OP_div ? k == 0 : !is_inverse(s, &s))
			continue;
		if (!is_deviation(unrepeated(s), &squared, &attr) || squared != d)
			continue;
		attr.scale = NORM_SCALE_RMS;
		struct node *x = find_centre(d, &attr);
		return build_norm(g, (struct norm_operands){.x = x}, &attr);
	}
	return NULL;
}

/* A constant that varies along the normalized axes only; with the rank of x. */
static struct node *parameter_of(struct node *n, uint32_t axes)
{
	struct node *p = unrepeated(n);
	if (p->op != OP_constant)
		return NULL;
	for (int32_t i = 0; i < p->type.rank; i++)
		if (!(axes >> i & 1) && !dim_is(p->type.dim[i], 1))
			return NULL;
	return p;
}

/* A product with gamma, or a sum with beta, behind a norm that nobody else reads. */
static struct node *recognize_parameter(const struct recognize *r, struct graph *g,
					const struct node *old, struct node *const *in)
{
	for (uint32_t k = 0; k < 2; k++) {
		struct node *norm = in[k];
		if (norm->op != OP_norm || r->uses[old->in[k]->id] != 1)
			continue;
		struct attr_norm attr;
		memcpy(&attr, norm->attr.norm, sizeof attr);
		struct node *p = parameter_of(in[1 - k], attr.axes);
		if (!p || attr.beta || attr.centre == NORM_CENTRE_GIVEN ||
		    attr.scale == NORM_SCALE_GIVEN || (old->op == OP_mul && attr.gamma))
			continue;
		if (old->op == OP_mul) {
			attr.gamma = true;
			return build_norm(g, (struct norm_operands){.x = norm->in[0], .gamma = p},
					  &attr);
		}
		attr.beta = true;
		return build_norm(g,
				  (struct norm_operands){.x = norm->in[0],
							 .gamma = attr.gamma ? norm->in[1] : NULL,
							 .beta = p},
				  &attr);
	}
	return NULL;
}

static struct node *recognize_rule(struct graph *to, const struct node *old, struct node *const *in,
				   void *user)
{
	struct recognize *r = user;
	struct node *n = NULL;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, r->pass, pass_recognize);
	if ((old->op != OP_div && old->op != OP_mul && old->op != OP_add) ||
	    !elem_is_float(old->type.elem))
		return NULL;
	if (node_is_poison(in[0]) || node_is_poison(in[1]))
		return NULL;
	to->at.via = r->pass->name;
	if (old->op != OP_add)
		n = recognize_quotient(to, old, in);
	if (!n && old->op != OP_div)
		n = recognize_parameter(r, to, old, in);
	to->at = old->loc;
	if (!n || !type_equal(&n->type, &old->type) || !pass_allows(r->pass))
		return NULL;
	pass_remark(to, r->pass, r->pass->name, old->loc, NULL);
	return n;
}

struct graph *pass_recognize(struct graph *g, struct pass *pass)
{
	struct recognize r = {.pass = pass, .uses = graph_uses(g, g->context->arena)};
	return pass->strict ? g : graph_rewrite(g, recognize_rule, &r);
}
