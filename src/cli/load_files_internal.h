/* load_files_internal.h - the files that a load run writes.   Layer 6. */
#ifndef PS_CLI_LOAD_FILES_INTERNAL_H
#define PS_CLI_LOAD_FILES_INTERNAL_H

#include "cli/load_options_internal.h"
#include "load/load.h"

/* ps_cli_load_files_check refuses, before anything is sent, what could not be written after the
 * run: unknown formats, one file for what needs one per tenant, open and closed loops in one table.
 * PS_EUSAGE. */
enum ps_status ps_cli_load_files_check(const struct ps_cli_load_options *o,
				       const struct ps_load_plan *plan, struct ps_error *err);

/* ps_cli_load_files_write writes every file that the options ask for, each whole or not at all.
 * PS_EIO, PS_ENOSPC, PS_ENOMEM; those before the one that failed are there. */
enum ps_status ps_cli_load_files_write(const struct ps_cli_load_options *o,
				       const struct ps_load_result *r, struct ps_error *err);

#endif
