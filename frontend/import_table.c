/* Which function imports which operator at which opset, and what to say if none does. */
#include <stdio.h>
#include <string.h>

#include "import_state.h"

static const struct operator_row rows[] = {
#define ONNX(domain, op, first, last, function) {domain, op, first, last, function, NULL},
#include "onnx.def"
#undef ONNX
};

enum { N_ROWS = sizeof rows / sizeof rows[0] };

struct names *operator_names(struct arena *arena)
{
	struct names *names = names_new(arena);
	struct operator_row *copy = arena_copy(arena, rows, sizeof rows);
	for (size_t i = N_ROWS; i-- > 0;) { /* so that the table's order stays */
		void **slot = names_slot(
				names, arena_printf(arena, "%s:%s", copy[i].domain, copy[i].name));
		copy[i].next = *slot;
		*slot = &copy[i];
	}
	return names;
}

/* Number of edits between two short words; large if one is long. */
static int distance(const char *a, const char *b)
{
	enum { LONGEST = 40 };
	int row[LONGEST + 1];
	size_t n = strlen(a), m = strlen(b);
	if (n > LONGEST || m > LONGEST)
		return LONGEST;
	for (size_t j = 0; j <= m; j++)
		row[j] = (int)j;
	for (size_t i = 1; i <= n; i++) {
		int before = row[0];
		row[0] = (int)i;
		for (size_t j = 1; j <= m; j++) {
			int change = before + (a[i - 1] != b[j - 1]);
			before = row[j];
			if (row[j] + 1 < change)
				change = row[j] + 1;
			if (row[j - 1] + 1 < change)
				change = row[j - 1] + 1;
			row[j] = change;
		}
	}
	return row[m];
}

/* The supported operator whose name is nearest, NULL if none is near. */
static const char *nearest(const struct source *source)
{
	const char *best = NULL;
	int least = 3;
	for (size_t i = 0; i < N_ROWS; i++) {
		int d = distance(source->op_type, rows[i].name);
		if (!strcmp(source->domain, rows[i].domain) && d < least) {
			least = d;
			best = rows[i].name;
		}
	}
	return best;
}

/* The first of a row that a model may have. */
static int first_opset(const struct operator_row *row)
{
	return !*row->domain && row->first < OPSET_FIRST ? OPSET_FIRST : row->first;
}

static void unsupported_opset(struct importer *s, struct loc loc, const struct operator_row *row)
{
	char ranges[200] = "";
	size_t at = 0;
	for (const struct operator_row *r = row; r && at < sizeof ranges - 40; r = r->next) {
		const char *joint = r == row ? "" : ", ";
		int n = r->last == OPSET_LAST ? snprintf(ranges + at, sizeof ranges - at,
							 "%sfrom %d", joint, first_opset(r))
					      : snprintf(ranges + at, sizeof ranges - at,
							 "%s%d to %d", joint, first_opset(r),
							 r->last);
		at += n > 0 ? (size_t)n : 0;
	}
	diag_error(s->context->diag, loc, NORMC_UNSUPPORTED,
		   "not supported in this opset; %s is supported in opsets %s", row->name, ranges);
}

/* Why whole families of operators are left out; NULL for others. A trailing '*' stands for any
 * ending. */
static const char *reason(const char *op)
{
	static const struct {
		const char *op, *why;
	} list[] = {
		{"NonZero", "the extents of its result depend on data"},
		{"Unique", "the extents of its result depend on data"},
		{"Compress", "the extents of its result depend on data"},
		{"NonMaxSuppression", "the extents of its result depend on data"},
		{"Random*", "random numbers are not supported"},
		{"Multinomial", "random numbers are not supported"},
		{"Bernoulli", "random numbers are not supported"},
		{"Sequence*", "sequences are not supported"},
		{"SplitToSequence", "sequences are not supported"},
		{"ConcatFromSequence", "sequences are not supported"},
		{"Optional*", "optional values are not supported"},
		{"String*", "strings are not supported"},
		{"RegexFullMatch", "strings are not supported"},
		{"TfIdfVectorizer", "strings are not supported"},
	};
	for (size_t i = 0; i < sizeof list / sizeof list[0]; i++) {
		size_t n = strcspn(list[i].op, "*");
		if (!strncmp(op, list[i].op, n) && (list[i].op[n] || !op[n]))
			return list[i].why;
	}
	return NULL;
}

static bool known_domain(const char *domain)
{
	for (size_t i = 0; i < N_ROWS; i++)
		if (!strcmp(rows[i].domain, domain))
			return true;
	return false;
}

const struct operator_row *operator_find(struct importer *s, struct loc loc,
					 const struct source *source)
{
	struct diag *diag = s->context->diag;
	const char *key = arena_printf(s->context->arena, "%s:%s", source->domain, source->op_type);
	const struct operator_row *row = names_find(s->operators, key);
	for (const struct operator_row *r = row; r; r = r->next)
		if (r->first <= source->opset && source->opset <= r->last)
			return r;
	if (row) {
		unsupported_opset(s, loc, row);
		return NULL;
	}
	const char *near = nearest(source), *why = *source->domain ? NULL : reason(source->op_type);
	if (why)
		diag_error(diag, loc, NORMC_UNSUPPORTED, "operator not supported: %s", why);
	else if (!known_domain(source->domain))
		diag_error(diag, loc, NORMC_UNSUPPORTED,
			   "operators of domain '%.100s' are not supported", source->domain);
	else if (near)
		diag_error(diag, loc, NORMC_UNSUPPORTED,
			   "operator not supported (the nearest name is %s)", near);
	else
		diag_error(diag, loc, NORMC_UNSUPPORTED, "operator not supported");
	return NULL;
}

void import_list(void (*put)(void *user, const char *domain, const char *op, int first, int last),
		 void *user)
{
	for (size_t i = 0; i < N_ROWS; i++) {
		int first = first_opset(&rows[i]);
		if (first <= rows[i].last)
			put(user, rows[i].domain, rows[i].name, first, rows[i].last);
	}
}
