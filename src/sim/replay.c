/* What became of each request is counted where it ended; hours and intervals end one after the
 * other, so one histogram per tenant serves all hours. */
#include "sim/replay.h"

#include "sim/replay_internal.h"

#include <stdlib.h>

struct replay {
	const struct ps_sim_replay_machine *machine;
	const struct ps_sim_replay_options *options;
	struct ps_sim_replay_result *results;
	struct ps_hist *hours; /* of the present hour, by tenant */
	int64_t now_ns, hour_ends_ns, interval_ends_ns;
	int interval, intervals;
	double hour_busy_ns, hour_most; /* lane time; busy lanes in the busiest hour */
	int64_t hour_most_from_ns;
};

bool ps_sim_replay_kept(const struct ps_sla *sla, int64_t ended, int64_t served, int64_t in_time)
{
	if (ended == 0 || !ps_sla_is_set(sla))
		return true;
	return (double)in_time >= sla->percentile * (double)ended &&
	       (double)served >= sla->min_success * (double)ended;
}

int ps_sim_replay_intervals(const struct ps_sim_replay_options *o)
{
	if (o->length_ns < 1 || o->interval_ns < 1)
		return 0;
	int64_t n = (o->length_ns - 1) / o->interval_ns + 1;
	return n <= PS_SIM_REPLAY_MAX_INTERVALS ? (int)n : 0;
}

void ps_sim_replay_result_fini(struct ps_sim_replay_result *r)
{
	ps_hist_fini(&r->latencies);
	free(r->intervals);
	*r = (struct ps_sim_replay_result){0};
}

/* ---- hours and intervals ------------------------------------------------------------------ */

static void end_hour_of(struct replay *r, int tenant, int64_t from_ns)
{
	struct ps_hist *h = &r->hours[tenant];
	struct ps_sim_replay_hour *worst = &r->results[tenant].worst;
	const struct ps_sla *sla = &r->machine->tenants[tenant].sla;
	uint64_t requests = ps_hist_total(h);
	if (requests == 0)
		return;
	int64_t at = ps_hist_quantile_ns(h, ps_sla_is_set(sla) ? sla->percentile : 0.99);
	if (worst->requests == 0 || at > worst->at_sla_ns)
		*worst = (struct ps_sim_replay_hour){from_ns,
						     (int64_t)requests,
						     ps_hist_quantile_ns(h, 0.5),
						     ps_hist_quantile_ns(h, 0.95),
						     ps_hist_quantile_ns(h, 0.99),
						     at};
	ps_hist_merge(&r->results[tenant].latencies, h);
	ps_hist_reset(h);
}

/* The last one may be cut short. */
static void end_hour(struct replay *r)
{
	int64_t from_ns = r->hour_ends_ns - PS_SIM_REPLAY_HOUR_NS, to_ns = r->hour_ends_ns;
	if (to_ns > r->options->length_ns)
		to_ns = r->options->length_ns;
	double busy = r->hour_busy_ns / (double)(to_ns - from_ns);
	for (int i = 0; i < r->machine->n_tenants; i++)
		end_hour_of(r, i, from_ns);
	if (busy > r->hour_most) {
		r->hour_most = busy;
		r->hour_most_from_ns = from_ns;
	}
	r->hour_busy_ns = 0;
	r->hour_ends_ns += PS_SIM_REPLAY_HOUR_NS;
}

/* What is left when arrivals have ended belongs to the last hour and interval. */
static void pass_to(struct replay *r, int64_t now_ns)
{
	if (now_ns >= r->options->length_ns)
		now_ns = r->options->length_ns - 1;
	if (now_ns <= r->now_ns)
		return;
	r->now_ns = now_ns;
	while (now_ns >= r->hour_ends_ns)
		end_hour(r);
	while (now_ns >= r->interval_ends_ns) {
		r->interval_ends_ns += r->options->interval_ns;
		r->interval++;
	}
}

/* ---- events ------------------------------------------------------------------------------- */

static int64_t ended_ns(const struct ps_dispatch_account *a)
{
	return a->finished_ns > a->received_ns ? a->finished_ns : a->received_ns;
}

static void note_done(void *ctx, const struct ps_sim_done *done)
{
	struct replay *r = ctx;
	const struct ps_dispatch_account *a = done->account;
	pass_to(r, ended_ns(a));
	struct ps_sim_replay_interval *in = &r->results[done->tenant].intervals[r->interval];
	in->ended++;
	if (a->status != PS_OK) {
		ps_hist_record_lost(&r->hours[done->tenant], 1);
		return;
	}
	in->served++;
	in->in_time += a->deadline_ns == 0 || a->finished_ns <= a->deadline_ns;
	ps_hist_record(&r->hours[done->tenant], a->finished_ns - a->received_ns);
}

static void note_ran(void *ctx, const struct ps_dispatch_batch *b, int64_t started_ns,
		     int64_t finished_ns)
{
	struct replay *r = ctx;
	(void)b;
	pass_to(r, finished_ns);
	r->hour_busy_ns += (double)(finished_ns - started_ns);
}

/* ---- a run -------------------------------------------------------------------------------- */

static enum ps_status check(const struct ps_sim_replay_machine *m,
			    const struct ps_sim_replay_options *o, struct ps_error *err)
{
	if (m->n_lanes > PS_DISPATCH_MAX_LANES || m->n_tenants > PS_SIM_MAX_TENANTS ||
	    m->n_models > PS_SIM_MAX_MODELS)
		return ps_error_set(err, PS_ETOOBIG,
				    "a machine of %d lanes, %d tenants and %d models: the limits "
				    "are %d, %d and %d",
				    m->n_lanes, m->n_tenants, m->n_models, PS_DISPATCH_MAX_LANES,
				    PS_SIM_MAX_TENANTS, PS_SIM_MAX_MODELS);
	if (ps_sim_replay_intervals(o) == 0)
		return ps_error_set(err, PS_EINVAL, "there are no intervals, or over %d",
				    PS_SIM_REPLAY_MAX_INTERVALS);
	return PS_OK;
}

static enum ps_status make_results(struct replay *r)
{
	int n = r->machine->n_tenants;
	r->hours = calloc((size_t)n, sizeof *r->hours);
	if (!r->hours)
		return PS_ENOMEM;
	for (int i = 0; i < n; i++) {
		struct ps_sim_replay_result *x = &r->results[i];
		x->intervals = calloc((size_t)r->intervals, sizeof *x->intervals);
		if (!x->intervals || ps_hist_init(&x->latencies) != PS_OK ||
		    ps_hist_init(&r->hours[i]) != PS_OK)
			return PS_ENOMEM;
	}
	return PS_OK;
}

static enum ps_status simulate(struct replay *r, struct ps_sim_summary *ret_summary,
			       struct ps_error *err)
{
	struct replay_plan p;
	struct ps_sim_result *counts = calloc((size_t)r->machine->n_tenants, sizeof *counts);
	enum ps_status status = replay_plan_init(&p, r->machine, r->options);
	if (status == PS_OK && !counts)
		status = PS_ENOMEM;
	if (status != PS_OK)
		ps_error_set(err, status, "no memory for a replay");
	p.sim.done = note_done;
	p.sim.ran = note_ran;
	p.sim.ctx = r;
	if (status == PS_OK)
		status = ps_sim_run(&p.sim, counts, ret_summary, err);
	for (int i = 0; status == PS_OK && i < r->machine->n_tenants; i++)
		r->results[i].counts = counts[i];
	replay_plan_fini(&p);
	free(counts);
	return status;
}

static void summarise(struct replay *r, struct ps_sim_replay_summary *s)
{
	double length = (double)r->options->length_ns, lanes = r->machine->n_lanes;
	end_hour(r);
	s->busy = s->sim.busy_ns / (length * lanes);
	s->busy_most = r->hour_most / lanes;
	s->busy_most_from_ns = r->hour_most_from_ns;
}

enum ps_status ps_sim_replay(const struct ps_sim_replay_machine *m,
			     const struct ps_sim_replay_options *o,
			     struct ps_sim_replay_result *ret_results,
			     struct ps_sim_replay_summary *ret_summary, struct ps_error *err)
{
	struct replay r = {.machine = m,
			   .options = o,
			   .results = ret_results,
			   .hour_ends_ns = PS_SIM_REPLAY_HOUR_NS,
			   .interval_ends_ns = o->interval_ns,
			   .intervals = ps_sim_replay_intervals(o)};
	for (int i = 0; i < m->n_tenants; i++)
		ret_results[i] = (struct ps_sim_replay_result){0};
	*ret_summary = (struct ps_sim_replay_summary){0};
	enum ps_status status = check(m, o, err);
	if (status != PS_OK)
		return status;
	status = make_results(&r);
	if (status == PS_OK)
		status = simulate(&r, &ret_summary->sim, err);
	else
		ps_error_set(err, status, "no memory for a replay");
	if (status == PS_OK)
		summarise(&r, ret_summary);
	for (int i = 0; r.hours && i < m->n_tenants; i++)
		ps_hist_fini(&r.hours[i]);
	free(r.hours);
	return status;
}
