/* normc verify --reduce DIR: a small failing model, before and after, with its inputs and the
 * command that shows the failure. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "command_cases.h"
#include "export.h"
#include "io.h"
#include "verify_reduce.h"

static bool io_failure(struct diag *diag, const char *path)
{
	return diag_error(diag, (struct loc){0}, NORMC_IO, "%.300s: %s", path,
			  strerrordesc_np(errno));
}

/* Opens FOLDER/NAME for writing. */
static FILE *open_in(struct diag *diag, const char *folder, const char *name)
{
	char path[PATH_BYTES];
	snprintf(path, sizeof path, "%.3500s/%s", folder, name);
	FILE *file = fopen(path, "wb");
	if (!file)
		io_failure(diag, path);
	return file;
}

static bool close_file(struct diag *diag, FILE *file, const char *folder)
{
	bool ok = !ferror(file);
	return !fclose(file) && ok ? true : io_failure(diag, folder);
}

static bool write_model(struct diag *diag, const struct graph *g, const char *folder,
			const char *name)
{
	struct export_request request = {.opset = EXPORT_OPSET_FIRST, .cap = EXPORT_OPSET_USUAL};
	struct export_summary summary;
	FILE *file = open_in(diag, folder, name);
	if (!file)
		return false;
	bool ok = export_model(g, &request, file, &summary);
	return close_file(diag, file, folder) && ok;
}

static bool write_input(struct diag *diag, const struct tensor *t, const char *folder, uint32_t i)
{
	char path[PATH_BYTES];
	size_t bytes;
	struct normc_tensor out = {.elem = t->elem, .rank = t->rank};
	memcpy(out.dim, t->dim, sizeof out.dim);
	out.data = io_bytes(&out, &bytes) ? malloc(bytes ? bytes : 1) : NULL;
	if (!out.data)
		return diag_error(diag, (struct loc){0}, NORMC_LIMIT, "out of memory");
	tensor_store(t, out.data);
	snprintf(path, sizeof path, "%.3500s/input_%u.npy", folder, i);
	bool ok = io_write_npy(diag, path, &out);
	free(out.data);
	return ok;
}

/* In quotes for a shell. */
static void put_quoted(FILE *file, const char *text)
{
	fputc('\'', file);
	for (; *text; text++) {
		if (*text == '\'')
			fputs("'\\''", file);
		else
			fputc(*text, file);
	}
	fputc('\'', file);
}

static bool write_text(struct diag *diag, const struct reduction *r, const char *folder)
{
	FILE *file = open_in(diag, folder, "README.txt");
	if (!file)
		return false;
	fprintf(file, "normc verify before.onnx after.onnx");
	for (uint32_t i = 0; i < r->part->n_inputs; i++) {
		fputs(" --input ", file);
		put_quoted(file, arena_printf(r->part->context->arena, "%s=input_%u.npy",
					      r->part->inputs[i]->attr.port->name, i));
	}
	fprintf(file, "\n\nNodes: %u.  Output '%s': %s\n", r->n_nodes, r->part->output_names[0],
		r->text);
	return close_file(diag, file, folder);
}

bool reduction_write(struct diag *diag, const struct reduction *r, const char *folder)
{
	if (mkdir(folder, 0777) && errno != EEXIST)
		return io_failure(diag, folder);
	bool ok = write_model(diag, r->part, folder, "before.onnx") &&
		  write_model(diag, r->after, folder, "after.onnx");
	for (uint32_t i = 0; ok && i < r->part->n_inputs; i++)
		ok = write_input(diag, &r->values[i], folder, i);
	return ok && write_text(diag, r, folder);
}
