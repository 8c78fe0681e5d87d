/* report_loads.c - perseus report loads: machine savings from nearly idle tenants to busy ones. */
#include "base/units.h"
#include "report/loads.h"
#include "report_verbs_internal.h"

#include <string.h>

struct loads_options {
	char *store, *csv, *against_store;
	int64_t campaign, against;
	struct ps_conf_texts loads;
	bool json;
};

#define NONE	 "No set of several tenants has its capacities: nothing to tell.\n"
#define FIELD(f) offsetof(struct loads_options, f)

static const struct ps_conf_option rows[] = {
	PS_CLI_CAMPAIGN(struct loads_options, "The results store that perseus measure wrote."),
	{.name = "load",
	 .type = PS_CONF_TEXTS,
	 .offset = FIELD(loads),
	 .metavar = "SHARE",
	 .help = "How busy every tenant is, in shares of what it can do alone: 25%; repeat it "
		 "for several. Left out: 5% and 10% to 60%.",
	 .min = 0,
	 .max = PS_REPORT_MAX_LOADS},
	PS_CLI_AGAINST(struct loads_options,
		       "Another campaign of the same tenants, such as one with another "
		       "server.order, asked for the same rates: its columns stand beside."),
	{.name = "csv",
	 .type = PS_CONF_TEXT,
	 .offset = FIELD(csv),
	 .metavar = "FILE",
	 .help = "Write the table for other tools."},
	PS_CLI_JSON(struct loads_options),
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus report loads",
	.summary = "Whole machines saved by sharing, from nearly idle tenants to busy ones.",
	.details = "Computes from the capacities in the store; nothing is measured again. Every "
		   "tenant of a set is asked for the same share of what it can do alone. Formulas: "
		   "docs/cost.md.",
	.example = "perseus report loads results.db\n"
		   "perseus report loads results.db --load 25% --load 75%\n"
		   "perseus report loads fair.db --against-store arrival.db",
	.options = rows,
	.size = sizeof(struct loads_options),
	.where_offset = SIZE_MAX,
};

/* "25%", 0.25. */
static enum ps_status read_load(const char *text, double *ret_load, struct ps_error *err)
{
	size_t n = strcspn(text, "%");
	char number[40];

	if (n < sizeof number && strcmp(text + n, text[n] ? "%" : "") == 0) {
		memcpy(number, text, n);
		number[n] = '\0';
		if (ps_units_parse_double(number, ret_load, NULL) == PS_OK) {
			*ret_load = text[n] ? *ret_load / 100 : *ret_load;
			if (*ret_load > 0 && *ret_load <= 1)
				return PS_OK;
		}
	}
	ps_error_set(err, PS_EUSAGE, "'%.60s' is no load from over 0 to 100%%", text);
	ps_error_where(err, "--load");
	return PS_EUSAGE;
}

static enum ps_status show(const struct loads_options *o, struct ps_cli_answered *a,
			   const struct ps_report_answer *against, struct ps_error *err)
{
	double shares[PS_REPORT_MAX_LOADS];
	struct ps_report_loads_question q = {.shares = o->loads.len ? shares : NULL,
					     .len = o->loads.len,
					     .set = -1,
					     .against = against};
	struct ps_report_table t;
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < o->loads.len && st == PS_OK; i++)
		st = read_load(o->loads.items[i], &shares[i], err);
	if (st == PS_OK)
		st = ps_report_loads_build(&a->answer, &q, &t, err);
	if (st == PS_OK && o->csv)
		st = ps_cli_table_csv(&t, o->csv, err);
	if (st == PS_OK)
		st = o->json ? ps_cli_tables_json(a, &t, 1, err)
			     : ps_cli_tables_text(t.row_len ? "" : NONE, &t, 1, err);
	return st;
}

static int run(void *options)
{
	const struct loads_options *o = options;
	bool two = PS_CLI_IS_OF_TWO(o);
	struct ps_cli_answered a = {0}, b = {0};
	struct ps_error err;
	enum ps_status st = ps_cli_answer_open(o->store, o->campaign, &a, &err);

	if (st == PS_OK && two)
		st = ps_cli_answer_open(o->against_store ? o->against_store : o->store, o->against,
					&b, &err);
	if (st == PS_OK)
		st = show(o, &a, two ? &b.answer : NULL, &err);
	ps_cli_answer_close(&b);
	ps_cli_answer_close(&a);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

const struct ps_cli_command ps_cli_report_loads = {.name = "loads", .schema = &schema, .run = run};
