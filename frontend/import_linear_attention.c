/* LinearAttention: a recurrence over time with a matrix as state.  With k, v, q the key, value and
 * query of one step, g its decay and b its update rate:
 *	S = exp(g) S;  v = b (v - S' k);  S = S + k v';  result = scale S' q
 * where update rules without decay or correction leave those steps out.  One step is built in
 * place, several as a loop.
 */
#include <math.h>
#include <string.h>

#include "compose.h"

enum { QUERY, KEY, VALUE, DECAY, RATE, OPERANDS };

struct recurrence {
	struct import *import;
	struct node *in[OPERANDS]; /* [batch, time, heads, ...] in f32; NULL: the rule has none */
	struct node *state;	   /* [batch, heads, key size, value size] in f32 */
	double scale;
};

/* [B, T, H D] -> [B, T, H, D] in f32 */
static struct node *split(struct import *n, struct node *x, const struct dim *heads)
{
	if (node_is_poison(x) || x->type.rank != 3) {
		import_invalid(n, "an operand of rank %d instead of 3", x->type.rank);
		return graph_poison(n->g);
	}
	const struct dim *size = dim_div(n->g->context->dims, x->type.dim[2], heads);
	const struct dim *to[4] = {x->type.dim[0], x->type.dim[1], heads, size};
	return build_reshape(n->g, build_cast(n->g, x, NORMC_F32), 4, to);
}

/* Which of decay and correction the rule has; false after a report. */
static bool read_rule(struct import *n, bool *decays, bool *corrects)
{
	const char *rule = import_string(n, "update_rule", "gated_delta");
	*decays = !strcmp(rule, "gated") || !strcmp(rule, "gated_delta");
	*corrects = !strcmp(rule, "delta") || !strcmp(rule, "gated_delta");
	if (!*decays && !*corrects && strcmp(rule, "linear"))
		import_invalid(n, "update_rule '%s' is unknown", rule);
	else if (*decays != (import_optional(n, 4) != NULL) ||
		 *corrects != (import_optional(n, 5) != NULL))
		import_invalid(n, "update_rule '%s' does not fit the operands decay and beta",
			       rule);
	else
		return true;
	return false;
}

static bool read_recurrence(struct recurrence *r)
{
	struct import *n = r->import;
	int64_t heads = import_int(n, "kv_num_heads", 0), queries = import_int(n, "q_num_heads", 0);
	bool decays, corrects;
	if (heads < 1 || queries < 1 || queries % heads || queries > INT32_MAX) {
		import_invalid(n, "%lld query heads and %lld key heads", (long long)queries,
			       (long long)heads);
		return false;
	}
	if (!read_rule(n, &decays, &corrects))
		return false;
	const struct dim *h = compose_dim(n, heads), *one = compose_dim(n, 1);
	struct node *rate = corrects ? import_in(n, 5) : NULL;
	r->in[QUERY] = split(n, import_in(n, 0), compose_dim(n, queries));
	r->in[KEY] = split(n, import_in(n, 1), h);
	r->in[VALUE] = split(n, import_in(n, 2), h);
	if (decays)
		r->in[DECAY] = split(n, import_in(n, 4), h);
	if (corrects) /* one rate for each head, or one for all */
		r->in[RATE] = split(n, rate,
				    rate->type.rank == 3 && dim_is(rate->type.dim[2], 1) ? one : h);
	for (int i = 0; i < OPERANDS; i++)
		if (r->in[i] && node_is_poison(r->in[i]))
			return false;
	const struct type *q = &r->in[QUERY]->type, *k = &r->in[KEY]->type,
			  *v = &r->in[VALUE]->type;
	r->scale = import_float(n, "scale", 0);
	if (r->scale == 0 && !dim_is_const(q->dim[3])) {
		import_unsupported(n, "a head size that is not known at compile time");
		return false;
	}
	if (r->scale == 0)
		r->scale = 1 / sqrt((double)q->dim[3]->value);
	/* queries that share a key head stand together */
	const struct dim *grouped[5] = {q->dim[0], q->dim[1], h, compose_dim(n, queries / heads),
					q->dim[3]};
	r->in[QUERY] = build_reshape(n->g, r->in[QUERY], 5, grouped);
	struct type state = {
			.elem = NORMC_F32, .rank = 4, .dim = {k->dim[0], h, k->dim[3], v->dim[3]}};
	struct node *past = import_optional(n, 3);
	r->state = past ? build_cast(n->g, past, NORMC_F32) : compose_fill(n->g, &state, 0);
	return !node_is_poison(r->state) && !node_is_poison(r->in[QUERY]);
}

/* One step at time `t` (a scalar) in graph g. Moves the state on; returns [batch, heads, group,
 * value size]. */
static struct node *step(struct graph *g, const struct recurrence *r, struct node *t,
			 struct node *const in[OPERANDS], struct node **state)
{
	struct node *now[OPERANDS] = {NULL}, *s = *state;
	for (int i = 0; i < OPERANDS; i++)
		if (in[i])
			now[i] = build_gather(g, in[i], t, 1);
	if (now[DECAY])
		s = build_binary(g, OP_mul, s,
				 build_unsqueeze(g, build_unary(g, OP_exp, now[DECAY]), 1u << 3));
	struct node *key = now[KEY], *value = build_unsqueeze(g, now[VALUE], 1u << 2);
	if (now[RATE]) {
		struct node *found = build_matmul(g, build_unsqueeze(g, key, 1u << 2), s);
		value = build_binary(g, OP_sub, value, found);
		value = build_binary(g, OP_mul, build_unsqueeze(g, now[RATE], 1u << 3), value);
	}
	s = build_binary(g, OP_add, s,
			 build_binary(g, OP_mul, build_unsqueeze(g, key, 1u << 3), value));
	*state = s;
	return compose_with(g, OP_mul, build_matmul(g, now[QUERY], s), r->scale);
}

/* All steps as a loop that carries the state and stacks the results along a first dimension. */
static struct node *run_loop(struct recurrence *r, const struct dim *time)
{
	struct graph *g = r->import->g, *body = graph_new(g->context, "step");
	struct type number = {.elem = NORMC_I64}, truth = {.elem = NORMC_BOOL}, out[2];
	struct node *in[3 + OPERANDS], *inner[OPERANDS] = {NULL}, *state;
	uint32_t count = 3;
	body->at = g->at;
	in[0] = build_dims(g, 0, 1, &time);
	in[1] = build_integer(g, NORMC_BOOL, 1);
	in[2] = r->state;
	struct node *t = graph_input(body, "t", &number), *go = graph_input(body, "go", &truth);
	state = graph_input(body, "state", &r->state->type);
	for (int i = 0; i < OPERANDS; i++)
		if (r->in[i]) {
			in[count++] = r->in[i];
			inner[i] = graph_parameter(body, "", r->in[i]);
		}
	struct node *y = step(body, r, t, inner, &state);
	if (node_is_poison(y) || node_is_poison(state))
		return graph_poison(g);
	graph_output(body, go, "go");
	graph_output(body, state, "state");
	graph_output(body, y, "y");
	out[0] = state->type;
	out[1] = (struct type){.elem = NORMC_F32, .rank = y->type.rank + 1, .dim = {time}};
	memcpy(out[1].dim + 1, y->type.dim, (size_t)y->type.rank * sizeof *out[1].dim);
	struct attr_region attr = {.region = {body}, .n_out = 2, .n_carried = 1, .trips = time};
	attr.out = arena_copy(g->context->arena, out, sizeof out);
	struct node *loop = graph_node(g, OP_loop, in, count, (union attr){.region = &attr});
	r->state = compose_result(g, loop, 0);
	return build_transpose(g, compose_result(g, loop, 1), (int32_t[]){1, 0, 2, 3, 4});
}

void import_linear_attention(struct import *n)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	struct recurrence r = {.import = n};
	if (!read_recurrence(&r))
		return;
	struct node *query = import_in(n, 0), *past = import_optional(n, 3), *y;
	const struct dim *time = query->type.dim[1];
	if (dim_is(time, 1))
		y = build_unsqueeze(g, step(g, &r, build_integer(g, NORMC_I64, 0), r.in, &r.state),
				    2);
	else
		y = run_loop(&r, time);
	if (node_is_poison(y))
		return;
	const struct dim *width = dim_mul(dims, dim_mul(dims, y->type.dim[2], y->type.dim[3]),
					  y->type.dim[4]);
	const struct dim *to[3] = {query->type.dim[0], time, width};
	import_out(n, 0, build_cast(g, build_reshape(g, y, 3, to), query->type.elem));
	import_out(n, 1, build_cast(g, r.state, past ? past->type.elem : query->type.elem));
}
