/* Evaluates graphs and regions node by node, and owns the storage of values.
 *
 * Only nodes that an output needs are evaluated.  The arena cannot free, so the blocks of dead
 * values are kept in lists by size and used again.  Constants are read when their first reader
 * comes, so that not all weights of a model are held as double at once.  Evaluation stops at the
 * first error; blocks in use are then left to the arena.
 */
#include "eval.h"

#include <stdio.h>
#include <string.h>

#include "eval_op.h"

#define OP(name, ...) [OP_##name] = eval_##name,
static eval_fn *const eval_of[OP_COUNT] = {
#include "ops.def"
};
#undef OP

/* ---- storage ---- */

struct pool_block {
	struct pool_block *next;
	size_t size_class;
};
_Static_assert(sizeof(struct pool_block) % 16 == 0, "elements must stay aligned");

/* Four sizes to each power of two, from 64 bytes. */
static size_t class_bytes(size_t size_class)
{
	return (4 + size_class % 4) << (size_class / 4 + 4);
}

void *pool_take(struct eval *e, size_t n, size_t size)
{
	size_t bytes, size_class = 0;
	if (__builtin_mul_overflow(n, size, &bytes))
		memory_spent(arena_memory(e->arena));
	while (size_class < POOL_CLASSES && class_bytes(size_class) < bytes)
		size_class++;
	if (size_class == POOL_CLASSES)
		memory_spent(arena_memory(e->arena));
	struct pool_block *b = e->free[size_class];
	if (b) {
		e->free[size_class] = b->next;
	} else {
		b = arena_alloc(e->arena, sizeof *b + class_bytes(size_class), 1);
		b->size_class = size_class;
	}
	return b + 1;
}

void pool_give(struct eval *e, void *p)
{
	struct pool_block *b = (struct pool_block *)p - 1;
	b->next = e->free[b->size_class];
	e->free[b->size_class] = b;
}

struct tensor tensor_take(struct eval *e, enum normc_elem elem, int32_t rank, const int64_t *dim)
{
	struct tensor t = {.elem = elem, .rank = rank, .count = 1};
	int64_t room = 1; /* as if no extent were 0, so that strides do not overflow either */
	for (int32_t k = 0; k < rank; k++) {
		t.dim[k] = dim[k];
		t.count = dim[k] ? t.count : 0;
		if (__builtin_mul_overflow(room, dim[k] ? dim[k] : 1, &room))
			memory_spent(arena_memory(e->arena));
	}
	t.count = t.count ? room : 0;
	t.i = pool_take(e, (size_t)t.count, sizeof *t.i);
	if (e->beside) {
		t.bound = pool_take(e, (size_t)t.count, sizeof *t.bound);
		memset(t.bound, 0, (size_t)t.count * sizeof *t.bound);
	}
	return t;
}

void tensor_give(struct eval *e, struct tensor *t)
{
	if (t->i)
		pool_give(e, t->i);
	if (t->bound)
		pool_give(e, t->bound);
	t->i = NULL;
	t->bound = NULL;
}

void tensor_set(struct tensor *t, double f, int64_t i)
{
	for (int64_t k = 0; k < t->count; k++) {
		if (is_float(t))
			t->f[k] = f;
		else
			t->i[k] = i;
	}
}

void tensor_copy(struct tensor *to, const struct tensor *from)
{
	if (to->count)
		memcpy(to->i, from->i, (size_t)to->count * sizeof *to->i);
	if (to->count && to->bound && from->bound)
		memcpy(to->bound, from->bound, (size_t)to->count * sizeof *to->bound);
}

/* ---- shapes ---- */

bool eval_dim(const struct eval *e, const struct node *n, const struct dim *d, int64_t *value)
{
	char text[200];
	if ((e->symbols || dim_is_const(d)) && dim_eval(d, e->symbols, value))
		return true;
	dim_print(e->context->dims, d, text, sizeof text);
	return eval_fail(e, n, "the extent or index %s has no value", text);
}

bool eval_same_shape(const struct eval *e, const struct node *n, const struct tensor *a,
		     const struct tensor *b)
{
	if (a->rank != b->rank)
		return eval_fail(e, n, "ranks %d and %d differ", a->rank, b->rank);
	for (int32_t k = 0; k < a->rank; k++)
		if (a->dim[k] != b->dim[k])
			return eval_fail(e, n, "extents of dimension %d differ: %lld and %lld", k,
					 (long long)a->dim[k], (long long)b->dim[k]);
	return true;
}

/* "N = 2", or "7" for what is no expression. */
static void print_extent(const struct context *c, const struct dim *d, int64_t value, char *text,
			 size_t size)
{
	char name[100];
	dim_print(c->dims, d, name, sizeof name);
	snprintf(text, size, "%s%s%lld", dim_is_const(d) ? "" : name, dim_is_const(d) ? "" : " = ",
		 (long long)value);
}

/* Storage for a value of this type. A result that a call leaves out has no type, and gets none. */
static bool result_new(struct eval *e, const struct node *n, const struct type *type,
		       struct tensor *t)
{
	int64_t dim[MAX_RANK];
	*t = (struct tensor){.elem = type->elem};
	if (type->elem == NORMC_ELEM_NONE)
		return n->op == OP_call || eval_fail(e, n, "a value could not be built");
	for (int32_t k = 0; k < type->rank; k++) {
		if (!eval_dim(e, n, type->dim[k], &dim[k]))
			return false;
		if (dim[k] >= 0)
			continue;
		char text[140];
		print_extent(e->context, type->dim[k], dim[k], text, sizeof text);
		return diag_error(e->context->diag, n->loc,
				  dim_is_const(type->dim[k]) ? NORMC_INVALID : NORMC_USAGE,
				  "the extent %s is negative", text);
	}
	*t = tensor_take(e, type->elem, type->rank, dim);
	return true;
}

/* Extents that the model takes to be equal; if they are not, that is the inputs' fault. */
static bool check_equal(const struct eval *e)
{
	const struct context *c = e->context;
	for (uint32_t i = 0; i < c->n_equal; i++) {
		const struct dim_pair *pair = &c->equal[i];
		const struct node place = {.loc = pair->loc};
		int64_t a, b;
		char first[140], second[140];
		if (!eval_dim(e, &place, pair->a, &a) || !eval_dim(e, &place, pair->b, &b))
			return false;
		if (a == b)
			continue;
		print_extent(c, pair->a, a, first, sizeof first);
		print_extent(c, pair->b, b, second, sizeof second);
		return diag_error(c->diag, pair->loc, NORMC_USAGE,
				  "extents %s and %s must be equal", first, second);
	}
	return true;
}

/* ---- nodes ---- */

/* Brings computed elements into the element type. */
static void normalize(const struct eval *e, struct tensor *t)
{
	if (!is_float(t)) {
		for (int64_t i = 0; i < t->count; i++)
			t->i[i] = elem_wrap(t->elem, t->i[i]);
	} else if (e->mode == EVAL_ROUND && t->elem != NORMC_F64) {
		for (int64_t i = 0; i < t->count; i++)
			t->f[i] = elem_round(t->elem, t->f[i]);
	}
}

static bool kind_computes(enum op_kind kind)
{
	return kind == KIND_map || kind == KIND_reduce || kind == KIND_softmax ||
	       kind == KIND_norm || kind == KIND_contract || kind == KIND_conv ||
	       kind == KIND_window;
}

static bool evaluate(struct eval *e, const struct node *n, const struct tensor *const *in,
		     struct tensor *out)
{
	uint32_t n_out = node_n_results(n);
	for (uint32_t i = 0; i < n_out; i++)
		if (!result_new(e, n, node_result(n, i), &out[i]))
			return false;
	if (!eval_of[n->op](e, n, in, out))
		return false;
	if (kind_computes(op_info[n->op].kind))
		normalize(e, &out[0]);
	return !e->beside || e->beside[n->op](e, n, in, out);
}

/* The values of one graph while it is evaluated; indexed by node id. */
struct value {
	struct tensor *result; /* NULL: not computed */
	uint32_t uses;	       /* readers to come */
};

static bool value_compute(struct eval *e, struct value *value, const struct node *n)
{
	const struct tensor **in = pool_take(e, n->n_in, sizeof *in);
	for (uint32_t i = 0; i < n->n_in; i++) {
		const struct node *operand = n->in[i];
		if (!value[operand->id].result &&
		    !value_compute(e, value, operand)) /* a constant */
			return false;
		in[i] = value[operand->id].result;
	}
	struct tensor *out = pool_take(e, node_n_results(n), sizeof *out);
	if (!evaluate(e, n, in, out))
		return false;
	value[n->id].result = out;
	pool_give(e, in);
	return true;
}

static void value_release(struct eval *e, struct value *value, const struct node *n)
{
	struct value *v = &value[n->id];
	if (--v->uses)
		return;
	for (uint32_t i = 0; i < node_n_results(n); i++)
		tensor_give(e, &v->result[i]);
	pool_give(e, v->result);
	v->result = NULL;
}

static void count_uses(const struct graph *g, struct value *value)
{
	for (uint32_t i = 0; i < g->n_outputs; i++)
		value[g->outputs[i]->id].uses++;
	for (uint32_t i = g->n_nodes; i-- > 0;)
		for (uint32_t k = 0; value[i].uses && k < g->nodes[i]->n_in; k++)
			value[g->nodes[i]->in[k]->id].uses++;
}

/* Writes output number i, which has storage. */
static bool output_copy(struct eval *e, struct value *value, const struct node *n,
			struct tensor *out)
{
	if (!value[n->id].result && !value_compute(e, value, n))
		return false;
	const struct tensor *from = value[n->id].result;
	if (from->elem != out->elem)
		return bug(e->context->diag, n->loc, "an output has another element type");
	if (!eval_same_shape(e, n, out, from))
		return false;
	tensor_copy(out, from);
	value_release(e, value, n);
	return true;
}

bool eval_region(struct eval *e, const struct graph *region, const struct tensor *in,
		 struct tensor *out)
{
	const struct tensor *outer = e->in;
	struct value *value = pool_take(e, region->n_nodes, sizeof *value);
	memset(value, 0, region->n_nodes * sizeof *value);
	count_uses(region, value);
	e->in = in;
	for (uint32_t i = 0; i < region->n_nodes; i++) {
		const struct node *node = region->nodes[i];
		if (!value[i].uses || node->op == OP_constant)
			continue;
		if (!value_compute(e, value, node))
			return false;
		for (uint32_t k = 0; k < node->n_in; k++)
			value_release(e, value, node->in[k]);
	}
	for (uint32_t i = 0; i < region->n_outputs; i++)
		if (!output_copy(e, value, region->outputs[i], &out[i]))
			return false;
	e->in = outer;
	pool_give(e, value);
	return true;
}

static struct eval eval_new(const struct graph *g, struct eval_request request)
{
	return (struct eval){.context = g->context,
			     .mode = request.mode,
			     .symbols = request.symbols,
			     .arena = request.arena};
}

bool eval_graph(const struct graph *g, struct eval_request request, const struct tensor *in,
		struct tensor *out)
{
	return eval_graph_beside(g, request, NULL, in, out);
}

bool eval_graph_beside(const struct graph *g, struct eval_request request, eval_fn *const *beside,
		       const struct tensor *in, struct tensor *out)
{
	struct eval e = eval_new(g, request);
	e.beside = beside;
	if (!check_equal(&e))
		return false;
	for (uint32_t i = 0; i < g->n_outputs; i++)
		if (!result_new(&e, g->outputs[i], &g->outputs[i]->type, &out[i]))
			return false;
	return eval_region(&e, g, in, out);
}

bool eval_node(const struct graph *g, const struct node *n, struct eval_request request,
	       const struct tensor *in, struct tensor *out)
{
	return eval_node_beside(&(struct eval_node){g, n, in, out}, request, NULL);
}

bool eval_node_beside(const struct eval_node *what, struct eval_request request,
		      eval_fn *const *beside)
{
	const struct node *n = what->node;
	struct eval e = eval_new(what->graph, request);
	e.beside = beside;
	const struct tensor **operand = pool_take(&e, n->n_in, sizeof *operand);
	for (uint32_t i = 0; i < n->n_in; i++)
		operand[i] = &what->in[i];
	return evaluate(&e, n, operand, what->out);
}

/* ---- sources ---- */

EVAL(poison)
{
	(void)in;
	(void)out;
	return bug(e->context->diag, n->loc, "evaluation of a poisoned value");
}

/* Whether a given input is what the model takes. */
static bool check_input(const struct eval *e, const struct node *n, const struct tensor *want,
			const struct tensor *given)
{
	struct diag *diag = e->context->diag;
	const char *name = n->attr.port->name;
	if (given->elem != want->elem)
		return diag_error(diag, n->loc, NORMC_USAGE,
				  "input '%s' has type %s, the model takes %s", name,
				  normc_elem_name(given->elem), normc_elem_name(want->elem));
	if (given->rank != want->rank)
		return diag_error(diag, n->loc, NORMC_USAGE,
				  "input '%s' has %d dimensions, the model takes %d", name,
				  given->rank, want->rank);
	for (int32_t d = 0; d < want->rank; d++)
		if (given->dim[d] != want->dim[d])
			return diag_error(diag, n->loc, NORMC_USAGE,
					  "dimension %d of input '%s' is %lld, but %lld is "
					  "expected",
					  d, name, (long long)given->dim[d],
					  (long long)want->dim[d]);
	return true;
}

EVAL(input)
{
	(void)in;
	if (!e->in)
		return bug(e->context->diag, n->loc, "an input has no value");
	const struct tensor *from = &e->in[n->attr.port->index];
	if (!check_input(e, n, out, from))
		return false;
	tensor_copy(out, from);
	return true;
}

EVAL(constant)
{
	const struct attr_data *a = n->attr.data;
	(void)in;
	if (a->bytes / normc_elem_size(out->elem) < (uint64_t)out->count)
		return bug(e->context->diag, n->loc, "a constant is shorter than its type");
	tensor_fill(out, a->p);
	return true;
}

EVAL(iota)
{
	int32_t axis = n->attr.iota->axis;
	int64_t inner = extent_product(out, axis + 1, out->rank);
	(void)in;
	(void)e;
	for (int64_t i = 0; i < out->count; i++) {
		int64_t index = i / inner % out->dim[axis];
		if (is_float(out))
			out->f[i] = elem_round(out->elem, (double)index);
		else
			out->i[i] = elem_wrap(out->elem, index);
	}
	return true;
}

EVAL(dims)
{
	const struct attr_dims *a = n->attr.dims;
	(void)in;
	for (uint32_t i = 0; i < a->n; i++)
		if (!eval_dim(e, n, a->value[i], &out->i[i]))
			return false;
	return true;
}
