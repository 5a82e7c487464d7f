/* Fourier transforms, determinants and cumulative products: calls of the runtime. */
#include "compose.h"

/* The one number in operand i, or `otherwise` if it is absent. False after a report. */
static bool read_number(struct import *n, uint32_t i, int64_t otherwise, int64_t *out)
{
	const int64_t *value;
	*out = otherwise;
	if (!import_optional(n, i))
		return true;
	int64_t count = import_numbers(n, i, &value);
	if (count == 1)
		*out = value[0];
	else if (count >= 0)
		import_invalid(n, "operand %u has %lld elements instead of one", i,
			       (long long)count);
	return count == 1;
}

/* Axis: an attribute before opset 20, operand 2 from then on. */
static bool read_dft_axis(struct import *n, int32_t rank, int32_t *axis)
{
	int64_t given;
	if (n->opset < 20)
		given = import_int(n, "axis", 1);
	else if (!read_number(n, 2, -2, &given))
		return false;
	if (rank >= 2)
		*axis = import_axis(n, given, rank);
	if (rank >= 2 && *axis < rank - 1)
		return true;
	import_invalid(n, "axis %lld is not possible for rank %d; the last axis is the complex one",
		       (long long)given, rank);
	return false;
}

void import_dft(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t inverse = import_int(n, "inverse", 0) != 0,
		onesided = import_int(n, "onesided", 0) != 0, length;
	int32_t axis = 0;
	if (node_is_poison(x) || !read_dft_axis(n, x->type.rank, &axis))
		return;
	const struct dim *extent = x->type.dim[axis];
	if (!dim_is_const(extent)) {
		import_unsupported(n, "a signal length that is not known at compile time");
		return;
	}
	bool real = onesided && inverse; /* the result has no imaginary part */
	if (!read_number(n, 1, real ? 2 * (extent->value - 1) : extent->value, &length))
		return;
	if (!import_in_limit(n, "dft_length", length, 1, INT32_MAX))
		return;
	struct type t = x->type;
	t.dim[axis] = compose_dim(n, onesided && !inverse ? length / 2 + 1 : length);
	t.dim[t.rank - 1] = compose_dim(n, real ? 1 : 2);
	int64_t ints[4] = {axis, inverse, onesided, length};
	struct attr_call call = {.name = "dft", .n_out = 1, .out = &t, .n_ints = 4, .ints = ints};
	import_out(n, 0, compose_call(n->g, &x, 1, &call));
}

void import_stft(struct import *n)
{
	struct dims *dims = n->g->context->dims;
	struct node *in[2] = {import_in(n, 0), import_optional(n, 2)};
	int64_t step, length = 0, onesided = import_int(n, "onesided", 1) != 0;
	if (node_is_poison(in[0]) || !read_number(n, 1, 0, &step))
		return;
	if (in[1] && in[1]->type.rank == 1 && dim_is_const(in[1]->type.dim[0]))
		length = in[1]->type.dim[0]->value;
	if (!read_number(n, 3, length, &length))
		return;
	if (step < 1 || length < 1 || length > INT32_MAX || in[0]->type.rank < 2 ||
	    in[0]->type.rank > 3) {
		import_invalid(n, "frame_step %lld, frame_length %lld, rank %d", (long long)step,
			       (long long)length, in[0]->type.rank);
		return;
	}
	if (in[0]->type.rank == 2) /* real signals may lack the last dimension */
		in[0] = build_unsqueeze(n->g, in[0], 4);
	const struct dim *frames = dim_sub(dims, in[0]->type.dim[1], compose_dim(n, length));
	frames = dim_add(dims, dim_div(dims, frames, compose_dim(n, step)), compose_dim(n, 1));
	struct type t = {.elem = in[0]->type.elem, .rank = 4, .dim = {in[0]->type.dim[0], frames}};
	t.dim[2] = compose_dim(n, onesided ? length / 2 + 1 : length);
	t.dim[3] = compose_dim(n, 2);
	int64_t ints[3] = {step, length, onesided};
	struct attr_call call = {.name = "stft", .n_out = 1, .out = &t, .n_ints = 3, .ints = ints};
	import_out(n, 0, compose_call(n->g, in, 2, &call));
}

void import_det(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct type t = x->type;
	if (node_is_poison(x))
		return;
	if (t.rank < 2) {
		import_invalid(n, "input of rank %d; 2 or more are needed", t.rank);
		return;
	}
	graph_same_extent(n->g, t.dim[t.rank - 1], t.dim[t.rank - 2]);
	t.rank -= 2;
	t.dim[t.rank] = t.dim[t.rank + 1] = NULL;
	struct attr_call call = {.name = "det", .n_out = 1, .out = &t};
	import_out(n, 0, compose_call(n->g, &x, 1, &call));
}

void import_cumprod(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t axis;
	if (node_is_poison(x) || !read_number(n, 1, 0, &axis))
		return;
	int64_t ints[4] = {import_axis(n, axis, x->type.rank), import_int(n, "exclusive", 0) != 0,
			   import_int(n, "reverse", 0) != 0, 1};
	struct attr_call call = {
			.name = "cumsum", .n_out = 1, .out = &x->type, .n_ints = 4, .ints = ints};
	import_out(n, 0, compose_call(n->g, &x, 1, &call));
}
