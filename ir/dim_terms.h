/* Inside of the dim files: an expression seen as a sum of terms, a term being a factor times atoms.
 *
 * Terms are ordered by number of atoms, then lexicographically: an order that multiplication keeps,
 * so that polynomial division works on it.
 */
#ifndef NORMC_IR_DIM_TERMS_H
#define NORMC_IR_DIM_TERMS_H

#include "dim.h"

struct term {
	int64_t factor;
	const struct dim *const *atom; /* sorted by dim_order; borrowed */
	uint32_t n_atoms;
};

enum { SUM_MAX_TERMS = 128 };

struct sum {
	struct term term[SUM_MAX_TERMS]; /* sorted by term_order, no two with the same atoms */
	uint32_t n;
	bool broken; /* overflow, or too many terms */
};

/* Number of terms, and one of them. `d` is the address of the expression, which must outlive the
 * term. */
uint32_t dim_n_terms(const struct dim *d);
struct term dim_term(const struct dim *const *d, uint32_t i);

/* Adds factor * t to the sum. */
void sum_put(struct sum *s, struct term t, int64_t factor);
/* Adds factor * d; `d` as for dim_term. */
void sum_put_dim(struct sum *s, const struct dim *const *d, int64_t factor);
const struct dim *dim_of_sum(struct dims *dims, const struct sum *s);
const struct dim *dim_of_term(struct dims *dims, struct term t);

/* The unique expression of this kind and these operands; no simplification. */
const struct dim *dim_intern(struct dims *dims, enum dim_kind kind, const struct dim *const *arg,
			     uint32_t n);
const struct dim *dim_invalid(struct dims *dims);

/* A total order that does not depend on the order of creation. */
int dim_order(const struct dim *a, const struct dim *b);

/* Sets low and high from the operands'. */
void dim_set_bounds(const struct dims *dims, struct dim *d);

int64_t floor_div(int64_t a, int64_t b); /* b > 0 */

#endif
