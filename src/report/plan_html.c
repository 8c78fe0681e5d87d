/* plan_html.c - the plan as machines with their tenants, before and after. Drawn with elements and
 * not on a canvas: it reads and prints as a list. */
#include "page_internal.h"

#include <math.h>
#include <stdlib.h>

enum { MAX_DRAWN = 60, COLOURS = 6 };

/* A part of the machine's bar. Without a known load no bar is drawn: its lengths would say
 * something that nobody computed. */
static void part(const struct ps_report_plan_guest *g, struct ps_strbuf *out)
{
	double share = fmin(1, fmax(0, g->load));

	ps_strbuf_printf(out, "<span class=\"t%d\" style=\"width:%.2f%%\"></span>",
			 g->tenant % COLOURS, 100 * share);
}

static void bar(const struct ps_report_plan_machine *m, struct ps_strbuf *out)
{
	for (size_t i = 0; i < m->guest_len; i++)
		if (isnan(m->guests[i].load))
			return;
	ps_strbuf_puts(out, "<div class=\"load\" aria-hidden=\"true\">");
	for (size_t i = 0; i < m->guest_len; i++)
		part(&m->guests[i], out);
	ps_strbuf_puts(out, "</div>");
}

static void guest(const struct ps_report_plan *p, const struct ps_report_plan_guest *g,
		  struct ps_strbuf *out)
{
	char text[PS_REPORT_CELL_SIZE];

	ps_strbuf_printf(out, "<li><span class=\"key t%d\" aria-hidden=\"true\"></span> <b>",
			 g->tenant % COLOURS);
	ps_report_escape(out, p->tenants[g->tenant].name);
	ps_strbuf_printf(out, "</b> %s/s", ps_report_number(g->rps, text));
	if (!isnan(g->p99_ms))
		ps_strbuf_printf(out, "<small>p%g %s ms",
				 isnan(g->percentile) ? 99 : 100 * g->percentile,
				 ps_report_number(g->p99_ms, text));
	if (!isnan(g->p99_ms) && !isnan(g->p99_high_ms))
		ps_strbuf_printf(out, ", up to %s", ps_report_number(g->p99_high_ms, text));
	if (!isnan(g->p99_ms) && !isnan(g->limit_ms))
		ps_strbuf_printf(out, ", limit %s", ps_report_number(g->limit_ms, text));
	if (!isnan(g->p99_ms))
		ps_strbuf_puts(out, "</small>");
	ps_strbuf_puts(out, "</li>");
}

static void machine(const struct ps_report_plan *p, const struct ps_report_plan_machine *m,
		    struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<li class=\"machine\"><p>");
	if (m->count > 1)
		ps_strbuf_printf(out, "%lld &times; ", (long long)m->count);
	ps_strbuf_puts(out, "<b>");
	ps_report_escape(out, m->instance_type);
	ps_strbuf_puts(out, "</b> <small>");
	ps_report_escape(out, m->name);
	ps_strbuf_printf(out, " $%.4g/h%s", m->usd_per_hour, m->count > 1 ? " each" : "");
	if (m->market[0]) {
		ps_strbuf_puts(out, ", ");
		ps_report_escape(out, m->market);
	}
	if (!isnan(m->load))
		ps_strbuf_printf(out, ", %.0f %% in use", 100 * m->load);
	ps_strbuf_puts(out, "</small></p>");
	bar(m, out);
	ps_strbuf_puts(out, "<ul>");
	for (size_t i = 0; i < m->guest_len; i++)
		guest(p, &m->guests[i], out);
	ps_strbuf_puts(out, "</ul></li>\n");
}

static void placement(const struct ps_report_plan *p, const char *when,
		      enum ps_report_placement_id id, struct ps_strbuf *out)
{
	const struct ps_report_placement *x = &p->placements[id];

	ps_strbuf_printf(out,
			 "<div class=\"placement\"><h3>%s: %s <small>%lld machine%s, $%.2f a "
			 "month</small></h3>\n<ul class=\"machines\">\n",
			 when, ps_report_placement_title(id), (long long)x->machine_count,
			 x->machine_count == 1 ? "" : "s", ps_cost_usd_per_month(x->usd_per_hour));
	for (size_t i = 0; i < x->machine_len && i < MAX_DRAWN; i++)
		machine(p, &x->machines[i], out);
	ps_strbuf_puts(out, "</ul>\n");
	if (x->machine_len > MAX_DRAWN)
		ps_strbuf_printf(
			out,
			"<p class=\"note\">And %zu more kinds of machine, which the plan's "
			"own JSON lists.</p>\n",
			x->machine_len - MAX_DRAWN);
	ps_strbuf_puts(out, "</div>\n");
}

static void unplaced(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	if (p->unplaced_len == 0)
		return;
	ps_strbuf_puts(out, "<p>Not placed:</p><ul class=\"warnings\">\n");
	for (size_t i = 0; i < p->unplaced_len && i < PS_REPORT_PLAN_SHOWN; i++) {
		ps_strbuf_puts(out, "<li>");
		ps_report_escape(out, p->tenants[p->unplaced[i].tenant].name);
		ps_strbuf_puts(out, ": ");
		ps_report_escape(out, p->unplaced[i].reason);
		ps_strbuf_puts(out, "</li>\n");
	}
	ps_strbuf_puts(out, "</ul>\n");
}

static void table(const struct ps_report_plan *p,
		  void (*make)(const struct ps_report_plan *, struct ps_report_grid *),
		  const char *summary, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	make(p, &g);
	ps_strbuf_printf(out, "<details><summary>%s</summary>\n", summary);
	ps_report_grid_html(&g, out);
	ps_strbuf_puts(out, "</details>\n");
	ps_report_grid_fini(&g);
}

static void before_and_after(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	enum ps_report_placement_id before = p->placements[PS_REPORT_DEDICATED].known
						     ? PS_REPORT_DEDICATED
						     : PS_REPORT_HOMOGENEOUS;

	ps_strbuf_puts(out, "<div class=\"placements\">\n");
	if (p->placements[before].known)
		placement(p, "Before", before, out);
	placement(p, p->placements[before].known ? "After" : "Rented", PS_REPORT_PLANNED, out);
	ps_strbuf_puts(out, "</div>\n");
}

/* What came of it when it was measured. */
static void proved(const struct ps_report_plan *p, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	if (!p->proved_verdict[0])
		return;
	ps_strbuf_puts(out, "<h3>Measured on this machine: ");
	ps_report_escape(out, p->proved_verdict);
	ps_strbuf_puts(out, "</h3>\n<p class=\"note\">");
	ps_report_escape(out, p->proved_sentence);
	ps_strbuf_puts(out, "</p>\n");
	ps_report_grid_proved(p, &g);
	if (g.len > 0)
		ps_report_grid_html(&g, out);
	if (g.len < p->proved_len)
		ps_strbuf_printf(out, "<p class=\"note\">The first %zu of %zu.</p>\n", g.len,
				 p->proved_len);
	ps_report_grid_fini(&g);
}

void ps_report_put_plan(const struct ps_report_page *page, struct ps_strbuf *out)
{
	const struct ps_report_plan *p = page->a->plan;
	struct ps_strbuf said;

	if (!p || !p->placements[PS_REPORT_PLANNED].known)
		return;
	ps_strbuf_puts(out, "<section id=\"plan\">\n<h2 data-short=\"Plan\">What to rent</h2>\n"
			    "<p>");
	ps_strbuf_init(&said);
	ps_report_plan_sentences(p, &said);
	ps_report_escape(out, said.data);
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
	ps_strbuf_puts(out, "</p>\n");
	unplaced(p, out);
	before_and_after(p, out);
	ps_strbuf_puts(out, "<div class=\"grid\" data-figures=\"plan\"></div>\n");
	proved(p, out);
	table(p, ps_report_grid_rent, "Table: what is rented", out);
	table(p, ps_report_grid_plan, "Table: who runs where", out);
	ps_strbuf_puts(out, "<p class=\"tools\" id=\"plan-tools\"></p>\n</section>\n");
}
