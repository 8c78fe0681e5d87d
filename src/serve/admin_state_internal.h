/* admin_state_internal.h - what administration remembers: folders, what the API asked for, a reload
 * under way.   Layer 5. Shared by models_config.c, reload.c and admin*.c. */
#ifndef PS_SERVE_ADMIN_STATE_INTERNAL_H
#define PS_SERVE_ADMIN_STATE_INTERNAL_H

#include "serve/admin_internal.h"
#include "serve/observe_parts_internal.h"

enum {
	PS_SERVE_MAX_FOLDERS = 256, /* ever named by one server's configurations */
	PS_SERVE_SOURCE_FILE = 1,   /* repo's source: models of the configuration file */
	PS_SERVE_SOURCE_FOLDER = 2, /* and, counted from here, the folders */
};

/* What the API asked for last of a name in a domain; it goes before the configuration. */
struct ps_serve_decision {
	char *model;
	char *tenant; /* whose own instance; NULL: the shared one */
	bool loaded;
	char *config; /* JSON that came with the load; NULL: none */
};

struct ps_serve_reload; /* reload.c */

struct ps_serve_admin {
	struct ps_serve *server;
	pthread_mutex_t lock;
	/* guarded by `lock`, which is taken inside the server's when both are */
	struct ps_serve_decision *decisions;
	size_t n_decisions, cap_decisions;
	pthread_cond_t changed; /* monotonic clock */
	uint64_t changes;	/* what a reload may wait for has happened, so often */
	bool stopping;		/* a reload waits no longer */
	/* of whoever applies a configuration: start, then the reload's thread */
	char *folders[PS_SERVE_MAX_FOLDERS]; /* number = source - PS_SERVE_SOURCE_FOLDER */
	int n_folders;
	int *private; /* tenants with a domain of their own, until it is dropped */
	int n_private;
	struct ps_serve_reload *reload;
};

/* ps_serve_admin_free frees it, after the observer's thread has ended. [reload.c] */
void ps_serve_admin_free(struct ps_serve *s);
/* ps_serve_admin_get makes it on first use (start-up, before other threads). NULL: no memory. */
struct ps_serve_admin *ps_serve_admin_get(struct ps_serve *s);
/* ps_serve_decide notes what the API asked for. Texts are copied. PS_ENOMEM. */
enum ps_status ps_serve_decide(struct ps_serve_admin *a, const char *model, const char *tenant,
			       bool loaded, const char *config);
/* ps_serve_decided copies the decision about a name in a domain; false: there is none. The caller
 * frees ret->config. */
bool ps_serve_decided(struct ps_serve_admin *a, const char *model, const char *tenant,
		      struct ps_serve_decision *ret);

/* ps_serve_was_unloaded says whether that was to unload it. */
bool ps_serve_was_unloaded(struct ps_serve_admin *a, const char *model, const char *tenant);

/* ps_serve_restore takes up what the state file remembers. At start. */
enum ps_status ps_serve_restore(struct ps_serve *s, struct ps_state *state, struct ps_error *err);

/* --- models_wanted.c --- */

/* ps_serve_want_models asks for the models that `p` has loaded, in each domain; nothing is left.
 * Under s->lock. PS_ENOMEM. */
enum ps_status ps_serve_want_models(struct ps_serve *s, const struct ps_serve_snapshot *p,
				    struct ps_error *err);

/* --- reload_wait.c: the reload's thread, at most so long each --- */

#define PS_SERVE_MOVE_NS  INT64_C(60000000000)
#define PS_SERVE_ADOPT_NS INT64_C(5000000000)

/* ps_serve_wait_for_moves waits until the instances are loaded (or have failed) that requests will
 * meet by `p` and did not meet by `old`: those of tenants that begin or cease to share, and of new
 * tenants that share with nobody. Says in the log what was not ready in time. */
void ps_serve_wait_for_moves(struct ps_serve *s, const struct ps_serve_snapshot *old,
			     const struct ps_serve_snapshot *p);
/* ps_serve_wait_for_ios waits until every I/O thread works by `p` or a later one. */
void ps_serve_wait_for_ios(struct ps_serve *s, const struct ps_serve_snapshot *p);

/* --- reload.c --- */

struct ps_serve_reload_result {
	enum ps_status status; /* not PS_OK: the old configuration stays; see err */
	struct ps_error err;
	uint64_t generation;
	int tenants_added, tenants_removed;
	struct ps_serve_model_changes models;
	struct ps_strbuf restart; /* settings that differ and need a restart, "a, b" */
};

/* Somebody waits for a reload. The caller's storage until on_done, which comes on `loop`; `result`
 * is then the caller's (ps_strbuf_fini of `restart`). */
struct ps_serve_reload_wait {
	struct ps_evloop *loop;
	void (*on_done)(struct ps_serve_reload_wait *w);
	struct ps_serve_reload_result result;
	struct ps_serve_reload_wait *next;
	struct ps_evloop_task task;
};

/* ps_serve_reload_ask starts a reload; `w` (may be NULL) is told of one that began afterwards. Any
 * I/O thread. PS_EUNAVAIL, PS_ENOMEM, PS_EIO: then w->on_done does not come. */
enum ps_status ps_serve_reload_ask(struct ps_serve *s, struct ps_serve_reload_wait *w,
				   struct ps_error *err);

/* ps_serve_config_from_json reads a model configuration in Triton's JSON, as a load carries it, and
 * checks it. [admin_config.c] PS_EPARSE, PS_EINVAL, PS_EUNSUPPORTED, PS_ENOMEM. */
enum ps_status ps_serve_config_from_json(const char *text, const char *model,
					 struct ps_repo_config *ret_config, struct ps_error *err);

#endif
