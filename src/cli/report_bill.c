/* report_bill.c - perseus report bill: a shared machine's cost, split by what a campaign measured.
 */
#include "bill_options_internal.h"
#include "report/costs.h"
#include "report_verbs_internal.h"
#include "serve/bill.h"

#include <stdio.h>
#include <string.h>

struct bill_options {
	char *store, *set, *priced_as, *from, *to;
	int64_t campaign;
	struct ps_cli_price_options price;
	struct ps_cli_bill_options bill;
	bool json, csv;
};

#define FIELD(f) offsetof(struct bill_options, f)

static const struct ps_conf_option rows[] = {
	PS_CLI_CAMPAIGN(struct bill_options, "The results store that perseus measure wrote."),
	{.name = "set",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(set),
	 .metavar = "NAME",
	 .help = "Which set of tenants shares the machine; otherwise the largest."},
	{.name = "from",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(from),
	 .metavar = "INSTANT",
	 .help = "Begin of the rental, UTC: 2026-11-01 or 2026-11-01T17:05. Left out: the minute "
		 "in "
		 "which the campaign began."},
	{.name = "to",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(to),
	 .metavar = "INSTANT",
	 .help = "Its end. Left out: 730 hours (a month) later."},
	PS_CLI_PRICE(struct bill_options, "Another price sheet than the campaign's price."),
	{.name = "priced-as",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(priced_as),
	 .metavar = "TYPE",
	 .help = "The row of the sheet; otherwise the campaign's."},
	PS_CLI_BILL(struct bill_options),
	PS_CLI_JSON(struct bill_options),
	{.name = "csv",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(csv),
	 .help = "Print CSV with the columns of FOCUS 1.2."},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus report bill",
	.summary = "Split a shared machine's cost over its tenants.",
	.details =
		"Takes what each tenant used in the trials at the demand rates (compute time, "
		"and memory over time) and splits with it what the machine costs when it is "
		"rented from --from to --to at these rates. What the machine has and nobody used "
		"is idle and charged to nobody. Rows and idle cost sum to the total exactly. "
		"The same of a running server: perseus serve bill --prices. docs/cost.md.",
	.example = "perseus report bill results.db --memory-weight 30%\n"
		   "perseus report bill results.db --from 2026-11-01 --to 2026-12-01 --csv\n",
	.options = rows,
	.size = sizeof(struct bill_options),
	.where_offset = SIZE_MAX,
};

enum { MONTH_S = PS_COST_HOURS_PER_MONTH * 3600 };

static enum ps_status find_set(const struct ps_store_campaign *c, const char *name, int *ret_set,
			       struct ps_error *err)
{
	const char *names[64];
	size_t n = 0;
	int best = -1;

	for (size_t i = 0; i < c->set_len; i++) {
		if (name && strcmp(c->sets[i].name, name) == 0) {
			*ret_set = (int)i;
			return PS_OK;
		}
		if (n < 64)
			names[n++] = c->sets[i].name;
		if (best < 0 || c->sets[i].member_len > c->sets[best].member_len)
			best = (int)i;
	}
	if (!name && best >= 0) {
		*ret_set = best;
		return PS_OK;
	}
	ps_error_set(err, PS_ENOTFOUND, "the campaign has no set %.100s", name ? name : "");
	const char *near = name ? ps_conf_nearest(name, names, n) : NULL;
	if (near)
		ps_error_hint(err, "did you mean %s?", near);
	return PS_ENOTFOUND;
}

static enum ps_status read_period(const struct bill_options *o, const struct ps_store_campaign *c,
				  struct ps_cost_bill *b, struct ps_error *err)
{
	int64_t from = c->started_wall_ns / 60000000000, to = 0;
	enum ps_status st = o->from ? ps_serve_bill_minute(o->from, &from, err) : PS_OK;

	if (st == PS_OK && o->to)
		st = ps_serve_bill_minute(o->to, &to, err);
	if (st == PS_OK && o->json && o->csv)
		st = ps_error_set(err, PS_EUSAGE, "--json and --csv exclude each other");
	b->from_s = from * 60;
	b->to_s = o->to ? to * 60 : b->from_s + MONTH_S;
	return st;
}

/* By what units a machine is billed stands in its sheet, and in stores that kept it. */
static enum ps_status check_hours(const struct ps_cost_bill *b, const struct ps_cli_pricing *p,
				  struct ps_error *err)
{
	if (p->has_sheet || p->has_terms || (b->to_s - b->from_s) % 3600 == 0)
		return PS_OK;
	ps_error_set(err, PS_EUSAGE,
		     "this store, of an older Perseus, does not keep whether the machine is billed "
		     "by the hour, the minute or the second");
	ps_error_hint(err, "bill whole hours, or name the sheet that says it: --prices SHEET");
	return PS_EUSAGE;
}

/* Memory counts by what the store knows of it. */
static enum ps_status check_memory(const struct ps_cost_bill *b, bool has_memory,
				   struct ps_error *err)
{
	if (has_memory || !(b->memory_weight > 0))
		return PS_OK;
	ps_error_set(err, PS_ENOTFOUND, "the store does not say what memory the models held");
	ps_error_hint(err, "charge for compute alone: --memory-weight 0");
	return PS_ENOTFOUND;
}

/* Compute times of counters and of answers are not the same thing. */
static const char *compute_from(const struct ps_report_use *u)
{
	if (u->stated == 0)
		return "counters";
	fprintf(stderr,
		"perseus: warning: of %d of %d trials the server's counters are not known; compute "
		"times are those that it stated with its answers: a run on several CPUs counts as "
		"one, and each request of a batch as the whole batch\n",
		u->stated, u->stated + u->counted);
	return u->counted == 0 ? "answers" : "both";
}

static enum ps_status bill(const struct bill_options *o, struct ps_cli_answered *a,
			   const struct ps_cli_pricing *p, struct ps_error *err)
{
	struct ps_cost_bill_row use[PS_STORE_MAX_TENANTS];
	struct ps_cost_bill b = {.rows = use};
	const struct ps_cost_price *price = NULL;
	struct ps_report_use of = {0};
	double usd_per_hour;
	int set = 0;
	enum ps_status st = find_set(a->campaign, o->set, &set, err);

	if (st == PS_OK)
		st = read_period(o, a->campaign, &b, err);
	if (st == PS_OK)
		st = ps_cli_pricing_find(p, o->priced_as, &price, &usd_per_hour, err);
	if (st == PS_OK)
		st = check_hours(&b, p, err);
	if (st == PS_OK)
		st = ps_report_bill_use(&a->answer, set, use, &of, err);
	if (st != PS_OK)
		return st;
	st = ps_cli_bill_machine(&o->bill, p, price, &b, err);
	if (st != PS_OK)
		return st;
	ps_cli_warn_price(p->today, price);
	ps_cli_warn_slice(a->campaign, price);
	b.row_len = (size_t)a->campaign->sets[set].member_len;
	b.resource = a->campaign->sets[set].name;
	b.measured_ns = of.measured_ns;
	st = check_memory(&b, of.has_memory, err);
	if (st != PS_OK)
		return st;
	b.compute_from = compute_from(&of);
	return ps_cli_bill_print(&b, o->json, o->csv, err);
}

static int run(void *options)
{
	const struct bill_options *o = options;
	struct ps_cli_priced p = {0};
	struct ps_error err;
	enum ps_status st = ps_cli_priced_open(o->store, o->campaign, &o->price, &p, &err);

	if (st == PS_OK)
		st = bill(o, &p.answered, &p.pricing, &err);
	ps_cli_priced_close(&p);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_report_bill = {.name = "bill", .schema = &schema, .run = run};
