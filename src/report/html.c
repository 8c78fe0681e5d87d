/* html.c - one page that needs no other file: the template of web/ with its places filled. Tables
 * and texts are written here, so that the page is complete without its script; the script draws. */
#include "report_internal.h"

#include "base/clock.h"
#include "base/units.h"
#include "base/version.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static void escape(struct ps_strbuf *out, const char *s)
{
	for (; s && *s; s++) {
		switch (*s) {
		case '&':
			ps_strbuf_puts(out, "&amp;");
			break;
		case '<':
			ps_strbuf_puts(out, "&lt;");
			break;
		case '>':
			ps_strbuf_puts(out, "&gt;");
			break;
		case '"':
			ps_strbuf_puts(out, "&quot;");
			break;
		case '\'':
			ps_strbuf_puts(out, "&#39;");
			break;
		default:
			ps_strbuf_putc(out, *s);
		}
	}
}

static void begin(struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<div class=\"scroll\"><table>\n<tr>");
}

static void end(struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "</table></div>\n");
}

static void heads(struct ps_strbuf *out, const char *const *names, int left)
{
	begin(out);
	for (int i = 0; names[i]; i++)
		ps_strbuf_printf(out, "<th%s scope=\"col\">%s</th>", i < left ? " class=\"l\"" : "",
				 names[i]);
	ps_strbuf_puts(out, "</tr>\n");
}

static void cell(struct ps_strbuf *out, const char *text, bool left)
{
	ps_strbuf_puts(out, left ? "<td class=\"l\">" : "<td>");
	/* what follows the number is set smaller */
	const char *more = left ? NULL : strpbrk(text, "[,");
	if (more) {
		struct ps_strbuf first;
		ps_strbuf_init(&first);
		ps_strbuf_append(&first, text, (size_t)(more - text));
		escape(out, first.data);
		ps_strbuf_fini(&first);
		ps_strbuf_puts(out, "<small>");
		escape(out, more);
		ps_strbuf_puts(out, "</small>");
	} else {
		escape(out, text);
	}
	ps_strbuf_puts(out, "</td>");
}

static void verdict_cell(struct ps_strbuf *out, enum ps_report_verdict v)
{
	const char *name = ps_report_verdict_name(v);

	ps_strbuf_printf(out, "<td class=\"l\"><span class=\"%s\">%s</span></td>",
			 v == PS_REPORT_NO_DATA ? "none" : name, name);
}

static void name_cells(const struct ps_report_answer *a, const struct ps_report_line *l,
		       struct ps_strbuf *out)
{
	char label[PS_REPORT_LABEL_SIZE];

	ps_strbuf_puts(out, "<tr>");
	cell(out, a->campaign->tenants[l->tenant].name, true);
	cell(out, ps_report_set_label(a, l->set, label), true);
}

static void asked(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	static const char *const names[] = {"tenant", "model", "SLA", "demand, requests/s", NULL};
	const struct ps_store_campaign *c = a->campaign;
	char sla[PS_SLA_SIZE], number[PS_REPORT_CELL_SIZE], price[PS_REPORT_PRICE_SIZE];
	char bytes[PS_UNITS_SIZE];

	heads(out, names, 3);
	for (size_t i = 0; i < c->tenant_len; i++) {
		ps_strbuf_puts(out, "<tr>");
		cell(out, c->tenants[i].name, true);
		cell(out, c->tenants[i].model, true);
		cell(out, ps_sla_format(&c->tenants[i].sla, sla), true);
		cell(out, ps_report_number(c->tenants[i].demand_rps, number), false);
		ps_strbuf_puts(out, "</tr>\n");
	}
	end(out);
	ps_strbuf_puts(out, "<p class=\"note\">On a slice of one machine: CPUs ");
	escape(out, c->slice_cpus && *c->slice_cpus ? c->slice_cpus : "as they come");
	if (c->slice_memory_bytes > 0)
		ps_strbuf_printf(out, ", %s of memory",
				 ps_units_format_bytes(c->slice_memory_bytes, bytes));
	ps_strbuf_puts(out, ". Priced as ");
	escape(out, ps_report_price(a, price));
	if (a->has_price && c->price.source) {
		ps_strbuf_puts(out, "; source: ");
		escape(out, c->price.source);
	}
	ps_strbuf_puts(out, ".</p>\n");
}

static void demand_line(const struct ps_report_answer *a, const struct ps_report_line *l,
			struct ps_strbuf *out)
{
	char text[PS_REPORT_CELL_SIZE];
	bool data = l->requests > 0;

	name_cells(a, l, out);
	verdict_cell(out, l->verdict);
	cell(out, ps_report_number(a->campaign->tenants[l->tenant].demand_rps, text), false);
	cell(out, data ? ps_report_ms(l->p50.value_ns, text) : "-", false);
	cell(out, data ? ps_report_ms(l->p95.value_ns, text) : "-", false);
	cell(out, data ? ps_report_quantile(&l->p99, text) : "-", false);
	cell(out, ps_report_interval(&l->slowdown, false, false, text), false);
	snprintf(text, sizeof text, "%llu", (unsigned long long)l->requests);
	cell(out, data ? text : "-", false);
	snprintf(text, sizeof text, "%llu", (unsigned long long)l->over);
	cell(out, data ? text : "-", false);
	cell(out, ps_report_number(data ? l->goodput_rps : NAN, text), false);
	ps_strbuf_puts(out, "</tr>\n");
}

static void demand(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	static const char *const names[] = {"tenant",	"set",	   "SLA",	"rate/s",
					    "p50, ms",	"p95, ms", "p99, ms",	"slowdown",
					    "requests", "late",	   "goodput/s", NULL};

	heads(out, names, 3);
	for (size_t i = 0; i < a->line_len; i++)
		demand_line(a, &a->lines[i], out);
	end(out);
}

static void capacity(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	static const char *const names[] = {"tenant",
					    "set",
					    "requests/s",
					    "held in a fresh trial at, requests/s",
					    "$ per million inferences",
					    "share of compute",
					    NULL};
	char text[PS_REPORT_CELL_SIZE];

	heads(out, names, 2);
	for (size_t i = 0; i < a->line_len; i++) {
		const struct ps_report_line *l = &a->lines[i];
		struct ps_stats_interval share = {.value = l->compute_share};
		name_cells(a, l, out);
		cell(out,
		     l->capacity_known ? ps_report_interval(&l->capacity_rps, l->open_below,
							    l->open_above, text)
				       : "-",
		     false);
		cell(out, ps_report_number(l->held_rps, text), false);
		cell(out,
		     ps_report_interval(&l->usd_per_million, l->open_above, l->open_below, text),
		     false);
		cell(out, ps_report_percent(&share, text), false);
		ps_strbuf_puts(out, "</tr>\n");
	}
	end(out);
}

static void savings(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	static const char *const names[] = {"set",
					    "fluid, at the demand rates",
					    "fluid, at full load",
					    "machines apart",
					    "machines together",
					    "machine saving",
					    "CPU time",
					    NULL};
	char text[PS_REPORT_CELL_SIZE];

	if (a->comparison_len == 0) {
		ps_strbuf_puts(out, "<p>No set of several tenants was measured.</p>\n");
		return;
	}
	heads(out, names, 1);
	for (size_t i = 0; i < a->comparison_len; i++) {
		const struct ps_report_comparison *c = &a->comparisons[i];
		ps_strbuf_puts(out, "<tr>");
		cell(out, a->campaign->sets[c->set].name, true);
		cell(out, c->possible ? ps_report_percent(&c->fluid_saving, text) : "-", false);
		cell(out, c->possible ? ps_report_percent(&c->full_load_saving, text) : "-", false);
		cell(out,
		     c->possible ? ps_report_interval(&c->machines.apart, false, false, text) : "-",
		     false);
		cell(out,
		     c->possible ? ps_report_interval(&c->machines.together, false, false, text)
				 : "-",
		     false);
		cell(out, c->possible ? ps_report_percent(&c->machines.saving, text) : "-", false);
		cell(out, ps_report_percent(&c->cpu_saving, text), false);
		ps_strbuf_puts(out, "</tr>\n");
	}
	end(out);
	ps_strbuf_puts(out, "<p class=\"note\">Fluid: as if parts of a machine could be rented. "
			    "Machines: whole ones, which is what is paid for. CPU time: of the "
			    "server together against alone, in blocks with the same arrivals at "
			    "the demand rates.</p>\n");
}

static void machine(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	static const char *const names[] = {"set",
					    "trials",
					    "server, CPUs busy",
					    "server, CPU ms/request",
					    "generator, CPUs busy",
					    "steal, CPUs",
					    "peak memory",
					    NULL};
	char text[PS_REPORT_CELL_SIZE], bytes[PS_UNITS_SIZE];

	heads(out, names, 1);
	for (size_t i = 0; i < a->campaign->set_len; i++) {
		const struct ps_report_set *s = &a->sets[i];
		ps_strbuf_puts(out, "<tr>");
		cell(out, a->campaign->sets[i].name, true);
		snprintf(text, sizeof text, "%d", s->trials);
		cell(out, text, false);
		cell(out, ps_report_number(s->cpu_cores, text), false);
		cell(out, ps_report_number(s->cpu_ms_per_request, text), false);
		cell(out, ps_report_number(s->generator_cores, text), false);
		cell(out, ps_report_number(s->steal_share, text), false);
		cell(out,
		     s->peak_rss_bytes < 0 ? "-" : ps_units_format_bytes(s->peak_rss_bytes, bytes),
		     false);
		ps_strbuf_puts(out, "</tr>\n");
	}
	end(out);
}

static void further_row(const struct ps_report_table *t, size_t r, struct ps_strbuf *out)
{
	char text[PS_REPORT_CELL_SIZE];

	ps_strbuf_puts(out, "<tr>");
	for (int c = 0; c < t->column_len; c++) {
		if (!ps_report_table_has(t, c))
			continue;
		cell(out,
		     ps_report_value_text(&t->columns[c],
					  &t->values[r * (size_t)t->column_len + (size_t)c], text),
		     t->columns[c].kind == PS_REPORT_TEXT);
	}
	ps_strbuf_puts(out, "</tr>\n");
}

static void further_table(const struct ps_report_table *t, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<section>\n<h2>");
	escape(out, t->title);
	ps_strbuf_puts(out, "</h2>\n");
	if (t->note[0]) {
		ps_strbuf_puts(out, "<p class=\"note\">");
		escape(out, t->note);
		ps_strbuf_puts(out, ".</p>\n");
	}
	begin(out);
	for (int c = 0; c < t->column_len; c++) {
		if (!ps_report_table_has(t, c))
			continue;
		ps_strbuf_printf(out, "<th%s scope=\"col\">",
				 t->columns[c].kind == PS_REPORT_TEXT ? " class=\"l\"" : "");
		escape(out, t->columns[c].head);
		ps_strbuf_puts(out, "</th>");
	}
	ps_strbuf_puts(out, "</tr>\n");
	for (size_t r = 0; r < t->row_len; r++)
		further_row(t, r, out);
	end(out);
	ps_strbuf_puts(out, "</section>\n");
}

/* A section for each further table that has rows. */
static void further(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	for (int i = 0; i < PS_REPORT_TABLES; i++)
		if (a->tables[i].row_len > 0)
			further_table(&a->tables[i], out);
}

static void warnings(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, a->warning_len ? "<ul class=\"warnings\">\n" : "<p>None.</p>\n");
	for (size_t i = 0; i < a->warning_len; i++) {
		ps_strbuf_puts(out, "<li>");
		escape(out, a->warnings[i]);
		ps_strbuf_puts(out, "</li>\n");
	}
	ps_strbuf_puts(out, a->warning_len ? "</ul>\n" : "");
}

/* The sentences of further sets; the first is the verdict. */
static void comparisons(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	for (size_t i = 1; i < a->comparison_len; i++) {
		ps_strbuf_puts(out, "<p class=\"note\">");
		escape(out, a->campaign->sets[a->comparisons[i].set].name);
		ps_strbuf_puts(out, ": ");
		escape(out, a->comparisons[i].demand_sentence);
		ps_strbuf_putc(out, ' ');
		escape(out, a->comparisons[i].full_load_sentence);
		ps_strbuf_puts(out, "</p>\n");
	}
}

static void manifest(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	const char *text = a->campaign->manifest_json;
	json_t *v = NULL;
	char *pretty = NULL;

	if (text && ps_json_parse(text, strlen(text), &v, NULL) == PS_OK)
		pretty = json_dumps(v, JSON_INDENT(2));
	escape(out, pretty ? pretty : text ? text : "none");
	free(pretty);
	json_decref(v);
}

/* JSON inside a script element: '<' only occurs within texts, where it may be written so. */
static void data(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	json_t *v = ps_report_json(a, true);
	char *text = v ? json_dumps(v, JSON_COMPACT) : NULL;

	if (!text)
		out->failed = true;
	for (const char *p = text; p && *p; p++) {
		if (*p == '<' || *p == '>' || *p == '&')
			ps_strbuf_printf(out, "\\u%04x", (unsigned)*p);
		else
			ps_strbuf_putc(out, *p);
	}
	free(text);
	json_decref(v);
}

static void asset(struct ps_strbuf *out, enum ps_report_asset_name name)
{
	struct ps_report_asset f = ps_report_asset_get(name);

	ps_strbuf_append(out, f.data, f.len);
}

static void css(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	(void)a;
	asset(out, PS_REPORT_CSS);
}

static void js(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	(void)a;
	asset(out, PS_REPORT_JS);
}

static void chart_js(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	(void)a;
	asset(out, PS_REPORT_CHART_JS);
}

static void name(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	escape(out, a->campaign->name);
}

static void title(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	name(a, out);
	ps_strbuf_puts(out, " - Perseus report");
}

static void kicker(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	char iso[PS_CLOCK_ISO_SIZE];

	ps_clock_wall_iso(a->campaign->started_wall_ns, iso);
	ps_strbuf_printf(out, "Perseus campaign, started %.16s UTC, %d of %zu cells measured", iso,
			 a->cells_done, a->campaign->cell_len);
}

static void verdict(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	escape(out, a->verdict);
}

static void verdict_class(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	enum ps_report_verdict v = PS_REPORT_UNDECIDED;

	if (a->comparison_len > 0)
		v = a->sets[a->comparisons[0].set].verdict;
	ps_strbuf_puts(out, v == PS_REPORT_NO_DATA ? "undecided" : ps_report_verdict_name(v));
}

static void file_path(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	if (!a->campaign->file_path)
		return;
	ps_strbuf_puts(out, " ");
	escape(out, a->campaign->file_path);
}

static void file_text(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	escape(out, a->campaign->file_text);
}

static void full_command(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	if (!a->campaign->full_command)
		return;
	ps_strbuf_puts(out, "<p>The publishable run: <code>");
	escape(out, a->campaign->full_command);
	ps_strbuf_puts(out, "</code></p>\n");
}

static void version(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	(void)a;
	escape(out, ps_version());
}

static const struct place {
	const char *name;
	void (*put)(const struct ps_report_answer *a, struct ps_strbuf *out);
} places[] = {
	{"title", title},	  {"css", css},
	{"kicker", kicker},	  {"name", name},
	{"verdict", verdict},	  {"verdict_class", verdict_class},
	{"asked", asked},	  {"demand", demand},
	{"capacity", capacity},	  {"savings", savings},
	{"machine", machine},	  {"further", further},
	{"warnings", warnings},	  {"comparisons", comparisons},
	{"manifest", manifest},	  {"file_path", file_path},
	{"file_text", file_text}, {"full_command", full_command},
	{"version", version},	  {"data", data},
	{"chart_js", chart_js},	  {"js", js},
};

static const struct place *find_place(const char *s, size_t n)
{
	for (size_t i = 0; i < sizeof places / sizeof *places; i++)
		if (strlen(places[i].name) == n && memcmp(places[i].name, s, n) == 0)
			return &places[i];
	return NULL;
}

enum ps_status ps_report_html(const struct ps_report_answer *a, struct ps_strbuf *out,
			      struct ps_error *err)
{
	struct ps_report_asset t = ps_report_asset_get(PS_REPORT_TEMPLATE);
	const char *p = t.data, *stop = t.data + t.len;

	while (p < stop) {
		const char *open = memmem(p, (size_t)(stop - p), "{{", 2);
		const char *close = open ? memmem(open, (size_t)(stop - open), "}}", 2) : NULL;
		if (!close)
			break;
		const struct place *place = find_place(open + 2, (size_t)(close - open - 2));
		if (!place)
			return ps_error_set(err, PS_EINTERNAL, "the template has a place '%.*s'",
					    (int)(close - open - 2), open + 2);
		ps_strbuf_append(out, p, (size_t)(open - p));
		place->put(a, out);
		p = close + 2;
	}
	ps_strbuf_append(out, p, (size_t)(stop - p));
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the page");
	return PS_OK;
}
