/* TensorProto to elements in memory: raw bytes, the typed arrays, packed 4-bit and 2-bit types,
 * external data. Assumes a little-endian machine, as the file format is.
 */
#include "load.h"

#include <string.h>
#include "external.h"
#include "onnx/onnx.pb-c.h"
#include "op.h"
#include "wire.h"

enum { ALIGN_BELOW = 4096 }; /* unaligned tensors up to this size are copied */

/* One tensor on its way. */
struct decode {
	struct model *model;
	struct diag *diag;
	struct loc loc;
	const Onnx__TensorProto *proto;
	struct raw_tensor *out;
	uint64_t stored; /* bytes in the file, where 2- and 4-bit elements are packed */
};

static bool wrong(struct decode *d, enum normc_status status, const char *what)
{
	return diag_error(d->diag, d->loc, status, "tensor '%.200s' %s", d->out->name, what);
}

static bool check_type(struct decode *d)
{
	int32_t type = d->proto->has_data_type ? d->proto->data_type : 0;
	if (type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING)
		return wrong(d, NORMC_UNSUPPORTED, "has strings, which are not supported");
	if (type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX64 ||
	    type == ONNX__TENSOR_PROTO__DATA_TYPE__COMPLEX128)
		return wrong(d, NORMC_UNSUPPORTED, "has complex numbers, which are not supported");
	d->out->elem = (enum normc_elem)type;
	if (normc_elem_size(d->out->elem) == 0)
		return diag_error(d->diag, d->loc,
				  type > NORMC_I2 ? NORMC_UNSUPPORTED : NORMC_INVALID,
				  "tensor '%.200s' has the unknown element type %d", d->out->name,
				  type);
	if (d->proto->segment)
		return wrong(d, NORMC_UNSUPPORTED,
			     "is stored in segments, which are not supported");
	return true;
}

static bool check_shape(struct decode *d)
{
	struct raw_tensor *out = d->out;
	int64_t bits, bytes;
	if (d->proto->n_dims > NORMC_MAX_RANK)
		return diag_error(d->diag, d->loc, NORMC_UNSUPPORTED,
				  "tensor '%.200s' has rank %zu; at most %d is "
				  "supported",
				  out->name, d->proto->n_dims, NORMC_MAX_RANK);
	out->rank = (int32_t)d->proto->n_dims;
	out->count = 1;
	bool empty = false;
	for (int32_t i = 0; i < out->rank; i++) {
		out->dim[i] = d->proto->dims[i];
		if (out->dim[i] < 0)
			return wrong(d, NORMC_INVALID, "has a negative dimension");
		empty |= out->dim[i] == 0;
	}
	for (int32_t i = 0; i < out->rank && !empty; i++)
		if (__builtin_mul_overflow(out->count, out->dim[i], &out->count))
			return wrong(d, NORMC_INVALID, "is too large");
	if (empty)
		out->count = 0;
	if (__builtin_mul_overflow(out->count, (int64_t)normc_elem_size(out->elem), &bytes) ||
	    __builtin_mul_overflow(out->count, (int64_t)elem_bits(out->elem), &bits) ||
	    bits > INT64_MAX - 7)
		return wrong(d, NORMC_INVALID, "is too large");
	out->bytes = (uint64_t)bytes;
	d->stored = ((uint64_t)bits + 7) / 8;
	return true;
}

/* Spreads packed elements of 2 or 4 bits, low bits first, to one byte each. */
static void unpack_bits(struct decode *d, const unsigned char *in)
{
	int bits = elem_bits(d->out->elem), per_byte = 8 / bits;
	bool is_signed = d->out->elem == NORMC_I4 || d->out->elem == NORMC_I2;
	int sign = is_signed ? 1 << (bits - 1) : 0;
	unsigned char *to = arena_alloc(d->model->arena, d->out->bytes + 1, 1);
	for (int64_t i = 0; i < d->out->count; i++) {
		int value = in[i / per_byte] >> (i % per_byte * bits) & ((1 << bits) - 1);
		to[i] = (unsigned char)((value ^ sign) - sign);
	}
	d->out->data = to;
}

/* Any byte but 0 counts as true; compiled code expects 1. */
static void take_bools(struct decode *d, const unsigned char *in)
{
	d->out->data = in;
	for (int64_t i = 0; i < d->out->count; i++) {
		if (in[i] <= 1)
			continue;
		unsigned char *to = arena_alloc(d->model->arena, d->out->bytes, 1);
		for (int64_t j = 0; j < d->out->count; j++)
			to[j] = in[j] != 0;
		d->out->data = to;
		return;
	}
}

/* Elements from d->stored bytes in the layout of the file. */
static bool take_bytes(struct decode *d, const void *in)
{
	struct raw_tensor *out = d->out;
	if (elem_bits(out->elem) < 8)
		unpack_bits(d, in);
	else if (out->elem == NORMC_BOOL)
		take_bools(d, in);
	else if (out->bytes <= ALIGN_BELOW && (uintptr_t)in % normc_elem_size(out->elem))
		out->data = arena_copy(d->model->arena, in, out->bytes);
	else
		out->data = in;
	return true;
}

static bool take_raw(struct decode *d)
{
	struct wire_span span;
	if (d->proto->raw_data.len != sizeof span)
		return bug(d->diag, d->loc, "raw_data was not replaced");
	memcpy(&span, d->proto->raw_data.data, sizeof span);
	if (span.offset > d->model->n_bytes || span.length > d->model->n_bytes - span.offset)
		return bug(d->diag, d->loc, "raw_data lies outside of the file");
	if (span.length != d->stored)
		return diag_error(d->diag, d->loc, NORMC_INVALID,
				  "tensor '%.200s' has %llu bytes of data; its shape needs "
				  "%llu",
				  d->out->name, (unsigned long long)span.length,
				  (unsigned long long)d->stored);
	return take_bytes(d, d->model->bytes + span.offset);
}

/* An array of the proto whose elements have the tensor's own layout. */
static bool take_array(struct decode *d, const void *array, size_t n)
{
	if (n != (uint64_t)d->out->count)
		return diag_error(d->diag, d->loc, NORMC_INVALID,
				  "tensor '%.200s' has %zu elements; its shape needs %lld",
				  d->out->name, n, (long long)d->out->count);
	d->out->data = array;
	return true;
}

/* int32_data holds all narrow types: a number each, or a byte of packed 2- or 4-bit ones each. */
static bool take_int32(struct decode *d)
{
	const Onnx__TensorProto *p = d->proto;
	size_t size = normc_elem_size(d->out->elem);
	if (d->out->elem == NORMC_I32)
		return take_array(d, p->int32_data, p->n_int32_data);
	uint64_t n = size == 1 ? d->stored : (uint64_t)d->out->count;
	if (size > 2 || p->n_int32_data != n)
		return diag_error(d->diag, d->loc, NORMC_INVALID,
				  "tensor '%.200s' has %zu elements in int32_data; type "
				  "and shape need %llu",
				  d->out->name, p->n_int32_data, (unsigned long long)n);
	unsigned char *to = arena_alloc(d->model->arena, n + 1, size);
	for (uint64_t i = 0; i < n; i++) {
		to[i * size] = (unsigned char)((uint32_t)p->int32_data[i] & 0xff);
		if (size == 2)
			to[i * size + 1] = (unsigned char)((uint32_t)p->int32_data[i] >> 8 & 0xff);
	}
	return take_bytes(d, to);
}

static bool take_uint64(struct decode *d)
{
	const Onnx__TensorProto *p = d->proto;
	if (d->out->elem == NORMC_U64)
		return take_array(d, p->uint64_data, p->n_uint64_data);
	if (d->out->elem != NORMC_U32 || p->n_uint64_data != (uint64_t)d->out->count)
		return wrong(d, NORMC_INVALID,
			     "has uint64_data that fits neither its type nor its shape");
	uint32_t *to = arena_new(d->model->arena, uint32_t, p->n_uint64_data + 1);
	for (size_t i = 0; i < p->n_uint64_data; i++)
		to[i] = (uint32_t)(p->uint64_data[i] & UINT32_MAX);
	d->out->data = to;
	return true;
}

static bool take_data(struct decode *d)
{
	const Onnx__TensorProto *p = d->proto;
	bool external = p->has_data_location &&
			p->data_location == ONNX__TENSOR_PROTO__DATA_LOCATION__EXTERNAL;
	int arrays = (p->n_float_data > 0) + (p->n_int32_data > 0) + (p->n_int64_data > 0) +
		     (p->n_double_data > 0) + (p->n_uint64_data > 0) + external;
	/* an empty raw_data beside an array is what some writers leave behind */
	bool raw = p->has_raw_data && (arrays == 0 || d->out->count == 0);
	if (arrays > 1)
		return wrong(d, NORMC_INVALID, "has its data twice");
	if (external) {
		const void *in = external_bytes(d->model, d->diag, d->loc, p, d->stored);
		return in && take_bytes(d, in);
	}
	if (raw)
		return take_raw(d);
	if (p->n_int32_data)
		return take_int32(d);
	if (p->n_uint64_data)
		return take_uint64(d);
	if (p->n_float_data && d->out->elem == NORMC_F32)
		return take_array(d, p->float_data, p->n_float_data);
	if (p->n_int64_data && d->out->elem == NORMC_I64)
		return take_array(d, p->int64_data, p->n_int64_data);
	if (p->n_double_data && d->out->elem == NORMC_F64)
		return take_array(d, p->double_data, p->n_double_data);
	if (arrays)
		return wrong(d, NORMC_INVALID, "has its data in an array of another type");
	return take_array(d, arena_alloc(d->model->arena, 1, 16), 0);
}

bool load_tensor(struct model *model, struct diag *diag, struct loc loc, const void *proto,
		 struct raw_tensor *out)
{
	struct decode d = {model, diag, loc, proto, out, 0};
	*out = (struct raw_tensor){0};
	out->name = d.proto->name ? d.proto->name : "";
	return check_type(&d) && check_shape(&d) && take_data(&d);
}
