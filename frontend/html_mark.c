/* What the remarks say about each box. */
#include "html.h"

#include <stdlib.h>
#include <string.h>

#include "rewrite.h"

bool rule_tidies(const char *rule)
{
	for (uint32_t i = 0; i < n_rules; i++)
		if (!strcmp(rules[i].name, rule))
			return true;
	return !strcmp(rule, "sink") || !strcmp(rule, "given");
}

/* ---- findings ---- */

static int by_rule(const void *a, const void *b)
{
	const struct finding *x = a, *y = b;
	bool tidies = rule_tidies(x->rule);
	if (tidies != rule_tidies(y->rule))
		return tidies ? 1 : -1;
	int order = strcmp(x->rule, y->rule);
	if (!order)
		order = !x->missed - !y->missed;
	if (!order)
		order = (x->source > y->source) - (x->source < y->source);
	return order || !x->missed ? order : strcmp(x->missed, y->missed);
}

struct findings *findings_new(struct compile *c)
{
	struct arena *arena = c->context.arena;
	struct findings *findings = arena_new(arena, struct findings, 1);
	struct finding *all = arena_new(arena, struct finding, (size_t)c->log.n_remarks + 1);
	for (uint32_t i = 0; i < c->log.n_remarks; i++) {
		const struct remark *r = &c->log.remarks[i];
		uint32_t source = r->loc.source < c->diag.n_sources ? r->loc.source : 0;
		all[i] = (struct finding){r->rule, r->missed, source, 1};
	}
	qsort(all, c->log.n_remarks, sizeof *all, by_rule);
	findings->item = all;
	for (uint32_t i = 0; i < c->log.n_remarks; i++) {
		if (findings->n && !by_rule(&all[findings->n - 1], &all[i]))
			all[findings->n - 1].count++;
		else
			all[findings->n++] = all[i];
	}
	return findings;
}

/* ---- marks ---- */

static bool names_news(const struct drawing *d, const struct box *box)
{
	for (uint32_t id = box->first; id != NONE; id = d->next[id]) {
		const char *via = d->g->nodes[id]->loc.via;
		if (via && !rule_tidies(via))
			return true;
	}
	return false;
}

void marks_set(struct drawing *before, struct drawing *after, const struct findings *findings)
{
	uint32_t n_sources = before->g->context->diag->n_sources;
	unsigned *of_source = arena_new(before->arena, unsigned, (size_t)n_sources + 1);
	for (uint32_t i = 0; i < findings->n; i++) {
		const struct finding *f = &findings->item[i];
		of_source[f->source] |= f->missed	       ? MARK_MISSED
					: rule_tidies(f->rule) ? MARK_TIDIED
							       : MARK_DONE;
	}
	for (uint32_t i = 0; i < before->n_boxes; i++) {
		struct box *box = &before->boxes[i];
		if (!box->source)
			continue;
		box->marks = of_source[box->source];
		if (after->by_source[box->source] == NONE && !after->omitted)
			box->marks |= MARK_GONE;
	}
	for (uint32_t i = 0; i < after->n_boxes; i++) {
		struct box *box = &after->boxes[i];
		if (box->source)
			box->marks = of_source[box->source] & MARK_MISSED;
		if (box->via)
			box->marks |= names_news(after, box) ? MARK_DONE : MARK_TIDIED;
	}
}
