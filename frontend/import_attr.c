/* What importers read of a node: operands, results, attributes, and reports about them. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "import_state.h"

struct node *import_in(struct import *n, uint32_t i)
{
	if (i < n->n_in && n->in[i])
		return n->in[i];
	import_invalid(n, "operand %u is missing", i);
	return graph_poison(n->g);
}

struct node *import_optional(struct import *n, uint32_t i)
{
	return i < n->n_in ? n->in[i] : NULL;
}

bool import_wants(const struct import *n, uint32_t result)
{
	const Onnx__NodeProto *proto = n->proto;
	return result < n->n_out && proto->output[result][0];
}

void import_out(struct import *n, uint32_t i, struct node *value)
{
	if (i < n->n_out)
		n->out[i] = value;
}

static void report(struct import *n, enum normc_status status, const char *format, va_list args)
{
	char text[500];
	vsnprintf(text, sizeof text, format, args);
	diag_error(n->g->context->diag, n->g->at, status, "%s", text);
}

void import_unsupported(struct import *n, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(n, NORMC_UNSUPPORTED, format, args);
	va_end(args);
}

void import_invalid(struct import *n, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	report(n, NORMC_INVALID, format, args);
	va_end(args);
}

bool import_in_range(struct import *n, const char *what, int64_t value, int64_t least, int64_t most)
{
	if (value >= least && value <= most)
		return true;
	if (most == INT64_MAX)
		import_invalid(n, "%s is %lld; it must be at least %lld", what, (long long)value,
			       (long long)least);
	else
		import_invalid(n, "%s is %lld; %lld to %lld is possible", what, (long long)value,
			       (long long)least, (long long)most);
	return false;
}

bool import_in_limit(struct import *n, const char *what, int64_t value, int64_t least, int64_t most)
{
	if (!import_in_range(n, what, value, least, INT64_MAX))
		return false;
	if (value <= most)
		return true;
	return diag_error(n->g->context->diag, n->g->at, NORMC_LIMIT,
			  "%s is %lld; at most %lld is supported", what, (long long)value,
			  (long long)most);
}

const Onnx__AttributeProto *import_attribute(struct import *n, const char *name)
{
	const Onnx__NodeProto *proto = n->proto;
	const struct call_frame *frame = n->state->scope->frame;
	for (size_t i = 0; i < proto->n_attribute; i++) {
		const Onnx__AttributeProto *a = proto->attribute[i];
		if (!a->name || strcmp(a->name, name))
			continue;
		if (!a->ref_attr_name || !*a->ref_attr_name)
			return a;
		return frame ? names_find(frame->attributes, a->ref_attr_name) : NULL;
	}
	return NULL;
}

/* The attribute if it has this type; a report if it has another. */
static const Onnx__AttributeProto *typed(struct import *n, const char *name,
					 Onnx__AttributeProto__AttributeType type, const char *text)
{
	const Onnx__AttributeProto *a = import_attribute(n, name);
	if (!a)
		return NULL;
	if (a->has_type && a->type == type)
		return a;
	import_invalid(n, "attribute '%s' is not %s", name, text);
	return NULL;
}

bool import_has(struct import *n, const char *name)
{
	return import_attribute(n, name) != NULL;
}

int64_t import_int(struct import *n, const char *name, int64_t otherwise)
{
	const Onnx__AttributeProto *a =
			typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INT, "an integer");
	return a ? a->i : otherwise;
}

double import_float(struct import *n, const char *name, double otherwise)
{
	const Onnx__AttributeProto *a =
			typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOAT, "a float");
	return a ? (double)a->f : (double)(float)otherwise; /* defaults are floats, too */
}

const char *import_string(struct import *n, const char *name, const char *otherwise)
{
	const Onnx__AttributeProto *a =
			typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRING, "a string");
	if (!a)
		return otherwise;
	if (a->s.len && memchr(a->s.data, 0, a->s.len)) {
		import_invalid(n, "attribute '%s' contains a NUL character", name);
		return otherwise;
	}
	char *text = arena_new(n->g->context->arena, char, a->s.len + 1);
	if (a->s.len)
		memcpy(text, a->s.data, a->s.len);
	return text;
}

uint32_t import_ints(struct import *n, const char *name, const int64_t **value)
{
	const Onnx__AttributeProto *a = typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__INTS,
					      "a list of integers");
	*value = a ? a->ints : NULL;
	return a ? (uint32_t)a->n_ints : 0;
}

uint32_t import_floats(struct import *n, const char *name, const float **value)
{
	const Onnx__AttributeProto *a = typed(
			n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__FLOATS, "a list of floats");
	*value = a ? a->floats : NULL;
	return a ? (uint32_t)a->n_floats : 0;
}

uint32_t import_strings(struct import *n, const char *name, const char *const **value)
{
	const Onnx__AttributeProto *a =
			typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__STRINGS,
			      "a list of strings");
	struct arena *arena = n->g->context->arena;
	size_t count = a ? a->n_strings : 0;
	const char **list = arena_new(arena, const char *, count + 1);
	for (size_t i = 0; i < count; i++) {
		char *text = arena_new(arena, char, a->strings[i].len + 1);
		if (a->strings[i].len)
			memcpy(text, a->strings[i].data, a->strings[i].len);
		list[i] = text;
	}
	*value = list;
	return (uint32_t)count;
}

struct node *import_tensor(struct import *n, const char *name)
{
	const Onnx__AttributeProto *a =
			typed(n, name, ONNX__ATTRIBUTE_PROTO__ATTRIBUTE_TYPE__TENSOR, "a tensor");
	if (!a)
		return NULL;
	if (a->t)
		return import_constant(n->state, n->g, a->t);
	import_invalid(n, "attribute '%s' has no tensor", name);
	return NULL;
}

int32_t import_axis(struct import *n, int64_t axis, int32_t rank)
{
	if (axis < -rank || axis >= rank) {
		import_invalid(n, "axis %lld is out of range for rank %d", (long long)axis, rank);
		return 0;
	}
	return (int32_t)(axis < 0 ? axis + rank : axis);
}

uint32_t import_axes(struct import *n, const char *attribute, int32_t in, int32_t rank,
		     uint32_t otherwise)
{
	const int64_t *axis = NULL;
	int64_t count = 0;
	uint32_t mask = 0, errors = n->g->context->diag->errors;
	if (in >= 0 && import_optional(n, (uint32_t)in))
		count = import_numbers(n, (uint32_t)in, &axis);
	else if (attribute)
		count = import_ints(n, attribute, &axis);
	for (int64_t i = 0; i < count; i++) {
		uint32_t bit = 1u << import_axis(n, axis[i], rank);
		if (n->g->context->diag->errors != errors)
			return otherwise;
		if (mask & bit) {
			import_invalid(n, "axis %lld is given twice", (long long)axis[i]);
			return otherwise;
		}
		mask |= bit;
	}
	return count > 0 ? mask : otherwise;
}
