/* Intervals of several percentiles of one run: none may fall as the percentile rises. */
#include "load/judge.c"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { N = 4 };

struct ends {
	double p;
	int64_t lo, hi; /* 0, 0: no interval */
};

static void test_none_falls(void **state)
{
	static const struct {
		struct ends before[N], after[N];
	} rows[] = {
		/* what is in order stays */
		{{{.5, 10, 20}, {.9, 15, 30}, {.95, 30, 40}, {.99, 35, 90}},
		 {{.5, 10, 20}, {.9, 15, 30}, {.95, 30, 40}, {.99, 35, 90}}},
		/* an upper end is handed up, a lower one down */
		{{{.5, 10, 117}, {.9, 15, 117}, {.95, 20, 29}, {.99, 12, 30}},
		 {{.5, 10, 117}, {.9, 12, 117}, {.95, 12, 117}, {.99, 12, 117}}},
		/* in whatever order they stand, never included */
		{{{.99, 40, 50}, {.5, 45, 60}, {.95, 20, 70}, {.9, 30, PS_HIST_INFINITE}},
		 {{.99, 40, PS_HIST_INFINITE},
		  {.5, 20, 60},
		  {.95, 20, PS_HIST_INFINITE},
		  {.9, 20, PS_HIST_INFINITE}}},
		/* the SLA's own percentile may be one of the others */
		{{{.5, 1, 2}, {.95, 20, 30}, {.95, 15, 25}, {.99, 40, 50}},
		 {{.5, 1, 2}, {.95, 15, 30}, {.95, 15, 30}, {.99, 40, 50}}},
		/* too few samples say nothing of others */
		{{{.5, 10, 20}, {.9, 0, 0}, {.95, 30, 40}, {.99, 0, 0}},
		 {{.5, 10, 20}, {.9, 0, 0}, {.95, 30, 40}, {.99, 0, 0}}},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct ps_stats_time_quantile q[N], *all[N];

		for (size_t k = 0; k < N; k++) {
			const struct ends *e = &rows[i].before[k];

			q[k] = (struct ps_stats_time_quantile){.p = e->p,
							       .lo_ns = e->lo,
							       .hi_ns = e->hi,
							       .has_interval = e->hi > 0};
			all[k] = &q[k];
		}
		make_coherent(all, N);
		for (size_t k = 0; k < N; k++) {
			const struct ends *e = &rows[i].after[k];

			if (q[k].lo_ns != e->lo || q[k].hi_ns != e->hi ||
			    q[k].has_interval != (e->hi > 0)) {
				fail_msg("row %zu, p%g: %lld to %lld", i, 100 * e->p,
					 (long long)q[k].lo_ns, (long long)q[k].hi_ns);
			}
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_none_falls)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
