/* observe_memory.c - what a budget of memory does, as metrics. */
#include "serve/metrics_page_internal.h"

#include <inttypes.h>
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

static void put_utility(struct ps_serve_page *p, const int *tenants, size_t n)
{
	struct ps_serve *s = p->server;
	ps_serve_begin(p, PS_M_T_UTILITY);
	for (size_t i = 0; i < n; i++) {
		struct ps_dispatch_fairness f;
		pthread_mutex_lock(&s->lock);
		bool found = ps_dispatch_fairness(s->dispatch, tenants[i], &f);
		pthread_mutex_unlock(&s->lock);
		const struct {
			const char *kind;
			double seconds;
		} kinds[] = {{"given", f.given_s}, {"alone", f.alone_s}, {"share", f.share_s}};
		for (int k = 0; found && k < 3; k++) {
			const struct ps_metrics_label l[] = {
				{"tenant", ps_tenancy_name(p->snapshot->tenancy, tenants[i])},
				{"kind", kinds[k].kind}};
			ps_metrics_real(&p->w, l, 2, kinds[k].seconds);
		}
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
	put_utility(p, tenants, n);
}

static void put_policy(struct ps_serve_page *p)
{
	struct ps_serve *s = p->server;
	struct ps_dispatch_policy_view v;
	const struct ps_metrics_label ok = {"result", "ok"}, failed = {"result", "failed"};
	pthread_mutex_lock(&s->lock);
	ps_dispatch_policy_view_get(s->dispatch, &v);
	pthread_mutex_unlock(&s->lock);
	ps_serve_begin(p, PS_M_EPOCHS);
	ps_metrics_int(&p->w, &ok, 1, v.epochs - v.failed_epochs);
	ps_metrics_int(&p->w, &failed, 1, v.failed_epochs);
	ps_serve_begin(p, PS_M_CONFIGURATIONS);
	ps_metrics_int(&p->w, NULL, 0, v.configurations);
	ps_serve_begin(p, PS_M_JAIN);
	ps_metrics_real(&p->w, NULL, 0, v.jain);
	ps_serve_begin(p, PS_M_WORST);
	ps_metrics_real(&p->w, NULL, 0, v.worst_share);
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
	put_policy(p);
}

/* --- the operator's view: GET v2/perseus/status --- */

enum { MAX_SHOWN = 64 }; /* configurations, and models of one */

static void put_configuration(struct ps_serve *s, double share, const int *models, int n,
			      struct ps_strbuf *out)
{
	ps_strbuf_printf(out, "{\"share\":%.9g,\"models\":[", share);
	for (int k = 0; k < n; k++) {
		const struct ps_repo_model *m = ps_repo_get(s->repo, models[k]);
		ps_strbuf_puts(out, k ? "," : "");
		ps_strbuf_printf(out, "\"%s/%s\"", m->name, m->version_text);
	}
	ps_strbuf_puts(out, "]}");
}

/* Names of models are letters, digits, '.', '_' and '-'. Under the server's lock. */
void ps_serve_put_plan(struct ps_serve *s, struct ps_strbuf *out)
{
	struct ps_dispatch_policy_view v;
	struct ps_dispatch_memory_view m;
	int models[MAX_SHOWN], n;
	double share;
	ps_dispatch_policy_view_get(s->dispatch, &v);
	ps_dispatch_memory_view_get(s->dispatch, &m);
	ps_strbuf_printf(out,
			 ",\"model_memory\":{\"policy\":\"%s\",\"budget_bytes\":%" PRId64
			 ",\"used_bytes\":%" PRId64 ",\"epochs\":%" PRId64
			 ",\"failed_epochs\":%" PRId64
			 ",\"gap\":%.9g,\"jain\":%.9g,\"worst_share\":%.9g,\"drawn\":%d,\"why\":",
			 v.name, m.budget_bytes, m.used_bytes, v.epochs, v.failed_epochs, v.gap,
			 v.jain, v.worst_share, v.drawn);
	ps_oip_build_string(v.why ? v.why->what : "", out);
	ps_strbuf_puts(out, ",\"plan\":[");
	for (int i = 0; i < MAX_SHOWN; i++) {
		share = ps_dispatch_configuration(s->dispatch, i, models, MAX_SHOWN, &n);
		if (share < 0)
			break;
		ps_strbuf_puts(out, i ? "," : "");
		put_configuration(s, share, models, n, out);
	}
	ps_strbuf_puts(out, "]}");
}
