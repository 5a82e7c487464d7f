/* Strides: dense orders, and what views make of them. */
#include <string.h>

#include "lower.h"

struct order order_canonical(int32_t rank)
{
	struct order o = {{0}};
	for (int32_t i = 0; i < rank; i++)
		o.axis[i] = i;
	return o;
}

struct order order_channels_last(int32_t rank)
{
	struct order o = order_canonical(rank);
	for (int32_t i = 1; i + 1 < rank; i++)
		o.axis[i] = i + 1;
	if (rank > 1)
		o.axis[rank - 1] = 1;
	return o;
}

bool order_equal(const struct order *a, const struct order *b, int32_t rank)
{
	return !memcmp(a->axis, b->axis, (size_t)rank * sizeof a->axis[0]);
}

void order_strides(struct dims *dims, const struct type *type, const struct order *order,
		   const struct dim **stride)
{
	const struct dim *step = dim_const(dims, 1);
	for (int32_t i = type->rank; i-- > 0;) {
		stride[order->axis[i]] = step;
		step = dim_mul(dims, step, type->dim[order->axis[i]]);
	}
}

/* Dimensions other than 1, with their strides. */
struct spans {
	int32_t n;
	const struct dim *extent[MAX_RANK], *stride[MAX_RANK];
	int32_t axis[MAX_RANK];
};

/* Some of them, neighbours: [first, end). */
struct group {
	struct spans *spans;
	int32_t first, end;
};

static struct spans spans_of(const struct type *type, const struct dim *const *stride)
{
	struct spans s = {0};
	for (int32_t i = 0; i < type->rank; i++) {
		if (dim_is(type->dim[i], 1))
			continue;
		s.extent[s.n] = type->dim[i];
		s.stride[s.n] = stride ? stride[i] : NULL;
		s.axis[s.n++] = i;
	}
	return s;
}

/* Both groups hold the same number of elements: gives strides to the second. */
static bool split_group(struct dims *dims, struct group from, struct group to)
{
	const struct spans *f = from.spans;
	for (int32_t i = from.first; i + 1 < from.end; i++)
		if (f->stride[i] != dim_mul(dims, f->stride[i + 1], f->extent[i + 1]))
			return false;
	const struct dim *step = from.end > from.first ? f->stride[from.end - 1]
						       : dim_const(dims, 0);
	for (int32_t i = to.end; i-- > to.first;) {
		to.spans->stride[i] = step;
		step = dim_mul(dims, step, to.spans->extent[i]);
	}
	return true;
}

static bool multiple(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return dim_is(dim_mod(dims, a, b), 0);
}

bool reshape_strides(struct dims *dims, const struct type *from,
		     const struct dim *const *from_stride, const struct type *to,
		     const struct dim **to_stride)
{
	struct spans f = spans_of(from, from_stride), t = spans_of(to, NULL);
	const struct dim *zero = dim_const(dims, 0);
	int32_t i = 0, j = 0;
	while (i < f.n && j < t.n) {
		int32_t i0 = i, j0 = j;
		const struct dim *a = f.extent[i++], *b = t.extent[j++];
		while (a != b) {
			if (i < f.n && multiple(dims, b, a))
				a = dim_mul(dims, a, f.extent[i++]);
			else if (j < t.n && multiple(dims, a, b))
				b = dim_mul(dims, b, t.extent[j++]);
			else { /* no common boundary is known: all the rest is one group */
				i = f.n;
				j = t.n;
				break;
			}
		}
		if (!split_group(dims, (struct group){&f, i0, i}, (struct group){&t, j0, j}))
			return false;
	}
	if (i != f.n || j != t.n)
		return false; /* extents of 0, or unknown ones that only the run tells equal */
	for (int32_t k = 0; k < to->rank; k++)
		to_stride[k] = zero;
	for (int32_t k = 0; k < t.n; k++)
		to_stride[t.axis[k]] = t.stride[k];
	return true;
}

bool layout_dense(struct dims *dims, const struct type *type, const struct dim *const *stride)
{
	const struct dim *dense[MAX_RANK];
	type_strides(dims, type, dense);
	for (int32_t i = 0; i < type->rank; i++)
		if (stride[i] != dense[i] && !dim_is(type->dim[i], 1))
			return false;
	return true;
}

static void view_reshape(struct dims *dims, const struct node *view, struct layout *out,
			 const struct layout *in)
{
	const struct type *from = &view->in[0]->type, *to = &view->type;
	if (layout_dense(dims, from, in->stride)) {
		type_strides(dims, to, out->stride);
		return;
	}
	out->strided = reshape_strides(dims, from, in->stride, to, out->stride);
}

struct layout layout_view(struct dims *dims, const struct node *view, const struct layout *in)
{
	struct layout out = *in;
	out.order = order_canonical(view->type.rank);
	if (!in->strided)
		return out;
	for (int32_t i = 0; i < view->type.rank; i++) {
		switch (view->op) {
		case OP_transpose:
			out.stride[i] = in->stride[view->attr.perm->perm[i]];
			break;
		case OP_broadcast:
			if (dim_is(view->in[0]->type.dim[i], 1))
				out.stride[i] = dim_const(dims, 0);
			break;
		case OP_slice:
			out.offset = dim_add(
					dims, out.offset,
					dim_mul(dims, view->attr.slice->start[i], in->stride[i]));
			out.stride[i] = dim_mul(dims, in->stride[i],
						dim_const(dims, view->attr.slice->step[i]));
			break;
		default:
			break;
		}
	}
	if (view->op == OP_reshape)
		view_reshape(dims, view, &out, in);
	return out;
}

struct order order_choose(const struct node *n, const struct layout *const *in)
{
	int32_t rank = n->type.rank;
	if (n->op == OP_copy) {
		struct order o;
		memcpy(o.axis, n->attr.perm->perm, sizeof o.axis);
		return o;
	}
	enum op_kind kind = op_info[n->op].kind;
	if (kind == KIND_conv || kind == KIND_window)
		return order_channels_last(rank);
	if (kind == KIND_map || kind == KIND_reduce || kind == KIND_softmax || kind == KIND_norm ||
	    n->op == OP_concat || n->op == OP_pad)
		for (uint32_t i = 0; i < n->n_in; i++) {
			enum op_kind operand = op_info[n->in[i]->op].kind;
			if (n->in[i]->type.rank == rank && operand != KIND_source &&
			    operand != KIND_view)
				return in[i]->order;
		}
	return order_canonical(rank);
}

const struct node *output_base(const struct node *output)
{
	while (output->op == OP_reshape)
		output = output->in[0];
	return output;
}
