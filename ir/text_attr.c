/* The fields of every kind of attribute, for both directions of the text form. One visit_<word>()
 * for each word of ATTR_LIST. */
#include <string.h>

#include "text_form.h"

/* ---- fields that are not lists ---- */

static void visit_bool(struct visitor *v, const char *name, bool *value)
{
	const char *word = *value ? "true" : "false";
	v->word(v, name, &word);
	if (strcmp(word, "true") && strcmp(word, "false"))
		v->wrong(v, name);
	*value = !strcmp(word, "true");
}

/* One of n words; its number. */
static uint32_t visit_choice(struct visitor *v, const char *name, const char *const *choice,
			     uint32_t n, uint32_t value)
{
	const char *word = choice[value];
	v->word(v, name, &word);
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(word, choice[i]))
			return i;
	v->wrong(v, name);
	return value;
}

static void visit_elem(struct visitor *v, const char *name, enum normc_elem *value)
{
	const char *word = normc_elem_name(*value);
	v->word(v, name, &word);
	if (!v->reads)
		return;
	for (int elem = 1; elem <= NORMC_I2; elem++)
		if (elem_bits((enum normc_elem)elem) &&
		    !strcmp(word, normc_elem_name((enum normc_elem)elem)))
			*value = (enum normc_elem)elem;
	if (!*value)
		v->wrong(v, name);
}

static void visit_small(struct visitor *v, const char *name, int32_t *value)
{
	int64_t wide = *value;
	v->integer(v, name, &wide);
	if (wide != (int32_t)wide)
		v->wrong(v, name);
	else
		*value = (int32_t)wide;
}

/* ---- lists ---- */

/* A list whose length is known when printing, and when parsing unless *n is -1: then the list sets
 * it. */
static void visit_integers(struct visitor *v, const char *name, int64_t *value, int32_t *n,
			   int32_t most)
{
	struct text_ints list = {value, *n < 0 ? 0 : (uint32_t)*n};
	v->integers(v, name, &list);
	if (!v->reads)
		return;
	if (list.n > (uint32_t)most || (*n >= 0 && list.n != (uint32_t)*n)) {
		v->wrong(v, name);
		return;
	}
	*n = (int32_t)list.n;
	if (list.n)
		memcpy(value, list.value, list.n * sizeof *value);
}

static void visit_extents(struct visitor *v, const char *name, const struct dim **value, int32_t *n,
			  int32_t most)
{
	struct text_dims list = {value, *n < 0 ? 0 : (uint32_t)*n};
	v->dims(v, name, &list);
	if (!v->reads)
		return;
	if (list.n > (uint32_t)most || (*n >= 0 && list.n != (uint32_t)*n)) {
		v->wrong(v, name);
		return;
	}
	*n = (int32_t)list.n;
	if (list.n)
		memcpy(value, list.value, list.n * sizeof *value);
}

/* A bit mask as the list of its bits. */
static void visit_mask(struct visitor *v, const char *name, uint32_t *mask)
{
	int64_t axis[32];
	int32_t n = 0;
	for (int64_t i = 0; i < 32; i++)
		if (*mask >> i & 1)
			axis[n++] = i;
	if (v->reads)
		n = -1;
	visit_integers(v, name, axis, &n, 32);
	for (int32_t i = 0; v->reads && i < n; i++) {
		if (axis[i] < 0 || axis[i] >= MAX_RANK)
			v->wrong(v, name);
		else
			*mask |= 1u << axis[i];
	}
}

/* ---- attributes ---- */

static void visit_port(struct visitor *v, void *attr)
{
	(void)v;
	(void)attr;
}

static void visit_data(struct visitor *v, void *attr)
{
	(void)v;
	(void)attr;
}

static void visit_iota(struct visitor *v, void *attr)
{
	struct attr_iota *a = attr;
	visit_small(v, "axis", &a->axis);
}

static void visit_dims(struct visitor *v, void *attr)
{
	struct attr_dims *a = attr;
	struct text_dims list = {a->value, a->n};
	visit_small(v, "rank", &a->rank);
	v->dims(v, "value", &list);
	a->value = list.value;
	a->n = list.n;
}

static void visit_isinf(struct visitor *v, void *attr)
{
	struct attr_isinf *a = attr;
	visit_bool(v, "positive", &a->positive);
	visit_bool(v, "negative", &a->negative);
}

static void visit_cast(struct visitor *v, void *attr)
{
	struct attr_cast *a = attr;
	visit_elem(v, "to", &a->to);
	visit_bool(v, "wrap", &a->wrap);
}

static void visit_shape(struct visitor *v, void *attr)
{
	struct attr_shape *a = attr;
	int32_t n = v->reads ? -1 : a->rank;
	visit_extents(v, "to", a->dim, &n, MAX_RANK);
	a->rank = n < 0 ? 0 : n;
}

static void visit_perm(struct visitor *v, void *attr)
{
	struct attr_perm *a = attr;
	int64_t perm[MAX_RANK];
	int32_t n = v->rank;
	for (int32_t i = 0; i < MAX_RANK; i++)
		perm[i] = a->perm[i];
	visit_integers(v, "perm", perm, &n, MAX_RANK);
	for (int32_t i = 0; i < n; i++)
		a->perm[i] = perm[i] >= 0 && perm[i] < MAX_RANK ? (int32_t)perm[i] : -1;
}

static void visit_slice(struct visitor *v, void *attr)
{
	struct attr_slice *a = attr;
	int32_t n = v->rank;
	visit_extents(v, "start", a->start, &n, MAX_RANK);
	visit_extents(v, "extent", a->extent, &n, MAX_RANK);
	visit_integers(v, "step", a->step, &n, MAX_RANK);
}

static void visit_axis(struct visitor *v, void *attr)
{
	struct attr_axis *a = attr;
	visit_small(v, "axis", &a->axis);
}

static void visit_pad(struct visitor *v, void *attr)
{
	static const char *const mode[] = {"constant", "edge", "reflect", "wrap"};
	struct attr_pad *a = attr;
	int32_t n = v->rank;
	visit_extents(v, "before", a->before, &n, MAX_RANK);
	visit_extents(v, "after", a->after, &n, MAX_RANK);
	a->mode = (enum pad_mode)visit_choice(v, "mode", mode, 4, a->mode);
}

static void visit_axes(struct visitor *v, void *attr)
{
	struct attr_axes *a = attr;
	visit_mask(v, "axes", &a->mask);
}

static void visit_arg(struct visitor *v, void *attr)
{
	struct attr_arg *a = attr;
	visit_small(v, "axis", &a->axis);
	visit_bool(v, "last", &a->last);
}

static void visit_softmax(struct visitor *v, void *attr)
{
	struct attr_softmax *a = attr;
	visit_small(v, "axis", &a->axis);
	visit_bool(v, "log", &a->log);
}

static void visit_norm(struct visitor *v, void *attr)
{
	static const char *const centre[] = {"none", "mean", "given"};
	static const char *const scale[] = {"none", "rms", "l1", "l2", "max", "given"};
	static const char *const place[] = {"inside", "outside", "floor"};
	struct attr_norm *a = attr;
	visit_mask(v, "axes", &a->axes);
	a->centre = (enum norm_centre)visit_choice(v, "centre", centre, 3, a->centre);
	a->scale = (enum norm_scale)visit_choice(v, "scale", scale, 6, a->scale);
	v->real(v, "epsilon", &a->epsilon);
	a->epsilon_place = (enum norm_epsilon)visit_choice(v, "place", place, 3, a->epsilon_place);
	visit_bool(v, "unbiased", &a->unbiased);
	visit_bool(v, "gamma", &a->gamma);
	visit_bool(v, "beta", &a->beta);
}

static void visit_conv(struct visitor *v, void *attr)
{
	struct attr_conv *a = attr;
	int32_t n = v->reads ? -1 : a->spatial;
	v->integer(v, "groups", &a->groups);
	visit_integers(v, "stride", a->stride, &n, MAX_SPATIAL);
	visit_integers(v, "dilation", a->dilation, &n, MAX_SPATIAL);
	visit_integers(v, "x_dilation", a->x_dilation, &n, MAX_SPATIAL);
	visit_extents(v, "before", a->before, &n, MAX_SPATIAL);
	visit_extents(v, "after", a->after, &n, MAX_SPATIAL);
	a->spatial = n < 0 ? 0 : n;
}

static void visit_pool(struct visitor *v, void *attr)
{
	struct attr_pool *a = attr;
	int32_t n = v->reads ? -1 : a->spatial;
	visit_integers(v, "kernel", a->kernel, &n, MAX_SPATIAL);
	visit_integers(v, "stride", a->stride, &n, MAX_SPATIAL);
	visit_integers(v, "dilation", a->dilation, &n, MAX_SPATIAL);
	visit_extents(v, "before", a->before, &n, MAX_SPATIAL);
	visit_extents(v, "after", a->after, &n, MAX_SPATIAL);
	a->spatial = n < 0 ? 0 : n;
}

static void visit_call(struct visitor *v, void *attr)
{
	struct attr_call *a = attr;
	struct text_ints ints = {a->ints, a->n_ints};
	struct text_reals reals = {a->floats, a->n_floats};
	v->string(v, "name", &a->name);
	v->integers(v, "ints", &ints);
	v->reals(v, "floats", &reals);
	a->ints = ints.value;
	a->n_ints = ints.n;
	a->floats = reals.value;
	a->n_floats = reals.n;
}

static void visit_region(struct visitor *v, void *attr)
{
	struct attr_region *a = attr;
	int64_t carried = a->n_carried;
	int32_t n = v->reads ? -1 : a->trips != NULL;
	v->integer(v, "carried", &carried);
	visit_extents(v, "trips", &a->trips, &n, 1);
	if (carried < 0 || carried > UINT32_MAX)
		v->wrong(v, "carried");
	else
		a->n_carried = (uint32_t)carried;
}

static void visit_part(struct visitor *v, void *attr)
{
	struct attr_part *a = attr;
	int64_t index = a->index;
	v->integer(v, "index", &index);
	if (index < 0 || index > UINT32_MAX)
		v->wrong(v, "index");
	else
		a->index = (uint32_t)index;
}

static void visit_none(struct visitor *v, void *attr)
{
	(void)v;
	(void)attr;
}

void text_visit(struct visitor *v, enum op op, void *attr)
{
	static void (*const visit[OP_COUNT])(struct visitor * v, void *attr) = {
#define OP(name, in, attr, ...) visit_##attr,
#include "ops.def"
#undef OP
	};
	visit[op](v, attr);
}

bool text_has_fields(enum op op)
{
	return op_info[op].attr_size && op != OP_input && op != OP_constant;
}

void text_set_types(enum op op, void *attr, const struct type *type, uint32_t n)
{
	if (op == OP_iota) {
		((struct attr_iota *)attr)->type = *type;
	} else if (op == OP_call) {
		((struct attr_call *)attr)->out = type;
		((struct attr_call *)attr)->n_out = n;
	} else if (op_info[op].kind == KIND_region) {
		((struct attr_region *)attr)->out = type;
		((struct attr_region *)attr)->n_out = n;
	}
}
