/* Matrix products: MatMul and Gemm.  Einsum has a file of its own. */
#include "compose.h"

void import_matmul(struct import *n)
{
	import_out(n, 0, build_matmul(n->g, import_in(n, 0), import_in(n, 1)));
}

static struct node *matrix(struct import *n, uint32_t i, const char *transposed)
{
	struct node *x = import_in(n, i);
	if (node_is_poison(x))
		return x;
	if (x->type.rank != 2) {
		import_invalid(n, "operand %u has rank %d, a matrix is needed", i, x->type.rank);
		return graph_poison(n->g);
	}
	return import_int(n, transposed, 0) ? build_transpose(n->g, x, (int32_t[]){1, 0}) : x;
}

/* alpha A B + beta C */
void import_gemm(struct import *n)
{
	struct graph *g = n->g;
	double alpha = import_float(n, "alpha", 1), beta = import_float(n, "beta", 1);
	struct node *y = build_matmul(g, matrix(n, 0, "transA"), matrix(n, 1, "transB"));
	struct node *c = import_optional(n, 2);
	if (alpha != 1)
		y = compose_with(g, OP_mul, y, alpha);
	if (c && beta != 0) {
		if (beta != 1)
			c = compose_with(g, OP_mul, c, beta);
		y = build_binary(g, OP_add, y, c);
	}
	import_out(n, 0, y);
}
