/* What an importer of ONNX operators sees.  One function per row of onnx.def; it reads operands and
 * attributes of one ONNX node, builds IR, and sets the node's results.
 *
 * Everything is sticky: a missing attribute or a wrong operand is reported with the node's place,
 * and poison flows on, so importers are straight-line code.  import.c checks once after each node.
 */
#ifndef NORMC_FRONTEND_IMPORT_H
#define NORMC_FRONTEND_IMPORT_H

#include "graph.h"
#include "load.h"

struct importer; /* state of one import; private to import.c */

/* One ONNX node being imported. */
struct import {
	struct graph *g;          /* build into this */
	struct importer *state;
	const void *proto;        /* Onnx__NodeProto, private to import.c */
	const char *op_type;
	int32_t opset;            /* of the operator's domain */
	uint32_t n_in, n_out;     /* as written in the file */
	struct node **in;         /* NULL: an optional operand that is absent */
	struct node **out;        /* to be filled */
};

typedef void import_function(struct import *n);

/* onnx.def: ONNX(domain, "Softmax", first opset, last opset, function) */
enum { OPSET_FIRST = 7, OPSET_LAST = 28 };

/* Operand i; absent operands that are required are reported (poison). */
struct node *import_in(struct import *n, uint32_t i);
/* Operand i, or NULL if absent. */
struct node *import_optional(struct import *n, uint32_t i);
bool import_wants(const struct import *n, uint32_t result); /* whether a result is named at all */
void import_out(struct import *n, uint32_t i, struct node *value);

/* Attributes, with the default for absent ones. Wrong kinds are reported. */
bool import_has(struct import *n, const char *name);
int64_t import_int(struct import *n, const char *name, int64_t otherwise);
double import_float(struct import *n, const char *name, double otherwise);
/* NUL-terminated; lives as long as the model */
const char *import_string(struct import *n, const char *name, const char *otherwise);
/* Returns the number of elements (0 if absent) and points `value` at them (arena). */
uint32_t import_ints(struct import *n, const char *name, const int64_t **value);
uint32_t import_floats(struct import *n, const char *name, const float **value);
uint32_t import_strings(struct import *n, const char *name, const char *const **value);
/* A tensor attribute as a constant; NULL if absent. */
struct node *import_tensor(struct import *n, const char *name);
/* Axis attribute or value, normalised to 0..rank-1; reported otherwise (then 0). */
int32_t import_axis(struct import *n, int64_t axis, int32_t rank);
/* Mask of axes from an attribute (old opsets) or tracked operand `in` (>= 0); `otherwise` if absent
 * or empty. */
uint32_t import_axes(struct import *n, const char *attribute, int32_t in, int32_t rank,
		     uint32_t otherwise);

/* Tracked contents of operand i as expressions: number of elements, or -1 after a report that the
 * value must be known at compile time. */
int64_t import_dims(struct import *n, uint32_t i, const struct dim *const **value);
/* The same as plain numbers in the arena. */
int64_t import_numbers(struct import *n, uint32_t i, const int64_t **value);
/* Contents of a constant float operand (as double) in the arena; -1 after a report if it is not
 * constant. */
int64_t import_reals(struct import *n, uint32_t i, const double **value);

/* Reports; all results become poison. `import_unsupported` says what is not supported and exits
 * with 4. */
void import_unsupported(struct import *n, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
void import_invalid(struct import *n, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
/* Whether a number that the model gives, `what`, lies in [least, most]; else after a report.  The
 * second one is for numbers that may be larger but for a limit of ours, and exits with 6 then. */
bool import_in_range(struct import *n, const char *what, int64_t value, int64_t least,
		     int64_t most);
bool import_in_limit(struct import *n, const char *what, int64_t value, int64_t least,
		     int64_t most);

/* Region attribute (If, Loop, Scan): imports sub-graph attribute `name` as a closed region.
 * `params` gives the values bound to the sub-graph's own inputs (their types and what is tracked;
 * one per sub-graph input); values captured from outside are added to `captured` (outer nodes) and
 * become further inputs of the region, in order. To share one list among both branches of an If,
 * pass the same `captured` twice: new captures are appended. */
struct captures {
	struct node **node;
	uint32_t n;
};
struct graph *import_region(struct import *n, const char *name, struct node *const *params,
			    uint32_t n_params, struct captures *captured);
/* Adds inputs to a region so that it takes all of `captured` (for the branch imported first). */
void import_region_extend(struct import *n, struct graph *region, uint32_t n_params,
			  const struct captures *captured);

/* The whole model. Returns NULL after reports. `fixed` gives values for named dimensions ("N=1"),
 * ended by NULL, may be NULL. */
struct graph *import_model(struct context *context, struct model *model, const char *const *fixed);

/* Whether each text of `fixed` is NAME=NUMBER and no NAME comes twice; false after a report. */
bool import_fixed_valid(struct diag *diag, const char *const *fixed);

/* Rows of onnx.def, for the support table: calls put(user, domain, operator, first, last) in the
 * table's order, from the oldest opset on that a model may have. */
void import_list(void (*put)(void *user, const char *domain, const char *op, int first, int last),
		 void *user);

#define ONNX(domain, op, first, last, function) import_function function;
#include "onnx.def"
#undef ONNX

#endif
