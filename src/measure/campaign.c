#include "measure/measure_internal.h"

#include "base/file.h"
#include "base/strbuf.h"
#include "model/zoo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_CAMPAIGN_BYTES (1u << 20)
#define MAX_NAME	   48

/* ---- checks that rows cannot make ---- */

enum ps_status ps_measure_wrong(const struct ps_measure_campaign *c, const struct ps_conf_where *w,
				const char *key, struct ps_error *err, const char *fmt,
				const char *name)
{
	ps_error_set(err, PS_EPARSE, fmt, name);
	ps_error_where(err, "%.100s:%d:%s", c->path, w->line, key);
	return PS_EPARSE;
}

void ps_measure_at(const struct ps_measure_campaign *c, const char *key, struct ps_error *err)
{
	int line = ps_conf_yaml_line(c->text, strlen(c->text), key);
	if (line > 0) {
		ps_error_where(err, "%.100s:%d:%s", c->path, line, key);
	} else {
		ps_error_where(err, "%.100s:%s", c->path, key);
	}
}

bool ps_measure_good_name(const char *name)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._-";
	size_t n = strlen(name);
	return n > 0 && n <= MAX_NAME && strspn(name, allowed) == n && name[0] != '.';
}

int ps_measure_find_model(const struct ps_measure_campaign *c, const char *name)
{
	const struct ps_measure_model *m = c->models.items;
	for (size_t i = 0; i < c->models.len; i++) {
		if (strcmp(m[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

int ps_measure_find_tenant(const struct ps_measure_campaign *c, const char *name)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		if (strcmp(t[i].name, name) == 0) {
			return (int)i;
		}
	}
	return -1;
}

static enum ps_status check_models(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_model *m = c->models.items;
	for (size_t i = 0; i < c->models.len; i++) {
		if (!ps_measure_good_name(m[i].name)) {
			return ps_measure_wrong(
				c, &m[i].where, "models.name", err,
				"\"%.60s\" is no name for a model (letters, digits, . _ -)",
				m[i].name);
		}
		if ((size_t)ps_measure_find_model(c, m[i].name) != i) {
			return ps_measure_wrong(c, &m[i].where, "models.name", err,
						"two models are called \"%.60s\"", m[i].name);
		}
		if (!m[i].file == !m[i].zoo && (m[i].file || !c->server.url)) {
			return ps_measure_wrong(c, &m[i].where, "models.file", err,
						"model \"%.60s\" needs either file or zoo",
						m[i].name);
		}
		if (m[i].zoo && !ps_zoo_find(m[i].zoo)) {
			ps_measure_wrong(c, &m[i].where, "models.zoo", err,
					 "the zoo has no network \"%.60s\"", m[i].zoo);
			ps_error_hint(err, "perseus zoo list shows them");
			return PS_EPARSE;
		}
	}
	return PS_OK;
}

static enum ps_status check_sets(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_set *s = c->sets.items;
	for (size_t i = 0; i < c->sets.len; i++) {
		if (!ps_measure_good_name(s[i].name)) {
			return ps_measure_wrong(
				c, &s[i].where, "sets.name", err,
				"\"%.60s\" is no name for a set (letters, digits, . _ -)",
				s[i].name);
		}
		for (size_t k = 0; k < s[i].tenants.len; k++) {
			if (ps_measure_find_tenant(c, s[i].tenants.items[k]) < 0) {
				return ps_measure_wrong(c, &s[i].where, "sets.tenants", err,
							"there is no tenant \"%.60s\" in tenants",
							s[i].tenants.items[k]);
			}
			for (size_t j = 0; j < k; j++) {
				if (strcmp(s[i].tenants.items[j], s[i].tenants.items[k]) == 0) {
					return ps_measure_wrong(c, &s[i].where, "sets.tenants", err,
								"tenant \"%.60s\" is named twice",
								s[i].tenants.items[k]);
				}
			}
		}
	}
	if (c->together == PS_MEASURE_TOGETHER_ALL && c->tenants.len > PS_MEASURE_MAX_MEMBERS) {
		ps_error_set(err, PS_EPARSE, "%zu tenants are too many for one set (at most %d)",
			     c->tenants.len, PS_MEASURE_MAX_MEMBERS);
		ps_measure_at(c, "together", err);
		ps_error_hint(err, "say together: none, and name sets");
		return PS_EPARSE;
	}
	if (c->confirm.at_capacity > 0 && c->search.sets == PS_MEASURE_SEARCH_NONE) {
		ps_error_set(err, PS_EPARSE,
			     "confirm.at_capacity needs capacities, and search.sets is none");
		ps_measure_at(c, "confirm", err);
		return PS_EPARSE;
	}
	return PS_OK;
}

/* ---- reading ---- */

char *ps_measure_path(const char *folder, const char *path)
{
	struct ps_strbuf b;
	ps_strbuf_init(&b);
	if (path[0] != '/' && strcmp(folder, ".") != 0) {
		ps_strbuf_printf(&b, "%s/", folder);
	}
	ps_strbuf_puts(&b, path);
	return ps_strbuf_take_data(&b);
}

static char *folder_of(const char *path)
{
	const char *slash = strrchr(path, '/');
	if (!slash) {
		return strdup(".");
	}
	return slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
}

enum ps_status ps_measure_parse(const char *text, size_t len, const char *path,
				struct ps_measure_campaign *ret_campaign, struct ps_error *err)
{
	struct ps_measure_campaign c;
	enum ps_status st = ps_conf_parse_yaml(&ps_measure_schema, text, len, path, &c, err);
	if (st != PS_OK) {
		return st;
	}
	c.path = strdup(path);
	c.folder = folder_of(path);
	c.text = strndup(text, len);
	if (!c.path || !c.folder || !c.text) {
		ps_measure_free(&c);
		return ps_error_set(err, PS_ENOMEM, "no memory for a campaign");
	}
	st = check_models(&c, err);
	st = st == PS_OK ? ps_measure_check_tenants(&c, err) : st;
	st = st == PS_OK ? check_sets(&c, err) : st;
	st = st == PS_OK ? ps_measure_check_parts(&c, err) : st;
	if (st != PS_OK) {
		ps_measure_free(&c);
		return st;
	}
	*ret_campaign = c;
	return PS_OK;
}

enum ps_status ps_measure_load(const char *path, struct ps_measure_campaign *ret_campaign,
			       struct ps_error *err)
{
	char *text = NULL;
	size_t len = 0;
	enum ps_status st = ps_file_read(path, MAX_CAMPAIGN_BYTES, &text, &len, err);
	if (st == PS_OK) {
		st = ps_measure_parse(text, len, path, ret_campaign, err);
	}
	free(text);
	return st;
}

void ps_measure_free(struct ps_measure_campaign *c)
{
	char *path = c->path, *folder = c->folder, *text = c->text;
	free(c->server_config);
	ps_conf_free(&ps_measure_schema, c);
	free(path);
	free(folder);
	free(text);
	memset(c, 0, sizeof(*c));
}
