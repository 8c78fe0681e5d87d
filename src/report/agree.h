/* agree.h - whether two campaigns that measured the same agree.   Layer 5. Uses base, stats, store,
 * and the answers of report.h.
 *
 * Cells that both have done, with the same key and (where both know it) the same digest of what
 * they depend on, are compared, each kind by its own figure and at its own stated confidence:
 *
 *	capacities	(search, frontier, pack) the ratio of the two factors, with the interval
 *			that follows from theirs on the logarithms (MOVER); not when an end is open,
 *			nor when the rays point elsewhere (that of a set comes from what the
 *			campaign found of its members alone)
 *	p50		(confirm, rates) the ratio per block, which had the same arrivals in both:
 *			Student's t on its logarithm, from four common blocks on. Not at the
 *			capacities, which each campaign finds for itself
 *	percentile	(confirm, rates) that of the tenant's agreement, likewise
 *	ready time	(cold) likewise
 *
 * A comparison disagrees when its interval does not hold 1. Of n honest comparisons at 95 % about
 * n / 20 disagree; the campaigns agree when no more do than chance lets in 99 of 100 cases (the
 * binomial limit). What counts there is independent: capacities, medians and ready times, one
 * per tenant and set, of cells that depend on the same.
 *
 * Cells of one key whose digests differ (another machine, order, engine, model file) are compared,
 * too, where the same tenants are asked for the same (agreements of a capacity, demand of a trial):
 * not whether they agree, but which differences are real. So are, of two answers, savings at full
 * load (the share of machine time together against apart) and, at two prices, costs.
 *
 * Which single differences are real: those whose interval leaves 1 out also when the intervals of
 * all rows are widened so that all hold at once (Bonferroni, on the logarithm, by the quantiles of
 * the law each was made with). Then a false one occurs in 5 of 100 pairs of honest campaigns at
 * most, however many rows there are and however they hang together.
 */
#ifndef PS_REPORT_AGREE_H
#define PS_REPORT_AGREE_H

#include "base/arena.h"
#include "base/json.h"
#include "base/strbuf.h"
#include "report/report.h"
#include "stats/stats.h"
#include "store/store.h"

#define PS_REPORT_AGREE_CONFIDENCE 0.95
#define PS_REPORT_AGREE_CHANCE	   0.01 /* that honest campaigns exceed the limit */

enum ps_report_difference {
	PS_REPORT_NOT_SHOWN, /* the interval holds 1 */
	PS_REPORT_PERHAPS,   /* it does not, as one in twenty by chance */
	PS_REPORT_REAL,	     /* nor does the wide one */
};

struct ps_report_agree_row {
	const char *what;	    /* "capacity of search/shop", "p50 of shop in together" */
	struct ps_stats_interval v; /* first / second */
	bool agrees;
	bool counted;  /* in the agreement: independent, and of cells that depend on the same */
	bool changed;  /* of cells that do not */
	size_t blocks; /* behind a Student's t interval; 0: it is a normal one */
	enum ps_report_difference difference;
};

struct ps_report_agreement {
	struct ps_report_agree_row *rows;
	size_t row_len;
	int compared;		/* rows that count */
	int disagreeing, limit; /* of those */
	int changed;		/* rows of cells that do not depend on the same */
	int real;		/* rows whose difference is */
	int cells;		/* that both have done and that depend on the same */
	int differ;		/* that both have done, by another digest */
	int too_few; /* figures with under four common blocks, an open end or rays that differ */
	bool agrees; /* disagreeing <= limit, and more than that were compared */
	struct ps_arena arena;
};

/* ps_report_agree compares; the caller calls ps_report_agree_free. PS_ECORRUPT, PS_ENOMEM. */
enum ps_status ps_report_agree(const struct ps_store_campaign *a, const struct ps_store_campaign *b,
			       struct ps_report_agreement *ret_agreement, struct ps_error *err);
/* ps_report_agree_answers adds the rows of the two campaigns' answers and judges all anew.
 * PS_ENOMEM. */
enum ps_status ps_report_agree_answers(struct ps_report_agreement *g,
				       const struct ps_report_answer *x,
				       const struct ps_report_answer *y, struct ps_error *err);
void ps_report_agree_free(struct ps_report_agreement *g);
/* ps_report_agree_limit returns the most of n comparisons, each of which disagrees by chance with
 * probability p, that chance lets disagree but for PS_REPORT_AGREE_CHANCE of the cases. */
int ps_report_agree_limit(int n, double p);
/* ps_report_difference_name returns "not shown", "perhaps" or "real". */
const char *ps_report_difference_name(enum ps_report_difference d);
/* ps_report_agree_sentence appends the answer in one paragraph. */
void ps_report_agree_sentence(const struct ps_report_agreement *g, struct ps_strbuf *out);
/* ps_report_agree_json makes an object of it (NULL: no memory), _csv a table of its rows. */
json_t *ps_report_agree_json(const struct ps_report_agreement *g);
void ps_report_agree_csv(const struct ps_report_agreement *g, struct ps_strbuf *out);

#endif
