/* admin_load.c - models loaded and unloaded over the API.
 *
 *	look at the folder again (observer's thread) -> tell the repository (there, under the lock)
 *	-> wait for every version concerned (I/O thread) -> remember it (observer's thread) ->
 *answer
 *
 * A tenant without the right is told so; one with it may load what it sees, and unload or configure
 * anew only what nobody else sees: others' models are not its to take away.
 */
#include "base/clock.h"
#include "base/log.h"
#include "serve/admin_routes_internal.h"

#include <stdlib.h>
#include <string.h>

enum { MAX_WAITS = 64 }; /* versions of one name that are waited for */

struct load {
	struct ps_serve_job job;
	struct ps_serve_call *call;
	const char *config; /* JSON; NULL: none */
	const char *tenant; /* whose own instance; NULL: the shared one. In the arena */
	bool loaded;	    /* what is wanted */
	int domain;
	enum ps_status status; /* the first failure; then call->err says what */
	int n_waits, waiting;
	struct ps_serve_wait waits[MAX_WAITS];
};

/* --- may it --- */

/* A configuration is everybody's who sees the name, the shared instance those' who share. */
static bool others_see(const struct ps_tenancy *t, int tenant, const char *model, bool only_shared)
{
	for (int i = 0; i < ps_tenancy_count(t); i++)
		if (i != tenant && ps_tenancy_exists(t, i) &&
		    (!only_shared || ps_tenancy_shares(t, i)) && ps_tenancy_sees(t, i, model))
			return true;
	return false;
}

static enum ps_status check_right(struct load *l)
{
	struct ps_serve_call *c = l->call;
	const struct ps_tenancy *t = c->io->snapshot->tenancy;
	const char *model = c->target.model;
	if (ps_serve_is_admin(c))
		return PS_OK;
	if (!ps_tenancy_sees(t, c->tenant, model))
		return ps_error_set(&c->err, PS_ENOTFOUND,
				    "failed to %s '%s', no such model in the repository",
				    l->loaded ? "load" : "unload", model);
	if (!ps_tenancy_may_load(t, c->tenant, model))
		return ps_error_set(&c->err, PS_EFORBIDDEN,
				    "this key may not load or unload models");
	if ((l->loaded && !l->config) || !others_see(t, c->tenant, model, !l->loaded))
		return PS_OK;
	/* A configuration belongs to the name, also where the instance is a tenant's own. */
	if (!l->loaded && l->domain != PS_REPO_SHARED)
		return PS_OK;
	return ps_error_set(&c->err, PS_EFORBIDDEN,
			    "other tenants use '%s': only the operator may %s it", model,
			    l->loaded ? "configure" : "unload");
}

/* --- the folder, looked at again: the observer's thread --- */

/* The folder of the configuration that has the name, listed now. NULL: none has. */
static struct ps_repo_listing *list_for(const struct ps_serve_config *config, const char *model,
					const struct ps_repo_entry **ret_entry,
					struct ps_error *err)
{
	for (size_t i = 0; i < config->model_repository.len; i++) {
		struct ps_repo_listing *l;
		if (ps_repo_list(config->model_repository.items[i], &l, err) != PS_OK)
			continue;
		*ret_entry = ps_repo_listing_find(l, model);
		if (*ret_entry)
			return l;
		ps_repo_listing_free(l);
	}
	return NULL;
}

static int source_of_name(const struct ps_repo *r, const char *model)
{
	int versions[1];
	return ps_repo_versions(r, model, versions, 1) > 0 ? ps_repo_get(r, versions[0])->source
							   : 0;
}

static bool is_listed(const struct ps_repo_listing *l, const struct ps_repo_entry *e,
		      int64_t version)
{
	for (int i = 0; i < e->n_files; i++)
		if (l->files[e->first_file + i].version == version)
			return true;
	return false;
}

/* Puts the versions of one name as the folder has them now, and nothing else of the folder. */
static enum ps_status put_name(struct ps_serve *s, const struct ps_repo_listing *l,
			       const struct ps_repo_entry *e, int source, bool with_config,
			       struct ps_error *err)
{
	int old[PS_OIP_MAX_VERSIONS];
	int n = ps_repo_versions(s->repo, e->name, old, PS_OIP_MAX_VERSIONS);
	enum ps_status status = PS_OK;
	n = n > PS_OIP_MAX_VERSIONS ? PS_OIP_MAX_VERSIONS : n;
	if (with_config)
		status = ps_repo_set_config(s->repo, e->name, &e->config, err);
	for (int i = 0; status == PS_OK && i < e->n_files; i++) {
		const struct ps_repo_file *f = &l->files[e->first_file + i];
		status = ps_repo_put(s->repo, f->name, f->version, f->path, &f->identity, source,
				     NULL, err);
	}
	for (int i = 0; status == PS_OK && i < n; i++)
		if (!is_listed(l, e, ps_repo_get(s->repo, old[i])->version))
			ps_repo_remove(s->repo, old[i]);
	return status;
}

/* The name as its folder has it now; models of the configuration file stay as they are. */
static enum ps_status look_again(struct load *l, bool with_config)
{
	struct ps_serve *s = l->call->io->server;
	struct ps_serve_snapshot *p = ps_serve_newest(s);
	const struct ps_repo_entry *entry = NULL;
	struct ps_error *err = &l->call->err;
	enum ps_status status = PS_OK;
	struct ps_repo_listing *listing = list_for(p->config, l->call->target.model, &entry, err);
	if (listing && entry->status != PS_OK) {
		*err = entry->error;
		status = entry->status;
	} else if (listing) {
		pthread_mutex_lock(&s->lock);
		int source = source_of_name(s->repo, entry->name);
		if (source == 0)
			source = PS_SERVE_SOURCE_FOLDER;
		if (source != PS_SERVE_SOURCE_FILE)
			status = put_name(s, listing, entry, source, with_config, err);
		pthread_mutex_unlock(&s->lock);
	} else {
		ps_error_clear(err);
	}
	ps_repo_listing_free(listing);
	ps_serve_snapshot_unref(p);
	return status;
}

static enum ps_status set_config(struct load *l)
{
	struct ps_serve_call *c = l->call;
	struct ps_serve *s = c->io->server;
	struct ps_repo_config config;
	if (!l->config)
		return PS_OK;
	enum ps_status status =
		ps_serve_config_from_json(l->config, c->target.model, &config, &c->err);
	if (status != PS_OK)
		return status;
	pthread_mutex_lock(&s->lock);
	status = ps_repo_set_config(s->repo, c->target.model, &config, &c->err);
	pthread_mutex_unlock(&s->lock);
	ps_repo_config_fini(&config);
	return status;
}

/* Which versions have to settle before there is an answer. */
static void list_waits(struct load *l, const struct ps_repo *r)
{
	int versions[PS_OIP_MAX_VERSIONS];
	int n = ps_repo_versions(r, l->call->target.model, versions, PS_OIP_MAX_VERSIONS);
	n = n > PS_OIP_MAX_VERSIONS ? PS_OIP_MAX_VERSIONS : n;
	for (int i = n - 1; i >= 0 && l->n_waits < MAX_WAITS; i--) {
		if (ps_repo_wanted(r, versions[i], l->domain) != l->loaded)
			continue;
		l->waits[l->n_waits++] = (struct ps_serve_wait){
			.model = versions[i], .domain = l->domain, .loaded = l->loaded};
	}
}

static enum ps_status tell_repository(struct load *l)
{
	struct ps_serve_call *c = l->call;
	struct ps_serve *s = c->io->server;
	pthread_mutex_lock(&s->lock);
	enum ps_status status = ps_repo_serve(s->repo, c->target.model, l->domain, l->loaded);
	if (status == PS_OK)
		list_waits(l, s->repo);
	/* Under a budget of memory what is wanted is not loaded yet. */
	for (int i = 0; l->loaded && status == PS_OK && i < l->n_waits; i++)
		status = ps_dispatch_fetch(s->dispatch, l->waits[i].model, l->domain,
					   ps_serve_is_admin(c) ? -1 : c->tenant);
	pthread_mutex_unlock(&s->lock);
	if (status == PS_ENOTFOUND)
		ps_error_set(&c->err, status, "failed to %s '%s', no such model in the repository",
			     l->loaded ? "load" : "unload", c->target.model);
	else if (status != PS_OK)
		ps_error_set(&c->err, status, "%s", ps_status_get(status)->meaning);
	return status;
}

static void prepare(struct ps_serve_job *job)
{
	struct load *l = (struct load *)job;
	if (l->loaded)
		l->status = look_again(l, l->config == NULL);
	if (l->status == PS_OK && l->loaded)
		l->status = set_config(l);
	if (l->status == PS_OK)
		l->status = tell_repository(l);
}

/* --- remembering: the observer's thread --- */

static void remember(struct ps_serve_job *job)
{
	struct load *l = (struct load *)job;
	struct ps_serve *s = l->call->io->server;
	struct ps_error err;
	const struct ps_state_load row = {.model = l->call->target.model,
					  .loaded = l->loaded,
					  .config = l->config,
					  .tenant = l->tenant};
	if (ps_serve_decide(s->admin, row.model, row.tenant, row.loaded, row.config) != PS_OK)
		ps_log(PS_LOG_WARN, "models", "no memory to remember a load of %s", row.model);
	if (s->observe->state &&
	    ps_state_put_load(s->observe->state, &row, ps_clock_wall_ns(), &err) != PS_OK)
		ps_log_error(PS_LOG_WARN, "models", &err);
}

static void on_remembered(struct ps_serve_job *job)
{
	struct ps_serve_call *c = ((struct load *)job)->call;
	struct ps_strbuf text;
	ps_strbuf_init(&text);
	/* HTTP: an empty body with 200; gRPC: an empty message. */
	if (c->wire == PS_SERVE_HTTP)
		ps_serve_answer_text(c, 200, "application/json", &text);
	else
		ps_serve_answer_message(c, &text);
}

/* --- waiting: the I/O thread --- */

static void settled(struct load *l)
{
	if (l->status != PS_OK) {
		ps_serve_refuse(l->call);
		return;
	}
	l->job.work = remember;
	l->job.done = on_remembered;
	ps_serve_observe_post(l->call->io->server->observe, &l->job);
}

static void on_waited(struct ps_serve_wait *w, enum ps_status status, const struct ps_error *err)
{
	struct load *l = w->ctx;
	struct ps_serve_call *c = l->call;
	if (status != PS_OK && l->status == PS_OK) {
		l->status = status;
		c->err = *err;
		ps_error_set(&c->err, status, "failed to %s '%s': %s",
			     l->loaded ? "load" : "unload", c->target.model, err->what);
	}
	if (--l->waiting == 0)
		settled(l);
}

static void on_prepared(struct ps_serve_job *job)
{
	struct load *l = (struct load *)job;
	struct ps_serve *s = l->call->io->server;
	if (l->status != PS_OK) {
		ps_serve_refuse(l->call);
		return;
	}
	ps_serve_kick_loaders(s);
	if (l->n_waits == 0) {
		settled(l);
		return;
	}
	l->waiting = l->n_waits;
	for (int i = 0; i < l->n_waits; i++) {
		l->waits[i].loop = l->call->io->loop;
		l->waits[i].on_done = on_waited;
		l->waits[i].ctx = l;
		ps_serve_await(s, &l->waits[i]);
	}
}

void ps_serve_admin_load(struct ps_serve_call *c, const struct ps_oip_repository_request *request)
{
	const struct ps_tenancy *t = c->io->snapshot->tenancy;
	struct load *l = ps_arena_zalloc(c->arena, sizeof *l);
	if (!l) {
		ps_serve_admin_refuse(c, PS_ENOMEM, "out of memory");
		return;
	}
	l->call = c;
	l->loaded = c->target.route == PS_OIP_LOAD;
	l->config = l->loaded ? request->config : NULL;
	l->domain = ps_serve_domain(t, c->tenant);
	if (l->domain != PS_REPO_SHARED) {
		const char *name = ps_tenancy_name(t, c->tenant);
		l->tenant = ps_arena_strndup(c->arena, name, strlen(name));
	}
	if (check_right(l) != PS_OK) {
		ps_serve_refuse(c);
		return;
	}
	l->job = (struct ps_serve_job){.work = prepare, .done = on_prepared, .loop = c->io->loop};
	ps_serve_observe_post(c->io->server->observe, &l->job);
}
