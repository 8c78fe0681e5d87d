/* repo.h - which models there are, which are wanted, and what is loaded.   Layer 3, pure. Uses
 * base, model. (Folders: layout.h. What is said about a model: config.h.)
 *
 * A *model* is (name, version); its number 0..count-1 is how everybody else calls it and is never
 * given to another one. An *instance* is what an engine has loaded: one per (content hash, device,
 * domain), whatever the names of the models that share it. A *domain* says who may share: 0 for all
 * tenants, tenant + 1 for a tenant that shares with nobody. In each domain a model is wanted or
 * not, and has at most one instance that serves it (`current`) and one that will (`next`).
 *
 * Not thread-safe: its owner (dispatch/) guards it with its mutex. Nothing here blocks or reads
 * files.
 *
 * An instance:
 *
 *	          next_load         hashed: same content is there already
 *	WAITING -----------> LOADING ------------------------------------> (gone: merged)
 *	   |                  |   |
 *	   | not wanted       |   | loaded, ok          not wanted and not held
 *	   v                  |   +----------> READY ---------------------------> UNLOADING
 *	 (gone)               |                          next_unload                 |
 *	                      | loaded, error                                        | unloaded
 *	                      v                                                      v
 *	                    (gone; its models keep the reason)                     (gone)
 *
 * A model in a domain, as clients see it (ps_repo_state):
 *
 *	                  want                ok                    unwant
 *	UNLOADED/FAILED --------> LOADING ----------> READY -----------------> UNLOADING
 *	   ^        ^                | error            | reload: a new           |
 *	   |        +----------------+                  | instance loads          | last request
 *	   |                                            | beside; it stays        | done
 *	   |                                            v READY either way        |
 *	   +----------------------------------------------------------------------+
 *
 * Versions: ps_repo_serve wants the versions of a name that its policy chooses. A version that the
 * policy no longer chooses is unwanted only when all chosen ones are READY, so a broken new version
 * leaves the old one serving.
 */
#ifndef PS_REPO_REPO_H
#define PS_REPO_REPO_H

#include "base/error.h"
#include "repo/config.h"
#include "repo/layout.h"

#include <stddef.h>
#include <stdint.h>

#define PS_REPO_MAX_MODELS    65536 /* numbers ever given */
#define PS_REPO_MAX_INSTANCES 16384 /* at the same time */
#define PS_REPO_HASH_SIZE     32
#define PS_REPO_SHARED	      0 /* the domain of all tenants that share */

enum ps_repo_state {
	PS_REPO_UNLOADED,
	PS_REPO_LOADING,
	PS_REPO_READY,
	PS_REPO_FAILED,
	PS_REPO_UNLOADING,
	PS_REPO_ON_DISK, /* wanted, and loaded by the first request (ps_repo_on_demand) */
	PS_REPO_STATE_COUNT
};

enum ps_repo_instance_state {
	PS_REPO_INSTANCE_FREE, /* no instance has this number now */
	PS_REPO_INSTANCE_WAITING,
	PS_REPO_INSTANCE_LOADING,
	PS_REPO_INSTANCE_READY,
	PS_REPO_INSTANCE_UNLOADING,
	PS_REPO_INSTANCE_STATE_COUNT
};

/* One model. Owned by the repository; texts live as long as it, except `path` and `config`, which
 * a change of the model replaces. */
struct ps_repo_model {
	const char *name;
	const char *path; /* NULL: only announced (sim, tests) */
	int64_t version;
	char version_text[16];
	bool gone;  /* removed; comes back under the same number */
	int source; /* the caller's: which folder or list it came from */
	struct ps_repo_identity identity;
	const struct ps_repo_config *config; /* of its name, as last set; never NULL */
};

/* What was found when an instance was opened. The specs are borrowed until unloaded. */
struct ps_repo_facts {
	const struct ps_tensor_spec *inputs, *outputs;
	int n_inputs, n_outputs;
	bool batch_axis;	 /* all of them have an open first dimension */
	int64_t private_bytes;	 /* as ps_engine_memory says */
	int64_t mapped_bytes;	 /* shared by the instances of one content: counted once */
	int64_t device_bytes;	 /* on the GPU */
	int64_t footprint_bytes; /* that each run reads again; 0: unknown */
	int64_t load_ns;
	int64_t open_ns; /* the same with its warm-up; 0: no more than that */
};

/* One loaded thing. Its number is given again after it has gone, with another `id`. */
struct ps_repo_instance {
	enum ps_repo_instance_state state;
	uint64_t id; /* never given twice */
	char *path;  /* of the model it was made for; owned, lives until it has gone */
	char device[PS_REPO_DEVICE_SIZE];
	struct ps_repo_rnn rnn;
	int model; /* the first that wanted it: for messages and warm-up */
	int domain;
	bool hashed;
	unsigned char hash[PS_REPO_HASH_SIZE];
	const int *users; /* models (in its domain) that have it as current or next */
	int n_users;
	int64_t holds; /* requests between arrive and DONE, and whoever else needs it */
	struct ps_repo_facts facts; /* READY and UNLOADING */
	void *user;		    /* serve's: the engine's instance. Set by ps_repo_loaded */
};

struct ps_repo;

/* ps_repo_new makes an empty repository. PS_ENOMEM. */
enum ps_status ps_repo_new(struct ps_repo **ret_repo);
/* ps_repo_free frees it; the instances' `user`s are not its business. NULL is fine. */
void ps_repo_free(struct ps_repo *r);

/* ---- which models there are -------------------------------------------------------------- */

/* ps_repo_put makes (name, version) known, or says what its file is now: when `path` or `identity`
 * (may be NULL: unknown, the path decides) differ from before, whatever is loaded from it is loaded
 * anew beside the old. *ret_model may be NULL. The file is not touched. PS_EINVAL (name, version),
 * PS_ETOOBIG, PS_ENOMEM. O(log n), O(n) for a new one. */
enum ps_status ps_repo_put(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   const struct ps_repo_identity *identity, int source, int *ret_model,
			   struct ps_error *err);
/* ps_repo_add is ps_repo_put for a model that must be new: PS_EEXIST. */
enum ps_status ps_repo_add(struct ps_repo *r, const char *name, int64_t version, const char *path,
			   struct ps_error *err);
/* ps_repo_remove says that a model's file is gone: it is unwanted everywhere and not found again
 * until it is put again. What runs on it finishes. */
void ps_repo_remove(struct ps_repo *r, int model);
/* ps_repo_set_config gives all versions of `name` this configuration (copied; checked with
 * ps_repo_config_validate). Where a name is served, its policy is applied again; another device
 * loads anew. PS_EINVAL, PS_ENOMEM: nothing has changed. The name needs no model yet. */
enum ps_status ps_repo_set_config(struct ps_repo *r, const char *name,
				  const struct ps_repo_config *config, struct ps_error *err);
/* ps_repo_config_of borrows the configuration of `name`; the default one when none was set. */
const struct ps_repo_config *ps_repo_config_of(const struct ps_repo *r, const char *name);

/* What ps_repo_apply did. */
struct ps_repo_changes {
	int added, changed, removed; /* models */
	int refused;		     /* names with an error */
};
/* ps_repo_apply makes the models of `source` those of a listing: puts all, removes what is not
 * listed any more, sets configurations. A name whose entry has an error keeps what it had, and the
 * error is its reason (ps_repo_reason). A name of which models of another source are there is left
 * alone. New names are not served by this (ps_repo_serve). PS_ENOMEM, PS_ETOOBIG. */
enum ps_status ps_repo_apply(struct ps_repo *r, const struct ps_repo_listing *l, int source,
			     struct ps_repo_changes *ret_changes, struct ps_error *err);

/* ps_repo_count returns how many numbers of models were given, removed ones included. */
int ps_repo_count(const struct ps_repo *r);
/* ps_repo_get borrows model number `model`; valid until the repository is changed. */
const struct ps_repo_model *ps_repo_get(const struct ps_repo *r, int model);
/* ps_repo_find returns the number of (name, version), or of the highest version when `version` is
 * 0; -1 when there is none. Removed ones are not found. O(log n). */
int ps_repo_find(const struct ps_repo *r, const char *name, size_t name_len, int64_t version);
/* ps_repo_versions writes the numbers of all versions of `name` in rising order, at most `max`, and
 * returns how many there are. */
int ps_repo_versions(const struct ps_repo *r, const char *name, int *ret_models, int max);
/* ps_repo_choose returns the model that serves a request for `name`: version > 0 that one; 0 by
 * the traffic split among READY versions with `draw` in [0, 1), without a split the highest READY
 * one, and when none is READY the highest that is wanted, else the highest. -1: no such name or
 * version. */
int ps_repo_choose(const struct ps_repo *r, const char *name, size_t name_len, int64_t version,
		   int domain, double draw);

/* ---- what is wanted ------------------------------------------------------------------------ */

/* ps_repo_want asks for one model in a domain, or no longer, whatever the policy of its name says.
 * Asking again for one that FAILED, or for one whose file has changed, tries again; for one that is
 * loading or loaded it does nothing. PS_ENOMEM, PS_ETOOBIG (instances). */
enum ps_status ps_repo_want(struct ps_repo *r, int model, int domain, bool wanted);
/* ps_repo_serve asks for the versions of `name` that its policy chooses, now and when versions come
 * and go; false: no version any more. PS_ENOTFOUND: no such name. */
enum ps_status ps_repo_serve(struct ps_repo *r, const char *name, int domain, bool wanted);
/* ps_repo_reload loads a wanted model anew beside what serves, also when its file looks the same
 * (the content hash then finds out that it is). */
enum ps_status ps_repo_reload(struct ps_repo *r, int model);
/* ps_repo_drop_domain wants nothing in a domain any more: its tenant is gone or shares now. */
void ps_repo_drop_domain(struct ps_repo *r, int domain);

/* ---- on demand ------------------------------------------------------------------------------ */

/* ps_repo_on_demand says whether what is wanted is loaded at once (at first) or stays on disk until
 * ps_repo_fetch. A version that takes over from one that is loaded is loaded at once either way.
 * Before anything is wanted. */
void ps_repo_on_demand(struct ps_repo *r, bool on);
/* ps_repo_fetch begins to load a wanted model that is on disk or FAILED; for one that loads or is
 * READY it does nothing. PS_ENOTFOUND (not wanted), PS_ENOMEM, PS_ETOOBIG. */
enum ps_status ps_repo_fetch(struct ps_repo *r, int model, int domain);
/* ps_repo_evict takes a READY instance from all that it serves: they are on disk, and it is
 * unloaded once nobody holds it. */
void ps_repo_evict(struct ps_repo *r, int instance);

/* ---- loading ---------------------------------------------------------------------------- */

/* ps_repo_next_load returns an instance that has become LOADING (first wanted, first loaded), or
 * -1. Its loader hashes the file, calls ps_repo_hashed, opens it, and calls ps_repo_loaded. */
int ps_repo_next_load(struct ps_repo *r);
/* ps_repo_waiting returns an instance that could become LOADING, after `after` in the order in
 * which they were wanted (-1: the first); -1: there are no more. ps_repo_begin_load makes it
 * LOADING, for whoever has an order of its own. */
int ps_repo_waiting(const struct ps_repo *r, int after);
void ps_repo_begin_load(struct ps_repo *r, int instance);
/* ps_repo_hashed says what content a LOADING instance has. True: go on. False: nothing is left to
 * do, its models share an instance that is there already (or nobody wants it any more), and the
 * number is free. */
bool ps_repo_hashed(struct ps_repo *r, int instance, const unsigned char hash[PS_REPO_HASH_SIZE]);
/* ps_repo_loaded ends LOADING. PS_OK: READY with these facts and `user`, and it serves the models
 * that wait for it, if their configuration agrees with the facts; else the instance is gone and its
 * models keep `why` as the reason. A loader that need not hash may leave out ps_repo_hashed. */
void ps_repo_loaded(struct ps_repo *r, int instance, enum ps_status status,
		    const struct ps_error *why, const struct ps_repo_facts *facts, void *user);
/* ps_repo_next_unload returns an instance that nobody wants or holds, now UNLOADING, or -1. */
int ps_repo_next_unload(struct ps_repo *r);
/* ps_repo_watch_idle has `on_idle` called whenever there is something for ps_repo_next_unload, also
 * when that comes of the last request's end. It must not call the repository. NULL: no more. */
void ps_repo_watch_idle(struct ps_repo *r, void (*on_idle)(void *ctx), void *ctx);
/* ps_repo_unloaded says that it is closed: the number is free. */
void ps_repo_unloaded(struct ps_repo *r, int instance);

/* ps_repo_hold keeps a READY instance from being unloaded; ps_repo_release lets go. O(1). */
void ps_repo_hold(struct ps_repo *r, int instance);
void ps_repo_release(struct ps_repo *r, int instance);

/* ---- what can be seen ---------------------------------------------------------------------- */

/* ps_repo_serving returns the instance that serves `model` in `domain`, or -1. O(1) in the shared
 * domain, O(domains of the model) in others. */
int ps_repo_serving(const struct ps_repo *r, int model, int domain);
/* ps_repo_serving_config returns the configuration under which that instance serves the model: the
 * last one that agrees with it. Valid while the instance is held. NULL when nothing serves. */
const struct ps_repo_config *ps_repo_serving_config(const struct ps_repo *r, int model, int domain);
/* ps_repo_instance_get borrows an instance; ps_repo_instances returns the highest number + 1. */
const struct ps_repo_instance *ps_repo_instance_get(const struct ps_repo *r, int instance);
int ps_repo_instances(const struct ps_repo *r);
/* ps_repo_state_of returns what clients see of a model in a domain. */
enum ps_repo_state ps_repo_state_of(const struct ps_repo *r, int model, int domain);
/* ps_repo_reason borrows why the last load of a model failed (or why its configuration was
 * refused), also when an older instance serves; its status is PS_OK when there is nothing to say.
 */
const struct ps_error *ps_repo_reason(const struct ps_repo *r, int model, int domain);
/* ps_repo_wanted says whether a model is wanted in a domain. */
bool ps_repo_wanted(const struct ps_repo *r, int model, int domain);
/* ps_repo_settled says whether nothing waits to be loaded, loads, or waits to be unloaded. */
bool ps_repo_settled(const struct ps_repo *r);
/* ps_repo_ready says whether every wanted model is READY. O(1). */
bool ps_repo_ready(const struct ps_repo *r);
/* ps_repo_resident_bytes adds up what READY instances hold, mapped files once. O(instances). */
int64_t ps_repo_resident_bytes(const struct ps_repo *r);
/* ps_repo_state_name returns "UNLOADED", "LOADING", ...; ps_repo_index_state what the repository
 * index calls it: "READY", "LOADING", "UNLOADING" or "UNAVAILABLE". */
const char *ps_repo_state_name(enum ps_repo_state s);
const char *ps_repo_index_state(enum ps_repo_state s);

/* ps_repo_check walks everything and says whether the books agree: for tests. PS_EINTERNAL. */
enum ps_status ps_repo_check(const struct ps_repo *r, struct ps_error *err);

#endif
