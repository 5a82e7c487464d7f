/* The command line: finds the command and hands it its settings.  The exit code is an enum
 * normc_status. */
#include <signal.h>
#include <string.h>

#include "command.h"

static void print_usage(FILE *file)
{
	fprintf(file, "normc compiles ONNX models to native code.\n\n"
		      "usage: normc COMMAND ...\n\n");
	for (const struct command *c = commands; c->name; c++)
		fprintf(file, "  %-9s %s\n", c->name, c->summary);
	fprintf(file, "\n`normc COMMAND --help` explains a command with examples; `normc "
		      "--version` tells the version.\n"
		      "Exit codes: 0 ok, 1 results differ, 2 wrong arguments, 3 invalid model, 4 "
		      "unsupported,\n"
		      "5 input/output, 6 a limit, 7 internal error.\n");
}

static const struct command *find_command(const char *name)
{
	for (const struct command *c = commands; c->name; c++)
		if (!strcmp(c->name, name))
			return c;
	return NULL;
}

static enum normc_status run_command(const struct command *command, char **arguments)
{
	struct settings settings;
	bool help;
	enum normc_status status = settings_read(&settings, command, arguments, &help);
	if (!status && help)
		command_help(command);
	else if (!status)
		status = calibrate(&settings);
	if (!status && !help)
		status = command->run(&settings);
	settings_free(&settings);
	return status;
}

/* `name` may be NULL: the help of all. */
static enum normc_status print_help(const char *name)
{
	const struct command *command = name ? find_command(name) : NULL;
	if (name && !command)
		return complain(NORMC_USAGE,
				"there is no command '%s'; `normc --help` lists the commands",
				name);
	if (command)
		command_help(command);
	else
		print_usage(stdout);
	return NORMC_OK;
}

int main(int argc, char **argv)
{
	const char *name = argc > 1 ? argv[1] : NULL;
	const struct command *command = name ? find_command(name) : NULL;
	enum normc_status status = NORMC_OK;

	signal(SIGPIPE, SIG_IGN); /* a closed pipe is an error of the last write */
	if (command) {
		status = run_command(command, argv + 2);
	} else if (name &&
		   (!strcmp(name, "--help") || !strcmp(name, "-h") || !strcmp(name, "help"))) {
		status = print_help(argv[2]);
	} else if (name && (!strcmp(name, "--version") || !strcmp(name, "-V"))) {
		printf("normc %d.%d.0\n", NORMC_VERSION_MAJOR, NORMC_VERSION_MINOR);
	} else {
		if (name)
			complain(NORMC_USAGE, "there is no command '%s'", name);
		print_usage(stderr);
		status = NORMC_USAGE;
	}
	if ((fflush(stdout) || ferror(stdout)) && !status)
		status = complain(NORMC_IO, "cannot write to the standard output");
	return (int)status;
}
