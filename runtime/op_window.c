/* Operators that slide a window: MaxPool with indices, MaxUnpool, LRN, Col2Im. */
#include "operator.h"

/* A window over the spatial dimensions of x, which start at dimension 2. */
struct window {
	int32_t spatial;
	const int64_t *kernel, *stride, *dilation, *pad;
};

/* Input index of a tap of the window at an output index; false if that is padding. */
static bool tap_index(const struct window *w, const int64_t *out, const int64_t *tap,
		      const int64_t *dim, int64_t *in)
{
	for (int32_t d = 0; d < w->spatial; d++) {
		in[d] = out[d] * w->stride[d] - w->pad[d] + tap[d] * w->dilation[d];
		if (in[d] < 0 || in[d] >= dim[d])
			return false;
	}
	return true;
}

/* Position of x[index] in its tensor, row-major, or with the spatial dimensions column-major. */
static int64_t flat_index(const struct normc_arg *x, const int64_t *index, bool column_major)
{
	int64_t flat = index[0] * x->dim[1] + index[1], step = 1, within = 0;

	for (int32_t d = 2; d < x->rank; d++) {
		within = column_major ? within + index[d] * step : within * x->dim[d] + index[d];
		step *= x->dim[d];
	}
	return flat * step + within;
}

/* ints: storage_order, kernel, strides, dilations, pads at begin */
int32_t normc_op_max_pool(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0], *indices = &call->out[1];
	int32_t s = x->rank - 2;
	struct window w = {s, call->ints + 1, call->ints + 1 + s, call->ints + 1 + 2 * s,
			   call->ints + 1 + 3 * s};
	int64_t index[NORMC_MAX_RANK], from[NORMC_MAX_RANK], tap[NORMC_MAX_RANK];
	bool column_major = call->ints[0] != 0;

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		const unsigned char *best = NULL;
		int64_t where = -1;

		from[0] = index[0];
		from[1] = index[1];
		for (bool in = index_start(w.kernel, s, tap); in;
		     in = index_next(w.kernel, s, tap)) {
			if (!tap_index(&w, index + 2, tap, x->dim + 2, from + 2))
				continue;
			if (best && element_compare(arg_elem(x), arg_at(x, from), best) <= 0)
				continue;
			best = arg_at(x, from);
			where = flat_index(x, from, column_major);
		}
		if (best)
			memcpy(arg_at(y, index), best, (size_t)element_size(arg_elem(x)));
		else
			arg_store(y, index, 0);
		if (indices->data)
			element_store_int(arg_elem(indices), arg_at(indices, index), where);
	}
	return NORMC_OK;
}

/* Splits a position in a tensor of shape `dim` into an index. */
static void split_index(int64_t flat, const int64_t *dim, int32_t rank, int64_t *index)
{
	for (int32_t d = rank - 1; d >= 0; d--) {
		index[d] = flat % dim[d];
		flat /= dim[d];
	}
}

/* The indices count in the shape that undoes the pooling; a larger output has zeros behind it.
 * ints: kernel, strides, pads */
int32_t normc_op_max_unpool(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *indices = &call->in[1], *y = &call->out[0];
	const int64_t *ints = call->ints;
	int32_t s = x->rank - 2;
	int64_t dim[NORMC_MAX_RANK] = {x->dim[0], x->dim[1]}, index[NORMC_MAX_RANK], total = 1;

	for (int32_t d = 0; d < s; d++)
		dim[2 + d] = (x->dim[2 + d] - 1) * ints[s + d] - ints[2 * s + d] - ints[3 * s + d] +
			     ints[d];
	for (int32_t d = 0; d < x->rank; d++) {
		if (dim[d] < 0)
			return NORMC_INVALID;
		total *= dim[d];
	}
	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index))
		arg_store(y, index, 0);
	for (bool more = index_start(x->dim, x->rank, index); more;
	     more = index_next(x->dim, x->rank, index)) {
		int64_t to[NORMC_MAX_RANK];
		int64_t flat = element_load_int(arg_elem(indices), arg_at(indices, index));

		if (flat < 0 || flat >= total)
			return NORMC_INVALID;
		split_index(flat, dim, x->rank, to);
		for (int32_t d = 0; d < x->rank; d++) {
			if (to[d] >= y->dim[d])
				return NORMC_INVALID;
		}
		memcpy(arg_at(y, to), arg_at(x, index), (size_t)element_size(arg_elem(x)));
	}
	return NORMC_OK;
}

/* ints: size; floats: alpha, beta, bias */
int32_t normc_op_lrn(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t size = call->ints[0], index[NORMC_MAX_RANK], from[NORMC_MAX_RANK];

	for (bool more = index_start(x->dim, x->rank, index); more;
	     more = index_next(x->dim, x->rank, index)) {
		int64_t first = index[1] - (size - 1) / 2, last = index[1] + size / 2;
		double sum = 0, base;

		memcpy(from, index, sizeof(from));
		for (int64_t c = first < 0 ? 0 : first; c <= last && c < x->dim[1]; c++) {
			double value;

			from[1] = c;
			value = arg_load(x, from);
			sum += value * value;
		}
		base = call->floats[2] + call->floats[0] / (double)size * sum;
		arg_store(y, index, arg_load(x, index) / pow(base, call->floats[1]));
	}
	return NORMC_OK;
}

/* Sum of all elements of the columns that belong to image element y[index].  The window of each
 * column position is undone: a tap contributes if its position divides by the stride. */
static double gather_columns(const struct normc_call *call, const int64_t *index)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	const int64_t *block = call->ints;
	int32_t s = y->rank - 2;
	const int64_t *stride = block + s, *dilation = block + 2 * s, *pad = block + 3 * s;
	int64_t tap[NORMC_MAX_RANK], number = 0, taps = 1;
	double total = 0;

	for (int32_t d = 0; d < s; d++)
		taps *= block[d];
	for (bool more = index_start(block, s, tap); more;
	     more = index_next(block, s, tap), number++) {
		int64_t column = 0;
		bool hit = true;

		for (int32_t d = 0; d < s && hit; d++) {
			int64_t at = index[2 + d] + pad[d] - tap[d] * dilation[d];
			int64_t positions = (y->dim[2 + d] + pad[d] + pad[s + d] -
					     dilation[d] * (block[d] - 1) - 1) /
							    stride[d] +
					    1;

			hit = at >= 0 && at % stride[d] == 0 && at / stride[d] < positions;
			column = column * positions + at / stride[d];
		}
		if (hit && column < x->dim[2])
			total += arg_load(x,
					  (int64_t[]){index[0], index[1] * taps + number, column});
	}
	return total;
}

/* ints: block, strides, dilations, pads */
int32_t normc_op_col2im(const struct normc_call *call)
{
	const struct normc_arg *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index))
		arg_store(y, index, gather_columns(call, index));
	return NORMC_OK;
}
