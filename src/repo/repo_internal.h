/* repo_internal.h - the books of the repository. Inside repo/ only.
 *
 *	repo.c       models and names: adding, finding, choosing
 *	place.c      what is wanted of a model in a domain, and what serves it
 *	versions.c   which versions of a name are wanted
 *	view.c       what can be seen
 *	instance.c   what is loaded: states, users, holds
 *	apply.c      a listing becomes models
 *	check.c      do the books agree?
 */
#ifndef PS_REPO_REPO_INTERNAL_H
#define PS_REPO_REPO_INTERNAL_H

#include "repo/repo.h"

/* A configuration that several have: its name, and the places that serve under it. */
struct ps_repo_shared_config {
	struct ps_repo_config config;
	int refs;
};

/* A model in one domain. */
struct ps_repo_place {
	int domain;
	bool wanted;	     /* changed by ps_repo_place_set_wanted only */
	bool pinned;	     /* wanted by hand: the policy does not unwant it */
	bool stopped;	     /* unwanted by hand: the policy does not want it */
	bool away;	     /* wanted, and not loaded until it is fetched */
	bool failed;	     /* the last try ended with `error`, and nothing has changed since */
	bool ready_counted;  /* in r->n_wanted_ready */
	int current, next;   /* instances; -1: none */
	int leaving;	     /* the instance that it had last; -1: none */
	uint64_t leaving_id; /* its id: numbers are given again */
	struct ps_repo_shared_config *config; /* that `current` serves under */
	struct ps_error *error;		      /* NULL: none */
};

struct ps_repo_family;

struct ps_repo_slot { /* a model */
	struct ps_repo_model model;
	struct ps_repo_family *family;
	struct ps_repo_place shared;
	struct ps_repo_place *others; /* of private domains */
	int n_others;
	uint64_t seen; /* stamp of the last ps_repo_apply that listed it */
};

struct ps_repo_family { /* a name */
	char *name;
	int *models; /* by rising version, removed ones included */
	int n, cap;
	struct ps_repo_shared_config *config;
	struct ps_error *error; /* its configuration was refused; NULL: none */
	bool unusable;		/* there never was a good one: nothing of it is loaded */
	int *domains;		/* where it is served by its policy */
	int n_domains;
};

struct ps_repo_held_config {
	struct ps_repo_held_config *next;
	struct ps_repo_shared_config *config;
};

struct ps_repo_load { /* an instance */
	struct ps_repo_instance pub;
	int *users;
	int cap_users;
	int list_prev, list_next;	     /* in r->waiting or r->idle; -1: end */
	bool idle;			     /* in r->idle */
	bool apart;			     /* loaded for a name that shared with no other */
	struct ps_repo_held_config *retired; /* replaced configurations, until nobody holds it */
};

struct ps_repo_list { /* of instances, first come first */
	int first, last, n;
};

struct ps_repo {
	struct ps_repo_slot **slots; /* by number */
	int n, cap;
	struct ps_repo_family **families; /* by name */
	int n_families, cap_families;
	struct ps_repo_load **loads; /* by number; never NULL below n_loads */
	int n_loads, cap_loads;
	struct ps_repo_list waiting, idle;
	int in_state[PS_REPO_INSTANCE_STATE_COUNT];
	int n_wanted, n_wanted_ready; /* what is away counts as ready */
	bool on_demand;
	uint64_t next_id, stamp;
	struct ps_repo_shared_config *defaults;
	void (*on_idle)(void *ctx); /* NULL: nobody watches */
	void *idle_ctx;
};

/* repo.c */
struct ps_repo_family *ps_repo_family_find(const struct ps_repo *r, const char *name, size_t len);
enum ps_status ps_repo_family_need(struct ps_repo *r, const char *name,
				   struct ps_repo_family **ret_family, struct ps_error *err);
/* ps_repo_why_set replaces an owned reason; NULL clears it. A failed allocation leaves none. */
void ps_repo_why_set(struct ps_error **why, const struct ps_error *err);
struct ps_repo_shared_config *ps_repo_config_new(const struct ps_repo_config *c);
struct ps_repo_shared_config *ps_repo_config_take(struct ps_repo_shared_config *c);
void ps_repo_config_drop(struct ps_repo_shared_config *c);

/* place.c */
void ps_repo_place_init(struct ps_repo_place *p, int domain);
void ps_repo_place_fini(struct ps_repo_place *p);
/* ps_repo_place_of finds the place of a model in a domain; NULL: it has none there yet. */
struct ps_repo_place *ps_repo_place_of(const struct ps_repo *r, int model, int domain);
/* ps_repo_model_changed: the model's file is another: load anew wherever it is wanted. */
enum ps_status ps_repo_model_changed(struct ps_repo *r, int model);
/* ps_repo_model_gone unwants it everywhere. */
void ps_repo_model_gone(struct ps_repo *r, int model);
/* ps_repo_place_need makes the place if need be; the places of a model may move. PS_ENOMEM. */
enum ps_status ps_repo_place_need(struct ps_repo *r, int model, int domain,
				  struct ps_repo_place **ret_place);
int ps_repo_places(const struct ps_repo_slot *s);
struct ps_repo_place *ps_repo_place_nth(struct ps_repo_slot *s, int i);
/* ps_repo_place_start wants it and begins to load what does not serve or failed; _stop wants it no
 * more. */
enum ps_status ps_repo_place_start(struct ps_repo *r, int model, struct ps_repo_place *p);
void ps_repo_place_stop(struct ps_repo *r, int model, struct ps_repo_place *p);
/* ps_repo_family_configured follows a change of f->config from `old`. */
enum ps_status ps_repo_family_configured(struct ps_repo *r, struct ps_repo_family *f,
					 const struct ps_repo_config *old);
/* ps_repo_place_arrived: `instance`, the place's next, is READY: it serves from now on if the
 * configuration agrees. ps_repo_place_failed: it will never be. */
void ps_repo_place_arrived(struct ps_repo *r, int model, int instance);
void ps_repo_place_failed(struct ps_repo *r, int model, int instance, const struct ps_error *why);
/* ps_repo_place_moved: its next is `to` instead of `from`, which has the same content. */
enum ps_status ps_repo_place_moved(struct ps_repo *r, int model, int from, int to);

/* versions.c */
/* ps_repo_family_serves says whether the policy of a name applies in a domain;
 * ps_repo_family_follow applies it after a version of it came up, failed or was stopped. */
bool ps_repo_family_serves(const struct ps_repo_family *f, int domain);
void ps_repo_family_follow(struct ps_repo *r, int model, int domain);
/* ps_repo_family_apply applies the policy in all domains where the name is served. */
enum ps_status ps_repo_family_apply(struct ps_repo *r, struct ps_repo_family *f);
/* ps_repo_family_retry begins again what failed, and applies the policy. */
enum ps_status ps_repo_family_retry(struct ps_repo *r, struct ps_repo_family *f);

/* instance.c */
/* ps_repo_instance_new makes a WAITING instance for a model in a domain. PS_ENOMEM, PS_ETOOBIG. */
enum ps_status ps_repo_instance_new(struct ps_repo *r, int model, int domain, int *ret_instance);
enum ps_status ps_repo_user_add(struct ps_repo *r, int instance, int model);
void ps_repo_user_drop(struct ps_repo *r, int instance, int model);
/* ps_repo_config_retire keeps a replaced configuration while the instance is held. */
void ps_repo_config_retire(struct ps_repo *r, int instance, struct ps_repo_shared_config *c);
bool ps_repo_instance_may_change(enum ps_repo_instance_state from, enum ps_repo_instance_state to);
void ps_repo_instances_fini(struct ps_repo *r);

#endif
