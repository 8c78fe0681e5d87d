/* bill.c - a machine's cost split over its tenants. */
#include "cost/bill.h"
#include "cost_internal.h"

#include <math.h>
#include <stdlib.h>

#define NS_PER_HOUR	3.6e12
#define MAX_NANO_USD	9e18
#define WEIGHT_PARTS	1000000000 /* the weight of memory is taken to 10^-9 */
#define MAX_WEIGHT_BITS 61	   /* weights are under 2^62: sums of two fit */

static enum ps_status invalid(struct ps_error *err, const char *what, const char *hint)
{
	ps_error_set(err, PS_EINVAL, "%s", what);
	if (hint)
		ps_error_hint(err, "%s", hint);
	return PS_EINVAL;
}

static enum ps_status check(const struct ps_cost_bill *b, struct ps_error *err)
{
	if (b->to_s <= b->from_s || b->from_s < 0 || b->to_s > INT64_MAX / 1000000000)
		return invalid(err,
			       "the period of the bill is empty: its end must be after its "
			       "begin",
			       NULL);
	if (!(b->memory_weight >= 0 && b->memory_weight <= 1))
		return invalid(err, "the weight of memory is 0 to 1", NULL);
	if (b->memory_weight < 1 && !(b->vcpu > 0 && b->vcpu <= 1e6))
		return invalid(err, "the machine's number of vCPUs is not known",
			       "the sheet's row does not state it: say it (--vcpu), or charge for "
			       "memory alone (--memory-weight 1)");
	if (b->memory_weight > 0 && b->memory_bytes <= 0)
		return invalid(err, "the machine's memory is not known",
			       "the sheet's row does not state it: say it (--memory), or charge "
			       "for compute alone (--memory-weight 0)");
	if (b->measured_ns < 0 || b->row_len > PS_COST_MAX_BILL_ROWS)
		return invalid(err, "more rows than a bill may have, or a negative time", NULL);
	return PS_OK;
}

double ps_cost_bill_scale(const struct ps_cost_bill *b)
{
	if (b->measured_ns <= 0)
		return 1;
	return (double)(b->to_s - b->from_s) * 1e9 / (double)b->measured_ns;
}

static enum ps_status to_nano(double usd_per_hour, int64_t billed_ns, int64_t *ret_nano_usd,
			      struct ps_error *err)
{
	double nano = usd_per_hour * ((double)billed_ns / NS_PER_HOUR) * 1e9;
	if (!(nano >= 0 && nano < MAX_NANO_USD))
		return invalid(err, "the cost of the period is over 9 x 10^9 dollars", NULL);
	*ret_nano_usd = llround(nano);
	return PS_OK;
}

static enum ps_status price_machine(struct ps_cost_bill *b, struct ps_error *err)
{
	enum ps_status st = ps_cost_blend(b->price, b->mix, &b->usd_per_hour, err);
	b->billed_ns = ps_cost_billed_ns(b->price, (b->to_s - b->from_s) * 1000000000);
	if (st == PS_OK)
		st = to_nano(b->usd_per_hour, b->billed_ns, &b->total_nano_usd, err);
	if (st == PS_OK)
		st = to_nano(b->price->on_demand_usd_per_hour, b->billed_ns, &b->list_nano_usd,
			     err);
	return st;
}

/* ---- one resource ---- */

static int64_t use_of(const struct ps_cost_bill_row *r, bool memory)
{
	return memory ? r->resident_byte_s : r->compute_ns;
}

/* What the machine had of it while the use was measured, in the unit of the use. */
static double capacity_of(const struct ps_cost_bill *b, bool memory)
{
	double s =
		b->measured_ns > 0 ? (double)b->measured_ns / 1e9 : (double)(b->to_s - b->from_s);
	return memory ? (double)b->memory_bytes * s : b->vcpu * s * 1e9;
}

/* Weights of the rows, and of what is idle behind them. Sums of a whole year of a large machine do
 * not fit 64 bits: then all are halved until they do, which changes shares by under 10^-18. */
static enum ps_status fill_weights(struct ps_cost_bill *b, bool memory, int64_t *weights,
				   struct ps_error *err)
{
	double used = 0, capacity = capacity_of(b, memory);
	for (size_t i = 0; i < b->row_len; i++) {
		weights[i] = use_of(&b->rows[i], memory);
		if (weights[i] < 0)
			return invalid(err, "a use in the ledger is negative", NULL);
		used += (double)weights[i];
	}
	double most = fmax(used, capacity); /* 0 has no logarithm */
	int over = most > 0 ? ilogb(most) - MAX_WEIGHT_BITS : 0, shift = over > 0 ? over : 0;
	int64_t sum = 0;
	for (size_t i = 0; i < b->row_len; i++)
		sum += weights[i] >>= shift;
	int64_t had = llround(ldexp(capacity, -shift));
	weights[b->row_len] = had > sum ? had - sum : 0;
	*(memory ? &b->memory_over : &b->compute_over) = capacity > 0 && had < sum;
	return PS_OK;
}

static enum ps_status split_resource(struct ps_cost_bill *b, int64_t total, bool memory,
				     int64_t *scratch, struct ps_error *err)
{
	int64_t *parts = scratch + b->row_len + 1;
	enum ps_status st = fill_weights(b, memory, scratch, err);
	if (st == PS_OK)
		st = ps_cost_apportion(total, scratch, b->row_len + 1, parts, err);
	if (st != PS_OK)
		return st;
	for (size_t i = 0; i < b->row_len; i++)
		*(memory ? &b->rows[i].memory_nano_usd : &b->rows[i].compute_nano_usd) = parts[i];
	*(memory ? &b->idle_memory_nano_usd : &b->idle_compute_nano_usd) = parts[b->row_len];
	return PS_OK;
}

/* The cost on demand in the proportions of what is billed, of which it is as fine a split. */
static enum ps_status split_list(struct ps_cost_bill *b, int64_t *scratch, struct ps_error *err)
{
	size_t n = b->row_len;
	int64_t *parts = scratch + 2 * (n + 1);
	for (size_t i = 0; i < n; i++) {
		scratch[2 * i] = b->rows[i].compute_nano_usd;
		scratch[2 * i + 1] = b->rows[i].memory_nano_usd;
	}
	/* a bill of less than half a nano-dollar has no proportions: all of it is idle */
	scratch[2 * n] = b->total_nano_usd ? b->idle_compute_nano_usd : 1;
	scratch[2 * n + 1] = b->idle_memory_nano_usd;
	enum ps_status st = ps_cost_apportion(b->list_nano_usd, scratch, 2 * (n + 1), parts, err);
	if (st != PS_OK)
		return st;
	for (size_t i = 0; i < n; i++) {
		b->rows[i].list_compute_nano_usd = parts[2 * i];
		b->rows[i].list_memory_nano_usd = parts[2 * i + 1];
	}
	b->list_idle_compute_nano_usd = parts[2 * n];
	b->list_idle_memory_nano_usd = parts[2 * n + 1];
	return PS_OK;
}

enum ps_status ps_cost_bill_split(struct ps_cost_bill *b, struct ps_error *err)
{
	int64_t memory_parts = llround(fmin(fmax(b->memory_weight, 0), 1) * WEIGHT_PARTS);
	int64_t weights[2] = {WEIGHT_PARTS - memory_parts, memory_parts}, parts[2] = {0};
	enum ps_status st = check(b, err);
	if (st == PS_OK)
		st = price_machine(b, err);
	if (st == PS_OK)
		st = ps_cost_apportion(b->total_nano_usd, weights, 2, parts, err);
	if (st != PS_OK)
		return st;
	int64_t *scratch = calloc(4 * (b->row_len + 1), sizeof(*scratch));
	if (!scratch)
		return ps_error_set(err, PS_ENOMEM, "no memory for a bill");
	st = split_resource(b, parts[0], false, scratch, err);
	if (st == PS_OK)
		st = split_resource(b, parts[1], true, scratch, err);
	if (st == PS_OK)
		st = split_list(b, scratch, err);
	free(scratch);
	return st;
}
