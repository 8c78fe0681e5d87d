/* plan_replay.c - the machines of a plan, one after the other, under a day's arrivals. */
#include "cli/cli.h"
#include "cli/plan_out_internal.h"
#include "cli/plan_replay_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

const char *const ps_cli_replay_rates[] = {"recorded", "planned", NULL};
const char *const ps_cli_replay_services[] = {"middle", "upper", NULL};

/* What is needed while it runs, besides the result. */
struct running {
	struct ps_cli_replay *r;
	const struct ps_plan_answer *a;
	struct ps_sim_replay_options options;
	int intervals;
	struct ps_sim_replay_interval **sums; /* [tenant]: over its machines */
	struct ps_hist *hists;		      /* [tenant]: likewise, where there are several */
};

/* One machine as the simulator takes it. */
struct machine {
	struct ps_sim_replay_machine sim;
	struct ps_sim_replay_tenant *tenants;
	struct ps_sim_replay_model *models;
	struct ps_sim_phase *phases; /* of the plan's rates, a row per tenant */
};

/* ---- a machine for the simulator ---- */

/* The plan's stretches, day after day. */
static int day_phases(const struct running *x, int tenant, struct ps_sim_phase *ret)
{
	const struct ps_plan_case *c = x->a->c;
	const struct ps_plan_tenant *t = &c->tenants[tenant];
	int n = 0;

	for (int64_t at = 0; at < x->options.length_ns; n++) {
		ret[n] = (struct ps_sim_phase){at, t->rates_rps[n % c->hours] / t->peak_rps};
		at = (int64_t)((n + 1) * (PS_CLI_REPLAY_DAY_NS / c->hours));
	}
	return n;
}

static int most_day_phases(const struct running *x)
{
	double stretch_ns = PS_CLI_REPLAY_DAY_NS / x->a->c->hours;

	return (int)ceil((double)x->options.length_ns / stretch_ns) + 1;
}

/* What is the tenant's of the trace is cut once more, for its machines. */
static struct ps_sim_part part_of(const struct running *x, int tenant, int number)
{
	const struct ps_cli_replay_sources *s = &x->r->sources;
	double parts = x->a->split.parts[tenant], width = s->to[tenant] - s->from[tenant];

	return (struct ps_sim_part){
		.seed = x->r->seed,
		.from = s->from[tenant] + width * number / parts,
		.to = number + 1 < (int)parts ? s->from[tenant] + width * (number + 1) / parts
					      : s->to[tenant],
	};
}

static void fill_tenant(const struct running *x, const struct ps_plan_place *p, int model,
			struct ps_sim_phase *phases, struct ps_sim_replay_tenant *ret)
{
	const struct ps_plan_tenant *t = &x->a->c->tenants[p->tenant];
	int source = x->r->sources.of[p->tenant];

	*ret = (struct ps_sim_replay_tenant){
		.model = model,
		.rate_rps = t->peak_rps * p->traffic,
		.weight = ps_cli_plan_weight(p),
		.sla = t->sla,
	};
	if (source < 0) {
		ret->phases = phases;
		ret->n_phases = day_phases(x, p->tenant, phases);
	} else if (x->r->options.rate == PS_CLI_REPLAY_PLANNED) {
		ret->phases = x->r->sources.items[source].phases;
		ret->n_phases = x->r->sources.items[source].n_phases;
	} else {
		ret->trace = x->r->sources.items[source].trace;
		ret->part = part_of(x, p->tenant, x->r->tenants[p->tenant].n);
	}
}

static int model_at(const struct running *x, const struct ps_plan_rented *m, int place)
{
	return x->a->c->tenants[m->places[place].tenant].model;
}

/* As the planner takes it to be in this set (plan/analytic.h): times the factors of the others.
 * Places are sorted by kind, and kinds by model. */
static struct ps_sim_replay_model model_of(const struct running *x, const struct ps_plan_rented *m,
					   int own)
{
	const struct ps_plan_case *c = x->a->c;
	const struct ps_plan_service *s = &c->services[m->type * c->n_models + own];
	bool upper = x->r->options.service == PS_CLI_REPLAY_UPPER;
	double mean_s = upper ? s->high_s : s->mean_s;

	if (m->n > 1)
		mean_s *= fmax(s->slowdown, 1);
	for (int i = 0; c->beside && i < m->n; i++) {
		int other = model_at(x, m, i);
		const struct ps_plan_beside *b = &c->beside[own * c->n_models + other];
		if (other != own && (i == 0 || model_at(x, m, i - 1) != other))
			mean_s *= upper ? b->high : b->middle;
	}
	return (struct ps_sim_replay_model){mean_s * 1e9, s->cv};
}

static void fill_machine(const struct running *x, const struct ps_plan_rented *m,
			 struct machine *ret)
{
	const struct ps_plan_case *c = x->a->c;
	int models = 0, last = -1, stride = most_day_phases(x);

	for (int i = 0; i < m->n; i++) {
		int model = model_at(x, m, i);
		if (model != last)
			ret->models[models++] = model_of(x, m, model);
		last = model;
		fill_tenant(x, &m->places[i], models - 1, &ret->phases[(size_t)i * (size_t)stride],
			    &ret->tenants[i]);
	}
	ret->sim = (struct ps_sim_replay_machine){
		.tenants = ret->tenants,
		.models = ret->models,
		.n_tenants = m->n,
		.n_models = models,
		.n_lanes = (int)fmin(c->hosts[m->type].lanes, INT32_MAX),
	};
}

static void machine_fini(struct machine *m)
{
	free(m->tenants);
	free(m->models);
	free(m->phases);
}

static bool machine_init(struct machine *m, const struct running *x, int n)
{
	size_t rows = (size_t)n + 1;

	*m = (struct machine){0};
	m->tenants = calloc(rows, sizeof(*m->tenants));
	m->models = calloc(rows, sizeof(*m->models));
	m->phases = calloc(rows * (size_t)most_day_phases(x), sizeof(*m->phases));
	return m->tenants && m->models && m->phases;
}

/* ---- what became of it ---- */

static void add_counts(struct ps_cli_replay_counts *to, const struct ps_sim_result *from)
{
	to->requests += from->arrived;
	to->served += from->served;
	to->in_time += from->in_time;
	to->refused += from->refused;
	to->expired += from->expired;
	for (int i = 0; i < PS_DISPATCH_REASON_COUNT; i++)
		to->reasons[i] += from->reasons[i];
}

static struct ps_cli_replay_latency latency_of(const struct ps_hist *h, const struct ps_sla *sla)
{
	return (struct ps_cli_replay_latency){
		ps_hist_quantile_ns(h, 0.5),
		ps_hist_quantile_ns(h, 0.95),
		ps_hist_quantile_ns(h, 0.99),
		ps_hist_quantile_ns(h, sla->percentile),
	};
}

/* Of its machines, the one with the worst hour. */
static bool is_worse(const struct ps_sim_replay_hour *a, const struct ps_sim_replay_hour *b)
{
	return a->requests > 0 && (b->requests == 0 || a->at_sla_ns > b->at_sla_ns);
}

static enum ps_status add_up(struct running *x, int tenant, const struct ps_sim_replay_result *from,
			     struct ps_error *err)
{
	struct ps_sim_replay_interval **sum = &x->sums[tenant];
	struct ps_hist *h = &x->hists[tenant];

	if (!*sum)
		*sum = calloc((size_t)x->intervals, sizeof(**sum));
	if (!*sum || (!h->counts && x->a->split.parts[tenant] > 1 && ps_hist_init(h) != PS_OK))
		return ps_error_set(err, PS_ENOMEM, "no memory for a replay");
	for (int i = 0; i < x->intervals; i++) {
		(*sum)[i].ended += from->intervals[i].ended;
		(*sum)[i].served += from->intervals[i].served;
		(*sum)[i].in_time += from->intervals[i].in_time;
	}
	if (h->counts)
		ps_hist_merge(h, &from->latencies);
	return PS_OK;
}

static enum ps_status note_place(struct running *x, int machine, const struct ps_plan_place *p,
				 const struct ps_sim_replay_result *from, struct ps_error *err)
{
	struct ps_cli_replay_tenant *t = &x->r->tenants[p->tenant];
	struct ps_cli_replay_place *to = &t->places[t->n++];

	*to = (struct ps_cli_replay_place){
		.machine = machine,
		.day = latency_of(&from->latencies, &x->a->c->tenants[p->tenant].sla),
		.worst = from->worst,
		.foreseen_s = p->forecast.latency_s,
		.high_s = p->forecast.high_s,
	};
	add_counts(&to->counts, &from->counts);
	add_counts(&t->counts, &from->counts);
	t->day = to->day;
	t->foreseen_s = fmax(t->foreseen_s, to->foreseen_s);
	t->high_s = fmax(t->high_s, to->high_s);
	if (is_worse(&to->worst, &t->places[t->worst].worst))
		t->worst = t->n - 1;
	x->r->requests += from->counts.arrived;
	x->r->machines[machine].requests += from->counts.arrived;
	x->r->machines[machine].refused += from->counts.refused + from->counts.expired;
	return add_up(x, p->tenant, from, err);
}

static enum ps_status note_machine(struct running *x, int machine,
				   const struct ps_sim_replay_result *results,
				   const struct ps_sim_replay_summary *s, struct ps_error *err)
{
	const struct ps_plan_rented *m = &x->a->machines[machine];
	struct ps_cli_replay_machine *to = &x->r->machines[machine];
	enum ps_status st = PS_OK;

	to->busy = s->busy;
	to->busy_most = s->busy_most;
	to->busy_most_from_ns = s->busy_most_from_ns;
	for (int i = 0; st == PS_OK && i < m->n; i++)
		st = note_place(x, machine, &m->places[i], &results[i], err);
	return st;
}

static enum ps_status run_machine(struct running *x, int i, struct ps_error *err)
{
	const struct ps_plan_rented *m = &x->a->machines[i];
	struct ps_sim_replay_result *results = calloc((size_t)m->n + 1, sizeof(*results));
	struct ps_sim_replay_summary summary;
	struct machine machine;
	char stream[32];
	enum ps_status st = PS_OK;

	if (!machine_init(&machine, x, m->n) || !results)
		st = ps_error_set(err, PS_ENOMEM, "no memory for a replay");
	snprintf(stream, sizeof(stream), "machine-%d", i);
	x->options.seed = x->r->seed ^ ps_rng_stream(stream);
	if (st == PS_OK) {
		fill_machine(x, m, &machine);
		st = ps_sim_replay(&machine.sim, &x->options, results, &summary, err);
	}
	if (st == PS_OK)
		st = note_machine(x, i, results, &summary, err);
	for (int k = 0; results && k < m->n; k++)
		ps_sim_replay_result_fini(&results[k]);
	free(results);
	machine_fini(&machine);
	return st;
}

/* ---- verdicts ---- */

static double interval_s(const struct running *x, int i)
{
	int64_t from = i * x->options.interval_ns, to = from + x->options.interval_ns;

	return (double)((to < x->options.length_ns ? to : x->options.length_ns) - from) * 1e-9;
}

static void judge(struct running *x, int tenant)
{
	struct ps_cli_replay_tenant *t = &x->r->tenants[tenant];
	const struct ps_sla *sla = &x->a->c->tenants[tenant].sla;
	const struct ps_sim_replay_interval *in = x->sums[tenant];

	for (int i = 0; in && i < x->intervals; i++) {
		t->intervals += in[i].ended > 0;
		t->broken += !ps_sim_replay_kept(sla, in[i].ended, in[i].served, in[i].in_time);
		t->busiest_rps = fmax(t->busiest_rps, in[i].ended / interval_s(x, i));
	}
	if (x->hists[tenant].counts)
		t->day = latency_of(&x->hists[tenant], sla);
	t->kept = ps_sim_replay_kept(sla, t->counts.requests, t->counts.served, t->counts.in_time);
	x->r->broken += !t->kept;
}

/* ---- all ---- */

static int64_t length_of(const struct ps_cli_replay *r)
{
	double longest = 0;

	for (int i = 0; i < r->sources.n; i++)
		longest = fmax(longest, r->sources.items[i].trace->length_ns);
	if (r->options.length_ns > 0)
		return r->options.length_ns;
	return longest > 0 ? (int64_t)ceil(longest) : (int64_t)PS_CLI_REPLAY_DAY_NS;
}

static enum ps_status make_results(struct running *x, struct ps_error *err)
{
	struct ps_cli_replay *r = x->r;
	size_t tenants = (size_t)x->a->c->n_tenants;
	bool fine;

	r->tenants = calloc(tenants, sizeof(*r->tenants));
	r->machines = calloc((size_t)x->a->result.plan.n + 1, sizeof(*r->machines));
	x->sums = calloc(tenants, sizeof(*x->sums));
	x->hists = calloc(tenants, sizeof(*x->hists));
	fine = r->tenants && r->machines && x->sums && x->hists;
	for (size_t i = 0; fine && i < tenants; i++) {
		r->tenants[i].places =
			calloc((size_t)x->a->split.parts[i], sizeof(*r->tenants[i].places));
		fine = r->tenants[i].places;
	}
	return fine ? PS_OK : ps_error_set(err, PS_ENOMEM, "no memory for a replay");
}

static enum ps_status run_all(struct running *x, struct ps_error *err)
{
	int n = x->a->result.plan.n;
	enum ps_status st = make_results(x, err);
	struct ps_cli_progress progress;

	ps_cli_progress_init(&progress, !ps_cli_is_terminal(2));
	for (int i = 0; st == PS_OK && i < n; i++) {
		ps_cli_progress_show(&progress, "replay: machine %d of %d", i + 1, n);
		st = run_machine(x, i, err);
	}
	ps_cli_progress_done(&progress);
	for (int i = 0; st == PS_OK && i < x->a->c->n_tenants; i++)
		judge(x, i);
	return st;
}

static void running_fini(struct running *x)
{
	for (int i = 0; x->sums && x->hists && i < x->a->c->n_tenants; i++) {
		free(x->sums[i]);
		ps_hist_fini(&x->hists[i]);
	}
	free(x->sums);
	free(x->hists);
}

static struct ps_sim_replay_options run_options(const struct ps_cli_replay *r)
{
	return (struct ps_sim_replay_options){r->options.length_ns, r->options.interval_ns,
					      r->seed};
}

enum ps_status ps_cli_replay_open(const struct ps_plan_case *c,
				  const struct ps_cli_replay_options *o, uint64_t seed,
				  struct ps_cli_replay *ret_replay, struct ps_error *err)
{
	struct ps_cli_replay *r = ret_replay;

	*r = (struct ps_cli_replay){
		.asked = o->what.len > 0, .options = *o, .seed = seed, .n_tenants = c->n_tenants};
	if (!r->asked)
		return PS_OK;
	enum ps_status st = ps_cli_replay_sources_open(c, o, seed, &r->sources, err);
	if (st != PS_OK)
		return st;
	r->options.length_ns = length_of(r);
	const struct ps_sim_replay_options run = run_options(r);
	if (ps_sim_replay_intervals(&run) == 0)
		return ps_error_set(err, PS_EUSAGE,
				    "--replay-interval: over %d intervals; take longer ones",
				    PS_SIM_REPLAY_MAX_INTERVALS);
	return PS_OK;
}

enum ps_status ps_cli_plan_replay(const struct ps_plan_answer *a, struct ps_cli_replay *r,
				  struct ps_error *err)
{
	struct running x = {.r = r, .a = a, .options = run_options(r)};

	if (!r->asked)
		return PS_OK;
	r->a = a;
	x.intervals = ps_sim_replay_intervals(&x.options);
	enum ps_status st = run_all(&x, err);
	running_fini(&x);
	return st;
}

void ps_cli_replay_fini(struct ps_cli_replay *r)
{
	ps_cli_replay_sources_fini(&r->sources);
	for (int i = 0; r->tenants && i < r->n_tenants; i++)
		free(r->tenants[i].places);
	free(r->tenants);
	free(r->machines);
	*r = (struct ps_cli_replay){0};
}
