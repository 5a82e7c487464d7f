/* Affine maps with constant parameters, y = s*x + t: what batch normalization is once its
 * statistics are given, what gamma and beta of a norm are, and what products and sums with
 * constants are.
 */
#ifndef NORMC_PASSES_AFFINE_H
#define NORMC_PASSES_AFFINE_H

#include "graph.h"

/* Whether a norm computes no statistics: its centre and its scale are operands, or are none. */
bool norm_is_given(const struct node *n);

/* The parameters of such a norm with operands `in`, as f64 constants of any shape; NULL stands for
 * 1 and 0. False if one is not constant, or there are too many. */
bool norm_as_affine(struct graph *g, const struct node *norm, struct node *const *in,
		    struct node **scale, struct node **shift);

#endif
