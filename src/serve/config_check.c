/* config_check.c - what the rows cannot check, with the line that is wrong; snapshots. */
#include "base/file.h"
#include "base/units.h"
#include "serve/admin_internal.h"

#include <stdlib.h>
#include <string.h>

enum ps_status ps_serve_config_at(const struct ps_serve_config *c, const struct ps_conf_where *w,
				  const char *key, struct ps_error *err)
{
	if (c->file && w->line > 0)
		ps_error_where(err, "%.120s:%d:%s", c->file, w->line, key);
	return err ? err->status : PS_EINVAL;
}

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "out of memory");
	return PS_ENOMEM;
}

/* --- addresses --- */

/* A name is looked up: what counts is where it leads. */
static enum ps_status is_loopback(const struct ps_serve_address *a, bool *ret_loopback,
				  struct ps_error *err)
{
	struct ps_net_address address;
	char text[PS_NET_ADDRESS_TEXT_SIZE];
	*ret_loopback = true;
	if (a->kind != PS_SERVE_TCP)
		return PS_OK;
	enum ps_status status = ps_net_resolve(a->host, 1, &address, err);
	if (status != PS_OK)
		return status;
	ps_net_address_text(&address, text);
	*ret_loopback = strncmp(text, "127.", 4) == 0 || strncmp(text, "[::1]", 5) == 0;
	return PS_OK;
}

/* Who reaches a server over the network must prove who they are. */
static enum ps_status check_listeners(const struct ps_conf_texts *list, const char *key,
				      const struct ps_tenancy *t, int *ret_on, struct ps_error *err)
{
	for (size_t i = 0; i < list->len; i++) {
		struct ps_serve_address a;
		bool loopback = true;
		enum ps_status status = ps_serve_address_parse(list->items[i], &a, err);
		if (status == PS_OK && ps_tenancy_has_open(t))
			status = is_loopback(&a, &loopback, err);
		if (status != PS_OK) {
			ps_error_where(err, "%s", key);
			return status;
		}
		*ret_on += a.kind != PS_SERVE_OFF;
		if (loopback)
			continue;
		ps_error_set(err, PS_EINVAL,
			     "%s can be reached from the network and a tenant has no key",
			     list->items[i]);
		ps_error_hint(err, "give every tenant a key (perseus serve keys create), or listen "
				   "on 127.0.0.1");
		return PS_EINVAL;
	}
	return PS_OK;
}

static enum ps_status check_addresses(const struct ps_serve_config *c, const struct ps_tenancy *t,
				      struct ps_error *err)
{
	int served = 0, metrics = 0;
	enum ps_status status = check_listeners(&c->listen, "listen", t, &served, err);
	if (status == PS_OK)
		status = check_listeners(&c->grpc, "grpc", t, &served, err);
	if (status == PS_OK)
		status = check_listeners(&c->metrics, "metrics", t, &metrics, err);
	if (status == PS_OK && served == 0)
		status = ps_error_set(err, PS_EINVAL, "listen and grpc are both off");
	return status;
}

static enum ps_status check_tls(const struct ps_serve_config *c, struct ps_error *err)
{
	const struct ps_serve_tls_config *tls = &c->tls;
	const char *what = NULL;
	if (!tls->cert != !tls->key)
		what = "cert and key belong together";
	else if (!tls->cert && tls->client_ca)
		what = "client_ca needs cert and key";
	else if (!tls->client_ca && tls->require_client_cert)
		what = "require_client_cert needs client_ca";
	else if (!tls->client_ca && tls->admin_certs.len > 0)
		what = "admin_certs need client_ca";
	if (!what)
		return PS_OK;
	ps_error_set(err, PS_EINVAL, "%s", what);
	return ps_serve_config_at(c, &tls->where, "tls", err);
}

static enum ps_status check_lanes(const struct ps_serve_config *c, struct ps_error *err)
{
	if (c->lanes == 0 || c->reserve_lanes < c->lanes)
		return PS_OK;
	ps_error_set(err, PS_EINVAL, "reserve_lanes: %lld of %lld lanes leave none for best-effort",
		     (long long)c->reserve_lanes, (long long)c->lanes);
	return PS_EINVAL;
}

static enum ps_status check_bodies(const struct ps_serve_config *c, struct ps_error *err)
{
	if (c->max_buffered >= c->max_body)
		return PS_OK;
	return ps_error_set(err, PS_EINVAL, "max_buffered: less than max_body: %lld < %lld bytes",
			    (long long)c->max_buffered, (long long)c->max_body);
}

/* --- models: what can be said without a folder's listing --- */

static enum ps_status check_model(const struct ps_serve_config *c,
				  const struct ps_serve_model_config *m, struct ps_error *err)
{
	char device[PS_REPO_DEVICE_SIZE];
	enum ps_status status = PS_OK;
	if (!ps_repo_name_is_good(m->name))
		status = ps_error_set(err, PS_EINVAL, "'%.60s' is no name of a model", m->name);
	else if (m->device)
		status = ps_repo_device_parse(m->device, device, err);
	else if (!m->path && c->model_repository.len == 0)
		status = ps_error_set(err, PS_EINVAL,
				      "model %s has no path, and there is no model_repository",
				      m->name);
	if (status == PS_OK && m->path && !ps_repo_is_model_file(m->path))
		status = ps_error_set(err, PS_EUNSUPPORTED,
				      "%s: a model's file ends in .onnx or .synthetic.yaml",
				      m->path);
	if (status == PS_OK && m->path && !ps_file_exists(m->path))
		status = ps_error_set(err, PS_ENOTFOUND, "there is no file %s", m->path);
	for (size_t i = 0; status == PS_OK && i < m->preferred.len; i++) {
		int64_t rows;
		if (ps_units_parse_int(m->preferred.items[i], &rows, NULL) != PS_OK || rows < 1 ||
		    rows > PS_REPO_MAX_BATCH)
			status = ps_error_set(err, PS_EINVAL, "'%.40s' is no batch size",
					      m->preferred.items[i]);
	}
	return status == PS_OK ? PS_OK : (ps_serve_config_at(c, &m->where, "models", err), status);
}

struct version_row {
	const char *name;
	int64_t version;
	const struct ps_serve_model_config *config;
};

static int compare_versions(const void *a, const void *b)
{
	const struct version_row *x = a, *y = b;
	int names = strcmp(x->name, y->name);
	return names ? names : (x->version > y->version) - (x->version < y->version);
}

static enum ps_status check_twice(const struct ps_serve_config *c, struct ps_error *err)
{
	const struct ps_serve_model_config *m = c->models.items;
	struct version_row *rows = calloc(c->models.len + 1, sizeof *rows);
	enum ps_status status = PS_OK;
	if (!rows)
		return no_memory(err);
	for (size_t i = 0; i < c->models.len; i++)
		rows[i] = (struct version_row){m[i].name, m[i].version, &m[i]};
	if (c->models.len > 0)
		qsort(rows, c->models.len, sizeof *rows, compare_versions);
	for (size_t i = 1; status == PS_OK && i < c->models.len; i++) {
		if (compare_versions(&rows[i - 1], &rows[i]) != 0)
			continue;
		status = ps_error_set(err, PS_EEXIST, "version %lld of model '%s' is given twice",
				      (long long)rows[i].version, rows[i].name);
		ps_serve_config_at(c, &rows[i].config->where, "models", err);
	}
	free(rows);
	return status;
}

static enum ps_status check_models(const struct ps_serve_config *c, struct ps_error *err)
{
	const struct ps_serve_model_config *m = c->models.items;
	enum ps_status status = check_twice(c, err);
	if (status == PS_OK && c->models.len == 0 && c->model_repository.len == 0) {
		status = ps_error_set(err, PS_EUSAGE, "there is no model to serve");
		ps_error_hint(err, "name a folder with --models DIR, or models in --config FILE");
	}
	for (size_t i = 0; status == PS_OK && i < c->models.len; i++)
		status = check_model(c, &m[i], err);
	return status;
}

static int compare_texts(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static enum ps_status unknown_model(const struct ps_serve_config *c,
				    const struct ps_serve_tenant_config *t,
				    const struct ps_conf_where *w, const char *model,
				    struct ps_error *err)
{
	ps_error_set(err, PS_EINVAL, "tenant %s names the model '%s', which is not served", t->name,
		     model);
	return ps_serve_config_at(c, w, "tenants", err);
}

/* With folders, a model may come later than its tenant: names are then not held against anything.
 */
static enum ps_status check_references(const struct ps_serve_config *c, struct ps_error *err)
{
	const struct ps_serve_model_config *m = c->models.items;
	const struct ps_serve_tenant_config *t = c->tenants.items;
	size_t n = c->models.len;
	enum ps_status status = PS_OK;
	const char **names = calloc(n + 1, sizeof *names);
	if (!names)
		return no_memory(err);
	for (size_t i = 0; i < n; i++)
		names[i] = m[i].name;
	if (n > 0)
		qsort(names, n, sizeof *names, compare_texts);
	for (size_t i = 0; status == PS_OK && c->model_repository.len == 0 && i < c->tenants.len;
	     i++) {
		const struct ps_serve_sla_config *s = t[i].slas.items;
		for (size_t k = 0; status == PS_OK && k < t[i].models.len; k++)
			if (!bsearch(&t[i].models.items[k], names, n, sizeof *names, compare_texts))
				status = unknown_model(c, &t[i], &t[i].where, t[i].models.items[k],
						       err);
		for (size_t k = 0; status == PS_OK && k < t[i].slas.len; k++)
			if (!bsearch(&s[k].model, names, n, sizeof *names, compare_texts))
				status = unknown_model(c, &t[i], &s[k].where, s[k].model, err);
	}
	free(names);
	return status;
}

/* --- snapshots --- */

static enum ps_status check_all(const struct ps_serve_config *c, const struct ps_tenancy *t,
				struct ps_error *err)
{
	enum ps_status status = check_tls(c, err);
	if (status == PS_OK)
		status = check_lanes(c, err);
	if (status == PS_OK)
		status = check_bodies(c, err);
	struct ps_dispatch_memory memory;
	if (status == PS_OK)
		status = ps_serve_memory_of(c, &memory, err);
	if (status == PS_OK)
		status = check_addresses(c, t, err);
	if (status == PS_OK)
		status = check_models(c, err);
	if (status == PS_OK)
		status = check_references(c, err);
	return status;
}

enum ps_status ps_serve_snapshot_new(struct ps_serve_config *config,
				     const struct ps_serve_snapshot *previous,
				     struct ps_serve_snapshot **ret_snapshot, struct ps_error *err)
{
	struct ps_tenancy *t = NULL;
	enum ps_status status =
		ps_serve_make_tenancy(config, previous ? previous->tenancy : NULL, &t, err);
	if (status == PS_OK)
		status = check_all(config, t, err);
	struct ps_serve_snapshot *p = status == PS_OK ? calloc(1, sizeof *p) : NULL;
	if (status == PS_OK && !p)
		status = no_memory(err);
	if (status != PS_OK) {
		ps_tenancy_unref(t);
		return status;
	}
	p->refs = 1;
	p->generation = previous ? previous->generation + 1 : 1;
	p->config = config;
	p->tenancy = t;
	*ret_snapshot = p;
	return PS_OK;
}

struct ps_serve_snapshot *ps_serve_snapshot_ref(struct ps_serve_snapshot *p)
{
	atomic_fetch_add_explicit(&p->refs, 1, memory_order_relaxed);
	return p;
}

void ps_serve_snapshot_unref(struct ps_serve_snapshot *p)
{
	if (!p || atomic_fetch_sub_explicit(&p->refs, 1, memory_order_acq_rel) != 1)
		return;
	ps_serve_config_free(p->config);
	ps_tenancy_unref(p->tenancy);
	free(p);
}
