/* normc run: tensors from files in, tensors to files out. */
#include "command.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "io.h"

int32_t input_find(const struct runner *r, const char *given, const char **file)
{
	for (const char *equals = strchr(given, '='); equals; equals = strchr(equals + 1, '='))
		for (size_t i = 0; i < r->n_inputs; i++)
			if (strlen(r->inputs[i].name) == (size_t)(equals - given) &&
			    !strncmp(r->inputs[i].name, given, (size_t)(equals - given))) {
				*file = equals + 1;
				return (int32_t)i;
			}
	*file = given;
	if (r->n_inputs == 1 && !strchr(given, '='))
		return 0;
	complain(NORMC_USAGE,
		 "--input %s: the model has no input of that name; its inputs are:", given);
	for (size_t i = 0; i < r->n_inputs; i++)
		say(stderr, "  %s\n", r->inputs[i].name);
	return -1;
}

static enum normc_status read_inputs(const struct runner *r, const struct settings *s,
				     struct normc_tensor *in)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	for (int32_t k = 0; k < s->inputs.n; k++) {
		struct io_source source = {0};
		int32_t i = input_find(r, s->inputs.item[k], &source.path);
		if (i < 0)
			return NORMC_USAGE;
		if (in[i].data)
			return complain(NORMC_USAGE, "--input %s: input '%s' is given twice",
					s->inputs.item[k], r->inputs[i].name);
		source.name = r->inputs[i].name;
		source.want = r->inputs[i].elem;
		if (!io_read(&diag, &source, &in[i]))
			return diag.status;
	}
	for (size_t i = 0; i < r->n_inputs; i++)
		if (!in[i].data)
			return complain(NORMC_USAGE, "input '%s' is missing: --input '%s=FILE.npy'",
					r->inputs[i].name, r->inputs[i].name);
	return NORMC_OK;
}

static bool plain_character(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '.' || c == '-';
}

/* DIR/NAME.npy with a name that is fit for a file; the number tells outputs apart whose names
 * become equal. */
static void output_path(const struct runner *r, const struct settings *s, size_t number, char *path,
			size_t size)
{
	const char *name = r->outputs[number].name;
	char plain[200];
	size_t n = 0;
	for (; name[n] && n + 1 < sizeof plain; n++)
		plain[n] = plain_character(name[n]) ? name[n] : '_';
	plain[n] = 0;
	/* "", "." and ".." are no file names, but "..npy" is one */
	snprintf(path, size, "%s%s%s.npy", s->output_dir ? s->output_dir : "",
		 s->output_dir ? "/" : "", n ? plain : "_");
}

/* Whether an earlier output has the same file. */
static bool path_is_taken(const struct runner *r, const struct settings *s, size_t number,
			  const char *path)
{
	char other[4096];
	for (size_t i = 0; i < number; i++) {
		output_path(r, s, i, other, sizeof other);
		if (!strcmp(other, path))
			return true;
	}
	return false;
}

/* The file of an output. */
static void output_file(const struct runner *r, const struct settings *s, size_t number, char *path,
			size_t size)
{
	output_path(r, s, number, path, size - 32);
	if (path_is_taken(r, s, number, path))
		snprintf(path + strlen(path) - 4, 32, "_%zu.npy", number);
}

/* Whether no output would take the place of a file that was given. */
static enum normc_status check_outputs(const struct runner *r, const struct settings *s)
{
	for (size_t i = 0; i < r->n_outputs; i++) {
		char path[4096];
		output_file(r, s, i, path, sizeof path);
		const struct named_path *taken = paths_find(s->used, (size_t)s->n_used, path);
		if (taken)
			return complain(NORMC_USAGE,
					"the output %s would overwrite %s%s %s; --output-dir DIR "
					"puts it elsewhere",
					path, path_dashes(taken), taken->what, taken->path);
	}
	return NORMC_OK;
}

static enum normc_status write_outputs(const struct runner *r, const struct settings *s,
				       const struct normc_tensor *out)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	if (s->output_dir && !folder_need(&diag, s->output_dir))
		return diag.status;
	for (size_t i = 0; i < r->n_outputs; i++) {
		char path[4096];
		output_file(r, s, i, path, sizeof path);
		if (!io_write_npy(&diag, path, &out[i]))
			return diag.status;
		say(stdout, "%s: %s[", path, normc_elem_name(out[i].elem));
		for (int32_t d = 0; d < out[i].rank; d++)
			printf("%s%lld", d ? "," : "", (long long)out[i].dim[d]);
		printf("]%s\n", io_npy_lacks(out[i].elem) ? ", the bits as unsigned integers" : "");
	}
	return NORMC_OK;
}

static void free_tensors(struct normc_tensor *tensor, size_t n)
{
	for (size_t i = 0; tensor && i < n; i++)
		free(tensor[i].data);
	free(tensor);
}

static enum normc_status run_once(struct runner *r, const struct settings *s)
{
	struct normc_error error = {0};
	struct normc_tensor *in = calloc(r->n_inputs + 1, sizeof *in);
	struct normc_tensor *out = calloc(r->n_outputs + 1, sizeof *out);
	enum normc_status status = in && out ? NORMC_OK : complain(NORMC_LIMIT, "out of memory");

	if (!status)
		status = read_inputs(r, s, in);
	if (!status)
		status = check_outputs(r, s);
	if (!status) {
		limit_time(s->limit);
		status = runner_run(r, in, out, &error);
		limit_time(0);
		if (status && !r->interpreter)
			complain(status, "%s", error.text);
	}
	if (!status)
		status = write_outputs(r, s, out);
	free_tensors(in, r->n_inputs);
	free_tensors(out, r->n_outputs);
	return status;
}

enum normc_status command_run(const struct settings *settings)
{
	struct runner r;
	struct normc_error error;
	const char *path = settings->paths.item[0];
	bool compiled = !settings->interpret && !settings->interpret_rewritten;
	if (settings->dims.n && path_ends(path, ".so"))
		return complain(NORMC_USAGE,
				"'%s' is compiled already: leave --dim out, the inputs tell the "
				"dimensions",
				path);
	enum normc_status status = runner_open(&r, settings, path, NULL, &error);

	/* the interpreter and the child have told their errors themselves */
	if (status && compiled && error.text[0])
		complain(status, "%s", error.text);
	if (!status)
		status = run_once(&r, settings);
	runner_close(&r);
	return status;
}
