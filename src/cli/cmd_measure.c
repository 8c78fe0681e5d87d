/* cmd_measure.c - perseus measure: runs a campaign, then shows what it found. */
#include "base/clock.h"
#include "base/file.h"
#include "base/units.h"
#include "cli/cli.h"
#include "measure/measure.h"
#include "report/report.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define BAR_WIDTH 20

struct measure_options {
	char *campaign, *store, *report, *workdir;
	bool resume, json, quiet, dry_run;
};

static const struct ps_conf_option rows[] = {
	{
		.name = "campaign",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct measure_options, campaign),
		.metavar = "CAMPAIGN.YAML",
		.help = "What to measure: models, tenants, the slice of this machine.",
		.flags = PS_CONF_POSITIONAL | PS_CONF_REQUIRED,
	},
	{
		.name = "store",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct measure_options, store),
		.metavar = "FILE",
		.def = "results.db",
		.help = "Where the results go: one SQLite file, which may hold many campaigns.",
	},
	{
		.name = "resume",
		.type = PS_CONF_BOOL,
		.offset = offsetof(struct measure_options, resume),
		.help = "Go on with the store's last campaign of this name: cells that are done "
			"stay, all others are measured. The file may have changed: then cells stay "
			"whose result depends on nothing that did.",
	},
	{
		.name = "report",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct measure_options, report),
		.metavar = "FILE",
		.help = "Also write the report as one page that opens offline.",
	},
	{
		.name = "workdir",
		.type = PS_CONF_TEXT,
		.offset = offsetof(struct measure_options, workdir),
		.metavar = "DIR",
		.def = "perseus-work",
		.help = "Folder for models of the zoo, converted models, configurations and logs "
			"of the servers.",
	},
	{
		.name = "dry-run",
		.type = PS_CONF_BOOL,
		.offset = offsetof(struct measure_options, dry_run),
		.help = "Only check the campaign and show its cells and how long it would take; "
			"with --resume also what a changed file keeps.",
	},
	PS_CLI_JSON(struct measure_options),
	{
		.name = "quiet",
		.type = PS_CONF_BOOL,
		.offset = offsetof(struct measure_options, quiet),
		.help = "No progress on stderr.",
	},
	{0},
};

static const struct ps_conf_schema schema = {
	.name = "perseus measure",
	.summary = "Measure tenants alone and together on a slice of this machine.",
	.details =
		"For each tenant alone and for each set of tenants together, starts perseus serve "
		"as a process of its own in the slice, finds the capacity at the SLA with "
		"open-loop Poisson load, then confirms at the demand rates in blocks that are "
		"interleaved over the sets. Every result goes to the store; the report is made "
		"from the store alone.\n\nCtrl-C stops between requests; --resume goes on "
		"later, also after a crash. Exit code 1: some cells failed, see the report.",
	.example = "perseus measure examples/two-cnns.yaml --report report.html\n"
		   "perseus measure examples/two-cnns.yaml --resume\n"
		   "perseus measure examples/two-cnns-full.yaml --dry-run\n",
	.options = rows,
	.size = sizeof(struct measure_options),
	.where_offset = SIZE_MAX,
};

/* ---- progress ---- */

struct display {
	struct ps_cli_progress line;
};

static void draw_bar(double share, char bar[BAR_WIDTH + 1])
{
	int full = (int)(share * BAR_WIDTH + 0.5);
	for (int i = 0; i < BAR_WIDTH; i++) {
		bar[i] = i < full ? '#' : '.';
	}
	bar[BAR_WIDTH] = '\0';
}

static bool on_progress(void *ctx, const struct ps_measure_progress *p)
{
	struct display *d = ctx;
	char left[PS_UNITS_SIZE], bar[BAR_WIDTH + 1];
	if (p->note) {
		ps_cli_progress_note(&d->line, "%s", p->note);
		return !ps_cli_stopped();
	}
	if (p->cells == 0) {
		ps_cli_progress_show(&d->line, "%s", p->what);
		return !ps_cli_stopped();
	}
	ps_units_format_eta(p->left_ns, left);
	draw_bar(p->share, bar);
	ps_cli_progress_show(&d->line, "%s%s%s%d/%d  %s left  %s: %s", d->line.terminal ? "[" : "",
			     d->line.terminal ? bar : "", d->line.terminal ? "] " : "",
			     p->cells_done + 1, p->cells, left, p->cell, p->what);
	return !ps_cli_stopped();
}

/* ---- the end ---- */

static enum ps_status write_page(const struct ps_report_answer *a, const char *path,
				 struct ps_error *err)
{
	struct ps_strbuf out;
	ps_strbuf_init(&out);
	enum ps_status st = ps_report_html(a, &out, err);
	if (st == PS_OK) {
		st = ps_file_write(path, out.data, out.len, err);
	}
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status print_answer(const struct measure_options *o,
				   const struct ps_measure_outcome *outcome,
				   const struct ps_report_answer *a, struct ps_error *err)
{
	struct ps_strbuf out;
	if (o->json) {
		json_t *all = json_object();
		ps_json_set_int(all, "campaign_id", outcome->campaign_id);
		ps_json_set_int(all, "cells_done", outcome->done);
		ps_json_set_int(all, "cells_failed", outcome->failed);
		ps_json_set_int(all, "cells_left", outcome->left);
		ps_json_set_int(all, "cells_skipped", outcome->skipped);
		ps_json_set_string(all, "store", o->store);
		(void)json_object_set_new(all, "report", ps_report_json(a, false));
		return ps_cli_print_json(all, err);
	}
	ps_strbuf_init(&out);
	ps_report_text(a, ps_cli_width(STDOUT_FILENO), &out);
	ps_strbuf_printf(&out, "\nresults: %s", o->store);
	if (o->report) {
		ps_strbuf_printf(&out, "   page: %s", o->report);
	}
	ps_strbuf_putc(&out, '\n');
	if (a->campaign->full_command) {
		/* Written as "perseus measure ..."; say which program that is here. */
		const char *rest =
			a->campaign->full_command + strcspn(a->campaign->full_command, " ");
		ps_strbuf_printf(&out, "the publishable run: %s%s\n", program_invocation_name,
				 rest);
	}
	enum ps_status st = ps_strbuf_status(&out);
	st = st == PS_OK ? ps_cli_print(out.data, out.len, err)
			 : ps_error_set(err, st, "no memory for the report");
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status show(const struct measure_options *o,
			   const struct ps_measure_outcome *outcome, struct ps_error *err)
{
	struct ps_store *store = NULL;
	struct ps_store_campaign *c = NULL;
	struct ps_report_answer a;
	enum ps_status st = ps_store_open(o->store, PS_STORE_READ, &store, err);
	if (st == PS_OK) {
		st = ps_store_campaign_read(store, outcome->campaign_id, &c, err);
	}
	ps_store_close(store);
	if (st != PS_OK) {
		return st;
	}
	st = ps_report_build(c, &a, err);
	if (st == PS_OK) {
		if (o->report) {
			st = write_page(&a, o->report, err);
		}
		if (st == PS_OK) {
			st = print_answer(o, outcome, &a, err);
		}
		ps_report_fini(&a);
	}
	ps_store_campaign_free(c);
	return st;
}

/* ---- the command ---- */

/* Cells of one kind in a row of the table. */
struct kind_sum {
	int cells, kept;
	int64_t ns;
};

static json_t *preview_json(const struct measure_options *o, const struct ps_measure_campaign *c,
			    const struct ps_measure_preview *p)
{
	json_t *all = json_object(), *cells = json_array(), *dropped = json_array();
	ps_json_set_string(all, "name", c->name);
	ps_json_set_int(all, "tenants", (int64_t)c->tenants.len);
	ps_json_set_real(all, "estimated_s", (double)p->estimate_ns / 1e9);
	ps_json_set_bool(all, "cut_by_max_time", p->cut);
	for (size_t i = 0; i < p->cell_len; i++) {
		json_t *x = json_object();
		ps_json_set_string(x, "key", p->cells[i].key);
		ps_json_set_string(x, "kind", ps_store_kind_name(p->cells[i].kind));
		ps_json_set_real(x, "estimated_s", (double)p->cells[i].estimate_ns / 1e9);
		if (o->resume) {
			ps_json_set_string(x, "fate", ps_measure_fate_name(p->cells[i].fate));
		}
		(void)json_array_append_new(cells, x);
	}
	(void)json_object_set_new(all, "cells", cells);
	for (size_t i = 0; i < p->dropped_len; i++) {
		(void)json_array_append_new(dropped, json_string(p->dropped[i]));
	}
	(void)json_object_set_new(all, "dropped", dropped);
	return all;
}

static void put_kinds(const struct ps_measure_preview *p, bool resume, struct ps_strbuf *out)
{
	struct kind_sum sums[PS_STORE_OPERATORS + 1] = {{0}};
	char eta[PS_UNITS_SIZE];
	for (size_t i = 0; i < p->cell_len; i++) {
		struct kind_sum *s = &sums[p->cells[i].kind];
		bool kept = p->cells[i].fate == PS_MEASURE_KEPT;
		s->cells++;
		s->kept += kept;
		s->ns += kept ? 0 : p->cells[i].estimate_ns;
	}
	for (int k = 0; k <= (int)PS_STORE_OPERATORS; k++) {
		if (sums[k].cells == 0) {
			continue;
		}
		ps_strbuf_printf(out, "%-10s %5d cells",
				 ps_store_kind_name((enum ps_store_cell_kind)k), sums[k].cells);
		if (resume) {
			ps_strbuf_printf(out, ", %5d kept", sums[k].kept);
		}
		ps_strbuf_printf(out, "  %9s\n", ps_units_format_eta(sums[k].ns, eta));
	}
}

static enum ps_status print_preview(const struct measure_options *o,
				    const struct ps_measure_campaign *c,
				    const struct ps_measure_preview *p, struct ps_error *err)
{
	char eta[PS_UNITS_SIZE], max[PS_UNITS_SIZE];
	struct ps_strbuf out;
	if (o->json) {
		return ps_cli_print_json(preview_json(o, c, p), err);
	}
	ps_strbuf_init(&out);
	ps_strbuf_printf(&out, "%s: %zu tenants, about %s", c->name, c->tenants.len,
			 ps_units_format_eta(p->estimate_ns, eta));
	if (p->cut) {
		ps_strbuf_printf(&out, ", cut at %s by stop.max-time",
				 ps_units_format_eta(c->stop.max_time_ns, max));
	}
	ps_strbuf_printf(&out, "\n%s%s", p->note, p->note[0] ? "\n" : "");
	put_kinds(p, o->resume, &out);
	for (size_t i = 0; i < p->cell_len; i++) {
		if (o->resume && p->cells[i].fate == PS_MEASURE_CHANGED) {
			ps_strbuf_printf(&out, "again:   %s\n", p->cells[i].key);
		}
	}
	for (size_t i = 0; i < p->dropped_len; i++) {
		ps_strbuf_printf(&out, "dropped: %s\n", p->dropped[i]);
	}
	enum ps_status st = ps_strbuf_status(&out);
	st = st == PS_OK ? ps_cli_print(out.data, out.len, err)
			 : ps_error_set(err, st, "no memory for the plan");
	ps_strbuf_fini(&out);
	return st;
}

static enum ps_status dry_run(const struct measure_options *o, const struct ps_measure_campaign *c,
			      struct ps_error *err)
{
	const struct ps_measure_run run = {
		.campaign = c, .store_path = o->store, .resume = o->resume};
	struct ps_measure_preview p;
	enum ps_status st = ps_measure_preview(&run, &p, err);
	if (st == PS_OK) {
		st = print_preview(o, c, &p, err);
		ps_measure_preview_free(&p);
	}
	return st;
}

static enum ps_status measure(const struct measure_options *o, const struct ps_measure_campaign *c,
			      struct ps_measure_outcome *ret_outcome, struct ps_error *err)
{
	char program[4096];
	struct display d;
	enum ps_status st = ps_cli_own_path(program, sizeof(program), err);
	if (st != PS_OK) {
		return st;
	}
	ps_cli_stop_on_signals();
	ps_cli_progress_init(&d.line, o->quiet);
	char eta[PS_UNITS_SIZE];
	ps_cli_progress_note(&d.line, "%s: about %s%s", c->name,
			     ps_units_format_eta(ps_measure_duration_ns(c), eta),
			     o->resume ? " in all, less what is done" : "");
	struct ps_measure_run run = {
		.campaign = c,
		.store_path = o->store,
		.workdir = o->workdir,
		.program = program,
		.resume = o->resume,
		.progress = on_progress,
		.ctx = &d,
	};
	st = ps_measure_run(&run, ret_outcome, err);
	ps_cli_progress_done(&d.line);
	return st;
}

static int run(void *options)
{
	const struct measure_options *o = options;
	struct ps_measure_campaign c;
	struct ps_measure_outcome outcome = {0};
	struct ps_error err;
	enum ps_status st = ps_measure_load(o->campaign, &c, &err);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	if (o->dry_run) {
		st = dry_run(o, &c, &err);
	} else {
		st = measure(o, &c, &outcome, &err);
		if (st == PS_OK) {
			st = show(o, &outcome, &err);
		}
	}
	ps_measure_free(&c);
	if (st != PS_OK) {
		return ps_cli_fail(&err);
	}
	return outcome.failed > 0 || outcome.left > 0 ? PS_CLI_NEGATIVE : PS_CLI_OK;
}

static const struct ps_conf_schema *const files[] = {&ps_measure_schema, NULL};

const struct ps_cli_command ps_cmd_measure = {
	.name = "measure", .schema = &schema, .run = run, .files = files};
