/* Folders of test cases.  Each case is judged in a process of its own with a time limit, and sends
 * one line of text back, so that a crash or an endless loop is only a failed case. */
#define _GNU_SOURCE
#include "command_cases.h"

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

struct totals {
	int64_t passed, failed, unsupported;
};

void verdict_fail(struct verdict *v, enum normc_status status, const char *text)
{
	v->status = status;
	snprintf(v->text, sizeof v->text, "%s", text);
}

bool path_exists(const char *path)
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

bool case_read(const struct case_files *files, struct normc_tensor *tensor, struct verdict *v)
{
	const struct normc_port *ports = files->ports;
	size_t n = files->n;
	char path[PATH_BYTES], name[300];

	for (size_t i = 0;; i++) {
		struct diag diag = {0};
		struct normc_tensor read = {0};
		snprintf(path, sizeof path, "%s/%s_%zu.pb", files->folder, files->kind, i);
		if (!path_exists(path))
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
			snprintf(v->text, sizeof v->text, "%s %zu '%s' is not in %s", files->kind,
				 i, ports[i].name, files->folder);
			v->status = NORMC_DIFFERENT;
			return false;
		}
	return true;
}

/* ---- in the child ---- */

/* A run over cases. */
struct cases {
	const struct settings *settings;
	const struct case_judge *judge;
	struct totals totals;
};

static _Noreturn void child_main(const struct cases *c, const char *path, const char *folder,
				 int pipe_end)
{
	struct verdict v = {0};
	catch_fatal_errors();
	c->judge->run(c->settings, path, folder, &v);
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
static void judge_case(const struct cases *c, const char *path, const char *folder,
		       struct verdict *v)
{
	int ends[2];

	fflush(NULL);
	if (pipe(ends)) {
		verdict_fail(v, NORMC_LIMIT, "cannot make a pipe");
		return;
	}
	pid_t child = fork();
	if (!child) {
		close(ends[0]);
		child_main(c, path, folder, ends[1]);
	}
	close(ends[1]);
	if (child < 0)
		verdict_fail(v, NORMC_LIMIT, "cannot start a process");
	else
		watch_child(c->settings, child, ends[0], v);
	close(ends[0]);
}

static void run_case(struct cases *c, const char *path)
{
	struct totals *totals = &c->totals;
	struct verdict v = {0};
	struct diag diag = {0};
	const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
	char folder[PATH_BYTES] = "";

	if (folder_make(&diag, NULL, folder, sizeof folder))
		judge_case(c, path, folder, &v);
	else
		verdict_fail(&v, diag.status, diag.first);
	folder_remove(folder);
	totals->passed += v.status == NORMC_OK;
	totals->unsupported += v.status == NORMC_UNSUPPORTED;
	totals->failed += v.status != NORMC_OK && v.status != NORMC_UNSUPPORTED;
	if (!v.status && !c->settings->quiet)
		say(stdout, "pass %s\n", name);
	else if (v.status)
		say(stdout, "%s %s: %s\n",
		    v.status == NORMC_UNSUPPORTED ? c->judge->skipped : "FAIL", name, v.text);
}

static bool is_case(const char *path)
{
	char model[PATH_BYTES];
	snprintf(model, sizeof model, "%.4000s/model.onnx", path);
	return path_exists(model);
}

/* A case, or a folder of cases in the order of their names. */
static enum normc_status run_folder(struct cases *c, const char *path)
{
	struct dirent **entry = NULL;
	int64_t cases = 0;

	if (is_case(path)) {
		run_case(c, path);
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
			run_case(c, inner);
			cases++;
		}
		free(entry[i]);
	}
	free(entry);
	return cases ? NORMC_OK
		     : complain(NORMC_IO, "there is no test case (model.onnx) in '%s'", path);
}

enum normc_status cases_run(const struct settings *settings, const struct case_judge *judge)
{
	struct cases c = {.settings = settings, .judge = judge};
	const struct totals *totals = &c.totals;
	enum normc_status status = NORMC_OK;

	for (int32_t i = 0; i < settings->paths.n; i++) {
		char path[PATH_BYTES];
		snprintf(path, sizeof path, "%.4000s", settings->paths.item[i]);
		for (size_t n = strlen(path); n > 1 && path[n - 1] == '/'; n--)
			path[n - 1] = 0;
		enum normc_status end = run_folder(&c, path);
		status = status ? status : end;
	}
	printf("%lld passed, %lld failed, %lld %s\n", (long long)totals->passed,
	       (long long)totals->failed, (long long)totals->unsupported, judge->skipped);
	return totals->failed ? NORMC_DIFFERENT : status;
}
