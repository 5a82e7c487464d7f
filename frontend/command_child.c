/* Work in a child process, so that LLVM may end it and a crash is only a message; and the time
 * limit of a run, which ends the whole program. */
#define _GNU_SOURCE
#include "command.h"

#include <errno.h>
#include <llvm-c/ErrorHandling.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static void fatal_error(const char *reason)
{
	fprintf(stderr, "LLVM: %s\n", reason);
	fflush(stderr);
	_exit(NORMC_BUG);
}

void catch_fatal_errors(void)
{
	LLVMInstallFatalErrorHandler(fatal_error);
}

/* What the end of a child means. */
static enum normc_status judge(const char *what, int status)
{
	if (WIFSIGNALED(status))
		return complain(NORMC_BUG, "the code generator failed on '%s': %s", what,
				sigdescr_np(WTERMSIG(status)));
	/* the child's own work never ends with this code, but a library that calls exit(1) does */
	if (WEXITSTATUS(status) == NORMC_DIFFERENT || WEXITSTATUS(status) > NORMC_BUG)
		return complain(NORMC_BUG, "the code generator failed on '%s': exit code %d", what,
				WEXITSTATUS(status));
	return (enum normc_status)WEXITSTATUS(status);
}

enum normc_status in_child(const char *what, enum normc_status (*work)(void *user), void *user)
{
	int status = 0;

	fflush(NULL);
	pid_t child = fork();
	if (child < 0)
		return complain(NORMC_LIMIT, "cannot start a process: %s", strerrordesc_np(errno));
	if (!child) {
		catch_fatal_errors();
		enum normc_status end = work(user);
		fflush(NULL);
		_exit((int)end);
	}
	while (waitpid(child, &status, 0) < 0)
		if (errno != EINTR)
			return complain(NORMC_BUG, "cannot wait for a process: %s",
					strerrordesc_np(errno));
	return judge(what, status);
}

static void time_is_up(int number)
{
	static const char text[] = "normc: error: the run takes longer than --limit allows\n";
	(void)number;
	ssize_t told = write(STDERR_FILENO, text, sizeof text - 1);
	(void)told; /* the exit code tells it too */
	_exit(NORMC_LIMIT);
}

void limit_time(double seconds)
{
	signal(SIGALRM, time_is_up);
	alarm((unsigned)seconds);
}
