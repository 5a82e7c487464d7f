/* Symbolic extents and indices: constants, symbols, and expressions over them, 64-bit signed.
 *
 * Dimensions are interned in a `struct dims`: equal expressions are the same pointer, so == decides
 * (soundly: different pointers may still be equal in value).  They are kept in a normal form: a sum
 * of products with constant factors; division, remainder, minimum and maximum are atoms of that sum
 * after simplification.  Results that would overflow, or grow beyond DIM_MAX_SIZE, become
 * DIM_INVALID, which poisons what it touches.
 *
 * A symbolic divisor is taken not to be 0: N*c floordiv N is c, although nothing is divided when N
 * is 0.  Such an extent belongs to a tensor without elements, where any quotient will do.
 */
#ifndef NORMC_IR_DIM_H
#define NORMC_IR_DIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "arena.h"

/* X(name, text): kinds of expressions. */
/* clang-format off */
#define DIM_KIND_LIST(X) \
	X(CONST, "const") X(SYMBOL, "symbol") X(ADD, "+") X(MUL, "*") \
	X(DIV, "floordiv") X(MOD, "mod") X(MIN, "min") X(MAX, "max") X(INVALID, "invalid")
/* clang-format on */
#define X(name, text) DIM_##name,
enum dim_kind { DIM_KIND_LIST(X) };
#undef X

enum { DIM_MAX_SIZE = 2000 };

struct dim {
	enum dim_kind kind;
	int64_t value; /* CONST: the value; SYMBOL: its number */
	/* ADD: any number of terms, none an ADD, at most one CONST (first); MUL: at most one CONST
	 * (first), then atoms, none an ADD or MUL unless under DIV...; the others: exactly 2 */
	const struct dim *const *arg;
	uint32_t n_args;
	uint32_t id;   /* dense, in order of creation */
	uint32_t size; /* expressions in it, itself included, written out as a tree */
	/* bounds that hold for all symbol values; INT64_MIN and INT64_MAX where none is known */
	int64_t low, high;
};

/* Where a symbol's value is found at run time. */
struct symbol {
	const char *name; /* "" if it has none */
	uint32_t input;	  /* graph input */
	uint32_t index;	  /* dimension, or element if `element` */
	bool element;
};

struct dims {
	struct arena *arena;
	struct symbol *symbols;
	uint32_t n_symbols;
	uint32_t n_dims;
	struct dim_table *table;
};

struct dims *dims_new(struct arena *arena);

const struct dim *dim_const(struct dims *dims, int64_t value);
/* A new symbol, greater than or equal to 0 (an extent) unless it is an element. */
const struct dim *dim_symbol(struct dims *dims, struct symbol symbol);
const struct dim *dim_add(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_sub(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_mul(struct dims *dims, const struct dim *a, const struct dim *b);
/* Rounds towards minus infinity; division by the constant 0 is DIM_INVALID. */
const struct dim *dim_div(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_ceil_div(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_mod(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_min(struct dims *dims, const struct dim *a, const struct dim *b);
const struct dim *dim_max(struct dims *dims, const struct dim *a, const struct dim *b);

static inline bool dim_is(const struct dim *d, int64_t value)
{
	return d->kind == DIM_CONST && d->value == value;
}
static inline bool dim_is_const(const struct dim *d)
{
	return d->kind == DIM_CONST;
}

/* The greatest value known to be <= d for all symbol values >= 0: INT64_MIN if nothing is known. */
static inline int64_t dim_lower_bound(const struct dim *d)
{
	return d->low;
}

/* Its value for these symbol values. False on overflow, division by zero or DIM_INVALID. */
bool dim_eval(const struct dim *d, const int64_t *symbols, int64_t *value);

/* Writes "N*4 + 1" into text, cut to `size`; returns the whole length. Symbols without a name print
 * as "s0". */
size_t dim_print(const struct dims *dims, const struct dim *d, char *text, size_t size);

#endif
