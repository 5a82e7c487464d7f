/* Private to codegen/: loops over the inner (reduced) dimensions of a space, with accumulators.
 *
 * Lanes lie along the fastest inner dimension (each lane its own partial result, combined at the
 * end: `across` false), or along the fastest outer dimension (each lane its own row: `across`
 * true).  Sums are kept in several partial results either way, in an order that depends on shapes
 * and the machine's vectors only.
 */
#ifndef NORMC_CODEGEN_REDUCE_H
#define NORMC_CODEGEN_REDUCE_H

#include "emit.h"

enum { MAX_ACCUMULATORS = 2 };

struct reduction {
	struct emit *e;
	struct index *x; /* outer indices are set; inner ones are filled by the loops */
	bool across;
	int32_t lanes;
	int32_t n;			      /* accumulators */
	LLVMValueRef start[MAX_ACCUMULATORS]; /* scalars */
	/* acc[i] = step(acc, ...) at the current index */
	void (*step)(struct reduction *r, LLVMValueRef *acc);
	/* a combined with b, for the lanes' partial results; not needed if across */
	LLVMValueRef (*combine)(struct reduction *r, int32_t i, LLVMValueRef a, LLVMValueRef b);
	LLVMValueRef result[MAX_ACCUMULATORS]; /* scalars, or lanes if across */
	void *user;
};

/* Runs the loops and fills result. */
void reduction_run(struct reduction *r);

/* The input's space of a kernel whose anchor reduces the axes `inner` of its operand, and how lanes
 * are to lie in it. */
struct reduce_plan {
	struct space space;
	bool across;
	int32_t lanes;
};
/* Loops over the inner dimensions, calling body at each index (vectors, then what is left): for
 * second passes. */
void inner_each(struct emit *e, struct index *x, const struct reduce_plan *plan,
		void (*body)(struct emit *e, void *user), void *user);
struct reduce_plan reduce_plan(struct emit *e, const struct node *input, uint32_t inner,
			       bool reads_inner_in_epilogue);
/* Loops over rows; where lanes lie across rows, the fastest outer dimension in vectors and a
 * remainder: calls body for each. */
void reduce_rows(struct emit *e, const struct reduce_plan *plan, struct schedule *s,
		 void (*body)(struct emit *e, struct index *x, const struct reduce_plan *plan,
			      void *user),
		 void *user);

#endif
