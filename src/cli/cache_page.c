/* cache_page.c - the policies on one page: efficiency against fairness, and the tables. The chart
 * is SVG in the page, so that it opens anywhere and prints; the page of perseus report is about a
 * campaign, which this is not. */
#include "cli/cache_sim_internal.h"

#include <math.h>
#include <stdlib.h>

enum { WIDTH = 640, HEIGHT = 420, LEFT = 64, BOTTOM = 48, TOP = 16, RIGHT = 24 };

static void escape(struct ps_strbuf *out, const char *s)
{
	for (; *s; s++) {
		if (*s == '<' || *s == '>' || *s == '&' || *s == '"')
			ps_strbuf_printf(out, "&#%d;", *s);
		else
			ps_strbuf_putc(out, *s);
	}
}

struct axis {
	double low, high, step;
};

/* The least round step of which `span` has at most eight. */
static double step_of(double span)
{
	static const double steps[] = {0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50};
	size_t i = 0;

	while (i + 1 < sizeof(steps) / sizeof(*steps) && span / steps[i] > 8)
		i++;
	return steps[i];
}

static double x_of(const struct axis *a, double v)
{
	return LEFT + (v - a->low) / (a->high - a->low) * (WIDTH - LEFT - RIGHT);
}

static double y_of(const struct axis *a, double v)
{
	return HEIGHT - BOTTOM - (v - a->low) / (a->high - a->low) * (HEIGHT - BOTTOM - TOP);
}

/* Round ends around what is shown, and around 1, which both axes are about. */
static struct axis axis_of(const struct ps_cli_cache_simulated *s, enum ps_cli_cache_figure f)
{
	struct axis a = {1, 1, 0};

	for (int i = 0; i < s->n; i++) {
		const struct ps_stats_interval *v = &s->row[i].figure[f];
		if (isnan(v->value))
			continue;
		a.low = fmin(a.low, v->has_interval ? v->lo : v->value);
		a.high = fmax(a.high, v->has_interval ? v->hi : v->value);
	}
	a.step = step_of(a.high - a.low);
	a.low = fmax(0, (floor(a.low / a.step) - 1) * a.step);
	a.high = (ceil(a.high / a.step) + 1) * a.step;
	return a;
}

static void line(struct ps_strbuf *out, double x1, double y1, double x2, double y2,
		 const char *class)
{
	ps_strbuf_printf(out,
			 "<line class=\"%s\" x1=\"%.1f\" y1=\"%.1f\" x2=\"%.1f\" y2=\"%.1f\"/>\n",
			 class, x1, y1, x2, y2);
}

static int ticks_of(const struct axis *a)
{
	return (int)lround((a->high - a->low) / a->step);
}

static void ticks(const struct axis *x, const struct axis *y, struct ps_strbuf *out)
{
	for (int k = 0; k <= ticks_of(x); k++) {
		double v = x->low + k * x->step;
		line(out, x_of(x, v), TOP, x_of(x, v), HEIGHT - BOTTOM, "grid");
		ps_strbuf_printf(out,
				 "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n",
				 x_of(x, v), HEIGHT - BOTTOM + 18, v);
	}
	for (int k = 0; k <= ticks_of(y); k++) {
		double v = y->low + k * y->step;
		line(out, LEFT, y_of(y, v), WIDTH - RIGHT, y_of(y, v), "grid");
		ps_strbuf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%g</text>\n",
				 LEFT - 8, y_of(y, v) + 4, v);
	}
	line(out, x_of(x, 1), TOP, x_of(x, 1), HEIGHT - BOTTOM, "one");
	line(out, LEFT, y_of(y, 1), WIDTH - RIGHT, y_of(y, 1), "one");
}

static bool has_point(const struct ps_cli_cache_row *r)
{
	return !isnan(r->figure[PS_CLI_CACHE_WORST].value) &&
	       !isnan(r->figure[PS_CLI_CACHE_AGAINST].value);
}

/* Where a policy's name goes: the first corner of its point that is free of others. */
struct place {
	double x, y; /* of its middle */
};

static bool is_free(const struct ps_cli_cache_simulated *s, int i, const struct axis *x,
		    const struct axis *y, const struct place *names, struct place here)
{
	for (int k = 0; k < s->n; k++) {
		const struct ps_stats_interval *v = s->row[k].figure;
		if (k < i && fabs(names[k].x - here.x) < 34 && fabs(names[k].y - here.y) < 13)
			return false;
		if (k != i && has_point(&s->row[k]) &&
		    fabs(x_of(x, v[PS_CLI_CACHE_WORST].value) - here.x) < 24 &&
		    fabs(y_of(y, v[PS_CLI_CACHE_AGAINST].value) - here.y) < 12)
			return false;
	}
	return true;
}

static struct place name_place(const struct ps_cli_cache_simulated *s, int i, const struct axis *x,
			       const struct axis *y, const struct place *names, struct place point)
{
	static const struct place corners[] = {{24, -11}, {-24, -11}, {24, 11},
					       {-24, 11}, {44, 0},    {-44, 0}};

	for (size_t c = 0; c < sizeof(corners) / sizeof(*corners); c++) {
		struct place here = {point.x + corners[c].x, point.y + corners[c].y};
		if (is_free(s, i, x, y, names, here))
			return here;
	}
	return (struct place){point.x + corners[0].x, point.y + corners[0].y};
}

static void point(const struct ps_cli_cache_simulated *s, int i, const struct axis *x,
		  const struct axis *y, struct place *names, struct ps_strbuf *out)
{
	const struct ps_cli_cache_row *r = &s->row[i];
	const struct ps_stats_interval *h = &r->figure[PS_CLI_CACHE_WORST];
	const struct ps_stats_interval *v = &r->figure[PS_CLI_CACHE_AGAINST];

	if (!has_point(r))
		return;
	struct place at = {x_of(x, h->value), y_of(y, v->value)};
	names[i] = name_place(s, i, x, y, names, at);
	if (h->has_interval)
		line(out, x_of(x, h->lo), at.y, x_of(x, h->hi), at.y, "bar");
	if (v->has_interval)
		line(out, at.x, y_of(y, v->lo), at.x, y_of(y, v->hi), "bar");
	ps_strbuf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"5\"/>\n", at.x, at.y);
	ps_strbuf_printf(out,
			 "<text class=\"name\" x=\"%.1f\" y=\"%.1f\" "
			 "text-anchor=\"middle\">%s</text>\n",
			 names[i].x, names[i].y + 4, ps_cache_policy_get(r->policy)->name);
}

static void chart(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	struct axis x = axis_of(s, PS_CLI_CACHE_WORST), y = axis_of(s, PS_CLI_CACHE_AGAINST);
	struct place names[PS_CACHE_KINDS] = {{0}};

	ps_strbuf_printf(out,
			 "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"Throughput against "
			 "the worst off tenant's share, a point per policy\">\n",
			 WIDTH, HEIGHT);
	ticks(&x, &y, out);
	for (int i = 0; i < s->n; i++)
		point(s, i, &x, &y, names, out);
	ps_strbuf_printf(out,
			 "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">fairness: the worst off "
			 "tenant, in parts of its share</text>\n",
			 (WIDTH + LEFT) / 2, HEIGHT - 8);
	ps_strbuf_printf(
		out,
		"<text transform=\"translate(14 %d) rotate(-90)\" "
		"text-anchor=\"middle\">efficiency: throughput over optp's</text>\n</svg>\n",
		(HEIGHT - BOTTOM) / 2);
}

static void number(const struct ps_stats_interval *i, struct ps_strbuf *out)
{
	if (isnan(i->value))
		ps_strbuf_puts(out, "<td>-</td>");
	else if (i->has_interval)
		ps_strbuf_printf(out, "<td>%.4g <small>[%.4g, %.4g]</small></td>", i->value, i->lo,
				 i->hi);
	else
		ps_strbuf_printf(out, "<td>%.4g</td>", i->value);
}

static void policies(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<table><thead><tr><th>policy</th>");
	for (int f = 0; f < PS_CLI_CACHE_FIGURES; f++)
		ps_strbuf_printf(out, "<th>%s</th>",
				 ps_cli_cache_figure_name((enum ps_cli_cache_figure)f));
	ps_strbuf_puts(out, "<th>worst_epoch</th></tr></thead><tbody>\n");
	for (int i = 0; i < s->n; i++) {
		ps_strbuf_printf(out, "<tr><th title=\"%s\">%s</th>",
				 ps_cache_policy_get(s->row[i].policy)->summary,
				 ps_cache_policy_get(s->row[i].policy)->name);
		for (int f = 0; f < PS_CLI_CACHE_FIGURES; f++)
			number(&s->row[i].figure[f], out);
		ps_strbuf_printf(out, "<td>%.4g</td></tr>\n", s->row[i].worst_epoch);
	}
	ps_strbuf_puts(out, "</tbody></table>\n");
}

static void tenants(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<table><thead><tr><th>policy</th><th>tenant</th><th>hit ratio</th>"
			    "<th>x share</th><th>mean slowdown</th><th>p99 slowdown</th></tr>"
			    "</thead><tbody>\n");
	for (int i = 0; i < s->n; i++)
		for (int t = 0; t < s->tenants; t++) {
			const struct ps_cli_cache_tenant_figures *x = &s->row[i].tenant[t];
			ps_strbuf_printf(out, "<tr><th>%s</th><th>",
					 ps_cache_policy_get(s->row[i].policy)->name);
			if (s->tenant_name)
				escape(out, s->tenant_name[t]);
			else
				ps_strbuf_printf(out, "tenant %d", t + 1);
			ps_strbuf_puts(out, "</th>");
			number(&x->hits, out);
			number(&x->share, out);
			number(&x->mean_slowdown, out);
			number(&x->p99_slowdown, out);
			ps_strbuf_puts(out, "</tr>\n");
		}
	ps_strbuf_puts(out, "</tbody></table>\n");
}

static void setting(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	char *text = json_dumps(s->setting, JSON_INDENT(2));

	ps_strbuf_puts(out, "<h2>Setting</h2>\n<pre>");
	escape(out, text ? text : "no memory");
	ps_strbuf_puts(out, "</pre>\n");
	free(text);
}

void ps_cli_cache_sim_page(const struct ps_cli_cache_simulated *s, struct ps_strbuf *out)
{
	ps_strbuf_puts(
		out,
		"<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
		"<meta name=\"viewport\" content=\"width=device-width\">\n"
		"<title>Model memory: efficiency against fairness</title>\n<style>\n"
		"body{font:15px/1.45 system-ui,sans-serif;max-width:64rem;margin:2rem "
		"auto;padding:0 1rem}\n"
		"svg{max-width:40rem;width:100%}svg text{font-size:12px;fill:currentColor}"
		"svg .name{font-weight:600}circle{fill:#2563a8}\n"
		".grid{stroke:#8884}.one{stroke:#b4532a;stroke-dasharray:5 4}.bar{stroke:#2563a8}\n"
		"table{border-collapse:collapse;display:block;overflow-x:auto}th,td{padding:.2rem "
		".6rem;text-align:right;border-bottom:1px solid #8884}th:first-child{text-align:"
		"left}small{opacity:.7;white-space:nowrap}\n"
		"</style></head><body>\n<h1>Model memory: efficiency against fairness</h1>\n<p>");
	escape(out, s->title);
	ps_strbuf_printf(
		out,
		", %d tenants, %d seeds; bars and brackets are 95 %% intervals of means. "
		"Right of the dashed upright nobody has less than its share; on the dashed "
		"level throughput is that of optp.</p>\n",
		s->tenants, s->seeds);
	chart(s, out);
	ps_strbuf_puts(out, "<h2>Policies</h2>\n");
	policies(s, out);
	ps_strbuf_puts(out, "<h2>Tenants</h2>\n");
	tenants(s, out);
	setting(s, out);
	ps_strbuf_puts(out, "</body></html>\n");
}
