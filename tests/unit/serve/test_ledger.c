/* The ledger: memory is charged to those who use it, and the charges add up to what is held; the
 * clock may be set back; what could not be written is tried again and not forgotten. */
// needs: store repo tenancy
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/ledger_internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MINUTE PS_STATE_NS_PER_MINUTE
#define WALL   (1000 * MINUTE + 5 * PS_NS_PER_SEC)

#define EIGHT(x) x x x x x x x x
#define KEY(x)	 "\"sha256:" EIGHT(x x x x x x x x) "\""

/* a and b share, c does not, d may use everything. */
static const char yaml[] =
	"models:\n"
	"  - {name: m, path: m.synthetic.yaml}\n"
	"  - {name: n, path: m.synthetic.yaml}\n"
	"  - {name: o, path: m.synthetic.yaml}\n"
	"tenants:\n"
	"  - {name: a, models: [m], keys: [" KEY(
		"a") "]}\n"
		     "  - {name: b, models: [m, n], keys: [" KEY(
			     "b") "]}\n"
				  "  - {name: c, models: [m, n], share: false, keys: [" KEY(
					  "c") "]}\n"
					       "  - {name: d, keys: [" KEY("d") "]}\n";

struct bench {
	char dir[64];
	struct ps_serve server;
	struct ps_serve_observe observe;
	struct ps_serve_observe_io io;
};

static void write_file(const struct bench *b, const char *name, const char *text)
{
	char path[128];
	snprintf(path, sizeof path, "%s/%s", b->dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void read_config(struct bench *b)
{
	char path[128];
	struct ps_serve_config *c;
	struct ps_error err;
	write_file(b, "m.synthetic.yaml", "{}");
	write_file(b, "serve.yaml", yaml);
	snprintf(path, sizeof path, "%s/serve.yaml", b->dir);
	const struct ps_serve_options o = {.config = path, .ready_fd = -1};
	if (ps_serve_config_load(&o, &c, &err) != PS_OK ||
	    ps_serve_snapshot_new(c, NULL, &b->server.snapshot, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

/* The ledger asks it whether models are loaded on demand. */
static void make_dispatch(struct bench *b)
{
	struct ps_error err;
	const struct ps_dispatch_config c = {.tenancy = b->server.snapshot->tenancy,
					     .repo = b->server.repo,
					     .n_lanes = 1,
					     .cpus = 1};
	assert_int_equal(ps_dispatch_new(&c, &b->server.dispatch, &err), PS_OK);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct ps_error err;
	strcpy(b->dir, "/tmp/perseus-ledger-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	pthread_mutex_init(&b->server.lock, NULL);
	pthread_mutex_init(&b->server.snapshot_lock, NULL);
	pthread_mutex_init(&b->observe.lock, NULL);
	pthread_mutex_init(&b->io.lock, NULL);
	b->server.observe = &b->observe;
	b->observe.server = &b->server;
	b->observe.ios = &b->io;
	b->observe.n_ios = 1;
	b->io.observe = &b->observe;
	read_config(b);
	assert_int_equal(ps_repo_new(&b->server.repo), PS_OK);
	make_dispatch(b);
	assert_int_equal(ps_state_open(b->dir, WALL, &b->observe.state, &err), PS_OK);
	assert_int_equal(ps_serve_ledger_new(&b->observe, &b->observe.ledger, &err), PS_OK);
	b->observe.ledger->minute = WALL / MINUTE;
	b->observe.ledger->last_ns = 0;
	*state = b;
	return 0;
}

static int tear_down(void **state)
{
	struct bench *b = *state;
	char command[96];
	ps_serve_ledger_free(b->observe.ledger);
	ps_state_close(b->observe.state);
	ps_dispatch_free(b->server.dispatch);
	ps_repo_free(b->server.repo);
	ps_serve_snapshot_unref(b->server.snapshot);
	for (size_t i = 0; i < b->io.n_buckets; i++)
		free(b->io.buckets[i]);
	for (size_t i = 0; i < b->observe.n_pairs; i++) {
		free(b->observe.pairs[i]->cells);
		free(b->observe.pairs[i]);
	}
	free(b->io.buckets);
	free(b->observe.pairs);
	snprintf(command, sizeof command, "rm -rf %s", b->dir);
	free(b);
	return system(command);
}

/* Loads `name` in `domain`; the same `content` is the same file. */
static void load(struct bench *b, const char *name, int domain, unsigned char content,
		 int64_t private_bytes, int64_t mapped_bytes)
{
	unsigned char hash[PS_REPO_HASH_SIZE] = {content};
	const struct ps_repo_facts facts = {.private_bytes = private_bytes,
					    .mapped_bytes = mapped_bytes};
	struct ps_repo *r = b->server.repo;
	int model = ps_repo_find(r, name, strlen(name), 1);
	if (model < 0)
		assert_int_equal(ps_repo_put(r, name, 1, name, NULL, 1, &model, NULL), PS_OK);
	assert_int_equal(ps_repo_want(r, model, domain, true), PS_OK);
	int in = ps_repo_next_load(r);
	if (ps_repo_hashed(r, in, hash))
		ps_repo_loaded(r, in, PS_OK, NULL, &facts, b);
	assert_true(ps_repo_serving(r, model, domain) >= 0);
}

static void use(struct bench *b, const char *tenant, const char *name, uint64_t requests)
{
	int t = ps_tenancy_find(b->server.snapshot->tenancy, tenant, strlen(tenant));
	int m = ps_repo_find(b->server.repo, name, strlen(name), 1);
	struct ps_serve_cell *c = ps_serve_find_cell(&b->io, t, m);
	if (!c)
		c = ps_serve_new_cell(&b->io, t, m);
	assert_non_null(c);
	c->counts.outcomes[PS_SERVE_OUTCOME_OK] += requests;
}

struct sums {
	int64_t held, requests;
};

static bool add(void *ctx, const struct ps_state_usage *u)
{
	struct sums *t = ctx;
	t->held += u->resident_byte_s;
	t->requests += u->requests;
	return true;
}

static struct sums of(struct bench *b, const char *tenant)
{
	const struct ps_state_query q = {.tenant = tenant};
	struct sums t = {0};
	struct ps_error err;
	assert_int_equal(ps_state_read(b->observe.state, &q, add, &t, &err), PS_OK);
	return t;
}

static void test_memory_adds_up(void **state)
{
	struct bench *b = *state;
	load(b, "m", PS_REPO_SHARED, 1, 6000, 900); /* a, b */
	load(b, "n", PS_REPO_SHARED, 1, 0, 0);	    /* the same file: the same instance. b */
	load(b, "o", PS_REPO_SHARED, 2, 100, 0);    /* d has used it */
	load(b, "m", 3, 1, 6000, 900);		    /* c's own; what is mapped is the same again */
	use(b, "d", "o", 1);
	use(b, "c", "n", 1); /* c does not share: no part of the shared one is its own */
	ps_serve_ledger_flush(b->observe.ledger, 10 * PS_NS_PER_SEC, WALL + 10 * PS_NS_PER_SEC);
	/* shared: 6000 + 450 over m and n; m again over a and b */
	assert_int_equal(of(b, "a").held, 16125);
	assert_int_equal(of(b, "b").held, 16125 + 32250);
	assert_int_equal(of(b, "c").held, 64500);
	assert_int_equal(of(b, "d").held, 1000);
	assert_int_equal(of(b, "-").held, 0);
	assert_int_equal(of(b, NULL).held, 10 * (6000 + 6000 + 900 + 100));
	assert_int_equal(of(b, NULL).held, 10 * ps_repo_resident_bytes(b->server.repo));
}

/* An instance that is to go holds its memory until its last request is done. */
static void test_memory_of_what_goes(void **state)
{
	struct bench *b = *state;
	load(b, "o", PS_REPO_SHARED, 2, 100, 0);
	int model = ps_repo_find(b->server.repo, "o", 1, 1);
	int in = ps_repo_serving(b->server.repo, model, PS_REPO_SHARED);
	ps_repo_hold(b->server.repo, in);
	assert_int_equal(ps_repo_want(b->server.repo, model, PS_REPO_SHARED, false), PS_OK);
	ps_serve_ledger_flush(b->observe.ledger, 10 * PS_NS_PER_SEC, WALL + 10 * PS_NS_PER_SEC);
	assert_int_equal(of(b, "-").held, 1000);
	ps_repo_release(b->server.repo, in);
	assert_int_equal(ps_repo_next_unload(b->server.repo), in);
	ps_serve_ledger_flush(b->observe.ledger, 20 * PS_NS_PER_SEC, WALL + 20 * PS_NS_PER_SEC);
	assert_int_equal(of(b, "-").held, 2000);
	ps_repo_unloaded(b->server.repo, in);
	ps_serve_ledger_flush(b->observe.ledger, 30 * PS_NS_PER_SEC, WALL + 30 * PS_NS_PER_SEC);
	assert_int_equal(of(b, "-").held, 2000);
}

/* Back over the edge of a minute and forth again: no minute is written over. */
static void test_clock_set_back(void **state)
{
	static const int64_t seconds[] = {5, 50, 60, 65, 58, 59, 61, 120, 119, 10, 70, 3600};
	struct bench *b = *state;
	int64_t n = sizeof seconds / sizeof *seconds;
	load(b, "o", PS_REPO_SHARED, 2, 100, 0);
	for (int64_t i = 0; i < n; i++) {
		use(b, "d", "o", 10);
		ps_serve_ledger_flush(b->observe.ledger, (i + 1) * PS_NS_PER_SEC,
				      1000 * MINUTE + seconds[i] * PS_NS_PER_SEC);
		assert_int_equal(of(b, "d").requests, 10 * (i + 1));
		assert_int_equal(of(b, NULL).held, 100 * (i + 1));
	}
	assert_true(ps_serve_ledger_is_whole(b->observe.ledger));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_memory_adds_up, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_memory_of_what_goes, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_clock_set_back, set_up, tear_down),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
