/* Constant folding. */
#ifndef NORMC_PASSES_FOLD_H
#define NORMC_PASSES_FOLD_H

#include "graph.h"

/* A constant (or a value chosen by a constant condition) that equals n, bit for bit as compiled
 * code would compute it; n itself if there is none, or if it would take much more room than what it
 * is made of. */
struct node *fold_node(struct graph *g, struct node *n);

#endif
