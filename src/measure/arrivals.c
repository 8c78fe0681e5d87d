/* arrivals.c - when the requests of tenants are due: from their options, brought to a trial's rate.
 */
#include "measure/measure_internal.h"

#include <string.h>

static int64_t longer(int64_t x, int64_t y)
{
	return x > y ? x : y;
}

/* The longest trial at open-loop rates. */
static int64_t longest_trial(const struct ps_measure_campaign *c)
{
	const struct ps_measure_grid *g = c->grids.items;
	int64_t ns = c->confirm.warmup_ns + c->confirm.duration_ns;
	if (c->search.sets != PS_MEASURE_SEARCH_NONE || c->packings.len > 0) {
		ns = longer(ns, c->search.warmup_ns + c->search.step_ns);
	}
	for (size_t i = 0; i < c->grids.len; i++) {
		ns = longer(ns, g[i].warmup_ns + longer(g[i].duration_ns, g[i].until_decided_ns));
	}
	return ns;
}

/* What can be seen before the first cell, at the demand rate: bursts that cannot be, a trace that
 * is too short. */
static enum ps_status check(const struct ps_measure_context *m, int i, struct ps_error *err)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)m->c->tenants.items)[i];
	struct ps_load_arrival_spec spec;
	int64_t ns = longest_trial(m->c);
	if (ps_load_arrival_is_closed(&m->arrivals[i])) {
		return ps_error_set(err, PS_EINVAL, "a tenant of a campaign has a rate: not %s",
				    ps_load_arrival_choice(&t->arrival));
	}
	enum ps_status st = ps_measure_arrival(m, i, t->demand_rps, ns, &spec, err);
	return st == PS_OK ? ps_load_arrival_check(&spec, ns, err) : st;
}

static enum ps_status make(struct ps_measure_context *m, int i, struct ps_error *err)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)m->c->tenants.items)[i];
	struct ps_load_arrival_options o = t->arrival;
	/* what has rates of its own is only brought to another one by its scale */
	bool own_rates = o.steps.len > 0 || o.trace;
	o.rate = own_rates ? 0 : t->demand_rps;
	enum ps_status st = ps_load_arrival_from_options(&o, m->c->folder, (uint64_t)m->c->seed,
							 &m->traces, &m->arrivals[i], err);
	st = st == PS_OK ? check(m, i, err) : st;
	if (st != PS_OK && err && !err->where[0]) {
		ps_error_where(err, "%.100s:%d:tenants.arrival", m->c->path, t->where.line);
	}
	return st;
}

enum ps_status ps_measure_make_arrivals(struct ps_measure_context *m, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (int i = 0; i < (int)m->c->tenants.len && st == PS_OK; i++) {
		st = make(m, i, err);
	}
	return st;
}

void ps_measure_free_arrivals(struct ps_measure_context *m)
{
	for (size_t i = 0; i < m->c->tenants.len; i++) {
		ps_load_arrival_release(&m->arrivals[i]);
	}
	ps_load_traces_fini(&m->traces);
}

enum ps_status ps_measure_arrival(const struct ps_measure_context *m, int tenant, double rate_rps,
				  int64_t total_ns, struct ps_load_arrival_spec *ret_spec,
				  struct ps_error *err)
{
	*ret_spec = m->arrivals[tenant];
	return ps_load_arrival_rescale(ret_spec, rate_rps, total_ns, err);
}
