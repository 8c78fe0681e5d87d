/* text.c - the answer in a terminal. A table that does not fit the window becomes one short list
 * per row. */
#include "beside_internal.h"
#include "policies_internal.h"
#include "grid_internal.h"
#include "report_internal.h"

#include "base/units.h"
#include "conf/conf.h"

#include <math.h>
#include <string.h>

enum { GAP = 2, LEAST_GAP = 1 };

static size_t widest(const struct ps_report_grid *t, int column)
{
	size_t w = strlen(t->heads[column]);

	for (size_t i = 0; i < t->len; i++) {
		const char *cell = t->rows[i].cells[column];
		size_t n = ps_conf_columns(cell, strlen(cell));
		w = n > w ? n : w;
	}
	return w;
}

static void pad(struct ps_strbuf *out, size_t n)
{
	while (n-- > 0)
		ps_strbuf_putc(out, ' ');
}

static void put_cell(const struct ps_report_grid *t, int column, size_t w, size_t gap,
		     const char *text, struct ps_strbuf *out)
{
	size_t n = ps_conf_columns(text, strlen(text));
	bool left = t->left >> column & 1;

	if (column > 0)
		pad(out, gap);
	if (!left)
		pad(out, w - n);
	ps_strbuf_puts(out, text);
	if (left && column + 1 < t->columns)
		pad(out, w - n);
}

/* A heading of the leading text columns, then one line per further one. */
static void put_records(const struct ps_report_grid *t, size_t width, struct ps_strbuf *out)
{
	int first = 0;
	size_t w = 0;

	while (first < t->columns && t->left >> first & 1)
		first++;
	if (first == t->columns)
		first = 1;
	for (int c = first; c < t->columns; c++)
		w = strlen(t->heads[c]) > w ? strlen(t->heads[c]) : w;
	for (size_t i = 0; i < t->len; i++) {
		for (int c = 0; c < first; c++)
			ps_strbuf_printf(out, "%s%s", c ? ", " : "", t->rows[i].cells[c]);
		ps_strbuf_putc(out, '\n');
		for (int c = first; c < t->columns; c++) {
			ps_strbuf_printf(out, "  %s", t->heads[c]);
			pad(out, w - strlen(t->heads[c]) + GAP);
			ps_conf_wrap(out, t->rows[i].cells[c], strlen(t->rows[i].cells[c]),
				     2 + w + GAP, 2 + w + GAP, width);
		}
	}
}

void ps_report_grid_text(const struct ps_report_grid *t, size_t width, struct ps_strbuf *out)
{
	size_t w[PS_REPORT_GRID_COLUMNS], total = 0, gaps = (size_t)t->columns - 1;

	out->failed = out->failed || t->failed;
	for (int c = 0; c < t->columns; c++)
		total += w[c] = widest(t, c);
	size_t gap = total + gaps * GAP <= width ? GAP : LEAST_GAP;
	if (total + gaps * gap > width) {
		put_records(t, width, out);
		return;
	}
	for (int c = 0; c < t->columns; c++)
		put_cell(t, c, w[c], gap, t->heads[c], out);
	ps_strbuf_putc(out, '\n');
	for (size_t i = 0; i < t->len; i++) {
		for (int c = 0; c < t->columns; c++)
			put_cell(t, c, w[c], gap, t->rows[i].cells[c], out);
		ps_strbuf_putc(out, '\n');
	}
}

/* ---- the tables of a report, as few columns as a window has room for ---- */

static void name_cells(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct ps_report_grid *g, size_t r)
{
	char label[PS_REPORT_LABEL_SIZE];

	ps_report_grid_set(g, r, 0, a->campaign->tenants[l->tenant].name);
	ps_report_grid_set(g, r, 1, ps_report_set_label(a, l->set, label));
}

static void demand_row(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct ps_report_grid *g, size_t r)
{
	char text[PS_REPORT_CELL_SIZE];

	name_cells(a, l, g, r);
	ps_report_grid_set(g, r, 2, ps_report_verdict_name(l->verdict));
	if (l->requests == 0)
		return;
	ps_report_grid_set(g, r, 3, ps_report_ms(l->p50.value_ns, text));
	ps_report_grid_set(g, r, 4, ps_report_ms(l->p95.value_ns, text));
	ps_report_grid_set(g, r, 5, ps_report_quantile(&l->p99, text));
	ps_report_grid_set(g, r, 6, ps_report_number(l->goodput_rps, text));
	ps_report_grid_set(g, r, 7, ps_report_number(l->slowdown.value, text));
	if (g->columns > 8)
		ps_report_grid_printf(g, r, 8, "p%g: %s", 100 * l->at_sla.p,
				      ps_report_ms(l->at_sla.value_ns, text));
}

static void put_demand(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	static const char *const heads[] = {"tenant", "set",	"SLA",	    "p50",	  "p95",
					    "p99",    "good/s", "slowdown", "at the SLA", NULL};
	struct ps_report_grid g;

	ps_report_grid_init(&g, "", heads, 7, a->line_len);
	if (!ps_report_has_other_percentile(a))
		g.columns--;
	for (size_t i = 0; i < g.len; i++)
		demand_row(a, &a->lines[i], &g, i);
	ps_report_grid_text(&g, width, out);
	ps_report_grid_fini(&g);
}

static void put_capacity(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	static const char *const heads[] = {"tenant",  "set",		"requests/s",
					    "held at", "$ per million", NULL};
	char text[PS_REPORT_CELL_SIZE];
	struct ps_report_grid g;

	ps_report_grid_init(&g, "", heads, 3, a->line_len);
	for (size_t i = 0; i < g.len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		name_cells(a, l, &g, i);
		if (l->capacity_known)
			ps_report_grid_set(&g, i, 2,
					   ps_report_interval(&l->capacity_rps, l->open_below,
							      l->open_above, text));
		ps_report_grid_set(&g, i, 3, ps_report_number(l->held_rps, text));
		ps_report_grid_set(&g, i, 4,
				   ps_report_interval(&l->usd_per_million, l->open_above,
						      l->open_below, text));
	}
	ps_report_grid_text(&g, width, out);
	ps_report_grid_fini(&g);
}

/* The table has room for the values only. */
static void put_slowdowns(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	struct ps_strbuf line;
	char text[PS_REPORT_CELL_SIZE], label[PS_REPORT_LABEL_SIZE];
	bool any = false;

	ps_strbuf_init(&line);
	ps_strbuf_puts(&line, "slowdown: p50 against alone [95 %]:");
	for (size_t i = 0; i < a->line_len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		if (isnan(l->slowdown.value))
			continue;
		ps_report_set_label(a, l->set, label);
		ps_strbuf_printf(&line, "%s %s %s%s%s", any ? "," : "",
				 a->campaign->tenants[l->tenant].name,
				 strcmp(label, "together") != 0 ? label : "",
				 strcmp(label, "together") != 0 ? " " : "",
				 ps_report_interval(&l->slowdown, false, false, text));
		if (!l->slowdown.has_interval && isfinite(l->slowdown.value))
			ps_strbuf_printf(&line, " (an interval needs %d blocks)",
					 PS_STATS_MIN_BLOCKS);
		any = true;
	}
	if (any)
		ps_conf_wrap(out, line.data, line.len, 0, 2, width);
	ps_strbuf_fini(&line);
}

static void put_sets(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	static const char *const heads[] = {"set",	   "CPUs busy",	  "CPU ms/request",
					    "peak memory", "steal, CPUs", NULL};
	char text[PS_REPORT_CELL_SIZE], bytes[PS_UNITS_SIZE];
	struct ps_report_grid g;

	ps_report_grid_init(&g, "", heads, 1, a->campaign->set_len);
	for (size_t i = 0; i < g.len; i++) {
		const struct ps_report_set *s = &a->sets[i];
		ps_report_grid_set(&g, i, 0, a->campaign->sets[i].name);
		ps_report_grid_set(&g, i, 1, ps_report_number(s->cpu_cores, text));
		ps_report_grid_set(&g, i, 2, ps_report_number(s->cpu_ms_per_request, text));
		if (s->peak_rss_bytes >= 0)
			ps_report_grid_set(&g, i, 3,
					   ps_units_format_bytes(s->peak_rss_bytes, bytes));
		ps_report_grid_set(&g, i, 4, ps_report_number(s->steal_share, text));
	}
	ps_report_grid_text(&g, width, out);
	ps_report_grid_fini(&g);
}

static void put_savings(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	static const char *const heads[] = {"set",	"fluid, at demand", "fluid, full load",
					    "machines", "CPU time",	    NULL};
	char text[PS_REPORT_CELL_SIZE];
	struct ps_report_grid g;

	ps_report_grid_init(&g, "", heads, 1, a->comparison_len);
	for (size_t i = 0; i < g.len; i++) {
		const struct ps_report_comparison *c = &a->comparisons[i];
		ps_report_grid_set(&g, i, 0, a->campaign->sets[c->set].name);
		ps_report_grid_set(&g, i, 4, ps_report_percent(&c->cpu_saving, text));
		if (!c->possible)
			continue;
		ps_report_grid_set(&g, i, 1, ps_report_percent(&c->fluid_saving, text));
		ps_report_grid_set(&g, i, 2, ps_report_percent(&c->full_load_saving, text));
		ps_report_grid_set(&g, i, 3, ps_report_percent(&c->machines.saving, text));
	}
	ps_report_grid_text(&g, width, out);
	ps_report_grid_fini(&g);
}

void ps_report_table_text(const struct ps_report_table *t, int width, struct ps_strbuf *out)
{
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;
	struct ps_report_grid g;

	if (t->row_len == 0)
		return;
	ps_report_grid_table(t, &g);
	ps_strbuf_putc(out, '\n');
	ps_conf_wrap(out, t->title, strlen(t->title), 0, 0, w);
	ps_report_grid_text(&g, w, out);
	if (t->note[0])
		ps_conf_wrap(out, t->note, strlen(t->note), 0, 0, w);
	ps_report_grid_fini(&g);
}

static void put_asked(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	const struct ps_store_campaign *c = a->campaign;
	char sla[PS_SLA_SIZE], number[PS_REPORT_CELL_SIZE], line[400];

	for (size_t i = 0; i < c->tenant_len; i++) {
		snprintf(line, sizeof line, "%.60s: %.60s, %s requests/s, %s", c->tenants[i].name,
			 c->tenants[i].model, ps_report_number(c->tenants[i].demand_rps, number),
			 ps_sla_format(&c->tenants[i].sla, sla));
		ps_conf_wrap(out, line, strlen(line), 0, 2, width);
	}
}

static void put_warnings(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	if (a->warning_len == 0)
		return;
	ps_strbuf_puts(out, "\nWarnings\n");
	for (size_t i = 0; i < a->warning_len; i++) {
		ps_strbuf_puts(out, "- ");
		ps_conf_wrap(out, a->warnings[i], strlen(a->warnings[i]), 2, 2, width);
	}
}

void ps_report_text(const struct ps_report_answer *a, int width, struct ps_strbuf *out)
{
	static const char held[] = "held at: requests/s at which a fresh trial kept every SLA";
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;
	char price[PS_REPORT_PRICE_SIZE];

	ps_conf_wrap(out, a->verdict, strlen(a->verdict), 0, 0, w);
	ps_strbuf_putc(out, '\n');
	put_asked(a, w, out);
	ps_strbuf_puts(out, "\nAt the demand rates, latency in ms\n");
	put_demand(a, w, out);
	put_slowdowns(a, w, out);
	ps_strbuf_puts(out, "\nCapacity at the SLA, $ per million inferences [95 %]\n");
	put_capacity(a, w, out);
	ps_conf_wrap(out, held, strlen(held), 0, 0, w);
	ps_strbuf_puts(out, "\nMachine at the demand rates\n");
	put_sets(a, w, out);
	if (a->comparison_len > 0) {
		ps_strbuf_puts(out, "\nSaving of sharing [95 %]\n");
		put_savings(a, w, out);
	}
	for (int i = 0; i < PS_REPORT_TABLES; i++)
		ps_report_table_text(&a->tables[i], width, out);
	ps_report_beside_text(a, width, out);
	ps_report_policies_text(a->policies, w, out);
	ps_report_plan_text(a, w, out);
	ps_strbuf_puts(out, "\nPriced as ");
	ps_report_price(a, price);
	ps_conf_wrap(out, price, strlen(price), 10, 2, w);
	put_warnings(a, w, out);
}
