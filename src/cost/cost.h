/* cost.h - what it costs, and what sharing saves.   Layer 3, pure. Uses base, conf, stats.
 *
 * Prices come from a sheet (YAML, see examples/prices/) whose every row names its source and date.
 * Money is double US dollars here and whole nano-dollars in bills (bill.h). A price is never
 * pro-rated: a slice is priced as one whole instance type, and a slice that differs from it is a
 * warning. Which day it is, is a value that the caller passes. docs/cost.md has worked numbers.
 *
 * Intervals. All sums and ratios of measured capacities take MOVER intervals (method of variance
 * estimates recovery; Zou and Donner, 2008), which need no symmetry and keep an open end open. For
 * independent a and b in the middle, on the logarithm, of their intervals (la, ua), (lb, ub):
 *	a + b:	lo = a + b - sqrt((a - la)^2 + (b - lb)^2)
 *		hi = a + b + sqrt((ua - a)^2 + (ub - b)^2)
 *	a - b:	lo = a - b - sqrt((a - la)^2 + (ub - b)^2)
 *		hi = a - b + sqrt((ua - a)^2 + (b - lb)^2)
 * and a ratio is a difference of logarithms. 1/C swaps and inverts the ends of C exactly. The value
 * is that of the values, which fresh trials may have lowered out of the middle; an interval is
 * never without it.
 */
#ifndef PS_COST_COST_H
#define PS_COST_COST_H

#include "base/error.h"
#include "conf/conf.h"
#include "stats/stats.h"

#include <stddef.h>
#include <stdint.h>

#define PS_COST_HOURS_PER_MONTH 730
#define PS_COST_WARNING_SIZE	320
#define PS_COST_MAX_USD		10000.0 /* per hour of one machine: more is a slip of the pen */
#define PS_COST_MIN_USD		1e-6	/* and so is less */

/* By what time is billed: a part of it counts as a whole one. */
enum ps_cost_unit { PS_COST_PER_HOUR, PS_COST_PER_MINUTE, PS_COST_PER_SECOND };
/* "hour", "minute", "second", NULL */
extern const char *const ps_cost_unit_names[];

/* What one unit of a currency is worth. */
struct ps_cost_exchange {
	char *currency; /* EUR */
	double usd;
	char *source, *source_date;
	struct ps_conf_where where;
};

/* One row of a price sheet. 0 stands for "not stated" in every number but gpu_count. */
struct ps_cost_price {
	char *provider, *region, *instance_type;
	double vcpu;
	double memory_gib;
	char *gpu_kind; /* NULL: none */
	int64_t gpu_count;
	double on_demand_usd_per_hour;
	double spot_usd_per_hour;
	double reserved_1y_usd_per_hour;
	char *source, *source_date; /* date as YYYY-MM-DD */
	struct ps_conf_where where;
	/* as written, when the sheet is not in dollars; the three above are these times the rate */
	char *currency; /* NULL: the sheet's */
	double on_demand_per_hour, spot_per_hour, reserved_1y_per_hour;
	const struct ps_cost_exchange *exchange; /* that rate, the sheet's; NULL: dollars */
	int billed_per;				 /* enum ps_cost_unit */
	int64_t minimum_ns;			 /* what is billed at least of every rental */
};

struct ps_cost_sheet {
	struct ps_conf_array prices;	     /* of struct ps_cost_price */
	struct ps_conf_array exchange_rates; /* of struct ps_cost_exchange */
};

/* ---- the sheet ---- */

/* The rows of the file format, for --help, the reference and errors. */
extern const struct ps_conf_schema ps_cost_sheet_schema;

/* ps_cost_sheet_load reads a price sheet from a file. Blocking. The errors of ps_conf_load_yaml,
 * and PS_EPARSE with "file:line:key" for a date that is none, the same row twice, a row without a
 * price, and a currency other than USD whose exchange rate the sheet does not state. */
enum ps_status ps_cost_sheet_load(const char *path, struct ps_cost_sheet *ret_sheet,
				  struct ps_error *err);
/* ps_cost_sheet_parse does the same from text; `name` is used in errors. */
enum ps_status ps_cost_sheet_parse(const char *text, size_t len, const char *name,
				   struct ps_cost_sheet *ret_sheet, struct ps_error *err);
/* ps_cost_sheet_free releases the rows; a zeroed sheet may be passed. */
void ps_cost_sheet_free(struct ps_cost_sheet *sheet);
/* ps_cost_sheet_find borrows the row of "instance_type", "provider/instance_type" or
 * "provider/region/instance_type", each with "@YYYY-MM-DD" for one date; without a date the latest.
 * PS_ENOTFOUND with the nearest name in the hint; PS_EINVAL when the name fits rows of several
 * providers or regions. */
enum ps_status ps_cost_sheet_find(const struct ps_cost_sheet *sheet, const char *name,
				  const struct ps_cost_price **ret_price, struct ps_error *err);

/* ---- a price ---- */

/* ps_cost_slice_vcpu returns how many CPUs' time a slice has: those it may run on, and no more than
 * its quota of time (0: none). 0: no limit. */
double ps_cost_slice_vcpu(int cpus, double quota);
/* ps_cost_slice_warning compares the slice that was measured with the instance that it is priced
 * as. When vCPU or memory differ by over 10 %, the sheet does not state them or the instance has
 * GPUs, it writes a sentence and returns true. slice_vcpu 0, memory_bytes 0: the slice had no such
 * limit, which is said; both: there was no slice. */
bool ps_cost_slice_warning(const struct ps_cost_price *price, double slice_vcpu,
			   int64_t memory_bytes, char buf[PS_COST_WARNING_SIZE]);

/* A day of the Gregorian calendar, UTC. */
struct ps_cost_date {
	int year, month, day;
};
/* ps_cost_date_parse reads YYYY-MM-DD; false when there is no such day. */
bool ps_cost_date_parse(const char *text, struct ps_cost_date *ret_date);
/* ps_cost_date_of returns the day of an instant, nanoseconds since 1970 UTC (not negative). */
struct ps_cost_date ps_cost_date_of(int64_t wall_ns);
/* ps_cost_age_warning writes a sentence and returns true when the price's source, or that of its
 * exchange rate, is older than a year on the day `today`, or dated after it. */
bool ps_cost_age_warning(const struct ps_cost_price *price, struct ps_cost_date today,
			 char buf[PS_COST_WARNING_SIZE]);

/* How machines are bought: these shares of the hours at those prices, the rest on demand. */
struct ps_cost_mix {
	double spot_share, reserved_share;
};
/* ps_cost_blend returns spot * s + reserved * r + on demand * (1 - s - r), $/h. PS_EINVAL when a
 * share is no share, both are over 1, or the row lacks a price that is asked for: what a source
 * does not give is never filled in. */
enum ps_status ps_cost_blend(const struct ps_cost_price *price, struct ps_cost_mix mix,
			     double *ret_usd_per_hour, struct ps_error *err);

/* ps_cost_billed_ns returns the time that is billed for a rental of used_ns: up to whole units, at
 * least the minimum; 0 for 0. INT64_MAX where it does not fit. */
int64_t ps_cost_billed_ns(const struct ps_cost_price *price, int64_t used_ns);

/* ps_cost_usd_per_month is usd_per_hour * 730. */
double ps_cost_usd_per_month(double usd_per_hour);

/* ---- cost at the SLA, savings ---- */

/* ps_cost_usd_per_million returns dollars per million inferences at the SLA:
 * usd_per_hour / (capacity_ips * 3600) * 10^6, where capacity_ips is in inferences/s (requests/s
 * times batch). A capacity of 0 costs INFINITY. */
struct ps_stats_interval ps_cost_usd_per_million(double usd_per_hour,
						 struct ps_stats_interval capacity_ips);

/* ps_cost_share_apart returns sum(r_i / C_i): how many machines' worth of time the rates
 * need when every tenant has machines of its own, as if they could be rented in parts. */
struct ps_stats_interval ps_cost_share_apart(const double *rate_rps,
					     const struct ps_stats_interval *capacity_rps, int n);

/* ps_cost_fluid_saving returns 1 - s / sum(r_i / C_i): rates r_i, capacities alone C_i, and the
 * share s of one shared machine that carries all r_i inside all SLAs. On the frontier s is 1
 * (ps_stats_exactly(1)) and r_i = x R_i with x the capacity of the set along the ray R_i; for
 * rates on that ray below the frontier s = 1/x (ps_cost_share_on_ray). Negative: a loss. */
struct ps_stats_interval ps_cost_fluid_saving(const double *rate_rps,
					      const struct ps_stats_interval *capacity_rps, int n,
					      struct ps_stats_interval share);

/* ps_cost_share_on_ray returns the share of a machine that rates r_i need together, given the
 * capacity x of the set along the ray ray_rps: s = sum(r_i / C_i) / sum(x R_i / C_i). When r is a
 * multiple of R that is exact (r / (x R)); off the ray it takes the frontier to be the straight
 * line through the measured point (machine time is additive) and *ret_on_ray (may be NULL) is
 * false. The C_i, which are in both sums, cancel on the ray and are taken at their values off it.
 */
struct ps_stats_interval ps_cost_share_on_ray(const double *rate_rps, const double *ray_rps,
					      const struct ps_stats_interval *capacity_rps, int n,
					      struct ps_stats_interval set_scale, bool *ret_on_ray);

/* ps_cost_full_load_saving returns the fluid saving on the frontier: 1 - 1 / (x sum(R_i / C_i)),
 * x the capacity of the set along the ray R_i, with the intervals of x and of all C_i. */
struct ps_stats_interval ps_cost_full_load_saving(const double *ray_rps,
						  const struct ps_stats_interval *capacity_rps,
						  int n, struct ps_stats_interval set_scale);

/* Whole machines, and what they cost. Machines are counted by ceil; their intervals take every
 * capacity at the same end of an interval widened for n (+ 1) simultaneous statements
 * (Bonferroni, by normal quantiles on the logarithms), so all hold at once with the confidence. */
struct ps_cost_machines {
	struct ps_stats_interval apart;	   /* sum of ceil(r_i / C_i) */
	struct ps_stats_interval together; /* ceil(s); 1 exactly when a trial at these rates held */
	struct ps_stats_interval saving;   /* machine saving: 1 - together / apart */
	double apart_usd_per_month, together_usd_per_month; /* at the values */
};

/* ps_cost_machine_saving counts machines for rates r_i. `share` is s as above; `held` says that a
 * trial of exactly these rates on one shared machine kept every SLA: then one machine suffices
 * whatever s says. A capacity of 0 needs INFINITY machines. */
struct ps_cost_machines ps_cost_machine_saving(const double *rate_rps,
					       const struct ps_stats_interval *capacity_rps, int n,
					       struct ps_stats_interval share, bool held,
					       double usd_per_hour);

/* ---- what if: other prices and rates, nothing measured again ---- */

/* What was measured of a set of n tenants, and what is asked of it. */
struct ps_cost_case {
	int n;
	const double *rate_rps;			   /* asked */
	const struct ps_stats_interval *alone_rps; /* capacities alone */
	const double *ray_rps;			   /* of the set; NULL: its capacity is not known */
	struct ps_stats_interval scale;		   /* its capacity along the ray */
	const double *held_rps; /* rates that a trial on one machine held; NULL: none did */
	double usd_per_hour;
};

struct ps_cost_outcome {
	bool has_set; /* the set's capacity is known: the shares and savings below are numbers */
	bool on_ray;  /* the rates asked lie on the ray that was searched */
	bool held;    /* a trial at these rates, or higher ones of everybody, held every SLA */
	struct ps_stats_interval share_apart, share, fluid_saving, full_load_saving;
	/* parts of machines, as if they could be rented so */
	struct ps_stats_interval fluid_apart_usd_per_hour, fluid_together_usd_per_hour;
	struct ps_cost_machines machines; /* together: also known when only `held` is */
};

/* ps_cost_what_if computes all of it. What is not known is NAN without an interval. */
void ps_cost_what_if(const struct ps_cost_case *c, struct ps_cost_outcome *ret_outcome);

#endif
