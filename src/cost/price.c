/* price.c - one row of a sheet: its age, its shape, how it is bought and billed. */
#include "cost/cost.h"

#include "base/strbuf.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* ---- shape ---- */

static bool differs(double a, double b)
{
	return fabs(a - b) > 0.1 * b * (1 + 1e-9);
}

double ps_cost_slice_vcpu(int cpus, double quota)
{
	if (!(quota > 0))
		return cpus;
	return cpus > 0 ? fmin(cpus, quota) : quota;
}

/* "; " between what differs. */
static void differ(struct ps_strbuf *out, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static void differ(struct ps_strbuf *out, const char *fmt, ...)
{
	va_list ap;

	if (out->len > 0)
		ps_strbuf_puts(out, "; ");
	va_start(ap, fmt);
	ps_strbuf_vprintf(out, fmt, ap);
	va_end(ap);
}

static void differ_cpus(struct ps_strbuf *out, const struct ps_cost_price *p, double slice_vcpu)
{
	if (!(p->vcpu > 0))
		differ(out, "the sheet does not state its vCPUs");
	else if (!(slice_vcpu > 0))
		differ(out, "no CPU limit against %g", p->vcpu);
	else if (differs(slice_vcpu, p->vcpu))
		differ(out, "%g vCPU against %g", slice_vcpu, p->vcpu);
}

static void differ_memory(struct ps_strbuf *out, const struct ps_cost_price *p, int64_t bytes)
{
	double gib = (double)bytes / (1024.0 * 1024 * 1024);

	if (!(p->memory_gib > 0))
		differ(out, "the sheet does not state its memory");
	else if (bytes <= 0)
		differ(out, "no memory limit against %g GiB", p->memory_gib);
	else if (differs(gib, p->memory_gib))
		differ(out, "%.3g GiB of memory against %g", gib, p->memory_gib);
}

bool ps_cost_slice_warning(const struct ps_cost_price *price, double slice_vcpu,
			   int64_t memory_bytes, char buf[PS_COST_WARNING_SIZE])
{
	struct ps_strbuf what;

	if (!(slice_vcpu > 0) && memory_bytes <= 0) {
		snprintf(buf, PS_COST_WARNING_SIZE,
			 "there was no slice: whether what was measured is the instance it is "
			 "priced as (%.60s) is not known",
			 price->instance_type);
		return true;
	}
	ps_strbuf_init(&what);
	differ_cpus(&what, price, slice_vcpu);
	differ_memory(&what, price, memory_bytes);
	if (price->gpu_count > 0)
		differ(&what, "it has GPUs, the slice was measured without");
	bool any = what.len > 0;
	if (any)
		snprintf(buf, PS_COST_WARNING_SIZE,
			 "the slice is not the instance it is priced as (%.60s): %.180s",
			 price->instance_type, what.data);
	ps_strbuf_fini(&what);
	return any;
}

/* ---- age ---- */

static bool is_leap(int year)
{
	return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
}

static int days_of(int year, int month)
{
	static const int days[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	return days[month - 1] + (month == 2 && is_leap(year));
}

bool ps_cost_date_parse(const char *text, struct ps_cost_date *ret_date)
{
	int v[3] = {0}, part = 0;
	if (strlen(text) != 10)
		return false;
	for (int i = 0; i < 10; i++) {
		bool dash = i == 4 || i == 7;
		if (dash ? text[i] != '-' : (text[i] < '0' || text[i] > '9'))
			return false;
		if (dash)
			part++;
		else
			v[part] = 10 * v[part] + (text[i] - '0');
	}
	if (v[1] < 1 || v[1] > 12 || v[2] < 1 || v[2] > days_of(v[0], v[1]))
		return false;
	*ret_date = (struct ps_cost_date){v[0], v[1], v[2]};
	return true;
}

struct ps_cost_date ps_cost_date_of(int64_t wall_ns)
{
	int64_t days = wall_ns / INT64_C(86400000000000);
	struct ps_cost_date d = {1970, 1, 1};
	for (; days >= 365 + is_leap(d.year); d.year++)
		days -= 365 + is_leap(d.year);
	for (; days >= days_of(d.year, d.month); d.month++)
		days -= days_of(d.year, d.month);
	d.day += (int)days;
	return d;
}

static int compare_days(struct ps_cost_date a, struct ps_cost_date b)
{
	return a.year != b.year	    ? a.year - b.year
	       : a.month != b.month ? a.month - b.month
				    : a.day - b.day;
}

/* Appends what is wrong with the date, if anything. */
static void judge_date(struct ps_strbuf *out, const char *what, const char *name, const char *date,
		       struct ps_cost_date today)
{
	struct ps_cost_date from;

	if (!date || !ps_cost_date_parse(date, &from))
		return;
	struct ps_cost_date year_on = {from.year + 1, from.month, from.day};
	bool old = compare_days(today, year_on) > 0;
	if (!old && compare_days(from, today) <= 0)
		return;
	ps_strbuf_printf(out, "%s%s of %.100s is of %s, %s %04d-%02d-%02d%s",
			 out->len > 0 ? "; " : "", what, name, date,
			 old ? "over a year before" : "which is after", today.year, today.month,
			 today.day, old ? ": look it up again" : "");
}

bool ps_cost_age_warning(const struct ps_cost_price *price, struct ps_cost_date today,
			 char buf[PS_COST_WARNING_SIZE])
{
	const struct ps_cost_exchange *x = price->exchange;
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	judge_date(&out, "the price", price->instance_type, price->source_date, today);
	if (x)
		judge_date(&out, "the exchange rate", x->currency, x->source_date, today);
	bool any = out.len > 0;
	if (any)
		snprintf(buf, PS_COST_WARNING_SIZE, "%.*s", PS_COST_WARNING_SIZE - 1, out.data);
	ps_strbuf_fini(&out);
	return any;
}

/* ---- buying ---- */

static enum ps_status no_price(const struct ps_cost_price *p, const char *which,
			       struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "the sheet states no %s price of %.100s", which,
		     p->instance_type);
	ps_error_hint(err, "add it to the row with its source, or leave that share away");
	return PS_EINVAL;
}

enum ps_status ps_cost_blend(const struct ps_cost_price *price, struct ps_cost_mix mix,
			     double *ret_usd_per_hour, struct ps_error *err)
{
	double spot = mix.spot_share, reserved = mix.reserved_share;
	/* written so that NaN fails */
	if (!(spot >= 0 && spot <= 1) || !(reserved >= 0 && reserved <= 1))
		return ps_error_set(err, PS_EINVAL,
				    "a share of spot or reserved machines is 0 to "
				    "1");
	if (!(spot + reserved <= 1 + 1e-9))
		return ps_error_set(err, PS_EINVAL,
				    "spot and reserved machines are %g of all: at most 1",
				    spot + reserved);
	if (spot > 0 && !(price->spot_usd_per_hour > 0))
		return no_price(price, "spot", err);
	if (reserved > 0 && !(price->reserved_1y_usd_per_hour > 0))
		return no_price(price, "reserved", err);
	*ret_usd_per_hour = spot * price->spot_usd_per_hour +
			    reserved * price->reserved_1y_usd_per_hour +
			    fmax(0, 1 - spot - reserved) * price->on_demand_usd_per_hour;
	return PS_OK;
}

/* ---- billing ---- */

static int64_t unit_ns(const struct ps_cost_price *price)
{
	switch ((enum ps_cost_unit)price->billed_per) {
	case PS_COST_PER_SECOND:
		return INT64_C(1000000000);
	case PS_COST_PER_MINUTE:
		return INT64_C(60000000000);
	case PS_COST_PER_HOUR:
		break;
	}
	return INT64_C(3600000000000);
}

int64_t ps_cost_billed_ns(const struct ps_cost_price *price, int64_t used_ns)
{
	int64_t unit = unit_ns(price), up;
	if (used_ns <= 0)
		return 0;
	if (used_ns < price->minimum_ns)
		used_ns = price->minimum_ns;
	if (__builtin_add_overflow(used_ns, unit - 1, &up))
		return INT64_MAX;
	return up / unit * unit;
}
