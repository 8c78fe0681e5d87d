/* A budget of memory: who waits, who is loaded, who goes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/memory_world.h"

#define START(m, bytes)                                                                            \
	struct ps_dispatch_memory memory = budget(bytes);                                          \
	struct machine m;                                                                          \
	start_machine(&m, &memory, 0, 0, 0)

static void one_load_serves_all_who_wait(void **state)
{
	(void)state;
	START(m, 25);
	struct ps_dispatch_request a, b;
	assert_int_equal(state_of(&m, 0), PS_REPO_ON_DISK);
	assert_true(ps_repo_ready(m.repo)); /* what is on disk is as good as there */
	assert_int_equal(await(&m, &a, A, 0, 0), PS_OK);
	assert_int_equal(await(&m, &b, B, 0, 0), PS_OK);
	assert_int_equal(a.state, PS_DISPATCH_PARKED);
	assert_int_equal(m.n_opening, 1);
	assert_int_equal(state_of(&m, 0), PS_REPO_LOADING);
	m.now += 100 * MS;
	end_load(&m, PS_OK);
	assert_int_equal(m.n_resumed, 2);
	assert_ptr_equal(m.resumed[0], &a);
	assert_int_equal(a.state, PS_DISPATCH_NEW);
	assert_true(a.paid);
	assert_true(a.account.load_wait_ns == 100 * MS);
	assert_int_equal(used(&m), 10);
	struct ps_dispatch_residency_view v;
	ps_dispatch_residency_view_get(m.d, A, &v);
	assert_int_equal(v.cold_starts, 1);
	assert_true(v.load_wait_ns == 100 * MS);
	use(&m, A, 0);
	ps_dispatch_residency_view_get(m.d, A, &v);
	assert_int_equal(v.hits, 1);
	assert_int_equal(v.resident_bytes, 10);
	stop_machine(&m);
}

static void the_longest_unused_goes_and_counts_until_it_is_gone(void **state)
{
	(void)state;
	START(m, 25);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	have(&m, A, 1);
	use(&m, A, 0);
	assert_int_equal(await(&m, &r, B, 2, 0), PS_OK);
	assert_int_equal(state_of(&m, 1), PS_REPO_ON_DISK);
	assert_true(is_there(&m, 0));
	assert_int_equal(m.n_closing, 1);
	assert_int_equal(m.n_opening, 0); /* its room is not free yet */
	assert_int_equal(used(&m), 20);
	end_unload(&m);
	assert_int_equal(m.n_opening, 1);
	assert_int_equal(used(&m), 20); /* one of them is reserved */
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 2));
	struct ps_dispatch_evictions e;
	assert_true(ps_dispatch_evictions_get(m.d, 0, &e));
	assert_int_equal(e.by, B);
	assert_int_equal(e.of, A);
	assert_int_equal(e.n, 1);
	assert_false(ps_dispatch_evictions_get(m.d, 1, &e));
	stop_machine(&m);
}

static void a_run_is_never_interrupted(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r, next;
	struct ps_dispatch_action a;
	have(&m, A, 0);
	ps_dispatch_request_init(&r, A, m.models[0]);
	assert_int_equal(ps_dispatch_arrive(m.d, &r, m.now, &a, &m.err), PS_OK);
	a = ps_dispatch_lane_free(m.d, 0, m.now);
	assert_int_equal(await(&m, &next, B, 1, 0), PS_OK);
	assert_false(is_there(&m, 0)); /* for new requests */
	assert_int_equal(m.n_closing, 0);
	assert_int_equal(m.n_opening, 0);
	ps_dispatch_finish(m.d, a.batch, PS_OK, m.now, m.now);
	assert_int_equal(r.account.status, PS_OK);
	kick(&m);
	assert_int_equal(m.n_closing, 1);
	end_unload(&m);
	end_load(&m, PS_OK);
	assert_ptr_equal(m.resumed[(m.n_resumed - 1) % MANY], &next);
	stop_machine(&m);
}

static void who_is_told_finds_its_model(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request a, b;
	assert_int_equal(await(&m, &a, A, 0, 0), PS_OK);
	end_load(&m, PS_OK); /* told, and not there yet */
	assert_int_equal(await(&m, &b, B, 1, 0), PS_OK);
	assert_true(is_there(&m, 0));
	ps_dispatch_resumed(m.d, A, m.models[0]);
	kick(&m);
	assert_false(is_there(&m, 0));
	stop_machine(&m);
}

/* Its load ends between the look that found no instance and the call that parks: it is told at
 * once, by whichever thread parks it. */
static void who_parks_for_what_is_there_goes_on(void **state)
{
	(void)state;
	START(m, 25);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	int told = m.n_resumed;
	take_ticks(&m);
	ps_dispatch_request_init(&r, B, m.models[0]);
	r.account.received_ns = m.now;
	r.deadline_ns = m.now + MS; /* a load would take 100 of them */
	assert_int_equal(ps_dispatch_await(m.d, &r, m.now, &m.wait_ns, &m.err), PS_OK);
	assert_int_equal(r.state, PS_DISPATCH_PARKED);
	assert_true(ps_dispatch_next_tick_ns(m.d) <= m.now);
	take_ticks(&m); /* and no loader is asked */
	assert_int_equal(m.n_resumed, told + 1);
	assert_ptr_equal(m.resumed[told], &r);
	assert_int_equal(r.state, PS_DISPATCH_NEW);
	assert_int_equal(m.n_opening, 0);
	ps_dispatch_resumed(m.d, B, m.models[0]);
	use(&m, B, 0);
	stop_machine(&m);
}

/* One that is told and leaves before it is there keeps nobody out. */
static void who_leaves_holds_nothing(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request a, b, c;
	assert_int_equal(await(&m, &a, A, 0, 0), PS_OK);
	assert_int_equal(await(&m, &b, A, 0, 0), PS_OK);
	assert_int_equal(ps_dispatch_cancel(m.d, &a, m.now).kind, PS_DISPATCH_DROP);
	assert_int_equal(a.state, PS_DISPATCH_DONE);
	/* Loaded, but tick has not spoken yet. */
	const struct ps_repo_facts facts = {.private_bytes = 10, .load_ns = 1};
	ps_dispatch_load_done(m.d, m.opening[--m.n_opening], PS_OK, NULL, &facts, NULL);
	ps_dispatch_make_room(m.d, m.now);
	assert_int_equal(ps_dispatch_cancel(m.d, &b, m.now).kind, PS_DISPATCH_DROP);
	assert_int_equal(await(&m, &c, B, 1, 0), PS_OK);
	assert_false(is_there(&m, 0));
	assert_int_equal(m.n_resumed, 0);
	stop_machine(&m);
}

static void the_pinned_stay(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(20);
	struct machine m;
	start_machine(&m, &memory, 0, 0, 2);
	struct ps_dispatch_request r;
	kick(&m); /* they are loaded without anybody's asking */
	end_load(&m, PS_OK);
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 0) && is_there(&m, 1));
	assert_int_equal(await(&m, &r, A, 2, 0), PS_OK);
	assert_int_equal(m.n_closing + m.n_opening, 0);
	assert_int_equal(m.n_refused, 1); /* at once: it never fits */
	assert_int_equal(r.account.status, PS_EUNAVAIL);
	assert_int_equal(r.account.reason, PS_DISPATCH_REASON_LOADING);
	assert_string_equal(m.why.what,
			    "model 'm2' failed to load: it is expected to hold 10 B, and "
			    "model_memory is 20 B, pinned models have of it 20 B");
	stop_machine(&m);
}

/* A load for which no room can be made holds up no other, and is given up in the end. */
static void no_room_is_nobody_elses_trouble(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(25);
	struct machine m;
	start_machine(&m, &memory, 10, 0, 0);
	struct ps_dispatch_request a, b;
	have(&m, A, 0); /* 10 of 25 are guaranteed */
	m.bytes[1] = 20;
	assert_int_equal(await(&m, &a, B, 1, 0), PS_OK);
	assert_int_equal(m.n_opening + m.n_closing, 0);
	assert_int_equal(await(&m, &b, B, 2, 0), PS_OK);
	assert_int_equal(m.n_opening, 1);
	end_load(&m, PS_OK);
	assert_ptr_equal(m.resumed[m.n_resumed - 1], &b);
	ps_dispatch_resumed(m.d, B, m.models[2]);
	ps_dispatch_cancel(m.d, &a, m.now); /* nobody waits any more */
	kick(&m);
	assert_int_equal(state_of(&m, 1), PS_REPO_LOADING);
	m.now += 60 * SEC;
	take_ticks(&m);
	kick(&m);
	assert_int_equal(state_of(&m, 1), PS_REPO_FAILED);
	have(&m, A, 3);
	stop_machine(&m);
}

static void what_has_just_come_stays_for_a_while(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(10);
	memory.min_residency_ns = 5 * SEC;
	struct machine m;
	start_machine(&m, &memory, 0, 0, 0);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	int64_t came_ns = m.now - MS;
	assert_int_equal(await(&m, &r, B, 1, 0), PS_OK);
	assert_true(is_there(&m, 0));
	assert_true(ps_dispatch_next_tick_ns(m.d) == came_ns + 5 * SEC);
	m.now = came_ns + 5 * SEC;
	assert_int_equal(ps_dispatch_tick(m.d, m.now).kind, PS_DISPATCH_LOADS);
	kick(&m);
	assert_false(is_there(&m, 0));
	stop_machine(&m);
}

static void a_guarantee_holds_against_others(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	struct machine m;
	start_machine(&m, &memory, 20, 0, 0);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	have(&m, A, 1);
	have(&m, B, 2); /* the one that was used last */
	assert_int_equal(await(&m, &r, B, 3, 0), PS_OK);
	assert_true(is_there(&m, 0) && is_there(&m, 1));
	assert_false(is_there(&m, 2));
	end_unload(&m);
	end_load(&m, PS_OK);
	ps_dispatch_resumed(m.d, B, m.models[3]);
	/* Not against its own loads. */
	m.now += MS;
	use(&m, B, 3);
	assert_int_equal(await(&m, &r, A, 4, 0), PS_OK);
	assert_false(is_there(&m, 0));
	stop_machine(&m);
}

static void a_deadline_that_the_load_does_not_meet(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	have(&m, A, 1); /* so that it is known what a load takes: 100 ms */
	assert_int_equal(await(&m, &r, B, 0, m.now + 50 * MS), PS_EUNAVAIL);
	assert_int_equal(r.account.reason, PS_DISPATCH_REASON_LOADING);
	assert_true(m.wait_ns == 100 * MS);
	assert_string_equal(m.err.what, "model 'm0' is being loaded: it is expected in 100 ms, and "
					"the deadline is in 50.0 ms");
	assert_int_equal(m.n_closing, 1); /* it is loaded all the same: the client comes again */
	assert_int_equal(await(&m, &r, B, 0, m.now + 150 * MS), PS_OK);
	m.now += 150 * MS;
	assert_int_equal(ps_dispatch_tick(m.d, m.now).kind, PS_DISPATCH_EXPIRE);
	assert_int_equal(r.account.status, PS_EDEADLINE);
	stop_machine(&m);
}

static void parked_requests_count_for_the_queue(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r[4];
	for (int i = 0; i < 3; i++)
		assert_int_equal(await(&m, &r[i], A, 0, 0), PS_OK);
	assert_int_equal(await(&m, &r[3], A, 0, 0), PS_EQUOTA);
	assert_int_equal(r[3].account.reason, PS_DISPATCH_REASON_QUEUE);
	/* Those that waited get in, though as many wait again. */
	end_load(&m, PS_OK);
	for (int i = 0; i < 3; i++) {
		struct ps_dispatch_action a;
		ps_dispatch_request_init(&r[i], A, m.models[0]);
		r[i].paid = true;
		assert_int_equal(ps_dispatch_arrive(m.d, &r[i], m.now, &a, &m.err), PS_OK);
		ps_dispatch_resumed(m.d, A, m.models[0]);
	}
	for (int i = 0; i < 3; i++)
		ps_dispatch_cancel(m.d, &r[i], m.now);
	stop_machine(&m);
}

static void three_failures_and_a_pause(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
		end_load(&m, PS_EENGINE);
		assert_int_equal(m.n_refused, i + 1);
		assert_non_null(strstr(m.why.what, "broken"));
	}
	assert_string_equal(m.why.what, "model 'm0' failed to load 3 times, and is tried again in "
					"5m00s: broken");
	assert_true(m.wait_ns == 300 * SEC);
	assert_int_equal(await(&m, &r, A, 0, 0), PS_EUNAVAIL);
	assert_int_equal(m.n_opening, 0);
	assert_true(ps_dispatch_pause_ns(m.d, m.models[0], PS_REPO_SHARED, m.now) == 300 * SEC);
	m.now += 300 * SEC;
	assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
	end_load(&m, PS_EENGINE); /* once is enough now */
	assert_int_equal(await(&m, &r, A, 0, 0), PS_EUNAVAIL);
	/* Another file, another chance. */
	assert_int_equal(ps_repo_put(m.repo, "m0", 1, "other", NULL, 0, NULL, &m.err), PS_OK);
	assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
	end_load(&m, PS_OK);
	assert_int_equal(m.n_resumed, 1);
	stop_machine(&m);
}

static void a_load_that_hangs(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r;
	assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
	assert_true(ps_dispatch_next_tick_ns(m.d) == m.now + 10 * SEC); /* the epoch's end */
	m.now += 60 * SEC;
	take_ticks(&m);
	assert_int_equal(m.n_refused, 1);
	assert_int_equal(await(&m, &r, A, 0, 0), PS_EUNAVAIL);
	assert_non_null(strstr(m.err.what, "takes longer than load_timeout"));
	assert_int_equal(used(&m), 10); /* what it reserved is not anybody else's */
	end_load(&m, PS_OK);
	use(&m, A, 0);
	stop_machine(&m);
}

static void what_never_fits(void **state)
{
	(void)state;
	START(m, 25);
	struct ps_dispatch_request r;
	m.bytes[0] = 26;
	assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
	assert_string_equal(m.why.what, "model 'm0' failed to load: it is expected to hold 26 B, "
					"and model_memory is 25 B");
	m.load_takes[1] = 30;
	assert_int_equal(await(&m, &r, A, 1, 0), PS_OK);
	assert_non_null(strstr(m.why.what, "for the first time is expected to take 30 B"));
	m.bytes[2] = 40; /* it lies */
	m.says[2] = 10;
	assert_int_equal(await(&m, &r, A, 2, 0), PS_OK);
	end_load(&m, PS_OK);
	assert_int_equal(m.n_refused, 3);
	assert_non_null(strstr(m.why.what, "it holds 40 B, and model_memory is 25 B"));
	assert_int_equal(used(&m), 0);
	stop_machine(&m);
}

static void the_peak_of_a_first_load_counts(void **state)
{
	(void)state;
	START(m, 30);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	m.load_takes[1] = 26;
	assert_int_equal(await(&m, &r, A, 1, 0), PS_OK);
	assert_false(is_there(&m, 0));
	end_unload(&m);
	assert_int_equal(used(&m), 26);
	end_load(&m, PS_OK);
	assert_int_equal(used(&m), 10);
	stop_machine(&m);
}

static void more_than_was_forecast(void **state)
{
	(void)state;
	START(m, 30);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	have(&m, A, 1);
	m.says[2] = 10;
	m.bytes[2] = 15;
	assert_int_equal(await(&m, &r, A, 2, 0), PS_OK);
	end_load(&m, PS_OK); /* 35 of 30 */
	assert_true(is_there(&m, 2));
	assert_false(is_there(&m, 0));
	end_unload(&m);
	assert_int_equal(used(&m), 25);
	stop_machine(&m);
}

static void a_lower_budget(void **state)
{
	(void)state;
	START(m, 30);
	have(&m, A, 0);
	have(&m, A, 1);
	have(&m, A, 2);
	struct ps_dispatch_memory less = budget(10), none = budget(0);
	assert_int_equal(ps_dispatch_set_memory(m.d, &none, &m.err), PS_EINVAL);
	assert_int_equal(ps_dispatch_set_memory(m.d, &less, &m.err), PS_OK);
	kick(&m);
	assert_int_equal(m.n_closing, 2);
	assert_true(is_there(&m, 2));
	struct ps_dispatch_evictions e;
	assert_true(ps_dispatch_evictions_get(m.d, 0, &e));
	assert_int_equal(e.by, -1);
	stop_machine(&m);
}

static void one_content_is_one_load(void **state)
{
	(void)state;
	START(m, 30);
	struct ps_dispatch_request a, b;
	m.content[1] = m.content[0];
	have(&m, A, 0);
	assert_int_equal(await(&m, &b, B, 1, 0), PS_OK);
	assert_int_equal(m.n_opening, 0);
	assert_ptr_equal(m.resumed[(m.n_resumed - 1) % MANY], &b);
	ps_dispatch_resumed(m.d, B, m.models[1]);
	assert_int_equal(used(&m), 10);
	/* They go together. */
	m.bytes[2] = 25;
	assert_int_equal(await(&m, &a, A, 2, 0), PS_OK);
	assert_int_equal(state_of(&m, 0), PS_REPO_ON_DISK);
	assert_int_equal(state_of(&m, 1), PS_REPO_ON_DISK);
	assert_int_equal(m.n_closing, 1);
	stop_machine(&m);
}

/* A new content takes the place of the old one where there is no room for both. */
static void another_file_of_what_is_there(void **state)
{
	(void)state;
	START(m, 15);
	have(&m, A, 0);
	m.content[0] = 77;
	assert_int_equal(ps_repo_put(m.repo, "m0", 1, "other", NULL, 0, NULL, &m.err), PS_OK);
	kick(&m);
	assert_false(is_there(&m, 0));
	end_unload(&m);
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 0));
	struct ps_dispatch_memory more = budget(25);
	assert_int_equal(ps_dispatch_set_memory(m.d, &more, &m.err), PS_OK);
	m.content[0] = 78;
	assert_int_equal(ps_repo_put(m.repo, "m0", 1, "third", NULL, 0, NULL, &m.err), PS_OK);
	kick(&m);
	assert_true(is_there(&m, 0)); /* it serves until the other one is there */
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 0));
	assert_int_equal(m.n_closing, 1);
	stop_machine(&m);
}

static void an_unload_ends_the_wait(void **state)
{
	(void)state;
	START(m, 30);
	struct ps_dispatch_request r;
	assert_int_equal(await(&m, &r, A, 0, 0), PS_OK);
	assert_int_equal(ps_repo_want(m.repo, m.models[0], PS_REPO_SHARED, false), PS_OK);
	kick(&m);
	assert_int_equal(m.n_refused, 1);
	assert_string_equal(m.why.what, "model 'm0' is not loaded");
	stop_machine(&m);
}

static void what_was_asked_for_most_comes_back(void **state)
{
	(void)state;
	START(m, 20);
	for (int i = 0; i < MODELS; i++)
		ps_dispatch_recall(m.d, i % 2, m.models[i], i == 4 ? 9 : i);
	ps_dispatch_refill(m.d); /* nothing is known of sizes: all of them are fetched in order */
	kick(&m);
	assert_int_equal(model_of(&m, m.opening[0]), 4);
	end_load(&m, PS_OK);
	assert_int_equal(model_of(&m, m.opening[0]), 5);
	stop_machine(&m);
}

/* ---- plans -------------------------------------------------------------------------------- */

static void end_epoch(struct machine *m)
{
	m->now += 10 * SEC;
	take_ticks(m);
	kick(m);
}

/* Tenant a lives on m0; b walks through all the others. */
static void the_plan_is_not_touched_by_what_it_does_not_want(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	memory.policy = PS_CACHE_PF;
	struct machine m;
	start_machine(&m, &memory, 0, 0, 0);
	struct ps_dispatch_fairness f;
	struct ps_dispatch_policy_view v;
	assert_false(ps_dispatch_fairness(m.d, A, &f));
	have(&m, A, 0);
	for (int i = 0; i < 50; i++)
		use(&m, A, 0);
	for (int i = 1; i < MODELS; i++)
		have(&m, B, i);
	end_epoch(&m);
	ps_dispatch_policy_view_get(m.d, &v);
	assert_string_equal(v.name, "pf");
	assert_int_equal(v.epochs, 1);
	assert_int_equal(v.failed_epochs, 0);
	assert_true(v.configurations > 0 && v.worst_share >= 1 - 1e-6 && v.jain > 0);
	assert_true(ps_dispatch_fairness(m.d, A, &f));
	assert_true(f.given_s >= f.share_s * (1 - 1e-6) && f.alone_s >= f.given_s);
	while (m.n_opening + m.n_closing > 0) /* what the plan wants comes by itself */
		m.n_closing > 0 ? end_unload(&m) : end_load(&m, PS_OK);
	assert_true(is_there(&m, 0));
	for (int round = 0; round < 3; round++)
		for (int i = 1; i < MODELS; i++)
			if (!is_there(&m, i))
				have(&m, B, i);
	assert_true(is_there(&m, 0));
	int models[MODELS], n;
	double shares = 0, share;
	for (int i = 0; (share = ps_dispatch_configuration(m.d, i, models, MODELS, &n)) >= 0; i++) {
		shares += share;
		assert_in_range(n, 1, 2);
	}
	assert_true(shares > 1 - 1e-9 && shares < 1 + 1e-9);
	stop_machine(&m);
}

static void usage_again(struct machine *m, bool loaded)
{
	struct ps_dispatch_request r[2];
	for (int k = 0; k < 2; k++)
		if (loaded)
			use(m, k, k);
		else /* it waits for a load */
			assert_int_equal(await(m, &r[k], k, k, 0), PS_OK);
	for (int k = 0; k < 2 && !loaded; k++)
		ps_dispatch_cancel(m->d, &r[k], m->now);
}

static int planned_contents(const struct machine *m)
{
	int models[MODELS], n = 0, most = 0;
	for (int i = 0; ps_dispatch_configuration(m->d, i, models, MODELS, &n) >= 0; i++)
		most = n > most ? n : most;
	return most;
}

/* Two names of one content are one item until one of them is given another file, be it loaded or
 * not; back again, they are one again. */
static void items_follow_contents(void **state)
{
	(void)state;
	for (int which = 0; which < 4; which++) {
		int changes = which % 2;
		bool loaded = which < 2;
		struct ps_dispatch_memory memory = budget(40);
		memory.policy = PS_CACHE_PF;
		struct machine m;
		start_machine(&m, &memory, 0, 0, 0);
		struct ps_dispatch_request r;
		struct ps_dispatch_fairness a, b;
		struct ps_repo_identity other = {.ino = 7, .bytes = 10};
		char name[16];
		m.content[1] = m.content[0];
		have(&m, A, 0);
		assert_int_equal(await(&m, &r, B, 1, 0), PS_OK);
		ps_dispatch_resumed(m.d, B, m.models[1]);
		for (int i = 0; i < 10; i++) {
			use(&m, A, 0);
			use(&m, B, 1);
		}
		end_epoch(&m);
		assert_int_equal(planned_contents(&m), 1);
		if (!loaded) { /* both go, and come back */
			m.bytes[2] = 40;
			have(&m, A, 2);
			assert_false(is_there(&m, 0) || is_there(&m, 1));
		}
		snprintf(name, sizeof name, "m%d", changes);
		m.content[changes] = 77;
		assert_int_equal(ps_repo_put(m.repo, name, 1, "other", &other, 0, NULL, &m.err),
				 PS_OK);
		kick(&m);
		if (loaded)
			end_load(&m, PS_OK);
		while (m.n_closing > 0)
			end_unload(&m);
		if (loaded)
			assert_true(is_there(&m, 0) && is_there(&m, 1));
		usage_again(&m, loaded);
		end_epoch(&m);
		assert_int_equal(planned_contents(&m), 2);
		assert_true(ps_dispatch_fairness(m.d, A, &a) && ps_dispatch_fairness(m.d, B, &b));
		/* Each asks for one of them, and has nothing of the other. */
		assert_true(a.given_s == a.alone_s && b.given_s == b.alone_s && b.alone_s > 0);
		while (m.n_opening + m.n_closing > 0)
			m.n_closing > 0 ? end_unload(&m) : end_load(&m, PS_OK);
		m.content[1 - changes] = 77;
		snprintf(name, sizeof name, "m%d", 1 - changes);
		assert_int_equal(ps_repo_put(m.repo, name, 1, "too", &other, 0, NULL, &m.err),
				 PS_OK);
		kick(&m);
		while (m.n_opening + m.n_closing > 0)
			m.n_closing > 0 ? end_unload(&m) : end_load(&m, PS_OK);
		assert_true(is_there(&m, 0) && is_there(&m, 1) && used(&m) == 10);
		usage_again(&m, true);
		end_epoch(&m);
		assert_int_equal(planned_contents(&m), 1);
		stop_machine(&m);
	}
}

/* What can never fit takes nothing from anybody's plan, and is asked for in vain at once. */
static void what_never_fits_is_in_no_plan(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	memory.policy = PS_CACHE_PF;
	struct machine m;
	start_machine(&m, &memory, 0, 0, 0);
	struct ps_dispatch_request r;
	struct ps_repo_identity large = {.bytes = 29, .ino = 1};
	m.bytes[3] = 31;
	assert_int_equal(ps_repo_put(m.repo, "m3", 1, "large", &large, 0, NULL, &m.err), PS_OK);
	have(&m, A, 0);
	have(&m, A, 1);
	assert_int_equal(await(&m, &r, B, 3, 0), PS_OK);
	assert_int_equal(m.n_refused, 1);
	for (int i = 0; i < 3; i++) { /* nothing is tried */
		assert_int_equal(await(&m, &r, B, 3, 0), PS_EUNAVAIL);
		assert_string_equal(m.err.what,
				    "model 'm3' failed to load: it is expected to hold 31 B, and "
				    "model_memory is 30 B");
		assert_int_equal(m.n_opening, 0);
	}
	end_epoch(&m);
	struct ps_dispatch_fairness f;
	assert_true(ps_dispatch_fairness(m.d, A, &f));
	/* Both of its models, of 10 bytes each: 20 are kept beside the room of the largest. */
	assert_true(f.given_s > 1.9 * f.alone_s / 2 && is_there(&m, 0) && is_there(&m, 1));
	int models[MODELS], n;
	assert_true(ps_dispatch_configuration(m.d, 0, models, MODELS, &n) > 0);
	assert_int_equal(n, 2);
	/* Nor does one that fits, but only just, take the memory of others' plans. */
	m.bytes[4] = 29;
	have(&m, B, 4);
	have(&m, A, 0);
	for (int i = 0; i < 50; i++)
		use(&m, A, 0);
	end_epoch(&m);
	while (m.n_opening + m.n_closing > 0)
		m.n_closing > 0 ? end_unload(&m) : end_load(&m, PS_OK);
	assert_true(is_there(&m, 0));
	assert_true(ps_dispatch_configuration(m.d, 0, models, MODELS, &n) > 0);
	assert_true(n >= 1);
	/* With another budget it is another question. */
	struct ps_dispatch_memory more = budget(31);
	more.policy = PS_CACHE_PF;
	assert_int_equal(ps_dispatch_set_memory(m.d, &more, &m.err), PS_OK);
	m.now += 300 * SEC;
	assert_int_equal(await(&m, &r, B, 3, 0), PS_OK);
	ps_dispatch_cancel(m.d, &r, m.now);
	stop_machine(&m);
}

/* A plan that takes longer than an epoch: there is no other one before its answer, which is taken
 * up once, and by its number. */
static void one_plan_at_a_time(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	memory.policy = PS_CACHE_PF;
	struct machine m;
	start_machine(&m, &memory, 0, 0, 0);
	struct ps_dispatch_action a, plan = {.kind = PS_DISPATCH_NOTHING};
	struct ps_dispatch_policy_view v;
	have(&m, A, 0);
	for (int epoch = 0; epoch < 5; epoch++) {
		m.now += 10 * SEC;
		while ((a = ps_dispatch_tick(m.d, m.now)).kind != PS_DISPATCH_NOTHING) {
			if (a.kind != PS_DISPATCH_PLAN)
				continue;
			assert_int_equal(plan.kind, PS_DISPATCH_NOTHING);
			plan = a;
		}
		struct ps_dispatch_request r;
		ps_dispatch_request_init(&r, A, m.models[0]);
		assert_int_equal(ps_dispatch_arrive(m.d, &r, m.now, &a, &m.err), PS_OK);
		a = ps_dispatch_lane_free(m.d, 0, m.now);
		ps_dispatch_finish(m.d, a.batch, PS_OK, m.now, m.now);
	}
	assert_int_equal(plan.kind, PS_DISPATCH_PLAN);
	enum ps_status s = ps_cache_job_run(plan.plan, &m.err);
	ps_dispatch_planned(m.d, plan.plan_number - 1, s, &m.err, m.now);
	ps_dispatch_policy_view_get(m.d, &v);
	assert_int_equal(v.epochs, 0);
	ps_dispatch_planned(m.d, plan.plan_number, s, &m.err, m.now);
	ps_dispatch_policy_view_get(m.d, &v);
	assert_int_equal(v.epochs, 1);
	ps_dispatch_planned(m.d, plan.plan_number, s, &m.err, m.now); /* its job is gone */
	ps_dispatch_policy_view_get(m.d, &v);
	assert_int_equal(v.epochs, 1);
	uint64_t first = plan.plan_number;
	while ((a = ps_dispatch_tick(m.d, m.now)).kind != PS_DISPATCH_NOTHING)
		plan = a.kind == PS_DISPATCH_PLAN ? a : plan;
	assert_true(plan.plan_number > first);
	stop_machine(&m);
}

/* What the plan keeps goes for a request that could not be served else. */
static void the_plan_gives_way_before_a_refusal(void **state)
{
	(void)state;
	struct ps_dispatch_memory memory = budget(30);
	memory.policy = PS_CACHE_PF;
	struct machine m;
	start_machine(&m, &memory, 0, 0, 0);
	struct ps_dispatch_request r;
	have(&m, A, 0);
	have(&m, A, 1);
	end_epoch(&m);
	m.load_takes[2] = 25; /* the first time */
	assert_int_equal(await(&m, &r, B, 2, 0), PS_OK);
	while (m.n_closing > 0)
		end_unload(&m);
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 2));
	stop_machine(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_load_serves_all_who_wait),
		cmocka_unit_test(the_longest_unused_goes_and_counts_until_it_is_gone),
		cmocka_unit_test(a_run_is_never_interrupted),
		cmocka_unit_test(who_is_told_finds_its_model),
		cmocka_unit_test(who_parks_for_what_is_there_goes_on),
		cmocka_unit_test(who_leaves_holds_nothing),
		cmocka_unit_test(the_pinned_stay),
		cmocka_unit_test(no_room_is_nobody_elses_trouble),
		cmocka_unit_test(what_has_just_come_stays_for_a_while),
		cmocka_unit_test(a_guarantee_holds_against_others),
		cmocka_unit_test(a_deadline_that_the_load_does_not_meet),
		cmocka_unit_test(parked_requests_count_for_the_queue),
		cmocka_unit_test(three_failures_and_a_pause),
		cmocka_unit_test(a_load_that_hangs),
		cmocka_unit_test(what_never_fits),
		cmocka_unit_test(the_peak_of_a_first_load_counts),
		cmocka_unit_test(more_than_was_forecast),
		cmocka_unit_test(a_lower_budget),
		cmocka_unit_test(one_content_is_one_load),
		cmocka_unit_test(another_file_of_what_is_there),
		cmocka_unit_test(an_unload_ends_the_wait),
		cmocka_unit_test(what_was_asked_for_most_comes_back),
		cmocka_unit_test(the_plan_is_not_touched_by_what_it_does_not_want),
		cmocka_unit_test(items_follow_contents),
		cmocka_unit_test(what_never_fits_is_in_no_plan),
		cmocka_unit_test(one_plan_at_a_time),
		cmocka_unit_test(the_plan_gives_way_before_a_refusal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
