/* parts.c - checks of a campaign's grids, frontiers, packings and profiles, and of remote servers.
 */
#include "measure/measure_internal.h"

#include "base/units.h"
#include "net/net.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- rates of grids ---- */

static bool parse_rate(const char *text, double *ret_rps)
{
	static const struct {
		const char *unit;
		double seconds;
	} units[] = {{"/s", 1}, {"/min", 60}, {"/h", 3600}, {"", 1}};
	size_t n = strcspn(text, "/");
	char number[40];
	double v = 0;
	if (n >= sizeof(number)) {
		return false;
	}
	memcpy(number, text, n);
	number[n] = '\0';
	if (ps_units_parse_double(number, &v, NULL) != PS_OK || !(v >= 0 && v <= 1e6)) {
		return false;
	}
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		if (strcmp(text + n, units[i].unit) == 0) {
			*ret_rps = v / units[i].seconds;
			return true;
		}
	}
	return false;
}

static enum ps_status check_axis(const struct ps_measure_campaign *c, struct ps_measure_axis *x,
				 struct ps_error *err)
{
	if (ps_measure_find_tenant(c, x->tenant) < 0) {
		return ps_measure_wrong(c, &x->where, "grids.axes.tenant", err,
					"there is no tenant \"%.60s\" in tenants", x->tenant);
	}
	for (size_t i = 0; i < x->rates.len; i++) {
		if (!parse_rate(x->rates.items[i], &x->rps[i])) {
			return ps_measure_wrong(
				c, &x->where, "grids.axes.rates", err,
				"\"%.60s\" is no rate from 0 to 10^6 per second, such as 2/s",
				x->rates.items[i]);
		}
		for (size_t k = 0; k < i; k++) {
			if (x->rps[k] == x->rps[i]) {
				return ps_measure_wrong(c, &x->where, "grids.axes.rates", err,
							"the rate %.60s stands there twice",
							x->rates.items[i]);
			}
		}
	}
	return PS_OK;
}

static enum ps_status check_grid(const struct ps_measure_campaign *c, struct ps_measure_grid *g,
				 struct ps_error *err)
{
	struct ps_measure_axis *axes = g->axes.items;
	size_t points = 1;
	if (!ps_measure_good_name(g->name)) {
		return ps_measure_wrong(c, &g->where, "grids.name", err,
					"\"%.60s\" is no name for a grid (letters, digits, . _ -)",
					g->name);
	}
	for (size_t i = 0; i < g->axes.len; i++) {
		enum ps_status st = check_axis(c, &axes[i], err);
		if (st != PS_OK) {
			return st;
		}
		for (size_t k = 0; k < i; k++) {
			if (strcmp(axes[k].tenant, axes[i].tenant) == 0) {
				return ps_measure_wrong(c, &axes[i].where, "grids.axes.tenant", err,
							"tenant \"%.60s\" has two axes",
							axes[i].tenant);
			}
		}
		points *= axes[i].rates.len;
		if (points > PS_MEASURE_MAX_POINTS) {
			return ps_measure_wrong(c, &g->where, "grids.axes", err,
						"grid \"%.60s\" has over 1024 points", g->name);
		}
	}
	if (points == 1 && axes[0].rps[0] == 0 && g->axes.len == 1) {
		return ps_measure_wrong(c, &g->where, "grids.axes", err,
					"grid \"%.60s\" has no point with a rate", g->name);
	}
	return PS_OK;
}

static enum ps_status check_grids(struct ps_measure_campaign *c, struct ps_error *err)
{
	struct ps_measure_grid *g = c->grids.items;
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < c->grids.len && st == PS_OK; i++) {
		st = check_grid(c, &g[i], err);
		for (size_t k = 0; k < i && st == PS_OK; k++) {
			if (strcmp(g[k].name, g[i].name) == 0) {
				st = ps_measure_wrong(c, &g[i].where, "grids.name", err,
						      "two grids are called \"%.60s\"", g[i].name);
			}
		}
	}
	return st;
}

/* ---- frontiers and packings ---- */

/* "6%", 0.06: a share of which both tenants get some. */
static bool parse_share(const char *text, double *ret_share)
{
	size_t n = strcspn(text, "%");
	char number[40];
	double v = 0;
	if (n >= sizeof(number) || strcmp(text + n, text[n] ? "%" : "") != 0) {
		return false;
	}
	memcpy(number, text, n);
	number[n] = '\0';
	if (ps_units_parse_double(number, &v, NULL) != PS_OK) {
		return false;
	}
	*ret_share = text[n] ? v / 100 : v;
	return *ret_share >= 0.001 && *ret_share <= 0.999;
}

/* Cells are named by their shares in four digits. */
static bool is_same_share(double a, double b)
{
	char x[32], y[32];
	(void)snprintf(x, sizeof(x), "%.4g", a);
	(void)snprintf(y, sizeof(y), "%.4g", b);
	return strcmp(x, y) == 0;
}

static enum ps_status read_shares(const struct ps_measure_campaign *c,
				  struct ps_measure_frontier *f, struct ps_error *err)
{
	f->points = f->shares.len ? (int64_t)f->shares.len : f->points;
	for (int i = 0; i < (int)f->points; i++) {
		f->share[i] = (double)(i + 1) / (double)(f->points + 1);
		if (f->shares.len && !parse_share(f->shares.items[i], &f->share[i])) {
			return ps_measure_wrong(c, &f->where, "frontiers.shares", err,
						"\"%.60s\" is no share from 0.1%% to 99.9%%",
						f->shares.items[i]);
		}
		for (int k = 0; k < i; k++) {
			if (is_same_share(f->share[k], f->share[i])) {
				return ps_measure_wrong(c, &f->where, "frontiers.shares", err,
							"the share %.60s stands there twice",
							f->shares.items[i]);
			}
		}
	}
	return PS_OK;
}

static enum ps_status read_all_shares(struct ps_measure_campaign *c, struct ps_error *err)
{
	struct ps_measure_frontier *f = c->frontiers.items;
	enum ps_status st = PS_OK;
	for (size_t i = 0; i < c->frontiers.len && st == PS_OK; i++) {
		st = read_shares(c, &f[i], err);
	}
	return st;
}

static enum ps_status check_frontiers(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_frontier *f = c->frontiers.items;
	for (size_t i = 0; i < c->frontiers.len; i++) {
		if (!ps_measure_good_name(f[i].name)) {
			return ps_measure_wrong(
				c, &f[i].where, "frontiers.name", err,
				"\"%.60s\" is no name for a frontier (letters, digits, . _ -)",
				f[i].name);
		}
		for (size_t k = 0; k < i; k++) {
			if (strcmp(f[k].name, f[i].name) == 0) {
				return ps_measure_wrong(c, &f[i].where, "frontiers.name", err,
							"two frontiers are called \"%.60s\"",
							f[i].name);
			}
		}
		for (size_t k = 0; k < f[i].tenants.len; k++) {
			if (ps_measure_find_tenant(c, f[i].tenants.items[k]) < 0) {
				return ps_measure_wrong(c, &f[i].where, "frontiers.tenants", err,
							"there is no tenant \"%.60s\" in tenants",
							f[i].tenants.items[k]);
			}
		}
		if (strcmp(f[i].tenants.items[0], f[i].tenants.items[1]) == 0) {
			return ps_measure_wrong(c, &f[i].where, "frontiers.tenants", err,
						"tenant \"%.60s\" is named twice",
						f[i].tenants.items[0]);
		}
	}
	if (c->frontiers.len > 0 && c->search.sets == PS_MEASURE_SEARCH_NONE) {
		return ps_measure_wrong(c, &f[0].where, "frontiers", err,
					"a frontier needs the capacities alone: search.sets is %s",
					"none");
	}
	return PS_OK;
}

static enum ps_status check_packings(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_packing *p = c->packings.items;
	for (size_t i = 0; i < c->packings.len; i++) {
		if (ps_measure_find_tenant(c, p[i].tenant) < 0) {
			return ps_measure_wrong(c, &p[i].where, "packings.tenant", err,
						"there is no tenant \"%.60s\" in tenants",
						p[i].tenant);
		}
		const struct ps_measure_tenant *t = c->tenants.items;
		if (t[ps_measure_find_tenant(c, p[i].tenant)].arrival.trace) {
			return ps_measure_wrong(c, &p[i].where, "packings.tenant", err,
						"tenant \"%.60s\" replays a trace, which all its "
						"copies would replay at the same instants",
						p[i].tenant);
		}
		for (size_t k = 0; k < i; k++) {
			if (strcmp(p[k].tenant, p[i].tenant) == 0) {
				return ps_measure_wrong(c, &p[i].where, "packings.tenant", err,
							"tenant \"%.60s\" has two packings",
							p[i].tenant);
			}
		}
	}
	return PS_OK;
}

/* ---- batch sizes ---- */

static enum ps_status read_batches(struct ps_measure_campaign *c, struct ps_error *err)
{
	static const int usual[] = {1, 2, 4, 8};
	struct ps_measure_profile *p = &c->profile;
	p->size_len = (int)(p->batches.len ? p->batches.len : sizeof(usual) / sizeof(usual[0]));
	for (int i = 0; i < p->size_len; i++) {
		int64_t v = p->batches.len ? 0 : usual[i];
		bool ok = p->batches.len == 0 ||
			  ps_units_parse_int(p->batches.items[i], &v, NULL) == PS_OK;
		if (!ok || v < 1 || v > 1024) {
			ps_error_set(err, PS_EPARSE, "\"%.60s\" is no batch size from 1 to 1024",
				     p->batches.items[i]);
			ps_measure_at(c, "profile.batches", err);
			return PS_EPARSE;
		}
		p->sizes[i] = (int)v;
		for (int k = 0; k < i; k++) {
			if (p->sizes[k] == p->sizes[i]) {
				ps_error_set(err, PS_EPARSE, "batch size %d stands there twice",
					     p->sizes[i]);
				ps_measure_at(c, "profile.batches", err);
				return PS_EPARSE;
			}
		}
	}
	return PS_OK;
}

/* ---- remote servers ---- */

static enum ps_status not_remote(const struct ps_measure_campaign *c, const char *key,
				 const char *why, struct ps_error *err)
{
	ps_error_set(err, PS_EPARSE, "%s", why);
	ps_measure_at(c, key, err);
	ps_error_hint(err, "server.url names a server that runs already");
	return PS_EPARSE;
}

/* Both are asked with HTTP/1.1. */
static enum ps_status check_url(const struct ps_measure_campaign *c, const char *url,
				const char *key, struct ps_error *err)
{
	struct ps_net_url u;
	enum ps_status st = url ? ps_net_url_parse(url, &u, err) : PS_OK;
	if (st == PS_OK && url && u.grpc) {
		st = ps_error_set(err, PS_EPARSE, "%.100s speaks gRPC: this needs HTTP", url);
		ps_error_hint(err, "name its HTTP address here, and tenants.url or "
				   "tenants.protocol for the requests");
	}
	if (st != PS_OK) {
		ps_measure_at(c, key, err);
		return PS_EPARSE;
	}
	return PS_OK;
}

static enum ps_status check_remote(const struct ps_measure_campaign *c, struct ps_error *err)
{
	if (!*c->server.url) {
		return not_remote(c, "server.url", "the URL is empty", err);
	}
	enum ps_status st = check_url(c, c->server.url, "server.url", err);
	if (st == PS_OK) {
		st = check_url(c, c->server.metrics, "server.metrics", err);
	}
	if (st != PS_OK) {
		return st;
	}
	if (ps_cpus_count(&c->slice.cpus) > 0 || c->slice.memory_bytes > 0 ||
	    c->slice.cpu_quota > 0) {
		return not_remote(c, "slice", "no slice can be made of a remote server", err);
	}
	if (c->server.order != PS_MEASURE_ORDER_FAIR) {
		return not_remote(c, "server.order",
				  "the order of a remote server is its own business", err);
	}
	if (c->packings.len > 0) {
		return not_remote(c, "packings", "copies of a tenant need a server of our own",
				  err);
	}
	if (c->cold.trials > 0) {
		return not_remote(c, "cold", "a remote server cannot be started anew", err);
	}
	if (c->operators.runs > 0) {
		return not_remote(c, "operators",
				  "the engine of a remote server cannot be profiled", err);
	}
	return PS_OK;
}

static enum ps_status check_local(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		if (t[i].key_env || t[i].key_file) {
			return ps_measure_wrong(
				c, &t[i].where,
				t[i].key_env ? "tenants.key_env" : "tenants.key_file", err,
				"tenant \"%.60s\" has a key, but there is no server.url",
				t[i].name);
		}
	}
	const struct ps_load_target_options *o = &c->server.target;
	if (o->tls_ca || o->tls_cert || o->tls_key || o->tls_name || o->insecure) {
		ps_error_set(err, PS_EPARSE, "TLS is for a server at server.url");
		ps_measure_at(c, "server", err);
		return PS_EPARSE;
	}
	if (c->server.metrics) {
		ps_error_set(err, PS_EPARSE, "server.metrics is for a server at server.url");
		ps_measure_at(c, "server.metrics", err);
		return PS_EPARSE;
	}
	return PS_OK;
}

static enum ps_status check_keys(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	for (size_t i = 0; i < c->tenants.len; i++) {
		if (t[i].key_env && t[i].key_file) {
			return ps_measure_wrong(c, &t[i].where, "tenants.key_env", err,
						"tenant \"%.60s\" has two keys", t[i].name);
		}
	}
	return PS_OK;
}

/* All requests of a trial are kept, with room for half as many more. Grids and searches find their
 * rates later: a trial of theirs that is too long fails its cell. */
static enum ps_status check_records(const struct ps_measure_campaign *c, struct ps_error *err)
{
	const struct ps_measure_tenant *t = c->tenants.items;
	double seconds = (double)(c->confirm.warmup_ns + c->confirm.duration_ns) / 1e9;
	for (size_t i = 0; i < c->tenants.len && c->confirm.trials > 0; i++) {
		if (1.5 * t[i].demand_rps * seconds > PS_MEASURE_MAX_RECORDS) {
			return ps_measure_wrong(
				c, &t[i].where, "tenants.demand", err,
				"a trial of tenant \"%.60s\" has too many requests, "
				"over 11184810: make it shorter or slower",
				t[i].name);
		}
	}
	return PS_OK;
}

enum ps_status ps_measure_check_parts(struct ps_measure_campaign *c, struct ps_error *err)
{
	enum ps_status st = check_grids(c, err);
	st = st == PS_OK ? check_frontiers(c, err) : st;
	st = st == PS_OK ? read_all_shares(c, err) : st;
	st = st == PS_OK ? check_packings(c, err) : st;
	st = st == PS_OK ? read_batches(c, err) : st;
	st = st == PS_OK ? check_keys(c, err) : st;
	st = st == PS_OK ? check_records(c, err) : st;
	if (st == PS_OK) {
		st = c->server.url ? check_remote(c, err) : check_local(c, err);
	}
	return st;
}
