/* Rewrite rules: what rules.def is made of, and the engine that applies them.
 *
 * Requirements on a rule:
 *   1. the result has the root's type (checked at every application);
 *   2. every variable of the replacement is bound by the pattern;
 *   3. it removes work, or moves towards the one form that other rules expect, so that rewriting
 * ends;
 *   4. it is right for all values, NaN, infinities and -0 included, if it says BIT; equal in real
 * arithmetic if it says REAL;
 *   5. it shows in tests/test_rules.c, which makes operands from the pattern: both sides are
 * evaluated and compared.
 */
#ifndef NORMC_PASSES_REWRITE_H
#define NORMC_PASSES_REWRITE_H

#include "graph.h"
#include "pass.h"

enum pat_kind { PAT_OP, PAT_ANY, PAT_CONST, PAT_NUMBER, PAT_MAP };
enum { MAX_SLOTS = 6, MAX_PAT_ARGS = 4 };

/* PAT_OP without arguments matches whatever the operands are. PAT_MAP: any map operation. */
struct pat {
	enum pat_kind kind;
	enum op op;
	int32_t slot;  /* ANY and CONST: the same slot twice means the same node */
	double number; /* NUMBER: all elements are this; -0 and 0 differ, except for integers */
	const struct pat *arg[MAX_PAT_ARGS]; /* up to the first NULL */
};

struct match {
	struct graph *g;
	struct node *root;
	struct node *slot[MAX_SLOTS];
	/* makes a node that the replacement needs on the way simpler, too */
	struct node *(*simpler)(struct match *m, struct node *n);
	void *user;
};

typedef bool rule_when(const struct match *m);
/* NULL: does not apply after all */
typedef struct node *rule_build(struct match *m);

enum rule_accuracy { BIT, REAL };

struct rule {
	const char *name;
	const struct pat *pattern;
	const struct pat *to; /* NULL: build */
	rule_build *build;
	rule_when *when;
	enum rule_accuracy accuracy;
	const char *why;
};
extern const struct rule rules[];
extern const uint32_t n_rules;

/* What the rule makes of n; NULL if it does not apply. Nodes that do not help stay behind in g,
 * dead. */
struct node *rule_apply(const struct rule *rule, struct graph *g, struct node *n);

#define RULE(...)
#define BUILD(name, pattern, function, ...) rule_build function;
#include "rules.def"
#undef RULE
#undef BUILD

/* How dimensions of two shapes with equally many elements go together: from[first[0][i] ..
 * first[0][i+1]) and to[first[1][i] .. first[1][i+1]) have equal products, and no shorter parts do.
 */
struct groups_of_axes {
	int32_t n;
	int32_t first[2][MAX_RANK + 2];
};
bool reshape_groups(struct dims *dims, const struct type *from, const struct type *to,
		    struct groups_of_axes *groups);

/* `small` has extents 1 where `big` repeats it. Gives the extents that small needs for repeating it
 * to `to`, a reshape of big; false if there are none. */
bool reshape_repeated(struct dims *dims, const struct type *small, const struct type *big,
		      const struct type *to, const struct dim **dim);

/* The elementwise operation n on smaller shapes, where all its operands repeat along the other
 * dimensions; NULL if none do. */
struct node *build_unrepeated(struct graph *g, const struct node *n);

#endif
