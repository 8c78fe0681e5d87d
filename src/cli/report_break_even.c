/* report_break_even.c - perseus report break-even: from what rate on another machine is cheaper. */
#include "price_options_internal.h"
#include "report/costs.h"
#include "report_break_even_internal.h"
#include "report_verbs_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct even_options {
	char *store, *against_store, *tenant, *priced_as, *against_priced_as;
	int64_t campaign, against, points;
	double against_capacity, up_to;
	struct ps_cli_price_options price;
	bool json, csv;
};

#define FIELD(f) offsetof(struct even_options, f)

enum { MAX_POINTS = 10001 };

static const struct ps_conf_option rows[] = {
	{.name = "store",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(store),
	 .metavar = "RESULTS.DB",
	 .help = "The store of the campaign on the first machine.",
	 .flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED},
	{.name = "campaign",
	 .type = PS_CONF_INT,
	 .offset = FIELD(campaign),
	 .metavar = "ID",
	 .help = "Which campaign of the store; otherwise the one that started last.",
	 .min = 1,
	 .max = 0,
	 .letter = 'c'},
	{.name = "against",
	 .type = PS_CONF_INT,
	 .offset = FIELD(against),
	 .metavar = "ID",
	 .help = "The campaign on the second machine.",
	 .min = 1,
	 .max = 0},
	{.name = "against-store",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(against_store),
	 .metavar = "FILE",
	 .help = "The store of that other campaign, when it is another file; without --against its "
		 "latest one."},
	{.name = "against-capacity",
	 .type = PS_CONF_RATE,
	 .offset = FIELD(against_capacity),
	 .metavar = "RATE",
	 .help = "Instead of a second campaign: the capacity of the second machine, which is then "
		 "taken as exact and called stated, not measured.",
	 .min = 1e-6,
	 .max = 1e9},
	{.name = "tenant",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(tenant),
	 .metavar = "NAME",
	 .help = "Whose capacity alone is compared. Left out: the only tenant that has one on "
		 "both."},
	PS_CLI_PRICE(struct even_options, "Another price sheet than the campaigns' prices."),
	{.name = "priced-as",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(priced_as),
	 .metavar = "TYPE",
	 .help = "The row of the sheet for the first machine; otherwise its campaign's."},
	{.name = "against-priced-as",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(against_priced_as),
	 .metavar = "TYPE",
	 .help = "The same for the second one."},
	{.name = "up-to",
	 .type = PS_CONF_RATE,
	 .offset = FIELD(up_to),
	 .metavar = "RATE",
	 .help = "The highest rate looked at. Left out: four times the larger capacity.",
	 .min = 1e-6,
	 .max = 1e12},
	{.name = "points",
	 .type = PS_CONF_INT,
	 .offset = FIELD(points),
	 .help = "Points of the curve in --json and --csv.",
	 .def = "101",
	 .min = 2,
	 .max = MAX_POINTS},
	PS_CLI_JSON(struct even_options),
	{.name = "csv",
	 .type = PS_CONF_BOOL,
	 .offset = FIELD(csv),
	 .help = "Print the curve as CSV."},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus report break-even",
	.summary = "From what rate on one machine is cheaper than another.",
	.details =
		"Compares the cost per hour of a tenant alone on two instance types, by their "
		"capacities at the SLA: as whole machines, whose stairs may cross several times, "
		"and in parts of machines, where one type is cheaper at any rate. Crossings lie "
		"at steps of one of the two and have the interval of its capacity. Each is sure "
		"when it stands wherever both capacities lie in their intervals. docs/cost.md.",
	.example = "perseus report break-even cpu.db --against-store gpu.db --tenant shop\n"
		   "perseus report break-even cpu.db --against-capacity 250 --prices "
		   "examples/prices/aws.yaml --against-priced-as g4dn.xlarge --csv\n",
	.options = rows,
	.size = sizeof(struct even_options),
	.where_offset = SIZE_MAX,
};

/* ---- what is compared ---- */

struct side {
	struct ps_cli_answered answered;
	struct ps_cli_pricing pricing;
	const struct ps_cost_price *price;
	bool has_campaign;
};

static const struct ps_report_line *alone_line(const struct side *s, const char *tenant)
{
	const struct ps_report_answer *a = &s->answered.answer;

	for (size_t i = 0; i < a->line_len; i++)
		if (a->lines[i].alone && a->lines[i].capacity_known &&
		    strcmp(a->campaign->tenants[a->lines[i].tenant].name, tenant) == 0)
			return &a->lines[i];
	return NULL;
}

static enum ps_status no_capacity(const struct side *s, const char *tenant, struct ps_error *err)
{
	ps_error_set(err, PS_ENOTFOUND, "campaign %.100s knows no capacity alone of tenant %.100s",
		     s->answered.campaign->name, tenant);
	ps_error_hint(err, "perseus measure finds it: a campaign with a search of this tenant");
	return PS_ENOTFOUND;
}

/* The tenant that is asked for, or the only one that both sides know. */
static enum ps_status pick_tenant(const struct even_options *o, const struct side *sides,
				  const char **ret_tenant, struct ps_error *err)
{
	const struct ps_store_campaign *c = sides[0].answered.campaign;
	const char *found = NULL;

	if (o->tenant) {
		*ret_tenant = o->tenant;
		return PS_OK;
	}
	for (size_t i = 0; i < c->tenant_len; i++) {
		const char *name = c->tenants[i].name;
		if (!alone_line(&sides[0], name) ||
		    (sides[1].has_campaign && !alone_line(&sides[1], name)))
			continue;
		if (found) {
			ps_error_set(err, PS_EUSAGE,
				     "several tenants can be compared, %s and %s: say --tenant "
				     "NAME",
				     found, name);
			return PS_EUSAGE;
		}
		found = name;
	}
	*ret_tenant = found;
	if (!found)
		ps_error_set(err, PS_ENOTFOUND, "no tenant has a capacity alone on both machines");
	return found ? PS_OK : PS_ENOTFOUND;
}

static enum ps_status open_second(const struct even_options *o, struct side *s,
				  struct ps_error *err)
{
	bool campaign = o->against > 0 || o->against_store, stated = o->against_capacity > 0;

	if (campaign == stated) {
		ps_error_set(err, PS_EUSAGE,
			     stated ? "--against-capacity and a second campaign exclude each other"
				    : "what to compare with is missing");
		ps_error_hint(err, "--against ID, --against-store FILE, or --against-capacity RATE "
				   "with --against-priced-as TYPE");
		return PS_EUSAGE;
	}
	if (stated && o->against_priced_as)
		return PS_OK;
	if (stated) {
		ps_error_set(err, PS_EUSAGE, "what the second machine costs is missing");
		ps_error_hint(err, "name its row of a sheet: --against-priced-as TYPE --prices "
				   "SHEET");
		return PS_EUSAGE;
	}
	s->has_campaign = true;
	return ps_cli_answer_open(o->against_store ? o->against_store : o->store, o->against,
				  &s->answered, err);
}

static enum ps_status open_sides(const struct even_options *o, struct side sides[2],
				 struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (o->json && o->csv) {
		ps_error_set(err, PS_EUSAGE, "--json and --csv exclude each other");
		return PS_EUSAGE;
	}
	sides[0].has_campaign = true;
	st = ps_cli_answer_open(o->store, o->campaign, &sides[0].answered, err);
	if (st == PS_OK)
		st = open_second(o, &sides[1], err);
	for (int i = 0; i < 2 && st == PS_OK; i++) {
		const struct ps_store_campaign *c = sides[i].answered.campaign;
		st = ps_cli_pricing_open(&o->price, c ? &c->price : NULL, &sides[i].pricing, err);
	}
	return st;
}

/* Two campaigns are of one tenant when it asks the same of both. */
static enum ps_status check_same(const struct side sides[2], const char *tenant,
				 struct ps_error *err)
{
	const struct ps_report_line *a = alone_line(&sides[0], tenant),
				    *b = alone_line(&sides[1], tenant);
	const struct ps_store_tenant *x = &sides[0].answered.campaign->tenants[a->tenant],
				     *y = &sides[1].answered.campaign->tenants[b->tenant];
	char first[PS_SLA_SIZE], second[PS_SLA_SIZE];

	if (a->batch != b->batch)
		return ps_error_set(err, PS_EINVAL,
				    "requests of %.60s have %g inferences in one campaign and "
				    "%g in the other: their rates cannot be compared",
				    tenant, a->batch, b->batch);
	if (strcmp(ps_sla_format(&x->sla, first), ps_sla_format(&y->sla, second)) != 0)
		fprintf(stderr, "perseus: warning: the SLA of %s differs: %s and %s\n", tenant,
			first, second);
	if (strcmp(x->model, y->model) != 0)
		fprintf(stderr, "perseus: warning: the model of %s differs: %s and %s\n", tenant,
			x->model, y->model);
	return PS_OK;
}

static enum ps_status fill_type(struct side *s, const char *priced_as, const char *tenant,
				double stated_rps, struct ps_cost_type *ret, struct ps_error *err)
{
	const struct ps_report_line *l = s->has_campaign ? alone_line(s, tenant) : NULL;
	enum ps_status st =
		ps_cli_pricing_find(&s->pricing, priced_as, &s->price, &ret->usd_per_hour, err);

	if (st != PS_OK)
		return st;
	if (s->has_campaign && !l)
		return no_capacity(s, tenant, err);
	ps_cli_warn_price(s->pricing.today, s->price);
	if (s->has_campaign)
		ps_cli_warn_slice(s->answered.campaign, s->price);
	ret->name = priced_as ? priced_as : s->price->instance_type;
	ret->capacity_rps = l ? l->capacity_rps : ps_stats_exactly(stated_rps);
	return ps_cost_type_check(ret, err);
}

static enum ps_status print_result(const struct even_options *o, const struct ps_cli_break_even *r,
				   struct ps_error *err)
{
	struct ps_strbuf out;

	if (o->json)
		return ps_cli_print_json(ps_cli_break_even_json(r), err);
	ps_strbuf_init(&out);
	if (o->csv)
		ps_cli_break_even_csv(r, &out);
	else
		ps_cli_break_even_text(r, &out);
	enum ps_status st = ps_cli_out_print(&out, err);
	ps_strbuf_fini(&out);
	return st;
}

/* ---- the command ---- */

static enum ps_status compare(const struct even_options *o, struct side sides[2],
			      struct ps_error *err)
{
	struct ps_cost_crossing *crossings = calloc(PS_CLI_MAX_CROSSINGS, sizeof *crossings);
	struct ps_cli_break_even r = {.stated = !sides[1].has_campaign,
				      .points = (size_t)o->points,
				      .crossings = crossings};

	if (!crossings) {
		ps_error_set(err, PS_ENOMEM, "no memory for a curve");
		return PS_ENOMEM;
	}
	enum ps_status st = pick_tenant(o, sides, &r.tenant, err);
	if (st == PS_OK)
		st = fill_type(&sides[0], o->priced_as, r.tenant, 0, &r.types[0], err);
	if (st == PS_OK)
		st = fill_type(&sides[1], o->against_priced_as, r.tenant, o->against_capacity,
			       &r.types[1], err);
	if (st == PS_OK && sides[1].has_campaign)
		st = check_same(sides, r.tenant, err);
	r.up_to = o->up_to > 0
			  ? o->up_to
			  : 4 * fmax(r.types[0].capacity_rps.value, r.types[1].capacity_rps.value);
	if (st == PS_OK)
		st = ps_cost_break_even(r.types, r.up_to, crossings, PS_CLI_MAX_CROSSINGS,
					&r.crossing_len, err);
	if (st == PS_OK)
		st = print_result(o, &r, err);
	free(crossings);
	return st;
}

static int run(void *options)
{
	const struct even_options *o = options;
	struct side sides[2] = {0};
	struct ps_error err;
	enum ps_status st = open_sides(o, sides, &err);

	if (st == PS_OK)
		st = compare(o, sides, &err);
	for (int i = 0; i < 2; i++) {
		ps_cli_pricing_close(&sides[i].pricing);
		ps_cli_answer_close(&sides[i].answered);
	}
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_report_break_even = {
	.name = "break-even", .schema = &schema, .run = run};
