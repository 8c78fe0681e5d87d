/* help_internal.h - what `perseus help` prints and perseus.1 holds.   Layer 6. */
#ifndef PS_CLI_HELP_INTERNAL_H
#define PS_CLI_HELP_INTERNAL_H

#include "cli/cli.h"

/* ps_cli_commands is the table of this build, in the order of --help, ended by NULL. */
extern const struct ps_cli_command *const ps_cli_commands[];

/* ps_cli_find returns the command of `list` (NULL-terminated) called `name`, or NULL. */
const struct ps_cli_command *ps_cli_find(const struct ps_cli_command *const *list,
					 const char *name);

/* ps_cli_help_program appends the list of commands, wrapped at `width`. */
void ps_cli_help_program(int width, struct ps_strbuf *out);
/* ps_cli_help_command appends the help of a command: its verbs, or its options; with `files` also
 * the keys of the files that it reads. */
void ps_cli_help_command(const struct ps_cli_command *cmd, int width, bool files,
			 struct ps_strbuf *out);
/* ps_cli_help_man appends the man page perseus(1). */
void ps_cli_help_man(struct ps_strbuf *out);

/* ps_cli_help_reference appends the reference of a command, its verbs and its files as Markdown. */
void ps_cli_help_reference(const struct ps_cli_command *cmd, struct ps_strbuf *out);

/* ps_cli_check looks for mistakes in the tables of all commands (ps_conf_check_schema). */
enum ps_status ps_cli_check(struct ps_error *err);

/* ps_cli_unknown fills `err` for a word that is no command of `list`. */
enum ps_status ps_cli_unknown(const struct ps_cli_command *const *list, const char *what,
			      const char *word, struct ps_error *err);

#endif
