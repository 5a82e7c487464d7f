/* Every spelling of LayerNorm and RMSNorm in single operations becomes one norm with the right
 * attributes, and spellings that differ in a detail do not: all combinations of how a square, a
 * mean, a root, a quotient and the parameters can be written, for several axes and types.  Every
 * graph keeps its meaning.
 */
#include <string.h>

#include "meaning.h"
#include "pass.h"
#include "value.h"

enum { WIDTH = 6, ROWS = 3 };

enum square { SQUARE_MUL, SQUARE_POW, SQUARES };
enum mean { MEAN_SUM_TIMES, MEAN_SUM_OVER, MEANS };
enum root {
	ROOT_DIV,	     /* d / sqrt(v) */
	ROOT_INVERSE,	     /* d * (1 / sqrt(v)) */
	ROOT_INVERSE_LEFT,   /* (1 / sqrt(v)) * d */
	ROOT_POW_HALF,	     /* d / v^0.5 */
	ROOT_POW_MINUS_HALF, /* d * v^-0.5 */
	ROOT_OF_INVERSE,     /* d * sqrt(1 / v) */
	ROOT_POW_MINUS_ONE,  /* d * sqrt(v)^-1 */
	ROOTS
};
enum affine { AFFINE_NONE, AFFINE_GAMMA, AFFINE_BETA, AFFINE_BOTH, AFFINE_LEFT, AFFINES };

/* What is wrong on purpose. */
enum fault {
	FAULT_NONE,
	FAULT_EXPONENT,	    /* 4 */
	FAULT_COUNT,	    /* n + 1 */
	FAULT_SQUARE_AXES,  /* the second mean over another axis */
	FAULT_OTHER_SQUARE, /* of x instead of x - mean(x) */
	FAULT_OTHER_MEAN,   /* of another value */
	FAULT_SWAPPED,	    /* mean - x above */
	FAULT_INVERTED,	    /* the root above */
	FAULT_NO_ROOT,
	FAULT_EPSILON_VARIES, /* from row to row */
	FAULT_EPSILON_MINUS,
	FAULT_SHIFTED, /* d + 2 above */
	FAULTS
};

struct spelling {
	enum square square;
	enum mean mean;
	enum root root;
	enum affine affine;
	bool centred, outside; /* epsilon outside the root */
	bool both_axes;	       /* over the last two dimensions */
	bool half;	       /* f16 around, computed in f32 */
	enum fault fault;
};

/* ---- writing ---- */

struct writer {
	struct graph *g;
	const struct spelling *s;
	uint32_t axes;
};

static struct node *number(struct writer *w, double value)
{
	return build_number(w->g, NORMC_F32, value);
}

static struct node *parameter(struct writer *w, double from)
{
	struct type t = type_fixed(w->g->context, NORMC_F32, 2, (const int64_t[]){ROWS, WIDTH});
	double value[ROWS * WIDTH];
	if (!w->s->both_axes)
		t.dim[0] = dim_const(w->g->context->dims, 1);
	for (int i = 0; i < ROWS * WIDTH; i++)
		value[i] = from + 0.25 * i;
	return build_doubles(w->g, &t, value);
}

static struct node *mean_over(struct writer *w, struct node *x, uint32_t axes, double count)
{
	struct node *sum = build_reduce(w->g, OP_reduce_sum, x, axes, true);
	return w->s->mean == MEAN_SUM_OVER ? build_binary(w->g, OP_div, sum, number(w, count))
					   : build_binary(w->g, OP_mul, sum, number(w, 1 / count));
}

static double set_size(const struct writer *w)
{
	return w->s->both_axes ? ROWS * WIDTH : WIDTH;
}

static struct node *centred(struct writer *w, struct node *x)
{
	if (!w->s->centred)
		return x;
	struct node *of = w->s->fault == FAULT_OTHER_MEAN ? build_unary(w->g, OP_abs, x) : x;
	return build_binary(w->g, OP_sub, x, mean_over(w, of, w->axes, set_size(w)));
}

static struct node *variance(struct writer *w, struct node *x, struct node *d)
{
	enum fault fault = w->s->fault;
	uint32_t axes = fault == FAULT_SQUARE_AXES ? (w->s->both_axes ? 4 : 2) : w->axes;
	double count = fault == FAULT_SQUARE_AXES ? (w->s->both_axes ? WIDTH : ROWS) : set_size(w);
	struct node *of = fault == FAULT_OTHER_SQUARE ? build_unary(w->g, OP_neg, x) : d, *square;
	if (fault == FAULT_EXPONENT)
		square = build_binary(w->g, OP_pow, of, number(w, 4));
	else if (w->s->square == SQUARE_POW)
		square = build_binary(w->g, OP_pow, of, number(w, 2));
	else
		square = build_binary(w->g, OP_mul, of, of);
	return mean_over(w, square, axes, count + (fault == FAULT_COUNT));
}

static struct node *plus_epsilon(struct writer *w, struct node *v)
{
	struct type t = type_fixed(w->g->context, NORMC_F32, 2, (const int64_t[]){ROWS, 1});
	static const double varying[ROWS] = {0.5, 0.25, 0.5};
	if (w->s->fault == FAULT_EPSILON_VARIES)
		return build_binary(w->g, OP_add, v, build_doubles(w->g, &t, varying));
	return build_binary(w->g, OP_add, v,
			    number(w, w->s->fault == FAULT_EPSILON_MINUS ? -0.0078125 : 0.5));
}

/* The quotient of d and the root of v. */
static struct node *quotient(struct writer *w, struct node *d, struct node *v)
{
	struct graph *g = w->g;
	struct node *one = number(w, 1), *root;
	if (w->s->fault == FAULT_NO_ROOT)
		return build_binary(g, OP_div, d, plus_epsilon(w, v));
	if (w->s->outside)
		root = plus_epsilon(w, build_unary(g, OP_sqrt, v));
	else
		root = build_unary(g, OP_sqrt, plus_epsilon(w, v));
	if (w->s->fault == FAULT_INVERTED)
		return build_binary(g, OP_div, root, d);
	switch (w->s->root) {
	case ROOT_INVERSE:
		return build_binary(g, OP_mul, d, build_binary(g, OP_div, one, root));
	case ROOT_INVERSE_LEFT:
		return build_binary(g, OP_mul, build_binary(g, OP_div, one, root), d);
	case ROOT_POW_HALF:
		return build_binary(g, OP_div, d,
				    build_binary(g, OP_pow, plus_epsilon(w, v), number(w, 0.5)));
	case ROOT_POW_MINUS_HALF:
		return build_binary(g, OP_mul, d,
				    build_binary(g, OP_pow, plus_epsilon(w, v), number(w, -0.5)));
	case ROOT_OF_INVERSE:
		return build_binary(g, OP_mul, d,
				    build_unary(g, OP_sqrt,
						build_binary(g, OP_div, one, plus_epsilon(w, v))));
	case ROOT_POW_MINUS_ONE:
		return build_binary(g, OP_mul, d, build_binary(g, OP_pow, root, number(w, -1)));
	default:
		return build_binary(g, OP_div, d, root);
	}
}

static struct node *with_parameters(struct writer *w, struct node *y)
{
	struct graph *g = w->g;
	enum affine affine = w->s->affine;
	if (affine == AFFINE_GAMMA || affine == AFFINE_BOTH)
		y = build_binary(g, OP_mul, y, parameter(w, 0.5));
	if (affine == AFFINE_LEFT)
		y = build_binary(g, OP_mul, parameter(w, 0.5), y);
	if (affine == AFFINE_BETA || affine == AFFINE_BOTH)
		y = build_binary(g, OP_add, y, parameter(w, -1));
	if (affine == AFFINE_LEFT)
		y = build_binary(g, OP_add, parameter(w, -1), y);
	return y;
}

static void spell(struct graph *g, const struct spelling *s)
{
	struct writer w = {g, s, s->both_axes ? 6 : 4};
	struct type t = type_fixed(g->context, s->half ? NORMC_F16 : NORMC_F32, 3,
				   (const int64_t[]){2, ROWS, WIDTH});
	struct node *x = build_cast(g, graph_input(g, "x", &t), NORMC_F32), *d = centred(&w, x);
	struct node *v = variance(&w, x, d);
	if (s->fault == FAULT_SWAPPED)
		d = build_binary(g, OP_sub, mean_over(&w, x, w.axes, set_size(&w)), x);
	if (s->fault == FAULT_SHIFTED)
		d = build_binary(g, OP_add, d, number(&w, 2));
	struct node *y = with_parameters(&w, quotient(&w, d, v));
	graph_output(g, build_cast(g, y, t.elem), "y");
}

/* ---- checking ---- */

static const struct node *only_norm(const struct graph *g)
{
	const struct node *found = NULL;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (g->nodes[i]->op == OP_norm) {
			assert_null(found);
			found = g->nodes[i];
		}
	return found;
}

static void expect_attributes(const struct node *n, const struct spelling *s)
{
	const struct attr_norm *a = n->attr.norm;
	assert_int_equal(a->axes, s->both_axes ? 6 : 4);
	assert_int_equal(a->centre, s->centred ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE);
	assert_int_equal(a->scale, NORM_SCALE_RMS);
	assert_int_equal(a->epsilon_place, s->outside ? NORM_EPSILON_OUTSIDE : NORM_EPSILON_INSIDE);
	assert_true(a->epsilon == 0.5);
	assert_false(a->unbiased);
	assert_int_equal(a->gamma, s->affine != AFFINE_NONE && s->affine != AFFINE_BETA);
	assert_int_equal(a->beta, s->affine != AFFINE_NONE && s->affine != AFFINE_GAMMA);
}

/* The passes before recentring, which may take the mean away again. */
static void check(const struct spelling *s)
{
	void *opened;
	bench_open(&opened);
	struct bench *b = opened;
	struct pass_options options = {.verify = true, .list = "-recentre"};
	spell(b->graph, s);
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	const struct node *norm = only_norm(g);
	/* d is not x without its mean, but y is still d over its root mean square */
	bool still = s->fault == FAULT_SQUARE_AXES || s->fault == FAULT_OTHER_MEAN;
	if (!norm != (s->fault != FAULT_NONE && !still))
		fail_msg("square %d mean %d root %d affine %d centred %d outside %d both %d half "
			 "%d fault %d: %s",
			 s->square, s->mean, s->root, s->affine, s->centred, s->outside,
			 s->both_axes, s->half, s->fault, norm ? "a norm" : "no norm");
	if (norm && !still)
		expect_attributes(norm, s);
	if (still)
		assert_int_equal(norm->attr.norm->centre, NORM_CENTRE_NONE);
	same_meaning(b, b->graph, g, (struct meaning){.offset = 1, .tolerance = 1e-4});
	bench_close(&opened);
}

/* Spellings with epsilon outside the root need a root that stands alone. */
static bool makes_sense(const struct spelling *s)
{
	bool of_sum = s->root == ROOT_POW_HALF || s->root == ROOT_POW_MINUS_HALF ||
		      s->root == ROOT_OF_INVERSE;
	return !(s->outside && of_sum);
}

static bool spelling_of(uint32_t i, struct spelling *s)
{
	*s = (struct spelling){.square = i % SQUARES};
	i /= SQUARES;
	s->mean = i % MEANS;
	i /= MEANS;
	s->root = i % ROOTS;
	i /= ROOTS;
	s->affine = i % AFFINES;
	i /= AFFINES;
	s->centred = i % 2;
	s->outside = i / 2 % 2;
	s->both_axes = i / 4 % 2;
	s->half = i / 8 % 2;
	return i < 16;
}

static void test_all_spellings(void **state)
{
	struct spelling s;
	uint32_t n = 0;
	(void)state;
	for (uint32_t i = 0; spelling_of(i, &s); i++) {
		if (!makes_sense(&s))
			continue;
		check(&s);
		n++;
	}
	print_message("%u spellings\n", n);
	assert_true(n > 150);
}

/* A fault that this spelling can have. */
static bool can_have(const struct spelling *s)
{
	bool needs_centre = s->fault == FAULT_OTHER_SQUARE || s->fault == FAULT_OTHER_MEAN ||
			    s->fault == FAULT_SWAPPED || s->fault == FAULT_SQUARE_AXES;
	bool needs_rows = s->fault == FAULT_EPSILON_VARIES;
	bool other_root = s->fault == FAULT_NO_ROOT || s->fault == FAULT_INVERTED;
	return makes_sense(s) && (s->centred || !needs_centre) && !(s->both_axes && needs_rows) &&
	       !(other_root && (s->root != ROOT_DIV || s->outside));
}

static void test_near_misses(void **state)
{
	struct spelling s;
	uint32_t n = 0;
	(void)state;
	for (uint32_t i = 0; spelling_of(i, &s); i++)
		for (s.fault = FAULT_NONE + 1; s.fault < FAULTS; s.fault++) {
			if (!can_have(&s) || s.half || s.affine > AFFINE_GAMMA)
				continue;
			check(&s);
			n++;
		}
	print_message("%u near misses\n", n);
	assert_true(n > 150);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_all_spellings),
			cmocka_unit_test(test_near_misses),
	};
	return cmocka_run_group_tests_name("recognize", tests, NULL, NULL);
}
