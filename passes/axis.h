/* Axes through operations: which axis of an operand becomes which axis of the result, whole and in
 * order.  Facts about "the channels" or "the features" follow a value with this through movement,
 * and stop where an axis is cut, mixed or repeated.
 */
#ifndef NORMC_PASSES_AXIS_H
#define NORMC_PASSES_AXIS_H

#include "graph.h"

/* The axis of n->in[k] that becomes axis `axis` of the result, all other axes being indices; -1 if
 * there is none. */
int32_t axis_into(struct dims *dims, const struct node *n, uint32_t k, int32_t axis);
/* The axis of the result that axis `axis` of n->in[k] becomes; -1 if there is none. */
int32_t axis_out_of(struct dims *dims, const struct node *n, uint32_t k, int32_t axis);

/* Whether the value is known not to vary along an axis. */
bool uniform_along(const struct node *n, int32_t axis);

/* Operands as a bit mask: those from MOST_OPERANDS on are in none. */
enum { MOST_OPERANDS = 32 };
static inline bool has_operand(uint32_t mask, uint32_t k)
{
	return k < MOST_OPERANDS && mask >> k & 1;
}

/* Operands of which the result is a linear function for each index along `axis` by
 * itself, the same function for all: subtracting from these operands their means along the axis
 * (axis_into) subtracts from the result its mean.  0: it is no such function. */
uint32_t linear_operands(struct dims *dims, const struct node *n, int32_t axis);

/* Readers of every node: those of node i are reader[first[i]] .. reader[first[i + 1] - 1]. */
struct readers {
	uint32_t *first; /* n_nodes + 1 */
	struct reader {
		struct node *node;
		uint32_t operand;
	} * reader;
};
struct readers readers_of(const struct graph *g, struct arena *arena);

#endif
