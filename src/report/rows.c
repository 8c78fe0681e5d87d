/* rows.c - the tables of a report, with all their columns, for the page and for Markdown. */
#include "grid_internal.h"
#include "report_internal.h"

#include "base/units.h"

#include <math.h>

static void name_cells(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct ps_report_grid *g, size_t r)
{
	char label[PS_REPORT_LABEL_SIZE];

	ps_report_grid_set(g, r, 0, a->campaign->tenants[l->tenant].name);
	ps_report_grid_set(g, r, 1, ps_report_set_label(a, l->set, label));
}

void ps_report_grid_asked(const struct ps_report_answer *a, struct ps_report_grid *g)
{
	static const char *const heads[] = {"tenant", "model", "SLA", "demand, requests/s", NULL};
	const struct ps_store_campaign *c = a->campaign;
	char sla[PS_SLA_SIZE], number[PS_REPORT_CELL_SIZE];

	ps_report_grid_init(g, "What was asked", heads, 7, c->tenant_len);
	for (size_t i = 0; i < g->len; i++) {
		ps_report_grid_set(g, i, 0, c->tenants[i].name);
		ps_report_grid_set(g, i, 1, c->tenants[i].model);
		ps_report_grid_set(g, i, 2, ps_sla_format(&c->tenants[i].sla, sla));
		ps_report_grid_set(g, i, 3, ps_report_number(c->tenants[i].demand_rps, number));
	}
}

bool ps_report_has_other_percentile(const struct ps_report_answer *a)
{
	for (size_t i = 0; i < a->campaign->tenant_len; i++) {
		double p = a->campaign->tenants[i].sla.percentile;
		if (p > 0 && p != 0.5 && p != 0.95 && p != 0.99)
			return true;
	}
	return false;
}

static void demand_row(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct ps_report_grid *g, size_t r)
{
	char text[PS_REPORT_CELL_SIZE];

	name_cells(a, l, g, r);
	ps_report_grid_set(g, r, 2, ps_report_verdict_name(l->verdict));
	ps_report_grid_set(g, r, 3,
			   ps_report_number(a->campaign->tenants[l->tenant].demand_rps, text));
	ps_report_grid_set(g, r, 7, ps_report_interval(&l->slowdown, false, false, text));
	if (l->requests == 0)
		return;
	ps_report_grid_set(g, r, 4, ps_report_ms(l->p50.value_ns, text));
	ps_report_grid_set(g, r, 5, ps_report_ms(l->p95.value_ns, text));
	ps_report_grid_set(g, r, 6, ps_report_quantile(&l->p99, text));
	ps_report_grid_printf(g, r, 8, "%llu", (unsigned long long)l->requests);
	ps_report_grid_printf(g, r, 9, "%llu", (unsigned long long)l->over);
	ps_report_grid_set(g, r, 10, ps_report_number(l->goodput_rps, text));
	if (g->columns > 11)
		ps_report_grid_printf(g, r, 11, "p%g: %s", 100 * l->at_sla.p,
				      ps_report_quantile(&l->at_sla, text));
}

void ps_report_grid_demand(const struct ps_report_answer *a, struct ps_report_grid *g)
{
	static const char *const heads[] = {
		"tenant",   "set",	"SLA",	"rate/s",    "p50, ms",	       "p95, ms", "p99, ms",
		"slowdown", "requests", "late", "goodput/s", "at the SLA, ms", NULL};

	ps_report_grid_init(g, "Latency at the demand rates", heads, 7, a->line_len);
	if (!ps_report_has_other_percentile(a))
		g->columns--;
	g->verdict_column = 2;
	for (size_t i = 0; i < g->len; i++)
		demand_row(a, &a->lines[i], g, i);
}

static void capacity_row(const struct ps_report_answer *a, const struct ps_report_line *l,
			 struct ps_report_grid *g, size_t r)
{
	struct ps_stats_interval share = {.value = l->compute_share};
	char text[PS_REPORT_CELL_SIZE];

	name_cells(a, l, g, r);
	if (l->capacity_known)
		ps_report_grid_set(
			g, r, 2,
			ps_report_interval(&l->capacity_rps, l->open_below, l->open_above, text));
	ps_report_grid_set(g, r, 3, ps_report_number(l->held_rps, text));
	ps_report_grid_set(
		g, r, 4,
		ps_report_interval(&l->usd_per_million, l->open_above, l->open_below, text));
	ps_report_grid_set(g, r, 5, ps_report_percent(&share, text));
}

void ps_report_grid_capacity(const struct ps_report_answer *a, struct ps_report_grid *g)
{
	static const char *const heads[] = {"tenant",
					    "set",
					    "requests/s",
					    "held in a fresh trial at, requests/s",
					    "$ per million inferences",
					    "share of compute",
					    NULL};

	ps_report_grid_init(g, "Capacity and cost at the SLA", heads, 3, a->line_len);
	for (size_t i = 0; i < g->len; i++)
		capacity_row(a, &a->lines[i], g, i);
}

static void saving_row(const struct ps_report_answer *a, const struct ps_report_comparison *c,
		       struct ps_report_grid *g, size_t r)
{
	char text[PS_REPORT_CELL_SIZE];

	ps_report_grid_set(g, r, 0, a->campaign->sets[c->set].name);
	ps_report_grid_set(g, r, 6, ps_report_percent(&c->cpu_saving, text));
	if (!c->possible)
		return;
	ps_report_grid_set(g, r, 1, ps_report_percent(&c->fluid_saving, text));
	ps_report_grid_set(g, r, 2, ps_report_percent(&c->full_load_saving, text));
	ps_report_grid_set(g, r, 3, ps_report_interval(&c->machines.apart, false, false, text));
	ps_report_grid_set(g, r, 4, ps_report_interval(&c->machines.together, false, false, text));
	ps_report_grid_set(g, r, 5, ps_report_percent(&c->machines.saving, text));
}

void ps_report_grid_savings(const struct ps_report_answer *a, struct ps_report_grid *g)
{
	static const char *const heads[] = {"set",
					    "fluid, at the demand rates",
					    "fluid, at full load",
					    "machines apart",
					    "machines together",
					    "machine saving",
					    "CPU time",
					    NULL};

	ps_report_grid_init(g, "What sharing saves", heads, 1, a->comparison_len);
	for (size_t i = 0; i < g->len; i++)
		saving_row(a, &a->comparisons[i], g, i);
}

void ps_report_grid_machine(const struct ps_report_answer *a, struct ps_report_grid *g)
{
	static const char *const heads[] = {"set",
					    "trials",
					    "server, CPUs busy",
					    "server, CPU ms/request",
					    "generator, CPUs busy",
					    "steal, CPUs",
					    "peak memory",
					    NULL};
	char text[PS_REPORT_CELL_SIZE], bytes[PS_UNITS_SIZE];

	ps_report_grid_init(g, "The machine at the demand rates", heads, 1, a->campaign->set_len);
	for (size_t i = 0; i < g->len; i++) {
		const struct ps_report_set *s = &a->sets[i];
		ps_report_grid_set(g, i, 0, a->campaign->sets[i].name);
		ps_report_grid_printf(g, i, 1, "%d", s->trials);
		ps_report_grid_set(g, i, 2, ps_report_number(s->cpu_cores, text));
		ps_report_grid_set(g, i, 3, ps_report_number(s->cpu_ms_per_request, text));
		ps_report_grid_set(g, i, 4, ps_report_number(s->generator_cores, text));
		ps_report_grid_set(g, i, 5, ps_report_number(s->steal_share, text));
		if (s->peak_rss_bytes >= 0)
			ps_report_grid_set(g, i, 6,
					   ps_units_format_bytes(s->peak_rss_bytes, bytes));
	}
}

void ps_report_grid_table(const struct ps_report_table *t, struct ps_report_grid *g)
{
	const char *heads[PS_REPORT_GRID_COLUMNS + 1] = {0};
	int from[PS_REPORT_GRID_COLUMNS], n = 0;
	unsigned left = 0;
	char text[PS_REPORT_CELL_SIZE];

	for (int c = 0; c < t->column_len && n < PS_REPORT_GRID_COLUMNS; c++) {
		if (!ps_report_table_has(t, c))
			continue;
		left |= (unsigned)(t->columns[c].kind == PS_REPORT_TEXT) << n;
		from[n] = c;
		heads[n++] = t->columns[c].head;
	}
	ps_report_grid_init(g, t->title, heads, left, t->row_len);
	for (size_t r = 0; r < g->len; r++)
		for (int k = 0; k < n; k++) {
			const struct ps_report_column *col = &t->columns[from[k]];
			const struct ps_report_value *v =
				&t->values[r * (size_t)t->column_len + (size_t)from[k]];
			ps_report_grid_set(g, r, k,
					   col->kind == PS_REPORT_TEXT
						   ? v->text
						   : ps_report_value_text(col, v, text));
		}
}
