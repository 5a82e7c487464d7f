/* libFuzzer target: any bytes as a model file go through the reader, the importer and the passes.
 * Right outcomes are a graph or a report, within the memory budget; no crash, no leak, no hang. */
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>

#include "import.h"
#include "load.h"
#include "pass.h"

#define BUDGET ((size_t)512 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* What a jump out of memory must not lose. */
struct state {
	struct memory memory;
	struct diag diag;
	struct context context;
	struct model *model;
};

static void compile(struct state *s, const uint8_t *data, size_t size)
{
	struct pass_options options = {.verify = true};
	s->context = (struct context){.memory = &s->memory, .diag = &s->diag};
	s->context.arena = arena_open(&s->memory);
	s->context.dims = dims_new(s->context.arena);
	s->model = model_parse(&s->memory, &s->diag, data, size, NULL);
	if (!s->model)
		return;
	struct graph *graph = import_model(&s->context, s->model, NULL);
	if (graph)
		passes_run(graph, &options);
}

/* A function of its own, so that the state outlives the jump. */
static void guarded(struct state *s, const uint8_t *data, size_t size)
{
	jmp_buf out;
	s->memory.out = &out;
	if (!setjmp(out))
		compile(s, data, size);
	s->memory.out = NULL;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct state s = {.memory = {.limit = BUDGET}};
	guarded(&s, data, size);
	model_close(s.model);
	arena_close(s.context.arena);
	/* a mistake of ours must stop the fuzzer */
	if (s.diag.status == NORMC_BUG)
		__builtin_trap();
	return 0;
}
