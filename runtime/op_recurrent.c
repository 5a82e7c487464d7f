/* LSTM, GRU and RNN.  One sequence of the batch at a time, in both directions if asked for: the
 * states and all sums are kept in double and rounded where they are written. */
#include "operator.h"

enum { MAX_ACTIVATIONS = 3 };
enum { X, W, R, B, LENGTHS, INITIAL_H, INITIAL_C, PEEPHOLES };

struct activation {
	int64_t code;
	double alpha, beta;
};

struct cell {
	const struct normc_call *call;
	int64_t gates, hidden, width; /* width: elements of one step's input */
	int64_t layout, variant;      /* variant: input_forget or linear_before_reset */
	double clip;
	int64_t direction; /* being worked on, 0 or 1 */
	struct activation activation[MAX_ACTIVATIONS];
	double *h, *c, *input, *sums, *recurrent; /* in scratch */
	void (*step)(struct cell *cell);	  /* from sums and recurrent to h and c */
};

static double sigmoid(double x)
{
	return 1 / (1 + exp(-x));
}

/* Applies activation number `number` to a value, which is clipped first. */
static double activate(const struct cell *cell, int number, double x)
{
	double alpha = cell->activation[number].alpha, beta = cell->activation[number].beta;

	if (cell->clip > 0)
		x = x < -cell->clip ? -cell->clip : x > cell->clip ? cell->clip : x;
	switch (cell->activation[number].code) {
	case 0:
		return sigmoid(x);
	case 1:
		return tanh(x);
	case 2:
		return x > 0 ? x : 0;
	case 3:
		return alpha * x + beta;
	case 4:
		return x >= 0 ? x : alpha * x;
	case 5:
		return x >= alpha ? x : 0;
	case 6:
		return alpha * tanh(beta * x);
	case 7:
		return fmin(fmax(alpha * x + beta, 0), 1);
	case 8:
		return x >= 0 ? x : alpha * expm1(x);
	case 9:
		return x / (1 + fabs(x));
	default:
		return x > 0 ? x + log1p(exp(-x)) : log1p(exp(x));
	}
}

/* Sum of products of one row of a weight matrix and a vector. */
static double dot(const struct normc_arg *m, const unsigned char *row, const double *v, int64_t n)
{
	double total[4] = {0};
	int64_t i = 0, stride = m->stride[2], size = element_size(arg_elem(m));

	if (m->elem == NORMC_F32 && stride == 1) {
		const float *w = (const float *)(const void *)row;

		for (; i + 4 <= n; i += 4) {
			for (int k = 0; k < 4; k++)
				total[k] += (double)w[i + k] * v[i + k];
		}
	}
	for (; i < n; i++)
		total[0] += element_load(arg_elem(m), row + i * stride * size) * v[i];
	return total[0] + total[1] + (total[2] + total[3]);
}

static const unsigned char *weight_row(const struct cell *cell, int input, int64_t row)
{
	return arg_at(&cell->call->in[input], (int64_t[]){cell->direction, row, 0});
}

/* Element `i` of the bias; 0 if there is none. */
static double bias(const struct cell *cell, int64_t i)
{
	const struct normc_arg *b = call_input(cell->call, B);

	return b ? arg_load(b, (int64_t[]){cell->direction, i}) : 0;
}

/* recurrent[i] = row i of the recurrence weights times the state, plus its bias, for rows of a gate
 */
static void recur(struct cell *cell, int64_t gate, const double *state)
{
	const struct normc_arg *r = &cell->call->in[R];
	int64_t n = cell->hidden;

	for (int64_t i = gate * n; i < (gate + 1) * n; i++)
		cell->recurrent[i] = dot(r, weight_row(cell, R, i), state, n) +
				     bias(cell, cell->gates * n + i);
}

static double peephole(const struct cell *cell, int64_t gate, int64_t i)
{
	const struct normc_arg *p = call_input(cell->call, PEEPHOLES);

	return p ? arg_load(p, (int64_t[]){cell->direction, gate * cell->hidden + i}) * cell->c[i]
		 : 0;
}

static void step_lstm(struct cell *cell)
{
	int64_t n = cell->hidden;

	for (int64_t gate = 0; gate < cell->gates; gate++)
		recur(cell, gate, cell->h);
	for (int64_t i = 0; i < n; i++) {
		double in = cell->sums[i] + cell->recurrent[i] + peephole(cell, 0, i);
		double out = cell->sums[n + i] + cell->recurrent[n + i];
		double forget = cell->sums[2 * n + i] + cell->recurrent[2 * n + i] +
				peephole(cell, 2, i);
		double change = cell->sums[3 * n + i] + cell->recurrent[3 * n + i];

		in = activate(cell, 0, in);
		forget = cell->variant ? 1 - in : activate(cell, 0, forget);
		cell->c[i] = forget * cell->c[i] + in * activate(cell, 1, change);
		out = activate(cell, 0, out + peephole(cell, 1, i));
		cell->h[i] = out * activate(cell, 2, cell->c[i]);
	}
}

static void step_gru(struct cell *cell)
{
	int64_t n = cell->hidden;
	double *reset = cell->sums + n;

	recur(cell, 0, cell->h);
	recur(cell, 1, cell->h);
	for (int64_t i = 0; i < n; i++) {
		reset[i] = activate(cell, 0, reset[i] + cell->recurrent[n + i]);
		cell->c[i] = reset[i] * cell->h[i];
	}
	recur(cell, 2, cell->variant ? cell->h : cell->c);
	for (int64_t i = 0; i < n; i++) {
		double update = activate(cell, 0, cell->sums[i] + cell->recurrent[i]);
		double again = cell->recurrent[2 * n + i] * (cell->variant ? reset[i] : 1);
		double fresh = activate(cell, 1, cell->sums[2 * n + i] + again);

		cell->h[i] = (1 - update) * fresh + update * cell->h[i];
	}
}

static void step_rnn(struct cell *cell)
{
	recur(cell, 0, cell->h);
	for (int64_t i = 0; i < cell->hidden; i++)
		cell->h[i] = activate(cell, 0, cell->sums[i] + cell->recurrent[i]);
}

/* Reads a state [direction, batch, element] or, by layout, [batch, direction, element]; zeros if
 * absent. */
static void load_state(const struct cell *cell, int input, int64_t batch, double *state)
{
	const struct normc_arg *from = call_input(cell->call, input);

	for (int64_t i = 0; i < cell->hidden; i++) {
		int64_t index[3] = {cell->direction, batch, i};

		if (cell->layout) {
			index[0] = batch;
			index[1] = cell->direction;
		}
		state[i] = from ? arg_load(from, index) : 0;
	}
}

static void store_state(const struct cell *cell, int output, int64_t batch, const double *state)
{
	const struct normc_arg *to = &cell->call->out[output];

	for (int64_t i = 0; to->data && i < cell->hidden; i++) {
		int64_t index[3] = {cell->direction, batch, i};

		if (cell->layout) {
			index[0] = batch;
			index[1] = cell->direction;
		}
		arg_store(to, index, state[i]);
	}
}

/* Writes the state, or zeros, as the output of one time step. */
static void store_output(const struct cell *cell, int64_t time, int64_t batch, bool zero)
{
	const struct normc_arg *y = &cell->call->out[0];

	for (int64_t i = 0; y->data && i < cell->hidden; i++) {
		int64_t first[4] = {time, cell->direction, batch, i};
		int64_t second[4] = {batch, time, cell->direction, i};

		arg_store(y, cell->layout ? second : first, zero ? 0 : cell->h[i]);
	}
}

static void run_step(struct cell *cell, int64_t time, int64_t batch)
{
	const struct normc_arg *x = &cell->call->in[X], *w = &cell->call->in[W];
	int64_t index[3] = {cell->layout ? batch : time, cell->layout ? time : batch, 0};

	for (; index[2] < cell->width; index[2]++)
		cell->input[index[2]] = arg_load(x, index);
	for (int64_t i = 0; i < cell->gates * cell->hidden; i++)
		cell->sums[i] = dot(w, weight_row(cell, W, i), cell->input, cell->width) +
				bias(cell, i);
	cell->step(cell);
	store_output(cell, time, batch, false);
}

/* One sequence in one direction; false if its length is impossible. */
static bool run_sequence(struct cell *cell, int64_t batch, bool reverse)
{
	const struct normc_arg *lengths = call_input(cell->call, LENGTHS);
	int64_t steps = cell->call->in[X].dim[cell->layout ? 1 : 0], length = steps;
	bool has_cell_state = cell->step == step_lstm;

	if (lengths)
		length = element_load_int(arg_elem(lengths), arg_at(lengths, &batch));
	if (length < 0 || length > steps)
		return false;
	load_state(cell, INITIAL_H, batch, cell->h);
	if (has_cell_state)
		load_state(cell, INITIAL_C, batch, cell->c);
	for (int64_t i = 0; i < length; i++)
		run_step(cell, reverse ? length - 1 - i : i, batch);
	for (int64_t i = length; i < steps; i++)
		store_output(cell, i, batch, true);
	store_state(cell, 1, batch, cell->h);
	if (has_cell_state)
		store_state(cell, 2, batch, cell->c);
	return true;
}

static int32_t run(struct cell *cell, const struct normc_call *call, int64_t activations)
{
	int64_t direction = call->ints[0], directions = direction == 2 ? 2 : 1, gates = cell->gates;

	cell->call = call;
	cell->layout = call->ints[1];
	cell->variant = call->ints[2];
	cell->clip = call->floats[0];
	cell->hidden = call->in[R].dim[2];
	cell->width = call->in[W].dim[2];
	cell->h = (double *)(void *)call->scratch;
	cell->c = cell->h + cell->hidden;
	cell->sums = cell->c + cell->hidden;
	cell->recurrent = cell->sums + gates * cell->hidden;
	cell->input = cell->recurrent + gates * cell->hidden;
	for (cell->direction = 0; cell->direction < directions; cell->direction++) {
		bool reverse = direction == 1 || cell->direction == 1;

		for (int64_t i = 0; i < activations; i++) {
			int64_t at = cell->direction * activations + i;

			cell->activation[i] = (struct activation){call->ints[3 + at],
								  call->floats[1 + 2 * at],
								  call->floats[2 + 2 * at]};
		}
		for (int64_t batch = 0; batch < call->in[X].dim[cell->layout ? 0 : 1]; batch++) {
			if (!run_sequence(cell, batch, reverse))
				return NORMC_INVALID;
		}
	}
	return NORMC_OK;
}

/* Doubles for h, c, two values of each gate, and one step's input. */
static int64_t scratch(const struct normc_call *call, int64_t gates)
{
	int64_t bytes;

	if (__builtin_mul_overflow(call->in[R].dim[2], 2 * gates + 2, &bytes) ||
	    __builtin_add_overflow(bytes, call->in[W].dim[2], &bytes) ||
	    __builtin_mul_overflow(bytes, (int64_t)sizeof(double), &bytes))
		return -1;
	return bytes;
}

int64_t normc_op_lstm_scratch(const struct normc_call *call)
{
	return scratch(call, 4);
}

int64_t normc_op_gru_scratch(const struct normc_call *call)
{
	return scratch(call, 3);
}

int64_t normc_op_rnn_scratch(const struct normc_call *call)
{
	return scratch(call, 1);
}

/* ints: direction, layout, input_forget, activations; floats: clip, alpha and beta of each */
int32_t normc_op_lstm(const struct normc_call *call)
{
	struct cell cell = {.gates = 4, .step = step_lstm};

	return run(&cell, call, 3);
}

/* ints: direction, layout, linear_before_reset, activations; floats as lstm */
int32_t normc_op_gru(const struct normc_call *call)
{
	struct cell cell = {.gates = 3, .step = step_gru};

	return run(&cell, call, 2);
}

/* ints: direction, layout, 0, activations; floats as lstm */
int32_t normc_op_rnn(const struct normc_call *call)
{
	struct cell cell = {.gates = 1, .step = step_rnn};

	return run(&cell, call, 1);
}
