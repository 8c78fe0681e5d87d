/* cmd_store.c - perseus store: results files merged, checked, exported. */
#include "base/file.h"
#include "cli/cli.h"
#include "store/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static enum ps_status print_strbuf(struct ps_strbuf *out, struct ps_error *err)
{
	enum ps_status st = ps_strbuf_status(out);

	st = st == PS_OK ? ps_cli_print(out->data, out->len, err)
			 : ps_error_set(err, st, "no memory for the text");
	ps_strbuf_fini(out);
	return st;
}

/* ---- merge ---- */

struct merge_options {
	struct ps_conf_texts stores;
	char *output;
	bool json;
};

static const struct ps_conf_option merge_rows[] = {
	{
		.name = "store",
		.type = PS_CONF_TEXTS,
		.offset = offsetof(struct merge_options, stores),
		.metavar = "RESULTS.DB",
		.help = "Stores that perseus measure wrote, on any machine; they are not changed.",
		.min = 1,
		.max = 1000,
		.flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	},
	{
		.name = "output",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct merge_options, output),
		.metavar = "MERGED.DB",
		.help = "Where all of them go; made when it is not there, and added to when it is.",
		.flags = PS_CONF_REQUIRED,
		.letter = 'o',
	},
	PS_CLI_JSON(struct merge_options),
	{0},
};

static const struct ps_conf_schema merge_schema = {
	.name = "perseus store merge",
	.summary = "Put the campaigns of several stores into one.",
	.details = "A campaign is the same one in every file that holds it, so merging twice "
		   "changes nothing, and of a campaign that ran on after it was copied the cells "
		   "that came further are taken. Each store is taken whole or not at all. Two "
		   "files that hold different results of one cell are refused by name, and so is "
		   "a cell whose bytes are not those that were written.",
	.example = "perseus store merge a.db b.db -o all.db",
	.options = merge_rows,
	.size = sizeof(struct merge_options),
	.where_offset = SIZE_MAX,
};

static json_t *merged_json(const char *path, const struct ps_store_merged *m)
{
	json_t *o = json_object();

	ps_json_set_string(o, "store", path);
	ps_json_set_int(o, "campaigns_new", m->campaigns);
	ps_json_set_int(o, "cells_new", m->cells);
	ps_json_set_int(o, "cells_there", m->same);
	return o;
}

static enum ps_status merge_one(struct ps_store *into, const char *path, json_t *all,
				struct ps_strbuf *text, struct ps_error *err)
{
	struct ps_store_merged m = {0};
	struct ps_store *from = NULL;
	enum ps_status st = ps_store_open(path, PS_STORE_READ, &from, err);

	if (st == PS_OK)
		st = ps_store_merge(into, from, &m, err);
	ps_store_close(from);
	if (st != PS_OK)
		return st;
	ps_strbuf_printf(text, "%s: %lld campaigns and %lld cells are new, %lld were there\n", path,
			 (long long)m.campaigns, (long long)m.cells, (long long)m.same);
	json_array_append_new(all, merged_json(path, &m));
	return PS_OK;
}

/* A file that we made and could not fill is nobody's result. */
static void remove_store(const char *path)
{
	static const char *const ends[] = {"", "-wal", "-shm"};

	for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
		char *name = NULL;
		if (asprintf(&name, "%s%s", path, ends[i]) >= 0) {
			(void)unlink(name);
			free(name);
		}
	}
}

static enum ps_status merge(const struct merge_options *o, json_t *all, struct ps_strbuf *text,
			    struct ps_error *err)
{
	struct ps_store *into = NULL;
	bool ours = !ps_file_exists(o->output);
	enum ps_status st = PS_OK;

	for (size_t i = 0; i < o->stores.len && st == PS_OK; i++)
		if (!ps_file_exists(o->stores.items[i])) {
			st = ps_error_set(err, PS_ENOTFOUND, "there is no such store");
			ps_error_where(err, "%s", o->stores.items[i]);
		}
	if (st == PS_OK)
		st = ps_store_open(o->output, PS_STORE_CREATE, &into, err);
	for (size_t i = 0; i < o->stores.len && st == PS_OK; i++)
		st = merge_one(into, o->stores.items[i], all, text, err);
	ps_store_close(into);
	if (st != PS_OK && st != PS_EINUSE && ours)
		remove_store(o->output);
	return st;
}

static int run_merge(void *options)
{
	const struct merge_options *o = options;
	struct ps_error err;
	struct ps_strbuf text;
	json_t *all = json_array();

	ps_strbuf_init(&text);
	enum ps_status st = merge(o, all, &text, &err);
	if (st == PS_OK && o->json) {
		json_t *doc = json_object();
		json_object_set(doc, "merged", all);
		st = ps_cli_print_json(doc, &err);
	} else if (st == PS_OK) {
		st = print_strbuf(&text, &err);
	}
	ps_strbuf_fini(&text);
	json_decref(all);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_cli_command merge_command = {
	.name = "merge", .schema = &merge_schema, .run = run_merge};

/* ---- check ---- */

struct check_options {
	char *store;
	bool json;
};

static const struct ps_conf_option check_rows[] = {
	{
		.name = "store",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct check_options, store),
		.metavar = "RESULTS.DB",
		.help = "The results store; it is not changed.",
		.flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	},
	PS_CLI_JSON(struct check_options),
	{0},
};

static const struct ps_conf_schema check_schema = {
	.name = "perseus store check",
	.summary = "Look whether a store is as it was written.",
	.details = "Looks at SQLite's structure, the tables of this version, rows that refer to "
		   "none, cells that are not whole, counts that disagree, and compares the "
		   "content of every campaign, cell and trial with the digest that was written "
		   "with it. Every finding names its campaign, cell and trial. The exit code is 1 "
		   "when there is one.",
	.example = "perseus store check results.db",
	.options = check_rows,
	.size = sizeof(struct check_options),
	.where_offset = SIZE_MAX,
};

struct findings {
	json_t *all;
	struct ps_strbuf text;
};

static bool on_finding(void *ctx, const struct ps_store_finding *f)
{
	struct findings *x = ctx;
	json_t *o = json_object();

	ps_json_set_string(o, "campaign", f->campaign);
	ps_json_set_string(o, "cell", f->cell);
	if (f->trial >= 0)
		ps_json_set_int(o, "trial", f->trial);
	ps_json_set_string(o, "what", f->what);
	json_array_append_new(x->all, o);
	if (f->campaign)
		ps_strbuf_printf(&x->text, "campaign \"%s\", ", f->campaign);
	if (f->cell)
		ps_strbuf_printf(&x->text, "cell %s, ", f->cell);
	if (f->trial >= 0)
		ps_strbuf_printf(&x->text, "trial %lld, ", (long long)f->trial);
	if (x->text.len >= 2 && f->campaign)
		x->text.data[x->text.len - 2] = ':';
	ps_strbuf_printf(&x->text, "%s\n", f->what);
	return true;
}

static enum ps_status print_checked(const struct check_options *o, struct findings *x,
				    const struct ps_store_checked *c, struct ps_error *err)
{
	if (o->json) {
		json_t *doc = json_object();
		ps_json_set_bool(doc, "ok", c->findings == 0);
		ps_json_set_int(doc, "schema", PS_STORE_SCHEMA_VERSION);
		ps_json_set_int(doc, "campaigns", c->campaigns);
		ps_json_set_int(doc, "cells", c->cells);
		ps_json_set_int(doc, "trials", c->trials);
		json_object_set(doc, "findings", x->all);
		return ps_cli_print_json(doc, err);
	}
	ps_strbuf_printf(&x->text,
			 "%lld campaigns, %lld cells, %lld trials: ", (long long)c->campaigns,
			 (long long)c->cells, (long long)c->trials);
	if (c->findings == 0)
		ps_strbuf_puts(&x->text, "all as written\n");
	else
		ps_strbuf_printf(&x->text, "%lld findings\n", (long long)c->findings);
	return print_strbuf(&x->text, err);
}

static int run_check(void *options)
{
	const struct check_options *o = options;
	struct findings x = {.all = json_array()};
	struct ps_store_checked c = {0};
	struct ps_store *s = NULL;
	struct ps_error err;

	ps_strbuf_init(&x.text);
	enum ps_status st = ps_store_open(o->store, PS_STORE_READ, &s, &err);
	if (st == PS_OK)
		st = ps_store_check_all(s, on_finding, &x, &c, &err);
	ps_store_close(s);
	if (st == PS_OK)
		st = print_checked(o, &x, &c, &err);
	ps_strbuf_fini(&x.text);
	json_decref(x.all);
	if (st != PS_OK)
		return ps_cli_fail(&err);
	return c.findings == 0 ? PS_CLI_OK : PS_CLI_NEGATIVE;
}

static const struct ps_cli_command check_command = {
	.name = "check", .schema = &check_schema, .run = run_check};

/* ---- export ---- */

struct export_options {
	char *store, *output;
	bool requests;
};

static const struct ps_conf_option export_rows[] = {
	{
		.name = "store",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct export_options, store),
		.metavar = "RESULTS.DB",
		.help = "The results store; it is not changed.",
		.flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	},
	{
		.name = "output",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct export_options, output),
		.metavar = "DIR",
		.help = "The folder for the files; made when it is not there.",
		.flags = PS_CONF_REQUIRED,
		.letter = 'o',
	},
	{
		.name = "requests",
		.type = PS_CONF_BOOL,
		.offset = offsetof(struct export_options, requests),
		.help = "Also write requests.csv: one row per request that was kept.",
	},
	{0},
};

static const struct ps_conf_schema export_schema = {
	.name = "perseus store export",
	.summary = "Write everything in a store as CSV files, for other tools.",
	.details = "One file per table (campaigns, tenants, sets, cells, capacities, trials, "
		   "results, seconds, samples, gpus, scrapes, figures), with a header line; an "
		   "empty field is a value that is not known. `perseus store columns` says what "
		   "each column means.",
	.example = "perseus store export results.db -o csv",
	.options = export_rows,
	.size = sizeof(struct export_options),
	.where_offset = SIZE_MAX,
};

static int run_export(void *options)
{
	const struct export_options *o = options;
	struct ps_store *s = NULL;
	struct ps_error err;
	enum ps_status st = ps_store_open(o->store, PS_STORE_READ, &s, &err);

	if (st == PS_OK)
		st = ps_store_export(s, o->output, o->requests, &err);
	ps_store_close(s);
	return st == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_cli_command export_command = {
	.name = "export", .schema = &export_schema, .run = run_export};

/* ---- columns ---- */

struct columns_options {
	bool unused;
};

static const struct ps_conf_option columns_rows[] = {{0}};

static const struct ps_conf_schema columns_schema = {
	.name = "perseus store columns",
	.summary = "Say what the files and columns of an export mean (Markdown).",
	.options = columns_rows,
	.size = sizeof(struct columns_options),
	.where_offset = SIZE_MAX,
};

static int run_columns(void *options)
{
	struct ps_strbuf out;
	struct ps_error err;

	(void)options;
	ps_strbuf_init(&out);
	ps_store_sheets_reference(&out);
	return print_strbuf(&out, &err) == PS_OK ? PS_CLI_OK : ps_cli_fail(&err);
}

static const struct ps_cli_command columns_command = {
	.name = "columns", .schema = &columns_schema, .run = run_columns};

static const struct ps_cli_command *const verbs[] = {&merge_command, &export_command,
						     &check_command, &columns_command, NULL};

const struct ps_cli_command ps_cmd_store = {
	.name = "store",
	.verbs = verbs,
	.summary = "Results stores: merge, export, check.",
};
