/* policies_show.c - policies for the memory of models: tables, a section, a page of its own. */
#include "grid_internal.h"
#include "policies_internal.h"

#include "conf/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const struct column {
	const char *key, *head;
	double times; /* for people */
} of_policy[] =
	{
		{"requests_per_s", "requests/s", 1},
		{"against_optp", "% of optp's", 100},
		{"hit_ratio", "hits, %", 100},
		{"used", "memory used, %", 100},
		{"jain", "Jain's index", 1},
		{"worst_share", "worst share", 1},
		{"outside_core", "outside the core, %", 100},
		{"mean_slowdown", "mean slowdown", 1},
		{"worst_p99_slowdown", "worst p99 slowdown", 1},
},
  of_tenant[] = {
	  {"hit_ratio", "hits, %", 100},
	  {"share", "x share", 1},
	  {"mean_slowdown", "mean slowdown", 1},
	  {"p99_slowdown", "p99 slowdown", 1},
};

enum {
	POLICY_FIGURES = sizeof of_policy / sizeof *of_policy,
	TENANT_FIGURES = sizeof of_tenant / sizeof *of_tenant
};

static struct ps_stats_interval interval_of(const json_t *row, const char *key, double times)
{
	const json_t *v = json_object_get(row, key);
	struct ps_stats_interval i = {.value = times * ps_json_get_real(v, "value", NAN),
				      .lo = times * ps_json_get_real(v, "low", NAN),
				      .hi = times * ps_json_get_real(v, "high", NAN)};

	i.has_interval = !isnan(i.lo) && !isnan(i.hi);
	return i;
}

static const char *name_of(const json_t *row)
{
	return ps_json_get_string(row, "policy", "");
}

/* ---- tables ---- */

static void figures(const json_t *row, const struct column *columns, int n,
		    struct ps_report_grid *g, size_t r, int from)
{
	char text[PS_REPORT_CELL_SIZE];

	for (int c = 0; c < n; c++) {
		struct ps_stats_interval i = interval_of(row, columns[c].key, columns[c].times);
		ps_report_grid_set(g, r, from + c, ps_report_interval(&i, false, false, text));
	}
}

static void grid_policies(const json_t *shown, struct ps_report_grid *g)
{
	const char *heads[POLICY_FIGURES + 3] = {"policy"};
	const json_t *all = json_object_get(shown, "policies"), *row;
	size_t r;

	for (int c = 0; c < POLICY_FIGURES; c++)
		heads[c + 1] = of_policy[c].head;
	heads[POLICY_FIGURES + 1] = "worst epoch";
	ps_report_grid_init(g, "Policies under the same requests", heads, 1, json_array_size(all));
	json_array_foreach((json_t *)all, r, row)
	{
		ps_report_grid_set(g, r, 0, name_of(row));
		figures(row, of_policy, POLICY_FIGURES, g, r, 1);
		if (json_is_number(json_object_get(row, "worst_epoch")))
			ps_report_grid_printf(g, r, POLICY_FIGURES + 1, "%.4f",
					      ps_json_get_real(row, "worst_epoch", NAN));
		if (ps_json_get_int(row, "epochs", 0) > 0 &&
		    ps_json_get_int(row, "epochs_looked_at", 0) == 0)
			ps_report_grid_set(g, r, 7, "not checked");
	}
}

static void grid_tenants(const json_t *shown, struct ps_report_grid *g)
{
	const char *heads[TENANT_FIGURES + 3] = {"policy", "tenant"};
	const json_t *all = json_object_get(shown, "policies"), *row, *t;
	size_t p, i, n = 0, r = 0;

	for (int c = 0; c < TENANT_FIGURES; c++)
		heads[c + 2] = of_tenant[c].head;
	json_array_foreach((json_t *)all, p, row) n +=
		json_array_size(json_object_get(row, "tenants"));
	ps_report_grid_init(g, "Tenants under each policy", heads, 3, n);
	json_array_foreach((json_t *)all, p, row)
	{
		json_array_foreach(json_object_get(row, "tenants"), i, t)
		{
			ps_report_grid_set(g, r, 0, name_of(row));
			ps_report_grid_set(g, r, 1, ps_json_get_string(t, "tenant", ""));
			figures(t, of_tenant, TENANT_FIGURES, g, r++, 2);
		}
	}
}

/* ---- the answer ---- */

static const json_t *find(const json_t *shown, const char *name)
{
	const json_t *row;
	size_t i;

	json_array_foreach(json_object_get(shown, "policies"), i,
			   row) if (strcmp(name_of(row), name) == 0) return row;
	return NULL;
}

/* Whose share is below 1 over a whole run, by more than the certificate's slack. */
static void robbed(const json_t *shown, struct ps_strbuf *out)
{
	char text[PS_REPORT_CELL_SIZE];
	const json_t *row;
	const char *before = " Robbed of part of its share over a whole run is the worst off "
			     "tenant of ";
	size_t i;
	bool any = false;

	json_array_foreach(json_object_get(shown, "policies"), i, row)
	{
		struct ps_stats_interval v = interval_of(row, "worst_share", 1);
		if (!(v.value < 1 - 1e-6))
			continue;
		ps_strbuf_printf(out, "%s%s (%s)", any ? ", " : before, name_of(row),
				 ps_report_number(v.value, text));
		any = true;
	}
	if (any)
		ps_strbuf_putc(out, '.');
}

static void sentence(const json_t *shown, struct ps_strbuf *out)
{
	const json_t *pf = find(shown, "pf");
	struct ps_stats_interval share = interval_of(pf, "worst_share", 1);
	struct ps_stats_interval rate = interval_of(pf, "against_optp", 100);
	long long looked = ps_json_get_int(pf, "epochs_looked_at", 0);
	char text[PS_REPORT_CELL_SIZE];

	if (pf) {
		ps_strbuf_printf(out, "Under pf the worst off tenant has %s times its share",
				 ps_report_number(share.value, text));
		ps_strbuf_printf(out, ", %.4f times in the worst epoch",
				 ps_json_get_real(pf, "worst_epoch", NAN));
		if (!isnan(rate.value))
			ps_strbuf_printf(out, ", at %s %% of optp's throughput",
					 ps_report_number(rate.value, text));
		if (looked > 0)
			ps_strbuf_printf(out,
					 "; in %lld of %lld epochs checked a group could do better "
					 "on its own",
					 (long long)ps_json_get_int(pf, "epochs_outside", 0),
					 looked);
		ps_strbuf_putc(out, '.');
	} else {
		ps_strbuf_printf(out, "%zu policies under the same requests.",
				 json_array_size(json_object_get(shown, "policies")));
	}
	robbed(shown, out);
}

static void put_sentence(const json_t *shown, struct ps_strbuf *out)
{
	struct ps_strbuf said;

	ps_strbuf_init(&said);
	sentence(shown, &said);
	ps_report_escape(out, said.data);
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
}

static const char what_is_what[] =
	"Worst share: of what the worst off tenant is entitled to, over all epochs of a run, "
	"foreseen "
	"over the draw; 1 or more keeps the promise. Worst epoch: the least of any epoch of any "
	"run. "
	"Outside the core: epochs in which a group of tenants could do better on its own, of those "
	"that were checked. Slowdown: latency over that of the same request with memory and "
	"machine "
	"for its tenant alone. Brackets: 95 % intervals over runs.";

/* ---- text, Markdown ---- */

void ps_report_policies_text(const json_t *shown, size_t width, struct ps_strbuf *out)
{
	void (*const tables[])(const json_t *, struct ps_report_grid *) = {grid_policies,
									   grid_tenants};
	struct ps_strbuf said;

	if (!shown)
		return;
	ps_strbuf_puts(out, "\nMemory for models: policies\n");
	ps_strbuf_init(&said);
	sentence(shown, &said);
	if (ps_strbuf_status(&said) == PS_OK)
		ps_conf_wrap(out, said.data, said.len, 0, 0, width);
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
	for (int i = 0; i < 2; i++) {
		struct ps_report_grid g;
		tables[i](shown, &g);
		ps_strbuf_printf(out, "\n%s\n", g.title);
		ps_report_grid_text(&g, width, out);
		ps_report_grid_fini(&g);
	}
}

void ps_report_policies_markdown(const json_t *shown, struct ps_strbuf *out)
{
	void (*const tables[])(const json_t *, struct ps_report_grid *) = {grid_policies,
									   grid_tenants};

	if (!shown)
		return;
	ps_strbuf_puts(out, "\n## Memory for models: policies\n\n");
	sentence(shown, out);
	ps_strbuf_putc(out, '\n');
	for (int i = 0; i < 2; i++) {
		struct ps_report_grid g;
		tables[i](shown, &g);
		ps_report_grid_markdown(&g, out);
		ps_report_grid_fini(&g);
	}
}

/* ---- the section ---- */

static void put_grid(void (*make)(const json_t *, struct ps_report_grid *), const json_t *shown,
		     struct ps_strbuf *out)
{
	struct ps_report_grid g;

	make(shown, &g);
	ps_report_grid_html(&g, out);
	ps_report_grid_fini(&g);
}

static void drawing(const json_t *shown, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, "<div class=\"grid\" data-figures=\"policies\"></div>\n");
	ps_report_note(out, what_is_what);
	put_grid(grid_policies, shown, out);
}

void ps_report_put_policies(const struct ps_report_page *page, struct ps_strbuf *out)
{
	const json_t *shown = page->a->policies;

	if (!shown)
		return;
	ps_strbuf_puts(out, "<section id=\"policies\">\n<h2 data-short=\"Memory policies\">Sharing "
			    "the memory for models</h2>\n<p>");
	put_sentence(shown, out);
	ps_strbuf_puts(out, "</p>\n");
	drawing(shown, out);
	ps_strbuf_puts(out, "<details><summary>Each tenant</summary>\n");
	put_grid(grid_tenants, shown, out);
	ps_strbuf_puts(out, "</details>\n</section>\n");
}

/* ---- a page of its own ---- */

static void name(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const char *workload =
		ps_json_get_string(json_object_get(p->policies, "setting"), "workload", "");

	ps_strbuf_puts(out, "Sharing the memory for models: ");
	ps_report_escape(out,
			 strcmp(workload, "published") == 0 ? "the published workload" : workload);
}

static void verdict(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_sentence(p->policies, out);
}

/* The default policy's promises: its share to everybody, and the core. */
static void verdict_class(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const json_t *pf = find(p->policies, "pf");
	bool kept = ps_json_get_real(pf, "worst_epoch", NAN) >= 1 - 1e-6 &&
		    ps_json_get_int(pf, "epochs_outside", 0) == 0;

	ps_strbuf_puts(out, !pf ? "undecided" : kept ? "met" : "missed");
}

static void policies(const struct ps_report_page *p, struct ps_strbuf *out)
{
	drawing(p->policies, out);
}

static void tenants(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(grid_tenants, p->policies, out);
}

static void setting(const struct ps_report_page *p, struct ps_strbuf *out)
{
	char *text = json_dumps(json_object_get(p->policies, "setting"), JSON_INDENT(2));

	out->failed = out->failed || !text;
	ps_report_escape(out, text);
	free(text);
}

static void data(const struct ps_report_page *p, struct ps_strbuf *out)
{
	json_t *o = json_object();

	json_object_set(o, "policies", (json_t *)p->policies);
	ps_report_script_data(out, o);
}

static void js(const struct ps_report_page *p, struct ps_strbuf *out)
{
	(void)p;
	ps_report_put_asset(out, PS_REPORT_MONEY_JS);
	ps_report_put_asset(out, PS_REPORT_FIGURES_JS);
	ps_report_put_asset(out, PS_REPORT_PAGE_JS);
	ps_report_put_asset(out, PS_REPORT_POLICIES_JS);
	ps_strbuf_puts(out, "perseus.page.start();\n");
}

static const struct ps_report_place places[] = {
	{"css", ps_report_put_css},
	{"name", name},
	{"verdict", verdict},
	{"verdict_class", verdict_class},
	{"policies", policies},
	{"tenants", tenants},
	{"setting", setting},
	{"version", ps_report_put_version},
	{"data", data},
	{"chart_js", ps_report_put_chart_js},
	{"js", js},
};

enum ps_status ps_report_policies_html(const json_t *shown, struct ps_strbuf *out,
				       struct ps_error *err)
{
	struct ps_report_page p = {.policies = shown};

	return ps_report_fill(PS_REPORT_POLICIES_TEMPLATE, places, sizeof places / sizeof *places,
			      &p, out, err);
}
