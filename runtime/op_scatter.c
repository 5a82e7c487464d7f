/* Operators that take positions from a tensor: ScatterND, ScatterElements, GatherND, TensorScatter.
 * Positions count from the end if negative; one that is outside is an error. */
#include "operator.h"

enum { SET, ADD, MUL, MAX, MIN };

static int64_t combine_int(int64_t a, int64_t b, int64_t how, bool positive)
{
	bool less = positive ? (uint64_t)a < (uint64_t)b : a < b;

	switch (how) {
	case ADD:
		return (int64_t)((uint64_t)a + (uint64_t)b);
	case MUL:
		return (int64_t)((uint64_t)a * (uint64_t)b);
	case MAX:
		return less ? b : a;
	default:
		return less ? a : b;
	}
}

static double combine_float(double a, double b, int64_t how)
{
	switch (how) {
	case ADD:
		return a + b;
	case MUL:
		return a * b;
	case MAX:
		return isnan(a) || a > b ? a : b;
	default:
		return isnan(a) || a < b ? a : b;
	}
}

static void update(enum normc_elem elem, unsigned char *to, const unsigned char *from, int64_t how)
{
	if (how == SET)
		memcpy(to, from, (size_t)element_size(elem));
	else if (element_is_float(elem))
		element_store(elem, to,
			      combine_float(element_load(elem, to), element_load(elem, from), how));
	else
		element_store_int(elem, to,
				  combine_int(element_load_int(elem, to),
					      element_load_int(elem, from), how,
					      element_is_unsigned(elem)));
}

/* Reads the position of one entry of `indices`, whose last dimension holds coordinates of the
 * dimensions of `shape` from `first` on; `index` has all but that last dimension. */
static bool read_position(const struct normc_arg *indices, int64_t *index,
			  const struct normc_arg *shape, int64_t first, int64_t *position)
{
	int32_t last = indices->rank - 1;
	bool good = true;

	for (int64_t i = 0; i < indices->dim[last]; i++) {
		index[last] = i;
		position[first + i] = element_load_int(arg_elem(indices), arg_at(indices, index));
		good = index_wrap(&position[first + i], shape->dim[first + i]) && good;
	}
	index[last] = 0;
	return good;
}

/* ints: reduction */
int32_t normc_op_scatter_nd(const struct normc_call *call)
{
	const struct normc_arg *indices = &call->in[1], *updates = &call->in[2], *y = &call->out[0];
	int32_t last = indices->rank - 1, inner;
	int64_t depth = indices->dim[last], index[NORMC_MAX_RANK], from[NORMC_MAX_RANK];
	int64_t position[NORMC_MAX_RANK], dim[NORMC_MAX_RANK];

	arg_copy(y, &call->in[0]);
	inner = y->rank - (int32_t)depth;
	memcpy(dim, indices->dim, sizeof(dim));
	dim[last] = 1;
	if (arg_count(updates) == 0)
		return NORMC_OK;
	for (bool more = index_start(dim, last + 1, index); more;
	     more = index_next(dim, last + 1, index)) {
		if (!read_position(indices, index, y, 0, position))
			return NORMC_INVALID;
		memcpy(from, index, sizeof(from));
		for (bool in = index_start(y->dim + depth, inner, position + depth); in;
		     in = index_next(y->dim + depth, inner, position + depth)) {
			memcpy(from + last, position + depth, (size_t)inner * sizeof(*from));
			update(arg_elem(y), arg_at(y, position), arg_at(updates, from),
			       call->ints[0]);
		}
	}
	return NORMC_OK;
}

/* ints: axis, reduction */
int32_t normc_op_scatter_elements(const struct normc_call *call)
{
	const struct normc_arg *indices = &call->in[1], *updates = &call->in[2], *y = &call->out[0];
	int64_t axis = call->ints[0], index[NORMC_MAX_RANK];

	arg_copy(y, &call->in[0]);
	for (bool more = index_start(indices->dim, indices->rank, index); more;
	     more = index_next(indices->dim, indices->rank, index)) {
		const unsigned char *from = arg_at(updates, index);
		int64_t kept = index[axis];

		index[axis] = element_load_int(arg_elem(indices), arg_at(indices, index));
		if (!index_wrap(&index[axis], y->dim[axis]))
			return NORMC_INVALID;
		update(arg_elem(y), arg_at(y, index), from, call->ints[1]);
		index[axis] = kept;
	}
	return NORMC_OK;
}

/* ints: batch_dims */
int32_t normc_op_gather_nd(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *indices = &call->in[1], *y = &call->out[0];
	int64_t batch = call->ints[0], index[NORMC_MAX_RANK], from[NORMC_MAX_RANK];
	int32_t outer = indices->rank - 1, inner = y->rank - outer;
	int64_t position[NORMC_MAX_RANK];
	size_t size = (size_t)element_size(arg_elem(x));

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		memcpy(from, index, (size_t)outer * sizeof(*from));
		memcpy(position, index, (size_t)batch * sizeof(*position));
		if (!read_position(indices, from, x, batch, position))
			return NORMC_INVALID;
		memcpy(position + x->rank - inner, index + outer,
		       (size_t)inner * sizeof(*position));
		memcpy(arg_at(y, index), arg_at(x, position), size);
	}
	return NORMC_OK;
}

/* ints: axis, circular */
int32_t normc_op_tensor_scatter(const struct normc_call *call)
{
	const struct normc_arg *updates = &call->in[1], *y = &call->out[0];
	const struct normc_arg *starts = call_input(call, 2);
	int64_t axis = call->ints[0], extent = y->dim[axis], index[NORMC_MAX_RANK];
	size_t size = (size_t)element_size(arg_elem(y));

	arg_copy(y, &call->in[0]);
	for (bool more = index_start(updates->dim, updates->rank, index); more;
	     more = index_next(updates->dim, updates->rank, index)) {
		const unsigned char *from = arg_at(updates, index);
		int64_t kept = index[axis];
		int64_t start = starts ? element_load_int(arg_elem(starts), arg_at(starts, index))
				       : 0;

		if (start < 0 || start > INT64_MAX - kept || extent == 0)
			return NORMC_INVALID;
		index[axis] = call->ints[1] ? (start + kept) % extent : start + kept;
		if (index[axis] >= extent)
			return NORMC_INVALID;
		memcpy(arg_at(y, index), from, size);
		index[axis] = kept;
	}
	return NORMC_OK;
}
