/* See affine.h. */
#include "affine.h"

#include "eval_beside.h"
#include "value.h"
#include "weights.h"

/* ---- norms ---- */

bool norm_is_given(const struct node *n)
{
	return n->op == OP_norm &&
	       (n->attr.norm->centre == NORM_CENTRE_NONE ||
		n->attr.norm->centre == NORM_CENTRE_GIVEN) &&
	       (n->attr.norm->scale == NORM_SCALE_NONE || n->attr.norm->scale == NORM_SCALE_GIVEN);
}

/* A parameter in f64, not repeated; NULL if it is not constant. */
static struct node *wide(struct graph *g, struct node *parameter)
{
	while (parameter->op == OP_broadcast)
		parameter = parameter->in[0];
	if (parameter->op != OP_constant || !elem_is_float(parameter->type.elem))
		return NULL;
	return parameter->type.elem == NORMC_F64
			       ? parameter
			       : weights_now(g, build_cast(g, parameter, NORMC_F64));
}

static struct node *binary(struct graph *g, enum op op, struct node *a, struct node *b)
{
	return a && b ? numbers_binary(g, op, a, b) : NULL;
}

/* What the norm divides by. */
static struct node *deviation(struct graph *g, const struct attr_norm *norm, struct node *variance)
{
	struct node *epsilon = build_number(g, NORMC_F64, norm->epsilon), *v = wide(g, variance);
	if (!v)
		return NULL;
	if (norm->epsilon_place == NORM_EPSILON_INSIDE) {
		v = numbers_binary(g, OP_add, v, epsilon);
		return v ? numbers_unary(g, OP_sqrt, v) : NULL;
	}
	v = numbers_unary(g, OP_sqrt, v);
	return binary(g, norm->epsilon_place == NORM_EPSILON_FLOOR ? OP_max : OP_add, v, epsilon);
}

bool norm_as_affine(struct graph *g, const struct node *norm, struct node *const *in,
		    struct node **scale, struct node **shift)
{
	const struct attr_norm *a = norm->attr.norm;
	uint32_t k = 1;
	bool ok = true;
	*scale = *shift = NULL;
	if (a->gamma) {
		*scale = wide(g, in[k++]);
		ok = *scale != NULL;
	}
	if (a->beta && ok) {
		*shift = wide(g, in[k++]);
		ok = *shift != NULL;
	}
	if (!ok)
		return false;
	struct node *mean = a->centre == NORM_CENTRE_GIVEN ? in[k++] : NULL;
	if (a->scale == NORM_SCALE_GIVEN) {
		*scale = binary(g, OP_div, *scale ? *scale : build_number(g, NORMC_F64, 1),
				deviation(g, a, in[k]));
		ok = *scale != NULL;
	}
	if (mean && ok) {
		mean = wide(g, mean);
		if (mean && *scale)
			mean = numbers_binary(g, OP_mul, mean, *scale);
		*shift = binary(g, OP_sub, *shift ? *shift : build_number(g, NORMC_F64, 0), mean);
		ok = *shift != NULL;
	}
	return ok;
}

/* ---- reading ---- */

/* The only axis along which the parameters vary, -1 if they do not; false if there are several. */
static bool find_axis(const struct node *const parameter[2], int32_t *axis, int64_t *n)
{
	*axis = -1;
	*n = 1;
	for (uint32_t k = 0; k < 2; k++) {
		const struct node *c = parameter[k] ? constant_of(parameter[k]) : NULL;
		for (int32_t i = 0; c && i < c->type.rank; i++) {
			if (dim_is(c->type.dim[i], 1))
				continue;
			if (*axis >= 0 && *axis != i)
				return false;
			*axis = i;
			*n = fixed_extent(&c->type, i);
		}
	}
	return *n > 0 && *n <= MOST_NUMBERS;
}

static bool are_finite(const struct node *numbers)
{
	return !numbers || numbers_fit(numbers, NORMC_F64);
}

/* Whether the elements differ along `axis` only. */
static bool varies_along(const struct node *c, int32_t axis)
{
	const uint64_t *residue = c->attr.data->residue;
	int64_t count = type_fixed_count(&c->type), inner = 1, n = fixed_extent(&c->type, axis);
	for (int32_t i = axis + 1; i < c->type.rank; i++)
		inner *= fixed_extent(&c->type, i);
	for (int64_t i = 0; i < count; i++) {
		int64_t first = i / inner % n * inner;
		if (constant_at(c, i) != constant_at(c, first) ||
		    (residue && residue[i] != residue[first]))
			return false;
	}
	return true;
}

/* A parameter with extents 1 along the axes where its elements are equal, if that leaves one. */
static const struct node *thinned(struct graph *g, const struct node *parameter)
{
	const struct node *c = parameter ? constant_of(parameter) : NULL;
	int32_t several = 0;
	int64_t count = c ? type_fixed_count(&c->type) : 0;
	for (int32_t i = 0; c && i < c->type.rank; i++)
		several += !dim_is(c->type.dim[i], 1);
	for (int32_t axis = 0; several > 1 && axis < c->type.rank; axis++) {
		if (count < 1 || count > MOST_NUMBERS || !varies_along(c, axis))
			continue;
		struct slice_range first = {dim_const(g->context->dims, 0),
					    dim_const(g->context->dims, 1), 1};
		struct node *thin = (struct node *)(uintptr_t)c;
		for (int32_t i = 0; thin && i < c->type.rank; i++)
			if (i != axis)
				thin = weights_now(g, build_slice(g, thin, i, first));
		return thin ? thin : parameter;
	}
	return parameter;
}

/* From constants of any shape; NULL stands for 1 and 0. */
static bool from_parameters(struct graph *g, const struct node *scale, const struct node *shift,
			    struct affine *a)
{
	int32_t axis;
	int64_t n;
	struct node *s = NULL, *t = NULL;
	scale = thinned(g, scale);
	shift = thinned(g, shift);
	if ((scale && !constant_of(scale)) || (shift && !constant_of(shift)) ||
	    !find_axis((const struct node *const[2]){scale, shift}, &axis, &n))
		return false;
	if (scale)
		s = numbers_of(g, scale, axis < 0 ? 0 : axis, n, 1);
	if (shift)
		t = numbers_of(g, shift, axis < 0 ? 0 : axis, n, 0);
	if ((scale && !s) || (shift && !t) || !are_finite(s) || !are_finite(t))
		return false;
	*a = affine_new(g, axis, s, t);
	return true;
}

static bool of_norm(struct graph *g, const struct node *n, struct affine *a)
{
	const struct attr_norm *norm = n->attr.norm;
	struct node *scale, *shift;
	if (norm_is_given(n))
		return norm_as_affine(g, n, n->in, &scale, &shift) &&
		       from_parameters(g, scale, shift, a);
	if (norm->centre == NORM_CENTRE_GIVEN || norm->scale == NORM_SCALE_GIVEN)
		return false;
	return from_parameters(g, norm->gamma ? n->in[1] : NULL,
			       norm->beta ? n->in[norm->gamma ? 2 : 1] : NULL, a);
}

/* Which operand of a product, quotient, sum or difference is constant decides what the map is. */
static bool of_arithmetic(struct graph *g, const struct node *n, uint32_t *x, struct affine *a)
{
	bool sum = n->op == OP_add || n->op == OP_sub;
	*x = constant_of(n->in[0]) ? 1 : 0;
	const struct node *c = n->in[1 - *x];
	if (!constant_of(c) || constant_of(n->in[*x]) || (n->op == OP_div && *x == 1))
		return false;
	if (!from_parameters(g, sum ? NULL : c, sum ? c : NULL, a))
		return false;
	struct node *one = numbers_equal(g, 1, 1), *minus = numbers_equal(g, 1, -1);
	if (n->op == OP_div && a->s)
		a->s = numbers_binary(g, OP_div, one, a->s);
	if (n->op == OP_sub && *x == 0 && a->t)
		a->t = numbers_unary(g, OP_neg, a->t);
	if (n->op == OP_sub && *x == 1)
		a->s = minus;
	return are_finite(a->s);
}

bool affine_of(struct graph *g, const struct node *n, uint32_t *x, struct affine *a)
{
	*x = 0;
	if (!elem_is_float(n->type.elem))
		return false;
	switch (n->op) {
	case OP_norm:
		return of_norm(g, n, a);
	case OP_add:
	case OP_sub:
	case OP_mul:
	case OP_div:
		return of_arithmetic(g, n, x, a);
	default:
		return false;
	}
}

/* ---- arithmetic ---- */

static bool are_all(struct graph *g, const struct node *numbers, double value)
{
	const uint64_t *residue = constant_residues(g, numbers);
	for (int64_t i = 0; i < numbers_count(numbers); i++)
		if (numbers_values(numbers)[i] != value ||
		    (residue && residue[i] != residue_of_real(value)))
			return false;
	return true;
}

static bool are_equal(struct graph *g, const struct node *numbers)
{
	const uint64_t *residue = constant_residues(g, numbers);
	for (int64_t i = 1; i < numbers_count(numbers); i++)
		if (numbers_values(numbers)[i] != numbers_values(numbers)[0] ||
		    (residue && residue[i] != residue[0]))
			return false;
	return true;
}

struct affine affine_new(struct graph *g, int32_t axis, struct node *s, struct node *t)
{
	static const int64_t first = 0;
	struct affine a = {s, t, axis, false};
	if (s && are_all(g, s, 1))
		a.s = NULL;
	if (t && are_all(g, t, 0))
		a.t = NULL;
	if ((a.s && !are_equal(g, a.s)) || (a.t && !are_equal(g, a.t)))
		return a;
	a.axis = -1;
	if (a.s)
		a.s = numbers_picked(g, a.s, NULL, &first, 1);
	if (a.t)
		a.t = numbers_picked(g, a.t, NULL, &first, 1);
	return a;
}

bool affine_agree(struct graph *g, const struct affine *a, const struct affine *b)
{
	if (a->axis != b->axis || a->counted != b->counted || !a->s != !b->s || !a->t != !b->t)
		return false;
	return (!a->s || numbers_agree(g, a->s, b->s)) && (!a->t || numbers_agree(g, a->t, b->t));
}

bool affine_is_positive(const struct affine *a)
{
	for (int64_t i = 0; a->s && i < numbers_count(a->s); i++)
		if (!(numbers_values(a->s)[i] > 0))
			return false;
	return true;
}

struct node *affine_spread(struct graph *g, struct node *numbers, int64_t n)
{
	if (!numbers || numbers_count(numbers) == n)
		return numbers;
	int64_t *index = arena_new(g->context->arena, int64_t, (size_t)n + 1);
	return numbers_picked(g, numbers, NULL, index, n);
}

bool affine_chain(struct graph *g, const struct affine *outer, const struct affine *inner,
		  struct affine *to)
{
	struct node *s = outer->s ? outer->s : inner->s, *t = inner->t;
	int32_t axis = outer->axis >= 0 ? outer->axis : inner->axis;
	if ((inner->axis >= 0 && inner->axis != axis) || outer->counted || inner->counted)
		return false;
	if (outer->s && inner->s)
		s = binary(g, OP_mul, outer->s, inner->s);
	if (outer->s && t)
		t = binary(g, OP_mul, outer->s, t);
	if (outer->t)
		t = inner->t ? binary(g, OP_add, t, outer->t) : outer->t;
	if ((outer->s && !s) || (inner->t && !t) || !are_finite(s) || !are_finite(t))
		return false;
	int64_t n = 1;
	for (int k = 0; k < 2; k++) {
		const struct node *numbers = k ? t : s;
		n = numbers && numbers_count(numbers) > n ? numbers_count(numbers) : n;
	}
	*to = affine_new(g, axis, affine_spread(g, s, n), affine_spread(g, t, n));
	return true;
}

struct affine affine_with_shift(struct graph *g, const struct affine *a, enum op op,
				struct node *number)
{
	struct affine to = *a;
	if (to.t)
		to.t = numbers_binary(g, op, to.t, number);
	return to;
}

static struct node *picked(struct graph *g, const struct affine_pick *p, struct node *const from[2],
			   double neutral)
{
	if (!from[0] && !from[1])
		return NULL;
	struct node *all[2];
	for (int k = 0; k < 2; k++)
		all[k] = from[k] ? affine_spread(g, from[k], p->n[k])
				 : numbers_equal(g, p->n[k], neutral);
	return numbers_picked(g, all[0], all[1], p->index, p->count);
}

struct affine affine_picked(struct graph *g, const struct affine_pick *p, int32_t axis)
{
	struct node *s[2] = {NULL, NULL}, *t[2] = {NULL, NULL};
	for (int k = 0; k < 2; k++)
		if (p->from[k]) {
			s[k] = p->from[k]->s;
			t[k] = p->from[k]->t;
		}
	return affine_new(g, axis, picked(g, p, s, 1), picked(g, p, t, 0));
}
