/* load_text_internal.h - a load result as text for people.   Layer 6. */
#ifndef PS_CLI_LOAD_TEXT_INTERNAL_H
#define PS_CLI_LOAD_TEXT_INTERNAL_H

#include "base/strbuf.h"
#include "load/load.h"

/* ps_cli_load_text appends the result of `plan` in lines of at most about 72 columns. */
void ps_cli_load_text(const struct ps_load_plan *plan, const struct ps_load_result *r,
		      struct ps_strbuf *out);

#endif
