/* Samples: graphs in the text form, compiled with and without passes and run several times by one
 * thread and by several; the interpreter says what must come out.
 */
#ifndef NORMC_TEST_SAMPLE_H
#define NORMC_TEST_SAMPLE_H

#include "compiled.h"

enum { MOST_INPUTS = 8, MOST_RUNS = 7 };

/* Values of one run: all i64 inputs are `number`, all bool inputs `condition`, others random. */
struct run {
	int64_t symbols[2];
	int64_t number;
	bool condition;
};

struct sample {
	const char *text;
	const char *cpu; /* NULL: native */
	uint32_t n_runs;
	struct run run[MOST_RUNS];
};

/* ---- running ---- */

static inline struct tensor input_values(struct bench *b, const struct node *n,
					 const struct run *run, uint64_t *seed)
{
	struct shape shape = {n->type.rank, {0}};
	for (int32_t i = 0; i < shape.rank; i++)
		assert_true(dim_eval(n->type.dim[i], run->symbols, &shape.dim[i]));
	struct tensor t = bench_random(b, n->type.elem, shape, seed);
	for (int64_t i = 0; i < t.count; i++) {
		if (t.elem == NORMC_I64)
			t.i[i] = run->number;
		if (t.elem == NORMC_BOOL)
			t.i[i] = run->condition;
	}
	return t;
}

static inline void compare_run(struct bench *b, const struct graph *g, const struct run *run,
			       struct compiled_call *call)
{
	struct tensor in[MOST_INPUTS], want[MOST_INPUTS], got[MOST_INPUTS];
	uint64_t seed = 5;
	assert_true(g->n_inputs <= MOST_INPUTS && g->n_outputs <= MOST_INPUTS);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		in[i] = input_values(b, g->inputs[i], run, &seed);
	if (!eval_graph(g, (struct eval_request){EVAL_ROUND, run->symbols, b->context.arena}, in,
			want))
		fail_msg("%s", b->diag.first);
	call->in = in;
	call->out = got;
	compiled_run(call);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		bench_equal(&got[i], &want[i], 1e-4);
}

static inline struct graph *parsed(struct bench *b, const char *text)
{
	struct graph *g = graph_parse(&b->context, text);
	if (!g)
		fail_msg("%s", b->diag.first);
	assert_true(graph_verify(g));
	return g;
}

static inline void test_sample(void **state)
{
	const struct sample *sample = *state;
	for (int passes = 0; passes < 2; passes++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		struct graph *g = parsed(b, sample->text);
		struct compile_how how = {.cpu = sample->cpu, .passes = passes};
		struct normc_program *program = compiled_program(g, &how);
		struct compiled_call call = {.program = program, .arena = b->context.arena};
		for (uint32_t i = 0; i < sample->n_runs; i++) {
			call.threads = i % 2 ? 3 : 1;
			compare_run(b, g, &sample->run[i], &call);
		}
		normc_program_free(program);
		bench_close(&opened);
	}
}

/* How one run ends of a graph with one input and one output, for which y has room. */
static inline enum normc_status status_of_run(struct bench *b, const char *text, int threads,
					      const struct normc_tensor *in, float *y)
{
	struct normc_program *program = compiled_program(parsed(b, text), &(struct compile_how){0});
	struct normc_session_options options = {.size = sizeof options, .threads = threads};
	struct normc_session *session = NULL;
	struct normc_tensor out = {0};
	struct normc_error error;
	assert_int_equal(normc_session_new(&session, program, &options, &error), NORMC_OK);
	if (normc_session_bind(session, in, &out, &error))
		fail_msg("%s", error.text);
	out.data = y;
	enum normc_status status = normc_run(session, in, &out, &error);
	assert_true(!status || *error.text);
	normc_session_free(session);
	normc_program_free(program);
	return status;
}

#define RUNS(...)                                                                                  \
	.n_runs = sizeof((struct run[]){__VA_ARGS__}) / sizeof(struct run), .run = {__VA_ARGS__}

#define SAMPLE(name)                                                                               \
	{                                                                                          \
#name, test_sample, NULL, NULL, (void *)(uintptr_t)&name                           \
	}

#endif
