/* What fold_norm and absorb share: which nodes are maps that might go, which maps a map on its way
 * is made of, and which of them stay after all.
 *
 * Both passes first take it that all maps go, and carry them through the whole graph at once.
 * Where one cannot pass, those that it is made of and that are to blame stay, and the passes carry
 * the others once more, until nothing is in the way; each round keeps at least one map.
 */
#ifndef NORMC_PASSES_AFFINE_FLOW_H
#define NORMC_PASSES_AFFINE_FLOW_H

#include "affine.h"
#include "pass.h"

/* A set of nodes: one, or two sets. */
struct origins {
	const struct node *node; /* NULL: two sets */
	struct origins *part[2];
	uint32_t mark;
};

struct flow {
	struct graph *g;
	struct pass *pass;
	struct arena *arena;
	uint32_t n; /* nodes to look at; weights that are computed come behind them */
	/* by id */
	struct affine *own; /* what the node does if it is a map */
	bool norms;	    /* maps go forwards, parameters of norms too; else backwards */
	bool *is_map;	    /* that might go */
	uint32_t *operand;  /* of the map */
	bool *inner;	    /* part of a rectifier */
	bool *output;
	uint32_t *uses;
	const char **why;	 /* it stays; NULL so far */
	bool *gone;		 /* what the last round came to */
	struct product *product; /* node NULL: stays as it is */
	struct taken *taken;
	/* of this round */
	uint32_t kept, mark;
};

/* Finds the maps; `norms`: those of norms that compute statistics, too. */
struct flow flow_new(struct graph *g, struct pass *pass, bool norms);
/* Begins a round. */
void flow_begin(struct flow *f);

struct origins *origins_one(struct flow *f, const struct node *n);
struct origins *origins_join(struct flow *f, struct origins *a, struct origins *b);
/* Those of `set` that are to blame stay, because of `why`, which may be borrowed. */
void flow_keep(struct flow *f, struct origins *set, enum affine_stop stop, const char *why);
/* "PLACE, CLAUSE", for `why` */
const char *flow_place(struct flow *f, const char *before, const struct node *n,
		       const char *clause);

/* Remarks for all maps: done ones, and norms that stay. */
void flow_remark(struct flow *f, const char *not_found);
/* Builds what the last round came to: maps are left out, products take them. */
struct graph *flow_build(struct flow *f, pass_fn *run);

#endif
