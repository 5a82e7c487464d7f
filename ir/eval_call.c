/* Calls of the runtime's functions, regions, and parts of operations with several results. */
#include <string.h>

#include "eval_op.h"
#include "ops.h"

/* ---- call ---- */

struct callee {
	const char *name;
	normc_extern *function;
	int64_t (*scratch)(const struct normc_call *call); /* NULL: needs none */
};

static const struct callee *callee_find(const char *name)
{
#define SCRATCH_0(name) NULL
#define SCRATCH_1(name) normc_op_##name##_scratch
#define EXTERN(name, n_in_min, n_in_max, n_out, has_scratch, doc)                                  \
	{#name, normc_op_##name, SCRATCH_##has_scratch(name)},
	static const struct callee callees[] = {
#include "../runtime/ops.def" /* not this folder's table of the same name */
	};
#undef EXTERN
#undef SCRATCH_0
#undef SCRATCH_1
	for (size_t i = 0; i < sizeof callees / sizeof *callees; i++)
		if (!strcmp(callees[i].name, name))
			return &callees[i];
	return NULL;
}

/* Describes memory for `t`; what has no elements counts as absent. */
static struct normc_arg arg_new(struct eval *e, const struct tensor *t)
{
	struct normc_arg arg = {.elem = t->elem, .rank = t->rank};
	memcpy(arg.dim, t->dim, sizeof arg.dim);
	strides_of(t, arg.stride);
	if (t->count)
		arg.data = pool_take(e, (size_t)t->count, normc_elem_size(t->elem));
	return arg;
}

static void args_give(struct eval *e, struct normc_arg *arg, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		if (arg[i].data)
			pool_give(e, arg[i].data);
	pool_give(e, arg);
}

static bool call_function(struct eval *e, const struct node *n, const struct callee *callee,
			  struct normc_call *call)
{
	if (callee->scratch) {
		int64_t bytes = callee->scratch(call);
		if (bytes < 0)
			return eval_fail(e, n, "%s has no size of scratch memory", callee->name);
		call->scratch = pool_take(e, (size_t)bytes, 1);
	}
	int32_t status = callee->function(call);
	if (callee->scratch)
		pool_give(e, call->scratch);
	if (status == NORMC_OK)
		return true;
	return diag_error(e->context->diag, n->loc, (enum normc_status)status, "%s: %s",
			  callee->name, normc_status_text((enum normc_status)status));
}

EVAL(call)
{
	const struct attr_call *a = n->attr.call;
	const struct callee *callee = callee_find(a->name);
	struct normc_call call = {
			.ints = a->ints,
			.floats = a->floats,
			.n_in = (int32_t)n->n_in,
			.n_out = (int32_t)a->n_out,
			.n_ints = (int32_t)a->n_ints,
			.n_floats = (int32_t)a->n_floats,
	};
	if (!callee)
		return bug(e->context->diag, n->loc, "no runtime function is called %s", a->name);
	call.in = pool_take(e, n->n_in, sizeof *call.in);
	for (uint32_t i = 0; i < n->n_in; i++) {
		call.in[i] = arg_new(e, in[i]);
		if (in[i]->count)
			tensor_store(in[i], call.in[i].data);
	}
	call.out = pool_take(e, a->n_out, sizeof *call.out);
	for (uint32_t i = 0; i < a->n_out; i++)
		call.out[i] = arg_new(e, &out[i]);
	if (!call_function(e, n, callee, &call))
		return false;
	for (uint32_t i = 0; i < a->n_out; i++)
		if (out[i].count)
			tensor_fill(&out[i], call.out[i].data);
	args_give(e, call.in, call.n_in);
	args_give(e, call.out, call.n_out);
	return true;
}

/* ---- regions ---- */

static bool region_fits(struct eval *e, const struct node *n, const struct graph *region,
			uint32_t n_in, uint32_t n_out)
{
	if (region->n_inputs == n_in && region->n_outputs == n_out)
		return true;
	return bug(e->context->diag, n->loc, "a region has %u inputs and %u outputs for %u and %u",
		   region->n_inputs, region->n_outputs, n_in, n_out);
}

EVAL(if)
{
	const struct attr_region *a = n->attr.region;
	const struct graph *region = a->region[in[0]->count && in[0]->i[0] ? 0 : 1];
	if (!region_fits(e, n, region, n->n_in - 1, a->n_out))
		return false;
	struct tensor *inner = pool_take(e, n->n_in, sizeof *inner);
	for (uint32_t i = 1; i < n->n_in; i++)
		inner[i - 1] = *in[i];
	if (!eval_region(e, region, inner, out))
		return false;
	pool_give(e, inner);
	return true;
}

/* One loop while it runs.  Arguments of the region: iteration number, condition, carried, values
 * from outside. Its results: condition, carried, one row of each scanned value. */
struct loop {
	struct eval *e;
	const struct node *n;
	const struct attr_region *attr;
	struct tensor *in, *out;
	uint32_t n_in, n_out;
};

static struct tensor tensor_like(struct eval *e, const struct tensor *t)
{
	return tensor_take(e, t->elem, t->rank, t->dim);
}

static bool loop_start(struct loop *l, const struct tensor *const *in, const struct tensor *result)
{
	struct eval *e = l->e;
	uint32_t n_carried = l->attr->n_carried;
	l->in = pool_take(e, l->n_in, sizeof *l->in);
	l->out = pool_take(e, l->n_out, sizeof *l->out);
	for (uint32_t i = 0; i < l->n_in; i++) {
		l->in[i] = *in[i];
		if (i < 2 + n_carried) {
			l->in[i] = tensor_like(e, in[i]);
			tensor_copy(&l->in[i], in[i]);
		}
	}
	for (uint32_t i = 0; i <= n_carried; i++)
		l->out[i] = tensor_like(e, &l->in[i + 1]);
	for (uint32_t i = n_carried; i < l->attr->n_out; i++) {
		const struct tensor *t = &result[i];
		if (t->rank < 1)
			return bug(e->context->diag, l->n->loc, "a scanned value has no dimension");
		l->out[i + 1] = tensor_take(e, t->elem, t->rank - 1, t->dim + 1);
	}
	return true;
}

static void loop_end(struct loop *l)
{
	for (uint32_t i = 0; i < 2 + l->attr->n_carried; i++)
		tensor_give(l->e, &l->in[i]);
	for (uint32_t i = 0; i < l->n_out; i++)
		tensor_give(l->e, &l->out[i]);
	pool_give(l->e, l->in);
	pool_give(l->e, l->out);
}

/* The results of an iteration become the arguments of the next; scanned rows are kept. */
static void loop_turn(struct loop *l, int64_t iteration, struct tensor *result)
{
	uint32_t n_carried = l->attr->n_carried;
	for (uint32_t i = 0; i <= n_carried; i++) {
		struct tensor next = l->out[i];
		l->out[i] = l->in[i + 1];
		l->in[i + 1] = next;
	}
	for (uint32_t i = n_carried; i < l->attr->n_out; i++) {
		struct tensor row = l->out[i + 1];
		row.i = &result[i].i[iteration * row.count];
		if (row.bound)
			row.bound = &result[i].bound[iteration * row.count];
		tensor_copy(&row, &l->out[i + 1]);
	}
}

EVAL(loop)
{
	const struct attr_region *a = n->attr.region;
	struct loop l = {.e = e, .n = n, .attr = a, .n_in = n->n_in, .n_out = a->n_out + 1};
	if (!in[0]->count || !in[1]->count)
		return eval_fail(e, n, "an empty trip count or condition");
	int64_t trips = in[0]->i[0], done = 0;
	bool scans = a->n_out > a->n_carried;
	if (!region_fits(e, n, a->region[0], l.n_in, l.n_out) || !loop_start(&l, in, out))
		return false;
	for (uint32_t i = a->n_carried; i < a->n_out; i++)
		if (out[i].dim[0] != (trips < 0 ? 0 : trips))
			return eval_fail(e, n, "%lld iterations for a result of extent %lld",
					 (long long)trips, (long long)out[i].dim[0]);
	while (done < trips && l.in[1].i[0]) {
		l.in[0].i[0] = done;
		if (!eval_region(e, a->region[0], l.in, l.out))
			return false;
		loop_turn(&l, done++, out);
	}
	if (scans && done < trips)
		return eval_fail(e, n,
				 "the loop ended after %lld of %lld iterations, whose results are "
				 "stacked",
				 (long long)done, (long long)trips);
	for (uint32_t i = 0; i < a->n_carried; i++) {
		if (!eval_same_shape(e, n, &out[i], &l.in[i + 2]))
			return false;
		tensor_copy(&out[i], &l.in[i + 2]);
	}
	loop_end(&l);
	return true;
}

/* ---- parts ---- */

/* in[0] points at all results of the operation. */
EVAL(part)
{
	const struct tensor *from = &in[0][n->attr.part->index];
	if (!eval_same_shape(e, n, out, from))
		return false;
	tensor_copy(out, from);
	return true;
}
