/* report_sheets_internal.h - price sheets for the controls of the report's page.   Layer 6. */
#ifndef PS_CLI_REPORT_SHEETS_INTERNAL_H
#define PS_CLI_REPORT_SHEETS_INTERNAL_H

#include "report/report.h"

enum { PS_CLI_MAX_SHEETS = 8, PS_CLI_MAX_SHEET_ROWS = 1000 };

struct ps_cli_sheets {
	struct ps_report_sheet sheets[PS_CLI_MAX_SHEETS]; /* point into `loaded` */
	struct ps_cost_sheet loaded[PS_CLI_MAX_SHEETS];
	size_t len;
};

/* ps_cli_sheets_open reads them all; `paths` must outlive it, and it may not be moved. The errors
 * of ps_cost_sheet_load, and PS_ETOOBIG. The caller closes it. */
enum ps_status ps_cli_sheets_open(const struct ps_conf_texts *paths, struct ps_cli_sheets *ret,
				  struct ps_error *err);
/* ps_cli_sheets_close frees them; a zeroed one may be passed. */
void ps_cli_sheets_close(struct ps_cli_sheets *s);

#endif
