/* The interpreter: what every operation means, in plain loops.  It is the oracle for constant
 * folding, for every rewrite and for compiled code, so it is written to be read, not to be fast.
 *
 * Values are held as double (floating-point element types) or int64_t (integers, bool; u64 by its
 * bits). EVAL_EXACT computes in fp64 throughout.  EVAL_ROUND rounds each result to its element
 * type, as compiled code does.
 */
#ifndef NORMC_IR_EVAL_H
#define NORMC_IR_EVAL_H

#include "graph.h"

struct tensor {
	enum normc_elem elem;
	int32_t rank;
	int64_t dim[MAX_RANK];
	int64_t count;
	union {
		double *f;
		int64_t *i;
	};
	union { /* carried beside each element by the two evaluations below, else NULL */
		double *bound;
		uint64_t *residue;
	};
};

enum eval_mode { EVAL_EXACT, EVAL_ROUND };

struct eval; /* one evaluation */

struct eval_request {
	enum eval_mode mode;
	const int64_t *symbols; /* by number; NULL if there are none */
	struct arena *arena;	/* of the results */
};

/* Evaluates a graph from the values of its inputs. Reports errors (a symbol that makes a negative
 * extent, an index out of range) to the graph's diag and returns false. */
bool eval_graph(const struct graph *g, struct eval_request request, const struct tensor *in,
		struct tensor *out);

/* Evaluates one node from its operands' values, for constant folding; the type must have fixed
 * extents. */
bool eval_node(const struct graph *g, const struct node *n, struct eval_request request,
	       const struct tensor *in, struct tensor *out);

/* The same with residues (below) beside the elements of `in` and `out`. */
bool eval_node_residues(const struct graph *g, const struct node *n, struct eval_request request,
			const struct tensor *in, struct tensor *out);

/* Evaluates in fp64 whatever request.mode says, and beside each element a bound of how far from it
 * the element may lie when the same mathematics is computed in the element types, in any order
 * (eval_bound.c says how sure that is). INFINITY: nothing is known. */
bool eval_bounds(const struct graph *g, struct eval_request request, const struct tensor *in,
		 struct tensor *out);

/* Evaluates in fp64 whatever request.mode says, and beside each floating-point element its value by
 * the same formulas modulo RESIDUE_PRIME, where arithmetic is exact and sqrt, exp and their kind
 * are unknown functions (eval_residue.c). */
static const uint64_t RESIDUE_PRIME = (UINT64_C(1) << 61) - 1;
bool eval_residues(const struct graph *g, struct eval_request request, const struct tensor *in,
		   struct tensor *out);

/* Between tensors in memory (layout of struct normc_tensor) and the interpreter. */
struct tensor tensor_load(struct arena *arena, enum normc_elem elem, int32_t rank,
			  const int64_t *dim, const void *data);
/* Converts with rounding; `data` has count * normc_elem_size(elem) bytes. */
void tensor_store(const struct tensor *t, void *data);
/* Rounds a double to the element type and back. */
double elem_round(enum normc_elem elem, double x);
int64_t elem_wrap(enum normc_elem elem, int64_t x);

#endif
