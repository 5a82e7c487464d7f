/* normc bench: times of runs on made-up inputs, as text or JSON, with a profile by kernel. */
#include "command.h"

#include <cjson/cJSON.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "eval.h"
#include "import.h"
#include "io.h"

struct times {
	double *ms; /* sorted */
	size_t n;
};

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec * 1e-6;
}

/* ---- inputs ---- */

/* A generator with 64 bits of state (the step of SplitMix64). */
static uint64_t random_bits(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15u;
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* Small numbers: [-1, 1) for floats; 0 and 1 for bool; below 100 for integers, which are often
 * indices into tables. */
static double random_value(enum normc_elem elem, uint64_t *state)
{
	double unit = (double)(random_bits(state) >> 11) / 9007199254740992.0;
	switch (elem) {
	case NORMC_BOOL:
	case NORMC_U2:
	case NORMC_I2:
	case NORMC_U4:
	case NORMC_I4:
		return unit < 0.5 ? 0 : 1;
	case NORMC_U8:
	case NORMC_I8:
	case NORMC_U16:
	case NORMC_I16:
	case NORMC_U32:
	case NORMC_I32:
	case NORMC_U64:
	case NORMC_I64:
		return (double)(int64_t)(unit * 100);
	case NORMC_F8E8M0:
		return 1;
	default:
		return 2 * unit - 1;
	}
}

struct filling {
	struct normc_tensor *tensor;
	uint64_t *state;
	bool ones; /* a shape depends on the values */
};

static bool fill(struct arena *arena, struct diag *diag, void *user)
{
	const struct filling *f = user;
	struct normc_tensor *t = f->tensor;
	size_t bytes;
	if (!io_bytes(t, &bytes))
		return diag_error(diag, (struct loc){0}, NORMC_LIMIT, "an input is too large");
	t->data = calloc(bytes ? bytes : 1, 1);
	if (!t->data)
		return diag_error(diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
	struct tensor values = tensor_load(arena, t->elem, t->rank, t->dim, t->data);
	bool integers = random_value(t->elem, &(uint64_t){1}) ==
					(int64_t)random_value(t->elem, &(uint64_t){1}) &&
			t->elem != NORMC_F8E8M0;
	for (int64_t i = 0; i < values.count; i++) {
		double value = f->ones ? 1 : random_value(t->elem, f->state);
		if (integers)
			values.i[i] = (int64_t)value;
		else
			values.f[i] = value;
	}
	tensor_store(&values, t->data);
	return true;
}

/* Whether `given` ("N=1") is for the symbol. */
static bool is_for(const char *given, const char *symbol)
{
	size_t length = strlen(symbol);
	return length && !strncmp(given, symbol, length) && given[length] == '=';
}

/* The extent that --dim gives a symbol, or 1.  A model that was compiled for this run has no symbol
 * left that --dim names. */
static int64_t chosen_extent(const struct settings *s, const struct normc_port *port, int32_t d)
{
	const char *symbol = port->symbol[d];
	for (int32_t i = 0; i < s->dims.n; i++)
		if (is_for(s->dims.item[i], symbol))
			return strtoll(s->dims.item[i] + strlen(symbol) + 1, NULL, 10);
	say(stderr, "note: dimension %d%s%s of input '%s' is taken to be 1; --dim sets it\n",
	    (int)d, *symbol ? " = " : "", symbol, port->name);
	return 1;
}

static bool has_symbol(const struct runner *r, const char *given)
{
	for (size_t i = 0; i < r->n_inputs; i++)
		for (int32_t d = 0; d < r->inputs[i].rank; d++)
			if (is_for(given, r->inputs[i].symbol[d]))
				return true;
	return false;
}

/* Of a library, whose importer cannot check it, whether --dim names its dimensions. */
static enum normc_status check_dims(const struct runner *r, const struct settings *s)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	if (!path_ends(s->paths.item[0], ".so"))
		return NORMC_OK;
	if (!import_fixed_valid(&diag, s->dims.item))
		return diag.status;
	for (int32_t i = 0; i < s->dims.n; i++)
		if (!has_symbol(r, s->dims.item[i]))
			return complain(NORMC_USAGE,
					"--dim %s: the inputs of '%s' have no unknown dimension of "
					"that name; what is fixed was fixed by `normc compile`",
					s->dims.item[i], s->paths.item[0]);
	return NORMC_OK;
}

/* Made-up inputs; unknown dimensions become 1. */
static enum normc_status make_inputs(const struct runner *r, const struct settings *s,
				     struct normc_tensor *in)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	uint64_t state = (uint64_t)s->seed;
	for (size_t i = 0; i < r->n_inputs; i++) {
		const struct normc_port *port = &r->inputs[i];
		in[i].elem = port->elem;
		in[i].rank = port->rank;
		for (int32_t d = 0; d < port->rank; d++)
			in[i].dim[d] = port->dim[d] < 0 ? chosen_extent(s, port, d) : port->dim[d];
		struct filling f = {&in[i], &state, false};
		if (!io_guard(&diag, fill, &f))
			return diag.status;
	}
	return NORMC_OK;
}

/* ---- measuring ---- */

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

enum { MOST_RUNS = 100000, FEWEST_RUNS = 10 };
static const double warm_up_ms = 300, measure_ms = 2000;

/* Runs until there are enough times; the first runs are not counted. */
static enum normc_status measure(struct runner *r, const struct settings *s,
				 const struct normc_tensor *in, const struct normc_tensor *out,
				 struct times *times)
{
	struct normc_error error = {0};
	double begin = now();
	size_t wanted = s->runs > 0 ? (size_t)s->runs : MOST_RUNS;
	enum normc_status status = NORMC_OK;

	for (int i = 0; !status && (i < 2 || now() - begin < warm_up_ms); i++)
		status = normc_run(r->session, in, out, &error);
	for (begin = now(); !status && times->n < wanted && times->n < MOST_RUNS; times->n++) {
		if (s->runs <= 0 && times->n >= FEWEST_RUNS && now() - begin > measure_ms)
			break;
		double start = now();
		status = normc_run(r->session, in, out, &error);
		times->ms[times->n] = now() - start;
	}
	if (status)
		return complain(status, "%s", error.text);
	qsort(times->ms, times->n, sizeof *times->ms, by_value);
	return NORMC_OK;
}

static double at_share(const struct times *times, double share)
{
	double position = share * (double)(times->n - 1);
	size_t low = (size_t)position;
	double rest = position - (double)low;
	return low + 1 < times->n ? times->ms[low] * (1 - rest) + times->ms[low + 1] * rest
				  : times->ms[low];
}

/* ---- reporting ---- */

static int by_time(const void *a, const void *b)
{
	double x = (*(const struct normc_profile_entry *const *)a)->seconds;
	double y = (*(const struct normc_profile_entry *const *)b)->seconds;
	return (x < y) - (x > y);
}

static double milliseconds(const struct normc_profile_entry *e)
{
	return e->runs ? e->seconds * 1e3 / (double)e->runs : 0;
}

static double gflops(const struct normc_profile_entry *e)
{
	return e->seconds > 0 ? e->flops * (double)e->runs / e->seconds * 1e-9 : 0;
}

static void print_profile(const struct normc_profile_entry *const *entry, size_t n, double total)
{
	printf("\n%10s %7s %9s  kernel\n", "ms", "share", "GFLOP/s");
	for (size_t i = 0; i < n; i++)
		printf("%10.4f %6.2f%% %9.2f  %s\n", milliseconds(entry[i]),
		       total > 0 ? 100 * entry[i]->seconds / total : 0, gflops(entry[i]),
		       entry[i]->name);
}

static void print_summary(const struct settings *s, const struct runner *r,
			  const struct times *times)
{
	printf("%s\n", s->paths.item[0]);
	printf("  min %.3f ms   median %.3f ms   p90 %.3f ms   (%zu runs", times->ms[0],
	       at_share(times, 0.5), at_share(times, 0.9), times->n);
	if (s->threads > 0)
		printf(", %.0f threads", s->threads);
	printf(")\n  workspace %.1f MiB\n", (double)normc_session_workspace(r->session) / 1048576);
}

static bool print_json(const struct settings *s, const struct runner *r, const struct times *times,
		       const struct normc_profile_entry *const *entry, size_t n)
{
	cJSON *root = cJSON_CreateObject();
	cJSON_AddStringToObject(root, "model", s->paths.item[0]);
	cJSON_AddNumberToObject(root, "threads", s->threads);
	cJSON_AddNumberToObject(root, "runs", (double)times->n);
	cJSON_AddNumberToObject(root, "min_ms", times->ms[0]);
	cJSON_AddNumberToObject(root, "median_ms", at_share(times, 0.5));
	cJSON_AddNumberToObject(root, "p90_ms", at_share(times, 0.9));
	cJSON_AddNumberToObject(root, "workspace_bytes",
				(double)normc_session_workspace(r->session));
	cJSON *kernels = s->profile ? cJSON_AddArrayToObject(root, "kernels") : NULL;
	for (size_t i = 0; kernels && i < n; i++) {
		cJSON *kernel = cJSON_CreateObject();
		cJSON_AddStringToObject(kernel, "name", entry[i]->name);
		cJSON_AddNumberToObject(kernel, "ms", milliseconds(entry[i]));
		cJSON_AddNumberToObject(kernel, "gflops", gflops(entry[i]));
		cJSON_AddItemToArray(kernels, kernel);
	}
	char *text = cJSON_Print(root);
	if (text)
		puts(text);
	cJSON_free(text);
	cJSON_Delete(root);
	return text;
}

static enum normc_status report(const struct settings *s, const struct runner *r,
				const struct times *times)
{
	size_t n = 0;
	const struct normc_profile_entry *profile = normc_session_profile(r->session, &n);
	const struct normc_profile_entry **entry = calloc(n + 1, sizeof *entry);
	double total = 0;

	if (!entry)
		return complain(NORMC_LIMIT, "out of memory");
	for (size_t i = 0; i < n; i++) {
		entry[i] = &profile[i];
		total += profile[i].seconds;
	}
	qsort(entry, n, sizeof *entry, by_time);
	bool ok = true;
	if (s->json)
		ok = print_json(s, r, times, entry, n);
	else
		print_summary(s, r, times);
	if (!s->json && s->profile)
		print_profile(entry, n, total);
	free(entry);
	return ok ? NORMC_OK : complain(NORMC_LIMIT, "out of memory");
}

/* Binds, provides the outputs' memory, measures and reports. */
static enum normc_status bench(struct runner *r, const struct settings *s, struct normc_tensor *in,
			       struct normc_tensor *out)
{
	struct normc_error error = {0};
	struct times times = {.ms = calloc(MOST_RUNS, sizeof(double))};
	enum normc_status status =
			times.ms ? check_dims(r, s) : complain(NORMC_LIMIT, "out of memory");

	if (!status)
		status = make_inputs(r, s, in);
	limit_time(s->limit);
	if (!status && (status = runner_run(r, in, out, &error)))
		complain(status, "%s", error.text);
	if (!status)
		status = measure(r, s, in, out, &times);
	limit_time(0);
	if (!status)
		status = report(s, r, &times);
	free(times.ms);
	return status;
}

enum normc_status command_bench(const struct settings *settings)
{
	struct runner r;
	struct normc_error error;
	enum normc_status status = runner_open(&r, settings, settings->paths.item[0], NULL, &error);

	if (status && error.text[0])
		complain(status, "%s", error.text);
	if (!status) {
		struct normc_tensor *in = calloc(r.n_inputs + 1, sizeof *in);
		struct normc_tensor *out = calloc(r.n_outputs + 1, sizeof *out);
		status = in && out ? bench(&r, settings, in, out)
				   : complain(NORMC_LIMIT, "out of memory");
		for (size_t i = 0; in && i < r.n_inputs; i++)
			free(in[i].data);
		for (size_t i = 0; out && i < r.n_outputs; i++)
			free(out[i].data);
		free(in);
		free(out);
	}
	runner_close(&r);
	return status;
}
