/* Passes: graph to better graph, and graph to kernels.
 *
 * To add a pass: write its row in passes.def, its function in a file of its own, and a line in
 * pipeline() (pass.c). A pass never changes the graph it is given: it makes a new one with
 * graph_rewrite, which shares equal nodes and leaves out dead ones by itself.
 */
#ifndef NORMC_PASSES_PASS_H
#define NORMC_PASSES_PASS_H

#include "graph.h"
#include "kernel.h"

/* A rewrite that was done, or a candidate that was left alone. */
struct remark {
	const char *rule;
	struct loc loc;
	const char *missed; /* why it was left alone; NULL: it was done */
	const char *note;   /* more about what was done; may be NULL */
};

/* A pass that has run. */
struct pass_step {
	const char *pass;
	struct graph *graph; /* that it made */
	uint32_t n_remarks;  /* made by it and all before it */
};

struct pass_log {
	struct remark *remarks; /* in the graph's arena */
	uint32_t n_remarks;
	struct pass_step *steps; /* likewise */
	uint32_t n_steps;
};

/* What to do, and what was done, for --remarks and statistics. */
struct pass_options {
	const char *list;	/* "-sink,+crms": passes left out, and more passes; may be NULL */
	const char *dump_after; /* pass name, NULL: none: prints the graph through `put` */
	bool verify;		/* check the graph after every pass */
	bool time;		/* report the time of each pass through `put` */
	bool strict;		/* bit-exact rules only */
	void (*put)(void *user, const char *text);
	void *user;
	struct pass_log *log; /* receives the remarks; may be NULL */
	const char *before;   /* a pass before which, or after which, all ends; NULL: none */
	const char *after;
	const struct norm_sample *samples; /* for passes that substitute, see substitute.h */
	uint32_t n_samples;
};

/* Runs the default pipeline on graphs. NULL after a report. */
struct graph *passes_run(struct graph *g, const struct pass_options *options);
/* Runs one pass by name, and before it those that it needs (tests); NULL if there is none or after
 * a report. */
struct graph *pass_by_name(const char *name, struct graph *g);
/* Runs a pass again on the graph that it was given before, for `most` rewrites at most, to find the
 * one that is wrong. Passes that decide for the whole graph at once do not mind the limit. NULL
 * after a report. */
struct graph *pass_again(const char *name, struct graph *g, uint32_t most, struct pass_log *log);
/* Describes pass number i; false after the last. */
struct pass_description {
	const char *name, *help;
	bool asked;	  /* it runs only when a list says +NAME */
	bool always;	  /* a list cannot say -NAME */
	bool substitutes; /* asked, changes results, and needs samples */
};
bool pass_describe(uint32_t i, struct pass_description *d);
/* Whether pass number i runs by a list; the last word about it counts. */
bool pass_is_wanted(uint32_t i, const char *list);

/* What a pass sees of the run. */
struct pass {
	const char *name;
	struct pass_log *log; /* never NULL */
	bool strict;
	bool limited;  /* pass_again */
	uint32_t left; /* rewrites that are still allowed */
	const struct norm_sample *samples;
	uint32_t n_samples;
};
typedef struct graph *pass_fn(struct graph *g, struct pass *pass);
#define PASS(name, ...) pass_fn pass_##name;
#include "passes.def"
#undef PASS

/* Adds a remark. `rule` and `missed` live for ever. */
void pass_remark(struct graph *g, struct pass *pass, const char *rule, struct loc loc,
		 const char *missed);

/* Whether one more rewrite may be done; asked when it is found and before its remark. */
bool pass_allows(struct pass *pass);

/* Adds a remark about what was done, with a note that lives as long as the graph. */
void pass_remark_note(struct graph *g, struct pass *pass, struct loc loc, const char *note);

/* For rules that look at the whole old graph: rewrites an `if` or `loop` by running the pass on its
 * regions. */
struct node *pass_regions(struct graph *to, const struct node *old, struct node *const *in,
			  struct pass *pass, pass_fn *run);

/* Lowers to kernels and plans memory (lower.c, place.c, plan.c). NULL after a report. */
struct program *program_new(struct graph *g, const struct machine *machine);
/* Prints kernels, buffers and the memory plan. */
void program_print(const struct program *p, void (*put)(void *user, const char *text), void *user);

#endif
