/* Norms over groups of channels as GroupNormalization.
 *
 *	x [N, C, S...] -> [N, G, C/G, S...] -> norm over all but N and G
 *
 * is that operator followed by a reshape, which the reshape back to [N, C, S...] cancels.
 */
#include <string.h>

#include "export_state.h"

/* A parameter for each channel, [1, G, C/G, 1...], or the same for all. */
static bool is_channels(struct export *e, const struct node *p, const struct type *split)
{
	double number;
	for (int32_t i = 0; i < split->rank; i++) {
		bool channel = i == 1 || i == 2;
		if (channel ? p->type.dim[i] != split->dim[i] : !dim_is(p->type.dim[i], 1))
			return export_splat(e, p, &number);
	}
	return true;
}

/* Whether `split` is x with its channels in groups. */
static bool is_split(struct dims *dims, const struct type *x, const struct type *split)
{
	if (x->rank < 3 || split->rank != x->rank + 1 || split->dim[0] != x->dim[0] ||
	    !dim_is_const(split->dim[1]) || !dim_is_const(split->dim[2]) ||
	    dim_mul(dims, split->dim[1], split->dim[2]) != x->dim[1] || dim_is(x->dim[1], 0))
		return false;
	for (int32_t i = 2; i < x->rank; i++)
		if (x->dim[i] != split->dim[i + 1])
			return false;
	return true;
}

static bool is_group_norm(struct export *e, const struct node *norm)
{
	const struct attr_norm *a = norm->attr.norm;
	const struct type *split = &norm->type;
	if (norm->in[0]->op != OP_reshape ||
	    !is_split(e->context->dims, &norm->in[0]->in[0]->type, split))
		return false;
	if (a->axes != (((1u << split->rank) - 1) & ~3u) || a->centre != NORM_CENTRE_MEAN ||
	    a->scale != NORM_SCALE_RMS || a->epsilon_place != NORM_EPSILON_INSIDE || a->unbiased ||
	    split->elem == NORMC_F64) /* whose statistics would be kept in f32 */
		return false;
	for (uint32_t k = 1; k < norm->n_in; k++)
		if (!is_channels(e, export_unrepeated(norm->in[k]), split))
			return false;
	return true;
}

bool export_match_group(struct export *e, const struct node *n, struct export_plan *plan)
{
	const struct node *norm = n;
	if (n->op == OP_reshape && e->uses[n->in[0]->id] == 1)
		norm = n->in[0];
	if (norm->op != OP_norm || !is_group_norm(e, norm))
		return false;
	struct node *x = norm->in[0]->in[0];
	if ((n != norm && !type_same_shape(&x->type, &n->type)) || !export_allows(e, 21))
		return false;
	struct node **in = arena_new(e->arena, struct node *, norm->n_in);
	for (uint32_t k = 0; k < norm->n_in; k++)
		in[k] = k ? export_unrepeated(norm->in[k]) : x;
	plan->in = in;
	plan->n_in = norm->n_in;
	plan->anchor = norm;
	plan->write = export_group_norm;
	return true;
}

/* A parameter as a vector; NULL: it is not there. */
static const char *channels(struct export *e, const struct node *p, const struct type *x,
			    double neutral)
{
	const int64_t count = x->dim[1]->value;
	const struct type vector = {.elem = x->elem, .rank = 1, .dim = {x->dim[1]}};
	if (!p || export_splat(e, p, &neutral))
		return export_fill(e, x->elem, 1, &count, neutral);
	return p->op == OP_constant ? export_constant_as(e, p, 1, &count)
				    : export_reshaped(e, export_value(e, p), &p->type, &vector);
}

const char *export_group_norm(struct export *e)
{
	const struct node *norm = e->plan->anchor, *const *in = (const struct node *const *)
										e->plan->in;
	const struct attr_norm *a = norm->attr.norm;
	const struct type *x = &in[0]->type;
	const char *value = export_in(e, 0);
	const char *gamma = channels(e, a->gamma ? in[1] : NULL, x, 1);
	const char *beta = channels(e, a->beta ? in[a->gamma ? 2 : 1] : NULL, x, 0);
	Onnx__NodeProto *n = export_begin(e, "GroupNormalization");
	export_operand(e, n, value);
	export_operand(e, n, gamma);
	export_operand(e, n, beta);
	export_float(e, n, "epsilon", a->epsilon);
	export_int(e, n, "num_groups", norm->type.dim[1]->value);
	value = export_result(e, n);
	return e->node == norm ? export_reshaped(e, value, x, &norm->type) : value;
}
