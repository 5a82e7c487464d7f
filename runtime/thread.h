/* The thread pool of a session, and the services that generated code calls.  A shared library
 * carries its own copy of the runtime, so a pool and a profile begin with the function that serves
 * them: whichever copy made the object also works on it. */
#ifndef NORMC_THREAD_H
#define NORMC_THREAD_H

#include "module.h"

#define NORMC_THREAD_LIMIT 1024

struct normc_pool {
	void (*parallel)(struct normc_frame *frame, normc_kernel *kernel, int64_t tasks,
			 const void *table);
};

struct normc_profile {
	void (*mark)(struct normc_frame *frame, int32_t kernel);
	struct normc_profile_entry *entries;
	int32_t n_kernels;
	int32_t current; /* kernel that runs now, -1 if none */
	double since;	 /* when it began, in seconds */
	uint64_t marks;
};

/* Processors that this process may use, at least 1. */
int32_t normc_thread_available(void);

/* Starts threads - 1 workers (threads >= 2).  NULL if memory or threads run out. */
struct normc_pool *normc_pool_new(int32_t threads);
/* Stops and joins the workers; accepts NULL.  Not while the pool runs something. */
void normc_pool_free(struct normc_pool *pool);

/* The `mark` function of a profile. */
void normc_profile_mark(struct normc_frame *frame, int32_t kernel);

#endif
