/* tenants.c - a campaign's tenants: checks that rows cannot make, and which models they ask. */
#include "measure/measure_internal.h"

#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- models ---- */

/* The model of an entry of a mix, "MODEL[@VERSION][,SETTING...]". NULL: no memory. */
static char *mix_model(const char *item)
{
	char *name = strndup(item, strcspn(item, ","));
	char *at = name ? strrchr(name, '@') : NULL;
	if (at) {
		*at = '\0';
	}
	return name;
}

static int mix_place(const struct ps_measure_campaign *c, const char *item)
{
	char *name = mix_model(item);
	int place = name ? ps_measure_find_model(c, name) : -1;
	free(name);
	return place;
}

int ps_measure_tenant_models(const struct ps_measure_campaign *c, const struct ps_measure_tenant *t,
			     int ret_models[PS_MEASURE_MAX_TENANTS])
{
	int n = 0;
	if (t->model) {
		ret_models[n++] = ps_measure_find_model(c, t->model);
	}
	for (size_t i = 0; i < t->target.mix.len; i++) {
		int place = mix_place(c, t->target.mix.items[i]), k = 0;
		while (k < n && ret_models[k] != place) {
			k++;
		}
		if (k == n && place >= 0 && n < PS_MEASURE_MAX_TENANTS) {
			ret_models[n++] = place;
		}
	}
	return n;
}

bool ps_measure_asks_model(const struct ps_measure_campaign *c, const struct ps_measure_tenant *t,
			   size_t model)
{
	int models[PS_MEASURE_MAX_TENANTS], n = ps_measure_tenant_models(c, t, models);
	for (int i = 0; i < n; i++) {
		if (models[i] == (int)model) {
			return true;
		}
	}
	return false;
}

/* ---- checks ---- */

static enum ps_status check_mix(const struct ps_measure_campaign *c,
				const struct ps_measure_tenant *t, struct ps_error *err)
{
	for (size_t i = 0; i < t->target.mix.len; i++) {
		const char *item = t->target.mix.items[i];
		if (mix_place(c, item) < 0) {
			return ps_measure_wrong(c, &t->where, "tenants.mix", err,
						"\"%.60s\" begins with no model of models", item);
		}
		if (strstr(item, ",batch=")) {
			ps_measure_wrong(c, &t->where, "tenants.mix", err,
					 "tenant \"%.60s\" mixes batch sizes, so that a request is "
					 "no fixed number of inferences, which prices need",
					 t->name);
			ps_error_hint(err, "say batch for all of them, or make several tenants");
			return PS_EPARSE;
		}
	}
	return PS_OK;
}

static enum ps_status check_models(const struct ps_measure_campaign *c,
				   const struct ps_measure_tenant *t, struct ps_error *err)
{
	if (!t->model == (t->target.mix.len == 0)) {
		return ps_measure_wrong(c, &t->where, "tenants.model", err,
					"tenant \"%.60s\" needs either model or mix", t->name);
	}
	if (t->model && ps_measure_find_model(c, t->model) < 0) {
		return ps_measure_wrong(c, &t->where, "tenants.model", err,
					"there is no model \"%.60s\" in models", t->model);
	}
	return check_mix(c, t, err);
}

static enum ps_status check_urls(const struct ps_measure_campaign *c,
				 const struct ps_measure_tenant *t, struct ps_error *err)
{
	struct ps_net_url u;
	if (t->target.urls.len > 0 && !c->server.url) {
		ps_measure_wrong(c, &t->where, "tenants.url", err,
				 "tenant \"%.60s\" has a URL, but there is no server.url", t->name);
		ps_error_hint(err, "replicas are servers elsewhere: those of a server that is "
				   "started here would share its slice, as lanes do");
		return PS_EPARSE;
	}
	for (size_t i = 0; i < t->target.urls.len; i++) {
		enum ps_status st = ps_net_url_parse(t->target.urls.items[i], &u, err);
		if (st != PS_OK) {
			ps_error_where(err, "%.100s:%d:tenants.url", c->path, t->where.line);
			return PS_EPARSE;
		}
	}
	return PS_OK;
}

static enum ps_status check_tenant(const struct ps_measure_campaign *c, int i, struct ps_error *err)
{
	const struct ps_measure_tenant *t =
		&((const struct ps_measure_tenant *)c->tenants.items)[i];
	if (!ps_measure_good_name(t->name)) {
		return ps_measure_wrong(
			c, &t->where, "tenants.name", err,
			"\"%.60s\" is no name for a tenant (letters, digits, . _ -)", t->name);
	}
	if (ps_measure_find_tenant(c, t->name) != i) {
		return ps_measure_wrong(c, &t->where, "tenants.name", err,
					"two tenants are called \"%.60s\"", t->name);
	}
	if (t->target.in_process) {
		ps_measure_wrong(
			c, &t->where, "tenants.in_process", err,
			"tenant \"%.60s\" would run its model in the load generator: there "
			"is no server to put into a slice, to share or to watch",
			t->name);
		ps_error_hint(err, "perseus load --in-process measures an engine without a server");
		return PS_EPARSE;
	}
	enum ps_status st = check_models(c, t, err);
	return st == PS_OK ? check_urls(c, t, err) : st;
}

enum ps_status ps_measure_check_tenants(const struct ps_measure_campaign *c, struct ps_error *err)
{
	enum ps_status st = PS_OK;
	for (int i = 0; i < (int)c->tenants.len && st == PS_OK; i++) {
		st = check_tenant(c, i, err);
	}
	return st;
}
