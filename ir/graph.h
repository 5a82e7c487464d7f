/* The graph form: typed SSA in construction order, which is a topological order.
 *
 * A graph only grows.  The builder infers types, finds equal nodes (hash-consing: building the same
 * thing twice returns the first), and turns integer values that it can track (shapes) into `dims`
 * or constants at once.  It does nothing else: rules live in passes/.  Passes make a new graph
 * (graph_rewrite); dead nodes are left behind in the old one.
 *
 * Errors are sticky: the builder reports a wrong operand with the current location and returns a
 * poison node; building on poison gives poison silently.
 */
#ifndef NORMC_IR_GRAPH_H
#define NORMC_IR_GRAPH_H

#include "arena.h"
#include "diag.h"
#include "dim.h"
#include "op.h"

/* What one compile call shares between its graphs and regions. */
struct context {
	struct memory *memory;
	struct arena *arena; /* lives as long as the graphs */
	struct dims *dims;
	struct diag *diag;
	/* Pairs of extents that the model takes to be equal (broadcasts of unknown extents);
	 * checked at run time. */
	struct dim_pair {
		const struct dim *a, *b;
		struct loc loc; /* of the first node that needs it */
	} *equal;
	uint32_t n_equal;
	/* Constants that passes compute also keep what they stand for (attr_data.residue). */
	bool exact;
	/* Why residues may differ all the same: a rewrite took a rounded constant for the number
	 * that it stands for. NULL: they may not. */
	const char *inexact;
	/* An evaluation with residues has chosen between numbers that are nearly equal
	 * (eval_choice.c). Nobody but who asks clears it. */
	bool tie;
};

struct node {
	enum op op;
	uint32_t id; /* dense, in construction order */
	uint32_t n_in;
	struct node **in;
	union attr attr;
	struct type type; /* of the only result; if there are several, see node_result: elem NONE */
	struct loc loc;
	/* Tracked contents of small integer tensors (i32, i64, bool; rank 0 or 1), else NULL */
	const struct dim *const *ints;
};

struct graph {
	struct context *context;
	const char *name;
	struct node **nodes;
	uint32_t n_nodes;
	struct node **inputs; /* all OP_input, attr.port->index = position */
	uint32_t n_inputs;
	struct node **outputs;
	const char **output_names;
	uint32_t n_outputs;
	struct loc at; /* given to new nodes */
	struct node_table *table;
	const char *const *meta; /* "key", "value", ..., NULL: model metadata; may be NULL */
};

struct graph *graph_new(struct context *context, const char *name);

/* The general builder: infers, shares, tracks.  `attr` is copied when a new node is made. */
struct node *graph_node(struct graph *g, enum op op, struct node *const *in, uint32_t n_in,
			union attr attr);

/* Inputs and outputs. A new input is always a new node. */
struct node *graph_input(struct graph *g, const char *name, const struct type *type);
void graph_output(struct graph *g, struct node *node, const char *name);
/* A region parameter that carries what is tracked about the outer value. */
struct node *graph_parameter(struct graph *g, const char *name, const struct node *outer);

struct node *graph_poison(struct graph *g);
static inline bool node_is_poison(const struct node *n)
{
	return n->op == OP_poison;
}

/* Type of result `index` of an operation with several (call, if, loop), or with one (index 0). */
const struct type *node_result(const struct node *n, uint32_t index);
uint32_t node_n_results(const struct node *n);

/* ---- short builders (build.c); binary ones broadcast their operands as numpy does ---- */
struct node *build_unary(struct graph *g, enum op op, struct node *a);
struct node *build_binary(struct graph *g, enum op op, struct node *a, struct node *b);
struct node *build_where(struct graph *g, struct node *condition, struct node *a, struct node *b);
struct node *build_cast(struct graph *g, struct node *a, enum normc_elem to);
struct node *build_reshape(struct graph *g, struct node *a, int32_t rank,
			   const struct dim *const *dim);
struct node *build_transpose(struct graph *g, struct node *a, const int32_t *perm);
/* numpy broadcasting of `a` to a shape of the same or higher rank */
struct node *build_broadcast(struct graph *g, struct node *a, int32_t rank,
			     const struct dim *const *dim);
/* inserts (or removes) extents 1; axes of the result (of the input), bit mask */
struct node *build_unsqueeze(struct graph *g, struct node *a, uint32_t axes);
struct node *build_squeeze(struct graph *g, struct node *a, uint32_t axes);
/* result[.., i, ..] = a[.., start + i*step, ..] for i in [0, extent) along one axis */
struct slice_range {
	const struct dim *start, *extent;
	int64_t step;
};
struct node *build_slice(struct graph *g, struct node *a, int32_t axis, struct slice_range range);
struct node *build_concat(struct graph *g, struct node *const *in, uint32_t n, int32_t axis);
struct node *build_gather(struct graph *g, struct node *data, struct node *index, int32_t axis);
struct node *build_reduce(struct graph *g, enum op op, struct node *a, uint32_t axes, bool keep);
struct node *build_mean(struct graph *g, struct node *a, uint32_t axes, bool keep);
struct node *build_softmax(struct graph *g, struct node *a, int32_t axis, bool log);
/* numpy's matmul, any ranks >= 1 */
struct node *build_matmul(struct graph *g, struct node *a, struct node *b);
struct node *build_conv(struct graph *g, struct node *x, struct node *w,
			const struct attr_conv *attr);
struct node *build_pool(struct graph *g, enum op op, struct node *x, const struct attr_pool *attr);
/* NULL, or not read, where the attribute says there is none */
struct norm_operands {
	struct node *x, *gamma, *beta, *mean, *variance;
};
struct node *build_norm(struct graph *g, struct norm_operands in, const struct attr_norm *attr);
struct node *build_call(struct graph *g, struct node *const *in, uint32_t n,
			const struct attr_call *attr);
/* An operand of a call that is left out: an empty constant. */
struct node *build_absent(struct graph *g);
bool node_is_absent(const struct node *n);
struct node *build_part(struct graph *g, struct node *a, uint32_t index);
struct node *build_dims(struct graph *g, int32_t rank, uint32_t n, const struct dim *const *value);
struct node *build_iota(struct graph *g, const struct type *type, int32_t axis);
struct node *build_pad(struct graph *g, struct node *a, struct node *value,
		       const struct attr_pad *attr);
/* constants: `p` is borrowed; build_number makes a scalar (rank 0) of any element type */
struct node *build_constant(struct graph *g, const struct type *type, const void *p,
			    uint64_t bytes);
/* A constant of floats with its residues, which may be NULL; both are borrowed. Residues that say
 * no more than the elements are dropped. */
struct node *build_exact(struct graph *g, const struct type *type, const void *p,
			 const uint64_t *residue);
/* What its elements stand for; NULL unless the context is exact. */
const uint64_t *constant_residues(struct graph *g, const struct node *constant);
struct node *build_number(struct graph *g, enum normc_elem elem, double value);
struct node *build_integer(struct graph *g, enum normc_elem elem, int64_t value);

/* Type with fixed extents. */
struct type type_fixed(struct context *c, enum normc_elem elem, int32_t rank, const int64_t *dim);

/* Tracked contents: the number of elements, or -1 if they are not tracked. */
int64_t node_n_ints(const struct node *n);

/* Declares two extents equal; returns the one to use. Reports an error if they are constants that
 * differ. */
const struct dim *graph_same_extent(struct graph *g, const struct dim *a, const struct dim *b);

/* infer.c: sets type (and nothing else) of a node whose op, in and attr are set; false after a
 * report. */
bool infer_type(struct graph *g, struct node *n, struct type *type);
/* track.c: what is tracked of it, or NULL. */
const struct dim *const *track_ints(struct graph *g, const struct node *n);

/* ---- copying (copy.c) ---- */

/* Calls rule for every live node of `from` in order, with operands already in `to`; what it returns
 * (in `to`) stands for the node.  A NULL return copies the node unchanged.  Inputs and outputs keep
 * names and order; regions are rewritten with the same rule. */
typedef struct node *rewrite_rule(struct graph *to, const struct node *old, struct node *const *in,
				  void *user);
struct graph *graph_rewrite(const struct graph *from, rewrite_rule *rule, void *user);
/* Copies one node with other operands. */
struct node *graph_clone(struct graph *to, const struct node *old, struct node *const *in);

/* Number of readers of each node, outputs count one each; indexed by id, from `arena`. */
uint32_t *graph_uses(const struct graph *g, struct arena *arena);
/* By id: whether an output depends on it; inputs always count. */
bool *graph_live(const struct graph *g);

/* ---- verify.c, text.c ---- */

/* Checks order, operands, attributes and types; reports each fault as bug(). */
bool graph_verify(const struct graph *g);
/* Prints the text form; constants above `max_elements` print as a hash. Writes through `put`. */
void graph_print(const struct graph *g, uint32_t max_elements,
		 void (*put)(void *user, const char *s), void *user);
/* One of its nodes in the same form. */
void graph_print_node(const struct graph *g, const struct node *n,
		      void (*put)(void *user, const char *s), void *user);
/* Parses the text form; NULL after a report. `text` ends with NUL. */
struct graph *graph_parse(struct context *context, const char *text);

#endif
