/* The policy in virtual time: events in, actions out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/world.h"

static void loads_are_bounded(void **state)
{
	(void)state;
	const struct ps_dispatch_config c = {.n_lanes = 1};
	const struct ps_tenancy_tenant t = {0};
	const struct ps_repo_facts facts = {0};
	struct world w = make_world(&c, &t, &t);
	struct ps_error why = {0};
	assert_int_equal(ps_dispatch_load_next(w.d, 1).kind, PS_DISPATCH_NOTHING);
	want(&w, w.left1);
	want(&w, w.right);
	struct ps_dispatch_action a = ps_dispatch_load_next(w.d, 1);
	assert_int_equal(a.kind, PS_DISPATCH_LOAD);
	assert_int_equal(ps_dispatch_load_next(w.d, 1).kind, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action b = ps_dispatch_load_next(w.d, 2);
	assert_int_equal(b.kind, PS_DISPATCH_LOAD);
	ps_dispatch_load_done(w.d, a.instance, PS_OK, NULL, &facts, NULL);
	assert_true(ps_dispatch_instance(w.d, A, w.left1) >= 0);
	ps_error_set(&why, PS_EENGINE, "no such operator");
	ps_dispatch_load_done(w.d, b.instance, PS_EENGINE, &why, NULL, NULL);
	assert_int_equal(ps_dispatch_instance(w.d, B, w.right), -1);
	struct ps_dispatch_request r;
	assert_int_equal(arrive(&w, &r, B, 0, 0, NULL), PS_EUNAVAIL);
	assert_int_equal(r.account.reason, PS_DISPATCH_REASON_NOT_READY);
	assert_non_null(strstr(w.err.what, "no such operator"));
	end_world(&w);
}

static void an_instance_in_use_is_not_unloaded(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r;
	assert_int_equal(arrive(&w, &r, B, 0, 0, NULL), PS_OK);
	assert_int_equal(ps_repo_want(w.repo, w.right, PS_REPO_SHARED, false), PS_OK);
	assert_int_equal(ps_dispatch_load_next(w.d, 1).kind, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 1);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	assert_int_equal(a.instance, a.batch->instance);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 1, 2);
	a = ps_dispatch_load_next(w.d, 1);
	assert_int_equal(a.kind, PS_DISPATCH_UNLOAD);
	assert_int_equal(a.instance, r.instance);
	ps_dispatch_unload_done(w.d, a.instance);
	assert_int_equal(arrive(&w, &r, B, 0, 3, NULL), PS_EUNAVAIL);
	end_world(&w);
}

static void foreign_models_look_unknown(void **state)
{
	(void)state;
	static const struct {
		int tenant;
		const char *name;
		int64_t version;
		bool found;
	} rows[] = {
		{A, "left", 0, true},	{A, "left", 1, true},  {A, "left", 3, false},
		{A, "right", 0, false}, {B, "right", 1, true}, {B, "left", 0, false},
		{B, "none", 0, false},
	};
	struct world w = plain_world(1, 10);
	char foreign[sizeof w.err.what], unknown[sizeof w.err.what];
	for (int twice = 0; twice < 2; twice++) /* the second time from the cache */
		for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
			int model = -1;
			enum ps_status s = ps_dispatch_resolve(w.d, rows[k].tenant, rows[k].name,
							       strlen(rows[k].name),
							       rows[k].version, &model, &w.err);
			assert_int_equal(s, rows[k].found ? PS_OK : PS_ENOTFOUND);
			assert_true(rows[k].found == (model >= 0));
		}
	int model;
	ps_dispatch_resolve(w.d, B, "left", 4, 0, &model, &w.err);
	strcpy(foreign, w.err.what);
	ps_dispatch_resolve(w.d, B, "lift", 4, 0, &model, &w.err);
	strcpy(unknown, w.err.what);
	memcpy(strstr(unknown, "lift"), "left", 4);
	assert_string_equal(foreign, unknown);
	end_world(&w);
}

static void default_version_is_the_highest(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	int model;
	assert_int_equal(ps_dispatch_resolve(w.d, A, "left", 4, 0, &model, &w.err), PS_OK);
	assert_int_equal(model, w.left2);
	end_world(&w);
}

static void traffic_is_split(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_repo_config c;
	ps_repo_config_init(&c);
	c.splits[0] = (struct ps_repo_split){.version = 1, .weight = 1};
	c.splits[1] = (struct ps_repo_split){.version = 2, .weight = 3};
	c.n_splits = 2;
	assert_int_equal(ps_repo_set_config(w.repo, "left", &c, &w.err), PS_OK);
	ps_repo_config_fini(&c);
	int first = 0;
	for (int k = 0; k < 4000; k++) {
		int model;
		assert_int_equal(ps_dispatch_resolve(w.d, A, "left", 4, 0, &model, &w.err), PS_OK);
		first += model == w.left1;
	}
	assert_in_range(first, 900, 1100);
	end_world(&w);
}

/* ---- who gets in --------------------------------------------------------------------------- */

static void quotas(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		struct ps_tenancy_tenant tenant;
		int64_t max_waiting;
		int admitted; /* of six that arrive at once, none of which runs */
		enum ps_status status;
		enum ps_dispatch_reason reason;
	} rows[] = {
		{"queue", {.queue_limit = 4}, 0, 4, PS_EQUOTA, PS_DISPATCH_REASON_QUEUE},
		{"rate",
		 {.rate = {.per_s = 10, .burst = 3}},
		 0,
		 3,
		 PS_EQUOTA,
		 PS_DISPATCH_REASON_RATE},
		{"concurrency",
		 {.concurrency = 2},
		 0,
		 2,
		 PS_EQUOTA,
		 PS_DISPATCH_REASON_CONCURRENCY},
		{"full", {0}, 5, 5, PS_EUNAVAIL, PS_DISPATCH_REASON_FULL},
	};
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		const struct ps_dispatch_config c = {.n_lanes = 1,
						     .max_waiting = rows[k].max_waiting};
		struct world w = make_world(&c, &rows[k].tenant, &(struct ps_tenancy_tenant){0});
		struct ps_dispatch_request r[6];
		want(&w, w.left2);
		load_all(&w);
		for (int n = 0; n < 6; n++) {
			enum ps_status s = arrive(&w, &r[n], A, 0, 5 * MS, NULL);
			assert_int_equal(s, n < rows[k].admitted ? PS_OK : rows[k].status);
			if (s == PS_OK)
				continue;
			assert_int_equal(r[n].account.reason, rows[k].reason);
			assert_int_equal(r[n].state, PS_DISPATCH_DONE);
			assert_true(w.err.what[0] != '\0');
		}
		for (int n = 0; n < rows[k].admitted; n++)
			assert_int_equal(ps_dispatch_cancel(w.d, &r[n], 6 * MS).kind,
					 PS_DISPATCH_DROP);
		assert_int_equal(ps_dispatch_waiting(w.d), 0);
		end_world(&w);
	}
}

static void tokens_come_back(void **state)
{
	(void)state;
	const struct ps_dispatch_config c = {.n_lanes = 1};
	const struct ps_tenancy_tenant t = {.rate = {.per_s = 10, .burst = 1}};
	struct world w = make_world(&c, &t, &t);
	struct ps_dispatch_request r[3];
	struct ps_dispatch_view v;
	want(&w, w.left2);
	load_all(&w);
	assert_int_equal(arrive(&w, &r[0], A, 0, 0, NULL), PS_OK);
	assert_int_equal(arrive(&w, &r[1], A, 0, 1, NULL), PS_EQUOTA);
	ps_dispatch_view_get(w.d, A, 1, &v);
	assert_in_range(v.retry_after_ns, 99 * MS, 101 * MS);
	assert_int_equal(v.waiting, 1);
	assert_int_equal(arrive(&w, &r[2], A, 0, 101 * MS, NULL), PS_OK);
	ps_dispatch_cancel(w.d, &r[0], 102 * MS);
	ps_dispatch_cancel(w.d, &r[2], 102 * MS);
	end_world(&w);
}

static void a_deadline_that_cannot_be_met_is_refused(void **state)
{
	(void)state;
	struct world w = plain_world(1, 100);
	struct ps_dispatch_request r[40];
	struct ps_dispatch_action a;
	int64_t now = 0;
	for (int n = 0; n < 20; n++, now += 10 * MS) { /* learn that it takes 10 ms */
		assert_int_equal(arrive(&w, &r[0], A, 0, now, NULL), PS_OK);
		a = ps_dispatch_lane_free(w.d, 0, now);
		ps_dispatch_finish(w.d, a.batch, PS_OK, now, now + 10 * MS);
	}
	assert_int_equal(ps_dispatch_service_ns(w.d, r[0].instance, 1, 0.9), 10 * MS);
	assert_int_equal(arrive(&w, &r[0], A, now + 9 * MS, now, NULL), PS_EDEADLINE);
	assert_int_equal(r[0].account.reason, PS_DISPATCH_REASON_DEADLINE);
	assert_int_equal(r[0].account.predicted_ns, now + 10 * MS);
	int admitted = 0; /* those that still fit into 100 ms */
	while (arrive(&w, &r[admitted], A, now + 100 * MS, now, NULL) == PS_OK)
		admitted++;
	assert_int_equal(admitted, 10);
	ps_dispatch_request_init(&r[11], A, w.left2);
	r[11].deadline_ns = now + 50 * MS;
	r[11].no_deadline_check = true;
	assert_int_equal(ps_dispatch_arrive(w.d, &r[11], now, &a, NULL), PS_OK);
	ps_dispatch_cancel(w.d, &r[11], now);
	for (int n = 0; n < 10; n++, now += 10 * MS) {
		a = ps_dispatch_lane_free(w.d, 0, now);
		assert_int_equal(a.kind, PS_DISPATCH_RUN);
		ps_dispatch_finish(w.d, a.batch, PS_OK, now, now + 10 * MS);
		assert_int_equal(a.batch->first->account.status, PS_OK);
	}
	end_world(&w);
}

/* A run of 10 ms, a deadline in 20 ms: what is kept free of it decides, but for a tenth at most. */
static void the_time_to_deliver_is_kept_free(void **state)
{
	(void)state;
	static const struct {
		int64_t delivery_ns, deadline_ns;
		enum ps_status status;
	} rows[] = {
		{0, 11 * MS, PS_OK},
		{MS, 11 * MS, PS_OK},
		{1100000, 11 * MS, PS_EDEADLINE},
		{50 * MS, 12 * MS, PS_OK},
		{50 * MS, 11 * MS, PS_EDEADLINE},
	};
	struct world w = plain_world(1, 100);
	struct ps_dispatch_request r;
	struct ps_dispatch_action a;
	int64_t now = 0;
	for (int n = 0; n < 20; n++, now += 10 * MS) {
		assert_int_equal(arrive(&w, &r, A, 0, now, NULL), PS_OK);
		a = ps_dispatch_lane_free(w.d, 0, now);
		ps_dispatch_finish(w.d, a.batch, PS_OK, now, now + 10 * MS);
	}
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		ps_dispatch_request_init(&r, A, w.left2);
		r.deadline_ns = now + rows[i].deadline_ns;
		r.delivery_ns = rows[i].delivery_ns;
		assert_int_equal(ps_dispatch_arrive(w.d, &r, now, &a, NULL), rows[i].status);
		assert_int_equal(r.account.deadline_ns, now + rows[i].deadline_ns);
		if (rows[i].status == PS_OK)
			ps_dispatch_cancel(w.d, &r, now);
	}
	end_world(&w);
}

static void the_agreement_gives_the_deadline(void **state)
{
	(void)state;
	const struct ps_dispatch_config c = {.n_lanes = 1};
	const struct ps_tenancy_tenant t = {
		.sla = {.percentile = 0.99, .limit_ns = 40 * MS, .min_success = 0.99}};
	struct world w = make_world(&c, &t, &t);
	struct ps_dispatch_request r;
	want(&w, w.left2);
	load_all(&w);
	assert_int_equal(arrive(&w, &r, A, 0, 7 * MS, NULL), PS_OK);
	assert_int_equal(r.account.deadline_ns, 47 * MS);
	assert_int_equal(ps_dispatch_next_tick_ns(w.d), 47 * MS);
	/* Once it runs, it is let finish: the client did not ask for the cut. */
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 8 * MS);
	assert_int_equal(ps_dispatch_tick(w.d, 60 * MS).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 8 * MS, 61 * MS);
	assert_int_equal(r.account.status, PS_OK);
	end_world(&w);
}

/* ---- waking, running, leaving -------------------------------------------------------------- */

static void a_wake_comes_only_for_idle_lanes(void **state)
{
	(void)state;
	struct world w = plain_world(2, 10);
	struct ps_dispatch_request r[4];
	enum ps_dispatch_action_kind kind;
	struct ps_dispatch_action a[2];
	for (int k = 0; k < 2; k++) {
		arrive(&w, &r[k], A, 0, k, &kind);
		assert_int_equal(kind, PS_DISPATCH_WAKE);
	}
	a[0] = ps_dispatch_lane_free(w.d, 0, 2);
	assert_true(a[0].wake); /* another one waits, another lane is idle */
	a[1] = ps_dispatch_lane_free(w.d, 1, 2);
	assert_false(a[1].wake);
	assert_int_equal(ps_dispatch_running(w.d), 2);
	arrive(&w, &r[2], A, 0, 3, &kind);
	assert_int_equal(kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_finish(w.d, a[0].batch, PS_OK, 2, 4).kind, PS_DISPATCH_WAKE);
	a[0] = ps_dispatch_lane_free(w.d, 0, 4);
	assert_ptr_equal(a[0].batch->first, &r[2]);
	assert_int_equal(ps_dispatch_finish(w.d, a[0].batch, PS_OK, 4, 5).kind,
			 PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_lane_free(w.d, 0, 5).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, a[1].batch, PS_OK, 2, 6);
	end_world(&w);
}

static void short_runs_run_where_they_arrive(void **state)
{
	(void)state;
	const struct ps_dispatch_config c = {.n_lanes = 2, .here_max_ns = MS};
	const struct ps_tenancy_tenant t = {0};
	struct world w = make_world(&c, &t, &t);
	struct ps_dispatch_request r[4];
	struct ps_dispatch_action a, b;
	want(&w, w.left2);
	load_all(&w);
	ps_dispatch_request_init(&r[0], A, w.left2);
	ps_dispatch_arrive(w.d, &r[0], 0, &a, NULL);
	assert_int_equal(a.kind, PS_DISPATCH_WAKE); /* nothing is known yet */
	a = ps_dispatch_lane_free(w.d, 0, 0);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 0, MS / 2);
	ps_dispatch_request_init(&r[1], A, w.left2);
	ps_dispatch_arrive(w.d, &r[1], MS, &a, NULL);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	assert_true(a.batch->here);
	/* The lane whose number it has gets nothing; the other one does. */
	ps_dispatch_request_init(&r[2], A, w.left2);
	r[2].rows = 9; /* not known to be short */
	ps_dispatch_arrive(w.d, &r[2], MS, &b, NULL);
	assert_int_equal(b.kind, PS_DISPATCH_WAKE);
	assert_int_equal(ps_dispatch_lane_free(w.d, a.batch->lane, MS).kind, PS_DISPATCH_NOTHING);
	b = ps_dispatch_lane_free(w.d, 1 - a.batch->lane, MS);
	assert_int_equal(b.kind, PS_DISPATCH_RUN);
	ps_dispatch_request_init(&r[3], A, w.left2);
	struct ps_dispatch_action none;
	ps_dispatch_arrive(w.d, &r[3], MS, &none, NULL);
	assert_int_equal(none.kind, PS_DISPATCH_NOTHING); /* no lane is idle */
	assert_int_equal(ps_dispatch_finish(w.d, a.batch, PS_OK, MS, 2 * MS).kind,
			 PS_DISPATCH_WAKE);
	ps_dispatch_finish(w.d, b.batch, PS_OK, MS, 9 * MS);
	ps_dispatch_cancel(w.d, &r[3], 9 * MS);
	end_world(&w);
}

static void a_client_that_leaves_is_forgotten(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r[2];
	arrive(&w, &r[0], A, 0, 0, NULL);
	arrive(&w, &r[1], A, 0, 0, NULL);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 1);
	assert_int_equal(ps_dispatch_cancel(w.d, &r[1], 2).kind, PS_DISPATCH_DROP);
	assert_int_equal(r[1].account.status, PS_ECANCELLED);
	assert_int_equal(r[1].account.finished_ns, 2);
	assert_int_equal(ps_dispatch_cancel(w.d, &r[1], 3).kind, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action c = ps_dispatch_cancel(w.d, &r[0], 3);
	assert_int_equal(c.kind, PS_DISPATCH_CANCEL);
	assert_ptr_equal(c.batch, a.batch);
	assert_true(a.batch->cancelled);
	assert_int_equal(ps_dispatch_cancel(w.d, &r[0], 4).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, a.batch, PS_ECANCELLED, 1, 5);
	assert_int_equal(r[0].account.status, PS_ECANCELLED);
	assert_int_equal(r[0].account.reason, PS_DISPATCH_REASON_CANCELLED);
	assert_int_equal(r[0].account.cost_ns, 4); /* and charged */
	assert_int_equal(ps_dispatch_service_ns(w.d, r[0].instance, 1, 0.5), 0);
	end_world(&w);
}

static void a_batch_stops_when_nobody_wants_it(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r[5];
	struct ps_dispatch_action a;
	int64_t now = 0;
	batches(&w, "left", 8, 0);
	for (int k = 0; k < 4; k++, now += 10 * MS) { /* so that something is known */
		arrive(&w, &r[0], A, 0, now, NULL);
		a = ps_dispatch_lane_free(w.d, 0, now);
		ps_dispatch_finish(w.d, a.batch, PS_OK, now, now + 10 * MS);
	}
	arrive(&w, &r[0], A, 0, now, NULL);
	arrive(&w, &r[3], A, 500 * MS, now, NULL);
	ps_dispatch_request_init(&r[4], A, w.left2);
	r[4].shape_key = 1;
	ps_dispatch_arrive(w.d, &r[4], now, &a, NULL);
	a = ps_dispatch_lane_free(w.d, 0, now);
	assert_int_equal(a.batch->n, 2);	 /* another shape stays out */
	assert_ptr_equal(a.batch->first, &r[3]); /* its deadline is the earliest */
	assert_int_equal(ps_dispatch_tick(w.d, 500 * MS).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(r[3].stopped, PS_EDEADLINE);
	assert_int_equal(ps_dispatch_cancel(w.d, &r[0], 502 * MS).kind, PS_DISPATCH_CANCEL);
	ps_dispatch_finish(w.d, a.batch, PS_ECANCELLED, now, 600 * MS);
	assert_int_equal(r[3].account.status, PS_EDEADLINE);
	assert_int_equal(r[3].account.reason, PS_DISPATCH_REASON_EXPIRED);
	assert_int_equal(r[0].account.status, PS_ECANCELLED);
	assert_int_equal(r[0].account.cost_ns, (600 * MS - now) / 2);
	assert_int_equal(r[0].account.batch_rows, 2);
	ps_dispatch_cancel(w.d, &r[4], 600 * MS);
	end_world(&w);
}

static void company_is_waited_for(void **state)
{
	(void)state;
	struct world w = plain_world(2, 10);
	struct ps_dispatch_request r[6];
	enum ps_dispatch_action_kind kind;
	batches(&w, "left", 4, 5 * MS);
	arrive(&w, &r[0], A, 0, 0, &kind);
	assert_int_equal(kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_lane_free(w.d, 0, 1 * MS).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_next_tick_ns(w.d), 5 * MS);
	assert_int_equal(ps_dispatch_tick(w.d, 4 * MS).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_tick(w.d, 5 * MS).kind, PS_DISPATCH_WAKE);
	assert_int_equal(ps_dispatch_tick(w.d, 5 * MS).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(ps_dispatch_next_tick_ns(w.d), INT64_MAX);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 5 * MS);
	assert_int_equal(a.batch->n, 1);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 5 * MS, 6 * MS);
	for (int k = 1; k < 5; k++) { /* four are enough: no wait */
		arrive(&w, &r[k], A, 0, 7 * MS, &kind);
		assert_int_equal(kind, k < 4 ? PS_DISPATCH_NOTHING : PS_DISPATCH_WAKE);
	}
	a = ps_dispatch_lane_free(w.d, 0, 7 * MS);
	assert_int_equal(a.kind, PS_DISPATCH_RUN);
	ps_dispatch_finish(w.d, a.batch, PS_OK, 7 * MS, 8 * MS);
	for (int64_t now = 20 * MS;
	     (a = ps_dispatch_lane_free(w.d, 0, now)).kind == PS_DISPATCH_RUN; now += MS)
		ps_dispatch_finish(w.d, a.batch, PS_OK, now, now + MS);
	assert_int_equal(ps_dispatch_waiting(w.d), 0);
	end_world(&w);
}

static void deadlines_end_requests(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r[3];
	arrive(&w, &r[0], A, 50, 0, NULL);
	arrive(&w, &r[1], A, 40, 0, NULL);
	arrive(&w, &r[2], A, 0, 0, NULL);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 1);
	assert_ptr_equal(a.batch->first, &r[1]); /* the earliest first */
	assert_int_equal(ps_dispatch_next_tick_ns(w.d), 40);
	assert_int_equal(ps_dispatch_tick(w.d, 39).kind, PS_DISPATCH_NOTHING);
	struct ps_dispatch_action c = ps_dispatch_tick(w.d, 55);
	assert_int_equal(c.kind, PS_DISPATCH_CANCEL);
	struct ps_dispatch_action x = ps_dispatch_tick(w.d, 55);
	assert_int_equal(x.kind, PS_DISPATCH_EXPIRE);
	assert_ptr_equal(x.request, &r[0]);
	assert_int_equal(r[0].account.reason, PS_DISPATCH_REASON_EXPIRED);
	assert_int_equal(ps_dispatch_tick(w.d, 55).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_finish(w.d, a.batch, PS_ECANCELLED, 1, 56);
	assert_int_equal(r[1].account.status, PS_EDEADLINE);
	assert_int_equal(arrive(&w, &r[0], A, 50, 57, NULL), PS_EDEADLINE); /* it has passed */
	ps_dispatch_cancel(w.d, &r[2], 57);
	end_world(&w);
}

static void an_expired_request_is_never_run(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r;
	arrive(&w, &r, A, 10, 0, NULL);
	assert_int_equal(ps_dispatch_lane_free(w.d, 0, 10).kind, PS_DISPATCH_NOTHING);
	assert_int_equal(r.state, PS_DISPATCH_WAITING);
	assert_int_equal(ps_dispatch_waiting(w.d), 1);
	assert_int_equal(ps_dispatch_tick(w.d, 10).kind, PS_DISPATCH_EXPIRE);
	assert_int_equal(ps_dispatch_waiting(w.d), 0);
	end_world(&w);
}

static void failures_have_their_reason(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r;
	arrive(&w, &r, B, 0, 0, NULL);
	struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 0);
	ps_dispatch_finish(w.d, a.batch, PS_EENGINE, 1, 3);
	assert_int_equal(r.account.status, PS_EENGINE);
	assert_int_equal(r.account.reason, PS_DISPATCH_REASON_FAILED);
	assert_string_equal(ps_dispatch_reason_name(r.account.reason), "failed");
	for (int k = 0; k < PS_DISPATCH_REASON_COUNT; k++)
		assert_string_not_equal(ps_dispatch_reason_name((enum ps_dispatch_reason)k),
					"unknown");
	end_world(&w);
}

/* ---- changes ------------------------------------------------------------------------------- */

static void tenants_are_swapped(void **state)
{
	(void)state;
	struct world w = plain_world(1, 2);
	struct ps_dispatch_request r[4];
	const struct ps_tenancy_tenant more = {.queue_limit = 3, .weight = 7};
	arrive(&w, &r[0], A, 0, 0, NULL);
	arrive(&w, &r[1], A, 0, 0, NULL);
	assert_int_equal(arrive(&w, &r[2], A, 0, 0, NULL), PS_EQUOTA);
	struct ps_tenancy *next = make_tenancy(&more, &more, w.tenancy);
	assert_int_equal(ps_dispatch_set_tenancy(w.d, next), PS_OK);
	ps_tenancy_unref(w.tenancy);
	w.tenancy = next;
	assert_ptr_equal(ps_dispatch_tenancy(w.d), next);
	assert_int_equal(arrive(&w, &r[2], A, 0, 1, NULL), PS_OK);
	assert_int_equal(arrive(&w, &r[3], A, 0, 1, NULL), PS_EQUOTA);
	for (int k = 0; k < 3; k++)
		ps_dispatch_cancel(w.d, &r[k], 2);
	end_world(&w);
}

static void draining_finishes_what_was_admitted(void **state)
{
	(void)state;
	struct world w = plain_world(1, 10);
	struct ps_dispatch_request r[3];
	arrive(&w, &r[0], A, 0, 0, NULL);
	arrive(&w, &r[1], A, 0, 0, NULL);
	ps_dispatch_drain(w.d);
	assert_int_equal(arrive(&w, &r[2], A, 0, 1, NULL), PS_EUNAVAIL);
	assert_int_equal(r[2].account.reason, PS_DISPATCH_REASON_DRAINING);
	for (int k = 0; k < 2; k++) {
		assert_false(ps_dispatch_drained(w.d));
		struct ps_dispatch_action a = ps_dispatch_lane_free(w.d, 0, 2 + k);
		assert_int_equal(a.kind, PS_DISPATCH_RUN);
		ps_dispatch_finish(w.d, a.batch, PS_OK, 2 + k, 3 + k);
	}
	assert_true(ps_dispatch_drained(w.d));
	end_world(&w);
}

static void bad_configurations(void **state)
{
	(void)state;
	static const struct ps_dispatch_config rows[] = {
		{.n_lanes = 0},
		{.n_lanes = PS_DISPATCH_MAX_LANES + 1},
		{.n_lanes = 2, .reserve_lanes = 2},
		{.n_lanes = 2, .best_effort_floor = 0.51},
		{.n_lanes = 2, .max_waiting = -1},
	};
	struct world w = plain_world(1, 1);
	for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
		struct ps_dispatch_config c = rows[k];
		struct ps_dispatch *d = NULL;
		c.tenancy = w.tenancy;
		c.repo = w.repo;
		assert_int_equal(ps_dispatch_new(&c, &d, &w.err), PS_EINVAL);
		assert_null(d);
	}
	end_world(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(loads_are_bounded),
		cmocka_unit_test(an_instance_in_use_is_not_unloaded),
		cmocka_unit_test(foreign_models_look_unknown),
		cmocka_unit_test(default_version_is_the_highest),
		cmocka_unit_test(traffic_is_split),
		cmocka_unit_test(quotas),
		cmocka_unit_test(tokens_come_back),
		cmocka_unit_test(a_deadline_that_cannot_be_met_is_refused),
		cmocka_unit_test(the_time_to_deliver_is_kept_free),
		cmocka_unit_test(the_agreement_gives_the_deadline),
		cmocka_unit_test(a_wake_comes_only_for_idle_lanes),
		cmocka_unit_test(short_runs_run_where_they_arrive),
		cmocka_unit_test(a_client_that_leaves_is_forgotten),
		cmocka_unit_test(a_batch_stops_when_nobody_wants_it),
		cmocka_unit_test(company_is_waited_for),
		cmocka_unit_test(deadlines_end_requests),
		cmocka_unit_test(an_expired_request_is_never_run),
		cmocka_unit_test(failures_have_their_reason),
		cmocka_unit_test(tenants_are_swapped),
		cmocka_unit_test(draining_finishes_what_was_admitted),
		cmocka_unit_test(bad_configurations),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
