/* What surrounds the nodes of a written model: names, metadata, opsets, limits, refusals. */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "roundtrip.h"
#include "onnx/onnx.pb-c.h"

static const char rms_text[] =
		"graph \"the graph\"\n"
		"meta \"author\" \"somebody\"\n"
		"meta \"license\" \"none\"\n"
		"%0 = input \"x\" : f32[N,4]\n"
		"%1 = input \"relu\" : f32[1,4]\n"
		"%2 = norm %0 %1 {axes [1] centre none scale rms epsilon 1e-05 place inside "
		"unbiased false gamma true beta false} : f32[N,4]\n"
		"%3 = abs %2 : f32[N,4]\n"
		"%4 = abs %3 : f32[N,4]\n"
		"%5 = neg %4 : f32[N,4]\n"
		"return %5 \"abs\", %3 \"abs_1\"\n";

static struct graph *parse(struct bench *b, const char *text)
{
	struct graph *g = graph_parse(&b->context, text);
	if (!g)
		fail_msg("%s", b->diag.first);
	return g;
}

/* The opset that a model is written for. */
static int32_t opset_of(struct bench *b, int32_t own, int32_t cap)
{
	struct export_request request = {.opset = own, .cap = cap};
	struct written w;
	if (!roundtrip_write(parse(b, rms_text), &request, &w))
		fail_msg("%s", b->diag.first);
	struct fixture *f = roundtrip_read(&w);
	assert_int_equal(export_model_opset(f->model), w.summary.opset);
	assert_int_equal(export_model_nodes(f->model), w.summary.nodes);
	fixture_close(f);
	free(w.bytes);
	return w.summary.opset;
}

static void test_opsets(void **state)
{
	struct bench *b = *state;
	assert_int_equal(opset_of(b, 17, 23), 23); /* RMSNormalization */
	assert_int_equal(opset_of(b, 24, 28), 24);
	assert_int_equal(opset_of(b, 7, 22), 15); /* a function of the model */
	assert_int_equal(opset_of(b, 7, 14), 13);
	assert_int_equal(opset_of(b, 18, 22), 18);
	assert_int_equal(opset_of(b, 18, 15), 15);
}

static void test_refused_opsets(void **state)
{
	static const int32_t caps[] = {12, 29, 0, -1};
	struct bench *b = *state;
	struct written w;
	for (size_t i = 0; i < sizeof caps / sizeof *caps; i++) {
		struct export_request request = {.opset = 17, .cap = caps[i]};
		b->diag = (struct diag){0};
		assert_false(roundtrip_write(parse(b, rms_text), &request, &w));
		assert_int_equal(b->diag.status, NORMC_USAGE);
		free(w.bytes);
	}
}

/* Names of inputs and outputs stay, and those of nodes keep out of their way. */
static void test_names(void **state)
{
	struct bench *b = *state;
	struct export_request request = {.opset = 17, .cap = 17};
	struct written w;
	assert_true(roundtrip_write(parse(b, rms_text), &request, &w));
	struct fixture *f = roundtrip_read(&w);
	const Onnx__ModelProto *model = f->model->proto;
	assert_string_equal(model->graph->name, "the graph");
	assert_int_equal(model->n_metadata_props, 2);
	assert_string_equal(model->metadata_props[1]->key, "license");
	assert_string_equal(model->metadata_props[1]->value, "none");
	assert_string_equal(f->g->inputs[0]->attr.port->name, "x");
	assert_string_equal(f->g->inputs[1]->attr.port->name, "relu");
	assert_string_equal(f->g->output_names[0], "abs");
	assert_string_equal(f->g->output_names[1], "abs_1");
	assert_string_equal(model->graph->input[0]->type->tensor_type->shape->dim[0]->dim_param,
			    "N");
	for (size_t i = 0; i < model->graph->n_node; i++)
		for (size_t k = 0; k < i; k++) {
			const Onnx__NodeProto *one = model->graph->node[i],
					      *other = model->graph->node[k];
			assert_string_not_equal(one->name, other->name);
			assert_string_not_equal(one->output[0], other->output[0]);
		}
	fixture_close(f);
	free(w.bytes);
}

/* What the graph came from gives its producer and version. */
static void test_producer(void **state)
{
	struct bench *b = *state;
	struct export_request request = {.opset = 17, .cap = 17};
	struct written w, again;
	assert_true(roundtrip_write(parse(b, rms_text), &request, &w));
	struct fixture *f = roundtrip_read(&w);
	Onnx__ModelProto *model = (Onnx__ModelProto *)(uintptr_t)f->model->proto;
	model->producer_name = arena_string(f->context.arena, "a producer");
	model->has_model_version = 1;
	model->model_version = 7;
	request.model = f->model;
	assert_true(roundtrip_write(f->g, &request, &again));
	struct fixture *second = roundtrip_read(&again);
	const Onnx__ModelProto *copy = second->model->proto;
	assert_string_equal(copy->producer_name, "a producer");
	assert_int_equal(copy->model_version, 7);
	fixture_close(second);
	fixture_close(f);
	free(w.bytes);
	free(again.bytes);
}

/* A protobuf file ends at 2 GiB. */
static void test_too_large(void **state)
{
	struct bench *b = *state;
	struct export_request request = {.opset = 17, .cap = 17};
	struct written w;
	size_t bytes = ((size_t)1 << 31) + 16;
	void *p = mmap(NULL, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED) {
		skip();
		return;
	}
	struct type type = type_fixed(&b->context, NORMC_U8, 1, (int64_t[]){(int64_t)bytes});
	graph_output(b->graph, build_constant(b->graph, &type, p, bytes), "y");
	assert_false(roundtrip_write(b->graph, &request, &w));
	assert_int_equal(b->diag.status, NORMC_LIMIT);
	assert_non_null(strstr(b->diag.first, "2 GiB"));
	free(w.bytes);
	munmap(p, bytes);
}

/* A disk that is full. */
static void test_failed_write(void **state)
{
	struct bench *b = *state;
	struct export_request request = {.opset = 17, .cap = 17};
	struct export_summary summary;
	FILE *file = fopen("/dev/full", "wb");
	if (!file) {
		skip();
		return;
	}
	setvbuf(file, NULL, _IONBF, 0);
	assert_false(export_model(parse(b, rms_text), &request, file, &summary));
	assert_int_equal(b->diag.status, NORMC_IO);
	fclose(file);
}

/* Operators that took bf16 later than the wider types. */
static void test_late_types(void **state)
{
	static const struct {
		const char *operation, *operator;
		int32_t opset;
	} late[] = {{"sin", "Sin", 22}, {"acosh", "Acosh", 22}, {"round", "Round", 22}};
	struct bench *b = *state;
	for (size_t i = 0; i < sizeof late / sizeof *late; i++) {
		char text[200], says[100];
		struct export_request request = {.opset = 13, .cap = late[i].opset - 1};
		struct written w;
		snprintf(text, sizeof text,
			 "graph \"g\"\n%%0 = input \"x\" : bf16[3]\n%%1 = %s %%0 : bf16[3]\n"
			 "return %%1 \"y\"\n",
			 late[i].operation);
		snprintf(says, sizeof says, "%s of bf16 needs opset %d", late[i].operator,
			 late[i].opset);
		b->diag = (struct diag){0};
		assert_false(roundtrip_write(parse(b, text), &request, &w));
		assert_int_equal(b->diag.status, NORMC_UNSUPPORTED);
		assert_non_null(strstr(b->diag.first, says));
		free(w.bytes);
		b->diag = (struct diag){0};
		request.cap = late[i].opset;
		assert_true(roundtrip_write(parse(b, text), &request, &w));
		assert_int_equal(w.summary.opset, late[i].opset);
		free(w.bytes);
	}
}

/* The report names the node, the operation and what would help. */
static void test_refused_operation(void **state)
{
	struct bench *b = *state;
	struct export_request request = {.opset = 17, .cap = 23};
	struct written w;
	struct graph *g = parse(b, "graph \"g\"\n%0 = input \"x\" : i32[3]\n"
				   "%1 = bitcast %0 {to u32 wrap false} : u32[3]\n"
				   "return %1 \"y\"\n");
	assert_false(roundtrip_write(g, &request, &w));
	assert_int_equal(b->diag.status, NORMC_UNSUPPORTED);
	assert_non_null(strstr(b->diag.first, "the operation 'bitcast' cannot be written as ONNX"));
	assert_non_null(strstr(b->diag.first, "--opset 26"));
	free(w.bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			BENCH_TEST(test_opsets),     BENCH_TEST(test_refused_opsets),
			BENCH_TEST(test_names),	     BENCH_TEST(test_producer),
			BENCH_TEST(test_too_large),  BENCH_TEST(test_failed_write),
			BENCH_TEST(test_late_types), BENCH_TEST(test_refused_operation),
	};
	return cmocka_run_group_tests_name("export_model", tests, NULL, NULL);
}
