/* single.c - cells of one trial: at the demand rates, at the capacities, at a point of a grid. */
#include "measure/cell_internal.h"
#include "measure/verdict.h"

#include <math.h>

static enum ps_status capacity_rates(const struct ps_measure_cell *c, double *rates,
				     struct ps_measure_load_plan *plan, struct ps_error *err)
{
	const struct ps_store_capacity *cap = &c->m->capacities[c->plan->set];
	if (!(cap->known && cap->factor > 0)) {
		return ps_error_set(err, PS_EUNAVAIL,
				    "the capacity of this set is not known, or 0");
	}
	for (int i = 0; i < c->set->member_len; i++) {
		rates[i] = cap->ray_rps[i] * cap->factor;
	}
	plan->role = PS_STORE_AT_CAPACITY;
	plan->factor = cap->factor;
	return PS_OK;
}

static void demand_rates(const struct ps_measure_cell *c, double *rates)
{
	for (int i = 0; i < c->set->member_len; i++) {
		rates[i] = ps_measure_cell_member(c, i)->demand_rps;
	}
}

static const struct ps_measure_grid *grid_of(const struct ps_measure_cell *c)
{
	return &((const struct ps_measure_grid *)c->m->c->grids.items)[c->plan->part];
}

static void grid_rates(const struct ps_measure_cell *c, double *rates,
		       struct ps_measure_load_plan *plan)
{
	const struct ps_measure_grid *g = grid_of(c);
	(void)ps_measure_grid_rates(c->m->c, g, c->plan->point, c->set, rates);
	plan->role = PS_STORE_AT_RATES;
	plan->warmup_ns = g->warmup_ns;
	plan->duration_ns = g->duration_ns;
}

static enum ps_status one_trial(struct ps_measure_cell *c, struct ps_measure_load_plan *plan,
				struct ps_error *err)
{
	struct ps_load_result r;
	enum ps_status st = ps_measure_cell_trial(c, plan, &r, err);
	if (st == PS_OK) {
		st = ps_measure_answered(&r, err);
		ps_load_result_fini(&r);
	}
	return st;
}

/* Each look is twice as long as the last one; what was INVALID was no look, and spent no error. */
static enum ps_status until_decided(struct ps_measure_cell *c, struct ps_measure_load_plan *plan,
				    int64_t most_ns, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	int64_t used_ns = 0;
	plan->look = 1;
	do {
		st = one_trial(c, plan, err);
		if (st != PS_OK || ps_measure_decided(c->trials, (size_t)c->trial_len)) {
			return st;
		}
		used_ns += plan->warmup_ns + plan->duration_ns;
		if (ps_measure_is_usable(&c->trials[c->trial_len - 1])) {
			plan->duration_ns *= 2;
			plan->look++;
		}
	} while (c->trial_len < PS_MEASURE_MAX_LOOKS &&
		 used_ns + plan->warmup_ns + plan->duration_ns <= most_ns);
	return st;
}

enum ps_status ps_measure_cell_single(struct ps_measure_cell *c, struct ps_error *err)
{
	double rates[PS_MEASURE_MAX_MEMBERS];
	struct ps_measure_load_plan plan = {
		.role = PS_STORE_DEMAND,
		.factor = NAN,
		.rates = rates,
		.warmup_ns = c->m->c->confirm.warmup_ns,
		.duration_ns = c->m->c->confirm.duration_ns,
	};
	enum ps_status st = PS_OK;
	if (c->plan->kind == PS_STORE_CAPACITY) {
		st = capacity_rates(c, rates, &plan, err);
	} else if (c->plan->kind == PS_STORE_RATES) {
		grid_rates(c, rates, &plan);
	} else {
		demand_rates(c, rates);
	}
	if (st != PS_OK) {
		return st;
	}
	ps_measure_rates_text(rates, c->set->member_len, c->m->what, sizeof(c->m->what));
	if (c->plan->kind == PS_STORE_RATES && grid_of(c)->until_decided_ns > 0) {
		return until_decided(c, &plan, grid_of(c)->until_decided_ns, err);
	}
	return one_trial(c, &plan, err);
}
