/* What the commands say, on stdout and stderr, and small questions about their arguments. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void put_visible(FILE *file, const char *format, va_list args)
{
	char *text = NULL, shown[VISIBLE_BYTES];
	if (vasprintf(&text, format, args) < 0)
		return;
	for (const char *c = text; *c; fputs(shown, file))
		c += visible_character(c, shown);
	free(text);
}

enum normc_status complain(enum normc_status status, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("normc: error: ", stderr);
	put_visible(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	return status;
}

void say(FILE *file, const char *format, ...)
{
	va_list args;
	size_t n = strlen(format);
	bool line = n && format[n - 1] == '\n';
	char *start = strndup(format, line ? n - 1 : n);
	va_start(args, format);
	if (start)
		put_visible(file, start, args);
	va_end(args);
	free(start);
	if (line)
		fputc('\n', file);
}

enum normc_status need_output(const struct settings *s, const char *example)
{
	if (s->output)
		return NORMC_OK;
	const char *model = s->paths.item[0];
	if (access(model, R_OK))
		complain(NORMC_IO, "cannot open '%s': %s", model, strerrordesc_np(errno));
	return complain(NORMC_USAGE, "no output given: -o %s", example);
}

bool path_ends(const char *path, const char *suffix)
{
	size_t n = strlen(path), m = strlen(suffix);
	return n > m && !strcmp(path + n - m, suffix);
}

void print_diagnostic(void *user, const char *severity, const char *line)
{
	(void)user;
	(void)severity;
	fprintf(stderr, "%s\n", line);
}

void print_text(void *user, const char *text)
{
	(void)user;
	fputs(text, stdout);
}
