/* What is left of an overload when it is over.
 *
 * One lane; tenant B asks for half of it all the time, and its agreement is ten service times. For
 * six seconds tenant A asks for three times what the lane can do. When A has gone, B has the lane
 * for itself: what was learned while A was there must not refuse B's requests for long. From half a
 * second after the fall on nothing of B is refused or late; where services take now and then three
 * times as long, at most one in a thousand. (Without A nothing is, in any row and seed.)
 */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"

#include <stdio.h>

enum { A, B };
enum { SEEDS = FEWER > 1 ? 2 : 24 };

static const int64_t begin_ns = 4000 * MS, fall_ns = 10000 * MS, end_ns = 18000 * MS;
static const int64_t soon_ns = 500 * MS;

struct row {
	const char *name;
	int64_t service_ms;
	enum ps_sim_arrival arrival; /* of B */
	double slow_share;	     /* of the services: three times as long */
	double may;		     /* be refused or late, of what arrives later than that */
};

static const struct row rows[] = {
	{"2 ms, constant", 2, PS_SIM_CONSTANT, 0, 0},
	{"2 ms, Poisson", 2, PS_SIM_POISSON, 0, 0},
	{"2 ms, Poisson, uneven", 2, PS_SIM_POISSON, 0.02, 0.001},
	{"10 ms, constant", 10, PS_SIM_CONSTANT, 0, 0},
	{"10 ms, Poisson", 10, PS_SIM_POISSON, 0, 0},
	{"10 ms, Poisson, uneven", 10, PS_SIM_POISSON, 0.02, 0.001},
	{"50 ms, constant", 50, PS_SIM_CONSTANT, 0, 0},
	{"50 ms, Poisson", 50, PS_SIM_POISSON, 0, 0},
	{"50 ms, Poisson, uneven", 50, PS_SIM_POISSON, 0.02, 0.001},
};

/* Of B, since the fall; `later`: since half a second after it. */
struct seen {
	int64_t bad, later, later_bad, last_ns;
};

static void note(void *ctx, const struct ps_sim_done *d)
{
	struct seen *seen = ctx;
	const struct ps_dispatch_account *a = d->account;
	int64_t since_ns = a->received_ns - fall_ns;
	bool bad = a->status != PS_OK || a->finished_ns > a->deadline_ns;
	if (d->tenant != B || since_ns < 0)
		return;
	seen->bad += bad;
	seen->later += since_ns >= soon_ns;
	seen->later_bad += bad && since_ns >= soon_ns;
	if (bad && since_ns > seen->last_ns)
		seen->last_ns = since_ns;
}

static void run_scene(const struct row *row, uint64_t seed, double a_load, struct seen *seen)
{
	const struct ps_sim_model m = {.service = row->slow_share > 0 ? PS_SIM_TWO_POINT
								      : PS_SIM_FIXED,
				       .service_ns = (double)(row->service_ms * MS),
				       .slow_share = row->slow_share,
				       .slow_factor = 3};
	double capacity_rps = 1e9 / m.service_ns;
	struct ps_sim_tenant t[2] = {
		{.rate_rps = a_load * capacity_rps, .from_ns = begin_ns, .until_ns = fall_ns},
		{.arrival = row->arrival, .rate_rps = 0.5 * capacity_rps}};
	struct ps_sim_result r[2];
	struct ps_sim_plan p = {.tenants = t,
				.models = &m,
				.n_tenants = 2,
				.n_models = 1,
				.n_lanes = 1,
				.seed = seed,
				.until_ns = end_ns,
				.done = note,
				.ctx = seen};
	for (int i = 0; i < 2; i++) {
		t[i].weight = 1;
		t[i].queue_limit = 100000;
		t[i].sla_ns = 10 * row->service_ms * MS;
	}
	sim_run(&p, r);
}

static bool judge(const struct row *row)
{
	struct seen calm = {0}, seen = {0};
	for (uint64_t seed = 1; seed <= SEEDS; seed++) {
		run_scene(row, seed, 1e-6, &calm);
		run_scene(row, seed, 3, &seen);
	}
	assert_true(seen.later >= 60 * SEEDS);
	assert_int_equal(calm.bad, 0);
	bool good = (double)seen.later_bad <= row->may * (double)seen.later;
	printf("%-24s refused or late: %lld in half a second, %lld of %lld later; the last "
	       "%.0f ms after the fall%s\n",
	       row->name, (long long)(seen.bad - seen.later_bad), (long long)seen.later_bad,
	       (long long)seen.later, (double)seen.last_ns * 1e-6, good ? "" : "  <-- over");
	return good;
}

static void a_steady_tenant_is_served_again_soon(void **state)
{
	int over = 0;
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		over += !judge(&rows[i]);
	assert_true(over == 0 || !JUDGED);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_steady_tenant_is_served_again_soon),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
