/* Parts of graphs with scales behind sums, and what to look for in them: for the tables of changes
 * of basis.
 */
#ifndef NORMC_TEST_GAUGE_PARTS_H
#define NORMC_TEST_GAUGE_PARTS_H

#include "algebra_case.h"

enum { WIDTH = 6, ROWS = 3 };

/* ---- parts of the graphs ---- */

static inline struct node *tanh_of(struct graph *g, struct node *x)
{
	return build_unary(g, OP_tanh, x);
}

/* Held: no weights make it. */
static inline struct node *held(struct graph *g)
{
	return tanh_of(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)));
}

/* Free: weights make it. */
static inline struct node *product(struct graph *g)
{
	return part_linear(g, held(g), WIDTH);
}

static inline struct node *head(struct graph *g, struct node *x)
{
	return part_linear(g, x, 4);
}

static inline struct node *branch(struct graph *g, struct node *x)
{
	struct node *y = tanh_of(g, part_add(g, part_linear(g, x, 5), part_weights(g, SHAPE(5))));
	return part_add(g, part_linear(g, y, WIDTH), part_weights(g, SHAPE(WIDTH)));
}

static inline struct node *sum(struct graph *g, struct node *x)
{
	return part_add(g, x, branch(g, x));
}

static inline struct node *scaled(struct graph *g, struct node *x)
{
	return part_mul(g, x, part_positive(g, SHAPE(1, 1, WIDTH)));
}

/* Unified Normalization behind a sum, at inference. */
static inline struct node *block(struct graph *g, struct node *x)
{
	return part_add(g, scaled(g, sum(g, x)), part_weights(g, SHAPE(1, 1, WIDTH)));
}

static inline struct node *two_heads(struct graph *g, struct node *x)
{
	return part_add(g, head(g, x), tanh_of(g, head(g, x)));
}

static inline struct node *swap_last(struct graph *g, struct node *x)
{
	static const int32_t swap[3] = {0, 2, 1};
	return build_transpose(g, x, swap);
}

static inline struct node *layer_norm(struct graph *g, struct node *x, bool affine)
{
	return part_norm(g, x,
			 (struct part_norm){.centred = true, .gamma = affine, .beta = affine});
}

static inline struct node *pixels(struct graph *g)
{
	struct node *x = tanh_of(g, part_input(g, "x", SHAPE(2, WIDTH, 4, 4)));
	return part_conv(g, x, (struct part_conv){WIDTH, 3, 1, 0});
}

static inline struct node *scaled_pixels(struct graph *g, struct node *x)
{
	return part_mul(g, x, part_positive(g, SHAPE(1, WIDTH, 1, 1)));
}

static inline struct node *convolve(struct graph *g, struct node *x, int64_t groups)
{
	return part_conv(g, x, (struct part_conv){WIDTH, 3, 1, groups});
}

/* Two scales of one value meet after a while, when a reader holds one of them already. */
static inline struct node *meet_later(struct graph *g, struct node *x, struct node **second)
{
	struct node *y = part_add(g, scaled(g, x), product(g));
	*second = scaled(g, x);
	return part_add(g, part_add(g, y, part_linear(g, held(g), WIDTH)), *second);
}

/* ---- what is left ---- */

static inline bool is_scale(const struct node *n)
{
	return (n->op == OP_mul || n->op == OP_div) &&
	       (constant_of(n->in[0]) || constant_of(n->in[1]));
}

static inline uint32_t count_scales(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += is_scale(g->nodes[i]);
	return n;
}

static inline void no_scale(const struct graph *g)
{
	assert_int_equal(count_scales(g), 0);
}

static inline void one_scale(const struct graph *g)
{
	assert_int_equal(count_scales(g), 1);
}

static inline void two_scales(const struct graph *g)
{
	assert_int_equal(count_scales(g), 2);
}

/* A shift of what is no product, but no scale. */
static inline void one_shift(const struct graph *g)
{
	uint32_t n = 0;
	no_scale(g);
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == OP_add && constant_of(g->nodes[i]->in[1]) &&
		     g->nodes[i]->in[0]->op != OP_matmul;
	assert_int_equal(n, 1);
}

/* Nor a shift: constants are added to products, or to what sums them up. */
static inline void no_map(const struct graph *g)
{
	no_scale(g);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (n->op == OP_add && constant_of(n->in[1]))
			assert_int_equal(n->in[0]->op, OP_matmul);
	}
}

#endif
