/* load_tried.c - see load_live_internal.h. */
#include "cli/load_live_internal.h"

static void put_row(const struct ps_cli_load_tried *t, int k, int width, struct ps_strbuf *out)
{
	struct ps_strbuf row;

	ps_strbuf_init(&row);
	t->put(t->ctx, k, width, &row);
	if (ps_strbuf_status(&row) == PS_OK) {
		ps_cli_load_live_line(out, row.data, width);
	}
	ps_strbuf_fini(&row);
}

int ps_cli_load_tried_text(const struct ps_cli_load_tried *t, int width, int lines,
			   struct ps_strbuf *out)
{
	int n = t->count(t->ctx), shown = n < lines - 2 ? n : lines - 2;

	if (lines < 1) {
		return 0;
	}
	for (int k = n - shown; shown > 0 && k < n; k++) {
		if (k == n - shown) {
			put_row(t, PS_CLI_LOAD_TRIED_HEAD, width, out);
		}
		put_row(t, k, width, out);
	}
	ps_cli_load_live_line(out, t->now, width);
	return shown > 0 ? shown + 2 : 1;
}
