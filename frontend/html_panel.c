/* The text of the page: figures at the top, the norms, and the remarks by rule. */
#include "html.h"

#include <string.h>

#include "command.h"

/* ---- figures ---- */

struct tally {
	const char *name;
	uint32_t before, after;
};

enum { MAX_TALLIES = 16 }; /* more than norm_name has names */

static void count_norm(struct tally *tallies, uint32_t *n, const char *name, bool after)
{
	uint32_t i = 0;
	while (i < *n && strcmp(tallies[i].name, name))
		i++;
	if (i == MAX_TALLIES)
		return;
	if (i == *n)
		tallies[(*n)++] = (struct tally){.name = name};
	tallies[i].before += !after;
	tallies[i].after += after;
}

/* Norms that run, those of sub-graphs too. */
static uint32_t count_norms(const struct graph *g, struct tally *tallies, uint32_t n, bool after)
{
	const bool *live = graph_live(g);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *node = g->nodes[i];
		if (live[i] && node->op == OP_norm)
			count_norm(tallies, &n, norm_name(g->context->diag, node), after);
		for (int k = 0; live[i] && op_info[node->op].kind == KIND_region && k < 2; k++)
			if (node->attr.region->region[k])
				n = count_norms(node->attr.region->region[k], tallies, n, after);
	}
	return n;
}

static uint32_t count_operations(const struct drawing *d)
{
	uint32_t n = d->omitted;
	for (uint32_t i = 0; i < d->n_boxes; i++)
		if (d->boxes[i].kind != BOX_port)
			n += d->boxes[i].n_parts;
	return n;
}

static uint32_t count_boxes(const struct drawing *d)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < d->n_boxes; i++)
		n += d->boxes[i].kind != BOX_port;
	return n;
}

static void put_row(struct page_text *to, const struct tally *row)
{
	page_put(to, "<tr><th scope=\"row\">");
	page_escape(to, row->name, PAGE_NAME);
	page_printf(to, "</th><td>%u</td><td>%u</td></tr>\n", row->before, row->after);
}

static void put_figures(struct page_text *to, const struct page *page)
{
	struct tally tallies[MAX_TALLIES];
	uint32_t n = count_norms(page->compile->imported, tallies, 0, false);
	n = count_norms(page->compile->graph, tallies, n, true);
	page_put(to, "<table class=\"figures\"><thead><tr><th scope=\"col\"></th><th "
		     "scope=\"col\">before</th><th scope=\"col\">after</th></tr></thead><tbody>\n");
	put_row(to, &(struct tally){"boxes drawn", count_boxes(page->before),
				    count_boxes(page->after)});
	put_row(to, &(struct tally){"operations in them", count_operations(page->before),
				    count_operations(page->after)});
	for (uint32_t i = 0; i < n; i++)
		put_row(to, &tallies[i]);
	if (!n)
		page_put(to, "<tr><th scope=\"row\">norms</th><td>0</td><td>0</td></tr>\n");
	page_put(to, "</tbody></table>\n");
}

static void put_limit(struct page_text *to, const struct page *page)
{
	uint64_t omitted = (uint64_t)page->before->omitted + page->after->omitted;
	if (omitted)
		page_printf(to,
			    "<p class=\"limit\" role=\"alert\">Not everything is drawn: %llu "
			    "operations lie beyond the limit of %d boxes a side.</p>\n",
			    (unsigned long long)omitted, DRAWING_MAX_BOXES);
	if (page->before->n_links == DRAWING_MAX_LINKS || page->after->n_links == DRAWING_MAX_LINKS)
		page_printf(to,
			    "<p class=\"limit\" role=\"alert\">Not every link is drawn: the limit "
			    "is %d a side.</p>\n",
			    DRAWING_MAX_LINKS);
}

void page_summary(struct page_text *to, const struct page *page)
{
	put_limit(to, page);
	put_figures(to, page);
	page_printf(to,
		    "<p class=\"hint\">The file has %u ONNX nodes. What they calculate from "
		    "constants and shapes alone while the model is read is not drawn; constants "
		    "are notes at their readers.</p>\n",
		    page->compile->diag.n_sources - 1);
}

/* ---- norms ---- */

static void put_reference(struct page_text *to, const struct page *page, uint32_t source)
{
	const struct diag *diag = &page->compile->diag;
	const struct drawing *d = page->before;
	if (d->by_source[source] == NONE)
		d = page->after;
	if (!source) {
		page_put(to, "the model");
		return;
	}
	const struct source *s = &diag->sources[source];
	const char *tag = d->by_source[source] == NONE ? "span" : "a";
	page_printf(to, "<%s class=\"name\"", tag);
	if (*tag == 'a')
		page_printf(to, " href=\"#%c%u\"", d->side, d->by_source[source]);
	page_put(to, ">");
	page_escape(to, short_name(to->arena, s, s->name), PAGE_NAME);
	page_printf(to, "</%s> <small>", tag);
	page_escape(to, s->op_type, PAGE_NAME);
	page_put(to, "</small>");
}

/* By source: the norm that a drawing has of it, or NULL. */
static const struct box **norms_of(const struct drawing *d, uint32_t n_sources)
{
	const struct box **norms = arena_new(d->arena, const struct box *, (size_t)n_sources + 1);
	for (uint32_t i = 0; i < d->n_boxes; i++)
		if (d->boxes[i].kind == BOX_norm && d->boxes[i].source)
			norms[d->boxes[i].source] = &d->boxes[i];
	return norms;
}

/* "RMSNorm γ β" */
static const char *norm_text(const struct page *page, const struct box *box)
{
	const struct attr_norm *attr = box->main->attr.norm;
	return arena_printf(page->compile->context.arena, "%s%s%s",
			    norm_name(&page->compile->diag, box->main), attr->gamma ? " γ" : "",
			    attr->beta ? " β" : "");
}

/* What became of a source that is a norm on one side at least; the other one may be NULL. */
static void put_change(struct page_text *to, const struct page *page, const struct box *before,
		       const struct box *after)
{
	uint32_t source = before ? before->source : after->source;
	uint32_t left = page->after->by_source[source];
	const char *was = before ? norm_text(page, before) : "spelt out";
	const char *is = after		? norm_text(page, after)
			 : left == NONE ? "nothing"
					: page->after->boxes[left].title;
	bool missed = before && before->marks & MARK_MISSED;
	page_printf(to, "<li class=\"%s\">", missed ? "missed" : "done");
	put_reference(to, page, source);
	page_put(to, "<br><span class=\"change\">");
	page_escape(to, was, PAGE_NAME);
	page_put(to, strcmp(was, is) ? " → " : ", as before");
	page_escape(to, strcmp(was, is) ? is : "", PAGE_NAME);
	page_put(to, "</span></li>\n");
}

static void put_norms(struct page_text *to, const struct page *page)
{
	uint32_t n_sources = page->compile->diag.n_sources, n = 0;
	const struct box **before = norms_of(page->before, n_sources);
	const struct box **after = norms_of(page->after, n_sources);
	for (uint32_t i = 1; i < n_sources; i++)
		n += before[i] || after[i];
	page_printf(to, "<details open><summary>Norms <b>%u</b></summary><ol>\n", n);
	for (uint32_t i = 1; i < n_sources; i++)
		if (before[i] || after[i])
			put_change(to, page, before[i], after[i]);
	page_put(to, "</ol></details>\n");
}

/* ---- remarks ---- */

static void put_finding(struct page_text *to, const struct page *page, const struct finding *f)
{
	page_printf(to, "<li class=\"%s\">", f->missed ? "missed" : "done");
	put_reference(to, page, f->source);
	if (f->count > 1)
		page_printf(to, " <small>× %u</small>", f->count);
	if (f->missed) {
		page_put(to, "<br><span class=\"why\">");
		page_escape(to, f->missed, PAGE_LINE);
		page_put(to, "</span>");
	}
	page_put(to, "</li>\n");
}

/* The findings of one rule, which begin at `first`; returns where those of the next do. */
static uint32_t put_rule(struct page_text *to, const struct page *page, uint32_t first)
{
	const struct finding *item = page->findings->item;
	const char *rule = item[first].rule, *help = rule_help(rule);
	uint32_t end = first, missed = 0;
	for (; end < page->findings->n && !strcmp(item[end].rule, rule); end++)
		missed += item[end].missed != NULL;
	page_printf(to, "<details class=\"rule%s\"%s><summary>", rule_tidies(rule) ? " tidies" : "",
		    missed ? " open" : "");
	page_escape(to, rule, PAGE_NAME);
	if (end - first > missed)
		page_printf(to, " <span class=\"done\">✓ %u</span>", end - first - missed);
	if (missed)
		page_printf(to, " <span class=\"missed\">✗ %u</span>", missed);
	page_put(to, "</summary><p>");
	page_escape(to, help ? help : "", PAGE_LINE);
	page_put(to, "</p><ol>\n");
	for (uint32_t i = first; i < end && i < PAGE_MAX_FINDINGS; i++)
		put_finding(to, page, &item[i]);
	page_put(to, "</ol></details>\n");
	return end;
}

void page_lists(struct page_text *to, const struct page *page)
{
	const struct findings *findings = page->findings;
	put_norms(to, page);
	page_put(to, "<h2>Remarks</h2>\n");
	if (!findings->n)
		page_put(to, "<p>The rewrites found nothing to do.</p>\n");
	for (uint32_t i = 0; i < findings->n;)
		i = put_rule(to, page, i);
	if (findings->n > PAGE_MAX_FINDINGS)
		page_printf(to, "<p class=\"limit\">%u remarks are not listed.</p>\n",
			    findings->n - PAGE_MAX_FINDINGS);
}
