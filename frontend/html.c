/* The page as a whole.  It has no addresses in it: style and script are files of page/ that became
 * part of this program, and a policy forbids the browser to load anything.
 */
#include "html.h"

#include <string.h>

#include "output.h"

/* clang-format off */
#define EMBED(name, file)                                                                          \
	__asm__(".section .rodata\n"                                                               \
		"page_" #name "_begin:\n"                                                          \
		".incbin \"" file "\"\n"                                                           \
		".byte 0\n"                                                                        \
		".previous\n");                                                                    \
	extern const char page_##name##_begin[]
/* clang-format on */
EMBED(style, NORMC_PAGE "/page.css");
EMBED(script, NORMC_PAGE "/page.js");

static void put_head(struct page_text *to, const struct page *page)
{
	page_put(to, "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		     "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; "
		     "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">\n"
		     "<meta name=\"viewport\" content=\"width=device-width\">\n"
		     "<meta name=\"color-scheme\" content=\"light dark\">\n<title>");
	page_escape(to, page->model, PAGE_NAME);
	page_put(to, " - normc</title>\n<style>\n");
	page_put(to, page_style_begin);
	page_put(to, "</style></head>\n");
}

static void put_legend(struct page_text *to)
{
	page_put(to, "<ul class=\"legend\" aria-label=\"legend\">");
	for (int kind = BOX_KINDS - 1; kind > BOX_port; kind--)
		page_printf(to, "<li class=\"%s\">%s</li>", box_kind_names[kind],
			    box_kind_texts[kind]);
	page_put(to, "<li class=\"done\">✓ rewritten</li><li class=\"missed\">✗ left alone"
		     "</li><li class=\"gone\">nothing left</li></ul>\n");
}

/* Shown by the script, which they need. */
static void put_tools(struct page_text *to)
{
	page_put(to, "<div class=\"tools\"><input id=\"search\" type=\"search\" "
		     "placeholder=\"name, operator, rule\" aria-label=\"find\">"
		     "<output id=\"found\"></output>"
		     "<button id=\"previous\" aria-label=\"previous match\">↑</button>"
		     "<button id=\"next\" aria-label=\"next match\">↓</button>"
		     "<button id=\"smaller\" aria-label=\"smaller\">−</button>"
		     "<output id=\"zoom\">100 %</output>"
		     "<button id=\"larger\" aria-label=\"larger\">+</button></div>\n");
}

static void put_side(struct page_text *to, const struct drawing *d, const char *heading)
{
	page_printf(to,
		    "<section class=\"side\"><h2>%s</h2><div class=\"pane\" id=\"pane-%c\" "
		    "tabindex=\"0\">\n",
		    heading, d->side);
	page_svg(to, d);
	page_put(to, "</div></section>\n");
}

static void put_page(struct page_text *to, const struct page *page)
{
	put_head(to, page);
	page_put(to, "<body><header><h1>");
	page_escape(to, page->model, PAGE_NAME);
	page_put(to, "</h1>");
	put_legend(to);
	put_tools(to);
	page_put(to, "</header>\n<main>\n");
	put_side(to, page->before, "before: the model's nodes");
	put_side(to, page->after, "after: what the rewrites made of them");
	page_put(to, "<aside>\n<section id=\"details\" hidden></section><div id=\"lists\">");
	page_summary(to, page);
	page_lists(to, page);
	page_put(to, "</div></aside>\n</main>\n<script type=\"application/json\" id=\"data\">\n");
	page_data(to, page);
	page_put(to, "</script>\n<script>\n");
	page_put(to, page_script_begin);
	page_put(to, "</script>\n</body></html>\n");
}

bool page_write(struct compile *c, const char *model, const char *path)
{
	struct page_text text = {.arena = c->context.arena};
	struct page page = {.compile = c, .model = model, .findings = findings_new(c)};
	struct output out;

	page.before = drawing_new(c->imported, 'b', NULL);
	page.after = drawing_new(c->graph, 'a', page.before);
	marks_set(page.before, page.after, page.findings);
	drawing_align(page.before, page.after);
	drawing_place(page.before);
	drawing_place(page.after);
	put_page(&text, &page);
	return output_begin(&out, &c->diag, path) &&
	       output_end(&out, &c->diag, fwrite(text.text, 1, text.n, out.file) == text.n);
}
