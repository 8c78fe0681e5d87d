/* trace_internal.h - what the readers of traces share.   Layer 3. */
#ifndef PS_LOAD_TRACE_INTERNAL_H
#define PS_LOAD_TRACE_INTERNAL_H

#include "load/trace.h"

#include <stdio.h>

/* A file being read, line by line. */
struct ps_load_reader {
	FILE *file;
	const char *name;
	const struct ps_load_trace_options *options;
	struct ps_error *err;
	char *buffer;
	size_t begin, end; /* of what is in the buffer and not yet given out */
	bool at_end;	   /* the file has no more */
	size_t line_no;
	char *line; /* the present one, NUL-terminated, without its end */

	struct ps_load_trace *trace;
	size_t cap;
	size_t drawn; /* instants made from counts, kept or not */
	bool sorted;  /* entries came in order */
	bool cut;     /* the reader has applied the window itself */
	/* Formats whose arrivals stand in order, so that those outside the window are not kept. */
	bool in_order;
	size_t seen; /* of them, kept or not */
	double first_ns, last_ns;
	double begin_ns; /* of the trace, on the entries' scale; NAN: its first entry */
	double end_ns;	 /* of the trace; NAN: one mean gap after its last entry */
};

/* ps_load_reader_next gives the next line in r->line; *ret_more is false after the last one.
 * PS_EPARSE (NUL bytes), PS_ETOOBIG (long lines, many lines), PS_EIO. */
enum ps_status ps_load_reader_next(struct ps_load_reader *r, bool *ret_more);
/* ps_load_reader_fail is ps_error_set with the present line as the place. */
enum ps_status ps_load_reader_fail(struct ps_load_reader *r, enum ps_status status, const char *fmt,
				   ...) __attribute__((format(printf, 3, 4)));
/* ps_load_reader_most returns how many arrivals the trace may have. */
size_t ps_load_reader_most(const struct ps_load_reader *r);
/* ps_load_reader_add adds an arrival. PS_ETOOBIG, PS_ENOMEM. */
enum ps_status ps_load_reader_add(struct ps_load_reader *r, double at_ns, uint32_t function);

/* ps_load_fields_split cuts a line of comma-separated values in place; blanks around a value go.
 * Returns the number of values, which may be over `max`: then only `max` were stored. */
size_t ps_load_fields_split(char *line, char **ret_fields, size_t max);
/* ps_load_column_find says which of the comma-separated values of `head` is `name`, if any. */
bool ps_load_column_find(const char *head, const char *name, size_t *ret_column);
/* ps_load_number_parse reads a finite decimal number, the whole text. */
bool ps_load_number_parse(const char *text, long double *ret_value);
/* ps_load_count_parse reads a whole number of at most 18 digits. */
bool ps_load_count_parse(const char *text, uint64_t *ret_value);
/* ps_load_date_parse reads "2023-11-16 18:17:03.9799600", with 'T' for the blank, 0 to 9 digits
 * behind the point, and perhaps "Z" or "+00:00" behind it, as ns since 1970. */
bool ps_load_date_parse(const char *text, int64_t *ret_ns);

/* The formats. Each starts at r->line, the first line (of Azure's: the head), and reads all. */
enum ps_status ps_load_read_functions_2019(struct ps_load_reader *r);
enum ps_status ps_load_read_functions_2021(struct ps_load_reader *r);
enum ps_status ps_load_read_llm(struct ps_load_reader *r);
enum ps_status ps_load_read_gaps(struct ps_load_reader *r);
enum ps_status ps_load_read_timestamps(struct ps_load_reader *r);

#endif
