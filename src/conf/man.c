/* man.c - tables as roff and as Markdown. */
#include "conf_internal.h"

#include <string.h>

/* Text for roff: '\' and '-' are special everywhere, '.' and '\'' at the start of a line. */
static void roff(struct ps_strbuf *out, const char *text)
{
	bool start = true;

	for (; *text; text++) {
		if (start && (*text == '.' || *text == '\''))
			ps_strbuf_puts(out, "\\&");
		if (*text == '\\')
			ps_strbuf_puts(out, "\\e");
		else if (*text == '-')
			ps_strbuf_puts(out, "\\-");
		else
			ps_strbuf_putc(out, *text);
		start = *text == '\n';
	}
}

static void man_option(const struct ps_conf_option *o, struct ps_strbuf *out)
{
	struct ps_strbuf left, notes;

	ps_strbuf_init(&left);
	ps_strbuf_init(&notes);
	ps_conf_left_side(o, &left);
	ps_conf_notes(o, false, &notes);
	ps_strbuf_puts(out, ".TP\n\\fB");
	roff(out, left.data);
	ps_strbuf_puts(out, "\\fR\n");
	roff(out, o->help ? o->help : "");
	if (notes.len) {
		ps_strbuf_puts(out, o->help ? " (" : "(");
		roff(out, notes.data);
		ps_strbuf_putc(out, ')');
	}
	ps_strbuf_putc(out, '\n');
	ps_strbuf_fini(&left);
	ps_strbuf_fini(&notes);
}

void ps_conf_man(const struct ps_conf_schema *schema, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, ".SS ");
	roff(out, schema->name);
	ps_strbuf_putc(out, '\n');
	roff(out, schema->summary ? schema->summary : "");
	ps_strbuf_putc(out, '\n');
	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		if (ps_conf_in_args(o)) {
			if (o->heading)
				ps_strbuf_printf(out, ".PP\n%s:\n", o->heading);
			man_option(o, out);
		}
	if (schema->details) {
		ps_strbuf_puts(out, ".PP\n.nf\n");
		struct ps_strbuf text;
		ps_strbuf_init(&text);
		ps_conf_wrap_paragraphs(&text, schema->details, 0, 72);
		roff(out, text.data);
		ps_strbuf_fini(&text);
		ps_strbuf_puts(out, ".fi\n");
	}
	if (schema->example) {
		ps_strbuf_puts(out, ".PP\nExamples:\n.PP\n.RS\n.nf\n");
		roff(out, schema->example);
		ps_strbuf_puts(out, "\n.fi\n.RE\n");
	}
}

static void man_keys(const struct ps_conf_schema *schema, int level, struct ps_strbuf *out)
{
	char name[PS_CONF_NAME_SIZE];

	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		struct ps_strbuf notes;
		ps_strbuf_init(&notes);
		ps_conf_notes(o, true, &notes);
		ps_strbuf_printf(out, ".TP\n\\fB%s:\\fR\n", ps_conf_yaml_name(o->name, name));
		roff(out, o->help ? o->help : "");
		if (notes.len) {
			ps_strbuf_puts(out, " (");
			roff(out, notes.data);
			ps_strbuf_putc(out, ')');
		}
		ps_strbuf_putc(out, '\n');
		ps_strbuf_fini(&notes);
		if (!o->section || level >= PS_CONF_MAX_LEVELS)
			continue;
		ps_strbuf_puts(out, ".RS\n");
		man_keys(o->section, level + 1, out);
		ps_strbuf_puts(out, ".RE\n");
	}
}

void ps_conf_man_file(const struct ps_conf_schema *schema, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, ".SS ");
	roff(out, schema->name);
	ps_strbuf_printf(out, "\n%s\n", schema->summary ? schema->summary : "");
	man_keys(schema, 1, out);
}

static const char *type_noun(const struct ps_conf_option *o)
{
	static const char *const nouns[] = {
		[PS_CONF_BOOL] = "true or false", [PS_CONF_INT] = "whole number",
		[PS_CONF_REAL] = "number",	  [PS_CONF_TEXT] = "text",
		[PS_CONF_DURATION] = "duration",  [PS_CONF_BYTES] = "size",
		[PS_CONF_RATE] = "rate",	  [PS_CONF_RATIO] = "ratio",
		[PS_CONF_ENUM] = "choice",	  [PS_CONF_SLA] = "SLA",
		[PS_CONF_CPUS] = "CPUs",	  [PS_CONF_TEXTS] = "texts",
		[PS_CONF_SECTION] = "section",	  [PS_CONF_SECTIONS] = "sections",
	};

	return nouns[o->type];
}

/* A '|' would end the cell. */
static void put_cell(struct ps_strbuf *out, const char *text)
{
	for (; *text; text++) {
		if (*text == '|')
			ps_strbuf_putc(out, '\\');
		ps_strbuf_putc(out, *text);
	}
}

static void put_meaning(struct ps_strbuf *out, const struct ps_conf_option *o, bool yaml)
{
	struct ps_strbuf notes;

	ps_strbuf_init(&notes);
	ps_conf_notes(o, yaml, &notes);
	put_cell(out, o->help ? o->help : "");
	if (notes.len) {
		ps_strbuf_puts(out, " (");
		put_cell(out, notes.data);
		ps_strbuf_putc(out, ')');
	}
	ps_strbuf_puts(out, " |\n");
	ps_strbuf_fini(&notes);
}

static void reference(const struct ps_conf_schema *schema, const char *path, int level,
		      struct ps_strbuf *out)
{
	char name[PS_CONF_NAME_SIZE], below[200];

	ps_strbuf_printf(out, "%s `%s`\n\n", level > 1 ? "###" : "##", path);
	if (schema->summary)
		ps_strbuf_printf(out, "%s\n\n", schema->summary);
	ps_strbuf_puts(out, "| key | type | meaning |\n|---|---|---|\n");
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		ps_strbuf_printf(out, "| `%s` | %s | ", ps_conf_yaml_name(o->name, name),
				 type_noun(o));
		put_meaning(out, o, true);
	}
	if (schema->details)
		ps_strbuf_printf(out, "\n%s\n", schema->details);
	if (schema->example)
		ps_strbuf_printf(out, "\n```yaml\n%s\n```\n", schema->example);
	ps_strbuf_putc(out, '\n');
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		if (!o->section || level >= PS_CONF_MAX_LEVELS)
			continue;
		snprintf(below, sizeof below, "%s%s%s%s", level > 1 ? path : "",
			 level > 1 ? "." : "", ps_conf_yaml_name(o->name, name),
			 o->type == PS_CONF_SECTIONS ? "[]" : "");
		reference(o->section, below, level + 1, out);
	}
}

void ps_conf_reference(const struct ps_conf_schema *schema, struct ps_strbuf *out)
{
	reference(schema, schema->name, 1, out);
}

void ps_conf_reference_args(const struct ps_conf_schema *schema, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "## `%s`\n\n%s\n\n", schema->name,
			 schema->summary ? schema->summary : "");
	ps_strbuf_puts(out, "| option | meaning |\n|---|---|\n");
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		struct ps_strbuf left;

		if (!ps_conf_in_args(o))
			continue;
		if (o->heading)
			ps_strbuf_printf(out, "\n%s:\n\n| option | meaning |\n|---|---|\n",
					 o->heading);
		ps_strbuf_init(&left);
		ps_conf_left_side(o, &left);
		ps_strbuf_puts(out, "| `");
		put_cell(out, left.data);
		ps_strbuf_puts(out, "` | ");
		put_meaning(out, o, false);
		ps_strbuf_fini(&left);
	}
	if (schema->details)
		ps_strbuf_printf(out, "\n%s\n", schema->details);
	if (schema->example)
		ps_strbuf_printf(out, "\n```sh\n%s\n```\n", schema->example);
	ps_strbuf_putc(out, '\n');
}
