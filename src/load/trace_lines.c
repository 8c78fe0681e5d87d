/* trace_lines.c - lines and values of trace files. */
#include "load/trace_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define BUFFER_SIZE (2 * PS_LOAD_TRACE_MAX_LINE)

enum ps_status ps_load_reader_fail(struct ps_load_reader *r, enum ps_status status, const char *fmt,
				   ...)
{
	char what[sizeof(((struct ps_error *)0)->what)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(what, sizeof(what), fmt, args);
	va_end(args);
	ps_error_set(r->err, status, "%s", what);
	ps_error_where(r->err, "%.150s:%zu", r->name, r->line_no);
	return status;
}

static enum ps_status fill(struct ps_load_reader *r)
{
	size_t n;

	memmove(r->buffer, r->buffer + r->begin, r->end - r->begin);
	r->end -= r->begin;
	r->begin = 0;
	n = fread(r->buffer + r->end, 1, BUFFER_SIZE - r->end, r->file);
	r->end += n;
	r->at_end = n == 0;
	if (n == 0 && ferror(r->file))
		return ps_load_reader_fail(r, PS_EIO, "cannot read on");
	return PS_OK;
}

/* The line's end in the buffer; the file's end counts as one. NULL: it is not in the buffer yet. */
static char *find_end(const struct ps_load_reader *r)
{
	char *newline = memchr(r->buffer + r->begin, '\n', r->end - r->begin);

	return newline || !r->at_end ? newline : r->buffer + r->end;
}

static enum ps_status too_long(struct ps_load_reader *r)
{
	return ps_load_reader_fail(r, PS_ETOOBIG, "a line of over %u bytes",
				   PS_LOAD_TRACE_MAX_LINE);
}

static enum ps_status take(struct ps_load_reader *r, char *end)
{
	size_t n = (size_t)(end - r->buffer) - r->begin;

	r->line = r->buffer + r->begin;
	r->begin += n + (r->begin + n < r->end); /* past the newline, if there is one */
	if (n > PS_LOAD_TRACE_MAX_LINE)
		return too_long(r);
	if (memchr(r->line, '\0', n))
		return ps_load_reader_fail(r, PS_EPARSE, "a NUL byte: this is no text");
	*end = '\0';
	if (n > 0 && end[-1] == '\r')
		end[-1] = '\0';
	if (r->line_no == 1 && strncmp(r->line, "\xef\xbb\xbf", 3) == 0)
		r->line += 3;
	return PS_OK;
}

enum ps_status ps_load_reader_next(struct ps_load_reader *r, bool *ret_more)
{
	enum ps_status st = PS_OK;
	char *end;

	*ret_more = false;
	if (!r->buffer && !(r->buffer = malloc(BUFFER_SIZE + 1)))
		return ps_error_set(r->err, PS_ENOMEM, "no memory to read a trace");
	r->line_no++;
	while (st == PS_OK && !(end = find_end(r))) {
		if (r->end - r->begin > PS_LOAD_TRACE_MAX_LINE)
			return too_long(r);
		st = fill(r);
	}
	if (st != PS_OK || (r->at_end && r->begin == r->end))
		return st;
	if (r->line_no > PS_LOAD_TRACE_MAX_LINES)
		return ps_load_reader_fail(r, PS_ETOOBIG, "over %u lines", PS_LOAD_TRACE_MAX_LINES);
	*ret_more = true;
	return take(r, end);
}

size_t ps_load_reader_most(const struct ps_load_reader *r)
{
	size_t most = r->options->max_entries;

	return most && most < PS_LOAD_TRACE_MAX_ENTRIES ? most : PS_LOAD_TRACE_MAX_ENTRIES;
}

/* Is it certainly not in the window? What lies at its very end is for the end of the file to say.
 */
static bool is_outside(struct ps_load_reader *r, double at_ns)
{
	const struct ps_load_trace_options *o = r->options;

	if (r->seen++ == 0)
		r->first_ns = at_ns;
	r->last_ns = at_ns;
	double from_ns = (isnan(r->begin_ns) ? r->first_ns : r->begin_ns) + (double)o->from_ns;
	return at_ns < from_ns || (o->length_ns > 0 && at_ns > from_ns + (double)o->length_ns);
}

enum ps_status ps_load_reader_add(struct ps_load_reader *r, double at_ns, uint32_t function)
{
	struct ps_load_trace *t = r->trace;

	if (r->in_order && is_outside(r, at_ns))
		return PS_OK;
	if (t->len == ps_load_reader_most(r))
		return ps_load_reader_fail(r, PS_ETOOBIG, "over %zu arrivals",
					   ps_load_reader_most(r));
	if (t->len == r->cap) {
		size_t cap = r->cap ? 2 * r->cap : 1024;
		void *entries = realloc(t->entries, cap * sizeof(*t->entries));

		if (!entries)
			return ps_error_set(r->err, PS_ENOMEM, "no memory for a trace");
		t->entries = entries;
		r->cap = cap;
	}
	r->sorted = r->sorted && (t->len == 0 || at_ns >= t->entries[t->len - 1].at_ns);
	t->entries[t->len] = (struct ps_load_trace_entry){
		.at_ns = at_ns, .function = function, .order = (uint32_t)t->len};
	t->len++;
	return PS_OK;
}

/* ---- values ---- */

static char *trim(char *s)
{
	s += strspn(s, " \t");
	for (size_t n = strlen(s); n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'); n--)
		s[n - 1] = '\0';
	return s;
}

size_t ps_load_fields_split(char *line, char **ret_fields, size_t max)
{
	size_t n = 0;

	for (char *comma = line; comma; n++) {
		char *field = line;

		comma = strchr(line, ',');
		if (comma) {
			*comma = '\0';
			line = comma + 1;
		}
		if (n < max)
			ret_fields[n] = trim(field);
	}
	return n;
}

bool ps_load_column_find(const char *head, const char *name, size_t *ret_column)
{
	size_t want = strlen(name);

	for (*ret_column = 0;; ++*ret_column) {
		head += strspn(head, " \t");
		size_t n = strcspn(head, ",");
		size_t used = n;
		while (used > 0 && (head[used - 1] == ' ' || head[used - 1] == '\t'))
			used--;
		if (used == want && strncmp(head, name, used) == 0)
			return true;
		if (!head[n])
			return false;
		head += n + 1;
	}
}

/* strtold alone would take hex, "nan" and "inf". Its point is that of the C locale: the program
 * never calls setlocale. */
bool ps_load_number_parse(const char *text, long double *ret_value)
{
	char *end;

	if (text[strspn(text, "0123456789.+-eE")] || strlen(text) > 60)
		return false;
	*ret_value = strtold(text, &end);
	return end != text && *end == '\0' && isfinite(*ret_value);
}

bool ps_load_count_parse(const char *text, uint64_t *ret_value)
{
	size_t n = strspn(text, "0123456789");

	if (n == 0 || n > 18 || text[n])
		return false;
	*ret_value = strtoull(text, NULL, 10);
	return true;
}

static bool digits(const char **text, int n, int *ret_value)
{
	int v = 0;

	for (int i = 0; i < n; i++, (*text)++) {
		if (**text < '0' || **text > '9')
			return false;
		v = 10 * v + (**text - '0');
	}
	*ret_value = v;
	return true;
}

static bool letter(const char **text, const char *allowed)
{
	return **text && strchr(allowed, *(*text)++);
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

/* Days since 1970-01-01 of the proleptic Gregorian calendar: years counted from March, so that the
 * leap day is a year's last. */
static int64_t days_since_1970(int year, int month, int day)
{
	int64_t y = year - (month <= 2), m = (month + 9) % 12;

	return 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719468;
}

static bool fraction(const char **text, int *ret_ns)
{
	int n = 0;

	*ret_ns = 0;
	if (**text != '.')
		return true;
	for (++*text; **text >= '0' && **text <= '9' && n < 9; n++)
		*ret_ns = 10 * *ret_ns + (*(*text)++ - '0');
	for (int i = n; i < 9; i++)
		*ret_ns *= 10;
	return n > 0;
}

/* "", "Z", "+HH:MM" or "-HH:MM". */
static bool zone(const char *text, int *ret_minutes)
{
	int h, m, sign = *text == '-' ? -1 : 1;

	*ret_minutes = 0;
	if (!*text || (text[0] == 'Z' && !text[1]))
		return true;
	if (!letter(&text, "+-") || !digits(&text, 2, &h) || !letter(&text, ":") ||
	    !digits(&text, 2, &m) || *text || h > 14 || m > 59)
		return false;
	*ret_minutes = sign * (60 * h + m);
	return true;
}

bool ps_load_date_parse(const char *text, int64_t *ret_ns)
{
	int year, month, day, h, m, s, ns, minutes;

	if (!digits(&text, 4, &year) || !letter(&text, "-") || !digits(&text, 2, &month) ||
	    !letter(&text, "-") || !digits(&text, 2, &day) || !letter(&text, " T") ||
	    !digits(&text, 2, &h) || !letter(&text, ":") || !digits(&text, 2, &m) ||
	    !letter(&text, ":") || !digits(&text, 2, &s) || !fraction(&text, &ns) ||
	    !zone(text, &minutes))
		return false;
	if (year < 1970 || year > 2200 || month < 1 || month > 12 || day < 1 ||
	    day > days_of(year, month) || h > 23 || m > 59 || s > 60)
		return false;
	int64_t seconds = days_since_1970(year, month, day) * 86400 + h * 3600 +
			  (m - minutes) * INT64_C(60) + s;
	*ret_ns = seconds * 1000000000 + ns;
	return true;
}
