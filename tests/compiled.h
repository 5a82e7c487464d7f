/* Helpers for tests of compiled code: a graph in memory becomes a program of this process, runs on
 * the interpreter's tensors, and its results are compared with the interpreter's.
 *
 * All tensors that compiled code sees end at a page that may not be touched, so that a load or
 * store behind the last element ends the test.
 */
#ifndef NORMC_TEST_COMPILED_H
#define NORMC_TEST_COMPILED_H

#include <fcntl.h>
#include <sys/mman.h>

#include "codegen.h"
#include "compile.h"
#include "eval.h"
#include "jit.h"
#include "pass.h"
#include "test_eval.h"

/* ---- memory that ends at a guard page ---- */

struct guarded {
	void *map;
	size_t mapped;
	void *data;
};

static inline struct guarded guarded_new(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE), room = (bytes + page - 1) / page * page;
	struct guarded g = {.mapped = room + page};
	g.map = mmap(NULL, g.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(g.map, MAP_FAILED);
	assert_int_equal(mprotect((char *)g.map + room, page, PROT_NONE), 0);
	g.data = (char *)g.map + room - bytes;
	return g;
}

static inline void guarded_free(struct guarded *g)
{
	munmap(g->map, g->mapped);
}

/* ---- compiling ---- */

struct compile_how {
	const char *cpu; /* NULL: native */
	bool passes;     /* run the graph passes first */
};

static inline bool compiled_files(struct graph *g, const struct compile_how *how,
				  const char *folder)
{
	struct codegen_options options = {.cpu = how->cpu, .symbol = "model"};
	struct pass_options passes = {.verify = true};
	char object[600], weights[600];
	struct emitted *emitted = NULL;
	struct target *target = target_new(g->context->diag, &options);
	assert_non_null(target);
	struct machine machine = target_machine(target);
	if (how->passes)
		g = passes_run(g, &passes);
	struct program *p = g ? program_new(g, &machine) : NULL;
	if (p)
		emitted = emitted_new(target, g->context->diag, &options);
	snprintf(object, sizeof object, "%s/code.o", folder);
	snprintf(weights, sizeof weights, "%s/weights", folder);
	bool ok = emitted && codegen_emit(emitted, p, &options) &&
		  emitted_write(emitted, CODEGEN_OBJECT, object, NULL);
	if (ok && p->weights_bytes) {
		int file = open(weights, O_WRONLY | O_CREAT | O_TRUNC, 0666);
		ok = file >= 0 && weights_write(p, file, NULL);
		close(file);
	}
	emitted_free(emitted);
	target_free(target);
	return ok;
}

/* The program of a graph; the test fails if it cannot be compiled. */
static inline struct normc_program *compiled_program(struct graph *g, const struct compile_how *how)
{
	struct diag *diag = g->context->diag;
	struct normc_program *program = NULL;
	struct normc_error error;
	char folder[400];
	if (!folder_make(diag, NULL, folder, sizeof folder))
		fail_msg("%s", diag->first);
	bool ok = compiled_files(g, how, folder);
	if (ok && folder_load(&program, folder, &error))
		print_error("%s\n", error.text);
	folder_remove(folder);
	if (!ok)
		fail_msg("not compiled: %s", diag->first);
	assert_non_null(program);
	return program;
}

/* ---- running ---- */

struct compiled_call {
	const struct normc_program *program;
	int32_t threads;
	const struct tensor *in;
	struct tensor *out; /* filled; elements in `arena` */
	struct arena *arena;
};

static inline struct guarded compiled_operand(const struct tensor *t, struct normc_tensor *to)
{
	struct guarded g = guarded_new((size_t)t->count * normc_elem_size(t->elem));
	*to = (struct normc_tensor){.data = g.data, .elem = t->elem, .rank = t->rank};
	memcpy(to->dim, t->dim, sizeof to->dim);
	tensor_store(t, g.data);
	return g;
}

static inline struct guarded compiled_result(struct normc_tensor *to)
{
	size_t bytes = normc_elem_size(to->elem);
	for (int32_t i = 0; i < to->rank; i++)
		bytes *= (size_t)to->dim[i];
	struct guarded g = guarded_new(bytes);
	memset(g.data, 0x5a, bytes);
	to->data = g.data;
	return g;
}

/* Binds and runs a program in a session of its own. */
static inline void compiled_run(const struct compiled_call *c)
{
	size_t n_in, n_out;
	normc_program_inputs(c->program, &n_in);
	normc_program_outputs(c->program, &n_out);
	struct normc_tensor *in = calloc(n_in + 1, sizeof *in);
	struct normc_tensor *out = calloc(n_out + 1, sizeof *out);
	struct guarded *memory = calloc(n_in + n_out + 1, sizeof *memory);
	struct normc_session_options options = {.size = sizeof options, .threads = c->threads};
	struct normc_session *session = NULL;
	struct normc_error error;
	assert_true(in && out && memory);
	for (size_t i = 0; i < n_in; i++)
		memory[i] = compiled_operand(&c->in[i], &in[i]);
	if (normc_session_new(&session, c->program, &options, &error) ||
	    normc_session_bind(session, in, out, &error))
		fail_msg("%s", error.text);
	for (size_t i = 0; i < n_out; i++)
		memory[n_in + i] = compiled_result(&out[i]);
	if (normc_run(session, in, out, &error))
		fail_msg("%s", error.text);
	for (size_t i = 0; i < n_out; i++)
		c->out[i] = tensor_load(c->arena, out[i].elem, out[i].rank, out[i].dim,
					out[i].data);
	normc_session_free(session);
	for (size_t i = 0; i < n_in + n_out; i++)
		guarded_free(&memory[i]);
	free(memory);
	free(out);
	free(in);
}

/* ---- comparing ---- */

/* Distance between neighbouring values of the element type at x; 0 for integers. */
static inline double elem_step(enum normc_elem elem, double x)
{
	int digits, least; /* of the significand; exponent of the least normal number */
	switch (elem) {
	case NORMC_F64:
		digits = 53, least = -1022;
		break;
	case NORMC_F32:
		digits = 24, least = -126;
		break;
	case NORMC_F16:
		digits = 11, least = -14;
		break;
	case NORMC_BF16:
		digits = 8, least = -126;
		break;
	default:
		return 0;
	}
	int exponent = least;
	if (isfinite(x) && x != 0 && ilogb(x) > least)
		exponent = ilogb(x);
	return ldexp(1, exponent - digits + 1);
}

/* What a result may differ from the interpreter's. */
struct bound {
	double steps;    /* of the element type at the wanted value */
	double absolute;
};

static inline bool bound_holds(struct bound bound, enum normc_elem elem, double got, double want)
{
	double d = test_distance(got, want);
	if (d == 0)
		return true;
	if (isinf(got) && !isinf(want)) { /* rounded up to infinity */
		double step = elem_step(elem, want);
		return fabs(want) + (bound.steps + 1) * step + bound.absolute >=
				       ldexp(1, elem == NORMC_F16 ? 16 : 128) &&
		       signbit(got) == signbit(want) && elem != NORMC_F64;
	}
	return d <= bound.steps * elem_step(elem, want) + bound.absolute;
}

/* Index of the first element that is not within the bound, or -1. */
static inline int64_t first_difference(const struct tensor *got, const struct tensor *want,
				       struct bound bound)
{
	if (got->elem != want->elem || got->count != want->count || got->rank != want->rank)
		return 0;
	for (int64_t i = 0; i < got->count; i++)
		if (is_float(got) ? !bound_holds(bound, got->elem, got->f[i], want->f[i])
				  : got->i[i] != want->i[i])
			return i;
	return -1;
}

#endif
