/* Tenants: what a configuration may say, who a key belongs to, what each sees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tenancy/tenancy.h"

#include <stdio.h>
#include <string.h>

/* printf KEY | sha256sum */
#define ALPHA  "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
#define BETA   "sha256:f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753"
#define BETA_U "sha256:F44E64E75F3948E9F73F8DFA94721C4CE8CBB4F265C4790C702B2D41CFBF2753"

static const char *const alpha_keys[] = {ALPHA};
static const char *const beta_keys[] = {BETA_U};
static const char *const both_keys[] = {ALPHA, BETA};
static const char *const short_keys[] = {"sha256:8ed3"};
static const char *const bare_keys[] = {"secret"};
static const char *const models[] = {"resnet", "inception"};

#define TENANT(n, k, nk)                                                                           \
	{                                                                                          \
		.name = n, .keys = k, .n_keys = nk, .all_models = true, .queue_limit = 1,          \
		.weight = 1                                                                        \
	}

struct new_row {
	const char *what;
	struct ps_tenancy_tenant tenants[2];
	size_t n;
	enum ps_status status;
};

static const struct new_row new_rows[] = {
	{"one without a key", {TENANT("a", NULL, 0)}, 1, PS_OK},
	{"one of each kind", {TENANT("a", alpha_keys, 1), TENANT("b", NULL, 0)}, 2, PS_OK},
	{"capital digits", {TENANT("a", alpha_keys, 1), TENANT("b", beta_keys, 1)}, 2, PS_OK},
	{"nobody", {{0}}, 0, PS_EINVAL},
	{"two without a key", {TENANT("a", NULL, 0), TENANT("b", NULL, 0)}, 2, PS_EINVAL},
	{"the same name", {TENANT("a", alpha_keys, 1), TENANT("a", beta_keys, 1)}, 2, PS_EINVAL},
	{"a shared key", {TENANT("a", alpha_keys, 1), TENANT("b", both_keys, 2)}, 2, PS_EINVAL},
	{"a short digest", {TENANT("a", short_keys, 1)}, 1, PS_EINVAL},
	{"a key, not its digest", {TENANT("a", bare_keys, 1)}, 1, PS_EINVAL},
	{"no name", {TENANT("", NULL, 0)}, 1, PS_EINVAL},
	{"a NULL name", {TENANT(NULL, NULL, 0)}, 1, PS_EINVAL},
	{"a blank in the name", {TENANT("a b", NULL, 0)}, 1, PS_EINVAL},
	{"no queue", {{.name = "a", .queue_limit = 0, .weight = 1}}, 1, PS_EINVAL},
	{"no weight", {{.name = "a", .queue_limit = 1, .weight = 0}}, 1, PS_EINVAL},
	{"too much weight",
	 {{.name = "a", .queue_limit = 1, .weight = PS_TENANCY_MAX_WEIGHT + 1}},
	 1,
	 PS_EINVAL},
};

static void configurations_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof new_rows / sizeof *new_rows; i++) {
		const struct new_row *r = &new_rows[i];
		struct ps_tenancy *t = NULL;
		struct ps_error err = {0};
		enum ps_status s = ps_tenancy_new(r->tenants, r->n, &t, &err);
		if (s != r->status)
			fail_msg("%s: %s (%s)", r->what, ps_status_name(s), err.what);
		if (s != PS_OK)
			assert_true(err.what[0] != '\0');
		ps_tenancy_free(t);
	}
}

struct auth_row {
	const char *value; /* NULL: no header */
	enum ps_status status;
	int tenant;
};

static const struct auth_row auth_rows[] = {
	{"Bearer alpha", PS_OK, 0},
	{"bearer alpha", PS_OK, 0},
	{"Bearer   alpha  ", PS_OK, 0},
	{"Bearer beta", PS_OK, 1},
	{NULL, PS_OK, 2},
	{"Bearer gamma", PS_EUNAUTH, 0},
	{"Bearer Alpha", PS_EUNAUTH, 0},
	{"Bearer alph", PS_EUNAUTH, 0},
	{"Bearer alphaa", PS_EUNAUTH, 0},
	{"Bearer ", PS_EUNAUTH, 0},
	{"Bearer", PS_EUNAUTH, 0},
	{"", PS_EUNAUTH, 0},
	{"Basic alpha", PS_EUNAUTH, 0},
	{"Beareralpha", PS_EUNAUTH, 0},
	{"Bearer " ALPHA, PS_EUNAUTH, 0}, /* the digest is no key */
};

static const struct ps_tenancy_tenant three[] = {
	{.name = "alpha",
	 .keys = alpha_keys,
	 .n_keys = 1,
	 .all_models = true,
	 .queue_limit = 5,
	 .weight = 2},
	{.name = "beta",
	 .keys = beta_keys,
	 .n_keys = 1,
	 .models = models,
	 .n_models = 2,
	 .queue_limit = 7,
	 .weight = 1},
	{.name = "open", .queue_limit = 1, .weight = 1},
};

static void keys_find_their_tenant(void **state)
{
	struct ps_tenancy *t;
	struct ps_error err;
	(void)state;
	assert_int_equal(ps_tenancy_new(three, 3, &t, &err), PS_OK);
	assert_true(ps_tenancy_has_open(t));
	for (size_t i = 0; i < sizeof auth_rows / sizeof *auth_rows; i++) {
		const struct auth_row *r = &auth_rows[i];
		int tenant = -1;
		enum ps_status s = ps_tenancy_authenticate(
			t, r->value, r->value ? strlen(r->value) : 0, &tenant, &err);
		if (s != r->status || (s == PS_OK && tenant != r->tenant))
			fail_msg("'%s': %s, tenant %d", r->value ? r->value : "(none)",
				 ps_status_name(s), tenant);
		if (s != PS_OK && r->value && strlen(r->value) > 8)
			assert_null(strstr(err.what, r->value + 7)); /* errors show no keys */
	}
	ps_tenancy_free(t);
}

static void without_an_open_tenant_a_key_is_needed(void **state)
{
	struct ps_tenancy *t;
	struct ps_error err;
	int tenant;
	(void)state;
	assert_int_equal(ps_tenancy_new(three, 2, &t, &err), PS_OK);
	assert_false(ps_tenancy_has_open(t));
	assert_int_equal(ps_tenancy_authenticate(t, NULL, 0, &tenant, &err), PS_EUNAUTH);
	ps_tenancy_free(t);
}

static void values_and_sights_are_kept(void **state)
{
	struct ps_tenancy *t;
	(void)state;
	assert_int_equal(ps_tenancy_new(three, 3, &t, NULL), PS_OK);
	assert_int_equal(ps_tenancy_count(t), 3);
	assert_string_equal(ps_tenancy_name(t, 1), "beta");
	assert_int_equal(ps_tenancy_queue_limit(t, 1), 7);
	assert_int_equal(ps_tenancy_weight(t, 0), 2);
	assert_true(ps_tenancy_sees(t, 0, "anything"));
	assert_true(ps_tenancy_sees(t, 1, "resnet"));
	assert_true(ps_tenancy_sees(t, 1, "inception"));
	assert_false(ps_tenancy_sees(t, 1, "vgg"));
	assert_false(ps_tenancy_sees(t, 2, "resnet"));
	ps_tenancy_free(t);
}

static void made_keys_differ_and_authenticate(void **state)
{
	char key[2][PS_TENANCY_KEY_SIZE], digest[2][PS_TENANCY_DIGEST_SIZE];
	char again[PS_TENANCY_DIGEST_SIZE], value[PS_TENANCY_KEY_SIZE + 8];
	struct ps_tenancy *t;
	int tenant = -1;
	(void)state;
	for (int i = 0; i < 2; i++) {
		assert_int_equal(ps_tenancy_make_key(key[i], digest[i], NULL), PS_OK);
		assert_int_equal(strlen(key[i]), PS_TENANCY_KEY_SIZE - 1);
		ps_tenancy_digest(key[i], strlen(key[i]), again);
		assert_string_equal(digest[i], again);
	}
	assert_string_not_equal(key[0], key[1]);
	const char *const keys[] = {digest[0]};
	const struct ps_tenancy_tenant one = TENANT("a", keys, 1);
	assert_int_equal(ps_tenancy_new(&one, 1, &t, NULL), PS_OK);
	snprintf(value, sizeof value, "Bearer %s", key[0]);
	assert_int_equal(ps_tenancy_authenticate(t, value, strlen(value), &tenant, NULL), PS_OK);
	snprintf(value, sizeof value, "Bearer %s", key[1]);
	assert_int_equal(ps_tenancy_authenticate(t, value, strlen(value), &tenant, NULL),
			 PS_EUNAUTH);
	ps_tenancy_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(keys_find_their_tenant),
		cmocka_unit_test(without_an_open_tenant_a_key_is_needed),
		cmocka_unit_test(values_and_sights_are_kept),
		cmocka_unit_test(made_keys_differ_and_authenticate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
