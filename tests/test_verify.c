/* The lanes of `normc verify`: equal graphs pass, graphs with a mistake are caught, each rule of
 * the bounds and of the residues can fail.
 */
#include "sample.h"
#include "verify.h"

/* ---- comparing two graphs in text ---- */

struct outcome {
	uint32_t failed[LANE_COUNT], passed[LANE_COUNT];
	char text[400]; /* of the first failure */
};

static void count(const struct verify_report *r, struct outcome *o)
{
	for (uint32_t i = 0; i < r->n_cases; i++) {
		const struct verify_case *c = &r->cases[i];
		o->failed[c->lane] += c->outcome == VERIFY_FAILED;
		o->passed[c->lane] += c->outcome == VERIFY_PASSED;
		if (c->outcome == VERIFY_FAILED && !o->text[0])
			snprintf(o->text, sizeof o->text, "%s, %s: %s", verify_lane_name(c->lane),
				 c->data, c->text);
	}
}

/* Runs `program` (or interprets `after` in its element types) on one kind of data. */
static void compare_values(struct bench *b, const struct graph *before, const struct graph *after,
			   struct normc_program *program, struct verify_report *r)
{
	static const int64_t extents[] = {3, 5, 2, 2};
	int64_t symbols[8] = {0}, others[8] = {0};
	struct tensor in[MOST_INPUTS], want[MOST_INPUTS], got[MOST_INPUTS];
	for (enum verify_data data = 0; data < DATA_COUNT; data++) {
		struct verify_request request = {data, 7, extents, 100, b->context.arena};
		assert_true(verify_inputs(before, &request, symbols, in));
		assert_true(verify_symbols(after, in, others));
		struct verify_side pair[2] = {{b->context.arena, before, symbols, in},
					      {b->context.arena, after, others, in}};
		struct eval_request exact = {EVAL_EXACT, symbols, b->context.arena};
		assert_true(data == DATA_WHOLE ? eval_bounds(before, exact, in, want)
					       : verify_reference(&pair[0], &pair[1], want));
		if (program) {
			struct compiled_call call = {program, 1, in, got, b->context.arena};
			compiled_run(&call);
		} else {
			assert_true(eval_graph(
					after,
					(struct eval_request){EVAL_ROUND, others, b->context.arena},
					in, got));
		}
		enum verify_lane lane = data == DATA_WHOLE ? LANE_EXACT : LANE_FLOAT;
		for (uint32_t i = 0; i < before->n_outputs; i++)
			verify_compare(r,
				       (struct verify_case){.lane = lane,
							    .output = before->output_names[i],
							    .data = verify_data_name(data)},
				       &want[i], &got[i]);
		if (data != DATA_NORMAL)
			continue;
		bool decisive = before->context->exact || verify_same_material(before, after);
		if (!verify_algebra(r, &pair[0], &pair[1], decisive))
			fail_msg("%s%s", b->diag.first, after->context->diag->first);
	}
}

static void compare_graphs(struct bench *b, const struct graph *before, struct graph *after,
			   bool compiled, struct outcome *o)
{
	struct verify_report r = {.arena = b->context.arena};
	struct compile_how how = {.passes = true};
	*o = (struct outcome){0};
	if (verify_structure(&r, before, after)) {
		struct normc_program *program = compiled ? compiled_program(after, &how) : NULL;
		compare_values(b, before, after, program, &r);
		normc_program_free(program);
	}
	count(&r, o);
}

static bool any_failed(const struct outcome *o)
{
	uint32_t n = 0;
	for (int i = 0; i < LANE_COUNT; i++)
		n += o->failed[i];
	return n;
}

/* ---- mistakes ---- */

#define CONV(before, after, stride)                                                                \
	"{groups 1 stride [" stride "," stride "] dilation [1,1] x_dilation [1,1] before " before  \
	" after " after "}"
#define NORM(scale, epsilon, place, unbiased)                                                      \
	"{axes [1] centre mean scale " scale " epsilon " epsilon " place " place                   \
	" unbiased " unbiased " gamma true beta true}"
#define PARAMETERS                                                                                 \
	"%1 = constant : f32[1,4] = [1, 0.5, -2, 0.25]\n"                                          \
	"%2 = constant : f32[1,4] = [0.1, 0.2, -0.3, 1]\n"
#define X "%0 = input \"x\" : f32[N,4]\n"
#define LAYER(attributes)                                                                          \
	X PARAMETERS "%3 = norm %0 %1 %2 " attributes " : f32[N,4]\nreturn %3 \"y\"\n"
#define LINEAR(weights, bias)                                                                      \
	X "%1 = constant : f32[4,3] = " weights "\n"                                               \
	  "%2 = matmul %0 %1 : f32[N,3]\n"                                                         \
	  "%3 = constant : f32[1,3] = " bias "\n"                                                  \
	  "%4 = broadcast %3 {to [N,3]} : f32[N,3]\n"                                              \
	  "%5 = add %2 %4 : f32[N,3]\nreturn %5 \"y\"\n"
#define WEIGHTS		   "[1, 2, -3, 0.5, 4, 1, -1, 0.25, 2, 3, -2, 1]"
#define IMAGE(operation)   "%0 = input \"x\" : f32[N,1,5,5]\n" operation "return %2 \"y\"\n"
#define KERNEL		   "%1 = constant : f32[2,1,2,2] = [1, 2, 3, 4, -1, 0.5, 0.25, 2]\n"
#define UNARY(operations)  X operations
#define BINARY(operations) X "%1 = input \"z\" : f32[N,4]\n" operations

struct mistake {
	const char *name, *right, *wrong;
	enum verify_lane lane; /* that must see it, among others */
};

static const struct mistake mistakes[] = {
		{"epsilon_dropped", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "0", "inside", "false")), LANE_FLOAT},
		{"epsilon_dropped_algebra", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "0", "inside", "false")), LANE_ALGEBRA},
		{"epsilon_outside", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "1e-5", "outside", "false")), LANE_FLOAT},
		{"epsilon_floor", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "1e-5", "floor", "false")), LANE_FLOAT},
		{"epsilon_other", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "1e-6", "inside", "false")), LANE_FLOAT},
		{"unbiased", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("rms", "1e-5", "inside", "true")), LANE_FLOAT},
		{"other_scale", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER(NORM("l2", "1e-5", "inside", "false")), LANE_FLOAT},
		{"mean_kept", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER("{axes [1] centre none scale rms epsilon 1e-5 place inside unbiased false "
		       "gamma true beta true}"),
		 LANE_FLOAT},
		{"wrong_axis", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 LAYER("{axes [0] centre mean scale rms epsilon 1e-5 place inside unbiased false "
		       "gamma true beta true}"),
		 LANE_FLOAT},
		{"gamma_beta_swapped", LAYER(NORM("rms", "1e-5", "inside", "false")),
		 X PARAMETERS "%3 = norm %0 %2 %1 " NORM("rms", "1e-5", "inside",
							 "false") " : f32[N,4]\nreturn %3 \"y\"\n",
		 LANE_ALGEBRA},
		{"constant_changed", LINEAR(WEIGHTS, "[1, 2, 3]"),
		 LINEAR("[1.001, 2, -3, 0.5, 4, 1, -1, 0.25, 2, 3, -2, 1]", "[1, 2, 3]"),
		 LANE_FLOAT},
		{"bias_changed", LINEAR(WEIGHTS, "[1, 2, 3]"), LINEAR(WEIGHTS, "[1, 2, 3.001]"),
		 LANE_FLOAT},
		{"bias_sign", LINEAR(WEIGHTS, "[1, 2, 3]"), LINEAR(WEIGHTS, "[1, -2, 3]"),
		 LANE_FLOAT},
		{"bias_missing", LINEAR(WEIGHTS, "[1, 2, 3]"),
		 X "%1 = constant : f32[4,3] = " WEIGHTS
		   "\n%2 = matmul %0 %1 : f32[N,3]\nreturn %2 \"y\"\n",
		 LANE_ALGEBRA},
		{"bias_missing_float", LINEAR(WEIGHTS, "[1, 2, 3]"),
		 X "%1 = constant : f32[4,3] = " WEIGHTS
		   "\n%2 = matmul %0 %1 : f32[N,3]\nreturn %2 \"y\"\n",
		 LANE_FLOAT},
		{"weights_transposed", LINEAR(WEIGHTS, "[1, 2, 3]"),
		 LINEAR("[1, 0.5, -1, 3, 2, 4, 0.25, -2, -3, 1, 2, 1]", "[1, 2, 3]"), LANE_FLOAT},
		{"padding_moved",
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[1,1]", "[0,0]", "1") " : f32[N,2,5,5]\n"),
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[0,0]", "[1,1]", "1") " : f32[N,2,5,5]\n"),
		 LANE_FLOAT},
		{"padding_moved_algebra",
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[1,1]", "[0,0]", "1") " : f32[N,2,5,5]\n"),
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[0,1]", "[1,0]", "1") " : f32[N,2,5,5]\n"),
		 LANE_ALGEBRA},
		{"shape_differs",
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[1,1]", "[0,0]", "1") " : f32[N,2,5,5]\n"),
		 IMAGE(KERNEL "%2 = conv %0 %1 " CONV("[0,0]", "[0,0]", "1") " : f32[N,2,4,4]\n"),
		 LANE_STRUCTURE},
		{"border_value",
		 IMAGE("%1 = constant : f32[] = [0]\n%2 = pad %0 %1 {before [0,0,1,1] after "
		       "[0,0,1,1] mode constant} : f32[N,1,7,7]\n"),
		 IMAGE("%1 = constant : f32[] = [0.5]\n%2 = pad %0 %1 {before [0,0,1,1] after "
		       "[0,0,1,1] mode constant} : f32[N,1,7,7]\n"),
		 LANE_FLOAT},
		{"border_mode",
		 IMAGE("%1 = constant : f32[] = [0]\n%2 = pad %0 %1 {before [0,0,1,1] after "
		       "[0,0,1,1] mode edge} : f32[N,1,7,7]\n"),
		 IMAGE("%1 = constant : f32[] = [0]\n%2 = pad %0 %1 {before [0,0,1,1] after "
		       "[0,0,1,1] mode reflect} : f32[N,1,7,7]\n"),
		 LANE_EXACT},
		{"pool_kind",
		 "%0 = input \"x\" : f32[N,1,5,5]\n%1 = pool_max %0 {kernel [2,2] stride [1,1] "
		 "dilation [1,1] before [0,0] after [0,0]} : f32[N,1,4,4]\nreturn %1 \"y\"\n",
		 "%0 = input \"x\" : f32[N,1,5,5]\n%1 = pool_sum %0 {kernel [2,2] stride [1,1] "
		 "dilation [1,1] before [0,0] after [0,0]} : f32[N,1,4,4]\nreturn %1 \"y\"\n",
		 LANE_EXACT},
		{"operands_swapped", BINARY("%2 = sub %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = sub %1 %0 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"operands_swapped_exact", BINARY("%2 = sub %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = sub %1 %0 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_EXACT},
		{"dividend_swapped", BINARY("%2 = div %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = div %1 %0 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_FLOAT},
		{"add_is_sub", BINARY("%2 = add %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = sub %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"sub_is_mul", BINARY("%2 = sub %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = mul %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"mul_is_div", BINARY("%2 = mul %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = div %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"div_is_max", BINARY("%2 = div %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = max %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"max_is_min", BINARY("%2 = max %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = min %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"min_is_add", BINARY("%2 = min %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = add %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"exp_is_sinh", UNARY("%1 = exp %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = sinh %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"sin_is_cos", UNARY("%1 = sin %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = cos %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"tanh_is_erf", UNARY("%1 = tanh %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = erf %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"abs_is_neg", UNARY("%1 = abs %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"floor_is_ceil", UNARY("%1 = floor %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = ceil %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"round_is_floor", UNARY("%1 = round %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = floor %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"sign_is_neg", UNARY("%1 = sign %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"atan_is_tanh", UNARY("%1 = atan %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = tanh %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"asinh_is_sinh", UNARY("%1 = asinh %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = sinh %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"cosh_is_exp", UNARY("%1 = cosh %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = exp %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"sin_is_tan", UNARY("%1 = sin %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = tan %0 : f32[N,4]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"sqrt_is_log",
		 UNARY("%1 = abs %0 : f32[N,4]\n%2 = sqrt %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 UNARY("%1 = abs %0 : f32[N,4]\n%2 = log %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 LANE_FLOAT},
		{"log_is_sqrt",
		 UNARY("%1 = abs %0 : f32[N,4]\n%2 = log %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 UNARY("%1 = abs %0 : f32[N,4]\n%2 = sqrt %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 LANE_FLOAT},
		{"asin_is_acos",
		 UNARY("%1 = tanh %0 : f32[N,4]\n%2 = asin %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 UNARY("%1 = tanh %0 : f32[N,4]\n%2 = acos %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 LANE_FLOAT},
		{"reduce_sum_is_reduce_max",
		 UNARY("%1 = reduce_sum %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = reduce_max %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"reduce_max_is_reduce_min",
		 UNARY("%1 = reduce_max %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = reduce_min %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"reduce_prod_is_reduce_sum",
		 UNARY("%1 = reduce_prod %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = reduce_sum %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"reduce_min_is_reduce_prod",
		 UNARY("%1 = reduce_min %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = reduce_prod %0 {axes [1]} : f32[N,1]\nreturn %1 \"y\"\n"), LANE_FLOAT},
		{"softmax_axis",
		 UNARY("%1 = softmax %0 {axis 1 log false} : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = softmax %0 {axis 0 log false} : f32[N,4]\nreturn %1 \"y\"\n"),
		 LANE_FLOAT},
		{"softmax_log",
		 UNARY("%1 = softmax %0 {axis 1 log true} : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = softmax %0 {axis 1 log false} : f32[N,4]\nreturn %1 \"y\"\n"),
		 LANE_FLOAT},
		{"argmax_last",
		 UNARY("%1 = argmax %0 {axis 1 last false} : i64[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = argmax %0 {axis 1 last true} : i64[N,1]\nreturn %1 \"y\"\n"),
		 LANE_FLOAT},
		{"argmax_is_argmin",
		 UNARY("%1 = argmax %0 {axis 1 last false} : i64[N,1]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = argmin %0 {axis 1 last false} : i64[N,1]\nreturn %1 \"y\"\n"),
		 LANE_FLOAT},
		{"branches_swapped",
		 BINARY("%2 = lt %0 %1 : bool[N,4]\n%3 = where %2 %0 %1 : f32[N,4]\nreturn %3 "
			"\"y\"\n"),
		 BINARY("%2 = lt %0 %1 : bool[N,4]\n%3 = where %2 %1 %0 : f32[N,4]\nreturn %3 "
			"\"y\"\n"),
		 LANE_ALGEBRA},
		{"less_or_equal", BINARY("%2 = lt %0 %1 : bool[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = le %0 %1 : bool[N,4]\nreturn %2 \"y\"\n"), LANE_EXACT},
		{"equal_is_less", BINARY("%2 = eq %0 %1 : bool[N,4]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = lt %0 %1 : bool[N,4]\nreturn %2 \"y\"\n"), LANE_EXACT},
		{"rows_reversed",
		 UNARY("%1 = slice %0 {start [0,3] extent [N,4] step [1,-1]} : f32[N,4]\nreturn %1 "
		       "\"y\"\n"),
		 UNARY("%1 = neg %0 : f32[N,4]\n%2 = neg %1 : f32[N,4]\nreturn %2 \"y\"\n"),
		 LANE_ALGEBRA},
		{"parts_swapped",
		 BINARY("%2 = concat %0 %1 {axis 1} : f32[N,8]\nreturn %2 \"y\"\n"),
		 BINARY("%2 = concat %1 %0 {axis 1} : f32[N,8]\nreturn %2 \"y\"\n"), LANE_ALGEBRA},
		{"not_transposed",
		 "%0 = input \"x\" : f32[4,4]\n%1 = transpose %0 {perm [1,0]} : f32[4,4]\nreturn "
		 "%1 \"y\"\n",
		 "%0 = input \"x\" : f32[4,4]\n%1 = reshape %0 {to [16]} : f32[16]\n%2 = reshape "
		 "%1 {to [4,4]} : f32[4,4]\nreturn %2 \"y\"\n",
		 LANE_EXACT},
		{"truncated",
		 UNARY("%1 = round %0 : f32[N,4]\n%2 = cast %1 {to i32 wrap false} : "
		       "i32[N,4]\nreturn %2 \"y\"\n"),
		 UNARY("%1 = cast %0 {to i32 wrap false} : i32[N,4]\nreturn %1 \"y\"\n"),
		 LANE_FLOAT},
		{"half_precision", UNARY("%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = cast %0 {to f16 wrap false} : f16[N,4]\n%2 = cast %1 {to f32 wrap "
		       "false} : f32[N,4]\n%3 = neg %2 : f32[N,4]\nreturn %3 \"y\"\n"),
		 LANE_FLOAT},
		{"index_shifted",
		 UNARY("%1 = constant : i64[2] = [0, 2]\n%2 = gather %0 %1 {axis 1} : "
		       "f32[N,2]\nreturn %2 \"y\"\n"),
		 UNARY("%1 = constant : i64[2] = [1, 2]\n%2 = gather %0 %1 {axis 1} : "
		       "f32[N,2]\nreturn %2 \"y\"\n"),
		 LANE_EXACT},
		{"square_is_cube", UNARY("%1 = mul %0 %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = mul %0 %0 : f32[N,4]\n%2 = mul %1 %0 : f32[N,4]\nreturn %2 \"y\"\n"),
		 LANE_ALGEBRA},
		{"integer_sum",
		 "%0 = input \"a\" : i32[4]\n%1 = input \"b\" : i32[4]\n%2 = add %0 %1 : "
		 "i32[4]\nreturn %2 \"y\"\n",
		 "%0 = input \"a\" : i32[4]\n%1 = input \"b\" : i32[4]\n%2 = sub %0 %1 : "
		 "i32[4]\nreturn %2 \"y\"\n",
		 LANE_EXACT},
		{"input_renamed", UNARY("%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 "%0 = input \"w\" : f32[N,4]\n%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n",
		 LANE_STRUCTURE},
		{"type_changed", UNARY("%1 = neg %0 : f32[N,4]\nreturn %1 \"y\"\n"),
		 UNARY("%1 = cast %0 {to f64 wrap false} : f64[N,4]\nreturn %1 \"y\"\n"),
		 LANE_STRUCTURE},
};

enum { N_MISTAKES = sizeof mistakes / sizeof *mistakes };

static struct graph *graph_of(struct bench *b, const char *body)
{
	char text[2000];
	snprintf(text, sizeof text, "graph \"g\"\n%s", body);
	return parsed(b, text);
}

/* Both graphs in contexts of their own, as two models are. */
static void test_mistake(void **state)
{
	const struct mistake *m = *state;
	void *first, *second;
	bench_open(&first);
	bench_open(&second);
	struct outcome o;
	const struct graph *right = graph_of(first, m->right);
	compare_graphs(first, right, graph_of(second, m->right), true, &o);
	if (any_failed(&o))
		fail_msg("%s: a false alarm: %s", m->name, o.text);
	compare_graphs(first, right, graph_of(second, m->wrong), true, &o);
	if (!o.failed[m->lane])
		fail_msg("%s is not seen by the lane %s%s%s", m->name, verify_lane_name(m->lane),
			 o.text[0] ? ", but: " : "", o.text);
	bench_close(&first);
	bench_close(&second);
}

/* ---- bounds ---- */

/* y = operation(x) in f32: the bound holds a rounding, and not 2^-10 of the value. */
static void test_bound_sizes(void **state)
{
	static const char *const operations[] = {
			"exp", "sin", "cos", "tan", "atan", "sinh", "cosh", "asinh", "tanh", "erf",
	};
	struct bench *b = *state;
	const int64_t symbols[] = {50};
	for (size_t k = 0; k < sizeof operations / sizeof *operations; k++) {
		char text[300];
		struct tensor in, out;
		uint64_t seed = k;
		snprintf(text, sizeof text,
			 "%%0 = input \"x\" : f32[N,4]\n%%1 = mul %%0 %%0 : f32[N,4]\n"
			 "%%2 = %s %%1 : f32[N,4]\nreturn %%2 \"y\"\n",
			 operations[k]);
		const struct graph *g = graph_of(b, text);
		int64_t numbers[32] = {0};
		in = bench_random(b, NORMC_F32, SHAPE(50, 4), &seed);
		for (int64_t i = 0; i < in.count; i++)
			in.f[i] = (float)in.f[i] / 2;
		assert_true(verify_symbols(g, &in, numbers));
		assert_int_equal(numbers[k], symbols[0]);
		struct eval_request request = {EVAL_EXACT, numbers, b->context.arena};
		assert_true(eval_bounds(g, request, &in, &out));
		for (int64_t i = 0; i < out.count; i++) {
			assert_true(out.bound[i] > 0x1p-25 * fabs(out.f[i]));
			assert_true(out.bound[i] < 0x1p-10 * (1 + fabs(out.f[i])));
		}
	}
}

/* Bounds of one graph for inputs x (and z). */
static struct tensor bounds_of(struct bench *b, const char *body, const struct tensor *in)
{
	struct tensor out;
	const struct graph *g = graph_of(b, body);
	int64_t symbols[8] = {0};
	assert_true(verify_symbols(g, in, symbols));
	struct eval_request request = {EVAL_EXACT, symbols, b->context.arena};
	if (!eval_bounds(g, request, in, &out))
		fail_msg("%s", b->diag.first);
	return out;
}

/* What jumps within the bound of its argument is unchecked; what does not is certain. */
static void test_jumps(void **state)
{
	static const char third[] = "%1 = constant : f32[1] = [3]\n"
				    "%2 = div %0 %1 : f32[1]\n";
	static const struct {
		const char *operation;
		double x;
		bool known;
	} cases[] = {
			{"%3 = cast %2 {to i32 wrap false} : i32[1]", 4, true},
			{"%3 = cast %2 {to bool wrap false} : bool[1]", 4, true},
			{"%3 = lt %2 %0 : bool[1]", 4, true},
			{"%3 = lt %2 %2 : bool[1]", 4, false},
			{"%3 = log %2 : f32[1]", 4, true},
			{"%3 = sqrt %2 : f32[1]", 4, true},
			{"%3 = div %0 %2 : f32[1]", 4, true},
	};
	struct bench *b = *state;
	for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
		char text[400];
		snprintf(text, sizeof text, "%%0 = input \"x\" : f32[1]\n%s%s\nreturn %%3 \"y\"\n",
			 third, cases[k].operation);
		struct tensor x = bench_values(b, NORMC_F32, SHAPE(1), &cases[k].x);
		struct tensor y = bounds_of(b, text, &x);
		if (isfinite(y.bound[0]) != cases[k].known)
			fail_msg("%s of %g: bound %g", cases[k].operation, cases[k].x, y.bound[0]);
	}
}

/* Whole numbers are exact as long as their type holds all partial sums. */
static void test_exact(void **state)
{
	static const char text[] = "%0 = input \"x\" : f32[1,4]\n"
				   "%1 = constant : f32[4,1] = [1, 2, 3, 4]\n"
				   "%2 = matmul %0 %1 : f32[1,1]\nreturn %2 \"y\"\n";
	static const double sizes[] = {1, 1e5, 1e8, 0.3};
	struct bench *b = *state;
	for (int k = 0; k < 4; k++) {
		double values[4] = {sizes[k], -sizes[k], sizes[k], sizes[k]};
		struct tensor x = bench_values(b, NORMC_F32, SHAPE(1, 4), values);
		struct tensor y = bounds_of(b, text, &x);
		assert_true((y.bound[0] == 0) == (k < 2)); /* 1e8 * 10 exceeds 2^24 */
	}
}

/* Equal in real arithmetic, in another spelling: the residues agree. */
/* A mean in place of a sum times the number nearest to 1/n: they differ by rounding alone. */
static void test_algebra_rounded_count(void **state)
{
	static const char *const pair[2] = {
			"%0 = input \"x\" : f32[N,3]\n"
			"%1 = constant : f32[1,1] = [0.3333333432674407959]\n"
			"%2 = mul %0 %0 : f32[N,3]\n%3 = reduce_sum %2 {axes [1]} : f32[N,1]\n"
			"%4 = broadcast %1 {to [N,1]} : f32[N,1]\n%5 = mul %3 %4 : f32[N,1]\n"
			"%6 = sqrt %5 : f32[N,1]\n%7 = broadcast %6 {to [N,3]} : f32[N,3]\n"
			"%8 = div %0 %7 : f32[N,3]\nreturn %8 \"y\"\n",
			"%0 = input \"x\" : f32[N,3]\n"
			"%1 = norm %0 {axes [1] centre none scale rms epsilon 0 place inside "
			"unbiased false gamma false beta false} : f32[N,3]\nreturn %1 \"y\"\n"};
	void *first, *second;
	struct outcome o;
	(void)state;
	bench_open(&first);
	bench_open(&second);
	struct graph *before = graph_of(first, pair[0]), *after = graph_of(second, pair[1]);
	assert_false(verify_same_material(before, after));
	assert_true(verify_same_material(before, before));
	compare_graphs(first, before, after, false, &o);
	assert_int_equal(o.failed[LANE_ALGEBRA], 0);
	bench_close(&first);
	bench_close(&second);
}

static void test_algebra_equal(void **state)
{
	static const char *const pairs[][2] = {
			{BINARY("%2 = sub %0 %1 : f32[N,4]\n%3 = mul %2 %2 : f32[N,4]\n"
				"return %3 \"y\"\n"),
			 BINARY("%2 = mul %0 %0 : f32[N,4]\n%3 = mul %1 %1 : f32[N,4]\n"
				"%4 = add %2 %3 : f32[N,4]\n%5 = mul %0 %1 : f32[N,4]\n"
				"%6 = add %5 %5 : f32[N,4]\n%7 = sub %4 %6 : f32[N,4]\n"
				"return %7 \"y\"\n")},
			{BINARY("%2 = div %0 %1 : f32[N,4]\nreturn %2 \"y\"\n"),
			 BINARY("%2 = div %1 %0 : f32[N,4]\n%3 = constant : f32[1,1] = [1]\n"
				"%4 = broadcast %3 {to [N,4]} : f32[N,4]\n"
				"%5 = div %4 %2 : f32[N,4]\nreturn %5 \"y\"\n")},
	};
	for (size_t k = 0; k < sizeof pairs / sizeof *pairs; k++) {
		void *first, *second;
		struct outcome o;
		bench_open(&first);
		bench_open(&second);
		compare_graphs(first, graph_of(first, pairs[k][0]), graph_of(second, pairs[k][1]),
			       false, &o);
		/* the spelling matters for rounding */
		if (!o.passed[LANE_ALGEBRA] || o.failed[LANE_ALGEBRA])
			fail_msg("pair %zu: %s", k, o.text);
		bench_close(&first);
		bench_close(&second);
	}
	(void)state;
}

int main(void)
{
	static const struct CMUnitTest others[] = {
			BENCH_TEST(test_bound_sizes),
			BENCH_TEST(test_jumps),
			BENCH_TEST(test_exact),
			cmocka_unit_test(test_algebra_equal),
			cmocka_unit_test(test_algebra_rounded_count),
	};
	enum { N_OTHERS = sizeof others / sizeof *others };
	struct CMUnitTest tests[N_MISTAKES + N_OTHERS];
	for (int i = 0; i < N_MISTAKES; i++)
		tests[i] = (struct CMUnitTest){mistakes[i].name, test_mistake, NULL, NULL,
					       (void *)(uintptr_t)&mistakes[i]};
	memcpy(&tests[N_MISTAKES], others, sizeof others);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
