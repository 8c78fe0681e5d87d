/* Which load begins next, how many at once, and when it is expected to be over. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "unit/dispatch/memory_world.h"

#define START(m, bytes)                                                                            \
	struct ps_dispatch_memory memory = budget(bytes);                                          \
	memory.converts = always;                                                                  \
	struct machine m;                                                                          \
	start_machine(&m, &memory, 0, 0, 0)

static bool always(const char *path)
{
	(void)path;
	return true;
}

static int opening(const struct machine *m, int place)
{
	return place < m->n_opening ? model_of(m, m->opening[place]) : -1;
}

/* A file of so many bytes. */
static void set_file(struct machine *m, int model, const char *name, int64_t bytes)
{
	const struct ps_repo_identity id = {.bytes = bytes};
	assert_int_equal(ps_repo_put(m->repo, name, 1, "net.onnx", &id, 0, NULL, &m->err), PS_OK);
	m->file_bytes[model] = bytes;
}

static void a_conversion_holds_up_conversions_alone(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r[4];
	m.converts[0] = m.converts[1] = true;
	assert_int_equal(await(&m, &r[0], B, 0, 0), PS_OK);
	assert_int_equal(await(&m, &r[1], B, 1, 0), PS_OK);
	assert_int_equal(m.n_opening, 1); /* one at a time */
	assert_int_equal(await(&m, &r[2], B, 2, 0), PS_OK);
	assert_int_equal(await(&m, &r[3], B, 3, 0), PS_OK);
	assert_int_equal(m.n_opening, 2); /* a file that is opened as it is; max_loading is 1 */
	assert_int_equal(opening(&m, 1), 2);
	end_load_at(&m, 1, PS_OK);
	assert_int_equal(opening(&m, 1), 3);
	end_load_at(&m, 0, PS_OK);
	assert_int_equal(m.n_opening, 2);
	assert_int_equal(opening(&m, 1), 1);
	assert_int_equal(used(&m), 40);
	stop_machine(&m);
}

static void as_many_at_once_as_may(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r[MODELS];
	m.max_loading = 3;
	for (int i = 0; i < MODELS; i++)
		assert_int_equal(await(&m, &r[i], B, i, 0), PS_OK);
	assert_int_equal(m.n_opening, 3);
	for (int i = 0; i < MODELS; i++) {
		end_load(&m, PS_OK);
		assert_int_equal(m.n_opening, i < 3 ? 3 : MODELS - 1 - i);
	}
	assert_int_equal(m.n_resumed, MODELS);
	stop_machine(&m);
}

/* B asks for many first; A's only one does not wait for all of them. */
static void tenants_take_turns(void **state)
{
	(void)state;
	START(m, 100);
	static const int order[] = {0, 4, 1, 5, 2, 3};
	struct ps_dispatch_request r[MODELS];
	for (int i = 0; i < 4; i++)
		assert_int_equal(await(&m, &r[i], B, i, 0), PS_OK);
	assert_int_equal(await(&m, &r[4], A, 4, 0), PS_OK);
	assert_int_equal(await(&m, &r[5], A, 5, 0), PS_OK);
	for (int i = 0; i < MODELS; i++) {
		assert_int_equal(m.n_opening, 1);
		assert_int_equal(opening(&m, 0), order[i]);
		end_load(&m, PS_OK);
	}
	stop_machine(&m);
}

/* A waits for what B had fetched, too: it comes at A's turn. */
static void the_first_turn_of_all_who_wait_counts(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r[5];
	for (int i = 0; i < 4; i++)
		assert_int_equal(await(&m, &r[i], B, i, 0), PS_OK);
	assert_int_equal(await(&m, &r[4], A, 3, 0), PS_OK);
	end_load(&m, PS_OK);
	assert_int_equal(opening(&m, 0), 3);
	stop_machine(&m);
}

static void what_nobody_asked_for_is_last_and_pinned_first(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r;
	ps_dispatch_recall(m.d, B, m.models[0], 5);
	ps_dispatch_recall(m.d, B, m.models[1], 1);
	ps_repo_put(m.repo, "m0", 1, NULL, &(struct ps_repo_identity){.bytes = 10}, 0, NULL,
		    &m.err);
	ps_dispatch_refill(m.d);
	kick(&m);
	assert_int_equal(opening(&m, 0), 0); /* nobody waits for anything else */
	assert_int_equal(await(&m, &r, A, 2, 0), PS_OK);
	set_pinned(&m, 3);
	assert_int_equal(ps_repo_want(m.repo, m.models[3], PS_REPO_SHARED, true), PS_OK);
	kick(&m);
	end_load(&m, PS_OK);
	assert_int_equal(opening(&m, 0), 3);
	end_load(&m, PS_OK);
	assert_int_equal(opening(&m, 0), 2);
	end_load(&m, PS_OK);
	assert_int_equal(opening(&m, 0), 1);
	stop_machine(&m);
}

static void one_that_hangs_gives_its_place_back(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request a, b;
	assert_int_equal(await(&m, &a, A, 0, 0), PS_OK);
	m.now += SEC;
	assert_int_equal(await(&m, &b, B, 1, 0), PS_OK);
	assert_int_equal(m.n_opening, 1);
	assert_true(ps_dispatch_next_tick_ns(m.d) <= m.now + 59 * SEC);
	m.now += 59 * SEC;
	kick(&m);
	assert_int_equal(m.n_refused, 1);
	assert_ptr_equal(m.refused[0], &a);
	assert_non_null(strstr(m.why.what, "takes longer than load_timeout"));
	assert_int_equal(m.n_opening, 2);
	assert_int_equal(used(&m), 20); /* its memory stays its own */
	end_load_at(&m, 1, PS_OK);
	assert_true(is_there(&m, 1));
	/* It ends in failure, which was counted: two more until the pause. */
	end_load(&m, PS_EENGINE);
	for (int i = 0; i < 2; i++) {
		assert_true(ps_dispatch_pause_ns(m.d, m.models[0], PS_REPO_SHARED, m.now) == 0);
		assert_int_equal(await(&m, &a, A, 0, 0), PS_OK);
		end_load(&m, PS_EENGINE);
	}
	assert_true(ps_dispatch_pause_ns(m.d, m.models[0], PS_REPO_SHARED, m.now) > 0);
	stop_machine(&m);
}

/* Two at once fill the budget, and a third finds nobody who may go: whoever was told of the first
 * two is on its way to them. Once it has come, the third goes on by itself. */
static void a_load_goes_on_once_who_was_told_has_come(void **state)
{
	(void)state;
	START(m, 25);
	struct ps_dispatch_request r[3];
	m.max_loading = 2;
	for (int i = 0; i < 3; i++)
		assert_int_equal(await(&m, &r[i], B, i, 0), PS_OK);
	end_load(&m, PS_OK);
	end_load(&m, PS_OK);
	assert_int_equal(m.n_resumed, 2);
	assert_int_equal(m.n_opening + m.n_closing, 0);
	assert_int_equal(ps_dispatch_tick(m.d, m.now).kind, PS_DISPATCH_NOTHING);
	ps_dispatch_resumed(m.d, B, m.models[0]);
	assert_int_equal(ps_dispatch_tick(m.d, m.now).kind, PS_DISPATCH_LOADS);
	kick(&m);
	assert_int_equal(m.n_closing, 1);
	end_unload(&m);
	end_load(&m, PS_OK);
	assert_true(is_there(&m, 1) && is_there(&m, 2));
	stop_machine(&m);
}

/* ---- forecasts ---- */

enum { MB = 1000000 };

static void a_first_load_is_foreseen(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request waits, r;
	set_file(&m, 0, "m0", 100 * MB);
	set_file(&m, 1, "m1", 100 * MB);
	set_file(&m, 2, "m2", 1 * MB);
	m.converts[0] = m.converts[1] = m.converts[2] = true;
	/* By the first guess: over a second of hashing and converting. */
	assert_int_equal(await(&m, &r, A, 0, m.now + SEC), PS_EUNAVAIL);
	int64_t guess_ns = m.wait_ns;
	assert_in_range(guess_ns, SEC, 3 * SEC);
	assert_int_equal(m.n_opening, 1); /* it is loaded all the same */
	/* Half of that later the other half is expected. */
	m.now += guess_ns / 2;
	assert_int_equal(await(&m, &r, A, 0, m.now + guess_ns / 8), PS_EUNAVAIL);
	assert_in_range(m.wait_ns, guess_ns / 4, guess_ns * 5 / 8);
	assert_int_equal(await(&m, &waits, A, 0, m.now + guess_ns), PS_OK);
	/* The machine is five times as fast as the guess. */
	m.takes_ns[0] = guess_ns / 5;
	end_load(&m, PS_OK);
	assert_int_equal(await(&m, &r, A, 1, m.now + MS), PS_EUNAVAIL);
	assert_in_range(m.wait_ns, guess_ns / 5, guess_ns * 2 / 5);
	/* Behind that conversion; by itself a hundredth of a second. */
	assert_int_equal(await(&m, &r, A, 2, m.now + MS), PS_EUNAVAIL);
	assert_in_range(m.wait_ns, guess_ns / 5, guess_ns * 3 / 5);
	assert_true(ps_dispatch_load_scale(m.d, PS_DISPATCH_RATE_CONVERT) < 0.5);
	stop_machine(&m);
}

/* One that takes longer than foreseen is expected to take on. */
static void one_that_takes_longer(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request first, r;
	set_file(&m, 0, "m0", 100 * MB);
	m.converts[0] = true;
	assert_int_equal(await(&m, &first, A, 0, 0), PS_OK);
	m.now += 40 * SEC;
	assert_int_equal(await(&m, &r, A, 0, m.now + SEC), PS_EUNAVAIL);
	assert_in_range(m.wait_ns, 9 * SEC, 11 * SEC);
	stop_machine(&m);
}

/* The second load of a model maps what the first one made; another file is another matter. */
static void a_second_load_is_another_matter(void **state)
{
	(void)state;
	START(m, 10);
	struct ps_dispatch_request r;
	set_file(&m, 0, "m0", 100 * MB);
	m.converts[0] = true;
	have(&m, A, 0);
	have(&m, A, 1);
	m.converts[0] = false;
	m.takes_ns[0] = 20 * MS;
	assert_int_equal(await(&m, &r, A, 0, m.now + MS), PS_EUNAVAIL);
	assert_in_range(m.wait_ns, MS, 200 * MS);
	end_unload(&m);
	end_load(&m, PS_OK);
	have(&m, A, 1);
	assert_int_equal(await(&m, &r, A, 0, m.now + MS), PS_EUNAVAIL);
	assert_true(m.wait_ns == 20 * MS);
	end_unload(&m);
	end_load(&m, PS_OK);
	have(&m, A, 1);
	set_file(&m, 0, "m0", 100 * MB + 1);
	assert_int_equal(await(&m, &r, A, 0, m.now + MS), PS_EUNAVAIL);
	assert_true(m.wait_ns > 100 * MS);
	stop_machine(&m);
}

/* What others have waiting counts as far as their turns come before. */
static void the_queue_is_foreseen_by_turns(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r[MODELS];
	for (int i = 0; i < MODELS; i++) { /* that each takes 100 ms is known */
		char name[16];
		snprintf(name, sizeof name, "m%d", i);
		set_file(&m, i, name, MB);
		have(&m, B, i);
	}
	struct ps_dispatch_memory less = budget(1), more = budget(100);
	assert_int_equal(ps_dispatch_set_memory(m.d, &less, &m.err), PS_OK);
	kick(&m);
	while (m.n_closing > 0)
		end_unload(&m);
	assert_int_equal(ps_dispatch_set_memory(m.d, &more, &m.err), PS_OK);
	m.now += SEC;
	for (int i = 0; i < 4; i++)
		assert_int_equal(await(&m, &r[i], B, i, 0), PS_OK);
	/* B: the one that goes on, and three before it. A: that one, and one of B's. */
	assert_int_equal(await(&m, &r[4], B, 4, m.now + MS), PS_EUNAVAIL);
	assert_true(m.wait_ns == 500 * MS);
	assert_int_equal(await(&m, &r[5], A, 5, m.now + MS), PS_EUNAVAIL);
	assert_true(m.wait_ns == 300 * MS);
	stop_machine(&m);
}

/* Who never waits has no more loads begun than it may have requests wait: A may 3. */
static void who_comes_again_has_so_many_loads_begun(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r;
	int loading = 0;
	for (int i = 0; i < MODELS; i++) {
		char name[16];
		snprintf(name, sizeof name, "m%d", i);
		set_file(&m, i, name, 100 * MB);
		assert_int_equal(await(&m, &r, A, i, m.now + MS), PS_EUNAVAIL);
		assert_true(m.wait_ns > 0);
	}
	for (int i = 0; i < MODELS; i++)
		loading += state_of(&m, i) == PS_REPO_LOADING;
	assert_int_equal(m.n_opening, 1);
	assert_int_equal(loading, 4);
	stop_machine(&m);
}

static void what_another_process_measured(void **state)
{
	(void)state;
	START(m, 100);
	struct ps_dispatch_request r;
	assert_true(ps_dispatch_load_scale(m.d, PS_DISPATCH_RATE_CONVERT) == 0);
	ps_dispatch_set_load_scale(m.d, PS_DISPATCH_RATE_CONVERT, -1);
	ps_dispatch_set_load_scale(m.d, PS_DISPATCH_RATE_CONVERT, 0.01);
	ps_dispatch_set_load_scale(m.d, PS_DISPATCH_RATE_CONVERT, 7); /* one is known */
	assert_true(ps_dispatch_load_scale(m.d, PS_DISPATCH_RATE_CONVERT) == 0.01);
	set_file(&m, 0, "m0", 100 * MB);
	assert_int_equal(await(&m, &r, A, 0, m.now + SEC), PS_OK);
	stop_machine(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_conversion_holds_up_conversions_alone),
		cmocka_unit_test(as_many_at_once_as_may),
		cmocka_unit_test(tenants_take_turns),
		cmocka_unit_test(the_first_turn_of_all_who_wait_counts),
		cmocka_unit_test(what_nobody_asked_for_is_last_and_pinned_first),
		cmocka_unit_test(one_that_hangs_gives_its_place_back),
		cmocka_unit_test(a_load_goes_on_once_who_was_told_has_come),
		cmocka_unit_test(a_first_load_is_foreseen),
		cmocka_unit_test(one_that_takes_longer),
		cmocka_unit_test(a_second_load_is_another_matter),
		cmocka_unit_test(the_queue_is_foreseen_by_turns),
		cmocka_unit_test(who_comes_again_has_so_many_loads_begun),
		cmocka_unit_test(what_another_process_measured),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
