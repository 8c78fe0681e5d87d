/* The oracle on histories whose answer can be worked out by hand. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "sim_test.h"
#include "sim/oracle.h"

#include <string.h>

enum { MAX = 10 };

struct request {
	int tenant;
	int64_t arrived_ms, deadline_ms;
	double factor;
	enum ps_sim_fate fate;
};

#define T PS_SIM_IN_TIME
#define R PS_SIM_REFUSED
#define L PS_SIM_LATE

struct row {
	const char *what;
	int n_lanes;
	int64_t max_batch; /* 8 rows cost 24 ms, one 10 ms */
	int64_t weights[2];
	struct request requests[MAX];
	const char *could; /* '+' for each refused one that could, '-' that could not, '.' others */
	int64_t missed;
};

static const struct row rows[] = {
	{"an idle machine", 1, 0, {1, 1}, {{0, 5, 20, 1, R}}, "+", 0},
	{"no time at all", 1, 0, {1, 1}, {{0, 5, 14, 1, R}}, "-", 0},
	{"just enough", 1, 0, {1, 1}, {{0, 5, 15, 1, R}}, "+", 0},
	{"it really takes longer", 1, 0, {1, 1}, {{0, 5, 20, 2, R}}, "-", 0},
	{"no deadline", 1, 0, {1, 1}, {{0, 5, 0, 9, R}}, "+", 0},
	{"behind one that runs",
	 1,
	 0,
	 {1, 1},
	 {{0, 0, 10, 1, T}, {0, 5, 19, 1, R}, {0, 6, 20, 1, R}},
	 ".-+",
	 0},
	{"a gap counts once",
	 1,
	 0,
	 {1, 1},
	 {{0, 0, 20, 1, R}, {0, 1, 20, 1, R}, {0, 2, 20, 1, R}},
	 "++-",
	 0},
	{"but for the next", 1, 0, {1, 1}, {{0, 0, 20, 1, R}, {0, 1, 11, 1, T}}, "-.", 0},
	{"which has time", 1, 0, {1, 1}, {{0, 0, 20, 1, R}, {0, 1, 20, 1, T}}, "+.", 0},
	{"the late ones leave their time to it",
	 1,
	 0,
	 {1, 1},
	 {{0, 0, 5, 1, L}, {0, 1, 11, 1, R}},
	 ".+",
	 0},
	{"two lanes",
	 2,
	 0,
	 {1, 1},
	 {{0, 0, 10, 1, T}, {0, 1, 11, 1, R}, {0, 2, 19, 1, R}},
	 ".+-",
	 0},
	{"earliest deadline first",
	 1,
	 0,
	 {1, 1},
	 {{0, 0, 10, 1, T}, {0, 1, 60, 1, T}, {0, 2, 20, 1, R}},
	 "..+",
	 0},
	{"a heavier tenant goes first",
	 1,
	 0,
	 {1, 9},
	 {{0, 0, 10, 1, T}, /* then each has one, then the heavy one has its second, its third */
	  {0, 1, 30, 1, R},
	  {1, 1, 40, 1, T},
	  {1, 1, 40, 1, T},
	  {1, 1, 41, 1, T}},
	 ".-...",
	 0},
	{"a replay that cannot do it either",
	 1,
	 0,
	 {1, 1},
	 {{0, 0, 10, 1, T}, {0, 0, 10, 1, T}},
	 "..",
	 1},
	{"a batch makes room",
	 1,
	 8,
	 {1, 1},
	 {{0, 0, 10, 1, T}, {0, 1, 24, 1, T}, {0, 2, 24, 1, R}, {0, 3, 23, 1, R}},
	 "..+-",
	 0},
};

static struct ps_sim_past past_of(const struct request *q)
{
	return (struct ps_sim_past){.arrived_ns = q->arrived_ms * MS,
				    .deadline_ns = q->deadline_ms * MS,
				    .tenant = q->tenant,
				    .factor = q->factor,
				    .fate = q->fate,
				    .counted = true};
}

static void check_row(const struct row *row)
{
	const struct ps_sim_model m = {
		.service_ns = 10e6, .row_ns = 2e6, .max_batch = row->max_batch};
	struct ps_sim_tenant t[2] = {{.weight = row->weights[0]}, {.weight = row->weights[1]}};
	const struct ps_sim_plan p = {
		.tenants = t, .models = &m, .n_tenants = 2, .n_models = 1, .n_lanes = row->n_lanes};
	struct ps_sim_past past[MAX] = {0};
	struct ps_sim_verdict v;
	bool could[MAX];
	size_t n = strlen(row->could);
	int64_t n_could = 0;
	for (size_t i = 0; i < n; i++)
		past[i] = past_of(&row->requests[i]);
	assert_int_equal(ps_sim_oracle(&p, past, n, &v, could), PS_OK);
	for (size_t i = 0; i < n; i++) {
		if (could[i] != (row->could[i] == '+'))
			fail_msg("%s: request %zu", row->what, i);
		n_could += could[i];
	}
	assert_int_equal(v.could, n_could);
	assert_int_equal(v.missed, row->missed);
	assert_int_equal(v.undecided, 0);
}

static void histories_by_hand(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		check_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(histories_by_hand),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
