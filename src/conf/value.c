/* value.c - one value: text -> field, range, default, release. */
#include "conf_internal.h"

#include "base/clock.h"
#include "base/units.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

size_t ps_conf_count(const struct ps_conf_schema *schema)
{
	size_t n = 0;

	while (schema->options[n].name)
		n++;
	return n;
}

void *ps_conf_field(const struct ps_conf_option *o, void *base)
{
	return (char *)base + o->offset;
}

bool ps_conf_has_range(const struct ps_conf_option *o)
{
	return o->min != 0 || o->max != 0;
}

struct unit {
	const char *name;
	int64_t size;
};

/* The number in the largest unit that holds it without a remainder: 24h, 64MiB, 1500ms. */
static void format_unit(int64_t v, const struct unit *units, char *buf, size_t size)
{
	while (v == 0 ? units->size > 1 : v % units->size != 0)
		units++;
	snprintf(buf, size, "%lld%s", (long long)(v / units->size), v ? units->name : "");
}

/* A bound as a user would write it. */
static void format_bound(const struct ps_conf_option *o, double v, char *buf, size_t size)
{
	static const struct unit times[] = {{"h", 3600 * PS_NS_PER_SEC}, {"m", 60 * PS_NS_PER_SEC},
					    {"s", PS_NS_PER_SEC},	 {"ms", PS_NS_PER_MS},
					    {"us", PS_NS_PER_US},	 {"ns", 1}};
	static const struct unit sizes[] = {{"TiB", INT64_C(1) << 40},
					    {"GiB", INT64_C(1) << 30},
					    {"MiB", INT64_C(1) << 20},
					    {"KiB", INT64_C(1) << 10},
					    {"B", 1}};

	if (o->type == PS_CONF_DURATION && fabs(v) < 9e18)
		format_unit((int64_t)v, times, buf, size);
	else if (o->type == PS_CONF_BYTES && fabs(v) < 9e18)
		format_unit((int64_t)v, sizes, buf, size);
	else if (o->type == PS_CONF_RATIO)
		snprintf(buf, size, "%.10g%%", v * 100);
	else if (o->type == PS_CONF_INT)
		snprintf(buf, size, "%.0f", v);
	else
		snprintf(buf, size, "%.15g", v);
}

const char *ps_conf_format_range(const struct ps_conf_option *o, char buf[PS_CONF_RANGE_SIZE])
{
	char lo[40], hi[40];

	format_bound(o, o->min, lo, sizeof lo);
	format_bound(o, o->max, hi, sizeof hi);
	if (o->max < o->min)
		snprintf(buf, PS_CONF_RANGE_SIZE, "at least %s", lo);
	else
		snprintf(buf, PS_CONF_RANGE_SIZE, "%s to %s", lo, hi);
	return buf;
}

static bool in_range(const struct ps_conf_option *o, double v)
{
	return !ps_conf_has_range(o) || (v >= o->min && (o->max < o->min || v <= o->max));
}

static enum ps_status check_range(const struct ps_conf_option *o, double v, const char *text,
				  struct ps_error *err)
{
	char range[PS_CONF_RANGE_SIZE];

	if (in_range(o, v))
		return PS_OK;
	return ps_error_set(err, PS_EPARSE, "'%.60s' is out of range: %s", text,
			    ps_conf_format_range(o, range));
}

enum ps_status ps_conf_check_len(const struct ps_conf_option *o, size_t len, struct ps_error *err)
{
	char range[PS_CONF_RANGE_SIZE];

	if (in_range(o, (double)len))
		return PS_OK;
	return ps_error_set(err, PS_EPARSE, "%zu given, allowed are %s", len,
			    ps_conf_format_range(o, range));
}

static enum ps_status parse_bool(const char *text, bool *ret, struct ps_error *err)
{
	if (strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return ps_error_set(err, PS_EPARSE, "'%.60s' is neither true nor false", text);
	*ret = text[0] == 't';
	return PS_OK;
}

enum ps_status ps_conf_parse_rate(const char *text, double *ret_rps, struct ps_error *err)
{
	static const struct {
		const char *unit;
		double per_second;
	} units[] = {{"/s", 1}, {"/min", 1 / 60.0}, {"/h", 1 / 3600.0}};
	char number[64];
	const char *slash = strchr(text, '/');
	size_t n = slash ? (size_t)(slash - text) : strlen(text);
	double v, factor = slash ? 0 : 1;

	for (size_t i = 0; slash && i < sizeof units / sizeof *units; i++)
		if (strcmp(slash, units[i].unit) == 0)
			factor = units[i].per_second;
	while (slash && n > 0 && text[n - 1] == ' ')
		n--;
	if (factor > 0 && n < sizeof number) {
		memcpy(number, text, n);
		number[n] = '\0';
		if (ps_units_parse_double(number, &v, NULL) == PS_OK && v >= 0) {
			*ret_rps = v * factor;
			return PS_OK;
		}
	}
	return ps_error_set(err, PS_EPARSE,
			    "'%.60s' is not a rate; write it like 20, 20/s, 90/min or 3600/h",
			    text);
}

/* "99%", "99 %", "0.99" */
static enum ps_status parse_ratio(const struct ps_conf_option *o, const char *text, double *ret,
				  struct ps_error *err)
{
	char number[64];
	size_t n = strlen(text);
	double v, scale = 1;

	if (n > 0 && text[n - 1] == '%') {
		scale = 100;
		n--;
		while (n > 0 && text[n - 1] == ' ')
			n--;
	}
	if (n >= sizeof number)
		n = 0;
	memcpy(number, text, n);
	number[n] = '\0';
	if (ps_units_parse_double(number, &v, NULL) != PS_OK)
		return ps_error_set(err, PS_EPARSE,
				    "'%.60s' is not a ratio; write it like 99%% or 0.99", text);
	v /= scale;
	if (!ps_conf_has_range(o) && !(v >= 0 && v <= 1))
		return ps_error_set(err, PS_EPARSE, "'%.60s' is out of range: 0%% to 100%%", text);
	*ret = v;
	return PS_OK;
}

static enum ps_status parse_choice(const struct ps_conf_option *o, const char *text, int *ret,
				   struct ps_error *err)
{
	char list[200] = "";
	size_t used = 0, n = 0;

	for (; o->choices[n]; n++) {
		if (strcmp(o->choices[n], text) == 0) {
			*ret = (int)n;
			return PS_OK;
		}
		int m = snprintf(list + used, sizeof list - used, "%s%s", n ? ", " : "",
				 o->choices[n]);
		used += used + (size_t)m < sizeof list ? (size_t)m : 0;
	}
	ps_error_set(err, PS_EPARSE, "'%.60s' is none of %s", text, list);
	const char *near = ps_conf_nearest(text, o->choices, n);
	if (near)
		ps_error_hint(err, "did you mean %s?", near);
	return PS_EPARSE;
}

static enum ps_status set_text(char **field, const char *text, struct ps_error *err)
{
	char *copy = strdup(text);

	if (!copy)
		return ps_error_set(err, PS_ENOMEM, "no memory for an option");
	free(*field);
	*field = copy;
	return PS_OK;
}

static enum ps_status add_text(struct ps_conf_texts *t, const char *text, struct ps_error *err)
{
	if (t->len >= PS_CONF_MAX_ITEMS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d items", PS_CONF_MAX_ITEMS);
	if ((t->len & (t->len - 1)) == 0) { /* full at each power of two, and when empty */
		char **items = realloc(t->items, (t->len ? 2 * t->len : 1) * sizeof *items);
		if (!items)
			return ps_error_set(err, PS_ENOMEM, "no memory for an option");
		t->items = items;
	}
	t->items[t->len] = NULL;
	enum ps_status st = set_text(&t->items[t->len], text, err);
	t->len += st == PS_OK;
	return st;
}

/* A word in place of a whole number. */
static bool set_word(const struct ps_conf_option *o, int64_t *field, const char *text)
{
	for (int64_t n = 0; o->choices && o->choices[n]; n++) {
		if (strcmp(o->choices[n], text) == 0) {
			*field = -1 - n;
			return true;
		}
	}
	return false;
}

static enum ps_status parse_int(const struct ps_conf_option *o, const char *text, int64_t *ret,
				struct ps_error *err)
{
	enum ps_status st = ps_units_parse_int(text, ret, err);

	if (st != PS_ETOOBIG)
		return st;
	/* What is beyond 64 bits is beyond the row's range, if it has one, which says more. */
	st = check_range(o, *text == '-' ? -INFINITY : INFINITY, text, err);
	return st == PS_OK ? ps_error_set(err, PS_EPARSE, "'%.60s' is beyond 64 bits", text) : st;
}

static enum ps_status set_number(const struct ps_conf_option *o, void *field, const char *text,
				 struct ps_error *err)
{
	enum ps_status st;
	int64_t i = 0;
	double v = 0;

	if (o->choices && set_word(o, field, text))
		return PS_OK;
	switch (o->type) {
	case PS_CONF_INT:
		st = parse_int(o, text, &i, err);
		break;
	case PS_CONF_DURATION:
		st = ps_units_parse_duration(text, &i, err);
		break;
	case PS_CONF_BYTES:
		st = ps_units_parse_bytes(text, &i, err);
		break;
	case PS_CONF_RATE:
		st = ps_conf_parse_rate(text, &v, err);
		break;
	case PS_CONF_RATIO:
		st = parse_ratio(o, text, &v, err);
		break;
	default:
		st = ps_units_parse_double(text, &v, err);
		break;
	}
	bool whole =
		o->type == PS_CONF_INT || o->type == PS_CONF_DURATION || o->type == PS_CONF_BYTES;
	if (st == PS_OK)
		st = check_range(o, whole ? (double)i : v, text, err);
	if (st != PS_OK && o->choices)
		ps_error_hint(err, "it may also be %s", o->choices[0]);
	if (st == PS_OK && whole)
		*(int64_t *)field = i;
	else if (st == PS_OK)
		*(double *)field = v;
	return st;
}

static enum ps_status set_any(const struct ps_conf_option *o, void *field, const char *text,
			      struct ps_error *err)
{
	switch (o->type) {
	case PS_CONF_BOOL:
		return parse_bool(text, field, err);
	case PS_CONF_INT:
	case PS_CONF_REAL:
	case PS_CONF_DURATION:
	case PS_CONF_BYTES:
	case PS_CONF_RATE:
	case PS_CONF_RATIO:
		return set_number(o, field, text, err);
	case PS_CONF_TEXT:
		return set_text(field, text, err);
	case PS_CONF_TEXTS:
		return add_text(field, text, err);
	case PS_CONF_ENUM:
		return parse_choice(o, text, field, err);
	case PS_CONF_SLA:
		return ps_sla_parse(text, field, err);
	case PS_CONF_CPUS:
		return ps_cpus_parse(text, field, err);
	case PS_CONF_SECTION:
	case PS_CONF_SECTIONS:
		break;
	}
	return ps_error_set(err, PS_EINTERNAL, "a section has no single value");
}

enum ps_status ps_conf_set(const struct ps_conf_option *o, void *field, const char *text,
			   struct ps_error *err)
{
	enum ps_status st = set_any(o, field, text, err);

	if (st != PS_OK && st != PS_ENOMEM && o->flags & PS_CONF_SECRET)
		return ps_error_set(err, st, "the value does not have the right form");
	return st;
}

void ps_conf_clear_field(const struct ps_conf_option *o, void *field)
{
	if (o->type == PS_CONF_TEXT) {
		char **text = field;
		free(*text);
		*text = NULL;
	} else if (o->type == PS_CONF_TEXTS) {
		struct ps_conf_texts *t = field;
		for (size_t i = 0; i < t->len; i++)
			free(t->items[i]);
		free(t->items);
		*t = (struct ps_conf_texts){NULL, 0};
	} else if (o->type == PS_CONF_SECTION) {
		ps_conf_free(o->section, field);
	} else if (o->type == PS_CONF_SECTIONS) {
		struct ps_conf_array *a = field;
		for (size_t i = 0; i < a->len; i++)
			ps_conf_free(o->section, (char *)a->items + i * o->section->size);
		free(a->items);
		*a = (struct ps_conf_array){NULL, 0};
	}
}

void ps_conf_free(const struct ps_conf_schema *schema, void *out)
{
	if (!out)
		return;
	for (const struct ps_conf_option *o = schema->options; o->name; o++)
		ps_conf_clear_field(o, ps_conf_field(o, out));
}

static enum ps_status put_defaults(const struct ps_conf_schema *schema, void *out,
				   struct ps_error *err)
{
	for (const struct ps_conf_option *o = schema->options; o->name; o++) {
		enum ps_status st = PS_OK;

		if (o->type == PS_CONF_SECTION)
			st = put_defaults(o->section, ps_conf_field(o, out), err);
		else if (o->def)
			st = ps_conf_set(o, ps_conf_field(o, out), o->def, err);
		if (st == PS_OK)
			continue;
		if (st != PS_ENOMEM && err) { /* the table itself is wrong */
			err->status = st = PS_EINTERNAL;
			ps_error_where(err, "default of %s in %s", o->name, schema->name);
		}
		return st;
	}
	return PS_OK;
}

enum ps_status ps_conf_set_defaults(const struct ps_conf_schema *schema, void *out,
				    struct ps_error *err)
{
	memset(out, 0, schema->size);
	enum ps_status st = put_defaults(schema, out, err);
	if (st != PS_OK)
		ps_conf_free(schema, out);
	return st;
}

enum ps_status ps_conf_array_add(const struct ps_conf_option *o, struct ps_conf_array *a,
				 void **ret_item, struct ps_error *err)
{
	const size_t size = o->section->size;

	if (a->len >= PS_CONF_MAX_ITEMS)
		return ps_error_set(err, PS_ETOOBIG, "more than %d items", PS_CONF_MAX_ITEMS);
	if ((a->len & (a->len - 1)) == 0) {
		void *items = realloc(a->items, (a->len ? 2 * a->len : 1) * size);
		if (!items)
			return ps_error_set(err, PS_ENOMEM, "no memory for a list");
		a->items = items;
	}
	void *item = (char *)a->items + a->len * size;
	enum ps_status st = ps_conf_set_defaults(o->section, item, err);
	if (st != PS_OK)
		return st;
	a->len++;
	*ret_item = item;
	return PS_OK;
}
