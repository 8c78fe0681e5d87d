/* plan_replay_show.c - what became of a replay, as text and JSON. */
#include "base/units.h"
#include "cli/plan_replay_internal.h"

#include <math.h>
#include <stdio.h>

/* ---- text ---- */

static const char *duration(int64_t ns, char buf[PS_UNITS_SIZE])
{
	return ns == PS_HIST_INFINITE ? "never" : ps_units_format_duration(ns, buf);
}

/* "13:05", with a day before it after the first. */
static const char *instant(int64_t ns, char buf[PS_UNITS_SIZE])
{
	int64_t minutes = ns / INT64_C(60000000000);
	int day = (int)(minutes / 1440), rest = (int)(minutes % 1440);

	if (day > 0)
		snprintf(buf, PS_UNITS_SIZE, "day %d %02d:%02d", day + 1, rest / 60, rest % 60);
	else
		snprintf(buf, PS_UNITS_SIZE, "%02d:%02d", rest / 60, rest % 60);
	return buf;
}

static void head(const struct ps_cli_replay *r, struct ps_strbuf *out)
{
	char length[PS_UNITS_SIZE], interval[PS_UNITS_SIZE];
	int n = r->a->c->n_tenants;

	ps_strbuf_printf(out, "\nReplay over %s (intervals of %s), %lld requests, seed %llu: ",
			 ps_units_format_eta(r->options.length_ns, length),
			 ps_units_format_eta(r->options.interval_ns, interval),
			 (long long)r->requests, (unsigned long long)r->seed);
	if (r->broken == 0)
		ps_strbuf_printf(out, "the agreement%s held.\n", n == 1 ? "" : "s of all tenants");
	else
		ps_strbuf_printf(out, "of %d tenant%s, the agreement%s of %d did NOT hold.\n", n,
				 n == 1 ? "" : "s", r->broken == 1 ? "" : "s", r->broken);
	ps_strbuf_printf(out,
			 "Simulated, not measured; mean service times: %s. Latencies are over all "
			 "requests, refused ones above every value.\n",
			 ps_cli_replay_services[r->options.service]);
}

static void traffic_row(const struct ps_cli_replay *r, int i, struct ps_strbuf *out)
{
	const struct ps_cli_replay_tenant *t = &r->tenants[i];
	const struct ps_cli_replay_counts *c = &t->counts;
	double s = (double)r->options.length_ns * 1e-9;
	int source = r->sources.of[i];

	ps_strbuf_printf(out, "  %-20s %12lld %9.3g/s %9.3g/s %9.4g/s %9lld %8lld  %s\n",
			 r->a->c->tenants[i].name, (long long)c->requests,
			 r->a->c->tenants[i].peak_rps, t->busiest_rps, (double)c->in_time / s,
			 (long long)c->refused, (long long)c->expired,
			 source < 0 ? "the plan's rates" : r->sources.items[source].path);
}

static void latency_row(const struct ps_cli_replay *r, int i, struct ps_strbuf *out)
{
	const struct ps_cli_replay_tenant *t = &r->tenants[i];
	const struct ps_plan_tenant *p = &r->a->c->tenants[i];
	const struct ps_sim_replay_hour *w = &t->places[t->worst].worst;
	char b[7][PS_UNITS_SIZE], sla[24], at[PS_UNITS_SIZE], broken[40];

	snprintf(sla, sizeof(sla), "p%g", p->sla.percentile * 100);
	snprintf(broken, sizeof(broken), "%d of %d", t->broken, t->intervals);
	ps_strbuf_printf(out, "  %-20s %9s %9s %9s  %-5s %9s %9s %10s %10s %-11s %12s  %s\n",
			 p->name, duration(t->day.p50_ns, b[0]), duration(t->day.p95_ns, b[1]),
			 duration(t->day.p99_ns, b[2]), sla, duration(p->sla.limit_ns, b[3]),
			 duration(t->day.at_sla_ns, b[4]),
			 duration((int64_t)(t->foreseen_s * 1e9), b[5]),
			 w->requests > 0 ? duration(w->at_sla_ns, b[6]) : "-",
			 w->requests > 0 ? instant(w->from_ns, at) : "", broken,
			 t->kept ? "held" : "NOT HELD");
}

/* Those whose agreement did not hold come first, so that no cut hides one. */
static void rows(const struct ps_cli_replay *r, int most, struct ps_strbuf *out,
		 void (*row)(const struct ps_cli_replay *, int, struct ps_strbuf *))
{
	int shown = 0, n = r->a->c->n_tenants;

	for (int pass = 0; pass < 2; pass++)
		for (int i = 0; i < n && shown < most; i++)
			if (r->tenants[i].kept == (pass == 1)) {
				row(r, i, out);
				shown++;
			}
	if (shown < n)
		ps_strbuf_printf(out, "  and %d more: --json has all\n", n - shown);
}

static void machine_row(const struct ps_cli_replay *r, int i, struct ps_strbuf *out)
{
	const struct ps_cli_replay_machine *m = &r->machines[i];
	const struct ps_plan_rented *p = &r->a->machines[i];
	char at[PS_UNITS_SIZE];

	ps_strbuf_printf(out,
			 "  machine %d: %s: busy %.1f %%, %.1f %% in its busiest hour (from %s), "
			 "planned %.0f %%; %lld of %lld requests not served\n",
			 i + 1, r->a->c->types[p->type].name, 100 * m->busy, 100 * m->busy_most,
			 instant(m->busy_most_from_ns, at), 100 * p->state.share,
			 (long long)m->refused, (long long)m->requests);
}

void ps_cli_replay_text(const struct ps_cli_replay *r, int most, struct ps_strbuf *out)
{
	int n = r->asked ? r->a->result.plan.n : 0;

	if (!r->asked)
		return;
	head(r, out);
	ps_strbuf_printf(out, "\n  %-20s %12s %11s %11s %11s %9s %8s  %s\n", "tenant", "requests",
			 "planned", "busiest", "goodput", "refused", "expired", "arrivals");
	rows(r, most, out, traffic_row);
	ps_strbuf_printf(out, "\n  %-20s %9s %9s %9s  %-5s %9s %9s %10s %10s %-11s %12s\n",
			 "tenant", "p50", "p95", "p99", "SLA", "limit", "replayed", "foreseen",
			 "worst hour", "from", "broken");
	rows(r, most, out, latency_row);
	ps_strbuf_putc(out, '\n');
	for (int i = 0; i < n && i < most; i++)
		machine_row(r, i, out);
	if (n > most)
		ps_strbuf_printf(out, "  and %d more machines: --json has all\n", n - most);
}

/* ---- JSON ---- */

/* null: it falls on a request that was not served, which never got an answer. */
static void set_ms(json_t *o, const char *key, int64_t ns)
{
	if (ns == PS_HIST_INFINITE)
		json_object_set_new(o, key, json_null());
	else
		ps_json_set_real(o, key, (double)ns * 1e-6);
}

static void set_latency(json_t *o, const struct ps_cli_replay_latency *l)
{
	set_ms(o, "p50_ms", l->p50_ns);
	set_ms(o, "p95_ms", l->p95_ns);
	set_ms(o, "p99_ms", l->p99_ns);
	set_ms(o, "at_percentile_ms", l->at_sla_ns);
}

static void set_counts(json_t *o, const struct ps_cli_replay *r,
		       const struct ps_cli_replay_counts *c)
{
	json_t *reasons = json_object();

	ps_json_set_int(o, "requests", c->requests);
	ps_json_set_int(o, "served", c->served);
	ps_json_set_int(o, "in_time", c->in_time);
	ps_json_set_int(o, "refused", c->refused);
	ps_json_set_int(o, "expired", c->expired);
	ps_json_set_real(o, "goodput_rps", (double)c->in_time * 1e9 / (double)r->options.length_ns);
	for (int i = 0; i < PS_DISPATCH_REASON_COUNT; i++)
		if (c->reasons[i] > 0)
			ps_json_set_int(reasons, ps_dispatch_reason_name(i), c->reasons[i]);
	json_object_set_new(o, "not_served", reasons);
}

static json_t *hour_json(const struct ps_sim_replay_hour *w)
{
	json_t *o = json_object();

	if (w->requests == 0)
		return json_decref(o), json_null();
	ps_json_set_real(o, "from_s", (double)w->from_ns * 1e-9);
	ps_json_set_int(o, "requests", w->requests);
	set_ms(o, "p50_ms", w->p50_ns);
	set_ms(o, "p95_ms", w->p95_ns);
	set_ms(o, "p99_ms", w->p99_ns);
	set_ms(o, "at_percentile_ms", w->at_sla_ns);
	return o;
}

static json_t *place_json(const struct ps_cli_replay *r, const struct ps_cli_replay_place *p)
{
	json_t *o = json_object();
	char name[32];

	snprintf(name, sizeof(name), "machine-%03d", p->machine + 1);
	ps_json_set_string(o, "machine", name);
	set_counts(o, r, &p->counts);
	set_latency(o, &p->day);
	ps_json_set_real(o, "foreseen_ms", p->foreseen_s * 1e3);
	ps_json_set_real(o, "foreseen_high_ms", p->high_s * 1e3);
	json_object_set_new(o, "worst_hour", hour_json(&p->worst));
	return o;
}

static json_t *tenant_json(const struct ps_cli_replay *r, int i)
{
	const struct ps_cli_replay_tenant *t = &r->tenants[i];
	const struct ps_plan_tenant *p = &r->a->c->tenants[i];
	json_t *o = json_object(), *places = json_array();
	int source = r->sources.of[i];

	ps_json_set_string(o, "name", p->name);
	ps_json_set_string(o, "arrivals", source < 0 ? "rates" : r->sources.items[source].path);
	ps_json_set_real(o, "planned_rps", p->peak_rps);
	ps_json_set_real(o, "busiest_rps", t->busiest_rps);
	set_counts(o, r, &t->counts);
	set_latency(o, &t->day);
	ps_json_set_real(o, "percentile", p->sla.percentile);
	ps_json_set_real(o, "limit_ms", (double)p->sla.limit_ns * 1e-6);
	ps_json_set_real(o, "foreseen_ms", t->foreseen_s * 1e3);
	ps_json_set_real(o, "foreseen_high_ms", t->high_s * 1e3);
	ps_json_set_bool(o, "kept", t->kept);
	ps_json_set_int(o, "intervals", t->intervals);
	ps_json_set_int(o, "intervals_broken", t->broken);
	json_object_set_new(o, "worst_hour", hour_json(&t->places[t->worst].worst));
	for (int k = 0; k < t->n; k++)
		json_array_append_new(places, place_json(r, &t->places[k]));
	json_object_set_new(o, "machines", places);
	return o;
}

static json_t *machine_json(const struct ps_cli_replay *r, int i)
{
	const struct ps_cli_replay_machine *m = &r->machines[i];
	json_t *o = json_object();
	char name[32];

	snprintf(name, sizeof(name), "machine-%03d", i + 1);
	ps_json_set_string(o, "name", name);
	ps_json_set_int(o, "requests", m->requests);
	ps_json_set_int(o, "not_served", m->refused);
	ps_json_set_real(o, "busy", m->busy);
	ps_json_set_real(o, "busy_in_busiest_hour", m->busy_most);
	ps_json_set_real(o, "busiest_hour_from_s", (double)m->busy_most_from_ns * 1e-9);
	ps_json_set_real(o, "planned_busy", r->a->machines[i].state.share);
	return o;
}

void ps_cli_replay_json(const struct ps_cli_replay *r, json_t *plan)
{
	json_t *o, *tenants, *machines;

	if (!r->asked)
		return;
	o = json_object();
	tenants = json_array();
	machines = json_array();
	ps_json_set_real(o, "seconds", (double)r->options.length_ns * 1e-9);
	ps_json_set_real(o, "interval_s", (double)r->options.interval_ns * 1e-9);
	ps_json_set_int(o, "seed", (int64_t)r->seed);
	ps_json_set_string(o, "rate", ps_cli_replay_rates[r->options.rate]);
	ps_json_set_string(o, "service", ps_cli_replay_services[r->options.service]);
	ps_json_set_int(o, "requests", r->requests);
	ps_json_set_int(o, "tenants_broken", r->broken);
	for (int i = 0; i < r->a->c->n_tenants; i++)
		json_array_append_new(tenants, tenant_json(r, i));
	for (int i = 0; i < r->a->result.plan.n; i++)
		json_array_append_new(machines, machine_json(r, i));
	json_object_set_new(o, "tenants", tenants);
	json_object_set_new(o, "machines", machines);
	json_object_set_new(plan, "replay", o);
}
