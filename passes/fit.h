/* Least squares between what a norm makes of sampled rows and a function of single elements:
 *	z_c  ~  gain_c * f(s * x_c) + shift_c
 * with a gain and a shift for each channel c, in closed form, and one s for all, found by a search
 * in one dimension.  z is the norm's result without its gamma and beta.  Functions:
 *	FIT_LINEAR	u			s is 1: Unified Normalization at inference
 *	FIT_TANH	tanh(u)			Dynamic Tanh, alpha = s
 *	FIT_ROOT	u / sqrt(u^2 + 1)	elementwise LayerNorm, c = 1/s^2
 *	FIT_ROW		x / rms(x) of the row	RMSNorm; nothing is fitted
 */
#ifndef NORMC_PASSES_FIT_H
#define NORMC_PASSES_FIT_H

#include "arena.h"
#include "op.h"
#include "substitute.h"

enum fit_form { FIT_LINEAR, FIT_TANH, FIT_ROOT, FIT_ROW };

struct fit {
	double s;
	double *gain, *shift; /* by channel, from the arena */
	double residual;      /* root mean square of what is left over, relative to that of z */
	const char *why;      /* nothing could be fitted; NULL: all is well */
};
struct fit fit_norm(struct arena *arena, const struct attr_norm *norm,
		    const struct norm_sample *sample, enum fit_form form);

#endif
