/* Tracked contents: the elements of small integer tensors as expressions, so that shape
 * computations vanish while the graph is built.  Each function gives the value of one element, or
 * NULL (or DIM_INVALID) where it is not known.
 *
 * Two's complement wrapping is not modelled: a constant that does not fit its type is not tracked,
 * and expressions over extents are taken to fit, as the extents of tensors in memory do.
 */
#include <string.h>

#include "graph.h"

enum { TRACK_MAX = 64 };

typedef const struct dim *value1(struct dims *dims, const struct dim *a);
typedef const struct dim *value2(struct dims *dims, const struct dim *a, const struct dim *b);

static bool both_const(const struct dim *a, const struct dim *b)
{
	return dim_is_const(a) && dim_is_const(b);
}

/* ---- one operand ---- */

static const struct dim *value_neg(struct dims *dims, const struct dim *a)
{
	return dim_sub(dims, dim_const(dims, 0), a);
}

static const struct dim *value_abs(struct dims *dims, const struct dim *a)
{
	return dim_max(dims, a, value_neg(dims, a));
}

static const struct dim *value_sign(struct dims *dims, const struct dim *a)
{
	if (a->low > 0 || a->high < 0 || dim_is(a, 0))
		return dim_const(dims, a->low > 0 ? 1 : a->high < 0 ? -1 : 0);
	return NULL;
}

/* ---- two operands ---- */

/* Truncating division agrees with the flooring one where nothing is negative. */
static const struct dim *value_div(struct dims *dims, const struct dim *a, const struct dim *b)
{
	if (dim_is(b, 0))
		return b;
	if (both_const(a, b))
		return a->value == INT64_MIN && b->value == -1
				       ? NULL
				       : dim_const(dims, a->value / b->value);
	return a->low >= 0 && b->low >= 0 ? dim_div(dims, a, b) : NULL;
}

static const struct dim *value_mod(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return dim_is(b, 0) ? b : dim_mod(dims, a, b);
}

static const struct dim *value_fmod(struct dims *dims, const struct dim *a, const struct dim *b)
{
	if (dim_is(b, 0))
		return b;
	if (both_const(a, b))
		return b->value == -1 ? dim_const(dims, 0) : dim_const(dims, a->value % b->value);
	return a->low >= 0 && b->low >= 0 ? dim_mod(dims, a, b) : NULL;
}

/* Bitwise and logical operations are known for constants. */
static const struct dim *value_and(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return both_const(a, b) ? dim_const(dims, a->value & b->value) : NULL;
}

static const struct dim *value_or(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return both_const(a, b) ? dim_const(dims, a->value | b->value) : NULL;
}

static const struct dim *value_xor(struct dims *dims, const struct dim *a, const struct dim *b)
{
	return both_const(a, b) ? dim_const(dims, a->value ^ b->value) : NULL;
}

static const struct dim *value_eq(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *gap = dim_sub(dims, a, b);
	if (a == b || gap->low > 0 || gap->high < 0)
		return dim_const(dims, a == b);
	return NULL;
}

static const struct dim *value_lt(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *gap = dim_sub(dims, b, a);
	if (gap->low > 0 || gap->high <= 0)
		return dim_const(dims, gap->low > 0);
	return NULL;
}

static const struct dim *value_le(struct dims *dims, const struct dim *a, const struct dim *b)
{
	const struct dim *gap = dim_sub(dims, b, a);
	if (gap->low >= 0 || gap->high < 0)
		return dim_const(dims, gap->low >= 0);
	return NULL;
}

/* ---- rules: element i of the result ---- */

typedef const struct dim *track_rule(struct graph *g, const struct node *n, int64_t i);

static const struct dim *track_unary(struct graph *g, const struct node *n, int64_t i)
{
	static value1 *const value[OP_COUNT] = {
			[OP_neg] = value_neg,
			[OP_abs] = value_abs,
			[OP_sign] = value_sign,
	};
	return value[n->op](g->context->dims, n->in[0]->ints[i]);
}

static const struct dim *track_binary(struct graph *g, const struct node *n, int64_t i)
{
	static value2 *const value[OP_COUNT] = {
			[OP_add] = dim_add,   [OP_sub] = dim_sub,   [OP_mul] = dim_mul,
			[OP_div] = value_div, [OP_mod] = value_mod, [OP_fmod] = value_fmod,
			[OP_max] = dim_max,   [OP_min] = dim_min,   [OP_and] = value_and,
			[OP_or] = value_or,   [OP_xor] = value_xor, [OP_eq] = value_eq,
			[OP_lt] = value_lt,   [OP_le] = value_le,
	};
	return value[n->op](g->context->dims, n->in[0]->ints[i], n->in[1]->ints[i]);
}

static const struct dim *track_not(struct graph *g, const struct node *n, int64_t i)
{
	const struct dim *a = n->in[0]->ints[i];
	if (!dim_is_const(a))
		return NULL;
	return dim_const(g->context->dims, n->type.elem == NORMC_BOOL ? !a->value : ~a->value);
}

static const struct dim *track_cast(struct graph *g, const struct node *n, int64_t i)
{
	const struct dim *a = n->in[0]->ints[i];
	if (n->type.elem != NORMC_BOOL)
		return a;
	const struct dim *zero = value_eq(g->context->dims, a, dim_const(g->context->dims, 0));
	return zero ? dim_const(g->context->dims, !zero->value) : NULL;
}

static const struct dim *track_where(struct graph *g, const struct node *n, int64_t i)
{
	const struct dim *condition = n->in[0]->ints ? n->in[0]->ints[i] : NULL;
	const struct dim *a = n->in[1]->ints ? n->in[1]->ints[i] : NULL;
	const struct dim *b = n->in[2]->ints ? n->in[2]->ints[i] : NULL;
	(void)g;
	if (a == b)
		return a;
	return condition && dim_is_const(condition) ? (condition->value ? a : b) : NULL;
}

static const struct dim *track_data(struct graph *g, const struct node *n, int64_t i)
{
	const unsigned char *p = n->attr.data->p;
	int64_t wide;
	int32_t narrow;
	if (n->type.elem == NORMC_I64) {
		memcpy(&wide, p + (size_t)i * sizeof wide, sizeof wide);
	} else if (n->type.elem == NORMC_I32) {
		memcpy(&narrow, p + (size_t)i * sizeof narrow, sizeof narrow);
		wide = narrow;
	} else {
		wide = p[i] != 0;
	}
	return dim_const(g->context->dims, wide);
}

static const struct dim *track_dims(struct graph *g, const struct node *n, int64_t i)
{
	(void)g;
	return n->attr.dims->value[i];
}

static const struct dim *track_iota(struct graph *g, const struct node *n, int64_t i)
{
	(void)n;
	return dim_const(g->context->dims, i);
}

/* Views of rank 0 and 1 that keep the elements in order. */
static const struct dim *track_view(struct graph *g, const struct node *n, int64_t i)
{
	(void)g;
	return n->in[0]->ints[i];
}

static const struct dim *track_broadcast(struct graph *g, const struct node *n, int64_t i)
{
	(void)g;
	return n->in[0]->ints[node_n_ints(n->in[0]) == 1 ? 0 : i];
}

static const struct dim *track_slice(struct graph *g, const struct node *n, int64_t i)
{
	const struct attr_slice *attr = n->attr.slice;
	int64_t at;
	(void)g;
	if (n->type.rank == 0)
		return n->in[0]->ints[0];
	if (!dim_is_const(attr->start[0]) || __builtin_mul_overflow(i, attr->step[0], &at) ||
	    __builtin_add_overflow(at, attr->start[0]->value, &at) || at < 0 ||
	    at >= node_n_ints(n->in[0]))
		return NULL;
	return n->in[0]->ints[at];
}

static const struct dim *track_concat(struct graph *g, const struct node *n, int64_t i)
{
	(void)g;
	for (uint32_t k = 0; k < n->n_in; k++) {
		int64_t count = node_n_ints(n->in[k]);
		if (i < count)
			return n->in[k]->ints[i];
		i -= count;
	}
	return NULL;
}

static const struct dim *track_gather(struct graph *g, const struct node *n, int64_t i)
{
	const struct node *data = n->in[0], *index = n->in[1];
	int64_t count = node_n_ints(data);
	(void)g;
	if (!dim_is_const(index->ints[i]) || data->type.rank != 1)
		return NULL;
	int64_t at = index->ints[i]->value;
	at += at < 0 ? count : 0;
	return at >= 0 && at < count ? data->ints[at] : NULL;
}

static const struct dim *track_reduce(struct graph *g, const struct node *n, int64_t i)
{
	static value2 *const fold[OP_COUNT] = {
			[OP_reduce_sum] = dim_add,
			[OP_reduce_prod] = dim_mul,
			[OP_reduce_max] = dim_max,
			[OP_reduce_min] = dim_min,
	};
	const struct node *a = n->in[0];
	int64_t count = node_n_ints(a);
	if (!n->attr.axes->mask)
		return a->ints[i];
	if (!count) /* the least and the greatest number are not tracked */
		return n->op == OP_reduce_sum	 ? dim_const(g->context->dims, 0)
		       : n->op == OP_reduce_prod ? dim_const(g->context->dims, 1)
						 : NULL;
	const struct dim *result = a->ints[0];
	for (int64_t k = 1; k < count; k++)
		result = fold[n->op](g->context->dims, result, a->ints[k]);
	return result;
}

static track_rule *const track[OP_COUNT] = {
		[OP_constant] = track_data,	[OP_dims] = track_dims,
		[OP_iota] = track_iota,		[OP_neg] = track_unary,
		[OP_abs] = track_unary,		[OP_sign] = track_unary,
		[OP_not] = track_not,		[OP_cast] = track_cast,
		[OP_where] = track_where,	[OP_add] = track_binary,
		[OP_sub] = track_binary,	[OP_mul] = track_binary,
		[OP_div] = track_binary,	[OP_mod] = track_binary,
		[OP_fmod] = track_binary,	[OP_max] = track_binary,
		[OP_min] = track_binary,	[OP_and] = track_binary,
		[OP_or] = track_binary,		[OP_xor] = track_binary,
		[OP_eq] = track_binary,		[OP_lt] = track_binary,
		[OP_le] = track_binary,		[OP_reshape] = track_view,
		[OP_transpose] = track_view,	[OP_broadcast] = track_broadcast,
		[OP_slice] = track_slice,	[OP_concat] = track_concat,
		[OP_gather] = track_gather,	[OP_gather_elements] = track_gather,
		[OP_reduce_sum] = track_reduce, [OP_reduce_prod] = track_reduce,
		[OP_reduce_max] = track_reduce, [OP_reduce_min] = track_reduce,
};

/* ---- entry point ---- */

static bool is_tracked_elem(enum normc_elem elem)
{
	return elem == NORMC_I64 || elem == NORMC_I32 || elem == NORMC_BOOL;
}

static bool fits(const struct dim *d, enum normc_elem elem)
{
	if (!d || d->kind == DIM_INVALID)
		return false;
	if (elem == NORMC_BOOL)
		return dim_is_const(d);
	return elem != NORMC_I32 || !dim_is_const(d) || d->value == (int32_t)d->value;
}

const struct dim *const *track_ints(struct graph *g, const struct node *n)
{
	track_rule *rule = track[n->op];
	int64_t count = type_fixed_count(&n->type);
	if (!rule || n->type.rank > 1 || count < 0 || count > TRACK_MAX ||
	    !is_tracked_elem(n->type.elem))
		return NULL;
	for (uint32_t k = 0; k < n->n_in && n->op != OP_where; k++)
		if (!n->in[k]->ints)
			return NULL;
	const struct dim **ints =
			arena_new(g->context->arena, const struct dim *, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++) {
		ints[i] = rule(g, n, i);
		if (!fits(ints[i], n->type.elem))
			return NULL;
	}
	return ints;
}
