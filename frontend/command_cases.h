/* Private to the command line: folders of ONNX test cases (model.onnx, test_data_set_*), for check
 * and verify. */
#ifndef NORMC_FRONTEND_COMMAND_CASES_H
#define NORMC_FRONTEND_COMMAND_CASES_H

#include "command.h"

enum { PATH_BYTES = 4096 };

/* What a case came to; sent through a pipe. */
struct verdict {
	enum normc_status status; /* NORMC_OK: pass; NORMC_UNSUPPORTED; others: fail */
	char text[1000];
};
void verdict_fail(struct verdict *v, enum normc_status status, const char *text);

/* How cases are judged. */
struct case_judge {
	/* Judges the case in folder `path`, in a process of its own, with an empty folder for what
	 * it writes, which is removed afterwards. */
	void (*run)(const struct settings *s, const char *path, const char *folder,
		    struct verdict *v);
	const char *skipped; /* how NORMC_UNSUPPORTED is called */
};
/* Judges the cases of all paths, prints a line for each and the totals; NORMC_DIFFERENT if one
 * failed. */
enum normc_status cases_run(const struct settings *settings, const struct case_judge *judge);

/* Reads FOLDER/KIND_0.pb, FOLDER/KIND_1.pb, ... for all ports.  What was read is the caller's, also
 * after a failure. */
struct case_files {
	const char *folder, *kind; /* "input" or "output" */
	const struct normc_port *ports;
	size_t n;
};
bool case_read(const struct case_files *files, struct normc_tensor *tensor, struct verdict *v);

bool path_exists(const char *path);

#endif
