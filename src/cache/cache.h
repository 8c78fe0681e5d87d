/* cache.h - which models should be in memory, decided epoch by epoch from what tenants ask for.
 * Layer 3, pure: no engine, clock, thread or file. Not thread-safe: dispatch owns it under its
 * mutex. policy.h has the model, the policies and what they promise.
 *
 *	new -> tenants, items -> ask (each request), resident (whenever memory changed)
 *	    -> epoch (every few seconds: forget, plan, draw) -> wants / victims
 *
 * The caller loads and unloads; the cache only says what it would like, and learns what came of it
 * by ps_cache_set_resident. An item is a content: models of different tenants that are the same
 * bytes with the same options are one item, by their key.
 */
#ifndef PS_CACHE_CACHE_H
#define PS_CACHE_CACHE_H

#include "cache/policy.h"

struct ps_cache;

/* What was asked of an item is forgotten altogether when less than this of one request is left: a
 * single request after six half-lives, n per epoch (asked for long) after
 * half-life x log2(64 n / (1 - 1/2^(1/half-life))) epochs. A tenant of whom nothing is left takes
 * no part: the others' shares are of fewer. */
#define PS_CACHE_FORGOTTEN (1. / 64)

struct ps_cache_options {
	enum ps_cache_kind policy;
	int64_t capacity_bytes; /* for configurations: keep out of it what must stay free, as for an
				 * item that is loaded beside them */
	double half_life_epochs; /* > 0: after so many epochs a request counts half. 0: 3 */
	double warm_factor;	 /* as in a problem; 0: 1 */
	/* A plan is kept as long as the certificate for the new demand is within this (of W), and
	 * no tenant has under its share by more than it. 0: PS_CACHE_GAP */
	double reuse_gap;
	/* A switch must pay for its loads: on average they may cost this part of the time that the
	 * plan spares per epoch. In (0, 1]; 0: 0.1 */
	double load_share;
	uint64_t seed;
};

/* ps_cache_new makes a cache without tenants and items. PS_EINVAL, PS_ENOMEM. */
enum ps_status ps_cache_new(const struct ps_cache_options *o, struct ps_cache **ret_cache,
			    struct ps_error *err);
void ps_cache_free(struct ps_cache *c);

/* ps_cache_set_tenant adds the tenant of that name, or changes it. PS_EINVAL, PS_ETOOBIG (too many,
 * or guarantees and pins over the capacity: the sizes are named; nothing changed), PS_ENOMEM. */
enum ps_status ps_cache_set_tenant(struct ps_cache *c, const char *name,
				   const struct ps_cache_tenant *t, int *ret_tenant,
				   struct ps_error *err);
/* ps_cache_set_item adds the item of that key (a digest of content and options), or changes its
 * bytes and load cost, as they are measured. An item over the capacity is refused: PS_ETOOBIG with
 * both sizes. The others as above. `resident` and `pinned` of `item` are taken over, too. */
enum ps_status ps_cache_set_item(struct ps_cache *c, const char *key,
				 const struct ps_cache_item *item, int *ret_item,
				 struct ps_error *err);
/* ps_cache_drop_item forgets an item and what was asked of it; its number may be given to the next
 * new one. O(tenants). */
void ps_cache_drop_item(struct ps_cache *c, int item);
/* ps_cache_drop_tenant forgets a tenant and what it asked for. O(items). */
void ps_cache_drop_tenant(struct ps_cache *c, int tenant);
/* ps_cache_set_capacity takes effect at the next epoch, and for victims at once. PS_ETOOBIG when
 * pins and guarantees do not fit (nothing changed). Items that do not fit any more stay known but
 * are in no configuration. */
enum ps_status ps_cache_set_capacity(struct ps_cache *c, int64_t bytes, struct ps_error *err);
/* ps_cache_set_resident says that an item came into memory or went out of it. */
void ps_cache_set_resident(struct ps_cache *c, int item, bool resident);

/* ps_cache_ask counts a request; call it for hits and misses alike. O(1). */
void ps_cache_ask(struct ps_cache *c, int tenant, int item);

/* What an epoch decided. Borrowed from the cache until its next epoch or change of items. */
struct ps_cache_epoch {
	uint64_t number; /* from 1 */
	const struct ps_cache_plan
		*plan;	       /* NULL: nothing was ever asked for. Kept while nothing is */
	int drawn;	       /* the configuration in force */
	const uint64_t *wants; /* its items, a bit per item number */
	bool reused, renewed, switched; /* the plan is the last one; drawn whatever was there; the
					 * configuration is another one */
	double u[2];			/* the random numbers of the draw, for the log */
	double renew;			/* the chance of a draw whatever was there */
	double loads_s;			/* what this switch costs in loads */
};

/* ps_cache_epoch_end ends an epoch: forgets by the half-life, plans for what is asked for, draws.
 * Takes up to seconds for a hundred tenants and thousands of items: see bench/cache-solver.py. On a
 * failure the last decision stays in force. Errors of policy.h's plan. */
enum ps_status ps_cache_epoch_end(struct ps_cache *c, struct ps_cache_epoch *ret_epoch,
				  struct ps_error *err);
/* The same in three steps, for a caller that others wait for: begin and commit are short (O(tenants
 * x items)), and run, which may take long, touches nothing of the cache, so that it needs no mutex.
 * One job at a time. *ret_job is NULL when nothing is asked for. Commit frees the job; one
 * that is not run, or failed, is freed by ps_cache_job_free. Items that were dropped meanwhile are
 * in no configuration; a plan that fits no more (less capacity, larger items, another pin) is given
 * up: the number of the epoch stays. */
struct ps_cache_job;
enum ps_status ps_cache_epoch_begin(struct ps_cache *c, struct ps_cache_job **ret_job,
				    struct ps_error *err);
enum ps_status ps_cache_job_run(struct ps_cache_job *job, struct ps_error *err);
enum ps_status ps_cache_epoch_commit(struct ps_cache *c, struct ps_cache_job *job,
				     struct ps_cache_epoch *ret_epoch, struct ps_error *err);
void ps_cache_job_free(struct ps_cache_job *job);
/* ps_cache_last borrows the decision in force; number 0 before the first epoch. */
const struct ps_cache_epoch *ps_cache_last(const struct ps_cache *c);
/* ps_cache_wants says whether an item is in the configuration in force (pinned ones always are).
 * Policies that decide at each request want what is in memory. O(1). */
bool ps_cache_wants(const struct ps_cache *c, int item);

/* ps_cache_victims names items to unload so that `item`, asked for by `tenant`, gets `need_bytes`:
 * in order, the first is the least worth. `may_go` (may be NULL: all that are resident and not
 * pinned) says what can be unloaded now. Planned policies give up what the configuration in force
 * does not want; `rob` also what it wants, least harm to other tenants first, for a caller who
 * would otherwise have to refuse. Returns how many, at most `room`; the sum of their bytes is at
 * least need_bytes, or 0 is returned: not possible. `item` itself is never named. O(items log
 * items). */
int ps_cache_victims(const struct ps_cache *c, int tenant, int item, int64_t need_bytes, bool rob,
		     bool (*may_go)(void *ctx, int item), void *ctx, int *ret_items, int room);

/* What keeping an item is worth, for a caller who orders candidates himself. */
struct ps_cache_worth {
	bool wanted; /* by the configuration in force of a planned policy */
	double harm; /* of what is wanted: what others than `tenant` would lose per byte; else 0 */
	double score, order;
};
/* ps_cache_worth_of says what keeping an item is worth to others than `tenant` (-1: to all). O(1);
 * O(tenants) for what is wanted. */
struct ps_cache_worth ps_cache_worth_of(const struct ps_cache *c, int tenant, int item);
/* ps_cache_worth_order compares two as qsort does: the least worth first, 0 when they are equal. */
int ps_cache_worth_order(const struct ps_cache_worth *a, const struct ps_cache_worth *b);

/* ---- looking at it ---- */

/* ps_cache_demand is what is remembered of a tenant's requests for an item, in requests per epoch
 * (the mean by the half-life). ps_cache_set_demand puts it back, after a restart. */
double ps_cache_demand(const struct ps_cache *c, int tenant, int item);
void ps_cache_set_demand(struct ps_cache *c, int tenant, int item, double requests);
/* ps_cache_find_* return the number of a name or key, or -1; ps_cache_*_name the other way, NULL
 * for a number that is not in use. Numbers are below ps_cache_tenants and ps_cache_items. */
int ps_cache_find_tenant(const struct ps_cache *c, const char *name);
int ps_cache_find_item(const struct ps_cache *c, const char *key);
const char *ps_cache_tenant_name(const struct ps_cache *c, int tenant);
const char *ps_cache_item_key(const struct ps_cache *c, int item);
int ps_cache_tenants(const struct ps_cache *c);
int ps_cache_items(const struct ps_cache *c);
/* ps_cache_problem_of fills a problem that borrows from the cache: for ps_cache_core and metrics.
 * Valid until the cache changes. */
void ps_cache_problem_of(const struct ps_cache *c, struct ps_cache_problem *ret_problem);

#endif
