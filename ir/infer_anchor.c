/* Types of matrix products, windows, normalization, calls and regions. */
#include "infer.h"

/* ---- normalization ---- */

/* A parameter of a normalization has x's rank and in each dimension x's extent or 1. */
static bool norm_parameter(struct graph *g, const struct node *n, uint32_t k)
{
	const struct type *x = &n->in[0]->type, *t = &n->in[k]->type;
	if (!infer_class(g, n, k, CLASS_FLOAT))
		return false;
	bool fits = t->rank == x->rank;
	for (int32_t i = 0; fits && i < x->rank; i++) {
		const struct dim *extent = x->dim[i];
		fits = dim_is(t->dim[i], 1) || infer_same_extent(g, &extent, t->dim[i]);
	}
	return fits || infer_mismatch(g, n, 0, k);
}

bool shape_norm(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_norm *attr = n->attr.norm;
	uint32_t wants = 1u + attr->gamma + attr->beta + (attr->centre == NORM_CENTRE_GIVEN) +
			 (attr->scale == NORM_SCALE_GIVEN);
	bool computes = attr->centre == NORM_CENTRE_MEAN ||
			(attr->scale != NORM_SCALE_NONE && attr->scale != NORM_SCALE_GIVEN);
	if (n->n_in != wants)
		return infer_fail(g, n, "%u operands instead of %u", n->n_in, wants);
	if (!infer_class(g, n, 0, CLASS_FLOAT))
		return false;
	*type = n->in[0]->type;
	if (attr->axes >> type->rank || computes != (attr->axes != 0))
		return infer_fail(g, n, "axes 0x%x do not suit operand 0 of type %s", attr->axes,
				  infer_show(g, type).s);
	for (uint32_t k = 1; k < n->n_in; k++)
		if (!norm_parameter(g, n, k))
			return false;
	return true;
}

/* ---- products and windows ---- */

bool shape_matmul(struct graph *g, const struct node *n, struct type *type)
{
	const struct type *a = &n->in[0]->type, *b = &n->in[1]->type;
	int32_t rank = a->rank;
	if (!infer_class(g, n, 0, CLASS_NUMBER) || !infer_same_elements(g, n, 0))
		return false;
	if (rank < 2 || b->rank != rank)
		return infer_mismatch(g, n, 0, 1);
	*type = *a;
	for (int32_t i = 0; i < rank - 2; i++)
		if (!infer_same_extent(g, &type->dim[i], b->dim[i]))
			return infer_mismatch(g, n, 0, 1);
	const struct dim *inner = a->dim[rank - 1];
	if (!infer_same_extent(g, &inner, b->dim[rank - 2]))
		return infer_mismatch(g, n, 0, 1);
	type->dim[rank - 1] = b->dim[rank - 1];
	return true;
}

/* floor((size - reach) / stride) + 1: positions of a window that reaches over `reach` elements */
static const struct dim *positions_of(struct dims *dims, const struct dim *size,
				      const struct dim *reach, int64_t stride)
{
	const struct dim *last = dim_div(dims, dim_sub(dims, size, reach), dim_const(dims, stride));
	return dim_add(dims, last, dim_const(dims, 1));
}

/* dilation * (extent - 1) + 1 */
static const struct dim *dilated(struct dims *dims, const struct dim *extent, int64_t dilation)
{
	const struct dim *one = dim_const(dims, 1);
	return dim_add(dims, dim_mul(dims, dim_sub(dims, extent, one), dim_const(dims, dilation)),
		       one);
}

/* One spatial dimension of a convolution or pooling. */
struct window {
	const struct dim *size, *kernel, *before, *after;
	int64_t stride, dilation, x_dilation;
};

static const struct dim *window_positions(struct dims *dims, const struct window *w)
{
	const struct dim *size = dim_add(dims, dilated(dims, w->size, w->x_dilation),
					 dim_add(dims, w->before, w->after));
	return positions_of(dims, size, dilated(dims, w->kernel, w->dilation), w->stride);
}

/* Appends the positions of a window as dimension 2 + i of the result. */
static bool add_window(struct graph *g, const struct node *n, struct type *type, int32_t i,
		       const struct window *w)
{
	if (w->stride < 1 || w->dilation < 1 || w->x_dilation < 1 || w->kernel->low < 1)
		return infer_fail(g, n,
				  "kernel, stride or dilation of spatial dimension %d is not "
				  "positive",
				  i);
	const struct dim *positions = window_positions(g->context->dims, w);
	if (positions->high < 0)
		return infer_fail(g, n,
				  "the kernel exceeds spatial dimension %d of operand 0 of type %s",
				  i, infer_show(g, &n->in[0]->type).s);
	type->dim[2 + i] = positions;
	return true;
}

/* x is [n, c, s...] with `spatial` extents s. */
static bool spatial_operand(struct graph *g, const struct node *n, int32_t spatial, uint32_t k)
{
	if (spatial >= 1 && spatial <= MAX_SPATIAL && n->in[k]->type.rank == 2 + spatial)
		return true;
	return infer_fail(g, n, "operand %u of type %s does not have %d spatial dimensions", k,
			  infer_show(g, &n->in[k]->type).s, spatial);
}

bool shape_conv(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_conv *attr = n->attr.conv;
	const struct type *x = &n->in[0]->type, *w = &n->in[1]->type;
	struct dims *dims = g->context->dims;
	if (!infer_class(g, n, 0, CLASS_NUMBER) || !infer_same_elements(g, n, 0) ||
	    !spatial_operand(g, n, attr->spatial, 0) || !spatial_operand(g, n, attr->spatial, 1))
		return false;
	const struct dim *channels = x->dim[1], *groups = dim_const(dims, attr->groups);
	if (attr->groups < 1 || !infer_same_extent(g, &channels, dim_mul(dims, w->dim[1], groups)))
		return infer_fail(g, n,
				  "%lld groups of operand 1 of type %s do not fit operand 0 of "
				  "type %s",
				  (long long)attr->groups, infer_show(g, w).s, infer_show(g, x).s);
	if (dim_is_const(w->dim[0]) && w->dim[0]->value % attr->groups)
		return infer_fail(g, n, "%lld groups do not divide operand 1 of type %s",
				  (long long)attr->groups, infer_show(g, w).s);
	*type = *x;
	type->dim[1] = w->dim[0];
	for (int32_t i = 0; i < attr->spatial; i++) {
		struct window window = {x->dim[2 + i],	    w->dim[2 + i],   attr->before[i],
					attr->after[i],	    attr->stride[i], attr->dilation[i],
					attr->x_dilation[i]};
		/* an unknown kernel is not empty: there would be no filter */
		if (!dim_is_const(window.kernel))
			window.kernel = dim_max(dims, window.kernel, dim_const(dims, 1));
		if (!add_window(g, n, type, i, &window))
			return false;
	}
	return true;
}

bool shape_pool(struct graph *g, const struct node *n, struct type *type)
{
	const struct attr_pool *attr = n->attr.pool;
	const struct type *x = &n->in[0]->type;
	if (!infer_class(g, n, 0, CLASS_NUMBER) || !spatial_operand(g, n, attr->spatial, 0))
		return false;
	*type = *x;
	for (int32_t i = 0; i < attr->spatial; i++) {
		struct window window = {x->dim[2 + i],
					dim_const(g->context->dims, attr->kernel[i]),
					attr->before[i],
					attr->after[i],
					attr->stride[i],
					attr->dilation[i],
					1};
		if (!add_window(g, n, type, i, &window))
			return false;
	}
	return true;
}

/* ---- operations with several results ---- */

static void only_result(const struct type *out, uint32_t n, struct type *type)
{
	if (n == 1)
		*type = out[0];
}

bool shape_call(struct graph *g, const struct node *n, struct type *type)
{
	if (!n->attr.call->name || !n->attr.call->n_out)
		return infer_fail(g, n, "it has no name or no result");
	only_result(n->attr.call->out, n->attr.call->n_out, type);
	return true;
}

/* Same element type and rank, and no extents that are known to differ. */
static bool compatible(const struct type *a, const struct type *b)
{
	if (a->elem != b->elem || a->rank != b->rank)
		return false;
	for (int32_t i = 0; i < a->rank; i++)
		if (dim_is_const(a->dim[i]) && dim_is_const(b->dim[i]) && a->dim[i] != b->dim[i])
			return false;
	return true;
}

/* Input `at` of the region takes a value of this type. */
static bool region_takes(struct graph *g, const struct node *n, const struct graph *region,
			 uint32_t at, const struct type *type)
{
	if (at < region->n_inputs && compatible(&region->inputs[at]->type, type))
		return true;
	return infer_fail(g, n, "input %u of the region does not take a value of type %s", at,
			  infer_show(g, type).s);
}

static bool region_gives(struct graph *g, const struct node *n, const struct graph *region,
			 uint32_t at, const struct type *type)
{
	if (at < region->n_outputs &&
	    (node_is_poison(region->outputs[at]) || compatible(&region->outputs[at]->type, type)))
		return true;
	return infer_fail(g, n, "output %u of the region does not give a value of type %s", at,
			  infer_show(g, type).s);
}

static bool is_scalar(const struct type *type, enum normc_elem elem)
{
	return type->rank == 0 && type->elem == elem;
}

static bool shape_if(struct graph *g, const struct node *n)
{
	const struct attr_region *attr = n->attr.region;
	if (!n->n_in || !is_scalar(&n->in[0]->type, NORMC_BOOL) || !attr->region[0] ||
	    !attr->region[1])
		return infer_fail(g, n, "operand 0 must be bool[] and there must be two regions");
	for (int r = 0; r < 2; r++) {
		const struct graph *region = attr->region[r];
		if (region->n_inputs != n->n_in - 1 || region->n_outputs != attr->n_out)
			return infer_fail(g, n,
					  "region %d has %u inputs and %u outputs instead of %u "
					  "and %u",
					  r, region->n_inputs, region->n_outputs, n->n_in - 1,
					  attr->n_out);
		for (uint32_t i = 0; i < region->n_inputs; i++)
			if (!region_takes(g, n, region, i, &n->in[1 + i]->type))
				return false;
		for (uint32_t i = 0; i < attr->n_out; i++)
			if (!region_gives(g, n, region, i, &attr->out[i]))
				return false;
	}
	return true;
}

/* The type of one slice of a scanned result. */
static struct type scanned(const struct type *all)
{
	struct type one = {.elem = all->elem, .rank = all->rank - 1};
	for (int32_t i = 0; i < one.rank; i++)
		one.dim[i] = all->dim[i + 1];
	return one;
}

static bool shape_loop(struct graph *g, const struct node *n)
{
	const struct attr_region *attr = n->attr.region;
	const struct graph *body = attr->region[0];
	const struct type trip = {.elem = NORMC_I64}, condition = {.elem = NORMC_BOOL};
	if (n->n_in < 2 || !is_scalar(&n->in[0]->type, NORMC_I64) ||
	    !is_scalar(&n->in[1]->type, NORMC_BOOL) || !body)
		return infer_fail(g, n,
				  "operands 0 and 1 must be i64[] and bool[], and there must be a "
				  "region");
	if (body->n_inputs != n->n_in || body->n_outputs != attr->n_out + 1 ||
	    attr->n_carried > attr->n_out || attr->n_carried > n->n_in - 2)
		return infer_fail(g, n,
				  "the region has %u inputs and %u outputs instead of %u and %u",
				  body->n_inputs, body->n_outputs, n->n_in, attr->n_out + 1);
	if (!region_takes(g, n, body, 0, &trip) || !region_takes(g, n, body, 1, &condition) ||
	    !region_gives(g, n, body, 0, &condition))
		return false;
	for (uint32_t i = 2; i < n->n_in; i++)
		if (!region_takes(g, n, body, i, &n->in[i]->type))
			return false;
	for (uint32_t i = 0; i < attr->n_out; i++) {
		bool stacked = i >= attr->n_carried;
		struct type one = stacked ? scanned(&attr->out[i]) : attr->out[i];
		if (stacked && attr->out[i].rank < 1)
			return infer_fail(g, n,
					  "scanned result %u has no dimension for the iterations",
					  i);
		if (!region_gives(g, n, body, i + 1, &one))
			return false;
	}
	return true;
}

bool shape_region(struct graph *g, const struct node *n, struct type *type)
{
	if (!(n->op == OP_if ? shape_if(g, n) : shape_loop(g, n)))
		return false;
	only_result(n->attr.region->out, n->attr.region->n_out, type);
	return true;
}

bool shape_part(struct graph *g, const struct node *n, struct type *type)
{
	const struct node *a = n->in[0];
	bool several = a->op == OP_call || op_info[a->op].kind == KIND_region;
	if (!several || n->attr.part->index >= node_n_results(a))
		return infer_fail(g, n, "operand 0 has no result %u", n->attr.part->index);
	*type = *node_result(a, n->attr.part->index);
	return true;
}
