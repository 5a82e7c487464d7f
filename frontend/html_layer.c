/* Rows of boxes: each below those that it reads from (longest paths), and boxes of one source in
 * the same row on both sides where that is possible, so that one can look across.
 */
#include "html.h"

#include <string.h>

/* Rounds of pushing boxes down to their partners' rows; where the rewrites turned the order around
 * there is no end to it. */
enum { ALIGN_ROUNDS = 3, FAR_ROWS = 40, MAX_BENDS = 200000 };

/* Rows by longest paths; not above those that `other` gives the same source. Links are in the order
 * of their readers. */
static void set_rows(struct drawing *d, const struct drawing *other)
{
	uint32_t link = 0;
	for (uint32_t i = 0; i < d->n_boxes; i++) {
		struct box *box = &d->boxes[i];
		uint32_t row = 0,
			 partner = box->source && other ? other->by_source[box->source] : NONE;
		/* of several boxes of a source the first one is beside its partner */
		if (partner != NONE && d->by_source[box->source] == i)
			row = other->boxes[partner].row;
		for (; link < d->n_links && d->links[link].to == i; link++) {
			uint32_t above = d->boxes[d->links[link].from].row + 1;
			row = above > row ? above : row;
		}
		box->row = row;
	}
}

/* Calculations without any input of the graph stand just above their first reader. */
static void lower_constants(struct drawing *d)
{
	uint32_t *least = arena_new(d->arena, uint32_t, (size_t)d->n_boxes + 1);
	bool *moves = arena_new(d->arena, bool, (size_t)d->n_boxes + 1);
	memset(least, 0xff, d->n_boxes * sizeof *least);
	for (uint32_t i = 0; i < d->n_boxes; i++)
		moves[i] = d->boxes[i].kind != BOX_port;
	for (uint32_t i = 0; i < d->n_links; i++)
		moves[d->links[i].to] = moves[d->links[i].to] && moves[d->links[i].from];
	for (uint32_t i = d->n_boxes, link = d->n_links; i-- > 0;) {
		struct box *box = &d->boxes[i];
		if (moves[i] && least[i] != NONE && least[i] > box->row)
			box->row = least[i] - 1;
		for (; link && d->links[link - 1].to == i; link--) {
			uint32_t from = d->links[link - 1].from;
			if (box->row < least[from])
				least[from] = box->row;
		}
	}
}

static uint32_t count_rows(const struct drawing *d)
{
	uint32_t rows = 0;
	for (uint32_t i = 0; i < d->n_boxes; i++)
		rows = d->boxes[i].row >= rows ? d->boxes[i].row + 1 : rows;
	return rows;
}

/* Links over more rows than `most` become notes; returns the number of points of the others. */
static uint64_t find_far(struct drawing *d, uint32_t most)
{
	uint64_t bends = 0;
	for (uint32_t i = 0; i < d->n_links; i++) {
		struct link *link = &d->links[i];
		uint32_t between = d->boxes[link->to].row - d->boxes[link->from].row - 1;
		link->far = between > most;
		link->first = (uint32_t)bends;
		bends += link->far ? 0 : between;
	}
	return bends;
}

static void note_far(struct drawing *d)
{
	for (uint32_t i = 0; i < d->n_links; i++) {
		const struct link *link = &d->links[i];
		struct box *to = &d->boxes[link->to];
		const struct box *from = &d->boxes[link->from];
		if (link->far && strlen(to->far) < PAGE_NAME)
			to->far = arena_printf(
					d->arena, "%s%s%.100s", to->far, *to->far ? " · " : "",
					from->name && *from->name ? from->name : from->title);
	}
}

static void finish(struct drawing *d, uint32_t rows)
{
	uint64_t bends = find_far(d, FAR_ROWS);
	for (uint32_t most = FAR_ROWS; bends > MAX_BENDS && most; most /= 2)
		bends = find_far(d, most / 2);
	note_far(d);
	d->n_rows = rows;
	d->bend = arena_new(d->arena, double, (size_t)bends + 1);
}

void drawing_align(struct drawing *before, struct drawing *after)
{
	set_rows(before, NULL);
	for (int round = 0; round < ALIGN_ROUNDS; round++) {
		set_rows(after, before);
		if (round + 1 < ALIGN_ROUNDS)
			set_rows(before, after);
	}
	lower_constants(before);
	lower_constants(after);
	uint32_t rows = count_rows(before), others = count_rows(after);
	rows = others > rows ? others : rows;
	finish(before, rows);
	finish(after, rows);
}
