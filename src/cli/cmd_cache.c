/* cmd_cache.c - perseus cache: sharing the memory for models among tenants. */
#include "cli/cache_file_internal.h"

static const struct ps_cli_command *const verbs[] = {&ps_cli_cache_explain, &ps_cli_cache_simulate,
						     NULL};

static const struct ps_conf_schema *const files[] = {&ps_cli_cache_file_schema, NULL};

const struct ps_cli_command ps_cmd_cache = {
	.name = "cache",
	.summary = "Share the memory for models fairly: explain a choice, simulate policies.",
	.verbs = verbs,
	.files = files,
};
