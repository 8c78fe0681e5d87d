/* serve_bill.c - perseus serve bill: a server's ledger, and what the machine's cost was split by it
 * (serve_bill_money.c). */
#include "serve/bill.h"
#include "serve/serve.h"
#include "serve_bill_money_internal.h"
#include "serve_verbs_internal.h"

#include <stdlib.h>
#include <string.h>

struct bill_options {
	char *state, *from, *to, *tenant, *model, *priced_as;
	struct ps_cli_price_options price;
	struct ps_cli_bill_options bill;
	bool json, csv, by_minute;
};

#define FIELD(f) offsetof(struct bill_options, f)

static const struct ps_conf_option rows[] = {
	{.name = "state",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(state),
	 .flags = PS_CONF_REQUIRED,
	 .metavar = "DIR",
	 .help = "Folder that the server was given as its state; it may be running."},
	{.name = "from",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(from),
	 .metavar = "INSTANT",
	 .help = "First minute, UTC: 2026-11-22, 2026-11-22T17:05 or seconds since 1970. Left out: "
		 "from the beginning."},
	{.name = "to",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(to),
	 .metavar = "INSTANT",
	 .help = "First minute that does not count. Left out: until now."},
	{.name = "tenant", .type = PS_CONF_TEXT, .offset = FIELD(tenant), .help = "Of one tenant."},
	{.name = "model", .type = PS_CONF_TEXT, .offset = FIELD(model), .help = "Of one model."},
	{.name = "by-minute",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(by_minute),
	 .help = "One row per minute instead of sums."},
	PS_CLI_JSON(struct bill_options),
	{.name = "csv",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(csv),
	 .help = "Print CSV; of a bill in money with the columns of FOCUS 1.2."},
	{.name = "priced-as",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(priced_as),
	 .metavar = "TYPE",
	 .help = "The row of the sheet that the machine is: c6i.large, aws/c6i.large.",
	 .heading = "A bill in money"},
	PS_CLI_PRICE(struct bill_options,
		     "A price sheet: what the machine cost from --from to --to is split over "
		     "tenants and models."),
	PS_CLI_BILL(struct bill_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus serve bill",
	.summary = "Say what each tenant has used.",
	.details = "Adds up a server's ledger by tenant, model and version: requests answered and "
		   "failed, inferences, lane time x CPUs held, and memory held over time. Sums are "
		   "exact. Says what may be missing: of a server that was killed, at most the last "
		   "10 s. Memory that no tenant was promised is charged to -. With --prices and "
		   "--priced-as it splits what the machine cost in that time, by compute time "
		   "and by memory over time; what nobody used is idle and stands apart, and all "
		   "of it sums to the total exactly (docs/cost.md).",
	.example = "perseus serve bill --state /var/lib/perseus --from 2026-11-01 --to 2026-12-01\n"
		   "perseus serve bill --state /var/lib/perseus --tenant alpha --by-minute --csv\n"
		   "perseus serve bill --state /var/lib/perseus --from 2026-11-01 --to 2026-12-01 "
		   "--prices examples/prices/aws.yaml --priced-as c6i.large --csv\n",
	.options = rows,
	.size = sizeof(struct bill_options),
	.where_offset = SIZE_MAX,
};

static enum ps_status parse_minutes(const struct bill_options *o, struct ps_state_query *q,
				    struct ps_error *err)
{
	enum ps_status status = PS_OK;
	if (o->from)
		status = ps_serve_bill_minute(o->from, &q->from_minute, err);
	if (status == PS_OK && o->to)
		status = ps_serve_bill_minute(o->to, &q->to_minute, err);
	if (status == PS_OK && o->json && o->csv)
		status = ps_error_set(err, PS_EUSAGE, "--json and --csv exclude each other");
	return status;
}

/* An option that only a bill in money heeds; NULL: none was given. */
static const char *money_option(const struct bill_options *o)
{
	const struct {
		bool given;
		const char *name;
	} options[] = {
		{o->price.spot_share > 0, "--spot-share"},
		{o->price.reserved_share > 0, "--reserved-share"},
		{o->price.today != NULL, "--today"},
		{o->bill.memory_weight != NULL, "--memory-weight"},
		{o->bill.vcpu > 0, "--vcpu"},
		{o->bill.memory_bytes > 0, "--memory"},
		{o->bill.account != NULL, "--account"},
	};
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++)
		if (options[i].given)
			return options[i].name;
	return NULL;
}

static enum ps_status not_of_money(const char *option, struct ps_error *err)
{
	ps_error_set(err, PS_EUSAGE, "%s belongs to a bill in money", option);
	ps_error_hint(err, "say what the machine costs: --prices SHEET --priced-as TYPE");
	return PS_EUSAGE;
}

/* Options that belong to the other form of the bill. */
static enum ps_status check_money(const struct bill_options *o, struct ps_error *err)
{
	const char *what = NULL, *hint = NULL;
	if (!o->price.prices && !o->priced_as)
		return money_option(o) ? not_of_money(money_option(o), err) : PS_OK;
	if (!o->price.prices || !o->priced_as) {
		what = "--prices and --priced-as belong together";
		hint = "examples/prices/ has sheets";
	} else if (!o->from) {
		what = "a bill in money is of a period: --from is missing";
		hint = "the machine costs from the first minute to the last, used or not";
	} else if (o->tenant || o->model || o->by_minute) {
		what = "a bill in money is of all tenants and models, in sum";
		hint = "leave --tenant, --model and --by-minute away";
	}
	if (!what)
		return PS_OK;
	ps_error_set(err, PS_EUSAGE, "%s", what);
	ps_error_hint(err, "%s", hint);
	return PS_EUSAGE;
}

static enum ps_status print_money(const struct bill_options *o, struct ps_error *err)
{
	struct ps_state_query q = {0};
	struct ps_state *state;
	struct ps_cli_ledger_bill how = {.price = &o->price,
					 .bill = &o->bill,
					 .priced_as = o->priced_as,
					 .state_dir = o->state,
					 .json = o->json,
					 .csv = o->csv};
	enum ps_status status = parse_minutes(o, &q, err);
	if (status == PS_OK)
		status = ps_state_open_reading(o->state, &state, err);
	if (status != PS_OK)
		return status;
	status = ps_cli_ledger_bill(state, &q, &how, err);
	ps_state_close(state);
	return status;
}

static enum ps_status write_bill(const struct bill_options *o, struct ps_strbuf *out,
				 struct ps_error *err)
{
	struct ps_state_query q = {
		.tenant = o->tenant, .model = o->model, .by_minute = o->by_minute};
	enum ps_serve_bill_form form = o->json	? PS_SERVE_BILL_JSON
				       : o->csv ? PS_SERVE_BILL_CSV
						: PS_SERVE_BILL_TEXT;
	struct ps_state *state;
	enum ps_status status = parse_minutes(o, &q, err);
	if (status == PS_OK)
		status = ps_state_open_reading(o->state, &state, err);
	if (status != PS_OK)
		return status;
	status = ps_serve_bill_write(state, &q, form, PS_SERVE_BILL_MAX_ROWS, out, err);
	ps_state_close(state);
	return status;
}

static int run(void *options)
{
	const struct bill_options *o = options;
	struct ps_strbuf out;
	struct ps_error err;
	ps_strbuf_init(&out);
	enum ps_status status = check_money(o, &err);
	if (status == PS_OK && o->price.prices) {
		status = print_money(o, &err);
		return status == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
	}
	if (status == PS_OK)
		status = write_bill(o, &out, &err);
	if (status == PS_OK && o->json)
		ps_strbuf_putc(&out, '\n');
	if (status == PS_OK)
		status = ps_cli_print(out.data, out.len, &err);
	ps_strbuf_fini(&out);
	return status == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_serve_bill = {.name = "bill", .schema = &schema, .run = run};
