/* agree_internal.h - shared by the parts of a comparison of two campaigns.   Layer 5. */
#ifndef PS_REPORT_AGREE_INTERNAL_H
#define PS_REPORT_AGREE_INTERNAL_H

#include "base/sla.h"
#include "report/agree.h"

struct ps_report_agree_work {
	const struct ps_store_campaign *a, *b;
	struct ps_report_agreement *g;
	struct ps_hist scratch;
	double *x, *y; /* one value per block */
	size_t cap;    /* of rows */
};

/* ps_report_agree_add adds `row` (its interval, and what stands behind it) under a name; one
 * without an interval between 0 and infinity is only counted. PS_ENOMEM. */
enum ps_status ps_report_agree_add(struct ps_report_agree_work *w, struct ps_report_agree_row row,
				   const char *what, struct ps_error *err);
/* ps_report_agree_judge says of every row whether its difference is real, and of all of them
 * whether the campaigns agree. */
void ps_report_agree_judge(struct ps_report_agreement *g);
/* ps_report_agree_quotient returns the quotient of two independent figures, by their intervals on
 * the logarithm (MOVER). */
struct ps_stats_interval ps_report_agree_quotient(const struct ps_stats_interval *x,
						  const struct ps_stats_interval *y);
bool ps_report_same_sla(const struct ps_sla *x, const struct ps_sla *y);

#endif
