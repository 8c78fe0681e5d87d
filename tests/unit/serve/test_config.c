/* The server's configuration: what is refused, with its line; what a tenant gets. */
// needs: conf tenancy
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/admin_internal.h"
#include "serve/keys.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ALPHA "sha256:8ed3f6ad685b959ead7022518e1af76cd816f8e8ec7ccdda1ed4018e8f2223f8"
#define BETA  "sha256:f44e64e75f3948e9f73f8dfa94721c4ce8cbb4f265c4790c702b2d41cfbf2753"
#define GAMMA "sha256:0000000000000000000000000000000000000000000000000000000000000001"

static char dir[64], file[96];

static void write_text(const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/perseus-config-XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	snprintf(file, sizeof file, "%s/serve.yaml", dir);
	write_text("m.synthetic.yaml", "inputs: []\n");
	return 0;
}

static int tear_down(void **state)
{
	char command[128];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", dir);
	return system(command);
}

static enum ps_status load(const char *text, const struct ps_serve_snapshot *previous,
			   struct ps_serve_snapshot **ret, struct ps_error *err)
{
	const struct ps_serve_options o = {.config = file, .ready_fd = -1};
	struct ps_serve_config *c;
	write_text("serve.yaml", text);
	enum ps_status status = ps_serve_config_load(&o, &c, err);
	if (status != PS_OK)
		return status;
	status = ps_serve_snapshot_new(c, previous, ret, err);
	if (status != PS_OK)
		ps_serve_config_free(c);
	return status;
}

#define MODEL "models: [{name: m, path: m.synthetic.yaml}]\n"

struct row {
	const char *text;
	enum ps_status status;
	const char *where; /* behind the file's path; NULL: not looked at */
	const char *what;  /* a part of it */
};

static const struct row rows[] = {
	{MODEL, PS_OK, NULL, NULL},
	{"", PS_EUSAGE, NULL, "no model"},
	{MODEL "listne: off\n", PS_EPARSE, ":2:listne", "unknown key"},
	{MODEL "listen: nowhere\n", PS_EINVAL, NULL, "'nowhere' is no address"},
	{MODEL "listen: \"::1:8000\"\n", PS_EINVAL, NULL, "no address"},
	{MODEL "listen: \"unix:\"\n", PS_EINVAL, NULL, "no address"},
	{MODEL "listen: [\"127.0.0.1:0\", \"[::1]:0\", \"unix:/tmp/x\"]\n", PS_OK, NULL, NULL},
	{MODEL "listen: off\ngrpc: off\n", PS_EINVAL, NULL, "both off"},
	{MODEL "listen: off\n", PS_OK, NULL, NULL},
	{MODEL "listen: 0.0.0.0:8000\n", PS_EINVAL, NULL, "a tenant has no key"},
	{MODEL "grpc: 0.0.0.0:8001\n", PS_EINVAL, NULL, "a tenant has no key"},
	{MODEL "metrics: 0.0.0.0:8002\n", PS_EINVAL, NULL, "a tenant has no key"},
	{MODEL "listen: 0.0.0.0:8000\ntenants:\n  - {name: a, keys: ['" ALPHA "']}\n", PS_OK, NULL,
	 NULL},
	{MODEL "tls: {cert: x.pem}\n", PS_EINVAL, ":2:tls", "cert and key"},
	{MODEL "tls: {require_client_cert: true}\n", PS_EINVAL, ":2:tls", "client_ca"},
	{MODEL "lanes: 2\nreserve_lanes: 2\n", PS_EINVAL, NULL, "reserve_lanes"},
	{MODEL "max_body: 2MiB\nmax_buffered: 1MiB\n", PS_EINVAL, NULL, "less than max_body"},
	{MODEL "max_buffered_share: 0%\n", PS_EPARSE, ":2:max_buffered_share", "out of range"},
	{MODEL "best_effort_floor: 60%\n", PS_EPARSE, ":2:best_effort_floor", "out of range"},
	{MODEL "width: broad\n", PS_EPARSE, ":2:width", "none of narrow, wide, auto"},
	{"models: [{name: m, path: n.onnx}]\n", PS_ENOTFOUND, ":1:models", "no file"},
	{"models: [{name: m, path: m.txt}]\n", PS_EUNSUPPORTED, ":1:models", "ends in"},
	{"models: [{name: m/n, path: m.synthetic.yaml}]\n", PS_EINVAL, ":1:models", "no name"},
	{"models: [{name: m}]\n", PS_EINVAL, ":1:models", "no path"},
	{"models:\n  - {name: m, path: m.synthetic.yaml}\n  - {name: m, path: m.synthetic.yaml}\n",
	 PS_EEXIST, ":3:models", "given twice"},
	{"models: [{name: m, path: m.synthetic.yaml, device: tpu}]\n", PS_EINVAL, ":1:models",
	 NULL},
	{"models: [{name: m, path: m.synthetic.yaml, preferred_batches: [4, x]}]\n", PS_EINVAL,
	 ":1:models", "'x' is no batch size"},
	{"models: [{name: m, path: m.synthetic.yaml, split: [{version: 1}]}]\n", PS_EPARSE,
	 ":1:weight", "missing"},
	{MODEL "tenants:\n  - {name: a, models: [n]}\n", PS_EINVAL, ":3:tenants", "'n'"},
	{MODEL
	 "tenants:\n  - name: a\n    slas:\n      - {model: m, sla: p99<=1s}\n      - {model: n, "
	 "sla: p99<=1s}\n",
	 PS_EINVAL, ":6:tenants", "'n'"},
	{MODEL "tenants:\n  - {name: a, sla: fast}\n", PS_EPARSE, ":3:sla", NULL},
	{MODEL "tenants:\n  - {name: a, class: best}\n", PS_EPARSE, ":3:class", "none of"},
	{MODEL "tenants:\n  - {name: a, keys: ['" ALPHA "']}\n  - {name: a, keys: ['" BETA "']}\n",
	 PS_EINVAL, ":4:tenants", NULL},
	{MODEL "tenants:\n  - {name: a, keys: ['" ALPHA "']}\n  - {name: b, keys: ['" ALPHA "']}\n",
	 PS_EINVAL, ":4:tenants", NULL},
	{MODEL "tenants:\n  - {name: a}\n  - {name: b}\n", PS_EINVAL, NULL, NULL},
	{MODEL "tenants:\n  - {name: a, keys: [secret]}\n", PS_EINVAL, ":3:tenants", NULL},
	{MODEL "admin_keys: [secret]\n", PS_EINVAL, NULL, NULL},
	{MODEL "keys_file: bad.yaml\n", PS_EPARSE, NULL, NULL},
	{MODEL "keys_file: stranger.yaml\n", PS_EINVAL, NULL, "'z', which is not there"},
};

static void test_table(void **state)
{
	(void)state;
	write_text("bad.yaml", "keys: [{digset: x}]\n");
	write_text("stranger.yaml", "keys: [{tenant: z, digest: '" ALPHA "'}]\n");
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_serve_snapshot *p = NULL;
		struct ps_error err = {0};
		enum ps_status status = load(rows[i].text, NULL, &p, &err);
		if (status != rows[i].status)
			fail_msg("row %zu:\n%s%s: %s: %s", i, rows[i].text, ps_status_name(status),
				 err.where, err.what);
		if (rows[i].where && strcmp(err.where + strlen(file), rows[i].where) != 0)
			fail_msg("row %zu:\n%s at %s: %s", i, rows[i].text, err.where, err.what);
		if (rows[i].what && !strstr(err.what, rows[i].what))
			fail_msg("row %zu:\n%s: %s", i, rows[i].text, err.what);
		ps_serve_snapshot_unref(p);
	}
}

/* Keys of both files; quotas and agreements reach the tenancy. */
static void test_tenants(void **state)
{
	struct ps_serve_snapshot *p;
	struct ps_error err;
	(void)state;
	write_text("keys.yaml",
		   "keys:\n  - {digest: '" BETA "', tenant: a}\n  - {digest: '" GAMMA "'}\n");
	assert_int_equal(load(MODEL "keys_file: keys.yaml\ntenants:\n"
				    "  - {name: a, keys: ['" ALPHA
				    "'], sla: p95<=200ms, rate: 5/s, share: false, class: "
				    "best-effort}\n"
				    "  - {name: b, rate: 90/min, burst: 10, queue_limit: 7, "
				    "slas: [{model: m, sla: p99<=1s}]}\n",
			      NULL, &p, &err),
			 PS_OK);
	const struct ps_tenancy *t = p->tenancy;
	int a = ps_tenancy_find(t, "a", 1), b = ps_tenancy_find(t, "b", 1);
	assert_true(ps_tenancy_has_admin(t) && ps_tenancy_has_open(t));
	assert_true(ps_tenancy_rate(t, a).per_s == 5 && ps_tenancy_rate(t, a).burst == 5);
	assert_true(ps_tenancy_rate(t, b).per_s == 1.5 && ps_tenancy_rate(t, b).burst == 10);
	assert_false(ps_tenancy_shares(t, a));
	assert_int_equal(ps_tenancy_class(t, a), PS_TENANCY_BEST_EFFORT);
	assert_int_equal(ps_tenancy_queue_limit(t, b), 7);
	assert_int_equal(ps_tenancy_sla(t, a, "m")->limit_ns, 200000000);
	assert_int_equal(ps_tenancy_sla(t, b, "m")->limit_ns, 1000000000);
	assert_false(ps_sla_is_set(ps_tenancy_sla(t, b, "n")));
	ps_serve_snapshot_unref(p);
}

/* What the file names is beside it; what has no slash may be the loader's or no path at all. */
static void test_paths(void **state)
{
	static const char text[] = MODEL
		"listen: ['unix:s/a', 'unix:/b', '127.0.0.1:0']\ngrpc: off\nmetrics: 'unix:m'\n"
		"cache: c\nlibrary: lib/x.so\nstate: st\naccess_log_file: /var/log\n";
	struct ps_serve_snapshot *p;
	struct ps_error err;
	(void)state;
	assert_int_equal(load(text, NULL, &p, &err), PS_OK);
	const struct ps_serve_config *c = p->config;
	const struct {
		const char *is, *before, *after;
	} all[] = {
		{c->listen.items[0], "unix:", "/s/a"},
		{c->metrics.items[0], "unix:", "/m"},
		{c->cache, "", "/c"},
		{c->library, "", "/lib/x.so"},
		{c->state, "", "/st"},
	};
	for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
		char want[128];
		snprintf(want, sizeof want, "%s%s%s", all[i].before, dir, all[i].after);
		assert_string_equal(all[i].is, want);
	}
	assert_string_equal(c->listen.items[1], "unix:/b");
	assert_string_equal(c->listen.items[2], "127.0.0.1:0");
	assert_string_equal(c->grpc.items[0], "off");
	assert_string_equal(c->access_log_file, "/var/log");
	ps_serve_snapshot_unref(p);
	assert_int_equal(load(MODEL "library: x.so\n", NULL, &p, &err), PS_OK);
	assert_string_equal(p->config->library, "x.so");
	ps_serve_snapshot_unref(p);
}

/* A tenant keeps its number over a reload that takes another one away. */
static void test_numbers_stay(void **state)
{
	struct ps_serve_snapshot *first, *second;
	struct ps_error err;
	(void)state;
	assert_int_equal(load(MODEL "tenants: [{name: a, keys: ['" ALPHA "']}, {name: b}]\n", NULL,
			      &first, &err),
			 PS_OK);
	assert_int_equal(load(MODEL "tenants: [{name: c, keys: ['" BETA "']}, {name: b}]\n", first,
			      &second, &err),
			 PS_OK);
	assert_int_equal(second->generation, 2);
	assert_int_equal(ps_tenancy_find(first->tenancy, "b", 1),
			 ps_tenancy_find(second->tenancy, "b", 1));
	assert_int_equal(ps_tenancy_find(second->tenancy, "a", 1), PS_TENANCY_NONE);
	ps_serve_snapshot_unref(first);
	ps_serve_snapshot_unref(second);
}

static void test_keys_file(void **state)
{
	struct ps_serve_keys k;
	struct ps_error err;
	char path[128], *digest = NULL;
	(void)state;
	snprintf(path, sizeof path, "%s/new.yaml", dir);
	assert_int_equal(ps_serve_keys_add(path, "a", ALPHA, "2026", "q\"uo\\te\n", &err), PS_OK);
	assert_int_equal(ps_serve_keys_add(path, NULL, BETA, NULL, NULL, &err), PS_OK);
	assert_int_equal(ps_serve_keys_add(path, "b", BETA, NULL, NULL, &err), PS_EEXIST);
	assert_int_equal(ps_serve_keys_load(path, &k, &err), PS_OK);
	const struct ps_serve_key_config *keys = k.keys.items;
	assert_int_equal(k.keys.len, 2);
	assert_string_equal(keys[0].note, "q\"uo\\te\n");
	assert_null(keys[1].tenant);
	ps_conf_free(&ps_serve_keys_schema, &k);
	assert_int_equal(ps_serve_keys_revoke(path, "8ed3f", NULL, &err), PS_EINVAL);
	assert_int_equal(ps_serve_keys_revoke(path, "123456", NULL, &err), PS_ENOTFOUND);
	assert_int_equal(ps_serve_keys_revoke(path, "sha256:8ed3f6", &digest, &err), PS_OK);
	assert_string_equal(digest, ALPHA);
	free(digest);
	assert_int_equal(ps_serve_keys_revoke(path, "f44e64", NULL, &err), PS_OK);
	assert_int_equal(ps_serve_keys_load(path, &k, &err), PS_OK);
	/* The operator's is gone; a's last one gave way to one that is nobody's. */
	assert_int_equal(k.keys.len, 1);
	keys = k.keys.items;
	assert_string_equal(keys[0].tenant, "a");
	assert_string_not_equal(keys[0].digest, ALPHA);
	assert_non_null(strstr(keys[0].note, "revoked"));
	ps_conf_free(&ps_serve_keys_schema, &k);
}

static void test_schemas(void **state)
{
	struct ps_error err;
	(void)state;
	if (ps_conf_check_schema(&ps_serve_config_schema, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
	assert_int_equal(ps_conf_check_schema(&ps_serve_keys_schema, &err), PS_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {TEST(test_table),	 TEST(test_tenants),
					   TEST(test_paths),	 TEST(test_numbers_stay),
					   TEST(test_keys_file), TEST(test_schemas)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
