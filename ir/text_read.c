/* Reading the parts of the text form: names, numbers, expressions, attributes. Space, line ends and
 * comments (# to the end of the line) separate and mean nothing else. */
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "text_form.h"

bool read_fail(struct reader *r, const char *format, ...)
{
	char text[400];
	va_list args;
	if (r->failed)
		return false;
	r->failed = true;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	return diag_error(r->context->diag, (struct loc){0}, NORMC_INVALID, "line %u: %s", r->line,
			  text);
}

/* ---- characters ---- */

static void skip_space(struct reader *r)
{
	for (; *r->at; r->at++) {
		if (*r->at == '#')
			r->at += strcspn(r->at, "\n");
		if (*r->at == '\n')
			r->line++;
		else if (*r->at != ' ' && *r->at != '\t' && *r->at != '\r')
			return;
	}
}

bool read_is(struct reader *r, char c)
{
	skip_space(r);
	return !r->failed && *r->at == c;
}

bool read_take(struct reader *r, char c)
{
	if (!read_is(r, c))
		return false;
	r->at++;
	return true;
}

bool read_expect(struct reader *r, char c)
{
	return read_take(r, c) || read_fail(r, "'%c' expected at '%.20s'", c, r->at);
}

static size_t name_length(const char *s)
{
	static const char letters[] =
			"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return *s >= '0' && *s <= '9' ? 0 : strspn(s, letters);
}

const char *read_name(struct reader *r)
{
	skip_space(r);
	size_t n = name_length(r->at);
	if (r->failed || !n)
		return NULL;
	char *name = arena_new(r->context->arena, char, n + 1);
	memcpy(name, r->at, n);
	r->at += n;
	return name;
}

bool read_keyword(struct reader *r, const char *word)
{
	size_t n = strlen(word);
	skip_space(r);
	if (r->failed || name_length(r->at) != n || strncmp(r->at, word, n))
		return false;
	r->at += n;
	return true;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef", *at = c ? strchr(digits, c) : NULL;
	return at ? (int)(at - digits) : -1;
}

/* One character of quoted text at `s`, escaped or not: how many bytes it takes. */
static size_t unescape(const char *s, char *c)
{
	*c = s[0];
	if (s[0] != '\\' || !s[1])
		return 1;
	int high = s[1] == 'x' ? hex_digit(s[2]) : -1, low = high < 0 ? -1 : hex_digit(s[3]);
	*c = low < 0 ? s[1] : (char)(high * 16 + low);
	return low < 0 ? 2 : 4;
}

const char *read_quoted(struct reader *r, char quote)
{
	size_t length = 0;
	char c;
	if (!read_expect(r, quote))
		return NULL;
	while (r->at[length] && r->at[length] != quote)
		length += unescape(r->at + length, &c);
	if (!r->at[length]) {
		read_fail(r, "the text does not end");
		return NULL;
	}
	char *text = arena_new(r->context->arena, char, length + 1), *to = text;
	for (const char *end = r->at + length; r->at < end; to++) {
		r->line += *r->at == '\n';
		r->at += unescape(r->at, to);
	}
	r->at++;
	return text;
}

/* ---- numbers ---- */

static bool read_number_end(struct reader *r, const char *end, const char *what)
{
	if (r->failed || end == r->at || errno == ERANGE)
		return read_fail(r, "%s expected at '%.20s'", what, r->at);
	r->at = end;
	return true;
}

bool read_integer(struct reader *r, int64_t *value)
{
	char *end;
	skip_space(r);
	errno = 0;
	*value = strtoll(r->at, &end, 10);
	return read_number_end(r, end, "integer");
}

bool read_unsigned(struct reader *r, uint64_t *value)
{
	char *end;
	skip_space(r);
	errno = 0;
	*value = strtoull(r->at, &end, 10);
	return read_number_end(r, end, "integer");
}

bool read_real(struct reader *r, double *value)
{
	char *end;
	skip_space(r);
	*value = strtod(r->at, &end);
	errno = 0; /* what is too small or too large rounds to 0 or infinity */
	return read_number_end(r, end, "number");
}

/* ---- expressions: sums of products of signed atoms ---- */

static const struct dim *read_sum(struct reader *r);

static const struct dim *fail_dim(struct reader *r, const char *what)
{
	read_fail(r, "%s at '%.20s'", what, r->at);
	return dim_div(r->context->dims, dim_const(r->context->dims, 1),
		       dim_const(r->context->dims, 0));
}

static const struct dim *read_symbol(struct reader *r, const char *name)
{
	if (!name)
		return fail_dim(r, "extent expected");
	for (uint32_t i = 0; i < r->n_symbols; i++)
		if (!strcmp(r->symbols[i].name, name))
			return r->symbols[i].dim;
	if (!r->may_define)
		return fail_dim(r, "a symbol that no input defines");
	struct text_symbol symbol = {name, NULL};
	r->place.name = name;
	symbol.dim = dim_symbol(r->context->dims, r->place);
	PUSH(r->context->arena, r->symbols, r->n_symbols, symbol);
	return symbol.dim;
}

static const struct dim *read_choice(struct reader *r, bool least)
{
	read_expect(r, '(');
	const struct dim *a = read_sum(r);
	read_expect(r, ',');
	const struct dim *b = read_sum(r);
	read_expect(r, ')');
	return least ? dim_min(r->context->dims, a, b) : dim_max(r->context->dims, a, b);
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static const struct dim *read_atom(struct reader *r)
{
	struct dims *dims = r->context->dims;
	int64_t value = 0;
	skip_space(r);
	if (is_digit(r->at[0]) || (r->at[0] == '-' && is_digit(r->at[1]))) {
		read_integer(r, &value);
		return dim_const(dims, value);
	}
	if (read_take(r, '-')) {
		const struct dim *d = ++r->depth > TEXT_MAX_DEPTH ? fail_dim(r, "too many signs")
								  : read_atom(r);
		r->depth--;
		return dim_sub(dims, dim_const(dims, 0), d);
	}
	if (read_take(r, '(')) {
		const struct dim *d = read_sum(r);
		read_expect(r, ')');
		return d;
	}
	if (read_keyword(r, "min"))
		return read_choice(r, true);
	if (read_keyword(r, "max"))
		return read_choice(r, false);
	if (read_keyword(r, "invalid"))
		return dim_div(dims, dim_const(dims, 1), dim_const(dims, 0));
	return read_symbol(r, read_is(r, '\'') ? read_quoted(r, '\'') : read_name(r));
}

static const struct dim *read_product(struct reader *r)
{
	struct dims *dims = r->context->dims;
	const struct dim *d = read_atom(r);
	while (!r->failed) {
		if (read_take(r, '*'))
			d = dim_mul(dims, d, read_atom(r));
		else if (read_keyword(r, "floordiv"))
			d = dim_div(dims, d, read_atom(r));
		else if (read_keyword(r, "mod"))
			d = dim_mod(dims, d, read_atom(r));
		else
			break;
	}
	return d;
}

static const struct dim *read_sum(struct reader *r)
{
	struct dims *dims = r->context->dims;
	if (++r->depth > TEXT_MAX_DEPTH)
		return fail_dim(r, "too many parentheses");
	const struct dim *d = read_product(r);
	while (!r->failed) {
		if (read_take(r, '+'))
			d = dim_add(dims, d, read_product(r));
		else if (read_take(r, '-'))
			d = dim_sub(dims, d, read_product(r));
		else
			break;
	}
	r->depth--;
	return d;
}

/* An expression; NULL after a report. */
static const struct dim *read_dim(struct reader *r)
{
	const struct dim *d = read_sum(r);
	return r->failed ? NULL : d;
}

/* ---- lists ---- */

/* Whether another element follows in "[a, b]"; *n counts those before it. */
static bool read_next(struct reader *r, uint32_t n)
{
	if (n == 0 && !read_expect(r, '['))
		return false;
	if (read_take(r, ']'))
		return false;
	return n == 0 ? !r->failed : read_expect(r, ',');
}

bool read_dims(struct reader *r, struct text_dims *list)
{
	const struct dim **value = NULL;
	uint32_t n = 0;
	while (read_next(r, n)) {
		const struct dim *d = read_dim(r);
		if (!d)
			return false;
		PUSH(r->context->arena, value, n, d);
		r->place.index = n;
	}
	*list = (struct text_dims){value, n};
	return !r->failed;
}

static struct reader *field(struct visitor *v, const char *name)
{
	struct reader *r = (struct reader *)v;
	if (!read_keyword(r, name))
		read_fail(r, "'%s' expected at '%.20s'", name, r->at);
	return r;
}

static void visit_word(struct visitor *v, const char *name, const char **word)
{
	struct reader *r = field(v, name);
	const char *read = read_name(r);
	if (read)
		*word = read;
	else
		read_fail(r, "word expected at '%.20s'", r->at);
}

static void visit_string(struct visitor *v, const char *name, const char **string)
{
	*string = read_quoted(field(v, name), '"');
}

static void visit_integer(struct visitor *v, const char *name, int64_t *value)
{
	read_integer(field(v, name), value);
}

static void visit_real(struct visitor *v, const char *name, double *value)
{
	read_real(field(v, name), value);
}

static void visit_integers(struct visitor *v, const char *name, struct text_ints *list)
{
	struct reader *r = field(v, name);
	int64_t *value = NULL, x;
	uint32_t n = 0;
	while (read_next(r, n) && read_integer(r, &x))
		PUSH(r->context->arena, value, n, x);
	*list = (struct text_ints){value, n};
}

static void visit_reals(struct visitor *v, const char *name, struct text_reals *list)
{
	struct reader *r = field(v, name);
	double *value = NULL, x;
	uint32_t n = 0;
	while (read_next(r, n) && read_real(r, &x))
		PUSH(r->context->arena, value, n, x);
	*list = (struct text_reals){value, n};
}

static void visit_dims(struct visitor *v, const char *name, struct text_dims *list)
{
	read_dims(field(v, name), list);
}

static void visit_wrong(struct visitor *v, const char *name)
{
	read_fail((struct reader *)v, "'%s' cannot have this value", name);
}

bool read_attribute(struct reader *r, enum op op, void *attr)
{
	const int32_t rank = r->visitor.rank;
	r->visitor = (struct visitor){.word = visit_word,
				      .string = visit_string,
				      .integer = visit_integer,
				      .real = visit_real,
				      .integers = visit_integers,
				      .reals = visit_reals,
				      .dims = visit_dims,
				      .wrong = visit_wrong,
				      .arena = r->context->arena,
				      .rank = rank,
				      .reads = true};
	return read_expect(r, '{') && (text_visit(&r->visitor, op, attr), read_expect(r, '}'));
}
