/* QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear: scales and zero points for the whole
 * tensor, for each slice along an axis, or for blocks along an axis. */
#include "operator.h"

/* Address of the scale or zero point that belongs to an element. */
static const unsigned char *parameter_at(const struct normc_arg *p, const int64_t *index,
					 int64_t axis, int64_t block)
{
	int64_t at[NORMC_MAX_RANK];

	if (p->rank == 0 || arg_count(p) == 1)
		return p->data;
	if (!block)
		return arg_at(p, &index[axis]);
	memcpy(at, index, sizeof(at));
	at[axis] /= block;
	return arg_at(p, at);
}

/* x / scale rounded to the type of the division, then to the type of y. */
static void quantize(const struct normc_call *call, const int64_t *index)
{
	const struct normc_arg *x = &call->in[0], *scale = &call->in[1], *y = &call->out[0];
	const struct normc_arg *zero = call_input(call, 2);
	int64_t axis = call->ints[0], block = call->ints[1], offset = 0;
	enum normc_elem to = arg_elem(y), precision = (enum normc_elem)call->ints[3];
	double divisor = element_load(arg_elem(scale), parameter_at(scale, index, axis, block));
	double value = arg_load(x, index);

	precision = precision ? precision : arg_elem(scale);
	value = element_round_to(precision, value / divisor);
	if (element_is_float(to)) {
		if (zero && to == NORMC_F4E2M1)
			value += element_load(to, parameter_at(zero, index, axis, block));
		element_store_float(to, arg_at(y, index), value, call->ints[2] != 0);
		return;
	}
	if (zero)
		offset = element_load_int(arg_elem(zero), parameter_at(zero, index, axis, block));
	arg_store(y, index, rint(value) + (double)offset);
}

/* ints: axis, block_size, saturate, precision */
int32_t normc_op_quantize_linear(const struct normc_call *call)
{
	const struct normc_arg *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK] = {0};

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index))
		quantize(call, index);
	return NORMC_OK;
}

/* ints: axis, block_size */
int32_t normc_op_dequantize_linear(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *scale = &call->in[1], *y = &call->out[0];
	const struct normc_arg *zero = call_input(call, 2);
	int64_t axis = call->ints[0], block = call->ints[1], index[NORMC_MAX_RANK] = {0};

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		double factor = element_load(arg_elem(scale),
					     parameter_at(scale, index, axis, block));
		double value = arg_load(x, index);

		if (zero && !element_is_float(arg_elem(x)))
			value -= element_load(arg_elem(zero),
					      parameter_at(zero, index, axis, block));
		arg_store(y, index, (float)value * factor);
	}
	return NORMC_OK;
}

int32_t normc_op_dynamic_quantize_linear(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK];
	double low = 0, high = 0, zero;
	float scale;

	for (bool more = index_start(x->dim, x->rank, index); more;
	     more = index_next(x->dim, x->rank, index)) {
		double value = arg_load(x, index);

		low = fmin(low, value);
		high = fmax(high, value);
	}
	scale = high == low ? 1.0f / 255 : ((float)high - (float)low) / 255;
	zero = rint(fmin(fmax(0 - (float)low / scale, 0), 255));
	for (bool more = index_start(x->dim, x->rank, index); more;
	     more = index_next(x->dim, x->rank, index))
		arg_store(y, index, rint((float)arg_load(x, index) / scale) + zero);
	element_store(arg_elem(&call->out[1]), call->out[1].data, scale);
	element_store(arg_elem(&call->out[2]), call->out[2].data, zero);
	return NORMC_OK;
}
