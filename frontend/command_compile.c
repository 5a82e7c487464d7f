/* normc compile: a model to a file of native code. */
#include "command.h"

#include <string.h>

struct job {
	const struct settings *settings;
	char *folder;
};

static enum normc_status compile_job(void *user)
{
	const struct job *job = user;
	const struct settings *s = job->settings;
	struct artefact artefact = {.path = s->output, .folder = job->folder};
	struct model_step step = {.settings = s,
				  .path = s->paths.item[0],
				  .run = artefact_write,
				  .user = &artefact};
	struct normc_error error;
	return model_step_take(&step, &error);
}

enum normc_status command_compile(const struct settings *settings)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	char folder[4096] = "";
	enum normc_status status = need_output(settings, "OUT.so (or .a .o .ll .s)");

	if (status)
		return status;
	if (!folder_make(&diag, settings->output, folder, sizeof folder))
		return diag.status;
	status = in_child(settings->paths.item[0], compile_job,
			  &(struct job){.settings = settings, .folder = folder});
	folder_remove(folder); /* here, so that nothing stays behind when the child dies */
	return status;
}
