/* For tests of the command line: models written byte by byte, and runs of the program. */
#ifndef NORMC_TEST_CLI_H
#define NORMC_TEST_CLI_H

#include <fcntl.h>
#include <spawn.h>
#include <sys/wait.h>

#include "test.h"

extern char **environ;

/* ---- protobuf ---- */

struct bytes {
	unsigned char data[4096];
	size_t n;
};

static inline void put_number(struct bytes *b, uint64_t value)
{
	for (; value > 127; value >>= 7)
		b->data[b->n++] = (unsigned char)(value | 128);
	b->data[b->n++] = (unsigned char)value;
}

static inline void put_integer(struct bytes *b, unsigned field, uint64_t value)
{
	put_number(b, field << 3);
	put_number(b, value);
}

static inline void put_bytes(struct bytes *b, unsigned field, const void *data, size_t n)
{
	put_number(b, field << 3 | 2);
	put_number(b, n);
	assert_true(b->n + n < sizeof b->data);
	memcpy(b->data + b->n, data, n);
	b->n += n;
}

static inline void put_text(struct bytes *b, unsigned field, const char *text)
{
	put_bytes(b, field, text, strlen(text));
}

static inline void put_message(struct bytes *b, unsigned field, const struct bytes *inner)
{
	put_bytes(b, field, inner->data, inner->n);
}

/* A ValueInfoProto of f32[N,3]. */
static inline void put_value(struct bytes *graph, unsigned field, const char *name)
{
	struct bytes value = {.n = 0}, type = {.n = 0}, tensor = {.n = 0}, shape = {.n = 0},
		     dim = {.n = 0};
	put_text(&dim, 2, "N");
	put_message(&shape, 1, &dim);
	dim.n = 0;
	put_integer(&dim, 1, 3);
	put_message(&shape, 1, &dim);
	put_integer(&tensor, 1, 1);
	put_message(&tensor, 2, &shape);
	put_message(&type, 1, &tensor);
	put_text(&value, 1, name);
	put_message(&value, 2, &type);
	put_message(graph, field, &value);
}

/* A model output = OPERATOR(input, input) on f32[N,3]. */
static inline void make_model(struct bytes *model, const char *operator, const char * input,
			      const char *output)
{
	struct bytes node = {.n = 0}, graph = {.n = 0}, opset = {.n = 0};
	put_text(&node, 1, input);
	put_text(&node, 1, input);
	put_text(&node, 2, output);
	put_text(&node, 3, "the_node");
	put_text(&node, 4, operator);
	put_message(&graph, 1, &node);
	put_text(&graph, 2, "g");
	put_value(&graph, 11, input);
	put_value(&graph, 12, output);
	put_integer(&opset, 2, 17);
	model->n = 0;
	put_integer(model, 1, 8);
	put_message(model, 7, &graph);
	put_message(model, 8, &opset);
}

/* A TensorProto of f32[rows,3]. */
static inline void make_tensor(struct bytes *tensor, const char *name, const float *value,
			       uint64_t rows)
{
	tensor->n = 0;
	put_integer(tensor, 1, rows);
	put_integer(tensor, 1, 3);
	put_integer(tensor, 2, 1);
	put_text(tensor, 8, name);
	put_bytes(tensor, 9, value, (size_t)rows * 3 * sizeof *value);
}

/* ---- files and runs, in a folder for each test ---- */

struct place {
	char folder[512];
	char out[65536], err[65536]; /* what the last run wrote */
};

static inline int place_new(void **state)
{
	struct place *place = calloc(1, sizeof *place);
	test_folder_new(place->folder, sizeof place->folder);
	*state = place;
	return 0;
}

static inline int place_free(void **state)
{
	struct place *place = *state;
	test_folder_free(place->folder);
	free(place);
	return 0;
}

static inline void path_in(const struct place *place, const char *name, char *path)
{
	snprintf(path, 1024, "%s/%s", place->folder, name);
}

static inline void write_file(const struct place *place, const char *name, const void *data,
			      size_t n)
{
	char path[1024];
	path_in(place, name, path);
	FILE *file = fopen(path, "wb");
	assert_non_null(file);
	assert_int_equal(fwrite(data, 1, n, file), n);
	fclose(file);
}

/* Reads a file as a string; -1 if there is none. */
static inline long read_file(const struct place *place, const char *name, char *data, size_t size)
{
	char path[1024];
	path_in(place, name, path);
	FILE *file = fopen(path, "rb");
	if (!file)
		return -1;
	size_t n = fread(data, 1, size - 1, file);
	data[n] = 0;
	fclose(file);
	return (long)n;
}

/* Runs a program in the place's folder; returns its exit code, or minus its signal. */
static inline int run_program(struct place *place, const char *const *argv)
{
	posix_spawn_file_actions_t actions;
	char out[1024], err[1024];
	pid_t child;
	int status;

	path_in(place, ".stdout", out);
	path_in(place, ".stderr", err);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addchdir_np(&actions, place->folder);
	posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, 1, out, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	posix_spawn_file_actions_addopen(&actions, 2, err, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	assert_int_equal(posix_spawnp(&child, argv[0], &actions, NULL,
				      (char *const *)(uintptr_t)argv, environ),
			 0);
	posix_spawn_file_actions_destroy(&actions);
	assert_int_equal(waitpid(child, &status, 0), child);
	read_file(place, ".stdout", place->out, sizeof place->out);
	read_file(place, ".stderr", place->err, sizeof place->err);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

#define run_normc(place, ...)                                                                      \
	run_program(place, (const char *const[]){NORMC_PROGRAM, __VA_ARGS__, NULL})

#define assert_says(text, what)                                                                    \
	do {                                                                                       \
		if (!strstr(text, what))                                                           \
			fail_msg("no \"%s\" in:\n%s", what, text);                                 \
	} while (0)

#endif
