/* curve.c - two stairs, and where they cross. */
#include "cost/curve.h"
#include "cost_internal.h"

#include <math.h>

enum ps_status ps_cost_type_check(const struct ps_cost_type *t, struct ps_error *err)
{
	const struct ps_stats_interval *c = &t->capacity_rps;
	if (!(t->usd_per_hour > 0 && isfinite(t->usd_per_hour)))
		return ps_error_set(err, PS_EINVAL,
				    "the price of %.100s is %g $/h: a price is "
				    "over 0",
				    t->name, t->usd_per_hour);
	if (!(c->value > 0 && isfinite(c->value)))
		return ps_error_set(err, PS_EINVAL,
				    "the capacity of %.100s is %g requests/s: a break-even needs "
				    "one over 0",
				    t->name, c->value);
	if (c->has_interval && !(c->lo >= 0 && c->lo <= c->value && c->hi >= c->value))
		return ps_error_set(err, PS_EINVAL,
				    "the interval of the capacity of %.100s, %g to %g, does not "
				    "hold %g",
				    t->name, c->lo, c->hi, c->value);
	return PS_OK;
}

/* No rate needs no machine, even of those that can do nothing. */
static double machines(double rate, double capacity)
{
	return rate > 0 ? ps_cost_whole(rate / capacity) : 0;
}

static struct ps_stats_interval whole_cost(const struct ps_cost_type *t, double rate)
{
	struct ps_stats_interval c = t->capacity_rps;
	double least = rate > 0 ? 1 : 0; /* however much one may carry */
	return (struct ps_stats_interval){
		.value = t->usd_per_hour * machines(rate, c.value),
		.lo = t->usd_per_hour * fmax(least, machines(rate, c.hi)),
		.hi = t->usd_per_hour * machines(rate, c.lo),
		.confidence = c.confidence,
		.has_interval = c.has_interval,
	};
}

static struct ps_stats_interval fluid_cost(const struct ps_cost_type *t, double rate)
{
	struct ps_stats_interval s = ps_cost_share_apart(&rate, &t->capacity_rps, 1);
	s.value *= t->usd_per_hour;
	s.lo *= t->usd_per_hour;
	s.hi *= t->usd_per_hour;
	return s;
}

struct ps_cost_point ps_cost_point_at(const struct ps_cost_type types[2], double rate_rps)
{
	struct ps_cost_point p = {.rate_rps = rate_rps};
	for (int i = 0; i < 2; i++) {
		p.whole[i] = whole_cost(&types[i], rate_rps);
		p.fluid[i] = fluid_cost(&types[i], rate_rps);
	}
	return p;
}

struct ps_stats_interval ps_cost_fluid_ratio(const struct ps_cost_type types[2])
{
	/* (p_a / C_a) / (p_b / C_b) = (C_b / C_a) * (p_a / p_b) */
	struct ps_stats_interval r = ps_cost_ratio(types[1].capacity_rps, types[0].capacity_rps);
	double prices = types[0].usd_per_hour / types[1].usd_per_hour;
	r.value *= prices;
	r.lo *= prices;
	r.hi *= prices;
	return r;
}

/* ---- crossings ---- */

/* The machines that both stairs need just above the last step that was passed. */
struct walk {
	const struct ps_cost_type *types;
	double n[2];
};

static bool same(double a, double b)
{
	return fabs(a - b) <= 1e-9 * fmax(fabs(a), fabs(b));
}

static int cheaper(const struct walk *w)
{
	double a = w->n[0] * w->types[0].usd_per_hour, b = w->n[1] * w->types[1].usd_per_hour;
	return same(a, b) ? 0 : a < b ? -1 : 1;
}

static double next_step(const struct walk *w, int i)
{
	return w->n[i] * w->types[i].capacity_rps.value;
}

/* Takes the next step of one stair, or of both where they fall together; a bit for each. */
static int step(struct walk *w, double *ret_rate)
{
	double a = next_step(w, 0), b = next_step(w, 1);
	int took = same(a, b) ? 3 : a < b ? 1 : 2;
	*ret_rate = fmin(a, b);
	w->n[0] += took & 1;
	w->n[1] += took >> 1;
	return took;
}

/* At the k-th step of stair `i` the other one needs n machines. Whether it does so wherever in
 * their (widened) intervals the two capacities lie. */
static bool is_sure(const struct ps_cost_type *types, int i, double k, double n)
{
	struct ps_stats_interval c = ps_cost_widen(types[i].capacity_rps, 2),
				 other = ps_cost_widen(types[1 - i].capacity_rps, 2);
	if (!c.has_interval || !other.has_interval)
		return false;
	/* just above the step: one that falls exactly on a step of the other has passed it */
	return floor(k * c.lo / other.hi + 1e-9) + 1 == n &&
	       floor(k * c.hi / other.lo + 1e-9) + 1 == n;
}

static bool is_exact(const struct ps_stats_interval *c)
{
	return c->has_interval && c->lo == c->hi;
}

static struct ps_cost_crossing crossing_at(const struct walk *w, int took, int before)
{
	int i = took == 2;
	bool exact = is_exact(&w->types[0].capacity_rps) && is_exact(&w->types[1].capacity_rps);
	double k = w->n[i] - 1; /* the step that was just taken */
	struct ps_stats_interval c = ps_cost_widen(w->types[i].capacity_rps, 2);
	return (struct ps_cost_crossing){
		.rate_rps = {k * c.value, k * c.lo, k * c.hi, c.confidence, c.has_interval},
		.before = before,
		.then = cheaper(w),
		/* steps of both at one rate are one event only when that is exact */
		.sure = took == 3 ? exact : is_sure(w->types, i, k, w->n[1 - i]),
	};
}

enum ps_status ps_cost_break_even(const struct ps_cost_type types[2], double up_to_rps,
				  struct ps_cost_crossing *ret_crossings, size_t max,
				  size_t *ret_len, struct ps_error *err)
{
	struct walk w = {types, {1, 1}};
	size_t len = 0;
	double rate = 0;
	enum ps_status st = ps_cost_type_check(&types[0], err);
	if (st == PS_OK)
		st = ps_cost_type_check(&types[1], err);
	if (st != PS_OK)
		return st;
	if (!(up_to_rps > 0 && isfinite(up_to_rps)))
		return ps_error_set(err, PS_EINVAL, "the highest rate is %g: it is over 0",
				    up_to_rps);
	if (up_to_rps / types[0].capacity_rps.value + up_to_rps / types[1].capacity_rps.value >
	    PS_COST_MAX_STEPS)
		return ps_error_set(err, PS_ETOOBIG,
				    "up to %g requests/s there are over %d machines: ask for a "
				    "lower rate",
				    up_to_rps, PS_COST_MAX_STEPS);
	for (;;) {
		int before = cheaper(&w), took = step(&w, &rate);
		if (rate > up_to_rps)
			break;
		if (cheaper(&w) == before)
			continue;
		if (len < max)
			ret_crossings[len] = crossing_at(&w, took, before);
		len++;
	}
	*ret_len = len;
	return PS_OK;
}
