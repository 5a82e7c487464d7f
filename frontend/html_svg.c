/* A drawing as SVG.  The names of classes are those of page/page.css; page/page.js finds boxes by
 * their ids ("b12": box 12 before, "a12": after) and links by data-from and data-to.
 */
#include "html.h"

#include <math.h>
#include <string.h>

enum { TITLE_COLUMNS = 23, LINE_COLUMNS = 29, TIP = 7 };

static double top_of(uint32_t row)
{
	return PAGE_MARGIN + (double)row * ROW_HEIGHT;
}

/* ---- text that fits ---- */

/* Bytes of the character at s, and its columns: two in the scripts of East Asia. */
static size_t step(const char *s, int *columns)
{
	const unsigned char *p = (const unsigned char *)s;
	size_t n = 1;
	while (p[0] >= 0xc0 && n < 4 && (p[n] & 0xc0) == 0x80)
		n++;
	*columns = p[0] >= 0xe3 ? 2 : 1;
	return n;
}

static int columns_of(const char *s)
{
	int sum = 0, columns;
	for (; *s; sum += columns)
		s += step(s, &columns);
	return sum;
}

/* As much of the end of s as fits. */
static void put_tail(struct page_text *to, const char *s, int most)
{
	int too_many = columns_of(s) - most, columns;
	if (too_many > 0) {
		for (too_many++; too_many > 0; too_many -= columns)
			s += step(s, &columns);
		page_put(to, "…");
	}
	page_escape(to, s, 0);
}

/* As much of the beginning of s as fits. */
static void put_head(struct page_text *to, const char *s, int most)
{
	const char *end = s;
	int sum = 0, columns = 0;
	if (columns_of(s) <= most) {
		page_escape(to, s, 0);
		return;
	}
	while (sum + 2 < most) {
		end += step(end, &columns);
		sum += columns;
	}
	char *head = arena_copy(to->arena, s, (size_t)(end - s) + 1);
	head[end - s] = 0;
	page_escape(to, head, 0);
	page_put(to, "…");
}

static void put_name(struct page_text *to, const struct diag *diag, const struct box *box)
{
	if (box->name)
		put_tail(to, short_name(to->arena, &diag->sources[box->source], box->name),
			 LINE_COLUMNS);
}

/* ---- boxes ---- */

static void put_classes(struct page_text *to, const struct box *box)
{
	static const char *const marks[] = {"done", "missed", "tidied", "gone"};
	page_printf(to, "box %s", box_kind_names[box->kind]);
	for (int i = 0; i < 4; i++)
		if (box->marks >> i & 1)
			page_printf(to, " %s", marks[i]);
}

/* Signs besides the colour. */
static void put_signs(struct page_text *to, const struct box *box)
{
	int x = BOX_WIDTH - 13;
	for (unsigned mark = MARK_MISSED; mark; mark = mark == MARK_MISSED ? MARK_DONE : 0) {
		if (!(box->marks & mark))
			continue;
		page_printf(to,
			    "<g class=\"sign %s\" transform=\"translate(%d 13)\"><circle "
			    "r=\"8\"/><text y=\"4\">%s</text></g>",
			    mark == MARK_DONE ? "done" : "missed", x,
			    mark == MARK_DONE ? "✓" : "✗");
		x -= 19;
	}
}

static void put_lines(struct page_text *to, const struct drawing *d, const struct box *box)
{
	const struct context *context = d->g->context;
	char shape[160] = "";
	if (box->result && node_n_results(box->result) == 1)
		shape_text(context->dims, &box->result->type, shape, sizeof shape);
	page_put(to, "<text class=\"title\" x=\"13\" y=\"17\">");
	put_head(to, box->title, TITLE_COLUMNS);
	page_put(to, "</text><text class=\"name\" x=\"13\" y=\"30\">");
	put_name(to, context->diag, box);
	page_put(to, "</text><text class=\"note\" x=\"13\" y=\"43\">");
	put_head(to,
		 arena_printf(to->arena, "%s%s%s", shape, *shape && *box->notes ? " · " : "",
			      box->notes),
		 LINE_COLUMNS);
	page_put(to, "</text>");
}

static void put_box(struct page_text *to, const struct drawing *d, uint32_t number)
{
	const struct box *box = &d->boxes[number];
	page_printf(to, "<g id=\"%c%u\" class=\"", d->side, number);
	put_classes(to, box);
	page_printf(to, "\" data-s=\"%u\" transform=\"translate(%.0f %.0f)\"><title>", box->source,
		    box->x - BOX_WIDTH / 2.0, top_of(box->row));
	page_escape(to, box->title, PAGE_NAME);
	page_put(to, " ");
	page_escape(to, box->name ? box->name : "", PAGE_NAME);
	page_printf(to,
		    "</title><rect class=\"body\" width=\"%d\" height=\"%d\" rx=\"5\"/>"
		    "<rect class=\"kind\" width=\"6\" height=\"%d\" rx=\"3\"/>",
		    BOX_WIDTH, BOX_HEIGHT, BOX_HEIGHT);
	put_lines(to, d, box);
	put_signs(to, box);
	if (*box->far) {
		page_put(to, "<text class=\"far\" x=\"6\" y=\"-4\">⇠ ");
		put_tail(to, box->far, LINE_COLUMNS);
		page_put(to, "</text>");
	}
	page_put(to, "</g>\n");
}

/* ---- links ---- */

static void put_link(struct page_text *to, const struct drawing *d, const struct link *link)
{
	const struct box *from = &d->boxes[link->from], *reader = &d->boxes[link->to];
	double x = from->x;
	page_printf(to, "<path data-from=\"%u\" data-to=\"%u\" d=\"M%.0f %.0f", link->from,
		    link->to, x, top_of(from->row) + BOX_HEIGHT);
	for (uint32_t row = from->row + 1; row <= reader->row; row++) {
		double next = row == reader->row ? reader->x
						 : d->bend[link->first + row - from->row - 1];
		double bottom = top_of(row - 1) + BOX_HEIGHT, top = top_of(row) - TIP;
		if (fabs(next - x) < 0.5)
			continue;
		page_printf(to, "V%.0fC%.0f %.0f %.0f %.0f %.0f %.0f", bottom, x,
			    (bottom + top) / 2, next, (bottom + top) / 2, next, top);
		x = next;
	}
	page_printf(to, "V%.0f\"/>\n", top_of(reader->row));
}

void page_svg(struct page_text *to, const struct drawing *d)
{
	bool before = d->side == 'b';
	double height = top_of(d->n_rows) - ROW_HEIGHT + BOX_HEIGHT + PAGE_MARGIN;
	page_printf(to,
		    "<svg id=\"%s\" class=\"graph\" role=\"img\" aria-label=\"the graph %s the "
		    "rewrites\" viewBox=\"0 0 %.0f %.0f\" width=\"%.0f\" height=\"%.0f\">\n"
		    "<defs><marker id=\"tip-%c\" viewBox=\"0 0 8 8\" refX=\"7\" refY=\"4\" "
		    "markerWidth=\"9\" markerHeight=\"9\" markerUnits=\"userSpaceOnUse\" "
		    "orient=\"auto\"><path class=\"tip\" "
		    "d=\"M0 0L8 4L0 8z\"/></marker></defs>\n"
		    "<g class=\"links\" marker-end=\"url(#tip-%c)\">\n",
		    before ? "before" : "after", before ? "before" : "after", d->width, height,
		    d->width, height, d->side, d->side);
	for (uint32_t i = 0; i < d->n_links; i++)
		if (!d->links[i].far)
			put_link(to, d, &d->links[i]);
	page_put(to, "</g>\n<g class=\"boxes\">\n");
	for (uint32_t i = 0; i < d->n_boxes; i++)
		put_box(to, d, i);
	page_put(to, "</g></svg>\n");
}
