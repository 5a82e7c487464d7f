/* GroupNorm and InstanceNorm through reshapes: the usual exports and their primitives become the
 * graph that GroupNormalization is imported as; near misses keep their reshapes or parameters.
 */
#include "algebra_case.h"

enum { IMAGES = 2, CHANNELS = 6, HEIGHT = 3, WIDTH = 4 };

/* How channels are split. */
enum split {
	SPLIT_FLAT,	    /* [N, G, -1] */
	SPLIT_WHOLE,	    /* [N, G, C/G, H, W] */
	SPLIT_PARTLY,	    /* [N, G, C/G, -1] */
	SPLIT_FOLDED,	    /* [N*G, -1] */
	SPLIT_FOLDED_WHOLE, /* [N*G, C/G, H, W] */
	SPLIT_LAST,	    /* [N, H, W, G, C/G] of [N, H, W, C] */
	SPLIT_INTERLEAVED,  /* [N, C/G, G, -1]: channel i is in group i mod G */
	SPLIT_ODD,	    /* [9, -1] of 4 images: across them */
	SPLIT_FOUR	    /* [N, 4, -1]: across channels */
};

enum spelling {
	PRIMITIVES,
	INSTANCE,	 /* the norm of InstanceNormalization with scale 1 and bias 0 */
	INSTANCE_SCALED, /* with others */
	INSTANCE_GAMMA,	 /* with a scale alone */
	INSTANCE_TWO,	 /* with 2 and 2 for all */
	BARE
};

enum parameter {
	PARAMETER_NONE,
	PER_CHANNEL,
	PER_CHANNEL_LEFT, /* on the left side */
	PER_ROW,	  /* varies over the height */
	PER_PIXEL,	  /* over channels and height */
	PER_IMAGE
};

struct form {
	int64_t groups;
	enum split split;
	enum spelling spelling;
	enum parameter gamma, beta;
	bool last_first; /* beta before gamma */
	bool features;	 /* [N, C] */
	bool lines;	 /* [N, C, W] */
	bool symbolic;	 /* number of images and height */
	bool root_mean_square;
	bool transposed;	   /* the last two axes of the result */
	bool other_shape;	   /* reshaped to [N, C, W, H] */
	bool norm_read, back_read; /* by an output */
	/* what becomes of it: rank and axes of the norm, parameters inside; 0: as it was */
	int32_t rank;
	uint32_t axes;
	bool has_gamma, has_beta;
};

/* ---- writing ---- */

static struct node *image(struct graph *g, const struct form *f)
{
	struct dims *dims = g->context->dims;
	int32_t channel = f->split == SPLIT_LAST ? 3 : 1;
	struct type t = type_fixed(g->context, NORMC_F32, 4,
				   (const int64_t[]){f->split == SPLIT_ODD ? 4 : IMAGES, HEIGHT,
						     HEIGHT, WIDTH});
	t.dim[2] = dim_const(dims, channel == 3 ? WIDTH : HEIGHT);
	t.dim[3] = dim_const(dims, WIDTH);
	t.dim[channel] = dim_const(dims, CHANNELS);
	if (f->symbolic) {
		t.dim[0] = dim_symbol(dims, (struct symbol){"N", 0, 0, false});
		t.dim[2] = dim_symbol(dims, (struct symbol){"H", 0, 2, false});
	}
	t.dim[2] = f->lines ? t.dim[3] : t.dim[2];
	t.rank = f->features ? 2 : f->lines ? 3 : 4;
	return graph_input(g, "x", &t);
}

/* The shape of groups, and the axes that are normalized. */
static int32_t split_shape(struct dims *dims, const struct form *f, const struct type *x,
			   const struct dim **dim, uint32_t *axes)
{
	const struct dim *groups = dim_const(dims, f->groups),
			 *size = dim_const(dims, CHANNELS / f->groups);
	const struct dim *pixels = dim_const(dims, 1);
	for (int32_t i = 2; i < x->rank; i++)
		pixels = dim_mul(dims, pixels, x->dim[i]);
	const struct dim *folded = dim_mul(dims, x->dim[0], groups);
	const struct dim *shapes[][5] = {
			[SPLIT_FLAT] = {x->dim[0], groups, dim_mul(dims, size, pixels)},
			[SPLIT_WHOLE] = {x->dim[0], groups, size, x->dim[2], x->dim[3]},
			[SPLIT_PARTLY] = {x->dim[0], groups, size, pixels},
			[SPLIT_FOLDED] = {folded, dim_mul(dims, size, pixels)},
			[SPLIT_FOLDED_WHOLE] = {folded, size, x->dim[2], x->dim[3]},
			[SPLIT_LAST] = {x->dim[0], x->dim[1], x->dim[2], groups, size},
			[SPLIT_INTERLEAVED] = {x->dim[0], size, groups, pixels},
			[SPLIT_ODD] = {dim_const(dims, 9), dim_const(dims, 32)},
			[SPLIT_FOUR] = {x->dim[0], dim_const(dims, 4), dim_const(dims, 18)},
	};
	static const struct {
		int32_t rank;
		uint32_t axes;
	} known[] = {{3, 4}, {5, 28}, {4, 12}, {2, 2}, {4, 14}, {5, 22}, {4, 10}, {2, 2}, {3, 4}};
	memcpy(dim, shapes[f->split], sizeof shapes[0]);
	*axes = known[f->split].axes;
	return known[f->split].rank;
}

static struct node *primitives(struct graph *g, const struct form *f, struct node *x, uint32_t axes)
{
	struct node *d = f->root_mean_square
					 ? x
					 : build_binary(g, OP_sub, x, build_mean(g, x, axes, true));
	struct node *v = build_mean(g, part_mul(g, d, d), axes, true);
	v = part_add(g, v, build_number(g, NORMC_F32, 0.0625));
	return build_binary(g, OP_div, d, build_unary(g, OP_sqrt, v));
}

static struct node *normalized(struct graph *g, const struct form *f, struct node *x, uint32_t axes)
{
	struct shape shape = {.rank = x->type.rank, .dim = {1, 1, 1, 1, 1}};
	struct attr_norm attr = {.axes = axes,
				 .centre = f->root_mean_square ? NORM_CENTRE_NONE
							       : NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .epsilon = 0.0625};
	struct norm_operands in = {.x = x};
	if (f->spelling == PRIMITIVES)
		return primitives(g, f, x, axes);
	if (f->spelling != BARE) {
		bool scaled = f->spelling != INSTANCE && f->spelling != INSTANCE_TWO;
		double two = f->spelling == INSTANCE_TWO ? 2 : 0;
		shape.dim[1] = x->type.dim[1]->value;
		attr.gamma = true;
		attr.beta = f->spelling != INSTANCE_GAMMA;
		in.gamma = scaled ? part_weights(g, shape)
				  : part_random(g, shape, two ? two : 1, two ? two : 1);
		in.beta = scaled ? part_weights(g, shape) : part_random(g, shape, two, two);
	}
	return build_norm(g, in, &attr);
}

static struct node *with_parameter(struct graph *g, const struct form *f, enum op op,
				   struct node *y)
{
	enum parameter kind = op == OP_mul ? f->gamma : f->beta;
	struct shape shape = {.rank = y->type.rank, .dim = {1, 1, 1, 1}};
	if (kind == PARAMETER_NONE)
		return y;
	if (kind != PER_ROW && kind != PER_IMAGE)
		shape.dim[f->split == SPLIT_LAST ? 3 : 1] = CHANNELS;
	if (kind == PER_ROW || kind == PER_PIXEL)
		shape.dim[2] = y->type.dim[2]->value;
	if (kind == PER_IMAGE)
		shape.dim[0] = IMAGES;
	struct node *p = part_weights(g, shape);
	return kind == PER_CHANNEL_LEFT ? build_binary(g, op, p, y) : build_binary(g, op, y, p);
}

static struct node *write_form(struct graph *g, const struct form *f)
{
	static const int32_t swap[4] = {0, 1, 3, 2};
	const struct dim *dim[5], *back[MAX_RANK];
	struct node *x = image(g, f), *y;
	uint32_t axes;
	int32_t rank = split_shape(g->context->dims, f, &x->type, dim, &axes);
	memcpy(back, x->type.dim, sizeof x->type.dim);
	if (f->other_shape) {
		back[2] = x->type.dim[3];
		back[3] = x->type.dim[2];
	}
	y = normalized(g, f, build_reshape(g, x, rank, dim), axes);
	if (f->norm_read)
		graph_output(g, y, "normalized");
	y = build_reshape(g, y, x->type.rank, back);
	if (f->transposed)
		y = build_transpose(g, y, swap);
	if (f->back_read)
		graph_output(g, y, "back");
	y = with_parameter(g, f, f->last_first ? OP_add : OP_mul, y);
	return with_parameter(g, f, f->last_first ? OP_mul : OP_add, y);
}

/* ---- checking ---- */

static void expect(const struct graph *g, const struct form *f)
{
	const struct node *found = NULL;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i]->op == OP_norm) {
			assert_null(found);
			found = g->nodes[i];
		}
	assert_non_null(found);
	const struct attr_norm *a = found->attr.norm;
	assert_int_equal(found->type.rank, f->rank);
	assert_int_equal(a->axes, f->axes);
	assert_int_equal(a->gamma, f->has_gamma);
	assert_int_equal(a->beta, f->has_beta);
	assert_int_equal(found->in[0]->op, f->groups == CHANNELS ? OP_input : OP_reshape);
	for (uint32_t k = 1; k < found->n_in; k++) {
		int64_t count = type_fixed_count(&found->in[k]->type);
		assert_true(count == CHANNELS || count == f->groups || f->spelling == INSTANCE_TWO);
	}
}

/* ---- the table ---- */

#define AFFINE	  .gamma = PER_CHANNEL, .beta = PER_CHANNEL
#define GROUPS	  .rank = 5, .axes = 28
#define INSTANCES .rank = 4, .axes = 12
#define JOINED	  .has_gamma = true, .has_beta = true
#define FORMS(X)                                                                                   \
	X(group_norm, true, .groups = 2, .spelling = INSTANCE, AFFINE, GROUPS, JOINED)             \
	X(group_norm_left, true, .groups = 3, .spelling = INSTANCE, .gamma = PER_CHANNEL_LEFT,     \
	  .beta = PER_CHANNEL_LEFT, GROUPS, JOINED)                                                \
	X(group_norm_symbolic, true, .groups = 2, .spelling = INSTANCE, .symbolic = true, AFFINE,  \
	  GROUPS, JOINED)                                                                          \
	X(group_norm_bare, true, .groups = 2, .spelling = INSTANCE, GROUPS)                        \
	X(group_norm_gamma, true, .groups = 2, .spelling = INSTANCE, .gamma = PER_CHANNEL, GROUPS, \
	  .has_gamma = true)                                                                       \
	X(group_norm_beta, true, .groups = 2, .spelling = INSTANCE, .beta = PER_CHANNEL, GROUPS,   \
	  .has_beta = true)                                                                        \
	X(group_norm_spelt, true, .groups = 2, AFFINE, GROUPS, JOINED)                             \
	X(group_norm_spelt_symbolic, true, .groups = 3, .symbolic = true, AFFINE, GROUPS, JOINED)  \
	X(group_norm_spelt_bare, true, .groups = 3, GROUPS)                                        \
	X(group_norm_whole, true, .groups = 2, .split = SPLIT_WHOLE, AFFINE, GROUPS, JOINED)       \
	X(group_norm_whole_symbolic, true, .groups = 2, .split = SPLIT_WHOLE, .symbolic = true,    \
	  AFFINE, GROUPS, JOINED)                                                                  \
	X(group_norm_whole_instance, true, .groups = 2, .split = SPLIT_WHOLE,                      \
	  .spelling = INSTANCE, AFFINE, GROUPS, JOINED)                                            \
	X(group_norm_as_it_is, false, .groups = 2, .split = SPLIT_WHOLE, .spelling = INSTANCE,     \
	  GROUPS, JOINED)                                                                          \
	X(group_norm_of_features, true, .groups = 2, .features = true, .spelling = INSTANCE,       \
	  AFFINE, .rank = 3, .axes = 4, JOINED)                                                    \
	X(group_norm_of_features_spelt, true, .groups = 3, .features = true, AFFINE, .rank = 3,    \
	  .axes = 4, JOINED)                                                                       \
	X(group_norm_of_lines, true, .groups = 2, .lines = true, .spelling = INSTANCE, AFFINE,     \
	  .rank = 4, .axes = 12, JOINED)                                                           \
	X(instance_norm_of_lines, true, .groups = CHANNELS, .lines = true, .spelling = INSTANCE,   \
	  AFFINE, .rank = 3, .axes = 4, JOINED)                                                    \
	X(group_norm_partly, true, .groups = 2, .split = SPLIT_PARTLY, AFFINE, GROUPS, JOINED)     \
	X(group_norm_folded, true, .groups = 3, .split = SPLIT_FOLDED, AFFINE, GROUPS, JOINED)     \
	X(group_norm_folded_symbolic, true, .groups = 3, .split = SPLIT_FOLDED, .symbolic = true,  \
	  AFFINE, GROUPS, JOINED)                                                                  \
	X(group_norm_folded_whole, true, .groups = 3, .split = SPLIT_FOLDED_WHOLE, AFFINE, GROUPS, \
	  JOINED)                                                                                  \
	X(group_norm_of_norm, true, .groups = 2, .spelling = BARE, .split = SPLIT_PARTLY, AFFINE,  \
	  GROUPS, JOINED)                                                                          \
	X(group_rms_norm, true, .groups = 2, .root_mean_square = true, AFFINE, GROUPS, JOINED)     \
	X(one_group, true, .groups = 1, .spelling = INSTANCE, .symbolic = true, AFFINE, GROUPS,    \
	  JOINED)                                                                                  \
	X(parameters_of_groups, true, .groups = 2, .spelling = INSTANCE_SCALED, GROUPS, JOINED)    \
	X(channels_last, true, .groups = 2, .split = SPLIT_LAST, AFFINE, .rank = 5, .axes = 22,    \
	  JOINED)                                                                                  \
	X(instance_norm, true, .groups = CHANNELS, AFFINE, INSTANCES, JOINED)                      \
	X(instance_norm_bare, true, .groups = CHANNELS, INSTANCES)                                 \
	X(instance_norm_symbolic, true, .groups = CHANNELS, .symbolic = true, AFFINE, INSTANCES,   \
	  JOINED)                                                                                  \
	X(instance_norm_of_groups, true, .groups = CHANNELS, .spelling = INSTANCE, AFFINE,         \
	  INSTANCES, JOINED)                                                                       \
	X(instance_norm_scaled, true, .groups = CHANNELS, .spelling = INSTANCE_SCALED, INSTANCES,  \
	  JOINED)                                                                                  \
	X(instance_norm_whole, true, .groups = CHANNELS, .split = SPLIT_WHOLE, AFFINE, INSTANCES,  \
	  JOINED)                                                                                  \
	X(instance_norm_folded, true, .groups = CHANNELS, .split = SPLIT_FOLDED_WHOLE, AFFINE,     \
	  INSTANCES, JOINED)                                                                       \
	/* near misses */                                                                          \
	X(interleaved, true, .groups = 2, .split = SPLIT_INTERLEAVED, .rank = 4, .axes = 10)       \
	X(interleaved_norm, false, .groups = 2, .split = SPLIT_INTERLEAVED, .spelling = BARE,      \
	  .rank = 4, .axes = 10)                                                                   \
	X(everything, false, .groups = 1, .split = SPLIT_FOLDED, .spelling = BARE, .rank = 2,      \
	  .axes = 2)                                                                               \
	X(another_shape_whole, false, .groups = 2, .split = SPLIT_WHOLE, .spelling = BARE,         \
	  .other_shape = true, AFFINE, GROUPS)                                                     \
	X(across_images, false, .groups = 2, .split = SPLIT_ODD, .spelling = BARE, .rank = 2,      \
	  .axes = 2)                                                                               \
	X(across_channels, false, .groups = 2, .split = SPLIT_FOUR, .spelling = BARE, .rank = 3,   \
	  .axes = 4)                                                                               \
	X(twice_and_two, true, .groups = 2, .spelling = INSTANCE_TWO, GROUPS, JOINED)              \
	X(another_shape, false, .groups = 2, .spelling = INSTANCE, .other_shape = true, .rank = 3, \
	  .axes = 4, JOINED)                                                                       \
	X(another_shape_affine, false, .groups = 2, .spelling = BARE, .other_shape = true, AFFINE, \
	  .rank = 3, .axes = 4)                                                                    \
	X(norm_read_twice, false, .groups = 2, .spelling = INSTANCE, AFFINE, .norm_read = true,    \
	  .rank = 3, .axes = 4, JOINED)                                                            \
	X(norm_read_twice_whole, false, .groups = 2, .spelling = BARE, .split = SPLIT_WHOLE,       \
	  AFFINE, .norm_read = true, GROUPS)                                                       \
	X(back_read_twice, false, .groups = 2, .spelling = BARE, .split = SPLIT_WHOLE, AFFINE,     \
	  .back_read = true, GROUPS)                                                               \
	X(gamma_of_rows, false, .groups = 2, .spelling = BARE, .split = SPLIT_WHOLE,               \
	  .gamma = PER_ROW, GROUPS)                                                                \
	X(gamma_of_images, false, .groups = 2, .spelling = BARE, .split = SPLIT_WHOLE,             \
	  .gamma = PER_IMAGE, GROUPS)                                                              \
	X(transposed, false, .groups = 2, .spelling = BARE, .split = SPLIT_WHOLE, AFFINE,          \
	  .transposed = true, GROUPS)                                                              \
	X(gamma_of_groups_outside, false, .groups = 2, .spelling = INSTANCE_SCALED,                \
	  .split = SPLIT_WHOLE, .gamma = PER_CHANNEL, GROUPS, JOINED)                              \
	X(gamma_of_pixels, true, .groups = 2, .spelling = INSTANCE, .gamma = PER_PIXEL,            \
	  .beta = PER_CHANNEL, GROUPS)                                                             \
	X(beta_of_pixels, true, .groups = 2, .spelling = INSTANCE, .gamma = PER_CHANNEL,           \
	  .beta = PER_PIXEL, GROUPS, .has_gamma = true)                                            \
	X(beta_before_gamma, true, .groups = 2, .spelling = INSTANCE, AFFINE, .last_first = true,  \
	  GROUPS, .has_beta = true)                                                                \
	X(gamma_twice, true, .groups = 2, .spelling = INSTANCE_GAMMA, AFFINE, GROUPS,              \
	  .has_gamma = true)                                                                       \
	X(gamma_twice_beta, true, .groups = 2, .spelling = INSTANCE_GAMMA, .beta = PER_CHANNEL,    \
	  GROUPS, JOINED)                                                                          \
	X(gamma_of_both, true, .groups = 2, .spelling = INSTANCE_SCALED, AFFINE, GROUPS, JOINED)

#define X(name, fires, ...)                                                                        \
	static const struct form form_##name = {__VA_ARGS__};                                      \
	static struct node *make_##name(struct graph *g)                                           \
	{                                                                                          \
		return write_form(g, &form_##name);                                                \
	}                                                                                          \
	static void check_##name(const struct graph *g)                                            \
	{                                                                                          \
		expect(g, &form_##name);                                                           \
	}
FORMS(X)
#undef X

#define X(name, fires, ...) {#name, make_##name, "recognize", fires, NULL, check_##name},
static const struct rewrite_case cases[] = {FORMS(X)};
#undef X

int main(void)
{
	return RUN_REWRITE_CASES("recognize_group", cases) |
	       RUN_ALGEBRA_CASES("recognize_group", cases);
}
