/* Compares results with expected ones: |got - expected| <= atol + rtol * |expected|, NaN equal to
 * NaN, infinities equal to themselves; integers exactly. */
#include "command.h"

#include <math.h>
#include <string.h>

#include "eval.h"
#include "io.h"

struct comparison {
	const struct normc_tensor *got, *expected;
	const struct settings *settings;
	char *text;
	size_t size;
};

static bool close_enough(double got, double expected, const struct settings *s)
{
	if (isnan(got) || isnan(expected))
		return isnan(got) && isnan(expected);
	if (isinf(got) || isinf(expected))
		return got == expected;
	return fabs(got - expected) <= s->atol + s->rtol * fabs(expected);
}

/* "[1,0,7]" for element k. */
static void print_index(const struct tensor *t, int64_t k, char *text, size_t size)
{
	int64_t index[NORMC_MAX_RANK];
	size_t n = 0;
	for (int32_t d = t->rank - 1; d >= 0; d--) {
		index[d] = k % t->dim[d];
		k /= t->dim[d];
	}
	text[0] = 0;
	for (int32_t d = 0; d < t->rank && n < size; d++)
		n += (size_t)snprintf(text + n, size - n, "%s%lld", d ? "," : "",
				      (long long)index[d]);
}

static void print_difference(const struct comparison *c, const struct tensor *got,
			     const struct tensor *expected, int64_t first, int64_t number)
{
	char index[200];
	print_index(expected, first, index, sizeof index);
	if (elem_is_float(got->elem))
		snprintf(c->text, c->size,
			 "differs at [%s]: got %.9g, expected %.9g (%lld of %lld elements)", index,
			 got->f[first], expected->f[first], (long long)number,
			 (long long)got->count);
	else
		snprintf(c->text, c->size,
			 "differs at [%s]: got %lld, expected %lld (%lld of %lld elements)", index,
			 (long long)got->i[first], (long long)expected->i[first], (long long)number,
			 (long long)got->count);
}

static bool compare(struct arena *arena, struct diag *diag, void *user)
{
	const struct comparison *c = user;
	(void)diag;
	struct tensor got =
			tensor_load(arena, c->got->elem, c->got->rank, c->got->dim, c->got->data);
	struct tensor expected = tensor_load(arena, c->expected->elem, c->expected->rank,
					     c->expected->dim, c->expected->data);
	int64_t first = -1, number = 0;
	for (int64_t i = 0; i < got.count; i++) {
		bool same = elem_is_float(got.elem)
					    ? close_enough(got.f[i], expected.f[i], c->settings)
					    : got.i[i] == expected.i[i];
		first = first < 0 && !same ? i : first;
		number += !same;
	}
	if (number)
		print_difference(c, &got, &expected, first, number);
	return !number;
}

static void print_shape(const struct normc_tensor *t, char *text, size_t size)
{
	size_t n = (size_t)snprintf(text, size, "%s[", normc_elem_name(t->elem));
	for (int32_t d = 0; d < t->rank && n < size; d++)
		n += (size_t)snprintf(text + n, size - n, "%s%lld", d ? "," : "",
				      (long long)t->dim[d]);
	if (n < size)
		snprintf(text + n, size - n, "]");
}

bool tensors_agree(const struct normc_tensor *got, const struct normc_tensor *expected,
		   const struct settings *s, char *text, size_t size)
{
	struct comparison c = {got, expected, s, text, size};
	struct diag diag = {0};
	bool same = got->elem == expected->elem && got->rank == expected->rank;

	for (int32_t d = 0; same && d < got->rank; d++)
		same = got->dim[d] == expected->dim[d];
	if (!same) {
		char a[150], b[150];
		print_shape(got, a, sizeof a);
		print_shape(expected, b, sizeof b);
		snprintf(text, size, "is %s, expected %s", a, b);
		return false;
	}
	bool agree = io_guard(&diag, compare, &c);
	if (diag.errors)
		snprintf(text, size, "%s", diag.first);
	return agree;
}
