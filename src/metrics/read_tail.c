/* read_tail.c - what stands behind the value of a sample: a timestamp, an exemplar. */
#include "metrics/read_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* A number up to the next blank; 0x and names of other numbers than infinity and NaN are none. */
static bool skip_number(struct ps_metrics_reader *r)
{
	char text[64], *end;
	const char *from = r->at;
	while (r->at < r->end && *r->at != ' ' && *r->at != '\t')
		r->at++;
	size_t n = (size_t)(r->at - from);
	if (n == 0 || n >= sizeof text)
		return false;
	memcpy(text, from, n);
	text[n] = '\0';
	(void)strtod(text, &end);
	ps_metrics_read_blanks(r);
	return *end == '\0' && !memchr(text, 'x', n) && !memchr(text, 'X', n);
}

/* " # {trace_id="1"} 0.5 1700000000.1": one observation behind a count. It is read and dropped. */
static enum ps_status skip_exemplar(struct ps_metrics_reader *r)
{
	const struct ps_metrics_label *labels = NULL;
	size_t n = 0;
	r->at++;
	ps_metrics_read_blanks(r);
	if (r->at >= r->end || *r->at != '{')
		return ps_metrics_read_wrong(r, "an exemplar without labels");
	enum ps_status status = ps_metrics_read_labels(r, &labels, &n);
	ps_metrics_read_blanks(r);
	if (status == PS_OK && !skip_number(r))
		status = ps_metrics_read_wrong(r, "an exemplar without a value");
	if (status == PS_OK && r->at < r->end && !skip_number(r))
		status = ps_metrics_read_wrong(r, "an exemplar's timestamp that is no number");
	return status;
}

enum ps_status ps_metrics_read_tail(struct ps_metrics_reader *r)
{
	enum ps_status status = PS_OK;
	if (r->at < r->end && *r->at != '#' && !skip_number(r))
		return ps_metrics_read_wrong(r, "something behind the value");
	if (r->at < r->end && *r->at == '#')
		status = skip_exemplar(r);
	if (status == PS_OK && r->at < r->end)
		status = ps_metrics_read_wrong(r, "something behind the value");
	return status;
}
