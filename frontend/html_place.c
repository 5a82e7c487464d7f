/* Columns of boxes: the order in each row by averages of the neighbours' places (Sugiyama, Tagawa
 * and Toda, 1981), then x by least squares with minimal distances, row by row, which is isotonic
 * regression and solved exactly by pooling neighbours that violate it.  At last points that
 * continue each other form chains, and those become straight.
 *
 * Points are the boxes and, for every link, one bend in each row that it crosses.
 */
#include "html.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ORDER_SWEEPS = 8, PLACE_SWEEPS = 14, STRAIGHT_ROUNDS = 16, BEND_WIDTH = 12 };

/* What a row's points are drawn to: their neighbours above, below, or their chains. */
enum { ABOVE = 1, BELOW = 2, CHAIN = 4 };

struct hop {
	uint32_t point, next; /* a neighbour in the next row up or down; NONE at the end */
};

struct point {
	uint32_t row, place; /* index in the row */
	uint32_t up, down;   /* first hops */
	double x, key;
	uint32_t chain;
};

struct chain {
	double x;
	uint32_t n, moved; /* points; those that `sum` is of */
	double sum;
};

/* A run of points that stand as close as they may. */
struct pool {
	double sum, weight; /* of the wishes for its first point */
	uint32_t n;
};

struct grid {
	struct drawing *d;
	struct point *points;
	uint32_t n_points;
	struct hop *hops;
	uint32_t n_hops;
	uint32_t *first; /* of each row, in `order`; one more at the end */
	struct point **order;
	struct pool *pools; /* room for a row */
	struct chain *chains;
	uint32_t n_chains;
	double gap; /* between boxes */
};

static bool is_bend(const struct grid *grid, const struct point *p)
{
	return p - grid->points >= grid->d->n_boxes;
}

/* ---- points ---- */

static void add_hop(struct grid *grid, uint32_t above, uint32_t below)
{
	grid->hops[grid->n_hops] = (struct hop){above, grid->points[below].up};
	grid->points[below].up = grid->n_hops++;
	grid->hops[grid->n_hops] = (struct hop){below, grid->points[above].down};
	grid->points[above].down = grid->n_hops++;
}

static uint32_t rows_between(const struct drawing *d, const struct link *link)
{
	return link->far ? 0 : d->boxes[link->to].row - d->boxes[link->from].row - 1;
}

static void add_link(struct grid *grid, const struct link *link)
{
	const struct drawing *d = grid->d;
	uint32_t above = link->from;
	for (uint32_t i = 0; i < rows_between(d, link); i++) {
		uint32_t bend = d->n_boxes + link->first + i;
		grid->points[bend].row = d->boxes[link->from].row + 1 + i;
		add_hop(grid, above, bend);
		above = bend;
	}
	if (!link->far)
		add_hop(grid, above, link->to);
}

/* Sorts the points into their rows, in the order of their numbers. */
static void fill_rows(struct grid *grid)
{
	uint32_t n_rows = grid->d->n_rows;
	uint32_t *at = arena_new(grid->d->arena, uint32_t, (size_t)n_rows + 1);
	for (uint32_t i = 0; i < grid->n_points; i++)
		grid->first[grid->points[i].row + 1]++;
	for (uint32_t r = 0; r < n_rows; r++)
		grid->first[r + 1] += grid->first[r];
	memcpy(at, grid->first, n_rows * sizeof *at);
	for (uint32_t i = 0; i < grid->n_points; i++) {
		struct point *p = &grid->points[i];
		p->place = at[p->row] - grid->first[p->row];
		grid->order[at[p->row]++] = p;
	}
}

static struct grid *grid_new(struct drawing *d)
{
	struct arena *arena = d->arena;
	struct grid *grid = arena_new(arena, struct grid, 1);
	size_t bends = 0;
	for (uint32_t i = 0; i < d->n_links; i++)
		bends += rows_between(d, &d->links[i]);
	grid->d = d;
	grid->gap = BOX_GAP;
	grid->n_points = d->n_boxes + (uint32_t)bends; /* both are bounded */
	grid->points = arena_new(arena, struct point, (size_t)grid->n_points + 1);
	grid->hops = arena_new(arena, struct hop, 2 * (bends + d->n_links) + 1);
	grid->first = arena_new(arena, uint32_t, (size_t)d->n_rows + 2);
	grid->order = arena_new(arena, struct point *, (size_t)grid->n_points + 1);
	grid->pools = arena_new(arena, struct pool, (size_t)grid->n_points + 1);
	for (uint32_t i = 0; i < grid->n_points; i++)
		grid->points[i] = (struct point){.up = NONE, .down = NONE};
	for (uint32_t i = 0; i < d->n_boxes; i++)
		grid->points[i].row = d->boxes[i].row;
	for (uint32_t i = 0; i < d->n_links; i++)
		add_link(grid, &d->links[i]);
	fill_rows(grid);
	return grid;
}

/* ---- order ---- */

static int by_key(const void *a, const void *b)
{
	const struct point *x = *(struct point *const *)a, *y = *(struct point *const *)b;
	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->place > y->place) - (x->place < y->place);
}

static void order_row(struct grid *grid, uint32_t row, bool from_above)
{
	struct point **points = grid->order + grid->first[row];
	uint32_t n = grid->first[row + 1] - grid->first[row];
	for (uint32_t i = 0; i < n; i++) {
		double sum = 0;
		uint32_t count = 0;
		for (uint32_t h = from_above ? points[i]->up : points[i]->down; h != NONE;
		     h = grid->hops[h].next, count++)
			sum += grid->points[grid->hops[h].point].place;
		points[i]->key = count ? sum / count : i;
	}
	qsort(points, n, sizeof *points, by_key);
	for (uint32_t i = 0; i < n; i++)
		points[i]->place = i;
}

/* ---- coordinates ---- */

static double half_width(const struct grid *grid, const struct point *p)
{
	return (is_bend(grid, p) ? BEND_WIDTH : BOX_WIDTH + grid->gap) * 0.5;
}

/* Where the point would like to be, and how much: links shall be straight, long ones first. */
static double wish_of(const struct grid *grid, const struct point *p, unsigned sides,
		      double *weight)
{
	double sum = p->x * 0.05;
	*weight = 0.05;
	if (sides & CHAIN) {
		*weight = grid->chains[p->chain].n;
		return grid->chains[p->chain].x;
	}
	for (int side = 0; side < 2; side++)
		for (uint32_t h = side ? p->down : p->up; (sides >> side & 1) && h != NONE;
		     h = grid->hops[h].next) {
			const struct point *other = &grid->points[grid->hops[h].point];
			double w = is_bend(grid, p) ? 2 : 1;
			w *= is_bend(grid, other) ? 2 : 1;
			sum += w * other->x;
			*weight += w;
		}
	return sum / *weight;
}

static void place_row(struct grid *grid, uint32_t row, unsigned sides)
{
	struct point **points = grid->order + grid->first[row];
	uint32_t n = grid->first[row + 1] - grid->first[row], pools = 0;
	double offset = 0; /* of the point from the first of the row, if all stand close */
	for (uint32_t i = 0; i < n; i++) {
		double weight, wish = wish_of(grid, points[i], sides, &weight);
		if (i)
			offset += half_width(grid, points[i - 1]) + half_width(grid, points[i]);
		struct pool pool = {weight * (wish - offset), weight, 1};
		while (pools && grid->pools[pools - 1].sum * pool.weight >=
						pool.sum * grid->pools[pools - 1].weight) {
			pools--;
			pool.sum += grid->pools[pools].sum;
			pool.weight += grid->pools[pools].weight;
			pool.n += grid->pools[pools].n;
		}
		grid->pools[pools++] = pool;
	}
	offset = 0;
	for (uint32_t p = 0, i = 0; p < pools; p++)
		for (uint32_t k = 0; k < grid->pools[p].n; k++, i++) {
			if (i)
				offset += half_width(grid, points[i - 1]) +
					  half_width(grid, points[i]);
			points[i]->x = grid->pools[p].sum / grid->pools[p].weight + offset;
		}
}

static void start_row(struct grid *grid, uint32_t row)
{
	struct point **points = grid->order + grid->first[row];
	uint32_t n = grid->first[row + 1] - grid->first[row];
	double width = 0;
	for (uint32_t i = 0; i < n; i++)
		width += 2 * half_width(grid, points[i]);
	double x = -width / 2;
	for (uint32_t i = 0; i < n; i++) {
		points[i]->x = x + half_width(grid, points[i]);
		x += 2 * half_width(grid, points[i]);
	}
}

/* ---- straight chains ---- */

/* The neighbour above or below that the point would continue: a bend its own link, a box the
 * nearest. */
static struct point *continuation(const struct grid *grid, const struct point *p, bool above)
{
	struct point *best = NULL;
	for (uint32_t h = above ? p->up : p->down; h != NONE; h = grid->hops[h].next) {
		struct point *other = &grid->points[grid->hops[h].point];
		if (!best || fabs(other->x - p->x) < fabs(best->x - p->x))
			best = other;
	}
	return best;
}

static void begin_chain(struct grid *grid, struct point *p)
{
	p->chain = grid->n_chains++;
	grid->chains[p->chain].n = 1;
}

/* Points continue the chains above them where they do not cross; of two that do, a line between
 * bends is the straight one. */
static void chain_row(struct grid *grid, uint32_t row)
{
	struct point **points = grid->order + grid->first[row], *last = NULL;
	uint32_t n = grid->first[row + 1] - grid->first[row];
	uint32_t last_place = 0;
	for (uint32_t i = 0; i < n; i++) {
		struct point *p = points[i], *up = continuation(grid, p, true);
		bool both = up && continuation(grid, up, false) == p;
		bool crosses = both && last && up->place <= last_place;
		if (crosses && is_bend(grid, p) && is_bend(grid, up) && !is_bend(grid, last)) {
			grid->chains[last->chain].n--;
			begin_chain(grid, last);
			crosses = false;
		}
		if (!both || crosses) {
			begin_chain(grid, p);
			continue;
		}
		p->chain = up->chain;
		grid->chains[p->chain].n++;
		last = p;
		last_place = up->place;
	}
}

/* Moves the chains to where their points are; to those that had to leave them, if there are any. */
static void move_chains(struct grid *grid, bool moved_only)
{
	for (uint32_t i = 0; i < grid->n_chains; i++)
		grid->chains[i].sum = grid->chains[i].moved = 0;
	for (uint32_t i = 0; i < grid->n_points; i++) {
		struct chain *chain = &grid->chains[grid->points[i].chain];
		if (moved_only && fabs(grid->points[i].x - chain->x) < 0.1)
			continue;
		chain->sum += grid->points[i].x;
		chain->moved++;
	}
	for (uint32_t i = 0; i < grid->n_chains; i++)
		if (grid->chains[i].moved)
			grid->chains[i].x = grid->chains[i].sum / grid->chains[i].moved;
}

/* In the last round points may stand a little closer, so that small corrections are not needed. */
static void straighten(struct grid *grid)
{
	uint32_t n_rows = grid->d->n_rows;
	/* each point begins a chain at most twice */
	grid->chains = arena_new(grid->d->arena, struct chain, 2 * (size_t)grid->n_points + 1);
	for (uint32_t r = 0; r < n_rows; r++)
		chain_row(grid, r);
	for (int round = 0; round < STRAIGHT_ROUNDS; round++) {
		move_chains(grid, round > 0);
		if (round + 1 == STRAIGHT_ROUNDS)
			grid->gap = BOX_GAP / 2;
		for (uint32_t r = 0; r < n_rows; r++)
			place_row(grid, r, CHAIN);
	}
}

/* Hands the coordinates to boxes and bends, from the left margin on. */
static void finish(struct grid *grid)
{
	struct drawing *d = grid->d;
	double left = 0, right = 0;
	for (uint32_t i = 0; i < grid->n_points; i++) {
		double x = grid->points[i].x, half = half_width(grid, &grid->points[i]);
		left = !i || x - half < left ? x - half : left;
		right = !i || x + half > right ? x + half : right;
	}
	left -= PAGE_MARGIN;
	for (uint32_t i = 0; i < grid->n_points; i++) {
		double x = grid->points[i].x - left;
		if (i < d->n_boxes)
			d->boxes[i].x = x;
		else
			d->bend[i - d->n_boxes] = x;
	}
	d->width = right - left + PAGE_MARGIN;
}

void drawing_place(struct drawing *d)
{
	struct grid *grid = grid_new(d);
	for (int sweep = 0; sweep < ORDER_SWEEPS; sweep++)
		for (uint32_t r = 0; r < d->n_rows; r++)
			order_row(grid, sweep % 2 ? d->n_rows - 1 - r : r, sweep % 2 == 0);
	for (uint32_t r = 0; r < d->n_rows; r++)
		start_row(grid, r);
	for (int sweep = 0; sweep < PLACE_SWEEPS; sweep++)
		for (uint32_t r = 0; r < d->n_rows; r++)
			place_row(grid, sweep % 2 ? d->n_rows - 1 - r : r,
				  sweep + 2 >= PLACE_SWEEPS ? ABOVE | BELOW
				  : sweep % 2		    ? BELOW
							    : ABOVE);
	straighten(grid);
	finish(grid);
}
