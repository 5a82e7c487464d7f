/* Optimizers of ai.onnx.preview.training: one step for several tensors.  Operands are the learning
 * rate R, the number of updates T, and then all values, all gradients, and all tensors of each kind
 * of state; results are all values and states.
 */
#include <string.h>

#include "compose.h"

enum { MAX_STATES = 2 };

/* One tensor's step. */
struct step {
	struct node *rate, *updates; /* R and T as a number of R's type */
	struct node *x, *gradient;
	struct node *state[MAX_STATES];
};

typedef void update_function(struct import *n, struct step *s);

static void for_each_tensor(struct import *n, uint32_t states, update_function *update)
{
	struct graph *g = n->g;
	struct node *rate = import_in(n, 0), *updates = import_in(n, 1);
	uint32_t count = n->n_in > 2 ? (n->n_in - 2) / (2 + states) : 0;
	if (!count || n->n_in != 2 + count * (2 + states)) {
		import_invalid(n, "%u operands do not make whole groups", n->n_in);
		return;
	}
	for (uint32_t i = 0; i < count; i++) {
		struct step s = {.x = import_in(n, 2 + i), .gradient = import_in(n, 2 + count + i)};
		enum normc_elem elem = s.x->type.elem;
		for (uint32_t k = 0; k < states; k++)
			s.state[k] = import_in(n, 2 + (2 + k) * count + i);
		s.rate = build_cast(g, compose_along(g, rate, 0, 0), elem);
		s.updates = build_cast(g, compose_along(g, updates, 0, 0), elem);
		struct node *pull = compose_with(g, OP_mul, s.x,
						 import_float(n, "norm_coefficient", 0));
		s.gradient = build_binary(g, OP_add, pull, s.gradient);
		update(n, &s);
		import_out(n, i, s.x);
		for (uint32_t k = 0; k < states; k++)
			import_out(n, (1 + k) * count + i, s.state[k]);
	}
}

/* old * keep + new * (1 - keep) */
static struct node *blend(struct graph *g, struct node *old, double keep, struct node *new)
{
	return build_binary(g, OP_add, compose_with(g, OP_mul, old, keep),
			    compose_with(g, OP_mul, new, 1 - keep));
}

static void adagrad(struct import *n, struct step *s)
{
	struct graph *g = n->g;
	struct node *decay =
			compose_with(g, OP_mul, s->updates, import_float(n, "decay_factor", 0));
	struct node *rate = build_binary(g, OP_div, s->rate, compose_with(g, OP_add, decay, 1));
	s->state[0] = build_binary(g, OP_add, s->state[0],
				   build_binary(g, OP_mul, s->gradient, s->gradient));
	struct node *scale = compose_with(g, OP_add, build_unary(g, OP_sqrt, s->state[0]),
					  import_float(n, "epsilon", 0));
	struct node *move =
			build_binary(g, OP_div, build_binary(g, OP_mul, rate, s->gradient), scale);
	s->x = build_binary(g, OP_sub, s->x, move);
}

void import_adagrad(struct import *n)
{
	for_each_tensor(n, 1, adagrad);
}

/* 1 - base^T */
static struct node *bias_of(struct graph *g, double base, struct node *updates)
{
	return compose_from(g, OP_sub, 1, compose_from(g, OP_pow, base, updates));
}

static void adam(struct import *n, struct step *s)
{
	struct graph *g = n->g;
	double alpha = import_float(n, "alpha", 0.9), beta = import_float(n, "beta", 0.999);
	s->state[0] = blend(g, s->state[0], alpha, s->gradient);
	s->state[1] = blend(g, s->state[1], beta,
			    build_binary(g, OP_mul, s->gradient, s->gradient));
	struct node *scale = compose_with(g, OP_add, build_unary(g, OP_sqrt, s->state[1]),
					  import_float(n, "epsilon", 0));
	struct node *rate = build_binary(g, OP_mul, s->rate,
					 build_unary(g, OP_sqrt, bias_of(g, beta, s->updates)));
	rate = build_binary(g, OP_div, rate, bias_of(g, alpha, s->updates));
	rate = build_where(g, compose_from(g, OP_lt, 0, s->updates), rate, s->rate);
	struct node *move =
			build_binary(g, OP_div, build_binary(g, OP_mul, rate, s->state[0]), scale);
	double keep = 1 - import_float(n, "norm_coefficient_post", 0);
	s->x = compose_with(g, OP_mul, build_binary(g, OP_sub, s->x, move), keep);
}

void import_adam(struct import *n)
{
	for_each_tensor(n, 2, adam);
}

static void momentum(struct import *n, struct step *s)
{
	struct graph *g = n->g;
	double alpha = import_float(n, "alpha", 0), beta = import_float(n, "beta", 1);
	struct node *first = compose_number(g, s->x, 1);
	struct node *share = build_where(g, compose_from(g, OP_lt, 0, s->updates),
					 compose_number(g, s->x, beta), first);
	s->state[0] = build_binary(g, OP_add, compose_with(g, OP_mul, s->state[0], alpha),
				   build_binary(g, OP_mul, share, s->gradient));
	struct node *move = s->state[0];
	const char *mode = import_string(n, "mode", "standard");
	if (!strcmp(mode, "nesterov"))
		move = build_binary(g, OP_add, s->gradient, compose_with(g, OP_mul, move, alpha));
	else if (strcmp(mode, "standard"))
		import_invalid(n, "mode '%s' is neither standard nor nesterov", mode);
	s->x = build_binary(g, OP_sub, s->x, build_binary(g, OP_mul, s->rate, move));
}

void import_momentum(struct import *n)
{
	for_each_tensor(n, 1, momentum);
}
