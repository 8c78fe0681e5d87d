/* Models: names, versions, and what clients see of them while they load, change and go. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "repo/repo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct ps_repo *new_repo(void)
{
	struct ps_repo *r;

	assert_int_equal(ps_repo_new(&r), PS_OK);
	return r;
}

static void check(const struct ps_repo *r)
{
	struct ps_error err;

	ps_error_clear(&err);
	if (ps_repo_check(r, &err) != PS_OK)
		fail_msg("%s", err.what);
}

static int add(struct ps_repo *r, const char *name, int64_t version)
{
	char path[64];
	int model;

	snprintf(path, sizeof(path), "/m/%s/%d/model.onnx", name, (int)version);
	assert_int_equal(ps_repo_put(r, name, version, path, NULL, 0, &model, NULL), PS_OK);
	return model;
}

/* Another file at the same path. */
static void change(struct ps_repo *r, int model)
{
	static int64_t at;
	const struct ps_repo_model *m = ps_repo_get(r, model);
	const struct ps_repo_identity id = {.ino = 7, .mtime_ns = ++at};
	char path[64];

	snprintf(path, sizeof(path), "%s", m->path);
	assert_int_equal(ps_repo_put(r, m->name, m->version, path, &id, 0, NULL, NULL), PS_OK);
}

static const unsigned char *content(int n)
{
	static unsigned char hash[PS_REPO_HASH_SIZE];

	memset(hash, 0, sizeof(hash));
	memcpy(hash, &n, sizeof(n));
	return hash;
}

/* Loads the next waiting instance, as content `n`; n < 0: loading fails. */
static int load(struct ps_repo *r, int n)
{
	const struct ps_repo_facts facts = {.private_bytes = 10, .mapped_bytes = 100};
	int i = ps_repo_next_load(r);
	struct ps_error why;

	assert_true(i >= 0);
	if (n >= 0 && !ps_repo_hashed(r, i, content(n)))
		return -1;
	ps_error_set(&why, PS_EPARSE, "bad file");
	ps_repo_loaded(r, i, n >= 0 ? PS_OK : PS_EPARSE, &why, &facts, NULL);
	check(r);
	return i;
}

static int unload(struct ps_repo *r)
{
	int i = ps_repo_next_unload(r);

	if (i >= 0)
		ps_repo_unloaded(r, i);
	check(r);
	return i;
}

static enum ps_repo_state state_of(const struct ps_repo *r, int model)
{
	return ps_repo_state_of(r, model, PS_REPO_SHARED);
}

static void want(struct ps_repo *r, int model, bool wanted)
{
	assert_int_equal(ps_repo_want(r, model, PS_REPO_SHARED, wanted), PS_OK);
	check(r);
}

/* ---- names and versions ---- */

static struct ps_repo *filled(void)
{
	static const struct {
		const char *name;
		int64_t version;
	} models[] = {{"b", 2}, {"a", 10}, {"b", 1}, {"bb", 5}, {"a", 9}, {"B", 3}};
	struct ps_repo *r = new_repo();

	for (size_t i = 0; i < sizeof(models) / sizeof(*models); i++)
		assert_int_equal(ps_repo_add(r, models[i].name, models[i].version, "x.onnx", NULL),
				 PS_OK);
	return r;
}

struct find_row {
	const char *name;
	int64_t version, found; /* 0: none */
};

static const struct find_row find_rows[] = {
	{"a", 0, 10},  {"a", 9, 9},  {"a", 10, 10}, {"a", 1, 0},	 {"b", 0, 2}, {"b", 1, 1},
	{"bb", 0, 5},  {"bb", 1, 0}, {"B", 0, 3},   {"c", 0, 0},	 {"", 0, 0},  {"bbb", 0, 0},
	{"a", -1, 10}, {"aa", 0, 0}, {"A", 0, 0},   {"a", INT64_MAX, 0},
};

static void models_are_found_by_name_and_version(void **state)
{
	struct ps_repo *r = filled();

	(void)state;
	for (size_t i = 0; i < sizeof(find_rows) / sizeof(*find_rows); i++) {
		const struct find_row *f = &find_rows[i];
		int m = ps_repo_find(r, f->name, strlen(f->name), f->version);

		if ((m >= 0 ? ps_repo_get(r, m)->version : 0) != f->found)
			fail_msg("%s %lld", f->name, (long long)f->version);
		if (m >= 0)
			assert_string_equal(ps_repo_get(r, m)->name, f->name);
	}
	assert_int_equal(ps_repo_find(r, "abc", 1, 0), ps_repo_find(r, "a", 1, 0));
	assert_int_equal(ps_repo_find(r, "a\0b", 3, 0), -1);
	ps_repo_free(r);
}

static void numbers_are_for_ever(void **state)
{
	struct ps_repo *r = new_repo();
	int a, b, found[4];

	(void)state;
	a = add(r, "x", 2);
	b = add(r, "x", 1);
	add(r, "a", 1);
	ps_repo_remove(r, a);
	assert_int_equal(ps_repo_find(r, "x", 1, 2), -1);
	assert_int_equal(ps_repo_find(r, "x", 1, 0), b);
	assert_int_equal(ps_repo_versions(r, "x", found, 4), 1);
	assert_int_equal(ps_repo_count(r), 3);
	assert_int_equal(ps_repo_want(r, a, 0, true), PS_ENOTFOUND);
	assert_int_equal(add(r, "x", 2), a);
	assert_int_equal(ps_repo_versions(r, "x", found, 4), 2);
	assert_int_equal(found[0], b);
	assert_int_equal(found[1], a);
	ps_repo_free(r);
}

static void bad_names_and_versions_are_refused(void **state)
{
	static const char *const names[] = {"", ".", "..", "../a", "a/b", "a b", "\xc3\xa4", ".a"};
	struct ps_repo *r = new_repo();
	char name[PS_REPO_MAX_NAME + 2];

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(*names); i++)
		if (ps_repo_add(r, names[i], 1, "x", NULL) != PS_EINVAL)
			fail_msg("accepted: %s", names[i]);
	memset(name, 'a', sizeof(name));
	name[PS_REPO_MAX_NAME + 1] = '\0';
	assert_int_equal(ps_repo_add(r, name, 1, "x", NULL), PS_EINVAL);
	name[PS_REPO_MAX_NAME] = '\0';
	assert_int_equal(ps_repo_add(r, name, 1, "x", NULL), PS_OK);
	assert_int_equal(ps_repo_add(r, name, 1, "x", NULL), PS_EEXIST);
	assert_int_equal(ps_repo_add(r, "v", 0, "x", NULL), PS_EINVAL);
	assert_int_equal(ps_repo_add(r, "v", PS_REPO_MAX_VERSION + 1LL, "x", NULL), PS_EINVAL);
	ps_repo_free(r);
}

/* ---- a life ---- */

static void a_model_is_loaded_served_and_unloaded(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), i;

	(void)state;
	assert_int_equal(state_of(r, m), PS_REPO_UNLOADED);
	assert_true(ps_repo_ready(r));
	want(r, m, true);
	assert_int_equal(state_of(r, m), PS_REPO_LOADING);
	assert_false(ps_repo_ready(r));
	i = load(r, 1);
	assert_int_equal(ps_repo_serving(r, m, 0), i);
	assert_int_equal(state_of(r, m), PS_REPO_READY);
	assert_true(ps_repo_ready(r));
	assert_non_null(ps_repo_serving_config(r, m, 0));
	want(r, m, true); /* again: nothing to do */
	assert_int_equal(ps_repo_next_load(r), -1);

	ps_repo_hold(r, i);
	want(r, m, false);
	assert_int_equal(ps_repo_serving(r, m, 0), -1);
	assert_int_equal(state_of(r, m), PS_REPO_UNLOADING);
	assert_int_equal(ps_repo_next_unload(r), -1);
	ps_repo_release(r, i);
	assert_int_equal(unload(r), i);
	assert_int_equal(state_of(r, m), PS_REPO_UNLOADED);
	assert_true(ps_repo_settled(r));
	ps_repo_free(r);
}

static void a_failure_keeps_its_reason_until_it_is_tried_again(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1);

	(void)state;
	want(r, m, true);
	load(r, -1);
	assert_int_equal(state_of(r, m), PS_REPO_FAILED);
	assert_string_equal(ps_repo_reason(r, m, 0)->what, "bad file");
	assert_int_equal(ps_repo_next_load(r), -1);
	want(r, m, true);
	assert_int_equal(state_of(r, m), PS_REPO_LOADING);
	load(r, 1);
	assert_int_equal(state_of(r, m), PS_REPO_READY);
	assert_int_equal(ps_repo_reason(r, m, 0)->status, PS_OK);
	ps_repo_free(r);
}

static void a_reload_swaps_without_a_gap(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), old, new;

	(void)state;
	want(r, m, true);
	old = load(r, 1);
	ps_repo_hold(r, old); /* a request is inside */
	change(r, m);
	assert_int_equal(ps_repo_serving(r, m, 0), old);
	assert_int_equal(state_of(r, m), PS_REPO_READY);
	new = load(r, 2);
	assert_int_equal(ps_repo_serving(r, m, 0), new);
	assert_int_equal(unload(r), -1); /* still held */
	ps_repo_release(r, old);
	assert_int_equal(unload(r), old);
	ps_repo_free(r);
}

static void a_broken_reload_leaves_the_old_one_serving(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), old;

	(void)state;
	want(r, m, true);
	old = load(r, 1);
	change(r, m);
	load(r, -1);
	assert_int_equal(ps_repo_serving(r, m, 0), old);
	assert_int_equal(state_of(r, m), PS_REPO_READY);
	assert_string_equal(ps_repo_reason(r, m, 0)->what, "bad file");
	want(r, m, true); /* asked again: tried again */
	load(r, -1);
	assert_int_equal(ps_repo_serving(r, m, 0), old);
	change(r, m);
	load(r, 2);
	assert_int_not_equal(ps_repo_serving(r, m, 0), old);
	assert_int_equal(ps_repo_reason(r, m, 0)->status, PS_OK);
	ps_repo_free(r);
}

static void a_reload_of_the_same_content_loads_nothing(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), old;

	(void)state;
	want(r, m, true);
	old = load(r, 1);
	assert_int_equal(ps_repo_reload(r, m), PS_OK);
	assert_int_equal(load(r, 1), -1);
	assert_int_equal(ps_repo_serving(r, m, 0), old);
	assert_true(ps_repo_settled(r));
	ps_repo_free(r);
}

static void set_shared(struct ps_repo *r, const char *name, bool shared)
{
	struct ps_repo_config c;

	ps_repo_config_init(&c);
	c.unshared = !shared;
	assert_int_equal(ps_repo_set_config(r, name, &c, NULL), PS_OK);
	ps_repo_config_fini(&c);
	check(r);
}

/* The same content under the names x (two versions) and y; which of them share one instance. */
static void a_name_shares_as_it_says(void **state)
{
	static const struct {
		bool x, y, meet;
	} rows[] = {{true, true, true},
		    {false, true, false},
		    {true, false, false},
		    {false, false, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ps_repo *r = new_repo();
		int x1 = add(r, "x", 1), x2 = add(r, "x", 2), y = add(r, "y", 1);

		set_shared(r, "x", rows[i].x);
		set_shared(r, "y", rows[i].y);
		want(r, x1, true);
		load(r, 1);
		want(r, y, true);
		load(r, 1);
		want(r, x2, true);
		assert_int_equal(load(r, 1), -1); /* of the same name */
		assert_int_equal(ps_repo_serving(r, x2, 0), ps_repo_serving(r, x1, 0));
		assert_true((ps_repo_serving(r, x1, 0) == ps_repo_serving(r, y, 0)) ==
			    rows[i].meet);
		ps_repo_free(r);
	}
}

static void a_name_that_ceases_to_share_moves_out(void **state)
{
	struct ps_repo *r = new_repo();
	int x = add(r, "x", 1), y = add(r, "y", 1), both, own;

	(void)state;
	want(r, x, true);
	want(r, y, true);
	both = load(r, 1);
	assert_int_equal(load(r, 1), -1);
	set_shared(r, "x", false);
	assert_int_equal(ps_repo_serving(r, x, 0), both); /* until its own is there */
	own = load(r, 1);
	assert_int_equal(ps_repo_serving(r, x, 0), own);
	assert_int_equal(ps_repo_serving(r, y, 0), both);
	set_shared(r, "x", true); /* and back */
	assert_int_equal(load(r, 1), -1);
	assert_int_equal(ps_repo_serving(r, x, 0), both);
	assert_int_equal(unload(r), own);
	ps_repo_free(r);
}

static void names_that_begin_to_share_meet(void **state)
{
	struct ps_repo *r = new_repo();
	int x = add(r, "x", 1), y = add(r, "y", 1), own;

	(void)state;
	set_shared(r, "x", false);
	want(r, x, true);
	own = load(r, 1);
	set_shared(r, "x", true);
	assert_int_equal(load(r, 1), -1); /* nobody else is there: it stays where it is */
	assert_int_equal(ps_repo_serving(r, x, 0), own);
	set_shared(r, "x", false);
	assert_int_equal(load(r, 1), -1);
	want(r, y, true);
	int other = load(r, 1);
	assert_int_not_equal(other, own);
	set_shared(r, "x", true);
	assert_int_equal(load(r, 1), -1);
	assert_int_equal(ps_repo_serving(r, x, 0), other);
	assert_int_equal(unload(r), own);
	ps_repo_free(r);
}

static void the_latest_of_two_changes_wins(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), first, second;

	(void)state;
	want(r, m, true);
	load(r, 1);
	change(r, m);
	first = ps_repo_next_load(r);
	change(r, m); /* while the first change loads */
	second = ps_repo_next_load(r);
	assert_true(first >= 0 && second >= 0 && first != second);
	assert_true(ps_repo_hashed(r, second, content(3)));
	ps_repo_loaded(r, second, PS_OK, NULL, NULL, NULL);
	/* Nobody wants the first any more. */
	assert_false(ps_repo_hashed(r, first, content(2)));
	check(r);
	assert_int_equal(ps_repo_serving(r, m, 0), second);
	ps_repo_free(r);
}

static void unwanted_while_loading_goes_when_it_has_loaded(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), i;

	(void)state;
	want(r, m, true);
	i = ps_repo_next_load(r);
	assert_true(ps_repo_hashed(r, i, content(1)));
	want(r, m, false);
	assert_int_equal(ps_repo_next_unload(r), -1);
	ps_repo_loaded(r, i, PS_OK, NULL, NULL, NULL);
	assert_int_equal(ps_repo_serving(r, m, 0), -1);
	assert_int_equal(unload(r), i);
	assert_true(ps_repo_settled(r));
	ps_repo_free(r);
}

/* ---- sharing ---- */

static void identical_files_are_one_instance(void **state)
{
	struct ps_repo *r = new_repo();
	int a = add(r, "a", 1), b = add(r, "b", 1), c = add(r, "c", 1), i;

	(void)state;
	want(r, a, true);
	want(r, b, true);
	want(r, c, true);
	i = load(r, 1);
	assert_int_equal(load(r, 1), -1); /* merged into the first */
	load(r, 2);
	assert_int_equal(ps_repo_serving(r, b, 0), i);
	assert_int_not_equal(ps_repo_serving(r, c, 0), i);
	assert_int_equal(ps_repo_instance_get(r, i)->n_users, 2);
	assert_int_equal(ps_repo_resident_bytes(r), 220);
	want(r, a, false);
	assert_int_equal(ps_repo_next_unload(r), -1);
	want(r, b, false);
	assert_int_equal(unload(r), i);
	ps_repo_free(r);
}

static void two_that_load_at_once_meet(void **state)
{
	struct ps_repo *r = new_repo();
	int a = add(r, "a", 1), b = add(r, "b", 1), i, k;

	(void)state;
	want(r, a, true);
	want(r, b, true);
	i = ps_repo_next_load(r);
	k = ps_repo_next_load(r);
	assert_true(ps_repo_hashed(r, i, content(1)));
	assert_false(ps_repo_hashed(r, k, content(1)));
	assert_int_equal(state_of(r, b), PS_REPO_LOADING);
	ps_repo_loaded(r, i, PS_OK, NULL, NULL, NULL);
	check(r);
	assert_int_equal(ps_repo_serving(r, a, 0), i);
	assert_int_equal(ps_repo_serving(r, b, 0), i);
	ps_repo_free(r);
}

static void an_idle_instance_is_taken_up_again(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), i;

	(void)state;
	want(r, m, true);
	i = load(r, 1);
	want(r, m, false);
	want(r, m, true);
	assert_int_equal(load(r, 1), -1); /* the same content is still there */
	assert_int_equal(ps_repo_serving(r, m, 0), i);
	assert_int_equal(ps_repo_next_unload(r), -1);
	ps_repo_free(r);
}

static void count_idle(void *ctx)
{
	++*(int *)ctx;
}

/* What is unwanted while requests are at it goes with the last of them: somebody has to be told. */
static void the_last_release_is_told_of(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), told = 0, i;

	(void)state;
	ps_repo_watch_idle(r, count_idle, &told);
	want(r, m, true);
	i = load(r, 1);
	ps_repo_hold(r, i);
	ps_repo_hold(r, i);
	want(r, m, false);
	assert_int_equal(ps_repo_next_unload(r), -1);
	ps_repo_release(r, i);
	assert_int_equal(told, 0);
	ps_repo_release(r, i);
	assert_int_equal(told, 1);
	assert_int_equal(ps_repo_next_unload(r), i);
	ps_repo_unloaded(r, i);
	ps_repo_free(r);
}

static void a_domain_shares_with_no_other(void **state)
{
	struct ps_repo *r = new_repo();
	int m = add(r, "x", 1), shared, own;

	(void)state;
	want(r, m, true);
	assert_int_equal(ps_repo_want(r, m, 7, true), PS_OK);
	shared = load(r, 1);
	assert_int_equal(ps_repo_serving(r, m, 7), -1);
	assert_int_equal(ps_repo_state_of(r, m, 7), PS_REPO_LOADING);
	own = load(r, 1);
	assert_true(own >= 0 && own != shared);
	assert_int_equal(ps_repo_serving(r, m, 7), own);
	/* Anonymous memory twice, the mapped file once. */
	assert_int_equal(ps_repo_resident_bytes(r), 120);
	ps_repo_drop_domain(r, 7);
	assert_int_equal(ps_repo_state_of(r, m, 7), PS_REPO_UNLOADING);
	assert_int_equal(unload(r), own);
	assert_int_equal(ps_repo_serving(r, m, 0), shared);
	ps_repo_free(r);
}

/* ---- versions ---- */

static void set_policy(struct ps_repo *r, const char *name, enum ps_repo_policy_kind kind,
		       int64_t n)
{
	struct ps_repo_config c;

	ps_repo_config_init(&c);
	c.policy.kind = kind;
	c.policy.latest = (int)n;
	c.policy.versions[0] = n;
	c.policy.n = kind == PS_REPO_SPECIFIC;
	assert_int_equal(ps_repo_set_config(r, name, &c, NULL), PS_OK);
	check(r);
}

static void serve(struct ps_repo *r, const char *name)
{
	assert_int_equal(ps_repo_serve(r, name, 0, true), PS_OK);
	check(r);
}

/* "RRU": READY, READY, UNLOADED by rising version. */
static void expect_states(const struct ps_repo *r, const char *name, const char *expected)
{
	int models[8], n = ps_repo_versions(r, name, models, 8);
	char got[9] = "";

	for (int i = 0; i < n; i++)
		got[i] = "ULRFX"[ps_repo_state_of(r, models[i], 0)];
	assert_string_equal(got, expected);
}

static void the_policy_chooses_versions(void **state)
{
	struct ps_repo *r = new_repo();

	(void)state;
	for (int v = 1; v <= 3; v++)
		add(r, "x", v);
	serve(r, "x");
	expect_states(r, "x", "UUL"); /* latest(1) by default */
	set_policy(r, "x", PS_REPO_LATEST, 2);
	expect_states(r, "x", "ULL");
	set_policy(r, "x", PS_REPO_ALL, 0);
	expect_states(r, "x", "LLL");
	for (int v = 1; v <= 3; v++)
		load(r, v);
	expect_states(r, "x", "RRR");
	set_policy(r, "x", PS_REPO_SPECIFIC, 2);
	expect_states(r, "x", "XRX");
	assert_true(unload(r) >= 0 && unload(r) >= 0);
	expect_states(r, "x", "URU");
	assert_int_equal(ps_repo_serve(r, "x", 0, false), PS_OK);
	unload(r);
	expect_states(r, "x", "UUU");
	assert_int_equal(ps_repo_serve(r, "unknown", 0, true), PS_ENOTFOUND);
	ps_repo_free(r);
}

static void a_new_version_takes_over_when_it_is_ready(void **state)
{
	struct ps_repo *r = new_repo();

	(void)state;
	add(r, "x", 1);
	serve(r, "x");
	load(r, 1);
	add(r, "x", 2);
	expect_states(r, "x", "RL");
	load(r, 2);
	expect_states(r, "x", "XR");
	unload(r);
	expect_states(r, "x", "UR");
	ps_repo_free(r);
}

static void a_broken_new_version_leaves_the_old_one(void **state)
{
	struct ps_repo *r = new_repo();
	int two;

	(void)state;
	add(r, "x", 1);
	serve(r, "x");
	load(r, 1);
	two = add(r, "x", 2);
	load(r, -1);
	expect_states(r, "x", "RF");
	assert_string_equal(ps_repo_reason(r, two, 0)->what, "bad file");
	assert_int_equal(ps_repo_choose(r, "x", 1, 0, 0, 0.5), ps_repo_find(r, "x", 1, 1));
	assert_int_equal(ps_repo_next_unload(r), -1);
	ps_repo_remove(r, two);
	expect_states(r, "x", "R");
	ps_repo_free(r);
}

static void a_version_asked_for_by_hand_stays(void **state)
{
	struct ps_repo *r = new_repo();
	int one;

	(void)state;
	one = add(r, "x", 1);
	add(r, "x", 2);
	serve(r, "x");
	want(r, one, true);
	load(r, 2);
	load(r, 1);
	expect_states(r, "x", "RR");
	add(r, "x", 3);
	load(r, 3);
	expect_states(r, "x", "RXR");
	/* And one unloaded by hand is not brought back by the policy. */
	want(r, ps_repo_find(r, "x", 1, 3), false);
	unload(r), unload(r);
	add(r, "x", 4);
	ps_repo_remove(r, ps_repo_find(r, "x", 1, 4));
	expect_states(r, "x", "RUU");
	ps_repo_free(r);
}

static void a_split_divides_what_names_no_version(void **state)
{
	struct ps_repo *r = new_repo();
	struct ps_repo_config c;
	int one, two, n_two = 0;

	(void)state;
	one = add(r, "x", 1);
	two = add(r, "x", 2);
	ps_repo_config_init(&c);
	c.policy.kind = PS_REPO_ALL;
	c.splits[0] = (struct ps_repo_split){1, 3};
	c.splits[1] = (struct ps_repo_split){2, 1};
	c.n_splits = 2;
	assert_int_equal(ps_repo_set_config(r, "x", &c, NULL), PS_OK);
	serve(r, "x");
	assert_int_equal(ps_repo_choose(r, "x", 1, 0, 0, 0), two); /* none is ready: the highest */
	load(r, 2);						   /* the newest is loaded first */
	assert_int_equal(ps_repo_choose(r, "x", 1, 0, 0, 0), two); /* only this one can */
	load(r, 1);
	for (int i = 0; i < 100; i++)
		n_two += ps_repo_choose(r, "x", 1, 0, 0, i / 100.0) == two;
	assert_int_equal(n_two, 25);
	assert_int_equal(ps_repo_choose(r, "x", 1, 1, 0, 0.99), one);
	assert_int_equal(ps_repo_choose(r, "x", 1, 3, 0, 0), -1);
	assert_int_equal(ps_repo_choose(r, "y", 1, 0, 0, 0), -1);
	ps_repo_free(r);
}

/* ---- configuration ---- */

static const struct ps_tensor_spec in_spec = {"in", PS_DTYPE_FP32, 2, {-1, 4}};
static const struct ps_tensor_spec out_spec = {"out", PS_DTYPE_FP32, 2, {-1, 2}};

static int load_real(struct ps_repo *r, int n)
{
	const struct ps_repo_facts facts = {
		.inputs = &in_spec, .outputs = &out_spec, .n_inputs = 1, .n_outputs = 1};
	int i = ps_repo_next_load(r);

	if (!ps_repo_hashed(r, i, content(n)))
		return -1;
	ps_repo_loaded(r, i, PS_OK, NULL, &facts, NULL);
	check(r);
	return i;
}

static enum ps_status set_input(struct ps_repo *r, const char *name, int64_t dim)
{
	struct ps_repo_tensor t = {.name = "in", .dtype = PS_DTYPE_FP32, .rank = 1, .dims = {dim}};
	struct ps_repo_config c;

	ps_repo_config_init(&c);
	c.max_batch_size = 8;
	c.inputs = &t;
	c.n_inputs = 1;
	return ps_repo_set_config(r, name, &c, NULL);
}

static void a_configuration_that_disagrees_is_a_failure(void **state)
{
	struct ps_repo *r = new_repo();
	int a = add(r, "a", 1), b = add(r, "b", 1);

	(void)state;
	assert_int_equal(set_input(r, "a", 4), PS_OK);
	assert_int_equal(set_input(r, "b", 5), PS_OK);
	want(r, a, true);
	want(r, b, true);
	load_real(r, 1);
	assert_int_equal(load_real(r, 1), -1); /* one file, two names */
	assert_int_equal(state_of(r, a), PS_REPO_READY);
	assert_int_equal(state_of(r, b), PS_REPO_FAILED);
	assert_non_null(strstr(ps_repo_reason(r, b, 0)->what, "[-1,5]"));
	assert_non_null(strstr(ps_repo_reason(r, b, 0)->what, "[-1,4]"));
	assert_int_equal(set_input(r, "b", 4), PS_OK); /* corrected: tried again */
	assert_int_equal(load_real(r, 1), -1);
	assert_int_equal(state_of(r, b), PS_REPO_READY);
	ps_repo_free(r);
}

static void what_serves_keeps_a_configuration_that_fits(void **state)
{
	struct ps_repo *r = new_repo();
	int a = add(r, "a", 1), i;
	const struct ps_repo_config *old;

	(void)state;
	assert_int_equal(set_input(r, "a", 4), PS_OK);
	want(r, a, true);
	i = load_real(r, 1);
	ps_repo_hold(r, i);
	old = ps_repo_serving_config(r, a, 0);
	assert_int_equal(set_input(r, "a", 9), PS_OK);
	assert_ptr_equal(ps_repo_serving_config(r, a, 0), old);
	assert_non_null(strstr(ps_repo_reason(r, a, 0)->what, "[-1,9]"));
	assert_int_equal(set_input(r, "a", -1), PS_OK);
	assert_ptr_not_equal(ps_repo_serving_config(r, a, 0), old);
	assert_int_equal(old->inputs[0].dims[0], 4); /* held: still there */
	ps_repo_release(r, i);
	ps_repo_free(r);
}

static void another_device_loads_anew(void **state)
{
	struct ps_repo *r = new_repo();
	int a = add(r, "a", 1), cpu, gpu;
	struct ps_repo_config c;

	(void)state;
	want(r, a, true);
	cpu = load(r, 1);
	ps_repo_config_init(&c);
	strcpy(c.device, "cuda:1");
	assert_int_equal(ps_repo_set_config(r, "a", &c, NULL), PS_OK);
	gpu = load(r, 1);
	assert_true(gpu >= 0);
	assert_string_equal(ps_repo_instance_get(r, gpu)->device, "cuda:1");
	assert_int_equal(ps_repo_serving(r, a, 0), gpu);
	assert_int_equal(unload(r), cpu);
	strcpy(c.device, "tpu");
	assert_int_equal(ps_repo_set_config(r, "a", &c, NULL), PS_EINVAL);
	ps_repo_free(r);
}

static void states_have_the_names_of_the_index(void **state)
{
	(void)state;
	assert_string_equal(ps_repo_index_state(PS_REPO_READY), "READY");
	assert_string_equal(ps_repo_index_state(PS_REPO_LOADING), "LOADING");
	assert_string_equal(ps_repo_index_state(PS_REPO_UNLOADING), "UNLOADING");
	assert_string_equal(ps_repo_index_state(PS_REPO_FAILED), "UNAVAILABLE");
	assert_string_equal(ps_repo_index_state(PS_REPO_UNLOADED), "UNAVAILABLE");
	assert_string_equal(ps_repo_state_name(PS_REPO_FAILED), "FAILED");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(models_are_found_by_name_and_version),
		cmocka_unit_test(numbers_are_for_ever),
		cmocka_unit_test(bad_names_and_versions_are_refused),
		cmocka_unit_test(a_model_is_loaded_served_and_unloaded),
		cmocka_unit_test(a_failure_keeps_its_reason_until_it_is_tried_again),
		cmocka_unit_test(a_reload_swaps_without_a_gap),
		cmocka_unit_test(a_broken_reload_leaves_the_old_one_serving),
		cmocka_unit_test(a_reload_of_the_same_content_loads_nothing),
		cmocka_unit_test(a_name_shares_as_it_says),
		cmocka_unit_test(a_name_that_ceases_to_share_moves_out),
		cmocka_unit_test(names_that_begin_to_share_meet),
		cmocka_unit_test(the_latest_of_two_changes_wins),
		cmocka_unit_test(unwanted_while_loading_goes_when_it_has_loaded),
		cmocka_unit_test(identical_files_are_one_instance),
		cmocka_unit_test(two_that_load_at_once_meet),
		cmocka_unit_test(an_idle_instance_is_taken_up_again),
		cmocka_unit_test(the_last_release_is_told_of),
		cmocka_unit_test(a_domain_shares_with_no_other),
		cmocka_unit_test(the_policy_chooses_versions),
		cmocka_unit_test(a_new_version_takes_over_when_it_is_ready),
		cmocka_unit_test(a_broken_new_version_leaves_the_old_one),
		cmocka_unit_test(a_version_asked_for_by_hand_stays),
		cmocka_unit_test(a_split_divides_what_names_no_version),
		cmocka_unit_test(a_configuration_that_disagrees_is_a_failure),
		cmocka_unit_test(what_serves_keeps_a_configuration_that_fits),
		cmocka_unit_test(another_device_loads_anew),
		cmocka_unit_test(states_have_the_names_of_the_index),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
