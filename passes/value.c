/* Facts of constants.  Everything reads elements through the interpreter's conversions, one piece
 * at a time, so that weights of any size and element type cost no copy of themselves. */
#include "value.h"

#include <math.h>
#include <string.h>

#include "eval_beside.h"

const struct node *constant_of(const struct node *n)
{
	while (n->op == OP_broadcast)
		n = n->in[0];
	return n->op == OP_constant ? n : NULL;
}

/* Integers above 2^53 come back changed; callers compare with small numbers only. */
double constant_at(const struct node *constant, int64_t i)
{
	const struct attr_data *data = constant->attr.data;
	size_t size = normc_elem_size(data->type.elem);
	const unsigned char *p = (const unsigned char *)data->p + (size_t)i * size;
	int64_t integer = 0;
	double number = 0;
	struct tensor t = {.elem = data->type.elem, .count = 1};
	if (elem_is_float(data->type.elem)) {
		t.f = &number;
		tensor_fill(&t, p);
		return number;
	}
	t.i = &integer;
	tensor_fill(&t, p);
	return (double)integer;
}

/* Not so if an element only became the number by rounding. */
static bool stands_for(const struct attr_data *data, double value)
{
	uint64_t want = data->residue ? residue_of_real(value) : 0;
	uint64_t count = data->residue ? data->bytes / normc_elem_size(data->type.elem) : 0;
	for (uint64_t i = 0; i < count; i++)
		if (data->residue[i] != want)
			return false;
	return true;
}

bool splat_of(const struct node *n, double *value)
{
	const struct node *c = constant_of(n);
	if (!c)
		return false;
	const struct attr_data *data = c->attr.data;
	size_t size = normc_elem_size(data->type.elem);
	if (!data->bytes || memcmp(data->p, (const char *)data->p + size, data->bytes - size))
		return false;
	*value = constant_at(c, 0);
	return elem_is_float(data->type.elem) ? stands_for(data, *value) : fabs(*value) < 0x1p53;
}

double greatest_magnitude(const struct node *constant)
{
	enum { PIECE = 1024 };
	const struct attr_data *data = constant->attr.data;
	int64_t count = type_fixed_count(&constant->type);
	size_t size = normc_elem_size(data->type.elem);
	double x[PIECE], greatest = 0;
	for (int64_t i = 0; i < count; i += PIECE) {
		struct tensor t = {.elem = data->type.elem, .f = x};
		t.count = count - i < PIECE ? count - i : PIECE;
		tensor_fill(&t, (const unsigned char *)data->p + (size_t)i * size);
		for (int64_t k = 0; k < t.count; k++)
			greatest = fabs(x[k]) <= greatest ? greatest : fabs(x[k]);
		if (!isfinite(greatest))
			return INFINITY;
	}
	return greatest;
}

bool channel_of(const struct node *n, int32_t axis, int64_t count, struct channel *c)
{
	c->constant = n ? constant_of(n) : NULL;
	if (!c->constant)
		return !n;
	const struct type *t = &c->constant->type;
	for (int32_t i = 0; i < t->rank; i++)
		if (i != axis && !dim_is(t->dim[i], 1))
			return false;
	c->varies = axis < t->rank && fixed_extent(t, axis) == count && count != 1;
	return c->varies || type_fixed_count(t) == 1;
}

double channel_at(const struct channel *c, int64_t o, double otherwise)
{
	return c->constant ? constant_at(c->constant, c->varies ? o : 0) : otherwise;
}

bool magnitudes_of(const struct node *n, double *least, double *greatest)
{
	enum { MOST = 1 << 20 };
	const struct node *c = constant_of(n);
	int64_t count = c ? type_fixed_count(&c->type) : -1;
	*least = INFINITY;
	*greatest = 0;
	if (count < 0 || count > MOST)
		return false;
	for (int64_t i = 0; i < count; i++) {
		double x = fabs(constant_at(c, i));
		if (!isfinite(x))
			return false;
		if (x > *greatest)
			*greatest = x;
		if (x > 0 && x < *least)
			*least = x;
	}
	return true;
}

struct node *build_doubles(struct graph *g, const struct type *type, const double *value)
{
	int64_t count = type_fixed_count(type);
	size_t size = normc_elem_size(type->elem);
	struct tensor t = {.elem = type->elem, .count = count, .f = (double *)value};
	void *p = arena_alloc(g->context->arena, (size_t)count, size);
	tensor_store(&t, p);
	return build_constant(g, type, p, (uint64_t)count * size);
}

struct node *build_splat(struct graph *g, const struct type *type, double value)
{
	return build_broadcast(g, build_number(g, type->elem, value), type->rank, type->dim);
}

double elem_smallest_normal(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F64:
		return 0x1p-1022;
	case NORMC_F32:
	case NORMC_BF16:
		return 0x1p-126;
	default:
		return 0x1p-14; /* f16, and careful for narrower ones */
	}
}

double elem_largest(enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F64:
		return 0x1.fffffffffffffp1023;
	case NORMC_F32:
		return 0x1.fffffep127;
	case NORMC_BF16:
		return 0x1.fep127;
	default:
		return elem_is_float(elem) ? 65504 : 0x1p53;
	}
}
