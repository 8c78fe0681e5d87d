/* sheet_check.c - what the rows of a sheet must keep beyond their ranges, and their dollars. */
#include "cost_internal.h"

#include <string.h>

static struct ps_cost_price *row(const struct ps_cost_sheet_file *f, size_t i)
{
	return (struct ps_cost_price *)f->sheet.prices.items + i;
}

static const struct ps_cost_exchange *rate(const struct ps_cost_sheet_file *f, size_t i)
{
	return (const struct ps_cost_exchange *)f->sheet.exchange_rates.items + i;
}

static bool same_text(const char *a, const char *b)
{
	return strcmp(a ? a : "", b ? b : "") == 0;
}

/* ---- currencies ---- */

static bool is_code(const char *s)
{
	for (int i = 0; i < 3; i++)
		if (s[i] < 'A' || s[i] > 'Z')
			return false;
	return s[3] == '\0';
}

static enum ps_status no_code(const char *code, const char *name, int line, struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "'%.40s' is no currency", code);
	ps_error_where(err, "%s:%d:currency", name, line);
	ps_error_hint(err, "write its three capital letters, such as USD or EUR");
	return PS_EPARSE;
}

static enum ps_status check_exchange(const struct ps_cost_sheet_file *f, size_t i, const char *name,
				     struct ps_error *err)
{
	const struct ps_cost_exchange *x = rate(f, i);
	struct ps_cost_date day;
	const char *what = NULL, *key = "currency";
	if (!is_code(x->currency))
		return no_code(x->currency, name, x->where.line, err);
	if (strcmp(x->currency, "USD") == 0)
		what = "a dollar is a dollar: USD has no exchange rate";
	for (size_t k = 0; k < i && !what; k++)
		if (strcmp(x->currency, rate(f, k)->currency) == 0)
			what = "this currency has two exchange rates";
	if (!what && !ps_cost_date_parse(x->source_date, &day)) {
		what = "a source's date is written YYYY-MM-DD";
		key = "source_date";
	}
	if (!what)
		return PS_OK;
	ps_error_set(err, PS_EPARSE, "%s", what);
	ps_error_where(err, "%s:%d:%s", name, x->where.line, key);
	return PS_EPARSE;
}

static enum ps_status refuse(const struct ps_cost_price *p, const char *name, const char *key,
			     const char *what, struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "%s", what);
	ps_error_where(err, "%s:%d:%s", name, p->where.line, key);
	return PS_EPARSE;
}

static enum ps_status no_rate(const struct ps_cost_price *p, const char *code, const char *name,
			      struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "the price is in %s, and the sheet states no exchange rate",
		     code);
	ps_error_where(err, "%s:%d:currency", name, p->where.line);
	ps_error_hint(err,
		      "add to the sheet: exchange_rates: [{currency: %s, usd: DOLLARS FOR ONE %s, "
		      "source: WHERE YOU READ IT, source_date: YYYY-MM-DD}]",
		      code, code);
	return PS_EPARSE;
}

/* NULL: the row is in dollars. */
static enum ps_status find_exchange(const struct ps_cost_sheet_file *f,
				    const struct ps_cost_price *p, const char *name,
				    const struct ps_cost_exchange **ret_exchange,
				    struct ps_error *err)
{
	const char *code = p->currency ? p->currency : f->currency;
	if (!is_code(code))
		return no_code(code, name, p->currency ? p->where.line : 1, err);
	*ret_exchange = NULL;
	if (strcmp(code, "USD") == 0)
		return PS_OK;
	for (size_t i = 0; i < f->sheet.exchange_rates.len; i++)
		if (strcmp(rate(f, i)->currency, code) == 0) {
			*ret_exchange = rate(f, i);
			return PS_OK;
		}
	return no_rate(p, code, name, err);
}

/* One of the three prices of a row: in dollars, or in its own currency, never in both. */
static enum ps_status fill_usd(const struct ps_cost_price *p, const char *name, const char *key,
			       double own, double usd_each, double *usd, struct ps_error *err)
{
	if (own > 0 && *usd > 0)
		return refuse(p, name, key, "the price is stated twice: in dollars and without",
			      err);
	if (*usd > 0 && usd_each != 1)
		return refuse(p, name, key,
			      "the row is in another currency and this price in dollars: leave "
			      "_usd out of the key, or the currency away",
			      err);
	if (own > 0)
		*usd = own * usd_each;
	if (*usd > PS_COST_MAX_USD)
		return refuse(p, name, key, "over 10000 dollars an hour", err);
	if (*usd > 0 && *usd < PS_COST_MIN_USD)
		return refuse(p, name, key, "under 0.000001 dollars an hour", err);
	return PS_OK;
}

static enum ps_status convert(const struct ps_cost_sheet_file *f, struct ps_cost_price *p,
			      const char *name, struct ps_error *err)
{
	enum ps_status st = find_exchange(f, p, name, &p->exchange, err);
	double usd = st == PS_OK && p->exchange ? p->exchange->usd : 1;
	if (st == PS_OK)
		st = fill_usd(p, name, "on_demand_per_hour", p->on_demand_per_hour, usd,
			      &p->on_demand_usd_per_hour, err);
	if (st == PS_OK)
		st = fill_usd(p, name, "spot_per_hour", p->spot_per_hour, usd,
			      &p->spot_usd_per_hour, err);
	if (st == PS_OK)
		st = fill_usd(p, name, "reserved_1y_per_hour", p->reserved_1y_per_hour, usd,
			      &p->reserved_1y_usd_per_hour, err);
	if (st == PS_OK && !(p->on_demand_usd_per_hour > 0))
		st = refuse(p, name, "on_demand_usd_per_hour", "the key is missing in the price",
			    err);
	return st;
}

/* ---- rows ---- */

static bool same_row(const struct ps_cost_price *a, const struct ps_cost_price *b)
{
	return same_text(a->instance_type, b->instance_type) &&
	       same_text(a->source_date, b->source_date) && same_text(a->provider, b->provider) &&
	       same_text(a->region, b->region);
}

static enum ps_status check_row(const struct ps_cost_sheet_file *f, size_t i, const char *name,
				struct ps_error *err)
{
	struct ps_cost_price *p = row(f, i);
	struct ps_cost_date day;
	if (!ps_cost_date_parse(p->source_date, &day))
		return refuse(p, name, "source_date", "a source's date is written YYYY-MM-DD", err);
	if ((p->gpu_count > 0) != (p->gpu_kind != NULL))
		return refuse(p, name, "gpu_kind", "gpu_kind and gpu_count belong together", err);
	for (size_t k = 0; k < i; k++) {
		if (same_row(p, row(f, k)))
			return refuse(p, name, "instance_type",
				      "this provider, region, type and date are in the sheet "
				      "twice",
				      err);
	}
	return convert(f, p, name, err);
}

enum ps_status ps_cost_sheet_check(struct ps_cost_sheet_file *f, const char *name,
				   struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (size_t i = 0; st == PS_OK && i < f->sheet.exchange_rates.len; i++)
		st = check_exchange(f, i, name, err);
	for (size_t i = 0; st == PS_OK && i < f->sheet.prices.len; i++)
		st = check_row(f, i, name, err);
	return st;
}
