/* Graph form to kernel form, in steps; private to passes/.
 *
 *	prepare   rewrites the graph into what kernels can do (explicit padding, copies where a
 *	          view is impossible)
 *	fuse      groups nodes into kernels
 *	place     gives every value that is in memory a strided view of a buffer
 *	plan      gives buffers their place in the workspace
 */
#ifndef NORMC_PASSES_LOWER_H
#define NORMC_PASSES_LOWER_H

#include "graph.h"
#include "kernel.h"

/* Physical order of dimensions, slowest first. */
struct order {
	int32_t axis[MAX_RANK];
};

/* How a value would lie in memory: strides in elements, relative to the buffer of `base`. */
struct layout {
	bool strided;		 /* false: no strides can express it */
	struct order order;	 /* of dense values */
	const struct node *base; /* the node whose buffer holds it */
	const struct dim *offset;
	const struct dim *stride[MAX_RANK];
};

struct order order_canonical(int32_t rank);
/* n, spatial..., channels: for convolutions */
struct order order_channels_last(int32_t rank);
bool order_equal(const struct order *a, const struct order *b, int32_t rank);
/* Strides of a dense value in that order. */
void order_strides(struct dims *dims, const struct type *type, const struct order *order,
		   const struct dim **stride);
/* Layout of a view operation's result from its operand's layout; .strided false if impossible. */
struct layout layout_view(struct dims *dims, const struct node *view, const struct layout *in);
/* Whether elements lie row-major without gaps. */
bool layout_dense(struct dims *dims, const struct type *type, const struct dim *const *stride);
/* Strides for reshaping; false if the elements are not evenly spaced. */
bool reshape_strides(struct dims *dims, const struct type *from,
		     const struct dim *const *from_stride, const struct type *to,
		     const struct dim **to_stride);

/* Order in which the dense value of a node that is no view lies; in[i]: layout of operand i. */
struct order order_choose(const struct node *n, const struct layout *const *in);

/* The node whose kernel writes an output: the output, or what it is a reshape of. */
const struct node *output_base(const struct node *output);

struct graph *prepare(struct graph *g, struct layout ***layout_by_id);

/* Result of fuse: by node id. */
struct groups {
	const struct node **root;   /* of the group that computes it; NULL: dead, source or view */
	const struct node **anchor; /* by root's id */
};
struct groups fuse(const struct graph *g, struct layout *const *layout);

/* Adds a buffer; returns its number. */
uint32_t buffer_new(struct program *p, struct buffer b);
/* A buffer of the workspace for a dense value. */
uint32_t buffer_work(struct program *p, const struct type *type);
/* A product as the choice of its tile sees it. Unknown numbers are -1. */
struct tile_problem {
	int64_t rows;  /* evenly spaced ones, one after the other */
	int64_t lines; /* such runs that a tile may put together; 1: none */
	int64_t columns, k;
	int64_t row_bytes; /* distance of two rows of A; 0: unknown */
	int32_t lanes;	   /* elements of a vector */
};
struct tile_choice {
	int32_t rows, vectors;
};
struct tile_choice choose_tile(const struct tile_problem *problem, const struct machine *machine);
/* Fills in k->panels of a product or convolution whose operand 0 has its view; `b`: the layout of
 * operand 1. */
void place_panels(struct program *p, struct kernel *k, const struct layout *b,
		  const struct machine *machine);

bool place(struct program *p, struct layout *const *layout, const struct groups *groups,
	   const struct machine *machine);
void plan(struct program *p);

/* All steps; weights are appended to those of `outer`. NULL after a report. */
struct program *program_lower(struct graph *g, const struct machine *machine,
			      const struct program *outer);
/* Fills in k->region of an if or a loop whose results have views; reports failure. */
void region_lower(struct program *p, struct kernel *k, const struct machine *machine);

#endif
