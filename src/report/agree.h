/* agree.h - whether two campaigns that measured the same agree.   Layer 5. Uses base, stats, store.
 *
 * Cells that both have done, with the same key and (where both know it) the same digest of what
 * they depend on, are compared, each kind by its own figure and at its own stated confidence:
 *
 *	capacities	(search, frontier, pack) the ratio of the two factors, with the interval
 *			that follows from theirs on the logarithms (MOVER); not when an end is open,
 *			nor when the rays differ: a factor is in units of its ray, and that of a set
 *			comes from what the campaign found of its members alone
 *	p50		(confirm, rates) the ratio per block, which had the same arrivals in both:
 *			Student's t on its logarithm, from four common blocks on. Not at the
 *			capacities, which each campaign finds for itself
 *	ready time	(cold) the same
 *
 * A comparison disagrees when its interval does not hold 1. Of n honest comparisons at 95 % about
 * n / 20 disagree; the campaigns agree when no more do than chance lets in 99 of 100 cases (the
 * binomial limit). Comparisons are taken as independent: one figure per tenant and set.
 */
#ifndef PS_REPORT_AGREE_H
#define PS_REPORT_AGREE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "stats/stats.h"
#include "store/store.h"

#define PS_REPORT_AGREE_CONFIDENCE 0.95
#define PS_REPORT_AGREE_CHANCE	   0.01 /* that honest campaigns exceed the limit */

struct ps_report_agree_row {
	const char *what;	    /* "capacity of search/shop", "p50 of shop in together" */
	struct ps_stats_interval v; /* first / second */
	bool agrees;
};

struct ps_report_agreement {
	struct ps_report_agree_row *rows;
	size_t row_len;
	int disagreeing, limit;
	int cells;   /* that both have done and that depend on the same */
	int differ;  /* that both have done, by another digest: not compared */
	int too_few; /* figures with under four common blocks, an open end or rays that differ */
	bool agrees; /* disagreeing <= limit, and more than that was compared */
	struct ps_arena arena;
};

/* ps_report_agree compares; the caller calls ps_report_agree_free. PS_ECORRUPT, PS_ENOMEM. */
enum ps_status ps_report_agree(const struct ps_store_campaign *a, const struct ps_store_campaign *b,
			       struct ps_report_agreement *ret_agreement, struct ps_error *err);
void ps_report_agree_free(struct ps_report_agreement *g);
/* ps_report_agree_limit returns the most of n comparisons, each of which disagrees by chance with
 * probability p, that chance lets disagree but for PS_REPORT_AGREE_CHANCE of the cases. */
int ps_report_agree_limit(int n, double p);
/* ps_report_agree_text and _json show it. JSON NULL: no memory. */
void ps_report_agree_text(const struct ps_report_agreement *g, int width, struct ps_strbuf *out);
json_t *ps_report_agree_json(const struct ps_report_agreement *g);

#endif
