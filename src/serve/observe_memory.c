/* observe_memory.c - what a budget of memory does, as metrics. */
#include "serve/metrics_page_internal.h"

#include <stdlib.h>

static void look_at(const struct ps_serve_page *p, const int *tenants, size_t n,
		    struct ps_dispatch_residency_view *views)
{
	struct ps_serve *s = p->server;
	for (size_t i = 0; i < n; i++) {
		pthread_mutex_lock(&s->lock);
		ps_dispatch_residency_view_get(s->dispatch, tenants[i], &views[i]);
		pthread_mutex_unlock(&s->lock);
	}
}

void ps_serve_put_residency(struct ps_serve_page *p, const int *tenants, size_t n)
{
	static const enum ps_serve_metric metrics[] = {PS_M_T_HITS, PS_M_T_COLD, PS_M_T_LOAD_WAIT,
						       PS_M_T_RESIDENT};
	struct ps_dispatch_residency_view *views = NULL;
	if (!p->server->dispatch || !ps_dispatch_on_demand(p->server->dispatch))
		return;
	views = calloc(n + 1, sizeof *views);
	if (!views) {
		p->w.out->failed = true;
		return;
	}
	look_at(p, tenants, n, views);
	for (int k = 0; k < 4; k++) {
		ps_serve_begin(p, metrics[k]);
		for (size_t i = 0; i < n; i++) {
			const struct ps_dispatch_residency_view *v = &views[i];
			const struct ps_metrics_label l = {
				"tenant", ps_tenancy_name(p->snapshot->tenancy, tenants[i])};
			const double values[] = {(double)v->hits, (double)v->cold_starts,
						 (double)v->load_wait_ns * 1e-9,
						 (double)v->resident_bytes};
			ps_metrics_real(&p->w, &l, 1, values[k]);
		}
	}
	free(views);
}

static void put_evictions(struct ps_serve_page *p)
{
	struct ps_serve *s = p->server;
	bool more = true;
	ps_serve_begin(p, PS_M_EVICTIONS);
	for (int i = 0; more && (size_t)i < s->observe->max_series; i++) {
		struct ps_dispatch_evictions e;
		pthread_mutex_lock(&s->lock);
		more = ps_dispatch_evictions_get(s->dispatch, i, &e);
		pthread_mutex_unlock(&s->lock);
		if (!more)
			break;
		const struct ps_metrics_label l[] = {
			{"for", ps_tenancy_name(p->snapshot->tenancy, e.by)},
			{"of", ps_tenancy_name(p->snapshot->tenancy, e.of)}};
		ps_metrics_int(&p->w, l, 2, (int64_t)e.n);
	}
}

void ps_serve_put_memory(struct ps_serve_page *p)
{
	struct ps_serve *s = p->server;
	struct ps_dispatch_memory_view v;
	if (!s->dispatch || !ps_dispatch_on_demand(s->dispatch))
		return;
	pthread_mutex_lock(&s->lock);
	ps_dispatch_memory_view_get(s->dispatch, &v);
	pthread_mutex_unlock(&s->lock);
	const struct {
		const char *kind;
		int64_t bytes;
	} kinds[] = {{"resident", v.used_bytes - v.reserved_bytes - v.leaving_bytes},
		     {"loading", v.reserved_bytes},
		     {"leaving", v.leaving_bytes}};
	ps_serve_begin(p, PS_M_BUDGET);
	ps_metrics_int(&p->w, NULL, 0, v.budget_bytes);
	ps_serve_begin(p, PS_M_BUDGET_USED);
	for (int k = 0; k < 3; k++) {
		const struct ps_metrics_label l = {"kind", kinds[k].kind};
		ps_metrics_int(&p->w, &l, 1, kinds[k].bytes);
	}
	ps_serve_begin(p, PS_M_PARKED);
	ps_metrics_int(&p->w, NULL, 0, v.parked);
	put_evictions(p);
}
