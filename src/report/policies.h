/* policies.h - policies for sharing the memory for models, beside each other: what perseus cache
 * simulate --json says, as a section of a campaign's report and as a page of its own.   Layer 5. */
#ifndef PS_REPORT_POLICIES_H
#define PS_REPORT_POLICIES_H

#include "base/error.h"
#include "base/json.h"
#include "base/strbuf.h"

#include <stddef.h>

#define PS_REPORT_POLICIES_MAX_BYTES   (16 << 20)
#define PS_REPORT_POLICIES_MAX	       64
#define PS_REPORT_POLICIES_MAX_TENANTS 1024

/* ps_report_policies_read makes of it what is shown: every key that the report knows, a number or
 * null where there is none, and nothing else. The caller owns *ret_shown (json_decref). PS_EPARSE:
 * it is not that, and the key is named; PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_report_policies_read(const json_t *said, json_t **ret_shown,
				       struct ps_error *err);
/* ps_report_policies_parse reads the text of a file: the same, and PS_EPARSE. */
enum ps_status ps_report_policies_parse(const char *text, size_t len, json_t **ret_shown,
					struct ps_error *err);

/* ps_report_policies_html appends one page that needs no other file. `shown` is of the functions
 * above. PS_ENOMEM. */
enum ps_status ps_report_policies_html(const json_t *shown, struct ps_strbuf *out,
				       struct ps_error *err);

#endif
