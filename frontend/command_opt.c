/* normc opt: the rewritten model as an ONNX file. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <string.h>

#include "export.h"

struct job {
	const struct settings *settings;
	const char *folder;
};

static bool io_failure(struct compile *c, const char *path)
{
	return diag_error(&c->diag, (struct loc){0}, NORMC_IO, "%.300s: %s", path,
			  strerrordesc_np(errno));
}

static bool write_file(struct compile *c, const struct job *job, const char *path,
		       struct export_summary *summary)
{
	const struct model *model = c->model->model;
	double cap = job->settings->opset;
	int32_t own = export_model_opset(model);
	struct export_request request = {.model = model, .opset = own};
	if (cap < 0)
		request.cap = own > EXPORT_OPSET_USUAL ? own : EXPORT_OPSET_USUAL;
	else
		request.cap = cap > INT32_MAX ? INT32_MAX : (int32_t)cap;
	FILE *file = fopen(path, "wb");
	if (!file)
		return io_failure(c, path);
	bool ok = export_model(c->graph, &request, file, summary);
	if (fclose(file) && ok)
		return io_failure(c, path);
	return ok;
}

static bool optimise(struct compile *c, void *user)
{
	const struct job *job = user;
	const struct model *model = c->model->model;
	struct export_summary summary;
	if (!compile_to(c, STAGE_OPTIMISED))
		return false;
	const char *path = arena_printf(c->context.arena, "%s/out.onnx", job->folder);
	if (!write_file(c, job, path, &summary) ||
	    !file_put_in_place(&c->diag, path, job->settings->output))
		return false;
	say(stdout, "%s: %u nodes, opset %d (%s: %u nodes, opset %d)\n", job->settings->output,
	    summary.nodes, summary.opset, job->settings->paths.item[0], export_model_nodes(model),
	    export_model_opset(model));
	return true;
}

static enum normc_status opt_job(void *user)
{
	const struct job *job = user;
	struct model_step step = {.settings = job->settings,
				  .path = job->settings->paths.item[0],
				  .run = optimise,
				  .user = user};
	struct normc_error error;
	return model_step_take(&step, &error);
}

enum normc_status command_opt(const struct settings *settings)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	char folder[4096] = "";
	enum normc_status status = need_output(settings, "OUT.onnx");
	if (status)
		return status;
	if (!path_ends(settings->output, ".onnx"))
		return complain(NORMC_USAGE, "'%s': the output's name must end in .onnx",
				settings->output);
	if (!folder_make(&diag, settings->output, folder, sizeof folder))
		return diag.status;
	status = in_child(settings->paths.item[0], opt_job,
			  &(struct job){.settings = settings, .folder = folder});
	folder_remove(folder);
	return status;
}
