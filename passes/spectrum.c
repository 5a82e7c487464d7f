/* Norms of spectra need no Fourier transform.
 *
 * PCNorm, CCNorm and SCNorm take the amplitude of a normalized feature map, or a mix of amplitudes,
 * and the phase of the feature map itself (Lee, Bae, Kim, Decompose, Adjust, Compose: Effective
 * Normalization by Playing with Frequency for Domain Generalization, CVPR 2023).  An affine map
 * s x + t of a real plane x scales all coefficients of its spectrum by s and adds to the constant
 * one only.  So with amplitudes of v_j = s_j x + t_j and the phase of u = s x + t, s not 0,
 *
 *	y = sum_j w_j sgn(s_j s) (v_j - mean v_j)  +  sgn(mean u) sum_j w_j |mean v_j|
 *
 * where sgn(0) is what the model takes for the phase of 0.  That is the same in real arithmetic if
 * the model says so; where it has NaN there, or clamps amplitudes near 0, the results differ
 * (by up to about the clamped amplitude), and only the second of the two passes does it.
 */
#include <string.h>

#include "pass.h"
#include "plane.h"
#include "spectrum.h"
#include "value.h"

struct rewriting {
	struct pass *pass;
	struct spectra spectra;
	bool near; /* also where it is not the same */
};

static bool has_inverse_dft(const struct graph *g)
{
	for (uint32_t i = 0; i < g->n_nodes; i++) {
		const struct node *n = g->nodes[i];
		if (op_info[n->op].kind == KIND_region ||
		    (n->op == OP_call && !strcmp(n->attr.call->name, "dft") &&
		     n->attr.call->ints[1]))
			return true;
	}
	return false;
}

static bool is_complete(const struct spectrum *f)
{
	return f && f->kind == SPECTRUM_SIGNAL && !f->left && f->pair < 0;
}

/* One sum, no amplitude besides. */
static bool has_amplitude(struct spectrum *f)
{
	if (!f->n_sum && f->magnitude) {
		f->sum[f->n_sum++] = (struct amplitude){f->magnitude, NULL, 1};
		f->magnitude = NULL;
	}
	return f->n_sum && !f->magnitude && !f->divisor;
}

static struct node *scaled(struct graph *g, struct node *n, double factor, struct node *weight)
{
	if (weight)
		n = build_binary(g, OP_mul, n, weight);
	return factor == 1 ? n : build_binary(g, OP_mul, n, build_number(g, n->type.elem, factor));
}

static struct node *plus(struct graph *g, struct node *a, struct node *b)
{
	return a ? build_binary(g, OP_add, a, b) : b;
}

/* 1 and -1 by the sign of the mean; for 0, and near it, as the model has it. */
static struct node *sign_of(struct graph *g, const struct spectrum *f, struct node *mean)
{
	enum normc_elem elem = mean->type.elem;
	double count = 1;
	if (f->at_zero == PHASE_ZERO)
		return build_unary(g, OP_sign, mean);
	for (int32_t i = 0; i < f->shape->rank; i++)
		count *= f->axes >> i & 1 ? (double)fixed_extent(f->shape, i) : 1;
	struct node *least = build_number(g, elem, -f->threshold / count);
	return build_where(g, build_binary(g, OP_lt, mean, least), build_number(g, elem, -1),
			   build_number(g, elem, 1));
}

/* The closed form, of the values' shape. */
static struct node *closed_form(struct graph *g, const struct spectrum *f,
				const struct plane_map *phase, const struct plane_map *map)
{
	struct node *y = NULL, *constant = NULL;
	for (uint32_t i = 0; i < f->n_sum; i++) {
		const struct amplitude *a = &f->sum[i];
		double factor = a->factor * f->factor, zero;
		struct node *v = a->value;
		if (v == f->phase) { /* sgn(s s) = 1, and |mean| with its sign is the mean */
			y = plus(g, y, scaled(g, v, factor, a->weight));
			continue;
		}
		struct node *mean = plane_mean(g, v, map[i].base, f->axes);
		v = build_binary(g, OP_sub, v, mean);
		if (map[i].sign)
			v = build_binary(g, OP_mul, v, map[i].sign);
		if (phase->sign)
			v = build_binary(g, OP_mul, v, phase->sign);
		y = plus(g, y, scaled(g, v, factor, a->weight));
		if (splat_of(mean, &zero) && zero == 0)
			continue;
		constant = plus(g, constant,
				scaled(g, build_unary(g, OP_abs, mean), factor, a->weight));
	}
	if (!constant)
		return y;
	struct node *mean = plane_mean(g, f->phase, phase->base, f->axes);
	return build_binary(g, OP_add, y, build_binary(g, OP_mul, constant, sign_of(g, f, mean)));
}

/* Why not; NULL: nothing speaks against it. */
static const char *check(struct graph *g, bool near, struct spectrum *f, struct plane_map *phase,
			 struct plane_map *map)
{
	if (!has_amplitude(f))
		return "the amplitude is not a sum of amplitudes of feature maps";
	*phase = plane_map_of(g, f->phase, f->axes);
	if (phase->has_zero)
		return "a scale of the value that gives the phase is 0: it has no phase";
	for (uint32_t i = 0; i < f->n_sum; i++) {
		map[i] = plane_map_of(g, f->sum[i].value, f->axes);
		if (map[i].base != phase->base)
			return "amplitude and phase are not of affine maps of one value, with "
			       "scales of known signs";
	}
	if (!near && f->clamped)
		return "amplitudes or parts near 0 are clamped, so the closed form is only near; "
		       "ask for it with --passes +spectrum_clamped";
	if (!near && f->at_zero == PHASE_UNDEFINED)
		return "a coefficient that is 0 has no phase, NaN in the model, and a number in "
		       "the closed form; ask for it with --passes +spectrum_clamped";
	return NULL;
}

static struct node *spectrum_rule(struct graph *to, const struct node *old, struct node *const *in,
				  void *user)
{
	struct rewriting *r = user;
	struct plane_map phase, map[MOST_AMPLITUDES];
	int32_t same[MAX_RANK];
	if (op_info[old->op].kind == KIND_region)
		return pass_regions(to, old, in, r->pass,
				    r->near ? pass_spectrum_clamped : pass_spectrum);
	if (old->op != OP_slice && old->op != OP_call)
		return NULL;
	struct node *n = graph_clone(to, old, in);
	r->spectra.g = to;
	spectra_extend(&r->spectra);
	if (!is_complete(spectrum_fact(&r->spectra, n)))
		return n;
	struct spectrum f = *spectrum_fact(&r->spectra, n);
	if (!same_but_ones(f.shape, &n->type, same))
		return n;
	to->at.via = r->pass->name;
	const char *missed = check(to, r->near, &f, &phase, map);
	if (!missed) {
		to->context->inexact = "roots of squares of Fourier coefficients do not cancel "
				       "as formulas";
		n = closed_form(to, &f, &phase, map);
		n = build_reshape(to, n, old->type.rank, old->type.dim);
	}
	pass_remark(to, r->pass, r->pass->name, old->loc, missed);
	to->at = old->loc;
	return n;
}

struct graph *pass_spectrum(struct graph *g, struct pass *pass)
{
	struct rewriting r = {.pass = pass};
	return pass->strict || !has_inverse_dft(g) ? g : graph_rewrite(g, spectrum_rule, &r);
}

struct graph *pass_spectrum_clamped(struct graph *g, struct pass *pass)
{
	struct rewriting r = {.pass = pass, .near = true};
	return pass->strict || !has_inverse_dft(g) ? g : graph_rewrite(g, spectrum_rule, &r);
}
