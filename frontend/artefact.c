/* Files that come out of a compile call.
 *
 * Everything is first written into a folder of its own beside the output and then put in place
 * (output.h).  The tools of the system, ar and cc, put the runtime in; its archive is part of this
 * library (runtime_archive.c).  Same input, same bytes: no path or time of the build gets into a
 * file.
 */
#define _GNU_SOURCE
#include "artefact.h"

#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "jit.h"

extern char **environ;

static const struct loc nowhere = {0};
enum { NO_FILE = -1 };

/* Reports errno for a path; returns false. */
static bool io_failure(struct diag *diag, const char *path)
{
	return diag_error(diag, nowhere, NORMC_IO, "%.300s: %s", path, strerrordesc_np(errno));
}

/* FOLDER/NAME in the arena. */
static const char *inside(struct compile *c, const char *folder, const char *name)
{
	return arena_printf(c->context.arena, "%s/%s", folder, name);
}

/* ---- pieces ---- */

static bool fill_weights(struct compile *c, FILE *file)
{
	bool ok = weights_write(c->program, fileno(file), NULL);
	model_rest(c->model->model); /* LLVM takes a copy of the weights next */
	return ok;
}

/* Writes the weights to `path` in a folder for temporary files. */
static bool write_weights(struct compile *c, const char *path)
{
	FILE *file = fopen(path, "wb");
	bool ok = file && fill_weights(c, file);
	if (file && fclose(file))
		ok = false;
	return ok || (!c->diag.errors && io_failure(&c->diag, path));
}

/* Writes them to `path`, which may lie on another file system than the code. */
static bool write_weights_beside(struct compile *c, const char *path)
{
	struct output out;
	if (!output_begin(&out, &c->diag, path))
		return false;
	bool ok = fill_weights(c, out.file);
	if (ok || !c->diag.errors)
		return output_end(&out, &c->diag, ok);
	output_abandon(&out);
	return false;
}

bool artefact_loadable(struct compile *c, void *user)
{
	const char *folder = user;
	c->codegen.symbol = "model";
	c->codegen.triple = NULL; /* it runs in this process */
	if (!compile_to(c, STAGE_EMITTED))
		return false;
	if (c->program->weights_bytes && !write_weights(c, inside(c, folder, "weights")))
		return false;
	return emitted_write(c->emitted, CODEGEN_OBJECT, inside(c, folder, "code.o"), NULL);
}

enum normc_status folder_load(struct normc_program **program, const char *folder,
			      struct normc_error *error)
{
	char object[4200], weights[4200];
	snprintf(object, sizeof object, "%s/code.o", folder);
	snprintf(weights, sizeof weights, "%s/weights", folder);
	return jit_load(program, object, "model", access(weights, F_OK) ? NULL : weights, error);
}

/* ---- tools ---- */

/* The first bytes of a file as a string. */
static void read_start(const char *path, char *text, size_t size)
{
	FILE *file = fopen(path, "r");
	size_t n = file ? fread(text, 1, size - 1, file) : 0;
	text[n] = 0;
	while (n && text[n - 1] == '\n')
		text[--n] = 0;
	if (file)
		fclose(file);
}

/* Starts a program whose messages go to the file `messages`, and waits for it. Returns false with
 * errno if it cannot. */
static bool run_program(const char *const *argv, const char *messages, int *status)
{
	posix_spawn_file_actions_t actions;
	pid_t child;
	int error = posix_spawn_file_actions_init(&actions);

	if (error) {
		errno = error;
		return false;
	}
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, messages,
					 O_WRONLY | O_CREAT | O_TRUNC, 0666);
	posix_spawn_file_actions_adddup2(&actions, STDOUT_FILENO, STDERR_FILENO);
	/* posix_spawnp does not change the strings, its type is older than const */
	error = posix_spawnp(&child, argv[0], &actions, NULL, (char *const *)(uintptr_t)argv,
			     environ);
	posix_spawn_file_actions_destroy(&actions);
	errno = error;
	if (error)
		return false;
	while (waitpid(child, status, 0) < 0)
		if (errno != EINTR)
			return false;
	return true;
}

/* Runs a tool of the system; false after a report with its messages. */
static bool run_tool(struct compile *c, const char *folder, const char *const *argv)
{
	const char *messages = inside(c, folder, "messages");
	char text[300];
	int status = 0;

	if (!run_program(argv, messages, &status))
		return diag_error(&c->diag, nowhere, NORMC_IO,
				  "cannot run '%s', which is needed to write this "
				  "kind of file: %s",
				  argv[0], strerrordesc_np(errno));
	if (WIFEXITED(status) && !WEXITSTATUS(status))
		return true;
	read_start(messages, text, sizeof text);
	return diag_error(&c->diag, nowhere, NORMC_IO, "'%s' failed: %s", argv[0], text);
}

static bool write_bytes(struct compile *c, const char *path, const void *bytes, size_t n)
{
	FILE *file = fopen(path, "wb");
	if (!file)
		return io_failure(&c->diag, path);
	bool ok = fwrite(bytes, 1, n, file) == n;
	ok = !fclose(file) && ok;
	return ok || io_failure(&c->diag, path);
}

static bool write_runtime(struct compile *c, const char *path)
{
	size_t n;
	const void *bytes = runtime_archive(&n);
	if (c->codegen.triple && strncmp(c->codegen.triple, NORMC_HOST "-", sizeof NORMC_HOST) != 0)
		return diag_error(&c->diag, nowhere, NORMC_UNSUPPORTED,
				  "the runtime inside normc is for " NORMC_HOST
				  "; write an object file (.o) for "
				  "'%s' and link it with that machine's libnormc_rt.a",
				  c->codegen.triple);
	return write_bytes(c, path, bytes, n);
}

/* ---- kinds of files ---- */

/* A kind of file: makes FOLDER/out of FOLDER/code.o. */
struct kind {
	const char *suffix;
	enum codegen_form form;
	bool weights_inside; /* possible */
	bool (*link)(struct compile *c, const char *folder);
};

static bool link_nothing(struct compile *c, const char *folder)
{
	return !rename(inside(c, folder, "code.o"), inside(c, folder, "out")) ||
	       io_failure(&c->diag, folder);
}

static bool link_archive(struct compile *c, const char *folder)
{
	const char *member = inside(c, folder,
				    arena_printf(c->context.arena, "%s.o", c->codegen.symbol));
	const char *out = inside(c, folder, "out");
	if (!write_runtime(c, out))
		return false;
	if (rename(inside(c, folder, "code.o"), member))
		return io_failure(&c->diag, member);
	return run_tool(c, folder, (const char *const[]){"ar", "rcsD", out, member, NULL});
}

static bool link_shared(struct compile *c, const char *folder)
{
	struct arena *arena = c->context.arena;
	const char *symbol = c->codegen.symbol;
	const char *exports = inside(c, folder, "exports"),
		   *runtime = inside(c, folder, "runtime.a");
	const char *text = arena_printf(
			arena,
			"{ global: normc_module_entry; %s_module; %s_run; %s_workspace; "
			"local: *; };\n",
			symbol, symbol, symbol);
	if (!write_runtime(c, runtime) || !write_bytes(c, exports, text, strlen(text)))
		return false;
	return run_tool(c, folder,
			(const char *const[]){
					"cc", "-shared", "-o", inside(c, folder, "out"),
					inside(c, folder, "code.o"), runtime,
					arena_printf(arena, "-Wl,--version-script=%s", exports),
					arena_printf(arena,
						     "-Wl,--defsym=normc_module_entry=%s_module",
						     symbol),
					"-Wl,-z,noexecstack", "-Wl,-z,relro", "-Wl,--gc-sections",
					"-Wl,--build-id=none", "-lm", "-lpthread", NULL});
}

static const struct kind kinds[] = {
		{".o", CODEGEN_OBJECT, true, link_nothing},
		{".a", CODEGEN_OBJECT, true, link_archive},
		{".so", CODEGEN_OBJECT, true, link_shared},
		{".ll", CODEGEN_IR, false, link_nothing},
		{".s", CODEGEN_ASSEMBLY, false, link_nothing},
};

static const struct kind *find_kind(struct diag *diag, const char *path)
{
	const char *dot = strrchr(path, '.'), *slash = strrchr(path, '/');
	if (dot && (!slash || dot > slash + 1) && dot != path)
		for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
			if (!strcmp(dot, kinds[i].suffix))
				return &kinds[i];
	diag_error(diag, nowhere, NORMC_USAGE,
		   "'%.200s': the output's suffix must be .o, .a, .so, .ll or .s", path);
	return NULL;
}

/* The path without its suffix, and with another one. */
static const char *with_suffix(struct compile *c, const char *path, const char *suffix)
{
	return arena_printf(c->context.arena, "%.*s%s", (int)(strrchr(path, '.') - path), path,
			    suffix);
}

/* Names that the code will contain. */
static void choose_names(struct compile *c, const struct kind *kind, const char *path)
{
	const char *slash = strrchr(path, '/');
	const char *base = with_suffix(c, slash ? slash + 1 : path, "");
	const char *name = c->options.symbol ? c->options.symbol : base;
	char *symbol = arena_alloc(c->context.arena, strlen(name) + 8, 1);

	header_identifier(name, symbol, strlen(name) + 8);
	c->codegen.symbol = symbol;
	c->codegen.weights_file = c->options.weights_file;
	if (!kind->weights_inside && !c->codegen.weights_file)
		c->codegen.weights_file = with_suffix(c, path, ".weights");
}

static bool write_header(struct compile *c, const char *path)
{
	FILE *file = fopen(path, "w");
	if (!file)
		return io_failure(&c->diag, path);
	bool ok = header_write(c, file);
	ok = !fclose(file) && ok;
	return ok || io_failure(&c->diag, path);
}

/* Adds the files that the output brings along to what the command reads and writes, and checks all.
 * `weights` may be NULL. */
static bool add_paths(struct compile *c, const char *path, const char *weights)
{
	struct named_path *all = arena_new(c->context.arena, struct named_path, c->n_paths + 2);
	for (size_t i = 0; i < c->n_paths; i++)
		all[i] = c->paths[i];
	all[c->n_paths++] = (struct named_path){"the header", with_suffix(c, path, ".h"),
						PATH_WRITTEN, false};
	if (weights && !c->options.weights_file)
		all[c->n_paths++] =
				(struct named_path){"the weights", weights, PATH_WRITTEN, false};
	c->paths = all;
	return paths_check(&c->diag, all, c->n_paths);
}

bool artefact_write(struct compile *c, void *user)
{
	struct artefact *artefact = user;
	const char *path = artefact->path, *folder = artefact->folder;
	const struct kind *kind = find_kind(&c->diag, path);
	if (!kind)
		return false;
	choose_names(c, kind, path);
	if (!add_paths(c, path, c->codegen.weights_file) || !compile_to(c, STAGE_LOWERED))
		return false;
	bool any = c->program->weights_bytes > 0, beside = c->codegen.weights_file;
	/* the code holds the hash, and the file is written only when there is code for it */
	if (any && beside && !weights_write(c->program, NO_FILE, &c->codegen.weights_hash))
		return false;
	if (!compile_to(c, STAGE_EMITTED))
		return false;
	const char *weights = beside ? c->codegen.weights_file : inside(c, folder, "weights");
	const char *header = inside(c, folder, "header");
	if (any && !(beside ? write_weights_beside(c, weights) : write_weights(c, weights)))
		return false;
	if (!emitted_write(c->emitted, kind->form, inside(c, folder, "code.o"),
			   any && !beside ? weights : NULL))
		return false;
	if (!write_header(c, header) || !kind->link(c, folder))
		return false;
	if (any && beside && !c->options.weights_file)
		diag_note(&c->diag, "the weights are in %s", weights);
	return file_put_in_place(&c->diag, header, with_suffix(c, path, ".h")) &&
	       file_put_in_place(&c->diag, inside(c, folder, "out"), path);
}
