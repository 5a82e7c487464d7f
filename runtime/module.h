/* The calling convention between generated code and the runtime.  codegen/ writes these structures
 * from LLVM, runtime/ reads them; a change of layout or meaning raises NORMC_ABI.
 *
 * A compiled model NAME exports
 *	void NAME_module(struct normc_module *)   fills in where everything is (code, so that the
 *	                                          object needs no relocated, hence writable, data)
 *	int NAME_run(...), size_t NAME_workspace(...)   typed entry points, see the header
 */
#ifndef NORMC_MODULE_H
#define NORMC_MODULE_H

#include "normc.h"

#define NORMC_ABI 3

struct normc_frame;
struct normc_pool;
struct normc_profile;

/* One task of a kernel.  Tasks of a kernel are independent; how many there are depends on shapes
 * only, never on the number of threads.  `thread` < frame->threads picks the scratch memory.
 * `table` is generated code's own: what else the kernel's function must know, since kernels of one
 * shape share one. */
typedef void normc_kernel(struct normc_frame *frame, int64_t task, int64_t thread,
			  const void *table);

/* All that generated code gets.  64-byte aligned: workspace, scratch, weights. */
struct normc_frame {
	const int64_t *symbols;       /* values of the unknown dimensions */
	const unsigned char *weights;
	unsigned char *workspace;
	unsigned char *scratch;       /* threads times scratch_bytes */
	int64_t scratch_bytes;        /* normc_sizes.scratch, rounded up to 64 */
	const void *const *inputs;
	void *const *outputs;
	struct normc_pool *pool;      /* NULL: the calling thread alone */
	struct normc_profile *profile; /* NULL: no times */
	int32_t threads;              /* at least 1 */
	int32_t status;               /* enum normc_status; set by normc_rt_fail */
	int32_t failed_kernel;        /* position in the descriptor, for the message */
	int32_t outer_kernel;         /* in a region's own frame: the kernel that runs it */
};

/* Results of normc_module.sizes, in bytes unless said otherwise. */
struct normc_sizes {
	int64_t workspace;
	int64_t scratch; /* for each thread */
};

/* Describes one tensor in the descriptor.  Offsets count from the descriptor's first byte. */
struct normc_desc_port {
	uint32_t name;     /* offset of a NUL-terminated string */
	uint8_t elem;      /* enum normc_elem */
	uint8_t rank;
	uint16_t reserved;
	/* >= 0: fixed; < 0: symbol number -1 - dim, or, if that is >= n_symbols, from `dims` */
	int64_t dim[NORMC_MAX_RANK];
};

/* Where the value of an unknown dimension comes from. */
struct normc_desc_symbol {
	uint32_t name;    /* offset of a string, "" if it has no name */
	uint32_t input;   /* input whose ... */
	uint32_t index;   /* ... dimension (or element, if `element`) number `index` is the value */
	uint32_t element; /* 1: value of an integer input's element; 0: extent of a dimension */
};

struct normc_desc_kernel {
	uint32_t name; /* offset of "n17_softmax" */
	uint32_t node; /* ONNX node position */
};

/* What a node asks of extents: a == b, or a >= 0. */
struct normc_desc_condition {
	uint32_t place;     /* offset of a string: "node 3 'sum' (Add, opset 17)", or "" */
	uint32_t two_sided; /* 1: a == b; 0: a >= 0 */
	uint32_t a, b;      /* offsets of strings: "N + 1"; "" for a number */
};

/* The descriptor: flat, read-only, position-independent, little- or big-endian as the target. */
struct normc_desc {
	char magic[8]; /* "normc\0\0\0" */
	uint32_t abi;
	uint32_t bytes; /* of the whole descriptor */
	uint32_t name;  /* offset of the model's symbol prefix */
	uint32_t n_inputs, inputs;   /* number, offset of struct normc_desc_port[] */
	uint32_t n_outputs, outputs;
	uint32_t n_symbols, symbols; /* struct normc_desc_symbol[] */
	uint32_t n_kernels, kernels; /* struct normc_desc_kernel[] */
	uint32_t n_conditions, conditions; /* struct normc_desc_condition[] */
	uint32_t weights_file;       /* offset of a file name, 0: weights are inside */
	uint64_t weights_bytes;
	uint64_t weights_hash;       /* FNV-1a 64 of the weights file; 0 if inside */
};

struct normc_module {
	const struct normc_desc *desc;
	const void *weights; /* NULL: in the file that the descriptor names */
	/* Writes the extents of all outputs, one after the other (rank values each), for these
	 * symbol values; there is room for two more.  Returns 0; 1 if the values are impossible
	 * (a negative extent, an overflow); 2 + i if conditions[i] does not hold: then dims[0]
	 * and dims[1] are a and b. */
	int32_t (*dims)(const int64_t *symbols, int64_t *dims);
	int32_t (*sizes)(const int64_t *symbols, struct normc_sizes *sizes);
	/* Floating-point operations of each kernel. */
	void (*flops)(const int64_t *symbols, double *flops);
	int32_t (*run)(struct normc_frame *frame); /* returns frame->status */
};

/* ---- called by generated code ---- */

/* Runs kernel(frame, task, thread, table) for every task in [0, tasks), on frame->pool if there is
 * one. */
void normc_rt_parallel(struct normc_frame *frame, normc_kernel *kernel, int64_t tasks,
		       const void *table);
/* Notes the first failure of a run, in kernel number `kernel`; NORMC_OK is none.  Any thread may
 * call it. */
void normc_rt_fail(struct normc_frame *frame, int32_t kernel, int32_t status);
/* Called before kernel number `kernel` and once more after the last; only in profiling builds. */
void normc_rt_mark(struct normc_frame *frame, int32_t kernel);

/* ---- operators of the long tail: plain C functions, one calling convention ---- */

/* A strided tensor; strides count elements. */
struct normc_arg {
	unsigned char *data; /* NULL: optional input that is absent */
	int32_t elem;
	int32_t rank;
	int64_t dim[NORMC_MAX_RANK];
	int64_t stride[NORMC_MAX_RANK];
};

struct normc_call {
	struct normc_arg *in;
	struct normc_arg *out;
	const int64_t *ints;    /* attributes, in the order of the row in runtime/ops.def */
	const double *floats;
	unsigned char *scratch; /* as many bytes as the operator's scratch rule asked for */
	int32_t n_in, n_out, n_ints, n_floats;
};

/* Returns 0 or an enum normc_status. */
typedef int32_t normc_extern(const struct normc_call *call);

#endif
