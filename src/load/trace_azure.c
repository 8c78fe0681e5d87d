/* trace_azure.c - the traces that Azure has published. */
#include "load/trace_internal.h"

#include "base/clock.h"
#include "base/rng.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
	IDS_2019 = 4,		/* HashOwner, HashApp, HashFunction, Trigger */
	MINUTES_PER_DAY = 1440, /* a file is one day */
	MAX_COLUMNS = 64,	/* of the formats with one call per row */
};

#define MINUTE_NS (60.0 * 1e9)

static uint64_t hash_names(uint64_t h, const char *name)
{
	return ps_rng_stream(name) ^ (h * UINT64_C(0x9e3779b97f4a7c15));
}

static uint32_t fold(uint64_t h)
{
	return (uint32_t)(h ^ (h >> 32));
}

/* ---- 2019: calls per function and minute ---- */

static enum ps_status read_head_2019(struct ps_load_reader *r, char **fields, size_t *ret_minutes)
{
	static const char *const ids[] = {"HashOwner", "HashApp", "HashFunction", "Trigger"};
	size_t n = ps_load_fields_split(r->line, fields, IDS_2019 + MINUTES_PER_DAY);
	uint64_t number;

	if (n <= IDS_2019 || n > IDS_2019 + MINUTES_PER_DAY)
		return ps_load_reader_fail(r, PS_EPARSE,
					   "%zu columns: there are 4 names and 1 to %d minutes", n,
					   MINUTES_PER_DAY);
	for (size_t i = 0; i < n; i++) {
		bool good = i < IDS_2019 ? strcmp(fields[i], ids[i]) == 0
					 : ps_load_count_parse(fields[i], &number) &&
						   number == i - IDS_2019 + 1;
		if (!good)
			return ps_load_reader_fail(r, PS_EPARSE, "column %zu is '%.40s', not %s",
						   i + 1, fields[i],
						   i < IDS_2019 ? ids[i] : "the next minute");
	}
	*ret_minutes = n - IDS_2019;
	return PS_OK;
}

/* Given that there were n, the instants of a Poisson process are n independent uniform ones. They
 * depend on function and minute alone: a window or another function moves none. So those outside
 * the window are drawn as well, and count: else a window of 1 us in minutes with large numbers
 * would be work without end. */
static enum ps_status spread(struct ps_load_reader *r, uint64_t function, size_t minute,
			     uint64_t calls)
{
	double begin_ns = (double)minute * MINUTE_NS - (double)r->options->from_ns;
	enum ps_status st = PS_OK;
	struct ps_rng rng;

	if (begin_ns + MINUTE_NS <= 0 || begin_ns >= r->end_ns)
		return PS_OK;
	if (calls > ps_load_reader_most(r) - r->drawn)
		return ps_load_reader_fail(
			r, PS_ETOOBIG, "with the %llu calls of minute %zu over %zu arrivals",
			(unsigned long long)calls, minute + 1, ps_load_reader_most(r));
	r->drawn += calls;
	ps_rng_init(&rng, r->options->seed, function + minute);
	for (uint64_t i = 0; st == PS_OK && i < calls; i++) {
		double at_ns = begin_ns + ps_rng_uniform(&rng) * MINUTE_NS;

		if (at_ns >= 0 && at_ns < r->end_ns)
			st = ps_load_reader_add(r, at_ns, fold(function));
	}
	return st;
}

static enum ps_status read_row_2019(struct ps_load_reader *r, char **fields, size_t minutes)
{
	size_t n = ps_load_fields_split(r->line, fields, IDS_2019 + MINUTES_PER_DAY);
	enum ps_status st = PS_OK;
	uint64_t function = 0, calls;

	if (n != IDS_2019 + minutes)
		return ps_load_reader_fail(r, PS_EPARSE, "%zu columns, the head has %zu", n,
					   IDS_2019 + minutes);
	for (size_t i = 0; i < 3; i++)
		function = hash_names(function, fields[i]);
	for (size_t m = 0; st == PS_OK && m < minutes; m++) {
		if (!ps_load_count_parse(fields[IDS_2019 + m], &calls))
			return ps_load_reader_fail(r, PS_EPARSE,
						   "minute %zu: '%.40s' is no number of calls",
						   m + 1, fields[IDS_2019 + m]);
		if (calls > 0)
			st = spread(r, function, m, calls);
	}
	return st;
}

enum ps_status ps_load_read_functions_2019(struct ps_load_reader *r)
{
	char **fields = malloc((IDS_2019 + MINUTES_PER_DAY) * sizeof(*fields));
	size_t minutes = 0;
	bool more = true;

	if (!fields)
		return ps_error_set(r->err, PS_ENOMEM, "no memory to read a trace");
	enum ps_status st = read_head_2019(r, fields, &minutes);
	if (st == PS_OK) {
		double rest_ns = (double)minutes * MINUTE_NS - (double)r->options->from_ns;

		r->trace->has_functions = true;
		r->cut = true;
		r->begin_ns = 0;
		r->end_ns = r->options->length_ns > 0 ? fmin(rest_ns, (double)r->options->length_ns)
						      : rest_ns;
	}
	while (st == PS_OK) {
		st = ps_load_reader_next(r, &more);
		if (st != PS_OK || !more)
			break;
		st = read_row_2019(r, fields, minutes);
	}
	free(fields);
	return st;
}

/* ---- one call per row ---- */

/* The columns that a format needs: where they are in this file. */
struct columns {
	const char *const *names;
	size_t len, at[4];
	size_t all; /* in the file */
};

static enum ps_status find_columns(struct ps_load_reader *r, struct columns *c)
{
	char *fields[1];

	for (size_t i = 0; i < c->len; i++) {
		if (!ps_load_column_find(r->line, c->names[i], &c->at[i]))
			return ps_load_reader_fail(r, PS_EPARSE, "the head has no column %s",
						   c->names[i]);
	}
	c->all = ps_load_fields_split(r->line, fields, 1);
	return c->all <= MAX_COLUMNS
		       ? PS_OK
		       : ps_load_reader_fail(r, PS_ETOOBIG, "over %d columns", MAX_COLUMNS);
}

/* The next row's values in the order of c->names. */
static enum ps_status next_row(struct ps_load_reader *r, const struct columns *c, bool *ret_more,
			       char **ret_values)
{
	char *fields[MAX_COLUMNS];
	enum ps_status st = ps_load_reader_next(r, ret_more);

	if (st != PS_OK || !*ret_more)
		return st;
	size_t n = ps_load_fields_split(r->line, fields, MAX_COLUMNS);
	if (n != c->all)
		return ps_load_reader_fail(r, PS_EPARSE, "%zu columns, the head has %zu", n,
					   c->all);
	for (size_t i = 0; i < c->len; i++)
		ret_values[i] = fields[c->at[i]];
	return PS_OK;
}

static enum ps_status number(struct ps_load_reader *r, const char *column, const char *text,
			     long double *ret_value)
{
	if (ps_load_number_parse(text, ret_value))
		return PS_OK;
	return ps_load_reader_fail(r, PS_EPARSE, "%s: '%.60s' is no number", column, text);
}

/* Instants are kept relative to the first row, so that a double holds them to far below a ns. */
static enum ps_status add_relative(struct ps_load_reader *r, long double *first_ns,
				   long double at_ns, uint32_t function)
{
	if (r->trace->len == 0)
		*first_ns = at_ns;
	/* Written so that infinity less infinity, which is no number, is too far as well. */
	if (!(fabsl(at_ns - *first_ns) <= PS_LOAD_TRACE_MAX_NS))
		return ps_load_reader_fail(r, PS_ETOOBIG,
					   "over nine years from the first row's instant");
	return ps_load_reader_add(r, (double)(at_ns - *first_ns), function);
}

enum ps_status ps_load_read_functions_2021(struct ps_load_reader *r)
{
	static const char *const names[] = {"app", "func", "end_timestamp", "duration"};
	struct columns c = {.names = names, .len = 4};
	long double first_ns = 0, end_s = 0, duration_s = 0;
	enum ps_status st = find_columns(r, &c);
	char *v[4] = {0};
	bool more;

	r->trace->has_functions = true;
	while (st == PS_OK) {
		st = next_row(r, &c, &more, v);
		if (st != PS_OK || !more)
			break;
		st = number(r, names[2], v[2], &end_s);
		if (st == PS_OK)
			st = number(r, names[3], v[3], &duration_s);
		if (st == PS_OK && duration_s < 0)
			st = ps_load_reader_fail(r, PS_EPARSE, "a call of %.60s s", v[3]);
		if (st == PS_OK)
			st = add_relative(r, &first_ns, (end_s - duration_s) * 1e9L,
					  fold(hash_names(hash_names(0, v[0]), v[1])));
	}
	return st;
}

enum ps_status ps_load_read_llm(struct ps_load_reader *r)
{
	static const char *const names[] = {"TIMESTAMP"};
	struct columns c = {.names = names, .len = 1};
	enum ps_status st = find_columns(r, &c);
	long double first_ns = 0;
	int64_t at_ns;
	char *v[1] = {0};
	bool more;

	while (st == PS_OK) {
		st = next_row(r, &c, &more, v);
		if (st != PS_OK || !more)
			break;
		if (!ps_load_date_parse(v[0], &at_ns))
			return ps_load_reader_fail(
				r, PS_EPARSE,
				"TIMESTAMP: '%.60s' is not written YYYY-MM-DD HH:MM:SS[.FRACTION]",
				v[0]);
		st = add_relative(r, &first_ns, (long double)at_ns, 0);
	}
	return st;
}
