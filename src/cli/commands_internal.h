/* commands_internal.h - the commands of this build, found by CMake.   Layer 6. */
#ifndef PS_CLI_COMMANDS_INTERNAL_H
#define PS_CLI_COMMANDS_INTERNAL_H

#include "cli/cli.h"

#define PS_CLI_COMMAND(name) extern const struct ps_cli_command ps_cmd_##name;
#include "commands.inc"
#undef PS_CLI_COMMAND

#endif
