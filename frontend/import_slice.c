/* Operators that cut, join and pad along axes.
 *
 * Positions may depend on unknown extents, so they are expressions, clamped with min and max.  Two
 * assumptions keep the common cases simple: numbers beyond 32 bits mean "to the end", and where a
 * model counts one position from the end of an unknown extent, that extent is at least 1 (recorded,
 * and checked at run time).
 */
#include <string.h>

#include "compose.h"

void import_concat(struct import *n)
{
	int32_t rank = import_in(n, 0)->type.rank,
		axis = import_axis(n, import_int(n, "axis", 1), rank);
	for (uint32_t i = 0; i < n->n_in; i++) {
		const struct node *x = import_in(n, i);
		if (node_is_poison(x))
			return;
		if (x->type.rank != rank) {
			import_invalid(n, "operand %u has rank %d, the first one %d", i,
				       x->type.rank, rank);
			return;
		}
	}
	if (rank > 0)
		import_out(n, 0, build_concat(n->g, n->in, n->n_in, axis));
}

/* Extents of Split's results into `size`, n->n_out of them. */
static bool split_sizes(struct import *n, const struct dim *whole, const struct dim **size)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *const *given = NULL;
	const int64_t *list;
	int64_t count = n->n_out;
	bool operand = n->opset >= 13 && import_optional(n, 1),
	     attribute = n->opset < 13 && import_has(n, "split");
	if (operand)
		count = import_dims(n, 1, &given);
	else if (attribute)
		count = import_ints(n, "split", &list);
	if (count < 0)
		return false;
	if (count != n->n_out) {
		import_invalid(n, "%lld sizes for %u results", (long long)count, n->n_out);
		return false;
	}
	const struct dim *parts = dim_const(dims, count), *each = dim_ceil_div(dims, whole, parts),
			 *left = whole;
	for (int64_t i = 0; i < count; i++) {
		size[i] = operand     ? given[i]
			  : attribute ? dim_const(dims, list[i])
				      : dim_min(dims, each, left);
		left = dim_sub(dims, left, size[i]);
	}
	if (operand || attribute)
		graph_same_extent(n->g, left, dim_const(dims, 0));
	return true;
}

void import_split(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0);
	int32_t axis = import_axis(n, import_int(n, "axis", 0), x->type.rank);
	const struct dim **size = arena_new(n->g->context->arena, const struct dim *, n->n_out + 1);
	const struct dim *start = dim_const(dims, 0);
	if (x->type.rank == 0 || !split_sizes(n, x->type.dim[axis], size))
		return;
	for (uint32_t i = 0; i < n->n_out; i++) {
		import_out(n, i,
			   build_slice(n->g, x, axis, (struct slice_range){start, size[i], 1}));
		start = dim_add(dims, start, size[i]);
	}
}

/* A position along an extent, counted from the end if negative, clamped to [low, extent + above].
 */
static const struct dim *position(struct import *n, const struct dim *at, const struct dim *extent,
				  int64_t low, int64_t above)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *least = dim_const(dims, low),
			 *most = dim_add(dims, extent, dim_const(dims, above));
	if (dim_is_const(at) && (at->value <= INT32_MIN || at->value >= INT32_MAX))
		return at->value < 0 ? least : most;
	if (dim_is(at, -1)) {
		const struct dim *one = dim_const(dims, 1);
		graph_same_extent(n->g, dim_min(dims, extent, one), one); /* not empty */
		return dim_sub(dims, extent, one);
	}
	if (dim_is_const(at)) {
		at = at->value < 0 ? dim_add(dims, at, extent) : at;
	} else if (dim_lower_bound(at) < 0) { /* adds the extent if the sign is negative */
		const struct dim *zero = dim_const(dims, 0);
		const struct dim *below = dim_max(dims, zero, dim_sub(dims, zero, at));
		at = dim_add(dims, at,
			     dim_mul(dims, dim_min(dims, below, dim_const(dims, 1)), extent));
	}
	return dim_max(dims, least, dim_min(dims, at, most));
}

/* What Slice is asked for, in lists of the same length. */
struct cuts {
	const struct dim *const *from, *const *to;
	const int64_t *axis, *step; /* NULL: 0, 1, 2, ... and all 1 */
	int64_t n;
};

static void cut(struct import *n, struct attr_slice *attr, int32_t axis, const struct cuts *cuts,
		int64_t i)
{
	struct dims *dims = n->g->context->dims;
	const struct dim *extent = attr->extent[axis], *size;
	int64_t step = cuts->step ? cuts->step[i] : 1;
	if (step == 0 || step == INT64_MIN) {
		import_invalid(n, "the step is %lld; 0 and the least number are not possible",
			       (long long)step);
		return;
	}
	int64_t back = step < 0 ? -1 : 0; /* backwards, positions lie in [-1, extent - 1] */
	const struct dim *from = position(n, cuts->from[i], extent, 0, back);
	const struct dim *to = position(n, cuts->to[i], extent, back, back);
	size = step > 0 ? dim_sub(dims, to, from) : dim_sub(dims, from, to);
	size = dim_ceil_div(dims, size, dim_const(dims, step > 0 ? step : -step));
	attr->start[axis] = from;
	attr->extent[axis] = dim_max(dims, dim_const(dims, 0), size);
	attr->step[axis] = step;
}

static void slice(struct import *n, const struct cuts *cuts)
{
	struct node *x = import_in(n, 0);
	struct attr_slice attr = {0};
	uint32_t seen = 0, errors = n->g->context->diag->errors;
	bool all = true;
	for (int32_t i = 0; i < x->type.rank; i++) {
		attr.start[i] = dim_const(n->g->context->dims, 0);
		attr.extent[i] = x->type.dim[i];
		attr.step[i] = 1;
	}
	for (int64_t i = 0; i < cuts->n && n->g->context->diag->errors == errors; i++) {
		int32_t axis = import_axis(n, cuts->axis ? cuts->axis[i] : i, x->type.rank);
		if (seen >> axis & 1)
			import_invalid(n, "axis %d is given twice", axis);
		else if (n->g->context->diag->errors == errors)
			cut(n, &attr, axis, cuts, i);
		seen |= 1u << axis;
	}
	if (n->g->context->diag->errors != errors)
		return;
	for (int32_t i = 0; i < x->type.rank; i++)
		all = all && dim_is(attr.start[i], 0) && attr.extent[i] == x->type.dim[i] &&
		      attr.step[i] == 1;
	import_out(n, 0, all ? x : graph_node(n->g, OP_slice, &x, 1, (union attr){.slice = &attr}));
}

void import_slice_attributes(struct import *n)
{
	const int64_t *from, *to, *axis;
	int64_t count = import_ints(n, "starts", &from), n_axes = import_ints(n, "axes", &axis);
	if (import_ints(n, "ends", &to) != count || (n_axes && n_axes != count)) {
		import_invalid(n, "starts, ends and axes differ in length");
		return;
	}
	struct cuts cuts = {compose_dims(n, from, count), compose_dims(n, to, count),
			    n_axes ? axis : NULL, NULL, count};
	slice(n, &cuts);
}

void import_slice(struct import *n)
{
	struct cuts cuts = {0};
	cuts.n = import_dims(n, 1, &cuts.from);
	int64_t n_to = import_dims(n, 2, &cuts.to), n_axes = cuts.n, n_steps = cuts.n;
	if (import_optional(n, 3))
		n_axes = import_numbers(n, 3, &cuts.axis);
	if (import_optional(n, 4))
		n_steps = import_numbers(n, 4, &cuts.step);
	if (cuts.n < 0 || n_to < 0 || n_axes < 0 || n_steps < 0)
		return;
	if (n_to != cuts.n || n_axes != cuts.n || n_steps != cuts.n)
		import_invalid(n, "starts, ends, axes and steps differ in length");
	else
		slice(n, &cuts);
}

/* Operand 3 (or all axes) as a list; -1 after a report. */
static int64_t pad_axes(struct import *n, int32_t rank, int32_t axis[MAX_RANK])
{
	const int64_t *list;
	int64_t count = rank;
	for (int32_t i = 0; i < rank; i++)
		axis[i] = i;
	if (n->opset < 18 || !import_optional(n, 3))
		return count;
	count = import_numbers(n, 3, &list);
	if (count > rank) {
		import_invalid(n, "more axes than dimensions");
		return -1;
	}
	for (int64_t i = 0; i < count; i++)
		axis[i] = import_axis(n, list[i], rank);
	return count;
}

static bool read_pad_mode(struct import *n, struct attr_pad *attr)
{
	static const char *const names[] = {"constant", "edge", "reflect", "wrap"};
	const char *mode = import_string(n, "mode", "constant");
	for (int i = 0; i < 4; i++)
		if (!strcmp(mode, names[i])) {
			attr->mode = (enum pad_mode)i;
			return true;
		}
	import_invalid(n, "unknown mode '%.40s'", mode);
	return false;
}

void import_pad(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0), *value = n->opset >= 11 ? import_optional(n, 2) : NULL;
	const struct dim *const *pads = NULL;
	const int64_t *list;
	struct attr_pad attr = {0};
	int32_t axis[MAX_RANK];
	bool operand = n->opset >= 11;
	int64_t count = operand ? import_dims(n, 1, &pads) : import_ints(n, "pads", &list);
	int64_t n_axes = pad_axes(n, x->type.rank, axis);
	if (count < 0 || n_axes < 0 || !read_pad_mode(n, &attr))
		return;
	if (count != 2 * n_axes) {
		import_invalid(n, "%lld pads for %lld axes", (long long)count, (long long)n_axes);
		return;
	}
	if (!operand)
		pads = compose_dims(n, list, count);
	for (int32_t i = 0; i < x->type.rank; i++)
		attr.before[i] = attr.after[i] = dim_const(dims, 0);
	for (int64_t i = 0; i < n_axes; i++) {
		attr.before[axis[i]] = pads[i];
		attr.after[axis[i]] = pads[n_axes + i];
	}
	if (value)
		value = value->type.rank ? build_reshape(n->g, value, 0, value->type.dim) : value;
	else
		value = build_number(n->g, x->type.elem, operand ? 0 : import_float(n, "value", 0));
	import_out(n, 0, build_pad(n->g, x, value, &attr));
}

void import_center_crop_pad(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *x = import_in(n, 0);
	const struct dim *const *size, *zero = dim_const(dims, 0), *two = dim_const(dims, 2);
	const int64_t *axis = NULL;
	struct attr_pad attr = {0};
	int64_t count = import_dims(n, 1, &size), n_axes = import_ints(n, "axes", &axis);
	if (count < 0)
		return;
	if (count != (n_axes ? n_axes : x->type.rank)) {
		import_invalid(n, "%lld sizes for %lld axes", (long long)count, (long long)n_axes);
		return;
	}
	for (int32_t i = 0; i < x->type.rank; i++)
		attr.before[i] = attr.after[i] = zero;
	for (int64_t i = 0; i < count; i++) {
		int32_t at = import_axis(n, n_axes ? axis[i] : i, x->type.rank);
		const struct dim *more = dim_sub(dims, size[i], x->type.dim[at]);
		const struct dim *grow = dim_max(dims, zero, more);
		const struct dim *shrink = dim_max(dims, zero, dim_sub(dims, zero, more));
		attr.before[at] =
				dim_sub(dims, dim_div(dims, grow, two), dim_div(dims, shrink, two));
		attr.after[at] = dim_sub(dims, more, attr.before[at]);
	}
	import_out(n, 0, build_pad(n->g, x, build_number(n->g, x->type.elem, 0), &attr));
}
