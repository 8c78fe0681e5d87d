#include "stats/stats.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))
#define N	 20000

static const double probes[] = {0,   0.001, 0.01, 0.1,	 0.25,	 0.5, 0.75,
				0.9, 0.95,  0.99, 0.999, 0.9999, 1};

/* Shapes of latencies, kind ones and nasty ones. Values stay within 1 us .. 1000 s. */
static double from_log(struct ps_rng *r, double lo, double hi)
{
	return exp(log(lo) + (log(hi) - log(lo)) * ps_rng_uniform(r));
}

static double shape_exponential(struct ps_rng *r, int i)
{
	(void)i;
	return 1e3 + ps_rng_exponential(r, 50e6);
}

static double shape_whole_range(struct ps_rng *r, int i)
{
	(void)i;
	return from_log(r, 1e3, 1e12);
}

static double shape_constant(struct ps_rng *r, int i)
{
	(void)r;
	(void)i;
	return 123456789;
}

/* One bucket apart around powers of two, where the bucket width doubles. */
static double shape_bucket_edges(struct ps_rng *r, int i)
{
	(void)i;
	double edge = exp2((double)(10 + ps_rng_below(r, 29)));
	return edge + (double)ps_rng_below(r, 3) - 1;
}

static double shape_two_peaks(struct ps_rng *r, int i)
{
	return i % 100 == 0 ? 9.9e11 + (double)ps_rng_below(r, 1000) : 1e6;
}

static double shape_stall(struct ps_rng *r, int i)
{
	(void)r;
	return i < N / 10 ? 1e9 * (1 - 10.0 * i / N) + 1e3 : 2e6 + i;
}

static double shape_cauchy(struct ps_rng *r, int i)
{
	(void)i;
	return fmin(1e12, 1e3 + fabs(1e7 * ps_rng_normal(r) / (1e-6 + fabs(ps_rng_normal(r)))));
}

static double (*const shapes[])(struct ps_rng *, int) = {
	shape_exponential, shape_whole_range, shape_constant, shape_bucket_edges,
	shape_two_peaks,   shape_stall,	      shape_cauchy,
};

static void fill(struct ps_hist *h, double *exact, size_t shape, uint64_t seed, int n)
{
	struct ps_rng rng;
	ps_rng_init(&rng, seed, shape);
	for (int i = 0; i < n; i++) {
		int64_t v = (int64_t)shapes[shape](&rng, i);
		exact[i] = (double)v;
		ps_hist_record(h, v);
	}
}

static void test_against_exact_quantiles(void **state)
{
	(void)state;
	static double exact[N];
	for (size_t s = 0; s < COUNT(shapes); s++) {
		struct ps_hist h;
		assert_int_equal(ps_hist_init(&h), PS_OK);
		fill(&h, exact, s, 7, N);
		double mean = ps_stats_mean(exact, N);
		ps_stats_sort(exact, N);
		for (size_t k = 0; k < COUNT(probes); k++) {
			double want = ps_stats_quantile(exact, N, probes[k]);
			double got = (double)ps_hist_quantile_ns(&h, probes[k]);
			if (fabs(got - want) > 0.001 * want)
				fail_msg("shape %zu p%g: %.0f, exact %.0f", s, probes[k], got,
					 want);
		}
		assert_true(h.min_ns == (int64_t)exact[0] && h.max_ns == (int64_t)exact[N - 1]);
		assert_true(fabs(ps_hist_mean_ns(&h) - mean) <= 1e-9 * mean);
		double spread = sqrt(ps_stats_variance(exact, N) * (N - 1) / N);
		assert_true(fabs(ps_hist_deviation_ns(&h) - spread) <= 0.002 * (spread + mean));
		ps_hist_fini(&h);
	}
}

/* Every bucket, at both of its ends: 0.1 % at most. A second value keeps the exact minimum and
 * maximum from answering. */
static void test_every_bucket(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	double worst = 0;
	for (double edge = 1000; edge < 1e12; edge *= 1.0009) {
		ps_hist_reset(&h);
		int64_t v = (int64_t)edge;
		ps_hist_record_n(&h, 1, 2);
		ps_hist_record_n(&h, v, 2);
		ps_hist_record_n(&h, PS_HIST_MAX_NS, 2);
		worst = fmax(worst, fabs((double)(ps_hist_rank_ns(&h, 3) - v)) / (double)v);
	}
	assert_true(worst <= 0.001);
	assert_true(worst > 0.0005); /* else this test looks at nothing */
	ps_hist_fini(&h);
}

static void test_edges_of_range(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	assert_int_equal(ps_hist_quantile_ns(&h, 0.5), 0);
	assert_true(ps_hist_mean_ns(&h) == 0);
	ps_hist_record(&h, -5);
	ps_hist_record(&h, 0);
	ps_hist_record(&h, 700);
	ps_hist_record(&h, PS_HIST_MAX_NS);
	ps_hist_record(&h, PS_HIST_MAX_NS + 1);
	ps_hist_record(&h, INT64_MAX - 1);
	assert_int_equal(h.underflow, 1);
	assert_int_equal(h.overflow, 2);
	assert_int_equal(ps_hist_count(&h), 6);
	assert_int_equal(ps_hist_rank_ns(&h, 1), -5);
	assert_int_equal(ps_hist_rank_ns(&h, 3), 700);
	assert_int_equal(ps_hist_rank_ns(&h, 6), INT64_MAX - 1);
	assert_int_equal(ps_hist_count_over(&h, PS_HIST_MAX_NS), 2);
	assert_int_equal(ps_hist_count_over(&h, 700), 3);
	assert_int_equal(ps_hist_count_over(&h, -6), 6);
	ps_hist_fini(&h);
}

static void test_sum_is_exact(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	/* More than 64 bits hold. */
	ps_hist_record_n(&h, PS_HIST_MAX_NS, UINT64_C(1) << 40);
	assert_true(h.sum_ns == (__int128)PS_HIST_MAX_NS << 40);
	assert_true(ps_hist_mean_ns(&h) == 1e12);
	ps_hist_fini(&h);
}

static void test_lost_requests_are_above_all(void **state)
{
	(void)state;
	struct ps_hist h;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	ps_hist_record_n(&h, 1000000, 94);
	ps_hist_record_lost(&h, 6);
	assert_int_equal(ps_hist_total(&h), 100);
	assert_int_equal(ps_hist_quantile_ns(&h, 0.94), 1000000);
	assert_true(ps_hist_quantile_ns(&h, 0.95) == PS_HIST_INFINITE);
	assert_int_equal(ps_hist_count_over(&h, PS_HIST_MAX_NS), 6);
	ps_hist_fini(&h);
}

static void expect_same(const struct ps_hist *a, const struct ps_hist *b)
{
	struct ps_strbuf x, y;
	ps_strbuf_init(&x);
	ps_strbuf_init(&y);
	ps_hist_write(a, &x);
	ps_hist_write(b, &y);
	assert_int_equal(x.len, y.len);
	assert_memory_equal(x.data, y.data, x.len);
	ps_strbuf_fini(&x);
	ps_strbuf_fini(&y);
}

static void test_merge_is_recording(void **state)
{
	(void)state;
	static double exact[N];
	struct ps_hist all, parts[2];
	assert_int_equal(ps_hist_init(&all), PS_OK);
	for (int i = 0; i < 2; i++)
		assert_int_equal(ps_hist_init(&parts[i]), PS_OK);
	fill(&all, exact, 1, 5, 3000);
	fill(&parts[0], exact, 1, 5, 3000);
	fill(&all, exact, 0, 6, 2000);
	fill(&parts[1], exact, 0, 6, 2000);
	ps_hist_record(&all, -3);
	ps_hist_record(&parts[1], -3);
	ps_hist_record_lost(&all, 4);
	ps_hist_record_lost(&parts[0], 4);
	ps_hist_merge(&parts[0], &parts[1]);
	expect_same(&all, &parts[0]);
	ps_hist_reset(&parts[1]);
	ps_hist_merge(&parts[0], &parts[1]);
	expect_same(&all, &parts[0]);
	ps_hist_merge(&parts[1], &parts[0]);
	expect_same(&all, &parts[1]);
	for (int i = 0; i < 2; i++)
		ps_hist_fini(&parts[i]);
	ps_hist_fini(&all);
}

static void test_round_trip(void **state)
{
	(void)state;
	static double exact[N];
	for (size_t s = 0; s <= COUNT(shapes); s++) {
		struct ps_hist h, back;
		struct ps_strbuf bytes;
		ps_strbuf_init(&bytes);
		assert_int_equal(ps_hist_init(&h), PS_OK);
		assert_int_equal(ps_hist_init(&back), PS_OK);
		if (s < COUNT(shapes)) /* the last one stays empty */
			fill(&h, exact, s, 11, 4000);
		ps_hist_record_lost(&h, s);
		ps_hist_write(&h, &bytes);
		ps_hist_record(&back, 77); /* must vanish */
		assert_int_equal(ps_hist_read(&back, bytes.data, bytes.len, NULL), PS_OK);
		expect_same(&h, &back);
		assert_true(h.sum_ns == back.sum_ns && h.count == back.count);
		ps_strbuf_fini(&bytes);
		ps_hist_fini(&h);
		ps_hist_fini(&back);
	}
}

static void test_corruption_is_refused(void **state)
{
	(void)state;
	struct ps_hist h, back;
	struct ps_strbuf bytes;
	ps_strbuf_init(&bytes);
	assert_int_equal(ps_hist_init(&h), PS_OK);
	assert_int_equal(ps_hist_init(&back), PS_OK);
	for (int i = 0; i < 40; i++)
		ps_hist_record(&h, 1000 + i * i * 1000);
	ps_hist_record(&h, -1);
	ps_hist_write(&h, &bytes);
	for (size_t i = 0; i < bytes.len; i++) {
		for (int bit = 0; bit < 8; bit++) {
			bytes.data[i] = (char)(bytes.data[i] ^ (1 << bit));
			assert_int_equal(ps_hist_read(&back, bytes.data, bytes.len, NULL),
					 PS_ECORRUPT);
			assert_int_equal(ps_hist_total(&back), 0);
			bytes.data[i] = (char)(bytes.data[i] ^ (1 << bit));
		}
		assert_int_equal(ps_hist_read(&back, bytes.data, i, NULL), PS_ECORRUPT);
	}
	ps_strbuf_putc(&bytes, 0);
	assert_int_equal(ps_hist_read(&back, bytes.data, bytes.len, NULL), PS_ECORRUPT);
	ps_strbuf_fini(&bytes);
	ps_hist_fini(&h);
	ps_hist_fini(&back);
}

/* A forger who knows the checksum still cannot make one that lies about itself. */
static void test_contradictions_are_refused(void **state)
{
	(void)state;
	struct ps_hist h, back;
	assert_int_equal(ps_hist_init(&h), PS_OK);
	assert_int_equal(ps_hist_init(&back), PS_OK);
	for (int lie = 0; lie < 6; lie++) {
		struct ps_strbuf bytes;
		struct ps_error err;
		ps_strbuf_init(&bytes);
		ps_hist_reset(&h);
		ps_hist_record_n(&h, 5000000, 10);
		h.count += lie == 0;
		h.min_ns = lie == 1 ? h.max_ns + 1 : h.min_ns;
		h.underflow += lie == 2;
		h.overflow += lie == 3;
		h.sum_ns = lie == 4 ? -1 : h.sum_ns;
		h.max_ns = lie == 5 ? PS_HIST_MAX_NS * 2 : h.max_ns;
		ps_hist_write(&h, &bytes);
		assert_int_equal(ps_hist_read(&back, bytes.data, bytes.len, &err), PS_ECORRUPT);
		assert_string_equal(err.what, "the histogram contradicts itself");
		ps_strbuf_fini(&bytes);
	}
	ps_hist_fini(&h);
	ps_hist_fini(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_against_exact_quantiles),
		cmocka_unit_test(test_every_bucket),
		cmocka_unit_test(test_edges_of_range),
		cmocka_unit_test(test_sum_is_exact),
		cmocka_unit_test(test_lost_requests_are_above_all),
		cmocka_unit_test(test_merge_is_recording),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_corruption_is_refused),
		cmocka_unit_test(test_contradictions_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
