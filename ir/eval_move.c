/* Views and movement: every element of the result is an element of an operand, found by index
 * arithmetic. */
#include <string.h>

#include "eval_op.h"

/* Moves `count` neighbouring elements, of either kind. */
static void move(struct tensor *out, int64_t to, const struct tensor *in, int64_t from,
		 int64_t count)
{
	if (count > 0)
		memcpy(&out->i[to], &in->i[from], (size_t)count * sizeof *out->i);
}

/* out[i0, i1, ..] = in[start + i0*stride[0] + i1*stride[1] + ..] */
static void copy_strided(struct tensor *out, const struct tensor *in, int64_t start,
			 const int64_t *stride)
{
	struct walk w = walk_over(out);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w))
		move(out, i, in, start + walk_offset(&w, stride), 1);
}

EVAL(reshape)
{
	if (in[0]->count != out->count)
		return eval_fail(e, n, "%lld elements cannot take a shape of %lld",
				 (long long)in[0]->count, (long long)out->count);
	tensor_copy(out, in[0]);
	return true;
}

EVAL(transpose)
{
	int64_t from[MAX_RANK], stride[MAX_RANK];
	strides_of(in[0], from);
	for (int32_t k = 0; k < out->rank; k++) {
		int32_t source = n->attr.perm->perm[k];
		if (out->dim[k] != in[0]->dim[source])
			return eval_fail(e, n, "transposed extents differ");
		stride[k] = from[source];
	}
	copy_strided(out, in[0], 0, stride);
	return true;
}

EVAL(broadcast)
{
	int64_t stride[MAX_RANK];
	broadcast_strides_of(in[0], stride);
	for (int32_t k = 0; k < out->rank; k++)
		if (in[0]->dim[k] != 1 && in[0]->dim[k] != out->dim[k])
			return eval_fail(e, n, "extent %lld cannot be broadcast to %lld",
					 (long long)in[0]->dim[k], (long long)out->dim[k]);
	copy_strided(out, in[0], 0, stride);
	return true;
}

/* Whether start, start + step, .. (count > 0 of them) all lie in [0, extent). */
static bool slice_fits(int64_t start, int64_t step, int64_t count, int64_t extent)
{
	int64_t last;
	if (__builtin_mul_overflow(step, count - 1, &last) ||
	    __builtin_add_overflow(last, start, &last))
		return false;
	return start >= 0 && start < extent && last >= 0 && last < extent;
}

EVAL(slice)
{
	const struct attr_slice *a = n->attr.slice;
	int64_t from[MAX_RANK], stride[MAX_RANK] = {0}, offset = 0;
	strides_of(in[0], from);
	for (int32_t k = 0; k < out->rank && out->count; k++) {
		int64_t start;
		if (!eval_dim(e, n, a->start[k], &start))
			return false;
		if (!slice_fits(start, a->step[k], out->dim[k], in[0]->dim[k]))
			return eval_fail(e, n,
					 "slice of %lld elements from %lld on exceeds extent %lld",
					 (long long)out->dim[k], (long long)start,
					 (long long)in[0]->dim[k]);
		offset += start * from[k];
		/* one element has no step, which may be a large number */
		stride[k] = out->dim[k] > 1 ? from[k] * a->step[k] : 0;
	}
	copy_strided(out, in[0], offset, stride);
	return true;
}

EVAL(concat)
{
	int32_t axis = n->attr.axis->axis;
	int64_t outer = extent_product(out, 0, axis),
		inner = extent_product(out, axis + 1, out->rank);
	int64_t at = 0; /* along the axis */
	for (uint32_t i = 0; i < n->n_in; i++) {
		struct tensor part = *out;
		part.dim[axis] = in[i]->dim[axis];
		if (!eval_same_shape(e, n, &part, in[i]))
			return false;
		if (in[i]->dim[axis] > out->dim[axis] - at)
			return eval_fail(e, n, "the parts exceed the result");
		int64_t row = in[i]->dim[axis] * inner;
		for (int64_t o = 0; o < outer; o++)
			move(out, (o * out->dim[axis] + at) * inner, in[i], o * row, row);
		at += in[i]->dim[axis];
	}
	return at == out->dim[axis] || eval_fail(e, n, "the parts do not fill the result");
}

/* ---- pad ---- */

/* Index arithmetic stays far from overflow. */
static const int64_t LARGEST_PAD = INT64_C(1) << 48;

/* Index `i` may lie outside [0, extent), extent > 0: the index whose element is taken, -1 for the
 * constant. */
static int64_t pad_index(enum pad_mode mode, int64_t i, int64_t extent)
{
	if (i >= 0 && i < extent)
		return i;
	switch (mode) {
	case PAD_CONSTANT:
		return -1;
	case PAD_EDGE:
		return i < 0 ? 0 : extent - 1;
	case PAD_WRAP:
		return (i % extent + extent) % extent;
	case PAD_REFLECT:
		break;
	}
	if (extent == 1)
		return 0;
	int64_t period = 2 * (extent - 1);
	i = (i % period + period) % period;
	return i < extent ? i : period - i;
}

/* The offset in the operand of the element at w->index, or -1 for the constant. */
static int64_t pad_offset(const struct walk *w, const struct tensor *in, const int64_t *before,
			  enum pad_mode mode)
{
	int64_t offset = 0;
	for (int32_t k = 0; k < w->rank; k++) {
		int64_t i = pad_index(mode, w->index[k] - before[k], in->dim[k]);
		if (i < 0)
			return -1;
		offset = offset * in->dim[k] + i;
	}
	return offset;
}

EVAL(pad)
{
	const struct attr_pad *a = n->attr.pad;
	int64_t before[MAX_RANK];
	for (int32_t k = 0; k < out->rank; k++) {
		if (!eval_dim(e, n, a->before[k], &before[k]))
			return false;
		if (before[k] > LARGEST_PAD || before[k] < -LARGEST_PAD)
			return eval_fail(e, n, "padding of %lld is out of range",
					 (long long)before[k]);
		if (in[0]->dim[k] == 0 && out->dim[k] && a->mode != PAD_CONSTANT)
			return eval_fail(e, n, "nothing to repeat along dimension %d", k);
	}
	struct walk w = walk_over(out);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w)) {
		int64_t from = pad_offset(&w, in[0], before, a->mode);
		if (from < 0)
			move(out, i, in[1], 0, 1);
		else
			move(out, i, in[0], from, 1);
	}
	return true;
}

/* ---- gather ---- */

/* An index counted from the start, where negative ones count from the end; -1 after a report if it
 * is out of range. */
static int64_t index_from_start(struct eval *e, const struct node *n, int64_t index, int64_t extent)
{
	if (index >= -extent && index < extent)
		return index < 0 ? index + extent : index;
	eval_fail(e, n, "index %lld is out of range for extent %lld", (long long)index,
		  (long long)extent);
	return -1;
}

EVAL(gather)
{
	const struct tensor *data = in[0], *index = in[1];
	int32_t axis = n->attr.axis->axis;
	int64_t outer = extent_product(data, 0, axis);
	int64_t inner = extent_product(data, axis + 1, data->rank);
	if (outer * index->count * inner != out->count)
		return eval_fail(e, n, "the gathered elements do not fill the result");
	for (int64_t k = 0; k < index->count && out->count; k++) {
		int64_t at = index_from_start(e, n, index->i[k], data->dim[axis]);
		if (at < 0)
			return false;
		for (int64_t o = 0; o < outer; o++)
			move(out, (o * index->count + k) * inner, data,
			     (o * data->dim[axis] + at) * inner, inner);
	}
	return true;
}

EVAL(gather_elements)
{
	const struct tensor *data = in[0], *index = in[1];
	int32_t axis = n->attr.axis->axis;
	int64_t stride[MAX_RANK];
	if (!eval_same_shape(e, n, out, index))
		return false;
	for (int32_t k = 0; k < data->rank; k++)
		if (k != axis && index->dim[k] > data->dim[k])
			return eval_fail(e, n, "the indices exceed the data along dimension %d", k);
	strides_of(data, stride);
	struct walk w = walk_over(out);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w)) {
		int64_t at = index_from_start(e, n, index->i[i], data->dim[axis]);
		if (at < 0)
			return false;
		move(out, i, data, walk_offset(&w, stride) + (at - w.index[axis]) * stride[axis],
		     1);
	}
	return true;
}
