/* load_files.c - see load_files_internal.h. */
#include "cli/load_files_internal.h"

#include "base/file.h"
#include "load/export.h"
#include "load/request_log.h"

#include <stdlib.h>
#include <string.h>

#define PLACE "{tenant}" /* in a path: the tenant's name */

enum format { JSON, PERF_ANALYZER, LOADGEN, HDR, FORMATS };

static const struct {
	const char *name;
	bool per_tenant;
} formats[FORMATS] = {
	[JSON] = {"json", false},
	[PERF_ANALYZER] = {"perf-analyzer", false},
	[LOADGEN] = {"loadgen", true},
	[HDR] = {"hdr", true},
};

/* "FORMAT:PATH"; FORMATS when it is none. */
static enum format parse(const char *text, const char **ret_path)
{
	size_t n = strcspn(text, ":");

	*ret_path = "";
	for (int i = 0; text[n] == ':' && text[n + 1] && i < FORMATS; i++) {
		if (strlen(formats[i].name) == n && strncmp(text, formats[i].name, n) == 0) {
			*ret_path = text + n + 1;
			return (enum format)i;
		}
	}
	return FORMATS;
}

/* The path of one tenant; a '/' in its name does not lead elsewhere. */
static void put_path(const char *path, const char *tenant, struct ps_strbuf *out)
{
	const char *at = strstr(path, PLACE);

	if (!at) {
		ps_strbuf_puts(out, path);
		return;
	}
	ps_strbuf_append(out, path, (size_t)(at - path));
	for (; *tenant; tenant++) {
		ps_strbuf_putc(out, *tenant == '/' ? '_' : *tenant);
	}
	ps_strbuf_puts(out, at + strlen(PLACE));
}

/* ---- before the run ---- */

static enum ps_status check_mix(const struct ps_load_plan *plan, struct ps_error *err)
{
	for (size_t i = 1; i < plan->tenant_len; i++) {
		bool closed = ps_load_users(&plan->tenants[i]) > 0;

		if (closed != (ps_load_users(&plan->tenants[0]) > 0)) {
			ps_error_set(err, PS_EUSAGE,
				     "a table of perf_analyzer is of open or of closed loops");
			ps_error_hint(err, "load them in two runs");
			return PS_EUSAGE;
		}
	}
	return PS_OK;
}

static bool same_path(const char *path, const char *a, const char *b)
{
	struct ps_strbuf x, y;
	bool same;

	ps_strbuf_init(&x);
	ps_strbuf_init(&y);
	put_path(path, a, &x);
	put_path(path, b, &y);
	same = strcmp(x.data, y.data) == 0;
	ps_strbuf_fini(&x);
	ps_strbuf_fini(&y);
	return same;
}

static enum ps_status check_paths(const char *text, const char *path,
				  const struct ps_load_plan *plan, struct ps_error *err)
{
	for (size_t i = 0; i < plan->tenant_len; i++) {
		for (size_t k = 0; k < i; k++) {
			const char *a = plan->tenants[k].name, *b = plan->tenants[i].name;

			if (!same_path(path, a, b)) {
				continue;
			}
			ps_error_set(err, PS_EUSAGE,
				     "--export %.80s: tenants '%s' and '%s' need a file each", text,
				     a, b);
			ps_error_hint(err, "write " PLACE " into the path");
			return PS_EUSAGE;
		}
	}
	return PS_OK;
}

/* Before the load, not after it: a long run must not end in nothing. */
static enum ps_status check_place(const char *path, const struct ps_load_plan *plan,
				  struct ps_error *err)
{
	struct ps_strbuf whole;
	enum ps_status st;

	if (!path) {
		return PS_OK;
	}
	ps_strbuf_init(&whole);
	put_path(path, plan->tenants[0].name, &whole);
	st = ps_file_can_write(whole.data, err);
	ps_strbuf_fini(&whole);
	return st;
}

static enum ps_status check_export(const char *text, const struct ps_load_plan *plan,
				   struct ps_error *err)
{
	const char *path;
	enum format f = parse(text, &path);

	if (f == FORMATS) {
		ps_error_set(err, PS_EUSAGE, "--export '%.80s' is not FORMAT:FILE", text);
		ps_error_hint(err, "formats: json, perf-analyzer, loadgen, hdr");
		return PS_EUSAGE;
	}
	if (f == PERF_ANALYZER) {
		return check_mix(plan, err);
	}
	return formats[f].per_tenant ? check_paths(text, path, plan, err) : PS_OK;
}

static enum ps_status check_export_place(const char *text, const struct ps_load_plan *plan,
					 struct ps_error *err)
{
	const char *path;

	parse(text, &path);
	return check_place(path, plan, err);
}

enum ps_status ps_cli_load_files_check(const struct ps_cli_load_options *o,
				       const struct ps_load_plan *plan, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	for (size_t i = 0; st == PS_OK && i < o->exports.len; i++) {
		st = check_export(o->exports.items[i], plan, err);
		if (st == PS_OK) {
			st = check_export_place(o->exports.items[i], plan, err);
		}
	}
	if (st == PS_OK) {
		st = check_place(o->records, plan, err);
	}
	return st == PS_OK ? check_place(o->log, plan, err) : st;
}

/* ---- after the run ---- */

static void put_json(const struct ps_load_result *r, struct ps_strbuf *out)
{
	json_t *value = ps_load_result_json(r);
	char *text = value ? json_dumps(value, JSON_INDENT(2)) : NULL;

	json_decref(value);
	if (text) {
		ps_strbuf_puts(out, text);
		ps_strbuf_putc(out, '\n');
	}
	out->failed = out->failed || !text;
	free(text);
}

static void put_records(const struct ps_load_result *r, struct ps_strbuf *out)
{
	ps_load_csv_head(out);
	for (size_t i = 0; i < r->tenant_len; i++) {
		for (size_t k = 0; k < r->tenants[i].record_len; k++) {
			ps_load_csv_row(out, r->tenants[i].name, &r->tenants[i].records[k]);
		}
	}
}

/* Writes `out` to `path` and empties it. */
static enum ps_status flush(const char *path, struct ps_strbuf *out, struct ps_error *err)
{
	enum ps_status st = ps_strbuf_status(out);

	if (st != PS_OK) {
		ps_error_set(err, st, "no memory for %s", path);
	} else {
		st = ps_file_write(path, out->data, out->len, err);
	}
	ps_strbuf_fini(out);
	return st;
}

static enum ps_status write_tenant(enum format f, const char *path, const struct ps_load_result *r,
				   size_t tenant, struct ps_error *err)
{
	const struct ps_load_tenant_result *t = &r->tenants[tenant];
	struct ps_strbuf out, name;
	enum ps_status st;

	ps_strbuf_init(&out);
	ps_strbuf_init(&name);
	put_path(path, t->name, &name);
	if (f == LOADGEN) {
		ps_load_export_loadgen(r, tenant, &out);
	} else {
		ps_load_export_hdr(t, &out);
	}
	st = flush(name.data, &out, err);
	ps_strbuf_fini(&name);
	return st;
}

static enum ps_status write_export(const char *text, const struct ps_load_result *r,
				   struct ps_error *err)
{
	const char *path;
	enum format f = parse(text, &path);
	enum ps_status st = PS_OK;
	struct ps_strbuf out;

	for (size_t i = 0; formats[f].per_tenant && st == PS_OK && i < r->tenant_len; i++) {
		st = write_tenant(f, path, r, i, err);
	}
	if (formats[f].per_tenant) {
		return st;
	}
	ps_strbuf_init(&out);
	if (f == JSON) {
		put_json(r, &out);
	} else {
		(void)ps_load_export_perf_analyzer(r, &out);
	}
	return flush(path, &out, err);
}

enum ps_status ps_cli_load_files_write(const struct ps_cli_load_options *o,
				       const struct ps_load_result *r, struct ps_error *err)
{
	enum ps_status st = PS_OK;

	if (o->records) {
		struct ps_strbuf out;

		ps_strbuf_init(&out);
		put_records(r, &out);
		st = flush(o->records, &out, err);
	}
	if (st == PS_OK && o->log) {
		st = ps_load_log_write(r, o->log, err);
	}
	for (size_t i = 0; st == PS_OK && i < o->exports.len; i++) {
		st = write_export(o->exports.items[i], r, err);
	}
	return st;
}
