/* Determinants by Gaussian elimination with partial pivoting, in double. */
#include "operator.h"

int64_t normc_op_det_scratch(const struct normc_call *call)
{
	int64_t n = call->in[0].dim[call->in[0].rank - 1], bytes;

	if (__builtin_mul_overflow(n, n, &bytes) ||
	    __builtin_mul_overflow(bytes, (int64_t)sizeof(double), &bytes))
		return -1;
	return bytes;
}

static void swap_rows(double *matrix, int64_t n, int64_t a, int64_t b)
{
	for (int64_t i = 0; i < n; i++) {
		double kept = matrix[a * n + i];

		matrix[a * n + i] = matrix[b * n + i];
		matrix[b * n + i] = kept;
	}
}

static double determinant(double *matrix, int64_t n)
{
	double product = 1;

	for (int64_t k = 0; k < n; k++) {
		int64_t pivot = k;

		for (int64_t i = k + 1; i < n; i++) {
			if (fabs(matrix[i * n + k]) > fabs(matrix[pivot * n + k]))
				pivot = i;
		}
		if (matrix[pivot * n + k] == 0)
			return 0;
		if (pivot != k) {
			swap_rows(matrix, n, pivot, k);
			product = -product;
		}
		product *= matrix[k * n + k];
		for (int64_t i = k + 1; i < n; i++) {
			double factor = matrix[i * n + k] / matrix[k * n + k];

			for (int64_t j = k; j < n; j++)
				matrix[i * n + j] -= factor * matrix[k * n + j];
		}
	}
	return product;
}

int32_t normc_op_det(const struct normc_call *call)
{
	const struct normc_arg *x = &call->in[0], *y = &call->out[0];
	int64_t n = x->dim[x->rank - 1], index[NORMC_MAX_RANK];
	double *matrix = (double *)call->scratch;

	for (bool more = index_start(y->dim, y->rank, index); more;
	     more = index_next(y->dim, y->rank, index)) {
		for (int64_t i = 0; i < n * n; i++) {
			index[x->rank - 2] = i / n;
			index[x->rank - 1] = i % n;
			matrix[i] = arg_load(x, index);
		}
		arg_store(y, index, determinant(matrix, n));
	}
	return NORMC_OK;
}
