/* Sums that a following norm cancels: a norm that subtracts the mean over its axes does not see
 * what is added to its operand if that is the same along those axes (the bias of a convolution
 * before instance normalization or before batch normalization in training).  With
 * b uniform along the axes, x + b - mean(x + b) = x - mean(x).
 */
#include "axis.h"
#include "pass.h"

struct cancel {
	struct pass *pass;
};

static bool is_cancelled(const struct node *n, uint32_t axes)
{
	for (int32_t i = 0; i < n->type.rank; i++)
		if (axes >> i & 1 && !uniform_along(n, i))
			return false;
	return true;
}

/* Operand of a sum or difference that the norm cancels; -1: none. */
static int cancelled_operand(const struct node *x, uint32_t axes)
{
	if ((x->op == OP_add || x->op == OP_sub) && is_cancelled(x->in[1], axes))
		return 1;
	return x->op == OP_add && is_cancelled(x->in[0], axes) ? 0 : -1;
}

static struct node *without_sums(struct node *x, uint32_t axes)
{
	int k;
	while ((k = cancelled_operand(x, axes)) >= 0)
		x = x->in[1 - k];
	return x;
}

static struct node *cancel_rule(struct graph *to, const struct node *old, struct node *const *in,
				void *user)
{
	struct cancel *c = user;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, c->pass, pass_cancel);
	if (old->op != OP_norm || old->attr.norm->centre != NORM_CENTRE_MEAN)
		return NULL;
	struct node *x = without_sums(in[0], old->attr.norm->axes);
	if (x == in[0] || !pass_allows(c->pass))
		return NULL;
	to->at.via = c->pass->name;
	struct node **operands =
			arena_copy(to->context->arena, in, old->n_in * sizeof(struct node *));
	operands[0] = x;
	struct node *y = graph_node(to, OP_norm, operands, old->n_in, old->attr);
	pass_remark(to, c->pass, c->pass->name, old->loc, NULL);
	to->at = old->loc;
	return y;
}

struct graph *pass_cancel(struct graph *g, struct pass *pass)
{
	struct cancel c = {pass};
	return pass->strict ? g : graph_rewrite(g, cancel_rule, &c);
}
