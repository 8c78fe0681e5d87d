/* What is judged of a run as a whole, and the warm-up that is found in the data. */
#include "base/clock.h"
#include "base/rng.h"
#include "load/judge.h"
#include "load/reason.h"
#include "load/recorder.h"
#include "load/warmup.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define MS  PS_NS_PER_MS
#define SEC PS_NS_PER_SEC

enum { MAX_TENANTS = 2, RUN_S = 20 };

struct fixture {
	struct ps_load_tenant tenants[MAX_TENANTS];
	struct ps_load_plan plan;
	struct ps_load_result r;
	struct ps_load_recorder rec[MAX_TENANTS];
};

static void begin(struct fixture *f, size_t tenants)
{
	static const char *const names[] = {"a", "b"};

	*f = (struct fixture){0};
	f->plan = (struct ps_load_plan){
		.tenants = f->tenants, .tenant_len = tenants, .duration_ns = RUN_S * SEC};
	f->r = (struct ps_load_result){.tenants = calloc(tenants, sizeof(*f->r.tenants)),
				       .tenant_len = tenants,
				       .duration_ns = f->plan.duration_ns};
	for (size_t i = 0; i < tenants; i++) {
		f->tenants[i].name = names[i];
		assert_int_equal(ps_load_recorder_init(&f->rec[i], &f->r.tenants[i], &f->plan,
						       &f->tenants[i], 10),
				 PS_OK);
	}
}

static void end(struct fixture *f)
{
	ps_load_result_fini(&f->r);
}

static void put(struct fixture *f, size_t tenant, int64_t at, int64_t latency)
{
	struct ps_load_record q = {.scheduled_ns = at,
				   .sent_ns = at,
				   .first_byte_ns = at + latency,
				   .done_ns = at + latency,
				   .server_queue_ns = -1,
				   .server_compute_ns = -1,
				   .http_status = 200,
				   .outcome = PS_LOAD_OK,
				   .kernel = 1};

	ps_load_recorder_end(&f->rec[tenant], &q, true);
}

/* 100/s, noise around 100 ms; before `warm_ns` latencies fall from 500 ms. */
static void put_run(struct fixture *f, size_t tenant, int64_t warm_ns)
{
	struct ps_rng rng;

	ps_rng_init(&rng, 7 + tenant, 0);
	for (int i = 0; i < RUN_S * 100; i++) {
		int64_t at = i * 10 * MS;
		int64_t extra = at < warm_ns ? (warm_ns - at) / (warm_ns / (400 * MS)) : 0;

		put(f, tenant, at, extra + (int64_t)((90 + 20 * ps_rng_uniform(&rng)) * 1e6));
	}
}

static void judge(struct fixture *f)
{
	for (size_t i = 0; i < f->r.tenant_len; i++) {
		ps_load_recorder_finish(&f->rec[i], f->plan.duration_ns);
	}
	assert_int_equal(ps_load_judge_run(&f->plan, 10 * SEC, &f->r), PS_OK);
}

static bool has_reason(const struct ps_load_tenant_result *t, enum ps_load_reason want)
{
	for (int i = 0; i < t->reason_len; i++) {
		if (ps_load_reason_of(t->reasons[i]) == want) {
			return true;
		}
	}
	return false;
}

static void the_warmup_is_cut_where_it_ends(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 2);
	f.plan.warmup_auto = true;
	put_run(&f, 0, 0);
	put_run(&f, 1, 4 * SEC);
	for (int i = 0; i < 2; i++) {
		f.r.tenants[i].replica_len = 2;
		f.r.tenants[i].replicas[0] = "http://x";
		f.r.tenants[i].replicas[1] = "http://y";
	}
	judge(&f);
	assert_true(f.r.warmup_found && f.r.valid);
	/* The later cut of the two holds for both. */
	assert_in_range(f.r.warmup_ns, 3600 * MS, 5 * SEC);
	assert_int_equal(f.r.warmup_ns + f.r.duration_ns, RUN_S * SEC);
	for (int i = 0; i < 2; i++) {
		const struct ps_load_tenant_result *t = &f.r.tenants[i];

		assert_int_equal(t->scheduled + t->warmup_scheduled, RUN_S * 100);
		assert_int_equal(t->record_len, RUN_S * 100);
		assert_int_equal(t->kernel_stamped, t->scheduled);
		assert_int_equal(t->replica_len, 2);
		assert_string_equal(t->replicas[0], "http://x");
		assert_string_equal(t->replicas[1], "http://y");
		assert_int_equal(ps_hist_total(&t->latency), t->scheduled);
		assert_int_equal(ps_hist_count(&t->uncorrected), t->scheduled);
		assert_true(t->latency.max_ns < 140 * MS);
		assert_true(t->offered_rps > 99 && t->offered_rps < 101);
		assert_int_equal(t->second_len, (f.r.duration_ns + SEC - 1) / SEC);
	}
	end(&f);
}

/* Five stalls of 3 s late in the run: each outweighs all of the warm-up in a standard error. */
static void a_late_stall_is_no_warmup(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.plan.warmup_auto = true;
	put_run(&f, 0, 2 * SEC);
	for (int i = 0; i < 5; i++) {
		put(&f, 0, 15 * SEC + i * SEC / 2, 3 * SEC);
	}
	judge(&f);
	assert_true(f.r.warmup_found);
	assert_in_range(f.r.warmup_ns, 1500 * MS, 3 * SEC);
	end(&f);
}

static void a_run_that_never_settles_is_invalid_and_whole(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.plan.warmup_auto = true;
	put_run(&f, 0, 16 * SEC);
	judge(&f);
	assert_false(f.r.warmup_found || f.r.valid);
	assert_true(has_reason(&f.r.tenants[0], PS_LOAD_REASON_WARMUP));
	assert_int_equal(f.r.warmup_ns, 0);
	assert_int_equal(f.r.tenants[0].scheduled, RUN_S * 100);
	end(&f);
}

static void requests_without_records_cannot_be_cut(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.plan.warmup_auto = true;
	f.rec[0].max_records = 500;
	put_run(&f, 0, SEC);
	judge(&f);
	assert_true(has_reason(&f.r.tenants[0], PS_LOAD_REASON_WARMUP));
	assert_int_equal(f.r.tenants[0].scheduled, RUN_S * 100);
	end(&f);
}

static void the_machine_is_noted_and_then_invalid(void **state)
{
	static const struct {
		double steal, throttled, mhz_min, mhz_max;
		int64_t hot;
		int notes;
		bool valid;
	} rows[] = {
		{0.019, 0.009, 2000, 2200, 0, 0, true}, {-1, -1, -1, -1, -1, 0, true},
		{0.021, 0, 2000, 2000, 0, 1, true},	{0, 0.011, 2000, 2000, 0, 1, true},
		{0, 0, 1900, 2200, 3, 2, true},		{0.11, 0, 2000, 2000, 0, 0, false},
		{0.05, 0.051, 1000, 2000, 0, 2, false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, 2);
		put_run(&f, 0, 0);
		put_run(&f, 1, 0);
		f.r.machine = (struct ps_load_machine){.readings = 5,
						       .steal_ratio = rows[i].steal,
						       .throttled_ratio = rows[i].throttled,
						       .mhz_min = rows[i].mhz_min,
						       .mhz_max = rows[i].mhz_max,
						       .hot = rows[i].hot};
		judge(&f);
		assert_int_equal(f.r.note_len, rows[i].notes);
		assert_int_equal(f.r.valid, rows[i].valid);
		for (int k = 0; k < 2; k++) {
			assert_int_equal(has_reason(&f.r.tenants[k], PS_LOAD_REASON_MACHINE),
					 !rows[i].valid);
		}
		end(&f);
	}
}

static void littles_law_is_held_to_one_percent(void **state)
{
	static const struct {
		bool checked;
		double difference;
		bool valid;
	} rows[] = {{true, 0.009, true}, {true, 0.011, false}, {false, 0.5, true}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct fixture f;

		begin(&f, 1);
		put_run(&f, 0, 0);
		f.r.tenants[0].little = (struct ps_load_little){.checked = rows[i].checked,
								.difference = rows[i].difference};
		judge(&f);
		assert_int_equal(f.r.valid, rows[i].valid);
		assert_int_equal(has_reason(&f.r.tenants[0], PS_LOAD_REASON_LITTLE),
				 !rows[i].valid);
		end(&f);
	}
}

static void a_stopped_run_is_never_valid(void **state)
{
	struct fixture f;

	(void)state;
	begin(&f, 1);
	f.plan.warmup_auto = true;
	f.r.cancelled = true;
	put_run(&f, 0, 0);
	judge(&f);
	assert_false(f.r.valid || f.r.warmup_found);
	assert_true(has_reason(&f.r.tenants[0], PS_LOAD_REASON_STOPPED));
	end(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_warmup_is_cut_where_it_ends),
		cmocka_unit_test(a_late_stall_is_no_warmup),
		cmocka_unit_test(a_run_that_never_settles_is_invalid_and_whole),
		cmocka_unit_test(requests_without_records_cannot_be_cut),
		cmocka_unit_test(the_machine_is_noted_and_then_invalid),
		cmocka_unit_test(littles_law_is_held_to_one_percent),
		cmocka_unit_test(a_stopped_run_is_never_valid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
