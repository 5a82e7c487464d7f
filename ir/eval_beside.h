/* What the evaluations share that carry something beside each element: eval_bound*.c (bounds of
 * errors) and eval_residue*.c (values modulo a prime).  Both have a function for every row of
 * ops.def, called when the elements are there; a missing one does not link.
 */
#ifndef NORMC_IR_EVAL_BESIDE_H
#define NORMC_IR_EVAL_BESIDE_H

#include "eval_op.h"

#define OP(name, ...) eval_fn bound_##name, residue_##name;
#include "ops.def"
#undef OP

#define BESIDE(kind, name)                                                                         \
	bool kind##_##name(struct eval *e, const struct node *n, const struct tensor *const *in,   \
			   struct tensor *out)
#define BOUND(name)   BESIDE(bound, name)
#define RESIDUE(name) BESIDE(residue, name)

/* Operations that move elements move what is beside them alike. */
#define BESIDE_MOVED(kind, name)                                                                   \
	BESIDE(kind, name)                                                                         \
	{                                                                                          \
		return beside_moved(e, n, in, out, eval_##name);                                   \
	}
#define BESIDE_MOVED_ROWS(kind)                                                                    \
	BESIDE_MOVED(kind, reshape)                                                                \
	BESIDE_MOVED(kind, transpose)                                                              \
	BESIDE_MOVED(kind, broadcast)                                                              \
	BESIDE_MOVED(kind, slice)                                                                  \
	BESIDE_MOVED(kind, concat)                                                                 \
	BESIDE_MOVED(kind, pad)
/* Nothing is to be done: it is 0, or came with the operand (tensor_copy). */
#define BESIDE_KEPT(kind, name)                                                                    \
	BESIDE(kind, name)                                                                         \
	{                                                                                          \
		(void)e;                                                                           \
		(void)n;                                                                           \
		(void)in;                                                                          \
		(void)out;                                                                         \
		return true;                                                                       \
	}

/* Moves what is carried as `move` moves the elements; operands from `fixed` on say where to. */
bool beside_moved(struct eval *e, const struct node *n, const struct tensor *const *in,
		  struct tensor *out, eval_fn *move);

/* A tensor of f64 with the shape of `t` and nothing beside its elements; tensor_give gives it back.
 */
struct tensor beside_new(struct eval *e, const struct tensor *t);

/* ---- norms ---- */

/* An operand that broadcasts to x. */
struct given {
	const struct tensor *t; /* NULL: not given */
	int64_t stride[MAX_RANK];
};
struct norm_given {
	struct given gamma, beta, centre, scale;
};
struct norm_given norm_given(const struct attr_norm *attr, const struct tensor *const *in);

/* How many sets of x's elements share a statistic, and the strides by which an index of x finds its
 * set. */
int64_t norm_sets(const struct tensor *x, uint32_t axes, int64_t *stride);

/* ---- bounds ---- */

/* What a rounding to the element type may change, relative to the value; the rounding of fp64
 * itself included. 0 for integers. */
double bound_unit(enum normc_elem elem);
/* What a sum of n products may lose, in units of the root of the sum of their squares, and in units
 * of the sum itself. */
double bound_of_terms(double n);
double bound_of_sum(double n);
/* The error of a sum of n terms with the errors e, from e1 = sum e and e2 = sum e^2: sure up to 16
 * terms; above, the errors are taken as independent. */
double bound_spread(double n, double e1, double e2);
/* The bound as it is kept: infinite where the type cannot hold all that it allows. */
double bound_settle(const struct tensor *out, int64_t i, double bound);
bool bound_is_whole(double x);
/* How much f can differ from f(x) within [x - e, x + e], for monotone f. */
double bound_monotone(double (*f)(double x), double x, double e);

/* ---- residues ---- */

uint64_t residue_sum(uint64_t a, uint64_t b);
uint64_t residue_negative(uint64_t a);
uint64_t residue_product(uint64_t a, uint64_t b);
/* Of 0 it is 0. */
uint64_t residue_inverse(uint64_t a);
/* An unknown function of a and b. */
uint64_t residue_unknown(enum op op, uint64_t a, uint64_t b);
uint64_t residue_of_real(double x);
/* Whether an operation chose between numbers that are nearly equal, but not equal. */
bool choice_is_close(struct eval *e, const struct node *n, const struct tensor *const *in);

#endif
