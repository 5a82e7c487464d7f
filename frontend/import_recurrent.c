/* RNN, GRU and LSTM: calls of the runtime, which take their attributes as numbers. */
#include <string.h>
#include <strings.h>

#include "compose.h"

/* Activation functions in the order of their numbers in calls, with the defaults of their
 * parameters. */
static const struct activation {
	const char *name;
	bool alpha, beta; /* which parameters it takes */
	double alpha_default, beta_default;
} activations[] = {
		{"Sigmoid", false, false, 0, 0},     {"Tanh", false, false, 0, 0},
		{"Relu", false, false, 0, 0},	     {"Affine", true, true, 1, 0},
		{"LeakyRelu", true, false, 0.01, 0}, {"ThresholdedRelu", true, false, 1, 0},
		{"ScaledTanh", true, true, 1, 1},    {"HardSigmoid", true, true, 0.2, 0.5},
		{"Elu", true, false, 1, 0},	     {"Softsign", false, false, 0, 0},
		{"Softplus", false, false, 0, 0},
};

enum {
	N_ACTIVATIONS = sizeof activations / sizeof *activations,
	MAX_DIRECTIONS = 2,
	MAX_PER_DIRECTION = 3
};

/* What differs between the three. */
static const struct kind {
	const char *onnx, *call;
	uint32_t operands, states, per_direction;
	int64_t gates;
	const char *flag; /* attribute that becomes the third integer */
	const char *otherwise[MAX_PER_DIRECTION];
} kinds[] = {
		{"RNN", "rnn", 6, 1, 1, 1, NULL, {"Tanh"}},
		{"GRU", "gru", 6, 1, 2, 3, "linear_before_reset", {"Sigmoid", "Tanh"}},
		{"LSTM", "lstm", 8, 2, 3, 4, "input_forget", {"Sigmoid", "Tanh", "Tanh"}},
};

static int64_t read_direction(struct import *n)
{
	static const char *const names[] = {"forward", "reverse", "bidirectional"};
	const char *direction = import_string(n, "direction", "forward");
	for (int64_t i = 0; i < 3; i++)
		if (!strcmp(direction, names[i]))
			return i;
	import_invalid(n, "direction '%s' is not one of forward, reverse, bidirectional",
		       direction);
	return 0;
}

static uint32_t find_activation(struct import *n, const char *name)
{
	for (uint32_t i = 0; i < N_ACTIVATIONS; i++)
		if (!strcasecmp(activations[i].name, name))
			return i;
	import_unsupported(n, "activation '%s'", name);
	return 0;
}

/* Activations as numbers, and their parameters: those that take one use up the lists in order. */
static void read_activations(struct import *n, const struct kind *kind, uint32_t count,
			     int64_t *number, double *parameter)
{
	const char *const *name;
	const float *alpha, *beta;
	uint32_t given = import_strings(n, "activations", &name), a = 0, b = 0;
	uint32_t n_alpha = import_floats(n, "activation_alpha", &alpha);
	uint32_t n_beta = import_floats(n, "activation_beta", &beta);
	if (given && given != count)
		import_invalid(n, "%u activations instead of %u", given, count);
	for (uint32_t i = 0; i < count; i++) {
		uint32_t k = find_activation(
				n, given == count ? name[i]
						  : kind->otherwise[i % kind->per_direction]);
		const struct activation *f = &activations[k];
		number[i] = k;
		parameter[2 * i] = f->alpha && a < n_alpha ? (double)alpha[a++] : f->alpha_default;
		parameter[2 * i + 1] = f->beta && b < n_beta ? (double)beta[b++] : f->beta_default;
	}
}

/* Types of Y and the final states. False after a report. */
static bool result_types(struct import *n, const struct kind *kind, int64_t directions,
			 bool batch_first, struct type *out)
{
	const struct type *x = &import_in(n, 0)->type, *w = &import_in(n, 1)->type,
			  *r = &import_in(n, 2)->type;
	const struct dim *d = compose_dim(n, directions);
	if (x->rank != 3 || w->rank != 3 || r->rank != 3) {
		import_invalid(n, "X, W and R have ranks %d, %d, %d instead of 3", x->rank, w->rank,
			       r->rank);
		return false;
	}
	const struct dim *hidden = r->dim[2],
			 *gates = dim_mul(n->g->context->dims, hidden, compose_dim(n, kind->gates));
	const struct dim *pairs[][2] = {{w->dim[0], d},
					{r->dim[0], d},
					{w->dim[1], gates},
					{r->dim[1], gates},
					{w->dim[2], x->dim[2]}};
	for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++)
		graph_same_extent(n->g, pairs[i][0], pairs[i][1]);
	if (batch_first) {
		out[0] = (struct type){.elem = x->elem,
				       .rank = 4,
				       .dim = {x->dim[0], x->dim[1], d, hidden}};
		out[1] = (struct type){.elem = x->elem, .rank = 3, .dim = {x->dim[0], d, hidden}};
	} else {
		out[0] = (struct type){.elem = x->elem,
				       .rank = 4,
				       .dim = {x->dim[0], d, x->dim[1], hidden}};
		out[1] = (struct type){.elem = x->elem, .rank = 3, .dim = {d, x->dim[1], hidden}};
	}
	out[2] = out[1];
	return true;
}

void import_recurrent(struct import *n)
{
	const struct kind *kind = kinds;
	while (strcmp(kind->onnx, n->op_type))
		kind++;
	int64_t ints[3 + MAX_DIRECTIONS * MAX_PER_DIRECTION] = {read_direction(n)};
	double floats[1 + 2 * MAX_DIRECTIONS * MAX_PER_DIRECTION] = {import_float(n, "clip", 0)};
	uint32_t directions = ints[0] == 2 ? 2 : 1, count = directions * kind->per_direction;
	struct node *in[8];
	struct type out[3];
	for (uint32_t i = 0; i < kind->operands; i++) {
		in[i] = i < 3 ? import_in(n, i) : import_optional(n, i);
		if (in[i] && node_is_poison(in[i]))
			return;
	}
	ints[1] = n->opset >= 14 ? import_int(n, "layout", 0) : 0;
	ints[2] = kind->flag ? import_int(n, kind->flag, 0) : 0;
	read_activations(n, kind, count, ints + 3, floats + 1);
	if (!result_types(n, kind, directions, ints[1] != 0, out))
		return;
	struct attr_call call = {.name = kind->call,
				 .n_out = 1 + kind->states,
				 .out = out,
				 .n_ints = 3 + count,
				 .ints = ints,
				 .n_floats = 1 + 2 * count,
				 .floats = floats};
	struct node *y = compose_call(n->g, in, kind->operands, &call);
	for (uint32_t i = 0; i <= kind->states; i++)
		if (import_wants(n, i))
			import_out(n, i, compose_result(n->g, y, i));
}
