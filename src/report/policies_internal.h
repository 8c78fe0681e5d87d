/* policies_internal.h - policies for the memory of models in the forms of the report.   Layer 5. */
#ifndef PS_REPORT_POLICIES_INTERNAL_H
#define PS_REPORT_POLICIES_INTERNAL_H

#include "page_internal.h"
#include "report/policies.h"

/* Each appends the policies; nothing without them (NULL). */
void ps_report_policies_text(const json_t *shown, size_t width, struct ps_strbuf *out);
void ps_report_policies_markdown(const json_t *shown, struct ps_strbuf *out);
void ps_report_put_policies(const struct ps_report_page *page, struct ps_strbuf *out);

#endif
