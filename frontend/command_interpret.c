/* A model run by the interpreter: the oracle for compiled code, with the same ports and the same
 * checks of inputs. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "eval.h"
#include "io.h"

struct interpreter {
	struct normc_model *model;
	struct compile compile;
	const struct graph *graph;
	bool rewritten; /* runs the graph after all passes */
	/* of the run that goes on */
	const struct normc_tensor *in;
	struct normc_tensor *out;
};

/* Ports of the graph in the compile call's arena. */
static struct normc_port make_port(struct compile *c, const char *name, const struct type *type)
{
	struct normc_port port = {.name = name, .elem = type->elem, .rank = type->rank};
	for (int32_t d = 0; d < type->rank; d++) {
		const struct dim *dim = type->dim[d];
		bool symbol = dim->kind == DIM_SYMBOL;
		port.dim[d] = dim_is_const(dim) ? dim->value : -1;
		port.symbol[d] = symbol ? c->context.dims->symbols[dim->value].name : "";
	}
	return port;
}

static bool make_ports(struct compile *c, void *user)
{
	struct runner *r = user;
	struct interpreter *it = r->interpreter;
	if (!compile_to(c, it->rewritten ? STAGE_OPTIMISED : STAGE_IMPORTED))
		return false;
	const struct graph *g = it->graph = it->rewritten ? c->graph : c->imported;
	struct normc_port *inputs = arena_new(c->context.arena, struct normc_port, g->n_inputs + 1);
	struct normc_port *outputs =
			arena_new(c->context.arena, struct normc_port, g->n_outputs + 1);
	for (uint32_t i = 0; i < g->n_inputs; i++)
		inputs[i] = make_port(c, g->inputs[i]->attr.port->name, &g->inputs[i]->type);
	for (uint32_t i = 0; i < g->n_outputs; i++)
		outputs[i] = make_port(c, g->output_names[i], &g->outputs[i]->type);
	r->inputs = inputs;
	r->outputs = outputs;
	r->n_inputs = g->n_inputs;
	r->n_outputs = g->n_outputs;
	return true;
}

static void take_error(const struct compile *c, struct normc_error *error)
{
	error->status = c->diag.errors ? c->diag.status : NORMC_OK;
	memcpy(error->text, c->diag.first, sizeof error->text);
}

enum normc_status interpreter_open(struct runner *r, const struct settings *s, const char *path,
				   bool silent, struct normc_error *error)
{
	struct normc_options options = settings_options(s);
	struct interpreter *it = calloc(1, sizeof *it);
	enum normc_status status;

	if (!it)
		return complain(NORMC_LIMIT, "out of memory");
	status = normc_model_load(&it->model, path, &options, error);
	if (status && !silent)
		fprintf(stderr, "%s: error: %s\n", path, error->text);
	if (status) {
		free(it);
		return status;
	}
	r->interpreter = it;
	it->rewritten = s->interpret_rewritten;
	compile_begin(&it->compile, it->model, &options);
	settings_apply(s, &it->compile, silent);
	compile_guard(&it->compile, make_ports, r);
	take_error(&it->compile, error);
	return error->status;
}

/* ---- running ---- */

/* The values of all symbols, from where they are defined. */
static bool solve(struct compile *c, const struct interpreter *it, const struct tensor *in,
		  int64_t *symbols)
{
	const struct dims *dims = c->context.dims;
	for (uint32_t i = 0; i < dims->n_symbols; i++) {
		const struct symbol *s = &dims->symbols[i];
		const struct tensor *from = &in[s->input];
		const char *name = it->graph->inputs[s->input]->attr.port->name;
		if (s->index >= (s->element ? from->count : from->rank))
			return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
					  "input '%s' has no %s %u, as shapes depend on it", name,
					  s->element ? "element" : "dimension", s->index);
		symbols[i] = s->element ? from->i[s->index] : from->dim[s->index];
	}
	return true;
}

static bool check_input(struct compile *c, const struct node *n, const struct tensor *t,
			const int64_t *symbols)
{
	const char *name = n->attr.port->name;
	for (int32_t d = 0; d < t->rank; d++) {
		const struct dim *dim = n->type.dim[d];
		bool named = dim->kind == DIM_SYMBOL;
		const char *symbol = named ? c->context.dims->symbols[dim->value].name : "";
		int64_t extent = -1;
		if (!dim_eval(dim, symbols, &extent) || extent != t->dim[d])
			return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
					  "dimension %d of input '%s' is %lld, but %s%s%lld is "
					  "expected",
					  d, name, (long long)t->dim[d], symbol,
					  *symbol ? " = " : "", (long long)extent);
	}
	return true;
}

static bool load_inputs(struct compile *c, const struct interpreter *it, struct arena *arena,
			struct tensor *in)
{
	for (uint32_t i = 0; i < it->graph->n_inputs; i++) {
		const struct node *n = it->graph->inputs[i];
		const struct normc_tensor *t = &it->in[i];
		const char *name = n->attr.port->name;
		if (t->elem != n->type.elem)
			return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
					  "input '%s' has type %s, the model takes %s", name,
					  normc_elem_name(t->elem), normc_elem_name(n->type.elem));
		if (t->rank != n->type.rank)
			return diag_error(&c->diag, (struct loc){0}, NORMC_USAGE,
					  "input '%s' has %d dimensions, the model takes %d", name,
					  t->rank, n->type.rank);
		in[i] = tensor_load(arena, t->elem, t->rank, t->dim, t->data);
	}
	return true;
}

static bool store_outputs(struct compile *c, const struct interpreter *it, const struct tensor *out)
{
	for (uint32_t i = 0; i < it->graph->n_outputs; i++) {
		struct normc_tensor *t = &it->out[i];
		size_t bytes;
		t->elem = out[i].elem;
		t->rank = out[i].rank;
		memcpy(t->dim, out[i].dim, sizeof t->dim);
		t->data = io_bytes(t, &bytes) ? malloc(bytes ? bytes : 1) : NULL;
		if (!t->data)
			return diag_error(&c->diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
		tensor_store(&out[i], t->data);
	}
	return true;
}

static bool interpret(struct compile *c, void *user)
{
	struct interpreter *it = user;
	struct arena *arena = c->context.arena;
	struct tensor *in = arena_new(arena, struct tensor, it->graph->n_inputs + 1);
	struct tensor *out = arena_new(arena, struct tensor, it->graph->n_outputs + 1);
	int64_t *symbols = arena_new(arena, int64_t, c->context.dims->n_symbols + 1);

	if (!load_inputs(c, it, arena, in) || !solve(c, it, in, symbols))
		return false;
	for (uint32_t i = 0; i < it->graph->n_inputs; i++)
		if (!check_input(c, it->graph->inputs[i], &in[i], symbols))
			return false;
	return eval_graph(it->graph, (struct eval_request){EVAL_ROUND, symbols, arena}, in, out) &&
	       store_outputs(c, it, out);
}

enum normc_status interpreter_run(struct runner *r, const struct normc_tensor *in,
				  struct normc_tensor *out, struct normc_error *error)
{
	struct interpreter *it = r->interpreter;
	it->in = in;
	it->out = out;
	compile_guard(&it->compile, interpret, it);
	take_error(&it->compile, error);
	return error->status;
}

void interpreter_close(struct interpreter *interpreter)
{
	if (!interpreter)
		return;
	compile_end(&interpreter->compile, NULL);
	normc_model_free(interpreter->model);
	free(interpreter);
}
