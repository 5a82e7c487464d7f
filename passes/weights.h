/* Arithmetic with constants while a rewrite runs: new weights from old ones.
 *
 * All of it is in fp64 and is rounded once, when a result gets the element type of the weights.
 * If the context says so (context->exact), each result also carries what it stands for modulo
 * RESIDUE_PRIME, so that verify can tell an error of a rewrite from the rounding of its weights.
 *
 * *Numbers* are constants of f64 and rank 1: a scale or a shift for each index along an axis.
 * Everything is built in `g` and shared like any node; nothing is freed. NULL: not possible.
 */
#ifndef NORMC_PASSES_WEIGHTS_H
#define NORMC_PASSES_WEIGHTS_H

#include "graph.h"

/* ---- numbers ---- */

/* `n` equal numbers. */
struct node *numbers_equal(struct graph *g, int64_t n, double value);
/* A parameter that varies along `axis` at most, as `n` numbers; `otherwise` for all of them if
 * `parameter` is NULL. NULL: it is not constant, varies along another axis, or has another extent.
 */
struct node *numbers_of(struct graph *g, const struct node *parameter, int32_t axis, int64_t n,
			double otherwise);
/* Elementwise, evaluated at once. */
struct node *numbers_binary(struct graph *g, enum op op, struct node *a, struct node *b);
struct node *numbers_unary(struct graph *g, enum op op, struct node *a);
/* A constant of any shape computed at once from an expression over constants; NULL if it is too
 * large for the interpreter. */
struct node *weights_now(struct graph *g, struct node *expression);

/* Numbers of `a`, and after them those of `b` (which may be NULL), by index. */
struct node *numbers_picked(struct graph *g, const struct node *a, const struct node *b,
			    const int64_t *index, int64_t n);
/* Whether they are as many, equal, and stand for the same. */
bool numbers_agree(struct graph *g, const struct node *a, const struct node *b);

int64_t numbers_count(const struct node *numbers);
/* As doubles. */
const double *numbers_values(const struct node *numbers);
/* Whether all are exactly `value`; false if one only became it by rounding. */
bool numbers_are(const struct node *numbers, double value);
/* Whether all are finite and none is beyond the largest of the element type. */
bool numbers_fit(const struct node *numbers, enum normc_elem elem);
/* As a parameter of element type `elem` along one of `rank` axes, all other extents 1. Rounds. */
struct node *numbers_along(struct graph *g, const struct node *numbers, enum normc_elem elem,
			   int32_t rank, int32_t axis);

/* ---- weights ---- */

/* Where numbers go along a constant: index i of the axis takes number i.  With groups (axis 1 of
 * the weights of a grouped convolution, which counts the channels of one group) index i of filter o
 * takes number (group of o) * extent + i. */
struct weights_axis {
	int32_t axis;
	int64_t groups; /* 0 counts as 1 */
};

/* w * s along an axis, in w's element type; NULL if an element would overflow. w: OP_constant of
 * floats. */
struct node *weights_scaled(struct graph *g, const struct node *w, struct weights_axis at,
			    const struct node *s);
/* The sum over an axis of w * t, with extent 1 there; f64. */
struct node *weights_summed(struct graph *g, const struct node *w, struct weights_axis at,
			    const struct node *t);
/* w without its means along an axis. */
struct node *weights_recentred(struct graph *g, const struct node *w, int32_t axis);
/* w without what stands at the last index of an axis, which becomes zero there. */
struct node *weights_less_last(struct graph *g, const struct node *w, int32_t axis);

#endif
