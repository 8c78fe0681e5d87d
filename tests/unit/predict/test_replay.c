/* The queue of given requests: by hand, by Lindley's recursion, and against that of a long run. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <cmocka.h>

#include "base/rng.h"
#include "predict/replay.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#define MS 1e6

static void near(const char *what, double got, double want, double tolerance)
{
	if (!(fabs(got / want - 1) <= tolerance))
		fail_msg("%s: %.6g, not %.6g within %g %%", what, got, want, 100 * tolerance);
}

static const struct ps_predict_slice one_lane = {.cpus = 1, .lanes = 1, .threads = 1};

static struct ps_predict_tenant tenant(double service_ms, double rate_rps)
{
	return (struct ps_predict_tenant){.service_ns = service_ms * MS, .rate_rps = rate_rps};
}

static void test_by_hand(void **state)
{
	/* 10 ms each; the neighbour's take 20 and are in the way of the second and third */
	static const struct ps_predict_arrival own[] = {
		{0, true}, {100 * MS, true}, {200 * MS, true}, {300 * MS, true}};
	static const struct ps_predict_arrival other[] = {{90 * MS, true}, {190 * MS, true}};
	static const struct ps_predict_arrival warm[] = {
		{0, false}, {100 * MS, true}, {200 * MS, true}, {300 * MS, false}};
	const struct ps_predict_sent sent = {other, 2};
	const struct ps_predict_block blocks[] = {{{own, 4}, &sent}, {{warm, 4}, &sent}};
	static const struct {
		size_t from, len;
		double slowdown, p99_ms;
	} rows[] = {
		{0, 1, 1, 20},	     /* 10, 20, 20, 10: the second of four in order is 10 */
		{1, 1, 2, 20},	     /* 20, 20: the first and last are not counted */
		{0, 2, sqrt(2), 20}, /* of both blocks the geometric mean */
	};
	const struct ps_predict_tenant neighbour = tenant(20, 10);

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct ps_predict_replay r = {.own = tenant(10, 10),
					      .others = &neighbour,
					      .n = 1,
					      .slice = one_lane,
					      .blocks = blocks + rows[i].from,
					      .block_len = rows[i].len};
		near("slowdown", ps_predict_replay_slowdown(&r), rows[i].slowdown, 0.003);
		near("p99", ps_predict_replay_p99(&r), rows[i].p99_ms * MS, 0.003);
		r.n = 0;
		near("alone", ps_predict_replay_slowdown(&r), 1, 0);
		near("p99 alone", ps_predict_replay_p99(&r), 10 * MS, 0.003);
	}
}

enum { FEW = 300 };

/* Poisson requests of half a minute, and their latencies by W' = max(0, W + S - A). */
static double draw(uint64_t seed, double rate_rps, double service_ns,
		   struct ps_predict_arrival *ret_sent)
{
	double latency[FEW], at_ns = 0, wait_ns = 0;
	struct ps_rng rng;

	ps_rng_init(&rng, seed, 0);
	for (int i = 0; i < FEW; i++) {
		double gap_ns = ps_rng_exponential(&rng, 1e9 / rate_rps);
		at_ns += gap_ns;
		wait_ns = i ? fmax(0, wait_ns + service_ns - gap_ns) : 0;
		latency[i] = wait_ns + service_ns;
		ret_sent[i] = (struct ps_predict_arrival){at_ns, true};
	}
	ps_stats_sort(latency, FEW);
	return ps_stats_quantile(latency, FEW, 0.99);
}

/* What chance makes of a few hundred requests is in the replay, and not in a long run. */
static void test_knows_what_was_sent(void **state)
{
	double off_replay = 0, off_long = 0;
	struct ps_predict_tenant t = tenant(70, 10);
	const struct ps_predict_load load = {.rate_rps = 10, .service_ns = 70 * MS, .weight = 1};
	const struct ps_predict_queue q = {.loads = &load, .n_loads = 1, .n_lanes = 1};
	struct ps_predict_waited longest;

	(void)state;
	assert_int_equal(ps_predict_queue_run(&q, &longest, NULL), PS_OK);
	for (uint64_t seed = 1; seed <= 20; seed++) {
		struct ps_predict_arrival sent[FEW];
		double measured = draw(seed, 10, 70 * MS, sent);
		const struct ps_predict_block block = {.own = {sent, FEW}};
		const struct ps_predict_replay r = {
			.own = t, .slice = one_lane, .blocks = &block, .block_len = 1};
		off_replay += fabs(ps_predict_replay_p99(&r) / measured - 1) / 20;
		off_long += fabs(longest.p99_ns / measured - 1) / 20;
	}
	assert_true(off_replay < 0.05); /* the percentile rules differ by one request */
	assert_true(off_long > 0.15);
}

static void test_refused(void **state)
{
	static const struct ps_predict_arrival back[] = {{2, true}, {1, true}};
	static const struct ps_predict_arrival never[] = {{1, true}, {INFINITY, true}};
	static const struct ps_predict_arrival warm[] = {{1, false}};
	static const struct ps_predict_arrival fine[] = {{1, true}, {1, true}};
	static const struct {
		struct ps_predict_sent sent;
		double lanes;
		bool known;
	} rows[] = {{{fine, 2}, 1, true},   {{fine, 2}, 0, false}, {{back, 2}, 1, false},
		    {{never, 2}, 1, false}, {{warm, 1}, 1, false}, {{fine, 0}, 1, false}};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		const struct ps_predict_block block = {.own = rows[i].sent};
		struct ps_predict_replay r = {
			.own = tenant(10, 1), .slice = one_lane, .blocks = &block, .block_len = 1};
		r.slice.lanes = rows[i].lanes;
		if (isfinite(ps_predict_replay_p99(&r)) != rows[i].known ||
		    isfinite(ps_predict_replay_slowdown(&r)) != rows[i].known)
			fail_msg("row %zu", i);
		r.block_len = 0;
		assert_true(isnan(ps_predict_replay_slowdown(&r)));
		assert_true(isnan(ps_predict_replay_p99(&r)));
	}
	/* of all tenants or of none */
	const struct ps_predict_load loads[] = {
		{.rate_rps = 1, .service_ns = 1, .weight = 1, .arrivals = fine, .arrival_len = 2},
		{.rate_rps = 1, .service_ns = 1, .weight = 1}};
	const struct ps_predict_queue q = {.loads = loads, .n_loads = 2, .n_lanes = 1};
	struct ps_predict_waited w[2];
	assert_int_equal(ps_predict_queue_run(&q, w, NULL), PS_EINVAL);
}

/* More than the lane can do: a long run never ends, this one does. */
static void test_overload_ends(void **state)
{
	static const struct ps_predict_arrival sent[] = {{0, true}, {MS, true}, {2 * MS, true}};
	const struct ps_predict_block block = {.own = {sent, 3}};
	const struct ps_predict_replay r = {
		.own = tenant(10, 1000), .slice = one_lane, .blocks = &block, .block_len = 1};

	(void)state;
	near("p99", ps_predict_replay_p99(&r), 28 * MS, 0.003);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_by_hand),
		cmocka_unit_test(test_knows_what_was_sent),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_overload_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
