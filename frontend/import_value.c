/* Operands whose contents must be known at compile time: constants, what can be computed from
 * constants, and integers that are tracked as expressions.
 */
#include <string.h>

#include "eval.h"
#include "compose.h"
#include "import_state.h"

enum {
	MAX_TRACKED = 16,    /* elements of a graph input that become symbols */
	MAX_COMPUTED = 64,   /* elements of a computed value that becomes tracked */
	MAX_SMALL = 4096,    /* elements of a value that is computed here */
	MAX_STEPS = 400,     /* nodes visited for one operand */
	MAX_LIST = 1 << 20,  /* elements of a list */
};

/* Makes the elements of a small integer input symbols, which the program reads at run time. */
static void track_input(struct import *n, struct node *input)
{
	struct context *c = n->g->context;
	int64_t count = type_fixed_count(&input->type);
	if (input->type.rank > 1 || count < 0 || count > MAX_TRACKED ||
	    !elem_is_integer(input->type.elem))
		return;
	const struct dim **ints = arena_new(c->arena, const struct dim *, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++) {
		struct symbol symbol = {.name = "",
					.input = input->attr.port->index,
					.index = (uint32_t)i,
					.element = true};
		ints[i] = dim_symbol(c->dims, symbol);
	}
	input->ints = ints;
}

/* The value of a node made of constants only. */
static bool evaluate(struct import *n, const struct node *node, struct tensor *out, int *steps)
{
	struct arena *arena = n->g->context->arena;
	struct tensor in[8];
	int64_t count = type_fixed_count(&node->type);
	if (count < 0 || count > MAX_SMALL || --*steps < 0)
		return false;
	if (node->op == OP_constant) {
		int64_t dim[MAX_RANK];
		for (int32_t i = 0; i < node->type.rank; i++)
			dim[i] = node->type.dim[i]->value;
		*out = tensor_load(arena, node->type.elem, node->type.rank, dim,
				   node->attr.data->p);
		return true;
	}
	bool computed = op_info[node->op].kind == KIND_map || op_info[node->op].kind == KIND_view ||
			op_info[node->op].kind == KIND_move ||
			op_info[node->op].kind == KIND_reduce;
	if (!computed || node->n_in > sizeof in / sizeof in[0])
		return false;
	for (uint32_t i = 0; i < node->n_in; i++)
		if (!evaluate(n, node->in[i], &in[i], steps))
			return false;
	return eval_node(n->g, node, (struct eval_request){EVAL_ROUND, NULL, arena}, in, out);
}

/* Tries to track a node after all, from its operands, or by computing it from constants as floats
 * that become integers again are. */
static void track(struct import *n, struct node *node, int *steps)
{
	if (node->ints || --*steps < 0)
		return;
	if (node->op == OP_input) {
		if (n->g == n->state->main) /* elsewhere it is a region's parameter */
			track_input(n, node);
		return;
	}
	if (node->type.rank > 1 || elem_is_float(node->type.elem))
		return;
	for (uint32_t i = 0; i < node->n_in; i++)
		track(n, node->in[i], steps);
	node->ints = track_ints(n->g, node);
	struct tensor list;
	if (!node->ints && evaluate(n, node, &list, steps) && list.count <= MAX_COMPUTED)
		node->ints = compose_dims(n, list.i, list.count);
}

/* The contents of a constant list, of any element type. */
static bool read_list(struct import *n, struct node *node, struct tensor *out)
{
	int64_t dim[MAX_RANK], count = type_fixed_count(&node->type);
	int steps = MAX_STEPS;
	if (node->op != OP_constant)
		return evaluate(n, node, out, &steps);
	if (count < 0 || count > MAX_LIST)
		return false;
	for (int32_t i = 0; i < node->type.rank; i++)
		dim[i] = node->type.dim[i]->value;
	*out = tensor_load(n->g->context->arena, node->type.elem, node->type.rank, dim,
			   node->attr.data->p);
	return true;
}

/* Tracked contents of a node, without a report: the number of elements, or -1. */
static int64_t find_dims(struct import *n, struct node *node, const struct dim *const **value)
{
	struct tensor list;
	int steps = MAX_STEPS;
	if (node_is_poison(node) || elem_is_float(node->type.elem))
		return -1;
	track(n, node, &steps);
	if (node->ints) {
		*value = node->ints;
		return node_n_ints(node);
	}
	if (!read_list(n, node, &list))
		return -1;
	*value = compose_dims(n, list.i, list.count);
	return list.count;
}

bool import_known(struct import *n, struct node *node, const struct dim **value)
{
	const struct dim *const *list;
	if (find_dims(n, node, &list) != 1)
		return false;
	*value = list[0];
	return true;
}

int64_t import_dims(struct import *n, uint32_t i, const struct dim *const **value)
{
	struct node *node = import_in(n, i);
	if (node_is_poison(node))
		return -1;
	if (elem_is_float(node->type.elem)) {
		import_invalid(n, "operand %u must hold integers", i);
		return -1;
	}
	int64_t count = find_dims(n, node, value);
	if (count < 0)
		import_unsupported(n,
				   "operand %u must be known at compile time, but depends on data",
				   i);
	return count;
}

int64_t import_numbers(struct import *n, uint32_t i, const int64_t **value)
{
	const struct dim *const *dims;
	int64_t count = import_dims(n, i, &dims);
	if (count < 0)
		return -1;
	int64_t *numbers = arena_new(n->g->context->arena, int64_t, (size_t)count + 1);
	for (int64_t k = 0; k < count; k++) {
		if (!dim_is_const(dims[k])) {
			import_unsupported(n,
					   "operand %u must be constant, but depends on an input's "
					   "shape or "
					   "contents",
					   i);
			return -1;
		}
		numbers[k] = dims[k]->value;
	}
	*value = numbers;
	return count;
}

int64_t import_reals(struct import *n, uint32_t i, const double **value)
{
	struct node *node = import_in(n, i);
	struct tensor list;
	if (node_is_poison(node))
		return -1;
	if (!read_list(n, node, &list)) {
		import_unsupported(n, "operand %u must be constant", i);
		return -1;
	}
	double *reals = arena_new(n->g->context->arena, double, (size_t)list.count + 1);
	for (int64_t k = 0; k < list.count; k++)
		reals[k] = elem_is_float(list.elem) ? list.f[k] : (double)list.i[k];
	*value = reals;
	return list.count;
}
