/* hist.h - a log-linear histogram of times.   Layer 1, pure. Owned by one thread at a time.
 *
 * Values are int64_t nanoseconds. Every power of two is cut into 512 equal buckets, and a bucket
 * answers with its middle: at most 0.1 % relative error from 1 us to 1000 s (exact to 1 ns below
 * 1 us). Smallest, largest, sum and count are exact. Values below 0 count as 0 and as `underflow`;
 * values over 1000 s are kept above every bucket and count as `overflow`. Requests that never got
 * an answer are `lost`: they are above every value, so that a percentile over all scheduled
 * requests cannot look better because some failed.
 *
 * 128 KiB of counts; pages that were never used cost nothing.
 */
#ifndef PS_STATS_HIST_H
#define PS_STATS_HIST_H

#include "base/error.h"
#include "base/strbuf.h"

#include <stddef.h>
#include <stdint.h>

#define PS_HIST_MAX_NS	    INT64_C(1000000000000) /* 1000 s */
#define PS_HIST_INFINITE    INT64_MAX		   /* a quantile that falls on lost requests */
#define PS_HIST_SUB_BUCKETS 512 /* per power of two; below 512 ns one per nanosecond */
#define PS_HIST_BUCKETS	    32	/* powers of two, that first part being one of them */

struct ps_hist {
	uint64_t *counts;
	uint64_t count;		/* values recorded, incl. underflow and overflow */
	uint64_t underflow;	/* of them: below 0 */
	uint64_t overflow;	/* of them: above PS_HIST_MAX_NS */
	uint64_t lost;		/* requests without a value, above everything; not in `count` */
	int64_t min_ns, max_ns; /* exact; 0 when empty */
	__int128 sum_ns;	/* exact */
};

/* ps_hist_init makes an empty histogram. PS_ENOMEM. */
enum ps_status ps_hist_init(struct ps_hist *h);
/* ps_hist_fini frees the counts; a zeroed struct may be passed. */
void ps_hist_fini(struct ps_hist *h);
/* ps_hist_reset empties it and keeps the memory. */
void ps_hist_reset(struct ps_hist *h);
/* ps_hist_record adds one value. O(1), never fails, never allocates. */
void ps_hist_record(struct ps_hist *h, int64_t value_ns);
/* ps_hist_record_n adds `n` equal values. */
void ps_hist_record_n(struct ps_hist *h, int64_t value_ns, uint64_t n);
/* ps_hist_record_lost adds `n` requests that failed, timed out or were never sent. */
void ps_hist_record_lost(struct ps_hist *h, uint64_t n);
/* ps_hist_merge adds all of `from` to `to`, as if every value had been recorded there. */
void ps_hist_merge(struct ps_hist *to, const struct ps_hist *from);

/* ps_hist_count returns the number of values; ps_hist_total adds the lost ones. */
uint64_t ps_hist_count(const struct ps_hist *h);
uint64_t ps_hist_total(const struct ps_hist *h);
/* ps_hist_mean_ns returns the exact mean of the values, 0 when there are none. */
double ps_hist_mean_ns(const struct ps_hist *h);
/* ps_hist_deviation_ns returns the standard deviation of the values (over n, not n - 1), to the
 * precision of the buckets; 0 when there are none. O(buckets). */
double ps_hist_deviation_ns(const struct ps_hist *h);
/* ps_hist_rank_ns returns the `rank`-th smallest of all (from 1 to ps_hist_total), to the
 * precision of a bucket and never outside [min, max]; PS_HIST_INFINITE when it falls on a lost
 * request; 0 when the histogram is empty. O(buckets). */
int64_t ps_hist_rank_ns(const struct ps_hist *h, uint64_t rank);
/* ps_hist_quantile_ns is ps_hist_rank_ns at ps_stats_rank(p, total): nearest rank. 0 <= p <= 1. */
int64_t ps_hist_quantile_ns(const struct ps_hist *h, double p);
/* ps_hist_count_over returns how many are above `limit_ns`, lost ones included. Exact when no
 * value shares the limit's bucket, else to the precision of that bucket. */
uint64_t ps_hist_count_over(const struct ps_hist *h, int64_t limit_ns);

/* ps_hist_write appends a portable form (a few bytes per bucket in use, with a checksum). Check
 * ps_strbuf_status afterwards. */
void ps_hist_write(const struct ps_hist *h, struct ps_strbuf *out);
/* ps_hist_read replaces the contents of an initialised histogram by what ps_hist_write wrote.
 * PS_ECORRUPT when any bit differs or the parts contradict each other; `h` is then empty. */
enum ps_status ps_hist_read(struct ps_hist *h, const void *bytes, size_t len, struct ps_error *err);

#endif
