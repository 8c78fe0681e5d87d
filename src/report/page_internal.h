/* page_internal.h - pages made of a template of web/ whose places are filled.   Layer 5. */
#ifndef PS_REPORT_PAGE_INTERNAL_H
#define PS_REPORT_PAGE_INTERNAL_H

#include "grid_internal.h"
#include "report/agree.h"
#include "report/report.h"
#include "report_internal.h"

/* What a page is about. */
struct ps_report_page {
	const struct ps_report_answer *a;
	const struct ps_report_answer *b; /* of two campaigns: the other one */
	const struct ps_report_agreement *agreement;
	const json_t *policies; /* of a page about nothing else */
};

/* A place "{{name}}" of a template, and what goes there. */
struct ps_report_place {
	const char *name;
	void (*put)(const struct ps_report_page *p, struct ps_strbuf *out);
};

/* ps_report_fill appends the template with its places filled. PS_EINTERNAL: a place that the table
 * has not; PS_ENOMEM. */
enum ps_status ps_report_fill(enum ps_report_asset_name template,
			      const struct ps_report_place *places, size_t n,
			      const struct ps_report_page *p, struct ps_strbuf *out,
			      struct ps_error *err);

/* ps_report_escape appends a text so that it stays a text in HTML. */
void ps_report_escape(struct ps_strbuf *out, const char *s);
/* ps_report_note appends a paragraph of a side remark. */
void ps_report_note(struct ps_strbuf *out, const char *text);
/* ps_report_script_data appends JSON for a script element, and releases it. NULL: no memory. */
void ps_report_script_data(struct ps_strbuf *out, json_t *v);

/* Places that every page has. */
void ps_report_put_asset(struct ps_strbuf *out, enum ps_report_asset_name name);
void ps_report_put_css(const struct ps_report_page *p, struct ps_strbuf *out);
void ps_report_put_chart_js(const struct ps_report_page *p, struct ps_strbuf *out);
void ps_report_put_version(const struct ps_report_page *p, struct ps_strbuf *out);
/* ps_report_put_manifest appends the manifest of a campaign, indented. */
void ps_report_put_manifest(const struct ps_store_campaign *c, struct ps_strbuf *out);

/* ps_report_put_plan is the section of the plan, with the machines drawn; nothing without one. */
void ps_report_put_plan(const struct ps_report_page *p, struct ps_strbuf *out);

#endif
