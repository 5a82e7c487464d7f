/* Affine maps by constants behind products join the products' weights (affine_flow.h).
 *
 * A map (a norm with given statistics, a scale, a shift) asks its operand to be what the map makes
 * of it.  Movement, joins and cuts, sums, pooling and rectifiers ask the same of their operands,
 * with other numbers, until it meets products and convolutions with constant weights: the weights
 * of channel o are multiplied by s[o], and t becomes the bias.  Padding does not matter there,
 * because the map acts after it; nor do groups or zeros between the elements (transposed
 * convolutions), because dimension 0 of the weights is the output channel in all of them.  All
 * readers of a value must ask the same.  A map goes only if all that it asks is taken in.
 *
 * The counterpart for maps before products is absorb.c.
 */
#include "affine_flow.h"
#include "pass.h"
#include "value.h"

/* What one reader asks of a value. */
struct ask {
	struct affine map;
	struct origins *origins;
	const struct node *slice; /* of these indices only; NULL: of all */
	struct ask *next;
};

struct fold_norm {
	struct flow *f;
	struct ask **ask;     /* by id */
	uint32_t *n_asks;     /* by id */
	struct affine *given; /* by id: what is asked of a product */
	struct origins **origins;
	bool *takes_shift; /* by id: a shift that is asked of it finds a product */
};

/* ---- shifts ---- */

static bool is_product(const struct node *n)
{
	bool constant = false;
	for (uint32_t k = 0; k < 2 && (n->op == OP_matmul || n->op == OP_conv); k++) {
		const struct node *w = n->in[k];
		while (op_info[w->op].kind == KIND_view)
			w = w->in[0];
		constant = constant || w->op == OP_constant;
	}
	return constant;
}

/* One of two terms takes a shift; this says which may. */
static bool finds_product(const struct fold_norm *f, const struct node *n)
{
	if (f->f->uses[n->id] != 1 || !n->n_in)
		return false;
	switch (n->op) {
	case OP_matmul:
	case OP_conv:
		return is_product(n);
	case OP_add:
	case OP_sub:
		return f->takes_shift[n->in[0]->id] || f->takes_shift[n->in[1]->id];
	case OP_concat:
		for (uint32_t k = 0; k < n->n_in; k++)
			if (!f->takes_shift[n->in[k]->id])
				return false;
		return true;
	case OP_mul:
	case OP_div:
	case OP_norm:
		return f->f->is_map[n->id] && f->takes_shift[n->in[f->f->operand[n->id]]->id];
	case OP_copy:
	case OP_reduce_sum:
	case OP_pool_sum:
	case OP_pool_max:
		return f->takes_shift[n->in[0]->id];
	default:
		return op_info[n->op].kind == KIND_view && f->takes_shift[n->in[0]->id];
	}
}

/* ---- asking ---- */

static void ask(struct fold_norm *f, const struct node *n, struct ask one)
{
	one.next = f->ask[n->id];
	f->ask[n->id] = arena_copy(f->f->arena, &one, sizeof one);
	f->n_asks[n->id]++;
}

/* Along which axis a slice cuts; -1 if along none, -2 if along several. */
static int32_t cut_axis(const struct node *slice)
{
	int32_t axis = -1;
	for (int32_t i = 0; i < slice->type.rank; i++)
		if (slice->type.dim[i] != slice->in[0]->type.dim[i] ||
		    slice->attr.slice->step[i] != 1)
			axis = axis == -1 ? i : -2;
	return axis;
}

/* Which indices a reader asks something of; false if that is not known. */
static bool find_asked(const struct node *slice, int32_t axis, int64_t n, bool *asked)
{
	for (int64_t i = 0; i < n; i++)
		asked[i] = !slice;
	if (!slice)
		return true;
	int64_t count = fixed_extent(&slice->type, axis);
	if (count < 0 || !dim_is_const(slice->attr.slice->start[axis]))
		return false;
	for (int64_t i = 0; i < count; i++) {
		int64_t at = slice->attr.slice->start[axis]->value +
			     i * slice->attr.slice->step[axis];
		if (at < 0 || at >= n)
			return false;
		asked[at] = true;
	}
	return true;
}

/* What readers of parts of a value ask of it together. */
struct merged {
	struct affine map;
	int32_t axis; /* that slices cut */
	int64_t n;
	bool *covered, *asked;
	int64_t *index;
};

/* False if it asks another thing of indices that others asked about. */
static bool merge(struct graph *g, struct merged *m, const struct ask *a)
{
	int64_t both = 0;
	if ((a->map.axis >= 0 && a->map.axis != m->axis) ||
	    !find_asked(a->slice, m->axis, m->n, m->asked))
		return false;
	for (int64_t i = 0; i < m->n; i++)
		if (m->asked[i] && m->covered[i])
			m->index[both++] = i;
	struct affine_pick old = {{&m->map, NULL}, {m->n, 1}, m->index, both},
			   new = {{&a->map, NULL}, {m->n, 1}, m->index, both};
	struct affine is = affine_picked(g, &old, 0), wanted = affine_picked(g, &new, 0);
	if (both && !affine_agree(g, &is, &wanted))
		return false;
	struct affine before = m->map;
	struct affine_pick all = {{&before, &a->map}, {m->n, m->n}, m->index, m->n};
	for (int64_t i = 0; i < m->n; i++) {
		m->index[i] = m->asked[i] ? m->n + i : i;
		m->covered[i] = m->covered[i] || m->asked[i];
	}
	m->map = affine_picked(g, &all, m->axis);
	return true;
}

static bool merge_parts(struct fold_norm *f, const struct node *n, int32_t axis, struct affine *to)
{
	struct arena *arena = f->f->arena;
	struct merged m = {{.axis = -1}, axis, axis < 0 ? -1 : fixed_extent(&n->type, axis),
			   NULL,	 NULL, NULL};
	if (m.n < 1 || m.n > MOST_NUMBERS)
		return false;
	m.covered = arena_new(arena, bool, (size_t)m.n);
	m.asked = arena_new(arena, bool, (size_t)m.n);
	m.index = arena_new(arena, int64_t, (size_t)m.n);
	for (const struct ask *a = f->ask[n->id]; a; a = a->next)
		if ((a->slice && cut_axis(a->slice) != axis) || !merge(f->f->g, &m, a))
			return false;
	*to = m.map;
	return true;
}

/* What all readers of a value ask of it; false if they disagree. */
static bool find_asked_map(struct fold_norm *f, const struct node *n, struct affine *to)
{
	const struct ask *first = f->ask[n->id], *cut = NULL;
	bool same = f->n_asks[n->id] == f->f->uses[n->id];
	if (!same)
		return false;
	for (const struct ask *a = first; a; a = a->next) {
		same = same && affine_agree(f->f->g, &a->map, &first->map);
		if (a->slice && cut_axis(a->slice) != -1)
			cut = a;
	}
	*to = first->map;
	return same || (cut && merge_parts(f, n, cut_axis(cut->slice), to));
}

/* What is asked of a value, and by which maps; nothing if its readers disagree. */
static void settle(struct fold_norm *f, const struct node *n, struct affine *to)
{
	struct origins *all = NULL;
	bool any = false;
	for (const struct ask *a = f->ask[n->id]; a; a = a->next) {
		any = any || !affine_is_identity(&a->map);
		all = origins_join(f->f, all, a->origins);
	}
	*to = (struct affine){.axis = -1};
	f->origins[n->id] = all;
	if (!any || find_asked_map(f, n, to))
		return;
	const char *why = f->f->output[n->id] ? "which is in an output of the graph"
					      : "which has other readers";
	flow_keep(f->f, all, AFFINE_NEVER,
		  flow_place(f->f, "its operand is made of the result of", n, why));
	*to = (struct affine){.axis = -1};
}

/* ---- passing on ---- */

/* Which operands are asked, as bits; 0: n lets nothing through. */
static uint32_t operands_asked(const struct node *n)
{
	switch (n->op) {
	case OP_add:
	case OP_sub:
	case OP_max:
	case OP_min:
		return 3;
	case OP_where:
		return 6;
	case OP_concat:
		return n->n_in < 32 ? (1u << n->n_in) - 1 : 0;
	case OP_mul:
		return constant_of(n->in[0]) ? 2 : constant_of(n->in[1]) ? 1 : 0;
	case OP_div:
		return constant_of(n->in[0]) ? 0 : 1;
	default:
		return n->n_in ? 1 : 0;
	}
}

/* Of a sum, the shift goes to one term. */
static struct affine share_of(const struct fold_norm *f, const struct node *n,
			      const struct affine *of, uint32_t k)
{
	bool first = f->takes_shift[n->in[0]->id] ||
		     (n->n_in > 1 && !f->takes_shift[n->in[1]->id] && !constant_of(n->in[0]));
	if ((n->op != OP_add && n->op != OP_sub) || (k == 0) == first)
		return *of;
	return affine_new(f->f->g, of->axis, of->s, NULL);
}

static enum affine_stop pass_to(struct fold_norm *f, struct node *n, const struct affine *of,
				uint32_t k)
{
	struct ask one = {.origins = f->origins[n->id], .slice = n->op == OP_slice ? n : NULL};
	struct affine share = share_of(f, n, of, k);
	enum affine_stop stop = affine_backwards(f->f->g, n, &share, k, &one.map);
	if (stop || affine_is_identity(&one.map))
		return stop;
	if (constant_of(n->in[k]))
		return AFFINE_NEVER;
	ask(f, n->in[k], one);
	return AFFINE_PASSES;
}

/* The comparison and the product of a rectifier read x, too. */
static enum affine_stop pass_rectifier(struct fold_norm *f, struct node *n, struct node *x,
				       const struct affine *of, struct node *const inner[2])
{
	struct ask one = {.origins = f->origins[n->id]};
	enum affine_stop stop = affine_backwards(f->f->g, n, of, 0, &one.map);
	if (inner[0] && !f->f->inner[inner[0]->id])
		return AFFINE_NEVER;
	for (int i = 0; !stop && i < (inner[0] ? 3 : 1); i++)
		ask(f, x, one);
	return stop;
}

static void pass_on(struct fold_norm *f, struct node *n, const struct affine *of)
{
	static const char *const clause[] = {
			[AFFINE_NEVER] =
					"which is no product or convolution with constant weights, "
					"and does not let its scale and shift through",
			[AFFINE_SHIFT] = "which lets a scale through but no shift",
			[AFFINE_SCALE] = "which lets no scale through",
			[AFFINE_SIGN] = "which lets only positive scales through",
	};
	struct node *inner[2], *x = rectifier_of(n, inner);
	uint32_t asked = operands_asked(n);
	enum affine_stop stop = asked ? AFFINE_PASSES : AFFINE_NEVER;
	if (x)
		stop = pass_rectifier(f, n, x, of, inner);
	for (uint32_t k = 0; !x && !stop && k < n->n_in; k++)
		if (asked >> k & 1)
			stop = pass_to(f, n, of, k);
	if (stop)
		flow_keep(f->f, f->origins[n->id], stop,
			  flow_place(f->f, "its operand is made by", n, clause[stop]));
}

/* Asks the operand of a map that goes to be what the map, and what is asked of it, make of it. */
static void leave_out(struct fold_norm *f, const struct node *n, const struct affine *of)
{
	struct ask one = {.origins = origins_one(f->f, n)};
	if (!affine_chain(f->f->g, of, &f->f->own[n->id], &one.map)) {
		flow_keep(f->f, f->origins[n->id], AFFINE_NEVER,
			  flow_place(f->f, "its operand is made by", n,
				     "which scales or shifts along another axis"));
		one.map = f->f->own[n->id];
	} else {
		one.origins = origins_join(f->f, one.origins, f->origins[n->id]);
	}
	f->f->gone[n->id] = true;
	ask(f, n->in[f->f->operand[n->id]], one);
}

/* A shift right behind a product is a bias, and stays one. */
static bool is_at_rest(const struct fold_norm *f, const struct node *n)
{
	const struct affine *own = &f->f->own[n->id];
	struct product p;
	return n->op != OP_norm && !own->s &&
	       product_before(f->f->g, n->in[f->f->operand[n->id]], own, &p);
}

static void visit(struct fold_norm *f, struct node *n)
{
	struct affine of;
	settle(f, n, &of);
	bool asked = !affine_is_identity(&of);
	if (f->f->is_map[n->id] && !f->f->why[n->id]) {
		if (asked || !is_at_rest(f, n))
			leave_out(f, n, &of);
	} else if (asked && !of.counted && product_before(f->f->g, n, &of, &f->f->product[n->id])) {
		f->given[n->id] = of;
	} else if (asked) {
		f->f->product[n->id].node = NULL;
		pass_on(f, n, &of);
	} else if (n->op == OP_slice) {
		ask(f, n->in[0], (struct ask){.map = {.axis = -1}, .slice = n});
	}
}

/* Computes the weights of the products, once all maps find their way. */
static void take_all(struct fold_norm *f)
{
	const char *why;
	for (uint32_t i = 0; i < f->f->n; i++) {
		const struct product *p = &f->f->product[i];
		if (p->node &&
		    !product_take_before(f->f->g, p, &f->given[i], &f->f->taken[i], &why))
			flow_keep(f->f, f->origins[i], AFFINE_NEVER,
				  flow_place(f->f, "its operand is made by", p->node, why));
	}
}

static void one_round(struct fold_norm *f)
{
	uint32_t n = f->f->n;
	flow_begin(f->f);
	for (uint32_t i = 0; i < n; i++) {
		f->ask[i] = NULL;
		f->n_asks[i] = 0;
	}
	for (uint32_t i = n; i-- > 0;)
		visit(f, f->f->g->nodes[i]);
	if (!f->f->kept)
		take_all(f);
}

struct graph *pass_fold_norm(struct graph *g, struct pass *pass)
{
	struct flow flow = flow_new(g, pass, false);
	struct fold_norm f = {.f = &flow};
	if (pass->strict) {
		flow_remark(&flow, "bit-exact rewrites only");
		return g;
	}
	f.ask = arena_new(flow.arena, struct ask *, flow.n + 1);
	f.n_asks = arena_new(flow.arena, uint32_t, flow.n + 1);
	f.given = arena_new(flow.arena, struct affine, flow.n + 1);
	f.origins = arena_new(flow.arena, struct origins *, flow.n + 1);
	f.takes_shift = arena_new(flow.arena, bool, flow.n + 1);
	for (uint32_t i = 0; i < flow.n; i++)
		f.takes_shift[i] = finds_product(&f, g->nodes[i]);
	do
		one_round(&f);
	while (flow.kept);
	flow_remark(&flow, "its parameters vary along several axes, or are not constant");
	return flow_build(&flow, pass_fold_norm);
}
