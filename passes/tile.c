/* Which tile of accumulators suits a product: rows and vectors of columns that stay in registers
 * while k runs.
 *
 * For each k a tile of r rows and v vectors issues r*v multiply-adds, loads v vectors of B and
 * broadcasts r elements of A.  The model counts cycles per k of a core that does two of each, and
 * reads a panel of B that has outgrown the first-level cache from the second at half a vector per
 * cycle.  Rows whose distance is a multiple of 4 KiB fall into one set of the first-level cache, so
 * that only as many as it has ways may be used together.
 */
#include "lower.h"

enum { MOST_ROWS = 14, MOST_ALIASED = 8, ALIAS = 4096, CACHE_1 = 32768 };

static double tile_cycles(int64_t rows, int64_t vectors, bool large)
{
	double fma = (double)(rows * vectors) / 2, load = (double)(rows + vectors) / 2;
	double issue = (double)(rows * vectors + rows + vectors + 3) / 6;
	double stream = large ? (double)vectors * 2 : 0, cycles = fma < 4 ? 4 : fma;
	cycles = load > cycles ? load : cycles;
	cycles = issue > cycles ? issue : cycles;
	return stream > cycles ? stream : cycles;
}

/* Cycles per k and row for all columns. */
static double row_cycles(const struct tile_problem *p, int64_t rows, int64_t vectors)
{
	int64_t all = p->columns < 0 ? 16 * vectors : (p->columns + p->lanes - 1) / p->lanes;
	bool large = p->k < 0 || p->k * vectors * p->lanes * 4 > CACHE_1;
	int64_t n = p->rows < 0 ? rows * 64 : p->rows * p->lines, left = n % rows;
	double sum = 0;
	for (int64_t v = vectors; all > 0; all -= v) {
		v = all < vectors ? all : vectors;
		double whole = (double)(n / rows) * tile_cycles(rows, v, large);
		sum += whole + (left ? tile_cycles(left, v, large) : 0);
	}
	return sum / (double)(n ? n : 1);
}

static int64_t most_rows(const struct tile_problem *p, const struct machine *m, int64_t vectors)
{
	int64_t reserved = m->vectors >= 32 ? 2 : 1,
		most = (m->vectors - reserved - vectors) / vectors;
	most = most < MOST_ROWS ? most : MOST_ROWS;
	return p->row_bytes && p->row_bytes % ALIAS == 0 && most > MOST_ALIASED ? MOST_ALIASED
										: most;
}

struct tile_choice choose_tile(const struct tile_problem *p, const struct machine *m)
{
	struct tile_choice best = {1, 1};
	double least = 1e30;
	for (int64_t v = m->vectors >= 32 ? 4 : 2; v >= 1; v--) {
		int64_t most = most_rows(p, m, v);
		for (int64_t r = most; r >= 1; r--) {
			/* several short lines may share a tile, whole ones only */
			bool lines = p->rows > 0 && p->rows <= r && r % p->rows == 0;
			if (p->rows > 0 && r > p->rows && !lines)
				continue;
			struct tile_problem one = *p;
			if (!lines && p->rows > 0)
				one.lines = 1;
			double cycles = row_cycles(&one, r, v);
			if (cycles < least * 0.98)
				best = (struct tile_choice){(int32_t)r, (int32_t)v};
			least = cycles < least * 0.98 ? cycles : least;
		}
	}
	return best;
}
