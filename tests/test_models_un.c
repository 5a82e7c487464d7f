/* Unified Normalization at compile time: of the fixtures trained with it, before and behind the
 * branches, no norm and no scale or shift of channels is left, and on the 10,000 test pictures
 * (Debian's dataset-fashion-mnist, if it is there) no prediction changes.
 */
#define _GNU_SOURCE
#include "compile.h"
#include "test.h"
#include "value.h"

#define MODELS	 NORMC_SOURCE_DIR "/tests/models/"
#define PICTURES "/usr/share/datasets/fashion-mnist/t10k-"
#define NO_FOLDS "-recognize,-fold_norm,-recentre,-absorb,-gauge"

enum { COUNT = 10000, BATCH = 500, PIXELS = 28 * 28, CLASSES = 10 };

struct fixture {
	const char *name;
	uint32_t norms;
};
static const struct fixture pre_norm = {"fashion_vit_un", 9},
			    post_norm = {"fashion_vit_post_un", 4};

static struct normc_model *load(const struct fixture *f)
{
	char path[500];
	struct normc_model *model;
	struct normc_error error;
	snprintf(path, sizeof path, MODELS "%s.onnx", f->name);
	if (normc_model_load(&model, path, NULL, &error))
		fail_msg("%s", error.text);
	return model;
}

/* ---- what is left ---- */

static bool varies(const struct node *n)
{
	double value;
	return constant_of(n) && !splat_of(n, &value);
}

static bool makes_biased(const struct node *n)
{
	return n->op == OP_matmul || n->op == OP_conv || n->op == OP_concat /* positions */;
}

/* Scales and shifts by constants that vary, biases and positions aside. */
static uint32_t count_maps(const struct graph *g)
{
	uint32_t maps = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		assert_true(n->op != OP_norm && n->op != OP_sqrt);
		if (n->op == OP_mul || n->op == OP_div)
			maps += varies(n->in[0]) || varies(n->in[1]);
		else if (n->op == OP_add)
			maps += varies(n->in[1]) && !makes_biased(n->in[0]);
	}
	return maps;
}

static bool optimise(struct compile *c, void *user)
{
	(void)user;
	return compile_to(c, STAGE_OPTIMISED);
}

static uint32_t maps_after(const struct normc_model *model, const char *passes)
{
	struct normc_options options = {.size = sizeof options, .passes = passes};
	struct normc_error error;
	struct compile c;
	compile_begin(&c, model, &options);
	uint32_t maps = compile_guard(&c, optimise, NULL) ? count_maps(c.graph) : UINT32_MAX;
	if (compile_end(&c, &error))
		fail_msg("%s", error.text);
	return maps;
}

static void test_maps(void **state)
{
	const struct fixture *f = *state;
	struct normc_model *model = load(f);
	assert_int_equal(maps_after(model, NULL), 0);
	assert_int_equal(maps_after(model, NO_FOLDS), 2 * f->norms);
	normc_model_free(model);
}

/* ---- predictions ---- */

/* The bytes of a compressed file behind its header; false if it is not there. */
static bool read_items(const char *path, size_t header, unsigned char *items, size_t bytes)
{
	char command[500], head[16];
	if (access(path, R_OK))
		return false;
	snprintf(command, sizeof command, "gzip -dc %s", path);
	FILE *pipe = popen(command, "r");
	assert_non_null(pipe);
	assert_int_equal(fread(head, 1, header, pipe), header);
	assert_int_equal(fread(items, 1, bytes, pipe), bytes);
	assert_int_equal(pclose(pipe), 0);
	return true;
}

static int best_of(const float *score)
{
	int best = 0;
	for (int k = 1; k < CLASSES; k++)
		best = score[k] > score[best] ? k : best;
	return best;
}

static void predict(const struct normc_model *model, const char *passes,
		    const unsigned char *pictures, int *prediction)
{
	static float image[BATCH * PIXELS], score[BATCH * CLASSES];
	struct normc_options options = {.size = sizeof options, .passes = passes};
	struct normc_tensor in = {image, NORMC_F32, 4, {BATCH, 1, 28, 28}}, out = {.data = score};
	struct normc_program *program;
	struct normc_session *session;
	struct normc_error error;
	if (normc_compile(&program, model, &options, &error) ||
	    normc_session_new(&session, program, NULL, &error) ||
	    normc_session_bind(session, &in, &out, &error))
		fail_msg("%s", error.text);
	for (int first = 0; first < COUNT; first += BATCH) {
		for (int i = 0; i < BATCH * PIXELS; i++)
			image[i] = (float)pictures[first * PIXELS + i] / 255;
		if (normc_run(session, &in, &out, &error))
			fail_msg("%s", error.text);
		for (int i = 0; i < BATCH; i++)
			prediction[first + i] = best_of(&score[(ptrdiff_t)i * CLASSES]);
	}
	normc_session_free(session);
	normc_program_free(program);
}

/* Share of right answers as the training recorded it. */
static double recorded(const char *name)
{
	char text[1000], key[100];
	FILE *file = fopen(MODELS "accuracy.json", "r");
	assert_non_null(file);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	snprintf(key, sizeof key, "\"%s\":", name);
	const char *at = strstr(text, key);
	assert_non_null(at);
	return strtod(at + strlen(key), NULL);
}

static void test_predictions(void **state)
{
	static unsigned char pictures[COUNT * PIXELS], labels[COUNT];
	static int with[COUNT], without[COUNT];
	const struct fixture *f = *state;
	int right = 0;
	if (!read_items(PICTURES "images-idx3-ubyte.gz", 16, pictures, sizeof pictures) ||
	    !read_items(PICTURES "labels-idx1-ubyte.gz", 8, labels, sizeof labels)) {
		print_message("no pictures in " PICTURES "*\n");
		skip();
		return;
	}
	struct normc_model *model = load(f);
	predict(model, NULL, pictures, with);
	predict(model, NO_FOLDS, pictures, without);
	normc_model_free(model);
	for (int i = 0; i < COUNT; i++)
		right += with[i] == labels[i];
	assert_memory_equal(with, without, sizeof with);
	print_message("%s: %d of %d right\n", f->name, right, COUNT);
	assert_true(fabs((double)right / COUNT - recorded(f->name)) < 0.0005);
}

int main(void)
{
#define FIXTURE_TEST(test, of)                                                                     \
	{                                                                                          \
#test " " #of, test, NULL, NULL, (void *)(uintptr_t)&of                            \
	}
	const struct CMUnitTest tests[] = {FIXTURE_TEST(test_maps, pre_norm),
					   FIXTURE_TEST(test_maps, post_norm),
					   FIXTURE_TEST(test_predictions, pre_norm),
					   FIXTURE_TEST(test_predictions, post_norm)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
