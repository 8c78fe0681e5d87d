#include "help_internal.h"

#include "base/version.h"

#include <string.h>

enum { NAME_COLUMN = 14 };

static const char intro[] =
	"Which models may share which machines, what does each tenant get, and what does it "
	"cost? Perseus answers by measurement, and serves the tenants from the shared machine.";

static const char *summary_of(const struct ps_cli_command *cmd)
{
	return cmd->summary ? cmd->summary : cmd->schema ? cmd->schema->summary : "";
}

const struct ps_cli_command *ps_cli_find(const struct ps_cli_command *const *list, const char *name)
{
	for (; list && *list; list++)
		if (strcmp((*list)->name, name) == 0)
			return *list;
	return NULL;
}

static void wrap(struct ps_strbuf *out, const char *text, size_t at, size_t indent, size_t width)
{
	ps_conf_wrap(out, text, strlen(text), at, indent, width);
}

static void list_commands(const struct ps_cli_command *const *list, size_t width,
			  struct ps_strbuf *out)
{
	for (; *list; list++) {
		ps_strbuf_printf(out, "  %-*s", NAME_COLUMN - 2, (*list)->name);
		wrap(out, summary_of(*list), NAME_COLUMN, NAME_COLUMN, width);
	}
}

static size_t clamp(int width)
{
	return width < 20 ? 20 : width > 100 ? 100 : (size_t)width;
}

void ps_cli_help_program(int width, struct ps_strbuf *out)
{
	size_t w = clamp(width);

	ps_strbuf_puts(out, "Usage: ");
	wrap(out, "perseus COMMAND [OPTIONS]", 7, 7, w);
	ps_strbuf_putc(out, '\n');
	wrap(out, intro, 0, 0, w);
	ps_strbuf_puts(out, "\nCommands:\n");
	list_commands(ps_cli_commands, w, out);
	ps_strbuf_puts(out, "\nOptions:\n  -h, --help  ");
	wrap(out, "Show this text.", NAME_COLUMN, NAME_COLUMN, w);
	ps_strbuf_puts(out, "  -V, --version\n              ");
	wrap(out, "Show the release and its revision.", NAME_COLUMN, NAME_COLUMN, w);
	ps_strbuf_putc(out, '\n');
	wrap(out,
	     "perseus help COMMAND explains a command and the files it reads; man perseus has "
	     "all of it and the exit codes.",
	     0, 0, w);
}

void ps_cli_help_command(const struct ps_cli_command *cmd, int width, bool files,
			 struct ps_strbuf *out)
{
	size_t w = clamp(width);

	if (cmd->schema) {
		ps_conf_help(cmd->schema, width, out);
		if (cmd->verbs) {
			ps_strbuf_puts(out, "\nVerbs:\n");
			list_commands(cmd->verbs, w, out);
		}
	} else {
		ps_strbuf_printf(out, "Usage: perseus %s VERB [OPTIONS]\n\n",
				 cmd->path ? cmd->path : cmd->name);
		wrap(out, summary_of(cmd), 0, 0, w);
		ps_strbuf_puts(out, "\nVerbs:\n");
		list_commands(cmd->verbs, w, out);
		ps_strbuf_putc(out, '\n');
		char text[128];
		snprintf(text, sizeof text, "perseus %s VERB --help shows the options of a verb.",
			 cmd->path ? cmd->path : cmd->name);
		wrap(out, text, 0, 0, w);
	}
	for (const struct ps_conf_schema *const *f = files ? cmd->files : NULL; f && *f; f++) {
		ps_strbuf_putc(out, '\n');
		ps_conf_help_file(*f, width, out);
	}
}

static void man_exit_codes(struct ps_strbuf *out)
{
	ps_strbuf_puts(out, ".SH EXIT STATUS\n.TP\n0\nDone.\n.TP\n1\nIt ran, and the answer is no: "
			    "an INVALID measurement, an agreement that was not kept.\n");
	/* Several statuses share a code: one entry per code. */
	for (int code = 2; code < 128; code++) {
		bool any = false;
		for (int s = 1; s < PS_STATUS_COUNT; s++) {
			const struct ps_status_row *row = ps_status_get((enum ps_status)s);
			if (row->exit_code != code)
				continue;
			if (any)
				ps_strbuf_printf(out, "; %s", row->meaning);
			else
				ps_strbuf_printf(out, ".TP\n%d\n%s", code, row->meaning);
			any = true;
		}
		ps_strbuf_puts(out, any ? ".\n" : "");
	}
	ps_strbuf_printf(out, ".TP\n%d\nIt ran, and could not tell: perseus plan --verify.\n",
			 PS_CLI_NOT_SHOWN);
}

static void man_files(const struct ps_cli_command *cmd, struct ps_strbuf *out)
{
	for (const struct ps_conf_schema *const *f = cmd->files; f && *f; f++)
		ps_conf_man_file(*f, out);
}

static enum ps_status check_command(const struct ps_cli_command *cmd, struct ps_error *err)
{
	enum ps_status st = cmd->schema ? ps_conf_check_schema(cmd->schema, err) : PS_OK;

	for (const struct ps_conf_schema *const *f = cmd->files; f && *f && st == PS_OK; f++)
		st = ps_conf_check_schema(*f, err);
	for (const struct ps_cli_command *const *v = cmd->verbs; v && *v && st == PS_OK; v++)
		st = check_command(*v, err);
	return st;
}

enum ps_status ps_cli_check(struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (const struct ps_cli_command *const *c = ps_cli_commands; *c && st == PS_OK; c++)
		st = check_command(*c, err);
	return st;
}

static void man_command(const struct ps_cli_command *cmd, struct ps_strbuf *out)
{
	if (cmd->schema)
		ps_conf_man(cmd->schema, out);
	for (const struct ps_cli_command *const *v = cmd->verbs; v && *v; v++)
		man_command(*v, out);
}

static void reference_args(const struct ps_cli_command *cmd, struct ps_strbuf *out)
{
	if (cmd->schema)
		ps_conf_reference_args(cmd->schema, out);
	for (const struct ps_cli_command *const *v = cmd->verbs; v && *v; v++)
		reference_args(*v, out);
}

void ps_cli_help_reference(const struct ps_cli_command *cmd, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "# Reference: perseus %s\n\n", cmd->name);
	ps_strbuf_printf(out,
			 "Made from the option tables by `perseus help --reference %s`: change "
			 "those, then run `scripts/reference`.\n\n",
			 cmd->name);
	reference_args(cmd, out);
	for (const struct ps_conf_schema *const *f = cmd->files; f && *f; f++)
		ps_conf_reference(*f, out);
	while (out->len > 1 && out->data[out->len - 2] == '\n')
		out->data[--out->len] = '\0';
}

void ps_cli_help_man(struct ps_strbuf *out)
{
	ps_strbuf_printf(out, ".TH PERSEUS 1 \"\" \"perseus %s\" \"User Commands\"\n",
			 ps_version());
	ps_strbuf_puts(out, ".SH NAME\nperseus \\- serve, load, measure and price neural networks "
			    "that share machines\n");
	ps_strbuf_puts(out, ".SH SYNOPSIS\n.B perseus\n.I COMMAND\n.RI [ OPTIONS ]\n");
	ps_strbuf_printf(out, ".SH DESCRIPTION\n%s\n.SH COMMANDS\n", intro);
	for (const struct ps_cli_command *const *c = ps_cli_commands; *c; c++)
		man_command(*c, out);
	ps_strbuf_puts(out, ".SH FILES\n");
	for (const struct ps_cli_command *const *c = ps_cli_commands; *c; c++)
		man_files(*c, out);
	man_exit_codes(out);
}

enum ps_status ps_cli_unknown(const struct ps_cli_command *const *list, const char *what,
			      const char *word, struct ps_error *err)
{
	const char *names[64];
	size_t n = 0;

	for (; list && *list && n < 63; list++)
		names[n++] = (*list)->name;
	if (!what)
		names[n++] = "help";
	if (!word)
		ps_error_set(err, PS_EUSAGE, "a verb is missing");
	else if (what)
		ps_error_set(err, PS_EUSAGE, "%s has no verb '%.60s'", what, word);
	else
		ps_error_set(err, PS_EUSAGE, "unknown command '%.60s'", word);
	const char *near = word ? ps_conf_nearest(word, names, n) : NULL;
	if (near)
		ps_error_hint(err, "did you mean %s?", near);
	else if (what)
		ps_error_hint(err, "perseus %s --help lists the verbs", what);
	else
		ps_error_hint(err, "perseus --help lists the commands");
	return PS_EUSAGE;
}
