/* html.c - the page of one campaign. */
#include "beside_internal.h"
#include "page_internal.h"
#include "policies_internal.h"

#include "base/clock.h"
#include "base/units.h"

#include <math.h>
#include <string.h>

/* ---- tables ---- */

static void put_grid(void (*make)(const struct ps_report_answer *, struct ps_report_grid *),
		     const struct ps_report_page *p, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	make(p->a, &g);
	ps_report_grid_html(&g, out);
	ps_report_grid_fini(&g);
}

static void asked(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_store_campaign *c = p->a->campaign;
	char price[PS_REPORT_PRICE_SIZE], bytes[PS_UNITS_SIZE];

	put_grid(ps_report_grid_asked, p, out);
	ps_strbuf_puts(out, "<p class=\"note\">On a slice of one machine: CPUs ");
	ps_report_escape(out, c->slice_cpus && *c->slice_cpus ? c->slice_cpus : "as they come");
	if (c->slice_memory_bytes > 0)
		ps_strbuf_printf(out, ", %s of memory",
				 ps_units_format_bytes(c->slice_memory_bytes, bytes));
	ps_strbuf_puts(out, ". Priced as ");
	ps_report_escape(out, ps_report_price(p->a, price));
	if (p->a->has_price && c->price.source) {
		ps_strbuf_puts(out, "; source: ");
		ps_report_escape(out, c->price.source);
	}
	ps_strbuf_puts(out, ".</p>\n");
}

static void demand(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(ps_report_grid_demand, p, out);
}

static void capacity(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(ps_report_grid_capacity, p, out);
}

static void savings(const struct ps_report_page *p, struct ps_strbuf *out)
{
	if (p->a->comparison_len == 0) {
		ps_strbuf_puts(out, "<p>No set of several tenants was measured.</p>\n");
		return;
	}
	put_grid(ps_report_grid_savings, p, out);
	ps_report_note(out, "Fluid: as if parts of a machine could be rented. Machines: whole "
			    "ones, which is what is paid for. CPU time: of the server together "
			    "against alone, in blocks with the same arrivals at the demand rates.");
}

static void machine(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(ps_report_grid_machine, p, out);
}

static void further_table(const struct ps_report_table *t, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	ps_strbuf_puts(out, "<h3>");
	ps_report_escape(out, t->title);
	ps_strbuf_puts(out, "</h3>\n");
	if (t->note[0])
		ps_strbuf_puts(out, "<p class=\"note\">");
	ps_report_escape(out, t->note);
	if (t->note[0])
		ps_strbuf_puts(out, ".</p>\n");
	ps_report_grid_table(t, &g);
	ps_report_grid_html(&g, out);
	ps_report_grid_fini(&g);
}

/* One section for the further tables that have rows. */
static void further(const struct ps_report_page *p, struct ps_strbuf *out)
{
	bool any = false;

	for (int i = 0; i < PS_REPORT_TABLES; i++) {
		if (p->a->tables[i].row_len == 0)
			continue;
		if (!any)
			ps_strbuf_puts(out, "<section id=\"further\">\n"
					    "<h2>Further tables</h2>\n");
		any = true;
		further_table(&p->a->tables[i], out);
	}
	if (any)
		ps_strbuf_puts(out, "</section>\n");
}

static void predictions(const struct ps_report_page *p, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	if (!p->a->plan || p->a->plan->prediction_len == 0)
		return;
	ps_report_grid_predictions(p->a->plan, &g);
	ps_report_grid_html(&g, out);
	if (g.len < p->a->plan->prediction_len)
		ps_strbuf_printf(out, "<p class=\"note\">The first %zu of %zu.</p>\n", g.len,
				 p->a->plan->prediction_len);
	ps_report_grid_fini(&g);
	if (p->a->plan->predictions_silent > 0)
		ps_strbuf_printf(out,
				 "<p class=\"note\">Of %zu more figures no candidate said "
				 "anything.</p>\n",
				 p->a->plan->predictions_silent);
}

/* ---- the head of the page ---- */

static void warnings(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_report_answer *a = p->a;

	ps_strbuf_puts(out, a->warning_len ? "<ul class=\"warnings\">\n" : "<p>None.</p>\n");
	for (size_t i = 0; i < a->warning_len; i++) {
		ps_strbuf_puts(out, "<li>");
		ps_report_escape(out, a->warnings[i]);
		ps_strbuf_puts(out, "</li>\n");
	}
	ps_strbuf_puts(out, a->warning_len ? "</ul>\n" : "");
}

static void warning_link(const struct ps_report_page *p, struct ps_strbuf *out)
{
	size_t n = p->a->warning_len;

	if (n > 0)
		ps_strbuf_printf(out,
				 "<p class=\"caution\"><a href=\"#warnings\">%zu warning%s</a> "
				 "to read before the numbers are trusted.</p>\n",
				 n, n == 1 ? "" : "s");
}

/* The sentences of further sets; the first is the verdict, where one answers. Many of them are
 * folded away. */
static void comparisons(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_report_answer *a = p->a;
	size_t from = ps_report_has_several(a) ? 0 : 1;
	bool fold = a->comparison_len > 4;

	if (fold)
		ps_strbuf_printf(out, "<details><summary>The %s%zu sets</summary>\n",
				 from ? "other " : "", a->comparison_len - from);
	for (size_t i = from; i < a->comparison_len; i++) {
		ps_strbuf_puts(out, "<p class=\"note\">");
		ps_report_escape(out, a->campaign->sets[a->comparisons[i].set].name);
		ps_strbuf_puts(out, ": ");
		ps_report_escape(out, a->comparisons[i].demand_sentence);
		ps_strbuf_putc(out, ' ');
		ps_report_escape(out, a->comparisons[i].full_load_sentence);
		ps_strbuf_puts(out, "</p>\n");
	}
	if (fold)
		ps_strbuf_puts(out, "</details>\n");
}

static void tile(struct ps_strbuf *out, const char *what, const char *value, const char *more)
{
	ps_strbuf_puts(out, "<div><dt>");
	ps_report_escape(out, what);
	ps_strbuf_puts(out, "</dt><dd><b>");
	ps_report_escape(out, value);
	ps_strbuf_puts(out, "</b> <span>");
	ps_report_escape(out, more);
	ps_strbuf_puts(out, "</span></dd></div>\n");
}

/* "50.0 % [50.0, 66.7]": the number, and its interval in words. */
static void tile_saving(struct ps_strbuf *out, const char *what, const struct ps_stats_interval *i)
{
	char value[PS_REPORT_CELL_SIZE], more[PS_REPORT_CELL_SIZE] = "no interval: too few data";
	struct ps_stats_interval alone = {.value = i->value};

	if (i->has_interval && isfinite(i->lo) && i->hi < 1)
		snprintf(more, sizeof more, "95 %% interval %.1f to %.1f %%", 100 * i->lo,
			 100 * i->hi);
	else if (i->has_interval && isfinite(i->lo))
		snprintf(more, sizeof more, "95 %% interval: at least %.1f %%", 100 * i->lo);
	else if (i->has_interval && i->hi < 1)
		snprintf(more, sizeof more, "95 %% interval: at most %.1f %%", 100 * i->hi);
	else if (i->has_interval)
		snprintf(more, sizeof more, "no interval: the searches bounded no capacity");
	if (!isnan(i->value))
		tile(out, what, ps_report_percent(&alone, value), more);
}

/* "1", "2 [2, 3]": whole machines, with an interval where it is not one number. */
static const char *machines(const struct ps_stats_interval *i, char buf[PS_REPORT_CELL_SIZE])
{
	if (i->has_interval && i->lo == i->hi)
		return ps_report_number(i->value, buf);
	return ps_report_interval(i, false, false, buf);
}

/* The few numbers that a reader takes home, of the set that answers for the campaign. */
static void tiles(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_report_answer *a = p->a;
	const struct ps_report_comparison *c = a->comparisons;
	char value[PS_REPORT_CELL_SIZE], more[PS_REPORT_CELL_SIZE], n[PS_REPORT_CELL_SIZE];

	if (a->comparison_len == 0 || ps_report_has_several(a) || !c->possible)
		return;
	ps_strbuf_puts(out, "<dl class=\"tiles\">\n");
	if (a->has_price && isfinite(c->machines.apart_usd_per_month) &&
	    isfinite(c->machines.together_usd_per_month)) {
		snprintf(value, sizeof value, "$%.2f", c->machines.together_usd_per_month);
		snprintf(more, sizeof more, "instead of $%.2f a month apart",
			 c->machines.apart_usd_per_month);
		tile(out, "Together, a month", value, more);
	}
	machines(&c->machines.together, value);
	snprintf(more, sizeof more, "instead of %.40s apart", machines(&c->machines.apart, n));
	tile(out, "Machines together", value, more);
	tile_saving(out, "Saved in whole machines", &c->machines.saving);
	tile_saving(out, "Saved at full load, fluid", &c->full_load_saving);
	ps_strbuf_puts(out, "</dl>\n");
}

static void name(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_escape(out, p->a->campaign->name);
}

static void title(const struct ps_report_page *p, struct ps_strbuf *out)
{
	name(p, out);
	ps_strbuf_puts(out, " - Perseus report");
}

static void kicker(const struct ps_report_page *p, struct ps_strbuf *out)
{
	char iso[PS_CLOCK_ISO_SIZE];

	ps_clock_wall_iso(p->a->campaign->started_wall_ns, iso);
	ps_strbuf_printf(out, "Perseus campaign, started %.16s UTC, %d of %zu cells measured", iso,
			 p->a->cells_done, p->a->campaign->cell_len);
}

static void verdict(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_escape(out, p->a->verdict);
}

static void verdict_class(const struct ps_report_page *p, struct ps_strbuf *out)
{
	enum ps_report_verdict v = PS_REPORT_UNDECIDED;

	if (p->a->comparison_len > 0 && !ps_report_has_several(p->a))
		v = p->a->sets[p->a->comparisons[0].set].verdict;
	ps_strbuf_puts(out, v == PS_REPORT_NO_DATA ? "undecided" : ps_report_verdict_name(v));
}

/* ---- its end ---- */

static void series_note(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_report_answer *a = p->a;
	bool any = false;

	for (size_t i = 0; i < a->campaign->set_len; i++)
		any = any || (a->sets[i].shown && a->sets[i].shown->second_len > 0);
	if (!any)
		ps_report_note(out, "The store holds no series per second of trials at the demand "
				    "rates: goodput and latency over time are not drawn.");
}

static void manifest(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_put_manifest(p->a->campaign, out);
}

static void file_path(const struct ps_report_page *p, struct ps_strbuf *out)
{
	if (!p->a->campaign->file_path)
		return;
	ps_strbuf_puts(out, " ");
	ps_report_escape(out, p->a->campaign->file_path);
}

static void file_text(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_escape(out, p->a->campaign->file_text);
}

static void full_command(const struct ps_report_page *p, struct ps_strbuf *out)
{
	if (!p->a->campaign->full_command)
		return;
	ps_strbuf_puts(out, "<p>The publishable run: <code>");
	ps_report_escape(out, p->a->campaign->full_command);
	ps_strbuf_puts(out, "</code></p>\n");
}

static void data(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_script_data(out, ps_report_json(p->a, true));
}

static void js(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_put_asset(out, PS_REPORT_MONEY_JS);
	ps_report_put_asset(out, PS_REPORT_FIGURES_JS);
	ps_report_put_asset(out, PS_REPORT_PAGE_JS);
	ps_report_put_asset(out, PS_REPORT_PRICES_JS);
	ps_report_put_asset(out, PS_REPORT_WHATIF_JS);
	ps_report_put_asset(out, PS_REPORT_EVEN_JS);
	if (p->a->beside)
		ps_report_put_asset(out, PS_REPORT_PUBLISHED_JS);
	if (p->a->policies)
		ps_report_put_asset(out, PS_REPORT_POLICIES_JS);
	ps_report_put_asset(out, PS_REPORT_JS);
}

static const struct ps_report_place places[] = {
	{"title", title},
	{"css", ps_report_put_css},
	{"kicker", kicker},
	{"name", name},
	{"verdict", verdict},
	{"verdict_class", verdict_class},
	{"tiles", tiles},
	{"warning_link", warning_link},
	{"comparisons", comparisons},
	{"asked", asked},
	{"demand", demand},
	{"capacity", capacity},
	{"savings", savings},
	{"machine", machine},
	{"published", ps_report_put_beside},
	{"policies", ps_report_put_policies},
	{"plan", ps_report_put_plan},
	{"predictions", predictions},
	{"series_note", series_note},
	{"further", further},
	{"warnings", warnings},
	{"manifest", manifest},
	{"file_path", file_path},
	{"file_text", file_text},
	{"full_command", full_command},
	{"version", ps_report_put_version},
	{"data", data},
	{"chart_js", ps_report_put_chart_js},
	{"js", js},
};

enum ps_status ps_report_html(const struct ps_report_answer *a, struct ps_strbuf *out,
			      struct ps_error *err)
{
	struct ps_report_page p = {.a = a};

	return ps_report_fill(PS_REPORT_TEMPLATE, places, sizeof places / sizeof *places, &p, out,
			      err);
}
