/* ledger_memory.c - whose the memory is that models hold.
 *
 * It is charged where it was promised: an instance's bytes are split over the models that it
 * serves, and a model's over the tenants whose `models` name it, else over those that have used it.
 * What is nobody's is charged to "-", so that the sum over all is what the machine held.
 */
#include "serve/ledger_internal.h"

#include <stdlib.h>
#include <string.h>

static int compare_owners(const void *a, const void *b)
{
	const struct ps_serve_owner *x = a, *y = b;
	return x->model != y->model ? (x->model > y->model) - (x->model < y->model)
				    : (x->tenant > y->tenant) - (x->tenant < y->tenant);
}

struct name {
	const char *name;
	int model;
};

static int compare_names(const void *a, const void *b)
{
	return strcmp(((const struct name *)a)->name, ((const struct name *)b)->name);
}

static bool add_owner(struct ps_serve_ledger *l, size_t *cap, int model, int tenant)
{
	if (l->n_owners == *cap) {
		size_t more = *cap ? 2 * *cap : 256;
		struct ps_serve_owner *owners = realloc(l->owners, more * sizeof *owners);
		if (!owners)
			return false;
		l->owners = owners;
		*cap = more;
	}
	l->owners[l->n_owners++] = (struct ps_serve_owner){model, tenant};
	return true;
}

/* The names of all models, sorted; they live as long as the repository. */
static struct name *list_names(struct ps_serve *s, int *ret_n)
{
	pthread_mutex_lock(&s->lock);
	int n = ps_repo_count(s->repo);
	struct name *names = calloc((size_t)n + 1, sizeof *names);
	for (int m = 0; names && m < n; m++)
		names[m] = (struct name){ps_repo_get(s->repo, m)->name, m};
	pthread_mutex_unlock(&s->lock);
	if (names && n > 0)
		qsort(names, (size_t)n, sizeof *names, compare_names);
	*ret_n = n;
	return names;
}

/* All versions of a name that a tenant's configuration lists. */
static bool add_named(struct ps_serve_ledger *l, size_t *cap, const struct name *names, int n,
		      const char *wanted, int tenant)
{
	const struct name key = {.name = wanted};
	const struct name *at = bsearch(&key, names, (size_t)n, sizeof *names, compare_names);
	bool good = true;
	while (at && at > names && strcmp(at[-1].name, wanted) == 0)
		at--;
	for (; good && at && at < names + n && strcmp(at->name, wanted) == 0; at++)
		good = add_owner(l, cap, at->model, tenant);
	return good;
}

static bool has_owner(const struct ps_serve_ledger *l, size_t n, int model)
{
	size_t low = 0, high = n;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (l->owners[middle].model < model)
			low = middle + 1;
		else
			high = middle;
	}
	return low < n && l->owners[low].model == model;
}

/* Who of the snapshot uses shared instances: share: false pays for its own ones alone. */
static bool is_sharing(const struct ps_tenancy *t, int tenant)
{
	return ps_tenancy_exists(t, tenant) && ps_tenancy_shares(t, tenant);
}

/* The number of the tenant that is alone; numbers of removed ones are never given again. */
static int only_tenant(const struct ps_tenancy *t)
{
	int found = -1;
	for (int i = 0; i < ps_tenancy_count(t); i++) {
		if (!ps_tenancy_exists(t, i))
			continue;
		if (found >= 0)
			return -1;
		found = i;
	}
	return found >= 0 && ps_tenancy_shares(t, found) ? found : -1;
}

static bool add_configured(struct ps_serve_ledger *l, size_t *cap,
			   const struct ps_serve_snapshot *p, const struct name *names, int n)
{
	const struct ps_serve_tenant_config *t = p->config->tenants.items;
	int only = only_tenant(p->tenancy);
	bool good = true;
	for (size_t i = 0; good && i < p->config->tenants.len; i++) {
		int tenant = ps_tenancy_find(p->tenancy, t[i].name, strlen(t[i].name));
		for (size_t k = 0; good && t[i].share && k < t[i].models.len; k++)
			good = add_named(l, cap, names, n, t[i].models.items[k], tenant);
	}
	/* A tenant that is alone owns what there is. */
	if (only >= 0 && l->n_owners == 0)
		for (int i = 0; good && i < n; i++)
			good = add_owner(l, cap, names[i].model, only);
	return good;
}

/* A pair counts as long as its tenant may still use the model. */
static bool add_used(struct ps_serve_ledger *l, size_t *cap, const struct ps_tenancy *t,
		     const struct ps_serve_pair *pair, size_t configured)
{
	struct ps_serve *s = l->observe->server;
	if (!is_sharing(t, pair->tenant) || has_owner(l, configured, pair->model))
		return true;
	pthread_mutex_lock(&s->lock);
	const char *name = ps_repo_get(s->repo, pair->model)->name;
	pthread_mutex_unlock(&s->lock);
	return !ps_tenancy_sees(t, pair->tenant, name) ||
	       add_owner(l, cap, pair->model, pair->tenant);
}

static void sort_owners(struct ps_serve_ledger *l)
{
	if (l->n_owners > 0)
		qsort(l->owners, l->n_owners, sizeof *l->owners, compare_owners);
}

/* Who owns what changes with the configuration, with new models and with their first use. */
static void find_owners(struct ps_serve_ledger *l)
{
	struct ps_serve *s = l->observe->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	size_t pairs = ps_serve_pairs(l->observe), cap = 0;
	int n;
	struct name *names = list_names(s, &n);
	if (names &&
	    (p->generation != l->generation || pairs != l->at_pairs || n != l->at_models)) {
		free(l->owners);
		l->owners = NULL;
		l->n_owners = 0;
		bool good = add_configured(l, &cap, p, names, n);
		sort_owners(l);
		size_t configured = l->n_owners;
		for (size_t i = 0; good && i < pairs; i++)
			good = add_used(l, &cap, p->tenancy, ps_serve_pair_get(l->observe, i),
					configured);
		sort_owners(l);
		l->generation = good ? p->generation : 0;
		l->at_pairs = pairs;
		l->at_models = n;
	}
	free(names);
	ps_serve_snapshot_unref(p);
}

/* Splits without losing a byte: the first ones get what does not divide. */
static void charge_owners(struct ps_serve_ledger *l, int model, __int128 byte_ns, int64_t minute)
{
	size_t first = 0, high = l->n_owners, n = 0;
	while (first < high) {
		size_t middle = (first + high) / 2;
		if (l->owners[middle].model < model)
			first = middle + 1;
		else
			high = middle;
	}
	while (first + n < l->n_owners && l->owners[first + n].model == model)
		n++;
	if (n == 0) {
		ps_serve_ledger_charge(l, -1, model, byte_ns, minute);
		return;
	}
	for (size_t i = 0; i < n; i++) {
		__int128 share = byte_ns / (__int128)(n - i);
		ps_serve_ledger_charge(l, l->owners[first + i].tenant, model, share, minute);
		byte_ns -= share;
	}
}

/* What a loaded instance holds, once for each model that it serves. */
struct held {
	int instance, model, domain;
	int64_t private_bytes, mapped_bytes;
	bool hashed;
	unsigned char hash[PS_REPO_HASH_SIZE];
	int models, contents; /* that share it; that share its file */
};

/* Also one that is to go but has requests at it, or closes: its memory is there until then. */
static bool is_held(const struct ps_repo_instance *in)
{
	return in->state == PS_REPO_INSTANCE_READY || in->state == PS_REPO_INSTANCE_UNLOADING;
}

static struct held held_of(const struct ps_repo_instance *in, int instance, int model)
{
	struct held h = {.instance = instance,
			 .model = model,
			 .domain = in->domain,
			 .private_bytes = in->facts.private_bytes + in->facts.device_bytes,
			 .mapped_bytes = in->facts.mapped_bytes,
			 .hashed = in->hashed};
	memcpy(h.hash, in->hash, sizeof h.hash);
	return h;
}

static size_t count_held(const struct ps_repo *r)
{
	size_t n = 0;
	for (int i = 0; i < ps_repo_instances(r); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(r, i);
		n += !is_held(in) ? 0 : in->n_users > 0 ? (size_t)in->n_users : 1;
	}
	return n;
}

static struct held *list_held(struct ps_serve *s, size_t *ret_n)
{
	pthread_mutex_lock(&s->lock);
	struct held *all = calloc(count_held(s->repo) + 1, sizeof *all);
	size_t n = 0;
	for (int i = 0; all && i < ps_repo_instances(s->repo); i++) {
		const struct ps_repo_instance *in = ps_repo_instance_get(s->repo, i);
		if (!is_held(in))
			continue;
		for (int k = 0; k < in->n_users; k++)
			all[n++] = held_of(in, i, in->users[k]);
		if (in->n_users == 0) /* nobody's any more: whom it was made for */
			all[n++] = held_of(in, i, in->model);
	}
	pthread_mutex_unlock(&s->lock);
	*ret_n = n;
	return all;
}

static int compare_held(const void *a, const void *b)
{
	const struct held *x = a, *y = b;
	int content = memcmp(x->hash, y->hash, sizeof x->hash);
	return content ? content : x->instance - y->instance;
}

/* Counts who shares: an instance its models, a content its instances. */
static void count_sharers(struct held *all, size_t n)
{
	for (size_t from = 0, to; from < n; from = to) {
		int contents = 0;
		for (to = from; to < n &&
				memcmp(all[to].hash, all[from].hash, sizeof all[to].hash) == 0 &&
				(all[to].hashed || all[to].instance == all[from].instance);) {
			size_t same = to;
			while (same < n && all[same].instance == all[to].instance)
				same++;
			for (size_t i = to; i < same; i++)
				all[i].models = (int)(same - to);
			contents++;
			to = same;
		}
		for (size_t i = from; i < to; i++)
			all[i].contents = contents;
	}
}

void ps_serve_ledger_memory(struct ps_serve_ledger *l, int64_t dt_ns, int64_t minute)
{
	size_t n;
	struct held *all = list_held(l->observe->server, &n);
	if (!all)
		return;
	if (n > 0)
		qsort(all, n, sizeof *all, compare_held);
	count_sharers(all, n);
	find_owners(l);
	for (size_t i = 0; i < n; i++) {
		const struct held *h = &all[i];
		__int128 bytes = (__int128)h->private_bytes * h->contents + h->mapped_bytes;
		__int128 byte_ns = bytes * dt_ns / ((__int128)h->contents * h->models);
		if (h->domain == PS_REPO_SHARED)
			charge_owners(l, h->model, byte_ns, minute);
		else
			ps_serve_ledger_charge(l, h->domain - 1, h->model, byte_ns, minute);
	}
	free(all);
}
