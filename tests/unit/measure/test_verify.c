/* Verdicts of several looks, where a planned machine fits, and the campaign that it becomes. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/file.h"
#include "measure/measure_internal.h"
#include "measure/verify.h"
#include "measure/verify_internal.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GIB (INT64_C(1) << 30)

/* ---- verdicts ---- */

/* A trial as letters, one per tenant: m met, v violated, u undecided, r met and rising, R violated
 * and rising, L late generator, - silent. */
static struct ps_store_trial make_trial(const char *letters, struct ps_store_result *results)
{
	size_t n = 0;
	for (int i = 0; letters[i]; i++) {
		char c = letters[i];
		bool invalid = c == 'r' || c == 'R' || c == 'L';
		if (c == '-') {
			continue;
		}
		results[n++] = (struct ps_store_result){
			.tenant = i,
			.scheduled = 100,
			.ok = 90,
			.good = 80,
			.sla_decided = c != 'u',
			.sla_met = c == 'm' || c == 'r' || c == 'L',
			.sla_needs_more = 7,
			.valid = !invalid,
			.reasons = c == 'L'  ? "send-lag: 9 ms"
				   : invalid ? "unsteady-rising: 3 s"
					     : NULL,
			.effective_ratio = 1,
		};
	}
	return (struct ps_store_trial){.results = results, .result_len = n, .reasons = "why"};
}

static void test_verdicts(void **state)
{
	static const struct {
		const char *trials[4]; /* in their order */
		const char *verdicts;  /* m v u I -, per tenant */
		int trial[2];	       /* that they are of */
		bool decided;
	} rows[] = {
		{{"mv"}, "mv", {0, 0}, true},
		{{"mu"}, "mu", {0, 0}, false},
		{{"mu", "vm"}, "mm", {0, 1}, true}, /* the first look that decides */
		{{"uu", "uu", "uv"}, "uv", {2, 2}, false},
		{{"rm"}, "um", {0, 0}, false}, /* nobody keeps it with a growing backlog */
		{{"Rm"}, "vm", {0, 0}, true},
		{{"Lm"}, "II", {0, 0}, false}, /* the other met too little load, too */
		{{"Lv", "mv"}, "mv", {1, 1}, true},
		{{"um", "LL"}, "um", {0, 0}, false},
		{{"LL", "um"}, "um", {1, 1}, false},
		{{"m-"}, "m-", {0, -1}, true},
		{{NULL}, "--", {-1, -1}, false},
	};
	const struct ps_sla sla = {.percentile = 0.9, .limit_ns = 1};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ps_store_result results[4][2];
		struct ps_store_trial trials[4];
		struct ps_measure_judged j;
		size_t n = 0;
		for (; n < 4 && rows[i].trials[n]; n++) {
			trials[n] = make_trial(rows[i].trials[n], results[n]);
		}
		assert_int_equal(ps_measure_decided(trials, n), rows[i].decided);
		for (int t = 0; t < 2; t++) {
			assert_int_equal(ps_measure_judge(trials, n, t, &sla, &j, NULL), PS_OK);
			if ("mvuI-"[j.verdict] != rows[i].verdicts[t] ||
			    j.trial != rows[i].trial[t]) {
				fail_msg("row %zu, tenant %d: %s of trial %d", i, t,
					 ps_measure_verdict_name(j.verdict), j.trial);
			}
			assert_int_equal(j.over, j.trial < 0 ? 0 : 20);
			assert_int_equal(j.needs_more, j.verdict == PS_MEASURE_UNDECIDED ? 7 : 0);
			assert_true((j.verdict == PS_MEASURE_INVALID) == (j.reasons != NULL));
		}
	}
}

/* ---- where it fits ---- */

static const struct ps_measure_machine_tenant two[] = {
	{"a", "m", 10, {.percentile = 0.99, .limit_ns = 1000000, .min_success = 0.99}},
	{"b", "m", 0.5, {.percentile = 0.9, .limit_ns = 1000000, .min_success = 0.99}},
};
static const struct ps_measure_machine_model model = {"m", "/x/m.onnx"};

static struct ps_measure_machine machine(int lanes)
{
	return (struct ps_measure_machine){
		.instance_type = "p/t",
		.lanes = lanes,
		.memory_bytes = 4 * GIB,
		.needed_bytes = GIB,
		.config = "keys_file: keys.yaml\n",
		.models = &model,
		.tenants = two,
		.model_len = 1,
		.tenant_len = 2,
	};
}

static void test_fit(void **state)
{
	struct ps_measure_machine_tenant bad[2], many[PS_MEASURE_MAX_MEMBERS + 1] = {{0}};
	struct ps_measure_here here = {.memory_bytes = 2 * GIB};
	struct ps_measure_slot slot;
	char why[200], text[PS_CPUS_SIZE];
	(void)state;
	assert_int_equal(ps_cpus_parse("1,3-4", &here.cpus, NULL), PS_OK);
	struct ps_measure_machine m = machine(2);
	assert_true(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	assert_string_equal(ps_cpus_format(&slot.cpus, text), "1,3");
	assert_int_equal(slot.generator_cpu, 4);
	assert_true(slot.memory_bytes == 2 * GIB); /* there is no more */
	m = machine(3);
	m.memory_bytes = GIB;
	assert_true(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	assert_int_equal(slot.generator_cpu, -1);
	assert_true(slot.memory_bytes == GIB);
	m = machine(4);
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	assert_string_equal(why, "it has 4 vCPUs, and here are 3 CPUs");
	m = machine(1);
	m.gpus = 1;
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	assert_non_null(strstr(why, "GPU"));
	m = machine(1);
	m.needed_bytes = 3 * GIB;
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	assert_non_null(strstr(why, "foreseen"));
	m = machine(1);
	m.tenants = many;
	m.tenant_len = PS_MEASURE_MAX_MEMBERS + 1;
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	m = machine(1);
	memcpy(bad, two, sizeof(bad));
	m.tenants = bad;
	bad[1].name = "b\" {";
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	bad[1].name = "b";
	bad[1].rate_rps = 1e-4;
	assert_false(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
	bad[1].rate_rps = 0;
	assert_true(ps_measure_fit(&here, &m, &slot, why, sizeof(why)));
}

/* ---- for how long, and as what ---- */

static void test_first_trial(void **state)
{
	struct ps_measure_machine_tenant one = two[0];
	struct ps_measure_machine m = machine(1);
	(void)state;
	m.tenants = &one;
	m.tenant_len = 1;
	int64_t ns = ps_measure_first_ns(&m, INT64_MAX / 4);
	/* What it sends can decide, were it independent: with 2 of them late, at the first look. */
	uint64_t n = (uint64_t)((double)ns / 1e9 * one.rate_rps), more;
	assert_true(ps_stats_early_stop(0.99, n, 2, 1, 0.99, 1, &more));
	assert_false(ps_stats_early_stop(0.99, n / 2, 2, 1, 0.99, 1, &more));
	one.rate_rps = 5; /* half the rate, twice the time */
	assert_true(llabs(ps_measure_first_ns(&m, INT64_MAX / 4) - 2 * ns) < 10);
	one.sla.percentile = 0.5;
	assert_true(ps_measure_first_ns(&m, INT64_MAX / 4) == 10 * PS_NS_PER_SEC);
	assert_true(ps_measure_first_ns(&m, PS_NS_PER_SEC) == PS_NS_PER_SEC);
	one.rate_rps = 0;
	assert_true(ps_measure_first_ns(&m, INT64_MAX / 4) == 10 * PS_NS_PER_SEC);
}

/* The text is a campaign of one cell that says what was asked. */
static void test_campaign(void **state)
{
	const struct ps_measure_patience patience = {3 * PS_NS_PER_SEC, 9 * PS_NS_PER_SEC, 5};
	struct ps_measure_machine_tenant silent[2];
	struct ps_measure_machine m = machine(2);
	struct ps_measure_slot slot = {.memory_bytes = GIB, .generator_cpu = 5};
	struct ps_measure_campaign c;
	struct ps_store_campaign plan;
	struct ps_strbuf text;
	struct ps_arena a;
	struct ps_error err;
	char cpus[PS_CPUS_SIZE];
	double rates[PS_MEASURE_MAX_MEMBERS];
	(void)state;
	memcpy(silent, two, sizeof(silent));
	silent[1].rate_rps = 0;
	m.tenants = silent;
	ps_cpus_add(&slot.cpus, 2);
	ps_strbuf_init(&text);
	ps_arena_init(&a, 0);
	ps_strbuf_puts(&text, "name: x\n");
	ps_measure_machine_text(&m, &slot, &patience, 11, &text);
	if (ps_measure_parse(text.data, text.len, "x.yaml", &c, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	assert_int_equal(c.seed, 11);
	assert_int_equal(c.generator_cpu, 5);
	assert_string_equal(ps_cpus_format(&c.slice.cpus, cpus), "2");
	assert_true(c.slice.memory_bytes == GIB);
	assert_int_equal(ps_measure_plan(&c, NULL, &a, &plan, NULL), PS_OK);
	assert_int_equal(plan.cell_len, 1);
	assert_int_equal(plan.cells[0].kind, PS_STORE_RATES);
	const struct ps_measure_grid *g = c.grids.items;
	assert_true(g->duration_ns == 3 * PS_NS_PER_SEC && g->warmup_ns == 5 &&
		    g->until_decided_ns == 9 * PS_NS_PER_SEC);
	assert_true(ps_measure_grid_rates(&c, g, plan.cells[0].point, &plan.sets[plan.cells[0].set],
					  rates));
	assert_true(rates[0] == 10 && rates[1] == 0);
	assert_true(ps_measure_cell_ns(&c, &plan.cells[0]) >= 9 * PS_NS_PER_SEC);
	ps_arena_fini(&a);
	ps_strbuf_fini(&text);
	ps_measure_free(&c);
}

/* ---- what it goes by when it is found again ---- */

static char dir[] = "/tmp/perseus-verify-XXXXXX";

static void put_model(const char *name, const char *text)
{
	char path[200];
	(void)snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(ps_file_write(path, text, strlen(text), NULL), PS_OK);
}

/* What may be changed of a machine. */
struct known {
	const char *file, *config, *type;
	double rate_rps;
	int64_t memory_bytes, seed;
};

static void digest_of(const struct known *k, char ret[PS_TENANCY_DIGEST_SIZE])
{
	const struct ps_measure_patience patience = {3 * PS_NS_PER_SEC, 9 * PS_NS_PER_SEC, 5};
	struct ps_measure_slot slot = {.memory_bytes = k->memory_bytes, .generator_cpu = -1};
	struct ps_measure_machine_tenant tenants[2];
	struct ps_measure_machine_model at = {.name = "m"};
	struct ps_measure_machine m = machine(1);
	struct ps_measure_campaign c;
	struct ps_strbuf text;
	struct ps_error err;
	char path[200];
	memcpy(tenants, two, sizeof(tenants));
	tenants[0].rate_rps = k->rate_rps;
	m.tenants = tenants;
	m.instance_type = k->type;
	(void)snprintf(path, sizeof(path), "%s/%s", dir, k->file);
	at.path = path;
	m.models = &at;
	ps_cpus_add(&slot.cpus, 0);
	ps_strbuf_init(&text);
	ps_strbuf_puts(&text, "name: x\n");
	ps_measure_machine_text(&m, &slot, &patience, k->seed, &text);
	if (ps_measure_parse(text.data, text.len, "x.yaml", &c, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	c.server_config = strdup(k->config);
	if (ps_measure_verify_digest(&c, ret, &err) != PS_OK) {
		fail_msg("%s: %s", err.where, err.what);
	}
	ps_strbuf_fini(&text);
	ps_measure_free(&c);
}

#define CONFIG(head, path, weight)                                                                 \
	head "keys_file: keys.yaml\nmodels:\n  - name: \"m # 1\"\n    path: " path                 \
	     "\ntenants:\n  - name: a\n    weight: " weight

static void test_digest(void **state)
{
	const struct known base = {
		"a.yaml", CONFIG("# Machine 1 of 3\n", "/x/a", "5 # 12 %\n"), "p/one", 10, GIB, 1};
	struct {
		struct known k;
		bool same;
	} rows[] = {{base, true},  {base, true},  {base, true},	 {base, false},
		    {base, false}, {base, false}, {base, false}, {base, false}};
	char first[PS_TENANCY_DIGEST_SIZE], other[PS_TENANCY_DIGEST_SIZE];
	(void)state;
	rows[0].k.file = "moved.yaml"; /* the same content elsewhere */
	rows[1].k.config = CONFIG("# Machine 2 of 9\n", "/y/b", "5 # 40 %: up to 3/s\n");
	rows[2].k.type = "q/other"; /* and so another price */
	rows[3].k.file = "b.yaml";
	rows[4].k.config = CONFIG("", "/x/a", "6\n");
	rows[5].k.rate_rps = 11;
	rows[6].k.memory_bytes = 2 * GIB;
	rows[7].k.seed = 2;
	digest_of(&base, first);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		digest_of(&rows[i].k, other);
		if ((strcmp(first, other) == 0) != rows[i].same) {
			fail_msg("row %zu: %s, at first %s", i, other, first);
		}
	}
}

static int put_models(void **state)
{
	(void)state;
	assert_non_null(mkdtemp(dir));
	put_model("a.yaml", "one");
	put_model("moved.yaml", "one");
	put_model("b.yaml", "two");
	return 0;
}

static int remove_models(void **state)
{
	static const char *const files[] = {"a.yaml", "b.yaml", "moved.yaml"};
	(void)state;
	for (size_t i = 0; i < 3; i++) {
		char path[200];
		(void)snprintf(path, sizeof(path), "%s/%s", dir, files[i]);
		(void)unlink(path);
	}
	return rmdir(dir);
}

/* Its last run is `run`, with one thing more in it. */
static void expect_other(json_t *run, const char *in, const char *key, json_t *value,
			 const char *said)
{
	json_t *program = ps_measure_program(), *changed = json_deep_copy(run);
	const char *why = NULL;
	(void)json_object_set_new(in ? json_object_get(changed, in) : changed, key, value);
	json_t *manifest = json_pack("{s:[{},o]}", "runs", changed);
	char *text = json_dumps(manifest, 0);
	assert_int_equal(ps_measure_same_program(text, program, &why), !said);
	if (said && !strstr(why, said)) {
		fail_msg("%s, not %s", why, said);
	}
	free(text);
	json_decref(manifest);
	json_decref(program);
}

static void test_program(void **state)
{
	json_t *run = ps_measure_program();
	const char *why;
	(void)state;
	expect_other(run, NULL, "started", json_string("yesterday"), NULL);
	expect_other(run, NULL, "onnxruntime",
		     json_pack("{s:s,s:s}", "path", "/proc/self/exe", "sha256", "0"), "library");
	expect_other(run, "environment", "ORT_X", json_string("1"), "environment");
	expect_other(run, "perseus", "revision", json_string("other"), "another build");
	assert_false(ps_measure_same_program(NULL, run, &why));
	assert_false(ps_measure_same_program("{}", run, &why));
	json_decref(run);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),
		cmocka_unit_test(test_fit),
		cmocka_unit_test(test_first_trial),
		cmocka_unit_test(test_campaign),
		cmocka_unit_test(test_program),
		cmocka_unit_test_setup_teardown(test_digest, put_models, remove_models),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
