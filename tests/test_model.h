/* For tests that load and import models: what one import needs, and the messages that it gives. */
#ifndef NORMC_TEST_MODEL_H
#define NORMC_TEST_MODEL_H

#include "test.h"

#include "import.h"

struct fixture {
	struct memory memory;
	jmp_buf out; /* taken when memory is spent; set by who imports */
	struct diag diag;
	struct context context;
	struct model *model;
	struct graph *g;
	char lines[8192]; /* all messages */
};

static inline void note(void *user, const char *severity, const char *line)
{
	struct fixture *f = user;
	size_t used = strlen(f->lines);
	(void)severity;
	snprintf(f->lines + used, sizeof f->lines - used, "%s\n", line);
}

static inline struct fixture *fixture_open(size_t limit)
{
	struct fixture *f = calloc(1, sizeof *f);
	assert_non_null(f);
	f->memory.limit = limit;
	f->memory.out = &f->out;
	f->diag.sink = note;
	f->diag.user = f;
	f->context.memory = &f->memory;
	f->context.diag = &f->diag;
	return f;
}

/* Frees everything; nothing may be left. */
static inline void fixture_close(struct fixture *f)
{
	model_close(f->model);
	arena_close(f->context.arena);
	assert_int_equal(f->memory.used, 0);
	free(f);
}

#endif
