/* load_text.c - see load_text_internal.h. */
#include "cli/load_text_internal.h"

#include "base/units.h"

#include <string.h>

static const char *time_text(int64_t ns, char buf[PS_UNITS_SIZE])
{
	return ns == PS_HIST_INFINITE ? "never" : ps_units_format_duration(ns, buf);
}

static void put_percentile(struct ps_strbuf *out, const char *label,
			   const struct ps_stats_time_quantile *q)
{
	char v[PS_UNITS_SIZE], lo[PS_UNITS_SIZE], hi[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "  %-12s p%-5g %-9s", label, 100 * q->p, time_text(q->value_ns, v));
	if (q->has_interval) {
		ps_strbuf_printf(out, " [%s, %s]\n", time_text(q->lo_ns, lo),
				 time_text(q->hi_ns, hi));
	} else if (q->needs_more == 0) {
		ps_strbuf_printf(out, " no interval\n");
	} else {
		ps_strbuf_printf(out, " needs %llu more requests for an interval\n",
				 (unsigned long long)q->needs_more);
	}
}

/* The rows that every tenant has, and the SLA's own where it is none of them. */
static void put_latency(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	const struct ps_stats_time_quantile *rows[] = {&t->p50, &t->p90, &t->p95, &t->p99,
						       &t->p99_9};
	bool named = !ps_sla_is_set(&t->sla);
	char text[PS_UNITS_SIZE];

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		put_percentile(out, i ? "" : "latency", rows[i]);
		named = named || rows[i]->p == t->sla_quantile.p;
	}
	if (!named) {
		put_percentile(out, "the SLA's", &t->sla_quantile);
	}
	ps_strbuf_printf(out, "  %-12s max    %s\n", "",
			 t->scheduled ? time_text(ps_load_max_ns(t), text) : "none");
}

static void put_hist(struct ps_strbuf *out, const char *label, const struct ps_hist *h)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], c[PS_UNITS_SIZE];

	if (ps_hist_count(h) == 0) {
		return;
	}
	ps_strbuf_printf(out, "  %-12s p50 %s, p95 %s, p99 %s\n", label,
			 time_text(ps_hist_quantile_ns(h, 0.5), a),
			 time_text(ps_hist_quantile_ns(h, 0.95), b),
			 time_text(ps_hist_quantile_ns(h, 0.99), c));
}

static void put_failures(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];
	uint64_t failed = t->scheduled - t->outcomes[PS_LOAD_OK];

	if (failed == 0) {
		return;
	}
	ps_strbuf_puts(out, "  failed      ");
	for (int i = PS_LOAD_OK + 1; i < PS_LOAD_OUTCOME_COUNT; i++) {
		if (t->outcomes[i]) {
			ps_strbuf_printf(out, " %s %llu",
					 ps_load_outcome_name((enum ps_load_outcome)i),
					 (unsigned long long)t->outcomes[i]);
		}
	}
	ps_strbuf_printf(out, "\n  first        %s\n", t->first_failure);
	ps_strbuf_printf(out, "  ok alone     p50 %s, p99 %s (failures left out)\n",
			 time_text(ps_load_quantile_ok(t, 0.5), a),
			 time_text(ps_load_quantile_ok(t, 0.99), b));
}

static void put_verdict(struct ps_strbuf *out, const struct ps_load_tenant *plan,
			const struct ps_load_tenant_result *t)
{
	char sla[PS_SLA_SIZE];

	ps_strbuf_printf(out, "\n%s: %s", t->name, t->valid ? "VALID" : "INVALID");
	if (t->sla_verdict != PS_LOAD_SLA_NONE) {
		ps_strbuf_printf(out, ", SLA %s (%s)", ps_load_sla_verdict_name(t->sla_verdict),
				 ps_sla_format(&plan->sla, sla));
	}
	ps_strbuf_putc(out, '\n');
	for (int i = 0; i < t->reason_len; i++) {
		ps_strbuf_printf(out, "  invalid:     %s\n", t->reasons[i]);
	}
	if (t->sla_verdict == PS_LOAD_SLA_UNDECIDED && t->sla_needs_more) {
		ps_strbuf_printf(
			out, "  undecided:   %llu more good requests would show that it is met\n",
			(unsigned long long)t->sla_needs_more);
	}
}

/* A line for what should not have happened, when it has. */
static void put_count(struct ps_strbuf *out, uint64_t n, const char *name, const char *what)
{
	if (n > 0) {
		ps_strbuf_printf(out, "  %-12s %llu %s\n", name, (unsigned long long)n, what);
	}
}

static void put_answers(struct ps_strbuf *out, const struct ps_load_tenant_result *t)
{
	const struct ps_load_notes *n = &t->notes;

	for (size_t i = 0; t->replica_len > 1 && i < t->replica_len; i++) {
		ps_strbuf_printf(out, "  replica      %s: %llu sent, %llu failed\n", t->replicas[i],
				 (unsigned long long)n->sent[i], (unsigned long long)n->failed[i]);
	}
	if (n->checked + n->unchecked) {
		ps_strbuf_printf(out, "  compared     %llu answers with what was expected\n",
				 (unsigned long long)n->checked);
	}
	put_count(out, n->unchecked, "not compared", "answers, too large to keep one of them");
	put_count(out, n->version_changes, "changed", "answers of another version of the model");
	put_count(out, n->output_changes, "changed", "answers with other outputs than declared");
	put_count(out, n->redirects, "redirects", "answers that point elsewhere: not followed");
	put_count(out, n->key_refusals, "keys", "requests whose key was refused");
	if (t->kernel_stamped) {
		ps_strbuf_printf(out, "  stamped      %llu answers by the kernel\n",
				 (unsigned long long)t->kernel_stamped);
	}
}

static void put_tenant(struct ps_strbuf *out, const struct ps_load_tenant *plan,
		       const struct ps_load_tenant_result *t)
{
	put_verdict(out, plan, t);
	ps_strbuf_printf(out, "  requests     %llu scheduled, %llu sent, %llu ok\n",
			 (unsigned long long)t->scheduled, (unsigned long long)t->sent,
			 (unsigned long long)t->outcomes[PS_LOAD_OK]);
	ps_strbuf_printf(out, "  per second   offered %.1f, through %.1f, good %.1f\n",
			 t->offered_rps, t->throughput_rps, t->goodput_rps);
	if (t->batch > 1) {
		ps_strbuf_printf(out, "  inferences   %.6g per request\n", t->batch);
	}
	put_latency(out, t);
	put_hist(out, "service", &t->service_latency);
	put_hist(out, "first byte", &t->first_byte);
	put_hist(out, "send lag", &t->send_lag);
	put_hist(out, "uncorrected", &t->uncorrected);
	put_hist(out, "in queue", &t->server_queue);
	put_hist(out, "computing", &t->server_compute);
	put_failures(out, t);
	put_answers(out, t);
	if (t->late_limit) {
		ps_strbuf_printf(out, "  waited       %llu requests for a free connection\n",
				 (unsigned long long)t->late_limit);
	}
	if (t->records_dropped) {
		ps_strbuf_printf(out, "  records      %zu kept, %llu only counted\n", t->record_len,
				 (unsigned long long)t->records_dropped);
	}
}

static void put_share(struct ps_strbuf *out, const char *what, double share)
{
	if (share < 0) {
		ps_strbuf_printf(out, "%s unknown", what);
	} else {
		ps_strbuf_printf(out, "%s %.1f %%", what, 100 * share);
	}
}

static void put_machine(struct ps_strbuf *out, const struct ps_load_result *r)
{
	const struct ps_load_machine *m = &r->machine;

	if (m->readings == 0) {
		ps_strbuf_puts(out, "  machine      nobody watched it\n");
		return;
	}
	ps_strbuf_puts(out, "  machine     ");
	put_share(out, " steal", m->steal_ratio);
	put_share(out, ", throttled", m->throttled_ratio);
	if (m->mhz_min > 0) {
		ps_strbuf_printf(out, ", %.0f to %.0f MHz", m->mhz_min, m->mhz_max);
	} else {
		ps_strbuf_puts(out, ", clock frequency unknown");
	}
	ps_strbuf_putc(out, '\n');
}

static void put_generator(struct ps_strbuf *out, const struct ps_load_result *r)
{
	uint64_t sent = 0;
	char a[PS_UNITS_SIZE], cpus[PS_CPUS_SIZE];

	for (size_t i = 0; i < r->tenant_len; i++) {
		sent += r->tenants[i].sent + r->tenants[i].warmup_scheduled;
	}
	ps_strbuf_printf(out, "\ngenerator: %d thread%s on %s, CPU %s", r->threads,
			 r->threads == 1 ? "" : "s",
			 ps_cpus_count(&r->cpus) ? ps_cpus_format(&r->cpus, cpus) : "any CPU",
			 ps_units_format_duration(r->cpu_ns, a));
	if (sent) {
		ps_strbuf_printf(out, " (%s per request)",
				 ps_units_format_duration(r->cpu_ns / (int64_t)sent, a));
	}
	ps_strbuf_printf(out, "\n  clock        step %lld ns, a reading costs %lld ns\n",
			 (long long)r->clock_step_ns, (long long)r->clock_cost_ns);
	ps_strbuf_printf(out, "  timer slack  %lld ns\n", (long long)r->timer_slack_ns);
	put_hist(out, "bare timer", &r->probe);
	put_machine(out, r);
	for (int i = 0; i < r->note_len; i++) {
		ps_strbuf_printf(out, "  note         %s\n", r->notes[i]);
	}
}

void ps_cli_load_text(const struct ps_load_plan *plan, const struct ps_load_result *r,
		      struct ps_strbuf *out)
{
	char a[PS_UNITS_SIZE], b[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "%s measured after %s of warm-up%s, seed %llu%s\n",
			 ps_units_format_duration(r->duration_ns, a),
			 ps_units_format_duration(r->warmup_ns, b),
			 r->warmup_found ? " (found by MSER-5)" : "", (unsigned long long)r->seed,
			 r->cancelled ? ", stopped early" : "");
	if (r->look > 0) {
		ps_strbuf_printf(out, "look %d of a load that was repeated until decided\n",
				 r->look);
	}
	ps_strbuf_puts(out, "latency: " PS_LOAD_CLOCK ", over all requests\n"
			    "percentiles: nearest rank, with 95 % intervals\n");
	for (size_t i = 0; i < r->tenant_len; i++) {
		put_tenant(out, &plan->tenants[i], &r->tenants[i]);
	}
	put_generator(out, r);
}
