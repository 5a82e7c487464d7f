/* Inside of the infer files: one rule per word of the shape column of ops.def, and what rules
 * share.  A rule sees a node whose op, operands and attribute are set and gives its type, or
 * reports and returns false. */
#ifndef NORMC_IR_INFER_H
#define NORMC_IR_INFER_H

#include "graph.h"

typedef bool shape_rule(struct graph *g, const struct node *n, struct type *type);

#define OP(name, in, attr, shape, ...) shape_rule shape_##shape;
#include "ops.def"
#undef OP

/* Reports "<operation>: <text>"; returns false. */
bool infer_fail(struct graph *g, const struct node *n, const char *format, ...)
		__attribute__((format(printf, 3, 4)));
/* Reports that operand b does not fit operand a, with both types; returns false. */
bool infer_mismatch(struct graph *g, const struct node *n, uint32_t a, uint32_t b);

/* The text of a type, as a value: infer_show(g, type).s */
struct type_text {
	char s[200];
};
struct type_text infer_show(struct graph *g, const struct type *type);

enum elem_class {
	CLASS_FLOAT = 1,
	CLASS_INTEGER = 2,
	CLASS_NUMBER = 3,
	CLASS_BOOL = 4,
	CLASS_BITS = 6,
	CLASS_ANY = 7
};

/* Each is true, or false after a report: operand k is of these classes; operands `first` and after
 * it have one element type; operand 0 has this axis. */
bool infer_class(struct graph *g, const struct node *n, uint32_t k, uint32_t classes);
bool infer_same_elements(struct graph *g, const struct node *n, uint32_t first);
bool infer_axis(struct graph *g, const struct node *n, int32_t axis);

/* False, without a report, if the extents are different constants; else *a is the one to use. */
bool infer_same_extent(struct graph *g, const struct dim **a, const struct dim *b);

#endif
