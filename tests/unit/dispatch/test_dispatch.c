/* The policy in virtual time: events in, actions out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "dispatch/dispatch.h"

#include <string.h>

enum { A, B };			     /* tenants */
enum { LEFT_2 = 1, RIGHT_ONLY = 2 }; /* models */

struct world {
	struct ps_tenancy *tenancy;
	struct ps_repo *repo;
	struct ps_dispatch *d;
	struct ps_error err;
};

#define KEY_A "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"

/* Tenant A sees the model left (versions 1 and 2: numbers 0 and 1), B sees right (number 2). */
static struct world make_world(int n_lanes, int64_t queue_limit)
{
	static const char *const keys[] = {KEY_A}, *const left[] = {"left"},
				 *const right[] = {"right"};
	const struct ps_tenancy_tenant tenants[] = {
		{.name = "a",
		 .keys = keys,
		 .n_keys = 1,
		 .models = left,
		 .n_models = 1,
		 .queue_limit = queue_limit,
		 .weight = 1},
		{.name = "b",
		 .models = right,
		 .n_models = 1,
		 .queue_limit = queue_limit,
		 .weight = 1},
	};
	struct world w = {0};
	assert_int_equal(ps_tenancy_new(tenants, 2, &w.tenancy, &w.err), PS_OK);
	assert_int_equal(ps_repo_new(&w.repo), PS_OK);
	assert_int_equal(ps_repo_add(w.repo, "right", 1, "r.onnx", &w.err), PS_OK);
	assert_int_equal(ps_repo_add(w.repo, "left", 2, "l2.onnx", &w.err), PS_OK);
	assert_int_equal(ps_repo_add(w.repo, "left", 1, "l1.onnx", &w.err), PS_OK);
	const struct ps_dispatch_config c = {
		.tenancy = w.tenancy, .repo = w.repo, .n_lanes = n_lanes};
	assert_int_equal(ps_dispatch_new(&c, &w.d, &w.err), PS_OK);
	return w;
}

static struct world loaded_world(int n_lanes, int64_t queue_limit)
{
	struct world w = make_world(n_lanes, queue_limit);
	struct ps_dispatch_action a = ps_dispatch_load_next(w.d);
	while (a.kind == PS_DISPATCH_LOAD)
		a = ps_dispatch_load_done(w.d, a.model, PS_OK, NULL);
	assert_true(ps_dispatch_ready(w.d));
	return w;
}

static void end_world(struct world *w)
{
	ps_dispatch_free(w->d);
	ps_repo_free(w->repo);
	ps_tenancy_free(w->tenancy);
}

static enum ps_status arrive(struct world *w, struct ps_dispatch_request *r, int tenant,
			     int64_t deadline_ns, int64_t now_ns, enum ps_dispatch_action_kind want)
{
	struct ps_dispatch_action a;
	ps_dispatch_request_init(r, tenant, tenant == A ? LEFT_2 : RIGHT_ONLY);
	r->deadline_ns = deadline_ns;
	enum ps_status s = ps_dispatch_arrive(w->d, r, now_ns, &a, &w->err);
	assert_int_equal(a.kind, want);
	return s;
}

static struct ps_dispatch_request *take(struct world *w, int lane, int64_t now_ns)
{
	struct ps_dispatch_action a = ps_dispatch_lane_free(w->d, lane, now_ns);
	assert_int_equal(a.kind, a.request ? PS_DISPATCH_RUN : PS_DISPATCH_NOTHING);
	return a.request;
}

static void loads_come_one_at_a_time(void **state)
{
	struct world w = make_world(1, 2);
	struct ps_dispatch_action a = ps_dispatch_load_next(w.d);
	struct ps_error why;
	(void)state;
	assert_int_equal(a.kind, PS_DISPATCH_LOAD);
	assert_int_equal(ps_dispatch_load_next(w.d).kind, PS_DISPATCH_NOTHING);
	for (int i = 0; i < 2; i++) {
		assert_false(ps_dispatch_ready(w.d));
		a = ps_dispatch_load_done(w.d, a.model, PS_OK, NULL);
		assert_int_equal(a.kind, PS_DISPATCH_LOAD);
	}
	ps_error_set(&why, PS_EPARSE, "truncated");
	a = ps_dispatch_load_done(w.d, a.model, PS_EPARSE, &why);
	assert_int_equal(a.kind, PS_DISPATCH_NOTHING);
	assert_false(ps_dispatch_ready(w.d));
	end_world(&w);
}

static void foreign_models_look_unknown(void **state)
{
	struct world w = loaded_world(1, 2);
	struct ps_error foreign, unknown;
	int m = -1;
	(void)state;
	assert_int_equal(ps_dispatch_resolve(w.d, A, "left", 4, 0, &m, &w.err), PS_OK);
	assert_int_equal(ps_repo_get(w.repo, m)->version, 2);
	assert_int_equal(ps_dispatch_resolve(w.d, A, "left", 4, 1, &m, &w.err), PS_OK);
	assert_int_equal(ps_repo_get(w.repo, m)->version, 1);
	assert_int_equal(ps_dispatch_resolve(w.d, A, "left", 4, 3, &m, &w.err), PS_ENOTFOUND);
	assert_int_equal(ps_dispatch_resolve(w.d, A, "right", 5, 0, &m, &foreign), PS_ENOTFOUND);
	assert_int_equal(ps_dispatch_resolve(w.d, A, "wrong", 5, 0, &m, &unknown), PS_ENOTFOUND);
	*strstr(foreign.what, "right") = '?';
	*strstr(unknown.what, "wrong") = '?';
	memcpy(strchr(foreign.what, '?'), "?????", 5);
	memcpy(strchr(unknown.what, '?'), "?????", 5);
	assert_string_equal(foreign.what, unknown.what);
	end_world(&w);
}

static void unready_models_refuse(void **state)
{
	struct world w = make_world(1, 2);
	struct ps_dispatch_request r;
	struct ps_dispatch_counters c;
	(void)state;
	assert_int_equal(arrive(&w, &r, A, 0, 1, PS_DISPATCH_NOTHING), PS_EUNAVAIL);
	assert_int_equal(r.state, PS_DISPATCH_DONE);
	ps_dispatch_counters_get(w.d, A, LEFT_2, &c);
	assert_int_equal(c.arrived, 1);
	assert_int_equal(c.refused_unavailable, 1);
	end_world(&w);
}

static void a_full_queue_refuses_at_once(void **state)
{
	struct world w = loaded_world(1, 2);
	struct ps_dispatch_request r[5];
	(void)state;
	assert_int_equal(arrive(&w, &r[0], A, 0, 1, PS_DISPATCH_WAKE), PS_OK);
	assert_ptr_equal(take(&w, 0, 2), &r[0]);
	assert_int_equal(arrive(&w, &r[1], A, 0, 3, PS_DISPATCH_NOTHING), PS_OK);
	assert_int_equal(arrive(&w, &r[2], A, 0, 4, PS_DISPATCH_NOTHING), PS_OK);
	assert_int_equal(arrive(&w, &r[3], A, 0, 5, PS_DISPATCH_NOTHING), PS_EQUOTA);
	assert_non_null(strstr(w.err.what, "2 requests wait"));
	assert_int_equal(arrive(&w, &r[4], B, 0, 6, PS_DISPATCH_NOTHING),
			 PS_OK); /* its own queue */
	assert_int_equal(ps_dispatch_waiting(w.d, A), 2);
	ps_dispatch_finish(w.d, &r[0], PS_OK, 2, 12);
	assert_int_equal(ps_dispatch_retry_after_ns(w.d, A), 20);
	assert_int_equal(r[0].account.admitted_ns, 1);
	assert_int_equal(r[0].account.started_ns, 2);
	assert_int_equal(r[0].account.finished_ns, 12);
	assert_ptr_equal(take(&w, 0, 12), &r[1]);
	ps_dispatch_finish(w.d, &r[1], PS_EENGINE, 12, 13);
	assert_ptr_equal(take(&w, 0, 13), &r[4]); /* in turn: b before a's second */
	ps_dispatch_finish(w.d, &r[4], PS_OK, 13, 14);
	assert_ptr_equal(take(&w, 0, 14), &r[2]);
	ps_dispatch_finish(w.d, &r[2], PS_OK, 14, 15);
	assert_null(take(&w, 0, 15));
	end_world(&w);
}

static void a_wake_comes_only_for_idle_lanes(void **state)
{
	struct world w = loaded_world(2, 9);
	struct ps_dispatch_request r[4];
	(void)state;
	arrive(&w, &r[0], A, 0, 1, PS_DISPATCH_WAKE);
	take(&w, 0, 1);
	arrive(&w, &r[1], A, 0, 2, PS_DISPATCH_WAKE);
	take(&w, 1, 2);
	arrive(&w, &r[2], A, 0, 3, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, &r[1], PS_OK, 2, 4);
	arrive(&w, &r[3], A, 0, 5, PS_DISPATCH_WAKE);
	assert_ptr_equal(take(&w, 1, 5), &r[2]);
	assert_int_equal(r[2].lane, 1);
	end_world(&w);
}

static void a_client_that_leaves_is_forgotten(void **state)
{
	struct world w = loaded_world(1, 9);
	struct ps_dispatch_request waiting, running;
	struct ps_dispatch_counters c;
	(void)state;
	arrive(&w, &running, A, 0, 1, PS_DISPATCH_WAKE);
	take(&w, 0, 1);
	arrive(&w, &waiting, A, 0, 2, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action a = ps_dispatch_cancel(w.d, &waiting, 3);
	assert_int_equal(a.kind, PS_DISPATCH_DROP);
	assert_int_equal(waiting.state, PS_DISPATCH_DONE);
	assert_int_equal(waiting.account.status, PS_ECANCELLED);
	a = ps_dispatch_cancel(w.d, &running, 3);
	assert_int_equal(a.kind, PS_DISPATCH_CANCEL);
	assert_int_equal(a.lane, 0);
	assert_int_equal(ps_dispatch_cancel(w.d, &running, 4).kind, PS_DISPATCH_NOTHING);
	assert_null(take(&w, 0, 5));
	ps_dispatch_finish(w.d, &running, PS_OK, 1, 6); /* too late to stop: still not wanted */
	assert_int_equal(running.account.status, PS_ECANCELLED);
	assert_int_equal(ps_dispatch_cancel(w.d, &running, 7).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_counters_get(w.d, A, LEFT_2, &c);
	assert_int_equal(c.cancelled, 2);
	assert_int_equal(c.completed, 0);
	end_world(&w);
}

static void deadlines_end_requests(void **state)
{
	struct world w = loaded_world(1, 9);
	struct ps_dispatch_request late, running, waiting, patient;
	(void)state;
	assert_int_equal(ps_dispatch_next_deadline_ns(w.d), INT64_MAX);
	assert_int_equal(arrive(&w, &late, A, 5, 5, PS_DISPATCH_NOTHING), PS_EDEADLINE);
	arrive(&w, &running, A, 20, 6, PS_DISPATCH_WAKE);
	take(&w, 0, 6);
	arrive(&w, &waiting, A, 10, 7, PS_DISPATCH_NOTHING);
	arrive(&w, &patient, A, 0, 8, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_next_deadline_ns(w.d), 10);
	assert_int_equal(ps_dispatch_tick(w.d, 9).kind, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action a = ps_dispatch_tick(w.d, 10);
	assert_int_equal(a.kind, PS_DISPATCH_EXPIRE);
	assert_ptr_equal(a.request, &waiting);
	assert_int_equal(waiting.account.status, PS_EDEADLINE);
	a = ps_dispatch_tick(w.d, 20);
	assert_int_equal(a.kind, PS_DISPATCH_CANCEL);
	assert_ptr_equal(a.request, &running);
	assert_int_equal(ps_dispatch_tick(w.d, 21).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, &running, PS_ECANCELLED, 6, 22);
	assert_int_equal(running.account.status, PS_EDEADLINE);
	assert_ptr_equal(take(&w, 0, 22), &patient);
	end_world(&w);
}

/* A lane comes before the tick does: the request must neither run nor get lost. */
static void an_expired_request_is_never_run(void **state)
{
	struct world w = loaded_world(1, 9);
	struct ps_dispatch_request r;
	(void)state;
	arrive(&w, &r, A, 10, 1, PS_DISPATCH_WAKE);
	assert_null(take(&w, 0, 11));
	ps_dispatch_drain(w.d);
	assert_false(ps_dispatch_drained(w.d));
	assert_int_equal(ps_dispatch_tick(w.d, 11).kind, PS_DISPATCH_EXPIRE);
	assert_true(ps_dispatch_drained(w.d));
	end_world(&w);
}

/* The same, but the client leaves in between. */
static void an_expired_request_may_be_cancelled(void **state)
{
	struct world w = loaded_world(1, 9);
	struct ps_dispatch_request r;
	(void)state;
	arrive(&w, &r, A, 10, 1, PS_DISPATCH_WAKE);
	assert_null(take(&w, 0, 11));
	assert_int_equal(ps_dispatch_cancel(w.d, &r, 12).kind, PS_DISPATCH_DROP);
	assert_int_equal(ps_dispatch_tick(w.d, 13).kind, PS_DISPATCH_NOTHING);
	end_world(&w);
}

static void draining_finishes_what_was_admitted(void **state)
{
	struct world w = loaded_world(1, 9);
	struct ps_dispatch_request a, b, c;
	(void)state;
	arrive(&w, &a, A, 0, 1, PS_DISPATCH_WAKE);
	take(&w, 0, 1);
	arrive(&w, &b, B, 0, 2, PS_DISPATCH_NOTHING);
	ps_dispatch_drain(w.d);
	assert_false(ps_dispatch_ready(w.d));
	assert_int_equal(arrive(&w, &c, A, 0, 3, PS_DISPATCH_NOTHING), PS_EUNAVAIL);
	ps_dispatch_finish(w.d, &a, PS_OK, 1, 4);
	assert_false(ps_dispatch_drained(w.d));
	assert_ptr_equal(take(&w, 0, 4), &b);
	ps_dispatch_finish(w.d, &b, PS_OK, 4, 5);
	assert_true(ps_dispatch_drained(w.d));
	end_world(&w);
}

/* --- random histories: nothing is lost, nothing is doubled --- */

enum { STEPS = 200000, POOL = 64, LANES = 3 };

struct history {
	struct world w;
	struct ps_rng rng;
	struct ps_dispatch_request pool[POOL];
	bool used[POOL]; /* with dispatch */
	struct ps_dispatch_request *on_lane[LANES];
	int64_t now_ns, ended;
};

static void ended(struct history *h, struct ps_dispatch_request *r)
{
	assert_int_equal(r->state, PS_DISPATCH_DONE);
	assert_true(h->used[r - h->pool]);
	h->used[r - h->pool] = false;
	h->ended++;
}

static void random_arrival(struct history *h)
{
	struct ps_dispatch_action a;
	int i = (int)ps_rng_below(&h->rng, POOL), tenant = (int)ps_rng_below(&h->rng, 2);
	struct ps_dispatch_request *r = &h->pool[i];
	if (h->used[i])
		return;
	ps_dispatch_request_init(r, tenant, tenant == A ? LEFT_2 : RIGHT_ONLY);
	if (ps_rng_below(&h->rng, 2))
		r->deadline_ns = h->now_ns + (int64_t)ps_rng_below(&h->rng, 40);
	h->used[i] = true;
	if (ps_dispatch_arrive(h->w.d, r, h->now_ns, &a, NULL) != PS_OK)
		ended(h, r);
}

static void random_lane(struct history *h)
{
	int lane = (int)ps_rng_below(&h->rng, LANES);
	struct ps_dispatch_request *r = h->on_lane[lane];
	if (r) {
		ps_dispatch_finish(h->w.d, r, ps_rng_below(&h->rng, 9) ? PS_OK : PS_EENGINE,
				   r->account.started_ns, h->now_ns);
		ended(h, r);
	}
	h->on_lane[lane] = take(&h->w, lane, h->now_ns);
}

static void random_cancel(struct history *h)
{
	int i = (int)ps_rng_below(&h->rng, POOL);
	if (!h->used[i])
		return;
	struct ps_dispatch_action a = ps_dispatch_cancel(h->w.d, &h->pool[i], h->now_ns);
	if (a.kind == PS_DISPATCH_DROP)
		ended(h, a.request);
}

static void ticks(struct history *h)
{
	struct ps_dispatch_action a;
	while ((a = ps_dispatch_tick(h->w.d, h->now_ns)).kind != PS_DISPATCH_NOTHING)
		if (a.kind == PS_DISPATCH_EXPIRE)
			ended(h, a.request);
}

static int64_t counted_ends(const struct world *w, int64_t *ret_arrived)
{
	struct ps_dispatch_counters c;
	int64_t sum = 0;
	*ret_arrived = 0;
	for (int t = A; t <= B; t++) {
		ps_dispatch_counters_get(w->d, t, t == A ? LEFT_2 : RIGHT_ONLY, &c);
		sum += c.completed + c.refused_quota + c.refused_unavailable + c.expired +
		       c.failed + c.cancelled;
		*ret_arrived += c.arrived;
		assert_true(c.completed > 0 && c.refused_quota > 0 && c.expired > 0);
		assert_true(c.failed > 0 && c.cancelled > 0);
	}
	return sum;
}

static void every_request_ends_once(void **state)
{
	static struct history h;
	int64_t arrived;
	(void)state;
	h = (struct history){.w = loaded_world(LANES, 5)};
	ps_rng_init(&h.rng, 7, 0);
	for (int i = 0; i < STEPS; i++) {
		h.now_ns += (int64_t)ps_rng_below(&h.rng, 3);
		switch (ps_rng_below(&h.rng, 8)) {
		case 0:
			random_lane(&h);
			break;
		case 1:
			if (ps_rng_below(&h.rng, 8) == 0)
				random_cancel(&h);
			break;
		case 2:
			ticks(&h);
			break;
		default:
			random_arrival(&h);
		}
	}
	ps_dispatch_drain(h.w.d);
	for (int i = 0; i < 1000 && !ps_dispatch_drained(h.w.d); i++) {
		random_lane(&h);
		ticks(&h);
	}
	assert_true(ps_dispatch_drained(h.w.d));
	assert_int_equal(counted_ends(&h.w, &arrived), h.ended);
	assert_int_equal(arrived, h.ended);
	end_world(&h.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_come_one_at_a_time),
		cmocka_unit_test(foreign_models_look_unknown),
		cmocka_unit_test(unready_models_refuse),
		cmocka_unit_test(a_full_queue_refuses_at_once),
		cmocka_unit_test(a_wake_comes_only_for_idle_lanes),
		cmocka_unit_test(a_client_that_leaves_is_forgotten),
		cmocka_unit_test(deadlines_end_requests),
		cmocka_unit_test(an_expired_request_is_never_run),
		cmocka_unit_test(an_expired_request_may_be_cancelled),
		cmocka_unit_test(draining_finishes_what_was_admitted),
		cmocka_unit_test(every_request_ends_once),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
