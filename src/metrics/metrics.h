/* metrics.h - metrics as Prometheus reads them: histograms, the text form written and read.
 * Layer 1. Uses base. Pure; not thread-safe.
 *
 * Values live where they are counted; a family says once what a name means, and a writer puts
 * families and samples into text (version 0.0.4): all lines of one name together, HELP and TYPE
 * first, label values escaped. The reader takes the same text apart again, for tests and for
 * programs that watch a server.
 */
#ifndef PS_METRICS_METRICS_H
#define PS_METRICS_METRICS_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stddef.h>
#include <stdint.h>

#define PS_METRICS_CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

enum ps_metrics_type {
	PS_METRICS_COUNTER,
	PS_METRICS_GAUGE,
	PS_METRICS_HISTOGRAM,
	PS_METRICS_UNTYPED, /* readers only; summaries are read as this */
};

/* What a name means: one row of a table. */
struct ps_metrics_family {
	const char *name; /* letters, digits, '_' and ':', no digit first */
	enum ps_metrics_type type;
	const char *help;
};

struct ps_metrics_label {
	const char *name, *value;
};

/* --- histograms of times --- */

/* The buckets reach from 100 us to 60 s in steps of 1, 2.5 and 5: a bound near most limits that an
 * agreement names, and few enough for one series per tenant and model. */
enum { PS_METRICS_BOUNDS = 18 };
extern const int64_t ps_metrics_bounds_ns[PS_METRICS_BOUNDS];

struct ps_metrics_hist {
	uint64_t counts[PS_METRICS_BOUNDS + 1]; /* not cumulative; the last one is +Inf */
	uint64_t count;
	int64_t sum_ns;
};

/* ps_metrics_hist_record adds a value; negative ones count as 0. O(log bounds). */
void ps_metrics_hist_record(struct ps_metrics_hist *h, int64_t value_ns);
/* ps_metrics_hist_merge adds all of `from` to `to`. */
void ps_metrics_hist_merge(struct ps_metrics_hist *to, const struct ps_metrics_hist *from);

/* --- writing --- */

struct ps_metrics_writer {
	struct ps_strbuf *out; /* failures show in its status */
	const struct ps_metrics_family *family;
};

/* ps_metrics_begin starts a family: HELP and TYPE. */
void ps_metrics_begin(struct ps_metrics_writer *w, const struct ps_metrics_family *family);
/* ps_metrics_int, _real and _hist add a sample of the family that was begun. Real values may be
 * infinite or NaN. A histogram is written in seconds. */
void ps_metrics_int(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		    int64_t value);
void ps_metrics_real(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		     double value);
void ps_metrics_hist(struct ps_metrics_writer *w, const struct ps_metrics_label *labels, size_t n,
		     const struct ps_metrics_hist *h);

/* ps_metrics_check_families looks for mistakes in a table (ended by a NULL name): names that are
 * none or stand there twice, counters that do not end in "_total" (names of the "nv_" family are
 * what others made them), missing help. PS_EINTERNAL. For tests of tables. */
enum ps_status ps_metrics_check_families(const struct ps_metrics_family *families,
					 struct ps_error *err);

/* --- reading --- */

struct ps_metrics_sample {
	const char *name; /* as written: with _bucket, _sum, _count */
	enum ps_metrics_type type;
	const struct ps_metrics_label *labels;
	size_t n_labels;
	double value;
};

struct ps_metrics_page;

enum {
	PS_METRICS_MAX_BYTES = 64 << 20, /* of a page that is read */
	PS_METRICS_MAX_LABELS = 64,	 /* of a sample */
	PS_METRICS_MAX_NAMES = 20000,	 /* of a page */
	PS_METRICS_MAX_SAMPLES = 500000,
};

/* ps_metrics_read takes a page apart and holds it to the rules of the format: one HELP and TYPE per
 * name, before its samples, which stand together; no sample twice; of histograms an +Inf bucket
 * equal to the count and buckets that rise. PS_EPARSE with the line in `where`; PS_ETOOBIG,
 * PS_ENOMEM. O(n log n). */
enum ps_status ps_metrics_read(const char *text, size_t len, struct ps_metrics_page **ret_page,
			       struct ps_error *err);

/* Lines that could not be read. */
struct ps_metrics_loss {
	size_t lines;
	char first[160]; /* where and what, of the first one */
};

/* ps_metrics_read_any reads the page of a server of any make (Prometheus text or OpenMetrics:
 * exemplars, timestamps, counters named without "_total", no end of the last line, CRLF): what can
 * be read is kept in the order of the text, a line that cannot is dropped and counted, and none of
 * the rules over several lines is asked for, as others break them without harm. The first of two
 * equal samples is the one that ps_metrics_page_find gives. PS_EPARSE when no line is a sample;
 * PS_ETOOBIG, PS_ENOMEM. O(n). */
enum ps_status ps_metrics_read_any(const char *text, size_t len, struct ps_metrics_page **ret_page,
				   struct ps_metrics_loss *ret_loss, struct ps_error *err);
void ps_metrics_page_free(struct ps_metrics_page *p);
/* ps_metrics_page_samples borrows the samples, in the order of the text. */
const struct ps_metrics_sample *ps_metrics_page_samples(const struct ps_metrics_page *p,
							size_t *ret_n);
/* ps_metrics_page_find returns the sample of that name that has all these labels (and maybe more),
 * the first one, or NULL. O(n). */
const struct ps_metrics_sample *ps_metrics_page_find(const struct ps_metrics_page *p,
						     const char *name,
						     const struct ps_metrics_label *labels,
						     size_t n);
/* ps_metrics_sample_label borrows the value of a label, or NULL. */
const char *ps_metrics_sample_label(const struct ps_metrics_sample *s, const char *name);

#endif
