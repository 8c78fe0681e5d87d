/* A machine of a plan under a day's arrivals: formulas of queues, rates that change, parts of
 * traces, agreements in intervals, and that a seed repeats everything. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim/replay.h"
#include "sim_test.h"

#include <math.h>
#include <string.h>

static const int64_t DAY = INT64_C(86400000000000), MINUTE = INT64_C(60000000000);

/* One machine with results; the tenants and models are the caller's. */
struct ran {
	struct ps_sim_replay_result results[8];
	struct ps_sim_replay_summary summary;
	int n, intervals;
};

static void replay(const struct ps_sim_replay_machine *m, const struct ps_sim_replay_options *o,
		   struct ran *ret)
{
	struct ps_error err;
	ret->n = m->n_tenants;
	ret->intervals = ps_sim_replay_intervals(o);
	if (ps_sim_replay(m, o, ret->results, &ret->summary, &err) != PS_OK)
		fail_msg("%s", err.what);
	for (int i = 0; i < ret->n; i++) {
		const struct ps_sim_replay_result *r = &ret->results[i];
		int64_t ended = 0, served = 0, in_time = 0;
		for (int k = 0; k < ret->intervals; k++) {
			ended += r->intervals[k].ended;
			served += r->intervals[k].served;
			in_time += r->intervals[k].in_time;
		}
		/* Every request is counted once, in each of the three ways. */
		assert_int_equal(ended, r->counts.arrived);
		assert_int_equal(ps_hist_total(&r->latencies), r->counts.arrived);
		assert_int_equal(served, r->counts.served);
		assert_int_equal(ps_hist_count(&r->latencies), r->counts.served);
		assert_int_equal(in_time, r->counts.in_time);
		assert_true(r->worst.requests <= r->counts.arrived);
	}
}

static void ran_fini(struct ran *r)
{
	for (int i = 0; i < r->n; i++)
		ps_sim_replay_result_fini(&r->results[i]);
}

static void near(const char *what, double value, double expected, double tolerance)
{
	if (!(fabs(value / expected - 1) <= tolerance))
		fail_msg("%s: %g instead of %g", what, value, expected);
}

/* ---- theory ------------------------------------------------------------------------------- */

/* Of one lane at rho: the mean and the p99 of the latency in service times. M/M/1: the latency is
 * exponential of mean 1 / (1 - rho). M/D/1: the mean is Pollaczek and Khinchine's; the p99 is that
 * of the wait and 1, from Erlang's series, worked out with 60 digits:
 * P(W <= t) = (1 - rho) sum over k <= t of e^(rho (t - k)) (rho (k - t))^k / k! */
struct theory_row {
	const char *name;
	double cv, rho, mean, p99;
};

static const struct theory_row theory[] = {
	{"M/D/1", 0, 0.5, 1.5, 4.3363},
	{"M/M/1", 1, 0.5, 2, 9.2103},
	{"M/D/1", 0, 0.7, 1 + 0.7 / 0.6, 7.4855},
	{"M/M/1", 1, 0.7, 1 / 0.3, 15.3506},
};

static void latencies_follow_the_formulas(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof theory / sizeof *theory; i++) {
		const struct theory_row *row = &theory[i];
		const struct ps_sim_replay_model model = {10e6, row->cv};
		const struct ps_sim_replay_tenant t = {.rate_rps = 100 * row->rho, .weight = 1};
		const struct ps_sim_replay_machine m = {&t, &model, 1, 1, 1};
		const struct ps_sim_replay_options o = {DAY / 4 / FEWER, 300 * S, 2};
		struct ran r;
		replay(&m, &o, &r);
		const struct ps_hist *h = &r.results[0].latencies;
		double slack = JUDGED ? 0.01 : 0.1;
		near(row->name, ps_hist_mean_ns(h) / 10e6, row->mean, slack);
		near(row->name, (double)ps_hist_quantile_ns(h, 0.99) / 10e6, row->p99, slack);
		near("busy", r.summary.busy, row->rho, slack);
		assert_true(r.summary.busy_most >= r.summary.busy * 0.9999);
		assert_true(r.results[0].worst.p99_ns >= ps_hist_quantile_ns(h, 0.99));
		ran_fini(&r);
	}
}

/* ---- rates -------------------------------------------------------------------------------- */

/* Each hour has as many arrivals as its rate says, within four standard deviations; none where the
 * rate is 0, the end of the day included. */
static void a_curve_is_followed(void **state)
{
	static const double factors[] = {0.5, 0, 1, 0.25, 0};
	struct ps_sim_phase phases[5];
	(void)state;
	for (int i = 0; i < 5; i++)
		phases[i] = (struct ps_sim_phase){i * 60 * MINUTE, factors[i]};
	const struct ps_sim_replay_model model = {1e6, 0};
	const struct ps_sim_replay_tenant t = {
		.rate_rps = 40, .phases = phases, .n_phases = 5, .weight = 1};
	const struct ps_sim_replay_machine m = {&t, &model, 1, 1, 1};
	const struct ps_sim_replay_options o = {5 * 60 * MINUTE, 60 * MINUTE, 1};
	struct ran r;
	replay(&m, &o, &r);
	for (int i = 0; i < 5; i++) {
		double expected = 40 * 3600 * factors[i], got = r.results[0].intervals[i].ended;
		assert_true(fabs(got - expected) <= 4 * sqrt(expected) + 1);
	}
	assert_int_equal(r.results[0].worst.from_ns / (60 * MINUTE), 2);
	ran_fini(&r);
}

/* Of 90 minutes the last half hour is the busiest, though more is done in the whole one. */
static void the_last_hour_may_be_short(void **state)
{
	static const struct ps_sim_phase phases[] = {{0, 0.4}, {3600000000000, 0.7}};
	const struct ps_sim_replay_model model = {10e6, 0};
	const struct ps_sim_replay_tenant t = {
		.rate_rps = 100, .phases = phases, .n_phases = 2, .weight = 1};
	const struct ps_sim_replay_machine m = {&t, &model, 1, 1, 1};
	const struct ps_sim_replay_options o = {90 * MINUTE, 30 * MINUTE, 1};
	struct ran r;
	(void)state;
	replay(&m, &o, &r);
	near("busy", r.summary.busy, 0.5, 0.02);
	near("busy in the busiest hour", r.summary.busy_most, 0.7, 0.02);
	assert_int_equal(r.summary.busy_most_from_ns, 60 * MINUTE);
	ran_fini(&r);
}

/* ---- traces ------------------------------------------------------------------------------- */

enum { ENTRIES = 20000 };

static struct ps_load_trace_entry entries[ENTRIES];

/* Equal gaps. */
static struct ps_load_trace make_trace(double gap_ns)
{
	for (int i = 0; i < ENTRIES; i++)
		entries[i] =
			(struct ps_load_trace_entry){.at_ns = i * gap_ns, .order = (uint32_t)i};
	return (struct ps_load_trace){
		.entries = entries, .len = ENTRIES, .length_ns = ENTRIES * gap_ns};
}

/* Every arrival of the trace is of one part, of each about its share, and comes when it did. */
static void parts_make_the_whole(void **state)
{
	static const double ends[] = {0, 0.2, 0.5, 1};
	const struct ps_load_trace trace = make_trace(50e6);
	const struct ps_sim_replay_model model = {10e6, 0};
	int64_t sum = 0;
	(void)state;
	for (int i = 0; i < 3; i++) {
		const struct ps_sim_replay_tenant t = {
			.trace = &trace, .part = {7, ends[i], ends[i + 1]}, .weight = 1};
		const struct ps_sim_replay_machine m = {&t, &model, 1, 1, 1};
		const struct ps_sim_replay_options o = {(int64_t)trace.length_ns, 10 * S, 1};
		struct ran r;
		replay(&m, &o, &r);
		double share = ends[i + 1] - ends[i], got = (double)r.results[0].counts.arrived;
		assert_true(fabs(got - share * ENTRIES) <= 4 * sqrt(ENTRIES * share * (1 - share)));
		/* Never two at a time: gaps are longer than services. */
		assert_int_equal(r.results[0].counts.latency_max_ns, 10 * MS);
		sum += r.results[0].counts.arrived;
		ran_fini(&r);
	}
	assert_int_equal(sum, ENTRIES);
}

static void a_trace_gives_its_rates(void **state)
{
	const struct ps_load_trace trace = make_trace(7e6); /* 140 s */
	struct ps_sim_phase phases[4];
	double rate;
	(void)state;
	assert_int_equal(ps_sim_curve_len(&trace, MINUTE), 4);
	ps_sim_curve(&trace, MINUTE, 7 * S, phases, &rate);
	near("rate", rate, 1000.0 / 7, 1e-3);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(phases[i].from_ns, i * MINUTE);
		near("factor", phases[i].factor, 1, 2e-3);
	}
	assert_int_equal(phases[3].from_ns, 140 * S);
	assert_true(phases[3].factor == 0);
	ps_sim_curve(&trace, MINUTE, 5 * MINUTE, phases, &rate); /* longer than the trace */
	near("rate", rate, 1000.0 / 7, 1e-3);
	near("factor", phases[0].factor, 1, 2e-3);
}

/* ---- agreements --------------------------------------------------------------------------- */

struct kept_row {
	double percentile, success;
	int64_t ended, served, in_time;
	bool kept;
};

static const struct kept_row kept_rows[] = {
	{0.99, 0.99, 0, 0, 0, true},	   {0.99, 0.99, 100, 100, 99, true},
	{0.99, 0.99, 100, 100, 98, false}, {0.95, 0.99, 100, 99, 95, true},
	{0.95, 0.99, 100, 98, 96, false},  {0.5, 0, 100, 50, 50, true},
	{0, 0, 100, 0, 0, true}, /* no agreement */
};

static void agreements_are_judged(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof kept_rows / sizeof *kept_rows; i++) {
		const struct kept_row *r = &kept_rows[i];
		const struct ps_sla sla = {r->percentile, 1, r->success};
		if (ps_sim_replay_kept(&sla, r->ended, r->served, r->in_time) != r->kept)
			fail_msg("row %zu", i);
	}
}

/* In the third of four intervals twice as much arrives as the lane can do: there the agreement
 * breaks, and not before; the hour is told from the run as a whole. */
static void broken_intervals_are_where_the_load_is(void **state)
{
	static const struct ps_sim_phase phases[] = {
		{0, 0.3}, {1800000000000, 2}, {2700000000000, 0.1}};
	(void)state;
	const struct ps_sim_replay_model model = {10e6, 0.1};
	const struct ps_sim_replay_tenant t = {.rate_rps = 100,
					       .phases = phases,
					       .n_phases = 3,
					       .weight = 100,
					       .sla = {0.95, 60 * MS, 0.99}};
	const struct ps_sim_replay_machine m = {&t, &model, 1, 1, 1};
	const struct ps_sim_replay_options o = {60 * MINUTE, 15 * MINUTE, 1};
	struct ran r;
	replay(&m, &o, &r);
	const struct ps_sim_replay_result *x = &r.results[0];
	assert_int_equal(r.intervals, 4);
	for (int i = 0; i < 4; i++) {
		const struct ps_sim_replay_interval *in = &x->intervals[i];
		bool kept = ps_sim_replay_kept(&t.sla, in->ended, in->served, in->in_time);
		assert_int_equal(kept, i != 2);
	}
	/* The server refuses what it could not do in time: about half of what came there. */
	double refused = (double)x->counts.reasons[PS_DISPATCH_REASON_DEADLINE];
	near("refused", refused, 0.5 * x->intervals[2].ended, 0.15);
	assert_true(x->counts.in_time >= x->counts.served * 99 / 100);
	assert_int_equal(x->worst.p99_ns, PS_HIST_INFINITE);
	ran_fini(&r);
}

/* ---- repeatable, and refused -------------------------------------------------------------- */

static void a_seed_repeats(void **state)
{
	const struct ps_sim_replay_model models[] = {{10e6, 0.2}, {3e6, 0}};
	const struct ps_sim_replay_tenant tenants[] = {
		{.rate_rps = 60, .weight = 30, .sla = {0.99, 100 * MS, 0.99}},
		{.model = 1, .rate_rps = 200, .weight = 30, .sla = {0.95, 30 * MS, 0.99}},
	};
	const struct ps_sim_replay_machine m = {tenants, models, 2, 2, 2};
	struct ps_sim_replay_options o = {600 * S, 60 * S, 5};
	struct ran a, b, c;
	(void)state;
	replay(&m, &o, &a);
	replay(&m, &o, &b);
	o.seed = 6;
	replay(&m, &o, &c);
	for (int i = 0; i < 2; i++) {
		assert_memory_equal(&a.results[i].counts, &b.results[i].counts,
				    sizeof a.results[i].counts);
		assert_memory_equal(a.results[i].latencies.counts, b.results[i].latencies.counts,
				    PS_HIST_BUCKETS * PS_HIST_SUB_BUCKETS * sizeof(uint64_t));
		assert_memory_equal(a.results[i].intervals, b.results[i].intervals,
				    10 * sizeof *a.results[i].intervals);
		assert_memory_equal(&a.results[i].worst, &b.results[i].worst,
				    sizeof a.results[i].worst);
	}
	assert_int_not_equal(a.results[0].counts.arrived, c.results[0].counts.arrived);
	ran_fini(&a);
	ran_fini(&b);
	ran_fini(&c);
}

static void what_is_too_much_is_refused(void **state)
{
	const struct ps_sim_replay_model model = {10e6, 0};
	const struct ps_sim_replay_tenant t = {.rate_rps = 1, .weight = 1};
	const struct ps_sim_replay_machine good = {&t, &model, 1, 1, 1};
	const struct ps_sim_replay_options o = {60 * S, 60 * S, 1};
	struct ps_sim_replay_machine m = good;
	struct ps_sim_replay_options p = o;
	struct ps_sim_replay_summary s;
	struct ps_sim_replay_result r;
	struct ps_error err;
	(void)state;
	m.n_lanes = PS_DISPATCH_MAX_LANES + 1;
	assert_int_equal(ps_sim_replay(&m, &o, &r, &s, &err), PS_ETOOBIG);
	assert_non_null(strstr(err.what, "257 lanes"));
	p.interval_ns = MS;
	assert_int_equal(ps_sim_replay(&good, &p, &r, &s, &err), PS_EINVAL);
	p.interval_ns = 0;
	assert_int_equal(ps_sim_replay(&good, &p, &r, &s, &err), PS_EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(latencies_follow_the_formulas),
		cmocka_unit_test(a_curve_is_followed),
		cmocka_unit_test(the_last_hour_may_be_short),
		cmocka_unit_test(parts_make_the_whole),
		cmocka_unit_test(a_trace_gives_its_rates),
		cmocka_unit_test(agreements_are_judged),
		cmocka_unit_test(broken_intervals_are_where_the_load_is),
		cmocka_unit_test(a_seed_repeats),
		cmocka_unit_test(what_is_too_much_is_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
