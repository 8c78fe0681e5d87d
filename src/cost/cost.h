/* cost.h - what it costs, and what sharing saves.   Layer 3, pure. Uses base, conf, stats.
 *
 * Prices come from a sheet (YAML, see examples/prices.yaml) whose every row names its source and
 * date. Money is double US dollars. A price is never pro-rated: a slice is priced as one whole
 * instance type, and a slice that differs from it is a warning.
 *
 * Intervals. All sums and ratios of measured capacities take MOVER intervals (method of variance
 * estimates recovery; Zou and Donner, 2008), which need no symmetry and keep an open end open. For
 * independent a and b with intervals (la, ua), (lb, ub):
 *	a + b:  lo = a + b - sqrt((a - la)^2 + (b - lb)^2)	hi = a + b + sqrt((ua - a)^2 + (ub -
 *b)^2) a - b:  lo = a - b - sqrt((a - la)^2 + (ub - b)^2)	hi = a - b + sqrt((ua - a)^2 + (b -
 *lb)^2) and a ratio is a difference of logarithms. 1/C swaps and inverts the ends of C exactly.
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
};

struct ps_cost_sheet {
	struct ps_conf_array prices; /* of struct ps_cost_price */
};

/* The rows of the file format, for --help, the reference and errors. */
extern const struct ps_conf_schema ps_cost_sheet_schema;

/* ps_cost_sheet_load reads a price sheet from a file. Blocking. The errors of ps_conf_load_yaml,
 * and PS_EPARSE for a date that is none, or the same row twice. */
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

/* ps_cost_slice_warning compares the slice that was measured with the instance that it is priced
 * as. When vCPU or memory differ by over 10 % (or the sheet does not state them) it writes a
 * sentence and returns true. memory_bytes 0: the slice had no memory limit, which is said. */
bool ps_cost_slice_warning(const struct ps_cost_price *price, double slice_vcpu,
			   int64_t memory_bytes, char buf[PS_COST_WARNING_SIZE]);

/* ps_cost_usd_per_month is usd_per_hour * 730. */
double ps_cost_usd_per_month(double usd_per_hour);

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

/* ps_cost_split divides `total_usd` by compute share: ret_usd[i] = total busy_ns[i] / sum. When
 * nobody computed anything it is split evenly. The parts sum to the total. */
void ps_cost_split(double total_usd, const int64_t *busy_ns, int n, double *ret_usd);

#endif
