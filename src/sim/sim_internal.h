/* sim_internal.h - the actors of a simulation.   Inside sim/ only. */
#ifndef PS_SIM_SIM_INTERNAL_H
#define PS_SIM_SIM_INTERNAL_H

#include "base/heap.h"
#include "base/rng.h"
#include "sim/sim.h"
#include "stats/hist.h"

struct sim_source;

/* Who sends: the one stream of an open source, or one of the clients of a closed one. */
struct sim_client {
	struct ps_heap_node next; /* keyed by the instant of the next arrival */
	struct sim_source *source;
};

struct sim_source {
	const struct ps_sim_tenant *tenant;
	const struct ps_sim_model *model; /* of the request that arrives */
	struct ps_rng gaps, services, leaves, models;
	struct sim_client *clients;
	int n_clients;
	double next_ns; /* not rounded, so that rounding never adds up */
	int phase;
	bool on;
	double switch_ns; /* BURSTS: when on and off change next */
	struct ps_hist latencies;
	struct ps_sim_result result;
};

struct sim_request {
	struct ps_dispatch_request d;
	struct ps_heap_node leaves; /* keyed by the instant at which its client goes */
	struct sim_request *next_free, *next_all;
	struct sim_client *client;
	const struct ps_sim_model *model;
	int64_t id;
	double factor;
	bool counted;
};

/* A load or unload under way. */
struct sim_load {
	struct ps_heap_node done; /* keyed by the instant at which it ends */
	struct sim_load *next_free, *next_all;
	int instance;
	bool unload;
};

struct sim_lane {
	struct ps_heap_node done; /* keyed by the instant at which its run ends */
	struct ps_dispatch_batch *batch;
	int64_t started_ns;
	struct sim_lane *idle_next, *idle_prev; /* while idle */
	bool idle;
};

struct sim {
	const struct ps_sim_plan *plan;
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *dispatch;
	int *models; /* the repository's numbers of the plan's models */
	struct sim_source *sources;
	struct sim_lane *lanes, *idle;
	int n_idle;
	struct ps_heap arrivals, completions, leaving, loads;
	struct sim_load *free_loads, *all_loads;
	bool *was_loaded; /* by the plan's model */
	struct sim_request *free_requests, *all_requests;
	int64_t n_arrivals; /* so far */
	bool ended;	    /* no more arrivals */
	int64_t now_ns, last_arrival_ns;
	int64_t area_from_ns;
	double area; /* requests waiting, integrated over ns */
	struct ps_sim_summary summary;
};

/* sim_check says whether a plan makes sense. PS_EINVAL. */
enum ps_status sim_check(const struct ps_sim_plan *p, struct ps_error *err);
/* sim_make_dispatch makes tenants, repository and policy, with every model READY. */
enum ps_status sim_make_dispatch(struct sim *s, struct ps_error *err);

/* sim_source_init prepares the i-th tenant's source and schedules its first arrivals. */
enum ps_status sim_source_init(struct sim *s, int i);
/* sim_source_next schedules the next arrival of an open source, in place of the last one.
 * PS_ETOOBIG, PS_ENOMEM. */
enum ps_status sim_source_next(struct sim *s, struct sim_source *o);
/* sim_source_again schedules a closed client's next request at `at_ns`. */
enum ps_status sim_source_again(struct sim *s, struct sim_client *c, int64_t at_ns);
/* sim_source_pause_ns returns how long a closed client waits before its next request. */
int64_t sim_source_pause_ns(const struct sim_source *o, bool refused);
/* sim_source_factor draws what the next request needs. */
double sim_source_factor(struct sim_source *o);

/* sim_source_model draws the model of the next request; its number in the plan. */
int sim_source_model(struct sim *s, struct sim_source *o);

/* residency.c: loads and unloads. sim_loads performs what dispatch wants; sim_load_done ends the
 * next one. Then what is due is ticked. PS_ENOMEM. */
enum ps_status sim_loads(struct sim *s);
/* sim_plan runs a plan, which takes no time. */
void sim_plan(struct sim *s, const struct ps_dispatch_action *a);
enum ps_status sim_load_done(struct sim *s, struct sim_load *l);
void sim_loads_fini(struct sim *s);

#endif
