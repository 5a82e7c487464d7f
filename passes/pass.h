/* Passes: graph to better graph, and graph to kernels.  The table is passes.def, the order is pipeline() in pass.c. */
#ifndef NORMC_PASSES_PASS_H
#define NORMC_PASSES_PASS_H

#include "graph.h"
#include "kernel.h"

/* What a pass did, for --remarks and statistics. */
struct pass_options {
	const char *skip;       /* "-fold_bn,-cse": passes left out, NULL: none */
	const char *dump_after; /* pass name, NULL: none: prints the graph through `put` */
	bool verify;            /* check the graph after every pass */
	bool time;              /* report the time of each pass through `put` */
	void (*put)(void *user, const char *text);
	void *user;
};

/* Runs the default pipeline on graphs. NULL after a report. */
struct graph *passes_run(struct graph *g, const struct pass_options *options);
/* Runs one pass by name (tests); NULL if there is none or after a report. */
struct graph *pass_by_name(const char *name, struct graph *g);

/* Lowers to kernels and plans memory (lower.c, place.c, plan.c). NULL after a report. */
struct program *program_new(struct graph *g, const struct machine *machine);
/* Prints kernels, buffers and the memory plan. */
void program_print(const struct program *p, void (*put)(void *user, const char *text), void *user);

#endif
