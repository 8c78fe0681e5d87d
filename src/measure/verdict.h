/* verdict.h - what trials of a machine say about its tenants' agreements.   Layer 5, pure.
 *
 * Trials are looks of one sequential test: load/judge.h spends 1/2^k of the error in the k-th, so
 * that a tenant's verdict is that of the first look that has one, and all looks together err no
 * more often than one alone would. A trial that is INVALID for what the instrument or the machine
 * did is no look and gives no verdict, neither way; a backlog that rises is the server's doing, and
 * does not excuse it.
 */
#ifndef PS_MEASURE_VERDICT_H
#define PS_MEASURE_VERDICT_H

#include "stats/stats.h"
#include "store/store.h"

enum ps_measure_verdict {
	PS_MEASURE_MET,
	PS_MEASURE_VIOLATED,
	PS_MEASURE_UNDECIDED, /* more requests are needed */
	PS_MEASURE_INVALID,   /* no trial is VALID */
	PS_MEASURE_SILENT,    /* it sends nothing in what was measured */
};
/* ps_measure_verdict_name returns "met", "violated", "undecided", "INVALID" or "silent". */
const char *ps_measure_verdict_name(enum ps_measure_verdict v);

/* What was seen of one tenant: of the trial that decided; else of the last one that is VALID, else
 * of the last. */
struct ps_measure_judged {
	enum ps_measure_verdict verdict;
	int trial;		 /* its place; -1: none */
	uint64_t requests, over; /* over: later than the limit, or without a good answer */
	uint64_t needs_more;	 /* UNDECIDED: requests, if shares stay; 0: not known */
	double success;		 /* share of requests with an answer */
	double goodput_rps;
	double service_s; /* the mean that the server says of a run; 0: not said */
	struct ps_stats_time_quantile latency; /* at the SLA's percentile, over all requests */
	const char *reasons;		       /* INVALID: why, a line each; borrowed */
};

/* ps_measure_is_usable says whether nothing but a rising backlog speaks against a trial. */
bool ps_measure_is_usable(const struct ps_store_trial *t);
/* ps_measure_decided says whether every tenant in the trials has a verdict of MET or VIOLATED. */
bool ps_measure_decided(const struct ps_store_trial *trials, size_t n);
/* ps_measure_judge judges a tenant (index into the campaign's) by all trials in their order.
 * PS_ECORRUPT when a histogram is broken, PS_ENOMEM. */
enum ps_status ps_measure_judge(const struct ps_store_trial *trials, size_t n, int tenant,
				const struct ps_sla *sla, struct ps_measure_judged *ret_judged,
				struct ps_error *err);

#endif
