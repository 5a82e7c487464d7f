/* normc inspect and normc ops: what is in a model, and what the importer knows. */
#include "command.h"

#include <stdlib.h>
#include <string.h>

#include "html.h"
#include "import.h"

/* ---- operators ---- */

struct count {
	const char *op_type, *domain;
	uint32_t before, after;
	uint32_t meanless; /* of those after: LayerNorms that do not subtract a mean any more */
	bool norm;	   /* a normalization layer */
};

static bool is_norm(const char *op_type)
{
	static const char *const names[] = {"BatchNormalization",    "GroupNormalization",
					    "InstanceNormalization", "LayerNormalization",
					    "LpNormalization",	     "MeanVarianceNormalization",
					    "RMSNormalization",	     "SimplifiedLayerNormalization",
					    "SkipLayerNormalization"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(names[i], op_type))
			return true;
	return false;
}

static int by_name(const void *a, const void *b)
{
	const struct count *x = a, *y = b;
	int order = strcmp(x->domain, y->domain);
	return order ? order : strcmp(x->op_type, y->op_type);
}

static struct count *find_count(struct count *counts, uint32_t n, const struct source *s)
{
	for (uint32_t i = 0; i < n; i++)
		if (!strcmp(counts[i].op_type, s->op_type) &&
		    !strcmp(counts[i].domain, s->domain ? s->domain : ""))
			return &counts[i];
	return NULL;
}

/* What is left of a source. */
enum left { GONE, LEFT, MEANLESS };

static bool is_meanless(const struct node *n)
{
	return n->op == OP_norm && n->attr.norm->centre == NORM_CENTRE_NONE;
}

/* A source is left if a node that normalizes, scales or divides still comes from it. */
static void mark_left(const struct graph *g, enum left *left, uint32_t n_sources)
{
	const bool *live = graph_live(g);
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		bool works = n->op == OP_norm || n->op == OP_mul || n->op == OP_div;
		if (live[i] && works && n->loc.source < n_sources)
			left[n->loc.source] = is_meanless(n) ? MEANLESS : LEFT;
		for (int k = 0; live[i] && op_info[n->op].kind == KIND_region && k < 2; k++)
			if (n->attr.region->region[k])
				mark_left(n->attr.region->region[k], left, n_sources);
	}
}

static void print_norm(const struct count *count)
{
	say(stdout, "%s: %u in the model, %u after rewriting", count->op_type, count->before,
	    count->after);
	if (count->meanless)
		printf(", %u of them without a mean (RMSNorm)", count->meanless);
	putchar('\n');
}

static void print_operators(struct compile *c)
{
	struct arena *arena = c->context.arena;
	const struct diag *diag = &c->diag;
	struct count *counts = arena_new(arena, struct count, diag->n_sources + 1);
	enum left *left = arena_new(arena, enum left, diag->n_sources + 1);
	uint32_t n = 0;

	mark_left(c->graph, left, diag->n_sources);
	for (uint32_t i = 1; i < diag->n_sources; i++) {
		const struct source *s = &diag->sources[i];
		struct count *found = find_count(counts, n, s);
		if (!found) {
			found = &counts[n++];
			*found = (struct count){.op_type = s->op_type,
						.domain = s->domain ? s->domain : "",
						.norm = !*s->domain && is_norm(s->op_type)};
		}
		found->before++;
		found->after += left[i] != GONE;
		found->meanless += left[i] == MEANLESS && !strcmp(s->op_type, "LayerNormalization");
	}
	qsort(counts, n, sizeof *counts, by_name);
	printf("operators:\n");
	for (uint32_t i = 0; i < n; i++)
		say(stdout, "  %s%s%s: %u\n", counts[i].domain, counts[i].domain[0] ? "." : "",
		    counts[i].op_type, counts[i].before);
	for (uint32_t i = 0; i < n; i++)
		if (counts[i].norm)
			print_norm(&counts[i]);
}

/* ---- totals ---- */

static void print_type(struct compile *c, const char *name, const struct type *type)
{
	say(stdout, "  %s: %s[", name, normc_elem_name(type->elem));
	for (int32_t d = 0; d < type->rank; d++) {
		char text[200];
		dim_print(c->context.dims, type->dim[d], text, sizeof text);
		printf("%s%s", d ? "," : "", text);
	}
	printf("]\n");
}

static void print_ports(struct compile *c)
{
	const struct graph *g = c->imported;
	printf("inputs:\n");
	for (uint32_t i = 0; i < g->n_inputs; i++)
		print_type(c, g->inputs[i]->attr.port->name, &g->inputs[i]->type);
	printf("outputs:\n");
	for (uint32_t i = 0; i < g->n_outputs; i++)
		print_type(c, g->output_names[i], &g->outputs[i]->type);
}

/* Shapes, indices and masks are no parameters, nor are numbers without dimensions, most of which
 * the importer made. */
static bool is_parameter(const struct node *node)
{
	return node->op == OP_constant && node->type.rank > 0 && node->type.elem != NORMC_I64 &&
	       node->type.elem != NORMC_BOOL;
}

/* Elements of the live parameters, sub-graphs included. */
static uint64_t count_parameters(const struct graph *g)
{
	const bool *live = graph_live(g);
	uint64_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *node = g->nodes[i];
		if (live[i] && is_parameter(node))
			n += node->attr.data->bytes / normc_elem_size(node->type.elem);
		for (int k = 0; live[i] && op_info[node->op].kind == KIND_region && k < 2; k++)
			if (node->attr.region->region[k])
				n += count_parameters(node->attr.region->region[k]);
	}
	return n;
}

static void print_totals(struct compile *c)
{
	struct dims *dims = c->context.dims;
	const struct dim *flops = dim_const(dims, 0);
	char text[400];

	for (uint32_t i = 0; i < c->program->n_kernels; i++)
		if (c->program->kernels[i]->flops)
			flops = dim_add(dims, flops, c->program->kernels[i]->flops);
	dim_print(dims, flops, text, sizeof text);
	printf("parameters: %llu\n", (unsigned long long)count_parameters(c->imported));
	printf("floating-point operations: %s", text);
	if (dim_is_const(flops) && flops->value >= 1000000)
		printf(" (%.4g G)", (double)flops->value * 1e-9);
	putchar('\n');
	dim_print(dims, c->program->workspace, text, sizeof text);
	printf("kernels: %u\nworkspace: %s bytes\nweights: %llu bytes\n", c->program->n_kernels,
	       text, (unsigned long long)c->program->weights_bytes);
}

/* The page, which says more than what is printed otherwise. */
static bool write_page(struct compile *c, const struct settings *s)
{
	const char *path = s->paths.item[0], *slash = strrchr(path, '/');
	return page_write(c, slash ? slash + 1 : path, s->html);
}

static bool inspect(struct compile *c, void *user)
{
	const struct settings *s = user;
	if (!compile_to(c, STAGE_OPTIMISED))
		return false;
	if (s->html && !write_page(c, s))
		return false;
	if (s->html && !s->graph && !s->kernels)
		return true;
	if (s->graph) {
		graph_print(c->graph, 16, print_text, NULL);
		return true;
	}
	if (!s->kernels) {
		print_ports(c);
		print_operators(c);
		fflush(stdout);
	}
	if (!compile_to(c, STAGE_LOWERED))
		return false;
	if (s->kernels)
		program_print(c->program, print_text, NULL);
	else
		print_totals(c);
	return true;
}

static enum normc_status inspect_job(void *user)
{
	const struct settings *s = user;
	struct model_step step = {
			.settings = s, .path = s->paths.item[0], .run = inspect, .user = user};
	struct normc_error error;
	return model_step_take(&step, &error);
}

enum normc_status command_inspect(const struct settings *settings)
{
	return in_child(settings->paths.item[0], inspect_job, (void *)(uintptr_t)settings);
}

/* ---- the support table ---- */

static void print_row(void *user, const char *domain, const char *op, int first, int last)
{
	(void)user;
	printf("| %s%s%s | %d to %d |\n", domain, *domain ? "." : "", op, first, last);
}

enum normc_status command_ops(const struct settings *settings)
{
	(void)settings;
	printf("| operator | opset |\n|---|---|\n");
	import_list(print_row, NULL);
	return NORMC_OK;
}
