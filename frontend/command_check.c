/* normc check: ONNX test cases, compared with their recorded results. */
#include <stdlib.h>
#include <string.h>

#include "command_cases.h"

struct data_set {
	struct runner *runner;
	const struct settings *settings;
	const char *folder;
	struct normc_tensor *in, *expected, *out;
};

static void compare_outputs(const struct data_set *d, struct verdict *v)
{
	for (size_t i = 0; i < d->runner->n_outputs; i++) {
		char text[600];
		if (tensors_agree(&d->out[i], &d->expected[i], d->settings, text, sizeof text))
			continue;
		v->status = NORMC_DIFFERENT;
		snprintf(v->text, sizeof v->text, "output %zu '%s' %s", i,
			 d->runner->outputs[i].name, text);
		return;
	}
}

static void clear(struct normc_tensor *tensor, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		free(tensor[i].data);
		tensor[i].data = NULL;
	}
}

static void run_data_set(struct data_set *d, struct verdict *v)
{
	struct normc_error error = {0};
	struct case_files inputs = {d->folder, "input", d->runner->inputs, d->runner->n_inputs};
	struct case_files outputs = {d->folder, "output", d->runner->outputs, d->runner->n_outputs};
	if (case_read(&inputs, d->in, v) && case_read(&outputs, d->expected, v)) {
		enum normc_status status = runner_run(d->runner, d->in, d->out, &error);
		if (status)
			verdict_fail(v, status, error.text);
		else
			compare_outputs(d, v);
	}
	clear(d->in, d->runner->n_inputs);
	clear(d->expected, d->runner->n_outputs);
	clear(d->out, d->runner->n_outputs);
}

static void run_data_sets(struct runner *r, const struct settings *s, const char *path,
			  struct verdict *v)
{
	struct data_set d = {.runner = r, .settings = s};
	char folder[PATH_BYTES];
	d.folder = folder;
	d.in = calloc(r->n_inputs + 1, sizeof *d.in);
	d.expected = calloc(r->n_outputs + 1, sizeof *d.expected);
	d.out = calloc(r->n_outputs + 1, sizeof *d.out);
	if (!d.in || !d.expected || !d.out)
		verdict_fail(v, NORMC_LIMIT, "out of memory");
	int n = 0;
	for (; !v->status; n++) {
		snprintf(folder, sizeof folder, "%.4000s/test_data_set_%d", path, n);
		if (!path_exists(folder))
			break;
		run_data_set(&d, v);
	}
	if (!n && !v->status)
		verdict_fail(v, NORMC_IO, "there is no test_data_set_0");
	free(d.in);
	free(d.expected);
	free(d.out);
}

static void run_case(const struct settings *s, const char *path, const char *folder,
		     struct verdict *v)
{
	struct normc_error error;
	struct runner r;
	char model[PATH_BYTES];

	snprintf(model, sizeof model, "%.4000s/model.onnx", path);
	enum normc_status status = runner_open(&r, s, model, folder, &error);
	if (status)
		verdict_fail(v, status, error.text);
	else
		run_data_sets(&r, s, path, v);
	runner_close(&r);
}

enum normc_status command_check(const struct settings *settings)
{
	static const struct case_judge judge = {run_case, "unsupported"};
	return cases_run(settings, &judge);
}
