/* Private to the command line: settings, options, and what the commands share. */
#ifndef NORMC_FRONTEND_COMMAND_H
#define NORMC_FRONTEND_COMMAND_H

#include <stdbool.h>

#include "compile.h"
#include "normc.h"

struct list {
	const char **item; /* ended by NULL */
	int32_t n;
};

/* What the options say; fields of other commands keep their defaults. */
struct settings {
	struct list paths, inputs, dims;
	struct named_path *used; /* every path above and below, in the order given */
	int32_t n_used;
	uint64_t given; /* which options, as bits */
	const char *output, *output_dir;
	const char *cpu, *target, *weights, *symbol;
	const char *passes, *dump_after;
	const char *remarks; /* a file's path; "": to be printed; NULL: none */
	const char *report, *reduce;
	const char *calibrate;
	struct norm_sample *samples; /* from --calibrate */
	uint32_t n_samples;
	const char *html;
	int32_t precision; /* enum normc_precision */
	bool verify, time_passes;
	bool interpret, interpret_rewritten;
	bool profile, json, graph, kernels, quiet;
	double rtol, atol;
	double threads, runs, seed, limit, memory; /* whole numbers */
	double opset;				   /* likewise; -1: none was given */
};

struct command {
	const char *name, *summary, *usage, *about;
	int32_t least_paths, most_paths;
	enum normc_status (*run)(const struct settings *settings);
};

enum normc_status command_compile(const struct settings *settings);
enum normc_status command_run(const struct settings *settings);
enum normc_status command_check(const struct settings *settings);
enum normc_status command_bench(const struct settings *settings);
enum normc_status command_inspect(const struct settings *settings);
enum normc_status command_opt(const struct settings *settings);
enum normc_status command_verify(const struct settings *settings);
enum normc_status command_ops(const struct settings *settings);

/* ---- command.c ---- */

extern const struct command commands[]; /* ended by a NULL name */

/* Reads the arguments after the command's name; NORMC_USAGE after a message.  `*help` says that the
 * user wants help. Strings are borrowed; free with settings_free. */
enum normc_status settings_read(struct settings *s, const struct command *command, char **arguments,
				bool *help);
void settings_free(struct settings *s);
void command_help(const struct command *command);

/* ---- command_say.c ---- */

/* Says what is wrong on stderr; returns the status. */
enum normc_status complain(enum normc_status status, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
/* Prints; control characters are shown as "\x0a", but for a newline that ends `format`. */
void say(FILE *file, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* For a command that writes `-o OUT`: says if there is none, and then also if there is no model. */
enum normc_status need_output(const struct settings *settings, const char *example);
/* Whether a path ends so, with something before it. */
bool path_ends(const char *path, const char *suffix);
/* A sink for diagnostics that writes to stderr, and a writer to stdout. */
void print_diagnostic(void *user, const char *severity, const char *line);
void print_text(void *user, const char *text);

/* ---- command_child.c ---- */

/* Runs work(user) in a child process and returns its status; if the child dies, says so about
 * `what`. */
enum normc_status in_child(const char *what, enum normc_status (*work)(void *user), void *user);
/* In a child: LLVM's fatal errors become NORMC_BUG. */
void catch_fatal_errors(void);
/* Ends the program with NORMC_LIMIT after so many seconds (0: never) unless it is called again. No
 * temporary folder may be left then. */
void limit_time(double seconds);

/* ---- command_model.c: a model that can be run, compiled or interpreted ---- */

struct runner {
	const struct normc_port *inputs, *outputs;
	size_t n_inputs, n_outputs;
	struct normc_program *program;
	struct normc_session *session;	 /* NULL: interpreted */
	struct interpreter *interpreter; /* NULL: compiled */
};

/* A guarded step of a compile call on a model, and what it gets. */
struct model_step {
	const struct settings *settings;
	const char *path;
	bool silent; /* no messages on stderr */
	bool (*run)(struct compile *c, void *user);
	void *user;
};
/* Loads the model and takes the step.  Fills `error`. */
enum normc_status model_step_take(const struct model_step *step, struct normc_error *error);

/* The options of a compile call, made of the settings. */
struct normc_options settings_options(const struct settings *s);
/* Options of passes and where messages go. */
void settings_apply(const struct settings *s, struct compile *c, bool silent);

/* Opens MODEL.onnx or MODEL.so.  With `folder` NULL an ONNX file is compiled in a child process,
 * with messages on stderr; else in this process, silently, and the caller removes the folder, also
 * after a crash.  Fills `error`.  Close the runner also after a failure. */
enum normc_status runner_open(struct runner *r, const struct settings *s, const char *path,
			      const char *folder, struct normc_error *error);
/* Opens what artefact_loadable wrote into a folder. */
enum normc_status runner_load(struct runner *r, const struct settings *s, const char *folder,
			      struct normc_error *error);
/* Runs on in[0..n_inputs); out[i].data comes from malloc and is the caller's, also after a failure
 * (then maybe NULL). */
enum normc_status runner_run(struct runner *r, const struct normc_tensor *in,
			     struct normc_tensor *out, struct normc_error *error);
void runner_close(struct runner *r);

/* ---- command_calibrate.c ---- */

/* Measures the model if a pass wants that: prints how far the outputs move, and puts samples into
 * the settings.  Complains if --calibrate is missing or of no use. */
enum normc_status calibrate(struct settings *settings);
/* In a guarded step, after importing: takes the graph behind the substitution, if there is one, for
 * the imported one, and the substitution off the list. */
bool calibrate_reference(struct compile *c);

/* ---- command_remarks.c ---- */

/* Tells what the passes did and left alone, as --remarks says. */
bool remarks_write(struct compile *c, const struct settings *settings);
/* What a rewrite does, or why it is right; NULL: its table does not say. */
const char *rule_help(const char *rule);

/* ---- command_interpret.c ---- */

enum normc_status interpreter_open(struct runner *r, const struct settings *s, const char *path,
				   bool silent, struct normc_error *error);
enum normc_status interpreter_run(struct runner *r, const struct normc_tensor *in,
				  struct normc_tensor *out, struct normc_error *error);
void interpreter_close(struct interpreter *interpreter);

/* ---- command_run.c ---- */

/* Which input `given` ("NAME=FILE" or "FILE") is for, and its file; names may contain '='.  -1
 * after a message. */
int32_t input_find(const struct runner *r, const char *given, const char **file);

/* ---- command_verify_report.c ---- */

struct verify_report;

/* Writes PATH.xml (JUnit, a case for each lane and output) or PATH.json; other names are
 * NORMC_USAGE. */
struct report_file {
	const char *path, *model, *other; /* other: may be NULL */
	double seed;
};
/* Prints the cases, and how many came to what. `one_model`: before and after its passes. */
void report_print(const struct verify_report *report, bool one_model);
enum normc_status report_write(const struct report_file *file, const struct verify_report *report);
bool report_path_is_known(const char *path);

/* ---- command_verify_reduce.c ---- */

struct reduction;

/* Writes FOLDER/before.onnx, after.onnx, input_K.npy and README.txt for a reduction that has found
 * something; false after a report. */
bool reduction_write(struct diag *diag, const struct reduction *r, const char *folder);

/* ---- command_compare.c ---- */

/* Compares as numpy's allclose with equal_nan; integers exactly.  False with a description in
 * `text`. */
bool tensors_agree(const struct normc_tensor *got, const struct normc_tensor *expected,
		   const struct settings *s, char *text, size_t size);

#endif
