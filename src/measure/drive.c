#include "measure/measure_internal.h"

#include "base/clock.h"

#include <stdlib.h>
#include <string.h>

#define SAMPLES_PER_TRIAL 32

struct watch {
	struct ps_measure_context *m;
	struct ps_measure_live *live;
	struct ps_error death; /* set when the server ended */
};

/* Called by the load generator between events. */
static bool on_load(void *ctx, const struct ps_load_progress *p)
{
	struct watch *w = ctx;
	(void)p;
	if (ps_host_check(w->live->process, &w->death) != PS_OK) {
		return false;
	}
	return ps_measure_say(w->m, NULL);
}

static void fill_tenants(const struct ps_measure_context *m, const struct ps_store_set *set,
			 const struct ps_measure_live *live,
			 const struct ps_measure_load_plan *plan, struct ps_load_tenant *out)
{
	const struct ps_measure_tenant *tenants = m->c->tenants.items;
	for (int i = 0; i < set->member_len; i++) {
		const struct ps_measure_tenant *t = &tenants[set->members[i]];
		out[i] = (struct ps_load_tenant){
			.name = t->name,
			.url = live->url,
			.model = t->model,
			.api_key = live->keys[i],
			.arrival = {.kind = plan->rates ? PS_LOAD_POISSON : PS_LOAD_CLOSED,
				    .rate_rps = plan->rates ? plan->rates[i] : 0},
			.concurrency = plan->rates ? 0 : plan->users,
			.sla = t->sla,
			.batch = (int)t->batch,
		};
	}
}

static int64_t sample_period(const struct ps_measure_load_plan *plan)
{
	int64_t ns = (plan->duration_ns + plan->warmup_ns) / SAMPLES_PER_TRIAL;
	ns = ns < 50 * PS_NS_PER_MS ? 50 * PS_NS_PER_MS : ns;
	return ns > PS_NS_PER_SEC ? PS_NS_PER_SEC : ns;
}

static enum ps_status load(struct ps_measure_context *m, struct watch *w,
			   const struct ps_load_plan *plan, struct ps_load_result *ret_result,
			   struct ps_error *err)
{
	struct ps_host_priority before;
	/* The generator shares its CPUs with the server; it must not wait for them. */
	ps_host_priority_raise(&before);
	memcpy(m->priority, before.how, sizeof(m->priority));
	enum ps_status st = ps_load_run(plan, on_load, w, ret_result, err);
	ps_host_priority_restore(&before);
	return st;
}

/* What a finished or broken load means for the trial. */
static enum ps_status judge(struct ps_measure_context *m, struct watch *w, enum ps_status st,
			    struct ps_load_result *r, struct ps_error *err)
{
	bool died = w->death.status != PS_OK || ps_host_check(w->live->process, &w->death) != PS_OK;
	bool cancelled = st == PS_OK && r->cancelled;
	if (st == PS_OK && (died || m->stopped || cancelled)) {
		ps_load_result_fini(r);
	}
	if (died) {
		return ps_error_set(err, PS_EUNAVAIL, "the server died: %s", w->death.what);
	}
	if (m->stopped || cancelled) {
		return ps_error_set(err, PS_ECANCELLED, "stopped");
	}
	return st;
}

/* Every request of a trial is judged one by one: room for half as many more as are due. */
static size_t records_needed(const struct ps_store_set *set,
			     const struct ps_measure_load_plan *plan)
{
	double most = 0;
	for (int i = 0; i < set->member_len && plan->rates; i++) {
		most = plan->rates[i] > most ? plan->rates[i] : most;
	}
	double n = 1.5 * most * (double)(plan->warmup_ns + plan->duration_ns) / 1e9;
	return n > PS_LOAD_DEFAULT_RECORDS ? (size_t)n : 0;
}

enum ps_status ps_measure_drive(struct ps_measure_context *m, const struct ps_store_set *set,
				struct ps_measure_live *live,
				const struct ps_measure_load_plan *plan, struct ps_arena *a,
				struct ps_store_trial *ret_trial, struct ps_load_result *ret_result,
				struct ps_error *err)
{
	struct ps_load_tenant tenants[PS_MEASURE_MAX_MEMBERS];
	struct watch w = {.m = m, .live = live};
	struct ps_host_sampler *sampler = NULL;
	struct ps_host_sample *samples = NULL;
	struct ps_load_result result;
	size_t n = 0;
	fill_tenants(m, set, live, plan, tenants);
	struct ps_load_plan load_plan = {
		.tenants = tenants,
		.tenant_len = (size_t)set->member_len,
		.warmup_ns = plan->warmup_ns,
		.duration_ns = plan->duration_ns,
		.timeout_ns = ps_measure_timeout_ns(m->c),
		.seed = plan->seed,
		.max_records = records_needed(set, plan),
	};
	if (m->c->generator_cpu >= 0) {
		ps_cpus_add(&load_plan.cpus, (int)m->c->generator_cpu);
	}
	enum ps_status st = ps_host_sampler_start(ps_host_pid(live->process), sample_period(plan),
						  &sampler, err);
	if (st != PS_OK) {
		return st;
	}
	st = load(m, &w, &load_plan, &result, err);
	ps_host_sampler_stop(sampler, &samples, &n);
	st = judge(m, &w, st, &result, err);
	if (st != PS_OK) {
		free(samples);
		return st;
	}
	st = ps_measure_convert(m->c, set, plan, &result, a, ret_trial, err);
	if (st == PS_OK) {
		st = ps_measure_convert_samples(samples, n, &result, a, ret_trial, err);
	}
	/* walks page tables: after the load, not beside it */
	ret_trial->server_pss_bytes = ps_host_pss_read(ps_host_pid(live->process));
	free(samples);
	if (st != PS_OK) {
		ps_load_result_fini(&result);
		return st;
	}
	*ret_result = result;
	return PS_OK;
}
