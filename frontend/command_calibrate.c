/* --calibrate: data for the passes that substitute norms, and what it does to the results.
 *
 * A child process compiles the model as it is before the substitution, with the operands of its
 * norms as further outputs, runs it on the data and keeps samples of these.  With the samples it
 * compiles the substituted model, runs both on the same data and tells how far the outputs moved.
 * The samples come back in a file, for the compile calls that follow.
 */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "eval_op.h"
#include "io.h"
#include "substitute.h"

enum { MOST_SAMPLED_ROWS = 1024 };

/* How far an output moved, over all runs. */
struct movement {
	double differences, squares; /* sums of squares of differences, and of the output */
	double largest;
	int64_t rows, changed; /* along the last dimension; with another greatest element */
};

/* A norm that is recorded. */
struct tap {
	int32_t axis;
	struct norm_sample sample;
	float *x;
};

struct calibration {
	const struct settings *settings;
	const char *pass;		 /* that substitutes */
	const char *folder, *folders[2]; /* for the samples; for the code of both models */
	struct runner runner[2];	 /* without and with the substitution */
	struct normc_tensor *in, *slice; /* all data, and that of a run */
	struct normc_tensor *out[2];
	struct movement *moved;
	size_t n_outputs; /* of the model; the taps follow */
	struct tap *tap;
	uint32_t n_taps;
	int64_t runs;
};

static enum normc_status no_memory(void)
{
	return complain(NORMC_LIMIT, "out of memory");
}

/* ---- the model with taps ---- */

/* The list without the substitution. */
static const char *without(struct compile *c, const char *list, const char *pass)
{
	return arena_printf(c->context.arena, "%s,-%s", list, pass);
}

static bool compile_tapped(struct compile *c, void *user)
{
	struct calibration *k = user;
	if (!compile_to(c, STAGE_IMPORTED))
		return false;
	struct pass_options options = {.list = c->passes.list, .before = k->pass};
	struct graph *g = passes_run(c->imported, &options);
	if (!g)
		return false;
	struct node **norm = arena_new(c->context.arena, struct node *, g->n_nodes + 1);
	k->n_taps = substitute_norms(g, k->pass, norm);
	k->n_outputs = g->n_outputs;
	k->tap = calloc(k->n_taps + 1, sizeof *k->tap);
	if (!k->tap)
		return diag_error(&c->diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
	if (!k->n_taps)
		return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
				  "%s finds no norm to replace: none over one axis, or none that "
				  "still takes a mean away",
				  k->pass);
	for (uint32_t i = 0; i < k->n_taps; i++) {
		k->tap[i].axis = substitute_axis(norm[i]);
		graph_output(g, norm[i]->in[0], arena_printf(c->context.arena, "calibrate.%u", i));
	}
	c->imported = g;
	c->passes.list = without(c, c->passes.list, k->pass);
	return artefact_loadable(c, (void *)(uintptr_t)k->folders[0]);
}

static enum normc_status open_tapped(struct calibration *k, const struct settings *quiet)
{
	struct normc_error error = {0};
	struct model_step step = {.settings = quiet,
				  .path = quiet->paths.item[0],
				  .run = compile_tapped,
				  .user = k};
	enum normc_status status = model_step_take(&step, &error);
	if (status)
		return status; /* it is told */
	status = runner_load(&k->runner[0], quiet, k->folders[0], &error);
	return status ? complain(status, "%s", error.text) : NORMC_OK;
}

/* ---- data ---- */

/* An array may be several times as long as the input: it is cut into runs. */
static enum normc_status count_runs(struct calibration *k, size_t i)
{
	const struct normc_port *port = &k->runner[0].inputs[i];
	const struct normc_tensor *t = &k->in[i];
	if (t->rank != port->rank)
		return complain(NORMC_USAGE, "--calibrate: '%s' has %d dimensions, not %d",
				port->name, t->rank, port->rank);
	if (!t->rank || port->dim[0] < 1 || t->dim[0] == port->dim[0])
		return NORMC_OK;
	int64_t runs = t->dim[0] / port->dim[0];
	if (!runs || t->dim[0] % port->dim[0] || (k->runs > 1 && runs != k->runs))
		return complain(NORMC_USAGE,
				"--calibrate: '%s' has %lld rows: give %lld, or the same multiple "
				"of that for all inputs",
				port->name, (long long)t->dim[0], (long long)port->dim[0]);
	k->runs = runs;
	return NORMC_OK;
}

static enum normc_status read_data(struct calibration *k)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	struct runner *r = &k->runner[0];
	k->runs = 1;
	k->in = calloc(r->n_inputs + 1, sizeof *k->in);
	k->slice = calloc(r->n_inputs + 1, sizeof *k->slice);
	k->out[0] = calloc(r->n_outputs + 1, sizeof *k->out[0]);
	k->out[1] = calloc(r->n_outputs + 1, sizeof *k->out[1]);
	k->moved = calloc(k->n_outputs + 1, sizeof *k->moved);
	if (!k->in || !k->slice || !k->out[0] || !k->out[1] || !k->moved)
		return no_memory();
	for (size_t i = 0; i < r->n_inputs; i++) {
		struct io_source source = {k->settings->calibrate, r->inputs[i].name,
					   r->inputs[i].elem};
		if (!io_read(&diag, &source, &k->in[i]))
			return diag.status;
		enum normc_status status = count_runs(k, i);
		if (status)
			return status;
	}
	return NORMC_OK;
}

/* Runs a model on a part of the data. */
static enum normc_status run_part(struct calibration *k, int which, int64_t run)
{
	struct normc_error error = {0};
	struct runner *r = &k->runner[which];
	for (size_t i = 0; i < r->n_inputs; i++) {
		const struct normc_port *port = &r->inputs[i];
		struct normc_tensor *t = &k->slice[i];
		size_t bytes;
		*t = k->in[i];
		if (!t->rank || port->dim[0] < 1 || t->dim[0] == port->dim[0])
			continue;
		t->dim[0] = port->dim[0];
		if (!io_bytes(t, &bytes))
			return no_memory();
		t->data = (char *)t->data + (size_t)run * bytes;
	}
	enum normc_status status = runner_run(r, k->slice, k->out[which], &error);
	return status ? complain(status, "%s", error.text) : NORMC_OK;
}

static void free_outputs(struct calibration *k, int which)
{
	for (size_t i = 0; k->out[which] && i < k->runner[which].n_outputs; i++) {
		free(k->out[which][i].data);
		k->out[which][i].data = NULL;
	}
}

/* ---- samples ---- */

static double element(const struct normc_tensor *t, int64_t i)
{
	double real = 0;
	int64_t integer = 0;
	struct tensor one = {.elem = t->elem, .count = 1, .f = &real};
	if (!elem_is_float(t->elem))
		one.i = &integer;
	tensor_fill(&one, (const char *)t->data + (size_t)i * normc_elem_size(t->elem));
	return elem_is_float(t->elem) ? real : (double)integer;
}

/* Takes rows at even distances from all rows of all runs. */
static enum normc_status sample_rows(struct calibration *k, struct tap *tap,
				     const struct normc_tensor *t, int64_t run)
{
	struct norm_sample *s = &tap->sample;
	int64_t outer = 1, inner = 1;
	for (int32_t i = 0; i < t->rank; i++)
		if (i != tap->axis)
			*(i < tap->axis ? &outer : &inner) *= t->dim[i];
	int64_t here = outer * inner, all = here * k->runs;
	if (!tap->x) {
		s->width = t->dim[tap->axis];
		s->rows = all < MOST_SAMPLED_ROWS ? all : MOST_SAMPLED_ROWS;
		s->x = tap->x = calloc((size_t)s->rows + 1, (size_t)s->width * sizeof *tap->x);
	}
	if (!tap->x)
		return no_memory();
	for (int64_t row = 0; row < here; row++) {
		int64_t at = run * here + row, to = (at * s->rows + all - 1) / all;
		if (to >= s->rows || to * all / s->rows != at)
			continue;
		int64_t first = row / inner * s->width * inner + row % inner;
		for (int64_t c = 0; c < s->width; c++)
			tap->x[to * s->width + c] = (float)element(t, first + c * inner);
	}
	return NORMC_OK;
}

static enum normc_status take_samples(struct calibration *k)
{
	enum normc_status status = NORMC_OK;
	for (int64_t run = 0; !status && run < k->runs; run++) {
		status = run_part(k, 0, run);
		for (uint32_t i = 0; !status && i < k->n_taps; i++)
			status = sample_rows(k, &k->tap[i], &k->out[0][k->n_outputs + i], run);
		free_outputs(k, 0);
	}
	return status;
}

/* ---- what moved ---- */

static int64_t greatest_of(const struct normc_tensor *t, int64_t first, int64_t n)
{
	int64_t best = 0;
	for (int64_t i = 1; i < n; i++)
		if (element(t, first + i) > element(t, first + best))
			best = i;
	return best;
}

static void measure(struct movement *m, const struct normc_tensor *before,
		    const struct normc_tensor *after)
{
	int64_t n = 1, row = before->rank ? before->dim[before->rank - 1] : 1;
	for (int32_t i = 0; i < before->rank; i++)
		n *= before->dim[i];
	for (int64_t i = 0; i < n; i++) {
		double x = element(before, i), d = fabs(element(after, i) - x);
		m->differences += d * d;
		m->squares += x * x;
		if (!(d <= m->largest))
			m->largest = d;
	}
	for (int64_t i = 0; before->rank > 1 && row > 1 && i < n; i += row) {
		m->rows++;
		m->changed += greatest_of(before, i, row) != greatest_of(after, i, row);
	}
}

static void tell(const struct calibration *k)
{
	FILE *file = k->settings->json ? stderr : stdout;
	say(file, "%s: %u norms, %lld %s of calibration data; the outputs moved:\n", k->pass,
	    k->n_taps, (long long)k->runs, k->runs == 1 ? "run" : "runs");
	for (size_t i = 0; i < k->n_outputs; i++) {
		const struct movement *m = &k->moved[i];
		double share = m->squares > 0 ? sqrt(m->differences / m->squares) : m->differences;
		say(file, "  %s: root mean square difference %.3g of its own, largest %.3g",
		    k->runner[0].outputs[i].name, share, m->largest);
		if (m->rows)
			say(file, ", argmax changed in %lld of %lld rows (%.3g %%)",
			    (long long)m->changed, (long long)m->rows,
			    100 * (double)m->changed / (double)m->rows);
		say(file, "\n");
	}
}

static enum normc_status compare(struct calibration *k)
{
	enum normc_status status = NORMC_OK;
	for (int64_t run = 0; !status && run < k->runs; run++) {
		status = run_part(k, 0, run);
		if (!status)
			status = run_part(k, 1, run);
		for (size_t i = 0; !status && i < k->n_outputs; i++)
			measure(&k->moved[i], &k->out[0][i], &k->out[1][i]);
		free_outputs(k, 0);
		free_outputs(k, 1);
	}
	return status;
}

/* ---- samples on their way to the parent ---- */

static const char samples_name[] = "samples";

static enum normc_status write_samples(const struct calibration *k)
{
	char path[4200];
	snprintf(path, sizeof path, "%s/%s", k->folder, samples_name);
	FILE *file = fopen(path, "wb");
	bool ok = file && fwrite(&k->n_taps, sizeof k->n_taps, 1, file) == 1;
	for (uint32_t i = 0; ok && i < k->n_taps; i++) {
		const struct norm_sample *s = &k->tap[i].sample;
		size_t n = (size_t)s->rows * (size_t)s->width;
		ok = fwrite(&s->rows, sizeof s->rows, 1, file) == 1 &&
		     fwrite(&s->width, sizeof s->width, 1, file) == 1 &&
		     fwrite(s->x, sizeof *s->x, n, file) == n;
	}
	if (file && fclose(file))
		ok = false;
	return ok ? NORMC_OK : complain(NORMC_IO, "%s: %s", path, strerrordesc_np(errno));
}

static bool read_sample(FILE *file, struct norm_sample *s)
{
	if (fread(&s->rows, sizeof s->rows, 1, file) != 1 ||
	    fread(&s->width, sizeof s->width, 1, file) != 1)
		return false;
	size_t n = (size_t)s->rows * (size_t)s->width;
	float *x = malloc((n + 1) * sizeof *x);
	s->x = x;
	return x && fread(x, sizeof *x, n, file) == n;
}

static enum normc_status read_samples(struct settings *s, const char *folder)
{
	char path[4200];
	uint32_t n = 0;
	snprintf(path, sizeof path, "%s/%s", folder, samples_name);
	FILE *file = fopen(path, "rb");
	bool ok = file && fread(&n, sizeof n, 1, file) == 1;
	s->samples = ok ? calloc((size_t)n + 1, sizeof *s->samples) : NULL;
	ok = ok && s->samples;
	for (; ok && s->n_samples < n; s->n_samples++)
		ok = read_sample(file, &s->samples[s->n_samples]);
	if (file)
		fclose(file);
	return ok ? NORMC_OK : complain(NORMC_IO, "%s: the samples cannot be read", path);
}

/* ---- the whole ---- */

static enum normc_status open_substituted(struct calibration *k, const struct settings *quiet)
{
	struct normc_error error = {0};
	struct settings with = *quiet;
	with.samples = calloc((size_t)k->n_taps + 1, sizeof *with.samples);
	if (!with.samples)
		return no_memory();
	with.n_samples = k->n_taps;
	for (uint32_t i = 0; i < k->n_taps; i++)
		with.samples[i] = k->tap[i].sample;
	enum normc_status status = runner_open(&k->runner[1], &with, with.paths.item[0],
					       k->folders[1], &error);
	free(with.samples);
	return status ? complain(status, "%s", error.text) : NORMC_OK;
}

/* In a child, whose end frees all memory. */
static enum normc_status calibrate_job(void *user)
{
	struct calibration *k = user;
	struct settings quiet = *k->settings;
	quiet.interpret = quiet.interpret_rewritten = quiet.profile = quiet.time_passes = false;
	quiet.cpu = quiet.remarks = quiet.dump_after = quiet.html = quiet.weights = quiet.target =
			NULL;
	enum normc_status status = open_tapped(k, &quiet);
	if (!status)
		status = read_data(k);
	if (!status)
		status = take_samples(k);
	if (!status)
		status = open_substituted(k, &quiet);
	if (!status)
		status = compare(k);
	if (status)
		return status;
	tell(k);
	return write_samples(k);
}

static enum normc_status calibrate_in(struct settings *s, const char *pass, char folders[3][4096])
{
	struct calibration k = {.settings = s,
				.pass = pass,
				.folder = folders[2],
				.folders = {folders[0], folders[1]}};
	enum normc_status status = in_child(s->paths.item[0], calibrate_job, &k);
	return status ? status : read_samples(s, folders[2]);
}

/* The substitution that the list asks for; NULL: none. */
static const char *asked_for(const char *list, uint32_t *n)
{
	struct pass_description d;
	const char *name = NULL;
	*n = 0;
	for (uint32_t i = 0; pass_describe(i, &d); i++)
		if (d.substitutes && pass_is_wanted(i, list)) {
			name = d.name;
			++*n;
		}
	return name;
}

enum normc_status calibrate(struct settings *s)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	char folders[3][4096] = {"", "", ""};
	uint32_t n;
	const char *pass = asked_for(s->passes, &n);
	enum normc_status status = NORMC_OK;
	if (!pass && s->calibrate)
		return complain(NORMC_USAGE, "--calibrate is for passes that replace norms: add "
					     "--passes +layernorm_to_un or another of them");
	if (!pass)
		return NORMC_OK;
	if (!s->calibrate)
		return complain(NORMC_USAGE,
				"--passes +%s changes results and measures the model on data: add "
				"--calibrate FILE.npz with an array for each input",
				pass);
	if (n > 1 || s->paths.n != 1 || path_ends(s->paths.item[0], ".so"))
		return complain(NORMC_USAGE, "--calibrate takes one %s",
				n > 1 ? "pass that replaces norms at a time" : "model in ONNX");
	for (int i = 0; !status && i < 3; i++)
		if (!folder_make(&diag, NULL, folders[i], sizeof folders[i]))
			status = diag.status;
	if (!status)
		status = calibrate_in(s, pass, folders);
	for (int i = 0; i < 3; i++)
		folder_remove(folders[i]);
	return status;
}

bool calibrate_reference(struct compile *c)
{
	uint32_t n;
	const char *pass = asked_for(c->passes.list, &n);
	if (!pass)
		return true;
	struct pass_options options = {.list = c->passes.list,
				       .after = pass,
				       .samples = c->passes.samples,
				       .n_samples = c->passes.n_samples};
	struct graph *g = passes_run(c->imported, &options);
	if (!g)
		return false;
	c->imported = g;
	c->passes.list = without(c, c->passes.list, pass);
	return true;
}
