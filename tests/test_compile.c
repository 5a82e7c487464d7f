/* The compiler as a library: one model compiled by several threads, run through sessions, written
 * to files; wrong arguments and too little memory. */
#define _GNU_SOURCE
#include "test_cli.h"

#include <pthread.h>
#include <stdbool.h>

#include "normc.h"

static const float rows2[6] = {1, 2, 3, -4, 5.5f, 8};

static int setup(void **state)
{
	struct place *place;
	struct bytes model;
	place_new(state);
	place = *state;
	make_model(&model, "Add", "x", "y");
	write_file(place, "m.onnx", model.data, model.n);
	return 0;
}

static struct normc_model *load(const struct place *place)
{
	char path[1024];
	struct normc_model *model;
	struct normc_error error;
	path_in(place, "m.onnx", path);
	if (normc_model_load(&model, path, NULL, &error))
		fail_msg("%s", error.text);
	assert_int_equal(error.status, NORMC_OK);
	return model;
}

/* Runs y = x + x; returns whether it is right. */
static bool run_right(const struct normc_program *program)
{
	struct normc_session *session = NULL;
	struct normc_session_options options = {sizeof options, 1, 0};
	float x[6], y[6] = {0};
	struct normc_tensor in = {x, NORMC_F32, 2, {2, 3}}, out = {.data = y};
	memcpy(x, rows2, sizeof x);
	bool right = !normc_session_new(&session, program, &options, NULL) &&
		     !normc_session_bind(session, &in, &out, NULL) &&
		     !normc_run(session, &in, &out, NULL);
	for (int i = 0; i < 6; i++)
		right = right && y[i] == 2 * x[i];
	normc_session_free(session);
	return right;
}

static void *compile_and_run(void *user)
{
	struct normc_program *program = NULL;
	bool right = !normc_compile(&program, user, NULL, NULL) && run_right(program);
	normc_program_free(program);
	return right ? user : NULL;
}

static void test_threads(void **state)
{
	enum { THREADS = 4 };
	struct normc_model *model = load(*state);
	pthread_t thread[THREADS];
	for (int i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&thread[i], NULL, compile_and_run, model), 0);
	for (int i = 0; i < THREADS; i++) {
		void *end;
		pthread_join(thread[i], &end);
		assert_ptr_equal(end, model);
	}
	normc_model_free(model);
}

static void test_file(void **state)
{
	char path[1024];
	struct normc_model *model = load(*state);
	struct normc_program *program;
	struct normc_error error;
	path_in(*state, "out.so", path);
	if (normc_compile_file(model, path, NULL, &error))
		fail_msg("%s", error.text);
	normc_model_free(model);
	if (normc_program_open(&program, path, &error))
		fail_msg("%s", error.text);
	assert_true(run_right(program));
	normc_program_free(program);
}

/* The weights' file takes no other file's place. */
static void test_weights_file(void **state)
{
	static const char *const names[] = {"m.onnx", "out.o", "out.h"};
	char path[1024], weights[1024], before[4096];
	struct normc_model *model = load(*state);
	long n = read_file(*state, "m.onnx", before, sizeof before);
	path_in(*state, "out.o", path);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct normc_error error;
		struct normc_options options = {.size = sizeof options, .weights_file = weights};
		path_in(*state, names[i], weights);
		assert_int_equal(normc_compile_file(model, path, &options, &error), NORMC_USAGE);
		assert_says(error.text, "would overwrite");
	}
	assert_int_equal(read_file(*state, "m.onnx", before, sizeof before), n);
	assert_int_equal(read_file(*state, "out.h", before, sizeof before), -1);
	normc_model_free(model);
}

static void test_options(void **state)
{
	struct normc_model *model = load(*state);
	struct normc_program *program;
	struct normc_error error;
	size_t n;
	const char *const dims[] = {"N=2", NULL};
	struct normc_options options = {.size = sizeof options, .dims = dims};
	assert_int_equal(normc_compile(&program, model, &options, &error), NORMC_OK);
	assert_int_equal(normc_program_inputs(program, &n)->dim[0], 2);
	assert_true(run_right(program));
	normc_program_free(program);
	options = (struct normc_options){.size = sizeof options, .cpu = "pentium9"};
	assert_int_equal(normc_compile(&program, model, &options, &error), NORMC_USAGE);
	assert_null(program);
	assert_says(error.text, "pentium9");
	/* a caller with an older, shorter structure */
	options.size = offsetof(struct normc_options, cpu);
	assert_int_equal(normc_compile(&program, model, &options, &error), NORMC_OK);
	normc_program_free(program);
	normc_model_free(model);
}

/* Every limit from nothing to enough ends in NORMC_LIMIT or success. */
static void test_memory(void **state)
{
	char path[1024];
	bool enough = false;
	path_in(*state, "m.onnx", path);
	for (size_t limit = 1; !enough; limit += limit / 2 + 1) {
		struct normc_options options = {.size = sizeof options, .memory_limit = limit};
		struct normc_model *model;
		struct normc_program *program = NULL;
		struct normc_error error;
		enum normc_status status = normc_model_load(&model, path, &options, &error);
		if (!status)
			status = normc_compile(&program, model, &options, &error);
		enough = !status;
		if (status != NORMC_OK && status != NORMC_LIMIT)
			fail_msg("limit %zu: %s", limit, error.text);
		normc_program_free(program);
		normc_model_free(model);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test_setup_teardown(test_threads, setup, place_free),
			cmocka_unit_test_setup_teardown(test_file, setup, place_free),
			cmocka_unit_test_setup_teardown(test_weights_file, setup, place_free),
			cmocka_unit_test_setup_teardown(test_options, setup, place_free),
			cmocka_unit_test_setup_teardown(test_memory, setup, place_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
