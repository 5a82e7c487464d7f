/* The rewrites, one by one: graphs before and after each pass, evaluated on the same inputs.
 *
 * A pass is right if the outputs stay the same formulas, or, where algebra does not decide, if they
 * stay within the bounds of the imported graph.  Each rewrite that the pass did is then right.  A
 * pass that is wrong is run again with ever fewer rewrites until one is left (as with the bisection
 * of LLVM's pass manager); passes that decide for the whole graph at once are blamed as a whole.
 */
#include <stdio.h>
#include <string.h>

#include "pass.h"
#include "verify.h"

struct finding {
	enum verify_outcome outcome;
	double ratio;
	const char *text;
};

/* One pass that did some rewrites. */
struct stage {
	const char *pass;
	struct graph *from;	       /* what the pass was given */
	const struct graph *to;	       /* what it made of it */
	uint32_t first, end;	       /* its remarks */
	const struct tensor *expected; /* outputs before it */
};

/* Outputs with residues, kept in the report's arena. */
static struct tensor *outputs_of(struct verify_report *r, struct verify_chain *c,
				 const struct graph *g)
{
	struct tensor *out = arena_new(r->arena, struct tensor, g->n_outputs + 1);
	c->arena = arena_open(g->context->memory);
	struct eval_request how = {EVAL_EXACT, c->symbols, c->arena};
	bool ok = c->by_values ? eval_graph(g, how, c->in, out) : eval_residues(g, how, c->in, out);
	for (uint32_t i = 0; ok && i < g->n_outputs; i++) {
		size_t bytes = (size_t)out[i].count * sizeof *out[i].f;
		out[i].i = arena_copy(r->arena, out[i].i, bytes);
		if (!c->by_values)
			out[i].residue = arena_copy(r->arena, out[i].residue, bytes);
	}
	arena_close(c->arena);
	c->arena = NULL;
	return ok ? out : NULL;
}

/* Judges outputs that are not the same formulas by their values. */
static struct finding judge_values(struct verify_report *r, const struct verify_chain *c,
				   uint32_t output, const struct tensor *got)
{
	struct verify_report values = {.arena = r->arena};
	verify_compare(&values, (struct verify_case){.lane = LANE_FLOAT}, &c->want[output], got);
	const struct verify_case *v = &values.cases[0];
	struct finding f = {v->outcome, v->ratio, v->text};
	if (f.outcome == VERIFY_FAILED)
		f.text = arena_printf(r->arena, "output '%s': %s", c->before->output_names[output],
				      v->text);
	else if (f.outcome == VERIFY_PASSED)
		f.text = "by values";
	return f;
}

static struct finding judge(struct verify_report *r, const struct verify_chain *c,
			    const struct stage *s, const struct tensor *got)
{
	struct finding worst = {.outcome = VERIFY_PASSED, .text = ""};
	const struct context *context = c->before->context;
	bool decisive = context->exact && !context->inexact && !context->tie && !c->by_values;
	for (uint32_t i = 0; i < c->before->n_outputs; i++) {
		int64_t at = c->by_values ? 0 : verify_first_difference(&s->expected[i], &got[i]);
		if (at < 0)
			continue;
		struct finding f = judge_values(r, c, i, &got[i]);
		if (f.outcome != VERIFY_FAILED && decisive) {
			f.outcome = VERIFY_FAILED;
			f.ratio = 0;
			f.text = arena_printf(r->arena,
					      "output '%s': element %lld is another expression",
					      c->before->output_names[i], (long long)at);
		}
		if (f.outcome == VERIFY_FAILED)
			return f;
		worst = worst.outcome == VERIFY_NOT_APPLICABLE ? worst : f;
	}
	return worst;
}

/* ---- the wrong rewrite of a pass ---- */

/* Whether the outputs are wrong after `most` rewrites; their remarks into *log. */
static bool fails_with(struct verify_report *r, struct verify_chain *c, const struct stage *s,
		       uint32_t most, struct pass_log *log)
{
	struct stage again = *s;
	*log = (struct pass_log){0};
	again.to = c->again(s->pass, s->from, most, log);
	const struct tensor *got = again.to ? outputs_of(r, c, again.to) : NULL;
	return got && judge(r, c, &again, got).outcome == VERIFY_FAILED;
}

static uint32_t fired(const struct pass_log *log, uint32_t first, uint32_t end)
{
	uint32_t n = 0;
	for (uint32_t i = first; i < end; i++)
		n += !log->remarks[i].missed;
	return n;
}

/* The number of the first rewrite with which the outputs are wrong, from 1; 0: unknown.  Passes may
 * count what they only consider, so that the limit is not the number. */
static uint32_t find_wrong(struct verify_report *r, struct verify_chain *c, const struct stage *s)
{
	struct pass_log log;
	uint32_t good = 0, bad = 2 * s->from->n_nodes + 64;
	if (fails_with(r, c, s, 0, &log) || !fails_with(r, c, s, bad, &log))
		return 0;
	uint32_t number = fired(&log, 0, log.n_remarks);
	while (bad - good > 1) {
		uint32_t middle = good + (bad - good) / 2;
		if (!fails_with(r, c, s, middle, &log)) {
			good = middle;
			continue;
		}
		bad = middle;
		number = fired(&log, 0, log.n_remarks);
	}
	return number;
}

/* ---- cases ---- */

static void add_case(struct verify_report *r, const struct verify_chain *c,
		     const struct remark *remark, struct finding f)
{
	char place[400];
	diag_place(c->before->context->diag, remark->loc, place, sizeof place);
	verify_add(r, (struct verify_case){.lane = LANE_REWRITE,
					   .outcome = f.outcome,
					   .ratio = f.ratio,
					   .data = remark->rule,
					   .output = place[0] ? arena_string(r->arena, place)
							      : "the model",
					   .text = f.text});
}

/* One case for each rewrite of the pass. */
static void add_cases(struct verify_report *r, struct verify_chain *c, const struct stage *s,
		      struct finding f)
{
	static const struct finding good = {.outcome = VERIFY_PASSED, .text = ""};
	static const struct finding open = {
			.outcome = VERIFY_NOT_APPLICABLE,
			.text = "a rewrite before it, of the same pass, is wrong"};
	uint32_t wrong = f.outcome == VERIFY_FAILED ? find_wrong(r, c, s) : 0, number = 0;
	for (uint32_t i = s->first; i < s->end; i++) {
		if (c->log->remarks[i].missed)
			continue;
		number++;
		add_case(r, c, &c->log->remarks[i],
			 !wrong || number == wrong ? f
			 : number < wrong	   ? good
						   : open);
	}
}

static bool check_stage(struct verify_report *r, struct verify_chain *c, struct stage *s)
{
	const struct tensor *got = outputs_of(r, c, s->to);
	if (!got)
		return false;
	struct finding f = judge(r, c, s, got);
	if (f.outcome == VERIFY_FAILED)
		f.text = arena_printf(r->arena, "after the pass '%s': %s", s->pass, f.text);
	add_cases(r, c, s, f);
	s->expected = got;
	return true;
}

bool verify_rewrites(struct verify_report *r, struct verify_chain *chain)
{
	const struct pass_log *log = chain->log;
	struct stage s = {.to = chain->before};
	struct graph *last = (struct graph *)(uintptr_t)chain->before; /* passes do not change it */
	if (!fired(log, 0, log->n_remarks))
		return true;
	if (chain->together) {
		s.end = log->n_remarks;
		add_cases(r, chain, &s,
			  (struct finding){VERIFY_PASSED, 0, "by values, all rewrites together"});
		return true;
	}
	chain->before->context->tie = false;
	s.expected = outputs_of(r, chain, chain->before);
	if (!s.expected)
		return false;
	for (uint32_t i = 0; i < log->n_steps; i++) {
		s.pass = log->steps[i].pass;
		s.from = last;
		s.to = last = log->steps[i].graph;
		s.first = s.end;
		s.end = log->steps[i].n_remarks;
		if (fired(log, s.first, s.end) && !check_stage(r, chain, &s))
			return false;
	}
	return true;
}
