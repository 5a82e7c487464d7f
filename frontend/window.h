/* The geometry that convolutions and pooling share: attributes kernel_shape, strides, dilations,
 * pads, auto_pad, ceil_mode. */
#ifndef NORMC_FRONTEND_WINDOW_H
#define NORMC_FRONTEND_WINDOW_H

#include "compose.h"

/* Largest kernel, stride, dilation or padding: keeps arithmetic on them far from overflow. */
enum { WINDOW_MAX = 1 << 24 };

/* Reads everything but the padding for operand x [N, C, s...]; kernel sizes come from the weights'
 * trailing dimensions if `weights` is not NULL.  False after a report, or if an operand is poison.
 */
bool window_read(struct import *n, struct node *x, struct node *weights, struct attr_pool *w);
/* Padding as pads and auto_pad say.  With `ceil` the end grows so that a last, partial window fits,
 * unless it would start in the padding. */
void window_pad(struct import *n, const struct node *x, struct attr_pool *w, bool ceil);

/* dilation * (kernel - 1) + 1 */
int64_t window_extent(const struct attr_pool *w, int32_t i);
/* Number of positions along spatial dimension i of x. */
const struct dim *window_positions(struct import *n, const struct node *x,
				   const struct attr_pool *w, int32_t i);
/* The integers kernel (optional), strides, dilations, pads at begin, which calls want; their
 * number. */
uint32_t window_integers(struct import *n, const struct attr_pool *w, bool kernel, int64_t *out);
/* Reads `attribute`, which has `count` numbers of at least `least`; if it is absent, all are that.
 * False after a report. */
bool window_ints(struct import *n, const char *attribute, int32_t count, int64_t least,
		 int64_t *out);

#endif
