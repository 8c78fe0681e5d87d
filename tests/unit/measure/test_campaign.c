/* Campaign files: what is refused and where, and what a good one expands to. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "measure/measure_internal.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#define MODELS	     "models:\n  - {name: m, file: m.synthetic.yaml}\n"
#define TENANT(name) "  - {name: " name ", model: m, demand: 4/s, sla: p95<=200ms}\n"
#define TENANTS	     "tenants:\n" TENANT("a") TENANT("b")

static enum ps_status parse(const char *text, struct ps_measure_campaign *c, struct ps_error *err)
{
	return ps_measure_parse(text, strlen(text), "dir/c.yaml", c, err);
}

static void test_refusals(void **state)
{
	static const struct {
		const char *text, *where, *what;
	} rows[] = {
		{"name: x\n" MODELS TENANTS "sed: 1\n", "dir/c.yaml:7:sed", "unknown key"},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, demand: 4ms, sla: p95<=2s}\n",
		 "dir/c.yaml:5:", ""},
		{"name: x\n" MODELS "tenants:\n  - {name: a, model: m, demand: 4/s, sla: fast}\n",
		 "dir/c.yaml:5:", ""},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, demand: 0/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:", ""},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: q, demand: 4/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:tenants.model", "no model \"q\""},
		{"name: x\n" MODELS "tenants:\n" TENANT("a") TENANT("a"),
		 "dir/c.yaml:6:tenants.name", "two tenants"},
		{"name: x\n" MODELS "tenants:\n" TENANT("a/b"), "dir/c.yaml:5:tenants.name",
		 "no name"},
		{"name: x\nmodels:\n  - {name: m}\n" TENANTS, "dir/c.yaml:3:models.file",
		 "either file or zoo"},
		{"name: x\nmodels:\n  - {name: m, zoo: resnet51}\n" TENANTS,
		 "dir/c.yaml:3:models.zoo", "resnet51"},
		{"name: x\nmodels:\n  - {name: m, zoo: resnet50, file: f}\n" TENANTS,
		 "dir/c.yaml:3:models.file", "either file or zoo"},
		{"name: x\n" MODELS TENANTS "sets:\n  - {name: s, tenants: [a, z]}\n",
		 "dir/c.yaml:8:sets.tenants", "no tenant \"z\""},
		{"name: x\n" MODELS TENANTS "sets:\n  - {name: s, tenants: [a, a]}\n",
		 "dir/c.yaml:8:sets.tenants", "twice"},
		{"name: x\n" MODELS TENANTS "search: {step: 8}\n", "dir/c.yaml:7:", ""},
		{"name: x\n" MODELS TENANTS "slice: {memory: 4}\n", "dir/c.yaml:7:", ""},
		{"name: x\n" MODELS TENANTS
		 "grids:\n  - {name: g, axes: [{tenant: z, rates: [1/s]}]}\n",
		 "dir/c.yaml:8:grids.axes.tenant", "no tenant \"z\""},
		{"name: x\n" MODELS TENANTS
		 "grids:\n  - {name: g, axes: [{tenant: a, rates: [1/s, 1 ms]}]}\n",
		 "dir/c.yaml:8:grids.axes.rates", "no rate"},
		{"name: x\n" MODELS TENANTS
		 "grids:\n  - {name: g, axes: [{tenant: a, rates: [60/min, 1/s]}]}\n",
		 "dir/c.yaml:8:grids.axes.rates", "twice"},
		{"name: x\n" MODELS TENANTS
		 "grids:\n  - {name: g, axes: [{tenant: a, rates: [0]}]}\n",
		 "dir/c.yaml:8:grids.axes", "no point"},
		{"name: x\n" MODELS TENANTS "grids:\n  - {name: g, axes: [{tenant: a, rates: [1]}, "
		 "{tenant: a, rates: [2]}]}\n",
		 "dir/c.yaml:8:grids.axes.tenant", "two axes"},
		{"name: x\n" MODELS TENANTS "frontiers:\n  - {name: f, tenants: [a, a]}\n",
		 "dir/c.yaml:8:frontiers.tenants", "twice"},
		{"name: x\n" MODELS TENANTS "search: {sets: none}\n"
		 "frontiers:\n  - {name: f, tenants: [a, b]}\n",
		 "dir/c.yaml:9:frontiers", "capacities alone"},
		{"name: x\n" MODELS TENANTS
		 "frontiers:\n  - {name: f, tenants: [a, b], shares: [5%, 100%]}\n",
		 "dir/c.yaml:8:frontiers.shares", "no share"},
		{"name: x\n" MODELS TENANTS
		 "frontiers:\n  - {name: f, tenants: [a, b], shares: [5 %]}\n",
		 "dir/c.yaml:8:frontiers.shares", "no share"},
		{"name: x\n" MODELS TENANTS
		 "frontiers:\n  - {name: f, tenants: [a, b], shares: [nan]}\n",
		 "dir/c.yaml:8:frontiers.shares", "no share"},
		{"name: x\n" MODELS TENANTS
		 "frontiers:\n  - {name: f, tenants: [a, b], shares: [5%, 0.05]}\n",
		 "dir/c.yaml:8:frontiers.shares", "twice"},
		{"name: x\n" MODELS TENANTS "server: {url: 'http://a', order: arrival}\n",
		 "dir/c.yaml:7:server.order", "its own business"},
		{"name: x\n" MODELS TENANTS "packings:\n  - {tenant: z}\n",
		 "dir/c.yaml:8:packings.tenant", "no tenant"},
		{"name: x\n" MODELS TENANTS "profile: {batches: [1, 0]}\n",
		 "dir/c.yaml:7:profile.batches", "no batch size"},
		{"name: x\n" MODELS TENANTS "profile:\n  trials: 1\n  'batches':\n    - 0\n",
		 "dir/c.yaml:9:profile.batches", "no batch size"},
		{"name: x\n" MODELS TENANTS "profile: {batches: [2, 2]}\n",
		 "dir/c.yaml:7:profile.batches", "twice"},
		{"name: x\n" MODELS TENANTS "server: {url: 'http://h'}\nslice: {cpus: 0}\n",
		 "dir/c.yaml:8:slice", "remote"},
		{"name: x\n" MODELS TENANTS "server: {url: 'http://h'}\ncold: {trials: 1}\n",
		 "dir/c.yaml:8:cold", "anew"},
		{"name: x\n" MODELS TENANTS "server: {url: ''}\n", "dir/c.yaml:7:server.url",
		 "empty"},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, demand: 4000/s, sla: p95<=2s}\n"
		 "confirm: {trials: 1, duration: 1h}\n",
		 "dir/c.yaml:5:tenants.demand", "requests"},
		{"name: x\n" MODELS TENANTS "server: {metrics: 'http://h'}\n",
		 "dir/c.yaml:7:server.metrics", "server.url"},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, demand: 4/s, sla: p95<=2s, key_env: K}\n",
		 "dir/c.yaml:5:tenants.key_env", "no server.url"},
		{"name: x\n" MODELS TENANTS "server: {url: 'grpc://h:1'}\n",
		 "dir/c.yaml:7:server.url", "needs HTTP"},
		{"name: x\n" MODELS TENANTS "server: {url: 'ftp://h'}\n", "dir/c.yaml:7:server.url",
		 ""},
		{"name: x\n" MODELS TENANTS "server: {url: 'http://h', metrics: 'grpc://h'}\n",
		 "dir/c.yaml:7:server.metrics", "needs HTTP"},
		{"name: x\n" MODELS TENANTS "server: {tls_ca: ca.pem}\n", "dir/c.yaml:7:server",
		 "server.url"},
		{"name: x\n" MODELS "tenants:\n  - {name: a, model: m, demand: 4/s, sla: p95<=2s, "
		 "url: ['http://h']}\n",
		 "dir/c.yaml:5:tenants.url", "no server.url"},
		{"name: x\n" MODELS "server: {url: 'http://h'}\n"
		 "tenants:\n  - {name: a, model: m, demand: 4/s, sla: p95<=2s, url: ['x://h']}\n",
		 "dir/c.yaml:6:tenants.url", ""},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, demand: 4/s, sla: p95<=2s, in_process: m}\n",
		 "dir/c.yaml:5:tenants.in_process", "no server"},
		{"name: x\n" MODELS "tenants:\n  - {name: a, demand: 4/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:tenants.model", "either model or mix"},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, model: m, mix: [m], demand: 4/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:tenants.model", "either model or mix"},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, mix: [m, 'z@2,weight=3'], demand: 4/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:tenants.mix", "\"z@2,weight=3\""},
		{"name: x\n" MODELS
		 "tenants:\n  - {name: a, mix: ['m,batch=2'], demand: 4/s, sla: p95<=2s}\n",
		 "dir/c.yaml:5:tenants.mix", "batch sizes"},
		{"name: x\n" MODELS TENANTS "search: {sets: none}\nconfirm: {at_capacity: 1}\n",
		 "dir/c.yaml:8:confirm", "needs capacities"},
		{"name: x\n" MODELS, "dir/c.yaml:1:tenants", "missing"},
		{"- 1\n", "dir/c.yaml", ""},
		{"", "dir/c.yaml", ""},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_measure_campaign c;
		struct ps_error err;
		if (parse(rows[i].text, &c, &err) == PS_OK) {
			fail_msg("row %zu was accepted", i);
		}
		if (strncmp(err.where, rows[i].where, strlen(rows[i].where)) != 0 ||
		    !strstr(err.what, rows[i].what)) {
			fail_msg("row %zu: %s: %s", i, err.where, err.what);
		}
	}
}

static void plan(const char *text, struct ps_measure_campaign *c, struct ps_arena *a,
		 struct ps_store_campaign *ret)
{
	struct ps_error err;
	if (parse(text, c, &err) != PS_OK || ps_measure_plan(c, NULL, a, ret, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
}

static void test_plan(void **state)
{
	(void)state;
	struct ps_measure_campaign c;
	struct ps_store_campaign p;
	struct ps_arena a;
	ps_arena_init(&a, 0);
	plan("name: x\nseed: 5\n" MODELS TENANTS "confirm: {trials: 4, at_capacity: 2}\n", &c, &a,
	     &p);
	assert_int_equal(p.set_len, 3);
	assert_string_equal(p.sets[2].name, "together");
	assert_int_equal(p.sets[2].member_len, 2);
	assert_int_equal(p.cell_len, 3 + 3 * 4 + 3 * 2);
	assert_string_equal(p.cells[2].key, "search/together");
	/* every set once in each block, and a block mirrors the one before */
	for (int b = 0; b < 4; b++) {
		int seen = 0;
		for (int i = 0; i < 3; i++) {
			const struct ps_store_cell *x = &p.cells[3 + 3 * b + i];
			assert_int_equal(x->kind, PS_STORE_CONFIRM);
			assert_int_equal(x->block, b);
			seen |= 1 << x->set;
			if (b % 2) {
				assert_int_equal(x->set, p.cells[3 + 3 * (b - 1) + 2 - i].set);
			}
		}
		assert_int_equal(seen, 7);
	}
	assert_int_equal(p.cells[15].kind, PS_STORE_CAPACITY);
	ps_arena_fini(&a);
	ps_measure_free(&c);
	/* at capacity only what has one */
	ps_arena_init(&a, 0);
	plan("name: x\n" MODELS TENANTS "search: {sets: alone}\n"
	     "confirm: {trials: 1, at_capacity: 1}\n",
	     &c, &a, &p);
	assert_int_equal(p.cell_len, 2 + 3 + 2);
	for (int i = 5; i < 7; i++) {
		assert_int_equal(p.cells[i].kind, PS_STORE_CAPACITY);
		assert_int_equal(p.sets[p.cells[i].set].member_len, 1);
	}
	ps_arena_fini(&a);
	ps_measure_free(&c);
}

static void test_sets(void **state)
{
	static const struct {
		const char *more;
		size_t sets;
	} rows[] = {
		{"", 4},
		{"together: none\n", 3},
		{"together: pairs\n", 6},
		{"together: pairs\nsets:\n  - {name: all, tenants: [c, a, b]}\n", 7},
		{"together: none\nsubsets: 2\n", 6},
		{"together: pairs\nsubsets: 2\n", 6},
		{"subsets: 2\n", 7},
		{"subsets: 3\n", 4}, /* that is all of them together */
		{"together: none\nfrontiers:\n  - {name: f, tenants: [c, a]}\n", 4},
		{"together: pairs\nfrontiers:\n  - {name: f, tenants: [c, a]}\n", 6},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct ps_measure_campaign c;
		struct ps_store_campaign p;
		struct ps_arena a;
		ps_arena_init(&a, 0);
		(void)snprintf(text, sizeof(text), "name: x\n%s%s%s", MODELS, TENANTS TENANT("c"),
			       rows[i].more);
		plan(text, &c, &a, &p);
		assert_int_equal(p.set_len, rows[i].sets);
		for (size_t k = 0; k < p.set_len; k++) {
			for (int m = 1; m < p.sets[k].member_len; m++) {
				assert_true(p.sets[k].members[m] > p.sets[k].members[m - 1]);
			}
		}
		ps_arena_fini(&a);
		ps_measure_free(&c);
	}
	struct ps_measure_campaign c;
	struct ps_store_campaign p;
	struct ps_arena a;
	struct ps_error err;
	ps_arena_init(&a, 0);
	assert_int_equal(parse("name: x\n" MODELS TENANTS
			       "sets:\n  - {name: again, tenants: [a, b]}\n",
			       &c, &err),
			 PS_OK);
	assert_int_equal(ps_measure_plan(&c, NULL, &a, &p, &err), PS_EPARSE);
	assert_non_null(strstr(err.what, "same tenants"));
	assert_non_null(strstr(err.where, "c.yaml:8:sets"));
	ps_measure_free(&c);
	ps_arena_fini(&a);
}

static int count_kind(const struct ps_store_campaign *p, enum ps_store_cell_kind kind)
{
	int n = 0;
	for (size_t i = 0; i < p->cell_len; i++) {
		n += p->cells[i].kind == kind;
	}
	return n;
}

static const struct ps_store_cell *cell_of(const struct ps_store_campaign *p, const char *key)
{
	for (size_t i = 0; i < p->cell_len; i++) {
		if (strcmp(p->cells[i].key, key) == 0) {
			return &p->cells[i];
		}
	}
	fail_msg("there is no cell %s", key);
	return NULL;
}

/* Every kind of cell, in numbers; what is only of a grid is neither searched nor confirmed. */
static void test_kinds(void **state)
{
	static const struct {
		const char *more;
		int searches, frontiers, packs, confirms, rates, colds, profiles, operators;
	} rows[] = {
		{"", 3, 0, 0, 12, 0, 0, 0, 0},
		{"search: {sets: alone}\nconfirm: {trials: 0}\n", 2, 0, 0, 0, 0, 0, 0, 0},
		{"together: none\nfrontiers:\n  - {name: f, tenants: [b, a], points: 3}\n", 2, 3, 0,
		 8, 0, 0, 0, 0},
		{"together: none\npackings:\n  - {tenant: a}\n", 2, 0, 1, 8, 0, 0, 0, 0},
		{"search: {sets: none}\nconfirm: {trials: 0}\ntogether: none\n"
		 "grids:\n  - {name: g, trials: 2, axes: [{tenant: b, rates: [0, 2, 3]},"
		 " {tenant: a, rates: [0, 60/min]}]}\n",
		 0, 0, 0, 0, 10, 0, 0, 0},
		{"search: {sets: none}\nconfirm: {trials: 0}\ncold: {trials: 3}\n"
		 "profile: {trials: 2}\noperators: {runs: 5}\n",
		 0, 0, 0, 0, 0, 3, 2, 1},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		char text[1024];
		struct ps_measure_campaign c;
		struct ps_store_campaign p;
		struct ps_arena a;
		ps_arena_init(&a, 0);
		(void)snprintf(text, sizeof(text), "name: x\n%s%s", MODELS TENANTS, rows[i].more);
		plan(text, &c, &a, &p);
		assert_int_equal(count_kind(&p, PS_STORE_SEARCH), rows[i].searches);
		assert_int_equal(count_kind(&p, PS_STORE_FRONTIER), rows[i].frontiers);
		assert_int_equal(count_kind(&p, PS_STORE_PACK), rows[i].packs);
		assert_int_equal(count_kind(&p, PS_STORE_CONFIRM), rows[i].confirms);
		assert_int_equal(count_kind(&p, PS_STORE_RATES), rows[i].rates);
		assert_int_equal(count_kind(&p, PS_STORE_COLD), rows[i].colds);
		assert_int_equal(count_kind(&p, PS_STORE_PROFILE), rows[i].profiles);
		assert_int_equal(count_kind(&p, PS_STORE_OPERATORS), rows[i].operators);
		for (size_t k = 0; k < p.cell_len; k++) {
			assert_true(ps_measure_cell_ns(&c, &p.cells[k]) > PS_NS_PER_SEC / 2);
		}
		ps_arena_fini(&a);
		ps_measure_free(&c);
	}
}

/* A tenant with a mix: every model of it is measured cold, by the first tenant that asks it. */
static void test_mix(void **state)
{
	static const char text[] =
		"name: x\nmodels:\n  - {name: m, file: f}\n  - {name: n, file: g}\n"
		"  - {name: unused, file: h}\ntenants:\n" TENANT(
			"a") "  - {name: b, mix: ['n,weight=3', 'm@1', n], demand: 4/s, sla: "
			     "p95<=2s}\n"
			     "search: {sets: none}\nconfirm: {trials: 0}\ncold: {trials: 1}\n";
	struct ps_measure_campaign c;
	struct ps_store_campaign p;
	struct ps_arena a;
	int models[PS_MEASURE_MAX_TENANTS];
	(void)state;
	ps_arena_init(&a, 0);
	plan(text, &c, &a, &p);
	const struct ps_measure_tenant *t = c.tenants.items;
	assert_int_equal(ps_measure_tenant_models(&c, &t[0], models), 1);
	assert_int_equal(ps_measure_tenant_models(&c, &t[1], models), 2);
	assert_true(models[0] == 1 && models[1] == 0);
	assert_string_equal(p.tenants[0].model, "m");
	assert_string_equal(p.tenants[1].model, "n+m");
	assert_int_equal(p.cell_len, 2);
	assert_int_equal(cell_of(&p, "cold/0/m")->set, 0);
	assert_int_equal(cell_of(&p, "cold/0/n")->set, 1);
	ps_arena_fini(&a);
	ps_measure_free(&c);
}

/* Rates and rays are given in the order of the set's members, whatever the file's. */
static void test_points(void **state)
{
	(void)state;
	struct ps_measure_campaign c;
	struct ps_store_campaign p;
	struct ps_arena a;
	double rates[2], shares[2];
	ps_arena_init(&a, 0);
	plan("name: x\n" MODELS TENANTS
	     "grids:\n  - {name: g, trials: 1, axes: [{tenant: b, rates: [0, 2, 3]},"
	     " {tenant: a, rates: [0, 60/min]}]}\n"
	     "frontiers:\n  - {name: f, tenants: [b, a], points: 3}\n"
	     "  - {name: s, tenants: [a, b], shares: [6%, 0.5]}\n",
	     &c, &a, &p);
	const struct ps_measure_grid *g = c.grids.items;
	const struct ps_measure_frontier *f = c.frontiers.items;
	const struct ps_store_cell *x = cell_of(&p, "rates/g/0/1+3");
	assert_int_equal(p.sets[x->set].member_len, 2);
	assert_true(ps_measure_grid_rates(&c, g, x->point, &p.sets[x->set], rates));
	assert_true(rates[0] == 1 && rates[1] == 3);
	x = cell_of(&p, "rates/g/0/0+2");
	assert_true(ps_measure_grid_rates(&c, g, x->point, &p.sets[x->set], rates));
	assert_true(rates[0] == 0 && rates[1] == 2);
	/* the silent member has no results: what was loaded first is b */
	const struct ps_measure_load_plan load = {.rates = rates};
	assert_int_equal(ps_measure_place(&load, &p.sets[x->set], 0), 1);
	x = cell_of(&p, "frontier/f/0.25"); /* of the second: a */
	ps_measure_frontier_shares(&c, f, x->point, &p.sets[x->set], shares);
	assert_true(shares[0] == 0.25 && shares[1] == 0.75);
	x = cell_of(&p, "frontier/s/0.06");
	ps_measure_frontier_shares(&c, &f[1], x->point, &p.sets[x->set], shares);
	assert_true(shares[0] == 0.94 && shares[1] == 0.06);
	assert_non_null(cell_of(&p, "frontier/s/0.5"));
	assert_int_equal(f[1].points, 2);
	ps_arena_fini(&a);
	ps_measure_free(&c);
}

static void test_too_many(void **state)
{
	(void)state;
	struct ps_measure_campaign c;
	struct ps_store_campaign p;
	struct ps_arena a;
	struct ps_error err;
	char text[4096] = "name: x\n" MODELS "together: none\nsubsets: 4\ntenants:\n";
	for (int i = 0; i < 12; i++) { /* 12 over 4 is 495 */
		size_t at = strlen(text);
		(void)snprintf(text + at, sizeof(text) - at,
			       "  - {name: t%d, model: m, demand: 4/s, sla: p95<=200ms}\n", i);
	}
	ps_arena_init(&a, 0);
	assert_int_equal(parse(text, &c, &err), PS_OK);
	assert_int_equal(ps_measure_plan(&c, NULL, &a, &p, &err), PS_EPARSE);
	assert_non_null(strstr(err.what, "over 256 sets"));
	ps_arena_fini(&a);
	ps_measure_free(&c);
}

/* The examples are good, and the short one keeps to its five minutes. */
static void test_examples(void **state)
{
	static const struct {
		const char *path;
		double low_s, high_s;
	} rows[] = {
		{PS_SOURCE_DIR "/examples/two-cnns.yaml", 200, 285},
		{PS_SOURCE_DIR "/examples/two-cnns-full.yaml", 45 * 60, 75 * 60},
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_measure_campaign c;
		struct ps_error err;
		if (ps_measure_load(rows[i].path, &c, &err) != PS_OK) {
			fail_msg("%s: %s", err.where, err.what);
		}
		double s = (double)ps_measure_duration_ns(&c) / 1e9;
		if (s < rows[i].low_s || s > rows[i].high_s) {
			fail_msg("%s takes %.0f s", rows[i].path, s);
		}
		assert_true(ps_cpus_count(&c.slice.cpus) == 2);
		ps_measure_free(&c);
	}
}

/* Every campaign in the folder is good, and takes between one minute and two hours. */
static void test_example_campaigns(void **state)
{
	DIR *d = opendir(PS_SOURCE_DIR "/examples/campaigns");
	int found = 0;
	(void)state;
	assert_non_null(d);
	for (struct dirent *e = readdir(d); e; e = readdir(d)) {
		char path[512];
		struct ps_measure_campaign c;
		struct ps_error err;
		if (!strstr(e->d_name, ".yaml")) {
			continue;
		}
		(void)snprintf(path, sizeof(path), PS_SOURCE_DIR "/examples/campaigns/%s",
			       e->d_name);
		if (ps_measure_load(path, &c, &err) != PS_OK) {
			fail_msg("%s: %s", err.where, err.what);
		}
		double s = (double)ps_measure_duration_ns(&c) / 1e9;
		if (s < 60 || s > 7200) {
			fail_msg("%s takes %.0f s", path, s);
		}
		ps_measure_free(&c);
		found++;
	}
	(void)closedir(d);
	assert_true(found >= 6);
}

/* ---- the host's samples ---- */

static struct ps_host_sample sample(int64_t at_s, int64_t server_s, int64_t self_s, int64_t steal_s)
{
	return (struct ps_host_sample){
		.at_ns = at_s * PS_NS_PER_SEC,
		.server = {.cpu_ns = server_s * PS_NS_PER_SEC,
			   .rss_bytes = 10,
			   .peak_rss_bytes = 20},
		.self = {.cpu_ns = self_s * PS_NS_PER_SEC, .rss_bytes = 5},
		.cpu = {.steal_ns = steal_s * PS_NS_PER_SEC},
	};
}

static void test_samples(void **state)
{
	(void)state;
	/* the load begins at 100 s: 2 s of warm-up, 4 s measured; samples at 90, 99, 101, 103 ...
	 */
	const struct ps_host_sample in[] = {sample(90, 5, 1, 0),   sample(99, 10, 2, 3),
					    sample(101, 12, 2, 3), sample(103, 16, 3, 3),
					    sample(105, 20, 4, 5), sample(107, 24, 5, 5)};
	struct ps_load_result r = {.start_ns = 100 * PS_NS_PER_SEC};
	struct ps_store_trial t = {.warmup_ns = 2 * PS_NS_PER_SEC,
				   .duration_ns = 4 * PS_NS_PER_SEC};
	struct ps_arena a;
	ps_arena_init(&a, 0);
	assert_int_equal(ps_measure_convert_samples(in, 6, &r, &a, &t, NULL), PS_OK);
	assert_int_equal(t.sample_len, 5);
	assert_int_equal(t.samples[0].at_ns, 0);
	assert_int_equal(t.samples[0].server_cpu_ns, 0);
	assert_int_equal(t.samples[1].at_ns, PS_NS_PER_SEC);
	assert_int_equal(t.samples[1].server_cpu_ns, 2 * PS_NS_PER_SEC);
	/* from 2 s (4 s used) to 6 s (12 s used) */
	assert_int_equal(t.server_cpu_ns, 8 * PS_NS_PER_SEC);
	assert_int_equal(t.generator_cpu_ns, 2 * PS_NS_PER_SEC);
	assert_int_equal(t.steal_ns, 2 * PS_NS_PER_SEC);
	assert_int_equal(t.server_peak_rss_bytes, 20);
	ps_arena_fini(&a);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_refusals),
		cmocka_unit_test(test_plan),
		cmocka_unit_test(test_mix),
		cmocka_unit_test(test_sets),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_points),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_examples),
		cmocka_unit_test(test_example_campaigns),
		cmocka_unit_test(test_samples),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
