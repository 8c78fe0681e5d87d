/* When an I/O thread gives way to the lanes: streams of requests of known cost. */
#include "serve/urgency.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#define MS INT64_C(1000000)

struct stream {
	int64_t now_ns, cpu_ns;
	int changes;
};

/* A request each `gap`, of which the thread computes for `cost`. */
static void feed(struct ps_serve_urgency *u, struct stream *s, int n, int64_t gap_ns,
		 int64_t cost_ns)
{
	for (int i = 0; i < n; i++) {
		s->now_ns += gap_ns;
		s->cpu_ns += cost_ns;
		if (ps_serve_urgency_is_due(u))
			s->changes += ps_serve_urgency_changes(u, s->now_ns, s->cpu_ns);
	}
}

static void test_share(void **state)
{
	static const struct {
		int64_t gap_ns, cost_ns;
		bool calm, calm_after_flood;
	} rows[] = {
		{10 * MS, MS / 2, false, false}, /* bodies of 0.6 MB, 100/s */
		{MS, MS / 5, false, false},
		{MS, MS * 2 / 5, false, true}, /* between a quarter and a half: as it was */
		{MS, MS * 3 / 5, true, true},
		{MS / 100, MS / 100, true, true}, /* a flood */
		{200 * MS, 150 * MS, true, true}, /* rare ones that take long */
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct ps_serve_urgency u = {0};
		struct stream s = {0};
		feed(&u, &s, 40000, rows[i].gap_ns, rows[i].cost_ns);
		if (u.calm != rows[i].calm || s.changes != rows[i].calm)
			fail_msg("row %zu: calm %d, %d changes", i, u.calm, s.changes);
		feed(&u, &s, 40000, MS / 100, MS / 100);
		assert_true(u.calm && s.changes == 1);
		feed(&u, &s, 40000, rows[i].gap_ns, rows[i].cost_ns);
		if (u.calm != rows[i].calm_after_flood)
			fail_msg("row %zu after a flood: calm %d", i, u.calm);
	}
}

/* A moment is no share: the first requests of a burst do not count as a flood. */
static void test_needs_a_while(void **state)
{
	struct ps_serve_urgency u = {.since_ns = 5 * MS, .cpu_ns = MS};
	(void)state;
	assert_false(ps_serve_urgency_changes(&u, 104 * MS, 100 * MS));
	assert_true(ps_serve_urgency_changes(&u, 105 * MS, 100 * MS));
	assert_true(u.calm && u.since_ns == 105 * MS && u.cpu_ns == 100 * MS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_share),
		cmocka_unit_test(test_needs_a_while),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
