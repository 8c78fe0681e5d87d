/* loads.h - whole machines at every load.   Layer 5. Uses cost, and an answer.
 *
 * Every tenant of a set is asked for the same share u of what it can do alone:
 *	apart, together		whole machines for these rates; machine saving is 1 - together /
 *apart most			how many such tenants, equally many of each kind, fill one machine:
 *				floor(S / u), S the sum of shares at the capacity together. It takes
 *				several tenants of a kind for one with the sum of their rates
 *	most_saving		1 - 1 / most, against a machine for each of them
 *
 * Nothing is measured again: capacities alone and together are those of the campaign.
 */
#ifndef PS_REPORT_LOADS_H
#define PS_REPORT_LOADS_H

#include "report/report.h"

#define PS_REPORT_MAX_LOADS 100

struct ps_report_loads_question {
	const double *shares; /* in (0, 1]; NULL: 5 %, then 10 % to 60 % by 10 % */
	size_t len;	      /* at most PS_REPORT_MAX_LOADS */
	int set;	      /* of the campaign; -1: all of several tenants */
	/* Another campaign with sets of the same names and tenants, asked for the same rates; its
	 * columns stand beside. NULL: none. */
	const struct ps_report_answer *against;
};

/* ps_report_loads_build fills a table in the answer's arena; sets without their capacities have no
 * rows. PS_EINVAL for a share that is none; PS_ENOMEM. */
enum ps_status ps_report_loads_build(struct ps_report_answer *a,
				     const struct ps_report_loads_question *q,
				     struct ps_report_table *ret_table, struct ps_error *err);

#endif
