/* beside_internal.h - how published figures are shown in the forms of the report.   Layer 5. */
#ifndef PS_REPORT_BESIDE_INTERNAL_H
#define PS_REPORT_BESIDE_INTERNAL_H

#include "page_internal.h"
#include "report/published.h"

/* Each appends a->beside; nothing without one. _json makes the key of --json and the page: null
 * without one; NULL: no memory. */
json_t *ps_report_beside_json(const struct ps_report_answer *a);
void ps_report_beside_text(const struct ps_report_answer *a, int width, struct ps_strbuf *out);
void ps_report_beside_markdown(const struct ps_report_answer *a, struct ps_strbuf *out);
void ps_report_put_beside(const struct ps_report_page *page, struct ps_strbuf *out);

/* ps_report_markdown_escape appends a text so that it stays a text in Markdown. */
void ps_report_markdown_escape(struct ps_strbuf *out, const char *text);

#endif
