/* models_config.c - the models of a configuration -> the repository.
 *
 * Folders are listed without any lock; then everything is applied under the server's at once. What
 * the API has asked for goes before the configuration, also after a restart (with `state`).
 */
#include "base/log.h"
#include "base/units.h"
#include "serve/admin_state_internal.h"

#include <stdlib.h>
#include <string.h>

/* --- one section of the file as a model's configuration --- */

static enum ps_status put_batching(const struct ps_serve_model_config *m, struct ps_repo_config *c)
{
	if (m->max_batch > 0) {
		c->has_max_batch_size = true;
		c->max_batch_size = m->max_batch;
		c->batching.on = true;
	}
	if (m->max_delay > 0)
		c->batching.max_delay_ns = m->max_delay;
	if (m->preferred.len > 0)
		c->batching.n_preferred = 0;
	for (size_t i = 0; i < m->preferred.len && i < PS_REPO_MAX_PREFERRED; i++) {
		enum ps_status status =
			ps_units_parse_int(m->preferred.items[i],
					   &c->batching.preferred[c->batching.n_preferred++], NULL);
		if (status != PS_OK)
			return status;
	}
	return PS_OK;
}

static enum ps_status put_section(const struct ps_serve_model_config *m, struct ps_repo_config *c,
				  struct ps_error *err)
{
	const struct ps_serve_split_config *split = m->split.items;
	enum ps_status status = put_batching(m, c);
	if (status == PS_OK && m->device)
		status = ps_repo_device_parse(m->device, c->device, err);
	if (m->max_run > 0)
		c->max_run_ns = m->max_run;
	if (m->instances > 0)
		c->instance_count = (int)m->instances;
	if (m->split.len > 0)
		c->n_splits = (int)m->split.len;
	for (size_t i = 0; i < m->split.len; i++)
		c->splits[i] = (struct ps_repo_split){.version = split[i].version,
						      .weight = split[i].weight};
	return status;
}

/* All sections of a name together; sections with a path serve every version that they list. */
static enum ps_status put_sections(const struct ps_serve_config *c, const char *name,
				   struct ps_repo_config *to, struct ps_error *err)
{
	const struct ps_serve_model_config *m = c->models.items;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < c->models.len; i++) {
		if (strcmp(m[i].name, name) != 0)
			continue;
		if (m[i].path)
			to->policy.kind = PS_REPO_ALL;
		status = put_section(&m[i], to, err);
		if (status == PS_OK)
			status = ps_repo_config_validate(to, err);
		if (status != PS_OK)
			ps_serve_config_at(c, &m[i].where, "models", err);
	}
	return status;
}

/* --- applying: what is found --- */

struct applied {
	struct ps_serve *server;
	struct ps_serve_admin *admin;
	const struct ps_serve_snapshot *snapshot;
	const struct ps_serve_config *config;
	struct ps_repo_listing **listings;   /* by folder of the configuration */
	struct ps_repo_identity *identities; /* by section with a path */
	const char **names;		     /* of the repository, sorted */
	size_t n_names;
	bool *wanted; /* by name: at start, as configured */
	struct ps_serve_model_changes changes;
	struct ps_error *err;
};

static enum ps_status no_memory(const struct applied *a)
{
	ps_error_set(a->err, PS_ENOMEM, "out of memory");
	return PS_ENOMEM;
}

static int source_of(struct ps_serve_admin *a, const char *folder)
{
	for (int i = 0; i < a->n_folders; i++)
		if (strcmp(a->folders[i], folder) == 0)
			return PS_SERVE_SOURCE_FOLDER + i;
	if (a->n_folders == PS_SERVE_MAX_FOLDERS)
		return -1;
	a->folders[a->n_folders] = strdup(folder);
	return a->folders[a->n_folders] ? PS_SERVE_SOURCE_FOLDER + a->n_folders++ : -1;
}

/* A broken model spoils the start when the configuration says so, and never a reload. */
static enum ps_status look_at_entries(struct applied *a, const struct ps_repo_listing *l)
{
	bool fatal = a->config->exit_on_error && a->snapshot->generation == 1;
	for (int i = 0; i < l->n_entries; i++) {
		const struct ps_repo_entry *e = &l->entries[i];
		for (int k = 0; e->status == PS_OK && k < e->config.n_warnings; k++)
			ps_log(PS_LOG_WARN, "models", "%s: %s", e->name, e->config.warnings[k]);
		if (e->status == PS_OK)
			continue;
		a->changes.refused++;
		if (fatal) {
			if (a->err)
				*a->err = e->error;
			return e->status;
		}
		ps_log_error(PS_LOG_WARN, "models", &e->error);
	}
	return PS_OK;
}

static enum ps_status list_folders(struct applied *a)
{
	const struct ps_conf_texts *folders = &a->config->model_repository;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < folders->len; i++) {
		status = ps_repo_list(folders->items[i], &a->listings[i], a->err);
		if (status == PS_OK)
			status = look_at_entries(a, a->listings[i]);
		for (int k = 0; status == PS_OK && k < a->listings[i]->n_entries; k++)
			if (a->listings[i]->entries[k].status == PS_OK)
				status = put_sections(a->config, a->listings[i]->entries[k].name,
						      &a->listings[i]->entries[k].config, a->err);
	}
	return status;
}

static enum ps_status identify_files(struct applied *a)
{
	const struct ps_serve_model_config *m = a->config->models.items;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < a->config->models.len; i++) {
		if (!m[i].path)
			continue;
		status = ps_repo_identify(m[i].path, &a->identities[i], a->err);
		if (status != PS_OK)
			ps_serve_config_at(a->config, &m[i].where, "models", a->err);
	}
	return status;
}

/* Sections without a path speak of names that a folder must have. */
static enum ps_status check_names(struct applied *a)
{
	const struct ps_serve_model_config *m = a->config->models.items;
	for (size_t i = 0; i < a->config->models.len; i++) {
		bool found = m[i].path != NULL;
		for (size_t k = 0; !found && k < a->config->model_repository.len; k++)
			found = ps_repo_listing_find(a->listings[k], m[i].name) != NULL;
		for (size_t k = 0; !found && k < a->config->models.len; k++)
			found = m[k].path && strcmp(m[k].name, m[i].name) == 0;
		if (found)
			continue;
		ps_error_set(a->err, PS_ENOTFOUND,
			     "model %s has no path and is in no folder of model_repository",
			     m[i].name);
		return ps_serve_config_at(a->config, &m[i].where, "models", a->err);
	}
	return PS_OK;
}

/* --- applying: under the server's lock --- */

static enum ps_status put_config(struct applied *a, const char *name)
{
	struct ps_repo_config config;
	ps_repo_config_init(&config);
	enum ps_status status = put_sections(a->config, name, &config, a->err);
	if (status == PS_OK)
		status = ps_repo_set_config(a->server->repo, name, &config, a->err);
	ps_repo_config_fini(&config);
	return status;
}

static enum ps_status put_files(struct applied *a)
{
	const struct ps_serve_model_config *m = a->config->models.items;
	struct ps_repo *r = a->server->repo;
	enum ps_status status = PS_OK;
	for (size_t i = 0; status == PS_OK && i < a->config->models.len; i++) {
		int before = m[i].path ? ps_repo_find(r, m[i].name, strlen(m[i].name), m[i].version)
				       : -1;
		if (!m[i].path)
			continue;
		status = put_config(a, m[i].name);
		if (status == PS_OK)
			status = ps_repo_put(r, m[i].name, m[i].version, m[i].path,
					     &a->identities[i], PS_SERVE_SOURCE_FILE, NULL, a->err);
		if (status != PS_OK)
			ps_serve_config_at(a->config, &m[i].where, "models", a->err);
		a->changes.added += status == PS_OK && before < 0;
	}
	return status;
}

static bool is_listed(const struct ps_serve_config *c, const char *name, int64_t version)
{
	const struct ps_serve_model_config *m = c->models.items;
	for (size_t i = 0; i < c->models.len; i++)
		if (m[i].path && m[i].version == version && strcmp(m[i].name, name) == 0)
			return true;
	return false;
}

static void remove_files(struct applied *a)
{
	struct ps_repo *r = a->server->repo;
	for (int i = 0; i < ps_repo_count(r); i++) {
		const struct ps_repo_model *m = ps_repo_get(r, i);
		if (m->gone || m->source != PS_SERVE_SOURCE_FILE ||
		    is_listed(a->config, m->name, m->version))
			continue;
		ps_repo_remove(r, i);
		a->changes.removed++;
	}
}

static enum ps_status apply_listing(struct applied *a, const struct ps_repo_listing *l, int source)
{
	struct ps_repo_changes c = {0};
	if (source < 0)
		return ps_error_set(a->err, PS_ETOOBIG, "more than %d folders of models",
				    PS_SERVE_MAX_FOLDERS);
	enum ps_status status = ps_repo_apply(a->server->repo, l, source, &c, a->err);
	a->changes.added += c.added;
	a->changes.changed += c.changed;
	a->changes.removed += c.removed;
	return status;
}

static bool is_folder(const struct ps_serve_config *c, const char *folder)
{
	for (size_t i = 0; i < c->model_repository.len; i++)
		if (strcmp(c->model_repository.items[i], folder) == 0)
			return true;
	return false;
}

static enum ps_status put_folders(struct applied *a)
{
	struct ps_serve_admin *admin = a->admin;
	enum ps_status status = PS_OK;
	for (int i = 0; status == PS_OK && i < admin->n_folders; i++) {
		struct ps_repo_listing none = {.dir = admin->folders[i]};
		if (!is_folder(a->config, admin->folders[i]))
			status = apply_listing(a, &none, PS_SERVE_SOURCE_FOLDER + i);
	}
	for (size_t i = 0; status == PS_OK && i < a->config->model_repository.len; i++)
		status = apply_listing(a, a->listings[i],
				       source_of(admin, a->config->model_repository.items[i]));
	return status;
}

/* --- applying: what is wanted, and for whom --- */

static bool wants_at_start(const struct ps_serve_config *c, const char *name)
{
	const struct ps_serve_model_config *m = c->models.items;
	bool all = c->load == PS_SERVE_LOAD_ALL;
	for (size_t i = 0; i < c->models.len; i++)
		if (strcmp(m[i].name, name) == 0)
			return all && m[i].load;
	return all;
}

/* Loads with the configuration that the API gave, unless it is no good any more. */
static void use_config(struct applied *a, const struct ps_serve_decision *d)
{
	struct ps_repo_config config;
	struct ps_error err;
	if (!d->config)
		return;
	enum ps_status status = ps_serve_config_from_json(d->config, d->model, &config, &err);
	if (status == PS_OK) {
		status = ps_repo_set_config(a->server->repo, d->model, &config, &err);
		ps_repo_config_fini(&config);
	}
	if (status != PS_OK)
		ps_log_error(PS_LOG_WARN, "models", &err);
}

static void want_name(struct applied *a, size_t at, int domain, const char *tenant)
{
	struct ps_serve_decision d;
	const char *name = a->names[at];
	bool wanted = a->wanted[at];
	if (ps_serve_decided(a->admin, name, tenant, &d)) {
		wanted = d.loaded;
		if (wanted)
			use_config(a, &d);
		free(d.config);
		if (!wanted)
			(void)ps_repo_serve(a->server->repo, name, domain, false);
	}
	if (wanted && ps_repo_serve(a->server->repo, name, domain, true) == PS_ENOMEM)
		ps_log(PS_LOG_ERROR, "models", "no memory to load %s", name);
}

static int compare_texts(const void *x, const void *y)
{
	return strcmp(*(const char *const *)x, *(const char *const *)y);
}

/* The names of the repository, sorted, once each; they live as long as it. */
static const char **list_names(const struct ps_repo *r, size_t *ret_n)
{
	int n = ps_repo_count(r);
	const char **names = calloc((size_t)n + 1, sizeof *names);
	size_t found = 0, kept = 0;
	for (int i = 0; names && i < n; i++)
		if (!ps_repo_get(r, i)->gone)
			names[found++] = ps_repo_get(r, i)->name;
	if (found > 0)
		qsort(names, found, sizeof *names, compare_texts);
	for (size_t i = 0; i < found; i++)
		if (kept == 0 || strcmp(names[kept - 1], names[i]) != 0)
			names[kept++] = names[i];
	*ret_n = kept;
	return names;
}

/* Which names some tenant that shares may use. A name that only tenants without sharing see needs
 * no shared instance; one that nobody sees is kept for the operator. */
static void mark_shared(const struct applied *a, bool *shared)
{
	const char *const *names = a->names;
	size_t n = a->n_names;
	const struct ps_serve_tenant_config *t = a->config->tenants.items;
	bool *seen = calloc(n + 1, sizeof *seen);
	bool all = !seen || a->config->tenants.len == 0;
	for (size_t i = 0; !all && i < a->config->tenants.len; i++) {
		if (t[i].share && t[i].models.len == 0)
			all = true;
		for (size_t k = 0; k < t[i].models.len; k++) {
			const char *const *at = bsearch(&t[i].models.items[k], names, n,
							sizeof *names, compare_texts);
			if (at && t[i].share)
				shared[at - names] = true;
			if (at)
				seen[at - names] = true;
		}
		if (!t[i].share && t[i].models.len == 0)
			for (size_t k = 0; k < n; k++)
				seen[k] = true;
	}
	for (size_t k = 0; k < n; k++)
		shared[k] = all || shared[k] || !seen[k];
	free(seen);
}

static void want_shared(struct applied *a)
{
	bool *shared = calloc(a->n_names + 1, sizeof *shared);
	if (!shared)
		return;
	mark_shared(a, shared);
	for (size_t i = 0; i < a->n_names; i++) {
		if (shared[i])
			want_name(a, i, PS_REPO_SHARED, NULL);
		else
			(void)ps_repo_serve(a->server->repo, a->names[i], PS_REPO_SHARED, false);
	}
	free(shared);
}

static bool has_number(const int *list, int n, int x)
{
	for (int i = 0; i < n; i++)
		if (list[i] == x)
			return true;
	return false;
}

/* The tenants of `t` that share with nobody: each has a domain of its own. NULL: no memory. */
static int *list_private(const struct ps_tenancy *t, int *ret_n)
{
	int count = ps_tenancy_count(t), n = 0;
	int *list = calloc((size_t)count + 1, sizeof *list);
	for (int i = 0; list && i < count; i++)
		if (ps_tenancy_exists(t, i) && !ps_tenancy_shares(t, i))
			list[n++] = i;
	*ret_n = n;
	return list;
}

/* Notes that a tenant has a domain, until ps_serve_drop_domains. */
static enum ps_status note_private(struct ps_serve_admin *admin, int tenant)
{
	if (has_number(admin->private, admin->n_private, tenant))
		return PS_OK;
	int *more = realloc(admin->private, ((size_t)admin->n_private + 1) * sizeof *more);
	if (!more)
		return PS_ENOMEM;
	admin->private = more;
	admin->private[admin->n_private++] = tenant;
	return PS_OK;
}

static enum ps_status want_private(struct applied *a)
{
	const struct ps_tenancy *t = a->snapshot->tenancy;
	int n;
	int *now = list_private(t, &n);
	enum ps_status status = now ? PS_OK : no_memory(a);
	for (int i = 0; status == PS_OK && i < n; i++) {
		if (note_private(a->admin, now[i]) != PS_OK)
			status = no_memory(a);
		for (size_t k = 0; status == PS_OK && k < a->n_names; k++)
			if (ps_tenancy_sees(t, now[i], a->names[k]))
				want_name(a, k, now[i] + 1, ps_tenancy_name(t, now[i]));
	}
	free(now);
	return status;
}

void ps_serve_drop_domains(struct ps_serve *s, const struct ps_serve_snapshot *p)
{
	struct ps_serve_admin *admin = s->admin;
	int kept = 0;
	pthread_mutex_lock(&s->lock);
	for (int i = 0; i < admin->n_private; i++) {
		int tenant = admin->private[i];
		if (ps_tenancy_exists(p->tenancy, tenant) && !ps_tenancy_shares(p->tenancy, tenant))
			admin->private[kept++] = tenant;
		else
			ps_repo_drop_domain(s->repo, tenant + 1);
	}
	admin->n_private = kept;
	pthread_mutex_unlock(&s->lock);
}

static enum ps_status want_all(struct applied *a)
{
	a->names = list_names(a->server->repo, &a->n_names);
	a->wanted = calloc(a->n_names + 1, sizeof *a->wanted);
	if (!a->names || !a->wanted)
		return no_memory(a);
	for (size_t i = 0; i < a->n_names; i++)
		a->wanted[i] = wants_at_start(a->config, a->names[i]);
	want_shared(a);
	return want_private(a);
}

static enum ps_status apply_locked(struct applied *a)
{
	enum ps_status status = put_files(a);
	if (status == PS_OK)
		remove_files(a);
	if (status == PS_OK)
		status = put_folders(a);
	if (status == PS_OK)
		status = want_all(a);
	return status;
}

enum ps_status ps_serve_apply_models(struct ps_serve *s, const struct ps_serve_snapshot *p,
				     struct ps_serve_model_changes *ret_changes,
				     struct ps_error *err)
{
	size_t n_folders = p->config->model_repository.len;
	struct applied a = {
		.server = s,
		.admin = ps_serve_admin_get(s),
		.snapshot = p,
		.config = p->config,
		.listings = calloc(n_folders + 1, sizeof(struct ps_repo_listing *)),
		.identities = calloc(p->config->models.len + 1, sizeof(struct ps_repo_identity)),
		.err = err};
	enum ps_status status = PS_OK;
	if (!a.admin || !a.listings || !a.identities)
		status = no_memory(&a);
	if (status == PS_OK)
		status = list_folders(&a);
	if (status == PS_OK)
		status = check_names(&a);
	if (status == PS_OK)
		status = identify_files(&a);
	if (status == PS_OK) {
		pthread_mutex_lock(&s->lock);
		status = apply_locked(&a);
		pthread_mutex_unlock(&s->lock);
	}
	for (size_t i = 0; a.listings && i < n_folders; i++)
		ps_repo_listing_free(a.listings[i]);
	free(a.listings);
	free(a.identities);
	free(a.names);
	free(a.wanted);
	if (status == PS_OK && ret_changes)
		*ret_changes = a.changes;
	return status;
}
