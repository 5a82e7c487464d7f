/* Losses over class labels: negative log likelihood, and softmax before it. */
#include <string.h>

#include "compose.h"

/* Weight of every sample: that of its class, 0 where the label is the ignored one. `safe` gets
 * labels that are in range. */
static struct node *sample_weights(struct import *n, struct node *labels, struct node *elements,
				   struct node **safe)
{
	struct graph *g = n->g;
	struct node *weights = import_optional(n, 2), *w;
	struct node *ignored = NULL;
	*safe = labels;
	if (import_has(n, "ignore_index")) {
		struct node *index = build_integer(g, labels->type.elem,
						   import_int(n, "ignore_index", 0));
		ignored = build_binary(g, OP_eq, labels, index);
		*safe = build_where(g, ignored, build_integer(g, labels->type.elem, 0), labels);
	}
	if (weights)
		w = build_gather(g, compose_wide(g, weights), *safe, 0);
	else {
		struct type t = compose_type(labels, elements->type.elem);
		w = compose_fill(g, &t, 1);
	}
	return ignored ? build_where(g, ignored, compose_number(g, elements, 0), w) : w;
}

/* The loss of log-probabilities `x` [N, C, ...] for `labels` [N, ...]. */
static struct node *likelihood_loss(struct import *n, struct node *x, struct node *labels)
{
	struct graph *g = n->g;
	struct node *safe;
	if (node_is_poison(x) || node_is_poison(labels))
		return graph_poison(g);
	if (x->type.rank < 2 || labels->type.rank != x->type.rank - 1) {
		import_invalid(n, "scores of rank %d and labels of rank %d do not fit",
			       x->type.rank, labels->type.rank);
		return graph_poison(g);
	}
	struct node *w = sample_weights(n, labels, x, &safe);
	struct attr_axis along = {.axis = 1};
	struct node *in[2] = {x, build_unsqueeze(g, safe, 2)};
	struct node *picked =
			graph_node(g, OP_gather_elements, in, 2, (union attr){.axis = &along});
	struct node *loss = build_unary(g, OP_neg, build_squeeze(g, picked, 2));
	loss = build_binary(g, OP_mul, loss, w);
	const char *reduction = import_string(n, "reduction", "mean");
	if (!strcmp(reduction, "none"))
		return loss;
	uint32_t all = compose_all_axes(labels->type.rank);
	struct node *sum = build_reduce(g, OP_reduce_sum, loss, all, false);
	if (!strcmp(reduction, "mean"))
		return build_binary(g, OP_div, sum, build_reduce(g, OP_reduce_sum, w, all, false));
	if (strcmp(reduction, "sum"))
		import_invalid(n, "reduction '%s' is not one of none, sum, mean", reduction);
	return sum;
}

void import_nll_loss(struct import *n)
{
	struct node *x = import_in(n, 0);
	struct node *loss = likelihood_loss(n, compose_wide(n->g, x), import_in(n, 1));
	import_out(n, 0, build_cast(n->g, loss, x->type.elem));
}

void import_softmax_loss(struct import *n)
{
	struct node *x = import_in(n, 0);
	if (node_is_poison(x))
		return;
	if (x->type.rank < 2) {
		import_invalid(n, "scores have rank %d, 2 or more are needed", x->type.rank);
		return;
	}
	struct node *log = build_softmax(n->g, compose_wide(n->g, x), 1, true);
	struct node *loss = likelihood_loss(n, log, import_in(n, 1));
	import_out(n, 0, build_cast(n->g, loss, x->type.elem));
	if (import_wants(n, 1))
		import_out(n, 1, build_cast(n->g, log, x->type.elem));
}
