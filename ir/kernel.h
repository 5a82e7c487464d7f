/* The kernel form: a list of kernels over planned buffers.  passes/ makes it of a graph (lower.c),
 * codegen/ reads it.
 *
 * A kernel computes one value, its root, for all elements of the root's shape.  What lies between
 * the root and the buffers is fused: map operations around at most one anchor.  From root to anchor
 * all values have the root's shape (epilogue); from the anchor to its buffers the anchor's input's
 * shape (prologue).
 */
#ifndef NORMC_IR_KERNEL_H
#define NORMC_IR_KERNEL_H

#include "graph.h"

enum buffer_kind { BUFFER_INPUT, BUFFER_OUTPUT, BUFFER_WEIGHT, BUFFER_WORK };

struct buffer {
	enum buffer_kind kind;
	enum normc_elem elem;
	uint32_t index;		  /* INPUT, OUTPUT: position; WEIGHT: in program->weights */
	const struct dim *count;  /* elements */
	const struct dim *offset; /* WORK: bytes into the workspace, 64-byte aligned, by plan */
	uint32_t first, last;	  /* WORK: kernels between which it is live */
};

/* A strided value in a buffer; offset and strides count elements. */
struct view {
	uint32_t buffer;
	const struct dim *offset;
	const struct dim *stride[MAX_RANK];
};

/* A constant in the weights block. Packed ones are laid out as contractions read them. */
struct weight {
	const struct node *node; /* OP_constant */
	uint64_t offset, bytes;	 /* in the block; 64-byte aligned */
	const struct pack *pack; /* NULL: as it is */
};

/* A matrix B[batch][k][n] as panels: element (b, k, n) goes to [b][n / width][k][n % width];
 * missing columns are 0. The source is read through strides; k may be several nested indices (a
 * convolution's taps and channels). */
enum { MAX_CONTRACTED = 4 };
struct pack {
	int64_t batch, n, width;
	int64_t stride_batch, stride_n;
	int32_t levels;
	int64_t extent[MAX_CONTRACTED], stride[MAX_CONTRACTED]; /* of k, outermost first */
};

struct kernel {
	struct node *root;
	struct node *anchor; /* NULL: a map */
	struct loc loc;
	const char *name; /* "n17_softmax" */
	const struct dim *flops;
	bool nothing_to_do; /* its operands were written in place; it only keeps buffers alive */
	const struct panels *panels; /* contraction and convolution: how B is stored */
	/* calls and regions: where each result goes, read by somebody or not; a result that the
	 * call leaves out has NO_BUFFER */
	const struct view *result;
	const struct region *region; /* if and loop */
};

/* What the kernel of an if or a loop has besides.  Operands and results lie dense and row-major. */
struct region {
	/* the sub-graphs; the second is NULL for a loop */
	struct program *program[2];
	uint32_t workspace; /* buffer: the programs' workspace */
	uint32_t *spare;    /* loop: a second buffer for each carried value */
	uint32_t n_spare;
};

/* Operand B of a contraction. */
struct panels {
	bool packed;	 /* as struct pack says, otherwise read through the operand's view */
	int32_t width;	 /* columns of a panel */
	int32_t rows;	 /* of a tile */
	uint32_t buffer; /* packed: the weight that holds the panels */
};

struct program {
	struct graph *graph; /* every node of it that is not fused away has a view */
	struct context *context;
	struct buffer *buffers;
	uint32_t n_buffers;
	struct view *view; /* by node id; .buffer == NO_BUFFER: fused, never in memory */
	uint32_t *group;   /* by node id: the kernel that computes it, alone or with others, or
			    * NO_KERNEL */
	struct kernel **kernels;
	uint32_t n_kernels;
	/* of a region's program: after those of the programs lowered before it */
	struct weight *weights;
	uint32_t n_weights;
	uint64_t weights_bytes;
	const struct dim *workspace; /* bytes */
};

#define NO_BUFFER 0xffffffffu
#define NO_KERNEL 0xffffffffu

/* What lowering must know of the machine. */
struct machine {
	int32_t vector;	 /* f32 lanes of a vector: 16, 8 or 4 */
	int32_t vectors; /* vector registers: 32 or 16 */
	bool tiles;	 /* it has AMX: products of bf16 matrices in registers of 16x64 bytes */
	enum normc_precision precision;
};

/* Floating-point operations of a node (a multiply-add counts 2). */
const struct dim *node_flops(struct dims *dims, const struct node *n);

#endif
