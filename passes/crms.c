/* Streams without their last coordinate: Pre-LayerNorm to Pre-CRMSNorm.
 *
 * A stream of width d that is recentred (stream.h) has d-1 coordinates to itself: the last is minus
 * the sum of the others, and need not be computed.  Everything that enters the stream is recentred
 * and loses its last coordinate; the norms that read it become CRMSNorm,
 *	x / sqrt((sum x_i^2 + (sum x_i)^2) / d + epsilon)	over the d-1 coordinates,
 * with the same epsilon; and the products that read their results take W_i - W_d for row W_i of
 * their weights, so that W x = sum over i < d of (W_i - W_d) x_i.
 *
 * Values keep their shapes: the storage is padded, the last coordinate is stored as zero.  So all
 * movement stays as it is, rows keep their alignment, and sums may run over all d.  Gamma and beta
 * must be in the weights behind the norms already (absorb.c).
 *
 * (Jiang et al., Pre-RMSNorm and Pre-CRMSNorm Transformers, NeurIPS 2023, section 3.3.)
 */
#include "pass.h"
#include "stream.h"
#include "value.h"
#include "weights.h"

struct compress {
	struct pass *pass;
	struct graph *g;
	struct arena *arena;
	struct readers readers;
	struct streams streams;
	bool *output;	  /* by id */
	const char **why; /* by number of a stream: it stays as it is; NULL: it does not */
	uint32_t *read;	  /* by id of a product: the stream whose norm's result it reads; else 0 */
};

/* ---- conditions ---- */

static void refuse(struct compress *c, uint32_t stream, const struct node *at, const char *what)
{
	char place[300];
	diag_place(c->g->context->diag, at->loc, place, sizeof place);
	if (!c->why[stream])
		c->why[stream] = arena_printf(c->arena, "%s: %s",
					      *place ? place : op_info[at->op].name, what);
}

/* A result of a norm, moved. */
struct moved {
	const struct node *node;
	int32_t axis;
};

static bool moves_only(const struct node *n)
{
	return op_info[n->op].kind == KIND_view || n->op == OP_copy || n->op == OP_gather;
}

/* Where the constant weights of a product are that sums over `axis` of its other operand. */
struct weights_at {
	struct node *constant;
	const int32_t *perm; /* the operand is the constant transposed; NULL: it is not */
	int32_t axis;	     /* of the constant */
};

static bool find_weights(const struct node *product, struct node *operand, uint32_t k,
			 struct weights_at *at)
{
	bool is_conv = product->op == OP_conv && k == 1 && product->attr.conv->groups == 1;
	if (product->op != OP_matmul && !is_conv)
		return false;
	*at = (struct weights_at){.axis = is_conv ? 1 : product->type.rank - (k == 1 ? 2 : 1)};
	if (operand->op == OP_transpose && !is_conv) {
		at->perm = operand->attr.perm->perm;
		at->axis = at->perm[at->axis];
		operand = operand->in[0];
	}
	at->constant = (struct node *)(uintptr_t)constant_of(operand);
	return at->constant && elem_is_float(at->constant->type.elem);
}

/* The axis of a reader's operand over which it sums; -1: it is no product. */
static int32_t summed_axis(const struct reader *r)
{
	if (r->node->op == OP_matmul)
		return r->node->type.rank - (r->operand == 0 ? 1 : 2);
	return r->node->op == OP_conv && r->operand == 0 ? 1 : -1;
}

/* Weights are recentred (where a product writes to the stream too) and subtracted from each other.
 */
static bool is_moderate(const struct node *constant)
{
	return greatest_magnitude(constant) <= elem_largest(constant->type.elem) / 4;
}

static void check_product(struct compress *c, uint32_t stream, const struct reader *r)
{
	struct weights_at at;
	uint32_t k = 1 - r->operand;
	if (!find_weights(r->node, r->node->in[k], k, &at))
		refuse(c, stream, r->node,
		       "reads what a norm makes of the stream, and has no constant weights");
	else if (!is_moderate(at.constant))
		refuse(c, stream, r->node, "differences of its weights could overflow");
	else
		c->read[r->node->id] = stream;
}

/* Readers of a norm's result, behind movement. */
static void check_readers(struct compress *c, uint32_t stream, const struct node *norm,
			  int32_t axis)
{
	struct moved *moved = NULL, first = {norm, axis};
	uint32_t n = 0;
	PUSH(c->arena, moved, n, first);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t id = moved[i].node->id;
		if (c->output[id])
			refuse(c, stream, moved[i].node,
			       "its result is an output of the graph, which keeps all coordinates");
		for (uint32_t k = c->readers.first[id]; k < c->readers.first[id + 1]; k++) {
			const struct reader *r = &c->readers.reader[k];
			struct moved next = {r->node, axis_out_of(c->g->context->dims, r->node,
								  r->operand, moved[i].axis)};
			if (summed_axis(r) == moved[i].axis)
				check_product(c, stream, r);
			else if (moves_only(r->node) && r->operand == 0 && next.axis >= 0)
				PUSH(c->arena, moved, n, next);
			else
				refuse(c, stream, r->node,
				       "needs all coordinates of what a norm makes of the stream");
		}
	}
}

static int32_t axis_of_norm(const struct node *n)
{
	return __builtin_ctz(n->attr.norm->axes);
}

static void check_norm(struct compress *c, const struct node *n)
{
	const struct attr_norm *a = n->attr.norm;
	uint32_t stream = c->streams.of[n->id].reads;
	if (a->scale != NORM_SCALE_RMS || a->unbiased || a->epsilon_place != NORM_EPSILON_INSIDE)
		refuse(c, stream, n, "is no LayerNorm, but another norm of the stream");
	else if (a->gamma || a->beta)
		refuse(c, stream, n,
		       "its scale and shift must be in the weights behind it first (pass absorb)");
	else
		check_readers(c, stream, n, axis_of_norm(n));
}

static void check_member(struct compress *c, const struct node *n)
{
	const struct part_of *of = &c->streams.of[n->id];
	if (of->part != PART_LINEAR)
		refuse(c, of->stream, n, "enters the stream, but not through constant weights");
	for (uint32_t i = c->readers.first[n->id]; i < c->readers.first[n->id + 1]; i++) {
		const struct node *reader = c->readers.reader[i].node;
		const struct part_of *to = &c->streams.of[reader->id];
		if (to->stream != of->stream && to->reads != of->stream)
			refuse(c, of->stream, reader,
			       "reads the stream, and needs all of its coordinates");
	}
}

static void analyse(struct compress *c)
{
	uint32_t n = c->g->n_nodes;
	c->readers = readers_of(c->g, c->arena);
	c->streams = streams_of(c->g);
	c->output = arena_new(c->arena, bool, n + 1);
	c->why = arena_new(c->arena, const char *, n + 1);
	c->read = arena_new(c->arena, uint32_t, n + 1);
	for (uint32_t i = 0; i < c->g->n_outputs; i++)
		c->output[c->g->outputs[i]->id] = true;
	for (uint32_t i = 0; i < n; i++) {
		if (c->streams.of[i].stream)
			check_member(c, c->g->nodes[i]);
		if (c->streams.of[i].reads)
			check_norm(c, c->g->nodes[i]);
	}
}

/* ---- rewriting ---- */

/* A constant operand of the stream: recentred, and with a last coordinate of zero. */
static struct node *compressed(struct graph *g, struct node *operand, int32_t axis)
{
	const struct node *w = constant_of(operand);
	struct type t = type_fixed(g->context, NORMC_F64, 1, &w->type.dim[axis]->value);
	int64_t n = t.dim[0]->value;
	double *keep = arena_new(g->context->arena, double, (size_t)n);
	for (int64_t i = 0; i + 1 < n; i++)
		keep[i] = 1;
	struct weights_axis at = {.axis = axis};
	w = weights_recentred(g, w, axis);
	struct node *cut = weights_scaled(g, w, at, build_doubles(g, &t, keep));
	return build_broadcast(g, cut, operand->type.rank, operand->type.dim);
}

/* The weights of a product that reads compressed values. */
static struct node *differences(struct graph *g, const struct node *product, struct node *operand,
				uint32_t k)
{
	struct weights_at at;
	if (!find_weights(product, operand, k, &at))
		return operand;
	struct node *w = weights_less_last(g, at.constant, at.axis);
	if (at.perm)
		w = build_transpose(g, w, at.perm);
	return build_broadcast(g, w, operand->type.rank, operand->type.dim);
}

/* Narrow types compute in f32, as norms do. */
static struct node *crms(struct graph *g, const struct node *norm, struct node *in)
{
	enum normc_elem elem = in->type.elem;
	struct node *x = build_cast(g, in, elem == NORMC_F64 ? NORMC_F64 : NORMC_F32);
	uint32_t axes = norm->attr.norm->axes;
	double d = (double)fixed_extent(&in->type, axis_of_norm(norm));
	struct node *sum = build_reduce(g, OP_reduce_sum, x, axes, true);
	struct node *squares =
			build_reduce(g, OP_reduce_sum, build_binary(g, OP_mul, x, x), axes, true);
	struct node *v = build_binary(g, OP_add, squares, build_binary(g, OP_mul, sum, sum));
	v = build_binary(g, OP_div, v, build_number(g, x->type.elem, d));
	/* rounded as a constant that knows what it stands for */
	struct node *epsilon = build_number(g, NORMC_F64, norm->attr.norm->epsilon);
	v = build_binary(g, OP_add, v, weights_now(g, build_cast(g, epsilon, x->type.elem)));
	v = build_binary(g, OP_div, build_number(g, x->type.elem, 1), build_unary(g, OP_sqrt, v));
	return build_cast(g, build_binary(g, OP_mul, x, v), elem);
}

static bool goes(const struct compress *c, uint32_t stream)
{
	return stream && !c->why[stream];
}

static struct node *rebuild(const struct compress *c, struct graph *g, const struct node *old,
			    struct node *const *from)
{
	const struct part_of *of = &c->streams.of[old->id];
	struct node **in = arena_copy(c->arena, from, old->n_in * sizeof(struct node *));
	if (goes(c, of->reads))
		return crms(g, old, in[0]);
	uint32_t mask = goes(c, of->stream) ? linear_operands(g->context->dims, old, of->axis) : 0;
	for (uint32_t k = 0; k < old->n_in; k++)
		if (has_operand(mask, k) && constant_of(in[k]))
			in[k] = compressed(g, in[k], axis_into(g->context->dims, old, k, of->axis));
	for (uint32_t k = 0; goes(c, c->read[old->id]) && k < 2; k++)
		if (constant_of(in[k]) || in[k]->op == OP_transpose)
			in[k] = differences(g, old, in[k], k);
	return graph_node(g, old->op, in, old->n_in, old->attr);
}

static struct node *crms_rule(struct graph *to, const struct node *old, struct node *const *in,
			      void *user)
{
	struct compress *c = user;
	const struct part_of *of = &c->streams.of[old->id];
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, c->pass, pass_crms);
	if (of->reads || of->missed)
		pass_remark(to, c->pass, c->pass->name, old->loc,
			    of->missed ? of->missed : c->why[of->reads]);
	if (!goes(c, of->reads) && !goes(c, of->stream) && !goes(c, c->read[old->id]))
		return NULL;
	to->at.via = c->pass->name;
	struct node *n = rebuild(c, to, old, in);
	to->at = old->loc;
	return n;
}

struct graph *pass_crms(struct graph *g, struct pass *pass)
{
	struct compress c = {.pass = pass, .g = g, .arena = g->context->arena};
	if (pass->strict)
		return g;
	analyse(&c);
	return graph_rewrite(g, crms_rule, &c);
}
