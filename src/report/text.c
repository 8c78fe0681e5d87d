/* text.c - the answer in a terminal. A table that does not fit the window becomes one short list
 * per row. */
#include "report_internal.h"

#include "base/units.h"
#include "conf/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_COLUMNS = 8, GAP = 2, LEAST_GAP = 1 };

struct row {
	char cells[MAX_COLUMNS][PS_REPORT_CELL_SIZE];
};

struct table {
	const char *const *heads;
	int columns;
	unsigned left; /* bit i: column i is text, set to the left */
	struct row *rows;
	size_t len;
};

static size_t widest(const struct table *t, int column)
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

static void put_cell(const struct table *t, int column, size_t w, size_t gap, const char *text,
		     struct ps_strbuf *out)
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

/* A heading of the leading text columns, then one line per number. */
static void put_records(const struct table *t, struct ps_strbuf *out)
{
	size_t w = 0;

	for (int c = 0; c < t->columns; c++)
		if (!(t->left >> c & 1) && strlen(t->heads[c]) > w)
			w = strlen(t->heads[c]);
	for (size_t i = 0; i < t->len; i++) {
		for (int c = 0; c < t->columns && t->left >> c & 1; c++)
			ps_strbuf_printf(out, "%s%s", c ? ", " : "", t->rows[i].cells[c]);
		ps_strbuf_putc(out, '\n');
		for (int c = 0; c < t->columns; c++) {
			if (t->left >> c & 1)
				continue;
			ps_strbuf_printf(out, "  %s", t->heads[c]);
			pad(out, w - strlen(t->heads[c]) + GAP);
			ps_strbuf_printf(out, "%s\n", t->rows[i].cells[c]);
		}
	}
}

static void put_table(const struct table *t, size_t width, struct ps_strbuf *out)
{
	size_t w[MAX_COLUMNS], total = 0, gaps = (size_t)t->columns - 1;

	for (int c = 0; c < t->columns; c++)
		total += w[c] = widest(t, c);
	size_t gap = total + gaps * GAP <= width ? GAP : LEAST_GAP;
	if (total + gaps * gap > width) {
		put_records(t, out);
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

static void set_cell(struct row *r, int column, const char *text)
{
	snprintf(r->cells[column], sizeof r->cells[column], "%s", text);
}

static void name_cells(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct row *r)
{
	char label[PS_REPORT_LABEL_SIZE];

	set_cell(r, 0, a->campaign->tenants[l->tenant].name);
	set_cell(r, 1, ps_report_set_label(a, l->set, label));
}

static void demand_row(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct row *r)
{
	char text[PS_REPORT_CELL_SIZE];

	name_cells(a, l, r);
	set_cell(r, 2, ps_report_verdict_name(l->verdict));
	for (int c = 3; c < 8; c++)
		set_cell(r, c, "-");
	if (l->requests == 0)
		return;
	set_cell(r, 3, ps_report_ms(l->p50.value_ns, text));
	set_cell(r, 4, ps_report_ms(l->p95.value_ns, text));
	set_cell(r, 5, ps_report_quantile(&l->p99, text));
	set_cell(r, 6, ps_report_number(l->goodput_rps, text));
	set_cell(r, 7, ps_report_number(l->slowdown.value, text));
}

static void capacity_row(const struct ps_report_answer *a, const struct ps_report_line *l,
			 struct row *r)
{
	char text[PS_REPORT_CELL_SIZE];

	name_cells(a, l, r);
	set_cell(r, 2, "-");
	if (l->capacity_known)
		set_cell(r, 2,
			 ps_report_interval(&l->capacity_rps, l->open_below, l->open_above, text));
	set_cell(r, 3, ps_report_number(l->held_rps, text));
	set_cell(r, 4, ps_report_interval(&l->usd_per_million, l->open_above, l->open_below, text));
}

static void set_row(const struct ps_report_answer *a, int set, struct row *r)
{
	const struct ps_report_set *s = &a->sets[set];
	char text[PS_REPORT_CELL_SIZE], bytes[PS_UNITS_SIZE];

	set_cell(r, 0, a->campaign->sets[set].name);
	set_cell(r, 1, ps_report_number(s->cpu_cores, text));
	set_cell(r, 2, ps_report_number(s->cpu_ms_per_request, text));
	set_cell(r, 3,
		 s->peak_rss_bytes < 0 ? "-" : ps_units_format_bytes(s->peak_rss_bytes, bytes));
	set_cell(r, 4, ps_report_number(s->steal_share, text));
}

static void saving_row(const struct ps_report_answer *a, const struct ps_report_comparison *c,
		       struct row *r)
{
	char text[PS_REPORT_CELL_SIZE];

	set_cell(r, 0, a->campaign->sets[c->set].name);
	for (int i = 1; i < 4; i++)
		set_cell(r, i, "-");
	set_cell(r, 4, ps_report_percent(&c->cpu_saving, text));
	if (!c->possible)
		return;
	set_cell(r, 1, ps_report_percent(&c->fluid_saving, text));
	set_cell(r, 2, ps_report_percent(&c->full_load_saving, text));
	set_cell(r, 3, ps_report_percent(&c->machines.saving, text));
}

static void put_lines(const struct ps_report_answer *a, const char *const *heads, int columns,
		      unsigned left,
		      void (*fill)(const struct ps_report_answer *, const struct ps_report_line *,
				   struct row *),
		      size_t width, struct ps_strbuf *out)
{
	struct table t = {.heads = heads, .columns = columns, .left = left, .len = a->line_len};

	t.rows = calloc(t.len, sizeof *t.rows);
	if (!t.rows) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < t.len; i++)
		fill(a, &a->lines[i], &t.rows[i]);
	put_table(&t, width, out);
	free(t.rows);
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
	static const char *const heads[] = {"set", "CPUs busy", "CPU ms/request", "peak memory",
					    "steal, CPUs"};
	struct table t = {.heads = heads, .columns = 5, .left = 1, .len = a->campaign->set_len};

	t.rows = calloc(t.len, sizeof *t.rows);
	if (!t.rows) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < t.len; i++)
		set_row(a, (int)i, &t.rows[i]);
	put_table(&t, width, out);
	free(t.rows);
}

static void put_savings(const struct ps_report_answer *a, size_t width, struct ps_strbuf *out)
{
	static const char *const heads[] = {"set", "fluid, at demand", "fluid, full load",
					    "machines", "CPU time"};
	struct table t = {.heads = heads, .columns = 5, .left = 1, .len = a->comparison_len};

	t.rows = calloc(t.len ? t.len : 1, sizeof *t.rows);
	if (!t.rows) {
		out->failed = true;
		return;
	}
	for (size_t i = 0; i < t.len; i++)
		saving_row(a, &a->comparisons[i], &t.rows[i]);
	put_table(&t, width, out);
	free(t.rows);
}

/* A further table, when it has rows. */
static void put_further(const struct ps_report_table *t, size_t width, struct ps_strbuf *out)
{
	const char *heads[MAX_COLUMNS];
	struct table shown = {.heads = heads, .len = t->row_len};
	char text[PS_REPORT_CELL_SIZE];

	if (t->row_len == 0)
		return;
	shown.rows = calloc(t->row_len, sizeof *shown.rows);
	if (!shown.rows) {
		out->failed = true;
		return;
	}
	for (int c = 0; c < t->column_len; c++) {
		int k = shown.columns;
		if (!ps_report_table_has(t, c))
			continue;
		heads[k] = t->columns[c].head;
		shown.left |= (unsigned)(t->columns[c].kind == PS_REPORT_TEXT) << k;
		for (size_t r = 0; r < t->row_len; r++)
			set_cell(&shown.rows[r], k,
				 ps_report_value_text(
					 &t->columns[c],
					 &t->values[r * (size_t)t->column_len + (size_t)c], text));
		shown.columns++;
	}
	ps_strbuf_putc(out, '\n');
	ps_conf_wrap(out, t->title, strlen(t->title), 0, 0, width);
	put_table(&shown, width, out);
	if (t->note[0])
		ps_conf_wrap(out, t->note, strlen(t->note), 0, 0, width);
	free(shown.rows);
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
	static const char *const demand[] = {"tenant", "set", "SLA",	"p50",
					     "p95",    "p99", "good/s", "slowdown"};
	static const char *const capacity[] = {"tenant", "set", "requests/s", "held at",
					       "$ per million"};
	static const char held[] = "held at: requests/s at which a fresh trial kept every SLA";
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;
	char price[PS_REPORT_PRICE_SIZE];

	ps_conf_wrap(out, a->verdict, strlen(a->verdict), 0, 0, w);
	ps_strbuf_putc(out, '\n');
	put_asked(a, w, out);
	ps_strbuf_puts(out, "\nAt the demand rates, latency in ms\n");
	put_lines(a, demand, 8, 7, demand_row, w, out);
	put_slowdowns(a, w, out);
	ps_strbuf_puts(out, "\nCapacity at the SLA, $ per million inferences [95 %]\n");
	put_lines(a, capacity, 5, 3, capacity_row, w, out);
	ps_conf_wrap(out, held, strlen(held), 0, 0, w);
	ps_strbuf_puts(out, "\nMachine at the demand rates\n");
	put_sets(a, w, out);
	if (a->comparison_len > 0) {
		ps_strbuf_puts(out, "\nSaving of sharing [95 %]\n");
		put_savings(a, w, out);
	}
	for (int i = 0; i < PS_REPORT_TABLES; i++)
		put_further(&a->tables[i], w, out);
	ps_strbuf_puts(out, "\nPriced as ");
	ps_report_price(a, price);
	ps_conf_wrap(out, price, strlen(price), 10, 2, w);
	put_warnings(a, w, out);
}
