/* saving.c - cost at the SLA, and what sharing saves. */
#include "cost_internal.h"

#include <math.h>
#include <stdlib.h>

/* What MOVER needs of a term: besides its value a middle, and the squared distances from there to
 * its ends. The value will not do: a capacity that a fresh trial lowered stands at its lower end,
 * and two lowered ones are too low together, which is no chance that evens out. */
struct term {
	double value, middle, down2, up2;
};

static double square(double x)
{
	return x * x;
}

static bool is_place(double x)
{
	return x > 0 && isfinite(x);
}

/* On the logarithm. An interval that is open has none: there the value stands for it, or the end
 * that is known. */
static double middle_of(double value, double lo, double hi)
{
	double middle = sqrt(lo * hi);
	if (is_place(middle))
		return middle;
	if (is_place(value) || isnan(value))
		return value;
	return is_place(hi) ? hi : lo;
}

static struct term term_of(double value, double lo, double hi)
{
	double middle = middle_of(value, lo, hi);
	return (struct term){value, middle, square(middle - lo), square(hi - middle)};
}

static struct term term_log(struct ps_stats_interval x)
{
	double middle = log(middle_of(x.value, x.lo, x.hi));
	return (struct term){log(x.value), middle, square(middle - log(x.lo)),
			     square(log(x.hi) - middle)};
}

/* Holds the value in any case. */
static struct ps_stats_interval interval(struct term t, double confidence)
{
	return (struct ps_stats_interval){t.value, fmin(t.value, t.middle - sqrt(t.down2)),
					  fmax(t.value, t.middle + sqrt(t.up2)), confidence, true};
}

static double least_confidence(double a, double b)
{
	return fmin(a, b);
}

double ps_cost_usd_per_month(double usd_per_hour)
{
	return usd_per_hour * PS_COST_HOURS_PER_MONTH;
}

static double per_million(double usd_per_hour, double ips)
{
	return ips > 0 ? usd_per_hour / (ips * 3600) * 1e6 : INFINITY;
}

struct ps_stats_interval ps_cost_usd_per_million(double usd_per_hour,
						 struct ps_stats_interval capacity_ips)
{
	struct ps_stats_interval c = capacity_ips;
	return (struct ps_stats_interval){
		.value = per_million(usd_per_hour, c.value),
		.lo = per_million(usd_per_hour, c.hi),
		.hi = per_million(usd_per_hour, c.lo),
		.confidence = c.confidence,
		.has_interval = c.has_interval,
	};
}

/* An interval that is not there counts as its value; the sum then has none either. */
struct ps_stats_interval ps_cost_share_apart(const double *rate_rps,
					     const struct ps_stats_interval *capacity_rps, int n)
{
	struct term sum = {0};
	double confidence = 1;
	bool all = true;
	for (int i = 0; i < n; i++) {
		const struct ps_stats_interval *c = &capacity_rps[i];
		if (rate_rps[i] == 0)
			continue;
		double v = rate_rps[i] / c->value;
		struct term t = term_of(v, c->has_interval ? rate_rps[i] / c->hi : v,
					c->has_interval ? rate_rps[i] / c->lo : v);
		sum.value += t.value;
		sum.middle += t.middle;
		sum.down2 += t.down2;
		sum.up2 += t.up2;
		confidence = least_confidence(confidence, c->confidence);
		all &= c->has_interval;
	}
	struct ps_stats_interval r = interval(sum, confidence);
	r.has_interval = all;
	return r;
}

struct ps_stats_interval ps_cost_ratio(struct ps_stats_interval a, struct ps_stats_interval b)
{
	struct term x = term_log(a), y = term_log(b);
	struct term ratio = {x.value - y.value, x.middle - y.middle, x.down2 + y.up2,
			     x.up2 + y.down2};
	struct ps_stats_interval r = interval(ratio, least_confidence(a.confidence, b.confidence));
	return (struct ps_stats_interval){
		.value = exp(r.value),
		.lo = exp(r.lo),
		.hi = exp(r.hi),
		.confidence = r.confidence,
		.has_interval = a.has_interval && b.has_interval,
	};
}

/* 1 - s/d of independent s and d. */
static struct ps_stats_interval one_less_ratio(struct ps_stats_interval s,
					       struct ps_stats_interval d)
{
	struct ps_stats_interval r = ps_cost_ratio(s, d);
	if (!isfinite(d.value)) /* somebody cannot be served alone at all */
		return (struct ps_stats_interval){NAN, -INFINITY, 1, r.confidence, false};
	return (struct ps_stats_interval){1 - r.value, 1 - r.hi, 1 - r.lo, r.confidence,
					  r.has_interval};
}

struct ps_stats_interval ps_cost_fluid_saving(const double *rate_rps,
					      const struct ps_stats_interval *capacity_rps, int n,
					      struct ps_stats_interval share)
{
	return one_less_ratio(share, ps_cost_share_apart(rate_rps, capacity_rps, n));
}

static struct ps_stats_interval inverse(struct ps_stats_interval x, double factor)
{
	return (struct ps_stats_interval){factor / x.value, factor / x.hi, factor / x.lo,
					  x.confidence, x.has_interval};
}

static bool is_on_ray(const double *rate_rps, const double *ray_rps, int n)
{
	for (int i = 1; i < n; i++) {
		double a = rate_rps[i] * ray_rps[0], b = rate_rps[0] * ray_rps[i];
		if (fabs(a - b) > 1e-6 * fmax(fabs(a), fabs(b)))
			return false;
	}
	return true;
}

struct ps_stats_interval ps_cost_share_on_ray(const double *rate_rps, const double *ray_rps,
					      const struct ps_stats_interval *capacity_rps, int n,
					      struct ps_stats_interval set_scale, bool *ret_on_ray)
{
	bool on_ray = is_on_ray(rate_rps, ray_rps, n);
	if (ret_on_ray)
		*ret_on_ray = on_ray;
	if (on_ray)
		return inverse(set_scale, rate_rps[0] / ray_rps[0]);
	double wanted = ps_cost_share_apart(rate_rps, capacity_rps, n).value;
	double ray = ps_cost_share_apart(ray_rps, capacity_rps, n).value;
	return inverse(set_scale, wanted / ray);
}

struct ps_stats_interval ps_cost_full_load_saving(const double *ray_rps,
						  const struct ps_stats_interval *capacity_rps,
						  int n, struct ps_stats_interval set_scale)
{
	/* 1 - 1/(x sum(R_i/C_i)) = 1 - s/sum(R_i/C_i) with s = 1/x */
	return one_less_ratio(inverse(set_scale, 1), ps_cost_share_apart(ray_rps, capacity_rps, n));
}

struct ps_stats_interval ps_cost_widen(struct ps_stats_interval x, int m)
{
	double a = 1 - x.confidence;
	/* around 0 there is no logarithm */
	if (!x.has_interval || !(a > 0) || m < 2 || !(x.value > 0))
		return x;
	double factor =
		ps_stats_normal_quantile(1 - a / (2 * m)) / ps_stats_normal_quantile(1 - a / 2);
	x.lo = x.lo > 0 ? x.value * pow(x.lo / x.value, factor) : 0;
	x.hi = isfinite(x.hi) ? x.value * pow(x.hi / x.value, factor) : INFINITY;
	return x;
}

double ps_cost_whole(double share)
{
	if (isnan(share))
		return NAN;
	return share > 0 ? fmax(1, ceil(share - 1e-9)) : 0;
}

/* fmax alone would take a machine for what is not known. */
static double one_or_more(double share)
{
	return isnan(share) ? NAN : fmax(1, ps_cost_whole(share));
}

/* However much a machine may carry, a tenant apart has one of its own. */
static struct ps_stats_interval count_apart(const double *rate_rps,
					    const struct ps_stats_interval *capacity_rps, int n)
{
	struct ps_stats_interval r = {.confidence = 1, .has_interval = true};
	for (int i = 0; i < n; i++) {
		struct ps_stats_interval c = ps_cost_widen(capacity_rps[i], n + 1);
		if (rate_rps[i] == 0)
			continue;
		r.value += ps_cost_whole(rate_rps[i] / c.value);
		r.lo += one_or_more(rate_rps[i] / c.hi);
		r.hi += ps_cost_whole(rate_rps[i] / c.lo);
		r.has_interval &= c.has_interval;
		r.confidence = least_confidence(r.confidence, c.confidence);
	}
	return r;
}

static struct ps_stats_interval count_together(struct ps_stats_interval share, int n, bool held)
{
	if (held)
		return ps_stats_exactly(1);
	struct ps_stats_interval s = ps_cost_widen(share, n + 1);
	return (struct ps_stats_interval){one_or_more(s.value), one_or_more(s.lo),
					  one_or_more(s.hi), s.confidence, s.has_interval};
}

/* 1 - a/b where either count may be infinite. */
static double machines_saved(double together, double apart)
{
	if (isinf(together))
		return isinf(apart) ? NAN : -INFINITY;
	return apart > 0 ? 1 - together / apart : NAN;
}

struct ps_cost_machines ps_cost_machine_saving(const double *rate_rps,
					       const struct ps_stats_interval *capacity_rps, int n,
					       struct ps_stats_interval share, bool held,
					       double usd_per_hour)
{
	struct ps_cost_machines m = {
		.apart = count_apart(rate_rps, capacity_rps, n),
		.together = count_together(share, n, held),
	};
	m.saving = (struct ps_stats_interval){
		.value = machines_saved(m.together.value, m.apart.value),
		.lo = machines_saved(m.together.hi, m.apart.lo),
		.hi = machines_saved(m.together.lo, m.apart.hi),
		.confidence = least_confidence(m.apart.confidence, m.together.confidence),
		.has_interval = m.apart.has_interval && m.together.has_interval,
	};
	m.apart_usd_per_month = ps_cost_usd_per_month(m.apart.value * usd_per_hour);
	m.together_usd_per_month = ps_cost_usd_per_month(m.together.value * usd_per_hour);
	return m;
}
