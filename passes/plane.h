/* Affine maps of planes: values s x + t whose s and t do not vary along certain axes (the plane),
 * of one x, the base.  Their spectra along these axes differ by a scale, but for the constant
 * coefficient.
 */
#ifndef NORMC_PASSES_PLANE_H
#define NORMC_PASSES_PLANE_H

#include "graph.h"

struct plane_map {
	struct node *base;
	struct node *sign; /* of s: -1, 0 or 1, extents 1 along the plane; NULL: 1 everywhere */
	bool has_zero;	   /* s is 0 somewhere */
};

/* What `n` is without the broadcasts that spread it along the axes: extents 1 there.  NULL: it
 * varies along one of them, or is not known not to. */
struct node *uniform_part(struct node *n, uint32_t axes);

/* The lowest value of which `n` is an affine map with a slope of known sign; n itself if there is
 * no other.  Builds the sign in `g`. */
struct plane_map plane_map_of(struct graph *g, struct node *n, uint32_t axes);

/* The mean of `n` over the plane, extents 1 there, by way of the mean of its base. */
struct node *plane_mean(struct graph *g, struct node *n, const struct node *base, uint32_t axes);

#endif
