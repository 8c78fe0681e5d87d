/* load_text_internal.h - a load result as text for people.   Layer 6. */
#ifndef PS_CLI_LOAD_TEXT_INTERNAL_H
#define PS_CLI_LOAD_TEXT_INTERNAL_H

#include "base/strbuf.h"
#include "load/load.h"

/* ps_cli_load_text appends the result of `plan` in lines of at most about 72 columns. */
void ps_cli_load_text(const struct ps_load_plan *plan, const struct ps_load_result *r,
		      struct ps_strbuf *out);

/* ps_cli_load_records writes all single requests as CSV to `path` (nanoseconds after the start; an
 * empty field where it never came to that). PS_EIO, PS_ENOSPC, PS_ENOMEM. */
enum ps_status ps_cli_load_records(const struct ps_load_result *r, const char *path,
				   struct ps_error *err);

#endif
