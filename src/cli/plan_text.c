#include "base/units.h"
#include "cli/plan_from_internal.h"
#include "cli/plan_out_internal.h"

#include <math.h>
#include <stdio.h>

const char *ps_cli_plan_bound_text(enum ps_plan_bound by)
{
	static const char *const texts[] = {
		[PS_PLAN_FRACTIONAL] = "fractional load and memory",
		[PS_PLAN_COMPANY] = "fractional load and memory, slowed down by company where "
				    "there is some",
		[PS_PLAN_PATTERNS] = "all sets that fit a machine, with machines in fractions; "
				     "exact pricing",
		[PS_PLAN_COMPLETE] = "all sets that a cheaper plan could use, in whole machines",
	};

	return texts[by];
}

static const char *duration(double s, char buf[PS_UNITS_SIZE])
{
	if (!isfinite(s) || s > 9e9)
		return "never";
	return ps_units_format_duration((int64_t)(s * 1e9), buf);
}

static double saving(double mine, double other)
{
	return other > 0 ? 100 * (1 - mine / other) : 0;
}

static void head(const struct ps_plan_answer *a, struct ps_strbuf *out)
{
	const struct ps_plan_result *r = &a->result;
	double usd = r->plan.usd_per_hour, bound = r->bound_usd_per_hour;

	ps_strbuf_printf(out, "%d tenant%s on %d machine%s: %.4g $/h, %.5g $/month.\n",
			 a->c->n_tenants, a->c->n_tenants == 1 ? "" : "s", r->plan.n,
			 r->plan.n == 1 ? "" : "s", usd, ps_cost_usd_per_month(usd));
	if (r->optimal)
		ps_strbuf_puts(out, "No plan for these parts is cheaper");
	else
		ps_strbuf_printf(
			out,
			"No plan for these parts costs under %.4g $/h: this one is at most "
			"%.2g %% dearer",
			bound, 100 * (usd / bound - 1));
	ps_strbuf_printf(out, " (bound: %s).\n", ps_cli_plan_bound_text(r->bound_by));
	ps_strbuf_printf(out, "However traffic is split: at least %.4g $/h.\n",
			 fmin(usd, a->any_split_usd_per_hour));
	if (r->cut_by_time)
		ps_strbuf_puts(out, "The search was cut by its time limit.\n");
}

static void other(const struct ps_plan_answer *a, const char *name, const struct ps_plan_other *o,
		  struct ps_strbuf *out)
{
	double mine = a->result.plan.usd_per_hour;

	if (o->machines == 0) {
		ps_strbuf_printf(out, "%-28s %8s  %s\n", name, "none", o->why ? o->why : "");
		return;
	}
	ps_strbuf_printf(out, "%-28s %8d %10.4g %10.5g", name, o->machines, o->usd_per_hour,
			 ps_cost_usd_per_month(o->usd_per_hour));
	/* against what keeps no agreements nothing is saved or lost */
	if (o->broken > 0)
		ps_strbuf_printf(out, " %9s", "no plan");
	else
		ps_strbuf_printf(out, " %7.1f %%", saving(mine, o->usd_per_hour));
	if (o->type >= 0)
		ps_strbuf_printf(out, "  %s", a->c->types[o->type].name);
	if (o->broken > 0)
		ps_strbuf_printf(out, "; %d part%s would break %s agreement", o->broken,
				 o->broken == 1 ? "" : "s", o->broken == 1 ? "its" : "their");
	ps_strbuf_putc(out, '\n');
}

static void others(const struct ps_plan_answer *a, struct ps_strbuf *out)
{
	double usd = a->result.plan.usd_per_hour;

	if (a->dedicated.machines == 0)
		return;
	ps_strbuf_printf(out, "\n%-28s %8s %10s %10s %9s\n", "", "machines", "$/h", "$/month",
			 "saved");
	ps_strbuf_printf(out, "%-28s %8d %10.4g %10.5g\n", "this plan", a->result.plan.n, usd,
			 ps_cost_usd_per_month(usd));
	other(a, "dedicated machines", &a->dedicated, out);
	other(a, "best with one type", &a->homogeneous, out);
	other(a, "first fit by CPU to 70 %", &a->first_fit, out);
}

static void spot(const struct ps_plan_answer *a, struct ps_strbuf *out)
{
	if (!(a->without_spot_usd_per_hour > 0))
		return;
	ps_strbuf_printf(out, "\nWithout spot machines: %.4g $/h. ", a->without_spot_usd_per_hour);
	if (!a->split.with_spot)
		ps_strbuf_puts(out, "With them, and the replicas that outlive a revocation, it is "
				    "not cheaper.\n");
	else if (a->split.with_spot == PS_PLAN_SPOT_REPLACED)
		ps_strbuf_printf(
			out,
			"Spot prices are expected ones, with machines that start anew; about %.3g "
			"revocations a month. Each is said so long before that a machine that is "
			"started then serves in time, and no replica is rented to outlive it. "
			"Without counting on the notice: %.4g $/h.\n",
			a->revocations_per_month, a->without_notice_usd_per_hour);
	else
		ps_strbuf_printf(
			out,
			"Spot prices are expected ones, with machines that start anew; about %.3g "
			"revocations a month. One at a time is outlived by the other replicas; two "
			"or more of %s's machines are away together %.2g %% of the time.\n",
			a->revocations_per_month, a->c->tenants[a->two_away_tenant].name,
			100 * a->two_away);
}

static void place(const struct ps_plan_answer *a, const struct ps_plan_place *p,
		  struct ps_strbuf *out)
{
	const struct ps_plan_tenant *t = &a->c->tenants[p->tenant];
	char limit[PS_UNITS_SIZE], middle[PS_UNITS_SIZE], high[PS_UNITS_SIZE], sla[24];

	snprintf(sla, sizeof(sla), "p%g", t->sla.percentile * 100);
	ps_strbuf_printf(out, "  %-20s %-18s %6.1f %% %9.3g/s  %-5s %9s %10s %10s %7.1f %%%s\n",
			 t->name, a->c->models[t->model].name, 100 * p->traffic,
			 t->peak_rps * p->traffic, sla, duration(p->forecast.limit_s, limit),
			 duration(p->forecast.latency_s, middle),
			 duration(p->forecast.high_s, high),
			 100 * (1 - p->forecast.high_s / p->forecast.limit_s),
			 p->forecast.extrapolated ? " *" : "");
}

static bool machine(const struct ps_plan_answer *a, int i, struct ps_strbuf *out)
{
	const struct ps_plan_rented *m = &a->machines[i];
	const struct ps_plan_case_type *t = &a->c->types[m->type];
	bool marked = false;

	ps_strbuf_printf(out,
			 "\nmachine %d: %s, %.4g $/h; busy %.0f %%, memory %.0f %%, all rates may "
			 "grow by %.0f %%\n",
			 i + 1, t->name, t->usd_per_hour, 100 * m->state.share,
			 100 * m->state.memory_share, 100 * m->state.growth);
	ps_strbuf_printf(out, "  %-20s %-18s %8s %11s  %-5s %9s %10s %10s %9s\n", "tenant", "model",
			 "traffic", "requests", "SLA", "limit", "foreseen", "upper end",
			 "headroom");
	for (int j = 0; j < m->n; j++) {
		place(a, &m->places[j], out);
		marked |= m->places[j].forecast.extrapolated;
	}
	return marked;
}

static bool is_rented(const struct ps_plan_answer *a, int type)
{
	for (int i = 0; i < a->result.plan.n; i++)
		if (a->machines[i].type == type)
			return true;
	return false;
}

/* What is planned with is not what the profiles or the store say. */
static void corrections(const struct ps_plan_answer *a, struct ps_strbuf *out)
{
	const struct ps_plan_case *c = a->c;
	int n = 0;

	for (int t = 0; c->corrected && t < c->n_types; t++) {
		for (int m = 0; is_rented(a, t) && m < c->n_models; m++) {
			double factor = ps_plan_case_corrected(c, t, m);
			if (!(factor > 1))
				continue;
			if (n++ == 0)
				ps_strbuf_puts(out, "\nService times corrected by what was "
						    "measured of plans:\n");
			ps_strbuf_printf(out, "  %s on %s: x %.4g\n", c->models[m].name,
					 c->types[t].name, factor);
		}
	}
}

void ps_cli_plan_text(const struct ps_plan_answer *a, int most, struct ps_strbuf *out)
{
	int n = a->result.plan.n < most ? a->result.plan.n : most;
	bool marked = false;

	head(a, out);
	others(a, out);
	spot(a, out);
	for (int i = 0; i < n; i++)
		marked |= machine(a, i, out);
	if (n < a->result.plan.n)
		ps_strbuf_printf(out, "\n%d machines more: --machines or --json shows them.\n",
				 a->result.plan.n - n);
	ps_strbuf_printf(out,
			 "\nforeseen: from the middle of the service times; upper end: at %g %% "
			 "confidence, which is what must keep the limit.\n",
			 100 * a->c->file.confidence);
	if (marked)
		ps_strbuf_puts(out, "*: the model was not measured on this type; its service time "
				    "is that of another one.\n");
	ps_cli_plan_from_text(a, most, out);
	corrections(a, out);
}
