/* Comparisons of two graphs that should compute the same: the lanes of `normc verify`.
 *
 *	structure   inputs and outputs have the same names and types
 *	exact       whole numbers, for which rounding cannot matter: zero tolerance
 *	algebra     both graphs modulo a prime, roots and exponentials as unknown functions
 *	float       what ran, against fp64 with a running error bound for each
 *	            element (ir/eval_bound.c)
 *	rewrite     each rewrite that the passes did, by the graphs before and
 *	            after its pass (verify_steps.c)
 *
 * The functions here need graphs and tensors only; who runs a graph is the caller's business.
 * Reports are kept in an arena.  Nothing here is shared between threads.
 */
#ifndef NORMC_FRONTEND_VERIFY_H
#define NORMC_FRONTEND_VERIFY_H

#include "eval.h"

struct pass_log;

#define VERIFY_LANE_LIST(X)                                                                        \
	X(STRUCTURE, "structure")                                                                  \
	X(EXACT, "exact") X(ALGEBRA, "algebra") X(FLOAT, "float") X(REWRITE, "rewrite")
#define X(name, text) LANE_##name,
enum verify_lane { VERIFY_LANE_LIST(X) LANE_COUNT };
#undef X

enum verify_outcome { VERIFY_PASSED, VERIFY_FAILED, VERIFY_NOT_APPLICABLE };

/* Kinds of inputs. */
#define VERIFY_DATA_LIST(X)                                                                        \
	X(NORMAL, "normal")	  /* standard normal */                                            \
	X(CONSTANT, "constant")	  /* the same along all dimensions but the first: no variance */   \
	X(NEAR, "near-constant")  /* variance far below any epsilon */                             \
	X(FAR, "far-mean")	  /* mean far above the deviation */                               \
	X(WHOLE, "whole numbers") /* -2 to 2 */
#define X(name, text) DATA_##name,
enum verify_data { VERIFY_DATA_LIST(X) DATA_COUNT };
#undef X

struct verify_case {
	enum verify_lane lane;
	enum verify_outcome outcome;
	const char *output; /* its name; of a rewrite, the ONNX node */
	const char *data;   /* kind of inputs, "" where none are used; the rewrite's rule */
	double ratio;	    /* float: the largest error over its bound */
	double tightness;   /* float: the largest finite bound over the largest value */
	int64_t elements;
	int64_t unchecked; /* their bound is infinite or above the largest value */
	const char *text;  /* what failed where, or why the lane does not apply; "" if passed */
};

struct verify_report {
	struct arena *arena;
	struct verify_case *cases;
	uint32_t n_cases;
};

const char *verify_lane_name(enum verify_lane lane);
const char *verify_data_name(enum verify_data data);

/* Adds a case; its strings are borrowed. */
void verify_add(struct verify_report *r, struct verify_case made);
/* Cases of this outcome. */
uint32_t verify_count(const struct verify_report *r, enum verify_outcome outcome);

/* The structure lane; false if the graphs cannot be compared any further. */
bool verify_structure(struct verify_report *r, const struct graph *before,
		      const struct graph *after);

/* Values from `arena` for the inputs of a graph, and for its symbols, of which extents are taken
 * from `extents` (by number).  `index_limit`: integers are below it, and below every table that
 * they select from. False after a report. */
struct verify_request {
	enum verify_data data;
	uint64_t seed;
	const int64_t *extents;
	int64_t index_limit;
	struct arena *arena;
};
bool verify_inputs(const struct graph *g, const struct verify_request *request, int64_t *symbols,
		   struct tensor *in);

/* The values of a graph's symbols for given inputs. */
bool verify_symbols(const struct graph *g, const struct tensor *in, int64_t *symbols);

/* A graph and its inputs. */
struct verify_side {
	struct arena *arena; /* for the evaluation */
	const struct graph *graph;
	const int64_t *symbols;
	const struct tensor *in;
};

/* What the outputs of `before` are, in its arena, with the bounds of the float lane: rounding in
 * either formula may be to blame for a difference, so that both graphs' bounds are added, unless
 * `after` has a coarser element type than `before`, which is a difference by itself. */
bool verify_reference(const struct verify_side *before, const struct verify_side *after,
		      struct tensor *want);

/* Compares one output with what eval_bounds gives for it. */
void verify_compare(struct verify_report *r, struct verify_case start, const struct tensor *want,
		    const struct tensor *got);

/* The algebra lane.  `decisive`: a difference is a failure, because computed constants know what
 * they stand for (context.exact) or there are none (below); else it may come from constants that
 * were rounded when they were computed, and the lane does not apply. */
bool verify_algebra(struct verify_report *r, const struct verify_side *before,
		    const struct verify_side *after, bool decisive);

/* The first element whose residue, or integer, differs; 0 if the extents do; -1: none. */
int64_t verify_first_difference(const struct tensor *a, const struct tensor *b);

/* A case for each rewrite that the passes did.  False after a report. */
struct verify_chain {
	const struct graph *before; /* as it was imported */
	const struct pass_log *log;
	const int64_t *symbols;
	const struct tensor *in, *want; /* of `before`; outputs as eval_bounds gives them */
	bool by_values;			/* residues would take too long */
	bool together; /* the result of all rewrites has been found right already, by values */
	/* pass_again, to find the one of several rewrites that is wrong */
	struct graph *(*again)(const char *name, struct graph *g, uint32_t most,
			       struct pass_log *log);
	struct arena *arena; /* of an evaluation; the caller closes it if memory is spent in it */
};
bool verify_rewrites(struct verify_report *r, struct verify_chain *chain);

/* Whether all constants and all irrational functions of `after` are in `before` too, so that no
 * constant was computed and no function exchanged; and no rounded 1/n, of which a mean may have
 * been made, has gone. */
bool verify_same_material(const struct graph *before, const struct graph *after);

/* Multiplications in matrix products and convolutions. */
double verify_work(const struct graph *g, const int64_t *symbols);

#endif
