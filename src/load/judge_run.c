/* judge_run.c - what is judged of a run as a whole. */
#include "load/judge.h"

#include "load/reason.h"
#include "load/warmup.h"

#include <stdio.h>

int ps_load_users(const struct ps_load_tenant *t)
{
	return ps_load_arrival_is_closed(&t->arrival) ? t->concurrency : 0;
}

static void note(struct ps_load_result *r, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void note(struct ps_load_result *r, const char *fmt, ...)
{
	va_list ap;

	if (r->note_len == PS_LOAD_MAX_NOTES) {
		return;
	}
	va_start(ap, fmt);
	vsnprintf(r->notes[r->note_len++], PS_LOAD_REASON_SIZE, fmt, ap);
	va_end(ap);
}

/* A share that others took: over `most` no tenant's figures stand, over `noted` the reader should
 * know. */
static void check_share(struct ps_load_result *r, const char *what, double share, const char *of,
			double noted, double most)
{
	if (share > most) {
		for (size_t i = 0; i < r->tenant_len; i++) {
			ps_load_judge_reason(&r->tenants[i], PS_LOAD_REASON_MACHINE,
					     "%s %.1f %% of %s (at most %g %%)", what, 100 * share,
					     of, 100 * most);
		}
	} else if (share > noted) {
		note(r, "%s %.1f %% of %s", what, 100 * share, of);
	}
}

static void check_machine(struct ps_load_result *r)
{
	const struct ps_load_machine *m = &r->machine;

	if (m->readings == 0) {
		return;
	}
	check_share(r, "the hypervisor gave others", m->steal_ratio, "the CPUs' time",
		    PS_LOAD_NOTE_STEAL, PS_LOAD_MAX_STEAL);
	check_share(r, "a CPU quota withheld", m->throttled_ratio,
		    "the CPU time that our control group wanted", PS_LOAD_NOTE_THROTTLED,
		    PS_LOAD_MAX_THROTTLED);
	if (m->mhz_min > 0 && m->mhz_max - m->mhz_min > PS_LOAD_NOTE_SPEED * m->mhz_max) {
		note(r, "the CPUs' clock moved between %.0f and %.0f MHz", m->mhz_min, m->mhz_max);
	}
	if (m->hot > 0) {
		note(r, "the processor slowed down %lld times to cool", (long long)m->hot);
	}
}

/* Both sides count the same requests, by different hands. */
static void check_little(struct ps_load_tenant_result *t)
{
	const struct ps_load_little *l = &t->little;

	if (l->checked && l->difference > PS_LOAD_MAX_LITTLE) {
		ps_load_judge_reason(t, PS_LOAD_REASON_LITTLE,
				     "%.4g requests in flight, but %.4g/s x %.4g s", l->in_flight,
				     l->throughput_rps, l->latency_ns / 1e9);
	}
}

static void check_model(struct ps_load_tenant_result *t)
{
	if (t->metadata_changes > 0) {
		ps_load_judge_reason(t, PS_LOAD_REASON_CHANGED, "the model changed: %s",
				     t->metadata_change_text);
	}
}

/* In one note, however many tenants. */
static void note_unseen(struct ps_load_result *r)
{
	unsigned models = 0, tenants = 0;
	const char *first = NULL;

	for (size_t i = 0; i < r->tenant_len; i++) {
		const struct ps_load_tenant_result *t = &r->tenants[i];

		models += t->metadata_unseen;
		tenants += t->metadata_unseen > 0;
		first = !first && t->metadata_unseen > 0 ? t->name : first;
	}
	if (tenants > 1) {
		note(r, "metadata not seen again: %u models at their replicas, of %s and %u more",
		     models, first, tenants - 1);
	} else if (tenants == 1) {
		note(r, "metadata not seen again: %u models at their replicas, of %s", models,
		     first);
	}
}

/* What a result says about its tenant without the plan. */
static void name_tenant(struct ps_load_tenant_result *t, const struct ps_load_tenant *tenant)
{
	t->sla = tenant->sla;
	t->users = ps_load_users(tenant);
	t->arrival = ps_load_arrival_name(tenant->arrival.kind);
}

enum ps_status ps_load_judge_run(const struct ps_load_plan *plan, int64_t timeout_ns,
				 struct ps_load_result *r)
{
	bool steady = true;
	enum ps_status st = PS_OK;

	r->look = plan->look;

	if (plan->warmup_auto && !r->cancelled) {
		st = ps_load_warmup_cut(plan, timeout_ns, r, &steady);
	}
	for (size_t i = 0; st == PS_OK && i < r->tenant_len; i++) {
		struct ps_load_tenant_result *t = &r->tenants[i];
		struct ps_load_judge_terms terms = {.sla = &plan->tenants[i].sla,
						    .timeout_ns = timeout_ns,
						    .cancelled = r->cancelled,
						    .look = plan->look};

		name_tenant(t, &plan->tenants[i]);
		st = ps_load_judge(t, &terms);
		check_little(t);
		check_model(t);
		if (!steady) {
			ps_load_judge_reason(t, PS_LOAD_REASON_WARMUP,
					     "no steady state to cut the warm-up off; run longer");
		}
	}
	check_machine(r);
	note_unseen(r);
	r->valid = st == PS_OK;
	for (size_t i = 0; i < r->tenant_len; i++) {
		r->valid = r->valid && r->tenants[i].valid;
	}
	return st;
}
