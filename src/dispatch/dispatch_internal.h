/* dispatch_internal.h - the machine's parts. */
#ifndef PS_DISPATCH_DISPATCH_INTERNAL_H
#define PS_DISPATCH_DISPATCH_INTERNAL_H

#include "dispatch/dispatch.h"

#include "base/rng.h"

#include <stddef.h>

/* What is kept of a tenant besides what sched keeps. */
struct tenant {
	struct ps_tenancy_bucket rate;
	int64_t waiting, running, parked; /* requests */
	uint64_t hits, cold_starts;
	bool asked; /* for a model, in this epoch */
	int64_t load_wait_ns;
	double load_used;    /* of the loaders' time, by its weight: where its next load starts */
	double load_backlog; /* of its loads that wait, ns: scratch of forecast.c */
	int fair;	     /* cache's number + 1; 0: none */
	uint64_t fair_at;    /* the tenancy that it was told of */
};

/* What a (tenant, model) was found to be; a cache of what tenancy would say. */
struct pair {
	uint64_t key; /* 0: free */
	int64_t sla_ns;
	double may_be_late; /* the share over that limit which the agreement allows */
	bool sees;
};

struct pairs {
	struct pair *slots;
	size_t n_slots, len;
};

/* How many requests wait in the queues that have a limit. */
struct counts {
	struct count *slots;
	size_t n_slots, len;
};

struct ps_dispatch {
	struct ps_dispatch_config config;
	struct ps_sched *sched;
	struct ps_heap deadlines; /* of waiting and running requests */
	struct tenant *tenants;
	int n_tenants;
	struct pairs pairs;
	struct counts counts;
	uint64_t *instance_ids; /* by instance: what sched was told about */
	int n_instances;
	struct ps_rng split;
	int64_t waiting, parked;
	int loading; /* without a budget of memory */
	bool draining;
	struct residency *residency; /* NULL: there is no budget of memory */
};

#define REQUEST_OF_ITEM(it)                                                                        \
	((struct ps_dispatch_request *)((char *)(it)-offsetof(struct ps_dispatch_request, item)))
#define REQUEST_OF_NODE(n)                                                                         \
	((struct ps_dispatch_request *)((char *)(n)-offsetof(struct ps_dispatch_request, deadline)))

/* pair_get returns what a tenant has to do with a model. O(1) after the first time. */
struct pair pair_get(struct ps_dispatch *d, int tenant, int model);
void pairs_clear(struct ps_dispatch *d);

/* tenants_set takes over the tenants of a snapshot. PS_ENOMEM. */
enum ps_status tenants_set(struct ps_dispatch *d, const struct ps_tenancy *tenancy);

/* instance_configure tells sched about a READY instance. PS_ENOMEM. */
enum ps_status instance_configure(struct ps_dispatch *d, int instance);
/* instance_is_known does so if it has not been done. O(1). PS_ENOMEM. */
enum ps_status instance_is_known(struct ps_dispatch *d, int instance);

/* queue_level puts the model's default level where the request names none. False when it names one
 * that the model does not have (1..*ret_most). */
bool queue_level(const struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t *ret_most);
/* queue_policy returns what the model's configuration says about waiting at the request's level. */
const struct ps_repo_queue_policy *queue_policy(const struct ps_dispatch *d,
						const struct ps_dispatch_request *r);
/* queue_room says how many wait in the request's queue, and sees to it that the request will be
 * counted there too. PS_ENOMEM. */
enum ps_status queue_room(struct ps_dispatch *d, struct ps_dispatch_request *r,
			  int64_t *ret_waiting);
/* queue_count adds `change` to the queue of a request that queue_room was asked for. */
void queue_count(struct ps_dispatch *d, const struct ps_dispatch_request *r, int change);
void queues_fini(struct ps_dispatch *d);

/* request_set_state is the one function that changes a request's state, and the counts of states.
 */
void request_set_state(struct ps_dispatch *d, struct ps_dispatch_request *r,
		       enum ps_dispatch_state to);
/* request_end is the one way into DONE. */
void request_end(struct ps_dispatch *d, struct ps_dispatch_request *r, enum ps_status status,
		 enum ps_dispatch_reason reason);

/* admit_request: readiness, level, quotas, limits and deadline, in this order; the instance is held
 * and the request's item filled when it returns PS_OK. */
enum ps_status admit_request(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			     enum ps_dispatch_reason *ret_reason, struct ps_error *err);

/* admit_parked: what holds for a request before its instance is there: room of the machine, quotas.
 * The quota is used when it returns PS_OK. */
enum ps_status admit_parked(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns,
			    enum ps_dispatch_reason *ret_reason, struct ps_error *err);
/* request_fill_times fills r->deadline_ns and r->start_by_ns. */
void request_fill_times(struct ps_dispatch *d, struct ps_dispatch_request *r, int64_t now_ns);

/* domain_of returns the domain in which a tenant's models are. */
int domain_of(const struct ps_dispatch *d, int tenant);

/* ---- residency.c and others; all but _new are for machines that have a budget ---- */

enum ps_status residency_new(struct ps_dispatch *d);
void residency_free(struct ps_dispatch *d);
/* residency_new_tenants: the tenancy is another one. */
void residency_new_tenants(struct ps_dispatch *d);
/* residency_hit counts an admitted request, whose model is there. */
void residency_hit(struct ps_dispatch *d, const struct ps_dispatch_request *r, int64_t now_ns);
/* residency_unpark takes a request out of where it waits. */
void residency_unpark(struct ps_dispatch *d, struct ps_dispatch_request *r);
/* residency_late ends a parked request that has waited long enough: it gives the REFUSE. */
struct ps_dispatch_action residency_late(struct ps_dispatch *d, struct ps_dispatch_request *r,
					 int64_t now_ns);
/* residency_tick returns RESUME, REFUSE or LOADS when one is due. */
struct ps_dispatch_action residency_tick(struct ps_dispatch *d, int64_t now_ns);
int64_t residency_next_ns(const struct ps_dispatch *d);
/* loads_next returns LOAD, or OPEN or NO_ROOM for an instance whose turn it is. */
struct ps_dispatch_action loads_next(struct ps_dispatch *d, int max_loading);
/* residency_loaded: an instance was loaded or not (before the repository is told). */
void residency_loaded(struct ps_dispatch *d, int instance, enum ps_status status,
		      const struct ps_repo_facts *facts);

#endif
