/* Errors with a place in the model.
 *
 *	bert.onnx: error: node 17 '/encoder/Softmax_3' (Softmax, opset 13): axis 4 is out of range
 * for rank 3
 *
 * diag_error returns false, so that a check reads `return diag_error(...)`.  A wrong model or
 * argument is a diag_error; our own mistake is bug().  Errors are sticky: the first one decides the
 * status.  Of a node only the first of several errors in a row is shown: the others follow from it.
 */
#ifndef NORMC_IR_DIAG_H
#define NORMC_IR_DIAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "normc.h"

/* Where an IR node comes from: an entry of the sources table, and the rewrite that made it. */
struct loc {
	uint32_t source; /* 0: none */
	const char *via; /* name of the rule or pass that made the node; NULL: the importer */
};

/* One ONNX node. Strings live as long as the table. */
struct source {
	const char *name, *op_type, *domain;
	uint32_t position; /* in its graph, from 0 */
	int32_t opset;
};

struct diag {
	const char *file;	      /* shown in front; may be NULL */
	const struct source *sources; /* [0] is unused */
	uint32_t n_sources;
	uint32_t errors, warnings;
	enum normc_status status; /* of the first error */
	uint32_t last;		  /* source of the last error */
	char first[500];	  /* text of the first error, with its place */
	/* Receives every line; may be NULL. `severity` is "error", "warning" or "note". */
	void (*sink)(void *user, const char *severity, const char *line);
	void *user;
};

enum { DIAG_MAX_ERRORS = 20 }; /* more are counted, not shown */

bool diag_error(struct diag *diag, struct loc loc, enum normc_status status, const char *format,
		...) __attribute__((format(printf, 4, 5)));
void diag_warning(struct diag *diag, struct loc loc, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
void diag_note(struct diag *diag, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* An error of ours: reports NORMC_BUG with file and line; returns false. */
#define bug(diag, loc, ...) diag_bug(diag, loc, __FILE__, __LINE__, __VA_ARGS__)
bool diag_bug(struct diag *diag, struct loc loc, const char *file, int line, const char *format,
	      ...) __attribute__((format(printf, 5, 6)));

/* The first character of `text` as it is shown, for names out of files: a control character
 * becomes "\x0a", so that it neither breaks a line nor reaches a terminal.  Returns how many bytes
 * of `text` it takes. */
enum { VISIBLE_BYTES = 12 };
size_t visible_character(const char *text, char shown[VISIBLE_BYTES]);

/* "node 17 '/encoder/Softmax_3' (Softmax, opset 13)" into `text`; "" if there is no source. */
void diag_place(const struct diag *diag, struct loc loc, char *text, size_t size);

#endif
