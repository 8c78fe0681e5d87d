/* simulated.c - what came of a simulation. */
#include "cache/simulate_internal.h"

#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>

static void slowdowns(const struct ps_cache_sim *s, const struct ps_cache_sim_line *l,
		      const double *alone, struct ps_cache_sim_tenant *t, double *scratch)
{
	double latency = 0;

	for (size_t i = 0; i < l->n; i++) {
		double took = s->done_s[l->request[i]] - s->w->request[l->request[i]].at_s;
		latency += took;
		if (alone)
			scratch[i] = took / alone[l->request[i]];
	}
	t->mean_latency_s = l->n > 0 ? latency / (double)l->n : NAN;
	t->mean_slowdown = t->p99_slowdown = NAN;
	if (!alone || l->n == 0)
		return;
	ps_stats_sort(scratch, l->n);
	t->mean_slowdown = ps_stats_mean(scratch, l->n);
	t->p99_slowdown = ps_stats_quantile(scratch, l->n, 0.99);
}

static void fairness(struct ps_cache_sim_result *r, double *scratch)
{
	int n = 0;

	r->worst_share = INFINITY;
	r->worst_tenant = -1;
	for (int i = 0; i < r->tenants; i++) {
		const struct ps_cache_sim_tenant *t = &r->tenant[i];
		if (!(t->best_s > 0))
			continue;
		scratch[n++] = t->utility_s / t->best_s;
		if (t->utility_s / t->entitled_s < r->worst_share) {
			r->worst_share = t->utility_s / t->entitled_s;
			r->worst_tenant = i;
		}
	}
	r->worst_share = n > 0 ? r->worst_share : 1;
	r->jain = ps_cache_jain(scratch, n);
}

enum ps_status ps_cache_sim_summarize(struct ps_cache_sim *s, const double *alone,
				      struct ps_error *err)
{
	struct ps_cache_sim_result *r = s->r;
	size_t hits = 0;
	double *scratch = malloc((s->w->requests + (size_t)s->w->tenants + 1) * sizeof(*scratch));

	if (!scratch)
		return ps_cache_sim_no_memory(err);
	for (int i = 0; i < s->w->tenants; i++) {
		slowdowns(s, &s->line[i], alone, &r->tenant[i], scratch);
		hits += r->tenant[i].hits;
	}
	fairness(r, scratch);
	free(scratch);
	r->requests_per_s = s->now_s > 0 ? (double)s->w->requests / s->now_s : 0;
	r->hit_ratio = s->w->requests > 0 ? (double)hits / (double)s->w->requests : 0;
	r->used = s->now_s > 0 && s->o->capacity_bytes > 0
			  ? s->used_bytes_s / s->now_s / (double)s->o->capacity_bytes
			  : 0;
	r->worst_epoch = isfinite(s->worst_epoch) ? s->worst_epoch : 1;
	return PS_OK;
}

void ps_cache_sim_free(struct ps_cache_sim_result *r)
{
	free(r->tenant);
	*r = (struct ps_cache_sim_result){0};
}
