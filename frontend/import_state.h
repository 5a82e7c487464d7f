/* State of one import, shared by import*.c; operators' importers see import.h only. */
#ifndef NORMC_FRONTEND_IMPORT_STATE_H
#define NORMC_FRONTEND_IMPORT_STATE_H

#include "import.h"
#include "names.h"
#include "onnx/onnx.pb-c.h"

enum { IMPORT_MAX_NESTING = 128 }; /* sub-graphs and function calls inside each other */

/* What a name stands for; an initializer is read when it is first used. */
struct value {
	struct node *node;
	const Onnx__TensorProto *tensor;
	bool absent; /* an optional input that a function's caller left out */
};

/* A model-local function. */
struct function {
	const Onnx__FunctionProto *proto;
	const char *name;
	struct names *opsets;
};

/* A call of a function that is being imported: its attributes, bound. */
struct call_frame {
	const struct call_frame *caller;
	const struct function *function;
	struct names *attributes; /* name -> const Onnx__AttributeProto */
};

/* Names that are visible: of a graph, a function body or a sub-graph. */
struct scope {
	struct scope *outer; /* NULL: none is visible */
	struct graph *g;     /* other than outer's: values from outside are captured */
	struct names *values;        /* name -> struct value */
	struct names *opsets;        /* domain -> opset, as a pointer to int32_t */
	const struct call_frame *frame; /* NULL outside of functions */
	const char *prefix;          /* of node names in messages */
	struct captures *captured;   /* nodes of outer->g; regions only */
	struct names *inner;         /* their numbers, as text -> parameter */
};

struct importer {
	struct context *context;
	struct model *model;
	struct graph *main;      /* the model's graph */
	struct scope *scope;     /* current */
	struct names *operators; /* operator -> first row of it */
	struct names *functions; /* "domain:name:overload" -> struct function */
	struct names *symbols;   /* dim_param -> struct dim */
	struct source *sources;
	uint32_t n_sources;
	uint32_t n_nodes;
	uint32_t depth;
	int64_t ir_version;
};

/* ---- import.c ---- */
/* The node that `name` stands for, captured if need be; NULL if it is unknown. */
struct node *scope_find(struct importer *s, struct scope *scope, const char *name);
/* Binds a name; reports a second binding. */
void scope_bind(struct importer *s, struct scope *scope, const char *name, struct node *node);
void scope_bind_absent(struct importer *s, struct scope *scope, const char *name);
/* The parameter of scope's region that stands for `outer`, a node of the graph around. */
struct node *scope_capture(struct importer *s, struct scope *scope, struct node *outer,
			   const char *name);
/* Binds initializers; false after a report. */
bool import_initializers(struct importer *s, struct scope *scope, const Onnx__GraphProto *graph);
/* Nodes in order, in scope `scope`. */
void import_nodes(struct importer *s, struct scope *scope, Onnx__NodeProto *const *node, size_t n);
/* Counts towards the limit of nodes; false if it is passed. */
bool import_count(struct importer *s, uint32_t nodes, struct loc loc);
/* Whether too many errors were shown already. */
bool import_stopped(const struct importer *s);
/* Goes one level deeper; false after a report. Leave with `s->depth--`. */
bool import_enter(struct importer *s, struct loc loc);
struct node *import_constant(struct importer *s, struct graph *g, const Onnx__TensorProto *tensor);
/* Version of a domain among opset_import entries; NULL after a report. */
struct names *import_opsets(struct importer *s, Onnx__OperatorSetIdProto *const *entry, size_t n);

/* ---- import_table.c ---- */
struct operator_row {
	const char *domain, *name;
	int32_t first, last;
	import_function *function;
	const struct operator_row *next; /* of the same operator */
};
struct names *operator_names(struct arena *arena);
/* The row for this operator and opset; NULL after a report that says what is supported. */
const struct operator_row *operator_find(struct importer *s, struct loc loc,
					 const struct source *source);

/* ---- import_attr.c ---- */
/* The attribute itself, also if it is bound by a function's call; NULL if absent. */
const Onnx__AttributeProto *import_attribute(struct import *n, const char *name);

/* ---- import_value.c ---- */
/* The one tracked element of a node; false (no report) if there is none. */
bool import_known(struct import *n, struct node *node, const struct dim **value);

/* ---- import_region.c ---- */
/* A sub-graph being imported. */
struct body {
	const Onnx__GraphProto *proto;
	struct scope scope;
};
/* Begins sub-graph `name`: as a region of its own if `captured`, otherwise inside the graph of the
 * node. NULL after a report. Parameters are added by the caller, and then bound to the sub-graph's
 * inputs. */
struct body *body_open(struct import *n, const char *name, uint32_t n_inputs,
		       struct captures *captured);
void body_bind(struct import *n, struct body *body, uint32_t input, struct node *value);
/* Imports the nodes; results go to out[0..n_output). False after a report. */
bool body_import(struct import *n, struct body *body, struct node **out);

/* ---- import_function.c ---- */
bool import_functions(struct importer *s, const Onnx__ModelProto *model);
/* The function that a node calls, NULL if it calls none. */
const struct function *function_find(struct importer *s, const Onnx__NodeProto *node);
void import_call(struct import *n, const struct function *function);

/* ---- import_graph.c ---- */
bool import_graph_inputs(struct importer *s, const Onnx__GraphProto *graph,
			 const char *const *fixed);
bool import_graph_outputs(struct importer *s, const Onnx__GraphProto *graph);

#endif
