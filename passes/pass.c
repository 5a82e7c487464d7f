/* The pass manager: what is known about the graph is data (passes.def); the order is pipeline(). */
#include "pass.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

enum fact { CLEAN = 1, FOLDED = 2, BARE = 4 };

#define PASS(name, ...) PASS_##name,
enum {
#include "passes.def"
	PASS_COUNT
};
#undef PASS

static const struct pass_info {
	const char *name;
	enum when { DEFAULT, ASKED, ALWAYS, SUBSTITUTES } when;
	unsigned needs, keeps, gives;
	const char *help;
	pass_fn *run;
} passes[PASS_COUNT] = {
#define PASS(name, when, needs, keeps, gives, help)                                                \
	{#name, when, needs, keeps, gives, help, pass_##name},
#include "passes.def"
#undef PASS
};

struct run {
	struct graph *g;
	unsigned facts;
	const struct pass_options *options;
	struct pass_log *log;
	bool ended; /* as options->before or after say */
};

bool pass_describe(uint32_t i, struct pass_description *d)
{
	if (i >= PASS_COUNT)
		return false;
	enum when when = passes[i].when;
	*d = (struct pass_description){passes[i].name, passes[i].help,
				       when == ASKED || when == SUBSTITUTES, when == ALWAYS,
				       when == SUBSTITUTES};
	return true;
}

void pass_remark(struct graph *g, struct pass *pass, const char *rule, struct loc loc,
		 const char *missed)
{
	struct remark remark = {rule, loc, missed, NULL};
	PUSH(g->context->arena, pass->log->remarks, pass->log->n_remarks, remark);
}

bool pass_allows(struct pass *pass)
{
	bool allowed = !pass->limited || pass->left;
	pass->left -= pass->limited && pass->left;
	return allowed;
}

void pass_remark_note(struct graph *g, struct pass *pass, struct loc loc, const char *note)
{
	pass_remark(g, pass, pass->name, loc, NULL);
	pass->log->remarks[pass->log->n_remarks - 1].note = note;
}

struct node *pass_regions(struct graph *to, const struct node *old, struct node *const *in,
			  struct pass *pass, pass_fn *run)
{
	struct attr_region attr;
	memcpy(&attr, old->attr.region, sizeof attr);
	for (int r = 0; r < 2; r++)
		if (attr.region[r])
			attr.region[r] = run(attr.region[r], pass);
	return graph_node(to, old->op, in, old->n_in, (union attr){.region = &attr});
}

/* Copying leaves dead nodes behind by itself. */
struct graph *pass_clean(struct graph *g, struct pass *pass)
{
	(void)pass;
	return graph_rewrite(g, NULL, NULL);
}

/* Whether the pass runs by the list of -NAME and +NAME; the last word about it counts. */
static bool is_wanted(const struct pass_info *info, const char *list)
{
	bool wanted = info->when == DEFAULT;
	size_t length = strlen(info->name);
	while (list && *list) {
		size_t word = strcspn(list, ",");
		if (word == length + 1 && !strncmp(list + 1, info->name, length))
			wanted = *list == '+';
		list += word + (list[word] == ',');
	}
	return wanted || info->when == ALWAYS;
}

bool pass_is_wanted(uint32_t i, const char *list)
{
	return i < PASS_COUNT && is_wanted(&passes[i], list);
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void report(const struct run *r, const struct pass_info *info, double start)
{
	const struct pass_options *o = r->options;
	char line[100];
	if (o->time && o->put) {
		snprintf(line, sizeof line, "%-10s %8.1f ms %7u nodes\n", info->name,
			 (seconds() - start) * 1e3, r->g->n_nodes);
		o->put(o->user, line);
	}
	if (o->dump_after && o->put && !strcmp(o->dump_after, info->name))
		graph_print(r->g, 16, o->put, o->user);
}

static bool run_pass(struct run *r, const struct pass_info *info)
{
	struct diag *diag = r->g->context->diag;
	struct pass pass = {.name = info->name,
			    .log = r->log,
			    .strict = r->options->strict,
			    .samples = r->options->samples,
			    .n_samples = r->options->n_samples};
	uint32_t errors = diag->errors;
	double start = seconds();
	struct graph *g = info->run(r->g, &pass);
	if (!g || diag->errors != errors)
		return false;
	r->g = g;
	struct pass_step done = {info->name, g, r->log->n_remarks};
	PUSH(g->context->arena, r->log->steps, r->log->n_steps, done);
	r->facts = (r->facts & info->keeps) | info->gives;
	report(r, info, start);
	return !r->options->verify || graph_verify(g);
}

static bool is_named(const struct pass_info *info, const char *name)
{
	return name && !strcmp(info->name, name);
}

/* Runs a pass after those that give what it needs. */
static bool step(struct run *r, int pass)
{
	const struct pass_info *info = &passes[pass];
	if (r->ended || !is_wanted(info, r->options->list))
		return true;
	/* A giver may forget another fact; two rounds are enough for one that keeps what the other
	 * gives. */
	for (int round = 0; round < 2; round++)
		for (int i = PASS_COUNT - 1; i >= 0; i--)
			if (passes[i].gives & info->needs & ~r->facts && i != PASS_simplify &&
			    !run_pass(r, &passes[i]))
				return false;
	if (info->needs & ~r->facts)
		return bug(r->g->context->diag, (struct loc){0}, "no pass gives what '%s' needs",
			   info->name);
	r->ended = is_named(info, r->options->before);
	if (r->ended)
		return true;
	r->ended = is_named(info, r->options->after);
	return run_pass(r, info);
}

/* Streams without a coordinate need gamma and beta out of the way. */
static bool compress(struct run *r)
{
	return !is_wanted(&passes[PASS_crms], r->options->list) ||
	       (step(r, PASS_absorb) && step(r, PASS_crms));
}

/* Norms are at their simplest, and what stands for them joins weights next. */
static bool substitute(struct run *r)
{
	return step(r, PASS_layernorm_to_rms) && step(r, PASS_layernorm_to_un) &&
	       step(r, PASS_layernorm_to_dyt) && step(r, PASS_layernorm_to_eln);
}

static bool pipeline(struct run *r)
{
	return step(r, PASS_simplify) && step(r, PASS_recognize) && step(r, PASS_spectrum) &&
	       step(r, PASS_spectrum_clamped) && step(r, PASS_sink) && step(r, PASS_simplify) &&
	       step(r, PASS_fold_norm) && /* after sink, so that products and affine maps are
					     neighbours */
	       step(r, PASS_simplify) && step(r, PASS_cancel) &&
	       step(r, PASS_merge) && /* scales and biases between products are gone */
	       step(r, PASS_hadamard) && compress(r) &&
	       step(r, PASS_recentre) && /* scales of branches are in their weights by now */
	       substitute(r) && step(r, PASS_absorb) &&
	       step(r, PASS_given) &&	  /* what no product took */
	       step(r, PASS_threshold) && /* which reads what that leaves */
	       step(r, PASS_gauge) &&	  /* what no product alone can take */
	       step(r, PASS_simplify) &&  /* shifts join the biases behind their products */
	       step(r, PASS_clean);
}

struct graph *passes_run(struct graph *g, const struct pass_options *options)
{
	struct pass_log log = {0};
	struct run r = {g, 0, options, options->log ? options->log : &log, false};
	return pipeline(&r) ? r.g : NULL;
}

struct graph *pass_again(const char *name, struct graph *g, uint32_t most, struct pass_log *log)
{
	struct pass pass = {.name = name, .log = log, .limited = true, .left = most};
	for (int i = 0; i < PASS_COUNT; i++)
		if (!strcmp(passes[i].name, name))
			return passes[i].run(g, &pass);
	return NULL;
}

struct graph *pass_by_name(const char *name, struct graph *g)
{
	struct pass_options options = {0};
	struct pass_log log = {0};
	struct run r = {g, 0, &options, &log, false};
	for (int i = 0; i < PASS_COUNT; i++)
		if (!strcmp(passes[i].name, name)) {
			char list[64];
			snprintf(list, sizeof list, "+%s", name);
			options.list = list;
			return step(&r, i) && step(&r, PASS_clean) ? r.g : NULL;
		}
	return NULL;
}
