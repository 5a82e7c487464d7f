/* Round trips: a graph written as ONNX, read by the normal importer, and both evaluated by the
 * interpreter without rounding on the same inputs.
 */
#ifndef NORMC_TEST_ROUNDTRIP_H
#define NORMC_TEST_ROUNDTRIP_H

#include "export.h"
#include "onnx/onnx.pb-c.h"
#include "operand.h"
#include "test_model.h"

/* A model in memory; free `bytes`. */
struct written {
	char *bytes;
	size_t n;
	struct export_summary summary;
};

/* False if the writer refused, with the report in the graph's diag. */
static inline bool roundtrip_write(const struct graph *g, const struct export_request *request,
				   struct written *w)
{
	memset(w, 0, sizeof *w);
	FILE *file = open_memstream(&w->bytes, &w->n);
	assert_non_null(file);
	bool ok = export_model(g, request, file, &w->summary);
	assert_int_equal(fclose(file), 0);
	if (!ok)
		assert_int_not_equal(g->context->diag->errors, 0);
	return ok;
}

/* The model as a graph of its own context.  Close it before the bytes are freed. */
static inline struct fixture *roundtrip_read(const struct written *w)
{
	struct fixture *f = fixture_open(SIZE_MAX);
	f->context.arena = arena_open(&f->memory);
	f->context.dims = dims_new(f->context.arena);
	f->model = model_parse(&f->memory, &f->diag, w->bytes, w->n, NULL);
	f->g = f->model ? import_model(&f->context, f->model, NULL) : NULL;
	if (!f->g)
		fail_msg("what was written cannot be read: %s", f->lines);
	return f;
}

/* Evaluates the graph that was read; symbols have the values that its inputs give them. */
static inline struct tensor *roundtrip_run(struct fixture *f, const struct tensor *in)
{
	const struct dims *dims = f->context.dims;
	struct arena *arena = f->context.arena;
	int64_t *symbols = arena_new(arena, int64_t, dims->n_symbols + 1);
	struct tensor *out = arena_new(arena, struct tensor, f->g->n_outputs + 1);
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		symbols[i] = s->element ? in[s->input].i[s->index] : in[s->input].dim[s->index];
	}
	if (!eval_graph(f->g, (struct eval_request){EVAL_EXACT, symbols, arena}, in, out))
		fail_msg("what was written does not run: %s", f->lines);
	return out;
}

/* Operators of a model, separated by spaces, after their domains unless that is ONNX's own. */
static inline void roundtrip_operators(const struct fixture *f, char *text, size_t size)
{
	const Onnx__ModelProto *model = f->model->proto;
	size_t length = 0;
	text[0] = 0;
	for (size_t i = 0; i < model->graph->n_node && length < size; i++) {
		const Onnx__NodeProto *n = model->graph->node[i];
		bool own = n->domain && *n->domain;
		length += (size_t)snprintf(text + length, size - length, "%s%s%s%s", i ? " " : "",
					   own ? n->domain : "", own ? "." : "", n->op_type);
	}
}

/* All but the last digits of f32 constants, in which the writer spells numbers. */
static inline int64_t roundtrip_difference(const struct tensor *got, const struct tensor *want,
					   double tolerance)
{
	double most = 1;
	for (int64_t k = 0; is_float(want) && k < want->count; k++)
		if (isfinite(want->f[k]))
			most = fmax(most, fabs(want->f[k]));
	if (got->elem != want->elem || got->rank != want->rank || got->count != want->count ||
	    memcmp(got->dim, want->dim, (size_t)want->rank * sizeof *want->dim) != 0)
		return 0;
	for (int64_t k = 0; k < want->count; k++)
		if (is_float(want) ? test_distance(got->f[k], want->f[k]) > tolerance * most
				   : got->i[k] != want->i[k])
			return k;
	return -1;
}

/* Runs both on m's inputs and sizes; the graph that was written may be a rewritten one. */
static inline void roundtrip_compare(struct maker *m, struct fixture *f, double tolerance)
{
	struct arena *arena = m->b->context.arena;
	struct tensor *in = any_inputs(m), *got;
	struct tensor *want = arena_new(arena, struct tensor, m->g->n_outputs + 1);
	if (!eval_graph(m->g, (struct eval_request){EVAL_EXACT, m->size, arena}, in, want))
		fail_msg("%s", m->b->diag.first);
	got = roundtrip_run(f, in);
	for (uint32_t i = 0; i < m->g->n_outputs; i++) {
		int64_t at = roundtrip_difference(&got[i], &want[i], tolerance);
		if (at < 0)
			continue;
		print_error("rank %d of %d, count %lld of %lld\n", got[i].rank, want[i].rank,
			    (long long)got[i].count, (long long)want[i].count);
		if (at < got[i].count && at < want[i].count)
			print_difference(m, m->g->outputs[i], &got[i], &want[i], at);
		fail_msg("output %u differs", i);
	}
}

static inline void roundtrip_print(void *user, const char *text)
{
	(void)user;
	print_error("%s", text);
}

#endif
