/* A machine of a plan as the simulator takes it, and the arrivals of traces. */
#include "sim/replay_internal.h"

#include <limits.h>
#include <math.h>
#include <stdlib.h>

/* What perseus serve does when its configuration does not say otherwise, as those that perseus plan
 * writes do not (serve/config_rows.c). */
static const int64_t queue_limit = 100, max_waiting = 10000, here_max_ns = 200000;
static const double best_effort_floor = 0.05;

struct replay_stream {
	const struct ps_load_trace *trace;
	struct ps_sim_part part;
	size_t next;
};

/* ---- traces ------------------------------------------------------------------------------- */

/* splitmix64's finaliser: neighbours share no bits. */
static uint64_t mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

bool ps_sim_part_has(const struct ps_sim_part *p, uint64_t number)
{
	double u = (double)(mix(p->seed ^ mix(number)) >> 11) * 0x1p-53;
	return u >= p->from && u < p->to;
}

static double next_of_trace(void *ctx)
{
	struct replay_stream *s = ctx;
	while (s->next < s->trace->len) {
		size_t i = s->next++;
		if (ps_sim_part_has(&s->part, i))
			return s->trace->entries[i].at_ns;
	}
	return INFINITY;
}

static double bins_of(const struct ps_load_trace *t, int64_t bin_ns)
{
	return fmax(ceil(t->length_ns / (double)bin_ns), 1);
}

int ps_sim_curve_len(const struct ps_load_trace *t, int64_t bin_ns)
{
	return (int)fmin(bins_of(t, bin_ns) + 1, INT_MAX);
}

/* The last one may be cut short, and has what lies at the very end too. */
static double bin_count(const struct ps_load_trace *t, int i, int n, int64_t bin_ns,
			double *ret_width_ns)
{
	double from_ns = (double)i * (double)bin_ns, to_ns = from_ns + (double)bin_ns;
	*ret_width_ns = fmax(fmin(t->length_ns, to_ns) - from_ns, 1);
	size_t after = ps_load_trace_before(t, i + 1 < n ? to_ns : INFINITY);
	return (double)(after - ps_load_trace_before(t, from_ns));
}

void ps_sim_curve(const struct ps_load_trace *t, int64_t bin_ns, int64_t window_ns,
		  struct ps_sim_phase *ret_phases, double *ret_rate_rps)
{
	double stretch_ns = fmax(fmin((double)window_ns, t->length_ns), 1);
	double most = (double)ps_load_trace_most(t, stretch_ns);
	int n = ps_sim_curve_len(t, bin_ns) - 1;
	for (int i = 0; i < n; i++) {
		double width_ns, count = bin_count(t, i, n, bin_ns, &width_ns);
		ret_phases[i] =
			(struct ps_sim_phase){i * bin_ns, count / width_ns * stretch_ns / most};
	}
	ret_phases[n] = (struct ps_sim_phase){(int64_t)ceil(t->length_ns), 0};
	*ret_rate_rps = most * 1e9 / stretch_ns;
}

/* ---- the plan ----------------------------------------------------------------------------- */

static struct ps_sim_model model_of(const struct ps_sim_replay_model *m)
{
	return (struct ps_sim_model){
		.service = m->cv > 0 ? PS_SIM_GAMMA : PS_SIM_FIXED,
		.service_ns = m->mean_ns,
		.cv = m->cv,
	};
}

static struct ps_sim_tenant tenant_of(const struct ps_sim_replay_tenant *t, struct replay_stream *s)
{
	*s = (struct replay_stream){t->trace, t->part, 0};
	return (struct ps_sim_tenant){
		.model = t->model,
		.arrival = t->trace ? PS_SIM_STREAM : PS_SIM_POISSON,
		.next_ns = next_of_trace,
		.next_ctx = s,
		.rate_rps = t->rate_rps,
		.phases = t->trace ? NULL : t->phases,
		.n_phases = t->trace ? 0 : t->n_phases,
		.weight = t->weight,
		.queue_limit = queue_limit,
		.sla_ns = ps_sla_is_set(&t->sla) ? t->sla.limit_ns : 0,
		.percentile = t->sla.percentile,
	};
}

enum ps_status replay_plan_init(struct replay_plan *p, const struct ps_sim_replay_machine *m,
				const struct ps_sim_replay_options *o)
{
	*p = (struct replay_plan){
		.tenants = calloc((size_t)m->n_tenants + 1, sizeof *p->tenants),
		.models = calloc((size_t)m->n_models + 1, sizeof *p->models),
		.streams = calloc((size_t)m->n_tenants + 1, sizeof *p->streams),
	};
	if (!p->tenants || !p->models || !p->streams)
		return PS_ENOMEM;
	for (int i = 0; i < m->n_models; i++)
		p->models[i] = model_of(&m->models[i]);
	for (int i = 0; i < m->n_tenants; i++)
		p->tenants[i] = tenant_of(&m->tenants[i], &p->streams[i]);
	p->sim = (struct ps_sim_plan){
		.tenants = p->tenants,
		.models = p->models,
		.n_tenants = m->n_tenants,
		.n_models = m->n_models,
		.n_lanes = m->n_lanes,
		.best_effort_floor = best_effort_floor,
		.max_waiting = max_waiting,
		.here_max_ns = here_max_ns,
		.seed = o->seed,
		.until_ns = o->length_ns,
	};
	return PS_OK;
}

void replay_plan_fini(struct replay_plan *p)
{
	free(p->tenants);
	free(p->models);
	free(p->streams);
}
