/* Convolution and matrix product of quantized tensors: exact sums in 32-bit integers (which wrap),
 * then for the QLinear operators one rescaling. */
#include "operator.h"

/* An operand of a product: its elements less its zero point. */
struct operand {
	const struct normc_arg *data, *zero, *scale; /* zero and scale may be NULL */
};

/* Number `n` of a scale or zero point for each channel, or the only one. */
static const unsigned char *channel_at(const struct normc_arg *p, int64_t n)
{
	return p->rank == 0 || arg_count(p) == 1 ? p->data : arg_nth(p, n);
}

static int64_t load_zero(const struct normc_arg *zero, int64_t channel)
{
	return zero ? element_load_int(arg_elem(zero), channel_at(zero, channel)) : 0;
}

/* What a product is scaled by: computed in float, as the scales are. */
static float rescale(double a, double b, double y)
{
	return (float)a * (float)b / (float)y;
}

/* Sum of one output element of a convolution. */
static uint32_t convolve(const struct operand *x, const struct operand *w, const int64_t *ints,
			 const int64_t *index)
{
	int32_t s = x->data->rank - 2;
	const int64_t *stride = ints + 1, *dilation = stride + s, *pad = dilation + s;
	int64_t channels = w->data->dim[1], tap[NORMC_MAX_RANK], from[NORMC_MAX_RANK];
	int64_t first = index[1] / (w->data->dim[0] / ints[0]) * channels;
	int64_t x_zero = load_zero(x->zero, 0), w_zero = load_zero(w->zero, index[1]);
	uint32_t total = 0;

	from[0] = index[0];
	tap[0] = index[1];
	for (bool more = index_start(w->data->dim + 1, s + 1, tap + 1); more;
	     more = index_next(w->data->dim + 1, s + 1, tap + 1)) {
		int64_t value;
		bool inside = true;

		from[1] = first + tap[1];
		for (int32_t d = 0; d < s; d++) {
			from[2 + d] = index[2 + d] * stride[d] - pad[d] + tap[2 + d] * dilation[d];
			inside = inside && from[2 + d] >= 0 && from[2 + d] < x->data->dim[2 + d];
		}
		if (!inside)
			continue;
		value = element_load_int(arg_elem(x->data), arg_at(x->data, from)) - x_zero;
		value *= element_load_int(arg_elem(w->data), arg_at(w->data, tap)) - w_zero;
		total += (uint32_t)value;
	}
	return total;
}

/* ints: group, strides, dilations, pads at begin */
int32_t normc_op_conv_integer(const struct normc_call *call)
{
	struct operand x = {&call->in[0], call_input(call, 2), NULL};
	struct operand w = {&call->in[1], call_input(call, 3), NULL};
	const struct normc_arg *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index))
		element_store_int(arg_elem(y), arg_at(y, index),
				  (int32_t)convolve(&x, &w, call->ints, index));
	return NORMC_OK;
}

/* ints: as conv_integer */
int32_t normc_op_qlinear_conv(const struct normc_call *call)
{
	struct operand x = {&call->in[0], call_input(call, 2), call_input(call, 1)};
	struct operand w = {&call->in[3], call_input(call, 5), call_input(call, 4)};
	const struct normc_arg *y = &call->out[0], *scale = &call->in[6],
			       *bias = call_input(call, 8);
	int64_t index[NORMC_MAX_RANK], zero = load_zero(call_input(call, 7), 0);

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		uint32_t sum = convolve(&x, &w, call->ints, index);
		double factor = rescale(
				element_load(arg_elem(x.scale), channel_at(x.scale, 0)),
				element_load(arg_elem(w.scale), channel_at(w.scale, index[1])),
				element_load(arg_elem(scale), channel_at(scale, 0)));

		if (bias)
			sum += (uint32_t)element_load_int(arg_elem(bias), arg_at(bias, &index[1]));
		arg_store(y, index, (int32_t)sum * factor + (double)zero);
	}
	return NORMC_OK;
}

/* Address of an operand's element for a row (or column) of the result and position k: its leading
 * dimensions are those of the result, counted from the end, or 1. */
static const unsigned char *broadcast_at(const struct normc_arg *arg, const int64_t *index,
					 int32_t rank, const int64_t *last)
{
	int64_t at[NORMC_MAX_RANK];
	int32_t outer = arg->rank - 2;

	for (int32_t d = 0; d < outer; d++)
		at[d] = arg->dim[d] == 1 ? 0 : index[rank - arg->rank + d];
	at[outer] = arg->dim[outer] == 1 ? 0 : last[0];
	at[outer + 1] = arg->dim[outer + 1] == 1 ? 0 : last[1];
	return arg_at(arg, at);
}

/* The scale or zero point for y[index]: one for all, one for each row (or column), or broadcast. */
static const unsigned char *parameter_at(const struct normc_arg *p, const int64_t *index,
					 int32_t rank, bool row)
{
	int64_t last[2] = {row ? index[rank - 2] : 0, row ? 0 : index[rank - 1]};

	if (p->rank < 2)
		return channel_at(p, row ? last[0] : last[1]);
	return broadcast_at(p, index, rank, last);
}

/* Sum of one element of a matrix product. */
static uint32_t multiply(const struct operand *a, const struct operand *b,
			 const struct normc_arg *y, const int64_t *index)
{
	int32_t rank = y->rank;
	int64_t a_zero = 0, b_zero = 0, depth = a->data->dim[a->data->rank - 1];
	uint32_t total = 0;

	if (a->zero)
		a_zero = element_load_int(arg_elem(a->zero),
					  parameter_at(a->zero, index, rank, true));
	if (b->zero)
		b_zero = element_load_int(arg_elem(b->zero),
					  parameter_at(b->zero, index, rank, false));
	for (int64_t k = 0; k < depth; k++) {
		int64_t at_a[2] = {index[rank - 2], k}, at_b[2] = {k, index[rank - 1]};
		int64_t value = element_load_int(arg_elem(a->data),
						 broadcast_at(a->data, index, rank, at_a));

		value -= a_zero;
		value *= element_load_int(arg_elem(b->data),
					  broadcast_at(b->data, index, rank, at_b)) -
			 b_zero;
		total += (uint32_t)value;
	}
	return total;
}

int32_t normc_op_matmul_integer(const struct normc_call *call)
{
	struct operand a = {&call->in[0], call_input(call, 2), NULL};
	struct operand b = {&call->in[1], call_input(call, 3), NULL};
	const struct normc_arg *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index))
		element_store_int(arg_elem(y), arg_at(y, index),
				  (int32_t)multiply(&a, &b, y, index));
	return NORMC_OK;
}

static double load_parameter(const struct normc_arg *p, const int64_t *index, int32_t rank,
			     bool row)
{
	return element_load(arg_elem(p), parameter_at(p, index, rank, row));
}

int32_t normc_op_qlinear_matmul(const struct normc_call *call)
{
	struct operand a = {&call->in[0], call_input(call, 2), &call->in[1]};
	struct operand b = {&call->in[3], call_input(call, 5), &call->in[4]};
	const struct normc_arg *y = &call->out[0], *scale = &call->in[6],
			       *zero = call_input(call, 7);
	int64_t index[NORMC_MAX_RANK];
	int32_t rank = y->rank;

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		double factor = rescale(load_parameter(a.scale, index, rank, true),
					load_parameter(b.scale, index, rank, false),
					load_parameter(scale, index, rank, true));
		double offset = zero ? load_parameter(zero, index, rank, true) : 0;

		arg_store(y, index, (int32_t)multiply(&a, &b, y, index) * factor + offset);
	}
	return NORMC_OK;
}
