/* Inside of the text files: the fields of attributes, described once for printing and parsing.
 *
 * text_attr.c visits the fields of an attribute in the order in which they are written; the visitor
 * either prints the field (text_print.c) or reads it (text_parse.c).  A reader reports by itself
 * and leaves the field as it is.
 */
#ifndef NORMC_IR_TEXT_FORM_H
#define NORMC_IR_TEXT_FORM_H

#include "graph.h"

/* Arrays belong to the attribute when printing, to the graph's arena when parsing. */
struct text_ints {
	const int64_t *value;
	uint32_t n;
};
struct text_reals {
	const double *value;
	uint32_t n;
};
struct text_dims {
	const struct dim *const *value;
	uint32_t n;
};

struct visitor {
	void (*word)(struct visitor *v, const char *name, const char **word);
	void (*string)(struct visitor *v, const char *name, const char **string);
	void (*integer)(struct visitor *v, const char *name, int64_t *value);
	void (*real)(struct visitor *v, const char *name, double *value);
	void (*integers)(struct visitor *v, const char *name, struct text_ints *list);
	void (*reals)(struct visitor *v, const char *name, struct text_reals *list);
	void (*dims)(struct visitor *v, const char *name, struct text_dims *list);
	void (*wrong)(struct visitor *v,
		      const char *name); /* a reader found a value that the field cannot have */
	struct arena *arena;
	int32_t rank; /* of operand 0 */
	bool reads;
};

/* Room for any attribute. */
#define X(name) struct attr_##name name;
union text_attr {
	ATTR_LIST(X)
};
#undef X

/* Visits all fields of the attribute of `op`, which is a struct attr_<word>; when parsing it is
 * zeroed before. */
void text_visit(struct visitor *v, enum op op, void *attr);
/* Whether the attribute has fields in braces; a port, constant data and a sole type are written
 * elsewhere. */
bool text_has_fields(enum op op);

/* Result types are written after the attribute; gives them to attributes that hold them. */
void text_set_types(enum op op, void *attr, const struct type *type, uint32_t n);

/* ---- the reader's parts ---- */

enum { TEXT_MAX_DEPTH = 64 }; /* of parentheses and of regions */

struct text_symbol {
	const char *name;
	const struct dim *dim;
};

struct reader {
	struct visitor visitor; /* first: visitors are cast to it */
	struct context *context;
	const char *at; /* the next character */
	uint32_t line;
	bool failed; /* the first error was reported */
	uint32_t depth;
	struct text_symbol *symbols;
	uint32_t n_symbols;
	struct symbol place; /* given to symbols that are new here */
	bool may_define;     /* whether new symbols may be here at all */
};

/* Reports with the line, once; returns false. */
bool read_fail(struct reader *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Skips space and comments, then says whether the next character is c; `read_take` also moves
 * behind it. */
bool read_is(struct reader *r, char c);
bool read_take(struct reader *r, char c);
bool read_expect(struct reader *r, char c);
/* A name of letters, digits and underscores in the arena; NULL if there is none. */
const char *read_name(struct reader *r);
bool read_keyword(struct reader *r, const char *word); /* moves behind the word if it is next */
/* Text in quotes, unescaped, in the arena; NULL after a report. */
const char *read_quoted(struct reader *r, char quote);
bool read_integer(struct reader *r, int64_t *value);
bool read_unsigned(struct reader *r, uint64_t *value);
bool read_real(struct reader *r, double *value);
/* "[a, b]" */
bool read_dims(struct reader *r, struct text_dims *list);
/* The attribute of op in braces. */
bool read_attribute(struct reader *r, enum op op, void *attr);

#endif
