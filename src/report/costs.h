/* costs.h - what was measured, at other prices and rates.   Layer 5. Uses cost, and an answer.
 *
 * Three tables, computed from an answer and from nothing else:
 *	costs		$ per million inferences at the SLA, by tenant, by model and of every set,
 *			on every machine asked
 *	savings		machines apart and together for the rates asked, machine and fluid saving
 *	months		the same in dollars, as whole machines and as parts of machines
 */
#ifndef PS_REPORT_COSTS_H
#define PS_REPORT_COSTS_H

#include "cost/bill.h"
#include "report/report.h"

/* A stored price as a row of a sheet, with its exchange rate; borrows its texts. */
struct ps_report_price_row {
	struct ps_cost_price price;
	struct ps_cost_exchange exchange;
};

/* ps_report_price_row_of fills one; it may not be moved, as the price points to its exchange rate.
 * Returns whether the store kept the terms: how it is billed and how else it may be bought. */
bool ps_report_price_row_of(const struct ps_store_price *p, struct ps_report_price_row *ret_row);

/* A machine that the campaign's slice is taken for. */
struct ps_report_machine {
	const char *name;
	double usd_per_hour;
};

struct ps_report_costs_question {
	const struct ps_report_machine *machines;
	size_t machine_len;
	const double *rate_rps; /* by tenant of the campaign; NULL: the demand rates */
};

enum ps_report_costs_table {
	PS_REPORT_COSTS_COSTS,
	PS_REPORT_COSTS_SAVINGS,
	PS_REPORT_COSTS_MONTHS,
	PS_REPORT_COSTS_TABLES
};

struct ps_report_costs {
	struct ps_report_table tables[PS_REPORT_COSTS_TABLES]; /* in the answer's arena */
};

/* ps_report_costs_build fills the tables. PS_EINVAL for a rate that is negative or not finite, or
 * when all are 0; PS_ENOMEM. */
enum ps_status ps_report_costs_build(struct ps_report_answer *a,
				     const struct ps_report_costs_question *q,
				     struct ps_report_costs *ret_costs, struct ps_error *err);

/* Of what trials a bill is made. */
struct ps_report_use {
	int64_t measured_ns; /* how long they were; those that the server counted with warm-up */
	bool has_memory;     /* the store says what models held */
	int counted, stated; /* how many have compute times of the server's counters, and how many
			      * of its answers: wide runs then count as one CPU, and each request
			      * of a batch with the whole batch */
};

/* ps_report_bill_use fills one row per member of a set with what was measured of it in the trials
 * at the demand rates that count: compute time (from the server's counters, else from the times it
 * states with its answers) and the memory of its model over that time (split where tenants share
 * one). A trial is counted when the counters were read before and after it and have any member of
 * the set; one that has none then computed nothing. PS_ENOTFOUND when the set has no such trial or
 * none that states compute times; PS_ECORRUPT for times and sizes that cannot be. */
enum ps_status ps_report_bill_use(struct ps_report_answer *a, int set,
				  struct ps_cost_bill_row *ret_rows, struct ps_report_use *ret_use,
				  struct ps_error *err);

#endif
