/* What the parts of recognition share; see recognize.c.
 *
 * Each part is asked about one node of the old graph whose operands `in` are in the new graph, and
 * returns what stands for the node, or NULL.  Nodes that it built on the way stay behind, dead.
 */
#ifndef NORMC_PASSES_RECOGNIZE_H
#define NORMC_PASSES_RECOGNIZE_H

#include "eval_beside.h"
#include "graph.h"
#include "pass.h"

struct recognize {
	struct pass *pass;
	const uint32_t *uses; /* by old id */
	const char *missed;   /* why the node at hand, which is nearly a layer, stays; or NULL */
};

/* A product or quotient that divides a value by its own deviation: a norm, times a constant if
 * there is one. */
struct node *recognize_quotient(struct recognize *r, struct graph *g, const struct node *old,
				struct node *const *in);
/* A sum or difference that is a norm with its parentheses multiplied out. */
struct node *recognize_expanded(struct graph *g, const struct node *old, struct node *const *in);
/* A product with gamma, or a sum with beta, behind a norm that nobody else reads. */
struct node *recognize_parameter(struct recognize *r, struct graph *g, const struct node *old,
				 struct node *const *in);

/* A reshape back from a norm over groups of channels: as GroupNormalization or
 * InstanceNormalization means it. */
struct node *recognize_group(struct recognize *r, struct graph *g, const struct node *old,
			     struct node *const *in);
/* A product with gamma, or a sum with beta, behind such a reshape. */
struct node *recognize_group_parameter(struct recognize *r, struct graph *g, const struct node *old,
				       struct node *const *in);

/* A product or quotient that is an activation function: the composition that stands for it. */
struct node *recognize_activation(struct recognize *r, struct graph *g, const struct node *old,
				  struct node *const *in);

/* n, or what it repeats. */
static inline struct node *unrepeated(struct node *n)
{
	return n->op == OP_broadcast ? n->in[0] : n;
}

/* A number, and what it stands for modulo RESIDUE_PRIME: itself if no pass has rounded it. */
struct number {
	double value;
	uint64_t residue;
};
/* The number that all elements of n are; false if they differ or it is not finite. */
bool recognize_number(struct graph *g, const struct node *n, struct number *number);
/* n = *a op number, either way round. */
bool recognize_with(struct graph *g, const struct node *n, enum op op, struct node **a,
		    struct number *number);
/* Tells that a constant was taken for a number that it is the nearest to. */
void recognize_rounded(struct graph *g);
/* Whether it is this value; told as above if it only became so by rounding. */
bool recognize_is(struct graph *g, struct number number, double value);
/* The norm with a parameter joined: p has x's rank. NULL if it has one there already, or takes its
 * statistics as operands. */
struct node *recognize_join(struct graph *g, const struct node *norm, enum op op, struct node *p);

#endif
