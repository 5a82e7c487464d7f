/* Options of the command line: one table, from which they are read and explained. */
#include "command.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "pass.h"
#include "substitute.h"

enum {
	COMPILE = 1,
	RUN = 2,
	CHECK = 4,
	BENCH = 8,
	INSPECT = 16,
	OPT = 32,
	VERIFY = 64,
	MODEL = COMPILE | RUN | BENCH | INSPECT | OPT | VERIFY
};

/* COUNT: a whole number from 1.  CHOICE: the position of one of the words that the value shows.
 * The last ones are paths (output.h): of a file that is written; MAYBE: the same, but only behind
 * '=', and "" without one; of a file that is read; READS: of several, as NAME=FILE or FILE; of a
 * folder that is made when it is needed. */
enum kind { FLAG, TEXT, TEXTS, WHOLE, COUNT, REAL, CHOICE, WRITTEN, MAYBE, READ, READS, FOLDER };

struct option {
	const char *name;
	char letter;
	const char *value; /* as shown in the help; NULL: takes none */
	unsigned commands;
	enum kind kind;
	size_t field;
	const char *help;
};

#define FIELD(name) offsetof(struct settings, name)

static const struct option options[] = {
		{"output", 'o', "OUT", COMPILE, WRITTEN, FIELD(output),
		 "the file to write: .o .a .so .ll or .s"},
		{"output", 'o', "OUT", OPT, WRITTEN, FIELD(output), "the ONNX file to write"},
		{"opset", 0, "N", OPT, COUNT, FIELD(opset),
		 "use no operator of a later opset; 13 to 28, default: 23"},
		{"weights", 0, "FILE", COMPILE, WRITTEN, FIELD(weights),
		 "put the weights into FILE, which is mapped when the model is loaded"},
		{"symbol", 0, "NAME", COMPILE, TEXT, FIELD(symbol),
		 "prefix of the generated names; default: the output's name"},
		{"input", 'i', "NAME=FILE", RUN | VERIFY, READS, FIELD(inputs),
		 "an input from a .npy, .npz or .pb file; an only input needs no NAME="},
		{"output-dir", 0, "DIR", RUN, FOLDER, FIELD(output_dir),
		 "folder for NAME.npy of each output, made if missing; default: the current one"},
		{"dim", 0, "N=1", MODEL | CHECK, TEXTS, FIELD(dims),
		 "fix the unknown dimension N; may be given several times"},
		{"cpu", 0, "NAME", (MODEL & ~OPT) | CHECK, TEXT, FIELD(cpu),
		 "native (default), x86-64-v3, x86-64-v4, or a name of LLVM's"},
		{"target", 0, "TRIPLE", COMPILE | INSPECT, TEXT, FIELD(target),
		 "the machine to compile for, such as aarch64-linux-gnu; default: this one"},
		{"precision", 0, "f32|f32-strict|bf16x3|bf16", (MODEL & ~OPT) | CHECK, CHOICE,
		 FIELD(precision),
		 "how f32 matrices are multiplied; f32 (default): as exactly, by any units"},
		{"threads", 't', "N", RUN | CHECK | BENCH | VERIFY, WHOLE, FIELD(threads),
		 "threads of a run; default: 0, one per processor (check: 1)"},
		{"interpret", 0, NULL, RUN | CHECK, FLAG, FIELD(interpret),
		 "run the imported graph by the slow, simple interpreter instead of compiling it"},
		{"interpret-rewritten", 0, NULL, RUN | CHECK, FLAG, FIELD(interpret_rewritten),
		 "the same after all rewrites"},
		{"rtol", 0, "X", CHECK, REAL, FIELD(rtol), "relative tolerance; default: 1e-3"},
		{"atol", 0, "X", CHECK, REAL, FIELD(atol), "absolute tolerance; default: 1e-7"},
		{"limit", 0, "SECONDS", CHECK | RUN | BENCH | VERIFY, WHOLE, FIELD(limit),
		 "time for a case of check (default: 60) or for all runs (default: 0, no limit)"},
		{"quiet", 'q', NULL, CHECK | VERIFY, FLAG, FIELD(quiet),
		 "only lines that are not `pass`"},
		{"runs", 0, "K", BENCH, WHOLE, FIELD(runs),
		 "number of timed runs; default: 0, two seconds' worth"},
		{"report", 0, "FILE", VERIFY, WRITTEN, FIELD(report),
		 "write the cases to FILE.xml (JUnit) or FILE.json"},
		{"reduce", 0, "DIR", VERIFY, TEXT, FIELD(reduce),
		 "after a failure, write the smallest part of the model that fails"},
		{"seed", 0, "N", BENCH | VERIFY, WHOLE, FIELD(seed),
		 "seed of the made-up inputs; default: 1"},
		{"profile", 0, NULL, BENCH | COMPILE, FLAG, FIELD(profile),
		 "keep times per kernel; bench prints them"},
		{"json", 0, NULL, BENCH, FLAG, FIELD(json), "print JSON"},
		{"graph", 0, NULL, INSPECT, FLAG, FIELD(graph), "print the rewritten graph"},
		{"kernels", 0, NULL, INSPECT, FLAG, FIELD(kernels),
		 "print kernels, buffers and the memory plan"},
		{"html", 0, "FILE.html", INSPECT, WRITTEN, FIELD(html),
		 "draw the graph before and after the rewrites, with the remarks"},
		{"passes", 0, "-NAME,+NAME,...", MODEL | CHECK, TEXT, FIELD(passes),
		 "leave passes out, or add one that runs on request (listed below)"},
		{"calibrate", 0, "FILE.npz", MODEL, READ, FIELD(calibrate),
		 "data for passes that replace norms and change results: an array for each input"},
		{"remarks", 0, "FILE.json", COMPILE | INSPECT, MAYBE, FIELD(remarks),
		 "tell each rewrite that was done, and each that was not and why"},
		{"dump-after", 0, "PASS", MODEL, TEXT, FIELD(dump_after),
		 "print the graph after a pass"},
		{"verify", 0, NULL, MODEL | CHECK, FLAG, FIELD(verify),
		 "check the graph after every pass"},
		{"time-passes", 0, NULL, MODEL, FLAG, FIELD(time_passes),
		 "print the time of every pass"},
		{"memory", 0, "MIB", MODEL | CHECK, COUNT, FIELD(memory),
		 "memory of the compiler beyond the mapped model; default: 8192"},
		{"help", 'h', NULL, ~0u, FLAG, 0, "this text"},
};

enum { N_OPTIONS = sizeof options / sizeof *options };
_Static_assert(N_OPTIONS <= 64, "settings.given has a bit for each");

const struct command commands[] = {
		{"compile", "write native code and a C header for a model",
		 "normc compile MODEL.onnx -o OUT [options]",
		 "OUT's suffix says what is written: an object file (.o), a static\n"
		 "library with the runtime in it (.a), a shared library (.so), LLVM IR\n"
		 "(.ll) or assembly (.s).  A header lies beside it.\n"
		 "\n"
		 "  normc compile mnist.onnx -o mnist.so    (normc run mnist.so ...)\n"
		 "  normc compile mnist.onnx -o mnist.a     (cc app.c mnist.a -lm -lpthread)\n"
		 "  normc compile bert.onnx -o bert.so --dim batch=1 --cpu x86-64-v3\n"
		 "  normc compile gpt2.onnx -o gpt2.a --weights gpt2.weights\n",
		 1, 1, command_compile},
		{"run", "run a model on tensors from files",
		 "normc run MODEL.onnx|MODEL.so --input NAME=FILE ... [--output-dir DIR] [options]",
		 "Unknown dimensions are taken from the inputs.  Each output is written\n"
		 "to NAME.npy; characters of NAME other than letters, digits, '_', '.'\n"
		 "and '-' become '_'.\n"
		 "\n"
		 "  normc run mnist.onnx --input image=seven.npy --output-dir out\n"
		 "  normc run bert.so --input ids=batch.npz --input mask=batch.npz --threads 2\n"
		 "  normc run model.onnx --input x=test_data_set_0/input_0.pb --interpret\n",
		 1, 1, command_run},
		{"check", "compare models with their recorded results",
		 "normc check DIR... [options]",
		 "Each DIR is a test case as ONNX has them (model.onnx,\n"
		 "test_data_set_*/input_*.pb and output_*.pb) or a folder of test cases.\n"
		 "Prints a line for each and `N passed, N failed, N unsupported`; exits\n"
		 "with 1 if any failed.  A case runs in a process of its own.\n"
		 "\n"
		 "  normc check tests/node\n"
		 "  normc check tests/real/mnist --rtol 1e-4 --threads 2\n"
		 "  normc check tests/node/test_softmax_axis_1 --interpret\n",
		 1, 1000000, command_check},
		{"bench", "measure the speed of a model",
		 "normc bench MODEL.onnx|MODEL.so [options]",
		 "Inputs are made up; unknown dimensions that --dim does not fix are 1.\n"
		 "Prints the shortest, the median and the ninth-decile time of a run in\n"
		 "milliseconds.\n"
		 "\n"
		 "  normc bench resnet50.onnx --threads 1\n"
		 "  normc bench bert.onnx --dim batch=4 --profile\n"
		 "  normc bench vit.onnx --runs 100 --json\n",
		 1, 1, command_bench},
		{"inspect", "show what is in a model and what becomes of it",
		 "normc inspect MODEL.onnx [options]",
		 "Shows inputs, outputs, operators, parameters and floating-point operations.\n"
		 "\n"
		 "  normc inspect resnet50.onnx\n"
		 "  normc inspect resnet50.onnx --graph | less\n"
		 "  normc inspect resnet50.onnx --kernels --dim N=1\n"
		 "  normc inspect resnet50.onnx --html resnet50.html\n",
		 1, 1, command_inspect},
		{"opt", "write the rewritten model as ONNX",
		 "normc opt MODEL.onnx -o OUT.onnx [options]",
		 "Writes the rewritten graph as standard ONNX operators, for other programs;\n"
		 "names of inputs, outputs and nodes and the metadata stay.  All is for one\n"
		 "opset: the model's own, at least 13, or a later one that an operator needs,\n"
		 "such as LayerNormalization (17), Gelu (20) or RMSNormalization (23).\n"
		 "--opset N is the last that may be used, and may be below the model's own.\n"
		 "For later norms the model gets functions of its own, in the domain normc.nn,\n"
		 "from opset 15 on; for others, and below, elementary operators stand in.  What\n"
		 "has no other form, such as STFT (17), is refused.  13 is the first: before it\n"
		 "Softmax, ReduceSum and Squeeze were other operators.\n"
		 "\n"
		 "  normc opt resnet50.onnx -o small.onnx\n"
		 "  normc opt bert.onnx -o bert17.onnx --opset 17 --dim batch=1\n"
		 "  normc opt vit.onnx -o same.onnx --passes -fold_norm,-recognize\n",
		 1, 1, command_opt},
		{"verify", "show that two models, or a model before and after rewriting, agree",
		 "normc verify MODEL.onnx [OTHER.onnx] [options], or normc verify DIR... [options]",
		 "Compares MODEL as it was imported with what normc makes of it (or of\n"
		 "OTHER).  There are no tolerances to choose.  Lanes:\n"
		 "\n"
		 "  structure  names, types and extents of inputs and outputs\n"
		 "  float      the compiled code lies within an error bound that is\n"
		 "             calculated for each element; inputs include rows without\n"
		 "             variance, with very little, and with a far mean\n"
		 "  exact      whole numbers, no tolerance; for models that do not round them\n"
		 "  algebra    both as formulas modulo a prime: equal in real arithmetic.\n"
		 "             Constants that rewrites round keep what they stand for\n"
		 "  rewrite    each rewrite that was done, by the graphs before and after\n"
		 "             its pass; the wrong one of several is found\n"
		 "\n"
		 "Inputs are made up, but for those that --input gives.  A DIR is an ONNX\n"
		 "test case or a folder of such, as for check; recorded inputs are used\n"
		 "where the model does not take made-up ones.\n"
		 "A pass that replaces norms (--calibrate) changes the results on purpose: the\n"
		 "reference is then the model with the norms replaced, and how far the outputs\n"
		 "moved on the data is printed before.\n"
		 "Prints a line for each lane, output and kind of input; exits with 1 if\n"
		 "one failed.  `not applicable` means that nothing was checked, and why.\n"
		 "\n"
		 "  normc verify model.onnx\n"
		 "  normc verify model.onnx --passes -fold_norm --report junit.xml\n"
		 "  normc verify before.onnx after.onnx --seed 7 --dim N=4\n"
		 "  normc verify model.onnx --reduce small\n"
		 "  normc verify tests/node --quiet\n",
		 1, 1000000, command_verify},
		{"ops", "list the supported operators", "normc ops",
		 "Prints a table in Markdown.\n", 0, 0, command_ops},
		{NULL, NULL, NULL, NULL, 0, 0, NULL},
};

static unsigned command_bit(const struct command *command)
{
	return 1u << (command - commands);
}

/* ---- help ---- */

static void print_passes(FILE *file)
{
	struct pass_description d;
	fputs("\nPasses (+: only on request; =: always):\n", file);
	for (uint32_t i = 0; pass_describe(i, &d); i++)
		fprintf(file, "  %c%-16s %s\n",
			d.asked	   ? '+'
			: d.always ? '='
				   : ' ',
			d.name, d.help);
}

void command_help(const struct command *command)
{
	printf("%s\n\n%s\nOptions:\n", command->usage, command->about);
	for (int i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];
		char left[64], letter[8] = "    ";
		if (!(o->commands & command_bit(command)))
			continue;
		if (o->letter)
			snprintf(letter, sizeof letter, "-%c, ", o->letter);
		const char *space = o->kind == MAYBE ? "[=" : o->value ? " " : "";
		snprintf(left, sizeof left, "%s--%s%s%s%s", letter, o->name, space,
			 o->value ? o->value : "", o->kind == MAYBE ? "]" : "");
		printf("  %-28s %s\n", left, o->help);
	}
	if (command_bit(command) & (MODEL | CHECK))
		print_passes(stdout);
}

/* ---- reading ---- */

static enum normc_status list_add(struct list *list, const char *text)
{
	const char **item = realloc(list->item, ((size_t)list->n + 2) * sizeof *item);
	if (!item)
		return complain(NORMC_LIMIT, "out of memory");
	list->item = item;
	item[list->n++] = text;
	item[list->n] = NULL;
	return NORMC_OK;
}

/* Letters that two words have in common at their beginnings; to guess what was meant. */
static int common_letters(const char *a, const char *b)
{
	int n = 0;
	while (a[n] && a[n] == b[n])
		n++;
	return n;
}

static enum normc_status unknown_option(const struct command *command, const char *given)
{
	const char *name = given + strspn(given, "-"), *best = NULL;
	int most = 1;
	for (int i = 0; i < N_OPTIONS; i++) {
		int n = common_letters(name, options[i].name);
		if ((options[i].commands & command_bit(command)) && n > most) {
			best = options[i].name;
			most = n;
		}
	}
	return complain(NORMC_USAGE, "unknown option '%s'%s%s; `normc %s --help` lists the options",
			given, best ? ", did you mean --" : "", best ? best : "", command->name);
}

/* The option that an argument such as --dim=N=1, --dim or -o means; *value points behind '=' if
 * there is one. */
static const struct option *find_option(const struct command *command, const char *given,
					const char **value)
{
	size_t n = strcspn(given, "=");
	*value = NULL;
	for (int i = 0; i < N_OPTIONS; i++) {
		const struct option *o = &options[i];
		if (!(o->commands & command_bit(command)))
			continue;
		if (given[1] != '-' && o->letter && given[1] == o->letter && !given[2])
			return o;
		if (given[1] == '-' && strlen(o->name) == n - 2 &&
		    !strncmp(given + 2, o->name, n - 2)) {
			*value = given[n] ? given + n + 1 : NULL;
			return o;
		}
	}
	return NULL;
}

static uint64_t option_bit(const struct option *o)
{
	return UINT64_C(1) << (o - options);
}

static bool read_number(const struct option *o, const char *text, double *number)
{
	char *end;
	*number = strtod(text, &end);
	if (end == text || *end || !isfinite(*number) || *number < 0)
		return false;
	return o->kind == REAL ||
	       (*number < 1e9 && floor(*number) == *number && *number >= (o->kind == COUNT));
}

/* The position of a word among those that o->value lists; -1: it is none of them. */
static int32_t find_choice(const struct option *o, const char *word)
{
	const char *at = o->value;
	for (int32_t i = 0; *at; i++) {
		size_t n = strcspn(at, "|");
		if (n == strlen(word) && !strncmp(at, word, n))
			return i;
		at += n + (at[n] == '|');
	}
	return -1;
}

static enum normc_status use_path(struct settings *s, struct named_path path)
{
	struct named_path *used = realloc(s->used, ((size_t)s->n_used + 1) * sizeof *used);
	if (!used)
		return complain(NORMC_LIMIT, "out of memory");
	s->used = used;
	used[s->n_used++] = path;
	return NORMC_OK;
}

/* The value of an option that is a path. */
static enum normc_status use_option(struct settings *s, const struct option *o, const char *value)
{
	enum path_use use = o->kind == FOLDER			  ? PATH_FOLDER
			    : o->kind == READ || o->kind == READS ? PATH_READ
								  : PATH_WRITTEN;
	if (!*value)
		return complain(NORMC_USAGE, "--%s needs a value that is not empty", o->name);
	struct named_path path = {o->name, value, use, true};
	enum normc_status status = use_path(s, path);
	/* names may contain '=' as well as paths, and the model tells which are names only later */
	const char *equals = o->kind == READS ? strchr(value, '=') : NULL;
	for (; !status && equals; equals = strchr(equals + 1, '=')) {
		path.path = equals + 1;
		status = use_path(s, path);
	}
	return status;
}

/* `value` is NULL for flags, and for MAYBE without one. */
static enum normc_status set_option(struct settings *s, const struct option *o, const char *value)
{
	void *field = (char *)s + o->field;
	switch (o->kind) {
	case FLAG:
		*(bool *)field = true;
		break;
	case TEXT:
		*(const char **)field = value;
		break;
	case TEXTS:
		return list_add(field, value);
	case WHOLE:
	case COUNT:
	case REAL:
		if (!read_number(o, value, field))
			return complain(NORMC_USAGE, "--%s takes a %snumber%s, not '%s'", o->name,
					o->kind == REAL ? "" : "whole ",
					o->kind == COUNT ? " from 1" : "", value);
		break;
	case CHOICE:
		*(int32_t *)field = find_choice(o, value);
		if (*(int32_t *)field < 0)
			return complain(NORMC_USAGE, "--%s takes %s, not '%s'", o->name, o->value,
					value);
		break;
	case MAYBE:
		*(const char **)field = value ? value : "";
		return value ? use_option(s, o, value) : NORMC_OK;
	case WRITTEN:
	case READ:
	case FOLDER:
		*(const char **)field = value;
		return use_option(s, o, value);
	case READS: {
		enum normc_status status = list_add(field, value);
		return status ? status : use_option(s, o, value);
	}
	}
	return NORMC_OK;
}

static enum normc_status count_paths(const struct settings *s, const struct command *command)
{
	const char *more = s->paths.n > command->most_paths ? s->paths.item[command->most_paths]
							    : NULL;
	if (s->paths.n >= command->least_paths && !more)
		return NORMC_OK;
	if (more)
		complain(NORMC_USAGE, "one '%s' too many", more);
	else
		complain(NORMC_USAGE, "no %s given",
			 command->run == command_check ? "folder" : "model");
	fprintf(stderr, "usage: %s\n`normc %s --help` tells more\n", command->usage, command->name);
	return NORMC_USAGE;
}

static enum normc_status check_paths(const struct settings *s)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	return paths_check(&diag, s->used, (size_t)s->n_used) ? NORMC_OK : diag.status;
}

/* Describes the pass that is called as the first `length` letters of `name`; false if there is
 * none. */
static bool find_pass(const char *name, size_t length, struct pass_description *d)
{
	for (uint32_t i = 0; pass_describe(i, d); i++)
		if (strlen(d->name) == length && !strncmp(d->name, name, length))
			return true;
	return false;
}

static enum normc_status unknown_pass(const char *option, const char *given)
{
	complain(NORMC_USAGE, "--%s: '%s' is no pass", option, given);
	print_passes(stderr);
	return NORMC_USAGE;
}

static enum normc_status check_passes(const struct settings *s)
{
	struct pass_description d;
	for (const char *p = s->passes; p && *p;) {
		size_t length = strcspn(p, ",");
		if (*p != '-' && *p != '+')
			return complain(NORMC_USAGE, "--passes takes -NAME,+NAME,..., not '%s'",
					s->passes);
		if (!find_pass(p + 1, length - 1, &d))
			return unknown_pass("passes", p);
		if (*p == '-' && d.always)
			return complain(NORMC_USAGE,
					"--passes: '%s' cannot be left out: no kernel can do "
					"without it",
					d.name);
		p += length + (p[length] == ',');
	}
	if (s->dump_after && !find_pass(s->dump_after, strlen(s->dump_after), &d))
		return unknown_pass("dump-after", s->dump_after);
	return NORMC_OK;
}

/* Reads the option at *arguments, which moves on to its value if that stands apart. */
static enum normc_status read_option(struct settings *s, const struct command *command,
				     char ***arguments, bool *help)
{
	const char *given = **arguments, *value;
	const struct option *o = find_option(command, given, &value);
	if (!o)
		return unknown_option(command, given);
	if (!strcmp(o->name, "help")) {
		*help = true;
		return NORMC_OK;
	}
	if (!o->value && value)
		return complain(NORMC_USAGE, "--%s takes no value", o->name);
	if (o->kind != FLAG && o->kind != TEXTS && o->kind != READS && (s->given & option_bit(o)))
		return complain(NORMC_USAGE, "--%s is given twice", o->name);
	s->given |= option_bit(o);
	if (o->value && !value && o->kind != MAYBE)
		value = *++*arguments;
	if (o->value && !value && o->kind != MAYBE)
		return complain(NORMC_USAGE, "--%s needs a value: --%s %s", o->name, o->name,
				o->value);
	return set_option(s, o, value);
}

static enum normc_status add_path(struct settings *s, const struct command *command,
				  const char *path)
{
	struct named_path used = {"the model", path, PATH_READ, false};
	enum normc_status status = list_add(&s->paths, path);
	return status || command->run == command_check ? status : use_path(s, used);
}

enum normc_status settings_read(struct settings *s, const struct command *command, char **arguments,
				bool *help)
{
	bool options_end = false;
	*s = (struct settings){.rtol = 1e-3,
			       .atol = 1e-7,
			       .limit = command->run == command_check ? 60 : 0,
			       .seed = 1,
			       .opset = -1,
			       .threads = command->run == command_check ? 1 : 0};
	*help = false;
	for (; *arguments; arguments++) {
		const char *given = *arguments;
		enum normc_status status = NORMC_OK;
		if (!options_end && !strcmp(given, "--"))
			options_end = true;
		else if (!options_end && given[0] == '-' && given[1])
			status = read_option(s, command, &arguments, help);
		else
			status = add_path(s, command, given);
		if (status || *help)
			return status;
	}
	enum normc_status status = count_paths(s, command);
	status = status ? status : check_passes(s);
	return status ? status : check_paths(s);
}

void settings_free(struct settings *s)
{
	free(s->used);
	free(s->paths.item);
	free(s->inputs.item);
	free(s->dims.item);
	for (uint32_t i = 0; i < s->n_samples; i++)
		free((void *)(uintptr_t)s->samples[i].x);
	free(s->samples);
}
