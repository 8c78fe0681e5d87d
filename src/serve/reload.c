/* reload.c - the configuration read again while serving: whole, or not at all.
 *
 * A thread of its own reads, checks and lists folders; nothing of it touches an I/O thread. What
 * cannot change in a running server is named in the answer and in the log. Reloads that are asked
 * for while one is under way are one more reload, afterwards.
 */
#include "base/log.h"
#include "base/thread.h"
#include "serve/admin_state_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

struct ps_serve_reload {
	pthread_t thread;
	bool has_thread;		 /* has to be joined */
	struct ps_serve_snapshot *first; /* what the server was started with; referenced */
	/* guarded by the admin's lock */
	bool running, again;
	struct ps_serve_reload_wait *waits;
};

/* --- what changed that needs a restart --- */

static bool same_text(const char *a, const char *b)
{
	return a && b ? strcmp(a, b) == 0 : a == b;
}

static bool same_texts(const struct ps_conf_texts *a, const struct ps_conf_texts *b)
{
	if (a->len != b->len)
		return false;
	for (size_t i = 0; i < a->len; i++)
		if (strcmp(a->items[i], b->items[i]) != 0)
			return false;
	return true;
}

/* Rows that a reload takes up; all others are fixed at start. */
static bool is_live(const char *name)
{
	static const char *const live[] = {"tenants",	       "models",
					   "model-repository", "admin-keys",
					   "keys-file",	       "access-log",
					   "access-log-file",  "access-log-sample",
					   "slow-request",     "load",
					   "warmup",	       "exit-on-error",
					   "drain-timeout",    "max-loading",
					   "state-keep",       "max-body",
					   "max-buffered",     "max-buffered-share",
					   "model-memory",     "min-residency",
					   "load-timeout",     "load-pause",
					   "memory-epoch",     NULL};
	for (int i = 0; live[i]; i++)
		if (strcmp(live[i], name) == 0)
			return true;
	return false;
}

static bool same_tls(const struct ps_serve_tls_config *a, const struct ps_serve_tls_config *b)
{
	return same_text(a->cert, b->cert) && same_text(a->key, b->key) &&
	       same_text(a->client_ca, b->client_ca) &&
	       a->require_client_cert == b->require_client_cert;
}

static bool same_field(const struct ps_conf_option *o, const void *a, const void *b)
{
	switch (o->type) {
	case PS_CONF_TEXT:
		return same_text(*(char *const *)a, *(char *const *)b);
	case PS_CONF_TEXTS:
		return same_texts(a, b);
	case PS_CONF_BOOL:
		return *(const bool *)a == *(const bool *)b;
	case PS_CONF_ENUM:
		return *(const int *)a == *(const int *)b;
	case PS_CONF_REAL:
	case PS_CONF_RATE:
	case PS_CONF_RATIO:
		return !(*(const double *)a < *(const double *)b) &&
		       !(*(const double *)a > *(const double *)b);
	case PS_CONF_CPUS:
		return memcmp(a, b, sizeof(struct ps_cpus)) == 0;
	case PS_CONF_SECTION: /* the only one is tls */
		return same_tls(a, b);
	default:
		return *(const int64_t *)a == *(const int64_t *)b;
	}
}

/* Appends the names of settings that differ from those of the start and need another one, separated
 * by ", ". */
static void name_fixed(const struct ps_serve_config *old, const struct ps_serve_config *new,
		       struct ps_strbuf *out)
{
	for (const struct ps_conf_option *o = ps_serve_config_schema.options; o->name; o++) {
		const char *a = (const char *)old + o->offset, *b = (const char *)new + o->offset;
		if (o->type == PS_CONF_SECTIONS || is_live(o->name) || same_field(o, a, b))
			continue;
		ps_strbuf_puts(out, out->len ? ", " : "");
		for (const char *c = o->name; *c; c++)
			ps_strbuf_putc(out, *c == '-' ? '_' : *c);
	}
}

/* --- what changed among the tenants --- */

static void count_tenants(const struct ps_tenancy *old, const struct ps_tenancy *new,
			  struct ps_serve_reload_result *r)
{
	int n = ps_tenancy_count(new);
	for (int i = 0; i < n; i++) {
		bool was = ps_tenancy_exists(old, i), is = ps_tenancy_exists(new, i);
		r->tenants_added += is && !was;
		r->tenants_removed += was && !is;
	}
}

/* --- the reload --- */

/* First what tenants will use is there, then they use it, then what they used goes: no request of
 * theirs meets less than before. */
static enum ps_status put_models_in_force(struct ps_serve *s, struct ps_serve_snapshot *p,
					  const struct ps_serve_snapshot *old,
					  struct ps_serve_reload_result *r)
{
	enum ps_status status = ps_serve_apply_models(s, p, &r->models, &r->err);
	if (status == PS_OK) {
		ps_serve_kick_loaders(s);
		ps_serve_wait_for_moves(s, old, p);
		status = ps_serve_put_in_force(s, p, &r->err);
	}
	if (status == PS_OK)
		ps_serve_wait_for_ios(s, p);
	else /* some may have been applied: those of the old one again */
		(void)ps_serve_apply_models(s, old, NULL, NULL);
	ps_serve_leave_models(s, status == PS_OK ? p : old);
	return status;
}

/* What may fail on the outside comes first: until the models are touched, nothing has happened that
 * a request could see. */
static enum ps_status put_in_force(struct ps_serve *s, struct ps_serve_snapshot *p,
				   const struct ps_serve_snapshot *old,
				   struct ps_serve_reload_result *r)
{
	int log_fd = -1;
	enum ps_status status = ps_serve_log_open(p->config, &log_fd, &r->err);
	if (status == PS_OK && s->tls)
		status = ps_net_tls_reload(s->tls, &r->err);
	if (status == PS_OK)
		status = put_models_in_force(s, p, old, r);
	if (status == PS_OK) {
		ps_serve_observe_settle(s->observe, p->config, log_fd);
		ps_serve_set_memory(s, p->config);
		count_tenants(old->tenancy, p->tenancy, r);
		name_fixed(s->admin->reload->first->config, p->config, &r->restart);
		r->generation = p->generation;
	} else {
		ps_serve_log_close(log_fd);
	}
	return status;
}

static void reload_once(struct ps_serve *s, struct ps_serve_reload_result *r)
{
	struct ps_serve_config *config = NULL;
	struct ps_serve_snapshot *old = ps_serve_newest(s), *p = NULL;
	if (!s->admin->reload->first)
		s->admin->reload->first = ps_serve_snapshot_ref(old);
	r->status = ps_serve_config_load(s->options, &config, &r->err);
	if (r->status == PS_OK) {
		r->status = ps_serve_snapshot_new(config, old, &p, &r->err);
		if (r->status != PS_OK)
			ps_serve_config_free(config);
	}
	if (r->status == PS_OK) {
		r->status = put_in_force(s, p, old, r);
		if (r->status != PS_OK)
			ps_serve_snapshot_unref(p);
		ps_serve_kick_loaders(s);
	}
	ps_serve_snapshot_unref(old);
}

static void say(struct ps_serve *s, const struct ps_serve_reload_result *r)
{
	if (r->status != PS_OK) {
		atomic_fetch_add(&s->observe->reloads_refused, 1);
		ps_log_error(PS_LOG_ERROR, "reload", &r->err);
		ps_log(PS_LOG_ERROR, "reload", "refused: the configuration in force stays");
		return;
	}
	atomic_fetch_add(&s->observe->reloads, 1);
	ps_log(PS_LOG_INFO, "reload",
	       "configuration %llu in force: tenants %d added, %d removed; models %d added, %d "
	       "changed, %d removed, %d refused",
	       (unsigned long long)r->generation, r->tenants_added, r->tenants_removed,
	       r->models.added, r->models.changed, r->models.removed, r->models.refused);
	if (r->restart.len > 0)
		ps_log(PS_LOG_WARN, "reload", "these settings need a restart: %s", r->restart.data);
}

static void run_wait(struct ps_evloop_task *task)
{
	struct ps_serve_reload_wait *w = task->ctx;
	w->on_done(w);
}

/* Everybody who asked before the reload began gets its result. */
static void tell(struct ps_serve_reload_wait *w, const struct ps_serve_reload_result *r)
{
	while (w) {
		struct ps_serve_reload_wait *next = w->next;
		w->result = *r;
		ps_strbuf_init(&w->result.restart);
		ps_strbuf_puts(&w->result.restart, r->restart.data);
		w->task = (struct ps_evloop_task){.run = run_wait, .ctx = w};
		ps_evloop_post(w->loop, &w->task);
		w = next;
	}
}

static void *reload_thread(void *ctx)
{
	struct ps_serve_admin *a = ctx;
	struct ps_serve_reload *l = a->reload;
	bool again = true;
	ps_thread_step_back(0); /* an I/O thread has started it */
	while (again) {
		struct ps_serve_reload_result r = {0};
		ps_strbuf_init(&r.restart);
		pthread_mutex_lock(&a->lock);
		struct ps_serve_reload_wait *waits = l->waits;
		l->waits = NULL;
		l->again = false;
		pthread_mutex_unlock(&a->lock);
		reload_once(a->server, &r);
		say(a->server, &r);
		tell(waits, &r);
		ps_strbuf_fini(&r.restart);
		pthread_mutex_lock(&a->lock);
		again = l->again;
		l->running = again;
		pthread_mutex_unlock(&a->lock);
	}
	return NULL;
}

/* Under the admin's lock. */
static int start_thread(struct ps_serve_admin *a)
{
	struct ps_serve_reload *l = a->reload;
	if (l->running) {
		l->again = true;
		return 0;
	}
	if (l->has_thread)
		pthread_join(l->thread, NULL); /* it has ended, or is about to */
	int e = pthread_create(&l->thread, NULL, reload_thread, a);
	l->running = l->has_thread = e == 0;
	return e;
}

enum ps_status ps_serve_reload_ask(struct ps_serve *s, struct ps_serve_reload_wait *w,
				   struct ps_error *err)
{
	struct ps_serve_admin *a = s->admin;
	if (!a)
		return ps_error_set(err, PS_EUNAVAIL, "the server has not started yet");
	pthread_mutex_lock(&a->lock);
	if (!a->reload)
		a->reload = calloc(1, sizeof *a->reload);
	int e = a->reload ? start_thread(a) : ENOMEM;
	if (e == 0 && w) {
		w->next = a->reload->waits;
		a->reload->waits = w;
	}
	pthread_mutex_unlock(&a->lock);
	return e == 0 ? PS_OK : ps_error_errno(err, e, "cannot reload");
}

void ps_serve_reload(struct ps_serve *s)
{
	struct ps_error err;
	if (ps_serve_reload_ask(s, NULL, &err) != PS_OK)
		ps_log_error(PS_LOG_ERROR, "reload", &err);
}

/* Jobs of the observer may still look at what is remembered: it goes with the observer. */
void ps_serve_reload_stop(struct ps_serve *s)
{
	struct ps_serve_admin *a = s->admin;
	if (a && a->reload && a->reload->has_thread) {
		pthread_mutex_lock(&a->lock);
		a->stopping = true;
		pthread_cond_broadcast(&a->changed);
		pthread_mutex_unlock(&a->lock);
		pthread_join(a->reload->thread, NULL);
		a->reload->has_thread = false;
	}
	if (!s->observe)
		ps_serve_admin_free(s);
}

void ps_serve_admin_free(struct ps_serve *s)
{
	struct ps_serve_admin *a = s->admin;
	if (!a)
		return;
	if (a->reload)
		ps_serve_snapshot_unref(a->reload->first);
	free(a->reload);
	for (size_t i = 0; i < a->n_decisions; i++) {
		free(a->decisions[i].model);
		free(a->decisions[i].tenant);
		free(a->decisions[i].config);
	}
	for (int i = 0; i < a->n_folders; i++)
		free(a->folders[i]);
	free(a->decisions);
	free(a->private);
	pthread_cond_destroy(&a->changed);
	pthread_mutex_destroy(&a->lock);
	free(a);
	s->admin = NULL;
}
