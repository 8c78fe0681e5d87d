/* report_published_internal.h - published figures beside a campaign's.   Layer 6. */
#ifndef PS_CLI_REPORT_PUBLISHED_INTERNAL_H
#define PS_CLI_REPORT_PUBLISHED_INTERNAL_H

#include "report/published.h"

/* The file, and its figures beside the answer's. */
struct ps_cli_published {
	struct ps_report_published published;
	struct ps_report_beside beside;
};

/* ps_cli_published_open reads the file and sets a->beside, which points into *ret: close it after
 * the answer was shown. PS_EPARSE, PS_ETOOBIG, PS_ENOTFOUND, PS_ENOMEM, PS_EIO. On failure *ret
 * owns nothing. */
enum ps_status ps_cli_published_open(const char *path, struct ps_report_answer *a,
				     struct ps_cli_published *ret, struct ps_error *err);
/* ps_cli_published_close frees it; a zeroed one may be passed. */
void ps_cli_published_close(struct ps_cli_published *p);

#endif
