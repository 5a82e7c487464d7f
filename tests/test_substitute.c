/* Norms replaced by fitted functions of single elements: which norms are taken, that constants are
 * the least-squares ones, and that results stay where the data lets the function be the norm.
 */
#include "fit.h"
#include "meaning.h"
#include "parts.h"
#include "pass.h"

enum { WIDTH = 6, ROWS = 24, MOST_NORMS = 8 };

static const char *const names[] = {"layernorm_to_un", "layernorm_to_dyt", "layernorm_to_eln",
				    "layernorm_to_rms"};

/* ---- graphs ---- */

/* Rows that are the same numbers in another order, so that all have the same statistics; the
 * numbers are -2, 0 and 2, for which odd functions differ by a factor only. */
static struct node *permuted_around(struct graph *g, double mean)
{
	double value[WIDTH * WIDTH];
	struct attr_arg arg = {.axis = 2};
	struct node *x = part_input(g, "x", SHAPE(2, ROWS, WIDTH));
	for (int i = 0; i < WIDTH * WIDTH; i++)
		value[i] = (i % WIDTH + i / WIDTH) % 3 * 2 - 2 + mean;
	x = graph_node(g, OP_argmax, &x, 1, (union attr){.arg = &arg});
	const struct dim *dim[2] = {x->type.dim[0], x->type.dim[1]};
	return build_gather(g, part_values(g, SHAPE(WIDTH, WIDTH), value),
			    build_reshape(g, x, 2, dim), 0);
}

static struct node *permuted(struct graph *g)
{
	return permuted_around(g, 0);
}

static struct node *normed(struct graph *g, struct node *x)
{
	return part_norm(g, x, (struct part_norm){.centred = true, .gamma = true, .beta = true});
}

static struct node *same_statistics(struct graph *g)
{
	return part_linear(g, normed(g, permuted(g)), 4);
}

static struct node *no_parameters(struct graph *g)
{
	return part_norm(g, permuted(g), (struct part_norm){.centred = true});
}

static struct node *gamma_alone(struct graph *g)
{
	return part_norm(g, permuted(g), (struct part_norm){.centred = true, .gamma = true});
}

static struct node *rms_norm(struct graph *g)
{
	return part_norm(g, permuted(g), (struct part_norm){.gamma = true, .beta = true});
}

static struct node *two_norms_of_one(struct graph *g)
{
	struct node *x = permuted(g);
	return part_add(g, part_linear(g, normed(g, x), 4), part_linear(g, normed(g, x), 4));
}

static struct node *channels_first(struct graph *g)
{
	static const int32_t swap[3] = {0, 2, 1};
	struct attr_norm attr = {.axes = 2,
				 .centre = NORM_CENTRE_MEAN,
				 .scale = NORM_SCALE_RMS,
				 .gamma = true,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = build_transpose(g, permuted(g), swap),
				   .gamma = part_weights(g, SHAPE(1, WIDTH, 1))};
	return build_norm(g, in, &attr);
}

static struct node *halves(struct graph *g)
{
	struct node *x = build_cast(g, permuted(g), NORMC_F16);
	return build_cast(g, part_norm(g, x, (struct part_norm){.centred = true}), NORMC_F32);
}

/* Rows of all sizes: no function of single elements is their norm. */
static struct node *any_rows(struct graph *g)
{
	return normed(g, part_input(g, "x", SHAPE(2, ROWS, WIDTH)));
}

static struct node *few_rows(struct graph *g)
{
	return normed(g, part_input(g, "x", SHAPE(1, 15, WIDTH)));
}

static struct node *zeros(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(2, ROWS, WIDTH));
	return normed(g, build_binary(g, OP_max,
				      build_binary(g, OP_min, x, build_number(g, NORMC_F32, 0)),
				      build_number(g, NORMC_F32, 0)));
}

static struct node *infinite(struct graph *g)
{
	struct node *x = part_input(g, "x", SHAPE(2, ROWS, WIDTH));
	return normed(g, build_binary(g, OP_div, x,
				      build_binary(g, OP_max, x, build_number(g, NORMC_F32, 0))));
}

static struct node *computed_gamma(struct graph *g)
{
	struct attr_norm attr = {
			.axes = 4, .scale = NORM_SCALE_RMS, .gamma = true, .epsilon = 1e-2};
	struct norm_operands in = {.x = permuted(g),
				   .gamma = part_input(g, "g", SHAPE(1, 1, WIDTH))};
	return build_norm(g, in, &attr);
}

static struct node *large_gamma(struct graph *g)
{
	static const double large[WIDTH] = {1, 3e38, 1, 1, 1, 1};
	struct attr_norm attr = {
			.axes = 4, .scale = NORM_SCALE_RMS, .gamma = true, .epsilon = 1e-2};
	struct node *x = part_mul(g, permuted(g), build_number(g, NORMC_F32, 0.25));
	struct norm_operands in = {.x = x, .gamma = part_values(g, SHAPE(1, 1, WIDTH), large)};
	return build_norm(g, in, &attr);
}

static struct node *other_norm(struct graph *g, uint32_t axes, enum norm_scale scale)
{
	struct attr_norm attr = {.axes = axes, .scale = scale, .epsilon = 1e-2};
	return build_norm(g, (struct norm_operands){.x = permuted(g)}, &attr);
}

static struct node *two_axes(struct graph *g)
{
	return other_norm(g, 6, NORM_SCALE_RMS);
}

static struct node *length_as_scale(struct graph *g)
{
	return other_norm(g, 4, NORM_SCALE_L2);
}

static struct node *greatest_as_scale(struct graph *g)
{
	return other_norm(g, 4, NORM_SCALE_MAX);
}

static struct node *one_channel(struct graph *g)
{
	struct node *x = build_reduce(g, OP_reduce_max, permuted(g), 4, true);
	return part_norm(g, x, (struct part_norm){.centred = true});
}

/* Regions are not measured. */
static struct node *in_region(struct graph *g)
{
	return part_choice(g, permuted(g), normed);
}

/* ---- recording and replacing ---- */

struct replaced {
	struct graph *before, *after; /* after: NULL after a report */
	struct pass_log log;
	uint32_t norms;
};

static void record(struct bench *b, struct graph *g, const char *pass, struct norm_sample *sample)
{
	struct tensor in[4], out[MOST_NORMS + 2];
	struct node **norm = arena_new(b->context.arena, struct node *, g->n_nodes + 1);
	struct meaning m = {.offset = 0.5};
	uint64_t seed = 5;
	uint32_t n = substitute_norms(g, pass, norm), first = g->n_outputs;
	assert_true(n <= MOST_NORMS);
	for (uint32_t i = 0; i < n; i++)
		graph_output(g, norm[i]->in[0], "tap");
	for (uint32_t i = 0; i < g->n_inputs; i++)
		in[i] = meaning_input(b, &g->inputs[i]->type, &m, &seed);
	struct eval_request exact = {EVAL_EXACT, NULL, b->context.arena};
	assert_true(eval_graph(g, exact, in, out));
	for (uint32_t i = 0; i < n; i++) {
		const struct tensor *t = &out[first + i];
		int32_t axis = substitute_axis(norm[i]);
		int64_t width = t->dim[axis], inner = axis == t->rank - 1 ? 1 : t->dim[axis + 1];
		float *x = arena_new(b->context.arena, float, (size_t)t->count + 1);
		for (int64_t k = 0; k < t->count; k++)
			x[(k / (width * inner) * inner + k % inner) * width + k / inner % width] =
					(float)t->f[k];
		sample[i] = (struct norm_sample){t->count / width, width, x};
	}
}

static struct replaced replace(struct bench *b, struct node *(*make)(struct graph *g),
			       const char *pass, const char *list)
{
	struct norm_sample sample[MOST_NORMS];
	struct replaced r = {.before = b->graph};
	struct pass_options options = {.list = list, .before = pass, .verify = true};
	graph_output(b->graph, make(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	if (!g)
		fail_msg("%s", b->diag.first);
	struct node **norm = arena_new(b->context.arena, struct node *, g->n_nodes + 1);
	r.norms = substitute_norms(g, pass, norm);
	record(b, g, pass, sample);
	options.before = NULL;
	options.samples = sample;
	options.n_samples = r.norms;
	options.log = &r.log;
	r.after = passes_run(b->graph, &options);
	return r;
}

static const char *note_of(const struct pass_log *log, const char *pass, bool done)
{
	for (uint32_t i = 0; i < log->n_remarks; i++)
		if (!strcmp(log->remarks[i].rule, pass) && !log->remarks[i].missed == done)
			return done ? log->remarks[i].note : log->remarks[i].missed;
	return NULL;
}

static uint32_t count_norms(const struct graph *g)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		n += g->nodes[i]->op == OP_norm;
	return n;
}

static const char *list_of(struct bench *b, const char *pass, const char *more)
{
	return arena_printf(b->context.arena, "+%s%s", pass, more);
}

/* ---- the table ---- */

struct sample {
	const char *name;
	struct node *(*make)(struct graph *g);
	uint32_t norms; /* that the pass takes */
	bool fires;
	bool exact;	 /* the result stays */
	const char *why; /* part of what a remark says; NULL: none */
};

static const struct sample samples[] = {
		{"same_statistics", same_statistics, 1, true, true, NULL},
		{"no_parameters", no_parameters, 1, true, true, NULL},
		{"gamma_alone", gamma_alone, 1, true, true, NULL},
		{"rms_norm", rms_norm, 1, true, true, NULL},
		{"two_norms_of_one", two_norms_of_one, 2, true, true, NULL},
		{"channels_first", channels_first, 1, true, true, NULL},
		{"halves", halves, 1, true, false, NULL},
		{"any_rows", any_rows, 1, true, false, NULL},
		{"few_rows", few_rows, 1, false, true, "15 rows"},
		{"zeros", zeros, 1, false, true, "zero, infinite"},
		{"infinite", infinite, 1, false, false, "zero, infinite"},
		{"computed_gamma", computed_gamma, 1, false, true, "gamma"},
		{"large_gamma", large_gamma, 1, false, true, "range"},
		{"two_axes", two_axes, 0, false, true, NULL},
		{"length_as_scale", length_as_scale, 0, false, true, NULL},
		{"greatest_as_scale", greatest_as_scale, 0, false, true, NULL},
		{"one_channel", one_channel, 0, false, true, NULL},
		{"in_region", in_region, 0, false, true, NULL},
};

/* For each function of single elements. */
static void test_sample(void **state)
{
	const struct sample *s = *state;
	for (int form = 0; form < 3; form++) {
		void *opened;
		bench_open(&opened);
		struct bench *b = opened;
		struct replaced r = replace(b, s->make, names[form], list_of(b, names[form], ""));
		if (!r.after)
			fail_msg("%s", b->diag.first);
		assert_int_equal(r.norms, s->norms);
		if (s->fires != (note_of(&r.log, names[form], true) != NULL))
			fail_msg("%s: fired is not %d", names[form], s->fires);
		if (s->fires)
			assert_int_equal(count_norms(r.after), 0);
		if (s->why)
			assert_non_null(strstr(note_of(&r.log, names[form], false), s->why));
		if (s->exact)
			same_meaning(b, r.before, r.after,
				     (struct meaning){.offset = 0.5, .tolerance = 1e-4});
		bench_close(&opened);
	}
}

/* ---- single tests ---- */

static void test_no_mean(void **state)
{
	struct bench *b = *state;
	struct replaced r =
			replace(b, same_statistics, names[3], list_of(b, names[3], ",-recentre"));
	assert_non_null(r.after);
	assert_non_null(note_of(&r.log, names[3], true));
	for (uint32_t i = 0; i < r.after->n_nodes; i++)
		if (r.after->nodes[i]->op == OP_norm)
			assert_int_equal(r.after->nodes[i]->attr.norm->centre, NORM_CENTRE_NONE);
	same_meaning(b, r.before, r.after, (struct meaning){.offset = 0.5, .tolerance = 1e-5});
}

/* Rows with a mean: what a channel is shifted by goes through gamma too. */
static struct node *far_rows(struct graph *g)
{
	return normed(g, permuted_around(g, 5));
}

static struct node *far_rows_of_rms(struct graph *g)
{
	return part_norm(g, permuted_around(g, 5), (struct part_norm){.gamma = true, .beta = true});
}

static void same_by_channel(struct bench *b, struct node *(*make)(struct graph *g))
{
	struct replaced r = replace(b, make, names[0], list_of(b, names[0], ",-recentre"));
	assert_non_null(r.after);
	assert_int_equal(count_norms(r.after), 0);
	same_meaning(b, r.before, r.after, (struct meaning){.offset = 0.5, .tolerance = 1e-5});
}

static void test_far_rows(void **state)
{
	same_by_channel(*state, far_rows);
}

static void test_far_rows_of_rms(void **state)
{
	same_by_channel(*state, far_rows_of_rms);
}

static void test_mean_is_gone_already(void **state)
{
	struct bench *b = *state;
	struct replaced r = replace(b, rms_norm, names[3], list_of(b, names[3], ""));
	assert_non_null(r.after);
	assert_int_equal(r.norms, 0);
	assert_null(note_of(&r.log, names[3], true));
}

static void test_samples_are_missing(void **state)
{
	struct bench *b = *state;
	struct pass_options options = {.list = "+layernorm_to_un"};
	graph_output(b->graph, any_rows(b->graph), "y");
	assert_null(passes_run(b->graph, &options));
	assert_int_equal(b->diag.status, NORMC_USAGE);
	assert_non_null(strstr(b->diag.first, "--calibrate"));
}

static void test_samples_of_another_graph(void **state)
{
	struct bench *b = *state;
	static const float x[20 * 5];
	struct norm_sample sample = {20, 5, x};
	struct pass_options options = {
			.list = "+layernorm_to_un", .samples = &sample, .n_samples = 1};
	graph_output(b->graph, any_rows(b->graph), "y");
	assert_null(passes_run(b->graph, &options));
	assert_int_equal(b->diag.status, NORMC_BUG);
}

static void test_strict(void **state)
{
	struct bench *b = *state;
	struct pass_options options = {.list = "+layernorm_to_un", .strict = true};
	graph_output(b->graph, any_rows(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	assert_non_null(g);
	assert_int_equal(count_norms(g), 1);
}

static void test_after(void **state)
{
	struct bench *b = *state;
	struct pass_options options = {.after = "recognize"};
	struct pass_log log = {0};
	options.log = &log;
	graph_output(b->graph, same_statistics(b->graph), "y");
	struct graph *g = passes_run(b->graph, &options);
	assert_non_null(g);
	assert_null(note_of(&log, "recentre", true));
	for (uint32_t i = 0; i < log.n_remarks; i++)
		assert_string_not_equal(log.remarks[i].rule, "recentre");
}

/* ---- least squares ---- */

/* Rows as the norm and as the function make them. */
struct images {
	int64_t rows;
	double *z, *f; /* [rows][WIDTH] */
};

static struct images images_of(struct bench *b, const struct norm_sample *s, double at,
			       enum fit_form form)
{
	size_t count = (size_t)(s->rows * WIDTH);
	struct images m = {s->rows, arena_new(b->context.arena, double, count),
			   arena_new(b->context.arena, double, count)};
	for (int64_t row = 0; row < s->rows; row++) {
		const float *x = s->x + row * WIDTH;
		double mean = 0, variance = 0;
		for (int64_t c = 0; c < WIDTH; c++)
			mean += x[c] / (double)WIDTH;
		for (int64_t c = 0; c < WIDTH; c++)
			variance += (x[c] - mean) * (x[c] - mean) / (double)WIDTH;
		for (int64_t c = 0; c < WIDTH; c++) {
			double u = at * x[c];
			m.z[row * WIDTH + c] = (x[c] - mean) / sqrt(variance + 1e-2);
			m.f[row * WIDTH + c] = form == FIT_TANH	  ? tanh(u)
					       : form == FIT_ROOT ? u / sqrt(u * u + 1)
								  : u;
		}
	}
	return m;
}

static double left_over(const struct images *m, const double *gain, const double *shift)
{
	double left = 0, all = 0;
	for (int64_t i = 0; i < m->rows * WIDTH; i++) {
		double d = m->z[i] - gain[i % WIDTH] * m->f[i] - shift[i % WIDTH];
		left += d * d;
		all += m->z[i] * m->z[i];
	}
	return sqrt(left / all);
}

/* With the best gains and shifts, by deviations from means. */
static double least_left_over(const struct images *m)
{
	double gain[WIDTH], shift[WIDTH], n = (double)m->rows;
	for (int c = 0; c < WIDTH; c++) {
		double f = 0, z = 0, ff = 0, fz = 0;
		for (int64_t row = 0; row < m->rows; row++) {
			f += m->f[row * WIDTH + c] / n;
			z += m->z[row * WIDTH + c] / n;
		}
		for (int64_t row = 0; row < m->rows; row++) {
			double d = m->f[row * WIDTH + c] - f;
			ff += d * d;
			fz += d * (m->z[row * WIDTH + c] - z);
		}
		gain[c] = fz / ff;
		shift[c] = z - gain[c] * f;
	}
	return left_over(m, gain, shift);
}

static void test_least_squares(void **state)
{
	struct bench *b = *state;
	enum { N = 250 };
	static const double nudges[] = {0.97, 1.03};
	float *x = arena_new(b->context.arena, float, (size_t)N *WIDTH);
	struct attr_norm a = {.axes = 4,
			      .centre = NORM_CENTRE_MEAN,
			      .scale = NORM_SCALE_RMS,
			      .epsilon = 1e-2};
	uint64_t seed = 3;
	for (int i = 0; i < N * WIDTH; i++)
		x[i] = (float)(test_random_range(&seed, -2, 3) * (1 + i % WIDTH) +
			       test_random_range(&seed, 0, 1));
	struct norm_sample sample = {N, WIDTH, x};
	for (enum fit_form form = FIT_LINEAR; form <= FIT_ROOT; form++) {
		struct fit fit = fit_norm(b->context.arena, &a, &sample, form);
		assert_null(fit.why);
		struct images m = images_of(b, &sample, fit.s, form);
		double least = least_left_over(&m);
		assert_float_equal(left_over(&m, fit.gain, fit.shift), least, 1e-9);
		assert_float_equal(fit.residual, least, 1e-9);
		assert_true(least > 0.01 && least < 0.9);
		for (int k = 0; k < 2 && form != FIT_LINEAR; k++) {
			m = images_of(b, &sample, fit.s * nudges[k], form);
			assert_true(least_left_over(&m) > least);
		}
	}
}

int main(void)
{
	enum { N = sizeof samples / sizeof *samples };
	const struct CMUnitTest single[] = {
			BENCH_TEST(test_no_mean),
			BENCH_TEST(test_far_rows),
			BENCH_TEST(test_far_rows_of_rms),
			BENCH_TEST(test_mean_is_gone_already),
			BENCH_TEST(test_samples_are_missing),
			BENCH_TEST(test_samples_of_another_graph),
			BENCH_TEST(test_strict),
			BENCH_TEST(test_after),
			BENCH_TEST(test_least_squares),
	};
	struct CMUnitTest tests[N];
	for (int i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){samples[i].name, test_sample, NULL, NULL,
					       (void *)(uintptr_t)&samples[i]};
	int failed = cmocka_run_group_tests_name("substitute", tests, NULL, NULL);
	return failed + cmocka_run_group_tests(single, NULL, NULL);
}
