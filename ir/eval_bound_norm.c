/* Bounds of rounding errors of normalization layers.
 *
 * The errors of the elements are taken as independent where they enter a statistic of more than 16
 * of them (eval_bound.c).  What a whole row shares, a shift or a factor, cancels: the centre and
 * the divisor take it away.
 */
#include <math.h>
#include <string.h>

#include "eval_beside.h"

/* What is collected over the elements that share a statistic. */
struct set {
	double sum, squares; /* of x */
	double e1, e2;	     /* of its errors */
	double centre, centre_error;
	double deviation;    /* sum or greatest, by the scale */
	double d1, d2, more; /* of its errors: first order, their squares, second order */
	double greatest;     /* error */
	double divisor, divisor_error;
};

struct norm_bound {
	const struct attr_norm *attr;
	const struct tensor *x;
	struct tensor *out;
	struct norm_given given;
	struct set *sets;
	int64_t stride[MAX_RANK]; /* of sets */
	double terms, unit;
};

struct bounded {
	double x, e;
};

static struct bounded given_at(const struct given *g, const struct walk *w, double standard)
{
	if (!g->t)
		return (struct bounded){standard, 0};
	int64_t at = walk_offset(w, g->stride);
	return (struct bounded){g->t->f[at], g->t->bound[at]};
}

/* Room for one set for each index outside the axes. */
static int64_t sets_new(struct eval *e, struct norm_bound *m)
{
	int64_t count = norm_sets(m->x, m->attr->axes, m->stride);
	m->sets = pool_take(e, (size_t)count, sizeof *m->sets);
	memset(m->sets, 0, (size_t)count * sizeof *m->sets);
	m->terms = count ? (double)m->x->count / (double)count : 0;
	return count;
}

static struct set *set_at(const struct norm_bound *m, const struct walk *w)
{
	return &m->sets[walk_offset(w, m->stride)];
}

static void find_centres(struct norm_bound *m, int64_t n_sets)
{
	struct walk w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w)) {
		struct set *s = set_at(m, &w);
		double x = m->x->f[i], error = m->x->bound[i];
		s->sum += x;
		s->squares += x * x;
		s->e1 += error;
		s->e2 += error * error;
	}
	for (int64_t i = 0; i < n_sets; i++) {
		struct set *s = &m->sets[i];
		double rounding = bound_of_terms(m->terms) * sqrt(s->squares) +
				  bound_of_sum(m->terms) * fabs(s->sum);
		s->centre = s->sum / m->terms;
		s->centre_error = (bound_spread(m->terms, s->e1, s->e2) + m->unit * rounding) /
						  m->terms +
				  m->unit * fabs(s->centre);
	}
}

static struct bounded centre_at(const struct norm_bound *m, const struct walk *w)
{
	const struct set *s = set_at(m, w);
	if (m->attr->centre == NORM_CENTRE_MEAN)
		return (struct bounded){s->centre, s->centre_error};
	return given_at(&m->given.centre, w, 0);
}

/* x - centre */
static struct bounded deviation(const struct norm_bound *m, int64_t i, struct bounded c)
{
	double x = m->x->f[i];
	return (struct bounded){x - c.x, m->x->bound[i] + c.e +
							 (c.x != 0 || c.e != 0 ? m->unit * 2 : 0) *
									 (fabs(x) + fabs(c.x))};
}

static void find_deviations(struct norm_bound *m)
{
	struct walk w = walk_over(m->x);
	for (int64_t i = 0; i < m->x->count; i++, walk_next(&w)) {
		struct set *s = set_at(m, &w);
		struct bounded d = deviation(m, i, centre_at(m, &w));
		double size = fabs(d.x);
		bool squared = m->attr->scale == NORM_SCALE_RMS || m->attr->scale == NORM_SCALE_L2;
		double first = squared ? 2 * size * d.e : d.e;
		s->d1 += first;
		s->d2 += first * first;
		s->more += squared ? d.e * d.e : 0;
		s->greatest = fmax(s->greatest, isnan(d.e) ? INFINITY : d.e);
		if (m->attr->scale == NORM_SCALE_MAX)
			s->deviation = fmax(s->deviation, size);
		else
			s->deviation += squared ? size * size : size;
	}
}

/* The statistic with its error; it is a size, so not below 0. */
static struct bounded statistic(const struct norm_bound *m, const struct set *s)
{
	const struct attr_norm *a = m->attr;
	double divide = 1, error = bound_spread(m->terms, s->d1, s->d2) + s->more;
	if (a->scale == NORM_SCALE_MAX)
		return (struct bounded){s->deviation, s->greatest};
	if (a->scale == NORM_SCALE_RMS || a->scale == NORM_SCALE_L1)
		divide = m->terms - (a->unbiased ? 1 : 0);
	error += m->unit * (bound_of_sum(m->terms) + 8) * s->deviation;
	return (struct bounded){s->deviation / divide, error / divide};
}

/* The divisor for a statistic; `least`: below which the statistic cannot be. */
static struct bounded divisor(const struct norm_bound *m, struct bounded v, double least)
{
	const struct attr_norm *a = m->attr;
	double error = v.e + 2 * m->unit * (fabs(v.x) + fabs(a->epsilon));
	double at = norm_divisor(a, v.x);
	double high = norm_divisor(a, v.x + error) - at;
	double low = at - norm_divisor(a, fmax(v.x - error, least));
	if (isnan(high) || isnan(low))
		return (struct bounded){at, INFINITY};
	return (struct bounded){at, fmax(high, low) + 4 * m->unit * at};
}

static void find_divisors(struct norm_bound *m, int64_t n_sets)
{
	for (int64_t i = 0; i < n_sets; i++) {
		struct bounded d = divisor(m, statistic(m, &m->sets[i]), 0);
		m->sets[i].divisor = d.x;
		m->sets[i].divisor_error = d.e;
	}
}

static struct bounded divisor_at(const struct norm_bound *m, const struct walk *w)
{
	const struct set *s = set_at(m, w);
	switch (m->attr->scale) {
	case NORM_SCALE_NONE:
		return (struct bounded){1, 0};
	case NORM_SCALE_GIVEN:
		return divisor(m, given_at(&m->given.scale, w, 1), -INFINITY);
	default:
		return (struct bounded){s->divisor, s->divisor_error};
	}
}

/* Of (x - c) / s * gamma + beta. */
static double element_bound(const struct norm_bound *m, int64_t i, const struct walk *w)
{
	struct bounded c = centre_at(m, w), d = deviation(m, i, c), s = divisor_at(m, w);
	struct bounded gamma = given_at(&m->given.gamma, w, 1),
		       beta = given_at(&m->given.beta, w, 0);
	double size = fabs(s.x);
	if (!(s.e < size))
		return INFINITY;
	double ratio = fabs(d.x) / size, error = (d.e + ratio * s.e) / (size - s.e);
	double before = (fabs(m->x->f[i]) + fabs(c.x)) / size;
	double rounding = 4 * (ratio + before) * fabs(gamma.x) + 2 * fabs(beta.x);
	return error * (fabs(gamma.x) + gamma.e) + ratio * gamma.e + beta.e + m->unit * rounding;
}

BOUND(norm)
{
	struct norm_bound m = {.attr = n->attr.norm,
			       .x = in[0],
			       .out = out,
			       .given = norm_given(n->attr.norm, in),
			       .unit = bound_unit(out->elem)};
	int64_t n_sets = sets_new(e, &m);
	if (m.attr->centre == NORM_CENTRE_MEAN)
		find_centres(&m, n_sets);
	if (m.attr->scale != NORM_SCALE_NONE && m.attr->scale != NORM_SCALE_GIVEN) {
		find_deviations(&m);
		find_divisors(&m, n_sets);
	}
	struct walk w = walk_over(m.x);
	for (int64_t i = 0; i < out->count; i++, walk_next(&w))
		out->bound[i] = bound_settle(out, i, element_bound(&m, i, &w));
	pool_give(e, m.sets);
	return true;
}
