/* Resize: each output element is a weighted sum of the input elements around its source coordinate,
 * the weights being a product over the dimensions.  Weights are functions of the distance (linear:
 * a triangle; cubic: Keys, IEEE TASSP 29-6, 1981), stretched when antialiasing a reduction. */
#include "operator.h"

enum { NEAREST, LINEAR, CUBIC };
enum { HALF_PIXEL, HALF_PIXEL_SYMMETRIC, PYTORCH_HALF_PIXEL, ALIGN_CORNERS, ASYMMETRIC, CROP };
enum { ROUND_PREFER_FLOOR, ROUND_PREFER_CEIL, FLOOR, CEIL };

/* Along one dimension: how to find the source of an output index. */
struct axis {
	int64_t in, out;
	double scale, roi_start, roi_end;
	double stretch; /* of the kernel, at least 1 */
	int64_t reach;	/* taps on each side */
	bool copied;	/* output index = input index */
};

/* The source of one output index along one dimension. */
struct source {
	int64_t base;  /* index at or below the coordinate */
	double offset; /* of the coordinate from `base`, in [0, 1) */
	double sum;    /* of all weights, to divide by */
};

struct resize {
	const struct normc_call *call;
	const struct normc_arg *x, *y;
	int64_t mode, coordinates, nearest;
	bool antialias, exclude;
	double cubic, extrapolation;
	struct axis axis[NORMC_MAX_RANK];
	struct source source[NORMC_MAX_RANK];
	int32_t blended[NORMC_MAX_RANK]; /* dimensions with more than one tap */
	int32_t n_blended;
};

/* Weight of an element at this distance. */
static double weight(const struct resize *r, int32_t d, double distance)
{
	double x = fabs(distance) / r->axis[d].stretch, a = r->cubic;

	if (r->mode == LINEAR)
		return x < 1 ? 1 - x : 0;
	if (x <= 1)
		return ((a + 2) * x - (a + 3)) * x * x + 1;
	return x < 2 ? ((a * x - 5 * a) * x + 8 * a) * x - 4 * a : 0;
}

/* The source coordinate of output index `i`; false if it lies outside a cropped region. */
static bool coordinate(const struct resize *r, const struct axis *axis, int64_t i, double *x)
{
	double in = (double)axis->in, width = axis->scale * in,
	       half = ((double)i + 0.5) / axis->scale - 0.5;

	switch (r->coordinates) {
	case ALIGN_CORNERS:
		*x = width == 1 ? 0 : (double)i * (in - 1) / (width - 1);
		break;
	case ASYMMETRIC:
		*x = (double)i / axis->scale;
		break;
	case PYTORCH_HALF_PIXEL:
		*x = width == 1 ? -0.5 : half;
		break;
	case HALF_PIXEL_SYMMETRIC:
		*x = in / 2 * (1 - (double)axis->out / width) + half;
		break;
	case CROP:
		*x = (axis->roi_end - axis->roi_start) * (in - 1);
		*x *= width == 1 ? 0.5 : (double)i / (width - 1);
		*x += axis->roi_start * (in - 1);
		return *x >= 0 && *x <= in - 1;
	default:
		*x = half;
		break;
	}
	return true;
}

static int64_t nearest_index(const struct resize *r, double x)
{
	switch (r->nearest) {
	case ROUND_PREFER_FLOOR:
		return (int64_t)ceil(x - 0.5);
	case ROUND_PREFER_CEIL:
		return (int64_t)floor(x + 0.5);
	case FLOOR:
		return (int64_t)floor(x);
	default:
		return (int64_t)ceil(x);
	}
}

/* Fills the source of output index `i` of dimension `d`; false if the value is extrapolated. */
static bool locate(struct resize *r, int32_t d, int64_t i)
{
	const struct axis *axis = &r->axis[d];
	struct source *source = &r->source[d];
	double x, limit = (double)axis->in + 1;

	*source = (struct source){i, 0, 1};
	if (axis->copied)
		return true;
	if (!coordinate(r, axis, i, &x))
		return false;
	x = fmin(fmax(x, -limit), 2 * limit); /* further out, all taps are at the border anyway */
	if (r->mode == NEAREST) {
		source->base = nearest_index(r, x);
		return true;
	}
	source->base = (int64_t)floor(x);
	source->offset = x - floor(x);
	if (!r->exclude && axis->stretch == 1)
		return true;
	source->sum = 0;
	for (int64_t t = 1 - axis->reach; t <= axis->reach; t++) {
		int64_t at = source->base + t;

		if (!r->exclude || (at >= 0 && at < axis->in))
			source->sum += weight(r, d, (double)t - source->offset);
	}
	source->sum = source->sum == 0 ? 1 : source->sum;
	return true;
}

/* The weighted sum over the blended dimensions number k, k + 1, ... */
static double gather(const struct resize *r, int32_t k, const unsigned char *data)
{
	enum normc_elem elem = arg_elem(r->x);
	double total = 0;

	if (k == r->n_blended)
		return element_load(elem, data);
	int32_t d = r->blended[k];
	const struct axis *axis = &r->axis[d];
	const struct source *source = &r->source[d];

	for (int64_t t = 1 - axis->reach; t <= axis->reach; t++) {
		int64_t at = source->base + t;
		double w = weight(r, d, (double)t - source->offset) / source->sum;

		if (w == 0 || (r->exclude && (at < 0 || at >= axis->in)))
			continue;
		at = at < 0 ? 0 : at >= axis->in ? axis->in - 1 : at;
		total += w * gather(r, k + 1, data + at * r->x->stride[d] * element_size(elem));
	}
	return total;
}

/* Walks over dimensions d, d + 1, ... of the output; `data` is where the earlier ones lead in the
 * input, NULL if they lead outside. */
static void fill(struct resize *r, int32_t d, int64_t *index, const unsigned char *data)
{
	const struct axis *axis = &r->axis[d];
	int64_t size = element_size(arg_elem(r->x));

	if (d == r->y->rank) {
		if (!data)
			arg_store(r->y, index, r->extrapolation);
		else if (r->n_blended)
			arg_store(r->y, index, gather(r, 0, data));
		else
			memcpy(arg_at(r->y, index), data, (size_t)size);
		return;
	}
	for (int64_t i = 0; i < axis->out; i++) {
		bool inside = locate(r, d, i) && data;
		int64_t at = r->source[d].base;

		index[d] = i;
		at = axis->reach || at < 0 ? 0 : at >= axis->in ? axis->in - 1 : at;
		fill(r, d + 1, index, inside ? data + at * r->x->stride[d] * size : NULL);
	}
}

static bool plan_axis(struct resize *r, int32_t d)
{
	struct axis *axis = &r->axis[d];
	const double *floats = r->call->floats + 2;
	int32_t rank = r->x->rank;

	*axis = (struct axis){r->x->dim[d], r->y->dim[d], floats[d], 0, 1, 1, 0, false};
	if (axis->scale == 0)
		axis->scale = (double)axis->out / (double)axis->in;
	if (!(axis->scale > 0) || axis->scale > 1e18)
		return false;
	if (r->coordinates == CROP) {
		axis->roi_start = floats[rank + d];
		axis->roi_end = floats[2 * rank + d];
	}
	axis->copied = axis->in == axis->out && axis->scale == 1 && axis->roi_start == 0 &&
		       axis->roi_end == 1;
	if (axis->copied || r->mode == NEAREST)
		return true;
	if (r->antialias && axis->scale < 1)
		axis->stretch = 1 / axis->scale;
	if (axis->stretch > 4 * ((double)axis->in + 1))
		return false;
	axis->reach = (int64_t)ceil((r->mode == CUBIC ? 2 : 1) * axis->stretch);
	r->blended[r->n_blended++] = d;
	return true;
}

/* See ops.def. */
int32_t normc_op_resize(const struct normc_call *call)
{
	struct resize r = {.call = call, .x = &call->in[0], .y = &call->out[0]};
	int64_t index[NORMC_MAX_RANK];

	r.mode = call->ints[0];
	r.coordinates = call->ints[1];
	r.nearest = call->ints[2];
	r.antialias = call->ints[3] != 0;
	r.exclude = call->ints[4] != 0;
	r.cubic = call->floats[0];
	r.extrapolation = call->floats[1];
	if (arg_count(r.y) == 0)
		return NORMC_OK;
	if (arg_count(r.x) == 0)
		return NORMC_INVALID;
	for (int32_t d = 0; d < r.x->rank; d++) {
		if (!plan_axis(&r, d))
			return NORMC_INVALID;
	}
	fill(&r, 0, index, r.x->data);
	return NORMC_OK;
}
