/* Random histories: whatever happens in whatever order, every request ends once, every run is
 * answered, nothing waits while a lane could run it, and the books agree after each step. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/world.h"

#include <math.h>

enum { LANES = 3, REQUESTS = 64, STEPS = 4000 };

struct history {
	struct world w;
	struct ps_rng rng;
	int64_t now;
	struct ps_dispatch_request r[REQUESTS];
	bool live[REQUESTS]; /* admitted and not DONE yet, as the driver saw it */
	struct ps_dispatch_batch *runs[LANES];
	int64_t ran, dropped, expired, refused, here, batched, cancelled;
	double cost[2];
};

static int below(struct history *h, int n)
{
	return (int)ps_rng_below(&h->rng, (uint64_t)n);
}

static void ended(struct history *h, struct ps_dispatch_request *r)
{
	int k = (int)(r - h->r);
	assert_true(h->live[k]);
	assert_int_equal(r->state, PS_DISPATCH_DONE);
	h->live[k] = false;
}

static void begun(struct history *h, struct ps_dispatch_batch *b)
{
	assert_null(h->runs[b->lane]);
	h->runs[b->lane] = b;
	h->batched += b->n > 1;
	h->here += b->here;
	int n = 0;
	int64_t rows = 0;
	for (const struct ps_dispatch_request *r = b->first; r; r = r->batch_next, n++) {
		assert_int_equal(r->state, PS_DISPATCH_RUNNING);
		assert_int_equal(r->instance, b->instance);
		assert_true(r->shape_key == b->first->shape_key);
		assert_true(!r->deadline_ns || r->deadline_ns > h->now);
		assert_ptr_equal(r->in, b);
		rows += r->rows;
	}
	assert_int_equal(n, b->n);
	assert_int_equal(rows, b->rows);
}

static void random_arrival(struct history *h)
{
	int k = below(h, REQUESTS);
	struct ps_dispatch_request *r = &h->r[k];
	struct ps_dispatch_action a;
	if (h->live[k])
		return;
	int tenant = below(h, 2);
	ps_dispatch_request_init(r, tenant, tenant == A ? h->w.left2 : h->w.right);
	r->rows = 1 + below(h, 3);
	r->shape_key = (uint64_t)below(h, 2);
	r->level = below(h, 3);
	r->account.received_ns = h->now;
	if (below(h, 2))
		r->deadline_ns = h->now + 1 + below(h, 80);
	if (ps_dispatch_arrive(h->w.d, r, h->now, &a, NULL) != PS_OK) {
		assert_int_equal(r->state, PS_DISPATCH_DONE);
		assert_int_not_equal(r->account.reason, PS_DISPATCH_REASON_NONE);
		h->refused++;
		return;
	}
	h->live[k] = true;
	if (a.kind == PS_DISPATCH_RUN) {
		assert_true(a.batch->here);
		begun(h, a.batch);
	}
}

static void offer(struct history *h, int lane)
{
	struct ps_dispatch_action a = ps_dispatch_lane_free(h->w.d, lane, h->now);
	if (a.kind == PS_DISPATCH_RUN) {
		assert_null(h->runs[lane]);
		begun(h, a.batch);
	}
}

static void random_lane(struct history *h)
{
	int lane = below(h, LANES);
	struct ps_dispatch_batch *b = h->runs[lane];
	if (b) {
		enum ps_status s = b->cancelled ? PS_ECANCELLED : below(h, 9) ? PS_OK : PS_EENGINE;
		int64_t started = b->first->account.started_ns;
		struct ps_dispatch_request *first = b->first;
		ps_dispatch_finish(h->w.d, b, s, started, h->now);
		h->runs[lane] = NULL;
		for (struct ps_dispatch_request *r = first; r; r = r->batch_next) {
			h->cost[r->tenant] += (double)r->account.cost_ns;
			h->ran++;
			ended(h, r);
		}
	}
	offer(h, lane);
}

static void random_cancel(struct history *h)
{
	int k = below(h, REQUESTS);
	if (!h->live[k])
		return;
	struct ps_dispatch_action a = ps_dispatch_cancel(h->w.d, &h->r[k], h->now);
	if (a.kind == PS_DISPATCH_DROP) {
		h->dropped++;
		ended(h, a.request);
	}
	h->cancelled += a.kind == PS_DISPATCH_CANCEL;
}

static void ticks(struct history *h)
{
	struct ps_dispatch_action a;
	while ((a = ps_dispatch_tick(h->w.d, h->now)).kind != PS_DISPATCH_NOTHING) {
		if (a.kind == PS_DISPATCH_EXPIRE) {
			h->expired++;
			ended(h, a.request);
		}
		h->cancelled += a.kind == PS_DISPATCH_CANCEL;
	}
	assert_true(ps_dispatch_next_tick_ns(h->w.d) > h->now);
}

/* No lane is idle while something could run: lanes that ask get nothing. */
static void settle(struct history *h)
{
	for (int lane = 0; lane < LANES; lane++)
		if (!h->runs[lane])
			offer(h, lane);
}

static void check_books(struct history *h)
{
	struct ps_dispatch_view v[2];
	int64_t waiting = 0, running[2] = {0}, waits[2] = {0};
	for (int t = 0; t < 2; t++)
		ps_dispatch_view_get(h->w.d, t, h->now, &v[t]);
	for (int k = 0; k < REQUESTS; k++) {
		if (!h->live[k])
			continue;
		bool runs = h->r[k].state == PS_DISPATCH_RUNNING;
		waiting += !runs;
		waits[h->r[k].tenant] += !runs;
		running[h->r[k].tenant] += runs;
	}
	assert_int_equal(waiting, ps_dispatch_waiting(h->w.d));
	for (int t = 0; t < 2; t++) {
		assert_int_equal(v[t].waiting, waits[t]);
		assert_int_equal(v[t].running, running[t]);
		assert_true(v[t].retry_after_ns >= 0);
	}
}

static void finish_all(struct history *h)
{
	ps_dispatch_drain(h->w.d);
	h->now += 1000;
	ticks(h);
	for (int n = 0; n < 20 * REQUESTS; n++, h->now++) {
		random_lane(h);
		ticks(h);
	}
	for (int k = 0; k < REQUESTS; k++)
		assert_false(h->live[k]);
	assert_true(ps_dispatch_drained(h->w.d));
	for (int t = 0; t < 2; t++) {
		struct ps_dispatch_view v;
		ps_dispatch_view_get(h->w.d, t, h->now, &v);
		double apart = (double)v.cost_ns - h->cost[t];
		if (!(fabs(apart) <= (double)h->ran + 1)) /* each was rounded */
			fail_msg("tenant %d: %.1f ns apart", t, apart);
	}
}

static void make(struct history *h, uint64_t seed)
{
	*h = (struct history){.now = 1};
	ps_rng_init(&h->rng, seed, 3);
	struct ps_dispatch_config c = {.n_lanes = LANES, .cpus = 2};
	c.reserve_lanes = below(h, 2);
	c.best_effort_floor = below(h, 2) ? 0.1 : 0;
	c.auto_width = below(h, 2);
	c.here_max_ns = below(h, 2) ? 10 : 0;
	c.max_waiting = below(h, 2) ? 20 : 0;
	const struct ps_tenancy_tenant a = {.queue_limit = 30, .weight = 3};
	const struct ps_tenancy_tenant b = {
		.queue_limit = 30, .class = PS_TENANCY_BEST_EFFORT, .concurrency = 20};
	h->w = make_world(&c, &a, &b);
	want(&h->w, h->w.left2);
	want(&h->w, h->w.right);
	load_all(&h->w);
	batches(&h->w, "left", 1 + below(h, 8), below(h, 2) ? 10 : 0);
	if (below(h, 2))
		batches(&h->w, "right", 4, 0);
}

static void every_request_ends_once(void **state)
{
	(void)state;
	int64_t ran = 0, dropped = 0, expired = 0, refused = 0, here = 0, batched = 0,
		cancelled = 0;
	for (uint64_t seed = 1; seed <= 24; seed++) {
		struct history h;
		make(&h, seed);
		for (int n = 0; n < STEPS; n++) {
			h.now += below(&h, 4);
			ticks(&h);
			int what = below(&h, 10);
			if (what < 5)
				random_arrival(&h);
			else if (what < 9)
				random_lane(&h);
			else
				random_cancel(&h);
			if (below(&h, 3) == 0)
				settle(&h);
			if (n % 16 == 0)
				check_books(&h);
		}
		finish_all(&h);
		end_world(&h.w);
		ran += h.ran, dropped += h.dropped, expired += h.expired, refused += h.refused;
		here += h.here, batched += h.batched, cancelled += h.cancelled;
	}
	print_message("ran %d dropped %d expired %d refused %d here %d batched %d cancelled %d\n",
		      (int)ran, (int)dropped, (int)expired, (int)refused, (int)here, (int)batched,
		      (int)cancelled);
	assert_true(ran > 1000 && dropped > 100 && expired > 40 && refused > 100);
	assert_true(here > 10 && batched > 100 && cancelled > 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_request_ends_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
