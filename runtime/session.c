/* Sessions: solve the unknown dimensions from the inputs, provide the memory that the plan asks
 * for, run. All memory is taken in normc_session_new and normc_session_bind; normc_run only fills a
 * frame. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "program.h"
#include "thread.h"

/* Blocks from this size on are aligned for huge pages, which saves address translation misses. */
#define HUGE_PAGE ((size_t)2 << 20)

struct normc_session {
	const struct normc_program *program;
	struct normc_pool *pool;
	int32_t threads;
	int32_t bound;
	int64_t *symbols;
	int64_t *dims;		 /* extents of all outputs */
	struct normc_tensor *in; /* shapes bound last, data unused */
	struct normc_tensor *out;
	const void **inputs;
	void **outputs;
	unsigned char *memory; /* workspace, then scratch */
	size_t memory_bytes;
	struct normc_sizes sizes;
	struct normc_profile *profile;
};

static const struct normc_desc *desc_of(const struct normc_session *session)
{
	return session->program->module.desc;
}

static const struct normc_desc_symbol *symbols_of(const struct normc_desc *desc)
{
	return (const void *)((const char *)desc + desc->symbols);
}

static bool make_profile(struct normc_session *session)
{
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_kernel *kernels =
			(const void *)((const char *)desc + desc->kernels);
	struct normc_profile *profile = calloc(1, sizeof(*profile));

	if (!profile)
		return false;
	session->profile = profile;
	profile->mark = normc_profile_mark;
	profile->current = -1;
	profile->n_kernels = (int32_t)desc->n_kernels;
	profile->entries = calloc((size_t)desc->n_kernels + 1, sizeof(*profile->entries));
	if (!profile->entries)
		return false;
	for (uint32_t i = 0; i < desc->n_kernels; i++)
		profile->entries[i].name = normc_desc_string(desc, kernels[i].name);
	return true;
}

static bool make_tables(struct normc_session *session)
{
	const struct normc_desc *desc = desc_of(session);
	size_t inputs = (size_t)desc->n_inputs + 1, outputs = (size_t)desc->n_outputs + 1;

	session->symbols = calloc((size_t)desc->n_symbols + 1, sizeof(*session->symbols));
	session->dims = calloc(outputs * NORMC_MAX_RANK, sizeof(*session->dims));
	session->in = calloc(inputs, sizeof(*session->in));
	session->out = calloc(outputs, sizeof(*session->out));
	session->inputs = calloc(inputs, sizeof(*session->inputs));
	session->outputs = calloc(outputs, sizeof(*session->outputs));
	return session->symbols && session->dims && session->in && session->out &&
	       session->inputs && session->outputs;
}

enum normc_status normc_session_new(struct normc_session **session,
				    const struct normc_program *program,
				    const struct normc_session_options *options,
				    struct normc_error *error)
{
	struct normc_session_options chosen = {sizeof(chosen), 0, 0};
	struct normc_session *made;

	*session = NULL;
	if (options)
		memcpy(&chosen, options,
		       options->size < sizeof(chosen) ? options->size : sizeof(chosen));
	if (chosen.threads < 0 || chosen.threads > NORMC_THREAD_LIMIT)
		return normc_error_set(error, NORMC_USAGE,
				       "%d threads are not possible, at most %d",
				       (int)chosen.threads, NORMC_THREAD_LIMIT);
	made = calloc(1, sizeof(*made));
	if (!made)
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	made->program = program;
	made->threads = chosen.threads ? chosen.threads : normc_thread_available();
	if (!make_tables(made) || (chosen.profile && !make_profile(made))) {
		normc_session_free(made);
		return normc_error_set(error, NORMC_LIMIT, "out of memory");
	}
	made->pool = made->threads > 1 ? normc_pool_new(made->threads) : NULL;
	if (made->threads > 1 && !made->pool) {
		normc_error_set(error, NORMC_LIMIT, "cannot start %d threads", (int)made->threads);
		normc_session_free(made);
		return NORMC_LIMIT;
	}
	*session = made;
	return NORMC_OK;
}

void normc_session_free(struct normc_session *session)
{
	if (!session)
		return;
	normc_pool_free(session->pool);
	if (session->profile)
		free(session->profile->entries);
	free(session->profile);
	free(session->memory);
	free(session->symbols);
	free(session->dims);
	free(session->in);
	free(session->out);
	free(session->inputs);
	free(session->outputs);
	free(session);
}

/* Type, rank and extents of an input are possible by themselves. */
static enum normc_status check_input(const struct normc_port *port, const struct normc_tensor *in,
				     struct normc_error *error)
{
	int64_t count;

	if (in->elem != port->elem)
		return normc_error_set(error, NORMC_USAGE,
				       "input '%s' has type %s, the model takes %s", port->name,
				       normc_elem_name(in->elem), normc_elem_name(port->elem));
	if (in->rank != port->rank)
		return normc_error_set(error, NORMC_USAGE,
				       "input '%s' has %d dimensions, the model takes %d",
				       port->name, (int)in->rank, (int)port->rank);
	if (!normc_shape_count(in->dim, in->rank, normc_elem_size(in->elem), &count))
		return normc_error_set(error, NORMC_USAGE, "input '%s' has an impossible shape",
				       port->name);
	return NORMC_OK;
}

static int64_t integer_element(const struct normc_tensor *tensor, uint32_t index)
{
	int32_t narrow;
	int64_t wide;

	if (tensor->elem == NORMC_I32) {
		memcpy(&narrow, (const char *)tensor->data + (size_t)index * sizeof(narrow),
		       sizeof(narrow));
		return narrow;
	}
	memcpy(&wide, (const char *)tensor->data + (size_t)index * sizeof(wide), sizeof(wide));
	return wide;
}

/* Takes every unknown dimension from the place that defines it; inputs were checked one by one. */
static enum normc_status solve_symbols(struct normc_session *session, const struct normc_tensor *in,
				       struct normc_error *error)
{
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_symbol *symbol = symbols_of(desc);

	for (uint32_t i = 0; i < desc->n_symbols; i++, symbol++) {
		const struct normc_tensor *from = &in[symbol->input];
		const char *name = session->program->inputs[symbol->input].name;
		int64_t count = 0;

		if (!symbol->element) {
			session->symbols[i] = from->dim[symbol->index];
			continue;
		}
		normc_shape_count(from->dim, from->rank, 1, &count);
		if (!from->data || (int64_t)symbol->index >= count)
			return normc_error_set(error, NORMC_USAGE,
					       "input '%s' must have its data when it is bound, "
					       "with element %u, as "
					       "shapes depend on it",
					       name, (unsigned)symbol->index);
		session->symbols[i] = integer_element(from, symbol->index);
	}
	return NORMC_OK;
}

/* Every extent of an input agrees with its port. */
static enum normc_status check_extents(const struct normc_session *session, uint32_t number,
				       const struct normc_tensor *in, struct normc_error *error)
{
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_port *port = (const void *)((const char *)desc + desc->inputs);
	const struct normc_port *named = &session->program->inputs[number];

	for (int32_t d = 0; d < in->rank; d++) {
		int64_t dim = port[number].dim[d];
		int64_t wanted = dim < 0 ? session->symbols[-1 - dim] : dim;

		if (in->dim[d] != wanted)
			return normc_error_set(error, NORMC_USAGE,
					       "dimension %d of input '%s' is %lld, but %s%s%lld "
					       "is expected",
					       (int)d, named->name, (long long)in->dim[d],
					       named->symbol[d], named->symbol[d][0] ? " = " : "",
					       (long long)wanted);
	}
	return NORMC_OK;
}

/* A text that is cut off where its space ends. */
struct text {
	char space[400];
	size_t n;
};

static void add_text(struct text *text, const char *format, ...)
{
	size_t left = sizeof(text->space) - text->n;
	va_list arguments;
	int added;

	va_start(arguments, format);
	added = vsnprintf(text->space + text->n, left, format, arguments);
	va_end(arguments);
	if (added > 0)
		text->n += (size_t)added < left ? (size_t)added : left - 1;
}

static void add_inputs(struct text *text, const struct normc_session *session,
		       const struct normc_tensor *in)
{
	for (uint32_t i = 0; i < desc_of(session)->n_inputs; i++) {
		add_text(text, "%s%s[", i ? ", " : ", of inputs ",
			 session->program->inputs[i].name);
		for (int32_t d = 0; d < in[i].rank; d++)
			add_text(text, "%s%lld", d ? "," : "", (long long)in[i].dim[d]);
		add_text(text, "]");
	}
}

/* The code knows that an extent is impossible, but not why: tells what the extents are. */
static enum normc_status refuse_extents(const struct normc_session *session,
					const struct normc_tensor *in, struct normc_error *error)
{
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_symbol *symbol = symbols_of(desc);
	struct text text = {.n = 0};

	for (uint32_t i = 0; i < desc->n_symbols; i++, symbol++) {
		const char *name = normc_desc_string(desc, symbol->name);

		if (name[0])
			add_text(&text, "%s%s = %lld", text.n ? ", " : ", with ", name,
				 (long long)session->symbols[i]);
	}
	add_inputs(&text, session, in);
	return normc_error_set(error, NORMC_USAGE, "an extent is negative or too large%s",
			       text.space);
}

static void add_extent(struct text *text, const char *name, int64_t value)
{
	add_text(text, "%s%s%lld", name, name[0] ? " = " : "", (long long)value);
}

/* A condition on extents does not hold; its sides are in session->dims. */
static enum normc_status refuse_condition(const struct normc_session *session, uint32_t number,
					  const struct normc_tensor *in, struct normc_error *error)
{
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_condition *condition =
			(const void *)((const char *)desc + desc->conditions);
	const char *place = normc_desc_string(desc, condition[number].place);
	int two_sided = condition[number].two_sided != 0;
	struct text text = {.n = 0};

	add_text(&text, "%s%s%s ", place, place[0] ? ": " : "",
		 two_sided ? "extents" : "the extent");
	add_extent(&text, normc_desc_string(desc, condition[number].a), session->dims[0]);
	if (two_sided) {
		add_text(&text, " and ");
		add_extent(&text, normc_desc_string(desc, condition[number].b), session->dims[1]);
	}
	add_text(&text, two_sided ? " must be equal" : " is negative");
	add_inputs(&text, session, in);
	return normc_error_set(error, NORMC_USAGE, "%s", text.space);
}

/* Asks the code for the shapes of the outputs. */
static enum normc_status fill_outputs(struct normc_session *session, const struct normc_tensor *in,
				      struct normc_error *error)
{
	const struct normc_program *program = session->program;
	const int64_t *dim = session->dims;
	int32_t wrong = program->module.dims(session->symbols, session->dims);

	if (wrong > 1 && (uint32_t)wrong - 2 < desc_of(session)->n_conditions)
		return refuse_condition(session, (uint32_t)wrong - 2, in, error);
	if (wrong)
		return refuse_extents(session, in, error);
	for (uint32_t i = 0; i < desc_of(session)->n_outputs; i++) {
		const struct normc_port *port = &program->outputs[i];
		struct normc_tensor *out = &session->out[i];
		int64_t count;

		out->elem = port->elem;
		out->rank = port->rank;
		memcpy(out->dim, dim, (size_t)port->rank * sizeof(*dim));
		dim += port->rank;
		if (!normc_shape_count(out->dim, out->rank, normc_elem_size(out->elem), &count))
			return normc_error_set(error, NORMC_LIMIT, "output '%s' is too large",
					       port->name);
	}
	return NORMC_OK;
}

/* Makes the workspace and the scratch of all threads large enough. */
static enum normc_status provide_memory(struct normc_session *session, struct normc_error *error)
{
	struct normc_sizes *sizes = &session->sizes;
	int64_t scratch, total;
	size_t alignment;

	if (session->program->module.sizes(session->symbols, sizes) || sizes->workspace < 0 ||
	    sizes->scratch < 0 || sizes->workspace > INT64_MAX - 63 ||
	    sizes->scratch > INT64_MAX - 63)
		return normc_error_set(error, NORMC_LIMIT, "the workspace is too large");
	sizes->workspace = (sizes->workspace + 63) / 64 * 64;
	sizes->scratch = (sizes->scratch + 63) / 64 * 64;
	if (__builtin_mul_overflow(sizes->scratch, (int64_t)session->threads, &scratch) ||
	    __builtin_add_overflow(sizes->workspace, scratch, &total) ||
	    total > INT64_MAX - (int64_t)HUGE_PAGE)
		return normc_error_set(error, NORMC_LIMIT, "the workspace is too large");
	if (session->memory && (size_t)total <= session->memory_bytes)
		return NORMC_OK;
	free(session->memory);
	alignment = (size_t)total >= 2 * HUGE_PAGE ? HUGE_PAGE : 64;
	session->memory_bytes = ((size_t)total / alignment + 1) * alignment;
	session->memory = aligned_alloc(alignment, session->memory_bytes);
	if (!session->memory)
		return normc_error_set(error, NORMC_LIMIT,
				       "cannot allocate %lld bytes of workspace", (long long)total);
	if (alignment == HUGE_PAGE)
		madvise(session->memory, session->memory_bytes, MADV_HUGEPAGE);
	return NORMC_OK;
}

static enum normc_status bind_inputs(struct normc_session *session, const struct normc_tensor *in,
				     struct normc_error *error)
{
	uint32_t count = desc_of(session)->n_inputs;
	enum normc_status status = NORMC_OK;

	for (uint32_t i = 0; i < count && !status; i++)
		status = check_input(&session->program->inputs[i], &in[i], error);
	if (!status)
		status = solve_symbols(session, in, error);
	for (uint32_t i = 0; i < count && !status; i++)
		status = check_extents(session, i, &in[i], error);
	return status;
}

enum normc_status normc_session_bind(struct normc_session *session, const struct normc_tensor *in,
				     struct normc_tensor *out, struct normc_error *error)
{
	const struct normc_desc *desc = desc_of(session);
	enum normc_status status;

	session->bound = 0;
	status = bind_inputs(session, in, error);
	if (!status)
		status = fill_outputs(session, in, error);
	if (!status)
		status = provide_memory(session, error);
	if (status)
		return status;
	memcpy(session->in, in, desc->n_inputs * sizeof(*in));
	for (uint32_t i = 0; i < desc->n_outputs; i++) {
		out[i].elem = session->out[i].elem;
		out[i].rank = session->out[i].rank;
		memcpy(out[i].dim, session->out[i].dim, sizeof(out[i].dim));
	}
	session->bound = 1;
	return NORMC_OK;
}

/* The tensor has the shape that was bound, and data unless it is empty. */
static enum normc_status check_bound(const struct normc_tensor *bound,
				     const struct normc_tensor *given, const char *name,
				     struct normc_error *error)
{
	int64_t count = 0;

	if (given->elem != bound->elem || given->rank != bound->rank ||
	    memcmp(given->dim, bound->dim, (size_t)bound->rank * sizeof(bound->dim[0])) != 0)
		return normc_error_set(error, NORMC_USAGE,
				       "'%s' has another type or shape than bound", name);
	normc_shape_count(bound->dim, bound->rank, 1, &count);
	if (!given->data && count > 0)
		return normc_error_set(error, NORMC_USAGE, "'%s' has no data", name);
	return NORMC_OK;
}

/* Checks the tensors of a run and notes where they are. */
static enum normc_status take_tensors(struct normc_session *session, const struct normc_tensor *in,
				      const struct normc_tensor *out, struct normc_error *error)
{
	const struct normc_program *program = session->program;
	const struct normc_desc *desc = desc_of(session);
	const struct normc_desc_symbol *symbol = symbols_of(desc);
	enum normc_status status = NORMC_OK;

	if (!session->bound)
		return normc_error_set(error, NORMC_USAGE, "the session has no bound inputs");
	for (uint32_t i = 0; i < desc->n_inputs && !status; i++) {
		status = check_bound(&session->in[i], &in[i], program->inputs[i].name, error);
		session->inputs[i] = in[i].data;
	}
	for (uint32_t i = 0; i < desc->n_outputs && !status; i++) {
		status = check_bound(&session->out[i], &out[i], program->outputs[i].name, error);
		session->outputs[i] = out[i].data;
	}
	for (uint32_t i = 0; i < desc->n_symbols && !status; i++, symbol++) {
		if (symbol->element &&
		    integer_element(&in[symbol->input], symbol->index) != session->symbols[i])
			status = normc_error_set(
					error, NORMC_USAGE,
					"input '%s' gives another shape than when it was bound",
					program->inputs[symbol->input].name);
	}
	return status;
}

/* A kernel that runs refuses data, not the model, whatever the status is called elsewhere. */
static enum normc_status tell_failure(const struct normc_desc *desc,
				      const struct normc_frame *frame, struct normc_error *error)
{
	const struct normc_desc_kernel *kernels =
			(const void *)((const char *)desc + desc->kernels);
	enum normc_status status = (enum normc_status)frame->status;
	uint32_t number = (uint32_t)frame->failed_kernel;
	const char *what = status == NORMC_INVALID
					   ? "a value in the data (an index, a length or a count) "
					     "is out of range"
					   : normc_status_text(status);

	if (number >= desc->n_kernels)
		return normc_error_set(error, status, "%s", what);
	return normc_error_set(error, status, "kernel %s (node %u): %s",
			       normc_desc_string(desc, kernels[number].name),
			       (unsigned)kernels[number].node, what);
}

enum normc_status normc_run(struct normc_session *session, const struct normc_tensor *in,
			    const struct normc_tensor *out, struct normc_error *error)
{
	struct normc_frame frame = {0};
	enum normc_status status = take_tensors(session, in, out, error);

	if (status)
		return status;
	frame.symbols = session->symbols;
	frame.weights = session->program->weights;
	frame.workspace = session->memory;
	frame.scratch = session->memory + session->sizes.workspace;
	frame.scratch_bytes = session->sizes.scratch;
	frame.inputs = session->inputs;
	frame.outputs = session->outputs;
	frame.pool = session->pool;
	frame.profile = session->profile;
	frame.threads = session->threads;
	frame.failed_kernel = -1;
	if (session->profile)
		session->profile->current = -1;
	session->program->module.run(&frame);
	return frame.status ? tell_failure(desc_of(session), &frame, error) : NORMC_OK;
}

size_t normc_session_workspace(const struct normc_session *session)
{
	return session->bound ? (size_t)session->sizes.workspace : 0;
}

const struct normc_profile_entry *normc_session_profile(struct normc_session *session,
							size_t *count)
{
	struct normc_profile *profile = session->profile;
	const struct normc_desc *desc = desc_of(session);
	double *flops;

	*count = 0;
	if (!profile || !profile->marks)
		return NULL;
	flops = calloc((size_t)desc->n_kernels + 1, sizeof(*flops));
	if (flops && session->bound) {
		session->program->module.flops(session->symbols, flops);
		for (uint32_t i = 0; i < desc->n_kernels; i++)
			profile->entries[i].flops = flops[i];
	}
	free(flops);
	*count = desc->n_kernels;
	return profile->entries;
}
