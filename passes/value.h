/* What passes ask about constants.  A broadcast of a constant counts as one: it is never spread out
 * in memory. */
#ifndef NORMC_PASSES_VALUE_H
#define NORMC_PASSES_VALUE_H

#include "graph.h"

/* The OP_constant that `n` is, or is a broadcast of; else NULL. It has n's rank. */
const struct node *constant_of(const struct node *n);
/* The number that all its elements are; false if they differ, there are none, or a double cannot
 * hold it. */
bool splat_of(const struct node *n, double *value);
/* Element i of an OP_constant as a double. */
double constant_at(const struct node *constant, int64_t i);
/* Least and greatest magnitude of its elements, zeros aside; false if one is infinite or NaN, or
 * there are too many. */
bool magnitudes_of(const struct node *n, double *least, double *greatest);

/* Greatest magnitude of an OP_constant of floats, 0 if it has no elements; infinite if one is
 * infinite or NaN. */
double greatest_magnitude(const struct node *constant);

/* A parameter that varies along one axis at most, as numbers. */
struct channel {
	const struct node *constant; /* NULL: there is no parameter */
	bool varies;
};
/* `n` may be NULL.  False if it is not constant, varies along another axis, or its extent is not
 * `count`. */
bool channel_of(const struct node *n, int32_t axis, int64_t count, struct channel *c);
/* Number o of it; `otherwise` if there is no parameter. */
double channel_at(const struct channel *c, int64_t o, double otherwise);

/* A constant of doubles, rounded to its element type. Its count is fixed. */
struct node *build_doubles(struct graph *g, const struct type *type, const double *value);
/* All elements equal, of any shape: a broadcast unless the shape is that of a single element. */
struct node *build_splat(struct graph *g, const struct type *type, double value);

/* Limits of a floating-point element type; below the smallest normal number results lose bits. */
double elem_smallest_normal(enum normc_elem elem);
double elem_largest(enum normc_elem elem);

/* Extent of dimension i if it is fixed, else -1. */
static inline int64_t fixed_extent(const struct type *t, int32_t i)
{
	return dim_is_const(t->dim[i]) ? t->dim[i]->value : -1;
}

#endif
