/* Operators along one axis that depend on order: TopK, Hardmax, CumSum and CumProd,
 * ReverseSequence. */
#include "operator.h"

/* One row of the input of TopK. */
struct row {
	const unsigned char *data;
	int64_t step; /* bytes between elements */
	enum normc_elem elem;
	bool largest;
};

/* Element a comes before element b; the first of equal elements comes first. */
static bool before(const struct row *row, int64_t a, int64_t b)
{
	int order = element_compare(row->elem, row->data + a * row->step,
				    row->data + b * row->step);

	if (order == 0)
		return a < b;
	return row->largest ? order > 0 : order < 0;
}

/* Restores the heap, whose root is the last element in order, below position `at`. */
static void sift(const struct row *row, int64_t *heap, int64_t count, int64_t at)
{
	int64_t moved = heap[at];

	for (int64_t child = 2 * at + 1; child < count; child = 2 * at + 1) {
		if (child + 1 < count && before(row, heap[child], heap[child + 1]))
			child++;
		if (!before(row, moved, heap[child]))
			break;
		heap[at] = heap[child];
		at = child;
	}
	heap[at] = moved;
}

/* Writes the first k of n elements, in order, to `heap`. */
static void select_first(const struct row *row, int64_t *heap, int64_t k, int64_t n)
{
	for (int64_t i = 0; i < k; i++)
		heap[i] = i;
	for (int64_t i = k / 2; i-- > 0;)
		sift(row, heap, k, i);
	for (int64_t i = k; i < n; i++) {
		if (before(row, i, heap[0])) {
			heap[0] = i;
			sift(row, heap, k, 0);
		}
	}
	for (int64_t i = k; i-- > 1;) {
		int64_t last = heap[0];

		heap[0] = heap[i];
		heap[i] = last;
		sift(row, heap, i, 0);
	}
}

int64_t normc_op_topk_scratch(const struct normc_call *call)
{
	int64_t bytes, k = call->out[0].dim[call->ints[0]];

	return __builtin_mul_overflow(k, (int64_t)sizeof(int64_t), &bytes) ? -1 : bytes;
}

/* ints: axis, largest */
int32_t normc_op_topk(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *values = &call->out[0], *indices = &call->out[1];
	int64_t axis = call->ints[0], k = values->dim[axis], *heap = (int64_t *)call->scratch;
	int64_t dim[NORMC_MAX_RANK], index[NORMC_MAX_RANK], size = element_size(arg_elem(x));
	struct row row = {NULL, x->stride[axis] * size, arg_elem(x), call->ints[1] != 0};

	if (k > x->dim[axis])
		return NORMC_INVALID;
	shape_without(values, axis, dim);
	for (bool more = index_start(dim, x->rank, index); more;
	     more = index_next(dim, x->rank, index)) {
		row.data = arg_at(x, index);
		select_first(&row, heap, k, x->dim[axis]);
		for (int64_t i = 0; i < k; i++) {
			index[axis] = i;
			memcpy(arg_at(values, index), row.data + heap[i] * row.step, (size_t)size);
			element_store_int(arg_elem(indices), arg_at(indices, index), heap[i]);
		}
		index[axis] = 0;
	}
	return NORMC_OK;
}

/* ints: axis */
int32_t normc_op_hardmax(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t axis = call->ints[0], dim[NORMC_MAX_RANK], index[NORMC_MAX_RANK];

	shape_without(x, axis, dim);
	for (bool more = index_start(dim, x->rank, index); more;
	     more = index_next(dim, x->rank, index)) {
		const unsigned char *best = arg_at(x, index);
		int64_t winner = 0;

		for (int64_t i = 0; i < x->dim[axis]; i++) {
			index[axis] = i;
			arg_store(y, index, 0);
			if (element_compare(arg_elem(x), arg_at(x, index), best) > 0) {
				best = arg_at(x, index);
				winner = i;
			}
		}
		index[axis] = winner;
		arg_store(y, index, 1);
		index[axis] = 0;
	}
	return NORMC_OK;
}

/* Sum or product of integers, which wraps. */
static int64_t combine_int(int64_t a, int64_t b, bool product)
{
	return (int64_t)(product ? (uint64_t)a * (uint64_t)b : (uint64_t)a + (uint64_t)b);
}

/* Adds up one row; floating point rounds to the element's type at each step. */
static void accumulate(const struct normc_call *call, int64_t *index)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t axis = call->ints[0], n = x->dim[axis];
	bool exclusive = call->ints[1], reverse = call->ints[2], product = call->ints[3];
	enum normc_elem elem = arg_elem(x);
	double total = product;
	int64_t whole = product;

	for (int64_t i = 0; i < n; i++) {
		index[axis] = reverse ? n - 1 - i : i;
		if (exclusive) {
			if (element_is_float(elem))
				arg_store(y, index, total);
			else
				element_store_int(elem, arg_at(y, index), whole);
		}
		if (element_is_float(elem)) {
			double value = arg_load(x, index);

			total = element_round_to(elem, product ? total * value : total + value);
			if (!exclusive)
				arg_store(y, index, total);
		} else {
			whole = combine_int(whole, element_load_int(elem, arg_at(x, index)),
					    product);
			if (!exclusive)
				element_store_int(elem, arg_at(y, index), whole);
		}
	}
	index[axis] = 0;
}

/* ints: axis, exclusive, reverse, product */
int32_t normc_op_cumsum(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0];
	int64_t dim[NORMC_MAX_RANK], index[NORMC_MAX_RANK];

	shape_without(x, call->ints[0], dim);
	for (bool more = index_start(dim, x->rank, index); more;
	     more = index_next(dim, x->rank, index))
		accumulate(call, index);
	return NORMC_OK;
}

/* ints: batch axis, time axis */
int32_t normc_op_reverse_sequence(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *lengths = &call->in[1], *y = &call->out[0];
	int64_t batch = call->ints[0], time = call->ints[1], index[NORMC_MAX_RANK];
	size_t size = (size_t)element_size(arg_elem(x));

	for (bool more = index_start(x->dim, x->rank, index); more;
	     more = index_next(x->dim, x->rank, index)) {
		int64_t length =
				element_load_int(arg_elem(lengths), arg_at(lengths, &index[batch]));
		int64_t at = index[time];
		unsigned char *to = arg_at(y, index);

		if (length < 0 || length > x->dim[time])
			return NORMC_INVALID;
		if (at < length)
			index[time] = length - 1 - at;
		memcpy(to, arg_at(x, index), size);
		index[time] = at;
	}
	return NORMC_OK;
}
