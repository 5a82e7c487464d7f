/* A compile call as a page: its graph before and after the rewrites, with the remarks.
 *
 *	graphs -> drawing_new (html_graph.c): boxes and links -> marks_set (html_mark.c): what the
 *	rewrites did to each -> drawing_align (html_layer.c): rows -> drawing_place (html_place.c):
 *	columns -> html_svg.c, html_panel.c, html_data.c: text -> page_write (html.c)
 *
 * A box is an ONNX node: the operations of the graph that the importer made of it, as far as they
 * are neighbours. Constants are notes at the boxes that read them. All memory is from the arena of
 * the compile call, whose end frees it; names from the model are escaped wherever they are written.
 */
#ifndef NORMC_FRONTEND_HTML_H
#define NORMC_FRONTEND_HTML_H

#include "compile.h"

/* ---- html_text.c: text that grows in an arena ---- */

struct page_text {
	struct arena *arena;
	char *text; /* ends with NUL; NULL while empty */
	size_t n, room;
};
void page_put(struct page_text *to, const char *text);
void page_printf(struct page_text *to, const char *format, ...)
		__attribute__((format(printf, 2, 3)));
/* Untrusted text as text or a quoted attribute of HTML, and as a string of JSON that may stand in a
 * <script>; cut after `most` bytes (0: not at all).  Invalid UTF-8 and control characters become
 * U+FFFD. */
void page_escape(struct page_text *to, const char *text, size_t most);
void page_json(struct page_text *to, const char *text, size_t most);

enum { PAGE_NAME = 300, PAGE_LINE = 2000 }; /* bytes of names and of lines of details */
enum { PAGE_MAX_FINDINGS = 20000 };

/* ---- html_graph.c ---- */

/* X(name, text) in the order of who names a box that holds several. */
#define BOX_KIND_LIST(X)                                                                           \
	X(port, "input, output")                                                                   \
	X(movement, "movement") X(elementwise, "elementwise") X(other, "other")                    \
			X(reduction, "reduction") X(product, "product")                            \
					X(convolution, "convolution") X(norm, "norm")
#define X(name, text) BOX_##name,
enum box_kind { BOX_KIND_LIST(X) BOX_KINDS };
#undef X
extern const char *const box_kind_names[BOX_KINDS], *const box_kind_texts[BOX_KINDS];

/* What rewrites did to the node that a box is of. */
enum mark {
	MARK_DONE = 1,	 /* a rewrite was done */
	MARK_MISSED = 2, /* one was not */
	MARK_TIDIED = 4, /* a rule of algebra or the order of views: hardly news */
	MARK_GONE = 8	 /* before: nothing of it is left */
};

struct box {
	enum box_kind kind;
	uint32_t source;	   /* 0: none */
	const struct node *main;   /* names the box; NULL: an output of the graph */
	const struct node *result; /* the last that others read; for an output, what it is */
	const char *title, *name;
	const char *via;	  /* rewrites that made what is in it, "a, b"; NULL: the importer */
	const char *notes;	  /* constants that it reads, "W 64×192"; "" */
	const char *far;	  /* inputs that come from too far for a line; "" */
	uint32_t n_parts, n_work; /* operations, and those that are no movement */
	uint32_t first, last;	  /* of them, see drawing.next; NONE: no operation */
	unsigned marks;
	uint32_t row;
	double x; /* middle */
};

enum { NONE = UINT32_MAX };

struct link {
	uint32_t from, to; /* boxes */
	uint32_t first;	   /* of the points between them, one a row, see drawing.bend */
	bool far;	   /* no line: a note at the reader */
};

struct drawing {
	const struct graph *g;
	struct arena *arena;
	char side;	   /* 'b' before, 'a' after: begins the names of elements */
	struct box *boxes; /* links lead from lower to higher ones */
	uint32_t n_boxes;
	struct link *links;
	uint32_t n_links;
	uint32_t *box_of;    /* by node: its box; NONE: a constant, dead, or left out */
	uint32_t *next;	     /* by node: the next of the same box, NONE at the end */
	bool *is_note;	     /* by node: a constant, or one in another shape */
	uint32_t *by_source; /* its first box; for nodes in a sub-graph that of the if or loop */
	uint32_t omitted;    /* operations beyond the limit on boxes */
	uint32_t n_rows;
	double *bend; /* x of the points of links */
	double width;
};

enum { DRAWING_MAX_BOXES = 20000, DRAWING_MAX_OUTPUTS = 1000, DRAWING_MAX_LINKS = 80000 };

/* Boxes and links of the live part of a graph. `before` (may be NULL) tells which boxes are
 * unchanged. */
struct drawing *drawing_new(const struct graph *g, char side, const struct drawing *before);
/* "BatchNorm", "RMSNorm" ...: a point of the norm algebra by its usual name. */
const char *norm_name(const struct diag *diag, const struct node *n);
/* "N×50×64" into `text`, cut to its size. */
void shape_text(const struct dims *dims, const struct type *type, char *text, size_t size);

/* ---- html_label.c: what stands on a box ---- */

/* Sets title, name, notes and via. */
void box_label(struct drawing *d, struct box *box, const struct drawing *before);

/* The name of a node without what its operator says: "/encoder/norm1/LayerNormalization" is
 * "encoder/norm1". */
const char *short_name(struct arena *arena, const struct source *source, const char *name);

/* ---- html_mark.c ---- */

/* Remarks about one source by one rule with one outcome. */
struct finding {
	const char *rule, *missed; /* missed: NULL if it was done */
	uint32_t source, count;
};
struct findings {
	struct finding *item; /* by rule, missed ones first, then by source */
	uint32_t n;
};
struct findings *findings_new(struct compile *c);
/* Whether a rule only tidies: those of rules.def, and the order of views and lowering of norms. */
bool rule_tidies(const char *rule);
void marks_set(struct drawing *before, struct drawing *after, const struct findings *findings);

/* ---- html_layer.c, html_place.c ---- */

/* Gives rows; boxes of one source get the same row on both sides where the order of the data
 * permits. Also decides which links are far. */
void drawing_align(struct drawing *before, struct drawing *after);
/* Gives x to boxes and to the points of links. */
void drawing_place(struct drawing *d);

enum { BOX_WIDTH = 184, BOX_HEIGHT = 50, BOX_GAP = 18, ROW_HEIGHT = 74, PAGE_MARGIN = 24 };

/* ---- html_svg.c, html_panel.c, html_data.c ---- */

void page_svg(struct page_text *to, const struct drawing *d);
/* What the page is made of. */
struct page {
	struct compile *compile;
	const char *model;
	struct drawing *before, *after;
	struct findings *findings;
};
void page_summary(struct page_text *to, const struct page *page);
void page_lists(struct page_text *to, const struct page *page);
void page_data(struct page_text *to, const struct page *page);

/* ---- html.c ---- */

/* Writes the page of a compile call at STAGE_OPTIMISED; the file appears whole or not at all. False
 * after a report. Inside a guarded step. */
bool page_write(struct compile *c, const char *model, const char *path);

#endif
