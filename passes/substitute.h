/* Passes that put something cheaper in the place of a norm, which then computes something else.
 *
 * Whoever asks for one gives samples of what the norms are given: passes_run with `before` set to
 * the pass stops where the norms are as the pass sees them; the operands of those that
 * substitute_norms lists are recorded on calibration data; and passes_run on the same graph, with
 * the same list and the samples, in the same order, substitutes.  The passes themselves run
 * nothing: they fit constants to the samples (fit.h).
 */
#ifndef NORMC_PASSES_SUBSTITUTE_H
#define NORMC_PASSES_SUBSTITUTE_H

#include "graph.h"

/* Rows of the operand of a norm, along its axis. */
struct norm_sample {
	int64_t rows, width;
	const float *x; /* [rows][width]; borrowed */
};

/* The norms that the pass of this name replaces, in the order of nodes: over one axis of fixed
 * extent, with the root of a mean of squares as their scale; for layernorm_to_rms, with a mean.
 * `norm` has room for n_nodes. Returns how many. */
uint32_t substitute_norms(const struct graph *g, const char *pass, struct node **norm);
/* The axis of such a norm. */
int32_t substitute_axis(const struct node *norm);

#endif
