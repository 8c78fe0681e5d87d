/* report_sheets.c - price sheets that the page of perseus report offers for its controls. */
#include "report_sheets_internal.h"

#include <stdlib.h>
#include <string.h>

static const char *name_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

enum ps_status ps_cli_sheets_open(const struct ps_conf_texts *paths, struct ps_cli_sheets *ret,
				  struct ps_error *err)
{
	struct ps_cli_sheets s = {0};
	enum ps_status st = PS_OK;
	size_t rows = 0;

	for (size_t i = 0; st == PS_OK && i < paths->len && i < PS_CLI_MAX_SHEETS; i++) {
		st = ps_cost_sheet_load(paths->items[i], &s.loaded[s.len], err);
		if (st != PS_OK)
			break;
		rows += s.loaded[s.len++].prices.len;
		if (rows > PS_CLI_MAX_SHEET_ROWS) {
			st = ps_error_set(err, PS_ETOOBIG,
					  "the sheets have over %d prices: a page offers no more",
					  PS_CLI_MAX_SHEET_ROWS);
			ps_error_where(err, "--prices");
		}
	}
	if (st != PS_OK) {
		ps_cli_sheets_close(&s);
		return st;
	}
	*ret = s;
	for (size_t i = 0; i < s.len; i++)
		ret->sheets[i] =
			(struct ps_report_sheet){name_of(paths->items[i]), &ret->loaded[i]};
	return PS_OK;
}

void ps_cli_sheets_close(struct ps_cli_sheets *s)
{
	for (size_t i = 0; i < s->len; i++)
		ps_cost_sheet_free(&s->loaded[i]);
	*s = (struct ps_cli_sheets){0};
}
