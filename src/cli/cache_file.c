/* cache_file.c - what a cache file and a trace say, checked, with the line of what is wrong. */
#include "cli/cache_file_internal.h"

#include "base/file.h"
#include "base/units.h"

#include <stdlib.h>
#include <string.h>

enum { TRACE_BYTES = 256 << 20 };

/* ---- names ---- */

/* Names by their text: files have thousands of rows. */
struct name {
	const char *text;
	int at;
};

struct names {
	struct name *list;
	int n;
};

static int by_text(const void *a, const void *b)
{
	const struct name *x = a, *y = b;
	int order = strcmp(x->text, y->text);

	return order ? order : x->at - y->at;
}

static int find(const struct names *names, const char *text)
{
	int low = 0, high = names->n;

	while (low < high) {
		int mid = (low + high) / 2;
		if (strcmp(names->list[mid].text, text) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	return low < names->n && strcmp(names->list[low].text, text) == 0 ? names->list[low].at
									  : -1;
}

struct reading {
	struct ps_cli_cache_case *c;
	const char *path;
	struct names tenants, models, contents;
	struct ps_error *err;
};

static enum ps_status wrong(struct reading *r, struct ps_conf_where where, const char *key,
			    const char *what, const char *name)
{
	ps_error_set(r->err, PS_EPARSE, "%s '%s'", what, name);
	ps_error_where(r->err, "%s:%d:%s", r->path, where.line, key);
	return PS_EPARSE;
}

static bool names_make(struct names *names, int n)
{
	names->list = calloc((size_t)n + 1, sizeof(*names->list));
	names->n = n;
	return names->list != NULL;
}

static enum ps_status no_memory(struct reading *r)
{
	ps_error_set(r->err, PS_ENOMEM, "no memory for a cache file");
	return PS_ENOMEM;
}

/* The second of two that are the same, or -1. */
static int twice(struct names *names)
{
	qsort(names->list, (size_t)names->n, sizeof(*names->list), by_text);
	for (int i = 1; i < names->n; i++)
		if (strcmp(names->list[i - 1].text, names->list[i].text) == 0)
			return names->list[i].at;
	return -1;
}

/* ---- tenants and models ---- */

static enum ps_status read_tenants(struct reading *r)
{
	struct ps_cli_cache_case *c = r->c;
	const struct ps_cli_cache_tenant *t = c->file.tenants.items;

	if (!names_make(&r->tenants, c->work.tenants))
		return no_memory(r);
	for (int i = 0; i < c->work.tenants; i++) {
		r->tenants.list[i] = (struct name){t[i].name, i};
		c->tenant_name[i] = t[i].name;
		c->work.tenant[i] = (struct ps_cache_tenant){t[i].weight, t[i].guaranteed_bytes};
	}
	int again = twice(&r->tenants);
	return again < 0 ? PS_OK
			 : wrong(r, t[again].where, "name", "a second tenant", t[again].name);
}

static const char *content_of(const struct ps_cli_cache_model *m)
{
	return m->content ? m->content : m->name;
}

/* The first model of each content is the item; the others must say the same of it. */
static enum ps_status merge_models(struct reading *r)
{
	struct ps_cli_cache_case *c = r->c;
	const struct ps_cli_cache_model *m = c->file.models.items;

	for (int k = 0; k < (int)c->file.models.len; k++) {
		int first = find(&r->contents, content_of(&m[k]));
		if (first != k) {
			if (m[first].bytes != m[k].bytes || m[first].load_ns != m[k].load_ns ||
			    m[first].run_ns != m[k].run_ns)
				return wrong(r, m[k].where, "content",
					     "bytes, load and run differ from those of the same "
					     "content,",
					     m[first].name);
			int item = c->item_of[k] = c->item_of[first];
			c->work.item[item].pinned |= m[k].pinned;
			c->work.item[item].resident |= m[k].resident;
			c->shared++;
			continue;
		}
		c->work.item[c->work.items] =
			(struct ps_cache_item){.bytes = m[k].bytes,
					       .load_s = (double)m[k].load_ns * 1e-9,
					       .resident = m[k].resident,
					       .pinned = m[k].pinned};
		c->work.run_s[c->work.items] = (double)m[k].run_ns * 1e-9;
		c->item_name[c->work.items] = m[k].name;
		c->item_of[k] = c->work.items++;
	}
	return PS_OK;
}

static enum ps_status read_models(struct reading *r)
{
	const struct ps_cli_cache_model *m = r->c->file.models.items;
	int n = (int)r->c->file.models.len;

	if (!names_make(&r->models, n) || !names_make(&r->contents, n))
		return no_memory(r);
	for (int k = 0; k < n; k++) {
		r->models.list[k] = (struct name){m[k].name, k};
		r->contents.list[k] = (struct name){content_of(&m[k]), k};
	}
	int again = twice(&r->models);
	if (again >= 0)
		return wrong(r, m[again].where, "name", "a second model", m[again].name);
	/* Equal contents are what they are for: find gives the first of them. */
	(void)twice(&r->contents);
	return merge_models(r);
}

static enum ps_status read_demand(struct reading *r)
{
	struct ps_cli_cache_case *c = r->c;
	const struct ps_cli_cache_asked *a = c->file.demand.items;

	for (size_t k = 0; k < c->file.demand.len; k++) {
		int tenant = find(&r->tenants, a[k].tenant), model = find(&r->models, a[k].model);
		if (tenant < 0)
			return wrong(r, a[k].where, "tenant", "there is no tenant", a[k].tenant);
		if (model < 0)
			return wrong(r, a[k].where, "model", "there is no model", a[k].model);
		c->demand[(size_t)tenant * (size_t)c->work.items + (size_t)c->item_of[model]] +=
			a[k].requests;
	}
	return PS_OK;
}

/* ---- the file ---- */

static bool allocate(struct ps_cli_cache_case *c)
{
	size_t tenants = c->file.tenants.len + 1, models = c->file.models.len + 1;

	c->work.tenants = (int)c->file.tenants.len;
	c->work.tenant = calloc(tenants, sizeof(*c->work.tenant));
	c->work.item = calloc(models, sizeof(*c->work.item));
	c->work.run_s = calloc(models, sizeof(*c->work.run_s));
	c->demand = calloc(tenants * models, sizeof(*c->demand));
	c->tenant_name = calloc(tenants, sizeof(*c->tenant_name));
	c->item_name = calloc(models, sizeof(*c->item_name));
	c->item_of = calloc(models, sizeof(*c->item_of));
	return c->work.tenant && c->work.item && c->work.run_s && c->demand && c->tenant_name &&
	       c->item_name && c->item_of;
}

static enum ps_status read_case(struct reading *r)
{
	struct ps_cli_cache_case *c = r->c;

	if (c->file.tenants.len * c->file.models.len > PS_CACHE_MAX_CELLS) {
		ps_error_set(r->err, PS_ETOOBIG, "%zu tenants x %zu models: at most %d in all",
			     c->file.tenants.len, c->file.models.len, PS_CACHE_MAX_CELLS);
		ps_error_where(r->err, "%s", r->path);
		return PS_ETOOBIG;
	}
	if (!allocate(c))
		return no_memory(r);
	enum ps_status st = read_tenants(r);
	if (st == PS_OK)
		st = read_models(r);
	if (st == PS_OK)
		st = read_demand(r);
	if (st != PS_OK)
		return st;
	c->problem = (struct ps_cache_problem){.tenants = c->work.tenants,
					       .items = c->work.items,
					       .capacity_bytes = c->file.capacity_bytes,
					       .tenant = c->work.tenant,
					       .item = c->work.item,
					       .demand = c->demand,
					       .warm_factor = c->file.warm_factor};
	st = ps_cache_problem_check(&c->problem, r->err);
	if (st != PS_OK)
		ps_error_where(r->err, "%s", r->path);
	return st;
}

static void reading_fini(struct reading *r)
{
	free(r->tenants.list);
	free(r->models.list);
	free(r->contents.list);
}

enum ps_status ps_cli_cache_open(const char *path, struct ps_cli_cache_case *ret_case,
				 struct ps_error *err)
{
	*ret_case = (struct ps_cli_cache_case){0};
	enum ps_status st =
		ps_conf_load_yaml(&ps_cli_cache_file_schema, path, &ret_case->file, err);

	if (st != PS_OK)
		return st;
	struct reading r = {.c = ret_case, .path = path, .err = err};
	st = read_case(&r);
	reading_fini(&r);
	if (st != PS_OK)
		ps_cli_cache_close(ret_case);
	return st;
}

void ps_cli_cache_close(struct ps_cli_cache_case *c)
{
	ps_cache_workload_free(&c->work);
	free(c->demand);
	free(c->tenant_name);
	free(c->item_name);
	free(c->item_of);
	ps_conf_free(&ps_cli_cache_file_schema, &c->file);
	*c = (struct ps_cli_cache_case){0};
}

/* ---- the trace ---- */

static enum ps_status bad_line(struct reading *r, int line, const char *what)
{
	ps_error_set(r->err, PS_EPARSE, "%s", what);
	ps_error_where(r->err, "%s:%d", r->path, line);
	ps_error_hint(r->err, "a line is seconds,tenant,model; the first may be those words");
	return PS_EPARSE;
}

/* One line, cut at its commas. */
static enum ps_status read_line(struct reading *r, char *text, int line)
{
	struct ps_cache_workload *w = &r->c->work;
	char *tenant = strchr(text, ','), *model = tenant ? strchr(tenant + 1, ',') : NULL;
	double at;

	if (!model || strchr(model + 1, ','))
		return bad_line(r, line, "not three fields");
	*tenant++ = '\0';
	*model++ = '\0';
	if (line == 1 && strcmp(text, "seconds") == 0)
		return PS_OK;
	if (ps_units_parse_double(text, &at, NULL) != PS_OK || at < 0)
		return bad_line(r, line, "the time is no number of seconds");
	if (w->requests > 0 && at < w->request[w->requests - 1].at_s)
		return bad_line(r, line, "the time is before that of the line above");
	int who = find(&r->tenants, tenant), what = find(&r->models, model);
	if (who < 0)
		return bad_line(r, line, "the cache file has no such tenant");
	if (what < 0)
		return bad_line(r, line, "the cache file has no such model");
	w->request[w->requests++] = (struct ps_cache_request){at, who, r->c->item_of[what]};
	return PS_OK;
}

static enum ps_status read_lines(struct reading *r, char *text, size_t len)
{
	enum ps_status st = PS_OK;
	size_t lines = 1;

	for (size_t i = 0; i < len; i++)
		lines += text[i] == '\n';
	if (lines > PS_CACHE_MAX_REQUESTS)
		return bad_line(r, PS_CACHE_MAX_REQUESTS, "over ten million lines");
	r->c->work.request = calloc(lines, sizeof(*r->c->work.request));
	if (!r->c->work.request)
		return no_memory(r);
	char *at = text;
	for (int line = 1; st == PS_OK && at && *at; line++) {
		char *end = strchr(at, '\n');
		if (end)
			*end = '\0';
		size_t n = strlen(at);
		if (n > 0 && at[n - 1] == '\r')
			at[n - 1] = '\0';
		if (*at)
			st = read_line(r, at, line);
		at = end ? end + 1 : NULL;
	}
	return st == PS_OK && r->c->work.requests == 0 ? bad_line(r, 1, "no request") : st;
}

static enum ps_status read_trace(struct reading *r)
{
	struct ps_cli_cache_case *c = r->c;
	char *text = NULL;
	size_t len;

	if (!names_make(&r->tenants, c->work.tenants) ||
	    !names_make(&r->models, (int)c->file.models.len))
		return no_memory(r);
	for (int i = 0; i < c->work.tenants; i++)
		r->tenants.list[i] = (struct name){c->tenant_name[i], i};
	for (int k = 0; k < r->models.n; k++)
		r->models.list[k] = (struct name){
			((const struct ps_cli_cache_model *)c->file.models.items)[k].name, k};
	(void)twice(&r->tenants);
	(void)twice(&r->models);
	enum ps_status st = ps_file_read(r->path, TRACE_BYTES, &text, &len, r->err);
	if (st == PS_OK && memchr(text, '\0', len))
		st = bad_line(r, 1, "a byte that is no text");
	if (st == PS_OK)
		st = read_lines(r, text, len);
	free(text);
	return st;
}

enum ps_status ps_cli_cache_trace(struct ps_cli_cache_case *c, const char *path,
				  struct ps_error *err)
{
	struct reading r = {.c = c, .path = path, .err = err};
	enum ps_status st = read_trace(&r);

	reading_fini(&r);
	return st;
}
