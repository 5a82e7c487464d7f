/* Formats diagnostics and hands them to the sink; keeps the first error for callers without one. */
#include "diag.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

size_t visible_character(const char *text, char shown[VISIBLE_BYTES])
{
	const unsigned char *c = (const unsigned char *)text;
	/* U+0080 to U+009F in UTF-8 are control characters too */
	bool long_control = c[0] == 0xc2 && c[1] >= 0x80 && c[1] <= 0x9f;
	if (long_control)
		snprintf(shown, VISIBLE_BYTES, "\\x%02x\\x%02x", c[0], c[1]);
	else if (c[0] < ' ' || c[0] == 127)
		snprintf(shown, VISIBLE_BYTES, "\\x%02x", c[0]);
	else
		snprintf(shown, VISIBLE_BYTES, "%c", c[0]);
	return long_control ? 2 : 1;
}

/* Shows `text`, cut to `size`. */
static void make_visible(const char *text, char *to, size_t size)
{
	char shown[VISIBLE_BYTES];
	size_t n = 0, length;
	while (*text) {
		text += visible_character(text, shown);
		length = strlen(shown);
		if (n + length >= size)
			break;
		memcpy(to + n, shown, length);
		n += length;
	}
	to[n] = 0;
}

void diag_place(const struct diag *diag, struct loc loc, char *text, size_t size)
{
	text[0] = 0;
	if (!loc.source || loc.source >= diag->n_sources)
		return;
	const struct source *s = &diag->sources[loc.source];
	const char *dot = s->domain && s->domain[0] ? "." : "";
	char place[320];
	snprintf(place, sizeof place, "node %u '%.120s' (%.60s%s%.60s, opset %d)", s->position,
		 s->name, s->domain ? s->domain : "", dot, s->op_type, s->opset);
	make_visible(place, text, size);
}

static void report(struct diag *diag, struct loc loc, const char *severity, const char *raw)
{
	char place[320], text[800], line[1400];
	make_visible(raw, text, sizeof text);
	diag_place(diag, loc, place, sizeof place);
	snprintf(line, sizeof line, "%s%s%s: %s%s%s", diag->file ? diag->file : "",
		 diag->file ? ": " : "", severity, place, place[0] ? ": " : "", text);
	if (diag->errors == 1 && !strcmp(severity, "error"))
		snprintf(diag->first, sizeof diag->first, "%s%s%.*s", place, place[0] ? ": " : "",
			 (int)(sizeof diag->first - sizeof place - 3), text);
	if (diag->sink && diag->errors <= DIAG_MAX_ERRORS)
		diag->sink(diag->user, severity, line);
}

static void report_error(struct diag *diag, struct loc loc, enum normc_status status,
			 const char *text)
{
	bool follows = loc.source && diag->errors && loc.source == diag->last;
	diag->last = loc.source;
	if (!diag->errors++)
		diag->status = status;
	if (!follows)
		report(diag, loc, "error", text);
}

bool diag_error(struct diag *diag, struct loc loc, enum normc_status status, const char *format,
		...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report_error(diag, loc, status, text);
	return false;
}

void diag_warning(struct diag *diag, struct loc loc, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	diag->warnings++;
	report(diag, loc, "warning", text);
}

void diag_note(struct diag *diag, const char *format, ...)
{
	char text[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	report(diag, (struct loc){0}, "note", text);
}

bool diag_bug(struct diag *diag, struct loc loc, const char *file, int line, const char *format,
	      ...)
{
	char text[400], all[600];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	const char *slash = strrchr(file, '/');
	snprintf(all, sizeof all, "internal error at %s:%d: %s", slash ? slash + 1 : file, line,
		 text);
	report_error(diag, loc, NORMC_BUG, all);
	return false;
}
