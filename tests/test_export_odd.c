/* Models with something odd about them (tests/data/odd_*.onnx, described in make.py), rewritten and
 * written below several caps: what is written can be read, means the same to the interpreter, and
 * has no name twice; or the report names the node and what it needs.
 */
#include "names.h"
#include "roundtrip.h"

struct odd {
	const char *name;
	int32_t cap;
	const char *operators; /* of the main graph */
	const char *refusal;   /* instead */
};

static const struct odd odds[] = {
		{"names", 14,
		 "Relu Abs Exp Shape Gather Min Slice ReduceMean Sub Mul ReduceMean Add Sqrt Div "
		 "Mul",
		 NULL},
		{"names", 16, "Relu Abs Exp Shape Gather Min Slice normc.nn.LayerNormalization",
		 NULL},
		{"names", 23, "Relu Abs Exp Shape Gather Min Slice LayerNormalization", NULL},
		{"outputs", 13, "Neg Sub Identity Identity Identity Identity", NULL},
		{"float16", 13,
		 "MatMul Cast Mul ReduceMean Add Sqrt Div Cast Mul Cast Add Cast Div Erf Add Mul "
		 "Mul Less Where",
		 NULL},
		{"float16", 18,
		 "MatMul normc.nn.RMSNormalization Add Div Erf Add Mul Mul Less Where", NULL},
		{"float16", 23, "MatMul RMSNormalization Add Div Erf Add Mul Mul Less Where", NULL},
		{"bfloat16", 15, NULL,
		 "node 16 'y' (Where, opset 17): the operation 'where' cannot be written as ONNX: "
		 "Where of bf16 needs opset 16; --opset 16 allows it"},
		{"bfloat16", 16,
		 "MatMul normc.nn.RMSNormalization Add Div Erf Add Mul Mul Less Where", NULL},
		{"bfloat16", 23, "MatMul RMSNormalization Add Div Erf Add Mul Mul Less Where",
		 NULL},
		{"double", 13,
		 "MatMul Mul ReduceMean Add Sqrt Div Mul Add Div Erf Add Mul Mul Less Where", NULL},
		{"double", 18,
		 "MatMul Mul ReduceMean Add Sqrt Div Mul Add Div Erf Add Mul Mul Less Where", NULL},
		{"double", 23,
		 "MatMul Mul ReduceMean Add Sqrt Div Mul Add Div Erf Add Mul Mul Less Where", NULL},
		{"symbols", 13, "Concat Reshape Shape Gather Expand Concat Slice", NULL},
		{"symbols", 23, "Concat Reshape Shape Gather Expand Concat Slice", NULL},
		{"if", 14, "If", NULL},
		{"if", 16, "If", NULL},
		{"if", 23, "If", NULL},
		{"loop", 14, "Loop", NULL},
		{"loop", 16, "Loop", NULL},
		{"loop", 23, "Loop", NULL},
		{"spectrum", 16, NULL,
		 "node 1 'spectrum' (STFT, opset 17): the operation 'stft' cannot be written as "
		 "ONNX: STFT needs opset 17; --opset 17 allows it"},
		{"spectrum", 17, "TopK STFT", NULL},
};

/* A model and what is tried with it. */
struct trial {
	struct bench *b;
	struct model *model;
	struct maker *m; /* its graph is the imported one */
};

static struct trial trial_open(const char *name)
{
	char path[1000];
	void *opened;
	struct trial t = {.m = calloc(1, sizeof *t.m)};
	assert_non_null(t.m);
	bench_open(&opened);
	t.b = t.m->b = opened;
	snprintf(path, sizeof path, "%s/tests/data/odd_%s.onnx", NORMC_SOURCE_DIR, name);
	t.model = model_open(&t.b->memory, &t.b->diag, path);
	t.m->g = t.model ? import_model(&t.b->context, t.model, NULL) : NULL;
	if (!t.m->g)
		fail_msg("%s: %s", name, t.b->diag.first);
	for (int i = 0; i < SYMBOLS; i++)
		t.m->size[i] = 2 + i;
	for (uint32_t i = 0; i < t.m->g->n_inputs; i++)
		t.m->of[i] = (struct values){.low = -2, .high = 2};
	return t;
}

static void trial_close(struct trial *t)
{
	void *opened = t->b;
	model_close(t->model);
	bench_close(&opened);
	free(t->m);
}

/* Marks a name as used. */
static void take(struct names *taken, const char *name)
{
	void **slot = names_slot(taken, name);
	assert_true(*name);
	if (*slot)
		fail_msg("the name '%s' is made twice", name);
	*slot = (void *)(uintptr_t)1;
}

/* Names of a graph's values and those of its sub-graphs, which see the outer ones. */
static void take_names(struct names *values, struct names *nodes, const Onnx__GraphProto *g)
{
	for (size_t i = 0; i < g->n_input; i++)
		take(values, g->input[i]->name);
	for (size_t i = 0; i < g->n_initializer; i++)
		take(values, g->initializer[i]->name);
	for (size_t i = 0; i < g->n_node; i++) {
		const Onnx__NodeProto *n = g->node[i];
		take(nodes, n->name);
		for (size_t k = 0; k < n->n_output; k++)
			take(values, n->output[k]);
		for (size_t k = 0; k < n->n_attribute; k++)
			if (n->attribute[k]->g)
				take_names(values, nodes, n->attribute[k]->g);
	}
}

static void test_odd(void **state)
{
	const struct odd *odd = *state;
	struct pass_options options = {.verify = true};
	struct trial t = trial_open(odd->name);
	struct export_request request = {
			.model = t.model, .opset = export_model_opset(t.model), .cap = odd->cap};
	char operators[500];
	struct written w;
	struct graph *rewritten = passes_run(t.m->g, &options);
	assert_non_null(rewritten);
	bool ok = roundtrip_write(rewritten, &request, &w);
	if (odd->refusal) {
		assert_false(ok);
		assert_int_equal(t.b->diag.status, NORMC_UNSUPPORTED);
		assert_non_null(strstr(t.b->diag.first, odd->refusal));
	} else {
		if (!ok)
			fail_msg("%s", t.b->diag.first);
		struct fixture *f = roundtrip_read(&w);
		struct arena *arena = f->context.arena;
		const Onnx__ModelProto *proto = f->model->proto;
		take_names(names_new(arena), names_new(arena), proto->graph);
		roundtrip_operators(f, operators, sizeof operators);
		assert_string_equal(operators, odd->operators);
		roundtrip_compare(t.m, f, 1e-6);
		fixture_close(f);
	}
	free(w.bytes);
	trial_close(&t);
}

/* What a model says about itself stays. */
static void test_metadata(void **state)
{
	(void)state;
	struct trial t = trial_open("outputs");
	struct export_request request = {.model = t.model, .opset = 13, .cap = 13};
	struct written w;
	assert_true(roundtrip_write(t.m->g, &request, &w));
	struct fixture *f = roundtrip_read(&w);
	const Onnx__ModelProto *model = f->model->proto;
	assert_string_equal(model->doc_string, "What it is for.");
	assert_string_equal(model->producer_name, "make.py");
	assert_string_equal(model->domain, "some.where");
	assert_int_equal(model->model_version, 7);
	assert_int_equal(model->n_metadata_props, 3);
	assert_string_equal(model->metadata_props[1]->value, "");
	assert_string_equal(model->metadata_props[2]->key, "of two\nlines");
	fixture_close(f);
	free(w.bytes);
	trial_close(&t);
}

int main(void)
{
	enum { N = sizeof odds / sizeof *odds };
	struct CMUnitTest tests[N + 1];
	memset(tests, 0, sizeof tests);
	for (size_t i = 0; i < N; i++)
		tests[i] = (struct CMUnitTest){.name = odds[i].name,
					       .test_func = test_odd,
					       .initial_state = (void *)(uintptr_t)&odds[i]};
	tests[N] = (struct CMUnitTest)cmocka_unit_test(test_metadata);
	return _cmocka_run_group_tests("export_odd", tests, N + 1, NULL, NULL);
}
