/* Private to codegen/: what emitters share.
 *
 * A kernel becomes one function `void (frame, task, thread, table)`.  Its entry block computes
 * extents and buffer addresses on demand (emit_dim, emit_buffer), so these may be asked for
 * anywhere.  Kernels of one shape share a function: what differs between them, and that is only
 * where their buffers are and which number they have, comes from the table (argument.c).  Values
 * are emitted for one index, or for `lanes` consecutive indices of one loop dimension at once as an
 * LLVM vector; all arithmetic builders work for both.
 */
#ifndef NORMC_CODEGEN_EMIT_H
#define NORMC_CODEGEN_EMIT_H

#include <llvm-c/Core.h>

#include "emitted.h"
#include "kernel.h"

struct emit_types {
	LLVMTypeRef i1, i8, i16, i32, i64, f16, f32, f64, ptr, none;
};

/* Values already emitted for the current index. */
struct known_values {
	const struct node **node;
	LLVMValueRef *value;
	uint32_t n;
};

/* The table of a kernel: what each slot holds, and its value in the function being emitted. */
struct arguments {
	struct argument {
		int64_t what; /* a buffer's number, or -1: the kernel's */
		LLVMValueRef value;
	} *slot;
	uint32_t n;
};

struct emit {
	const struct program *p;
	const char *prefix; /* of the names of its functions */
	bool inner; /* it is a region's: without marks, and failures are the outer kernel's */
	struct context *context;
	const struct codegen_options *options;
	struct target *target;
	LLVMContextRef llvm;
	LLVMModuleRef module;
	LLVMBuilderRef b, entry; /* entry: in front of the entry block's terminator */
	struct emit_types t;
	/* the function being emitted */
	const struct kernel *kernel;
	uint32_t kernel_number;
	LLVMValueRef function, frame, task, thread, table;
	struct arguments arguments;
	struct dim_value {
		LLVMValueRef value;
		uint32_t function;
	} *dim; /* by dim id; valid in function number `function` */
	uint32_t n_dim, function_number;
	struct known_values known;
};

/* What an emitter tells about its kernel. */
struct schedule {
	const struct dim *tasks;
	const struct dim *scratch; /* bytes for each thread; NULL: none */
};

struct compiled_kernel {
	LLVMValueRef function; /* NULL: nothing to do */
	LLVMValueRef scratch;  /* i64 (frame): bytes that a call needs, or NULL */
	struct arguments arguments;
	struct schedule schedule;
	const struct compiled *region[2]; /* NULL: none */
};

/* The functions of a program. */
struct compiled {
	const struct compiled_kernel *kernel;
	uint32_t n;
	LLVMValueRef run; /* i32 (frame) */
};

/* ---- program.c ---- */
/* Opens a function whose first parameter, or `frame`, leads to the symbols. */
LLVMValueRef function_begin(struct emit *e, const char *name, LLVMTypeRef result,
			    LLVMTypeRef *params, unsigned n);
/* The address of a structure's field. */
LLVMValueRef emit_field(struct emit *e, LLVMValueRef base, size_t offset);
/* Emits all functions of a program, which becomes the one of e; NULL after a report. */
const struct compiled *compile_program(struct emit *e, const struct program *p, const char *prefix);
/* Bytes of scratch memory that a thread needs for the program, regions included. */
LLVMValueRef compiled_scratch(struct emit *e, const struct compiled *c);

/* ---- argument.c ---- */
LLVMValueRef emit_buffer(struct emit *e, uint32_t number); /* address */
LLVMValueRef emit_kernel_number(struct emit *e);	   /* i32: for failures */
/* In the run function: fills in the table of a kernel. */
void pass_arguments(struct emit *e, uint32_t kernel, const struct arguments *a, LLVMValueRef table);

/* ---- loop space: the dimensions that loops run over (space.c) ---- */

/* Dimensions of extent 1 are dropped and those that lie evenly behind each other in all views are
 * one loop. */
struct space {
	int32_t rank;
	const struct dim *extent[MAX_RANK]; /* slowest first */
	int32_t fast[MAX_RANK]; /* logical axis whose stride counts: the fastest of those merged */
	int32_t n_outer;	/* dimensions [n_outer, rank) are those of `inner` (reduced) axes */
};

/* Views that a kernel reads and writes at the indices of one shape. */
struct accesses {
	const struct view **view;
	uint32_t n;
	bool logical; /* some value depends on an index itself: nothing may be merged */
	const struct node **seen;
	uint32_t n_seen;
};
void accesses_add(struct emit *e, struct accesses *a, const struct view *view);

/* Collects the accesses of the expression at `n`, down to `stop` (not entered; may be NULL). */
void accesses_of(struct emit *e, const struct node *n, const struct node *stop, struct accesses *a);
/* How to run over a shape: axes slowest first, and a mask of those (reduced ones, columns) whose
 * loops come last. */
struct axes {
	int32_t order[MAX_RANK];
	uint32_t inner;
};
/* Outer axes must be mergeable in all of `outer`, inner ones in all of `inner`. */
struct space space_new(struct emit *e, const struct type *type, const struct axes *axes,
		       const struct accesses *outer, const struct accesses *inner);
/* Physical order of a view's axes, slowest first, as far as strides are comparable. */
void view_order(const struct type *type, const struct view *v, int32_t *order);

struct index {
	const struct space *space;
	LLVMValueRef at[MAX_RANK]; /* by loop dimension */
	int32_t lane;		   /* loop dimension of the lanes, or -1 */
	int32_t lanes;		   /* 1: scalars */
	LLVMValueRef mask;	   /* <lanes x i1>, NULL: all */
};

/* ---- builder.c ---- */
LLVMTypeRef emit_storage_type(const struct emit *e, enum normc_elem elem);
LLVMTypeRef emit_compute_type(const struct emit *e, enum normc_elem elem);
/* `type` or a vector of it */
LLVMTypeRef emit_lanes(LLVMTypeRef type, int32_t lanes);
/* f32 lanes of one vector register for elements of this type */
int32_t emit_vector_lanes(const struct emit *e, enum normc_elem elem);
LLVMValueRef emit_i64(const struct emit *e, int64_t x);
/* a splat if `type` is a vector */
LLVMValueRef emit_real(const struct emit *e, LLVMTypeRef type, double x);
LLVMValueRef emit_splat(const struct emit *e, LLVMValueRef scalar, int32_t lanes);
LLVMValueRef emit_dim(struct emit *e, const struct dim *d);
LLVMValueRef emit_scratch(struct emit *e); /* this thread's; schedule.scratch bytes */
/* i64, folding 0, and 1 in products */
LLVMValueRef emit_add(const struct emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_mul(const struct emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_min(const struct emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_max(const struct emit *e, LLVMValueRef a, LLVMValueRef b);
LLVMValueRef emit_element(const struct emit *e, LLVMTypeRef type, LLVMValueRef base,
			  LLVMValueRef index);
/* A stack slot in the entry block. */
LLVMValueRef emit_slot(struct emit *e, LLVMTypeRef type);
/* An intrinsic function and the types that it is overloaded on. */
struct intrinsic {
	const char *name;
	LLVMTypeRef type[2];
	unsigned n_types;
};
LLVMValueRef emit_intrinsic(struct emit *e, struct intrinsic intrinsic, LLVMValueRef *args,
			    unsigned n);
/* Calls a runtime function, declared on first use. */
LLVMValueRef emit_runtime(struct emit *e, const char *name, LLVMTypeRef result, LLVMValueRef *args,
			  unsigned n);
/* The same on every lane of vectors. */
LLVMValueRef emit_runtime_lanes(struct emit *e, const char *name, LLVMTypeRef result,
				LLVMValueRef *args, unsigned n);
/* Notes a status (i32), unless it is 0, as the kernel's failure. */
void emit_fail(struct emit *e, LLVMValueRef status);
int32_t emit_lane_count(LLVMValueRef v); /* 1 for scalars */
/* 0, 1, 2, ... as i64 lanes */
LLVMValueRef emit_lane_numbers(const struct emit *e, int32_t lanes);

/* for (i = from; i < to; i += step) between loop_begin and loop_end */
struct loop {
	LLVMBasicBlockRef head, body, exit;
	LLVMValueRef i;
	LLVMValueRef step;
};
void loop_begin(struct emit *e, struct loop *loop, LLVMValueRef from, LLVMValueRef to,
		LLVMValueRef step);
/* Leaves the loop unless the condition holds. */
void loop_while(struct emit *e, struct loop *loop, LLVMValueRef condition);
void loop_end(struct emit *e, struct loop *loop);

/* if (condition) between when_begin and when_end */
struct when {
	LLVMBasicBlockRef end;
};
void when_begin(struct emit *e, struct when *w, LLVMValueRef condition);
void when_end(struct emit *e, struct when *w);
/* if (condition) return value */
void return_when(struct emit *e, LLVMValueRef condition, LLVMValueRef value);

/* ---- memory.c: elements behind views ---- */
LLVMValueRef emit_offset(struct emit *e, const struct view *v, const struct index *x);
/* In the compute type. */
LLVMValueRef emit_load(struct emit *e, const struct node *n, const struct index *x);
void emit_store(struct emit *e, const struct node *n, const struct index *x, LLVMValueRef value);
/* An element of memory, or the first of lanes that are `stride` elements apart (NULL: 1). */
struct element {
	enum normc_elem elem;
	LLVMValueRef address;
	const struct dim *stride;
};
LLVMValueRef emit_load_at(struct emit *e, struct element from, const struct index *x);
void emit_store_at(struct emit *e, struct element to, const struct index *x, LLVMValueRef value);
/* Rounds a value in compute type to what the element type can hold. */
LLVMValueRef emit_round(struct emit *e, enum normc_elem elem, LLVMValueRef value);

/* ---- value.c ---- */
/* The value of node n at index x: a load if it is in memory, else its expression. */
LLVMValueRef emit_value(struct emit *e, const struct node *n, const struct index *x);
/* Forgets values of the last index; `anchor` has this value (NULL: none). */
void emit_values_begin(struct emit *e, const struct node *anchor, LLVMValueRef value);
/* Emits root from the anchor's value and stores it. */
void emit_finish(struct emit *e, const struct index *x, LLVMValueRef anchor_value);

/* ---- scalar.c ---- */
LLVMValueRef scalar_emit(struct emit *e, const struct node *n, LLVMValueRef *in);
LLVMValueRef emit_cast(struct emit *e, LLVMValueRef v, enum normc_elem from, enum normc_elem to,
		       bool wrap);
/* math.c: vector polynomials on f32 */
LLVMValueRef math_exp(struct emit *e, LLVMValueRef x);
LLVMValueRef math_log(struct emit *e, LLVMValueRef x);
LLVMValueRef math_tanh(struct emit *e, LLVMValueRef x);
LLVMValueRef math_erf(struct emit *e, LLVMValueRef x);
LLVMValueRef math_fma(struct emit *e, LLVMValueRef a, LLVMValueRef b, LLVMValueRef c);

/* ---- rows.c: outer loops ---- */
/* Splits the first `n_outer` dimensions of a space into tasks of some rows and loops over a task's
 * rows; fills x->at of these dimensions. */
struct rows {
	int32_t n_outer;
	const struct dim *work; /* elements of one row */
	struct loop loop;
};
void rows_begin(struct emit *e, struct rows *r, struct index *x, struct schedule *s);
void rows_end(struct emit *e, struct rows *r);

/* ---- one emitter for each kind of kernel ---- */
void kernel_map(struct emit *e, struct schedule *s);
void kernel_reduce(struct emit *e, struct schedule *s);
void kernel_softmax(struct emit *e, struct schedule *s);
void kernel_norm(struct emit *e, struct schedule *s);
void kernel_contract(struct emit *e, struct schedule *s);
void kernel_window(struct emit *e, struct schedule *s);
void kernel_concat(struct emit *e, struct schedule *s);
void kernel_pad(struct emit *e, struct schedule *s);
void kernel_call(struct emit *e, struct schedule *s);
void kernel_region(struct emit *e, struct compiled_kernel *c);
/* Whether a call wants scratch, whose size only its own function can tell; the code that asks. */
bool call_has_scratch(const struct node *n);
LLVMValueRef emit_call_scratch(struct emit *e, const struct node *n);

#endif
