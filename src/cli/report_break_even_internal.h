/* report_break_even_internal.h - a break-even, to be shown.   Layer 6. */
#ifndef PS_CLI_REPORT_BREAK_EVEN_INTERNAL_H
#define PS_CLI_REPORT_BREAK_EVEN_INTERNAL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "cost/curve.h"

enum { PS_CLI_MAX_CROSSINGS = 1000 };

struct ps_cli_break_even {
	const char *tenant;
	struct ps_cost_type types[2];
	bool stated; /* the second capacity */
	double up_to;
	size_t points;
	struct ps_cost_crossing *crossings; /* the first PS_CLI_MAX_CROSSINGS */
	size_t crossing_len;		    /* in all */
};

/* ps_cli_break_even_text appends it for people. */
void ps_cli_break_even_text(const struct ps_cli_break_even *r, struct ps_strbuf *out);
/* ps_cli_break_even_csv appends the curve (RFC 4180). */
void ps_cli_break_even_csv(const struct ps_cli_break_even *r, struct ps_strbuf *out);
/* ps_cli_break_even_json makes all of it as an object; the caller owns it. */
json_t *ps_cli_break_even_json(const struct ps_cli_break_even *r);

#endif
