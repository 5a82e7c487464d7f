/* What the operators of the long tail share: walking over strided tensors.  Shapes come from the
 * compiler and are trusted; whatever is read from tensors as an index is checked. */
#ifndef NORMC_OPERATOR_H
#define NORMC_OPERATOR_H

#include "element.h"
#include "module.h"
#include "ops.h"

static inline enum normc_elem arg_elem(const struct normc_arg *arg)
{
	return (enum normc_elem)arg->elem;
}

static inline int64_t arg_count(const struct normc_arg *arg)
{
	int64_t count = 1;

	for (int32_t i = 0; i < arg->rank; i++)
		count *= arg->dim[i];
	return count;
}

/* Address of the element at index[0..rank). */
static inline unsigned char *arg_at(const struct normc_arg *arg, const int64_t *index)
{
	int64_t offset = 0;

	for (int32_t i = 0; i < arg->rank; i++)
		offset += index[i] * arg->stride[i];
	return arg->data + offset * element_size(arg_elem(arg));
}

/* Address of element number `n` in row-major order. */
static inline unsigned char *arg_nth(const struct normc_arg *arg, int64_t n)
{
	int64_t offset = 0;

	for (int32_t i = arg->rank - 1; i >= 0 && n; i--) {
		offset += n % arg->dim[i] * arg->stride[i];
		n /= arg->dim[i];
	}
	return arg->data + offset * element_size(arg_elem(arg));
}

static inline double arg_load(const struct normc_arg *arg, const int64_t *index)
{
	return element_load(arg_elem(arg), arg_at(arg, index));
}

static inline void arg_store(const struct normc_arg *arg, const int64_t *index, double value)
{
	element_store(arg_elem(arg), arg_at(arg, index), value);
}

/* Input number `i`, or NULL if it is absent. */
static inline const struct normc_arg *call_input(const struct normc_call *call, int32_t i)
{
	return i < call->n_in && call->in[i].data ? &call->in[i] : NULL;
}

/* Walks over the indices below `dim` in row-major order:
 *	for (bool more = index_start(dim, rank, index); more; more = index_next(dim, rank, index))
*/
static inline bool index_start(const int64_t *dim, int32_t rank, int64_t *index)
{
	for (int32_t i = 0; i < rank; i++) {
		index[i] = 0;
		if (dim[i] <= 0)
			return false;
	}
	return true;
}

static inline bool index_next(const int64_t *dim, int32_t rank, int64_t *index)
{
	for (int32_t i = rank - 1; i >= 0; i--) {
		if (++index[i] < dim[i])
			return true;
		index[i] = 0;
	}
	return false;
}

/* Counts a negative index from the end; false if it is outside. */
static inline bool index_wrap(int64_t *index, int64_t extent)
{
	if (*index < 0)
		*index += extent;
	return *index >= 0 && *index < extent;
}

/* The shape without one dimension, for walks over all rows along it. */
static inline void shape_without(const struct normc_arg *arg, int64_t axis, int64_t *dim)
{
	memcpy(dim, arg->dim, sizeof(arg->dim));
	dim[axis] = dim[axis] > 0;
}

/* Copies all elements between tensors of one shape and type. */
void arg_copy(const struct normc_arg *to, const struct normc_arg *from);

/* Orders elements of one type as numbers; NaN is above all others and equal to NaN.  Negative, 0 or
 * positive like memcmp. */
int element_compare(enum normc_elem elem, const unsigned char *a, const unsigned char *b);

#endif
