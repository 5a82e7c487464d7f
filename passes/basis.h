/* Changes of basis: values that are kept divided by a constant scale of each channel, without
 * anybody noticing.
 *
 * A scale by constants, y = s*x along one axis, costs nothing if y is kept as y' = y / s: then y'
 * is x itself.  Sums, movement and scalings pass a basis on, so that values between two scales
 * belong to one *class*, which has one basis: x = C*x'.  Weights of products that sum over the axis
 * take C, weights that make the channels take 1/C, and so do constants and the parameters of norms.
 * Whatever else makes or reads a value *holds* its class: C is 1 there.
 *
 * Classes are joined by the scales between them, in order, and each scale that joins two classes
 * goes away; the others stay and take what their two bases differ by.  As many go as can go,
 * because those that do are a spanning forest of the classes, with all held ones as one vertex.
 * Bases stay within powers of two that MOST_EXPONENT names, so that long products of scales neither
 * overflow nor underflow: at a scale that stays a new basis begins.
 *
 * (The change of basis that lets residual branches absorb Unified Normalization behind sums:
 * x = C*u, C' = s*C along the depth.)
 */
#ifndef NORMC_PASSES_BASIS_H
#define NORMC_PASSES_BASIS_H

#include "axis.h"
#include "weights.h"

/* What happens to a scale by constants. */
enum scale_fate {
	SCALE_NONE, /* it is none */
	SCALE_GONE, /* its result is its operand */
	SCALE_KEPT
};

struct bases {
	struct basis {
		struct node *scale, *inverse; /* numbers: C and 1/C; NULL: 1 */
		int32_t axis;		      /* of the channels */
		enum scale_fate fate;
		struct node *factor; /* SCALE_KEPT: what it scales by; NULL: as before */
		const char *missed;  /* SCALE_KEPT, of a sum: why; else NULL */
	} * of;			     /* by node id */
	uint32_t n_gone;
};

enum { MOST_EXPONENT = 20 };

/* Analyses a graph without dead nodes. Numbers and texts are in its arena. */
struct bases bases_of(const struct graph *g);

/* The operand that a scale by constants scales. */
uint32_t scale_operand(const struct node *n);
/* Operands that have the basis of the result of `n`, as a bit mask. Those that are constants are
 * divided by it. */
uint32_t operands_in_basis(const struct graph *g, const struct node *n, int32_t axis);

/* Weights of a product that sums over an axis of its operand `k`. */
struct summed {
	uint32_t weights;	      /* operand */
	const struct node *constant;  /* which is this, or a broadcast or transpose of it */
	const struct attr_perm *perm; /* NULL: it is not transposed */
	struct weights_axis at;	      /* of the constant, that is summed over */
};
/* False if `n` is no such product, or not all `count` channels have weights. */
bool find_summed(const struct node *n, uint32_t k, int32_t axis, int64_t count, struct summed *s);

#endif
