/* Arrival processes, and what each request needs. */
#include "sim/sim_internal.h"

#include <math.h>
#include <stdlib.h>

enum { STREAMS = 4 }; /* of randomness per tenant */
static const int64_t default_retry_ns = 1000000;
static const double end_of_time_ns = 9e18; /* of int64_t: 285 years */

static double factor_now(const struct sim_source *o)
{
	double factor = o->tenant->n_phases > 0 ? 0 : 1;
	if (o->phase >= 0)
		factor = o->tenant->phases[o->phase].factor;
	return o->on ? factor : 0;
}

/* When the rate changes next. */
static double change_ns(const struct sim_source *o)
{
	const struct ps_sim_tenant *t = o->tenant;
	double at_ns = o->switch_ns;
	if (o->phase + 1 < t->n_phases && (double)t->phases[o->phase + 1].from_ns < at_ns)
		at_ns = (double)t->phases[o->phase + 1].from_ns;
	return at_ns;
}

static void change(struct sim_source *o, double at_ns)
{
	const struct ps_sim_tenant *t = o->tenant;
	if (at_ns >= o->switch_ns) {
		o->on = !o->on;
		o->switch_ns += ps_rng_exponential(&o->gaps, o->on ? t->on_ns : t->off_ns);
	}
	while (o->phase + 1 < t->n_phases && (double)t->phases[o->phase + 1].from_ns <= at_ns)
		o->phase++;
}

/* Moves o->next_ns on until the rate, integrated from there, has reached one arrival (CONSTANT) or
 * an exponential number of them: exact also where the rate changes in between. */
static void advance(struct sim_source *o)
{
	const struct ps_sim_tenant *t = o->tenant;
	double left = t->arrival == PS_SIM_CONSTANT ? 1 : ps_rng_exponential(&o->gaps, 1);
	while (o->next_ns <= end_of_time_ns) {
		double per_ns = t->rate_rps * 1e-9 * factor_now(o), until_ns = change_ns(o);
		double gap_ns = per_ns > 0 ? left / per_ns : INFINITY;
		if (isinf(until_ns) && isinf(gap_ns)) { /* a silence that stays */
			o->next_ns = INFINITY;
			return;
		}
		if (o->next_ns + gap_ns < until_ns) {
			o->next_ns += gap_ns;
			return;
		}
		left -= (until_ns - o->next_ns) * per_ns;
		o->next_ns = until_ns;
		change(o, until_ns);
	}
}

static void take_next(struct sim_source *o)
{
	double at_ns = o->tenant->next_ns(o->tenant->next_ctx);
	if (at_ns > o->next_ns)
		o->next_ns = at_ns;
}

enum ps_status sim_source_next(struct sim *s, struct sim_source *o)
{
	struct ps_heap_node *n = &o->clients->next;
	if (o->tenant->arrival == PS_SIM_STREAM)
		take_next(o);
	else
		advance(o);
	if (isinf(o->next_ns) ||
	    (o->tenant->until_ns && o->next_ns >= (double)o->tenant->until_ns)) {
		ps_heap_remove(&s->arrivals, n);
		return PS_OK;
	}
	if (o->next_ns > end_of_time_ns)
		return PS_ETOOBIG;
	if (!ps_heap_contains(n))
		return ps_heap_push(&s->arrivals, n, (int64_t)o->next_ns);
	ps_heap_move(&s->arrivals, n, (int64_t)o->next_ns);
	return PS_OK;
}

enum ps_status sim_source_again(struct sim *s, struct sim_client *c, int64_t at_ns)
{
	const struct ps_sim_tenant *t = c->source->tenant;
	if (s->ended || (t->until_ns && at_ns >= t->until_ns))
		return PS_OK;
	return ps_heap_push(&s->arrivals, &c->next, at_ns);
}

static double recorded_factor(struct sim_source *o)
{
	const struct ps_sim_model *m = o->model;
	double ns = (double)m->recorded_ns[ps_rng_below(&o->services, m->n_recorded)];
	return ns / ps_sim_time_ns(m, 1);
}

double sim_source_factor(struct sim_source *o)
{
	const struct ps_sim_model *m = o->model;
	double mean;
	switch (m->service) {
	case PS_SIM_EXPONENTIAL:
		return ps_rng_exponential(&o->services, 1);
	case PS_SIM_GAMMA:
		return ps_rng_gamma(&o->services, 1 / (m->cv * m->cv)) * m->cv * m->cv;
	case PS_SIM_TWO_POINT:
		mean = 1 - m->slow_share + m->slow_share * m->slow_factor;
		return (ps_rng_uniform(&o->services) < m->slow_share ? m->slow_factor : 1) / mean;
	case PS_SIM_RECORDED:
		return recorded_factor(o);
	default:
		return 1;
	}
}

double ps_sim_time_ns(const struct ps_sim_model *m, int64_t rows)
{
	if (m->n_table > 0) {
		int64_t n = (int64_t)m->n_table;
		if (rows <= n)
			return m->table_ns[rows - 1];
		double rise = n > 1 ? m->table_ns[n - 1] - m->table_ns[n - 2] : m->table_ns[0];
		return m->table_ns[n - 1] + (double)(rows - n) * rise;
	}
	double first = m->service_ns > 0 ? m->service_ns : 1e6; /* RECORDED: any unit will do */
	return first + (double)(rows - 1) * (m->row_ns > 0 ? m->row_ns : first);
}

enum ps_status sim_source_init(struct sim *s, int i)
{
	struct sim_source *o = &s->sources[i];
	const struct ps_sim_tenant *t = &s->plan->tenants[i];
	uint64_t stream = STREAMS * (uint64_t)i;
	bool closed = t->arrival == PS_SIM_CLOSED;
	o->tenant = t;
	o->model = &s->plan->models[t->n_mix ? t->mix[0] : t->model];
	ps_rng_init(&o->models, s->plan->seed, ps_rng_stream("sim/models") + (uint64_t)i);
	ps_rng_init(&o->gaps, s->plan->seed, stream);
	ps_rng_init(&o->services, s->plan->seed, stream + 1);
	ps_rng_init(&o->leaves, s->plan->seed, stream + 2);
	o->phase = -1;
	o->on = true;
	o->switch_ns = INFINITY;
	o->next_ns = (double)t->from_ns;
	if (t->arrival == PS_SIM_BURSTS)
		o->switch_ns = o->next_ns + ps_rng_exponential(&o->gaps, t->on_ns);
	change(o, o->next_ns);
	o->n_clients = closed ? t->outstanding : 1;
	o->clients = calloc((size_t)o->n_clients, sizeof *o->clients);
	if (!o->clients || (s->plan->quantiles && ps_hist_init(&o->latencies) != PS_OK))
		return PS_ENOMEM;
	for (int c = 0; c < o->n_clients; c++) {
		o->clients[c].source = o;
		ps_heap_node_init(&o->clients[c].next);
		enum ps_status status = closed ? sim_source_again(s, &o->clients[c], t->from_ns)
					       : sim_source_next(s, o);
		if (status != PS_OK)
			return status;
	}
	return PS_OK;
}

int64_t sim_source_pause_ns(const struct sim_source *o, bool refused)
{
	const struct ps_sim_tenant *t = o->tenant;
	if (!refused)
		return t->think_ns;
	return t->retry_ns ? t->retry_ns : default_retry_ns;
}

int sim_source_model(struct sim *s, struct sim_source *o)
{
	const struct ps_sim_tenant *t = o->tenant;
	int model = t->model;
	double u = t->n_mix ? ps_rng_uniform(&o->models) : 0;
	for (int k = 0; k < t->n_mix; k++) {
		model = t->mix[k];
		u -= t->mix_shares[k];
		if (u < 0)
			break;
	}
	o->model = &s->plan->models[model];
	return model;
}
