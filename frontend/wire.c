/* Two runs of one iterative walk: the first checks and measures, the second writes the smaller
 * copy. Lengths of messages are written as padded five-byte varints, because they are known only at
 * the message's end.
 */
#include "wire.h"

#include <string.h>
#include "load.h"
#include "onnx/onnx.pb-c.h"

enum {
	VARINT = 0,
	FIXED64 = 1,
	BYTES = 2,
	FIXED32 = 5,
	PADDED = 5,
	KEY_BYTES = 5,
	VARINT_BYTES = 10
};

/* A message that the walk is inside of. */
struct frame {
	const ProtobufCMessageDescriptor *type;
	size_t end;     /* in the input */
	size_t length;  /* where its length goes in the output */
	uint64_t seen;  /* fields that may come once and have come, by their index */
};

struct wire {
	struct diag *diag;
	const unsigned char *in;
	size_t at;
	unsigned char *out; /* NULL in the first run */
	size_t n_out;
	uint64_t memory;    /* that unpacking will take, roughly, from above */
	uint64_t nodes;
	uint32_t depth;
	struct frame frame[LOAD_MAX_DEPTH];
};

/* One field: where it is in the input, and what the schema says. */
struct item {
	const ProtobufCMessageDescriptor *type; /* of the message that holds it */
	const ProtobufCFieldDescriptor *field;  /* NULL: not in the schema */
	uint32_t id, wire;
	size_t begin, key;    /* the key's first byte and number of bytes */
	size_t value;         /* after the key, and after the length if there is one */
	size_t end;
};

static bool refuse(struct wire *w, const struct item *item, const char *what)
{
	const char *name = item->field ? item->field->name : "field";
	return diag_error(w->diag, (struct loc){0}, NORMC_INVALID,
			  "not a valid ONNX file: %s.%s at byte %zu %s", item->type->short_name,
			  name, item->begin, what);
}

static void put(struct wire *w, const void *bytes, size_t n)
{
	if (w->out && n)
		memcpy(w->out + w->n_out, bytes, n);
	w->n_out += n;
}

static void put_length(unsigned char *to, size_t n)
{
	for (int i = 0; i < PADDED; i++)
		to[i] = (unsigned char)((n >> (7 * i) & 0x7f) | (i < PADDED - 1 ? 0x80 : 0));
}

/* Reads a varint of at most `max` bytes before `end`. */
static bool varint(struct wire *w, size_t end, int max, uint64_t *value)
{
	*value = 0;
	for (int i = 0; i < max && w->at < end; i++) {
		unsigned char byte = w->in[w->at++];
		*value |= (uint64_t)(byte & 0x7f) << (7 * i);
		if (!(byte & 0x80))
			return true;
	}
	return false;
}

/* Number of varints that fill [at, end) exactly; -1 if they do not. */
static int64_t count_varints(const unsigned char *in, size_t at, size_t end)
{
	int64_t n = 0;
	int length = 0;
	for (; at < end; at++) {
		if (++length > VARINT_BYTES)
			return -1;
		if (!(in[at] & 0x80)) {
			length = 0;
			n++;
		}
	}
	return length ? -1 : n;
}

/* Length of the UTF-8 sequence at s, 0 if it is wrong, too long for `left`, or NUL. */
static size_t utf8_length(const unsigned char *s, size_t left)
{
	if (s[0] < 0x80)
		return s[0] != 0;
	size_t n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4 || n > left)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	bool overlong = (s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xf0 && s[1] < 0x90);
	bool outside = (s[0] == 0xed && s[1] > 0x9f) || (s[0] == 0xf4 && s[1] > 0x8f);
	return overlong || outside ? 0 : n;
}

static bool check_string(struct wire *w, const struct item *item)
{
	for (size_t i = item->value; i < item->end;) {
		size_t n = utf8_length(w->in + i, item->end - i);
		if (!n)
			return refuse(w, item, "is not UTF-8 text without NUL");
		i += n;
	}
	return true;
}

/* Fields of no use to us: documentation of parts, training, and types that we infer ourselves. */
static bool unread(const struct item *item)
{
	if (!item->field)
		return !((item->type == &onnx__node_proto__descriptor &&
			  item->id == WIRE_NODE_OVERLOAD) ||
			 (item->type == &onnx__function_proto__descriptor &&
			  (item->id == WIRE_FUNCTION_ATTRIBUTE ||
			   item->id == WIRE_FUNCTION_OVERLOAD)));
	if (item->type == &onnx__model_proto__descriptor &&
	    !strcmp(item->field->name, "doc_string"))
		return false; /* normc opt keeps it */
	static const char *const names[] = {"doc_string", "training_info",
					    "quantization_annotation", "value_info", "denotation"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (!strcmp(item->field->name, names[i]))
			return true;
	return false;
}

/* The message type of a field, NULL if it is none. */
static const ProtobufCMessageDescriptor *message_type(const struct item *item)
{
	if (item->field)
		return item->field->type == PROTOBUF_C_TYPE_MESSAGE ? item->field->descriptor
								    : NULL;
	bool attribute = item->type == &onnx__function_proto__descriptor &&
			 item->id == WIRE_FUNCTION_ATTRIBUTE;
	return attribute ? &onnx__attribute_proto__descriptor : NULL;
}

static uint32_t wire_type(ProtobufCType type)
{
	switch (type) {
	case PROTOBUF_C_TYPE_STRING:
	case PROTOBUF_C_TYPE_BYTES:
	case PROTOBUF_C_TYPE_MESSAGE:
		return BYTES;
	case PROTOBUF_C_TYPE_FLOAT:
	case PROTOBUF_C_TYPE_FIXED32:
	case PROTOBUF_C_TYPE_SFIXED32:
		return FIXED32;
	case PROTOBUF_C_TYPE_DOUBLE:
	case PROTOBUF_C_TYPE_FIXED64:
	case PROTOBUF_C_TYPE_SFIXED64:
		return FIXED64;
	default:
		return VARINT;
	}
}

/* Reads key and length, and finds where the value ends. */
static bool read_item(struct wire *w, struct item *item)
{
	const struct frame *f = &w->frame[w->depth];
	uint64_t key, length = 0;
	*item = (struct item){.type = f->type, .begin = w->at};
	if (!varint(w, f->end, KEY_BYTES, &key) || key >> 3 == 0 || key > UINT32_MAX)
		return refuse(w, item, "has a broken key");
	item->id = (uint32_t)(key >> 3);
	item->wire = (uint32_t)(key & 7);
	item->field = protobuf_c_message_descriptor_get_field(f->type, item->id);
	item->key = w->at - item->begin;
	item->value = w->at;
	switch (item->wire) {
	case VARINT:
		if (!varint(w, f->end, VARINT_BYTES, &length))
			return refuse(w, item, "has a broken number");
		item->end = w->at;
		return true;
	case FIXED32:
	case FIXED64:
		length = item->wire == FIXED32 ? 4 : 8;
		break;
	case BYTES:
		if (!varint(w, f->end, PADDED, &length))
			return refuse(w, item, "has a broken length");
		item->value = w->at;
		break;
	default:
		return refuse(w, item, "has an unknown wire type");
	}
	if (length > f->end - item->value)
		return refuse(w, item, "reaches beyond its end");
	item->end = w->at = item->value + (size_t)length;
	return true;
}

/* Elements of a packed array in `item`; its bytes are checked. */
static bool check_packed(struct wire *w, const struct item *item)
{
	size_t bytes = item->end - item->value,
	       each = wire_type(item->field->type) == FIXED32 ? 4 : 8;
	int64_t n;
	if (wire_type(item->field->type) == VARINT) {
		each = 8;
		n = count_varints(w->in, item->value, item->end);
	} else {
		n = bytes % each ? -1 : (int64_t)(bytes / each);
	}
	if (n < 0)
		return refuse(w, item, "is a broken packed array");
	w->memory += (uint64_t)n * each;
	return true;
}

/* What the schema says of a field's wire type and number of times. */
static bool check_known(struct wire *w, const struct item *item)
{
	const ProtobufCFieldDescriptor *field = item->field;
	if (field->label == PROTOBUF_C_LABEL_REPEATED) {
		w->memory += 16; /* its slot in the array */
		bool packable = wire_type(field->type) != BYTES;
		if (packable && item->wire == BYTES)
			return check_packed(w, item);
	} else {
		struct frame *f = &w->frame[w->depth];
		uint64_t bit = (uint64_t)1 << (field - f->type->fields) % 64;
		if (f->seen & bit)
			return refuse(w, item, "comes twice");
		f->seen |= bit;
	}
	if (item->wire != wire_type(field->type))
		return refuse(w, item, "has the wrong wire type");
	return field->type != PROTOBUF_C_TYPE_STRING || check_string(w, item);
}

static bool push(struct wire *w, const struct item *item, const ProtobufCMessageDescriptor *type)
{
	if (item->wire != BYTES)
		return refuse(w, item, "has the wrong wire type");
	if (w->depth + 1 == LOAD_MAX_DEPTH)
		return diag_error(w->diag, (struct loc){0}, NORMC_LIMIT,
				  "messages at byte %zu are nested deeper than %d", item->begin,
				  LOAD_MAX_DEPTH);
	if (type == &onnx__node_proto__descriptor && ++w->nodes > LOAD_MAX_NODES)
		return diag_error(w->diag, (struct loc){0}, NORMC_LIMIT,
				  "the model has more than %d nodes", LOAD_MAX_NODES);
	unsigned char padded[PADDED] = {0};
	put(w, w->in + item->begin, item->key);
	w->frame[++w->depth] = (struct frame){type, item->end, w->n_out, 0};
	put(w, padded, sizeof padded);
	w->memory += type->sizeof_message + 16;
	w->at = item->value;
	return true;
}

static bool step(struct wire *w)
{
	struct item item;
	if (!read_item(w, &item))
		return false;
	if (unread(&item))
		return true;
	if (item.field && !check_known(w, &item))
		return false;
	w->memory += 96; /* protobuf-c's own record of a field, and rounding */
	const ProtobufCMessageDescriptor *type = message_type(&item);
	if (type)
		return push(w, &item, type);
	if (!item.field && (item.wire != BYTES || !check_string(w, &item)))
		return refuse(w, &item, "is not a string");
	if (item.type == &onnx__tensor_proto__descriptor && !strcmp(item.field->name, "raw_data")) {
		struct wire_span span = {item.value, item.end - item.value};
		const unsigned char length = sizeof span;
		put(w, w->in + item.begin, item.key);
		put(w, &length, 1);
		put(w, &span, sizeof span);
		return true;
	}
	w->memory += item.end - item.begin;
	put(w, w->in + item.begin, item.end - item.begin);
	return true;
}

static bool walk(struct wire *w, const ProtobufCMessageDescriptor *root, size_t n)
{
	w->at = w->n_out = w->depth = 0;
	w->nodes = 0;
	w->memory = root->sizeof_message;
	w->frame[0] = (struct frame){root, n, 0, 0};
	for (;;) {
		const struct frame *f = &w->frame[w->depth];
		if (w->at < f->end) {
			if (!step(w))
				return false;
		} else if (w->depth) {
			if (w->out)
				put_length(w->out + f->length, w->n_out - f->length - PADDED);
			w->depth--;
		} else {
			return true;
		}
	}
}

static void *take(void *arena, size_t size)
{
	return arena_alloc(arena, size ? size : 1, 1);
}

static void leave(void *arena, void *p)
{
	(void)arena; /* freed with the arena */
	(void)p;
}

static void *unpack(struct arena *arena, const ProtobufCMessageDescriptor *type, const void *bytes,
		    size_t n)
{
	ProtobufCAllocator allocator = {take, leave, arena};
	return protobuf_c_message_unpack(type, &allocator, n, bytes);
}

void *wire_unpack(struct arena *arena, struct diag *diag,
		  const ProtobufCMessageDescriptor *root, ProtobufCBinaryData file)
{
	struct wire w = {.diag = diag, .in = file.data};
	const struct loc nowhere = {0};
	const struct memory *memory = arena_memory(arena);
	if (file.len > INT32_MAX) {
		diag_error(diag, nowhere, NORMC_LIMIT,
			   "the file is larger than 2 GiB; such models keep their "
			   "weights in external data");
		return NULL;
	}
	if (!walk(&w, root, file.len))
		return NULL;
	uint64_t needed = w.memory + w.n_out;
	if (needed > memory->limit - memory->used) {
		diag_error(diag, nowhere, NORMC_LIMIT,
			   "reading the model takes %llu MB of memory; the limit leaves "
			   "%zu MB",
			   (unsigned long long)(needed >> 20),
			   (memory->limit - memory->used) >> 20);
		return NULL;
	}
	if (w.n_out > INT32_MAX) {
		diag_error(diag, nowhere, NORMC_LIMIT, "the model has too many parts");
		return NULL;
	}
	w.out = arena_new(arena, unsigned char, w.n_out + 1);
	void *message = walk(&w, root, file.len) ? unpack(arena, root, w.out, w.n_out) : NULL;
	if (!message)
		diag_error(diag, nowhere, NORMC_INVALID,
			   "not a valid ONNX file: protobuf-c refuses it");
	return message;
}

/* Value of a length-delimited unknown field: protobuf-c keeps its length prefix. */
static ProtobufCBinaryData unknown_value(const ProtobufCMessageUnknownField *field)
{
	size_t prefix = 0;
	if (field->wire_type != PROTOBUF_C_WIRE_TYPE_LENGTH_PREFIXED)
		return (ProtobufCBinaryData){0, NULL};
	while (prefix < field->len && field->data[prefix] & 0x80)
		prefix++;
	if (prefix == field->len)
		return (ProtobufCBinaryData){0, NULL};
	return (ProtobufCBinaryData){field->len - prefix - 1, field->data + prefix + 1};
}

void *wire_unpack_field(struct arena *arena, const ProtobufCMessageDescriptor *type,
			const ProtobufCMessageUnknownField *field)
{
	ProtobufCBinaryData value = unknown_value(field);
	return value.data ? unpack(arena, type, value.data, value.len) : NULL;
}

const char *wire_string_field(struct arena *arena, const ProtobufCMessage *message, uint32_t id)
{
	const ProtobufCFieldDescriptor *known =
			protobuf_c_message_descriptor_get_field(message->descriptor, id);
	if (known) {
		const char *s = *(char *const *)((const char *)message + known->offset);
		return s ? s : "";
	}
	for (unsigned i = 0; i < message->n_unknown_fields; i++) {
		const ProtobufCMessageUnknownField *field = &message->unknown_fields[i];
		ProtobufCBinaryData value = unknown_value(field);
		if (field->tag != id || !value.data)
			continue;
		char *s = arena_new(arena, char, value.len + 1);
		memcpy(s, value.data, value.len);
		return s;
	}
	return "";
}
