/* cost_internal.h - shared by the parts of cost/.   Layer 3. */
#ifndef PS_COST_COST_INTERNAL_H
#define PS_COST_COST_INTERNAL_H

#include "cost/cost.h"

/* A sheet as its file has it; what is behind `sheet` is not needed once prices are in dollars. */
struct ps_cost_sheet_file {
	struct ps_cost_sheet sheet;
	char *currency; /* of rows that name none */
};

/* Of struct ps_cost_sheet, to free one. */
extern const struct ps_conf_schema ps_cost_rows_schema;

/* ps_cost_sheet_check looks at all rows and fills the dollars of rows in other currencies. `name`
 * is the file's, for errors. PS_EPARSE. */
enum ps_status ps_cost_sheet_check(struct ps_cost_sheet_file *f, const char *name,
				   struct ps_error *err);

/* ps_cost_widen moves the ends of an interval outwards (on the logarithm) as if it were one of m
 * that shall all hold at once: by z(1 - a/(2m)) / z(1 - a/2), a = 1 - confidence. */
struct ps_stats_interval ps_cost_widen(struct ps_stats_interval x, int m);

/* ps_cost_whole returns whole machines for `share` of one; a hair over a whole number is rounding,
 * not a machine. NAN for NAN: what is not known is not nothing. */
double ps_cost_whole(double share);

/* ps_cost_ratio returns a / b of independent values over 0, with MOVER's interval. */
struct ps_stats_interval ps_cost_ratio(struct ps_stats_interval a, struct ps_stats_interval b);

struct ps_cost_bill;
/* ps_cost_bill_scale returns how many times the measured time the rented period is. */
double ps_cost_bill_scale(const struct ps_cost_bill *b);

/* ps_cost_money writes "12.000000001"; returns buf. */
#define PS_COST_MONEY_SIZE 32
const char *ps_cost_money(int64_t nano_usd, char buf[PS_COST_MONEY_SIZE]);
/* ps_cost_instant writes seconds since 1970 UTC as 2026-11-01T00:00:00Z; returns buf. */
#define PS_COST_INSTANT_SIZE 96
const char *ps_cost_instant(int64_t s, char buf[PS_COST_INSTANT_SIZE]);

#endif
