/* focus.c - a bill as CSV with the columns of FOCUS 1.2 (the FinOps Open Cost and Usage
 * Specification). */
#include "base/csv.h"
#include "cost/bill.h"
#include "cost_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One row to be: the share of one tenant's model, or of nobody (row NULL), in one resource. */
struct charge {
	const struct ps_cost_bill *bill;
	const struct ps_cost_bill_row *row;
	bool memory;
	int64_t nano_usd, list_nano_usd;
};

static void put_money(struct ps_strbuf *out, int64_t nano)
{
	char text[PS_COST_MONEY_SIZE];
	ps_strbuf_puts(out, ps_cost_money(nano, text));
}

static void put_instant(struct ps_strbuf *out, int64_t s)
{
	char text[PS_COST_INSTANT_SIZE];
	ps_strbuf_puts(out, ps_cost_instant(s, text));
}

static bool is_nobody(const struct charge *c)
{
	return !c->row || strcmp(c->row->tenant, "-") == 0;
}

/* ---- the columns, in the order of the file ---- */

static void billed_cost(const struct charge *c, struct ps_strbuf *out)
{
	put_money(out, c->nano_usd);
}

static void list_cost(const struct charge *c, struct ps_strbuf *out)
{
	put_money(out, c->list_nano_usd);
}

static void account(const struct charge *c, struct ps_strbuf *out)
{
	ps_csv_text(out, c->bill->account ? c->bill->account : "default");
}

static void currency(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "USD");
}

static void period_end(const struct charge *c, struct ps_strbuf *out)
{
	put_instant(out, c->bill->to_s);
}

static void period_start(const struct charge *c, struct ps_strbuf *out)
{
	put_instant(out, c->bill->from_s);
}

static void category(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "Usage");
}

static void nothing(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	(void)out;
}

static void description(const struct charge *c, struct ps_strbuf *out)
{
	const char *what = c->memory ? "memory over time" : "compute time";
	char text[400];
	if (!c->row)
		snprintf(text, sizeof text, "idle %s of %.100s", what,
			 c->bill->price->instance_type);
	else if (is_nobody(c))
		snprintf(text, sizeof text, "%s of %.100s that no tenant was promised, on %.100s",
			 what, c->row->model, c->bill->price->instance_type);
	else
		snprintf(text, sizeof text, "%s of %.100s for %.100s on %.100s", what,
			 c->row->model, c->row->tenant, c->bill->price->instance_type);
	ps_csv_text(out, text);
}

static void frequency(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "Usage-Based");
}

/* Of the charge period, whatever time it was measured in. */
static void consumed(const struct charge *c, struct ps_strbuf *out)
{
	if (!c->row)
		return;
	double hours = c->memory ? (double)c->row->resident_byte_s / (1073741824.0 * 3600)
				 : (double)c->row->compute_ns / 3.6e12;
	ps_strbuf_printf(out, "%.9f", hours * ps_cost_bill_scale(c->bill));
}

static void consumed_unit(const struct charge *c, struct ps_strbuf *out)
{
	if (c->row)
		ps_strbuf_puts(out, c->memory ? "GiB-Hours" : "CPU-Hours");
}

static void list_price(const struct charge *c, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "%.10g", c->bill->price->on_demand_usd_per_hour);
}

static void pricing_category(const struct charge *c, struct ps_strbuf *out)
{
	const struct ps_cost_mix *m = &c->bill->mix;
	bool spot = m->spot_share > 0, reserved = m->reserved_share > 0;
	ps_strbuf_puts(out, !spot && !reserved	     ? "Standard"
			    : m->spot_share == 1     ? "Dynamic"
			    : m->reserved_share == 1 ? "Committed"
						     : "Other");
}

/* Hours of the machine at the list's price: their product is the list's cost. */
static void quantity(const struct charge *c, struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "%.12g",
			 (double)c->list_nano_usd / 1e9 / c->bill->price->on_demand_usd_per_hour);
}

static void unit(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "Hours");
}

static void provider(const struct charge *c, struct ps_strbuf *out)
{
	ps_csv_text(out, c->bill->price->provider ? c->bill->price->provider : "");
}

static void region(const struct charge *c, struct ps_strbuf *out)
{
	if (c->bill->price->region)
		ps_csv_text(out, c->bill->price->region);
}

static void resource(const struct charge *c, struct ps_strbuf *out)
{
	ps_csv_text(out, c->bill->resource ? c->bill->resource : "machine");
}

static void resource_type(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "Shared inference server");
}

static void service_category(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "AI and Machine Learning");
}

static void service(const struct charge *c, struct ps_strbuf *out)
{
	(void)c;
	ps_strbuf_puts(out, "Perseus");
}

static void sku(const struct charge *c, struct ps_strbuf *out)
{
	ps_csv_text(out, c->bill->price->instance_type);
}

static void meter(const struct charge *c, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, c->memory ? "Memory over time" : "Compute time");
}

static void sub_account(const struct charge *c, struct ps_strbuf *out)
{
	if (!is_nobody(c))
		ps_csv_text(out, c->row->tenant);
}

static void model(const struct charge *c, struct ps_strbuf *out)
{
	if (c->row)
		ps_csv_text(out, c->row->model);
}

/* Requests of trials leave out the warm-up, which is in the measured time: scaled like the rest
 * they would be too few, and as they are they are of another time than the money. */
static void put_count(const struct charge *c, int64_t n, struct ps_strbuf *out)
{
	if (c->bill->measured_ns <= 0)
		ps_strbuf_printf(out, "%" PRId64, n);
}

static void requests(const struct charge *c, struct ps_strbuf *out)
{
	if (c->row)
		put_count(c, c->row->requests, out);
}

static void inferences(const struct charge *c, struct ps_strbuf *out)
{
	if (c->row)
		put_count(c, c->row->inferences, out);
}

static void use(const struct charge *c, struct ps_strbuf *out)
{
	ps_strbuf_puts(out, !c->row ? "idle" : is_nobody(c) ? "unassigned" : "used");
}

static void weight(const struct charge *c, struct ps_strbuf *out)
{
	double w = c->bill->memory_weight;
	ps_strbuf_printf(out, "%.9g", c->memory ? w : 1 - w);
}

static const struct column {
	const char *name;
	void (*put)(const struct charge *c, struct ps_strbuf *out);
} columns[] = {
	{"BilledCost", billed_cost},
	{"BillingAccountId", account},
	{"BillingAccountName", account},
	{"BillingCurrency", currency},
	{"BillingPeriodEnd", period_end},
	{"BillingPeriodStart", period_start},
	{"ChargeCategory", category},
	{"ChargeClass", nothing},
	{"ChargeDescription", description},
	{"ChargeFrequency", frequency},
	{"ChargePeriodEnd", period_end},
	{"ChargePeriodStart", period_start},
	{"ConsumedQuantity", consumed},
	{"ConsumedUnit", consumed_unit},
	{"ContractedCost", list_cost}, /* nothing was agreed with the provider */
	{"ContractedUnitPrice", list_price},
	{"EffectiveCost", billed_cost}, /* nothing was paid ahead */
	{"InvoiceIssuerName", provider},
	{"ListCost", list_cost},
	{"ListUnitPrice", list_price},
	{"PricingCategory", pricing_category},
	{"PricingQuantity", quantity},
	{"PricingUnit", unit},
	{"ProviderName", provider},
	{"PublisherName", provider},
	{"RegionId", region},
	{"ResourceId", resource},
	{"ResourceName", resource},
	{"ResourceType", resource_type},
	{"ServiceCategory", service_category},
	{"ServiceName", service},
	{"SkuId", sku},
	{"SkuMeter", meter},
	{"SubAccountId", sub_account},
	{"SubAccountName", sub_account},
	{"x_Model", model},
	{"x_Requests", requests},
	{"x_Inferences", inferences},
	{"x_Use", use},
	{"x_Weight", weight},
};

enum { COLUMNS = sizeof columns / sizeof columns[0] };

static void put_charge(const struct charge *c, struct ps_strbuf *out)
{
	for (size_t i = 0; i < COLUMNS; i++) {
		if (i)
			ps_strbuf_putc(out, ',');
		columns[i].put(c, out);
	}
	ps_strbuf_puts(out, "\r\n");
}

void ps_cost_bill_focus(const struct ps_cost_bill *b, struct ps_strbuf *out)
{
	for (size_t i = 0; i < COLUMNS; i++)
		ps_strbuf_printf(out, "%s%s", i ? "," : "", columns[i].name);
	ps_strbuf_puts(out, "\r\n");
	for (size_t i = 0; i < b->row_len; i++) {
		const struct ps_cost_bill_row *r = &b->rows[i];
		put_charge(&(struct charge){b, r, false, r->compute_nano_usd,
					    r->list_compute_nano_usd},
			   out);
		put_charge(
			&(struct charge){b, r, true, r->memory_nano_usd, r->list_memory_nano_usd},
			out);
	}
	put_charge(&(struct charge){b, NULL, false, b->idle_compute_nano_usd,
				    b->list_idle_compute_nano_usd},
		   out);
	put_charge(&(struct charge){b, NULL, true, b->idle_memory_nano_usd,
				    b->list_idle_memory_nano_usd},
		   out);
}
