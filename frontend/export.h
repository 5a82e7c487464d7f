/* The graph form as an ONNX model: standard operators only, which other programs run too.
 *
 * The writer is the importer turned round: what the importer took apart (norms, activations,
 * biases, repetitions) is put together again where an operator says the same; the rest is written
 * in elementary operators, or, below the opset of a norm's operator, as a function of the model.
 * All nodes are written for one opset, the least that will do.  The
 * result depends on the graph only: the same graph gives the same bytes.
 */
#ifndef NORMC_FRONTEND_EXPORT_H
#define NORMC_FRONTEND_EXPORT_H

#include <stdio.h>

#include "graph.h"
#include "load.h"

enum {
	EXPORT_OPSET_FIRST = 13, /* the oldest that the writer knows */
	EXPORT_OPSET_LAST = 28,
	EXPORT_OPSET_USUAL = 23 /* the newest that it takes unasked: what ONNX Runtime loads */
};

struct export_request {
	const struct model *model; /* where the graph comes from: its producer; may be NULL */
	int32_t opset;		   /* where to begin, such as the model's own; raised if need be */
	int32_t cap;		   /* no operator of a later opset is used */
};

/* What was written. */
struct export_summary {
	int32_t opset;
	uint32_t nodes;
};

/* Writes `g` to `file`; allocates in its context's arena.  False after a report:
 * NORMC_UNSUPPORTED names the node that no operator below the cap says, NORMC_LIMIT a model above
 * 2 GiB, NORMC_IO a failed write.  One thread for each context. */
bool export_model(const struct graph *g, const struct export_request *request, FILE *file,
		  struct export_summary *summary);

/* The opset of ONNX's own operators that a model imports (0: none) and its number of nodes. */
int32_t export_model_opset(const struct model *model);
uint32_t export_model_nodes(const struct model *model);

#endif
