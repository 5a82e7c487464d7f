/* Attention and rotary embeddings, as compositions.  Heads that share keys (grouped queries) are
 * folded into the rows of one matrix product, so that keys and values are not repeated. */
#include <math.h>

#include "compose.h"

struct attention {
	struct import *import;
	struct node *q, *k, *v;		  /* [batch, heads, sequence, size] */
	bool flat;			  /* operands were [batch, sequence, heads * size] */
	const struct dim *rows, *columns; /* query and key positions */
	const struct dim *past;		  /* positions that came with past_key */
	/* What is added to the scores; both may be NULL and broadcast to [batch, heads, rows,
	 * columns]. */
	struct node *allowed, *bias;
	bool may_be_empty; /* a row may have no allowed position */
};

/* [B, S, H D] -> [B, H, S, D]; rank 4 stays. NULL after a report. */
static struct node *split_heads(struct import *n, struct node *x, const char *attribute)
{
	struct dims *dims = n->g->context->dims;
	if (node_is_poison(x) || x->type.rank == 4)
		return node_is_poison(x) ? NULL : x;
	int64_t heads = import_int(n, attribute, 0);
	if (x->type.rank != 3 || heads < 1 || heads > INT32_MAX) {
		import_invalid(n, "an operand of rank %d with %s %lld", x->type.rank, attribute,
			       (long long)heads);
		return NULL;
	}
	const struct dim *h = compose_dim(n, heads);
	const struct dim *split[4] = {x->type.dim[0], x->type.dim[1], h,
				      dim_div(dims, x->type.dim[2], h)};
	x = build_transpose(n->g, build_reshape(n->g, x, 4, split), (int32_t[]){0, 2, 1, 3});
	return node_is_poison(x) ? NULL : x;
}

/* Reads Q, K, V, appends K and V to the past, and sets the results present_key and present_value.
 */
static bool read_operands(struct attention *a)
{
	struct import *n = a->import;
	struct node *q = import_in(n, 0);
	a->flat = q->type.rank == 3;
	a->q = split_heads(n, q, "q_num_heads");
	a->k = split_heads(n, import_in(n, 1), "kv_num_heads");
	a->v = split_heads(n, import_in(n, 2), "kv_num_heads");
	if (!a->q || !a->k || !a->v)
		return false;
	struct node *past_key = import_optional(n, 4), *past_value = import_optional(n, 5);
	a->past = compose_dim(n, 0);
	if (past_key && past_value) {
		a->k = build_concat(n->g, (struct node *[]){past_key, a->k}, 2, 2);
		a->v = build_concat(n->g, (struct node *[]){past_value, a->v}, 2, 2);
		if (node_is_poison(a->k) || node_is_poison(a->v))
			return false;
		a->past = past_key->type.dim[2];
	} else if (past_key || past_value) {
		import_invalid(n, "past_key and past_value must be given together");
		return false;
	}
	import_out(n, 1, a->k);
	import_out(n, 2, a->v);
	a->v = build_cast(n->g, a->v, a->q->type.elem);
	a->rows = a->q->type.dim[2];
	a->columns = a->k->type.dim[2];
	return true;
}

static void allow(struct attention *a, struct node *condition)
{
	a->allowed = a->allowed ? build_binary(a->import->g, OP_and, a->allowed, condition)
				: condition;
}

/* attn_mask: booleans restrict, numbers are added; columns that it lacks are not allowed. */
static void apply_mask(struct attention *a)
{
	struct import *n = a->import;
	struct graph *g = n->g;
	struct node *mask = import_optional(n, 3);
	if (!mask || mask->type.rank < 1)
		return;
	bool boolean = mask->type.elem == NORMC_BOOL;
	if (!boolean)
		mask = build_cast(g, mask, a->q->type.elem);
	int32_t last = mask->type.rank - 1;
	struct attr_pad pad = {.mode = PAD_CONSTANT};
	for (int32_t i = 0; i <= last; i++)
		pad.before[i] = pad.after[i] = compose_dim(n, 0);
	pad.after[last] = dim_sub(g->context->dims, a->columns, mask->type.dim[last]);
	mask = build_pad(g, mask, compose_number(g, mask, boolean ? 0 : -INFINITY), &pad);
	if (boolean)
		allow(a, mask);
	else
		a->bias = mask;
	a->may_be_empty = true;
}

/* Positions allowed by is_causal, the window and nonpad_kv_seqlen. Query i stands at position i +
 * offset, where the offset is what came before it. */
static void apply_positions(struct attention *a)
{
	struct import *n = a->import;
	struct graph *g = n->g;
	struct node *used = import_optional(n, 6); /* [batch]: key positions in use */
	bool causal = import_int(n, "is_causal", 0) != 0;
	int64_t left = import_int(n, "left_window_size", -1),
		right = import_int(n, "right_window_size", -1);
	struct type t = {.elem = NORMC_I64, .rank = 2, .dim = {a->rows, a->columns}};
	struct node *j = build_iota(g, &t, 1), *offset = build_dims(g, 0, 1, &a->past);
	if (used) {
		used = compose_along(g, used, 4, 0);
		offset = build_binary(g, OP_sub, used, build_dims(g, 0, 1, &a->rows));
		allow(a, build_binary(g, OP_lt, j, used));
		a->may_be_empty = true;
	}
	if (!causal && left < 0 && right < 0)
		return;
	struct node *at = build_binary(g, OP_add, build_iota(g, &t, 0), offset);
	if (causal)
		allow(a, build_binary(g, OP_le, j, at));
	if (right >= 0)
		allow(a, build_binary(g, OP_le, j, compose_with(g, OP_add, at, (double)right)));
	if (left >= 0) {
		allow(a, build_binary(g, OP_le, compose_with(g, OP_sub, at, (double)left), j));
		a->may_be_empty = true;
	}
}

/* Joins the query heads that share a key head: [B, H, S, D] -> [B, K, H/K S, D]. */
static struct node *join_heads(struct attention *a, struct node *x)
{
	struct dims *dims = a->import->g->context->dims;
	const struct dim *heads = x->type.dim[1], *shared = a->k->type.dim[1];
	if (node_is_poison(x) || heads == shared)
		return x;
	const struct dim *rows = dim_mul(dims, dim_div(dims, heads, shared), x->type.dim[2]);
	const struct dim *to[4] = {x->type.dim[0], shared, rows, x->type.dim[3]};
	return build_reshape(a->import->g, x, 4, to);
}

/* x y with the heads of x joined and those of the result apart again */
static struct node *heads_matmul(struct attention *a, struct node *x, struct node *y)
{
	struct node *z = build_matmul(a->import->g, join_heads(a, x), y);
	if (node_is_poison(z))
		return z;
	const struct dim *to[4] = {a->q->type.dim[0], a->q->type.dim[1], a->rows, z->type.dim[3]};
	return build_reshape(a->import->g, z, 4, to);
}

/* Rows in which nothing is allowed, [..., rows, 1]. */
static struct node *empty_rows(struct attention *a)
{
	struct graph *g = a->import->g;
	if (a->allowed && node_is_poison(a->allowed))
		return a->allowed;
	if (!a->bias) {
		uint32_t last = 1u << (a->allowed->type.rank - 1);
		return build_unary(g, OP_not,
				   build_reduce(g, OP_reduce_max, a->allowed, last, true));
	}
	struct node *low = compose_number(g, a->bias, -INFINITY);
	struct node *sum = a->allowed ? build_where(g, a->allowed, a->bias, low) : a->bias;
	if (node_is_poison(sum))
		return sum;
	return build_binary(g, OP_eq,
			    build_reduce(g, OP_reduce_max, sum, 1u << (sum->type.rank - 1), true),
			    low);
}

static struct node *probabilities(struct attention *a, struct node *scores)
{
	struct import *n = a->import;
	struct graph *g = n->g;
	int64_t precision = import_int(n, "softmax_precision", a->q->type.elem);
	if (precision != NORMC_F32 && precision != NORMC_F16 && precision != NORMC_F64 &&
	    precision != NORMC_BF16) {
		import_invalid(n, "softmax_precision is %lld; 1, 10, 11 and 16 are possible",
			       (long long)precision);
		return graph_poison(g);
	}
	struct node *p = build_softmax(g, build_cast(g, scores, (enum normc_elem)precision), 3,
				       false);
	p = build_cast(g, p, a->q->type.elem);
	return a->may_be_empty ? build_where(g, empty_rows(a), compose_number(g, p, 0), p) : p;
}

/* The scale of the scores: the attribute, or 1 / sqrt(head size). */
static struct node *score_scale(struct attention *a)
{
	struct import *n = a->import;
	if (import_has(n, "scale"))
		return compose_number(n->g, a->q, import_float(n, "scale", 1));
	const struct dim *size = a->q->type.dim[3];
	if (dim_is_const(size))
		return compose_number(n->g, a->q, 1 / sqrt((double)size->value));
	struct node *root = build_unary(n->g, OP_sqrt,
					build_cast(n->g, build_dims(n->g, 0, 1, &size), NORMC_F32));
	return build_cast(n->g, compose_from(n->g, OP_div, 1, root), a->q->type.elem);
}

/* Result 3 is what mode says: raw scores, after the soft cap, after the masks, probabilities. */
static struct node *attend(struct attention *a, double cap)
{
	struct graph *g = a->import->g;
	int64_t mode = import_int(a->import, "qk_matmul_output_mode", 0);
	struct node *step[4], *k = build_transpose(g, a->k, (int32_t[]){0, 1, 3, 2});
	step[0] = heads_matmul(a, build_binary(g, OP_mul, a->q, score_scale(a)), k);
	step[1] = step[0];
	if (cap > 0)
		step[1] = compose_with(
				g, OP_mul,
				build_unary(g, OP_tanh, compose_with(g, OP_div, step[0], cap)),
				cap);
	step[2] = step[1];
	if (a->bias)
		step[2] = build_binary(g, OP_add, step[2], a->bias);
	if (a->allowed)
		step[2] = build_where(g, a->allowed, step[2],
				      compose_number(g, step[2], -INFINITY));
	step[3] = probabilities(a, step[2]);
	if (import_in_range(a->import, "qk_matmul_output_mode", mode, 0, 3))
		import_out(a->import, 3, step[mode]);
	return heads_matmul(a, step[3], a->v);
}

void import_attention(struct import *n)
{
	struct attention a = {.import = n};
	struct dims *dims = n->g->context->dims;
	if (!read_operands(&a))
		return;
	apply_mask(&a);
	apply_positions(&a);
	struct node *y = attend(&a, import_float(n, "softcap", 0));
	if (a.flat && !node_is_poison(y)) {
		const struct dim *to[3] = {y->type.dim[0], a.rows,
					   dim_mul(dims, y->type.dim[1], y->type.dim[3])};
		y = build_reshape(n->g, build_transpose(n->g, y, (int32_t[]){0, 2, 1, 3}), 3, to);
	}
	import_out(n, 0, y);
}

/* cos_cache or sin_cache [.., R/2] for every position, with an extent 1 for the heads at dimension
 * `heads`. */
static struct node *rotation_table(struct import *n, uint32_t operand, uint32_t heads)
{
	struct node *table = import_in(n, operand), *position = import_optional(n, 3);
	if (position)
		table = build_gather(n->g, table, position, 0);
	return build_unsqueeze(n->g, table, 1u << heads);
}

/* Rotates x [.., R]: pairs are neighbours if interleaved, else x[i] and x[i + R/2]. */
static struct node *rotate(struct import *n, struct node *x, struct node *cosine, struct node *sine,
			   bool interleaved)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	const struct dim *half = dim_div(dims, x->type.dim[3], compose_dim(n, 2)),
			 *zero = compose_dim(n, 0);
	struct node *a =
			build_slice(g, x, 3, (struct slice_range){zero, half, interleaved ? 2 : 1});
	struct node *b = build_slice(g, x, 3,
				     (struct slice_range){interleaved ? compose_dim(n, 1) : half,
							  half, interleaved ? 2 : 1});
	struct node *part[2];
	part[0] = build_binary(g, OP_sub, build_binary(g, OP_mul, cosine, a),
			       build_binary(g, OP_mul, sine, b));
	part[1] = build_binary(g, OP_add, build_binary(g, OP_mul, sine, a),
			       build_binary(g, OP_mul, cosine, b));
	if (!interleaved)
		return build_concat(g, part, 2, 3);
	for (int i = 0; i < 2; i++)
		part[i] = build_unsqueeze(g, part[i], 1u << 4);
	return build_reshape(g, build_concat(g, part, 2, 4), 4, x->type.dim);
}

void import_rotary_embedding(struct import *n)
{
	struct graph *g = n->g;
	struct dims *dims = g->context->dims;
	struct node *input = import_in(n, 0), *x = input;
	int64_t heads = import_int(n, "num_heads", 0),
		width = import_int(n, "rotary_embedding_dim", 0);
	bool flat = x->type.rank == 3;
	if (node_is_poison(x))
		return;
	if ((!flat && x->type.rank != 4) || (flat && heads < 1) || width < 0) {
		import_invalid(n, "rank %d with num_heads %lld", x->type.rank, (long long)heads);
		return;
	}
	if (flat) {
		const struct dim *h = compose_dim(n, heads);
		const struct dim *to[4] = {x->type.dim[0], x->type.dim[1], h,
					   dim_div(dims, x->type.dim[2], h)};
		x = build_reshape(g, x, 4, to);
	}
	if (node_is_poison(x))
		return;
	const struct dim *size = x->type.dim[3], *turned = width ? compose_dim(n, width) : size;
	struct node *cosine = rotation_table(n, 1, flat ? 2 : 1),
		    *sine = rotation_table(n, 2, flat ? 2 : 1);
	struct node *front =
			build_slice(g, x, 3, (struct slice_range){compose_dim(n, 0), turned, 1});
	if (node_is_poison(front))
		return;
	struct node *y = rotate(n, front, cosine, sine, import_int(n, "interleaved", 0) != 0);
	if (turned != size) {
		struct node *rest = build_slice(
				g, x, 3,
				(struct slice_range){turned, dim_sub(dims, size, turned), 1});
		y = build_concat(g, (struct node *[]){y, rest}, 2, 3);
	}
	import_out(n, 0, build_reshape(g, y, input->type.rank, input->type.dim));
}
