/* A shift before a convolution that is padded with zeros, or that has zeros between its elements:
 * padding is not shifted, so that windows which reach over the border get less than those inside.
 * Each position has the sum of the kernel's elements that meet the image.
 */
#include "affine_border.h"

#include "eval_beside.h"
#include "value.h"
#include "weights.h"

enum { MOST_ELEMENTS = 1 << 20, MOST_WORK = 64 << 20 };

/* Numbers and their residues, which may be NULL. */
struct exact {
	double *x;
	uint64_t *residue;
};

struct border {
	const struct attr_conv *conv;
	int64_t size[MAX_SPATIAL], kernel[MAX_SPATIAL], positions[MAX_SPATIAL];
	int64_t before[MAX_SPATIAL];
	int64_t filters, taps, all;
};

static bool read_border(const struct node *conv, const struct node *kernels, struct border *b)
{
	*b = (struct border){.conv = conv->attr.conv, .taps = 1, .all = 1};
	b->filters = fixed_extent(&kernels->type, 0);
	for (int32_t i = 0; i < b->conv->spatial; i++) {
		b->size[i] = fixed_extent(&conv->in[0]->type, i + 2);
		b->positions[i] = fixed_extent(&conv->type, i + 2);
		b->kernel[i] = fixed_extent(&kernels->type, i + 2);
		if (b->size[i] < 1 || b->positions[i] < 1 || !dim_is_const(b->conv->before[i]))
			return false;
		b->before[i] = b->conv->before[i]->value;
		if (__builtin_mul_overflow(b->taps, b->kernel[i], &b->taps) ||
		    __builtin_mul_overflow(b->all, b->positions[i], &b->all) ||
		    b->all > MOST_ELEMENTS || b->taps > MOST_ELEMENTS)
			return false;
	}
	return b->filters > 0 && b->filters * b->all <= MOST_ELEMENTS &&
	       b->all * b->taps <= MOST_WORK / b->filters;
}

/* Whether the kernel's element `tap` meets an element of the image at a position. */
static bool meets(const struct border *b, int64_t position, int64_t tap)
{
	for (int32_t i = b->conv->spatial - 1; i >= 0; i--) {
		int64_t gap = b->conv->x_dilation[i];
		int64_t at = position % b->positions[i] * b->conv->stride[i] +
			     tap % b->kernel[i] * b->conv->dilation[i] - b->before[i];
		if (at < 0 || at % gap || at / gap >= b->size[i])
			return false;
		position /= b->positions[i];
		tap /= b->kernel[i];
	}
	return true;
}

/* Adds up, for all filters, the elements that meet the image at a position. */
static void add_position(const struct border *b, int64_t position, const struct exact *w,
			 const struct exact *to)
{
	for (int64_t tap = 0; tap < b->taps; tap++) {
		if (!meets(b, position, tap))
			continue;
		for (int64_t o = 0; o < b->filters; o++) {
			int64_t at = o * b->all + position, from = o * b->taps + tap;
			to->x[at] += w->x[from];
			if (w->residue)
				to->residue[at] = residue_sum(to->residue[at], w->residue[from]);
		}
	}
}

struct node *border_bias(struct graph *g, const struct node *conv, const struct node *kernels)
{
	struct arena *arena = g->context->arena;
	struct type type = {.elem = NORMC_F64, .rank = conv->type.rank};
	const uint64_t *w = constant_residues(g, kernels);
	struct border b;
	if (!read_border(conv, kernels, &b))
		return NULL;
	type.dim[0] = dim_const(g->context->dims, 1);
	for (int32_t i = 1; i < type.rank; i++)
		type.dim[i] = conv->type.dim[i];
	size_t count = (size_t)(b.filters * b.all);
	struct exact from = {(double *)numbers_values(kernels), (uint64_t *)w},
		     sum = {arena_new(arena, double, count),
			    w ? arena_new(arena, uint64_t, count) : NULL};
	for (int64_t i = 0; i < b.all; i++)
		add_position(&b, i, &from, &sum);
	return build_exact(g, &type, sum.x, sum.residue);
}
