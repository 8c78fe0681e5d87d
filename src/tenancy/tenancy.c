/* The snapshot as everybody reads it. */
#include "tenancy/tenancy_internal.h"

#include <stdlib.h>
#include <string.h>

struct ps_tenancy *ps_tenancy_ref(struct ps_tenancy *t)
{
	atomic_fetch_add_explicit(&t->refs, 1, memory_order_relaxed);
	return t;
}

void ps_tenancy_unref(struct ps_tenancy *t)
{
	if (!t || atomic_fetch_sub_explicit(&t->refs, 1, memory_order_acq_rel) != 1)
		return;
	EVP_MD_free(t->sha256);
	free(t->keys);
	free(t->names.slots);
	free(t->certs.slots);
	free(t->entries);
	ps_arena_fini(&t->arena);
	free(t);
}

const char *ps_tenancy_class_name(enum ps_tenancy_class c)
{
	return c == PS_TENANCY_BEST_EFFORT ? "best-effort" : "guaranteed";
}

int ps_tenancy_count(const struct ps_tenancy *t)
{
	return t->n_entries;
}

bool ps_tenancy_exists(const struct ps_tenancy *t, int tenant)
{
	return tenant >= 0 && tenant < t->n_entries && t->entries[tenant].exists;
}

const char *ps_tenancy_name(const struct ps_tenancy *t, int tenant)
{
	if (tenant == PS_TENANCY_ADMIN)
		return "admin";
	return tenant >= 0 && tenant < t->n_entries ? t->entries[tenant].name : "-";
}

int ps_tenancy_find(const struct ps_tenancy *t, const char *name, size_t len)
{
	int who = ps_tenancy_words_find(&t->names, name, len)->who;
	return ps_tenancy_exists(t, who) ? who : PS_TENANCY_NONE;
}

int64_t ps_tenancy_weight(const struct ps_tenancy *t, int tenant)
{
	return t->entries[tenant].weight;
}

enum ps_tenancy_class ps_tenancy_class(const struct ps_tenancy *t, int tenant)
{
	return t->entries[tenant].class;
}

int64_t ps_tenancy_queue_limit(const struct ps_tenancy *t, int tenant)
{
	return t->entries[tenant].queue_limit;
}

int64_t ps_tenancy_concurrency(const struct ps_tenancy *t, int tenant)
{
	return t->entries[tenant].concurrency;
}

struct ps_tenancy_rate ps_tenancy_rate(const struct ps_tenancy *t, int tenant)
{
	return t->entries[tenant].rate;
}

int64_t ps_tenancy_max_body_bytes(const struct ps_tenancy *t, int tenant, int64_t server_bytes)
{
	int64_t own = ps_tenancy_exists(t, tenant) ? t->entries[tenant].max_body_bytes : 0;
	return own > 0 && own < server_bytes ? own : server_bytes;
}

int64_t ps_tenancy_memory_bytes(const struct ps_tenancy *t, int tenant)
{
	return ps_tenancy_exists(t, tenant) ? t->entries[tenant].memory_bytes : 0;
}

bool ps_tenancy_shares(const struct ps_tenancy *t, int tenant)
{
	return !t->entries[tenant].no_share;
}

static int model_against(const void *model, const void *sla)
{
	return strcmp(model, ((const struct ps_tenancy_sla *)sla)->model);
}

const struct ps_sla *ps_tenancy_sla(const struct ps_tenancy *t, int tenant, const char *model)
{
	const struct tenancy_entry *e = &t->entries[tenant];
	const struct ps_tenancy_sla *own = NULL;
	if (e->n_slas > 0)
		own = bsearch(model, e->slas, e->n_slas, sizeof *e->slas, model_against);
	return own ? &own->sla : &e->sla;
}

static int model_against_name(const void *model, const void *name)
{
	return strcmp(model, *(const char *const *)name);
}

bool ps_tenancy_sees(const struct ps_tenancy *t, int tenant, const char *model)
{
	if (tenant == PS_TENANCY_ADMIN)
		return true;
	const struct tenancy_entry *e = &t->entries[tenant];
	if (e->all_models)
		return true;
	return e->n_models > 0 && bsearch(model, e->models, e->n_models, sizeof *e->models,
					  model_against_name) != NULL;
}

bool ps_tenancy_may_load(const struct ps_tenancy *t, int tenant, const char *model)
{
	if (tenant == PS_TENANCY_ADMIN)
		return true;
	return t->entries[tenant].may_load && ps_tenancy_sees(t, tenant, model);
}

bool ps_tenancy_has_open(const struct ps_tenancy *t)
{
	return t->open_tenant != PS_TENANCY_NONE;
}

bool ps_tenancy_has_admin(const struct ps_tenancy *t)
{
	return t->has_admin;
}

int ps_tenancy_by_cert(const struct ps_tenancy *t, const char *name, size_t len)
{
	return len > 0 ? ps_tenancy_words_find(&t->certs, name, len)->who : PS_TENANCY_NONE;
}
