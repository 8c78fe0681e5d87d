/* check.c - mistakes in a table. */
#include "conf_internal.h"

#include <stdlib.h>
#include <string.h>

static enum ps_status broken(const struct ps_conf_schema *schema, const struct ps_conf_option *o,
			     const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EINTERNAL, "%s", what);
	ps_error_where(err, "option %s of %s", o->name, schema->name);
	return PS_EINTERNAL;
}

static size_t field_size(const struct ps_conf_option *o)
{
	static const size_t sizes[] = {
		[PS_CONF_BOOL] = sizeof(bool),
		[PS_CONF_INT] = sizeof(int64_t),
		[PS_CONF_REAL] = sizeof(double),
		[PS_CONF_TEXT] = sizeof(char *),
		[PS_CONF_DURATION] = sizeof(int64_t),
		[PS_CONF_BYTES] = sizeof(int64_t),
		[PS_CONF_RATE] = sizeof(double),
		[PS_CONF_RATIO] = sizeof(double),
		[PS_CONF_ENUM] = sizeof(int),
		[PS_CONF_SLA] = sizeof(struct ps_sla),
		[PS_CONF_CPUS] = sizeof(struct ps_cpus),
		[PS_CONF_TEXTS] = sizeof(struct ps_conf_texts),
		[PS_CONF_SECTIONS] = sizeof(struct ps_conf_array),
	};

	return o->type == PS_CONF_SECTION ? o->section->size : sizes[o->type];
}

static bool takes_words(const struct ps_conf_option *o)
{
	return o->type == PS_CONF_INT || o->type == PS_CONF_DURATION || o->type == PS_CONF_BYTES;
}

static enum ps_status check_row(const struct ps_conf_schema *schema, const struct ps_conf_option *o,
				struct ps_error *err)
{
	bool needs_section = o->type == PS_CONF_SECTION || o->type == PS_CONF_SECTIONS;

	if ((unsigned)o->type > PS_CONF_SECTIONS)
		return broken(schema, o, "unknown type", err);
	if (strlen(o->name) >= PS_CONF_NAME_SIZE || strpbrk(o->name, "_ =") || o->name[0] == '-')
		return broken(schema, o, "the name is not words joined by '-'", err);
	if (needs_section != (o->section != NULL))
		return broken(schema, o, "type and section do not fit", err);
	if (o->choices ? o->type != PS_CONF_ENUM && !takes_words(o) : o->type == PS_CONF_ENUM)
		return broken(schema, o, "type and choices do not fit", err);
	if (o->offset + field_size(o) > schema->size)
		return broken(schema, o, "the field is outside the struct", err);
	if (!o->help || !*o->help)
		return broken(schema, o, "no help text", err);
	if (o->def && o->flags & PS_CONF_REQUIRED)
		return broken(schema, o, "required and with a default", err);
	for (const struct ps_conf_option *p = schema->options; p < o; p++) {
		if (strcmp(p->name, o->name) == 0 || (o->letter && p->letter == o->letter))
			return broken(schema, o, "name or letter twice", err);
		if (p->flags & o->flags & PS_CONF_POSITIONAL && p->type == PS_CONF_TEXTS)
			return broken(schema, o, "an argument behind one that takes the rest", err);
	}
	return PS_OK;
}

enum ps_status ps_conf_check_schema(const struct ps_conf_schema *schema, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (ps_conf_count(schema) > PS_CONF_MAX_OPTIONS)
		return ps_error_set(err, PS_EINTERNAL, "%s has too many options", schema->name);
	for (const struct ps_conf_option *o = schema->options; o->name && st == PS_OK; o++) {
		st = check_row(schema, o, err);
		if (st == PS_OK && o->section)
			st = ps_conf_check_schema(o->section, err);
	}
	void *out = st == PS_OK ? calloc(1, schema->size) : NULL;
	if (st == PS_OK && !out)
		return ps_error_set(err, PS_ENOMEM, "no memory to check a table");
	if (st == PS_OK)
		st = ps_conf_set_defaults(schema, out, err);
	if (st == PS_OK)
		ps_conf_free(schema, out);
	free(out);
	return st;
}
