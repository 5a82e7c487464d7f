/* The engine of the rewrite rules, and their conditions.
 *
 * A node is looked at once its operands are as simple as can be.  Three strengths, in this order: a
 * value that is known becomes a constant (fold.c); a node equal to an earlier one is that one (the
 * builder sees to it); a rule builds another node, which is looked at again.  Nodes that a
 * replacement needs on the way are simplified as well. Rounds over the graph follow until nothing
 * fires.
 */
#include "rewrite.h"

#include <math.h>
#include <string.h>

#include "fold.h"
#include "value.h"

/* ---- conditions: X, Y, Z, C and D are the slots 0 to 4 ---- */

static bool always(const struct match *m)
{
	(void)m;
	return true;
}

/* X can stand for the root. */
static bool same_type(const struct match *m)
{
	return type_equal(&m->slot[0]->type, &m->root->type);
}

static bool is_float(const struct match *m)
{
	return elem_is_float(m->root->type.elem);
}

static bool is_bool(const struct match *m)
{
	return m->root->type.elem == NORMC_BOOL;
}

struct range {
	double least, greatest;
};

/* Magnitudes of C and D; false if they are not finite floating-point numbers. */
static bool ranges_of(const struct match *m, struct range *c, struct range *d)
{
	return is_float(m) && magnitudes_of(m->slot[3], &c->least, &c->greatest) &&
	       magnitudes_of(m->slot[4], &d->least, &d->greatest);
}

static bool in_range(const struct match *m, double least, double greatest)
{
	enum normc_elem elem = m->root->type.elem;
	return least >= elem_smallest_normal(elem) && greatest <= elem_largest(elem);
}

/* C + D does not overflow; integers wrap alike either way. */
static bool sum_in_range(const struct match *m)
{
	struct range c, d;
	return !is_float(m) || (ranges_of(m, &c, &d) && in_range(m, 1, c.greatest + d.greatest));
}

/* C * D neither overflows nor loses bits. */
static bool product_in_range(const struct match *m)
{
	struct range c, d;
	return !is_float(m) ||
	       (ranges_of(m, &c, &d) && in_range(m, c.least * d.least, c.greatest * d.greatest));
}

static bool has_zero(const struct node *n)
{
	const struct node *c = constant_of(n);
	int64_t count = type_fixed_count(&c->type);
	for (int64_t i = 0; i < count; i++)
		if (constant_at(c, i) == 0)
			return true;
	return false;
}

/* D / C, likewise, for floating point. */
static bool ratio_in_range(const struct match *m)
{
	struct range c, d;
	return ranges_of(m, &c, &d) && !has_zero(m->slot[3]) &&
	       in_range(m, d.least / c.greatest, d.greatest / c.least);
}

/* C / D, likewise. */
static bool quotient_in_range(const struct match *m)
{
	struct range c, d;
	return ranges_of(m, &c, &d) && !has_zero(m->slot[4]) &&
	       in_range(m, c.least / d.greatest, c.greatest / d.least);
}

/* The root transposes; all dimensions stay where they are. */
static bool keeps_order(const struct match *m)
{
	for (int32_t i = 0; i < m->root->type.rank; i++)
		if (m->root->attr.perm->perm[i] != i)
			return false;
	return true;
}

/* The root transposes; dimensions other than 1 keep their order. */
static bool only_ones_move(const struct match *m)
{
	int32_t last = -1;
	for (int32_t i = 0; i < m->root->type.rank; i++) {
		int32_t from = m->root->attr.perm->perm[i];
		if (dim_is(m->root->type.dim[i], 1))
			continue;
		if (from < last)
			return false;
		last = from;
	}
	return true;
}

/* The root slices; it keeps everything. */
static bool slices_all(const struct match *m)
{
	const struct attr_slice *s = m->root->attr.slice;
	if (!same_type(m))
		return false;
	for (int32_t i = 0; i < m->root->type.rank; i++)
		if (!dim_is(s->start[i], 0) || s->step[i] != 1)
			return false;
	return true;
}

/* Each value of `from` is one of `to`. */
static bool is_lossless(enum normc_elem from, enum normc_elem to)
{
	static const struct {
		enum normc_elem elem;
		int mantissa, exponent; /* bits of significand with the leading one; largest
					   exponent */
	} known[] = {
			{NORMC_F64, 53, 1023},
			{NORMC_F32, 24, 127},
			{NORMC_BF16, 8, 127},
			{NORMC_F16, 11, 15},
	};
	int mantissa[2] = {0, 0}, exponent[2] = {0, 0};
	enum normc_elem elem[2] = {from, to};
	if (from == to || from == NORMC_BOOL)
		return true;
	for (int side = 0; side < 2; side++)
		for (size_t i = 0; i < sizeof known / sizeof *known; i++)
			if (known[i].elem == elem[side]) {
				mantissa[side] = known[i].mantissa;
				exponent[side] = known[i].exponent;
			}
	if (elem_is_integer(from) && elem_is_integer(to))
		return elem_bits(to) > elem_bits(from) &&
		       (elem_is_signed(to) || !elem_is_signed(from));
	if (elem_is_integer(from))
		return mantissa[1] >= elem_bits(from) && exponent[1] >= elem_bits(from);
	return mantissa[0] && mantissa[1] >= mantissa[0] && exponent[1] >= exponent[0];
}

/* The root casts a cast; the inner one keeps every value. */
static bool lossless_inner(const struct match *m)
{
	return is_lossless(m->slot[0]->type.elem, m->root->in[0]->type.elem);
}

/* The root's first operand pads with zeros, spatial dimensions only. */
static bool pads_zero(const struct match *m)
{
	const struct node *pad = m->root->in[0];
	double value;
	if (pad->attr.pad->mode != PAD_CONSTANT || !splat_of(pad->in[1], &value) || value != 0)
		return false;
	for (int32_t i = 0; i < 2; i++)
		if (!dim_is(pad->attr.pad->before[i], 0) || !dim_is(pad->attr.pad->after[i], 0))
			return false;
	return true;
}

/* The root is a pooling with windows of one element, all of them. */
static bool window_is_point(const struct match *m)
{
	const struct attr_pool *p = m->root->attr.pool;
	for (int32_t i = 0; i < p->spatial; i++)
		if (p->kernel[i] != 1 || p->stride[i] != 1 || !dim_is(p->before[i], 0) ||
		    !dim_is(p->after[i], 0))
			return false;
	return same_type(m);
}

/* ---- the table ---- */

#define PAT(...)     (&(const struct pat){__VA_ARGS__})
#define P(name, ...) PAT(.kind = PAT_OP, .op = OP_##name, .arg = {__VA_ARGS__})
#define OF(name)     PAT(.kind = PAT_OP, .op = OP_##name)
#define X	     PAT(.kind = PAT_ANY, .slot = 0)
#define Y	     PAT(.kind = PAT_ANY, .slot = 1)
#define Z	     PAT(.kind = PAT_ANY, .slot = 2)
#define C	     PAT(.kind = PAT_CONST, .slot = 3)
#define D	     PAT(.kind = PAT_CONST, .slot = 4)
#define NUM(v)	     PAT(.kind = PAT_NUMBER, .number = v)
#define MAP	     PAT(.kind = PAT_MAP)
#define RULE(name, pattern, replacement, when, accuracy, why)                                      \
	{#name, pattern, replacement, NULL, when, accuracy, why},
#define BUILD(name, pattern, function, when, accuracy, why)                                        \
	{#name, pattern, NULL, function, when, accuracy, why},
const struct rule rules[] = {
#include "rules.def"
};
#undef RULE
#undef BUILD
#undef C
#undef D
#undef X
#undef Y
#undef Z
const uint32_t n_rules = sizeof rules / sizeof *rules;

/* ---- matching ---- */

static bool is_number(const struct node *n, double number)
{
	double value;
	if (!splat_of(n, &value) || value != number)
		return false;
	return number != 0 || !elem_is_float(n->type.elem) || signbit(value) == signbit(number);
}

static bool matches(struct match *m, const struct pat *p, struct node *n);

static bool operands_match(struct match *m, const struct pat *p, const struct node *n, bool swapped)
{
	for (uint32_t i = 0; i < MAX_PAT_ARGS && p->arg[i]; i++)
		if (i >= n->n_in || !matches(m, p->arg[i], n->in[swapped ? 1 - i : i]))
			return false;
	return true;
}

static bool matches(struct match *m, const struct pat *p, struct node *n)
{
	struct node *bound[MAX_SLOTS];
	switch (p->kind) {
	case PAT_NUMBER:
		return is_number(n, p->number);
	case PAT_MAP:
		return op_info[n->op].kind == KIND_map;
	case PAT_CONST:
		if (!constant_of(n))
			return false;
		break;
	case PAT_ANY:
		break;
	case PAT_OP:
		if (n->op != p->op)
			return false;
		memcpy(bound, m->slot, sizeof bound);
		if (operands_match(m, p, n, false))
			return true;
		memcpy(m->slot, bound, sizeof bound);
		return op_info[n->op].traits & COMMUTES && p->arg[0] &&
		       operands_match(m, p, n, true);
	}
	if (m->slot[p->slot])
		return m->slot[p->slot] == n;
	m->slot[p->slot] = n;
	return true;
}

static struct node *replace(struct match *m, const struct pat *to)
{
	struct node *in[MAX_PAT_ARGS];
	uint32_t n = 0;
	switch (to->kind) {
	case PAT_ANY:
	case PAT_CONST:
		return m->slot[to->slot];
	case PAT_NUMBER:
		return build_splat(m->g, &m->root->type, to->number);
	default:
		for (; n < MAX_PAT_ARGS && to->arg[n]; n++)
			in[n] = replace(m, to->arg[n]);
		return m->simpler(m, graph_node(m->g, to->op, in, n, (union attr){NULL}));
	}
}

static struct node *apply(const struct rule *rule, struct match *m)
{
	if (rule->pattern->kind == PAT_OP && rule->pattern->op != m->root->op)
		return NULL;
	memset(m->slot, 0, sizeof m->slot);
	if (!matches(m, rule->pattern, m->root) || !rule->when(m))
		return NULL;
	struct graph *g = m->g;
	struct loc at = g->at;
	g->at = (struct loc){m->root->loc.source, rule->name};
	struct node *n = rule->to ? replace(m, rule->to) : rule->build(m);
	g->at = at;
	if (!n || n == m->root || !type_equal(&n->type, &m->root->type))
		return NULL; /* extents that are equal but not known to be */
	return n;
}

static struct node *as_it_is(struct match *m, struct node *n)
{
	(void)m;
	return n;
}

struct node *rule_apply(const struct rule *rule, struct graph *g, struct node *n)
{
	struct match m = {.g = g, .root = n, .simpler = as_it_is};
	return apply(rule, &m);
}

/* ---- the pass ---- */

enum { MOST_STEPS = 100, MOST_NESTING = 20, MOST_ROUNDS = 10 };

struct simplify {
	struct pass *pass;
	uint32_t nesting;
	uint32_t fired;
};

static struct node *simplify_node(struct simplify *s, struct graph *g, struct node *n);

static struct node *simplify_inner(struct match *m, struct node *n)
{
	struct simplify *s = m->user;
	return s->nesting < MOST_NESTING ? simplify_node(s, m->g, n) : n;
}

/* The first rule that fires. */
static struct node *simplify_once(struct simplify *s, struct graph *g, struct node *n)
{
	struct match m = {.g = g, .root = n, .simpler = simplify_inner, .user = s};
	for (uint32_t i = 0; i < n_rules; i++) {
		if (s->pass->strict && rules[i].accuracy != BIT)
			continue;
		struct node *better = apply(&rules[i], &m);
		if (better && pass_allows(s->pass)) {
			s->fired++;
			pass_remark(g, s->pass, rules[i].name, n->loc, NULL);
			return better;
		}
	}
	return n;
}

static struct node *simplify_node(struct simplify *s, struct graph *g, struct node *n)
{
	s->nesting++;
	for (uint32_t i = 0; i < MOST_STEPS; i++) {
		struct node *better = fold_node(g, n);
		if (better == n)
			better = simplify_once(s, g, n);
		if (better == n)
			break;
		n = better;
	}
	s->nesting--;
	return n;
}

static struct node *simplify_rule(struct graph *to, const struct node *old, struct node *const *in,
				  void *user)
{
	if (op_info[old->op].kind == KIND_region)
		return NULL;
	return simplify_node(user, to, graph_clone(to, old, in));
}

struct graph *pass_simplify(struct graph *g, struct pass *pass)
{
	struct simplify s = {.pass = pass};
	for (int round = 0; round < MOST_ROUNDS && (round == 0 || s.fired); round++) {
		s.fired = 0;
		g = graph_rewrite(g, simplify_rule, &s);
	}
	return g;
}
