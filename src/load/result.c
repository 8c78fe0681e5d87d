/* result.c - names, life and JSON form of a result. */
#include "load/load.h"

#include "base/clock.h"
#include "base/version.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *const outcome_names[PS_LOAD_OUTCOME_COUNT] = {
	[PS_LOAD_OK] = "ok",
	[PS_LOAD_TIMEOUT] = "timeout",
	[PS_LOAD_CONNECT] = "connect",
	[PS_LOAD_RESET] = "reset",
	[PS_LOAD_GARBAGE] = "garbage",
	[PS_LOAD_REFUSED] = "refused",
	[PS_LOAD_REJECTED] = "rejected",
	[PS_LOAD_WRONG] = "wrong_answer",
	[PS_LOAD_UNSENT] = "unsent",
};

const char *ps_load_outcome_name(enum ps_load_outcome o)
{
	return (unsigned)o < PS_LOAD_OUTCOME_COUNT ? outcome_names[o] : "unknown";
}

const char *ps_load_sla_verdict_name(enum ps_load_sla_verdict v)
{
	static const char *const names[] = {"none", "met", "violated", "undecided"};

	return (unsigned)v < sizeof(names) / sizeof(names[0]) ? names[v] : "unknown";
}

void ps_load_tenant_result_fini(struct ps_load_tenant_result *t)
{
	ps_hist_fini(&t->latency);
	ps_hist_fini(&t->service_latency);
	ps_hist_fini(&t->send_lag);
	ps_hist_fini(&t->first_byte);
	ps_hist_fini(&t->uncorrected);
	ps_hist_fini(&t->server_queue);
	ps_hist_fini(&t->server_compute);
	free(t->records);
	free(t->seconds);
	*t = (struct ps_load_tenant_result){0};
}

void ps_load_result_fini(struct ps_load_result *r)
{
	for (size_t i = 0; i < r->tenant_len; i++) {
		ps_load_tenant_result_fini(&r->tenants[i]);
	}
	free(r->tenants);
	ps_hist_fini(&r->probe);
	*r = (struct ps_load_result){0};
}

int64_t ps_load_max_ns(const struct ps_load_tenant_result *t)
{
	return t->latency.lost ? PS_HIST_INFINITE : t->latency.max_ns;
}

int64_t ps_load_quantile_ok(const struct ps_load_tenant_result *t, double p)
{
	uint64_t n = ps_hist_count(&t->latency);

	return n ? ps_hist_rank_ns(&t->latency, ps_stats_rank(p, n)) : 0;
}

/* Infinite percentiles and those of nothing are null: JSON has no infinity. */
static void set_ms(json_t *obj, const char *key, int64_t ns, bool there)
{
	if (!there || ns == PS_HIST_INFINITE) {
		json_object_set_new(obj, key, json_null());
	} else {
		ps_json_set_real(obj, key, (double)ns / 1e6);
	}
}

static json_t *quantile_json(const struct ps_stats_time_quantile *q)
{
	json_t *o = json_object();

	ps_json_set_real(o, "p", q->p);
	set_ms(o, "value_ms", q->value_ns, true);
	set_ms(o, "low_ms", q->lo_ns, q->has_interval);
	set_ms(o, "high_ms", q->hi_ns, q->has_interval);
	ps_json_set_bool(o, "infinite", q->value_ns == PS_HIST_INFINITE);
	ps_json_set_real(o, "confidence", q->confidence);
	ps_json_set_int(o, "needs_more", q->has_interval ? 0 : (int64_t)q->needs_more);
	return o;
}

static json_t *hist_json(const struct ps_hist *h)
{
	static const struct {
		const char *key;
		double p;
	} rows[] = {{"p50_ms", 0.5},
		    {"p90_ms", 0.9},
		    {"p95_ms", 0.95},
		    {"p99_ms", 0.99},
		    {"p99_9_ms", 0.999}};
	json_t *o = json_object();
	bool any = ps_hist_total(h) > 0, values = ps_hist_count(h) > 0;

	ps_json_set_int(o, "count", (int64_t)ps_hist_count(h));
	ps_json_set_int(o, "lost", (int64_t)h->lost);
	set_ms(o, "min_ms", h->min_ns, values);
	ps_json_set_real(o, "mean_ms", ps_hist_mean_ns(h) / 1e6);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		set_ms(o, rows[i].key, ps_hist_quantile_ns(h, rows[i].p), any);
	}
	set_ms(o, "max_ms", h->max_ns, values);
	return o;
}

static json_t *outcomes_json(const struct ps_load_tenant_result *t)
{
	json_t *o = json_object();

	for (int i = 0; i < PS_LOAD_OUTCOME_COUNT; i++) {
		ps_json_set_int(o, outcome_names[i], (int64_t)t->outcomes[i]);
	}
	return o;
}

static json_t *seconds_json(const struct ps_load_tenant_result *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < t->second_len; i++) {
		const struct ps_load_second *s = &t->seconds[i];
		json_t *o = json_object();

		ps_json_set_int(o, "second", (int64_t)i);
		ps_json_set_int(o, "scheduled", s->scheduled);
		ps_json_set_int(o, "sent", s->sent);
		ps_json_set_int(o, "ok", s->ok);
		ps_json_set_int(o, "failed", s->failed);
		ps_json_set_int(o, "good", s->good);
		set_ms(o, "latency_mean_ms", s->ok ? s->latency_sum_ns / s->ok : 0, s->ok > 0);
		set_ms(o, "latency_max_ms", s->latency_max_ns, s->ok > 0);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *sla_json(const struct ps_load_tenant_result *t)
{
	json_t *o = json_object();

	ps_json_set_string(o, "verdict", ps_load_sla_verdict_name(t->sla_verdict));
	if (ps_sla_is_set(&t->sla)) {
		ps_json_set_real(o, "percentile", t->sla.percentile);
		ps_json_set_real(o, "limit_ms", (double)t->sla.limit_ns / 1e6);
		ps_json_set_real(o, "min_success", t->sla.min_success);
	}
	ps_json_set_int(o, "needs_more", (int64_t)t->sla_needs_more);
	ps_json_set_real(o, "violating_ratio", t->violating_ratio);
	json_object_set_new(o, "quantile", quantile_json(&t->sla_quantile));
	return o;
}

/* Whole where it is: only a mix of batches has parts. */
static void set_number(json_t *o, const char *key, double v)
{
	if (v == floor(v)) {
		ps_json_set_int(o, key, (int64_t)v);
	} else {
		ps_json_set_real(o, key, v);
	}
}

static void add_counts(json_t *o, const struct ps_load_tenant_result *t)
{
	ps_json_set_int(o, "scheduled", (int64_t)t->scheduled);
	ps_json_set_int(o, "sent", (int64_t)t->sent);
	ps_json_set_int(o, "completed", (int64_t)t->completed);
	ps_json_set_int(o, "good", (int64_t)t->good);
	json_object_set_new(o, "outcomes", outcomes_json(t));
	ps_json_set_int(o, "warmup_scheduled", (int64_t)t->warmup_scheduled);
	ps_json_set_int(o, "waited_for_connection", (int64_t)t->late_limit);
	ps_json_set_int(o, "connections", (int64_t)t->connections);
	ps_json_set_int(o, "peak_in_flight", t->peak_in_flight);
	ps_json_set_int(o, "kernel_stamped", (int64_t)t->kernel_stamped);
	set_number(o, "inferences_per_request", t->batch);
	ps_json_set_int(o, "request_body_bytes", (int64_t)t->request_bytes);
	ps_json_set_int(o, "bytes_sent", (int64_t)t->bytes_sent);
	ps_json_set_int(o, "bytes_received", (int64_t)t->bytes_received);
	ps_json_set_int(o, "records", (int64_t)t->record_len);
	ps_json_set_int(o, "records_dropped", (int64_t)t->records_dropped);
}

static void add_rates(json_t *o, const struct ps_load_tenant_result *t)
{
	ps_json_set_real(o, "asked_rps", t->users ? NAN : t->asked_rps);
	ps_json_set_real(o, "offered_rps", t->offered_rps);
	ps_json_set_real(o, "achieved_rps", t->achieved_rps);
	ps_json_set_real(o, "throughput_rps", t->throughput_rps);
	ps_json_set_real(o, "goodput_rps", t->goodput_rps);
	ps_json_set_real(o, "success_ratio", t->success_ratio);
}

static void add_times(json_t *o, const struct ps_load_tenant_result *t)
{
	json_t *ok = json_object();

	json_object_set_new(o, "p50", quantile_json(&t->p50));
	json_object_set_new(o, "p90", quantile_json(&t->p90));
	json_object_set_new(o, "p95", quantile_json(&t->p95));
	json_object_set_new(o, "p99", quantile_json(&t->p99));
	json_object_set_new(o, "p99_9", quantile_json(&t->p99_9));
	set_ms(o, "max_ms", ps_load_max_ns(t), t->scheduled > 0);
	json_object_set_new(o, "latency", hist_json(&t->latency));
	set_ms(ok, "p50_ms", ps_load_quantile_ok(t, 0.5), t->outcomes[PS_LOAD_OK] > 0);
	set_ms(ok, "p95_ms", ps_load_quantile_ok(t, 0.95), t->outcomes[PS_LOAD_OK] > 0);
	set_ms(ok, "p99_ms", ps_load_quantile_ok(t, 0.99), t->outcomes[PS_LOAD_OK] > 0);
	json_object_set_new(o, "latency_of_successes", ok);
	json_object_set_new(o, "service_latency", hist_json(&t->service_latency));
	json_object_set_new(o, "send_lag", hist_json(&t->send_lag));
	json_object_set_new(o, "first_byte", hist_json(&t->first_byte));
	json_object_set_new(o, "uncorrected", hist_json(&t->uncorrected));
	json_object_set_new(o, "server_queue", hist_json(&t->server_queue));
	json_object_set_new(o, "server_compute", hist_json(&t->server_compute));
}

static json_t *little_json(const struct ps_load_little *l)
{
	json_t *o = l->checked ? json_object() : json_null();

	if (l->checked) {
		ps_json_set_real(o, "in_flight", l->in_flight);
		ps_json_set_real(o, "throughput_rps", l->throughput_rps);
		ps_json_set_real(o, "time_in_system_ms", l->latency_ns / 1e6);
		ps_json_set_real(o, "difference_ratio", l->difference);
	}
	return o;
}

static json_t *checks_json(const struct ps_load_tenant_result *t)
{
	const struct ps_load_notes *n = &t->notes;
	json_t *o = json_object();

	ps_json_set_int(o, "compared", (int64_t)n->checked);
	ps_json_set_int(o, "not_compared", (int64_t)n->unchecked);
	ps_json_set_int(o, "version_changes", (int64_t)n->version_changes);
	ps_json_set_int(o, "output_changes", (int64_t)n->output_changes);
	ps_json_set_int(o, "redirects", (int64_t)n->redirects);
	ps_json_set_int(o, "key_refusals", (int64_t)n->key_refusals);
	return o;
}

static json_t *replicas_json(const struct ps_load_tenant_result *t)
{
	json_t *a = json_array();

	for (size_t i = 0; i < t->replica_len; i++) {
		json_t *o = json_object();

		ps_json_set_string(o, "url", t->replicas[i]);
		ps_json_set_int(o, "sent", (int64_t)t->notes.sent[i]);
		ps_json_set_int(o, "failed", (int64_t)t->notes.failed[i]);
		json_array_append_new(a, o);
	}
	return a;
}

static json_t *tenant_json(const struct ps_load_tenant_result *t)
{
	json_t *o = json_object(), *reasons = json_array(), *trend = json_object();

	ps_json_set_string(o, "tenant", t->name);
	ps_json_set_string(o, "arrival", t->arrival);
	ps_json_set_int(o, "users", t->users);
	ps_json_set_bool(o, "valid", t->valid);
	for (int i = 0; i < t->reason_len; i++) {
		json_array_append_new(reasons, json_string(t->reasons[i]));
	}
	json_object_set_new(o, "reasons", reasons);
	json_object_set_new(o, "sla", sla_json(t));
	add_counts(o, t);
	add_rates(o, t);
	add_times(o, t);
	ps_json_set_real(o, "effective_ratio", t->effective_ratio);
	json_object_set_new(o, "littles_law", little_json(&t->little));
	ps_json_set_real(trend, "p_rising", t->trend.p_rising);
	ps_json_set_real(trend, "slope_ms_per_s", t->trend.slope / 1e6);
	ps_json_set_bool(trend, "unsteady", t->unsteady);
	json_object_set_new(o, "trend", trend);
	json_object_set_new(o, "checks", checks_json(t));
	json_object_set_new(o, "replicas", replicas_json(t));
	ps_json_set_string(o, "metadata_changed",
			   t->metadata_changes ? t->metadata_change_text : NULL);
	ps_json_set_int(o, "metadata_unseen", t->metadata_unseen);
	ps_json_set_string(o, "first_failure", t->first_failure[0] ? t->first_failure : NULL);
	json_object_set_new(o, "seconds", seconds_json(t));
	return o;
}

/* Counters that the system does not have are -1 in the struct and null here. */
static void set_known(json_t *o, const char *key, double v)
{
	if (v < 0) {
		json_object_set_new(o, key, json_null());
	} else {
		ps_json_set_real(o, key, v);
	}
}

static json_t *machine_json(const struct ps_load_machine *m)
{
	json_t *o = m->readings ? json_object() : json_null();

	if (m->readings == 0) {
		return o;
	}
	ps_json_set_int(o, "cpus", m->last.cpus);
	set_known(o, "steal_ratio", m->steal_ratio);
	set_known(o, "throttled_ratio", m->throttled_ratio);
	set_known(o, "cpu_mhz_first", m->first.mhz);
	set_known(o, "cpu_mhz_last", m->last.mhz);
	set_known(o, "cpu_mhz_min", m->mhz_min);
	set_known(o, "cpu_mhz_max", m->mhz_max);
	set_known(o, "hot_events", (double)m->hot);
	return o;
}

static void add_clock(json_t *o, const struct ps_load_result *r)
{
	ps_json_set_string(o, "clock", "CLOCK_MONOTONIC");
	ps_json_set_string(o, "latency_counts_from", "the scheduled instant");
	ps_json_set_string(o, "percentile_rule", PS_STATS_QUANTILE_RULE);
	ps_json_set_int(o, "clock_step_ns", r->clock_step_ns);
	ps_json_set_int(o, "clock_cost_ns", r->clock_cost_ns);
	ps_json_set_int(o, "timer_slack_ns", r->timer_slack_ns);
}

static json_t *cpus_json(const struct ps_cpus *cpus)
{
	json_t *a = json_array();

	for (int i = 0; i < PS_CPUS_MAX; i++) {
		if (ps_cpus_has(cpus, i)) {
			json_array_append_new(a, json_integer(i));
		}
	}
	return a;
}

static void add_run(json_t *o, const struct ps_load_result *r)
{
	ps_json_set_bool(o, "valid", r->valid);
	ps_json_set_bool(o, "cancelled", r->cancelled);
	/* A string: a 64-bit number would not survive readers that use doubles. */
	json_object_set_new(o, "seed", json_sprintf("%llu", (unsigned long long)r->seed));
	ps_json_set_int(o, "look", r->look);
	ps_json_set_real(o, "warmup_s", (double)r->warmup_ns / 1e9);
	ps_json_set_bool(o, "warmup_found", r->warmup_found);
	ps_json_set_real(o, "duration_s", (double)r->duration_ns / 1e9);
	ps_json_set_real(o, "wall_s", (double)(r->end_ns - r->start_ns) / 1e9);
	ps_json_set_real(o, "generator_cpu_s", (double)r->cpu_ns / 1e9);
	ps_json_set_int(o, "threads", r->threads);
	json_object_set_new(o, "cpus", cpus_json(&r->cpus));
	json_object_set_new(o, "timer_probe", r->probe.count ? hist_json(&r->probe) : json_null());
	json_object_set_new(o, "machine", machine_json(&r->machine));
}

json_t *ps_load_result_json(const struct ps_load_result *r)
{
	json_t *o = json_object(), *tenants = json_array(), *notes = json_array();
	char iso[PS_CLOCK_ISO_SIZE];

	ps_clock_wall_iso(r->wall_ns, iso);
	ps_json_set_string(o, "format", "perseus load result");
	ps_json_set_int(o, "format_version", PS_LOAD_RESULT_VERSION);
	ps_json_set_string(o, "perseus", ps_version());
	ps_json_set_string(o, "started", iso);
	add_clock(o, r);
	add_run(o, r);
	for (int i = 0; i < r->note_len; i++) {
		json_array_append_new(notes, json_string(r->notes[i]));
	}
	json_object_set_new(o, "notes", notes);
	for (size_t i = 0; i < r->tenant_len; i++) {
		json_array_append_new(tenants, tenant_json(&r->tenants[i]));
	}
	json_object_set_new(o, "tenants", tenants);
	return o;
}
