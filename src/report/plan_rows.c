/* plan_rows.c - the plan and the predictions as tables and sentences. */
#include "grid_internal.h"
#include "report_internal.h"

#include "conf/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- what is rented ---- */

struct kind {
	const struct ps_report_plan_machine *m;
	int64_t count;
};

static bool same_kind(const struct ps_report_plan_machine *a,
		      const struct ps_report_plan_machine *b)
{
	return strcmp(a->instance_type, b->instance_type) == 0 &&
	       strcmp(a->provider, b->provider) == 0 && strcmp(a->region, b->region) == 0 &&
	       strcmp(a->market, b->market) == 0 && a->usd_per_hour == b->usd_per_hour;
}

/* A plan rents few types, whatever its size. */
static size_t kinds_of(const struct ps_report_placement *p, struct kind *kinds)
{
	size_t n = 0;

	for (size_t i = 0; i < p->machine_len; i++) {
		size_t k = 0;
		while (k < n && !same_kind(kinds[k].m, &p->machines[i]))
			k++;
		if (k == n)
			kinds[n++] = (struct kind){.m = &p->machines[i]};
		kinds[k].count += p->machines[i].count;
	}
	return n;
}

static void rent_row(struct ps_report_grid *g, size_t r, int id, const struct kind *k)
{
	double each = k->m->usd_per_hour, hours = each * (double)k->count;

	ps_report_grid_set(g, r, 0, ps_report_placement_title(id));
	ps_report_grid_printf(g, r, 1, "%.80s%s%.40s%s%.40s", k->m->instance_type,
			      k->m->region[0] ? ", " : "", k->m->region,
			      k->m->market[0] ? ", " : "", k->m->market);
	ps_report_grid_printf(g, r, 2, "%lld", (long long)k->count);
	ps_report_grid_printf(g, r, 3, "%.4g", each);
	ps_report_grid_printf(g, r, 4, "%.2f", ps_cost_usd_per_month(hours));
}

void ps_report_grid_rent(const struct ps_report_plan *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"placement", "instance type", "machines",
					    "$/h each",	 "$ a month",	  NULL};
	struct kind *kinds[PS_REPORT_PLACEMENTS] = {0};
	size_t n[PS_REPORT_PLACEMENTS] = {0}, rows = 0, r = 0;
	bool failed = false;

	for (int i = 0; i < PS_REPORT_PLACEMENTS; i++) {
		kinds[i] = calloc(p->placements[i].machine_len + 1, sizeof **kinds);
		failed = failed || !kinds[i];
		n[i] = kinds[i] ? kinds_of(&p->placements[i], kinds[i]) : 0;
		rows += n[i];
	}
	ps_report_grid_init(g, "What is rented", heads, 3, rows);
	for (int i = 0; i < PS_REPORT_PLACEMENTS; i++) {
		for (size_t k = 0; k < n[i]; k++)
			rent_row(g, r++, i, &kinds[i][k]);
		free(kinds[i]);
	}
	g->failed = g->failed || failed;
}

/* ---- who runs where ---- */

static void guest_row(const struct ps_report_plan *p, const struct ps_report_plan_machine *m,
		      const struct ps_report_plan_guest *guest, struct ps_report_grid *g, size_t r)
{
	struct ps_stats_interval share = {.value = guest->share};
	struct ps_stats_interval headroom = {.value = guest->headroom};
	char text[PS_REPORT_CELL_SIZE];

	ps_report_grid_printf(g, r, 0, "%.80s%s%.80s", m->name, m->name[0] ? ", " : "",
			      m->instance_type);
	ps_report_grid_set(g, r, 1, p->tenants[guest->tenant].name);
	ps_report_grid_printf(g, r, 2, "%lld", (long long)m->count);
	ps_report_grid_set(g, r, 3, ps_report_number(guest->rps, text));
	ps_report_grid_set(g, r, 4, ps_report_percent(&share, text));
	ps_report_grid_set(g, r, 5, ps_report_number(guest->p99_ms, text));
	ps_report_grid_set(g, r, 6, ps_report_number(guest->p99_high_ms, text));
	ps_report_grid_set(g, r, 7, ps_report_number(guest->limit_ms, text));
	ps_report_grid_set(g, r, 8, ps_report_percent(&headroom, text));
}

void ps_report_grid_plan(const struct ps_report_plan *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"machine",	   "tenant", "machines", "rate/s", "of all",
					    "latency, ms", "up to",  "limit",	 "room",   NULL};
	const struct ps_report_placement *x = &p->placements[PS_REPORT_PLANNED];
	size_t rows = 0, r = 0;

	for (size_t i = 0; i < x->machine_len && rows < PS_REPORT_PLAN_SHOWN; i++)
		rows += x->machines[i].guest_len;
	rows = rows < PS_REPORT_PLAN_SHOWN ? rows : PS_REPORT_PLAN_SHOWN;
	ps_report_grid_init(
		g, "Who runs where in the plan, with predicted latency at the SLA's percentile",
		heads, 3, rows);
	for (size_t i = 0; i < x->machine_len; i++)
		for (size_t k = 0; k < x->machines[i].guest_len && r < g->len; k++)
			guest_row(p, &x->machines[i], &x->machines[i].guests[k], g, r++);
}

/* ---- what was measured of the plan ---- */

static void proved_row(const struct ps_report_proved *x, struct ps_report_grid *g, size_t r)
{
	char text[PS_REPORT_CELL_SIZE];

	ps_report_grid_printf(g, r, 0, "%.80s, %.60s", x->machines, x->instance_type);
	ps_report_grid_set(g, r, 1, x->tenant);
	ps_report_grid_set(g, r, 2, x->verdict);
	ps_report_grid_printf(g, r, 3, "p%g: %s", 100 * x->percentile,
			      ps_report_number(x->limit_ms, text));
	ps_report_grid_set(g, r, 4, ps_report_number(x->foreseen_ms, text));
	ps_report_grid_set(g, r, 5, ps_report_number(x->foreseen_high_ms, text));
	if (isinf(x->measured_ms.value))
		ps_report_grid_set(g, r, 6, "never");
	else
		ps_report_grid_set(g, r, 6,
				   ps_report_interval(&x->measured_ms, false, false, text));
	ps_report_grid_set(g, r, 7, ps_report_number(x->goodput_rps, text));
	ps_report_grid_set(g, r, 8, ps_report_number(x->usd_per_hour, text));
	ps_report_grid_set(g, r, 9, ps_report_number(x->usd_per_million_good, text));
}

void ps_report_grid_proved(const struct ps_report_plan *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {
		"machine", "tenant",   "SLA",	 "limit", "foreseen",
		"up to",   "measured", "good/s", "$/h",	  "$ per million good",
		NULL};
	size_t n = p->proved_len < PS_REPORT_PLAN_SHOWN ? p->proved_len : PS_REPORT_PLAN_SHOWN;

	ps_report_grid_init(g, "The plan as it was measured, latencies in ms", heads, 7, n);
	g->verdict_column = 2;
	for (size_t i = 0; i < g->len; i++)
		proved_row(&p->proved[i], g, i);
}

/* ---- predictions ---- */

void ps_report_grid_predictions(const struct ps_report_plan *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"what",  "unit",   "predicted", "measured",
					    "error", "inside", NULL};
	char text[PS_REPORT_CELL_SIZE];
	size_t n = p->prediction_len;

	ps_report_grid_init(g,
			    "Predicted against measured, and whether inside the predicted interval",
			    heads, 3 | 1 << 5, n < PS_REPORT_PLAN_SHOWN ? n : PS_REPORT_PLAN_SHOWN);
	for (size_t i = 0; i < g->len; i++) {
		const struct ps_report_prediction *x = &p->predictions[i];
		struct ps_stats_interval error = {.value = x->predicted.value / x->measured.value -
							   1};
		ps_report_grid_set(g, i, 0, x->what);
		ps_report_grid_set(g, i, 1, x->unit);
		ps_report_grid_set(g, i, 2, ps_report_interval(&x->predicted, false, false, text));
		ps_report_grid_set(g, i, 3, ps_report_interval(&x->measured, false, false, text));
		ps_report_grid_set(g, i, 4, ps_report_percent(&error, text));
		if (x->predicted.has_interval)
			ps_report_grid_set(g, i, 5,
					   x->measured.value >= x->predicted.lo &&
							   x->measured.value <= x->predicted.hi
						   ? "yes"
						   : "no");
	}
}

/* ---- sentences ---- */

static void say_cheaper(const struct ps_report_plan *p, enum ps_report_placement_id id,
			struct ps_strbuf *out)
{
	const struct ps_report_placement *x = &p->placements[id];
	double saved = 1 - p->placements[PS_REPORT_PLANNED].usd_per_hour / x->usd_per_hour;

	if (!x->known || !(x->usd_per_hour > 0))
		return;
	ps_strbuf_printf(out, " Against %s (%lld machines, $%.2f a month) that ",
			 ps_report_placement_title(id), (long long)x->machine_count,
			 ps_cost_usd_per_month(x->usd_per_hour));
	if (fabs(saved) < 5e-4)
		ps_strbuf_puts(out, "costs the same.");
	else
		ps_strbuf_printf(out, "%s %.1f %%.",
				 saved > 0 ? "saves" : "costs more:", 100 * fabs(saved));
}

void ps_report_plan_sentences(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	const struct ps_report_placement *x = &p->placements[PS_REPORT_PLANNED];

	if (!x->known)
		return;
	size_t n = strlen(p->verdict);
	if (n > 0)
		ps_strbuf_printf(out, "%s%s ", p->verdict, p->verdict[n - 1] == '.' ? "" : ".");
	ps_strbuf_printf(out, "The plan rents %lld machine%s for $%.2f a month.",
			 (long long)x->machine_count, x->machine_count == 1 ? "" : "s",
			 ps_cost_usd_per_month(x->usd_per_hour));
	say_cheaper(p, PS_REPORT_DEDICATED, out);
	say_cheaper(p, PS_REPORT_HOMOGENEOUS, out);
	if (!isnan(p->bound_usd_per_hour))
		ps_strbuf_printf(out, " No placement costs less than $%.2f a month.",
				 ps_cost_usd_per_month(p->bound_usd_per_hour));
	if (p->unplaced_len > 0)
		ps_strbuf_printf(out, " %zu tenants could not be placed.", p->unplaced_len);
}

void ps_report_plan_cut(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	if (p->prediction_len > PS_REPORT_PLAN_SHOWN)
		ps_strbuf_printf(out,
				 "\nThe first %d of %zu predictions are listed; JSON has all.\n",
				 PS_REPORT_PLAN_SHOWN, p->prediction_len);
	if (p->predictions_silent > 0)
		ps_strbuf_printf(out, "\nOf %zu more figures no candidate said anything.\n",
				 p->predictions_silent);
}

void ps_report_plan_text(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	void (*const tables[])(const struct ps_report_plan *, struct ps_report_grid *) = {
		ps_report_grid_rent, ps_report_grid_plan, ps_report_grid_proved,
		ps_report_grid_predictions};
	struct ps_strbuf said;

	if (!a->plan)
		return;
	ps_strbuf_init(&said);
	ps_report_plan_sentences(a->plan, &said);
	if (said.len > 0) {
		ps_strbuf_puts(out, "\nWhat to rent\n");
		ps_conf_wrap(out, said.data, said.len, 0, 0, width);
	}
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
	for (size_t i = 0; i < a->plan->unplaced_len; i++)
		ps_strbuf_printf(out, "- %s: %s\n",
				 a->plan->tenants[a->plan->unplaced[i].tenant].name,
				 a->plan->unplaced[i].reason);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		struct ps_report_grid g;
		tables[i](a->plan, &g);
		if (g.len > 0) {
			ps_strbuf_printf(out, "\n%s\n", g.title);
			ps_report_grid_text(&g, width, out);
		}
		ps_report_grid_fini(&g);
	}
	ps_report_plan_cut(a->plan, out);
}
