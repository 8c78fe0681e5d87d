/* trace.h - recorded arrivals, read before the run.   Layer 3. No clock; blocks on files only.
 *
 * docs/traces.md says what each format is and how its numbers become instants. In short:
 *
 *   Azure Functions 2019   calls per function and minute: so many independent uniform instants in
 *                          that minute, from the seed, the function and the minute alone
 *   Azure Functions 2021   one call per row: end_timestamp - duration
 *   Azure LLM              one request per row: TIMESTAMP; the tokens are not used
 *   gaps                   one gap to the arrival before per line, in microseconds
 *   timestamps             one instant per line, in seconds or as YYYY-MM-DD HH:MM:SS
 *
 * Everything comes from outside: sizes are bounded, and each refusal names file and line.
 */
#ifndef PS_LOAD_TRACE_H
#define PS_LOAD_TRACE_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

#define PS_LOAD_TRACE_MAX_ENTRIES (1u << 25) /* of all traces of a plan: 512 MiB */
#define PS_LOAD_TRACE_MAX_LINES	  (1u << 26) /* of one file */
#define PS_LOAD_TRACE_MAX_LINE	  (1u << 16) /* bytes */
#define PS_LOAD_TRACE_MAX_FILES	  64	     /* of a plan */
#define PS_LOAD_TRACE_MAX_NS	  0x1p58     /* of one trace: nine years */

enum ps_load_trace_format {
	PS_LOAD_TRACE_AUTO, /* by the first line: one of the Azure formats */
	PS_LOAD_TRACE_FUNCTIONS_2019,
	PS_LOAD_TRACE_FUNCTIONS_2021,
	PS_LOAD_TRACE_LLM,
	PS_LOAD_TRACE_GAPS,
	PS_LOAD_TRACE_TIMESTAMPS,
	PS_LOAD_TRACE_FORMATS,
};

/* ps_load_trace_format_name returns "auto", "azure-functions-2019", ... */
const char *ps_load_trace_format_name(enum ps_load_trace_format f);

struct ps_load_trace_options {
	enum ps_load_trace_format format;
	double unit_ns; /* of numbers in GAPS and TIMESTAMPS; 0: 1 us and 1 s */
	/* The window: arrivals in [from, from + length) after the trace's begin, which becomes the
	 * instant 0. Length 0: to the end. */
	int64_t from_ns, length_ns;
	uint64_t seed; /* of the instants within a minute */
	/* 0, or fewer than PS_LOAD_TRACE_MAX_ENTRIES. Of gaps, timestamps and counts only what lies
	 * in the window counts, of the others all. */
	size_t max_entries;
};

struct ps_load_trace_entry {
	double at_ns;	   /* after the window's begin */
	uint32_t function; /* a hash of its name; 0 where there are none */
	uint32_t order;	   /* in the file: equal instants stay in this order */
};

/* A trace, read-only once read: any number of threads. */
struct ps_load_trace {
	struct ps_load_trace_entry *entries; /* by instant; at least one */
	size_t len;
	double length_ns; /* of the window: when a loop begins again. Not below the last instant */
	enum ps_load_trace_format format;
	bool has_functions;
};

/* ps_load_trace_read reads a regular file. PS_ENOTFOUND, PS_EFORBIDDEN, PS_EIO, PS_EINVAL (no
 * regular file), PS_EPARSE, PS_ETOOBIG (see the limits), PS_ENOMEM; `where` is "path:line" or the
 * path. On PS_OK the caller calls ps_load_trace_fini. */
enum ps_status ps_load_trace_read(const char *path, const struct ps_load_trace_options *o,
				  struct ps_load_trace *ret_trace, struct ps_error *err);
/* ps_load_trace_parse reads text instead; `name` is used in errors. */
enum ps_status ps_load_trace_parse(const char *text, size_t len, const char *name,
				   const struct ps_load_trace_options *o,
				   struct ps_load_trace *ret_trace, struct ps_error *err);
/* ps_load_trace_fini frees it. */
void ps_load_trace_fini(struct ps_load_trace *t);

/* ps_load_trace_before returns the number of entries before an instant. O(log n). */
size_t ps_load_trace_before(const struct ps_load_trace *t, double before_ns);
/* ps_load_trace_most returns the most entries in any stretch of `window_ns` > 0. O(n). */
size_t ps_load_trace_most(const struct ps_load_trace *t, double window_ns);

/* The traces of a plan: a file that several tenants share is read once. Zeroed it is empty. */
struct ps_load_traces {
	struct ps_load_traces_item {
		char *path;
		struct ps_load_trace_options options;
		struct ps_load_trace *trace;
	} * items;
	size_t len;
};

/* ps_load_traces_get reads the file, unless it was read with the same options; the trace stays
 * until ps_load_traces_fini. As ps_load_trace_read, and PS_ETOOBIG over the limits of a plan. */
enum ps_status ps_load_traces_get(struct ps_load_traces *s, const char *path,
				  const struct ps_load_trace_options *o,
				  const struct ps_load_trace **ret_trace, struct ps_error *err);
/* ps_load_traces_fini frees all. */
void ps_load_traces_fini(struct ps_load_traces *s);

#endif
