/* State of one export, shared by export*.c.
 *
 * Backwards from the outputs every live node gets a plan: the operands that it really reads, which
 * may lie behind repetitions that an ONNX operator does by itself or behind nodes that the operator
 * covers, and the function that writes it.  Then the live nodes are written in order.
 *
 * Values are names.  Functions that write report what cannot be written and go on with a name that
 * stands for nothing, so that they need no checks between; export.c looks at the diag in the end.
 */
#ifndef NORMC_FRONTEND_EXPORT_STATE_H
#define NORMC_FRONTEND_EXPORT_STATE_H

#include "export.h"
#include "names.h"
#include "onnx/onnx.pb-c.h"

/* Of functions of the model: export_function.c. */
#define EXPORT_DOMAIN "normc.nn"
enum { EXPORT_OPSET_FUNCTIONS = 15 /* with IR version 8; they use CastLike */ };

/* Functions of the model, in the order in which they are first called. */
struct export_functions {
	Onnx__FunctionProto **item;
	size_t n;
};

struct export;
/* Writes e->node as e->plan says; returns the name of the result. */
typedef const char *export_function(struct export *e);

/* A row of export.def. */
struct export_way {
	export_function *write;
	const char *onnx;
	int32_t opset;
};

/* How a live node is written. */
struct export_plan {
	export_function *write; /* NULL: as its row says */
	struct node *const *in; /* what it reads */
	uint32_t n_in;
	const struct node
			*anchor; /* the operation that the node's operator covers, if not its own */
	double low, high;	 /* limits of Clip */
	bool turned[2];		 /* operands of Gemm that are transposed */
	const char *text;	 /* the operator, or a choice of it */
};

struct export
{
	const struct graph *g;
	const struct graph *main; /* the model, of which g may be a region */
	struct context *context;
	struct arena *arena;
	int32_t opset, cap;
	int32_t wanted; /* an operator needs this opset: everything is written again for it */
	const uint32_t *uses;
	struct export_plan *plans; /* by node, as all below */
	const char **value;	   /* names; NULL before it is written */
	const char **output;	   /* the graph output that the node is */
	const char ***results;	   /* of operations with several */
	const struct node *node;   /* being written */
	const struct export_plan *plan;
	Onnx__GraphProto *proto;
	struct names *taken; /* names of values and nodes */
	struct names *known; /* numbers, lists and extents that were written, by their text */
	struct export_functions *functions; /* of the whole model */
	uint64_t weight_bytes;
};

/* ---- export.c ---- */

/* The row of an operation. */
const struct export_way *export_way(enum op op);
/* Reports that the node cannot be written, and why; returns a name that stands for nothing. */
const char *export_refuse(struct export *e, const char *format, ...)
		__attribute__((format(printf, 2, 3)));

Onnx__OperatorSetIdProto *export_opset(struct export *e, const char *domain, int32_t version);
Onnx__ValueInfoProto *export_port(struct export *e, const char *name, const struct type *type);
/* Plans and writes the nodes of e->g, whose inputs have values. */
void export_nodes(struct export *e);
/* For a region of the graph: with tables of its own, and the same names taken. */
struct export *export_inside(struct export *e, const struct graph *region);

/* ---- export_node.c ---- */

/* Whether operators of this opset may be used.  If so, and it is above the current one, the model
 * will be written again with it. */
bool export_allows(struct export *e, int32_t opset);
/* The same where there is no other way: false after a report, which says that `what` needs it. */
bool export_needs(struct export *e, int32_t opset, const char *what);
/* Reports element types that the cap excludes. */
void export_check_elem(struct export *e, enum normc_elem elem);

/* A name that is not taken yet: the node's own or one like it. */
const char *export_name(struct export *e);
/* Takes a name for good. */
void export_take(struct export *e, const char *name);

/* Begins an ONNX node; then operands (NULL: absent) and attributes; export_result ends it. */
Onnx__NodeProto *export_begin(struct export *e, const char *op_type);
void export_operand(struct export *e, Onnx__NodeProto *n, const char *name);
void export_int(struct export *e, Onnx__NodeProto *n, const char *name, int64_t value);
void export_ints(struct export *e, Onnx__NodeProto *n, const char *name, const int64_t *value,
		 uint32_t count);
void export_float(struct export *e, Onnx__NodeProto *n, const char *name, double value);
void export_string(struct export *e, Onnx__NodeProto *n, const char *name, const char *value);
void export_floats(struct export *e, Onnx__NodeProto *n, const char *name, const double *value,
		   uint32_t count);
void export_strings(struct export *e, Onnx__NodeProto *n, const char *name,
		    const char *const *value, uint32_t count);
void export_graph(struct export *e, Onnx__NodeProto *n, const char *name, Onnx__GraphProto *value);
const char *export_result(struct export *e, Onnx__NodeProto *n);
/* A node without attributes; `in` ends with NULL. */
const char *export_simple(struct export *e, const char *op_type, const char *const *in);
#define EMIT(e, op_type, ...) export_simple(e, op_type, (const char *const[]){__VA_ARGS__, NULL})
const char *export_converted(struct export *e, const char *value, enum normc_elem to);

/* The value of a node that was written, or a constant, which becomes an initializer. */
const char *export_value(struct export *e, const struct node *n);
/* Operand k of the plan. */
const char *export_in(struct export *e, uint32_t k);
/* A constant with other extents of the same count. */
const char *export_constant_as(struct export *e, const struct node *n, int32_t rank,
			       const int64_t *dim);
/* An initializer of these bytes (layout of normc_tensor), which are borrowed. */
const char *export_data(struct export *e, const char *name, const struct raw_tensor *raw);
/* A scalar, and a vector of i64. */
const char *export_number(struct export *e, enum normc_elem elem, double value);
const char *export_list(struct export *e, const int64_t *value, uint32_t count);
/* A vector of `count` equal numbers. */
const char *export_fill(struct export *e, enum normc_elem elem, int32_t rank, const int64_t *dim,
			double value);

/* ---- export_shape.c ---- */

/* An expression as a vector of one i64; several as one vector. */
const char *export_extent(struct export *e, const struct dim *d);
const char *export_extents(struct export *e, const struct dim *const *d, uint32_t count);
/* value reshaped from the shape of `from` */
const char *export_reshaped(struct export *e, const char *value, const struct type *from,
			    const struct type *to);
/* Fixed extents: false if one is not. */
bool export_fixed(const struct type *type, int64_t *dim);

/* ---- export_move.c ---- */

/* A reduction over the dimensions of `mask`, which stay with extent 1. */
const char *export_reduced(struct export *e, const char *op_type, const char *value, uint32_t mask);
/* Pads before and after each dimension; expressions, which may be negative. */
const char *export_padded(struct export *e, const char *value, const char *number,
			  const struct attr_pad *attr, int32_t rank);

/* ---- export_function.c ---- */

/* A norm (centre mean or none, scale rms, epsilon inside, biased; not of f64) as a call of a
 * function of the model: `in` are the names of X, Scale and, if it is centred, B.  The caller has
 * made sure of EXPORT_OPSET_FUNCTIONS. */
const char *export_norm_call(struct export *e, const struct attr_norm *attr, int32_t rank,
			     const char *const *in);

/* ---- export_call.c ---- */

/* Ends a node with several results; with one it is as export_result. */
const char *export_results(struct export *e, Onnx__NodeProto *n, uint32_t count);

/* ---- export_match.c ---- */

/* Chooses how a live node is written. */
void export_choose(struct export *e, const struct node *n, struct export_plan *plan);
/* What lies behind repetitions. */
struct node *export_unrepeated(struct node *n);
/* Whether all elements of a constant are one number. */
bool export_splat(struct export *e, const struct node *n, double *value);

/* ---- export_group.c ---- */

/* Plans a norm over groups of channels, or the reshape back from one, as GroupNormalization; false
 * if it is none. */
bool export_match_group(struct export *e, const struct node *n, struct export_plan *plan);

/* ---- the ways of export.def, and those that export_match.c chooses ---- */

#define WRITE(name, way, onnx, opset) export_function export_##way;
#include "export.def"
#undef WRITE
export_function export_named, export_clip, export_gelu, export_mean, export_gemm,
		export_average_pool, export_group_norm;
/* The row's operator on all operands, without a look at element types. */
export_function export_operator;

#endif
