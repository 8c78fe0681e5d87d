/* cmd_report.c - perseus report: what a campaign found, as text, page, table or JSON. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "report/policies.h"
#include "report/report.h"
#include "report_published_internal.h"
#include "report_sheets_internal.h"
#include "report_verbs_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct report_options {
	char *store, *html, *csv, *markdown, *plan, *predictions, *published, *policies,
		*against_store;
	struct ps_conf_texts prices;
	int64_t campaign, against;
	int table;
	bool json, list;
};

/* In the order of enum ps_report_table_id, after the lines; then of enum ps_report_beside_table. */
static const char *const tables[] = {"lines",  "interference", "frontier",  "packing",
				     "cold",   "batches",      "operators", "peaks",
				     "points", "loads",	       NULL};

static const struct ps_conf_option rows[] = {
	{
		.name = "store",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, store),
		.metavar = "RESULTS.DB",
		.help = "The results store that perseus measure wrote.",
		.flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	},
	{
		.name = "campaign",
		.type = PS_CONF_INT,
		.offset = offsetof(struct report_options, campaign),
		.metavar = "ID",
		.help = "Which campaign of the store, by its number in --list; otherwise the one "
			"that started last.",
		.min = 1,
		.max = 0,
		.letter = 'c',
	},
	{
		.name = "html",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, html),
		.metavar = "FILE",
		.help = "Write the report as one page with figures that opens offline.",
	},
	{
		.name = "csv",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, csv),
		.metavar = "FILE",
		.help = "Write one table for other tools.",
	},
	{
		.name = "table",
		.type = PS_CONF_ENUM,
		.offset = offsetof(struct report_options, table),
		.choices = tables,
		.def = "lines",
		.help = "Which table --csv writes: lines has one row per tenant and set; the last "
			"three are of --published.",
	},
	{
		.name = "markdown",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, markdown),
		.metavar = "FILE",
		.help = "Write the tables as Markdown, for an issue, a wiki or a mail.",
	},
	{
		.name = "plan",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, plan),
		.metavar = "FILE",
		.help = "Show this plan, too, and how it was measured: the JSON of perseus plan "
			"(docs/report.md).",
	},
	{
		.name = "predictions",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, predictions),
		.metavar = "FILE",
		.help = "Show these predictions against measurements, too: the JSON of perseus "
			"predict --validate.",
	},
	{
		.name = "published",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, published),
		.metavar = "FILE",
		.help = "Also show these published figures of two models, beside the campaign's "
			"(YAML, docs/report.md; examples/perseus-2020/published.yaml).",
	},
	{
		.name = "policies",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, policies),
		.metavar = "FILE",
		.help = "Also show these policies for sharing the memory for models: the JSON of "
			"perseus cache simulate.",
	},
	{
		.name = "prices",
		.type = PS_CONF_TEXTS,
		.offset = offsetof(struct report_options, prices),
		.metavar = "SHEET",
		.help = "A price sheet whose rows the page of --html offers for its what-if; "
			"repeat it for several.",
		.min = 0,
		.max = PS_CLI_MAX_SHEETS,
	},
	PS_CLI_AGAINST(
		struct report_options,
		"Compare the campaign with this one instead of showing it: do cells that both "
		"measured agree, and which differences are real? Also as a page (--html), "
		"Markdown or CSV. Exit code 1: they do not agree, or nothing was measured "
		"twice under the same conditions."),
	PS_CLI_JSON(struct report_options),
	{
		.name = "list",
		.type = PS_CONF_BOOL,
		.offset = offsetof(struct report_options, list),
		.help = "List the campaigns of the store instead.",
	},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus report",
	.summary = "Show what a campaign found: text, a page, CSV or JSON.",
	.details = "The text on standard output answers for the demand rates first, then says what "
		   "sharing does at full load, and lists every number with its interval. A figure "
		   "that the data do not support is \"-\" or says how many more requests it needs.",
	.example = "perseus report results.db\n"
		   "perseus report results.db --html report.html --csv report.csv\n"
		   "perseus report results.db --html report.html --plan plan.json\n"
		   "perseus report results.db --html report.html --predictions validated.json\n"
		   "perseus report study.db --published published.yaml --html study.html\n"
		   "perseus report results.db --html report.html --policies simulated.json\n"
		   "perseus report new.db --against-store old.db --html compared.html\n"
		   "perseus report results.db --json",
	.options = rows,
	.size = sizeof(struct report_options),
	.where_offset = SIZE_MAX,
};

static json_t *listing_json(const struct ps_store_listing *list, size_t n)
{
	json_t *all = json_array();

	for (size_t i = 0; i < n; i++) {
		json_t *o = json_object();
		ps_json_set_int(o, "id", list[i].id);
		ps_json_set_string(o, "name", list[i].name);
		ps_json_set_int(o, "started_unix_ms", list[i].started_wall_ns / PS_NS_PER_MS);
		ps_json_set_int(o, "cells", list[i].cells);
		ps_json_set_int(o, "cells_done", list[i].done);
		ps_json_set_int(o, "cells_failed", list[i].failed);
		json_array_append_new(all, o);
	}
	return all;
}

static enum ps_status print_listing(struct ps_store *s, bool as_json, struct ps_error *err)
{
	struct ps_store_listing *list;
	struct ps_strbuf out;
	size_t n;
	enum ps_status st = ps_store_list(s, &list, &n, err);

	if (st != PS_OK)
		return st;
	if (as_json) {
		json_t *o = json_object();
		json_object_set_new(o, "campaigns", listing_json(list, n));
		free(list);
		return ps_cli_print_json(o, err);
	}
	ps_strbuf_init(&out);
	ps_strbuf_puts(&out, "   id  started (UTC)     cells  name\n");
	for (size_t i = 0; i < n; i++) {
		char iso[PS_CLOCK_ISO_SIZE];
		ps_clock_wall_iso(list[i].started_wall_ns, iso);
		ps_strbuf_printf(&out, "%5lld  %.16s  %2d/%-3d %s\n", (long long)list[i].id, iso,
				 list[i].done, list[i].cells, list[i].name);
	}
	free(list);
	st = ps_cli_print(out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_html(const struct ps_report_answer *a, const char *path,
				 struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	enum ps_status st = ps_report_html(a, &out, err);
	if (st == PS_OK)
		st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_csv(const struct ps_report_answer *a, int table, const char *path,
				struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	if (table == 0)
		ps_report_csv(a, &out);
	else if (table <= PS_REPORT_TABLES)
		ps_report_table_csv(&a->tables[table - 1], &out);
	else
		ps_report_table_csv(&a->beside->tables[table - 1 - PS_REPORT_TABLES], &out);
	enum ps_status st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_markdown(const struct ps_report_answer *a, const char *path,
				     struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_markdown(a, &out);
	enum ps_status st = ps_cli_out_write(&out, path, err);
	ps_strbuf_fini(&out);
	return st;
}

/* A plan, or what is added to one. */
static enum ps_status read_json(const char *path,
				enum ps_status (*parse)(const char *, size_t,
							struct ps_report_plan *, struct ps_error *),
				struct ps_report_plan *plan, struct ps_error *err)
{
	char *text = NULL, where[sizeof err->where];
	size_t len = 0;
	enum ps_status st = ps_file_read(path, PS_REPORT_PLAN_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = parse(text, len, plan, err);
	free(text);
	if (st != PS_OK) {
		snprintf(where, sizeof where, "%s", err->where);
		ps_error_where(err, "%s: %s", path, where);
	}
	return st;
}

static enum ps_status read_policies(const char *path, json_t **ret_shown, struct ps_error *err)
{
	char *text = NULL, where[sizeof err->where];
	size_t len = 0;
	enum ps_status st = ps_file_read(path, PS_REPORT_POLICIES_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_report_policies_parse(text, len, ret_shown, err);
	free(text);
	if (st != PS_OK) {
		snprintf(where, sizeof where, "%s", err->where);
		ps_error_where(err, "%s: %s", path, where);
	}
	return st;
}

static enum ps_status print_text(const struct ps_report_answer *a, struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_text(a, ps_cli_width(STDOUT_FILENO), &out);
	enum ps_status st = ps_cli_out_print(&out, err);
	ps_strbuf_fini(&out);
	return st;
}

/* ---- what does not go together ---- */

static enum ps_status refuse(const char *option, const char *what, const char *hint,
			     struct ps_error *err)
{
	ps_error_set(err, PS_EUSAGE, "%s", what);
	ps_error_where(err, "%s", option);
	ps_error_hint(err, "%s", hint);
	return PS_EUSAGE;
}

/* Nothing that was asked for is left out without a word. */
static enum ps_status check_alone(const struct report_options *o, struct ps_error *err)
{
	const struct {
		const char *option;
		bool given, of_two; /* of_two: a comparison has it, too */
	} given[] = {
		{"--html", o->html, true},
		{"--csv", o->csv, true},
		{"--markdown", o->markdown, true},
		{"--against", o->against > 0, true},
		{"--against-store", o->against_store, true},
		{"--table", o->table > 0, false},
		{"--plan", o->plan, false},
		{"--predictions", o->predictions, false},
		{"--published", o->published, false},
		{"--policies", o->policies, false},
		{"--prices", o->prices.len > 0, false},
	};

	for (size_t i = 0; i < sizeof given / sizeof *given; i++) {
		if (given[i].given && o->list)
			return refuse(given[i].option, "--list lists the campaigns and shows none",
				      "leave one of the two out", err);
		if (given[i].given && !given[i].of_two && PS_CLI_IS_OF_TWO(o))
			return refuse(given[i].option,
				      "a comparison of two campaigns does not have this; it is of "
				      "one campaign",
				      "leave --against and --against-store out", err);
	}
	return PS_OK;
}

static enum ps_status check(const struct report_options *o, struct ps_error *err)
{
	enum ps_status st = check_alone(o, err);

	if (st != PS_OK)
		return st;
	if (o->prices.len > 0 && !o->html)
		return refuse("--prices", "--prices is for the controls of a campaign's page",
			      "write the page with --html FILE; other prices in text: perseus "
			      "report cost",
			      err);
	if (o->table > 0 && !o->csv)
		return refuse("--table", "a table is chosen for --csv", "name its file: --csv FILE",
			      err);
	if (!o->published && o->table > PS_REPORT_TABLES)
		return refuse("--table", "this table is of published figures",
			      "name their file with --published", err);
	return PS_OK;
}

static enum ps_status show(const struct report_options *o, const struct ps_store_campaign *c,
			   struct ps_error *err)
{
	struct ps_report_answer a = {0};
	struct ps_report_plan plan = {0};
	struct ps_cli_published published = {0};
	struct ps_cli_sheets sheets = {0};
	json_t *policies = NULL;
	enum ps_status st = o->plan ? read_json(o->plan, ps_report_plan_parse, &plan, err) : PS_OK;

	if (st == PS_OK && o->predictions)
		st = read_json(o->predictions, ps_report_plan_predictions, &plan, err);
	if (st == PS_OK)
		st = ps_cli_sheets_open(&o->prices, &sheets, err);
	if (st == PS_OK)
		st = ps_report_build(c, &a, err);
	if (st == PS_OK && o->policies)
		st = read_policies(o->policies, &policies, err);
	a.plan = o->plan || o->predictions ? &plan : NULL;
	a.policies = policies;
	a.sheets = sheets.sheets;
	a.sheet_len = sheets.len;
	if (st == PS_OK && o->published)
		st = ps_cli_published_open(o->published, &a, &published, err);
	if (st == PS_OK && o->html)
		st = write_html(&a, o->html, err);
	if (st == PS_OK && o->csv)
		st = write_csv(&a, o->table, o->csv, err);
	if (st == PS_OK && o->markdown)
		st = write_markdown(&a, o->markdown, err);
	if (st == PS_OK)
		st = o->json ? ps_cli_print_json(ps_report_json(&a, false), err)
			     : print_text(&a, err);
	ps_report_fini(&a);
	json_decref(policies);
	ps_cli_published_close(&published);
	ps_cli_sheets_close(&sheets);
	ps_report_plan_free(&plan);
	return st;
}

static int run(void *options)
{
	const struct report_options *o = options;
	const struct ps_cli_two two = {.store = o->store,
				       .against_store = o->against_store,
				       .against = o->against,
				       .html = o->html,
				       .csv = o->csv,
				       .markdown = o->markdown,
				       .json = o->json};
	struct ps_store_campaign *c = NULL;
	struct ps_store *s = NULL;
	bool agrees = true;
	struct ps_error err;
	enum ps_status st = check(o, &err);

	if (st == PS_OK)
		st = ps_store_open(o->store, PS_STORE_READ, &s, &err);
	if (st == PS_OK && o->list) {
		st = print_listing(s, o->json, &err);
	} else if (st == PS_OK) {
		st = ps_store_campaign_read(s, o->campaign, &c, &err);
		if (st == PS_OK && PS_CLI_IS_OF_TWO(o))
			st = ps_cli_report_two(&two, c, &agrees, &err);
		else if (st == PS_OK)
			st = show(o, c, &err);
	}
	ps_store_campaign_free(c);
	ps_store_close(s);
	if (st != PS_OK)
		return ps_cli_fail(&err);
	return agrees ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

static const struct ps_cli_command *const verbs[] = {&ps_cli_report_cost, &ps_cli_report_loads,
						     &ps_cli_report_break_even, &ps_cli_report_bill,
						     NULL};

const struct ps_cli_command ps_cmd_report = {
	.name = "report",
	.schema = &schema,
	.run = run,
	.verbs = verbs,
};
