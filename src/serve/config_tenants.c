/* config_tenants.c - tenants and keys of a configuration in tenancy's form. */
#include "base/file.h"
#include "serve/admin_internal.h"
#include "serve/keys.h"

#include <stdlib.h>
#include <string.h>

static enum ps_status no_memory(struct ps_error *err)
{
	ps_error_set(err, PS_ENOMEM, "out of memory");
	return PS_ENOMEM;
}

struct by_name {
	const char *name;
	size_t index;
};

/* Everything that tenancy's structs point to while they are being read. */
struct tenants {
	const struct ps_serve_config *config;
	struct ps_serve_keys keys; /* of keys_file */
	struct ps_tenancy_tenant *list;
	struct by_name *names; /* sorted */
	const char **key_pool, **admin_keys;
	struct ps_tenancy_sla *sla_pool;
	size_t n_admin_keys;
};

static int compare_names(const void *a, const void *b)
{
	const struct by_name *x = a, *y = b;
	return strcmp(x->name, y->name);
}

static enum ps_status allocate(struct tenants *t, struct ps_error *err)
{
	const struct ps_serve_config *c = t->config;
	const struct ps_serve_tenant_config *from = c->tenants.items;
	size_t n_keys = t->keys.keys.len, n_slas = 0;
	for (size_t i = 0; i < c->tenants.len; i++) {
		n_keys += from[i].keys.len;
		n_slas += from[i].slas.len;
	}
	t->list = calloc(c->tenants.len + 1, sizeof *t->list);
	t->names = calloc(c->tenants.len + 1, sizeof *t->names);
	t->key_pool = calloc(n_keys + 1, sizeof *t->key_pool);
	t->admin_keys = calloc(c->admin_keys.len + t->keys.keys.len + 1, sizeof *t->admin_keys);
	t->sla_pool = calloc(n_slas + 1, sizeof *t->sla_pool);
	if (!t->list || !t->names || !t->key_pool || !t->admin_keys || !t->sla_pool)
		return no_memory(err);
	for (size_t i = 0; i < c->tenants.len; i++)
		t->names[i] = (struct by_name){from[i].name, i};
	if (c->tenants.len > 0)
		qsort(t->names, c->tenants.len, sizeof *t->names, compare_names);
	return PS_OK;
}

static void release(struct tenants *t)
{
	ps_conf_free(&ps_serve_keys_schema, &t->keys);
	free(t->list);
	free(t->names);
	free(t->key_pool);
	free(t->admin_keys);
	free(t->sla_pool);
}

static struct ps_tenancy_rate rate_of(const struct ps_serve_tenant_config *from)
{
	struct ps_tenancy_rate rate = {.per_s = from->rate, .burst = from->burst};
	if (from->rate > 0 && from->burst == 0)
		rate.burst = from->rate;
	if (from->rate > 0 && rate.burst < 1)
		rate.burst = 1;
	return rate;
}

static struct ps_tenancy_tenant tenant_of(const struct ps_serve_tenant_config *from)
{
	return (struct ps_tenancy_tenant){
		.name = from->name,
		.certs = (const char *const *)from->client_certs.items,
		.n_certs = from->client_certs.len,
		.models = (const char *const *)from->models.items,
		.n_models = from->models.len,
		.all_models = from->models.len == 0,
		.sla = from->sla,
		.class = (enum ps_tenancy_class)from->class,
		.weight = from->weight,
		.queue_limit = from->queue_limit,
		.concurrency = from->concurrency,
		.rate = rate_of(from),
		.max_body_bytes = from->max_body,
		.memory_bytes = from->memory,
		.may_load = from->may_load,
		.no_share = !from->share,
	};
}

/* Sorts the keys of the keys file by tenant: each tenant's keys must lie together. */
static enum ps_status count_file_keys(struct tenants *t, size_t *counts, struct ps_error *err)
{
	const struct ps_serve_key_config *k = t->keys.keys.items;
	for (size_t i = 0; i < t->keys.keys.len; i++) {
		struct by_name wanted = {.name = k[i].tenant};
		if (!k[i].tenant) {
			t->admin_keys[t->n_admin_keys++] = k[i].digest;
			continue;
		}
		const struct by_name *found = bsearch(&wanted, t->names, t->config->tenants.len,
						      sizeof *t->names, compare_names);
		if (!found) {
			ps_error_set(err, PS_EINVAL, "a key of the tenant '%s', which is not there",
				     k[i].tenant);
			ps_error_where(err, "%.120s:%d:tenant", t->config->keys_file,
				       k[i].where.line);
			return PS_EINVAL;
		}
		counts[found->index]++;
	}
	return PS_OK;
}

/* Lays every tenant's keys into the pool: those of its own section, then those of the file. */
static enum ps_status lay_out_keys(struct tenants *t, struct ps_error *err)
{
	const struct ps_serve_config *c = t->config;
	const struct ps_serve_tenant_config *from = c->tenants.items;
	const struct ps_serve_key_config *k = t->keys.keys.items;
	size_t *counts = calloc(c->tenants.len + 1, sizeof *counts);
	const char **next = t->key_pool;
	if (!counts)
		return no_memory(err);
	enum ps_status status = count_file_keys(t, counts, err);
	for (size_t i = 0; status == PS_OK && i < c->tenants.len; i++) {
		t->list[i].keys = next;
		for (size_t n = 0; n < from[i].keys.len; n++)
			next[n] = from[i].keys.items[n];
		t->list[i].n_keys = from[i].keys.len;
		next += from[i].keys.len + counts[i];
	}
	for (size_t i = 0; status == PS_OK && i < t->keys.keys.len; i++) {
		struct by_name wanted = {.name = k[i].tenant};
		if (!k[i].tenant)
			continue;
		const struct by_name *found =
			bsearch(&wanted, t->names, c->tenants.len, sizeof *t->names, compare_names);
		struct ps_tenancy_tenant *to = &t->list[found->index];
		((const char **)to->keys)[to->n_keys++] = k[i].digest;
	}
	free(counts);
	return status;
}

static void lay_out_slas(struct tenants *t)
{
	const struct ps_serve_tenant_config *from = t->config->tenants.items;
	struct ps_tenancy_sla *next = t->sla_pool;
	for (size_t i = 0; i < t->config->tenants.len; i++) {
		const struct ps_serve_sla_config *s = from[i].slas.items;
		t->list[i].slas = next;
		t->list[i].n_slas = from[i].slas.len;
		for (size_t n = 0; n < from[i].slas.len; n++)
			*next++ = (struct ps_tenancy_sla){.model = s[n].model, .sla = s[n].sla};
	}
}

static enum ps_status fill(struct tenants *t, struct ps_error *err)
{
	const struct ps_serve_config *c = t->config;
	const struct ps_serve_tenant_config *from = c->tenants.items;
	for (size_t i = 0; i < c->admin_keys.len; i++)
		t->admin_keys[t->n_admin_keys++] = c->admin_keys.items[i];
	for (size_t i = 0; i < c->tenants.len; i++)
		t->list[i] = tenant_of(&from[i]);
	lay_out_slas(t);
	return lay_out_keys(t, err);
}

/* Most often keys are not made yet, or are in a file that the configuration does not name. */
static enum ps_status two_open(const struct ps_serve_config *c,
			       const struct ps_serve_tenant_config *a,
			       const struct ps_serve_tenant_config *b, struct ps_error *err)
{
	const char *file = c->file ? c->file : "FILE";
	ps_error_set(err, PS_EINVAL, "tenants %s and %s both have no key: nothing tells them apart",
		     a->name, b->name);
	if (!c->keys_file)
		ps_error_hint(err,
			      "the configuration has no keys_file: name one, then perseus serve "
			      "keys create --config %.60s --tenant %.40s",
			      file, b->name);
	else
		ps_error_hint(
			err, "%.60s %s: perseus serve keys create --config %.60s --tenant %.40s",
			c->keys_file,
			ps_file_exists(c->keys_file) ? "has no key of theirs" : "is not there yet",
			file, b->name);
	return ps_serve_config_at(c, &b->where, "tenants", err);
}

static enum ps_status build(struct tenants *t, const struct ps_tenancy *previous,
			    struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	const struct ps_serve_config *c = t->config;
	const struct ps_serve_tenant_config *from = c->tenants.items;
	static const struct ps_tenancy_tenant only = {.name = "default",
						      .all_models = true,
						      .queue_limit = 100,
						      .weight = 1,
						      .may_load = true};
	struct ps_tenancy_config tc = {
		.tenants = c->tenants.len ? t->list : &only,
		.n_tenants = c->tenants.len ? c->tenants.len : 1,
		.admin_keys = t->admin_keys,
		.n_admin_keys = t->n_admin_keys,
		.admin_certs = (const char *const *)c->tls.admin_certs.items,
		.n_admin_certs = c->tls.admin_certs.len,
	};
	size_t bad = c->tenants.len;
	int open = -1;
	for (size_t i = 0; i < c->tenants.len; i++) {
		const struct ps_tenancy_tenant *x = &t->list[i];
		if (x->n_keys > 0 || x->n_certs > 0)
			continue;
		if (open >= 0)
			return two_open(c, &from[open], &from[i], err);
		open = (int)i;
	}
	enum ps_status status = ps_tenancy_new(&tc, previous, ret_tenancy, &bad, err);
	if (status != PS_OK && bad < c->tenants.len)
		ps_serve_config_at(c, &from[bad].where, "tenants", err);
	return status;
}

enum ps_status ps_serve_make_tenancy(const struct ps_serve_config *c,
				     const struct ps_tenancy *previous,
				     struct ps_tenancy **ret_tenancy, struct ps_error *err)
{
	struct tenants t = {.config = c};
	enum ps_status status = PS_OK;
	if (c->keys_file)
		status = ps_serve_keys_load(c->keys_file, &t.keys, err);
	if (status != PS_OK)
		return status;
	status = allocate(&t, err);
	if (status == PS_OK)
		status = fill(&t, err);
	if (status == PS_OK)
		status = build(&t, previous, ret_tenancy, err);
	release(&t);
	return status;
}
