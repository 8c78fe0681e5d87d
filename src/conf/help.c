/* help.c - what a table says about itself: --help. */
#include "conf_internal.h"

#include <string.h>

enum { MARGIN = 2, HELP_COLUMN = 26, HELP_GAP = 2, NARROW = 60 };

static const char *default_metavar(const struct ps_conf_option *o)
{
	switch (o->type) {
	case PS_CONF_BOOL:
	case PS_CONF_SECTION:
	case PS_CONF_SECTIONS:
		return "";
	case PS_CONF_INT:
		return "N";
	case PS_CONF_REAL:
		return "NUMBER";
	case PS_CONF_TEXT:
	case PS_CONF_TEXTS:
		return "TEXT";
	case PS_CONF_DURATION:
		return "TIME";
	case PS_CONF_BYTES:
		return "SIZE";
	case PS_CONF_RATE:
		return "RATE";
	case PS_CONF_RATIO:
		return "RATIO";
	case PS_CONF_ENUM:
		return "CHOICE";
	case PS_CONF_SLA:
		return "SLA";
	case PS_CONF_CPUS:
		return "CPUS";
	}
	return "";
}

static const char *metavar(const struct ps_conf_option *o)
{
	return o->metavar ? o->metavar : default_metavar(o);
}

/* How a value is written, unless the default shows it. */
static const char *form(const struct ps_conf_option *o)
{
	switch (o->type) {
	case PS_CONF_DURATION:
		return "a time such as 200ms or 8s";
	case PS_CONF_BYTES:
		return "a size such as 64MiB";
	case PS_CONF_RATE:
		return "per second, or like 90/min";
	case PS_CONF_RATIO:
		return "such as 99% or 0.99";
	case PS_CONF_SLA:
		return "such as p95<=200ms,success>=99%";
	case PS_CONF_CPUS:
		return "such as 0-3,6";
	default:
		return NULL;
	}
}

static void add_note(struct ps_strbuf *notes, const char *fmt, const char *value)
{
	ps_strbuf_puts(notes, notes->len ? "; " : "");
	ps_strbuf_printf(notes, "%s%s", fmt, value);
}

static void choices(const struct ps_conf_option *o, struct ps_strbuf *out)
{
	for (size_t i = 0; o->choices[i]; i++)
		ps_strbuf_printf(out, "%s%s", i ? ", " : "", o->choices[i]);
}

/* What the row knows beyond its sentence: choices, form, range, default, required. */
void ps_conf_notes(const struct ps_conf_option *o, bool yaml, struct ps_strbuf *out)
{
	char range[PS_CONF_RANGE_SIZE];
	bool list = o->type == PS_CONF_TEXTS || o->type == PS_CONF_SECTIONS;

	if (o->type == PS_CONF_ENUM) {
		ps_strbuf_puts(out, "one of ");
		choices(o, out);
	}
	if (form(o) && !o->def)
		add_note(out, form(o), "");
	if (o->type != PS_CONF_ENUM && o->choices) {
		add_note(out, "or ", "");
		choices(o, out);
	}
	if (o->type == PS_CONF_TEXTS && !(o->flags & PS_CONF_POSITIONAL))
		add_note(out, yaml ? "a list" : "may be repeated", "");
	if (o->type == PS_CONF_SECTIONS)
		add_note(out, "a list", "");
	if (ps_conf_has_range(o))
		add_note(out, ps_conf_format_range(o, range), list ? " of them" : "");
	if (o->def && o->type != PS_CONF_BOOL)
		add_note(out, "default ", o->def);
	if (o->type == PS_CONF_BOOL && o->def && strcmp(o->def, "true") == 0)
		add_note(out, yaml ? "default true" : "on unless --no-", yaml ? "" : o->name);
	if (o->flags & PS_CONF_REQUIRED)
		add_note(out, "required", "");
}

bool ps_conf_in_args(const struct ps_conf_option *o)
{
	return o->type != PS_CONF_SECTION && o->type != PS_CONF_SECTIONS;
}

/* "  -r, --rate RATE", "  URL..." */
void ps_conf_left_side(const struct ps_conf_option *o, struct ps_strbuf *out)
{
	const char *meta = metavar(o);

	if (o->flags & PS_CONF_POSITIONAL) {
		ps_strbuf_printf(out, "%s%s", meta, o->type == PS_CONF_TEXTS ? "..." : "");
		return;
	}
	if (o->letter)
		ps_strbuf_printf(out, "-%c, ", o->letter);
	ps_strbuf_printf(out, "--%s%s%s", o->name, *meta ? " " : "", meta);
}

/* "perseus load [OPTIONS] --url URL MODEL..." */
static void usage(const struct ps_conf_schema *schema, int width, struct ps_strbuf *out)
{
	struct ps_strbuf line;
	bool optional = false;

	ps_strbuf_init(&line);
	ps_strbuf_puts(&line, schema->name);
	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		optional = optional || !(o->flags & (PS_CONF_POSITIONAL | PS_CONF_REQUIRED));
	ps_strbuf_puts(&line, optional ? " [OPTIONS]" : "");
	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		if (ps_conf_in_args(o) && (o->flags & PS_CONF_REQUIRED) &&
		    !(o->flags & PS_CONF_POSITIONAL))
			ps_strbuf_printf(&line, " --%s\u00a0%s", o->name, metavar(o));
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		if (!(o->flags & PS_CONF_POSITIONAL))
			continue;
		bool need = o->flags & PS_CONF_REQUIRED;
		ps_strbuf_printf(&line, " %s%s%s%s", need ? "" : "[", metavar(o),
				 o->type == PS_CONF_TEXTS ? "..." : "", need ? "" : "]");
	}
	ps_strbuf_puts(out, "Usage: ");
	size_t from = out->len;
	ps_conf_wrap(out, line.data, line.len, 7, 7, (size_t)width);
	/* The blanks that may not break a line were written as no-break spaces. */
	size_t to = from;
	for (size_t i = from; i < out->len; i++) {
		bool nbsp = i + 1 < out->len && !memcmp(out->data + i, "\u00a0", 2);
		out->data[to++] = nbsp ? ' ' : out->data[i];
		i += nbsp;
	}
	if (to < out->len) {
		out->len = to;
		out->data[to] = '\0';
	}
	ps_strbuf_fini(&line);
}

/* One entry in two columns; in a narrow window, or behind a long left side, the help starts on
 * its own line. */
static void entry(const char *left, const char *help, const char *notes, size_t width,
		  struct ps_strbuf *out)
{
	struct ps_strbuf text;
	size_t indent = width < NARROW ? MARGIN + 4 : HELP_COLUMN;
	size_t n = ps_conf_columns(left, strlen(left));

	ps_strbuf_init(&text);
	ps_strbuf_puts(&text, help ? help : "");
	if (*notes)
		ps_strbuf_printf(&text, "%s(%s)", text.len ? " " : "", notes);
	ps_conf_spaces(out, MARGIN);
	ps_strbuf_puts(out, left);
	if (text.len == 0) {
		ps_strbuf_putc(out, '\n');
	} else {
		if (MARGIN + n + HELP_GAP > indent) {
			ps_strbuf_putc(out, '\n');
			ps_conf_spaces(out, indent);
		} else {
			ps_conf_spaces(out, indent - MARGIN - n);
		}
		ps_conf_wrap(out, text.data, text.len, indent, indent, width);
	}
	ps_strbuf_fini(&text);
}

static void option_entry(const struct ps_conf_option *o, size_t width, struct ps_strbuf *out)
{
	struct ps_strbuf left, notes;

	ps_strbuf_init(&left);
	ps_strbuf_init(&notes);
	ps_conf_left_side(o, &left);
	ps_conf_notes(o, false, &notes);
	entry(left.data, o->help, notes.data, width, out);
	ps_strbuf_fini(&left);
	ps_strbuf_fini(&notes);
}

/* The first group has no heading of its own, and --help at its end. */
static void option_entries(const struct ps_conf_schema *schema, size_t width, struct ps_strbuf *out)
{
	bool first = true;

	ps_strbuf_puts(out, "\nOptions:\n");
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		if (!ps_conf_in_args(o) || (o->flags & PS_CONF_POSITIONAL))
			continue;
		if (o->heading) {
			if (first)
				entry("-h, --help", "Show this text.", "", width, out);
			ps_strbuf_printf(out, "\n%s:\n", o->heading);
			first = false;
		}
		option_entry(o, width, out);
	}
	if (first)
		entry("-h, --help", "Show this text.", "", width, out);
}

void ps_conf_help(const struct ps_conf_schema *schema, int width, struct ps_strbuf *out)
{
	size_t w = width < 20 ? 20 : (size_t)width > 100 ? 100 : (size_t)width;
	bool title = false;

	usage(schema, (int)w, out);
	if (schema->summary) {
		ps_strbuf_putc(out, '\n');
		ps_conf_wrap_paragraphs(out, schema->summary, 0, w);
	}
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		if (!(o->flags & PS_CONF_POSITIONAL))
			continue;
		ps_strbuf_puts(out, title ? "" : "\nArguments:\n");
		title = true;
		option_entry(o, w, out);
	}
	option_entries(schema, w, out);
	if (schema->details) {
		ps_strbuf_putc(out, '\n');
		ps_conf_wrap_paragraphs(out, schema->details, 0, w);
	}
	if (schema->example) {
		ps_strbuf_puts(out, "\nExamples:\n");
		for (const char *p = schema->example; *p;) {
			size_t n = strcspn(p, "\n");
			ps_conf_spaces(out, MARGIN);
			ps_strbuf_append(out, p, n);
			ps_strbuf_putc(out, '\n');
			p += n + (p[n] == '\n');
		}
	}
}

/* The keys of a section, indented by their level. */
static void file_keys(const struct ps_conf_schema *schema, size_t level, size_t width,
		      struct ps_strbuf *out)
{
	char name[PS_CONF_NAME_SIZE];

	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		struct ps_strbuf left, notes;
		ps_strbuf_init(&left);
		ps_strbuf_init(&notes);
		ps_conf_spaces(&left, 2 * level);
		ps_strbuf_printf(&left, "%s:%s%s", ps_conf_yaml_name(o->name, name),
				 *metavar(o) ? " " : "", metavar(o));
		ps_conf_notes(o, true, &notes);
		entry(left.data, o->help, notes.data, width, out);
		ps_strbuf_fini(&left);
		ps_strbuf_fini(&notes);
		if (o->section && level < PS_CONF_MAX_LEVELS)
			file_keys(o->section, level + 1, width, out);
	}
}

void ps_conf_help_file(const struct ps_conf_schema *schema, int width, struct ps_strbuf *out)
{
	size_t w = width < 20 ? 20 : (size_t)width > 100 ? 100 : (size_t)width;

	ps_strbuf_printf(out, "Keys of %s (YAML):\n", schema->name);
	if (schema->summary)
		ps_conf_wrap_paragraphs(out, schema->summary, 0, w);
	file_keys(schema, 0, w, out);
	if (schema->details) {
		ps_strbuf_putc(out, '\n');
		ps_conf_wrap_paragraphs(out, schema->details, 0, w);
	}
}
