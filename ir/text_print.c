/* Prints graphs: one node a line, regions indented in braces.
 *
 *	graph "mnist"
 *	%0 = input "x" : f32[N,1,28,28]
 *	%1 = constant : f32[2] = [1, 0.5]
 *	%2 = reduce_sum %0 {axes [2,3]} : f32[N,1,1,1] ; n3 via fold
 *	return %2 "y"
 *
 * n3 is the node's entry in the table of sources.  What is tracked of an input's contents follows
 * its type as "= [...]".
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "text_form.h"

struct printer {
	struct visitor visitor; /* first: visitors are cast to it */
	const struct graph *g;
	void (*put)(void *user, const char *s);
	void *user;
	uint32_t max_elements;
	int indent;
	bool later; /* a field was printed before */
};

static void put(struct printer *p, const char *s)
{
	p->put(p->user, s);
}

static void put_line_start(struct printer *p)
{
	for (int i = 0; i < p->indent; i++)
		put(p, "  ");
}

static void put_string(struct printer *p, const char *s)
{
	char piece[VISIBLE_BYTES];
	put(p, "\"");
	while (*s) {
		if (*s == '"' || *s == '\\')
			put(p, "\\");
		s += visible_character(s, piece);
		put(p, piece);
	}
	put(p, "\"");
}

static void put_integer(struct printer *p, int64_t value)
{
	char text[24];
	snprintf(text, sizeof text, "%" PRId64, value);
	put(p, text);
}

static void put_dim(struct printer *p, const struct dim *d)
{
	const struct dims *dims = p->g->context->dims;
	char small[200], *text = small;
	size_t length = dim_print(dims, d, small, sizeof small);
	if (length >= sizeof small) {
		text = arena_new(p->g->context->arena, char, length + 1);
		dim_print(dims, d, text, length + 1);
	}
	put(p, text);
}

static void put_type(struct printer *p, const struct type *type)
{
	put(p, normc_elem_name(type->elem));
	put(p, "[");
	for (int32_t i = 0; i < type->rank; i++) {
		put(p, i ? "," : "");
		put_dim(p, type->dim[i]);
	}
	put(p, "]");
}

/* The fewest digits that round to `value` in the element type, but all before the point of numbers
 * that are not large. */
static void text_of_real(enum normc_elem elem, double value, char *text, size_t size)
{
	int digits = 1;
	for (double x = value < 0 ? -value : value; x >= 10 && x < 1e9; x /= 10)
		digits++;
	for (; digits <= 17; digits++) {
		snprintf(text, size, "%.*g", digits, value);
		if (value != value || elem_round(elem, strtod(text, NULL)) == value)
			break;
	}
	if (value != value)
		snprintf(text, size, "nan");
}

static void put_real(struct printer *p, enum normc_elem elem, double value)
{
	char text[40];
	text_of_real(elem, value, text, sizeof text);
	put(p, text);
}

/* ---- fields ---- */

static struct printer *field(struct visitor *v, const char *name)
{
	struct printer *p = (struct printer *)v;
	put(p, p->later ? " " : "");
	put(p, name);
	put(p, " ");
	p->later = true;
	return p;
}

static void print_word(struct visitor *v, const char *name, const char **word)
{
	put(field(v, name), *word);
}

static void print_string(struct visitor *v, const char *name, const char **string)
{
	put_string(field(v, name), *string);
}

static void print_integer(struct visitor *v, const char *name, int64_t *value)
{
	put_integer(field(v, name), *value);
}

static void print_real(struct visitor *v, const char *name, double *value)
{
	put_real(field(v, name), NORMC_F64, *value);
}

static void print_integers(struct visitor *v, const char *name, struct text_ints *list)
{
	struct printer *p = field(v, name);
	put(p, "[");
	for (uint32_t i = 0; i < list->n; i++) {
		put(p, i ? "," : "");
		put_integer(p, list->value[i]);
	}
	put(p, "]");
}

static void print_reals(struct visitor *v, const char *name, struct text_reals *list)
{
	struct printer *p = field(v, name);
	put(p, "[");
	for (uint32_t i = 0; i < list->n; i++) {
		put(p, i ? "," : "");
		put_real(p, NORMC_F64, list->value[i]);
	}
	put(p, "]");
}

static void put_dims(struct printer *p, const struct dim *const *value, uint32_t n)
{
	put(p, "[");
	for (uint32_t i = 0; i < n; i++) {
		put(p, i ? "," : "");
		put_dim(p, value[i]);
	}
	put(p, "]");
}

static void print_dims(struct visitor *v, const char *name, struct text_dims *list)
{
	put_dims(field(v, name), list->value, list->n);
}

static void print_wrong(struct visitor *v, const char *name)
{
	put(field(v, name),
	    "?"); /* a value that the field cannot have: left for the reader to see */
}

/* ---- nodes ---- */

static void put_attribute(struct printer *p, const struct node *n)
{
	if (!text_has_fields(n->op))
		return;
	union text_attr copy; /* visitors may write to what they visit */
	memcpy(&copy, n->attr.any, op_info[n->op].attr_size);
	put(p, " {");
	p->later = false;
	p->visitor.rank = n->n_in ? n->in[0]->type.rank : 0;
	text_visit(&p->visitor, n->op, &copy);
	put(p, "}");
}

static uint64_t hash_of(const unsigned char *data, uint64_t bytes)
{
	uint64_t h = 0xcbf29ce484222325u;
	for (uint64_t i = 0; i < bytes; i++)
		h = (h ^ data[i]) * 0x100000001b3u;
	return h;
}

static void put_elements(struct printer *p, const struct tensor *t)
{
	char text[24];
	put(p, " = [");
	for (int64_t i = 0; i < t->count; i++) {
		put(p, i ? ", " : "");
		if (elem_is_float(t->elem)) {
			put_real(p, t->elem, t->f[i]);
		} else if (t->elem == NORMC_U64) {
			snprintf(text, sizeof text, "%" PRIu64, (uint64_t)t->i[i]);
			put(p, text);
		} else {
			put_integer(p, t->i[i]);
		}
	}
	put(p, "]");
}

static void put_contents(struct printer *p, const struct attr_data *data)
{
	int64_t count = type_fixed_count(&data->type), dim[MAX_RANK];
	char text[80];
	for (int32_t i = 0; i < data->type.rank; i++)
		dim[i] = data->type.dim[i]->value;
	if (count >= 0 && count <= p->max_elements) {
		struct tensor t = tensor_load(p->g->context->arena, data->type.elem,
					      data->type.rank, dim, data->p);
		put_elements(p, &t);
		return;
	}
	snprintf(text, sizeof text, " = hash %016" PRIx64 " bytes %" PRIu64,
		 hash_of(data->p, data->bytes), data->bytes);
	put(p, text);
}

static void put_result_types(struct printer *p, const struct node *n)
{
	uint32_t results = node_n_results(n);
	put(p, results == 1 ? " : " : " : (");
	for (uint32_t i = 0; i < results; i++) {
		put(p, i ? ", " : "");
		put_type(p, node_result(n, i));
	}
	put(p, results == 1 ? "" : ")");
}

static void put_graph(struct printer *p, const struct graph *g);

static void put_regions(struct printer *p, const struct attr_region *attr)
{
	for (int r = 0; r < 2; r++)
		if (attr->region[r]) {
			put(p, " {\n");
			p->indent++;
			put_graph(p, attr->region[r]);
			p->indent--;
			put_line_start(p);
			put(p, "}");
		}
}

static void put_location(struct printer *p, struct loc loc)
{
	char text[32];
	if (loc.source || loc.via)
		put(p, " ;");
	if (loc.source) {
		snprintf(text, sizeof text, " n%" PRIu32, loc.source);
		put(p, text);
	}
	if (loc.via) {
		put(p, " via ");
		put(p, loc.via);
	}
}

static void put_reference(struct printer *p, const struct node *n)
{
	char text[24];
	snprintf(text, sizeof text, " %%%" PRIu32, n->id);
	put(p, text);
}

static void put_node(struct printer *p, const struct node *n)
{
	put_line_start(p);
	char text[24];
	snprintf(text, sizeof text, "%%%" PRIu32 " = ", n->id);
	put(p, text);
	put(p, op_info[n->op].name);
	if (n->op == OP_input) {
		put(p, " ");
		put_string(p, n->attr.port->name);
	}
	for (uint32_t k = 0; k < n->n_in; k++)
		put_reference(p, n->in[k]);
	put_attribute(p, n);
	if (op_info[n->op].kind == KIND_region)
		put_regions(p, n->attr.region);
	put_result_types(p, n);
	if (n->op == OP_constant)
		put_contents(p, n->attr.data);
	if (n->op == OP_input && n->ints) {
		put(p, " = ");
		put_dims(p, n->ints, (uint32_t)node_n_ints(n));
	}
	put_location(p, n->loc);
	put(p, "\n");
}

static void put_graph(struct printer *p, const struct graph *g)
{
	put_line_start(p);
	put(p, "graph ");
	put_string(p, g->name);
	put(p, "\n");
	for (const char *const *meta = g->meta; meta && meta[0] && meta[1]; meta += 2) {
		put_line_start(p);
		put(p, "meta ");
		put_string(p, meta[0]);
		put(p, " ");
		put_string(p, meta[1]);
		put(p, "\n");
	}
	for (uint32_t i = 0; i < g->n_nodes; i++)
		put_node(p, g->nodes[i]);
	put_line_start(p);
	put(p, "return");
	for (uint32_t i = 0; i < g->n_outputs; i++) {
		put(p, i ? "," : "");
		put_reference(p, g->outputs[i]);
		put(p, " ");
		put_string(p, g->output_names[i]);
	}
	put(p, "\n");
}

static struct printer printer_of(const struct graph *g, uint32_t max_elements,
				 void (*write)(void *user, const char *s), void *user)
{
	return (struct printer){
			.visitor = {.word = print_word,
				    .string = print_string,
				    .integer = print_integer,
				    .real = print_real,
				    .integers = print_integers,
				    .reals = print_reals,
				    .dims = print_dims,
				    .wrong = print_wrong,
				    .arena = g->context->arena},
			.g = g,
			.put = write,
			.user = user,
			.max_elements = max_elements,
	};
}

void graph_print(const struct graph *g, uint32_t max_elements,
		 void (*write)(void *user, const char *s), void *user)
{
	struct printer p = printer_of(g, max_elements, write, user);
	put_graph(&p, g);
}

void graph_print_node(const struct graph *g, const struct node *n,
		      void (*write)(void *user, const char *s), void *user)
{
	struct printer p = printer_of(g, 16, write, user);
	put_node(&p, n);
}
