/* The operation table, equality of attributes, and facts of element types.
 *
 * An attribute is compared and hashed through its key: a list of words, byte blocks and types that
 * says all it means. So padding and unused array elements never count, and a new attribute needs
 * one function here.
 */
#include "op.h"

#include <stdio.h>
#include <string.h>

/* ---- keys ---- */

enum { KEY_WORDS = 32, KEY_BLOCKS = 4, DATA_BY_CONTENTS = 4096 };

struct key {
	uint64_t word[KEY_WORDS];
	struct {
		const void *p;
		uint64_t bytes;
	} block[KEY_BLOCKS];
	const struct type *type; /* n_types of them */
	uint32_t n_words, n_blocks, n_types;
};

static void key_word(struct key *k, uint64_t x)
{
	k->word[k->n_words++] = x;
}

static void key_extents(struct key *k, const struct dim *const *d, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		key_word(k, d[i] ? (uint64_t)d[i]->id + 1 : 0);
}

static void key_words(struct key *k, const int64_t *x, int32_t n)
{
	for (int32_t i = 0; i < n; i++)
		key_word(k, (uint64_t)x[i]);
}

static void key_block(struct key *k, const void *p, uint64_t bytes)
{
	k->block[k->n_blocks].p = p;
	k->block[k->n_blocks++].bytes = bytes;
}

static void key_types(struct key *k, const struct type *type, uint32_t n)
{
	k->type = type;
	k->n_types = n;
}

static void key_none(struct key *k, union attr a)
{
	(void)k;
	(void)a;
}

static void key_port(struct key *k, union attr a)
{
	key_word(k, a.port->index);
	key_block(k, a.port->name, strlen(a.port->name));
}

static void key_data(struct key *k, union attr a)
{
	key_types(k, &a.data->type, 1);
	if (a.data->bytes <= DATA_BY_CONTENTS) {
		key_block(k, a.data->p, a.data->bytes);
	} else {
		key_word(k, (uintptr_t)a.data->p);
		key_word(k, a.data->bytes);
	}
	uint64_t residues =
			a.data->residue ? a.data->bytes / normc_elem_size(a.data->type.elem) : 0;
	if (residues && a.data->bytes <= DATA_BY_CONTENTS)
		key_block(k, a.data->residue, residues * sizeof *a.data->residue);
	else
		key_word(k, (uintptr_t)a.data->residue);
}

static void key_iota(struct key *k, union attr a)
{
	key_types(k, &a.iota->type, 1);
	key_word(k, (uint64_t)a.iota->axis);
}

static void key_dims(struct key *k, union attr a)
{
	key_word(k, (uint64_t)a.dims->rank);
	key_block(k, a.dims->value,
		  a.dims->n * sizeof *a.dims->value); /* interned: equal values, equal pointers */
}

static void key_isinf(struct key *k, union attr a)
{
	key_word(k, a.isinf->positive);
	key_word(k, a.isinf->negative);
}

static void key_cast(struct key *k, union attr a)
{
	key_word(k, (uint64_t)a.cast->to);
	key_word(k, a.cast->wrap);
}

static void key_shape(struct key *k, union attr a)
{
	key_extents(k, a.shape->dim, a.shape->rank);
}

static void key_perm(struct key *k, union attr a)
{
	for (int32_t i = 0; i < MAX_RANK; i++)
		key_word(k, (uint64_t)a.perm->perm[i]);
}

static void key_slice(struct key *k, union attr a)
{
	key_extents(k, a.slice->start, MAX_RANK);
	key_extents(k, a.slice->extent, MAX_RANK);
	key_words(k, a.slice->step, MAX_RANK);
}

static void key_axis(struct key *k, union attr a)
{
	key_word(k, (uint64_t)a.axis->axis);
}

static void key_pad(struct key *k, union attr a)
{
	key_extents(k, a.pad->before, MAX_RANK);
	key_extents(k, a.pad->after, MAX_RANK);
	key_word(k, a.pad->mode);
}

static void key_axes(struct key *k, union attr a)
{
	key_word(k, a.axes->mask);
}

static void key_arg(struct key *k, union attr a)
{
	key_word(k, (uint64_t)a.arg->axis);
	key_word(k, a.arg->last);
}

static void key_softmax(struct key *k, union attr a)
{
	key_word(k, (uint64_t)a.softmax->axis);
	key_word(k, a.softmax->log);
}

static void key_norm(struct key *k, union attr a)
{
	const struct attr_norm *norm = a.norm;
	uint64_t epsilon;
	memcpy(&epsilon, &norm->epsilon, sizeof epsilon);
	key_word(k, norm->axes);
	key_word(k, norm->centre);
	key_word(k, norm->scale);
	key_word(k, norm->epsilon_place);
	key_word(k, (uint64_t)norm->unbiased << 2 | (uint64_t)norm->gamma << 1 | norm->beta);
	key_word(k, epsilon);
}

static void key_conv(struct key *k, union attr a)
{
	const struct attr_conv *conv = a.conv;
	key_word(k, (uint64_t)conv->spatial);
	key_word(k, (uint64_t)conv->groups);
	key_words(k, conv->stride, conv->spatial);
	key_words(k, conv->dilation, conv->spatial);
	key_words(k, conv->x_dilation, conv->spatial);
	key_extents(k, conv->before, conv->spatial);
	key_extents(k, conv->after, conv->spatial);
}

static void key_pool(struct key *k, union attr a)
{
	const struct attr_pool *pool = a.pool;
	key_word(k, (uint64_t)pool->spatial);
	key_words(k, pool->kernel, pool->spatial);
	key_words(k, pool->stride, pool->spatial);
	key_words(k, pool->dilation, pool->spatial);
	key_extents(k, pool->before, pool->spatial);
	key_extents(k, pool->after, pool->spatial);
}

static void key_call(struct key *k, union attr a)
{
	key_block(k, a.call->name, strlen(a.call->name));
	key_block(k, a.call->ints, a.call->n_ints * sizeof *a.call->ints);
	key_block(k, a.call->floats, a.call->n_floats * sizeof *a.call->floats);
	key_types(k, a.call->out, a.call->n_out);
}

static void key_region(struct key *k, union attr a)
{
	key_word(k, (uintptr_t)a.region->region[0]);
	key_word(k, (uintptr_t)a.region->region[1]);
	key_word(k, a.region->n_carried);
	key_extents(k, &a.region->trips, 1);
	key_types(k, a.region->out, a.region->n_out);
}

static void key_part(struct key *k, union attr a)
{
	key_word(k, a.part->index);
}

static void key_of(struct key *k, enum op op, union attr a)
{
	static void (*const key[OP_COUNT])(struct key * k, union attr a) = {
#define OP(name, in, attr, ...) key_##attr,
#include "ops.def"
#undef OP
	};
	k->n_words = k->n_blocks = k->n_types = 0;
	k->type = NULL;
	key[op](k, a);
}

bool attr_equal(enum op op, union attr a, union attr b)
{
	struct key x, y;
	if (a.any == b.any)
		return true;
	if (!a.any || !b.any)
		return false;
	key_of(&x, op, a);
	key_of(&y, op, b);
	if (x.n_words != y.n_words || x.n_blocks != y.n_blocks || x.n_types != y.n_types ||
	    memcmp(x.word, y.word, x.n_words * sizeof *x.word))
		return false;
	for (uint32_t i = 0; i < x.n_blocks; i++)
		if (x.block[i].bytes != y.block[i].bytes ||
		    (x.block[i].bytes && memcmp(x.block[i].p, y.block[i].p, x.block[i].bytes)))
			return false;
	for (uint32_t i = 0; i < x.n_types; i++)
		if (!type_equal(&x.type[i], &y.type[i]))
			return false;
	return true;
}

/* FNV-1a with words as units where it can. */
static uint64_t hash_word(uint64_t h, uint64_t x)
{
	h = (h ^ x) * 0x100000001b3u;
	return h ^ h >> 29;
}

static uint64_t hash_block(uint64_t h, const unsigned char *p, uint64_t bytes)
{
	for (uint64_t i = 0; i < bytes; i++)
		h = (h ^ p[i]) * 0x100000001b3u;
	return h;
}

uint64_t attr_hash(enum op op, union attr a)
{
	struct key k;
	uint64_t h = 0xcbf29ce484222325u;
	if (!a.any)
		return h;
	key_of(&k, op, a);
	for (uint32_t i = 0; i < k.n_words; i++)
		h = hash_word(h, k.word[i]);
	for (uint32_t i = 0; i < k.n_blocks; i++)
		h = hash_block(hash_word(h, k.block[i].bytes), k.block[i].p, k.block[i].bytes);
	for (uint32_t i = 0; i < k.n_types; i++) {
		h = hash_word(h, (uint64_t)k.type[i].elem << 8 | (uint64_t)k.type[i].rank);
		for (int32_t d = 0; d < k.type[i].rank; d++)
			h = hash_word(h, k.type[i].dim[d]->id);
	}
	return h;
}

/* ---- the table ---- */

enum {
	SIZE_none = 0,
#define X(name) SIZE_##name = sizeof(struct attr_##name),
	ATTR_LIST(X)
#undef X
};

const struct op_info op_info[OP_COUNT] = {
#define OP(name, in, attr, shape, kind, traits, samples)                                           \
	[OP_##name] = {#name, in, KIND_##kind, traits, SAMPLES_##samples, SIZE_##attr},
#include "ops.def"
#undef OP
};

enum op op_find(const char *name)
{
	for (int op = 0; op < OP_COUNT; op++)
		if (!strcmp(op_info[op].name, name))
			return (enum op)op;
	return OP_COUNT;
}

/* ---- element types ---- */

bool elem_is_float(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F32:
	case NORMC_F16:
	case NORMC_F64:
	case NORMC_BF16:
	case NORMC_F8E4M3FN:
	case NORMC_F8E4M3FNUZ:
	case NORMC_F8E5M2:
	case NORMC_F8E5M2FNUZ:
	case NORMC_F4E2M1:
	case NORMC_F8E8M0:
		return true;
	default:
		return false;
	}
}

bool elem_is_signed(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_I2:
	case NORMC_I4:
	case NORMC_I8:
	case NORMC_I16:
	case NORMC_I32:
	case NORMC_I64:
		return true;
	default:
		return elem_is_float(elem) && elem != NORMC_F8E8M0;
	}
}

bool elem_is_integer(enum normc_elem elem)
{
	return elem != NORMC_ELEM_NONE && elem != NORMC_BOOL && !elem_is_float(elem);
}

int elem_bits(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_ELEM_NONE:
		return 0;
#define X(name, code, bits, text)                                                                  \
	case name:                                                                                 \
		return bits;
		NORMC_ELEM_LIST(X)
#undef X
	}
	return 0;
}

/* ---- types ---- */

/* Appends to text[0..size), which stays a string; returns the new length. */
static size_t append(char *text, size_t size, size_t length, const char *a, const char *b)
{
	int wrote = length < size ? snprintf(text + length, size - length, "%s%s", a, b) : 0;
	return length + (wrote > 0 ? (size_t)wrote : 0);
}

void type_print(const struct dims *dims, const struct type *type, char *text, size_t size)
{
	size_t n = append(text, size, 0, normc_elem_name(type->elem), "[");
	for (int32_t i = 0; i < type->rank; i++) {
		char extent[200];
		dim_print(dims, type->dim[i], extent, sizeof extent);
		n = append(text, size, n, i ? "," : "", extent);
	}
	append(text, size, n, "]", "");
}

bool type_equal(const struct type *a, const struct type *b)
{
	return a->elem == b->elem && type_same_shape(a, b);
}

bool type_same_shape(const struct type *a, const struct type *b)
{
	return a->rank == b->rank && !memcmp(a->dim, b->dim, (size_t)a->rank * sizeof *a->dim);
}

void type_strides(struct dims *dims, const struct type *type, const struct dim **stride)
{
	const struct dim *step = dim_const(dims, 1);
	for (int32_t i = type->rank; i-- > 0;) {
		stride[i] = step;
		step = dim_mul(dims, step, type->dim[i]);
	}
}

const struct dim *type_count(struct dims *dims, const struct type *type)
{
	const struct dim *count = dim_const(dims, 1);
	for (int32_t i = 0; i < type->rank; i++)
		count = dim_mul(dims, count, type->dim[i]);
	return count;
}

int64_t type_fixed_count(const struct type *type)
{
	int64_t count = 1;
	bool fits = true, empty = false;
	for (int32_t i = 0; i < type->rank; i++) {
		const struct dim *d = type->dim[i];
		if (!dim_is_const(d) || d->value < 0)
			return -1;
		empty = empty || d->value == 0;
		fits = fits && !__builtin_mul_overflow(count, d->value, &count);
	}
	return empty ? 0 : fits ? count : -1;
}
