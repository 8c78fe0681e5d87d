/* main.c - finds the command, reads its options by its table, runs it. */
#include "base/version.h"
#include "commands_internal.h"
#include "help_internal.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const struct ps_cli_command *const ps_cli_commands[] = {
#define PS_CLI_COMMAND(name) &ps_cmd_##name,
#include "commands.inc"
#undef PS_CLI_COMMAND
	NULL,
};

/* Prints what `out` holds and frees it; the exit code. */
static int print_out(struct ps_strbuf *out)
{
	struct ps_error err;
	enum ps_status st = ps_strbuf_status(out);

	if (st != PS_OK)
		ps_error_set(&err, st, "no memory for the help text");
	else
		st = ps_cli_print(out->data, out->len, &err);
	ps_strbuf_fini(out);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static int help_command(const struct ps_cli_command *cmd, bool files)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_cli_help_command(cmd, ps_cli_width(STDOUT_FILENO), files, &out);
	return print_out(&out);
}

static int help_program(void)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_cli_help_program(ps_cli_width(STDOUT_FILENO), &out);
	return print_out(&out);
}

static int print_version(void)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_strbuf_printf(&out, "perseus %s (%s)\n", ps_version(), ps_version_revision());
	return print_out(&out);
}

/* The build makes the man page, so a table with a mistake stops the build here. */
static int print_man(void)
{
	struct ps_strbuf out;
	struct ps_error err;

	if (ps_cli_check(&err) != PS_OK)
		return ps_cli_fail(&err);
	ps_strbuf_init(&out);
	ps_cli_help_man(&out);
	return print_out(&out);
}

static int print_reference(const char *name)
{
	const struct ps_cli_command *cmd = name ? ps_cli_find(ps_cli_commands, name) : NULL;
	struct ps_strbuf out;
	struct ps_error err;

	if (!cmd) {
		ps_cli_unknown(ps_cli_commands, NULL, name ? name : "", &err);
		return ps_cli_fail(&err);
	}
	ps_strbuf_init(&out);
	ps_cli_help_reference(cmd, &out);
	return print_out(&out);
}

/* perseus help [--man | --reference COMMAND | COMMAND [VERB]] */
static int run_help(int argc, char **argv)
{
	const struct ps_cli_command *const *list = ps_cli_commands;
	const struct ps_cli_command *cmd = NULL;
	struct ps_error err;

	if (argc > 0 && strcmp(argv[0], "--man") == 0)
		return print_man();
	if (argc > 0 && strcmp(argv[0], "--reference") == 0)
		return print_reference(argc > 1 ? argv[1] : NULL);
	if (argc > 0 && (strcmp(argv[0], "--help") == 0 || strcmp(argv[0], "-h") == 0))
		return help_program();
	for (int i = 0; i < argc; i++) {
		const struct ps_cli_command *next = list ? ps_cli_find(list, argv[i]) : NULL;
		if (!next) {
			ps_cli_unknown(list, cmd ? cmd->name : NULL, argv[i], &err);
			return ps_cli_fail(&err);
		}
		cmd = next;
		list = cmd->verbs;
	}
	return cmd ? help_command(cmd, true) : help_program();
}

static int run_command(const struct ps_cli_command *cmd, int argc, char **argv)
{
	const struct ps_conf_schema *schema = cmd->schema;
	struct ps_error err;
	bool help = false;
	int code;
	void *options = calloc(1, schema->size ? schema->size : 1);

	if (!options) {
		ps_error_set(&err, PS_ENOMEM, "no memory for the options");
		return ps_cli_fail(&err);
	}
	if (ps_conf_parse_args(schema, argc, argv, options, &help, &err) != PS_OK) {
		if (!err.hint[0])
			ps_error_hint(&err, "%s --help lists the options", schema->name);
		free(options);
		return ps_cli_fail(&err);
	}
	code = help ? help_command(cmd, false) : cmd->run(options);
	ps_conf_free(schema, options);
	free(options);
	return code;
}

/* A command with verbs: the verb that argv[1] names; the command itself when it runs without one.
 * argv[0] is the command's name. */
static int run_verb(const struct ps_cli_command *cmd, int argc, char **argv)
{
	struct ps_error err;
	const struct ps_cli_command *verb = argc > 1 ? ps_cli_find(cmd->verbs, argv[1]) : NULL;

	if (verb && verb->verbs)
		return run_verb(verb, argc - 1, argv + 1);
	if (verb)
		return run_command(verb, argc - 2, argv + 2);
	if (cmd->run)
		return run_command(cmd, argc - 1, argv + 1);
	if (argc > 1 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0))
		return help_command(cmd, false);
	ps_cli_unknown(cmd->verbs, cmd->path ? cmd->path : cmd->name, argc > 1 ? argv[1] : NULL,
		       &err);
	return ps_cli_fail(&err);
}

/* perseus COMMAND [VERB] ...; argv[0] is the command's name. */
static int dispatch(int argc, char **argv)
{
	const struct ps_cli_command *cmd = ps_cli_find(ps_cli_commands, argv[0]);
	struct ps_error err;

	if (!cmd) {
		ps_cli_unknown(ps_cli_commands, NULL, argv[0], &err);
		return ps_cli_fail(&err);
	}
	return cmd->verbs ? run_verb(cmd, argc, argv) : run_command(cmd, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	/* A limit on the size of files is to be an error of the write, as a full disk is: by
	 * default it would end the program without a word. */
	signal(SIGXFSZ, SIG_IGN);
	if (argc < 2) {
		struct ps_error err;
		ps_error_set(&err, PS_EUSAGE, "a command is missing");
		ps_error_hint(&err, "perseus --help lists the commands");
		return ps_cli_fail(&err);
	}
	if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)
		return help_program();
	if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
		return print_version();
	if (strcmp(argv[1], "help") == 0)
		return run_help(argc - 2, argv + 2);
	return dispatch(argc - 1, argv + 1);
}
