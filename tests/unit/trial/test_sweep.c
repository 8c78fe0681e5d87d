#include "trial/sweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static void test_parse(void **state)
{
	(void)state;
	static const struct {
		const char *text;
		bool whole;
		int len; /* -1: refused */
		double points[5];
	} rows[] = {
		{"5", false, 1, {5}},
		{"1,2,4,8", true, 4, {1, 2, 4, 8}},
		{"0.5,1.25", false, 2, {0.5, 1.25}},
		{"10..200:2", false, 2, {10, 200}},
		{"10..30:5", false, 5, {10, 15, 20, 25, 30}},
		{"1..3:5", true, 3, {1, 2, 3}}, /* rounded, the equal ones once */
		{"", false, -1, {0}},
		{"1,", false, -1, {0}},
		{",1", false, -1, {0}},
		{"1,,2", false, -1, {0}},
		{"2,1", false, -1, {0}},
		{"1,1", false, -1, {0}},
		{"0,1", false, -1, {0}},
		{"-1,1", false, -1, {0}},
		{"1,2000", false, -1, {0}},
		{"nan", false, -1, {0}},
		{"inf", false, -1, {0}},
		{"1..", false, -1, {0}},
		{"1..2", false, -1, {0}},
		{"..2:3", false, -1, {0}},
		{"1..2:1", false, -1, {0}},
		{"1..2:65", false, -1, {0}},
		{"2..1:3", false, -1, {0}},
		{"1:3..2", false, -1, {0}},
		{"1..2:3:4", false, -1, {0}},
		{"0.2,0.4", true, -1, {0}}, /* no user at all */
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct ps_trial_sweep s;
		struct ps_error err;
		enum ps_status st =
			ps_trial_sweep_parse(rows[i].text, 1000, rows[i].whole, &s, &err);
		if (st != (rows[i].len < 0 ? PS_EPARSE : PS_OK))
			fail_msg("'%s': status %d", rows[i].text, st);
		for (int k = 0; k < rows[i].len; k++) {
			if (s.len != rows[i].len || s.points[k] != rows[i].points[k])
				fail_msg("'%s': point %d of %d is %g", rows[i].text, k, s.len,
					 s.points[k]);
		}
	}
}

static void test_long_lists_are_refused(void **state)
{
	(void)state;
	static char text[4096];
	struct ps_trial_sweep s;
	for (size_t i = 0; i + 1 < sizeof(text); i++)
		text[i] = i % 2 ? ',' : '1';
	assert_int_equal(ps_trial_sweep_parse(text, 1000, false, &s, NULL), PS_EPARSE);
	text[2 * PS_TRIAL_MAX_SWEEP + 1] = '\0'; /* one too many */
	assert_int_equal(ps_trial_sweep_parse(text, 1000, false, &s, NULL), PS_EPARSE);
}

static void test_saturation(void **state)
{
	(void)state;
	static const struct {
		const char *what;
		int n;
		struct ps_trial_sweep_row rows[5];
		bool saturated;
	} rows[] = {
		{"nothing yet", 0, {{0, 0, 0, 0, 0}}, false},
		{"keeps up", 1, {{100, 99, 0.5, 0, 1e6}}, false},
		{"answers too few", 1, {{100, 94, 0.5, 0, 1e6}}, true},
		{"a backlog rises", 1, {{100, 99, 0.001, 6e5, 1e6}}, true},
		{"rises, but hardly", 1, {{100, 99, 0.001, 4e5, 1e6}}, false},
		{"rises by chance", 1, {{100, 99, 0.02, 6e5, 1e6}}, false},
		{"only the last row counts", 2, {{100, 50, 1, 0, 1}, {200, 199, 1, 0, 1}}, false},
		{"one user", 1, {{0, 10, 1, 0, 1}}, false},
		{"two rows of users", 2, {{0, 10, 1, 0, 1}, {0, 10, 1, 0, 1}}, false},
		{"users that add",
		 3,
		 {{0, 10, 1, 0, 1}, {0, 20, 1, 0, 1}, {0, 30, 1, 0, 1}},
		 false},
		{"one row without gain",
		 3,
		 {{0, 10, 1, 0, 1}, {0, 20, 1, 0, 1}, {0, 20, 1, 0, 1}},
		 false},
		{"two rows without gain",
		 4,
		 {{0, 10, 1, 0, 1}, {0, 20, 1, 0, 1}, {0, 20.1, 1, 0, 1}, {0, 19, 1, 0, 1}},
		 true},
		{"a slump and a gain",
		 4,
		 {{0, 10, 1, 0, 1}, {0, 20, 1, 0, 1}, {0, 9, 1, 0, 1}, {0, 21, 1, 0, 1}},
		 false},
	};
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (ps_trial_sweep_saturated(rows[i].rows, rows[i].n) != rows[i].saturated)
			fail_msg("%s", rows[i].what);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_long_lists_are_refused),
		cmocka_unit_test(test_saturation),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
