/* DFT, STFT, MelWeightMatrix.  The transform is the recursive mixed-radix one of Cooley and Tukey
 * (Math. Comp. 19, 1965), in double: n log n for lengths with small prime factors, right for all.
 */
#include "operator.h"

struct complex {
	double re, im;
};

/* Scratch of one transform: `n` numbers each. */
struct transform {
	int64_t n;
	struct complex *in, *out, *root, *kept;
};

static struct complex multiply(struct complex a, struct complex b)
{
	return (struct complex){a.re * b.re - a.im * b.im, a.re * b.im + a.im * b.re};
}

/* Bytes of scratch for length n, -1 if there is no such number. */
static int64_t transform_bytes(int64_t n)
{
	int64_t bytes;

	return __builtin_mul_overflow(n, (int64_t)(4 * sizeof(struct complex)), &bytes) ? -1
											: bytes;
}

/* Lays out scratch and fills the roots of unity; a forward transform turns clockwise. */
static struct transform transform_make(unsigned char *scratch, int64_t n, bool inverse)
{
	struct transform t = {n, (struct complex *)(void *)scratch, NULL, NULL, NULL};

	t.out = t.in + n;
	t.root = t.out + n;
	t.kept = t.root + n;
	for (int64_t i = 0; i < n; i++) {
		double angle = 2 * 3.14159265358979323846 * (double)i / (double)n;

		t.root[i] = (struct complex){cos(angle), inverse ? sin(angle) : -sin(angle)};
	}
	return t;
}

static int64_t smallest_factor(int64_t n)
{
	for (int64_t p = 2; p <= n / p; p++) {
		if (n % p == 0)
			return p;
	}
	return n;
}

/* Transforms n numbers of `in`, `step` apart, to `out`; n times step is the whole length. */
static void transform_part(const struct transform *t, const struct complex *in, struct complex *out,
			   int64_t n, int64_t step)
{
	int64_t p = smallest_factor(n), m = n / (n > 1 ? p : 1);

	if (n == 1) {
		*out = *in;
		return;
	}
	for (int64_t r = 0; r < p; r++)
		transform_part(t, in + r * step, out + r * m, m, step * p);
	for (int64_t k = 0; k < m; k++) {
		for (int64_t r = 0; r < p; r++)
			t->kept[r] = out[r * m + k];
		for (int64_t q = 0; q < p; q++) {
			struct complex sum = t->kept[0];
			int64_t turn = (k + q * m) * step % t->n, angle = 0;

			for (int64_t r = 1; r < p; r++) {
				struct complex part;

				angle = (angle + turn) % t->n;
				part = multiply(t->kept[r], t->root[angle]);
				sum.re += part.re;
				sum.im += part.im;
			}
			out[q * m + k] = sum;
		}
	}
}

/* Reads t->n numbers along `axis` of x (the last dimension holds real and imaginary part, or the
 * real one alone), zeros behind the end; with `half`, the second half is the conjugate of the
 * first. */
static void load_signal(const struct transform *t, const struct normc_arg *x, int64_t axis,
			int64_t *index, bool half)
{
	int32_t last = x->rank - 1;
	int64_t given = half ? t->n / 2 + 1 : t->n;

	for (int64_t i = 0; i < t->n; i++) {
		struct complex value = {0, 0};

		if (i < given && i < x->dim[axis]) {
			index[axis] = i;
			index[last] = 0;
			value.re = arg_load(x, index);
			index[last] = 1;
			value.im = x->dim[last] > 1 ? arg_load(x, index) : 0;
		} else if (half && i >= given) {
			value = (struct complex){t->in[t->n - i].re, -t->in[t->n - i].im};
		}
		t->in[i] = value;
	}
	index[axis] = index[last] = 0;
}

static void store_signal(const struct transform *t, const struct normc_arg *y, int64_t axis,
			 int64_t *index, double factor)
{
	int32_t last = y->rank - 1;

	for (int64_t i = 0; i < y->dim[axis] && i < t->n; i++) {
		index[axis] = i;
		index[last] = 0;
		arg_store(y, index, t->out[i].re * factor);
		index[last] = 1;
		if (y->dim[last] > 1)
			arg_store(y, index, t->out[i].im * factor);
	}
	index[axis] = index[last] = 0;
}

int64_t normc_op_dft_scratch(const struct normc_call *call)
{
	return transform_bytes(call->ints[3]);
}

/* ints: axis, inverse, onesided, length */
int32_t normc_op_dft(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t axis = call->ints[0], n = call->ints[3], dim[NORMC_MAX_RANK], index[NORMC_MAX_RANK];
	bool inverse = call->ints[1] != 0, half = inverse && call->ints[2];
	struct transform t;

	if (arg_count(y) == 0)
		return NORMC_OK;
	if (n < 1 || y->dim[axis] > n)
		return NORMC_INVALID;
	t = transform_make(call->scratch, n, inverse);
	shape_without(y, axis, dim);
	dim[y->rank - 1] = 1;
	for (bool more = index_start(dim, y->rank, index); more;
	     more = index_next(dim, y->rank, index)) {
		load_signal(&t, x, axis, index, half);
		if (half)
			t.in[0].im = 0;
		if (half && n % 2 == 0)
			t.in[n / 2].im = 0;
		transform_part(&t, t.in, t.out, n, 1);
		store_signal(&t, y, axis, index, inverse ? 1 / (double)n : 1);
	}
	return NORMC_OK;
}

int64_t normc_op_stft_scratch(const struct normc_call *call)
{
	return transform_bytes(call->ints[1]);
}

/* Reads one frame of a signal, weighted by the window. */
static void load_frame(const struct transform *t, const struct normc_call *call, int64_t batch,
		       int64_t start)
{
	const struct normc_arg *x = &call->in[0], *window = call_input(call, 1);
	bool paired = x->rank == 3, complex = paired && x->dim[2] > 1;

	for (int64_t i = 0; i < t->n; i++) {
		struct complex value = {0, 0};

		if (start + i < x->dim[1] && (!window || i < window->dim[0])) {
			double w = window ? arg_load(window, &i) : 1;

			value.re = w * arg_load(x, (int64_t[]){batch, start + i, 0});
			value.im = complex ? w * arg_load(x, (int64_t[]){batch, start + i, 1}) : 0;
		}
		t->in[i] = value;
	}
}

/* ints: frame step, frame length, onesided (which the output's extents say too) */
int32_t normc_op_stft(const struct normc_call *call)
{
	const struct normc_arg *y = &call->out[0];
	int64_t step = call->ints[0], n = call->ints[1], index[4] = {0};
	struct transform t;

	if (arg_count(y) == 0)
		return NORMC_OK;
	if (n < 1 || step < 1 || y->dim[2] > n)
		return NORMC_INVALID;
	t = transform_make(call->scratch, n, false);
	for (index[0] = 0; index[0] < y->dim[0]; index[0]++) {
		for (index[1] = 0; index[1] < y->dim[1]; index[1]++) {
			load_frame(&t, call, index[0], index[1] * step);
			transform_part(&t, t.in, t.out, n, 1);
			store_signal(&t, y, 2, index, 1);
		}
	}
	return NORMC_OK;
}

/* The spectrogram bin of mel point `i` of `points` between the two edges; `rate`: the sample rate.
 */
static double mel_bin(const double *edge, int64_t i, double points, double length, double rate)
{
	double low = 2595 * log10(1 + edge[0] / 700), high = 2595 * log10(1 + edge[1] / 700);
	double mel = (double)i * ((high - low) / points) + low;

	return floor((length + 1) * (700 * (pow(10, mel / 2595) - 1)) / rate);
}

/* Fills the triangle of one mel bin from its three corner points; false if it leaves the matrix. */
static bool fill_triangle(const struct normc_arg *y, int64_t bin, const double *corner)
{
	int64_t left, centre, right;

	if (!(corner[0] >= 0 && corner[0] <= corner[1] && corner[1] <= corner[2] &&
	      corner[1] < (double)y->dim[0] && corner[2] <= (double)y->dim[0]))
		return false;
	left = (int64_t)corner[0];
	centre = (int64_t)corner[1];
	right = (int64_t)corner[2];
	for (int64_t i = 0; i < y->dim[0]; i++) {
		double value = 0;

		if (i == centre)
			value = 1;
		else if (i >= left && i < centre)
			value = (double)(i - left) / (double)(centre - left);
		else if (i > centre && i < right)
			value = (double)(right - i) / (double)(right - centre);
		arg_store(y, (int64_t[]){i, bin}, value);
	}
	return true;
}

int32_t normc_op_mel_weight_matrix(const struct normc_call *call)
{
	const struct normc_arg *in = call->in, *y = &call->out[0];
	double edge[2] = {element_load(arg_elem(&in[3]), in[3].data),
			  element_load(arg_elem(&in[4]), in[4].data)};
	double length = element_load(arg_elem(&in[1]), in[1].data);
	double rate = element_load(arg_elem(&in[2]), in[2].data);
	int64_t bins = y->dim[1];

	for (int64_t i = 0; i < bins; i++) {
		double corner[3];

		for (int k = 0; k < 3; k++)
			corner[k] = mel_bin(edge, i + k, (double)bins + 2, length, rate);
		if (!fill_triangle(y, i, corner))
			return NORMC_INVALID;
	}
	return NORMC_OK;
}
