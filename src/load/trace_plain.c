/* trace_plain.c - one number per line. Empty lines and lines that begin with '#' mean nothing. */
#include "load/trace_internal.h"

#include <math.h>
#include <string.h>

/* The text of the present line, or NULL when it has none. */
static const char *text_of(struct ps_load_reader *r)
{
	char *fields[1];
	size_t n = ps_load_fields_split(r->line, fields, 1);

	/* What follows a comma would be lost silently: a value that is no number is refused. */
	if (n > 1 && fields[0][0] != '#')
		return "several values";
	return fields[0][0] && fields[0][0] != '#' ? fields[0] : NULL;
}

static enum ps_status no_number(struct ps_load_reader *r, const char *text)
{
	return ps_load_reader_fail(r, PS_EPARSE, "'%.60s' is no number", text);
}

static enum ps_status too_far(struct ps_load_reader *r)
{
	return ps_load_reader_fail(r, PS_ETOOBIG, "over nine years after the first arrival");
}

static enum ps_status read_gap(struct ps_load_reader *r, const char *text, double unit_ns)
{
	long double gap = 0;

	if (!ps_load_number_parse(text, &gap))
		return no_number(r, text);
	if (gap < 0)
		return ps_load_reader_fail(r, PS_EPARSE, "a gap of %.60s is below 0", text);
	r->end_ns += (double)gap * unit_ns;
	if (!(r->end_ns <= PS_LOAD_TRACE_MAX_NS))
		return too_far(r);
	return ps_load_reader_add(r, r->end_ns, 0);
}

enum ps_status ps_load_read_gaps(struct ps_load_reader *r)
{
	double unit_ns = r->options->unit_ns > 0 ? r->options->unit_ns : 1e3;
	enum ps_status st = PS_OK;

	r->begin_ns = r->end_ns = 0;
	r->in_order = true;
	for (bool more = true; st == PS_OK && more;) {
		const char *text = text_of(r);

		if (text)
			st = read_gap(r, text, unit_ns);
		if (st == PS_OK)
			st = ps_load_reader_next(r, &more);
	}
	return st;
}

/* Timestamps so far: all numbers or all dates. */
struct stamps {
	double unit_ns;
	bool dates;
	long double first_ns, last_ns;
};

static enum ps_status parse_stamp(struct ps_load_reader *r, struct stamps *s, const char *text,
				  long double *ret_ns)
{
	int64_t date_ns;
	bool date = ps_load_date_parse(text, &date_ns);

	if (!date && !ps_load_number_parse(text, ret_ns))
		return ps_load_reader_fail(
			r, PS_EPARSE, "'%.60s' is neither a number nor YYYY-MM-DD HH:MM:SS", text);
	if (date && r->options->unit_ns > 0)
		return ps_load_reader_fail(r, PS_EPARSE, "a date has no unit");
	if (r->seen == 0)
		s->dates = date;
	if (date != s->dates)
		return ps_load_reader_fail(r, PS_EPARSE, "dates and numbers in one file");
	*ret_ns = date ? (long double)date_ns : *ret_ns * s->unit_ns;
	return PS_OK;
}

static enum ps_status read_stamp(struct ps_load_reader *r, struct stamps *s, const char *text)
{
	long double at_ns = 0;
	enum ps_status st = parse_stamp(r, s, text, &at_ns);

	if (st != PS_OK)
		return st;
	if (r->seen == 0)
		s->first_ns = s->last_ns = at_ns;
	if (at_ns < s->last_ns)
		return ps_load_reader_fail(r, PS_EPARSE, "%.60s lies before the line above it",
					   text);
	s->last_ns = at_ns;
	/* Written so that infinity less infinity, which is no number, is too far as well. */
	if (!(at_ns - s->first_ns <= PS_LOAD_TRACE_MAX_NS))
		return too_far(r);
	return ps_load_reader_add(r, (double)(at_ns - s->first_ns), 0);
}

enum ps_status ps_load_read_timestamps(struct ps_load_reader *r)
{
	struct stamps s = {.unit_ns = r->options->unit_ns > 0 ? r->options->unit_ns : 1e9};
	enum ps_status st = PS_OK;

	r->in_order = true;
	for (bool more = true; st == PS_OK && more;) {
		const char *text = text_of(r);

		if (text)
			st = read_stamp(r, &s, text);
		if (st == PS_OK)
			st = ps_load_reader_next(r, &more);
	}
	return st;
}
