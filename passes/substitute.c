/* Norms replaced by functions of single elements, with constants fitted to samples (substitute.h).
 *
 *	layernorm_to_un		gamma * (gain*x + shift) + beta: Unified Normalization at
 *				inference, a fixed map for each channel.  With <x^2> = sigma^2
 *				measured, gain is UN's gamma / sqrt(sigma^2 + eps) with a gamma
 *				that is fitted too, since the model was not trained with UN; the
 *				shift takes the channel's mean away where the norm has one
 *	layernorm_to_dyt	gamma * (gain*tanh(alpha*x) + shift) + beta
 *	layernorm_to_eln	gamma * (gain*x/sqrt(x^2 + c) + shift) + beta
 *	layernorm_to_rms	the norm without its centre
 *
 * (Yang et al., Unified Normalization for Accelerating and Stabilizing Transformers, ACM MM 2022;
 * Zhu et al., Transformers without Normalization, 2025; Stollenwerk, The Mathematical Relationship
 * Between Layer Normalization and Dynamic Activation Functions, 2025.)
 */
#include "substitute.h"

#include <math.h>
#include <string.h>

#include "fit.h"
#include "pass.h"
#include "value.h"
#include "weights.h"

struct substitution {
	struct pass *pass;
	enum fit_form form;
	const struct norm_sample **sample; /* by id; NULL: none of the norms */
};

static bool is_substituted(const struct node *n)
{
	if (n->op != OP_norm || !elem_is_float(n->type.elem))
		return false;
	const struct attr_norm *a = n->attr.norm;
	return a->axes && !(a->axes & (a->axes - 1)) && a->scale == NORM_SCALE_RMS &&
	       a->centre != NORM_CENTRE_GIVEN && fixed_extent(&n->type, substitute_axis(n)) > 1;
}

int32_t substitute_axis(const struct node *norm)
{
	return __builtin_ctz(norm->attr.norm->axes);
}

uint32_t substitute_norms(const struct graph *g, const char *pass, struct node **norm)
{
	bool all = strcmp(pass, "layernorm_to_rms") != 0;
	const bool *live = graph_live(g);
	uint32_t n = 0;
	for (uint32_t i = 0; i < g->n_nodes; i++)
		if (live[i] && is_substituted(g->nodes[i]) &&
		    (all || g->nodes[i]->attr.norm->centre == NORM_CENTRE_MEAN))
			norm[n++] = g->nodes[i];
	return n;
}

/* ---- what stands for a norm ---- */

static struct node *element_function(struct graph *g, struct node *x, enum fit_form form, double s)
{
	struct node *u;
	switch (form) {
	case FIT_TANH:
		u = build_binary(g, OP_mul, x, build_number(g, x->type.elem, s));
		return build_unary(g, OP_tanh, u);
	case FIT_ROOT:
		u = build_binary(g, OP_mul, x, x);
		u = build_binary(g, OP_add, u, build_number(g, x->type.elem, 1 / (s * s)));
		return build_binary(g, OP_div, x, build_unary(g, OP_sqrt, u));
	default:
		return x;
	}
}

static struct node *numbers(struct graph *g, int64_t n, const double *value)
{
	struct type t = type_fixed(g->context, NORMC_F64, 1, &n);
	return build_doubles(g, &t, value);
}

/* Scale and shift of the result: the fitted ones, then gamma and beta. NULL: not possible. */
struct affine_pair {
	struct node *scale, *shift;
};
static struct affine_pair parameters(struct graph *g, const struct node *old, const struct fit *fit)
{
	const struct attr_norm *a = old->attr.norm;
	int32_t axis = substitute_axis(old);
	int64_t n = old->type.dim[axis]->value;
	struct affine_pair none = {NULL, NULL}, p;
	struct node *gamma = numbers_of(g, a->gamma ? old->in[1] : NULL, axis, n, 1);
	struct node *beta = numbers_of(g, a->beta ? old->in[old->n_in - 1] : NULL, axis, n, 0);
	if (!gamma || !beta)
		return none;
	p.scale = numbers_binary(g, OP_mul, gamma, numbers(g, n, fit->gain));
	p.shift = numbers_binary(g, OP_mul, gamma, numbers(g, n, fit->shift));
	p.shift = p.shift ? numbers_binary(g, OP_add, p.shift, beta) : NULL;
	if (!p.scale || !p.shift || !numbers_fit(p.scale, old->type.elem) ||
	    !numbers_fit(p.shift, old->type.elem))
		return none;
	return p;
}

static const char *describe(struct graph *g, const struct fit *fit, enum fit_form form, int64_t n)
{
	double low = INFINITY, high = -INFINITY, left = 100 * fit->residual;
	struct arena *arena = g->context->arena;
	for (int64_t c = 0; c < n; c++) {
		low = fmin(low, fit->gain[c]);
		high = fmax(high, fit->gain[c]);
	}
	const char *constant =
			form == FIT_TANH   ? arena_printf(arena, "alpha %.4g, ", fit->s)
			: form == FIT_ROOT ? arena_printf(arena, "c %.4g, ", 1 / (fit->s * fit->s))
					   : "";
	if (form == FIT_ROW)
		return arena_printf(arena, "%.3g %% of its result is left over", left);
	return arena_printf(arena, "%sgains %.4g to %.4g, %.3g %% of its result is left over",
			    constant, low, high, left);
}

static struct node *without_centre(struct graph *g, const struct node *old, struct node *const *in)
{
	struct attr_norm *attr = arena_copy(g->context->arena, old->attr.norm, sizeof *attr);
	attr->centre = NORM_CENTRE_NONE;
	return graph_node(g, OP_norm, in, old->n_in, (union attr){.norm = attr});
}

/* Narrow types compute in f32, as norms do. */
static struct node *elementwise(struct graph *g, const struct node *old, struct node *in,
				const struct fit *fit, enum fit_form form)
{
	enum normc_elem elem = old->type.elem == NORMC_F64 ? NORMC_F64 : NORMC_F32;
	int32_t axis = substitute_axis(old), rank = old->type.rank;
	struct affine_pair p = parameters(g, old, fit);
	if (!p.scale)
		return NULL;
	struct node *x = element_function(g, build_cast(g, in, elem), form, fit->s);
	x = build_binary(g, OP_mul, x, numbers_along(g, p.scale, elem, rank, axis));
	x = build_binary(g, OP_add, x, numbers_along(g, p.shift, elem, rank, axis));
	return build_cast(g, x, old->type.elem);
}

static struct node *replacement(struct substitution *s, struct graph *g, const struct node *old,
				struct node *const *in)
{
	const char *why;
	struct fit fit = fit_norm(g->context->arena, old->attr.norm, s->sample[old->id], s->form);
	struct node *n = NULL;
	if (!fit.why && s->form == FIT_ROW)
		n = without_centre(g, old, in);
	else if (!fit.why)
		n = elementwise(g, old, in[0], &fit, s->form);
	why = fit.why ? fit.why : "its gamma and beta are not constants of the type's range";
	if (n)
		pass_remark_note(g, s->pass, old->loc,
				 describe(g, &fit, s->form, s->sample[old->id]->width));
	else
		pass_remark(g, s->pass, s->pass->name, old->loc, why);
	return n;
}

static struct node *substitution_rule(struct graph *to, const struct node *old,
				      struct node *const *in, void *user)
{
	struct substitution *s = user;
	if (op_info[old->op].kind == KIND_region) /* what is in it is not measured */
		return graph_clone(to, old, in);
	if (!s->sample[old->id])
		return NULL;
	to->at.via = s->pass->name;
	struct node *n = replacement(s, to, old, in);
	to->at = old->loc;
	return n;
}

static struct graph *substitute(struct graph *g, struct pass *pass, enum fit_form form)
{
	struct arena *arena = g->context->arena;
	struct substitution s = {.pass = pass, .form = form};
	struct node **norm = arena_new(arena, struct node *, g->n_nodes + 1);
	uint32_t n = substitute_norms(g, pass->name, norm);
	if (pass->strict || !n)
		return g;
	if (!pass->samples) {
		diag_error(g->context->diag, (struct loc){0}, NORMC_USAGE,
			   "%s changes what the model computes and needs data to measure: use the "
			   "command line with --calibrate FILE.npz",
			   pass->name);
		return NULL;
	}
	s.sample = arena_new(arena, const struct norm_sample *, g->n_nodes + 1);
	for (uint32_t i = 0; i < n; i++) {
		int64_t width = norm[i]->type.dim[substitute_axis(norm[i])]->value;
		if (n != pass->n_samples || pass->samples[i].width != width) {
			bug(g->context->diag, norm[i]->loc, "the samples are of another graph");
			return NULL;
		}
		s.sample[norm[i]->id] = &pass->samples[i];
	}
	return graph_rewrite(g, substitution_rule, &s);
}

struct graph *pass_layernorm_to_un(struct graph *g, struct pass *pass)
{
	return substitute(g, pass, FIT_LINEAR);
}

struct graph *pass_layernorm_to_dyt(struct graph *g, struct pass *pass)
{
	return substitute(g, pass, FIT_TANH);
}

struct graph *pass_layernorm_to_eln(struct graph *g, struct pass *pass)
{
	return substitute(g, pass, FIT_ROOT);
}

struct graph *pass_layernorm_to_rms(struct graph *g, struct pass *pass)
{
	return substitute(g, pass, FIT_ROW);
}
