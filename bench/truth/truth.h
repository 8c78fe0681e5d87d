/* truth.h - the instrument against theory: what the parts of perseus-truth share.
 *
 * Everything runs in virtual time from fixed seeds: run k of a condition has its own random stream,
 * so the numbers depend neither on the machine nor on the number of threads. Each part prints one
 * JSON object per row on stdout (what bench/ shows) and talks on stderr.
 *
 * A row is met when it saw the stated share; undecided when it did not, but chance could explain
 * that; missed when the binomial probability of so few is under 1e-4. A short run fails when a row
 * is missed, a full one (TRUTH_FULL_RUNS asked for) when a row is not met.
 */
#ifndef PS_TRUTH_TRUTH_H
#define PS_TRUTH_TRUTH_H

#include "base/rng.h"
#include "base/sla.h"

#include <stddef.h>
#include <stdint.h>

#define TRUTH_SERVICE_NS 10e6 /* mean service time of every queue */
#define TRUTH_FULL_RUNS	 4000

enum truth_law { TRUTH_FIXED, TRUTH_EXPONENTIAL };

struct truth_options {
	int runs;	  /* of each condition */
	int threads;	  /* that share them */
	const char *only; /* conditions whose name contains this; NULL: all */
};

/* ---- queues with one server and Poisson arrivals (queue.c) ---- */

struct truth_queue {
	enum truth_law law;
	double utilisation;
};

/* truth_name returns "M/D/1 at 0.8". */
#define TRUTH_NAME_SIZE 32
const char *truth_name(const struct truth_queue *q, char buf[TRUTH_NAME_SIZE]);
/* truth_quantile_ns is the p-quantile of the latency: M/M/1 by its exponential law, M/D/1 by
 * Erlang's distribution of the wait. */
double truth_quantile_ns(const struct truth_queue *q, double p);
/* truth_utilisation is the utilisation at which the p-quantile is `limit_ns`: the capacity. */
double truth_utilisation(enum truth_law law, double p, double limit_ns);

/* One server, first come first served, under way since long: what comes next. */
struct truth_server {
	struct truth_queue queue;
	struct ps_rng *rng;
	double now_ns, free_ns;
};

/* truth_server_init lets it run from empty until it has forgotten that. */
void truth_server_init(struct truth_server *s, const struct truth_queue *q, struct ps_rng *rng);
/* truth_server_next gives the next arrival's instant and latency. */
void truth_server_next(struct truth_server *s, int64_t *ret_at_ns, int64_t *ret_latency_ns);

/* ---- runs over threads, verdicts, rows (main.c) ---- */

/* truth_each calls one(ctx, k, out + k * size) for k in 0 .. runs - 1, on several threads. */
typedef void truth_one_fn(const void *ctx, int k, void *out);
void truth_each(const struct truth_options *o, truth_one_fn *one, const void *ctx, void *out,
		size_t size);

enum truth_verdict { TRUTH_MET, TRUTH_UNDECIDED, TRUTH_MISSED };

/* truth_at_least says whether k of n is a share of at least `share`; undecided when n is 0.
 * truth_at_most likewise. */
enum truth_verdict truth_at_least(int k, int n, double share);
enum truth_verdict truth_at_most(int k, int n, double share);
/* truth_when is met or missed; truth_both the worse of two. */
enum truth_verdict truth_when(bool ok);
enum truth_verdict truth_both(enum truth_verdict a, enum truth_verdict b);

/* truth_row prints a row; returns whether a run of this length passes with it. */
bool truth_row(const struct truth_options *o, const char *figure, const char *ours,
	       const char *bound, const char *goal, enum truth_verdict verdict, const char *note);

/* ---- the parts; true: everything held ---- */

bool truth_queues(const struct truth_options *o);
bool truth_coverage(const struct truth_options *o);
bool truth_tails(const struct truth_options *o); /* the p99.9 of longer runs */
bool truth_capacity(const struct truth_options *o);
bool truth_saving(const struct truth_options *o);

#endif
