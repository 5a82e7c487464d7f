/* Affine maps with constant parameters, y = s*x + t: what batch normalization is once its
 * statistics are given, what gamma and beta of a norm are, and what products and sums with
 * constants are.
 *
 * A map has one scale and one shift for each index along one axis of its value, or one for all.
 * Two passes carry maps through a graph until products take them in:
 *   fold_norm  backwards: a value x becomes x' = s*x + t, so that the map behind it can go;
 *   absorb     forwards: a map is left out, so that what it gave is x = s*x' + t.
 * The functions here say how a map changes on its way.  Numbers are built in `g` (weights.h).
 */
#ifndef NORMC_PASSES_AFFINE_H
#define NORMC_PASSES_AFFINE_H

#include "graph.h"

enum { MOST_NUMBERS = 1 << 20 }; /* along an axis; more are no map */

struct affine {
	struct node *s, *t; /* numbers, one for each index along the axis; NULL: exactly 1 and 0 */
	int32_t axis;	    /* -1: the same for all elements; then there is one number */
	bool counted;	    /* t stands for itself times the elements in each window of a sum */
};

/* ---- reading ---- */

/* Whether a norm computes no statistics: its centre and its scale are operands, or are none. */
bool norm_is_given(const struct node *n);
/* The parameters of such a norm with operands `in`, as f64 constants of any shape; NULL stands for
 * 1 and 0. False if one is not constant, or there are too many. */
bool norm_as_affine(struct graph *g, const struct node *norm, struct node *const *in,
		    struct node **scale, struct node **shift);
/* The map that n applies to operand *x, or to its own result if n is a norm that computes
 * statistics. False if it is none, varies along several axes, or is not finite. */
bool affine_of(struct graph *g, const struct node *n, uint32_t *x, struct affine *a);

/* ---- arithmetic ---- */

static inline bool affine_is_identity(const struct affine *a)
{
	return !a->s && !a->t;
}
bool affine_agree(struct graph *g, const struct affine *a, const struct affine *b);
/* Whether all scales are greater than 0. */
bool affine_is_positive(const struct affine *a);
/* In its simplest form: a number for all where they are equal, none where they do nothing. */
struct affine affine_new(struct graph *g, int32_t axis, struct node *s, struct node *t);
/* outer(inner(x)); false if they vary along different axes or a result is not finite. */
bool affine_chain(struct graph *g, const struct affine *outer, const struct affine *inner,
		  struct affine *to);
/* t times a number that is not 0, or divided by it. */
struct affine affine_with_shift(struct graph *g, const struct affine *a, enum op op,
				struct node *number);
/* s or t for each of `n` indices along the map's axis. */
struct node *affine_spread(struct graph *g, struct node *numbers, int64_t n);
/* Numbers of two maps in another order: index i below the count of the first is from it, others
 * follow in the second, which may be NULL. NULL counts as identity, with `n` indices. */
struct affine_pick {
	const struct affine *from[2];
	int64_t n[2]; /* indices along their axis */
	const int64_t *index;
	int64_t count;
};
struct affine affine_picked(struct graph *g, const struct affine_pick *p, int32_t axis);

/* ---- on the way ---- */

/* Why a map stops; the shift, the scale or the sign of it. */
enum affine_stop { AFFINE_PASSES, AFFINE_NEVER, AFFINE_SHIFT, AFFINE_SCALE, AFFINE_SIGN };

/* Carries the map of the result of n, or of n->in[k], to the other end. The functions for sums of
 * windows leave t as it is, `counted`. */
enum affine_stop affine_backwards(struct graph *g, const struct node *n, const struct affine *of,
				  uint32_t k, struct affine *to);
/* `in`: maps of all operands. */
enum affine_stop affine_forwards(struct graph *g, const struct node *n, const struct affine *in,
				 struct affine *to);

/* A sum over windows or axes divided by constants: 0 if n is none, 1 if by one number, 2 if by how
 * many elements each window of a padded sum has. */
int affine_average(struct graph *g, const struct node *n);

/* x for x >= 0 and a multiple of x below: max(x, 0), or a choice between x and x*c. Returns x; NULL
 * if n is none. inner: the comparison and the product that belong to it, or NULL. */
struct node *rectifier_of(const struct node *n, struct node *inner[2]);

/* ---- products ---- */

/* Constant weights of a product or convolution, and the axis of theirs that a map goes along. */
struct product {
	struct node *node;
	uint32_t operand; /* that is the weights, or views of them */
	struct node *constant;
	int32_t axis; /* of the constant */
	int64_t n;    /* indices of the map */
	int64_t groups;
};

/* A product whose result has the map. */
bool product_before(struct graph *g, struct node *n, const struct affine *a, struct product *p);
/* A product whose operand k, that is not the weights, has the map and is summed over its axis. */
bool product_after(struct graph *g, struct node *n, uint32_t k, const struct affine *a,
		   struct product *p);
/* Whether a shift of the operand becomes one bias for each filter: nothing is padded with zeros. */
bool product_is_padded(const struct product *p);

/* The operands and the bias of the product with the map taken in; NULL members stay as they are.
 * Weights are those of `g`; `why` says what is wrong if false. */
struct taken {
	struct node *weights; /* instead of p->constant */
	struct node *bias;    /* constant, to be added to the result */
};
bool product_take_before(struct graph *g, const struct product *p, const struct affine *a,
			 struct taken *t, const char **why);
bool product_take_after(struct graph *g, const struct product *p, const struct affine *a,
			struct taken *t, const char **why);
/* Builds it in `to`, with operands `in` of that graph. */
struct node *product_build(struct graph *to, const struct product *p, const struct taken *t,
			   struct node *const *in);

#endif
