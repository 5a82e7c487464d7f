/* Sampling at real coordinates: GridSample in any number of dimensions and DeformConv in two. */
#include "operator.h"

enum { LINEAR, NEAREST, CUBIC };
enum { ZEROS, BORDER, REFLECTION };

#define FAR 1e9 /* beyond every tensor, and safe to convert to an integer */

struct sampler {
	const struct normc_arg *x;
	int64_t mode, padding;
	bool align_corners;
};

/* Mirrors a coordinate at both borders until it lies between them. */
static double reflect(double x, double low, double high)
{
	double range = high - low, past, periods;

	if (range <= 0)
		return low < 0 ? 0 : low;
	if (x >= low && x <= high)
		return x;
	past = x < low ? low - x : x - high;
	periods = floor(past / range);
	past -= periods * range;
	if ((x < low) == (fmod(periods, 2) == 0))
		return low + past;
	return high - past;
}

/* The coordinate in elements of a normalized one; padding modes bring it inside. */
static double locate(const struct sampler *s, double normalized, int64_t extent)
{
	double n = (double)extent, low = s->align_corners ? 0 : -0.5;
	double high = s->align_corners ? n - 1 : n - 0.5;
	double x = s->align_corners ? (normalized + 1) / 2 * (n - 1)
				    : ((normalized + 1) * n - 1) / 2;

	x = (float)fmin(fmax(x, -FAR), FAR);
	if (s->mode == NEAREST)
		x = rint(x);
	if (x >= low && x <= high)
		return x;
	if (s->padding == BORDER)
		return fmin(fmax(x, 0), n - 1);
	return s->padding == REFLECTION ? reflect(x, low, high) : x;
}

/* The element that stands at index `i` of a dimension; -1 if that is a zero. */
static int64_t pad_index(const struct sampler *s, int64_t i, int64_t extent)
{
	double low = s->align_corners ? 0 : -0.5;

	if (i >= 0 && i < extent)
		return i;
	if (s->padding == ZEROS)
		return -1;
	if (s->padding == REFLECTION)
		i = (int64_t)reflect((double)i, low, (double)extent - 1 - low);
	return i < 0 ? 0 : i >= extent ? extent - 1 : i;
}

/* Weights of the taps around a coordinate with this fraction; the first tap is returned relative to
 * the element below the coordinate, the number of taps in *count. */
static int64_t taps(int64_t mode, double f, double *w, int32_t *count)
{
	static const double a = -0.75;
	double g = 1 - f;

	if (mode == NEAREST) {
		*count = 1;
		w[0] = 1;
		return 0;
	}
	if (mode == LINEAR) {
		*count = 2;
		w[0] = g;
		w[1] = f;
		return 0;
	}
	*count = 4;
	w[0] = ((a * (f + 1) - 5 * a) * (f + 1) + 8 * a) * (f + 1) - 4 * a;
	w[1] = ((a + 2) * f - (a + 3)) * f * f + 1;
	w[2] = ((a + 2) * g - (a + 3)) * g * g + 1;
	w[3] = ((a * (g + 1) - 5 * a) * (g + 1) + 8 * a) * (g + 1) - 4 * a;
	return -1;
}

/* The sample at `at`, one coordinate for each dimension from d on. */
static double sample(const struct sampler *s, int32_t d, const double *at,
		     const unsigned char *data)
{
	enum normc_elem elem = arg_elem(s->x);
	double w[4], base, total = 0;
	int32_t count;
	int64_t first;

	if (d == s->x->rank)
		return element_load(elem, data);
	base = floor(*at);
	first = (int64_t)base + taps(s->mode, *at - base, w, &count);
	for (int32_t t = 0; t < count; t++) {
		int64_t i = pad_index(s, first + t, s->x->dim[d]);

		if (i >= 0 && w[t] != 0)
			total += w[t] * sample(s, d + 1, at + 1,
					       data + i * s->x->stride[d] * element_size(elem));
	}
	return total;
}

/* ints: mode, padding, align_corners */
int32_t normc_op_grid_sample(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *grid = &call->in[1], *y = &call->out[0];
	struct sampler s = {x, call->ints[0], call->ints[1], call->ints[2] != 0};
	int64_t index[NORMC_MAX_RANK], from[NORMC_MAX_RANK], size = element_size(arg_elem(x));
	int32_t spatial = x->rank - 2;
	double at[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		from[0] = index[0];
		memcpy(from + 1, index + 2, (size_t)spatial * sizeof(*from));
		for (int32_t d = 0; d < spatial; d++) {
			if (x->dim[2 + d] == 0)
				return NORMC_INVALID;
			from[grid->rank - 1] = spatial - 1 - d; /* the last dimension comes first */
			at[d] = locate(&s, arg_load(grid, from), x->dim[2 + d]);
		}
		arg_store(y, index,
			  sample(&s, 2, at,
				 x->data + (index[0] * x->stride[0] + index[1] * x->stride[1]) *
								 size));
	}
	return NORMC_OK;
}

struct deform {
	const struct normc_arg *x, *w, *offset, *bias, *mask, *y;
	int64_t group, offset_group;
	const int64_t *stride, *dilation, *pad;
};

/* What kernel position (p, q) adds to y[index], over the channels of one group. */
static double deform_tap(const struct deform *c, const int64_t *index, int64_t p, int64_t q)
{
	int64_t channels = c->w->dim[1], per_offset = c->x->dim[1] / c->offset_group;
	int64_t first = index[1] / (c->w->dim[0] / c->group) * channels;
	int64_t taps_2d = c->w->dim[2] * c->w->dim[3], tap = p * c->w->dim[3] + q;
	struct sampler s = {c->x, LINEAR, ZEROS, true};
	int64_t size = element_size(arg_elem(c->x));
	double total = 0;

	for (int64_t i = 0; i < channels; i++) {
		int64_t position = (first + i) / per_offset * taps_2d + tap;
		int64_t where[4] = {index[0], 2 * position, index[2], index[3]};
		double at[2], value;

		at[0] = (double)(index[2] * c->stride[0] - c->pad[0] + p * c->dilation[0]);
		at[1] = (double)(index[3] * c->stride[1] - c->pad[1] + q * c->dilation[1]);
		at[0] += arg_load(c->offset, where);
		where[1]++;
		at[1] += arg_load(c->offset, where);
		at[0] = fmin(fmax(at[0], -FAR), FAR);
		at[1] = fmin(fmax(at[1], -FAR), FAR);
		value = sample(&s, 2, at,
			       c->x->data + (index[0] * c->x->stride[0] +
					     (first + i) * c->x->stride[1]) *
							       size);
		if (c->mask) {
			where[1] = position;
			value *= arg_load(c->mask, where);
		}
		total += value * arg_load(c->w, (int64_t[]){index[1], i, p, q});
	}
	return total;
}

/* ints: group, offset_group, strides, dilations, pads at begin */
int32_t normc_op_deform_conv(const struct normc_call *call)
{
	const int64_t *ints = call->ints;
	struct deform c = {&call->in[0],
			   &call->in[1],
			   &call->in[2],
			   call_input(call, 3),
			   call_input(call, 4),
			   &call->out[0],
			   ints[0],
			   ints[1],
			   ints + 2,
			   ints + 4,
			   ints + 6};
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(c.y->dim, c.y->rank, index); more;
	     more = index_next(c.y->dim, c.y->rank, index)) {
		double total = c.bias ? arg_load(c.bias, &index[1]) : 0;

		for (int64_t p = 0; p < c.w->dim[2]; p++) {
			for (int64_t q = 0; q < c.w->dim[3]; q++)
				total += deform_tap(&c, index, p, q);
		}
		arg_store(c.y, index, total);
	}
	return NORMC_OK;
}
