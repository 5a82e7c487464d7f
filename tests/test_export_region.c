/* If and Loop written as ONNX and read back, with and without passes: the interpreter gets the same
 * from both.
 */
#include "region_samples.h"
#include "roundtrip.h"

static void compare_written(struct bench *b, const struct graph *g, const struct graph *written,
			    const struct sample *sample)
{
	struct export_request request = {.opset = 13, .cap = EXPORT_OPSET_USUAL};
	struct written w;
	if (!roundtrip_write(written, &request, &w))
		fail_msg("%s", b->diag.first);
	struct fixture *f = roundtrip_read(&w);
	for (uint32_t i = 0; i < sample->n_runs; i++) {
		const struct run *run = &sample->run[i];
		struct tensor in[MOST_INPUTS], want[MOST_INPUTS];
		uint64_t seed = 5;
		for (uint32_t k = 0; k < g->n_inputs; k++)
			in[k] = input_values(b, g->inputs[k], run, &seed);
		if (!eval_graph(g,
				(struct eval_request){EVAL_EXACT, run->symbols, b->context.arena},
				in, want))
			fail_msg("%s", b->diag.first);
		struct tensor *got = roundtrip_run(f, in);
		for (uint32_t k = 0; k < g->n_outputs; k++)
			if (roundtrip_difference(&got[k], &want[k], 1e-6) >= 0)
				fail_msg("output %u differs in run %u", k, i);
	}
	fixture_close(f);
	free(w.bytes);
}

static void test_written(void **state)
{
	const struct sample *sample = *state;
	struct pass_options options = {.verify = true};
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct graph *g = parsed(b, sample->text), *rewritten = passes_run(g, &options);
	assert_non_null(rewritten);
	compare_written(b, g, g, sample);
	compare_written(b, g, rewritten, sample);
	bench_close(&opened);
}

#define WRITTEN(name)                                                                              \
	{                                                                                          \
#name, test_written, NULL, NULL, (void *)(uintptr_t)&name                          \
	}

int main(void)
{
	const struct CMUnitTest tests[] = {
			WRITTEN(choice), WRITTEN(nested_choice), WRITTEN(carried),
			WRITTEN(early),	 WRITTEN(stacked),	 WRITTEN(nested),
	};
	return cmocka_run_group_tests_name("export_region", tests, NULL, NULL);
}
