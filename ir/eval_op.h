/* What the files of the interpreter share.  eval.c walks graphs and owns storage; eval_map.c,
 * eval_move.c, eval_reduce.c and eval_nn.c hold one function for each row of ops.def.
 *
 * An eval_<name>() finds its operands in in[] and writes every element of out[0], whose type is set
 * and whose elements are allocated; operations with several results write out[0], out[1], ...  It
 * need not wrap integers or round floating-point numbers to the element type: eval.c does that
 * afterwards.  Types were inferred, but extents that depend on symbols or on data are checked here,
 * since a model can make them wrong.
 */
#ifndef NORMC_IR_EVAL_OP_H
#define NORMC_IR_EVAL_OP_H

#include "eval.h"

struct pool_block;

enum { POOL_CLASSES = 200 };

struct eval {
	struct context *context;
	enum eval_mode mode;
	const int64_t *symbols;
	const struct tensor *in; /* inputs of the graph or region that is being evaluated */
	struct arena *arena;
	struct pool_block *free[POOL_CLASSES]; /* blocks to use again, by size */
	/* By operation: after an evaluation, calculates what is carried beside the elements; NULL:
	 * nothing is carried. */
	bool (*const *beside)(struct eval *e, const struct node *n, const struct tensor *const *in,
			      struct tensor *out);
};

typedef bool eval_fn(struct eval *e, const struct node *n, const struct tensor *const *in,
		     struct tensor *out);

/* Evaluates a graph with something carried; results in the graph's arena. */
bool eval_graph_beside(const struct graph *g, struct eval_request request, eval_fn *const *beside,
		       const struct tensor *in, struct tensor *out);
struct eval_node {
	const struct graph *graph;
	const struct node *node;
	const struct tensor *in; /* with what is carried beside the elements */
	struct tensor *out;
};
bool eval_node_beside(const struct eval_node *what, struct eval_request request,
		      eval_fn *const *beside);

/* Head of a function for one row. */
#define EVAL(name)                                                                                 \
	bool eval_##name(struct eval *e, const struct node *n, const struct tensor *const *in,     \
			 struct tensor *out)

#define OP(name, ...) eval_fn eval_##name;
#include "ops.def"
#undef OP

/* The model or its inputs are wrong: reports it at the node and returns false. */
#define eval_fail(e, n, ...) diag_error((e)->context->diag, (n)->loc, NORMC_INVALID, __VA_ARGS__)

/* Storage that is used again after pool_give; never NULL, not cleared. */
void *pool_take(struct eval *e, size_t n, size_t size);
void pool_give(struct eval *e, void *p);

/* A tensor whose elements come from the pool. */
struct tensor tensor_take(struct eval *e, enum normc_elem elem, int32_t rank, const int64_t *dim);
void tensor_give(struct eval *e, struct tensor *t);
/* Reads t->count elements from memory. */
void tensor_fill(struct tensor *t, const void *data);
/* Sets all elements, to f or to i by their kind. */
void tensor_set(struct tensor *t, double f, int64_t i);
/* Copies all elements between tensors of one count. */
void tensor_copy(struct tensor *to, const struct tensor *from);

/* Evaluates a graph; its inputs are in[0..], its results are written to out[0..], which have
 * storage and whose extents they must have. */
bool eval_region(struct eval *e, const struct graph *region, const struct tensor *in,
		 struct tensor *out);

/* The divisor of a norm from what was summed. */
double norm_divisor(const struct attr_norm *a, double s);

/* The value of an extent or index. */
bool eval_dim(const struct eval *e, const struct node *n, const struct dim *d, int64_t *value);
bool eval_same_shape(const struct eval *e, const struct node *n, const struct tensor *a,
		     const struct tensor *b);

/* Rounds x to a format of 8 or 4 bits as the operation cast does: what is too large, infinity too,
 * becomes the largest value, or with `wrap` infinity or NaN.  Other types: x unchanged. */
double elem_cast(enum normc_elem elem, double x, bool wrap);
/* The least value of an integer type. */
int64_t elem_least(enum normc_elem elem);

/* Whether the elements are held in `f`. */
static inline bool is_float(const struct tensor *t)
{
	return elem_is_float(t->elem);
}

/* ---- index arithmetic ---- */

/* Elements between neighbours along each dimension. */
static inline void strides_of(const struct tensor *t, int64_t *stride)
{
	int64_t step = 1;
	for (int32_t k = t->rank - 1; k >= 0; k--) {
		stride[k] = step;
		step *= t->dim[k];
	}
}

/* The same, for reading `t` as if it were broadcast: 0 where the extent is 1. */
static inline void broadcast_strides_of(const struct tensor *t, int64_t *stride)
{
	strides_of(t, stride);
	for (int32_t k = 0; k < t->rank; k++)
		if (t->dim[k] == 1)
			stride[k] = 0;
}

/* An index that steps through a shape in row-major order. */
struct walk {
	int32_t rank;
	const int64_t *dim;
	int64_t index[MAX_RANK];
};

static inline struct walk walk_over(const struct tensor *t)
{
	return (struct walk){.rank = t->rank, .dim = t->dim};
}

static inline void walk_next(struct walk *w)
{
	for (int32_t k = w->rank - 1; k >= 0; k--) {
		if (++w->index[k] < w->dim[k])
			return;
		w->index[k] = 0;
	}
}

static inline int64_t walk_offset(const struct walk *w, const int64_t *stride)
{
	int64_t offset = 0;
	for (int32_t k = 0; k < w->rank; k++)
		offset += w->index[k] * stride[k];
	return offset;
}

/* Product of the extents dim[from..to). */
static inline int64_t extent_product(const struct tensor *t, int32_t from, int32_t to)
{
	int64_t product = 1;
	for (int32_t k = from; k < to; k++)
		product *= t->dim[k];
	return product;
}

#endif
