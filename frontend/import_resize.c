/* Resize and its predecessor Upsample, and other operators that sample images. */
#include <math.h>
#include <string.h>

#include "compose.h"

/* Position of `word` in a list ended by NULL; -1 after a report. */
static int64_t choice(struct import *n, const char *attribute, const char *otherwise,
		      const char *const *list)
{
	const char *word = import_string(n, attribute, otherwise);
	for (int64_t i = 0; list[i]; i++)
		if (!strcmp(list[i], word))
			return i;
	import_unsupported(n, "%s '%.60s'", attribute, word);
	return -1;
}

/* A resize, axis by axis. */
struct resize {
	struct node *x;
	const struct dim *to[MAX_RANK];
	double scale[MAX_RANK]; /* 0: the quotient of the extents */
	double start[MAX_RANK], end[MAX_RANK];
	int64_t mode, coordinates, nearest, antialias, exclude_outside;
	double cubic, extrapolation;
};

enum {
	NEAREST = 0,
	HALF_PIXEL = 0,
	ASYMMETRIC = 4,
	TF_CROP = 5,
	ROUND_FLOOR = 2,
	MAX_DENOMINATOR = 4096
};

/* floor(extent * scale), for unknown extents with the simplest fraction that equals the scale in
 * single precision. */
static const struct dim *scaled(struct import *n, const struct dim *extent, double scale)
{
	struct dims *dims = n->g->context->dims;
	if (dim_is_const(extent)) {
		double size = floor((double)extent->value * scale);
		return size >= 0 && size < 1e15 ? dim_const(dims, (int64_t)size) : NULL;
	}
	for (int64_t below = 1; below <= MAX_DENOMINATOR; below++) {
		double above = round(scale * (double)below);
		if (above >= 1 && above < 1e9 && (float)(above / (double)below) == (float)scale)
			return dim_div(dims, dim_mul(dims, extent, dim_const(dims, (int64_t)above)),
				       dim_const(dims, below));
	}
	return NULL;
}

static bool set_scale(struct import *n, struct resize *r, int32_t axis, double scale)
{
	if (!(scale > 0)) {
		import_invalid(n, "the scale is %g; it must be greater than 0", scale);
		return false;
	}
	r->scale[axis] = scale;
	r->to[axis] = scaled(n, r->x->type.dim[axis], scale);
	if (!r->to[axis])
		import_unsupported(n, "scale %g of dimension %d", scale, axis);
	return r->to[axis] != NULL;
}

/* The one scale that keeps the aspect ratio, from sizes; they must be constant. */
static bool keep_ratio(struct import *n, struct resize *r, const struct dim *const *size,
		       const int32_t *axis, int64_t count)
{
	bool larger = !strcmp(import_string(n, "keep_aspect_ratio_policy", "stretch"),
			      "not_smaller");
	double scale = larger ? 0 : INFINITY;
	for (int64_t i = 0; i < count; i++) {
		const struct dim *from = r->x->type.dim[axis[i]];
		if (!dim_is_const(from) || !dim_is_const(size[i]) || from->value < 1) {
			import_unsupported(n, "keep_aspect_ratio_policy with unknown extents");
			return false;
		}
		double s = (double)size[i]->value / (double)from->value;
		scale = larger ? fmax(scale, s) : fmin(scale, s);
	}
	for (int64_t i = 0; i < count; i++) {
		double to = floor(scale * (double)r->x->type.dim[axis[i]]->value + 0.5);
		if (!(to >= 0 && to < INT32_MAX)) {
			import_invalid(n, "size %lld of dimension %d", (long long)size[i]->value,
				       axis[i]);
			return false;
		}
		r->scale[axis[i]] = scale;
		r->to[axis[i]] = dim_const(n->g->context->dims, (int64_t)to);
	}
	return true;
}

/* Sizes or scales of the listed axes, whichever operand is given and not empty. */
static bool read_sizes(struct import *n, struct resize *r, const int32_t *axis, int64_t count)
{
	const double *scale;
	const struct dim *const *size;
	bool sizes = n->opset >= 11 && import_optional(n, 3);
	int64_t given = sizes ? import_dims(n, 3, &size)
			      : import_reals(n, n->opset >= 11 ? 2 : 1, &scale);
	if (given < 0)
		return false;
	if (given != count) {
		import_invalid(n, "%lld scales or sizes for %lld axes", (long long)given,
			       (long long)count);
		return false;
	}
	if (sizes && strcmp(import_string(n, "keep_aspect_ratio_policy", "stretch"), "stretch"))
		return keep_ratio(n, r, size, axis, count);
	for (int64_t i = 0; i < count; i++) {
		if (sizes)
			r->to[axis[i]] = size[i];
		else if (!set_scale(n, r, axis[i], scale[i]))
			return false;
	}
	return true;
}

/* The axes that are resized: all, or those of the attribute. */
static int64_t read_axes(struct import *n, int32_t rank, int32_t axis[MAX_RANK])
{
	const int64_t *list;
	int64_t count = n->opset >= 18 ? import_ints(n, "axes", &list) : 0;
	if (count > rank) {
		import_invalid(n, "more axes than dimensions");
		return -1;
	}
	for (int32_t i = 0; i < (count ? count : rank); i++)
		axis[i] = count ? import_axis(n, list[i], rank) : i;
	return count ? count : rank;
}

static bool read_roi(struct import *n, struct resize *r, const int32_t *axis, int64_t count)
{
	const double *roi;
	if (r->coordinates != TF_CROP)
		return true;
	if (import_reals(n, 1, &roi) != 2 * count) {
		import_invalid(n, "tf_crop_and_resize needs a region of interest of two numbers an "
				  "axis");
		return false;
	}
	for (int64_t i = 0; i < count; i++) {
		r->start[axis[i]] = roi[i];
		r->end[axis[i]] = roi[count + i];
	}
	return true;
}

/* Whether each result element is a copy of element floor(i / scale) of the input, for whole scales.
 */
static bool is_repeat(const struct resize *r)
{
	bool simple = r->coordinates == ASYMMETRIC
				      ? r->nearest == ROUND_FLOOR
				      : r->coordinates == HALF_PIXEL && r->nearest < ROUND_FLOOR;
	if (r->mode != NEAREST || !simple)
		return false;
	for (int32_t i = 0; i < r->x->type.rank; i++) {
		const struct dim *from = r->x->type.dim[i], *to = r->to[i];
		bool whole = r->scale[i] >= 1 && r->scale[i] < INT32_MAX &&
			     r->scale[i] == floor(r->scale[i]);
		bool divides = dim_is_const(from) && dim_is_const(to) && from->value > 0 &&
			       to->value > 0 && to->value % from->value == 0;
		if (r->scale[i] != 0 ? !whole : from != to && !divides)
			return false;
	}
	return true;
}

static struct node *repeat(struct import *n, const struct resize *r)
{
	struct dims *dims = n->g->context->dims;
	struct node *y = r->x;
	for (int32_t i = 0; i < r->x->type.rank; i++) {
		const struct dim *times = dim_const(dims, (int64_t)r->scale[i]);
		if (r->scale[i] == 0)
			times = r->to[i] == r->x->type.dim[i]
						? dim_const(dims, 1)
						: dim_div(dims, r->to[i], r->x->type.dim[i]);
		y = compose_tile(n, y, i, times, true);
	}
	return y;
}

static struct node *resize(struct import *n, const struct resize *r)
{
	int64_t ints[5] = {r->mode, r->coordinates, r->nearest, r->antialias, r->exclude_outside};
	double floats[2 + 3 * MAX_RANK] = {r->cubic, r->extrapolation};
	uint32_t rank = (uint32_t)r->x->type.rank;
	struct type out = r->x->type;
	struct node *x = r->x;
	if (is_repeat(r))
		return repeat(n, r);
	for (uint32_t i = 0; i < rank; i++) {
		out.dim[i] = r->to[i];
		floats[2 + i] = r->scale[i];
		floats[2 + rank + i] = r->start[i];
		floats[2 + 2 * rank + i] = r->end[i];
	}
	struct attr_call call = {.name = "resize",
				 .n_out = 1,
				 .out = &out,
				 .n_ints = 5,
				 .ints = ints,
				 .floats = floats};
	call.n_floats = 2 + rank * (r->coordinates == TF_CROP ? 3 : 1);
	return compose_result(n->g, compose_call(n->g, &x, 1, &call), 0);
}

static struct resize resize_of(struct import *n)
{
	struct resize r = {.x = import_in(n, 0)};
	for (int32_t i = 0; i < r.x->type.rank; i++) {
		r.to[i] = r.x->type.dim[i];
		r.end[i] = 1;
	}
	return r;
}

void import_resize(struct import *n)
{
	static const char *const modes[] = {"nearest", "linear", "cubic", NULL};
	static const char *const coordinates[] = {"half_pixel",
						  "half_pixel_symmetric",
						  "pytorch_half_pixel",
						  "align_corners",
						  "asymmetric",
						  "tf_crop_and_resize",
						  NULL};
	static const char *const nearest[] = {"round_prefer_floor", "round_prefer_ceil", "floor",
					      "ceil", NULL};
	struct resize r = resize_of(n);
	bool old = n->opset < 11;
	int32_t axis[MAX_RANK];
	r.mode = choice(n, "mode", "nearest", modes);
	r.coordinates = old ? ASYMMETRIC
			    : choice(n, "coordinate_transformation_mode", "half_pixel",
				     coordinates);
	r.nearest = old ? ROUND_FLOOR : choice(n, "nearest_mode", "round_prefer_floor", nearest);
	r.antialias = import_int(n, "antialias", 0) != 0;
	r.exclude_outside = import_int(n, "exclude_outside", 0) != 0;
	r.cubic = import_float(n, "cubic_coeff_a", -0.75);
	r.extrapolation = import_float(n, "extrapolation_value", 0);
	int64_t count = read_axes(n, r.x->type.rank, axis);
	if (r.mode < 0 || r.coordinates < 0 || r.nearest < 0 || count < 0)
		return;
	if (read_roi(n, &r, axis, count) && read_sizes(n, &r, axis, count))
		import_out(n, 0, resize(n, &r));
}

void import_upsample(struct import *n)
{
	static const char *const modes[] = {"nearest", "linear", NULL};
	struct resize r = resize_of(n);
	const float *attribute;
	const double *operand;
	r.mode = choice(n, "mode", "nearest", modes);
	r.coordinates = ASYMMETRIC;
	r.nearest = ROUND_FLOOR;
	int64_t count = n->opset < 9 ? (int64_t)import_floats(n, "scales", &attribute)
				     : import_reals(n, 1, &operand);
	if (r.mode < 0 || count < 0)
		return;
	if (count != r.x->type.rank) {
		import_invalid(n, "%lld scales for rank %d", (long long)count, r.x->type.rank);
		return;
	}
	for (int32_t i = 0; i < count; i++)
		if (!set_scale(n, &r, i, n->opset < 9 ? (double)attribute[i] : operand[i]))
			return;
	import_out(n, 0, resize(n, &r));
}

void import_grid_sample(struct import *n)
{
	static const char *const modes[] = {"linear", "nearest", "cubic", NULL};
	static const char *const old_modes[] = {"bilinear", "nearest", "bicubic", NULL};
	static const char *const paddings[] = {"zeros", "border", "reflection", NULL};
	struct node *x = import_in(n, 0), *grid = import_in(n, 1);
	int64_t ints[3] = {n->opset < 20 ? choice(n, "mode", "bilinear", old_modes)
					 : choice(n, "mode", "linear", modes),
			   choice(n, "padding_mode", "zeros", paddings),
			   import_int(n, "align_corners", 0) != 0};
	struct type out = x->type;
	if (ints[0] < 0 || ints[1] < 0)
		return;
	if (x->type.rank < 3 || grid->type.rank != x->type.rank) {
		import_invalid(n, "the ranks %d and %d do not fit", x->type.rank, grid->type.rank);
		return;
	}
	for (int32_t i = 2; i < out.rank; i++)
		out.dim[i] = grid->type.dim[i - 1];
	struct attr_call call = {
			.name = "grid_sample", .n_out = 1, .out = &out, .n_ints = 3, .ints = ints};
	import_out(n, 0, compose_result(n->g, compose_call(n->g, n->in, 2, &call), 0));
}

/* `count` numbers of an attribute at `to`, or `otherwise` if it is absent. */
static bool copy_ints(struct import *n, const char *name, int64_t *to, int64_t count,
		      int64_t otherwise)
{
	const int64_t *list;
	int64_t given = import_ints(n, name, &list);
	for (int64_t i = 0; i < count; i++)
		to[i] = given == count ? list[i] : otherwise;
	if (given && given != count)
		import_invalid(n, "%s has %lld entries instead of %lld", name, (long long)given,
			       (long long)count);
	return !given || given == count;
}

void import_col2im(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0);
	const struct dim *const *image;
	const int64_t *block;
	int64_t ints[5 * MAX_RANK], s = import_dims(n, 1, &image), volume = 1;
	if (s < 0 || import_numbers(n, 2, &block) != s)
		return;
	if (s < 1 || s > MAX_RANK - 2 || x->type.rank != 3) {
		import_invalid(n, "%lld spatial dimensions and an input of rank %d", (long long)s,
			       x->type.rank);
		return;
	}
	struct type out = {.elem = x->type.elem, .rank = (int32_t)s + 2, .dim = {x->type.dim[0]}};
	for (int64_t i = 0; i < s; i++) {
		ints[i] = block[i];
		out.dim[2 + i] = image[i];
		if (block[i] < 1 || __builtin_mul_overflow(volume, block[i], &volume)) {
			import_invalid(n, "the block has an extent of %lld", (long long)block[i]);
			return;
		}
	}
	out.dim[1] = dim_div(dims, x->type.dim[1], dim_const(dims, volume));
	if (!copy_ints(n, "strides", ints + s, s, 1) ||
	    !copy_ints(n, "dilations", ints + 2 * s, s, 1) ||
	    !copy_ints(n, "pads", ints + 3 * s, 2 * s, 0))
		return;
	struct attr_call call = {.name = "col2im",
				 .n_out = 1,
				 .out = &out,
				 .n_ints = (uint32_t)(5 * s),
				 .ints = ints};
	import_out(n, 0, compose_result(n->g, compose_call(n->g, &x, 1, &call), 0));
}

void import_roi_align(struct import *n)
{
	static const char *const modes[] = {"avg", "max", NULL};
	static const char *const offsets[] = {"output_half_pixel", "half_pixel", NULL};
	struct dims *dims = n->g->context->dims;
	struct node *in[3] = {import_in(n, 0), import_in(n, 1),
			      build_cast(n->g, import_in(n, 2), NORMC_I64)};
	int64_t ints[3] = {choice(n, "mode", "avg", modes), import_int(n, "sampling_ratio", 0), 0};
	double scale = import_float(n, "spatial_scale", 1);
	ints[2] = n->opset < 16 ? 0
				: choice(n, "coordinate_transformation_mode", "half_pixel",
					 offsets);
	if (in[0]->type.rank != 4 || in[1]->type.rank != 2) {
		import_invalid(n, "needs an image of rank 4 and regions of rank 2");
		return;
	}
	struct type out = in[0]->type;
	out.dim[0] = in[1]->type.dim[0];
	out.dim[2] = dim_const(dims, import_int(n, "output_height", 1));
	out.dim[3] = dim_const(dims, import_int(n, "output_width", 1));
	struct attr_call call = {.name = "roi_align",
				 .n_out = 1,
				 .out = &out,
				 .n_ints = 3,
				 .ints = ints,
				 .n_floats = 1,
				 .floats = &scale};
	if (ints[0] >= 0 && ints[2] >= 0)
		import_out(n, 0, compose_result(n->g, compose_call(n->g, in, 3, &call), 0));
}
