/* The smallest part of a graph on which a rewrite goes wrong: `normc verify --reduce`.
 *
 * A part is one node as the output, with some of its ancestors as inputs, which take the values
 * that they had in the whole graph.  Parts are rewritten and compared anew, so that what is found
 * fails by itself.  This is delta debugging (Zeller and Hildebrandt 2002) with the cuts that a
 * graph has: greedy, so that no single further cut fails, but other, smaller parts may exist.
 *
 * Allocates in the graph's arena.  Not for several threads on one context.
 */
#ifndef NORMC_FRONTEND_VERIFY_REDUCE_H
#define NORMC_FRONTEND_VERIFY_REDUCE_H

#include "eval.h"

struct reduction {
	const struct graph *before;
	const int64_t *symbols;
	const struct tensor *in;
	/* What `part` is to be compared with: the passes' result, or the part of another graph with
	 * the same names; NULL: there is none. Its symbols are those of `part`. */
	struct graph *(*rewrite)(void *user, struct graph *part);
	void *user;
	bool decisive;	     /* different residues are a failure; else only values are */
	struct arena *arena; /* of an evaluation; the caller closes it if memory is spent in it */

	/* What was found; `part` NULL: nothing that is small fails. */
	struct graph *part, *after;
	const struct tensor *values; /* of the part's inputs */
	uint32_t n_nodes;	     /* of the part, without inputs and constants */
	const char *text;	     /* how it fails */
};

/* False after a report. */
bool verify_reduce(struct reduction *r);

/* The value that is called `name` in a graph: an input, or what the ONNX node of that name
 * computes; NULL: none. */
struct node *verify_named(const struct graph *g, const char *name);

/* The part of another graph that has the input and output names of `part`; NULL: there is none.
 * For models without symbols. */
struct graph *verify_part_like(const struct graph *other, const struct graph *part);

#endif
