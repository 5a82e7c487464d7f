/* normc check: ONNX test cases.  Each case runs in a process of its own with a time limit, and
 * sends one line of text back, so that a crash or an endless loop is only a failed case. */
#define _GNU_SOURCE
#include "command.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "io.h"

enum { PATH_BYTES = 4096 };

/* What a case came to; sent through a pipe. */
struct verdict {
	enum normc_status status; /* NORMC_OK: pass; NORMC_UNSUPPORTED; others: fail */
	char text[1000];
};

struct totals {
	int64_t passed, failed, unsupported;
};

static void fail(struct verdict *v, enum normc_status status, const char *text)
{
	v->status = status;
	snprintf(v->text, sizeof v->text, "%s", text);
}

/* ---- in the child ---- */

struct data_set {
	struct runner *runner;
	const struct settings *settings;
	const char *folder;
	struct normc_tensor *in, *expected, *out;
};

static bool exists(const char *path)
{
	return !access(path, F_OK);
}

/* The port that a tensor file is for: by name, else by position. */
static size_t find_port(const struct normc_port *ports, size_t n, const char *name, size_t position)
{
	for (size_t i = 0; *name && i < n; i++)
		if (!strcmp(ports[i].name, name))
			return i;
	return position;
}

/* Reads FOLDER/KIND_0.pb, FOLDER/KIND_1.pb, ... */
static bool read_tensors(struct data_set *d, const char *kind, struct normc_tensor *tensor,
			 struct verdict *v)
{
	bool inputs = !strcmp(kind, "input");
	const struct normc_port *ports = inputs ? d->runner->inputs : d->runner->outputs;
	size_t n = inputs ? d->runner->n_inputs : d->runner->n_outputs;
	char path[PATH_BYTES], name[300];

	for (size_t i = 0;; i++) {
		struct diag diag = {0};
		struct normc_tensor read = {0};
		snprintf(path, sizeof path, "%s/%s_%zu.pb", d->folder, kind, i);
		if (!exists(path))
			break;
		if (!io_read_proto(&diag, path, &read, name, sizeof name)) {
			snprintf(v->text, sizeof v->text, "%.200s: %s", path, diag.first);
			v->status = diag.status;
			return false;
		}
		size_t port = find_port(ports, n, name, i);
		if (port >= n) {
			free(read.data);
			continue; /* of an optional input that the model does not use */
		}
		free(tensor[port].data);
		tensor[port] = read;
	}
	for (size_t i = 0; i < n; i++)
		if (!tensor[i].data) {
			snprintf(v->text, sizeof v->text, "%s %zu '%s' is not in %s", kind, i,
				 ports[i].name, d->folder);
			v->status = NORMC_DIFFERENT;
			return false;
		}
	return true;
}

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
	if (read_tensors(d, "input", d->in, v) && read_tensors(d, "output", d->expected, v)) {
		enum normc_status status = runner_run(d->runner, d->in, d->out, &error);
		if (status)
			fail(v, status, error.text);
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
		fail(v, NORMC_LIMIT, "out of memory");
	int n = 0;
	for (; !v->status; n++) {
		snprintf(folder, sizeof folder, "%.4000s/test_data_set_%d", path, n);
		if (!exists(folder))
			break;
		run_data_set(&d, v);
	}
	if (!n && !v->status)
		fail(v, NORMC_IO, "there is no test_data_set_0");
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
		fail(v, status, error.text);
	else
		run_data_sets(&r, s, path, v);
	runner_close(&r);
}

static _Noreturn void child_main(const struct settings *s, const char *path, const char *folder,
				 int pipe_end)
{
	struct verdict v = {0};
	catch_fatal_errors();
	run_case(s, path, folder, &v);
	fflush(NULL);
	_exit(write(pipe_end, &v, sizeof v) == (ssize_t)sizeof v ? 0 : NORMC_BUG);
}

/* ---- in the parent ---- */

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Waits for the verdict, without end if `seconds` is 0; false if the child ends without one or time
 * is up. */
static bool receive(int pipe_end, double seconds, struct verdict *v, bool *late)
{
	double end = seconds > 0 ? now() + seconds : HUGE_VAL;
	size_t n = 0;
	*late = false;
	while (n < sizeof *v) {
		double left = end - now();
		struct pollfd wait = {.fd = pipe_end, .events = POLLIN};
		int milliseconds = left < 1e6 ? (int)(left * 1000) + 1 : INT_MAX;
		int ready = left > 0 ? poll(&wait, 1, milliseconds) : 0;
		if (ready < 0 && errno == EINTR)
			continue;
		*late = ready == 0;
		ssize_t got = ready > 0 ? read(pipe_end, (char *)v + n, sizeof *v - n) : 0;
		if (got <= 0)
			return false;
		n += (size_t)got;
	}
	return true;
}

static void watch_child(const struct settings *s, pid_t child, int pipe_end, struct verdict *v)
{
	bool late;
	int status = 0;
	bool received = receive(pipe_end, s->limit, v, &late);
	if (!received)
		kill(child, late ? SIGKILL : SIGTERM);
	while (waitpid(child, &status, 0) < 0 && errno == EINTR)
		;
	if (received)
		return;
	v->status = NORMC_BUG;
	if (late)
		snprintf(v->text, sizeof v->text, "no result within %.0f seconds", s->limit);
	else if (WIFSIGNALED(status))
		snprintf(v->text, sizeof v->text, "crashed: %s", sigdescr_np(WTERMSIG(status)));
	else
		snprintf(v->text, sizeof v->text, "ended with exit code %d", WEXITSTATUS(status));
}

/* Runs a case in a child that may use `folder`. */
static void judge_case(const struct settings *s, const char *path, const char *folder,
		       struct verdict *v)
{
	int ends[2];

	fflush(NULL);
	if (pipe(ends)) {
		fail(v, NORMC_LIMIT, "cannot make a pipe");
		return;
	}
	pid_t child = fork();
	if (!child) {
		close(ends[0]);
		child_main(s, path, folder, ends[1]);
	}
	close(ends[1]);
	if (child < 0)
		fail(v, NORMC_LIMIT, "cannot start a process");
	else
		watch_child(s, child, ends[0], v);
	close(ends[0]);
}

static void check_case(const struct settings *s, const char *path, struct totals *totals)
{
	struct verdict v = {0};
	struct diag diag = {0};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PATH_BYTES] = "";

	if (folder_make(&diag, NULL, folder, sizeof folder))
		judge_case(s, path, folder, &v);
	else
		fail(&v, diag.status, diag.first);
	folder_remove(folder);
	totals->passed += v.status == NORMC_OK;
	totals->unsupported += v.status == NORMC_UNSUPPORTED;
	totals->failed += v.status != NORMC_OK && v.status != NORMC_UNSUPPORTED;
	if (!v.status && !s->quiet)
		say(stdout, "pass %s\n", name);
	else if (v.status)
		say(stdout, "%s %s: %s\n", v.status == NORMC_UNSUPPORTED ? "unsupported" : "FAIL",
		    name, v.text);
}

static bool is_case(const char *path)
{
	char model[PATH_BYTES];
	snprintf(model, sizeof model, "%.4000s/model.onnx", path);
	return exists(model);
}

/* A case, or a folder of cases in the order of their names. */
static enum normc_status check_folder(const struct settings *s, const char *path,
				      struct totals *totals)
{
	struct dirent **entry = NULL;
	int64_t cases = 0;

	if (is_case(path)) {
		check_case(s, path, totals);
		return NORMC_OK;
	}
	int n = scandir(path, &entry, NULL, alphasort);
	if (n < 0)
		return complain(NORMC_IO, "cannot read the folder '%s': %s", path,
				strerrordesc_np(errno));
	for (int i = 0; i < n; i++) {
		char inner[PATH_BYTES];
		snprintf(inner, sizeof inner, "%.3500s/%s", path, entry[i]->d_name);
		if (entry[i]->d_name[0] != '.' && is_case(inner)) {
			check_case(s, inner, totals);
			cases++;
		}
		free(entry[i]);
	}
	free(entry);
	return cases ? NORMC_OK
		     : complain(NORMC_IO, "there is no test case (model.onnx) in '%s'", path);
}

enum normc_status command_check(const struct settings *settings)
{
	struct totals totals = {0};
	enum normc_status status = NORMC_OK;

	for (int32_t i = 0; i < settings->paths.n; i++) {
		char path[PATH_BYTES];
		snprintf(path, sizeof path, "%.4000s", settings->paths.item[i]);
		for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
			path[n - 1] = 0;
		enum normc_status end = check_folder(settings, path, &totals);
		status = status ? status : end;
	}
	printf("%lld passed, %lld failed, %lld unsupported\n", (long long)totals.passed,
	       (long long)totals.failed, (long long)totals.unsupported);
	return totals.failed ? NORMC_DIFFERENT : status;
}
