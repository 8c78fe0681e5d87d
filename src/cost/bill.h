/* bill.h - one machine's cost, split over those who used it.   Layer 3, pure.
 *
 * What a shared machine cost in a period is cut in two by a weight that the operator chooses: one
 * part pays for compute time, one for memory over time. Each part is split over the tenants' models
 * by what was measured of them, and over what the machine had and nobody used: the idle cost, which
 * stands apart and is charged to nobody.
 *
 *	total = price x billed time			in whole nano-dollars (10^-9 $)
 *	total = compute part + memory part		memory part = weight x total, rounded
 *	compute part -> compute_ns of each, and vCPUs x period - their sum
 *	memory part  -> resident byte-seconds of each, and memory x period - their sum
 *
 * Rounding is by the largest remainder (Hamilton's method): every share is rounded down, and the
 * nano-dollars left over go to those with the largest remainders, the first of equal ones. So the
 * rows and the idle cost sum to the total exactly, and none is off by a nano-dollar or more.
 */
#ifndef PS_COST_BILL_H
#define PS_COST_BILL_H

#include "base/json.h"
#include "base/strbuf.h"
#include "cost/cost.h"

#define PS_COST_NANO_PER_USD  INT64_C(1000000000)
#define PS_COST_MAX_BILL_ROWS 1000000

/* ps_cost_apportion splits `total` >= 0 over n weights >= 0 by the largest remainder. PS_EINVAL
 * when a weight is negative or all are 0 while the total is not; PS_ENOMEM. O(n log n). */
enum ps_status ps_cost_apportion(int64_t total, const int64_t *weights, size_t n,
				 int64_t *ret_parts, struct ps_error *err);

/* What one tenant's model used in the period, and what it is charged for it. */
struct ps_cost_bill_row {
	const char *tenant, *model; /* borrowed; tenant "-": nobody's */
	int64_t requests, inferences;
	int64_t compute_ns;	 /* lane time x CPUs held */
	int64_t resident_byte_s; /* memory held x seconds */
	/* filled by ps_cost_bill_split: as bought, and what it were on demand */
	int64_t compute_nano_usd, memory_nano_usd;
	int64_t list_compute_nano_usd, list_memory_nano_usd;
};

struct ps_cost_bill {
	/* what was rented, how, and when: [from_s, to_s), seconds since 1970 UTC */
	const struct ps_cost_price *price; /* borrowed */
	struct ps_cost_mix mix;
	int64_t from_s, to_s;
	/* what the machine has: the price's, unless the operator says otherwise */
	double vcpu;
	int64_t memory_bytes;
	double memory_weight; /* 0 to 1; the rest is the weight of compute */
	/* in how much time the use of the rows came together, as if the rented period went on like
	 * that; 0: the rows are of the rented period itself */
	int64_t measured_ns;
	/* what was used from this instant on is not known and counts as idle; 0: all is known */
	int64_t known_until_s;
	const char *compute_from;      /* where compute_ns is from, in a word; NULL: "ledger" */
	const char *resource;	       /* what is billed, in words: "machine of two-cnns" */
	const char *account;	       /* who pays the provider; NULL: "default" */
	struct ps_cost_bill_row *rows; /* the caller's; those of one tenant stand together */
	size_t row_len;
	/* filled by ps_cost_bill_split */
	double usd_per_hour;
	int64_t billed_ns;
	int64_t total_nano_usd, list_nano_usd; /* as bought; all on demand */
	int64_t idle_compute_nano_usd, idle_memory_nano_usd;
	int64_t list_idle_compute_nano_usd, list_idle_memory_nano_usd;
	bool compute_over, memory_over; /* more was used than the machine is said to have: no idle
					 * part, and the sizes or the measurement are wrong */
};

/* ps_cost_bill_split fills the costs. PS_EINVAL with what is wrong: a period that is empty, a
 * machine whose vCPUs or memory are not known though they weigh, a weight outside 0 to 1, negative
 * use, a share of spot the price lacks, more than 9 x 10^9 dollars. PS_ENOMEM. */
enum ps_status ps_cost_bill_split(struct ps_cost_bill *b, struct ps_error *err);

/* ps_cost_bill_text appends it as a table for people. Quantities are of the rented period. */
void ps_cost_bill_text(const struct ps_cost_bill *b, struct ps_strbuf *out);
/* ps_cost_bill_json makes the same as an object; the caller owns it. Money is whole nano-dollars
 * (`..._nano_usd`), which sum exactly, with dollars beside it. Quantities of rows are those of
 * `measured_ns`, as measured. NULL: no memory. */
json_t *ps_cost_bill_json(const struct ps_cost_bill *b);
/* ps_cost_bill_focus appends CSV (RFC 4180) with the column names of FOCUS 1.2: two rows (compute
 * and memory) per tenant and model, and two of idle cost, which have no SubAccountId. Columns
 * beyond FOCUS start with x_. BilledCost sums exactly to the machine's cost, ListCost to its cost
 * on demand. ConsumedQuantity is of the rented period, as the money is; requests are counted only
 * where the rows are of that period. */
void ps_cost_bill_focus(const struct ps_cost_bill *b, struct ps_strbuf *out);

#endif
