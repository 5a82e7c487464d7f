/* Operations and their attributes.  The table is ops.def; this header turns it into an enum and
 * declares one attribute structure per word of its attr column.  Attribute structures are compared
 * as bytes, so they are made with arena_new (zeroed) or `= {0}`, and hold no pointer that needs a
 * deeper comparison unless attr_equal (op.c) knows it.
 */
#ifndef NORMC_IR_OP_H
#define NORMC_IR_OP_H

#include <stdbool.h>
#include <stdint.h>
#include "dim.h"
#include "normc.h"

enum { MAX_RANK = NORMC_MAX_RANK, MAX_SPATIAL = 3, ANY = -1 };

#define OP(name, ...) OP_##name,
enum op {
#include "ops.def"
	OP_COUNT
};
#undef OP

/* X(name): words of the kind column. */
#define OP_KIND_LIST(X)                                                                          \
	X(source) X(map) X(view) X(move) X(reduce) X(softmax) X(norm) X(contract) X(conv)        \
	X(window) X(call) X(region) X(tuple)
#define X(name) KIND_##name,
enum op_kind { OP_KIND_LIST(X) };
#undef X

enum op_trait { COMMUTES = 1 };
enum op_samples {
	SAMPLES_NONE,
	SAMPLES_ALL,
	SAMPLES_SMALL,
	SAMPLES_POSITIVE,
	SAMPLES_UNIT,
	SAMPLES_ABOVE1,
	SAMPLES_BITS,
	SAMPLES_BOOL
};

/* Element type and shape of a value. elem NORMC_ELEM_NONE: poison, or an operation with several
 * results. */
struct type {
	enum normc_elem elem;
	int32_t rank;
	const struct dim *dim[MAX_RANK];
};

/* X(name): words of the attr column other than none. */
#define ATTR_LIST(X)                                                                             \
	X(port) X(data) X(iota) X(dims) X(isinf) X(cast) X(shape) X(perm) X(slice) X(axis)       \
	X(pad) X(axes) X(arg) X(softmax) X(norm) X(conv) X(pool) X(call) X(region) X(part)

struct attr_port {
	uint32_t index;
	const char *name;
};
/* Elements in the layout of struct normc_tensor (row-major, at least a byte each), little-endian;
 * borrowed: lives as long as the model, or in the graph's arena; need not be aligned. */
struct attr_data {
	struct type type;
	const void *p;
	uint64_t bytes;
	/* What its elements stand for before they were rounded, modulo RESIDUE_PRIME (eval.h);
	 * NULL: they are what they stand for. */
	const uint64_t *residue;
};
struct attr_iota {
	struct type type;
	int32_t axis;
};
/* rank 0 (a scalar, n = 1) or 1 */
struct attr_dims {
	int32_t rank;
	uint32_t n;
	const struct dim *const *value; /* compared by value */
};
struct attr_isinf {
	bool positive, negative; /* which infinities count */
};
struct attr_cast {
	enum normc_elem to;
	bool wrap; /* f8: out of range becomes NaN or infinity instead of the largest value */
};
struct attr_shape {
	int32_t rank;
	const struct dim *dim[MAX_RANK];
};
struct attr_perm {
	int32_t perm[MAX_RANK];
};
/* extents are of the result */
struct attr_slice {
	const struct dim *start[MAX_RANK];
	const struct dim *extent[MAX_RANK];
	int64_t step[MAX_RANK];
};
struct attr_axis {
	int32_t axis; /* 0 <= axis < rank of in[0] */
};
enum pad_mode { PAD_CONSTANT, PAD_EDGE, PAD_REFLECT, PAD_WRAP };
/* before and after may be negative (cropping) */
struct attr_pad {
	const struct dim *before[MAX_RANK], *after[MAX_RANK];
	enum pad_mode mode;
};
struct attr_axes {
	uint32_t mask; /* bit i: dimension i */
};
struct attr_arg {
	int32_t axis;
	bool last; /* of equal elements the last, not the first */
};
struct attr_softmax {
	int32_t axis;
	bool log; /* the logarithm of it */
};

/* A point in the family of normalization layers (the norm algebra).  With x the input, S the set of
 * elements that share a statistic (all indices along `axes`, the others fixed):
 *	c = 0 | mean over S | in[mean]
 *	s = 1 | sqrt(mean over S of (x-c)^2) | mean |x-c| | sqrt(sum (x-c)^2) | max |x-c|
 *	      | sqrt(in[variance])
 *	with epsilon inside the root, outside it (s + e) or as a floor (max(s, e))
 *	y = (x - c) / s * gamma + beta
 * Tensors gamma, beta, mean, variance have x's rank, with extents 1 where they do not vary. */
#define NORM_LP_FLOOR 1e-37 /* the floor by which LpNormalization gives 0 where all is 0 */
enum norm_centre { NORM_CENTRE_NONE, NORM_CENTRE_MEAN, NORM_CENTRE_GIVEN };
enum norm_scale {
	NORM_SCALE_NONE,
	NORM_SCALE_RMS,
	NORM_SCALE_L1,
	NORM_SCALE_L2,
	NORM_SCALE_MAX,
	NORM_SCALE_GIVEN
};
enum norm_epsilon { NORM_EPSILON_INSIDE, NORM_EPSILON_OUTSIDE, NORM_EPSILON_FLOOR };
struct attr_norm {
	uint32_t axes; /* mask; 0 when everything is given */
	enum norm_centre centre;
	enum norm_scale scale;
	enum norm_epsilon epsilon_place;
	bool unbiased; /* divide by |S| - 1 */
	/* inputs in this order, those that are there: x, gamma, beta, mean, variance */
	bool gamma, beta;
	double epsilon;
};

/* Spatial dimensions are 2, 3, ... of x.  The result has
 *	floor((before + size' + after - dilation*(kernel-1) - 1)/stride) + 1
 * positions, where size' = (size-1)*x_dilation + 1 (zeros between the elements: a transposed
 * convolution). */
struct attr_conv {
	int32_t spatial; /* 1..MAX_SPATIAL */
	int64_t groups;
	int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL], x_dilation[MAX_SPATIAL];
	/* zero padding, may be negative */
	const struct dim *before[MAX_SPATIAL], *after[MAX_SPATIAL];
};
struct attr_pool {
	int32_t spatial;
	int64_t kernel[MAX_SPATIAL], stride[MAX_SPATIAL], dilation[MAX_SPATIAL];
	const struct dim *before[MAX_SPATIAL], *after[MAX_SPATIAL];
};

/* A function of runtime/ops.def. */
struct attr_call {
	const char *name; /* "topk" */
	uint32_t n_out, n_ints, n_floats;
	const struct type *out;
	const int64_t *ints;
	const double *floats;
};

struct graph;
/* Regions are closed: everything they use from outside comes in through in[] and is one of their
 * inputs.
 * if:   in = condition, values...; both regions take the values and have the same results.
 * loop: in = trip count (i64 scalar), condition (bool scalar), n_carried start values, values...;
 *       region 0 takes iteration number (i64), condition, carried, values..., and returns
 *       condition, carried, scanned...
 *       results: final carried, then each scanned value stacked along a new first dimension of
 *       extent `trips`; trips is fixed before the loop starts; the loop may end early only if
 *       nothing is scanned. */
struct attr_region {
	struct graph *region[2];
	uint32_t n_out, n_carried;
	const struct type *out;
	const struct dim *trips;
};
struct attr_part {
	uint32_t index;
};

#define X(name) const struct attr_##name *name;
union attr {
	const void *any; /* NULL: none */
	ATTR_LIST(X)
};
#undef X

/* One row of ops.def. */
struct op_info {
	const char *name;
	int32_t in; /* ANY: any number */
	enum op_kind kind;
	uint32_t traits;
	enum op_samples samples;
	uint32_t attr_size; /* 0: none */
};
extern const struct op_info op_info[OP_COUNT];

/* The operation called `name`, or OP_COUNT. */
enum op op_find(const char *name);
/* Whether two attributes of operation `op` mean the same. */
bool attr_equal(enum op op, union attr a, union attr b);
uint64_t attr_hash(enum op op, union attr a);

/* Facts of element types. */
bool elem_is_float(enum normc_elem elem);   /* any width */
bool elem_is_signed(enum normc_elem elem);  /* floats and signed integers */
bool elem_is_integer(enum normc_elem elem); /* not bool */
/* elements one byte wide in memory but 2 or 4 bits in files */
int elem_bits(enum normc_elem elem);
/* "f32[N,3,224,224]" */
void type_print(const struct dims *dims, const struct type *type, char *text, size_t size);
bool type_equal(const struct type *a, const struct type *b);
bool type_same_shape(const struct type *a, const struct type *b);
/* Strides in elements of row-major order without gaps. */
void type_strides(struct dims *dims, const struct type *type, const struct dim **stride);
/* Product of the extents. */
const struct dim *type_count(struct dims *dims, const struct type *type);
/* Number of elements if all extents are fixed and it fits; -1 otherwise. */
int64_t type_fixed_count(const struct type *type);

#endif
