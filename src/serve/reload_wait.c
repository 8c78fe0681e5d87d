/* reload_wait.c - what a reload waits for: instances that tenants are moved to, and I/O threads
 * that still work by the configuration before.
 *
 * Only the reload's thread waits. There is a limit to it: a model that cannot be loaded holds no
 * configuration up, least of all one that takes a key away.
 */
#include "base/clock.h"
#include "base/log.h"
#include "serve/admin_state_internal.h"

#include <stdlib.h>

void ps_serve_reload_notify(struct ps_serve *s)
{
	struct ps_serve_admin *a = s->admin;
	if (!a)
		return;
	pthread_mutex_lock(&a->lock);
	a->changes++;
	pthread_cond_broadcast(&a->changed);
	pthread_mutex_unlock(&a->lock);
}

/* Waits until `is_over`, at most `limit_ns`; false: it is not over. */
static bool wait_until(struct ps_serve_admin *a, bool (*is_over)(void *ctx), void *ctx,
		       int64_t limit_ns)
{
	int64_t until_ns = ps_clock_now_ns() + limit_ns;
	struct timespec at = {.tv_sec = until_ns / PS_NS_PER_SEC,
			      .tv_nsec = until_ns % PS_NS_PER_SEC};
	bool over = false, in_time = true;
	pthread_mutex_lock(&a->lock);
	while (!over && in_time && !a->stopping) {
		uint64_t seen = a->changes;
		pthread_mutex_unlock(&a->lock);
		over = is_over(ctx);
		pthread_mutex_lock(&a->lock);
		while (!over && in_time && !a->stopping && a->changes == seen)
			in_time = pthread_cond_timedwait(&a->changed, &a->lock, &at) == 0;
	}
	pthread_mutex_unlock(&a->lock);
	return over;
}

/* --- instances --- */

struct move {
	int model, domain;
};

struct moves {
	struct ps_serve *server;
	struct move *list; /* those that are not over */
	size_t n, cap;
};

/* Where requests of a tenant go; -1: there is no such tenant. */
static int domain_of(const struct ps_tenancy *t, int tenant)
{
	if (!ps_tenancy_exists(t, tenant))
		return -1;
	return ps_tenancy_shares(t, tenant) ? PS_REPO_SHARED : tenant + 1;
}

static bool is_loading(const struct ps_repo *r, int model, int domain)
{
	return ps_repo_wanted(r, model, domain) &&
	       ps_repo_state_of(r, model, domain) == PS_REPO_LOADING;
}

static bool add_move(struct moves *m, int model, int domain)
{
	if (m->n == m->cap) {
		size_t cap = m->cap ? 2 * m->cap : 64;
		struct move *more = realloc(m->list, cap * sizeof *more);
		if (!more)
			return false;
		m->list = more;
		m->cap = cap;
	}
	m->list[m->n++] = (struct move){model, domain};
	return true;
}

/* Under the server's lock. */
static bool add_moves_of(struct moves *m, const struct ps_tenancy *t, int tenant, int domain)
{
	const struct ps_repo *r = m->server->repo;
	bool good = true;
	for (int i = 0; good && i < ps_repo_count(r); i++)
		if (is_loading(r, i, domain) && ps_tenancy_sees(t, tenant, ps_repo_get(r, i)->name))
			good = add_move(m, i, domain);
	return good;
}

/* A new tenant that shares finds what is there, as it would have before. */
static void find_moves(struct moves *m, const struct ps_tenancy *old, const struct ps_tenancy *t)
{
	bool good = true;
	pthread_mutex_lock(&m->server->lock);
	for (int i = 0; good && i < ps_tenancy_count(t); i++) {
		int was = domain_of(old, i), is = domain_of(t, i);
		if (is >= 0 && is != was && (was >= 0 || is != PS_REPO_SHARED))
			good = add_moves_of(m, t, i, is);
	}
	pthread_mutex_unlock(&m->server->lock);
	if (!good)
		ps_log(PS_LOG_WARN, "reload", "no memory to wait for the models of all tenants");
}

static bool are_moved(void *ctx)
{
	struct moves *m = ctx;
	size_t left = 0;
	pthread_mutex_lock(&m->server->lock);
	for (size_t i = 0; i < m->n; i++)
		if (is_loading(m->server->repo, m->list[i].model, m->list[i].domain))
			m->list[left++] = m->list[i];
	pthread_mutex_unlock(&m->server->lock);
	m->n = left;
	return left == 0;
}

static void say_late(const struct moves *m)
{
	pthread_mutex_lock(&m->server->lock);
	const char *name = ps_repo_get(m->server->repo, m->list[0].model)->name;
	pthread_mutex_unlock(&m->server->lock);
	ps_log(PS_LOG_WARN, "reload",
	       "%s and %zu others are not loaded yet for tenants that share with nobody, or do "
	       "again: the configuration does not wait for them longer than %d s",
	       name, m->n - 1, (int)(PS_SERVE_MOVE_NS / PS_NS_PER_SEC));
}

void ps_serve_wait_for_moves(struct ps_serve *s, const struct ps_serve_snapshot *old,
			     const struct ps_serve_snapshot *p)
{
	struct moves m = {.server = s};
	find_moves(&m, old->tenancy, p->tenancy);
	if (!wait_until(s->admin, are_moved, &m, PS_SERVE_MOVE_NS) && m.n > 0)
		say_late(&m);
	free(m.list);
}

/* --- I/O threads --- */

struct adoption {
	struct ps_serve *server;
	uint64_t generation;
};

static bool is_adopted(void *ctx)
{
	const struct adoption *a = ctx;
	for (int i = 0; i < a->server->n_ios; i++)
		if (atomic_load(&a->server->ios[i].generation) < a->generation)
			return false;
	return true;
}

void ps_serve_wait_for_ios(struct ps_serve *s, const struct ps_serve_snapshot *p)
{
	struct adoption a = {s, p->generation};
	(void)wait_until(s->admin, is_adopted, &a, PS_SERVE_ADOPT_NS);
}
