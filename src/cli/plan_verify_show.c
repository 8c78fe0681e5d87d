/* plan_verify_show.c - what a verification found, as text and JSON. */
#include "base/units.h"
#include "cli/plan_verify_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define MILLION	 1e6
#define PER_HOUR 3600.0

static const char *duration(double s, char buf[PS_UNITS_SIZE])
{
	return isfinite(s) && s < 9e9 ? ps_units_format_duration((int64_t)(s * 1e9), buf) : "never";
}

static const char *latency(int64_t ns, char buf[PS_UNITS_SIZE])
{
	return ns == PS_HIST_INFINITE ? "never" : ps_units_format_duration(ns, buf);
}

static const struct ps_plan_tenant *tenant_of(const struct ps_cli_proof *p,
					      const struct ps_cli_proof_tenant *t)
{
	return &p->c->tenants[t->tenant];
}

static double usd_per_million(double usd_per_hour, double rps)
{
	return rps > 0 ? usd_per_hour / (rps * PER_HOUR) * MILLION : INFINITY;
}

/* What is foreseen keeps its limit for the agreement's share of requests at least. */
static double foreseen_goodput(const struct ps_cli_proof *p, const struct ps_cli_proof_tenant *t)
{
	return t->rate_rps * tenant_of(p, t)->sla.percentile;
}

static double goodput_of(const struct ps_cli_proof_machine *m)
{
	double rps = 0;

	for (int j = 0; j < m->tenant_len; j++)
		rps += m->tenants[j].seen.goodput_rps;
	return rps;
}

/* ---- the sentence ---- */

struct counts {
	int met, violated, undecided, invalid; /* agreements on machines */
	int measured, absent;		       /* machines of the plan */
	const struct ps_cli_proof_machine *worst_machine, *absent_machine;
	const struct ps_cli_proof_tenant *worst;
};

static void count(const struct ps_cli_proof_round *r, struct counts *x)
{
	*x = (struct counts){0};
	for (int i = 0; i < r->machine_len; i++) {
		const struct ps_cli_proof_machine *m = &r->machines[i];
		bool further = i > 0 && r->machines[i - 1].alike[0] == m->alike[0];
		if (!m->measured && !x->absent_machine)
			x->absent_machine = m;
		x->absent += m->measured || further ? 0 : m->alike_len;
		x->measured += m->measured && !further;
		for (int j = 0; m->measured && j < m->tenant_len; j++) {
			enum ps_measure_verdict v = m->tenants[j].seen.verdict;
			x->met += v == PS_MEASURE_MET;
			x->undecided += v == PS_MEASURE_UNDECIDED;
			x->invalid += v == PS_MEASURE_INVALID;
			if (v == PS_MEASURE_VIOLATED && x->violated++ == 0) {
				x->worst = &m->tenants[j];
				x->worst_machine = m;
			}
		}
	}
}

static void put_failed(const struct ps_cli_proof *p, const struct counts *x, struct ps_strbuf *out)
{
	const struct ps_plan_tenant *t = tenant_of(p, x->worst);
	char sla[PS_SLA_SIZE], was[PS_UNITS_SIZE], high[PS_UNITS_SIZE];

	ps_strbuf_printf(
		out,
		"The plan FAILS: on machine %d %s broke \"%s\": p%g was %s, and at most %s "
		"were foreseen",
		x->worst_machine->alike[0] + 1, t->name, ps_sla_format(&t->sla, sla),
		t->sla.percentile * 100, latency(x->worst->seen.latency.value_ns, was),
		duration(x->worst->forecast.high_s, high));
	if (x->worst->seen.success < t->sla.min_success)
		ps_strbuf_printf(out, "; %.4g %% of its requests succeeded",
				 100 * x->worst->seen.success);
	if (x->violated > 1)
		ps_strbuf_printf(out, "; %d agreements more were broken", x->violated - 1);
	ps_strbuf_putc(out, '.');
}

static void put_held(const struct ps_cli_proof_round *r, const struct counts *x,
		     struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "The plan HOLDS: every agreement was kept");
	if (r->planned == 1)
		ps_strbuf_puts(out, " on its machine.");
	else if (x->measured == r->planned)
		ps_strbuf_printf(out, " on each of its %d machines.", r->planned);
	else
		ps_strbuf_printf(out,
				 " on %d of its %d machines that were measured; the others are "
				 "like those.",
				 x->measured, r->planned);
}

static void put_not_shown(const struct ps_cli_proof_round *r, const struct counts *x,
			  struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "The plan was NOT SHOWN to hold: ");
	if (x->absent > 0)
		ps_strbuf_printf(out, "%d of its %d machines %s not measured (machine %d: %s); ",
				 x->absent, r->planned, x->absent == 1 ? "was" : "were",
				 x->absent_machine ? x->absent_machine->alike[0] + 1 : 0,
				 x->absent_machine ? x->absent_machine->why : "");
	if (x->undecided > 0)
		ps_strbuf_printf(out, "%d agreement%s undecided; ", x->undecided,
				 x->undecided == 1 ? " is" : "s are");
	if (x->invalid > 0)
		ps_strbuf_printf(out, "of %d agreement%s no trial is VALID; ", x->invalid,
				 x->invalid == 1 ? "" : "s");
	ps_strbuf_printf(out, "%d agreement%s kept.", x->met, x->met == 1 ? " was" : "s were");
}

void ps_cli_proof_sentence(const struct ps_cli_proof *p, struct ps_strbuf *out)
{
	const struct ps_cli_proof_round *r = &p->rounds[p->round_len - 1];
	struct counts x;

	count(r, &x);
	if (r->verdict == PS_CLI_PROOF_FAILS && x.worst) {
		put_failed(p, &x, out);
	} else if (r->verdict == PS_CLI_PROOF_HOLDS) {
		put_held(r, &x, out);
	} else {
		put_not_shown(r, &x, out);
	}
	if (p->stop[0])
		ps_strbuf_printf(out, " It was not refined further: %s.", p->stop);
}

/* ---- text ---- */

/* Words in lines of at most 80 columns. */
static void put_wrapped(struct ps_strbuf *out, const char *text)
{
	size_t column = 0;

	while (*text) {
		size_t n = 0;
		while (text[n] && text[n] != ' ')
			n++;
		if (column > 0 && column + 1 + n > 79) {
			ps_strbuf_putc(out, '\n');
			column = 0;
		} else if (column > 0) {
			ps_strbuf_putc(out, ' ');
			column++;
		}
		ps_strbuf_append(out, text, n);
		column += n;
		text += n + (text[n] == ' ');
	}
	ps_strbuf_putc(out, '\n');
}

static void put_tenant(const struct ps_cli_proof *p, const struct ps_cli_proof_tenant *x,
		       struct ps_strbuf *out)
{
	const struct ps_plan_tenant *t = tenant_of(p, x);
	const struct ps_measure_judged *s = &x->seen;
	char sla[PS_SLA_SIZE], a[PS_UNITS_SIZE], b[PS_UNITS_SIZE], c[PS_UNITS_SIZE];

	ps_strbuf_printf(out, "  %-16.48s", t->name);
	if (strlen(t->name) > 16)
		ps_strbuf_printf(out, "\n  %16s", "");
	ps_strbuf_printf(out, " %7.4g/s  %s: %s\n", x->rate_rps, ps_sla_format(&t->sla, sla),
			 ps_measure_verdict_name(s->verdict));
	if (s->verdict == PS_MEASURE_SILENT)
		return;
	ps_strbuf_printf(out, "    foreseen %s, at most %s; measured %s",
			 duration(x->forecast.latency_s, a), duration(x->forecast.high_s, b),
			 latency(s->latency.value_ns, c));
	if (s->latency.has_interval)
		ps_strbuf_printf(out, " [%s, %s]", latency(s->latency.lo_ns, a),
				 latency(s->latency.hi_ns, b));
	ps_strbuf_printf(out, "\n    %llu requests, %llu late or lost; %.4g/s good",
			 (unsigned long long)s->requests, (unsigned long long)s->over,
			 s->goodput_rps);
	ps_strbuf_printf(out, "; %.3g $/h, %.3g $/M\n", x->usd_per_hour,
			 usd_per_million(x->usd_per_hour, s->goodput_rps));
	ps_strbuf_printf(out, "    foreseen: at least %.4g/s good, %.3g $/M\n",
			 foreseen_goodput(p, x),
			 usd_per_million(x->usd_per_hour, foreseen_goodput(p, x)));
	if (s->verdict == PS_MEASURE_UNDECIDED && s->needs_more > 0)
		ps_strbuf_printf(out, "    to be decided it needs about %llu requests more\n",
				 (unsigned long long)s->needs_more);
	if (s->verdict == PS_MEASURE_INVALID)
		ps_strbuf_printf(out, "    %.140s\n", x->reason);
}

static void put_alike(const struct ps_cli_proof_machine *m, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "machine %d", m->alike[0] + 1);
	for (int i = 1; i < m->alike_len && i < 6; i++)
		ps_strbuf_printf(out, "%s%d", i == 1 ? " (alike: " : ", ", m->alike[i] + 1);
	if (m->alike_len > 6)
		ps_strbuf_printf(out, " and %d more", m->alike_len - 6);
	ps_strbuf_puts(out, m->alike_len > 1 ? ")" : "");
}

static void put_machine(const struct ps_cli_proof *p, const struct ps_cli_proof_machine *m,
			struct ps_strbuf *out)
{
	char cpus[PS_CPUS_SIZE], eta[PS_UNITS_SIZE];

	ps_strbuf_putc(out, '\n');
	put_alike(m, out);
	ps_strbuf_printf(out, ": %s, %.4g $/h\n", p->c->types[m->type].name, m->usd_per_hour);
	if (!m->measured) {
		ps_strbuf_printf(out, "  NOT measured: %s\n", m->why);
		return;
	}
	ps_strbuf_printf(out, "  on CPUs %s%s; %d trial%s of %s together%s",
			 ps_cpus_format(&m->slot.cpus, cpus),
			 m->slot.generator_cpu < 0 ? ", shared with the load generator" : "",
			 m->trials, m->trials == 1 ? "" : "s",
			 ps_units_format_eta(m->measured_ns, eta), m->earlier ? ", earlier" : "");
	if (p->c->hours > 1)
		ps_strbuf_printf(out, "; stretch %d of the day", m->stretch + 1);
	if (m->passed_over[0])
		ps_strbuf_printf(out, "\n  measured anew: the store's was %s", m->passed_over);
	ps_strbuf_printf(out, "\n  %.4g/s good of all, %.3g $/M\n", goodput_of(m),
			 usd_per_million(m->usd_per_hour, goodput_of(m)));
	for (int j = 0; j < m->tenant_len; j++)
		put_tenant(p, &m->tenants[j], out);
}

static void put_corrections(const struct ps_cli_proof *p, int i, struct ps_strbuf *out)
{
	const struct ps_cli_proof_round *r = &p->rounds[i];

	if (r->correction_len == 0)
		return;
	ps_strbuf_puts(out, "\nCorrected by what was measured:\n");
	for (int k = 0; k < r->correction_len; k++)
		ps_strbuf_printf(out, "  service time of %s on %s x %.3g\n",
				 p->c->models[r->corrections[k].model].name,
				 p->c->types[r->corrections[k].type].name,
				 r->corrections[k].factor);
	if (i + 1 < p->round_len)
		ps_strbuf_printf(out,
				 "Planned again: %d machines for %.4g $/h, were %d for %.4g $/h.\n",
				 p->rounds[i + 1].planned, p->rounds[i + 1].usd_per_hour,
				 r->planned, r->usd_per_hour);
}

void ps_cli_proof_text(const struct ps_cli_proof *p, struct ps_strbuf *out)
{
	struct ps_strbuf sentence;

	if (p->round_len == 0)
		return;
	for (int i = 0; i < p->round_len; i++) {
		ps_strbuf_puts(out, i == 0 ? "\nMeasured here:\n" : "\nMeasured again:\n");
		for (int k = 0; k < p->rounds[i].machine_len; k++)
			put_machine(p, &p->rounds[i].machines[k], out);
		put_corrections(p, i, out);
	}
	ps_strbuf_puts(out,
		       "\n$/M: dollars per million good requests; a tenant's share of a machine's "
		       "price\nis that of its planned compute time.\n\n");
	ps_strbuf_init(&sentence);
	ps_cli_proof_sentence(p, &sentence);
	if (ps_strbuf_status(&sentence) == PS_OK)
		put_wrapped(out, sentence.data);
	else
		out->failed = true;
	ps_strbuf_fini(&sentence);
}

/* ---- JSON ---- */

/* null where nothing was measured, or too many requests had no good answer. */
static void set_ms(json_t *o, const char *key, bool known, int64_t ns)
{
	if (known && ns != PS_HIST_INFINITE)
		ps_json_set_real(o, key, (double)ns * 1e-6);
	else
		json_object_set_new(o, key, json_null());
}

static void set_finite(json_t *o, const char *key, double v)
{
	if (isfinite(v))
		ps_json_set_real(o, key, v);
	else
		json_object_set_new(o, key, json_null());
}

static json_t *tenant_json(const struct ps_cli_proof *p, const struct ps_cli_proof_tenant *x,
			   bool measured)
{
	const struct ps_plan_tenant *t = tenant_of(p, x);
	const struct ps_measure_judged *s = &x->seen;
	bool seen = measured && s->verdict != PS_MEASURE_SILENT;
	json_t *o = json_object();

	ps_json_set_string(o, "tenant", t->name);
	ps_json_set_real(o, "rps", x->rate_rps);
	ps_json_set_real(o, "percentile", t->sla.percentile);
	ps_json_set_real(o, "limit_ms", (double)t->sla.limit_ns * 1e-6);
	set_finite(o, "foreseen_ms", x->forecast.latency_s * 1e3);
	set_finite(o, "foreseen_high_ms", x->forecast.high_s * 1e3);
	ps_json_set_real(o, "usd_per_hour", x->usd_per_hour);
	ps_json_set_real(o, "foreseen_goodput_rps", foreseen_goodput(p, x));
	set_finite(o, "foreseen_usd_per_million_good",
		   usd_per_million(x->usd_per_hour, foreseen_goodput(p, x)));
	ps_json_set_string(o, "verdict",
			   measured ? ps_measure_verdict_name(s->verdict) : "not measured");
	if (!seen)
		return o;
	set_ms(o, "measured_ms", true, s->latency.value_ns);
	set_ms(o, "measured_low_ms", s->latency.has_interval, s->latency.lo_ns);
	set_ms(o, "measured_high_ms", s->latency.has_interval, s->latency.hi_ns);
	ps_json_set_int(o, "requests", (int64_t)s->requests);
	ps_json_set_int(o, "late_or_lost", (int64_t)s->over);
	ps_json_set_real(o, "success", s->success);
	ps_json_set_real(o, "goodput_rps", s->goodput_rps);
	if (s->service_s > 0)
		ps_json_set_real(o, "service_ms", s->service_s * 1e3);
	set_finite(o, "usd_per_million_good", usd_per_million(x->usd_per_hour, s->goodput_rps));
	if (s->verdict == PS_MEASURE_UNDECIDED)
		ps_json_set_int(o, "needs_more_requests", (int64_t)s->needs_more);
	if (s->verdict == PS_MEASURE_INVALID)
		ps_json_set_string(o, "reason", x->reason);
	return o;
}

static json_t *numbers_json(const struct ps_cli_proof_machine *m)
{
	json_t *all = json_array();
	char name[32];

	for (int i = 0; i < m->alike_len; i++) {
		snprintf(name, sizeof(name), "machine-%03d", m->alike[i] + 1);
		json_array_append_new(all, json_string(name));
	}
	return all;
}

static json_t *machine_json(const struct ps_cli_proof *p, const struct ps_cli_proof_machine *m)
{
	json_t *o = json_object(), *tenants = json_array();
	char cpus[PS_CPUS_SIZE];

	json_object_set_new(o, "machines", numbers_json(m));
	ps_json_set_string(o, "instance_type", p->c->types[m->type].name);
	ps_json_set_real(o, "usd_per_hour", m->usd_per_hour);
	ps_json_set_int(o, "stretch", m->stretch + 1);
	ps_json_set_bool(o, "measured", m->measured);
	if (m->measured) {
		ps_json_set_string(o, "cpus", ps_cpus_format(&m->slot.cpus, cpus));
		ps_json_set_bool(o, "generator_shares_cpus", m->slot.generator_cpu < 0);
		ps_json_set_int(o, "trials", m->trials);
		ps_json_set_real(o, "measured_s", (double)m->measured_ns * 1e-9);
		ps_json_set_bool(o, "earlier", m->earlier);
		ps_json_set_string(o, "passed_over", m->passed_over[0] ? m->passed_over : NULL);
		ps_json_set_real(o, "goodput_rps", goodput_of(m));
		set_finite(o, "usd_per_million_good",
			   usd_per_million(m->usd_per_hour, goodput_of(m)));
	} else {
		ps_json_set_string(o, "why", m->why);
	}
	for (int j = 0; j < m->tenant_len; j++)
		json_array_append_new(tenants, tenant_json(p, &m->tenants[j], m->measured));
	json_object_set_new(o, "tenants", tenants);
	return o;
}

static json_t *round_json(const struct ps_cli_proof *p, const struct ps_cli_proof_round *r)
{
	static const char *const names[] = {
		[PS_CLI_PROOF_HOLDS] = "holds",
		[PS_CLI_PROOF_FAILS] = "fails",
		[PS_CLI_PROOF_NOT_SHOWN] = "not shown",
	};
	json_t *o = json_object(), *machines = json_array(), *corrections = json_array();

	ps_json_set_string(o, "verdict", names[r->verdict]);
	ps_json_set_int(o, "machines", r->planned);
	ps_json_set_real(o, "usd_per_hour", r->usd_per_hour);
	for (int i = 0; i < r->machine_len; i++)
		json_array_append_new(machines, machine_json(p, &r->machines[i]));
	json_object_set_new(o, "measured", machines);
	for (int i = 0; i < r->correction_len; i++) {
		const struct ps_cli_proof_correction *x = &r->corrections[i];
		json_t *c = json_object();
		ps_json_set_string(c, "model", p->c->models[x->model].name);
		ps_json_set_string(c, "instance_type", p->c->types[x->type].name);
		ps_json_set_real(c, "service_time_factor", x->factor);
		json_array_append_new(corrections, c);
	}
	json_object_set_new(o, "corrections", corrections);
	return o;
}

/* Who shows a plan by its verdict alone shows this, too. */
static void add_to_verdict(json_t *plan, const char *sentence)
{
	struct ps_strbuf both;

	ps_strbuf_init(&both);
	ps_strbuf_printf(&both, "%s. %s", ps_json_get_string(plan, "verdict", ""), sentence);
	if (ps_strbuf_status(&both) == PS_OK)
		ps_json_set_string(plan, "verdict", both.data);
	ps_strbuf_fini(&both);
}

void ps_cli_proof_json(const struct ps_cli_proof *p, json_t *plan)
{
	struct ps_strbuf sentence;
	json_t *o = json_object(), *rounds = json_array(), *last;

	if (p->round_len == 0) {
		json_decref(o);
		json_decref(rounds);
		return;
	}
	for (int i = 0; i < p->round_len; i++)
		json_array_append_new(rounds, round_json(p, &p->rounds[i]));
	last = json_array_get(rounds, (size_t)p->round_len - 1);
	json_object_set(o, "verdict", json_object_get(last, "verdict"));
	ps_strbuf_init(&sentence);
	ps_cli_proof_sentence(p, &sentence);
	if (ps_strbuf_status(&sentence) == PS_OK) {
		ps_json_set_string(o, "sentence", sentence.data);
		add_to_verdict(plan, sentence.data);
	}
	ps_strbuf_fini(&sentence);
	json_object_set_new(o, "rounds", rounds);
	json_object_set_new(plan, "verification", o);
}
