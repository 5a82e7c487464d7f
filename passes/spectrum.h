/* Facts of spectra: what a value is, if it is made of Fourier transforms of real planes.
 *
 * F(v) is the transform of v along some of its axes (a plane), |F| and F/|F| its amplitude and
 * phase, by coefficient.  A fact says that each element of a value is
 *
 *	factor * sum of weight_j |F(v_j)| * |F(magnitude)| / |F(divisor)|
 *	       * part of F(phase) / |F(phase)|
 *
 * where what is absent counts as 1, or a square, an angle or a transform back of such a thing.
 * Facts hold in real arithmetic.
 */
#ifndef NORMC_PASSES_SPECTRUM_H
#define NORMC_PASSES_SPECTRUM_H

#include "graph.h"

enum { MOST_AMPLITUDES = 4 };

enum spectrum_kind {
	SPECTRUM_POLAR,
	SPECTRUM_SQUARE,  /* (factor * part of F(magnitude))^2; PART_NONE: |F|^2 */
	SPECTRUM_ANGLE,	  /* of F(phase) */
	SPECTRUM_DIVISOR, /* |F(magnitude)| with another number in place of 0 */
	SPECTRUM_SIGNAL	  /* transformed back along the axes that are not in `left` */
};

/* What F/|F| is where F is 0. */
enum phase_at_zero { PHASE_ONE, PHASE_ZERO, PHASE_UNDEFINED };

/* PART_NONE: there is no phase. PART_BOTH: real and imaginary part along the dimension `pair`. */
enum spectrum_part { PART_NONE, PART_REAL, PART_IMAGINARY, PART_BOTH };

struct amplitude {
	struct node *value, *weight; /* weight: of the value's rank, 1 along the plane; NULL: 1 */
	double factor;
};

struct spectrum {
	enum spectrum_kind kind;
	enum spectrum_part part;
	uint32_t n_sum; /* 0: no sum */
	struct amplitude sum[MOST_AMPLITUDES];
	struct node *magnitude, *divisor, *phase; /* values, or NULL */
	double factor;
	/* a clamp, or an epsilon, changes amplitudes or parts near 0 */
	bool clamped;
	enum phase_at_zero at_zero;
	/* real parts of F(phase) that lie nearer to 0 count as positive */
	double threshold;
	/* Layout. All values v have one shape; their axis i is dimension at[i], -1 if its extent
	 * is 1.  The value is the same along all other dimensions but `pair` (-1: none). */
	const struct type *shape;
	int32_t at[MAX_RANK], pair;
	uint32_t axes; /* of the plane */
	int32_t half;  /* axis with half the coefficients, the others being their conjugates; -1 */
	uint32_t left; /* SIGNAL: axes still to be transformed back */
};

/* Facts of the nodes of a graph that grows, by id; NULL where there is none. */
struct spectra {
	struct graph *g;
	struct spectrum **fact;
	uint32_t n;
};

/* ---- for those who find facts ---- */

struct spectrum *spectrum_fact(const struct spectra *s, const struct node *n);
/* A copy to change. */
struct spectrum *spectrum_like(const struct spectra *s, const struct spectrum *f);
/* Whether f, which may be NULL, is nothing but c |F|, or a part of c F. */
bool spectrum_is_plain(const struct spectrum *f, enum spectrum_part part);
bool spectrum_same_layout(const struct spectrum *a, const struct spectrum *b);
/* A small number keeps amplitudes, or a part, away from 0. x may be NULL. */
struct spectrum *spectrum_clamped(const struct spectra *s, const struct spectrum *x, double by);
/* Of a `where`: clamps, what stands in place of 0 or NaN, the angle. */
struct spectrum *spectrum_of_choice(const struct spectra *s, const struct node *n);

/* Takes up the nodes that are new. */
void spectra_extend(struct spectra *s);

/* Order of dimensions other than 1: to[i] is the dimension of `to` that dimension i of `from`
 * becomes, -1 for extents 1.  False if the others differ. */
bool same_but_ones(const struct type *from, const struct type *to, int32_t map[MAX_RANK]);

#endif
