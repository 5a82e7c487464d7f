/* What a shift before a padded convolution adds to its result. */
#ifndef NORMC_PASSES_AFFINE_BORDER_H
#define NORMC_PASSES_AFFINE_BORDER_H

#include "graph.h"

/* The convolution, with the padding, strides and gaps of `conv`, of an image of ones with kernels
 * [o, 1, k...] of f64: [1, o, positions...], f64. NULL: extents are not fixed, or it would be large
 * or take long. */
struct node *border_bias(struct graph *g, const struct node *conv, const struct node *kernels);

#endif
