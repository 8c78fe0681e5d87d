/* load_live_internal.h - a load run as it goes on, on a terminal.   Layer 6. */
#ifndef PS_CLI_LOAD_LIVE_INTERNAL_H
#define PS_CLI_LOAD_LIVE_INTERNAL_H

#include "base/strbuf.h"
#include "load/plan.h"

/* ps_cli_load_live_text appends the view: a line of time left, a head, and a line per tenant, each
 * at most `width` - 1 columns, at most `height` - 1 lines; tenants that do not fit are counted in
 * the last line. Columns go by importance when it is narrow. Returns the number of lines. */
int ps_cli_load_live_text(const struct ps_load_progress *p, int width, int height, bool color,
			  struct ps_strbuf *out);

/* ps_cli_load_live_line appends a line cut to `width` - 1 columns, control characters as '?'. */
void ps_cli_load_live_line(struct ps_strbuf *out, const char *text, int width);

#define PS_CLI_LOAD_TRIED_HEAD (-1)

/* Of a search or a sweep: what stands above the load that goes on, one line per trial that is done,
 * the latest ones where there is no room for all. */
struct ps_cli_load_tried {
	const void *ctx;
	int (*count)(const void *ctx); /* of the trials that are done */
	/* appends row k, or the head of the rows, for a terminal of so many columns; no newline */
	void (*put)(const void *ctx, int k, int columns, struct ps_strbuf *out);
	const char *now; /* what the load that goes on is */
};

/* ps_cli_load_tried_text appends at most `lines` lines of at most `width` - 1 columns: head, rows,
 * `now`; of a single line `now` alone. Returns how many. */
int ps_cli_load_tried_text(const struct ps_cli_load_tried *t, int width, int lines,
			   struct ps_strbuf *out);

/* The view on stderr, rewritten in place. Silent when stderr is no terminal. NO_COLOR in the
 * environment, when not empty, takes the colours away. */
struct ps_cli_load_live {
	bool on, color;
	int lines;			       /* that it has on the screen */
	const struct ps_cli_load_tried *tried; /* NULL: a load by itself */
};

void ps_cli_load_live_init(struct ps_cli_load_live *l);
/* ps_cli_load_live_show draws it anew, unless the terminal does not take what was drawn before: the
 * thread that calls may have requests to send. */
void ps_cli_load_live_show(struct ps_cli_load_live *l, const struct ps_load_progress *p);
/* ps_cli_load_live_done takes it away. */
void ps_cli_load_live_done(struct ps_cli_load_live *l);

#endif
