/* The table of metrics: no row missing, none wrong. */
// needs: metrics
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/metrics_page_internal.h"

static void test_table(void **state)
{
	struct ps_error err;
	(void)state;
	for (int i = 0; i < PS_M_COUNT; i++)
		assert_non_null(ps_serve_families[i].name);
	assert_null(ps_serve_families[PS_M_COUNT].name);
	if (ps_metrics_check_families(ps_serve_families, &err) != PS_OK)
		fail_msg("%s: %s", err.where, err.what);
}

/* Every outcome has a name of its own. */
static void test_outcomes(void **state)
{
	(void)state;
	for (int i = 0; i < PS_SERVE_OUTCOME_COUNT; i++)
		for (int k = 0; k < i; k++)
			assert_string_not_equal(ps_serve_outcome_name(i), ps_serve_outcome_name(k));
	assert_int_equal(ps_serve_outcome(PS_OK, PS_DISPATCH_REASON_NONE), PS_SERVE_OUTCOME_OK);
	assert_int_equal(ps_serve_outcome(PS_EINVAL, PS_DISPATCH_REASON_NONE),
			 PS_SERVE_OUTCOME_INVALID);
	assert_int_equal(ps_serve_outcome(PS_EENGINE, PS_DISPATCH_REASON_FAILED),
			 PS_DISPATCH_REASON_FAILED);
	assert_int_equal(ps_serve_outcome(PS_EUNAUTH, PS_DISPATCH_REASON_NONE),
			 PS_SERVE_OUTCOME_ERROR);
}

static void put(struct ps_serve_counts *c, int64_t rows)
{
	ps_serve_batch_row(c, rows)->infer.count++;
}

/* Sizes rise; what finds no row of its own shares one, and nothing is lost. */
static void test_batch_rows(void **state)
{
	static struct ps_serve_counts a, b;
	uint64_t n = 0;
	(void)state;
	for (int64_t rows = 64; rows > 0; rows--)
		put(&a, rows);
	put(&b, 3);
	put(&b, 1000);
	ps_serve_counts_add(&b, &a);
	assert_int_equal(b.n_batches, PS_SERVE_MAX_BATCH_SIZES);
	for (int i = 0; i < b.n_batches; i++) {
		n += b.batches[i].infer.count;
		if (i > 0)
			assert_true(b.batches[i].rows > b.batches[i - 1].rows);
	}
	assert_int_equal(n, 66);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_outcomes),
		cmocka_unit_test(test_batch_rows),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
