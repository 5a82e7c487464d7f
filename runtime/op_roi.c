/* Pooling over regions of interest: RoiAlign and MaxRoiPool. */
#include "operator.h"

#define SAMPLE_LIMIT 4096.0 /* samples of a bin along one dimension, against absurd regions */

struct roi_align {
	const struct normc_arg *x, *rois, *y;
	bool max, half_pixel;
	int64_t sampling;
	double scale;
};

/* One region: its corner, the size of a bin and the samples in it, each for height and width. */
struct region {
	int64_t batch, samples[2];
	double start[2], bin[2];
};

static bool make_region(const struct roi_align *r, int64_t number, const struct normc_arg *batches,
			struct region *region)
{
	double shift = r->half_pixel ? 0.5 : 0;

	region->batch = element_load_int(arg_elem(batches), arg_at(batches, &number));
	if (region->batch < 0 || region->batch >= r->x->dim[0])
		return false;
	for (int64_t d = 0; d < 2; d++) {
		double start = arg_load(r->rois, (int64_t[]){number, 1 - d}) * r->scale - shift;
		double end = arg_load(r->rois, (int64_t[]){number, 3 - d}) * r->scale - shift;
		double size = end - start, count;

		if (!r->half_pixel)
			size = fmax(size, 1);
		region->start[d] = start;
		region->bin[d] = size / (double)r->y->dim[2 + d];
		count = r->sampling > 0 ? (double)r->sampling : ceil(region->bin[d]);
		if (!(count <= SAMPLE_LIMIT))
			return false;
		region->samples[d] = count < 0 ? 0 : (int64_t)count;
	}
	return true;
}

/* The two elements around a coordinate and their weights; false if it is outside. */
static bool around(double at, int64_t extent, int64_t *low, double *weight)
{
	if (!(at >= -1 && at <= (double)extent))
		return false;
	at = fmax(at, 0);
	low[0] = (int64_t)at;
	low[1] = low[0] + 1;
	if (low[0] >= extent - 1) {
		low[0] = low[1] = extent - 1;
		at = (double)low[0];
	}
	weight[1] = at - (double)low[0];
	weight[0] = 1 - weight[1];
	return true;
}

/* One sample: the bilinear value, or the largest of its four parts. */
static double take(const struct roi_align *r, const struct region *region, int64_t channel,
		   const double *at)
{
	int64_t row[2], column[2];
	double down[2], across[2], total = r->max ? -INFINITY : 0;

	if (!around(at[0], r->x->dim[2], row, down) || !around(at[1], r->x->dim[3], column, across))
		return 0;
	for (int i = 0; i < 4; i++) {
		int64_t index[4] = {region->batch, channel, row[i / 2], column[i % 2]};
		double part = down[i / 2] * across[i % 2] * arg_load(r->x, index);

		total = r->max ? fmax(total, part) : total + part;
	}
	return total;
}

static double pool_bin(const struct roi_align *r, const struct region *region, const int64_t *index)
{
	double total = 0;
	int64_t count = region->samples[0] * region->samples[1];

	for (int64_t i = 0; i < count; i++) {
		int64_t step[2] = {i / region->samples[1], i % region->samples[1]};
		double at[2], value;

		for (int d = 0; d < 2; d++)
			at[d] = region->start[d] +
				region->bin[d] * ((double)index[2 + d] +
						  ((double)step[d] + 0.5) /
								  (double)region->samples[d]);
		value = take(r, region, index[1], at);
		total = !r->max ? total + value : i == 0 ? value : fmax(total, value);
	}
	return r->max || count == 0 ? total : total / (double)count;
}

/* ints: mode, sampling_ratio, half_pixel; floats: spatial_scale */
int32_t normc_op_roi_align(const struct normc_call *call)
{
	struct roi_align r = {&call->in[0],	  &call->in[1],	 &call->out[0],	 call->ints[0] != 0,
			      call->ints[2] != 0, call->ints[1], call->floats[0]};
	int64_t index[NORMC_MAX_RANK], dim[NORMC_MAX_RANK];

	if (arg_count(r.y) == 0)
		return NORMC_OK;
	if (arg_count(r.x) == 0)
		return NORMC_INVALID;
	memcpy(dim, r.y->dim, sizeof(dim));
	for (int64_t number = 0; number < r.y->dim[0]; number++) {
		struct region region;

		if (!make_region(&r, number, &call->in[2], &region))
			return NORMC_INVALID;
		dim[0] = 1;
		for (bool more = index_start(dim, 4, index); more;
		     more = index_next(dim, 4, index)) {
			double value = pool_bin(&r, &region, index);

			index[0] = number;
			arg_store(r.y, index, value);
			index[0] = 0;
		}
	}
	return NORMC_OK;
}

/* First and past-last element of one of `bins` bins of a span of `size` elements from `start` on,
 * within a dimension of `extent` elements. */
struct span {
	double start, size;
	int64_t bins, extent;
};

static void bin_range(struct span span, int64_t bin, int64_t *range)
{
	double step = span.size / (double)span.bins, limit = (double)span.extent;
	double low = floor((double)bin * step) + span.start;
	double high = ceil((double)(bin + 1) * step) + span.start;

	range[0] = (int64_t)fmin(fmax(low, 0), limit);
	range[1] = (int64_t)fmin(fmax(high, 0), limit);
}

/* Largest element of the bin of y[index], 0 if it is empty. */
static double max_bin(const struct normc_call *call, const int64_t *index, int64_t batch)
{
	const struct normc_arg *x = &call->in[0], *rois = &call->in[1], *y = &call->out[0];
	int64_t range[2][2];
	double best = 0;
	bool any = false;

	for (int64_t d = 0; d < 2; d++) {
		double start = round(arg_load(rois, (int64_t[]){index[0], 2 - d}) *
				     call->floats[0]);
		double end = round(arg_load(rois, (int64_t[]){index[0], 4 - d}) * call->floats[0]);

		struct span span = {start, fmax(end - start + 1, 1), y->dim[2 + d], x->dim[2 + d]};

		bin_range(span, index[2 + d], range[d]);
	}
	for (int64_t i = range[0][0]; i < range[0][1]; i++) {
		for (int64_t j = range[1][0]; j < range[1][1]; j++) {
			double value = arg_load(x, (int64_t[]){batch, index[1], i, j});

			best = any ? fmax(best, value) : value;
			any = true;
		}
	}
	return best;
}

/* floats: spatial_scale */
int32_t normc_op_max_roi_pool(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *rois = &call->in[1], *y = &call->out[0];
	int64_t index[NORMC_MAX_RANK];

	for (bool more = index_start(y->dim, 4, index); more; more = index_next(y->dim, 4, index)) {
		double batch = arg_load(rois, (int64_t[]){index[0], 0});

		if (!(batch >= 0 && batch < (double)x->dim[0]))
			return NORMC_INVALID;
		arg_store(y, index, max_bin(call, index, (int64_t)batch));
	}
	return NORMC_OK;
}
