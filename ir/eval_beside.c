/* What the evaluations share that carry something beside each element. */
#include "eval_beside.h"

struct tensor beside_new(struct eval *e, const struct tensor *t)
{
	struct tensor made = *t;
	made.elem = NORMC_F64;
	made.bound = NULL;
	made.f = pool_take(e, (size_t)t->count, sizeof *made.f);
	return made;
}

bool beside_moved(struct eval *e, const struct node *n, const struct tensor *const *in,
		  struct tensor *out, eval_fn *move)
{
	bool indexed = n->op == OP_gather || n->op == OP_gather_elements;
	struct tensor to = *out, *shadow = pool_take(e, n->n_in, sizeof *shadow);
	const struct tensor **operand = pool_take(e, n->n_in, sizeof *operand);
	for (uint32_t k = 0; k < n->n_in; k++) {
		shadow[k] = *in[k];
		shadow[k].f = in[k]->bound;
		shadow[k].bound = NULL;
		operand[k] = indexed && k == 1 ? in[k] : &shadow[k];
	}
	to.f = out->bound;
	to.bound = NULL;
	bool ok = move(e, n, operand, &to);
	pool_give(e, operand);
	pool_give(e, shadow);
	return ok;
}

struct norm_given norm_given(const struct attr_norm *attr, const struct tensor *const *in)
{
	struct norm_given g = {0};
	struct given *all[] = {&g.gamma, &g.beta, &g.centre, &g.scale};
	const bool present[] = {attr->gamma, attr->beta, attr->centre == NORM_CENTRE_GIVEN,
				attr->scale == NORM_SCALE_GIVEN};
	uint32_t at = 1;
	for (int k = 0; k < 4; k++) {
		if (!present[k])
			continue;
		all[k]->t = in[at++];
		broadcast_strides_of(all[k]->t, all[k]->stride);
	}
	return g;
}

int64_t norm_sets(const struct tensor *x, uint32_t axes, int64_t *stride)
{
	struct tensor shape = *x;
	for (int32_t k = 0; k < shape.rank; k++)
		shape.dim[k] = axes >> k & 1 ? 1 : x->dim[k];
	strides_of(&shape, stride);
	for (int32_t k = 0; k < shape.rank; k++)
		if (axes >> k & 1)
			stride[k] = 0;
	return extent_product(&shape, 0, shape.rank);
}
