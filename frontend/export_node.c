/* Pieces of an ONNX graph: nodes with their attributes, initializers, unique names. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "export_state.h"

/* ---- opsets ---- */

bool export_allows(struct export *e, int32_t opset)
{
	if (opset > e->cap)
		return false;
	if (opset > e->wanted)
		e->wanted = opset;
	return true;
}

bool export_needs(struct export *e, int32_t opset, const char *what)
{
	if (export_allows(e, opset))
		return true;
	export_refuse(e, "%s needs opset %d; --opset %d allows it", what, opset, opset);
	return false;
}

void export_check_elem(struct export *e, enum normc_elem elem)
{
	switch (elem) {
	case NORMC_F8E4M3FN:
	case NORMC_F8E4M3FNUZ:
	case NORMC_F8E5M2:
	case NORMC_F8E5M2FNUZ:
		export_needs(e, 19, normc_elem_name(elem));
		break;
	case NORMC_U4:
	case NORMC_I4:
		export_needs(e, 21, normc_elem_name(elem));
		break;
	case NORMC_F4E2M1:
		export_needs(e, 23, normc_elem_name(elem));
		break;
	case NORMC_F8E8M0:
		export_needs(e, 24, normc_elem_name(elem));
		break;
	case NORMC_U2:
	case NORMC_I2:
		export_needs(e, 25, normc_elem_name(elem));
		break;
	default:
		break;
	}
}

/* Operators that got a type of 16 bits later than the others. */
static const struct {
	const char *op_type;
	enum normc_elem elem;
	int32_t opset; /* 0: none */
} late_types[] = {
		{"CumSum", NORMC_F16, 14},
		{"CumSum", NORMC_BF16, 14},
		{"BatchNormalization", NORMC_BF16, 14},
		{"Pow", NORMC_BF16, 15},
		{"Where", NORMC_BF16, 16},
		{"LessOrEqual", NORMC_BF16, 16},
		{"If", NORMC_BF16, 16},
		{"Loop", NORMC_BF16, 16},
		{"Round", NORMC_BF16, 22},
		{"Sin", NORMC_BF16, 22},
		{"Cos", NORMC_BF16, 22},
		{"Tan", NORMC_BF16, 22},
		{"Asin", NORMC_BF16, 22},
		{"Acos", NORMC_BF16, 22},
		{"Atan", NORMC_BF16, 22},
		{"Sinh", NORMC_BF16, 22},
		{"Cosh", NORMC_BF16, 22},
		{"Asinh", NORMC_BF16, 22},
		{"Acosh", NORMC_BF16, 22},
		{"Atanh", NORMC_BF16, 22},
		{"Conv", NORMC_BF16, 22},
		{"ConvTranspose", NORMC_BF16, 22},
		{"DeformConv", NORMC_BF16, 22},
		{"MaxPool", NORMC_BF16, 22},
		{"MaxUnpool", NORMC_BF16, 22},
		{"MaxRoiPool", NORMC_BF16, 22},
		{"RoiAlign", NORMC_BF16, 22},
		{"AveragePool", NORMC_BF16, 22},
		{"InstanceNormalization", NORMC_BF16, 22},
		{"GridSample", NORMC_BF16, 22},
		{"Det", NORMC_BF16, 22},
		{"LSTM", NORMC_BF16, 22},
		{"GRU", NORMC_BF16, 22},
		{"RNN", NORMC_BF16, 22},
		{"TopK", NORMC_BF16, 24},
		{"ReverseSequence", NORMC_BF16, 0},
};

/* Whether the node at hand reads or gives a tensor of this type. */
static bool touches(const struct export *e, enum normc_elem elem)
{
	for (uint32_t k = 0; e->plan && k < e->plan->n_in; k++)
		if (e->plan->in[k]->type.elem == elem)
			return true;
	for (uint32_t k = 0; k < node_n_results(e->node); k++)
		if (node_result(e->node, k)->elem == elem)
			return true;
	return false;
}

/* Raises the opset for types that this operator got late. */
static void check_operator(struct export *e, const char *op_type)
{
	for (size_t i = 0; i < sizeof late_types / sizeof *late_types; i++) {
		enum normc_elem elem = late_types[i].elem;
		if (strcmp(late_types[i].op_type, op_type) != 0 || !touches(e, elem))
			continue;
		const char *name = normc_elem_name(elem);
		if (late_types[i].opset)
			export_needs(e, late_types[i].opset,
				     arena_printf(e->arena, "%s of %s", op_type, name));
		else
			export_refuse(e, "ONNX has no %s of %s", op_type, name);
	}
}

/* ---- names ---- */

/* `base`, or base_1, base_2 ...: the first that is not taken; takes it. */
static const char *unique(struct export *e, const char *base)
{
	void **slot = names_slot(e->taken, base);
	uintptr_t count = (uintptr_t)*slot;
	*slot = (void *)(count + 1);
	if (!count)
		return base;
	for (;; count++) {
		const char *name = arena_printf(e->arena, "%s_%" PRIuPTR, base, count);
		if (names_find(e->taken, name))
			continue;
		*names_slot(e->taken, name) = (void *)(uintptr_t)1;
		*names_slot(e->taken, base) = (void *)(count + 1);
		return name;
	}
}

void export_take(struct export *e, const char *name)
{
	*names_slot(e->taken, name) = (void *)(uintptr_t)1;
}

/* The ONNX node that an operation comes from, or the operation's own name. */
static const char *base_name(const struct export *e, const struct node *n)
{
	const struct diag *diag = e->context->diag;
	if (n->loc.source && n->loc.source < diag->n_sources &&
	    diag->sources[n->loc.source].name[0])
		return diag->sources[n->loc.source].name;
	return op_info[n->op].name;
}

const char *export_name(struct export *e)
{
	return unique(e, base_name(e, e->node));
}

/* ---- nodes ---- */

/* protobuf-c's fields are not const, but packing only reads them. */
static char *text(const char *s)
{
	return (char *)(uintptr_t)s;
}

Onnx__NodeProto *export_begin(struct export *e, const char *op_type)
{
	Onnx__NodeProto *n = arena_new(e->arena, Onnx__NodeProto, 1);
	check_operator(e, op_type);
	onnx__node_proto__init(n);
	n->op_type = text(op_type);
	return n;
}

void export_operand(struct export *e, Onnx__NodeProto *n, const char *name)
{
	PUSH(e->arena, n->input, n->n_input, text(name ? name : ""));
}

static Onnx__AttributeProto *attribute(struct export *e, Onnx__NodeProto *n, const char *name,
				       Onnx__AttributeProto__AttributeType type)
{
	Onnx__AttributeProto *a = arena_new(e->arena, Onnx__AttributeProto, 1);
	onnx__attribute_proto__init(a);
	a->name = text(name);
	a->has_type = 1;
	a->type = type;
	PUSH(e->arena, n->attribute, n->n_attribute, a);
	return a;
}

void export_int(struct export *e, Onnx__NodeProto *n, const char *name, int64_t value)
{
	Onnx__AttributeProto *a = attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT);
	a->has_i = 1;
	a->i = value;
}

void export_ints(struct export *e, Onnx__NodeProto *n, const char *name, const int64_t *value,
		 uint32_t count)
{
	Onnx__AttributeProto *a =
			attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS);
	a->n_ints = count;
	a->ints = arena_copy(e->arena, value, count * sizeof *value);
}

void export_float(struct export *e, Onnx__NodeProto *n, const char *name, double value)
{
	Onnx__AttributeProto *a =
			attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT);
	a->has_f = 1;
	a->f = (float)value;
}

void export_string(struct export *e, Onnx__NodeProto *n, const char *name, const char *value)
{
	Onnx__AttributeProto *a =
			attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING);
	a->has_s = 1;
	a->s.data = (uint8_t *)(uintptr_t)value;
	a->s.len = strlen(value);
}

void export_floats(struct export *e, Onnx__NodeProto *n, const char *name, const double *value,
		   uint32_t count)
{
	Onnx__AttributeProto *a =
			attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS);
	for (uint32_t i = 0; i < count; i++)
		PUSH(e->arena, a->floats, a->n_floats, (float)value[i]);
}

void export_strings(struct export *e, Onnx__NodeProto *n, const char *name,
		    const char *const *value, uint32_t count)
{
	Onnx__AttributeProto *a =
			attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS);
	for (uint32_t i = 0; i < count; i++) {
		ProtobufCBinaryData s = {strlen(value[i]), (uint8_t *)(uintptr_t)value[i]};
		PUSH(e->arena, a->strings, a->n_strings, s);
	}
}

void export_graph(struct export *e, Onnx__NodeProto *n, const char *name, Onnx__GraphProto *value)
{
	attribute(e, n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__GRAPH)->g = value;
}

const char *export_result(struct export *e, Onnx__NodeProto *n)
{
	const char *name = export_name(e);
	n->name = text(name);
	PUSH(e->arena, n->output, n->n_output, text(name));
	PUSH(e->arena, e->proto->node, e->proto->n_node, n);
	return name;
}

const char *export_simple(struct export *e, const char *op_type, const char *const *in)
{
	Onnx__NodeProto *n = export_begin(e, op_type);
	for (; *in; in++)
		export_operand(e, n, *in);
	return export_result(e, n);
}

const char *export_converted(struct export *e, const char *value, enum normc_elem to)
{
	Onnx__NodeProto *n = export_begin(e, "Cast");
	export_operand(e, n, value);
	export_int(e, n, "to", to);
	return export_result(e, n);
}

/* ---- initializers ---- */

/* Elements of 2 or 4 bits lie in a byte each here, packed in the file, low bits first. */
static const void *packed(struct export *e, const struct raw_tensor *raw, uint64_t *bytes)
{
	const unsigned char *in = raw->data;
	int bits = elem_bits(raw->elem), per_byte = 8 / bits;
	*bytes = ((uint64_t)raw->count + (uint64_t)per_byte - 1) / (uint64_t)per_byte;
	unsigned char *out = arena_new(e->arena, unsigned char, *bytes + 1);
	for (int64_t i = 0; i < raw->count; i++)
		out[i / per_byte] |= (unsigned char)((in[i] & ((1 << bits) - 1))
						     << (i % per_byte * bits));
	return out;
}

const char *export_data(struct export *e, const char *name, const struct raw_tensor *raw)
{
	Onnx__TensorProto *t = arena_new(e->arena, Onnx__TensorProto, 1);
	const void *data = raw->data;
	uint64_t bytes = raw->bytes;
	onnx__tensor_proto__init(t);
	export_check_elem(e, raw->elem);
	if (elem_bits(raw->elem) < 8)
		data = packed(e, raw, &bytes);
	t->name = text(unique(e, name));
	t->has_data_type = 1;
	t->data_type = (int32_t)raw->elem;
	t->n_dims = (size_t)raw->rank;
	t->dims = arena_copy(e->arena, raw->dim, (size_t)raw->rank * sizeof *raw->dim);
	t->has_raw_data = 1;
	t->raw_data.data = (uint8_t *)(uintptr_t)data;
	t->raw_data.len = bytes;
	if (__builtin_add_overflow(e->weight_bytes, bytes, &e->weight_bytes))
		e->weight_bytes = UINT64_MAX;
	PUSH(e->arena, e->proto->initializer, e->proto->n_initializer, t);
	return t->name;
}

const char *export_constant_as(struct export *e, const struct node *n, int32_t rank,
			       const int64_t *dim)
{
	const struct attr_data *data = n->attr.data;
	struct raw_tensor raw = {.elem = n->type.elem,
				 .rank = rank,
				 .count = type_fixed_count(&n->type),
				 .data = data->p,
				 .bytes = data->bytes};
	memcpy(raw.dim, dim, (size_t)rank * sizeof *dim);
	return export_data(e, arena_printf(e->arena, "%s.constant", base_name(e, n)), &raw);
}

const char *export_value(struct export *e, const struct node *n)
{
	int64_t dim[MAX_RANK] = {0};
	if (!e->value[n->id] && n->op == OP_constant) {
		export_fixed(&n->type, dim);
		e->value[n->id] = export_constant_as(e, n, n->type.rank, dim);
	}
	if (e->value[n->id])
		return e->value[n->id];
	bug(e->context->diag, n->loc, "'%s' is read before it is written", op_info[n->op].name);
	return "";
}

const char *export_in(struct export *e, uint32_t k)
{
	return export_value(e, e->plan->in[k]);
}

/* The shortest spelling that means this number. */
static const char *spell(struct export *e, enum normc_elem elem, double value)
{
	char text[40];
	for (int digits = 1; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, value);
		double read = strtod(text, NULL);
		if (read == value || (elem == NORMC_F32 && (float)read == (float)value))
			break;
	}
	return arena_printf(e->arena, "%s_%s", normc_elem_name(elem), text);
}

const char *export_fill(struct export *e, enum normc_elem elem, int32_t rank, const int64_t *dim,
			double value)
{
	struct tensor one = {.elem = elem, .count = 1};
	size_t size = normc_elem_size(elem), count = 1;
	bool is_float = elem_is_float(elem);
	int64_t whole = is_float ? 0 : (int64_t)value;
	for (int32_t i = 0; i < rank; i++)
		count *= (size_t)dim[i]; /* callers ask for few */
	if (is_float)
		one.f = &value;
	else
		one.i = &whole;
	const char *key = spell(e, elem, value);
	for (int32_t i = 0; i < rank; i++)
		key = arena_printf(e->arena, "%s_%s%" PRId64, key, i ? "" : "x", dim[i]);
	void **slot = names_slot(e->known, key);
	if (*slot)
		return *slot;
	unsigned char *data = arena_new(e->arena, unsigned char, count *size + 1);
	tensor_store(&one, data);
	for (size_t i = 1; i < count; i++)
		memcpy(data + i * size, data, size);
	struct raw_tensor raw = {.elem = elem,
				 .rank = rank,
				 .count = (int64_t)count,
				 .data = data,
				 .bytes = count * size};
	if (rank)
		memcpy(raw.dim, dim, (size_t)rank * sizeof *dim);
	const char *name = export_data(e, key, &raw);
	*names_slot(e->known, key) = (void *)(uintptr_t)name;
	return name;
}

const char *export_number(struct export *e, enum normc_elem elem, double value)
{
	return export_fill(e, elem, 0, NULL, value);
}

const char *export_list(struct export *e, const int64_t *value, uint32_t count)
{
	const char *key = "i64";
	for (uint32_t i = 0; i < count; i++) {
		if (value[i] == INT64_MIN || value[i] == INT64_MAX)
			key = arena_printf(e->arena, "%s_%s", key, value[i] < 0 ? "first" : "last");
		else
			key = arena_printf(e->arena, "%s_%" PRId64, key, value[i]);
	}
	key = arena_printf(e->arena, "%s_list", key);
	void **slot = names_slot(e->known, key);
	if (*slot)
		return *slot;
	struct raw_tensor raw = {.elem = NORMC_I64,
				 .rank = 1,
				 .dim = {count},
				 .count = count,
				 .bytes = count * sizeof *value};
	raw.data = count ? arena_copy(e->arena, value, raw.bytes) : "";
	const char *name = export_data(e, key, &raw);
	*names_slot(e->known, key) = (void *)(uintptr_t)name;
	return name;
}
