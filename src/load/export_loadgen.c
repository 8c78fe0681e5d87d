#include "load/export.h"

#include "load/judge.h"

#include <inttypes.h>
#include <stdio.h>

#define RULE "================================================\n"

static const char *yes(bool satisfied)
{
	return satisfied ? "Yes" : "NO";
}

/* The least number of queries that could show the percentile: all of them inside the limit. */
static uint64_t least_queries(const struct ps_sla *sla)
{
	return ps_stats_early_stop_min(sla->percentile, 0, PS_LOAD_MET_CONFIDENCE);
}

/* Our verdict: the same rule, on effective counts, and success besides. */
static bool stops_early(const struct ps_load_tenant_result *t)
{
	return t->sla_verdict == PS_LOAD_SLA_MET;
}

static bool in_limit(const struct ps_load_tenant_result *t)
{
	return t->scheduled > 0 && t->sla_quantile.value_ns <= t->sla.limit_ns;
}

static bool is_valid(const struct ps_load_result *r, const struct ps_load_tenant_result *t)
{
	return t->valid && !r->cancelled &&
	       (!ps_sla_is_set(&t->sla) ||
		(in_limit(t) && t->scheduled >= least_queries(&t->sla) && stops_early(t)));
}

static void put_scenario(const struct ps_load_tenant_result *t, struct ps_strbuf *out)
{
	if (t->users > 1) {
		ps_strbuf_printf(out, "Scenario : closed loop of %d users, none of LoadGen's\n",
				 t->users);
	} else {
		ps_strbuf_printf(out, "Scenario : %s\n", t->users ? "SingleStream" : "Server");
	}
}

static void put_ns(struct ps_strbuf *out, const char *label, int64_t ns)
{
	ps_strbuf_printf(out, "%-32s: ", label);
	if (ns == PS_HIST_INFINITE) {
		ps_strbuf_puts(out, "inf\n");
	} else {
		ps_strbuf_printf(out, "%" PRId64 "\n", ns);
	}
}

static void put_early_stopping(const struct ps_load_tenant_result *t, struct ps_strbuf *out)
{
	if (stops_early(t)) {
		ps_strbuf_puts(out, "Early Stopping Result:\n * Run successful.\n");
		return;
	}
	ps_strbuf_printf(out,
			 "Early Stopping Result:\n * Run unsuccessful.\n"
			 " * Processed %" PRIu64 " queries.\n"
			 " * Would need to run at least %" PRIu64 " more queries,\n"
			 " with the run being successful if every additional\n"
			 " query were under latency.\n",
			 t->scheduled, t->sla_needs_more);
}

static void put_result(const struct ps_load_result *r, const struct ps_load_tenant_result *t,
		       struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "Result is : %s\n", is_valid(r, t) ? "VALID" : "INVALID");
	if (ps_sla_is_set(&t->sla)) {
		ps_strbuf_printf(out,
				 "  Performance constraints satisfied : %s\n"
				 "  Min duration satisfied : %s\n"
				 "  Min queries satisfied : %s\n"
				 "  Early stopping satisfied: %s\n",
				 yes(in_limit(t)), yes(!r->cancelled),
				 yes(t->scheduled >= least_queries(&t->sla)), yes(stops_early(t)));
	} else {
		ps_strbuf_printf(out, "  Min duration satisfied : %s\n", yes(!r->cancelled));
	}
	for (int i = 0; i < t->reason_len; i++) {
		ps_strbuf_printf(out, "%s * %s\n", i ? "" : "Recommendations:\n", t->reasons[i]);
	}
	if (ps_sla_is_set(&t->sla)) {
		put_early_stopping(t, out);
	}
}

static void put_stats(const struct ps_load_tenant_result *t, struct ps_strbuf *out)
{
	static const double p[] = {0.5, 0.9, 0.95, 0.97, 0.99, 0.999};
	bool any = ps_hist_count(&t->latency) > 0;

	ps_strbuf_puts(out, "\n" RULE "Additional Stats\n" RULE);
	ps_strbuf_printf(out, "Scheduled samples per second : %.2f\n", t->offered_rps * t->batch);
	put_ns(out, "Min latency (ns)", any ? t->latency.min_ns : PS_HIST_INFINITE);
	put_ns(out, "Max latency (ns)", ps_load_max_ns(t));
	put_ns(out, "Mean latency (ns)",
	       t->latency.lost ? PS_HIST_INFINITE : (int64_t)ps_hist_mean_ns(&t->latency));
	for (size_t i = 0; i < sizeof(p) / sizeof(p[0]); i++) {
		char label[40];

		snprintf(label, sizeof(label), "%.2f percentile latency (ns)", 100 * p[i]);
		put_ns(out, label, ps_hist_quantile_ns(&t->latency, p[i]));
	}
}

static void put_parameters(const struct ps_load_result *r, const struct ps_load_tenant_result *t,
			   struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "\n" RULE "Test Parameters Used\n" RULE);
	ps_strbuf_printf(out, "samples_per_query : %.6g\n", t->batch);
	/* What was asked for; LoadGen's other scenarios guess one, which we need not. */
	if (!t->users) {
		ps_strbuf_printf(out, "target_qps : %.6g\n", t->asked_rps);
	}
	if (ps_sla_is_set(&t->sla)) {
		ps_strbuf_printf(out,
				 "target_latency (ns): %" PRId64 "\n"
				 "target_latency_percentile : %.6g\n"
				 "min_query_count : %" PRIu64 "\n",
				 t->sla.limit_ns, t->sla.percentile, least_queries(&t->sla));
	}
	ps_strbuf_printf(out,
			 "min_duration (ms): %" PRId64 "\n"
			 "schedule_rng_seed : %" PRIu64 "\n"
			 "percentile_rule : %s\nclock : %s\n",
			 r->duration_ns / 1000000, r->seed, PS_STATS_QUANTILE_RULE, PS_LOAD_CLOCK);
}

static void put_complaints(const struct ps_load_result *r, const struct ps_load_tenant_result *t,
			   struct ps_strbuf *out)
{
	uint64_t failed = t->scheduled - t->outcomes[PS_LOAD_OK];

	if (r->note_len == 0) {
		ps_strbuf_puts(out, "\nNo warnings encountered during test.\n");
	} else {
		ps_strbuf_printf(out, "\n%d warnings encountered.\n", r->note_len);
	}
	for (int i = 0; i < r->note_len; i++) {
		ps_strbuf_printf(out, " * %s\n", r->notes[i]);
	}
	if (failed == 0) {
		ps_strbuf_puts(out, "\nNo errors encountered during test.\n");
	} else {
		ps_strbuf_printf(out, "\n%" PRIu64 " ERRORS encountered.\n * %s\n", failed,
				 t->first_failure);
	}
}

void ps_load_export_loadgen(const struct ps_load_result *r, size_t tenant, struct ps_strbuf *out)
{
	const struct ps_load_tenant_result *t = &r->tenants[tenant];

	ps_strbuf_puts(out, RULE "Perseus summary in LoadGen's form; not an MLPerf result\n" RULE);
	ps_strbuf_printf(out, "SUT name : %s\n", t->name);
	put_scenario(t, out);
	ps_strbuf_puts(out, "Mode     : PerformanceOnly\n");
	if (t->users == 1) {
		put_ns(out, "90th percentile latency (ns)", t->p90.value_ns);
	} else {
		ps_strbuf_printf(out, "Completed samples per second    : %.2f\n",
				 t->throughput_rps * t->batch);
	}
	put_result(r, t, out);
	put_stats(t, out);
	put_parameters(r, t, out);
	put_complaints(r, t, out);
}
