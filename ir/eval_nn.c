/* Layers: normalization, matrix product, convolution, pooling.
 *
 * Sums are in double (or in 64-bit integers, modulo 2^64) and round once at the end.  The innermost
 * loops run over neighbouring elements, since whole models are evaluated with them.
 */
#include <math.h>
#include <string.h>

#include "eval_op.h"

/* ---- norm ---- */

/* A number for each element of x: p[walk_offset(index, stride)]. */
struct varying {
	double *p;
	int64_t stride[MAX_RANK];
};

/* One number for all elements. */
static struct varying varying_constant(double *number)
{
	return (struct varying){.p = number};
}

/* A tensor that broadcasts to x. */
static bool varying_tensor(struct eval *e, const struct node *n, const struct tensor *t,
			   const struct tensor *x, struct varying *v)
{
	if (t->rank != x->rank)
		return eval_fail(e, n, "a parameter of rank %d for an input of rank %d", t->rank,
				 x->rank);
	for (int32_t k = 0; k < t->rank; k++)
		if (t->dim[k] != 1 && t->dim[k] != x->dim[k])
			return eval_fail(e, n,
					 "a parameter has extent %lld along dimension %d of %lld",
					 (long long)t->dim[k], k, (long long)x->dim[k]);
	v->p = t->f;
	broadcast_strides_of(t, v->stride);
	return true;
}

/* What the norm of one tensor works with. */
struct norm {
	struct eval *e;
	const struct attr_norm *attr;
	const struct tensor *x;
	struct tensor statistic; /* shape: x's with extents 1 along the axes */
	struct varying centre, scale, gamma, beta;
};

/* A statistic that starts from 0. */
static struct varying statistic_new(struct norm *m)
{
	struct varying v = {.p = pool_take(m->e, (size_t)m->statistic.count, sizeof *v.p)};
	for (int64_t i = 0; i < m->statistic.count; i++)
		v.p[i] = 0;
	strides_of(&m->statistic, v.stride);
	for (int32_t k = 0; k < m->x->rank; k++)
		if (m->attr->axes >> k & 1)
			v.stride[k] = 0;
	return v;
}

/* Number of elements that share a statistic. */
static double norm_set_size(const struct norm *m)
{
	double size = 1;
	for (int32_t k = 0; k < m->x->rank; k++)
		if (m->attr->axes >> k & 1)
			size *= (double)m->x->dim[k];
	return size;
}

static void norm_mean(struct norm *m)
{
	struct walk w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w))
		m->centre.p[walk_offset(&w, m->centre.stride)] += m->x->f[i];
	for (int64_t i = 0; i < m->statistic.count; i++)
		m->centre.p[i] /= norm_set_size(m);
}

/* Sum of squares, sum of sizes or greatest size of x - c. */
static void norm_deviation(struct norm *m)
{
	struct walk w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w)) {
		double d = m->x->f[i] - m->centre.p[walk_offset(&w, m->centre.stride)];
		double *s = &m->scale.p[walk_offset(&w, m->scale.stride)];
		if (m->attr->scale == NORM_SCALE_MAX)
			*s = fabs(d) > *s || isnan(d) ? fabs(d) : *s;
		else
			*s += m->attr->scale == NORM_SCALE_L1 ? fabs(d) : d * d;
	}
	double size = norm_set_size(m) - (m->attr->unbiased ? 1 : 0);
	if (m->attr->scale == NORM_SCALE_RMS || m->attr->scale == NORM_SCALE_L1)
		for (int64_t i = 0; i < m->statistic.count; i++)
			m->scale.p[i] /= size;
}

/* The divisor from what was summed; L1 and MAX have no root for an epsilon to be inside of, so it
 * is added. */
double norm_divisor(const struct attr_norm *a, double s)
{
	bool root = a->scale != NORM_SCALE_L1 && a->scale != NORM_SCALE_MAX;
	if (a->epsilon_place == NORM_EPSILON_INSIDE)
		return root ? sqrt(s + a->epsilon) : s + a->epsilon;
	s = root ? sqrt(s) : s;
	if (a->epsilon_place == NORM_EPSILON_OUTSIDE)
		return s + a->epsilon;
	return s < a->epsilon ? a->epsilon : s;
}

/* Sets m->gamma, beta and a given centre and scale from the operands that the attribute names. */
static bool norm_operands(struct norm *m, const struct node *n, const struct tensor *const *in)
{
	const struct attr_norm *a = m->attr;
	struct {
		bool present;
		struct varying *v;
	} operand[] = {
			{a->gamma, &m->gamma},
			{a->beta, &m->beta},
			{a->centre == NORM_CENTRE_GIVEN, &m->centre},
			{a->scale == NORM_SCALE_GIVEN, &m->scale},
	};
	uint32_t at = 1;
	for (int k = 0; k < 4; k++) {
		if (!operand[k].present)
			continue;
		if (at >= n->n_in)
			return bug(m->e->context->diag, n->loc, "norm lacks operands");
		if (!varying_tensor(m->e, n, in[at++], m->x, operand[k].v))
			return false;
	}
	return true;
}

EVAL(norm)
{
	const struct attr_norm *a = n->attr.norm;
	double zero = 0, one = 1;
	struct norm m = {
			.e = e,
			.attr = a,
			.x = in[0],
			.statistic = *in[0],
			.centre = varying_constant(&zero),
			.scale = varying_constant(&one),
			.gamma = varying_constant(&one),
			.beta = varying_constant(&zero),
	};
	for (int32_t k = 0; k < m.x->rank; k++)
		m.statistic.dim[k] = a->axes >> k & 1 ? 1 : m.x->dim[k];
	m.statistic.count = extent_product(&m.statistic, 0, m.x->rank);
	if (!eval_same_shape(e, n, out, m.x) || !norm_operands(&m, n, in))
		return false;
	if (a->centre == NORM_CENTRE_MEAN) {
		m.centre = statistic_new(&m);
		norm_mean(&m);
	}
	bool measured = a->scale != NORM_SCALE_NONE && a->scale != NORM_SCALE_GIVEN;
	if (measured) {
		m.scale = statistic_new(&m);
		norm_deviation(&m);
	}
	struct walk w = walk_over(m.x);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w)) {
		double s = m.scale.p[walk_offset(&w, m.scale.stride)];
		double c = m.centre.p[walk_offset(&w, m.centre.stride)];
		double gamma = m.gamma.p[walk_offset(&w, m.gamma.stride)];
		double beta = m.beta.p[walk_offset(&w, m.beta.stride)];
		double divisor = a->scale == NORM_SCALE_NONE ? 1 : norm_divisor(a, s);
		out->f[i] = (m.x->f[i] - c) / divisor * gamma + beta;
	}
	if (measured)
		pool_give(e, m.scale.p);
	if (a->centre == NORM_CENTRE_MEAN)
		pool_give(e, m.centre.p);
	return true;
}

/* ---- sums of products ---- */

/* Rows of a matrix that are worth keeping in the processor's cache while all results take their
 * share of them. */
enum { CACHED_ELEMENTS = 1 << 15 };

static int64_t cached_rows(int64_t columns)
{
	return columns < CACHED_ELEMENTS ? CACHED_ELEMENTS / columns : 1;
}

/* A matrix [rows, columns] in the middle of a tensor. */
struct matrix {
	const struct tensor *tensor;
	int64_t at, rows, columns;
};

/* Wider vectors where the machine has them; no contraction, so that results are the same. */
#ifdef __x86_64__
__attribute__((target_clones("avx2", "default")))
#endif
static void
float_row_times_matrix(double *sum, const double *factor, struct matrix m)
{
	int64_t r = 0, n = m.columns;
	const double *x = &m.tensor->f[m.at];
	for (; r + 4 <= m.rows; r += 4, x += 4 * n)
		for (int64_t i = 0; i < n; i++)
			sum[i] += factor[r] * x[i] + factor[r + 1] * x[n + i] +
				  factor[r + 2] * x[2 * n + i] + factor[r + 3] * x[3 * n + i];
	for (; r < m.rows; r++, x += n)
		for (int64_t i = 0; i < n; i++)
			sum[i] += factor[r] * x[i];
}

static void int_row_times_matrix(int64_t *sum, const int64_t *factor, struct matrix m)
{
	const int64_t *x = &m.tensor->i[m.at];
	for (int64_t r = 0; r < m.rows; r++, x += m.columns)
		for (int64_t i = 0; i < m.columns; i++)
			sum[i] = (int64_t)((uint64_t)sum[i] + (uint64_t)factor[r] * (uint64_t)x[i]);
}

/* sum[at ..] += factor[factor_at ..] times the matrix */
static void row_times_matrix(struct tensor *sum, int64_t at, const struct tensor *factor,
			     int64_t factor_at, struct matrix m)
{
	if (is_float(sum))
		float_row_times_matrix(&sum->f[at], &factor->f[factor_at], m);
	else
		int_row_times_matrix(&sum->i[at], &factor->i[factor_at], m);
}

/* The two kinds of element are not mixed. */
static bool same_kind(struct eval *e, const struct node *n, const struct tensor *const *in,
		      const struct tensor *out)
{
	if (is_float(in[0]) == is_float(out) && is_float(in[1]) == is_float(out))
		return true;
	return bug(e->context->diag, n->loc, "operands mix integers and floating point");
}

EVAL(matmul)
{
	const struct tensor *a = in[0], *b = in[1];
	int32_t r = out->rank;
	int64_t rows = out->dim[r - 2], columns = out->dim[r - 1], depth = a->dim[r - 1];
	struct tensor left = *out, right = *out;
	left.dim[r - 1] = right.dim[r - 2] = depth;
	if (!same_kind(e, n, in, out) || !eval_same_shape(e, n, &left, a) ||
	    !eval_same_shape(e, n, &right, b))
		return false;
	tensor_set(out, 0, 0);
	if (!out->count)
		return true;
	for (int64_t batch = 0; batch < out->count / rows / columns; batch++) {
		struct matrix m = {b, batch * depth * columns, cached_rows(columns), columns};
		for (int64_t k = 0; k < depth; k += m.rows, m.at += m.rows * columns) {
			m.rows = m.rows < depth - k ? m.rows : depth - k;
			for (int64_t row = batch * rows; row < (batch + 1) * rows; row++)
				row_times_matrix(out, row * columns, a, row * depth + k, m);
		}
	}
	return true;
}

/* ---- windows: convolution and pooling, with missing spatial dimensions added as extents 1 ---- */

struct window {
	int64_t in[MAX_SPATIAL], out[MAX_SPATIAL], kernel[MAX_SPATIAL];
	int64_t stride[MAX_SPATIAL], dilation[MAX_SPATIAL], x_dilation[MAX_SPATIAL],
			before[MAX_SPATIAL];
};

/* Padding and extents beyond this are refused, so that positions do not overflow. */
static const int64_t LARGEST_STEP = INT64_C(1) << 30;

static bool window_dimension(struct eval *e, const struct node *n, struct window *w, int32_t k)
{
	const int64_t values[] = {w->kernel[k], w->stride[k], w->dilation[k], w->x_dilation[k]};
	for (int i = 0; i < 4; i++)
		if (values[i] < 0 || (values[i] == 0 && i) || values[i] > LARGEST_STEP)
			return eval_fail(e, n, "kernel, stride or dilation %lld is out of range",
					 (long long)values[i]);
	if (w->before[k] > LARGEST_STEP || w->before[k] < -LARGEST_STEP ||
	    w->out[k] > LARGEST_STEP || w->in[k] > LARGEST_STEP)
		return eval_fail(e, n,
				 "an extent or padding of spatial dimension %d is out of range", k);
	return true;
}

static struct window window_unit(void)
{
	struct window w;
	for (int32_t k = 0; k < MAX_SPATIAL; k++) {
		w.in[k] = w.out[k] = w.kernel[k] = 1;
		w.stride[k] = w.dilation[k] = w.x_dilation[k] = 1;
		w.before[k] = 0;
	}
	return w;
}

static bool window_of_conv(struct eval *e, const struct node *n, const struct tensor *const *in,
			   const struct tensor *out, struct window *w)
{
	const struct attr_conv *a = n->attr.conv;
	*w = window_unit();
	for (int32_t k = 0, to = MAX_SPATIAL - a->spatial; k < a->spatial; k++, to++) {
		w->in[to] = in[0]->dim[2 + k];
		w->out[to] = out->dim[2 + k];
		w->kernel[to] = in[1]->dim[2 + k];
		w->stride[to] = a->stride[k];
		w->dilation[to] = a->dilation[k];
		w->x_dilation[to] = a->x_dilation[k];
		if (!eval_dim(e, n, a->before[k], &w->before[to]) || !window_dimension(e, n, w, to))
			return false;
	}
	return true;
}

static bool window_of_pool(struct eval *e, const struct node *n, const struct tensor *x,
			   const struct tensor *out, struct window *w)
{
	const struct attr_pool *a = n->attr.pool;
	*w = window_unit();
	for (int32_t k = 0, to = MAX_SPATIAL - a->spatial; k < a->spatial; k++, to++) {
		w->in[to] = x->dim[2 + k];
		w->out[to] = out->dim[2 + k];
		w->kernel[to] = a->kernel[k];
		w->stride[to] = a->stride[k];
		w->dilation[to] = a->dilation[k];
		if (!eval_dim(e, n, a->before[k], &w->before[to]) || !window_dimension(e, n, w, to))
			return false;
	}
	return true;
}

/* Where kernel position `tap` of result position `at` reads along dimension k: -1 in the padding
 * and between the elements of a dilated input. */
static int64_t window_index(const struct window *w, int32_t k, int64_t at, int64_t tap)
{
	int64_t i = at * w->stride[k] + tap * w->dilation[k] - w->before[k];
	if (i < 0 || i % w->x_dilation[k] || i / w->x_dilation[k] >= w->in[k])
		return -1;
	return i / w->x_dilation[k];
}

/* Splits a number into an index of a spatial shape. */
static void spatial_index(int64_t number, const int64_t *extent, int64_t *index)
{
	for (int k = MAX_SPATIAL - 1; k >= 0; k--) {
		index[k] = number % extent[k];
		number /= extent[k];
	}
}

static int64_t spatial_size(const int64_t *extent)
{
	return extent[0] * extent[1] * extent[2];
}

/* ---- conv: a matrix product, with a matrix of the elements that each result sees ---- */

struct conv {
	struct window w;
	const struct tensor *x, *weight;
	struct tensor *out;
	int64_t groups;
	struct tensor columns; /* rows: channel, kernel position; columns: position in the result */
};

/* The last dimension of a row: element x is that of position `tap` there, or 0. */
static void conv_line(struct conv *c, int64_t to, int64_t from, int64_t tap)
{
	const struct window *w = &c->w;
	int64_t *line = &c->columns.i[to], n = w->out[2];
	int64_t start = tap * w->dilation[2] - w->before[2];
	if (w->stride[2] == 1 && w->x_dilation[2] == 1) {
		int64_t first = start < 0 ? -start : 0, end = w->in[2] - start;
		first = first < n ? first : n;
		end = end < first ? first : end < n ? end : n;
		memset(line, 0, (size_t)first * sizeof *line);
		if (end > first)
			memcpy(line + first, &c->x->i[from + start + first],
			       (size_t)(end - first) * sizeof *line);
		memset(line + end, 0, (size_t)(n - end) * sizeof *line);
		return;
	}
	for (int64_t x = 0; x < n; x++) {
		int64_t ix = window_index(w, 2, x, tap);
		if (ix < 0)
			line[x] = 0;
		else
			line[x] = c->x->i[from + ix];
	}
}

/* Fills one row of the matrix, for kernel position `tap`; the channel begins at x_at. */
static void conv_row(struct conv *c, int64_t row, int64_t x_at, int64_t tap)
{
	const struct window *w = &c->w;
	int64_t p[MAX_SPATIAL], size = spatial_size(w->out), to = row * size;
	spatial_index(tap, w->kernel, p);
	for (int64_t z = 0; z < w->out[0]; z++) {
		int64_t iz = window_index(w, 0, z, p[0]);
		for (int64_t y = 0; y < w->out[1]; y++) {
			int64_t iy = iz < 0 ? -1 : window_index(w, 1, y, p[1]);
			int64_t from = x_at + (iz * w->in[1] + iy) * w->in[2];
			if (iy >= 0)
				conv_line(c, to, from, p[2]);
			else
				memset(&c->columns.i[to], 0,
				       (size_t)w->out[2] * sizeof *c->columns.i);
			to += w->out[2];
		}
	}
}

/* Adds the share of channels first .. first + count - 1 (of group `group`) to all filters of the
 * group. */
static void conv_channels(struct conv *c, int64_t image, int64_t group, int64_t first,
			  int64_t count)
{
	int64_t taps = spatial_size(c->w.kernel), size = spatial_size(c->w.out);
	int64_t channels = c->weight->dim[1], filters = c->out->dim[1] / c->groups;
	struct matrix m = {&c->columns, 0, count * taps, size};
	for (int64_t row = 0; row < m.rows; row++) {
		int64_t channel = image * c->x->dim[1] + group * channels + first + row / taps;
		conv_row(c, row, channel * spatial_size(c->w.in), row % taps);
	}
	for (int64_t o = group * filters; o < (group + 1) * filters; o++)
		row_times_matrix(c->out, (image * c->out->dim[1] + o) * size, c->weight,
				 (o * channels + first) * taps, m);
}

static void conv_all(struct eval *e, struct conv *c)
{
	int64_t channels = c->weight->dim[1], taps = spatial_size(c->w.kernel);
	int64_t size = spatial_size(c->w.out);
	int64_t most = cached_rows(size) / taps;
	most = most < 1 ? 1 : most < channels ? most : channels;
	c->columns = tensor_take(e, c->x->elem, 2, (const int64_t[]){most * taps, size});
	for (int64_t image = 0; image < c->out->dim[0]; image++) {
		for (int64_t group = 0; group < c->groups; group++) {
			for (int64_t first = 0; first < channels; first += most) {
				int64_t left = channels - first;
				conv_channels(c, image, group, first, left < most ? left : most);
			}
		}
	}
	tensor_give(e, &c->columns);
}

EVAL(conv)
{
	const struct attr_conv *a = n->attr.conv;
	const struct tensor *x = in[0], *weight = in[1];
	struct conv c = {.x = x, .weight = weight, .out = out, .groups = a->groups};
	if (!same_kind(e, n, in, out) || !window_of_conv(e, n, in, out, &c.w))
		return false;
	if (a->groups <= 0 || weight->dim[0] % a->groups ||
	    x->dim[1] / a->groups != weight->dim[1] || x->dim[1] % a->groups ||
	    out->dim[0] != x->dim[0] || out->dim[1] != weight->dim[0])
		return eval_fail(e, n, "%lld channels, weights for %lld, %lld groups do not fit",
				 (long long)x->dim[1], (long long)weight->dim[1],
				 (long long)a->groups);
	tensor_set(out, 0, 0);
	if (!out->count || !x->count || !weight->count)
		return true;
	conv_all(e, &c);
	return true;
}

/* ---- pooling ---- */

static void pool_add(struct tensor *out, int64_t at, const struct tensor *x, int64_t from)
{
	if (is_float(out))
		out->f[at] += x->f[from];
	else
		out->i[at] = (int64_t)((uint64_t)out->i[at] + (uint64_t)x->i[from]);
}

static void pool_greatest(struct tensor *out, int64_t at, const struct tensor *x, int64_t from)
{
	if (is_float(out))
		out->f[at] = isnan(out->f[at]) || out->f[at] > x->f[from] ? out->f[at] : x->f[from];
	else if (x->elem == NORMC_U64 ? (uint64_t)x->i[from] > (uint64_t)out->i[at]
				      : x->i[from] > out->i[at])
		out->i[at] = x->i[from];
}

struct pool {
	struct window w;
	const struct tensor *x;
	struct tensor *out;
	void (*fold)(struct tensor *out, int64_t at, const struct tensor *x, int64_t from);
};

/* Folds the elements that position p of one channel sees into element `at` of the result. */
static void pool_position(const struct pool *pool, int64_t channel, const int64_t *p, int64_t at)
{
	const struct window *w = &pool->w;
	for (int64_t z = 0; z < w->kernel[0]; z++) {
		for (int64_t y = 0; y < w->kernel[1]; y++) {
			int64_t iz = window_index(w, 0, p[0], z), iy = window_index(w, 1, p[1], y);
			for (int64_t x = 0; iz >= 0 && iy >= 0 && x < w->kernel[2]; x++) {
				int64_t ix = window_index(w, 2, p[2], x);
				int64_t row = (channel * w->in[0] + iz) * w->in[1] + iy;
				if (ix >= 0)
					pool->fold(pool->out, at, pool->x, row * w->in[2] + ix);
			}
		}
	}
}

/* The result holds the start values. */
static bool pool_all(struct eval *e, const struct node *n, struct pool *pool)
{
	const struct tensor *x = pool->x;
	struct window *w = &pool->w;
	if (!window_of_pool(e, n, x, pool->out, w))
		return false;
	if (pool->out->dim[0] != x->dim[0] || pool->out->dim[1] != x->dim[1])
		return eval_fail(e, n, "pooling cannot change the number of channels");
	for (int64_t at = 0; x->count && at < pool->out->count; at++) {
		int64_t row = at / w->out[2], plane = row / w->out[1];
		int64_t p[MAX_SPATIAL] = {plane % w->out[0], row % w->out[1], at % w->out[2]};
		pool_position(pool, plane / w->out[0], p, at);
	}
	return true;
}

EVAL(pool_sum)
{
	struct pool pool = {.x = in[0], .out = out, .fold = pool_add};
	tensor_set(out, 0, 0);
	return pool_all(e, n, &pool);
}

EVAL(pool_max)
{
	struct pool pool = {.x = in[0], .out = out, .fold = pool_greatest};
	tensor_set(out, -INFINITY, elem_least(out->elem));
	return pool_all(e, n, &pool);
}
