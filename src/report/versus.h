/* versus.h - two campaigns beside each other as a page, Markdown or text: which differences are
 * real. Layer 5. Uses what report.h and agree.h use. */
#ifndef PS_REPORT_VERSUS_H
#define PS_REPORT_VERSUS_H

#include "report/agree.h"
#include "report/report.h"

/* ps_report_versus_html appends one page that needs no other file. PS_ENOMEM. */
enum ps_status ps_report_versus_html(const struct ps_report_answer *a,
				     const struct ps_report_answer *b,
				     const struct ps_report_agreement *g, struct ps_strbuf *out,
				     struct ps_error *err);
/* ps_report_versus_markdown appends its tables; _text the same for a window of `width` columns. */
void ps_report_versus_markdown(const struct ps_report_answer *a, const struct ps_report_answer *b,
			       const struct ps_report_agreement *g, struct ps_strbuf *out);
void ps_report_versus_text(const struct ps_report_answer *a, const struct ps_report_answer *b,
			   const struct ps_report_agreement *g, int width, struct ps_strbuf *out);

#endif
