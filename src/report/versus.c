/* versus.c - two campaigns beside each other. */
#include "report/versus.h"

#include "page_internal.h"

#include "base/clock.h"
#include "conf/conf.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- tables ---- */

static void which_row(struct ps_report_grid *g, size_t r, const char *name,
		      const struct ps_report_answer *a)
{
	const struct ps_store_campaign *c = a->campaign;
	char iso[PS_CLOCK_ISO_SIZE], price[PS_REPORT_PRICE_SIZE];

	ps_clock_wall_iso(c->started_wall_ns, iso);
	ps_report_grid_set(g, r, 0, name);
	ps_report_grid_set(g, r, 1, c->name);
	ps_report_grid_printf(g, r, 2, "%.16s", iso);
	ps_report_grid_printf(g, r, 3, "%d of %zu", a->cells_done, c->cell_len);
	ps_report_grid_set(g, r, 4, c->slice_cpus && *c->slice_cpus ? c->slice_cpus : "-");
	ps_report_grid_set(g, r, 5, ps_report_price(a, price));
}

static void grid_which(const struct ps_report_page *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {
		"", "campaign", "started, UTC", "cells measured", "CPUs", "priced as", NULL};

	ps_report_grid_init(g, "Which campaigns", heads, 7 | 3 << 4, 2);
	which_row(g, 0, "first", p->a);
	which_row(g, 1, "second", p->b);
}

static void grid_rows(const struct ps_report_page *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"figure", "first / second", "difference", "conditions",
					    NULL};
	char text[PS_REPORT_CELL_SIZE];

	ps_report_grid_init(g, "Figures that both measured", heads, 13, p->agreement->row_len);
	for (size_t i = 0; i < g->len; i++) {
		const struct ps_report_agree_row *r = &p->agreement->rows[i];
		ps_report_grid_set(g, i, 0, r->what);
		ps_report_grid_set(g, i, 1, ps_report_interval(&r->v, false, false, text));
		ps_report_grid_set(g, i, 2, ps_report_difference_name(r->difference));
		ps_report_grid_set(g, i, 3, r->changed ? "other" : r->counted ? "same" : "derived");
	}
}

/* The line of the other campaign that is of the same tenant and set, by their names. */
static const struct ps_report_line *twin(const struct ps_report_answer *a,
					 const struct ps_report_line *l,
					 const struct ps_report_answer *b)
{
	const struct ps_store_campaign *x = a->campaign, *y = b->campaign;

	for (size_t i = 0; i < b->line_len; i++)
		if (strcmp(x->tenants[l->tenant].name, y->tenants[b->lines[i].tenant].name) == 0 &&
		    strcmp(x->sets[l->set].name, y->sets[b->lines[i].set].name) == 0)
			return &b->lines[i];
	return NULL;
}

static void side_cells(struct ps_report_grid *g, size_t r, int column,
		       const struct ps_report_line *l)
{
	char text[PS_REPORT_CELL_SIZE];

	if (!l)
		return;
	if (l->capacity_known)
		ps_report_grid_set(
			g, r, column,
			ps_report_interval(&l->capacity_rps, l->open_below, l->open_above, text));
	ps_report_grid_set(
		g, r, column + 2,
		ps_report_interval(&l->usd_per_million, l->open_above, l->open_below, text));
	if (l->requests > 0)
		ps_report_grid_set(g, r, column + 4, ps_report_quantile(&l->p99, text));
}

static void grid_sides(const struct ps_report_page *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"tenant",
					    "set",
					    "requests/s: first",
					    "second",
					    "$ per million: first",
					    "second",
					    "p99, ms: first",
					    "second",
					    NULL};
	char label[PS_REPORT_LABEL_SIZE];

	ps_report_grid_init(g, "Side by side", heads, 3, p->a->line_len);
	for (size_t i = 0; i < g->len; i++) {
		const struct ps_report_line *l = &p->a->lines[i];
		ps_report_grid_set(g, i, 0, p->a->campaign->tenants[l->tenant].name);
		ps_report_grid_set(g, i, 1, ps_report_set_label(p->a, l->set, label));
		side_cells(g, i, 2, l);
		side_cells(g, i, 3, twin(p->a, l, p->b));
	}
}

/* ---- conditions: where the manifests differ ---- */

enum { MAX_CONDITIONS = 200, PATH_SIZE = 200 };

struct condition {
	char path[PATH_SIZE];
	char *first, *second; /* NULL: absent */
};

struct conditions {
	struct condition *list;
	size_t len, dropped;
};

static void differ(struct conditions *all, const char *path, const json_t *a, const json_t *b)
{
	if (all->len == MAX_CONDITIONS) {
		all->dropped++;
		return;
	}
	struct condition *c = &all->list[all->len++];
	snprintf(c->path, sizeof c->path, "%s", path);
	c->first = a ? json_dumps(a, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
	c->second = b ? json_dumps(b, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
}

/* Objects are entered; anything else is compared whole. Nesting is bounded by the JSON reader's. */
static void walk(struct conditions *all, const char *path, const json_t *a, const json_t *b)
{
	char inner[PATH_SIZE];
	const char *key;
	json_t *v;

	if (!json_is_object(a) || !json_is_object(b)) {
		if (!json_equal(a, b))
			differ(all, path, a, b);
		return;
	}
	json_object_foreach((json_t *)a, key, v)
	{
		const json_t *other = json_object_get(b, key);
		snprintf(inner, sizeof inner, "%.120s%s%.70s", path, path[0] ? "." : "", key);
		if (other)
			walk(all, inner, v, other);
		else
			differ(all, inner, v, NULL);
	}
	json_object_foreach((json_t *)b, key, v)
	{
		snprintf(inner, sizeof inner, "%.120s%s%.70s", path, path[0] ? "." : "", key);
		if (!json_object_get(a, key))
			differ(all, inner, NULL, v);
	}
}

static json_t *manifest_of(const struct ps_report_answer *a)
{
	const char *text = a->campaign->manifest_json;
	json_t *v = NULL;

	if (text)
		ps_json_parse(text, strlen(text), &v, NULL);
	return v ? v : json_object();
}

static void grid_conditions(const struct ps_report_page *p, struct ps_report_grid *g)
{
	static const char *const heads[] = {"in the manifest", "first", "second", NULL};
	struct conditions all = {.list = calloc(MAX_CONDITIONS, sizeof *all.list)};
	json_t *a = manifest_of(p->a), *b = manifest_of(p->b);

	if (all.list)
		walk(&all, "", a, b);
	ps_report_grid_init(g, "Where the manifests differ", heads, 7, all.len);
	g->failed = g->failed || !all.list;
	for (size_t i = 0; all.list && i < all.len; i++) {
		ps_report_grid_set(g, i, 0, all.list[i].path);
		ps_report_grid_printf(g, i, 1, "%.160s",
				      all.list[i].first ? all.list[i].first : "-");
		ps_report_grid_printf(g, i, 2, "%.160s",
				      all.list[i].second ? all.list[i].second : "-");
		free(all.list[i].first);
		free(all.list[i].second);
	}
	free(all.list);
	json_decref(a);
	json_decref(b);
}

/* ---- the page ---- */

static void put_grid(void (*make)(const struct ps_report_page *, struct ps_report_grid *),
		     const char *otherwise, const struct ps_report_page *p, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	make(p, &g);
	if (g.len > 0)
		ps_report_grid_html(&g, out);
	else
		ps_report_note(out, otherwise);
	ps_report_grid_fini(&g);
}

static void which(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(grid_which, "", p, out);
}

static void rows(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(grid_rows, "No figure can be compared.", p, out);
}

static void sides(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(grid_sides, "", p, out);
}

static void conditions(const struct ps_report_page *p, struct ps_strbuf *out)
{
	put_grid(grid_conditions, "The manifests are the same.", p, out);
}

static void warnings_of(const char *title, const struct ps_report_answer *a, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "<h3>%s</h3>\n", title);
	if (a->warning_len == 0)
		ps_strbuf_puts(out, "<p>None.</p>\n");
	else
		ps_strbuf_puts(out, "<ul class=\"warnings\">\n");
	for (size_t i = 0; i < a->warning_len; i++) {
		ps_strbuf_puts(out, "<li>");
		ps_report_escape(out, a->warnings[i]);
		ps_strbuf_puts(out, "</li>\n");
	}
	if (a->warning_len > 0)
		ps_strbuf_puts(out, "</ul>\n");
}

static void warnings(const struct ps_report_page *p, struct ps_strbuf *out)
{
	warnings_of("Of the first", p->a, out);
	warnings_of("Of the second", p->b, out);
}

static void verdict(const struct ps_report_page *p, struct ps_strbuf *out)
{
	struct ps_strbuf said;

	ps_strbuf_init(&said);
	ps_report_agree_sentence(p->agreement, &said);
	ps_report_escape(out, said.data);
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
}

static void verdict_class(const struct ps_report_page *p, struct ps_strbuf *out)
{
	const struct ps_report_agreement *g = p->agreement;

	ps_strbuf_puts(out, g->agrees ? "met" : g->limit >= g->compared ? "undecided" : "missed");
}

static void name(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_escape(out, p->a->campaign->name);
	if (strcmp(p->a->campaign->name, p->b->campaign->name) == 0) {
		ps_strbuf_puts(out, ", twice");
		return;
	}
	ps_strbuf_puts(out, " against ");
	ps_report_escape(out, p->b->campaign->name);
}

static void title(const struct ps_report_page *p, struct ps_strbuf *out)
{
	name(p, out);
	ps_strbuf_puts(out, " - Perseus comparison");
}

static void manifest_first(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_put_manifest(p->a->campaign, out);
}

static void manifest_second(const struct ps_report_page *p, struct ps_strbuf *out)
{
	ps_report_put_manifest(p->b->campaign, out);
}

static void data(const struct ps_report_page *p, struct ps_strbuf *out)
{
	json_t *o = json_object();

	json_object_set_new(o, "agreement", ps_report_agree_json(p->agreement));
	json_object_set_new(o, "first", ps_report_json(p->a, false));
	json_object_set_new(o, "second", ps_report_json(p->b, false));
	ps_json_set_real(o, "widening_of_two", ps_report_widening(2));
	ps_report_script_data(out, o);
}

static void js(const struct ps_report_page *p, struct ps_strbuf *out)
{
	(void)p;
	ps_report_put_asset(out, PS_REPORT_MONEY_JS);
	ps_report_put_asset(out, PS_REPORT_FIGURES_JS);
	ps_report_put_asset(out, PS_REPORT_PAGE_JS);
	ps_report_put_asset(out, PS_REPORT_EVEN_JS);
	ps_report_put_asset(out, PS_REPORT_VERSUS_JS);
}

static const struct ps_report_place places[] = {
	{"title", title},
	{"css", ps_report_put_css},
	{"name", name},
	{"verdict", verdict},
	{"verdict_class", verdict_class},
	{"which", which},
	{"rows", rows},
	{"sides", sides},
	{"conditions", conditions},
	{"warnings", warnings},
	{"manifest_first", manifest_first},
	{"manifest_second", manifest_second},
	{"version", ps_report_put_version},
	{"data", data},
	{"chart_js", ps_report_put_chart_js},
	{"js", js},
};

enum ps_status ps_report_versus_html(const struct ps_report_answer *a,
				     const struct ps_report_answer *b,
				     const struct ps_report_agreement *g, struct ps_strbuf *out,
				     struct ps_error *err)
{
	struct ps_report_page p = {.a = a, .b = b, .agreement = g};

	return ps_report_fill(PS_REPORT_VERSUS_TEMPLATE, places, sizeof places / sizeof *places, &p,
			      out, err);
}

/* ---- in words ---- */

static void (*const tables[])(const struct ps_report_page *, struct ps_report_grid *) = {
	grid_which, grid_rows, grid_sides, grid_conditions};

void ps_report_versus_markdown(const struct ps_report_answer *a, const struct ps_report_answer *b,
			       const struct ps_report_agreement *g, struct ps_strbuf *out)
{
	struct ps_report_page p = {.a = a, .b = b, .agreement = g};

	ps_strbuf_puts(out, "# Two campaigns compared\n\n> ");
	ps_report_agree_sentence(g, out);
	ps_strbuf_putc(out, '\n');
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		struct ps_report_grid grid;
		tables[i](&p, &grid);
		ps_report_grid_markdown(&grid, out);
		ps_report_grid_fini(&grid);
	}
}

void ps_report_versus_text(const struct ps_report_answer *a, const struct ps_report_answer *b,
			   const struct ps_report_agreement *g, int width, struct ps_strbuf *out)
{
	struct ps_report_page p = {.a = a, .b = b, .agreement = g};
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;
	struct ps_strbuf said;

	ps_strbuf_init(&said);
	ps_report_agree_sentence(g, &said);
	ps_conf_wrap(out, said.data ? said.data : "", said.len, 0, 0, w);
	out->failed = out->failed || said.failed;
	ps_strbuf_fini(&said);
	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
		struct ps_report_grid grid;
		tables[i](&p, &grid);
		if (grid.len > 0)
			ps_strbuf_printf(out, "\n%s\n", grid.title);
		if (grid.len > 0)
			ps_report_grid_text(&grid, w, out);
		ps_report_grid_fini(&grid);
	}
}
