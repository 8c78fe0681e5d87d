/* A machine's cost split over its tenants: worked out by hand, and sums that must be exact. */
#include "cost/bill.h"

#include "base/rng.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define GIB	 (INT64_C(1) << 30)
#define HOUR_NS	 INT64_C(3600000000000)

/* ---- largest remainder ---- */

static void test_apportion(void **state)
{
	(void)state;
	static const struct {
		int64_t total, weights[4], want[4];
		size_t n;
	} rows[] = {
		{10, {1, 1, 1}, {4, 3, 3}, 3},	   /* of equal remainders the first */
		{100, {3, 3, 1}, {43, 43, 14}, 3}, /* 42.86, 42.86, 14.29 */
		{100, {1, 3, 3}, {14, 43, 43}, 3},
		{1, {1, 2, 1}, {0, 1, 0}, 3},
		{0, {0, 0}, {0, 0}, 2},
		{7, {0, 5, 0}, {0, 7, 0}, 3},
		{0, {0}, {0}, 0},
		{INT64_MAX,
		 {INT64_MAX, INT64_MAX},
		 {(INT64_C(1) << 62), (INT64_C(1) << 62) - 1},
		 2},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t parts[4] = {0};
		assert_int_equal(
			ps_cost_apportion(rows[i].total, rows[i].weights, rows[i].n, parts, NULL),
			PS_OK);
		for (size_t k = 0; k < rows[i].n; k++)
			if (parts[k] != rows[i].want[k])
				fail_msg("row %zu: part %zu is %lld", i, k, (long long)parts[k]);
	}
	int64_t negative[] = {1, -1}, none[] = {0, 0}, parts[2];
	assert_int_equal(ps_cost_apportion(5, negative, 2, parts, NULL), PS_EINVAL);
	assert_int_equal(ps_cost_apportion(5, none, 2, parts, NULL), PS_EINVAL);
	assert_int_equal(ps_cost_apportion(5, none, 0, parts, NULL), PS_EINVAL);
	assert_int_equal(ps_cost_apportion(-5, none, 2, parts, NULL), PS_EINVAL);
}

/* For any weights: parts sum to the total, each is within one unit of its share, and who weighs
 * more pays no less. */
static void test_apportion_properties(void **state)
{
	(void)state;
	struct ps_rng rng;
	ps_rng_init(&rng, 5, 1);
	for (int round = 0; round < 3000; round++) {
		int64_t weights[40], parts[40], sum = 0;
		size_t n = 1 + ps_rng_below(&rng, 40);
		unsigned bits = (unsigned)ps_rng_below(&rng, 57);
		int64_t total = (int64_t)(ps_rng_next(&rng) >> (1 + ps_rng_below(&rng, 62)));
		long double all = 0;
		for (size_t i = 0; i < n; i++) {
			weights[i] = (int64_t)(ps_rng_next(&rng) >> (63 - bits));
			all += (long double)weights[i];
		}
		if (all == 0)
			weights[0] = 1, all = 1;
		assert_int_equal(ps_cost_apportion(total, weights, n, parts, NULL), PS_OK);
		for (size_t i = 0; i < n; i++) {
			long double share = (long double)total * (long double)weights[i] / all;
			sum += parts[i];
			if (fabsl((long double)parts[i] - share) >= 1 + share * 1e-17L)
				fail_msg("round %d: %lld for %Lf", round, (long long)parts[i],
					 share);
			for (size_t k = 0; k < i; k++)
				assert_true(weights[i] <= weights[k] || parts[i] >= parts[k]);
		}
		assert_int_equal(sum, total);
	}
}

/* ---- a bill ---- */

static const struct ps_cost_price small = {
	.provider = (char[]){"aws"},
	.region = (char[]){"us-east-1"},
	.instance_type = (char[]){"c6i.large"},
	.vcpu = 2,
	.memory_gib = 4,
	.on_demand_usd_per_hour = 0.085,
	.spot_usd_per_hour = 0.034,
	.source = (char[]){"a list"},
	.source_date = (char[]){"2026-07-20"},
};

/* One hour of it: a used half of the compute time, b a quarter; each a quarter of the memory. */
static struct ps_cost_bill hour(struct ps_cost_bill_row rows[2])
{
	rows[0] = (struct ps_cost_bill_row){.tenant = "a",
					    .model = "net",
					    .requests = 7,
					    .inferences = 14,
					    .compute_ns = HOUR_NS,
					    .resident_byte_s = GIB * 3600};
	rows[1] = (struct ps_cost_bill_row){.tenant = "b",
					    .model = "net",
					    .compute_ns = HOUR_NS / 2,
					    .resident_byte_s = 2 * GIB * 1800};
	return (struct ps_cost_bill){.price = &small,
				     .from_s = 1795363200,
				     .to_s = 1795363200 + 3600,
				     .vcpu = 2,
				     .memory_bytes = 4 * GIB,
				     .memory_weight = 0.25,
				     .resource = "machine 1",
				     .rows = rows,
				     .row_len = 2};
}

static void test_hour(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	assert_int_equal(b.total_nano_usd, 85000000);
	/* three quarters of 0.085 $ for compute: half, a quarter, a quarter idle */
	assert_int_equal(rows[0].compute_nano_usd, 31875000);
	assert_int_equal(rows[1].compute_nano_usd, 15937500);
	assert_int_equal(b.idle_compute_nano_usd, 15937500);
	/* a quarter of it for memory: a quarter each, half idle */
	assert_int_equal(rows[0].memory_nano_usd, 5312500);
	assert_int_equal(rows[1].memory_nano_usd, 5312500);
	assert_int_equal(b.idle_memory_nano_usd, 10625000);
	assert_int_equal(b.list_nano_usd, b.total_nano_usd);
	assert_int_equal(rows[0].list_compute_nano_usd, 31875000);
	assert_false(b.compute_over || b.memory_over);
}

/* The same use, bought otherwise; and what was measured in another time than is billed. */
static void test_forms(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds, measured_ns;
		double spot, weight, vcpu;
		int64_t total, list, compute_a, idle_compute, memory_a, idle_memory;
		bool over;
	} rows[] = {
		/* compute alone */
		{3600, 0, 0, 0, 2, 85000000, 85000000, 42500000, 21250000, 0, 0, false},
		/* memory alone */
		{3600, 0, 0, 1, 2, 85000000, 85000000, 0, 0, 21250000, 42500000, false},
		/* 0.034 $ on spot, 0.085 on demand */
		{3600, 0, 1, 0, 2, 34000000, 85000000, 17000000, 8500000, 0, 0, false},
		/* 61 minutes are two hours; the use was that of one */
		{3660, HOUR_NS, 0, 0, 2, 170000000, 170000000, 85000000, 42500000, 0, 0, false},
		/* a day at what was measured in an hour */
		{86400, HOUR_NS, 0, 0, 2, 2040000000, 2040000000, 1020000000, 510000000, 0, 0,
		 false},
		/* of a machine that is said to have one CPU: no idle, and it is said */
		{3600, 0, 0, 0, 1, 85000000, 85000000, 56666667, 0, 0, 0, true},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_bill_row use[2];
		struct ps_cost_bill b = hour(use);
		b.to_s = b.from_s + rows[i].seconds;
		b.measured_ns = rows[i].measured_ns;
		b.mix.spot_share = rows[i].spot;
		b.memory_weight = rows[i].weight;
		b.vcpu = rows[i].vcpu;
		assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
		assert_int_equal(b.total_nano_usd, rows[i].total);
		assert_int_equal(b.list_nano_usd, rows[i].list);
		assert_int_equal(use[0].compute_nano_usd, rows[i].compute_a);
		assert_int_equal(b.idle_compute_nano_usd, rows[i].idle_compute);
		assert_int_equal(use[0].memory_nano_usd, rows[i].memory_a);
		assert_int_equal(b.idle_memory_nano_usd, rows[i].idle_memory);
		assert_int_equal(b.compute_over, rows[i].over);
		assert_false(b.memory_over);
	}
}

static void test_refused(void **state)
{
	(void)state;
	static const struct {
		int64_t seconds, use, memory;
		double weight, vcpu, spot;
		const char *what;
	} rows[] = {
		{0, 1, GIB, 0.5, 2, 0,
		 "the period of the bill is empty: its end must be after its begin"},
		{-5, 1, GIB, 0.5, 2, 0,
		 "the period of the bill is empty: its end must be after its begin"},
		{3600, 1, GIB, 1.1, 2, 0, "the weight of memory is 0 to 1"},
		{3600, 1, GIB, -0.1, 2, 0, "the weight of memory is 0 to 1"},
		{3600, 1, GIB, NAN, 2, 0, "the weight of memory is 0 to 1"},
		{3600, 1, GIB, 0.5, 0, 0, "the machine's number of vCPUs is not known"},
		{3600, 1, GIB, 0.5, NAN, 0, "the machine's number of vCPUs is not known"},
		{3600, 1, 0, 0.5, 2, 0, "the machine's memory is not known"},
		{3600, -1, GIB, 0.5, 2, 0, "a use in the ledger is negative"},
		{3600, 1, GIB, 0.5, 2, 2, "a share of spot or reserved machines is 0 to 1"},
		{3600, 1, 0, 0, 2, 0, NULL}, /* memory does not weigh, and need not be known */
		{3600, 1, GIB, 1, 0, 0, NULL},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_cost_bill_row use[2];
		struct ps_cost_bill b = hour(use);
		struct ps_error err = {0};
		use[0].compute_ns = rows[i].use;
		b.to_s = b.from_s + rows[i].seconds;
		b.memory_bytes = rows[i].memory;
		b.memory_weight = rows[i].weight;
		b.vcpu = rows[i].vcpu;
		b.mix.spot_share = rows[i].spot;
		enum ps_status st = ps_cost_bill_split(&b, &err);
		assert_int_equal(st, rows[i].what ? PS_EINVAL : PS_OK);
		if (rows[i].what)
			assert_string_equal(err.what, rows[i].what);
	}
}

/* A resource that nobody used, of a machine that is not known to have any: it weighs nothing. */
static void test_of_nothing(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	b.rows = NULL;
	b.row_len = 0;
	b.memory_bytes = 0;
	b.memory_weight = 0;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	assert_int_equal(b.idle_compute_nano_usd, 85000000);
	assert_int_equal(b.idle_memory_nano_usd, 0);
	assert_false(b.memory_over);
}

static int64_t sum_of(const struct ps_cost_bill *b, bool list)
{
	int64_t sum = list ? b->list_idle_compute_nano_usd + b->list_idle_memory_nano_usd
			   : b->idle_compute_nano_usd + b->idle_memory_nano_usd;
	for (size_t i = 0; i < b->row_len; i++)
		sum += list ? b->rows[i].list_compute_nano_usd + b->rows[i].list_memory_nano_usd
			    : b->rows[i].compute_nano_usd + b->rows[i].memory_nano_usd;
	return sum;
}

/* Whatever was used, for however long, at whatever price and weight: rows and idle cost are the
 * whole, and nothing is negative. */
static void test_sum_is_exact(void **state)
{
	(void)state;
	struct ps_rng rng;
	ps_rng_init(&rng, 9, 2);
	for (int round = 0; round < 2000; round++) {
		struct ps_cost_bill_row rows[30];
		struct ps_cost_price p = small;
		p.on_demand_usd_per_hour = exp(20 * ps_rng_uniform(&rng) - 13);
		p.billed_per = (int)ps_rng_below(&rng, 3);
		struct ps_cost_bill b = {
			.price = &p,
			.mix.spot_share = round % 3 ? 0 : ps_rng_uniform(&rng),
			.to_s = 1 + (int64_t)(exp(18 * ps_rng_uniform(&rng))),
			.vcpu = exp(9 * ps_rng_uniform(&rng)),
			.memory_bytes = 1 + (int64_t)(ps_rng_next(&rng) >> 22),
			.memory_weight = ps_rng_uniform(&rng),
			.rows = rows,
			.row_len = ps_rng_below(&rng, 31),
		};
		for (size_t i = 0; i < b.row_len; i++)
			rows[i] = (struct ps_cost_bill_row){
				.tenant = "t",
				.model = "m",
				.compute_ns = (int64_t)(ps_rng_next(&rng) >>
							(1 + ps_rng_below(&rng, 60))),
				.resident_byte_s = (int64_t)(ps_rng_next(&rng) >>
							     (1 + ps_rng_below(&rng, 60)))};
		struct ps_error err = {0};
		if (ps_cost_bill_split(&b, &err) != PS_OK)
			fail_msg("round %d: %s", round, err.what);
		assert_int_equal(sum_of(&b, false), b.total_nano_usd);
		assert_int_equal(sum_of(&b, true), b.list_nano_usd);
		for (size_t i = 0; i < b.row_len; i++)
			assert_true(rows[i].compute_nano_usd >= 0 && rows[i].memory_nano_usd >= 0);
		assert_true(b.idle_compute_nano_usd >= 0 && b.idle_memory_nano_usd >= 0);
	}
}

/* ---- how it is shown ---- */

static void expect_in(const char *text, const char *part)
{
	if (!strstr(text, part))
		fail_msg("no '%s' in:\n%s", part, text);
}

static void test_text(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	struct ps_strbuf out;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	ps_strbuf_init(&out);
	ps_cost_bill_text(&b, &out);
	expect_in(out.data, "c6i.large, aws us-east-1, from 2026-11-22T16:00:00Z to "
			    "2026-11-22T17:00:00Z: 1 h billed at $0.085/h (price of 2026-07-20)\n");
	expect_in(out.data, "weights: compute 0.75, memory 0.25; it has 2 vCPUs and 4 GiB\n");
	expect_in(out.data, "     1.000000      1.000000      0.031875000      0.005312500      "
			    "0.037187500  43.75 %\n");
	expect_in(out.data, "     0.015937500      0.010625000      0.026562500  31.25 %\n");
	expect_in(out.data, "     0.063750000      0.021250000      0.085000000 100.00 %\n");
	ps_strbuf_fini(&out);
}

static void test_json(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	json_t *o = ps_cost_bill_json(&b), *tenants = json_object_get(o, "tenants");
	assert_int_equal(ps_json_get_int(o, "total_nano_usd", 0), 85000000);
	assert_string_equal(ps_json_get_string(o, "from", ""), "2026-11-22T16:00:00Z");
	assert_int_equal(json_array_size(tenants), 2);
	assert_int_equal(ps_json_get_int(json_array_get(tenants, 0), "nano_usd", 0), 37187500);
	assert_int_equal(ps_json_get_int(json_object_get(o, "idle"), "nano_usd", 0), 26562500);
	assert_true(ps_json_get_real(json_array_get(tenants, 0), "usd", 0) == 0.0371875);
	json_decref(o);
}

/* The columns that FOCUS 1.2 says are mandatory, and all others that it knows of ours. */
static const char *const mandatory[] = {
	"BilledCost",	     "BillingAccountId",   "BillingAccountName", "BillingCurrency",
	"BillingPeriodEnd",  "BillingPeriodStart", "ChargeCategory",	 "ChargeClass",
	"ChargeDescription", "ChargePeriodEnd",	   "ChargePeriodStart",	 "ContractedCost",
	"EffectiveCost",     "InvoiceIssuerName",  "ListCost",		 "PricingQuantity",
	"PricingUnit",	     "ProviderName",	   "PublisherName",	 "ServiceCategory",
	"ServiceName",
};
static const char *const optional[] = {
	"ChargeFrequency", "ConsumedQuantity", "ConsumedUnit", "ContractedUnitPrice",
	"ListUnitPrice",   "PricingCategory",  "RegionId",     "ResourceId",
	"ResourceName",	   "ResourceType",     "SkuId",	       "SkuMeter",
	"SubAccountId",	   "SubAccountName",
};

static bool is_one_of(const char *name, size_t len, const char *const *names, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(names[i]) == len && memcmp(names[i], name, len) == 0)
			return true;
	return false;
}

static void test_focus_columns(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	struct ps_strbuf out;
	size_t found = 0;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	ps_strbuf_init(&out);
	ps_cost_bill_focus(&b, &out);
	const char *end = strstr(out.data, "\r\n");
	for (const char *at = out.data; at < end;) {
		size_t len = strcspn(at, ",\r");
		found += is_one_of(at, len, mandatory, COUNT(mandatory));
		if (!is_one_of(at, len, mandatory, COUNT(mandatory)) &&
		    !is_one_of(at, len, optional, COUNT(optional)) && strncmp(at, "x_", 2) != 0)
			fail_msg("FOCUS has no column %.*s", (int)len, at);
		at += len + 1;
	}
	assert_int_equal(found, COUNT(mandatory));
	expect_in(out.data,
		  "\r\n0.031875000,\"default\",\"default\",USD,2026-11-22T17:00:00Z,"
		  "2026-11-22T16:00:00Z,Usage,,\"compute time of net for a on c6i.large\","
		  "Usage-Based,2026-11-22T17:00:00Z,2026-11-22T16:00:00Z,1.000000000,CPU-Hours,"
		  "0.031875000,0.085,0.031875000,\"aws\",0.031875000,0.085,Standard,0.375,Hours,"
		  "\"aws\",\"aws\",\"us-east-1\",\"machine 1\",\"machine 1\","
		  "Shared inference server,AI and Machine Learning,Perseus,\"c6i.large\","
		  "Compute time,\"a\",\"a\",\"net\",7,14,used,0.75\r\n");
	expect_in(out.data, "\r\n0.010625000,\"default\",\"default\",USD,2026-11-22T17:00:00Z,"
			    "2026-11-22T16:00:00Z,Usage,,\"idle memory over time of c6i.large\",");
	expect_in(out.data, "Memory over time,,,,,,idle,0.25\r\n");
	ps_strbuf_fini(&out);
}

/* What a spreadsheet would run, and quotes; memory that is nobody's has no sub-account. */
static void test_focus_texts(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	struct ps_strbuf out;
	rows[0].tenant = "=cmd()";
	rows[0].model = "a \"b\"";
	rows[1].tenant = "-";
	b.mix.spot_share = 1;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	ps_strbuf_init(&out);
	ps_cost_bill_focus(&b, &out);
	expect_in(out.data, "Compute time,\"'=cmd()\",\"'=cmd()\",\"a \"\"b\"\"\",7,14,used,");
	expect_in(out.data, "Compute time,,,\"net\",0,0,unassigned,");
	expect_in(out.data, "\"compute time of net that no tenant was promised, on c6i.large\"");
	expect_in(out.data, ",Dynamic,");
	ps_strbuf_fini(&out);
}

/* A price that was converted says by what rate. */
static void test_exchange(void **state)
{
	(void)state;
	const struct ps_cost_exchange euro = {
		.currency = (char[]){"EUR"},
		.usd = 1.25,
		.source = (char[]){"a bank"},
		.source_date = (char[]){"2026-01-30"},
	};
	struct ps_cost_price p = small;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	struct ps_strbuf out;
	p.exchange = &euro;
	b.price = &p;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	ps_strbuf_init(&out);
	ps_cost_bill_text(&b, &out);
	expect_in(out.data, "(price of 2026-07-20; 1 EUR = $1.25 by a bank of 2026-01-30)\n");
	ps_strbuf_fini(&out);
	json_t *o = ps_cost_bill_json(&b);
	const json_t *x = json_object_get(json_object_get(o, "machine"), "exchange");
	assert_string_equal(ps_json_get_string(x, "source_date", ""), "2026-01-30");
	assert_true(ps_json_get_real(x, "usd", 0) == 1.25);
	json_decref(o);
}

/* A day that goes on like an hour of trials: money and quantities are of the day; what was counted
 * in the trials is not given for requests of the day. */
static void test_of_trials(void **state)
{
	(void)state;
	struct ps_cost_bill_row rows[2];
	struct ps_cost_bill b = hour(rows);
	struct ps_strbuf out;
	b.to_s = b.from_s + 86400;
	b.measured_ns = HOUR_NS;
	assert_int_equal(ps_cost_bill_split(&b, NULL), PS_OK);
	ps_strbuf_init(&out);
	ps_cost_bill_focus(&b, &out);
	expect_in(out.data, "2026-11-22T16:00:00Z,24.000000000,CPU-Hours,0.765000000,");
	expect_in(out.data, "2026-11-22T16:00:00Z,12.000000000,CPU-Hours,0.382500000,");
	expect_in(out.data, "2026-11-22T16:00:00Z,24.000000000,GiB-Hours,0.127500000,");
	expect_in(out.data, "Compute time,\"a\",\"a\",\"net\",,,used,0.75\r\n");
	ps_strbuf_fini(&out);
	ps_strbuf_init(&out);
	ps_cost_bill_text(&b, &out);
	expect_in(out.data, "what was used is that of 3600 s of trials, taken for the whole "
			    "period\n");
	expect_in(out.data, "    24.000000     24.000000      0.765000000      0.127500000 ");
	ps_strbuf_fini(&out);
	json_t *o = ps_cost_bill_json(&b);
	assert_int_equal(ps_json_get_int(o, "measured_ns", 0), HOUR_NS);
	assert_int_equal(
		ps_json_get_int(json_array_get(json_object_get(o, "rows"), 0), "compute_ns", 0),
		HOUR_NS);
	json_decref(o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_apportion),     cmocka_unit_test(test_apportion_properties),
		cmocka_unit_test(test_hour),	      cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refused),	      cmocka_unit_test(test_sum_is_exact),
		cmocka_unit_test(test_text),	      cmocka_unit_test(test_json),
		cmocka_unit_test(test_focus_columns), cmocka_unit_test(test_focus_texts),
		cmocka_unit_test(test_of_trials),     cmocka_unit_test(test_exchange),
		cmocka_unit_test(test_of_nothing),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
