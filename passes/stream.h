/* Zero-mean analysis: which values can have mean zero along an axis without anybody noticing.
 *
 * A *stream* is a set of values that are sums, scalings and movements of each other (residual
 * streams of transformers): all of them can be recentred, x -> x - mean(x) along one axis, or none.
 * They can be if every reader outside the stream ignores a shift along the axis (a norm that
 * subtracts the mean itself, a softmax), and if every source can be recentred: constants, tables
 * and the weights of products by their contents; one other source by a subtraction at run time.
 * Norms that read a recentred stream need no mean of their own: LayerNorm is then RMSNorm with the
 * same epsilon, because the variance is mean(x^2) - mean(x)^2.
 *
 * A stream whose weights are many for the norms that would profit (a vocabulary for the one norm of
 * embeddings) stays: recentring would cost more than it saves.
 *
 * (Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, NeurIPS 2023.)
 */
#ifndef NORMC_PASSES_STREAM_H
#define NORMC_PASSES_STREAM_H

#include "axis.h"

/* How a node takes part. */
enum part {
	PART_NONE,	/* it does not */
	PART_LINEAR,	/* recentred by its operands; those that are constants by their contents */
	PART_PRODUCT,	/* by its weights */
	PART_NORM,	/* has mean zero already, but for its beta */
	PART_SUBTRACTED /* at run time */
};

struct streams {
	struct part_of {
		enum part part;
		int32_t axis;	    /* of the result; meaningless for PART_NONE */
		uint32_t stream;    /* number of its stream; 0: it is in none */
		bool meanless;	    /* a norm whose operand has mean zero */
		uint32_t reads;	    /* number of the stream that such a norm reads; else 0 */
		const char *missed; /* why a norm keeps its mean; else NULL */
	} * of;			    /* by node id */
};

/* Analyses a graph without dead nodes. In the graph's arena. */
struct streams streams_of(const struct graph *g);

#endif
