/* replay_internal.h - a machine of a plan as the simulator takes it.   Inside sim/ only. */
#ifndef PS_SIM_REPLAY_INTERNAL_H
#define PS_SIM_REPLAY_INTERNAL_H

#include "sim/replay.h"

struct replay_stream;

struct replay_plan {
	struct ps_sim_plan sim;
	struct ps_sim_tenant *tenants;
	struct ps_sim_model *models;
	struct replay_stream *streams; /* by tenant; of those with a trace */
};

/* replay_plan_init makes the plan; replay_plan_fini follows, on failure too. PS_ENOMEM. */
enum ps_status replay_plan_init(struct replay_plan *p, const struct ps_sim_replay_machine *m,
				const struct ps_sim_replay_options *o);
void replay_plan_fini(struct replay_plan *p);

#endif
