/* serve_verbs_internal.h - the verbs of `perseus serve`.   Layer 6. */
#ifndef PS_CLI_SERVE_VERBS_INTERNAL_H
#define PS_CLI_SERVE_VERBS_INTERNAL_H

#include "cli/cli.h"

extern const struct ps_cli_command ps_cli_serve_keys; /* create, list, revoke */
extern const struct ps_cli_command ps_cli_serve_bill;

#endif
