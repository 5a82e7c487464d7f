/* Signal processing and sampling grids: windows, mel weights, affine grids.  They depend on sizes
 * that are nearly always known, so constant folding leaves tables of them. */
#include <math.h>
#include <string.h>

#include "compose.h"

/* The element type of attribute output_datatype. */
static enum normc_elem output_elem(struct import *n)
{
	int64_t elem = import_int(n, "output_datatype", NORMC_F32);
	if (elem <= 0 || elem > NORMC_I2 || !normc_elem_size((enum normc_elem)elem)) {
		import_unsupported(n, "output type %lld", (long long)elem);
		return NORMC_F32;
	}
	return (enum normc_elem)elem;
}

/* a0 + a1 cos(2 pi i / N) + a2 cos(4 pi i / N) */
static struct node *cosine_sum(struct graph *g, struct node *turn, const double *a)
{
	struct node *once = build_unary(g, OP_cos, compose_with(g, OP_mul, turn, 2 * M_PI));
	struct node *y = compose_with(g, OP_add, compose_with(g, OP_mul, once, a[1]), a[0]);
	if (a[2] == 0)
		return y;
	struct node *twice = build_unary(g, OP_cos, compose_with(g, OP_mul, turn, 4 * M_PI));
	return build_binary(g, OP_add, y, compose_with(g, OP_mul, twice, a[2]));
}

/* HannWindow, HammingWindow, BlackmanWindow */
void import_window(struct import *n)
{
	static const struct {
		const char *onnx;
		double a[3];
	} list[] = {{"HannWindow", {0.5, -0.5, 0}},
		    {"HammingWindow", {25.0 / 46, -21.0 / 46, 0}},
		    {"BlackmanWindow", {0.42, -0.5, 0.08}}};
	struct graph *g = n->g;
	const struct dim *const *size;
	if (import_dims(n, 0, &size) != 1)
		return;
	struct type t = {.elem = NORMC_I64, .rank = 1, .dim = {size[0]}};
	const struct dim *period = import_int(n, "periodic", 1) ? size[0]
								: dim_sub(g->context->dims, size[0],
									  compose_dim(n, 1));
	struct node *i = build_cast(g, build_iota(g, &t, 0), NORMC_F64);
	struct node *turn = build_binary(g, OP_div, i,
					 build_cast(g, build_dims(g, 0, 1, &period), NORMC_F64));
	for (size_t k = 0; k < sizeof list / sizeof *list; k++)
		if (!strcmp(list[k].onnx, n->op_type))
			import_out(n, 0,
				   build_cast(g, cosine_sum(g, turn, list[k].a), output_elem(n)));
}

/* Edges of the triangles in spectrogram bins: floor((dft_length + 1) hertz(i) / sample_rate),
 * f64[bands + 2]. */
static struct node *mel_edges(struct import *n, const struct dim *bands, struct node *length)
{
	struct graph *g = n->g;
	const struct dim *count = dim_add(g->context->dims, bands, compose_dim(n, 2));
	struct type t = {.elem = NORMC_I64, .rank = 1, .dim = {count}};
	struct node *mel[2];
	for (uint32_t i = 0; i < 2; i++) {
		struct node *hertz = build_cast(g, import_in(n, 3 + i), NORMC_F64);
		struct node *x = compose_with(g, OP_add, compose_with(g, OP_div, hertz, 700), 1);
		mel[i] = compose_with(g, OP_mul, build_unary(g, OP_log, x), 2595 / M_LN10);
	}
	struct node *step = build_binary(g, OP_div, build_binary(g, OP_sub, mel[1], mel[0]),
					 build_cast(g, build_dims(g, 0, 1, &count), NORMC_F64));
	struct node *at = build_binary(g, OP_mul, build_cast(g, build_iota(g, &t, 0), NORMC_F64),
				       step);
	at = compose_with(g, OP_mul, build_binary(g, OP_add, at, mel[0]), M_LN10 / 2595);
	struct node *hertz = compose_with(g, OP_sub, build_unary(g, OP_exp, at), 1);
	hertz = compose_with(g, OP_mul, hertz, 700);
	struct node *scale = compose_with(g, OP_add, build_cast(g, length, NORMC_F64), 1);
	struct node *rate = build_cast(g, import_in(n, 2), NORMC_F64);
	return build_unary(g, OP_floor,
			   build_binary(g, OP_div, build_binary(g, OP_mul, scale, hertz), rate));
}

void import_mel_weight_matrix(struct import *n)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	const struct dim *const *bands, *const *length;
	if (import_dims(n, 0, &bands) != 1 || import_dims(n, 1, &length) != 1)
		return;
	const struct dim *bins =
			dim_add(dims, dim_div(dims, *length, compose_dim(n, 2)), compose_dim(n, 1));
	struct type t = {.elem = NORMC_I64, .rank = 2, .dim = {bins, *bands}};
	struct node *j = build_cast(g, build_iota(g, &t, 0), NORMC_F64);
	struct node *all = mel_edges(n, *bands, import_in(n, 1)), *edge[3];
	for (int64_t i = 0; i < 3; i++)
		edge[i] = build_slice(g, all, 0,
				      (struct slice_range){compose_dim(n, i), *bands, 1});
	struct node *zero = build_number(g, NORMC_F64, 0), *one = build_number(g, NORMC_F64, 1);
	/* rises to 1 at the centre; falls from there, and the fall wins where both hold */
	struct node *width = build_binary(g, OP_sub, edge[1], edge[0]);
	struct node *flat = build_binary(g, OP_eq, width, zero);
	struct node *rise = build_binary(g, OP_div, build_binary(g, OP_sub, j, edge[0]),
					 build_where(g, flat, one, width));
	rise = build_where(g, flat, one, rise);
	struct node *inside = build_binary(g, OP_and, build_binary(g, OP_le, edge[0], j),
					   build_binary(g, OP_le, j, edge[1]));
	struct node *y = build_where(g, inside, rise, zero);
	struct node *fall = build_binary(g, OP_div, build_binary(g, OP_sub, edge[2], j),
					 build_binary(g, OP_sub, edge[2], edge[1]));
	inside = build_binary(g, OP_and, build_binary(g, OP_le, edge[1], j),
			      build_binary(g, OP_lt, j, edge[2]));
	import_out(n, 0, build_cast(g, build_where(g, inside, fall, y), output_elem(n)));
}

/* Positions of the points along one axis, from -1 to 1: the outer edges of the cells, or the
 * centres of the outer ones. */
static struct node *grid_axis(struct import *n, const struct type *shape, int32_t axis,
			      bool corners)
{
	struct graph *g = n->g;
	struct type index = *shape;
	index.elem = NORMC_I64;
	const struct dim *steps = shape->dim[axis];
	if (corners)
		steps = dim_max(g->context->dims,
				dim_sub(g->context->dims, steps, compose_dim(n, 1)),
				compose_dim(n, 1));
	struct node *i = build_cast(g, build_iota(g, &index, axis), shape->elem);
	struct node *x = compose_with(g, OP_mul, i, 2);
	if (!corners)
		x = compose_with(g, OP_add, x, 1);
	x = build_binary(g, OP_div, x, build_cast(g, build_dims(g, 0, 1, &steps), shape->elem));
	return compose_with(g, OP_sub, x, 1);
}

void import_affine_grid(struct import *n)
{
	struct graph *g = n->g;
	struct node *theta = import_in(n, 0), *column[4];
	const struct dim *const *size;
	int64_t rank = import_dims(n, 1, &size);
	int32_t spatial = (int32_t)rank - 2;
	bool corners = import_int(n, "align_corners", 0) != 0;
	if (rank < 0 || node_is_poison(theta))
		return;
	if ((spatial != 2 && spatial != 3) || theta->type.rank != 3) {
		import_invalid(n, "size must have 4 or 5 elements and theta 3 dimensions");
		return;
	}
	struct type shape = {.elem = theta->type.elem == NORMC_F64 ? NORMC_F64 : NORMC_F32,
			     .rank = spatial + 1};
	for (int32_t i = 0; i < spatial; i++)
		shape.dim[i] = size[i + 2];
	shape.dim[spatial] = compose_dim(n, 1);
	for (int32_t i = 0; i < spatial; i++) /* x runs along the last dimension */
		column[i] = grid_axis(n, &shape, spatial - 1 - i, corners);
	column[spatial] = compose_fill(g, &shape, 1);
	struct node *points = build_concat(g, column, (uint32_t)spatial + 1, spatial);
	const struct dim *flat[2] = {compose_dim(n, 1), compose_dim(n, spatial + 1)}, *full[5];
	full[0] = theta->type.dim[0];
	for (int32_t i = 0; i < spatial; i++) {
		flat[0] = dim_mul(g->context->dims, flat[0], size[i + 2]);
		full[i + 1] = size[i + 2];
	}
	full[spatial + 1] = compose_dim(n, spatial);
	struct node *matrix =
			build_transpose(g, build_cast(g, theta, shape.elem), (int32_t[]){0, 2, 1});
	struct node *grid = build_matmul(g, build_reshape(g, points, 2, flat), matrix);
	import_out(n, 0,
		   build_cast(g, build_reshape(g, grid, spatial + 2, full), theta->type.elem));
}
