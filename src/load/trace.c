/* trace.c - see trace.h. */
#include "load/trace.h"

#include "load/trace_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

const char *ps_load_trace_format_name(enum ps_load_trace_format f)
{
	static const char *const names[] = {
		"auto",	     "azure-functions-2019", "azure-functions-2021", "azure-llm", "gaps",
		"timestamps"};

	return f < PS_LOAD_TRACE_FORMATS ? names[f] : "?";
}

/* ---- formats ---- */

/* Plain files say nothing about themselves: gaps and timestamps look alike. */
static enum ps_status find_format(struct ps_load_reader *r)
{
	size_t i;

	if (ps_load_column_find(r->line, "HashFunction", &i))
		r->trace->format = PS_LOAD_TRACE_FUNCTIONS_2019;
	else if (ps_load_column_find(r->line, "end_timestamp", &i))
		r->trace->format = PS_LOAD_TRACE_FUNCTIONS_2021;
	else if (ps_load_column_find(r->line, "TIMESTAMP", &i))
		r->trace->format = PS_LOAD_TRACE_LLM;
	else {
		ps_load_reader_fail(r, PS_EPARSE, "the first line is no head of a known format");
		ps_error_hint(r->err, "name the format: gaps, timestamps, azure-...");
		return PS_EPARSE;
	}
	return PS_OK;
}

static enum ps_status read_entries(struct ps_load_reader *r)
{
	enum ps_status st;
	bool more;

	st = ps_load_reader_next(r, &more);
	if (st == PS_OK && !more)
		st = ps_load_reader_fail(r, PS_EPARSE, "the file is empty");
	if (st == PS_OK && r->options->format == PS_LOAD_TRACE_AUTO)
		st = find_format(r);
	if (st != PS_OK)
		return st;
	switch (r->trace->format) {
	case PS_LOAD_TRACE_FUNCTIONS_2019:
		return ps_load_read_functions_2019(r);
	case PS_LOAD_TRACE_FUNCTIONS_2021:
		return ps_load_read_functions_2021(r);
	case PS_LOAD_TRACE_LLM:
		return ps_load_read_llm(r);
	case PS_LOAD_TRACE_GAPS:
		return ps_load_read_gaps(r);
	case PS_LOAD_TRACE_TIMESTAMPS:
		return ps_load_read_timestamps(r);
	case PS_LOAD_TRACE_AUTO:
	case PS_LOAD_TRACE_FORMATS:
		break;
	}
	return ps_error_set(r->err, PS_EINVAL, "no such format of a trace");
}

/* ---- order and window ---- */

static int by_instant(const void *a, const void *b)
{
	const struct ps_load_trace_entry *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return x->order < y->order ? -1 : x->order > y->order;
}

/* Where the trace begins and ends, on the scale of its entries. Without an end of its own it ends
 * one mean gap after its last arrival, so that a loop does not join that with its first. */
static void find_ends(struct ps_load_reader *r)
{
	const struct ps_load_trace *t = r->trace;
	double first = r->in_order ? r->first_ns : t->entries[0].at_ns;
	double last = r->in_order ? r->last_ns : t->entries[t->len - 1].at_ns;
	size_t n = r->in_order ? r->seen : t->len;

	if (isnan(r->begin_ns))
		r->begin_ns = first;
	if (isnan(r->end_ns))
		r->end_ns = last + (n > 1 ? (last - first) / (double)(n - 1) : 0);
}

static void cut_window(struct ps_load_reader *r)
{
	struct ps_load_trace *t = r->trace;
	double from = r->begin_ns + (double)r->options->from_ns, to = r->end_ns;
	size_t n = 0;

	if (r->options->length_ns > 0)
		to = fmin(to, from + (double)r->options->length_ns);
	for (size_t i = 0; i < t->len; i++) {
		double at = t->entries[i].at_ns;

		/* The end of the trace itself is of it: there lies the last one of gaps. */
		if (at < from || at > to || (at == to && to < r->end_ns))
			continue;
		t->entries[n] = t->entries[i];
		t->entries[n++].at_ns = at - from;
	}
	t->len = n;
	t->length_ns = fmax(to - from, 0);
}

static enum ps_status finish(struct ps_load_reader *r)
{
	struct ps_load_trace *t = r->trace;

	if (t->len > 0 && !r->sorted)
		qsort(t->entries, t->len, sizeof(*t->entries), by_instant);
	if (t->len > 0 && !r->cut) {
		find_ends(r);
		cut_window(r);
	} else {
		t->length_ns = r->end_ns;
	}
	if (t->len > 0)
		return PS_OK;
	ps_error_set(r->err, PS_EPARSE, "there is no arrival in the %s",
		     r->options->from_ns || r->options->length_ns ? "window" : "file");
	ps_error_where(r->err, "%.190s", r->name);
	return PS_EPARSE;
}

static enum ps_status read_file(FILE *file, const char *name, const struct ps_load_trace_options *o,
				struct ps_load_trace *ret_trace, struct ps_error *err)
{
	struct ps_load_trace t = {.format = o->format};
	struct ps_load_reader r = {.file = file,
				   .name = name,
				   .options = o,
				   .err = err,
				   .trace = &t,
				   .sorted = true,
				   .begin_ns = NAN,
				   .end_ns = NAN};
	enum ps_status st = read_entries(&r);

	if (st == PS_OK)
		st = finish(&r);
	free(r.buffer);
	if (st == PS_OK)
		*ret_trace = t;
	else
		ps_load_trace_fini(&t);
	return st;
}

/* ---- files ---- */

/* A pipe would block here, and a folder reads as an error without a name. */
static enum ps_status open_regular(const char *path, FILE **ret_file, struct ps_error *err)
{
	struct stat s;
	int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);

	if (fd < 0 || fstat(fd, &s) != 0) {
		enum ps_status st = ps_error_errno(err, errno, "cannot open the trace");
		if (fd >= 0)
			close(fd);
		return st;
	}
	if (!S_ISREG(s.st_mode)) {
		close(fd);
		return ps_error_set(err, PS_EINVAL, "a trace is a regular file");
	}
	*ret_file = fdopen(fd, "r");
	if (*ret_file)
		return PS_OK;
	close(fd);
	return ps_error_set(err, PS_ENOMEM, "no memory to read a trace");
}

enum ps_status ps_load_trace_read(const char *path, const struct ps_load_trace_options *o,
				  struct ps_load_trace *ret_trace, struct ps_error *err)
{
	FILE *file = NULL;
	enum ps_status st = open_regular(path, &file, err);

	if (st != PS_OK) {
		ps_error_where(err, "%.190s", path);
		return st;
	}
	st = read_file(file, path, o, ret_trace, err);
	fclose(file);
	return st;
}

enum ps_status ps_load_trace_parse(const char *text, size_t len, const char *name,
				   const struct ps_load_trace_options *o,
				   struct ps_load_trace *ret_trace, struct ps_error *err)
{
	FILE *file = NULL;
	enum ps_status st;

	if (len == 0) {
		ps_error_set(err, PS_EPARSE, "the file is empty");
		ps_error_where(err, "%.190s", name);
		return PS_EPARSE;
	}
	file = fmemopen((void *)text, len, "r"); /* "r": not written to */
	if (!file)
		return ps_error_set(err, PS_ENOMEM, "no memory to read a trace");
	st = read_file(file, name, o, ret_trace, err);
	fclose(file);
	return st;
}

void ps_load_trace_fini(struct ps_load_trace *t)
{
	free(t->entries);
	*t = (struct ps_load_trace){0};
}

size_t ps_load_trace_before(const struct ps_load_trace *t, double before_ns)
{
	size_t lo = 0, hi = t->len;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (t->entries[mid].at_ns < before_ns)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

size_t ps_load_trace_most(const struct ps_load_trace *t, double window_ns)
{
	size_t most = 0, first = 0;

	for (size_t i = 0; i < t->len; i++) {
		while (t->entries[i].at_ns - t->entries[first].at_ns >= window_ns)
			first++;
		if (i - first + 1 > most)
			most = i - first + 1;
	}
	return most;
}

/* ---- all traces of a plan ---- */

static bool same(const struct ps_load_traces_item *i, const char *path,
		 const struct ps_load_trace_options *o)
{
	const struct ps_load_trace_options *p = &i->options;

	return strcmp(i->path, path) == 0 && p->format == o->format && p->unit_ns == o->unit_ns &&
	       p->from_ns == o->from_ns && p->length_ns == o->length_ns && p->seed == o->seed;
}

/* What the traces read so far leave of a plan's arrivals. */
static size_t rest_of_plan(const struct ps_load_traces *s)
{
	size_t rest = PS_LOAD_TRACE_MAX_ENTRIES;

	for (size_t i = 0; i < s->len; i++)
		rest -= s->items[i].trace->len;
	return rest;
}

static enum ps_status plan_is_full(const char *path, struct ps_error *err)
{
	ps_error_set(err, PS_ETOOBIG, "over %u arrivals in all traces", PS_LOAD_TRACE_MAX_ENTRIES);
	ps_error_where(err, "%.190s", path);
	return PS_ETOOBIG;
}

static void free_item(struct ps_load_traces_item *i)
{
	if (i->trace)
		ps_load_trace_fini(i->trace);
	free(i->trace);
	free(i->path);
}

static enum ps_status add_item(struct ps_load_traces *s, const char *path,
			       const struct ps_load_trace_options *o, struct ps_error *err)
{
	struct ps_load_traces_item *items;

	if (s->len == PS_LOAD_TRACE_MAX_FILES)
		return ps_error_set(err, PS_ETOOBIG, "over %d traces", PS_LOAD_TRACE_MAX_FILES);
	items = realloc(s->items, (s->len + 1) * sizeof(*items));
	if (!items)
		return ps_error_set(err, PS_ENOMEM, "no memory for a trace");
	s->items = items;
	struct ps_load_traces_item *i = &items[s->len];
	*i = (struct ps_load_traces_item){
		.path = strdup(path), .options = *o, .trace = calloc(1, sizeof(*i->trace))};
	if (!i->path || !i->trace) {
		free_item(i);
		return ps_error_set(err, PS_ENOMEM, "no memory for a trace");
	}
	s->len++;
	return PS_OK;
}

enum ps_status ps_load_traces_get(struct ps_load_traces *s, const char *path,
				  const struct ps_load_trace_options *o,
				  const struct ps_load_trace **ret_trace, struct ps_error *err)
{
	struct ps_load_trace_options rest = *o;
	enum ps_status st;

	rest.max_entries = rest_of_plan(s);
	for (size_t i = 0; i < s->len; i++) {
		if (same(&s->items[i], path, o)) {
			*ret_trace = s->items[i].trace;
			return PS_OK;
		}
	}
	if (rest.max_entries == 0)
		return plan_is_full(path, err);
	st = add_item(s, path, o, err);
	if (st != PS_OK)
		return st;
	st = ps_load_trace_read(path, &rest, s->items[s->len - 1].trace, err);
	if (st == PS_OK)
		*ret_trace = s->items[s->len - 1].trace;
	else
		free_item(&s->items[--s->len]);
	if (st == PS_ETOOBIG && s->len > 0)
		ps_error_hint(err, "all traces of a run together may have %u arrivals",
			      PS_LOAD_TRACE_MAX_ENTRIES);
	return st;
}

void ps_load_traces_fini(struct ps_load_traces *s)
{
	for (size_t i = 0; i < s->len; i++)
		free_item(&s->items[i]);
	free(s->items);
	*s = (struct ps_load_traces){0};
}
