/* The reader on broken and hostile files: the wire scan, tensor encodings, external data.
 * Messages are written here byte by byte, because no exporter writes such files.
 */
#include "test_model.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "load.h"

/* ---- a small protobuf writer ---- */

struct bytes {
	unsigned char at[65536];
	size_t n;
};

static void put(struct bytes *b, const void *p, size_t n)
{
	assert_true(n <= sizeof b->at - b->n);
	if (n)
		memcpy(b->at + b->n, p, n);
	b->n += n;
}

static void put_varint(struct bytes *b, uint64_t x)
{
	unsigned char byte;
	do {
		byte = (unsigned char)((x & 0x7f) | (x > 0x7f ? 0x80 : 0));
		put(b, &byte, 1);
		x >>= 7;
	} while (x);
}

static void put_int(struct bytes *b, uint32_t field, uint64_t value)
{
	put_varint(b, field << 3);
	put_varint(b, value);
}

static void put_bytes(struct bytes *b, uint32_t field, const void *p, size_t n)
{
	put_varint(b, field << 3 | 2);
	put_varint(b, n);
	put(b, p, n);
}

static void put_string(struct bytes *b, uint32_t field, const char *text)
{
	put_bytes(b, field, text, strlen(text));
}

static void put_message(struct bytes *b, uint32_t field, const struct bytes *message)
{
	put_bytes(b, field, message->at, message->n);
}

/* Field numbers of the schema. */
enum {
	MODEL_IR = 1, MODEL_GRAPH = 7, MODEL_OPSET = 8, OPSET_VERSION = 2,
	GRAPH_NODE = 1, GRAPH_INITIALIZER = 5, GRAPH_OUTPUT = 12,
	NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5,
	ATTRIBUTE_NAME = 1, ATTRIBUTE_GRAPH = 6,
	TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_FLOATS = 4, TENSOR_INT32 = 5, TENSOR_INT64 = 7,
	TENSOR_NAME = 8, TENSOR_RAW = 9, TENSOR_DOUBLES = 10, TENSOR_UINT64 = 11,
	TENSOR_EXTERNAL = 13, TENSOR_LOCATION = 14,
	VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1,
};

/* ---- reading ---- */

/* Parses, and imports if that succeeded. */
static void load(struct fixture *f, const void *bytes, size_t n, const char *folder)
{
	if (setjmp(f->out)) {
		f->diag.status = NORMC_LIMIT;
		return;
	}
	f->context.arena = arena_open(&f->memory);
	f->context.dims = dims_new(f->context.arena);
	f->model = model_parse(&f->memory, &f->diag, bytes, n, folder);
	f->g = f->model ? import_model(&f->context, f->model, NULL) : NULL;
}

/* The bytes are refused with this status and text. */
static void refused(const struct bytes *b, enum normc_status status, const char *text)
{
	struct fixture *f = fixture_open((size_t)1 << 28);
	load(f, b->at, b->n, NULL);
	assert_null(f->g);
	if (f->diag.status != status || !strstr(f->lines, text))
		fail_msg("status %d, no '%s' in: %s", (int)f->diag.status, text, f->lines);
	fixture_close(f);
}

/* A model around a graph. */
static void wrap(struct bytes *model, const struct bytes *graph)
{
	static const unsigned char opset[] = {OPSET_VERSION << 3, 17};
	model->n = 0;
	put_int(model, MODEL_IR, 8);
	put_bytes(model, MODEL_OPSET, opset, sizeof opset);
	put_message(model, MODEL_GRAPH, graph);
}

/* A model whose only output is the initializer `tensor`, called "t". */
static void wrap_tensor(struct bytes *model, const struct bytes *tensor)
{
	static struct bytes graph, named;
	static const unsigned char type[] = {TYPE_TENSOR << 3 | 2, 0};
	named = *tensor;
	put_string(&named, TENSOR_NAME, "t");
	graph.n = 0;
	put_message(&graph, GRAPH_INITIALIZER, &named);
	named.n = 0;
	put_string(&named, VALUE_NAME, "t");
	put_bytes(&named, VALUE_TYPE, type, sizeof type);
	put_message(&graph, GRAPH_OUTPUT, &named);
	wrap(model, &graph);
}

/* The model's only output is a constant of this type with these bytes. */
static void holds(const struct bytes *tensor, enum normc_elem elem, const void *want, size_t n)
{
	static struct bytes model;
	struct fixture *f = fixture_open((size_t)1 << 28);
	wrap_tensor(&model, tensor);
	load(f, model.at, model.n, NULL);
	if (!f->g)
		fail_msg("%s", f->lines);
	const struct node *y = f->g->outputs[0];
	assert_int_equal(y->op, OP_constant);
	assert_int_equal(y->type.elem, elem);
	assert_int_equal(y->attr.data->bytes, n);
	assert_memory_equal(y->attr.data->p, want, n);
	fixture_close(f);
}

static void tensor_start(struct bytes *b, enum normc_elem elem, int64_t extent)
{
	b->n = 0;
	put_int(b, TENSOR_DIMS, (uint64_t)extent);
	put_int(b, TENSOR_TYPE, elem);
}

/* ---- tensors ---- */

static void encodings(void **state)
{
	static struct bytes b;
	const float f[3] = {1, -2, 3};
	const double d[2] = {0.5, 8};
	(void)state;
	tensor_start(&b, NORMC_F32, 3);
	put_bytes(&b, TENSOR_FLOATS, f, sizeof f); /* packed */
	holds(&b, NORMC_F32, f, sizeof f);
	tensor_start(&b, NORMC_F32, 3);
	put_bytes(&b, TENSOR_RAW, f, sizeof f);
	holds(&b, NORMC_F32, f, sizeof f);
	tensor_start(&b, NORMC_F64, 2);
	put_bytes(&b, TENSOR_DOUBLES, d, sizeof d);
	holds(&b, NORMC_F64, d, sizeof d);
	tensor_start(&b, NORMC_F16, 2);
	put_int(&b, TENSOR_INT32, 0x3c00); /* one field an element */
	put_int(&b, TENSOR_INT32, 0xc000);
	holds(&b, NORMC_F16, "\x00\x3c\x00\xc0", 4);
	tensor_start(&b, NORMC_I8, 2);
	put_int(&b, TENSOR_INT32, (uint64_t)-5);
	put_int(&b, TENSOR_INT32, 7);
	holds(&b, NORMC_I8, "\xfb\x07", 2);
	tensor_start(&b, NORMC_U32, 1);
	put_int(&b, TENSOR_UINT64, 0xfedcba98);
	holds(&b, NORMC_U32, "\x98\xba\xdc\xfe", 4);
	tensor_start(&b, NORMC_I64, 1);
	put_int(&b, TENSOR_INT64, (uint64_t)-2);
	holds(&b, NORMC_I64, "\xfe\xff\xff\xff\xff\xff\xff\xff", 8);
	tensor_start(&b, NORMC_F32, 0);
	holds(&b, NORMC_F32, "", 0);
}

static void narrow_encodings(void **state)
{
	static struct bytes b;
	(void)state;
	tensor_start(&b, NORMC_I4, 3);
	put_bytes(&b, TENSOR_RAW, "\x8f\x07", 2);
	holds(&b, NORMC_I4, "\xff\xf8\x07", 3);
	tensor_start(&b, NORMC_U4, 3);
	put_int(&b, TENSOR_INT32, 0x8f);
	put_int(&b, TENSOR_INT32, 0x07);
	holds(&b, NORMC_U4, "\x0f\x08\x07", 3);
	tensor_start(&b, NORMC_I2, 5);
	put_bytes(&b, TENSOR_RAW, "\xe4\x03", 2);
	holds(&b, NORMC_I2, "\x00\x01\xfe\xff\xff", 5);
	tensor_start(&b, NORMC_BOOL, 3);
	put_bytes(&b, TENSOR_RAW, "\x00\x02\x01", 3);
	holds(&b, NORMC_BOOL, "\x00\x01\x01", 3);
}

/* No raw_data can pass itself off as a reference into the file: all of it is data. */
static void forged_reference(void **state)
{
	static struct bytes b;
	const uint64_t forged[2] = {0, (uint64_t)1 << 40};
	(void)state;
	tensor_start(&b, NORMC_U64, 2);
	put_bytes(&b, TENSOR_RAW, forged, sizeof forged);
	holds(&b, NORMC_U64, forged, sizeof forged);
}

static void tensor_refused(const struct bytes *tensor, enum normc_status status, const char *text)
{
	static struct bytes model;
	wrap_tensor(&model, tensor);
	refused(&model, status, text);
}

static void wrong_tensors(void **state)
{
	static struct bytes b;
	(void)state;
	tensor_start(&b, NORMC_F32, 3);
	put_bytes(&b, TENSOR_RAW, "1234", 4);
	tensor_refused(&b, NORMC_INVALID, "4 bytes of data; its shape needs 12");
	tensor_start(&b, NORMC_F32, 3);
	tensor_refused(&b, NORMC_INVALID, "0 elements; its shape needs 3");
	tensor_start(&b, NORMC_F32, INT64_MAX);
	tensor_refused(&b, NORMC_INVALID, "too large");
	tensor_start(&b, NORMC_I4, INT64_MAX);
	tensor_refused(&b, NORMC_INVALID, "too large");
	tensor_start(&b, NORMC_F32, -1);
	tensor_refused(&b, NORMC_INVALID, "negative");
	tensor_start(&b, NORMC_F32, (int64_t)1 << 40);
	put_int(&b, TENSOR_DIMS, (uint64_t)1 << 40);
	tensor_refused(&b, NORMC_INVALID, "too large");
	tensor_start(&b, NORMC_F32, 1);
	put_int(&b, TENSOR_INT64, 1);
	tensor_refused(&b, NORMC_INVALID, "array of another type");
	tensor_start(&b, (enum normc_elem)8, 0);
	tensor_refused(&b, NORMC_UNSUPPORTED, "strings");
	tensor_start(&b, NORMC_F32, 0);
	for (int i = 0; i < 8; i++)
		put_int(&b, TENSOR_DIMS, 1);
	tensor_refused(&b, NORMC_UNSUPPORTED, "rank 9");
}

/* ---- wire format ---- */

static void broken_wire(void **state)
{
	static struct bytes b, graph, node;
	(void)state;
	b.n = graph.n = node.n = 0;
	put_message(&b, MODEL_GRAPH, &graph);
	put_message(&b, MODEL_GRAPH, &graph);
	refused(&b, NORMC_INVALID, "comes twice");
	put_bytes(&node, NODE_NAME, "a\0b", 3);
	put_message(&graph, GRAPH_NODE, &node);
	wrap(&b, &graph);
	refused(&b, NORMC_INVALID, "not UTF-8");
	node.n = graph.n = 0;
	put_string(&node, NODE_NAME, "\xed\xa0\x80"); /* a surrogate */
	put_message(&graph, GRAPH_NODE, &node);
	wrap(&b, &graph);
	refused(&b, NORMC_INVALID, "not UTF-8");
	b.n = 0;
	put_varint(&b, MODEL_GRAPH << 3 | 2);
	put_varint(&b, 1000);
	refused(&b, NORMC_INVALID, "beyond its end");
	b.n = 0;
	put(&b, "\xff\xff\xff\xff\xff\xff\xff", 7);
	refused(&b, NORMC_INVALID, "broken key");
	b.n = 0;
	put_varint(&b, MODEL_GRAPH << 3 | 3);
	refused(&b, NORMC_INVALID, "unknown wire type");
	b.n = 0;
	put_int(&b, MODEL_GRAPH, 1);
	refused(&b, NORMC_INVALID, "wrong wire type");
	b.n = 0;
	refused(&b, NORMC_INVALID, "no graph");
}

/* A node in a graph in an attribute in a node ... */
static void deep_nesting(void **state)
{
	static struct bytes b, part;
	(void)state;
	b.n = 0;
	for (int i = 0; i < 1999; i++) {
		part.n = 0;
		put_message(&part,
			    i % 3 == 0	 ? GRAPH_NODE
			    : i % 3 == 1 ? ATTRIBUTE_GRAPH
					 : NODE_ATTRIBUTE,
			    &b);
		b = part;
	}
	part.n = 0;
	put_message(&part, MODEL_GRAPH, &b);
	refused(&part, NORMC_LIMIT, "nested deeper than 64");
}

/* Two million bytes of empty nodes, and less memory than they would take. */
static void many_nodes(void **state)
{
	enum { N = LOAD_MAX_NODES + 1, HEAD = 6 };
	unsigned char *bytes = calloc(1, HEAD + 2 * (size_t)N);
	struct fixture *f = fixture_open((size_t)1 << 28);
	struct bytes head = {.n = 0};
	(void)state;
	assert_non_null(bytes);
	put_varint(&head, MODEL_GRAPH << 3 | 2);
	put_varint(&head, 2 * N);
	memcpy(bytes, head.at, head.n);
	for (size_t i = 0; i < N; i++)
		bytes[head.n + 2 * i] = GRAPH_NODE << 3 | 2;
	load(f, bytes, head.n + 2 * (size_t)N, NULL);
	assert_int_equal(f->diag.status, NORMC_LIMIT);
	assert_non_null(strstr(f->lines, "more than 1000000 nodes"));
	fixture_close(f);
	f = fixture_open((size_t)1 << 28);
	f->memory.limit = (size_t)20 << 20;
	head.n = 0;
	put_varint(&head, MODEL_GRAPH << 3 | 2);
	put_varint(&head, 2 * (N - 1));
	memcpy(bytes, head.at, head.n);
	load(f, bytes, head.n + 2 * (size_t)(N - 1), NULL);
	assert_int_equal(f->diag.status, NORMC_LIMIT);
	assert_non_null(strstr(f->lines, "MB of memory"));
	fixture_close(f);
	free(bytes);
}

/* ---- a real model, damaged ---- */

static unsigned char *read_file(const char *path, size_t *n)
{
	FILE *file = fopen(path, "rb");
	assert_non_null(file);
	assert_int_equal(fseek(file, 0, SEEK_END), 0);
	*n = (size_t)ftell(file);
	rewind(file);
	unsigned char *bytes = malloc(*n);
	assert_non_null(bytes);
	assert_int_equal(fread(bytes, 1, *n, file), *n);
	fclose(file);
	return bytes;
}

/* Any outcome will do but a crash, a leak or an error of our own. */
static void survive(const unsigned char *bytes, size_t n)
{
	unsigned char *copy = malloc(n + !n); /* so that the sanitizer sees the end */
	struct fixture *f = fixture_open((size_t)1 << 28);
	assert_non_null(copy);
	memcpy(copy, bytes, n);
	load(f, copy, n, NULL);
	if (f->diag.status == NORMC_BUG)
		fail_msg("%s", f->lines);
	fixture_close(f);
	free(copy);
}

static const char *const samples[] = {
	"tests/models/fashion_resnet.onnx", "tests/data/if.onnx", "tests/data/function.onnx",
	"tests/data/loop.onnx", "tests/data/scan.onnx", "tests/data/shapes.onnx"};

static void truncated(void **state)
{
	(void)state;
	for (size_t k = 0; k < sizeof samples / sizeof samples[0]; k++) {
		size_t n;
		unsigned char *bytes = read_file(samples[k], &n);
		for (size_t end = 0; end < n; end += n > 100000 ? 997 : 1)
			survive(bytes, end);
		free(bytes);
	}
}

static void flipped(void **state)
{
	uint64_t seed = 7;
	(void)state;
	for (size_t k = 1; k < sizeof samples / sizeof samples[0]; k++) {
		size_t n;
		unsigned char *bytes = read_file(samples[k], &n);
		for (size_t at = 0; at < n; at++) {
			unsigned char before = bytes[at];
			for (int i = 0; i < 24; i++) {
				size_t other = (size_t)test_random_below(&seed, n);
				unsigned char second = bytes[other];
				bytes[at] = (unsigned char)test_random_below(&seed, 256);
				if (i >= 16)
					bytes[other] = (unsigned char)test_random_below(&seed, 256);
				survive(bytes, n);
				bytes[other] = second;
				bytes[at] = before;
			}
		}
		free(bytes);
	}
}

/* ---- external data ---- */

static void write_file(const char *folder, const char *name, const void *p, size_t n)
{
	char path[600];
	snprintf(path, sizeof path, "%s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(p, 1, n, file), n);
	assert_int_equal(fclose(file), 0);
}

static void put_entry(struct bytes *tensor, const char *key, const char *value)
{
	struct bytes entry = {.n = 0};
	put_string(&entry, 1, key);
	put_string(&entry, 2, value);
	put_message(tensor, TENSOR_EXTERNAL, &entry);
}

/* Two floats at `location`, `offset` (NULL: left out), read beneath `folder`. */
static struct fixture *external(const char *folder, const char *location, const char *offset)
{
	static struct bytes b, model;
	struct fixture *f = fixture_open((size_t)1 << 28);
	tensor_start(&b, NORMC_F32, 2);
	put_entry(&b, "location", location);
	if (offset)
		put_entry(&b, "offset", offset);
	put_int(&b, TENSOR_LOCATION, 1);
	wrap_tensor(&model, &b);
	load(f, model.at, model.n, folder);
	return f;
}

static void external_refused(const char *folder, const char *location, const char *offset,
			     const char *text)
{
	struct fixture *f = external(folder, location, offset);
	assert_null(f->g);
	if (!strstr(f->lines, text))
		fail_msg("%s: no '%s' in: %s", location, text, f->lines);
	fixture_close(f);
}

static void external_data(void **state)
{
	const float data[4] = {1, 2, 3, 4};
	char folder[400], path[600], outside[600];
	(void)state;
	test_folder_new(folder, sizeof folder);
	snprintf(path, sizeof path, "%s/model", folder);
	assert_int_equal(mkdir(path, 0700), 0);
	snprintf(outside, sizeof outside, "%s/outside", folder);
	assert_int_equal(mkdir(outside, 0700), 0);
	write_file(outside, "secret", data, sizeof data);
	write_file(path, "data", data, sizeof data);
	char link[700];
	snprintf(link, sizeof link, "%s/link", path);
	assert_int_equal(symlink("../outside/secret", link), 0);
	snprintf(link, sizeof link, "%s/folder", path);
	assert_int_equal(symlink("../outside", link), 0);
	snprintf(link, sizeof link, "%s/pipe", path);
	assert_int_equal(mkfifo(link, 0600), 0);
	struct fixture *f = external(path, "data", "8");
	assert_non_null(f->g);
	assert_memory_equal(f->g->outputs[0]->attr.data->p, data + 2, 8);
	fixture_close(f);
	external_refused(path, "../outside/secret", NULL, "not beneath the model's folder");
	external_refused(path, "x/../../outside/secret", NULL, "not beneath the model's folder");
	external_refused(path, "/etc/passwd", NULL, "not beneath the model's folder");
	external_refused(NULL, "data", NULL, "not beneath the model's folder");
	external_refused(path, "link", NULL, "links are not followed");
	external_refused(path, "folder/secret", NULL, "links are not followed");
	external_refused(path, "pipe", NULL, "not a regular file");
	external_refused(path, ".", NULL, "not a regular file");
	external_refused(path, "missing", NULL, "cannot be opened");
	external_refused(path, "data", "9", "ends at byte 16");
	external_refused(path, "data", "18446744073709551615", "ends at byte 16");
	external_refused(path, "data", "18446744073709551616", "not a number");
	external_refused(path, "data", "-1", "not a number");
	test_folder_free(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(encodings), cmocka_unit_test(narrow_encodings),
		cmocka_unit_test(forged_reference), cmocka_unit_test(wrong_tensors),
		cmocka_unit_test(broken_wire), cmocka_unit_test(deep_nesting),
		cmocka_unit_test(many_nodes), cmocka_unit_test(truncated),
		cmocka_unit_test(flipped), cmocka_unit_test(external_data),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
