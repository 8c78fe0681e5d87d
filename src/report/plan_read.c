/* plan_read.c - values of JSON from outside, each checked where it is taken. */
#include "plan_read_internal.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

void ps_report_read_refuse(struct ps_report_reader *r, const char *where, const char *what)
{
	if (r->st != PS_OK)
		return;
	r->st = ps_error_set(r->err, PS_EPARSE, "%s", what);
	ps_error_where(r->err, "%s", where);
	ps_error_hint(r->err, "docs/report.md has the form of a plan");
}

void ps_report_read_no_memory(struct ps_report_reader *r)
{
	if (r->st == PS_OK)
		r->st = ps_error_set(r->err, PS_ENOMEM, "no memory for the plan");
}

void *ps_report_read_take(struct ps_report_reader *r, size_t n, size_t size)
{
	void *p = ps_arena_zalloc(&r->p->arena, (n ? n : 1) * size);

	if (!p)
		ps_report_read_no_memory(r);
	return p;
}

/* ---- values ---- */

const char *ps_report_read_text(struct ps_report_reader *r, const json_t *o, const char *key,
				bool required, const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[PS_REPORT_WHERE_SIZE];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			ps_report_read_refuse(r, at, "a text is missing");
		return "";
	}
	size_t n = json_string_length(v);
	if (!json_is_string(v) || n > PS_REPORT_MAX_TEXT || strlen(json_string_value(v)) != n) {
		ps_report_read_refuse(r, at, "must be a text of at most 4,000 bytes");
		return "";
	}
	const char *copy = ps_arena_strndup(&r->p->arena, json_string_value(v), n);
	if (!copy)
		ps_report_read_no_memory(r);
	return copy ? copy : "";
}

double ps_report_read_real(struct ps_report_reader *r, const json_t *o, const char *key,
			   bool required, double max, const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[PS_REPORT_WHERE_SIZE], what[80];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			ps_report_read_refuse(r, at, "a number is missing");
		return NAN;
	}
	double x = json_is_number(v) ? json_number_value(v) : NAN;
	if (!(x >= 0 && x <= max)) {
		snprintf(what, sizeof what, "must be a number from 0 to %g", max);
		ps_report_read_refuse(r, at, what);
	}
	return x;
}

const json_t *ps_report_read_list(struct ps_report_reader *r, const json_t *o, const char *key,
				  bool required, const char *where)
{
	const json_t *v = json_object_get(o, key);
	char at[PS_REPORT_WHERE_SIZE];

	snprintf(at, sizeof at, "%s%s%s", where, where[0] ? "." : "", key);
	if (!v || json_is_null(v)) {
		if (required)
			ps_report_read_refuse(r, at, "a list is missing");
		return NULL;
	}
	if (!json_is_array(v)) {
		ps_report_read_refuse(r, at, "must be a list");
		return NULL;
	}
	if (json_array_size(v) > PS_REPORT_PLAN_MAX) {
		ps_report_read_refuse(r, at, "has over 20,000 entries");
		return NULL;
	}
	return v;
}

bool ps_report_read_object(struct ps_report_reader *r, const json_t *v, const char *where)
{
	if (!json_is_object(v))
		ps_report_read_refuse(r, where, "must be an object");
	return json_is_object(v);
}
