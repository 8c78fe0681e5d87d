/* page.c - templates and what every page has. Tables and texts are written here, so that a page is
 * complete without its scripts; those draw and recompute. */
#include "page_internal.h"

#include "base/version.h"

#include <stdlib.h>
#include <string.h>

void ps_report_escape(struct ps_strbuf *out, const char *s)
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

void ps_report_note(struct ps_strbuf *out, const char *text)
{
	ps_strbuf_puts(out, "<p class=\"note\">");
	ps_report_escape(out, text);
	ps_strbuf_puts(out, "</p>\n");
}

/* ---- tables ---- */

static void head(const struct ps_report_grid *g, int column, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "<th%s scope=\"col\">", g->left >> column & 1 ? " class=\"l\"" : "");
	ps_report_escape(out, g->heads[column]);
	ps_strbuf_puts(out, "</th>");
}

/* What follows a number is set smaller. */
static void number(const char *text, struct ps_strbuf *out)
{
	const char *more = strpbrk(text, "[,");
	struct ps_strbuf first;

	if (!more) {
		ps_report_escape(out, text);
		return;
	}
	ps_strbuf_init(&first);
	ps_strbuf_append(&first, text, (size_t)(more - text));
	ps_report_escape(out, first.data);
	ps_strbuf_fini(&first);
	ps_strbuf_puts(out, "<small>");
	ps_report_escape(out, more);
	ps_strbuf_puts(out, "</small>");
}

/* Verdicts of agreements, in a campaign and of a plan that was measured. */
static const char *verdict_class(const char *text)
{
	static const char *const classes[][2] = {{"met", "met"},
						 {"missed", "missed"},
						 {"violated", "missed"},
						 {"undecided", "undecided"}};

	for (size_t i = 0; i < sizeof classes / sizeof *classes; i++)
		if (strcmp(classes[i][0], text) == 0)
			return classes[i][1];
	return "none";
}

static void cell(const struct ps_report_grid *g, const char *text, int column,
		 struct ps_strbuf *out)
{
	const char *name = column == 0 ? "th" : "td";
	bool left = g->left >> column & 1;

	ps_strbuf_printf(out, "<%s%s%s>", name, column == 0 ? " scope=\"row\"" : "",
			 left ? " class=\"l\"" : "");
	if (column == g->verdict_column) {
		ps_strbuf_printf(out, "<span class=\"%s\">", verdict_class(text));
		ps_report_escape(out, text);
		ps_strbuf_puts(out, "</span>");
	} else if (left) {
		ps_report_escape(out, text);
	} else {
		number(text, out);
	}
	ps_strbuf_printf(out, "</%s>", name);
}

void ps_report_grid_html(const struct ps_report_grid *g, struct ps_strbuf *out)
{
	out->failed = out->failed || g->failed;
	ps_strbuf_puts(out, "<div class=\"scroll\"><table>\n<caption class=\"away\">");
	ps_report_escape(out, g->title);
	ps_strbuf_puts(out, "</caption>\n<thead><tr>");
	for (int c = 0; c < g->columns; c++)
		head(g, c, out);
	ps_strbuf_puts(out, "</tr></thead>\n<tbody>\n");
	for (size_t r = 0; r < g->len; r++) {
		ps_strbuf_puts(out, "<tr>");
		for (int c = 0; c < g->columns; c++)
			cell(g, g->rows[r].cells[c], c, out);
		ps_strbuf_puts(out, "</tr>\n");
	}
	ps_strbuf_puts(out, "</tbody></table></div>\n");
}

/* ---- places of every page ---- */

void ps_report_put_asset(struct ps_strbuf *out, enum ps_report_asset_name name)
{
	struct ps_report_asset f = ps_report_asset_get(name);

	ps_strbuf_append(out, f.data, f.len);
}

void ps_report_put_css(const struct ps_report_page *p, struct ps_strbuf *out)
{
	(void)p;
	ps_report_put_asset(out, PS_REPORT_CSS);
}

void ps_report_put_chart_js(const struct ps_report_page *p, struct ps_strbuf *out)
{
	(void)p;
	ps_report_put_asset(out, PS_REPORT_CHART_JS);
}

void ps_report_put_version(const struct ps_report_page *p, struct ps_strbuf *out)
{
	(void)p;
	ps_report_escape(out, ps_version());
}

void ps_report_put_manifest(const struct ps_store_campaign *c, struct ps_strbuf *out)
{
	const char *text = c->manifest_json;
	json_t *v = NULL;
	char *pretty = NULL;

	if (text && ps_json_parse(text, strlen(text), &v, NULL) == PS_OK)
		pretty = json_dumps(v, JSON_INDENT(2));
	ps_report_escape(out, pretty ? pretty : text ? text : "none");
	free(pretty);
	json_decref(v);
}

/* JSON inside a script element: '<' only occurs within texts, where it may be written so. 15 digits
 * are what survives a double's way to text and back; 17 make the page a third larger. */
void ps_report_script_data(struct ps_strbuf *out, json_t *v)
{
	char *text = v ? json_dumps(v, JSON_COMPACT | JSON_REAL_PRECISION(15)) : NULL;

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

/* ---- the template ---- */

static const struct ps_report_place *find_place(const struct ps_report_place *places, size_t count,
						const char *s, size_t n)
{
	for (size_t i = 0; i < count; i++)
		if (strlen(places[i].name) == n && memcmp(places[i].name, s, n) == 0)
			return &places[i];
	return NULL;
}

enum ps_status ps_report_fill(enum ps_report_asset_name template,
			      const struct ps_report_place *places, size_t n,
			      const struct ps_report_page *p, struct ps_strbuf *out,
			      struct ps_error *err)
{
	struct ps_report_asset t = ps_report_asset_get(template);
	const char *at = t.data, *stop = t.data + t.len;

	while (at < stop) {
		const char *open = memmem(at, (size_t)(stop - at), "{{", 2);
		const char *close = open ? memmem(open, (size_t)(stop - open), "}}", 2) : NULL;
		if (!close)
			break;
		const struct ps_report_place *place =
			find_place(places, n, open + 2, (size_t)(close - open - 2));
		if (!place)
			return ps_error_set(err, PS_EINTERNAL, "the template has a place '%.*s'",
					    (int)(close - open - 2), open + 2);
		ps_strbuf_append(out, at, (size_t)(open - at));
		place->put(p, out);
		at = close + 2;
	}
	ps_strbuf_append(out, at, (size_t)(stop - at));
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for the page");
	return PS_OK;
}
