/* See fit.h.  Sums over rows are kept for each channel; since f32 samples are summed in fp64, one
 * pass is enough.  Arrays come from an arena and are as large as the samples. */
#include "fit.h"

#include <math.h>

#include "eval_op.h"

enum { LEAST_ROWS = 16, MOST_SEARCH_ROWS = 256 };

struct fitting {
	const struct norm_sample *sample;
	enum fit_form form;
	int64_t step; /* of rows */
	double *z;    /* [rows][width] */
	double *root; /* of the mean of squares, by row */
	/* by channel: sums of f, f^2, f*z, z, z^2 */
	double *f, *ff, *fz, *sum, *square;
	struct fit *fit;
};

/* What the norm makes of a row; returns the root of its mean of squares. */
static double normalize(const struct attr_norm *a, const float *x, double *z, int64_t n)
{
	double mean = 0, variance = 0, squares = 0;
	for (int64_t c = 0; c < n; c++) {
		mean += x[c];
		squares += (double)x[c] * x[c];
	}
	mean = a->centre == NORM_CENTRE_MEAN ? mean / (double)n : 0;
	for (int64_t c = 0; c < n; c++)
		variance += (x[c] - mean) * (x[c] - mean);
	double divisor = norm_divisor(a, variance / (double)(n - a->unbiased));
	for (int64_t c = 0; c < n; c++)
		z[c] = (x[c] - mean) / divisor;
	return norm_divisor(a, squares / (double)(n - a->unbiased));
}

static double function(const struct fitting *t, double s, int64_t row, double x)
{
	double u = s * x;
	switch (t->form) {
	case FIT_TANH:
		return tanh(u);
	case FIT_ROOT:
		return u / sqrt(u * u + 1);
	case FIT_ROW:
		return x / t->root[row];
	default:
		return u;
	}
}

static void clear(struct fitting *t)
{
	for (int64_t c = 0; c < t->sample->width; c++)
		t->f[c] = t->ff[c] = t->fz[c] = t->sum[c] = t->square[c] = 0;
}

/* Gain and shift of a channel from its sums over n rows; returns the sum of squares that is left.
 */
static double solve(struct fitting *t, int64_t c, double n)
{
	double mean_f = t->f[c] / n, mean_z = t->sum[c] / n;
	double variance = t->ff[c] / n - mean_f * mean_f;
	double covariance = t->fz[c] / n - mean_f * mean_z;
	bool varies = variance > 1e-12 * t->ff[c] / n;
	double gain = varies ? covariance / variance : 0, shift = mean_z - gain * mean_f;
	if (t->form == FIT_ROW) {
		gain = 1;
		shift = 0;
	}
	t->fit->gain[c] = gain;
	t->fit->shift[c] = shift;
	double left = t->square[c] + gain * gain * t->ff[c] + n * shift * shift -
		      2 * gain * t->fz[c] - 2 * shift * t->sum[c] + 2 * gain * shift * t->f[c];
	return left > 0 ? left : 0;
}

/* Fits all channels for one s. */
static double residual(struct fitting *t, double s)
{
	int64_t width = t->sample->width, n = 0;
	double left = 0, all = 0;
	clear(t);
	for (int64_t row = 0; row < t->sample->rows; row += t->step, n++)
		for (int64_t c = 0; c < width; c++) {
			int64_t i = row * width + c;
			double f = function(t, s, row, t->sample->x[i]), z = t->z[i];
			t->f[c] += f;
			t->ff[c] += f * f;
			t->fz[c] += f * z;
			t->sum[c] += z;
			t->square[c] += z * z;
		}
	for (int64_t c = 0; c < width; c++) {
		left += solve(t, c, (double)n);
		all += t->square[c];
	}
	return all > 0 ? sqrt(left / all) : 0;
}

/* The best s, as 2^k / rms of all elements: a grid of k, then golden sections beside the best. */
static double search(struct fitting *t, double rms)
{
	static const double golden = 0.6180339887498949;
	double best = 0, least = INFINITY;
	for (int k = -6; k <= 6; k++) {
		double now = residual(t, exp2(k) / rms);
		if (now < least) {
			least = now;
			best = k;
		}
	}
	double a = best - 1, b = best + 1;
	double c = b - golden * (b - a), d = a + golden * (b - a);
	double at_c = residual(t, exp2(c) / rms), at_d = residual(t, exp2(d) / rms);
	for (int i = 0; i < 12; i++)
		if (at_c < at_d) {
			b = d;
			d = c;
			at_d = at_c;
			c = b - golden * (b - a);
			at_c = residual(t, exp2(c) / rms);
		} else {
			a = c;
			c = d;
			at_c = at_d;
			d = a + golden * (b - a);
			at_d = residual(t, exp2(d) / rms);
		}
	return exp2((a + b) / 2) / rms;
}

/* Root of the mean of squares of all samples; NaN if one is infinite or NaN. */
static double magnitude(const struct norm_sample *sample)
{
	double sum = 0;
	int64_t count = sample->rows * sample->width;
	for (int64_t i = 0; i < count; i++)
		sum += (double)sample->x[i] * sample->x[i];
	return isfinite(sum) ? sqrt(sum / (double)count) : NAN;
}

struct fit fit_norm(struct arena *arena, const struct attr_norm *norm,
		    const struct norm_sample *sample, enum fit_form form)
{
	size_t width = (size_t)sample->width;
	struct fit fit = {.s = 1};
	struct fitting t = {.sample = sample, .form = form, .step = 1, .fit = &fit};
	double rms = magnitude(sample);
	if (sample->rows < LEAST_ROWS)
		fit.why = arena_printf(arena, "the calibration data has %lld rows for it, too few",
				       (long long)sample->rows);
	else if (!(rms > 0))
		fit.why = "the calibration data makes its operand zero, infinite or NaN";
	if (fit.why)
		return fit;
	double **sums[] = {&t.f, &t.ff, &t.fz, &t.sum, &t.square, &fit.gain, &fit.shift};
	for (size_t i = 0; i < sizeof sums / sizeof *sums; i++)
		*sums[i] = arena_new(arena, double, width + 1);
	t.root = arena_new(arena, double, (size_t)sample->rows);
	t.z = arena_alloc(arena, (size_t)sample->rows * width, sizeof *t.z);
	for (int64_t row = 0; row < sample->rows; row++)
		t.root[row] = normalize(norm, sample->x + row * sample->width,
					t.z + row * sample->width, sample->width);
	t.step = 1 + (sample->rows - 1) / MOST_SEARCH_ROWS;
	if (form == FIT_TANH || form == FIT_ROOT)
		fit.s = search(&t, rms);
	t.step = 1;
	fit.residual = residual(&t, fit.s);
	return fit;
}
