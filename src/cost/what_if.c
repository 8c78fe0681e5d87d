/* what_if.c - other prices and rates for what was measured. */
#include "cost/cost.h"

#include <math.h>

static struct ps_stats_interval unknown(void)
{
	return (struct ps_stats_interval){.value = NAN, .lo = NAN, .hi = NAN};
}

static struct ps_stats_interval times(struct ps_stats_interval x, double factor)
{
	x.value *= factor;
	x.lo *= factor;
	x.hi *= factor;
	return x;
}

/* More requests of anybody never make room: what held at higher rates of all holds here. */
static bool is_held(const struct ps_cost_case *c)
{
	if (!c->held_rps)
		return false;
	for (int i = 0; i < c->n; i++)
		if (!(c->rate_rps[i] <= c->held_rps[i] * (1 + 1e-9)))
			return false;
	return true;
}

static void no_set(const struct ps_cost_case *c, struct ps_cost_outcome *o)
{
	o->share = o->fluid_saving = o->full_load_saving = unknown();
	o->fluid_together_usd_per_hour = unknown();
	o->machines = ps_cost_machine_saving(c->rate_rps, c->alone_rps, c->n, ps_stats_exactly(1),
					     true, c->usd_per_hour);
	if (o->held)
		return;
	o->machines.together = o->machines.saving = unknown();
	o->machines.together_usd_per_month = NAN;
}

void ps_cost_what_if(const struct ps_cost_case *c, struct ps_cost_outcome *ret_outcome)
{
	struct ps_cost_outcome o = {.has_set = c->ray_rps != NULL, .held = is_held(c)};

	o.share_apart = ps_cost_share_apart(c->rate_rps, c->alone_rps, c->n);
	o.fluid_apart_usd_per_hour = times(o.share_apart, c->usd_per_hour);
	if (!o.has_set) {
		no_set(c, &o);
		*ret_outcome = o;
		return;
	}
	o.share = ps_cost_share_on_ray(c->rate_rps, c->ray_rps, c->alone_rps, c->n, c->scale,
				       &o.on_ray);
	o.fluid_saving = ps_cost_fluid_saving(c->rate_rps, c->alone_rps, c->n, o.share);
	o.full_load_saving = ps_cost_full_load_saving(c->ray_rps, c->alone_rps, c->n, c->scale);
	o.fluid_together_usd_per_hour = times(o.share, c->usd_per_hour);
	o.machines = ps_cost_machine_saving(c->rate_rps, c->alone_rps, c->n, o.share, o.held,
					    c->usd_per_hour);
	*ret_outcome = o;
}
