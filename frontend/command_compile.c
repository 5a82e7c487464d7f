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
	const char *path = s->paths.item[0];
	struct normc_options options = settings_options(s);
	struct artefact artefact = {.path = s->output, .folder = job->folder};
	struct normc_error error;
	struct normc_model *model;
	struct compile c;

	enum normc_status status = normc_model_load(&model, path, &options, &error);
	if (status) {
		fprintf(stderr, "%s: error: %s\n", path, error.text);
		return status;
	}
	compile_begin(&c, model, &options);
	settings_apply(s, &c, false);
	compile_guard(&c, artefact_write, &artefact);
	status = compile_end(&c, NULL);
	normc_model_free(model);
	return status;
}

enum normc_status command_compile(const struct settings *settings)
{
	struct diag diag = {.file = "normc", .sink = print_diagnostic};
	char folder[4096] = "";
	enum normc_status status;

	if (!settings->output)
		return complain(NORMC_USAGE, "no output given: -o OUT.so (or .a .o .ll .s)");
	if (!folder_make(&diag, settings->output, folder, sizeof folder))
		return diag.status;
	status = in_child(settings->paths.item[0], compile_job,
			  &(struct job){.settings = settings, .folder = folder});
	folder_remove(folder); /* here, so that nothing stays behind when the child dies */
	return status;
}
