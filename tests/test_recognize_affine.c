/* Layers that are affine maps once they are spelt out: batch normalization with constant
 * statistics, Unified Normalization in inference form (no mean), the scales and the shift of DyT.
 * Chains of constants in any order join the product beside them, and nothing is left of them; in
 * near misses something must stay.
 */
#include "algebra_case.h"

enum { CHANNELS = 6 };

enum layer { CONV, CONV_GROUPED, CONV_PADDED, LINEAR };
enum centre { SUBTRACTED, ADDED, CENTRE_NONE };
enum root {
	OVER_ROOT,	  /* / sqrt(v + e) */
	TIMES_INVERSE,	  /* * (1 / sqrt(v + e)) */
	TIMES_POWER,	  /* * (v + e)^-0.5 */
	TIMES_RECIPROCAL, /* * sqrt(1 / (v + e)) */
	OVER_POWER,	  /* / (v + e)^0.5 */
	OUTSIDE		  /* / (sqrt(v) + e) */
};
enum gamma {
	AFTER,		/* ... / s * gamma */
	AFTER_LEFT,	/* gamma * (... / s) */
	BEFORE,		/* gamma * (x - m) / s */
	WITH_ROOT,	/* (x - m) * (gamma / s) */
	MULTIPLIED_OUT, /* x * (gamma / s) + (beta - m * (gamma / s)) */
	GAMMA_NONE
};
enum fault {
	FAULT_NONE,
	FAULT_PIXELS,	 /* gamma also varies over rows */
	FAULT_IMAGES,	 /* beta varies over images */
	FAULT_COMPUTED,	 /* the variance is not constant */
	FAULT_READ,	 /* the product is an output, too */
	FAULT_ACTIVATION /* before gamma */
};

struct form {
	enum layer layer;
	bool before; /* the map stands before its product */
	enum centre centre;
	enum root root;
	enum gamma gamma;
	bool no_beta;
	enum fault fault;
	uint32_t left; /* products, quotients and sums by constants that stay, biases aside */
};

/* ---- writing ---- */

struct writer {
	struct graph *g;
	const struct form *f;
	struct node *mean, *gamma, *beta, *variance;
};

static struct node *number(struct writer *w, double value)
{
	return build_number(w->g, NORMC_F32, value);
}

static struct node *binary(struct writer *w, enum op op, struct node *a, struct node *b)
{
	return build_binary(w->g, op, a, b);
}

/* above / deviation, above NULL: nothing */
static struct node *over_deviation(struct writer *w, struct node *above)
{
	struct graph *g = w->g;
	struct node *v = binary(w, OP_add, w->variance, number(w, 1e-3)), *one = number(w, 1);
	switch (w->f->root) {
	case TIMES_INVERSE:
		return part_mul(g, above, binary(w, OP_div, one, build_unary(g, OP_sqrt, v)));
	case TIMES_POWER:
		return part_mul(g, above, binary(w, OP_pow, v, number(w, -0.5)));
	case TIMES_RECIPROCAL:
		return part_mul(g, above, build_unary(g, OP_sqrt, binary(w, OP_div, one, v)));
	case OVER_POWER:
		return binary(w, OP_div, above, binary(w, OP_pow, v, number(w, 0.5)));
	case OUTSIDE:
		v = build_unary(g, OP_sqrt, w->variance);
		return binary(w, OP_div, above, binary(w, OP_add, v, number(w, 1e-3)));
	default:
		return binary(w, OP_div, above, build_unary(g, OP_sqrt, v));
	}
}

static struct node *centred(struct writer *w, struct node *x)
{
	if (w->f->centre == SUBTRACTED)
		return binary(w, OP_sub, x, w->mean);
	return w->f->centre == ADDED ? binary(w, OP_add, w->mean, x) : x;
}

static struct node *layer_norm(struct writer *w, struct node *x)
{
	const struct form *f = w->f;
	if (f->gamma == MULTIPLIED_OUT) {
		struct node *k = over_deviation(w, w->gamma);
		struct node *shift = binary(w, OP_sub, w->beta, binary(w, OP_mul, w->mean, k));
		return binary(w, OP_add, binary(w, OP_mul, x, k), shift);
	}
	struct node *d = centred(w, x), *y;
	if (f->gamma == BEFORE)
		y = over_deviation(w, binary(w, OP_mul, w->gamma, d));
	else if (f->gamma == WITH_ROOT)
		y = binary(w, OP_mul, d, over_deviation(w, w->gamma));
	else
		y = over_deviation(w, d);
	if (f->fault == FAULT_ACTIVATION)
		y = build_unary(w->g, OP_tanh, y);
	if (f->gamma == AFTER)
		y = binary(w, OP_mul, y, w->gamma);
	if (f->gamma == AFTER_LEFT)
		y = binary(w, OP_mul, w->gamma, y);
	return f->no_beta ? y : binary(w, OP_add, y, w->beta);
}

static struct node *product(struct graph *g, struct node *x, enum layer layer)
{
	struct part_conv conv = {CHANNELS, 2, layer == CONV_PADDED, layer == CONV_GROUPED ? 2 : 1};
	return layer == LINEAR ? part_linear(g, x, CHANNELS) : part_conv(g, x, conv);
}

static struct node *write_form(struct graph *g, const struct form *f)
{
	bool linear = f->layer == LINEAR;
	struct node *x = linear ? part_input(g, "x", SHAPE(2, 3, CHANNELS))
				: part_input(g, "x", SHAPE(2, CHANNELS, 4, 4)),
		    *y;
	struct shape shape = {.rank = linear ? 3 : 4, .dim = {1, 1, 1, 1}}, more;
	struct writer w = {g, f, NULL, NULL, NULL, NULL};
	shape.dim[linear ? 2 : 1] = CHANNELS;
	x = f->before ? build_unary(g, OP_tanh, x) : product(g, x, f->layer);
	more = shape;
	if (f->fault == FAULT_PIXELS)
		more.dim[2] = x->type.dim[2]->value;
	w.gamma = part_weights(g, more);
	more = shape;
	if (f->fault == FAULT_IMAGES)
		more.dim[0] = 2;
	w.beta = part_weights(g, more);
	w.mean = part_weights(g, shape);
	w.variance = part_positive(g, shape);
	if (f->fault == FAULT_COMPUTED)
		w.variance = build_unary(g, OP_exp, part_input(g, "v", shape));
	if (f->fault == FAULT_READ)
		graph_output(g, x, "product");
	y = layer_norm(&w, x);
	return f->before ? product(g, y, f->layer) : build_unary(g, OP_tanh, y);
}

/* ---- checking ---- */

static void expect(const struct graph *g, const struct form *f)
{
	uint32_t left = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		bool map = n->op == OP_mul || n->op == OP_div || n->op == OP_add || n->op == OP_sub;
		const struct node *bias = map ? constant_of(n->in[1]) : NULL;
		bool joins = n->op == OP_add &&
			     (n->in[0]->op == OP_conv || n->in[0]->op == OP_matmul);
		joins = joins && bias && type_fixed_count(&bias->type) <= CHANNELS;
		left += map && !joins;
		assert_int_not_equal(n->op, OP_norm);
	}
	assert_int_equal(left, f->left);
}

/* ---- the table ---- */

#define FORMS(X)                                                                                   \
	X(batch_norm, "fold_norm", true, .layer = CONV)                                            \
	X(batch_norm_added, "fold_norm", true, .layer = CONV, .centre = ADDED)                     \
	X(batch_norm_inverse, "fold_norm", true, .layer = CONV, .root = TIMES_INVERSE)             \
	X(batch_norm_power, "fold_norm", true, .layer = CONV, .root = TIMES_POWER,                 \
	  .gamma = AFTER_LEFT)                                                                     \
	X(batch_norm_reciprocal, "fold_norm", true, .layer = CONV, .root = TIMES_RECIPROCAL)       \
	X(batch_norm_over_power, "fold_norm", true, .layer = CONV_PADDED, .root = OVER_POWER)      \
	X(batch_norm_outside, "fold_norm", true, .layer = CONV, .root = OUTSIDE)                   \
	X(batch_norm_gamma_first, "fold_norm", true, .layer = CONV, .gamma = BEFORE)               \
	X(batch_norm_gamma_first_inverse, "fold_norm", true, .layer = CONV, .gamma = BEFORE,       \
	  .root = TIMES_INVERSE)                                                                   \
	X(batch_norm_one_factor, "fold_norm", true, .layer = CONV, .gamma = WITH_ROOT)             \
	X(batch_norm_multiplied_out, "fold_norm", true, .layer = CONV_PADDED,                      \
	  .gamma = MULTIPLIED_OUT)                                                                 \
	X(batch_norm_without_gamma, "fold_norm", true, .layer = CONV, .gamma = GAMMA_NONE)         \
	X(batch_norm_without_beta, "fold_norm", true, .layer = CONV, .no_beta = true)              \
	X(batch_norm_of_groups, "fold_norm", true, .layer = CONV_GROUPED, .gamma = BEFORE)         \
	X(batch_norm_of_features, "fold_norm", true, .layer = LINEAR)                              \
	X(batch_norm_of_features_power, "fold_norm", true, .layer = LINEAR, .root = TIMES_POWER)   \
	X(unified, "fold_norm", true, .layer = LINEAR, .centre = CENTRE_NONE)                      \
	X(unified_one_factor, "fold_norm", true, .layer = LINEAR, .centre = CENTRE_NONE,           \
	  .gamma = WITH_ROOT)                                                                      \
	X(unified_power, "fold_norm", true, .layer = LINEAR, .centre = CENTRE_NONE,                \
	  .gamma = AFTER_LEFT, .root = TIMES_POWER)                                                \
	X(unified_of_images, "fold_norm", true, .layer = CONV_PADDED, .centre = CENTRE_NONE,       \
	  .root = TIMES_INVERSE)                                                                   \
	X(before_conv, "absorb", true, .before = true, .layer = CONV)                              \
	X(before_conv_one_factor, "absorb", true, .before = true, .layer = CONV,                   \
	  .gamma = WITH_ROOT)                                                                      \
	X(before_conv_multiplied_out, "absorb", true, .before = true, .layer = CONV,               \
	  .gamma = MULTIPLIED_OUT)                                                                 \
	X(before_linear, "absorb", true, .before = true, .layer = LINEAR, .root = TIMES_POWER)     \
	X(before_linear_unified, "absorb", true, .before = true, .layer = LINEAR,                  \
	  .centre = CENTRE_NONE, .gamma = WITH_ROOT)                                               \
	X(before_groups, "absorb", true, .before = true, .layer = CONV_GROUPED, .gamma = BEFORE)   \
	X(before_conv_without_gamma, "absorb", true, .before = true, .layer = CONV,                \
	  .gamma = GAMMA_NONE)                                                                     \
	/* near misses */                                                                          \
	X(scale_of_pixels, "fold_norm", false, .layer = CONV, .fault = FAULT_PIXELS,               \
	  .root = TIMES_INVERSE, .no_beta = true, .left = 1)                                       \
	X(shift_of_images, "fold_norm", true, .layer = CONV, .fault = FAULT_IMAGES, .left = 1)     \
	X(computed_variance, "fold_norm", true, .layer = CONV, .fault = FAULT_COMPUTED, .left = 3) \
	X(read_twice, "fold_norm", false, .layer = CONV, .fault = FAULT_READ, .left = 2)           \
	X(activation_between, "fold_norm", true, .layer = CONV, .fault = FAULT_ACTIVATION,         \
	  .left = 2)                                                                               \
	/* the bias at the border is another: a sum with a constant of its own */                  \
	X(before_padding, "absorb", true, .before = true, .layer = CONV_PADDED, .left = 1)         \
	X(before_conv_computed, "absorb", true, .before = true, .layer = CONV,                     \
	  .fault = FAULT_COMPUTED, .left = 3)                                                      \
	X(before_conv_pixels, "absorb", true, .before = true, .layer = CONV,                       \
	  .fault = FAULT_PIXELS, .left = 2)                                                        \
	X(before_conv_read, "absorb", true, .before = true, .layer = CONV, .fault = FAULT_READ)    \
	X(before_conv_activation, "absorb", true, .before = true, .layer = CONV,                   \
	  .fault = FAULT_ACTIVATION, .left = 2)

#define X(name, rule, fires, ...)                                                                  \
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

/* ---- DyT: gamma * tanh(alpha * x) + beta ---- */

static struct node *dyt(struct graph *g, struct node *x, bool vector)
{
	struct node *y = build_unary(g, OP_tanh, part_mul(g, x, build_number(g, NORMC_F32, 0.75)));
	y = part_mul(g, y, vector ? part_weights(g, SHAPE(CHANNELS)) : part_weights(g, SHAPE(1)));
	return part_add(g, y, part_weights(g, SHAPE(CHANNELS)));
}

static struct node *tokens(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 3, CHANNELS));
}

static struct node *dyt_behind_linear(struct graph *g)
{
	return dyt(g, part_linear(g, tokens(g), CHANNELS), true);
}

static struct node *dyt_between_linears(struct graph *g)
{
	return part_linear(g, dyt(g, part_linear(g, tokens(g), CHANNELS), true), 4);
}

static struct node *dyt_before_linear(struct graph *g)
{
	return part_linear(g, dyt(g, tokens(g), true), 4);
}

static struct node *dyt_before_two(struct graph *g)
{
	struct node *y = dyt(g, tokens(g), true);
	return part_add(g, part_linear(g, y, 4), part_linear(g, y, 4));
}

/* A residual stream: alpha has nothing to join. */
static struct node *dyt_of_stream(struct graph *g)
{
	struct node *x = tokens(g);
	struct node *y = part_linear(g, part_add(g, x, part_linear(g, x, CHANNELS)), CHANNELS);
	graph_output(g, y, "stream");
	return part_linear(g, dyt(g, y, true), 4);
}

static struct node *dyt_output(struct graph *g)
{
	return dyt(g, tokens(g), true);
}

static void nothing_left(const struct graph *g)
{
	expect(g, &(struct form){.left = 0});
}

static void one_left(const struct graph *g)
{
	expect(g, &(struct form){.left = 1});
}

static void two_left(const struct graph *g)
{
	expect(g, &(struct form){.left = 2});
}

static void three_left(const struct graph *g)
{
	expect(g, &(struct form){.left = 3});
}

#define X(name, rule, fires, ...) {#name, make_##name, rule, fires, NULL, check_##name},
#define DYT(name, rule, fires, check)                                                              \
	{                                                                                          \
#name, name, rule, fires, NULL, check                                              \
	}
static const struct rewrite_case cases[] = {
		FORMS(X) DYT(dyt_behind_linear, "fold_norm", true, two_left),
		DYT(dyt_between_linears, "fold_norm", true, nothing_left),
		DYT(dyt_between_linears, "absorb", true, nothing_left),
		DYT(dyt_before_linear, "absorb", true, one_left),
		DYT(dyt_before_two, "absorb", true, two_left),
		DYT(dyt_of_stream, "fold_norm", false, two_left),
		DYT(dyt_output, "absorb", false, three_left),
};
#undef X

int main(void)
{
	return RUN_REWRITE_CASES("recognize_affine", cases) |
	       RUN_ALGEBRA_CASES("recognize_affine", cases);
}
