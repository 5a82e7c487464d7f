/* Private to codegen/: what the parts of the contraction kernel share (kernel_contract.c tells the
 * method).
 *
 *	contract_shape.c   what is contracted: rows, columns, levels of k, and the tile's form
 *	contract_panels.c  operand B
 *	kernel_contract.c  tiles, and the cut into tasks
 */
#ifndef NORMC_CODEGEN_CONTRACT_H
#define NORMC_CODEGEN_CONTRACT_H

#include "emit.h"

struct level {				   /* one loop of k */
	const struct dim *extent, *stride; /* of A, in elements */
};

struct contraction {
	struct emit *e;
	const struct node *n, *a, *b;
	enum normc_elem elem;
	struct space space;	  /* the root's; the columns are the last dimension */
	struct view row_a, row_b; /* strides of A and B along the root's axes */
	int32_t columns;	  /* loop dimension of the columns */
	int32_t rows;		  /* loop dimension of the rows, -1: one row only */
	int32_t unit;		  /* loop dimension that tiles run along: rows, or lines of rows */
	int32_t unit_rows, units; /* rows of one unit; units of a tile */
	int32_t n_levels;
	struct level level[MAX_CONTRACTED];
	const struct dim *k, *n_columns; /* of one group */
	int64_t groups;
	int32_t lanes, width;
	bool packed; /* at compile time */
	bool pack_here;
	bool from_memory; /* B is large and every panel is used for few rows only */
	/* of the task */
	struct index x;
	LLVMValueRef group, first_column, a_base, b_base, b_step;
};

/* One tile: mr rows, nv vectors, the last of them masked if it is partial. */
struct tile {
	int32_t mr, nv;
	LLVMValueRef mask[8]; /* by vector, NULL: full */
	LLVMValueRef acc[32]; /* slots */
	LLVMValueRef first;   /* unit */
};

/* Fills in everything but what belongs to a task. */
void contraction_describe(struct contraction *c, struct emit *e);
/* Whether the tiles of a task run along this loop dimension. */
bool contraction_loops(const struct contraction *c, int32_t loop);
/* A constant extent. */
const struct dim *contraction_number(const struct contraction *c, int64_t x);
/* Distance in A of two indices of a loop dimension, in elements. */
LLVMValueRef contraction_step(struct contraction *c, int32_t loop);

/* Finds the task's panel, packing it first where that is needed: fills b_base and b_step. */
void panel_find(struct contraction *c, LLVMValueRef panel);
/* Vector j of the row of B at `row`. */
LLVMValueRef panel_load(struct contraction *c, const struct tile *t, LLVMValueRef row, int32_t j);
/* Asks memory for rows that are wanted soon. */
void panel_prefetch(struct contraction *c, const struct tile *t, LLVMValueRef row);

#endif
