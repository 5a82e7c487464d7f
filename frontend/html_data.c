/* What the script of the page shows about each box, as JSON in a script element. */
#include "html.h"

#include <string.h>

enum { MAX_PARTS = 40 }; /* operations told of a box */

/* A field that follows others; nothing if there is no text. */
static void put_field(struct page_text *to, const char *name, const char *text, size_t most)
{
	if (!text || !*text)
		return;
	page_printf(to, ",\"%s\":", name);
	page_json(to, text, most);
}

static void put_operator(struct page_text *to, const struct source *s)
{
	struct page_text op_type = {.arena = to->arena};
	if (s->domain && *s->domain) {
		page_put(&op_type, s->domain);
		page_put(&op_type, ".");
	}
	page_put(&op_type, s->op_type);
	put_field(to, "op", op_type.text, PAGE_NAME);
	page_printf(to, ",\"opset\":%d,\"position\":%u", s->opset, s->position);
}

static void add_text(void *user, const char *text)
{
	page_put(user, text);
}

/* The operation in the text form of graphs, as one line. */
static void put_part(struct page_text *to, const struct drawing *d, const struct node *n)
{
	struct page_text line = {.arena = to->arena};
	graph_print_node(d->g, n, add_text, &line);
	if (line.n && line.text[line.n - 1] == '\n')
		line.text[line.n - 1] = 0;
	page_json(to, line.text, PAGE_LINE);
}

static void put_box(struct page_text *to, const struct drawing *d, const struct box *box)
{
	const struct context *context = d->g->context;
	const struct diag *diag = context->diag;
	char shape[400] = "", type[440];
	page_put(to, "{\"title\":");
	page_json(to, box->title, PAGE_NAME);
	put_field(to, "name", box->name, PAGE_NAME);
	page_printf(to, ",\"source\":%u", box->source);
	if (box->source && box->source < diag->n_sources)
		put_operator(to, &diag->sources[box->source]);
	if (box->result && node_n_results(box->result) == 1) {
		shape_text(context->dims, &box->result->type, shape, sizeof shape);
		snprintf(type, sizeof type, "%s %s", normc_elem_name(box->result->type.elem),
			 shape);
		put_field(to, "type", type, 0);
	}
	put_field(to, "via", box->via, PAGE_LINE);
	put_field(to, "constants", box->notes, PAGE_LINE);
	put_field(to, "far", box->far, PAGE_LINE);
	page_put(to, ",\"parts\":[");
	uint32_t told = 0;
	for (uint32_t id = box->first; id != NONE && told < MAX_PARTS; id = d->next[id]) {
		page_put(to, told++ ? "," : "");
		put_part(to, d, d->g->nodes[id]);
	}
	page_printf(to, "],\"more\":%u}", box->n_parts - told);
}

static void put_boxes(struct page_text *to, const struct drawing *d)
{
	for (uint32_t i = 0; i < d->n_boxes; i++) {
		page_put(to, i ? ",\n" : "\n");
		put_box(to, d, &d->boxes[i]);
	}
}

void page_data(struct page_text *to, const struct page *page)
{
	page_put(to, "{\"before\":[");
	put_boxes(to, page->before);
	page_put(to, "],\"after\":[");
	put_boxes(to, page->after);
	page_put(to, "],\"findings\":[");
	for (uint32_t i = 0; i < page->findings->n && i < PAGE_MAX_FINDINGS; i++) {
		const struct finding *f = &page->findings->item[i];
		page_printf(to, "%s{\"rule\":", i ? ",\n" : "\n");
		page_json(to, f->rule, PAGE_NAME);
		page_printf(to, ",\"source\":%u", f->source);
		put_field(to, "missed", f->missed, PAGE_LINE);
		page_put(to, "}");
	}
	page_put(to, "]}");
}
