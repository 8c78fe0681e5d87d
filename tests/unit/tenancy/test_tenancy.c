/* Tenants: what a configuration may say, who a key or certificate belongs to, what each sees. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "tenancy/tenancy.h"

#include <math.h>
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
static const char *const null_keys[] = {NULL};
static const char *const certs[] = {"beta.example", "spiffe://mesh/beta"};
static const char *const capital_certs[] = {"BETA.example"};
static const char *const empty_certs[] = {""};
static const char *const models[] = {"resnet", "inception"};
static const char *const empty_models[] = {""};
static const struct ps_tenancy_sla slas[] = {{"vgg", {0.95, 7000000, 0.99}},
					     {"resnet", {0.99, 5000000, 0.999}}};
static const struct ps_tenancy_sla twice[] = {{"vgg", {0.95, 7, 0.99}}, {"vgg", {0.9, 7, 0.9}}};
static const struct ps_tenancy_sla no_limit[] = {{"vgg", {0.95, 0, 0.99}}};

#define TENANT(n, k, nk)                                                                           \
	.name = n, .keys = k, .n_keys = nk, .all_models = true, .queue_limit = 1, .weight = 1
#define BAD(what, ...)                                                                             \
	{                                                                                          \
		what, {{TENANT("a", NULL, 0), __VA_ARGS__}}, 1, PS_EINVAL, 0                       \
	}

struct new_row {
	const char *what;
	struct ps_tenancy_tenant tenants[2];
	size_t n;
	enum ps_status status;
	size_t bad; /* which tenant is blamed */
};

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Woverride-init"
static const struct new_row new_rows[] = {
	{"one without a key", {{TENANT("a", NULL, 0)}}, 1, PS_OK, 0},
	{"one of each kind", {{TENANT("a", alpha_keys, 1)}, {TENANT("b", NULL, 0)}}, 2, PS_OK, 0},
	{"capitals", {{TENANT("a", alpha_keys, 1)}, {TENANT("b", beta_keys, 1)}}, 2, PS_OK, 0},
	{"a certificate is as good as a key",
	 {{TENANT("a", NULL, 0)}, {TENANT("b", NULL, 0), .certs = certs, .n_certs = 2}},
	 2,
	 PS_OK,
	 0},
	{"nobody", {{0}}, 0, PS_EINVAL, 0},
	{"two open", {{TENANT("a", NULL, 0)}, {TENANT("b", NULL, 0)}}, 2, PS_EINVAL, 1},
	{"one name", {{TENANT("a", alpha_keys, 1)}, {TENANT("a", beta_keys, 1)}}, 2, PS_EINVAL, 1},
	{"one key", {{TENANT("a", alpha_keys, 1)}, {TENANT("b", both_keys, 2)}}, 2, PS_EINVAL, 1},
	{"one certificate",
	 {{TENANT("a", NULL, 0), .certs = certs, .n_certs = 2},
	  {TENANT("b", NULL, 0), .certs = capital_certs, .n_certs = 1}},
	 2,
	 PS_EINVAL,
	 1},
	{"a short digest", {{TENANT("a", short_keys, 1)}}, 1, PS_EINVAL, 0},
	{"a key, not its digest", {{TENANT("a", bare_keys, 1)}}, 1, PS_EINVAL, 0},
	{"a NULL key", {{TENANT("a", null_keys, 1)}}, 1, PS_EINVAL, 0},
	BAD("no name", .name = ""),
	BAD("a NULL name", .name = NULL),
	BAD("a blank in the name", .name = "a b"),
	BAD("a name of 65 letters",
	    .name = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"),
	BAD("an empty certificate name", .certs = empty_certs, .n_certs = 1),
	BAD("an empty model name", .models = empty_models, .n_models = 1),
	BAD("no queue", .queue_limit = 0),
	BAD("no weight", .weight = 0),
	BAD("too much weight", .weight = PS_TENANCY_MAX_WEIGHT + 1),
	BAD("no such class", .class = (enum ps_tenancy_class)2),
	BAD("negative concurrency", .concurrency = -1),
	BAD("negative body", .max_body_bytes = -1),
	BAD("negative rate", .rate = {-1, 1}),
	BAD("a rate that is none", .rate = {NAN, 1}),
	BAD("an endless rate", .rate = {INFINITY, 1}),
	BAD("a rate without burst", .rate = {10, 0}),
	BAD("a burst that is none", .rate = {10, NAN}),
	BAD("an SLA of 100 %", .sla = {1, 5, 0.9}),
	BAD("an SLA without a limit", .sla = {0.9, 0, 0.9}),
	BAD("a negative percentile", .sla = {-0.9, 5, 0.9}),
	BAD("a model's SLA without a limit", .slas = no_limit, .n_slas = 1),
	BAD("two SLAs of a model", .slas = twice, .n_slas = 2),
};
#pragma GCC diagnostic pop

static enum ps_status build(const struct ps_tenancy_tenant *list, size_t n, struct ps_tenancy **ret,
			    size_t *ret_bad, struct ps_error *err)
{
	const struct ps_tenancy_config c = {.tenants = list, .n_tenants = n};
	return ps_tenancy_new(&c, NULL, ret, ret_bad, err);
}

static void configurations_are_checked(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof new_rows / sizeof *new_rows; i++) {
		const struct new_row *r = &new_rows[i];
		struct ps_tenancy *t = NULL;
		struct ps_error err = {0};
		size_t bad = 99;
		enum ps_status s = build(r->tenants, r->n, &t, &bad, &err);
		if (s != r->status || bad != (s == PS_OK ? r->n : r->bad))
			fail_msg("%s: %s (%s), tenant %zu", r->what, ps_status_name(s), err.what,
				 bad);
		if (s != PS_OK)
			assert_true(err.what[0] != '\0');
		ps_tenancy_unref(t);
	}
}

static void the_operator_is_checked(void **state)
{
	const struct ps_tenancy_tenant one = {TENANT("a", alpha_keys, 1)};
	struct ps_tenancy_config c = {.tenants = &one, .n_tenants = 1, .n_admin_keys = 1};
	struct ps_tenancy *t;
	struct ps_error err;
	size_t bad = 99;
	int who;
	(void)state;
	c.admin_keys = alpha_keys; /* a tenant's */
	assert_int_equal(ps_tenancy_new(&c, NULL, &t, &bad, &err), PS_EINVAL);
	assert_int_equal(bad, 0);
	assert_non_null(strstr(err.what, "admin"));
	c.admin_keys = short_keys;
	assert_int_equal(ps_tenancy_new(&c, NULL, &t, &bad, &err), PS_EINVAL);
	assert_int_equal(bad, 1);
	assert_string_equal(err.where, "the operator");
	c.admin_keys = beta_keys;
	c.admin_certs = certs;
	c.n_admin_certs = 1;
	assert_int_equal(ps_tenancy_new(&c, NULL, &t, &bad, &err), PS_OK);
	assert_true(ps_tenancy_has_admin(t));
	assert_int_equal(ps_tenancy_authenticate(t, "Bearer beta", 11, &who, &err), PS_OK);
	assert_int_equal(who, PS_TENANCY_ADMIN);
	assert_int_equal(ps_tenancy_by_cert(t, certs[0], strlen(certs[0])), PS_TENANCY_ADMIN);
	assert_string_equal(ps_tenancy_name(t, who), "admin");
	assert_true(ps_tenancy_sees(t, who, "anything"));
	assert_true(ps_tenancy_may_load(t, who, "anything"));
	assert_int_equal(ps_tenancy_max_body_bytes(t, who, 50), 50);
	assert_false(ps_tenancy_exists(t, who));
	ps_tenancy_unref(t);
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
	 .may_load = true,
	 .no_share = true,
	 .queue_limit = 5,
	 .concurrency = 6,
	 .rate = {100, 20},
	 .max_body_bytes = 1000,
	 .class = PS_TENANCY_BEST_EFFORT,
	 .weight = 2},
	{.name = "beta",
	 .keys = beta_keys,
	 .n_keys = 1,
	 .certs = certs,
	 .n_certs = 2,
	 .models = models,
	 .n_models = 2,
	 .slas = slas,
	 .n_slas = 2,
	 .sla = {0.5, 3000000, 0.9},
	 .may_load = true,
	 .queue_limit = 7,
	 .weight = 1},
	{.name = "open", .queue_limit = 1, .weight = 1},
};

static void keys_find_their_tenant(void **state)
{
	struct ps_tenancy *t;
	struct ps_error err;
	(void)state;
	assert_int_equal(build(three, 3, &t, NULL, &err), PS_OK);
	assert_true(ps_tenancy_has_open(t));
	assert_false(ps_tenancy_has_admin(t));
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
	ps_tenancy_unref(t);
}

static void certificates_find_their_tenant(void **state)
{
	static const struct {
		const char *name;
		int tenant;
	} rows[] = {
		{"beta.example", 1},
		{"Beta.Example", 1},
		{"spiffe://mesh/beta", 1},
		{"beta.example.org", PS_TENANCY_NONE},
		{"beta.exampl", PS_TENANCY_NONE},
		{"alpha", PS_TENANCY_NONE},
		{"", PS_TENANCY_NONE},
	};
	struct ps_tenancy *t;
	(void)state;
	assert_int_equal(build(three, 3, &t, NULL, NULL), PS_OK);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		assert_int_equal(ps_tenancy_by_cert(t, rows[i].name, strlen(rows[i].name)),
				 rows[i].tenant);
	ps_tenancy_unref(t);
}

static void without_an_open_tenant_a_key_is_needed(void **state)
{
	struct ps_tenancy *t;
	struct ps_error err;
	int tenant;
	(void)state;
	assert_int_equal(build(three, 2, &t, NULL, &err), PS_OK);
	assert_false(ps_tenancy_has_open(t));
	assert_int_equal(ps_tenancy_authenticate(t, NULL, 0, &tenant, &err), PS_EUNAUTH);
	ps_tenancy_unref(t);
}

static void values_are_kept(void **state)
{
	struct ps_tenancy *t;
	(void)state;
	assert_int_equal(build(three, 3, &t, NULL, NULL), PS_OK);
	assert_int_equal(ps_tenancy_count(t), 3);
	assert_string_equal(ps_tenancy_name(t, 1), "beta");
	assert_string_equal(ps_tenancy_name(t, 3), "-");
	assert_int_equal(ps_tenancy_find(t, "beta", 4), 1);
	assert_int_equal(ps_tenancy_find(t, "bet", 3), PS_TENANCY_NONE);
	assert_int_equal(ps_tenancy_queue_limit(t, 1), 7);
	assert_int_equal(ps_tenancy_weight(t, 0), 2);
	assert_int_equal(ps_tenancy_class(t, 0), PS_TENANCY_BEST_EFFORT);
	assert_int_equal(ps_tenancy_class(t, 1), PS_TENANCY_GUARANTEED);
	assert_int_equal(ps_tenancy_concurrency(t, 0), 6);
	assert_true(ps_tenancy_rate(t, 0).per_s == 100 && ps_tenancy_rate(t, 0).burst == 20);
	assert_true(ps_tenancy_rate(t, 1).per_s == 0);
	assert_int_equal(ps_tenancy_max_body_bytes(t, 0, 5000), 1000);
	assert_int_equal(ps_tenancy_max_body_bytes(t, 0, 500), 500);
	assert_int_equal(ps_tenancy_max_body_bytes(t, 1, 5000), 5000);
	assert_false(ps_tenancy_shares(t, 0));
	assert_true(ps_tenancy_shares(t, 1));
	ps_tenancy_unref(t);
}

static void each_sees_its_own(void **state)
{
	struct ps_tenancy *t;
	(void)state;
	assert_int_equal(build(three, 3, &t, NULL, NULL), PS_OK);
	assert_true(ps_tenancy_sees(t, 0, "anything"));
	assert_true(ps_tenancy_sees(t, 1, "resnet"));
	assert_true(ps_tenancy_sees(t, 1, "inception"));
	assert_false(ps_tenancy_sees(t, 1, "vgg"));
	assert_false(ps_tenancy_sees(t, 2, "resnet"));
	assert_true(ps_tenancy_may_load(t, 0, "anything"));
	assert_true(ps_tenancy_may_load(t, 1, "resnet"));
	assert_false(ps_tenancy_may_load(t, 1, "vgg")); /* not seen */
	assert_false(ps_tenancy_may_load(t, 2, "resnet"));
	assert_int_equal(ps_tenancy_sla(t, 1, "resnet")->limit_ns, 5000000);
	assert_int_equal(ps_tenancy_sla(t, 1, "vgg")->limit_ns, 7000000);
	assert_int_equal(ps_tenancy_sla(t, 1, "inception")->limit_ns, 3000000);
	assert_false(ps_sla_is_set(ps_tenancy_sla(t, 0, "resnet")));
	ps_tenancy_unref(t);
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
	const struct ps_tenancy_tenant one = {TENANT("a", keys, 1)};
	assert_int_equal(build(&one, 1, &t, NULL, NULL), PS_OK);
	snprintf(value, sizeof value, "Bearer %s", key[0]);
	assert_int_equal(ps_tenancy_authenticate(t, value, strlen(value), &tenant, NULL), PS_OK);
	snprintf(value, sizeof value, "Bearer %s", key[1]);
	assert_int_equal(ps_tenancy_authenticate(t, value, strlen(value), &tenant, NULL),
			 PS_EUNAUTH);
	ps_tenancy_unref(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(configurations_are_checked),
		cmocka_unit_test(the_operator_is_checked),
		cmocka_unit_test(keys_find_their_tenant),
		cmocka_unit_test(certificates_find_their_tenant),
		cmocka_unit_test(without_an_open_tenant_a_key_is_needed),
		cmocka_unit_test(values_are_kept),
		cmocka_unit_test(each_sees_its_own),
		cmocka_unit_test(made_keys_differ_and_authenticate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
