/* cmd_report.c - perseus report: what a campaign found, as text, page, table or JSON. */
#include "base/clock.h"
#include "base/file.h"
#include "cli/cli.h"
#include "report/agree.h"
#include "report/report.h"
#include "report/versus.h"
#include "report_published_internal.h"
#include "report_sheets_internal.h"
#include "report_verbs_internal.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct report_options {
	char *store, *html, *csv, *markdown, *plan, *published, *against_store;
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
		.help = "Show this plan, too: the JSON of perseus plan, or predictions held "
			"against "
			"measurements in the same form (docs/report.md).",
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
		.name = "prices",
		.type = PS_CONF_TEXTS,
		.offset = offsetof(struct report_options, prices),
		.metavar = "SHEET",
		.help = "A price sheet whose rows the page of --html offers for its what-if; "
			"repeat it for several.",
		.min = 0,
		.max = PS_CLI_MAX_SHEETS,
	},
	{
		.name = "against",
		.type = PS_CONF_INT,
		.offset = offsetof(struct report_options, against),
		.metavar = "ID",
		.help = "Compare the campaign with this one instead of showing it: do cells that "
			"both measured agree, and which differences are real? Also as a page "
			"(--html) or Markdown. Exit code 1: they do not agree, or nothing can be "
			"compared.",
		.min = 1,
		.max = 0,
	},
	{
		.name = "against-store",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct report_options, against_store),
		.metavar = "FILE",
		.help = "The store of that other campaign, when it is another file; without "
			"--against its latest one.",
	},
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
		   "perseus report study.db --published published.yaml --html study.html\n"
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

static enum ps_status write_file(const char *path, struct ps_strbuf *out, struct ps_error *err)
{
	if (ps_strbuf_status(out) != PS_OK)
		return ps_error_set(err, PS_ENOMEM, "no memory for %s", path);
	return ps_file_write(path, out->data, out->len, err);
}

static enum ps_status write_html(const struct ps_report_answer *a, const char *path,
				 struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	enum ps_status st = ps_report_html(a, &out, err);
	if (st == PS_OK)
		st = write_file(path, &out, err);
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
	enum ps_status st = write_file(path, &out, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status write_markdown(const struct ps_report_answer *a, const char *path,
				     struct ps_error *err)
{
	struct ps_strbuf out;

	ps_strbuf_init(&out);
	ps_report_markdown(a, &out);
	enum ps_status st = write_file(path, &out, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status read_plan(const char *path, struct ps_report_plan *ret_plan,
				struct ps_error *err)
{
	char *text = NULL, where[sizeof err->where];
	size_t len = 0;
	enum ps_status st = ps_file_read(path, PS_REPORT_PLAN_MAX_BYTES, &text, &len, err);

	if (st != PS_OK)
		return st;
	st = ps_report_plan_parse(text, len, ret_plan, err);
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
	enum ps_status st;

	ps_strbuf_init(&out);
	ps_report_text(a, ps_cli_width(STDOUT_FILENO), &out);
	st = ps_strbuf_status(&out);
	if (st != PS_OK)
		ps_error_set(err, st, "no memory for the report");
	else
		st = ps_cli_print(out.data, out.len, err);
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status check_prices(const struct report_options *o, struct ps_error *err)
{
	bool page = o->html && o->against == 0 && !o->against_store && !o->list;

	if (o->prices.len == 0 || page)
		return PS_OK;
	ps_error_set(err, PS_EUSAGE, "--prices is for the controls of a campaign's page");
	ps_error_hint(err, "write the page with --html FILE; other prices in text: perseus report "
			   "cost");
	return PS_EUSAGE;
}

static bool is_of_two(const struct report_options *o)
{
	return o->against > 0 || o->against_store;
}

static enum ps_status check_published(const struct report_options *o, struct ps_error *err)
{
	if (o->published && is_of_two(o)) {
		ps_error_set(err, PS_EUSAGE, "published figures stand beside one campaign");
		ps_error_where(err, "--published");
		ps_error_hint(err, "leave --against and --against-store out");
		return PS_EUSAGE;
	}
	if (o->published || o->table <= PS_REPORT_TABLES)
		return PS_OK;
	ps_error_set(err, PS_EUSAGE, "the table %s is of published figures", tables[o->table]);
	ps_error_where(err, "--table");
	ps_error_hint(err, "name their file with --published");
	return PS_EUSAGE;
}

static enum ps_status show(const struct report_options *o, const struct ps_store_campaign *c,
			   struct ps_error *err)
{
	struct ps_report_answer a = {0};
	struct ps_report_plan plan = {0};
	struct ps_cli_published published = {0};
	struct ps_cli_sheets sheets = {0};
	enum ps_status st = o->plan ? read_plan(o->plan, &plan, err) : PS_OK;

	if (st == PS_OK)
		st = ps_cli_sheets_open(&o->prices, &sheets, err);
	if (st == PS_OK)
		st = ps_report_build(c, &a, err);
	a.plan = o->plan ? &plan : NULL;
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
	ps_cli_published_close(&published);
	ps_cli_sheets_close(&sheets);
	ps_report_plan_free(&plan);
	return st;
}

/* ---- two campaigns ---- */

static enum ps_status print_agreement(const struct ps_report_agreement *g, bool as_json,
				      struct ps_error *err)
{
	struct ps_strbuf out;

	if (as_json)
		return ps_cli_print_json(ps_report_agree_json(g), err);
	ps_strbuf_init(&out);
	ps_report_agree_text(g, ps_cli_width(STDOUT_FILENO), &out);
	enum ps_status st = ps_strbuf_status(&out);
	st = st == PS_OK ? ps_cli_print(out.data, out.len, err)
			 : ps_error_set(err, st, "no memory for the comparison");
	ps_strbuf_fini(&out);
	return st;
}

/* The page and Markdown show both campaigns, too. */
static enum ps_status write_versus(const struct report_options *o,
				   const struct ps_store_campaign *a,
				   const struct ps_store_campaign *b,
				   const struct ps_report_agreement *g, struct ps_error *err)
{
	struct ps_report_answer x = {0}, y = {0};
	struct ps_strbuf page, markdown;
	enum ps_status st = ps_report_build(a, &x, err);

	ps_strbuf_init(&page);
	ps_strbuf_init(&markdown);
	if (st == PS_OK)
		st = ps_report_build(b, &y, err);
	if (st == PS_OK && o->html)
		st = ps_report_versus_html(&x, &y, g, &page, err);
	if (st == PS_OK && o->html)
		st = write_file(o->html, &page, err);
	if (st == PS_OK && o->markdown) {
		ps_report_versus_markdown(&x, &y, g, &markdown);
		st = write_file(o->markdown, &markdown, err);
	}
	ps_strbuf_fini(&page);
	ps_strbuf_fini(&markdown);
	ps_report_fini(&x);
	ps_report_fini(&y);
	return st;
}

static enum ps_status compare(const struct report_options *o, const struct ps_store_campaign *a,
			      bool *ret_agrees, struct ps_error *err)
{
	struct ps_store_campaign *b = NULL;
	struct ps_store *s = NULL;
	struct ps_report_agreement g;
	const char *path = o->against_store ? o->against_store : o->store;
	enum ps_status st = ps_store_open(path, PS_STORE_READ, &s, err);

	if (st == PS_OK)
		st = ps_store_campaign_read(s, o->against, &b, err);
	if (st == PS_OK)
		st = ps_report_agree(a, b, &g, err);
	if (st == PS_OK) {
		*ret_agrees = g.agrees;
		if (o->html || o->markdown)
			st = write_versus(o, a, b, &g, err);
		if (st == PS_OK)
			st = print_agreement(&g, o->json, err);
		ps_report_agree_free(&g);
	}
	ps_store_campaign_free(b);
	ps_store_close(s);
	return st;
}

static int run(void *options)
{
	const struct report_options *o = options;
	struct ps_store_campaign *c = NULL;
	struct ps_store *s = NULL;
	bool agrees = true;
	struct ps_error err;
	enum ps_status st = check_prices(o, &err);

	if (st == PS_OK)
		st = check_published(o, &err);
	if (st == PS_OK)
		st = ps_store_open(o->store, PS_STORE_READ, &s, &err);
	if (st == PS_OK && o->list) {
		st = print_listing(s, o->json, &err);
	} else if (st == PS_OK) {
		st = ps_store_campaign_read(s, o->campaign, &c, &err);
		if (st == PS_OK && is_of_two(o))
			st = compare(o, c, &agrees, &err);
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
