/* Operators that pick, place and order elements by index.
 */
#include <string.h>

#include "compose.h"

void import_gather(struct import *n)
{
	struct node *x = import_in(n, 0);
	int32_t axis = import_axis(n, import_int(n, "axis", 0), x->type.rank);
	if (x->type.rank)
		import_out(n, 0, build_gather(n->g, x, import_in(n, 1), axis));
}

void import_gather_elements(struct import *n)
{
	struct node *in[2] = {import_in(n, 0), import_in(n, 1)};
	struct attr_axis attr = {import_axis(n, import_int(n, "axis", 0), in[0]->type.rank)};
	if (in[0]->type.rank)
		import_out(n, 0,
			   graph_node(n->g, OP_gather_elements, in, 2,
				      (union attr){.axis = &attr}));
}

/* Calls a runtime function with one result. */
static void call_one(struct import *n, const char *name, const struct type *out,
		     const int64_t *ints, uint32_t n_ints)
{
	struct attr_call call = {
			.name = name, .n_out = 1, .out = out, .n_ints = n_ints, .ints = ints};
	import_out(n, 0, compose_result(n->g, compose_call(n->g, n->in, n->n_in, &call), 0));
}

/* The runtime's functions take i64 indices. */
static void widen_indices(struct import *n, uint32_t i)
{
	struct node *index = import_in(n, i);
	if (!node_is_poison(index))
		n->in[i] = build_cast(n->g, index, NORMC_I64);
}

void import_gather_nd(struct import *n)
{
	struct node *x = import_in(n, 0), *index = import_in(n, 1);
	int64_t batch = import_int(n, "batch_dims", 0);
	int32_t last = index->type.rank - 1, rank = 0;
	struct type out = {.elem = x->type.elem};
	if (last < 0 || batch < 0 || batch > last || !dim_is_const(index->type.dim[last])) {
		import_invalid(n, "the indices' last extent must be known, and batch_dims within "
				  "their rank");
		return;
	}
	int64_t depth = index->type.dim[last]->value, left = x->type.rank - batch - depth;
	if (left < 0 || last + left > MAX_RANK) {
		import_invalid(n, "indices of %lld numbers do not fit rank %d", (long long)depth,
			       x->type.rank);
		return;
	}
	if (batch == 0 && depth == 1) {
		index = build_reshape(n->g, index, last, index->type.dim);
		import_out(n, 0, build_gather(n->g, x, index, 0));
		return;
	}
	for (int32_t i = 0; i < last; i++)
		out.dim[rank++] = index->type.dim[i];
	for (int64_t i = batch + depth; i < x->type.rank; i++)
		out.dim[rank++] = x->type.dim[i];
	out.rank = rank;
	widen_indices(n, 1);
	call_one(n, "gather_nd", &out, &batch, 1);
}

static int64_t read_reduction(struct import *n)
{
	static const char *const names[] = {"none", "add", "mul", "max", "min"};
	const char *reduction = import_string(n, "reduction", "none");
	for (int64_t i = 0; i < 5; i++)
		if (!strcmp(reduction, names[i]))
			return i;
	import_invalid(n, "unknown reduction '%.40s'", reduction);
	return -1;
}

void import_scatter_elements(struct import *n)
{
	struct node *x = import_in(n, 0), *index = import_in(n, 1), *updates = import_in(n, 2);
	int64_t ints[2] = {import_axis(n, import_int(n, "axis", 0), x->type.rank),
			   read_reduction(n)};
	if (index->type.rank != x->type.rank || updates->type.rank != x->type.rank) {
		import_invalid(n, "data, indices and updates differ in rank");
		return;
	}
	widen_indices(n, 1);
	if (ints[1] >= 0 && x->type.rank)
		call_one(n, "scatter_elements", &x->type, ints, 2);
}

void import_scatter_nd(struct import *n)
{
	struct node *x = import_in(n, 0), *index = import_in(n, 1), *updates = import_in(n, 2);
	int64_t reduction = read_reduction(n);
	int32_t last = index->type.rank - 1;
	if (last < 0 || !dim_is_const(index->type.dim[last]) ||
	    index->type.dim[last]->value > x->type.rank ||
	    updates->type.rank != last + x->type.rank - index->type.dim[last]->value) {
		import_invalid(n, "the shapes of data, indices and updates do not fit");
		return;
	}
	widen_indices(n, 1);
	if (reduction >= 0)
		call_one(n, "scatter_nd", &x->type, &reduction, 1);
}

void import_tensor_scatter(struct import *n)
{
	struct node *x = import_in(n, 0);
	const char *mode = import_string(n, "mode", "linear");
	int64_t ints[2] = {import_axis(n, import_int(n, "axis", -2), x->type.rank),
			   !strcmp(mode, "circular")};
	if (import_in(n, 1)->type.rank != x->type.rank) {
		import_invalid(n, "the update's rank differs from the cache's");
		return;
	}
	if (import_optional(n, 2))
		widen_indices(n, 2);
	if (x->type.rank)
		call_one(n, "tensor_scatter", &x->type, ints, 2);
}

void import_top_k(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t ints[2] = {import_axis(n, import_int(n, "axis", -1), x->type.rank),
			   import_int(n, "largest", 1) != 0};
	const struct dim *const *known, *k;
	if (x->type.rank == 0)
		return;
	if (n->opset < 10) {
		k = dim_const(n->g->context->dims, import_int(n, "k", -1));
	} else {
		if (import_dims(n, 1, &known) != 1)
			return;
		k = *known;
	}
	const struct dim *extent = x->type.dim[ints[0]];
	if (dim_is_const(k) &&
	    !import_in_range(n, "k", k->value, 0,
			     dim_is_const(extent) ? extent->value : INT64_MAX))
		return;
	struct type out[2] = {x->type, compose_type(x, NORMC_I64)};
	out[0].dim[ints[0]] = out[1].dim[ints[0]] = k;
	struct attr_call call = {.name = "topk", .n_out = 2, .out = out, .n_ints = 2, .ints = ints};
	struct node *both = compose_call(n->g, &x, 1, &call);
	import_out(n, 0, compose_result(n->g, both, 0));
	import_out(n, 1, compose_result(n->g, both, 1));
}

void import_reverse_sequence(struct import *n)
{
	struct node *x = import_in(n, 0);
	int64_t ints[2] = {import_axis(n, import_int(n, "batch_axis", 1), x->type.rank),
			   import_axis(n, import_int(n, "time_axis", 0), x->type.rank)};
	widen_indices(n, 1);
	if (ints[0] == ints[1])
		import_invalid(n, "batch_axis and time_axis are the same");
	else
		call_one(n, "reverse_sequence", &x->type, ints, 2);
}

/* CumSum and CumProd */
void import_cumulative(struct import *n)
{
	struct node *x = import_in(n, 0);
	const int64_t *axis;
	int64_t ints[4] = {0, import_int(n, "exclusive", 0) != 0, import_int(n, "reverse", 0) != 0,
			   !strcmp(n->op_type, "CumProd")};
	if (x->type.rank > 1) { /* otherwise there is one axis only */
		if (import_numbers(n, 1, &axis) != 1)
			return;
		ints[0] = import_axis(n, *axis, x->type.rank);
	}
	struct attr_call call = {
			.name = "cumsum", .n_out = 1, .out = &x->type, .n_ints = 4, .ints = ints};
	import_out(n, 0, compose_result(n->g, compose_call(n->g, &x, 1, &call), 0));
}
