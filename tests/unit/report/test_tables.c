/* The tables beside the answer: interference with what pairs predict, grids, frontiers, packings,
 * cold starts, batches, operators. Latencies are exact, so what must come out is known. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "report/report.h"
#include "stats/hist.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TENANTS = 3, SETS = 7, BLOCKS = 5, CELLS = 128 };

static struct ps_arena arena;
static struct ps_store_cell cells[CELLS];
static struct ps_store_campaign campaign;
static int cell_len;

static const struct ps_store_tenant tenants[TENANTS] = {
	{"a", "ma", 10, {0.95, 200000000, 0.99}},
	{"b", "mb", 20, {0.95, 200000000, 0.99}},
	{"c", "mc", 30, {0.95, 200000000, 0.99}},
};
static const int m[SETS][3] = {{0}, {1}, {2}, {0, 1}, {0, 2}, {1, 2}, {0, 1, 2}};
static const struct ps_store_set sets[SETS] = {{"a", m[0], 1},	 {"b", m[1], 1},   {"c", m[2], 1},
					       {"a+b", m[3], 2}, {"a+c", m[4], 2}, {"b+c", m[5], 2},
					       {"all", m[6], 3}};

static struct ps_store_blob latency(double ms)
{
	struct ps_hist h = {0};
	struct ps_strbuf b;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	ps_hist_record(&h, (int64_t)(1e6 * ms));
	ps_strbuf_init(&b);
	ps_hist_write(&h, &b);
	void *copy = ps_arena_alloc(&arena, b.len);
	memcpy(copy, b.data, b.len);
	struct ps_store_blob blob = {copy, b.len};
	ps_strbuf_fini(&b);
	ps_hist_fini(&h);
	return blob;
}

static struct ps_store_cell *add_cell(enum ps_store_cell_kind kind, const char *key, int set,
				      int block)
{
	struct ps_store_cell *x = &cells[cell_len++];
	assert_true(cell_len <= CELLS);
	*x = (struct ps_store_cell){.key = key,
				    .kind = kind,
				    .set = set,
				    .block = block,
				    .part = -1,
				    .point = -1,
				    .state = PS_STORE_DONE};
	return x;
}

/* One trial; a latency of 0 is a silent tenant. */
static struct ps_store_result *add_trial(struct ps_store_cell *x, enum ps_store_role role,
					 const double *ms, const double *rates)
{
	int n = sets[x->set].member_len, k = 0;
	struct ps_store_result *r = ps_arena_zalloc(&arena, sizeof *r * (size_t)n);
	struct ps_store_trial *t = ps_arena_zalloc(&arena, sizeof *t);
	for (int i = 0; i < n; i++) {
		if (!(ms[i] > 0))
			continue;
		r[k].tenant = sets[x->set].members[i];
		r[k].valid = true;
		r[k].batch = 1;
		r[k].effective_ratio = 1;
		r[k].scheduled = r[k].ok = 1;
		r[k].wanted_rps = rates ? rates[i] : 0;
		r[k].latency = latency(ms[i]);
		k++;
	}
	*t = (struct ps_store_trial){.role = role,
				     .duration_ns = 1000000000,
				     .valid = true,
				     .results = r,
				     .result_len = (size_t)k,
				     .copies = 1};
	x->trials = t;
	x->trial_len = 1;
	return r;
}

static const char *manifest;

static void begin(void)
{
	manifest = NULL;
	ps_arena_init(&arena, 0);
	cell_len = 0;
}

static struct ps_report_answer build(void)
{
	struct ps_report_answer a;
	struct ps_error err;
	campaign = (struct ps_store_campaign){.name = "t",
					      .manifest_json = manifest,
					      .tenants = tenants,
					      .tenant_len = TENANTS,
					      .sets = sets,
					      .set_len = SETS,
					      .cells = cells,
					      .cell_len = (size_t)cell_len};
	if (ps_report_build(&campaign, &a, &err) != PS_OK)
		fail_msg("%s", err.what);
	return a;
}

static void end(struct ps_report_answer *a)
{
	ps_report_fini(a);
	ps_arena_fini(&arena);
}

static const struct ps_report_value *value(const struct ps_report_table *t, size_t row,
					   const char *key)
{
	assert_true(row < t->row_len);
	for (int i = 0; i < t->column_len; i++)
		if (strcmp(t->columns[i].key, key) == 0)
			return &t->values[row * (size_t)t->column_len + (size_t)i];
	fail_msg("no column %s", key);
	return NULL;
}

static void near(const struct ps_report_value *v, double want)
{
	if (isnan(want) ? !isnan(v->v.value) : fabs(v->v.value / want - 1) > 0.003)
		fail_msg("%g instead of %g", v->v.value, want);
}

/* a is slowed 1.2 times by b and 1.5 times by c; by both not 1.8 times but 2.16. The blocks scatter
 * together, which a comparison per block does not see. */
static void test_interference(void **state)
{
	static const double slow[TENANTS][TENANTS] = {{1, 1.2, 1.5}, {1.1, 1, 1.1}, {1, 1, 1}};
	static const double beyond[TENANTS] = {1.2, 1, 1};
	(void)state;
	begin();
	for (int b = 0; b < BLOCKS; b++)
		for (int s = 0; s < SETS; s++) {
			double ms[3] = {0}, wave = 10 * (1 + b);
			for (int i = 0; i < sets[s].member_len; i++) {
				int tenant = sets[s].members[i];
				ms[i] = wave;
				for (int k = 0; k < sets[s].member_len; k++)
					ms[i] *= slow[tenant][sets[s].members[k]];
				ms[i] *= sets[s].member_len == 3 ? beyond[tenant] : 1;
			}
			struct ps_store_cell *x = add_cell(PS_STORE_CONFIRM, "confirm", s, b);
			add_trial(x, PS_STORE_DEMAND, ms, NULL);
			/* each tenant takes 1 s, of a set a tenth is saved; more in later blocks */
			struct ps_store_trial *t = (struct ps_store_trial *)x->trials;
			t->server_cpu_ns = INT64_C(1) * (1 + b) * sets[s].member_len *
					   (sets[s].member_len > 1 ? 900000000 : 1000000000);
		}
	struct ps_report_answer a = build();
	const struct ps_report_table *t = &a.tables[PS_REPORT_INTERFERENCE];
	assert_int_equal(t->row_len, 3 * 2 + 3);
	assert_string_equal(value(t, 0, "tenant")->text, "a");
	assert_string_equal(value(t, 0, "beside")->text, "b 20/s");
	near(value(t, 0, "rps"), 10);
	near(value(t, 0, "slowdown"), 1.2);
	near(value(t, 0, "blocks"), BLOCKS);
	near(value(t, 0, "pairs_predict"), NAN);
	assert_true(value(t, 0, "slowdown")->v.has_interval);
	/* the set of three, smallest sets first */
	assert_string_equal(value(t, 6, "tenant")->text, "a");
	assert_string_equal(value(t, 6, "beside")->text, "b 20/s, c 30/s");
	near(value(t, 6, "slowdown"), 1.2 * 1.5 * 1.2);
	near(value(t, 6, "pairs_predict"), 1.2 * 1.5);
	near(value(t, 6, "against_pairs"), 1.2);
	near(value(t, 7, "against_pairs"), 1);
	assert_true(value(t, 6, "against_pairs")->v.lo > 1.1);
	for (size_t i = 0; i < a.comparison_len; i++) {
		const struct ps_report_comparison *c = &a.comparisons[i];
		assert_int_equal(c->cpu_blocks, BLOCKS);
		assert_true(fabs(c->cpu_saving.value - 0.1) < 1e-9 && c->cpu_saving.has_interval);
	}
	end(&a);
}

/* A point of a grid against the one at which the neighbour is silent, at the same own rate. */
static void test_grid(void **state)
{
	static const double rates[][2] = {{5, 0}, {5, 8}, {0, 8}, {9, 8}};
	static const double ms[][2] = {{10, 0}, {13, 24}, {0, 20}, {40, 50}};
	(void)state;
	begin();
	for (int b = 0; b < BLOCKS; b++)
		for (int p = 0; p < 4; p++) {
			struct ps_store_cell *x = add_cell(PS_STORE_RATES, "rates", 3, b);
			x->part = 0;
			x->point = p;
			add_trial(x, PS_STORE_AT_RATES, ms[p], rates[p]);
		}
	struct ps_report_answer a = build();
	const struct ps_report_table *t = &a.tables[PS_REPORT_INTERFERENCE];
	/* of (9, 8) only b has a silent neighbour's point */
	assert_int_equal(t->row_len, 3);
	near(value(t, 0, "slowdown"), 1.3);
	assert_string_equal(value(t, 0, "beside")->text, "b 8/s");
	near(value(t, 1, "slowdown"), 1.2);
	assert_string_equal(value(t, 2, "beside")->text, "a 9/s");
	near(value(t, 2, "slowdown"), 2.5);
	end(&a);
}

static void add_capacity(enum ps_store_cell_kind kind, const char *key, int set, double r0,
			 double r1, double factor)
{
	double *ray = ps_arena_alloc(&arena, 2 * sizeof *ray);
	struct ps_store_cell *x = add_cell(kind, key, set, -1);
	ray[0] = r0;
	ray[1] = r1;
	x->part = kind == PS_STORE_SEARCH ? -1 : 0;
	x->capacity = (struct ps_store_capacity){.known = true,
						 .ray_rps = ray,
						 .factor = factor,
						 .factor_low = 0.9 * factor,
						 .factor_high = 1.1 * factor,
						 .checked = true,
						 .check_met = true,
						 .method_json = "{\"confirmed_scale\":0.9}"};
}

static void test_frontier_and_packing(void **state)
{
	(void)state;
	begin();
	add_capacity(PS_STORE_SEARCH, "search/a", 0, 1, 0, 100);
	add_capacity(PS_STORE_SEARCH, "search/b", 1, 1, 0, 50);
	add_capacity(PS_STORE_FRONTIER, "frontier/f/0.5", 3, 50, 25, 1.1);
	add_capacity(PS_STORE_PACK, "pack/a", 0, 10, 0, 7.8);
	struct ps_report_answer a = build();
	const struct ps_report_table *f = &a.tables[PS_REPORT_FRONTIER];
	assert_int_equal(f->row_len, 1);
	assert_string_equal(value(f, 0, "frontier")->text, "f");
	near(value(f, 0, "first_rps"), 55);
	near(value(f, 0, "second_rps"), 27.5);
	near(value(f, 0, "sum_of_shares"), 1.1);
	assert_true(value(f, 0, "sum_of_shares")->v.lo < 1.1 &&
		    value(f, 0, "sum_of_shares")->v.hi > 1.1);
	near(value(f, 0, "held_factor"), 0.9 / 1.1);
	const struct ps_report_table *p = &a.tables[PS_REPORT_PACKING];
	near(value(p, 0, "copies"), 7);
	assert_true(value(p, 0, "copies")->v.lo == 7 && value(p, 0, "copies")->v.hi == 8);
	near(value(p, 0, "demand_rps"), 10);
	end(&a);
}

static void test_models(void **state)
{
	static const struct ps_store_figure starts[] = {
		{"ready_time", "ma", "ns", NAN, 2e8, NAN, NAN, 1},
		{"first_request", "ma", "ns", NAN, 5e6, NAN, NAN, 1},
		{"peak_rss", "ma", "bytes", NAN, 1 << 20, NAN, NAN, 1}};
	static const struct ps_store_figure operators[] = {
		{"run_time", "ma", "ns", 1, 10e6, NAN, NAN, 50},
		{"operator_time", "Conv", "ns", 1, 7e6, NAN, NAN, 20},
		{"operator_time", "Relu", "ns", 1, 1e6, NAN, NAN, 19}};
	static const double ms[] = {4};
	struct ps_strbuf out;
	(void)state;
	begin();
	for (int b = 0; b < BLOCKS; b++) {
		struct ps_store_cell *x = add_cell(PS_STORE_COLD, "cold/0/ma", 0, b);
		add_trial(x, PS_STORE_FIRST, ms, NULL);
		x->figures = starts;
		x->figure_len = 3;
		x = add_cell(PS_STORE_PROFILE, "profile/0/ma", 0, b);
		struct ps_store_result *r = add_trial(x, PS_STORE_PROFILED, ms, NULL);
		r->batch = 8;
		r->throughput_rps = 25;
		r->concurrency = 3;
	}
	struct ps_store_cell *x = add_cell(PS_STORE_OPERATORS, "operators/0/ma", 0, 0);
	x->figures = operators;
	x->figure_len = 3;
	struct ps_report_answer a = build();
	const struct ps_report_table *c = &a.tables[PS_REPORT_COLD];
	assert_int_equal(c->row_len, 1);
	near(value(c, 0, "starts"), BLOCKS);
	near(value(c, 0, "ready_ms"), 200);
	near(value(c, 0, "first_request_ms"), 5);
	near(value(c, 0, "later_request_ms"), NAN);
	near(value(c, 0, "peak_rss_bytes"), 1 << 20);
	const struct ps_report_table *b = &a.tables[PS_REPORT_BATCHES];
	assert_int_equal(b->row_len, 1);
	near(value(b, 0, "batch"), 8);
	near(value(b, 0, "inferences_per_s"), 200);
	near(value(b, 0, "ms_per_inference"), 5);
	near(value(b, 0, "p50_ms"), 4);
	near(value(b, 0, "trials"), BLOCKS);
	near(value(b, 0, "invalid_trials"), NAN);
	assert_string_equal(b->title, "Batch sizes: closed loop of 3 users, means over the trials");
	const struct ps_report_table *o = &a.tables[PS_REPORT_OPERATORS];
	assert_int_equal(o->row_len, 3);
	assert_string_equal(value(o, 0, "operator")->text, "Conv");
	near(value(o, 0, "share"), 0.7);
	assert_string_equal(value(o, 2, "operator")->text, "between operators");
	near(value(o, 2, "ms_per_run"), 2);
	/* shown in all forms; what no row has is no column of a text */
	ps_strbuf_init(&out);
	ps_report_text(&a, 100, &out);
	assert_non_null(strstr(out.data, "Cold starts"));
	assert_null(strstr(out.data, "later, ms"));
	assert_null(strstr(out.data, "Interference"));
	ps_strbuf_clear(&out);
	ps_report_table_csv(c, &out);
	assert_non_null(
		strstr(out.data, "model,starts,ready_ms,ready_ms_low,ready_ms_high,load_ms"));
	assert_non_null(strstr(out.data, "\"ma\",5,200,"));
	ps_strbuf_fini(&out);
	json_t *j = ps_report_json(&a, false);
	assert_int_equal(json_array_size(json_object_get(j, "operators")), 3);
	json_decref(j);
	end(&a);
}

/* What is INVALID is counted and not averaged; a size that has nothing else has no numbers. */
static void test_invalid_profiles(void **state)
{
	static const struct {
		double batch;
		int users;
		double ms, rps;
		bool trial_valid, valid;
	} rows[] = {{1, 1, 4, 100, true, true},
		    {1, 1, 900, 1, true, false},
		    {1, 1, 900, 1, false, true},
		    {1, 2, 6, 300, true, true},
		    {2, 2, 900, 1, true, false}};
	(void)state;
	begin();
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_store_cell *x = add_cell(PS_STORE_PROFILE, "profile/0/ma", 0, (int)i);
		struct ps_store_result *r = add_trial(x, PS_STORE_PROFILED, &rows[i].ms, NULL);
		r->batch = rows[i].batch;
		r->concurrency = rows[i].users;
		r->throughput_rps = rows[i].rps;
		r->valid = rows[i].valid;
		/* in a closed loop no backlog grows: this too is a fault */
		r->reasons = rows[i].valid ? NULL : "unsteady-rising: x";
		((struct ps_store_trial *)x->trials)->valid = rows[i].trial_valid;
	}
	struct ps_report_answer a = build();
	const struct ps_report_table *b = &a.tables[PS_REPORT_BATCHES];
	assert_int_equal(b->row_len, 2);
	near(value(b, 0, "inferences_per_s"), 200);
	near(value(b, 0, "p50_ms"), 5);
	near(value(b, 0, "trials"), 2);
	near(value(b, 0, "invalid_trials"), 2);
	near(value(b, 1, "p50_ms"), NAN);
	near(value(b, 1, "trials"), 0);
	near(value(b, 1, "invalid_trials"), 1);
	assert_string_equal(b->title,
			    "Batch sizes: closed loops of 1 to 2 users, means over the trials");
	end(&a);
}

#define RUN(build, sha, kernel)                                                                    \
	"{\"perseus\":{\"version\":\"1\",\"revision\":\"" build "\"},"                             \
	"\"onnxruntime\":{\"sha256\":" sha "},"                                                    \
	"\"machine\":{\"kernel\":{\"release\":\"" kernel "\"}}}"

/* What changed from one run of a campaign to the next is said, each once. */
static void test_runs(void **state)
{
	static const struct {
		const char *manifest, *said; /* NULL: nothing */
	} rows[] = {
		{NULL, NULL},
		{"no JSON", NULL},
		{"{\"runs\":7}", NULL},
		{"{\"runs\":[" RUN("a", "null", "6.1") "," RUN("a", "\"x\"", "6.1") "]}", NULL},
		{"{\"runs\":[" RUN("a", "null", "6.1") "," RUN("b", "null", "6.1") "]}",
		 "different builds of Perseus: a, b."},
		{"{\"runs\":[" RUN("a", "\"x\"", "6.1") "," RUN("a", "\"y\"", "6.1") "," RUN(
			 "a", "\"x\"", "6.1") "]}",
		 "different libraries of ONNX Runtime (by SHA-256): x, y."},
		{"{\"runs\":[" RUN("a", "null", "6.1") "," RUN("a", "null", "6.2") "]}",
		 "different kernels: 6.1, 6.2."},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t said = 0;
		begin();
		add_cell(PS_STORE_OPERATORS, "operators/0/ma", 0, 0);
		manifest = rows[i].manifest;
		struct ps_report_answer a = build();
		for (size_t k = 0; k < a.warning_len; k++)
			if (strstr(a.warnings[k], "The runs of this campaign had"))
				said += !rows[i].said || !strstr(a.warnings[k], rows[i].said) ? 100
											      : 1;
		if (said != (rows[i].said ? 1 : 0))
			fail_msg("row %zu: %zu", i, said);
		end(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_interference),	     cmocka_unit_test(test_grid),
		cmocka_unit_test(test_frontier_and_packing), cmocka_unit_test(test_models),
		cmocka_unit_test(test_invalid_profiles),     cmocka_unit_test(test_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
