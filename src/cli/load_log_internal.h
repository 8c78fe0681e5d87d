/* load_log_internal.h - the verb of perseus load that reads request logs.   Layer 6. */
#ifndef PS_CLI_LOAD_LOG_INTERNAL_H
#define PS_CLI_LOAD_LOG_INTERNAL_H

#include "cli/cli.h"

extern const struct ps_cli_command ps_cli_load_log;

#endif
