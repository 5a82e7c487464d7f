/* Spellings of GELU, SiLU and HardSwish, which become the composition that the operator is imported
 * as, and near misses: another constant, another operand, another function.
 */
#include "algebra_case.h"

/* ---- writing ---- */

static struct node *input(struct graph *g)
{
	return part_input(g, "x", SHAPE(2, 3, 5));
}

/* The same number in the element type of a. */
static struct node *with(struct graph *g, enum op op, struct node *a, double value)
{
	return build_binary(g, op, a, build_number(g, a->type.elem, value));
}

static struct node *from(struct graph *g, enum op op, double value, struct node *a)
{
	return build_binary(g, op, build_number(g, a->type.elem, value), a);
}

static struct node *erf_gate(struct graph *g, struct node *x)
{
	return with(g, OP_add, build_unary(g, OP_erf, with(g, OP_div, x, M_SQRT2)), 1);
}

static struct node *power_of_e(struct graph *g, struct node *x, double factor)
{
	return build_unary(g, OP_exp, with(g, OP_mul, x, factor));
}

/* 1 + tanh(a x + b x^3) */
static struct node *tanh_gate(struct graph *g, struct node *x, double a, double b)
{
	struct node *cube = part_mul(g, part_mul(g, x, x), x);
	struct node *sum = part_add(g, with(g, OP_mul, x, a), with(g, OP_mul, cube, b));
	return with(g, OP_add, build_unary(g, OP_tanh, sum), 1);
}

static const double root = 0.79788456080286535588 /* sqrt(2/pi) */, third = 0.044715;

/* ---- what must come out ---- */

struct count {
	uint32_t mul, add, erf, tanh, exp, neg, div, limits;
};

/* These operations and no others, movement and sources aside. */
static void expect(const struct graph *g, struct count want)
{
	struct count n = {0};
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		enum op op = g->nodes[i]->op;
		n.mul += op == OP_mul;
		n.add += op == OP_add || op == OP_sub;
		n.erf += op == OP_erf;
		n.tanh += op == OP_tanh;
		n.exp += op == OP_exp;
		n.neg += op == OP_neg;
		n.div += op == OP_div;
		n.limits += op == OP_max || op == OP_min;
	}
	assert_memory_equal(&n, &want, sizeof n);
}

static void is_gelu(const struct graph *g)
{
	expect(g, (struct count){.mul = 3, .add = 1, .erf = 1});
}

static void is_tanh_gelu(const struct graph *g)
{
	expect(g, (struct count){.mul = 6, .add = 2, .tanh = 1});
}

static void is_silu(const struct graph *g)
{
	expect(g, (struct count){.mul = 1, .add = 1, .exp = 1, .neg = 1, .div = 1});
}

static void is_swish(const struct graph *g)
{
	expect(g, (struct count){.mul = 2, .add = 1, .exp = 1, .neg = 1, .div = 1});
}

static void is_hard_swish(const struct graph *g)
{
	expect(g, (struct count){.mul = 2, .add = 1, .limits = 2});
}

/* ---- the table: name, whether it fires, what comes out if it is told apart, the value ---- */

#define CASES(X)                                                                                   \
	/* GELU, all places of the half and of the one */                                          \
	X(half_last, true, is_gelu, with(g, OP_mul, part_mul(g, x, erf_gate(g, x)), 0.5))          \
	X(half_of_gate, true, is_gelu, part_mul(g, x, with(g, OP_mul, erf_gate(g, x), 0.5)))       \
	X(half_of_gate_left, true, is_gelu, part_mul(g, with(g, OP_mul, erf_gate(g, x), 0.5), x))  \
	X(half_left, true, is_gelu, from(g, OP_mul, 0.5, part_mul(g, x, erf_gate(g, x))))          \
	X(half_by_division, true, is_gelu, with(g, OP_div, part_mul(g, x, erf_gate(g, x)), 2))     \
	X(gate_left, true, is_gelu, part_mul(g, erf_gate(g, x), with(g, OP_mul, x, 0.5)))          \
	X(halves_in_gate, true, is_gelu,                                                           \
	  part_mul(g, x,                                                                           \
		   with(g, OP_add,                                                                 \
			with(g, OP_mul, build_unary(g, OP_erf, with(g, OP_mul, x, M_SQRT1_2)),     \
			     0.5),                                                                 \
			0.5)))                                                                     \
	X(multiplied_out, true, is_gelu,                                                           \
	  part_add(g, with(g, OP_mul, x, 0.5),                                                     \
		   part_mul(g, with(g, OP_mul, x, 0.5),                                            \
			    build_unary(g, OP_erf, with(g, OP_mul, x, M_SQRT1_2)))))               \
	X(constant_above, true, is_gelu,                                                           \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add,                                                            \
			     build_unary(g, OP_erf, with(g, OP_mul, x, 0.70710682868957519531)),   \
			     1)),                                                                  \
	       0.5))                                                                               \
	X(division_above, true, is_gelu,                                                           \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add,                                                            \
			     build_unary(g, OP_erf, with(g, OP_div, x, 1.4142136573791503906)),    \
			     1)),                                                                  \
	       0.5))                                                                               \
	X(of_a_product, true, NULL, with(g, OP_mul, part_mul(g, xy, erf_gate(g, xy)), 0.5))        \
	X(of_a_sum, true, NULL, with(g, OP_mul, part_mul(g, xs, erf_gate(g, xs)), 0.5))            \
	X(in_f64, true, NULL,                                                                      \
	  build_cast(g, with(g, OP_mul, part_mul(g, wide, erf_gate(g, wide)), 0.5), NORMC_F32))    \
	/* with tanh */                                                                            \
	X(tanh_sum, true, is_tanh_gelu,                                                            \
	  with(g, OP_mul, part_mul(g, x, tanh_gate(g, x, root, root *third)), 0.5))                \
	X(tanh_half_of_gate, true, is_tanh_gelu,                                                   \
	  part_mul(g, x, with(g, OP_mul, tanh_gate(g, x, root, root *third), 0.5)))                \
	X(tanh_factored, true, is_tanh_gelu,                                                       \
	  part_mul(g, with(g, OP_mul, x, 0.5),                                                     \
		   with(g, OP_add,                                                                 \
			build_unary(g, OP_tanh,                                                    \
				    part_mul(g, with(g, OP_mul, x, root),                          \
					     with(g, OP_add,                                       \
						  with(g, OP_mul, part_mul(g, x, x), third), 1))), \
			1)))                                                                       \
	X(tanh_power, true, is_tanh_gelu,                                                          \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add,                                                            \
			     build_unary(g, OP_tanh,                                               \
					 with(g, OP_mul,                                           \
					      part_add(g, x,                                       \
						       with(g, OP_mul, with(g, OP_pow, x, 3),      \
							    third)),                               \
					      root)),                                              \
			     1)),                                                                  \
	       0.5))                                                                               \
	X(tanh_multiplied_out, true, is_tanh_gelu,                                                 \
	  part_mul(g, x,                                                                           \
		   with(g, OP_add,                                                                 \
			with(g, OP_mul,                                                            \
			     build_unary(g, OP_tanh,                                               \
					 with(g, OP_mul,                                           \
					      part_add(g, x,                                       \
						       with(g, OP_mul, with(g, OP_pow, x, 3),      \
							    third)),                               \
					      root)),                                              \
			     0.5),                                                                 \
			0.5)))                                                                     \
	/* SiLU */                                                                                 \
	X(silu_quotient, true, is_silu,                                                            \
	  build_binary(g, OP_div, x,                                                               \
		       with(g, OP_add, build_unary(g, OP_exp, build_unary(g, OP_neg, x)), 1)))     \
	X(silu_one_left, true, is_silu,                                                            \
	  build_binary(g, OP_div, x,                                                               \
		       from(g, OP_add, 1, build_unary(g, OP_exp, build_unary(g, OP_neg, x)))))     \
	X(silu_minus_one, true, is_silu,                                                           \
	  build_binary(g, OP_div, x, with(g, OP_add, power_of_e(g, x, -1), 1)))                    \
	X(silu_of_a_product, true, NULL,                                                           \
	  build_binary(g, OP_div, xy, with(g, OP_add, power_of_e(g, xy, -1), 1)))                  \
	X(swish, true, is_swish,                                                                   \
	  build_binary(g, OP_div, x, with(g, OP_add, power_of_e(g, x, -1.702), 1)))                \
	X(swish_inverse, true, is_swish,                                                           \
	  part_mul(g, x, from(g, OP_div, 1, with(g, OP_add, power_of_e(g, x, -1.702), 1))))        \
	X(swish_inverse_left, true, is_swish,                                                      \
	  part_mul(g, from(g, OP_div, 1, with(g, OP_add, power_of_e(g, x, -1.702), 1)), x))        \
	/* HardSwish */                                                                            \
	X(hard_swish, true, is_hard_swish,                                                         \
	  with(g, OP_div, part_mul(g, x, limited(g, with(g, OP_add, x, 3), 0, 6)), 6))             \
	X(hard_swish_factor, true, is_hard_swish,                                                  \
	  part_mul(g, x, with(g, OP_mul, limited(g, with(g, OP_add, x, 3), 0, 6), 1 / 6.0)))       \
	X(hard_swish_quotient, true, is_hard_swish,                                                \
	  part_mul(g, x, with(g, OP_div, limited(g, with(g, OP_add, x, 3), 0, 6), 6)))             \
	X(hard_swish_first, true, is_hard_swish,                                                   \
	  part_mul(g, with(g, OP_div, x, 6), limited(g, with(g, OP_add, x, 3), 0, 6)))             \
	X(hard_swish_division, true, is_hard_swish,                                                \
	  part_mul(g, x, limited(g, with(g, OP_add, with(g, OP_div, x, 6), 0.5), 0, 1)))           \
	/* what is so already */                                                                   \
	X(usual_gelu, false, NULL,                                                                 \
	  part_mul(g, with(g, OP_mul, x, 0.5),                                                     \
		   with(g, OP_add, build_unary(g, OP_erf, with(g, OP_mul, x, M_SQRT1_2)), 1)))     \
	X(usual_silu, false, NULL,                                                                 \
	  part_mul(g, x,                                                                           \
		   from(g, OP_div, 1,                                                              \
			with(g, OP_add, build_unary(g, OP_exp, build_unary(g, OP_neg, x)), 1))))   \
	/* near misses */                                                                          \
	X(root_of_four_digits, false, NULL, gelu_with(g, x, 1.4142, 1, 0.5))                       \
	X(root_of_six_digits, false, NULL, gelu_with(g, x, 1.414213, 1, 0.5))                      \
	X(root_two_units_above, false, NULL, gelu_with(g, x, 1.4142137765884399414, 1, 0.5))       \
	X(root_two_units_below, false, NULL, gelu_with(g, x, 1.4142134189605712891, 1, 0.5))       \
	X(root_of_two_times, false, NULL, gelu_with(g, x, M_SQRT1_2, 1, 0.5))                      \
	X(f32_root_in_f64, false, NULL,                                                            \
	  build_cast(g, gelu_with(g, wide, 1.41421353816986083984, 1, 0.5), NORMC_F32))            \
	X(quarter, false, NULL, gelu_with(g, x, M_SQRT2, 1, 0.25))                                 \
	X(nearly_half, false, NULL, gelu_with(g, x, M_SQRT2, 1, 0.50000006))                       \
	X(two, false, NULL, gelu_with(g, x, M_SQRT2, 2, 0.5))                                      \
	X(nearly_one, false, NULL, gelu_with(g, x, M_SQRT2, 1.0000001, 0.5))                       \
	X(minus_one, false, NULL, gelu_with(g, x, M_SQRT2, -1, 0.5))                               \
	X(no_one, false, NULL, gelu_with(g, x, M_SQRT2, 0, 0.5))                                   \
	X(inner_alone, false, NULL, sum_of(g, x, with(g, OP_add, with(g, OP_mul, x, 0.5), 0.25)))  \
	X(square_of_inner, false, NULL,                                                            \
	  sum_of(g, x, part_add(g, with(g, OP_mul, x, 0.5), part_mul(g, x, x))))                   \
	X(cube_of_inner, false, NULL,                                                              \
	  sum_of(g, x, part_add(g, with(g, OP_mul, x, 0.5), part_mul(g, part_mul(g, x, x), x))))   \
	X(sum_as_it_should_be, true, is_gelu, sum_of(g, x, with(g, OP_mul, x, 0.5)))               \
	X(another_value, false, NULL, with(g, OP_mul, part_mul(g, y, erf_gate(g, x)), 0.5))        \
	X(another_sum, false, NULL, with(g, OP_mul, part_mul(g, xs, erf_gate(g, x)), 0.5))         \
	X(squared, false, NULL,                                                                    \
	  with(g, OP_mul, part_mul(g, part_mul(g, x, x), erf_gate(g, x)), 0.5))                    \
	X(without_x, false, NULL, with(g, OP_mul, erf_gate(g, x), 0.5))                            \
	X(gate_subtracted, false, NULL,                                                            \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			from(g, OP_sub, 1, build_unary(g, OP_erf, with(g, OP_div, x, M_SQRT2)))),  \
	       0.5))                                                                               \
	X(tanh_of_erf, false, NULL,                                                                \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add, build_unary(g, OP_tanh, with(g, OP_div, x, M_SQRT2)), 1)), \
	       0.5))                                                                               \
	X(tanh_other_cube, false, NULL,                                                            \
	  with(g, OP_mul, part_mul(g, x, tanh_gate(g, x, root, root * 0.04471)), 0.5))             \
	X(tanh_other_root, false, NULL,                                                            \
	  with(g, OP_mul, part_mul(g, x, tanh_gate(g, x, 0.79788, root *third)), 0.5))             \
	X(tanh_cube_negative, false, NULL,                                                         \
	  with(g, OP_mul, part_mul(g, x, tanh_gate(g, x, root, -root *third)), 0.5))               \
	X(tanh_square, false, NULL,                                                                \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add,                                                            \
			     build_unary(g, OP_tanh,                                               \
					 part_add(g, with(g, OP_mul, x, root),                     \
						  with(g, OP_mul, part_mul(g, x, x),               \
						       root *third))),                             \
			     1)),                                                                  \
	       0.5))                                                                               \
	X(tanh_and_square, false, NULL,                                                            \
	  gelu_of(g, x, part_add(g, tanh_argument(g, x), with(g, OP_mul, part_mul(g, x, x), 0.1)), \
		  0))                                                                              \
	X(tanh_and_fourth_power, false, NULL,                                                      \
	  gelu_of(g, x,                                                                            \
		  part_add(g, tanh_argument(g, x),                                                 \
			   with(g, OP_mul, part_mul(g, part_mul(g, x, x), part_mul(g, x, x)),      \
				0.1)),                                                             \
		  0))                                                                              \
	X(hard_swish_below, false, NULL,                                                           \
	  with(g, OP_div,                                                                          \
	       part_mul(g, x, limited(g, with(g, OP_sub, build_unary(g, OP_neg, x), 3), 0, -6)),   \
	       -6))                                                                                \
	X(tanh_and_constant, false, NULL,                                                          \
	  gelu_of(g, x, with(g, OP_add, tanh_argument(g, x), 0.1), 0))                             \
	X(tanh_and_nothing, true, is_tanh_gelu, gelu_of(g, x, tanh_argument(g, x), 0))             \
	X(plus_constant, true, NULL, gelu_of(g, x, tanh_argument(g, x), 0.1))                      \
	X(tanh_without_cube, false, NULL,                                                          \
	  with(g, OP_mul, part_mul(g, x, tanh_gate(g, x, root, 0)), 0.5))                          \
	X(tanh_another_cube, false, NULL,                                                          \
	  with(g, OP_mul,                                                                          \
	       part_mul(g, x,                                                                      \
			with(g, OP_add,                                                            \
			     build_unary(g, OP_tanh,                                               \
					 part_add(g, with(g, OP_mul, x, root),                     \
						  with(g, OP_mul,                                  \
						       part_mul(g, part_mul(g, x, x), y),          \
						       root *third))),                             \
			     1)),                                                                  \
	       0.5))                                                                               \
	X(silu_rising, false, NULL,                                                                \
	  build_binary(g, OP_div, x, with(g, OP_add, build_unary(g, OP_exp, x), 1)))               \
	X(silu_rising_half, false, NULL,                                                           \
	  build_binary(g, OP_div, x, with(g, OP_add, power_of_e(g, x, 0.5), 1)))                   \
	X(silu_two, false, NULL,                                                                   \
	  build_binary(g, OP_div, x, with(g, OP_add, power_of_e(g, x, -1), 2)))                    \
	X(silu_of_others, false, NULL,                                                             \
	  build_binary(g, OP_div, y, with(g, OP_add, power_of_e(g, x, -1), 1)))                    \
	X(silu_less_one, false, NULL,                                                              \
	  build_binary(g, OP_div, x, with(g, OP_add, power_of_e(g, x, -1), -1)))                   \
	X(silu_inverted, false, NULL,                                                              \
	  build_binary(g, OP_div, with(g, OP_add, power_of_e(g, x, -1), 1), x))                    \
	X(hard_swish_limit_five, false, NULL,                                                      \
	  with(g, OP_div, part_mul(g, x, limited(g, with(g, OP_add, x, 3), 0, 5)), 6))             \
	X(hard_swish_by_five, false, NULL,                                                         \
	  with(g, OP_div, part_mul(g, x, limited(g, with(g, OP_add, x, 3), 0, 6)), 5))             \
	X(hard_swish_plus_two, false, NULL,                                                        \
	  with(g, OP_div, part_mul(g, x, limited(g, with(g, OP_add, x, 2), 0, 6)), 6))             \
	X(hard_swish_from_one, false, NULL,                                                        \
	  with(g, OP_div, part_mul(g, x, limited(g, with(g, OP_add, x, 3), 1, 6)), 6))             \
	X(hard_swish_fifth, false, NULL,                                                           \
	  part_mul(g, x, limited(g, with(g, OP_add, with(g, OP_mul, x, 0.2), 0.5), 0, 1)))         \
	X(hard_swish_of_others, false, NULL,                                                       \
	  with(g, OP_div, part_mul(g, y, limited(g, with(g, OP_add, x, 3), 0, 6)), 6))             \
	X(hard_swish_without_limit, false, NULL,                                                   \
	  with(g, OP_div, part_mul(g, x, with(g, OP_max, with(g, OP_add, x, 3), 0)), 6))           \
	X(hard_sigmoid, false, NULL, with(g, OP_div, limited(g, with(g, OP_add, x, 3), 0, 6), 6))

/* factor x (one + erf(x / divisor)) */
static struct node *gelu_with(struct graph *g, struct node *x, double divisor, double one,
			      double factor)
{
	struct node *gate = build_unary(g, OP_erf, with(g, OP_div, x, divisor));
	return with(g, OP_mul, part_mul(g, x, with(g, OP_add, gate, one)), factor);
}

static struct node *tanh_argument(struct graph *g, struct node *x)
{
	struct node *cube = part_mul(g, part_mul(g, x, x), x);
	return part_add(g, with(g, OP_mul, x, root), with(g, OP_mul, cube, root * third));
}

/* x/2 (1 + tanh(argument)) + shift */
static struct node *gelu_of(struct graph *g, struct node *x, struct node *argument, double shift)
{
	struct node *gate = with(g, OP_add, build_unary(g, OP_tanh, argument), 1);
	struct node *y = part_mul(g, with(g, OP_mul, x, 0.5), gate);
	return shift != 0 ? with(g, OP_add, y, shift) : y;
}

/* x/2 + factor erf(x / sqrt 2) */
static struct node *sum_of(struct graph *g, struct node *x, struct node *factor)
{
	struct node *inner = build_unary(g, OP_erf, with(g, OP_div, x, M_SQRT2));
	return part_add(g, with(g, OP_mul, x, 0.5), part_mul(g, factor, inner));
}

static struct node *limited(struct graph *g, struct node *a, double low, double high)
{
	return with(g, OP_min, with(g, OP_max, a, low), high);
}

struct operands {
	struct node *x, *y, *xy, *xs, *wide;
};

static struct operands operands(struct graph *g)
{
	struct operands o = {.x = input(g), .y = part_input(g, "z", SHAPE(2, 3, 5))};
	o.xy = part_mul(g, o.x, o.y);
	o.xs = part_add(g, o.x, o.y);
	o.wide = build_cast(g, o.x, NORMC_F64);
	return o;
}

#define X(name, fires, check, value)                                                               \
	static struct node *make_##name(struct graph *g)                                           \
	{                                                                                          \
		struct operands o = operands(g);                                                   \
		struct node *x = o.x, *y = o.y, *xy = o.xy, *xs = o.xs, *wide = o.wide;            \
		(void)x, (void)y, (void)xy, (void)xs, (void)wide;                                  \
		return value;                                                                      \
	}
CASES(X)
#undef X

#define X(name, fires, check, ...) {#name, make_##name, "recognize", fires, NULL, check},
static const struct rewrite_case cases[] = {CASES(X)};
#undef X

int main(void)
{
	return RUN_REWRITE_CASES("recognize_activation", cases) |
	       RUN_ALGEBRA_CASES("recognize_activation", cases);
}
