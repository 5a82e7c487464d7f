/* Short spellings for importers that compose IR operations.  All of them let poison through, so
 * importers need no checks between them.
 */
#ifndef NORMC_FRONTEND_COMPOSE_H
#define NORMC_FRONTEND_COMPOSE_H

#include "import.h"

/* A scalar of the element type of `like`. */
struct node *compose_number(struct graph *g, const struct node *like, double value);
/* a op value, and value op a. */
struct node *compose_with(struct graph *g, enum op op, struct node *a, double value);
struct node *compose_from(struct graph *g, enum op op, double value, struct node *a);
/* The operand in a type that is wide enough for several roundings in a row: f32 for narrower
 * floats. */
struct node *compose_wide(struct graph *g, struct node *a);

/* 1 / (1 + exp(-a)) */
struct node *compose_sigmoid(struct graph *g, struct node *a);
/* a^p for constant p, by multiplications and square roots where these do */
struct node *compose_power(struct graph *g, struct node *a, double p);

/* All ones below bit `rank`. */
uint32_t compose_all_axes(int32_t rank);
/* Vector of length C (or a scalar) as a tensor of `rank` with its elements along `axis`. */
struct node *compose_along(struct graph *g, struct node *a, int32_t rank, int32_t axis);
/* A tensor of this shape, filled with one number. */
struct node *compose_fill(struct graph *g, const struct type *type, double value);
/* Repeats a along an axis: the whole of it `times` times, or `each` element. In import_shape.c. */
struct node *compose_tile(struct import *n, struct node *a, int32_t axis, const struct dim *times,
			  bool each);
/* The type of `a` with another element type. */
struct type compose_type(const struct node *a, enum normc_elem elem);

static inline const struct dim *compose_dim(struct import *n, int64_t value)
{
	return dim_const(n->g->context->dims, value);
}

/* Plain numbers as extents. */
const struct dim *const *compose_dims(struct import *n, const int64_t *list, int64_t count);

/* A call of a runtime function (runtime/ops.def).  An absent operand (NULL) arrives there
 * with data NULL.  The arrays of `attr` are copied. */
struct node *compose_call(struct graph *g, struct node *const *in, uint32_t n_in,
			  const struct attr_call *attr);
struct node *compose_result(struct graph *g, struct node *call, uint32_t index);

#endif
