/* The runtime without a compiler: a model written by hand (y = 2x with one unknown extent) is
 * bound, run on one and several threads, refused with wrong tensors, and loaded from damaged
 * descriptors. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "module.h"
#include "program.h"

#define COLUMNS 3
#define SPLIT	16 /* rows in one task */

struct image {
	struct normc_desc desc;
	struct normc_desc_port input, times, output;
	struct normc_desc_symbol symbols[2];
	struct normc_desc_kernel kernel;
	struct normc_desc_condition conditions[2];
	char strings[64];
};

static const struct image sound = {
		.desc = {"normc\0\0", NORMC_ABI, sizeof(struct image),
			 offsetof(struct image, strings), 2, offsetof(struct image, input), 1,
			 offsetof(struct image, output), 2, offsetof(struct image, symbols), 1,
			 offsetof(struct image, kernel), 2, offsetof(struct image, conditions), 0,
			 0, 0},
		.input = {offsetof(struct image, strings) + 6, NORMC_F32, 2, 0, {-1, COLUMNS}},
		.times = {offsetof(struct image, strings) + 8, NORMC_I64, 1, 0, {1}},
		.output = {offsetof(struct image, strings) + 14,
			   NORMC_F32,
			   3,
			   0,
			   {-1, COLUMNS, -2}},
		.symbols = {{offsetof(struct image, strings) + 16, 0, 0, 0},
			    {offsetof(struct image, strings) + 18, 1, 0, 1}},
		.kernel = {offsetof(struct image, strings) + 20, 7},
		.conditions = {{offsetof(struct image, strings) + 23, 1,
				offsetof(struct image, strings) + 16,
				offsetof(struct image, strings) + 5},
			       {offsetof(struct image, strings) + 5, 0,
				offsetof(struct image, strings) + 18,
				offsetof(struct image, strings) + 5}},
		.strings = "twice\0x\0times\0y\0N\0T\0n7_twice",
};

/* The descriptor that the module function hands out; one that the tests damage.  It is as long as a
 * descriptor may be, so that damaged offsets stay inside. */
static union {
	struct image image;
	unsigned char bytes[NORMC_DESC_LIMIT];
	uint64_t align;
} model;

static int32_t twice_dims(const int64_t *symbols, int64_t *dims)
{
	dims[0] = symbols[0];
	dims[1] = COLUMNS;
	dims[2] = symbols[1];
	if (symbols[0] == 77)
		dims[1] = 78;
	if (symbols[1] == -2)
		dims[0] = -2;
	return symbols[0] == 77 ? 2 : symbols[1] == -2 ? 3 : symbols[1] < 0;
}

static int32_t twice_sizes(const int64_t *symbols, struct normc_sizes *sizes)
{
	sizes->scratch = 40;
	return __builtin_mul_overflow(symbols[0], (int64_t)sizeof(float) * COLUMNS,
				      &sizes->workspace);
}

static void twice_flops(const int64_t *symbols, double *flops)
{
	flops[0] = (double)(symbols[0] * COLUMNS);
}

/* Goes through scratch and workspace, to have them checked by the sanitizers. */
static void twice_kernel(struct normc_frame *frame, int64_t task, int64_t thread, const void *table)
{
	const float *x = frame->inputs[0];
	float *y = frame->outputs[0], *kept = (float *)frame->workspace;
	float *scratch = (float *)(frame->scratch + frame->scratch_bytes * thread);
	int64_t rows = frame->symbols[0], times = frame->symbols[1];

	assert_true(thread < frame->threads);
	assert_ptr_equal(table, &model);
	for (int64_t i = task * SPLIT * COLUMNS;
	     i < (task + 1) * SPLIT * COLUMNS && i < rows * COLUMNS; i++) {
		scratch[0] = x[i];
		kept[i] = 2 * scratch[0];
		for (int64_t t = 0; t < times; t++)
			y[i * times + t] = kept[i];
		if (x[i] < 0)
			normc_rt_fail(frame, 0, NORMC_INVALID);
	}
}

static int32_t twice_run(struct normc_frame *frame)
{
	assert_int_equal((uintptr_t)frame->workspace % 64, 0);
	assert_int_equal((uintptr_t)frame->scratch % 64, 0);
	assert_int_equal(frame->scratch_bytes, 64);
	normc_rt_mark(frame, 0);
	normc_rt_parallel(frame, twice_kernel, (frame->symbols[0] + SPLIT - 1) / SPLIT, &model);
	normc_rt_mark(frame, 1);
	return frame->status;
}

static void twice_module(struct normc_module *module)
{
	*module = (struct normc_module){&model.image.desc, NULL,	twice_dims,
					twice_sizes,	   twice_flops, twice_run};
}

static struct normc_program *open_sound(void)
{
	struct normc_program *program;

	memset(&model, 0, sizeof(model));
	model.image = sound;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL), NORMC_OK);
	return program;
}

static void test_names(void **state)
{
	(void)state;
	assert_string_equal(normc_elem_name(NORMC_F8E4M3FN), "f8e4m3fn");
	assert_string_equal(normc_elem_name((enum normc_elem)99), "none");
	assert_int_equal(normc_elem_size(NORMC_I4), 1);
	assert_int_equal(normc_elem_size(NORMC_F64), 8);
	assert_int_equal(normc_elem_size((enum normc_elem)8), 0);
	assert_string_equal(normc_status_text(NORMC_OK), "ok");
	assert_non_null(normc_status_text((enum normc_status)99));
}

static void test_ports(void **state)
{
	struct normc_program *program = open_sound();
	size_t count;
	const struct normc_port *port = normc_program_inputs(program, &count);

	(void)state;
	assert_int_equal(count, 2);
	assert_string_equal(port[0].name, "x");
	assert_int_equal(port[0].dim[0], -1);
	assert_string_equal(port[0].symbol[0], "N");
	assert_int_equal(port[0].dim[1], COLUMNS);
	port = normc_program_outputs(program, &count);
	assert_int_equal(count, 1);
	assert_string_equal(port[0].symbol[2], "T");
	normc_program_free(program);
}

static void run_twice(struct normc_program *program, int32_t threads, int64_t rows, int64_t times)
{
	struct normc_session_options options = {sizeof(options), threads, 0};
	struct normc_session *session;
	float *x = calloc((size_t)rows * COLUMNS + 1, sizeof(*x));
	float *y = calloc((size_t)(rows * COLUMNS * times) + 1, sizeof(*y));
	struct normc_tensor in[2] = {{x, NORMC_F32, 2, {rows, COLUMNS}},
				     {&times, NORMC_I64, 1, {1}}};
	struct normc_tensor out = {.data = y};

	for (int64_t i = 0; i < rows * COLUMNS; i++)
		x[i] = (float)i;
	assert_int_equal(normc_session_new(&session, program, &options, NULL), NORMC_OK);
	assert_int_equal(normc_session_bind(session, in, &out, NULL), NORMC_OK);
	assert_ptr_equal(out.data, y);
	assert_int_equal(out.rank, 3);
	assert_int_equal(out.dim[0], rows);
	assert_int_equal(out.dim[2], times);
	for (int repeat = 0; repeat < 50; repeat++) {
		memset(y, 0, (size_t)(rows * COLUMNS * times) * sizeof(*y));
		assert_int_equal(normc_run(session, in, &out, NULL), NORMC_OK);
		for (int64_t i = 0; i < rows * COLUMNS * times; i++)
			assert_true(y[i] == 2 * x[i / times]);
	}
	normc_session_free(session);
	free(x);
	free(y);
}

static void test_run(void **state)
{
	static const int64_t rows[] = {0, 1, 16, 17, 1000};
	struct normc_program *program = open_sound();

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		run_twice(program, 1, rows[i], 2);
		run_twice(program, 4, rows[i], 3);
	}
	run_twice(program, 0, 100, 0);
	normc_program_free(program);
}

static void test_wrong_tensors(void **state)
{
	struct normc_program *program = open_sound();
	struct normc_session *session;
	struct normc_error error;
	float x[6] = {0, 1, 2, 3, 4, -5}, y[12];
	int64_t times = 2;
	const struct normc_tensor right[2] = {{x, NORMC_F32, 2, {2, COLUMNS}},
					      {&times, NORMC_I64, 1, {1}}};
	struct normc_tensor in[2], out = {.data = y};

	(void)state;
	assert_int_equal(normc_session_new(&session, program, NULL, NULL), NORMC_OK);
	assert_int_equal(normc_run(session, right, &out, &error), NORMC_USAGE);
	assert_int_equal(normc_session_workspace(session), 0);
#define REFUSED(change)                                                                            \
	memcpy(in, right, sizeof(in));                                                             \
	change;                                                                                    \
	assert_int_equal(normc_session_bind(session, in, &out, &error), NORMC_USAGE);              \
	assert_int_equal(error.status, NORMC_USAGE)
	REFUSED(in[0].elem = NORMC_F64);
	REFUSED(in[0].rank = 3);
	REFUSED(in[0].rank = -1);
	REFUSED(in[0].dim[1] = 4);
	REFUSED(in[0].dim[0] = -1);
	REFUSED(in[0].dim[0] = INT64_MAX / 2);
	REFUSED(in[1].data = NULL);
	REFUSED(in[1].dim[0] = 2);
	REFUSED(times = -1);
#undef REFUSED
	times = 2;
	assert_int_equal(normc_session_bind(session, right, &out, &error), NORMC_OK);
	assert_int_equal(normc_session_workspace(session), 64);
	memcpy(in, right, sizeof(in));
	in[0].dim[0] = 1;
	assert_int_equal(normc_run(session, in, &out, &error), NORMC_USAGE);
	times = 1;
	assert_int_equal(normc_run(session, right, &out, &error), NORMC_USAGE);
	times = 2;
	assert_int_equal(normc_run(session, right, &out, &error), NORMC_INVALID);
	assert_non_null(strstr(error.text, "kernel n7_twice (node 7): a value in the data"));
	x[5] = 5;
	assert_int_equal(normc_run(session, right, &out, &error), NORMC_OK);
	out.data = NULL;
	assert_int_equal(normc_run(session, right, &out, &error), NORMC_USAGE);
	normc_session_free(session);
	normc_program_free(program);
}

static void test_session_options(void **state)
{
	struct normc_program *program = open_sound();
	struct normc_session_options options = {sizeof(options), -1, 0};
	struct normc_session *session;

	(void)state;
	assert_int_equal(normc_session_new(&session, program, &options, NULL), NORMC_USAGE);
	assert_null(session);
	options.size = sizeof(size_t); /* of an older caller: the rest is not read */
	assert_int_equal(normc_session_new(&session, program, &options, NULL), NORMC_OK);
	normc_session_free(session);
	normc_session_free(NULL);
	normc_program_free(program);
	normc_program_free(NULL);
}

static void test_profile(void **state)
{
	struct normc_program *program = open_sound();
	struct normc_session_options options = {sizeof(options), 2, 1};
	const struct normc_profile_entry *entry;
	struct normc_session *session;
	static float x[64 * COLUMNS], y[64 * COLUMNS];
	int64_t times = 1;
	struct normc_tensor in[2] = {{x, NORMC_F32, 2, {64, COLUMNS}}, {&times, NORMC_I64, 1, {1}}};
	struct normc_tensor out = {.data = y};
	size_t count;

	(void)state;
	assert_int_equal(normc_session_new(&session, program, &options, NULL), NORMC_OK);
	normc_session_profile(session, &count);
	assert_int_equal(count, 0);
	assert_int_equal(normc_session_bind(session, in, &out, NULL), NORMC_OK);
	for (int i = 0; i < 3; i++)
		assert_int_equal(normc_run(session, in, &out, NULL), NORMC_OK);
	entry = normc_session_profile(session, &count);
	assert_int_equal(count, 1);
	assert_string_equal(entry[0].name, "n7_twice");
	assert_int_equal(entry[0].runs, 3);
	assert_true(entry[0].seconds >= 0 && entry[0].flops == 64 * COLUMNS);
	normc_session_free(session);
	normc_program_free(program);
}

static void open_damaged(void)
{
	struct normc_program *program = NULL;
	struct normc_error error;
	enum normc_status status = normc_program_from_module(&program, twice_module, &error);

	assert_true(status == NORMC_OK || error.status == status);
	assert_true((status == NORMC_OK) == (program != NULL));
	normc_program_free(program);
}

static void test_damaged_descriptor(void **state)
{
	uint64_t random = 88172645463325252u;
	struct normc_program *program;

	(void)state;
	memset(&model, 0, sizeof(model));
	for (size_t at = 0; at < sizeof(struct image) / 4; at++) {
		for (int round = 0; round < 200; round++) {
			uint32_t word;

			random ^= random << 13;
			random ^= random >> 7;
			random ^= random << 17;
			word = (uint32_t)(random >> 20);
			word >>= round % 32; /* small numbers too */
			model.image = sound;
			memcpy(model.bytes + 4 * at, &word, 4);
			open_damaged();
			model.bytes[(random >> 8) % sizeof(struct image)] = (unsigned char)random;
			open_damaged();
		}
	}
	model.image = sound;
	model.image.desc.abi = NORMC_ABI + 1;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL),
			 NORMC_UNSUPPORTED);
	model.image = sound;
	model.image.desc.bytes = sizeof(struct normc_desc) - 1;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL), NORMC_INVALID);
	model.image = sound;
	model.image.symbols[0].index = 2;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL), NORMC_INVALID);
	model.image = sound;
	model.image.input.dim[0] = INT64_MIN;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL), NORMC_INVALID);
}

/* Conditions that do not hold are told with what they are about. */
static void test_conditions(void **state)
{
	static const float x[77 * COLUMNS];
	static const struct {
		int64_t rows, times;
		const char *message;
	} cases[] = {
			{77, 1, "twice: extents N = 77 and 78 must be equal, of inputs x[77,3]"},
			{2, -2, "the extent T = -2 is negative, of inputs x[2,3], times[1]"},
			{2, -1,
			 "an extent is negative or too large, with N = 2, T = -1, of inputs"},
	};
	struct normc_program *program;
	struct normc_session *session;
	struct normc_error error;

	(void)state;
	model.image = sound;
	assert_int_equal(normc_program_from_module(&program, twice_module, NULL), NORMC_OK);
	assert_int_equal(normc_session_new(&session, program, NULL, NULL), NORMC_OK);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int64_t times = cases[i].times;
		struct normc_tensor out = {.data = NULL};
		struct normc_tensor in[2] = {
				{(void *)(uintptr_t)x, NORMC_F32, 2, {cases[i].rows, COLUMNS}},
				{&times, NORMC_I64, 1, {1}}};

		assert_int_equal(normc_session_bind(session, in, &out, &error), NORMC_USAGE);
		if (strncmp(error.text, cases[i].message, strlen(cases[i].message)) != 0)
			fail_msg("%s", error.text);
	}
	normc_session_free(session);
	normc_program_free(program);
}

static void count_release(void *owner)
{
	++*(int *)owner;
}

static void test_adopt_and_open(void **state)
{
	struct normc_program *program;
	struct normc_error error;
	int released = 0;

	(void)state;
	model.image = sound;
	assert_int_equal(
			normc_program_adopt(&program, twice_module, count_release, &released, NULL),
			NORMC_OK);
	normc_program_free(program);
	assert_int_equal(released, 1);
	model.image.desc.magic[0] = 'N';
	assert_int_equal(
			normc_program_adopt(&program, twice_module, count_release, &released, NULL),
			NORMC_INVALID);
	assert_int_equal(released, 1);
	assert_int_equal(normc_program_open(&program, "/nonexistent.so", &error), NORMC_IO);
	assert_int_equal(normc_program_open(&program, "/dev/null", &error), NORMC_INVALID);
	model.image = sound;
	model.image.desc.weights_file = offsetof(struct image, strings);
	model.image.desc.weights_bytes = 5;
	assert_int_equal(normc_program_from_module(&program, twice_module, &error), NORMC_IO);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
			cmocka_unit_test(test_names),
			cmocka_unit_test(test_ports),
			cmocka_unit_test(test_run),
			cmocka_unit_test(test_wrong_tensors),
			cmocka_unit_test(test_session_options),
			cmocka_unit_test(test_profile),
			cmocka_unit_test(test_damaged_descriptor),
			cmocka_unit_test(test_conditions),
			cmocka_unit_test(test_adopt_and_open),
	};

	return cmocka_run_group_tests_name("runtime", tests, NULL, NULL);
}
