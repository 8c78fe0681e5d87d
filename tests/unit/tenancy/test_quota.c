/* Token buckets and the guard against wrong keys, on a clock that the tests set. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "tenancy/tenancy.h"

#include <stdio.h>
#include <string.h>

static const int64_t MS = 1000000, S = 1000000000;

static void a_bucket_by_hand(void **state)
{
	static const struct {
		int64_t at_ms;
		double n;
		bool taken;
		int64_t wait_ms; /* before it is tried */
	} rows[] = {
		{0, 1, true, 0},       {0, 2, true, 0},	    {0, 1, false, 100},
		{50, 1, false, 50},    {100, 1, true, 0},   {100, 1, false, 100},
		{99, 1, false, 100}, /* the clock went back: nothing is added, nothing is lost */
		{250, 1, true, 0},     {250, 0.5, true, 0}, {250, 3, false, 300},
		{9000, 3, true, 0}, /* full again, and no fuller */
		{9000, 1, false, 100},
	};
	const struct ps_tenancy_rate rate = {.per_s = 10, .burst = 3};
	struct ps_tenancy_bucket b = {0};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		int64_t now_ns = 1000 * S + rows[i].at_ms * MS;
		int64_t wait_ns = ps_tenancy_bucket_wait_ns(&b, &rate, rows[i].n, now_ns);
		if (wait_ns < rows[i].wait_ms * MS - 10 || wait_ns > rows[i].wait_ms * MS + 10)
			fail_msg("row %zu: %lld ns", i, (long long)wait_ns);
		if (ps_tenancy_bucket_take(&b, &rate, rows[i].n, now_ns) != rows[i].taken)
			fail_msg("row %zu", i);
	}
	assert_true(ps_tenancy_bucket_wait_ns(&b, &rate, 4, 9000 * S) == INT64_MAX);
}

static void no_rate_is_no_limit(void **state)
{
	const struct ps_tenancy_rate none = {0}, some = {.per_s = 1, .burst = 2};
	struct ps_tenancy_bucket b = {0};
	(void)state;
	for (int i = 0; i < 100; i++)
		assert_true(ps_tenancy_bucket_take(&b, &none, 1, S));
	assert_int_equal(ps_tenancy_bucket_wait_ns(&b, &none, 1, S), 0);
	/* A quota that appears starts full; one that shrinks keeps no more than its new burst. */
	assert_true(ps_tenancy_bucket_take(&b, &some, 2, S));
	assert_false(ps_tenancy_bucket_take(&b, &some, 1, S));
	const struct ps_tenancy_rate big = {.per_s = 1, .burst = 100},
				     tiny = {.per_s = 1, .burst = 1};
	assert_true(ps_tenancy_bucket_take(&b, &big, 98, S));
	assert_true(ps_tenancy_bucket_take(&b, &tiny, 1, 2 * S));
	assert_false(ps_tenancy_bucket_take(&b, &tiny, 1, 2 * S));
}

/* In no interval does a bucket give more than burst + rate x length; and whoever waits as long as
 * it says gets what it asked for. */
static void a_bucket_keeps_its_promise(void **state)
{
	enum { N = 3000 };
	static int64_t at_ns[N];
	static double sum[N + 1];
	struct ps_rng rng;
	(void)state;
	ps_rng_init(&rng, 9, 0);
	for (int plan = 0; plan < 20; plan++) {
		struct ps_tenancy_rate rate = {.per_s = 1 + 1000 * ps_rng_uniform(&rng),
					       .burst = 1 + 20 * ps_rng_uniform(&rng)};
		struct ps_tenancy_bucket b = {0};
		int64_t now_ns = S;
		int n = 0;
		while (n < N) {
			now_ns += (int64_t)ps_rng_exponential(&rng, 0.5e9 / rate.per_s);
			int64_t wait_ns = ps_tenancy_bucket_wait_ns(&b, &rate, 1, now_ns);
			bool taken = ps_tenancy_bucket_take(&b, &rate, 1, now_ns);
			assert_int_equal(taken, wait_ns == 0);
			if (!taken && ps_rng_below(&rng, 10) == 0) {
				now_ns += wait_ns;
				taken = ps_tenancy_bucket_take(&b, &rate, 1, now_ns);
				assert_true(taken);
			}
			if (taken) {
				at_ns[n] = now_ns;
				sum[n + 1] = sum[n] + 1;
				n++;
			}
		}
		for (int i = 0; i < N; i += 7)
			for (int k = i; k < N; k += 11)
				assert_true(sum[k + 1] - sum[i] <=
					    rate.burst + 1e-6 +
						    rate.per_s * (double)(at_ns[k] - at_ns[i]) *
							    1e-9);
	}
}

static struct ps_tenancy *two_tenants(void)
{
	char digests[2][PS_TENANCY_DIGEST_SIZE];
	const char *keys[2] = {digests[0], digests[1]};
	const struct ps_tenancy_tenant list[] = {
		{.name = "a", .keys = &keys[0], .n_keys = 1, .queue_limit = 1, .weight = 1},
		{.name = "b", .keys = &keys[1], .n_keys = 1, .queue_limit = 1, .weight = 1},
		{.name = "open", .queue_limit = 1, .weight = 1}};
	const struct ps_tenancy_config c = {.tenants = list, .n_tenants = 3};
	struct ps_tenancy *t;
	ps_tenancy_digest("a", 1, digests[0]);
	ps_tenancy_digest("b", 1, digests[1]);
	assert_int_equal(ps_tenancy_new(&c, NULL, &t, NULL, NULL), PS_OK);
	return t;
}

static struct ps_tenancy_guard *guard(int slots)
{
	struct ps_tenancy_guard *g;
	assert_int_equal(ps_tenancy_guard_new(slots, 10, 60 * S, &g, NULL), PS_OK);
	return g;
}

static enum ps_status ask(struct ps_tenancy_guard *g, const struct ps_tenancy *t, const char *peer,
			  const char *key, int64_t now_ns)
{
	char value[64];
	int who;
	int n = snprintf(value, sizeof value, "Bearer %s", key);
	return ps_tenancy_guard_authenticate(g, t, peer, value, (size_t)n, now_ns, &who, NULL,
					     NULL);
}

static void wrong_keys_end_after_ten(void **state)
{
	struct ps_tenancy *t = two_tenants();
	struct ps_tenancy_guard *g = guard(PS_TENANCY_GUARD_SLOTS);
	const char *peer = "192.0.2.1:4711";
	int64_t wait_ns = 0;
	struct ps_error err;
	int who;
	(void)state;
	assert_int_equal(ask(g, t, peer, "a", S), PS_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(g, t, peer, "wrong", S), PS_EUNAUTH);
	assert_int_equal(ps_tenancy_guard_authenticate(g, t, "192.0.2.1:1", "Bearer wrong", 12, S,
						       &who, &wait_ns, &err),
			 PS_EQUOTA);
	assert_true(wait_ns > 5990 * MS && wait_ns < 6010 * MS);
	assert_int_equal(ask(g, t, peer, "b", S), PS_EQUOTA); /* it might be a lucky guess */
	assert_int_equal(ask(g, t, peer, "a", S), PS_OK);     /* it was right from here before */
	assert_int_equal(ask(g, t, "192.0.2.2:4711", "b", S), PS_OK);
	assert_int_equal(ask(g, t, "192.0.2.2:4711", "wrong", S), PS_EUNAUTH);
	assert_int_equal(ps_tenancy_guard_blocked(g), 2);
	/* No key, or no key at all in the header: nothing to guess with. */
	assert_int_equal(ps_tenancy_guard_authenticate(g, t, peer, NULL, 0, S, &who, NULL, NULL),
			 PS_OK);
	assert_int_equal(
		ps_tenancy_guard_authenticate(g, t, peer, "Basic x", 7, S, &who, NULL, NULL),
		PS_EUNAUTH);
	/* One every six seconds from then on. */
	assert_int_equal(ask(g, t, peer, "wrong", S + wait_ns), PS_EUNAUTH);
	assert_int_equal(ask(g, t, peer, "wrong", S + wait_ns), PS_EQUOTA);
	assert_int_equal(ask(g, t, peer, "b", S + 2 * wait_ns), PS_OK);
	ps_tenancy_guard_free(g);
	ps_tenancy_unref(t);
}

/* In any minute at most 20 (the burst and what came back) wrong keys of an address are looked at.
 */
static void guessing_is_bounded(void **state)
{
	struct ps_tenancy *t = two_tenants();
	struct ps_tenancy_guard *g = guard(PS_TENANCY_GUARD_SLOTS);
	int looked_at = 0;
	(void)state;
	for (int64_t ms = 0; ms < 600000; ms += 10)
		looked_at += ask(g, t, "192.0.2.1:1", "wrong", S + ms * MS) == PS_EUNAUTH;
	assert_in_range(looked_at, 100, 111);
	ps_tenancy_guard_free(g);
	ps_tenancy_unref(t);
}

static void a_key_that_was_right_is_not_right_for_ever(void **state)
{
	struct ps_tenancy *t = two_tenants();
	char digest[PS_TENANCY_DIGEST_SIZE];
	const char *key = digest;
	const struct ps_tenancy_tenant only = {
		.name = "b", .keys = &key, .n_keys = 1, .queue_limit = 1, .weight = 1};
	const struct ps_tenancy_config c = {.tenants = &only, .n_tenants = 1};
	struct ps_tenancy_guard *g = guard(64);
	struct ps_tenancy *later;
	(void)state;
	ps_tenancy_digest("b", 1, digest);
	assert_int_equal(ps_tenancy_new(&c, t, &later, NULL, NULL), PS_OK);
	assert_int_equal(ask(g, t, "192.0.2.1:1", "a", S), PS_OK);
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(g, later, "192.0.2.1:1", "wrong", S), PS_EUNAUTH);
	assert_int_equal(ask(g, later, "192.0.2.1:1", "a", S), PS_EUNAUTH); /* once more */
	assert_int_equal(ask(g, later, "192.0.2.1:1", "a", S), PS_EQUOTA);
	ps_tenancy_guard_free(g);
	ps_tenancy_unref(t);
	ps_tenancy_unref(later);
}

static void addresses_are_told_apart(void **state)
{
	static const struct {
		const char *a, *b;
		bool same;
	} rows[] = {
		{"192.0.2.1:1", "192.0.2.1:65535", true},
		{"192.0.2.1", "192.0.2.1:1", true},
		{"192.0.2.1:1", "192.0.2.11:1", false},
		{"[2001:db8:1:2:3:4:5:6]:80", "[2001:db8:1:2::9]:81", true},
		{"[2001:db8:1:2::]:80", "2001:db8:1:2:ffff:0:0:1", true},
		{"[2001:db8:1:2::1]:80", "[2001:db8:1:3::1]:80", false},
		{"[2001:db8::1]:80", "[2001:db8:0:0:7::]:80", true},
		{"[::1]:80", "[::2]:80", true},
		{"[::7:0:0:0:0:1]:80", "[0:0:0:7::]:80", false}, /* groups 2 and 3 */
		{"[::7:0:0:0:0:1]:80", "[0:0:7::]:80", true},
		{"[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.1]:81", true},
		{"[::ffff:192.0.2.1]:80", "[::ffff:192.0.2.2]:80", false},
		{"unix:1", "unix:2", true},
		{"unix:1", "192.0.2.1:1", false},
		{"", "x", false},
		{"[", "[[", false},
		{"[1:2:3:4:5:6:7:8:9]:1", "[1:2:3:4:5:6:7:8]:1", false},
		{"[1:zz::]:1", "[1::]:1", false},
	};
	struct ps_tenancy *t = two_tenants();
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_tenancy_guard *g = guard(4096);
		for (int k = 0; k < 10; k++)
			assert_int_equal(ask(g, t, rows[i].a, "wrong", S), PS_EUNAUTH);
		enum ps_status s = ask(g, t, rows[i].b, "wrong", S);
		if (s != (rows[i].same ? PS_EQUOTA : PS_EUNAUTH))
			fail_msg("%s and %s", rows[i].a, rows[i].b);
		ps_tenancy_guard_free(g);
	}
	ps_tenancy_unref(t);
}

/* A million addresses fit into 8 slots' memory; the one that fails most stays blocked, and nobody
 * who succeeds pushes it out. */
static void the_table_is_bounded(void **state)
{
	struct ps_tenancy *t = two_tenants();
	struct ps_tenancy_guard *g = guard(8);
	char peer[32];
	(void)state;
	for (int i = 0; i < 10; i++)
		assert_int_equal(ask(g, t, "192.0.2.1:1", "wrong", S), PS_EUNAUTH);
	for (int i = 0; i < 20000; i++) {
		snprintf(peer, sizeof peer, "10.0.%d.%d:1", i / 250, i % 250);
		assert_int_equal(ask(g, t, peer, "b", S), PS_OK);
		if (i % 10 == 0)
			assert_int_equal(ask(g, t, peer, "wrong", S), PS_EUNAUTH);
	}
	assert_int_equal(ask(g, t, "192.0.2.1:1", "wrong", S), PS_EQUOTA);
	ps_tenancy_guard_free(g);
	ps_tenancy_unref(t);
}

static void senseless_guards_are_refused(void **state)
{
	struct ps_tenancy_guard *g;
	(void)state;
	assert_int_equal(ps_tenancy_guard_new(0, 10, S, &g, NULL), PS_EINVAL);
	assert_int_equal(ps_tenancy_guard_new((1 << 20) + 1, 10, S, &g, NULL), PS_EINVAL);
	assert_int_equal(ps_tenancy_guard_new(8, 0, S, &g, NULL), PS_EINVAL);
	assert_int_equal(ps_tenancy_guard_new(8, 10, 0, &g, NULL), PS_EINVAL);
	ps_tenancy_guard_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bucket_by_hand),
		cmocka_unit_test(no_rate_is_no_limit),
		cmocka_unit_test(a_bucket_keeps_its_promise),
		cmocka_unit_test(wrong_keys_end_after_ten),
		cmocka_unit_test(guessing_is_bounded),
		cmocka_unit_test(a_key_that_was_right_is_not_right_for_ever),
		cmocka_unit_test(addresses_are_told_apart),
		cmocka_unit_test(the_table_is_bounded),
		cmocka_unit_test(senseless_guards_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
