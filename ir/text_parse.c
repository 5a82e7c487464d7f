/* Parses the text form of graphs (see text_print.c) with the builder, so that what is read is
 * checked like what is imported. The first error ends it. */
#include <string.h>

#include "eval.h"
#include "text_form.h"

enum { MAX_RESULTS = 64 };

/* A graph being read: the nodes by their numbers in the text. */
struct body {
	struct graph *g;
	struct node **node;
	uint32_t n_nodes;
};

/* What a line says of its node besides operands and attribute. */
struct tail {
	struct type type[MAX_RESULTS];
	uint32_t n_types;
	bool group; /* types in parentheses */
};

static struct graph *read_graph(struct reader *r);

/* ---- types ---- */

static bool read_elem(struct reader *r, enum normc_elem *elem)
{
	const char *name = read_name(r);
	if (!name)
		return read_fail(r, "type expected at '%.20s'", r->at);
	for (int e = NORMC_ELEM_NONE; e <= NORMC_I2; e++)
		if ((!e || elem_bits((enum normc_elem)e)) &&
		    !strcmp(name, normc_elem_name((enum normc_elem)e))) {
			*elem = (enum normc_elem)e;
			return true;
		}
	return read_fail(r, "there is no element type '%s'", name);
}

static bool read_type(struct reader *r, struct type *type)
{
	struct text_dims list;
	*type = (struct type){0};
	r->place.index = 0;
	if (!read_elem(r, &type->elem) || !read_dims(r, &list))
		return false;
	if (list.n > MAX_RANK)
		return read_fail(r, "more than %d dimensions", MAX_RANK);
	type->rank = (int32_t)list.n;
	for (uint32_t i = 0; i < list.n; i++)
		type->dim[i] = list.value[i];
	return true;
}

static bool read_types(struct reader *r, struct tail *tail)
{
	tail->n_types = 0;
	if (!read_expect(r, ':'))
		return false;
	tail->group = read_take(r, '(');
	if (tail->group && read_take(r, ')'))
		return true;
	do {
		if (tail->n_types == MAX_RESULTS)
			return read_fail(r, "more than %d results", MAX_RESULTS);
		if (!read_type(r, &tail->type[tail->n_types++]))
			return false;
	} while (tail->group && read_take(r, ','));
	return !tail->group || read_expect(r, ')');
}

/* ---- references ---- */

static bool read_number(struct reader *r, uint32_t *number)
{
	int64_t value;
	if (!read_expect(r, '%') || !read_integer(r, &value))
		return false;
	if (value < 0 || value >= UINT32_MAX)
		return read_fail(r, "%%%lld is no node", (long long)value);
	*number = (uint32_t)value;
	return true;
}

static struct node *read_reference(struct reader *r, const struct body *body)
{
	uint32_t number;
	if (!read_number(r, &number))
		return NULL;
	if (number < body->n_nodes)
		return body->node[number];
	read_fail(r, "%%%u is not defined", number);
	return NULL;
}

/* ---- contents of constants ---- */

static bool read_elements(struct reader *r, struct tensor *t)
{
	uint64_t bits;
	for (int64_t i = 0; i < t->count; i++) {
		if (!read_expect(r, i ? ',' : '['))
			return false;
		bool good = elem_is_float(t->elem) ? read_real(r, &t->f[i])
			    : t->elem == NORMC_U64 ? read_unsigned(r, &bits)
						   : read_integer(r, &t->i[i]);
		if (good && t->elem == NORMC_U64)
			t->i[i] = (int64_t)bits;
		if (good && !elem_is_float(t->elem) && elem_wrap(t->elem, t->i[i]) != t->i[i])
			return read_fail(r, "element %lld is out of range", (long long)i);
		if (!good)
			return false;
	}
	return (t->count || read_expect(r, '[')) && read_expect(r, ']');
}

/* "hash 0123 bytes 24": the contents are gone, zeros stand for them. */
static bool read_hash(struct reader *r, uint64_t bytes)
{
	uint64_t stated;
	r->at += strspn(r->at, " \t");
	r->at += strspn(r->at, "0123456789abcdef");
	if (!read_keyword(r, "bytes"))
		return read_fail(r, "'bytes' expected at '%.20s'", r->at);
	return read_unsigned(r, &stated) &&
	       (stated == bytes ||
		read_fail(r, "the type has %llu bytes", (unsigned long long)bytes));
}

static struct node *read_constant(struct reader *r, struct graph *g, const struct type *type)
{
	int64_t count = type_fixed_count(type);
	size_t size = normc_elem_size(type->elem), bytes;
	if (count < 0 || !size || __builtin_mul_overflow((size_t)count, size, &bytes)) {
		read_fail(r, "the extents of a constant must be known");
		return NULL;
	}
	bool hash = read_expect(r, '=') && read_keyword(r, "hash");
	if (r->failed || (!hash && strnlen(r->at, (size_t)count) < (size_t)count) ||
	    (hash && !read_hash(r, bytes))) {
		read_fail(r, "elements are missing");
		return NULL;
	}
	void *data = arena_alloc(g->context->arena, bytes + !bytes, 1);
	if (!hash) {
		struct tensor t = {.elem = type->elem, .count = count};
		t.i = arena_new(g->context->arena, int64_t, (size_t)count + 1);
		if (!read_elements(r, &t))
			return NULL;
		tensor_store(&t, data);
	}
	return build_constant(g, type, data, bytes);
}

/* ---- nodes ---- */

static struct node *read_input(struct reader *r, struct graph *g)
{
	struct tail tail;
	struct text_dims ints;
	const char *name = read_quoted(r, '"');
	r->place = (struct symbol){.input = g->n_inputs};
	r->may_define = true;
	bool good = name && read_types(r, &tail);
	if (good && (tail.group || !tail.type[0].elem))
		good = read_fail(r, "an input has one type");
	if (!good)
		return NULL;
	struct node *n = graph_input(g, name, &tail.type[0]);
	r->place = (struct symbol){.input = n->attr.port->index, .element = true};
	if (read_take(r, '=')) {
		if (!read_dims(r, &ints))
			return NULL;
		n->ints = ints.value;
		if (node_n_ints(n) != ints.n || n->type.rank > 1)
			read_fail(r, "the contents do not fill the type");
	}
	r->may_define = false;
	return r->failed ? NULL : n;
}

static bool read_regions(struct reader *r, struct attr_region *attr, int n)
{
	for (int i = 0; i < n; i++) {
		if (!read_expect(r, '{'))
			return false;
		attr->region[i] = read_graph(r);
		if (!attr->region[i] || !read_expect(r, '}'))
			return false;
	}
	return true;
}

static bool read_operands(struct reader *r, const struct body *body, struct node ***in, uint32_t *n)
{
	*in = NULL;
	*n = 0;
	while (read_is(r, '%')) {
		struct node *operand = read_reference(r, body);
		if (!operand)
			return false;
		PUSH(r->context->arena, *in, *n, operand);
	}
	return !r->failed;
}

/* The node has the types that the text says. */
static bool check_types(struct reader *r, const struct node *n, const struct tail *tail)
{
	char has[200], says[200];
	uint32_t results = node_n_results(n);
	if (results != tail->n_types)
		return read_fail(r, "there are %u results", results);
	for (uint32_t i = 0; i < results; i++) {
		if (type_equal(node_result(n, i), &tail->type[i]))
			continue;
		type_print(r->context->dims, node_result(n, i), has, sizeof has);
		type_print(r->context->dims, &tail->type[i], says, sizeof says);
		return read_fail(r, "the type is %s, not %s", has, says);
	}
	return true;
}

static struct node *read_operation(struct reader *r, struct body *body, enum op op)
{
	struct graph *g = body->g;
	struct node **in;
	uint32_t n;
	struct tail tail = {.n_types = 0};
	union text_attr attr;
	memset(&attr, 0, sizeof attr);
	if (!read_operands(r, body, &in, &n))
		return NULL;
	r->visitor.rank = n ? in[0]->type.rank : 0;
	if (text_has_fields(op) && !read_attribute(r, op, &attr))
		return NULL;
	if (op_info[op].kind == KIND_region && !read_regions(r, &attr.region, op == OP_if ? 2 : 1))
		return NULL;
	if (!read_types(r, &tail))
		return NULL;
	if (op == OP_poison)
		return graph_poison(g);
	for (uint32_t i = 0; i < tail.n_types; i++)
		if (!tail.type[i].elem) {
			read_fail(r, "a result without an element type");
			return NULL;
		}
	if (op == OP_constant)
		return read_constant(r, g, &tail.type[0]);
	const struct type *type = arena_copy(g->context->arena, tail.type, sizeof tail.type);
	text_set_types(op, &attr, type, tail.n_types);
	const union attr given = {.any = op_info[op].attr_size ? &attr : NULL};
	struct node *node = graph_node(g, op, in, n, given);
	if (node_is_poison(node)) {
		read_fail(r, "'%s' cannot be built", op_info[op].name);
		return NULL;
	}
	return check_types(r, node, &tail) ? node : NULL;
}

/* "; n3 via fold", which stands behind the node */
static bool read_location(struct reader *r, struct node *n, bool is_new)
{
	struct loc loc = {0};
	int64_t source = 0;
	if (read_take(r, ';')) {
		read_is(r, 'n');
		if (r->at[0] == 'n' && r->at[1] >= '0' && r->at[1] <= '9') {
			r->at++;
			read_integer(r, &source);
		}
		loc.source = source < 0 || source > UINT32_MAX ? 0 : (uint32_t)source;
		if (read_keyword(r, "via"))
			loc.via = read_name(r);
	}
	if (is_new)
		n->loc = loc;
	return !r->failed;
}

/* "%3 = add %1 %2 : f32[N] ; n7" */
static bool read_node(struct reader *r, struct body *body)
{
	uint32_t number, before = body->g->n_nodes;
	if (!read_number(r, &number) || !read_expect(r, '='))
		return false;
	if (number != body->n_nodes)
		return read_fail(r, "%%%u where %%%u is next", number, body->n_nodes);
	const char *name = read_name(r);
	enum op op = name ? op_find(name) : OP_COUNT;
	if (op == OP_COUNT)
		return read_fail(r, "there is no operation '%s'", name ? name : "");
	struct node *n = op == OP_input ? read_input(r, body->g) : read_operation(r, body, op);
	if (!n || !read_location(r, n, n->id >= before))
		return false;
	PUSH(r->context->arena, body->node, body->n_nodes, n);
	return true;
}

/* ---- graphs ---- */

static bool read_outputs(struct reader *r, struct body *body)
{
	if (!read_is(r, '%'))
		return !r->failed;
	do {
		struct node *n = read_reference(r, body);
		const char *name = n ? read_quoted(r, '"') : NULL;
		if (!name)
			return false;
		graph_output(body->g, n, name);
	} while (read_take(r, ','));
	return !r->failed;
}

static bool read_meta(struct reader *r, struct graph *g)
{
	const char **meta = NULL;
	uint32_t n = 0;
	while (read_keyword(r, "meta")) {
		const char *key = read_quoted(r, '"'), *value = key ? read_quoted(r, '"') : NULL;
		if (!value)
			return false;
		PUSH(r->context->arena, meta, n, key);
		PUSH(r->context->arena, meta, n, value);
	}
	if (n)
		PUSH(r->context->arena, meta, n, NULL);
	g->meta = meta;
	return !r->failed;
}

static struct graph *read_graph(struct reader *r)
{
	if (!read_keyword(r, "graph")) {
		read_fail(r, "'graph' expected at '%.20s'", r->at);
		return NULL;
	}
	if (++r->depth > TEXT_MAX_DEPTH) {
		read_fail(r, "regions within more than %d regions", TEXT_MAX_DEPTH);
		return NULL;
	}
	const char *name = read_quoted(r, '"');
	if (!name)
		return NULL;
	struct body body = {graph_new(r->context, name), NULL, 0};
	bool good = read_meta(r, body.g);
	while (good && !read_keyword(r, "return"))
		good = read_node(r, &body);
	r->depth--;
	return good && read_outputs(r, &body) ? body.g : NULL;
}

struct graph *graph_parse(struct context *context, const char *text)
{
	struct reader r = {.context = context, .at = text, .line = 1};
	struct graph *g = read_graph(&r);
	if (g && !read_is(&r, 0)) {
		read_fail(&r, "'%.20s' after the end", r.at);
		return NULL;
	}
	return g;
}
