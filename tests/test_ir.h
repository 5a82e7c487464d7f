/* A compile context for tests of the IR: one arena, and all diagnostics collected as text. */
#ifndef NORMC_TEST_IR_H
#define NORMC_TEST_IR_H

#include "graph.h"
#include "test.h"

struct ir_fixture {
	struct memory memory;
	jmp_buf out; /* never taken: the limit is far away */
	struct diag diag;
	struct context context;
	struct graph *g;  /* an empty graph */
	char lines[8192]; /* all diagnostics, a line each */
};

static inline void ir_note_line(void *user, const char *severity, const char *line)
{
	struct ir_fixture *f = user;
	size_t used = strlen(f->lines);
	(void)severity;
	snprintf(f->lines + used, sizeof(f->lines) - used, "%s\n", line);
}

static inline void ir_open(struct ir_fixture *f)
{
	memset(f, 0, sizeof(*f));
	f->memory.limit = (size_t)1 << 30;
	f->memory.out = &f->out;
	f->diag.sink = ir_note_line;
	f->diag.user = f;
	f->context.memory = &f->memory;
	f->context.arena = arena_open(&f->memory);
	f->context.dims = dims_new(f->context.arena);
	f->context.diag = &f->diag;
	f->g = graph_new(&f->context, "test");
}

static inline void ir_close(struct ir_fixture *f)
{
	arena_close(f->context.arena);
}

static inline int ir_setup(void **state)
{
	struct ir_fixture *f = malloc(sizeof(*f));
	if (!f)
		return -1;
	ir_open(f);
	*state = f;
	return 0;
}

static inline int ir_teardown(void **state)
{
	ir_close(*state);
	free(*state);
	return 0;
}

/* All that was reported is exactly this; forgets it. */
static inline void ir_assert_lines(struct ir_fixture *f, const char *expected)
{
	assert_string_equal(f->lines, expected);
	f->lines[0] = 0;
}

static inline const struct dim *ir_symbol(struct ir_fixture *f, const char *name, uint32_t input,
					  uint32_t index)
{
	return dim_symbol(f->context.dims, (struct symbol){name, input, index, false});
}

static inline void ir_assert_type(struct ir_fixture *f, const struct node *n, const char *expected)
{
	char text[300];
	type_print(f->context.dims, &n->type, text, sizeof(text));
	assert_string_equal(text, expected);
}

#endif
