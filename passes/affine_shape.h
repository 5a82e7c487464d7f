/* Affine maps through reshapes, concatenations and slices. */
#ifndef NORMC_PASSES_AFFINE_SHAPE_H
#define NORMC_PASSES_AFFINE_SHAPE_H

#include "affine.h"

/* The map `of` (with an axis) of a value of one shape, as that of the same elements in another;
 * false if the numbers would vary along several axes there. */
bool affine_reshaped(struct graph *g, const struct type *from, const struct type *to,
		     const struct affine *of, struct affine *out);
/* Maps of all parts of a concatenation as that of the whole, and the other way for part k. */
enum affine_stop affine_joined(struct graph *g, const struct node *n, const struct affine *in,
			       struct affine *to);
enum affine_stop affine_part(struct graph *g, const struct node *n, const struct affine *of,
			     uint32_t k, struct affine *to);
/* The map of the whole as that of a slice, or backwards, where indices outside have none. */
enum affine_stop affine_cut(struct graph *g, const struct node *n, const struct affine *of,
			    bool backwards, struct affine *to);

#endif
