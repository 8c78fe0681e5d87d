/* admin_internal.h - configuration and administration: what start-up and the request path call.
 * Layer 5.   Beside it, serve_internal.h declares ps_serve_route_admin, ps_serve_snapshot_new and
 * ps_serve_reload.
 *
 *	config.c       rows of the file; what is put over it
 *	config_check.c what rows cannot check; snapshots
 *	check.c        --check-config
 *	models_config.c  models and folders of a snapshot -> the repository
 *	models_wanted.c  which of them are wanted, and for whom
 *	reload.c       SIGHUP and POST v2/perseus/reload
 *	reload_wait.c  what a reload waits for
 *	admin*.c       routes: index, load, unload, statistics, configuration, operator's views
 *	decisions.c    what the API asked for
 *	bill.c         the ledger as people read it
 */
#ifndef PS_SERVE_ADMIN_INTERNAL_H
#define PS_SERVE_ADMIN_INTERNAL_H

#include "serve/serve_internal.h"

enum ps_serve_address_kind { PS_SERVE_OFF, PS_SERVE_TCP, PS_SERVE_UNIX };

/* Where a listener listens. */
struct ps_serve_address {
	enum ps_serve_address_kind kind;
	char host[PS_NET_HOST_SIZE];
	uint16_t port;
	char path[PS_NET_PATH_SIZE]; /* of UNIX */
};

/* ps_serve_address_parse reads "host:port", "[v6]:port", "unix:/path" or "off". PS_EINVAL. */
enum ps_status ps_serve_address_parse(const char *text, struct ps_serve_address *ret_address,
				      struct ps_error *err);
/* ps_serve_tls_new makes the TLS context of a configuration; NULL in *ret_tls when it has none. */
enum ps_status ps_serve_tls_new(const struct ps_serve_config *c, struct ps_net_tls **ret_tls,
				struct ps_error *err);

/* ps_serve_make_tenancy makes the tenants of a configuration, with the keys of its keys file.
 * Errors name file and line. [config_tenants.c] */
enum ps_status ps_serve_make_tenancy(const struct ps_serve_config *c,
				     const struct ps_tenancy *previous,
				     struct ps_tenancy **ret_tenancy, struct ps_error *err);
/* ps_serve_config_at says that an error that is set stands in the section at `w`; returns its
 * status. [config_check.c] */
enum ps_status ps_serve_config_at(const struct ps_serve_config *c, const struct ps_conf_where *w,
				  const char *key, struct ps_error *err);

/* What a configuration changed in the repository. */
struct ps_serve_model_changes {
	int added, changed, removed, refused; /* names */
};

/* ps_serve_apply_models makes the repository that of the snapshot: lists the folders, puts models
 * and their configurations, drops files that are gone, and asks for what is to be loaded in each
 * domain (shared, and that of every tenant with share: false). Then call ps_serve_kick_loaders, and
 * once `p` is in force ps_serve_leave_models. A model of the file that cannot be served is an
 * error; one of a folder is warned of and keeps its reason (at start, with exit_on_error, it is an
 * error too). Warns of models of tenants that are in no folder. Takes s->lock itself; BLOCKS on
 * the disk: at start, or on the reload's thread. `ret_changes` may be NULL. */
enum ps_status ps_serve_apply_models(struct ps_serve *s, const struct ps_serve_snapshot *p,
				     struct ps_serve_model_changes *ret_changes,
				     struct ps_error *err);

/* ps_serve_leave_models lets go of what nobody uses by `p`: shared instances of names that only
 * tenants without sharing see, and those of tenants that have none of their own any more. Once `p`
 * is in force everywhere, because until then requests still go there. On the reload's thread. */
void ps_serve_leave_models(struct ps_serve *s, const struct ps_serve_snapshot *p);

/* ps_serve_reload_stop waits for a reload under way. At the end, before I/O threads stop. */
void ps_serve_reload_stop(struct ps_serve *s);

/* ps_serve_metrics answers GET /metrics: c->tenant is who asks (PS_TENANCY_ADMIN: everything;
 * PS_TENANCY_NONE: somebody local without a key while no tenant and no operator has one:
 * everything). HTTP only. */
void ps_serve_metrics(struct ps_serve_call *c);

#endif
