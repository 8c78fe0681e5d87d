/* price_options.c - price sheets as options. */
#include "price_options_internal.h"

#include "base/clock.h"
#include "base/cpus.h"

#include <stdio.h>
#include <string.h>

enum ps_status ps_cli_today(const char *text, struct ps_cost_date *ret_today, struct ps_error *err)
{
	if (!text) {
		*ret_today = ps_cost_date_of(ps_clock_wall_ns());
		return PS_OK;
	}
	if (ps_cost_date_parse(text, ret_today))
		return PS_OK;
	ps_error_set(err, PS_EUSAGE, "'%.60s' is no day; write it like 2026-11-22", text);
	ps_error_where(err, "--today");
	return PS_EUSAGE;
}

enum ps_status ps_cli_pricing_open(const struct ps_cli_price_options *o,
				   const struct ps_store_price *stored,
				   struct ps_cli_pricing *ret_pricing, struct ps_error *err)
{
	struct ps_cli_pricing p = {.mix = {o->spot_share, o->reserved_share}};
	enum ps_status st = ps_cli_today(o->today, &p.today, err);

	if (st == PS_OK && o->prices)
		st = ps_cost_sheet_load(o->prices, &p.sheet, err);
	if (st != PS_OK)
		return st;
	p.has_sheet = o->prices != NULL;
	p.has_stored = stored && stored->instance_type && stored->usd_per_hour > 0;
	*ret_pricing = p;
	if (p.has_stored)
		ret_pricing->has_terms = ps_report_price_row_of(stored, &ret_pricing->stored);
	return PS_OK;
}

void ps_cli_pricing_close(struct ps_cli_pricing *p)
{
	if (p->has_sheet)
		ps_cost_sheet_free(&p->sheet);
	*p = (struct ps_cli_pricing){0};
}

enum ps_status ps_cli_priced_open(const char *store, int64_t campaign,
				  const struct ps_cli_price_options *o,
				  struct ps_cli_priced *ret_priced, struct ps_error *err)
{
	struct ps_cli_answered *a = &ret_priced->answered;
	enum ps_status st = ps_cli_answer_open(store, campaign, a, err);

	if (st != PS_OK)
		return st;
	st = ps_cli_pricing_open(o, &a->campaign->price, &ret_priced->pricing, err);
	if (st != PS_OK)
		ps_cli_answer_close(a);
	return st;
}

void ps_cli_priced_close(struct ps_cli_priced *p)
{
	ps_cli_pricing_close(&p->pricing);
	ps_cli_answer_close(&p->answered);
}

static enum ps_status need(struct ps_error *err, const char *what, const char *hint)
{
	ps_error_set(err, PS_EUSAGE, "%s", what);
	ps_error_hint(err, "%s", hint);
	return PS_EUSAGE;
}

/* The stored row in another sheet: the same machine, of whatever date. */
static enum ps_status find_stored(const struct ps_cli_pricing *p,
				  const struct ps_cost_price **ret_price, struct ps_error *err)
{
	char name[600];

	if (!p->has_stored)
		return need(err, "the campaign names no price",
			    "say what the slice is priced as: --priced-as TYPE");
	const struct ps_cost_price *s = &p->stored.price;
	snprintf(name, sizeof name, "%s/%s/%s", s->provider ? s->provider : "",
		 s->region ? s->region : "", s->instance_type);
	return ps_cost_sheet_find(&p->sheet, name, ret_price, err);
}

/* Whether spot and reserved prices were in the sheet of the campaign is not in an old store. */
static enum ps_status take_stored(const struct ps_cli_pricing *p,
				  const struct ps_cost_price **ret_price, struct ps_error *err)
{
	if (!p->has_terms && (p->mix.spot_share > 0 || p->mix.reserved_share > 0))
		return need(err, "this store, of an older Perseus, keeps the price on demand alone",
			    "name the sheet that has the other prices: --prices SHEET");
	*ret_price = &p->stored.price;
	return PS_OK;
}

enum ps_status ps_cli_pricing_find(const struct ps_cli_pricing *p, const char *name,
				   const struct ps_cost_price **ret_price, double *ret_usd_per_hour,
				   struct ps_error *err)
{
	const struct ps_cost_price *price = NULL;
	enum ps_status st = PS_OK;

	if (p->has_sheet)
		st = name ? ps_cost_sheet_find(&p->sheet, name, &price, err)
			  : find_stored(p, &price, err);
	else if (name)
		st = need(err, "--priced-as needs a price sheet",
			  "name it: --prices SHEET; examples/prices/ has some");
	else if (p->has_stored)
		st = take_stored(p, &price, err);
	else
		st = need(err, "the campaign names no price",
			  "say it: --prices SHEET --priced-as TYPE; examples/prices/ has some "
			  "sheets");
	if (st == PS_OK)
		st = ps_cost_blend(price, p->mix, ret_usd_per_hour, err);
	if (st == PS_OK)
		*ret_price = price;
	return st;
}

void ps_cli_warn_price(struct ps_cost_date today, const struct ps_cost_price *price)
{
	char text[PS_COST_WARNING_SIZE];

	if (ps_cost_age_warning(price, today, text))
		fprintf(stderr, "perseus: warning: %s\n", text);
}

void ps_cli_warn_slice(const struct ps_store_campaign *c, const struct ps_cost_price *price)
{
	char text[PS_COST_WARNING_SIZE];
	struct ps_cpus cpus;

	if (ps_cpus_parse(c->slice_cpus ? c->slice_cpus : "", &cpus, NULL) == PS_OK &&
	    ps_cost_slice_warning(price,
				  ps_cost_slice_vcpu(ps_cpus_count(&cpus), c->slice_cpu_quota),
				  c->slice_memory_bytes, text))
		fprintf(stderr, "perseus: warning: %s\n", text);
}
