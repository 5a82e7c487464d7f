/* The model's inputs and outputs: types, symbols for unknown extents, fixed values for named ones.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "import_state.h"

/* The "N=1" arguments, and which of them named something. */
struct fixed {
	const char *const *text;
	bool *used;
};

/* A port of the graph being read. */
struct port {
	struct importer *s;
	const Onnx__ValueInfoProto *proto;
	uint32_t index;
	struct fixed *fixed;
};

static bool wrong_port(const struct port *port, enum normc_status status, const char *what)
{
	return diag_error(port->s->context->diag, (struct loc){0}, status, "input %u, '%.200s', %s",
			  port->index, port->proto->name, what);
}

/* Whether no earlier port of the kind ("input", "output") has this name; else after a report. */
static bool name_is_new(struct importer *s, struct names *seen, const char *kind, const char *name,
			size_t index)
{
	void **slot = names_slot(seen, name);
	if (*slot)
		return diag_error(s->context->diag, (struct loc){0}, NORMC_INVALID,
				  "%s %zu and %s %zu have the same name, '%.200s'", kind,
				  (size_t)(uintptr_t)*slot - 1, kind, index, name);
	*slot = (void *)(uintptr_t)(index + 1);
	return true;
}

/* Finds "name=value" and reads the value. */
static bool find_fixed(struct fixed *fixed, const char *name, int64_t *value)
{
	size_t length = strlen(name);
	for (size_t i = 0; fixed->text && fixed->text[i]; i++) {
		const char *text = fixed->text[i];
		if (strncmp(text, name, length) || text[length] != '=')
			continue;
		*value = strtoll(text + length + 1, NULL, 10);
		fixed->used[i] = true;
		return true;
	}
	return false;
}

/* The extent called `name` ("": none), which is dimension `index` of the port. */
static const struct dim *named_dim(const struct port *port, const char *name, uint32_t index)
{
	struct context *c = port->s->context;
	struct symbol symbol = {.name = arena_string(c->arena, name),
				.input = port->s->scope->g->n_inputs,
				.index = index};
	int64_t value;
	if (!*name)
		return dim_symbol(c->dims, symbol);
	void **slot = names_slot(port->s->symbols, symbol.name);
	if (!*slot) {
		const struct dim *d = find_fixed(port->fixed, name, &value)
						      ? dim_const(c->dims, value)
						      : dim_symbol(c->dims, symbol);
		*slot = (void *)(uintptr_t)d;
	}
	return *slot;
}

static bool read_shape(const struct port *port, const Onnx__TensorShapeProto *shape,
		       struct type *type)
{
	if (shape->n_dim > MAX_RANK)
		return diag_error(port->s->context->diag, (struct loc){0}, NORMC_UNSUPPORTED,
				  "input %u, '%.200s', has rank "
				  "%zu; at most %d is supported",
				  port->index, port->proto->name, shape->n_dim, MAX_RANK);
	type->rank = (int32_t)shape->n_dim;
	for (uint32_t i = 0; i < shape->n_dim; i++) {
		const Onnx__TensorShapeProto__Dimension *d = shape->dim[i];
		bool number = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE;
		bool name = d->value_case == ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_PARAM &&
			    d->dim_param;
		if (number && d->dim_value < -1)
			return diag_error(port->s->context->diag, (struct loc){0}, NORMC_INVALID,
					  "input %u, '%.200s', has extent %lld in dimension %u",
					  port->index, port->proto->name, (long long)d->dim_value,
					  i);
		if (number && d->dim_value >= 0) /* some exporters write -1 for an unknown extent */
			type->dim[i] = dim_const(port->s->context->dims, d->dim_value);
		else
			type->dim[i] = named_dim(port, name ? d->dim_param : "", i);
	}
	return true;
}

static bool read_type(const struct port *port, struct type *type)
{
	const Onnx__TypeProto *proto = port->proto->type;
	if (!proto || proto->value_case == ONNX__TYPE_PROTO__VALUE__NOT_SET)
		return wrong_port(port, NORMC_INVALID, "has no type");
	if (proto->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE || !proto->tensor_type)
		return wrong_port(port, NORMC_UNSUPPORTED,
				  "is a sequence, map, optional or sparse value; only tensors are "
				  "supported");
	const Onnx__TypeProto__Tensor *tensor = proto->tensor_type;
	type->elem = (enum normc_elem)tensor->elem_type;
	if (!tensor->has_elem_type || tensor->elem_type == 0)
		return wrong_port(port, NORMC_INVALID, "has no element type");
	if (!normc_elem_size(type->elem))
		return wrong_port(port, NORMC_UNSUPPORTED,
				  tensor->elem_type == ONNX__TENSOR_PROTO__DATA_TYPE__STRING
						  ? "holds strings, which are not supported"
						  : "has an element type that is not supported");
	if (!tensor->shape)
		return wrong_port(port, NORMC_UNSUPPORTED,
				  "has no shape; the number of dimensions must be known");
	return read_shape(port, tensor->shape, type);
}

static void read_input(const struct port *port)
{
	struct importer *s = port->s;
	struct type type = {0};
	const char *name = port->proto->name;
	if (names_find(s->scope->values, name)) { /* an initializer, so far */
		if (s->ir_version >= 4)
			diag_warning(s->context->diag, (struct loc){0},
				     "input '%.200s' has a default value and is taken "
				     "as a constant",
				     name);
		return;
	}
	if (read_type(port, &type))
		scope_bind(s, s->scope, name, graph_input(s->scope->g, name, &type));
}

static bool is_fixed(const char *text)
{
	const char *equals = strrchr(text, '=');
	char *end = NULL;
	errno = 0;
	if (!equals || equals == text || equals[1] < '0' || equals[1] > '9')
		return false;
	strtoll(equals + 1, &end, 10);
	return !*end && !errno;
}

bool import_fixed_valid(struct diag *diag, const char *const *fixed)
{
	for (size_t i = 0; fixed && fixed[i]; i++) {
		if (!is_fixed(fixed[i]))
			return diag_error(diag, (struct loc){0}, NORMC_USAGE,
					  "--dim %.100s: expected NAME=NUMBER", fixed[i]);
		size_t name = (size_t)(strrchr(fixed[i], '=') - fixed[i]) + 1;
		for (size_t j = 0; j < i; j++)
			if (!strncmp(fixed[i], fixed[j], name))
				return diag_error(diag, (struct loc){0}, NORMC_USAGE,
						  "--dim %.100s: the dimension is given twice",
						  fixed[i]);
	}
	return true;
}

bool import_graph_inputs(struct importer *s, const Onnx__GraphProto *graph, const char *const *text)
{
	struct diag *diag = s->context->diag;
	struct fixed fixed = {.text = text};
	uint32_t errors = diag->errors;
	struct names *seen = names_new(s->context->arena);
	size_t n = 0;
	while (text && text[n])
		n++;
	fixed.used = arena_new(s->context->arena, bool, n + 1);
	if (!import_fixed_valid(diag, text))
		return false;
	for (uint32_t i = 0; i < graph->n_input && !import_stopped(s); i++) {
		struct port port = {s, graph->input[i], i, &fixed};
		if (!port.proto->name || !*port.proto->name)
			diag_error(diag, (struct loc){0}, NORMC_INVALID, "input %u has no name", i);
		else if (name_is_new(s, seen, "input", port.proto->name, i))
			read_input(&port);
	}
	for (size_t i = 0; i < n; i++)
		if (!fixed.used[i])
			diag_error(diag, (struct loc){0}, NORMC_USAGE,
				   "--dim %.100s: the model's inputs have no dimension of "
				   "that name; `normc inspect` shows them",
				   text[i]);
	return diag->errors == errors;
}

/* Holds the declared type of an output against the inferred one. */
static bool check_output(struct importer *s, const Onnx__ValueInfoProto *proto,
			 const struct type *type)
{
	struct context *c = s->context;
	const struct loc nowhere = {0};
	if (!proto->type || proto->type->value_case != ONNX__TYPE_PROTO__VALUE_TENSOR_TYPE ||
	    !proto->type->tensor_type)
		return diag_error(c->diag, nowhere, NORMC_UNSUPPORTED,
				  "output '%.200s' is not a tensor", proto->name);
	const Onnx__TypeProto__Tensor *tensor = proto->type->tensor_type;
	if (tensor->has_elem_type && tensor->elem_type && tensor->elem_type != (int32_t)type->elem)
		return diag_error(c->diag, nowhere, NORMC_INVALID,
				  "output '%.200s' is declared with element type %s and "
				  "has %s",
				  proto->name, normc_elem_name((enum normc_elem)tensor->elem_type),
				  normc_elem_name(type->elem));
	if (!tensor->shape)
		return true;
	if (tensor->shape->n_dim != (size_t)type->rank) {
		diag_warning(c->diag, nowhere,
			     "output '%.200s' is declared with rank %zu and has rank %d",
			     proto->name, tensor->shape->n_dim, type->rank);
		return true;
	}
	for (int32_t i = 0; i < type->rank; i++) {
		const Onnx__TensorShapeProto__Dimension *d = tensor->shape->dim[i];
		if (d->value_case != ONNX__TENSOR_SHAPE_PROTO__DIMENSION__VALUE_DIM_VALUE ||
		    d->dim_value < 0 || dim_is(type->dim[i], d->dim_value))
			continue;
		if (dim_is_const(type->dim[i]))
			diag_warning(c->diag, nowhere,
				     "output '%.200s' is declared with extent %lld and has %lld",
				     proto->name, (long long)d->dim_value,
				     (long long)type->dim[i]->value);
		else
			graph_same_extent(s->scope->g, type->dim[i],
					  dim_const(c->dims, d->dim_value));
	}
	return true;
}

bool import_graph_outputs(struct importer *s, const Onnx__GraphProto *graph)
{
	struct diag *diag = s->context->diag;
	if (!graph->n_output)
		return diag_error(diag, (struct loc){0}, NORMC_INVALID, "the model has no outputs");
	struct names *seen = names_new(s->context->arena);
	for (size_t i = 0; i < graph->n_output; i++) {
		const Onnx__ValueInfoProto *proto = graph->output[i];
		const char *name = proto->name ? proto->name : "";
		if (!name_is_new(s, seen, "output", name, i))
			return false;
		struct node *node = scope_find(s, s->scope, name);
		if (!node)
			return diag_error(diag, (struct loc){0}, NORMC_INVALID,
					  "output %zu, '%.200s', is not made by any "
					  "node",
					  i, name);
		if (node_is_poison(node) || !check_output(s, proto, &node->type))
			return false;
		graph_output(s->scope->g, node, name);
	}
	return true;
}
