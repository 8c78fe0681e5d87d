/* ticker.c - five times a second: what happened goes to the board, and to who watches. */
#include "load/driver_internal.h"

/* The measured part of a run that is stopped ends now. */
static void end_now(struct ps_load_run *run, int64_t now_ns)
{
	int64_t measured_ns = now_ns - run->start_ns - run->plan->warmup_ns;

	measured_ns = measured_ns > 0 ? measured_ns : 0;
	if (measured_ns < run->result->duration_ns) {
		run->result->duration_ns = measured_ns;
	}
}

static void report(struct ps_load_run *run, int64_t tick, int64_t now_ns)
{
	struct ps_load_progress p = {.elapsed_ns = now_ns - run->start_ns,
				     .total_ns = run->end_ns - run->start_ns,
				     .draining = now_ns >= run->end_ns};

	ps_load_live_read(&run->live, tick, &p);
	if (!run->progress(run->progress_ctx, &p)) {
		run->result->cancelled = true;
		end_now(run, now_ns);
		ps_load_run_stop(run);
	}
}

/* The tally holds what happened in the tick that has just ended. */
static void on_tick(struct ps_evloop_timer *timer, int64_t now_ns)
{
	struct ps_load_thread *th = timer->ctx;
	struct ps_load_run *run = th->run;
	int64_t tick = (now_ns - run->start_ns) / PS_LOAD_LIVE_TICK_NS;

	ps_load_live_publish(&run->live, th->tallies, tick > 0 ? tick - 1 : 0, th->last_latency_ns);
	th->last_latency_ns = -1;
	if (th->number == 0) {
		report(run, tick, now_ns);
	}
	if (!ps_load_thread_stopped(th)) {
		ps_load_sender_timer(th, timer, run->start_ns + (tick + 1) * PS_LOAD_LIVE_TICK_NS);
	}
}

void ps_load_ticker_start(struct ps_load_thread *th)
{
	ps_evloop_timer_init(&th->ticker, on_tick, th);
	th->last_latency_ns = -1;
	if (th->tallies) {
		ps_load_sender_timer(th, &th->ticker, th->run->start_ns);
	}
}
