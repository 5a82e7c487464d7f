/* Choices that rounding may have decided, in evaluations modulo a prime.
 *
 * A residue does not say which of two numbers is greater; that is taken from the values in fp64.
 * Where these lie so close that another order of summation, or a constant that was rounded, might
 * have swapped them, although their residues differ, two equal formulas may choose differently.
 * The context is told (context.tie), so that nobody calls them different.
 */
#include <math.h>
#include <stdlib.h>

#include "eval_beside.h"

/* What counts as close, relative to the greatest of the numbers: beyond what rounding of weights to
 * f32 changes. */
static const double CLOSE = 0x1p-20;

static double greatest_of(const struct tensor *t)
{
	double most = 0;
	for (int64_t i = 0; is_float(t) && i < t->count; i++)
		most = isfinite(t->f[i]) ? fmax(most, fabs(t->f[i])) : most;
	return most;
}

/* Elements of a and b that are close but differ. */
static bool any_close(const struct tensor *a, const struct tensor *b)
{
	double room = CLOSE * fmax(greatest_of(a), greatest_of(b));
	for (int64_t i = 0; i < a->count; i++)
		if (fabs(a->f[i] - b->f[i]) <= room && a->residue[i] != b->residue[i])
			return true;
	return false;
}

/* Elements that are close to a multiple of `step` but are not it. */
static bool any_near_jump(const struct tensor *t, double step)
{
	double room = CLOSE * fmax(greatest_of(t), step);
	for (int64_t i = 0; i < t->count; i++) {
		double jump = rint(t->f[i] / step) * step;
		if (fabs(t->f[i] - jump) <= room && t->residue[i] != residue_of_real(jump))
			return true;
	}
	return false;
}

static bool any_near_zero(const struct tensor *t)
{
	double room = CLOSE * greatest_of(t);
	for (int64_t i = 0; i < t->count; i++)
		if (fabs(t->f[i]) <= room && t->residue[i])
			return true;
	return false;
}

struct number {
	double x;
	uint64_t r;
};

static int by_size(const void *a, const void *b)
{
	const struct number *x = a, *y = b;
	return (x->x > y->x) - (x->x < y->x);
}

/* Any two elements, whether or not one operation sees both. */
static bool any_two_close(struct eval *e, const struct tensor *t)
{
	struct number *sorted = pool_take(e, (size_t)t->count, sizeof *sorted);
	double room = CLOSE * greatest_of(t);
	bool any = false;
	for (int64_t i = 0; i < t->count; i++)
		sorted[i] = (struct number){t->f[i], t->residue[i]};
	qsort(sorted, (size_t)t->count, sizeof *sorted, by_size);
	for (int64_t i = 1; i < t->count && !any; i++)
		any = sorted[i].x - sorted[i - 1].x <= room && sorted[i].r != sorted[i - 1].r;
	pool_give(e, sorted);
	return any;
}

bool choice_is_close(struct eval *e, const struct node *n, const struct tensor *const *in)
{
	if (!n->n_in || !is_float(in[0]) || !in[0]->count)
		return false;
	switch (n->op) {
	case OP_max:
	case OP_min:
	case OP_lt:
	case OP_le:
		return any_close(in[0], in[1]);
	case OP_abs:
	case OP_sign:
		return any_near_zero(in[0]);
	case OP_floor:
	case OP_ceil:
		return any_near_jump(in[0], 1);
	case OP_round:
		return any_near_jump(in[0], 0.5);
	case OP_cast:
		return elem_is_integer(n->type.elem) && any_near_jump(in[0], 1);
	case OP_reduce_max:
	case OP_reduce_min:
	case OP_pool_max:
	case OP_argmax:
	case OP_argmin:
		return any_two_close(e, in[0]);
	default:
		return false;
	}
}
