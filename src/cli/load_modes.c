/* load_modes.c - see load_modes_internal.h. */
#include "cli/load_modes_internal.h"

#include <stdlib.h>
#include <string.h>

#define OFFLINE_DEFAULT	   16 /* under way */
#define HALF_WIDTH_DEFAULT 0.1
#define STEPS_DEFAULT	   16

bool ps_cli_load_modes_any(const struct ps_cli_load_modes *m)
{
	return m->find_capacity || m->sweep_rate || m->sweep_concurrency;
}

static const char *mode_name(const struct ps_cli_load_modes *m)
{
	return m->find_capacity ? "--find-capacity"
	       : m->sweep_rate	? "--sweep-rate"
				: "--sweep-concurrency";
}

/* An arrival whose rates no mode can choose; NULL: it can. */
static const char *own_rates(const struct ps_cli_load_options *o)
{
	const char *arrival = ps_load_arrival_choices[o->t.a.arrival];

	return strcmp(arrival, "steps") == 0	 ? "has rates of its own"
	       : strcmp(arrival, "offline") == 0 ? "has no rate"
						 : NULL;
}

static enum ps_status check_options(const struct ps_cli_load_options *o, struct ps_error *err)
{
	const struct ps_cli_load_modes *m = &o->m;
	int modes = m->find_capacity + !!m->sweep_rate + !!m->sweep_concurrency;

	if (modes > 1) {
		return ps_error_set(err, PS_EUSAGE,
				    "--find-capacity, --sweep-rate and --sweep-concurrency are "
				    "modes: give one of them");
	}
	if (m->keep_going && !m->sweep_rate && !m->sweep_concurrency) {
		return ps_error_set(err, PS_EUSAGE, "--keep-going is for sweeps");
	}
	if (!m->find_capacity && (m->steps > 0 || m->half_width > 0)) {
		return ps_error_set(err, PS_EUSAGE, "%s is for --find-capacity",
				    m->steps > 0 ? "--steps" : "--half-width");
	}
	if (modes == 1 && own_rates(o)) {
		return ps_error_set(err, PS_EUSAGE, "%s chooses the %s itself: --arrival %s %s",
				    mode_name(m), m->sweep_concurrency ? "users" : "rates",
				    ps_load_arrival_choices[o->t.a.arrival], own_rates(o));
	}
	if (modes == 1 && (o->t.a.rate > 0 || o->t.a.concurrency > 0)) {
		return ps_error_set(err, PS_EUSAGE, "%s chooses the %s itself: leave out --%s",
				    mode_name(m), m->sweep_concurrency ? "users" : "rates",
				    o->t.a.rate > 0 ? "rate" : "concurrency");
	}
	if (modes == 1 && (o->records || o->log || o->exports.len > 0)) {
		return ps_error_set(err, PS_EUSAGE,
				    "files of requests are of one trial: not of a search or a "
				    "sweep");
	}
	if (modes == 1 && o->until_decided > 0) {
		return ps_error_set(err, PS_EUSAGE,
				    "--until-decided is for a fixed load: a search and a sweep "
				    "choose their trials");
	}
	if (m->offline && (modes == 1 || o->file || o->t.a.rate > 0)) {
		return ps_error_set(err, PS_EUSAGE,
				    "--offline is as fast as it goes: it has no place beside %s",
				    modes == 1 ? mode_name(m)
				    : o->file  ? "--file"
					       : "--rate");
	}
	return PS_OK;
}

static int arrival_choice(const char *name)
{
	int i = 0;

	while (strcmp(ps_load_arrival_choices[i], name) != 0) {
		i++;
	}
	return i;
}

enum ps_status ps_cli_load_modes_prepare(struct ps_cli_load_options *o, struct ps_error *err)
{
	enum ps_status st = check_options(o, err);

	if (st != PS_OK) {
		return st;
	}
	if (o->m.offline) {
		o->t.a.arrival = arrival_choice("offline");
		o->t.a.concurrency = o->t.a.concurrency > 0 ? o->t.a.concurrency : OFFLINE_DEFAULT;
	}
	o->m.steps = o->m.steps > 0 ? o->m.steps : STEPS_DEFAULT;
	o->m.half_width = o->m.half_width > 0 ? o->m.half_width : HALF_WIDTH_DEFAULT;
	/* Any rate: each trial is brought to its own. */
	if (ps_cli_load_modes_any(&o->m) && !o->file) {
		o->t.a.rate = 1;
	}
	return PS_OK;
}

int ps_cli_load_modes_run(const struct ps_cli_load_modes *m, const struct ps_load_plan *plan,
			  bool json)
{
	return m->find_capacity ? ps_cli_load_search(m, plan, json)
				: ps_cli_load_sweep(m, plan, json);
}

/* ---- trials ---- */

enum ps_status ps_cli_load_trials_init(struct ps_cli_load_trials *t,
				       const struct ps_load_plan *base,
				       const struct ps_cli_load_tried *tried, struct ps_error *err)
{
	*t = (struct ps_cli_load_trials){.base = base, .plan = *base, .tried = *tried};
	t->tenants = malloc(base->tenant_len * sizeof(*t->tenants));
	if (!t->tenants) {
		return ps_error_set(err, PS_ENOMEM, "no memory for a copy of the tenants");
	}
	memcpy(t->tenants, base->tenants, base->tenant_len * sizeof(*t->tenants));
	t->plan.tenants = t->tenants;
	ps_cli_stop_on_signals();
	ps_cli_load_live_init(&t->live);
	t->tried.now = t->what;
	t->live.tried = &t->tried;
	return PS_OK;
}

void ps_cli_load_trials_fini(struct ps_cli_load_trials *t)
{
	ps_cli_load_live_done(&t->live);
	free(t->tenants);
	*t = (struct ps_cli_load_trials){0};
}

static bool show_progress(void *ctx, const struct ps_load_progress *p)
{
	struct ps_cli_load_trials *t = ctx;

	ps_cli_load_live_show(&t->live, p);
	return !ps_cli_stopped();
}

void ps_cli_load_trials_some(struct ps_cli_load_trials *t, size_t first, size_t len)
{
	t->plan.tenants = t->tenants + first;
	t->plan.tenant_len = len;
}

enum ps_status ps_cli_load_trials_run(struct ps_cli_load_trials *t, struct ps_load_result *ret,
				      struct ps_error *err)
{
	t->plan.seed = t->base->seed + (uint64_t)t->done++;
	return ps_load_run(&t->plan, show_progress, t, ret, err);
}

enum ps_status ps_cli_load_trials_rate(struct ps_cli_load_trials *t, size_t i, double rate_rps,
				       struct ps_error *err)
{
	const struct ps_load_tenant *base = &t->base->tenants[i];
	struct ps_load_tenant *tenant = &t->tenants[i];

	tenant->concurrency = 0;
	if (ps_load_arrival_is_closed(&base->arrival)) {
		tenant->arrival = (struct ps_load_arrival_spec){.kind = PS_LOAD_POISSON,
								.rate_rps = rate_rps};
		return PS_OK;
	}
	tenant->arrival = base->arrival;
	return ps_load_arrival_rescale(&tenant->arrival, rate_rps,
				       t->plan.warmup_ns + t->plan.duration_ns, err);
}

void ps_cli_load_trials_users(struct ps_cli_load_trials *t, size_t i, int users)
{
	t->tenants[i].arrival = (struct ps_load_arrival_spec){.kind = PS_LOAD_CLOSED};
	t->tenants[i].think = (struct ps_load_think){0};
	t->tenants[i].concurrency = users;
}

double ps_cli_load_trials_base_rate(const struct ps_cli_load_trials *t, size_t i)
{
	return ps_load_arrival_mean_rps(&t->base->tenants[i].arrival,
					t->base->warmup_ns + t->base->duration_ns);
}
