/* probe.c - a bare timer of this process, before the load: what the machine can do at best. */
#include "load/driver_internal.h"

#include <math.h>

#define CLOSED_RPS  1000 /* when a plan has closed loops only */
#define MAX_RPS	    1e5
#define LEAST_SHOTS 20

struct probe {
	struct ps_evloop_timer timer;
	struct ps_evloop *loop;
	struct ps_hist *hist;
	int64_t due_ns, end_ns, gap_ns;
	bool failed;
};

static void on_probe(struct ps_evloop_timer *t, int64_t now_ns)
{
	struct probe *p = t->ctx;

	(void)now_ns;
	/* As a request would see it: read again, as close to the act as can be. */
	ps_hist_record(p->hist, ps_evloop_now_ns(p->loop) - p->due_ns);
	p->due_ns += p->gap_ns;
	p->failed = p->due_ns < p->end_ns &&
		    ps_evloop_timer_set(p->loop, &p->timer, p->due_ns) != PS_OK;
}

/* What one thread of the plan has to send in a second. */
static double rate_of(const struct ps_load_run *run)
{
	const struct ps_load_plan *plan = run->plan;
	double rate = 0;

	for (size_t i = 0; i < plan->tenant_len; i++) {
		rate += ps_load_arrival_mean_rps(&plan->tenants[i].arrival,
						 plan->warmup_ns + plan->duration_ns);
	}
	return rate > 0 ? fmin(rate / (double)run->thread_len, MAX_RPS) : CLOSED_RPS;
}

enum ps_status ps_load_probe(struct ps_load_run *run, struct ps_error *err)
{
	struct ps_evloop *loop = run->threads[0].loop;
	struct probe p = {.loop = loop, .hist = &run->result->probe};
	enum ps_status st;

	if (run->plan->probe_ns == 0) {
		return PS_OK;
	}
	/* At a low rate, too, the probe shall fire a few times within its length. */
	p.gap_ns = (int64_t)fmin(1e9 / rate_of(run),
				 fmax((double)run->plan->probe_ns / LEAST_SHOTS, 1)) +
		   1;
	p.due_ns = ps_evloop_now_ns(loop) + p.gap_ns;
	p.end_ns = p.due_ns + run->plan->probe_ns;
	ps_evloop_timer_init(&p.timer, on_probe, &p);
	st = ps_evloop_timer_set(loop, &p.timer, p.due_ns);
	while (st == PS_OK && ps_evloop_timer_is_set(&p.timer)) {
		st = ps_evloop_run_once(loop, -1, err);
	}
	return p.failed ? ps_error_set(err, PS_ENOMEM, "no memory for a timer") : st;
}
