/* test_page_size.c - a large campaign still makes a page that can be mailed: twenty tenants, alone
 * in every pair and all together, and as many prices as its controls take. */
#include "base/arena.h"
#include "base/rng.h"
#include "base/strbuf.h"
#include "report/report.h"
#include "stats/hist.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

enum { PRICES = 1000 };
enum {
	TENANTS = 20,
	PAIRS = TENANTS * (TENANTS - 1) / 2,
	SETS = TENANTS + PAIRS + 1,
	SECONDS = 3600
};

struct made {
	struct ps_arena arena;
	struct ps_store_tenant tenants[TENANTS];
	struct ps_store_set sets[SETS];
	int members[SETS][TENANTS];
	struct ps_store_cell cells[2 * SETS];
	struct ps_store_campaign campaign;
};

static const double rays[TENANTS] = {[0 ... TENANTS - 1] = 1};

static struct ps_store_blob latencies(struct made *m, struct ps_rng *rng)
{
	struct ps_hist h;
	struct ps_strbuf b;

	ps_hist_init(&h);
	for (int i = 0; i < 2000; i++)
		ps_hist_record(&h, (int64_t)(1e6 * (20 + ps_rng_exponential(rng, 30))));
	ps_strbuf_init(&b);
	ps_hist_write(&h, &b);
	void *copy = ps_arena_alloc(&m->arena, b.len);
	memcpy(copy, b.data, b.len);
	struct ps_store_blob blob = {copy, b.len};
	ps_strbuf_fini(&b);
	ps_hist_fini(&h);
	return blob;
}

/* An hour of every second. */
static void add_seconds(struct made *m, struct ps_store_trial *t)
{
	size_t n = t->result_len * SECONDS;
	struct ps_store_second *s = ps_arena_zalloc(&m->arena, n * sizeof *s);

	for (size_t i = 0; i < n; i++) {
		s[i] = (struct ps_store_second){.tenant = t->results[i / SECONDS].tenant,
						.second = (int)(i % SECONDS),
						.scheduled = 7,
						.ok = 7,
						.good = 6};
		s[i].latency_sum_ns = 7 * (int64_t)(20000000 + i * 1237 % 9999999);
		s[i].latency_max_ns = (int64_t)(30000000 + i * 777 % 9999999);
	}
	t->seconds = s;
	t->second_len = n;
}

static void make_set(struct made *m, int s, struct ps_rng *rng)
{
	struct ps_store_cell *search = &m->cells[2 * s], *confirm = search + 1;
	int n = m->sets[s].member_len;
	struct ps_store_result *r = ps_arena_zalloc(&m->arena, (size_t)n * sizeof *r);
	struct ps_store_trial *t = ps_arena_zalloc(&m->arena, sizeof *t);
	char *key = ps_arena_alloc(&m->arena, 80);

	snprintf(key, 80, "search/%d", s);
	*search = (struct ps_store_cell){
		.key = key, .kind = PS_STORE_SEARCH, .set = s, .block = -1, .state = PS_STORE_DONE};
	search->capacity = (struct ps_store_capacity){
		true, rays, 17.123456789 / n, 15.1234567 / n, 19.1234567 / n, true, true, NULL};
	for (int i = 0; i < n; i++) {
		r[i].tenant = m->members[s][i];
		r[i].valid = true;
		r[i].effective_ratio = 1;
		r[i].offered_rps = r[i].goodput_rps = 7;
		r[i].latency = latencies(m, rng);
	}
	*t = (struct ps_store_trial){.role = PS_STORE_DEMAND,
				     .valid = true,
				     .duration_ns = INT64_C(1000000000) * SECONDS,
				     .results = r,
				     .result_len = (size_t)n};
	add_seconds(m, t);
	*confirm = (struct ps_store_cell){.key = key,
					  .kind = PS_STORE_CONFIRM,
					  .set = s,
					  .state = PS_STORE_DONE,
					  .trials = t,
					  .trial_len = 1};
}

static void make(struct made *m)
{
	struct ps_rng rng;
	int s = TENANTS;

	memset(m, 0, sizeof *m);
	ps_arena_init(&m->arena, 0);
	ps_rng_init(&rng, 1, 1);
	for (int i = 0; i < TENANTS; i++) {
		char *name = ps_arena_alloc(&m->arena, 40);
		snprintf(name, 40, "tenant-number-%d", i);
		m->tenants[i] = (struct ps_store_tenant){
			name, "some/folder/with/a/model.onnx", 3, {0.95, 200000000, 0.99}};
		m->members[i][0] = i;
		m->sets[i] = (struct ps_store_set){name, m->members[i], 1};
		for (int k = i + 1; k < TENANTS; k++, s++) {
			char *pair = ps_arena_alloc(&m->arena, 60);
			snprintf(pair, 60, "tenant-number-%d+tenant-number-%d", i, k);
			m->members[s][0] = i;
			m->members[s][1] = k;
			m->sets[s] = (struct ps_store_set){pair, m->members[s], 2};
		}
	}
	for (int i = 0; i < TENANTS; i++)
		m->members[s][i] = i;
	m->sets[s] = (struct ps_store_set){"everybody", m->members[s], TENANTS};
	for (int i = 0; i < SETS; i++)
		make_set(m, i, &rng);
	m->campaign = (struct ps_store_campaign){
		.name = "large",
		.file_text = "",
		.price =
			{"aws", "us-east-1", "c6i.large", 2, 4, 0.085, "a list", "2026-07-20", {0}},
		.tenants = m->tenants,
		.tenant_len = TENANTS,
		.sets = m->sets,
		.set_len = SETS,
		.cells = m->cells,
		.cell_len = (size_t)2 * SETS};
}

/* The sentence ends, however many it is about. */
static void test_verdict(void **state)
{
	static struct made m;
	struct ps_report_answer a;
	struct ps_error err;

	(void)state;
	for (int missed = 0; missed < 2; missed++) {
		make(&m);
		for (int i = 0; i < TENANTS && missed; i++)
			m.tenants[i].sla.limit_ns = 30000000;
		assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
		if (!strstr(a.verdict, "At 60/s, the sum of 20 tenants, all 20 ") ||
		    !strstr(a.verdict,
			    missed ? "do not fit one machine" : "(1 c6i.large instead of") ||
		    (missed && !strstr(a.verdict, "and of 16 more tenants likewise")) ||
		    a.verdict[strlen(a.verdict) - 1] != '.')
			fail_msg("%d: %s", missed, a.verdict);
		ps_report_fini(&a);
		ps_arena_fini(&m.arena);
	}
}

/* Where no set is the largest, all of that size answer. */
static void test_verdict_of_pairs(void **state)
{
	static struct made m;
	struct ps_report_answer a;
	struct ps_error err;

	(void)state;
	make(&m);
	m.campaign.set_len--; /* without everybody */
	m.campaign.cell_len -= 2;
	m.tenants[0].sla.limit_ns = 30000000;	   /* its 19 pairs miss it */
	m.cells[2 * TENANTS].capacity.factor *= 4; /* and one of them saves, another loses */
	m.cells[2 * TENANTS].capacity.factor_low *= 4;
	m.cells[2 * TENANTS].capacity.factor_high *= 4;
	m.cells[2 * TENANTS + 2].capacity.factor /= 4;
	m.cells[2 * TENANTS + 2].capacity.factor_low /= 4;
	m.cells[2 * TENANTS + 2].capacity.factor_high /= 4;
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
	assert_string_equal(
		a.verdict,
		"Of 190 sets of 2 tenants, at their demand rates on one machine, 171 kept "
		"their SLAs, 19 did not. At full load sharing saved machine time in 1 of "
		"them and lost some in 1; in 188 neither was shown (values from -300 to 75 "
		"%).");
	ps_report_fini(&a);
	ps_arena_fini(&m.arena);
}

static void make_page(struct ps_strbuf *page)
{
	static struct made m;
	struct ps_report_answer a;
	struct ps_error err;

	static struct ps_cost_price prices[PRICES];
	const struct ps_cost_sheet sheet = {.prices = {.items = prices, .len = PRICES}};
	const struct ps_report_sheet named = {"prices.yaml", &sheet};

	/* as many as a page takes, each with both warnings */
	for (int i = 0; i < PRICES; i++)
		prices[i] = (struct ps_cost_price){
			.provider = "provider",
			.region = "region-of-it-1",
			.instance_type = "family.48xlarge",
			.vcpu = 192,
			.memory_gib = 384,
			.gpu_count = 8,
			.on_demand_usd_per_hour = 12.345678,
			.spot_usd_per_hour = 3.456789,
			.source = "a list of prices that somebody published somewhere",
			.source_date = "2019-01-01",
		};
	make(&m);
	assert_int_equal(ps_report_build(&m.campaign, &a, &err), PS_OK);
	a.sheets = &named;
	a.sheet_len = 1;
	assert_int_equal(ps_report_html(&a, page, &err), PS_OK);
	ps_report_fini(&a);
	ps_arena_fini(&m.arena);
}

static void test_size(void **state)
{
	struct ps_strbuf page;

	(void)state;
	ps_strbuf_init(&page);
	make_page(&page);
	assert_true(page.len > 1000000);
	if (page.len > 3 * 1000 * 1000)
		fail_msg("%zu bytes", page.len);
	ps_strbuf_fini(&page);
}

/* `test_page_size --write FILE` leaves the page behind, to be looked at. */
static int write_only(const char *path)
{
	struct ps_strbuf page;
	FILE *f = fopen(path, "w");

	if (!f)
		return 1;
	ps_strbuf_init(&page);
	make_page(&page);
	size_t n = fwrite(page.data, 1, page.len, f);
	int rc = fclose(f) != 0 || n != page.len;
	ps_strbuf_fini(&page);
	return rc;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_size),
					   cmocka_unit_test(test_verdict),
					   cmocka_unit_test(test_verdict_of_pairs)};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_only(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
