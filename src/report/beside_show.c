/* beside_show.c - published figures and ours, in every form of the report. */
#include "beside_internal.h"
#include "grid_internal.h"
#include "page_internal.h"

#include <string.h>

/* "source; SLA; claim": what stands behind the published figures. */
static void put_origin(const struct ps_report_published *p, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "Published: %s.", p->source);
	if (p->sla)
		ps_strbuf_printf(out, " SLA: %s.", p->sla);
	if (p->claim)
		ps_strbuf_printf(out, " Its conclusion: %s.", p->claim);
}

static json_t *notes_json(const struct ps_report_published *p)
{
	json_t *list = json_array();

	for (size_t i = 0; i < p->notes.len; i++)
		json_array_append_new(list, json_string(p->notes.items[i]));
	return list;
}

json_t *ps_report_beside_json(const struct ps_report_answer *a)
{
	const struct ps_report_beside *b = a->beside;

	if (!b)
		return json_null();
	const struct ps_report_published *p = b->published;
	json_t *o = json_object();
	ps_json_set_string(o, "name", p->name);
	ps_json_set_string(o, "source", p->source);
	ps_json_set_string(o, "sla", p->sla);
	ps_json_set_string(o, "claim", p->claim);
	ps_json_set_string(o, "first", p->first.name);
	ps_json_set_string(o, "second", p->second.name);
	ps_json_set_string(o, "first_tenant", a->campaign->tenants[b->first].name);
	ps_json_set_string(o, "second_tenant", a->campaign->tenants[b->second].name);
	ps_json_set_real(o, "reading_error_rps", p->reading_error_rps);
	ps_json_set_string(o, "sentence", b->sentence);
	json_object_set_new(o, "notes", notes_json(p));
	for (int i = 0; i < PS_REPORT_BESIDE_TABLES; i++)
		json_object_set_new(o, b->tables[i].name, ps_report_table_json(&b->tables[i]));
	return o;
}

/* ---- text, Markdown ---- */

void ps_report_beside_text(const struct ps_report_answer *a, int width, struct ps_strbuf *out)
{
	const struct ps_report_beside *b = a->beside;
	size_t w = width < 30 ? 30 : width > 100 ? 100 : (size_t)width;
	struct ps_strbuf origin;

	if (!b)
		return;
	ps_strbuf_puts(out, "\nBeside published figures\n");
	ps_conf_wrap(out, b->sentence, strlen(b->sentence), 0, 0, w);
	ps_strbuf_init(&origin);
	put_origin(b->published, &origin);
	if (ps_strbuf_status(&origin) == PS_OK)
		ps_conf_wrap(out, origin.data, origin.len, 0, 0, w);
	out->failed = out->failed || origin.failed;
	ps_strbuf_fini(&origin);
	for (size_t i = 0; i < b->published->notes.len; i++) {
		const char *note = b->published->notes.items[i];
		ps_strbuf_puts(out, "- ");
		ps_conf_wrap(out, note, strlen(note), 2, 2, w);
	}
	for (int i = 0; i < PS_REPORT_BESIDE_TABLES; i++)
		ps_report_table_text(&b->tables[i], width, out);
}

void ps_report_beside_markdown(const struct ps_report_answer *a, struct ps_strbuf *out)
{
	const struct ps_report_beside *b = a->beside;

	if (!b)
		return;
	ps_strbuf_puts(out, "\n## Beside published figures\n\n");
	ps_report_markdown_escape(out, b->sentence);
	ps_strbuf_puts(out, "\n\n");
	struct ps_strbuf origin;
	ps_strbuf_init(&origin);
	put_origin(b->published, &origin);
	ps_report_markdown_escape(out, origin.data);
	out->failed = out->failed || origin.failed;
	ps_strbuf_fini(&origin);
	ps_strbuf_puts(out, "\n");
	for (size_t i = 0; i < b->published->notes.len; i++) {
		ps_strbuf_puts(out, i ? "- " : "\n- ");
		ps_report_markdown_escape(out, b->published->notes.items[i]);
		ps_strbuf_putc(out, '\n');
	}
	for (int i = 0; i < PS_REPORT_BESIDE_TABLES; i++) {
		struct ps_report_grid g;
		ps_report_grid_table(&b->tables[i], &g);
		ps_report_grid_markdown(&g, out);
		ps_report_grid_fini(&g);
	}
}

/* ---- the page ---- */

static void put_table(const struct ps_report_table *t, struct ps_strbuf *out)
{
	struct ps_report_grid g;

	if (t->row_len == 0)
		return;
	ps_strbuf_puts(out, "<h3>");
	ps_report_escape(out, t->title);
	ps_strbuf_puts(out, "</h3>\n");
	ps_report_note(out, t->note);
	ps_report_grid_table(t, &g);
	ps_report_grid_html(&g, out);
	ps_report_grid_fini(&g);
}

static void put_notes(const struct ps_report_published *p, struct ps_strbuf *out)
{
	if (p->notes.len == 0)
		return;
	ps_strbuf_puts(out, "<ul class=\"note\">\n");
	for (size_t i = 0; i < p->notes.len; i++) {
		ps_strbuf_puts(out, "<li>");
		ps_report_escape(out, p->notes.items[i]);
		ps_strbuf_puts(out, "</li>\n");
	}
	ps_strbuf_puts(out, "</ul>\n");
}

void ps_report_put_beside(const struct ps_report_page *page, struct ps_strbuf *out)
{
	const struct ps_report_beside *b = page->a->beside;
	struct ps_strbuf origin;

	if (!b)
		return;
	ps_strbuf_puts(out, "<section id=\"published\">\n<h2 data-short=\"Published\">"
			    "Beside published figures</h2>\n<p>");
	ps_report_escape(out, b->sentence);
	ps_strbuf_puts(out, "</p>\n");
	ps_strbuf_init(&origin);
	put_origin(b->published, &origin);
	ps_report_note(out, origin.data);
	out->failed = out->failed || origin.failed;
	ps_strbuf_fini(&origin);
	put_notes(b->published, out);
	ps_strbuf_puts(out, "<div class=\"grid\" data-figures=\"published\"></div>\n");
	for (int i = 0; i < PS_REPORT_BESIDE_TABLES; i++)
		put_table(&b->tables[i], out);
	ps_strbuf_puts(out, "</section>\n");
}
