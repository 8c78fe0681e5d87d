/* report_break_even.c - perseus report break-even: from what rate on another machine is cheaper. */
#include "report_break_even_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct even_options {
	char *store, *against_store, *tenant, *set, *priced_as, *against_priced_as;
	int64_t campaign, against, points;
	double against_capacity, up_to;
	struct ps_cli_price_options price;
	bool json, csv;
};

#define FIELD(f) offsetof(struct even_options, f)

enum { MAX_POINTS = 10001 };

static const struct ps_conf_option rows[] = {
	PS_CLI_CAMPAIGN(struct even_options, "The store of the campaign on the first machine."),
	PS_CLI_AGAINST(struct even_options, "The campaign on the second machine."),
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
	{.name = "set",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(set),
	 .metavar = "NAME",
	 .help = "Instead of a tenant: a set of them on shared machines, in the mix that was "
		 "searched. Rates and --against-capacity are then the sum of its tenants' rates."},
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
		"Compares the cost per hour of a tenant alone, or of a set on shared machines, on "
		"two instance types, by their capacities at the SLA: as whole machines, whose "
		"stairs may cross several times, "
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

static enum ps_status open_second(const struct even_options *o, struct ps_cli_even_side *s,
				  struct ps_error *err)
{
	bool campaign = PS_CLI_IS_OF_TWO(o), stated = o->against_capacity > 0;

	if (campaign == stated) {
		ps_error_set(err, PS_EUSAGE,
			     stated ? "--against-capacity and a second campaign exclude each other"
				    : "what to compare with is missing");
		ps_error_hint(err, "--against ID, --against-store FILE, or --against-capacity RATE "
				   "with --against-priced-as TYPE");
		return PS_EUSAGE;
	}
	if (stated && o->against_priced_as)
		return ps_cli_pricing_open(&o->price, NULL, &s->priced.pricing, err);
	if (stated) {
		ps_error_set(err, PS_EUSAGE, "what the second machine costs is missing");
		ps_error_hint(err, "name its row of a sheet: --against-priced-as TYPE --prices "
				   "SHEET");
		return PS_EUSAGE;
	}
	s->has_campaign = true;
	return ps_cli_priced_open(o->against_store ? o->against_store : o->store, o->against,
				  &o->price, &s->priced, err);
}

static enum ps_status open_sides(const struct even_options *o, struct ps_cli_even_side sides[2],
				 struct ps_error *err)
{
	if (o->json && o->csv) {
		ps_error_set(err, PS_EUSAGE, "--json and --csv exclude each other");
		return PS_EUSAGE;
	}
	sides[0].has_campaign = true;
	enum ps_status st =
		ps_cli_priced_open(o->store, o->campaign, &o->price, &sides[0].priced, err);
	return st == PS_OK ? open_second(o, &sides[1], err) : st;
}

static enum ps_status fill_type(struct ps_cli_even_side *s, const char *priced_as,
				const struct ps_cli_even_subject *u, double stated_rps,
				struct ps_cost_type *ret, struct ps_error *err)
{
	const struct ps_cli_pricing *p = &s->priced.pricing;
	enum ps_status st = ps_cli_pricing_find(p, priced_as, &s->price, &ret->usd_per_hour, err);

	ret->capacity_rps = ps_stats_exactly(stated_rps);
	if (st == PS_OK && s->has_campaign)
		st = ps_cli_even_capacity(s, u, &ret->capacity_rps, err);
	if (st != PS_OK)
		return st;
	ps_cli_warn_price(p->today, s->price);
	if (s->has_campaign)
		ps_cli_warn_slice(s->priced.answered.campaign, s->price);
	ret->name = priced_as ? priced_as : s->price->instance_type;
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

static enum ps_status find_crossings(const struct even_options *o, struct ps_cli_break_even *r,
				     struct ps_error *err)
{
	r->up_to = o->up_to > 0 ? o->up_to
				: 4 * fmax(r->types[0].capacity_rps.value,
					   r->types[1].capacity_rps.value);
	r->crossings = calloc(PS_CLI_MAX_CROSSINGS, sizeof *r->crossings);
	if (!r->crossings)
		return ps_error_set(err, PS_ENOMEM, "no memory for a curve");
	return ps_cost_break_even(r->types, r->up_to, r->crossings, PS_CLI_MAX_CROSSINGS,
				  &r->crossing_len, err);
}

static enum ps_status compare(const struct even_options *o, struct ps_cli_even_side sides[2],
			      struct ps_error *err)
{
	struct ps_cli_even_subject u;
	struct ps_cli_break_even r = {
		.subject = &u, .stated = !sides[1].has_campaign, .points = (size_t)o->points};
	enum ps_status st = ps_cli_even_pick(o->tenant, o->set, sides, &u, err);

	if (st == PS_OK)
		st = fill_type(&sides[0], o->priced_as, &u, 0, &r.types[0], err);
	if (st == PS_OK)
		st = fill_type(&sides[1], o->against_priced_as, &u, o->against_capacity,
			       &r.types[1], err);
	if (st == PS_OK && sides[1].has_campaign)
		st = ps_cli_even_check_same(sides, &u, err);
	if (st == PS_OK)
		st = find_crossings(o, &r, err);
	if (st == PS_OK)
		st = print_result(o, &r, err);
	free(r.crossings);
	return st;
}

static int run(void *options)
{
	const struct even_options *o = options;
	struct ps_cli_even_side sides[2] = {0};
	struct ps_error err;
	enum ps_status st = open_sides(o, sides, &err);

	if (st == PS_OK)
		st = compare(o, sides, &err);
	for (int i = 0; i < 2; i++)
		ps_cli_priced_close(&sides[i].priced);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_report_break_even = {
	.name = "break-even", .schema = &schema, .run = run};
