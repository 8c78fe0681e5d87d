/* models_wanted.c - which models of the repository are wanted, and for whom.
 *
 * What the API has asked for goes before the configuration, also after a restart (with `state`).
 * Wanting and leaving are two steps: between them a reload waits until tenants have been moved to
 * where their models are now, so that no request meets an instance that is not there yet or not any
 * more.
 */
#include "base/log.h"
#include "serve/admin_state_internal.h"

#include <stdlib.h>
#include <string.h>

struct names {
	struct ps_serve *server;
	const struct ps_serve_snapshot *snapshot;
	const char **names; /* of the repository, sorted, once each; they live as long as it */
	size_t n;
	bool *shared; /* by name: some tenant that shares may use it */
	bool *loaded; /* by name: at start, as configured */
};

static int compare_texts(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

static void list_names(struct names *a)
{
	const struct ps_repo *r = a->server->repo;
	int n = ps_repo_count(r);
	size_t found = 0;
	for (int i = 0; i < n; i++)
		if (!ps_repo_get(r, i)->gone)
			a->names[found++] = ps_repo_get(r, i)->name;
	if (found > 0)
		qsort(a->names, found, sizeof *a->names, compare_texts);
	for (size_t i = 0; i < found; i++)
		if (a->n == 0 || strcmp(a->names[a->n - 1], a->names[i]) != 0)
			a->names[a->n++] = a->names[i];
}

/* A name that only tenants without sharing see needs no shared instance; one that nobody sees is
 * kept for the operator. */
static void mark_shared(struct names *a, bool *seen)
{
	const struct ps_conf_array *tenants = &a->snapshot->config->tenants;
	const struct ps_serve_tenant_config *t = tenants->items;
	bool all = tenants->len == 0;
	for (size_t i = 0; !all && i < tenants->len; i++) {
		if (t[i].share && t[i].models.len == 0)
			all = true;
		for (size_t k = 0; k < t[i].models.len; k++) {
			const char **at = bsearch(&t[i].models.items[k], a->names, a->n,
						  sizeof *a->names, compare_texts);
			if (at && t[i].share)
				a->shared[at - a->names] = true;
			if (at)
				seen[at - a->names] = true;
		}
		if (!t[i].share && t[i].models.len == 0)
			for (size_t k = 0; k < a->n; k++)
				seen[k] = true;
	}
	for (size_t k = 0; k < a->n; k++)
		a->shared[k] = all || a->shared[k] || !seen[k];
}

static bool is_loaded_at_start(const struct ps_serve_config *c, const char *name)
{
	const struct ps_serve_model_config *m = c->models.items;
	bool all = c->load == PS_SERVE_LOAD_ALL;
	for (size_t i = 0; i < c->models.len; i++)
		if (strcmp(m[i].name, name) == 0)
			return all && m[i].load;
	return all;
}

/* Under the server's lock. */
static enum ps_status names_init(struct names *a, struct ps_serve *s,
				 const struct ps_serve_snapshot *p)
{
	size_t most = (size_t)ps_repo_count(s->repo) + 1;
	bool *seen = calloc(most, sizeof *seen);
	*a = (struct names){.server = s,
			    .snapshot = p,
			    .names = calloc(most, sizeof *a->names),
			    .shared = calloc(most, sizeof *a->shared),
			    .loaded = calloc(most, sizeof *a->loaded)};
	bool good = seen && a->names && a->shared && a->loaded;
	if (good) {
		list_names(a);
		mark_shared(a, seen);
	}
	for (size_t i = 0; i < a->n; i++)
		a->loaded[i] = is_loaded_at_start(p->config, a->names[i]);
	free(seen);
	return good ? PS_OK : PS_ENOMEM;
}

static void names_fini(struct names *a)
{
	free(a->names);
	free(a->shared);
	free(a->loaded);
}

/* --- wanting --- */

/* Loads with the configuration that the API gave, unless it is no good any more. */
static void use_config(struct ps_serve *s, const struct ps_serve_decision *d)
{
	struct ps_repo_config config;
	struct ps_error err;
	if (!d->config)
		return;
	enum ps_status status = ps_serve_config_from_json(d->config, d->model, &config, &err);
	if (status == PS_OK) {
		status = ps_repo_set_config(s->repo, d->model, &config, &err);
		ps_repo_config_fini(&config);
	}
	if (status != PS_OK)
		ps_log_error(PS_LOG_WARN, "models", &err);
}

static void want_name(struct names *a, size_t at, int domain, const char *tenant)
{
	struct ps_repo *r = a->server->repo;
	struct ps_serve_decision d;
	const char *name = a->names[at];
	bool wanted = a->loaded[at];
	if (ps_serve_decided(a->server->admin, name, tenant, &d)) {
		wanted = d.loaded;
		if (wanted)
			use_config(a->server, &d);
		free(d.config);
		if (!wanted)
			(void)ps_repo_serve(r, name, domain, false);
	}
	if (wanted && ps_repo_serve(r, name, domain, true) == PS_ENOMEM)
		ps_log(PS_LOG_ERROR, "models", "no memory to load %s", name);
}

/* Notes that a tenant has a domain, until it is left. */
static enum ps_status note_private(struct ps_serve_admin *admin, int tenant)
{
	for (int i = 0; i < admin->n_private; i++)
		if (admin->private[i] == tenant)
			return PS_OK;
	int *more = realloc(admin->private, ((size_t)admin->n_private + 1) * sizeof *more);
	if (!more)
		return PS_ENOMEM;
	admin->private = more;
	admin->private[admin->n_private++] = tenant;
	return PS_OK;
}

static bool is_private(const struct ps_tenancy *t, int tenant)
{
	return ps_tenancy_exists(t, tenant) && !ps_tenancy_shares(t, tenant);
}

static enum ps_status want_private(struct names *a)
{
	const struct ps_tenancy *t = a->snapshot->tenancy;
	enum ps_status status = PS_OK;
	for (int i = 0; status == PS_OK && i < ps_tenancy_count(t); i++) {
		if (!is_private(t, i))
			continue;
		status = note_private(a->server->admin, i);
		for (size_t k = 0; status == PS_OK && k < a->n; k++)
			if (ps_tenancy_sees(t, i, a->names[k]))
				want_name(a, k, i + 1, ps_tenancy_name(t, i));
	}
	return status;
}

enum ps_status ps_serve_want_models(struct ps_serve *s, const struct ps_serve_snapshot *p,
				    struct ps_error *err)
{
	struct names a;
	enum ps_status status = names_init(&a, s, p);
	for (size_t i = 0; status == PS_OK && i < a.n; i++)
		if (a.shared[i])
			want_name(&a, i, PS_REPO_SHARED, NULL);
	if (status == PS_OK)
		status = want_private(&a);
	names_fini(&a);
	return status == PS_OK ? PS_OK : ps_error_set(err, status, "out of memory");
}

/* --- leaving --- */

static void leave_shared(const struct names *a)
{
	for (size_t i = 0; i < a->n; i++)
		if (!a->shared[i])
			(void)ps_repo_serve(a->server->repo, a->names[i], PS_REPO_SHARED, false);
}

static void leave_private(const struct names *a)
{
	struct ps_serve_admin *admin = a->server->admin;
	const struct ps_tenancy *t = a->snapshot->tenancy;
	int kept = 0;
	for (int i = 0; i < admin->n_private; i++) {
		int tenant = admin->private[i];
		if (!is_private(t, tenant)) {
			ps_repo_drop_domain(a->server->repo, tenant + 1);
			continue;
		}
		admin->private[kept++] = tenant;
		for (size_t k = 0; k < a->n; k++)
			if (!ps_tenancy_sees(t, tenant, a->names[k]))
				(void)ps_repo_serve(a->server->repo, a->names[k], tenant + 1,
						    false);
	}
	admin->n_private = kept;
}

void ps_serve_leave_models(struct ps_serve *s, const struct ps_serve_snapshot *p)
{
	struct names a;
	pthread_mutex_lock(&s->lock);
	if (names_init(&a, s, p) == PS_OK) {
		leave_shared(&a);
		leave_private(&a);
	} else {
		ps_log(PS_LOG_ERROR, "models", "no memory to unload what nobody uses any more");
	}
	pthread_mutex_unlock(&s->lock);
	names_fini(&a);
}
