#include "measure/measure_internal.h"

#include "base/clock.h"
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

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
	if (w->live->process && ps_host_check(w->live->process, &w->death) != PS_OK) {
		return false;
	}
	return ps_measure_say(w->m, NULL);
}

/* When the requests of a member are due. */
static enum ps_status fill_arrival(const struct ps_measure_context *m, int tenant,
				   const struct ps_measure_load_plan *plan, double rate_rps,
				   struct ps_load_tenant *out, struct ps_error *err)
{
	if (!plan->rates) {
		out->arrival = (struct ps_load_arrival_spec){.kind = PS_LOAD_CLOSED};
		out->concurrency = plan->users;
		return PS_OK;
	}
	return ps_measure_arrival(m, tenant, rate_rps, plan->warmup_ns + plan->duration_ns,
				  &out->arrival, err);
}

/* Who sends, in the order of the set: members with a rate of 0 are silent. */
static enum ps_status fill_tenants(const struct ps_measure_context *m,
				   const struct ps_store_set *set,
				   const struct ps_measure_live *live,
				   const struct ps_measure_load_plan *plan,
				   struct ps_load_tenant *out, size_t *ret_len,
				   struct ps_error *err)
{
	const struct ps_measure_tenant *tenants = m->c->tenants.items;
	enum ps_status st = PS_OK;
	size_t n = 0;
	for (int i = 0; i < set->member_len && st == PS_OK; i++) {
		const struct ps_measure_tenant *t = &tenants[set->members[i]];
		if (plan->rates && plan->rates[i] == 0) {
			continue;
		}
		out[n] = (struct ps_load_tenant){
			.name = t->name,
			.url = t->target.urls.len > 0 ? t->target.urls.items[0] : live->url,
			.model = plan->model ? plan->model : t->model,
			.api_key = m->c->server.url ? m->keys[set->members[i]] : live->keys[i],
			.sla = t->sla,
			.batch = plan->batch ? plan->batch : (int)t->batch,
			.target = m->targets[set->members[i]],
		};
		if (plan->model) {
			out[n].target.mix_len = 0;
		}
		st = fill_arrival(m, set->members[i], plan, plan->rates ? plan->rates[i] : 0,
				  &out[n++], err);
	}
	*ret_len = n;
	return st;
}

/* Makes the only tenant of `out` into as many as the plan has copies, each with its name and key.
 */
static void fill_copies(const struct ps_measure_live *live, const struct ps_store_set *set,
			const struct ps_measure_campaign *c,
			const struct ps_measure_load_plan *plan, struct ps_load_tenant *out,
			char (*names)[PS_MEASURE_MEMBER_SIZE])
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)c->tenants.items)[set->members[0]];
	for (int i = plan->copies - 1; i >= 0; i--) {
		out[i] = out[0];
		out[i].api_key = live->keys[i];
		out[i].name = ps_measure_member_name(t, i, live->key_len, names[i]);
	}
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
	bool died = w->death.status != PS_OK ||
		    (w->live->process && ps_host_check(w->live->process, &w->death) != PS_OK);
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

/* What a drive holds while it lasts. */
struct drive {
	struct ps_load_tenant *tenants;
	char (*names)[PS_MEASURE_MEMBER_SIZE];
	struct ps_host_watched watched;
	struct ps_metrics_page *before, *after;
};

static void release(struct drive *d)
{
	free(d->tenants);
	free(d->names);
	ps_host_watched_fini(&d->watched);
	ps_metrics_page_free(d->before);
	ps_metrics_page_free(d->after);
}

static enum ps_status run(struct ps_measure_context *m, const struct ps_store_set *set,
			  struct ps_measure_live *live, const struct ps_measure_load_plan *plan,
			  struct drive *d, struct ps_load_result *ret_result, struct ps_error *err)
{
	struct watch w = {.m = m, .live = live};
	struct ps_load_plan load_plan = {
		.tenants = d->tenants,
		.warmup_ns = plan->warmup_ns,
		.duration_ns = plan->duration_ns,
		.timeout_ns = ps_measure_timeout_ns(m->c),
		.seed = plan->seed,
		.look = plan->look,
		.max_records = records_needed(set, plan),
	};
	if (load_plan.max_records > PS_MEASURE_MAX_RECORDS) {
		return ps_error_set(err, PS_ETOOBIG,
				    "a trial of %zu requests, over %u: make it shorter or slower",
				    load_plan.max_records, PS_MEASURE_MAX_RECORDS);
	}
	enum ps_status st =
		fill_tenants(m, set, live, plan, d->tenants, &load_plan.tenant_len, err);
	if (st != PS_OK) {
		return st;
	}
	if (plan->copies > 1) {
		fill_copies(live, set, m->c, plan, d->tenants, d->names);
		load_plan.tenant_len = (size_t)plan->copies;
	}
	if (m->c->generator_cpu >= 0) {
		ps_cpus_add(&load_plan.cpus, (int)m->c->generator_cpu);
	}
	d->before = ps_measure_scrape(m, live);
	const struct ps_host_watch what = {
		.server = live->process ? ps_host_pid(live->process) : 0,
		.cpus = m->c->slice.cpus,
	};
	struct ps_host_watcher *watcher = NULL;
	st = ps_host_watch_start(&what, &watcher, err);
	if (st != PS_OK) {
		return st;
	}
	st = load(m, &w, &load_plan, ret_result, err);
	ps_host_watch_stop(watcher, &d->watched);
	st = judge(m, &w, st, ret_result, err);
	if (st == PS_OK) {
		d->after = ps_measure_scrape(m, live);
	}
	if (st == PS_OK && plan->copies > 1) {
		st = ps_measure_pool(ret_result, err);
		if (st != PS_OK) {
			ps_load_result_fini(ret_result);
		}
	}
	return st;
}

static enum ps_status convert(struct ps_measure_context *m, const struct ps_store_set *set,
			      struct ps_measure_live *live, const struct ps_measure_load_plan *plan,
			      const struct drive *d, const struct ps_load_result *r,
			      struct ps_arena *a, struct ps_store_trial *ret_trial,
			      struct ps_error *err)
{
	enum ps_status st = ps_measure_convert(m->c, set, plan, r, a, ret_trial, err);
	if (st == PS_OK) {
		bool limited = !live->process || ps_host_memory_limited(live->process);
		st = ps_measure_convert_host(m->c, &d->watched, limited, r, a, ret_trial, err);
	}
	if (st == PS_OK) {
		st = ps_measure_convert_scrapes(d->before, d->after, a, ret_trial, err);
	}
	if (st == PS_OK && live->process && ret_trial->sample_len > 0) {
		/* the watcher's last look, after the load, walks page tables */
		ret_trial->server_pss_bytes =
			ret_trial->samples[ret_trial->sample_len - 1].server_pss_bytes;
	}
	return st;
}

enum ps_status ps_measure_drive(struct ps_measure_context *m, const struct ps_store_set *set,
				struct ps_measure_live *live,
				const struct ps_measure_load_plan *plan, struct ps_arena *a,
				struct ps_store_trial *ret_trial, struct ps_load_result *ret_result,
				struct ps_error *err)
{
	size_t n = plan->copies > 1 ? (size_t)plan->copies : (size_t)set->member_len;
	struct drive d = {.tenants = calloc(n, sizeof(*d.tenants)),
			  .names = calloc(n, sizeof(*d.names))};
	enum ps_status st = d.tenants && d.names
				    ? run(m, set, live, plan, &d, ret_result, err)
				    : ps_error_set(err, PS_ENOMEM, "no memory for a trial");
	if (st == PS_OK) {
		st = convert(m, set, live, plan, &d, ret_result, a, ret_trial, err);
		if (st != PS_OK) {
			ps_load_result_fini(ret_result);
		}
	}
	release(&d);
	return st;
}
