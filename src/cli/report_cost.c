/* report_cost.c - perseus report cost: what was measured, at other prices and rates. */
#include "base/units.h"
#include "price_options_internal.h"
#include "report/costs.h"
#include "report_verbs_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct cost_options {
	char *store, *csv;
	int64_t campaign;
	struct ps_cli_price_options price;
	struct ps_conf_texts priced_as, rates;
	int table;
	bool json;
};

#define FIELD(f) offsetof(struct cost_options, f)

/* In the order of enum ps_report_costs_table. */
static const char *const tables[] = {"costs", "savings", "months", NULL};

enum { MAX_MACHINES = 64 };

static const struct ps_conf_option rows[] = {
	PS_CLI_CAMPAIGN(struct cost_options, "The results store that perseus measure wrote."),
	PS_CLI_PRICE(struct cost_options, "Another price sheet than the campaign's price."),
	{.name = "priced-as",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(priced_as),
	 .metavar = "TYPE",
	 .help = "The row of the sheet that the slice is taken for: c6i.large, aws/c6i.large, "
		 "c6i.large@2026-07-20; repeat it for several. Left out: the campaign's.",
	 .min = 0,
	 .max = MAX_MACHINES},
	{.name = "rate",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(rates),
	 .metavar = "TENANT=RATE",
	 .help = "Another rate than a tenant's demand: shop=12.5 requests/s; repeat it "
		 "for several.",
	 .min = 0,
	 .max = PS_STORE_MAX_TENANTS},
	{.name = "csv",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(csv),
	 .metavar = "FILE",
	 .help = "Write one table for other tools."},
	{.name = "table",
	 .type = PS_CONF_ENUM,
	 .offset = FIELD(table),
	 .choices = tables,
	 .def = "costs",
	 .help = "Which table --csv writes."},
	PS_CLI_JSON(struct cost_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus report cost",
	.summary = "Cost at the SLA and savings, at other prices and rates.",
	.details =
		"Computes again from what is in the store; nothing is measured. Costs are dollars "
		"per million inferences by tenant, model and set; savings are machines for the "
		"rates asked, counted whole and in parts, with 95 % intervals. Formulas and "
		"worked numbers: docs/cost.md.",
	.example = "perseus report cost results.db\n"
		   "perseus report cost results.db --prices examples/prices/gcp.yaml "
		   "--priced-as c3-highcpu-4 --spot-share 30%\n"
		   "perseus report cost results.db --rate shop=12 --rate lab=1.5 --json",
	.options = rows,
	.size = sizeof(struct cost_options),
	.where_offset = SIZE_MAX,
};

/* ---- rates ---- */

static int tenant_named(const struct ps_store_campaign *c, const char *name, size_t len)
{
	for (size_t i = 0; i < c->tenant_len; i++)
		if (strlen(c->tenants[i].name) == len && memcmp(c->tenants[i].name, name, len) == 0)
			return (int)i;
	return -1;
}

static enum ps_status no_tenant(const struct ps_store_campaign *c, const char *text, size_t len,
				struct ps_error *err)
{
	const char *names[PS_STORE_MAX_TENANTS];
	char name[128];

	snprintf(name, sizeof name, "%.*s", (int)(len < 100 ? len : 100), text);
	for (size_t i = 0; i < c->tenant_len; i++)
		names[i] = c->tenants[i].name;
	const char *near = ps_conf_nearest(name, names, c->tenant_len);
	ps_error_set(err, PS_EUSAGE, "the campaign has no tenant %s", name);
	ps_error_where(err, "--rate");
	if (near)
		ps_error_hint(err, "did you mean %s?", near);
	return PS_EUSAGE;
}

static enum ps_status read_rate(const struct ps_store_campaign *c, const char *text, double *rates,
				struct ps_error *err)
{
	const char *equals = strrchr(text, '=');
	double rate;

	if (!equals)
		return ps_error_set(err, PS_EUSAGE, "--rate '%.80s' is not TENANT=RATE", text);
	int tenant = tenant_named(c, text, (size_t)(equals - text));
	if (tenant < 0)
		return no_tenant(c, text, (size_t)(equals - text), err);
	if (ps_units_parse_double(equals + 1, &rate, NULL) != PS_OK || !(rate >= 0)) {
		ps_error_set(err, PS_EUSAGE, "'%.60s' is no rate", equals + 1);
		ps_error_where(err, "--rate");
		ps_error_hint(err, "write requests per second: %.60s=12.5",
			      c->tenants[tenant].name);
		return PS_EUSAGE;
	}
	rates[tenant] = rate;
	return PS_OK;
}

/* ---- machines ---- */

static enum ps_status find_machines(const struct cost_options *o, const struct ps_cli_pricing *p,
				    const struct ps_store_campaign *c,
				    struct ps_report_machine *ret, size_t *ret_len,
				    struct ps_error *err)
{
	size_t n = o->priced_as.len ? o->priced_as.len : 1;

	for (size_t i = 0; i < n; i++) {
		const char *name = o->priced_as.len ? o->priced_as.items[i] : NULL;
		const struct ps_cost_price *price = NULL;
		enum ps_status st = ps_cli_pricing_find(p, name, &price, &ret[i].usd_per_hour, err);
		if (st != PS_OK)
			return st;
		ret[i].name = name ? name : price->instance_type;
		ps_cli_warn_price(p->today, price);
		ps_cli_warn_slice(c, price);
	}
	*ret_len = n;
	return PS_OK;
}

/* ---- output ---- */

static enum ps_status show(const struct cost_options *o, struct ps_cli_answered *a,
			   const struct ps_cli_pricing *p, struct ps_error *err)
{
	struct ps_report_machine machines[MAX_MACHINES];
	double rates[PS_STORE_MAX_TENANTS];
	struct ps_report_costs_question q = {.machines = machines, .rate_rps = rates};
	struct ps_report_costs costs;
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < a->campaign->tenant_len; i++)
		rates[i] = a->campaign->tenants[i].demand_rps;
	for (size_t i = 0; st == PS_OK && i < o->rates.len; i++)
		st = read_rate(a->campaign, o->rates.items[i], rates, err);
	if (st == PS_OK)
		st = find_machines(o, p, a->campaign, machines, &q.machine_len, err);
	if (st == PS_OK)
		st = ps_report_costs_build(&a->answer, &q, &costs, err);
	if (st == PS_OK && o->csv)
		st = ps_cli_table_csv(&costs.tables[o->table], o->csv, err);
	if (st == PS_OK)
		st = o->json ? ps_cli_tables_json(a, costs.tables, PS_REPORT_COSTS_TABLES, err)
			     : ps_cli_tables_text("", costs.tables, PS_REPORT_COSTS_TABLES, err);
	return st;
}

static int run(void *options)
{
	const struct cost_options *o = options;
	struct ps_cli_priced p = {0};
	struct ps_error err;
	enum ps_status st = ps_cli_priced_open(o->store, o->campaign, &o->price, &p, &err);

	if (st == PS_OK)
		st = show(o, &p.answered, &p.pricing, &err);
	ps_cli_priced_close(&p);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_report_cost = {.name = "cost", .schema = &schema, .run = run};
