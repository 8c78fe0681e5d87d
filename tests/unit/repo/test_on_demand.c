/* What is wanted stays on disk until it is fetched, and goes back there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "repo/repo.h"

#include <string.h>

struct world {
	struct ps_repo *r;
	int first;
	struct ps_error err;
};

static int put(struct world *w, int64_t version)
{
	int model = -1;

	assert_int_equal(ps_repo_put(w->r, "m", version, NULL, NULL, 0, &model, &w->err), PS_OK);
	return model;
}

static struct world make(bool pinned)
{
	struct world w = {0};
	struct ps_repo_config c;

	assert_int_equal(ps_repo_new(&w.r), PS_OK);
	ps_repo_on_demand(w.r, true);
	w.first = put(&w, 1);
	ps_repo_config_init(&c);
	c.pinned = pinned;
	assert_int_equal(ps_repo_set_config(w.r, "m", &c, &w.err), PS_OK);
	ps_repo_config_fini(&c);
	assert_int_equal(ps_repo_serve(w.r, "m", PS_REPO_SHARED, true), PS_OK);
	return w;
}

static void check(struct world *w)
{
	assert_int_equal(ps_repo_check(w->r, &w->err), PS_OK);
}

static int load(struct world *w, enum ps_status status)
{
	int instance = ps_repo_next_load(w->r);

	assert_true(instance >= 0);
	ps_repo_loaded(w->r, instance, status, NULL, NULL, NULL);
	check(w);
	return instance;
}

static enum ps_repo_state state(const struct world *w, int model)
{
	return ps_repo_state_of(w->r, model, PS_REPO_SHARED);
}

static void there_and_back(void **unused)
{
	struct world w = make(false);

	(void)unused;
	assert_int_equal(state(&w, w.first), PS_REPO_ON_DISK);
	assert_string_equal(ps_repo_index_state(state(&w, w.first)), "READY");
	assert_int_equal(ps_repo_next_load(w.r), -1);
	assert_true(ps_repo_ready(w.r) && ps_repo_settled(w.r));
	for (int round = 0; round < 3; round++) {
		assert_int_equal(ps_repo_fetch(w.r, w.first, PS_REPO_SHARED), PS_OK);
		assert_int_equal(ps_repo_fetch(w.r, w.first, PS_REPO_SHARED), PS_OK);
		assert_int_equal(state(&w, w.first), PS_REPO_LOADING);
		assert_false(ps_repo_ready(w.r));
		int instance = load(&w, PS_OK);
		assert_int_equal(ps_repo_next_load(w.r), -1);
		assert_int_equal(state(&w, w.first), PS_REPO_READY);
		ps_repo_hold(w.r, instance);
		ps_repo_evict(w.r, instance);
		check(&w);
		assert_int_equal(state(&w, w.first), PS_REPO_ON_DISK);
		assert_int_equal(ps_repo_next_unload(w.r), -1); /* it is held */
		ps_repo_release(w.r, instance);
		assert_int_equal(ps_repo_next_unload(w.r), instance);
		ps_repo_unloaded(w.r, instance);
	}
	ps_repo_free(w.r);
}

static void a_failure_and_another_file(void **unused)
{
	struct world w = make(false);

	(void)unused;
	ps_repo_fetch(w.r, w.first, PS_REPO_SHARED);
	load(&w, PS_EENGINE);
	assert_int_equal(state(&w, w.first), PS_REPO_FAILED);
	assert_int_equal(ps_repo_fetch(w.r, w.first, PS_REPO_SHARED), PS_OK);
	load(&w, PS_EENGINE);
	assert_int_equal(ps_repo_put(w.r, "m", 1, "other", NULL, 0, NULL, &w.err), PS_OK);
	assert_int_equal(state(&w, w.first), PS_REPO_ON_DISK);
	assert_int_equal(ps_repo_reason(w.r, w.first, PS_REPO_SHARED)->status, PS_OK);
	check(&w);
	ps_repo_free(w.r);
}

static void a_new_version_takes_over_from_one_that_is_there(void **unused)
{
	struct world w = make(false);
	int old, second, third;

	(void)unused;
	ps_repo_fetch(w.r, w.first, PS_REPO_SHARED);
	old = load(&w, PS_OK);
	second = put(&w, 2);
	assert_int_equal(state(&w, second), PS_REPO_LOADING); /* the old one serves meanwhile */
	assert_int_equal(state(&w, w.first), PS_REPO_READY);
	load(&w, PS_OK);
	assert_int_equal(state(&w, second), PS_REPO_READY);
	assert_int_equal(ps_repo_next_unload(w.r), old);
	ps_repo_unloaded(w.r, old);
	/* Of two on disk the new one is the one that is asked for. */
	ps_repo_evict(w.r, ps_repo_serving(w.r, second, PS_REPO_SHARED));
	third = put(&w, 3);
	assert_int_equal(state(&w, third), PS_REPO_ON_DISK);
	assert_false(ps_repo_wanted(w.r, second, PS_REPO_SHARED));
	assert_int_equal(ps_repo_choose(w.r, "m", 1, 0, PS_REPO_SHARED, 0), third);
	check(&w);
	ps_repo_free(w.r);
}

static void the_pinned_are_loaded_at_once(void **unused)
{
	struct world w = make(true);

	(void)unused;
	assert_int_equal(state(&w, w.first), PS_REPO_LOADING);
	load(&w, PS_OK);
	ps_repo_free(w.r);
}

static void what_nobody_wants_is_not_fetched(void **unused)
{
	struct world w = make(false);

	(void)unused;
	assert_int_equal(ps_repo_serve(w.r, "m", PS_REPO_SHARED, false), PS_OK);
	assert_int_equal(state(&w, w.first), PS_REPO_UNLOADED);
	assert_int_equal(ps_repo_fetch(w.r, w.first, PS_REPO_SHARED), PS_ENOTFOUND);
	check(&w);
	ps_repo_free(w.r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(there_and_back),
		cmocka_unit_test(a_failure_and_another_file),
		cmocka_unit_test(a_new_version_takes_over_from_one_that_is_there),
		cmocka_unit_test(the_pinned_are_loaded_at_once),
		cmocka_unit_test(what_nobody_wants_is_not_fetched),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
