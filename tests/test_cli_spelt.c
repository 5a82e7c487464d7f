/* Layers as torch exports them for older opsets: `normc opt` writes them by the operators that
 * later opsets have, and the model keeps its meaning.
 */
#define _GNU_SOURCE
#include "test_cli.h"

#define MODELS NORMC_SOURCE_DIR "/tests/models/spelt/"

struct spelt {
	const char *model, *operators; /* as inspect lists them */
};

static const struct spelt models[] = {
		{"batch_norm_and_conv_13", "  Conv: 1\n"},
		{"deviation_norm_13", "  Add: 2\n  Cast: 1\n  Div: 2\n  Mul: 2\n  ReduceMean: 1\n"
				      "  ReduceSum: 1\n  Sqrt: 1\n  Sub: 1\n"},
		{"filter_response_norm_13",
		 "  Add: 1\n  Max: 1\n  Mul: 1\n  RMSNormalization: 1\n"},
		{"gelu_11", "  Gelu: 1\n"},
		{"gelu_13", "  Gelu: 1\n"},
		{"gelu_17", "  Gelu: 1\n"},
		{"gelu_single_13", "  Gelu: 1\n"},
		{"group_norm_11", "  GroupNormalization: 1\n"},
		{"group_norm_13", "  GroupNormalization: 1\n"},
		{"group_norm_17", "  GroupNormalization: 1\n"},
		{"group_norm_and_conv_13",
		 "  Conv: 2\n  GroupNormalization: 1\n  Relu: 1\n  Reshape: 2\n"},
		{"group_norm_single_13", "  GroupNormalization: 1\n"},
		{"group_norm_single_symbolic_17", "  GroupNormalization: 1\n"},
		{"group_norm_symbolic_17", "  GroupNormalization: 1\n"},
		{"instance_norm_11", "  InstanceNormalization: 1\n"},
		{"instance_norm_13", "  InstanceNormalization: 1\n"},
		{"instance_norm_17", "  InstanceNormalization: 1\n"},
		{"instance_norm_single_13", "  InstanceNormalization: 1\n"},
		{"multiplied_out_13", "  LayerNormalization: 1\n"},
		/* no operator has the epsilon of these */
		{"normalize_11", "  Div: 1\n  Max: 1\n  ReduceL2: 1\n"},
		{"normalize_13", "  Div: 1\n  Max: 1\n  ReduceL2: 1\n"},
		{"normalize_17", "  Div: 1\n  Max: 1\n  ReduceL2: 1\n"},
		{"rms_norm_13", "  Add: 1\n  Div: 1\n  Mul: 2\n  ReduceMean: 1\n  Sqrt: 1\n"},
		{"scale_norm_13", "  Div: 1\n  Max: 1\n  Mul: 1\n  ReduceL2: 1\n"},
		{"silu_11", "  Mul: 1\n  Sigmoid: 1\n"},
		{"silu_13", "  Mul: 1\n  Sigmoid: 1\n"},
		{"silu_17", "  Mul: 1\n  Sigmoid: 1\n"},
		{"tanh_gelu_13", "  Gelu: 1\n"},
};

static void test_models(void **state)
{
	struct place *place = *state;
	for (size_t i = 0; i < sizeof models / sizeof *models; i++) {
		char model[500], operators[500];
		snprintf(model, sizeof model, MODELS "%s.onnx", models[i].model);
		snprintf(operators, sizeof operators, "operators:\n%s", models[i].operators);
		if (run_normc(place, "opt", model, "-o", "out.onnx") ||
		    run_normc(place, "inspect", "out.onnx"))
			fail_msg("%s: %s", models[i].model, place->err);
		const char *list = strstr(place->out, operators);
		if (!list || list[strlen(operators)] == ' ')
			fail_msg("%s: %s", models[i].model, place->out);
		if (run_normc(place, "verify", model, "out.onnx"))
			fail_msg("%s: %s", models[i].model, place->out);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_models, place_new, place_free)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
