/* yaml.c - YAML files, read event by event straight into structs, so that each value still knows
 * its line. */
#include "conf_internal.h"

#include "base/file.h"

#include <stdlib.h>
#include <string.h>
#include <yaml.h>

struct reader {
	yaml_parser_t parser;
	yaml_event_t event; /* the current one; owned */
	bool has_event;
	const char *name;
	int nodes, level;
	struct ps_error *err;
};

static int line_of(const struct reader *r)
{
	return (int)r->event.start_mark.line + 1;
}

/* Names the place of an error that is set: the current line, and the key when there is one. */
static enum ps_status at_line(struct reader *r, int line, const char *key)
{
	char name[PS_CONF_NAME_SIZE];

	if (!r->err)
		return PS_EPARSE;
	if (key)
		ps_error_where(r->err, "%.100s:%d:%s", r->name, line, ps_conf_yaml_name(key, name));
	else
		ps_error_where(r->err, "%.100s:%d", r->name, line);
	return r->err->status;
}

/* libyaml counts lines and columns from 0. */
static enum ps_status syntax_error(struct reader *r)
{
	const yaml_parser_t *p = &r->parser;

	if (p->error == YAML_MEMORY_ERROR)
		return ps_error_set(r->err, PS_ENOMEM, "no memory to read %.100s", r->name);
	ps_error_set(r->err, PS_EPARSE, "not valid YAML: %s%s%s",
		     p->problem ? p->problem : "unreadable", p->context ? ", " : "",
		     p->context ? p->context : "");
	if (p->error == YAML_READER_ERROR)
		ps_error_where(r->err, "%.100s:byte %zu", r->name, p->problem_offset);
	else
		ps_error_where(r->err, "%.100s:%zu:%zu", r->name, p->problem_mark.line + 1,
			       p->problem_mark.column + 1);
	return PS_EPARSE;
}

static enum ps_status refuse(struct reader *r, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "%s", what);
	return at_line(r, line_of(r), NULL);
}

/* Anchors and tags are harmless only as long as nobody relies on them: refused, not ignored. */
static enum ps_status check_event(struct reader *r)
{
	const yaml_event_t *e = &r->event;
	const yaml_char_t *anchor = NULL, *tag = NULL;

	if (e->type == YAML_ALIAS_EVENT)
		return refuse(r, "aliases (*name) are not allowed here");
	if (e->type == YAML_SCALAR_EVENT) {
		anchor = e->data.scalar.anchor;
		tag = e->data.scalar.tag;
		if (memchr(e->data.scalar.value, 0, e->data.scalar.length))
			return refuse(r, "a value holds a NUL byte");
	} else if (e->type == YAML_MAPPING_START_EVENT) {
		anchor = e->data.mapping_start.anchor;
		tag = e->data.mapping_start.tag;
	} else if (e->type == YAML_SEQUENCE_START_EVENT) {
		anchor = e->data.sequence_start.anchor;
		tag = e->data.sequence_start.tag;
	}
	if (anchor || tag)
		return refuse(r, "anchors (&name) and tags (!name) are not allowed here");
	return PS_OK;
}

static enum ps_status next(struct reader *r)
{
	if (r->has_event)
		yaml_event_delete(&r->event);
	r->has_event = false;
	if (!yaml_parser_parse(&r->parser, &r->event))
		return syntax_error(r);
	r->has_event = true;
	if (++r->nodes > PS_CONF_MAX_NODES) {
		ps_error_set(r->err, PS_EPARSE, "more than %d values", PS_CONF_MAX_NODES);
		return at_line(r, line_of(r), NULL);
	}
	return check_event(r);
}

static const char *event_noun(const yaml_event_t *e)
{
	return e->type == YAML_SCALAR_EVENT	      ? "a single value"
	       : e->type == YAML_SEQUENCE_START_EVENT ? "a list"
						      : "a mapping of keys";
}

static enum ps_status expected(struct reader *r, const char *wanted, const char *key)
{
	ps_error_set(r->err, PS_EPARSE, "expected %s, found %s", wanted, event_noun(&r->event));
	return at_line(r, line_of(r), key);
}

static const char *scalar(const struct reader *r)
{
	return (const char *)r->event.data.scalar.value;
}

/* Nothing, "~" or "null" without quotes: a key somebody has not filled in. */
static bool is_null(const struct reader *r)
{
	const char *v = scalar(r);

	return r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE &&
	       (!*v || !strcmp(v, "~") || !strcmp(v, "null"));
}

static enum ps_status read_scalar(struct reader *r, const struct ps_conf_option *o, void *field)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return expected(r, "a single value", o->name);
	if (is_null(r)) {
		ps_error_set(r->err, PS_EPARSE, "the key has no value");
		return at_line(r, line_of(r), o->name);
	}
	if (ps_conf_set(o, field, scalar(r), r->err) != PS_OK)
		return at_line(r, line_of(r), o->name);
	return PS_OK;
}

static enum ps_status read_section(struct reader *r, const struct ps_conf_schema *schema, void *out,
				   const char *key);

static enum ps_status read_texts(struct reader *r, const struct ps_conf_option *o, void *field)
{
	enum ps_status st = PS_OK;

	if (r->event.type != YAML_SEQUENCE_START_EVENT)
		return read_scalar(r, o, field); /* a list of one */
	while ((st = next(r)) == PS_OK && r->event.type != YAML_SEQUENCE_END_EVENT)
		if ((st = read_scalar(r, o, field)) != PS_OK)
			return st;
	return st;
}

static enum ps_status read_sections(struct reader *r, const struct ps_conf_option *o,
				    struct ps_conf_array *array)
{
	enum ps_status st = PS_OK;
	void *item;

	if (r->event.type != YAML_SEQUENCE_START_EVENT)
		return expected(r, "a list", o->name);
	while ((st = next(r)) == PS_OK && r->event.type != YAML_SEQUENCE_END_EVENT) {
		if (ps_conf_array_add(o, array, &item, r->err) != PS_OK)
			return at_line(r, line_of(r), o->name);
		if ((st = read_section(r, o->section, item, o->name)) != PS_OK)
			return st;
	}
	return st;
}

/* `line` is the key's. */
static enum ps_status read_value(struct reader *r, const struct ps_conf_option *o, int line,
				 void *field)
{
	enum ps_status st;
	size_t len;

	switch (o->type) {
	case PS_CONF_SECTION:
		return read_section(r, o->section, field, o->name);
	case PS_CONF_SECTIONS:
		st = read_sections(r, o, field);
		len = ((struct ps_conf_array *)field)->len;
		break;
	case PS_CONF_TEXTS:
		ps_conf_clear_field(o, field); /* the default, when there is one */
		st = read_texts(r, o, field);
		len = ((struct ps_conf_texts *)field)->len;
		break;
	default:
		return read_scalar(r, o, field);
	}
	if (st == PS_OK && ps_conf_check_len(o, len, r->err) != PS_OK)
		return at_line(r, line, o->name);
	return st;
}

/* '-' and '_' are the same in a key. */
static bool same_key(const char *name, const char *key)
{
	for (; *name && *key; name++, key++)
		if ((*name == '_' ? '-' : *name) != (*key == '_' ? '-' : *key))
			return false;
	return *name == *key;
}

static const struct ps_conf_option *find_key(const struct ps_conf_schema *schema, const char *key)
{
	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		if (same_key(o->name, key))
			return o;
	return NULL;
}

static enum ps_status unknown_key(struct reader *r, const struct ps_conf_schema *schema)
{
	ps_error_set(r->err, PS_EPARSE, "unknown key in %s", schema->name);
	ps_conf_hint_nearest(schema, scalar(r), true, r->err);
	if (r->err)
		ps_error_where(r->err, "%.100s:%d:%.60s", r->name, line_of(r), scalar(r));
	return PS_EPARSE;
}

static enum ps_status read_pair(struct reader *r, const struct ps_conf_schema *schema, void *out,
				bool *seen)
{
	if (r->event.type != YAML_SCALAR_EVENT)
		return expected(r, "a key", NULL);
	const struct ps_conf_option *o = find_key(schema, scalar(r));
	if (!o)
		return unknown_key(r, schema);
	if (seen[o - schema->options]) {
		ps_error_set(r->err, PS_EPARSE, "the key is given twice");
		return at_line(r, line_of(r), o->name);
	}
	seen[o - schema->options] = true;
	int line = line_of(r);
	enum ps_status st = next(r);
	return st == PS_OK ? read_value(r, o, line, ps_conf_field(o, out)) : st;
}

static enum ps_status check_required(struct reader *r, const struct ps_conf_schema *schema,
				     const bool *seen, int line)
{
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		if (!(o->flags & PS_CONF_REQUIRED) || seen[o - schema->options])
			continue;
		ps_error_set(r->err, PS_EPARSE, "the key is missing in %s", schema->name);
		return at_line(r, line, o->name);
	}
	return PS_OK;
}

/* Reads a mapping whose start is the current event, up to its end. */
static enum ps_status read_section(struct reader *r, const struct ps_conf_schema *schema, void *out,
				   const char *key)
{
	bool seen[PS_CONF_MAX_OPTIONS] = {false};
	int line = line_of(r);
	enum ps_status st;

	if (r->event.type != YAML_MAPPING_START_EVENT)
		return expected(r, "a mapping of keys", key);
	if (++r->level > PS_CONF_MAX_LEVELS || ps_conf_count(schema) > PS_CONF_MAX_OPTIONS)
		return refuse(r, "too many levels or options");
	if (schema->where_offset != SIZE_MAX) {
		struct ps_conf_where *w = (void *)((char *)out + schema->where_offset);
		w->line = line;
		w->column = (int)r->event.start_mark.column + 1;
	}
	while ((st = next(r)) == PS_OK && r->event.type != YAML_MAPPING_END_EVENT)
		if ((st = read_pair(r, schema, out, seen)) != PS_OK)
			return st;
	r->level--;
	return st == PS_OK ? check_required(r, schema, seen, line) : st;
}

/* A file without any key is an empty mapping: only required keys make it wrong. */
static enum ps_status read_document(struct reader *r, const struct ps_conf_schema *schema,
				    void *out)
{
	static const bool none[PS_CONF_MAX_OPTIONS];
	enum ps_status st = next(r); /* stream start */

	if (st == PS_OK)
		st = next(r);
	if (st == PS_OK && r->event.type == YAML_STREAM_END_EVENT)
		return check_required(r, schema, none, 1);
	if (st == PS_OK)
		st = next(r); /* the root node, behind the document's start */
	if (st != PS_OK)
		return st;
	if (r->event.type == YAML_SCALAR_EVENT && is_null(r))
		st = check_required(r, schema, none, 1);
	else
		st = read_section(r, schema, out, NULL);
	if (st == PS_OK)
		st = next(r); /* document end */
	if (st == PS_OK)
		st = next(r);
	if (st == PS_OK && r->event.type != YAML_STREAM_END_EVENT)
		return refuse(r, "a second document (---) is not allowed here");
	return st;
}

enum ps_status ps_conf_parse_yaml(const struct ps_conf_schema *schema, const char *text, size_t len,
				  const char *name, void *out, struct ps_error *err)
{
	struct reader r = {.name = name, .err = err};

	if (len > PS_CONF_MAX_BYTES) {
		ps_error_set(err, PS_EPARSE, "%zu bytes, the limit is %d", len, PS_CONF_MAX_BYTES);
		ps_error_where(err, "%.100s", name);
		return PS_EPARSE;
	}
	enum ps_status st = ps_conf_set_defaults(schema, out, err);
	if (st != PS_OK)
		return st;
	if (!yaml_parser_initialize(&r.parser)) {
		ps_conf_free(schema, out);
		return ps_error_set(err, PS_ENOMEM, "no memory to read %.100s", name);
	}
	yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&r.parser, (const unsigned char *)text, len);
	st = read_document(&r, schema, out);
	if (r.has_event)
		yaml_event_delete(&r.event);
	yaml_parser_delete(&r.parser);
	if (st != PS_OK) {
		ps_conf_free(schema, out);
		memset(out, 0, schema->size);
	}
	return st;
}

enum ps_status ps_conf_load_yaml(const struct ps_conf_schema *schema, const char *path, void *out,
				 struct ps_error *err)
{
	char *text;
	size_t len;
	enum ps_status st = ps_file_read(path, PS_CONF_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_conf_parse_yaml(schema, text, len, path, out, err);
	free(text);
	return st;
}
