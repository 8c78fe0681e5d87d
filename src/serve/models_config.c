/* models_config.c - the models of a configuration -> the repository.
 *
 * Folders are listed without any lock; then everything is applied under the server's at once.
 */
#include "base/log.h"
#include "base/units.h"
#include "serve/admin_state_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_NAME_WARNINGS = 20 }; /* of one configuration */

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

static bool has_queue(const struct ps_serve_queue_config *q, size_t n, int64_t priority)
{
	for (size_t i = 0; i < n; i++)
		if (q[i].priority == priority)
			return true;
	return false;
}

static enum ps_status put_queue(const struct ps_serve_queue_config *q, struct ps_repo_batching *b,
				struct ps_error *err)
{
	const struct ps_repo_queue_policy policy = {.delay = q->action == PS_SERVE_DELAY,
						    .default_timeout_ns = q->timeout,
						    .allow_timeout_override =
							    q->allow_timeout_override,
						    .max_queue_size = q->limit};
	if (q->priority == 0) {
		b->queue = policy;
		return PS_OK;
	}
	if (b->n_level_policies == PS_REPO_MAX_LEVEL_POLICIES)
		return ps_error_set(err, PS_ETOOBIG, "at most %d levels have a queue of their own",
				    PS_REPO_MAX_LEVEL_POLICIES);
	b->level_policies[b->n_level_policies++] =
		(struct ps_repo_level_policy){.level = q->priority, .queue = policy};
	return PS_OK;
}

/* Rows for queues stand in place of those of config.pbtxt, as a whole. */
static enum ps_status put_queues(const struct ps_serve_model_config *m, struct ps_repo_batching *b,
				 struct ps_error *err)
{
	const struct ps_serve_queue_config *q = m->queues.items;
	enum ps_status status = PS_OK;
	if (m->priority_levels > 0)
		b->priority_levels = m->priority_levels;
	if (m->default_priority > 0)
		b->default_priority_level = m->default_priority;
	if (m->queues.len > 0) {
		b->queue = (struct ps_repo_queue_policy){0};
		b->n_level_policies = 0;
	}
	for (size_t i = 0; status == PS_OK && i < m->queues.len; i++)
		status = has_queue(q, i, q[i].priority)
				 ? ps_error_set(err, PS_EINVAL, "two queues have the priority %lld",
						(long long)q[i].priority)
				 : put_queue(&q[i], b, err);
	return status;
}

static enum ps_status put_section(const struct ps_serve_model_config *m, struct ps_repo_config *c,
				  struct ps_error *err)
{
	const struct ps_serve_split_config *split = m->split.items;
	enum ps_status status = put_batching(m, c);
	if (status == PS_OK && m->device)
		status = ps_repo_device_parse(m->device, c->device, err);
	if (status == PS_OK && m->rnn > 0)
		status = ps_repo_rnn_parse(ps_serve_rnn_choices[m->rnn], &c->rnn, err);
	if (m->rnn_max_error > 0)
		c->rnn.max_error = m->rnn_max_error;
	if (status == PS_OK && m->rnn_calibration)
		status = ps_repo_rnn_calibrate(m->rnn_calibration, NULL, &c->rnn, err);
	if (status == PS_OK)
		status = put_queues(m, &c->batching, err);
	if (m->max_run > 0)
		c->max_run_ns = m->max_run;
	c->unshared = c->unshared || !m->share;
	c->pinned = c->pinned || m->pin;
	if (m->warmup >= 0) {
		c->warms_up = true;
		c->warmup_runs = m->warmup;
	}
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
	struct ps_serve_model_changes changes;
	struct ps_dispatch_memory memory;
	int64_t largest_bytes; /* of a model, as it is expected */
	struct ps_error *err;
};

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

/* One that can never be loaded is refused while somebody looks. */
static void check_sizes(struct applied *a, struct ps_repo_listing *l)
{
	for (int i = 0; i < l->n_entries; i++) {
		struct ps_repo_entry *e = &l->entries[i];
		for (int k = 0; e->status == PS_OK && k < e->n_files; k++)
			e->status =
				ps_serve_check_size(&a->memory, l->files[e->first_file + k].path,
						    &e->config.rnn, &a->largest_bytes, &e->error);
	}
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
		if (status == PS_OK) {
			check_sizes(a, a->listings[i]);
			status = look_at_entries(a, a->listings[i]);
		}
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
		struct ps_repo_rnn rnn = {0};
		if (status == PS_OK && m[i].rnn > 0)
			status = ps_repo_rnn_parse(ps_serve_rnn_choices[m[i].rnn], &rnn, a->err);
		if (status == PS_OK)
			status = ps_serve_check_size(&a->memory, m[i].path, &rnn, &a->largest_bytes,
						     a->err);
		if (status != PS_OK)
			ps_serve_config_at(a->config, &m[i].where, "models", a->err);
	}
	return status;
}

static bool is_there(const struct applied *a, const char *name)
{
	const struct ps_serve_model_config *m = a->config->models.items;
	for (size_t k = 0; k < a->config->model_repository.len; k++)
		if (ps_repo_listing_find(a->listings[k], name))
			return true;
	for (size_t k = 0; k < a->config->models.len; k++)
		if (m[k].path && strcmp(m[k].name, name) == 0)
			return true;
	return false;
}

/* Sections without a path speak of names that a folder must have. */
static enum ps_status check_names(struct applied *a)
{
	const struct ps_serve_model_config *m = a->config->models.items;
	for (size_t i = 0; i < a->config->models.len; i++) {
		if (m[i].path || is_there(a, m[i].name))
			continue;
		ps_error_set(a->err, PS_ENOTFOUND,
			     "model %s has no path and is in no folder of model_repository",
			     m[i].name);
		return ps_serve_config_at(a->config, &m[i].where, "models", a->err);
	}
	return PS_OK;
}

/* A folder may get a model after its tenant: no error, but more often a slip. */
static void warn_of_name(const struct applied *a, const struct ps_serve_tenant_config *t,
			 const struct ps_conf_where *w, const char *model, int *n)
{
	struct ps_error err;
	if (is_there(a, model) || (*n)++ >= MAX_NAME_WARNINGS)
		return;
	ps_error_set(&err, PS_ENOTFOUND,
		     "tenant %s names the model '%s', which is in no folder of model_repository",
		     t->name, model);
	ps_serve_config_at(a->config, w, "tenants", &err);
	ps_log_error(PS_LOG_WARN, "models", &err);
}

static void warn_of_names(const struct applied *a)
{
	const struct ps_serve_tenant_config *t = a->config->tenants.items;
	int n = 0;
	for (size_t i = 0; i < a->config->tenants.len; i++) {
		const struct ps_serve_sla_config *s = t[i].slas.items;
		for (size_t k = 0; k < t[i].models.len; k++)
			warn_of_name(a, &t[i], &t[i].where, t[i].models.items[k], &n);
		for (size_t k = 0; k < t[i].slas.len; k++)
			warn_of_name(a, &t[i], &s[k].where, s[k].model, &n);
	}
	if (n > MAX_NAME_WARNINGS)
		ps_log(PS_LOG_WARN, "models", "%d more models of tenants are in no folder",
		       n - MAX_NAME_WARNINGS);
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

/* Whoever names a folder expects models in it; a configuration may begin with none. */
static enum ps_status check_any(const struct applied *a)
{
	const char *dir = a->server->options->models_dir;
	if (a->snapshot->generation > 1 || !dir || ps_repo_count(a->server->repo) > 0)
		return PS_OK;
	ps_error_set(a->err, PS_ENOTFOUND, "there is no model in %s", dir);
	ps_error_hint(a->err, "it should hold NAME.onnx, or NAME/VERSION/model.onnx");
	return PS_ENOTFOUND;
}

static enum ps_status apply_locked(struct applied *a)
{
	enum ps_status status = put_files(a);
	if (status == PS_OK)
		remove_files(a);
	if (status == PS_OK)
		status = put_folders(a);
	if (status == PS_OK)
		status = check_any(a);
	if (status == PS_OK)
		status = ps_serve_want_models(a->server, a->snapshot, a->err);
	return status;
}

static enum ps_status look(struct applied *a)
{
	enum ps_status status = list_folders(a);
	if (status == PS_OK)
		status = check_names(a);
	if (status == PS_OK)
		status = identify_files(a);
	if (status == PS_OK)
		warn_of_names(a);
	if (status == PS_OK)
		ps_serve_warn_of_guarantees(a->config, &a->memory, a->largest_bytes);
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
	enum ps_status status = ps_serve_memory_of(p->config, &a.memory, err);
	if (!a.admin || !a.listings || !a.identities) {
		ps_error_set(err, PS_ENOMEM, "out of memory");
		status = PS_ENOMEM;
	}
	if (status == PS_OK)
		status = look(&a);
	if (status == PS_OK) {
		pthread_mutex_lock(&s->lock);
		status = apply_locked(&a);
		pthread_mutex_unlock(&s->lock);
	}
	for (size_t i = 0; a.listings && i < n_folders; i++)
		ps_repo_listing_free(a.listings[i]);
	free(a.listings);
	free(a.identities);
	if (status == PS_OK && ret_changes)
		*ret_changes = a.changes;
	return status;
}
