/* Layers that are spelt out in single operations become one operation, or the one composition that
 * stands for them.
 *
 *	recognize_norm.c	a value over its own deviation, with gamma and beta
 *	recognize_group.c	norms of groups of channels, through reshapes
 *	recognize_activation.c	GELU, SiLU, HardSwish
 *
 * Every detail must agree; what differs in one keeps its spelling.  Works on simplified graphs,
 * where powers, double broadcasts and operand orders have one form.
 */
#include "recognize.h"

#include <math.h>
#include <string.h>

#include "value.h"

bool recognize_number(struct graph *g, const struct node *n, struct number *number)
{
	const struct node *c = constant_of(n);
	if (!c || !elem_is_float(c->type.elem) || !type_fixed_count(&c->type))
		return false;
	const struct attr_data *data = c->attr.data;
	size_t size = normc_elem_size(data->type.elem);
	if (memcmp(data->p, (const char *)data->p + size, data->bytes - size) != 0)
		return false;
	number->value = constant_at(c, 0);
	number->residue = residue_of_real(number->value);
	const uint64_t *residue = data->residue ? constant_residues(g, c) : NULL;
	for (uint64_t i = 0; residue && i < data->bytes / size; i++)
		if (residue[i] != residue[0])
			return false;
	if (residue)
		number->residue = residue[0];
	return isfinite(number->value);
}

bool recognize_with(struct graph *g, const struct node *n, enum op op, struct node **a,
		    struct number *number)
{
	if (n->op != op)
		return false;
	for (int k = 1; k >= 0; k--)
		if (recognize_number(g, n->in[k], number)) {
			*a = n->in[1 - k];
			return true;
		}
	return false;
}

void recognize_rounded(struct graph *g)
{
	g->context->inexact = "recognize takes a rounded constant for the number next to it";
}

bool recognize_is(struct graph *g, struct number number, double value)
{
	if (number.value != value)
		return false;
	if (number.residue != residue_of_real(value))
		recognize_rounded(g);
	return true;
}

static struct node *recognize_binary(struct recognize *r, struct graph *to, const struct node *old,
				     struct node *const *in)
{
	struct node *n;
	if (old->op == OP_add || old->op == OP_sub)
		n = recognize_expanded(to, old, in);
	else
		n = recognize_quotient(r, to, old, in);
	if (!n)
		n = recognize_activation(r, to, old, in);
	if (old->op == OP_sub)
		return n;
	if (!n && old->op != OP_div)
		n = recognize_parameter(r, to, old, in);
	if (!n && old->op != OP_div)
		n = recognize_group_parameter(r, to, old, in);
	return n;
}

static struct node *recognize_rule(struct graph *to, const struct node *old, struct node *const *in,
				   void *user)
{
	struct recognize *r = user;
	struct node *n = NULL;
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, r->pass, pass_recognize);
	if (!elem_is_float(old->type.elem))
		return NULL;
	for (uint32_t i = 0; i < old->n_in; i++)
		if (node_is_poison(in[i]))
			return NULL;
	to->at.via = r->pass->name;
	r->missed = NULL;
	if (old->op == OP_div || old->op == OP_mul || old->op == OP_add || old->op == OP_sub)
		n = recognize_binary(r, to, old, in);
	else if (old->op == OP_reshape)
		n = recognize_group(r, to, old, in);
	to->at = old->loc;
	if (!n && r->missed)
		pass_remark(to, r->pass, r->pass->name, old->loc, r->missed);
	if (!n || !type_equal(&n->type, &old->type) || n == graph_clone(to, old, in) ||
	    !pass_allows(r->pass))
		return NULL;
	pass_remark(to, r->pass, r->pass->name, old->loc, NULL);
	return n;
}

struct graph *pass_recognize(struct graph *g, struct pass *pass)
{
	struct recognize r = {.pass = pass, .uses = graph_uses(g, g->context->arena)};
	return pass->strict ? g : graph_rewrite(g, recognize_rule, &r);
}
