/* Conversion between any two element types, and what the other operators share. */
#include "operator.h"

void arg_copy(const struct normc_arg *to, const struct normc_arg *from)
{
	size_t size = (size_t)element_size(arg_elem(to));
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(to->dim, to->rank, index); more;
	     more = index_next(to->dim, to->rank, index))
		memcpy(arg_at(to, index), arg_at(from, index), size);
}

int element_compare(enum normc_elem elem, const unsigned char *a, const unsigned char *b)
{
	if (!element_is_float(elem)) {
		int64_t x = element_load_int(elem, a), y = element_load_int(elem, b);

		if (elem == NORMC_U64)
			return ((uint64_t)x > (uint64_t)y) - ((uint64_t)x < (uint64_t)y);
		return (x > y) - (x < y);
	}
	double x = element_load(elem, a), y = element_load(elem, b);

	if (isnan(x) || isnan(y))
		return (isnan(x) != 0) - (isnan(y) != 0);
	return (x > y) - (x < y);
}

/* Towards zero; what no integer of 64 bits can hold becomes the least one. */
static int64_t truncate(double value, bool positive)
{
	if (value > -element_power(63) && value < element_power(63))
		return (int64_t)value;
	if (positive && value >= element_power(63) && value < element_power(64))
		return (int64_t)(uint64_t)value;
	return INT64_MIN;
}

/* An integer as a double with its last bit set if something was lost, so that rounding it again to
 * a shorter format is right. */
static double widen(int64_t value, bool positive)
{
	bool negative = !positive && value < 0;
	uint64_t size = negative ? 0 - (uint64_t)value : (uint64_t)value;
	uint64_t lost = size >> 53 ? size & 0x7ff : 0;

	if (lost)
		size = (size - lost) | 0x800;
	return negative ? -(double)size : (double)size;
}

static void convert(enum normc_elem to, unsigned char *y, enum normc_elem from,
		    const unsigned char *x, bool saturate)
{
	bool positive = element_is_unsigned(from);

	if (to == NORMC_BOOL)
		*y = element_load(from, x) != 0;
	else if (element_is_float(to) && element_is_float(from))
		element_store_float(to, y, element_load(from, x), saturate);
	else if (to == NORMC_F64)
		element_store(to, y, element_load(from, x));
	else if (element_is_float(to))
		element_store_float(to, y, widen(element_load_int(from, x), positive), saturate);
	else if (element_is_float(from))
		element_store_int(to, y, truncate(element_load(from, x), to == NORMC_U64));
	else
		element_store_int(to, y, element_load_int(from, x));
}

/* ints: saturate, round of f8e8m0 if not up */
int32_t normc_op_cast(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	enum normc_elem from = arg_elem(x), to = arg_elem(y);
	bool saturate = call->ints[0] != 0;
	int64_t round = call->n_ints > 1 ? call->ints[1] : ELEMENT_ROUND_UP;
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		const unsigned char *at = arg_at(x, index);

		if (to == NORMC_F8E8M0)
			*arg_at(y, index) =
					element_encode_e8m0(element_load(from, at),
							    (enum element_round)round, saturate);
		else
			convert(to, arg_at(y, index), from, at, saturate);
	}
	return NORMC_OK;
}
