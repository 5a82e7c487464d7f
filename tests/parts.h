/* Parts of graphs, for tables of rewrites: random constants, inputs, layers around them. */
#ifndef NORMC_TEST_PARTS_H
#define NORMC_TEST_PARTS_H

#include "test_eval.h"
#include "value.h"

/* A constant with these elements. */
static inline struct node *part_values(struct graph *g, struct shape shape, const double *value)
{
	struct type t = type_fixed(g->context, NORMC_F32, shape.rank, shape.dim);
	return build_doubles(g, &t, value);
}
#define PART_VALUES(g, shape, ...) part_values(g, shape, (const double[]){__VA_ARGS__})

/* Random numbers; means are not zero. */
static inline struct node *part_random(struct graph *g, struct shape shape, double low, double high)
{
	uint64_t seed = 17 + g->n_nodes;
	struct type t = type_fixed(g->context, NORMC_F32, shape.rank, shape.dim);
	int64_t count = type_fixed_count(&t);
	double *value = arena_new(g->context->arena, double, (size_t)count + 1);
	for (int64_t i = 0; i < count; i++)
		value[i] = test_random_range(&seed, low, high);
	return build_doubles(g, &t, value);
}

static inline struct node *part_weights(struct graph *g, struct shape shape)
{
	return part_random(g, shape, -1, 1.5);
}

/* For variances and scales that must not change signs. */
static inline struct node *part_positive(struct graph *g, struct shape shape)
{
	return part_random(g, shape, 0.25, 2);
}

/* Distinct inputs need distinct names. */
static inline struct node *part_input(struct graph *g, const char *name, struct shape shape)
{
	struct type t = type_fixed(g->context, NORMC_F32, shape.rank, shape.dim);
	return graph_input(g, name, &t);
}

static inline struct node *part_number(struct graph *g, double value)
{
	return build_number(g, NORMC_F32, value);
}

static inline struct node *part_add(struct graph *g, struct node *a, struct node *b)
{
	return build_binary(g, OP_add, a, b);
}

static inline struct node *part_mul(struct graph *g, struct node *a, struct node *b)
{
	return build_binary(g, OP_mul, a, b);
}

/* A convolution over two spatial dimensions with a square kernel, without a bias. */
struct part_conv {
	int64_t filters, kernel, padding, groups; /* groups 0 counts as 1 */
};
static inline struct node *part_conv(struct graph *g, struct node *x, struct part_conv p)
{
	struct attr_conv attr = {.spatial = 2, .groups = p.groups ? p.groups : 1};
	int64_t channels = x->type.dim[1]->value / attr.groups;
	for (int32_t i = 0; i < 2; i++) {
		attr.stride[i] = attr.dilation[i] = attr.x_dilation[i] = 1;
		attr.before[i] = attr.after[i] = dim_const(g->context->dims, p.padding);
	}
	return build_conv(g, x, part_weights(g, SHAPE(p.filters, channels, p.kernel, p.kernel)),
			  &attr);
}

/* x W with W of [last extent of x][width]. */
static inline struct node *part_linear(struct graph *g, struct node *x, int64_t width)
{
	int64_t features = x->type.dim[x->type.rank - 1]->value;
	return build_matmul(g, x, part_weights(g, SHAPE(features, width)));
}

/* A norm over the last axis, with random parameters. */
struct part_norm {
	bool centred, gamma, beta;
};
static inline struct node *part_norm(struct graph *g, struct node *x, struct part_norm p)
{
	int32_t last = x->type.rank - 1;
	struct shape shape = {.rank = x->type.rank};
	for (int32_t i = 0; i <= last; i++)
		shape.dim[i] = i == last ? x->type.dim[i]->value : 1;
	struct attr_norm attr = {.axes = 1u << last,
				 .centre = p.centred ? NORM_CENTRE_MEAN : NORM_CENTRE_NONE,
				 .scale = NORM_SCALE_RMS,
				 .gamma = p.gamma,
				 .beta = p.beta,
				 .epsilon = 1e-2};
	struct norm_operands in = {.x = x};
	if (p.gamma)
		in.gamma = part_weights(g, shape);
	if (p.beta)
		in.beta = part_weights(g, shape);
	return build_norm(g, in, &attr);
}

/* Either make(v) or v, where v is x: an `if` whose condition comes from x. */
static inline struct node *part_choice(struct graph *g, struct node *x,
				       struct node *(*make)(struct graph *g, struct node *v))
{
	struct graph *region[2];
	for (int r = 0; r < 2; r++) {
		region[r] = graph_new(g->context, "region");
		struct node *v = graph_input(region[r], "v", &x->type);
		graph_output(region[r], r ? v : make(region[r], v), "w");
	}
	struct attr_region attr = {.region = {region[0], region[1]}, .n_out = 1, .out = &x->type};
	struct node *top = build_reduce(g, OP_reduce_max, x, (1u << x->type.rank) - 1, false);
	struct node *in[2] = {graph_node(g, OP_lt,
					 (struct node *[]){build_number(g, NORMC_F32, 0), top}, 2,
					 (union attr){NULL}),
			      x};
	return graph_node(g, OP_if, in, 2, (union attr){.region = &attr});
}

/* Inference batch normalization of channels (axis 1). */
static inline struct node *part_batch_norm(struct graph *g, struct node *x)
{
	struct shape shape = {.rank = x->type.rank};
	for (int32_t i = 0; i < x->type.rank; i++)
		shape.dim[i] = i == 1 ? x->type.dim[i]->value : 1;
	struct attr_norm attr = {.centre = NORM_CENTRE_GIVEN,
				 .scale = NORM_SCALE_GIVEN,
				 .gamma = true,
				 .beta = true,
				 .epsilon = 1e-3};
	struct norm_operands in = {.x = x,
				   .gamma = part_weights(g, shape),
				   .beta = part_weights(g, shape),
				   .mean = part_weights(g, shape),
				   .variance = part_positive(g, shape)};
	return build_norm(g, in, &attr);
}

#endif
